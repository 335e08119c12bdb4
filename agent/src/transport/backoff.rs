//! How long to wait before the next try: capped exponential backoff with full jitter.
//!
//! Each wait is drawn from zero to a bound that doubles with each failure, 0.5 s to 30 s. Drawing from the whole range
//! spreads ten thousand agents evenly over it after a hub's restart, where a fixed wait would bring them back in waves.

use fastrand::Rng;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const MOST: Duration = Duration::from_secs(30);

/// Draws waits.
#[derive(Debug)]
pub struct Backoff {
    bound: Duration,
    dice: Rng,
}

impl Backoff {
    /// `seed` differs between agents, or they come back together.
    pub fn new(seed: u64) -> Self {
        Self { bound: FIRST, dice: Rng::with_seed(seed) }
    }

    /// The wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.bound.mul_f64(self.dice.f64());
        self.bound = (self.bound * 2).min(MOST);
        wait
    }

    /// All went well.
    pub fn reset(&mut self) {
        self.bound = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_30_s_and_starts_again() {
        let mut backoff = Backoff::new(1);
        for seconds in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let wait = backoff.next_wait().as_secs_f64();
            assert!(wait < seconds, "{wait} of {seconds}");
        }
        backoff.reset();
        assert!(backoff.next_wait() < FIRST);
    }

    #[test]
    fn ten_thousand_agents_come_back_spread_over_the_whole_range() {
        let mut tenths = [0; 10];
        for seed in 0..10_000 {
            let mut backoff = Backoff::new(seed);
            let wait = (0..8).map(|_| backoff.next_wait()).last().expect("eight waits");
            tenths[(wait.as_secs_f64() / 3.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
    }
}
