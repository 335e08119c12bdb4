//! An appliance as the hub sees it: makes the messages that an agent would send, and nothing else. Used by the hub's
//! unit tests and its integration tests alike.
//!
//! ```text
//! let mut rack = Rack::new("arena-north", "rack-1");
//! rack.presence(true) -> ("rackside/1/arena-north/rack-1/presence", [1, ..])
//! ```
#![allow(dead_code, unreachable_pub, clippy::allow_attributes, reason = "each test binary uses a part of it")]

use rackside_proto::{
    Birth, Capabilities, Catalog, CatalogHead, ClockSource, Data, Envelope, Event, Format, Kind, Label,
    Presence, Reason, Record, Revision, Run, Scale, Sending, Series, SpoolPlace, Still, Time, Value, What,
    metric,
};

/// A topic and a body.
pub type Sent = (String, Vec<u8>);

/// One simulated agent.
#[derive(Debug, Clone)]
pub struct Rack {
    /// Whose messages these are.
    pub name: rackside_proto::AgentName,
    /// This start of the agent.
    pub run: Run,
    /// The connection's number in the run.
    pub connection: u32,
    /// The next record's number.
    pub seq: u64,
    /// The lowest number that is still held.
    pub floor: u64,
    /// The newest catalog's number.
    pub number: u32,
    /// The newest catalog's references.
    pub references: Vec<Value>,
    /// Milliseconds from one reading to the next.
    pub tick_ms: u32,
    /// Milliseconds from one data message to the next, if that is not the tick.
    pub interval_ms: Option<u32>,
    /// What the clock says.
    pub time: Time,
    /// What the board calls itself.
    pub model: &'static str,
    /// Its revision code.
    pub revision: Option<Revision>,
    /// Sent for the first time or again.
    pub sending: Sending,
    catalog: Vec<u8>,
}

/// A gauge of that name, in thousandths.
pub fn series<'a>(name: &'a str, labels: &[(&'a str, &'a str)]) -> Series<'a> {
    let labels = labels.iter().map(|&(name, value)| Label { name, value }).collect();
    let reference = Value::Known(0);
    Series { name, labels, unit: "", kind: Kind::Gauge, scale: Scale::per(1000), reference }
}

/// What every rack shows: temperature in tenths, CPU in thousandths, memory in KiB.
pub fn vitals() -> Vec<Series<'static>> {
    let of = |metric: &'static metric::Metric, scale| Series {
        name: metric.name,
        labels: rackside_proto::Labels::new(),
        unit: metric.unit,
        kind: metric.kind,
        scale,
        reference: Value::Known(0),
    };
    vec![
        of(&metric::SOC_TEMPERATURE, Scale::per(10)),
        of(&metric::CPU_USAGE, Scale::per(1000)),
        of(&metric::MEMORY_USED, Scale::times(1024)),
        of(&metric::MEMORY_TOTAL, Scale::times(1024)),
        of(&metric::AGENT_BACKLOG, Scale::ONE),
    ]
}

/// The catalog in a record that [`Rack::catalog`] made.
pub fn catalog_in(bytes: &[u8]) -> Catalog<'_> {
    match Record::<Data<'_>>::decode(bytes).expect("a Rack encodes what the wire allows").body {
        Data::Catalog(catalog) => catalog,
        Data::Readings(_) => panic!("these are readings"),
    }
}

impl Rack {
    /// A rack at its first start.
    pub fn new(site: &str, appliance: &str) -> Self {
        Self {
            name: rackside_proto::AgentName::new(site, appliance).expect("tests use proper ids"),
            run: Run(0x7261_636b),
            connection: 1,
            seq: 0,
            floor: 0,
            number: 0,
            references: Vec::new(),
            tick_ms: 10_000,
            interval_ms: None,
            time: Time::Boot { boot: 7, ms: 60_000 },
            model: "Raspberry Pi 4 Model B Rev 1.4",
            revision: None,
            sending: Sending::First,
            catalog: Vec::new(),
        }
    }

    /// The same name, another start of the agent.
    pub fn started_again(&self, run: u32) -> Self {
        Self { run: Run(run), ..Self::new(self.name.site.as_str(), self.name.appliance.as_str()) }
    }

