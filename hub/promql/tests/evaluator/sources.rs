//! What an evaluation and a source say to each other, and what a query tells about itself before it is asked.

use std::cell::{Cell, RefCell};

use rackside_promql::{
    ErrorType, EvalError, Labels, Limits, Matcher, ParseError, Query, Select, Source, SourceError, Stop,
    Take, Wanted, parse_selector,
};

/// Has no series; writes down what is asked of it, says something about it, and fails if it is told to.
#[derive(Default)]
struct Witness {
    asked: RefCell<Vec<String>>,
    fails: Option<SourceError>,
}

impl Source for Witness {
    fn select(&self, wanted: &Select<'_>, take: &mut dyn Take) -> Result<(), SourceError> {
        let Select { matchers, from, to, wanted, step, window, reduce } = wanted;
        let seconds = |ms: &i64| ms / 1000;
        let newest = if *wanted == Wanted::Newest { " newest" } else { "" };
        let step = step.as_ref().map(|step| format!(" every {}", seconds(step))).unwrap_or_default();
        let window = window.as_ref().map(|window| format!(" of {}", seconds(window))).unwrap_or_default();
        let text =
            format!("{matchers:?} {}..{}{newest}{step}{window} {reduce:?}", seconds(from), seconds(to));
        self.asked.borrow_mut().push(text);
        take.warn("nothing is known any more");
        take.warn(&format!("nothing about {matchers:?}"));
        if let Some(stop) = take.stopped() {
            return Err(SourceError::Stopped(stop));
        }
        self.fails.clone().map_or(Ok(()), Err)
    }
}

/// What is asked at 1,000 s, and from there to 1,600 s every minute.
fn asked(query: &str) -> (Vec<String>, Vec<String>) {
    let query = Query::parse(query).expect("a query");
    let (instant, range) = (Witness::default(), Witness::default());
    query.instant(&instant, 1_000_000, &Limits::default()).expect("no series is no error");
    query.range(&range, 1_000_000, 1_600_000, 60_000, &Limits::default()).expect("no series is no error");
    (instant.asked.into_inner(), range.asked.into_inner())
}

