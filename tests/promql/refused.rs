//! Where an expression stops being one: texts of errors are our own, and the word that they name is Prometheus's.
//!
//! Compared is what the grammar refuses; of what is no word at all each has its own idea where it begins. Columns are characters here and bytes
//! there.
//!
//! What is asked are expressions of the grammar in which a word is missing, twice there or elsewhere, on one line or on several.

use crate::grammar::Grammar;
use crate::question::broken;
use crate::world::World;
use fastrand::Rng;
use rackside_promql::{ParseError, Query};
use rackside_tests::prometheus::Prometheus;
use std::fmt::Write as _;

/// How many texts are asked.
const TEXTS: u64 = 3000;

/// From `invalid parameter "query": 1:5: parse error: unexpected …`.
fn place(text: &str) -> Option<(usize, usize)> {
    let (before, what) = text.split_once(": parse error: ")?;
    let mut numbers = before.rsplit(' ').next()?.split(':').map(str::parse);
    let (line, column) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    // Of a parenthesis too many it names the place behind it.
    let behind = usize::from(what.starts_with("unexpected right parenthesis ')'"));
    what.starts_with("unexpected").then_some((line, column - behind))
}

#[test]
fn an_error_is_where_prometheus_finds_it() {
    let world = World::new(9);
    let mut rng = Rng::with_seed(9);
    let mut prometheus = Prometheus::start();
    let (mut compared, mut differences) = (0, String::new());
    for _ in 0..TEXTS {
        let whole = Grammar::new(&mut rng, &world).expression();
        let gap = ["", "\n", "  "][rng.usize(..3)];
        let text = broken(&whole.spread(gap), &mut rng).to_string();
        let Err(ParseError::Syntax { place: Some(ours), problem }) = Query::parse(&text) else { continue };
        let is_of_the_grammar = problem == "unexpected end of input"
            || problem.starts_with("unexpected \"") && !problem.contains(", expected ");
        if !is_of_the_grammar || !text.is_ascii() {
            continue;
        }
        let Err(refusal) = prometheus.format(&text) else { continue };
        let Some(theirs) = place(&refusal.text) else { continue };
        compared += 1;
        if ours != theirs {
            let _ = writeln!(differences, "{text:?}\nours:   {ours:?} {problem}\ntheirs: {}\n", refusal.text);
        }
    }
    println!("{compared} compared");
    assert!(differences.is_empty(), "{differences}");
    assert!(compared > 300, "only {compared} texts are refused with a place by both");
}
