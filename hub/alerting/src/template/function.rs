//! The functions that a template can call: their names, what they take, what they do. Those of text/template are in `builtin.rs`; here are the table
//! and Prometheus's own. How arguments come about is `run.rs`'s.
//!
//! Every text that a function makes is paid from the expansion's [`Effort`], so no template fills memory.
//!
//! Sample: `{{ 1234567 | humanize }}` is `1.235M`.

use super::builtin;
use super::effort::Effort;
use super::float;
use super::moment::Moment;
use super::value::Value;
use crate::duration;
use rackside_promql::Labels;
use std::net::IpAddr;
use std::sync::Arc;

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    /// A string, and nothing that only looks like one.
    Text,
    Sample,
    Samples,
    Any,
}

impl Parameter {
    /// Go's name of its type.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Sample => "*template.sample",
            Self::Samples => "template.queryResult",
            Self::Any => "interface {}",
        }
    }
}

/// A function.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    /// What it takes first.
    pub(super) fixed: &'static [Parameter],
    /// Whether any number of anything may follow.
    pub(super) variadic: bool,
    pub(super) work: Work,
}

/// What it does.
#[derive(Debug)]
pub(super) enum Work {
    /// `and`: arguments behind the first one that is false are not looked at.
    And,
    /// `or`: arguments behind the first one that is true are not looked at.
    Or,
    Of(fn(&mut Effort<'_>, &[Value]) -> Result<Value, String>),
}

impl Function {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        FUNCTIONS.iter().find(|function| function.name == name)
    }
}

const fn function(
    name: &'static str,
    fixed: &'static [Parameter],
    variadic: bool,
    work: fn(&mut Effort<'_>, &[Value]) -> Result<Value, String>,
) -> Function {
    Function { name, fixed, variadic, work: Work::Of(work) }
}

use Parameter::{Any, Sample, Samples, Text};

static FUNCTIONS: [Function; 45] = [
    Function { name: "and", fixed: &[Any], variadic: true, work: Work::And },
    Function { name: "or", fixed: &[Any], variadic: true, work: Work::Or },
    function("not", &[Any], false, builtin::not),
    function("len", &[Any], false, builtin::len),
    function("index", &[Any], true, builtin::index),
    function("slice", &[Any], true, builtin::slice),
    function("eq", &[Any], true, builtin::eq),
    function("ne", &[Any, Any], false, builtin::ne),
    function("lt", &[Any, Any], false, builtin::lt),
    function("le", &[Any, Any], false, builtin::le),
    function("gt", &[Any, Any], false, builtin::gt),
    function("ge", &[Any, Any], false, builtin::ge),
    function("print", &[], true, builtin::print),
    function("printf", &[Text], true, builtin::printf),
    function("println", &[], true, builtin::println),
    function("html", &[], true, builtin::html),
    function("js", &[], true, builtin::js),
    function("urlquery", &[], true, builtin::urlquery),
    function("call", &[Any], true, builtin::call),
    function("query", &[Text], false, |effort, values| effort.query(text(values, 0))),
    function("first", &[Samples], false, first),
    function("label", &[Text, Sample], false, label),
    function("value", &[Sample], false, value),
    function("strvalue", &[Sample], false, |_, values| Ok(labelled(&sample(values, 0)?.labels, "__value__"))),
    function("args", &[], true, |_, values| Ok(Value::Args(values.into()))),
    function("reReplaceAll", &[Text, Text, Text], false, replace_all),
    function("safeHtml", &[Text], false, |_, values| Ok(Value::Html(text(values, 0).into()))),
    function("match", &[Text, Text], false, matches),
    function("title", &[Text], false, |effort, values| effort.made(title(text(values, 0)))),
    function("toUpper", &[Text], false, |effort, values| {
        effort.made(text(values, 0).chars().map(upper).collect())
    }),
    function("toLower", &[Text], false, |effort, values| {
        effort.made(text(values, 0).chars().map(lower).collect())
    }),
    function("graphLink", &[Text], false, |effort, values| link(effort, values, 0)),
    function("tableLink", &[Text], false, |effort, values| link(effort, values, 1)),
    function("sortByLabel", &[Text, Samples], false, sort_by_label),
    function("stripPort", &[Text], false, |effort, values| effort.made(strip_port(text(values, 0)))),
    function("stripDomain", &[Text], false, |effort, values| effort.made(strip_domain(text(values, 0)))),
    function("humanize", &[Any], false, |effort, values| effort.made(humanize(number(&values[0])?))),
    function("humanize1024", &[Any], false, |effort, values| effort.made(humanize_1024(number(&values[0])?))),
    function("humanizeDuration", &[Any], false, |effort, values| {
        effort.made(humanize_duration(number(&values[0])?))
    }),
    function("humanizePercentage", &[Any], false, |effort, values| {
        effort.made(format!("{}%", four_digits(number(&values[0])? * 100.0)))
    }),
    function("humanizeTimestamp", &[Any], false, humanize_timestamp),
    function("toTime", &[Any], false, to_time),
    function("pathPrefix", &[], false, |effort, _| effort.made(path_of(effort.context().external_url))),
    function("externalURL", &[], false, |effort, _| effort.made(effort.context().external_url.to_owned())),
    function("parseDuration", &[Text], false, |_, values| {
        duration::parse(text(values, 0)).map(|milliseconds| Value::Float(milliseconds as f64 / 1000.0))
    }),
];

/// The text that the caller has seen to be one.
pub(super) fn text(values: &[Value], at: usize) -> &str {
    values.get(at).and_then(Value::as_text).unwrap_or_default()
}

fn sample(values: &[Value], at: usize) -> Result<&rackside_promql::Point, String> {
    match values.get(at) {
        Some(Value::Sample(Some(point))) => Ok(point),
        _ => Err("runtime error: invalid memory address or nil pointer dereference".to_owned()),
    }
}

fn samples(values: &[Value], at: usize) -> &[Arc<rackside_promql::Point>] {
    match values.get(at) {
        Some(Value::Samples(samples)) => samples,
        _ => &[],
    }
}

fn labelled(labels: &Labels, name: &str) -> Value {
    Value::text(labels.value(name))
}

fn first(_: &mut Effort<'_>, values: &[Value]) -> Result<Value, String> {
    let first = samples(values, 0).first().ok_or("first() called on vector with no elements")?;
    Ok(Value::Sample(Some(Arc::clone(first))))
}

fn label(_: &mut Effort<'_>, values: &[Value]) -> Result<Value, String> {
    Ok(labelled(&sample(values, 1)?.labels, text(values, 0)))
}

fn value(_: &mut Effort<'_>, values: &[Value]) -> Result<Value, String> {
    Ok(Value::Float(sample(values, 0)?.sample.value))
}

fn sort_by_label(effort: &mut Effort<'_>, values: &[Value]) -> Result<Value, String> {
    let mut sorted = samples(values, 1).to_vec();
    effort.spend(sorted.len())?;
    sorted.sort_by(|one, other| one.labels.value(text(values, 0)).cmp(other.labels.value(text(values, 0))));
    Ok(Value::Samples(sorted.into()))
}

fn matches(effort: &mut Effort<'_>, values: &[Value]) -> Result<Value, String> {
    Ok(Value::Bool(effort.pattern(text(values, 0))?.is_match(text(values, 1))))
}

fn replace_all(effort: &mut Effort<'_>, values: &[Value]) -> Result<Value, String> {
    let pattern = effort.pattern(text(values, 0))?;
    let (by, of) = (text(values, 1), text(values, 2));
    let references = by.matches('$').count();
    let (mut replaced, mut behind) = (String::new(), 0);
    for found in pattern.captures_iter(of) {
        let Some(whole) = found.get(0) else { continue };
        replaced.push_str(&of[behind..whole.start()]);
        behind = whole.end();
        let at_most = by.len().saturating_add(references.saturating_mul(whole.len()));
        effort.room_for(replaced.len().saturating_add(at_most))?;
        found.expand(by, &mut replaced);
    }
    replaced.push_str(&of[behind..]);
    effort.made(replaced)
}

/// A letter after anything that is neither letter nor digit is made a capital.
fn title(text: &str) -> String {
    let mut part_of_word = false;
    let each = |c: char| {
        let changed = if part_of_word { c } else { upper(c) };
        part_of_word = c == '_' || c.is_alphanumeric() || (!c.is_ascii() && !c.is_whitespace());
        changed
    };
    text.chars().map(each).collect()
}

/// One character for one, as Go has it: `ß` stays.
fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        // The one that has two in Rust: the Turkish capital I with a dot.
        _ => 'i',
    }
}

