//! `/alerts/{id}`: one alert, for whoever is woken by it. Gathers; what it looks like is `rackside_pages::alert`.

use super::act::{has_to_ask, may_act};
use super::around::{before, beside, expression, tried};
use super::cause::cause;
use super::line::{Kept, Pen, who};
use super::{Visitor, booked, happened, sent_to};
use crate::clock;
use crate::web::accept::answer;
use crate::web::api::{Api, Form};
use crate::web::venue::Venues;
use crate::web::{Web, missing};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use rackside_access::How;
use rackside_notify::{Booked, Kind, Message, Notifier, State as At, Status};
use rackside_onair::{Phase, Show, Zone};
use rackside_pages::alert::{Act, Alert, Contact, Happening, Label, OnCall, Place, Runbook};
use rackside_pages::chart::{self, Chart, Gather, Mark, MarkKind, Moves, Size, States};
use rackside_pages::series::title;
use rackside_pages::{Here, When, runbook};
use rackside_promql::{Limits, SourceError, Stop};
use rackside_receivers::chart::{Chart as Hour, last_hour};
use rackside_receivers::quantity::{metric_of, unit_of};
use std::sync::Arc;
use std::time::Duration;

/// The picture is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The chart goes on for so long after the alert's beginning.
const AFTER: i64 = 30 * 60_000;
const SIZE: Size = Size { width: 400, height: 150 };
/// Failures to deliver that are shown.
const FAILURES: usize = 10;

pub(in crate::web) async fn page(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let found = booked(&web, &id);
    let form = Form::of_address(&uri);
    // Whoever came by a link sees the alert of the link, even if it is of another time.
    let is_seen = |alert: &Booked| visitor.how == How::Link || web.venues().sees(&visitor, alert.site());
    let Some(alert) = found.filter(is_seen) else { return missing::not_found(headers, uri).await };
    let (drawing, of) = (Arc::clone(&web), alert.clone());
    let chart = in_time(&web.api, move |stopped| hour(&drawing, &of, stopped));
    let (reading, of) = (Arc::clone(&web), alert.clone());
    let sees_hub = web.venues().sees(&visitor, "");
    let told = in_time(&web.api, move |_| Ok(Told::of(&reading, &of, sees_hub)));
    let read = tokio::join!(chart, told);
    let making = tokio::task::spawn_blocking(move || {
        let html = shown(&web, &alert, &visitor, &form, read).html();
        answer(&headers, "text/html; charset=utf-8", html)
    });
    making.await.expect("writing the page does not panic, and is not cancelled")
}

/// What is drawn or read in a place of the queries'; `None`, where it was not had in time.
async fn in_time<T: Send + 'static>(
    api: &Api,
    read: impl FnOnce(&dyn Fn() -> Option<Stop>) -> Result<T, SourceError> + Send + 'static,
) -> Option<T> {
    tokio::time::timeout(PATIENCE, api.reads(read)).await.ok()?.ok()
}

/// What the log tells of it.
#[derive(Default)]
struct Told {
    before: Vec<Happening>,
    tried: Vec<Happening>,
}

impl Told {
    fn of(web: &Web, alert: &Booked, sees_hub: bool) -> Self {
        let (now, zone) = (clock::now().utc_ms as i64, web.venues().zone(alert.site()));
        Self { before: before(web, alert, sees_hub, (zone, now)), tried: tried(web, alert, zone, now) }
    }
}

