//! Which series there are: what a person asks who does not know the names yet. No samples are read from the disk for it.
//!
//! Sample: `{site="arena-north"}` of the last hour is `rackside_load1{appliance="rack-1", site="arena-north"}`, …

use super::{Fleetwide, TheHubs};
use rackside_promql::{Labels, Matcher, SourceError, Take};
use rackside_series::Asked;
use std::ops::ControlFlow;

impl Fleetwide {
    /// Hands over the series that match with samples from `from` to `to`, in milliseconds, without their samples; one may come more than once. Of
    /// what is older than memory nobody looks when it was: every series that an appliance ever had is told.
    pub fn names(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        take: &mut dyn Take,
    ) -> Result<(), SourceError> {
        let mut flow = ControlFlow::Continue(());
        self.recent.select(&Asked { matchers, from, to, newest: true, slot: None }, &mut |found| {
            let there = found.series.iter().filter(|(_, samples)| !samples.is_empty());
            flow = hand_over(there.map(|(labels, _)| labels), take);
            flow
        });
        for slot in self.recent.behind(matchers, from) {
            if flow.is_break() || take.stopped().is_some() {
                break;
            }
            flow = hand_over(self.listed(slot, matchers)?.iter(), take);
        }
        if flow.is_continue() {
            let mut own = TheHubs { recent: &self.recent, is_named: true, take };
            let told = self.derived.names(matchers, (from, to), &mut own);
            told.map_err(|error| SourceError::Failed(error.to_string()))?;
        }
        take.stopped().map_or(Ok(()), |stop| Err(SourceError::Stopped(stop)))
    }
}

fn hand_over<'a>(mut names: impl Iterator<Item = &'a Labels>, take: &mut dyn Take) -> ControlFlow<()> {
    if take.stopped().is_some() {
        return ControlFlow::Break(());
    }
    names.try_for_each(|labels| take.series(labels, &[]))
}
