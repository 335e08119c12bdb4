//! `/login`, `/logout` and `/setup/{code}`: how somebody becomes somebody, and nobody again.
//!
//! A login gives the browser a session that it did not have before, whatever it brought along, and leads back to a path of this hub and nowhere else.
//!
//! ```text
//! GET /login?to=/alerts      POST /login    name=desk&password=…&to=/alerts      303 /alerts, Set-Cookie
//! POST /logout   csrf=…      303 /login
//! ```

use super::accept::answer;
use super::api::Form;
use super::appliance::encoded;
use super::change::Peer;
use super::door::{self, Busy, Turn};
use super::missing;
use super::visitor::Visitor;
use super::{Web, cookie};
use crate::clock;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_access::{Access, Browser, ChangeError, KnockError, SHORTEST, Secret};
use rackside_pages::Here;
use rackside_pages::login::{Login, Setup, Through};
use std::net::IpAddr;
use std::sync::Arc;

const HTML: &str = "text/html; charset=utf-8";
/// Longest path that a login leads back to.
const LONGEST_WAY: usize = 2000;
pub(super) const UNWELL: &str = "Nobody can be asked who you are: ";
/// Says to the page after a logout that the provider may still know them.
const OUT: &str = "provider";
const CROWD: &str = "Too many log in at this moment. Try again in a few seconds.";

/// The path, if it is one of this hub's; else the first page. `//elsewhere` and `/\elsewhere` are other hosts to a browser.
pub(super) fn of_ours(to: &str) -> &str {
    let is_ours = to.len() <= LONGEST_WAY
        && to.starts_with('/')
        && !to.starts_with("//")
        && !to.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace());
    let is_loop = ["/login", "/logout", "/setup/"].iter().any(|path| to.starts_with(path));
    if is_ours && !is_loop { to } else { "/" }
}

/// What is needed to put a page or a session into an answer.
pub(super) struct Asked {
    headers: HeaderMap,
    peer: Peer,
    is_secure: bool,
}

impl Asked {
    pub(super) fn of(web: &Web, headers: HeaderMap, peer: Peer) -> Self {
        let is_secure = door::is_secure(&headers, peer, &web.notifications.external_url());
        Self { headers, peer, is_secure }
    }

    fn page(&self, code: StatusCode, html: String) -> Response {
        let mut response = answer(&self.headers, HTML, html);
        *response.status_mut() = code;
        response
    }

    /// Where the browser is and what it is, for a thread that may block.
    pub(super) fn browser(&self, web: &Web) -> (IpAddr, String) {
        let Browser { address, agent } = web.door.browser(&self.headers, self.peer);
        (address, agent.to_owned())
    }

    pub(super) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The secret of the session that it came with.
    pub(super) fn session(&self) -> Option<&str> {
        cookie::sent(&self.headers, self.is_secure)
    }

    /// The page that asks who it is, with a fault.
    pub(super) fn refused(
        &self,
        web: &Web,
        visitor: &Visitor,
        to: &str,
        code: StatusCode,
        fault: &str,
    ) -> Response {
        self.page(code, web.login(visitor, "", to, fault))
    }

    /// Leads on, with a new session.
    pub(super) fn let_in(&self, web: &Web, secret: &Secret, to: &str) -> Response {
        let seconds = web.door.access().map_or(0, |access| access.lasting().longest / 1000);
        self.let_in_for(secret, to, seconds)
    }

    /// The same, for so many seconds.
    pub(super) fn let_in_for(&self, secret: &Secret, to: &str, seconds: i64) -> Response {
        let cookie = cookie::given(secret.shown(), self.is_secure, seconds);
        let place = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
        (StatusCode::SEE_OTHER, [(header::LOCATION, place), (header::SET_COOKIE, cookie)]).into_response()
    }
}

impl Web {
    fn login(&self, visitor: &Visitor, name: &str, to: &str, fault: &str) -> String {
        self.asks(visitor, name, to, fault).html()
    }

    fn asks(&self, visitor: &Visitor, name: &str, to: &str, fault: &str) -> Login {
        let is_unused = self.door.has_users() == Ok(false);
        let frame = self.frame("Log in", Here::Elsewhere, visitor);
        let provider = self.door.provider().map(|provider| Through {
            button: provider.map_or_else(|_| String::new(), |provider| provider.config().button.clone()),
            // At the name that the provider sends people back to: what the browser keeps meanwhile, it keeps for one name.
            path: format!(
                "{}/login/provider?to={}",
                self.notifications.external_url().trim_end_matches('/'),
                encoded(to)
            ),
        });
        let has_passwords = self.door.takes_passwords(clock::now().utc_ms as i64);
        let (name, to, fault) = (name.to_owned(), to.to_owned(), fault.to_owned());
        Login { frame, to, name, fault, is_unused, has_passwords, provider, way_out: String::new() }
    }
}

