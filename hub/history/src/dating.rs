//! Which moment of the calendar a record belongs to.
//!
//! An agent that knows the time says it. One that does not, or whose clock cannot be right, is dated by the moment at which a
//! live record came in; what came from a backlog without a clock happened nobody knows when, until its boot is dated.

use rackside_proto::Time;

/// Before 2026-01-01 no agent existed: a moment earlier than that is a clock that nobody has set.
pub(crate) const EARLIEST_MS: u64 = 1_767_225_600_000;
/// So far ahead of the hub's clock an agent's may be. More is a wrong clock.
pub(crate) const AHEAD_MS: u64 = 600_000;
/// A live record is never this old; no socket holds one for a day. One that says so has a wrong clock.
const BEHIND_MS: u64 = 86_400_000;

/// The calendar's moment of a record that came in at `received_ms`, in milliseconds since 1970-01-01 UTC; `None` when
/// nobody knows.
pub fn dated(time: Time, live: bool, received_ms: u64) -> Option<u64> {
    let Time::Utc { ms } = time else { return live.then_some(received_ms) };
    let latest = received_ms.saturating_add(AHEAD_MS);
    let earliest = if live { received_ms.saturating_sub(BEHIND_MS).max(EARLIEST_MS) } else { EARLIEST_MS };
    if (earliest..=latest).contains(&ms) { Some(ms) } else { live.then_some(received_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_145_119_000;
    const YEAR: u64 = 31_557_600_000;

    #[test]
    fn a_clock_in_1970_is_no_clock() {
        let wrong = Time::Utc { ms: 5_000 };
        assert_eq!((dated(wrong, true, NOW), dated(wrong, false, NOW)), (Some(NOW), None));
        let boot = Time::Boot { boot: 1, ms: 5 };
        assert_eq!((dated(boot, true, NOW), dated(boot, false, NOW)), (Some(NOW), None));
    }

    #[test]
    fn a_clock_years_ahead_is_no_clock() {
        assert_eq!(dated(Time::Utc { ms: NOW + 3 * YEAR }, true, NOW), Some(NOW));
        assert_eq!(dated(Time::Utc { ms: NOW + 3_000 }, true, NOW), Some(NOW + 3_000));
        assert_eq!(dated(Time::Utc { ms: u64::MAX }, false, NOW), None);
    }

    #[test]
    fn a_backlog_may_be_months_old_and_a_live_record_may_not() {
        let then = Time::Utc { ms: NOW - YEAR / 4 };
        assert_eq!((dated(then, false, NOW), dated(then, true, NOW)), (Some(NOW - YEAR / 4), Some(NOW)));
    }
}
