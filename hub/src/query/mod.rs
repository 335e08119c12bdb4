//! Everything that a query can be about, as one source of series: the last window of the fleet in memory, what the hub makes itself, and the
//! history on disk.
//!
//! ```text
//! ingest ── feed ──▶ Recent  ─┐
//! rules, own numbers ▶ Derived ├──▶ Fleetwide ──▶ evaluator: rules, /api/v1
//!                    history  ─┘
//! ```

mod feed;
mod labels;

pub use feed::{Feed, Rows, Touched, up};
pub use labels::Metadata;

use crate::clock::Now;
use rackside_promql::{Labels, Sample, Select, Source, SourceError, Take, Wanted};
use rackside_series::{Asked, Derived, HubDb, Recent, SHORTEST};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// All series that the hub knows. Cheap to ask for what is recent: then no disk is touched.
#[derive(Debug)]
pub struct Fleetwide {
    recent: Arc<Recent>,
    derived: Arc<Derived>,
}

impl Fleetwide {
    /// Over what is in memory and on disk.
    pub fn new(recent: Arc<Recent>, derived: Arc<Derived>) -> Self {
        Self { recent, derived }
    }

    /// The last window of what appliances measure.
    pub fn recent(&self) -> &Arc<Recent> {
        &self.recent
    }

    /// What the hub makes itself; rules push what they record here.
    pub fn derived(&self) -> &Arc<Derived> {
        &self.derived
    }
}

/// Opens `hub.db` in `directory`. A hub that cannot says so and works without: what it makes itself is then in memory only.
pub fn derived(directory: &Path, now: Now) -> Derived {
    let now = now.utc_ms as i64;
    let opened = HubDb::open(directory).and_then(|db| Derived::new(Some(Arc::new(db)), SHORTEST, now));
    opened.unwrap_or_else(|error| {
        log::error!("{error}; until then what rules make is lost when the hub stops");
        Derived::new(None, SHORTEST, now).expect("without a database nothing can fail")
    })
}

impl Source for Fleetwide {
    fn select(&self, wanted: &Select<'_>, take: &mut dyn Take) -> Result<(), SourceError> {
        let newest = wanted.wanted == Wanted::Newest;
        let asked = Asked { matchers: wanted.matchers, from: wanted.from, to: wanted.to, newest };
        let mut outcome = Ok(ControlFlow::Continue(()));
        self.recent.select(&asked, &mut |found| {
            if let Some(stop) = take.stopped() {
                outcome = Err(SourceError::Stopped(stop));
                return ControlFlow::Break(());
            }
            for (labels, range) in found.series {
                let samples = &found.samples[range.clone()];
                if !samples.is_empty() && take.series(labels, samples).is_break() {
                    outcome = Ok(ControlFlow::Break(()));
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        if outcome?.is_break() {
            return Ok(());
        }
        self.of_the_hub(wanted, take)
    }
}

impl Fleetwide {
    /// What the hub makes; a series that an appliance has as well is the appliance's.
    fn of_the_hub(&self, wanted: &Select<'_>, take: &mut dyn Take) -> Result<(), SourceError> {
        let mut stop = None;
        let mut each = |labels: &Labels, samples: &[Sample]| {
            stop = take.stopped();
            if stop.is_some() {
                return ControlFlow::Break(());
            }
            if samples.is_empty() || self.recent.has(labels) {
                return ControlFlow::Continue(());
            }
            take.series(labels, samples)
        };
        let newest = wanted.wanted == Wanted::Newest;
        self.derived
            .select(wanted.matchers, (wanted.from, wanted.to), newest, &mut each)
            .map_err(|error| SourceError::Failed(error.to_string()))?;
        stop.map_or(Ok(()), |stop| Err(SourceError::Stopped(stop)))
    }
}
