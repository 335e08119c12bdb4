//! What is done on the pages of alerts: acknowledge, give back, mute; end and extend a mute.
//!
//! A form is taken from whoever has the right to act at that site, and, for acknowledging and giving back alone, from whoever came by the signed link of a message about
//! this alert. Who it was is the visitor's name; only where nobody has one does the form ask.

use super::line::mute_ends;
use super::{booked, sent_to};
use crate::clock;
use crate::web::accept::wants_page;
use crate::web::api::Form;
use crate::web::venue::Venues;
use crate::web::visitor::Visitor;
use crate::web::{Web, missing};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rackside_access::Right;
use rackside_notify::{Booked, Matchers, Mute, MuteId, NewMute};
use std::sync::Arc;

/// Most characters of a name, and of a note.
pub(in crate::web) const WHO: usize = 80;
pub(in crate::web) const NOTE: usize = 500;
const HOUR: i64 = 3_600_000;
/// Labels by which an alert says how bad it is and whose, and not which it is.
const NOT_WHICH: [&str; 2] = ["severity", "component"];

/// Why it was not done.
pub(super) type Refusal = (StatusCode, String);

fn no<T>(code: StatusCode, why: impl Into<String>) -> Result<T, Refusal> {
    Err((code, why.into()))
}

/// Whether somebody may act at a site.
pub(super) fn may_act(visitor: &Visitor, venues: &Venues, site: &str) -> bool {
    visitor.may(Right::Act) && venues.sees(visitor, site)
}

/// Whether its forms have to ask who it is.
pub(in crate::web) fn has_to_ask(visitor: &Visitor) -> bool {
    visitor.name.is_none()
}

/// `POST /alerts/{id}`.
pub(in crate::web) async fn change(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let form = match form(request).await {
        Ok(form) => form,
        Err(refusal) => return told(&headers, refusal),
    };
    let Some(alert) = booked(&web, &id) else { return missing::not_found(headers, uri).await };
    match act(&web, &alert, &visitor, &form) {
        Err(refusal) => told(&headers, refusal),
        Ok(()) if form.first("back") == "list" => done(&headers, "/alerts".to_owned()),
        Ok(()) => {
            let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            done(&headers, format!("{}{query}", uri.path()))
        }
    }
}

/// A form; that it is of the hub's own pages, or of a program, was seen to before (`admit`).
async fn form(request: Request<Body>) -> Result<Form, Refusal> {
    Form::read(request).await.or_else(|_| no(StatusCode::BAD_REQUEST, "the form cannot be read"))
}

fn done(headers: &HeaderMap, back: String) -> Response {
    if wants_page(headers) {
        (StatusCode::SEE_OTHER, [(header::LOCATION, back)]).into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}

fn act(web: &Web, alert: &Booked, visitor: &Visitor, form: &Form) -> Result<(), Refusal> {
    let venues = web.venues();
    let link = sent_to(web, alert, form);
    let may = may_act(visitor, &venues, alert.site());
    let what = form.first("do");
    if link.is_none() && !venues.sees(visitor, alert.site()) {
        // Not even that it is there.
        return no(StatusCode::NOT_FOUND, "there is no such alert");
    }
    if !may && (link.is_none() || what == "mute") {
        let why =
            "open the link in the newest message that told you of this alert, or log in as somebody who may";
        return no(StatusCode::FORBIDDEN, why);
    }
    let by = name(visitor, form, link.filter(|_| !may));
    let note = line(form.first("note"), NOTE);
    let done = match what {
        "acknowledge" => web.notifications.with(|book, now| book.acknowledge(alert.id, &by, &note, now)),
        "release" => web.notifications.with(|book, now| book.unacknowledge(alert.id, now)),
        "mute" => {
            let wanted =
                Wanted { span: form.first("for"), until: form.first("until"), what: form.first("what") };
            let made = mute(web, alert, &venues, &wanted, (by, note));
            return made.map(drop).or_else(|why| no(StatusCode::BAD_REQUEST, why));
        }
        _ => return no(StatusCode::BAD_REQUEST, "`do` is acknowledge, release or mute"),
    };
    if done { Ok(()) } else { no(StatusCode::CONFLICT, "it is over, or nobody has it in hand") }
}

/// Under which name it is noted: the visitor's own, else the one that they say.
fn name(visitor: &Visitor, form: &Form, link: Option<String>) -> String {
    let said = line(form.first("who"), WHO);
    match (visitor.name.as_deref(), link) {
        (Some(name), None) => name.to_owned(),
        (_, Some(link)) if said.is_empty() => link,
        (_, Some(link)) => format!("{said} ({link})"),
        (None, None) if said.is_empty() => visitor.shown().to_owned(),
        (None, None) => said,
    }
}

/// A mute because of an alert.
pub(super) struct Wanted<'a> {
    /// For how long: `1h`, `show`, `morning`, `until`.
    pub(super) span: &'a str,
    /// The moment, local at the site, where that is asked for.
    pub(super) until: &'a str,
    /// What: `alert`, `appliance`, `site`.
    pub(super) what: &'a str,
}

