//! Whether a stream is up, from what one poll after another saw: down after two failures in a row or at once on a device's own
//! word, never on one poll that failed. Pure.
//!
//! A poll that could tell nothing ends no row of failures and adds none; what it says is that nobody knows. Invariant: between two
//! polls that saw the stream, "down" is said only by a device, or by two polls that each asked for the stream itself.
//!
//! ```text
//! well 1 · failed 1 · failed 0 · could not tell: unknown · failed 0 · well 1 · the server says "no publisher": 0 at once
//! ```

use rackside_proto::Value;

/// So many failures in a row are no hiccup any more.
const ENOUGH: u8 = 2;

/// What one poll saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The stream, as it should be.
    Well,
    /// No stream where one should be, or no answer to the question for the stream itself.
    Failed,
    /// A device that knows says that there is none.
    Gone,
    /// Nothing that says anything of the stream: a statistics page out of reach, a password refused, no network here.
    Nothing,
}

/// The polls so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streak {
    failures: u8,
    value: Value,
}

impl Default for Streak {
    fn default() -> Self {
        Self { failures: 0, value: Value::Unknown }
    }
}

impl Streak {
    /// One more poll; what `rackside_stream_up` says after it.
    pub const fn observe(&mut self, seen: Seen) -> Value {
        match seen {
            Seen::Well => {
                self.failures = 0;
                self.value = Value::Known(1);
            }
            Seen::Gone => {
                self.failures = ENOUGH;
                self.value = Value::Known(0);
            }
            Seen::Failed => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= ENOUGH {
                    self.value = Value::Known(0);
                }
            }
            Seen::Nothing => self.value = Value::Unknown,
        }
        self.value
    }

    /// What the newest poll made of it.
    pub const fn value(&self) -> Value {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::Seen::{Failed, Gone, Nothing, Well};
    use super::*;
    use proptest::prelude::*;

    const UP: Value = Value::Known(1);
    const DOWN: Value = Value::Known(0);

    fn values(polls: &[Seen]) -> Vec<Value> {
        let mut streak = Streak::default();
        polls.iter().map(|seen| streak.observe(*seen)).collect()
    }

    #[test]
    fn one_failure_is_a_hiccup_and_two_are_down() {
        assert_eq!(values(&[Well, Failed, Well, Failed, Failed, Failed]), [UP, UP, UP, UP, DOWN, DOWN]);
    }

    #[test]
    fn a_devices_own_word_counts_at_once() {
        assert_eq!(values(&[Well, Gone, Failed, Well]), [UP, DOWN, DOWN, UP]);
    }

    #[test]
    fn a_poll_that_could_not_tell_says_unknown_and_ends_no_row() {
        assert_eq!(values(&[Well, Nothing, Failed]), [UP, Value::Unknown, Value::Unknown]);
        assert_eq!(values(&[Well, Failed, Nothing, Failed]), [UP, UP, Value::Unknown, DOWN]);
        assert_eq!(values(&[Failed, Failed, Nothing, Well]), [Value::Unknown, DOWN, Value::Unknown, UP]);
    }

    proptest! {
        #[test]
        fn down_is_never_said_on_one_poll(polls in prop::collection::vec(prop::sample::select(vec![Well, Failed, Nothing]), 0..40)) {
            for (at, value) in values(&polls).into_iter().enumerate() {
                let since = polls[..=at].iter().rposition(|seen| *seen == Well).map_or(0, |well| well + 1);
                let failures = polls[since..=at].iter().filter(|seen| **seen == Failed).count();
                prop_assert_eq!(value == DOWN, failures >= 2 && polls[at] != Nothing);
            }
        }
    }
}
