//! A limit on log lines that strangers can cause: so many per minute, then one that says how many were left out.
//!
//! What is left out of the log is still counted, see `stats.rs`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_mins(1);

/// The limit, shared by all connections.
#[derive(Debug, Default)]
pub(super) struct LogLimit(Mutex<Option<Period>>);

#[derive(Debug)]
struct Period {
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl LogLimit {
    /// Whether a line may be written at `now`, and how many were left out before it.
    pub(super) fn admit(&self, now: Instant) -> Option<u64> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let period = guard.get_or_insert(Period { since: now, lines: 0, left_out: 0 });
        if now.saturating_duration_since(period.since) >= PERIOD {
            *period = Period { since: now, lines: 0, left_out: period.left_out };
        }
        if period.lines >= LINES {
            period.left_out += 1;
            return None;
        }
        period.lines += 1;
        Some(std::mem::take(&mut period.left_out))
    }

    /// Writes a warning, unless there were too many.
    pub(super) fn warn(&self, line: std::fmt::Arguments<'_>) {
        match self.admit(Instant::now()) {
            None => {}
            Some(0) => log::warn!("{line}"),
            Some(left_out) => log::warn!("{line} ({left_out} such lines before it were left out)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_over_the_limit_are_left_out_and_told_later() {
        let limit = LogLimit::default();
        let now = Instant::now();
        assert!((0..LINES).all(|_| limit.admit(now) == Some(0)));
        assert_eq!((limit.admit(now), limit.admit(now)), (None, None));
        assert_eq!(limit.admit(now + PERIOD), Some(2));
        assert_eq!(limit.admit(now + PERIOD), Some(0));
    }
}
