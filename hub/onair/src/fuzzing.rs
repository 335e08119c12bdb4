//! The way in for fuzzing: calendars of anybody's. Not a part of the program.
//!
//! As in the agent: a target is a function `fuzz` beside what it tests, and this table, behind the feature `fuzzing`, is the only door.

use crate::ical;

/// A name, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of this crate, by name.
pub const TARGETS: &[Target] = &[("ical", ical::fuzz)];
