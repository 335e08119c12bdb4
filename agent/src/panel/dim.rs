//! Dimming by hand: an output is at its level for a share of each hundredth of a second. A Pi has two pins that can do this themselves, and
//! they want a device tree of their own; any pin can do it with a thread that sleeps.
//!
//! The thread wakes 100 times a second, and once more for each different share, as long as something dimmed is lit; there is none where
//! nothing is to be dimmed. Sleeping is exact to about 0.1 ms, so a few per cent flicker on a busy board.
//!
//! ```text
//! 22 at 30 %, 23 at 60 %     on 22, on 23, 3 ms, off 22, 3 ms, off 23, 4 ms
//! ```

use std::time::Duration;

/// From one light to the next: the eye sees no flicker from about 80 a second on.
pub(super) const PERIOD: Duration = Duration::from_millis(10);

/// What is to be done next with dimmed outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Drive this pin to the level that its share is about, or back.
    Drive {
        /// The pin's number.
        pin: u8,
        /// Whether it is lit.
        lit: bool,
    },
    /// Wait until so long after the period began.
    Until(Duration),
}

/// One period of these pins, each with its share in per cent.
pub(super) fn period(outputs: &[(u8, u8)]) -> Vec<Step> {
    let mut steps: Vec<Step> = outputs.iter().map(|(pin, _)| Step::Drive { pin: *pin, lit: true }).collect();
    let mut shares: Vec<u8> = outputs.iter().map(|(_, share)| *share).collect();
    shares.sort_unstable();
    shares.dedup();
    for share in shares {
        steps.push(Step::Until(PERIOD * u32::from(share) / 100));
        let ended = outputs.iter().filter(|(_, other)| *other == share);
        steps.extend(ended.map(|(pin, _)| Step::Drive { pin: *pin, lit: false }));
    }
    steps.push(Step::Until(PERIOD));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_lit_for_its_share_of_a_period() {
        let drive = |pin, lit| Step::Drive { pin, lit };
        let until = |ms| Step::Until(Duration::from_millis(ms));
        let expected = [
            drive(22, true),
            drive(23, true),
            drive(24, true),
            until(3),
            drive(22, false),
            drive(24, false),
            until(6),
            drive(23, false),
            until(10),
        ];
        assert_eq!(period(&[(22, 30), (23, 60), (24, 30)]), expected);
    }
}
