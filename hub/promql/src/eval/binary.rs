//! Operators between scalars and vectors. Which series of two vectors belong together: `matching.rs`.

use super::Evaluation;
use super::matching::{self, Meeting};
use crate::error::EvalError;
use crate::expr::{Arithmetic, Binary, Comparison, Operator};
use crate::labels::Labels;
use crate::table::{Steps, Table};
use crate::value::{Type, Value};

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
    pub(super) fn binary(&self, binary: &Binary, steps: Steps) -> Result<Value<'b>, EvalError> {
        let Some(compute) = Compute::new(binary.operator, binary.to_bool) else {
            return self.set_operation(binary, steps).map(Value::Vector);
        };
        Ok(match (self.value(&binary.left, steps)?, self.value(&binary.right, steps)?) {
            (Value::Scalar(mut left), Value::Scalar(right)) => {
                left.map(|step, left| compute.apply(left, right.row(0)[step], left))?;
                Value::Scalar(left)
            }
            (Value::Vector(mut table), Value::Scalar(scalar)) => {
                table.map(|step, value| compute.apply(value, scalar.row(0)[step], value))?;
                Value::Vector(named(table, binary)?)
            }
            (Value::Scalar(scalar), Value::Vector(mut table)) => {
                table.map(|step, value| compute.apply(scalar.row(0)[step], value, value))?;
                Value::Vector(named(table, binary)?)
            }
            (Value::Vector(left), Value::Vector(right)) => {
                Value::Vector(matching::join(binary, compute, &left, &right)?)
            }
            _ => return Err(EvalError::Argument("an operand is a string".to_owned())),
        })
    }

    fn set_operation(&self, binary: &Binary, steps: Steps) -> Result<Table<'b>, EvalError> {
        debug_assert_eq!(binary.gives, Type::Vector);
        let mut left = self.vector(&binary.left, steps)?;
        let mut right = self.vector(&binary.right, steps)?;
        let meeting = Meeting::new(&binary.matching, &left, &right)?;
        match binary.operator {
            Operator::And => {
                let there = meeting.presence(&right, &meeting.right)?;
                there.filter(&mut left, &meeting.left, true)?;
                left.unify()
            }
            Operator::Unless => {
                let there = meeting.presence(&right, &meeting.right)?;
                there.filter(&mut left, &meeting.left, false)?;
                left.unify()
            }
            _ => {
                let there = meeting.presence(&left, &meeting.left)?;
                there.filter(&mut right, &meeting.right, false)?;
                left.append(&right)?;
                left.unify()
            }
        }
    }
}

fn named<'b>(mut table: Table<'b>, binary: &Binary) -> Result<Table<'b>, EvalError> {
    if drops_name(binary) {
        table.relabel(Labels::without_name);
    }
    table.unify()
}
