//! The days of a site before anybody counted them, from what the hub's own series still tell: for a page that is switched on, or a site that becomes public.
//!
//! ```text
//! known 08:00–22:00, fired 20:15–20:40  →  2026-11-20: known 50,400 s, disturbed 1,500 s
//! ```

use super::{Counts, day};
use crate::query::Then;
use rackside_onair::Zone;
use rackside_status::Day;
use std::collections::BTreeMap;
use std::ops::Range;

/// How much of each day was known and disturbed, by the clocks of `zone`.
pub(super) fn days(then: &Then, counts: Counts, zone: Zone) -> BTreeMap<i64, Day> {
    let counted = match counts {
        Counts::Always => then.known.clone(),
        Counts::OnAir => both(&then.known, &then.on_air),
    };
    let mut days: BTreeMap<i64, Day> = BTreeMap::new();
    for (number, lasts) in by_day(&counted, zone) {
        days.entry(number).or_default().known_ms += lasts;
    }
    for (number, lasts) in by_day(&both(&counted, &then.fired), zone) {
        days.entry(number).or_default().disturbed_ms += lasts;
    }
    days
}

/// Where spans of one list and of another lie over each other; both rise.
fn both(one: &[Range<i64>], other: &[Range<i64>]) -> Vec<Range<i64>> {
    let mut found = Vec::new();
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(a), Some(b)) = (one.peek(), other.peek()) {
        let span = a.start.max(b.start)..a.end.min(b.end);
        if a.end < b.end {
            one.next()
        } else {
            other.next()
        };
        if span.start < span.end {
            found.push(span);
        }
    }
    found
}

/// Spans cut at the site's midnights: the day, and how long of it.
fn by_day(spans: &[Range<i64>], zone: Zone) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    for span in spans {
        let mut from = span.start;
        while from < span.end {
            let tomorrow = zone.local(from).date().succ_opt().and_then(|date| date.and_hms_opt(0, 0, 0));
            let until = tomorrow.map_or(span.end, |midnight| zone.moment(midnight)).clamp(from + 1, span.end);
            found.push((day(zone, from), until - from));
            from = until;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_onair::NaiveDate;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    fn spans(spans: &[(i64, i64)]) -> Vec<Range<i64>> {
        spans.iter().map(|(from, until)| *from..*until).collect()
    }

    fn told(then: &Then, counts: Counts, zone: Zone) -> Vec<(i64, i64, i64)> {
        let days = days(then, counts, zone).into_iter();
        days.map(|(number, day)| (number, day.known_ms, day.disturbed_ms)).collect()
    }

    #[test]
    fn a_disturbance_over_midnight_is_of_two_days() {
        let noon = 20_000 * DAY + 12 * HOUR;
        let then = Then {
            known: spans(&[(noon, noon + DAY)]),
            on_air: spans(&[(noon + 9 * HOUR, noon + 13 * HOUR)]),
            fired: spans(&[(noon - HOUR, noon + HOUR), (noon + 11 * HOUR, noon + 14 * HOUR)]),
        };
        assert_eq!(
            told(&then, Counts::Always, Zone::UTC),
            [(20_000, 12 * HOUR, 2 * HOUR), (20_001, 12 * HOUR, 2 * HOUR)]
        );
        assert_eq!(
            told(&then, Counts::OnAir, Zone::UTC),
            [(20_000, 3 * HOUR, HOUR), (20_001, HOUR, HOUR)],
            "what was off the air counts neither way"
        );
        assert_eq!(told(&Then { known: Vec::new(), ..then }, Counts::Always, Zone::UTC), []);
    }

    #[test]
    fn a_day_on_which_clocks_are_set_has_its_hours() {
        let berlin: Zone = "Europe/Berlin".parse().expect("a zone");
        // 2026-10-25 has 25 hours there.
        let first = NaiveDate::from_ymd_opt(2026, 10, 25).and_then(|date| date.and_hms_opt(0, 0, 0));
        let from = berlin.moment(first.expect("a day"));
        let then = Then { known: spans(&[(from - HOUR, from + 26 * HOUR)]), ..Then::default() };
        let known: Vec<i64> = told(&then, Counts::Always, berlin).iter().map(|day| day.1 / HOUR).collect();
        assert_eq!(known, [1, 25, 1]);
    }
}
