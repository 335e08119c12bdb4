//! What appliances are told to do: on an appliance's page, by a form, and below `/api/`. Whoever may act may; see `rights`.
//!
//! ```text
//! POST /sites/arena-north/rack-1/commands            do=identify      303, back to the page; of lines and findings to a page of their own
//! GET  /sites/arena-north/rack-1/commands/{id}       what came of it
//! POST /api/sites/arena-north/rack-1/commands        {"do": "identify", "seconds": 30}      202
//! GET  /api/sites/arena-north/rack-1/commands        those that are remembered, the newest first, without what came with them
//! GET  /api/sites/arena-north/rack-1/commands/{id}   one, with that
//! ```

use super::accept::wants_page;
use super::api::Form;
use super::appliance::about::when;
use super::appliance::nobody;
use super::page::whole;
use super::problem::Problem;
use super::rest::tag;
use super::visitor::Visitor;
use super::{Web, body, missing};
use crate::clock::{self, Now};
use crate::command::{self, Given, SendError, State as Stands, Told, Wanted};
use crate::moment::rfc3339;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_access::Right;
use rackside_onair::Zone;
use rackside_pages::Here;
use rackside_pages::commands::{self as shown, Commands, Outcome};
use rackside_proto::{AgentName, Capabilities, Finding, Found, LogLine};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;

/// So many are on the appliance's page.
const ON_PAGE: usize = 5;
/// So long a form waits for what came of it, so that most people see it at once.
const PATIENCE: Duration = Duration::from_secs(3);
/// Probes take longer.
const PROBES: Duration = Duration::from_secs(20);
/// For the button on the page, in seconds.
const MUTE: u32 = 15 * 60;

impl Web {
    /// An appliance that there is, and that whoever asks sees.
    fn told_to(&self, visitor: &Visitor, site: &str, appliance: &str) -> Option<AgentName> {
        let agent = self.name_of(visitor, site, appliance)?;
        self.shared.read().fleet().find(&agent).is_some().then_some(agent)
    }

    /// A command that it was given, by the text of its number.
    fn given(&self, agent: &AgentName, id: &str, now: Now) -> Option<Given> {
        self.commands.look(id.parse().ok()?, now).filter(|given| given.agent == *agent)
    }

    /// Whether it is up, and what it does when it is told to.
    fn does(&self, agent: &AgentName) -> (bool, Capabilities) {
        let ingest = self.shared.read();
        let Some(found) = ingest.fleet().find(agent) else { return (false, Capabilities::default()) };
        let about = found.shown().and_then(|run| run.about.as_ref());
        (found.state.is_up(), about.map(|about| about.capabilities).unwrap_or_default())
    }

    /// Where a form goes that has its LEDs flash, if they do now.
    pub(super) fn identify_of(&self, agent: &AgentName) -> Option<String> {
        let (is_up, does) = self.does(agent);
        (is_up && does.has(Capabilities::IDENTIFY)).then(|| path_of(agent))
    }

    /// The part of an appliance's page.
    pub(super) fn commands_of(&self, agent: &AgentName, visitor: &Visitor, now: Now) -> Commands {
        if !visitor.may(Right::Act) {
            return Commands::default();
        }
        let (is_up, does) = self.does(agent);
        let [identify, probe, log, mute] =
            [Capabilities::IDENTIFY, Capabilities::PROBE, Capabilities::LOG, Capabilities::MUTE]
                .map(|kind| does.has(kind));
        let does_any = identify || probe || log || mute;
        let none = if !is_up {
            "It cannot be reached now, and commands do not wait for it."
        } else if !does_any {
            "It does nothing any more that the hub says: its venue does not allow it."
        } else {
            ""
        };
        let zone = self.venues().zone(agent.site.as_str());
        let given = self.commands.of(agent, now).into_iter().take(ON_PAGE);
        let given: Vec<shown::Given> = given.map(|given| line(&given, zone, now)).collect();
        Commands {
            // Nothing is said where nothing was ever possible: a hub whose boxes have not joined.
            may: does_any || !given.is_empty(),
            path: path_of(agent),
            csrf: visitor.csrf.clone(),
            none: none.to_owned(),
            identify,
            probe,
            log,
            mute,
            given,
        }
    }
}

/// Where its forms go.
fn path_of(agent: &AgentName) -> String {
    format!("/sites/{agent}/commands")
}

/// A command in a line.
fn line(given: &Given, zone: Zone, now: Now) -> shown::Given {
    let (word, state) = match given.state {
        Stands::Waiting => ("waiting for its answer", "unknown"),
        Stands::Done => ("done", "well"),
        Stands::Refused(_) => ("refused", "warning"),
        Stands::Failed(_) => ("not possible", "warning"),
        Stands::NoAnswer => ("no answer", "unknown"),
    };
    shown::Given {
        what: given.wanted.to_string(),
        by: given.by.clone(),
        at: rfc3339(given.at_ms),
        when: when(given.at_ms, zone, now),
        word: word.to_owned(),
        state,
        why: command::why(&given.state).unwrap_or_default(),
        url: format!("/sites/{}/commands/{}", given.agent, given.id),
    }
}

