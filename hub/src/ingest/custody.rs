//! Who answers for which record of one agent: what came, what is lost, and what the agent is told of it.
//!
//! By run: the set of numbers that were taken or are known to be lost, and which of them are not on the disk yet. An ack
//! ends before the first that is missing and before the first that is not on the disk, whichever comes first. A run that
//! nobody has an account of starts at the `floor` at which it is first heard of: what lies below is not lost, the hub was
//! not asked to take it.
//!
//! Invariant: a run with something that is not on the disk is never forgotten.

use crate::clock::Now;
use rackside_history::{Account, Entry, Seqs};
use rackside_proto::{Ack, AgentName, Envelope, Run, Safe, Want, limits};
use std::time::{Duration, Instant};

/// Most runs that are kept in memory; the one that was heard of least lately goes first, and is read again when needed.
const RUNS: usize = 32;
/// Most catalogs that are asked for at once.
const WANTS: usize = limits::PAIRS - 1;
/// Most catalogs that are known to be lacking; the one that was lacking first is forgotten first.
const LACKING: usize = 64;
/// Most catalogs that are known to be stored; the one that was stored first is forgotten first, and looked for again.
const STORED: usize = 64;
/// The history lets go of an old catalog that nothing uses, but not of one that is younger than an hour.
const STAYS: Duration = Duration::from_mins(30);
/// Most records at once that cannot be read.
const SPOILED: usize = 16;
/// A catalog that did not come for so long is never going to: an agent that is asked sends it within seconds...
const GIVE_UP_AFTER: Duration = Duration::from_mins(10);
/// ...and has heard the question at least once of so many times. The same goes for a record that cannot be read: what only
/// its way had spoiled would have come whole by then.
const GIVE_UP_ASKED: u32 = 4;
/// No agent holds so many records; a floor that far above a record's number is garbage.
pub(super) const FLOOR_AHEAD: u64 = 1 << 32;
/// No run gets this far: a record each microsecond for 285 years.
pub(super) const SEQ_END: u64 = 1 << 53;

/// The account of one agent.
#[derive(Debug, Default)]
pub struct Custody {
    /// The most lately heard of last.
    runs: Vec<Held>,
    lacking: Vec<Lacking>,
    /// Catalogs that were stored, or seen to be, and when.
    stored: Vec<(Run, u32, Instant)>,
    /// Records that cannot be read: since when, and how often they came.
    spoiled: Vec<(Run, u64, Instant, u32)>,
    /// Whether the birth of the shown run is missing.
    pub wants_birth: bool,
    /// Records that wait for the next batch.
    pub gathered: u32,
    /// When an ack is due, if one is.
    pub ack_due: Option<Instant>,
    /// When its next verdict is due, if one is.
    pub verdict_due: Option<Instant>,
    /// Whether it came up with a run of which it is not known yet whether it is a new one.
    pub is_back: bool,
    /// Its newest start that this hub has heard of.
    pub started: Option<(Run, Instant)>,
    /// Records taken, each once.
    pub records: u64,
    /// Records that came again.
    pub duplicates: u64,
    /// Records that the agent let go before the hub had them, whose catalog never came, or that can never be read.
    pub lost: u64,
}

/// What is accounted for of one run.
#[derive(Debug)]
struct Held {
    run: Run,
    /// Taken, or known to be lost.
    seqs: Seqs,
    lost: u64,
    /// Whether `lost` rose since the last batch.
    changed: bool,
    /// The lowest number that waits for the next batch.
    gathered: Option<u64>,
    /// The lowest number in the batch that is being written.
    flying: Option<u64>,
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

impl Held {
    /// The first number of which the agent is not told that it may go.
    fn below(&self) -> u64 {
        let waiting = self.gathered.into_iter().chain(self.flying);
        waiting.fold(self.seqs.first_missing(), u64::min)
    }

    fn is_on_disk(&self) -> bool {
        self.gathered.is_none() && self.flying.is_none() && !self.changed
    }
}

impl Custody {
    /// Whether there is an account of `run` in memory; it counts as heard of just now.
    pub fn knows(&mut self, run: Run) -> bool {
        self.account(run).is_some()
    }

