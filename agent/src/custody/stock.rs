//! What is held, wherever it lies: records of earlier runs and the older part of this run on the disk, the newer part in memory.
//!
//! ```text
//!              disk                             memory
//! run 7a3f01bc │ 120 … 1999 │
//! run 04c2a9e1 │ 0 … 830    │
//! this run     │ 40 … 75    │ 76 77 78 79 80    next = 81
//! ```
//!
//! Nothing is written while acks move. Once none has for `spill_after`, or memory is full, all that is in memory goes to the disk
//! with one write and one sync, and again each time that the oldest record in memory has waited for so long. A disk that fails is
//! said once and tried again; memory goes on meanwhile, and what does not fit there is dropped, the oldest first.
//!
//! Invariants: a record is in one of the two places, or it was let go (acked), or counted as dropped; what is on the disk is older
//! than what is in memory.

use super::held::{Held, HeldRecord};
use super::{Limits, TooLarge};
use crate::spool::{Holding, Kind, Spool, SpoolError, Stored};
use log::{debug, info, warn};
use rackside_proto::{Channel, Run};
use std::io;
use std::time::{Duration, Instant};

/// After a failed write, when the next is tried.
const WRITE_AGAIN: Duration = Duration::from_secs(30);
/// After a failed read, when the next is tried. The spool takes what fails three times for damage and steps over it, so a
/// segment that cannot be read at all is behind us after some minutes.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Where a record stands among all that are held: earlier runs first, by age, then this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The run's place in [`Stock::earlier`]; [`Rank::MAX`] for this run.
    rank: Rank,
    pub(super) seq: u64,
}

type Rank = usize;

impl Place {
    /// Before everything.
    pub(super) const FIRST: Self = Self { rank: 0, seq: 0 };

    /// In this run.
    pub(super) const fn own(seq: u64) -> Self {
        Self { rank: Rank::MAX, seq }
    }

    /// In this run, or in an earlier one.
    pub(super) const fn is_own(self) -> bool {
        self.rank == Rank::MAX
    }

    pub(super) const fn following(self) -> Self {
        Self { seq: self.seq + 1, ..self }
    }
}

/// A record that was looked up; its body is in [`Stock::body`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) run: Run,
    pub(super) channel: Channel,
    /// The number of the catalog that it uses, or is; 0 for none.
    pub(super) catalog: u32,
    pub(super) is_catalog: bool,
    /// When it was made; `None` for one from the disk, which is long ago.
    pub(super) made: Option<Instant>,
}

/// Something that failed.
#[derive(Debug)]
struct Trouble {
    /// When it is tried again; `None` when that may be done now.
    again: Option<Instant>,
    /// Whether the files are not there any more.
    is_gone: bool,
}

impl Trouble {
    fn new(error: &SpoolError, again: Instant) -> Self {
        let is_gone =
            matches!(error, SpoolError::Io { error, .. } if error.kind() == io::ErrorKind::NotFound);
        Self { again: Some(again), is_gone }
    }

    fn waits(&self, now: Instant) -> bool {
        self.again.is_some_and(|again| again > now)
    }
}

/// Everything that is held.
#[derive(Debug)]
pub(super) struct Stock {
    memory: Held,
    disk: Option<Spool>,
    /// The runs that the disk held when it was attached, the oldest first, without this one.
    earlier: Vec<Run>,
    /// What the disk holds of each run, as of the last change.
    holdings: Vec<Holding>,
    /// Runs of which the disk gives nothing any more. Their files stay: another day it may.
    unreadable: Vec<Run>,
    spill_after: Duration,
    /// When the oldest of the records of this run that went to the disk was made.
    spilled: Option<Instant>,
    /// When an ack last moved.
    moved: Option<Instant>,
    cannot_write: Option<Trouble>,
    /// Whether it is known to take nothing, although nothing was tried.
    is_doubted: bool,
    cannot_read: Option<Trouble>,
    /// The body of the record from the disk that was looked up last.
    body: Vec<u8>,
    /// Records on a disk that was taken away, or that could not be read while memory was full.
    abandoned: u64,
    /// How many of these are on the disk that was taken away last.
    taken_away: u64,
    /// What earlier spools of this run counted.
    dropped_before: u64,
    damaged_before: u64,
    /// Whether this silence of the hub was said to send records to the disk, and to have cost some.
    said_spill: bool,
    said_drop: bool,
}

