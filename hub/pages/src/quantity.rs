//! Values as people write them: `84.2 °C`, `3.4 Mbit/s`, `7 %`. On pages, in charts and in messages alike.
//!
//! The unit of a series follows from its metric's name, which ends in its base unit (`docs/metrics.md`). Of anything else the unit is not known, and
//! the number stands alone. Guessing is not done: a wrong unit is worse than none.
//!
//! ```text
//! rackside_soc_temperature_celsius       → 84.2 °C
//! rackside_cpu_usage_ratio               → 93 %
//! rackside_stream_bitrate_bps            → 3.4 Mbit/s
//! ```

use crate::moment::rfc3339;

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
    /// So many a minute: how a counter without a unit rises.
    PerMinute,
    /// So many seconds in a second: how a counter of seconds rises.
    SecondsPerSecond,
    /// Level of a sound, below full scale.
    Dbfs,
    /// Clock frequency, by 1000.
    Hertz,
    /// Voltage.
    Volts,
    /// Seconds since 1970, shown as a date.
    Date,
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
            () if ends("_dbfs") => Self::Dbfs,
            () if ends("_hertz") => Self::Hertz,
            () if ends("_volts") => Self::Volts,
            () => Self::Number,
        }
    }

    /// Of a series in a chart, by its metric's name: a counter is shown as how fast it rises, a moment as a date.
    pub fn of_chart(name: &str, is_counter: bool) -> Self {
        match (Self::of_metric(name), is_counter) {
            (Self::Bytes, true) => Self::BytesPerSecond,
            (_, true) if name.ends_with("_seconds_total") || name.ends_with("_seconds_sum") => {
                Self::SecondsPerSecond
            }
            (_, true) => Self::PerMinute,
            _ if name.ends_with("_timestamp_seconds") => Self::Date,
            (unit, false) => unit,
        }
    }

    /// In how many seconds a counter of this unit rises by so much: 1, or 60.
    pub const fn per(self) -> u32 {
        if matches!(self, Self::PerMinute) { 60 } else { 1 }
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
            Self::Bytes => scaled(value, 1024.0, &BYTES),
            Self::BytesPerSecond => scaled(value, 1024.0, &BYTES_PER_SECOND),
            Self::BitsPerSecond => scaled(value, 1000.0, &BITS_PER_SECOND),
            Self::Dbm => format!("{} dBm", rounded(value, 0)),
            Self::Fps => format!("{} fps", number(value)),
            Self::Rpm => format!("{} rpm", rounded(value, 0)),
            Self::PerMinute => format!("{} /min", number(value)),
            Self::SecondsPerSecond => format!("{} s/s", number(value)),
            Self::Dbfs => format!("{} dBFS", rounded(value, 1)),
            Self::Hertz => scaled(value, 1000.0, &HERTZ),
            Self::Volts => format!("{} V", rounded(value, 2)),
            Self::Date => date(value).map_or_else(|| number(value), |date| date.replace('T', " ") + " UTC"),
        }
    }

    /// How an axis up to `most` is divided: what one of its numbers stands for, and what that is called.
    pub(crate) fn scale(self, most: f64) -> (f64, String) {
        let plain = |name: &str| (1.0, name.to_owned());
        match self {
            Self::Number => power(most, ""),
            Self::PerMinute => power(most, "/min"),
            Self::SecondsPerSecond => plain("s/s"),
            Self::Celsius => plain("°C"),
            Self::Ratio => (0.01, "%".to_owned()),
            Self::Seconds => match most {
                ..1e-3 => (1e-6, "µs".to_owned()),
                ..1.0 => (1e-3, "ms".to_owned()),
                ..180.0 => plain("s"),
                ..10_800.0 => (60.0, "min".to_owned()),
                ..259_200.0 => (3600.0, "h".to_owned()),
                _ => (86_400.0, "d".to_owned()),
            },
            Self::Bytes => steps(most, 1024.0, &BYTES),
            Self::BytesPerSecond => steps(most, 1024.0, &BYTES_PER_SECOND),
            Self::BitsPerSecond => steps(most, 1000.0, &BITS_PER_SECOND),
            Self::Hertz => steps(most, 1000.0, &HERTZ),
            Self::Dbm => plain("dBm"),
            Self::Dbfs => plain("dBFS"),
            Self::Fps => plain("fps"),
            Self::Rpm => plain("rpm"),
            Self::Volts => plain("V"),
            Self::Date => plain(""),
        }
    }

    /// A number beside an axis that is divided so.
    pub(crate) fn tick(self, value: f64, decimals: usize) -> String {
        if self == Self::Date {
            return date(value).map_or_else(String::new, |date| date[2..10].to_owned());
        }
        let text = format!("{value:.decimals$}");
        // A minus before nothing but zeros.
        if text.trim_start_matches(['-', '0', '.']).is_empty() {
            text.trim_start_matches('-').to_owned()
        } else {
            text
        }
    }
}

const BYTES: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
const BYTES_PER_SECOND: [&str; 4] = ["B/s", "KiB/s", "MiB/s", "GiB/s"];
const BITS_PER_SECOND: [&str; 4] = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"];
const HERTZ: [&str; 4] = ["Hz", "kHz", "MHz", "GHz"];

/// `2027-01-15T13:00` of seconds since 1970, if there is such a date.
fn date(seconds: f64) -> Option<String> {
    let is_date = (0.0..253_402_300_800.0).contains(&seconds);
    is_date.then(|| rfc3339((seconds * 1000.0) as u64)[..16].to_owned())
}

/// The largest of units that `most` fills.
fn steps(most: f64, by: f64, units: &[&str]) -> (f64, String) {
    let mut factor = 1.0;
    let mut units = units.iter().peekable();
    while let Some(unit) = units.next() {
        if most < factor * by || units.peek().is_none() {
            return (factor, (*unit).to_owned());
        }
        factor *= by;
    }
    (1.0, String::new())
}

/// A power of 1000 by which the numbers up to `most` become short.
fn power(most: f64, unit: &str) -> (f64, String) {
    let names = ["", "k", "M", "G", "T"];
    if most == 0.0 || (1e-3..1e4).contains(&most) {
        return (1.0, unit.to_owned());
    }
    let thousands = (most.log10() / 3.0).floor().clamp(-100.0, 100.0);
    let factor = 10_f64.powf(thousands * 3.0);
    let name = (thousands >= 0.0).then(|| names.get(thousands as usize)).flatten();
    let name = name.map_or_else(|| format!("1e{}", thousands * 3.0), |name| (*name).to_owned());
    (factor, format!("{name}{unit}"))
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

/// So many of something: `1 appliance`, `3 appliances`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    let what = if count == 1 { one } else { many };
    format!("{count} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_told_as_many() {
        let said = [0, 1, 2].map(|count| counted(count, "box", "boxes"));
        assert_eq!(said, ["0 boxes", "1 box", "2 boxes"]);
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
