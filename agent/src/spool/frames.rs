//! Reading a segment through one small buffer: which frame stands where, and what is in it.
//!
//! Not here: what damage means; it is only stepped over. Invariants: memory is [`WINDOW`] bytes however long a segment is; every
//! search ends, because it only moves forward and checks at most 20 bytes a step.

use super::disk::Disk;
use super::layout::{BODY_MOST, HEAD, Head, Label, Sum};
use std::io;

/// How much is read at a time.
const WINDOW: usize = 16 * 1024;
/// What a disk loses at least when it loses something: what cannot be read is skipped in these steps.
const BLOCK: u64 = 4096;

/// A part of a segment that the disk does not give.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// Where.
    pub(super) at: u64,
    pub(super) error: io::Error,
}

impl Unreadable {
    /// The first offset behind what cannot be read.
    pub(super) const fn behind(&self) -> u64 {
        (self.at / BLOCK + 1) * BLOCK
    }
}

/// A segment up to its last byte of interest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) label: Label,
    pub(super) end: u64,
}

/// The buffer, and what is in it.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Of which segment. A number alone is not enough: a removed file that a power cut brings back may have that of a new one.
    label: Option<Label>,
    start: u64,
    /// As long as the window once something was read.
    bytes: Vec<u8>,
    /// How many of them were read.
    filled: usize,
}

impl Reader {
    /// The bytes from `offset`, at most `len` and at most [`WINDOW`] of them; fewer at the end of the file.
    pub(super) fn bytes(
        &mut self,
        disk: &mut dyn Disk,
        label: Label,
        offset: u64,
        len: usize,
    ) -> Result<&[u8], Unreadable> {
        let len = len.min(WINDOW);
        let there = self.label == Some(label)
            && offset >= self.start
            && offset + len as u64 <= self.start + self.filled as u64;
        if !there {
            self.fill(disk, label, offset)?;
        }
        let from = (offset - self.start) as usize;
        let to = (from + len).min(self.filled);
        Ok(self.bytes.get(from..to).unwrap_or_default())
    }

    fn fill(&mut self, disk: &mut dyn Disk, label: Label, offset: u64) -> Result<(), Unreadable> {
        let name = label.to_string();
        self.label = None;
        if self.bytes.is_empty() {
            self.bytes = vec![0; WINDOW];
        }
        let read = match disk.read_at(&name, offset, &mut self.bytes) {
            Ok(read) => read,
            Err(_) => self.blocks(disk, &name, offset)?,
        };
        self.filled = read;
        self.start = offset;
        self.label = Some(label);
        Ok(())
    }

    /// What comes before the block that does not read.
    fn blocks(&mut self, disk: &mut dyn Disk, name: &str, offset: u64) -> Result<usize, Unreadable> {
        let mut read = 0;
        loop {
            let at = offset + read as u64;
            let step = (BLOCK - at % BLOCK) as usize;
            let Some(into) = self.bytes.get_mut(read..read + step) else { return Ok(read) };
            match disk.read_at(name, at, into) {
                Ok(more) if more < step => return Ok(read + more),
                Ok(more) => read += more,
                Err(error) if read == 0 => return Err(Unreadable { at, error }),
                Err(_) => return Ok(read),
            }
        }
    }

    /// The first frame at or behind `from` whose head is sound and that ends within the segment.
    pub(super) fn find(
        &mut self,
        disk: &mut dyn Disk,
        extent: Extent,
        from: u64,
    ) -> Result<Option<(u64, Head)>, Unreadable> {
        for at in from..extent.end {
            let bytes = self.exactly(disk, extent.label, at, HEAD)?;
            if bytes.len() < HEAD {
                break;
            }
            if let Some(head) = Head::read(bytes, extent.label, at)
                && at + head.frame() <= extent.end
            {
                return Ok(Some((at, head)));
            }
        }
        Ok(None)
    }

    /// As [`bytes`](Self::bytes), and where only a part was read because the rest is unreadable, that is an error.
    fn exactly(
        &mut self,
        disk: &mut dyn Disk,
        label: Label,
        at: u64,
        len: usize,
    ) -> Result<&[u8], Unreadable> {
        let short = self.bytes(disk, label, at, len)?.len();
        if short < len {
            // Either the end, or a block that fails: asking for what follows tells.
            self.bytes(disk, label, at + short as u64, 1)?;
        }
        self.bytes(disk, label, at, len)
    }

    /// Reads the body of the frame at `at` into `into` or past it; says whether it is sound.
    pub(super) fn body(
        &mut self,
        disk: &mut dyn Disk,
        label: Label,
        (at, head): (u64, Head),
        mut into: Option<&mut Vec<u8>>,
    ) -> Result<bool, Unreadable> {
        let mut sum: Sum = label.body_sum(head.sum);
        let mut offset = at + HEAD as u64;
        let mut left = head.len.min(BODY_MOST);
        while left > 0 {
            let bytes = self.bytes(disk, label, offset, left)?;
            if bytes.is_empty() {
                return Ok(false);
            }
            sum.add(bytes);
            offset += bytes.len() as u64;
            left -= bytes.len();
            if let Some(into) = into.as_deref_mut() {
                into.extend_from_slice(bytes);
            }
        }
        Ok(self.exactly(disk, label, offset, 4)? == sum.finish())
    }
}
