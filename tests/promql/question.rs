//! What is asked on both sides: an expression and when it is evaluated; and what a difference between the answers is.
//!
//! Numbers are equal within 1e-9 of the greater one. The series of a vector have an order only where the expression gives them one; those of a
//! matrix always do. Of errors the kind is compared, not the text.
//!
//! ```text
//! rate(sent_bytes_total{site="tent"}[5m]) at 1709247912.345
//! sum by (site) (load) from 1709247900.000 to 1709248500.000 every 30.000
//! ```

use crate::expression::Expression;
use crate::grammar::Grammar;
use crate::world::World;
use fastrand::Rng;
use rackside_promql::{self as promql, Labels, Limits, Memory, Query, Sample};
use rackside_tests::prometheus::{Answer, Prometheus, Refusal, Series};
use std::collections::BTreeMap;
use std::fmt;

/// How far two numbers may be apart, as a share of the greater one.
const NEAR: f64 = 1e-9;

/// When an expression is evaluated, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Once.
    At(i64),
    /// From, to, and how far apart.
    Range(i64, i64, i64),
}

/// An expression for both ways of asking.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) expression: Expression,
    pub(crate) when: [When; 2],
}

/// Both sides, with the same series.
#[derive(Debug)]
pub(crate) struct Sides {
    ours: Memory,
    theirs: Prometheus,
}

/// How often Prometheus is asked before its answer differs from ours.
const ASKED: u32 = 20;

/// What came of a question when both sides agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreement {
    Refused,
    Empty,
    Value,
    /// Prometheus gave several answers, ours among them.
    Later,
}

impl Question {
    /// The question of that number about a world.
    pub(crate) fn new(world: &World, number: u64) -> Self {
        let mut rng = Rng::with_seed(world.seed << 32 | number);
        let expression = Grammar::new(&mut rng, world).expression();
        // Those about which the grammar is careful stay whole.
        let careful = ["count_values", "topk", "bottomk"];
        let whole = rng.u32(..50) > 0 || careful.iter().any(|word| expression.to_string().contains(word));
        let expression = if whole { expression } else { broken(&expression, &mut rng) };
        let gap = ["\n", "  \t", " # nothing ( \" to see\n", "\r\n"][rng.usize(..4)];
        let expression = if rng.u32(..50) == 0 { expression.spread(gap) } else { expression };
        let (at, start) = (moment(world, &mut rng), moment(world, &mut rng));
        let step = [1000, 1500, 7001, 15_000, 30_000, 60_000, 300_000][rng.usize(..7)];
        let range = When::Range(start, start + step * rng.i64(0..25) + [0, step / 2][rng.usize(..2)], step);
        Self { expression, when: [When::At(at), range] }
    }
}

/// A moment in the world, seldom shortly before or after it; mostly one at which there are samples.
fn moment(world: &World, rng: &mut Rng) -> i64 {
    let around = if rng.u32(..20) == 0 { 400_000 } else { -600_000 };
    let at = rng.i64(world.start - around..world.end + around);
    if rng.u32(..3) == 0 { at } else { at - at.rem_euclid(15_000) }
}

/// With a word less, twice or elsewhere.
pub(crate) fn broken(expression: &Expression, rng: &mut Rng) -> Expression {
    let text = expression.to_string();
    let mut words: Vec<&str> = text.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_').collect();
    if words.is_empty() {
        return expression.clone();
    }
    let (place, other) = (rng.usize(..words.len()), rng.usize(..words.len()));
    match rng.u32(..3) {
        0 => drop(words.remove(place)),
        1 => words.insert(place, words[place]),
        _ => words.swap(place, other),
    }
    Expression::new().text(words.concat())
}

/// A world's series for our side.
pub(crate) fn memory(world: &World) -> Memory {
    let mut memory = Memory::new();
    for series in &world.series {
        let labels = series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        memory.push(Labels::new(labels), series.samples.iter().map(|(at, value)| Sample::new(*at, *value)));
    }
    memory
}

impl Sides {
    /// Both with the series of a world.
    pub(crate) fn with(world: &World) -> Self {
        let mut theirs = Prometheus::start();
        theirs.store(&world.series);
        Self { ours: memory(world), theirs }
    }

    /// Asks both. An error says how the answers differ.
    ///
    /// Prometheus adds up in any order, of which the last bit of a sum may depend, and a comparison on that: its answer is any
    /// of those that it gives when it is asked again.
    pub(crate) fn compare(&mut self, expression: &Expression, when: When) -> Result<Agreement, String> {
        let text = expression.to_string();
        let ours = self.ours(&text, when);
        let mut theirs = self.theirs(&text, when);
        let mut asked = 1;
        let order = Order::of(expression);
        // What the highest are taken from; only these are ranked.
        let ranked = expression.argument().filter(|_| matches!(order, Order::Highest { .. }));
        let ranked = ranked.and_then(|of| self.ours(&of.to_string(), when).ok());
        while !agree(&ours, &theirs, order, when) || !same_where_unique(ranked.as_ref(), &ours, &theirs) {
            if asked == ASKED {
                return Err(format!("ours:   {}\ntheirs: {}", Shown(&ours), Shown(&theirs)));
            }
            theirs = self.theirs(&text, when);
            asked += 1;
        }
        Ok(match ours {
            _ if asked > 1 => Agreement::Later,
            Err(_) => Agreement::Refused,
            Ok(Answer::Vector(series) | Answer::Matrix(series)) if series.is_empty() => Agreement::Empty,
            Ok(_) => Agreement::Value,
        })
    }

