//! Stills of streams, for operators who see their site: which there are, as JSON, and each as a picture.
//!
//! Nobody else learns that there is one: to whom may not, nothing is there. The answer is for the eye that asked and for nobody on the way
//! (`private, no-store`), and a browser takes it for what it is or not at all (`nosniff`, of every answer).
//!
//! ```text
//! /api/sites/{site}/{appliance}/stills             {"time": "…", "stills": [{"probe": "programme", "taken_at": "…", "age_s": 25.4, …}]}
//! /sites/{site}/{appliance}/stills/{probe}         image/jpeg
//! ```

use super::Web;
use super::missing;
use super::problem::Problem;
use super::visitor::Visitor;
use crate::clock::{self, Now};
use crate::json;
use crate::moment::rfc3339;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_access::Right;
use rackside_pages::stills;
use rackside_proto::AgentName;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Told {
    time: String,
    stills: Vec<One>,
}

/// A still, without its picture.
#[derive(Serialize)]
struct One {
    probe: String,
    taken_at: String,
    age_s: f64,
    width: u16,
    height: u16,
    content_type: &'static str,
    bytes: usize,
    url: String,
}

impl Web {
    /// Whether `visitor` may see what a camera of that site sees.
    fn shows_stills(&self, visitor: &Visitor, site: &str) -> bool {
        let configs = self.on_air.configs();
        let configs = configs.borrow();
        let tags = configs.iter().find(|config| config.id.as_str() == site).map(|config| &config.tags[..]);
        visitor.may(Right::Act) && visitor.sees(site, tags.unwrap_or_default())
    }

    fn stills(&self, name: &AgentName, now: Now) -> Vec<One> {
        let ingest = self.shared.read();
        let all = ingest.stills().into_iter().flat_map(|stills| stills.of(name, now));
        let told = all.map(|(probe, kept)| One {
            probe: probe.to_owned(),
            taken_at: rfc3339(kept.taken_ms),
            age_s: kept.age(now).as_millis() as f64 / 1000.0,
            width: kept.width,
            height: kept.height,
            content_type: kept.format.content_type(),
            bytes: kept.picture.len(),
            url: stills::url(&name.to_string(), probe, kept.taken_ms),
        });
        told.collect()
    }

    /// The stills of an appliance for its page; none for who may not see them.
    pub(super) fn stills_for(&self, visitor: &Visitor, name: &AgentName, now: Now) -> stills::Stills {
        if !self.shows_stills(visitor, name.site.as_str()) {
            return stills::Stills::default();
        }
        let of = name.to_string();
        let ingest = self.shared.read();
        let all = ingest.stills().into_iter().flat_map(|stills| stills.of(name, now));
        let list = all.map(|(probe, kept)| {
            let age_ms = kept.age(now).as_millis() as u64;
            stills::Still::new(&of, probe, kept.taken_ms, age_ms, (kept.width, kept.height))
        });
        stills::Stills { list: list.collect(), ..stills::Stills::new(&of) }
    }

    /// Whether an appliance of that name was ever heard of.
    fn is_known(&self, name: &AgentName) -> bool {
        self.shared.read().fleet().find(name).is_some()
    }
}

fn name(site: &str, appliance: &str) -> Option<AgentName> {
    Some(AgentName { site: site.parse().ok()?, appliance: appliance.parse().ok()? })
}

pub(super) async fn list(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path((site, appliance)): Path<(String, String)>,
) -> Response {
    let now = clock::now();
    let name = name(&site, &appliance).filter(|name| web.shows_stills(&visitor, &site) && web.is_known(name));
    let Some(name) = name else {
        let why = format!("there is no appliance {site:?}/{appliance:?} whose stills you may see");
        return Problem::not_found(why).into_response();
    };
    let told = Told { time: rfc3339(now.utc_ms), stills: web.stills(&name, now) };
    ([(header::CONTENT_TYPE, "application/json")], json::text(&told)).into_response()
}

pub(super) async fn picture(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path((site, appliance, probe)): Path<(String, String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let found = name(&site, &appliance).filter(|_| web.shows_stills(&visitor, &site)).and_then(|name| {
        let ingest = web.shared.read();
        let kept = ingest.stills()?.newest(&name, &probe, clock::now())?;
        Some((kept.format, kept.picture.clone()))
    });
    let Some((format, picture)) = found else { return missing::not_found(headers, uri).await };
    let mut response = Response::new(Body::from(picture));
    for (header, value) in [
        (header::CONTENT_TYPE, format.content_type()),
        (header::CACHE_CONTROL, "private, no-store"),
        (header::CONTENT_DISPOSITION, "inline"),
    ] {
        response.headers_mut().insert(header, HeaderValue::from_static(value));
    }
    response
}
