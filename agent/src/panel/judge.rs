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
