//! The fleet as JSON: what `/api/sites` and the JSON mirror say. Documented in `docs/json-mirror.md`.
//!
//! `{"name":"rackside_soc_temperature_celsius","labels":{},"value":48.3}`: real values under the metric's name. A value
//! that is unknown is `null`; one that is absent is not listed. Times are RFC 3339 in UTC. Everything is written straight
//! from the fleet into text: a large fleet makes no trees in memory.

use crate::clock::Now;
use crate::fleet::{Appliance, Entry, Latest, RunState};
use crate::moment::rfc3339;
use rackside_history::dated;
use rackside_proto::{Envelope, Event, Kind, Revision, Run, Sending, SpoolPlace, Value, What};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeStruct, Serializer};
use std::fmt::Write as _;

/// The text of something below.
pub fn text(of: &impl Serialize) -> String {
    serde_json::to_string(of).expect("keys are text, and a String takes everything")
}

/// A quantity as JSON writes it best: whole numbers without a point; `null` for what is no number.
struct Quantity(f64);

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(value) = *self;
        if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
            serializer.serialize_i64(value as i64)
        } else {
            serializer.serialize_f64(value)
        }
    }
}

struct Labels<'a>(&'a Entry);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let labels = &self.0.labels;
        let mut map = serializer.serialize_map(Some(labels.len()))?;
        for (name, value) in labels {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

struct Sample<'a> {
    entry: &'a Entry,
    value: Value,
}

impl Serialize for Sample<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sample = serializer.serialize_struct("sample", 3)?;
        sample.serialize_field("name", &*self.entry.name)?;
        sample.serialize_field("labels", &Labels(self.entry))?;
        let value = self.value.known().map(|number| Quantity(self.entry.scale.value(number)));
        sample.serialize_field("value", &value)?;
        sample.end()
    }
}

/// Every series that is served and not absent.
struct Samples<'a>(&'a Latest);

impl Serialize for Samples<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(latest) = *self;
        let listing = latest.listing.as_ref();
        let series = listing.series().iter().zip(&latest.values);
        let told = series.filter(|(entry, value)| entry.served && **value != Value::Absent);
        serializer.collect_seq(told.map(|(entry, value)| Sample { entry, value: *value }))
    }
}

/// The mirror's `presence`.
#[derive(Serialize)]
struct Presence<'a> {
    site: &'a str,
    appliance: &'a str,
    online: bool,
    reason: &'static str,
    since: String,
    run: Option<String>,
}

/// The mirror's `presence`.
pub fn presence(appliance: &Appliance) -> String {
    text(&Presence {
        site: appliance.name.site.as_str(),
        appliance: appliance.name.appliance.as_str(),
        online: appliance.state.is_up(),
        reason: appliance.state.as_str(),
        since: rfc3339(appliance.since_ms),
        run: appliance.shown().map(|run| run.run.to_string()),
    })
}

/// Those of an appliance's newest values that are at these positions, and not absent.
struct Chosen<'a> {
    latest: &'a Latest,
    positions: &'a [u32],
}

impl Serialize for Chosen<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let latest = self.latest;
        let at = |position: &u32| {
            let at = *position as usize;
            let (entry, value) = (latest.listing.series().get(at)?, latest.values.get(at)?);
            (*value != Value::Absent).then_some(Sample { entry, value: *value })
        };
        serializer.collect_seq(self.positions.iter().filter_map(at))
    }
}

#[derive(Serialize)]
struct Picked<'a> {
    site: &'a str,
    appliance: &'a str,
    time: Option<String>,
    series: Chosen<'a>,
}

/// The newest values of the series at these positions of an appliance's catalog, for who watches them live.
pub fn picked(appliance: &Appliance, latest: &Latest, positions: &[u32]) -> String {
    text(&Picked {
        site: appliance.name.site.as_str(),
        appliance: appliance.name.appliance.as_str(),
        time: latest.time_ms.map(rfc3339),
        series: Chosen { latest, positions },
    })
}

