//! Who of a team is on call: shifts by the clocks of the team, those who take turns, and those who stand in.
//!
//! The members are receivers. All shifts that have the moment are on call together; an override stands for all of them; when nobody is, the fallback
//! is. Handovers are at the same time of day all year: a turn of 7 days is an hour shorter or longer when clocks change in it.
//!
//! ```text
//! shift first, second take turns of 7 days from Mon 2026-11-02 09:00   →  first until Mon 2026-11-09 09:00, then second
//! ```

use crate::schedule::{Schedule, first_moment};
use chrono::TimeDelta;
use rackside_onair::{NaiveDateTime, Zone};
use std::sync::Arc;

/// A team, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Team {
    /// As routes name it, without `team:`.
    pub name: Arc<str>,
    /// Where its clocks are.
    pub zone: Zone,
    /// Who is told when nobody is on call.
    pub fallback: Vec<Arc<str>>,
    /// Who is on call when.
    pub shifts: Vec<Shift>,
    /// Who stands in; of two at once, the later one in this list.
    pub overrides: Vec<Override>,
}

/// A shift.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// All of them, or one after the other.
    pub who: Vec<Arc<str>>,
    /// When.
    pub hours: Schedule,
    /// Whose turn it is.
    pub rotation: Option<Rotation>,
}

/// How they take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// When the first one's first turn begins; before, nobody has it.
    pub start: NaiveDateTime,
    /// How many days each has it.
    pub days: i64,
}

/// Who stands in, from a moment up to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// From when, in milliseconds since 1970.
    pub from: i64,
    /// Until when.
    pub until: i64,
    /// Who.
    pub who: Vec<Arc<str>>,
}

impl Team {
    /// Who is on call at `now`, each once, in the order of the shifts.
    pub fn on_call(&self, now: i64) -> Vec<Arc<str>> {
        let found = self.on_duty(now);
        if found.is_empty() { self.fallback.clone() } else { found }
    }

    /// The same without the fallback.
    fn on_duty(&self, now: i64) -> Vec<Arc<str>> {
        if let Some(stands_in) = self.overrides.iter().rev().find(|one| one.from <= now && now < one.until) {
            return stands_in.who.clone();
        }
        let mut found: Vec<Arc<str>> = Vec::new();
        for name in self.shifts.iter().flat_map(|shift| shift.on_duty(now, self.zone)) {
            if !found.contains(name) {
                found.push(Arc::clone(name));
            }
        }
        found
    }

    /// When within `length` milliseconds from `now` nobody is on call, fallback or not: from, and up to.
    pub fn gaps(&self, now: i64, length: i64) -> Vec<(i64, i64)> {
        let end = now + length;
        let mut gaps: Vec<(i64, i64)> = Vec::new();
        let mut at = now;
        while at < end {
            let next = self.next_edge(at).unwrap_or(end).min(end);
            if self.on_duty(at).is_empty() {
                match gaps.last_mut() {
                    Some((_, to)) if *to == at => *to = next,
                    _ => gaps.push((at, next)),
                }
            }
            at = next;
        }
        gaps
    }

    /// The next moment at which it can change who is on call.
    pub fn next_edge(&self, now: i64) -> Option<i64> {
        let of_shifts = self.shifts.iter().filter_map(|shift| shift.next_edge(now, self.zone));
        let of_overrides = self.overrides.iter().flat_map(|one| [one.from, one.until]);
        of_shifts.chain(of_overrides).filter(|edge| *edge > now).min()
    }
}

impl Shift {
    fn on_duty(&self, now: i64, zone: Zone) -> &[Arc<str>] {
        if !self.hours.is_in(now, zone) {
            return &[];
        }
        let Some(rotation) = self.rotation else { return &self.who };
        let Some(turn) = rotation.turn(now, zone) else { return &[] };
        let at = turn.rem_euclid(self.who.len().max(1) as i64) as usize;
        self.who.get(at..=at).unwrap_or_default()
    }

    fn next_edge(&self, now: i64, zone: Zone) -> Option<i64> {
        let handover = self.rotation.and_then(|rotation| rotation.next(now, zone));
        self.hours.next_edge(now, zone).into_iter().chain(handover).min()
    }
}

impl Rotation {
    /// The number of the turn that `now` is in, from 0.
    fn turn(self, now: i64, zone: Zone) -> Option<i64> {
        let guess = (zone.local(now) - self.start).num_days().div_euclid(self.days);
        // In the night of a change the clock on the wall may be an hour off.
        let turn = (guess - 1..=guess + 1)
            .rev()
            .find(|turn| self.begins(*turn, zone).is_some_and(|at| at <= now))?;
        (turn >= 0).then_some(turn)
    }

    /// The next handover after `now`.
    fn next(self, now: i64, zone: Zone) -> Option<i64> {
        self.begins(self.turn(now, zone).map_or(0, |turn| turn + 1), zone)
    }

    fn begins(self, turn: i64, zone: Zone) -> Option<i64> {
        let days = TimeDelta::try_days(turn.checked_mul(self.days)?)?;
        Some(first_moment(zone, self.start.checked_add_signed(days)?))
    }
}
