//! TLS over a probe's connection. The handshake goes on whatever the certificates are, so that they can be told of; whoever wants to
//! say something on the connection looks at the verdict first.
//!
//! Certificates are judged at the date that the agent believes (see `tls::verify`). Every handshake is a whole one: no tickets are kept,
//! since it is the handshake that is measured.

use super::Context;
use crate::clock::Clock;
use crate::tls::{self, Objection, Verifier, Witnessed, roots};
use crate::transport::Stream;
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{Error, RootCertStore};
use smol::lock::Mutex;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The system's authorities are read again after so long: an agent runs for years, and authorities come and go.
const FRESH: Duration = Duration::from_hours(24);

/// Whose signature on a server's certificate is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// An authority's that this system knows.
    System,
    /// One's in this file.
    Authority(PathBuf),
    /// Anybody's: a device that signs for itself, on a network of one's own.
    Anybody,
}

impl Trust {
    /// That of a probe with a file of its own, or without one.
    pub fn of(file: Option<&PathBuf>) -> Self {
        file.map_or(Self::System, |file| Self::Authority(file.clone()))
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("an authority that this system knows"),
            Self::Authority(file) => write!(f, "an authority in {}", file.display()),
            Self::Anybody => f.write_str("anybody"),
        }
    }
}

/// The authorities that this system knows, read when the first probe wants them and shared by all.
#[derive(Debug, Default)]
pub struct Authorities {
    system: Mutex<Option<(Instant, Arc<RootCertStore>)>>,
}

impl Authorities {
    async fn of_system(&self) -> Result<Arc<RootCertStore>, String> {
        let mut system = self.system.lock().await;
        let now = Clock::now();
        if let Some((read, roots)) = &*system
            && now.saturating_duration_since(*read) < FRESH
        {
            return Ok(Arc::clone(roots));
        }
        // Some hundred files, on a thread that goes away again.
        let roots = smol::unblock(|| roots::of_system("the probe's ca")).await;
        let roots = Arc::new(roots.map_err(|error| error.to_string())?);
        *system = Some((now, Arc::clone(&roots)));
        Ok(roots)
    }

    /// Those whose signature counts; none when anybody's does.
    pub(super) async fn of(&self, trust: &Trust) -> Result<Option<Arc<RootCertStore>>, String> {
        match trust {
            Trust::System => self.of_system().await.map(Some),
            // Read afresh, so that a renewed one counts at once: a few KiB that the kernel has at hand, not worth a thread.
            Trust::Authority(file) => {
                let roots = roots::from_file(file);
                roots.map(|roots| Some(Arc::new(roots))).map_err(|error| error.to_string())
            }
            Trust::Anybody => Ok(None),
        }
    }
}

/// TLS as it was agreed on.
pub struct Secured {
    /// What is said from now on.
    pub stream: TlsStream<Box<dyn Stream>>,
    /// The server's certificates, its own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// What is wrong with them, if anything. Nothing may be said before this was looked at.
    pub verdict: Result<(), SecureError>,
}

/// Why there is no TLS that could be believed.
#[derive(Debug, Clone)]
pub struct SecureError {
    /// With whom.
    pub host: String,
    /// Whose signature was wanted.
    pub trust: Trust,
    /// What is wrong.
    pub objection: Objection,
    /// The certificates that were shown, the server's own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// What is wrong, in the words of whoever found out.
    pub detail: String,
}

impl fmt::Display for SecureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, trust, objection, detail, .. } = self;
        match objection {
            Objection::Untrusted => write!(f, "the certificate of {host} is not signed by {trust}"),
            Objection::WrongName => write!(f, "the certificate is not for {host}"),
            Objection::Expired => write!(f, "the certificate of {host} has expired"),
            Objection::NotYetValid => write!(f, "the certificate of {host} is not yet valid"),
            Objection::Authority => {
                write!(
                    f,
                    "the certificate of {host} is an authority's own or signed by itself, not by {trust}"
                )
            }
            Objection::NoTls => write!(f, "{host} does not answer in TLS; is it a TLS port?"),
            Objection::Alert(_) | Objection::Other => write!(f, "TLS with {host} failed: {detail}"),
        }
    }
}

impl std::error::Error for SecureError {}

/// What ends a handshake.
#[derive(Debug)]
pub enum HandshakeError {
    /// The authorities cannot be had: nothing was asked, nothing is known.
    Own(String),
    /// The other side.
    Theirs(SecureError),
}

/// Agrees on TLS with `host`, whose certificate is to be for `name`. `protocols` are those of ALPN.
pub async fn handshake(
    context: &Context,
    stream: Box<dyn Stream>,
    name: &str,
    trust: &Trust,
    protocols: &[&str],
) -> Result<Secured, HandshakeError> {
    let server = ServerName::try_from(name.to_owned())
        .map_err(|_| HandshakeError::Own(format!("{name:?} is neither a host's name nor an address")))?;
    let verifier = match context.authorities.of(trust).await.map_err(HandshakeError::Own)? {
        Some(roots) => Verifier::witness(roots).map_err(|error| HandshakeError::Own(error.to_string()))?,
        None => Verifier::credulous(),
    };
    let verifier = Arc::new(verifier);
    verifier.at(context.surroundings.moment());
    let config = tls::client(Arc::clone(&verifier), Resumption::disabled());
    let mut config = config.map_err(|error| HandshakeError::Own(error.to_string()))?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let error = |objection, chain, detail| SecureError {
        host: name.to_owned(),
        trust: trust.clone(),
        objection,
        chain,
        detail,
    };
    match TlsConnector::from(Arc::new(config)).connect(server, stream).await {
        Ok(stream) => {
            let Witnessed { chain, verdict } =
                verifier.seen().unwrap_or(Witnessed { chain: Vec::new(), verdict: Ok(()) });
            let verdict = verdict.map_err(|why| error(Objection::of(&why), chain.clone(), why.to_string()));
            Ok(Secured { stream, chain, verdict })
        }
        Err(why) => {
            let inner = why.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
            let objection = inner.map_or(Objection::Other, Objection::of);
            let chain = verifier.seen().map(|seen| seen.chain).unwrap_or_default();
            Err(HandshakeError::Theirs(error(objection, chain, why.to_string())))
        }
    }
}
