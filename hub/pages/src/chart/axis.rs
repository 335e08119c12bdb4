//! Where an axis has its marks: round numbers in a unit that people read, round times on the wall.
//!
//! Numbers go by 1, 2 and 5, in the unit that the largest of them asks for (bytes by 1024, bits by 1000, seconds as ms, min, h or d); what stands still is drawn
//! in the middle; what moves by less than a ten-thousandth of itself is drawn as standing still, since its numbers would not fit beside the axis. Times are
//! those that a clock on the wall shows: midnight is midnight there, also on the two days of the year when clocks change.
//!
//! `41.2 … 71.0 °C` is 40, 50, 60, 70; an evening from 18:40 to 22:10 is 19:00, 20:00, 21:00, 22:00.

use super::words::{States, said};
use crate::quantity::Unit;
use rackside_onair::Zone;
use std::ops::Range;

/// Beyond this a number has no place of its own: its neighbours would overflow.
const MOST: f64 = 1e300;
/// The least span of an axis, as a share of its largest number.
const LEAST_SPAN: f64 = 1e-4;

/// Where which value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Values {
    /// At the lower edge.
    pub(super) low: f64,
    /// At the upper edge.
    pub(super) high: f64,
    /// Round values with their text, rising.
    pub(super) ticks: Vec<(f64, String)>,
    /// What the texts are in: `MiB/s`.
    pub(super) unit: String,
}

impl Values {
    /// An axis that holds all from `low` to `high`, with some `wanted` ticks.
    pub(super) fn of(unit: Unit, low: f64, high: f64, wanted: usize) -> Self {
        let (low, high) = (low.clamp(-MOST, MOST), high.clamp(-MOST, MOST));
        let (low, high) = spread(unit, low.min(high), high.max(low));
        let (factor, name) = unit.scale(low.abs().max(high.abs()));
        let (from, to) = (low / factor, high / factor);
        let step = step(unit, (to - from) / wanted.max(1) as f64);
        let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
        let first = (from / step).ceil();
        let ticks = (0..=3 * wanted)
            .map(|nth| (first + nth as f64) * step)
            .take_while(|value| *value <= to + step * 1e-9)
            .map(|value| (value * factor, unit.tick(value, decimals)))
            .filter(|(value, _)| value.is_finite())
            .collect();
        Self { low, high, ticks, unit: name }
    }

    /// An axis of states, which have words and nothing between them.
    pub(super) fn of_states(states: &States, low: f64, high: f64) -> Self {
        let (low, high) = (low.clamp(-1e6, 1e6).floor(), high.clamp(-1e6, 1e6).ceil());
        let step = ((high - low) / 4.0).ceil().max(1.0);
        let each = (0..=4).map(|nth| low + f64::from(nth) * step).take_while(|value| *value <= high);
        let ticks = each.map(|value| (value, shortened(&said(value, Unit::Number, Some(states))))).collect();
        Self { low: low - 0.3, high: high + 0.3, ticks, unit: String::new() }
    }

    /// How far up a value is, from 0 to 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        let share = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// As much of a word as there is room for beside an axis: some six and a half letters, of which the narrow ones count half.
pub(super) fn shortened(word: &str) -> String {
    const MOST: f64 = 6.5;
    let wide = |letter: char| match letter {
        'i' | 'j' | 'l' | 'r' | 't' | 'f' | ' ' | '-' | '.' => 0.5,
        'm' | 'w' | 'M' | 'W' => 1.4,
        _ => 1.0,
    };
    if word.chars().map(wide).sum::<f64>() <= MOST {
        return word.to_owned();
    }
    let mut room = MOST - 1.0;
    let fits = word.chars().take_while(|letter| {
        room -= wide(*letter);
        room >= 0.0
    });
    fits.chain(['…']).collect()
}

/// Room above and below; 0 is shown where it is not far.
fn spread(unit: Unit, low: f64, high: f64) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    if high - low <= size * LEAST_SPAN {
        let room = if size == 0.0 { 1.0 } else { size * 0.1 };
        let room = if unit == Unit::Date { 43_200.0 } else { room };
        let middle = low / 2.0 + high / 2.0;
        let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        return ((middle - room).max(floor), middle + room);
    }
    let room = (high - low) * 0.06;
    let is_near = |value: f64| value.abs() <= (high - low) * 0.7;
    let below = if low >= 0.0 && is_near(low) { 0.0 } else { low - room };
    let above = if high <= 0.0 && is_near(high) { 0.0 } else { high + room };
    (below, above)
}

