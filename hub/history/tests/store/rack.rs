//! An agent that makes records by hand, and a history to put them into.

use rackside_history::{Batch, NewCatalog, NewRecord, Settings, Step, Store};
use rackside_proto::{
    AgentName, Catalog, CatalogHead, Channel, Data, Envelope, Event, Kind, Label, Run, Scale, Sending,
    Series, Time, Value, What,
};
use std::path::Path;
use std::time::Duration;

/// 2026-11-20T00:00:00Z, at the start of a day and an hour.
pub(crate) const DAY0: u64 = 1_795_132_800_000;
pub(crate) const SECOND: u64 = 1_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// One run of an agent.
#[derive(Debug, Clone)]
pub(crate) struct Rack {
    pub(crate) agent: AgentName,
    pub(crate) run: Run,
    pub(crate) next: u64,
    pub(crate) floor: u64,
    pub(crate) catalog: u32,
    pub(crate) names: Vec<&'static str>,
}

impl Rack {
    pub(crate) fn new(appliance: &str, run: u32) -> Self {
        let agent = AgentName::new("arena-north", appliance).expect("a name");
        Self { agent, run: Run(run), next: 0, floor: 0, catalog: 0, names: Vec::new() }
    }

    /// A record of a new catalog that lists these series.
    pub(crate) fn list(&mut self, names: &[&'static str], now_ms: u64) -> NewRecord {
        self.catalog += 1;
        self.names = names.to_vec();
        let mut body = Vec::new();
        Data::encode_catalog(&self.catalog_bytes(), &mut body).expect("fits");
        self.record(Channel::Data, true, now_ms, &body)
    }

    /// The catalog in use, as a birth carries it.
    pub(crate) fn catalog_bytes(&self) -> Vec<u8> {
        let head = CatalogHead {
            number: self.catalog,
            time: Time::Utc { ms: 0 },
            boot_id: [7; 16],
            tick_ms: 10_000,
        };
        let series = self.names.iter().map(|name| series(name));
        let mut bytes = Vec::new();
        Catalog::encode(&head, series, &mut bytes).expect("fits");
        bytes
    }

    pub(crate) fn new_catalog(&self) -> NewCatalog {
        let body = self.catalog_bytes().into();
        NewCatalog { agent: self.agent.clone(), run: self.run, number: self.catalog, body }
    }

    /// A record of one reading.
    pub(crate) fn reading(&mut self, time: Time, live: bool, received_ms: u64, values: &[i64]) -> NewRecord {
        let values: Vec<Value> = values.iter().map(|&number| known(number)).collect();
        self.readings(&[(time, &values)], live, received_ms)
    }

    pub(crate) fn readings(
        &mut self,
        readings: &[(Time, &[Value])],
        live: bool,
        received_ms: u64,
    ) -> NewRecord {
        let references = vec![Value::Known(0); self.names.len()];
        let mut body = Vec::new();
        Data::encode_readings(self.catalog, &references, readings.iter().copied(), &mut body).expect("fits");
        self.record(Channel::Data, live, received_ms, &body)
    }

    pub(crate) fn event(&mut self, time: Time, what: What<'_>, live: bool, received_ms: u64) -> NewRecord {
        let mut body = Vec::new();
        Event { time, what }.encode(&mut body).expect("fits");
        self.record(Channel::Event, live, received_ms, &body)
    }

    pub(crate) fn record(
        &mut self,
        channel: Channel,
        live: bool,
        received_ms: u64,
        body: &[u8],
    ) -> NewRecord {
        let sending = if live { Sending::First } else { Sending::Again };
        let envelope = Envelope { run: self.run, seq: self.next, floor: self.floor, sending };
        self.next += 1;
        let mut payload = Vec::new();
        envelope.encode(&mut payload).expect("fits");
        payload.extend_from_slice(body);
        NewRecord { agent: self.agent.clone(), channel, received_ms, live, payload: payload.into() }
    }
}

/// A number, or -1 for "absent".
pub(crate) fn known(number: i64) -> Value {
    if number == -1 { Value::Absent } else { Value::Known(number) }
}

pub(crate) fn utc(ms: u64) -> Time {
    Time::Utc { ms }
}

/// `name` or `name/label`; names that end in `_total` are counters, in `_up` states.
pub(crate) fn series(name: &'static str) -> Series<'static> {
    let (name, label) = name.split_once('/').unwrap_or((name, ""));
    let kind = match name {
        name if name.ends_with("_total") => Kind::Counter,
        name if name.ends_with("_up") => Kind::State,
        _ => Kind::Gauge,
    };
    let labels = [Label { name: "interface", value: label }].into_iter().collect();
    Series { name, labels, unit: "", kind, scale: Scale::per(10), reference: Value::Known(0) }
}

pub(crate) fn batch(records: impl IntoIterator<Item = NewRecord>) -> Batch {
    Batch { records: records.into_iter().collect(), ..Batch::default() }
}

pub(crate) fn open(dir: &Path, now_ms: u64) -> Store {
    Store::open(dir, Settings::new(now_ms)).expect("opens")
}

/// Housekeeping until there is nothing to do; gives the moment at which there is again.
pub(crate) fn settle(store: &mut Store, now_ms: u64) -> u64 {
    for _ in 0..100_000 {
        if let Step::IdleUntil(ms) = step(store, now_ms) {
            return ms;
        }
    }
    panic!("housekeeping never ends");
}

pub(crate) fn step(store: &mut Store, now_ms: u64) -> Step {
    store.maintain(now_ms, Duration::from_millis(now_ms - DAY0 / 2)).expect("housekeeping")
}
