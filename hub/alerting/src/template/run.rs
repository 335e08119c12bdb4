//! A tree to a text: the order in which Go's text/template evaluates, declares, calls and complains. What functions do is `function.rs`'s.
//!
//! Every step and every text is paid from the expansion's [`Effort`], and nothing goes deeper than [`MOST_DEPTH`]; so each expansion ends, with little
//! memory, whatever the template is.
//!
//! Sample: `{{ $labels.nope | printf "%s" 1 }}` fails with `template: __alert_A:1:3: executing "__alert_A" at <..>: ..`.

use super::effort::{Effort, too_long};
use super::format;
use super::function::{Function, Parameter, Work};
use super::node::{Branches, Kind, Node, Nodes, Pipe};
use super::parse::Trees;
use super::value::{Root, Value, arguments};
use super::{Context, MOST_TEXT};
use std::sync::Arc;

/// Blocks, parentheses and templates in each other, together, while a template runs.
pub(super) const MOST_DEPTH: usize = 200;

/// What is wrong, in Go's words.
type Failure = String;

/// How the nodes of a list ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

/// Writes the text that `trees` make of `context`.
pub(super) fn run(trees: &Trees, whole: &str, context: &Context<'_>) -> Result<String, Failure> {
    let root = Value::Root(Arc::new(Root {
        labels: context.labels.clone(),
        external_labels: context.external_labels.clone(),
        external_url: context.external_url.into(),
        value: context.value,
    }));
    let mut run = Run {
        whole,
        trees,
        name: None,
        at: None,
        variables: vec![("$".into(), root.clone())],
        written: String::new(),
        depth: 0,
        effort: Effort::new(context),
    };
    run.nodes(&root, &trees.root)?;
    Ok(run.written)
}

struct Run<'t, 'c> {
    whole: &'t str,
    trees: &'t Trees,
    /// The defined template that runs; none for the text itself.
    name: Option<&'t str>,
    /// What is looked at, for messages.
    at: Option<&'t Node>,
    variables: Vec<(Arc<str>, Value)>,
    written: String,
    depth: usize,
    effort: Effort<'c>,
}