impl Stock {
    pub(super) const fn new(run: Run, limits: Limits) -> Self {
        Self {
            memory: Held::new(run, limits.memory),
            disk: None,
            earlier: Vec::new(),
            holdings: Vec::new(),
            unreadable: Vec::new(),
            spill_after: limits.spill_after,
            spilled: None,
            moved: None,
            cannot_write: None,
            is_doubted: false,
            cannot_read: None,
            body: Vec::new(),
            abandoned: 0,
            taken_away: 0,
            dropped_before: 0,
            damaged_before: 0,
            said_spill: false,
            said_drop: false,
        }
    }

    pub(super) fn limit(&mut self, limits: Limits) {
        self.memory.limit(limits.memory);
        self.spill_after = limits.spill_after;
    }

    pub(super) fn limit_disk(&mut self, bytes: u64) {
        if let Some(disk) = &mut self.disk {
            disk.limit(bytes);
        }
    }

    /// A disk is there, with what earlier runs left on it.
    pub(super) fn attach(&mut self, disk: Spool) {
        self.detach();
        self.disk = Some(disk);
        self.look();
        let run = self.run();
        self.earlier = self.holdings.iter().map(|holding| holding.run).filter(|held| *held != run).collect();
        // A disk that comes back has part of this run; memory begins where that ends.
        let next = self.holdings.iter().find(|holding| holding.run == run).map_or(0, |own| own.next);
        self.memory.let_go(next);
        let found_again = self.on_disk().min(std::mem::take(&mut self.taken_away));
        self.abandoned -= found_again;
    }

    /// The disk is gone, with what is on it.
    pub(super) fn detach(&mut self) {
        if let Some(disk) = self.disk.take() {
            self.dropped_before += disk.dropped();
            self.damaged_before += disk.damaged();
            self.taken_away = self.on_disk();
            self.abandoned += self.taken_away;
        }
        self.holdings.clear();
        self.unreadable.clear();
        self.earlier.clear();
        (self.cannot_write, self.cannot_read) = (None, None);
        self.is_doubted = false;
    }

    /// Somebody knows without trying that the disk takes nothing, or takes things again.
    pub(super) fn doubt(&mut self, doubted: bool) {
        if std::mem::replace(&mut self.is_doubted, doubted) && !doubted {
            self.cannot_write = None;
        }
    }

    /// Whether the disk has lost its files: only opening it anew can help.
    pub(super) fn is_gone(&self) -> bool {
        [&self.cannot_write, &self.cannot_read].into_iter().flatten().any(|trouble| trouble.is_gone)
    }

    pub(super) const fn has_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// Whether there is a disk that takes what it is given.
    pub(super) const fn is_durable(&self) -> bool {
        self.disk.is_some() && self.cannot_write.is_none() && !self.is_doubted
    }

    pub(super) const fn run(&self) -> Run {
        self.memory.run()
    }

    pub(super) fn next(&self) -> u64 {
        self.memory.next()
    }

    /// The lowest number of this run that is in memory.
    pub(super) const fn first_in_memory(&self) -> u64 {
        self.memory.first()
    }

    /// The lowest number of this run that is held.
    pub(super) fn floor(&self) -> u64 {
        self.floor_of(self.run()).unwrap_or(self.memory.first())
    }

    /// The lowest number of a run that is held; `None` when none is.
    pub(super) fn floor_of(&self, run: Run) -> Option<u64> {
        let on_disk = self.holdings.iter().find(|holding| holding.run == run).map(|holding| holding.floor);
        let in_memory =
            (run == self.run() && self.memory.first() < self.memory.next()).then(|| self.memory.first());
        on_disk.or(in_memory)
    }

