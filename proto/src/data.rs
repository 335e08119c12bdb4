//! Data records: a catalog, or readings coded against one.
//!
//! A reading is coded as what moved since the reading before it in the record; the first one, as what moved since the
//! catalog's references. So a record decodes alone, given its catalog, and what has not moved costs one bit.
//!
//! ```text
//! readings = catalog number · time of the first · reading · (milliseconds after the one before · reading)*
//! reading  = moved: one bit a series, the lowest first, no zero byte at the end · one code for each bit that is set
//! code     = 0 absent · 1 unknown · 2 + zigzag(number - base)
//! base     = the series' number in the reading before, else the catalog's reference, else 0
//! ```

use crate::codec::{Input, put};
use crate::{Catalog, DecodeError, EncodeError, Sink, Time, Value, limits};

/// The body of a data record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    /// Readings.
    Readings(Readings<'a>),
    /// A catalog, ahead of the first readings that use it.
    Catalog(Catalog<'a>),
}

/// The first byte of the body.
const READINGS: u32 = 0;
const CATALOG: u32 = 1;

impl<'a> Data<'a> {
    /// Appends the body of a catalog record; see [`Catalog::encode`] for the catalog itself.
    pub fn encode_catalog<S: Sink>(catalog: &[u8], sink: &mut S) -> Result<(), EncodeError> {
        put(sink, &CATALOG)?;
        sink.put(catalog)
    }

    /// Appends the body of a record of `readings`: moments in order on one clock, each with a value for every
    /// reference of the catalog.
    pub fn encode_readings<'v, S, I>(
        catalog: u32,
        references: &[Value],
        readings: I,
        sink: &mut S,
    ) -> Result<(), EncodeError>
    where
        S: Sink,
        I: ExactSizeIterator<Item = (Time, &'v [Value])>,
    {
        let count = readings.len();
        let mut last: Option<(Time, &[Value])> = None;
        for reading in readings {
            if last.is_none() {
                Self::encode_readings_head(catalog, reading.0, count, sink)?;
            }
            Self::encode_reading(references, last, reading, sink)?;
            last = Some(reading);
        }
        last.map(|_| ()).ok_or(EncodeError::Limit("number of readings"))
    }

    /// Appends the begin of the body of a record of readings, for whoever codes them one by one: `count` of them follow, the first
    /// taken at `first`, as [`encode_reading`](Self::encode_reading) writes them.
    pub fn encode_readings_head<S: Sink>(
        catalog: u32,
        first: Time,
        count: usize,
        sink: &mut S,
    ) -> Result<(), EncodeError> {
        if count == 0 || count > limits::READINGS {
            return Err(EncodeError::Limit("number of readings"));
        }
        put(sink, &READINGS)?;
        put(sink, &catalog)?;
        put(sink, &first)?;
        put(sink, &(count as u32))
    }

    /// Appends one reading of a record, behind the one `before` it in the same record, or as the first.
    pub fn encode_reading<S: Sink>(
        references: &[Value],
        before: Option<(Time, &[Value])>,
        (time, values): (Time, &[Value]),
        sink: &mut S,
    ) -> Result<(), EncodeError> {
        if values.len() != references.len() {
            return Err(EncodeError::Mismatch("a reading has a value for every series of its catalog"));
        }
        let base = match before {
            Some((before, values)) => {
                let apart = time.since(before);
                put(sink, &apart.ok_or(EncodeError::Mismatch("readings of one record are in order"))?)?;
                values
            }
            None => references,
        };
        encode_moves(references, base, values, sink)
    }

    /// Reads a record's body. Every reading is walked, so that [`Readings::iter`] cannot fail.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Input::new(body);
        match input.take("kind of data")? {
            READINGS => Readings::take(&mut input).map(Self::Readings),
            CATALOG => Catalog::take(&mut input).map(Self::Catalog),
            _ => Err(DecodeError::Malformed("kind of data")),
        }
    }
}

fn encode_moves<S: Sink>(
    references: &[Value],
    before: &[Value],
    values: &[Value],
    sink: &mut S,
) -> Result<(), EncodeError> {
    let mut moved = [0_u8; limits::SERIES / 8];
    let mut bytes = 0;
    for (at, (value, before)) in values.iter().zip(before).enumerate() {
        if !value.is_in_bounds() {
            return Err(EncodeError::Limit("value"));
        }
        if value != before {
            let byte = moved.get_mut(at / 8).ok_or(EncodeError::Limit("number of series"))?;
            *byte |= 1 << (at % 8);
            bytes = at / 8 + 1;
        }
    }
    let moved = moved.get(..bytes).unwrap_or(&[]);
    put(sink, &(bytes as u32))?;
    sink.put(moved)?;
    for ((value, before), reference) in values.iter().zip(before).zip(references) {
        if value != before {
            let code: u64 = match value {
                Value::Absent => 0,
                Value::Unknown => 1,
                Value::Known(number) => 2 + zigzag(number - base(*before, *reference)),
            };
            put(sink, &code)?;
        }
    }
    Ok(())
}

