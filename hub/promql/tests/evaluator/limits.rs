//! No expression panics, hangs or takes more than its limits, whatever it is.

use std::cell::Cell;

use super::asking::series;
use proptest::prelude::*;
use rackside_promql::{Answer, ErrorType, EvalError, Limits, Memory, ParseError, Query, Stop};

fn two_series() -> Memory {
    series(&[("up{site=a}", "1 2 3 4 5 6 7 8 9"), ("up{site=b}", "9 8 7 6 5 stale 4 3 2")])
}

/// Small enough that nothing in these tests takes long.
fn small() -> Limits<'static> {
    Limits { series: 100, samples: 100_000, cells: 100_000, points: 1_000, stop: None }
}

#[test]
fn a_hundred_thousand_brackets_are_refused() {
    for (open, close) in
        [("(", ")"), ("abs(", ")"), ("-", ""), ("-(", ")"), ("sum(", ")"), ("{", "}"), ("[", "]")]
    {
        let query = format!("{}up{}", open.repeat(100_000), close.repeat(100_000));
        assert!(matches!(Query::parse(&query), Err(ParseError::TooLarge { .. })), "{open}");
    }
}

#[test]
fn what_is_just_small_enough_to_be_parsed_does_not_overflow_the_stack() {
    let minus = format!("{}up", "-".repeat(3_998));
    assert!(matches!(Query::parse(&minus), Err(ParseError::TooLarge { .. })));
    for query in [
        vec!["up"; 1_999].join(" or "),
        vec!["1"; 250].join(" ^ "),
        format!("{}up", "-".repeat(250)),
        format!("{}up{}", "sum(".repeat(64), ")".repeat(64)),
        format!("{}up{}", "(1 or ".repeat(64).replace('1', "up"), ")".repeat(64)),
    ] {
        let query = Query::parse(&query).unwrap();
        query.instant(&two_series(), 60_000, &small()).unwrap();
        query.range(&two_series(), 0, 480_000, 60_000, &small()).unwrap();
    }
}

#[test]
fn regular_expressions_are_few_and_small() {
    let selectors = |count: usize| {
        (0..count).map(|n| format!("up{{site=~'a{}'}}", n % 64)).collect::<Vec<_>>().join(" or ")
    };
    assert!(Query::parse(&selectors(128)).is_ok());
    let too_many = Query::parse(&format!("{} or up{{site!~'b'}}", selectors(64))).unwrap_err();
    assert_eq!(too_many, ParseError::TooLarge { what: "different regular expressions", limit: 64 });
    let too_large = Query::parse(r"up{site=~'(\\pL{30}){30}'}").unwrap_err();
    assert!(too_large.to_string().ends_with("expression too large"), "{too_large}");
}

#[test]
fn a_limit_that_is_met_is_named() {
    let memory = two_series();
    let ask =
        |query: &str, limits: &Limits<'_>| Query::parse(query).unwrap().instant(&memory, 480_000, limits);
    let series = ask("up", &Limits { series: 1, ..small() }).unwrap_err();
    assert_eq!(series, EvalError::TooMuch { what: "series in one selector", limit: 1 });
    let samples = ask("count_over_time(up[9m])", &Limits { samples: 10, ..small() }).unwrap_err();
    assert_eq!(samples, EvalError::TooMuch { what: "samples", limit: 10 });
    let cells = ask("count_over_time(up[8m:1s])", &Limits { cells: 900, ..small() }).unwrap_err();
    assert_eq!(cells, EvalError::TooMuch { what: "values in memory", limit: 900 });
    let steps = ask("count_over_time(up[100y:1ms])", &small()).unwrap_err();
    assert_eq!(steps, EvalError::TooMuch { what: "steps in a subquery", limit: 100_000 });
    let points = Query::parse("1").unwrap().range(&memory, 0, 1_001_000, 1_000, &small()).unwrap_err();
    assert_eq!(points, EvalError::Resolution { limit: 1_000 });
}

