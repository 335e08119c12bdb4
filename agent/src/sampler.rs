//! From a report to records: the catalog of the series that there are, and readings coded against it.
//!
//! Pure: reports and times in, encoded bodies out. Invariants: a reading never goes out before the catalog it is coded
//! against; a series keeps its position within a catalog; catalogs of a run are numbered from 1.
//!
//! Each reading is a record, or several are collected into one. What is collected goes ahead of a new catalog, and the first reading of a
//! catalog goes at once: an event that names one of its series finds the hub knowing it.
//!
//! A new catalog is made when a series appears that the old one lacks, and when its references have gone stale. Series that
//! vanish become absent, and leave the list at the next catalog once they have been absent for a while.
//!
//! When references are stale is the ski-rental problem. Readings grow as values move away from their references; that excess
//! over the first reading's size is the rent, and a new catalog is the price of the skis. Whoever buys as soon as the rent
//! paid reaches the price never pays more than twice what perfect foresight would.

use crate::batch::Batch;
use crate::sensor::{Entry, Report};
use log::{debug, warn};
use rackside_proto::metric::Metric;
use rackside_proto::{Catalog, CatalogHead, Data, EncodeError, Label, Labels, Series, Time, Value, limits};
use std::time::{Duration, Instant};

/// A series that has been absent for this many readings is dropped from the next catalog: an hour at the usual tick. Not at
/// once, so that an interface that comes and goes does not make a catalog each time.
const FORGET: u32 = 360;

/// A catalog crosses the link twice: as a record, and in the birth.
const COPIES: usize = 2;

/// Room for what stands around a catalog in its record and in a birth.
const LARGEST: usize = limits::LARGE - 1024;

/// A record's body, for custody.
#[derive(Debug, PartialEq, Eq)]
pub enum Made {
    /// A catalog.
    Catalog {
        /// Its number.
        number: u32,
        /// The body.
        body: Vec<u8>,
    },
    /// Readings, coded against the newest catalog before them.
    Readings {
        /// The body.
        body: Vec<u8>,
        /// When the newest of them was taken.
        read: Instant,
    },
}

/// One series of the catalog in use.
#[derive(Debug)]
struct Listed {
    /// As it was last reported.
    entry: Entry,
    /// For how many readings it has been absent.
    absent: u32,
}

/// Makes records of reports.
#[derive(Debug)]
pub struct Sampler {
    boot_id: [u8; 16],
    tick_ms: u32,
    number: u32,
    listed: Vec<Listed>,
    references: Vec<Value>,
    /// The encoded catalog in use.
    catalog: Vec<u8>,
    /// The length of the first reading after the catalog was made; `None` until there is one.
    shortest: Option<usize>,
    /// What was read and is no record yet.
    batch: Batch,
    /// When readings last became a record.
    sent: Option<Instant>,
    /// Records that nobody has taken yet, in their order.
    made: Vec<Made>,
    /// The excess paid since then.
    rent: usize,
    /// How many series fit into a catalog, as far as is known.
    room: usize,
    said_full: bool,
    /// Whether the catalog says something that is no longer so.
    outdated: bool,
}

impl Sampler {
    /// A sampler without a catalog yet.
    pub fn new(boot_id: [u8; 16], tick_ms: u32) -> Self {
        Self {
            boot_id,
            tick_ms,
            number: 0,
            listed: Vec::new(),
            references: Vec::new(),
            catalog: Vec::new(),
            shortest: None,
            batch: Batch::default(),
            sent: None,
            made: Vec::new(),
            rent: 0,
            room: limits::SERIES,
            said_full: false,
            outdated: false,
        }
    }

    /// Another tick from now on: the next reading brings a catalog that says so.
    pub fn tick(&mut self, tick_ms: u32) {
        self.outdated |= self.tick_ms != tick_ms;
        self.tick_ms = tick_ms;
    }

    /// The encoded catalog in use, for the birth; `None` before the first.
    pub fn catalog(&self) -> Option<&[u8]> {
        (self.number > 0).then_some(self.catalog.as_slice())
    }

    /// The number of the catalog in use; 0 before the first.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// How many series the catalog in use has.
    pub fn series(&self) -> usize {
        self.listed.len()
    }

    /// Where a series stands in the catalog in use: the catalog's number and its position there.
    pub fn position(&self, metric: &'static Metric, labels: &[String]) -> Option<(u32, u32)> {
        let is_it =
            |listed: &Listed| std::ptr::eq(listed.entry.metric, metric) && listed.entry.labels == labels;
        self.listed.iter().position(is_it).map(|at| (self.number, at as u32))
    }

    /// How many readings are collected and no record yet.
    pub(crate) const fn collected(&self) -> usize {
        self.batch.len()
    }

    /// Codes one report, taken at this moment on both clocks. Readings that are taken within `together` become one record.
    pub fn sample(
        &mut self,
        report: &Report,
        (time, now): (Time, Instant),
        together: Option<Duration>,
    ) -> Result<(), EncodeError> {
        let new = self.update(report);
        let stale = self.rent > COPIES * self.catalog.len();
        let renewed = new || stale || self.outdated || self.number == 0;
        if renewed || !self.batch.takes(self.number, time) {
            self.flush();
        }
        if renewed {
            let (number, body) = self.renew(time)?;
            self.made.push(Made::Catalog { number, body });
        }
        let values = self.listed.iter().map(|listed| listed.entry.value).collect();
        let is_first = self.batch.len() == 0;
        let cost = self.batch.add(self.number, &self.references, values, (time, now))?;
        if is_first {
            // The others are coded against the one before them.
            let shortest = *self.shortest.get_or_insert(cost);
            self.rent += cost.saturating_sub(shortest);
        }
        let half = Duration::from_millis(self.tick_ms.into()) / 2;
        let waits = |together| self.sent.is_some_and(|sent| now + half < sent + together);
        if renewed || !together.is_some_and(waits) {
            self.flush();
            self.sent = Some(now);
        }
        Ok(())
    }

