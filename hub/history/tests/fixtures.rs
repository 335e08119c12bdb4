//! Files that earlier versions wrote, for ever: what a hub has on its disk must not depend on which version put it there.
//!
//! `fixtures/chunk-v1` and `rollup-v1` were written by the version that brought the format, and are never written again; beside
//! each stands what it holds, as text. They have every form of a list, a column and a timeline. A new version of the format
//! adds files of its own (`write_the_fixtures_of_a_new_version`).

use proptest::prelude::*;
use rackside_history::Samples;
use rackside_history::chunk::{self, Chunk, ChunkError, Directory, VERSION};
use rackside_history::rollup::{self, Bucket, Rollup};
use rackside_proto::Kind;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

type Columns = Vec<(u32, Samples)>;

const CHUNK: (&[u8], &str) = (include_bytes!("fixtures/chunk-v1"), include_str!("fixtures/chunk-v1.txt"));
const ROLLUP: (&[u8], &str) = (include_bytes!("fixtures/rollup-v1"), include_str!("fixtures/rollup-v1.txt"));

#[test]
fn a_chunk_of_version_1_reads_as_what_it_was() {
    let (bytes, text) = CHUNK;
    let read = Chunk::open(bytes).and_then(|chunk| chunk.columns()).expect("a chunk");
    assert_eq!(text_of_columns(&read), text);
}

#[test]
fn a_rollup_of_version_1_reads_as_what_it_was() {
    let (bytes, text) = ROLLUP;
    let read = rollup::decode(bytes).expect("a chunk of buckets");
    assert_eq!(text_of_rollups(&read), text);
}

