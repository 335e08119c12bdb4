//! From the parser's tree to an [`Expr`]: names looked up, types checked, matchers compiled, durations in milliseconds, and what only a
//! later Prometheus knows refused.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use promql_parser::label;
use promql_parser::parser::token;
use promql_parser::parser::{self as tree, VectorMatchCardinality};

use crate::error::ParseError;
use crate::expr::{
    Aggregate, Aggregation, Arithmetic, At, Binary, Comparison, Expr, Grouping, Many, Matching, Operator,
    Selector, Subquery, When,
};
use crate::function::{self, Last};
use crate::labels::METRIC_NAME;
use crate::matcher::{Matcher, Test};
use crate::pattern::Pattern;
use crate::value::Type;

/// How deep an expression may be; a chain such as `a or b or c` is not deeper than one of its parts.
const DEPTH: usize = 256;

/// How many different regular expressions a query may have. Each may take a MiB.
const PATTERNS: usize = 64;

/// The furthest moment for `@`, in seconds: 292,000 years from 1970, as far as milliseconds are counted exactly.
const FURTHEST: f64 = 9.2e12;

/// Checks and converts a tree. `strings` is what the numbers in its strings stand for.
pub(super) fn lower(tree: &tree::Expr, strings: &[String]) -> Result<Expr, ParseError> {
    Lower { strings, patterns: RefCell::default() }.expr(tree, 0)
}

/// The matchers of a selector that stands for series by itself.
pub(super) fn matchers(of: &tree::VectorSelector, strings: &[String]) -> Result<Vec<Matcher>, ParseError> {
    let matchers = Lower { strings, patterns: RefCell::default() }.matchers(of)?;
    if matchers.iter().all(|matcher| matcher.accepts("")) {
        return Err(ParseError::FindsAll);
    }
    Ok(matchers)
}

struct Lower<'s> {
    strings: &'s [String],
    /// Those compiled so far; the same one may stand in many selectors.
    patterns: RefCell<HashMap<&'s str, Pattern>>,
}

fn meaning(problem: impl Into<String>) -> ParseError {
    ParseError::Meaning(problem.into())
}

impl<'s> Lower<'s> {
    fn expr(&self, tree: &tree::Expr, depth: usize) -> Result<Expr, ParseError> {
        if depth > DEPTH {
            return Err(ParseError::TooLarge { what: "levels", limit: DEPTH });
        }
        let deeper = |of: &tree::Expr| self.expr(of, depth + 1);
        match tree {
            tree::Expr::NumberLiteral(number) => Ok(Expr::Number(number.val)),
            tree::Expr::StringLiteral(text) => Ok(Expr::String(string(self.strings, &text.val)?.into())),
            tree::Expr::Paren(of) => deeper(&of.expr),
            tree::Expr::VectorSelector(selector) => Ok(Expr::Selector(self.selector(selector)?)),
            tree::Expr::MatrixSelector(window) => {
                Ok(Expr::Window { selector: self.selector(&window.vs)?, range: milliseconds(window.range) })
            }
            tree::Expr::Subquery(of) => Ok(Expr::Subquery(Subquery {
                of: Box::new(typed(deeper(&of.expr)?, Type::Vector, "subquery")?),
                range: milliseconds(of.range),
                step: of.step.map(milliseconds),
                when: when(of.offset.as_ref(), of.at.as_ref())?,
            })),
            tree::Expr::Unary(of) => match deeper(&of.expr)? {
                negated if matches!(negated.value_type(), Type::Scalar | Type::Vector) => {
                    Ok(Expr::Negate(Box::new(negated)))
                }
                other => Err(meaning(format!(
                    "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
                    other.value_type().as_str()
                ))),
            },
            tree::Expr::Binary(of) => self.chain(of, depth),
            tree::Expr::Aggregate(of) => {
                aggregate(of, deeper(&of.expr)?, of.param.as_deref().map(deeper).transpose()?)
            }
            tree::Expr::Call(of) => call(
                of.func.name,
                of.args.args.iter().map(|argument| deeper(argument)).collect::<Result<_, _>>()?,
            ),
            tree::Expr::Extension(_) => Err(meaning("an extension is no PromQL")),
        }
    }