fn shown(
    web: &Web,
    alert: &Booked,
    visitor: &Visitor,
    form: &Form,
    (chart, told): (Option<Picture>, Option<Told>),
) -> Alert {
    let (now, venues) = (clock::now(), web.venues());
    let at = now.utc_ms as i64;
    let zone = venues.zone(alert.site());
    let may_act = may_act(visitor, &venues, alert.site());
    let may = may_act || sent_to(web, alert, form).is_some();
    let text = |name: &str| alert.annotations.get(name).cloned().unwrap_or_default();
    let kept = web.notifications.look(|notifier, _| Kept::of(notifier));
    let mut pen = Pen::new(&venues, &web.on_air, now, may);
    let line = pen.line(alert, &kept);
    let query = expression(web, alert);
    let config = venues.config(alert.site());
    let contacts = config.map(|config| config.contact.iter().map(contact).collect()).unwrap_or_default();
    let (log_is_late, chart_is_late) = (told.is_none(), chart.is_none());
    let Picture { of: chart_of, svg: chart } = chart.unwrap_or_default();
    let Told { before, tried } = told.unwrap_or_default();
    Alert {
        frame: web.live_frame(&line.what, Here::Alerts, visitor),
        description: text("description"),
        value: unit_of(&query).show(alert.value),
        until: alert.ends_at.map(|end| When::new(end, zone, at)),
        place: place(web, &venues, alert, zone),
        in_hand: who(alert, zone, at),
        act: act(form, (may, may_act), visitor),
        cause: cause(web, alert),
        beside: beside(web, alert, &mut pen),
        log_is_late,
        before,
        chart_is_late,
        chart_of,
        chart,
        tried,
        history: history(web, alert, zone, at),
        runbook: what_to_do(&text("runbook_url"), &text("runbook")),
        contacts,
        access: config.map(|config| config.access.clone()).unwrap_or_default(),
        on_call: web.notifications.look(|notifier, _| on_call(notifier, at)),
        labels: alert
            .labels
            .iter()
            .map(|label| Label { name: label.name.to_string(), value: label.value.to_string() })
            .collect(),
        line,
    }
}

fn act(form: &Form, (may, may_act): (bool, bool), visitor: &Visitor) -> Act {
    let why_not = match (may, form.first("key").is_empty()) {
        (true, _) => "",
        (false, true) => {
            "To say that you have it in hand, log in as an operator, or open the link in the message that told you."
        }
        (false, false) => "The link that you came by is of another time; this alert has fired anew since.",
    };
    Act {
        may,
        why_not: why_not.to_owned(),
        ask: has_to_ask(visitor),
        may_mute: may_act,
        by: form.first("by").to_owned(),
        since: form.first("since").to_owned(),
        key: form.first("key").to_owned(),
    }
}

/// Where it is, and what goes on there.
fn place(web: &Web, venues: &Venues, alert: &Booked, zone: Zone) -> Option<Place> {
    let site = alert.site();
    let id = site.parse().ok()?;
    let now = clock::now();
    let at = now.utc_ms as i64;
    let view = web.on_air.view(&id, now);
    let (show, next) = web.on_air.shows(&id, now);
    let reasons: Vec<&str> = view
        .iter()
        .flat_map(|view| &view.reasons)
        .filter(|(_, is)| *is)
        .map(|(why, _)| by(why.as_str()))
        .collect();
    let on_air = !reasons.is_empty();
    Some(Place {
        title: venues.title(site),
        href: format!("/sites/{site}"),
        appliance: alert.appliance().to_owned(),
        appliance_href: format!("/sites/{site}/{}", alert.appliance()),
        on_air,
        air: if on_air { "on air" } else { "off air" },
        why: if on_air { format!("by {}", reasons.join(" and ")) } else { String::new() },
        show: show.map(|show| of_show(&show, zone, at)).unwrap_or_default(),
        next: next
            .map(|next| format!("{}, {}", next.name, When::short(next.live, zone, at)))
            .unwrap_or_default(),
    })
}

/// Why a site is on air, after "by".
pub(super) fn by(reason: &str) -> &str {
    if reason == rackside_onair::Reason::Manual.as_str() { "hand" } else { reason }
}

fn of_show(show: &Show, zone: Zone, now: i64) -> String {
    let when = |ms| When::short(ms, zone, now);
    match show.phase(now) {
        Some(Phase::RigUp) => format!("{}, being rigged up, live from {}", show.name, when(show.live)),
        Some(Phase::Live) => format!("{}, live until {}", show.name, when(show.end)),
        Some(Phase::Strike) | None => format!("{}, over since {}", show.name, when(show.end)),
    }
}

