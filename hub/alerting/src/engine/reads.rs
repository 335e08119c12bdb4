//! Which rules read which series: for changes that come in, and for what rules make for each other.
//!
//! It errs on one side only: a rule that could read a series is said to read it. A selector that names its metric is found by that name;
//! one that does not is looked at for every series.
//!
//! Rules that read each other in a circle would never come to rest. So a change is carried on only where it cannot come back: within a
//! group forwards, and to rules that are in no circle with the one that made it.
//!
//! Sample: `ALERTS{alertname="SocHot", alertstate="firing"}` reads what the rule `SocHot` makes, and nothing of `DiskFull`.

use std::collections::HashMap;
use std::sync::Arc;

use rackside_promql::{Labels, METRIC_NAME, Matcher, Test};

use super::rule::Rule;
use crate::file::Action;

/// A rule of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RuleId {
    pub(crate) group: usize,
    pub(crate) rule: usize,
}

/// Who reads what.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    by_name: HashMap<Arc<str>, Vec<(RuleId, Vec<Matcher>)>>,
    /// Selectors without a name.
    any: Vec<(RuleId, Vec<Matcher>)>,
    /// For each rule, who is to be evaluated when what it makes has changed.
    dependents: HashMap<RuleId, Vec<RuleId>>,
}

/// The name that a selector asks for, if it asks for one.
fn metric_name(selector: &[Matcher]) -> Option<&Arc<str>> {
    selector.iter().find_map(|matcher| match &matcher.test {
        Test::Equal(value) if *matcher.name == *METRIC_NAME => Some(value),
        _ => None,
    })
}

impl Reads {
    pub(crate) fn of<'a>(rules: impl Iterator<Item = (RuleId, &'a Rule)>) -> Self {
        let rules: Vec<(RuleId, &Rule)> = rules.collect();
        let mut reads = Self::default();
        for (id, rule) in &rules {
            for selector in &rule.selectors {
                let entry = (*id, selector.clone());
                match metric_name(selector) {
                    Some(name) => reads.by_name.entry(Arc::clone(name)).or_default().push(entry),
                    None => reads.any.push(entry),
                }
            }
        }
        let index: HashMap<RuleId, usize> = rules.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
        let edges: Vec<Vec<usize>> = rules.iter().map(|(_, rule)| reads.readers(rule, &index)).collect();
        let circle = circles(&edges);
        for (from, to) in edges.iter().enumerate() {
            let id = rules[from].0;
            let carried = to
                .iter()
                .filter(|to| {
                    let forwards = rules[**to].0.group == id.group && rules[**to].0.rule > id.rule;
                    forwards || circle[**to] != circle[from]
                })
                .map(|to| rules[*to].0)
                .collect();
            reads.dependents.insert(id, carried);
        }
        reads
    }

    /// The rules that could read what `rule` makes.
    fn readers(&self, rule: &Rule, index: &HashMap<RuleId, usize>) -> Vec<usize> {
        let mut readers = Vec::new();
        for made in Made::by(rule) {
            let named = self.by_name.get(made.name.as_ref()).into_iter().flatten();
            for (id, selector) in named.chain(&self.any) {
                if made.can_pass(selector) {
                    readers.extend(index.get(id));
                }
            }
        }
        readers.sort_unstable();
        readers.dedup();
        readers
    }

    /// Tells every rule that reads the series of these labels; a rule may be told more than once.
    pub(crate) fn touched(&self, labels: &Labels, mut tell: impl FnMut(RuleId)) {
        let named = self.by_name.get(labels.value(METRIC_NAME)).into_iter().flatten();
        for (id, selector) in named.chain(&self.any) {
            if selector.iter().all(|matcher| matcher.matches(labels)) {
                tell(*id);
            }
        }
    }

    /// Who is to be evaluated when what this rule makes has changed.
    pub(crate) fn dependents(&self, rule: RuleId) -> &[RuleId] {
        self.dependents.get(&rule).map_or(&[], Vec::as_slice)
    }
}

/// What is known of the series that a rule makes before it has made them.
struct Made {
    name: Arc<str>,
    /// Labels with the values that they can have.
    known: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

impl Made {
    fn by(rule: &Rule) -> Vec<Self> {
        match &rule.spec.action {
            Action::Record { labels } => {
                let known =
                    labels.iter().map(|(name, value)| (Arc::clone(name), vec![Arc::clone(value)])).collect();
                vec![Self { name: Arc::clone(&rule.spec.name), known }]
            }
            Action::Alert(alert) => {
                // A template says nothing before it is expanded, and an empty one leaves what the expression had.
                let mut known: Vec<(Arc<str>, Vec<Arc<str>>)> = alert
                    .labels
                    .iter()
                    .filter(|(_, template)| !template.text().is_empty() && !template.text().contains("{{"))
                    .map(|(name, template)| (Arc::clone(name), vec![template.text().into()]))
                    .filter(|(name, _)| !matches!(name.as_ref(), "alertname" | "alertstate"))
                    .collect();
                known.push(("alertname".into(), vec![Arc::clone(&rule.spec.name)]));
                let since = Self { name: "ALERTS_FOR_STATE".into(), known: known.clone() };
                known.push(("alertstate".into(), vec!["pending".into(), "firing".into()]));
                vec![Self { name: "ALERTS".into(), known }, since]
            }
        }
    }

    fn can_pass(&self, selector: &[Matcher]) -> bool {
        selector.iter().all(|matcher| {
            if *matcher.name == *METRIC_NAME {
                return matcher.accepts(&self.name);
            }
            let known = self.known.iter().find(|(name, _)| *name == matcher.name);
            known.is_none_or(|(_, values)| values.iter().any(|value| matcher.accepts(value)))
        })
    }
}

/// For each rule a number that it has in common with those that are in a circle with it, and with no others (Kosaraju's way, without
/// recursion).
fn circles(edges: &[Vec<usize>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(edges.len());
    let mut seen = vec![false; edges.len()];
    for start in 0..edges.len() {
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.last_mut() {
            if let Some(to) = edges[*node].get(*next) {
                *next += 1;
                if !std::mem::replace(&mut seen[*to], true) {
                    path.push((*to, 0));
                }
            } else {
                order.push(*node);
                path.pop();
            }
        }
    }
    let mut backwards = vec![Vec::new(); edges.len()];
    for (from, to) in edges.iter().enumerate() {
        for to in to {
            backwards[*to].push(from);
        }
    }
    let mut circle = vec![usize::MAX; edges.len()];
    for start in order.into_iter().rev() {
        let mut open = vec![start];
        while let Some(node) = open.pop() {
            if circle[node] == usize::MAX {
                circle[node] = start;
                open.extend(&backwards[node]);
            }
        }
    }
    circle
}
