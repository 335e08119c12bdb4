//! The sensors of this machine: what this box says about itself.
//!
//! One file per source, with the parsing apart from the reading, and one row per sensor in [`SENSORS`]. A sensor writes what
//! it found into a [`Report`] and knows nothing of catalogs, records or MQTT; the runner here owns what is common: a sensor
//! that fails makes its series unknown, is logged once per change, and never stops the others. A sensor that finds nothing
//! to measure (a machine without a thermal zone) is no failure: it reports nothing.

#[cfg(test)]
mod boards;
mod chips;
mod clock;
mod cpu;
mod disk;
mod fan;
mod firmware;
mod frequency;
mod fstab;
mod kept;
mod load;
mod memory;
mod network;
mod own;
mod panel;
mod probes;
pub mod route;
mod storage;
mod thermal;
mod throttle;
mod uptime;
mod voltage;
mod wifi;

use crate::clock::Moment;
use crate::panel::Reading;
use crate::probe::results::Series;
use chips::Chips;
use firmware::Firmware;
use kept::Kept;
use log::{info, warn};
use rackside_proto::metric::Metric;
use rackside_proto::{Scale, Value, limits};
use std::fmt;
use std::path::{Path, PathBuf};
use storage::Ext4;

pub use own::Own;
pub(crate) use own::resident_bytes;

/// One sensor.
#[derive(Debug)]
pub struct Sensor {
    /// Its name in logs and in `check`.
    pub name: &'static str,
    /// What it reads, for people.
    pub source: &'static str,
    /// Reads it.
    read: fn(&mut Machine, &Moment, &mut Report) -> Result<(), SensorError>,
}

/// Every sensor, in the order in which their series stand in the catalog.
pub static SENSORS: &[Sensor] = &[
    Sensor { name: "temperature", source: "/sys/class/thermal", read: thermal::read },
    Sensor { name: "throttle", source: "/dev/vcio, get_throttled or rpi_volt", read: throttle::read },
    Sensor { name: "fan", source: "/sys/class/thermal and /sys/class/hwmon", read: fan::read },
    Sensor { name: "frequency", source: "/dev/vcio or cpufreq", read: frequency::read },
    Sensor { name: "voltage", source: "/dev/vcio or rpi_volt", read: voltage::read },
    Sensor { name: "cpu", source: "/proc/stat", read: cpu::read },
    Sensor { name: "load", source: "/proc/loadavg", read: load::read },
    Sensor { name: "memory", source: "/proc/meminfo", read: memory::read },
    Sensor { name: "disk", source: "/proc/self/mountinfo", read: disk::read },
    Sensor { name: "storage", source: "/sys/block and /sys/fs/ext4", read: storage::read },
    Sensor { name: "network", source: "/proc/net/dev", read: network::read },
    Sensor { name: "wifi", source: "/proc/net/wireless", read: wifi::read },
    Sensor { name: "route", source: "/proc/net/route", read: route::read },
    Sensor { name: "uptime", source: "/proc/uptime", read: uptime::read },
    Sensor { name: "clock", source: "adjtimex", read: clock::read },
    Sensor { name: "panel", source: "the panel of a running agent", read: panel::read },
    Sensor { name: "probes", source: "the probes of a running agent", read: probes::read },
    Sensor { name: "agent", source: "/proc/self/statm", read: own::read },
];

/// Memory and disk space go in steps of 64 KiB: finer ones would make every reading longer and tell nobody anything.
const SPACE: Scale = Scale::times(64 * 1024);

/// What could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensorError {
    what: String,
    why: String,
}

impl SensorError {
    fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self { what: what.to_string(), why: why.to_string() }
    }
}

impl fmt::Display for SensorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {}: {}", self.what, self.why)
    }
}

impl std::error::Error for SensorError {}

/// Where the machine's own file systems are mounted.
#[derive(Debug, Clone)]
pub struct Roots {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// `/`, for `/etc` and for whatever is mounted.
    pub root: PathBuf,
}

