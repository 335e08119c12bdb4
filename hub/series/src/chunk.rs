//! Some readings of one appliance, by column: the times once, and of each series' numbers only what tells them apart.
//!
//! A column that never moves has no bytes at all. One that does has a base and for each reading an offset, in as few bytes as its
//! largest offset needs, the lowest byte first. A column is narrow from its first reading on and widened when a number does not
//! fit; what it leaves behind is tidied up when the chunk is full.
//!
//! Invariant: times rise strictly. Of each width the lowest offset says that there was no value: the series had ended.
//!
//! ```text
//! times    12:00:00  12:00:10  12:00:20
//! column   base 480, width 1:  00 02 80      48.0 °C, 48.2 °C, stale (in steps of 1/10)
//! column   base 4096, width 0                4096, 4096, 4096
//! ```

use crate::layout::Layout;
use rackside_promql::{STALE, Sample};
use rackside_proto::Scale;
use std::ops::Range;
use std::sync::Arc;

/// Readings of a full chunk. More would be dropped later as a whole; fewer pay more often for each column's base.
pub(crate) const ROWS: usize = 32;
/// The base of a column without a single value.
const NOTHING: i64 = i64::MIN;

/// One row before it is in a chunk: a number, or nothing, for each column.
pub(crate) type Row = (i64, Vec<Option<i64>>);

/// Up to [`ROWS`] readings.
#[derive(Debug)]
pub(crate) struct Chunk {
    layout: Arc<Layout>,
    times: Vec<i64>,
    columns: Box<[Column]>,
    bytes: Vec<u8>,
}

/// Where the numbers of one series are.
#[derive(Debug, Clone, Copy)]
struct Column {
    base: i64,
    at: u32,
    width: u8,
}

impl Chunk {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        let columns = vec![Column { base: NOTHING, at: 0, width: 0 }; layout.columns().len()].into();
        Self { layout, times: Vec::new(), columns, bytes: Vec::new() }
    }

    /// Chunks of these rows, which are in order; as few as possible.
    pub(crate) fn of(layout: &Arc<Layout>, rows: &[Row]) -> Vec<Self> {
        let chunks = rows.chunks(ROWS).map(|rows| {
            let mut chunk = Self::new(Arc::clone(layout));
            for (at, numbers) in rows {
                chunk.push(*at, |column| numbers.get(column).copied().flatten());
            }
            chunk
        });
        chunks.collect()
    }

    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(crate) fn times(&self) -> &[i64] {
        &self.times
    }

    pub(crate) fn first(&self) -> i64 {
        self.times.first().copied().unwrap_or(i64::MAX)
    }

    pub(crate) fn last(&self) -> i64 {
        self.times.last().copied().unwrap_or(i64::MIN)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.times.len() >= ROWS
    }

    /// What it takes in memory, about.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>()
            + self.columns.len() * size_of::<Column>()
            + self.bytes.capacity()
            + self.times.capacity() * size_of::<i64>()
    }

    /// Adds a reading that is later than all others; there has to be room.
    pub(crate) fn push(&mut self, at: i64, number: impl Fn(usize) -> Option<i64>) {
        let row = self.times.len();
        for column in 0..self.columns.len() {
            self.put(column, row, number(column));
        }
        self.times.push(at);
        if self.is_full() {
            self.tidy();
        }
    }

    fn put(&mut self, column: usize, row: usize, number: Option<i64>) {
        let Column { base, at, width } = self.columns[column];
        if row == 0 {
            self.columns[column].base = number.unwrap_or(NOTHING);
            return;
        }
        if width == 0 && number.unwrap_or(NOTHING) == base {
            return;
        }
        match offset(number, base, width) {
            Some(offset) if width > 0 => {
                let at = at as usize + row * width as usize;
                write(&mut self.bytes[at..at + width as usize], offset);
            }
            _ => self.widen(column, row, number),
        }
    }

    /// Gives a column room for `number` in `row`, and puts it there.
    fn widen(&mut self, column: usize, row: usize, number: Option<i64>) {
        let mut numbers: Vec<Option<i64>> = (0..row).map(|row| self.number(column, row)).collect();
        numbers.push(number);
        let old = self.columns[column].base;
        let base = if old == NOTHING { number.unwrap_or(NOTHING) } else { old };
        self.columns[column] = encode(&numbers, base, ROWS, &mut self.bytes);
    }

    /// Makes a chunk that nothing is added to any more as small as it can be.
    pub(crate) fn tidy(&mut self) {
        let mut bytes = Vec::new();
        let mut numbers = Vec::with_capacity(self.times.len());
        for column in 0..self.columns.len() {
            numbers.clear();
            numbers.extend((0..self.times.len()).map(|row| self.number(column, row)));
            let known = numbers.iter().flatten();
            let middle = match (known.clone().min(), known.max()) {
                (Some(&low), Some(&high)) if low == high => low,
                (Some(&low), Some(&high)) => low.midpoint(high),
                _ => NOTHING,
            };
            self.columns[column] = encode(&numbers, middle, numbers.len(), &mut bytes);
        }
        bytes.shrink_to_fit();
        self.bytes = bytes;
    }

    /// The number of a column in a row.
    pub(crate) fn number(&self, column: usize, row: usize) -> Option<i64> {
        let Column { base, at, width } = self.columns[column];
        if width == 0 {
            return (base != NOTHING).then_some(base);
        }
        let at = at as usize + row * width as usize;
        let offset = read(&self.bytes[at..at + width as usize]);
        (offset != lowest(width)).then(|| base_of(base, width).wrapping_add(offset))
    }

    /// The sample of a column in a row.
    pub(crate) fn sample(&self, column: usize, row: usize) -> Sample {
        let scale = self.layout.columns()[column].scale;
        Sample::new(self.times[row], value(self.number(column, row), scale))
    }

    /// Appends the samples of a column within a range of rows.
    pub(crate) fn samples(&self, column: usize, rows: Range<usize>, to: &mut Vec<Sample>) {
        let scale = self.layout.columns()[column].scale;
        let times = &self.times[rows.clone()];
        let Column { base, at, width } = self.columns[column];
        if width == 0 {
            let value = value((base != NOTHING).then_some(base), scale);
            to.extend(times.iter().map(|&at| Sample::new(at, value)));
            return;
        }
        let wide = width as usize;
        let bytes = &self.bytes[at as usize + rows.start * wide..at as usize + rows.end * wide];
        let (base, lowest) = (base_of(base, width), lowest(width));
        to.extend(times.iter().zip(bytes.chunks_exact(wide)).map(|(&at, bytes)| {
            let offset = read(bytes);
            Sample::new(at, value((offset != lowest).then(|| base.wrapping_add(offset)), scale))
        }));
    }

    /// The rows of which the times are within `from` and `to`, both included.
    pub(crate) fn rows(&self, from: i64, to: i64) -> Range<usize> {
        let start = self.times.partition_point(|&at| at < from);
        start..self.times.partition_point(|&at| at <= to).max(start)
    }

    /// All rows, to make another chunk of them.
    pub(crate) fn unfold(&self) -> Vec<Row> {
        let row = |row| (0..self.columns.len()).map(|column| self.number(column, row)).collect();
        self.times.iter().enumerate().map(|(at, &time)| (time, row(at))).collect()
    }
}

