//! A chunk: the samples of an agent's series over an hour or a day, as columns that share their timelines.
//!
//! ```text
//! directory │ timeline 0 · timeline 1 … │ column of series 3 · column of series 4 …
//! ```
//!
//! The series of one agent are read together, so most of them share one list of moments, which is stored once; a series with
//! an event of its own has that list with a moment more. Each column is written in whichever way is smallest for it
//! ([`column`]). Not a place: what is merged into which chunk, and where chunks are kept, others know.
//! Invariant: what [`encode`] wrote reads back as it was; other bytes are an error, never a panic, and never memory without
//! bound. `FORMAT.md` has the bytes.

pub(crate) mod bytes;
pub(crate) mod directory;
mod merge;

pub use crate::error::ChunkError;
pub use directory::{Directory, HEAD};
pub use merge::{join, merge};

use crate::{Samples, column, timeline};
use directory::{Body, Writer, checked};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// The version of the format that is written, and the newest that is read.
pub const VERSION: u8 = 1;
/// The most samples that a series has in a chunk: a whole day of one every 21 ms.
pub const SAMPLES: usize = 1 << 22;

/// Writes the samples of series, each series once. One without samples leaves nothing behind.
pub fn encode(columns: &[(u32, Samples)]) -> Result<Vec<u8>, ChunkError> {
    let mut parts = Vec::with_capacity(columns.len());
    for (series, samples) in columns {
        if samples.values.len() != samples.times.len() {
            return Err(ChunkError::Refused("a series has as many values as times"));
        }
        fits(&samples.times)?;
        parts.push(Part { series: *series, times: &samples.times, body: column::encode(&samples.values) });
    }
    write(parts)
}

/// To be asked before a column is written: nothing is spent on one that is refused.
pub(crate) fn fits(times: &[u64]) -> Result<(), ChunkError> {
    if times.len() > SAMPLES { Err(ChunkError::Limit("number of samples")) } else { Ok(()) }
}

/// A column that is written already, and the moments that it is for.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) series: u32,
    pub(crate) times: &'a Arc<[u64]>,
    pub(crate) body: Vec<u8>,
}

/// What a column's body was read as.
#[derive(Debug)]
pub(crate) struct Content<T> {
    pub(crate) series: u32,
    pub(crate) times: Arc<[u64]>,
    pub(crate) values: T,
}

impl<'a> From<&'a Content<Vec<u8>>> for Part<'a> {
    fn from(column: &'a Content<Vec<u8>>) -> Self {
        Self { series: column.series, times: &column.times, body: column.values.clone() }
    }
}

impl From<Content<Vec<Option<i64>>>> for Samples {
    fn from(column: Content<Vec<Option<i64>>>) -> Self {
        Self { times: column.times, values: column.values }
    }
}

/// Puts columns together. Each series once; one without moments is left out.
pub(crate) fn write(mut parts: Vec<Part<'_>>) -> Result<Vec<u8>, ChunkError> {
    parts.retain(|part| !part.times.is_empty());
    parts.sort_by_key(|part| part.series);
    if parts.windows(2).any(|pair| pair[0].series == pair[1].series) {
        return Err(ChunkError::Refused("a series stands once in a chunk"));
    }
    let (timelines, of_part) = shared(&parts)?;
    let mut writer = Writer::default();
    writer.timelines(timelines.len());
    for (at, times) in timelines.iter().enumerate() {
        let base = (at > 0).then_some(timelines[0]);
        writer.timeline(times, &timeline::encode(times, base));
    }
    for (part, timeline) in parts.iter().zip(of_part) {
        writer.column(part.series, timeline, &part.body);
    }
    Ok(writer.finish())
}

