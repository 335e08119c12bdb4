//! The one place that decides: who comes in, what they may, and whether a change is theirs.
//!
//! ```text
//! who            no right needed    a right that is lacked            a change
//! nobody         let in             to /login, or 401 for programs    (let in: /login, /setup)
//! token          let in             403, says which                   as it is
//! session        let in             403, says which                   only with its `csrf`, and from our own page
//! this machine   let in             –                                 only from our own page
//! link           –                  its alert, and nothing else       only from our own page, at an address or a known name
//! ```
//!
//! This machine and links come in at an address, `localhost` or a known name alone; at any other, this machine is nobody.

use super::Web;
use super::accept::wants_page;
use super::api::Form;
use super::change::{Peer, is_known, is_ours, is_same_origin};
use super::door::Came;
use super::missing;
use super::rights::{self, Need};
use super::visitor::Visitor;
use crate::clock;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rackside_access::{How, Right, is_same};
use rackside_notify::AlertId;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// A form that takes longer to come is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stands before every handler.
pub(super) async fn admit(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match enter(&web, &parts, body).await {
        Ok((visitor, body)) => {
            let mut request = Request::from_parts(parts, body);
            request.extensions_mut().insert(visitor);
            next.run(request).await
        }
        Err(refusal) => *refusal,
    }
}

async fn enter(web: &Arc<Web>, parts: &Parts, body: Body) -> Result<(Visitor, Body), Box<Response>> {
    let (headers, path) = (&parts.headers, parts.uri.path());
    let now = clock::now().utc_ms as i64;
    let need = rights::needed(&parts.method, path);
    let external = web.notifications.external_url();
    let peer = *parts.extensions.get::<Peer>().expect("the server puts it into every request");
    let came = match web.door.who(headers, peer, &external, now) {
        Ok(came) => came,
        Err(_) if need == Need::Nothing => Came::Nobody,
        Err(why) => {
            return Err(say(parts, StatusCode::SERVICE_UNAVAILABLE, "Nobody can be let in", &why).into());
        }
    };
    let is_good = !matches!(came, Came::BadToken);
    let visitor = match came {
        Came::In(visitor, used) => {
            note(web, used, now);
            visitor
        }
        Came::BadToken | Came::Nobody => rackside_access::Visitor::nobody().into(),
    };
    if need != Need::Nothing {
        ration(web, parts, peer, &visitor, now)?;
        if !is_good {
            return Err(bad_token().into());
        }
    }
    let visitor = at_a_known_name(parts, need, visitor, &external)?;
    // Who is refused whatever a form says is refused before it is read.
    let visitor = match need {
        Need::RightOrLink(_) => visitor,
        _ => allowed(web, parts, &Form::of_address(&parts.uri), need, visitor)?,
    };
    let (form, body) = form_of(parts, body, &visitor, need).await?;
    let visitor = allowed(web, parts, &form, need, visitor)?;
    if rights::changes(&parts.method, path) {
        check_change(headers, path, &form, &visitor, &external)
            .map_err(|why| say(parts, StatusCode::FORBIDDEN, "Not allowed", &why))?;
    }
    Ok((visitor, body))
}

/// Writes that a session or a token was used, while its request goes on.
fn note(web: &Arc<Web>, used: Option<rackside_access::Pass>, now: i64) {
    let (Some(used), Ok(access)) = (used, web.door.access()) else { return };
    let access = Arc::clone(access);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = access.note(used, now) {
            log::warn!("users: when a session or token was used cannot be written: {error}");
        }
    });
}

/// Whoever is let in for where they sit is asked by which name they came: a name that was pointed at this machine makes a browser on it read the
/// hub for somebody else's page. What is for everybody stays so, and tells them no more than it tells everybody.
fn at_a_known_name(
    parts: &Parts,
    need: Need,
    visitor: Visitor,
    external: &str,
) -> Result<Visitor, Box<Response>> {
    if visitor.how != How::Open {
        return Ok(visitor);
    }
    match is_known(&parts.headers, external) {
        Ok(()) => Ok(visitor),
        Err(_) if need == Need::Nothing => Ok(rackside_access::Visitor::nobody().into()),
        Err(why) => Err(say(parts, StatusCode::FORBIDDEN, "Not allowed", &why).into()),
    }
}

/// Takes a request out of the budget of whoever makes it.
fn ration(web: &Web, parts: &Parts, peer: Peer, visitor: &Visitor, now: i64) -> Result<(), Box<Response>> {
    let Ok(access) = web.door.access() else { return Ok(()) };
    let whose = match (&visitor.how, &visitor.name) {
        (How::Open, _) => return Ok(()),
        (How::Token(_), Some(name)) => format!("token {name}"),
        (How::Session, Some(name)) => format!("user {name}"),
        _ => format!("address {}", web.door.address(&parts.headers, peer)),
    };
    access.spend(&whose, now).map_err(|wait| {
        let seconds = wait.as_secs() + 1;
        let what = format!("too many requests; try again in {seconds} s");
        let mut refusal = say(parts, StatusCode::TOO_MANY_REQUESTS, "Too many requests", &what);
        refusal.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        refusal.into()
    })
}

