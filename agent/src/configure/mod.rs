//! The hub's configuration for this box: what it hands out goes where the box's own file says nothing, and is taken back if the hub is not reached with it.
//!
//! [`Course`] decides, by time alone: when a revision that came is put on trial, when it has proven good, when it is taken back. `kept` is what the
//! disk has of it. How the two texts become one configuration is told in [`config::sources`](crate::config); who signs, in
//! [`join::signed`](crate::join::signed); the loop's side is `app/adopt.rs`.
//!
//! Invariants: nothing counts that is not signed by the hub that this box joined, for this box, and newer than what it knows. What the box's own file says
//! counts always. One write for a revision, one renaming for what becomes of it, and nothing else is written.
//!
//! ```text
//! came ─ the hub is heard ─ checked ─ written ─► on trial ─┬─ the hub is heard 10 s later or more ─► counts: applied
//!            │                                             ├─ not within 5 minutes ─► the former one counts again: rolled back
//!            └─► refused: line 12: …                       └─ the power is cut, or somebody starts it anew ─► the same
//! ```

mod course;
mod kept;

pub use course::{Course, Heard, Patience, Step, Worth};
pub(crate) use kept::Kept;

use serde::Deserialize;
use std::sync::Arc;

/// `[config]`: what the box's own file says about the hub's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FileConfig {
    pub(crate) accept: bool,
}

impl Default for FileConfig {
    fn default() -> Self {
        Self { accept: true }
    }
}

/// What the hub has handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// From 1; 0 for what came along with joining.
    pub revision: u32,
    /// TOML.
    pub text: Arc<str>,
}
