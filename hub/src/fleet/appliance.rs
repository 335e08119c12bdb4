//! One appliance: its runs, which of them is shown, and whether it is up.
//!
//! The newest run is shown. A run is superseded when a newer one is heard to live; one that is heard to live more than
//! [`GRACE`] later is a second machine with the same name. What is shown changes back to an older run only when the shown
//! one is offline or silent, so two machines do not flip the page between them.

use super::run::{About, RunState};
use crate::clock::Now;
use rackside_proto::{AgentName, Presence, Reason, Run};
use std::time::{Duration, Instant};

/// Most runs that are kept; the one that was heard of least lately goes first.
const RUNS: usize = 8;
/// What an older run may still have on its way when a newer one is heard.
const GRACE: Duration = Duration::from_secs(3);
/// A second machine is forgotten when nothing was heard of it for so long, or for twice the interval at which readings come.
const RIVAL_FOR: Duration = Duration::from_mins(1);
/// The fallback when no presence says that an appliance is gone: never sooner than this, and not before three times the interval at which its
/// readings come.
const SILENCE: Duration = Duration::from_secs(15);
/// After a restart of the hub all agents are back within a minute; who is not then is silent.
const COMES_BACK: Duration = Duration::from_mins(1);
/// An interval beyond this is not believed.
const LONGEST_INTERVAL: Duration = Duration::from_mins(10);

/// One appliance.
#[derive(Debug)]
pub struct Appliance {
    /// Whose it is.
    pub name: AgentName,
    /// Whether it is up, and why not.
    pub state: State,
    /// Since when, in milliseconds since 1970-01-01 UTC.
    pub since_ms: u64,
    /// When it was last heard of, on either clock.
    pub seen: Now,
    /// When the hub remembered it, as long as it has not been heard since.
    recollected: Option<Instant>,
    /// Since when it is retired: nobody waits for it. In milliseconds since 1970-01-01 UTC.
    pub retired_ms: Option<u64>,
    /// It was gone before the hub first heard of it: nobody here knows since when.
    gone_before: bool,
    /// The least lately heard of first.
    runs: Vec<RunState>,
    shown: Option<Run>,
}

/// Whether an appliance is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is heard to live.
    Up,
    /// It said, or its broker said for it, that it is gone.
    Gone(Reason),
    /// It said nothing for too long.
    Silent,
    /// It was not heard to live since the hub started; at most its backlog was.
    Unknown,
}

impl State {
    /// Whether it is up.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Up)
    }

    /// Why: `up`, `will`, `stop`, `update`, `shutdown`, `silent`, `unknown`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Gone(reason) => reason.as_str(),
            Self::Silent => "silent",
            Self::Unknown => "unknown",
        }
    }
}

/// What became of a presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It was taken.
    Taken,
    /// It was of an older connection or run than the one known.
    Old,
}

impl Appliance {
    pub(super) fn new(name: AgentName, now: Now) -> Self {
        let (state, since_ms) = (State::Unknown, now.utc_ms);
        let (recollected, retired_ms, gone_before) = (None, None, false);
        Self {
            name,
            state,
            since_ms,
            seen: now,
            recollected,
            retired_ms,
            gone_before,
            runs: Vec::new(),
            shown: None,
        }
    }

    /// It was heard last at `last_ms`, by the hub before this one.
    pub(super) fn recollect(&mut self, last_ms: u64, now: Now) {
        self.since_ms = last_ms;
        self.seen.utc_ms = last_ms;
        self.recollected = Some(now.instant);
    }

    /// Since when it is gone, in milliseconds since 1970-01-01 UTC: 0 if that was before anybody here heard of it.
    pub fn gone_since_ms(&self) -> u64 {
        if self.gone_before { 0 } else { self.since_ms }
    }

    /// When its shown run was last heard to live, by this hub.
    pub fn heard_at(&self) -> Option<Instant> {
        self.shown().and_then(|state| state.heard)
    }

    /// The run that is shown.
    pub fn shown(&self) -> Option<&RunState> {
        self.runs.iter().find(|state| Some(state.run) == self.shown)
    }

    /// Why its runs ended, as far as that was said to this hub.
    pub fn ends(&self) -> impl Iterator<Item = (Run, Reason)> {
        self.runs.iter().filter_map(|state| Some((state.run, state.ended?)))
    }

