//! Which series there are: what a person asks who does not know the names yet. No samples are read from the disk for it.
//!
//! Sample: `{site="arena-north"}` of the last hour is `rackside_load1{appliance="rack-1", site="arena-north"}`, …

use super::Fleetwide;
use rackside_promql::{Labels, Matcher, SourceError};
use rackside_series::Asked;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

impl Fleetwide {
    /// The series that any of `selectors` matches, or all if there is none, with samples from `from` to `to`, in milliseconds. In order of their
    /// labels. Of what is older than memory nobody looks when it was: every series that an appliance ever had is told.
    pub fn series(&self, selectors: &[Vec<Matcher>], from: i64, to: i64) -> Result<Vec<Labels>, SourceError> {
        let mut found = BTreeSet::new();
        let all = [Vec::new()];
        for matchers in if selectors.is_empty() { &all } else { selectors } {
            self.each(matchers, from, to, &mut |labels| {
                found.insert(labels.clone());
            })?;
        }
        Ok(found.into_iter().collect())
    }

    fn each(
        &self,
        matchers: &[Matcher],
        from: i64,
        to: i64,
        take: &mut dyn FnMut(&Labels),
    ) -> Result<(), SourceError> {
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
            .map_err(|error| SourceError::Failed(error.to_string()))
    }
}
