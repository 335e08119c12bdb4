//! A question to a server that answers in JSON: its address and login as the configuration has them, and why there is no answer.
//!
//! What these probes ask about is something else than the server that they ask, so nothing here is ever "down": whoever asks says
//! what a missing answer means.
//!
//! ```text
//! GET http://127.0.0.1:9997/v3/paths/list   →  { … }
//!   401   →  "http://127.0.0.1:9997 wants a user and a password (401)"
//! ```

use super::Context;
use super::http::{self, Answer, Request, Trust, Url};
use super::login::Login;
use super::loose::{self, Loose};

/// More than any of these answers takes: a thousand clients of a stream are 70 KiB of MediaMTX's.
const MOST: usize = 2 * 1024 * 1024;

/// Whom to ask.
#[derive(Debug)]
pub(super) struct Server<'a> {
    /// With or without a slash at its end.
    pub(super) url: &'a str,
    /// Who asks.
    pub(super) login: Login<'a>,
    /// Whose certificate is believed.
    pub(super) trust: Trust,
}

/// Why there is no answer that can be read.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It could not be asked.
    Unasked(String),
    /// It answered with a status that is no success.
    Status {
        /// Who.
        origin: String,
        /// The whole answer.
        answer: Box<Answer>,
    },
    /// It answered with something else.
    Unreadable(String),
}

impl Refusal {
    /// The status, if it answered with one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { answer, .. } => Some(answer.status),
            Self::Unasked(_) | Self::Unreadable(_) => None,
        }
    }

    /// Whether asking again without somebody having changed something is only noise: the login is wrong.
    pub(super) fn is_about_login(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }

    /// For people.
    pub(super) fn why(&self, has_login: bool) -> String {
        match self {
            Self::Unasked(why) | Self::Unreadable(why) => why.clone(),
            Self::Status { origin, answer } => match (answer.status, has_login) {
                (401, false) => {
                    format!("{origin} wants a login (401); set `user` and `password`, or `token`")
                }
                (401, true) => format!("{origin} does not take the login (401)"),
                (403, _) => format!("{origin} does not let this login in (403)"),
                (404, _) => format!("{origin} has no such page (404); is the address right?"),
                (429, _) => format!("{origin} was asked too often (429)"),
                (status, _) => format!("{origin} answered with status {status}"),
            },
        }
    }
}

impl Server<'_> {
    /// Asks for a page below the address; with the answer, for its headers.
    pub(super) async fn ask<T: Loose>(
        &self,
        context: &Context,
        page: &str,
        headers: &[(&'static str, String)],
    ) -> Result<(T, Answer), Refusal> {
        let mut answer = self.fetch(context, page, headers).await?;
        let body = std::mem::take(&mut answer.body);
        let origin = answer.url.origin();
        let read = loose::parse(&body).map_err(|why| Refusal::Unreadable(format!("{origin}: {why}")))?;
        Ok((read, answer))
    }

    /// The same, for whoever reads the body himself.
    pub(super) async fn fetch(
        &self,
        context: &Context,
        page: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, Refusal> {
        let url = url(self.url, page).map_err(|why| Refusal::Unasked(format!("its address: {why}")))?;
        let origin = url.origin();
        let unasked = |error: http::FetchError| Refusal::Unasked(error.to_string());
        let login = self.login.authorization().map_err(Refusal::Unasked)?;
        let mut request = Request::get(&url);
        request.headers = headers.iter().cloned().chain(login).collect();
        request.most = MOST;
        request.redirects = 3;
        request.trust = self.trust.clone();
        request.within = context.within;
        let answer = http::fetch(context, request).await.map_err(unasked)?;
        if !answer.is_success() {
            return Err(Refusal::Status { origin, answer: Box::new(answer) });
        }
        if answer.is_cut {
            return Err(Refusal::Unreadable(format!("{origin} answers with more than {MOST} bytes")));
        }
        Ok(answer)
    }
}

/// A page below an address.
fn url(base: &str, page: &str) -> Result<Url, String> {
    Url::parse(&format!("{}/{page}", base.trim_end_matches('/')))
}

/// Objects to an address.
pub(super) fn check(url: &str) -> Result<(), (&'static str, String)> {
    let parsed = Url::parse(url).map_err(|why| ("url", format!("is no address of a server: {why}")))?;
    if parsed.target().contains('?') {
        return Err(("url", "ends where the server's own paths begin; take the query away".to_owned()));
    }
    Ok(())
}

/// An address for people.
pub(super) fn shown(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "an address that is none".to_owned(), |url| url.to_string())
}
