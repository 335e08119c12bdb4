//! The values of one series as bytes: whichever form is smallest for it.

use crate::chunk::ChunkError;
use crate::chunk::bytes::{Input, put, put_signed};
use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress_into};

const CONSTANT: u8 = 0;
const RUNS: u8 = 1;
const PCO: u8 = 2;
/// Added to the first byte when some values are missing.
const WITH_GAPS: u8 = 0x80;

/// Writes values.
pub(crate) fn encode(values: &[Option<i64>]) -> Vec<u8> {
    let known: Vec<i64> = values.iter().copied().flatten().collect();
    let (form, body) = encode_known(&known);
    let mut out = vec![form];
    if known.len() < values.len() {
        out[0] |= WITH_GAPS;
        let runs: Vec<usize> = values.chunk_by(|a, b| a.is_some() == b.is_some()).map(<[_]>::len).collect();
        put(&mut out, runs.len() as u64);
        out.push(u8::from(values[0].is_some()));
        for run in runs {
            put(&mut out, run as u64);
        }
    }
    out.extend_from_slice(&body);
    out
}

/// Reads `samples` values.
pub(crate) fn decode(body: &[u8], samples: usize) -> Result<Vec<Option<i64>>, ChunkError> {
    let (&tag, rest) = body.split_first().ok_or(ChunkError::Malformed("column"))?;
    let mut input = Input::new(rest);
    let form = tag & !WITH_GAPS;
    if tag & WITH_GAPS == 0 {
        return Ok(decode_known(form, input.rest(), samples)?.into_iter().map(Some).collect());
    }
    let runs = input.take("gaps")?;
    let mut known = input.take("gaps")? == 1;
    let mut present = Vec::new();
    for _ in 0..runs {
        let run = input.take("gaps")? as usize;
        if run > samples - present.len() {
            return Err(ChunkError::Malformed("gaps"));
        }
        present.resize(present.len() + run, known);
        known = !known;
    }
    if present.len() != samples {
        return Err(ChunkError::Malformed("gaps"));
    }
    let count = present.iter().filter(|present| **present).count();
    let mut known = decode_known(form, input.rest(), count)?.into_iter();
    Ok(present.into_iter().map(|present| if present { known.next() } else { None }).collect())
}

fn encode_known(known: &[i64]) -> (u8, Vec<u8>) {
    let Some(&first) = known.first() else { return (CONSTANT, Vec::new()) };
    if known.iter().all(|value| *value == first) {
        let mut out = Vec::new();
        put_signed(&mut out, first);
        return (CONSTANT, out);
    }
    let mut runs = Vec::new();
    let mut before = 0_i64;
    for run in known.chunk_by(|a, b| a == b) {
        put_signed(&mut runs, run[0].wrapping_sub(before));
        put(&mut runs, run.len() as u64);
        before = run[0];
    }
    let pco = simple_compress(known, &ChunkConfig::default())
        .expect("the configuration is valid and there are few numbers");
    if runs.len() <= pco.len() { (RUNS, runs) } else { (PCO, pco) }
}

fn decode_known(form: u8, body: &[u8], count: usize) -> Result<Vec<i64>, ChunkError> {
    let mut input = Input::new(body);
    match form {
        CONSTANT if count == 0 => Ok(Vec::new()),
        CONSTANT => Ok(vec![input.take_signed("column")?; count]),
        RUNS => {
            let (mut known, mut value) = (Vec::new(), 0_i64);
            while known.len() < count {
                value = value.wrapping_add(input.take_signed("column")?);
                let run = input.take("column")? as usize;
                if run == 0 || run > count - known.len() {
                    return Err(ChunkError::Malformed("column"));
                }
                known.resize(known.len() + run, value);
            }
            Ok(known)
        }
        PCO => {
            let mut known = vec![0; count];
            let progress =
                simple_decompress_into(body, &mut known).map_err(|_| ChunkError::Malformed("column"))?;
            if progress.n_processed == count && progress.finished {
                Ok(known)
            } else {
                Err(ChunkError::Malformed("column"))
            }
        }
        _ => Err(ChunkError::Malformed("form of a column")),
    }
}
