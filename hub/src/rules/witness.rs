//! Who can be heard: an alert of an appliance that is silent is not resolved by its silence.
//!
//! An appliance is silent while it is not up, and after it has come back until each series has a fresh sample that the rule had read of it before, as far as
//! that series can be the alert's: a ping that is answered again says nothing of a stream that is looked at every five minutes. What has not come an hour after
//! the appliance did does not come any more.

use crate::fleet::Appliance;
use crate::ingest::task::Shared;
use crate::query::Fleetwide;
use rackside_alerting::{Missing, Witness};
use rackside_promql::{
    Labels, METRIC_NAME, Matcher, Reduce, Sample, Select, Source, Stop, Take, Test, Wanted, is_stale,
};
use rackside_proto::AgentName;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// For so long what an appliance has not told since it came back counts as not told yet, in milliseconds.
const PATIENCE: i64 = 3_600_000;
/// A series lives on for so long after its last sample, in milliseconds.
const LOOKBACK: i64 = 300_000;
/// Alerts of which is remembered what they waited for.
const REMEMBERED: usize = 20_000;

/// What each missing alert was made of when it was last seen; it does not change while it waits. By its labels and its rule's selectors.
#[derive(Debug, Default)]
pub(super) struct Memory(RefCell<HashMap<(Labels, usize), Lived>>);

#[derive(Debug)]
struct Lived {
    seen_at: i64,
    series: Arc<[Labels]>,
}

/// The fleet, asked about alerts that are missing from their rule's result.
pub(super) struct Fleet<'a> {
    pub(super) shared: &'a Shared,
    pub(super) series: &'a Fleetwide,
    pub(super) memory: &'a Memory,
    /// Ends a question that takes too long; what is not known then counts as not heard.
    pub(super) stop: &'a dyn Fn() -> Option<Stop>,
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
        match self.heard(missing.labels.value("site"), missing.labels.value("appliance")) {
            Heard::No => true,
            Heard::Nobody => false,
            // It was heard when the alert was seen last, and has been ever since.
            Heard::Since(since) if since <= missing.seen_at => false,
            // It came back after the moment that is evaluated.
            Heard::Since(since) if since >= missing.now => true,
            Heard::Since(since) if missing.now.saturating_sub(since) > PATIENCE => false,
            Heard::Since(since) => self.is_awaited(missing, since),
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
        let fleet = ingest.fleet();
        let since = |known: &Appliance| known.state.is_up().then_some(known.since_ms as i64);
        if !appliance.is_empty() {
            let known = AgentName::new(site, appliance).ok().and_then(|name| fleet.find(&name));
            // Nobody waits for one that is retired, and nothing of it goes on.
            let known = known.filter(|known| known.retired_ms.is_none());
            return known.map_or(Heard::Nobody, |known| since(known).map_or(Heard::No, Heard::Since));
        }
        let mut of_site = fleet.in_service().filter(|known| known.name.site.as_str() == site).peekable();
        if of_site.peek().is_none() {
            return Heard::Nobody;
        }
        of_site.filter_map(since).min().map_or(Heard::No, Heard::Since)
    }

    /// Whether a series that the alert was made of has not been told since the appliance came back.
    fn is_awaited(&self, missing: &Missing<'_>, since: i64) -> bool {
        let lived = self.lived(missing);
        if lived.is_empty() {
            return false;
        }
        // What was told once goes on being told: there is no need to look further back than a series lives.
        let from = since.max(missing.now.saturating_sub(LOOKBACK));
        let told = self.told(missing, from, missing.now);
        lived.iter().any(|series| !told.contains(series))
    }

    /// The series of which the alert can have been made when it was seen last.
    fn lived(&self, missing: &Missing<'_>) -> Arc<[Labels]> {
        let key = (missing.labels.clone(), missing.selectors.as_ptr() as usize);
        let mut memory = self.memory.0.borrow_mut();
        if let Some(lived) = memory.get(&key).filter(|lived| lived.seen_at == missing.seen_at) {
            return Arc::clone(&lived.series);
        }
        let series: Arc<[Labels]> =
            self.told(missing, missing.seen_at.saturating_sub(LOOKBACK), missing.seen_at).into();
        if memory.len() >= REMEMBERED {
            memory.clear();
        }
        memory.insert(key, Lived { seen_at: missing.seen_at, series: Arc::clone(&series) });
        series
    }

    /// The series with a sample from `from` to `to` that the rule reads and that can be the alert's: in each label that both have they agree.
    fn told(&self, missing: &Missing<'_>, from: i64, to: i64) -> Vec<Labels> {
        let of_alert = ["site", "appliance"].into_iter().filter_map(|name| {
            let value = missing.labels.value(name);
            (!value.is_empty()).then(|| Matcher { name: name.into(), test: Test::Equal(value.into()) })
        });
        let of_alert: Vec<Matcher> = of_alert.collect();
        let mut told = Told { alert: missing.labels, stop: self.stop, series: Vec::new() };
        for selector in missing.selectors {
            let matchers: Vec<Matcher> = selector.iter().chain(&of_alert).cloned().collect();
            let reduce = Reduce::Samples;
            let select = Select {
                matchers: &matchers,
                from,
                to,
                wanted: Wanted::All,
                step: None,
                window: None,
                reduce,
            };
            // What cannot be read has not been told.
            if let Err(error) = self.series.select(&select, &mut told) {
                log::debug!("what {} was made of cannot be read: {error}", missing.labels);
            }
        }
        told.series
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

/// Gathers series that can be an alert's and have a sample. What the hub makes by itself is none of them.
struct Told<'a> {
    alert: &'a Labels,
    stop: &'a dyn Fn() -> Option<Stop>,
    series: Vec<Labels>,
}

impl Take for Told<'_> {
    fn series(&mut self, labels: &Labels, samples: &[Sample]) -> ControlFlow<()> {
        let agrees = labels.iter().filter(|label| *label.name != *METRIC_NAME).all(|label| {
            let of_alert = self.alert.value(&label.name);
            of_alert.is_empty() || *of_alert == *label.value
        });
        let is_alive = samples.iter().any(|sample| !is_stale(sample.value));
        if agrees
            && is_alive
            && !labels.value(METRIC_NAME).starts_with("ALERTS")
            && !self.series.contains(labels)
        {
            self.series.push(labels.clone());
        }
        ControlFlow::Continue(())
    }

    fn stopped(&self) -> Option<Stop> {
        (self.stop)()
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