    fn account(&mut self, run: Run) -> Option<&mut Held> {
        if self.runs.last().is_none_or(|last| last.run != run) {
            let at = self.runs.iter().position(|held| held.run == run)?;
            let held = self.runs.remove(at);
            self.runs.push(held);
        }
        self.runs.last_mut()
    }

    /// Opens the account of a run: what is stored of it, else empty and beginning at `floor`.
    pub fn open(&mut self, run: Run, floor: u64, stored: Option<Account>) {
        let (seqs, lost) = stored.map_or_else(
            || {
                let mut seqs = Seqs::default();
                seqs.fill_below(floor);
                (seqs, 0)
            },
            |account| (account.seqs, account.lost),
        );
        if self.runs.len() >= RUNS
            && let Some(at) = self.runs.iter().position(Held::is_on_disk)
        {
            self.runs.remove(at);
        }
        self.runs.push(Held { run, seqs, lost, changed: false, gathered: None, flying: None });
    }

    /// Whether the record is accounted for already.
    pub fn has(&self, envelope: &Envelope) -> bool {
        self.runs.iter().rev().any(|held| held.run == envelope.run && held.seqs.contains(envelope.seq))
    }

    /// Takes a record whose account is open; it waits for the next batch.
    pub fn take(&mut self, envelope: &Envelope) -> Entry {
        let Some(held) = self.account(envelope.run) else { return Entry::Full };
        let entry = held.seqs.insert(envelope.seq);
        if entry == Entry::New {
            held.gathered = Some(held.gathered.map_or(envelope.seq, |low| low.min(envelope.seq)));
            self.gathered += 1;
            self.records += 1;
        }
        entry
    }

    /// The agent holds nothing of `run` below `floor` any more: what of that never came is lost. Says how much.
    pub fn floor(&mut self, run: Run, floor: u64) -> u64 {
        let lost = self.account(run).map_or(0, |held| held.seqs.fill_below(floor));
        self.count_lost(run, lost)
    }

    /// A record that will never be understood is lost, and acked past. Says how many that were: none if it was
    /// accounted for already.
    pub fn give_up(&mut self, envelope: &Envelope) -> u64 {
        let entry = self.account(envelope.run).map(|held| held.seqs.insert(envelope.seq));
        self.count_lost(envelope.run, u64::from(entry == Some(Entry::New)))
    }

    fn count_lost(&mut self, run: Run, lost: u64) -> u64 {
        if lost > 0
            && let Some(held) = self.account(run)
        {
            held.lost = held.lost.saturating_add(lost);
            held.changed = true;
            self.lost = self.lost.saturating_add(lost);
        }
        lost
    }

    /// A record goes into the batch that is written now. The numbers that stay behind are told by
    /// [`stays`](Self::stays) afterwards.
    pub fn flies(&mut self, run: Run, seq: u64) {
        self.gathered = 0;
        if let Some(held) = self.account(run) {
            held.gathered = None;
            held.flying = Some(held.flying.map_or(seq, |low| low.min(seq)));
        }
    }

    /// A record waits for a later batch.
    pub fn stays(&mut self, run: Run, seq: u64) {
        self.gathered += 1;
        if let Some(held) = self.account(run) {
            held.gathered = Some(held.gathered.map_or(seq, |low| low.min(seq)));
        }
    }

    /// What was being written of `run` is on the disk, or is not being written any more.
    pub fn landed(&mut self, run: Run) {
        if let Some(held) = self.account(run) {
            held.flying = None;
        }
    }

    /// What is lost of `run` has to be written, again.
    pub fn changed(&mut self, run: Run) {
        if let Some(held) = self.account(run) {
            held.changed = true;
        }
    }