pub(super) async fn form(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let asked = Asked::of(&web, headers, peer);
    let form = Form::of_address(&uri);
    let mut page = web.asks(&visitor, "", of_ours(form.first("to")), "");
    if let (OUT, Some(Ok(provider))) = (form.first("out"), web.door.provider()) {
        page.way_out = provider.way_out().unwrap_or_default();
    }
    asked.page(StatusCode::OK, page.html())
}

/// Whether the password is right, and a session if it is.
async fn entered(
    access: &Arc<Access>,
    turn: Turn,
    knock: rackside_access::Knock,
    password: String,
    (address, agent): (IpAddr, String),
    before: Option<String>,
) -> Result<Option<Secret>, Arc<str>> {
    let access = Arc::clone(access);
    let looked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let browser = Browser { address, agent: &agent };
        let secret = access.login(&knock, &password, browser, clock::now().utc_ms as i64)?;
        if let (Some(_), Some(before)) = (&secret, before) {
            // What this browser had before the login is good for nothing after it.
            access.change(|store| store.end_session(&before))?;
        }
        Ok::<_, rackside_access::StoreError>(secret)
    });
    looked
        .await
        .expect("looking at a password does not panic, and is not cancelled")
        .map_err(|error| door::told(&error))
}

pub(super) async fn enter(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let asked = Asked::of(&web, request.headers().clone(), peer);
    let Ok(form) = Form::read(request).await else {
        let html = web.login(&visitor, "", "/", Form::BROKEN);
        return asked.page(StatusCode::BAD_REQUEST, html);
    };
    let (name, to) = (form.first("name").trim(), of_ours(form.first("to")));
    let refuse = |code, fault: &str| asked.page(code, web.login(&visitor, name, to, fault));
    let unwell = |why: &str| refuse(StatusCode::SERVICE_UNAVAILABLE, &format!("{UNWELL}{why}"));
    let access = match web.door.access() {
        Ok(access) => access,
        Err(why) => return unwell(&why),
    };
    if !web.door.takes_passwords(clock::now().utc_ms as i64) {
        return refuse(StatusCode::FORBIDDEN, "This hub takes no passwords: log in through the provider.");
    }
    let browser = asked.browser(&web);
    let from = Browser { address: browser.0, agent: &browser.1 };
    let knock = match access.knock(name, from, clock::now().utc_ms as i64) {
        Ok(knock) => knock,
        Err(KnockError::Store(error)) => return unwell(&error.to_string()),
        Err(KnockError::Wait(wait)) => {
            let seconds = wait.as_secs() + 1;
            let fault = format!("Too many attempts went wrong. Try again in {seconds} s.");
            let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, &fault);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            return response;
        }
    };
    let turn = match web.door.turn().await {
        Ok(turn) => turn,
        Err(Busy) => return refuse(StatusCode::SERVICE_UNAVAILABLE, CROWD),
    };
    let who = if knock.is_somebody() { name.to_owned() } else { "a name that nobody has".to_owned() };
    let before = cookie::sent(&asked.headers, asked.is_secure).map(str::to_owned);
    let password = form.first("password").to_owned();
    match entered(access, turn, knock, password, browser.clone(), before).await {
        Ok(Some(secret)) => asked.let_in(&web, &secret, to),
        Ok(None) => {
            log::warn!("users: a login as {who:?} from {} had the wrong password", browser.0);
            refuse(StatusCode::UNAUTHORIZED, "Name or password is wrong.")
        }
        Err(why) => unwell(&why),
    }
}

