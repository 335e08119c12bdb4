//! Whether a live playlist goes on, from one poll to the next. Pure.
//!
//! A server must publish a new playlist within 1.5 target durations of the one before (RFC 8216, 6.2.1). One that has been the same for
//! three of them, and for 10 s at least, is stale: that takes two polls, so one poll never says so. A sequence that goes backwards is an
//! encoder that started again, which is counted and otherwise as good as an advance.

use super::playlist::Media;
use std::time::{Duration, Instant};

/// No playlist is stale before.
const LEAST: Duration = Duration::from_secs(10);
/// So many target durations may pass without a change.
const TARGETS: f64 = 3.0;

/// What tells one state of a playlist from another. Tokens in addresses change with every poll, so queries do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    sequence: u64,
    segments: u64,
    last: Option<String>,
}

impl Mark {
    fn of(media: &Media) -> Self {
        let path = |uri: &str| uri.split('?').next().unwrap_or_default().to_owned();
        let last = media.last.as_ref().map(|segment| path(&segment.uri));
        Self { sequence: media.sequence, segments: media.segments, last }
    }
}

/// One playlist over many polls.
#[derive(Debug, Clone, Default)]
pub(super) struct Followed {
    mark: Option<Mark>,
    changed: Option<Instant>,
    restarts: u64,
}

impl Followed {
    /// One more poll, at `now`: how long the playlist has been seen as it is.
    pub(super) fn observe(&mut self, media: &Media, now: Instant) -> Duration {
        let mark = Mark::of(media);
        if self.mark.as_ref() != Some(&mark) {
            if self.mark.as_ref().is_some_and(|before| mark.sequence < before.sequence) {
                self.restarts += 1;
            }
            self.mark = Some(mark);
            self.changed = Some(now);
        }
        self.changed.map_or(Duration::ZERO, |changed| now.saturating_duration_since(changed))
    }

    /// As if the playlist had stood still for so much longer.
    #[cfg(test)]
    pub(super) fn backdate(&mut self, by: Duration) {
        self.changed = self.changed.and_then(|changed| changed.checked_sub(by));
    }

    /// How often its sequence went backwards.
    pub(super) const fn restarts(&self) -> u64 {
        self.restarts
    }
}

/// From what age on a playlist is stale.
pub(super) fn stale_after(media: &Media) -> Duration {
    Duration::from_secs_f64(media.target * TARGETS).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::super::playlist::Segment;
    use super::*;
    use crate::clock::Clock;

    fn media(sequence: u64, segments: u64, last: &str) -> Media {
        let last = Segment { uri: last.to_owned(), duration: 6.0, is_part: false, ends: None };
        Media { target: 6.0, sequence, segments, last: Some(last), is_ended: false }
    }

    /// Ages after polls so many seconds apart.
    fn ages(polls: &[(u64, Media)]) -> (Vec<u64>, u64) {
        let (start, mut followed) = (Clock::now(), Followed::default());
        let age =
            |(at, media): &(u64, Media)| followed.observe(media, start + Duration::from_secs(*at)).as_secs();
        (polls.iter().map(age).collect(), followed.restarts())
    }

    #[test]
    fn a_playlist_that_moves_is_young_and_one_that_does_not_ages() {
        let polls = [
            (0, media(1, 3, "3.ts")),
            (6, media(2, 3, "4.ts")),
            (12, media(2, 4, "5.ts")),
            (18, media(2, 4, "5.ts")),
            (60, media(2, 4, "5.ts")),
            (66, media(9, 4, "12.ts")),
        ];
        assert_eq!(ages(&polls), (vec![0, 0, 0, 6, 48, 0], 0));
    }

    #[test]
    fn a_sequence_that_goes_backwards_is_a_restart_and_an_advance() {
        let polls = [(0, media(900, 3, "902.ts")), (6, media(0, 1, "0.ts")), (12, media(0, 2, "1.ts"))];
        assert_eq!(ages(&polls), (vec![0, 0, 0], 1));
    }

    #[test]
    fn a_token_that_changes_is_no_change() {
        let polls = [(0, media(1, 3, "3.ts?t=1")), (6, media(1, 3, "3.ts?t=2"))];
        assert_eq!(ages(&polls), (vec![0, 6], 0));
    }

    #[test]
    fn stale_is_three_targets_and_ten_seconds_at_least() {
        let of = |target| stale_after(&Media { target, ..Media::default() });
        assert_eq!(of(6.0), Duration::from_secs(18));
        assert_eq!(of(1.0), Duration::from_secs(10));
        assert_eq!(of(0.0), Duration::from_secs(10));
        assert_eq!(of(86_400.0), Duration::from_hours(72));
    }
}