proptest! {
    /// Past the checksums, which find nearly every change: what reads the rest has to stand on its own.
    #[test]
    fn changed_bytes_under_good_checksums_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        of_rollup: bool,
    ) {
        let mut bytes = if of_rollup { ROLLUP.0 } else { CHUNK.0 }.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        mend_directory(&mut bytes);
        let Ok(directory) = Directory::open(&bytes) else { return Ok(()) };
        let part = |range: Range<usize>| {
            let body = range.start..range.end - 4;
            let body = bytes.get(body).ok_or(ChunkError::Malformed("end"))?;
            Ok::<_, ChunkError>([body, &crc32fast::hash(body).to_le_bytes()].concat())
        };
        for series in directory.series().collect::<Vec<_>>() {
            if of_rollup {
                let _ = rollup::column(&directory, series, part);
            } else if let Ok(Some(samples)) = directory.column(series, part) {
                prop_assert_eq!(samples.times.len(), samples.values.len());
                prop_assert!(samples.times.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }
}

fn mend_directory(bytes: &mut [u8]) {
    let length = u32::from_le_bytes(bytes[1..5].try_into().expect("four bytes")) as usize;
    if (9..=bytes.len()).contains(&length) {
        let sum = crc32fast::hash(&bytes[..length - 4]);
        bytes[length - 4..length].copy_from_slice(&sum.to_le_bytes());
    }
}

fn text_of_columns(columns: &Columns) -> String {
    let mut text = String::new();
    for (series, samples) in columns {
        let _ = writeln!(text, "series {series}");
        for (time, value) in samples.times.iter().zip(&samples.values) {
            let _ = writeln!(text, "{time} {}", number(*value));
        }
    }
    text
}

fn text_of_rollups(rollups: &[(u32, Rollup)]) -> String {
    let mut text = String::new();
    for (series, rollup) in rollups {
        let _ =
            writeln!(text, "series {series} {:?}: start count weight sum min max last increase", rollup.kind);
        for bucket in &rollup.buckets {
            let Bucket { start, count, weight, sum, min, max, last, increase } = bucket;
            let (min, max, last) = (number(*min), number(*max), number(*last));
            let _ = writeln!(text, "{start} {count} {weight} {sum} {min} {max} {last} {increase}");
        }
    }
    text
}

fn number(value: Option<i64>) -> String {
    value.map_or("-".to_owned(), |number| number.to_string())
}

#[test]
#[ignore = "writes files that are there already, unless the version is new"]
fn write_the_fixtures_of_a_new_version() {
    let columns = columns();
    let rollups = rollups(&columns);
    let write = |name: &str, bytes: Vec<u8>, text: String| {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}-v{VERSION}"));
        for (path, content) in [(path.with_extension("txt"), text.into_bytes()), (path, bytes)] {
            if path.exists() {
                println!("{} stays as it is", path.display());
            } else {
                std::fs::write(&path, content).expect("a directory that one can write to");
            }
        }
    };
    write("chunk", chunk::encode(&columns).expect("good samples"), text_of_columns(&columns));
    write("rollup", rollup::encode(&rollups).expect("good buckets"), text_of_rollups(&rollups));
}

/// Half an hour of series that need every form.
fn columns() -> Columns {
    let mut chance = 1_u64;
    let mut below = |bound: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % bound
    };
    let start = 1_794_960_000_000_u64;
    // Every tick is a little late, and three are left out.
    let ticks: Vec<u64> = (0..180).filter(|tick| ![40, 41, 99].contains(tick)).collect();
    let times: Vec<u64> = ticks.iter().map(|tick| start + tick * 10_000 + below(12)).collect();
    let shared: Arc<[u64]> = times.clone().into();
    let mut with_events = times.clone();
    with_events.extend([start + 333_333, start + 444_444, start + 1_800_500]);
    with_events.sort_unstable();
    let later: Arc<[u64]> = times[100..].into();

    let noise: Vec<i64> = times.iter().map(|_| 450 + below(9) as i64 - below(9) as i64).collect();
    let counter: Vec<i64> = times
        .iter()
        .scan(123_456_789, |sum, time| {
            *sum = if *time > start + 1_500_000 { 0 } else { *sum } + 20_000 + below(3_000) as i64;
            Some(*sum)
        })
        .collect();
    let smooth: Vec<i64> = (0..times.len() as i64).map(|at| at * at / 3 + 7).collect();
    let slow: Vec<i64> = (0..times.len()).map(|at| (at as i64 / 6) * 7_919 % 10_007).collect();
    let edges: Vec<i64> = (0..with_events.len() as i64).map(|at| at / 33 % 2).collect();
    let gaps: Vec<Option<i64>> =
        noise.iter().enumerate().map(|(at, number)| (at > 4 && at % 50 > 8).then_some(number * 31)).collect();

    let on = |times: &Arc<[u64]>, values: Vec<Option<i64>>| Samples { times: Arc::clone(times), values };
    let known = |times: &Arc<[u64]>, values: &[i64]| on(times, values.iter().copied().map(Some).collect());
    vec![
        (1, known(&shared, &vec![60_000; times.len()])),
        (2, known(&shared, &noise)),
        (3, known(&shared, &counter)),
        (4, known(&shared, &smooth)),
        (5, known(&shared, &slow)),
        (6, on(&shared, gaps)),
        (7, on(&shared, vec![None; times.len()])),
        (8, known(&with_events.into(), &edges)),
        (9, known(&later, &noise[100..])),
        (300, known(&[start + 5, start + 77, start + 1_000_000].into(), &[i64::MIN, 0, i64::MAX])),
        (70_000, known(&(0..30).map(|hour| start + hour * 60_000).collect(), &[0; 30])),
        (u32::MAX, known(&[start].into(), &[-1])),
    ]
}

fn rollups(columns: &Columns) -> Vec<(u32, Rollup)> {
    let of = |series: u32, kind: Kind| {
        let (_, samples) = columns.iter().find(|(id, _)| *id == series).expect("one of the columns above");
        let start = samples.times[0] / 60_000 * 60_000;
        let buckets = rollup::of(kind, samples, None, start..start + 3_600_000, 60_000);
        (series, Rollup { kind, buckets })
    };
    vec![of(2, Kind::Gauge), of(3, Kind::Counter), of(6, Kind::Gauge), of(7, Kind::Gauge), of(8, Kind::State)]
}
