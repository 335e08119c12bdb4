//! The names and values that tell one series from another. Not a matcher: `matcher.rs`.
//!
//! Sorted by name in byte order, each name once, no empty value: a label with an empty value is the same as none. The metric's
//! name is a label like any other, `__name__`. A clone is a counted reference, a set without its name is one as well, and so is a label taken
//! over into another set. Each label is hashed once, when it is made; the hash of a set is the sum of its labels', so that that of a part is
//! had without looking at a text.
//!
//! Sample: `up{job="rack", site="hall-1"}` is `__name__="up"`, `job="rack"`, `site="hall-1"`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use crate::quoted::Quoted;

/// The label that carries the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// What Prometheus 2.42 takes for the name of a label.
pub fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':')
}

/// What Prometheus 2.42 takes for the name of a metric.
pub fn is_metric_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
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

/// A label and its hash.
#[derive(Clone)]
struct Hashed {
    label: Label,
    hash: u64,
}

impl Hashed {
    fn new(label: Label) -> Self {
        // Its own in each process, so that nobody can choose labels that fall together.
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self { hash: KEYS.hash_one(&label), label }
    }
}

/// A set of labels: what a series is known by.
#[derive(Clone)]
pub struct Labels {
    all: Arc<All>,
    /// The metric's name is not one of them.
    is_nameless: bool,
}

struct All {
    sorted: Box<[Hashed]>,
    /// Where the metric's name stands.
    name: Option<usize>,
    hash: u64,
}

impl Labels {
    /// The set without any label.
    pub fn empty() -> Self {
        static EMPTY: LazyLock<Labels> = LazyLock::new(|| Labels::sorted(Vec::new()));
        EMPTY.clone()
    }

    /// A set of these pairs, in any order. Of a name that is given twice the last value counts; an empty value removes the label.
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut edit = Edit { labels: Vec::new() };
        for (name, value) in pairs {
            edit.set(name, value);
        }
        edit.done()
    }

    fn sorted(labels: Vec<Hashed>) -> Self {
        let name = labels.binary_search_by(|hashed| (*hashed.label.name).cmp(METRIC_NAME)).ok();
        let hash = sum(&labels);
        Self { all: Arc::new(All { sorted: labels.into(), name, hash }), is_nameless: false }
    }

    /// Where a label stands that is not one of the set.
    fn hidden(&self) -> Option<usize> {
        self.all.name.filter(|_| self.is_nameless)
    }

    /// Those before the hidden label, and those behind it.
    fn halves(&self) -> (&[Hashed], &[Hashed]) {
        match self.hidden() {
            Some(at) => (&self.all.sorted[..at], &self.all.sorted[at + 1..]),
            None => (&self.all.sorted, &[]),
        }
    }

    fn hashed(&self) -> impl Iterator<Item = &Hashed> {
        let (before, behind) = self.halves();
        before.iter().chain(behind)
    }

    fn hash(&self) -> u64 {
        self.hidden().map_or(self.all.hash, |at| self.all.hash.wrapping_sub(self.all.sorted[at].hash))
    }

    /// Every label, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Label> {
        let (before, behind) = self.halves();
        (0..self.len()).map(|at| {
            let hashed = before.get(at).unwrap_or_else(|| &behind[at - before.len()]);
            &hashed.label
        })
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.all.sorted.len() - usize::from(self.hidden().is_some())
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of `name`; empty, if there is no such label.
    pub fn value(&self, name: &str) -> &str {
        self.label(name).map_or("", |label| &label.value)
    }

    fn label(&self, name: &str) -> Option<&Label> {
        let sorted = &self.all.sorted;
        let at = sorted.binary_search_by(|hashed| (*hashed.label.name).cmp(name)).ok()?;
        (self.hidden() != Some(at)).then(|| &sorted[at].label)
    }

    /// This set without the metric's name.
    #[must_use]
    pub fn without_name(&self) -> Self {
        Self { all: Arc::clone(&self.all), is_nameless: true }
    }

    /// Only the labels named in `names`, which are in any order.
    #[must_use]
    pub fn only<S: AsRef<str>>(&self, names: &[S]) -> Self {
        self.filtered(|label| is_among(label, names))
    }

    /// All labels but those in `names` and but the metric's name.
    #[must_use]
    pub fn without<S: AsRef<str>>(&self, names: &[S]) -> Self {
        if names.is_empty() {
            return self.without_name();
        }
        self.filtered(|label| *label.name != *METRIC_NAME && !is_among(label, names))
    }

    fn filtered(&self, keep: impl Fn(&Label) -> bool) -> Self {
        Self::sorted(self.hashed().filter(|hashed| keep(&hashed.label)).cloned().collect())
    }

    /// This set and another one; of a name that both have the other's value counts. No text is hashed again.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut all = Vec::with_capacity(self.len() + other.len());
        let (mut ours, mut theirs) = (self.hashed().peekable(), other.hashed().peekable());
        while let (Some(one), Some(another)) = (ours.peek(), theirs.peek()) {
            match one.label.name.cmp(&another.label.name) {
                Ordering::Less => all.extend(ours.next().cloned()),
                Ordering::Equal => drop(ours.next()),
                Ordering::Greater => all.extend(theirs.next().cloned()),
            }
        }
        all.extend(ours.chain(theirs).cloned());
        Self::sorted(all)
    }

    /// Whether somebody else holds this very set.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.all) > 1
    }

    /// A copy to change.
    pub fn edit(&self) -> Edit {
        Edit { labels: self.hashed().cloned().collect() }
    }
}