    /// A chain such as `a or b or c` leans to the left; it may be long, and is not walked by recursion.
    fn chain(&self, last: &tree::BinaryExpr, depth: usize) -> Result<Expr, ParseError> {
        let (first, links) = links(last);
        let mut left = self.expr(first, depth + 1)?;
        for link in links {
            left = binary(link, left, self.expr(&link.rhs, depth + 1)?)?;
        }
        Ok(left)
    }

    fn matchers(&self, of: &tree::VectorSelector) -> Result<Vec<Matcher>, ParseError> {
        if !of.matchers.or_matchers.is_empty() {
            return Err(meaning("unexpected \"or\" in label matching, expected \",\" or \"}\""));
        }
        let name = of
            .name
            .as_deref()
            .map(|name| Matcher { name: METRIC_NAME.into(), test: Test::Equal(name.into()) });
        let mut matchers: Vec<Matcher> = name.into_iter().collect();
        for matcher in &of.matchers.matchers {
            matchers.push(self.matcher(matcher)?);
        }
        Ok(matchers)
    }

    fn selector(&self, of: &tree::VectorSelector) -> Result<Selector, ParseError> {
        let matchers = self.matchers(of)?;
        if matchers.iter().all(|matcher| matcher.accepts("")) {
            return Err(meaning("vector selector must contain at least one non-empty matcher"));
        }
        Ok(Selector { matchers, when: when(of.offset.as_ref(), of.at.as_ref())? })
    }

    fn matcher(&self, of: &label::Matcher) -> Result<Matcher, ParseError> {
        let (operator, value) = matcher(self.strings, &of.value)?;
        let test = match operator {
            "=" => Test::Equal(value.into()),
            "!=" => Test::NotEqual(value.into()),
            "=~" => Test::Pattern(self.pattern(value)?),
            "!~" => Test::NotPattern(self.pattern(value)?),
            _ => return Err(meaning("unexpected string in label matching")),
        };
        Ok(Matcher { name: of.name.as_str().into(), test })
    }

    fn pattern(&self, source: &'s str) -> Result<Pattern, ParseError> {
        let mut patterns = self.patterns.borrow_mut();
        if let Some(known) = patterns.get(source) {
            return Ok(known.clone());
        }
        if patterns.len() == PATTERNS {
            return Err(ParseError::TooLarge { what: "different regular expressions", limit: PATTERNS });
        }
        let pattern = Pattern::new(source)
            .map_err(|problem| meaning(format!("error parsing regexp {source:?}: {problem}")))?;
        patterns.insert(source, pattern.clone());
        Ok(pattern)
    }
}

/// What a chain such as `a or b or c` begins with, and its links in the order in which they are written.
pub(super) fn links(last: &tree::BinaryExpr) -> (&tree::Expr, Vec<&tree::BinaryExpr>) {
    let mut links = vec![last];
    let mut first = &last.lhs;
    while let tree::Expr::Binary(before) = first.as_ref() {
        links.push(before);
        first = &before.lhs;
    }
    links.reverse();
    (first, links)
}

/// What a number stands for that `scan` has put into the place of a string.
pub(super) fn string<'s>(strings: &'s [String], number: &str) -> Result<&'s str, ParseError> {
    let text = number.parse::<usize>().ok().and_then(|number| strings.get(number));
    text.map(String::as_str).ok_or_else(|| meaning("unexpected string"))
}

/// The operator and the text of a matcher, whose value is `=~3`, as `scan` has written it.
pub(super) fn matcher<'s, 'w>(
    strings: &'s [String],
    written: &'w str,
) -> Result<(&'w str, &'s str), ParseError> {
    let digits = written.find(|c: char| c.is_ascii_digit()).unwrap_or(written.len());
    let (operator, number) = written.split_at(digits);
    Ok((operator, string(strings, number)?))
}

