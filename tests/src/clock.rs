//! The only file here that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Now, for measuring.
#[expect(clippy::disallowed_methods, reason = "the one place where a test or a tool learns what time it is")]
pub fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970-01-01 UTC.
#[expect(clippy::disallowed_methods, reason = "the one place where a test or a tool learns what time it is")]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// Asks again and again until `ask` has an answer; `None` when it has none within `within`.
///
/// For what a program promises to do soon. What it promises to do *within* a time passes that time here.
pub fn eventually<T>(within: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + within;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if now() >= end {
            return None;
        }
        // Short beside every promise that is tested, long beside the cost of asking.
        std::thread::sleep(Duration::from_millis(25));
    }
}
