//! The functions that every Go template has. Prometheus's own are in `function.rs`.
//!
//! Errors are Go's of 1.19 to the letter: Prometheus writes them into the annotation, and a unit test may expect them there.
//!
//! Sample: `lt 1 1.5` is the error `incompatible types for comparison`.

use super::effort::{Effort, too_long};
use super::format;
use super::function::text;
use super::value::{Value, arguments};
use std::cmp::Ordering;
use std::fmt::Write as _;
use std::sync::Arc;

type Result<T = Value> = std::result::Result<T, String>;

#[expect(clippy::unnecessary_wraps, reason = "all functions have this type")]
pub(super) fn not(_: &mut Effort<'_>, values: &[Value]) -> Result {
    Ok(Value::Bool(!values[0].is_true()))
}

pub(super) fn len(_: &mut Effort<'_>, values: &[Value]) -> Result {
    let length = match &values[0] {
        Value::Text(text) | Value::Html(text) => text.len(),
        Value::Labels(labels) => labels.len(),
        Value::Args(values) => values.len(),
        Value::Samples(samples) => samples.len(),
        Value::None => return Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        Value::Sample(None) => return Err("len of nil pointer".to_owned()),
        Value::Sample(_) => return Err("len of type template.sample".to_owned()),
        Value::Moment(_) => return Err("len of type time.Time".to_owned()),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

pub(super) fn index(_: &mut Effort<'_>, values: &[Value]) -> Result {
    let mut item = values[0].clone();
    if matches!(item, Value::None) {
        return Err("index of untyped nil".to_owned());
    }
    for index in &values[1..] {
        item = match &item {
            Value::Text(text) | Value::Html(text) => {
                Value::Byte(text.as_bytes()[place(index, text.len(), Some("string"))?])
            }
            Value::Samples(samples) => {
                Value::Sample(Some(Arc::clone(&samples[place(index, samples.len(), Some("slice"))?])))
            }
            Value::Labels(labels) => Value::text(labels.value(key(index)?)),
            Value::Args(values) => {
                let key = key(index)?;
                let found = arguments(values).into_iter().find(|(name, _)| name == key);
                found.map_or(Value::None, |(_, value)| value.clone())
            }
            Value::None | Value::Sample(None) => return Err("index of nil pointer".to_owned()),
            Value::Sample(_) => return Err("can't index item of type template.sample".to_owned()),
            other => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(item)
}

fn key(index: &Value) -> Result<&str> {
    match index {
        Value::Text(text) => Ok(text),
        Value::None => Err("value is nil; should be of type string".to_owned()),
        other => Err(format!("value has type {}; should be string", other.type_name())),
    }
}

/// A place in something of so many parts, which is a `string` or a `slice`; the place behind the last one, if that is allowed.
fn place(index: &Value, length: usize, end: Option<&str>) -> Result<usize> {
    let number = match index {
        Value::None => return Err("cannot index slice/array with nil".to_owned()),
        index => {
            index.int().ok_or_else(|| format!("cannot index slice/array with type {}", index.type_name()))?
        }
    };
    match (usize::try_from(number), end) {
        (Ok(place), _) if place < length => Ok(place),
        (Ok(place), None) if place == length => Ok(place),
        // Go's own check lets the place behind the last one pass, and then its reflection panics.
        (Ok(place), Some(what)) if place == length => Err(format!("reflect: {what} index out of range")),
        _ => Err(format!("index out of range: {number}")),
    }
}

pub(super) fn slice(effort: &mut Effort<'_>, values: &[Value]) -> Result {
    let indexes = &values[1..];
    let length = match &values[0] {
        Value::None => return Err("slice of untyped nil".to_owned()),
        _ if indexes.len() > 3 => return Err(format!("too many slice indexes: {}", indexes.len())),
        Value::Text(_) | Value::Html(_) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::Text(text) | Value::Html(text) => text.len(),
        Value::Samples(samples) => samples.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let mut ends = [0, length, length];
    for (end, index) in ends.iter_mut().zip(indexes) {
        *end = place(index, length, None)?;
    }
    for pair in ends[..indexes.len().max(2)].windows(2) {
        if pair[0] > pair[1] {
            return Err(format!("invalid slice index: {} > {}", pair[0], pair[1]));
        }
    }
    match &values[0] {
        Value::Samples(samples) => Ok(Value::Samples(samples[ends[0]..ends[1]].into())),
        value => {
            // What is cut in the middle of a character is none.
            let bytes = &value.as_text().unwrap_or_default().as_bytes()[ends[0]..ends[1]];
            effort.made(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

const INCOMPATIBLE: &str = "incompatible types for comparison";
const INVALID: &str = "invalid type for comparison";

/// The types that Go's templates compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basic {
    Bool,
    Int,
    Float,
    Text,
    Unsigned,
}

fn basic(value: &Value) -> Option<Basic> {
    match value {
        Value::Bool(_) => Some(Basic::Bool),
        Value::Int(_) | Value::Named(_) => Some(Basic::Int),
        Value::Byte(_) => Some(Basic::Unsigned),
        Value::Float(_) => Some(Basic::Float),
        Value::Text(_) | Value::Html(_) => Some(Basic::Text),
        _ => None,
    }
}

/// Go's kind of what is no basic type.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Labels(_) | Value::Args(_) => "map",
        Value::Samples(_) => "slice",
        Value::Root(_) => "struct",
        _ => "ptr",
    }
}

/// Whether two values are equal that are of no basic type.
fn identical(one: &Value, other: &Value) -> Result<bool> {
    let written = |verb, value: &Value| {
        format::printf(verb, std::slice::from_ref(value), super::MOST_TEXT).unwrap_or_default()
    };
    if kind(one) != kind(other) {
        let (left, right) = (written("%s", one), written("%v", other));
        let (of_left, of_right) = (one.type_name(), other.type_name());
        return Err(format!("non-comparable types {left}: {of_left}, {of_right}: {right}"));
    }
    match (one, other) {
        (Value::Sample(Some(one)), Value::Sample(Some(other))) => Ok(Arc::ptr_eq(one, other)),
        (Value::Sample(one), Value::Sample(other)) => Ok(one.is_none() && other.is_none()),
        (Value::Labels(_) | Value::Args(_) | Value::Samples(_), other) => {
            Err(format!("non-comparable type {}: {}", written("%s", other), other.type_name()))
        }
        _ => Ok(false),
    }
}

fn equal(one: &Value, other: &Value) -> Result<bool> {
    let (left, right) = (basic(one), basic(other));
    match (one, other) {
        (Value::None, Value::None) => Ok(true),
        (Value::None, _) | (_, Value::None) => Ok(false),
        (Value::Bool(one), Value::Bool(other)) => Ok(one == other),
        #[expect(clippy::float_cmp, reason = "Go's `eq` is that of ==")]
        (Value::Float(one), Value::Float(other)) => Ok(one == other),
        _ if left == Some(Basic::Text) && left == right => Ok(one.as_text() == other.as_text()),
        _ if one.int().is_some() && other.int().is_some() => Ok(one.int() == other.int()),
        _ if left != right => Err(INCOMPATIBLE.to_owned()),
        _ => identical(one, other),
    }
}

pub(super) fn eq(_: &mut Effort<'_>, values: &[Value]) -> Result {
    if values.len() < 2 {
        return Err("missing argument for comparison".to_owned());
    }
    for other in &values[1..] {
        if equal(&values[0], other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

pub(super) fn ne(_: &mut Effort<'_>, values: &[Value]) -> Result {
    equal(&values[0], &values[1]).map(|equal| Value::Bool(!equal))
}

/// None where one of both is no number.
fn order(values: &[Value]) -> Result<Option<Ordering>> {
    let (Some(left), Some(right)) = (basic(&values[0]), basic(&values[1])) else {
        return Err(INVALID.to_owned());
    };
    match (&values[0], &values[1]) {
        (Value::Float(one), Value::Float(other)) => Ok(one.partial_cmp(other)),
        (one, other) if left == Basic::Text && right == Basic::Text => {
            Ok(Some(one.as_text().cmp(&other.as_text())))
        }
        (one, other) => match (one.int(), other.int()) {
            (Some(one), Some(other)) => Ok(Some(one.cmp(&other))),
            _ if left == right => Err(INVALID.to_owned()),
            _ => Err(INCOMPATIBLE.to_owned()),
        },
    }
}

pub(super) fn lt(_: &mut Effort<'_>, values: &[Value]) -> Result {
    order(values).map(|order| Value::Bool(order == Some(Ordering::Less)))
}

pub(super) fn le(_: &mut Effort<'_>, values: &[Value]) -> Result {
    order(values).map(|order| Value::Bool(matches!(order, Some(Ordering::Less | Ordering::Equal))))
}

/// The opposite of `le`, as in Go: true of NaN.
pub(super) fn gt(effort: &mut Effort<'_>, values: &[Value]) -> Result {
    le(effort, values).map(|at_most| Value::Bool(!at_most.is_true()))
}

/// The opposite of `lt`, as in Go: true of NaN.
pub(super) fn ge(effort: &mut Effort<'_>, values: &[Value]) -> Result {
    lt(effort, values).map(|less| Value::Bool(!less.is_true()))
}

pub(super) fn print(effort: &mut Effort<'_>, values: &[Value]) -> Result {
    let text = format::print(values, effort.room()).map_err(|_| too_long())?;
    effort.made(text)
}

pub(super) fn println(effort: &mut Effort<'_>, values: &[Value]) -> Result {
    let text = format::print_line(values, effort.room()).map_err(|_| too_long())?;
    effort.made(text)
}

pub(super) fn printf(effort: &mut Effort<'_>, values: &[Value]) -> Result {
    let text = format::printf(text(values, 0), &values[1..], effort.room()).map_err(|_| too_long())?;
    effort.made(text)
}

pub(super) fn call(_: &mut Effort<'_>, values: &[Value]) -> Result {
    match &values[0] {
        Value::None => Err("call of nil".to_owned()),
        other => Err(format!("non-function of type {}", other.type_name())),
    }
}

/// The arguments as one text, for the functions that escape one.
fn joined(effort: &Effort<'_>, values: &[Value]) -> Result<String> {
    if let [Value::Text(text)] = values {
        return Ok(text.as_ref().to_owned());
    }
    let shown: Vec<Value> = values
        .iter()
        .map(|value| match value {
            Value::None => Value::text("<no value>"),
            value => value.clone(),
        })
        .collect();
    format::print_within(&shown, effort.room()).map_err(|_| too_long())
}

pub(super) fn html(effort: &mut Effort<'_>, values: &[Value]) -> Result {
    let mut escaped = String::new();
    for c in joined(effort, values)?.chars() {
        match c {
            '\0' => escaped.push('\u{fffd}'),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    effort.made(escaped)
}

pub(super) fn js(effort: &mut Effort<'_>, values: &[Value]) -> Result {
    let mut escaped = String::new();
    for c in joined(effort, values)?.chars() {
        match c {
            '\\' => escaped.push_str(r"\\"),
            '\'' => escaped.push_str(r"\'"),
            '"' => escaped.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..' ' => {
                write!(escaped, r"\u{:04X}", u32::from(c)).expect("a String takes everything");
            }
            c if c.is_ascii() || format::is_printable(c) => escaped.push(c),
            c => write!(escaped, r"\u{:04X}", u32::from(c)).expect("a String takes everything"),
        }
    }
    effort.made(escaped)
}

pub(super) fn urlquery(effort: &mut Effort<'_>, values: &[Value]) -> Result {
    let text = joined(effort, values)?;
    effort.made(url_escaped(&text))
}

/// As Go's `url.QueryEscape`.
pub(super) fn url_escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => escaped.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => escaped.push(char::from(byte)),
            byte => write!(escaped, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    escaped
}
