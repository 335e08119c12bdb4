//! The tracks of a station, as they follow each other: how many began, since when the present one is on, how long a switch took. Pure.
//!
//! A track is told from the next by what the server calls it. A switch takes from the first look that found no track any more to
//! the first that found another one; from one look to the next it takes nothing, so that looks ten seconds apart tell tens of
//! seconds apart. Whoever knows better (an automation with a clock) says so. What passed while nobody could look is counted as one track, and
//! as no switch.
//!
//! ```text
//! "Ann - One" · "Ann - One" · nothing · nothing · "Bob - Two"   →  played 1, a switch of two looks, on since now
//! ```

use super::Outcome;
use rackside_proto::{Scale, metric};
use std::time::{Duration, Instant};

/// Bounds of the histogram, in seconds, and as [`Bound`](rackside_proto::Bound) writes them: under a second nobody minds, ten are dead air, a minute is an outage.
const BOUNDS: [(f64, &str); 7] =
    [(0.5, "0.5"), (1.0, "1.0"), (2.0, "2.0"), (5.0, "5.0"), (10.0, "10.0"), (30.0, "30.0"), (60.0, "60.0")];
/// Milliseconds.
const MILLI: Scale = Scale::per(1000);

/// How long switches took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Switches {
    /// As many as took no longer than each bound, and longer than the one before.
    within: [u64; BOUNDS.len()],
    count: u64,
    sum: Duration,
}

/// What one look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look<'a> {
    /// A track by this name.
    Track(&'a str),
    /// None.
    Nothing,
    /// Nobody could tell.
    Blind,
}

/// The tracks of one station, look by look.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tracks {
    current: Option<(String, Instant)>,
    without: Option<Instant>,
    is_blind: bool,
    played: u64,
    switches: Switches,
}

impl Switches {
    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(at) = BOUNDS.iter().position(|(bound, _)| seconds <= *bound) {
            self.within[at] += 1;
        }
        self.count += 1;
        self.sum += took;
    }
}

impl Tracks {
    /// One more look. `took` is how long the switch took, if it was one and somebody knows.
    pub(super) fn look(&mut self, look: Look<'_>, took: Option<Duration>, now: Instant) {
        match look {
            Look::Track(name) => self.track(name, took, now),
            Look::Nothing => {
                self.without.get_or_insert(now);
            }
            Look::Blind => self.is_blind = true,
        }
    }

    fn track(&mut self, name: &str, took: Option<Duration>, now: Instant) {
        let without = self.without.take();
        let was_blind = std::mem::take(&mut self.is_blind);
        let is_another = self.current.as_ref().map(|(current, _)| current != name);
        if is_another == Some(true) {
            self.played += 1;
            let seen = without.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            if !was_blind {
                self.switches.add(took.unwrap_or(seen));
            }
        }
        if is_another != Some(false) {
            self.current = Some((name.to_owned(), now));
        }
    }

    /// The present track's name, unless there was none at the last look.
    pub(super) fn current(&self) -> Option<&str> {
        let (name, _) = self.current.as_ref()?;
        (self.without.is_none() && !self.is_blind).then_some(name)
    }

