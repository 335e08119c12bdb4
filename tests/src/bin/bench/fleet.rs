//! The same samples for a hub and for a Prometheus: what the racks of the realistic day read, told to both as each is told things.
//!
//! ```text
//! Day ── Rack, twice ──┬─▶ Scribe ── records over MQTT ──▶ hub
//!                      └─▶ values ── remote write ───────▶ Prometheus
//! ```
//!
//! A value that is absent is no number for the hub, and the stale marker for Prometheus. One connection publishes for all appliances: the hub's
//! listener lets any client that it has admitted do so.

use bytes::Bytes;
use rackside_proto::{Channel, Envelope, Prefix, Presence, Reason, Run, Sending, Topic};
use rackside_tests::client::Client;
use rackside_tests::day::{Day, Rack, Scribe, Ticks, Written, enveloped};
use rackside_tests::prometheus::{Prometheus, STALE, Series};
use std::iter::Peekable;

/// So many racks go into one request of remote write.
const TOGETHER: usize = 50;

/// Racks, and what was told of them.
#[derive(Debug)]
pub(crate) struct Fleet {
    racks: Vec<Told>,
}

#[derive(Debug)]
struct Told {
    /// Two of the same: they read the same.
    scribe: Scribe,
    rack: Rack,
    ticks: Peekable<Ticks>,
    presence: String,
    data: String,
    run: Run,
    seq: u64,
    labels: Vec<Vec<(String, String)>>,
    /// Whether Prometheus has a value of each series.
    known: Vec<bool>,
}

impl Fleet {
    /// The racks of that day, of which nothing was told yet.
    pub(crate) fn new(day: &Day) -> Self {
        let rack = |number| {
            let (rack, ticks) = day.rack(number);
            Told::new(rack, ticks, Run(number as u32 + 1), day.tick_ms as u32)
        };
        Self { racks: (0..day.appliances).map(rack).collect() }
    }

    /// Tells the hub that they are there.
    pub(crate) fn come(&self, hub: &mut Client) -> Result<(), String> {
        let presence = |told: &Told| {
            let mut bytes = Vec::new();
            let presence = Presence { run: told.run, connection: 1, online: true, reason: Reason::Start };
            presence.encode(&mut bytes).expect("a presence has no bounds to break");
            (told.presence.clone(), bytes.into())
        };
        hub.publish_all(self.racks.iter().map(presence)).map_err(|error| error.to_string())
    }

    /// Tells both what was read before `until_ms` and not told yet; how many samples Prometheus got.
    pub(crate) fn tell(
        &mut self,
        until_ms: u64,
        sending: Sending,
        (hub, prometheus): (&mut Client, &mut Prometheus),
    ) -> Result<usize, String> {
        let mut samples = 0;
        for racks in self.racks.chunks_mut(TOGETHER) {
            let (mut messages, mut series) = (Vec::new(), Vec::new());
            for told in racks {
                told.read(until_ms, sending, &mut messages, &mut series);
            }
            samples += series.iter().map(|series| series.samples.len()).sum::<usize>();
            hub.publish_all(messages).map_err(|error| error.to_string())?;
            prometheus.store(&series);
        }
        Ok(samples)
    }
}

impl Told {
    fn new(rack: Rack, ticks: Ticks, run: Run, tick_ms: u32) -> Self {
        let agent = rack.name().clone();
        let topic = |channel| Topic { agent: agent.clone(), channel }.under(&Prefix::default()).to_string();
        let labels: Vec<_> = labels(&rack).collect();
        Self {
            scribe: Scribe::new(rack.clone(), tick_ms),
            ticks: ticks.peekable(),
            presence: topic(Channel::Presence),
            data: topic(Channel::Data),
            run,
            seq: 0,
            known: vec![false; labels.len()],
            labels,
            rack,
        }
    }

    /// What is read before `until_ms`, as both want it.
    fn read(
        &mut self,
        until_ms: u64,
        sending: Sending,
        messages: &mut Vec<(String, Bytes)>,
        series: &mut Vec<Series>,
    ) {
        let first = series.len();
        while let Some(ms) = self.ticks.next_if(|ms| *ms < until_ms) {
            let Written { catalog, reading } = self.scribe.write(ms);
            for body in catalog.into_iter().chain([reading]) {
                let envelope = Envelope { run: self.run, seq: self.seq, floor: self.seq, sending };
                messages.push((self.data.clone(), enveloped(&envelope, &body)));
                self.seq += 1;
            }
            if series.len() == first {
                let empty = |labels: &Vec<_>| Series { labels: labels.clone(), samples: Vec::new() };
                series.extend(self.labels.iter().map(empty));
            }
            let values = self.rack.read(ms).to_vec();
            let scales = self.rack.describe().map(|described| described.scale);
            let of = series.iter_mut().skip(first).zip(&mut self.known);
            for ((value, scale), (series, known)) in values.iter().zip(scales).zip(of) {
                let quantity = value.known().map(|number| scale.value(number));
                if *known || quantity.is_some() {
                    series.samples.push((ms as i64, quantity.unwrap_or(STALE)));
                }
                *known = quantity.is_some();
            }
        }
    }
}

/// The labels of a rack's series as the hub makes them, in the order of their names.
pub(crate) fn labels(rack: &Rack) -> impl Iterator<Item = Vec<(String, String)>> + '_ {
    let agent = rack.name();
    rack.describe().map(move |series| {
        let whose = [
            ("__name__", series.name.to_owned()),
            ("appliance", agent.appliance.to_string()),
            ("site", agent.site.to_string()),
        ];
        let labels = whose.into_iter().chain(series.labels);
        let mut labels: Vec<_> = labels.map(|(name, value)| (name.to_owned(), value)).collect();
        labels.sort();
        labels
    })
}
