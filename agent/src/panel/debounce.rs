//! What a contact means, made of what it does: bouncing is no movement, and a contact that chatters means nothing.
//!
//! Pure: bursts of edges and moments in, changes out. A level counts once it has stood still for the contact's time; the change is then
//! dated to the first edge of the movement. A contact that does not come to rest, or moves more often than anybody could mean it,
//! is *unknown* until it has been calm for a second.
//!
//! Invariant: a level is told only if the contact was really at rest there. In doubt it is unknown, never the level before.
//!
//! ```text
//! edges   ──┐┌┐┌────────────      low at 0, 2, 5 ms
//! told      └ at 35 ms: low since 0 ms (with a debounce of 30 ms)
//! ```

use super::pins::{Burst, Level};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A contact that has not come to rest for this long chatters; relays bounce for a few milliseconds.
const RESTLESS: Duration = Duration::from_millis(200);
/// The same for one that is given longer to come to rest, in multiples of that.
const RESTLESS_TIMES: u32 = 4;
/// More changes than this within [`FLAPPING`] are not meant; a tally may flash in a cut, a few times a second.
const CHANGES: usize = 20;
const FLAPPING: Duration = Duration::from_secs(2);
/// A contact that chattered is believed again after this long without an edge.
const CALM: Duration = Duration::from_secs(1);

/// What is told of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It did not come to rest yet, or cannot be read.
    Unknown,
    /// It chatters.
    Chatters,
    /// It is at rest.
    At(Level),
}

/// A change of what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Since when.
    pub at: Instant,
    /// What is told from then on.
    pub state: State,
}

/// One contact.
#[derive(Debug)]
pub struct Debounce {
    rest: Duration,
    state: State,
    /// The movement that has not come to rest.
    moving: Option<Burst>,
    /// The newest changes, the oldest first.
    changes: VecDeque<Instant>,
}

impl Debounce {
    /// A contact of which nothing is known, and which counts after `rest` without an edge.
    pub fn new(rest: Duration) -> Self {
        Self { rest, state: State::Unknown, moving: None, changes: VecDeque::new() }
    }

    /// What is told of it.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether nothing is to come of what it did so far.
    pub const fn is_at_rest(&self) -> bool {
        self.moving.is_none()
    }

    /// It moved. What had come of its movement before that is told.
    pub fn moved(&mut self, burst: Burst) -> Option<Change> {
        let before = self.step(burst.first);
        match &mut self.moving {
            Some(moving) => (moving.last, moving.level) = (moving.last.max(burst.last), burst.level),
            None => self.moving = Some(burst),
        }
        before
    }

    /// Its level as a glance shows it, edge or not: the first one, and one whose edge was missed, count as a movement.
    /// True if an edge was missed.
    pub fn seen(&mut self, level: Level, now: Instant) -> bool {
        if self.moving.is_some() || self.state == State::At(level) {
            return false;
        }
        self.moving = Some(Burst { first: now, last: now, level });
        matches!(self.state, State::At(_))
    }

    /// It cannot be read.
    pub fn lost(&mut self, now: Instant) -> Option<Change> {
        self.moving = None;
        self.tell(now, State::Unknown)
    }

    /// Tells what has come of its movement by `now`; again, until there is nothing more to tell.
    pub fn step(&mut self, now: Instant) -> Option<Change> {
        let moving = self.moving?;
        if now >= moving.last + self.quiet() {
            self.moving = None;
            if self.changes.len() >= CHANGES
                && moving.first.saturating_duration_since(self.changes[0]) < FLAPPING
                && self.state != State::Chatters
            {
                // It is looked at again when it has been calm.
                self.moving = Some(Burst { first: moving.last, ..moving });
                return self.tell(moving.first, State::Chatters);
            }
            let at = if self.state == State::Chatters { moving.last } else { moving.first };
            return self.tell(at, State::At(moving.level));
        }
        let restless = moving.last.saturating_duration_since(moving.first);
        if self.state != State::Chatters && restless >= RESTLESS.max(self.rest * RESTLESS_TIMES) {
            return self.tell(moving.first, State::Chatters);
        }
        None
    }

    /// When [`step`](Self::step) will have something to tell if it does not move again.
    pub fn deadline(&self) -> Option<Instant> {
        self.moving.map(|moving| moving.last + self.quiet())
    }

    fn quiet(&self) -> Duration {
        if self.state == State::Chatters { CALM.max(self.rest) } else { self.rest }
    }

