//! What the history has of one appliance, as samples: those of days that are kept sample by sample as they are, older days made of rollups.
//!
//! A rollup is a bucket of a minute or an hour, and a query wants samples: each bucket becomes what the query will make of it, at the
//! bucket's last millisecond. That is its maximum for `max_over_time`, its mean for `avg_over_time`; for `rate` the sum of all rises so far,
//! counted back from the value that the counter has at the end, so that what follows joins on. Buckets of an hour are told again
//! every few minutes until the next, so that a look back of five minutes finds them.
//!
//! ```text
//! raw    41.0 41.5 42.0 … six a minute            minute   [12:00, 12:01): count 6, min 41.0, max 42.0, last 42.0
//! max_over_time(x[5m]) reads                      12:00:59.999 = 42.0
//! ```

use crate::moment::rfc3339;
use crate::storage::HistoryConfig;
use rackside_config::Span;
use rackside_history::{Reader, Resolution, SeriesId, SeriesKey, StoreError, rollup};
use rackside_promql::{Reduce, STALE, Sample};
use rackside_proto::{AgentName, Kind, Scale};
use std::ops::Range;

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
/// A bucket of an hour is told again after this: a look back of five minutes finds it whenever it looks.
const AGAIN: i64 = 240_000;
/// Samples that are made of one bucket of a minute at most, where their number counts.
const COUNTED: u64 = 60;

/// Until when the history has what, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ages {
    /// From there on every sample.
    pub(super) raw: i64,
    /// From there on buckets of a minute.
    pub(super) minute: i64,
}

/// For how long the history keeps what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Every sample, in milliseconds.
    pub raw: i64,
    /// Buckets of a minute, in milliseconds.
    pub minute: i64,
}

impl Kept {
    /// As configured.
    pub fn of(config: &HistoryConfig) -> Self {
        let ms = |span: Span| span.get().as_millis() as i64;
        Self { raw: ms(config.raw), minute: ms(config.minute) }
    }

    /// Whole days move on: a day is rolled up when all of it is too old.
    pub(super) fn ages(self, now: i64) -> Ages {
        let whole = |kept: i64| now.saturating_sub(kept).div_euclid(DAY) * DAY;
        Ages { raw: whole(self.raw), minute: whole(self.minute) }
    }
}

/// What a query will make of the samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) reduce: Reduce,
    pub(super) step: Option<i64>,
    pub(super) window: Option<i64>,
}

impl Wish {
    /// Whether an hour is fine enough: the steps are so far apart, and the windows that are looked at hold several.
    fn takes_hours(self) -> bool {
        let fits = self.window.is_none_or(|window| window >= 2 * HOUR);
        let counts = matches!(self.reduce, Reduce::Count | Reduce::Samples | Reduce::Sum);
        self.step.is_some_and(|step| step >= HOUR) && fits && !counts
    }
}

/// Where older values come from, in words; nothing, where all are samples.
pub(super) fn warning(wish: Wish, ages: Ages, from: i64) -> Option<String> {
    if from >= ages.raw {
        return None;
    }
    let date = rfc3339(u64::try_from(ages.raw).unwrap_or_default());
    let by = if wish.takes_hours() { "hour" } else { "minute" };
    let minutes = date.get(..16).unwrap_or_default();
    Some(format!("values before {minutes}Z come from rollups by the {by}"))
}

/// Series of one appliance that are to be read.
pub(super) struct Past<'a> {
    pub(super) reader: &'a Reader,
    pub(super) agent: &'a AgentName,
    pub(super) ages: Ages,
    pub(super) wish: Wish,
}

