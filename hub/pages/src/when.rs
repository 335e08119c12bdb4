//! A moment for people: on the venue's clocks, with how long ago, and for scripts in UTC so that `times.js` can add what the reader's clocks say.
//!
//! ```text
//! 1_795_145_119_250 in Europe/Berlin, a quarter of an hour later  →  "Fri 20 Nov 04:25:19", 15 min
//! ```

use crate::moment::{rfc3339, span};
use rackside_onair::Zone;
use serde::Serialize;

/// A moment, ready to be read. Its template is `when`.
#[derive(Debug, Clone, Serialize)]
pub struct When {
    /// RFC 3339, UTC.
    pub at: String,
    /// On the venue's clocks: `Fri 20 Nov 04:25:19`.
    pub text: String,
    /// Where those are: `Europe/Berlin`.
    pub zone: String,
    /// How long ago, or until then: `15 min`.
    pub span: String,
}

impl When {
    /// This moment, in milliseconds since 1970, told by the clocks of `zone`.
    pub fn new(ms: i64, zone: Zone, now: i64) -> Self {
        Self {
            at: rfc3339(ms.max(0) as u64),
            text: zone.local(ms).format("%a %-d %b %H:%M:%S").to_string(),
            zone: zone.name().to_owned(),
            span: span(now.abs_diff(ms)),
        }
    }

    /// Without seconds, and without the day where that is today's: `22:00`, `Sat 08:00`, `3 Dec 08:00`.
    pub fn short(ms: i64, zone: Zone, now: i64) -> String {
        let (then, today) = (zone.local(ms), zone.local(now));
        let days = (then.date() - today.date()).num_days();
        let form = match days {
            0 => "%H:%M",
            -6..=6 => "%a %H:%M",
            _ => "%-d %b %H:%M",
        };
        then.format(form).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_by_the_venues_clocks() {
        let berlin: Zone = "Europe/Berlin".parse().expect("a zone");
        let at = 1_795_145_119_250;
        let when = When::new(at, berlin, at + 900_000);
        let said = (when.at.as_str(), when.text.as_str(), when.zone.as_str(), when.span.as_str());
        assert_eq!(said, ("2026-11-20T03:25:19.250Z", "Fri 20 Nov 04:25:19", "Europe/Berlin", "15 min"));
        let day = 86_400_000;
        let short = [at, at + day, at - day, at + 30 * day].map(|ms| When::short(ms, berlin, at));
        assert_eq!(short, ["04:25", "Sat 04:25", "Thu 04:25", "20 Dec 04:25"]);
    }
}
