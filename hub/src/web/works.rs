//! Maintenance by hand: who may announce it where, its page, and what its forms ask for.
//!
//! ```text
//! GET  /maintenance?at=site/arena-north      what goes on and what comes, and the form
//! POST /maintenance                          at=site/arena-north&for=2h&comment=…   303, to the site's page
//! POST /maintenance                          at=appliance/arena-north/rack-1&from=2026-11-20T22:00&until=2026-11-20T23:30&comment=…
//! POST /maintenance                          at=tag/north&for=4h&name=Carrier's%20works&comment=…
//! POST /maintenance/3                        do=end                                 303, back to `back`
//! ```
//!
//! Invariant: who sees some sites alone announces maintenance at those, and ends that of those. What a tag covers may be others'.

use super::accept::wants_page;
use super::alerts::{WHO, has_to_ask, line, refused};
use super::api::Form;
use super::maintenance::{announced, later, next_of_each};
use super::problem::Problem;
use super::settings::sentence;
use super::venue::Venues;
use super::visitor::Visitor;
use super::{Web, missing, page};
use crate::clock;
use crate::moment::rfc3339;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_access::Right;
use rackside_notify::{NewWork, Where, Work, WorkError, WorkId};
use rackside_onair::{Local, Zone};
use rackside_pages::maintenance::{Choice, Maintenance, WorkForm};
use rackside_pages::{Here, When};
use rackside_proto::Id;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How far ahead the page tells of windows of the configuration, in milliseconds; of those by hand it tells all.
const AHEAD: i64 = 31 * 86_400_000;
const MINUTE: i64 = 60_000;
/// How long it may take without a time being given: what is sent, what is read, and that in minutes.
const SPANS: [(&str, &str, i64); 8] = [
    ("30m", "30 minutes", 30),
    ("1h", "1 hour", 60),
    ("2h", "2 hours", 120),
    ("4h", "4 hours", 240),
    ("8h", "8 hours", 480),
    ("1d", "a day", 1_440),
    ("3d", "3 days", 4_320),
    ("7d", "a week", 10_080),
];
/// What is offered.
const OFFERED: &str = "1h";

/// Why it was not done.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is no such thing for them.
    Missing(String),
    /// It is not theirs to do.
    Forbidden(String),
    /// It cannot be.
    Bad(String),
    /// It is over.
    Over(String),
}

impl Refusal {
    fn parts(self) -> (StatusCode, String) {
        match self {
            Self::Missing(why) => (StatusCode::NOT_FOUND, why),
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, why),
            Self::Bad(why) => (StatusCode::BAD_REQUEST, why),
            Self::Over(why) => (StatusCode::CONFLICT, why),
        }
    }
}

impl From<WorkError> for Refusal {
    fn from(error: WorkError) -> Self {
        let why = error.to_string();
        match error {
            WorkError::Unknown(_) => Self::Missing(why),
            WorkError::Over(_) => Self::Over(why),
            _ => Self::Bad(why),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (code, why) = refusal.parts();
        Self::new(code, why)
    }
}

/// Whether somebody may announce and end maintenance there.
pub(super) fn may_work(visitor: &Visitor, venues: &Venues, at: &Where) -> bool {
    visitor.may(Right::Act)
        && match at.site() {
            Some(site) => venues.sees(visitor, site),
            None => visitor.only().is_none(),
        }
}

/// The clocks that sites with a tag have in common; else UTC.
pub(super) fn zone_of_tag(venues: &Venues, tag: &str) -> Zone {
    let mut zones = venues.all().filter(|(_, site)| site.tags.iter().any(|one| one == tag));
    let first = zones.next().map_or(Zone::UTC, |(_, site)| site.zone());
    if zones.all(|(_, site)| site.zone().name() == first.name()) { first } else { Zone::UTC }
}

/// Whose clocks count there.
pub(super) fn zone_of(venues: &Venues, at: &Where) -> Zone {
    match at {
        Where::Site(site) | Where::Appliance { site, .. } => venues.zone(site),
        Where::Tag(tag) => zone_of_tag(venues, tag),
    }
}

/// A place as forms and addresses have it.
fn text_of(at: &Where) -> String {
    match at {
        Where::Site(site) => format!("site/{site}"),
        Where::Appliance { site, appliance } => format!("appliance/{site}/{appliance}"),
        Where::Tag(tag) => format!("tag/{tag}"),
    }
}

fn place_of(text: &str) -> Option<Where> {
    let (kind, name) = text.split_once('/')?;
    match kind {
        "site" => Some(Where::Site(name.to_owned())),
        "tag" => Some(Where::Tag(name.to_owned())),
        "appliance" => {
            let (site, appliance) = name.split_once('/')?;
            Some(Where::Appliance { site: site.to_owned(), appliance: appliance.to_owned() })
        }
        _ => None,
    }
}

impl Web {
    fn knows_site(&self, site: &str) -> bool {
        site.parse::<Id>().is_ok_and(|id| {
            let is_configured = self.on_air.look(&id, |_| ()).is_some();
            is_configured || self.shared.read().fleet().in_service().any(|one| one.name.site == id)
        })
    }

