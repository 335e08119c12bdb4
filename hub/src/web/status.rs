//! `/status`, `/status/feed` and `/api/status`: what the public is told, for whoever asks; and the forms by which an operator tells it.
//!
//! The page is made at most every 15 s, however many ask, and kept compressed; browsers and caches in between may keep it as long. An operator gets one of their
//! own, with forms. Of an alert the public reads its rule's annotation `public` and nothing else; without one it is a disturbance.
//!
//! ```text
//! GET /api/status     {"title": "Our streams", "state": "well", "sites": [{"name": "Arena North", "state": "well", "days": [{"date": "2026-11-20", …}]}], …}
//! ```

mod feed;
pub(super) mod incidents;
mod told;

use super::Web;
use super::accept::{gzip, text};
use super::api::Form;
use super::missing;
use super::visitor::Visitor;
use crate::clock;
use crate::status::{Public, Set};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use rackside_access::Right;
use rackside_pages::alerts::Choice;
use rackside_pages::status::Desk;
use rackside_status::{BookError, Incident, NewIncident};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// The page is as old as this at most, in milliseconds, and may be kept so long.
const FRESH: i64 = 15_000;
const KEPT: &str = "public, max-age=15";
/// Most characters of a line.
const LINE: usize = 120;
const HTML: &str = "text/html; charset=utf-8";
const ATOM: &str = "application/atom+xml; charset=utf-8";

/// What the public is told, and what was told last.
pub(super) struct Board {
    pub(super) public: Public,
    made: Mutex<Option<Arc<Made>>>,
}

/// All forms of it, ready to be sent.
struct Made {
    at: i64,
    /// How the page was set: of another configuration nothing is kept.
    set: Arc<Set>,
    html: Sent,
    json: Sent,
    atom: Sent,
}

struct Sent {
    plain: Bytes,
    gzip: Bytes,
    tag: HeaderValue,
}

impl Board {
    pub(super) fn new(public: Public) -> Self {
        Self { public, made: Mutex::default() }
    }

    /// As it was told last, if that is fresh.
    fn fresh(&self, now: i64) -> Option<Arc<Made>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.as_ref().filter(|made| self.is_fresh(made, now)).map(Arc::clone)
    }

    fn is_fresh(&self, made: &Made, now: i64) -> bool {
        (0..FRESH).contains(&(now - made.at)) && Arc::ptr_eq(&made.set, &self.public.set())
    }

    /// Made anew, by one of those who ask; the others wait for it.
    fn make(&self, web: &Web, now: i64) -> Result<Arc<Made>, BookError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.as_ref().filter(|made| self.is_fresh(made, now)) {
            return Ok(Arc::clone(made));
        }
        let set = self.public.set();
        let told = told::told(web, &set, now)?;
        let json = Sent::new(told.json().to_string());
        let atom = Sent::new(told.feed(&web.notifications.external_url()));
        let fresh = Arc::new(Made { at: now, set, html: Sent::new(told.page(None).html()), json, atom });
        *made = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Somebody has changed what is told.
    fn forget(&self) {
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Sent {
    fn new(body: String) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let gzip = encoder.write_all(body.as_bytes()).and_then(|()| encoder.finish());
        let gzip = gzip.expect("a Vec takes everything");
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let tag = HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish()));
        Self { plain: body.into(), gzip: gzip.into(), tag: tag.expect("hexadecimal between quotes") }
    }

    fn answer(&self, headers: &HeaderMap, content_type: &'static str) -> Response {
        let known = text(headers, &header::IF_NONE_MATCH)
            .is_some_and(|tags| tags.split(',').any(|one| one.trim().trim_start_matches("W/") == self.tag));
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else if gzip(headers) {
            let encoding = (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            ([encoding], Body::from(self.gzip.clone())).into_response()
        } else {
            Body::from(self.plain.clone()).into_response()
        };
        let head = response.headers_mut();
        head.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        head.insert(header::VARY, HeaderValue::from_static("accept-encoding, cookie"));
        head.insert(header::ETAG, self.tag.clone());
        head.insert(header::CACHE_CONTROL, HeaderValue::from_static(KEPT));
        response
    }
}