impl Roots {
    /// A machine below a directory: `proc`, `sys`, `dev`, and its files in `root`.
    pub fn below(path: &Path) -> Self {
        let [proc, sys, dev, root] = ["proc", "sys", "dev", "root"].map(|name| path.join(name));
        Self { proc, sys, dev, root }
    }
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into(), dev: "/dev".into(), root: "/".into() }
    }
}

/// What the sensors need from one reading to the next.
#[derive(Debug, Default)]
pub struct Machine {
    roots: Roots,
    firmware: Firmware,
    chips: Kept<Chips>,
    thermal: thermal::State,
    throttle: throttle::State,
    fan: fan::State,
    frequency: frequency::State,
    voltage: voltage::State,
    cpu: cpu::State,
    memory: memory::State,
    disk: disk::State,
    storage: storage::State,
    /// The ext4 file systems of the newest reading, for the storage's sensor.
    ext4s: Vec<Ext4>,
    /// The interfaces of the newest reading, for the route's sensor.
    interfaces: Vec<String>,
    /// The interface that carries the default route.
    default_route: Option<String>,
    /// The panel's series; set by the agent before each reading.
    pub panel: Vec<Reading>,
    /// The probes' series; set by the agent before each reading.
    pub probes: Vec<Series>,
    /// What the agent knows of itself; set by the agent before each reading.
    pub own: Own,
}

impl Machine {
    /// The machine seen through these roots.
    pub fn new(roots: Roots) -> Self {
        Self { roots, ..Self::default() }
    }

    /// The interface that carried the default route in the newest reading.
    pub fn default_route(&self) -> Option<&str> {
        self.default_route.as_deref()
    }
}

/// One series in one reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which sensor wrote it: its place in [`SENSORS`].
    pub sensor: usize,
    /// What is measured.
    pub metric: &'static Metric,
    /// The values of the metric's labels, in its order.
    pub labels: Vec<String>,
    /// What one step of the number is worth.
    pub scale: Scale,
    /// The value.
    pub value: Value,
}

impl Entry {
    /// Whether both are the same series.
    pub fn is_same_series(&self, other: &Self) -> bool {
        std::ptr::eq(self.metric, other.metric) && self.labels == other.labels
    }
}

/// What all sensors said in one reading.
#[derive(Debug, Default)]
pub struct Report {
    sensor: usize,
    entries: Vec<Entry>,
    failed: Vec<usize>,
    notes: Vec<String>,
}

impl Report {
    /// A series' value in its unit. One beyond the wire's range is unknown.
    fn put(&mut self, metric: &'static Metric, labels: &[&str], scale: Scale, value: f64) {
        let value = scale.number(value).map_or(Value::Unknown, Value::Known);
        self.put_value(metric, labels, scale, value);
    }

    /// A whole number of steps of `scale`, or why there is none.
    fn put_value(&mut self, metric: &'static Metric, labels: &[&str], scale: Scale, value: Value) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{} has other labels", metric.name);
        if let Some(long) = labels.iter().find(|label| label.len() > limits::STRING) {
            let most = limits::STRING;
            self.notes.push(format!("{}: {long:?} is longer than {most} bytes and is left out", metric.name));
            return;
        }
        let labels = labels.iter().map(ToString::to_string).collect();
        let entry = Entry { sensor: self.sensor, metric, labels, scale, value };
        if !self.entries.iter().any(|other| other.is_same_series(&entry)) {
            self.entries.push(entry);
        }
    }

    /// The series that were found, in the sensors' order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether the sensor at this place in [`SENSORS`] failed.
    pub fn has_failed(&self, sensor: usize) -> bool {
        self.failed.contains(&sensor)
    }

    /// A report as if sensors had written it.
    #[cfg(test)]
    pub(crate) fn of(entries: Vec<Entry>, failed: Vec<usize>) -> Self {
        Self { entries, failed, ..Self::default() }
    }