    /// How many records the disk holds; holes count.
    fn on_disk(&self) -> u64 {
        self.holdings.iter().map(|holding| holding.next - holding.floor).sum()
    }

    pub(super) fn backlog(&self) -> u64 {
        self.on_disk() + self.in_memory()
    }

    pub(super) fn in_memory(&self) -> u64 {
        self.memory.next() - self.memory.first()
    }

    pub(super) fn bytes_on_disk(&self) -> u64 {
        self.disk.as_ref().map_or(0, Spool::bytes)
    }

    pub(super) const fn bytes_in_memory(&self) -> usize {
        self.memory.bytes()
    }

    /// How many records of earlier runs the disk holds; holes count.
    pub(super) fn earlier_records(&self) -> u64 {
        let earlier = self.holdings.iter().filter(|holding| holding.run != self.run());
        earlier.map(|holding| holding.next - holding.floor).sum()
    }

    /// When the oldest record of this run was made, or one that the disk does not hold any more.
    pub(super) fn oldest_made(&self) -> Option<Instant> {
        self.spilled.filter(|_| self.is_spilled()).or_else(|| self.memory.oldest_made())
    }

    /// Whether the disk holds records of this run.
    fn is_spilled(&self) -> bool {
        self.holdings.iter().any(|holding| holding.run == self.run())
    }

    pub(super) fn dropped(&self) -> u64 {
        let disk = self.disk.as_ref().map_or(0, Spool::dropped);
        self.memory.dropped() + self.abandoned + self.dropped_before + disk
    }

    pub(super) fn damaged(&self) -> u64 {
        self.damaged_before + self.disk.as_ref().map_or(0, Spool::damaged)
    }

    /// Takes a record at the end of this run.
    pub(super) fn put(
        &mut self,
        channel: Channel,
        catalog: Option<u32>,
        body: Vec<u8>,
        now: Instant,
    ) -> Result<u64, TooLarge> {
        let seq = self.memory.put(channel, catalog, body, now)?;
        if self.memory.is_over() {
            self.make_room(now);
        }
        Ok(seq)
    }

    /// Memory is full.
    fn make_room(&mut self, now: Instant) {
        if !self.cannot_write.as_ref().is_some_and(|trouble| trouble.waits(now)) {
            self.spill(now);
        }
        if !self.memory.is_over() {
            return;
        }
        // What cannot be read is older than what is in memory, and holds that back: the hub does not ack past it.
        if self.cannot_read.is_some()
            && let Some(own) = self.holdings.iter().find(|holding| holding.run == self.run()).copied()
        {
            self.abandoned += own.next - own.floor;
            self.let_go_on_disk(own.run, own.next);
        }
        self.memory.drop_oldest();
        if !std::mem::replace(&mut self.said_drop, true) {
            warn!("the spool is full: the oldest records are dropped until the hub acknowledges again");
        }
    }

    /// When what is in memory should go to the disk, if no ack moves before. Acks that crawl, on a link that loses much, put it
    /// off once: a power cut must not take more than that.
    pub(super) fn spill_at(&self) -> Option<Instant> {
        let oldest = self.disk.as_ref().and(self.memory.oldest_made())?;
        let quiet = self.moved.map_or(oldest, |moved| moved.max(oldest)) + self.spill_after;
        let quiet = quiet.min(oldest + 2 * self.spill_after);
        let again = self.cannot_write.as_ref().and_then(|trouble| trouble.again);
        Some(again.map_or(quiet, |again| quiet.max(again)))
    }

    /// As [`spill`](Self::spill), because the process ends and not because the hub is silent.
    pub(super) fn spill_at_the_end(&mut self, now: Instant) {
        self.said_spill = true;
        self.spill(now);
    }

