//! A rack's readings as the records that its agent would make: a catalog ahead, a new one when its references have gone
//! stale, one reading to a record. The same rule as the agent's sampler: a new catalog once the bytes that stale references
//! have cost exceed what the catalog costs on its two ways, as a record and in the birth.

use super::{Rack, TICK_MS, Ticks};
use bytes::Bytes;
use rackside_proto::{AgentName, Data, Envelope, Run, Sending, Time, Value};

/// Makes the records of a rack's time.
#[derive(Debug, Clone)]
pub struct Recorder {
    rack: Rack,
    ticks: Ticks,
    run: Run,
    seq: u64,
    number: u32,
    references: Vec<Value>,
    catalog: Vec<u8>,
    shortest: usize,
    rent: usize,
    /// A reading that waits for its catalog to be taken.
    waiting: Option<(u64, Vec<Value>)>,
}

/// A record.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its number in the run.
    pub seq: u64,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    pub ms: u64,
    /// Its body, without an envelope.
    pub body: Bytes,
}

impl Made {
    /// The message: envelope and body.
    pub fn message(&self, run: Run, floor: u64, sending: Sending) -> Bytes {
        let mut bytes = Vec::with_capacity(self.body.len() + 24);
        let envelope = Envelope { run, seq: self.seq, floor, sending };
        envelope.encode(&mut bytes).expect("a Vec takes what it is given");
        bytes.extend_from_slice(&self.body);
        bytes.into()
    }
}

impl Recorder {
    /// Records of that run.
    pub fn new((rack, ticks): (Rack, Ticks), run: Run) -> Self {
        Self {
            rack,
            ticks,
            run,
            seq: 0,
            number: 0,
            references: Vec::new(),
            catalog: Vec::new(),
            shortest: usize::MAX,
            rent: 0,
            waiting: None,
        }
    }

    /// Whose.
    pub fn name(&self) -> &AgentName {
        self.rack.name()
    }

    /// Of which run.
    pub const fn run(&self) -> Run {
        self.run
    }

    /// The catalog in use, as it stands in a birth.
    pub fn catalog(&self) -> &[u8] {
        &self.catalog
    }

    fn made(&mut self, ms: u64, body: Vec<u8>) -> Made {
        self.seq += 1;
        Made { seq: self.seq - 1, ms, body: body.into() }
    }

    fn renew(&mut self, ms: u64, values: &[Value]) -> Made {
        self.number += 1;
        self.references = values.to_vec();
        (self.shortest, self.rent) = (usize::MAX, 0);
        self.catalog = self.rack.catalog(self.number, Time::Utc { ms }, TICK_MS as u32, values);
        let mut body = Vec::new();
        Data::encode_catalog(&self.catalog, &mut body).expect("a Vec takes what it is given");
        self.made(ms, body)
    }

    fn reading(&mut self, ms: u64, values: &[Value]) -> Made {
        let mut body = Vec::new();
        let reading = std::iter::once((Time::Utc { ms }, values));
        Data::encode_readings(self.number, &self.references, reading, &mut body)
            .expect("the models keep the wire's bounds");
        self.shortest = self.shortest.min(body.len());
        self.rent += body.len() - self.shortest;
        self.made(ms, body)
    }
}

impl Iterator for Recorder {
    type Item = Made;

    fn next(&mut self) -> Option<Made> {
        if let Some((ms, values)) = self.waiting.take() {
            return Some(self.reading(ms, &values));
        }
        let ms = self.ticks.next()?;
        let values = self.rack.read(ms).to_vec();
        if self.number == 0 || self.rent > 2 * self.catalog.len() {
            let catalog = self.renew(ms, &values);
            self.waiting = Some((ms, values));
            return Some(catalog);
        }
        Some(self.reading(ms, &values))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Day;
    use super::*;
    use rackside_proto::{Record, Series};

    /// Reads records back as a hub does.
    #[test]
    fn what_is_recorded_is_what_the_columns_have() {
        let day = Day { lasts_ms: 4 * 3_600_000, ..Day::new(1, 5) };
        let columns = day.columns(0);
        let run = Run(7);
        let (mut references, mut number, mut at, mut catalogs) = (Vec::new(), 0, 0, 0);
        for (seq, made) in Recorder::new(day.rack(0), run).enumerate() {
            let message = made.message(run, made.seq, Sending::First);
            let record = Record::<Data<'_>>::decode(&message).unwrap();
            assert_eq!((record.envelope.seq, made.seq), (seq as u64, seq as u64));
            match record.body {
                Data::Catalog(catalog) => {
                    (number, catalogs) = (catalog.head.number, catalogs + 1);
                    references = catalog.series().map(|Series { reference, .. }| reference).collect();
                }
                Data::Readings(readings) => {
                    assert_eq!((readings.catalog, readings.len()), (number, 1));
                    let mut values = references.clone();
                    let reading = readings.iter().next().unwrap();
                    reading.apply(&references, &mut values).unwrap();
                    assert_eq!(reading.time, Time::Utc { ms: columns.times[at] });
                    for (column, value) in columns.columns.iter().zip(&values) {
                        assert_eq!(column.values[at], value.known(), "{:?}", column.series);
                    }
                    at += 1;
                }
            }
        }
        assert_eq!(at, columns.times.len());
        assert!((2..60).contains(&catalogs), "{catalogs} catalogs in four hours");
    }
}