/// Whether somebody may tell the public of a site; of all, if it is empty.
fn may_tell(web: &Web, visitor: &Visitor, site: &str) -> bool {
    visitor.may(Right::Act) && web.venues().sees(visitor, site)
}

pub(super) async fn page(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if !web.board.public.set().config.enabled {
        return missing::not_found(headers, uri).await;
    }
    let sites = web.board.public.set().sites(&web.on_air);
    let seen = sites.iter().filter(|site| may_tell(&web, &visitor, site.id.as_str()));
    let choices: Vec<Choice> = seen
        .map(|site| Choice { value: site.id.to_string(), label: site.public_title().to_owned(), on: false })
        .collect();
    let may = may_tell(&web, &visitor, "") || !choices.is_empty();
    let told = may.then(|| Desk { csrf: visitor.csrf.clone(), sites: choices });
    let Some(desk) = told else { return public(web, headers, HTML, |made| &made.html).await };
    let making = tokio::task::spawn_blocking(move || {
        let now = clock::now().utc_ms as i64;
        told::told(&web, &web.board.public.set(), now).map(|told| told.page(Some(desk)).html())
    });
    match making.await.expect("writing the page does not panic, and is not cancelled") {
        Ok(html) => Html(html).into_response(),
        Err(error) => unknown(&error),
    }
}

pub(super) async fn api(State(web): State<Arc<Web>>, headers: HeaderMap, uri: Uri) -> Response {
    if !web.board.public.set().config.enabled {
        return missing::not_found(headers, uri).await;
    }
    public(web, headers, "application/json", |made| &made.json).await
}

pub(super) async fn feed(State(web): State<Arc<Web>>, headers: HeaderMap, uri: Uri) -> Response {
    if !web.board.public.set().config.enabled {
        return missing::not_found(headers, uri).await;
    }
    public(web, headers, ATOM, |made| &made.atom).await
}

/// What everybody gets.
async fn public(
    web: Arc<Web>,
    headers: HeaderMap,
    content_type: &'static str,
    form: impl FnOnce(&Made) -> &Sent,
) -> Response {
    let now = clock::now().utc_ms as i64;
    if let Some(made) = web.board.fresh(now) {
        return form(&made).answer(&headers, content_type);
    }
    let making = tokio::task::spawn_blocking(move || web.board.make(&web, now));
    match making.await.expect("writing the page does not panic, and is not cancelled") {
        Ok(made) => form(&made).answer(&headers, content_type),
        Err(error) => unknown(&error),
    }
}

/// The public is not told why.
fn unknown(error: &BookError) -> Response {
    log::error!("the status page cannot be made: {error}");
    let code = StatusCode::SERVICE_UNAVAILABLE;
    missing::page(code, "Not known", "How things stand cannot be told at the moment; try again in a minute.")
}

/// `POST /status/incidents`.
pub(super) async fn begin(State(web): State<Arc<Web>>, visitor: Visitor, request: Request<Body>) -> Response {
    tell(web, None, visitor, request).await
}

/// `POST /status/incidents/{id}`.
pub(super) async fn change(
    State(web): State<Arc<Web>>,
    Path(id): Path<i64>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    tell(web, Some(id), visitor, request).await
}

async fn tell(web: Arc<Web>, id: Option<i64>, visitor: Visitor, request: Request<Body>) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    if !web.board.public.set().config.enabled {
        return missing::not_found(headers, uri).await;
    }
    let Ok(form) = Form::read(request).await else {
        return missing::page(StatusCode::BAD_REQUEST, "Not done", "The form cannot be read.");
    };
    let writing = tokio::task::spawn_blocking(move || write(&web, id, &visitor, &form));
    match writing.await.expect("writing does not panic, and is not cancelled") {
        Ok(()) => (StatusCode::SEE_OTHER, [(header::LOCATION, "/status")]).into_response(),
        Err((code, why)) => missing::page(code, "Not done", &format!("{why}.")),
    }
}

