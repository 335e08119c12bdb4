//! What buckets say, kind by kind, and that bytes give them back.

use super::codec::Rollup;
use super::*;
use crate::chunk::{Chunk, ChunkError};
use proptest::prelude::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn samples(list: &[(u64, Option<i64>)]) -> Samples {
    Samples {
        times: list.iter().map(|(time, _)| *time).collect(),
        values: list.iter().map(|(_, value)| *value).collect(),
    }
}

#[test]
fn a_gauge_has_its_readings_mean_and_extremes() {
    let readings = samples(&[(0, Some(4)), (10_000, Some(-2)), (20_000, Some(7)), (61_000, None)]);
    let buckets = of(Kind::Gauge, &readings, None, 0..DAY, MINUTE);
    let first =
        Bucket { count: 3, weight: 3, sum: 9, min: Some(-2), max: Some(7), last: Some(7), ..Bucket::at(0) };
    assert_eq!(buckets, [first, Bucket::at(MINUTE)]);
    assert_eq!((first.mean(), buckets[1].mean()), (Some(3.0), None));
}

#[test]
fn a_counter_rises_over_buckets_gaps_and_restarts() {
    let readings = samples(&[
        (0, Some(100)),
        (50_000, Some(160)),
        (70_000, None),
        (130_000, Some(170)),
        (140_000, Some(5)),
        (150_000, Some(9)),
    ]);
    let buckets = of(Kind::Counter, &readings, Some((0, 90)), 0..DAY, MINUTE);
    let told: Vec<_> = buckets.iter().map(|bucket| (bucket.count, bucket.increase, bucket.last)).collect();
    // 170 from 160 is 10; 5 is a start from 0; 9 from 5 is 4.
    assert_eq!(told, [(2, 70, Some(160)), (0, 0, None), (3, 19, Some(9))]);
    assert!(buckets.iter().all(|bucket| bucket.mean().is_none()));
    let alone = of(Kind::Counter, &readings, None, 0..DAY, MINUTE);
    assert_eq!(alone[0].increase, 60, "nobody knows from where the first one rose");
}

#[test]
fn a_state_counts_by_how_long_it_held() {
    let edges = samples(&[(15_000, Some(1)), (45_000, Some(0)), (HOUR, Some(1)), (HOUR + 30_000, None)]);
    let buckets = of(Kind::State, &edges, Some((0, 0)), 0..DAY, MINUTE);
    assert_eq!(buckets[0].mean(), Some(0.5), "30 of 60 seconds");
    assert_eq!((buckets[0].weight, buckets[0].last), (MINUTE, Some(0)));
    let held: u64 = buckets.iter().filter(|bucket| bucket.start < HOUR).map(|bucket| bucket.weight).sum();
    assert_eq!(held, 45_000 + HOLDS_MS, "then nobody knows");
    let last = buckets.last().expect("the hour's first minute");
    assert_eq!((last.start, last.weight, last.sum, last.last), (HOUR, 30_000, 30_000, None));
}

#[test]
fn a_state_that_just_holds_has_a_bucket_without_readings() {
    let buckets = of(Kind::State, &samples(&[]), Some((0, 3)), DAY..2 * DAY, MINUTE);
    assert_eq!(buckets, [], "it was too long ago");
    let buckets = of(Kind::State, &samples(&[]), Some((DAY - 1_000, 3)), DAY..2 * DAY, 5 * MINUTE);
    let weight = HOLDS_MS - 1_000;
    let sum = 3 * weight as i64;
    let held = Bucket { weight, sum, min: Some(3), max: Some(3), last: Some(3), ..Bucket::at(DAY) };
    assert_eq!(buckets, [held]);
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Gauge), Just(Kind::Counter), Just(Kind::State)]
}

fn day_of_samples() -> impl Strategy<Value = Samples> {
    let value = prop_oneof![1 => Just(None), 8 => (-40..1_000_i64).prop_map(Some)];
    prop::collection::btree_map(0..DAY, value, 0..150)
        .prop_map(|map| Samples { times: map.keys().copied().collect(), values: map.into_values().collect() })
}

