//! Functions that write labels: `label_replace` and `label_join`. Values and the metric's name stay; what becomes equal by it is
//! for the evaluator to find.
//!
//! Sample: `label_replace(up{site="hall-12"}, "room", "r$1", "site", "hall-(.*)")` adds `room="r12"`.

use std::sync::Arc;

use super::Call;
use crate::error::EvalError;
use crate::labels::{Labels, is_label_name};
use crate::limits::Budget;
use crate::pattern::Pattern;
use crate::value::Value;

/// The longest value that is written, in bytes. Prometheus has no bound, and twenty nested calls that double a value fill its memory.
const LONGEST: usize = 64 << 10;

/// Arguments: vector, label to write, template of its value, label to read, pattern.
pub(super) fn replace<'b>(call: &mut Call<'_, 'b>) -> Result<Value<'b>, EvalError> {
    let mut table = call.vector(0);
    let [to, template, from, pattern] = [1, 2, 3, 4].map(|argument| call.text(argument));
    // The next one of these may be in the same query, and each takes milliseconds at worst.
    call.budget.long_work()?;
    let pattern = Pattern::new(&pattern).map_err(|_| {
        EvalError::Argument(format!("invalid regular expression in label_replace(): {pattern}"))
    })?;
    if !is_label_name(&to) {
        return Err(EvalError::Argument(format!("invalid destination label name in label_replace(): {to}")));
    }
    let template = Template::new(&template);
    table.try_relabel(|labels| {
        let read = labels.value(&from);
        call.budget.work(read.len() as u64)?;
        match pattern.captures(read) {
            Some(groups) => write(labels, &to, template.fill(&groups), call.budget),
            None => Ok(labels.clone()),
        }
    })?;
    Ok(Value::Vector(table))
}

/// Arguments: vector, label to write, separator, labels to read.
pub(super) fn join<'b>(call: &mut Call<'_, 'b>) -> Result<Value<'b>, EvalError> {
    let mut table = call.vector(0);
    let (to, separator) = (call.text(1), call.text(2));
    let from: Vec<_> = (3..call.values.len()).map(|argument| call.text(argument)).collect();
    if let Some(wrong) = from.iter().find(|name| !is_label_name(name)) {
        return Err(EvalError::Argument(format!("invalid source label name in label_join(): {wrong}")));
    }
    if !is_label_name(&to) {
        return Err(EvalError::Argument(format!("invalid destination label name in label_join(): {to}")));
    }
    table.try_relabel(|labels| {
        let pieces = from.iter().enumerate().flat_map(|(at, name)| {
            let before = if at == 0 { "" } else { &*separator };
            [before, labels.value(name)]
        });
        write(labels, &to, pieces, call.budget)
    })?;
    Ok(Value::Vector(table))
}

/// The labels with `name` as the pieces say, which are empty to remove it. What is written counts as held to the end of the query.
fn write<'p>(
    labels: &Labels,
    name: &Arc<str>,
    pieces: impl Iterator<Item = &'p str>,
    budget: &Budget<'_>,
) -> Result<Labels, EvalError> {
    let mut value = String::new();
    for piece in pieces {
        value.push_str(piece);
        if value.len() > LONGEST {
            return Err(EvalError::TooMuch { what: "bytes in the value of a label", limit: LONGEST as u64 });
        }
    }
    budget.hold(value.len() / size_of::<f64>())?;
    let mut edit = labels.edit();
    edit.set(Arc::clone(name), value);
    Ok(edit.done())
}

/// What a match is written as, in the syntax of Go's `Regexp.Expand`: `$1`, `$name`, `${name}`, and `$$` for a dollar. An unbraced
/// name is as long as it can be: `$1x` is the group `1x`, which there is not. A group that is not there or not part of the match is
/// empty; a dollar that begins nothing is itself.
struct Template(Vec<Piece>);

#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Number(usize),
    Name(String),
}

impl Template {
    fn new(written: &str) -> Self {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = written;
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                text.push('$');
                rest = after;
            } else if let Some((group, after)) = group(rest) {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(group);
                rest = after;
            } else {
                text.push('$');
            }
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        Self(pieces)
    }

    fn fill<'t>(&'t self, groups: &'t regex::Captures<'t>) -> impl Iterator<Item = &'t str> {
        self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Number(number) => groups.get(*number).map_or("", |group| group.as_str()),
            Piece::Name(name) => groups.name(name).map_or("", |group| group.as_str()),
        })
    }
}

/// The group that `text` begins with, without its dollar, and what comes after it.
fn group(text: &str) -> Option<(Piece, &str)> {
    let (inner, braced) = match text.strip_prefix('{') {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let end = inner.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(inner.len());
    let (name, mut rest) = inner.split_at(end);
    if name.is_empty() {
        return None;
    }
    if braced {
        rest = rest.strip_prefix('}')?;
    }
    // A number has no leading zero; with one it is a name.
    let number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    match name.parse() {
        Ok(index) if number => Some((Piece::Number(index), rest)),
        _ => Some((Piece::Name(name.to_owned()), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, pattern: &str, text: &str) -> String {
        let pattern = Pattern::new(pattern).expect("a pattern");
        Template::new(template).fill(&pattern.captures(text).expect("a match")).collect()
    }

    #[test]
    fn groups_are_filled_in_by_number_and_name() {
        assert_eq!(fill("r$1", "hall-(.*)", "hall-12"), "r12");
        assert_eq!(fill("${1}x$0", "(a)b", "ab"), "axab");
        assert_eq!(fill("$n-${n}", "(?P<n>a+)", "aa"), "aa-aa");
    }

    #[test]
    fn groups_that_are_not_there_are_empty() {
        assert_eq!(fill("<$1x|$2|$n_|$01|${99999999999999999999}>", "(.*)", "text"), "<||||>");
        assert_eq!(fill("<$1|$2>", "(a)|(b)", "b"), "<|b>");
    }

    #[test]
    fn dollars_without_a_group_are_dollars() {
        assert_eq!(fill("$$1 $ ${1 ${a b} $-", "(.*)", "x"), "$1 $ ${1 ${a b} $-");
        assert_eq!(fill("é$1é $1.é$", "(.*)", "x"), "é x.é$");
    }
}