    /// Writes what is in memory to the disk.
    pub(super) fn spill(&mut self, now: Instant) {
        if !self.is_spilled() {
            self.spilled = self.memory.oldest_made();
        }
        let Self { memory, disk: Some(disk), .. } = self else { return };
        let run = memory.run();
        let before = disk.dropped();
        let done = disk.append(run, memory.records().map(stored), &|number| memory.catalog(number));
        // What was written before a failure is safe, too.
        let safe = if done.is_ok() { memory.next() } else { disk.written(run) };
        let dropped = disk.dropped() - before;
        let moved = self.in_memory();
        self.memory.let_go(safe);
        self.look();
        if dropped > 0 && !std::mem::replace(&mut self.said_drop, true) {
            warn!("the spool is full: the oldest records are dropped until the hub acknowledges again");
        }
        match done {
            Ok(_) => {
                if self.cannot_write.take().is_some() {
                    info!("the spool can be written again");
                }
                if !std::mem::replace(&mut self.said_spill, true) {
                    info!("the hub does not acknowledge; records go to the disk until it does");
                }
                debug!("{moved} records went to the disk, {} bytes are there", self.bytes_on_disk());
            }
            Err(error) => self.write_failed(&error, now),
        }
    }

    fn write_failed(&mut self, error: &SpoolError, now: Instant) {
        if self.cannot_write.replace(Trouble::new(error, now + WRITE_AGAIN)).is_none() {
            warn!("the spool fails: {error}; records stay in memory only, and the disk is tried again");
        }
    }

    /// The hub has what is below `below`. Says whether anything went.
    pub(super) fn let_go(&mut self, run: Run, below: u64) -> bool {
        let before = self.floor_of(run);
        if before.is_none_or(|floor| below <= floor) {
            return false;
        }
        self.let_go_on_disk(run, below);
        if run == self.run() {
            self.memory.let_go(below);
        }
        if !self.earlier.is_empty() && self.holdings.iter().all(|holding| holding.run == self.run()) {
            info!("the hub has what earlier runs left");
            self.earlier.clear();
        }
        if self.holdings.is_empty() && std::mem::take(&mut self.said_spill) {
            info!("the hub has what was on the disk");
        }
        self.said_drop &= self.backlog() > 0;
        true
    }

    fn let_go_on_disk(&mut self, run: Run, below: u64) {
        let Some(disk) =
            self.disk.as_mut().filter(|_| self.holdings.iter().any(|holding| holding.run == run))
        else {
            return;
        };
        // A file that cannot be removed now is removed later; what is in it is sent again at worst.
        if let Err(error) = disk.let_go(run, below) {
            debug!("{error}");
        }
        self.look();
    }

    /// An ack moved: memory is enough.
    pub(super) const fn moved(&mut self, now: Instant) {
        self.moved = Some(now);
    }

    /// Takes note of what the disk holds.
    fn look(&mut self) {
        self.holdings = self.disk.as_mut().map_or_else(Vec::new, Spool::runs);
        self.holdings.retain(|holding| !self.unreadable.contains(&holding.run));
    }

    /// The oldest place of this run or of earlier ones that may hold something.
    pub(super) fn oldest(&self) -> Option<Place> {
        let rank = |run: Run| self.earlier.iter().position(|earlier| *earlier == run).unwrap_or(Rank::MAX);
        let on_disk =
            self.holdings.first().map(|holding| Place { rank: rank(holding.run), seq: holding.floor });
        let in_memory = (self.in_memory() > 0).then(|| Place::own(self.memory.first()));
        on_disk.or(in_memory)
    }

