//! Chance that is the same in every run: whole numbers from a seed, and what the models draw from them.
//!
//! Nothing here depends on the machine but `ln` and `exp`, whose last digits are rounded away by every series' scale.

use crate::simulation::random;

/// A row of chances.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        random(&mut self.0)
    }

    /// From 0 up to 1, which never comes.
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly from `low` to `high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// Evenly by ratio: as often from 1 to 10 as from 10 to 100.
    pub(super) fn by_ratio(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.share())
    }

    /// Whether something happens that happens `often` times a second, within `seconds`.
    pub(super) fn happens(&mut self, often: f64, seconds: f64) -> bool {
        self.share() < often * seconds
    }

    /// Mean 0, standard deviation 1: the sum of four even 16-bit chances (Irwin and Hall), which ends at 3.5. What reaches
    /// further than that in a rack has a cause, and the models name it.
    pub(super) fn normal(&mut self) -> f64 {
        let bits = self.next();
        let sum: f64 = (0..4).map(|part| f64::from((bits >> (16 * part)) as u16)).sum();
        (sum / 65_536.0 - 2.0) / (4.0_f64 / 12.0).sqrt()
    }

    /// Exponential with mean 1: the wait for what comes at random.
    pub(super) fn wait(&mut self) -> f64 {
        -(1.0 - self.share()).ln()
    }

    /// How many of something that comes at random come when `mean` are expected.
    pub(super) fn count(&mut self, mean: f64) -> f64 {
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let mut left = mean - self.wait();
        let mut count = 0.0;
        while left > 0.0 {
            count += 1.0;
            left -= self.wait();
        }
        count
    }
}

/// A value that wanders about 0 and forgets within `tau` seconds (Ornstein and Uhlenbeck), with standard deviation 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wander {
    tau: f64,
    value: f64,
}

impl Wander {
    pub(super) fn new(tau: f64, dice: &mut Dice) -> Self {
        Self { tau, value: dice.normal() }
    }

    pub(super) fn step(&mut self, seconds: f64, dice: &mut Dice) -> f64 {
        let keeps = (-seconds / self.tau).exp();
        self.value = self.value * keeps + (1.0 - keeps * keeps).sqrt() * dice.normal();
        self.value
    }
}

/// The share of its way to a new target that something with the time constant `tau` goes within `seconds`.
pub(super) fn approach(seconds: f64, tau: f64) -> f64 {
    1.0 - (-seconds / tau).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
        (mean, variance.sqrt())
    }

    #[test]
    fn normal_chances_have_mean_0_and_deviation_1() {
        let mut dice = Dice::new(1);
        let (mean, deviation) = moments(&(0..100_000).map(|_| dice.normal()).collect::<Vec<_>>());
        assert!(mean.abs() < 0.01 && (deviation - 1.0).abs() < 0.01, "{mean} {deviation}");
    }

    #[test]
    fn counts_have_the_mean_that_was_asked_for() {
        for expected in [0.2, 3.0, 100.0] {
            let mut dice = Dice::new(2);
            let (mean, deviation) = moments(&(0..20_000).map(|_| dice.count(expected)).collect::<Vec<_>>());
            assert!((mean - expected).abs() < 0.05 * expected.sqrt().max(1.0), "{expected}: {mean}");
            assert!((deviation - expected.sqrt()).abs() < 0.05 * expected.sqrt(), "{expected}: {deviation}");
        }
    }

    #[test]
    fn what_wanders_forgets_in_its_time() {
        let mut dice = Dice::new(3);
        let mut wander = Wander::new(100.0, &mut dice);
        let values: Vec<f64> = (0..200_000).map(|_| wander.step(10.0, &mut dice)).collect();
        let (_, deviation) = moments(&values);
        let after = |steps: usize| {
            let pairs = values.iter().zip(&values[steps..]);
            pairs.map(|(a, b)| a * b).sum::<f64>() / values.len() as f64
        };
        assert!((deviation - 1.0).abs() < 0.05, "{deviation}");
        assert!((after(10) - (-1.0_f64).exp()).abs() < 0.05, "{}", after(10));
    }
}
