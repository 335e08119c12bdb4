//! The moments of samples as bytes.
//!
//! An agent reads all its series at one tick, so one timeline serves most of a chunk's columns. Four forms, by their first
//! byte:
//!
//! ```text
//! (nothing)                        ticks at the same distance, told by number, first and last moment alone
//! 0 · distances                    whatever comes: how far each moment is from the one before
//! 1 · (keep · skip · add · moments)*   timeline 0 with moments more or less: a series with events of its own
//! 2 · step · length · ticks · late     a steady clock read a little late: ticks since the one before, and by how much
//! ```
//!
//! The last one is the usual one: lateness does not add up, so it is smaller than the distances, which have it twice.

use crate::chunk::bytes::{Input, put};
use crate::error::ChunkError;
use crate::numbers;

const DISTANCES: u8 = 0;
const EDIT: u8 = 1;
const TICKS: u8 = 2;
const WHAT: &str = "timeline";

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
    let (distances, ticks) = (distances(times), ticks(times));
    let own = if ticks.len() < distances.len() { ticks } else { distances };
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
            let distances = numbers::decode(rest, samples - 1)?;
            let moment = |time: &mut u64, distance| {
                *time = time.wrapping_add_signed(distance);
                Some(*time)
            };
            std::iter::once(first).chain(distances.into_iter().scan(first, moment)).collect()
        }
        Some((&TICKS, rest)) => {
            let mut input = Input::new(rest);
            let step = input.take(WHAT)?;
            let length = input.take_u32(WHAT)? as usize;
            let ticks = numbers::decode(input.take_bytes(length, WHAT)?, samples)?;
            let late = numbers::decode(input.rest(), samples)?;
            let moment = |tick: &mut u64, (ticks, late): (i64, i64)| {
                *tick = tick.wrapping_add(step.wrapping_mul(ticks as u64));
                Some(tick.wrapping_add_signed(late))
            };
            ticks.into_iter().zip(late).scan(first, moment).collect()
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
        let keep = input.take(WHAT)? as usize;
        times.extend(base.by_ref().take(keep));
        let skip = input.take(WHAT)? as usize;
        if skip > 0 {
            base.nth(skip - 1);
        }
        for _ in 0..input.take(WHAT)? {
            let after = times.last().copied().unwrap_or(0);
            times.push(after.wrapping_add(input.take(WHAT)?));
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
        Err(ChunkError::Malformed(WHAT))
    }
}

fn even(times: &[u64]) -> bool {
    let Some(&[first, second]) = times.first_chunk() else { return true };
    times.windows(2).all(|pair| pair[1] - pair[0] == second - first)
}

fn distances(times: &[u64]) -> Vec<u8> {
    let distances: Vec<i64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as i64).collect();
    let mut out = vec![DISTANCES];
    out.extend_from_slice(&numbers::encode(&distances));
    out
}

fn ticks(times: &[u64]) -> Vec<u8> {
    let mut distances: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let middle = distances.len() / 2;
    // The usual distance is the step, whatever gaps and events there are beside it. Times rise, so it is not 0.
    let step = *distances.select_nth_unstable(middle).1;
    let (mut before, mut ticks, mut late) = (0, Vec::new(), Vec::new());
    for time in times {
        let since = time - times[0];
        let tick = since / step + u64::from(since % step > step / 2);
        ticks.push((tick - before) as i64);
        late.push(since.wrapping_sub(tick * step) as i64);
        before = tick;
    }
    let mut out = vec![TICKS];
    put(&mut out, step);
    let ticks = numbers::encode(&ticks);
    put(&mut out, ticks.len() as u64);
    out.extend_from_slice(&ticks);
    out.extend_from_slice(&numbers::encode(&late));
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

/// What a directory would say of a timeline (how many, the first, until when), and the timeline: what is read of it rises, and is read again
/// when it is written.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (Ok(samples @ 1..=65_536), Ok(first), Ok(span)) =
        (input.take(WHAT), input.take(WHAT), input.take(WHAT))
    else {
        return;
    };
    let Some(last) = first.checked_add(span) else { return };
    let expected = Expected { samples: samples as usize, first, last };
    let base: Vec<u64> = (0..10).map(|at| first.saturating_add(at * 10_000)).collect();
    let body = input.rest();
    let read = if is_edit(body) { decode_edit(body, &base, expected) } else { decode(body, expected) };
    if let Ok(times) = read {
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(decode(&encode(&times, None), expected), Ok(times));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expected(times: &[u64]) -> Expected {
        Expected { samples: times.len(), first: times[0], last: times[times.len() - 1] }
    }

    fn read(body: &[u8], base: &[u64], expected: Expected) -> Result<Vec<u64>, ChunkError> {
        if is_edit(body) { decode_edit(body, base, expected) } else { decode(body, expected) }
    }

    fn times() -> impl Strategy<Value = Vec<u64>> {
        let step = prop_oneof![8 => 9_990..10_010_u64, 1 => 1..40_u64, 1 => 1..(1_u64 << 40)];
        (any::<u32>(), prop::collection::vec(step, 0..300)).prop_map(|(start, steps)| {
            let rise = |time: &mut u64, step| {
                *time += step;
                Some(*time)
            };
            let start = u64::from(start);
            std::iter::once(start).chain(steps.into_iter().scan(start, rise)).collect()
        })
    }

    proptest! {
        #[test]
        fn moments_come_back(times in times(), base in times()) {
            let body = encode(&times, None);
            prop_assert_eq!(decode(&body, expected(&times)), Ok(times.clone()));
            let body = encode(&times, Some(&base));
            prop_assert_eq!(read(&body, &base, expected(&times)), Ok(times));
        }

        #[test]
        fn moments_that_come_late_and_drop_out_come_back(late in prop::collection::vec((0..40_u64, 0..9_u8), 1..500)) {
            let ticks = (0..).zip(late).filter(|(_, (_, die))| *die > 0);
            let times: Vec<u64> = ticks.map(|(tick, (late, _))| 1_794_960_000_000 + tick * 10_000 + late).collect();
            if !times.is_empty() {
                prop_assert_eq!(decode(&encode(&times, None), expected(&times)), Ok(times));
            }
        }

        #[test]
        fn bytes_that_nobody_wrote_are_an_error_or_moments_that_rise(
            body in prop::collection::vec(0..12_u8, 0..40),
            base in times(),
            samples in 1..500_usize,
            span in 0..6_000_u64,
        ) {
            let expected = Expected { samples, first: 1_000, last: 1_000 + span };
            if let Ok(times) = read(&body, &base, expected) {
                prop_assert_eq!(times.len(), samples);
                prop_assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }

    #[test]
    fn an_event_of_its_own_costs_a_few_bytes() {
        let base: Vec<u64> = (0..8640).map(|tick| tick * 10_000 + tick * 2_654_435_761 % 97 % 40).collect();
        assert_eq!(encode(&base, None).first(), Some(&TICKS));
        let mut times = base.clone();
        times.insert(4_000, base[3_999] + 1_234);
        let body = encode(&times, Some(&base));
        // 4,000 are kept, none skipped, one added 1,234 ms after; 4,640 are kept.
        assert_eq!(body, [EDIT, 0xa0, 0x1f, 0, 1, 0xd2, 0x09, 0xa0, 0x24, 0, 0]);
    }

    #[test]
    fn ticks_without_jitter_cost_nothing() {
        let times: Vec<u64> = (0..8640).map(|tick| 5 + tick * 10_000).collect();
        assert_eq!(encode(&times, None), []);
        assert_eq!(decode(&[], expected(&times)), Ok(times));
    }
}
