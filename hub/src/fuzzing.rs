//! The way in for fuzzing: what of this crate reads other people's bytes by hand. Not a part of the program.
//!
//! As in the agent: a target is a function `fuzz` beside what it tests, and this table, behind the feature `fuzzing`, is the only door.

use crate::listener::{index, packets};
use crate::stills::picture;

/// A name, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of this crate, by name.
pub const TARGETS: &[Target] =
    &[("mqtt-packets", packets::fuzz), ("mqtt-topics", index::fuzz), ("picture", picture::fuzz)];
