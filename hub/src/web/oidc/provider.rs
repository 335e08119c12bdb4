//! The provider, as the hub asks it: over which HTTP, how often, and what is remembered of it.
//!
//! Its description and keys are had when somebody wants to log in, and kept for an hour; when it does not answer then, those that are there go on being
//! used. A token that was signed with a key that is not among them has the keys asked for anew, once a minute at most, so that a provider that changes its keys
//! shuts nobody out and a made-up key asks it nothing.
//!
//! Invariant: a provider that is down, slow or hostile costs whoever logs in through it a login, and the hub nothing: answers end at 256 KiB and 10 s.

use super::config::{OidcConfig, is_private};
use crate::clock;
use crate::notify::address::{own_trust, proxy_of};
use rackside_access::Begun;
use rackside_oidc::http::{Response, header};
use rackside_oidc::{Claims, Grant, HttpRequest, HttpResponse, Known, LoginError, Registration, TokenFault};
use rackside_receivers::send::{HttpClient, HttpError, Limits, Trust};
use rackside_receivers::{Hidden, HttpParcel, Method};
use std::fmt;
use std::pin::Pin;
use std::sync::Mutex as StdMutex;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    whole: Duration::from_secs(10),
    rest: Duration::from_secs(5),
    body: 256 << 10,
};
/// What the provider said of itself is asked for again after this.
const FRESH: Duration = Duration::from_hours(1);
/// A provider that has just not answered is not asked again before.
const PAUSE: Duration = Duration::from_secs(5);
/// Keys are not asked for more often.
const KEYS: Duration = Duration::from_mins(1);

/// Why nothing came back, whatever was asked.
#[derive(Debug)]
pub(super) enum AskError {
    /// It cannot be asked over such a line.
    Open(String),
    /// HTTP.
    Http(HttpError),
    /// More than is read.
    Large,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(host) => {
                write!(f, "it is to be asked at {host} without TLS, where anybody could answer")
            }
            Self::Http(error) => error.fmt(f),
            Self::Large => write!(f, "its answer is larger than {} KiB", LIMITS.body >> 10),
        }
    }
}

impl std::error::Error for AskError {}

/// HTTP for `openidconnect`.
#[derive(Debug)]
struct Asking(HttpClient);

impl Asking {
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, AskError> {
        let url = request.uri().to_string();
        if !is_private(&url) {
            return Err(AskError::Open(request.uri().host().unwrap_or_default().to_owned()));
        }
        let value = |name: header::HeaderName| {
            let text = request.headers().get(&name)?.to_str().ok()?;
            Some(text.to_owned())
        };
        let mut headers = vec![("User-Agent", format!("rackside-hub/{}", env!("CARGO_PKG_VERSION")))];
        for (name, of) in [
            ("Accept", header::ACCEPT),
            ("Authorization", header::AUTHORIZATION),
            ("Content-Type", header::CONTENT_TYPE),
        ] {
            headers.extend(value(of).map(|text| (name, text)));
        }
        let method = if request.method() == "POST" { Method::Post } else { Method::Get };
        let parcel = HttpParcel { method, url: Hidden::new(url), headers, body: request.into_body() };
        let reply = self.0.send(&parcel).await.map_err(AskError::Http)?;
        if reply.body.len() >= LIMITS.body {
            return Err(AskError::Large);
        }
        let mut response = Response::new(reply.body);
        *response.status_mut() = reply.status.try_into().unwrap_or_default();
        Ok(response)
    }
}

/// As `openidconnect` wants it.
struct Client<'a>(&'a Asking);

impl<'c> rackside_oidc::AsyncHttpClient<'c> for Client<'_> {
    type Error = AskError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, AskError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.0.ask(request))
    }
}

/// What is remembered.
#[derive(Debug, Default)]
struct Memory {
    known: Option<(Known, Instant)>,
    /// When it last did not answer, and why.
    failed: Option<(Instant, LoginError)>,
    keys_at: Option<Instant>,
}

fn since(at: Instant) -> Duration {
    clock::now().instant.duration_since(at)
}

/// The provider.
#[derive(Debug)]
pub(in crate::web) struct Provider {
    config: OidcConfig,
    registration: Registration,
    grants: Vec<Grant>,
    asking: Asking,
    memory: Mutex<Memory>,
    /// Where one logs out of it; known once it has been asked.
    way_out: StdMutex<Option<String>>,
}