impl Past<'_> {
    /// The samples of several series from `from` to `to`, both included, each in order of time.
    pub(super) fn read(
        &self,
        series: &[(SeriesId, &SeriesKey)],
        from: i64,
        to: i64,
    ) -> Result<Vec<Vec<Sample>>, StoreError> {
        let mut all = vec![Vec::new(); series.len()];
        if from < self.ages.raw {
            for (samples, (id, key)) in all.iter_mut().zip(series) {
                self.rolled(*id, key, from, to.min(self.ages.raw - 1), samples)?;
            }
        }
        if to < self.ages.raw {
            return Ok(all);
        }
        let ids: Vec<SeriesId> = series.iter().map(|(id, _)| *id).collect();
        let range = range(from.max(self.ages.raw), to);
        for (id, found) in self.reader.several(self.agent, &ids, range)? {
            let Some(at) = ids.iter().position(|known| *known == id) else { continue };
            let scale = series[at].1.scale;
            let of = |(&ms, value): (&u64, &Option<i64>)| {
                Sample::new(ms as i64, value.map_or(STALE, |number| scale.value(number)))
            };
            all[at].extend(found.times.iter().zip(&found.values).map(of));
        }
        Ok(all)
    }

    fn rolled(
        &self,
        id: SeriesId,
        key: &SeriesKey,
        from: i64,
        to: i64,
        samples: &mut Vec<Sample>,
    ) -> Result<(), StoreError> {
        let minutes = if self.wish.takes_hours() { to + 1 } else { self.ages.minute.clamp(from, to + 1) };
        for (from, to, resolution) in
            [(from, minutes - 1, Resolution::Hour), (minutes, to, Resolution::Minute)]
        {
            if from <= to {
                let buckets = self.reader.rollup(self.agent, id, range(from, to), resolution)?;
                let step = resolution.step_ms() as i64;
                samples.extend(made_of(&buckets, step, key, self.wish.reduce));
            }
        }
        // Ranges are widened to whole steps, and what is told again may come after what follows.
        samples.retain(|sample| (from..=to).contains(&sample.at));
        samples.sort_by_key(|sample| sample.at);
        samples.dedup_by_key(|sample| sample.at);
        Ok(())
    }
}

fn range(from: i64, to: i64) -> Range<u64> {
    let ms = |at: i64| u64::try_from(at).unwrap_or_default();
    ms(from)..ms(to.saturating_add(1))
}

/// Samples for what `reduce` will make of them.
fn made_of(buckets: &[rollup::Bucket], step: i64, key: &SeriesKey, reduce: Reduce) -> Vec<Sample> {
    let scaled = |number: f64| number * f64::from(key.scale.times) / f64::from(key.scale.per);
    let of = |number: Option<i64>| number.map(|number| key.scale.value(number));
    let is_counted = reduce == Reduce::Counter && key.kind == Kind::Counter;
    let risen = if is_counted { rises(buckets, key.scale) } else { Vec::new() };
    let mut samples = Vec::with_capacity(buckets.len());
    for (at, bucket) in buckets.iter().enumerate() {
        let end = bucket.start as i64 + step - 1;
        let last = of(bucket.last);
        let mean = bucket.mean().map(scaled).or(last);
        let value = match reduce {
            Reduce::Counter => risen.get(at).copied().unwrap_or(last),
            Reduce::Min => of(bucket.min).or(last),
            Reduce::Max => of(bucket.max).or(last),
            Reduce::Mean => mean,
            Reduce::Sum | Reduce::Count => {
                several(bucket, step, mean, &mut samples);
                continue;
            }
            Reduce::Last | Reduce::Samples => last,
        };
        let value = value.unwrap_or(STALE);
        samples.push(Sample::new(end, value));
        let until = buckets.get(at + 1).map_or(end + step, |next| next.start as i64 + step - 1);
        if matches!(reduce, Reduce::Last | Reduce::Samples) && value.to_bits() != STALE.to_bits() {
            let again = (1..).map(|n| end + n * AGAIN).take_while(|at| *at < until.min(end + step));
            samples.extend(again.map(|at| Sample::new(at, value)));
        }
    }
    samples
}

/// As many samples as were read, each the mean: so both their number and their sum are right.
fn several(bucket: &rollup::Bucket, step: i64, mean: Option<f64>, samples: &mut Vec<Sample>) {
    let most = COUNTED * (step as u64 / 60_000).max(1);
    let count = bucket.count.min(most) as i64;
    let start = bucket.start as i64;
    let each = |n: i64| Sample::new(start + (n + 1) * step / count - 1, mean.unwrap_or(STALE));
    if count > 0 {
        samples.extend((0..count).map(each));
    } else if bucket.last.is_none() {
        samples.push(Sample::new(start + step - 1, STALE));
    }
}