    fn theirs(&mut self, text: &str, when: When) -> Result<Answer, Refusal> {
        match when {
            When::At(at) => self.theirs.instant(text, at),
            When::Range(start, end, step) => self.theirs.range(text, start, end, step),
        }
    }

    fn ours(&self, text: &str, when: When) -> Result<Answer, Refusal> {
        let query = Query::parse(text).map_err(|error| Refusal {
            kind: error.error_type().as_str().to_owned(),
            text: error.to_string(),
        })?;
        let limits = Limits::default();
        let answer = match when {
            When::At(at) => query.instant(&self.ours, at, &limits),
            When::Range(start, end, step) => query.range(&self.ours, start, end, step, &limits),
        };
        answer.map(|outcome| owned(outcome.answer)).map_err(|error| Refusal {
            kind: error.error_type().as_str().to_owned(),
            text: error.to_string(),
        })
    }

    /// The smallest expression and the simplest time for which the sides still differ, and how.
    pub(crate) fn smallest(&mut self, expression: &Expression, when: When, how: String) -> String {
        let (mut expression, mut when, mut how) = (expression.clone(), when, how);
        // Each round makes it smaller: it ends.
        while let Some((next, why)) = expression
            .smaller()
            .into_iter()
            .find_map(|smaller| self.compare(&smaller, when).err().map(|why| (smaller, why)))
        {
            (expression, how) = (next, why);
        }
        if let When::Range(start, end, step) = when {
            let mut steps = (start..=end).step_by(step as usize).map(When::At);
            let found = steps.find_map(|at| self.compare(&expression, at).err().map(|why| (at, why)));
            (when, how) = found.unwrap_or((when, how));
        }
        format!("{expression}\n        {when}\n{how}")
    }
}

fn agree(ours: &Result<Answer, Refusal>, theirs: &Result<Answer, Refusal>, order: Order, when: When) -> bool {
    match (ours, theirs) {
        // Only a range query sorts what it answers with.
        (Ok(Answer::Matrix(ours)), Ok(Answer::Matrix(theirs))) if matches!(when, When::At(_)) => {
            same(&sorted(ours), &sorted(theirs))
        }
        (Ok(ours), Ok(theirs)) => equal(ours, theirs, order),
        (Err(ours), Err(theirs)) => ours.kind == theirs.kind,
        _ => false,
    }
}

/// Whether the highest of `ranked` are the same series on both sides, as far as their values tell: among equals any may be taken.
fn same_where_unique(
    ranked: Option<&Answer>,
    ours: &Result<Answer, Refusal>,
    theirs: &Result<Answer, Refusal>,
) -> bool {
    let (Some(Answer::Vector(ranked) | Answer::Matrix(ranked)), Ok(ours), Ok(theirs)) =
        (ranked, ours, theirs)
    else {
        return true;
    };
    let (Answer::Vector(ours) | Answer::Matrix(ours), Answer::Vector(theirs) | Answer::Matrix(theirs)) =
        (ours, theirs)
    else {
        return true;
    };
    let times = by_time(ranked);
    let once = |at: i64, value: f64| {
        times.get(&at).is_some_and(|all| all.iter().filter(|other| near(value, **other)).count() == 1)
    };
    ours.iter().all(|series| {
        let same = theirs.iter().find(|other| other.labels == series.labels);
        series.samples.iter().filter(|(at, value)| once(*at, *value)).all(|(at, value)| {
            same.is_some_and(|same| {
                same.samples.iter().any(|(when, other)| when == at && near(*value, *other))
            })
        })
    })
}

/// What of a vector is the same on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Which series have which values.
    No,
    /// The order of the values as well; that of equal ones is anybody's.
    Values,
    /// The values: of equal ones any may be among the highest. In order, if they are of one group. The series of a value that there is once
    /// are looked at apart.
    Highest { one_group: bool },
}

impl Order {
    fn of(expression: &Expression) -> Self {
        if expression.is_call_of(&["sort", "sort_desc"]) {
            Self::Values
        } else if expression.is_call_of(&["topk", "bottomk"]) {
            Self::Highest { one_group: expression.is_bare() }
        } else {
            Self::No
        }
    }
}

