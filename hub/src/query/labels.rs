//! Which series there are, and what is known of a metric: what a person asks who does not know the names yet.
//!
//! Sample: `label_values("site")` is `["arena-north", "town-hall"]`.

use super::Fleetwide;
use rackside_promql::{Labels, Matcher, SourceError};
use rackside_proto::metric;
use rackside_series::Asked;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::PoisonError;

/// What is known of a metric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Metadata {
    /// Its name; a histogram's without `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// `gauge`, `counter`, `histogram` or `unknown`.
    pub kind: &'static str,
    /// What it means.
    pub help: String,
    /// Its unit, or nothing.
    pub unit: String,
}

impl Fleetwide {
    /// The series that any of `selectors` matches, or all if there is none, with samples from `from` to `to`, in milliseconds. In order of their
    /// labels. Of what is older than memory
    /// nobody looks when it was: every series that an appliance ever had is told.
    pub fn series(&self, selectors: &[Vec<Matcher>], from: i64, to: i64) -> Result<Vec<Labels>, SourceError> {
        let mut found = BTreeSet::new();
        self.each(selectors, from, to, &mut |labels| {
            found.insert(labels.clone());
        })?;
        Ok(found.into_iter().collect())
    }

    /// The names of all labels of these series, in order.
    pub fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        from: i64,
        to: i64,
    ) -> Result<Vec<String>, SourceError> {
        let mut found: BTreeSet<String> = BTreeSet::new();
        self.each(selectors, from, to, &mut |labels| {
            for label in labels.iter() {
                if !found.contains(&*label.name) {
                    found.insert(label.name.to_string());
                }
            }
        })?;
        Ok(found.into_iter().collect())
    }

    /// The values of one label in these series, in order.
    pub fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        from: i64,
        to: i64,
    ) -> Result<Vec<String>, SourceError> {
        let mut found: BTreeSet<String> = BTreeSet::new();
        self.each(selectors, from, to, &mut |labels| {
            let value = labels.value(name);
            if !value.is_empty() && !found.contains(value) {
                found.insert(value.to_owned());
            }
        })?;
        Ok(found.into_iter().collect())
    }

    /// What is known of each metric, in order of their names.
    pub fn metadata(&self) -> Vec<Metadata> {
        let kind = |kind| match kind {
            rackside_proto::Kind::Counter => "counter",
            rackside_proto::Kind::Gauge | rackside_proto::Kind::State => "gauge",
        };
        let of = |name: &str, kind, help: &str, unit: &str| Metadata {
            name: name.to_owned(),
            kind,
            help: help.to_owned(),
            unit: unit.to_owned(),
        };
        let parts = |name: &str| {
            let stem = metric::Histogram::PARTS.iter().find_map(|part| name.strip_suffix(part));
            stem.is_some_and(|stem| metric::HISTOGRAMS.iter().any(|one| one.name == stem))
        };
        let plain = metric::ALL.iter().filter(|one| !parts(one.name));
        let mut all: BTreeSet<Metadata> =
            plain.map(|one| of(one.name, kind(one.kind), one.help, one.unit)).collect();
        all.extend(metric::HISTOGRAMS.iter().map(|one| of(one.name, "histogram", one.help, one.unit)));
        all.extend(self.own.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        all.into_iter().collect()
    }

    fn each(
        &self,
        selectors: &[Vec<Matcher>],
        from: i64,
        to: i64,
        take: &mut dyn FnMut(&Labels),
    ) -> Result<(), SourceError> {
        let all = [Vec::new()];
        for matchers in if selectors.is_empty() { &all } else { selectors } {
            self.recent.select(&Asked { matchers, from, to, newest: true, slot: None }, &mut |found| {
                for (labels, samples) in found.series {
                    if !samples.is_empty() {
                        take(labels);
                    }
                }
                ControlFlow::Continue(())
            });
            for slot in self.recent.behind(matchers, from) {
                self.listed(slot, matchers)?.iter().for_each(&mut *take);
            }
            self.derived
                .select(matchers, (from, to), true, &mut |labels, samples| {
                    if !samples.is_empty() && !self.recent.has(labels) {
                        take(labels);
                    }
                    ControlFlow::Continue(())
                })
                .map_err(|error| SourceError::Failed(error.to_string()))?;
        }
        Ok(())
    }
}
