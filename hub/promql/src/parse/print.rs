//! A query as Prometheus prints it: on one line, which is how `/api/v1/rules` shows a rule's, and over several, which is what
//! `/api/v1/format_query` gives. Prints the parser's tree, in which parentheses are still what they were.
//!
//! Chains such as `a or b or c` are not walked by recursion; all else is no deeper than `lower` lets through.
//!
//! Sample: `sum(rate(x[90s]))by(site)>1e3` is `sum by (site) (rate(x[1m30s])) > 1000`.

use std::fmt::Write as _;

use promql_parser::label;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self as tree, VectorMatchCardinality};

use super::lower;
use crate::duration;
use crate::error::ParseError;
use crate::expr::At;
use crate::number;
use crate::quoted::Quoted;

/// What is longer than this, in bytes, is spread over several lines.
const LINE: usize = 100;

/// One level further to the right.
const INDENT: &str = "  ";

/// On one line. `strings` is what the numbers in the tree's strings stand for. Only what `lower` has taken is printed.
pub(super) fn on_one_line(tree: &tree::Expr, strings: &[String]) -> Result<String, ParseError> {
    let mut out = String::new();
    Print { strings }.expr(tree, &mut out)?;
    Ok(out)
}

/// Over as many lines as it takes. Of a chain each link is a level deeper than the next, so that a long one takes space as its length squared:
/// some megabytes for the longest.
pub(super) fn on_many_lines(tree: &tree::Expr, strings: &[String]) -> Result<String, ParseError> {
    let mut out = String::new();
    Print { strings }.pretty(tree, 0, &mut out)?;
    Ok(out)
}

struct Print<'s> {
    strings: &'s [String],
}

/// What is not printable was not taken either.
type Printed = Result<(), ParseError>;