    fn appliances_of(&self, site: &str) -> Vec<String> {
        let ingest = self.shared.read();
        let here = ingest.fleet().in_service().filter(|one| one.name.site.as_str() == site);
        let mut names: Vec<String> = here.map(|one| one.name.appliance.to_string()).collect();
        names.sort();
        names
    }

    /// Whether there is such a place, and it is theirs.
    fn checked(&self, visitor: &Visitor, venues: &Venues, at: &Where) -> Result<(), Refusal> {
        if let Some(site) = at.site() {
            if !self.knows_site(site) || !venues.sees(visitor, site) {
                return Err(Refusal::Missing(format!("there is no site {site:?}")));
            }
        } else if visitor.only().is_some() {
            let why = "a tag may be at sites that are not yours: announce it at a site";
            return Err(Refusal::Forbidden(why.to_owned()));
        }
        match at {
            Where::Tag(tag) if !venues.all().any(|(_, site)| site.tags.contains(tag)) => {
                Err(Refusal::Missing(format!("no site has the tag {tag:?}")))
            }
            Where::Appliance { site, appliance } if !self.appliances_of(site).contains(appliance) => {
                Err(Refusal::Missing(format!("there is no appliance {site}/{appliance}")))
            }
            _ => Ok(()),
        }
    }

    /// Announces maintenance, for whoever may.
    pub(super) fn begin_work(&self, visitor: &Visitor, mut new: NewWork) -> Result<WorkId, Refusal> {
        let venues = self.venues();
        self.checked(visitor, &venues, &new.at)?;
        // Whoever has a name, or a token that has one, is who they are.
        if let Some(name) = &visitor.name {
            new.by = line(name, WHO);
        }
        let tags = |site: &str| venues.config(site).map(|site| site.tags.clone()).unwrap_or_default();
        let made = self.notifications.with(|notifier, now| {
            notifier.begin_work(new, now, &tags).map(|id| (id, notifier.works().one(id).cloned()))
        });
        let (id, work) = made?;
        if let Some(work) = work {
            let ends = rfc3339(work.ends_at.max(0) as u64);
            let Work { name, at, by, comment, .. } = &work;
            self.note_work(&format!("{name}, at {at}, until {ends}, says {by}: {comment}"));
        }
        Ok(id)
    }

    /// Ends it, for whoever may.
    pub(super) fn end_work(&self, visitor: &Visitor, id: WorkId, by: &str) -> Result<Work, Refusal> {
        let venues = self.venues();
        let found = self.notifications.look(|notifier, _| notifier.works().one(id).cloned());
        let sees = |work: &Work| match work.at.site() {
            Some(site) => venues.sees(visitor, site),
            None => visitor.only().is_none(),
        };
        let work = found.filter(sees).ok_or(WorkError::Unknown(id))?;
        let by = visitor.name.as_deref().map_or_else(|| by.to_owned(), |name| line(name, WHO));
        let tags = |site: &str| venues.config(site).map(|site| site.tags.clone()).unwrap_or_default();
        self.notifications.with(|notifier, now| notifier.end_work(id, &by, now, &tags))?;
        self.note_work(&format!("{}, at {}, is over, says {by}", work.name, work.at));
        Ok(work)
    }

    /// For the program's log and for the one that people read.
    fn note_work(&self, what: &str) {
        log::info!("maintenance: {what}");
        self.shared.note("hub/maintenance", what, clock::now());
    }