/// A duration as the parser has it.
pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `offset` and `@`.
pub(super) fn when(offset: Option<&tree::Offset>, at: Option<&tree::AtModifier>) -> Result<When, ParseError> {
    let offset = match offset {
        None => 0,
        Some(tree::Offset::Pos(duration)) => milliseconds(*duration),
        Some(tree::Offset::Neg(duration)) => -milliseconds(*duration),
    };
    let at = match at {
        None => None,
        Some(tree::AtModifier::Start) => Some(At::Start),
        Some(tree::AtModifier::End) => Some(At::End),
        Some(tree::AtModifier::At(moment)) => {
            let (sign, distance) = match moment.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => (1, after),
                Err(before) => (-1, before.duration()),
            };
            if distance.as_secs_f64() > FURTHEST {
                return Err(meaning(format!(
                    "timestamp out of bounds for @ modifier: {:.0}",
                    distance.as_secs_f64()
                )));
            }
            Some(At::Moment(sign * milliseconds(distance)))
        }
    };
    Ok(When { offset, at })
}

fn typed(expr: Expr, wanted: Type, context: &str) -> Result<Expr, ParseError> {
    let found = expr.value_type();
    if found == wanted {
        return Ok(expr);
    }
    Err(meaning(match context {
        "subquery" => format!("subquery is only allowed on instant vector, got {found} instead"),
        _ => format!("expected type {wanted} in {context}, got {found}"),
    }))
}

fn binary(of: &tree::BinaryExpr, left: Expr, right: Expr) -> Result<Expr, ParseError> {
    let operator = operator(of.op)?;
    let is_comparison = matches!(operator, Operator::Comparison(_));
    let is_set = matches!(operator, Operator::And | Operator::Or | Operator::Unless);
    let gives = match (left.value_type(), right.value_type()) {
        (Type::Scalar, Type::Scalar) => Type::Scalar,
        (Type::Scalar | Type::Vector, Type::Scalar | Type::Vector) => Type::Vector,
        _ => return Err(meaning("binary expression must contain only scalar and instant vector types")),
    };
    let between_vectors = left.value_type() == Type::Vector && right.value_type() == Type::Vector;
    let to_bool = of.return_bool();
    if to_bool && !is_comparison {
        return Err(meaning("bool modifier can only be used on comparison operators"));
    }
    if is_comparison && !to_bool && gives == Type::Scalar {
        return Err(meaning("comparisons between scalars must use BOOL modifier"));
    }
    if is_set && !between_vectors {
        return Err(meaning(format!(
            "set operator {:?} not allowed in binary scalar expression",
            of.op.to_string()
        )));
    }
    let matching = matching(of.modifier.as_ref())?;
    if !between_vectors && !matching.labels.is_empty() {
        return Err(meaning("vector matching only allowed between instant vectors"));
    }
    if is_set && matching.many != Many::Neither {
        return Err(meaning(format!("no grouping allowed for {:?} operation", of.op.to_string())));
    }
    if matching.on
        && let Some(label) = matching.include.iter().find(|label| matching.labels.contains(label))
    {
        return Err(meaning(format!("label {label:?} must not occur in ON and GROUP clause at once")));
    }
    Ok(Expr::Binary(Box::new(Binary { left, right, operator, to_bool, matching, gives })))
}

fn matching(modifier: Option<&tree::BinModifier>) -> Result<Matching, ParseError> {
    let mut matching = Matching { on: false, labels: Vec::new(), many: Many::Neither, include: Vec::new() };
    let Some(modifier) = modifier else { return Ok(matching) };
    if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
        return Err(meaning("fill modifiers are not supported"));
    }
    if let Some(labels) = &modifier.matching {
        matching.on = labels.is_include();
        matching.labels = names(labels.labels())?;
    }
    match &modifier.card {
        VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => {}
        VectorMatchCardinality::ManyToOne(include) => {
            matching.many = Many::Left;
            matching.include = names(include)?;
        }
        VectorMatchCardinality::OneToMany(include) => {
            matching.many = Many::Right;
            matching.include = names(include)?;
        }
    }
    Ok(matching)
}

/// Names of labels. One that is no identifier was a string, which a later Prometheus would take.
fn names(labels: &label::Labels) -> Result<Vec<Arc<str>>, ParseError> {
    if labels.labels.iter().any(|name| name.starts_with(|c: char| c.is_ascii_digit())) {
        return Err(meaning("unexpected string in grouping opts, expected label"));
    }
    Ok(labels.labels.iter().map(|name| name.as_str().into()).collect())
}