/// The round step that is not much smaller than `wanted`.
fn step(unit: Unit, wanted: f64) -> f64 {
    let least = wanted / 1.3;
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|by| by * power).into_iter().find(|step| *step >= least);
    let step = step.filter(|step| step.is_normal()).unwrap_or(1.0);
    match unit {
        // A part of a frame or a turn is no step.
        Unit::Rpm | Unit::Fps => step.max(1.0),
        Unit::Date => (step / 86_400.0).ceil() * 86_400.0,
        _ => step,
    }
}

/// A round time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// `14:30`, or `21 Nov` where a day begins.
    pub text: String,
    /// Whether a day (or a year, where months are told) begins here.
    pub is_major: bool,
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// A day of 1970 that was a Monday.
const MONDAY: i64 = 4 * DAY;
const STEPS: [i64; 23] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
    56 * DAY,
];

/// At most `most` moments within a range at which the wall of `zone` shows a round time.
pub fn time_ticks(range: &Range<i64>, zone: Zone, most: usize) -> Vec<Tick> {
    let span = range.end.saturating_sub(range.start);
    if span <= 0 || most == 0 {
        return Vec::new();
    }
    let fits = |step: &i64| span / step < most as i64;
    let Some(step) = STEPS.into_iter().find(fits) else { return months(range, zone, most) };
    let wall = |at: i64| zone.local(at).and_utc().timestamp_millis();
    let origin = if step >= 7 * DAY { MONDAY } else { 0 };
    let mut local = (wall(range.start) - origin).div_euclid(step) * step + origin;
    let mut ticks: Vec<Tick> = Vec::new();
    // Clocks go back by an hour once a year: a few more are looked at than fit.
    for _ in 0..most.saturating_mul(2) + 8 {
        let at = zone.moment(Zone::UTC.local(local));
        let is_after = ticks.last().is_none_or(|last| at > last.at);
        if at > range.end {
            break;
        }
        // A time that the clock on the wall skips is no tick.
        if at >= range.start && is_after && wall(at) == local && ticks.len() < most {
            let is_major = local.rem_euclid(DAY) == 0;
            let form = match step {
                _ if is_major => "%-d %b",
                ..MINUTE => "%H:%M:%S",
                _ => "%H:%M",
            };
            let text = Zone::UTC.local(local).format(form).to_string();
            ticks.push(Tick { at, text, is_major: is_major && step < DAY });
        }
        local = local.saturating_add(step);
    }
    ticks
}

