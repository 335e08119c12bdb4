//! What wakes the loop, and how long it slept.

use crate::clock::Moment;
use crate::configure::Handed;
use crate::join::exchange::Granted;
use crate::join::{JoinError, StoreError};
use crate::loss::Loss;
use crate::transport::Stream;
use async_io::Timer;
use std::time::Instant;

/// The monotonic clock lags so far behind `CLOCK_BOOTTIME` only when the machine was suspended.
const SUSPENDED_MS: u64 = 1000;

/// What a signal asks for.
pub(super) enum Order {
    Stop,
    Reload,
}

/// What woke the loop.
pub(super) enum Wake {
    Time,
    /// Something happened on the panel.
    Moved,
    Stop,
    Reload,
    Opened(Box<dyn Stream>),
    Received(usize),
    /// A full output has room again.
    Room,
    Lost(Loss),
    /// Something was seen of what stands in the way.
    Looked,
    /// The hub has said something about the identity.
    Renewed(Box<Result<Granted, JoinError>>),
    /// A configuration of the hub's is on the disk, or cannot be.
    Written(Box<(Handed, Result<(), StoreError>)>),
}

/// A timer that is set again only when its moment changes.
pub(super) struct Alarm {
    timer: Timer,
    set: Option<Instant>,
}

impl Alarm {
    pub(super) fn never() -> Self {
        Self { timer: Timer::never(), set: None }
    }

    pub(super) async fn at(&mut self, moment: Instant) {
        if self.set != Some(moment) {
            self.timer.set_at(moment);
            self.set = Some(moment);
        }
        (&mut self.timer).await;
        self.set = None;
    }
}

/// Notices that the machine was suspended: `CLOCK_BOOTTIME` went on meanwhile, and the monotonic clock did not.
#[derive(Debug, Default)]
pub(super) struct Suspension {
    last: Option<(Instant, u64)>,
}

impl Suspension {
    /// Whether there was one since the moment before.
    pub(super) fn ended_by(&mut self, moment: &Moment) -> bool {
        let Some((now, boot_ms)) = self.last.replace((moment.now, moment.boot_ms)) else { return false };
        let awake = moment.now.saturating_duration_since(now).as_millis() as u64;
        moment.boot_ms.saturating_sub(boot_ms) > awake + SUSPENDED_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Trust};
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn a_suspension_is_boot_time_without_monotonic_time() {
        let mut suspension = Suspension::default();
        let mut moment = Clock::new(Trust::Auto, Path::new("/proc")).read();
        assert!(!suspension.ended_by(&moment), "nothing came before");
        for (awake_ms, asleep_ms, suspended) in
            [(10, 0, false), (60_000, 900, false), (0, 2000, true), (10, 0, false)]
        {
            moment.now += Duration::from_millis(awake_ms);
            moment.boot_ms += awake_ms + asleep_ms;
            assert_eq!(suspension.ended_by(&moment), suspended, "{awake_ms} ms awake, {asleep_ms} ms asleep");
        }
    }
}
