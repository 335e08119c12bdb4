//! What a segment holds after whatever happened to it. Reads only; what to do about it is the [`Spool`](super::Spool)'s.
//!
//! Every byte is one of three: in a sound frame, damaged (something sound follows), or the tail (nothing sound follows: what a
//! power cut leaves of the last write). Invariant: it ends, with bounded memory, whatever the bytes.

use super::disk::Disk;
use super::frames::{Extent, Reader};
use super::layout::{HEADER, Header, Label, What};
use super::{SEGMENT_MOST, Segment};
use std::io;

/// What is found under a segment's name.
#[derive(Debug)]
pub(super) enum Found {
    /// Records.
    Segment(Scan),
    /// Not one record. Whether the disk gave every byte says whether that is final.
    Nothing { scan: Scan, all_read: bool },
    /// A sound header that is not ours to judge.
    Aside(String),
}

/// What a scan counted.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) segment: Segment,
    /// Bytes before the last sound frame that are not in one.
    pub(super) damaged: u64,
    /// Bytes behind it.
    pub(super) tail: u64,
    /// Records that are missing between others of this segment.
    pub(super) missing: u64,
}

/// Reads the whole segment once.
pub(super) fn scan(reader: &mut Reader, disk: &mut dyn Disk, label: Label) -> io::Result<Found> {
    let size = disk.length(&label.to_string())?;
    let extent = Extent { label, end: size.min(SEGMENT_MOST) };
    let mut all_read = true;
    let header = match reader.bytes(disk, label, 0, HEADER) {
        Ok(bytes) => Header::read(bytes, label),
        Err(_) => Header::Damaged,
    };
    match header {
        Header::Ours | Header::Damaged => {}
        Header::Version(version) => {
            return Ok(Found::Aside(format!(
                "{label} has format {version}, which this version does not read"
            )));
        }
        Header::Misnamed(is) => return Ok(Found::Aside(format!("{label} is {is} under a wrong name"))),
    }
    let mut segment = Segment::empty(label, size);
    let (mut damaged, mut missing) = (0, 0);
    // Up to here every byte is accounted for.
    let mut sound = if header == Header::Ours { HEADER as u64 } else { 0 };
    let mut from = HEADER as u64;
    loop {
        let (at, head) = match reader.find(disk, extent, from) {
            Ok(Some(found)) => found,
            Ok(None) => break,
            Err(unreadable) => {
                all_read = false;
                from = unreadable.behind();
                continue;
            }
        };
        from = at + head.frame();
        match reader.body(disk, label, (at, head), None) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(_) => {
                all_read = false;
                continue;
            }
        }
        damaged += at - sound;
        sound = from;
        segment.len = from;
        if let What::Record(_) = head.what {
            if segment.records > 0 && head.seq < segment.next {
                // Never written so: frames of a segment ascend.
                damaged += head.frame();
                continue;
            }
            if segment.records == 0 {
                segment.first = head.seq;
            } else {
                missing += head.seq - segment.next;
            }
            segment.records += 1;
            segment.next = head.seq.saturating_add(1);
        }
    }
    segment.has_holes = damaged > 0 || missing > 0;
    segment.judged = if damaged > 0 { segment.len } else { 0 };
    let is_empty = segment.records == 0;
    let scan = Scan { segment, damaged, tail: size.saturating_sub(sound), missing };
    Ok(if is_empty { Found::Nothing { scan, all_read } } else { Found::Segment(scan) })
}
