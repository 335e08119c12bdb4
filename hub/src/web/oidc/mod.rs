//! `/login/provider` and `/login/back`: a login through a provider (`OpenID` Connect), there and back again.
//!
//! The browser keeps what was begun in a cookie of ten minutes. It is `SameSite=Lax`, because it has to come along when the provider sends the browser back,
//! which is another site's doing. Whoever comes back without it, or with another state, began nothing here.
//!
//! ```text
//! GET /login/provider?to=/alerts           303 https://login.example.org/authorize?…    Set-Cookie: rackside-login=…
//! GET /login/back?code=…&state=…           303 /alerts                                  Set-Cookie: rackside=…
//! ```

mod config;
mod provider;

pub use config::OidcConfig;
pub(super) use provider::Provider;

use super::api::Form;
use super::change::Peer;
use super::login::{Asked, UNWELL, of_ours};
use super::visitor::Visitor;
use super::{Web, cookie, missing};
use crate::clock;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_access::{Arrival, Begun, Browser, ChangeError, Identity};
use rackside_oidc::{Claims, LoginError, granted};
use std::fmt::Write as _;
use std::sync::Arc;

const BACK: &str = "/login/back";
/// Longest text of the provider's that a page shows.
const LONGEST: usize = 200;
/// Longest way that a cookie keeps: browsers drop larger ones.
const LONGEST_WAY: usize = 3000;
const NOT_BEGUN: &str =
    "This login was not begun in this browser, or more than 10 minutes ago. Log in again.";

/// Why somebody is not in: for the page, and with which status.
type Fault = (StatusCode, String);

fn fault(code: StatusCode, what: impl Into<String>) -> Fault {
    (code, what.into())
}

fn of_login(error: &LoginError) -> Fault {
    let code = match error {
        LoginError::Code | LoginError::Refused(_) => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_GATEWAY,
    };
    fault(code, sentence(&error.to_string()))
}

/// As it begins and ends on a page.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect()
}

/// A path as it can stand in a cookie.
fn for_cookie(path: &str) -> String {
    path.bytes().fold(String::with_capacity(path.len()), |mut text, byte| {
        match byte {
            b'"' | b',' | b';' | b'\\' | 0..=b' ' | 0x7f.. => _ = write!(text, "%{byte:02X}"),
            byte => text.push(char::from(byte)),
        }
        text
    })
}

/// Where the provider sends browsers back to.
fn back(web: &Web) -> String {
    format!("{}{BACK}", web.notifications.external_url().trim_end_matches('/'))
}

fn no_provider(headers: &HeaderMap, uri: &Uri) -> Response {
    let what = "This hub lets nobody in through a provider: it has no [web.oidc].";
    missing::say(headers, uri, StatusCode::NOT_FOUND, "Not here", what)
}

pub(super) async fn begin(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let Some(provider) = web.door.provider() else { return no_provider(&headers, &uri) };
    let asked = Asked::of(&web, headers, peer);
    let form = Form::of_address(&uri);
    let to = of_ours(form.first("to"));
    let kept = Some(for_cookie(to)).filter(|kept| kept.len() <= LONGEST_WAY);
    let begun = Begun::new(kept.as_deref().unwrap_or("/"), clock::now().utc_ms as i64);
    let way = match provider {
        Ok(provider) => provider.way(&begun, &back(&web)).await.map_err(|error| of_login(&error)),
        Err(why) => Err(fault(StatusCode::SERVICE_UNAVAILABLE, sentence(&why))),
    };
    let way = way.and_then(|way| {
        HeaderValue::from_str(&way)
            .map_err(|_| fault(StatusCode::BAD_GATEWAY, "The provider's address is none."))
    });
    match way {
        Ok(way) => {
            let cookie = cookie::begun(&begun.kept(), asked.is_secure(), Begun::LASTS.as_secs());
            (StatusCode::SEE_OTHER, [(header::LOCATION, way), (header::SET_COOKIE, cookie)]).into_response()
        }
        Err((code, what)) => asked.refused(&web, &visitor, to, code, &what),
    }
}

pub(super) async fn end(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let Some(provider) = web.door.provider() else { return no_provider(&headers, &uri) };
    let asked = Asked::of(&web, headers, peer);
    let begun = cookie::sent_begun(asked.headers(), asked.is_secure()).and_then(Begun::read);
    let to = begun.as_ref().map_or("/", |begun| of_ours(begun.to())).to_owned();
    let arrived = match provider {
        Ok(provider) => come(&web, &provider, &asked, begun, &Form::of_address(&uri)).await,
        Err(why) => Err(fault(StatusCode::SERVICE_UNAVAILABLE, sentence(&why))),
    };
    let mut response = match arrived {
        Ok((secret, seconds)) => asked.let_in_for(&secret, &to, seconds),
        Err((code, what)) => asked.refused(&web, &visitor, &to, code, &what),
    };
    response.headers_mut().append(header::SET_COOKIE, cookie::begun("", asked.is_secure(), 0));
    response
}

