//! A rack's readings as the records that its agent would make: a catalog ahead, a new one when its references have gone
//! stale, one reading to a record. The same rule as the agent's sampler: a new catalog once the bytes that stale references
//! have cost exceed what the catalog costs on its two ways, as a record and in the birth.

use super::{Rack, Ticks};
use bytes::Bytes;
use rackside_proto::{AgentName, Data, Envelope, Run, Sending, Time, Value};

/// Writes a rack's readings as its agent would.
#[derive(Debug, Clone)]
pub struct Scribe {
    rack: Rack,
    tick_ms: u32,
    number: u32,
    references: Vec<Value>,
    catalog: Vec<u8>,
    shortest: usize,
    rent: usize,
}

/// What one reading gave: bodies of records, without envelopes.
#[derive(Debug, Clone)]
pub struct Written {
    /// A new catalog, ahead of the reading.
    pub catalog: Option<Bytes>,
    /// The reading.
    pub reading: Bytes,
}

impl Scribe {
    /// For a rack that is read every `tick_ms` milliseconds.
    pub fn new(rack: Rack, tick_ms: u32) -> Self {
        Self {
            rack,
            tick_ms,
            number: 0,
            references: Vec::new(),
            catalog: Vec::new(),
            shortest: usize::MAX,
            rent: 0,
        }
    }

    /// Reads the rack at `ms`, milliseconds since 1970-01-01 UTC.
    pub fn write(&mut self, ms: u64) -> Written {
        let time = Time::Utc { ms };
        let values = self.rack.read(ms).to_vec();
        let catalog = (self.number == 0 || self.rent > 2 * self.catalog.len()).then(|| {
            self.number += 1;
            (self.shortest, self.rent) = (usize::MAX, 0);
            self.catalog = self.rack.catalog(self.number, time, self.tick_ms, &values);
            self.references.clone_from(&values);
            let mut body = Vec::new();
            Data::encode_catalog(&self.catalog, &mut body).expect("a Vec takes what it is given");
            body.into()
        });
        let mut body = Vec::new();
        let reading = std::iter::once((time, &values[..]));
        Data::encode_readings(self.number, &self.references, reading, &mut body)
            .expect("the models keep the wire's bounds");
        self.shortest = self.shortest.min(body.len());
        self.rent += body.len() - self.shortest;
        Written { catalog, reading: body.into() }
    }

    /// The catalog in use and its number, 0 before the first.
    pub fn catalog(&self) -> (u32, &[u8]) {
        (self.number, &self.catalog)
    }
}

/// All records of a rack's time, of one run.
#[derive(Debug, Clone)]
pub struct Recorder {
    scribe: Scribe,
    ticks: Ticks,
    run: Run,
    seq: u64,
    /// A reading whose catalog was taken.
    waiting: Option<(u64, Bytes)>,
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
        enveloped(&Envelope { run, seq: self.seq, floor, sending }, &self.body)
    }
}

/// A message on `data`: envelope and body.
pub fn enveloped(envelope: &Envelope, body: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(body.len() + 24);
    envelope.encode(&mut bytes).expect("a Vec takes what it is given");
    bytes.extend_from_slice(body);
    bytes.into()
}

impl Recorder {
    /// Records of that run.
    pub fn new((rack, ticks): (Rack, Ticks), run: Run) -> Self {
        let scribe = Scribe::new(rack, ticks.tick_ms as u32);
        Self { scribe, ticks, run, seq: 0, waiting: None }
    }

    /// Whose.
    pub fn name(&self) -> &AgentName {
        self.scribe.rack.name()
    }

    /// Of which run.
    pub const fn run(&self) -> Run {
        self.run
    }
}

impl Iterator for Recorder {
    type Item = Made;

    fn next(&mut self) -> Option<Made> {
        let (ms, body) = if let Some(waiting) = self.waiting.take() {
            waiting
        } else {
            let ms = self.ticks.next()?;
            let Written { catalog, reading } = self.scribe.write(ms);
            match catalog {
                Some(catalog) => {
                    self.waiting = Some((ms, reading));
                    (ms, catalog)
                }
                None => (ms, reading),
            }
        };
        self.seq += 1;
        Some(Made { seq: self.seq - 1, ms, body })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Day, START_MS};
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

    #[test]
    fn ninety_nine_in_a_hundred_readings_of_thirty_series_take_at_most_100_bytes() {
        let mut sizes = Vec::new();
        for seed in 0..10 {
            let mut scribe = Scribe::new(Rack::new(super::super::name(0), 30, seed, START_MS), 10_000);
            sizes.extend((0..2000).map(|tick| scribe.write(START_MS + tick * 10_000).reading.len()));
        }
        sizes.sort_unstable();
        let (median, most) = (sizes[sizes.len() / 2], sizes[sizes.len() * 99 / 100]);
        println!("median {median}, 99 % at most {most}, largest {}", sizes[sizes.len() - 1]);
        assert!((20..=70).contains(&median), "{median}");
        assert!(most <= 100, "{most}");
    }
}
