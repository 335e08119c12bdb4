//! Since when states are as they are. An event says so only where a state changed within a run: a probe that has failed since its agent started has none, so it is read
//! from what was measured, the last day by the minute first, and what did not change in it 90 days by the hour. What that came to is noted while it holds. The moment is told to the second, or as the log has it.
//!
//! A gap is no change: who was away for an hour and finds the state as it was has had it all along, as far as anybody knows.
//!
//! Sample: `rackside_probe_success{probe="encoder"}`: 0 since 14:02, last known at 15:31

use super::curves::{SeriesName, Wanted};
use super::{Fleetwide, failed};
use crate::clock::Now;
use rackside_history::{Happened, LogEntry};
use rackside_pages::chart::Curve;
use rackside_promql::{SourceError, Stop};
use rackside_proto::{AgentName, Kind};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 86_400_000;
/// Columns of the day that is looked at first: one a minute.
const MINUTES: usize = 1_440;
/// How far back is looked at all, and its columns: one an hour.
const FAR: i64 = 90 * DAY;
const HOURS: usize = 2_160;
/// So many series are followed further back than a day.
const FOLLOWED: usize = 24;
/// Of so many states it is noted since when they hold.
const NOTED: usize = 8_192;

/// Since when a state is what it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Since {
    /// The last state that is known.
    pub value: f64,
    /// Since when it was that, in milliseconds since 1970; with nothing known before, since it was first known.
    pub from: i64,
    /// When it was last known to be that.
    pub known: i64,
}

/// What was found out: a state, since when it held, and when that was looked at.
#[derive(Debug, Default)]
pub(super) struct Noted(Mutex<HashMap<Key, (u64, i64, i64)>>);

/// Whose, and which.
type Key = (AgentName, SeriesName);

impl Noted {
    /// Since when a state holds that was looked at before: the day that was looked at now must tell of the same change, or of none since.
    fn of(&self, key: &Key, since: &Since, is_whole: bool, now: i64) -> Option<i64> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let &(bits, from, looked) = all.get(key)?;
        let is_it = if is_whole {
            now.saturating_sub(looked) < DAY
        } else {
            from.abs_diff(since.from) <= MINUTE as u64
        };
        (bits == since.value.to_bits() && is_it).then_some(from)
    }

    fn note(&self, key: Key, value: f64, from: i64, now: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= NOTED {
            all.clear();
        }
        all.insert(key, (value.to_bits(), from, now));
    }
}

impl Fleetwide {
    /// Since when these states of an appliance are as they are. `log` is what the log has of it, the newest first: where it tells of the change, that is the moment.
    pub fn since(
        &self,
        agent: &AgentName,
        names: &[SeriesName],
        log: &[LogEntry],
        stopped: &dyn Fn() -> Option<Stop>,
        now: Now,
    ) -> Result<BTreeMap<SeriesName, Since>, SourceError> {
        let at = now.utc_ms as i64;
        let look = |names: &[SeriesName], back: i64, width: usize| {
            let wanted =
                Wanted { agent, range: at - back..at, width, pause: 60_000, only: Some(names), stopped };
            self.curves(&wanted, &|_| Some(Kind::State), now)
        };
        let mut found = BTreeMap::new();
        let mut further = Vec::new();
        for one in look(names, DAY, MINUTES)? {
            let Some((since, is_whole)) = held(&one.curve, at - DAY, DAY) else {
                further.push(one.name);
                continue;
            };
            let key = (agent.clone(), one.name.clone());
            let noted = self.noted.of(&key, &since, is_whole, at);
            if noted.is_none() && is_whole {
                further.push(one.name.clone());
            }
            found.insert(one.name, (Since { from: noted.unwrap_or(since.from), ..since }, noted.is_some()));
        }
        further.truncate(FOLLOWED);
        if !further.is_empty() {
            for one in look(&further, FAR, HOURS)? {
                let Some((since, _)) = held(&one.curve, at - FAR, FAR) else { continue };
                // Of the day itself more is known by the minute.
                let known = found.get(&one.name).map_or(since.known, |(near, _)| near.known);
                found.insert(one.name, (Since { known, ..since }, false));
            }
        }
        for (name, (since, is_exact)) in &mut found {
            if *is_exact {
                continue;
            }
            let width = if at - since.from <= DAY { MINUTE } else { HOUR };
            since.from = self.closer(agent, name, since, width, stopped, now)?;
            // An event stands in the log to the millisecond.
            let near = since.from - 2 * SECOND..since.from + 2 * SECOND;
            since.from = told(log, name, since.value, &near).unwrap_or(since.from);
            self.noted.note((agent.clone(), name.clone()), since.value, since.from, at);
        }
        Ok(found.into_iter().map(|(name, (since, _))| (name, since)).collect())
    }

    /// The second at which a state became what it is, where the column in which it did is known.
    fn closer(
        &self,
        agent: &AgentName,
        name: &SeriesName,
        since: &Since,
        width: i64,
        stopped: &dyn Fn() -> Option<Stop>,
        now: Now,
    ) -> Result<i64, SourceError> {
        // On whole seconds, so that it is the same whenever it is asked.
        let from = (since.from - width).div_euclid(SECOND) * SECOND;
        let span = 3 * width;
        let wanted = Wanted {
            agent,
            range: from..from + span,
            width: (span / SECOND) as usize,
            pause: 60_000,
            only: Some(std::slice::from_ref(name)),
            stopped,
        };
        let found = self.curves(&wanted, &|_| Some(Kind::State), now)?;
        let closer = found.first().and_then(|one| held(&one.curve, from, span));
        Ok(closer
            .filter(|(other, _)| other.value.to_bits() == since.value.to_bits())
            .map_or(since.from, |one| one.0.from))
    }