/// What a counter that never started anew would have shown at the end of each bucket.
fn rises(buckets: &[rollup::Bucket], scale: Scale) -> Vec<Option<f64>> {
    let Some(end) = buckets.iter().rev().find_map(|bucket| bucket.last) else {
        return vec![None; buckets.len()];
    };
    let mut shown: Vec<Option<f64>> = Vec::with_capacity(buckets.len());
    let mut value = end;
    for bucket in buckets.iter().rev() {
        shown.push((bucket.count > 0).then(|| scale.value(value)));
        value = value.saturating_sub(i64::try_from(bucket.increase).unwrap_or(i64::MAX));
    }
    shown.reverse();
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_history::rollup::Bucket;

    fn key(kind: Kind) -> SeriesKey {
        SeriesKey { name: "x".into(), labels: Box::default(), unit: "".into(), kind, scale: Scale::per(10) }
    }

    fn gauge(start: u64, min: i64, max: i64, last: Option<i64>) -> Bucket {
        let (count, weight, sum) = (2, 2, min + max);
        Bucket { start, count, weight, sum, min: Some(min), max: Some(max), last, increase: 0 }
    }

    fn made(buckets: &[Bucket], step: i64, kind: Kind, reduce: Reduce) -> Vec<(i64, f64)> {
        made_of(buckets, step, &key(kind), reduce).iter().map(|sample| (sample.at, sample.value)).collect()
    }

    #[test]
    fn a_minute_is_what_the_query_will_make_of_it() {
        let buckets = [gauge(0, 10, 30, Some(12))];
        for (reduce, value) in
            [(Reduce::Min, 1.0), (Reduce::Max, 3.0), (Reduce::Mean, 2.0), (Reduce::Last, 1.2)]
        {
            assert_eq!(made(&buckets, 60_000, Kind::Gauge, reduce), [(59_999, value)], "{reduce:?}");
        }
        let twice = made(&buckets, 60_000, Kind::Gauge, Reduce::Sum);
        assert_eq!(twice, [(29_999, 2.0), (59_999, 2.0)], "as many as there were");
    }

    #[test]
    fn a_counter_rises_as_it_rose_over_its_new_start() {
        let of = |start, increase, last| Bucket {
            start,
            count: 1,
            increase,
            last: Some(last),
            ..Bucket::default()
        };
        let buckets = [of(0, 0, 1000), of(60_000, 50, 1050), of(120_000, 20, 20), of(180_000, 10, 30)];
        let shown: Vec<f64> =
            made(&buckets, 60_000, Kind::Counter, Reduce::Counter).iter().map(|one| one.1).collect();
        assert_eq!(shown, [-5.0, 0.0, 2.0, 3.0], "it ends where the counter is, and never falls");
        let last: Vec<f64> =
            made(&buckets, 60_000, Kind::Counter, Reduce::Last).iter().map(|one| one.1).collect();
        assert_eq!(last, [100.0, 105.0, 2.0, 3.0]);
    }

    #[test]
    fn an_hour_is_found_whenever_one_looks_back_for_five_minutes() {
        let buckets = [gauge(0, 10, 30, Some(12)), gauge(HOUR as u64, 0, 1, Some(1))];
        let samples = made(&buckets, HOUR, Kind::Gauge, Reduce::Last);
        for at in (HOUR..3 * HOUR - 1).step_by(7_000) {
            let newest = samples.iter().rev().find(|sample| sample.0 <= at).expect("an earlier one");
            assert!(at - newest.0 < 300_000, "{at}: {newest:?}");
            let tenths = (newest.1 * 10.0) as i64;
            assert_eq!(tenths, if at < 2 * HOUR - 1 { 12 } else { 1 }, "{at}");
        }
    }

    #[test]
    fn what_had_ended_is_stale() {
        let samples = made(&[gauge(0, 10, 30, None)], 60_000, Kind::Gauge, Reduce::Last);
        assert_eq!((samples.len(), samples[0].1.to_bits()), (1, STALE.to_bits()));
    }

    #[test]
    fn ages_are_whole_days_and_the_warning_names_the_first_moment_of_samples() {
        let now = 1_795_145_119_000;
        let ages = Kept { raw: 30 * DAY, minute: 180 * DAY }.ages(now);
        let wish = Wish { reduce: Reduce::Last, step: None, window: None };
        assert_eq!(warning(wish, ages, ages.raw), None);
        let said = warning(wish, ages, ages.raw - 1).expect("a warning");
        assert_eq!(said, "values before 2026-10-21T00:00Z come from rollups by the minute");
        let coarse = Wish { step: Some(HOUR), ..wish };
        assert!(warning(coarse, ages, 0).expect("a warning").ends_with("by the hour"));
        let narrow = Wish { window: Some(300_000), ..coarse };
        assert!(warning(narrow, ages, 0).expect("a warning").ends_with("by the minute"));
    }
}