/// The page of one.
fn outcome(web: &Web, visitor: &Visitor, given: &Given, now: Now) -> Outcome {
    let (site, venues) = (given.agent.site.as_str(), web.venues());
    let (title, zone) = (venues.title(site), venues.zone(site));
    let answered = given.answered_ms.unwrap_or(given.at_ms);
    let of_log = |line: LogLine<'_>| {
        let at = answered.saturating_sub(line.ago_ms);
        let (level, text) = (command::level(line.level), line.text.to_owned());
        shown::Line { at: rfc3339(at), when: when(at, zone, now), level, text }
    };
    let of_probe = |found: Found<'_>| {
        let (word, state) = match found.state {
            Finding::Up => ("up", "well"),
            Finding::Down => ("down", "down"),
            Finding::Unknown => ("unknown", "unknown"),
            Finding::Pending => ("not ended", "unknown"),
        };
        let took =
            if found.state == Finding::Pending { String::new() } else { format!("{} ms", found.took_ms) };
        shown::Found { probe: found.probe.to_owned(), word, state, took, why: found.why.to_owned() }
    };
    let (lines, probes) = match &given.told {
        Told::Nothing => (Vec::new(), Vec::new()),
        Told::Log(bytes) => (LogLine::all(bytes).map(of_log).collect(), Vec::new()),
        Told::Probes(bytes) => (Vec::new(), Found::all(bytes).map(of_probe).collect()),
    };
    Outcome {
        frame: web.frame(
            &format!("{} {}: {}", title, given.agent.appliance, given.wanted),
            Here::Fleet,
            visitor,
        ),
        site: site.to_owned(),
        site_title: title,
        appliance: given.agent.appliance.to_string(),
        given: line(given, zone, now),
        is_waiting: given.state == Stands::Waiting,
        is_silent: lines.is_empty() && matches!(given.told, Told::Log(_)),
        lines,
        probes,
    }
}

/// Which code says why it was not sent.
const fn code(error: &SendError) -> StatusCode {
    match error {
        SendError::Unknown => StatusCode::NOT_FOUND,
        SendError::Away | SendError::NotTaken | SendError::Busy => StatusCode::CONFLICT,
        SendError::Bounds(_) => StatusCode::BAD_REQUEST,
        SendError::NoAuthority | SendError::Blocked => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What a form wants.
fn wanted(form: &Form) -> Option<Wanted> {
    Some(match form.first("do") {
        "identify" => Wanted::Identify { seconds: 30 },
        "probe" => {
            Wanted::Probe { probe: Some(form.first("probe").to_owned()).filter(|name| !name.is_empty()) }
        }
        "log" => Wanted::Log {},
        "mute" => Wanted::Mute { seconds: MUTE },
        _ => return None,
    })
}

pub(super) async fn form(
    State(web): State<Arc<Web>>,
    Path((site, appliance)): Path<(String, String)>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let Some(agent) = web.told_to(&visitor, &site, &appliance) else {
        return missing::not_found(headers, uri).await;
    };
    let refuse = |code, what: &str| missing::say(&headers, &uri, code, "Not done", what);
    let Some(wanted) = Form::read(request).await.ok().as_ref().and_then(wanted) else {
        return refuse(StatusCode::BAD_REQUEST, Form::BROKEN);
    };
    let (is_told, patience) = match wanted {
        Wanted::Probe { .. } => (true, PROBES),
        Wanted::Log {} => (true, PATIENCE),
        Wanted::Identify { .. } | Wanted::Mute { .. } => (false, PATIENCE),
    };
    let id = match web.commands.send(&agent, wanted, visitor.shown(), clock::now()) {
        Ok(id) => id,
        Err(error) => return refuse(code(&error), &format!("It was not sent: {error}.")),
    };
    let given = web.commands.answered(id, patience).await;
    if !wants_page(&headers) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let is_well = given.is_some_and(|given| matches!(given.state, Stands::Done | Stands::Waiting));
    let place = if is_told || !is_well {
        format!("/sites/{agent}/commands/{id}")
    } else {
        format!("/sites/{agent}#commands")
    };
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

pub(super) async fn page(
    State(web): State<Arc<Web>>,
    Path((site, appliance, id)): Path<(String, String, String)>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let now = clock::now();
    let given = web.told_to(&visitor, &site, &appliance).and_then(|agent| web.given(&agent, &id, now));
    match given {
        Some(given) => whole(headers, move || outcome(&web, &visitor, &given, now).html()).await,
        None => missing::not_found(headers, uri).await,
    }
}

pub(super) async fn give(
    State(web): State<Arc<Web>>,
    Path((site, appliance)): Path<(String, String)>,
    visitor: Visitor,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let agent = web.told_to(&visitor, &site, &appliance).ok_or_else(|| nobody(&site, &appliance))?;
    let (wanted, now) = (body::json(request).await?, clock::now());
    let sent = web.commands.send(&agent, wanted, visitor.shown(), now);
    let id = sent.map_err(|error| Problem::new(code(&error), error.to_string()))?;
    let given = web.commands.look(id, now).ok_or_else(|| nobody(&site, &appliance))?;
    let place = format!("/api/sites/{agent}/commands/{id}");
    let head = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::LOCATION, place)];
    Ok((StatusCode::ACCEPTED, head, command::json(&given).to_string()).into_response())
}

pub(super) async fn list(
    State(web): State<Arc<Web>>,
    Path((site, appliance)): Path<(String, String)>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let agent = web.told_to(&visitor, &site, &appliance).ok_or_else(|| nobody(&site, &appliance))?;
    let bare = |given: Given| command::json(&Given { told: Told::Nothing, ..given });
    let commands: Vec<Json> = web.commands.of(&agent, clock::now()).into_iter().map(bare).collect();
    let body = json!({ "commands": commands }).to_string();
    Ok(tag::json(&headers, body.clone(), &body))
}

pub(super) async fn look(
    State(web): State<Arc<Web>>,
    Path((site, appliance, id)): Path<(String, String, String)>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let agent = web.told_to(&visitor, &site, &appliance).ok_or_else(|| nobody(&site, &appliance))?;
    let given = web.given(&agent, &id, clock::now());
    let given = given.ok_or_else(|| Problem::not_found(format!("there is no command {id:?} for {agent}")))?;
    let body = command::json(&given).to_string();
    Ok(tag::json(&headers, body.clone(), &body))
}
