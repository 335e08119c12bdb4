//! `histogram_quantile` over classic histograms: cumulative buckets, each with its upper bound in the label `le`.
//!
//! Sample: `x_bucket{le="0.1"} 4`, `x_bucket{le="1"} 10`, `x_bucket{le="+Inf"} 10`: the median is 0.1 + 0.9 · 1/6 = 0.25.

use std::collections::HashMap;

use super::Call;
use crate::error::EvalError;
use crate::labels::{Labels, METRIC_NAME, Part};
use crate::table::{Table, is_absent};
use crate::value::Value;

/// The label of a bucket's upper bound.
const BOUND: &str = "le";

/// Arguments: φ, and buckets of any number of histograms. Series without a bound are no buckets.
pub(super) fn over_buckets<'b>(call: &mut Call<'_, 'b>) -> Result<Value<'b>, EvalError> {
    let (phi, table) = (call.scalar(0), call.vector(1));
    // With the metric's name: the buckets of two metrics are never one histogram.
    let but_bound = [BOUND.into()];
    let _held = call.budget.lookup(table.len())?;
    let mut known: HashMap<(Part<'_>, &str), usize> = HashMap::default();
    let mut histograms: Vec<(Labels, Vec<(f64, usize)>)> = Vec::new();
    for (row, (labels, _)) in table.rows().enumerate() {
        let Some(bound) = bound(labels.value(BOUND)) else { continue };
        let histogram = (Part::without(labels, &but_bound), labels.value(METRIC_NAME));
        let at = *known.entry(histogram).or_insert_with_key(|(part, _)| {
            histograms.push((part.labels(), Vec::new()));
            histograms.len() - 1
        });
        histograms[at].1.push((bound, row));
    }
    let mut answer = Table::new(call.steps.count, call.budget);
    let mut buckets = Vec::new();
    for (labels, mut rows) in histograms {
        // In order once, so that each step has little left to sort.
        rows.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let cells = answer.push(labels)?;
        call.budget.work((rows.len() * cells.len()) as u64)?;
        for (step, cell) in cells.iter_mut().enumerate() {
            let counts =
                rows.iter().map(|(bound, row)| Bucket { bound: *bound, count: table.row(*row)[step] });
            buckets.clear();
            buckets.extend(counts.filter(|bucket| !is_absent(bucket.count)));
            if !buckets.is_empty() {
                *cell = quantile(phi.row(0)[step], &mut buckets);
            }
        }
    }
    Ok(Value::Vector(answer))
}

/// So many observations were at or below this bound.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// The bound that a label `le` names. Go's syntax of decimal numbers; one that is too large for a number is none.
fn bound(le: &str) -> Option<f64> {
    let digits = le.trim_start_matches(['+', '-']);
    let bound: f64 = le.parse().ok()?;
    let word = digits.starts_with(|first: char| first.is_ascii_alphabetic());
    match bound {
        _ if bound.is_infinite() && !word => None,
        _ if bound.is_nan() && digits.len() != le.len() => None,
        _ => Some(bound),
    }
}

/// The φ-quantile, taken as spread evenly within its bucket. NaN if the buckets do not reach to infinity or hold nothing.
/// Sorts and mends `buckets`.
fn quantile(phi: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return f64::NAN;
    }
    merge(buckets);
    make_cumulative(buckets);
    let [finite @ .., all] = buckets.as_slice() else { return f64::NAN };
    let Some(highest) = finite.last() else { return f64::NAN };
    if all.count == 0.0 {
        return f64::NAN;
    }
    let rank = phi * all.count;
    let at = first_to_reach(rank, finite);
    let Some(bucket) = finite.get(at) else { return highest.bound };
    // The lowest bucket begins at 0, unless it ends at or below that.
    match at.checked_sub(1).map(|below| finite[below]) {
        None if bucket.bound <= 0.0 => bucket.bound,
        None => bucket.bound * (rank / bucket.count),
        Some(below) => {
            let within = (rank - below.count) / (bucket.count - below.count);
            below.bound + (bucket.bound - below.bound) * within
        }
    }
}

/// The first bucket with at least `rank` observations, by halving. Which one that is among counts that are NaN depends on
/// the way there: this is Prometheus's.
fn first_to_reach(rank: f64, buckets: &[Bucket]) -> usize {
    let (mut from, mut to) = (0, buckets.len());
    while from < to {
        let middle = usize::midpoint(from, to);
        if buckets[middle].count >= rank {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    from
}

/// Buckets of the same bound (`le="1"`, `le="1.0"`) become one.
fn merge(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let same = next.bound == kept.bound;
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// Counts that fall (scraped at different moments, or aggregated) are raised to the one before.
fn make_cumulative(buckets: &mut [Bucket]) {
    let Some(first) = buckets.first() else { return };
    let mut highest = first.count;
    for bucket in buckets {
        if bucket.count > highest {
            highest = bucket.count;
        } else if bucket.count < highest {
            bucket.count = highest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    fn of(phi: f64, pairs: &[(f64, f64)]) -> f64 {
        quantile(phi, &mut buckets(pairs))
    }

    const PLAIN: [(f64, f64); 3] = [(1.0, 10.0), (INF, 12.0), (0.5, 4.0)];

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        assert_eq!(of(0.5, &PLAIN), 0.5 + 0.5 * (2.0 / 6.0));
        assert_eq!(of(0.25, &PLAIN), 0.5 * (3.0 / 4.0));
        assert_eq!(of(0.0, &PLAIN), 0.0);
    }

    #[test]
    fn beyond_the_last_finite_bound_the_answer_is_that_bound() {
        assert_eq!(of(0.95, &PLAIN), 1.0);
        assert_eq!(of(1.0, &[(-1.0, 4.0), (INF, 4.0)]), -1.0);
    }

    #[test]
    fn outside_of_zero_and_one_there_are_infinities() {
        assert_eq!([of(-0.1, &PLAIN), of(1.1, &PLAIN)], [-INF, INF]);
        assert!(of(f64::NAN, &PLAIN).is_nan());
    }

    #[test]
    fn buckets_that_hold_nothing_or_end_too_early_have_no_quantile() {
        for pairs in [&[(1.0, 10.0)][..], &[(INF, 10.0)], &[(1.0, 0.0), (INF, 0.0)]] {
            assert!(of(0.5, pairs).is_nan(), "{pairs:?}");
        }
    }

    #[test]
    fn equal_bounds_are_merged_and_falling_counts_raised() {
        let mut mended = buckets(&[(1.0, 2.0), (1.0, 3.0), (2.0, 4.0), (3.0, 8.0), (INF, 7.0)]);
        quantile(0.5, &mut mended);
        assert_eq!(mended, buckets(&[(1.0, 5.0), (2.0, 5.0), (3.0, 8.0), (INF, 8.0)]));
    }

    #[test]
    fn bounds_are_numbers_as_go_writes_them() {
        for (le, expected) in [
            ("0.1", 0.1),
            ("+Inf", INF),
            ("-inf", -INF),
            ("infinity", INF),
            ("1e3", 1000.0),
            (".5", 0.5),
            ("5.", 5.0),
        ] {
            assert_eq!(bound(le), Some(expected), "{le}");
        }
        for le in ["", " 1", "1e999", "+nan", "ten", "1,5"] {
            assert_eq!(bound(le), None, "{le}");
        }
    }
}
