//! How a site was, as far as series of the hub's own tell it afterwards: when anybody watched, when it was on air, when alerts fired. For what nobody counted at the time.
//!
//! Sample: `arena-north: known 08:00–22:00, on air 19:01–22:10, fired 20:15–20:40`
//!
//! Invariant: spans of one kind rise and do not touch.

use super::Fleetwide;
use super::meanwhile::{LOOK_BACK, is, joined, spans};
use rackside_promql::{Labels, METRIC_NAME, Sample, SourceError, Stop};
use std::ops::Range;

/// Of a range of time, in milliseconds since 1970.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Then {
    /// When the hub ran and had something to say of the site.
    pub(crate) known: Vec<Range<i64>>,
    /// When it was on air.
    pub(crate) on_air: Vec<Range<i64>>,
    /// When one of the alerts fired that were asked for.
    pub(crate) fired: Vec<Range<i64>>,
}

impl Fleetwide {
    /// How a site was, with the alerts that `is_asked` says.
    pub(crate) fn then(
        &self,
        site: &str,
        range: &Range<i64>,
        is_asked: &dyn Fn(&Labels) -> bool,
        stopped: &dyn Fn() -> Option<Stop>,
    ) -> Result<Then, SourceError> {
        let mut found = Then::default();
        for metric in ["rackside_site_on_air", super::UP] {
            let of = [is(METRIC_NAME, metric), is("site", site)];
            self.made(&of, range, stopped, &mut |_, samples| {
                found.known.extend(said(samples, range));
                if metric != super::UP {
                    found.on_air.extend(spans(samples, range));
                }
            })?;
        }
        let firing = [is(METRIC_NAME, "ALERTS"), is("alertstate", "firing"), is("site", site)];
        self.made(&firing, range, stopped, &mut |labels, samples| {
            if is_asked(labels) {
                found.fired.extend(spans(samples, range));
            }
        })?;
        let Then { known, on_air, fired } = found;
        Ok(Then { known: joined(known), on_air: joined(on_air), fired: joined(fired) })
    }
}

/// When a series said anything, whatever it was.
fn said(samples: &[Sample], range: &Range<i64>) -> Vec<Range<i64>> {
    let mut spans: Vec<Range<i64>> = Vec::new();
    for sample in samples.iter().filter(|sample| !sample.is_stale()) {
        match spans.last_mut().filter(|last| sample.at.saturating_sub(last.end) <= LOOK_BACK) {
            Some(last) => last.end = sample.at,
            None => spans.push(sample.at..sample.at),
        }
    }
    let within = spans.into_iter().map(|span| span.start.max(range.start)..span.end.min(range.end));
    within.filter(|span| span.start < span.end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_promql::STALE;

    #[test]
    fn what_says_nothing_for_long_is_not_known() {
        let minute = 60_000;
        let at = |minutes: i64, value: f64| Sample::new(minutes * minute, value);
        let samples =
            [at(0, 0.0), at(4, 1.0), at(5, 0.0), at(20, 0.0), at(21, STALE), at(40, 0.0), at(44, 0.0)];
        let all = said(&samples, &(minute..43 * minute));
        assert_eq!(all, [minute..5 * minute, 40 * minute..43 * minute]);
    }
}
