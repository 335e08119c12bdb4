//! Plays many schedules on all processors, and makes the first that fails as small as it gets.

use crate::schedule::{Op, Schedule};
use crate::truth::Outcome;
use crate::world;
use rackside_tests::clock;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Making a failure smaller ends after this.
const PATIENCE: Duration = Duration::from_mins(1);

/// Many schedules.
#[derive(Debug)]
pub(crate) struct Search;

/// One that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    seed: u64,
    ops: usize,
    smallest: Schedule,
    why: String,
}

impl Search {
    /// Plays the schedules of these seeds. What became of all samples together; or the first failure, made small.
    pub(crate) fn over(seeds: Range<u64>) -> Result<Outcome, Box<Failure>> {
        let next = AtomicU64::new(seeds.start);
        let failed: Mutex<Option<u64>> = Mutex::new(None);
        let total = Mutex::new(Outcome::default());
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::SeqCst);
                        if seed >= seeds.end {
                            return;
                        }
                        if let Ok(outcomes) = quietly(&Schedule::random(seed)) {
                            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                            for outcome in outcomes {
                                *total += outcome;
                            }
                        } else {
                            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(seed);
                            next.store(seeds.end, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.map_or(Ok(total), |seed| Err(Box::new(Failure::of(seed))))
    }
}

/// Plays one in a directory of its own; a panic is a failure too.
pub(crate) fn quietly(schedule: &Schedule) -> Result<Vec<Outcome>, String> {
    let directory = directory();
    let played = catch_unwind(AssertUnwindSafe(|| world::play(schedule, directory.path())));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// In memory where there is such a place: thousands of databases are made and thrown away, none is to outlast a power cut.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).expect("a temporary directory")
}

impl Failure {
    fn of(seed: u64) -> Self {
        let whole = Schedule::random(seed);
        let why = quietly(&whole).expect_err("it failed a moment ago, and nothing in it is left to chance");
        let ops = whole.ops.len();
        let mut failure = Self { seed, ops, smallest: whole, why };
        let end = clock::now() + PATIENCE;
        while failure.shrink(end) && clock::now() < end {}
        failure
    }

    /// Leaves out what can be left out, many operations at first. Says whether anything could.
    fn shrink(&mut self, end: Instant) -> bool {
        let before = self.smallest.ops.len();
        let mut width = before.div_ceil(2);
        while width > 0 {
            let mut at = 0;
            while at < self.smallest.ops.len() && clock::now() < end {
                let mut fewer = self.smallest.clone();
                fewer.ops.drain(at..(at + width).min(fewer.ops.len()));
                if !self.fails(fewer) {
                    at += width;
                }
            }
            width /= 2;
        }
        for at in (1..self.smallest.ops.len()).rev() {
            if let [Op::Wait(first), Op::Wait(second)] = self.smallest.ops[at - 1..=at] {
                let mut fewer = self.smallest.clone();
                fewer.ops.splice(at - 1..=at, [Op::Wait(first + second)]);
                self.fails(fewer);
            }
        }
        self.smallest.ops.len() < before
    }

    fn fails(&mut self, fewer: Schedule) -> bool {
        match quietly(&fewer) {
            Err(error) => {
                (self.smallest, self.why) = (fewer, error);
                true
            }
            Ok(_) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, ops, smallest, why } = self;
        writeln!(f, "seed {seed} fails; RACKSIDE_SEED={seed} plays it again")?;
        writeln!(f, "{} of its {ops} operations are enough: {why}", smallest.ops.len())?;
        write!(f, "{smallest:?}")
    }
}
