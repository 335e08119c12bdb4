//! A page of the log: events of the history and what became of alerts, in one order.
//!
//! A page is a stretch of time and has all of both that falls into it, so pages lie end to end, downwards and upwards. What happened in one moment stays together.
//!
//! Invariant: whatever is asked for, so much is read and no more; who asks for what is nowhere is told how far was looked.

use super::asked::Asked;
use super::words::words;
use crate::web::Web;
use crate::web::venue::Venues;
use crate::web::visitor::Visitor;
use rackside_history::{Cursor, LogEntry, LogPage, LogQuery};
use rackside_notify::What;
use rackside_promql::{SourceError, Stop};
use rackside_proto::AgentName;
use std::ops::Range;

/// Entries that are read at a time, and how often for one page: a text that is nowhere costs so much and no more.
const READ: usize = 2_000;
const READS: usize = 10;

/// Something that happened, ready to be told.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Its place; of an alert the moment and its number.
    pub(super) id: String,
    pub(super) at: i64,
    pub(super) site: String,
    pub(super) appliance: String,
    pub(super) kind: &'static str,
    pub(super) what: String,
    /// The alert's number, or nothing.
    pub(super) alert: String,
}

/// A page of it, the newest first.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) entries: Vec<Told>,
    /// Where older ones go on.
    pub(super) older: Option<Cursor>,
    /// Where newer ones go on; none on the newest page.
    pub(super) newer: Option<Cursor>,
    /// How far was looked, where the page ends before it is full, since so much was read already.
    pub(super) looked: Option<u64>,
}

/// Who asks for what.
pub(super) struct Reading<'a> {
    pub(super) web: &'a Web,
    pub(super) venues: &'a Venues,
    pub(super) visitor: &'a Visitor,
    pub(super) asked: &'a Asked,
}

/// A stretch of time that was read: what it has, and where the next one begins.
struct Stretch {
    told: Vec<Told>,
    next: Option<Cursor>,
}

