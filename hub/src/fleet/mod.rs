//! The fleet: the latest value of every series of every appliance, and whether it is up.
//!
//! Not history, and not accounting: what is counted, lost or acked is `ingest`'s. No I/O and no clock. Appliances are
//! named by their slot, which never changes; slots are handed out in the order in which appliances were first heard of.
//!
//! Everything here is bounded: [`APPLIANCES`], runs per appliance, catalogs per run, [`SERIES`] over all.

mod appliance;
mod listing;
mod run;

pub use appliance::{Appliance, Heard, State};
use listing::Shapes;
pub use listing::{Entry, Listing, escape, is_of_the_hub};
pub use run::{About, Latest, Reading, ReadingError, RunState};

use crate::clock::Now;
use crate::query::{Feed, Rows};
use rackside_proto::{AgentName, Birth, Catalog, Envelope, Presence, Readings, Run, Sending, Time, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Most appliances.
pub const APPLIANCES: usize = 20_000;
/// Most series over all catalogs that are kept; about 250 bytes each.
pub const SERIES: usize = 2_000_000;
/// Most series over all catalogs of one appliance: four of the largest catalogs.
pub const SERIES_EACH: usize = 4 * rackside_proto::limits::SERIES;

/// There is no room for one more appliance or catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetFull;

/// An appliance came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Which.
    pub slot: usize,
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
}

/// All appliances.
#[derive(Debug, Default)]
pub struct Fleet {
    appliances: Vec<Appliance>,
    slots: HashMap<AgentName, usize>,
    series: usize,
    shapes: Shapes,
    layout: u64,
    changed: Vec<usize>,
    turns: Vec<Turn>,
    feed: Feed,
    /// Of the record that is being taken.
    rows: Rows,
}

impl Fleet {
    /// No appliances; what is heard of them goes to `feed` as well.
    pub fn new(feed: Feed) -> Self {
        Self { feed, ..Self::default() }
    }

