//! Series in memory, for tests and for the unit tests of rules. Not for a fleet: each question looks at every series.
//!
//! Sample: `memory.push(Labels::new([("__name__", "up")]), [Sample::new(0, 1.0)])`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::labels::Labels;
use crate::sample::Sample;
use crate::source::{Select, Source, SourceError, Visit};

/// Series in memory, told over in the order of their labels.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    series: BTreeMap<Labels, Vec<Sample>>,
}

impl Memory {
    /// No series.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds samples to a series, new or not. They may come in any order; of two at the same moment the one that came last counts.
    pub fn push(&mut self, labels: Labels, samples: impl IntoIterator<Item = Sample>) {
        let series = self.series.entry(labels).or_default();
        for sample in samples {
            let at = series.partition_point(|known| known.at < sample.at);
            match series.get_mut(at) {
                Some(known) if known.at == sample.at => *known = sample,
                _ => series.insert(at, sample),
            }
        }
    }

    /// Every series.
    pub fn series(&self) -> impl Iterator<Item = (&Labels, &[Sample])> {
        self.series.iter().map(|(labels, samples)| (labels, samples.as_slice()))
    }
}

impl Source for Memory {
    fn select(&self, wanted: &Select<'_>, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        for (labels, samples) in &self.series {
            if !wanted.matches(labels) {
                continue;
            }
            let from = samples.partition_point(|sample| sample.at < wanted.from);
            let to = samples.partition_point(|sample| sample.at <= wanted.to);
            let Some(within) = samples.get(from..to).filter(|within| !within.is_empty()) else { continue };
            if visit(labels, within) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}
