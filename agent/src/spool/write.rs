//! Appending: frames into a buffer, the buffer to the disk, one sync at the end, and only then does the spool hold them.
//!
//! Order, for each segment that a batch touches: make the file (if it is new), write, sync the file, sync the directory (if it
//! is new), remember. Whatever fails before the last step leaves the spool as if nothing had been given: a new file is removed,
//! one that had records is never appended to again.

use super::layout::{BODY_MOST, Label, What, header, put_frame};
use super::{Appended, Kind, SEGMENT, SEGMENTS_MOST, Segment, Spool, SpoolError, Stored, remove};
use rackside_proto::Run;

/// More than this is not kept in memory before it is handed to the disk.
const CHUNK: usize = 64 * 1024;

/// Frames on their way into one segment.
#[derive(Debug)]
struct Staged {
    label: Label,
    is_new: bool,
    /// Where the buffer will stand.
    offset: u64,
    buffer: Vec<u8>,
    first: u64,
    next: u64,
    /// The catalogs of the segment, with those of the buffer.
    catalogs: Vec<u32>,
}

impl Staged {
    const fn end(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    fn put(&mut self, what: What, (catalog, seq): (u32, u64), body: &[u8]) {
        let end = self.end();
        put_frame(&mut self.buffer, self.label, end, what, (catalog, seq), body);
        if matches!(what, What::Copy | What::Record(Kind::Catalog)) {
            self.catalogs.push(catalog);
        }
    }
}

impl Spool {
    /// Puts records of a run behind those that are held: one write and one sync for all, unless they fill a segment. When it
    /// returns `Ok`, they outlive a power cut; when not, those below [`written`](Self::written) do.
    ///
    /// `records` ascend; those that were appended before are passed over. `catalogs` gives a catalog's record number and body
    /// for each number that records use: every segment begins with a copy of those that it needs.
    pub fn append<'c, B: AsRef<[u8]>>(
        &mut self,
        run: Run,
        records: impl Iterator<Item = Stored<B>>,
        catalogs: &dyn Fn(u32) -> Option<(u64, &'c [u8])>,
    ) -> Result<Appended, SpoolError> {
        for label in std::mem::take(&mut self.litter) {
            remove(&mut *self.disk, label).inspect_err(|_| self.litter.push(label))?;
        }
        let mut appended = Appended::default();
        let mut open: Option<Staged> = None;
        let done = self.append_all(run, records, catalogs, &mut open, &mut appended);
        if let (Err(_), Some(staged)) = (&done, open) {
            self.give_up(&staged);
        }
        done.map(|()| appended)
    }

    fn append_all<'c, B: AsRef<[u8]>>(
        &mut self,
        run: Run,
        records: impl Iterator<Item = Stored<B>>,
        catalogs: &dyn Fn(u32) -> Option<(u64, &'c [u8])>,
        open: &mut Option<Staged>,
        appended: &mut Appended,
    ) -> Result<(), SpoolError> {
        let mut next = self.written(run);
        for record in records {
            if record.seq < next {
                continue;
            }
            let body = record.body.as_ref();
            if body.len() > BODY_MOST {
                return Err(SpoolError::TooLarge { seq: record.seq, len: body.len() });
            }
            if open.as_ref().is_some_and(|staged| staged.end() >= self.segment() || staged.next != record.seq)
            {
                self.commit(open, appended)?;
            }
            if open.is_none() {
                *open = Some(self.begin(run, record.seq)?);
            }
            let Some(staged) = open.as_mut() else { break };
            let number = record.catalog;
            if record.kind != Kind::Catalog && number != 0 && !staged.catalogs.contains(&number) {
                // Not to be had is no reason to lose the record.
                if let Some((seq, body)) = catalogs(number).filter(|(_, body)| body.len() <= BODY_MOST) {
                    staged.put(What::Copy, (number, seq), body);
                }
            }
            staged.put(What::Record(record.kind), (number, record.seq), body);
            staged.next = record.seq.saturating_add(1);
            next = staged.next;
            if staged.buffer.len() >= CHUNK {
                self.write(staged)?;
            }
        }
        self.commit(open, appended)
    }

    /// Where a segment ends: small bounds have small segments, so that dropping one does not drop all.
    fn segment(&self) -> u64 {
        SEGMENT.min(self.limit / 8).max(512)
    }

