//! The front of a chunk: which series are in it, and where their parts are.
//!
//! It can be read without the rest, so that one series is fetched from a chunk of a whole day by three small reads:
//!
//! ```text
//! version · length of the directory (4 bytes) · timelines · columns · checksum │ bodies
//! timeline = (samples, first moment, span, length of its body)  column = (series, timeline, length of its body)
//! ```
//!
//! A body of at most [`INLINE`] bytes stands in the directory itself, a longer one behind it with a checksum of its own.

use super::bytes::{Input, put};
use super::{ChunkError, SAMPLES, VERSION};
use std::ops::{Range, RangeInclusive};

/// So many bytes at the front of a chunk tell how long the directory is.
pub const HEAD: usize = 5;
/// The longest body that stands in the directory. A checksum of four bytes and a read of its own would be most of it.
const INLINE: usize = 12;
/// Bytes of a checksum (CRC-32, IEEE, little-endian).
pub(super) const CHECKSUM: usize = 4;

/// What is in a chunk, and where. Columns are in order of their series, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    pub(super) timelines: Vec<TimelineEntry>,
    pub(super) columns: Vec<ColumnEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimelineEntry {
    pub(super) samples: usize,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnEntry {
    pub(super) series: u32,
    /// Index into the timelines; always one that exists.
    pub(super) timeline: usize,
    pub(super) body: Body,
}

/// Where a part's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// In the directory.
    Here(Vec<u8>),
    /// At these offsets from the front of the chunk, checksum included.
    At(Range<usize>),
}

impl Directory {
    /// How many bytes at the front of a chunk hold the directory, [`HEAD`] included; told by the first [`HEAD`] bytes.
    pub fn length(head: &[u8]) -> Result<usize, ChunkError> {
        let (&version, rest) = head.split_first().ok_or(ChunkError::Malformed("head"))?;
        match version {
            VERSION => {}
            newer if newer > VERSION => return Err(ChunkError::Newer { found: newer, known: VERSION }),
            _ => return Err(ChunkError::Malformed("version byte")),
        }
        let length = rest.first_chunk().ok_or(ChunkError::Malformed("head"))?;
        Ok(u32::from_le_bytes(*length) as usize)
    }

    /// Reads the directory from the front of a chunk; bytes behind it are not looked at.
    pub fn open(bytes: &[u8]) -> Result<Self, ChunkError> {
        let length = Self::length(bytes)?;
        let whole = bytes.get(..length).ok_or(ChunkError::Malformed("directory"))?;
        let entries = checked(whole, "directory")?.get(HEAD..).ok_or(ChunkError::Malformed("directory"))?;
        let mut input = Input::new(entries);
        let mut end = length;
        let timelines = input.take("number of timelines")?;
        let mut directory = Self { timelines: Vec::new(), columns: Vec::new() };
        for _ in 0..timelines {
            directory.timelines.push(TimelineEntry::take(&mut input, &mut end)?);
        }
        let mut next = 0;
        while !input.is_empty() {
            let column = ColumnEntry::take(&mut input, next, &mut end)?;
            if column.timeline >= directory.timelines.len() {
                return Err(ChunkError::Malformed("timeline of a column"));
            }
            next = u64::from(column.series) + 1;
            directory.columns.push(column);
        }
        Ok(directory)
    }

    /// The series that have samples, in order.
    pub fn series(&self) -> impl ExactSizeIterator<Item = u32> {
        self.columns.iter().map(|column| column.series)
    }

    /// The moments of the first and the last sample of `series`, in milliseconds since 1970-01-01 UTC.
    pub fn range(&self, series: u32) -> Option<RangeInclusive<u64>> {
        let timeline = &self.timelines[self.find(series)?.timeline];
        Some(timeline.first..=timeline.last)
    }

    /// How many samples `series` has.
    pub fn samples(&self, series: u32) -> usize {
        self.find(series).map_or(0, |column| self.timelines[column.timeline].samples)
    }

    /// How many bytes of the chunk hold the values of `series`, checksum included.
    pub fn bytes(&self, series: u32) -> usize {
        self.find(series).map_or(0, |column| match &column.body {
            Body::Here(body) => body.len(),
            Body::At(range) => range.len(),
        })
    }

    pub(super) fn find(&self, series: u32) -> Option<&ColumnEntry> {
        let at = self.columns.binary_search_by_key(&series, |column| column.series).ok()?;
        self.columns.get(at)
    }
}

