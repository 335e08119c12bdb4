//! Who answers for which record of one agent: what came, what is lost, and what the agent is told of it.
//!
//! By run: an interval set of numbers. A run that is first heard of at `floor` starts there: what lies below is not lost,
//! the hub was not asked to take it. Until history is on disk, "safe" means that the fleet holds it.

use crate::clock::Now;
use rackside_history::{Entry, Seqs};
use rackside_proto::{Ack, Envelope, Run, Safe, Want, limits};
use std::time::{Duration, Instant};

/// Most runs that are kept; the one that was heard of least lately goes first.
const RUNS: usize = 32;
/// Most catalogs that are asked for at once.
const WANTS: usize = limits::PAIRS - 1;
/// Most catalogs that are known to be lacking; the one that was lacking first is forgotten first.
const LACKING: usize = 64;
/// A catalog that did not come for so long is never going to: an agent that is asked sends it within seconds...
const GIVE_UP_AFTER: Duration = Duration::from_mins(10);
/// ...and has heard the question at least once of so many times.
const GIVE_UP_ASKED: u32 = 4;
/// No agent holds so many records; a floor that far above a record's number is garbage.
pub(super) const FLOOR_AHEAD: u64 = 1 << 32;
/// No run gets this far: a record each microsecond for 285 years.
pub(super) const SEQ_END: u64 = 1 << 53;

/// The account of one agent.
#[derive(Debug, Default)]
pub struct Custody {
    /// The most lately heard of last.
    runs: Vec<(Run, Seqs)>,
    lacking: Vec<Lacking>,
    /// Whether the birth of the shown run is missing.
    pub wants_birth: bool,
    /// Records that came since the last ack.
    pub since_ack: u32,
    /// When an ack is due, if one is.
    pub ack_due: Option<Instant>,
    /// When its next verdict is due, if one is.
    pub verdict_due: Option<Instant>,
    /// Records taken, each once.
    pub records: u64,
    /// Records that came again.
    pub duplicates: u64,
    /// Records that the agent let go before the hub had them, or whose catalog never came.
    pub lost: u64,
}

/// A catalog that data are waiting for.
#[derive(Debug)]
struct Lacking {
    run: Run,
    number: u32,
    since: Instant,
    asked: u32,
    /// Whether the next ack asks for it.
    ask: bool,
}

impl Custody {
    /// The account of `run`, opened at `floor` if there is none; and whether it was opened now.
    fn account(&mut self, run: Run, floor: u64) -> (&mut Seqs, bool) {
        let known = self.runs.iter().position(|(known, _)| *known == run);
        let account = known.map_or_else(
            || {
                let mut seqs = Seqs::default();
                seqs.fill_below(floor);
                (run, seqs)
            },
            |at| self.runs.remove(at),
        );
        if self.runs.len() >= RUNS {
            self.runs.remove(0);
        }
        self.runs.push(account);
        (&mut self.runs.last_mut().expect("pushed just now").1, known.is_none())
    }

    /// Whether the record is accounted for already.
    pub fn has(&self, envelope: &Envelope) -> bool {
        self.runs.iter().any(|(run, seqs)| *run == envelope.run && seqs.contains(envelope.seq))
    }

    /// Takes a record that is understood. What is below its floor and was not taken is lost.
    pub fn take(&mut self, envelope: &Envelope) -> Entry {
        let (seqs, opened) = self.account(envelope.run, envelope.floor);
        let entry = match seqs.insert(envelope.seq) {
            // A catalog that is sent once more lies below the floor at which the account begins.
            Entry::Duplicate if opened => Entry::New,
            entry => entry,
        };
        match entry {
            Entry::New => self.records += 1,
            Entry::Duplicate => self.duplicates += 1,
            Entry::Full => {}
        }
        self.since_ack += 1;
        self.floor(envelope.run, envelope.floor);
        entry
    }

    /// The agent holds nothing of `run` below `floor` any more.
    pub fn floor(&mut self, run: Run, floor: u64) -> u64 {
        let lost = self.account(run, floor).0.fill_below(floor);
        self.lost = self.lost.saturating_add(lost);
        lost
    }

    /// Data came whose catalog is not known: it is asked for. Says whether that has been in vain for so long that the
    /// agent cannot have it any more.
    pub fn want(&mut self, run: Run, number: u32, now: Instant) -> bool {
        if let Some(known) = self.lacking.iter_mut().find(|known| (known.run, known.number) == (run, number))
        {
            known.ask = true;
            return known.asked >= GIVE_UP_ASKED
                && now.saturating_duration_since(known.since) >= GIVE_UP_AFTER;
        }
        if self.lacking.len() >= LACKING {
            self.lacking.remove(0);
        }
        self.lacking.push(Lacking { run, number, since: now, asked: 0, ask: true });
        false
    }

