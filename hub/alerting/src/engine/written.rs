//! What a rule has written last: so that a series that it makes no longer is marked as ended, and that a change can be told from the same
//! again.
//!
//! Sample: after `{a} = 1, {b} = 2` comes `{a} = 1`: written are `{a} = 1` and the stale mark of `{b}`, and it has changed.

use std::collections::{HashMap, HashSet};

use rackside_promql::{Labels, STALE, is_stale};

/// The series that a rule has written at its last evaluation that succeeded, with the bits of their values.
#[derive(Debug, Default)]
pub(crate) struct Written(HashMap<Labels, u64>);

impl Written {
    /// Adds the marks of what ended to `samples`. Returns whether anything is new, gone or of another value. Nothing counts before
    /// [`Written::keep`].
    pub(crate) fn complete(&self, samples: &mut Vec<(Labels, f64)>) -> bool {
        let mut known = 0;
        let mut changed = false;
        for (labels, value) in samples.iter() {
            let bits = self.0.get(labels);
            known += usize::from(bits.is_some());
            changed |= bits != Some(&value.to_bits());
        }
        if known < self.0.len() {
            changed = true;
            let now: HashSet<&Labels> = samples.iter().map(|(labels, _)| labels).collect();
            let gone: Vec<Labels> = self.0.keys().filter(|labels| !now.contains(labels)).cloned().collect();
            samples.extend(gone.into_iter().map(|labels| (labels, STALE)));
        }
        changed
    }

    /// These have been recorded, marks included.
    pub(crate) fn keep(&mut self, samples: Vec<(Labels, f64)>) {
        for (labels, value) in samples {
            if is_stale(value) {
                self.0.remove(&labels);
            } else {
                self.0.insert(labels, value.to_bits());
            }
        }
    }

    /// Takes a series for written that an earlier run of the program has written; whatever comes is a change.
    pub(crate) fn assume(&mut self, labels: Labels) {
        self.0.insert(labels, STALE.to_bits());
    }

    /// The series, for who marks them as ended.
    pub(crate) fn into_series(self) -> impl Iterator<Item = Labels> {
        self.0.into_keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, value: f64) -> (Labels, f64) {
        (Labels::new([("n", name)]), value)
    }

    #[test]
    fn what_ends_is_marked_once() {
        let mut written = Written::default();
        let mut turn = |mut samples: Vec<(Labels, f64)>| {
            let changed = written.complete(&mut samples);
            let count = samples.len();
            written.keep(samples);
            (changed, count)
        };
        assert_eq!(turn(vec![sample("a", 1.0), sample("b", f64::NAN)]), (true, 2));
        assert_eq!(turn(vec![sample("b", f64::NAN), sample("a", 1.0)]), (false, 2));
        assert_eq!(turn(vec![sample("a", 1.0)]), (true, 2));
        assert_eq!(turn(vec![sample("a", 1.0)]), (false, 1));
        assert_eq!(turn(vec![]), (true, 1));
        assert_eq!(turn(vec![]), (false, 0));
    }
}
