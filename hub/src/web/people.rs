//! `/api/users` and `/api/tokens`: who may come in, for programs that manage others.
//!
//! Invariant: neither a password nor its hash is ever told; a token is, once, in the answer that made it.
//!
//! ```text
//! GET /api/users             {"users": [{"name": "desk", "role": "operator", "sites": ["hall"], "tags": [], "made_at": "…", "issuer": null, "subject": null}, …]}
//! POST /api/users            {"name": "desk", "password": "…", "role": "operator", "sites": ["hall"]}       201
//! PUT /api/users/desk        {"role": "viewer"}, {"password": "…"} or both; 204. Sites and tags come with the role: without them it is all sites
//! DELETE /api/users/desk     204
//! POST /api/tokens           {"name": "grafana", "scopes": ["read"], "days": 90, "owner": "desk"}           201 {"id": 3, "name": "grafana", "token": "rackside_…"}
//! DELETE /api/tokens/grafana 204
//! ```

use super::Web;
use super::accept::answer;
use super::body;
use super::door::Refused;
use super::problem::Problem;
use super::visitor::Visitor;
use crate::clock;
use crate::moment::rfc3339;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rackside_access::{
    ChangeError, NewToken, NewUser, Reach, Right, Role, Scopes, Store, Token, User, check_password,
};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::sync::Arc;

const DAY: i64 = 86_400_000;
/// Longest life of a token that has an end.
const MOST_DAYS: u32 = 36_500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    password: String,
    role: String,
    #[serde(default)]
    sites: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    role: Option<String>,
    password: Option<String>,
    #[serde(default)]
    sites: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenWanted {
    name: String,
    scopes: Vec<String>,
    owner: Option<String>,
    /// A year, unless it is said; for ever with null.
    #[serde(default = "a_year")]
    days: Option<u32>,
    #[serde(default)]
    sites: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's own type")]
fn a_year() -> Option<u32> {
    Some(365)
}

/// All sites, unless some are named.
pub(super) fn reach(
    sites: impl IntoIterator<Item = String>,
    tags: impl IntoIterator<Item = String>,
) -> Reach {
    let (sites, tags): (std::collections::BTreeSet<_>, std::collections::BTreeSet<_>) =
        (sites.into_iter().collect(), tags.into_iter().collect());
    if sites.is_empty() && tags.is_empty() { Reach::All } else { Reach::Some { sites, tags } }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::Change(ChangeError::Unknown(_)) => StatusCode::NOT_FOUND,
            Refused::Change(
                ChangeError::Taken(_)
                | ChangeError::Provided(_)
                | ChangeError::LastAdmin
                | ChangeError::Many(..),
            ) => StatusCode::CONFLICT,
            Refused::Change(ChangeError::Store(_)) | Refused::Unwell(_) | Refused::Busy => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Refused::Change(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, refused.to_string())
    }
}

fn words(of: &Reach) -> (Json, Json) {
    match of {
        Reach::All => (Json::Null, Json::Null),
        Reach::Some { sites, tags } => (json!(sites), json!(tags)),
    }
}

fn of_user(user: &User) -> Json {
    let (sites, tags) = words(&user.reach);
    let made_at = rfc3339(user.made_at.max(0) as u64);
    let (issuer, subject) = user.identity.as_ref().map(|of| (&of.issuer, &of.subject)).unzip();
    json!({
        "name": user.name,
        "role": user.role.as_str(),
        "sites": sites,
        "tags": tags,
        "made_at": made_at,
        "issuer": issuer,
        "subject": subject,
    })
}

fn of_token(token: &Token) -> Json {
    let (sites, tags) = words(&token.reach);
    let scopes: Vec<&str> =
        Right::ALL.into_iter().filter(|right| token.scopes.has(*right)).map(Right::as_str).collect();
    let at = |ms: i64| rfc3339(ms.max(0) as u64);
    json!({
        "id": token.id,
        "name": token.name,
        "scopes": scopes,
        "owner": token.owner,
        "sites": sites,
        "tags": tags,
        "made_at": at(token.made_at),
        "expires_at": token.expires_at.map(at),
        "used_on": token.used_day.map(|day| at(day * DAY)[..10].to_owned()),
    })
}

/// What stands in the file, as JSON.
fn listed(
    web: &Web,
    headers: &HeaderMap,
    list: impl FnOnce(&Store) -> Result<Json, rackside_access::StoreError>,
) -> Response {
    let listed =
        web.door.access().and_then(|access| access.look(list).map_err(|error| Arc::from(error.to_string())));
    match listed {
        Ok(json) => answer(headers, "application/json", json.to_string()),
        Err(why) => Problem::from(Refused::Unwell(why)).into_response(),
    }
}