fn operator(of: token::TokenType) -> Result<Operator, ParseError> {
    Ok(match of.id() {
        token::T_ADD => Operator::Arithmetic(Arithmetic::Add),
        token::T_SUB => Operator::Arithmetic(Arithmetic::Subtract),
        token::T_MUL => Operator::Arithmetic(Arithmetic::Multiply),
        token::T_DIV => Operator::Arithmetic(Arithmetic::Divide),
        token::T_MOD => Operator::Arithmetic(Arithmetic::Modulo),
        token::T_POW => Operator::Arithmetic(Arithmetic::Power),
        token::T_ATAN2 => Operator::Arithmetic(Arithmetic::Atan2),
        token::T_EQLC => Operator::Comparison(Comparison::Equal),
        token::T_NEQ => Operator::Comparison(Comparison::NotEqual),
        token::T_LSS => Operator::Comparison(Comparison::Less),
        token::T_LTE => Operator::Comparison(Comparison::LessOrEqual),
        token::T_GTR => Operator::Comparison(Comparison::Greater),
        token::T_GTE => Operator::Comparison(Comparison::GreaterOrEqual),
        token::T_LAND => Operator::And,
        token::T_LOR => Operator::Or,
        token::T_LUNLESS => Operator::Unless,
        _ => return Err(meaning(format!("unexpected operator {:?}", of.to_string()))),
    })
}

fn aggregate(of: &tree::AggregateExpr, over: Expr, parameter: Option<Expr>) -> Result<Expr, ParseError> {
    let operation = match of.op.id() {
        token::T_SUM => Aggregation::Sum,
        token::T_AVG => Aggregation::Avg,
        token::T_MIN => Aggregation::Min,
        token::T_MAX => Aggregation::Max,
        token::T_GROUP => Aggregation::Group,
        token::T_COUNT => Aggregation::Count,
        token::T_STDDEV => Aggregation::Stddev,
        token::T_STDVAR => Aggregation::Stdvar,
        token::T_TOPK => Aggregation::Topk,
        token::T_BOTTOMK => Aggregation::Bottomk,
        token::T_QUANTILE => Aggregation::Quantile,
        token::T_COUNT_VALUES => Aggregation::CountValues,
        _ => return Err(meaning(format!("unknown function with name {:?}", of.op.to_string()))),
    };
    let of_parameter = match operation {
        Aggregation::Topk | Aggregation::Bottomk | Aggregation::Quantile => Some(Type::Scalar),
        Aggregation::CountValues => Some(Type::String),
        _ => None,
    };
    let parameter = match (parameter, of_parameter) {
        (Some(parameter), Some(wanted)) => Some(typed(parameter, wanted, "aggregation expression")?),
        _ => None,
    };
    let grouping = match &of.modifier {
        None => Grouping::By(Vec::new()),
        Some(tree::LabelModifier::Include(labels)) => Grouping::By(names(labels)?),
        Some(tree::LabelModifier::Exclude(labels)) => Grouping::Without(names(labels)?),
    };
    let over = typed(over, Type::Vector, "aggregation expression")?;
    Ok(Expr::Aggregate(Box::new(Aggregate { operation, of: over, parameter, grouping })))
}

fn call(name: &str, arguments: Vec<Expr>) -> Result<Expr, ParseError> {
    let function =
        function::find(name).ok_or_else(|| meaning(format!("unknown function with name {name:?}")))?;
    let (wanted, found) = (function.takes.len(), arguments.len());
    let (least, most) = match function.last {
        Last::Once => (wanted, wanted),
        Last::Optional => (wanted - 1, wanted),
        Last::Repeated => (wanted - 1, usize::MAX),
    };
    if found < least || found > most {
        let how = match (least == most, found < least) {
            (true, _) => format!("{least}"),
            (false, true) => format!("at least {least}"),
            (false, false) => format!("at most {most}"),
        };
        return Err(meaning(format!("expected {how} argument(s) in call to {name:?}, got {found}")));
    }
    let context = format!("call to function {name:?}");
    let arguments = arguments
        .into_iter()
        .enumerate()
        .map(|(at, argument)| typed(argument, function.takes[at.min(wanted - 1)], &context))
        .collect::<Result<_, _>>()?;
    Ok(Expr::Call { function, arguments })
}
