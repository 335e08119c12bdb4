//! Charts as SVG: pure functions of data and a range of time.
//!
//! [`Curve`] makes columns of samples, one for each pixel across, with the least, the mean and the largest of each, so that no spike is lost; [`svg`] draws
//! them with axes, gaps, and what happened meanwhile; [`sparkline`] is the small one without any of it. Colours are classes that `chart.css` knows, with
//! attributes for where no style sheet is; no style stands in the text, and no id, so a page may have any number of them.
//!
//! Invariants: any data give a picture; no number in it is NaN or infinite; nothing leaves the box; every text is escaped.
//!
//! ```text
//! <svg class="chart" viewBox="0 0 400 140" role="img"><title>SoC temperature</title><desc>Lowest 41.2 °C, highest …</desc>…
//! ```

mod axis;
mod curve;
mod draw;
mod path;
mod spark;
mod strip;
mod words;

pub use axis::{Tick, time_ticks};
pub use curve::{Bucket, Column, Curve, Gather, Moves};
pub use draw::svg;
pub use spark::sparkline;
pub use words::{States, Tone, moment, said, summary};

use crate::quantity::Unit;
use rackside_onair::Zone;
use std::ops::Range;

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows, in an operator's words.
    pub title: String,
    /// What the numbers are in.
    pub unit: Unit,
    /// From the left edge to the right one, in milliseconds since 1970.
    pub range: Range<i64>,
    /// The clock on the wall that times are told by.
    pub zone: Zone,
    /// What was measured.
    pub curve: Curve,
    /// How the numbers are to be read, if they are states.
    pub states: Option<States>,
    /// What happened meanwhile.
    pub marks: Vec<Mark>,
    /// Where an alert begins, if that is known.
    pub threshold: Option<f64>,
    /// How large.
    pub size: Size,
    /// Whether each mark says what it is; else they are only there.
    pub is_telling: bool,
    /// Whether the title is drawn: for a picture that stands alone.
    pub is_titled: bool,
}

impl Chart {
    /// A chart of this range, with nothing in it yet.
    pub fn new(title: &str, unit: Unit, range: Range<i64>, zone: Zone) -> Self {
        Self {
            title: title.to_owned(),
            unit,
            range,
            zone,
            curve: Curve::default(),
            states: None,
            marks: Vec::new(),
            threshold: None,
            size: Size::SMALL,
            is_telling: true,
            is_titled: false,
        }
    }
}

impl Chart {
    /// The states that it was in, rising, if they are few enough for a lane each; none of what is no state.
    pub fn lanes(&self) -> Option<Vec<f64>> {
        self.states.as_ref()?;
        let mut seen: Vec<f64> = Vec::new();
        for value in self.curve.columns.iter().flat_map(|column| [column.min, column.last, column.max]) {
            if value.fract() != 0.0 || (seen.len() > LANES && !seen.contains(&value)) {
                return None;
            }
            if !seen.contains(&value) {
                seen.push(value);
            }
        }
        seen.sort_unstable_by(f64::total_cmp);
        (!seen.is_empty() && seen.len() <= LANES).then_some(seen)
    }
}

/// A picture's size, in the units of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Across.
    pub width: u16,
    /// Down.
    pub height: u16,
}

/// Room for the unit above the plot, so that it does not touch the uppermost number.
const TOP: u16 = 18;
/// Room for the times below.
const BELOW: u16 = 17;
/// How high the lane of a state is, and how many there are at most: more are drawn as a line of steps.
const LANE: u16 = 15;
const LANES: usize = 6;
/// Room for the numbers on the left.
const LEFT: u16 = 52;
/// Room on the right, so that the last time is not cut.
const RIGHT: u16 = 10;

impl Size {
    /// Of which three stand side by side on a desk, and one on a phone.
    pub const SMALL: Self = Self { width: 400, height: 134 };
    /// One alone on a desk.
    pub const WIDE: Self = Self { width: 800, height: 240 };
    /// A state, which needs less height.
    pub const STRIP: Self = Self { width: 400, height: 64 };

    /// What a chart needs: numbers are high, a state is low, one of several has a lane for each.
    pub fn of(chart: &Chart) -> Self {
        let lanes = chart.lanes().map_or(0, |lanes| lanes.len() as u16);
        match &chart.states {
            Some(states) if states.is_switch() => Self::STRIP,
            Some(_) if lanes > 0 => {
                Self { height: (TOP + BELOW + lanes * LANE).max(Self::STRIP.height), ..Self::STRIP }
            }
            Some(_) | None => Self::SMALL,
        }
    }

    /// How many pixels the curve has across: so many columns are worth gathering.
    pub const fn columns(self) -> usize {
        self.width.saturating_sub(LEFT + RIGHT) as usize
    }
}

/// Something that happened, drawn with the curve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What kind of thing.
    pub kind: MarkKind,
    /// From when, in milliseconds since 1970.
    pub from: i64,
    /// Until when; the same for a moment.
    pub until: i64,
    /// In words, for the mouse and for readers.
    pub text: String,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MarkKind {
    /// The site was on air.
    OnAir,
    /// An alert fired.
    Alert,
    /// A line of the log.
    Event,
}

#[cfg(test)]
mod tests;