fn link(effort: &mut Effort<'_>, values: &[Value], tab: u8) -> Result<Value, String> {
    let expression = builtin::url_escaped(text(values, 0));
    effort.made(format!("/graph?g0.expr={expression}&g0.tab={tab}"))
}

/// Host and port, as Go's `net.SplitHostPort` finds them.
fn host_and_port(text: &str) -> Option<(&str, &str)> {
    let colon = text.rfind(':')?;
    let (host, rest, behind) = match text.strip_prefix('[') {
        Some(inside) => {
            let end = inside.find(']')?;
            (end + 2 == colon).then_some((&inside[..end], inside, &inside[end + 1..]))?
        }
        None => (&text[..colon], text, text),
    };
    let ordinary = !text.starts_with('[') && host.contains(':');
    (!ordinary && !rest.contains('[') && !behind.contains(']')).then(|| (host, &text[colon + 1..]))
}

fn strip_port(text: &str) -> String {
    host_and_port(text).map_or(text, |(host, _)| host).to_owned()
}

fn strip_domain(text: &str) -> String {
    let (host, port) = host_and_port(text).unwrap_or((text, ""));
    if host.parse::<IpAddr>().is_ok() {
        return text.to_owned();
    }
    let host = host.split('.').next().unwrap_or_default();
    match (port, host.contains(':')) {
        ("", _) => host.to_owned(),
        (port, true) => format!("[{host}]:{port}"),
        (port, false) => format!("{host}:{port}"),
    }
}

