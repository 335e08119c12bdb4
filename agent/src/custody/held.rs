//! What is held in memory: the newest records of this run in a row, and the catalogs that somebody may still need.
//!
//! Records of a run are numbered from 0 without gaps, so a queue and the number of its first are enough:
//!
//! ```text
//! seq        0 1 2 3 │ 4 5 6 7 8 9        first = 4, next = 10
//!            gone    │ held               to the hub, or to the disk
//! catalogs   1: seq 0, needed by 4, 5, 6 · 2: seq 7
//! ```
//!
//! A catalog's body is kept apart from its record, under the record's number: it is needed as long as a held record uses
//! it, and the newest one always, even when its own record is gone. What lies on the disk, of this run and of earlier ones, is
//! [`stock`](super::stock)'s business.

use super::TooLarge;
use rackside_proto::{Channel, Run, limits};
use std::collections::VecDeque;
use std::mem::size_of;
use std::time::Instant;

/// Longest envelope: version, run, seq, distance to floor, sending.
const ENVELOPE: usize = 1 + 4 + 10 + 10 + 1;

/// What the allocator and the queue take for a body, beside its bytes.
const OVERHEAD: usize = size_of::<Kept>() + 2 * size_of::<usize>();

#[derive(Debug)]
struct Kept {
    channel: Channel,
    /// The catalog in use when the record was made; for a catalog's record, itself.
    catalog: u32,
    /// The body; nothing for a catalog, which is kept apart.
    body: Box<[u8]>,
    made: Instant,
    /// Whether it was handed out, on whatever connection.
    sent: bool,
}

#[derive(Debug)]
struct KeptCatalog {
    number: u32,
    seq: u64,
    body: Box<[u8]>,
}

/// A record as it is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldRecord<'a> {
    pub(super) seq: u64,
    pub(super) channel: Channel,
    /// The number of the catalog that it uses, or is.
    pub(super) catalog: u32,
    pub(super) is_catalog: bool,
    pub(super) body: &'a [u8],
    pub(super) made: Instant,
}

/// The records of a run between first and next.
#[derive(Debug)]
pub(super) struct Held {
    run: Run,
    first: u64,
    records: VecDeque<Kept>,
    catalogs: VecDeque<KeptCatalog>,
    bytes: usize,
    limit: usize,
    dropped: u64,
}

impl Held {
    pub(super) const fn new(run: Run, limit: usize) -> Self {
        Self {
            run,
            first: 0,
            records: VecDeque::new(),
            catalogs: VecDeque::new(),
            bytes: 0,
            limit,
            dropped: 0,
        }
    }

    /// Another bound, from the next record on.
    pub(super) const fn limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    pub(super) const fn run(&self) -> Run {
        self.run
    }

    /// The lowest number that is held here; [`next`](Self::next) when none is.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Adds a record at the end and returns its number. `catalog` says that it is one, and which.
    pub(super) fn put(
        &mut self,
        channel: Channel,
        catalog: Option<u32>,
        body: Vec<u8>,
        made: Instant,
    ) -> Result<u64, TooLarge> {
        let limit = if catalog.is_some() { limits::LARGE } else { limits::SMALL } - ENVELOPE;
        if body.len() > limit {
            return Err(TooLarge { len: body.len(), limit });
        }
        let seq = self.next();
        let mut body = body.into_boxed_slice();
        let number = if let Some(number) = catalog {
            let body = std::mem::take(&mut body);
            self.bytes += body.len() + OVERHEAD;
            self.catalogs.push_back(KeptCatalog { number, seq, body });
            number
        } else {
            self.catalogs.back().map_or(0, |newest| newest.number)
        };
        self.bytes += body.len() + OVERHEAD;
        self.records.push_back(Kept { channel, catalog: number, body, made, sent: false });
        self.forget_catalogs();
        Ok(seq)
    }

    /// Whether more is held than the bound allows. The newest record stays, whatever the bound: an agent that holds nothing is
    /// of no use.
    pub(super) fn is_over(&self) -> bool {
        self.bytes > self.limit && self.records.len() > 1
    }

    /// Drops the oldest records until the bound is kept.
    pub(super) fn drop_oldest(&mut self) {
        while self.is_over() {
            self.pop();
            self.dropped += 1;
        }
        self.forget_catalogs();
    }

    /// Lets go every record below `below`, which is at most [`next`](Self::next).
    pub(super) fn let_go(&mut self, below: u64) {
        while self.first < below.min(self.next()) {
            self.pop();
        }
        self.forget_catalogs();
    }

    fn pop(&mut self) {
        if let Some(record) = self.records.pop_front() {
            self.bytes -= record.body.len() + OVERHEAD;
            self.first += 1;
        }
    }

    fn forget_catalogs(&mut self) {
        let newest = self.catalogs.back().map_or(0, |newest| newest.number);
        let needed = self.records.front().map_or(newest, |oldest| oldest.catalog);
        while self.catalogs.front().is_some_and(|catalog| catalog.number < needed) {
            if let Some(catalog) = self.catalogs.pop_front() {
                self.bytes -= catalog.body.len() + OVERHEAD;
            }
        }
    }