    /// When the machine below an agent started, by what its run said first: `None` where it said nothing of it.
    pub fn machine_started(
        &self,
        agent: &AgentName,
        run_began: i64,
        now: Now,
    ) -> Result<Option<i64>, SourceError> {
        const FIRST: i64 = 300_000;
        let Some((reader, _)) = &self.history else { return Ok(None) };
        let listed = reader.series(agent).map_err(|error| failed(&error))?;
        let uptime = rackside_proto::metric::UPTIME.name;
        let Some((_, key)) = listed.into_iter().find(|(_, key)| *key.name == *uptime) else {
            return Ok(None);
        };
        let only = [SeriesName { metric: key.name, labels: Box::default() }];
        let wanted = Wanted {
            agent,
            range: run_began..run_began + FIRST,
            width: 300,
            pause: 60_000,
            only: Some(&only),
            stopped: &|| None,
        };
        let found = self.curves(&wanted, &|_| Some(Kind::Gauge), now)?;
        let first = found.first().and_then(|one| one.curve.columns.first().copied());
        Ok(first.map(|column| run_began + i64::from(column.x) * 1000 - (column.min * 1000.0) as i64))
    }
}

/// Since when the last state of a curve holds, and whether that is from its beginning on: then nobody knows from this curve alone.
fn held(curve: &Curve, from: i64, span: i64) -> Option<(Since, bool)> {
    let columns = &curve.columns;
    let value = columns.last()?.last;
    let is_it = |other: f64| other.to_bits() == value.to_bits();
    let wide = |x: u32| from + (i128::from(span) * i128::from(x) / i128::from(curve.width.max(1))) as i64;
    let first = columns.iter().rposition(|column| !(is_it(column.min) && is_it(column.max)));
    let begins = match first {
        // It changed within this column, or with the next one.
        Some(at) if is_it(columns[at].last) => columns[at].x,
        Some(at) => columns.get(at + 1)?.x,
        None => columns.first()?.x,
    };
    let known = curve.last.map_or_else(|| wide(columns[columns.len() - 1].x + 1), |(at, _)| at);
    // What goes on from the first columns on may be older.
    let is_whole = first.is_none() && columns.first().is_some_and(|column| column.x < 2);
    Some((Since { value, from: wide(begins), known }, is_whole))
}

/// When the log says that a series became this.
fn told(log: &[LogEntry], name: &SeriesName, value: f64, near: &std::ops::Range<i64>) -> Option<i64> {
    let moments = log.iter().filter_map(|entry| match &entry.what {
        Happened::Set { series, value: Some(number) }
            if series.name == name.metric && series.scale.value(*number).to_bits() == value.to_bits() =>
        {
            let own = series.labels.iter().filter(|(name, _)| !matches!(&**name, "site" | "appliance"));
            own.eq(name.labels.iter()).then_some(entry.place.ms as i64)
        }
        _ => None,
    });
    moments.into_iter().find(|moment| near.contains(moment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_pages::chart::{Gather, Moves};

    fn curve(samples: &[(i64, f64)]) -> Curve {
        let mut gather = Gather::new(0..1000, 100, Moves::State, 50);
        for &(at, value) in samples {
            gather.sample(at, Some(value));
        }
        gather.finish(1000)
    }

    fn since(samples: &[(i64, f64)]) -> Option<(f64, i64, bool)> {
        held(&curve(samples), 0, 1000).map(|(since, is_whole)| (since.value, since.from, is_whole))
    }

    #[test]
    fn a_state_is_so_since_it_changed_and_a_gap_is_no_change() {
        assert_eq!(since(&[(300, 1.0), (340, 1.0), (380, 0.0), (420, 0.0)]), Some((0.0, 380, false)));
        let with_a_gap = [(300, 1.0), (380, 0.0), (420, 0.0), (800, 0.0), (840, 0.0)];
        assert_eq!(since(&with_a_gap), Some((0.0, 380, false)));
        assert_eq!(since(&[(385, 1.0), (388, 0.0), (420, 0.0)]), Some((0.0, 380, false)), "within a column");
    }

    #[test]
    fn what_never_changed_is_so_since_it_was_first_known() {
        assert_eq!(since(&[(400, 0.0), (440, 0.0)]), Some((0.0, 400, false)));
        assert_eq!(since(&[(0, 1.0), (40, 1.0)]), Some((1.0, 0, true)), "perhaps longer");
        assert_eq!(since(&[]), None);
    }

    #[test]
    fn what_was_found_out_is_good_for_the_day_in_which_nothing_changed() {
        let noted = Noted::default();
        let agent = AgentName::new("arena-north", "rack-1").expect("a name");
        let key = (agent, "rackside_probe_success{probe=\"main\"}".parse::<SeriesName>().expect("a series"));
        noted.note(key.clone(), 1.0, 5, 1_000);
        let of =
            |value, from, is_whole, now| noted.of(&key, &Since { value, from, known: now }, is_whole, now);
        assert_eq!(of(1.0, 900, true, 2_000), Some(5), "nothing changed in the day");
        assert_eq!(of(0.0, 900, true, 2_000), None);
        assert_eq!(of(1.0, 900, true, 1_000 + DAY), None);
        assert_eq!(of(1.0, 30_000, false, 2 * DAY), Some(5), "the same change, about");
        assert_eq!(of(1.0, 90_000, false, 2 * DAY), None, "another one");
    }
}