/// The path of a URL.
fn path_of(url: &str) -> String {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = behind_scheme.find('/').map_or("", |at| &behind_scheme[at..]);
    path.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// What the functions for people to read take as a number.
fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::Text(text) => {
            let wrong = |why| format!("strconv.ParseFloat: parsing {text:?}: {why}");
            match text.parse::<f64>() {
                Ok(number) if number.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) => {
                    Err(wrong("value out of range"))
                }
                Ok(number) => Ok(number),
                Err(_) => Err(wrong("invalid syntax")),
            }
        }
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

fn four_digits(number: f64) -> String {
    float::written(number, 'g', Some(4))
}

/// Divides until fewer than `by` are left, and says by which prefix.
fn scaled(mut number: f64, by: f64, prefixes: &[&'static str]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if number.abs() < by {
            break;
        }
        prefix = next;
        number /= by;
    }
    (number, prefix)
}

/// Multiplies until there is at least one, and says by which prefix.
fn enlarged(mut number: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if number.abs() >= 1.0 {
            break;
        }
        prefix = next;
        number *= 1000.0;
    }
    (number, prefix)
}

fn humanize(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return four_digits(number);
    }
    let (number, prefix) = if number.abs() >= 1.0 {
        scaled(number, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"])
    } else {
        enlarged(number)
    };
    format!("{}{prefix}", four_digits(number))
}

fn humanize_1024(number: f64) -> String {
    if number.abs() <= 1.0 || !number.is_finite() {
        return four_digits(number);
    }
    let (number, prefix) = scaled(number, 1024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]);
    format!("{}{prefix}", four_digits(number))
}

fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return four_digits(seconds);
    }
    if seconds == 0.0 {
        return format!("{}s", four_digits(seconds));
    }
    if seconds.abs() < 1.0 {
        let (number, prefix) = enlarged(seconds);
        return format!("{}{prefix}s", four_digits(number));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let seconds = seconds.abs();
    let whole = seconds as i64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", four_digits(seconds)),
        (0, 0, _) => format!("{sign}{minutes}m {rest}s"),
        (0, ..) => format!("{sign}{hours}h {minutes}m {rest}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {rest}s"),
    }
}

fn humanize_timestamp(effort: &mut Effort<'_>, values: &[Value]) -> Result<Value, String> {
    let number = number(&values[0])?;
    effort.made(if number.is_finite() {
        Moment::of_seconds(number)?.to_string()
    } else {
        four_digits(number)
    })
}

fn to_time(_: &mut Effort<'_>, values: &[Value]) -> Result<Value, String> {
    let number = number(&values[0])?;
    if !number.is_finite() {
        return Err("value is NaN or Inf".to_owned());
    }
    Moment::of_seconds(number).map(Value::Moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (seconds, text) in [
            (0.0, "0s"),
            (0.0012, "1.2ms"),
            (59.96, "59.96s"),
            (61.0, "1m 1s"),
            (3600.0, "1h 0m 0s"),
            (90_061.9, "1d 1h 1m 1s"),
            (-75.0, "-1m 15s"),
        ] {
            assert_eq!(humanize_duration(seconds), text);
        }
        for (number, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1234.0, "1.234k"),
            (0.02, "20m"),
            (-2_500_000.0, "-2.5M"),
            (1e30, "1e+06Y"),
        ] {
            assert_eq!(humanize(number), text);
        }
        assert_eq!([0.5, 1024.0, 3e9].map(humanize_1024), ["0.5", "1ki", "2.794Gi"]);
    }

    #[test]
    fn ports_and_domains_are_stripped() {
        for (text, port, domain) in [
            ("hall.example.com:80", "hall.example.com", "hall:80"),
            ("hall.example.com", "hall.example.com", "hall"),
            ("192.0.2.1:80", "192.0.2.1", "192.0.2.1:80"),
            ("[2001:db8::1]:80", "2001:db8::1", "[2001:db8::1]:80"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::1"),
            ("a:b:c", "a:b:c", "a:b:c"),
            ("[a]", "[a]", "[a]"),
        ] {
            assert_eq!((strip_port(text).as_str(), strip_domain(text).as_str()), (port, domain), "{text}");
        }
    }

    #[test]
    fn words_are_raised_and_urls_taken_apart() {
        assert_eq!(title("on-air now_then élan 1st"), "On-Air Now_then Élan 1st");
        assert_eq!("straße".chars().map(upper).collect::<String>(), "STRAßE");
        for (url, path) in [("https://hub.example/a/b?c#d", "/a/b"), ("https://hub.example", ""), ("", "")] {
            assert_eq!(path_of(url), path);
        }
    }

    #[test]
    fn every_function_has_a_name_of_its_own() {
        for function in &FUNCTIONS {
            assert!(
                std::ptr::eq(Function::named(function.name).expect("named"), function),
                "{}",
                function.name
            );
        }
    }
}
