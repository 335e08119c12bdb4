//! What becomes of ffmpeg's output from one block to the next: how fast, how much, frozen or not. Pure.
//!
//! Rates are taken over [`WINDOW`] at least, for ffmpeg tells only every half second how far it is. Invariant: it is up only while its position
//! was seen to move; what an ffmpeg of yesterday left in a file does not move.
//!
//! ```text
//! 104 · 129 · 154 frames        up, 25 a second
//! 154 · 154 · … for 30 s        frozen, down
//! progress=end, or hung up      down at once, on its own word
//! ```

use super::progress::Block;
use crate::probe::mean::Mean;
use crate::probe::{Outcome, State};
use rackside_proto::{Scale, Value, limits, metric};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(10);
const TENTH: Scale = Scale::per(10);
const HUNDREDTH: Scale = Scale::per(100);
/// A bitrate goes in kilobits.
const KILO: Scale = Scale::times(1000);

/// One ffmpeg that is followed.
#[derive(Debug)]
pub(super) struct Follow {
    frozen_after: Duration,
    /// By how much a bitrate must be below its mean to have dropped.
    share: f64,
    begun: Instant,
    block: Option<Block>,
    /// When its position was seen to move last.
    moved: Option<Instant>,
    /// Why it is over, if it is.
    over: Option<&'static str>,
    /// Where the present window began.
    window: Option<(Block, Instant)>,
    fps: Option<f64>,
    bitrate: Option<f64>,
    has_dropped: Option<bool>,
    mean: Mean,
}

impl Follow {
    pub(super) fn new(frozen_after: Duration, share: f64, now: Instant) -> Self {
        Self {
            frozen_after,
            share,
            begun: now,
            block: None,
            moved: None,
            over: None,
            window: None,
            fps: None,
            bitrate: None,
            has_dropped: None,
            mean: Mean::default(),
        }
    }

    /// A block came.
    pub(super) fn block(&mut self, block: Block, now: Instant) {
        let position = block.position();
        let before = self.block.and_then(|before| before.position());
        if before.is_some() && position.is_some() && position != before {
            self.moved = Some(now);
        }
        let is_anew = position < before || block.size < self.window.and_then(|(first, _)| first.size);
        self.over = block.is_end.then_some("ffmpeg has ended");
        self.block = Some(block);
        match self.window {
            Some((first, since)) if !is_anew => {
                let passed = now.saturating_duration_since(since);
                if passed >= WINDOW {
                    self.rate(&first, &block, passed);
                    self.window = Some((block, now));
                }
            }
            _ => self.window = Some((block, now)),
        }
    }

    fn rate(&mut self, first: &Block, last: &Block, passed: Duration) {
        let per_second = |first: Option<u64>, last: Option<u64>| {
            Some(last?.checked_sub(first?)? as f64 / passed.as_secs_f64())
        };
        self.fps = per_second(first.frame, last.frame);
        self.bitrate = per_second(first.size, last.size).map(|bytes| bytes * 8.0);
        self.has_dropped = self.bitrate.and_then(|bitrate| self.mean.observe(bitrate, self.share));
    }

    /// Its connection is gone.
    pub(super) fn hung_up(&mut self) {
        self.over.get_or_insert("ffmpeg has hung up");
    }

