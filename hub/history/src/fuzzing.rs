//! The way in for fuzzing: what reads a chunk's parts. Not a part of the program.
//!
//! As in the agent: a target is a function `fuzz` beside what it tests, and this table, behind the feature `fuzzing`, is the only door. Checksums
//! keep made-up bytes from a chunk's parts, so each part has a target of its own, behind them.

use crate::{chunk, column, rollup, seqs, timeline};

/// A name, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of this crate, by name.
pub const TARGETS: &[Target] = &[
    ("chunk-column", column::fuzz),
    ("chunk-directory", chunk::directory::fuzz),
    ("chunk-rollup", rollup::codec::fuzz),
    ("chunk-timeline", timeline::fuzz),
    ("seqs", seqs::fuzz),
];
