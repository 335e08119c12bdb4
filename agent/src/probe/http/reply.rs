//! One request after the other, until the head of an answer is there that is no redirect; then its body, piece by piece.

use super::wire::{Whole, Wire};
use super::{Answer, FetchError, Phases, Request, Step, Url};
use crate::address::authority;
use crate::clock::Clock;
use crate::probe::secure::{self, HandshakeError};
use crate::probe::{Context, dial};
use crate::proxy::{AUTHORIZATION, Proxy};
use crate::transport::Stream;
use bytes::Bytes;
use futures_lite::future;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{HeaderMap, Method, Response, Uri};
use rustls::pki_types::CertificateDer;
use std::cell::Cell;
use std::pin::Pin;
use std::task::{Poll, ready};

/// The largest head of an answer, in bytes.
pub const HEAD: usize = 16 * 1024;
/// And the most headers in it.
const HEADERS: usize = 128;
/// What is read ahead of who takes it.
const AHEAD: usize = 64 * 1024;

const AGENT: &str = concat!("rackside-agent/", env!("CARGO_PKG_VERSION"));

/// An answer whose body comes in.
#[derive(Debug)]
pub struct Reply {
    /// `200`.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Who answered in the end.
    pub url: Url,
    /// How many redirects led there.
    pub redirects: u8,
    /// How long it took; `transfer` goes on until the last piece.
    pub phases: Phases,
    /// The server's certificates, its own first; none without TLS.
    pub chain: Vec<CertificateDer<'static>>,
    body: Incoming,
    driven: Driven,
    begun: std::time::Instant,
}

impl Reply {
    /// The next piece of the body; none when all of it was there.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, FetchError> {
        // A server that sends faster than this is taken must not have the agent's one thread for itself.
        future::yield_now().await;
        let Self { body, driven, .. } = self;
        let piece = future::poll_fn(|cx| {
            loop {
                driven.poll(cx);
                match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        // Trailers say nothing to a probe.
                        if let Ok(bytes) = frame.into_data() {
                            return Poll::Ready(Ok(Some(bytes)));
                        }
                    }
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    None => return Poll::Ready(Ok(None)),
                }
            }
        });
        let piece = piece.await.map_err(|error| {
            FetchError::protocol(&self.url, format!("the answer breaks off: {}", explain(&error)))
        });
        self.phases.transfer = Clock::now().saturating_duration_since(self.begun);
        piece
    }

    /// With the body that was taken.
    pub(super) fn into_answer(self, body: Vec<u8>, length: usize, is_cut: bool) -> Answer {
        let Self { status, headers, url, redirects, phases, chain, .. } = self;
        Answer { status, headers, body, length, is_cut, url, redirects, phases, chain }
    }
}

/// hyper's connection: nothing moves unless it is polled. It stays alive as long as the answer comes in.
#[derive(Debug)]
struct Driven {
    connection: Option<Pin<Box<Connection<Wire, Whole>>>>,
    #[expect(dead_code, reason = "without it hyper would close the connection")]
    sender: SendRequest<Whole>,
}

impl Driven {
    /// Moves what can be moved. What goes wrong is told by the answer.
    fn poll(&mut self, cx: &mut std::task::Context<'_>) {
        if let Some(connection) = &mut self.connection
            && connection.as_mut().poll(cx).is_ready()
        {
            self.connection = None;
        }
    }
}

/// Asks, and asks again where it is sent to.
pub(super) async fn follow(
    context: &Context,
    request: &Request<'_>,
    step: &Cell<Step>,
) -> Result<Reply, FetchError> {
    let mut request = request.clone();
    let origin = request.url.clone();
    let mut url = origin.clone();
    let mut phases = Phases::default();
    for redirects in 0..=request.redirects {
        let mut reply = ask(context, &request, &url, step).await?;
        phases.resolve += reply.phases.resolve;
        phases.connect += reply.phases.connect;
        phases.tls += reply.phases.tls;
        phases.first_byte += reply.phases.first_byte;
        (reply.phases, reply.redirects) = (phases, redirects);
        let is_redirect = matches!(reply.status, 301 | 302 | 303 | 307 | 308);
        let Some(location) = reply.headers.get(LOCATION).filter(|_| is_redirect && request.redirects > 0)
        else {
            return Ok(reply);
        };
        let astray = |why: String| FetchError::Astray { origin: url.origin(), why };
        let location = location.to_str().map_err(|_| astray("it is not in ASCII".to_owned()))?;
        let next = url.join(location).map_err(astray)?;
        // As browsers do it: what was posted is not posted again elsewhere.
        if reply.status == 303 || (reply.status < 303 && request.method == Method::POST) {
            request.method = if request.method == Method::HEAD { Method::HEAD } else { Method::GET };
            request.body = Vec::new();
        }
        if !next.is_of_same_origin(&origin) {
            request.headers.clear();
        }
        url = next;
    }
    Err(FetchError::Redirects { origin: origin.origin(), most: request.redirects })
}