fn sum<'l>(labels: impl IntoIterator<Item = &'l Hashed>) -> u64 {
    labels.into_iter().fold(0, |sum: u64, hashed| sum.wrapping_add(hashed.hash))
}

fn is_among<S: AsRef<str>>(label: &Label, names: &[S]) -> bool {
    names.iter().any(|name| name.as_ref() == &*label.name)
}

/// Some of the labels of a set, without making one of them: for looking up.
#[derive(Clone, Copy)]
pub(crate) struct Part<'l> {
    of: &'l Labels,
    names: &'l [Arc<str>],
    /// The labels of these names, or all others but the metric's name.
    only: bool,
    hash: u64,
}

impl<'l> Part<'l> {
    /// As [`Labels::only`].
    pub(crate) fn only(of: &'l Labels, names: &'l [Arc<str>]) -> Self {
        Self { of, names, only: true, hash: 0 }.hashed()
    }

    /// As [`Labels::without`].
    pub(crate) fn without(of: &'l Labels, names: &'l [Arc<str>]) -> Self {
        Self { of, names, only: false, hash: 0 }.hashed()
    }

    /// The part as a set of its own.
    pub(crate) fn labels(&self) -> Labels {
        if self.only { self.of.only(self.names) } else { self.of.without(self.names) }
    }

    fn hashed(self) -> Self {
        Self { hash: sum(self.kept()), ..self }
    }

    fn kept(&self) -> impl Iterator<Item = &'l Hashed> {
        let Self { of, names, only, .. } = *self;
        of.hashed().filter(move |Hashed { label, .. }| {
            if only { is_among(label, names) } else { *label.name != *METRIC_NAME && !is_among(label, names) }
        })
    }
}

impl PartialEq for Part<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.kept().map(|hashed| &hashed.label).eq(other.kept().map(|hashed| &hashed.label))
    }
}

impl Eq for Part<'_> {}

impl Hash for Part<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// For maps by [`Labels`] and [`Part`], which bring their hash.
pub(crate) type Ready = BuildHasherDefault<ReadyHasher>;

/// Takes a hash as it is.
#[derive(Default)]
pub(crate) struct ReadyHasher(u64);

impl Hasher for ReadyHasher {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.all, &other.all) {
            return self.hidden() == other.hidden();
        }
        self.hash() == other.hash() && self.iter().eq(other.iter())
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash());
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
        self.iter().cmp(other.iter())
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
    labels: Vec<Hashed>,
}

