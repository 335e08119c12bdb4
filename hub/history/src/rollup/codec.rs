//! Buckets as bytes: a chunk whose moments are the buckets' starts and whose columns hold the fields that the kind has.
//!
//! ```text
//! body of a column = kind · (length · values)*    0 gauge: count, sum, min, max, last
//!                                                 1 counter: count, last, increase
//!                                                 2 state: count, sum, weight, min, max, last
//! ```
//!
//! `min`, `max` and `last` are told from the mean rounded down, the increase from the difference to the bucket before: small
//! numbers, or none.

use super::Bucket;
use crate::chunk::bytes::{Input, put};
use crate::chunk::{self, Chunk, ChunkError, Directory, Part};
use crate::column;
use rackside_proto::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// The buckets of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollup {
    /// How the series moves.
    pub kind: Kind,
    /// In order of their starts.
    pub buckets: Vec<Bucket>,
}

/// Writes the buckets of series, each series once. One without buckets leaves nothing behind.
pub fn encode(columns: &[(u32, Rollup)]) -> Result<Vec<u8>, ChunkError> {
    chunk::write(written(columns, &starts(columns))?)
}

fn starts(columns: &[(u32, Rollup)]) -> Vec<Arc<[u64]>> {
    columns.iter().map(|(_, rollup)| rollup.buckets.iter().map(|bucket| bucket.start).collect()).collect()
}

fn written<'a>(columns: &[(u32, Rollup)], starts: &'a [Arc<[u64]>]) -> Result<Vec<Part<'a>>, ChunkError> {
    let mut parts = Vec::with_capacity(columns.len());
    for ((series, rollup), times) in columns.iter().zip(starts) {
        chunk::fits(times)?;
        parts.push(Part { series: *series, times, body: body(rollup) });
    }
    Ok(parts)
}

/// The buckets of all series, in order of the series.
pub fn decode(bytes: &[u8]) -> Result<Vec<(u32, Rollup)>, ChunkError> {
    let columns = Chunk::open(bytes)?.bodies(|_| true, fields)?;
    Ok(columns.into_iter().map(|column| (column.series, column.values.buckets(&column.times))).collect())
}

/// The buckets of some series, in their order.
pub(crate) fn columns_of(bytes: &[u8], series: &BTreeSet<u32>) -> Result<Vec<(u32, Rollup)>, ChunkError> {
    let columns = Chunk::open(bytes)?.bodies(|id| series.contains(&id), fields)?;
    Ok(columns.into_iter().map(|column| (column.series, column.values.buckets(&column.times))).collect())
}

/// The chunk `old` with `new` in the place of its series; the others are copied as they are written.
pub(crate) fn replace(old: Option<&[u8]>, new: &[(u32, Rollup)]) -> Result<Vec<u8>, ChunkError> {
    let replaced: BTreeSet<u32> = new.iter().map(|(series, _)| *series).collect();
    let stays = |id: u32| !replaced.contains(&id);
    let rest = old.map_or(Ok(Vec::new()), |old| Chunk::open(old)?.as_written(stays))?;
    let starts = starts(new);
    let mut parts: Vec<Part<'_>> = rest.iter().map(Part::from).collect();
    parts.extend(written(new, &starts)?);
    chunk::write(parts)
}

/// The buckets of `series`, from the parts of the chunk that `fetch` returns: a few ranges of bytes, counted from the front of
/// the chunk. `None` if the series has no buckets here.
pub fn column<F, B, E>(directory: &Directory, series: u32, fetch: F) -> Result<Option<Rollup>, E>
where
    F: FnMut(Range<usize>) -> Result<B, E>,
    B: AsRef<[u8]>,
    E: From<ChunkError>,
{
    let column = directory.body(series, fetch, fields)?;
    Ok(column.map(|column| column.values.buckets(&column.times)))
}

/// The chunk that holds the buckets of `old` and `new`. Where both have the same series at the same start, `new` wins.
pub fn merge(old: Option<&[u8]>, new: &[(u32, Rollup)]) -> Result<Vec<u8>, ChunkError> {
    let old = old.map_or(Ok(Vec::new()), decode)?;
    let mut merged: BTreeMap<u32, (Kind, BTreeMap<u64, Bucket>)> = BTreeMap::new();
    for (series, rollup) in old.iter().chain(new) {
        let (kind, buckets) = merged.entry(*series).or_insert((rollup.kind, BTreeMap::new()));
        *kind = rollup.kind;
        buckets.extend(rollup.buckets.iter().map(|bucket| (bucket.start, *bucket)));
    }
    let merged: Vec<(u32, Rollup)> = merged
        .into_iter()
        .map(|(series, (kind, buckets))| (series, Rollup { kind, buckets: buckets.into_values().collect() }))
        .collect();
    encode(&merged)
}

const GAUGE: u8 = 0;
const COUNTER: u8 = 1;
const STATE: u8 = 2;

