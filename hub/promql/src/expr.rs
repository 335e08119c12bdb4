//! An expression as the evaluator takes it: checked, types known, matchers compiled. Not a syntax tree: parentheses are gone,
//! and nothing in it can be wrong any more.
//!
//! Sample: `-sum by (site) (rate(x[5m]))` is `Negate(Aggregate { sum, Call { rate, [Window { x, 300_000 }] } })`.

use std::sync::Arc;

use crate::eval::LOOKBACK;
use crate::function::Function;
use crate::matcher::Matcher;
use crate::value::Type;

/// A part of a query.
#[derive(Debug)]
pub(crate) enum Expr {
    Number(f64),
    String(Arc<str>),
    /// An instant vector.
    Selector(Selector),
    /// A range vector of a selector's samples; milliseconds.
    Window {
        selector: Selector,
        range: i64,
    },
    /// A range vector of what another expression was worth.
    Subquery(Subquery),
    Negate(Box<Expr>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call {
        function: &'static Function,
        arguments: Vec<Expr>,
    },
}

impl Expr {
    pub(crate) fn value_type(&self) -> Type {
        match self {
            Self::Number(_) => Type::Scalar,
            Self::String(_) => Type::String,
            Self::Selector(_) | Self::Aggregate(_) => Type::Vector,
            Self::Window { .. } | Self::Subquery(_) => Type::Matrix,
            Self::Negate(of) => of.value_type(),
            Self::Binary(binary) => binary.gives,
            Self::Call { function, .. } => function.gives,
        }
    }
}

impl Expr {
    /// Whether it is worth the same at every step, because all that it looks at has an `@`. Numbers are not meant: they cost nothing.
    pub(crate) fn is_fixed(&self) -> bool {
        match self {
            Self::Number(_) | Self::String(_) => false,
            Self::Selector(selector) | Self::Window { selector, .. } => selector.when.at.is_some(),
            Self::Subquery(subquery) => subquery.when.at.is_some(),
            Self::Negate(of) => of.is_fixed(),
            Self::Binary(last) => all_fixed(operands(last)),
            Self::Aggregate(aggregate) => all_fixed(aggregate.parameter.iter().chain([&aggregate.of])),
            Self::Call { function, arguments } => {
                !function.looks_at_the_step(arguments) && all_fixed(arguments)
            }
        }
    }
}

impl Expr {
    /// Every selector in it, in the order in which they are written. Walks without recursion.
    pub(crate) fn selectors(&self) -> Selectors<'_> {
        Selectors { ahead: vec![(self, Some(0))] }
    }
}

/// A selector and how far before the moment of an evaluation it looks; `None`, if it looks at a moment of its own.
pub(crate) struct Found<'e> {
    pub(crate) selector: &'e Selector,
    pub(crate) past: Option<i64>,
}

/// Walks over the selectors of an expression.
pub(crate) struct Selectors<'e> {
    /// What is still to be seen, the next one last, and how far before the moment of the evaluation it is evaluated.
    ahead: Vec<(&'e Expr, Option<i64>)>,
}

impl<'e> Iterator for Selectors<'e> {
    type Item = Found<'e>;

    fn next(&mut self) -> Option<Found<'e>> {
        while let Some((expr, past)) = self.ahead.pop() {
            match expr {
                Expr::Number(_) | Expr::String(_) => {}
                Expr::Selector(selector) => {
                    return Some(Found { selector, past: selector.when.past(past, LOOKBACK) });
                }
                Expr::Window { selector, range } => {
                    return Some(Found { selector, past: selector.when.past(past, *range) });
                }
                Expr::Subquery(subquery) => {
                    self.ahead.push((&subquery.of, subquery.when.past(past, subquery.range)));
                }
                Expr::Negate(of) => self.ahead.push((of, past)),
                Expr::Binary(binary) => self.ahead.extend([(&binary.right, past), (&binary.left, past)]),
                Expr::Aggregate(aggregate) => {
                    self.ahead.push((&aggregate.of, past));
                    self.ahead.extend(aggregate.parameter.as_ref().map(|parameter| (parameter, past)));
                }
                Expr::Call { arguments, .. } => {
                    self.ahead.extend(arguments.iter().rev().map(|argument| (argument, past)));
                }
            }
        }
        None
    }
}