/// Makes it; the error is for whoever wants it.
pub(super) fn mute(
    web: &Web,
    alert: &Booked,
    venues: &Venues,
    wanted: &Wanted<'_>,
    (by, note): (String, String),
) -> Result<MuteId, String> {
    let now = clock::now();
    let show = alert.site().parse().ok().and_then(|site| web.on_air.shows(&site, now).0);
    let zone = venues.zone(alert.site());
    let ends_at = mute_ends(wanted.span, wanted.until, zone, show.as_ref(), now.utc_ms as i64)?;
    let matchers = matchers(alert, wanted.what)?;
    let comment = if note.is_empty() { format!("because of {}", alert.name()) } else { note };
    let new = NewMute { matchers, starts_at: None, ends_at, by: line(&by, WHO), comment };
    let made = web.notifications.with(|notifier, now| notifier.mute(new, now));
    made.map_err(|error| error.to_string())
}

/// What is muted: this alert alone, or all of its appliance, or of its site.
fn matchers(alert: &Booked, what: &str) -> Result<Matchers, String> {
    let is_wanted = |name: &str| match what {
        "appliance" => matches!(name, "site" | "appliance"),
        "site" => name == "site",
        _ => !NOT_WHICH.contains(&name),
    };
    let wanted = alert.labels.iter().filter(|label| is_wanted(&label.name) && !label.value.is_empty());
    let texts: Vec<String> = wanted.map(|label| format!("{}={}", label.name, quoted(&label.value))).collect();
    Matchers::read(texts)
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// `POST /mutes/{id}`: ends it, or lets it last an hour longer.
pub(in crate::web) async fn change_mute(
    State(web): State<Arc<Web>>,
    Path(id): Path<u64>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let form = match form(request).await {
        Ok(form) => form,
        Err(refusal) => return told(&headers, refusal),
    };
    let found = web.notifications.look(|notifier, _| notifier.mutes().one(id).cloned());
    let Some(mute) = found else { return missing::not_found(headers, uri).await };
    if !may_change(&visitor, &web.venues(), &mute) {
        let why = "this mute is about sites that you may not act at";
        return told(&headers, (StatusCode::FORBIDDEN, why.to_owned()));
    }
    let by = name(&visitor, &form, None);
    let changed = web.notifications.with(|notifier, now| match form.first("do") {
        "end" => Some(notifier.unmute(id, &by, now)),
        "extend" => {
            let Mute { matchers, ends_at, comment, .. } = mute.clone();
            let ends_at = ends_at.max(now) + HOUR;
            let longer = NewMute { matchers, starts_at: None, ends_at, by: by.clone(), comment };
            Some(notifier.change_mute(id, longer, now))
        }
        _ => None,
    });
    match changed {
        None => told(&headers, (StatusCode::BAD_REQUEST, "`do` is end or extend".to_owned())),
        Some(Err(error)) => told(&headers, (StatusCode::CONFLICT, error.to_string())),
        Some(Ok(())) => done(&headers, "/alerts#mutes".to_owned()),
    }
}

/// Whether somebody may change a mute: one of a site that is theirs. One that names no site concerns all.
pub(super) fn may_change(visitor: &Visitor, venues: &Venues, mute: &Mute) -> bool {
    may_act(visitor, venues, &site_of(mute))
}

/// The one site that a mute is about, or nothing.
pub(in crate::web) fn site_of(mute: &Mute) -> String {
    let site = mute.matchers.iter().find_map(|matcher| match &matcher.test {
        rackside_promql::Test::Equal(site) if &*matcher.name == "site" => Some(site.to_string()),
        _ => None,
    });
    site.unwrap_or_default()
}

/// One line of so many characters at most.
pub(in crate::web) fn line(text: &str, most: usize) -> String {
    let text = text.replace(char::is_control, " ");
    text.trim().chars().take(most).collect()
}

fn told(headers: &HeaderMap, (code, why): Refusal) -> Response {
    if wants_page(headers) {
        return missing::page(code, "Not done", &format!("{why}."));
    }
    refused(code, &why)
}

/// For people and programs alike.
pub(in crate::web) fn refused(code: StatusCode, why: &str) -> Response {
    (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{why}\n")).into_response()
}