    /// Looks up the first record that is held at `place` or behind it. What the disk does not give is left out, and tried again
    /// later: [`read_at`](Self::read_at).
    pub(super) fn find(&mut self, place: Place, now: Instant) -> Option<Found> {
        if !self.cannot_read.as_ref().is_some_and(|trouble| trouble.waits(now)) {
            match self.find_on_disk(place) {
                Ok(found) => {
                    let is_over = found.is_some_and(|found| found.made.is_none()) || self.holdings.is_empty();
                    if is_over && self.cannot_read.take().is_some() {
                        info!("the spool can be read again");
                    }
                    if found.is_some() {
                        return found;
                    }
                }
                Err(error) => {
                    let trouble = Trouble::new(&error, now + READ_AGAIN);
                    if self.cannot_read.replace(trouble).is_none() {
                        warn!("the spool fails: {error}; it is tried again, and newer records go on");
                    }
                }
            }
        }
        let seq = if place.is_own() { place.seq.max(self.memory.first()) } else { self.memory.first() };
        let record = self.memory.record(seq)?;
        let HeldRecord { channel, catalog, is_catalog, made, .. } = record;
        let place = Place::own(seq);
        Some(Found { place, run: self.run(), channel, catalog, is_catalog, made: Some(made) })
    }

    fn find_on_disk(&mut self, place: Place) -> Result<Option<Found>, SpoolError> {
        let Some(disk) = &mut self.disk else { return Ok(None) };
        let damaged = disk.damaged();
        let (mut found, mut unreadable) = (None, Vec::new());
        // Both are in the order of age; there may be a thousand runs.
        let mut earlier = self.earlier.iter().enumerate();
        for holding in &self.holdings {
            let run = holding.run;
            let rank = earlier.find(|(_, earlier)| **earlier == run).map_or(Rank::MAX, |(rank, _)| rank);
            let from = if rank == place.rank { place.seq } else { 0 };
            if rank < place.rank || from >= holding.next {
                continue;
            }
            if let Some(Stored { seq, kind, catalog, body }) = disk.next_from(run, from)? {
                self.body = body;
                let (place, is_catalog) = (Place { rank, seq }, kind == Kind::Catalog);
                found = Some(Found { place, run, channel: kind.channel(), catalog, is_catalog, made: None });
                break;
            }
            if from <= holding.floor {
                unreadable.push(run);
            }
        }
        if damaged != disk.damaged() || !unreadable.is_empty() {
            for run in &unreadable {
                warn!("nothing more can be read of run {run}; its files stay in the spool");
            }
            self.unreadable.append(&mut unreadable);
            self.look();
        }
        Ok(found)
    }

    /// When a disk that could not be read is tried again.
    pub(super) fn read_at(&self) -> Option<Instant> {
        self.cannot_read.as_ref()?.again
    }

    /// What could not be read may be looked up again.
    pub(super) const fn read_again(&mut self) {
        if let Some(trouble) = &mut self.cannot_read {
            trouble.again = None;
        }
    }

    /// The body of what was found last.
    pub(super) fn body(&self, found: &Found) -> &[u8] {
        match found.made {
            Some(_) => self.memory.record(found.place.seq).map_or(&[], |record| record.body),
            None => &self.body,
        }
    }

    /// Remembers that a record in memory was handed out.
    pub(super) fn sent(&mut self, found: &Found) {
        if found.made.is_some() {
            self.memory.sent(found.place.seq);
        }
    }

    /// The first of the newest records that were made since `since` and never handed out.
    pub(super) fn fresh_since(&self, since: Instant) -> u64 {
        self.memory.fresh_since(since)
    }

    /// The catalog of that number of a run: its record's number, and its body.
    pub(super) fn catalog(&mut self, run: Run, number: u32) -> Option<(u64, Vec<u8>)> {
        if run == self.run()
            && let Some((seq, body)) = self.memory.catalog(number)
        {
            return Some((seq, body.to_vec()));
        }
        let read = self.disk.as_mut()?.catalog(run, number);
        read.unwrap_or_else(|error| {
            debug!("{error}");
            None
        })
    }
}

/// As the spool takes it.
fn stored(record: HeldRecord<'_>) -> Stored<&[u8]> {
    let kind = match record.channel {
        _ if record.is_catalog => Kind::Catalog,
        Channel::Event => Kind::Event,
        _ => Kind::Readings,
    };
    Stored { seq: record.seq, kind, catalog: record.catalog, body: record.body }
}
