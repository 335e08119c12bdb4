//! What must be readable, kept beside the spool: the promise in a few lines.
//!
//! Invariant that [`Bench::check`] holds the spool to: everything that it took (its append returned `Ok`, or `next` covered
//! it after an error) and neither let go nor dropped comes out; whatever comes out is what went in, in order, once; and its
//! catalog with it.

use super::*;
use crate::spool::cut::{CutDisk, Fate};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A record as it went in.
type Made = Stored<Vec<u8>>;

/// A spool on a disk whose power can be cut, and what it must hold.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) disk: CutDisk,
    limit: u64,
    run: Run,
    /// The number that the next record of the run gets.
    made_to: u64,
    /// The catalog in use, and its record.
    catalog: (u32, u64),
    /// Everything that was ever made.
    ever: BTreeMap<(Run, u64), Made>,
    catalogs: BTreeMap<(Run, u32), (u64, Vec<u8>)>,
    /// What was promised, in the order of the disk.
    held: VecDeque<(Run, u64)>,
    /// What was made and not taken yet: it is still in memory.
    unspilt: Vec<u64>,
}

impl Bench {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            disk: CutDisk::new(),
            limit,
            run: Run(1),
            made_to: 0,
            catalog: (0, 0),
            ever: BTreeMap::new(),
            catalogs: BTreeMap::new(),
            held: VecDeque::new(),
            unspilt: Vec::new(),
        }
    }

    /// The same, on a disk of its own.
    pub(super) fn fork(&self) -> Self {
        Self { disk: self.disk.fork(), ..self.clone() }
    }

    pub(super) fn open(&self) -> Result<(Spool, Recovery), SpoolError> {
        Spool::open(Box::new(self.disk.clone()), self.limit)
    }

    /// The agent starts again: what was in memory is gone.
    pub(super) fn next_run(&mut self) {
        self.run = Run(self.run.0 + 1);
        (self.made_to, self.catalog) = (0, (0, 0));
        self.unspilt.clear();
    }

    fn make_one(&mut self, kind: Kind, len: usize) {
        let seq = self.made_to;
        self.made_to += 1;
        if kind == Kind::Catalog {
            self.catalog = (self.catalog.0 + 1, seq);
        }
        let mut body = format!("{} {seq} {kind:?}", self.run).into_bytes();
        body.resize(body.len().max(len), seq as u8);
        if kind == Kind::Catalog {
            self.catalogs.insert((self.run, self.catalog.0), (seq, body.clone()));
        }
        let catalog = if kind == Kind::Event { 0 } else { self.catalog.0 };
        self.ever.insert((self.run, seq), Stored { seq, kind, catalog, body });
        self.unspilt.push(seq);
    }

    /// Makes a record; the first of a run is a catalog.
    pub(super) fn make(&mut self, kind: Kind, len: usize) {
        if self.catalog.0 == 0 {
            self.make_one(Kind::Catalog, 40);
        }
        self.make_one(kind, len);
    }

    /// Gives everything that is in memory to the spool, and believes its answer.
    pub(super) fn spill(&mut self, spool: &mut Spool) -> Result<Appended, SpoolError> {
        let (before, there) = (spool.dropped(), spool.written(self.run));
        let (ever, run, kept) = (&self.ever, self.run, &self.catalogs);
        let records = self.unspilt.iter().filter_map(|seq| ever.get(&(run, *seq))).map(|made| {
            let body = made.body.as_slice();
            Stored { seq: made.seq, kind: made.kind, catalog: made.catalog, body }
        });
        let catalog = |number| kept.get(&(run, number)).map(|(seq, body)| (*seq, body.as_slice()));
        let done = spool.append(run, records, &catalog);
        let safe = spool.written(run);
        // What the disk has of these with holes is now there once more, and counts from its new place.
        if let Some(again) = self.unspilt.iter().copied().find(|seq| *seq >= there).filter(|seq| *seq < safe)
        {
            self.held.retain(|(of, seq)| *of != run || *seq < again);
            self.held.extend((again..safe).map(|seq| (run, seq)));
        }
        self.unspilt.retain(|seq| *seq >= safe);
        self.held.drain(..(spool.dropped() - before) as usize);
        if let Ok(appended) = &done {
            assert_eq!(appended.dropped, spool.dropped() - before);
            assert_eq!(self.unspilt, [0; 0], "Ok means all");
        }
        done
    }

    /// The hub has everything of a run below `below`.
    pub(super) fn let_go(&mut self, spool: &mut Spool, run: Run, below: u64) -> Result<(), SpoolError> {
        self.held.retain(|(of, seq)| *of != run || *seq >= below);
        if run == self.run {
            self.unspilt.retain(|seq| *seq >= below);
        }
        spool.let_go(run, below)
    }

    /// The oldest run that is promised, and the numbers of it.
    pub(super) fn oldest(&self) -> Option<(Run, u64, u64)> {
        let run = self.held.front()?.0;
        let mut seqs = self.held.iter().filter(|(of, _)| *of == run).map(|(_, seq)| *seq);
        let first = seqs.next()?;
        Some((run, first, seqs.next_back().unwrap_or(first)))
    }

    /// The power comes back; the spool is opened, must keep the promise, and is believed from now on.
    pub(super) fn restart(&mut self, fate: Fate) -> Spool {
        self.disk.restart(fate);
        let (mut spool, recovery) = self.open().unwrap_or_else(|error| panic!("opens: {error}"));
        assert_eq!(recovery.aside, [""; 0]);
        self.reopened(&mut spool);
        self.next_run();
        spool
    }

    /// What was let go within a segment comes back when the spool is opened again, and is promised like the rest.
    pub(super) fn reopened(&mut self, spool: &mut Spool) {
        self.check(spool);
        self.held = self.walk(spool).into();
    }

    /// Everything that comes out, in order; each as it went in.
    fn walk(&self, spool: &mut Spool) -> Vec<(Run, u64)> {
        let mut out = Vec::new();
        for holding in spool.runs() {
            let mut seq = holding.floor;
            while let Some(record) = spool.next_from(holding.run, seq).expect("readable") {
                let key = (holding.run, record.seq);
                assert!((seq..holding.next).contains(&record.seq), "{key:?} is within {holding:?}");
                assert_eq!(Some(&record), self.ever.get(&key), "as it went in");
                out.push(key);
                seq = record.seq + 1;
            }
            let first = out.iter().find(|(run, _)| *run == holding.run).map(|(_, seq)| *seq);
            assert_eq!(first, Some(holding.floor), "the floor is there");
        }
        let mut once = out.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), out.len(), "nothing comes out twice");
        out
    }

    /// Whether the promise holds. A record that was not promised may come out, too.
    pub(super) fn check(&self, spool: &mut Spool) {
        let out: BTreeSet<_> = self.walk(spool).into_iter().collect();
        for key in &self.held {
            assert!(out.contains(key), "{key:?} was promised; there are {out:?}");
        }
        let used: BTreeSet<_> =
            out.iter().map(|(run, seq)| (*run, self.ever[&(*run, *seq)].catalog)).collect();
        for (run, number) in used.into_iter().filter(|(_, number)| *number != 0) {
            let there = spool.catalog(run, number).expect("readable");
            assert_eq!(there.as_ref(), self.catalogs.get(&(run, number)), "catalog {number} of {run}");
        }
    }

    /// As [`check`](Self::check), and nothing else comes out: so it is as long as the spool is not opened again.
    pub(super) fn check_promised(&self, spool: &mut Spool) {
        self.check(spool);
        assert_eq!(self.walk(spool), Vec::from(self.held.clone()));
    }

    /// As [`check_promised`](Self::check_promised), and within the bound: so it is while nothing fails.
    pub(super) fn check_exactly(&self, spool: &mut Spool) {
        self.check_promised(spool);
        let bound = self.limit + if spool.segments.len() > 1 { 0 } else { 1024 };
        assert!(spool.bytes() <= bound, "{} bytes of {}", spool.bytes(), self.limit);
    }
}
