//! What the newest requests of a ping say together: loss, rolling mean, jitter. Pure.
//!
//! Jitter is that of RFC 3550, 6.4.1: it moves by a sixteenth of the difference between two answers in a row towards that difference, so
//! it remembers about sixteen of them, however long the window is.
//!
//! ```text
//! 12 ms, 14 ms, lost, 12 ms:  loss 0.25, mean 12.7 ms, jitter 0 + (2 − 0)/16 = 0.125, then 0.125 + (2 − 0.125)/16 = 0.242 ms
//! ```

use std::collections::VecDeque;
use std::time::Duration;

/// The newest requests.
#[derive(Debug, Clone)]
pub struct Window {
    size: usize,
    /// In microseconds; `None` where no answer came.
    requests: VecDeque<Option<u32>>,
    last: Option<f64>,
    jitter: Option<f64>,
}

impl Window {
    /// Of so many requests, at least one.
    pub const fn new(size: usize) -> Self {
        Self { size, requests: VecDeque::new(), last: None, jitter: None }
    }

    /// A request was answered after this time, or lost.
    pub fn take(&mut self, took: Option<Duration>) {
        while self.requests.len() >= self.size.max(1) {
            self.requests.pop_front();
        }
        let micros = took.map(|took| u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        self.requests.push_back(micros);
        let Some(took) = took else { return };
        let took = took.as_secs_f64();
        if let Some(last) = self.last.replace(took) {
            let jitter = self.jitter.get_or_insert(0.0);
            *jitter += ((took - last).abs() - *jitter) / 16.0;
        }
    }

    /// The share that was lost, 0 to 1.
    pub fn loss(&self) -> Option<f64> {
        let lost = self.requests.iter().filter(|took| took.is_none()).count();
        (!self.requests.is_empty()).then(|| lost as f64 / self.requests.len() as f64)
    }

    /// The mean of those that were answered, in seconds.
    pub fn mean(&self) -> Option<f64> {
        let answered: Vec<f64> = self.requests.iter().flatten().map(|micros| f64::from(*micros)).collect();
        (!answered.is_empty()).then(|| answered.iter().sum::<f64>() / answered.len() as f64 / 1e6)
    }

    /// The jitter in seconds; from the second answer on.
    pub const fn jitter(&self) -> Option<f64> {
        self.jitter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(size: usize, millis: &[Option<u64>]) -> Window {
        let mut window = Window::new(size);
        for took in millis {
            window.take(took.map(Duration::from_millis));
        }
        window
    }

    fn is_near(value: Option<f64>, expected: f64) -> bool {
        value.is_some_and(|value| (value - expected).abs() < 1e-9)
    }

    #[test]
    fn the_example_comes_out() {
        let window = window(20, &[Some(12), Some(14), None, Some(12)]);
        assert!(is_near(window.loss(), 0.25));
        assert!(is_near(window.mean(), 0.038 / 3.0));
        let first = 0.002 / 16.0;
        assert!(is_near(window.jitter(), first + (0.002 - first) / 16.0), "{window:?}");
    }

    #[test]
    fn what_is_out_of_the_window_is_forgotten() {
        let mut window = window(4, &[None, None, None, None]);
        assert!(is_near(window.loss(), 1.0));
        assert_eq!(window.mean(), None);
        for _ in 0..4 {
            window.take(Some(Duration::from_millis(3)));
        }
        assert!(is_near(window.loss(), 0.0) && is_near(window.mean(), 0.003));
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let empty = Window::new(20);
        assert_eq!((empty.loss(), empty.mean(), empty.jitter()), (None, None, None));
        assert_eq!(window(20, &[Some(5)]).jitter(), None, "one answer is no difference");
    }

    #[test]
    fn jitter_comes_close_to_what_the_line_does() {
        let alternating: Vec<Option<u64>> =
            (0..200).map(|at| Some(if at % 2 == 0 { 10 } else { 14 })).collect();
        assert!((window(20, &alternating).jitter().expect("answers") - 0.004).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn figures_stay_within_what_was_measured(
            size in 1_usize..50, all in proptest::collection::vec(proptest::option::of(0_u64..10_000), 1..200)
        ) {
            let window = window(size, &all);
            let newest = &all[all.len().saturating_sub(size)..];
            let lost = newest.iter().filter(|took| took.is_none()).count() as f64 / newest.len() as f64;
            prop_assert!(is_near(window.loss(), lost));
            let answered: Vec<u64> = newest.iter().flatten().copied().collect();
            prop_assert_eq!(window.mean().is_some(), !answered.is_empty());
            if let (Some(mean), Some(least), Some(most)) = (window.mean(), answered.iter().min(), answered.iter().max()) {
                prop_assert!(*least as f64 / 1e3 - 1e-9 <= mean && mean <= *most as f64 / 1e3 + 1e-9);
            }
            prop_assert!(window.jitter().is_none_or(|jitter| (0.0..=10.0).contains(&jitter)));
        }
    }
}
