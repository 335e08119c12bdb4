//! What the site thinks of itself: the part of the LED's meaning that needs no hub.
//!
//! Pure: a reading in, the worst that it says out. These are the few things that are wrong at every rack; all others are the hub's rules, which
//! can only make the LED worse.

use super::limits::Limits;
use crate::sensor::{Entry, Report};
use rackside_proto::Severity;
use rackside_proto::metric::{self, Metric};

/// How bad a reading is, and the worst that is in it.
pub fn judge(report: &Report, limits: &Limits) -> (Severity, Option<String>) {
    let known = |entry: &Entry| entry.value.known().map(|number| entry.scale.value(number));
    let of = |metric: &'static Metric| {
        report.entries().iter().filter(move |entry| std::ptr::eq(entry.metric, metric))
    };
    let mut worst = (Severity::Well, None);
    let mut object = |severity: Severity, why: String| {
        if severity > worst.0 {
            worst = (severity, Some(why));
        }
    };
    for celsius in of(&metric::SOC_TEMPERATURE).filter_map(known) {
        object(limits.temperature.judge(celsius), format!("the SoC has {celsius:.0} °C"));
    }
    for throttled in of(&metric::SOC_THROTTLED).filter(|entry| known(entry) == Some(1.0)) {
        // What is over is for the hub's rules, and a frequency is capped for one of these two.
        match (throttled.labels[0].as_str(), throttled.labels[1].as_str()) {
            ("undervoltage", "now") => object(Severity::Warning, "the power supply is too weak".to_owned()),
            ("throttled", "now") => object(Severity::Warning, "the firmware slows the SoC down".to_owned()),
            _ => {}
        }
    }
    for disk in of(&metric::DISK_READ_ONLY).filter(|entry| known(entry) == Some(1.0)) {
        // As bad as a full one, and most often the end of a card.
        object(Severity::Critical, format!("{} has become read-only", disk.labels[0]));
    }
    for total in of(&metric::DISK_TOTAL) {
        let used = of(&metric::DISK_USED).find(|used| used.labels == total.labels);
        let (Some(used), Some(of)) = (used.and_then(known), known(total).filter(|bytes| *bytes > 0.0)) else {
            continue;
        };
        // In this order 95 of 100 are 95 %, and not a hair less.
        let share = used * 100.0 / of;
        object(limits.disk.judge(share), format!("{} is {} % full", total.labels[0], share.floor()));
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limit;
    use super::*;
    use rackside_proto::{Scale, Value};

    fn entry(metric: &'static Metric, label: &str, scale: Scale, number: i64) -> Entry {
        let labels = metric.labels.iter().map(|_| label.to_owned()).collect();
        Entry { sensor: 0, metric, labels, scale, value: Value::Known(number) }
    }

    fn judged(entries: Vec<Entry>) -> (Severity, Option<String>) {
        judge(&Report::of(entries, Vec::new()), &Limits::default())
    }

    #[test]
    fn a_hot_soc_warns_before_the_firmware_acts() {
        let at = |tenths| judged(vec![entry(&metric::SOC_TEMPERATURE, "", Scale::per(10), tenths)]).0;
        assert_eq!((at(749), at(750), at(820)), (Severity::Well, Severity::Warning, Severity::Critical));
    }

    #[test]
    fn a_weak_supply_warns_while_it_is_weak() {
        let flag = |cause: &str, when: &str, number| Entry {
            labels: vec![cause.to_owned(), when.to_owned()],
            ..entry(&metric::SOC_THROTTLED, "", Scale::ONE, number)
        };
        let weak = judged(vec![flag("undervoltage", "now", 1)]);
        assert_eq!(weak, (Severity::Warning, Some("the power supply is too weak".to_owned())));
        assert_eq!(judged(vec![flag("throttled", "now", 1)]).0, Severity::Warning);
        let harmless = [
            flag("undervoltage", "now", 0),
            flag("undervoltage", "since_boot", 1),
            flag("frequency_capped", "now", 1),
            flag("soft_temperature_limit", "now", 1),
        ];
        assert_eq!(judged(harmless.to_vec()), (Severity::Well, None));
    }

    #[test]
    fn a_disk_that_has_become_read_only_is_critical() {
        let disk = |number| judged(vec![entry(&metric::DISK_READ_ONLY, "/", Scale::ONE, number)]);
        assert_eq!(disk(1), (Severity::Critical, Some("/ has become read-only".to_owned())));
        assert_eq!(disk(0), (Severity::Well, None));
    }

    fn disk(mount: &str, used: i64, total: i64) -> [Entry; 2] {
        [
            entry(&metric::DISK_USED, mount, Scale::times(1024), used),
            entry(&metric::DISK_TOTAL, mount, Scale::times(1024), total),
        ]
    }

    #[test]
    fn the_fullest_file_system_counts() {
        let (severity, why) = judged([disk("/", 960, 1000), disk("/srv", 995, 1000)].concat());
        assert_eq!((severity, why.as_deref()), (Severity::Critical, Some("/srv is 99 % full")));
        assert_eq!(judged(disk("/", 950, 1000).to_vec()).0, Severity::Warning);
        assert_eq!(judged(disk("/", 940, 1000).to_vec()), (Severity::Well, None));
        assert_eq!(judged(disk("/", 0, 0).to_vec()).0, Severity::Well);
    }

    #[test]
    fn a_rack_has_its_own_limits() {
        let limits = Limits { disk: Limit { warning: None, critical: None }, ..Limits::default() };
        let hot = entry(&metric::SOC_TEMPERATURE, "", Scale::per(10), 750);
        let report = Report::of([vec![hot], disk("/", 1000, 1000).to_vec()].concat(), Vec::new());
        assert_eq!(judge(&report, &limits), (Severity::Warning, Some("the SoC has 75 °C".to_owned())));
    }
}