    /// Makes a record of what is collected.
    pub fn flush(&mut self) {
        self.made.extend(self.batch.take().map(|(body, read)| Made::Readings { body, read }));
    }

    /// The records that were made since this was last asked.
    pub fn take_made(&mut self) -> Vec<Made> {
        std::mem::take(&mut self.made)
    }

    /// Takes over the report's values. True if it has a series that the catalog lacks.
    fn update(&mut self, report: &Report) -> bool {
        let entries = report.entries();
        let mut is_listed = vec![false; entries.len()];
        let mut next = 0;
        for listed in &mut self.listed {
            if let Some((at, entry)) = find(entries, next, &listed.entry) {
                listed.entry.value = entry.value;
                is_listed[at] = true;
                next = at + 1;
            } else if report.has_failed(listed.entry.sensor) {
                listed.entry.value = Value::Unknown;
            } else {
                listed.entry.value = Value::Absent;
            }
            let absent = listed.entry.value == Value::Absent;
            listed.absent = if absent { listed.absent.saturating_add(1) } else { 0 };
        }
        let mut fresh: Vec<&Entry> = entries
            .iter()
            .zip(is_listed)
            .filter(|(_, is_listed)| !is_listed)
            .map(|(entry, _)| entry)
            .collect();
        if self.listed.len() + fresh.len() > self.room {
            // Whoever leaves makes room for somebody who comes, so there will be a new catalog.
            self.listed.retain(|listed| listed.absent == 0);
        }
        fresh.sort_by_key(|entry| is_one_of_many(entry));
        let room = self.room.saturating_sub(self.listed.len()).min(fresh.len());
        self.listed.extend(fresh[..room].iter().map(|entry| Listed { entry: (*entry).clone(), absent: 0 }));
        if room < fresh.len() {
            self.say_full(fresh.len() - room);
        }
        room > 0
    }

    fn say_full(&mut self, left_out: usize) {
        if !std::mem::replace(&mut self.said_full, true) {
            let (most, kib) = (limits::SERIES, limits::LARGE / 1024);
            warn!("{left_out} series are left out: a catalog holds {most}, and {kib} KiB");
        }
    }

    /// Makes a catalog of what is listed, with the present values as references.
    fn renew(&mut self, time: Time) -> Result<(u32, Vec<u8>), EncodeError> {
        let before = self.listed.len();
        self.listed.retain(|listed| listed.absent < FORGET);
        if self.listed.len() < before {
            self.room = limits::SERIES;
        }
        // The catalog stands in the sensors' order, whenever a series appeared.
        self.listed.sort_by_key(|listed| listed.entry.sensor);
        let number = self.number + 1;
        let head = CatalogHead { number, time, boot_id: self.boot_id, tick_ms: self.tick_ms };
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            Catalog::encode(&head, self.listed.iter().map(|listed| series(&listed.entry)), &mut bytes)?;
            if bytes.len() <= LARGEST {
                break;
            }
            // Their names are too long for so many; what is cut would otherwise look new at each reading.
            self.room = self.listed.len() * 7 / 8;
            self.say_full(self.listed.len() - self.room);
            self.listed.sort_by_key(|listed| is_one_of_many(&listed.entry));
            self.listed.truncate(self.room);
            self.listed.sort_by_key(|listed| listed.entry.sensor);
        }
        self.number = number;
        self.references = self.listed.iter().map(|listed| listed.entry.value).collect();
        self.catalog = bytes;
        self.shortest = None;
        self.rent = 0;
        self.outdated = false;
        debug!("catalog {number}: {} series, {} bytes", self.listed.len(), self.catalog.len());
        let mut record = Vec::with_capacity(self.catalog.len() + 1);
        Data::encode_catalog(&self.catalog, &mut record)?;
        Ok((number, record))
    }
}

/// Where a series stands in a report, looked for from `from` on and then from the front: whoever asks in about the report's order looks
/// at one entry each time, however many there are.
fn find<'a>(entries: &'a [Entry], from: usize, wanted: &Entry) -> Option<(usize, &'a Entry)> {
    let places = || entries.iter().enumerate();
    places().skip(from).chain(places().take(from)).find(|(_, entry)| entry.is_same_series(wanted))
}

/// Whether there may be any number of its kind, as of mounts and interfaces: those are left out first where room is short.
const fn is_one_of_many(entry: &Entry) -> bool {
    !entry.labels.is_empty()
}

fn series(entry: &Entry) -> Series<'_> {
    let metric = entry.metric;
    let mut labels = Labels::new();
    // A label that is empty is none, as Prometheus has it.
    for (name, value) in metric.labels.iter().zip(&entry.labels).filter(|(_, value)| !value.is_empty()) {
        labels.push(Label { name, value }).expect("the vocabulary has fewer labels than the wire allows");
    }
    Series {
        name: metric.name,
        labels,
        unit: metric.unit,
        kind: metric.kind,
        scale: entry.scale,
        reference: entry.value,
    }
}

#[cfg(test)]
mod tests;