    /// A topic of this rack.
    pub fn topic(&self, channel: &str) -> String {
        format!("rackside/1/{}/{channel}", self.name)
    }

    /// Its presence; offline is as the Last Will says it.
    pub fn presence(&self, online: bool) -> Sent {
        let reason = if online { Reason::Start } else { Reason::Will };
        self.presence_because(online, reason)
    }

    /// Its presence, with a reason.
    pub fn presence_because(&self, online: bool, reason: Reason) -> Sent {
        let mut body = Vec::new();
        let presence = Presence { run: self.run, connection: self.connection, online, reason };
        presence.encode(&mut body).expect("fits");
        (self.topic("presence"), body)
    }

    /// Its birth, with a copy of the newest catalog if there is one.
    pub fn birth(&self) -> Sent {
        let birth = Birth {
            run: self.run,
            connection: self.connection,
            floor: self.floor,
            next: self.seq,
            time: self.time,
            clock: ClockSource::None,
            boot_id: [7; 16],
            tick_ms: self.tick_ms,
            version: "0.1.0",
            hostname: "rack-pi",
            model: self.model,
            os: "Debian GNU/Linux 12 (bookworm)",
            kernel: "6.1.0-50-arm64",
            arch: "aarch64",
            capabilities: Capabilities::GPIO,
            config_revision: 0,
            spool: SpoolPlace::Memory,
            spool_bytes: 1 << 20,
            catalog: None,
            revision: self.revision,
            interval_ms: self.interval_ms.unwrap_or(self.tick_ms),
        };
        let mut body = Vec::new();
        let copy = (!self.catalog.is_empty()).then_some(self.catalog.as_slice());
        birth.encode(copy, &mut body).expect("fits");
        (self.topic("birth"), body)
    }

    fn envelope(&mut self) -> Vec<u8> {
        let envelope = Envelope { run: self.run, seq: self.seq, floor: self.floor, sending: self.sending };
        self.seq += 1;
        let mut body = Vec::new();
        envelope.encode(&mut body).expect("fits");
        body
    }

    /// The next record: a new catalog of these series.
    pub fn catalog(&mut self, list: &[Series<'_>]) -> Sent {
        self.number += 1;
        self.references = list.iter().map(|one| one.reference).collect();
        let head =
            CatalogHead { number: self.number, time: self.time, boot_id: [7; 16], tick_ms: self.tick_ms };
        self.catalog.clear();
        Catalog::encode(&head, list.iter().cloned(), &mut self.catalog).expect("fits");
        let mut body = self.envelope();
        Data::encode_catalog(&self.catalog, &mut body).expect("fits");
        (self.topic("data"), body)
    }

    /// The next record: one reading of these values.
    pub fn reading(&mut self, values: &[Value]) -> Sent {
        self.readings(&[values])
    }

    /// The next record: several readings, one a tick.
    pub fn readings(&mut self, list: &[&[Value]]) -> Sent {
        let mut body = self.envelope();
        let (time, tick) = (self.time, u64::from(self.tick_ms));
        let readings = list.iter().enumerate().map(|(at, values)| (time.plus(at as u64 * tick), *values));
        Data::encode_readings(self.number, &self.references, readings, &mut body).expect("fits");
        (self.topic("data"), body)
    }

    /// The next record: one reading of known numbers.
    pub fn numbers(&mut self, numbers: &[i64]) -> Sent {
        let values: Vec<_> = numbers.iter().copied().map(Value::Known).collect();
        self.reading(&values)
    }

    /// A JPEG of a stream, 64 by 36, taken at that moment.
    pub fn still(&self, probe: &str, picture: &[u8], utc_ms: u64) -> Sent {
        let (time, clock, format) = (Time::Utc { ms: utc_ms }, ClockSource::Ntp, Format::Jpeg);
        let mut body = Vec::new();
        let still = Still { probe, time, clock, width: 64, height: 36, format, picture };
        still.encode(&mut body).expect("fits");
        (self.topic("still"), body)
    }

    /// The next record: an event.
    pub fn event(&mut self, what: What<'_>) -> Sent {
        let mut body = self.envelope();
        Event { time: self.time, what }.encode(&mut body).expect("fits");
        (self.topic("event"), body)
    }
}
