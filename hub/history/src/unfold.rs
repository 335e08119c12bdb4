//! Records of the inbox become samples, in the order in which they came in.
//!
//! The same for the writer, which makes chunks of them, and for a reader, which cannot wait for that. It is a function of
//! the records, their order and [`Place`] alone, so it does not matter after which record the writer stopped and kept its
//! place.
//!
//! A series that a newer reading's catalog no longer lists ends there: it gets a `None` at that reading's moment.

use crate::Samples;
use crate::store::catalog::{self, Listing, NOT_KEPT};
use rackside_proto::{Data, Envelope, Event, Readings, Record, Run, Value, What};
use rusqlite::Connection;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

/// What the log calls it when something became of a configuration.
pub(crate) const CONFIGURATION: &str = "configuration";

/// How far the newest reading of an agent has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// Its moment.
    pub(crate) newest_ms: u64,
    /// Its run and catalog.
    pub(crate) catalog: Option<(u32, u32)>,
}

/// A sample.
type Sample = (u64, Option<i64>);

/// A text that changed: when, what it is about, its new content.
pub(crate) type Text = (u64, String, String);

/// What an event set a series to: when, which, and its value.
pub(crate) type Edge = (u64, u32, Option<i64>);

/// A row of the inbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) event: bool,
    /// What is added to the record's own time.
    pub(crate) shift_ms: i64,
    pub(crate) payload: &'a [u8],
}

/// Takes records in and gives samples out.
#[derive(Debug)]
pub(crate) struct Unfold<'d> {
    db: &'d Connection,
    agent: u32,
    /// The only series wanted; all, if none is named.
    only: Option<&'d [u32]>,
    place: Place,
    listings: HashMap<(u32, u32), Option<Rc<Listing>>>,
    values: Vec<Value>,
    /// By series.
    samples: Vec<Vec<Sample>>,
    texts: Vec<Text>,
    edges: Vec<Edge>,
    count: usize,
}

impl<'d> Unfold<'d> {
    pub(crate) fn new(db: &'d Connection, agent: u32, place: Place, only: Option<&'d [u32]>) -> Self {
        Self {
            db,
            agent,
            only,
            place,
            listings: HashMap::new(),
            values: Vec::new(),
            samples: Vec::new(),
            texts: Vec::new(),
            edges: Vec::new(),
            count: 0,
        }
    }

    /// How many samples there are so far.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Takes a record. The inner error says why it can never be understood; nothing was taken of it then.
    pub(crate) fn take(&mut self, row: Row<'_>) -> rusqlite::Result<Result<(), String>> {
        if row.event {
            match Record::<Event<'_>>::decode(row.payload) {
                Ok(record) => self.event(record.envelope.run, &record.body, row.shift_ms),
                Err(error) => Ok(Err(error.to_string())),
            }
        } else {
            match Record::<Data<'_>>::decode(row.payload) {
                Ok(Record { envelope, body: Data::Readings(readings), .. }) => {
                    self.readings(envelope.run, &readings, row.shift_ms)
                }
                Ok(_) => Ok(Ok(())),
                Err(error) => Ok(Err(error.to_string())),
            }
        }
    }

    fn event(&mut self, run: Run, event: &Event<'_>, shift_ms: i64) -> rusqlite::Result<Result<(), String>> {
        let ms = at(event.time, shift_ms);
        match event.what {
            What::Sample { catalog, series, value } => {
                let Some(listing) = self.listing(run.0, catalog)? else { return Ok(Err(unknown(catalog))) };
                let Some(&id) = listing.series.get(series as usize) else {
                    return Ok(Err(format!("series {series} is beyond catalog {catalog}")));
                };
                self.put(id, (ms, value.known()));
                if id != NOT_KEPT {
                    self.edges.push((ms, id, value.known()));
                }
            }
            What::Text { subject, text } => self.texts.push((ms, subject.to_owned(), text.to_owned())),
            What::Configuration { revision, adopted, why } => {
                self.texts.push((ms, CONFIGURATION.to_owned(), adopted.told(revision, why).to_string()));
            }
            What::Anchor { .. } => {}
        }
        Ok(Ok(()))
    }

    fn readings(
        &mut self,
        run: Run,
        readings: &Readings<'_>,
        shift_ms: i64,
    ) -> rusqlite::Result<Result<(), String>> {
        let Some(listing) = self.listing(run.0, readings.catalog)? else {
            return Ok(Err(unknown(readings.catalog)));
        };
        let mut values = std::mem::take(&mut self.values);
        values.clone_from(&listing.references);
        let mut fits = Ok(());
        for reading in readings {
            fits = fits.and_then(|()| reading.apply(&listing.references, &mut values));
        }
        if fits.is_ok() {
            values.clone_from(&listing.references);
            for reading in readings {
                // It did just now.
                fits = reading.apply(&listing.references, &mut values);
                let ms = at(reading.time, shift_ms);
                self.follow((run.0, readings.catalog), &listing, ms)?;
                for (&id, value) in listing.series.iter().zip(&values) {
                    self.put(id, (ms, value.known()));
                }
            }
        }
        self.values = values;
        Ok(fits.map_err(|error| error.to_string()))
    }

    /// Ends the series that a newer reading's catalog does not list any more.
    fn follow(&mut self, catalog: (u32, u32), listing: &Listing, ms: u64) -> rusqlite::Result<()> {
        if ms < self.place.newest_ms {
            return Ok(());
        }
        if let Some(before) = self.place.catalog.filter(|before| *before != catalog)
            && let Some(before) = self.listing(before.0, before.1)?
        {
            for &id in before.series.iter().filter(|id| !listing.series.contains(id)) {
                self.put(id, (ms, None));
            }
        }
        self.place = Place { newest_ms: ms, catalog: Some(catalog) };
        Ok(())
    }

    fn put(&mut self, id: u32, sample: Sample) {
        if id == NOT_KEPT || self.only.is_some_and(|only| !only.contains(&id)) {
            return;
        }
        let at = id as usize;
        if at >= self.samples.len() {
            self.samples.resize_with(at + 1, Vec::new);
        }
        if let Some(samples) = self.samples.get_mut(at) {
            samples.push(sample);
            self.count += 1;
        }
    }

    fn listing(&mut self, run: u32, number: u32) -> rusqlite::Result<Option<Rc<Listing>>> {
        if let Some(known) = self.listings.get(&(run, number)) {
            return Ok(known.clone());
        }
        let found = catalog::listing(self.db, self.agent, run, number)?.map(Rc::new);
        self.listings.insert((run, number), found.clone());
        Ok(found)
    }

    /// What events set, so far.
    pub(crate) fn take_edges(&mut self) -> Vec<Edge> {
        std::mem::take(&mut self.edges)
    }

    /// The place after the last record, the samples of each series, and the texts. Where a series has two samples at one
    /// moment, the one that came in later counts.
    pub(crate) fn finish(self) -> (Place, Vec<(u32, Samples)>, Vec<Text>) {
        let mut shared: Option<Arc<[u64]>> = None;
        let columns = self.samples.into_iter().enumerate().filter(|(_, samples)| !samples.is_empty());
        let columns = columns.map(|(id, samples)| (id as u32, in_order(samples, &mut shared))).collect();
        (self.place, columns, self.texts)
    }
}