    /// The series; `elapsed` is how long the present track has been on, if somebody knows better.
    pub(super) fn tell(&self, outcome: &mut Outcome, path: &str, elapsed: Option<f64>, now: Instant) {
        outcome.put(&metric::TRACKS_PLAYED, &[path], Scale::ONE, self.played as f64);
        if let (Some((_, since)), true) = (&self.current, self.current().is_some()) {
            let seen = now.saturating_duration_since(*since).as_secs_f64();
            outcome.put(&metric::TRACK_ELAPSED, &[path], Scale::ONE, elapsed.unwrap_or(seen));
        }
        let mut within = 0;
        for ((_, bound), more) in BOUNDS.iter().zip(self.switches.within) {
            within += more;
            outcome.put(&metric::TRACK_SWITCH_BUCKET, &[path, bound], Scale::ONE, within as f64);
        }
        let count = self.switches.count as f64;
        outcome.put(&metric::TRACK_SWITCH_BUCKET, &[path, "+Inf"], Scale::ONE, count);
        outcome.put(&metric::TRACK_SWITCH_SUM, &[path], MILLI, self.switches.sum.as_secs_f64());
        outcome.put(&metric::TRACK_SWITCH_COUNT, &[path], Scale::ONE, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use proptest::prelude::*;

    fn told(tracks: &Tracks, name: &str, now: Instant) -> Vec<f64> {
        let mut outcome = Outcome::up();
        tracks.tell(&mut outcome, "/live", None, now);
        let of = outcome.samples.iter().filter(|sample| sample.metric.name == name);
        of.map(|sample| sample.scale.value(sample.value.known().expect("a number"))).collect()
    }

    fn after(looks: &[(u64, Look<'_>)]) -> (Tracks, Instant) {
        let (mut tracks, start) = (Tracks::default(), Clock::now());
        let mut now = start;
        for (second, look) in looks {
            now = start + Duration::from_secs(*second);
            tracks.look(*look, None, now);
        }
        (tracks, now)
    }

    #[test]
    fn a_switch_takes_as_long_as_there_was_no_track() {
        use Look::{Nothing, Track};
        let (tracks, now) = after(&[
            (0, Track("one")),
            (10, Track("one")),
            (20, Nothing),
            (30, Nothing),
            (45, Track("two")),
            (50, Track("three")),
            (60, Track("three")),
        ]);
        assert_eq!(told(&tracks, "rackside_tracks_played_total", now), [2.0], "the first one began before");
        assert_eq!(told(&tracks, "rackside_track_elapsed_seconds", now), [10.0]);
        let buckets = told(&tracks, "rackside_track_switch_duration_seconds_bucket", now);
        assert_eq!(buckets, [1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!(told(&tracks, "rackside_track_switch_duration_seconds_sum", now), [25.0]);
        assert_eq!(told(&tracks, "rackside_track_switch_duration_seconds_count", now), [2.0]);
    }

    #[test]
    fn the_same_track_after_a_pause_is_no_switch() {
        use Look::{Nothing, Track};
        let (tracks, now) = after(&[(0, Track("one")), (10, Nothing), (20, Track("one"))]);
        assert_eq!(told(&tracks, "rackside_tracks_played_total", now), [0.0]);
        assert_eq!(told(&tracks, "rackside_track_elapsed_seconds", now), [20.0]);
    }

    #[test]
    fn what_nobody_saw_is_a_track_and_no_switch() {
        use Look::{Blind, Nothing, Track};
        let (tracks, now) = after(&[(0, Track("one")), (10, Blind), (3600, Nothing), (3610, Track("two"))]);
        assert_eq!(told(&tracks, "rackside_tracks_played_total", now), [1.0]);
        assert_eq!(told(&tracks, "rackside_track_switch_duration_seconds_count", now), [0.0]);
        let (tracks, now) = after(&[(0, Track("one")), (10, Blind)]);
        assert_eq!(told(&tracks, "rackside_track_elapsed_seconds", now), [0.0; 0]);
    }

    proptest! {
        #[test]
        fn buckets_only_rise_and_end_at_the_count(looks in prop::collection::vec((0_u64..100, 0_u8..5), 0..60)) {
            let (mut tracks, mut now) = (Tracks::default(), Clock::now());
            for (seconds, what) in looks {
                now += Duration::from_secs(seconds);
                let name = what.to_string();
                let look = match what { 0 => Look::Nothing, 1 => Look::Blind, _ => Look::Track(&name) };
                tracks.look(look, None, now);
            }
            let buckets = told(&tracks, "rackside_track_switch_duration_seconds_bucket", now);
            prop_assert!(buckets.is_sorted());
            prop_assert_eq!(buckets.last().copied(), told(&tracks, "rackside_track_switch_duration_seconds_count", now).first().copied());
        }
    }
}
