//! What a segment looks like, byte by byte. Pure; the tables are in `FORMAT.md`.
//!
//! ```text
//! 0000000000000001-7a3f01bc.seg        the first segment, of run 7a3f01bc
//!
//! header   "RKSPOOL" · version · number · run · first seq · crc                32 bytes
//! frame    kind · length · catalog · seq · crc │ body │ crc                   24 bytes and the body
//! ```
//!
//! Invariant: a frame's checksums begin with number, run and offset, so that it is valid nowhere but where it was written. What
//! a power cut leaves of a removed file, or moves, is never taken for a record.

use super::Kind;
use crc::{CRC_32_ISCSI, Crc, Digest, Table};
use rackside_proto::{Run, limits};
use std::fmt;

/// The version that is written.
pub(super) const VERSION: u8 = 1;
const MAGIC: &[u8; 7] = b"RKSPOOL";
/// Bytes of a segment's header, in this version and every later one.
pub(super) const HEADER: usize = 32;
/// Bytes of a frame before its body.
pub(super) const HEAD: usize = 20;
/// Bytes of a frame beside its body.
pub(super) const OVERHEAD: usize = HEAD + 4;
/// Longest body: a catalog's.
pub(super) const BODY_MOST: usize = limits::LARGE;

/// CRC-32C, with the smallest of the crate's tables: 1 KiB.
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

/// A segment's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Label {
    /// Segments are numbered from 1 in the order in which they were made.
    pub(super) number: u64,
    /// Whose records.
    pub(super) run: Run,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}.seg", self.number, self.run)
    }
}

impl Label {
    /// Reads a name; `None` for every other file.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (number, run) = name.strip_suffix(".seg")?.split_once('-')?;
        let label = Self {
            number: u64::from_str_radix(number, 16).ok()?,
            run: Run(u32::from_str_radix(run, 16).ok()?),
        };
        (label.to_string() == name).then_some(label)
    }

    fn digest(self) -> Digest<'static, u32, Table<1>> {
        let mut digest = CRC.digest();
        digest.update(&self.number.to_le_bytes());
        digest.update(&self.run.0.to_le_bytes());
        digest
    }

    fn head_sum(self, offset: u64, head: &[u8]) -> u32 {
        let mut digest = self.digest();
        digest.update(&offset.to_le_bytes());
        digest.update(head);
        digest.finalize()
    }

    /// The sum over a body, to be fed piece by piece.
    pub(super) fn body_sum(self, head_sum: u32) -> Sum {
        let mut digest = self.digest();
        digest.update(&head_sum.to_le_bytes());
        Sum(digest)
    }
}

/// A checksum under way.
pub(super) struct Sum(Digest<'static, u32, Table<1>>);

impl Sum {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> [u8; 4] {
        self.0.finalize().to_le_bytes()
    }
}

/// The header of the segment of that name.
pub(super) fn header(label: Label, first: u64) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..7].copy_from_slice(MAGIC);
    bytes[7] = VERSION;
    bytes[8..16].copy_from_slice(&label.number.to_le_bytes());
    bytes[16..20].copy_from_slice(&label.run.0.to_le_bytes());
    bytes[20..28].copy_from_slice(&first.to_le_bytes());
    let sum = CRC.checksum(&bytes[..28]);
    bytes[28..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// The segment is what its name says.
    Ours,
    /// It is sound and of another version.
    Version(u8),
    /// It is sound and belongs under another name.
    Misnamed(Label),
    /// It is not sound.
    Damaged,
}

impl Header {
    pub(super) fn read(bytes: &[u8], label: Label) -> Self {
        let Some((said, sum)) = bytes.split_at_checked(HEADER - 4) else { return Self::Damaged };
        if !said.starts_with(MAGIC) || sum != CRC.checksum(said).to_le_bytes() {
            return Self::Damaged;
        }
        let (version, number, run) = (said[7], long(&said[8..16]), int(&said[16..20]));
        let named = Label { number, run: Run(run) };
        if version != VERSION {
            Self::Version(version)
        } else if named == label {
            Self::Ours
        } else {
            Self::Misnamed(named)
        }
    }
}

/// What stands before a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) what: What,
    pub(super) len: usize,
    pub(super) catalog: u32,
    pub(super) seq: u64,
    pub(super) sum: u32,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A record.
    Record(Kind),
    /// A copy of a catalog whose record is elsewhere, or nowhere any more; `seq` is that record's.
    Copy,
}

impl What {
    const fn code(self) -> u8 {
        match self {
            Self::Record(Kind::Readings) => 1,
            Self::Record(Kind::Event) => 2,
            Self::Record(Kind::Catalog) => 3,
            Self::Copy => 4,
        }
    }

    const fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Record(Kind::Readings)),
            2 => Some(Self::Record(Kind::Event)),
            3 => Some(Self::Record(Kind::Catalog)),
            4 => Some(Self::Copy),
            _ => None,
        }
    }
}

impl Head {
    /// Bytes of the whole frame.
    pub(super) const fn frame(&self) -> u64 {
        (OVERHEAD + self.len) as u64
    }

    /// Reads what stands at `offset`; `None` if no frame begins there.
    pub(super) fn read(bytes: &[u8], label: Label, offset: u64) -> Option<Self> {
        let bytes = bytes.get(..HEAD)?;
        let what = What::of(bytes[0])?;
        let len = int(&[bytes[1], bytes[2], bytes[3], 0]) as usize;
        if len > BODY_MOST {
            return None;
        }
        let sum = int(&bytes[16..20]);
        let sound = sum == label.head_sum(offset, &bytes[..16]);
        sound.then(|| Self { what, len, catalog: int(&bytes[4..8]), seq: long(&bytes[8..16]), sum })
    }
}

/// Appends a frame that will stand at `offset`. `body` is at most [`BODY_MOST`] long.
pub(super) fn put_frame(
    into: &mut Vec<u8>,
    label: Label,
    offset: u64,
    what: What,
    (catalog, seq): (u32, u64),
    body: &[u8],
) {
    let mut head = [0; HEAD];
    let [a, b, c, _] = (body.len() as u32).to_le_bytes();
    head[..4].copy_from_slice(&[what.code(), a, b, c]);
    head[4..8].copy_from_slice(&catalog.to_le_bytes());
    head[8..16].copy_from_slice(&seq.to_le_bytes());
    let sum = label.head_sum(offset, &head[..16]);
    head[16..].copy_from_slice(&sum.to_le_bytes());
    let mut over_body = label.body_sum(sum);
    over_body.add(body);
    into.extend_from_slice(&head);
    into.extend_from_slice(body);
    into.extend_from_slice(&over_body.finish());
}

fn int(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn long(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