impl<'t> Run<'t, '_> {
    /// As Go says it: where in the text, in which template, at which node, what.
    fn failure(&self, what: &str) -> Failure {
        let top = format!("__alert_{}", self.effort.context().alert);
        let name = self.name.unwrap_or(&top);
        let Some(node) = self.at else { return format!("template: {name}: {what}") };
        let before = &self.whole[..node.at];
        let line = 1 + before.matches('\n').count();
        let column = before.rfind('\n').map_or(node.at, |newline| node.at - newline - 1);
        format!("template: {top}:{line}:{column}: executing {name:?} at <{node}>: {what}")
    }

    fn fail<T>(&self, what: impl AsRef<str>) -> Result<T, Failure> {
        Err(self.failure(what.as_ref()))
    }

    fn deeper<T>(&mut self, what: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        if self.depth == MOST_DEPTH {
            return self.fail(format!("nested more than {MOST_DEPTH} deep"));
        }
        self.effort.spend(1).map_err(|why| self.failure(&why))?;
        self.depth += 1;
        let done = what(self);
        self.depth -= 1;
        done
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        if self.written.len() + text.len() > MOST_TEXT {
            return self.fail(too_long());
        }
        self.written.push_str(text);
        Ok(())
    }

    fn nodes(&mut self, dot: &Value, nodes: &'t Nodes) -> Result<Flow, Failure> {
        self.deeper(|run| {
            for node in nodes {
                let flow = run.node(dot, node)?;
                if flow != Flow::On {
                    return Ok(flow);
                }
            }
            Ok(Flow::On)
        })
    }

    fn node(&mut self, dot: &Value, node: &'t Node) -> Result<Flow, Failure> {
        self.at = Some(node);
        match &node.kind {
            Kind::Text(text) => self.write(text)?,
            Kind::Break => return Ok(Flow::Break),
            Kind::Continue => return Ok(Flow::Continue),
            Kind::If(branches) => return self.branch(dot, branches, false),
            Kind::With(branches) => return self.branch(dot, branches, true),
            Kind::Range(branches) => return self.range(dot, branches),
            Kind::Template { name, pipe } => self.template(dot, node, name, pipe.as_deref())?,
            Kind::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                self.at = Some(node);
                if !matches!(&pipe.kind, Kind::Pipe(pipe) if !pipe.variables.is_empty()) {
                    let text = format::write(&value, MOST_TEXT).map_err(|_| self.failure(&too_long()))?;
                    self.write(&text)?;
                }
            }
            _ => {}
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, dot: &Value, branches: &'t Branches, moves_dot: bool) -> Result<Flow, Failure> {
        let known = self.variables.len();
        let value = self.pipe(dot, &branches.pipe)?;
        let flow = match (value.is_true(), moves_dot) {
            (true, true) => self.nodes(&value, &branches.then),
            (true, false) => self.nodes(dot, &branches.then),
            (false, _) => self.nodes(dot, &branches.otherwise),
        };
        self.variables.truncate(known);
        flow
    }

    fn range(&mut self, dot: &Value, branches: &'t Branches) -> Result<Flow, Failure> {
        let before = self.variables.len();
        let value = self.pipe(dot, &branches.pipe)?;
        let elements: Vec<(Value, Value)> = match &value {
            Value::None | Value::Sample(None) => Vec::new(),
            Value::Samples(samples) => {
                let sample = |(at, sample): (usize, &Arc<_>)| {
                    (
                        Value::Int(i64::try_from(at).unwrap_or(i64::MAX)),
                        Value::Sample(Some(Arc::clone(sample))),
                    )
                };
                samples.iter().enumerate().map(sample).collect()
            }
            Value::Labels(labels) => labels
                .iter()
                .map(|label| (Value::Text(label.name.clone()), Value::Text(label.value.clone())))
                .collect(),
            Value::Args(values) => arguments(values)
                .into_iter()
                .map(|(name, value)| (Value::text(name), value.clone()))
                .collect(),
            other => {
                let written = format::write(other, MOST_TEXT).unwrap_or_default();
                return self.fail(format!("range can't iterate over {written}"));
            }
        };
        let flow = if elements.is_empty() {
            self.nodes(dot, &branches.otherwise)
        } else {
            self.iterations(elements, branches).map(|()| Flow::On)
        };
        self.variables.truncate(before);
        flow
    }

    fn iterations(&mut self, elements: Vec<(Value, Value)>, branches: &'t Branches) -> Result<(), Failure> {
        let known = self.variables.len();
        let Kind::Pipe(pipe) = &branches.pipe.kind else { return Ok(()) };
        for (key, element) in elements {
            match (pipe.variables.as_slice(), pipe.assigns) {
                ([one], false) => self.declared(known, 1, one, &element),
                ([one, two], false) => {
                    self.declared(known, 2, one, &key);
                    self.declared(known, 1, two, &element);
                }
                ([one], true) => self.assign(one, &element)?,
                ([one, two], true) => {
                    self.assign(one, &key)?;
                    self.assign(two, &element)?;
                }
                _ => {}
            }
            let flow = self.nodes(&element, &branches.then)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    /// Gives the variable that is the `from_top`th below `known` its value of this turn.
    fn declared(&mut self, known: usize, from_top: usize, name: &Arc<str>, value: &Value) {
        if let Some(variable) = known.checked_sub(from_top).and_then(|at| self.variables.get_mut(at)) {
            *variable = (Arc::clone(name), value.clone());
        }
    }

    fn assign(&mut self, name: &str, value: &Value) -> Result<(), Failure> {
        match self.variables.iter_mut().rev().find(|(known, _)| **known == *name) {
            Some((_, known)) => {
                *known = value.clone();
                Ok(())
            }
            None => self.fail(format!("undefined variable: {name}")),
        }
    }

    fn template(
        &mut self,
        dot: &Value,
        node: &'t Node,
        name: &str,
        pipe: Option<&'t Node>,
    ) -> Result<(), Failure> {
        let Some((name, nodes)) = self.trees.defined.get_key_value(name) else {
            return self.fail(format!("template {name:?} not defined"));
        };
        let dot = match pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Value::None,
        };
        let variables = std::mem::replace(&mut self.variables, vec![("$".into(), dot.clone())]);
        let outer = self.name.replace(name);
        self.nodes(&dot, nodes)?;
        self.name = outer;
        self.at = Some(node);
        self.variables = variables;
        Ok(())
    }

    fn pipe(&mut self, dot: &Value, node: &'t Node) -> Result<Value, Failure> {
        self.at = Some(node);
        let Kind::Pipe(Pipe { variables, assigns, calls }) = &node.kind else {
            return self.argument(dot, Parameter::Any, node);
        };
        self.deeper(|run| {
            let mut value = None;
            for call in calls {
                value = Some(run.call(dot, call, value)?);
            }
            let value = value.unwrap_or(Value::None);
            for name in variables {
                if *assigns {
                    run.assign(name, &value)?;
                } else {
                    run.variables.push((Arc::clone(name), value.clone()));
                }
            }
            Ok(value)
        })
    }

    /// One call of a pipe; `last` is what the call before it came to.
    fn call(&mut self, dot: &Value, call: &'t Node, last: Option<Value>) -> Result<Value, Failure> {
        let Kind::Call(parts) = &call.kind else { return self.argument(dot, Parameter::Any, call) };
        let Some((first, arguments)) = parts.split_first() else { return Ok(Value::None) };
        match &first.kind {
            Kind::Field(names) => {
                self.at = Some(first);
                self.fields(dot, dot.clone(), names, arguments, last)
            }
            Kind::Chain(of, names) => {
                let of = self.chained(dot, first, of)?;
                self.fields(dot, of, names, arguments, last)
            }
            Kind::Function(function) => {
                self.at = Some(first);
                self.function(dot, call, function, arguments, last)
            }
            Kind::Pipe(_) => {
                self.no_arguments(first, arguments, last.as_ref())?;
                self.pipe(dot, first)
            }
            Kind::Variable(names) => {
                self.at = Some(first);
                self.variable(dot, first, names, arguments, last)
            }
            Kind::Nil => {
                self.at = Some(first);
                self.no_arguments(first, arguments, last.as_ref())?;
                self.fail("nil is not a command")
            }
            _ => {
                self.at = Some(first);
                self.no_arguments(first, arguments, last.as_ref())?;
                self.literal(dot, first)
            }
        }
    }

    fn no_arguments(&self, first: &Node, arguments: &[Node], last: Option<&Value>) -> Result<(), Failure> {
        if arguments.is_empty() && last.is_none() {
            return Ok(());
        }
        self.fail(format!("can't give argument to non-function {first}"))
    }

    /// What a literal or the dot is worth where any type will do.
    fn literal(&mut self, dot: &Value, node: &'t Node) -> Result<Value, Failure> {
        self.at = Some(node);
        match &node.kind {
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Dot => Ok(dot.clone()),
            Kind::Quoted { text, .. } => Ok(Value::Text(Arc::clone(text))),
            Kind::Number(number) if number.is_float => Ok(Value::Float(number.float)),
            Kind::Number(number) => match number.int {
                Some(int) => Ok(Value::Int(int)),
                None => self.fail(format!("{} overflows int", number.text)),
            },
            _ => Ok(Value::None),
        }
    }

    fn variable(
        &mut self,
        dot: &Value,
        node: &'t Node,
        names: &'t [Arc<str>],
        arguments: &'t [Node],
        last: Option<Value>,
    ) -> Result<Value, Failure> {
        let Some((name, fields)) = names.split_first() else { return Ok(Value::None) };
        let found =
            self.variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let Some(value) = found else { return self.fail(format!("undefined variable: {name}")) };
        if fields.is_empty() {
            self.no_arguments(node, arguments, last.as_ref())?;
            return Ok(value);
        }
        self.fields(dot, value, fields, arguments, last)
    }

    fn chained(&mut self, dot: &Value, chain: &'t Node, of: &'t Node) -> Result<Value, Failure> {
        self.at = Some(chain);
        match &of.kind {
            Kind::Nil => self.fail(format!("indirection through explicit nil in {chain}")),
            _ => self.argument(dot, Parameter::Any, of),
        }
    }

    fn fields(
        &mut self,
        dot: &Value,
        mut of: Value,
        names: &'t [Arc<str>],
        arguments: &'t [Node],
        last: Option<Value>,
    ) -> Result<Value, Failure> {
        let Some((final_name, names)) = names.split_last() else { return Ok(of) };
        for name in names {
            of = self.field(dot, &of, name, &[], None)?;
        }
        self.field(dot, &of, final_name, arguments, last)
    }

    fn field(
        &mut self,
        dot: &Value,
        of: &Value,
        name: &'t str,
        arguments: &'t [Node],
        last: Option<Value>,
    ) -> Result<Value, Failure> {
        let has_arguments = !arguments.is_empty() || last.is_some();
        let found = match of {
            Value::None => return Ok(Value::None),
            Value::Moment(_) | Value::Named(_) => return self.method(dot, of, name, arguments, last),
            Value::Labels(_) | Value::Args(_) if has_arguments => {
                return self.fail(format!("{name} is not a method but has arguments"));
            }
            Value::Labels(labels) => Some(Value::text(labels.value(name))),
            Value::Args(values) => {
                let found = arguments_named(values, name);
                Some(found.unwrap_or(Value::None))
            }
            Value::Sample(None) if matches!(name, "Labels" | "Value") => {
                return self.fail(format!("nil pointer evaluating *template.sample.{name}"));
            }
            Value::Sample(Some(point)) => match name {
                "Labels" => Some(Value::Labels(point.labels.clone())),
                "Value" => Some(Value::Float(point.sample.value)),
                _ => None,
            },
            Value::Root(root) => match name {
                "Labels" => Some(Value::Labels(root.labels.clone())),
                "ExternalLabels" => Some(Value::Labels(root.external_labels.clone())),
                "ExternalURL" => Some(Value::Text(root.external_url.clone())),
                "Value" => Some(Value::Float(root.value)),
                _ => None,
            },
            _ => None,
        };
        match found {
            Some(_) if has_arguments => {
                self.fail(format!("{name} has arguments but cannot be invoked as function"))
            }
            Some(value) => Ok(value),
            None => self.fail(format!("can't evaluate field {name} in type {}", of.type_name())),
        }
    }

    /// A method of a time.
    fn method(
        &mut self,
        dot: &Value,
        of: &Value,
        name: &'t str,
        arguments: &'t [Node],
        last: Option<Value>,
    ) -> Result<Value, Failure> {
        let given = arguments.len() + usize::from(last.is_some());
        let wrong_number =
            |wanted: usize| format!("wrong number of args for {name}: want {wanted} got {given}");
        let plain = match of {
            Value::Moment(moment) if name == "Format" => {
                if given != 1 {
                    return self.fail(wrong_number(1));
                }
                let layout = match last {
                    Some(last) => self.fit(last, Parameter::Text)?,
                    None => self.argument(dot, Parameter::Text, &arguments[0])?,
                };
                let text = moment.format(layout.as_text().unwrap_or_default());
                return self.effort.made(text).map_err(|why| self.failure(&why));
            }
            Value::Moment(moment) => moment.method(name),
            Value::Named(named) if name == "String" => Some(Value::text(named.name)),
            _ => None,
        };
        match plain {
            Some(_) if given > 0 => self.fail(wrong_number(0)),
            Some(value) => Ok(value),
            None => self.fail(format!("can't evaluate field {name} in type {}", of.type_name())),
        }
    }

    fn function(
        &mut self,
        dot: &Value,
        call: &'t Node,
        function: &'static Function,
        arguments: &'t [Node],
        last: Option<Value>,
    ) -> Result<Value, Failure> {
        let (name, wanted) = (function.name, function.fixed.len());
        let given = arguments.len() + usize::from(last.is_some());
        if function.variadic && given < wanted {
            return self.fail(format!(
                "wrong number of args for {name}: want at least {wanted} got {}",
                arguments.len()
            ));
        }
        if !function.variadic && given != wanted {
            return self.fail(format!("wrong number of args for {name}: want {wanted} got {given}"));
        }
        let parameter = |at: usize| function.fixed.get(at).copied().unwrap_or(Parameter::Any);
        let work = match &function.work {
            Work::And | Work::Or => {
                let stops_at = matches!(function.work, Work::Or);
                let mut value = Value::None;
                for argument in arguments {
                    value = self.argument(dot, Parameter::Any, argument)?;
                    if value.is_true() == stops_at {
                        return Ok(value);
                    }
                }
                return Ok(last.unwrap_or(value));
            }
            Work::Of(work) => work,
        };
        let mut values = Vec::with_capacity(given);
        for (at, argument) in arguments.iter().enumerate() {
            values.push(self.argument(dot, parameter(at), argument)?);
        }
        if let Some(last) = last {
            values.push(self.fit(last, parameter(arguments.len()))?);
        }
        work(&mut self.effort, &values).map_err(|why| {
            self.at = Some(call);
            self.failure(&format!("error calling {name}: {why}"))
        })
    }

    /// What an argument is worth, if the parameter takes it.
    fn argument(&mut self, dot: &Value, parameter: Parameter, node: &'t Node) -> Result<Value, Failure> {
        self.at = Some(node);
        let value = match &node.kind {
            Kind::Dot => dot.clone(),
            Kind::Nil => {
                return match parameter {
                    Parameter::Text => self.fail("cannot assign nil to string"),
                    Parameter::Sample => Ok(Value::Sample(None)),
                    Parameter::Samples => Ok(Value::Samples(Arc::new([]))),
                    Parameter::Any => Ok(Value::None),
                };
            }
            Kind::Field(names) => self.fields(dot, dot.clone(), names, &[], None)?,
            Kind::Variable(names) => self.variable(dot, node, names, &[], None)?,
            Kind::Pipe(_) => self.pipe(dot, node)?,
            Kind::Function(function) => self.function(dot, node, function, &[], None)?,
            Kind::Chain(of, names) => {
                let of = self.chained(dot, node, of)?;
                self.fields(dot, of, names, &[], None)?
            }
            kind => match (parameter, kind) {
                (Parameter::Any, _) | (Parameter::Text, Kind::Quoted { .. }) => {
                    return self.literal(dot, node);
                }
                (Parameter::Text, _) => return self.fail(format!("expected string; found {node}")),
                _ => {
                    return self
                        .fail(format!("can't handle {node} for arg of type {}", parameter.type_name()));
                }
            },
        };
        self.fit(value, parameter)
    }

    fn fit(&self, value: Value, parameter: Parameter) -> Result<Value, Failure> {
        match (parameter, value) {
            (Parameter::Any, value)
            | (Parameter::Text, value @ Value::Text(_))
            | (Parameter::Sample, value @ Value::Sample(_))
            | (Parameter::Samples, value @ Value::Samples(_)) => Ok(value),
            (Parameter::Sample, Value::None) => Ok(Value::Sample(None)),
            (Parameter::Samples, Value::None) => Ok(Value::Samples(Arc::new([]))),
            (Parameter::Text, Value::None) => self.fail("invalid value; expected string"),
            (parameter, value) => self.fail(format!(
                "wrong type for value; expected {}; got {}",
                parameter.type_name(),
                value.type_name()
            )),
        }
    }
}

fn arguments_named(values: &[Value], name: &str) -> Option<Value> {
    arguments(values).into_iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}
