//! What is asked of the log: `site`, `appliance`, `kind`, `text`, `from`, `until`, `after` (a place in it), `limit`.
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
        let before = match first("after") {
            text if text.is_empty() => None,
            text => Some(text.parse().map_err(|_| {
                format!("`after` {text:?} is no place in the log; take `next` of the answer before")
            })?),
        };
        let limit = match first("limit") {
            text if text.is_empty() => limit,
            text => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| format!("`limit` {text:?} is not between 1 and {MOST}"))?,
        };
        let text = first("text").chars().take(TEXT).collect();
        let range = from.unwrap_or(0)..until.unwrap_or(i64::MAX as u64);
        Ok(Self { site, appliance: first("appliance"), kind, text, range, before, limit })
    }

    /// Whether anything is left out.
    pub(super) fn is_narrow(&self) -> bool {
        let texts = [&self.site, &self.appliance, &self.kind, &self.text];
        texts.iter().any(|text| !text.is_empty()) || self.range != (0..i64::MAX as u64)
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

    /// The address of the page that goes on at a place; of the newest, without.
    pub(super) fn address(&self, form: &Form, after: Option<&Cursor>) -> String {
        let after = after.map(ToString::to_string).unwrap_or_default();
        address::of(
            "/log",
            &[
                ("site", &self.site),
                ("appliance", &self.appliance),
                ("kind", &self.kind),
                ("text", &self.text),
                ("from", form.first("from")),
                ("until", form.first("until")),
                ("after", &after),
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