impl Edit {
    /// Gives `name` this value, whatever it was; an empty one removes the label.
    pub fn set(&mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> &mut Self {
        let (name, value) = (name.into(), value.into());
        match self.labels.binary_search_by(|hashed| hashed.label.name.cmp(&name)) {
            Ok(at) if value.is_empty() => drop(self.labels.remove(at)),
            Ok(at) => self.labels[at] = Hashed::new(Label { name, value }),
            Err(_) if value.is_empty() => {}
            Err(at) => self.labels.insert(at, Hashed::new(Label { name, value })),
        }
        self
    }

    /// Removes the label `name`, if there is one.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.labels.retain(|hashed| &*hashed.label.name != name);
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
    fn two_sets_make_the_one_that_has_the_labels_of_both() {
        let rack = Labels::new([("appliance", "rack"), ("site", "arena")]);
        let both =
            Labels::new([("appliance", "rack"), ("site", "arena"), ("job", "rack"), (METRIC_NAME, "up")]);
        assert_eq!((up().and(&rack), up().and(&rack).hash()), (both.clone(), both.hash()));
        assert_eq!(rack.and(&up()).value("site"), "hall");
        assert_eq!((up().and(&Labels::empty()), Labels::empty().and(&up())), (up(), up()));
        assert_eq!(up().without_name().and(&rack), both.without_name());
        assert!(rack.clone().is_shared() && !up().is_shared());
    }

    #[test]
    fn sets_are_written_as_prometheus_writes_them() {
        assert_eq!(up().to_string(), r#"up{job="rack", site="hall"}"#);
        assert_eq!(Labels::new([(METRIC_NAME, "up")]).to_string(), "up");
        assert_eq!(Labels::empty().to_string(), "{}");
        assert_eq!(Labels::new([("a", "b\x7f\"")]).to_string(), r#"{a="b\x7f\""}"#);
    }

    #[test]
    fn a_set_without_its_name_is_like_one_that_never_had_it() {
        let never = Labels::new([("site", "hall"), ("Job", "rack")]);
        let mut named = never.edit();
        named.set(METRIC_NAME, "up");
        let nameless = named.done().without_name();
        assert_eq!((&nameless, nameless.len(), nameless.hash()), (&never, 2, never.hash()));
        assert_eq!(nameless.cmp(&never), Ordering::Equal);
        assert!(nameless.iter().eq(never.iter()), "{nameless}");
        assert_eq!((nameless.value(METRIC_NAME), nameless.value("site")), ("", "hall"));
        assert_eq!(nameless.edit().set("a", "b").labels.len(), 3);
        assert_eq!(nameless.without_name(), never);
        assert_ne!(nameless, up());
        let only_name = Labels::new([(METRIC_NAME, "up")]).without_name();
        assert!(only_name.is_empty() && only_name == Labels::empty());
    }

    #[test]
    fn a_part_is_equal_to_the_part_of_another_set_with_the_same_labels() {
        let names = ["site".into(), "nope".into()];
        let other = Labels::new([("site", "hall"), ("job", "other"), (METRIC_NAME, "down")]);
        let map: std::collections::HashMap<Part<'_>, u8, Ready> =
            std::iter::once((Part::only(&other, &names), 7)).collect();
        let (up, tent) = (up(), Labels::new([("site", "tent")]));
        assert_eq!(map.get(&Part::only(&up, &names)), Some(&7));
        assert_eq!(map.get(&Part::only(&tent, &names)), None);
        assert_eq!(Part::only(&up, &names).labels(), Labels::new([("site", "hall")]));
        assert_eq!(Part::without(&up, &names).labels(), Labels::new([("job", "rack")]));
        assert!(Part::without(&up, &names) != Part::without(&other, &names));
        assert_eq!(Part::without(&up, &[]).labels(), up.without_name());
        assert!(Part::without(&up, &[]) == Part::without(&up.without_name(), &[]));
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
