//! What is left of samples once they are too old to be kept one by one: buckets of a minute or an hour.
//!
//! What makes sense differs by kind. A bucket holds sums, not means, so that the hours made of minutes are exactly the hours
//! made of samples:
//!
//! ```text
//! gauge    count · sum · min · max · last            mean = sum / count: samples come at a steady tick
//! counter  count · increase · last                   a number below the one before is a start from 0
//! state    count · sum · weight · min · max · last   sum of number x milliseconds; mean = sum / weight: what share of the time
//! ```
//!
//! Invariant: buckets are in order of their starts, which are multiples of the step.

pub(crate) mod codec;

pub use codec::{Rollup, column, decode, encode, merge};
pub(crate) use codec::{columns_of, replace};

use crate::Samples;
use crate::keys::MINUTE_MS;
use rackside_proto::Kind;
use std::ops::Range;

/// How long a state is taken to hold without a new sample: Prometheus's look-back. Afterwards nobody knows.
pub const HOLDS_MS: u64 = 300_000;

/// What is known of one series over one step of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    /// Its first millisecond since 1970-01-01 UTC.
    pub start: u64,
    /// How many known numbers were read in it. 0 when there was only staleness, or when a state just held on.
    pub count: u64,
    /// What `sum` is divided by: readings for a gauge, milliseconds for a state, 0 for a counter.
    pub weight: u64,
    /// Gauge: of the numbers; state: of number x milliseconds; 0 for a counter. Stays at the ends of its range.
    pub sum: i64,
    /// The lowest number; `None` for a counter and where nothing is known.
    pub min: Option<i64>,
    /// The highest number; likewise.
    pub max: Option<i64>,
    /// The last sample, or what a state held on from before; `None` when the series had ended by then.
    pub last: Option<i64>,
    /// By how much a counter rose.
    pub increase: u64,
}

impl Bucket {
    /// The mean on the series' scale; over readings for a gauge, over time for a state.
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0).then(|| self.sum as f64 / self.weight as f64)
    }

    fn at(start: u64) -> Self {
        Self { start, ..Self::default() }
    }

    fn spans(&mut self, low: i64, high: i64) {
        self.min = Some(self.min.map_or(low, |min| min.min(low)));
        self.max = Some(self.max.map_or(high, |max| max.max(high)));
    }

    fn take_in(&mut self, later: &Self) {
        self.count += later.count;
        self.weight += later.weight;
        self.sum = self.sum.saturating_add(later.sum);
        self.increase = self.increase.saturating_add(later.increase);
        if let (Some(min), Some(max)) = (later.min, later.max) {
            self.spans(min, max);
        }
        self.last = later.last;
    }
}

/// The buckets of `step` milliseconds within `window`, of samples that lie in it. `before` is the last sample ahead of the
/// window, if it is known: a counter rises from it, a state holds on from it.
pub fn of(
    kind: Kind,
    samples: &Samples,
    before: Option<(u64, i64)>,
    window: Range<u64>,
    step: u64,
) -> Vec<Bucket> {
    let inside = samples.times.iter().copied().zip(samples.values.iter().copied());
    let inside = inside.filter(|(time, _)| window.contains(time));
    let mut buckets = Buckets { step: step.max(1), list: Vec::new() };
    let mut before = before;
    for (time, value) in inside {
        if let (Kind::State, Some((since, held))) = (kind, before) {
            buckets.hold(held, since.max(window.start)..time.min(since.saturating_add(HOLDS_MS)));
        }
        let bucket = buckets.at(time);
        bucket.last = value;
        if let Some(number) = value {
            bucket.count += 1;
            match kind {
                Kind::Counter => {
                    let rise = before.map_or(0, |(_, last)| rise(last, number));
                    bucket.increase = bucket.increase.saturating_add(rise);
                }
                Kind::Gauge => {
                    bucket.weight += 1;
                    bucket.sum = bucket.sum.saturating_add(number);
                    bucket.spans(number, number);
                }
                Kind::State => bucket.spans(number, number),
            }
        }
        // A counter that was gone for a while goes on from where it was.
        before = match (kind, value) {
            (Kind::Counter, None) => before,
            (_, value) => value.map(|number| (time, number)),
        };
    }
    if let (Kind::State, Some((since, held))) = (kind, before) {
        buckets.hold(held, since.max(window.start)..window.end.min(since.saturating_add(HOLDS_MS)));
    }
    buckets.list
}

/// Wider buckets of narrower ones, which are in order; `step` is a multiple of theirs.
pub fn widen(buckets: &[Bucket], step: u64) -> Vec<Bucket> {
    let mut wide = Buckets { step: step.max(1), list: Vec::new() };
    for bucket in buckets {
        wide.at(bucket.start).take_in(bucket);
    }
    wide.list
}

/// By how much a counter rose: from 0, if it is below where it was.
fn rise(before: i64, now: i64) -> u64 {
    if now >= before { now.abs_diff(before) } else { u64::try_from(now).unwrap_or(0) }
}

/// Buckets in the making; time only goes on.
struct Buckets {
    step: u64,
    list: Vec<Bucket>,
}

impl Buckets {
    /// The bucket of `time`, which is not before the last one.
    fn at(&mut self, time: u64) -> &mut Bucket {
        let start = time - time % self.step;
        if self.list.last().is_none_or(|last| last.start != start) {
            self.list.push(Bucket::at(start));
        }
        self.list.last_mut().expect("one was pushed if there was none")
    }

    /// A state's number over `span`, cut where buckets meet.
    fn hold(&mut self, number: i64, span: Range<u64>) {
        let mut from = span.start;
        while from < span.end {
            let end = (from - from % self.step).saturating_add(self.step).min(span.end);
            let started = self.list.last().map(|last| last.start);
            let bucket = self.at(from);
            let milliseconds = end - from;
            bucket.weight += milliseconds;
            bucket.sum = bucket.sum.saturating_add(number.saturating_mul(milliseconds as i64));
            bucket.spans(number, number);
            if started != Some(bucket.start) {
                bucket.last = Some(number);
            }
            from = end;
        }
    }
}

/// The last number of a rollup that is worth going on from, at the end of its minute: counters rise from it, states hold on
/// from it.
pub(crate) fn last_of(rollup: &Rollup) -> Option<(u64, i64)> {
    let known = |bucket: &Bucket| Some((bucket.start + MINUTE_MS, bucket.last?));
    match rollup.kind {
        // A counter that was gone for a while goes on from where it was; a state that ended does not.
        Kind::Counter | Kind::Gauge => rollup.buckets.iter().rev().find_map(known),
        Kind::State => rollup.buckets.last().and_then(known),
    }
}

/// Buckets of both, those of one start taken together.
pub(crate) fn together(mut buckets: Vec<Bucket>, more: Vec<Bucket>, step: u64) -> Vec<Bucket> {
    buckets.extend(more);
    buckets.sort_by_key(|bucket| bucket.start);
    widen(&buckets, step)
}

#[cfg(test)]
mod tests;
