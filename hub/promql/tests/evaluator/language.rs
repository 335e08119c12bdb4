//! What the language means, one fact a test.

use super::asking::{at, lines, series, until};
use rackside_promql::{EvalError, Limits, Query};

/// The error text of a query that is none.
fn refused(query: &str) -> String {
    Query::parse(query).map_or_else(|error| error.to_string(), |_| panic!("{query} was taken"))
}

#[test]
fn a_series_lives_for_five_minutes_after_its_last_sample_and_no_longer() {
    let memory = series(&[("up", "1")]);
    assert_eq!(until(6, &memory, "up").unwrap(), ["up 1@0 1@1 1@2 1@3 1@4 1@5"]);
}

#[test]
fn a_stale_mark_ends_a_series_at_once_and_is_no_sample() {
    let memory = series(&[("up", "1 2 stale 4")]);
    assert_eq!(until(3, &memory, "up").unwrap(), ["up 1@0 2@1 4@3"]);
    assert_eq!(at(3, &memory, "count_over_time(up[3m])").unwrap(), ["{} 3"]);
}

#[test]
fn a_window_has_both_its_ends() {
    let memory = series(&[("up", "1 2 3 4")]);
    assert_eq!(at(3, &memory, "up[1m]").unwrap(), ["up 3@2 4@3"]);
    assert_eq!(until(3, &memory, "count_over_time(up[1m])").unwrap(), ["{} 1@0 2@1 2@2 2@3"]);
}

#[test]
fn offset_looks_back_and_a_negative_one_ahead() {
    let memory = series(&[("up", "1 2 3 4")]);
    assert_eq!(at(2, &memory, "up offset 1m").unwrap(), ["up 2"]);
    assert_eq!(at(2, &memory, "up offset -1m").unwrap(), ["up 4"]);
}

#[test]
fn at_pins_a_moment_and_start_and_end_are_those_of_the_whole_query() {
    let memory = series(&[("up", "1 2 3 4")]);
    assert_eq!(until(3, &memory, "up @ 60").unwrap(), ["up 2@0 2@1 2@2 2@3"]);
    assert_eq!(until(3, &memory, "up @ end() offset 1m").unwrap(), ["up 3@0 3@1 3@2 3@3"]);
    assert_eq!(until(1, &memory, "count_over_time((up @ end())[2m:1m])").unwrap(), ["{} 3@0 3@1"]);
    assert_eq!(until(3, &memory, "count_over_time(up[1m] @ start())").unwrap(), ["{} 1@0 1@1 1@2 1@3"]);
}

#[test]
fn the_end_of_a_query_is_what_was_asked_for_and_not_its_last_step() {
    let memory = series(&[("up", "1 2 3 4")]);
    let query = Query::parse("up @ end()").unwrap();
    let answer = query.range(&memory, 0, 180_000, 120_000, &Limits::default()).unwrap();
    assert_eq!(lines(answer.answer), ["up 4@0 4@2"]);
}

