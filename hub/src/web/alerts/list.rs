//! `/alerts`: all alerts that the visitor sees, what needs somebody first; mutes, maintenance, and how receivers fare.

use super::act::{has_to_ask, may_act, may_change, site_of};
use super::line::{Kept, Pen, is_held};
use super::{Venues, Visitor};
use crate::clock;
use crate::web::address;
use crate::web::api::Form;
use crate::web::maintenance::{announced, next_of_each};
use crate::web::{Web, page as pages, receivers};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use rackside_notify::{Booked, Notifier, Severity, State as At};
use rackside_pages::alerts::{Alerts, Choice, Filter, Mute, Past, Section};
use rackside_pages::maintenance::Window;
use rackside_pages::{Here, When};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Alerts that are over, on one page.
const PAST: usize = 50;
/// Lines of one section; more are counted.
const LINES: usize = 500;
/// How far ahead maintenance is told, in milliseconds.
const AHEAD: i64 = 7 * 86_400_000;

/// Section, title, what to say where there is none.
const SECTIONS: [(&str, &str, &str); 4] = [
    ("firing", "Firing", "Nothing fires that somebody has to know of."),
    ("pending", "Pending", "Nothing is about to fire."),
    ("in-hand", "In hand", "Nobody has anything in hand."),
    ("held", "Muted or held back", "Nothing is muted, and nothing is held back."),
];

/// What is asked for.
struct Asked {
    site: String,
    least: Option<Severity>,
    text: String,
    /// The alert that was the last one on the page before, by its end and number.
    after: Option<(i64, u64)>,
}

pub(in crate::web) async fn list(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let asked = Asked::of(&Form::of_address(&uri));
    pages::whole(headers, move || shown(&web, &visitor, &asked).html()).await
}

impl Asked {
    fn of(form: &Form) -> Self {
        let least = match form.first("severity") {
            "warning" => Some(Severity::Warning),
            "critical" => Some(Severity::Critical),
            _ => None,
        };
        let after = form.first("after").split_once('-');
        let after = after.and_then(|(at, id)| Some((at.parse().ok()?, u64::from_str_radix(id, 16).ok()?)));
        let text = form.first("text").chars().take(80).collect::<String>();
        Self { site: form.first("site").to_owned(), least, text: text.trim().to_lowercase(), after }
    }

    fn wants(&self, alert: &Booked) -> bool {
        let texts = || {
            let labels = alert.labels.iter().map(|label| label.value.to_lowercase());
            labels.chain(alert.annotations.values().map(|text| text.to_lowercase()))
        };
        (self.site.is_empty() || alert.site() == self.site)
            && self.least.is_none_or(|least| alert.severity >= least)
            && (self.text.is_empty() || texts().any(|text| text.contains(&self.text)))
    }

    /// The address of the page that goes on after an alert; from the newest one on, without.
    fn address(&self, after: Option<(i64, u64)>) -> String {
        let after = after.map(|(at, id)| format!("{at}-{id:016x}")).unwrap_or_default();
        let severity = self.least.map_or("", Severity::as_str);
        let pairs =
            [("site", self.site.as_str()), ("severity", severity), ("text", &self.text), ("after", &after)];
        address::of("/alerts", &pairs) + "#past"
    }

    fn filter(&self, venues: &Venues, visitor: &Visitor, seen: &BTreeSet<String>) -> Filter {
        let configured = venues.all().map(|(id, _)| id).filter(|id| venues.sees(visitor, id));
        let sites: BTreeSet<&str> = seen.iter().map(String::as_str).chain(configured).collect();
        let site = |id: &str| Choice { value: id.to_owned(), label: venues.title(id), on: id == self.site };
        let severity = |value: &str, label: &str| Choice {
            value: value.to_owned(),
            label: label.to_owned(),
            on: self.least.map_or("", Severity::as_str) == value,
        };
        Filter {
            sites: sites.into_iter().filter(|id| !id.is_empty()).map(site).collect(),
            severities: vec![
                severity("", "all"),
                severity("warning", "warning and critical"),
                severity("critical", "critical alone"),
            ],
            text: self.text.clone(),
            on: !self.site.is_empty() || self.least.is_some() || !self.text.is_empty(),
        }
    }
}