/// The fields of buckets, each a column of its own; those that the kind does not have are empty.
#[derive(Debug, Default)]
struct Fields {
    kind: u8,
    count: Vec<Option<i64>>,
    sum: Vec<Option<i64>>,
    weight: Vec<Option<i64>>,
    min: Vec<Option<i64>>,
    max: Vec<Option<i64>>,
    last: Vec<Option<i64>>,
    increase: Vec<Option<i64>>,
}

impl Fields {
    /// The fields that `kind` has, in their order.
    fn of_kind(&mut self) -> Option<Vec<&mut Vec<Option<i64>>>> {
        let Self { kind, count, sum, weight, min, max, last, increase } = self;
        match *kind {
            GAUGE => Some(vec![count, sum, min, max, last]),
            COUNTER => Some(vec![count, last, increase]),
            STATE => Some(vec![count, sum, weight, min, max, last]),
            _ => None,
        }
    }

    fn buckets(self, starts: &[u64]) -> Rollup {
        let at = |field: &[Option<i64>], at: usize| field.get(at).copied().flatten();
        let mut before = None;
        let bucket = |(index, &start): (usize, &u64)| {
            let count = at(&self.count, index).unwrap_or(0) as u64;
            let sum = at(&self.sum, index).unwrap_or(0);
            let weight = match self.kind {
                GAUGE => count,
                _ => at(&self.weight, index).unwrap_or(0) as u64,
            };
            let middle = middle(sum, weight);
            let last = at(&self.last, index).map(|number| number.wrapping_add(middle));
            let increase = at(&self.increase, index).unwrap_or(0).wrapping_add(expected(before, last)) as u64;
            before = last.or(before);
            Bucket {
                start,
                count,
                weight,
                sum,
                min: at(&self.min, index).map(|number| middle.wrapping_sub(number)),
                max: at(&self.max, index).map(|number| middle.wrapping_add(number)),
                last,
                increase: if self.kind == COUNTER { increase } else { 0 },
            }
        };
        let buckets = starts.iter().enumerate().map(bucket).collect();
        let kind = match self.kind {
            GAUGE => Kind::Gauge,
            COUNTER => Kind::Counter,
            _ => Kind::State,
        };
        Rollup { kind, buckets }
    }
}

fn body(rollup: &Rollup) -> Vec<u8> {
    let kind = match rollup.kind {
        Kind::Gauge => GAUGE,
        Kind::Counter => COUNTER,
        Kind::State => STATE,
    };
    let mut fields = Fields { kind, ..Fields::default() };
    let mut before = None;
    for bucket in &rollup.buckets {
        let middle = middle(bucket.sum, bucket.weight);
        fields.count.push(Some(bucket.count as i64));
        fields.sum.push(Some(bucket.sum));
        fields.weight.push(Some(bucket.weight as i64));
        fields.min.push(bucket.min.map(|number| middle.wrapping_sub(number)));
        fields.max.push(bucket.max.map(|number| number.wrapping_sub(middle)));
        fields.last.push(bucket.last.map(|number| number.wrapping_sub(middle)));
        fields.increase.push(Some((bucket.increase as i64).wrapping_sub(expected(before, bucket.last))));
        before = bucket.last.or(before);
    }
    let mut out = vec![fields.kind];
    for field in fields.of_kind().expect("one of the three kinds above") {
        let values = column::encode(field);
        put(&mut out, values.len() as u64);
        out.extend_from_slice(&values);
    }
    out
}

fn fields(body: &[u8], count: usize) -> Result<Fields, ChunkError> {
    let (&kind, rest) = body.split_first().ok_or(ChunkError::Malformed("rollup"))?;
    let mut fields = Fields { kind, ..Fields::default() };
    let mut input = Input::new(rest);
    for field in fields.of_kind().ok_or(ChunkError::Malformed("kind of a rollup"))? {
        let length = input.take_u32("rollup")? as usize;
        *field = column::decode(input.take_bytes(length, "rollup")?, count)?;
    }
    Ok(fields)
}

/// The mean rounded down, which the others are told from.
fn middle(sum: i64, weight: u64) -> i64 {
    i64::try_from(weight).ok().and_then(|weight| sum.checked_div_euclid(weight)).unwrap_or(0)
}

/// By how much a counter rises that did not start again.
fn expected(before: Option<i64>, last: Option<i64>) -> i64 {
    match (before, last) {
        (Some(before), Some(last)) => last.wrapping_sub(before),
        _ => 0,
    }
}

/// The body of a column of three buckets: what is read of it is read again when it is written.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    const STARTS: [u64; 3] = [0, 60_000, 120_000];
    if let Ok(fields) = fields(bytes, STARTS.len()) {
        let rollup = fields.buckets(&STARTS);
        assert_eq!(rollup.buckets.len(), STARTS.len());
        let written = encode(&[(7, rollup.clone())]).expect("starts that rise");
        assert_eq!(decode(&written), Ok(vec![(7, rollup)]));
    }
}
