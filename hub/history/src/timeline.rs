//! The moments of samples as bytes.
//!
//! An agent reads all its series at one tick, so one timeline serves most of a chunk's columns. Three forms, by their first
//! byte:
//!
//! ```text
//! (nothing)                        ticks at the same distance, told by number, first and last moment alone
//! 0 · distances                    ticks with jitter and gaps: how much each distance differs from the one before
//! 1 · (keep · skip · add · moments)*   timeline 0 with moments more or less: a series with events of its own
//! ```

use crate::chunk::ChunkError;
use crate::chunk::bytes::{Input, put, put_signed};

const DISTANCES: u8 = 0;
const EDIT: u8 = 1;

/// What the directory says of a timeline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    /// At least 1.
    pub(crate) samples: usize,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// Writes `times`, which rise, as what differs from `base` if that is shorter.
pub(crate) fn encode(times: &[u64], base: Option<&[u64]>) -> Vec<u8> {
    if even(times) {
        return Vec::new();
    }
    let own = distances(times);
    match base.map(|base| edit(times, base)) {
        Some(edit) if edit.len() < own.len() => edit,
        _ => own,
    }
}

/// Whether the body says what differs from timeline 0.
pub(crate) fn is_edit(body: &[u8]) -> bool {
    body.first() == Some(&EDIT)
}

/// Reads a timeline of its own.
pub(crate) fn decode(body: &[u8], expected: Expected) -> Result<Vec<u64>, ChunkError> {
    let Expected { samples, first, last } = expected;
    let steps = samples as u64 - 1;
    let times: Vec<u64> = match body.split_first() {
        None if steps == 0 => vec![first],
        None => {
            let step = (last - first) / steps;
            (0..samples as u64).map(|at| first + at * step).collect()
        }
        Some((&DISTANCES, rest)) => {
            let mut input = Input::new(rest);
            let (mut times, mut time, mut distance) = (vec![first], first, 0_u64);
            for _ in 0..steps {
                distance = distance.wrapping_add_signed(input.take_signed("timeline")?);
                time = time.wrapping_add(distance);
                times.push(time);
            }
            times
        }
        Some(_) => return Err(ChunkError::Malformed("form of a timeline")),
    };
    checked(times, expected)
}

/// Reads a timeline that differs from `base`.
pub(crate) fn decode_edit(body: &[u8], base: &[u64], expected: Expected) -> Result<Vec<u64>, ChunkError> {
    let mut input = Input::new(body.get(1..).unwrap_or(&[]));
    let mut base = base.iter().copied();
    let mut times: Vec<u64> = Vec::new();
    while !input.is_empty() {
        let keep = input.take("timeline")? as usize;
        times.extend(base.by_ref().take(keep));
        let skip = input.take("timeline")? as usize;
        if skip > 0 {
            base.nth(skip - 1);
        }
        for _ in 0..input.take("timeline")? {
            let after = times.last().copied().unwrap_or(0);
            times.push(after.wrapping_add(input.take("timeline")?));
        }
    }
    checked(times, expected)
}

fn checked(times: Vec<u64>, expected: Expected) -> Result<Vec<u64>, ChunkError> {
    let ends = (times.first().copied(), times.last().copied());
    let rises = times.windows(2).all(|pair| pair[0] < pair[1]);
    if times.len() == expected.samples && ends == (Some(expected.first), Some(expected.last)) && rises {
        Ok(times)
    } else {
        Err(ChunkError::Malformed("timeline"))
    }
}

fn even(times: &[u64]) -> bool {
    let Some(&[first, second]) = times.first_chunk() else { return true };
    times.windows(2).all(|pair| pair[1] - pair[0] == second - first)
}

fn distances(times: &[u64]) -> Vec<u8> {
    let mut out = vec![DISTANCES];
    let mut before = 0;
    for pair in times.windows(2) {
        let distance = pair[1] - pair[0];
        put_signed(&mut out, distance.wrapping_sub(before) as i64);
        before = distance;
    }
    out
}

fn edit(times: &[u64], base: &[u64]) -> Vec<u8> {
    let mut out = vec![EDIT];
    let (mut times, mut base) = (times.iter().copied().peekable(), base.iter().copied().peekable());
    let mut before = 0;
    while times.peek().is_some() {
        let mut keep = 0;
        while let Some(time) = times.next_if(|time| base.peek() == Some(time)) {
            base.next();
            before = time;
            keep += 1;
        }
        let mut skip = 0;
        let mut added = Vec::new();
        let mut adds = 0;
        while let Some(&time) = times.peek() {
            match base.peek() {
                Some(&other) if other == time => break,
                Some(&other) if other < time => {
                    base.next();
                    skip += 1;
                }
                _ => {
                    times.next();
                    put(&mut added, time - before);
                    before = time;
                    adds += 1;
                }
            }
        }
        put(&mut out, keep);
        put(&mut out, skip);
        put(&mut out, adds);
        out.extend_from_slice(&added);
    }
    out
}