fn unknown(catalog: u32) -> String {
    format!("catalog {catalog} is not known")
}

pub(crate) fn at(time: rackside_proto::Time, shift_ms: i64) -> u64 {
    let (rackside_proto::Time::Utc { ms } | rackside_proto::Time::Boot { ms, .. }) = time;
    ms.saturating_add_signed(shift_ms)
}

fn in_order(mut samples: Vec<Sample>, shared: &mut Option<Arc<[u64]>>) -> Samples {
    // Stable: what came in later stays later.
    samples.sort_by_key(|(ms, _)| *ms);
    let mut times: Vec<u64> = Vec::with_capacity(samples.len());
    let mut values: Vec<Option<i64>> = Vec::with_capacity(samples.len());
    for (ms, value) in samples {
        if times.last() == Some(&ms) {
            values.pop();
        } else {
            times.push(ms);
        }
        values.push(value);
    }
    let times = match shared {
        Some(known) if **known == *times => Arc::clone(known),
        _ => Arc::clone(shared.insert(times.into())),
    };
    Samples { times, values }
}

/// Cuts columns at multiples of `width` milliseconds: by number of the piece.
pub(crate) fn cut(columns: Vec<(u32, Samples)>, width: u64) -> BTreeMap<u64, Vec<(u32, Samples)>> {
    let mut pieces: BTreeMap<u64, Vec<(u32, Samples)>> = BTreeMap::new();
    let mut shared: HashMap<u64, Arc<[u64]>> = HashMap::new();
    for (id, samples) in columns {
        let mut from = 0;
        while let Some(first) = samples.times.get(from) {
            let piece = first / width;
            let to = from + samples.times[from..].partition_point(|ms| ms / width == piece);
            let times = &samples.times[from..to];
            let known = shared.entry(piece).or_insert_with(|| times.into());
            if **known != *times {
                *known = times.into();
            }
            let values = samples.values[from..to].to_vec();
            pieces.entry(piece).or_default().push((id, Samples { times: Arc::clone(known), values }));
            from = to;
        }
    }
    pieces
}

/// The envelope of a row of the inbox.
pub(crate) fn envelope(event: bool, payload: &[u8]) -> Option<Envelope> {
    if event {
        Record::<Event<'_>>::decode(payload).ok().map(|record| record.envelope)
    } else {
        Record::<Data<'_>>::decode(payload).ok().map(|record| record.envelope)
    }
}
