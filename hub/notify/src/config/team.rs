//! `[[team]]`: who is on call. Its members are receivers.
//!
//! ```toml
//! [[team]]
//! name = "stage"
//! time_zone = "Europe/Berlin"
//! fallback = ["desk"]
//! [[team.shift]]
//! who = ["first", "second"]      # takes turns
//! start = "2026-11-02T09:00"
//! turn = "7d"
//! ```

use super::policy::Names;
use super::{Objection, line, ms, objection, within};
use crate::rota::{Override, Rotation, Shift, Team};
use crate::schedule::{Schedule, first_moment, last_moment};
use rackside_config::Span;
use rackside_onair::{Local, Zone};
use serde::Deserialize;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// Most shifts, and most overrides, of a team, and most members of a shift.
const MOST: usize = 200;

/// `[[team]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamConfig {
    /// Routes say `team:stage`.
    pub name: String,
    /// Where its clocks are.
    pub time_zone: Zone,
    /// Who is told when nobody is on call.
    #[serde(default)]
    pub fallback: Vec<String>,
    /// Who is on call when.
    #[serde(default)]
    pub shift: Vec<ShiftConfig>,
    /// Who stands in.
    #[serde(default, rename = "override")]
    pub overrides: Vec<OverrideConfig>,
}

/// `[[team.shift]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShiftConfig {
    /// All of them, or with `turn` one after the other.
    pub who: Vec<String>,
    /// When; without it, always.
    #[serde(default)]
    pub hours: Schedule,
    /// How long each has it, in whole days.
    pub turn: Option<Span>,
    /// When the first one's first turn begins; its time of day is that of every handover.
    pub start: Option<Local>,
}

/// `[[team.override]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideConfig {
    /// From when.
    pub from: Local,
    /// Until when.
    pub until: Local,
    /// Who, instead of everybody that the shifts name.
    pub who: Vec<String>,
}

impl TeamConfig {
    pub(super) fn checked(&self, names: &Names<'_>) -> Result<Team, Objection> {
        line("name", &self.name)?;
        for (key, count) in [("shift", self.shift.len()), ("override", self.overrides.len())] {
            if count > MOST {
                return objection(key, format!("there are more than {MOST}"));
            }
        }
        if self.shift.is_empty() && self.fallback.is_empty() {
            return objection("name", "nobody is ever on call: give [[team.shift]] or `fallback`");
        }
        let shifts = self.shift.iter().enumerate();
        let overrides = self.overrides.iter().enumerate();
        Ok(Team {
            name: self.name.as_str().into(),
            zone: self.time_zone,
            fallback: names.receivers("fallback", &self.fallback)?,
            shifts: shifts
                .map(|(at, shift)| within("shift", at, shift.checked(names)))
                .collect::<Result<_, _>>()?,
            overrides: overrides
                .map(|(at, one)| within("override", at, one.checked(names, self.time_zone)))
                .collect::<Result<_, _>>()?,
        })
    }
}

fn somebody(who: &[String]) -> Result<(), Objection> {
    match who.len() {
        0 => objection("who", "is empty; name one at least"),
        1..=MOST => Ok(()),
        _ => objection("who", format!("there are more than {MOST}")),
    }
}

impl ShiftConfig {
    fn checked(&self, names: &Names<'_>) -> Result<Shift, Objection> {
        somebody(&self.who)?;
        let rotation = match (self.start, self.turn) {
            (None, None) => None,
            (Some(_), None) => {
                return objection("start", "is for those who take turns: give `turn`, for example \"7d\"");
            }
            (None, Some(_)) => {
                return objection(
                    "turn",
                    "when the first turn begins is missing: give `start`, for example \"2026-11-02T09:00\"",
                );
            }
            (Some(start), Some(turn)) => {
                if ms(turn) == 0 || ms(turn) % DAY != 0 {
                    return objection(
                        "turn",
                        format!(
                            "\"{turn}\" is not in whole days; write for example \"7d\" or \"1d\", and `hours` for parts of a day"
                        ),
                    );
                }
                Some(Rotation { start: start.0, days: ms(turn) / DAY })
            }
        };
        let hours = if self.hours.is_empty() { Schedule::always() } else { self.hours.clone() };
        Ok(Shift { who: names.receivers("who", &self.who)?, hours, rotation })
    }
}

impl OverrideConfig {
    fn checked(&self, names: &Names<'_>, zone: Zone) -> Result<Override, Objection> {
        somebody(&self.who)?;
        let (from, until) = (first_moment(zone, self.from.0), last_moment(zone, self.until.0));
        if until <= from {
            return objection("until", "is not after `from`");
        }
        Ok(Override { from, until, who: names.receivers("who", &self.who)? })
    }
}