fn shown(web: &Web, visitor: &Visitor, asked: &Asked) -> Alerts {
    let (now, venues) = (clock::now(), web.venues());
    let Looked { open, past, past_count, sites, kept, maintenance, told } =
        web.notifications.look(|notifier, at| look(notifier, at, asked, (&venues, visitor)));
    let at = now.utc_ms as i64;
    let mut pen = Pen::new(&venues, &web.on_air, now, true);
    let may_anywhere = sites.iter().any(|site| may_act(visitor, &venues, site));
    let mut sections: Vec<Section> =
        SECTIONS.map(|(id, title, none)| Section { id, title, count: 0, lines: Vec::new(), none }).into();
    for alert in &open {
        let which = match alert.state {
            At::Pending => 1,
            At::Acknowledged => 2,
            _ if alert.acknowledged.is_some() => 2,
            _ if is_held(alert, &kept, &venues, at) => 3,
            _ => 0,
        };
        let section = &mut sections[which];
        section.count += 1;
        if section.lines.len() < LINES {
            pen.may = may_act(visitor, &venues, alert.site());
            section.lines.push(pen.line(alert, &kept));
        }
    }
    pen.may = false;
    let lines = past.iter().map(|alert| pen.line(alert, &kept)).collect::<Vec<_>>();
    let older =
        past.last().filter(|_| past_count.1).map(|last| (last.ends_at.unwrap_or_default(), last.id.0));
    let past = Past {
        lines,
        count: past_count.0,
        newer: asked.after.map(|_| asked.address(None)).unwrap_or_default(),
        older: older.map(|after| asked.address(Some(after))).unwrap_or_default(),
        alone: older.is_none() && asked.after.is_none(),
    };
    let mute = |mute: &rackside_notify::Mute| Mute {
        id: mute.id,
        what: mute.matchers.texts().join(", "),
        by: mute.by.clone(),
        comment: mute.comment.clone(),
        until: When::new(mute.ends_at, venues.zone(&site_of(mute)), at),
        from: if mute.starts_at > at {
            When::short(mute.starts_at, venues.zone(&site_of(mute)), at)
        } else {
            String::new()
        },
        may: may_change(visitor, &venues, mute),
    };
    let running = kept.mutes.iter().filter(|mute| mute.ends_at > at && venues.sees(visitor, &site_of(mute)));
    Alerts {
        frame: web.live_frame("Alerts", Here::Alerts, visitor),
        filter: asked.filter(&venues, visitor, &sites),
        sum: sum(&sections),
        told,
        trouble: if venues.sees(visitor, "") { receivers::trouble(web, at) } else { String::new() },
        sections,
        past,
        mutes: running.map(mute).collect(),
        maintenance,
        may: may_anywhere || may_act(visitor, &venues, ""),
        ask: has_to_ask(visitor),
        public: web.board.public.set().config.enabled,
    }
}

fn sum(sections: &[Section]) -> String {
    let words = ["firing", "pending", "in hand", "held back"];
    let counted = sections.iter().zip(words).filter(|(section, _)| section.count > 0);
    let said: Vec<String> = counted.map(|(section, word)| format!("{} {word}", section.count)).collect();
    if said.is_empty() { "All is well: nothing fires.".to_owned() } else { said.join(", ") }
}

/// What the book holds, as far as the page shows it.
struct Looked {
    /// What is not over, what needs somebody first.
    open: Vec<Booked>,
    past: Vec<Booked>,
    /// How many there are in all, and whether some are older than these.
    past_count: (usize, bool),
    sites: BTreeSet<String>,
    kept: Kept,
    maintenance: Vec<Window>,
    told: bool,
}

/// Copies no more than the page shows: whoever looks holds up messages.
fn look(notifier: &Notifier, at: i64, asked: &Asked, (venues, visitor): (&Venues, &Visitor)) -> Looked {
    let mut sites = BTreeSet::new();
    let seen = notifier.alerts().filter(|alert| venues.sees(visitor, alert.site()));
    let (mut open, mut past): (Vec<&Booked>, Vec<&Booked>) = seen
        .inspect(|alert| {
            sites.insert(alert.site().to_owned());
        })
        .filter(|alert| asked.wants(alert))
        .partition(|alert| alert.counts_as_firing() || alert.state == At::Pending);
    open.sort_by_key(|alert| (Reverse(alert.severity), Reverse(alert.starts_at), alert.id));
    let key = |alert: &Booked| (alert.ends_at.unwrap_or_default(), alert.id.0);
    past.sort_by_key(|alert| Reverse(key(alert)));
    let count = past.len();
    let from = asked.after.map_or(0, |after| past.partition_point(|alert| key(alert) >= after));
    let page: Vec<Booked> = past.iter().skip(from).take(PAST).map(|alert| (*alert).clone()).collect();
    Looked {
        open: open.into_iter().cloned().collect(),
        past_count: (count, count > from + page.len()),
        past: page,
        sites,
        kept: Kept::of(notifier),
        maintenance: maintenance(notifier, at, (venues, visitor)),
        told: !notifier.policy().receivers.is_empty(),
    }
}

/// Maintenance that goes on, and what comes within a week.
fn maintenance(notifier: &Notifier, at: i64, (venues, visitor): (&Venues, &Visitor)) -> Vec<Window> {
    let next = next_of_each(announced(notifier, (venues, visitor), None, at, AHEAD));
    next.iter().map(|one| one.line(venues, at)).collect()
}