/// What became of it, and what could not be delivered, the newest first.
fn history(web: &Web, alert: &Booked, zone: Zone, now: i64) -> Vec<Happening> {
    let events = alert.history.iter().map(|event| {
        let kind = if matches!(event.what, rackside_notify::What::Told { .. }) { "told" } else { "alert" };
        (event.at, kind, happened(&event.what))
    });
    let mut all: Vec<(i64, &'static str, String)> = events.collect();
    let outbox = web.notifications.office().outbox();
    let receivers: Vec<Arc<str>> = web.notifications.look(|notifier: &Notifier, _| {
        notifier.policy().receivers.iter().map(|receiver| Arc::clone(&receiver.name)).collect()
    });
    let failures = receivers.iter().flat_map(|name| outbox.failures(name));
    let of_it = failures.filter(|failure| failure.message.alerts.iter().any(|entry| entry.id == alert.id));
    all.extend(of_it.take(FAILURES).map(|failure| {
        (failure.at, "failed", format!("{} was not reached: {}", failure.receiver, failure.why))
    }));
    // Of one moment the later entry stands above.
    all.sort_by_key(|(at, ..)| *at);
    all.reverse();
    all.into_iter().map(|(at, kind, what)| Happening { when: When::new(at, zone, now), what, kind }).collect()
}

/// A link, the paragraph of a shipped rule, or the rule's own words.
pub(super) fn what_to_do(url: &str, text: &str) -> Runbook {
    let is_link = |text: &str| text.starts_with("https://") || text.starts_with("http://");
    let mut found = Runbook::default();
    if let Some(html) = runbook::paragraph(text) {
        html.clone_into(&mut found.html);
        found.first = rackside_receivers::runbook::said(text);
    } else if !is_link(text) {
        text.clone_into(&mut found.text);
    }
    if let Some(link) = [url, text].into_iter().find(|link| is_link(link)) {
        link.clone_into(&mut found.href);
    }
    found
}

fn contact(of: &crate::site::Contact) -> Contact {
    Contact {
        role: of.role.clone(),
        name: of.name.clone(),
        phone: of.phone.clone(),
        email: of.email.clone(),
        tel: of.phone.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect(),
        hours: of.hours.clone(),
    }
}

/// Who is on call, by team.
pub(in crate::web) fn on_call(notifier: &Notifier, now: i64) -> Vec<OnCall> {
    let teams = notifier.policy().teams.iter();
    teams
        .map(|team| OnCall {
            team: team.name.to_string(),
            who: match team.on_call(now).join(", ") {
                nobody if nobody.is_empty() => "nobody".to_owned(),
                who => who,
            },
            until: team.next_edge(now).map(|edge| When::short(edge, team.zone, now)).unwrap_or_default(),
        })
        .collect()
}

/// What its rule looks at, drawn.
#[derive(Default)]
struct Picture {
    /// What that is called.
    of: String,
    svg: String,
}

/// The hour around its beginning, of what its rule looks at; nothing, where that is not one series.
fn hour(web: &Web, alert: &Booked, stopped: &dyn Fn() -> Option<Stop>) -> Result<Picture, SourceError> {
    let (now, zone) = (clock::now().utc_ms as i64, web.venues().zone(alert.site()));
    let until = now.min(alert.starts_at.saturating_add(AFTER));
    let limits = Limits { stop: Some(stopped), ..Limits::default() };
    let query = expression(web, alert);
    let found = last_hour(&asked(alert, &query, until), &*web.queries, &limits);
    // What was stopped looks as if there was nothing.
    if let Some(stop) = stopped() {
        return Err(SourceError::Stopped(stop));
    }
    Ok(found.map_or_else(Picture::default, |found| drawn(alert, &query, &found, (zone, now))))
}

fn drawn(alert: &Booked, query: &str, found: &Hour, (zone, now): (Zone, i64)) -> Picture {
    if found.points.iter().all(|(_, value)| !value.is_finite()) {
        return Picture::default();
    }
    let range = found.from..found.until;
    let mut gather = Gather::new(range.clone(), SIZE.columns(), Moves::Gauge, found.step * 5 / 2);
    for (at, value) in &found.points {
        gather.sample(*at, value.is_finite().then_some(*value));
    }
    let fires = Mark {
        kind: MarkKind::Alert,
        from: alert.starts_at,
        until: alert.ends_at.unwrap_or(now),
        text: "it fires".to_owned(),
    };
    let metric = metric_of(query).unwrap_or_default();
    let called = if metric.is_empty() { alert.name().to_owned() } else { title(metric) };
    let mut picture = Chart::new(&called, found.unit, range, zone);
    picture.curve = gather.finish(now);
    picture.states = states(metric, found);
    // Between two states there is nothing that could be crossed.
    picture.threshold = found.threshold.filter(|_| picture.states.is_none());
    picture.size = if picture.states.is_some() { Size::of(&picture) } else { SIZE };
    picture.marks = vec![fires];
    Picture { of: called, svg: chart::svg(&picture) }
}

/// How the numbers of a metric that is a state are to be read, as long as they are its own: a mean of them is none.
fn states(metric: &str, found: &Hour) -> Option<States> {
    let known = rackside_proto::metric::ALL.iter().find(|known| known.name == metric)?;
    let is_own = |value: f64| !value.is_finite() || value.fract() == 0.0;
    let is_state =
        known.kind == rackside_proto::Kind::State && found.points.iter().all(|(_, value)| is_own(*value));
    is_state.then(|| States::of_metric(metric, known.help))
}

/// A message about this alert alone, for which a receiver's picture would be drawn.
fn asked(alert: &Booked, query: &str, at: i64) -> Message {
    let labels = alert.labels.iter().map(|label| (label.name.to_string(), label.value.to_string())).collect();
    let entry = rackside_notify::Entry {
        id: alert.id,
        labels,
        annotations: alert.annotations.clone(),
        value: alert.value,
        state: At::Firing,
        starts_at: alert.starts_at,
        ends_at: None,
        severity: alert.severity,
        on_air: None,
        acknowledged: None,
        flapping: false,
        query: query.to_owned(),
    };
    Message {
        id: 0,
        kind: Kind::Alerts,
        at,
        group_key: String::new(),
        group_labels: std::collections::BTreeMap::new(),
        route: String::new(),
        status: Status::Firing,
        alerts: vec![entry],
        truncated: 0,
        firing: 1,
        resolved: 0,
        cause: None,
        explains: 0,
        escalation: 0,
        sites: Vec::new(),
        site_count: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_page_that_finds_no_place_goes_without_its_chart() {
        let api = Api::with_places(1);
        assert_eq!(in_time(&api, |_| Ok("drawn".to_owned())).await.as_deref(), Some("drawn"));
        let ((begun, has_begun), (end, ended)) = (oneshot::channel(), mpsc::channel::<()>());
        let busy = Arc::clone(&api);
        let work = move |_: &dyn Fn() -> Option<Stop>| {
            begun.send(()).expect("somebody waits");
            Ok(ended.recv().is_err())
        };
        let work = tokio::spawn(async move { busy.reads(work).await });
        has_begun.await.expect("it begins");
        assert_eq!(in_time(&api, |_| Ok("drawn".to_owned())).await, None);
        drop(end);
        assert_eq!(work.await.expect("no panic"), Ok(true));
        assert_eq!(in_time(&api, |_| Ok("drawn".to_owned())).await.as_deref(), Some("drawn"));
    }

    #[tokio::test]
    async fn a_chart_that_takes_too_long_is_stopped() {
        let (api, (why, is_why)) = (Api::with_places(1), mpsc::channel());
        let late = in_time::<()>(&api, move |stopped| {
            let stop = loop {
                if let Some(stop) = stopped() {
                    break stop;
                }
                std::thread::yield_now();
            };
            why.send(stop).expect("somebody waits");
            Err(SourceError::Stopped(stop))
        });
        assert_eq!(late.await, None);
        let heard = tokio::task::spawn_blocking(move || is_why.recv_timeout(Duration::from_secs(30)));
        assert_eq!(heard.await.expect("no panic"), Ok(Stop::Canceled));
    }
}
