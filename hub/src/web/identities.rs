//! `/api/identities`: codes for boxes and who has joined, for programs; and what the page of boxes does in the same way.
//!
//! Invariant: a code is told once, in the answer that made it, and stands in no address and no log.
//!
//! ```text
//! GET /api/identities                             {"identities": [{"name": "hall/rack-1", "site": "hall", "appliance": "rack-1", "state": "joined", …}, …]}
//! POST /api/identities                            {"site": "hall", "appliance": "rack-1", "replaces": false}    201 {"name": …, "code": "000G-…", …}
//! POST /api/identities/hall/rack-1/revoke         204
//! POST /api/identities/hall/rack-1/retire         204
//! ```

use super::Web;
use super::accept::answer;
use super::body;
use super::problem::Problem;
use super::visitor::Visitor;
use crate::identity::{DeskError, Handout, Identities, Listed};
use crate::moment::rfc3339;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rackside_identity::{End, StoreError};
use rackside_proto::AgentName;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// What is said where nobody can be asked who has joined.
pub(super) const UNREADABLE: &str = "identity.db of this hub cannot be used; its log says why";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    site: String,
    appliance: String,
    #[serde(default)]
    replaces: bool,
}

/// Why something about an identity was not done.
#[derive(Debug)]
pub(super) enum Refused {
    /// There can be no such name; or whoever asks sees none of its site.
    Name(String),
    /// No code could be made.
    Desk(DeskError),
    /// The name has nothing that could end.
    Nothing(AgentName, End),
    /// `identity.db` cannot be used.
    Unreadable,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(why) => f.write_str(why),
            Self::Desk(error) => error.fmt(f),
            Self::Nothing(name, End::Retired) => {
                write!(f, "{name} is no appliance that this hub knows, or is retired already")
            }
            Self::Nothing(name, _) => write!(f, "{name} has no certificate and no code"),
            Self::Unreadable => f.write_str(UNREADABLE),
        }
    }
}

impl From<DeskError> for Refused {
    fn from(error: DeskError) -> Self {
        Self::Desk(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        log::error!("identities: {error}");
        Self::Unreadable
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::Name(_) => StatusCode::BAD_REQUEST,
            Refused::Nothing(..) => StatusCode::NOT_FOUND,
            Refused::Desk(DeskError::HasBox | DeskError::Many | DeskError::Unready(_)) => {
                StatusCode::CONFLICT
            }
            Refused::Desk(DeskError::Store(_)) | Refused::Unreadable => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refused.to_string())
    }
}

impl Web {
    /// Who has joined; or that nobody can be asked.
    pub(super) fn identities(&self) -> Result<&Identities, Refused> {
        self.identities.as_ref().ok_or(Refused::Unreadable)
    }

    /// The name of an appliance at a site that `visitor` sees.
    pub(super) fn box_name(
        &self,
        visitor: &Visitor,
        site: &str,
        appliance: &str,
    ) -> Result<AgentName, Refused> {
        let name = AgentName::new(site, appliance).map_err(|_| {
            Refused::Name(format!(
                "{:.40?} cannot be a name: a site and an appliance have 1 to 32 of a-z, 0-9 and hyphens each, as in hall/rack-1",
                format!("{site}/{appliance}")
            ))
        })?;
        if !self.venues().sees(visitor, site) {
            return Err(Refused::Name(format!("there is no site {site} that {} sees", visitor.shown())));
        }
        Ok(name)
    }

    /// Writes down who did what about a name.
    pub(super) async fn note(&self, visitor: &Visitor, what: String) {
        let (who, now) = (visitor.shown().to_owned(), crate::clock::now().utc_ms as i64);
        let noted = self.door.change(move |store| store.note(&who, &what, now)).await;
        if let Err(error) = noted {
            log::warn!("users: what {} did is not written down: {error}", visitor.shown());
        }
    }

    /// Makes a code for a name.
    pub(super) async fn hand_out(
        &self,
        visitor: &Visitor,
        name: AgentName,
        replaces: bool,
    ) -> Result<Handout, Refused> {
        let handout = self.identities()?.hand_out(name, replaces).await?;
        self.note(visitor, format!("made a join code for {}", handout.name)).await;
        Ok(handout)
    }

    /// Revokes or retires a name.
    pub(super) async fn end_identity(
        &self,
        visitor: &Visitor,
        name: AgentName,
        end: End,
    ) -> Result<(), Refused> {
        if self.identities()?.end(name.clone(), end).await?.is_nothing() {
            return Err(Refused::Nothing(name, end));
        }
        let verb = if end == End::Retired { "retired" } else { "revoked" };
        self.note(visitor, format!("{verb} {name}")).await;
        Ok(())
    }
}

fn at(ms: i64) -> String {
    rfc3339(ms.max(0).unsigned_abs())
}

fn of_listed(one: &Listed) -> Json {
    let (joined, state) = (one.joined.as_ref(), one.state());
    json!({
        "name": one.name.to_string(),
        "site": one.name.site.as_str(),
        "appliance": one.name.appliance.as_str(),
        "state": state,
        "issued_at": joined.map(|joined| at(joined.since)),
        "until": joined.map(|joined| at(joined.until)),
        "retired_at": one.retired_at.map(at),
        "seen_at": one.seen_at.map(at),
        "code_until": one.waiting.map(|(_, until)| at(until)),
        "old_box_at": one.old_came_at.map(at),
        "used_code_tries": one.tries,
    })
}

pub(super) async fn list(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let listed = web.identities()?.listed().await.map_err(Refused::from)?;
    let venues = web.venues();
    let seen = listed.iter().filter(|one| venues.sees(&visitor, one.name.site.as_str()));
    let identities: Vec<Json> = seen.map(of_listed).collect();
    Ok(answer(&headers, "application/json", json!({ "identities": identities }).to_string()))
}

pub(super) async fn make(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let wanted: Wanted = body::json(request).await?;
    let name = web.box_name(&visitor, &wanted.site, &wanted.appliance)?;
    let handout = web.hand_out(&visitor, name, wanted.replaces).await?;
    let told = json!({
        "name": handout.name.to_string(),
        "code": handout.code.text().as_str(),
        "until": at(handout.until),
        "url": handout.url,
        "command": handout.line(),
        "file": handout.card(),
        "replaces": handout.has_box,
    });
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((StatusCode::CREATED, kind, told.to_string()).into_response())
}

async fn end(
    web: Arc<Web>,
    visitor: Visitor,
    (site, appliance): (String, String),
    end: End,
) -> Result<StatusCode, Problem> {
    let name = web.box_name(&visitor, &site, &appliance)?;
    web.end_identity(&visitor, name, end).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn revoke(
    State(web): State<Arc<Web>>,
    Path(name): Path<(String, String)>,
    visitor: Visitor,
) -> Result<StatusCode, Problem> {
    end(web, visitor, name, End::Revoked).await
}

pub(super) async fn retire(
    State(web): State<Arc<Web>>,
    Path(name): Path<(String, String)>,
    visitor: Visitor,
) -> Result<StatusCode, Problem> {
    end(web, visitor, name, End::Retired).await
}