/// Why something was not told.
type Refusal = (StatusCode, String);

fn forbidden() -> Refusal {
    (StatusCode::FORBIDDEN, "this takes an operator of that site".to_owned())
}

fn failed(error: &BookError) -> Refusal {
    let code = match error {
        BookError::Database { .. } | BookError::Newer { .. } => StatusCode::SERVICE_UNAVAILABLE,
        BookError::NoIncident(_) => StatusCode::NOT_FOUND,
        BookError::Text(..) | BookError::Ends => StatusCode::BAD_REQUEST,
    };
    (code, error.to_string())
}

/// What the public is told is nothing, if it is told nothing at all.
fn open(web: &Web) -> Result<Arc<Set>, Refusal> {
    let public = web.board.public.set();
    let closed =
        || (StatusCode::NOT_FOUND, "there is no status page: `[status] enabled` is false".to_owned());
    if public.config.enabled { Ok(public) } else { Err(closed()) }
}

fn write(web: &Web, id: Option<i64>, visitor: &Visitor, form: &Form) -> Result<(), Refusal> {
    // Browsers end lines with two characters.
    let text = form.first("text").replace("\r\n", "\n");
    let Some(id) = id else {
        let title: String = form.first("title").trim().chars().take(LINE).collect();
        return begun(web, visitor, form.first("site"), &title, &text).map(drop);
    };
    let is_over = match form.first("do") {
        "end" => true,
        "tell" => false,
        _ => return Err((StatusCode::BAD_REQUEST, "`do` is tell or end".to_owned())),
    };
    changed(web, visitor, id, Some(&text), is_over)
}

/// Whether somebody is shown what is told of a site; what concerns all is for everybody.
fn sees(web: &Web, visitor: &Visitor, site: &str) -> bool {
    site.is_empty() || web.venues().sees(visitor, site)
}

/// What was told since then, as far as it is of sites that `is_seen`.
fn incidents(web: &Web, since: i64, is_seen: impl Fn(&str) -> bool) -> Result<Vec<Incident>, Refusal> {
    let mut all = open(web)?.book.incidents(since).map_err(|error| failed(&error))?;
    all.retain(|one| is_seen(&one.site));
    Ok(all)
}

fn by(visitor: &Visitor) -> String {
    visitor.shown().chars().take(80).collect()
}

/// Tells the public of something that goes on at a site, or at all of them; gives its number.
fn begun(web: &Web, visitor: &Visitor, site: &str, title: &str, text: &str) -> Result<i64, Refusal> {
    let (public, now) = (open(web)?, clock::now().utc_ms as i64);
    if !may_tell(web, visitor, site) {
        return Err(forbidden());
    }
    let is_public = public.sites(&web.on_air).iter().any(|one| one.id.as_str() == site);
    if !site.is_empty() && !is_public {
        return Err((StatusCode::BAD_REQUEST, format!("the public does not know of the site {site:?}")));
    }
    let (site, title, text, by) = (site.to_owned(), title.to_owned(), text.to_owned(), by(visitor));
    let new = NewIncident { site, title, text, starts_at: now, ends_at: None, by };
    let made = public.book.begin(&new, now).map_err(|error| failed(&error));
    web.board.forget();
    made
}

/// Tells more of it, or that it is over; without a text the one before stays.
fn changed(web: &Web, visitor: &Visitor, id: i64, text: Option<&str>, is_over: bool) -> Result<(), Refusal> {
    let (public, now) = (open(web)?, clock::now().utc_ms as i64);
    let open = public.book.incidents(i64::MAX).map_err(|error| failed(&error))?;
    let found = open.iter().find(|one| one.id == id && sees(web, visitor, &one.site));
    let incident = found.ok_or_else(|| failed(&BookError::NoIncident(id)))?;
    if !may_tell(web, visitor, &incident.site) {
        return Err(forbidden());
    }
    let text = text.unwrap_or(&incident.text);
    let done = public.book.change(id, text, is_over.then_some(now), (&by(visitor), now));
    web.board.forget();
    done.map_err(|error| failed(&error))
}