    /// A run.
    pub fn run(&self, run: Run) -> Option<&RunState> {
        self.runs.iter().find(|state| state.run == run)
    }

    /// What it said of itself in the run before this one, as far as the hub heard.
    pub fn before(&self, run: Run) -> Option<&About> {
        let mut others = self.runs.iter().rev().filter(|state| state.run != run);
        others.find_map(|state| state.about.as_ref())
    }

    /// How many series its catalogs list together.
    pub(super) fn series_kept(&self) -> usize {
        self.runs.iter().map(RunState::series_kept).sum()
    }

    /// Lets go of old catalogs until `series` more fit below `bound`.
    pub(super) fn make_room(&mut self, series: usize, bound: usize) {
        for at in 0..self.runs.len() {
            if self.series_kept() + series <= bound {
                return;
            }
            if Some(self.runs[at].run) != self.shown {
                self.runs[at].forget_listings();
            }
        }
        let shown = self.shown;
        if let Some(at) = self.runs.iter().position(|state| Some(state.run) == shown) {
            while self.series_kept() + series > bound && self.runs[at].forget_oldest_listing() {}
        }
    }

    /// How many runs are alive: more than one is a second machine with the same name.
    pub fn live_runs(&self, now: Now) -> usize {
        let rivals = self.runs.iter().filter(|state| {
            Some(state.run) != self.shown && state.rival.is_some_and(|at| now.since(at) < self.rival_for())
        });
        rivals.count() + usize::from(self.state.is_up())
    }

    /// Whether the box that was replaced at that moment, in milliseconds since 1970-01-01 UTC, goes on talking: one run alone began to be heard after it, and
    /// one that was heard before it was heard of late. They need not be there at once: a broker may throw out the one when the other comes. What was
    /// heard before this hub began nobody here can tell.
    pub fn lives_on(&self, replaced_ms: u64, now: Now) -> bool {
        let ago =
            |state: &RunState| state.heard.map(|at| now.since(at)).filter(|ago| *ago < self.rival_for());
        let (before, after): (Vec<_>, Vec<_>) = (self.runs.iter().filter(|state| ago(state).is_some()))
            .partition(|state| state.first_ms.is_some_and(|first| first < replaced_ms));
        let talks_on = |state: &&RunState| {
            let heard_ms = ago(state).map(|ago| now.utc_ms.saturating_sub(ago.as_millis() as u64));
            heard_ms.is_some_and(|at| at > replaced_ms + GRACE.as_millis() as u64)
        };
        after.len() == 1 && before.iter().any(talks_on)
    }

    /// The run's state, made if it is not known; the most lately heard of is last.
    pub(super) fn run_mut(&mut self, run: Run) -> &mut RunState {
        let state = match self.runs.iter().position(|state| state.run == run) {
            Some(at) => self.runs.remove(at),
            None => RunState::new(run),
        };
        if self.runs.len() >= RUNS {
            let oldest = self.runs.iter().position(|state| Some(state.run) != self.shown).unwrap_or(0);
            self.runs.remove(oldest);
        }
        self.runs.push(state);
        self.runs.last_mut().expect("pushed just now")
    }

    /// How far apart its readings come, by its own word.
    pub fn interval(&self) -> Duration {
        let shown = self.shown();
        let told = shown.and_then(|state| state.about.as_ref()).map(|about| about.interval_ms);
        let listed = shown.and_then(|state| state.latest.as_ref()).map(|latest| latest.listing.tick_ms);
        Duration::from_millis(u64::from(told.or(listed).unwrap_or(0))).min(LONGEST_INTERVAL)
    }

    /// How long a second machine is remembered.
    fn rival_for(&self) -> Duration {
        RIVAL_FOR.max(self.interval() * 2)
    }

    /// How long nothing may be heard of the shown run.
    fn silence(&self) -> Duration {
        SILENCE.max(self.interval() * 3)
    }

    fn shown_is_silent(&self, now: Now) -> bool {
        let heard = self.shown().and_then(|state| state.heard);
        heard.is_none_or(|at| now.since(at) > self.silence())
    }

