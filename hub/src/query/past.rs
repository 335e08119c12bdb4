//! What the history has of one appliance, as samples: those of days that are kept sample by sample as they are, older days made of rollups.
//!
//! A rollup is a bucket of a minute or an hour, and a query wants samples: each bucket becomes what the query will make of it, at the
//! bucket's last millisecond. That is its maximum for `max_over_time`, its mean for `avg_over_time`; for `rate` the sum of all rises so far,
//! counted back from the value that the counter has at the end, so that what follows joins on. Buckets of an hour are told again
//! every few minutes until the next, so that a look back of five minutes finds them.
//!
//! Read is piece by piece, and how many samples a piece will be is known before one is made: what a query has no room for ends it.
//!
//! ```text
//! raw    41.0 41.5 42.0 … six a minute            minute   [12:00, 12:01): count 6, min 41.0, max 42.0, last 42.0
//! max_over_time(x[5m]) reads                      12:00:59.999 = 42.0
//! ```

use super::failed;
use crate::moment::rfc3339;
use crate::storage::HistoryConfig;
use rackside_config::Span;
use rackside_history::{Reader, Resolution, SeriesId, SeriesKey, rollup};
use rackside_promql::{Reduce, STALE, Sample, SourceError, Stop};
use rackside_proto::{AgentName, Kind};
use std::ops::Range;

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
/// A bucket of an hour is told again after this: a look back of five minutes finds it whenever it looks.
const AGAIN: i64 = 240_000;
/// Samples that are made of one bucket of a minute at most, where their number counts.
const COUNTED: u64 = 60;
const MINUTE: i64 = 60_000;
/// Buckets that are read at once: 16 days of minutes, 960 of hours.
const BUCKETS: i64 = 23_040;
/// Days of samples that are read at once of all series together: what they take in memory is bounded so.
pub(super) const SERIES_DAYS: i64 = 8;

/// Until when the history has what, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ages {
    /// From there on every sample.
    pub(super) raw: i64,
    /// From there on buckets of a minute.
    pub(super) minute: i64,
    /// From there on nothing: clocks of agents are ahead by less.
    pub(super) end: i64,
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
        Ages { raw: whole(self.raw), minute: whole(self.minute), end: now.saturating_add(DAY) }
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
    /// Samples of one series that whoever asks has room for.
    pub(super) room: usize,
    /// Why whoever asks does not want it any more: asked ahead of each piece.
    pub(super) stopped: &'a dyn Fn() -> Option<Stop>,
}

impl Past<'_> {
    /// The samples of several series from `from` to `to`, both included, each in order of time.
    pub(super) fn read(
        &self,
        series: &[(SeriesId, &SeriesKey)],
        from: i64,
        to: i64,
    ) -> Result<Vec<Vec<Sample>>, SourceError> {
        // A question may reach back to before there was anything, and far ahead.
        let (from, to) = (from.max(0), to.min(self.ages.end));
        let mut all = vec![Vec::new(); series.len()];
        if from < self.ages.raw {
            for (samples, (id, key)) in all.iter_mut().zip(series) {
                *samples = self.rolled(*id, key, from, to.min(self.ages.raw - 1))?;
            }
        }
        let ids: Vec<SeriesId> = series.iter().map(|(id, _)| *id).collect();
        let days = (SERIES_DAYS / ids.len().max(1) as i64).max(1) * DAY;
        let mut from = from.max(self.ages.raw);
        while from <= to {
            self.goes_on()?;
            let until = to.min(from.saturating_add(days - 1));
            let several = self.reader.several(self.agent, &ids, range(from, until));
            for (id, found) in several.map_err(|error| failed(&error))? {
                let Some(at) = ids.iter().position(|known| *known == id) else { continue };
                let (samples, key) = (&mut all[at], series[at].1);
                self.fits(key, samples.len() + found.times.len())?;
                let of = |(&ms, value): (&u64, &Option<i64>)| {
                    Sample::new(ms as i64, value.map_or(STALE, |number| key.scale.value(number)))
                };
                samples.extend(found.times.iter().zip(&found.values).map(of));
            }
            from = until + 1;
        }
        Ok(all)
    }

    /// Newest first, since a counter is counted back.
    fn rolled(&self, id: SeriesId, key: &SeriesKey, from: i64, to: i64) -> Result<Vec<Sample>, SourceError> {
        let minutes = if self.wish.takes_hours() { to + 1 } else { self.ages.minute.clamp(from, to + 1) };
        let mut made = Made::new(key, self.wish.reduce);
        for (from, to, resolution) in
            [(minutes, to, Resolution::Minute), (from, minutes - 1, Resolution::Hour)]
        {
            let step = resolution.step_ms() as i64;
            let mut end = to;
            while from <= end {
                self.goes_on()?;
                let start = ((end - BUCKETS * step).div_euclid(DAY) * DAY + DAY).clamp(from, end);
                let buckets = self.reader.rollup(self.agent, id, range(start, end), resolution);
                let buckets = buckets.map_err(|error| failed(&error))?;
                self.fits(key, made.with(&buckets, step))?;
                // What is told again of a bucket may reach over the end of its piece, and not over that of what is told by such buckets.
                made.add(&buckets, step, (start, to));
                end = start - 1;
            }
        }
        Ok(made.samples())
    }

    fn goes_on(&self) -> Result<(), SourceError> {
        (self.stopped)().map_or(Ok(()), |stop| Err(SourceError::Stopped(stop)))
    }

    fn fits(&self, key: &SeriesKey, samples: usize) -> Result<(), SourceError> {
        if samples <= self.room {
            return Ok(());
        }
        let (name, agent, room) = (&key.name, self.agent, self.room);
        let what =
            format!("{name} of {agent} has more than {room} samples in this time, and they do not fit");
        Err(SourceError::TooMuch(format!("{what} into the memory of a query; ask for less time at once")))
    }
}

