//! When a configuration of the hub's is tried, kept and taken back. Pure: time and what is heard of the hub go in, steps come out.
//!
//! A trial begins only while the hub answers, since else its silence would say nothing about the configuration. It ends well with the first answer that
//! comes [`settle`](Patience::settle) later or more: by then a connection that was lost is known to be lost. So that there is an answer also where
//! readings are rare, the hub is asked for one.

use super::Handed;
use std::time::{Duration, Instant};

/// How long a trial takes.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// An answer that comes earlier says nothing.
    pub settle: Duration,
    /// From one question to the next.
    pub ask: Duration,
    /// The hub has so long.
    pub end: Duration,
}

impl Default for Patience {
    /// Longer than the 7 s after which a silent connection is gone; and what `docs/join.md` promises.
    fn default() -> Self {
        Self { settle: Duration::from_secs(10), ask: Duration::from_mins(1), end: Duration::from_mins(5) }
    }
}

/// What is heard of the hub.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// Whether it answers on this connection.
    pub answers: bool,
    /// Its newest answer.
    pub at: Option<Instant>,
}

/// What a revision that came is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It is tried when the hub is heard.
    New,
    /// It is known, or older than what is.
    Old,
    /// This one, or a later one, was tried or looked at in vain, and nobody was told in this run.
    Failed,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Check it, write it down, run on it; then say [`tries`](Course::tries) or [`failed`](Course::failed).
    Begin(Handed),
    /// Have the hub say something.
    Ask,
    /// It counts from now on.
    Keep(u32),
    /// The former one counts again.
    RollBack(u32),
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Idle,
    /// Being checked and written.
    Begun(u32),
    Trial {
        revision: u32,
        since: Instant,
        ask: Instant,
    },
}

/// How the hub's configuration stands.
#[derive(Debug, Default)]
pub struct Course {
    /// The revision that counts; 0 for none.
    counts: u32,
    /// The newest that was given up.
    failed: u32,
    /// The newest of these that the hub was told of.
    told: u32,
    stage: Stage,
    next: Option<Handed>,
    patience: Patience,
}

impl Course {
    /// With what the disk knows: which revision counts, and which was the newest to be given up.
    pub fn new(counts: u32, failed: u32, patience: Patience) -> Self {
        Self { counts, failed, patience, ..Self::default() }
    }

    /// The revision that counts; 0 for none.
    pub const fn counts(&self) -> u32 {
        self.counts
    }

    /// The newest revision that was given up; 0 for none.
    pub const fn given_up(&self) -> u32 {
        self.failed
    }

    /// The revision on trial, and until when.
    pub fn trial(&self) -> Option<(u32, Instant)> {
        match self.stage {
            Stage::Trial { revision, since, .. } => Some((revision, since + self.patience.end)),
            Stage::Idle | Stage::Begun(_) => None,
        }
    }

    /// A revision that waits for the hub to be heard.
    pub fn waits(&self) -> Option<u32> {
        self.next.as_ref().map(|next| next.revision)
    }

    /// A revision came. Of several that wait, the newest is tried.
    pub fn comes(&mut self, handed: Handed) -> Worth {
        let revision = handed.revision;
        let under_way = match self.stage {
            Stage::Begun(revision) | Stage::Trial { revision, .. } => revision,
            Stage::Idle => 0,
        };
        if revision > self.counts && revision <= self.failed && self.told < revision {
            self.told = revision;
            return Worth::Failed;
        }
        if revision <= self.counts.max(self.failed).max(under_way).max(self.waits().unwrap_or(0)) {
            return Worth::Old;
        }
        self.next = Some(handed);
        Worth::New
    }

    /// What is due now, one thing at a time.
    pub fn step(&mut self, heard: Heard, now: Instant) -> Option<Step> {
        match &mut self.stage {
            Stage::Idle if heard.answers => {
                let next = self.next.take()?;
                self.stage = Stage::Begun(next.revision);
                Some(Step::Begin(next))
            }
            Stage::Trial { revision, since, .. }
                if heard.at.is_some_and(|at| at >= *since + self.patience.settle) =>
            {
                self.counts = *revision;
                self.stage = Stage::Idle;
                Some(Step::Keep(self.counts))
            }
            Stage::Trial { revision, since, .. } if now >= *since + self.patience.end => {
                let revision = *revision;
                self.failed(revision);
                Some(Step::RollBack(revision))
            }
            Stage::Trial { ask, .. } if now >= *ask => {
                *ask = now + self.patience.ask;
                Some(Step::Ask)
            }
            Stage::Idle | Stage::Begun(_) | Stage::Trial { .. } => None,
        }
    }

    /// What was begun is run on.
    pub fn tries(&mut self, now: Instant) {
        if let Stage::Begun(revision) = self.stage {
            self.stage = Stage::Trial { revision, since: now, ask: now + self.patience.settle };
        }
    }

    /// It is given up, and the hub is told.
    pub fn failed(&mut self, revision: u32) {
        self.stage = Stage::Idle;
        (self.failed, self.told) = (self.failed.max(revision), self.told.max(revision));
    }

    /// Nothing of the hub's counts any more, or nothing that came later than joining.
    pub fn counts_not(&mut self) {
        self.counts = 0;
    }

