//! The values of one series as bytes: which of them are known, then the known ones as a list of numbers.
//!
//! ```text
//! 0 · numbers                                  all are known
//! 1 · runs · length · how long each · numbers  known and missing ones take turns; the first run is of known ones, maybe none
//! ```

use crate::chunk::bytes::{Input, put};
use crate::error::ChunkError;
use crate::numbers;

const KNOWN: u8 = 0;
const WITH_GAPS: u8 = 1;
const WHAT: &str = "column";

/// Writes values.
pub(crate) fn encode(values: &[Option<i64>]) -> Vec<u8> {
    let known: Vec<i64> = values.iter().copied().flatten().collect();
    if known.len() == values.len() {
        let mut out = vec![KNOWN];
        out.extend_from_slice(&numbers::encode(&known));
        return out;
    }
    let mut runs: Vec<i64> = Vec::new();
    if values.first().is_some_and(Option::is_none) {
        runs.push(0);
    }
    runs.extend(values.chunk_by(|a, b| a.is_some() == b.is_some()).map(|run| run.len() as i64));
    let mut out = vec![WITH_GAPS];
    put(&mut out, runs.len() as u64);
    let runs = numbers::encode(&runs);
    put(&mut out, runs.len() as u64);
    out.extend_from_slice(&runs);
    out.extend_from_slice(&numbers::encode(&known));
    out
}

/// Reads `count` values.
pub(crate) fn decode(body: &[u8], count: usize) -> Result<Vec<Option<i64>>, ChunkError> {
    match body.split_first() {
        Some((&KNOWN, rest)) => Ok(numbers::decode(rest, count)?.into_iter().map(Some).collect()),
        Some((&WITH_GAPS, rest)) => with_gaps(rest, count),
        _ => Err(ChunkError::Malformed(WHAT)),
    }
}

fn with_gaps(rest: &[u8], count: usize) -> Result<Vec<Option<i64>>, ChunkError> {
    let mut input = Input::new(rest);
    let runs = input.take(WHAT)?;
    // The first run alone may be empty.
    if runs > count as u64 + 1 {
        return Err(ChunkError::Malformed(WHAT));
    }
    let length = input.take_u32(WHAT)? as usize;
    let runs = numbers::decode(input.take_bytes(length, WHAT)?, runs as usize)?;
    let (mut left, mut known) = (count, 0);
    for (at, run) in runs.iter().enumerate() {
        let run = usize::try_from(*run).ok().filter(|run| *run <= left).ok_or(ChunkError::Malformed(WHAT))?;
        left -= run;
        known += if at % 2 == 0 { run } else { 0 };
    }
    if left > 0 {
        return Err(ChunkError::Malformed(WHAT));
    }
    let mut known = numbers::decode(input.rest(), known)?.into_iter();
    let mut values = Vec::with_capacity(count);
    for (at, run) in runs.iter().enumerate() {
        let run = *run as usize;
        if at % 2 == 0 {
            values.extend(known.by_ref().take(run).map(Some));
        } else {
            values.resize(values.len() + run, None);
        }
    }
    Ok(values)
}

/// Two bytes that say how many, and a column: what is read of it is as many, and is read again when it is written.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let Some((count, body)) = bytes.split_first_chunk() else { return };
    let count = usize::from(u16::from_le_bytes(*count));
    if let Ok(values) = decode(body, count) {
        assert_eq!(values.len(), count);
        assert_eq!(decode(&encode(&values), count), Ok(values));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_come_back(runs in prop::collection::vec((any::<Option<i16>>(), 1..50_usize), 0..12)) {
            let values: Vec<Option<i64>> =
                runs.into_iter().flat_map(|(value, run)| vec![value.map(i64::from); run]).collect();
            prop_assert_eq!(decode(&encode(&values), values.len()), Ok(values));
        }

        #[test]
        fn bytes_that_nobody_wrote_are_an_error_or_values(
            bytes in prop::collection::vec(0..12_u8, 0..30),
            count in 0..500_usize,
        ) {
            if let Ok(values) = decode(&bytes, count) {
                prop_assert_eq!(values.len(), count);
            }
        }
    }

    #[test]
    fn a_gap_costs_its_ends() {
        let mut values = vec![Some(0); 8640];
        assert_eq!(encode(&values), [KNOWN]);
        values[100..200].fill(None);
        // 100 known, 100 missing, 8440 known: 100, +0, +8340 as zigzag varints behind the list's form.
        assert_eq!(encode(&values), [WITH_GAPS, 3, 7, 1, 0xc8, 1, 0, 0xa8, 0x82, 1]);
    }
}
