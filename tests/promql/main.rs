//! Our PromQL against Debian's Prometheus 2.42: random expressions over the same random series have the same values.
//!
//! A seed makes a world of series (`world`) and a thousand questions about it (`question`), each an expression (`grammar`, `expression`) at a moment and over a
//! range. Both sides are asked; a difference is printed with the smallest expression that still shows it, to be kept in `found` once it is mended.
//! `printed` compares how both print an expression. `hostile` asks us alone what nobody should ask.
//!
//! ```sh
//! cargo test -p rackside-tests --test promql                           # 5,000 expressions, and what was found
//! RACKSIDE_PROMQL=100..200 cargo test -p rackside-tests --test promql  # those of other worlds
//! ```

mod expression;
mod found;
mod grammar;
mod hostile;
mod printed;
mod question;
mod refused;
mod world;

use question::{Agreement, Question, Sides};
use rackside_tests::prometheus::Prometheus;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use world::World;

/// The worlds that are looked at unless said otherwise.
const WORLDS: Range<u64> = 0..5;
/// How many expressions are asked for in each.
const QUESTIONS: u64 = 1000;
/// Differences that are shown of a world; with more something greater is wrong.
const SHOWN: usize = 20;

/// What came of questions.
#[derive(Debug, Default)]
struct Tally {
    values: u64,
    empty: u64,
    refused: u64,
    later: u64,
    differences: Vec<String>,
}

impl Tally {
    /// All of a world's questions.
    fn of(world: &World) -> Self {
        let mut sides = Sides::with(world);
        let mut tally = Self::default();
        for number in 0..QUESTIONS {
            let question = Question::new(world, number);
            for when in question.when {
                match sides.compare(&question.expression, when) {
                    Ok(Agreement::Value) => tally.values += 1,
                    Ok(Agreement::Empty) => tally.empty += 1,
                    Ok(Agreement::Refused) => tally.refused += 1,
                    Ok(Agreement::Later) => tally.later += 1,
                    Err(how) => {
                        let how = sides.smallest(&question.expression, when, how);
                        tally.differences.push(format!("world {}, question {number}: {how}", world.seed));
                        break;
                    }
                }
            }
            if tally.differences.len() == SHOWN {
                break;
            }
        }
        tally
    }

    fn add(&mut self, other: Self) {
        self.values += other.values;
        self.empty += other.empty;
        self.refused += other.refused;
        self.later += other.later;
        self.differences.extend(other.differences);
    }
}

/// From `100..200`.
fn worlds() -> Range<u64> {
    let Ok(text) = std::env::var("RACKSIDE_PROMQL") else { return WORLDS };
    let ends = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    ends.unwrap_or_else(|| panic!("RACKSIDE_PROMQL is a range of worlds such as 100..200, not {text}"))
}

#[test]
fn random_expressions_have_the_values_that_prometheus_gives_them() {
    let worlds = worlds();
    let next = AtomicU64::new(worlds.start);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= worlds.end {
                return tally;
            }
            tally.add(Tally::of(&World::new(seed)));
        }
    };
    let tally = thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut tally = work();
        tally.add(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        tally
    });
    let Tally { values, empty, refused, later, .. } = tally;
    println!(
        "{values} values, {empty} empty answers, {refused} refusals, {later} that Prometheus gave later"
    );
    let differences = &tally.differences;
    assert!(
        differences.is_empty(),
        "{} differences from {}\n\n{}",
        differences.len(),
        Prometheus::version(),
        differences.join("\n\n")
    );
    // Sides that agree on nothing agree on nothing.
    let asked = values + empty + refused + later;
    assert!(values * 2 > asked && refused * 5 < asked && later * 100 < asked, "{tally:?}");
}