/// The different timelines, the one that most columns have first, and which of them each column has.
fn shared<'a>(parts: &[Part<'a>]) -> Result<(Vec<&'a [u64]>, Vec<usize>), ChunkError> {
    let mut known: HashMap<&[u64], usize> = HashMap::new();
    let mut users: Vec<(&[u64], usize)> = Vec::new();
    let mut of_part = Vec::with_capacity(parts.len());
    let mut last: Option<(&Arc<[u64]>, usize)> = None;
    for part in parts {
        let at = match last {
            Some((times, at)) if Arc::ptr_eq(times, part.times) => at,
            _ => *known.entry(part.times).or_insert_with(|| {
                users.push((part.times, 0));
                users.len() - 1
            }),
        };
        last = Some((part.times, at));
        users[at].1 += 1;
        of_part.push(at);
    }
    for (times, _) in &users {
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
    Ok((timelines, of_part.into_iter().map(|at| place[at]).collect()))
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
        let columns = self.bodies(|_| true, column::decode)?;
        Ok(columns.into_iter().map(|column| (column.series, column.into())).collect())
    }

    /// The samples of some series, in their order. Those with the same moments share them.
    pub(crate) fn columns_of(&self, series: &BTreeSet<u32>) -> Result<Vec<(u32, Samples)>, ChunkError> {
        let columns = self.bodies(|id| series.contains(&id), column::decode)?;
        Ok(columns.into_iter().map(|column| (column.series, column.into())).collect())
    }

    /// The chunk without some series; `None` if no other is in it. What stays is copied as it is written.
    pub(crate) fn without(&self, series: &BTreeSet<u32>) -> Result<Option<Vec<u8>>, ChunkError> {
        let rest = self.as_written(|id| !series.contains(&id))?;
        if rest.is_empty() {
            return Ok(None);
        }
        write(rest.iter().map(Part::from).collect()).map(Some)
    }

    /// What `decode` makes of the body and number of samples of each column that is wanted, with the column's series and
    /// moments.
    pub(crate) fn bodies<T>(
        &self,
        wanted: impl Fn(u32) -> bool,
        decode: impl Fn(&[u8], usize) -> Result<T, ChunkError>,
    ) -> Result<Vec<Content<T>>, ChunkError> {
        let mut fetch = |range| self.part(range);
        let mut timelines: Vec<Option<Arc<[u64]>>> = vec![None; self.directory.timelines.len()];
        let mut columns = Vec::with_capacity(self.directory.columns.len());
        for entry in self.directory.columns.iter().filter(|entry| wanted(entry.series)) {
            let times = if let Some(times) = &timelines[entry.timeline] {
                Arc::clone(times)
            } else {
                let times = self.directory.times(entry.timeline, &mut fetch)?;
                Arc::clone(timelines[entry.timeline].insert(times))
            };
            let values = entry.body.read(&mut fetch, "column", |body| decode(body, times.len()))?;
            columns.push(Content { series: entry.series, times, values });
        }
        Ok(columns)
    }

    /// The columns that are wanted, their bodies as they stand.
    pub(crate) fn as_written(
        &self,
        wanted: impl Fn(u32) -> bool,
    ) -> Result<Vec<Content<Vec<u8>>>, ChunkError> {
        self.bodies(wanted, |body, _| Ok(body.to_vec()))
    }

    fn part(&self, range: Range<usize>) -> Result<&'a [u8], ChunkError> {
        self.bytes.get(range).ok_or(ChunkError::Malformed("end"))
    }
}

impl Directory {
    /// The samples of `series`, from the parts of the chunk that `fetch` returns: at most three ranges of bytes, counted
    /// from the front of the chunk. `None` if the series has no samples here.
    pub fn column<F, B, E>(&self, series: u32, fetch: F) -> Result<Option<Samples>, E>
    where
        F: FnMut(Range<usize>) -> Result<B, E>,
        B: AsRef<[u8]>,
        E: From<ChunkError>,
    {
        let column = self.body(series, fetch, column::decode)?;
        Ok(column.map(Samples::from))
    }

    /// The moments of `series`, and what `decode` makes of its body and their number.
    pub(crate) fn body<F, B, E, T>(
        &self,
        series: u32,
        mut fetch: F,
        decode: impl FnOnce(&[u8], usize) -> Result<T, ChunkError>,
    ) -> Result<Option<Content<T>>, E>
    where
        F: FnMut(Range<usize>) -> Result<B, E>,
        B: AsRef<[u8]>,
        E: From<ChunkError>,
    {
        let Some(entry) = self.find(series) else { return Ok(None) };
        let times = self.times(entry.timeline, &mut fetch)?;
        let values = entry.body.read(&mut fetch, "column", |body| decode(body, times.len()))?;
        Ok(Some(Content { series, times, values }))
    }

    fn times<F, B, E>(&self, at: usize, fetch: &mut F) -> Result<Arc<[u64]>, E>
    where
        F: FnMut(Range<usize>) -> Result<B, E>,
        B: AsRef<[u8]>,
        E: From<ChunkError>,
    {
        let entry = &self.timelines[at];
        let expected = timeline::Expected { samples: entry.samples, first: entry.first, last: entry.last };
        let read = entry.body.read(fetch, "timeline", |body| {
            if timeline::is_edit(body) {
                Ok(Read::Edit(body.to_vec()))
            } else {
                timeline::decode(body, expected).map(Read::Times)
            }
        })?;
        let times = match read {
            Read::Times(times) => times,
            Read::Edit(_) if at == 0 => return Err(ChunkError::Malformed("first timeline").into()),
            Read::Edit(edit) => timeline::decode_edit(&edit, &self.times(0, fetch)?, expected)?,
        };
        Ok(times.into())
    }
}

/// A timeline's body, as far as it can be read by itself.
enum Read {
    Times(Vec<u64>),
    Edit(Vec<u8>),
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