impl Provider {
    /// The configuration's; or why it cannot be. Reads files.
    pub(in crate::web) fn new(config: &OidcConfig) -> Result<Self, String> {
        let secret = config.client_secret.as_ref().map(rackside_config::Secret::read).transpose();
        let secret = secret.map_err(|error| error.to_string())?;
        let secret = secret.as_ref().map(rackside_config::SecretText::expose);
        let registration = Registration::new(&config.issuer, &config.client_id, secret, &config.scopes)
            .map_err(|why| format!("`issuer` {why}"))?;
        let trust = match &config.ca {
            Some(file) => own_trust(file)?,
            None => Trust::of_the_system().map_err(|error| error.to_string())?,
        };
        let proxy = config.proxy.as_ref().map(proxy_of).transpose()?;
        Ok(Self {
            grants: config.grants(),
            config: config.clone(),
            registration,
            asking: Asking(HttpClient::new(&trust, proxy, LIMITS)),
            memory: Mutex::default(),
            way_out: StdMutex::default(),
        })
    }

    /// What was configured.
    pub(in crate::web) const fn config(&self) -> &OidcConfig {
        &self.config
    }

    /// What claims come to.
    pub(super) fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Where one logs out of it, coming back to `back`, if that is known.
    pub(in crate::web) fn way_out(&self) -> Option<String> {
        self.way_out.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    async fn known(&self, back: &str) -> Result<Known, LoginError> {
        let mut memory = self.memory.lock().await;
        if let Some((known, at)) = &memory.known
            && since(*at) < FRESH
        {
            return Ok(known.clone());
        }
        if let Some((at, error)) = &memory.failed
            && since(*at) < PAUSE
        {
            return memory.known.as_ref().map(|(known, _)| known.clone()).ok_or_else(|| error.clone());
        }
        match self.registration.discover(&Client(&self.asking)).await {
            Ok(known) => {
                memory.failed = None;
                memory.keys_at = Some(clock::now().instant);
                memory.known = Some((known.clone(), clock::now().instant));
                let out = back.trim_end_matches("/back");
                *self.way_out.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                    self.registration.way_out(&known, out);
                Ok(known)
            }
            Err(error) => {
                log::warn!("users: {}: {error}", self.config.issuer);
                memory.failed = Some((clock::now().instant, error.clone()));
                memory.known.as_ref().map(|(known, _)| known.clone()).ok_or(error)
            }
        }
    }

    /// The same with its keys of now, unless these were asked for a moment ago.
    async fn renewed(&self, known: Known) -> Result<Known, LoginError> {
        let mut memory = self.memory.lock().await;
        if memory.keys_at.is_some_and(|at| since(at) < KEYS) {
            return Ok(memory.known.as_ref().map_or(known, |(known, _)| known.clone()));
        }
        memory.keys_at = Some(clock::now().instant);
        let known = self.registration.renew(&known, &Client(&self.asking)).await?;
        if let Some((before, _)) = &mut memory.known {
            before.clone_from(&known);
        }
        Ok(known)
    }

    /// Where a browser goes to log in.
    pub(super) async fn way(&self, begun: &Begun, back: &str) -> Result<String, LoginError> {
        self.registration.way(&self.known(back).await?, begun, back)
    }

    /// What the provider vouches for, for a code that came back.
    pub(super) async fn vouched(
        &self,
        begun: &Begun,
        code: &str,
        back: &str,
        now: i64,
    ) -> Result<Claims, LoginError> {
        let client = Client(&self.asking);
        let mut known = self.known(back).await?;
        let redeemed = self.registration.redeem(&known, begun, code, back, &client).await?;
        let mut claims = self.registration.vouched(&known, &redeemed, begun, now);
        if matches!(claims, Err(LoginError::Token(TokenFault::UnknownKey | TokenFault::Signature))) {
            known = self.renewed(known).await?;
            claims = self.registration.vouched(&known, &redeemed, begun, now);
        }
        let claims = claims?;
        let lacks = |claim: &str| claims.find(claim).is_none();
        if lacks(&self.config.name) || self.grants.iter().any(|grant| lacks(&grant.claim)) {
            return self.registration.completed(&known, &redeemed, claims, &client).await;
        }
        Ok(claims)
    }
}
