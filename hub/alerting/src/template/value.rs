//! What a part of a template can be worth. Not how it is printed: `format.rs`.
//!
//! The types are those that a rule's template can meet in Prometheus, under the names that Go's messages give them.
//!
//! Sample: `$labels` is `Value::Labels`, of type `map[string]string`; `query "up" | first` is `Value::Sample`, of type `*template.sample`.

use super::moment::Moment;
use rackside_promql::{Labels, Point};
use std::fmt::Write as _;
use std::sync::Arc;

/// One part's worth.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing at all: what an argument that is not there is worth.
    None,
    Bool(bool),
    Int(i64),
    /// A byte of a text.
    Byte(u8),
    Float(f64),
    Text(Arc<str>),
    /// Text marked by `safeHtml`; a type of its own, which functions of texts do not take.
    Html(Arc<str>),
    Labels(Labels),
    /// What `args` makes: `arg0`, `arg1` and so on.
    Args(Arc<[Value]>),
    /// One series of a query's result; none where Go has a nil pointer.
    Sample(Option<Arc<Point>>),
    /// A query's result.
    Samples(Arc<[Arc<Point>]>),
    Moment(Moment),
    /// A month or a day of the week.
    Named(Named),
    /// The dot at the beginning.
    Root(Arc<Root>),
}

/// What a rule's template is given.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) labels: Labels,
    pub(super) external_labels: Labels,
    pub(super) external_url: Arc<str>,
    pub(super) value: f64,
}

/// A number with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) type_name: &'static str,
    pub(super) number: i64,
    pub(super) name: &'static str,
}

/// Go's type of [`Value::Root`].
const ROOT: &str = "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value float64 }";

impl Value {
    pub(super) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// Go's name of its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::None => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Html(_) => "template.HTML",
            Self::Labels(_) => "map[string]string",
            Self::Args(_) => "map[string]interface {}",
            Self::Sample(_) => "*template.sample",
            Self::Samples(_) => "template.queryResult",
            Self::Moment(_) => "*time.Time",
            Self::Named(named) => named.type_name,
            Self::Root(_) => ROOT,
        }
    }

    /// Whether `if` takes its first branch.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::None | Self::Sample(None) => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Byte(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) | Self::Html(text) => !text.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Args(values) => !values.is_empty(),
            Self::Samples(samples) => !samples.is_empty(),
            Self::Named(named) => named.number != 0,
            Self::Sample(Some(_)) | Self::Moment(_) | Self::Root(_) => true,
        }
    }

    /// Its integer, if Go counts it among the integers.
    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Byte(value) => Some(i64::from(*value)),
            Self::Named(named) => Some(named.number),
            _ => None,
        }
    }

    /// Its text, if Go counts it among the strings.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Html(text) => Some(text),
            _ => None,
        }
    }
}

/// The keys and values of `args`, in the order of the keys as texts.
pub(super) fn arguments(values: &[Value]) -> Vec<(String, &Value)> {
    let mut pairs: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(at, value)| {
            let mut key = "arg".to_owned();
            write!(key, "{at}").expect("a String takes everything");
            (key, value)
        })
        .collect();
    pairs.sort_by(|one, other| one.0.cmp(&other.0));
    pairs
}
