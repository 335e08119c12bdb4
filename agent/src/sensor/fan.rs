//! The fan: what it is told, and what it does.
//!
//! What it is told is the state of a cooling device, `/sys/class/thermal/cooling_device*`, whose `type` is that of a fan (`pwm-fan` on a Pi 5,
//! `gpio-fan` where the overlay of that name drives one): 0 is off, `max_state` full speed. What it does is the tachometer of the chip
//! `pwmfan`, in revolutions per minute; many fans have none. A board whose firmware saw no fan when it started shows neither.
//!
//! A fan that is told to turn and does not is for a rule to find: both are reported as they are.

use super::chips::Chips;
use super::kept::{Kept, count};
use super::{Machine, Report, SensorError};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, metric};
use std::path::{Path, PathBuf};

/// Fifties: a tachometer trembles by dozens, and a fan that stands has 0.
const SPEED: Scale = Scale::times(50);

/// Where the kernel shows them.
#[derive(Debug)]
pub(super) struct Files {
    state: Option<PathBuf>,
    speed: Option<PathBuf>,
}

pub(super) type State = Kept<Files>;

#[expect(clippy::unnecessary_wraps, reason = "every sensor may fail, and this one happens not to")]
pub(super) fn read(machine: &mut Machine, moment: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let Machine { roots, chips, fan, .. } = machine;
    let found = chips.at(moment.now, || Chips::find(&roots.sys));
    let files = fan.at(moment.now, || Files::find(&roots.sys, found));
    let read = |file: &Option<PathBuf>| file.as_deref().map(count);
    let (state, speed) = (read(&files.state), read(&files.speed));
    if state == Some(None) || speed == Some(None) {
        fan.forget();
        chips.forget();
    }
    if let Some(state) = state.flatten() {
        report.put_value(&metric::FAN_STATE, &[], Scale::ONE, state);
    }
    match speed.flatten() {
        Some(Value::Known(speed)) => report.put(&metric::FAN_SPEED, &[], SPEED, speed as f64),
        Some(silent) => report.put_value(&metric::FAN_SPEED, &[], SPEED, silent),
        None => {}
    }
    Ok(())
}

impl Files {
    fn find(sys: &Path, chips: &Chips) -> Self {
        let entries = std::fs::read_dir(sys.join("class/thermal")).into_iter().flatten().flatten();
        let mut fans: Vec<PathBuf> = entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("cooling_device"))
            .filter(|entry| {
                std::fs::read_to_string(entry.path().join("type")).is_ok_and(|kind| is_fan(&kind))
            })
            .map(|entry| entry.path().join("cur_state"))
            .collect();
        fans.sort();
        let speed = chips.named("pwmfan").map(|chip| chip.join("fan1_input")).filter(|file| file.exists());
        Self { state: fans.into_iter().next(), speed }
    }
}

/// `pwm-fan`, `gpio-fan`, `rpi-poe-fan`. Not ACPI's `Fan`, of which a desktop has five that are one.
fn is_fan(kind: &str) -> bool {
    kind.trim().ends_with("-fan")
}

#[cfg(test)]
mod tests {
    use super::super::Roots;
    use super::*;
    use crate::clock::{Clock, Trust};
    use std::fs;

    #[test]
    fn a_fan_is_told_from_what_else_cools() {
        for (kind, fan) in [
            ("pwm-fan\n", true),
            ("gpio-fan", true),
            ("rpi-poe-fan", true),
            ("Processor", false),
            ("Fan", false),
        ] {
            assert_eq!(is_fan(kind), fan, "{kind}");
        }
    }

    #[test]
    fn a_fan_is_reported_as_it_is_and_forgotten_when_it_is_gone() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let write = |path: &str, text: &str| {
            let path = root.path().join("sys/class").join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("directories");
            fs::write(path, text).expect("written");
        };
        let mut machine = Machine::new(Roots::below(root.path()));
        let moment = Clock::new(Trust::Auto, root.path()).read();
        let mut reads = || {
            let mut report = Report::default();
            read(&mut machine, &moment, &mut report).expect("it never fails");
            report.entries().iter().map(|entry| (entry.metric.name, entry.value)).collect::<Vec<_>>()
        };
        write("thermal/cooling_device0/type", "cpufreq-cpu0\n");
        write("thermal/cooling_device0/cur_state", "7\n");
        write("thermal/cooling_device1/type", "pwm-fan\n");
        write("thermal/cooling_device1/cur_state", "1\n");
        write("hwmon/hwmon2/name", "pwmfan\n");
        write("hwmon/hwmon2/fan1_input", "3120\n");
        let (state, speed) = (metric::FAN_STATE.name, metric::FAN_SPEED.name);
        assert_eq!(reads(), [(state, Value::Known(1)), (speed, Value::Known(62))]);
        write("thermal/cooling_device1/cur_state", "full\n");
        write("hwmon/hwmon2/fan1_input", "-1\n");
        assert_eq!(reads(), [(state, Value::Unknown), (speed, Value::Unknown)]);
        fs::remove_dir_all(root.path().join("sys/class/hwmon/hwmon2")).expect("it was there");
        assert_eq!(reads(), [(state, Value::Unknown)]);
        write("hwmon/hwmon7/name", "pwmfan\n");
        write("hwmon/hwmon7/fan1_input", "0\n");
        assert_eq!(reads(), [(state, Value::Unknown), (speed, Value::Known(0))], "its driver came up again");
        fs::remove_dir_all(root.path().join("sys")).expect("it was there");
        assert_eq!(reads(), [], "no fan is no failure");
    }
}