#[derive(Serialize)]
struct Data<'a> {
    site: &'a str,
    appliance: &'a str,
    run: String,
    seq: u64,
    time: Option<String>,
    series: Samples<'a>,
}

/// The mirror's `data`: the latest values.
pub fn data(appliance: &Appliance, run: Run, latest: &Latest) -> String {
    text(&Data {
        site: appliance.name.site.as_str(),
        appliance: appliance.name.appliance.as_str(),
        run: run.to_string(),
        seq: latest.seq(),
        time: latest.time_ms.map(rfc3339),
        series: Samples(latest),
    })
}

#[derive(Serialize)]
struct Birth<'a> {
    site: &'a str,
    appliance: &'a str,
    run: String,
    agent: Agent<'a>,
}

#[derive(Serialize)]
struct Agent<'a> {
    version: &'a str,
    hostname: &'a str,
    model: &'a str,
    board: Option<Board>,
    os: &'a str,
    kernel: &'a str,
    arch: &'a str,
    tick_seconds: Quantity,
    interval_seconds: Quantity,
    clock_source: &'static str,
    spool: &'static str,
}

impl<'a> Agent<'a> {
    fn of(run: &'a RunState) -> Option<Self> {
        let about = run.about.as_ref()?;
        Some(Self {
            version: &about.version,
            hostname: &about.hostname,
            model: &about.model,
            board: about.revision.map(Board::of),
            os: &about.os,
            kernel: &about.kernel,
            arch: &about.arch,
            tick_seconds: Quantity(f64::from(about.tick_ms) / 1000.0),
            interval_seconds: Quantity(f64::from(about.interval_ms) / 1000.0),
            clock_source: run.clock_source().unwrap_or(about.clock).as_str(),
            spool: match about.spool {
                SpoolPlace::Memory => "memory",
                SpoolPlace::Disk => "disk",
            },
        })
    }
}

/// What a Raspberry Pi's revision code says; `null` where this version does not know.
#[derive(Serialize)]
struct Board {
    revision: String,
    memory_bytes: Option<u64>,
    processor: Option<&'static str>,
    manufacturer: Option<&'static str>,
}

impl Board {
    fn of(revision: Revision) -> Self {
        let board = revision.board();
        Self {
            revision: revision.to_string(),
            memory_bytes: board.and_then(|board| board.memory_mb).map(|mb| u64::from(mb) << 20),
            processor: board.and_then(|board| board.processor),
            manufacturer: board.and_then(|board| board.manufacturer),
        }
    }
}

/// The mirror's `birth`; nothing before the run has said who it is.
pub fn birth(appliance: &Appliance, run: &RunState) -> Option<String> {
    Some(text(&Birth {
        site: appliance.name.site.as_str(),
        appliance: appliance.name.appliance.as_str(),
        run: run.run.to_string(),
        agent: Agent::of(run)?,
    }))
}

#[derive(Serialize)]
struct Happened<'a> {
    site: &'a str,
    appliance: &'a str,
    run: String,
    seq: u64,
    time: Option<String>,
    live: bool,
    event: Happening<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Happening<'a> {
    Sample(Option<Sample<'a>>),
    Text { subject: &'a str, text: &'a str },
    Anchor { boot: String, boot_ms: u64, time: String },
    Configuration { revision: u32, adopted: &'static str, why: &'a str },
}

