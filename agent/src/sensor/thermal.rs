//! SoC temperature, from the kernel's thermal zones.
//!
//! A zone is a directory `/sys/class/thermal/thermal_zone*` with the files `type` (`cpu-thermal`) and `temp` (`48312`, in
//! thousandths of a degree). The SoC of a Raspberry Pi is the zone of type `cpu-thermal`, whatever its number (Linux,
//! `drivers/thermal/broadcom/bcm2835_thermal.c`; the type is the device tree's node name). On other machines the first zone
//! with a plausible value speaks. No zone at all is no error; a zone that cannot answer right now (`EAGAIN`, `EINVAL`, `EIO`
//! while the sensor is not valid) is unknown, not failed.

use super::kept::{Kept, number};
use super::{Machine, Report, SensorError};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, metric};
use std::io;
use std::path::{Path, PathBuf};

/// Tenths: the sensor's own step is about half a degree.
const SCALE: Scale = Scale::per(10);

/// What a SoC that still computes can have, in thousandths of a degree; firmware without a sensor answers 0 or nonsense.
const PLAUSIBLE: std::ops::RangeInclusive<i64> = -40_000..=150_000;

pub(super) type State = Kept<Vec<Zone>>;

pub(super) fn read(machine: &mut Machine, moment: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let Machine { roots, thermal, .. } = machine;
    let class = roots.sys.join("class/thermal");
    let mut failed = None;
    let zones = thermal.at(moment.now, || {
        zones(&class).unwrap_or_else(|error| {
            failed = Some(SensorError::new(class.display(), error));
            Vec::new()
        })
    });
    let value = choose(zones, |zone| number(&zone.temp));
    let vanished = value.is_none() && !zones.is_empty();
    if vanished || failed.is_some() {
        thermal.forget();
    }
    if let Some(value) = value {
        report.put_value(&metric::SOC_TEMPERATURE, &[], SCALE, value);
    }
    failed.map_or(Ok(()), Err)
}

/// A zone as the kernel shows it.
#[derive(Debug)]
pub(super) struct Zone {
    /// What its name ends in.
    number: u32,
    kind: String,
    /// The file with its temperature.
    temp: PathBuf,
}

fn zones(class: &Path) -> io::Result<Vec<Zone>> {
    let entries = match std::fs::read_dir(class) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut zones: Vec<Zone> = entries
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix("thermal_zone")?.parse().ok()?;
            let kind = std::fs::read_to_string(entry.path().join("type")).ok()?.trim().to_owned();
            Some(Zone { number, kind, temp: entry.path().join("temp") })
        })
        .collect();
    zones.sort_by_key(|zone| zone.number);
    Ok(zones)
}

/// The SoC's temperature in tenths of a degree; `None` where there is no zone to ask. `temp` is in thousandths.
fn choose(zones: &[Zone], temp: impl Fn(&Zone) -> Option<Value>) -> Option<Value> {
    if let Some(soc) = zones.iter().find(|zone| zone.kind == "cpu-thermal") {
        return temp(soc).map(convert);
    }
    zones
        .iter()
        .filter_map(temp)
        .map(convert)
        .find(|value| !matches!(value, Value::Unknown | Value::Known(0)))
}

/// Thousandths of a degree as tenths.
fn convert(temp: Value) -> Value {
    let plausible = temp.known().filter(|temp| PLAUSIBLE.contains(temp));
    plausible.and_then(|temp| SCALE.number(temp as f64 / 1000.0)).map_or(Value::Unknown, Value::Known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn zone(number: u32, kind: &str) -> Zone {
        Zone { number, kind: kind.into(), temp: PathBuf::new() }
    }

    /// Zones with their temperatures: `None` for one that does not answer.
    fn chosen(zones: &[(&str, Option<i64>)]) -> Option<Value> {
        let zones: Vec<_> = zones.iter().zip(0..).map(|((kind, temp), at)| (zone(at, kind), *temp)).collect();
        let (zones, temps): (Vec<_>, Vec<_>) = zones.into_iter().unzip();
        choose(&zones, |zone| Some(temps[zone.number as usize].map_or(Value::Unknown, Value::Known)))
    }

    #[test]
    fn the_soc_is_found_by_its_type_not_by_its_number() {
        assert_eq!(chosen(&[("pmic", Some(61_000)), ("cpu-thermal", Some(48_312))]), Some(Value::Known(483)));
    }

    #[test]
    fn other_machines_show_their_first_plausible_zone() {
        let zones = [("acpitz", Some(0)), ("acpitz", None), ("x86_pkg_temp", Some(52_000))];
        assert_eq!(chosen(&zones), Some(Value::Known(520)));
    }

    #[test]
    fn no_zone_is_nothing_and_a_silent_soc_is_unknown() {
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[("acpitz", None)]), None);
        assert_eq!(chosen(&[("cpu-thermal", None), ("nvme", Some(40_000))]), Some(Value::Unknown));
    }

    #[test]
    fn nonsense_is_no_temperature() {
        assert_eq!(convert(Value::Known(48_312)), Value::Known(483));
        assert_eq!(convert(Value::Known(-5_000)), Value::Known(-50));
        for temp in [-274_000, 4_294_967_295, i64::MIN] {
            assert_eq!(convert(Value::Known(temp)), Value::Unknown, "{temp}");
        }
    }

    #[test]
    fn zones_are_read_from_the_tree() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (name, kind, temp) in
            [("thermal_zone10", "gpu", "1"), ("thermal_zone2", "cpu-thermal", "47774\n")]
        {
            let zone = dir.path().join(name);
            fs::create_dir(&zone).expect("a zone");
            fs::write(zone.join("type"), format!("{kind}\n")).expect("its type");
            fs::write(zone.join("temp"), temp).expect("its value");
        }
        fs::create_dir(dir.path().join("cooling_device0")).expect("something else");
        let zones = zones(dir.path()).expect("a directory");
        assert_eq!(zones.iter().map(|zone| zone.number).collect::<Vec<_>>(), [2, 10]);
        assert_eq!(choose(&zones, |zone| number(&zone.temp)), Some(Value::Known(478)));
        fs::remove_dir_all(dir.path().join("thermal_zone2")).expect("it was there");
        assert_eq!(choose(&zones, |zone| number(&zone.temp)), None, "it has vanished");
    }

    #[test]
    fn a_zone_that_comes_up_again_under_another_number_is_found() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let class = root.path().join("sys/class/thermal");
        let write = |zone: &str, temp: &str| {
            fs::create_dir_all(class.join(zone)).expect("directories");
            fs::write(class.join(zone).join("type"), "cpu-thermal\n").expect("written");
            fs::write(class.join(zone).join("temp"), temp).expect("written");
        };
        let mut machine = Machine::new(super::super::Roots::below(root.path()));
        let moment = crate::clock::Clock::new(crate::clock::Trust::Auto, root.path()).read();
        let mut reads = || {
            let mut report = Report::default();
            read(&mut machine, &moment, &mut report)
                .map(|()| report.entries().first().map(|entry| entry.value))
        };
        write("thermal_zone0", "48312\n");
        assert_eq!(reads(), Ok(Some(Value::Known(483))));
        fs::remove_dir_all(class.join("thermal_zone0")).expect("it was there");
        assert_eq!(reads(), Ok(None));
        write("thermal_zone1", "50000\n");
        assert_eq!(reads(), Ok(Some(Value::Known(500))));
        fs::remove_dir_all(&class).expect("it was there");
        fs::write(&class, "no directory").expect("written");
        assert_eq!(reads(), Ok(None), "it has vanished");
        assert!(reads().is_err(), "and this is no machine without a thermal zone");
    }
}