/// The fields of a form, and the body as if nobody had read it. It is read only where a field decides whether it is let in.
async fn form_of(
    parts: &Parts,
    body: Body,
    visitor: &Visitor,
    need: Need,
) -> Result<(Form, Body), Box<Response>> {
    if rights::only_reads(&parts.method) {
        return Ok((Form::of_address(&parts.uri), body));
    }
    let decides = visitor.how == How::Session || matches!(need, Need::RightOrLink(_));
    if !decides || !is_form(&parts.headers) {
        return Ok((Form::of_address(&parts.uri), body));
    }
    let most = Form::most(parts.uri.path());
    let read = tokio::time::timeout(PATIENCE, to_bytes(body, most)).await;
    let Ok(Ok(bytes)) = read else {
        let what = format!("the form is larger than {most} bytes, or did not come within half a minute");
        return Err(say(parts, StatusCode::BAD_REQUEST, "Not possible", &what).into());
    };
    let bytes: Bytes = bytes;
    Ok((Form::of_body(&bytes, &parts.uri), Body::from(bytes)))
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Whoever may do it; or how they are refused.
fn allowed(
    web: &Web,
    parts: &Parts,
    form: &Form,
    need: Need,
    visitor: Visitor,
) -> Result<Visitor, Box<Response>> {
    let right = match need {
        Need::Nothing => return Ok(visitor),
        Need::Right(right) | Need::RightOrLink(right) => right,
    };
    if visitor.may(right) {
        return Ok(visitor);
    }
    if matches!(need, Need::RightOrLink(_)) && is_linked(web, parts, form) {
        return Ok(rackside_access::Visitor::by_link().into());
    }
    match visitor.how {
        How::Nobody => Err(nobody(parts).into()),
        // Whoever reads without a name may have one.
        How::Anonymous if wants_page(&parts.headers) => Err(nobody(parts).into()),
        How::Anonymous => Err(unknown("this needs a token, or somebody who is logged in").into()),
        _ => {
            let what = lacks(&visitor, right);
            Err(say(parts, StatusCode::FORBIDDEN, "Not allowed", &what).into())
        }
    }
}

fn lacks(visitor: &Visitor, right: Right) -> String {
    let by = match right {
        Right::See | Right::Metrics => "every role",
        Right::Act => "operators and admins",
        Right::Manage => "admins",
    };
    match &visitor.how {
        How::Token(scopes) => {
            let scopes = if scopes.is_empty() { "none".to_owned() } else { scopes.to_string() };
            format!(
                "this needs the right `{right}`, which {by} have; the token {} has the scopes: {scopes}",
                visitor.shown()
            )
        }
        _ => format!(
            "this needs the right `{right}`, which {by} have; {} has the role {}",
            visitor.shown(),
            visitor.role
        ),
    }
}

/// Whether the signed link of a message about this alert is shown. Whether it is of the alert as it fires now is the page's to say.
fn is_linked(web: &Web, parts: &Parts, form: &Form) -> bool {
    let id = parts.uri.path().strip_prefix("/alerts/").and_then(|id| id.parse::<AlertId>().ok());
    let (Some(id), Ok(since)) = (id, form.first("since").parse()) else { return false };
    web.links.signed(id, since, form.first("by"), form.first("key"))
}

/// Why a change is not theirs, if it is not.
fn check_change(
    headers: &HeaderMap,
    path: &str,
    form: &Form,
    visitor: &Visitor,
    external: &str,
) -> Result<(), String> {
    match visitor.how {
        How::Token(_) => Ok(()),
        // There is no session yet that a form could carry something of.
        _ if path == "/login" || path.starts_with("/setup/") => is_same_origin(headers, external),
        How::Session => {
            is_same_origin(headers, external)?;
            let header =
                headers.get(HeaderName::from_static("x-csrf-token")).and_then(|value| value.to_str().ok());
            let sent = header.unwrap_or_else(|| form.first("csrf"));
            if is_same(sent, &visitor.csrf) {
                return Ok(());
            }
            Err("the form is of another session, or of none; load the page again and send it again"
                .to_owned())
        }
        How::Nobody => is_same_origin(headers, external),
        How::Open | How::Anonymous | How::Link => is_ours(headers, external),
    }
}

/// People are asked to log in, programs are told that they have to.
fn nobody(parts: &Parts) -> Response {
    let path = parts.uri.path();
    let is_page = wants_page(&parts.headers)
        && !["/api", "/metrics", "/health"].iter().any(|root| path.starts_with(root));
    if !is_page {
        return unknown(
            "this needs a token (`Authorization: Bearer rackside_…`), or somebody who is logged in",
        );
    }
    let to = back_to(&parts.method, &parts.uri);
    let place = format!("/login?to={}", escaped(&to));
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

/// Where somebody wanted to be, as a page.
fn back_to(method: &Method, uri: &Uri) -> String {
    let path = uri.path();
    if rights::only_reads(method) {
        return uri.path_and_query().map_or(path, |whole| whole.as_str()).to_owned();
    }
    if path.starts_with("/settings") { "/settings".to_owned() } else { path.to_owned() }
}

fn unknown(what: &str) -> Response {
    let how = [(header::WWW_AUTHENTICATE, "Bearer realm=\"rackside\"")];
    (StatusCode::UNAUTHORIZED, how, format!("{what}\n")).into_response()
}

fn bad_token() -> Response {
    let how = [(header::WWW_AUTHENTICATE, "Bearer realm=\"rackside\", error=\"invalid_token\"")];
    let what = "this token is none of this hub's, was revoked, or has expired\n";
    (StatusCode::UNAUTHORIZED, how, what).into_response()
}

fn say(parts: &Parts, code: StatusCode, title: &str, what: &str) -> Response {
    missing::say(&parts.headers, &parts.uri, code, title, what)
}

/// As a value in an address.
pub(super) fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a String takes everything");
        }
        out
    })
}
