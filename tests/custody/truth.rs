//! What really happened to one appliance, and what its history must therefore say.
//!
//! Every sample of the counter is noted as it is made: its number, when that was in truth, what date its agent gave it, which
//! records it may be in. In the end each must be in the history once, unless the promise excludes it: the unacked tail of a
//! run that was killed, what the agent dropped for want of room or found damaged (counted by itself), what was committed
//! after the backup that the hub was restored from, and what nobody can date yet.

use crate::ledger::{Ledger, Number};
use crate::moment::Virtual;
use rackside_agent::clock::Moment;
use rackside_proto::{Run, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{AddAssign, Range};
use std::time::{Duration, Instant};

/// What a run may lose when it is killed: `spill_after`, 30 s by default, and as much again when acks crawl.
const TAIL: Duration = Duration::from_mins(1);
/// On a line that costs money, what was collected for a record besides.
const TOGETHER: Duration = Duration::from_mins(1);
/// A live record is so fresh when it is sent, and so long under way, at most: what a date by the hub's clock may be late.
const LATE_MS: u64 = 15_000;
/// 2026-01-01: no date is earlier.
const EARLIEST_MS: u64 = 1_767_225_600_000;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By SIGKILL or with the power.
    Killed,
    /// By SIGTERM, with a disk to write to.
    Stopped,
}

/// One sample of the counter.
#[derive(Debug, Clone)]
struct Made {
    number: i64,
    run: Run,
    /// It is in one of these records; in none as long as it is collected only.
    seqs: Range<u64>,
    instant: Instant,
    true_ms: u64,
    /// As the agent dated it.
    time: Time,
}

/// One run of the agent.
#[derive(Debug)]
struct Started {
    run: Run,
    /// Whether it had a disk that took everything, all the time.
    disk: bool,
    ended: Option<(Ending, Instant)>,
    next: u64,
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    made: Vec<Made>,
    runs: Vec<Started>,
    /// How many records the agent counted as dropped, or found missing.
    excused: u64,
    /// Whether the disk fails in the next run.
    fails_next: bool,
    /// Whether its disk turned bits over.
    rotten: bool,
    /// For how long readings are collected.
    together: Duration,
    over: bool,
}

impl Truth {
    /// Nothing has happened yet.
    pub(crate) fn new(metered: bool) -> Self {
        let together = if metered { TOGETHER } else { Duration::ZERO };
        Self { together, ..Self::default() }
    }

    /// Nothing more is to be made.
    pub(crate) fn end(&mut self) {
        self.over = true;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// The agent found so many records missing among those of earlier runs.
    pub(crate) fn found_missing(&mut self, records: u64) {
        self.excused += records;
    }

    /// The agent starts.
    pub(crate) fn started(&mut self, run: Run, disk: bool) {
        let disk = disk && !std::mem::take(&mut self.fails_next);
        self.runs.push(Started { run, disk, ended: None, next: 0 });
    }

    /// The disk takes nothing, now or at some time in this run, or in the next if none is under way.
    pub(crate) fn has_no_disk(&mut self) {
        match self.runs.last_mut().filter(|run| run.ended.is_none()) {
            Some(run) => run.disk = false,
            None => self.fails_next = true,
        }
    }

    /// Whether bits of its disk turned over.
    pub(crate) fn is_rotten(&self) -> bool {
        self.rotten
    }

    /// Bits of the disk turned over: what becomes of its records is not known.
    pub(crate) fn rots(&mut self) {
        self.rotten = true;
    }

    /// So many records were dropped since the agent started, by its own count.
    pub(crate) fn dropped(&mut self, records: u64) {
        self.excused += records;
    }

    /// The agent ended.
    pub(crate) fn ended(&mut self, ending: Ending, now: Virtual) {
        let run = self.runs.last_mut().expect("it had started");
        run.ended = Some((ending, now.instant));
    }

    /// A sample was made, in one of these records.
    pub(crate) fn made(&mut self, seqs: Range<u64>, number: i64, moment: &Moment, now: Virtual) {
        let run = self.runs.last_mut().expect("it had started");
        run.next = seqs.end;
        let (run, time) = (run.run, moment.time());
        self.made.push(Made { number, run, seqs, instant: now.instant, true_ms: now.true_ms, time });
    }

    /// A reading was taken. What becomes of it is told by [`kept`](Self::kept).
    pub(crate) fn read(&mut self, number: i64, moment: &Moment, now: Virtual) {
        let next = self.runs.last().expect("it had started").next;
        self.made(next..next, number, moment, now);
    }

    /// What was read in this run is in one of these records, if it was in none: all but the newest readings, which are `collected`.
    pub(crate) fn kept(&mut self, seqs: Range<u64>, collected: usize) {
        let run = self.runs.last_mut().expect("it had started");
        run.next = seqs.end;
        let run = run.run;
        let of_run = self.made.iter_mut().rev().take_while(|made| made.run == run);
        for made in of_run.filter(|made| made.seqs.is_empty()).skip(collected) {
            made.seqs = seqs.clone();
        }
    }

    /// Whether the newest sample is of this very millisecond.
    pub(crate) fn has_sample_at(&self, now: Virtual) -> bool {
        self.made.last().is_some_and(|made| made.true_ms == now.true_ms)
    }

    /// The runs, with the number that the next record of each would have.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (Run, u64)> + '_ {
        self.runs.iter().map(|run| (run.run, run.next))
    }