#[test]
fn no_limit_of_points_leaves_the_limit_of_memory() {
    let unlimited = Limits { points: usize::MAX, ..small() };
    let up = Query::parse("up").unwrap();
    up.range(&two_series(), 0, 480_000, 1_000, &unlimited).unwrap();
    for query in ["up", "nope", "time()", "scalar(nope)", "sum(nope)", "count_over_time(up[1m])", "up @ 60"] {
        let query = Query::parse(query).unwrap();
        let error = query.range(&two_series(), i64::MIN, i64::MAX, 1, &unlimited).unwrap_err();
        assert_eq!(error, EvalError::TooMuch { what: "values in memory", limit: 100_000 });
    }
}

#[test]
fn samples_between_the_windows_are_counted() {
    // Of the nine samples of each series only the first and the last are in a window.
    let limits = Limits { samples: 17, ..small() };
    let query = Query::parse("count_over_time(up[1s])").unwrap();
    let error = query.range(&two_series(), 0, 480_000, 480_000, &limits).unwrap_err();
    assert_eq!(error, EvalError::TooMuch { what: "samples", limit: 17 });
}

#[test]
fn what_is_given_back_may_be_taken_again() {
    // Each of the sums holds 481 values of two series and then of one; together they would be too many.
    let sums = vec!["sum(sum_over_time(up[8m:1s]))"; 20].join(" + ");
    let limits = Limits { cells: 4_000, ..small() };
    Query::parse(&sums).unwrap().instant(&two_series(), 480_000, &limits).unwrap();
}

#[test]
fn a_query_is_stopped_from_outside() {
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        (asked.get() > 3).then_some(Stop::Timeout)
    };
    let limits = Limits { stop: Some(&stop), ..Limits::default() };
    let query = Query::parse("sum_over_time(up[8m:1ms]) + sum_over_time(up[8m:1ms])").unwrap();
    let error = query.instant(&two_series(), 480_000, &limits).unwrap_err();
    assert_eq!((error.error_type(), asked.get()), (ErrorType::Timeout, 4));
}

#[test]
fn between_two_patterns_that_are_compiled_somebody_looks_whether_to_stop() {
    let looks = Cell::new(0);
    let stop = || {
        looks.set(looks.get() + 1);
        (looks.get() == 5).then_some(Stop::Timeout)
    };
    let limits = Limits { stop: Some(&stop), ..Limits::default() };
    let replace = r#"label_replace(nothing, "a", "", "b", "(a{9}){9}")"#;
    let query = Query::parse(&vec![replace; 100].join(" or ")).unwrap();
    let error = query.instant(&two_series(), 0, &limits).unwrap_err();
    assert_eq!((error, looks.get()), (EvalError::Stopped(Stop::Timeout), 5));
}

#[test]
fn what_series_are_looked_up_in_counts_as_held() {
    // Two series of one value: 2 (1 + 16) for them, and 2 * 8 while their labels are compared.
    let ask = |cells: u64| {
        let limits = Limits { cells, ..small() };
        Query::parse("-up").unwrap().instant(&two_series(), 0, &limits).map(|outcome| outcome.answer)
    };
    assert!(ask(34 + 16).is_ok());
    assert_eq!(ask(34 + 15), Err(EvalError::TooMuch { what: "values in memory", limit: 49 }));
}

#[test]
fn moments_at_the_end_of_time_are_moments() {
    let deep = format!("{}up{}", "max_over_time(".repeat(10), "[100y:1ms])".repeat(10));
    for query in [
        deep.as_str(),
        "up @ 9e12",
        "up @ -9e12 offset 292y",
        "up[292y] @ -9e12",
        "sum_over_time(up[1h:1m] offset -292y)",
        "up offset -292y",
    ] {
        let query = Query::parse(query).unwrap();
        for at in [i64::MIN, -1, 0, i64::MAX] {
            let _ = query.instant(&two_series(), at, &small());
            let _ = query.range(&two_series(), at, i64::MAX, i64::MAX / 7, &small());
        }
    }
}

