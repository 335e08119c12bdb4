//! The spool: records of this run and of earlier ones on the disk, until the hub has them.
//!
//! It holds records in append-only segments of about 256 KiB, in the order in which they were given; nothing is ever rewritten.
//! Bytes, syncs, and what a power cut can take are in `FORMAT.md`. When to spill, and what is sent when, is custody's
//! business; whether a directory is worth a spool is [`place`]'s.
//!
//! ```text
//! 0000000000000003-7a3f01bc.seg   run 7a3f01bc  │ copy of catalog 2 │ 120 │ 121 │ … │ 1999
//! 0000000000000004-7a3f01bc.seg                 │ copy of catalog 2 │ 2000 │ catalog 3 = 2001 │ 2002 │ …
//! 0000000000000005-04c2a9e1.seg   run 04c2a9e1  │ catalog 1 = 0 │ 1 │ 2 │ …        ← the head: appended to
//! ```
//!
//! Invariants:
//! - what was given to [`append`](Spool::append) and is below [`written`](Spool::written) is synced to the disk;
//! - each segment has a copy of every catalog that its records use, so it is readable without the others;
//! - a record comes out as it went in, and once, or not at all;
//! - only a segment that this process made and wrote without an error is appended to;
//! - memory is one small buffer and 72 bytes a segment, however much is held.

#[cfg(any(test, feature = "simulation"))]
pub mod cut;
mod disk;
mod error;
mod frames;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod layout;
pub mod place;
mod read;
mod recover;
#[cfg(test)]
pub(crate) mod tests;
mod write;

pub use disk::{Disk, Folder, FolderError, Leftover, leftovers, path};
pub use error::SpoolError;

use frames::{Extent, Reader};
use layout::{HEADER, Label};
use rackside_proto::{Channel, Run};
use read::{Cursor, Fault};
use recover::{Found, scan};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;

/// Where a segment ends: a power cut, a flipped bit or the bound costs no more than one of these at a time.
const SEGMENT: u64 = 256 * 1024;
/// No segment that we wrote is longer: one that is nearly full takes a largest catalog and a record.
const SEGMENT_MOST: u64 = 1024 * 1024;
/// Most segments, however small: each restart of an agent that cannot reach its hub makes one.
const SEGMENTS_MOST: usize = 1024;
/// A record of the spool. Borrowed on its way in, owned on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored<B> {
    /// Its number in its run.
    pub seq: u64,
    /// What it is.
    pub kind: Kind,
    /// The catalog in use when it was made; a catalog's own number; 0 for none.
    pub catalog: u32,
    /// Its body, as it was first encoded.
    pub body: B,
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One or more readings.
    Readings,
    /// An event.
    Event,
    /// A catalog.
    Catalog,
}

impl Kind {
    /// Where such a record is sent.
    pub const fn channel(self) -> Channel {
        match self {
            Self::Readings | Self::Catalog => Channel::Data,
            Self::Event => Channel::Event,
        }
    }
}

/// What the spool holds of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// Whose records.
    pub run: Run,
    /// The lowest number that is held.
    pub floor: u64,
    /// One above the highest.
    pub next: u64,
}

/// What [`Spool::append`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Appended {
    /// Records that were written; those that were there already do not count.
    pub records: u64,
    /// Records of the oldest segments that had to make room.
    pub dropped: u64,
}

/// What [`Spool::open`] found, for the log and the counters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Segments with something readable.
    pub segments: usize,
    /// Readable records.
    pub records: u64,
    /// Bytes at the end of segments that were not written to the end: what a power cut leaves.
    pub tail_bytes: u64,
    /// Other bytes that are not sound.
    pub damaged_bytes: u64,
    /// Records that are missing between others. The hub may have them: what was let go can leave such a gap after a power cut.
    pub missing_records: u64,
    /// Segments without a readable record, which were removed.
    pub removed: usize,
    /// Files that are left alone, and why.
    pub aside: Vec<String>,
}