    /// The account of `run` for a batch, if it has to be in it: without the records that wait `behind` this batch, which
    /// the history would otherwise take for duplicates when they come.
    pub fn written(&mut self, agent: &AgentName, run: Run, behind: &[u64]) -> Option<Account> {
        let held = self.account(run).filter(|held| held.changed)?;
        held.changed = false;
        let mut seqs = held.seqs.clone();
        for &seq in behind {
            seqs.remove(seq);
        }
        Some(Account { agent: agent.clone(), run, seqs, lost: held.lost })
    }

    /// Whether a catalog is known to be lacking.
    pub fn lacks(&self, run: Run, number: u32) -> bool {
        self.lacking.iter().any(|known| (known.run, known.number) == (run, number))
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

    /// A catalog is put into a batch, or was seen in the history.
    pub fn stored(&mut self, run: Run, number: u32, now: Instant) {
        self.stored.retain(|known| (known.0, known.1) != (run, number));
        if self.stored.len() >= STORED {
            self.stored.remove(0);
        }
        self.stored.push((run, number, now));
    }

    /// Whether the history has a catalog for sure. If not, it has to be looked for.
    pub fn is_stored(&self, run: Run, number: u32, now: Instant) -> bool {
        let fresh = |at: Instant| now.saturating_duration_since(at) < STAYS;
        self.stored.iter().rev().any(|known| (known.0, known.1) == (run, number) && fresh(known.2))
    }

    /// A catalog came, or the hub has no room for it: either way its agent has it.
    pub fn has_catalog(&mut self, run: Run, number: u32) {
        self.lacking.retain(|known| (known.run, known.number) != (run, number));
    }

    /// A record came that cannot be read. Says whether it has come so often, for so long, that it will never be readable.
    pub fn is_spoiled(&mut self, envelope: &Envelope, now: Instant) -> bool {
        let is = |known: &(Run, u64, Instant, u32)| (known.0, known.1) == (envelope.run, envelope.seq);
        if let Some(known) = self.spoiled.iter_mut().find(|known| is(known)) {
            known.3 += 1;
            return known.3 >= GIVE_UP_ASKED && now.saturating_duration_since(known.2) >= GIVE_UP_AFTER;
        }
        if self.spoiled.len() >= SPOILED {
            self.spoiled.remove(0);
        }
        self.spoiled.push((envelope.run, envelope.seq, now, 1));
        false
    }

    /// What the agent is told now. What is asked for is asked for once; data that lack it ask again.
    pub fn ack(&mut self, history: u64, now: Now) -> Ack {
        let safe = self.runs.iter().rev().take(limits::PAIRS);
        let safe = safe.map(|held| Safe { run: held.run, below: held.below() }).collect();
        let birth = self.wants_birth.then_some(Want::Birth);
        let due = self.lacking.iter_mut().filter(|known| known.ask).take(WANTS);
        let catalogs = due.map(|known| {
            (known.ask, known.asked) = (false, known.asked.saturating_add(1));
            Want::Catalog { run: known.run, number: known.number }
        });
        let wants = birth.into_iter().chain(catalogs).collect();
        self.ack_due = None;
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

    /// Takes a record as ingest does, and has it written if so wanted.
    fn take(custody: &mut Custody, envelope: &Envelope, write: bool) -> Entry {
        if !custody.knows(envelope.run) {
            custody.open(envelope.run, envelope.floor, None);
        }
        let entry = custody.take(envelope);
        custody.floor(envelope.run, envelope.floor);
        if write && entry == Entry::New {
            custody.flies(envelope.run, envelope.seq);
            custody.landed(envelope.run);
        }
        entry
    }

    fn below(custody: &mut Custody) -> u64 {
        custody.ack(0, crate::clock::now()).safe[0].below
    }

    #[test]
    fn a_run_first_heard_of_at_a_floor_has_lost_nothing() {
        let mut custody = Custody::default();
        assert_eq!(take(&mut custody, &record(57, 50), true), Entry::New);
        assert_eq!((custody.lost, below(&mut custody)), (0, 50));
    }

    #[test]
    fn what_the_hub_lacks_below_a_rising_floor_is_lost_and_acked_past() {
        let mut custody = Custody::default();
        take(&mut custody, &record(0, 0), true);
        take(&mut custody, &record(3, 0), true);
        assert_eq!(below(&mut custody), 1);
        take(&mut custody, &record(9, 5), true);
        assert_eq!((custody.lost, below(&mut custody)), (3, 5));
        take(&mut custody, &record(10, 5), true);
        assert_eq!(custody.lost, 3, "counted once");
    }

    #[test]
    fn a_record_below_its_own_floor_is_not_lost() {
        let mut custody = Custody::default();
        take(&mut custody, &record(0, 0), true);
        assert_eq!(take(&mut custody, &record(1, 4), true), Entry::New);
        assert_eq!(custody.lost, 2);
    }

    #[test]
    fn a_floor_that_falls_back_changes_nothing() {
        let mut custody = Custody::default();
        take(&mut custody, &record(9, 9), true);
        take(&mut custody, &record(10, 3), true);
        assert_eq!((custody.lost, below(&mut custody)), (0, 11));
    }

    #[test]
    fn what_is_not_on_the_disk_is_not_acked_and_what_overtook_it_neither() {
        let mut custody = Custody::default();
        take(&mut custody, &record(0, 0), true);
        take(&mut custody, &record(1, 0), false);
        take(&mut custody, &record(2, 0), false);
        assert_eq!(below(&mut custody), 1);
        custody.flies(Run(1), 1);
        custody.stays(Run(1), 2);
        assert_eq!(below(&mut custody), 1, "being written is not written");
        custody.landed(Run(1));
        assert_eq!(below(&mut custody), 2);
        custody.flies(Run(1), 2);
        custody.landed(Run(1));
        assert_eq!(below(&mut custody), 3);
    }

    #[test]
    fn what_is_stored_of_a_run_goes_on_from_there() {
        let mut custody = Custody::default();
        let mut seqs = Seqs::default();
        seqs.fill_below(40);
        let agent = AgentName::new("arena-north", "rack-1").expect("ids");
        custody.open(Run(1), 50, Some(Account { agent: agent.clone(), run: Run(1), seqs, lost: 7 }));
        assert_eq!(custody.floor(Run(1), 50), 10, "the hub knew the run, so these were for it");
        let account = custody.written(&agent, Run(1), &[]).expect("it changed");
        assert_eq!((account.lost, account.seqs.first_missing()), (17, 50));
        assert!(custody.written(&agent, Run(1), &[]).is_none(), "once");
    }

    #[test]
    fn a_written_account_leaves_out_what_waits_for_a_later_batch() {
        let mut custody = Custody::default();
        custody.open(Run(1), 0, None);
        for seq in [0, 1, 4, 5] {
            custody.take(&record(seq, 0));
        }
        custody.floor(Run(1), 3);
        let agent = AgentName::new("arena-north", "rack-1").expect("ids");
        let account = custody.written(&agent, Run(1), &[4, 5]).expect("one is lost");
        let has = [0, 1, 2, 4, 5].map(|seq| account.seqs.contains(seq));
        assert_eq!((account.lost, has), (1, [true, true, true, false, false]));
    }

    #[test]
    fn an_ack_names_at_most_eight_runs_the_latest_first() {
        let mut custody = Custody::default();
        for run in 0..40 {
            take(&mut custody, &Envelope { run: Run(run), ..record(0, 0) }, true);
        }
        let ack = custody.ack(0, crate::clock::now());
        let runs: Vec<_> = ack.safe.iter().map(|safe| safe.run.0).collect();
        assert_eq!(runs, [39, 38, 37, 36, 35, 34, 33, 32]);
        assert_eq!(custody.runs.len(), RUNS);
    }

    #[test]
    fn a_run_with_something_that_waits_is_not_forgotten() {
        let mut custody = Custody::default();
        take(&mut custody, &record(0, 0), false);
        for run in 2..100 {
            take(&mut custody, &Envelope { run: Run(run), ..record(0, 0) }, true);
        }
        assert!(custody.has(&record(0, 0)));
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
