//! When to act on an output that is bad, and when to give up. Pure: words and times in, decisions out.
//!
//! Each [`Fault`] has a row of its own: what is frozen in one run and down in the next is neither twice in a row. Attempts, cooldown and the giving up are
//! the output's, whatever was wrong.
//!
//! Invariants: nothing is done about a fault that the probe's newest word does not name, or that anybody who watches the same does not see; on air nothing
//! is done on one word alone; there are never more attempts than `attempts` without the probe having been well for `reset` in between, nor two
//! within `cooldown`.
//!
//! ```text
//! down down · attempt 1 · down down (cooldown over) · attempt 2 · … · attempt 3 · down down (cooldown over) · given up
//! given up · well for `reset` · down down · attempt 1
//! ```

use super::fault::{Fault, Faults};
use std::fmt;
use std::time::{Duration, Instant};

/// So many runs in a row must have found it so: never on one look.
const RUNS: u32 = 2;

/// How patient it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most attempts.
    pub attempts: u32,
    /// From the end of one attempt to the next.
    pub cooldown: Duration,
    /// It must have been so for so long.
    pub after: Duration,
    /// Once it has been well for so long, attempts count anew.
    pub reset: Duration,
}

/// What a run of the probe says of its own target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It is as it should be.
    Well,
    /// That is wrong with it; at least one thing.
    Bad(Faults),
    /// Nobody can tell.
    Unknown,
}

/// What those say who watch the same output, as far as their words are fresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Others {
    /// Somebody sees that these are not so.
    pub good: Faults,
    /// Somebody says that these are so.
    pub bad: Faults,
}

impl Others {
    /// Whether somebody says the same. There is nothing to see or hear of what is down.
    const fn confirm(self, fault: Fault) -> bool {
        self.bad.has(fault) || self.bad.has(Fault::Down)
    }
}

/// How the site stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scene {
    /// On air, or not known not to be.
    pub on_air: bool,
    /// Somebody works on it.
    pub maintenance: bool,
    /// Nothing is to be done at this time of day, or nobody knows the time of day.
    pub quiet: bool,
}

/// What holds an attempt back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Another probe sees it work.
    Works,
    /// There is maintenance.
    Maintenance,
    /// It is a quiet time.
    Quiet,
    /// On air, and nobody else says so.
    Alone,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Works => "another probe sees the output work",
            Self::Maintenance => "there is maintenance",
            Self::Quiet => "it is a quiet time, or nobody knows the time",
            Self::Alone => "on air, and no second probe says so",
        })
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is due.
    Nothing,
    /// Something is due, and must not be done now.
    Hold(Held),
    /// This attempt, because of that; [`Core::done`] ends it.
    Act(u32, Fault),
    /// Everything was tried and it is still so: from now on nothing more.
    GiveUp(Fault),
}

/// One recovery.
#[derive(Debug)]
pub struct Core {
    limits: Limits,
    /// Of each fault, in the order of [`Fault::ALL`]: since when every run has found it, and how many did.
    rows: [Option<(Instant, u32)>; Fault::ALL.len()],
    /// Since when every run has found it well.
    well: Option<Instant>,
    made: u32,
    is_busy: bool,
    /// When the last attempt ended.
    ended: Option<Instant>,
    has_given_up: bool,
}

impl Core {
    /// Nothing is known yet.
    pub const fn new(limits: Limits) -> Self {
        let rows = [None; Fault::ALL.len()];
        Self { limits, rows, well: None, made: 0, is_busy: false, ended: None, has_given_up: false }
    }

    /// A run of the probe ended.
    pub fn heard(&mut self, word: Word, now: Instant) {
        match word {
            Word::Well => {
                self.forget();
                let since = *self.well.get_or_insert(now);
                if now.saturating_duration_since(since) >= self.limits.reset {
                    (self.made, self.has_given_up) = (0, false);
                }
            }
            // What it says while it is being restarted says nothing of whether that helped.
            Word::Bad(_) if self.is_busy => self.well = None,
            Word::Bad(faults) => {
                self.well = None;
                for (row, fault) in self.rows.iter_mut().zip(Fault::ALL) {
                    let (since, runs) = row.unwrap_or((now, 0));
                    *row = faults.has(fault).then_some((since, runs.saturating_add(1)));
                }
            }
            Word::Unknown => {
                self.forget();
                self.well = None;
            }
        }
    }

    const fn forget(&mut self) {
        self.rows = [None; Fault::ALL.len()];
    }

    /// What something is to be done about, and from when on.
    fn faults(&self) -> impl Iterator<Item = (Fault, Instant)> {
        let rested = self.ended.map(|ended| ended + self.limits.cooldown);
        let is_idle = !self.is_busy && !self.has_given_up;
        let rows = Fault::ALL.into_iter().zip(self.rows).filter(move |_| is_idle);
        rows.filter_map(move |(fault, row)| {
            let (since, _) = row.filter(|(_, runs)| *runs >= RUNS)?;
            let due = since + self.limits.after;
            Some((fault, rested.map_or(due, |rested| rested.max(due))))
        })
    }

    /// When something is due, if nothing else is heard.
    pub fn due(&self) -> Option<Instant> {
        self.faults().map(|(_, due)| due).min()
    }

    /// What to do now.
    pub fn decide(&mut self, others: Others, scene: Scene, now: Instant) -> Decision {
        let due: Vec<Fault> = self.faults().filter(|(_, due)| *due <= now).map(|(fault, _)| fault).collect();
        if due.is_empty() {
            return Decision::Nothing;
        }
        let mut seen = due.iter().copied().filter(|fault| !others.good.has(*fault));
        let Some(worst) = seen.clone().next() else { return Decision::Hold(Held::Works) };
        if self.made >= self.limits.attempts {
            self.has_given_up = true;
            return Decision::GiveUp(worst);
        }
        if scene.maintenance {
            return Decision::Hold(Held::Maintenance);
        }
        if scene.quiet {
            return Decision::Hold(Held::Quiet);
        }
        let Some(fault) = seen.find(|fault| !scene.on_air || others.confirm(*fault)) else {
            return Decision::Hold(Held::Alone);
        };
        self.made += 1;
        self.is_busy = true;
        Decision::Act(self.made, fault)
    }

    /// An attempt ended. Whether it helped, the next runs will say.
    pub const fn done(&mut self, now: Instant) {
        self.is_busy = false;
        self.ended = Some(now);
        self.forget();
    }

    /// Whether it does nothing more.
    pub const fn has_given_up(&self) -> bool {
        self.has_given_up
    }
}

#[cfg(test)]
#[path = "simulation.rs"]
mod simulation;
