//! A list of whole numbers as bytes, in whichever of four forms is smallest for it. Who reads it knows how many there are.
//!
//! ```text
//! (nothing)                no numbers, or none but zeros
//! 0 · number               all the same
//! 1 · varints              few numbers: the difference to the one before, each
//! 2 · pco                  many: differences of order 0, 1 or 2 in bins whose codes are near the entropy
//! 3 · runs · length · what · how long      numbers that stay for a while: two lists of the other forms
//! ```
//!
//! The orders are tried one by one instead of left to pco's guess from a sample, which costs 3 % on temperatures. Measured
//! beside it, on the tests' realistic day: `bench codec`. Invariant: what was written reads back; anything else is an error.

use crate::chunk::bytes::{Input, put, put_signed};
use crate::error::ChunkError;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec, PagingSpec};

const CONSTANT: u8 = 0;
const VARINTS: u8 = 1;
const PCO: u8 = 2;
const RUNS: u8 = 3;

/// The highest order of differences that is tried. Third ones never were the smallest.
const ORDERS: usize = 3;
/// Fewer numbers than this are not worth pco's tables: those of even the plainest list take a dozen bytes.
const FEW: usize = 8;
const WHAT: &str = "list of numbers";

/// Writes `numbers`.
pub(crate) fn encode(numbers: &[i64]) -> Vec<u8> {
    let plain = encode_plain(numbers);
    // Runs of two on average are two lists of half the length: below that they cannot win.
    let runs: Vec<&[i64]> = numbers.chunk_by(|a, b| a == b).collect();
    if runs.len() < 2 || runs.len() > numbers.len() / 2 {
        return plain;
    }
    let what: Vec<i64> = runs.iter().map(|run| run[0]).collect();
    let long: Vec<i64> = runs.iter().map(|run| run.len() as i64).collect();
    let what = encode_plain(&what);
    let mut out = vec![RUNS];
    put(&mut out, long.len() as u64);
    put(&mut out, what.len() as u64);
    out.extend_from_slice(&what);
    out.extend_from_slice(&encode_plain(&long));
    if out.len() < plain.len() { out } else { plain }
}

/// Reads `count` numbers.
pub(crate) fn decode(bytes: &[u8], count: usize) -> Result<Vec<i64>, ChunkError> {
    let Some((&RUNS, rest)) = bytes.split_first() else { return decode_plain(bytes, count) };
    let mut input = Input::new(rest);
    let runs = input.take(WHAT)?;
    if runs > count as u64 {
        return Err(ChunkError::Malformed(WHAT));
    }
    let length = input.take_u32(WHAT)? as usize;
    let what = decode_plain(input.take_bytes(length, WHAT)?, runs as usize)?;
    let long = decode_plain(input.rest(), runs as usize)?;
    let mut numbers = Vec::with_capacity(count);
    for (number, run) in what.into_iter().zip(long) {
        let run = usize::try_from(run).ok().filter(|run| *run <= count - numbers.len());
        let run = run.ok_or(ChunkError::Malformed(WHAT))?;
        numbers.resize(numbers.len() + run, number);
    }
    if numbers.len() == count { Ok(numbers) } else { Err(ChunkError::Malformed(WHAT)) }
}

fn encode_plain(numbers: &[i64]) -> Vec<u8> {
    let first = numbers.first().copied().unwrap_or(0);
    if numbers.iter().all(|number| *number == first) {
        let mut out = Vec::new();
        if first != 0 {
            out.push(CONSTANT);
            put_signed(&mut out, first);
        }
        return out;
    }
    let mut best = (numbers.len() < FEW).then(|| varints(numbers));
    if best.is_none() {
        for order in 0..ORDERS {
            let bytes = pco(numbers, order);
            if best.as_ref().is_none_or(|best| bytes.len() < best.len()) {
                best = Some(bytes);
            }
        }
    }
    let best = best.expect("one form or the other was tried");
    // A varint has a byte at least.
    if numbers.len() >= best.len() {
        return best;
    }
    let varints = varints(numbers);
    if varints.len() < best.len() { varints } else { best }
}

fn decode_plain(bytes: &[u8], count: usize) -> Result<Vec<i64>, ChunkError> {
    let Some((&form, rest)) = bytes.split_first() else { return Ok(vec![0; count]) };
    let mut input = Input::new(rest);
    match form {
        CONSTANT => Ok(vec![input.take_signed(WHAT)?; count]),
        VARINTS => {
            let mut number = 0_i64;
            let mut next = || {
                number = number.wrapping_add(input.take_signed(WHAT)?);
                Ok(number)
            };
            (0..count).map(|_| next()).collect()
        }
        PCO => read_pco(rest, count).ok_or(ChunkError::Malformed(WHAT)),
        _ => Err(ChunkError::Malformed(WHAT)),
    }
}

