//! Operators between scalars and vectors. Which series of two vectors belong together: `matching.rs`.

use super::Evaluation;
use super::matching::{self, Meeting};
use crate::error::EvalError;
use crate::expr::{Arithmetic, Binary, Comparison, Expr, Operator};
use crate::labels::Labels;
use crate::table::{Steps, Table};
use crate::value::Value;

/// What two values come to.
#[derive(Clone, Copy)]
pub(super) enum Compute {
    Number(fn(f64, f64) -> f64),
    /// Filters, or with `bool` gives 0 and 1.
    Test {
        holds: fn(&f64, &f64) -> bool,
        to_bool: bool,
    },
}

impl Compute {
    fn new(operator: Operator, to_bool: bool) -> Option<Self> {
        Some(match operator {
            Operator::Arithmetic(arithmetic) => Self::Number(match arithmetic {
                Arithmetic::Add => |left, right| left + right,
                Arithmetic::Subtract => |left, right| left - right,
                Arithmetic::Multiply => |left, right| left * right,
                Arithmetic::Divide => |left, right| left / right,
                Arithmetic::Modulo => |left, right| left % right,
                Arithmetic::Power => f64::powf,
                Arithmetic::Atan2 => f64::atan2,
            }),
            Operator::Comparison(comparison) => Self::Test {
                holds: match comparison {
                    Comparison::Equal => f64::eq,
                    Comparison::NotEqual => f64::ne,
                    Comparison::Less => f64::lt,
                    Comparison::LessOrEqual => f64::le,
                    Comparison::Greater => f64::gt,
                    Comparison::GreaterOrEqual => f64::ge,
                },
                to_bool,
            },
            Operator::And | Operator::Or | Operator::Unless => return None,
        })
    }

    /// What `left` and `right` come to; `kept` is what a filter lets through.
    pub(super) fn apply(self, left: f64, right: f64, kept: f64) -> Option<f64> {
        match self {
            Self::Number(of) => Some(of(left, right)),
            Self::Test { holds, to_bool: true } => Some(f64::from(u8::from(holds(&left, &right)))),
            Self::Test { holds, to_bool: false } => holds(&left, &right).then_some(kept),
        }
    }
}

/// Whether a result is no longer what its metric's name says.
pub(super) fn drops_name(binary: &Binary) -> bool {
    match binary.operator {
        // Prometheus forgets about atan2 here, and so do we.
        Operator::Arithmetic(arithmetic) => arithmetic != Arithmetic::Atan2,
        Operator::Comparison(_) => binary.to_bool,
        _ => false,
    }
}

impl<'b> Evaluation<'_, 'b> {
    /// A chain such as `a or b or c` leans to the left; it may be long, and is not walked by recursion.
    pub(super) fn chain(&self, last: &Binary, steps: Steps) -> Result<Value<'b>, EvalError> {
        let mut chain = vec![last];
        let mut first = &last.left;
        while let Expr::Binary(before) = first {
            chain.push(before);
            first = &before.left;
        }
        let mut left = self.value(first, steps)?;
        for link in chain.into_iter().rev() {
            left = binary(link, left, self.value(&link.right, steps)?)?;
        }
        Ok(left)
    }
}

fn binary<'b>(binary: &Binary, left: Value<'b>, right: Value<'b>) -> Result<Value<'b>, EvalError> {
    let compute = Compute::new(binary.operator, binary.to_bool);
    Ok(match (left, right, compute) {
        (Value::Scalar(mut left), Value::Scalar(right), Some(compute)) => {
            left.map(|step, left| compute.apply(left, right.row(0)[step], left))?;
            Value::Scalar(left)
        }
        (Value::Vector(mut table), Value::Scalar(scalar), Some(compute)) => {
            table.map(|step, value| compute.apply(value, scalar.row(0)[step], value))?;
            Value::Vector(named(table, binary)?)
        }
        (Value::Scalar(scalar), Value::Vector(mut table), Some(compute)) => {
            table.map(|step, value| compute.apply(scalar.row(0)[step], value, value))?;
            Value::Vector(named(table, binary)?)
        }
        (Value::Vector(left), Value::Vector(right), Some(compute)) => {
            Value::Vector(matching::join(binary, compute, &left, &right)?)
        }
        (Value::Vector(left), Value::Vector(right), None) => Value::Vector(set(binary, left, right)?),
        _ => return Err(EvalError::Argument("the operands do not suit their operator".to_owned())),
    })
}

/// `and`, `or`, `unless`
fn set<'b>(binary: &Binary, mut left: Table<'b>, mut right: Table<'b>) -> Result<Table<'b>, EvalError> {
    let meeting = Meeting::new(&binary.matching, &left, &right)?;
    if binary.operator == Operator::Or {
        meeting.presence(&left, &meeting.left)?.filter(&mut right, &meeting.right, false)?;
        left.append(&right)?;
    } else {
        let wanted = binary.operator == Operator::And;
        meeting.presence(&right, &meeting.right)?.filter(&mut left, &meeting.left, wanted)?;
    }
    left.unify()
}

fn named<'b>(mut table: Table<'b>, binary: &Binary) -> Result<Table<'b>, EvalError> {
    if drops_name(binary) {
        table.relabel(Labels::without_name);
    }
    table.unify()
}