pub(super) async fn leave(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let asked = Asked::of(&web, headers, peer);
    let mut issuer = None;
    if let (Some(secret), Ok(access)) = (asked.session(), web.door.access()) {
        let (access, secret) = (Arc::clone(access), secret.to_owned());
        let ended = tokio::task::spawn_blocking(move || {
            let issuer = access.look(|store| store.issuer_of(&secret))?;
            access.change(|store| store.end_session(&secret))?;
            Ok::<_, rackside_access::StoreError>(issuer)
        });
        match ended.await.expect("ending a session does not panic, and is not cancelled") {
            Ok(of) => issuer = of,
            Err(error) => {
                let html = web.login(&rackside_access::Visitor::nobody().into(), "", "/", &error.to_string());
                return asked.page(StatusCode::SERVICE_UNAVAILABLE, html);
            }
        }
    }
    let is_from =
        |of: &str| matches!(web.door.provider(), Some(Ok(provider)) if provider.config().issuer == of);
    let place = if issuer.as_deref().is_some_and(is_from) { "/login?out=provider" } else { "/login" };
    let headers = [
        (header::LOCATION, HeaderValue::from_static(place)),
        (header::SET_COOKIE, cookie::taken(asked.is_secure)),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Whether this set-up link is good; what to answer if not.
fn good(web: &Web, code: &str, asked: &Asked, uri: &Uri) -> Result<Arc<Access>, Box<Response>> {
    let access = web.door.access().map_err(|why| {
        let code = StatusCode::SERVICE_UNAVAILABLE;
        Box::new(missing::say(&asked.headers, uri, code, "Nobody can be let in", &why))
    })?;
    match access.look(|store| store.is_setup(code, clock::now().utc_ms as i64)) {
        Ok(true) => Ok(Arc::clone(access)),
        Ok(false) => {
            let what = ChangeError::Code.to_string();
            let what = format!("{}{}.", what[..1].to_uppercase(), &what[1..]);
            Err(Box::new(missing::say(
                &asked.headers,
                uri,
                StatusCode::NOT_FOUND,
                "Not good any more",
                &what,
            )))
        }
        Err(error) => {
            let code = StatusCode::SERVICE_UNAVAILABLE;
            Err(Box::new(missing::say(&asked.headers, uri, code, "Nobody can be let in", &error.to_string())))
        }
    }
}

impl Web {
    fn setup(&self, visitor: &Visitor, name: &str, name_fault: &str, password_fault: &str) -> String {
        let page = Setup {
            frame: self.frame("The first user", Here::Elsewhere, visitor),
            name: name.to_owned(),
            name_fault: name_fault.to_owned(),
            password_fault: password_fault.to_owned(),
            shortest: SHORTEST,
        };
        page.html()
    }
}

pub(super) async fn setup(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(code): Path<String>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let asked = Asked::of(&web, headers, peer);
    match good(&web, &code, &asked, &uri) {
        Ok(_) => asked.page(StatusCode::OK, web.setup(&visitor, "", "", "")),
        Err(refusal) => *refusal,
    }
}

pub(super) async fn set_up(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(code): Path<String>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let uri = request.uri().clone();
    let asked = Asked::of(&web, request.headers().clone(), peer);
    let access = match good(&web, &code, &asked, &uri) {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    let Ok(form) = Form::read(request).await else {
        let html = web.setup(&visitor, "", Form::BROKEN, "");
        return asked.page(StatusCode::BAD_REQUEST, html);
    };
    let (name, password) = (form.first("name").trim().to_owned(), form.first("password").to_owned());
    let refuse = |name_fault: &str, password_fault: &str| {
        let html = web.setup(&visitor, &name, name_fault, password_fault);
        asked.page(StatusCode::UNPROCESSABLE_ENTITY, html)
    };
    if password != form.first("again") {
        return refuse("", "These were two different passwords.");
    }
    let Ok(turn) = web.door.turn().await else { return refuse(CROWD, "") };
    let (address, agent) = asked.browser(&web);
    let made = tokio::task::spawn_blocking({
        let (name, now) = (name.clone(), clock::now().utc_ms as i64);
        move || {
            let _turn = turn;
            access.change(|store| store.set_up(&code, &name, &password, now))?;
            Ok(access.begin(&name, Browser { address, agent: &agent }, now)?)
        }
    });
    match made.await.expect("making a user does not panic, and is not cancelled") {
        Ok(secret) => asked.let_in(&web, &secret, "/"),
        Err(ChangeError::Password(fault)) => refuse("", &fault.to_string()),
        Err(error) => refuse(&error.to_string(), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_paths_of_this_hub_and_nowhere_else() {
        for to in ["/", "/alerts", "/sites/hall?range=1h&x=//y", "/alerts/27?by=crew"] {
            assert_eq!(of_ours(to), to);
        }
        for to in [
            "",
            "alerts",
            "//elsewhere.example",
            "/\\elsewhere.example",
            "\\\\elsewhere.example",
            "https://elsewhere.example/",
            "javascript:alert(1)",
            "/\t/elsewhere.example",
            "/alerts\r\nSet-Cookie: a=b",
            " /alerts",
            "/login?to=/login",
            "/logout",
        ] {
            assert_eq!(of_ours(to), "/", "{to:?}");
        }
        assert_eq!(of_ours(&format!("/{}", "x".repeat(LONGEST_WAY))), "/");
    }
}