/// One request on a connection of its own, up to the head of its answer.
async fn ask(
    context: &Context,
    request: &Request<'_>,
    url: &Url,
    step: &Cell<Step>,
) -> Result<Reply, FetchError> {
    step.set(Step::Connect);
    let proxy = context.proxy.as_deref();
    let (host, port) = proxy.map_or((url.host(), url.port()), |proxy| (proxy.host.as_str(), proxy.port));
    let dialled = dial::connect_within(request.within, host, port).await.map_err(FetchError::Dial)?;
    let mut phases = Phases { resolve: dialled.resolved, connect: dialled.connected, ..Phases::default() };
    // Failing to say so costs milliseconds only.
    let _ = dialled.stream.get_ref().set_nodelay(true);
    let mut stream: Box<dyn Stream> = Box::new(dialled.stream);
    let (wire, chain) = if url.is_tls() {
        if let Some(proxy) = proxy {
            let opened = proxy.tunnel(&mut *stream, &authority(url.host(), url.port())).await;
            opened.map_err(|why| FetchError::protocol(url, why))?;
        }
        step.set(Step::Tls);
        let begun = Clock::now();
        let secured = secure::handshake(context, stream, url.host(), &request.trust, &["http/1.1"]);
        let secured = secured.await.map_err(|error| match error {
            HandshakeError::Own(why) => FetchError::Own(why),
            HandshakeError::Theirs(error) => FetchError::Tls(error),
        })?;
        secured.verdict.map_err(FetchError::Tls)?;
        phases.tls = Clock::now().saturating_duration_since(begun);
        (Wire::new(Box::new(secured.stream)), secured.chain)
    } else {
        (Wire::new(stream), Vec::new())
    };
    step.set(Step::FirstByte);
    let asked = Clock::now();
    let (response, driven) = send(wire, message(request, url, proxy.filter(|_| !url.is_tls()))?, url).await?;
    let begun = Clock::now();
    phases.first_byte = begun.saturating_duration_since(asked);
    let (head, body) = response.into_parts();
    let (status, headers, url) = (head.status.as_u16(), head.headers, url.clone());
    Ok(Reply { status, headers, url, redirects: 0, phases, chain, body, driven, begun })
}

/// The request as hyper wants it: to a proxy with the whole address (RFC 9112, 3.2.2).
fn message(
    request: &Request<'_>,
    url: &Url,
    proxy: Option<&Proxy>,
) -> Result<hyper::Request<Whole>, FetchError> {
    let own = |what: &str| FetchError::Own(format!("{} cannot be asked: {what}", url.origin()));
    let mut message = hyper::Request::new(Whole::from(request.body.clone()));
    *message.method_mut() = request.method.clone();
    let target = if proxy.is_some() { url.origin() + url.target() } else { url.target().to_owned() };
    *message.uri_mut() = target.parse::<Uri>().map_err(|_| own("its path is none"))?;
    let headers = message.headers_mut();
    if let Some(value) = proxy.map(Proxy::authorization).transpose().map_err(FetchError::Own)?.flatten() {
        let mut value = HeaderValue::try_from(value).map_err(|_| own("the proxy's user is none"))?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(AUTHORIZATION), value);
    }
    headers.insert(HOST, HeaderValue::try_from(url.authority()).map_err(|_| own("its name is none"))?);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in &request.headers {
        let name = HeaderName::try_from(*name).map_err(|_| own("a header's name is none"))?;
        let mut value =
            HeaderValue::try_from(value).map_err(|_| own(&format!("the value of {name} is none")))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    if !request.body.is_empty() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(message)
}

/// Sends it and waits for the head of the answer.
async fn send(
    wire: Wire,
    message: hyper::Request<Whole>,
    url: &Url,
) -> Result<(Response<Incoming>, Driven), FetchError> {
    let failed = |error: hyper::Error| FetchError::protocol(url, explain(&error));
    let mut builder = Builder::new();
    builder.max_headers(HEADERS).max_header_size(HEAD).max_buf_size(AHEAD);
    let (mut sender, connection) = builder.handshake::<_, Whole>(wire).await.map_err(failed)?;
    let asked = sender.send_request(message);
    let mut driven = Driven { connection: Some(Box::pin(connection)), sender };
    let mut asked = std::pin::pin!(asked);
    let response = future::poll_fn(|cx| {
        driven.poll(cx);
        asked.as_mut().poll(cx)
    });
    let response = response.await.map_err(failed)?;
    Ok((response, driven))
}

/// What hyper means, for people.
fn explain(error: &hyper::Error) -> String {
    // hyper has a question for this case in its server's half only.
    if error.to_string().contains("too large") {
        format!("the head of the answer is larger than {HEAD} bytes, or has more than {HEADERS} headers")
    } else if error.is_parse_version_h2() {
        "it answers in HTTP/2 only".to_owned()
    } else if error.is_parse() {
        format!("what came is no HTTP ({error})")
    } else if error.is_incomplete_message() {
        "it closed the connection too early".to_owned()
    } else {
        std::error::Error::source(error)
            .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
    }
}
