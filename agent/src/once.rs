//! `once`: one reading of everything, for a technician's eyes or, as JSON, for a script. Publishes nothing and touches no
//! output pin.
//!
//! A running agent holds the panel's pins, and knows its network tallies: it is asked for them. Where none runs, the contacts are read, and
//! what comes over the network is left out. Each probe is run once; what one needs two runs for is left out.
//!
//! ```text
//! temperature  rackside_soc_temperature_celsius                  48.3 °C
//! cpu          rackside_cpu_usage_ratio                          12.3 %
//! disk         rackside_disk_used_bytes{mount="/"}               11.9 GiB
//! probe        encoder (tcp 192.0.2.30:1935): up, 1.8 ms
//! spool        up to 64 MiB in /var/lib/rackside/spool/arena-north/rack-1
//! line         wwan0 carries the default route and is metered: readings go every 60s
//! ```

use crate::clock::{Clock, Moment, Trust};
use crate::config::{self, Config};
use crate::json::Json;
use crate::meter::Meter;
use crate::panel::config::Bus;
use crate::panel::{Panel, Reading};
use crate::probe::results::Latest;
use crate::probe::{self, Context, Known, Probes};
use crate::sensor::{Entry, Report, Roots, SENSORS, Sensors};
use crate::state::State;
use crate::status::{self, AskError};
use crate::units;
use async_io::Timer;
use log::warn;
use rackside_proto::{Date, Value, metric};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

/// Processor usage is a share of the time between two readings, so two are taken.
const APART: Duration = Duration::from_millis(500);

/// Reads and prints. `config` is looked at for the clock, the spool's place, the panel and the probes.
pub fn once(config: Option<&Config>, json: bool, out: &mut impl Write) -> io::Result<()> {
    let roots = Roots::default();
    let mut clock = Clock::new(config.map_or(Trust::Auto, |config| config.clock), &roots.proc);
    let spool = config.map_or_else(config::Spool::default, |config| config.spool.clone());
    let (place, durable) = State::new(&spool, &roots.proc).describe(config.map(|config| &config.name));
    let mut sensors = Sensors::new(roots);
    sensors.machine.own.is_durable = durable;
    sensors.read(&clock.read());
    let apart = Timer::after(APART);
    let panel = config.map_or_else(Vec::new, panel);
    let probes = config.map(|config| config.probes.clone()).unwrap_or_default();
    let probes =
        smol::block_on(ask(probes, is_on_air(&panel), sensors.machine.default_route(), &clock.read()));
    smol::block_on(apart);
    let moment = clock.read();
    sensors.machine.panel = panel;
    sensors.machine.probes = probes.series(moment.now);
    let report = sensors.read(&moment);
    let line = config.and_then(|config| {
        let mut meter = Meter::new(&config.probes.general.metered);
        meter.see(sensors.machine.default_route());
        meter.describe(config.tick)
    });
    let text = if json {
        as_json(&report, &probes, &moment, (&place, line.as_deref()))
    } else {
        as_table(&report, &probes, &sensors, (&place, line.as_deref()))
    };
    out.write_all(text.as_bytes())
}

/// Runs each probe once.
async fn ask(config: probe::config::Config, on_air: bool, route: Option<&str>, moment: &Moment) -> Probes {
    let mut probes = Probes::new(config, Context::default(), moment.now);
    probes.surroundings().see(on_air, false, route, moment.now);
    probes.surroundings().read(moment);
    probes.each_once().await;
    probes
}

/// Whether a tally on the program bus is on.
fn is_on_air(panel: &[Reading]) -> bool {
    panel.iter().any(|reading| {
        reading.metric.name == metric::TALLY_ACTIVE.name
            && reading.value == Value::Known(1)
            && reading.labels.iter().any(|label| label == Bus::Program.as_str())
    })
}

/// The tallies and relays as the running agent has them, else the tallies' contacts.
fn panel(config: &Config) -> Vec<Reading> {
    if config.panel.tallies.is_empty() && config.panel.relays.is_empty() {
        return Vec::new();
    }
    match status::ask(Some(&config.name)) {
        Ok(answer) => told(&serde_json::from_str(&answer).unwrap_or_default()),
        // Another agent's pins are let alone: to open them, even in vain, moves their pulls.
        Err(AskError::NotRunning { others, .. }) if others.is_empty() || config.panel.simulated.is_some() => {
            smol::block_on(Panel::contacts_once(&config.panel, APART))
        }
        Err(error) => {
            warn!("{error}; the panel is left out");
            Vec::new()
        }
    }
}