/// What a chain such as `a or b or c` is made of, the last one first. It may be long, and is not walked by recursion.
fn operands(last: &Binary) -> impl Iterator<Item = &Expr> {
    let mut left = Some(last);
    let mut first = None;
    std::iter::from_fn(move || {
        let Some(link) = left.take() else { return first.take() };
        match &link.left {
            Expr::Binary(before) => left = Some(before),
            operand => first = Some(operand),
        }
        Some(&link.right)
    })
}

/// Whether something is fixed, and the rest is numbers and texts.
fn all_fixed<'e>(parts: impl IntoIterator<Item = &'e Expr>) -> bool {
    let mut any = false;
    for part in parts {
        match part {
            Expr::Number(_) | Expr::String(_) => {}
            part if part.is_fixed() => any = true,
            _ => return false,
        }
    }
    any
}

/// Series by their labels, and from which time to take them.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) when: When,
}

/// `offset` and `@`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct When {
    /// Milliseconds into the past.
    pub(crate) offset: i64,
    pub(crate) at: Option<At>,
}

impl When {
    /// How far before the moment of the evaluation something begins that looks back for `range` from where this leads, seen from `past`
    /// before that moment. What is ahead of it is no past.
    fn past(self, past: Option<i64>, range: i64) -> Option<i64> {
        let from = match self.at {
            Some(At::Moment(_)) => None,
            Some(At::Start | At::End) => Some(0),
            None => past,
        };
        from.map(|past| past.saturating_add(self.offset).saturating_add(range).max(0))
    }
}

/// A fixed moment instead of each step's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Milliseconds since 1970.
    Moment(i64),
    /// `@ start()`: the first step of the whole query.
    Start,
    /// `@ end()`: the last one.
    End,
}

/// `of[range:step]`
#[derive(Debug)]
pub(crate) struct Subquery {
    pub(crate) of: Box<Expr>,
    /// Milliseconds.
    pub(crate) range: i64,
    /// Milliseconds; the default step, if none is given.
    pub(crate) step: Option<i64>,
    pub(crate) when: When,
}

/// Two operands.
#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) left: Expr,
    pub(crate) right: Expr,
    pub(crate) operator: Operator,
    /// `bool`: comparisons give 0 or 1 instead of filtering.
    pub(crate) to_bool: bool,
    pub(crate) matching: Matching,
    pub(crate) gives: Type,
}

/// What a binary expression does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Arithmetic(Arithmetic),
    Comparison(Comparison),
    And,
    Or,
    Unless,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Atan2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How the series of both sides find each other.
#[derive(Debug)]
pub(crate) struct Matching {
    /// `on` these labels, or `ignoring` them.
    pub(crate) on: bool,
    pub(crate) labels: Vec<Arc<str>>,
    pub(crate) many: Many,
    /// Labels that `group_left` or `group_right` take over from the side that has one series.
    pub(crate) include: Vec<Arc<str>>,
}

/// Which side may have many series for one of the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Many {
    Neither,
    /// `group_left`
    Left,
    /// `group_right`
    Right,
}

/// An aggregation.
#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) operation: Aggregation,
    pub(crate) of: Expr,
    /// What `topk`, `bottomk`, `quantile` and `count_values` take first.
    pub(crate) parameter: Option<Expr>,
    pub(crate) grouping: Grouping,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Sum,
    Avg,
    Min,
    Max,
    Group,
    Count,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
}

/// Which labels tell groups apart.
#[derive(Clone, Debug)]
pub(crate) enum Grouping {
    By(Vec<Arc<str>>),
    Without(Vec<Arc<str>>),
}
