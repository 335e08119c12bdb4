//! Moments as programs give them and are told them: RFC 3339, milliseconds since 1970, or local at the venue.
//!
//! `"2026-11-20T21:00:00Z"`, `1795208400000` and, in Europe/Berlin, `"2026-11-20T22:00"` are the same.

use crate::moment::rfc3339;
use crate::web::api::Moment;
use rackside_onair::{Local, Zone};
use serde::Deserialize;

/// A moment in a body.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Given {
    /// Milliseconds since 1970.
    Ms(i64),
    /// RFC 3339, or local.
    Text(String),
}

impl Given {
    /// In milliseconds since 1970; of a local time that comes twice the later one. The error is for whoever asked.
    pub(super) fn ms(&self, zone: Zone) -> Result<i64, String> {
        let text = match self {
            Self::Ms(ms) => return Ok(*ms),
            Self::Text(text) => text,
        };
        if let Ok(local) = text.parse::<Local>() {
            return Ok(zone.last_moment(local.0));
        }
        let parsed = text.contains('T').then(|| Moment::parse(text).ok()).flatten();
        parsed.map(Moment::ms).ok_or_else(|| {
            format!("{text:?} is no moment; write 2026-11-20T22:00 (local at the site), RFC 3339, or milliseconds since 1970")
        })
    }
}

/// As answers have it: RFC 3339, UTC.
pub(super) fn text(ms: i64) -> String {
    rfc3339(ms.max(0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_may_be_written_in_three_ways() {
        let berlin: Zone = "Europe/Berlin".parse().expect("a zone");
        for json in [
            "\"2026-11-20T21:00:00Z\"",
            "1795208400000",
            "\"2026-11-20T22:00\"",
            "\"2026-11-20T22:00:00+01:00\"",
        ] {
            let given: Given = serde_json::from_str(json).expect("a moment");
            assert_eq!(given.ms(berlin), Ok(1_795_208_400_000), "{json}");
        }
        for json in ["\"soon\"", "\"\"", "\"1795208400\"", "\"2026-11-20\""] {
            let given: Given = serde_json::from_str(json).expect("a text");
            assert!(given.ms(berlin).is_err(), "{json}");
        }
    }
}