fn varints(numbers: &[i64]) -> Vec<u8> {
    let mut out = vec![VARINTS];
    let mut before = 0_i64;
    for number in numbers {
        put_signed(&mut out, number.wrapping_sub(before));
        before = *number;
    }
    out
}

/// Pco's own parts without the frame of its files: header, the chunk's tables, its one page.
fn pco(numbers: &[i64], order: usize) -> Vec<u8> {
    let config = ChunkConfig::default()
        .with_mode_spec(ModeSpec::Classic)
        .with_delta_spec(DeltaSpec::TryConsecutive(order))
        .with_paging_spec(PagingSpec::Exact(vec![numbers.len()]));
    let mut out = vec![PCO];
    let file = FileCompressor::default();
    file.write_header(&mut out).expect("a vector takes everything");
    let mut chunk =
        file.chunk_compressor(numbers, &config).expect("an order below 8, fewer than 2^24 numbers");
    chunk.write_meta(&mut out).expect("a vector takes everything");
    chunk.write_page(0, &mut out).expect("there is one page");
    out
}

fn read_pco(bytes: &[u8], count: usize) -> Option<Vec<i64>> {
    let (file, rest) = FileDecompressor::new(bytes).ok()?;
    let (mut chunk, rest) = file.chunk_decompressor::<i64, _>(rest).ok()?;
    let mut numbers = vec![0; count];
    let progress = chunk.page_decompressor(rest, count).ok()?.read(&mut numbers).ok()?;
    (progress.finished && progress.n_processed == count).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list() -> impl Strategy<Value = Vec<i64>> {
        let count = || 0..600_usize;
        prop_oneof![
            (any::<i64>(), count()).prop_map(|(number, count)| vec![number; count]),
            prop::collection::vec(any::<i64>(), count()),
            prop::collection::vec(-3..3_i64, count()),
            prop::collection::vec((any::<i64>(), 1..90_usize), 0..20)
                .prop_map(|runs| runs.into_iter().flat_map(|(number, run)| vec![number; run]).collect()),
            (prop::collection::vec(990..1_010_i64, count()), any::<i64>()).prop_map(|(steps, start)| {
                let rise = |sum: &mut i64, step: i64| {
                    *sum = sum.wrapping_add(step);
                    Some(*sum)
                };
                steps.into_iter().scan(start, rise).collect()
            }),
        ]
    }

    proptest! {
        #[test]
        fn lists_come_back(numbers in list()) {
            let bytes = encode(&numbers);
            prop_assert_eq!(decode(&bytes, numbers.len()), Ok(numbers));
        }

        #[test]
        fn bytes_that_nobody_wrote_are_an_error_or_numbers(
            numbers in list(),
            at: prop::sample::Index,
            change in prop::collection::vec(any::<u8>(), 1..4),
            more in 0..2_000_usize,
        ) {
            let mut bytes = encode(&numbers);
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                for (byte, change) in bytes[at..].iter_mut().zip(change) {
                    *byte = change;
                }
            }
            for count in [numbers.len(), more] {
                if let Ok(read) = decode(&bytes, count) {
                    prop_assert_eq!(read.len(), count);
                }
            }
        }

        #[test]
        fn noise_is_an_error_or_numbers(bytes in prop::collection::vec(any::<u8>(), 0..80), form in 0..5_u8, count in 0..3_000_usize) {
            let mut bytes = bytes;
            bytes.insert(0, form);
            if let Ok(read) = decode(&bytes, count) {
                prop_assert_eq!(read.len(), count);
            }
        }
    }

    #[test]
    fn every_form_is_the_smallest_for_something() {
        let waves: Vec<i64> = (0..500).map(|at| (at * at) % 97).collect();
        let squares: Vec<i64> = (0..500).map(|at| at * at / 3).collect();
        let edges: Vec<i64> = (0..500).map(|at| at / 120 % 2).collect();
        let forms = [vec![], vec![0; 9], vec![5; 9], vec![3, 1, 2], waves, squares, edges]
            .map(|numbers| encode(&numbers).first().copied());
        let expected = [None, None, Some(CONSTANT), Some(VARINTS), Some(PCO), Some(PCO), Some(RUNS)];
        assert_eq!(forms, expected);
    }
}