impl Print<'_> {
    fn expr(&self, of: &tree::Expr, out: &mut String) -> Printed {
        match of {
            tree::Expr::NumberLiteral(number) => out.push_str(&number::format_general(number.val)),
            tree::Expr::StringLiteral(text) => put(out, Quoted(lower::string(self.strings, &text.val)?)),
            tree::Expr::Paren(of) => {
                out.push('(');
                self.expr(&of.expr, out)?;
                out.push(')');
            }
            tree::Expr::VectorSelector(of) => {
                self.series(of, out)?;
                when(of.offset.as_ref(), of.at.as_ref(), out)?;
            }
            tree::Expr::MatrixSelector(of) => {
                self.series(&of.vs, out)?;
                put(out, format_args!("[{}]", duration::printed(lower::milliseconds(of.range))));
                when(of.vs.offset.as_ref(), of.vs.at.as_ref(), out)?;
            }
            tree::Expr::Subquery(of) => {
                self.expr(&of.expr, out)?;
                window_of_subquery(of, out)?;
            }
            tree::Expr::Unary(of) => {
                out.push('-');
                self.expr(&of.expr, out)?;
            }
            tree::Expr::Binary(of) => {
                let (first, links) = lower::links(of);
                self.expr(first, out)?;
                for link in links {
                    put(out, format_args!(" {} ", operator(link)));
                    self.expr(&link.rhs, out)?;
                }
            }
            tree::Expr::Aggregate(of) => {
                out.push_str(&aggregation(of));
                out.push('(');
                if let Some(parameter) = &of.param {
                    self.expr(parameter, out)?;
                    out.push_str(", ");
                }
                self.expr(&of.expr, out)?;
                out.push(')');
            }
            tree::Expr::Call(of) => {
                out.push_str(of.func.name);
                out.push('(');
                for (at, argument) in of.args.args.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    self.expr(argument, out)?;
                }
                out.push(')');
            }
            tree::Expr::Extension(_) => {
                return Err(ParseError::Meaning("an extension is no PromQL".to_owned()));
            }
        }
        Ok(())
    }

    /// A name and matchers, these in the order of their text.
    fn series(&self, of: &tree::VectorSelector, out: &mut String) -> Printed {
        let name = of.name.as_deref().unwrap_or_default();
        out.push_str(name);
        let mut matchers = Vec::new();
        for matcher in &of.matchers.matchers {
            let (operator, value) = lower::matcher(self.strings, &matcher.value)?;
            matchers.push(format!("{}{operator}{}", matcher.name, Quoted(value)));
        }
        matchers.sort_unstable();
        if !matchers.is_empty() {
            put(out, format_args!("{{{}}}", matchers.join(",")));
        }
        Ok(())
    }

    fn pretty(&self, of: &tree::Expr, level: usize, out: &mut String) -> Printed {
        match of {
            tree::Expr::Binary(of) => return self.pretty_chain(of, level, out),
            tree::Expr::Unary(of) => {
                let mut operand = String::new();
                self.pretty(&of.expr, level, &mut operand)?;
                put(out, format_args!("{}-{}", INDENT.repeat(level), operand.trim()));
                return Ok(());
            }
            _ => {}
        }
        let mut line = String::new();
        self.expr(of, &mut line)?;
        let is_short = line.len() <= LINE;
        let indent = INDENT.repeat(level);
        match of {
            // Prometheus forgets to indent it.
            tree::Expr::Subquery(_) if is_short => out.push_str(&line),
            tree::Expr::Subquery(of) => {
                self.pretty(&of.expr, level, out)?;
                window_of_subquery(of, out)?;
            }
            tree::Expr::Paren(of) if !is_short => {
                put(out, format_args!("{indent}(\n"));
                self.pretty(&of.expr, level + 1, out)?;
                put(out, format_args!("\n{indent})"));
            }
            tree::Expr::Aggregate(of) if !is_short => {
                put(out, format_args!("{indent}{}(\n", aggregation(of)));
                if let Some(parameter) = &of.param {
                    self.pretty(parameter, level + 1, out)?;
                    out.push_str(",\n");
                }
                self.pretty(&of.expr, level + 1, out)?;
                put(out, format_args!("\n{indent})"));
            }
            tree::Expr::Call(of) if !is_short => {
                put(out, format_args!("{indent}{}(\n", of.func.name));
                for (at, argument) in of.args.args.iter().enumerate() {
                    out.push_str(if at > 0 { ",\n" } else { "" });
                    self.pretty(argument, level + 1, out)?;
                }
                put(out, format_args!("\n{indent})"));
            }
            _ => put(out, format_args!("{indent}{line}")),
        }
        Ok(())
    }

    /// Of a chain the beginning that fits stays on one line, and each of the other links is a level less deep than the one before.
    fn pretty_chain(&self, last: &tree::BinaryExpr, level: usize, out: &mut String) -> Printed {
        let (first, links) = lower::links(last);
        let mut line = String::new();
        self.expr(first, &mut line)?;
        let mut fitting = 0;
        for link in &links {
            let before = line.len();
            put(&mut line, format_args!(" {} ", operator(link)));
            self.expr(&link.rhs, &mut line)?;
            if line.len() > LINE {
                line.truncate(before);
                break;
            }
            fitting += 1;
        }
        let mut level = level + links.len() - fitting;
        if fitting == 0 {
            self.pretty(first, level, out)?;
        } else {
            put(out, format_args!("{}{line}", INDENT.repeat(level)));
        }
        for link in &links[fitting..] {
            level -= 1;
            put(out, format_args!("\n{}{}\n", INDENT.repeat(level), operator(link)));
            self.pretty(&link.rhs, level + 1, out)?;
        }
        Ok(())
    }
}

/// Writing to a text does not fail.
fn put(out: &mut String, what: impl std::fmt::Display) {
    write!(out, "{what}").expect("a text takes everything");
}

/// `[5m:1m] @ end() offset 1h`
fn window_of_subquery(of: &tree::SubqueryExpr, out: &mut String) -> Printed {
    let step = of.step.map(|step| duration::printed(lower::milliseconds(step))).unwrap_or_default();
    put(out, format_args!("[{}:{step}]", duration::printed(lower::milliseconds(of.range))));
    when(of.offset.as_ref(), of.at.as_ref(), out)
}

