//! What the hub tells about its rules on `/metrics`. Of what the thread has put down after its last turn, so that nobody waits for an evaluation.

use super::Rules;
use crate::text::{Kind, Sink};
use rackside_alerting::GroupOverview;

impl Rules {
    /// Writes it.
    pub fn write(&self, text: &mut dyn Sink) {
        let overview = self.overview();
        let mut of_each = |name, kind, unit, help, value: &dyn Fn(&GroupOverview) -> f64| {
            text.family(name, kind, unit, help);
            for group in &overview.groups {
                text.sample(name, &[("file", &group.file), ("group", &group.name)], value(group));
            }
        };
        let name = "rackside_hub_rule_group_interval_seconds";
        let help = "How often a group of rules is evaluated";
        of_each(name, Kind::Gauge, "seconds", help, &|group| group.interval.as_secs_f64());
        let name = "rackside_hub_rule_group_last_duration_seconds";
        let help = "How long the newest evaluation of a group of rules took";
        of_each(name, Kind::Gauge, "seconds", help, &|group| group.took.as_secs_f64());
        let name = "rackside_hub_rule_group_evaluations_total";
        let help = "Evaluations of a group of rules, on its interval and at once";
        of_each(name, Kind::Counter, "", help, &|group| (group.counts.regular + group.counts.at_once) as f64);
        let name = "rackside_hub_rule_group_missed_total";
        let help = "Evaluations of a group of rules that were left out because the hub was late";
        of_each(name, Kind::Counter, "", help, &|group| group.counts.missed as f64);
        let name = "rackside_hub_rule_group_failures_total";
        let help = "Evaluations of single rules of a group that failed";
        of_each(name, Kind::Counter, "", help, &|group| group.counts.failures as f64);
        let name = "rackside_hub_alerts";
        let help = "Alerts that are pending or fire, by which of the two; counted as unknown once more while their appliance is silent";
        text.family(name, Kind::Gauge, "", help);
        text.sample(name, &[("state", "pending")], overview.pending as f64);
        text.sample(name, &[("state", "firing")], overview.firing as f64);
        text.sample(name, &[("state", "unknown")], overview.unknown as f64);
        let help =
            "What is wrong with rule files, as last read; a file with a fault is left out or stays as it was";
        text.gauge("rackside_hub_rule_faults", "", help, self.faults().len() as f64);
    }
}
