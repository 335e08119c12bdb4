//! When to act on an output that is down, and when to give up. Pure: words and times in, decisions out.
//!
//! Invariants: nothing is done to an output that works, by its own probe's newest word or by anybody's who watches the same; on air nothing
//! is done on one word alone; there are never more attempts than `attempts` without the probe having been well for `reset` in between, nor two
//! within `cooldown`.
//!
//! ```text
//! down down · attempt 1 · down down (cooldown over) · attempt 2 · … · attempt 3 · down down (cooldown over) · given up
//! given up · well for `reset` · down down · attempt 1
//! ```

use std::fmt;
use std::time::{Duration, Instant};

/// So many runs in a row must have found it down: never on one look.
const RUNS: u32 = 2;

/// How patient it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most attempts.
    pub attempts: u32,
    /// From the end of one attempt to the next.
    pub cooldown: Duration,
    /// It must have been down for so long.
    pub after: Duration,
    /// Once it has been well for so long, attempts count anew.
    pub reset: Duration,
}

/// What a run of the probe says of its own target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It is as it should be.
    Well,
    /// It is down.
    Down,
    /// Nobody can tell.
    Unknown,
}

/// What those say who watch the same output, as far as their words are fresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Others {
    /// Somebody sees it work.
    pub works: bool,
    /// Somebody says that it is down.
    pub down: bool,
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
    /// On air, and nobody else says that it is down.
    Alone,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Works => "another probe sees the output work",
            Self::Maintenance => "there is maintenance",
            Self::Quiet => "it is a quiet time, or nobody knows the time",
            Self::Alone => "on air, and no second probe says that the output is down",
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
    /// This attempt; [`Core::done`] ends it.
    Act(u32),
    /// Everything was tried: from now on nothing more.
    GiveUp,
}

/// One recovery.
#[derive(Debug)]
pub struct Core {
    limits: Limits,
    /// Since when every run has found it down, and how many did.
    down: Option<(Instant, u32)>,
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
        Self { limits, down: None, well: None, made: 0, is_busy: false, ended: None, has_given_up: false }
    }

    /// A run of the probe ended.
    pub fn heard(&mut self, word: Word, now: Instant) {
        match word {
            Word::Well => {
                self.down = None;
                let since = *self.well.get_or_insert(now);
                if now.saturating_duration_since(since) >= self.limits.reset {
                    (self.made, self.has_given_up) = (0, false);
                }
            }
            // What it says while it is being restarted says nothing of whether that helped.
            Word::Down if self.is_busy => self.well = None,
            Word::Down => {
                self.well = None;
                let (since, runs) = self.down.unwrap_or((now, 0));
                self.down = Some((since, runs.saturating_add(1)));
            }
            Word::Unknown => (self.down, self.well) = (None, None),
        }
    }

    /// When something is due, if nothing else is heard.
    pub fn due(&self) -> Option<Instant> {
        let (since, _) =
            self.down.filter(|(_, runs)| *runs >= RUNS && !self.is_busy && !self.has_given_up)?;
        let rested = self.ended.map(|ended| ended + self.limits.cooldown);
        Some(rested.map_or(since + self.limits.after, |rested| rested.max(since + self.limits.after)))
    }

    /// What to do now.
    pub fn decide(&mut self, others: Others, scene: Scene, now: Instant) -> Decision {
        if self.due().is_none_or(|due| now < due) {
            return Decision::Nothing;
        }
        if others.works {
            return Decision::Hold(Held::Works);
        }
        if self.made >= self.limits.attempts {
            self.has_given_up = true;
            return Decision::GiveUp;
        }
        if scene.maintenance {
            return Decision::Hold(Held::Maintenance);
        }
        if scene.quiet {
            return Decision::Hold(Held::Quiet);
        }
        if scene.on_air && !others.down {
            return Decision::Hold(Held::Alone);
        }
        self.made += 1;
        self.is_busy = true;
        Decision::Act(self.made)
    }

    /// An attempt ended. Whether it helped, the next runs will say.
    pub const fn done(&mut self, now: Instant) {
        self.is_busy = false;
        self.ended = Some(now);
        self.down = None;
    }

    /// Whether it does nothing more.
    pub const fn has_given_up(&self) -> bool {
        self.has_given_up
    }
}

#[cfg(test)]
#[path = "simulation.rs"]
mod simulation;
