//! A chunk: the samples of an agent's series over an hour or a day, as columns that share their timelines.
//!
//! ```text
//! directory │ timeline 0 · timeline 1 … │ column of series 3 · column of series 4 …
//! ```
//!
//! The series of one agent are read together, so most of them share one list of moments, which is stored once; a series with
//! an event of its own has that list with a moment more. Each column is written in whichever way is smallest for it
//! ([`column`](crate::column)). Not a place: what is merged into which chunk, and where chunks are kept, others know.
//! Invariant: what [`encode`] wrote reads back as it was; other bytes are an error, never a panic, and never memory without
//! bound. `FORMAT.md` has the bytes.

pub(crate) mod bytes;
mod directory;
mod error;
mod merge;

pub use directory::{Directory, HEAD};
pub use error::ChunkError;
pub use merge::{join, merge};

use crate::{Samples, column, timeline};
use directory::{Body, ColumnEntry, Writer, checked};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The version of the format that is written, and the newest that is read.
pub const VERSION: u8 = 1;
/// The most samples that a series has in a chunk: a whole day of one every 21 ms.
pub const SAMPLES: usize = 1 << 22;

/// Writes the samples of series, each series once. One without samples leaves nothing behind.
pub fn encode(columns: &[(u32, Samples)]) -> Result<Vec<u8>, ChunkError> {
    let mut columns: Vec<&(u32, Samples)> =
        columns.iter().filter(|(_, samples)| !samples.times.is_empty()).collect();
    columns.sort_by_key(|(series, _)| *series);
    if columns.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(ChunkError::Refused("a series stands once in a chunk"));
    }
    let (timelines, of_column) = shared(&columns)?;
    let mut writer = Writer::default();
    writer.timelines(timelines.len());
    for (at, times) in timelines.iter().enumerate() {
        let base = (at > 0).then_some(timelines[0]);
        writer.timeline(times, &timeline::encode(times, base));
    }
    for ((series, samples), timeline) in columns.iter().zip(of_column) {
        writer.column(*series, timeline, &column::encode(&samples.values));
    }
    Ok(writer.finish())
}

/// The different timelines, the one that most columns have first, and which of them each column has.
fn shared<'a>(columns: &[&'a (u32, Samples)]) -> Result<(Vec<&'a [u64]>, Vec<usize>), ChunkError> {
    let mut known: HashMap<&[u64], usize> = HashMap::new();
    let mut users: Vec<(&[u64], usize)> = Vec::new();
    let mut of_column = Vec::with_capacity(columns.len());
    let mut last: Option<(&Arc<[u64]>, usize)> = None;
    for (_, samples) in columns {
        if samples.values.len() != samples.times.len() {
            return Err(ChunkError::Refused("a series has as many values as times"));
        }
        let at = match last {
            Some((times, at)) if Arc::ptr_eq(times, &samples.times) => at,
            _ => *known.entry(&samples.times).or_insert_with(|| {
                users.push((&samples.times, 0));
                users.len() - 1
            }),
        };
        last = Some((&samples.times, at));
        users[at].1 += 1;
        of_column.push(at);
    }
    for (times, _) in &users {
        if times.len() > SAMPLES {
            return Err(ChunkError::Limit("number of samples"));
        }
        if times.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(ChunkError::Refused("times rise from sample to sample"));
        }
    }
    let mut order: Vec<usize> = (0..users.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse((users[at].1, users[at].0.len())));
    let mut place = vec![0; users.len()];
    for (to, &from) in order.iter().enumerate() {
        place[from] = to;
    }
    let timelines = order.iter().map(|&at| users[at].0).collect();
    Ok((timelines, of_column.into_iter().map(|at| place[at]).collect()))
}

