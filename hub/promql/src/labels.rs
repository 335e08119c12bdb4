//! The names and values that tell one series from another. Not a matcher: `matcher.rs`.
//!
//! Sorted by name in byte order, each name once, no empty value: a label with an empty value is the same as none. The metric's
//! name is a label like any other, `__name__`. A clone is a counted reference, and so is a label taken over into another set.
//!
//! Sample: `up{job="rack", site="hall-1"}` is `__name__="up"`, `job="rack"`, `site="hall-1"`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::quoted::Quoted;

/// The label that carries the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// What Prometheus 2.42 takes for the name of a label.
pub(crate) fn is_label_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

/// One label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// What is told apart, such as `site`.
    pub name: Arc<str>,
    /// Which one it is, such as `hall-1`; never empty within [`Labels`].
    pub value: Arc<str>,
}

/// A set of labels: what a series is known by.
#[derive(Clone)]
pub struct Labels(Arc<Inner>);

struct Inner {
    hash: u64,
    sorted: Box<[Label]>,
}

impl Labels {
    /// The set without any label.
    pub fn empty() -> Self {
        Self::sorted(Vec::new())
    }

    /// A set of these pairs, in any order. Of a name that is given twice the last value counts; an empty value removes the label.
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut edit = Edit { labels: Vec::new() };
        for (name, value) in pairs {
            edit.set(name, value);
        }
        edit.done()
    }

    fn sorted(labels: Vec<Label>) -> Self {
        let mut hasher = DefaultHasher::new();
        labels.hash(&mut hasher);
        Self(Arc::new(Inner { hash: hasher.finish(), sorted: labels.into() }))
    }

    /// Every label, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Label> {
        self.0.sorted.iter()
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.sorted.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.sorted.is_empty()
    }

    /// The value of `name`; empty, if there is no such label.
    pub fn value(&self, name: &str) -> &str {
        self.label(name).map_or("", |label| &label.value)
    }

    fn label(&self, name: &str) -> Option<&Label> {
        let sorted = &self.0.sorted;
        sorted.binary_search_by(|label| label.name.as_ref().cmp(name)).ok().map(|at| &sorted[at])
    }

    /// This set without the metric's name.
    #[must_use]
    pub fn without_name(&self) -> Self {
        if self.label(METRIC_NAME).is_none() {
            return self.clone();
        }
        self.without::<&str>(&[])
    }

    /// Only the labels named in `names`, which are in any order.
    #[must_use]
    pub fn only<S: AsRef<str>>(&self, names: &[S]) -> Self {
        self.filtered(|label| names.iter().any(|name| name.as_ref() == label.name.as_ref()))
    }

    /// All labels but those in `names` and but the metric's name.
    #[must_use]
    pub fn without<S: AsRef<str>>(&self, names: &[S]) -> Self {
        self.filtered(|label| {
            label.name.as_ref() != METRIC_NAME
                && !names.iter().any(|name| name.as_ref() == label.name.as_ref())
        })
    }

    fn filtered(&self, keep: impl Fn(&Label) -> bool) -> Self {
        Self::sorted(self.iter().filter(|label| keep(label)).cloned().collect())
    }

    /// A copy to change.
    pub fn edit(&self) -> Edit {
        Edit { labels: self.0.sorted.to_vec() }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.hash == other.0.hash && self.0.sorted == other.0.sorted)
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By name and value of the first label in which they differ; a set that the other one begins with comes first.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.sorted.cmp(&other.0.sorted)
    }
}

/// As Prometheus writes it: `up{job="rack"}`, `{job="rack"}`, `{}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.value(METRIC_NAME);
        f.write_str(name)?;
        if !name.is_empty() && self.len() == 1 {
            return Ok(());
        }
        f.write_str("{")?;
        for (at, label) in self.iter().filter(|label| label.name.as_ref() != METRIC_NAME).enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{}={}", label.name, Quoted(&label.value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, Quoted(&self.value))
    }
}

/// A set of labels while it is changed.
pub struct Edit {
    labels: Vec<Label>,
}

impl Edit {
    /// Gives `name` this value, whatever it was; an empty one removes the label.
    pub fn set(&mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> &mut Self {
        let (name, value) = (name.into(), value.into());
        match self.labels.binary_search_by(|label| label.name.cmp(&name)) {
            Ok(at) if value.is_empty() => drop(self.labels.remove(at)),
            Ok(at) => self.labels[at].value = value,
            Err(_) if value.is_empty() => {}
            Err(at) => self.labels.insert(at, Label { name, value }),
        }
        self
    }

    /// Removes the label `name`, if there is one.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.labels.retain(|label| label.name.as_ref() != name);
        self
    }

    /// The set as it is now.
    pub fn done(self) -> Labels {
        Labels::sorted(self.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up() -> Labels {
        Labels::new([("site", "hall"), (METRIC_NAME, "up"), ("job", "rack"), ("empty", "")])
    }

    #[test]
    fn a_set_is_sorted_and_has_no_empty_values() {
        assert_eq!(up().iter().map(|l| l.name.to_string()).collect::<Vec<_>>(), ["__name__", "job", "site"]);
        assert_eq!(up().value("site"), "hall");
        assert_eq!(up().value("empty"), "");
    }

    #[test]
    fn sets_of_the_same_labels_are_equal_however_they_came_about() {
        let mut edit = Labels::empty().edit();
        edit.set("job", "x").set("site", "hall").set(METRIC_NAME, "up").set("job", "rack");
        assert_eq!(edit.done(), up());
        assert_ne!(up().without_name(), up());
    }

    #[test]
    fn grouping_keeps_what_it_names_or_drops_it_with_the_name() {
        assert_eq!(up().only(&["job", "nope"]), Labels::new([("job", "rack")]));
        assert_eq!(up().without(&["job"]), Labels::new([("site", "hall")]));
        assert_eq!(up().without_name(), Labels::new([("job", "rack"), ("site", "hall")]));
    }

    #[test]
    fn sets_are_written_as_prometheus_writes_them() {
        assert_eq!(up().to_string(), r#"up{job="rack", site="hall"}"#);
        assert_eq!(Labels::new([(METRIC_NAME, "up")]).to_string(), "up");
        assert_eq!(Labels::empty().to_string(), "{}");
        assert_eq!(Labels::new([("a", "b\x7f\"")]).to_string(), r#"{a="b\x7f\""}"#);
    }

    #[test]
    fn label_names_are_ascii_and_begin_with_no_digit() {
        for name in ["a", "_", "__name__", "a1"] {
            assert!(is_label_name(name), "{name}");
        }
        for name in ["", "1a", "a-b", "a:b", "é"] {
            assert!(!is_label_name(name), "{name}");
        }
    }
}
