//! Chunks from outside: what was written reads back, wholly and in part, and bytes that nobody wrote are an error.

use proptest::prelude::*;
use rackside_history::Samples;
use rackside_history::chunk::{Chunk, ChunkError, Directory, HEAD, encode, join, merge};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

type Columns = Vec<(u32, Samples)>;

/// Values of all kinds of series, from constants to noise over the whole range.
fn values(count: usize) -> impl Strategy<Value = Vec<Option<i64>>> {
    let count = count..=count;
    let known = prop_oneof![
        any::<i64>().prop_map({
            let count = count.clone();
            move |value| vec![value; *count.start()]
        }),
        prop::collection::vec(0..2_i64, count.clone()),
        prop::collection::vec(-300..300_i64, count.clone()),
        prop::collection::vec(any::<i64>(), count.clone()),
        prop::collection::vec(0..5_000_i64, count.clone()).prop_map(|steps| {
            steps
                .into_iter()
                .scan(1 << 40, |sum, step| {
                    *sum += step;
                    Some(*sum)
                })
                .collect()
        }),
    ];
    let missing = prop_oneof![3 => Just(0_u32), 1 => 1..100_u32];
    (known, prop::collection::vec(0..100_u32, count), missing).prop_map(|(known, dice, missing)| {
        known.into_iter().zip(dice).map(|(value, die)| (die >= missing).then_some(value)).collect()
    })
}

fn times() -> impl Strategy<Value = Arc<[u64]>> {
    let steps = prop_oneof![
        (1..200_usize, 1..20_000_u64).prop_map(|(count, step)| vec![step; count]),
        prop::collection::vec(9_960..10_040_u64, 1..200),
        prop::collection::vec(1..1_000_000_u64, 1..50),
    ];
    (0..1_800_000_000_000_u64, steps).prop_map(|(start, steps)| {
        steps
            .into_iter()
            .scan(start, |time, step| {
                *time += step;
                Some(*time)
            })
            .collect()
    })
}

/// Series that share a timeline, some with a moment more or less.
fn columns() -> impl Strategy<Value = Columns> {
    (times(), prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..6)).prop_flat_map(
        |(times, edits)| {
            edits
                .into_iter()
                .enumerate()
                .map(|(at, (edited, index))| {
                    let times = if edited { edit(&times, index) } else { Arc::clone(&times) };
                    values(times.len()).prop_map(move |values| {
                        (at as u32 * 3, Samples { times: Arc::clone(&times), values })
                    })
                })
                .collect::<Vec<_>>()
        },
    )
}

fn edit(times: &[u64], index: prop::sample::Index) -> Arc<[u64]> {
    let at = index.index(times.len());
    let mut edited = times.to_vec();
    if at.is_multiple_of(2) {
        edited[at] += 1;
        edited.dedup();
    } else {
        edited.truncate(at);
    }
    edited.into()
}

/// Series within so few milliseconds that two draws nearly always meet.
fn crowded() -> impl Strategy<Value = Columns> {
    let samples = prop::collection::btree_map(0..40_u64, any::<Option<i8>>(), 0..30);
    prop::collection::btree_map(0..4_u32, samples, 0..4).prop_map(|series| {
        let column = |(id, map): (u32, BTreeMap<u64, Option<i8>>)| {
            let values = map.values().map(|value| value.map(i64::from)).collect();
            (id, Samples { times: map.into_keys().collect(), values })
        };
        series.into_iter().map(column).collect()
    })
}

fn without_empty(columns: &Columns) -> Columns {
    columns.iter().filter(|(_, samples)| !samples.times.is_empty()).cloned().collect()
}