/// A chunk whose bytes are all here.
#[derive(Debug, Clone)]
pub struct Chunk<'a> {
    directory: Directory,
    bytes: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Reads the directory; the rest is read when it is asked for.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        Ok(Self { directory: Directory::open(bytes)?, bytes })
    }

    /// What is in it.
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The samples of `series`; `None` if it has none here.
    pub fn column(&self, series: u32) -> Result<Option<Samples>, ChunkError> {
        self.directory.column(series, |range| self.part(range))
    }

    /// The samples of all series, in order of the series. Those with the same moments share them.
    pub fn columns(&self) -> Result<Vec<(u32, Samples)>, ChunkError> {
        let mut timelines: Vec<Option<Arc<[u64]>>> = vec![None; self.directory.timelines.len()];
        let mut columns = Vec::with_capacity(self.directory.columns.len());
        for entry in &self.directory.columns {
            let times = if let Some(times) = &timelines[entry.timeline] {
                Arc::clone(times)
            } else {
                let times = self.directory.times(entry.timeline, &mut |range| self.part(range))?;
                Arc::clone(timelines[entry.timeline].insert(times))
            };
            let values = entry.values(times.len(), &mut |range| self.part(range))?;
            columns.push((entry.series, Samples { times, values }));
        }
        Ok(columns)
    }

    fn part(&self, range: Range<usize>) -> Result<&'a [u8], ChunkError> {
        self.bytes.get(range).ok_or(ChunkError::Malformed("end"))
    }
}

impl Directory {
    /// The samples of `series`, from the parts of the chunk that `fetch` returns: at most three ranges of bytes, counted from
    /// the front of the chunk. `None` if the series has no samples here.
    pub fn column<F, B, E>(&self, series: u32, mut fetch: F) -> Result<Option<Samples>, E>
    where
        F: FnMut(Range<usize>) -> Result<B, E>,
        B: AsRef<[u8]>,
        E: From<ChunkError>,
    {
        let Some(entry) = self.find(series) else { return Ok(None) };
        let times = self.times(entry.timeline, &mut fetch)?;
        let values = entry.values(times.len(), &mut fetch)?;
        Ok(Some(Samples { times, values }))
    }

    fn times<F, B, E>(&self, at: usize, fetch: &mut F) -> Result<Arc<[u64]>, E>
    where
        F: FnMut(Range<usize>) -> Result<B, E>,
        B: AsRef<[u8]>,
        E: From<ChunkError>,
    {
        let entry = &self.timelines[at];
        let expected = timeline::Expected { samples: entry.samples, first: entry.first, last: entry.last };
        let times = entry.body.read(fetch, "timeline", |body| {
            if timeline::is_edit(body) { Ok(None) } else { timeline::decode(body, expected).map(Some) }
        })?;
        if let Some(times) = times {
            return Ok(times.into());
        }
        if at == 0 {
            return Err(ChunkError::Malformed("first timeline").into());
        }
        let base = self.times(0, fetch)?;
        let times =
            entry.body.read(fetch, "timeline", |body| timeline::decode_edit(body, &base, expected))?;
        Ok(times.into())
    }
}

impl ColumnEntry {
    fn values<F, B, E>(&self, samples: usize, fetch: &mut F) -> Result<Vec<Option<i64>>, E>
    where
        F: FnMut(Range<usize>) -> Result<B, E>,
        B: AsRef<[u8]>,
        E: From<ChunkError>,
    {
        self.body.read(fetch, "column", |body| column::decode(body, samples))
    }
}

impl Body {
    /// What `decode` makes of the bytes.
    fn read<F, B, E, T>(
        &self,
        fetch: &mut F,
        what: &'static str,
        decode: impl FnOnce(&[u8]) -> Result<T, ChunkError>,
    ) -> Result<T, E>
    where
        F: FnMut(Range<usize>) -> Result<B, E>,
        B: AsRef<[u8]>,
        E: From<ChunkError>,
    {
        match self {
            Self::Here(body) => Ok(decode(body)?),
            Self::At(range) => {
                let bytes = fetch(range.clone())?;
                Ok(decode(checked(bytes.as_ref(), what)?)?)
            }
        }
    }
}