    /// How it stands.
    pub(super) fn tell(&self, now: Instant) -> Outcome {
        let since = self.moved.unwrap_or(self.begun);
        let is_still = now.saturating_duration_since(since) >= self.frozen_after;
        let mut outcome = Outcome::up();
        outcome.state = match (self.over, self.moved) {
            (Some(why), _) => State::Down(why.to_owned()),
            (None, _) if is_still && self.block.is_none() => {
                State::Down(format!("nothing was heard of ffmpeg for {:?}", self.frozen_after))
            }
            (None, _) if is_still => {
                State::Down(format!("ffmpeg stands still, for {:?} at least", self.frozen_after))
            }
            (None, None) => State::Unknown("ffmpeg was not seen to move yet".to_owned()),
            (None, Some(_)) => State::Up,
        };
        let frozen = match outcome.state {
            State::Up => Value::Known(0),
            State::Down(_) if self.over.is_none() && self.block.is_some() => Value::Known(1),
            State::Down(_) | State::Unknown(_) => Value::Unknown,
        };
        outcome.put_value(&metric::STREAM_FROZEN, &[], Scale::ONE, frozen);
        let Some(block) = self.block else { return outcome };
        for (metric, count) in [
            (&metric::FFMPEG_FRAMES, block.frame),
            (&metric::FFMPEG_DROPPED, block.dropped),
            (&metric::FFMPEG_DUPLICATED, block.duplicated),
        ] {
            if let Some(count) = count {
                let count = Value::Known((count % limits::MAGNITUDE as u64) as i64);
                outcome.put_value(metric, &[], Scale::ONE, count);
            }
        }
        if outcome.state != State::Up {
            return outcome;
        }
        let dropped = self.has_dropped.map_or(Value::Unknown, |dropped| Value::Known(dropped.into()));
        outcome.put_value(&metric::STREAM_BITRATE_DROPPED, &[], Scale::ONE, dropped);
        for (metric, scale, value) in [
            (&metric::STREAM_FPS, TENTH, self.fps),
            (&metric::STREAM_BITRATE, KILO, self.bitrate),
            (&metric::FFMPEG_SPEED, HUNDREDTH, block.speed),
        ] {
            if let Some(value) = value {
                outcome.put(metric, &[], scale, value);
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use rackside_proto::metric::Metric;

    struct Bench {
        follow: Follow,
        now: Instant,
        block: Block,
    }

    impl Bench {
        fn new() -> Self {
            let now = Clock::now();
            let block = Block { frame: Some(0), size: Some(0), ..Block::default() };
            Self { follow: Follow::new(Duration::from_secs(30), 0.5, now), now, block }
        }

        /// So many seconds with a block each, of so many frames and bytes more.
        fn run(&mut self, seconds: u64, frames: u64, bytes: u64) -> Outcome {
            for _ in 0..seconds {
                self.now += Duration::from_secs(1);
                self.block.frame = self.block.frame.map(|frame| frame + frames);
                self.block.size = self.block.size.map(|size| size + bytes);
                self.follow.block(self.block, self.now);
            }
            self.follow.tell(self.now)
        }
    }

    fn value(outcome: &Outcome, metric: &'static Metric) -> Option<f64> {
        let sample = outcome.samples.iter().find(|sample| std::ptr::eq(sample.metric, metric))?;
        sample.value.known().map(|number| sample.scale.value(number))
    }

    #[test]
    fn rates_are_those_of_the_last_ten_seconds() {
        let mut bench = Bench::new();
        assert!(matches!(bench.run(1, 25, 100_000).state, State::Unknown(_)));
        let outcome = bench.run(10, 25, 100_000);
        assert_eq!(outcome.state, State::Up);
        assert_eq!(value(&outcome, &metric::STREAM_FPS), Some(25.0));
        assert_eq!(value(&outcome, &metric::STREAM_BITRATE), Some(800_000.0));
        assert_eq!(value(&outcome, &metric::FFMPEG_FRAMES), Some(275.0));
    }

    #[test]
    fn what_stands_still_for_thirty_seconds_is_frozen_and_down() {
        let mut bench = Bench::new();
        bench.run(5, 25, 1);
        let outcome = bench.run(29, 0, 0);
        assert_eq!((outcome.state.clone(), value(&outcome, &metric::STREAM_FROZEN)), (State::Up, Some(0.0)));
        let outcome = bench.run(1, 0, 0);
        assert!(matches!(outcome.state, State::Down(_)));
        assert_eq!(value(&outcome, &metric::STREAM_FROZEN), Some(1.0));
        assert_eq!(bench.run(1, 1, 1).state, State::Up);
    }

    #[test]
    fn a_bitrate_at_less_than_half_of_the_usual_has_dropped() {
        let mut bench = Bench::new();
        let outcome = bench.run(61, 25, 100_000);
        assert_eq!(value(&outcome, &metric::STREAM_BITRATE_DROPPED), Some(0.0));
        let outcome = bench.run(10, 25, 40_000);
        assert_eq!(value(&outcome, &metric::STREAM_BITRATE_DROPPED), Some(1.0));
    }

    #[test]
    fn the_end_is_its_own_word_and_silence_takes_thirty_seconds() {
        let mut bench = Bench::new();
        bench.run(5, 25, 1);
        bench.block.is_end = true;
        assert_eq!(bench.run(1, 1, 1).state, State::Down("ffmpeg has ended".to_owned()));
        bench.block = Block { frame: Some(1), ..Block::default() };
        assert_eq!(bench.run(2, 25, 0).state, State::Up, "another one began");
        bench.follow.hung_up();
        assert_eq!(bench.follow.tell(bench.now).state, State::Down("ffmpeg has hung up".to_owned()));
        let quiet = Follow::new(Duration::from_secs(30), 0.5, bench.now);
        assert!(matches!(quiet.tell(bench.now + Duration::from_secs(29)).state, State::Unknown(_)));
        assert!(matches!(quiet.tell(bench.now + Duration::from_secs(30)).state, State::Down(_)));
    }
}
