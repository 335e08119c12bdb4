//! Which series of an appliance a reading's values belong to: a catalog as this crate sees it.
//!
//! Sample: position 3 of the catalog is series 7 of the appliance, in steps of 1/10.

use rackside_proto::Scale;

/// One catalog of an appliance. Whoever keeps the catalog keeps this with it, and hands it in with each reading.
#[derive(Debug)]
pub struct Layout {
    /// In order of their series.
    columns: Box<[Column]>,
}

/// One series of a catalog that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its number within the appliance.
    pub(crate) series: u32,
    /// Where its value stands in a reading.
    pub(crate) position: u32,
    pub(crate) scale: Scale,
}

impl Layout {
    pub(crate) fn new(mut columns: Vec<Column>) -> Self {
        columns.sort_unstable_by_key(|column| column.series);
        Self { columns: columns.into() }
    }

    /// In order of their series.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Which column is that of a series.
    pub(crate) fn column_of(&self, series: u32) -> Option<usize> {
        self.columns.binary_search_by_key(&series, |column| column.series).ok()
    }

    /// What stands at a position of a reading; nothing, if its series is not kept.
    pub(crate) fn at_position(&self, position: u32) -> Option<Column> {
        self.columns.iter().find(|column| column.position == position).copied()
    }
}