proptest! {
    #[test]
    fn hours_of_minutes_are_hours_of_samples(kind in kind(), samples in day_of_samples(), before: Option<i8>) {
        let before = before.map(|number| (0, i64::from(number)));
        let minutes = of(kind, &samples, before, 0..DAY, MINUTE);
        prop_assert_eq!(widen(&minutes, HOUR), of(kind, &samples, before, 0..DAY, HOUR));
    }

    #[test]
    fn days_apart_are_days_together(kind in kind(), samples in day_of_samples(), cut in 0..24_u64) {
        let cut = cut * HOUR;
        let whole = of(kind, &samples, None, 0..DAY, MINUTE);
        let split = samples.times.partition_point(|time| *time < cut);
        let mut pairs = samples.times[..split].iter().copied().zip(samples.values[..split].iter().copied());
        let before = match kind {
            Kind::Counter => pairs.filter_map(|(time, value)| Some((time, value?))).next_back(),
            _ => pairs.next_back().and_then(|(time, value)| Some((time, value?))),
        };
        let mut parts = of(kind, &samples, None, 0..cut, MINUTE);
        parts.extend(of(kind, &samples, before, cut..DAY, MINUTE));
        prop_assert_eq!(parts, whole);
    }

    #[test]
    fn buckets_read_back_wholly_and_in_part(rollups in prop::collection::vec((kind(), day_of_samples()), 0..5)) {
        let rollups: Vec<(u32, Rollup)> = (2_u32..)
            .zip(rollups)
            .map(|(series, (kind, samples))| {
                (series, Rollup { kind, buckets: of(kind, &samples, None, 0..DAY, MINUTE) })
            })
            .filter(|(_, rollup)| !rollup.buckets.is_empty())
            .collect();
        let bytes = encode(&rollups).expect("good buckets");
        prop_assert_eq!(decode(&bytes), Ok(rollups.clone()));
        let chunk = Chunk::open(&bytes).expect("just written");
        for (series, rollup) in &rollups {
            let read = column(chunk.directory(), *series, |range: Range<usize>| {
                bytes.get(range).ok_or(ChunkError::Malformed("end"))
            });
            prop_assert_eq!(read, Ok(Some(rollup.clone())));
        }
    }

    #[test]
    fn buckets_of_any_numbers_read_back(
        kind in kind(),
        numbers in prop::collection::vec((any::<u64>(), any::<i64>(), any::<Option<i64>>(), any::<Option<i64>>()), 1..9),
    ) {
        let bucket = |(at, (count, sum, min, last)): (u64, (u64, i64, Option<i64>, Option<i64>))| Bucket {
            start: at,
            count,
            weight: match kind { Kind::Gauge => count, Kind::Counter => 0, Kind::State => !count },
            sum: if kind == Kind::Counter { 0 } else { sum },
            min: if kind == Kind::Counter { None } else { min },
            max: if kind == Kind::Counter { None } else { min },
            last,
            increase: if kind == Kind::Counter { sum as u64 } else { 0 },
        };
        let rollup = Rollup { kind, buckets: (0..).zip(numbers).map(bucket).collect() };
        let bytes = encode(&[(7, rollup.clone())]).expect("good buckets");
        prop_assert_eq!(decode(&bytes), Ok(vec![(7, rollup)]));
    }
}

#[test]
fn buckets_made_again_replace_those_of_the_same_start() {
    let rollup = |list: &[(u64, i64)]| Rollup {
        kind: Kind::Counter,
        buckets: list
            .iter()
            .map(|&(start, last)| Bucket { count: 1, last: Some(last), ..Bucket::at(start) })
            .collect(),
    };
    let old = encode(&[(1, rollup(&[(0, 1), (60, 2)])), (2, rollup(&[(0, 5)]))]).expect("good buckets");
    let merged = merge(Some(&old), &[(1, rollup(&[(60, 3), (120, 4)]))]).expect("good buckets");
    assert_eq!(decode(&merged), Ok(vec![(1, rollup(&[(0, 1), (60, 3), (120, 4)])), (2, rollup(&[(0, 5)]))]));
}
