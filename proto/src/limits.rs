//! The bounds of the wire. A sender that exceeds one gets [`EncodeError::Limit`](crate::EncodeError::Limit), a receiver
//! answers [`DecodeError::Limit`](crate::DecodeError::Limit); nothing is cut silently.

/// Longest string, in bytes: metric names, label names and values, host names, texts.
pub const STRING: usize = 64;
/// Most series in a catalog.
pub const SERIES: usize = 4096;
/// Most labels on a series, beside the `site` and `appliance` that the hub adds.
pub const LABELS: usize = 8;
/// Largest birth or catalog record, in bytes.
pub const LARGE: usize = 256 * 1024;
/// Largest body of anything else, in bytes.
pub const SMALL: usize = 64 * 1024;
/// Longest side of a picture, in pixels.
pub const SIDE: u16 = 2048;
/// Largest picture, in bytes: what [`SMALL`] leaves when everything around it is as long as it may be.
pub const PICTURE: usize = SMALL - 128;
/// Longest configuration that the hub hands out, in bytes.
pub const CONFIGURATION: usize = 32 * 1024;
/// Longest account of why something was not done, in bytes.
pub const WHY: usize = 256;
/// Most readings in one data record.
pub const READINGS: usize = 1024;
/// Most runs in one ack, and most wants.
pub const PAIRS: usize = 8;
/// Largest magnitude of a scaled value: 2^53, so that it is exact as a 64-bit float.
pub const MAGNITUDE: i64 = 1 << 53;

/// The longest prefix of `text` that fits into a string on the wire, cut at a character.
///
/// For texts that come from outside (a host name, a kernel's version); names that must be exact are checked instead.
pub fn fit(text: &str) -> &str {
    fit_in(text, STRING)
}

/// The longest prefix of `text` of at most so many bytes, cut at a character.
pub fn fit_in(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}