/// The readings in an agent's answer.
fn told(answer: &serde_json::Value) -> Vec<Reading> {
    let list = |key: &str| answer["panel"][key].as_array().cloned().unwrap_or_default();
    let reading = |metric, one: &serde_json::Value, labels: &[&str], state: &str| Reading {
        metric,
        labels: labels.iter().map(|key| one[*key].as_str().unwrap_or_default().to_owned()).collect(),
        value: one[state].as_bool().map_or(Value::Unknown, |on| Value::Known(on.into())),
    };
    let (tallies, relays) = (list("tallies"), list("relays"));
    let tallies = tallies.iter().map(|one| reading(&metric::TALLY_ACTIVE, one, &["name", "bus"], "on"));
    let relays = relays.iter().map(|one| reading(&metric::RELAY_ACTIVE, one, &["name"], "closed"));
    tallies.chain(relays).collect()
}

fn as_table(
    report: &Report,
    probes: &Probes,
    sensors: &Sensors,
    (place, line): (&str, Option<&str>),
) -> String {
    let rows: Vec<(&str, String, String)> = report
        .entries()
        .iter()
        .map(|entry| (SENSORS[entry.sensor].name, series(entry), human(entry)))
        .collect();
    let first = SENSORS.iter().map(|sensor| sensor.name.len()).max().unwrap_or_default();
    let second = rows.iter().map(|row| row.1.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (sensor, series, value) in &rows {
        writeln!(text, "{sensor:first$}  {series:second$}  {value}").expect("a String has room");
    }
    for (sensor, error) in SENSORS.iter().zip(sensors.errors()) {
        if let Some(error) = error {
            writeln!(text, "{:first$}  {error}", sensor.name).expect("a String has room");
        } else if !rows.iter().any(|row| row.0 == sensor.name) {
            writeln!(text, "{:first$}  nothing to read here ({})", sensor.name, sensor.source)
                .expect("a String has room");
        }
    }
    for known in probes.known() {
        let Some(Latest { took, outcome, .. }) = known.latest else { continue };
        let (state, why) = (outcome.state.as_str(), outcome.state.why());
        let said = why.map_or_else(|| units::brief(took.as_secs_f64()), str::to_owned);
        let comma = if why.is_some() { ":" } else { "," };
        writeln!(text, "{:first$}  {}: {state}{comma} {said}", "probe", known.planned)
            .expect("a String has room");
        for (subject, told) in &outcome.texts {
            writeln!(text, "{:first$}  {}: {subject} {told}", "probe", known.planned.common.name)
                .expect("a String has room");
        }
    }
    for (what, told) in [("spool", Some(place)), ("line", line)] {
        if let Some(told) = told {
            writeln!(text, "{what:first$}  {told}").expect("a String has room");
        }
    }
    text
}

fn series(entry: &Entry) -> String {
    let labels: Vec<String> = entry
        .metric
        .labels
        .iter()
        .zip(&entry.labels)
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    format!("{}{labels}", entry.metric.name)
}

/// The value in the unit that a person would use.
fn human(entry: &Entry) -> String {
    let Some(number) = entry.value.known() else {
        return if entry.value == Value::Absent { "absent" } else { "unknown" }.to_owned();
    };
    let value = entry.scale.value(number);
    match entry.metric.unit {
        "celsius" => format!("{value:.1} °C"),
        "ratio" => format!("{:.1} %", value * 100.0),
        "bytes" => units::bytes(value),
        "volts" => format!("{value:.2} V"),
        "hertz" => format!("{:.0} MHz", value / 1e6),
        "rpm" => format!("{value} rpm"),
        "dbm" => format!("{value} dBm"),
        "seconds" if entry.metric.name.ends_with("_timestamp_seconds") => {
            let Date { year, month, day, .. } = Date::of_ms((value * 1000.0) as u64);
            format!("{year}-{month:02}-{day:02}")
        }
        "seconds" if entry.scale.per > 1 => units::brief(value),
        "seconds" => units::span(value as u64),
        "bps" => format!("{:.3} Mbit/s", value / 1e6),
        _ if entry.scale.per > 1 => format!("{value:.2}"),
        _ => format!("{value}"),
    }
}

/// One object: the time, a list of series as they would be published, and one of probes.
fn as_json(report: &Report, probes: &Probes, moment: &Moment, (place, line): (&str, Option<&str>)) -> String {
    let mut json = Json::default();
    json.object(|json| {
        json.key("time_ms").value_if(moment.known.then_some(moment.utc_ms));
        json.key("clock_known").value(moment.known);
        json.key("spool").text(place);
        json.key("line").text_if(line);
        json.key("series").list(|json| {
            for entry in report.entries() {
                json.line();
                json.object(|json| series_as_json(entry, json));
            }
        });
        json.key("probes").list(|json| {
            for known in probes.known() {
                json.line();
                json.object(|json| probe_as_json(&known, json));
            }
        });
    });
    json.into_text() + "\n"
}

fn probe_as_json(known: &Known<'_>, json: &mut Json) {
    json.key("name").text(&known.planned.common.name);
    json.key("type").text(known.planned.kind.name);
    json.key("target").text(&known.planned.settings.target());
    let outcome = known.latest.map(|latest| &latest.outcome);
    json.key("state").text_if(outcome.map(|outcome| outcome.state.as_str()));
    json.key("why").text_if(outcome.and_then(|outcome| outcome.state.why()));
    json.key("texts").object(|json| {
        for (subject, told) in outcome.iter().flat_map(|outcome| &outcome.texts) {
            json.key(subject).text(told);
        }
    });
}

fn series_as_json(entry: &Entry, json: &mut Json) {
    json.key("sensor").text(SENSORS[entry.sensor].name);
    json.key("name").text(entry.metric.name);
    json.key("labels").object(|json| {
        for (name, value) in entry.metric.labels.iter().zip(&entry.labels) {
            json.key(name).text(value);
        }
    });
    json.key("unit").text(entry.metric.unit);
    json.key("value").value_if(entry.value.known().map(|number| entry.scale.value(number)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_proto::Scale;
    use rackside_proto::metric::Metric;

    fn entry(metric: &'static Metric, scale: Scale, number: i64) -> Entry {
        let labels = metric.labels.iter().map(|_| "/srv \"x\"".to_owned()).collect();
        Entry { sensor: 0, metric, labels, scale, value: Value::Known(number) }
    }

    #[test]
    fn values_are_in_the_units_of_people() {
        for (entry, shown) in [
            (entry(&metric::SOC_TEMPERATURE, Scale::per(10), 483), "48.3 °C"),
            (entry(&metric::CPU_USAGE, Scale::per(1000), 123), "12.3 %"),
            (entry(&metric::LOAD1, Scale::per(100), 50), "0.50"),
            (entry(&metric::NETWORK_RECEIVE, Scale::ONE, 999), "999 B"),
            (entry(&metric::MEMORY_USED, Scale::times(65_536), 24_576), "1.5 GiB"),
            (entry(&metric::UPTIME, Scale::ONE, 93_784), "1 d 2 h"),
            (entry(&metric::UPTIME, Scale::ONE, 3_720), "1 h 2 min"),
            (entry(&metric::VOLTAGE, Scale::per(100), 506), "5.06 V"),
            (entry(&metric::CPU_FREQUENCY, Scale::times(1_000_000), 1500), "1500 MHz"),
            (entry(&metric::FAN_SPEED, Scale::times(50), 62), "3100 rpm"),
            (entry(&metric::WIFI_SIGNAL, Scale::ONE, -56), "-56 dBm"),
            (entry(&metric::CLOCK_SYNCHRONIZED, Scale::ONE, 1), "1"),
        ] {
            assert_eq!(human(&entry), shown);
        }
        let silent = Entry { value: Value::Unknown, ..entry(&metric::LOAD1, Scale::ONE, 0) };
        assert_eq!(human(&silent), "unknown");
    }

    #[test]
    fn the_table_lists_every_sensor() {
        let mut out = Vec::new();
        once(None, false, &mut out).expect("a Vec has room");
        let text = String::from_utf8(out).expect("text");
        for sensor in SENSORS {
            assert!(text.lines().any(|line| line.starts_with(sensor.name)), "{} in\n{text}", sensor.name);
        }
    }
}
