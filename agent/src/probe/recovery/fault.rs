//! What can be wrong with an output: it is down, its picture stands still or is black, its sound is silent. Pure.
//!
//! A word of a probe on one of them says nothing of another: who sees a stream come in does not see that its picture moves.
//!
//! ```toml
//! when = ["down", "frozen"]
//! ```

use crate::probe::outcome::{Outcome, Sample, State};
use rackside_proto::Value;
use rackside_proto::metric::{self, Metric};
use serde::Deserialize;
use std::fmt;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// There is none.
    Down,
    /// Its picture stands still.
    Frozen,
    /// Its picture is black.
    Black,
    /// Its sound is silent.
    Silent,
}

impl Fault {
    /// All of them, the worst first.
    pub const ALL: [Self; 4] = [Self::Down, Self::Frozen, Self::Black, Self::Silent];

    /// As the file has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Frozen => "frozen",
            Self::Black => "black",
            Self::Silent => "silent",
        }
    }

    /// The series that is 1 while it is so.
    fn metric(self) -> Option<&'static Metric> {
        match self {
            Self::Down => None,
            Self::Frozen => Some(&metric::STREAM_FROZEN),
            Self::Black => Some(&metric::STREAM_BLACK),
            Self::Silent => Some(&metric::STREAM_SILENT),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults(u8);

impl Faults {
    /// Whether this one is among them.
    pub const fn has(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u8 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(faults.into_iter().fold(0, |bits, fault| bits | 1 << fault as u8))
    }
}

/// What one run of a probe says of an output, fault by fault. What is in neither set it cannot tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Testimony {
    /// It is so.
    pub bad: Faults,
    /// It is not so, and whoever says that has seen the stream itself. A process that runs, a port that answers and an encoder that puts out
    /// pictures do not know what the world gets to see.
    pub good: Faults,
}

impl Testimony {
    /// What `outcome` says.
    pub fn of(outcome: &Outcome) -> Self {
        let is_seen = works(outcome);
        let says = |metric, number| values(outcome, metric).any(|value| value == Value::Known(number));
        let is_bad = |fault: &Fault| fault.metric().map_or(is_down(outcome), |metric| says(metric, 1));
        let is_good = |fault: &Fault| is_seen && fault.metric().is_none_or(|metric| says(metric, 0));
        Self {
            bad: Fault::ALL.into_iter().filter(is_bad).collect(),
            good: Fault::ALL.into_iter().filter(is_good).collect(),
        }
    }
}

/// Whether every one of `faults` is known not to be so. What a stream does not have (a sound, say) is not at fault.
pub fn is_well(outcome: &Outcome, faults: Faults) -> bool {
    let is_fine = |metric| values(outcome, metric).all(|value| value == Value::Known(0));
    let mut of_faults = Fault::ALL.into_iter().filter(|fault| faults.has(*fault)).filter_map(Fault::metric);
    outcome.state == State::Up && of_faults.all(is_fine)
}

fn values<'a>(outcome: &'a Outcome, metric: &'static Metric) -> impl Iterator<Item = Value> + 'a {
    let is_it = move |sample: &&Sample| std::ptr::eq(sample.metric, metric);
    outcome.samples.iter().filter(is_it).map(|sample| sample.value)
}

/// Whether it has seen a stream.
fn works(outcome: &Outcome) -> bool {
    values(outcome, &metric::STREAM_UP).any(|value| value == Value::Known(1))
}

/// Whether it says that the output is down. Who tells of streams has to call one down himself: he does not on one poll.
fn is_down(outcome: &Outcome) -> bool {
    let mut streams = values(outcome, &metric::STREAM_UP).peekable();
    let is_told = streams.peek().is_none() || streams.any(|value| value == Value::Known(0));
    matches!(outcome.state, State::Down(_)) && is_told && !works(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_proto::Scale;

    const ALL: Faults = Faults(0b1111);

    fn set(faults: &[Fault]) -> Faults {
        faults.iter().copied().collect()
    }

    fn told(mut outcome: Outcome, values: &[(&'static Metric, Value)]) -> Outcome {
        for (metric, value) in values {
            outcome.put_value(metric, &[], Scale::ONE, *value);
        }
        outcome
    }

    const YES: Value = Value::Known(1);
    const NO: Value = Value::Known(0);
    const UP: &Metric = &metric::STREAM_UP;
    const FROZEN: &Metric = &metric::STREAM_FROZEN;
    const SILENT: &Metric = &metric::STREAM_SILENT;

    #[test]
    fn a_stream_that_comes_in_frozen_is_not_down_and_not_well() {
        let outcome = told(Outcome::up(), &[(UP, YES), (FROZEN, YES), (SILENT, NO)]);
        let testimony = Testimony::of(&outcome);
        assert_eq!(testimony.bad, set(&[Fault::Frozen]));
        assert_eq!(testimony.good, set(&[Fault::Down, Fault::Silent]), "of the black it says nothing");
        assert!(is_well(&outcome, set(&[Fault::Down, Fault::Silent])) && !is_well(&outcome, ALL));
    }

    #[test]
    fn who_has_not_seen_the_stream_says_nothing_good_of_it() {
        let encoder = told(Outcome::up(), &[(FROZEN, NO)]);
        assert_eq!(Testimony::of(&encoder), Testimony::default(), "pictures leave it: who knows which");
        let stands = told(Outcome::down("it stands still"), &[(FROZEN, YES)]);
        assert_eq!(Testimony::of(&stands).bad, set(&[Fault::Down, Fault::Frozen]));
        assert_eq!(Testimony::of(&Outcome::up()), Testimony::default(), "a process");
    }

    #[test]
    fn what_nobody_can_tell_is_neither_good_nor_bad() {
        let blind = [(UP, Value::Unknown), (FROZEN, Value::Unknown)];
        for outcome in [told(Outcome::unknown("metered"), &blind), told(Outcome::down("one poll"), &blind)] {
            assert_eq!(Testimony::of(&outcome), Testimony::default());
            assert!(!is_well(&outcome, ALL));
        }
        let half = told(Outcome::up(), &[(UP, YES), (FROZEN, Value::Unknown)]);
        assert!(
            !is_well(&half, set(&[Fault::Frozen])) && is_well(&half, set(&[Fault::Silent])),
            "it has no sound"
        );
    }
}