fn range(from: i64, to: i64) -> Range<u64> {
    let ms = |at: i64| u64::try_from(at).unwrap_or_default();
    ms(from)..ms(to.saturating_add(1))
}

/// Samples of one series for what `reduce` will make of them, gathered from the newest bucket to the oldest.
struct Made<'a> {
    key: &'a SeriesKey,
    reduce: Reduce,
    /// The newest first.
    samples: Vec<Sample>,
    /// What a counter that never started anew would have shown ahead of the buckets so far.
    shown: Option<i64>,
}

impl<'a> Made<'a> {
    fn new(key: &'a SeriesKey, reduce: Reduce) -> Self {
        Self { key, reduce, samples: Vec::new(), shown: None }
    }

    /// How many samples there are at most, once these are added.
    fn with(&self, buckets: &[rollup::Bucket], step: i64) -> usize {
        let of_each = match self.reduce {
            Reduce::Count => {
                let counts = buckets.iter().map(|bucket| counted(bucket, step).max(1) as usize);
                return self.samples.len() + counts.sum::<usize>();
            }
            Reduce::Sum => parts(step),
            Reduce::Last | Reduce::Samples => 1 + step / AGAIN,
            Reduce::Counter | Reduce::Min | Reduce::Max | Reduce::Mean => 1,
        };
        self.samples.len() + buckets.len() * of_each as usize
    }

    /// Adds buckets that are older than those so far, and of what is made of them that from `from` to `to`: buckets stand for whole steps, and what
    /// is told again may come after what follows.
    fn add(&mut self, buckets: &[rollup::Bucket], step: i64, (from, to): (i64, i64)) {
        let is_counted = self.reduce == Reduce::Counter && self.key.kind == Kind::Counter;
        let shown = if is_counted { self.rises(buckets) } else { Vec::new() };
        self.samples.reserve_exact(self.with(buckets, step) - self.samples.len());
        let mut each = Vec::new();
        for (at, bucket) in buckets.iter().enumerate().rev() {
            let last = || bucket.last.map(|number| self.key.scale.value(number));
            let risen = shown.get(at).map_or_else(last, |shown| *shown);
            self.of_bucket(bucket, step, risen, &mut each);
            let within = each.drain(..).rev().filter(|sample: &Sample| (from..=to).contains(&sample.at));
            self.samples.extend(within);
        }
    }

    fn of_bucket(&self, bucket: &rollup::Bucket, step: i64, risen: Option<f64>, samples: &mut Vec<Sample>) {
        let scale = self.key.scale;
        let of = |number: Option<i64>| number.map(|number| scale.value(number));
        let end = bucket.start as i64 + step - 1;
        let last = of(bucket.last);
        let scaled = |number: f64| number * f64::from(scale.times) / f64::from(scale.per);
        let mean = bucket.mean().map(scaled).or(last);
        let value = match self.reduce {
            Reduce::Counter => risen,
            Reduce::Min => of(bucket.min).or(last),
            Reduce::Max => of(bucket.max).or(last),
            Reduce::Mean => mean,
            Reduce::Sum => {
                let sum = mean.map(|mean| mean * bucket.count as f64 / parts(step) as f64);
                return several(bucket, step, (parts(step), sum), samples);
            }
            Reduce::Count => return several(bucket, step, (counted(bucket, step), mean), samples),
            Reduce::Last | Reduce::Samples => last,
        };
        let value = value.unwrap_or(STALE);
        samples.push(Sample::new(end, value));
        if matches!(self.reduce, Reduce::Last | Reduce::Samples) && value.to_bits() != STALE.to_bits() {
            let again = (1..).map(|n| end + n * AGAIN).take_while(|at| *at < end + step);
            samples.extend(again.map(|at| Sample::new(at, value)));
        }
    }

    /// What a counter that never started anew would have shown at the end of each bucket.
    fn rises(&mut self, buckets: &[rollup::Bucket]) -> Vec<Option<f64>> {
        let newest = || buckets.iter().rev().find_map(|bucket| bucket.last);
        let Some(mut value) = self.shown.or_else(newest) else { return vec![None; buckets.len()] };
        let mut shown: Vec<Option<f64>> = Vec::with_capacity(buckets.len());
        for bucket in buckets.iter().rev() {
            shown.push((bucket.count > 0).then(|| self.key.scale.value(value)));
            value = value.saturating_sub(i64::try_from(bucket.increase).unwrap_or(i64::MAX));
        }
        self.shown = Some(value);
        shown.reverse();
        shown
    }

