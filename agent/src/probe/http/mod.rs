//! HTTP/1.1 as probes ask it: one request on a connection of its own, everything bounded, every phase timed.
//!
//! [`fetch`] follows redirects and takes the whole answer, up to so many bytes; [`open`] gives the head, and the body piece by piece, for
//! whoever does not want to keep it. hyper speaks the protocol, over the streams of [`dial`](super::dial) and
//! [`secure`](super::secure); there is no pool, no cookie, no compression, no HTTP/2.
//!
//! Invariants: nothing is sent to a server whose certificate is not believed; a login goes to no other host, whatever a redirect says; whatever
//! the server sends, no more than [`HEAD`] of a head and [`Request::most`] of a body are kept, and nothing goes on after
//! [`Request::within`].
//!
//! ```text
//! GET https://cam.example/status   →  200, 412 bytes
//!   resolve 2.1 ms · connect 0.8 ms · tls 12.4 ms · first byte 3.0 ms · transfer 0.1 ms
//! ```

mod error;
mod reply;
#[cfg(test)]
pub(crate) mod server;
pub(crate) mod url;
mod wire;

pub use super::secure::Trust;
pub use error::{FetchError, Step};
pub use hyper::Method;
pub use reply::{HEAD, Reply};
pub use url::Url;

use super::Context;
use async_io::Timer;
use futures_lite::future;
use hyper::HeaderMap;
use rustls::pki_types::CertificateDer;
use std::cell::Cell;
use std::time::Duration;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The page.
    pub url: &'a Url,
    /// How.
    pub method: Method,
    /// Headers besides `host`, `user-agent` and `accept`; they are left out once a redirect leads to another host.
    pub headers: Vec<(&'a str, String)>,
    /// What is sent along, if anything.
    pub body: Vec<u8>,
    /// So many bytes of the answer's body are taken; the rest is not even waited for.
    pub most: usize,
    /// Whether what is taken is kept, or only counted.
    pub is_kept: bool,
    /// So many redirects are followed. With none, a redirect is an answer like any other.
    pub redirects: u8,
    /// Whose certificate is believed.
    pub trust: Trust,
    /// When to give up.
    pub within: Duration,
}

impl<'a> Request<'a> {
    /// A page's content: 1 MiB at most, within 10 s, 5 redirects.
    pub const fn get(url: &'a Url) -> Self {
        Self {
            url,
            method: Method::GET,
            headers: Vec::new(),
            body: Vec::new(),
            most: 1024 * 1024,
            is_kept: true,
            redirects: 5,
            trust: Trust::System,
            within: Duration::from_secs(10),
        }
    }
}

/// How long each part took, over all redirects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// Until the name had an address.
    pub resolve: Duration,
    /// Until the connection stood.
    pub connect: Duration,
    /// Until TLS was agreed on; nothing without TLS.
    pub tls: Duration,
    /// From the request to the head of the answer.
    pub first_byte: Duration,
    /// From there to the end of what was kept.
    pub transfer: Duration,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `200`.
    pub status: u16,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// As much of its body as was to be taken, if it was to be kept.
    pub body: Vec<u8>,
    /// How many bytes were taken.
    pub length: usize,
    /// Whether there was more.
    pub is_cut: bool,
    /// Who answered in the end.
    pub url: Url,
    /// How many redirects led there.
    pub redirects: u8,
    /// How long it took.
    pub phases: Phases,
    /// The server's certificates, its own first; none without TLS.
    pub chain: Vec<CertificateDer<'static>>,
}

impl Answer {
    /// A header's value, if there is one in ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether it is a success: 200 to 299.
    pub const fn is_success(&self) -> bool {
        self.status / 100 == 2
    }

    /// The body as JSON, or why it is none: one sentence that shows nothing of it.
    pub fn json(&self) -> Result<serde_json::Value, String> {
        let start = self.body.iter().find(|byte| !byte.is_ascii_whitespace());
        if start == Some(&b'<') {
            return Err(format!("{} gave a page of HTML or XML instead of JSON", self.url.origin()));
        }
        if self.is_cut {
            return Err(format!(
                "{} gave more than the {} bytes of JSON that are taken",
                self.url.origin(),
                self.length
            ));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            format!(
                "{} gave no JSON: wrong at byte {} of line {}",
                self.url.origin(),
                error.column(),
                error.line()
            )
        })
    }
}

/// Asks, follows redirects, and takes the answer.
pub async fn fetch(context: &Context, request: Request<'_>) -> Result<Answer, FetchError> {
    let step = Cell::new(Step::Connect);
    let (origin, within) = (request.url.origin(), request.within);
    let work = async {
        let mut reply = reply::follow(context, &request, &step).await?;
        step.set(Step::Transfer);
        let mut body = Vec::new();
        let (mut length, mut is_cut) = (0, false);
        while let Some(piece) = reply.piece().await? {
            let room = request.most - length;
            is_cut = piece.len() > room;
            let taken = piece.get(..room).unwrap_or(&piece);
            length += taken.len();
            if request.is_kept {
                body.extend_from_slice(taken);
            }
            if is_cut {
                break;
            }
        }
        Ok(reply.into_answer(body, length, is_cut))
    };
    in_time(within, work, || late(origin, &step, within)).await
}

/// Asks, follows redirects, and gives the answer once its head is there; [`Request::within`] ends there, too.
pub async fn open(context: &Context, request: Request<'_>) -> Result<Reply, FetchError> {
    let step = Cell::new(Step::Connect);
    let (origin, within) = (request.url.origin(), request.within);
    let work = reply::follow(context, &request, &step);
    in_time(within, work, || late(origin, &step, within)).await
}

fn late(origin: String, step: &Cell<Step>, within: Duration) -> FetchError {
    FetchError::Late { origin, step: step.get(), within }
}

async fn in_time<T>(
    within: Duration,
    work: impl Future<Output = Result<T, FetchError>>,
    late: impl FnOnce() -> FetchError,
) -> Result<T, FetchError> {
    let result = future::or(async { Some(work.await) }, async {
        Timer::after(within).await;
        None
    });
    result.await.unwrap_or_else(|| Err(late()))
}

#[cfg(test)]
mod tests;