pub(super) async fn users(State(web): State<Arc<Web>>, headers: HeaderMap) -> Response {
    listed(&web, &headers, |store| {
        let users: Vec<Json> = store.users()?.iter().map(of_user).collect();
        Ok(json!({ "users": users }))
    })
}

pub(super) async fn tokens(State(web): State<Arc<Web>>, headers: HeaderMap) -> Response {
    listed(&web, &headers, |store| {
        let tokens: Vec<Json> = store.tokens()?.iter().map(of_token).collect();
        Ok(json!({ "tokens": tokens }))
    })
}

fn role(text: &str) -> Result<Role, Problem> {
    text.parse().map_err(|error: rackside_access::UnknownRole| Problem::bad_request(error.to_string()))
}

pub(super) async fn add(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let wanted: Wanted = body::secret_json(request).await?;
    let role = role(&wanted.role)?;
    let (who, now) = (visitor.shown().to_owned(), clock::now().utc_ms as i64);
    let name = wanted.name.clone();
    web.door
        .change(move |store| {
            let reach = reach(wanted.sites, wanted.tags);
            let new = NewUser { name: &wanted.name, password: &wanted.password, role, reach };
            store.add_user(&new, &who, now)
        })
        .await?;
    let place = [(header::CONTENT_TYPE, "application/json")];
    Ok((StatusCode::CREATED, place, json!({ "name": name }).to_string()).into_response())
}

pub(super) async fn change(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    visitor: Visitor,
    request: Request<Body>,
) -> Result<StatusCode, Problem> {
    let changed: Changed = body::secret_json(request).await?;
    let role = changed.role.as_deref().map(role).transpose()?;
    if role.is_none() && !(changed.sites.is_empty() && changed.tags.is_empty()) {
        return Err(Problem::bad_request("sites and tags come with the role: name it as well"));
    }
    if role.is_none() && changed.password.is_none() {
        return Err(Problem::bad_request("nothing is to be changed: name a role or a password"));
    }
    let (who, now) = (visitor.shown().to_owned(), clock::now().utc_ms as i64);
    web.door
        .change(move |store| {
            // Both or neither.
            if let Some(password) = &changed.password {
                check_password(&name, password)?;
            }
            if let Some(role) = role {
                store.change_user(&name, role, &reach(changed.sites, changed.tags), &who, now)?;
            }
            match &changed.password {
                Some(password) => store.set_password(&name, password, &who, now),
                None => Ok(()),
            }
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    visitor: Visitor,
) -> Result<StatusCode, Problem> {
    let (who, now) = (visitor.shown().to_owned(), clock::now().utc_ms as i64);
    web.door.change(move |store| store.remove_user(&name, &who, now)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn make_token(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let wanted: TokenWanted = body::secret_json(request).await?;
    let scopes: Result<Scopes, _> = wanted.scopes.iter().map(|word| word.parse::<Right>()).collect();
    let scopes = scopes.map_err(|error| Problem::bad_request(error.to_string()))?;
    if wanted.days.is_some_and(|days| days == 0 || days > MOST_DAYS) {
        return Err(Problem::bad_request(format!("`days` is 1 to {MOST_DAYS}, or null for ever")));
    }
    let (who, now) = (visitor.shown().to_owned(), clock::now().utc_ms as i64);
    let name = wanted.name.clone();
    let (id, secret) = web
        .door
        .change(move |store| {
            let expires_at = wanted.days.map(|days| now + i64::from(days) * DAY);
            let (owner, reach) = (wanted.owner.as_deref(), reach(wanted.sites, wanted.tags));
            let new = NewToken { name: &wanted.name, owner, scopes, reach, expires_at };
            store.make_token(&new, &who, now)
        })
        .await?;
    let place = [(header::CONTENT_TYPE, "application/json")];
    let made = json!({ "id": id, "name": name, "token": secret.shown() });
    Ok((StatusCode::CREATED, place, made.to_string()).into_response())
}

pub(super) async fn revoke(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    visitor: Visitor,
) -> Result<StatusCode, Problem> {
    let (who, now) = (visitor.shown().to_owned(), clock::now().utc_ms as i64);
    web.door.change(move |store| store.revoke_token(&name, &who, now)).await?;
    Ok(StatusCode::NO_CONTENT)
}