impl Reading<'_> {
    /// The page that is asked for.
    pub(super) fn page(&self, stopped: &dyn Fn() -> Option<Stop>) -> Result<Page, SourceError> {
        let asked = self.asked;
        let (mut entries, cut, is_cut) = self.entries(stopped)?;
        if asked.newer.is_none() {
            // What came in since is above; on the newest page nothing is.
            let newer = asked.before.as_ref().map(|before| Cursor::at(before.ms));
            let looked = cut.as_ref().filter(|_| is_cut).map(|cut| cut.ms);
            return Ok(Page { entries, older: cut, newer, looked });
        }
        entries.reverse();
        let looked = cut.as_ref().filter(|_| is_cut).map(|cut| cut.ms);
        let older = asked.newer.as_ref().map(|newer| Cursor::at(newer.ms));
        Ok(Page { entries, older, newer: cut, looked })
    }

    /// Entries in the order in which they are read, where they go on, and whether that is before the page is full.
    fn entries(
        &self,
        stopped: &dyn Fn() -> Option<Stop>,
    ) -> Result<(Vec<Told>, Option<Cursor>, bool), SourceError> {
        let (agents, rises) = (self.agents(), self.asked.newer.is_some());
        let mut place = if rises { self.asked.newer.clone() } else { self.asked.before.clone() };
        let mut entries: Vec<Told> = Vec::new();
        for _ in 0..READS {
            if let Some(stop) = stopped() {
                return Err(SourceError::Stopped(stop));
            }
            let Stretch { told, next } = self.stretch(agents.as_deref(), place.as_ref())?;
            for told in told {
                let last =
                    entries.last().filter(|last| entries.len() >= self.asked.limit && last.at != told.at);
                if let Some(last) = last {
                    let cut = if rises { told.at } else { last.at };
                    return Ok((entries, Some(Cursor::at(cut.max(0) as u64)), false));
                }
                entries.push(told);
            }
            if next.is_none() {
                return Ok((entries, None, false));
            }
            place = next;
        }
        Ok((entries, place, true))
    }

    /// The next stretch from a place on, downwards or upwards.
    fn stretch(&self, agents: Option<&[AgentName]>, place: Option<&Cursor>) -> Result<Stretch, SourceError> {
        let (asked, rises) = (self.asked, self.asked.newer.is_some());
        let range = asked.range.clone();
        let (before, from) = if rises { (None, place) } else { (place, None) };
        // Nobody's events are not everybody's.
        let found = if agents.is_some_and(<[_]>::is_empty) || asked.kind == "alert" {
            LogPage::default()
        } else {
            let query = LogQuery { range: range.clone(), before, from, agents, hub: false, limit: READ };
            self.web.queries.log(&query).map_err(|error| SourceError::Failed(error.to_string()))?
        };
        let (begun, ended) = (place.map(|place| place.ms), found.next.as_ref().map(|next| next.ms));
        let of_time = if rises {
            begun.unwrap_or(range.start)..ended.unwrap_or(range.end)
        } else {
            ended.unwrap_or(range.start)..begun.unwrap_or(range.end)
        };
        let mut told: Vec<Told> = found.entries.into_iter().map(of_history).collect();
        let of_time = of_time.start.max(range.start)..of_time.end.min(range.end);
        told.extend(self.of_alerts(&(of_time.start as i64..of_time.end as i64)));
        told.retain(|told| asked.wants(told));
        told.sort_by(|one, other| (other.at, &other.id).cmp(&(one.at, &one.id)));
        if rises {
            told.reverse();
        }
        Ok(Stretch { told, next: found.next })
    }

    /// The appliances whose events are read; `None` stands for everybody's, and the hub's own.
    fn agents(&self) -> Option<Vec<AgentName>> {
        let (asked, venues, visitor) = (self.asked, self.venues, self.visitor);
        let is_wanted = |name: &AgentName| {
            (asked.site.is_empty() || name.site.as_str() == asked.site)
                && (asked.appliance.is_empty() || name.appliance.as_str() == asked.appliance)
                && venues.sees(visitor, name.site.as_str())
        };
        if venues.sees(visitor, "") && asked.site.is_empty() && asked.appliance.is_empty() {
            return None;
        }
        let ingest = self.web.shared.read();
        let names = ingest.fleet().appliances().iter().map(|one| &one.name);
        Some(names.filter(|name| is_wanted(name)).cloned().collect())
    }

    /// What became of alerts in a stretch of time.
    fn of_alerts(&self, range: &Range<i64>) -> Vec<Told> {
        let (venues, visitor) = (self.venues, self.visitor);
        let mut found = Vec::new();
        self.web.notifications.look(|notifier, _| {
            for alert in notifier.alerts().filter(|alert| venues.sees(visitor, alert.site())) {
                for event in alert.history.iter().filter(|event| range.contains(&event.at)) {
                    let Some(says) = became(&event.what) else { continue };
                    let what = crate::web::alerts::what(alert);
                    found.push(Told {
                        id: format!("{}.{}", event.at, alert.id),
                        at: event.at,
                        site: alert.site().to_owned(),
                        appliance: alert.appliance().to_owned(),
                        kind: "alert",
                        what: format!("{says}: {what}"),
                        alert: alert.id.to_string(),
                    });
                }
            }
        });
        found
    }
}

fn of_history(entry: LogEntry) -> Told {
    let (kind, what) = words(&entry.what);
    let (site, appliance) =
        entry.agent.map(|name| (name.site.to_string(), name.appliance.to_string())).unwrap_or_default();
    Told {
        id: entry.place.to_string(),
        at: entry.place.ms as i64,
        site,
        appliance,
        kind,
        what,
        alert: String::new(),
    }
}

fn became(what: &What) -> Option<String> {
    Some(match what {
        What::Firing => "fires".to_owned(),
        What::Unknown => "unknown, its appliance is not heard".to_owned(),
        What::Heard => "fires still".to_owned(),
        What::Resolved | What::Dropped => "is over".to_owned(),
        What::Acknowledged { by, .. } => format!("{by} has it in hand"),
        What::Unacknowledged => "given back".to_owned(),
        What::Flapping => "flaps".to_owned(),
        What::Pending | What::Steady | What::Told { .. } => return None,
    })
}