impl TimelineEntry {
    fn take(input: &mut Input<'_>, end: &mut usize) -> Result<Self, ChunkError> {
        let samples = input.take("number of samples")?;
        let first = input.take("first moment")?;
        let span = input.take("span of moments")?;
        if samples == 0 {
            return Err(ChunkError::Malformed("number of samples"));
        }
        if samples > SAMPLES as u64 {
            return Err(ChunkError::Limit("number of samples"));
        }
        let last = first.checked_add(span).ok_or(ChunkError::Malformed("span of moments"))?;
        Ok(Self { samples: samples as usize, first, last, body: Body::take(input, end)? })
    }
}

impl ColumnEntry {
    fn take(input: &mut Input<'_>, next: u64, end: &mut usize) -> Result<Self, ChunkError> {
        let ahead = u64::from(input.take_u32("series")?);
        let series = u32::try_from(next + ahead).map_err(|_| ChunkError::Malformed("series"))?;
        let timeline = input.take_u32("timeline of a column")? as usize;
        Ok(Self { series, timeline, body: Body::take(input, end)? })
    }
}

impl Body {
    fn take(input: &mut Input<'_>, end: &mut usize) -> Result<Self, ChunkError> {
        let length = input.take_u32("length of a body")? as usize;
        if length <= INLINE {
            return Ok(Self::Here(input.take_bytes(length, "body in the directory")?.to_vec()));
        }
        let start = *end;
        *end = start.checked_add(length + CHECKSUM).ok_or(ChunkError::Malformed("length of a body"))?;
        Ok(Self::At(start..*end))
    }
}

/// What precedes the checksum at the end of `bytes`, if it matches.
pub(super) fn checked<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a [u8], ChunkError> {
    let (body, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(ChunkError::Malformed(what))?;
    if crc32fast::hash(body) == u32::from_le_bytes(*sum) { Ok(body) } else { Err(ChunkError::Damaged(what)) }
}

/// Writes a chunk: entries into the directory, bodies behind it.
#[derive(Debug, Default)]
pub(super) struct Writer {
    entries: Vec<u8>,
    bodies: Vec<u8>,
    next: u64,
}

impl Writer {
    pub(super) fn timelines(&mut self, count: usize) {
        put(&mut self.entries, count as u64);
    }

    pub(super) fn timeline(&mut self, times: &[u64], body: &[u8]) {
        let first = times.first().copied().unwrap_or(0);
        put(&mut self.entries, times.len() as u64);
        put(&mut self.entries, first);
        put(&mut self.entries, times.last().copied().unwrap_or(first) - first);
        self.body(body);
    }

    /// `series` is above the one before.
    pub(super) fn column(&mut self, series: u32, timeline: usize, body: &[u8]) {
        put(&mut self.entries, u64::from(series) - self.next);
        self.next = u64::from(series) + 1;
        put(&mut self.entries, timeline as u64);
        self.body(body);
    }

    fn body(&mut self, body: &[u8]) {
        put(&mut self.entries, body.len() as u64);
        if body.len() <= INLINE {
            self.entries.extend_from_slice(body);
        } else {
            self.bodies.extend_from_slice(body);
            self.bodies.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let length = HEAD + self.entries.len() + CHECKSUM;
        let mut chunk = Vec::with_capacity(length + self.bodies.len());
        chunk.push(VERSION);
        chunk.extend_from_slice(&(length as u32).to_le_bytes());
        chunk.extend_from_slice(&self.entries);
        let sum = crc32fast::hash(&chunk);
        chunk.extend_from_slice(&sum.to_le_bytes());
        chunk.extend_from_slice(&self.bodies);
        chunk
    }
}

/// A directory without its checksum, which is put behind it: what it says of its series can be asked.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut whole = vec![VERSION];
    whole.extend(((HEAD + bytes.len() + CHECKSUM) as u32).to_le_bytes());
    whole.extend_from_slice(bytes);
    whole.extend(crc32fast::hash(&whole).to_le_bytes());
    let Ok(directory) = Directory::open(&whole) else { return };
    let all: Vec<u32> = directory.series().collect();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]) && all.len() <= bytes.len());
    for series in all {
        assert!((1..=SAMPLES).contains(&directory.samples(series)));
        assert!(directory.range(series).is_some_and(|range| !range.is_empty()));
        let _ = directory.bytes(series);
    }
}
