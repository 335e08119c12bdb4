//! Series in memory, for tests and for the unit tests of rules. Not for a fleet: each question looks at every series.
//!
//! Sample: `memory.push(Labels::new([("__name__", "up")]), [Sample::new(0, 1.0)])`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::labels::Labels;
use crate::sample::Sample;
use crate::source::{Select, Source, SourceError, Take, Wanted};

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
    fn select(&self, wanted: &Select<'_>, take: &mut dyn Take) -> Result<(), SourceError> {
        for (labels, samples) in &self.series {
            if !wanted.matches(labels) {
                continue;
            }
            let to = samples.partition_point(|sample| sample.at <= wanted.to);
            let from = match wanted.wanted {
                Wanted::Newest => to.saturating_sub(1),
                Wanted::All => samples.partition_point(|sample| sample.at < wanted.from),
            };
            let Some(within) = samples.get(from..to).filter(|within| !within.is_empty()) else { continue };
            if take.series(labels, within) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Reduce;

    fn handed_over(memory: &Memory, from: i64, to: i64, wanted: Wanted) -> Vec<i64> {
        let mut times = Vec::new();
        let select =
            Select { matchers: &[], from, to, wanted, step: None, window: None, reduce: Reduce::Samples };
        memory
            .select(&select, &mut |_: &Labels, samples: &[Sample]| {
                times.extend(samples.iter().map(|sample| sample.at));
                ControlFlow::Continue(())
            })
            .expect("memory does not fail");
        times
    }

    #[test]
    fn samples_are_kept_in_order_and_the_last_word_counts() {
        let mut memory = Memory::new();
        memory.push(Labels::empty(), [3, 1, 2, 1].map(|at| Sample::new(at, at as f64)));
        memory.push(Labels::empty(), [Sample::new(2, 7.0)]);
        let samples = memory.series().next().map(|(_, samples)| samples.to_vec());
        assert_eq!(samples, Some(vec![Sample::new(1, 1.0), Sample::new(2, 7.0), Sample::new(3, 3.0)]));
    }

    #[test]
    fn a_window_has_both_its_ends_and_the_newest_is_one_sample() {
        let mut memory = Memory::new();
        memory.push(Labels::empty(), (0..10).map(|at| Sample::new(at, 0.0)));
        assert_eq!(handed_over(&memory, 3, 6, Wanted::All), [3, 4, 5, 6]);
        assert_eq!(handed_over(&memory, 3, 6, Wanted::Newest), [6]);
        assert!(handed_over(&memory, -5, -1, Wanted::Newest).is_empty());
    }
}
