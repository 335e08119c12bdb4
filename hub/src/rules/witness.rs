//! Who can be heard: an alert of an appliance that is silent is not resolved by its silence.
//!
//! An appliance is silent while it is not up, and after it has come back until a fresh sample is there of what the rule had read from it before. A probe
//! that runs once an hour takes its time; what has not come an hour after the appliance did does not come any more.

use crate::fleet::Appliance;
use crate::ingest::task::Shared;
use crate::query::Fleetwide;
use rackside_alerting::{Missing, Witness};
use rackside_promql::{
    Labels, METRIC_NAME, Matcher, Reduce, Sample, Select, Source, Stop, Take, Test, Wanted, is_stale,
};
use std::ops::ControlFlow;
use std::sync::Arc;

/// For so long what an appliance has not told since it came back counts as not told yet, in milliseconds.
const PATIENCE: i64 = 3_600_000;
/// A series lives on for so long after its last sample, in milliseconds.
const LOOKBACK: i64 = 300_000;

/// The fleet, asked about alerts that are missing from their rule's result.
pub(super) struct Fleet<'a> {
    pub(super) shared: &'a Shared,
    pub(super) series: &'a Fleetwide,
}

/// Since when all that an alert is about have been up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// They are not.
    No,
    /// Since this moment, in milliseconds since 1970.
    Since(i64),
    /// The alert is about no appliance that is known.
    Nobody,
}

impl Witness for Fleet<'_> {
    fn is_silent(&self, missing: &Missing<'_>) -> bool {
        if !is_of_an_appliance(missing.selectors) {
            return false;
        }
        let (site, appliance) = (missing.labels.value("site"), missing.labels.value("appliance"));
        match self.heard(site, appliance) {
            Heard::No => true,
            Heard::Nobody => false,
            // It was heard when the alert was seen last, and has been ever since.
            Heard::Since(since) if since <= missing.seen_at => false,
            Heard::Since(since) if missing.now.saturating_sub(since) > PATIENCE => false,
            Heard::Since(since) => {
                missing.selectors.iter().any(|selector| self.is_awaited(selector, missing, since))
            }
        }
    }
}

impl Fleet<'_> {
    /// Of an alert of a site, one appliance that is heard is enough.
    fn heard(&self, site: &str, appliance: &str) -> Heard {
        if site.is_empty() {
            return Heard::Nobody;
        }
        let ingest = self.shared.read();
        let is_meant = |known: &&Appliance| {
            known.name.site.as_str() == site
                && (appliance.is_empty() || known.name.appliance.as_str() == appliance)
        };
        let mut meant = ingest.fleet().appliances().iter().filter(is_meant).peekable();
        if meant.peek().is_none() {
            return Heard::Nobody;
        }
        let up = meant.filter(|known| known.state.is_up()).map(|known| known.since_ms as i64);
        up.min().map_or(Heard::No, Heard::Since)
    }

    /// Whether the appliance had told what this selector reads, and has not told it since it came back.
    fn is_awaited(&self, selector: &[Matcher], missing: &Missing<'_>, since: i64) -> bool {
        let of_alert = ["site", "appliance"].into_iter().filter_map(|name| {
            let value = missing.labels.value(name);
            (!value.is_empty()).then(|| Matcher { name: name.into(), test: Test::Equal(value.into()) })
        });
        let matchers: Vec<Matcher> = selector.iter().cloned().chain(of_alert).collect();
        let lived = |from: i64, to: i64| {
            let select = Select {
                matchers: &matchers,
                from,
                to,
                wanted: Wanted::All,
                step: None,
                window: None,
                reduce: Reduce::Samples,
            };
            let mut any = Any::default();
            // What cannot be read has not been heard.
            self.series.select(&select, &mut any).is_ok() && any.0
        };
        !lived(since, missing.now) && lived(missing.seen_at.saturating_sub(LOOKBACK), missing.seen_at)
    }
}

/// Whether a rule that reads this reads what appliances tell. What the hub makes by itself goes on while they are silent: `rackside_appliance_up` above all.
/// What is recorded of both counts as the hub's, where the rule reads that one as well.
fn is_of_an_appliance(selectors: &[Vec<Matcher>]) -> bool {
    let name = |selector: &Vec<Matcher>| {
        selector.iter().find_map(|matcher| match &matcher.test {
            Test::Equal(value) if *matcher.name == *METRIC_NAME => Some(Arc::clone(value)),
            _ => None,
        })
    };
    let names: Vec<Option<Arc<str>>> = selectors.iter().map(name).collect();
    let reads_up = names.iter().flatten().any(|name| **name == *"rackside_appliance_up");
    let is_of_the_hub = |name: &str| {
        ["rackside_hub_", "rackside_site_", "rackside_appliance_up", "ALERTS"]
            .iter()
            .any(|head| name.starts_with(head))
            || (reads_up && name.contains(':'))
    };
    names.iter().any(|name| !name.as_deref().is_some_and(is_of_the_hub))
}

/// Whether there is any sample.
#[derive(Default)]
struct Any(bool);

impl Take for Any {
    fn series(&mut self, _: &Labels, samples: &[Sample]) -> ControlFlow<()> {
        self.0 = samples.iter().any(|sample| !is_stale(sample.value));
        if self.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn stopped(&self) -> Option<Stop> {
        None
    }

    fn warn(&mut self, _: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(query: &str) -> bool {
        let query = rackside_promql::Query::parse(query).expect("PromQL");
        is_of_an_appliance(&query.selectors().map(<[Matcher]>::to_vec).collect::<Vec<_>>())
    }

    #[test]
    fn what_the_hub_makes_by_itself_is_nobodys_silence() {
        assert!(!reads("rackside_appliance_up == 0 and on (site) site:on_air:max == 1"));
        assert!(!reads("rackside_hub_history_up == 0"));
        assert!(!reads("vector(1)"));
        assert!(reads("rackside_load1 > 3 or (rackside_load1 > 2 and on (site) ALERTS)"));
        assert!(reads("appliance:latency:mean > 1"), "what is recorded ends when the appliance does");
        assert!(reads("{site=\"x\"}"));
    }
}
