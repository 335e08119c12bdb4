//! Values as people write them: `84.2 °C`, `3.4 Mbit/s`, `7 %`.
//!
//! The unit of an alert's value follows from its expression where that is plain: the metric's name ends in its base unit (`docs/metrics.md`), and
//! what stands before the first comparison is that metric, perhaps in a function that keeps the unit (`expression`). Of anything else the unit is not known, and
//! the number stands alone. Guessing is not done: a wrong unit is worse than none.
//!
//! ```text
//! rackside_soc_temperature_celsius > 75 or …            → 84.2 °C
//! avg_over_time(rackside_cpu_usage_ratio[5m]) > 0.9      → 93 %
//! rate(rackside_network_receive_bytes_total[5m]) < 1000  → 512 B/s
//! rackside_disk_used_bytes / rackside_disk_total_bytes   → 0.97
//! ```

use crate::expression::Watched;

/// A unit of measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unit {
    /// None, or not known.
    #[default]
    Number,
    /// Degrees.
    Celsius,
    /// A share of one, shown in percent.
    Ratio,
    /// A duration.
    Seconds,
    /// Bytes, by 1024.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
    /// Bits a second, by 1000.
    BitsPerSecond,
    /// Strength of a radio signal.
    Dbm,
    /// Frames a second.
    Fps,
    /// Turns a minute.
    Rpm,
}

impl Unit {
    /// By a metric's name.
    pub fn of_metric(name: &str) -> Self {
        let ends = |ending: &str| name.ends_with(ending);
        match () {
            () if ends("_timestamp_seconds") => Self::Number,
            () if ends("_celsius") => Self::Celsius,
            () if ends("_ratio") => Self::Ratio,
            () if ends("_seconds") => Self::Seconds,
            () if ends("_bytes") || ends("_bytes_total") => Self::Bytes,
            () if ends("_bps") => Self::BitsPerSecond,
            () if ends("_dbm") => Self::Dbm,
            () if ends("_fps") => Self::Fps,
            () if ends("_rpm") => Self::Rpm,
            () => Self::Number,
        }
    }

    /// Of the value of an alert with this expression.
    pub fn of_query(query: &str) -> Self {
        let Some(watched) = Watched::of(query) else { return Self::Number };
        match (Self::of_metric(watched.metric), watched.by_second) {
            (unit, false) => unit,
            (Self::Bytes, true) => Self::BytesPerSecond,
            (_, true) => Self::Number,
        }
    }

    /// A value with its unit.
    pub fn show(self, value: f64) -> String {
        if !value.is_finite() {
            return if value.is_nan() {
                "not a number".to_owned()
            } else {
                format!("{}infinite", if value < 0.0 { "minus " } else { "" })
            };
        }
        match self {
            Self::Number => number(value),
            Self::Celsius => format!("{} °C", rounded(value, 1)),
            Self::Ratio => format!("{} %", number(value * 100.0)),
            Self::Seconds => duration(value),
            Self::Bytes => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"]),
            Self::BytesPerSecond => scaled(value, 1024.0, &["B/s", "KiB/s", "MiB/s", "GiB/s"]),
            Self::BitsPerSecond => scaled(value, 1000.0, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s"]),
            Self::Dbm => format!("{} dBm", rounded(value, 0)),
            Self::Fps => format!("{} fps", number(value)),
            Self::Rpm => format!("{} rpm", rounded(value, 0)),
        }
    }
}

/// With so many decimals at most, and no zeros at their end.
fn rounded(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Three figures that count, and no more words than it takes.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-4..1e15).contains(&size) => format!("{value:.2e}"),
        size if size >= 100.0 => rounded(value, 0),
        size if size >= 10.0 => rounded(value, 1),
        size if size >= 1.0 => rounded(value, 2),
        size if size >= 0.1 => rounded(value, 3),
        _ => rounded(value, 5),
    }
}

fn scaled(value: f64, by: f64, units: &[&str]) -> String {
    let mut left = value;
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for larger in units {
        if left.abs() < by {
            break;
        }
        left /= by;
        unit = larger;
    }
    format!("{} {unit}", number(left))
}

