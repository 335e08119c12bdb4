//! What rules and queries are fed with while messages come in: readings, events, who comes and goes.
//!
//! The fleet calls this with what it has understood. Nothing here waits: what is fed is in memory when the call returns, and whoever
//! evaluates rules is told afterwards, in one go, which series an event has touched ([`Feed::take_touched`]).
//!
//! Live readings count when their run is the one that is shown; a second machine of the same name has no say here. A backlog counts
//! whatever its run. What has no date yet is left to the history, which is asked until the window has passed.

use crate::clock::Now;
use crate::fleet::{Appliance, Listing};
use rackside_history::dated;
use rackside_promql::{Labels, METRIC_NAME, STALE};
use rackside_proto::{AgentName, Time, Value};
use rackside_series::{Derived, Layout, Listed, Recent};
use std::sync::Arc;

/// Whether an appliance is up, as a series.
const UP: &str = "rackside_appliance_up";
/// Most touches that are remembered; of more, the latest are told.
const TOUCHES: usize = 16_384;

/// A series that changed out of turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Touched {
    /// Which.
    pub labels: Labels,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
}

/// Where readings go.
#[derive(Debug, Clone)]
pub struct Feed {
    recent: Arc<Recent>,
    derived: Arc<Derived>,
    touched: Vec<Touched>,
}

/// The readings of one record.
#[derive(Debug, Default)]
pub struct Rows {
    /// The catalog that they are of; nothing until they are understood.
    pub listing: Option<Arc<Listing>>,
    /// When each was read.
    pub times: Vec<Time>,
    /// As many for each as the catalog has series.
    pub values: Vec<Value>,
}

impl Rows {
    /// Room for the next record.
    pub(crate) fn clear(&mut self) {
        self.listing = None;
        self.times.clear();
        self.values.clear();
    }
}

impl Default for Feed {
    fn default() -> Self {
        let derived =
            Derived::new(None, rackside_series::SHORTEST, 0).expect("without a database nothing can fail");
        Self::new(Arc::default(), Arc::new(derived))
    }
}

impl Feed {
    /// Feeds `recent` with what appliances measure and `derived` with whether they are up.
    pub fn new(recent: Arc<Recent>, derived: Arc<Derived>) -> Self {
        Self { recent, derived, touched: Vec::new() }
    }

    /// The last window of what appliances measure.
    pub fn recent(&self) -> &Arc<Recent> {
        &self.recent
    }

    /// What the hub makes itself.
    pub fn derived(&self) -> &Arc<Derived> {
        &self.derived
    }

    /// Which series were touched out of turn since this was last asked, in the order in which they were.
    pub fn take_touched(&mut self) -> Vec<Touched> {
        std::mem::take(&mut self.touched)
    }

    fn touch(&mut self, labels: Labels, at: i64) {
        if self.touched.len() >= TOUCHES {
            self.touched.drain(..TOUCHES / 2);
        }
        self.touched.push(Touched { labels, at });
    }

    /// There is an appliance in a new slot. One that is known from before has a history.
    pub(crate) fn opened(&mut self, slot: usize, name: &AgentName, is_known: bool) {
        let floor = if is_known { i64::MAX } else { i64::MIN };
        self.recent.open(slot, name.site.as_str(), name.appliance.as_str(), floor);
    }

    /// An appliance came or went.
    pub(crate) fn turned(&mut self, slot: usize, name: &AgentName, is_up: bool, now: Now) {
        let at = now.utc_ms as i64;
        if !is_up {
            self.recent.gone(slot, at);
        }
        let labels = up(name);
        self.derived.push(&labels, at, f64::from(u8::from(is_up)));
        self.touch(labels, at);
    }

    /// The same, but of one that nobody waits for: it is neither up nor down.
    pub(crate) fn turned_unless_retired(&mut self, slot: usize, appliance: &Appliance, now: Now) {
        let is_up = appliance.state.is_up();
        if appliance.retired_ms.is_none() {
            self.turned(slot, &appliance.name, is_up, now);
        } else if !is_up {
            self.recent.gone(slot, now.utc_ms as i64);
        }
    }

    /// Nobody waits for it any more: its series end, and whether it is up is no question.
    pub(crate) fn retired(&mut self, slot: usize, name: &AgentName, now: Now) {
        let (labels, at) = (up(name), now.utc_ms as i64);
        self.recent.gone(slot, at);
        self.derived.push(&labels, at, STALE);
        self.touch(labels, at);
    }

    /// Readings came in; `live`, if right after they were read.
    pub(crate) fn readings(&mut self, slot: usize, rows: &Rows, live: bool, now: Now) {
        let Some(layout) = rows.listing.as_ref().and_then(|listing| self.layout(slot, listing)) else {
            return;
        };
        let Some(&last) = rows.times.last() else { return };
        let Some(shift) = self.shift(slot, last, live, now) else { return };
        let width = rows.values.len() / rows.times.len();
        for (time, values) in rows.times.iter().zip(rows.values.chunks_exact(width.max(1))) {
            self.recent.reading(slot, &layout, raw(*time) + shift, values, now.utc_ms as i64);
        }
    }

    /// An event told of one series, by its position in the catalog.
    pub(crate) fn event(
        &mut self,
        slot: usize,
        listing: &Listing,
        (position, time, value): (u32, Time, Value),
        live: bool,
        now: Now,
    ) {
        let Some(layout) = self.layout(slot, listing) else { return };
        let Some(shift) = self.shift(slot, time, live, now) else { return };
        let at = raw(time) + shift;
        let labels = self.recent.event(slot, &layout, (position, at, value), now.utc_ms as i64);
        if let Some(labels) = labels.filter(|_| live) {
            self.touch(labels, at);
        }
    }

    /// What is added to times of a record to date them. Nothing, if nobody knows yet.
    fn shift(&self, slot: usize, time: Time, live: bool, now: Now) -> Option<i64> {
        let Some(at) = dated(time, live, now.utc_ms) else {
            self.recent.incomplete(slot, now.utc_ms as i64);
            return None;
        };
        let shift = at as i64 - raw(time);
        if shift != 0 || matches!(time, Time::Boot { .. }) {
            self.recent.dated_by_receipt(slot, at as i64);
        }
        Some(shift)
    }

    fn layout(&self, slot: usize, listing: &Listing) -> Option<Arc<Layout>> {
        listing.layout(|listing| {
            let series = listing.series().iter().map(|entry| Listed {
                name: &entry.name,
                labels: &entry.labels,
                scale: entry.scale,
                served: entry.served,
            });
            self.recent.layout(slot, series)
        })
    }
}

/// The labels of `rackside_appliance_up`.
pub fn up(name: &AgentName) -> Labels {
    let (site, appliance) = (name.site.as_str(), name.appliance.as_str());
    Labels::new([(METRIC_NAME, UP), ("site", site), ("appliance", appliance)])
}

fn raw(time: Time) -> i64 {
    let (Time::Utc { ms } | Time::Boot { ms, .. }) = time;
    i64::try_from(ms).unwrap_or(i64::MAX / 4)
}
