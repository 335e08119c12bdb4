//! A box that is being set up: the list on its page, what people at the hub say about it, and the same for programs. What counts is `identity::commissioning`.
//!
//! ```text
//! POST /sites/hall/rack-1                               do=seen | in_service                                    303, back to the page
//! GET  /api/sites/hall/rack-1/commissioning             {"commissioning": {"since": …, "held_until": …, "items": [{"kind": "led", "name": "", "seen_at": null}, …]}}
//! POST /api/sites/hall/rack-1/commissioning/led_seen    204
//! POST /api/sites/hall/rack-1/commissioning/in_service  204
//! ```

use super::nobody;
use crate::clock;
use crate::identity::{Item, Kind, Progress};
use crate::moment::{rfc3339, span};
use crate::web::accept::answer;
use crate::web::api::Form;
use crate::web::identities::Refused;
use crate::web::problem::Problem;
use crate::web::visitor::Visitor;
use crate::web::{Web, missing};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_access::Right;
use rackside_onair::Zone;
use rackside_pages::commissioning as shown;
use rackside_proto::AgentName;
use serde_json::json;
use std::sync::Arc;

/// What somebody says of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Its LED was seen.
    LedSeen,
    /// It is in service, whatever was not seen.
    InService,
}

fn item(item: &Item, zone: Zone) -> shown::Item {
    let at = item.at.map(|at| zone.local(at).format("%a %H:%M").to_string());
    let (what, says) = match (item.kind, &at) {
        (Kind::Heard, _) => ("Heard".to_owned(), "switch it on, and give it its code".to_owned()),
        (Kind::Led, None) => {
            let what = "somebody at the rack looks at it: a wink every 4 s, or amber flashes while the link is not well";
            ("LED".to_owned(), what.to_owned())
        }
        (Kind::Led, Some(at)) => ("LED".to_owned(), format!("seen by {}, {at}", item.name)),
        (Kind::Tally, None) => {
            (format!("Tally {}", item.name), "have it go on and off once, by its contact".to_owned())
        }
        (Kind::Tally, Some(at)) => (format!("Tally {}", item.name), format!("went on and off, {at}")),
        (Kind::Probe, None) => (format!("Probe {}", item.name), "was not green yet".to_owned()),
        (Kind::Probe, Some(at)) => (format!("Probe {}", item.name), format!("was green, {at}")),
    };
    shown::Item { is_seen: at.is_some(), what, says }
}

fn says(progress: &Progress, zone: Zone, now: i64) -> String {
    let since = span(now.saturating_sub(progress.since).max(0).unsigned_abs());
    match progress.held_until {
        Some(until) => {
            let until = zone.local(until).format("%a %-d %b %H:%M");
            format!(
                "For {since}. Nobody is paged for it until all this was seen, somebody says that it is in service, or {until} has come."
            )
        }
        None => format!("For {since}. It pages like any other; this is what was not seen of it yet."),
    }
}

impl Web {
    /// The list for its page; nothing, if it is not being set up.
    pub(super) fn set_up(
        &self,
        visitor: &Visitor,
        name: &AgentName,
        zone: Zone,
    ) -> Option<shown::Commissioning> {
        let now = clock::now().utc_ms as i64;
        let progress = self.identities.as_ref()?.progress(name, &self.shared, now)?;
        let waits = |item: &Item| item.kind == Kind::Led && item.at.is_none();
        let led_waits = progress.items.iter().any(waits);
        let identify = led_waits.then(|| self.identify_of(name)).flatten().unwrap_or_default();
        Some(shown::Commissioning {
            csrf: visitor.csrf.clone(),
            action: format!("/sites/{name}"),
            may_act: visitor.may(Right::Act),
            says: says(&progress, zone, now),
            items: progress.items.iter().map(|one| item(one, zone)).collect(),
            led_waits,
            identify,
        })
    }

    /// Takes somebody's word for a box. Says whether it was news.
    async fn take_word(&self, visitor: &Visitor, name: AgentName, word: Word) -> Result<bool, Refused> {
        let (identities, who) = (self.identities()?, visitor.shown().to_owned());
        let is_news = match word {
            Word::LedSeen => identities.led_seen(name.clone(), who.clone()).await?,
            Word::InService => identities.in_service(name.clone()).await?,
        };
        if is_news {
            let (subject, text) = match word {
                Word::LedSeen => ("agent/led", format!("its LED was seen, says {who}")),
                Word::InService => ("agent/service", format!("{who} says so")),
            };
            log::info!("{name}: {text}{}", if word == Word::InService { ": it is in service" } else { "" });
            self.shared.note_of(&name, subject, &text, clock::now());
        }
        Ok(is_news)
    }
}

pub(in crate::web) async fn change(
    State(web): State<Arc<Web>>,
    Path((site, appliance)): Path<(String, String)>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let Some(name) = web.name_of(&visitor, &site, &appliance) else {
        return missing::not_found(headers, uri).await;
    };
    let form = Form::read(request).await.unwrap_or_default();
    let word = match form.first("do") {
        "seen" => Word::LedSeen,
        "in_service" => Word::InService,
        _ => return refused(&headers, &uri, "Nothing was asked for"),
    };
    match web.take_word(&visitor, name, word).await {
        Ok(_) => {
            let place = format!("/sites/{site}/{appliance}");
            (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
        }
        Err(why) => refused(&headers, &uri, &why.to_string()),
    }
}

fn refused(headers: &HeaderMap, uri: &Uri, why: &str) -> Response {
    missing::say(headers, uri, StatusCode::UNPROCESSABLE_ENTITY, "Not possible", why)
}

pub(in crate::web) async fn look(
    State(web): State<Arc<Web>>,
    Path((site, appliance)): Path<(String, String)>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = web.name_of(&visitor, &site, &appliance).ok_or_else(|| nobody(&site, &appliance))?;
    let at = |ms: i64| rfc3339(ms.max(0).unsigned_abs());
    let progress = web.identities()?.progress(&name, &web.shared, clock::now().utc_ms as i64);
    let told = progress.map(|progress| {
        let items = progress
            .items
            .iter()
            .map(|item| json!({ "kind": item.kind.as_str(), "name": item.name, "seen_at": item.at.map(at) }));
        json!({
            "since": at(progress.since),
            "held_until": progress.held_until.map(at),
            "items": items.collect::<Vec<_>>(),
        })
    });
    Ok(answer(&headers, "application/json", json!({ "commissioning": told }).to_string()))
}

async fn say(
    web: Arc<Web>,
    visitor: Visitor,
    (site, appliance): (String, String),
    word: Word,
) -> Result<StatusCode, Problem> {
    let name = web.name_of(&visitor, &site, &appliance).ok_or_else(|| nobody(&site, &appliance))?;
    let is_set_up = web.identities()?.being_set_up().iter().any(|(one, _)| *one == name);
    if !is_set_up {
        return Err(Problem::not_found(format!("{name} is not being set up")));
    }
    web.take_word(&visitor, name, word).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::web) async fn led_seen(
    State(web): State<Arc<Web>>,
    Path(name): Path<(String, String)>,
    visitor: Visitor,
) -> Result<StatusCode, Problem> {
    say(web, visitor, name, Word::LedSeen).await
}

pub(in crate::web) async fn in_service(
    State(web): State<Arc<Web>>,
    Path(name): Path<(String, String)>,
    visitor: Visitor,
) -> Result<StatusCode, Problem> {
    say(web, visitor, name, Word::InService).await
}