#[test]
fn a_source_is_told_what_becomes_of_its_samples() {
    for (query, instant, range) in [
        ("x", "700..1000 newest Last", "700..1600 every 60 Last"),
        ("x offset 1m", "640..940 newest Last", "640..1540 every 60 Last"),
        ("x @ 500", "200..500 newest Last", "200..500 newest Last"),
        ("timestamp(x)", "700..1000 newest Samples", "700..1600 every 60 Samples"),
        ("rate(x[5m])", "700..1000 of 300 Counter", "700..1600 every 60 of 300 Counter"),
        ("increase(x[5m])", "700..1000 of 300 Counter", "700..1600 every 60 of 300 Counter"),
        ("irate(x[5m])", "700..1000 of 300 Samples", "700..1600 every 60 of 300 Samples"),
        ("delta(x[5m])", "700..1000 of 300 Samples", "700..1600 every 60 of 300 Samples"),
        ("min_over_time(x[5m])", "700..1000 of 300 Min", "700..1600 every 60 of 300 Min"),
        ("max_over_time(x[5m])", "700..1000 of 300 Max", "700..1600 every 60 of 300 Max"),
        ("avg_over_time(x[5m])", "700..1000 of 300 Mean", "700..1600 every 60 of 300 Mean"),
        ("sum_over_time(x[5m])", "700..1000 of 300 Sum", "700..1600 every 60 of 300 Sum"),
        ("count_over_time(x[5m])", "700..1000 of 300 Count", "700..1600 every 60 of 300 Count"),
        ("last_over_time(x[5m])", "700..1000 of 300 Last", "700..1600 every 60 of 300 Last"),
        ("stddev_over_time(x[5m])", "700..1000 of 300 Samples", "700..1600 every 60 of 300 Samples"),
        ("absent_over_time(x[5m])", "700..1000 of 300 Samples", "700..1600 every 60 of 300 Samples"),
        (
            "max_over_time(rate(x[1m])[5m:30s])",
            "660..990 every 30 of 60 Counter",
            "660..1590 every 30 of 60 Counter",
        ),
        ("sum(max_over_time(x[5m] @ 500))", "200..500 of 300 Max", "200..500 of 300 Max"),
    ] {
        let name = r#"[__name__="x"] "#;
        assert_eq!(
            asked(query),
            (vec![format!("{name}{instant}")], vec![format!("{name}{range}")]),
            "{query}"
        );
    }
    let window = Witness::default();
    Query::parse("x[5m]").unwrap().instant(&window, 1_000_000, &Limits::default()).unwrap();
    assert_eq!(window.asked.into_inner(), [r#"[__name__="x"] 700..1000 of 300 Samples"#]);
}

#[test]
fn what_a_source_says_is_told_once_with_the_answer() {
    let query = Query::parse("x + y + x").unwrap();
    let told =
        ["nothing is known any more", r#"nothing about [__name__="x"]"#, r#"nothing about [__name__="y"]"#];
    let outcome = query.instant(&Witness::default(), 0, &Limits::default()).unwrap();
    assert_eq!(outcome.warnings, told);
    let outcome = query.range(&Witness::default(), 0, 60_000, 30_000, &Limits::default()).unwrap();
    assert_eq!(outcome.warnings, told);
    let many = (0..100).map(|n| format!("x{n}")).collect::<Vec<_>>().join(" or ");
    let outcome = Query::parse(&many).unwrap().instant(&Witness::default(), 0, &Limits::default()).unwrap();
    assert_eq!(outcome.warnings.len(), 32);
}

#[test]
fn a_source_is_stopped_between_two_series() {
    let looks = Cell::new(0);
    let stop = || {
        looks.set(looks.get() + 1);
        Some(Stop::Canceled)
    };
    let limits = Limits { stop: Some(&stop), ..Limits::default() };
    let error = Query::parse("x").unwrap().instant(&Witness::default(), 0, &limits).unwrap_err();
    assert_eq!((error, looks.get()), (EvalError::Stopped(Stop::Canceled), 1));
}

#[test]
fn an_error_of_a_source_has_its_kind() {
    for (fails, kind, text) in [
        (SourceError::Stopped(Stop::Timeout), ErrorType::Timeout, "query timed out in expression evaluation"),
        (SourceError::TooMuch("9 chunks".to_owned()), ErrorType::Execution, "expanding series: 9 chunks"),
        (SourceError::Failed("no disk".to_owned()), ErrorType::Internal, "expanding series: no disk"),
    ] {
        let source = Witness { fails: Some(fails), ..Witness::default() };
        let error = Query::parse("x").unwrap().instant(&source, 0, &Limits::default()).unwrap_err();
        assert_eq!((error.error_type(), error.to_string().as_str()), (kind, text));
    }
}

#[test]
fn selectors_are_told_in_the_order_in_which_they_are_written() {
    let query = Query::parse(
        "sum(a + b) / c[5m:] or quantile(scalar(d), label_replace(rate(e[5m]), 'f', '', '', '')) + -g{h!='i'} + 1"
            .replace("c[5m:]", "max_over_time(c[5m:])")
            .as_str(),
    )
    .unwrap();
    let names: Vec<String> =
        query.selectors().map(|matchers| Matcher::to_string(&matchers[0]).replace("__name__=", "")).collect();
    assert_eq!(names.join(" "), r#""a" "b" "c" "d" "e" "g""#);
    let matchers: Vec<Vec<String>> =
        query.selectors().map(|matchers| matchers.iter().map(Matcher::to_string).collect()).collect();
    assert_eq!(matchers[5], [r#"__name__="g""#, r#"h!="i""#]);
    assert_eq!(Query::parse("1 + time()").unwrap().selectors().count(), 0);
}

#[test]
fn the_reach_of_a_query_is_the_furthest_that_it_looks_back() {
    for (query, seconds) in [
        ("1", Some(0)),
        ("x", Some(300)),
        ("x offset 1h", Some(3900)),
        ("x offset -2m", Some(180)),
        ("x offset -1h", Some(0)),
        ("rate(x[10m])", Some(600)),
        ("rate(x[10m] offset 5m)", Some(900)),
        ("x + rate(y[10m]) or z", Some(600)),
        ("max_over_time(rate(x[5m])[1h:1m])", Some(3900)),
        ("max_over_time(x[1h:1m] offset 1d)", Some(90_300)),
        ("quantile(scalar(x offset 1h), y)", Some(3900)),
        ("x @ 500", None),
        ("y + x @ 500", None),
        ("max_over_time(x[1h:] @ 500)", None),
        ("max_over_time((x @ end())[1h:])", Some(300)),
        ("x @ start() offset 1m", Some(360)),
    ] {
        let reach = Query::parse(query).unwrap().reach();
        assert_eq!(reach.map(|ms| ms / 1000), seconds, "{query}");
    }
}

#[test]
fn a_selector_by_itself_is_a_name_or_matchers_that_do_not_find_everything() {
    for (text, matchers) in [
        ("up", r#"[__name__="up"]"#),
        (" up {job=~'a|b', x!=\"y\"} # why", r#"[__name__="up", job=~"a|b", x!="y"]"#),
        (r#"{__name__=~"up|down"}"#, r#"[__name__=~"up|down"]"#),
        (r#"{a="",b="c",}"#, r#"[a="", b="c"]"#),
        ("rate", r#"[__name__="rate"]"#),
    ] {
        assert_eq!(format!("{:?}", parse_selector(text).unwrap()), matchers, "{text}");
    }
    for text in ["{}", r#"{a=""}"#, r#"{a=~".*"}"#, r#"{a!="x"}"#] {
        assert_eq!(parse_selector(text).unwrap_err(), ParseError::FindsAll, "{text}");
    }
    for text in ["(up)", "up offset 5m", "up @ 5", "up[5m]", "1", "up + up", "+up", "-up", "sum(up)", "'up'"]
    {
        assert_eq!(parse_selector(text).unwrap_err(), ParseError::NoSelector, "{text}");
    }
    for text in ["", "up{", "up{a=b}", r#"up{a=~"("}"#, "{a='x' or b='y'}"] {
        assert_eq!(parse_selector(text).unwrap_err().error_type(), ErrorType::BadData, "{text}");
    }
    let found = parse_selector(r#"up{site!="a"}"#).unwrap();
    let up = Labels::new([("__name__", "up"), ("site", "b")]);
    assert!(found.iter().all(|matcher| matcher.matches(&up)));
}