/// Lets somebody in who comes back from the provider: with which secret, and for how many seconds.
async fn come(
    web: &Arc<Web>,
    provider: &Provider,
    asked: &Asked,
    begun: Option<Begun>,
    form: &Form,
) -> Result<(rackside_access::Secret, i64), Fault> {
    let now = clock::now().utc_ms as i64;
    let begun = begun.filter(|begun| begun.is_fresh(now) && begun.is_state(form.first("state")));
    let begun = begun.ok_or_else(|| fault(StatusCode::BAD_REQUEST, NOT_BEGUN))?;
    check_said(provider, form)?;
    let access =
        web.door.access().map_err(|why| fault(StatusCode::SERVICE_UNAVAILABLE, format!("{UNWELL}{why}")))?;
    let (address, agent) = asked.browser(web);
    access.knock_from(Browser { address, agent: &agent }, now).map_err(|wait| {
        let what = format!("Too many attempts went wrong. Try again in {} s.", wait.as_secs() + 1);
        fault(StatusCode::TOO_MANY_REQUESTS, what)
    })?;
    let vouched = provider.vouched(&begun, form.first("code"), &back(web), now).await;
    let claims = vouched.map_err(|error| {
        log::warn!("users: a login through {} from {address}: {error}", provider.config().issuer);
        of_login(&error)
    })?;
    let (access, before) = (Arc::clone(access), asked.session().map(str::to_owned));
    let arriving = Arriving::of(provider, &claims).map_err(|why| {
        log::warn!(
            "users: {} of {} from {address} has no role here",
            called(provider, &claims),
            provider.config().issuer
        );
        fault(StatusCode::FORBIDDEN, sentence(&why))
    })?;
    let until = now + provider.config().session.get().as_millis() as i64;
    let let_in = tokio::task::spawn_blocking(move || {
        let browser = Browser { address, agent: &agent };
        let (name, secret) = access.arrive(&arriving.arrival(), browser, until, now)?;
        if let Some(before) = before {
            // What this browser had before the login is good for nothing after it.
            access.change(|store| store.end_session(&before))?;
        }
        Ok::<_, ChangeError>((name, secret))
    });
    let (name, secret) =
        let_in.await.expect("writing a session does not panic, and is not cancelled").map_err(|error| {
            let code = match error {
                ChangeError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::FORBIDDEN,
            };
            fault(code, sentence(&error.to_string()))
        })?;
    log::info!("users: {name} has come through {} from {address}", provider.config().issuer);
    Ok((secret, (until - now) / 1000))
}

/// What the provider says instead of a code; and that it is this provider that says it.
fn check_said(provider: &Provider, form: &Form) -> Result<(), Fault> {
    let tame = |text: &str| -> String {
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
    };
    let issuer = form.first("iss");
    if !issuer.is_empty() && issuer != provider.config().issuer {
        return Err(fault(
            StatusCode::BAD_REQUEST,
            format!("Another provider sent you back: {:?}.", tame(issuer)),
        ));
    }
    match form.first("error") {
        "" if form.first("code").is_empty() => {
            Err(fault(StatusCode::BAD_REQUEST, "The provider sent you back without a code. Log in again."))
        }
        "" => Ok(()),
        "access_denied" => Err(fault(
            StatusCode::FORBIDDEN,
            "The login was cancelled at the provider, or the provider does not let you in here.",
        )),
        error => {
            let more = form.first("error_description");
            let more = if more.is_empty() { String::new() } else { format!(": {}", tame(more)) };
            let what = format!("The provider sent you back with {:?}{more}. Log in again.", tame(error));
            Err(fault(StatusCode::FORBIDDEN, what))
        }
    }
}

/// What somebody would be called here.
fn called<'a>(provider: &Provider, claims: &'a Claims) -> &'a str {
    let of = |name| claims.text(name);
    of(&provider.config().name)
        .or_else(|| of("email"))
        .or_else(|| of("name"))
        .or_else(|| of("sub"))
        .unwrap_or_default()
}

/// Somebody who may come in, for a thread of its own.
struct Arriving {
    identity: Identity,
    name: String,
    role: rackside_access::Role,
    reach: rackside_access::Reach,
    may_be_new: bool,
}

impl Arriving {
    fn of(provider: &Provider, claims: &Claims) -> Result<Self, String> {
        let (role, reach) = granted(provider.grants(), claims).map_err(|why| why.to_string())?;
        let config = provider.config();
        let subject = claims.text("sub").unwrap_or_default().to_owned();
        Ok(Self {
            identity: Identity { issuer: config.issuer.clone(), subject },
            name: called(provider, claims).to_owned(),
            role,
            reach,
            may_be_new: config.newcomers,
        })
    }

    fn arrival(&self) -> Arrival<'_> {
        let Self { identity, name, role, reach, may_be_new } = self;
        Arrival { identity, name, role: *role, reach: reach.clone(), may_be_new: *may_be_new }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_in_a_cookie_and_leads_where_it_led() {
        assert_eq!(for_cookie("/alerts?q=a%20b&c=d"), "/alerts?q=a%20b&c=d");
        assert_eq!(for_cookie("/a;b,c\"d\\ é"), "/a%3Bb%2Cc%22d%5C%20%C3%A9");
    }
}