/// The quantity that a number stands for; a stale mark, where there is none.
pub(crate) fn value(number: Option<i64>, scale: Scale) -> f64 {
    number.map_or(STALE, |number| scale.value(number))
}

/// Columns of eight bytes have the numbers themselves.
fn base_of(base: i64, width: u8) -> i64 {
    if width == 8 { 0 } else { base }
}

/// The offset that says that there is no value.
fn lowest(width: u8) -> i64 {
    i64::MIN >> (64 - 8 * u32::from(width))
}

/// What to write for `number`, if it fits.
fn offset(number: Option<i64>, base: i64, width: u8) -> Option<i64> {
    if width == 0 {
        return None;
    }
    let Some(number) = number else { return Some(lowest(width)) };
    let offset = number.checked_sub(base_of(base, width))?;
    (lowest(width) < offset && offset <= !lowest(width)).then_some(offset)
}

fn write(to: &mut [u8], offset: i64) {
    let bytes = offset.to_le_bytes();
    to.copy_from_slice(&bytes[..to.len()]);
}

fn read(bytes: &[u8]) -> i64 {
    let mut all = [0; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    let unused = 64 - 8 * bytes.len() as u32;
    i64::from_le_bytes(all) << unused >> unused
}

/// Appends a column of these numbers to `bytes`, with room for `rows` of them.
fn encode(numbers: &[Option<i64>], base: i64, rows: usize, bytes: &mut Vec<u8>) -> Column {
    let at = bytes.len() as u32;
    if numbers.iter().all(|number| number.unwrap_or(NOTHING) == base) {
        return Column { base, at: 0, width: 0 };
    }
    let fits = |width: &u8| numbers.iter().all(|&number| offset(number, base, *width).is_some());
    let width = (1..8).find(fits).unwrap_or(8);
    bytes.reserve_exact(rows * width as usize);
    for &number in numbers {
        let offset = offset(number, base, width).expect("eight bytes hold every number");
        bytes.extend_from_slice(&offset.to_le_bytes()[..width as usize]);
    }
    bytes.resize(at as usize + rows * width as usize, 0);
    Column { base, at, width }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;
    use proptest::prelude::*;

    fn layout(columns: u32) -> Arc<Layout> {
        let column = |at| layout::Column { series: at, position: at, scale: Scale::ONE };
        Arc::new(Layout::new((0..columns).map(column).collect()))
    }

    fn number() -> impl Strategy<Value = Option<i64>> {
        prop_oneof![
            4 => Just(Some(4096)),
            4 => (0..300_i64).prop_map(Some),
            2 => (-(1 << 53)..(1_i64 << 53)).prop_map(Some),
            1 => Just(None),
        ]
    }

    proptest! {
        #[test]
        fn a_chunk_gives_back_what_it_was_given(rows in prop::collection::vec((number(), number()), 0..=ROWS)) {
            let mut chunk = Chunk::new(layout(2));
            for (at, (one, other)) in rows.iter().enumerate() {
                chunk.push(at as i64, |column| [*one, *other][column]);
                for (row, (one, other)) in rows.iter().enumerate().take(at + 1) {
                    prop_assert_eq!((chunk.number(0, row), chunk.number(1, row)), (*one, *other));
                }
            }
            let all: Vec<Row> = rows.iter().enumerate().map(|(at, (one, other))| (at as i64, vec![*one, *other])).collect();
            prop_assert_eq!(chunk.unfold(), all);
            let mut samples = Vec::new();
            chunk.samples(1, 0..rows.len(), &mut samples);
            for (row, sample) in samples.into_iter().enumerate() {
                prop_assert_eq!(sample, chunk.sample(1, row));
            }
        }
    }

    #[test]
    fn what_does_not_move_costs_no_bytes_and_what_moves_a_little_costs_one() {
        let mut chunk = Chunk::new(layout(4));
        for row in 0..ROWS as i64 {
            chunk.push(row, |column| [Some(7), None, Some(1_000_000 + row), Some(row * 1000)][column]);
        }
        assert_eq!(chunk.bytes.len(), ROWS + 2 * ROWS);
    }
}
