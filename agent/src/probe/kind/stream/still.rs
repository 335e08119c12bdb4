//! For how long a picture has stood still, over windows of some seconds each with nothing seen in between. Pure.
//!
//! Within a window a filter says so. From one window to the next it counts as the same still picture when all of the later window was still,
//! and begins with what the earlier one ended with: a slide that changes once a minute is not frozen. Invariant: a moving window, or a run
//! without a picture, begins anew.
//!
//! ```text
//! 0–10 s moves · 60–70 s still, same picture as at 10 s → still for 60 s   (frozen after 30 s)
//! 0–10 s moves · 60–70 s still, another picture → still for 10 s · 120–130 s still, the same → for 70 s
//! ```

use super::watch::{Small, Window};
use std::time::{Duration, Instant};

/// The windows so far.
#[derive(Debug, Default)]
pub struct Stillness {
    since: Option<Instant>,
    last: Option<(Small, Instant)>,
}

impl Stillness {
    /// A window that ended `now`; how long its picture has stood still by then. Nothing when there was no picture.
    pub fn observe(&mut self, window: &Window, now: Instant) -> Option<Duration> {
        let Some(seconds) = window.still() else {
            self.forget();
            return None;
        };
        let small = window.small();
        let is_same = |last: &Option<(Small, Instant)>| match (small, last) {
            (Some((first, _)), Some((before, at))) if before.is_like(first) => Some(*at),
            _ => None,
        };
        let here = now.checked_sub(Duration::from_secs_f64(seconds)).unwrap_or(now);
        self.since = match is_same(&self.last) {
            _ if seconds <= 0.0 => None,
            Some(at) if window.is_all_still() => Some(self.since.unwrap_or(at).min(here)),
            _ => Some(here),
        };
        self.last = small.map(|(_, last)| (last.clone(), now));
        Some(self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)))
    }

    /// A run without a picture.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::watch::SMALL;
    use super::*;
    use crate::clock::Clock;

    /// Ten seconds at 5 pictures a second of one shade, still from second `still` on.
    fn window(still: Option<f64>, shade: u8) -> Window {
        let mut window = Window::default();
        for n in 0..=50 {
            window.hear(
                format!("[Parsed_showinfo_1 @ 0x1] n: {n} pts_time:{:.1}\n", f64::from(n) / 5.0).as_bytes(),
            );
        }
        if let Some(since) = still {
            window
                .hear(format!("[freezedetect @ 0x1] lavfi.freezedetect.freeze_start: {since}\n").as_bytes());
        }
        window.see(&[shade; SMALL]);
        window
    }

    fn seconds(windows: &[(u64, Option<f64>, u8)]) -> Vec<u64> {
        let (mut stillness, start) = (Stillness::default(), Clock::now());
        let mut observe = |(at, still, shade): &(u64, Option<f64>, u8)| {
            let now = start + Duration::from_secs(*at);
            stillness.observe(&window(*still, *shade), now).expect("a picture").as_secs_f64().round() as u64
        };
        windows.iter().map(&mut observe).collect()
    }

    #[test]
    fn the_same_still_picture_a_minute_later_has_stood_since() {
        assert_eq!(seconds(&[(70, None, 9), (130, Some(0.0), 9), (190, Some(0.0), 9)]), [0, 60, 120]);
        assert_eq!(seconds(&[(70, Some(4.0), 9), (130, Some(0.0), 9)]), [6, 66]);
    }

    #[test]
    fn another_still_picture_begins_anew() {
        assert_eq!(seconds(&[(70, Some(0.0), 9), (130, Some(0.0), 99), (190, Some(0.0), 99)]), [10, 10, 70]);
    }

    #[test]
    fn a_picture_that_moves_is_not_still() {
        assert_eq!(seconds(&[(70, Some(0.0), 9), (130, None, 9), (190, Some(5.0), 9)]), [10, 0, 5]);
        let mut stillness = Stillness::default();
        assert_eq!(stillness.observe(&Window::default(), Clock::now()), None);
    }
}
