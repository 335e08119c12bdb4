//! A template as a tree. Not what it does: `run.rs`.
//!
//! Each node knows where it stands, and writes itself as Go does, because Go's messages about a template that failed quote the node.
//!
//! Sample: `{{ $labels.x | toUpper }}` is `Action(Pipe { calls: [Call([Variable([$labels, x])]), Call([Function(toUpper)])] })`.

use super::function::Function;
use super::literal::Number;
use std::fmt;
use std::sync::Arc;

/// A part of a template.
#[derive(Debug)]
pub(super) struct Node {
    /// The byte of the text that Go names when something fails here.
    pub(super) at: usize,
    pub(super) kind: Kind,
}

/// Nodes one after the other.
pub(super) type Nodes = Vec<Node>;

#[derive(Debug)]
pub(super) enum Kind {
    Text(String),
    /// A pipe whose value is written, unless it declares or assigns.
    Action(Box<Node>),
    /// `if` and `with`.
    If(Branches),
    With(Branches),
    Range(Branches),
    Template {
        name: Arc<str>,
        pipe: Option<Box<Node>>,
    },
    Break,
    Continue,
    Pipe(Pipe),
    /// A function, method, field or value with what stands behind it.
    Call(Nodes),
    Function(&'static Function),
    Field(Vec<Arc<str>>),
    /// A variable, with its `$`, and fields of it.
    Variable(Vec<Arc<str>>),
    /// Fields of something in parentheses or of a function's result.
    Chain(Box<Node>, Vec<Arc<str>>),
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Quoted {
        written: String,
        text: Arc<str>,
    },
}

/// What hangs on a pipe.
#[derive(Debug)]
pub(super) struct Branches {
    pub(super) pipe: Box<Node>,
    pub(super) then: Nodes,
    pub(super) otherwise: Nodes,
}

/// Calls, each of which gets the value of the one before as its last argument.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Variables that get the value.
    pub(super) variables: Vec<Arc<str>>,
    /// The variables are there already.
    pub(super) assigns: bool,
    pub(super) calls: Nodes,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Text(text) => f.write_str(text),
            Kind::Action(pipe) => write!(f, "{{{{{pipe}}}}}"),
            Kind::If(branches) => write!(f, "{{{{if {}}}}}", branches.pipe),
            Kind::With(branches) => write!(f, "{{{{with {}}}}}", branches.pipe),
            Kind::Range(branches) => write!(f, "{{{{range {}}}}}", branches.pipe),
            Kind::Template { name, pipe: None } => write!(f, "{{{{template {name:?}}}}}"),
            Kind::Template { name, pipe: Some(pipe) } => write!(f, "{{{{template {name:?} {pipe}}}}}"),
            Kind::Break => f.write_str("{{break}}"),
            Kind::Continue => f.write_str("{{continue}}"),
            Kind::Pipe(pipe) => fmt::Display::fmt(pipe, f),
            Kind::Call(parts) => {
                for (at, part) in parts.iter().enumerate() {
                    let space = if at > 0 { " " } else { "" };
                    match part.kind {
                        Kind::Pipe(_) => write!(f, "{space}({part})")?,
                        _ => write!(f, "{space}{part}")?,
                    }
                }
                Ok(())
            }
            Kind::Function(function) => f.write_str(function.name),
            Kind::Field(names) => names.iter().try_for_each(|name| write!(f, ".{name}")),
            Kind::Variable(names) => f.write_str(&names.join(".")),
            Kind::Chain(of, names) => {
                match of.kind {
                    Kind::Pipe(_) => write!(f, "({of})")?,
                    _ => write!(f, "{of}")?,
                }
                names.iter().try_for_each(|name| write!(f, ".{name}"))
            }
            Kind::Dot => f.write_str("."),
            Kind::Nil => f.write_str("nil"),
            Kind::Bool(value) => write!(f, "{value}"),
            Kind::Number(number) => f.write_str(&number.text),
            Kind::Quoted { written, .. } => f.write_str(written),
        }
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{} := ", self.variables.join(", "))?;
        }
        for (at, call) in self.calls.iter().enumerate() {
            let bar = if at > 0 { " | " } else { "" };
            write!(f, "{bar}{call}")?;
        }
        Ok(())
    }
}
