//! SoC temperature, from the kernel's thermal zones.
//!
//! A zone is a directory `/sys/class/thermal/thermal_zone*` with the files `type` (`cpu-thermal`) and `temp` (`48312`, in
//! thousandths of a degree). The SoC of a Raspberry Pi is the zone of type `cpu-thermal`, whatever its number (Linux,
//! `drivers/thermal/broadcom/bcm2835_thermal.c`; the type is the device tree's node name). On other machines the first zone
//! with a plausible value speaks. No zone at all is no error; a zone that cannot answer right now (`EAGAIN`, `EINVAL`, `EIO`
//! while the sensor is not valid) is unknown, not failed.

use super::{Machine, Report, SensorError};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, metric};
use std::io;
use std::path::Path;

/// Tenths: the sensor's own step is about half a degree.
const SCALE: Scale = Scale::per(10);

/// What a SoC that still computes can have, in thousandths of a degree; firmware without a sensor answers 0 or nonsense.
const PLAUSIBLE: std::ops::RangeInclusive<i64> = -40_000..=150_000;

pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let class = machine.roots.sys.join("class/thermal");
    let zones = zones(&class).map_err(|error| SensorError::new(class.display(), error))?;
    if let Some(value) = choose(&zones) {
        report.put_value(&metric::SOC_TEMPERATURE, &[], SCALE, value);
    }
    Ok(())
}

/// A zone as the kernel shows it.
#[derive(Debug)]
struct Zone {
    /// What its name ends in.
    number: u32,
    kind: String,
    /// Thousandths of a degree, if it can tell.
    temp: Option<i64>,
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
            let file = |name| std::fs::read_to_string(entry.path().join(name));
            let kind = file("type").ok()?.trim().to_owned();
            Some(Zone { number, kind, temp: file("temp").ok().and_then(|text| parse(&text)) })
        })
        .collect();
    zones.sort_by_key(|zone| zone.number);
    Ok(zones)
}

/// `48312\n` as thousandths of a degree.
fn parse(text: &str) -> Option<i64> {
    text.trim().parse().ok().filter(|temp| PLAUSIBLE.contains(temp))
}

/// The SoC's temperature in tenths of a degree; `None` where there is no zone to ask.
fn choose(zones: &[Zone]) -> Option<Value> {
    let soc = zones.iter().find(|zone| zone.kind == "cpu-thermal");
    let zone = soc.or_else(|| zones.iter().find(|zone| zone.temp.is_some_and(|temp| temp != 0)))?;
    let tenths = |temp: i64| SCALE.number(temp as f64 / 1000.0);
    Some(zone.temp.and_then(tenths).map_or(Value::Unknown, Value::Known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn zone(number: u32, kind: &str, temp: Option<i64>) -> Zone {
        Zone { number, kind: kind.into(), temp }
    }

    #[test]
    fn the_soc_is_found_by_its_type_not_by_its_number() {
        let zones = [zone(0, "pmic", Some(61_000)), zone(1, "cpu-thermal", Some(48_312))];
        assert_eq!(choose(&zones), Some(Value::Known(483)));
    }

    #[test]
    fn other_machines_show_their_first_plausible_zone() {
        let zones =
            [zone(0, "acpitz", Some(0)), zone(1, "acpitz", None), zone(2, "x86_pkg_temp", Some(52_000))];
        assert_eq!(choose(&zones), Some(Value::Known(520)));
    }

    #[test]
    fn no_zone_is_nothing_and_a_silent_soc_is_unknown() {
        assert_eq!(choose(&[]), None);
        assert_eq!(choose(&[zone(0, "acpitz", None)]), None);
        assert_eq!(
            choose(&[zone(0, "cpu-thermal", None), zone(1, "nvme", Some(40_000))]),
            Some(Value::Unknown)
        );
    }

    #[test]
    fn nonsense_is_no_temperature() {
        assert_eq!(parse("48312\n"), Some(48_312));
        assert_eq!(parse("-5000"), Some(-5_000));
        for text in ["", "hot", "-274000", "4294967295", "48.3"] {
            assert_eq!(parse(text), None, "{text}");
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
        assert_eq!(choose(&zones), Some(Value::Known(478)));
    }
}