/// What a difference is added to.
fn base(before: Value, reference: Value) -> i64 {
    before.known().or(reference.known()).unwrap_or(0)
}

const fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

const fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Readings over borrowed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readings<'a> {
    /// The number of the catalog that they are coded against, in the run of the record's envelope.
    pub catalog: u32,
    /// When the first was taken.
    pub time: Time,
    count: usize,
    input: Input<'a>,
}

impl<'a> Readings<'a> {
    fn take(input: &mut Input<'a>) -> Result<Self, DecodeError> {
        let catalog = input.take("catalog number")?;
        let time = input.take("time")?;
        let count = input.count(limits::READINGS, "number of readings")?;
        if count == 0 {
            return Err(DecodeError::Malformed("number of readings"));
        }
        let readings = Self { catalog, time, count, input: *input };
        let mut walk = readings.iter();
        while walk.left > 0 {
            walk.step()?;
        }
        *input = walk.input;
        Ok(readings)
    }

    /// How many readings there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// The readings, oldest first.
    pub const fn iter(&self) -> ReadingIter<'a> {
        ReadingIter { time: self.time, left: self.count, first: true, input: self.input }
    }
}

impl<'a> IntoIterator for &Readings<'a> {
    type Item = Reading<'a>;
    type IntoIter = ReadingIter<'a>;

    fn into_iter(self) -> ReadingIter<'a> {
        self.iter()
    }
}

/// Walks the readings of a record.
#[derive(Debug, Clone)]
pub struct ReadingIter<'a> {
    time: Time,
    left: usize,
    first: bool,
    input: Input<'a>,
}

impl<'a> ReadingIter<'a> {
    fn step(&mut self) -> Result<Reading<'a>, DecodeError> {
        if !core::mem::take(&mut self.first) {
            self.time = self.time.plus(self.input.take("time between readings")?);
        }
        let moved: &[u8] = self.input.take("series that moved")?;
        if moved.len() > limits::SERIES / 8 {
            return Err(DecodeError::Limit("number of series"));
        }
        let codes = self.input;
        for _ in 0..moved.iter().map(|byte| byte.count_ones()).sum() {
            let code: u64 = self.input.take("value")?;
            if code >= 2 && unzigzag(code - 2).unsigned_abs() > 2 * limits::MAGNITUDE as u64 {
                return Err(DecodeError::Limit("value"));
            }
        }
        self.left -= 1;
        Ok(Reading { time: self.time, moved, codes })
    }
}

impl<'a> Iterator for ReadingIter<'a> {
    type Item = Reading<'a>;

    fn next(&mut self) -> Option<Reading<'a>> {
        if self.left == 0 { None } else { self.step().ok() }
    }
}

/// One reading over borrowed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading<'a> {
    /// When it was taken.
    pub time: Time,
    moved: &'a [u8],
    codes: Input<'a>,
}

impl<'a> Reading<'a> {
    /// What moved: positions in the catalog, rising, each with how.
    pub fn changes(&self) -> Changes<'a> {
        Changes { moved: self.moved, at: 0, codes: self.codes }
    }

    /// Turns `values` from the reading before (for the first of a record: a copy of `references`) into this one.
    ///
    /// Both have one value for each series of the catalog. Fails, leaving `values` half turned, when the reading names a
    /// series that is not among them or leaves the range of values: it was coded against another catalog.
    pub fn apply(&self, references: &[Value], values: &mut [Value]) -> Result<(), DecodeError> {
        for (at, change) in self.changes() {
            let value = values.get_mut(at).ok_or(DecodeError::Malformed("series beyond the catalog"))?;
            *value = match change {
                Change::Absent => Value::Absent,
                Change::Unknown => Value::Unknown,
                Change::Moved(by) => {
                    let reference = references.get(at).copied().unwrap_or(Value::Absent);
                    Value::Known(base(*value, reference) + by)
                }
            };
            if !value.is_in_bounds() {
                return Err(DecodeError::Limit("value"));
            }
        }
        Ok(())
    }
}

/// How one series moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There is nothing to measure any more.
    Absent,
    /// Nobody can tell any more.
    Unknown,
    /// The number moved by this much from its base; 0 when it is back after an absence.
    Moved(i64),
}

/// Walks what moved in a [`Reading`].
#[derive(Debug, Clone)]
pub struct Changes<'a> {
    moved: &'a [u8],
    at: usize,
    codes: Input<'a>,
}

impl Iterator for Changes<'_> {
    type Item = (usize, Change);

    fn next(&mut self) -> Option<(usize, Change)> {
        loop {
            let byte = *self.moved.get(self.at / 8)?;
            let left = u32::from(byte) >> (self.at % 8);
            if left == 0 {
                self.at = (self.at / 8 + 1) * 8;
                continue;
            }
            let at = self.at + left.trailing_zeros() as usize;
            self.at = at + 1;
            let change = match self.codes.take::<u64>("value").ok()? {
                0 => Change::Absent,
                1 => Change::Unknown,
                code => Change::Moved(unzigzag(code - 2)),
            };
            return Some((at, change));
        }
    }
}