proptest! {
    #[test]
    fn what_was_written_reads_back(columns in columns()) {
        let bytes = encode(&columns).expect("good samples");
        let chunk = Chunk::open(&bytes).expect("just written");
        let expected = without_empty(&columns);
        prop_assert_eq!(chunk.directory().series().collect::<Vec<_>>(), expected.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        prop_assert_eq!(chunk.columns().expect("whole"), expected);
    }

    #[test]
    fn a_partial_read_equals_the_full_one(columns in columns()) {
        let bytes = encode(&columns).expect("good samples");
        let length = Directory::length(&bytes[..HEAD]).expect("just written");
        let directory = Directory::open(&bytes[..length]).expect("just written");
        for (series, samples) in without_empty(&columns) {
            let mut reads = 0;
            let read = directory.column(series, |range: Range<usize>| {
                reads += 1;
                bytes.get(range).ok_or(ChunkError::Malformed("end"))
            });
            prop_assert_eq!(directory.samples(series), samples.times.len());
            let ends = *samples.times.first().expect("not empty")..=*samples.times.last().expect("not empty");
            prop_assert_eq!(directory.range(series), Some(ends));
            prop_assert_eq!(read, Ok(Some(samples)));
            prop_assert!(reads <= 3);
        }
        prop_assert_eq!(directory.column(1, |range| bytes.get(range).ok_or(ChunkError::Malformed("end"))), Ok(None));
    }

    #[test]
    fn a_changed_byte_is_found(columns in columns(), at: prop::sample::Index, change in 1..=255_u8) {
        let columns = without_empty(&columns);
        let mut bytes = encode(&columns).expect("good samples");
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let read = Chunk::open(&bytes).and_then(|chunk| chunk.columns());
        prop_assert!(read.is_err(), "byte {} of {}", at, bytes.len());
    }

    #[test]
    fn a_chunk_that_ends_early_is_found(columns in columns(), at: prop::sample::Index) {
        let bytes = encode(&without_empty(&columns)).expect("good samples");
        let read = Chunk::open(&bytes[..at.index(bytes.len())]).and_then(|chunk| chunk.columns());
        prop_assert!(read.is_err());
    }

    #[test]
    fn merging_is_what_a_map_does(old in crowded(), new in crowded()) {
        let mut model: BTreeMap<u32, BTreeMap<u64, Option<i64>>> = BTreeMap::new();
        for (series, samples) in without_empty(&old).into_iter().chain(without_empty(&new)) {
            let values = samples.times.iter().copied().zip(samples.values);
            model.entry(series).or_default().extend(values);
        }
        let expected: Columns = model
            .into_iter()
            .map(|(series, map)| {
                (series, Samples { times: map.keys().copied().collect(), values: map.into_values().collect() })
            })
            .collect();
        let bytes = encode(&old).expect("good samples");
        let merged = merge(Some(&Chunk::open(&bytes).expect("just written")), &new).expect("good samples");
        prop_assert_eq!(Chunk::open(&merged).and_then(|chunk| chunk.columns()), Ok(expected.clone()));
        prop_assert_eq!(without_empty(&join(&[&old, &new])), expected);
    }
}

#[test]
fn a_newer_version_says_so() {
    let mut bytes = encode(&[]).expect("nothing is good samples");
    bytes[0] = 2;
    assert_eq!(Chunk::open(&bytes).map(|_| ()), Err(ChunkError::Newer { found: 2, known: 1 }));
    assert_eq!(
        ChunkError::Newer { found: 2, known: 1 }.to_string(),
        "chunk of version 2 is newer than 1: upgrade this hub"
    );
}

#[test]
fn samples_that_break_their_invariant_are_refused() {
    let samples =
        |times: &[u64], values: usize| Samples { times: times.into(), values: vec![Some(1); values] };
    let cases = [
        (vec![(1, samples(&[1], 1)), (1, samples(&[2], 1))], "a series stands once in a chunk"),
        (vec![(1, samples(&[1, 1], 2))], "times rise from sample to sample"),
        (vec![(1, samples(&[2, 1], 2))], "times rise from sample to sample"),
        (vec![(1, samples(&[1, 2], 1))], "a series has as many values as times"),
    ];
    for (columns, why) in cases {
        assert_eq!(encode(&columns), Err(ChunkError::Refused(why)));
    }
}

#[test]
fn the_example_in_the_format_is_what_is_written() {
    let format = include_str!("../FORMAT.md");
    let example = format.split("### An example").nth(1).and_then(|rest| rest.split("```").nth(1));
    let example = example.expect("an example between fences").lines().skip(1);
    let told: Vec<u8> = example
        .flat_map(|line| {
            line.split_whitespace().map_while(|word| match word.len() {
                2 => u8::from_str_radix(word, 16).ok(),
                _ => None,
            })
        })
        .collect();
    let samples = Samples { times: [1000, 2000, 3000].into(), values: vec![Some(5), Some(5), Some(6)] };
    assert_eq!(encode(&[(7, samples)]), Ok(told));
}