impl Recovery {
    /// Whether a person should hear of it. A torn tail is the usual end of a power cut and is none.
    pub const fn is_damaged(&self) -> bool {
        self.damaged_bytes > 0 || self.missing_records > 0 || !self.aside.is_empty()
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records in {} segments", self.records, self.segments)?;
        if self.tail_bytes > 0 {
            write!(f, "; {} bytes of an unfinished write", self.tail_bytes)?;
        }
        if self.damaged_bytes > 0 {
            write!(f, "; {} bytes are damaged", self.damaged_bytes)?;
        }
        if self.missing_records > 0 {
            write!(f, "; {} records are missing in between", self.missing_records)?;
        }
        for aside in &self.aside {
            write!(f, "; left alone: {aside}")?;
        }
        Ok(())
    }
}

/// A file of records of one run, as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    label: Label,
    /// Bytes that are sound and synced.
    len: u64,
    /// Bytes of the file.
    size: u64,
    /// The lowest number in it.
    first: u64,
    /// One above the highest; not above what a later segment of the run begins with.
    next: u64,
    /// How many it holds.
    records: u64,
    /// Whether some between `first` and `next` are not there.
    has_holes: bool,
    /// Up to where damage was counted.
    judged: u64,
    /// Whether this process wrote all of it, and synced it.
    is_ours: bool,
}

/// FORMAT.md says so.
const _: () = assert!(size_of::<Segment>() == 72 && HEADER == 32);

impl Segment {
    const fn empty(label: Label, size: u64) -> Self {
        let len = HEADER as u64;
        Self { label, len, size, first: 0, next: 0, records: 0, has_holes: false, judged: 0, is_ours: false }
    }

    const fn extent(&self) -> Extent {
        Extent { label: self.label, end: self.len }
    }

    /// How many of its records are not below `below`; where it has holes, at most so many.
    fn left(&self, below: u64) -> u64 {
        self.records.min(self.next.saturating_sub(self.first.max(below)))
    }
}

/// The records on the disk.
#[derive(Debug)]
pub struct Spool {
    disk: Box<dyn Disk>,
    reader: Reader,
    limit: u64,
    /// By number. The records of a run ascend through them.
    segments: VecDeque<Segment>,
    /// The catalogs in the last segment, if it may be appended to.
    head: Option<Vec<u32>>,
    next_number: u64,
    /// Up to where each run was let go, while something of it is held.
    below: Vec<(Run, u64)>,
    /// Files of failed appends that could not be removed yet.
    litter: Vec<Label>,
    cursor: Option<Cursor>,
    fault: Option<Fault>,
    /// Segments with places that did not read, and up to where these are taken for damage.
    passed: Vec<(Label, u64)>,
    dropped: u64,
    damaged: u64,
}

impl Spool {
    /// Reads what is there. `limit` bounds the bytes of all segments together.
    pub fn open(disk: Box<dyn Disk>, limit: u64) -> Result<(Self, Recovery), SpoolError> {
        let mut spool = Self {
            disk,
            reader: Reader::default(),
            limit,
            segments: VecDeque::new(),
            head: None,
            next_number: 1,
            below: Vec::new(),
            litter: Vec::new(),
            cursor: None,
            fault: None,
            passed: Vec::new(),
            dropped: 0,
            damaged: 0,
        };
        let recovery = spool.recover().map_err(|error| SpoolError::of("read", "the spool", error))?;
        spool.damaged = recovery.damaged_bytes;
        Ok((spool, recovery))
    }

