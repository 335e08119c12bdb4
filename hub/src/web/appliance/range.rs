//! Which time is asked for: one of the usual ranges up to now, or from one moment to another.
//!
//! A moment is a local time of the venue, as browsers send it (`2026-11-20T18:40`), or what Prometheus takes: RFC 3339, or seconds since 1970.
//!
//! ```text
//! ?range=7d                                     the last seven days
//! ?from=2026-11-20T18:40&to=2026-11-20T22:10     an evening on the venue's clocks
//! ```

use super::Parameters;
use crate::web::api::Moment;
use rackside_onair::{NaiveDateTime, Zone};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Longer than any history is kept by default.
const LONGEST: i64 = 1_200 * DAY;
const SHORTEST: i64 = 10_000;

/// The usual ranges: as they are asked for, as they are shown, in milliseconds.
pub(super) const USUAL: [(&str, &str, i64); 4] =
    [("1h", "1 h", HOUR), ("24h", "24 h", DAY), ("7d", "7 d", 7 * DAY), ("90d", "90 d", 90 * DAY)];

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// Its first moment, in milliseconds since 1970.
    pub(super) from: i64,
    /// Its end.
    pub(super) until: i64,
    /// Which of the usual ones it is.
    pub(super) usual: Option<&'static str>,
}

impl Range {
    /// The last day, where nothing is asked for.
    pub(super) fn last_day(now: i64) -> Self {
        Self { from: now - DAY, until: now, usual: Some("24h") }
    }

    /// What is asked for; the error says what makes no sense.
    pub(super) fn of(query: &Parameters, zone: Zone, now: i64) -> Result<Self, String> {
        let value =
            |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let (from, until) = (value("from"), value("to"));
        match (value("range"), from, until) {
            (None, None, None) => Ok(Self::last_day(now)),
            (Some(asked), None, None) => {
                let usual = USUAL.iter().find(|(name, ..)| *name == asked);
                let &(name, _, span) = usual
                    .ok_or_else(|| format!("There is no range {asked:?}; there are 1h, 24h, 7d and 90d."))?;
                Ok(Self { from: now - span, until: now, usual: Some(name) })
            }
            (None, Some(from), until) => {
                let from = moment("from", from, zone)?;
                let until = until.map_or(Ok(now), |until| moment("to", until, zone))?.min(now + DAY);
                if until - from < SHORTEST {
                    return Err(
                        "The end has to be later than the beginning, which has to be in the past.".to_owned()
                    );
                }
                if until - from > LONGEST {
                    return Err(format!("That is more than {} days.", LONGEST / DAY));
                }
                Ok(Self { from, until, usual: None })
            }
            (None, None, Some(_)) => Err("There is an end (to) without a beginning (from).".to_owned()),
            (Some(_), ..) => Err("Say either a range, or from and to.".to_owned()),
        }
    }

    /// How long it is, in milliseconds.
    pub(super) fn span(self) -> i64 {
        self.until - self.from
    }

    /// The same as parameters of a form; a usual range goes on with the time.
    pub(super) fn parameters(self) -> Vec<(&'static str, String)> {
        match self.usual {
            Some(usual) => vec![("range", usual.to_owned())],
            None => vec![("from", seconds(self.from)), ("to", seconds(self.until))],
        }
    }

    /// The same as the parameters of a link.
    pub(super) fn query(self) -> String {
        let each = self.parameters().into_iter().map(|(name, value)| format!("{name}={value}"));
        each.collect::<Vec<_>>().join("&")
    }
}

/// Seconds with their milliseconds.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

fn moment(name: &str, text: &str, zone: Zone) -> Result<i64, String> {
    let with_seconds = if text.len() == 16 { format!("{text}:00") } else { text.to_owned() };
    let ms = match with_seconds.parse::<NaiveDateTime>() {
        Ok(local) => zone.moment(local),
        Err(_) => Moment::parse(text).map(Moment::ms).map_err(|_| {
            format!("{name}={text:?} is no moment; write a local time such as 2026-11-20T18:40, or RFC 3339.")
        })?,
    };
    if (0..=253_402_300_799_000).contains(&ms) {
        Ok(ms)
    } else {
        Err(format!("{name}={text:?} is no time that anything was measured at."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_145_119_250;

    fn asked(text: &str) -> Result<Range, String> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let query = pairs
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Range::of(&query.collect(), "Europe/Berlin".parse().expect("a zone"), NOW)
    }

    #[test]
    fn ranges_are_usual_or_from_one_moment_to_another() {
        assert_eq!(asked(""), Ok(Range { from: NOW - DAY, until: NOW, usual: Some("24h") }));
        assert_eq!(asked("range=1h").map(Range::span), Ok(HOUR));
        let evening = asked("from=2026-11-19T18:40&to=2026-11-19T22:10").expect("a range");
        assert_eq!((evening.from, evening.span()), (1_795_110_000_000, 210 * MINUTE));
        assert_eq!(asked("from=2026-11-19T17:40:00Z&to=2026-11-19T21:10:00Z"), Ok(evening));
        assert_eq!(asked(&evening.query()), Ok(evening), "a link leads to the same");
        assert_eq!(asked("from=2026-11-19T18:40").expect("until now").until, NOW);
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for text in [
            "range=2h",
            "from=x",
            "from=2026-11-20T18:40&to=2026-11-20T18:40",
            "to=2026-11-20T18:40",
            "from=1900-01-01T00:00",
            "from=-5",
            "from=99999999999999999999",
            "from=1970-01-01T00:00:00Z",
            "from=2026-11-20T18:40&range=1h",
        ] {
            assert!(asked(text).is_err(), "{text}");
        }
    }
}
