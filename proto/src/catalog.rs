//! The list of an agent's series. Readings name a series by its position in it.

use crate::codec::{Input, checked, put};
use crate::{DecodeError, EncodeError, Sink, Time, Value, limits};
use serde::{Deserialize, Serialize};

/// What a catalog says beside its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogHead {
    /// Catalogs of a run are numbered from 1.
    pub number: u32,
    /// When it was made.
    pub time: Time,
    /// The kernel's boot id.
    pub boot_id: [u8; 16],
    /// Milliseconds from one reading to the next.
    pub tick_ms: u32,
}

/// A catalog over borrowed bytes. It was walked once when it was decoded, so [`series`](Self::series) cannot fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Catalog<'a> {
    /// What it says beside its series.
    pub head: CatalogHead,
    count: usize,
    series: &'a [u8],
}

impl<'a> Catalog<'a> {
    /// Appends a catalog. `series` may be walked twice.
    pub fn encode<'s, S, I>(head: &CatalogHead, series: I, sink: &mut S) -> Result<(), EncodeError>
    where
        S: Sink,
        I: Iterator<Item = Series<'s>> + Clone,
    {
        let count = series.clone().count();
        if count > limits::SERIES {
            return Err(EncodeError::Limit("number of series"));
        }
        put(sink, head)?;
        put(sink, &(count as u32))?;
        for one in series {
            one.check()?;
            put(sink, &one)?;
        }
        Ok(())
    }

    pub(crate) fn take(input: &mut Input<'a>) -> Result<Self, DecodeError> {
        let head = input.take("catalog")?;
        let count = input.count(limits::SERIES, "number of series")?;
        let before = *input;
        for _ in 0..count {
            input.take::<Series<'a>>("series")?.check().map_err(|error| match error {
                EncodeError::Limit(what) => DecodeError::Limit(what),
                EncodeError::Full | EncodeError::Mismatch(_) => DecodeError::Malformed("series"),
            })?;
        }
        Ok(Self { head, count, series: input.since(before) })
    }

    /// How many series it lists.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether it lists none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The series, in their order.
    pub fn series(&self) -> SeriesIter<'a> {
        SeriesIter { left: self.count, input: Input::new(self.series) }
    }
}

/// Walks the series of a [`Catalog`].
#[derive(Debug, Clone)]
pub struct SeriesIter<'a> {
    left: usize,
    input: Input<'a>,
}

impl<'a> Iterator for SeriesIter<'a> {
    type Item = Series<'a>;

    fn next(&mut self) -> Option<Series<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.input.take("series").ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// One measured quantity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series<'a> {
    /// The metric's name: `rackside_soc_temperature_celsius`. `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    pub name: &'a str,
    /// What tells it from others of that name.
    #[serde(borrow)]
    pub labels: Labels<'a>,
    /// The base unit as the name has it (`celsius`, `bytes`, `seconds`, `ratio`), or nothing.
    pub unit: &'a str,
    /// How it moves.
    pub kind: Kind,
    /// What one step of the number is worth.
    pub scale: Scale,
    /// What the readings' differences start from.
    pub reference: Value,
}

/// The labels of a [`Series`], without `site` and `appliance`.
pub type Labels<'a> = heapless::Vec<Label<'a>, { limits::LABELS }>;

/// One label of a [`Series`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label<'a> {
    /// Its name, `[a-zA-Z_][a-zA-Z0-9_]*`; never `site`, `appliance` or one that begins with two underscores.
    pub name: &'a str,
    /// Its value: any text.
    pub value: &'a str,
}

/// How a series moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Up and down.
    Gauge,
    /// Up only; back to 0 when its source starts again.
    Counter,
    /// One of a few numbers that each mean something, 0 and 1 most often.
    State,
}

/// A series' value is its number times `times`, divided by `per`: bytes in steps of 4,096 are `4096/1`, tenths of a
/// degree `1/10`. One rounding, so that 483 tenths are exactly 48.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scale {
    /// 1 to 2^32 - 1.
    pub times: u32,
    /// 1 to 2^32 - 1.
    pub per: u32,
}

impl Scale {
    /// Whole numbers.
    pub const ONE: Self = Self { times: 1, per: 1 };

    /// Fractions of one: `Scale::per(1000)` is thousandths.
    pub const fn per(per: u32) -> Self {
        Self { times: 1, per }
    }

    /// Multiples: `Scale::times(1024)` is KiB for a quantity in bytes.
    pub const fn times(times: u32) -> Self {
        Self { times, per: 1 }
    }

    /// The quantity that `number` stands for.
    pub fn value(self, number: i64) -> f64 {
        number as f64 * f64::from(self.times) / f64::from(self.per)
    }

    /// The number that comes closest to `value`, or `None` if it is not finite or beyond
    /// [`limits::MAGNITUDE`].
    pub fn number(self, value: f64) -> Option<i64> {
        let exact = value * f64::from(self.per) / f64::from(self.times);
        // `f64::round` is not in core; half away from zero by hand.
        let nearest = if exact < 0.0 { exact - 0.5 } else { exact + 0.5 };
        let bound = limits::MAGNITUDE as f64;
        (nearest > -bound && nearest < bound).then_some(nearest as i64)
    }
}

impl Series<'_> {
    fn check(&self) -> Result<(), EncodeError> {
        checked(self.name, "metric name")?;
        checked(self.unit, "unit")?;
        if !is_name(self.name, true) {
            return Err(EncodeError::Mismatch("a metric name has letters, digits, _ and : only"));
        }
        for (at, label) in self.labels.iter().enumerate() {
            if self.labels.iter().take(at).any(|other| other.name == label.name) {
                return Err(EncodeError::Mismatch("a label stands once on a series"));
            }
            checked(label.name, "label name")?;
            checked(label.value, "label value")?;
            let reserved = matches!(label.name, "site" | "appliance") || label.name.starts_with("__");
            if reserved || !is_name(label.name, false) {
                return Err(EncodeError::Mismatch(
                    "a label name has letters, digits and _ only, and is not reserved",
                ));
            }
        }
        if self.scale.times == 0 || self.scale.per == 0 {
            return Err(EncodeError::Mismatch("a scale is not zero"));
        }
        if !self.reference.is_in_bounds() {
            return Err(EncodeError::Limit("value"));
        }
        Ok(())
    }
}

/// Prometheus's rule for names; colons are for metrics only.
fn is_name(text: &str, colon: bool) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colon && byte == b':');
    text.bytes().all(fits) && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}