    fn recover(&mut self) -> io::Result<Recovery> {
        let mut recovery = Recovery::default();
        let mut labels: Vec<_> = self.disk.list()?.iter().filter_map(|name| Label::parse(name)).collect();
        labels.sort_unstable();
        self.next_number = labels.last().map_or(1, |last| last.number.saturating_add(1));
        for label in labels {
            match scan(&mut self.reader, &mut *self.disk, label) {
                Ok(Found::Segment(scan)) => {
                    recovery.tail_bytes += scan.tail;
                    recovery.damaged_bytes += scan.damaged;
                    recovery.missing_records += scan.missing;
                    self.segments.push_back(scan.segment);
                }
                Ok(Found::Nothing { scan, all_read }) => {
                    recovery.tail_bytes += scan.tail;
                    recovery.damaged_bytes += scan.damaged;
                    if !all_read {
                        recovery.aside.push(format!("{label} cannot be read"));
                    } else if self.disk.remove(&label.to_string()).is_ok() {
                        recovery.removed += 1;
                    }
                }
                Ok(Found::Aside(why)) => recovery.aside.push(why),
                Err(error) => recovery.aside.push(format!("{label} cannot be read: {error}")),
            }
        }
        match self.sync_found() {
            // It can be read and sent, and no more is to be had of a card that ends so.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
            synced => synced?,
        }
        self.settle(&mut recovery);
        recovery.segments = self.segments.len();
        recovery.records = self.segments.iter().map(|segment| segment.records).sum();
        Ok(recovery)
    }

    /// A process that was killed leaves its last write to the kernel. What is offered from now on is on the medium.
    fn sync_found(&mut self) -> io::Result<()> {
        if self.segments.is_empty() {
            return Ok(());
        }
        for segment in &self.segments {
            self.disk.sync(&segment.label.to_string())?;
        }
        self.disk.sync_directory()
    }

    /// Two segments have the same records if a write failed and was repeated. What has them all gives them: the later one, unless
    /// that write was cut short and the earlier one has no holes.
    fn settle(&mut self, recovery: &mut Recovery) {
        let mut kept: Vec<Segment> = Vec::new();
        for segment in &mut self.segments {
            let mut at = kept.len();
            while let Some(before) = at.checked_sub(1).and_then(|at| kept.get_mut(at)) {
                if before.label.run == segment.label.run && before.next > segment.first {
                    if before.next > segment.next && !before.has_holes {
                        segment.records = 0;
                        break;
                    }
                    before.end_at(segment.first);
                }
                at -= 1;
            }
            kept.push(*segment);
        }
        self.segments = kept.into();
        recovery.removed += self.remove_if(|segment, _| segment.records == 0);
        let mut ends: Vec<(Run, u64)> = Vec::new();
        for segment in &self.segments {
            match ends.iter_mut().find(|(run, _)| *run == segment.label.run) {
                None => ends.push((segment.label.run, segment.next)),
                Some((_, end)) => {
                    recovery.missing_records += segment.first.saturating_sub(*end);
                    *end = segment.next.max(*end);
                }
            }
        }
    }
}

impl Segment {
    /// Forgets the records from `next` on.
    fn end_at(&mut self, next: u64) {
        if next < self.next {
            self.records = self.records.min(next.saturating_sub(self.first));
            self.next = next;
        }
    }
}

/// What is held.
impl Spool {
    /// What is held of each run, the oldest run first.
    pub fn runs(&mut self) -> Vec<Holding> {
        // In one walk: there may be a thousand runs, and this is asked with every acknowledgement.
        let below: HashMap<Run, u64> = self.below.iter().copied().collect();
        let mut places: HashMap<Run, usize> = HashMap::new();
        let mut holdings: Vec<(Holding, bool)> = Vec::new();
        for segment in &self.segments {
            let run = segment.label.run;
            let below = below.get(&run).copied().unwrap_or(0);
            if segment.next <= below {
                continue;
            }
            if let Some((holding, _)) = places.get(&run).and_then(|place| holdings.get_mut(*place)) {
                holding.next = holding.next.max(segment.next);
                continue;
            }
            places.insert(run, holdings.len());
            let holding = Holding { run, floor: segment.first.max(below), next: segment.next };
            holdings.push((holding, segment.has_holes));
        }
        let readable = |(holding, has_holes): (Holding, bool)| {
            if has_holes { self.holding(holding.run) } else { Some(holding) }
        };
        holdings.into_iter().filter_map(readable).collect()
    }

