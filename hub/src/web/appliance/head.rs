//! How an appliance stands, at the top of its page: in a word, since when, what fires of it and who has it, whether its site is on air and why, what is muted.
//!
//! The word is that of the fleet's page, made in one place (`web::row`), so that the two never differ. An appliance that is gone is told to be gone before anything that it said last.
//!
//! Sample: `critical`, for 12 min, heard 4 s ago, on air: Evening show until 22:00; 2 alerts, the first in hand: desk

use super::Subject;
use crate::clock::Now;
use crate::moment::span;
use crate::web::around::Around;
use crate::web::visitor::Visitor;
use crate::web::{Web, page, row, site};
use rackside_pages::appliance::{Gone, Head};
use rackside_pages::fleet::Row;
use rackside_proto::AgentName;

impl Web {
    /// How it stands.
    pub(super) fn head(&self, subject: &Subject, visitor: &Visitor, now: Now) -> Head {
        let venues = self.venues();
        let (id, name) = (subject.agent.site.as_str(), subject.agent.appliance.as_str());
        let around = self.around_of(Some(id), now);
        let group = page::group(id, around.venue(id), Vec::new());
        let at = now.utc_ms as i64;
        let (alerts, held) = self.notifications.look(|notifier, _| {
            let alerts = site::alerts(notifier, id, Some(name), now);
            (alerts, site::holds(notifier, &group, Some(name), (subject.zone, at), (&venues, visitor)))
        });
        let row = self.row(&subject.agent, &around, now);
        let seen = span(now.utc_ms.saturating_sub(subject.seen_ms));
        let (state, word) = (row.state, row.word);
        Head {
            gone: gone(subject, &row, now),
            says: if subject.state.is_up() {
                format!(
                    "{}heard {seen} ago",
                    if row.trouble { format!("for {}, ", row.since) } else { String::new() }
                )
            } else {
                String::new()
            },
            air: group.air,
            alerts,
            held: held.into_iter().filter(|one| one.is_now).collect(),
            notes: super::about::remarks(subject, now),
            state,
            word,
        }
    }

    fn row(&self, agent: &AgentName, around: &Around, now: Now) -> Row {
        let ingest = self.shared.read();
        ingest.fleet().find(agent).map_or_else(Row::default, |one| row::of(one, now, around))
    }
}

/// What is to be said first of one that is not heard.
fn gone(subject: &Subject, row: &Row, now: Now) -> Option<Gone> {
    if subject.state.is_up() {
        return None;
    }
    let is_off = row.word == "off";
    let why = super::about::why(subject.state);
    Some(Gone {
        word: if is_off { "Off by plan" } else { "Not heard" },
        is_off,
        since: super::about::when(subject.since_ms, subject.zone, now),
        since_at: crate::moment::rfc3339(subject.since_ms),
        lasts: span(now.utc_ms.saturating_sub(subject.since_ms)),
        why: why.to_owned(),
    })
}