    /// When [`step`](Self::step) has something to do, whatever is heard.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Trial { since, ask, .. } => Some(ask.min(since + self.patience.end)),
            Stage::Idle | Stage::Begun(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    struct Bench {
        course: Course,
        now: Instant,
        heard: Heard,
    }

    impl Bench {
        fn new(counts: u32, failed: u32) -> Self {
            let course = Course::new(counts, failed, Patience::default());
            Self { course, now: Clock::now(), heard: Heard { answers: false, at: None } }
        }

        fn comes(&mut self, revision: u32) -> Worth {
            self.course.comes(Handed { revision, text: "".into() })
        }

        fn answer(&mut self) {
            self.heard = Heard { answers: true, at: Some(self.now) };
        }

        /// What is done until then, each second being looked at; with the second at which it was.
        fn until(&mut self, seconds: u64) -> Vec<(u64, Step)> {
            let begin = self.now;
            let mut done = Vec::new();
            for second in 0..=seconds {
                self.now = begin + Duration::from_secs(second);
                done.extend(self.course.step(self.heard, self.now).map(|step| (second, step)));
            }
            done
        }

        /// A revision on trial.
        fn on_trial(revision: u32) -> Self {
            let mut bench = Self::new(revision - 1, 0);
            assert_eq!(bench.comes(revision), Worth::New);
            bench.answer();
            let begun = Step::Begin(Handed { revision, text: "".into() });
            assert_eq!(bench.until(0), [(0, begun)]);
            bench.course.tries(bench.now);
            bench
        }
    }

    #[test]
    fn a_trial_begins_once_the_hub_is_heard_and_not_before() {
        let mut bench = Bench::new(0, 0);
        bench.comes(1);
        bench.heard.at = Some(bench.now);
        assert_eq!((bench.until(600), bench.course.waits()), (vec![], Some(1)));
        bench.comes(2);
        bench.answer();
        assert_eq!(bench.until(0), [(0, Step::Begin(Handed { revision: 2, text: "".into() }))]);
        assert_eq!(bench.until(600), [], "it takes its time to be written");
        assert_eq!(bench.course.waits(), None, "the newest alone was tried");
    }

    #[test]
    fn the_first_answer_after_ten_seconds_keeps_it() {
        let mut bench = Bench::on_trial(3);
        bench.now += Duration::from_secs(9);
        bench.answer();
        assert_eq!(bench.until(0), [], "that may have been on its way");
        bench.now += Duration::from_secs(1);
        assert_eq!(bench.until(0), [(0, Step::Ask)]);
        bench.answer();
        assert_eq!(bench.until(600), [(0, Step::Keep(3))]);
        assert_eq!((bench.course.counts(), bench.course.trial()), (3, None));
    }

    #[test]
    fn without_an_answer_it_is_taken_back_after_five_minutes() {
        let mut bench = Bench::on_trial(3);
        let asked = [10, 70, 130, 190, 250].map(|second| (second, Step::Ask));
        let done = bench.until(600);
        assert_eq!(done[..5], asked);
        assert_eq!(done[5..], [(300, Step::RollBack(3))]);
        assert_eq!((bench.course.counts(), bench.course.given_up()), (2, 3));
        bench.answer();
        assert_eq!(bench.comes(3), Worth::Old, "it was told of already");
        assert_eq!(bench.until(600), [], "and is not tried again");
        assert_eq!(bench.comes(4), Worth::New);
    }

    #[test]
    fn the_loop_is_woken_for_all_of_it() {
        let mut bench = Bench::on_trial(3);
        let (begin, mut seen) = (bench.now, Vec::new());
        while let Some(due) = bench.course.deadline() {
            bench.now = due;
            seen.push((due.duration_since(begin).as_secs(), bench.course.step(bench.heard, due)));
        }
        assert_eq!(seen.len(), 6);
        assert_eq!(seen[5], (300, Some(Step::RollBack(3))));
    }

    #[test]
    fn what_is_old_says_nothing() {
        let mut bench = Bench::new(5, 7);
        for old in [0, 1, 5] {
            assert_eq!(bench.comes(old), Worth::Old, "{old}");
        }
        assert_eq!(bench.comes(6), Worth::Failed, "a hub from a backup does not know of 7");
        assert_eq!((bench.comes(7), bench.comes(7)), (Worth::Failed, Worth::Old), "told once a run");
        assert_eq!(bench.comes(6), Worth::Old);
        assert_eq!((bench.comes(9), bench.comes(9), bench.comes(8)), (Worth::New, Worth::Old, Worth::Old));
        let mut bench = Bench::on_trial(3);
        assert_eq!((bench.comes(3), bench.comes(2)), (Worth::Old, Worth::Old), "it is on trial");
    }

    #[test]
    fn a_newer_one_waits_for_the_end_of_the_trial() {
        let mut bench = Bench::on_trial(3);
        assert_eq!(bench.comes(4), Worth::New);
        bench.now += Duration::from_secs(12);
        bench.answer();
        let done: Vec<Step> = bench.until(1).into_iter().map(|(_, step)| step).collect();
        assert_eq!(done, [Step::Keep(3), Step::Begin(Handed { revision: 4, text: "".into() })]);
        bench.course.failed(4);
        assert_eq!((bench.course.counts(), bench.until(600)), (3, vec![]));
    }
}
