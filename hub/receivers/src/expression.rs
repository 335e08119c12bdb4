//! What an alert watches, where its expression is plain: one metric, perhaps in functions that keep its unit, before the first comparison.
//!
//! Not a parser of PromQL: what it does not know at a glance it leaves alone, and then a value has no unit and a message no picture.
//!
//! ```text
//! avg_over_time(x_ratio{mode!="idle"}[5m]) > 0.9 or …   → metric x_ratio, threshold 0.9,
//!     to be drawn: avg_over_time(x_ratio{site="hall",mode!="idle"}[5m])
//! a / b > 0.9                                            → nothing
//! ```

use std::fmt::Write as _;

/// Functions and aggregations whose result has their argument's unit.
const KEEPING: [&str; 12] = [
    "avg",
    "avg_over_time",
    "clamp_max",
    "clamp_min",
    "last_over_time",
    "max",
    "max_over_time",
    "min",
    "min_over_time",
    "sum",
    "sort",
    "sort_desc",
];
/// Functions whose result is its argument's unit a second.
const BY_SECOND: [&str; 3] = ["rate", "irate", "deriv"];

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Watched<'a> {
    /// The metric's name.
    pub(crate) metric: &'a str,
    /// It is its change in a second.
    pub(crate) by_second: bool,
    /// What it is compared with, if that is larger or smaller than a number.
    pub(crate) threshold: Option<f64>,
    /// The expression up to and with the metric's name, and from there up to the comparison. Parentheses that the comparison is in are left out.
    head: &'a str,
    tail: &'a str,
    is_whole: bool,
}

impl<'a> Watched<'a> {
    /// Of an alert's expression.
    pub(crate) fn of(query: &'a str) -> Option<Self> {
        let mut metric = None;
        let mut by_second = false;
        // Parentheses that are open, and how many of them opened before anything else.
        let (mut open, mut around) = (0_usize, 0_usize);
        let mut begins = true;
        let mut rest = query.trim_start();
        let text = rest;
        while let Some(first) = rest.chars().next() {
            if first == '(' || first == ')' {
                open = if first == '(' { open + 1 } else { open.checked_sub(1)? };
                around += usize::from(begins && first == '(');
                rest = rest.get(1..)?.trim_start();
            } else if first == '{' || first == '[' {
                rest = behind_bracket(rest)?.trim_start();
            } else if first.is_ascii_alphabetic() || first == '_' || first == ':' {
                begins = false;
                let (word, behind) = rest.split_at(length_of_word(rest));
                let at = text.len() - behind.len();
                match word {
                    "and" | "or" | "unless" if metric.is_some() => break,
                    "by" | "without" => rest = behind.split_once(')')?.1.trim_start(),
                    _ => {
                        rest = behind.trim_start();
                        match word {
                            _ if KEEPING.contains(&word) && begins_call(rest) => {}
                            _ if rest.starts_with('(') && BY_SECOND.contains(&word) => by_second = true,
                            _ if metric.is_none() && !rest.starts_with('(') => metric = Some((word, at)),
                            _ => return None,
                        }
                    }
                }
            } else if matches!(first, '>' | '<' | '=' | '!') && metric.is_some() {
                break;
            } else {
                return None;
            }
        }
        let (metric, at) = metric?;
        let end = text.len() - rest.len();
        let comparison = rest.trim_start_matches(['>', '<', '=', '!']);
        if comparison.trim_start().starts_with("bool") {
            return None;
        }
        let is_order = rest.starts_with(['>', '<']);
        Some(Self {
            metric,
            by_second,
            threshold: if is_order { leading_number(comparison) } else { None },
            head: without_parentheses(text.get(..at)?, open),
            tail: text.get(at..end)?.trim_end(),
            is_whole: open <= around,
        })
    }

    /// The query that draws it, of the series with these labels alone; none, if the comparison stands inside of a function.
    pub(crate) fn query(&self, labels: &[(&str, &str)]) -> Option<String> {
        let mut query = self.head.to_owned();
        let (has_matchers, rest) = match self.tail.trim_start().strip_prefix('{') {
            Some(rest) => (true, rest),
            None => (false, self.tail),
        };
        query.push('{');
        for (name, value) in labels {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(query, "{name}=\"{value}\",").ok()?;
        }
        if !has_matchers {
            query.push('}');
        }
        query.push_str(rest);
        self.is_whole.then_some(query)
    }
}

fn length_of_word(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':').unwrap_or(text.len())
}

/// A text without so many opening parentheses at its beginning.
fn without_parentheses(text: &str, count: usize) -> &str {
    (0..count).fold(text, |text, _| text.trim_start().strip_prefix('(').unwrap_or(text)).trim_start()
}

/// The number that a text begins with, if nothing is done to it.
fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let length = text.find(|c: char| !c.is_ascii_alphanumeric() && !".+-".contains(c)).unwrap_or(text.len());
    let (number, behind) = text.split_at(length);
    let behind = behind.trim_start();
    let ends = behind.is_empty() || [")", "or", "and", "unless"].iter().any(|end| behind.starts_with(end));
    number.parse().ok().filter(|number: &f64| ends && number.is_finite())
}

/// Whether what stands behind a function's name makes it one.
fn begins_call(rest: &str) -> bool {
    ["(", "by", "without"].iter().any(|begin| rest.starts_with(begin))
}

/// What stands behind a bracket that opens here, strings in it skipped.
fn behind_bracket(text: &str) -> Option<&str> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(q) if c == '\\' && q != '`' => escaped = true,
            Some(q) if c == q => quote = None,
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if matches!(c, '}' | ']') => return text.get(at + 1..),
            Some(_) | None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_what_is_compared_of_the_alerts_own_series() {
        let drawn = |query: &str| {
            let watched = Watched::of(query)?;
            Some((watched.query(&[("site", "h\"all")])?, watched.threshold))
        };
        for (query, text, threshold) in [
            (
                "x_celsius > 75 or x_celsius > 70 and on (site) ALERTS{}",
                r#"x_celsius{site="h\"all",}"#,
                Some(75.0),
            ),
            ("x{a=\"}\"} < -80.5", r#"x{site="h\"all",a="}"}"#, Some(-80.5)),
            ("x {} >= 1e6", r#"x{site="h\"all",}"#, Some(1e6)),
            (
                "avg_over_time(x{a!='b'}[5m]) > 0.9",
                r#"avg_over_time(x{site="h\"all",a!='b'}[5m])"#,
                Some(0.9),
            ),
            ("max by (site) (x) > 9 * 2", r#"max by (site) (x{site="h\"all",})"#, None),
            ("(\n ( rate(x[1m]) ) > 5\n) or y", r#"( rate(x{site="h\"all",}[1m]) )"#, Some(5.0)),
            ("(x == 0 and on (site) y)", r#"x{site="h\"all",}"#, None),
            ("x", r#"x{site="h\"all",}"#, None),
        ] {
            assert_eq!(drawn(query), Some((text.to_owned(), threshold)), "{query}");
            rackside_promql::Query::parse(text).unwrap();
        }
        for query in
            ["max(x > 5)", "x / y > 1", "x > bool 1", "absent(x)", "", "1 > x", "x{", "(((", "x) > 1", "é"]
        {
            assert_eq!(drawn(query), None, "{query}");
        }
    }
}
