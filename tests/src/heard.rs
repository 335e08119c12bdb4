//! What an agent said over a broker, decoded with [`rackside_proto`] and nothing of the hub's: readings and samples with their series' names.
//!
//! Invariant: a reading whose catalog was not heard before it is no reading here, as it would be none for a hub.

use crate::mosquitto::Seen;
use rackside_proto::{Catalog, Data, Event, Record, Run, Scale, Time, Value, What};
use std::collections::BTreeMap;

/// One reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Whose.
    pub run: Run,
    /// The number of its record.
    pub seq: u64,
    /// When it was taken.
    pub time: Time,
    /// What is known, by name and labels: `rackside_disk_used_bytes{mount="/"}`.
    pub values: BTreeMap<String, f64>,
}

impl Reading {
    /// The value of the only series of that name. Panics when there are several.
    pub fn value(&self, name: &str) -> Option<f64> {
        let is_it = |series: &&String| series.split('{').next() == Some(name);
        let mut found = self.values.keys().filter(is_it);
        let first = found.next()?;
        assert_eq!(found.next(), None, "more than one {name}");
        self.values.get(first).copied()
    }
}

/// A series' value at its own moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When it came about.
    pub time: Time,
    /// The series, as in [`Reading::values`].
    pub series: String,
    /// Its value; `None` if it became unknown.
    pub value: Option<f64>,
}

/// Who listens, message by message, and keeps the catalogs.
#[derive(Debug, Default)]
pub struct Listener {
    catalogs: BTreeMap<(Run, u32), Known>,
}

/// A catalog as its readings need it.
#[derive(Debug)]
struct Known {
    series: Vec<(String, Scale)>,
    references: Vec<Value>,
}

impl Known {
    fn of(catalog: &Catalog<'_>) -> Self {
        let named = |one: rackside_proto::Series<'_>| {
            let labels: Vec<String> =
                one.labels.iter().map(|label| format!("{}={:?}", label.name, label.value)).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            (format!("{}{labels}", one.name), one.scale)
        };
        Self {
            series: catalog.series().map(named).collect(),
            references: catalog.series().map(|one| one.reference).collect(),
        }
    }
}

impl Listener {
    /// The readings in a message, none if it has none. Panics when it is on `data` and cannot be decoded.
    pub fn readings(&mut self, topic: &str, payload: &[u8]) -> Vec<Reading> {
        if !topic.ends_with("/data") {
            return Vec::new();
        }
        let record = Record::<Data<'_>>::decode(payload)
            .unwrap_or_else(|error| panic!("{topic}: {error}: {payload:02x?}"));
        let (run, seq) = (record.envelope.run, record.envelope.seq);
        let readings = match record.body {
            Data::Catalog(catalog) => {
                self.catalogs.insert((run, catalog.head.number), Known::of(&catalog));
                return Vec::new();
            }
            Data::Readings(readings) => readings,
        };
        let Some(known) = self.catalogs.get(&(run, readings.catalog)) else { return Vec::new() };
        let mut values = known.references.clone();
        let reading = |reading: rackside_proto::Reading<'_>| {
            let applied = reading.apply(&known.references, &mut values);
            applied.unwrap_or_else(|error| panic!("record {seq} of {run:?}: {error}"));
            let named = known
                .series
                .iter()
                .zip(&values)
                .filter_map(|((name, scale), value)| Some((name.clone(), scale.value(value.known()?))));
            Reading { run, seq, time: reading.time, values: named.collect() }
        };
        readings.iter().map(reading).collect()
    }

    /// The sample in a message on `event`, if it has one. Panics when it cannot be decoded.
    pub fn sample(&self, topic: &str, payload: &[u8]) -> Option<Sample> {
        if !topic.ends_with("/event") {
            return None;
        }
        let record = Record::<Event<'_>>::decode(payload)
            .unwrap_or_else(|error| panic!("{topic}: {error}: {payload:02x?}"));
        let What::Sample { catalog, series, value } = record.body.what else { return None };
        let (name, scale) =
            self.catalogs.get(&(record.envelope.run, catalog))?.series.get(series as usize)?;
        let value = value.known().map(|number| scale.value(number));
        Some(Sample { time: record.body.time, series: name.clone(), value })
    }
}

/// The readings among `seen`, in the order in which they came, those that were sent twice twice. Panics when a message on `data`
/// cannot be decoded.
pub fn readings(seen: &[Seen]) -> Vec<Reading> {
    let mut listener = Listener::default();
    seen.iter().flat_map(|message| listener.readings(&message.topic, &message.payload)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_series_name() {
        let values = [("a", 1.0), ("ab{x=\"1\"}", 2.0), ("c{x=\"1\"}", 3.0), ("c{x=\"2\"}", 4.0)];
        let values = values.map(|(name, value)| (name.to_owned(), value)).into();
        let reading = Reading { run: Run(1), seq: 0, time: Time::Utc { ms: 0 }, values };
        assert_eq!(
            (reading.value("a"), reading.value("ab"), reading.value("d")),
            (Some(1.0), Some(2.0), None)
        );
        assert!(std::panic::catch_unwind(|| reading.value("c")).is_err());
    }
}
