//! What is known of one run of an agent: its birth, its catalogs, its latest values. Runs are never mixed: two machines
//! with one name are two runs.

use super::Listing;
use crate::clock::Now;
use crate::query::Rows;
use rackside_history::dated;
use rackside_proto::{
    Birth, Capabilities, ClockSource, DecodeError, Envelope, Readings, Reason, Revision, Run, Sending,
    SpoolPlace, Time, Value,
};
use std::sync::Arc;
use std::time::Instant;

/// Most catalogs that are kept of a run; the one that was used least lately goes first.
const LISTINGS: usize = 8;

/// One run of an agent.
#[derive(Debug)]
pub struct RunState {
    /// Which.
    pub run: Run,
    /// What it said of itself, once it has.
    pub about: Option<About>,
    /// Its latest values, once there are any.
    pub latest: Option<Latest>,
    /// The connection that was heard of last; 0 before the first presence.
    pub(super) connection: u32,
    /// When that connection's offline was heard.
    pub(super) offline: Option<Instant>,
    /// Why it said, or its broker said for it, that it is gone.
    pub ended: Option<Reason>,
    /// When it was last heard to live.
    pub(super) heard: Option<Instant>,
    /// When it was first heard to live by this hub, in milliseconds since 1970-01-01 UTC.
    pub(super) first_ms: Option<u64>,
    /// Whether the latest live readings had no time that could be right, so that the hub's own dated them.
    dated_here: bool,
    /// When a newer run took its place.
    pub(super) superseded: Option<Instant>,
    /// When it was last heard to live although a newer run had taken its place.
    pub(super) rival: Option<Instant>,
    /// The most lately used last.
    listings: Vec<Arc<Listing>>,
}

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The agent's version.
    pub version: Box<str>,
    /// The machine's name.
    pub hostname: Box<str>,
    /// What the board calls itself, or nothing.
    pub model: Box<str>,
    /// The revision code of a Raspberry Pi.
    pub revision: Option<Revision>,
    /// The system.
    pub os: Box<str>,
    /// The kernel's release.
    pub kernel: Box<str>,
    /// The processor's architecture.
    pub arch: Box<str>,
    /// Milliseconds from one reading to the next.
    pub tick_ms: u32,
    /// Milliseconds from one data message to the next: more than a tick where readings are collected. Nobody's silence is shorter.
    pub interval_ms: u32,
    /// Where its time comes from, as it says itself; see [`RunState::clock_source`].
    pub clock: ClockSource,
    /// Where it keeps its records.
    pub spool: SpoolPlace,
    /// The revision of the hub's configuration that it runs on; 0 for its own file.
    pub configuration: u32,
    /// What it can do, and does when the hub says so.
    pub capabilities: Capabilities,
}

/// The latest values of a run. They came right after they were read: a backlog says how it was, and not how it is.
#[derive(Debug, Clone)]
pub struct Latest {
    /// The catalog that they are of.
    pub listing: Arc<Listing>,
    /// One for each of its series.
    pub values: Vec<Value>,
    /// When they were read, in milliseconds since 1970-01-01 UTC; `None` when nobody knows.
    pub time_ms: Option<u64>,
    seq: u64,
    /// Series that an event has set since, by the event's number.
    events: Vec<(usize, u64)>,
}

/// What became of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It is the latest.
    Latest,
    /// A newer one is known, or it comes from the backlog.
    Older,
}

/// Why readings cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadingError {
    /// Their catalog is not known.
    NoCatalog(u32),
    /// They do not fit their catalog.
    Decode(DecodeError),
}

impl RunState {
    pub(super) fn new(run: Run) -> Self {
        Self {
            run,
            about: None,
            latest: None,
            connection: 0,
            offline: None,
            ended: None,
            heard: None,
            first_ms: None,
            dated_here: false,
            superseded: None,
            rival: None,
            listings: Vec::new(),
        }
    }

    /// Where the time of its readings comes from; nothing before its birth.
    pub fn clock_source(&self) -> Option<ClockSource> {
        let of_agent = self.about.as_ref()?.clock;
        Some(if self.dated_here { ClockSource::Hub } else { of_agent })
    }

    /// How many series its catalogs list together.
    pub(super) fn series_kept(&self) -> usize {
        self.listings.iter().map(|listing| listing.len()).sum()
    }

    /// The newest catalog that is known.
    pub fn newest_listing(&self) -> Option<&Arc<Listing>> {
        self.listings.iter().max_by_key(|listing| listing.number)
    }

    /// Whether the catalog of that number is known.
    pub fn has_listing(&self, number: u32) -> bool {
        self.listings.iter().any(|listing| listing.number == number)
    }

    /// Lets go of all catalogs, and of the values with them.
    pub(super) fn forget_listings(&mut self) {
        self.listings.clear();
        self.latest = None;
    }

    /// Lets go of the catalog that was used least lately. Says whether there was one.
    pub(super) fn forget_oldest_listing(&mut self) -> bool {
        let any = !self.listings.is_empty();
        if any {
            self.listings.remove(0);
        }
        any
    }

