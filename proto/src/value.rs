//! One series' value in one reading.

use crate::limits;
use serde::{Deserialize, Serialize};

/// A value, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Value {
    /// There is nothing to measure now: no route, no result within 2.5 times the schedule. Ends the series' line.
    Absent,
    /// It was asked and nobody could tell. Unknown is not failed.
    Unknown,
    /// A whole number of the series' [`Scale`](crate::Scale), at most 2^53 in magnitude.
    Known(i64),
}

impl Value {
    /// The number, if there is one.
    pub const fn known(self) -> Option<i64> {
        match self {
            Self::Known(number) => Some(number),
            Self::Absent | Self::Unknown => None,
        }
    }

    /// Whether the number is within [`limits::MAGNITUDE`].
    pub(crate) const fn is_in_bounds(self) -> bool {
        match self {
            Self::Known(n) => -limits::MAGNITUDE <= n && n <= limits::MAGNITUDE,
            Self::Absent | Self::Unknown => true,
        }
    }
}
