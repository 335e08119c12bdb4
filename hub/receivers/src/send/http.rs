//! One HTTP client for one receiver: TLS that is verified, times for everything, a bound on what is read, and no redirects.
//!
//! Not here: what an answer means. hyper speaks HTTP/1.1; the connections are ours, because one receiver has one request at a time, and so one
//! connection. A proxy is used where the configuration names one, and nowhere else.
//!
//! Invariant: no error names more of a URL than its host; whatever the other side does, a call ends within [`Limits::whole`], and
//! [`Limits::body`] bytes of an answer are kept.
//!
//! ```text
//! POST https://hooks.example.org/… → 429, Retry-After: 3, "rate limited"
//! ```

use super::dial::{DialError, Dialer, Stream};
use super::place::{Place, Target};
use super::trust::Trust;
use crate::{Hidden, HttpParcel};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{
    CONTENT_LENGTH, HOST, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION, RETRY_AFTER,
};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// A connection that was not used for so long may be one that the other side has given up.
const IDLE: Duration = Duration::from_secs(15);
/// A head of an answer is not larger.
const HEAD: usize = 64 << 10;

/// How long and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a name, TCP and TLS.
    pub connect: Duration,
    /// For all of it, up to the head of the answer.
    pub whole: Duration,
    /// For the body behind the head; what came by then is taken.
    pub rest: Duration,
    /// Bytes of the body.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            whole: Duration::from_secs(30),
            rest: Duration::from_secs(3),
            body: 64 << 10,
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The body, or its beginning.
    pub body: Vec<u8>,
    /// The host that a redirect points to.
    pub points_to: Option<String>,
}

/// Why nothing came back.
#[derive(Debug)]
pub enum HttpError {
    /// The URL is none.
    Url(&'static str),
    /// A header cannot be sent.
    Header(&'static str),
    /// There is no connection.
    Dial(String, DialError),
    /// It ended early.
    Broken(String, hyper::Error),
    /// No answer came.
    Silent(String, Duration),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(why) => write!(f, "{why}; correct the receiver's `url`"),
            Self::Header(name) => {
                write!(f, "the header {name} cannot be sent: it has characters that no header may have")
            }
            Self::Dial(place, error) => write!(f, "{place}: {error}"),
            Self::Broken(place, error) => write!(f, "{place}: the connection broke: {error}"),
            Self::Silent(place, within) => write!(f, "{place}: no answer within {} s", within.as_secs()),
        }
    }
}

impl std::error::Error for HttpError {}

/// The client.
pub struct HttpClient {
    dialer: Dialer,
    limits: Limits,
    idle: Mutex<Option<Idle>>,
}

struct Idle {
    place: Place,
    line: Line,
    since: Instant,
}

/// A connection. It is cut when this is dropped, whatever the other side still says.
struct Line {
    sender: SendRequest<Full<Bytes>>,
    task: AbortHandle,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client without a connection.
    pub fn new(trust: &Trust, proxy: Option<Proxy>, limits: Limits) -> Self {
        Self { dialer: Dialer::new(trust, proxy, limits.connect), limits, idle: Mutex::new(None) }
    }

    /// Sends a request, and returns what came back.
    pub async fn send(&self, parcel: &HttpParcel) -> Result<Reply, HttpError> {
        let target = Target::parse(parcel.url.expose()).map_err(HttpError::Url)?;
        let request = self.request(parcel, &target)?;
        let until = Instant::now() + self.limits.whole;
        let answer = timeout_at(until, self.exchange(&target.place, request)).await;
        let (answer, line) =
            answer.map_err(|_| HttpError::Silent(target.place.to_string(), self.limits.whole))??;
        Ok(self.read(answer, line, target.place).await)
    }

    async fn exchange(
        &self,
        place: &Place,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Line), HttpError> {
        if let Some(mut line) = self.reused(place).await {
            match line.sender.try_send_request(request).await {
                Ok(answer) => return Ok((answer, line)),
                // It was closed while nobody looked, and nothing of the request has left.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(HttpError::Broken(place.to_string(), error.into_error())),
                },
            }
        }
        let mut line = self.line(place).await?;
        let answer = line.sender.send_request(request).await;
        answer.map(|answer| (answer, line)).map_err(|error| HttpError::Broken(place.to_string(), error))
    }

    async fn reused(&self, place: &Place) -> Option<Line> {
        let mut idle = self.idle.lock().await.take()?;
        let fits = idle.place == *place && idle.since.elapsed() < IDLE;
        (fits && idle.line.sender.ready().await.is_ok()).then_some(idle.line)
    }

    async fn line(&self, place: &Place) -> Result<Line, HttpError> {
        let stream =
            self.dialer.dial(place).await.map_err(|error| HttpError::Dial(place.to_string(), error))?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD)
            .handshake::<TokioIo<Stream>, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|error| HttpError::Broken(place.to_string(), error))?;
        // What ends it is told to whoever waits for an answer.
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Line { sender, task: task.abort_handle() })
    }

    /// Reads the body, as far as it comes in time, and keeps the connection if it came to its end.
    async fn read(&self, answer: Response<Incoming>, line: Line, place: Place) -> Reply {
        let text = |name| answer.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let mut reply = Reply {
            status: answer.status().as_u16(),
            retry_after: text(RETRY_AFTER).map(str::to_owned),
            body: Vec::new(),
            points_to: text(LOCATION).map(|to| {
                Target::parse(to).map_or_else(|_| place.to_string(), |target| target.place.to_string())
            }),
        };
        let mut body = answer.into_body();
        let reading = async {
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                let Some(data) = frame.data_ref() else { continue };
                let room = self.limits.body - reply.body.len();
                reply.body.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return false;
                }
            }
            true
        };
        let whole = timeout(self.limits.rest, reading).await.unwrap_or(false);
        if whole {
            *self.idle.lock().await = Some(Idle { place, line, since: Instant::now() });
        }
        reply
    }

    fn request(&self, parcel: &HttpParcel, target: &Target) -> Result<Request<Full<Bytes>>, HttpError> {
        // Through a proxy, a request without TLS names the whole URL.
        let by_proxy = self.dialer.proxy().filter(|_| !target.place.is_tls);
        let uri = match by_proxy {
            Some(_) => format!("http://{}{}", target.place, target.path),
            None => target.path.clone(),
        };
        let value = |text: &str| HeaderValue::from_str(text).ok();
        let host = value(&target.place.authority()).ok_or(HttpError::Header("Host"))?;
        let length = HeaderValue::from(parcel.body.len());
        let mut request = Request::builder()
            .method(parcel.method.as_str())
            .uri(uri)
            .header(HOST, host)
            .header(CONTENT_LENGTH, length);
        for (name, text) in &parcel.headers {
            let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HttpError::Header(name))?;
            let mut value = value(text).ok_or(HttpError::Header(name))?;
            value.set_sensitive(true);
            request = request.header(known, value);
        }
        if let Some(login) = by_proxy.and_then(Proxy::authorization) {
            let value = value(login).ok_or(HttpError::Header("Proxy-Authorization"))?;
            request = request.header(PROXY_AUTHORIZATION, value);
        }
        let body = Full::new(Bytes::from(parcel.body.clone()));
        request.body(body).map_err(|_| HttpError::Url("the URL cannot be read"))
    }
}

/// A proxy that requests go through.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<Hidden>,
}

impl Proxy {
    pub(super) fn authorization(&self) -> Option<&str> {
        self.authorization.as_ref().map(Hidden::expose)
    }
}