    /// Whether the promise excludes a record that was made at `instant` in this run, for the run's end.
    fn is_tail(&self, run: Run, made: Instant) -> bool {
        let Some(run) = self.runs.iter().find(|started| started.run == run) else { return false };
        match run.ended {
            Some((Ending::Killed, at)) => !run.disk || made + TAIL + self.together >= at,
            Some((Ending::Stopped, _)) => !run.disk,
            None => false,
        }
    }

    /// Holds the samples that the history has against what was made. Until the hub has maintained it, records whose boot was
    /// dated only after they came may still be without a date.
    pub(crate) fn check(
        &self,
        agent: usize,
        history: &[(u64, Option<i64>)],
        ledger: &Ledger,
        is_maintained: bool,
    ) -> Result<Outcome, String> {
        let by_number: BTreeMap<i64, &Made> = self.made.iter().map(|made| (made.number, made)).collect();
        let mut found = BTreeMap::new();
        let mut last: BTreeMap<Run, (u64, i64)> = BTreeMap::new();
        for &(ms, value) in history {
            let number = value.ok_or_else(|| format!("the counter has a gap at {ms}, and never had one"))?;
            let made =
                by_number.get(&number).ok_or_else(|| format!("sample {number} at {ms} was never made"))?;
            if let Some(before) = found.insert(number, ms) {
                return Err(format!("sample {number} is there twice, at {before} and at {ms}"));
            }
            if ms < EARLIEST_MS {
                return Err(format!("sample {number} is dated {ms}, before 2026"));
            }
            if ledger.is_doubtful(agent, made.run, made.seqs.clone(), made.time) {
                continue;
            }
            made.check_date(ms)?;
            let before = last.insert(made.run, (ms, number));
            if let Some((before, higher)) = before.filter(|(_, higher)| *higher > number)
                && (!made.has_no_date() || by_number[&higher].has_no_date())
            {
                return Err(format!(
                    "history runs backwards in run {}: sample {higher} is at {before}, {number} at {ms}",
                    made.run
                ));
            }
        }
        self.explain(agent, &found, ledger, is_maintained)
    }

    /// What is missing, and why.
    fn explain(
        &self,
        agent: usize,
        found: &BTreeMap<i64, u64>,
        ledger: &Ledger,
        is_maintained: bool,
    ) -> Result<Outcome, String> {
        let mut outcome = Outcome { found: found.len(), ..Outcome::default() };
        let mut unexplained = Vec::new();
        for made in self.made.iter().filter(|made| !found.contains_key(&made.number)) {
            let any =
                |test: &dyn Fn(Number) -> bool| made.seqs.clone().any(|seq| test((agent, made.run, seq)));
            if ledger.is_doubtful(agent, made.run, made.seqs.clone(), made.time) {
                outcome.misdated += 1;
            } else if !made.seqs.is_empty() && made.seqs.clone().all(|seq| ledger.has((agent, made.run, seq)))
            {
                let Time::Boot { boot, .. } = made.time else {
                    return Err(format!("{made:?} was committed and is not in the history"));
                };
                if is_maintained && ledger.is_dated(agent, boot) {
                    return Err(format!(
                        "{made:?} was committed, its boot is dated, it is not in the history"
                    ));
                }
                outcome.undated += 1;
            } else if any(&|number| ledger.was_restored_away(number)) {
                outcome.restored_away += 1;
            } else if self.is_tail(made.run, made.instant) {
                outcome.tail += 1;
            } else {
                unexplained.push(made);
            }
        }
        outcome.dropped = unexplained.len();
        // Readings that were collected are gone with one record.
        let records: BTreeSet<_> =
            unexplained.iter().map(|made| (made.run, made.seqs.start, made.seqs.end)).collect();
        if records.len() as u64 > self.excused && !self.rotten {
            return Err(format!(
                "{} records are missing that nothing explains, the agent counted {} as dropped or missing; the first: {:?}",
                records.len(),
                self.excused,
                unexplained.first()
            ));
        }
        Ok(outcome)
    }
}

impl Made {
    /// Whether its agent did not know the time. The hub dates it by when it came, which is late by its way; so the sample
    /// after it may seem to be ahead of it, once, if NTP arrived between the two.
    const fn has_no_date(&self) -> bool {
        matches!(self.time, Time::Boot { .. })
    }

    fn check_date(&self, ms: u64) -> Result<(), String> {
        let (number, truth) = (self.number, self.true_ms);
        let fits = match self.time {
            Time::Utc { .. } => ms == truth,
            Time::Boot { .. } => (truth.saturating_sub(1)..=truth + LATE_MS).contains(&ms),
        };
        let off = ms as i64 - truth as i64;
        if fits {
            Ok(())
        } else {
            Err(format!("sample {number}, written {:?}, is dated {off} ms off the truth", self.time))
        }
    }
}

/// What became of an appliance's samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// In the history.
    pub(crate) found: usize,
    /// Lost with a killed run.
    pub(crate) tail: usize,
    /// Committed after the backup that was restored.
    pub(crate) restored_away: usize,
    /// Dropped or damaged.
    pub(crate) dropped: usize,
    /// In the hub, with no date yet.
    pub(crate) undated: usize,
    /// Dated by a hub whose clock was wrong, and too old by that date.
    pub(crate) misdated: usize,
}

impl Outcome {
    /// The same, but that what was dated far into the past may have come of age.
    pub(crate) fn agrees_with(self, later: Self) -> bool {
        let aged = later.misdated.saturating_sub(self.misdated);
        later == Self { found: self.found.saturating_sub(aged), misdated: later.misdated, ..self }
    }
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.found += other.found;
        self.tail += other.tail;
        self.restored_away += other.restored_away;
        self.dropped += other.dropped;
        self.undated += other.undated;
        self.misdated += other.misdated;
    }
}
