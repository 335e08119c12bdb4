//! What is asked of the log: `site`, `appliance`, `kind`, `text`, `from`, `until`, `after` and `newer` (a place in it), `limit`.
//!
//! Times are RFC 3339 in UTC, milliseconds since 1970, or local at the site that is asked for (else UTC) as a form sends them: `2026-11-20T04:00`.

use super::Told;
use super::words::KINDS;
use crate::web::address;
use crate::web::api::Form;
use crate::web::venue::Venues;
use rackside_history::Cursor;
use std::ops::Range;

/// Most entries of a page.
const MOST: usize = 1_000;
/// Most characters of a text.
const TEXT: usize = 80;

/// Without a word about time.
pub(super) const EVER: Range<u64> = 0..i64::MAX as u64;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) site: String,
    pub(super) appliance: String,
    pub(super) kind: String,
    pub(super) text: String,
    /// In milliseconds since 1970.
    pub(super) range: Range<u64>,
    /// What is older than this place.
    pub(super) before: Option<Cursor>,
    /// The other way: what is at this place and newer.
    pub(super) newer: Option<Cursor>,
    pub(super) limit: usize,
}

impl Asked {
    /// As an address has it; the error is for a person.
    pub(super) fn of(form: &Form, venues: &Venues, limit: usize) -> Result<Self, String> {
        let first = |name: &str| form.first(name).trim().to_owned();
        let (site, kind) = (first("site"), first("kind"));
        if !kind.is_empty() && !KINDS.iter().any(|(known, _)| *known == kind) {
            let known = KINDS.map(|(known, _)| known).join(", ");
            return Err(format!("there is no kind {kind:?}; there are {known}"));
        }
        let moment = |name: &str| {
            let text = first(name);
            if text.is_empty() {
                Ok(None)
            } else {
                moment(&text, venues, &site).map(Some).ok_or_else(|| {
                    format!("`{name}` {text:?} is no time; write for example 2026-11-20T04:00")
                })
            }
        };
        let (from, until) = (moment("from")?, moment("until")?);
        let place = |name: &str, of: &str| match first(name) {
            text if text.is_empty() => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                format!("`{name}` {text:?} is no place in the log; take `{of}` of the answer before")
            }),
        };
        let (before, newer) = (place("after", "next")?, place("newer", "newer")?);
        if before.is_some() && newer.is_some() {
            return Err("`after` goes one way and `newer` the other; give one of them".to_owned());
        }
        let limit = match first("limit") {
            text if text.is_empty() => limit,
            text => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| format!("`limit` {text:?} is not between 1 and {MOST}"))?,
        };
        let text = first("text").chars().take(TEXT).collect();
        let range = from.unwrap_or(EVER.start)..until.unwrap_or(EVER.end);
        Ok(Self { site, appliance: first("appliance"), kind, text, range, before, newer, limit })
    }

    /// Whether anything is left out.
    pub(super) fn is_narrow(&self) -> bool {
        let texts = [&self.site, &self.appliance, &self.kind, &self.text];
        texts.iter().any(|text| !text.is_empty()) || self.range != EVER
    }

    /// Whether it is the page to which new entries come.
    pub(super) fn is_newest(&self) -> bool {
        self.before.is_none() && self.newer.is_none()
    }

    /// Whether an entry is asked for.
    pub(super) fn wants(&self, told: &Told) -> bool {
        let text = self.text.to_lowercase();
        (self.site.is_empty() || told.site == self.site)
            && (self.appliance.is_empty() || told.appliance == self.appliance)
            && (self.kind.is_empty() || told.kind == self.kind)
            && (text.is_empty()
                || [&told.what, &told.site, &told.appliance]
                    .iter()
                    .any(|part| part.to_lowercase().contains(&text)))
    }

    /// The address of the page that goes on at a place, one way or the other; of the newest, without.
    pub(super) fn address(&self, form: &Form, (way, place): (&str, Option<&Cursor>)) -> String {
        let place = place.map(ToString::to_string).unwrap_or_default();
        address::of(
            "/log",
            &[
                ("site", &self.site),
                ("appliance", &self.appliance),
                ("kind", &self.kind),
                ("text", &self.text),
                ("from", form.first("from")),
                ("until", form.first("until")),
                (way, &place),
            ],
        )
    }
}

/// A moment, in milliseconds since 1970.
fn moment(text: &str, venues: &Venues, site: &str) -> Option<u64> {
    if let Ok(ms) = text.parse::<u64>() {
        return Some(ms.min(i64::MAX as u64));
    }
    let (local, zone) = match text.strip_suffix('Z') {
        Some(utc) => (utc.split('.').next().unwrap_or(utc), rackside_onair::Zone::UTC),
        None => (text, venues.zone(site)),
    };
    Some(zone.moment(rackside_onair::local_time(local)?).max(0) as u64)
}
