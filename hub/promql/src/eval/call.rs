//! Calls: evaluates the arguments and runs the function as its row says.

use super::{Evaluation, select};
use crate::error::EvalError;
use crate::expr::Expr;
use crate::function::{Call, Function, Run, Window};
use crate::labels::Labels;
use crate::source::Reduce;
use crate::table::{Steps, Table};
use crate::value::{Type, Value};

impl<'b> Evaluation<'_, 'b> {
    pub(super) fn call(
        &self,
        function: &Function,
        arguments: &[Expr],
        steps: Steps,
    ) -> Result<Value<'b>, EvalError> {
        let unnamed = (function.reduce(), Labels::without_name as fn(&Labels) -> Labels);
        let named = (function.reduce(), Labels::clone as fn(&Labels) -> Labels);
        match function.run {
            Run::Window(run) => {
                self.windowed(arguments, steps, unnamed, |window| Ok(run(window))).map(Value::Vector)
            }
            Run::CheckedWindow(run) => self.windowed(arguments, steps, unnamed, run).map(Value::Vector),
            Run::NamedWindow(run) => {
                self.windowed(arguments, steps, named, |window| Ok(run(window))).map(Value::Vector)
            }
            Run::Each(run) => {
                self.each(function, arguments, steps, |value, _| Some(run(value))).map(Value::Vector)
            }
            Run::EachWith(run) => self.each(function, arguments, steps, run).map(Value::Vector),
            Run::Whole(run) => {
                let values =
                    arguments.iter().map(|argument| self.value(argument, steps)).collect::<Result<_, _>>()?;
                tidy(run(&mut Call { written: arguments, values, steps, budget: self.budget })?)
            }
            Run::WholeOfWindows(window, run) => {
                let table = self.windowed(arguments, steps, named, |samples| Ok(window(samples)))?;
                tidy(run(&mut Call {
                    written: arguments,
                    values: vec![Value::Vector(table)],
                    steps,
                    budget: self.budget,
                })?)
            }
            Run::Timestamp => self.timestamp(&arguments[0], steps).map(Value::Vector),
        }
    }

    /// A function of windows: one range vector and perhaps scalars.
    fn windowed(
        &self,
        arguments: &[Expr],
        steps: Steps,
        how: (Reduce, fn(&Labels) -> Labels),
        run: impl Fn(&Window<'_>) -> Result<Option<f64>, EvalError>,
    ) -> Result<Table<'b>, EvalError> {
        let (windows, scalars): (Vec<_>, Vec<_>) =
            arguments.iter().partition(|argument| argument.value_type() == Type::Matrix);
        let scalars =
            scalars.into_iter().map(|scalar| self.scalar(scalar, steps)).collect::<Result<Vec<_>, _>>()?;
        let windows =
            windows.first().ok_or_else(|| EvalError::Argument("expected a range vector".to_owned()))?;
        self.over_windows(windows, steps, &scalars, how, run)
    }

    /// A function of values: one vector and perhaps scalars.
    fn each(
        &self,
        function: &Function,
        arguments: &[Expr],
        steps: Steps,
        run: impl Fn(f64, &[f64]) -> Option<f64>,
    ) -> Result<Table<'b>, EvalError> {
        let mut scalars = Vec::new();
        let mut vector = None;
        for (argument, wanted) in arguments.iter().zip(function.takes) {
            match wanted {
                Type::Vector => vector = Some(self.vector(argument, steps)?),
                _ => scalars.push(self.scalar(argument, steps)?),
            }
        }
        let mut table = match vector {
            Some(table) => table,
            None => self.times(steps)?,
        };
        let mut at_step = vec![0.0; scalars.len()];
        table.map(|step, value| {
            for (value, scalar) in at_step.iter_mut().zip(&scalars) {
                *value = scalar.row(0)[step];
            }
            run(value, &at_step)
        })?;
        table.relabel(Labels::without_name);
        table.unify()
    }

    fn timestamp(&self, argument: &Expr, steps: Steps) -> Result<Table<'b>, EvalError> {
        let mut table = match argument {
            Expr::Selector(selector) => self.select(selector, steps, select::Give::Time)?,
            other => {
                let mut table = self.vector(other, steps)?;
                table.map(|step, _| Some(steps.at(step) as f64 / 1000.0))?;
                table
            }
        };
        table.relabel(Labels::without_name);
        table.unify()
    }

    /// `vector(time())`
    fn times(&self, steps: Steps) -> Result<Table<'b>, EvalError> {
        let mut table = Table::new(steps.count, self.budget);
        for (cell, at) in table.push(Labels::empty())?.iter_mut().zip(steps.iter()) {
            *cell = at as f64 / 1000.0;
        }
        Ok(table)
    }

    pub(super) fn vector(&self, expr: &Expr, steps: Steps) -> Result<Table<'b>, EvalError> {
        match self.value(expr, steps)? {
            Value::Vector(table) => Ok(table),
            _ => Err(EvalError::Argument(format!("expected instant vector, got {}", expr.value_type()))),
        }
    }

    pub(super) fn scalar(&self, expr: &Expr, steps: Steps) -> Result<Table<'b>, EvalError> {
        match self.value(expr, steps)? {
            Value::Scalar(table) => Ok(table),
            _ => Err(EvalError::Argument(format!("expected scalar, got {}", expr.value_type()))),
        }
    }
}

/// A function may leave rows of equal labels.
fn tidy(value: Value<'_>) -> Result<Value<'_>, EvalError> {
    match value {
        Value::Vector(table) => table.unify().map(Value::Vector),
        other => Ok(other),
    }
}
