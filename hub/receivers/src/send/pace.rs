//! How fast a receiver may be written to: its kind's rate, as a bucket that fills up. Pure.
//!
//! Where the numbers come from is said at each kind; they are what the services document, or less. The first message after a quiet time never
//! waits.
//!
//! `Telegram: at once at once at once at once 3.75 s 3.75 s …`, and never two within a second.

use crate::Kind;
use std::time::Duration;
use tokio::time::Instant;

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// From one to the next.
    gap: Duration,
    /// How many may go before the bucket is empty; 0 for no such bound.
    burst: u32,
    /// How long one more takes to come.
    refill: Duration,
}

impl Rate {
    /// What a kind of receiver takes.
    pub const fn of(kind: Kind) -> Self {
        let (gap, burst, refill) = match kind {
            // One a second and webhook.
            Kind::Slack => (1_000, 0, 0),
            // One a second and chat, 20 a minute and group: 4 + 60 / 3.75.
            Kind::Telegram => (1_000, 4, 3_750),
            // About 5 in 2 s a webhook, as observed: 3 + 2.
            Kind::Discord => (0, 3, 1_000),
            // Nothing is documented; two a second do no harm.
            Kind::PagerDuty => (500, 0, 0),
            // 60 at once and one every 5 s, for all that its users send: half of that.
            Kind::Ntfy => (0, 30, 5_000),
            // 30 a minute: 10 + 60 / 3.
            Kind::Email => (0, 10, 3_000),
            // Ours, or as fast as they answer.
            Kind::Webhook | Kind::Alertmanager | Kind::Mqtt => (0, 0, 0),
        };
        Self { gap: Duration::from_millis(gap), burst, refill: Duration::from_millis(refill) }
    }
}

/// One receiver's bucket.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Rate,
    last: Option<Instant>,
    /// When the bucket will be full.
    full_at: Option<Instant>,
}

impl Pace {
    pub(crate) const fn new(rate: Rate) -> Self {
        Self { rate, last: None, full_at: None }
    }

    /// When the next one may go.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        let after_gap = self.last.map_or(now, |last| last + self.rate.gap);
        let room = self.rate.refill * self.rate.burst.saturating_sub(1);
        let after_burst = self.full_at.map_or(now, |full| full.checked_sub(room).unwrap_or(now));
        now.max(after_gap).max(after_burst)
    }

    /// One goes.
    pub(crate) fn take(&mut self, now: Instant) {
        self.last = Some(now);
        if self.rate.burst > 0 {
            self.full_at = Some(self.full_at.map_or(now, |full| full.max(now)) + self.rate.refill);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When messages go that are all there at once, in milliseconds.
    fn times(kind: Kind, count: usize) -> Vec<u128> {
        let mut pace = Pace::new(Rate::of(kind));
        let start = Instant::now();
        let mut now = start;
        let times = (0..count).map(|_| {
            now = pace.next(now);
            pace.take(now);
            (now - start).as_millis()
        });
        times.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_goes_at_once_and_no_window_has_more_than_its_kind_allows() {
        for (kind, window, most) in [
            (Kind::Slack, 1_000, 1),
            (Kind::Telegram, 1_000, 1),
            (Kind::Telegram, 60_000, 20),
            (Kind::Discord, 2_000, 5),
            (Kind::PagerDuty, 1_000, 2),
            (Kind::Ntfy, 60_000, 60),
            (Kind::Email, 60_000, 30),
        ] {
            let times = times(kind, 200);
            assert_eq!(times[0], 0);
            for (from, first) in times.iter().enumerate() {
                let within = times[from..].iter().take_while(|time| *time - first < window).count();
                assert!(within <= most, "{kind:?}: {within} in {window} ms from {first}");
            }
        }
        assert_eq!(times(Kind::Webhook, 3), [0, 0, 0]);
        assert_eq!(times(Kind::Discord, 6), [0, 0, 0, 1_000, 2_000, 3_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_time_fills_the_bucket_and_no_more() {
        let mut pace = Pace::new(Rate::of(Kind::Discord));
        let start = Instant::now();
        (0..3).for_each(|_| pace.take(start));
        let later = start + Duration::from_hours(1);
        for _ in 0..3 {
            assert_eq!(pace.next(later), later);
            pace.take(later);
        }
        assert_eq!(pace.next(later), later + Duration::from_secs(1));
    }
}