#[test]
fn a_subquery_without_a_step_in_its_window_is_not_evaluated() {
    let memory = series(&[("up", "1 2 3 4")]);
    assert_eq!(at(3, &memory, r#"count_values("a b", up)[1m:5m]"#).unwrap(), Vec::<String>::new());
    assert!(at(3, &memory, r#"count_values("a b", up)[1m:1m]"#).is_err());
}

#[test]
fn the_steps_of_a_subquery_are_multiples_of_its_step() {
    let memory = series(&[("up", "1 2 3 4 5 6")]);
    assert_eq!(at(5, &memory, "up[3m:2m]").unwrap(), ["up 3@2 5@4"]);
    assert_eq!(at(5, &memory, "count_over_time(up[3m:])").unwrap(), ["{} 4"]);
    let query = Query::parse("count_over_time(up[3m:])").unwrap().with_default_step(30_000);
    let answer = query.instant(&memory, 300_000, &Limits::default()).unwrap();
    assert!(format!("{answer:?}").contains("value: 7.0"), "{answer:?}");
}

#[test]
fn arithmetic_drops_the_name_and_a_filter_keeps_it() {
    let memory = series(&[("up{site=a}", "3"), ("up{site=b}", "5")]);
    assert_eq!(at(0, &memory, "up * 2").unwrap(), [r#"{site="a"} 6"#, r#"{site="b"} 10"#]);
    assert_eq!(at(0, &memory, "4 < up").unwrap(), [r#"up{site="b"} 5"#]);
    assert_eq!(at(0, &memory, "4 < bool up").unwrap(), [r#"{site="a"} 0"#, r#"{site="b"} 1"#]);
    assert_eq!(at(0, &memory, "-up").unwrap(), [r#"{site="a"} -3"#, r#"{site="b"} -5"#]);
    assert_eq!(at(0, &memory, "2 ^ 3 ^ 2 - -1 ^ 2").unwrap(), ["513"]);
}

#[test]
fn series_of_two_vectors_meet_by_their_labels() {
    let memory = series(&[
        ("used{site=a,disk=x}", "3"),
        ("used{site=a,disk=y}", "4"),
        ("used{site=b,disk=x}", "5"),
        ("size{site=a,disk=x}", "10"),
        ("size{site=b,disk=z}", "20"),
        ("info{site=a,board=pi}", "1"),
    ]);
    assert_eq!(at(0, &memory, "used / size").unwrap(), [r#"{disk="x", site="a"} 0.3"#]);
    assert_eq!(at(0, &memory, "used < ignoring(disk) size").unwrap_err(), EvalError::ManyToMany);
    assert_eq!(
        at(0, &memory, r#"used{disk="x"} < ignoring(disk) size"#).unwrap(),
        [r#"used{site="a"} 3"#, r#"used{site="b"} 5"#]
    );
}

#[test]
fn group_left_takes_labels_over_from_the_one_side() {
    let memory =
        series(&[("used{site=a,disk=x}", "3"), ("used{site=a,disk=y}", "4"), ("info{site=a,board=pi}", "1")]);
    let both = [r#"{board="pi", disk="x", site="a"} 3"#, r#"{board="pi", disk="y", site="a"} 4"#];
    assert_eq!(at(0, &memory, "used * on(site) group_left(board) info").unwrap(), both);
    assert_eq!(at(0, &memory, "info * on(site) group_right(board) used").unwrap(), both);
    assert_eq!(at(0, &memory, "used * on(site) info").unwrap_err(), EvalError::ManyToMany);
    let error = at(0, &memory, "info * on(site) group_left used").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("found duplicate series for the match group {site=\"a\"} on the right hand-side"),
        "{error}"
    );
    let error = at(0, &memory, "used * on(site) group_left(disk) info").unwrap_err();
    assert_eq!(error, EvalError::GroupingNotUnique);
}

#[test]
fn series_that_take_turns_are_no_duplicates() {
    let memory = series(&[
        ("used{site=a}", "1 1 1 1"),
        ("info{site=a,v=1}", "1 1 stale"),
        ("info{site=a,v=2}", "_ _ 2 2"),
    ]);
    assert_eq!(until(3, &memory, "used * on(site) info").unwrap(), [r#"{site="a"} 1@0 1@1 2@2 2@3"#]);
    assert_eq!(
        until(3, &memory, "used * on(site) group_left(v) info").unwrap(),
        [r#"{site="a", v="1"} 1@0 1@1"#, r#"{site="a", v="2"} 2@2 2@3"#]
    );
}

#[test]
fn sets_are_made_step_by_step() {
    let memory =
        series(&[("a{x=1}", "1 2 3"), ("a{x=2}", "1 stale"), ("b{x=1}", "7 stale"), ("b{x=3}", "8 8 8")]);
    assert_eq!(until(2, &memory, "a and on(x) b").unwrap(), [r#"a{x="1"} 1@0"#]);
    assert_eq!(until(2, &memory, "a unless on(x) b").unwrap(), [r#"a{x="1"} 2@1 3@2"#, r#"a{x="2"} 1@0"#]);
    assert_eq!(
        until(2, &memory, "a or on(x) b").unwrap(),
        [r#"a{x="1"} 1@0 2@1 3@2"#, r#"a{x="2"} 1@0"#, r#"b{x="3"} 8@0 8@1 8@2"#]
    );
}

#[test]
fn equal_labels_in_one_result_are_an_error() {
    let memory = series(&[("a{x=1}", "1"), ("b{x=1}", "2")]);
    assert_eq!(at(0, &memory, r#"-{x="1"}"#).unwrap_err(), EvalError::SameLabels);
    assert_eq!(at(0, &memory, r#"{x="1"} * 2"#).unwrap_err(), EvalError::SameLabels);
}

#[test]
fn aggregations_group_by_labels_or_by_all_others() {
    let memory = series(&[("m{x=1,y=1}", "1"), ("m{x=1,y=2}", "3"), ("m{x=2,y=1}", "8")]);
    for (query, answer) in [
        ("sum(m)", vec!["{} 12"]),
        ("sum by (x) (m)", vec![r#"{x="1"} 4"#, r#"{x="2"} 8"#]),
        ("avg(m) without (y)", vec![r#"{x="1"} 2"#, r#"{x="2"} 8"#]),
        ("min by (y, nope) (m)", vec![r#"{y="1"} 1"#, r#"{y="2"} 3"#]),
        ("max(m)", vec!["{} 8"]),
        ("count(m)", vec!["{} 3"]),
        ("group(m)", vec!["{} 1"]),
        ("stdvar by (x) (m)", vec![r#"{x="1"} 1"#, r#"{x="2"} 0"#]),
        ("quantile by (x) (0.5, m)", vec![r#"{x="1"} 2"#, r#"{x="2"} 8"#]),
        ("topk(2, m)", vec![r#"m{x="2", y="1"} 8"#, r#"m{x="1", y="2"} 3"#]),
        ("bottomk by (x) (1, m)", vec![r#"m{x="1", y="1"} 1"#, r#"m{x="2", y="1"} 8"#]),
        ("topk(0, m)", vec![]),
        (r#"count_values("v", m > 2)"#, vec![r#"{v="3"} 1"#, r#"{v="8"} 1"#]),
        (r#"count_values without (x, y) ("v", m / m)"#, vec![r#"{v="1"} 3"#]),
        ("sum(nope)", vec![]),
    ] {
        assert_eq!(at(0, &memory, query).unwrap(), answer, "{query}");
    }
    for wrong in ["topk(NaN, m)", "topk(1e300, m)", r#"count_values("0", m)"#] {
        assert!(matches!(at(0, &memory, wrong), Err(EvalError::Argument(_))), "{wrong}");
    }
}

#[test]
fn nan_loses_against_every_number() {
    let memory = series(&[("m{x=1}", "nan"), ("m{x=2}", "3"), ("m{x=3}", "-inf")]);
    assert_eq!(at(0, &memory, "max(m)").unwrap(), ["{} 3"]);
    assert_eq!(at(0, &memory, "min(m)").unwrap(), ["{} -inf"]);
    assert_eq!(
        at(0, &memory, "topk(3, m)").unwrap(),
        [r#"m{x="2"} 3"#, r#"m{x="3"} -inf"#, r#"m{x="1"} NaN"#]
    );
}

#[test]
fn what_only_a_later_prometheus_knows_is_refused() {
    for (query, because) in [
        (r#"{"up"}"#, "unexpected string in label matching"),
        (r#"{"site"="a"}"#, "unexpected string in label matching"),
        (r#"{a="1" or b="2"}"#, "unexpected identifier \"or\""),
        (r#"sum by ("a") (up)"#, "unexpected string in grouping"),
        ("up[5]", "bad duration syntax"),
        ("up[5m:1]", "bad duration syntax"),
        ("up[5m:1e300]", "bad duration syntax"),
        ("up[5m:99999999999999999ms]", "duration out of range"),
        ("up offset 5", "bad duration syntax"),
        ("up offset inf", "expected duration"),
        ("1 + 5m", "unexpected duration"),
        ("a + fill(0) b", "fill modifiers are not supported"),
        ("limitk(1, a)", "unknown function"),
        ("info(a)", "unknown function"),
        ("double_exponential_smoothing(a[5m], 1, 1)", "unknown function"),
    ] {
        let text = refused(query);
        assert!(text.contains(because), "{query}: {text}");
    }
}

#[test]
fn wrong_expressions_are_refused_with_a_reason() {
    for (query, because) in [
        ("", "no expression"),
        ("{}", "at least one non-empty matcher"),
        (r#"{a=~".*"}"#, "at least one non-empty matcher"),
        (r#"{a!="x"}"#, "at least one non-empty matcher"),
        (r#"up{a=~"("}"#, "error parsing regexp"),
        (r#"up{a="x}"#, "1:6: parse error: unterminated quoted string"),
        ("up{a=}", "unexpected '}' in label matching, expected string"),
        ("1 == 1", "BOOL modifier"),
        ("a + bool b", "bool modifier can only be used on comparison operators"),
        ("1 and a", "set operator 'and' not allowed"),
        ("a and on(x) group_left b", "no grouping allowed"),
        ("a + on(x) 1", "vector matching only allowed between"),
        ("a * on(x) group_left(x) b", "must not occur in ON and GROUP clause at once"),
        ("rate(a)", "expected type range vector in call to function 'rate', got instant vector"),
        ("ln(-1)", "expected type instant vector in call to function \"ln\", got scalar"),
        ("abs(a, b)", "expected 1 argument(s)"),
        (r#"up{__name__="down"}"#, "metric name must not be set twice"),
        ("-\"a\"", "unary expression only allowed"),
        ("a[5m] + 1", "only scalar and instant vector"),
        ("(1)[5m:1m]", "subquery is only allowed on"),
        ("a[5m:0s]", "duration must be greater than 0"),
        ("a[300y]", "duration out of range"),
        ("a @ 1e300", "out of bounds"),
        ("a @ NaN", "out of bounds"),
    ] {
        let text = refused(query);
        assert!(text.contains(because), "{query}: {text}");
    }
}

#[test]
fn matchers_that_cannot_match_nothing_are_enough() {
    for query in [r#"{a!=""}"#, r#"{a!~".*"}"#, r#"{a=~".+"}"#, r#"{__name__="up"}"#, r#"up{a=~".*"}"#] {
        assert!(Query::parse(query).is_ok(), "{query}");
    }
}

#[test]
fn words_of_the_language_may_be_names() {
    assert!(Query::parse(r#"{or = "1", AND="2"}"#).is_ok());
    let memory = series(&[("offset{by=1}", "1"), ("sum{on=2}", "2"), ("end", "3"), ("bool_", "4")]);
    assert_eq!(at(1, &memory, "offset offset 1m").unwrap(), [r#"offset{by="1"} 1"#]);
    assert_eq!(at(1, &memory, "sum by (on) (sum)").unwrap(), [r#"{on="2"} 2"#]);
    assert_eq!(at(1, &memory, "end + 0 # a comment\n").unwrap(), ["{} 3"]);
}
