//! Samples of one series, and what a series is.

use rackside_proto::{Kind, Scale};
use std::sync::Arc;

/// Samples in order of time. Invariant: as many values as times; times rise strictly.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Samples {
    /// Milliseconds since 1970-01-01 UTC. Shared by all series that were read together.
    pub times: Arc<[u64]>,
    /// On the series' scale; `None` where the series ended or nobody knew: staleness.
    pub values: Vec<Option<i64>>,
}

/// Labels: names and values.
pub type Labels = Box<[(Box<str>, Box<str>)]>;

/// What makes a series of an agent: another kind or scale is another series, which readers join under the one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// The metric's name.
    pub name: Box<str>,
    /// Its labels beside site and appliance, in order of their names, none of them empty.
    pub labels: Labels,
    /// Its unit, or nothing.
    pub unit: Box<str>,
    /// How it moves.
    pub kind: Kind,
    /// What one step of its number is worth.
    pub scale: Scale,
}