    /// The head, if this record can follow there; else a new segment.
    fn begin(&mut self, run: Run, seq: u64) -> Result<Staged, SpoolError> {
        let limit = self.segment();
        if let Some(head) = self.segments.back().copied()
            && head.label.run == run
            && head.next == seq
            && head.len < limit
            && let Some(catalogs) = self.head.clone()
        {
            let (label, offset) = (head.label, head.len);
            return Ok(Staged {
                label,
                is_new: false,
                offset,
                buffer: Vec::new(),
                first: seq,
                next: seq,
                catalogs,
            });
        }
        self.head = None;
        if self.next_number == 1 {
            // What an earlier process removed must not come back behind this one, which would have its number.
            self.sync_directory()?;
        }
        let label = Label { number: self.next_number, run };
        let name = label.to_string();
        // Not taken again, whatever becomes of it: a removed file may come back with the next power cut.
        self.next_number = self.next_number.saturating_add(1);
        self.disk.create(&name).map_err(|error| SpoolError::of("make", &name, error))?;
        let buffer = header(label, seq).to_vec();
        Ok(Staged { label, is_new: true, offset: 0, buffer, first: seq, next: seq, catalogs: Vec::new() })
    }

    fn sync_directory(&mut self) -> Result<(), SpoolError> {
        let told = |error| SpoolError::of("sync", "the spool's directory", error);
        self.disk.sync_directory().map_err(told)
    }

    fn write(&mut self, staged: &mut Staged) -> Result<(), SpoolError> {
        let name = staged.label.to_string();
        self.disk.append(&name, &staged.buffer).map_err(|error| SpoolError::of("write", &name, error))?;
        staged.offset += staged.buffer.len() as u64;
        staged.buffer.clear();
        Ok(())
    }

    /// Writes and syncs what is staged; from here on the spool holds it.
    fn commit(&mut self, open: &mut Option<Staged>, appended: &mut Appended) -> Result<(), SpoolError> {
        let Some(staged) = open.as_mut() else { return Ok(()) };
        self.write(staged)?;
        let name = staged.label.to_string();
        self.disk.sync(&name).map_err(|error| SpoolError::of("sync", &name, error))?;
        if staged.is_new {
            self.sync_directory()?;
        }
        let Some(staged) = open.take() else { return Ok(()) };
        let records = staged.next - staged.first;
        appended.records += records;
        // What an earlier process wrote of these and did not get to sync is now here.
        for segment in self.segments.iter_mut().filter(|segment| segment.label.run == staged.label.run) {
            segment.end_at(staged.first);
        }
        if staged.is_new {
            let mut segment = Segment::empty(staged.label, 0);
            segment.first = staged.first;
            segment.is_ours = true;
            self.segments.push_back(segment);
        }
        if let Some(segment) = self.segments.back_mut() {
            segment.next = staged.next;
            segment.records += records;
            segment.len = staged.offset;
            segment.size = staged.offset;
        }
        self.head = Some(staged.catalogs);
        self.remove_if(|segment, _| segment.records == 0);
        self.make_room(appended)
    }

    /// Drops the oldest until the next segment will fit. Only after a write that succeeded: a disk that takes nothing must not
    /// cost what it holds. The newest segment stays, whatever the bound.
    fn make_room(&mut self, appended: &mut Appended) -> Result<(), SpoolError> {
        while self.segments.len() > 1
            && (self.bytes() + self.segment() > self.limit || self.segments.len() > SEGMENTS_MOST)
        {
            let Some(oldest) = self.segments.pop_front() else { break };
            let dropped = oldest.left(self.below(oldest.label.run));
            self.dropped += dropped;
            appended.dropped += dropped;
            remove(&mut *self.disk, oldest.label).inspect_err(|_| self.litter.push(oldest.label))?;
        }
        Ok(())
    }

    /// After a failure nobody knows what of it is on the disk.
    fn give_up(&mut self, staged: &Staged) {
        self.head = None;
        if staged.is_new {
            if remove(&mut *self.disk, staged.label).is_err() {
                self.litter.push(staged.label);
            }
        } else if let Some(segment) = self.segments.back_mut() {
            segment.size =
                segment.size.max(self.disk.length(&staged.label.to_string()).unwrap_or(staged.end()));
        }
    }
}