    /// What a sensor wants people to know: one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Reads every sensor, and remembers what went wrong so as to say it once.
#[derive(Debug)]
pub struct Sensors {
    /// The machine that is read.
    pub machine: Machine,
    errors: Vec<Option<SensorError>>,
    notes: Vec<String>,
}

impl Sensors {
    /// The sensors of the machine behind `roots`.
    pub fn new(roots: Roots) -> Self {
        Self { machine: Machine::new(roots), errors: vec![None; SENSORS.len()], notes: Vec::new() }
    }

    /// One reading of everything.
    pub fn read(&mut self, moment: &Moment) -> Report {
        let mut report = Report::default();
        for (at, (sensor, last)) in SENSORS.iter().zip(&mut self.errors).enumerate() {
            report.sensor = at;
            let error = (sensor.read)(&mut self.machine, moment, &mut report).err();
            if error.is_some() {
                report.failed.push(at);
            }
            if error != *last {
                match &error {
                    Some(error) => {
                        warn!("sensor {}: {error}; its series are unknown until it works", sensor.name);
                    }
                    None => info!("sensor {}: works again", sensor.name),
                }
                *last = error;
            }
        }
        for note in report.notes() {
            if !self.notes.contains(note) {
                warn!("{note}");
            }
        }
        self.notes.clone_from(&report.notes);
        report
    }

    /// What went wrong in the newest reading, sensor by sensor; `None` where nothing did.
    pub fn errors(&self) -> &[Option<SensorError>] {
        &self.errors
    }
}

/// Reads a small text file. A name in it may be anything (a stick's label in an old code page): bytes that are no text become
/// U+FFFD instead of hiding all the rest.
fn text(path: &Path) -> Result<String, SensorError> {
    let bytes = std::fs::read(path).map_err(|error| SensorError::new(path.display(), error))?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Trust};
    use rackside_proto::metric;

    fn moment() -> Moment {
        Clock::new(Trust::Auto, Path::new("/proc")).read()
    }

    #[test]
    fn this_machine_reports_what_every_linux_has() {
        let mut sensors = Sensors::new(Roots::default());
        sensors.read(&moment());
        let report = sensors.read(&moment());
        for metric in [&metric::LOAD1, &metric::MEMORY_TOTAL, &metric::UPTIME, &metric::AGENT_RESIDENT_MEMORY]
        {
            let entry = report.entries().iter().find(|entry| entry.metric.name == metric.name);
            let value = entry.and_then(|entry| entry.value.known());
            assert!(value.is_some_and(|number| number >= 0), "{}: {value:?}", metric.name);
        }
    }

    #[test]
    fn a_sensor_that_fails_does_not_stop_the_others() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let roots = Roots::below(dir.path());
        let mut sensors = Sensors::new(roots);
        let report = sensors.read(&moment());
        let failed = |name| {
            let at = SENSORS.iter().position(|sensor| sensor.name == name).expect("a sensor of that name");
            (report.has_failed(at), sensors.errors()[at].clone())
        };
        assert!(matches!(failed("uptime"), (true, Some(_))));
        assert_eq!(failed("temperature"), (false, None), "no thermal zone is no error");
        assert!(report.entries().iter().any(|entry| entry.metric.name == metric::MEMORY_TOTAL.name));
    }

    #[test]
    fn a_series_is_reported_once() {
        let mut report = Report::default();
        report.put(&metric::DISK_TOTAL, &["/"], SPACE, 1e9);
        report.put(&metric::DISK_TOTAL, &["/"], SPACE, 2e9);
        assert_eq!(report.entries().len(), 1);
    }

    #[test]
    fn a_label_that_does_not_fit_the_wire_is_left_out_and_said() {
        let mut report = Report::default();
        let mount = format!("/media/{}", "x".repeat(limits::STRING));
        report.put(&metric::DISK_TOTAL, &[&mount], SPACE, 1e9);
        assert!(report.entries().is_empty());
        assert!(report.notes()[0].contains("is longer than 64 bytes"), "{:?}", report.notes());
    }

    #[test]
    fn a_value_beyond_the_wire_is_unknown() {
        let mut report = Report::default();
        report.put(&metric::LOAD1, &[], Scale::ONE, f64::INFINITY);
        assert_eq!(report.entries()[0].value, Value::Unknown);
    }
}