/// `@` comes first, whatever the order was.
fn when(offset: Option<&tree::Offset>, at: Option<&tree::AtModifier>, out: &mut String) -> Printed {
    let when = lower::when(offset, at)?;
    match when.at {
        None => {}
        Some(At::Moment(moment)) => put(out, format_args!(" @ {:.3}", moment as f64 / 1000.0)),
        Some(At::Start) => out.push_str(" @ start()"),
        Some(At::End) => out.push_str(" @ end()"),
    }
    if when.offset != 0 {
        let sign = if when.offset < 0 { "-" } else { "" };
        put(out, format_args!(" offset {sign}{}", duration::printed(when.offset.saturating_abs())));
    }
    Ok(())
}

/// `sum by (site) `, `sum`
fn aggregation(of: &tree::AggregateExpr) -> String {
    match &of.modifier {
        Some(tree::LabelModifier::Include(labels)) if !labels.is_empty() => {
            format!("{} by ({}) ", of.op, names(labels))
        }
        Some(tree::LabelModifier::Exclude(labels)) => format!("{} without ({}) ", of.op, names(labels)),
        _ => of.op.to_string(),
    }
}

/// `> bool on (site) group_left (name)`. Prometheus forgets a `group_left` that comes after `ignoring ()`.
fn operator(of: &tree::BinaryExpr) -> String {
    let mut text = of.op.to_string();
    let Some(modifier) = &of.modifier else { return text };
    if modifier.return_bool {
        text.push_str(" bool");
    }
    let (word, labels) = match &modifier.matching {
        Some(tree::LabelModifier::Include(labels)) => ("on", labels),
        Some(tree::LabelModifier::Exclude(labels)) => ("ignoring", labels),
        None => return text,
    };
    let says_nothing = labels.is_empty()
        && (word == "ignoring"
            || of.lhs.value_type() != ValueType::Vector
            || of.rhs.value_type() != ValueType::Vector);
    if says_nothing {
        return text;
    }
    put(&mut text, format_args!(" {word} ({})", names(labels)));
    match &modifier.card {
        VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => {}
        VectorMatchCardinality::ManyToOne(include) => {
            put(&mut text, format_args!(" group_left ({})", names(include)));
        }
        VectorMatchCardinality::OneToMany(include) => {
            put(&mut text, format_args!(" group_right ({})", names(include)));
        }
    }
    text
}

fn names(labels: &label::Labels) -> String {
    labels.labels.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::parse;

    fn printed(query: &str) -> String {
        parse::parse(query).map_or_else(|error| error.to_string(), |parsed| parsed.printed)
    }

    // Most of what there is to say is said by the comparison with Prometheus in the workspace's `tests/`.
    #[test]
    fn what_is_printed_is_in_one_form_whatever_was_written() {
        for (query, as_printed) in [
            ("sum(rate(x[90s]))by(site)>1e3", "sum by (site) (rate(x[1m30s])) > 1000"),
            ("x offset 60s @ 5", "x @ 5.000 offset 1m"),
            ("a\n+on()group_left b # why", "a + on () group_left () b"),
            ("((1e6))", "((1e+06))"),
            (r"{b='\x7f',a=~`\d`}", r#"{a=~"\\d",b="\x7f"}"#),
        ] {
            assert_eq!(printed(query), as_printed);
        }
    }

    #[test]
    fn an_empty_name_is_printed_because_it_means_something() {
        // Prometheus forgets it: see DIFFERENCES.md.
        assert_eq!(printed(r#"{a="b",__name__=""}"#), r#"{__name__="",a="b"}"#);
    }

    #[test]
    fn the_longest_chain_is_formatted() {
        let chain = vec!["up"; 1_999].join(" or ");
        let text = parse::format(&chain).expect("a query");
        assert_eq!(text.lines().count(), 2 * (1_999 - 17) + 1);
        assert!(text.split_whitespace().eq(chain.split_whitespace()));
        assert!(text.len() < 16 << 20, "{} bytes", text.len());
    }
}