    /// The page.
    fn maintenance(&self, visitor: &Visitor, form: &Form, fault: String) -> String {
        let (venues, at) = (self.venues(), clock::now().utc_ms as i64);
        let windows = self.notifications.look(|notifier, _| {
            let mut windows = announced(notifier, (&venues, visitor), None, at, AHEAD);
            windows.extend(later(notifier, (&venues, visitor), at + AHEAD));
            windows
        });
        let asked = place_of(form.first("at"));
        let places = self.places(visitor, &venues, asked.as_ref());
        let chosen = |value: &str, offered: &str| match form.first("for") {
            "" => value == offered,
            sent => value == sent,
        };
        let spans = SPANS.map(|(value, label, _)| Choice {
            value: value.to_owned(),
            label: label.to_owned(),
            chosen: chosen(value, OFFERED),
        });
        let text = |name: &str| form.first(name).to_owned();
        let page = Maintenance {
            frame: self.frame("Maintenance", Here::Alerts, visitor),
            windows: next_of_each(windows).iter().map(|one| one.line(&venues, at)).collect(),
            form: (visitor.may(Right::Act) && !places.is_empty()).then(|| WorkForm {
                csrf: visitor.csrf.clone(),
                places,
                spans: spans.into(),
                from: text("from"),
                until: text("until"),
                name: text("name"),
                comment: text("comment"),
                who: text("who"),
                ask: has_to_ask(visitor),
                fault,
            }),
        };
        page.html()
    }

    /// Where somebody may announce it; appliances of the site alone that is asked for.
    fn places(&self, visitor: &Visitor, venues: &Venues, asked: Option<&Where>) -> Vec<Choice> {
        let mut sites: BTreeSet<String> = BTreeSet::new();
        self.on_air.each(|id, _| {
            if venues.sees(visitor, id.as_str()) {
                sites.insert(id.to_string());
            }
        });
        let heard: BTreeSet<String> =
            self.shared.read().fleet().in_service().map(|one| one.name.site.to_string()).collect();
        sites.extend(heard.into_iter().filter(|site| venues.sees(visitor, site)));
        let choice = |at: Where, label: String| {
            let label = format!("{label} ({})", zone_of(venues, &at).name());
            Choice { value: text_of(&at), label, chosen: asked == Some(&at) }
        };
        let asked_site = asked.and_then(Where::site).filter(|site| sites.contains(*site)).map(str::to_owned);
        let mut places = Vec::new();
        if let Some(site) = &asked_site {
            let title = venues.title(site);
            places.push(choice(Where::Site(site.clone()), format!("{title}, all of it")));
            places.extend(self.appliances_of(site).into_iter().map(|appliance| {
                let label = format!("{title}, {appliance} alone");
                choice(Where::Appliance { site: site.clone(), appliance }, label)
            }));
            sites.remove(site);
        }
        let others = sites.into_iter().map(|site| (venues.title(&site), site));
        places.extend(others.map(|(title, site)| choice(Where::Site(site), title)));
        if visitor.only().is_none() {
            let tags: BTreeSet<&String> = venues.all().flat_map(|(_, site)| &site.tags).collect();
            places.extend(
                tags.into_iter()
                    .map(|tag| choice(Where::Tag(tag.clone()), format!("every site with tag {tag}"))),
            );
        }
        places
    }

