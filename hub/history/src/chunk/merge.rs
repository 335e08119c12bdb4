//! Late samples into a chunk that exists, and the hours of a day into one.

use super::{Chunk, ChunkError, encode};
use crate::Samples;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The chunk that holds the samples of `old` and `new`. Where both have the same series at the same moment, `new` wins.
pub fn merge(old: Option<&Chunk<'_>>, new: &[(u32, Samples)]) -> Result<Vec<u8>, ChunkError> {
    let old = old.map_or(Ok(Vec::new()), Chunk::columns)?;
    encode(&join(&[&old, new]))
}

/// All samples of all parts. Where several have the same series at the same moment, the last part wins. Series whose moments
/// come out equal share them.
pub fn join(parts: &[&[(u32, Samples)]]) -> Vec<(u32, Samples)> {
    let mut series: BTreeMap<u32, Vec<&Samples>> = BTreeMap::new();
    for (id, samples) in parts.iter().copied().flatten() {
        series.entry(*id).or_default().push(samples);
    }
    let mut last: Option<Arc<[u64]>> = None;
    let mut share = |times: Vec<u64>| match &last {
        Some(known) if **known == *times => Arc::clone(known),
        _ => Arc::clone(last.insert(times.into())),
    };
    series
        .into_iter()
        .map(|(id, pieces)| {
            let samples = if let [only] = pieces.as_slice() {
                (*only).clone()
            } else {
                let (times, values) = joined(&pieces);
                Samples { times: share(times), values }
            };
            (id, samples)
        })
        .collect()
}

fn joined(pieces: &[&Samples]) -> (Vec<u64>, Vec<Option<i64>>) {
    let samples = pieces.iter().map(|piece| piece.times.len()).sum();
    let mut times: Vec<u64> = Vec::with_capacity(samples);
    let mut values: Vec<Option<i64>> = Vec::with_capacity(samples);
    for piece in pieces {
        // Hours follow each other: nearly always this is all.
        let follows = match (times.last(), piece.times.first()) {
            (Some(last), Some(first)) => last < first,
            _ => true,
        };
        if follows {
            times.extend_from_slice(&piece.times);
            values.extend_from_slice(&piece.values);
        } else {
            (times, values) = interleaved(&times, &values, piece);
        }
    }
    (times, values)
}

fn interleaved(times: &[u64], values: &[Option<i64>], piece: &Samples) -> (Vec<u64>, Vec<Option<i64>>) {
    let mut out_times = Vec::with_capacity(times.len() + piece.times.len());
    let mut out_values = Vec::with_capacity(times.len() + piece.times.len());
    let mut old = times.iter().copied().zip(values.iter().copied()).peekable();
    for (time, value) in piece.times.iter().copied().zip(piece.values.iter().copied()) {
        while let Some((earlier, kept)) = old.next_if(|(earlier, _)| *earlier < time) {
            out_times.push(earlier);
            out_values.push(kept);
        }
        old.next_if(|(same, _)| *same == time);
        out_times.push(time);
        out_values.push(value);
    }
    for (later, kept) in old {
        out_times.push(later);
        out_values.push(kept);
    }
    (out_times, out_values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(list: &[(u64, Option<i64>)]) -> Samples {
        Samples {
            times: list.iter().map(|(time, _)| *time).collect(),
            values: list.iter().map(|(_, value)| *value).collect(),
        }
    }

    #[test]
    fn the_later_part_wins_at_the_same_moment_also_with_staleness() {
        let old = [(1, samples(&[(10, Some(1)), (20, Some(2)), (30, Some(3))]))];
        let new = [(1, samples(&[(5, Some(0)), (20, None), (25, Some(9))]))];
        let expected = [(10, Some(1)), (20, None), (25, Some(9)), (30, Some(3))];
        let mut expected = expected.to_vec();
        expected.insert(0, (5, Some(0)));
        assert_eq!(join(&[&old, &new]), [(1, samples(&expected))]);
    }

    #[test]
    fn hours_that_follow_each_other_share_one_timeline_again() {
        let hour = |from: u64| -> Vec<(u32, Samples)> {
            let times: Arc<[u64]> = (from..from + 360).collect();
            (0..3).map(|id| (id, Samples { times: Arc::clone(&times), values: vec![Some(7); 360] })).collect()
        };
        let (first, second) = (hour(0), hour(1000));
        let day = join(&[&first, &second]);
        assert!(day.iter().all(|(_, samples)| Arc::ptr_eq(&samples.times, &day[0].1.times)));
        assert_eq!(day[0].1.times.len(), 720);
    }

    #[test]
    fn a_series_that_only_the_new_part_has_is_added() {
        let old = [(2, samples(&[(10, Some(1))]))];
        let chunk = encode(&old).expect("good samples");
        let new = [(1, samples(&[(10, Some(5))]))];
        let merged = merge(Some(&Chunk::open(&chunk).expect("just written")), &new).expect("good samples");
        let chunk = Chunk::open(&merged).expect("just written");
        assert_eq!(
            chunk.columns().expect("whole"),
            [(1, samples(&[(10, Some(5))])), (2, samples(&[(10, Some(1))]))]
        );
    }
}