    /// All of them, in order of time.
    fn samples(mut self) -> Vec<Sample> {
        self.samples.reverse();
        self.samples.sort_by_key(|sample| sample.at);
        self.samples.dedup_by_key(|sample| sample.at);
        self.samples
    }
}

/// As many samples as a bucket's sum is divided into: those of an hour as fine as those of a minute.
fn parts(step: i64) -> i64 {
    (step / MINUTE).max(1)
}

/// As many samples as a bucket stands for, where their number counts.
fn counted(bucket: &rollup::Bucket, step: i64) -> i64 {
    bucket.count.min(COUNTED * parts(step) as u64) as i64
}

/// So many samples of one value all over the bucket, if it has any.
fn several(
    bucket: &rollup::Bucket,
    step: i64,
    (count, value): (i64, Option<f64>),
    samples: &mut Vec<Sample>,
) {
    let start = bucket.start as i64;
    let each = |n: i64| Sample::new(start + (n + 1) * step / count - 1, value.unwrap_or(STALE));
    if bucket.count > 0 {
        samples.extend((0..count).map(each));
    } else if bucket.last.is_none() {
        samples.push(Sample::new(start + step - 1, STALE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_history::rollup::Bucket;
    use rackside_proto::Scale;

    fn key(kind: Kind) -> SeriesKey {
        SeriesKey { name: "x".into(), labels: Box::default(), unit: "".into(), kind, scale: Scale::per(10) }
    }

    fn gauge(start: u64, min: i64, max: i64, last: Option<i64>) -> Bucket {
        let (count, weight, sum) = (2, 2, min + max);
        Bucket { start, count, weight, sum, min: Some(min), max: Some(max), last, increase: 0 }
    }

    fn made(buckets: &[Bucket], step: i64, kind: Kind, reduce: Reduce) -> Vec<(i64, f64)> {
        let key = key(kind);
        let mut made = Made::new(&key, reduce);
        made.add(buckets, step, (0, i64::MAX));
        assert!(made.samples.len() <= Made::new(&key, reduce).with(buckets, step), "{reduce:?}");
        made.samples().iter().map(|sample| (sample.at, sample.value)).collect()
    }

    #[test]
    fn a_minute_is_what_the_query_will_make_of_it() {
        let buckets = [gauge(0, 10, 30, Some(12))];
        for (reduce, value) in
            [(Reduce::Min, 1.0), (Reduce::Max, 3.0), (Reduce::Mean, 2.0), (Reduce::Last, 1.2)]
        {
            assert_eq!(made(&buckets, 60_000, Kind::Gauge, reduce), [(59_999, value)], "{reduce:?}");
        }
        let twice = made(&buckets, 60_000, Kind::Gauge, Reduce::Count);
        assert_eq!(twice, [(29_999, 2.0), (59_999, 2.0)], "as many as there were");
        assert_eq!(made(&buckets, 60_000, Kind::Gauge, Reduce::Sum), [(59_999, 4.0)]);
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
    fn a_counter_joins_where_one_piece_ends_and_the_next_begins() {
        let of = |start, increase, last| Bucket {
            start,
            count: 1,
            increase,
            last: Some(last),
            ..Bucket::default()
        };
        let buckets = [of(0, 0, 1000), of(60_000, 50, 1050), of(120_000, 20, 20), of(180_000, 10, 30)];
        let key = key(Kind::Counter);
        let mut made = Made::new(&key, Reduce::Counter);
        made.add(&buckets[2..], 60_000, (120_000, 239_999));
        made.add(&buckets[..2], 60_000, (0, 119_999));
        let shown: Vec<f64> = made.samples().iter().map(|one| one.value).collect();
        assert_eq!(shown, [-5.0, 0.0, 2.0, 3.0]);
    }

    /// A year of hours, read every second.
    #[test]
    fn a_year_of_hours_is_as_many_samples_as_their_sum_needs_or_are_counted_ahead() {
        let hour = |n: u64| Bucket {
            start: n * HOUR as u64,
            count: 3600,
            weight: 3600,
            sum: 3600 * 25,
            ..gauge(0, 20, 30, Some(25))
        };
        let buckets: Vec<Bucket> = (0..8_760).map(hour).collect();
        let sums = made(&buckets, HOUR, Kind::Gauge, Reduce::Sum);
        assert_eq!(sums.len(), 8_760 * 60);
        let all: f64 = sums.iter().map(|one| one.1).sum();
        assert!((all / (8_760.0 * 3600.0 * 2.5) - 1.0).abs() < 1e-12, "{all}");
        let window: f64 =
            sums.iter().filter(|one| (HOUR..HOUR + 300_000).contains(&one.0)).map(|one| one.1).sum();
        assert!((window - 300.0 * 2.5).abs() < 1e-9, "five minutes of an hour: {window}");
        let key = key(Kind::Gauge);
        let made = Made::new(&key, Reduce::Count);
        assert_eq!(made.with(&buckets, HOUR), 8_760 * 3600, "before one is made");
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
