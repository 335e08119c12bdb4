//! Reading what is held: forwards through a run, from wherever reading stopped the last time.
//!
//! What was sound when the spool was opened may be damaged later; it is then passed over, counted once, and the run's floor
//! rises past it. A disk that refuses to read is another matter: it may have been pulled out for a moment, so only what fails
//! again and again counts as damage.

use super::frames::Unreadable;
use super::layout::{HEADER, Head, Label, What};
use super::{Kind, Segment, Spool, SpoolError, Stored};
use rackside_proto::Run;

/// A read that fails is tried so often, whenever it is asked for again, before it counts as damage.
const PATIENCE: u32 = 3;

/// Where reading will likely go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    label: Label,
    offset: u64,
    /// Every record before the offset is below this.
    seq: u64,
}

/// A read that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    label: Label,
    /// Behind the block that did not read.
    behind: u64,
    times: u32,
}

impl Spool {
    /// The record of this number, if it is held and readable. Cheap when the numbers ascend.
    pub fn read(&mut self, run: Run, seq: u64) -> Result<Option<Stored<Vec<u8>>>, SpoolError> {
        Ok(self.next_from(run, seq)?.filter(|record| record.seq == seq))
    }

    /// The lowest record of this run that is held and readable and not below `seq`.
    pub fn next_from(&mut self, run: Run, seq: u64) -> Result<Option<Stored<Vec<u8>>>, SpoolError> {
        let mut seq = seq;
        while let Some((segment, at, head, kind)) = self.seek(run, seq)? {
            let mut body = Vec::with_capacity(head.len);
            let (label, behind) = (segment.label, at + head.frame());
            let sound = self.reader.body(&mut *self.disk, label, (at, head), Some(&mut body));
            if sound.or_else(|unreadable| self.faulty(label, unreadable).map(|()| false))? {
                self.cursor = Some(Cursor { label, offset: behind, seq: head.seq.saturating_add(1) });
                return Ok(Some(Stored { seq: head.seq, kind, catalog: head.catalog, body }));
            }
            self.blemished(label, at, behind);
            seq = head.seq.saturating_add(1);
        }
        Ok(None)
    }

    /// The number of that record, without going on from there.
    pub(super) fn peek(&mut self, run: Run, seq: u64) -> Result<Option<u64>, SpoolError> {
        let cursor = self.cursor;
        let found = self.next_from(run, seq);
        self.cursor = cursor;
        Ok(found?.map(|record| record.seq))
    }

    /// Where that record stands, without a look at its body.
    fn seek(&mut self, run: Run, seq: u64) -> Result<Option<(Segment, u64, Head, Kind)>, SpoolError> {
        let seq = seq.max(self.below(run));
        let mut number = 0;
        // A segment at a time, because reading may find damage and say so.
        loop {
            let segment = self.of(run).find(|one| one.next > seq && one.label.number > number).copied();
            let Some(segment) = segment else { return Ok(None) };
            number = segment.label.number;
            let mut from = match self.cursor {
                Some(cursor) if cursor.label == segment.label && cursor.seq <= seq => cursor.offset,
                _ => HEADER as u64,
            };
            while let Some((at, head)) = self.frame(&segment, &mut from)? {
                if let What::Record(kind) = head.what
                    && (seq..segment.next).contains(&head.seq)
                {
                    return Ok(Some((segment, at, head, kind)));
                }
            }
        }
    }

    /// The next frame, and `from` behind it.
    fn frame(&mut self, segment: &Segment, from: &mut u64) -> Result<Option<(u64, Head)>, SpoolError> {
        let mut at = *from;
        loop {
            match self.reader.find(&mut *self.disk, segment.extent(), at) {
                Ok(found) => {
                    let (begin, end) =
                        found.map_or((segment.len, segment.len), |(at, head)| (at, at + head.frame()));
                    if begin > *from {
                        self.blemished(segment.label, *from, begin);
                    }
                    *from = end;
                    return Ok(found);
                }
                Err(unreadable) => {
                    at = unreadable.behind();
                    self.faulty(segment.label, unreadable)?;
                }
            }
        }
    }

    /// The catalog of this number and run: the number of its record, and its body. Cheap for that of the record that was read
    /// last; one that is in no segment costs a look at all of them.
    pub fn catalog(&mut self, run: Run, number: u32) -> Result<Option<(u64, Vec<u8>)>, SpoolError> {
        let mut segments: Vec<Segment> = self.of(run).copied().collect();
        segments.reverse();
        // Each segment has the catalogs that its records use, and the record that was just read needs one.
        let current = self.cursor.map(|cursor| cursor.label);
        segments.sort_by_key(|segment| Some(segment.label) != current);
        for segment in &segments {
            let mut from = HEADER as u64;
            while let Some((at, head)) = self.frame(segment, &mut from)? {
                if !matches!(head.what, What::Copy | What::Record(Kind::Catalog)) || head.catalog != number {
                    continue;
                }
                let mut body = Vec::with_capacity(head.len);
                let sound = self.reader.body(&mut *self.disk, segment.label, (at, head), Some(&mut body));
                if sound.or_else(|unreadable| self.faulty(segment.label, unreadable).map(|()| false))? {
                    return Ok(Some((head.seq, body)));
                }
            }
        }
        Ok(None)
    }

    /// What was sound is not any more.
    fn blemished(&mut self, label: Label, from: u64, to: u64) {
        if let Some(segment) = self.segments.iter_mut().find(|segment| segment.label == label) {
            segment.has_holes = true;
            self.damaged += to.saturating_sub(from.max(segment.judged));
            segment.judged = segment.judged.max(to);
        }
    }

    /// A read that fails once may succeed later; one that fails again and again is damage, and is not waited for a second time.
    fn faulty(&mut self, label: Label, unreadable: Unreadable) -> Result<(), SpoolError> {
        let behind = unreadable.behind();
        let passed = self.passed.iter_mut().find(|(passed, _)| *passed == label);
        if passed.as_ref().is_some_and(|(_, to)| behind <= *to) {
            return Ok(());
        }
        let known = self.fault.filter(|fault| (fault.label, fault.behind) == (label, behind));
        let times = known.map_or(1, |fault| fault.times.saturating_add(1));
        self.fault = Some(Fault { label, behind, times });
        if times < PATIENCE {
            return Err(SpoolError::of("read", &label.to_string(), unreadable.error));
        }
        match passed {
            Some((_, to)) => *to = behind,
            None => self.passed.push((label, behind)),
        }
        Ok(())
    }
}