/// The mirror's `event`.
pub fn event(appliance: &Appliance, envelope: &Envelope, event: &Event<'_>, now: Now) -> String {
    let live = envelope.sending == Sending::First;
    let what = match event.what {
        What::Sample { catalog, series, value } => {
            let latest = appliance.run(envelope.run).and_then(|run| run.latest.as_ref());
            let listing =
                latest.map(|latest| latest.listing.as_ref()).filter(|listing| listing.number == catalog);
            Happening::Sample(listing.and_then(|listing| {
                let entry = listing.series().get(series as usize)?;
                Some(Sample { entry, value })
            }))
        }
        What::Text { subject, text } => Happening::Text { subject, text },
        What::Configuration { revision, adopted, why } => {
            Happening::Configuration { revision, adopted: adopted.as_str(), why }
        }
        What::Anchor { boot, boot_ms, utc_ms } => {
            Happening::Anchor { boot: format!("{boot:08x}"), boot_ms, time: rfc3339(utc_ms) }
        }
    };
    text(&Happened {
        site: appliance.name.site.as_str(),
        appliance: appliance.name.appliance.as_str(),
        run: envelope.run.to_string(),
        seq: envelope.seq,
        time: dated(event.time, live, now.utc_ms).map(rfc3339),
        live,
        event: what,
    })
}

/// One appliance in `/api/sites`.
#[derive(Serialize)]
pub struct OfSite<'a> {
    appliance: &'a str,
    up: bool,
    reason: &'static str,
    since: String,
    last_seen: String,
    live_runs: usize,
    run: Option<String>,
    agent: Option<Agent<'a>>,
    records: Records,
    reading: Option<OfReading<'a>>,
}

/// What became of an agent's records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    /// Taken, each once.
    pub taken: u64,
    /// Came again.
    pub duplicates: u64,
    /// Let go by the agent before the hub had them, or never understood for want of their catalog.
    pub lost: u64,
}

/// One series in `/api/sites/{site}/{appliance}/series`.
#[derive(Serialize)]
pub struct OfSeries<'a> {
    /// It, by name and labels: `rackside_disk_used_bytes{mount="/"}`.
    pub id: String,
    name: &'a str,
    labels: Labels<'a>,
    unit: &'a str,
    kind: &'static str,
    value: Option<Quantity>,
}

impl<'a> OfSeries<'a> {
    /// Every series that is served and not absent.
    pub fn all(latest: &'a Latest) -> Vec<Self> {
        let series = latest.listing.series().iter().zip(&latest.values);
        let told = series.filter(|(entry, value)| entry.served && **value != Value::Absent);
        told.map(|(entry, value)| Self::of(entry, *value)).collect()
    }

    fn of(entry: &'a Entry, value: Value) -> Self {
        let mut id = entry.name.to_string();
        for (at, (name, value)) in entry.labels.iter().enumerate() {
            // Quoted as PromQL has it.
            let _ = write!(id, "{}{name}={value:?}", if at == 0 { '{' } else { ',' });
        }
        if !entry.labels.is_empty() {
            id.push('}');
        }
        let kind = match entry.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::State => "state",
        };
        let value = value.known().map(|number| Quantity(entry.scale.value(number)));
        Self { id, name: &entry.name, labels: Labels(entry), unit: &entry.unit, kind, value }
    }
}

#[derive(Serialize)]
struct OfReading<'a> {
    time: Option<String>,
    series: Samples<'a>,
}

impl<'a> OfSite<'a> {
    /// What is known of `appliance`.
    pub fn new(appliance: &'a Appliance, records: Records, now: Now) -> Self {
        let run: Option<&RunState> = appliance.shown();
        let latest = run.and_then(|run| run.latest.as_ref());
        Self {
            appliance: appliance.name.appliance.as_str(),
            up: appliance.state.is_up(),
            reason: appliance.state.as_str(),
            since: rfc3339(appliance.since_ms),
            last_seen: rfc3339(appliance.seen.utc_ms),
            live_runs: appliance.live_runs(now),
            run: run.map(|run| run.run.to_string()),
            agent: run.and_then(Agent::of),
            records,
            reading: latest
                .map(|latest| OfReading { time: latest.time_ms.map(rfc3339), series: Samples(latest) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        let said: Vec<_> = [48.3, 4096.0, -3.0, f64::NAN].map(|value| text(&Quantity(value))).into();
        assert_eq!(said, ["48.3", "4096", "-3", "null"]);
    }
}