    /// What is held of a run; `None` when that is nothing, or nothing readable.
    pub fn holding(&mut self, run: Run) -> Option<Holding> {
        let below = self.below(run);
        let oldest = self.of(run).find(|segment| segment.next > below).copied()?;
        let mut floor = oldest.first.max(below);
        if oldest.has_holes {
            // The hub waits for the floor, so it must be there.
            floor = self.peek(run, floor).map_or(Some(floor), |found| found)?;
        }
        Some(Holding { run, floor, next: self.next(run) })
    }

    /// One above the highest record that is held of this run; 0 when none is.
    pub fn next(&self, run: Run) -> u64 {
        self.of(run).map(|segment| segment.next).max().unwrap_or(0)
    }

    /// What of a run is below this and was given to [`append`](Self::append), or found by [`open`](Self::open), is safe. It holds
    /// after an error, too, and is what memory may let go. What was found with holes does not count.
    pub fn written(&self, run: Run) -> u64 {
        let has_holes = self.of(run).any(|segment| !segment.is_ours && segment.has_holes);
        let safe = self.of(run).filter(|segment| segment.is_ours || !has_holes);
        safe.map(|segment| segment.next).max().unwrap_or(0)
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }

    /// Records that were let go because the bound was reached.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes that were found not to be sound; torn tails are not among them.
    pub const fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Another bound, from the next append on.
    pub const fn limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    fn of(&self, run: Run) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(move |segment| segment.label.run == run)
    }

    fn below(&self, run: Run) -> u64 {
        self.below.iter().find(|(of, _)| *of == run).map_or(0, |(_, below)| *below)
    }
}

/// Letting go.
impl Spool {
    /// Lets go what is below `below` of this run. Segments that hold nothing else are removed; nothing is written.
    pub fn let_go(&mut self, run: Run, below: u64) -> Result<(), SpoolError> {
        if self.of(run).next().is_none() {
            return Ok(());
        }
        match self.below.iter_mut().find(|(of, _)| *of == run) {
            Some((_, known)) => *known = below.max(*known),
            None => self.below.push((run, below)),
        }
        self.sweep()
    }

    /// Removes the segments that hold nothing any more.
    fn sweep(&mut self) -> Result<(), SpoolError> {
        let mut failed = None;
        let _removed = self.remove_where(|segment, below| segment.next <= below, &mut failed);
        let Self { below, segments, .. } = self;
        below.retain(|(run, _)| segments.iter().any(|segment| segment.label.run == *run));
        failed.map_or(Ok(()), Err)
    }

    fn remove_if(&mut self, is_empty: impl Fn(&Segment, u64) -> bool) -> usize {
        // What cannot be removed stays and is tried again with the next ack.
        self.remove_where(is_empty, &mut None)
    }

    fn remove_where(
        &mut self,
        is_empty: impl Fn(&Segment, u64) -> bool,
        failed: &mut Option<SpoolError>,
    ) -> usize {
        let before = self.segments.len();
        let last = self.segments.back().map(|last| last.label);
        let Self { segments, below, disk, .. } = self;
        segments.retain(|segment| {
            let run = segment.label.run;
            let below = below.iter().find(|(of, _)| *of == run).map_or(0, |(_, below)| *below);
            if !is_empty(segment, below) {
                return true;
            }
            match remove(&mut **disk, segment.label) {
                Ok(()) => false,
                Err(error) => {
                    *failed = Some(error);
                    true
                }
            }
        });
        if self.segments.back().map(|last| last.label) != last {
            self.head = None;
        }
        before - self.segments.len()
    }
}

fn remove(disk: &mut dyn Disk, label: Label) -> Result<(), SpoolError> {
    let name = label.to_string();
    match disk.remove(&name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SpoolError::of("remove", &name, error)),
        _ => Ok(()),
    }
}
