//! From what on the site itself calls something a warning or critical: `[limits]` of the configuration.
//!
//! For the LED alone; alerts are the hub's rules. A table that is left out has the limits that hold for most racks, a limit that is left
//! out of its table is none.
//!
//! ```toml
//! [limits]
//! temperature = { warning = 70, critical = 80 }
//! disk = {}
//! ```

use rackside_config::ConfigError;
use rackside_proto::Severity;
use serde::Deserialize;
use std::fmt;
use std::ops::RangeInclusive;

/// Celsius. Below the first a SoC is not even warm, above the second none is alive.
const CELSIUS: RangeInclusive<i64> = 20..=120;
/// Of a file system.
const PER_CENT: RangeInclusive<i64> = 0..=100;

/// All limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the SoC's temperature, in degrees Celsius.
    pub temperature: Limit,
    /// Of what is in use of a file system, in per cent.
    pub disk: Limit,
}

/// The limits of one quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// From here on it is a warning.
    pub warning: Option<u8>,
    /// From here on it is critical.
    pub critical: Option<u8>,
}

impl Limit {
    /// How bad a value is.
    pub fn judge(self, value: f64) -> Severity {
        let reached = |limit: Option<u8>| limit.is_some_and(|limit| value >= f64::from(limit));
        if reached(self.critical) {
            Severity::Critical
        } else if reached(self.warning) {
            Severity::Warning
        } else {
            Severity::Well
        }
    }
}

impl Default for Limits {
    /// The firmware slows a Pi down from 80 °C on and keeps it below 85.
    fn default() -> Self {
        Self {
            temperature: Limit { warning: Some(75), critical: Some(82) },
            disk: Limit { warning: Some(95), critical: Some(99) },
        }
    }
}

/// `[limits]` as it stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileLimits {
    temperature: Option<FileLimit>,
    disk: Option<FileLimit>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileLimit {
    warning: Option<i64>,
    critical: Option<i64>,
}

impl FileLimits {
    /// Checks what stands there; `wrong` makes an error of a key and what is wrong with it.
    pub fn check(
        self,
        wrong: &dyn Fn(&str, &dyn fmt::Display) -> ConfigError,
    ) -> Result<Limits, ConfigError> {
        let usual = Limits::default();
        let check = |key: &str, written: Option<FileLimit>, usual, possible, unit| match written {
            None => Ok(usual),
            Some(limit) => limit.check(possible, unit).map_err(|error| wrong(key, &error)),
        };
        Ok(Limits {
            temperature: check("limits.temperature", self.temperature, usual.temperature, CELSIUS, "°C")?,
            disk: check("limits.disk", self.disk, usual.disk, PER_CENT, "per cent")?,
        })
    }
}

impl FileLimit {
    fn check(self, possible: RangeInclusive<i64>, unit: &str) -> Result<Limit, String> {
        let within = |name: &str, limit: Option<i64>| match limit {
            Some(limit) if !possible.contains(&limit) => {
                let (from, to) = (possible.start(), possible.end());
                Err(format!("{name} = {limit} is out of range; from {from} to {to} {unit} is possible"))
            }
            limit => Ok(limit.map(|limit| u8::try_from(limit).expect("what is possible fits"))),
        };
        let limit =
            Limit { warning: within("warning", self.warning)?, critical: within("critical", self.critical)? };
        match limit {
            Limit { warning: Some(warning), critical: Some(critical) } if warning >= critical => {
                Err(format!(
                    "warning = {warning} is not below critical = {critical}; leave out the one that is not wanted"
                ))
            }
            limit => Ok(limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_reached_from_its_value_on_and_one_left_out_never() {
        let both = Limit { warning: Some(95), critical: Some(99) };
        assert_eq!(
            [94.9, 95.0, 98.9, 99.0].map(|value| both.judge(value)),
            [Severity::Well, Severity::Warning, Severity::Warning, Severity::Critical]
        );
        let warns = Limit { warning: Some(95), critical: None };
        assert_eq!(warns.judge(100.0), Severity::Warning);
        let objects = Limit { warning: None, critical: Some(99) };
        assert_eq!([98.9, 99.0].map(|value| objects.judge(value)), [Severity::Well, Severity::Critical]);
        assert_eq!(Limit { warning: None, critical: None }.judge(100.0), Severity::Well);
    }
}
