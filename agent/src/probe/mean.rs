//! A rolling mean that a fallen value is held against. Pure.
//!
//! The mean is that of the last `KEPT` values that had not fallen, so that a stream at a third of its bitrate does not become the measure of
//! itself. After `USUAL` fallen values in a row it does: somebody has turned it down and left it so. Invariant: nothing has fallen
//! before `ENOUGH` values were seen.
//!
//! ```text
//! 4.0 4.1 3.9 | 1.5 fallen (below half of 4.0)  1.5 fallen  4.0
//! ```

use std::collections::VecDeque;

/// Values in the mean.
const KEPT: usize = 10;
/// Values that make a mean.
const ENOUGH: usize = 3;
/// So many fallen values in a row are usual: half an hour, at one a minute.
const USUAL: usize = 30;

/// The values so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mean {
    values: VecDeque<f64>,
    fallen: usize,
}

impl Mean {
    /// The mean, if there are enough values for one.
    pub fn mean(&self) -> Option<f64> {
        let is_enough = self.values.len() >= ENOUGH;
        is_enough.then(|| self.values.iter().sum::<f64>() / self.values.len() as f64)
    }

    /// One more value; whether it has fallen by more than this share of the mean. Nothing while there is no mean.
    pub fn observe(&mut self, value: f64, share: f64) -> Option<bool> {
        let has_fallen = self.mean().map(|mean| value < mean * (1.0 - share));
        if has_fallen == Some(true) {
            self.fallen += 1;
            if self.fallen < USUAL {
                return has_fallen;
            }
            self.values.clear();
        }
        self.fallen = 0;
        self.values.push_back(value);
        self.values.drain(..self.values.len().saturating_sub(KEPT));
        has_fallen
    }

    /// Begins again: what was measured is not what it was.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_below_half_of_the_mean_has_fallen_and_does_not_pull_it_down() {
        let mut mean = Mean::default();
        let fallen: Vec<Option<bool>> =
            [4.0, 4.0, 4.0, 1.9, 1.9, 2.1, 1.9, 4.0].map(|value| mean.observe(value, 0.5)).to_vec();
        let (no, yes) = (Some(false), Some(true));
        assert_eq!(fallen, [None, None, None, yes, yes, no, no, no]);
    }

    #[test]
    fn what_stays_low_is_usual_in_the_end() {
        let mut mean = Mean::default();
        let mut values = std::iter::repeat_n(4.0, 10).chain(std::iter::repeat(1.0));
        let fallen =
            (0..100).filter(|_| mean.observe(values.next().expect("endless"), 0.5) == Some(true)).count();
        assert_eq!(fallen, USUAL);
        assert_eq!(mean.mean(), Some(1.0));
    }

    #[test]
    fn only_the_last_values_count() {
        let mut mean = Mean::default();
        for value in [[1.0; 10], [3.0; 10]].concat() {
            mean.observe(value, 0.5);
        }
        assert_eq!(mean.mean(), Some(3.0));
        mean.forget();
        assert_eq!((mean.mean(), mean.observe(0.1, 0.5)), (None, None));
    }
}