    /// Lets go of one catalog.
    pub(super) fn forget_listing(&mut self, number: u32) {
        self.listings.retain(|listing| listing.number != number);
    }

    /// Keeps a catalog. A number that is known already stays as it is: catalogs do not change under their number.
    pub(super) fn keep(&mut self, listing: Listing) {
        if self.has_listing(listing.number) {
            return;
        }
        if self.listings.len() >= LISTINGS {
            self.listings.remove(0);
        }
        self.listings.push(Arc::new(listing));
    }

    pub(super) fn listing(&mut self, number: u32) -> Option<Arc<Listing>> {
        let at = self.listings.iter().position(|listing| listing.number == number)?;
        let listing = self.listings.remove(at);
        self.listings.push(Arc::clone(&listing));
        Some(listing)
    }

    /// Takes readings; fails without a trace when they cannot be understood. `rows`, which is empty, is given what they say.
    pub(super) fn readings(
        &mut self,
        envelope: &Envelope,
        readings: &Readings<'_>,
        rows: &mut Rows,
        now: Now,
    ) -> Result<Reading, ReadingError> {
        let listing = self.listing(readings.catalog).ok_or(ReadingError::NoCatalog(readings.catalog))?;
        let mut values = listing.references.to_vec();
        let mut time = readings.time;
        for reading in readings {
            reading.apply(&listing.references, &mut values).map_err(ReadingError::Decode)?;
            time = reading.time;
            rows.times.push(time);
            rows.values.extend_from_slice(&values);
        }
        rows.listing = Some(Arc::clone(&listing));
        // What comes from the backlog is for the history: it says how it was, not how it is.
        if envelope.sending == Sending::Again {
            return Ok(Reading::Older);
        }
        let mut events = Vec::new();
        if let Some(before) = &mut self.latest {
            if before.seq > envelope.seq {
                return Ok(Reading::Older);
            }
            // The list itself, not its number: one that was forgotten may come back with other series.
            if Arc::ptr_eq(&before.listing, &listing) {
                events = std::mem::take(&mut before.events);
                events.retain(|&(_, seq)| seq > envelope.seq);
                for &(at, _) in &events {
                    values[at] = before.values[at];
                }
            }
        }
        let time_ms = dated(time, true, now.utc_ms);
        self.dated_here = !matches!(time, Time::Utc { ms } if time_ms == Some(ms));
        self.latest = Some(Latest { listing, values, time_ms, seq: envelope.seq, events });
        Ok(Reading::Latest)
    }

    /// Takes a sample that an event carries.
    pub(super) fn sample(
        &mut self,
        envelope: &Envelope,
        (catalog, series, value): (u32, u32, Value),
    ) -> Result<Reading, ReadingError> {
        let listing = self.listing(catalog).ok_or(ReadingError::NoCatalog(catalog))?;
        let at = series as usize;
        if at >= listing.len() {
            return Err(ReadingError::Decode(DecodeError::Malformed("series beyond the catalog")));
        }
        let latest = self.latest.as_mut().filter(|latest| Arc::ptr_eq(&latest.listing, &listing));
        let Some(latest) = latest.filter(|_| envelope.sending == Sending::First) else {
            // Old; or readings of this catalog are on their way and bring the value with them.
            return Ok(Reading::Older);
        };
        let newest = latest.events.iter().find(|event| event.0 == at).map_or(latest.seq, |event| event.1);
        if newest > envelope.seq {
            return Ok(Reading::Older);
        }
        latest.events.retain(|event| event.0 != at);
        latest.events.push((at, envelope.seq));
        latest.values[at] = value;
        Ok(Reading::Latest)
    }
}

impl About {
    pub(super) fn of(birth: &Birth<'_>) -> Self {
        Self {
            version: birth.version.into(),
            hostname: birth.hostname.into(),
            model: birth.model.into(),
            revision: birth.revision,
            os: birth.os.into(),
            kernel: birth.kernel.into(),
            arch: birth.arch.into(),
            tick_ms: birth.tick_ms,
            interval_ms: birth.interval_ms.max(birth.tick_ms),
            clock: birth.clock,
            spool: birth.spool,
            configuration: birth.config_revision,
            capabilities: birth.capabilities,
        }
    }
}

impl Latest {
    /// The number of the record that changed them last.
    pub fn seq(&self) -> u64 {
        self.events.iter().map(|event| event.1).fold(self.seq, u64::max)
    }

    /// The quantity of the series at this position, if it is known.
    pub fn quantity(&self, at: usize) -> Option<f64> {
        let entry = self.listing.series().get(at)?;
        self.values.get(at)?.known().map(|number| entry.scale.value(number))
    }

    /// The quantity of the one series of that name.
    pub fn quantity_of(&self, name: &str) -> Option<f64> {
        self.quantity(self.listing.position(name)?)
    }
}
