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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Policy, Tables};
    use proptest::prelude::*;
    use rackside_onair::local_time;

    const WEEK: i64 = 7 * 86_400_000;
    const MINUTE: i64 = 60_000;

    fn team(keys: &str) -> Team {
        let receivers: String = ["first", "second", "third", "desk"]
            .map(|name| format!("[[receiver]]\nname = \"{name}\"\nkind = \"mqtt\"\ntopic = \"{name}\"\n"))
            .concat();
        let text = format!("{receivers}[[team]]\nname = \"stage\"\ntime_zone = \"Europe/Berlin\"\n{keys}");
        let tables: Tables = rackside_config::parse(&text, "hub.toml").expect("it is right");
        Policy::new(&tables).expect("it can be").teams.remove(0)
    }

    fn berlin() -> Zone {
        "Europe/Berlin".parse().expect("a zone")
    }

    fn at(text: &str) -> i64 {
        berlin().moment(local_time(text).expect("a local time"))
    }

    fn on_call(team: &Team, time: &str) -> String {
        team.on_call(at(time)).join(" ")
    }

    #[test]
    fn those_who_take_turns_hand_over_at_the_same_time_of_day() {
        let team = team(
            "[[team.shift]]\nwho = [\"first\", \"second\", \"third\"]\nstart = \"2026-10-19T09:00\"\nturn = \"7d\"\n",
        );
        for (time, who) in [
            ("2026-10-19T08:59:59", ""),
            ("2026-10-19T09:00", "first"),
            // Clocks go back on the 25th.
            ("2026-10-26T08:59:59", "first"),
            ("2026-10-26T09:00", "second"),
            ("2026-11-02T09:00", "third"),
            ("2026-11-09T08:59:59", "third"),
            ("2026-11-09T09:00", "first"),
            // Clocks have gone forward on 2027-03-28; 23 turns later.
            ("2027-03-29T08:59:59", "second"),
            ("2027-03-29T09:00", "third"),
        ] {
            assert_eq!(on_call(&team, time), who, "{time}");
        }
    }

    #[test]
    fn a_handover_at_a_time_that_is_skipped_is_at_the_change() {
        let team = team(
            "[[team.shift]]\nwho = [\"first\", \"second\"]\nstart = \"2026-03-28T02:30\"\nturn = \"1d\"\n",
        );
        for (time, who) in [
            ("2026-03-29T01:59:59", "first"),
            ("2026-03-29T03:00", "second"),
            ("2026-03-30T02:29:59", "second"),
            ("2026-03-30T02:30", "first"),
        ] {
            assert_eq!(on_call(&team, time), who, "{time}");
        }
        // At one that comes twice, at the first.
        let change = at("2026-10-25T02:30");
        assert_ne!(team.on_call(change - 1), team.on_call(change));
        assert_eq!(team.on_call(change + 60 * MINUTE - 1), team.on_call(change + 60 * MINUTE));
    }

    #[test]
    fn shifts_are_on_call_together_and_the_fallback_when_none_is() {
        let team = team(
            "fallback = [\"desk\"]\n[[team.shift]]\nwho = [\"first\", \"second\"]\nhours = [\"mon-fri 09:00-17:00\"]\n\
             [[team.shift]]\nwho = [\"second\", \"third\"]\nhours = [\"fri 12:00-02:00\", \"sun\"]\n",
        );
        for (time, who) in [
            ("2026-11-20T08:00", "desk"),
            ("2026-11-20T09:00", "first second"),
            ("2026-11-20T12:00", "first second third"),
            ("2026-11-21T01:59", "second third"),
            ("2026-11-21T02:00", "desk"),
            ("2026-11-22T12:00", "second third"),
        ] {
            assert_eq!(on_call(&team, time), who, "{time}");
        }
    }

    #[test]
    fn turns_may_be_for_some_hours_only() {
        let team = team(
            "fallback = [\"desk\"]\n[[team.shift]]\nwho = [\"first\", \"second\"]\nhours = [\"18:00-02:00\"]\nstart = \"2026-11-16T12:00\"\nturn = \"1d\"\n",
        );
        for (time, who) in [
            ("2026-11-16T18:00", "first"),
            ("2026-11-17T01:59", "first"),
            ("2026-11-17T02:00", "desk"),
            ("2026-11-17T18:00", "second"),
        ] {
            assert_eq!(on_call(&team, time), who, "{time}");
        }
    }

    #[test]
    fn whoever_stands_in_is_on_call_alone_and_the_later_one_counts() {
        let team = team(
            "fallback = [\"desk\"]\n[[team.shift]]\nwho = [\"first\"]\n\
             [[team.override]]\nfrom = \"2026-11-20T18:00\"\nuntil = \"2026-11-22T18:00\"\nwho = [\"second\"]\n\
             [[team.override]]\nfrom = \"2026-11-21T00:00\"\nuntil = \"2026-11-21T12:00\"\nwho = [\"third\", \"desk\"]\n",
        );
        for (time, who) in [
            ("2026-11-20T17:59:59", "first"),
            ("2026-11-20T18:00", "second"),
            ("2026-11-21T00:00", "third desk"),
            ("2026-11-21T12:00", "second"),
            ("2026-11-22T18:00", "first"),
        ] {
            assert_eq!(on_call(&team, time), who, "{time}");
        }
    }

    #[test]
    fn holes_are_found_over_a_week() {
        let gaps = |keys: &str| -> Vec<String> {
            let found = team(keys).gaps(at("2026-11-20T12:00"), WEEK);
            found
                .iter()
                .map(|(from, to)| {
                    format!(
                        "{} - {}",
                        berlin().local(*from).format("%a %H:%M"),
                        berlin().local(*to).format("%a %H:%M")
                    )
                })
                .collect()
        };
        assert_eq!(gaps("[[team.shift]]\nwho = [\"first\"]\n"), [""; 0]);
        assert_eq!(
            gaps("fallback = [\"desk\"]\n"),
            ["Fri 12:00 - Fri 12:00"],
            "the whole week, fallback or not"
        );
        assert_eq!(
            gaps(
                "[[team.shift]]\nwho = [\"first\"]\nhours = [\"mon-fri\"]\n[[team.shift]]\nwho = [\"second\"]\nhours = [\"sat 10:00-22:00\"]\n"
            ),
            ["Sat 00:00 - Sat 10:00", "Sat 22:00 - Mon 00:00"]
        );
        assert_eq!(
            gaps(
                "[[team.shift]]\nwho = [\"first\", \"second\"]\nstart = \"2026-11-23T09:00\"\nturn = \"7d\"\n"
            ),
            ["Fri 12:00 - Mon 09:00"],
            "before the first turn"
        );
    }

    proptest! {
        /// Between two edges nobody else is on call, and turns come in their order.
        #[test]
        fn nothing_changes_between_edges(days in 1..9i64, minute in 0..1440i64, now in 0..365 * 24 * 60i64) {
            let start = local_time("2026-01-05T00:00").expect("a time") + TimeDelta::minutes(minute);
            let who: Vec<Arc<str>> = ["first", "second", "third"].map(Arc::from).to_vec();
            let rotation = Rotation { start, days };
            let shift = Shift { who: who.clone(), hours: Schedule::always(), rotation: Some(rotation) };
            let team = Team { name: "t".into(), zone: berlin(), fallback: Vec::new(), shifts: vec![shift], overrides: Vec::new() };
            let now = at("2026-01-15T00:00") + now * MINUTE;
            let turn = rotation.turn(now, berlin()).expect("it has begun");
            let next = rotation.next(now, berlin()).expect("there is one");
            prop_assert!(now < next);
            prop_assert_eq!(rotation.turn(next - 1, berlin()), Some(turn));
            prop_assert_eq!(rotation.turn(next, berlin()), Some(turn + 1));
            let edge = team.next_edge(now).expect("there is one");
            prop_assert_eq!(team.on_call(edge - 1), team.on_call(now));
            prop_assert_eq!(&team.on_call(now)[0], &who[turn as usize % 3]);
            prop_assert!(team.gaps(now, WEEK).is_empty());
        }
    }
}