    /// What the form asks for.
    fn sent(&self, visitor: &Visitor, form: &Form) -> Result<WorkId, Refusal> {
        let bad = |why: &str| Refusal::Bad(why.to_owned());
        let at = place_of(form.first("at")).ok_or(WorkError::Nowhere)?;
        let (zone, now) = (zone_of(&self.venues(), &at), clock::now().utc_ms as i64);
        let moment = |name: &str| match form.first(name) {
            "" => Ok(None),
            text => text.parse::<Local>().map(|local| Some(zone.last_moment(local.0))).map_err(Refusal::Bad),
        };
        let starts_at = moment("from")?;
        let span = SPANS.iter().find(|(value, ..)| *value == form.first("for"));
        let ends_at = match (moment("until")?, span) {
            (Some(until), _) => until,
            (None, Some((_, _, minutes))) => starts_at.unwrap_or(now).max(now) + minutes * MINUTE,
            (None, None) => return Err(bad("say how long it takes, or until when")),
        };
        let by = match line(form.first("who"), WHO) {
            who if who.is_empty() => visitor.shown().to_owned(),
            who => who,
        };
        let (name, comment) = (form.first("name").to_owned(), form.first("comment").to_owned());
        self.begin_work(visitor, NewWork { name, at, starts_at, ends_at, by, comment })
    }
}

pub(super) async fn page(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let form = Form::of_address(&uri);
    page::whole(headers, move || web.maintenance(&visitor, &form, String::new())).await
}

pub(super) async fn begin(State(web): State<Arc<Web>>, visitor: Visitor, request: Request<Body>) -> Response {
    let headers = request.headers().clone();
    let Ok(form) = Form::read(request).await else {
        return refused(StatusCode::BAD_REQUEST, "the form cannot be read");
    };
    match web.sent(&visitor, &form) {
        Ok(_) if !wants_page(&headers) => StatusCode::NO_CONTENT.into_response(),
        Ok(_) => {
            let site = place_of(form.first("at")).and_then(|at| at.site().map(str::to_owned));
            let back = site.map_or_else(|| "/maintenance".to_owned(), |site| format!("/sites/{site}#h-held"));
            (StatusCode::SEE_OTHER, [(header::LOCATION, back)]).into_response()
        }
        Err(refusal) => {
            let (code, why) = refusal.parts();
            if !wants_page(&headers) {
                return refused(code, &why);
            }
            let writing = move || web.maintenance(&visitor, &form, sentence(&why));
            let mut response = page::whole(headers, writing).await;
            if response.status() == StatusCode::OK {
                *response.status_mut() = code;
            }
            response
        }
    }
}

/// `POST /maintenance/{id}`: ends it.
pub(super) async fn change(
    State(web): State<Arc<Web>>,
    Path(id): Path<WorkId>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let headers = request.headers().clone();
    let Ok(form) = Form::read(request).await else {
        return refused(StatusCode::BAD_REQUEST, "the form cannot be read");
    };
    let done = match form.first("do") {
        "end" => web.end_work(&visitor, id, visitor.shown()),
        _ => Err(Refusal::Bad("`do` is end".to_owned())),
    };
    match done {
        Ok(_) if !wants_page(&headers) => StatusCode::NO_CONTENT.into_response(),
        Ok(work) => {
            let back = match (form.first("back"), work.at.site()) {
                ("site", Some(site)) => format!("/sites/{site}#h-held"),
                ("alerts", _) => "/alerts#maintenance".to_owned(),
                _ => "/maintenance".to_owned(),
            };
            (StatusCode::SEE_OTHER, [(header::LOCATION, back)]).into_response()
        }
        Err(refusal) => {
            let (code, why) = refusal.parts();
            if wants_page(&headers) {
                missing::page(code, "Not done", &sentence(&why))
            } else {
                refused(code, &why)
            }
        }
    }
}

impl super::maintenance::Announced {
    /// As pages list it.
    pub(super) fn line(&self, venues: &Venues, at: i64) -> rackside_pages::maintenance::Window {
        let end = When::short(self.to, self.zone, at);
        let is_now = self.from <= at;
        let when = if is_now {
            format!("until {end}")
        } else {
            format!("{} to {end}", When::short(self.from, self.zone, at))
        };
        let titles = self.sites.iter().map(|site| venues.title(site));
        let tags = self.tags.iter().map(|tag| format!("tag {tag}"));
        let mut place: Vec<String> = titles.chain(tags).collect();
        match &self.appliance {
            Some(appliance) => place.push(appliance.clone()),
            None if !self.matchers.is_empty() => place.push(self.matchers.join(", ")),
            None => {}
        }
        if place.is_empty() {
            place.push("everywhere".to_owned());
        }
        rackside_pages::maintenance::Window {
            name: self.name.clone(),
            place: place.join(", "),
            when: format!("{when} ({})", self.zone.name()),
            now: is_now,
            by: self.said(),
            ends: self.ends(),
        }
    }

    /// Who announced it and why, of one by hand.
    pub(super) fn said(&self) -> String {
        self.hand.as_ref().map_or_else(String::new, |hand| format!("{}: {}", hand.by, hand.comment))
    }

    /// Where it is ended, for whoever may.
    pub(super) fn ends(&self) -> String {
        let hand = self.hand.as_ref().filter(|hand| hand.may);
        hand.map_or_else(String::new, |hand| format!("/maintenance/{}", hand.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_it_is_read() {
        for text in ["site/hall", "appliance/hall/rack-1", "tag/north"] {
            assert_eq!(place_of(text).map(|at| text_of(&at)).as_deref(), Some(text));
        }
        for text in ["", "hall", "appliance/hall", "hub/all"] {
            assert_eq!(place_of(text), None, "{text}");
        }
    }
}