    /// `run` was heard to live.
    pub(super) fn lives(&mut self, run: Run, now: Now) {
        self.seen = now;
        let takes_over = match self.shown() {
            None => true,
            Some(shown) if shown.run == run => {
                // What was on its way when the end was heard does not undo it.
                shown.offline.is_none_or(|at| now.since(at) > GRACE)
            }
            Some(shown) if self.run(run).is_none_or(|state| state.heard.is_none()) => {
                log::debug!("{}: run {run} takes the place of {}", self.name, shown.run);
                true
            }
            Some(shown) => shown.offline.is_some() || self.shown_is_silent(now),
        };
        let rival_for = self.rival_for();
        let state = self.run_mut(run);
        state.heard = Some(now.instant);
        state.first_ms.get_or_insert(now.utc_ms);
        if takes_over {
            (state.superseded, state.rival, state.offline, state.ended) = (None, None, None, None);
            self.show(run, now.instant);
            self.turn(State::Up, now);
        } else if state.superseded.is_some_and(|at| now.since(at) > GRACE) {
            if state.rival.is_none_or(|at| now.since(at) >= rival_for) {
                log::warn!("{}: a second machine has this name (run {run})", self.name);
            }
            self.run_mut(run).rival = Some(now.instant);
        }
    }

    fn show(&mut self, run: Run, at: Instant) {
        if self.shown == Some(run) {
            return;
        }
        if let Some(before) = self.runs.iter_mut().find(|state| Some(state.run) == self.shown) {
            before.superseded = Some(at);
        }
        self.shown = Some(run);
    }

    fn turn(&mut self, state: State, now: Now) {
        if self.state.is_up() != state.is_up() || (self.state == State::Unknown && state != State::Unknown) {
            (self.since_ms, self.gone_before) = (now.utc_ms, false);
            let level = if state.is_up() { log::Level::Debug } else { log::Level::Info };
            log::log!(level, "{} is {}", self.name, if state.is_up() { "up" } else { "down" });
        }
        self.state = state;
    }

    /// Takes a presence. Wills come late: what an older connection or run left behind says nothing.
    pub(super) fn presence(&mut self, presence: &Presence, retained: bool, now: Now) -> Heard {
        match self.run(presence.run) {
            Some(known) => {
                let same = presence.connection == known.connection;
                if presence.connection < known.connection
                    || (same && presence.online && known.offline.is_some())
                {
                    return Heard::Old;
                }
                if retained && same && presence.online {
                    // A broker's copy of what was heard already is no sign of life.
                    return Heard::Taken;
                }
            }
            // The end of a run that was never heard to live, while another one is known: it is the older one.
            None if !presence.online && self.shown.is_some() => return Heard::Old,
            None => {}
        }
        if presence.online {
            let state = self.run_mut(presence.run);
            (state.connection, state.offline, state.ended) = (presence.connection, None, None);
            // A broker may have kept it from before a restart of its own: that is a start, but nobody heard it live.
            if !retained || self.shown.is_none_or(|shown| shown == presence.run) {
                self.lives(presence.run, now);
            }
            return Heard::Taken;
        }
        let state = self.run_mut(presence.run);
        state.connection = presence.connection;
        (state.offline, state.rival, state.ended) = (Some(now.instant), None, Some(presence.reason));
        state.heard = state.heard.or(Some(now.instant));
        if self.shown.is_none() {
            self.shown = Some(presence.run);
        }
        if self.shown != Some(presence.run) {
            return Heard::Old;
        }
        let gone = State::Gone(presence.reason);
        if retained && self.state == State::Unknown {
            // A broker kept it from before the hub started: it is gone since it was heard last, and not since now.
            (self.state, self.gone_before) = (gone, self.recollected.is_none());
            return Heard::Taken;
        }
        if !retained {
            self.seen = now;
        }
        self.turn(gone, now);
        Heard::Taken
    }

    /// Notices silence. Says whether anything changed.
    pub(super) fn sweep(&mut self, now: Now) -> bool {
        let mut changed = false;
        if self.state.is_up() && self.shown_is_silent(now) {
            log::info!("{}: silent for {} s", self.name, self.silence().as_secs());
            self.turn(State::Silent, now);
            changed = true;
        }
        if self.state == State::Unknown && self.recollected.is_some_and(|at| now.since(at) > COMES_BACK) {
            // Since it was heard last, not since the hub noticed.
            (self.state, self.recollected) = (State::Silent, None);
            changed = true;
        }
        let rival_for = self.rival_for();
        for state in &mut self.runs {
            if state.rival.is_some_and(|at| now.since(at) >= rival_for) {
                state.rival = None;
                changed = true;
            }
        }
        changed
    }
}