    /// Where readings go.
    pub fn feed(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// The appliances, in the order of their slots.
    pub fn appliances(&self) -> &[Appliance] {
        &self.appliances
    }

    /// Those that somebody waits for: not retired.
    pub fn in_service(&self) -> impl Iterator<Item = &Appliance> {
        self.appliances.iter().filter(|appliance| appliance.retired_ms.is_none())
    }

    /// These are retired, and since when; all others are not. Returns those of which that is news.
    pub fn set_retired(&mut self, retired: &BTreeMap<AgentName, u64>, now: Now) -> Vec<AgentName> {
        let mut news = Vec::new();
        for slot in 0..self.appliances.len() {
            let appliance = &mut self.appliances[slot];
            let retired_ms = retired.get(&appliance.name).copied();
            if retired_ms.is_some() == appliance.retired_ms.is_some() {
                continue;
            }
            appliance.retired_ms = retired_ms;
            if retired_ms.is_some() {
                self.feed.retired(slot, &appliance.name, now);
            } else {
                self.feed.turned(slot, &appliance.name, appliance.state.is_up(), now);
            }
            news.push(appliance.name.clone());
            self.layout += 1;
            self.changed.push(slot);
        }
        news
    }

    /// The appliance of that name.
    pub fn find(&self, name: &AgentName) -> Option<&Appliance> {
        self.slots.get(name).map(|&slot| &self.appliances[slot])
    }

    /// The slot of the appliance of that name.
    pub fn slot(&self, name: &AgentName) -> Option<usize> {
        self.slots.get(name).copied()
    }

    /// The appliances, in the order of their names.
    pub fn by_name(&self) -> Vec<&Appliance> {
        let mut all: Vec<_> = self.appliances.iter().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Changes whenever an appliance comes or a catalog that is shown changes: what has been laid out along the
    /// catalogs is laid out anew then.
    pub fn layout(&self) -> u64 {
        self.layout
    }

    /// The slots whose view changed since this was last asked, each once.
    pub fn take_changed(&mut self) -> Vec<usize> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// Who came and who went since this was last asked, in order.
    pub fn take_turns(&mut self) -> Vec<Turn> {
        std::mem::take(&mut self.turns)
    }

    /// The slot of `name`, made if it is not known.
    pub fn open(&mut self, name: &AgentName, now: Now) -> Result<usize, FleetFull> {
        self.open_one(name, false, now)
    }

    fn open_one(&mut self, name: &AgentName, is_known: bool, now: Now) -> Result<usize, FleetFull> {
        if let Some(&slot) = self.slots.get(name) {
            return Ok(slot);
        }
        let slot = self.appliances.len();
        if slot >= APPLIANCES {
            return Err(FleetFull);
        }
        self.appliances.push(Appliance::new(name.clone(), now));
        self.slots.insert(name.clone(), slot);
        self.layout += 1;
        self.changed.push(slot);
        self.feed.opened(slot, name, is_known);
        Ok(slot)
    }

    /// Opens the slot of an appliance that is known from before the hub started.
    pub fn recollect(&mut self, name: &AgentName, last_ms: u64, now: Now) -> Result<usize, FleetFull> {
        let slot = self.open_one(name, true, now)?;
        self.appliances[slot].recollect(last_ms, now);
        Ok(slot)
    }

    /// Does something to an appliance, and minds what follows from it for the layout and for those who watch.
    fn change<T>(&mut self, slot: usize, now: Now, what: impl FnOnce(&mut Appliance) -> T) -> T {
        let appliance = &mut self.appliances[slot];
        let shape = |appliance: &Appliance| {
            appliance
                .shown()
                .map(|run| (run.run, run.latest.as_ref().map(|latest| Arc::as_ptr(&latest.listing))))
        };
        let (before, from) = (shape(appliance), appliance.state);
        let result = what(appliance);
        let to = appliance.state;
        if from.is_up() != to.is_up() {
            self.feed.turned_unless_retired(slot, appliance, now);
            self.turns.push(Turn { slot, from, to });
        }
        if shape(appliance) != before {
            self.layout += 1;
        }
        if self.changed.last() != Some(&slot) {
            self.changed.push(slot);
        }
        result
    }

    /// Takes a presence. `retained` says that a broker had kept it.
    pub fn presence(&mut self, slot: usize, presence: &Presence, retained: bool, now: Now) -> Heard {
        self.change(slot, now, |appliance| appliance.presence(presence, retained, now))
    }

    /// Takes what an agent says of itself; the catalog in it is taken by [`catalog`](Self::catalog).
    pub fn birth(&mut self, slot: usize, birth: &Birth<'_>, retained: bool, now: Now) {
        self.change(slot, now, |appliance| {
            appliance.run_mut(birth.run).about = Some(About::of(birth));
            if !retained {
                appliance.lives(birth.run, now);
            }
        });
    }

    /// Keeps a catalog, and says how many of its series are not served.
    pub fn catalog(&mut self, slot: usize, run: Run, catalog: &Catalog<'_>) -> Result<usize, FleetFull> {
        let appliance = &mut self.appliances[slot];
        if appliance.run(run).is_some_and(|state| state.has_listing(catalog.head.number)) {
            return Ok(0);
        }
        appliance.make_room(catalog.len(), SERIES_EACH);
        if self.series + catalog.len() > SERIES {
            // The sum so far does not know of catalogs that were let go.
            self.series = self.appliances.iter().map(Appliance::series_kept).sum();
            if self.series + catalog.len() > SERIES {
                return Err(FleetFull);
            }
        }
        self.series += catalog.len();
        let listing = Listing::of(&self.appliances[slot].name, catalog, &mut self.shapes);
        let ignored = listing.ignored;
        self.appliances[slot].run_mut(run).keep(listing);
        Ok(ignored)
    }

    /// Lets go of a catalog: it is not stored any more, and has to come again.
    pub fn forget_catalog(&mut self, slot: usize, run: Run, number: u32) {
        self.appliances[slot].run_mut(run).forget_listing(number);
    }

    /// Takes the readings of a record.
    pub fn readings(
        &mut self,
        slot: usize,
        envelope: &Envelope,
        readings: &Readings<'_>,
        now: Now,
    ) -> Result<Reading, ReadingError> {
        let mut rows = std::mem::take(&mut self.rows);
        let taken = self.change(slot, now, |appliance| {
            let taken = appliance.run_mut(envelope.run).readings(envelope, readings, &mut rows, now);
            appliance.heard_unless_garbage(envelope, taken, now)
        });
        if let Some(live) = self.counts(slot, envelope) {
            self.feed.readings(slot, &rows, live, now);
        }
        rows.clear();
        self.rows = rows;
        taken
    }

    /// Whether the values of a record are the appliance's, and whether they are live: a run beside the one that is shown is another machine, and of who is
    /// retired nobody wants to know any.
    fn counts(&self, slot: usize, envelope: &Envelope) -> Option<bool> {
        let appliance = &self.appliances[slot];
        let live = envelope.sending == Sending::First;
        let is_shown = || appliance.shown().is_some_and(|shown| shown.run == envelope.run);
        (appliance.retired_ms.is_none() && (!live || is_shown())).then_some(live)
    }

    /// Takes a sample that an event carries: catalog, position, value; and when that was.
    pub fn sample(
        &mut self,
        slot: usize,
        envelope: &Envelope,
        sample: (u32, u32, Value),
        time: Time,
        now: Now,
    ) -> Result<Reading, ReadingError> {
        let (number, position, value) = sample;
        let mut listing = None;
        let taken = self.change(slot, now, |appliance| {
            let run = appliance.run_mut(envelope.run);
            let taken = run.sample(envelope, sample);
            listing = run.listing(number);
            appliance.heard_unless_garbage(envelope, taken, now)
        });
        if let (Ok(_), Some(live), Some(listing)) = (&taken, self.counts(slot, envelope), listing) {
            self.feed.event(slot, &listing, (position, time, value), live, now);
        }
        taken
    }

    /// A record came that changes no value.
    pub fn heard(&mut self, slot: usize, envelope: &Envelope, now: Now) {
        self.change(slot, now, |appliance| appliance.heard(envelope, now));
    }

    /// Notices silence; called once a second or so.
    pub fn sweep(&mut self, now: Now) {
        for (slot, appliance) in self.appliances.iter_mut().enumerate() {
            let from = appliance.state;
            if appliance.sweep(now) {
                self.changed.push(slot);
            }
            let to = appliance.state;
            if from.is_up() != to.is_up() {
                self.feed.turned_unless_retired(slot, appliance, now);
            }
            if from != to {
                self.turns.push(Turn { slot, from, to });
            }
        }
    }

    /// How many appliances are up.
    pub fn up(&self) -> usize {
        self.in_service().filter(|appliance| appliance.state.is_up()).count()
    }
}

impl Appliance {
    /// A record came. From the backlog it is no sign of life.
    fn heard(&mut self, envelope: &Envelope, now: Now) {
        if envelope.sending == Sending::First {
            self.lives(envelope.run, now);
        } else {
            self.seen = now;
        }
    }

    fn heard_unless_garbage(
        &mut self,
        envelope: &Envelope,
        taken: Result<Reading, ReadingError>,
        now: Now,
    ) -> Result<Reading, ReadingError> {
        if !matches!(taken, Err(ReadingError::Decode(_))) {
            self.heard(envelope, now);
        }
        taken
    }
}

#[cfg(test)]
mod tests;