    fn tell(&mut self, at: Instant, state: State) -> Option<Change> {
        if state == self.state {
            return None;
        }
        self.state = state;
        if self.changes.len() >= CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back(at);
        Some(Change { at, state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::panel::edges::Edges;
    use crate::panel::pins::{Input, Pull};
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);
    const REST: Duration = Duration::from_millis(30);

    /// A contact behind a board, at rest and high.
    struct Bench {
        start: Instant,
        edges: Edges,
        contact: Debounce,
        told: Vec<(u64, State)>,
    }

    impl Bench {
        fn new() -> Self {
            let mut bench = Self {
                start: Clock::now(),
                edges: Edges::of(&[Input { pin: 1, pull: Pull::Up, apart: REST }]),
                contact: Debounce::new(REST),
                told: Vec::new(),
            };
            bench.contact.seen(Level::High, bench.start);
            bench.look(100);
            assert_eq!(bench.told, [(0, State::At(Level::High))]);
            bench.told.clear();
            bench
        }

        fn edge(&mut self, at: u64, level: Level) {
            self.edges.edge(1, level, self.start + at as u32 * MS);
        }

        fn look(&mut self, at: u64) {
            let (start, now) = (self.start, self.start + at as u32 * MS);
            let told = |change: Change| ((change.at - start).as_millis() as u64, change.state);
            while let Some(burst) = self.edges.take(1) {
                self.told.extend(self.contact.moved(burst).map(told));
            }
            while let Some(change) = self.contact.step(now) {
                self.told.push(told(change));
            }
        }
    }

    #[test]
    fn bouncing_is_one_change_dated_to_its_first_edge() {
        let mut bench = Bench::new();
        for (at, level) in [(200, Level::Low), (202, Level::High), (205, Level::Low)] {
            bench.edge(at, level);
        }
        bench.look(206);
        assert_eq!(bench.contact.deadline(), Some(bench.start + 235 * MS));
        bench.look(234);
        assert_eq!(bench.told, []);
        bench.look(235);
        assert_eq!(bench.told, [(200, State::At(Level::Low))]);
        assert_eq!(bench.contact.deadline(), None);
    }

    #[test]
    fn a_spike_that_falls_back_is_nothing() {
        let mut bench = Bench::new();
        bench.edge(200, Level::Low);
        bench.edge(201, Level::High);
        bench.look(500);
        assert_eq!(bench.told, []);
    }

    #[test]
    fn a_press_that_nobody_looked_at_in_time_is_told_all_the_same() {
        let mut bench = Bench::new();
        bench.edge(200, Level::Low);
        bench.edge(300, Level::High);
        bench.look(2000);
        assert_eq!(bench.told, [(200, State::At(Level::Low)), (300, State::At(Level::High))]);
    }

    #[test]
    fn a_contact_that_chatters_at_1_khz_is_unknown_until_it_is_calm() {
        let mut bench = Bench::new();
        for at in 200..3200 {
            bench.edge(at, if at % 2 == 0 { Level::Low } else { Level::High });
            if at % 10 == 0 {
                bench.look(at);
            }
        }
        assert_eq!(bench.told, [(200, State::Chatters)]);
        bench.look(4198);
        assert_eq!(bench.contact.state(), State::Chatters);
        bench.look(4199);
        assert_eq!(bench.told, [(200, State::Chatters), (3199, State::At(Level::High))]);
    }

    #[test]
    fn a_contact_that_flaps_faster_than_anybody_means_is_unknown_too() {
        let mut bench = Bench::new();
        for step in 0..60 {
            bench.edge(200 + 40 * step, if step % 2 == 0 { Level::Low } else { Level::High });
            bench.look(200 + 40 * step + 35);
        }
        assert!(bench.told.len() <= CHANGES + 1, "{}", bench.told.len());
        assert_eq!(bench.contact.state(), State::Chatters);
        bench.look(5000);
        assert_eq!(bench.contact.state(), State::At(Level::High));
    }

    #[test]
    fn a_tally_that_flashes_in_a_cut_is_believed() {
        let mut bench = Bench::new();
        for step in 0..8 {
            bench.edge(200 + 200 * step, if step % 2 == 0 { Level::Low } else { Level::High });
            bench.look(200 + 200 * step + 100);
        }
        assert_eq!(bench.told.len(), 8);
    }

    #[test]
    fn a_missed_edge_is_found_by_a_glance() {
        let mut bench = Bench::new();
        let now = bench.start + 10_000 * MS;
        assert!(!bench.contact.seen(Level::High, now));
        assert!(bench.contact.seen(Level::Low, now));
        bench.look(10_030);
        assert_eq!(bench.told, [(10_000, State::At(Level::Low))]);
    }

    #[test]
    fn a_contact_that_cannot_be_read_is_unknown() {
        let mut bench = Bench::new();
        let now = bench.start + 500 * MS;
        assert_eq!(bench.contact.lost(now), Some(Change { at: now, state: State::Unknown }));
        assert_eq!(bench.contact.lost(now), None);
    }

    proptest! {
        /// Whatever a contact did, a second of calm later its level is told; and what is told never lies by more than a movement.
        #[test]
        fn a_level_is_told_only_of_a_contact_at_rest(steps in proptest::collection::vec((0_u64..80, any::<bool>()), 1..300)) {
            let mut bench = Bench::new();
            let (mut at, mut level, mut last) = (200, Level::High, 0);
            for (pause, look) in steps {
                at += pause;
                if look {
                    bench.look(at);
                    if let State::At(told) = bench.contact.state() && at >= last + 30 {
                        prop_assert_eq!(told, level, "at rest since {} ms", at - last);
                    }
                } else {
                    level = !level;
                    last = at;
                    bench.edge(at, level);
                }
            }
            bench.look(at + 1000);
            prop_assert_eq!(bench.contact.state(), State::At(level));
            prop_assert!(bench.told.windows(2).all(|two| two[0].0 <= two[1].0), "{:?}", bench.told);
        }
    }
}