    /// A catalog came, or the hub has no room for it: either way its agent has it.
    pub fn has_catalog(&mut self, run: Run, number: u32) {
        self.lacking.retain(|known| (known.run, known.number) != (run, number));
    }

    /// A record that will never be understood is lost, and acked past. Says how many that were: none if it was
    /// accounted for already.
    pub fn give_up(&mut self, envelope: &Envelope) -> u64 {
        let (seqs, _) = self.account(envelope.run, envelope.floor);
        let lost = u64::from(seqs.insert(envelope.seq) == Entry::New);
        self.lost = self.lost.saturating_add(lost);
        lost
    }

    /// What the agent is told now. What is asked for is asked for once; data that lack it ask again.
    pub fn ack(&mut self, history: u64, now: Now) -> Ack {
        let safe = self.runs.iter().rev().take(limits::PAIRS);
        let safe = safe.map(|(run, seqs)| Safe { run: *run, below: seqs.first_missing() }).collect();
        let birth = self.wants_birth.then_some(Want::Birth);
        let due = self.lacking.iter_mut().filter(|known| known.ask).take(WANTS);
        let catalogs = due.map(|known| {
            (known.ask, known.asked) = (false, known.asked.saturating_add(1));
            Want::Catalog { run: known.run, number: known.number }
        });
        let wants = birth.into_iter().chain(catalogs).collect();
        (self.ack_due, self.since_ack) = (None, 0);
        Ack { history, time_ms: now.utc_ms, safe, wants }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_proto::Sending;

    fn record(seq: u64, floor: u64) -> Envelope {
        Envelope { run: Run(1), seq, floor, sending: Sending::First }
    }

    fn below(custody: &mut Custody) -> u64 {
        custody.ack(0, crate::clock::now()).safe[0].below
    }

    #[test]
    fn a_run_first_heard_of_at_a_floor_has_lost_nothing() {
        let mut custody = Custody::default();
        assert_eq!(custody.take(&record(57, 50)), Entry::New);
        assert_eq!((custody.lost, below(&mut custody)), (0, 50));
    }

    #[test]
    fn what_the_hub_lacks_below_a_rising_floor_is_lost_and_acked_past() {
        let mut custody = Custody::default();
        custody.take(&record(0, 0));
        custody.take(&record(3, 0));
        assert_eq!(below(&mut custody), 1);
        custody.take(&record(9, 5));
        assert_eq!((custody.lost, below(&mut custody)), (3, 5));
        custody.take(&record(10, 5));
        assert_eq!(custody.lost, 3, "counted once");
    }

    #[test]
    fn a_record_below_its_own_floor_is_not_lost() {
        let mut custody = Custody::default();
        custody.take(&record(0, 0));
        assert_eq!(custody.take(&record(1, 4)), Entry::New);
        assert_eq!(custody.lost, 2);
    }

    #[test]
    fn a_floor_that_falls_back_changes_nothing() {
        let mut custody = Custody::default();
        custody.take(&record(9, 9));
        custody.take(&record(10, 3));
        assert_eq!((custody.lost, below(&mut custody)), (0, 11));
    }

    #[test]
    fn an_ack_names_at_most_eight_runs_the_latest_first() {
        let mut custody = Custody::default();
        for run in 0..40 {
            custody.take(&Envelope { run: Run(run), ..record(0, 0) });
        }
        let ack = custody.ack(0, crate::clock::now());
        let runs: Vec<_> = ack.safe.iter().map(|safe| safe.run.0).collect();
        assert_eq!(runs, [39, 38, 37, 36, 35, 34, 33, 32]);
        assert_eq!(custody.runs.len(), RUNS);
    }

    #[test]
    fn a_flood_of_unknown_catalogs_is_asked_for_in_parts() {
        let mut custody = Custody { wants_birth: true, ..Custody::default() };
        for number in 0..100 {
            custody.want(Run(1), number, crate::clock::now().instant);
        }
        let ack = custody.ack(0, crate::clock::now());
        assert_eq!(ack.wants.len(), limits::PAIRS);
        assert!(ack.wants.contains(&Want::Birth));
        assert_eq!(custody.lacking.len(), LACKING);
    }
}