/// The same for ranges of years: where months begin.
fn months(range: &Range<i64>, zone: Zone, most: usize) -> Vec<Tick> {
    let month = |at: i64| -> (i64, i64) {
        let date = zone.local(at).format("%Y %m").to_string();
        let mut parts = date.split(' ').map(|part| part.parse().unwrap_or(1));
        (parts.next().unwrap_or(1970), parts.next().unwrap_or(1))
    };
    let number = |at: i64| month(at).0 * 12 + month(at).1 - 1;
    let (first, last) = (number(range.start), number(range.end));
    let steps = [1, 2, 3, 6, 12, 24, 60, 120, 600, 1200];
    let step = steps.into_iter().find(|step| (last - first) / step < most as i64).unwrap_or(12_000);
    let mut ticks = Vec::new();
    let mut at = first.div_euclid(step) * step;
    while at <= last && ticks.len() < most {
        let (year, month) = (at.div_euclid(12), at.rem_euclid(12) + 1);
        let text = format!("{year:04}-{month:02}-01T00:00:00");
        if let Ok(local) = text.parse::<rackside_onair::NaiveDateTime>() {
            let moment = zone.moment(local);
            if range.contains(&moment) {
                let form = if month == 1 || step >= 12 { "%Y" } else { "%b" };
                ticks.push(Tick { at: moment, text: local.format(form).to_string(), is_major: month == 1 });
            }
        }
        at += step;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(unit: Unit, low: f64, high: f64) -> (Vec<String>, String) {
        let axis = Values::of(unit, low, high, 4);
        assert!(axis.low <= low && high <= axis.high, "{axis:?}");
        (axis.ticks.into_iter().map(|tick| tick.1).collect(), axis.unit)
    }

    #[test]
    fn values_are_round_in_the_unit_that_people_read() {
        for (unit, low, high, ticks, name) in [
            (Unit::Celsius, 41.2, 71.0, "40 50 60 70", "°C"),
            (Unit::Ratio, 0.02, 0.93, "0 20 40 60 80", "%"),
            (Unit::Bytes, 0.0, 3.2 * 1024.0 * 1024.0, "0 1 2 3", "MiB"),
            (Unit::BitsPerSecond, 5.8e6, 6.2e6, "5.8 5.9 6.0 6.1 6.2", "Mbit/s"),
            (Unit::Seconds, 0.012, 0.043, "0 10 20 30 40", "ms"),
            (Unit::Seconds, 3600.0, 90_000.0, "0 10 20", "h"),
            (Unit::Dbm, -71.0, -48.0, "-70 -65 -60 -55 -50", "dBm"),
            (Unit::Number, 7.0, 7.0, "6.5 7.0 7.5", ""),
            (Unit::Number, 0.0, 0.0, "0.0 0.2 0.4 0.6 0.8 1.0", ""),
            (Unit::Number, 12_000.0, 48_000.0, "0 10 20 30 40 50", "k"),
        ] {
            let (shown, unit) = shown(unit, low, high);
            assert_eq!((shown.join(" ").as_str(), unit.as_str()), (ticks, name), "{low} {high}");
        }
    }

    #[test]
    fn numbers_without_measure_have_an_axis_that_fits() {
        for (low, high) in [
            (1e15, 1e15),
            (1e15, 1e15 + 2.0),
            (-1e15, 1e15),
            (f64::MIN, f64::MAX),
            (1e-300, 2e-300),
            (-5e-324, 5e-324),
            (-3.0, -3.0),
        ] {
            let axis = Values::of(Unit::Number, low, high, 4);
            assert!(axis.low < axis.high && !axis.ticks.is_empty(), "{axis:?}");
            for (value, text) in &axis.ticks {
                assert!(value.is_finite() && text.chars().count() <= 8, "{axis:?}");
            }
            assert!((0.0..=1.0).contains(&axis.share(low)));
        }
    }

    #[test]
    fn states_have_words_for_ticks() {
        let states = States::of_metric("x_state", "It is: 0 dark, 1 well, 2 warning, 3 hub not reachable");
        let axis = Values::of_states(&states, 1.0, 3.0);
        let words: Vec<&str> = axis.ticks.iter().map(|tick| tick.1.as_str()).collect();
        assert_eq!(words, ["well", "warning", "hub no…"]);
        assert_eq!(Values::of_states(&states, 1.0, 1.0).ticks.len(), 1, "one that stands still");
    }

    fn ticks(from: &str, hours: i64, zone: &str) -> String {
        let zone: Zone = zone.parse().unwrap();
        let from = zone.moment(from.parse().unwrap());
        let ticks = time_ticks(&(from..from + hours * HOUR), zone, 6);
        ticks.into_iter().map(|tick| tick.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn times_are_round_on_the_venues_wall() {
        assert_eq!(ticks("2026-11-20T18:40:00", 3, "Europe/Berlin"), "19:00 20:00 21:00");
        assert_eq!(ticks("2026-11-20T18:40:00", 24, "Asia/Kathmandu"), "21 Nov 06:00 12:00 18:00");
        assert_eq!(ticks("2026-11-16T18:40:00", 24 * 7, "Europe/Berlin"), "17 Nov 19 Nov 21 Nov 23 Nov");
        assert_eq!(ticks("2026-08-20T18:40:00", 24 * 90, "Europe/Berlin"), "31 Aug 28 Sep 26 Oct");
        assert_eq!(ticks("2026-01-20T00:00:00", 24 * 800, "Europe/Berlin"), "Jul 2027 Jul 2028");
        assert_eq!(ticks("2026-11-20T18:40:00", 0, "UTC"), "");
    }

    #[test]
    fn midnight_is_midnight_when_clocks_change() {
        assert_eq!(ticks("2026-10-24T12:00:00", 48, "Europe/Berlin"), "12:00 25 Oct 12:00 26 Oct");
        assert_eq!(ticks("2026-03-28T22:00:00", 6, "Europe/Berlin"), "22:00 29 Mar 04:00");
    }
}
