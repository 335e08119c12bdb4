//! Keys of chunks: the time first, then the agent, so that writes append and what is old is a range.
//!
//! `hours.key` = hours since 1970 << 32 | agent; `days` and `minutes` by day; `months` by [`MONTH_MS`].

/// An hour, in milliseconds.
pub(crate) const HOUR_MS: u64 = 3_600_000;
/// A minute, in milliseconds.
pub(crate) const MINUTE_MS: u64 = 60_000;
/// A day, in milliseconds.
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;
/// What one row of rollups by the hour spans, in milliseconds: 32 days.
pub(crate) const MONTH_MS: u64 = 32 * DAY_MS;

/// The key of an agent's piece.
pub(crate) const fn key(piece: u64, agent: u32) -> i64 {
    (piece << 32 | agent as u64) as i64
}

/// The first key of a piece; that of the next is the end of its range.
pub(crate) const fn first(piece: u64) -> i64 {
    key(piece, 0)
}

/// The piece and the agent of a key.
pub(crate) const fn parts(key: i64) -> (u64, u32) {
    (key as u64 >> 32, key as u32)
}