#[test]
fn times_that_make_no_sense_are_bad_data() {
    let query = Query::parse("up").unwrap();
    for (start, end, step) in [(0, 1, 0), (0, 1, -1), (1, 0, 1)] {
        let error = query.range(&two_series(), start, end, step, &small()).unwrap_err();
        assert_eq!(error.error_type(), ErrorType::BadData);
    }
    let window = Query::parse("up[5m]").unwrap().range(&two_series(), 0, 1, 1, &small()).unwrap_err();
    assert_eq!(
        window.to_string(),
        "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"
    );
}

/// Pieces of the language and of its edges, in no order that makes sense.
fn rubbish() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("up"),
        Just("sum"),
        Just("by"),
        Just("on"),
        Just("offset"),
        Just("@"),
        Just("start()"),
        Just("("),
        Just(")"),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just("5m"),
        Just("1e309"),
        Just("0x"),
        Just(":"),
        Just(","),
        Just("=~"),
        Just("!="),
        Just("="),
        Just("\"a{9999}{9999}\""),
        Just("'\\xff'"),
        Just("`"),
        Just("-"),
        Just("+"),
        Just("inf"),
        Just("bool"),
        Just("group_left"),
        Just("fill"),
        Just("\u{1F600}"),
        Just("#"),
        Just("\n"),
        Just("99999999999999999999y"),
        Just("rate"),
        Just("atan2"),
        Just("."),
        Just(" "),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// Expressions that are mostly right, over the two series.
fn expression() -> impl Strategy<Value = String> {
    let vector = prop_oneof![
        Just("up".to_owned()),
        Just("up offset -1m".to_owned()),
        Just("up @ end()".to_owned()),
        Just(r#"{site=~"a|b"}"#.to_owned()),
        Just("vector(1e308)".to_owned()),
        Just("nope".to_owned()),
    ];
    vector.prop_recursive(6, 40, 3, |inner| {
        let operator = prop_oneof![
            Just("+"),
            Just("/"),
            Just("%"),
            Just("^"),
            Just("<"),
            Just("== bool"),
            Just("and"),
            Just("or on()"),
            Just("* on(site) group_left()")
        ];
        let aggregation = prop_oneof![
            Just("sum by (site) "),
            Just("topk(1e18, "),
            Just("quantile(NaN, "),
            Just("count_values('v', "),
            Just("stddev without (x) ")
        ];
        let function = prop_oneof![Just("rate"), Just("count_over_time"), Just("sum_over_time")];
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            (aggregation, inner.clone()).prop_map(|(name, of)| {
                if name.contains('(') && !name.ends_with(") ") {
                    format!("{name}{of})")
                } else {
                    format!("{name}({of})")
                }
            }),
            (function, inner.clone(), 1..5_u32, 1..1_000_000_u32)
                .prop_map(|(name, of, days, step)| format!("{name}(({of})[{days}d:{step}ms])")),
            inner.clone().prop_map(|of| format!("-{of}")),
            inner.prop_map(|of| format!("abs({of})")),
        ]
    })
}

/// What an answer takes, in cells: a sample is two and the labels of a series are sixteen.
fn size(answer: &Answer) -> u64 {
    let cells = match answer {
        Answer::Scalar(_) | Answer::String { .. } => 0,
        Answer::Vector(points) => points.len() * (16 + 1),
        Answer::Matrix(lines) => lines.iter().map(|line| 16 + 2 * line.samples.len()).sum(),
    };
    cells as u64
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = Query::parse(&text);
    }

    #[test]
    fn no_rubbish_of_the_language_makes_the_parser_panic(text in rubbish()) {
        if let Ok(query) = Query::parse(&text) {
            let _ = query.instant(&two_series(), 480_000, &small());
        }
    }

    #[test]
    fn no_expression_passes_its_limits(text in expression(), cells in 1_u64..150) {
        let query = Query::parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let limits = Limits { cells, ..small() };
        for answer in [
            query.instant(&two_series(), 480_000, &limits),
            query.range(&two_series(), 0, 480_000, 60_000, &limits),
        ].into_iter().flatten() {
            prop_assert!(size(&answer.answer) <= cells, "{text}: {answer:?}");
        }
    }
}