fn equal(ours: &Answer, theirs: &Answer, order: Order) -> bool {
    let all_near = |ours: &[f64], theirs: &[f64]| {
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| near(*ours, *theirs))
    };
    match (ours, theirs, order) {
        (Answer::Scalar(at, one), Answer::Scalar(moment, other), _) => at == moment && near(*one, *other),
        (Answer::Vector(ours), Answer::Vector(theirs), Order::Highest { one_group: true }) => {
            all_near(&values(ours), &values(theirs))
        }
        (Answer::Vector(ours), Answer::Vector(theirs), Order::Highest { .. })
        | (Answer::Matrix(ours), Answer::Matrix(theirs), Order::Highest { .. }) => {
            let (ours, theirs) = (by_time(ours), by_time(theirs));
            let mut pairs = ours.iter().zip(&theirs);
            ours.len() == theirs.len()
                && pairs.all(|((at, ours), (moment, theirs))| at == moment && all_near(ours, theirs))
        }
        (Answer::Vector(ours), Answer::Vector(theirs), Order::Values) => {
            all_near(&values(ours), &values(theirs)) && same(&sorted(ours), &sorted(theirs))
        }
        (Answer::Vector(ours), Answer::Vector(theirs), Order::No) => same(&sorted(ours), &sorted(theirs)),
        (Answer::Matrix(ours), Answer::Matrix(theirs), _) => same(ours, theirs),
        (ours, theirs, _) => ours == theirs,
    }
}

fn values(series: &[Series]) -> Vec<f64> {
    series.iter().flat_map(|series| &series.samples).map(|(_, value)| *value).collect()
}

/// The values of each moment, sorted.
fn by_time(series: &[Series]) -> BTreeMap<i64, Vec<f64>> {
    let mut times: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at, value) in series.iter().flat_map(|series| &series.samples) {
        // NaN has a sign that nobody sees.
        times.entry(*at).or_default().push(if value.is_nan() { f64::NAN } else { *value });
    }
    for values in times.values_mut() {
        values.sort_by(f64::total_cmp);
    }
    times
}

fn sorted(series: &[Series]) -> Vec<Series> {
    let mut sorted = series.to_vec();
    sorted.sort_by(|a, b| a.labels.cmp(&b.labels));
    sorted
}

fn same(ours: &[Series], theirs: &[Series]) -> bool {
    ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(ours, theirs)| {
            let mut pairs = ours.samples.iter().zip(&theirs.samples);
            ours.labels == theirs.labels
                && ours.samples.len() == theirs.samples.len()
                && pairs.all(|((at, one), (moment, other))| at == moment && near(*one, *other))
        })
}

fn near(one: f64, other: f64) -> bool {
    // Infinities are near to themselves only.
    one.to_bits() == other.to_bits()
        || one.is_nan() && other.is_nan()
        || one.is_finite() && other.is_finite() && (one - other).abs() <= NEAR * one.abs().max(other.abs())
}

/// Our answer in the form of theirs.
fn owned(answer: promql::Answer) -> Answer {
    let labels = |labels: &Labels| {
        labels.iter().map(|label| (label.name.to_string(), label.value.to_string())).collect::<Vec<_>>()
    };
    let one = |sample: Sample| (sample.at, sample.value);
    match answer {
        promql::Answer::Scalar(sample) => Answer::Scalar(sample.at, sample.value),
        promql::Answer::String { at, text } => Answer::Text(at, text),
        promql::Answer::Vector(points) => {
            let points = points.into_iter();
            let series = points
                .map(|point| Series { labels: labels(&point.labels), samples: vec![one(point.sample)] });
            Answer::Vector(series.collect())
        }
        promql::Answer::Matrix(lines) => {
            let lines = lines.into_iter();
            let series = lines.map(|line| Series {
                labels: labels(&line.labels),
                samples: line.samples.into_iter().map(one).collect(),
            });
            Answer::Matrix(series.collect())
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
        match *self {
            When::At(at) => write!(out, "at {}", seconds(at)),
            When::Range(start, end, step) => {
                write!(out, "from {} to {} every {}", seconds(start), seconds(end), seconds(step))
            }
        }
    }
}

/// An answer for people, not all of it when it is long.
struct Shown<'a>(&'a Result<Answer, Refusal>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let series = match self.0 {
            Err(refusal) => return write!(out, "{}: {}", refusal.kind, refusal.text),
            Ok(Answer::Scalar(at, value)) => return write!(out, "{value:?} at {at}"),
            Ok(Answer::Text(_, text)) => return write!(out, "{text:?}"),
            Ok(Answer::Vector(series) | Answer::Matrix(series)) => series,
        };
        write!(out, "{} series", series.len())?;
        for series in series.iter().take(8) {
            let labels: Vec<String> =
                series.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            let samples: Vec<String> = match series.samples.as_slice() {
                [(_, value)] => vec![format!("{value:?}")],
                samples => samples.iter().take(40).map(|(at, value)| format!("{value:?}@{at}")).collect(),
            };
            write!(out, "\n          {{{}}} {}", labels.join(","), samples.join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_near_within_a_billionth_and_not_beyond() {
        assert!(near(1e12, 1e12 + 999.0) && near(-1e-12, -1e-12 * (1.0 + 9e-10)) && near(f64::NAN, f64::NAN));
        assert!(near(f64::INFINITY, f64::INFINITY) && near(0.0, -0.0));
        for (one, other) in
            [(1.0, 1.0 + 2e-9), (1.0, f64::NAN), (f64::MAX, f64::INFINITY), (0.0, 1e-300), (1.0, -1.0)]
        {
            assert!(!near(one, other) && !near(other, one), "{one} {other}");
        }
    }
}