    /// The first of the newest records that were made since `since` and never handed out.
    pub(super) fn fresh_since(&self, since: Instant) -> u64 {
        let fresh = self.records.iter().rev().take_while(|record| !record.sent && record.made >= since);
        self.next() - fresh.count() as u64
    }

    /// Bytes of what is held, with what it takes to keep them.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest record here was made.
    pub(super) fn oldest_made(&self) -> Option<Instant> {
        self.records.front().map(|record| record.made)
    }

    /// The record of this number.
    pub(super) fn record(&self, seq: u64) -> Option<HeldRecord<'_>> {
        let at = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        let record = self.records.get(at)?;
        let catalog = self.catalogs.iter().find(|catalog| catalog.seq == seq);
        Some(HeldRecord {
            seq,
            channel: record.channel,
            catalog: record.catalog,
            is_catalog: catalog.is_some(),
            body: catalog.map_or(&record.body, |catalog| &catalog.body),
            made: record.made,
        })
    }

    /// Every record here, in order.
    pub(super) fn records(&self) -> impl Iterator<Item = HeldRecord<'_>> {
        (self.first..self.next()).filter_map(|seq| self.record(seq))
    }

    /// The record of this number counts as sent from now on.
    pub(super) fn sent(&mut self, seq: u64) {
        let at = seq.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(record) = at.and_then(|at| self.records.get_mut(at)) {
            record.sent = true;
        }
    }

    /// The catalog of this number: its record's number, and its body.
    pub(super) fn catalog(&self, number: u32) -> Option<(u64, &[u8])> {
        let catalog = self.catalogs.iter().find(|catalog| catalog.number == number)?;
        Some((catalog.seq, &catalog.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn held(limit: usize) -> Held {
        Held::new(Run(7), limit)
    }

    fn body(held: &Held, seq: u64) -> Option<Vec<u8>> {
        held.record(seq).map(|record| record.body.to_vec())
    }

    #[test]
    fn records_are_numbered_from_0_without_gaps() {
        let mut held = held(1 << 20);
        let now = Clock::now();
        for seq in 0..5 {
            assert_eq!(held.put(Channel::Event, None, vec![seq as u8], now), Ok(seq));
        }
        held.let_go(3);
        assert_eq!((held.first(), held.next()), (3, 5));
        assert_eq!((body(&held, 2), body(&held, 3), body(&held, 5)), (None, Some(vec![3]), None));
        held.let_go(5);
        assert_eq!(held.put(Channel::Event, None, vec![5], now), Ok(5));
    }

    #[test]
    fn a_catalog_stays_as_long_as_a_held_record_uses_it() {
        let mut held = held(1 << 20);
        let now = Clock::now();
        held.put(Channel::Data, Some(1), vec![11], now).expect("fits");
        held.put(Channel::Data, None, vec![1], now).expect("fits");
        held.put(Channel::Data, Some(2), vec![22], now).expect("fits");
        held.put(Channel::Data, None, vec![2], now).expect("fits");
        assert_eq!(body(&held, 2), Some(vec![22]), "a catalog's record has its body");
        held.let_go(1);
        assert_eq!(held.catalog(1), Some((0, [11].as_slice())), "record 1 needs it");
        held.let_go(2);
        assert_eq!(held.catalog(1), None);
        held.let_go(4);
        assert_eq!(held.catalog(2), Some((2, [22].as_slice())), "the newest stays");
    }

    #[test]
    fn the_bound_drops_the_oldest_and_counts_them() {
        let mut held = held(10 * (100 + OVERHEAD));
        for _ in 0..25 {
            held.put(Channel::Data, None, vec![0; 100], Clock::now()).expect("fits");
            held.drop_oldest();
        }
        assert_eq!((held.first(), held.next(), held.dropped()), (15, 25, 15));
        assert_eq!(held.bytes, held.limit);
        held.let_go(25);
        assert_eq!(held.bytes, 0);
    }

    #[test]
    fn the_newest_record_is_held_however_small_the_bound() {
        let mut held = held(1);
        held.put(Channel::Data, Some(1), vec![0; 100], Clock::now()).expect("fits");
        held.put(Channel::Data, None, vec![0; 100], Clock::now()).expect("fits");
        held.drop_oldest();
        assert_eq!((held.first(), held.next()), (1, 2));
        assert!(held.catalog(1).is_some());
    }

    #[test]
    fn a_record_that_no_channel_carries_is_refused() {
        let mut held = held(1 << 20);
        let long = held.put(Channel::Data, None, vec![0; limits::SMALL], Clock::now());
        assert_eq!(long, Err(TooLarge { len: limits::SMALL, limit: limits::SMALL - ENVELOPE }));
        assert!(held.put(Channel::Data, Some(1), vec![0; limits::SMALL], Clock::now()).is_ok());
        assert_eq!(held.next(), 1, "it took no number");
    }
}