/// A duration in at most two units: `1 h 20 min`, `350 ms`.
pub fn duration(seconds: f64) -> String {
    let size = seconds.abs();
    match size {
        0.0 => "0 s".to_owned(),
        _ if size < 1.0 => format!("{} ms", number(seconds * 1000.0)),
        _ if size < 60.0 => format!("{} s", number(seconds)),
        _ => {
            let sign = if seconds < 0.0 { "-" } else { "" };
            let whole = size.min(1e12) as u64;
            let (large, small, names) = match whole {
                0..3600 => (whole / 60, whole % 60, ["min", "s"]),
                3600..86_400 => (whole / 3600, whole % 3600 / 60, ["h", "min"]),
                _ => (whole / 86_400, whole % 86_400 / 3600, ["d", "h"]),
            };
            let [first, second] = names;
            let rest = if small == 0 { String::new() } else { format!(" {small} {second}") };
            format!("{sign}{large} {first}{rest}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_known_where_the_expression_is_plain() {
        for (query, unit) in [
            ("rackside_soc_temperature_celsius > 75 or rackside_x > 70", Unit::Celsius),
            ("  ( rackside_soc_temperature_celsius{a=\"}\"} ) >= 75", Unit::Celsius),
            ("avg_over_time(rackside_cpu_usage_ratio[5m]) > 0.9", Unit::Ratio),
            ("max by (site) (rackside_cpu_usage_ratio) > 0.9", Unit::Ratio),
            ("rate(rackside_network_receive_bytes_total[5m]) < 1000 * 8", Unit::BytesPerSecond),
            ("rackside_stream_bitrate_bps < 1e6", Unit::BitsPerSecond),
            ("rackside_wifi_signal_dbm < -80", Unit::Dbm),
            ("rackside_disk_used_bytes / rackside_disk_total_bytes > 0.9", Unit::Number),
            ("1 - rackside_cpu_usage_ratio < 0.1", Unit::Number),
            ("rackside_cpu_usage_ratio > bool 0.9", Unit::Number),
            ("count(rackside_soc_temperature_celsius > 70) > 3", Unit::Number),
            ("time() - rackside_hub_start_time_seconds < 60", Unit::Number),
            ("rackside_tls_not_after_timestamp_seconds < 3", Unit::Number),
            ("rackside_appliance_up == 0 and on (site) (x_celsius == 1)", Unit::Number),
            ("increase(rackside_network_receive_bytes_total[5m]) > 5", Unit::Number),
            ("a_celsius{", Unit::Number),
            ("", Unit::Number),
            ("é", Unit::Number),
        ] {
            assert_eq!(Unit::of_query(query), unit, "{query}");
        }
    }

    #[test]
    fn values_are_short_and_have_their_unit() {
        for (unit, value, shown) in [
            (Unit::Number, 1.0, "1"),
            (Unit::Number, 0.971_23, "0.971"),
            (Unit::Number, 123_456.7, "123457"),
            (Unit::Number, -0.0, "0"),
            (Unit::Number, 1e300, "1.00e300"),
            (Unit::Number, f64::NAN, "not a number"),
            (Unit::Number, f64::NEG_INFINITY, "minus infinite"),
            (Unit::Celsius, 84.24, "84.2 °C"),
            (Unit::Celsius, -0.01, "0 °C"),
            (Unit::Ratio, 0.93, "93 %"),
            (Unit::Seconds, 0.35, "350 ms"),
            (Unit::Seconds, 4800.0, "1 h 20 min"),
            (Unit::Seconds, 90.0, "1 min 30 s"),
            (Unit::Seconds, -172_800.0, "-2 d"),
            (Unit::Bytes, 1_572_864.0, "1.5 MiB"),
            (Unit::BytesPerSecond, 512.0, "512 B/s"),
            (Unit::BitsPerSecond, 3_400_000.0, "3.4 Mbit/s"),
            (Unit::Dbm, -71.4, "-71 dBm"),
        ] {
            assert_eq!(unit.show(value), shown);
        }
    }
}
