//! TLS to the broker: whom the configuration believes, tickets for coming back quickly, and objections in words that name its keys.

use super::Stream;
use crate::clock::Moment;
use crate::config::Tls;
use crate::probe::certificate::Certificate;
use crate::tls::{self, Objection, TlsError, Verifier, alert, roots};
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no TLS.
#[derive(Debug)]
pub struct Distrust {
    /// Of which kind that is.
    pub objection: Objection,
    /// In one sentence.
    pub text: String,
}

pub(super) fn timeout(name: &str, time: Duration) -> Distrust {
    let text = format!("{name} did not finish the TLS handshake within {time:?}; is it a TLS port?");
    Distrust { objection: Objection::Other, text }
}

/// Makes TLS of a stream.
pub(super) struct TlsClient {
    connector: TlsConnector,
    verifier: Arc<Verifier>,
    server: ServerName<'static>,
    name: String,
    /// Who should have signed the server's certificate.
    authority: String,
    /// What it is or what to do if somebody else has.
    otherwise: &'static str,
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TlsClient {
    /// Reads the authorities' certificates. `host` is the name to expect unless another is configured.
    pub(super) fn new(tls: &Tls, host: &str) -> Result<Self, TlsError> {
        let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
        let server = ServerName::try_from(name.clone());
        let server =
            server.map_err(|_| TlsError(format!("{name:?} is neither a host's name nor an address")))?;
        let (roots, authority) = match &tls.ca {
            Some(file) => (roots::from_file(file)?, format!("an authority in {}", file.display())),
            None => (roots::of_system("mqtt.tls.ca")?, "an authority that this system knows".to_owned()),
        };
        let verifier = Arc::new(Verifier::strict(Arc::new(roots))?);
        // One broker, one ticket or two; the default keeps room for 256 servers.
        let config = tls::client(Arc::clone(&verifier), Resumption::in_memory_sessions(4))?;
        let (connector, otherwise) = (TlsConnector::from(Arc::new(config)), "; check mqtt.tls.ca");
        Ok(Self { connector, verifier, server, name, authority, otherwise })
    }

    /// For a joined box: all of its hosts share what is believed, what is shown, and the tickets.
    pub(super) fn of_identity(
        verifier: &Arc<Verifier>,
        config: &Arc<ClientConfig>,
        host: &str,
    ) -> Result<Self, TlsError> {
        let server = ServerName::try_from(host.to_owned())
            .map_err(|_| TlsError(format!("{host:?} is neither a host's name nor an address")))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::clone(config)),
            verifier: Arc::clone(verifier),
            server,
            name: host.to_owned(),
            authority: "the hub that this box joined".to_owned(),
            otherwise: ": a proxy that opens TLS stands in between, or the address leads to another hub",
        })
    }

    /// Whoever answers is believed: what counts goes in TLS of its own, inside.
    pub(super) fn of_anybody(host: &str) -> Result<Self, TlsError> {
        let verifier = Arc::new(Verifier::credulous());
        let config = Arc::new(tls::client(Arc::clone(&verifier), Resumption::in_memory_sessions(4))?);
        Self::of_identity(&verifier, &config, host)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// One at a time.
    pub(super) async fn handshake(
        &self,
        stream: Box<dyn Stream>,
        moment: Moment,
    ) -> Result<TlsStream<Box<dyn Stream>>, Distrust> {
        self.verifier.at(Some(moment));
        self.connector.connect(self.server.clone(), stream).await.map_err(|error| {
            if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
                let objection = Objection::of(inner);
                return Distrust { objection, text: self.explain(objection, inner) };
            }
            let text = format!("{} gave up the TLS handshake ({error}); is it a TLS port?", self.name);
            Distrust { objection: Objection::Other, text }
        })
    }

    /// Who has signed what was shown, if that can be told.
    fn issuer(&self) -> Option<String> {
        let seen = self.verifier.seen()?;
        let issuer = Certificate::read(seen.chain.first()?)?.issuer;
        (!issuer.is_empty()).then_some(issuer)
    }

    /// The cases that people meet, in their words.
    fn explain(&self, objection: Objection, error: &Error) -> String {
        let Self { name, authority, otherwise, .. } = self;
        match objection {
            Objection::Untrusted => {
                let by = self.issuer().map_or_else(String::new, |issuer| format!(", but by {issuer:?}"));
                format!("the certificate of {name} is not signed by {authority}{by}{otherwise}")
            }
            Objection::WrongName => {
                format!("the certificate is not for {name}; check mqtt.tls.server_name")
            }
            Objection::Expired => {
                format!(
                    "the certificate of {name} has expired by this machine's clock; check that, or renew it on the broker"
                )
            }
            Objection::NotYetValid => {
                format!("the certificate of {name} is not yet valid; check this machine's clock")
            }
            Objection::Authority => format!(
                "the certificate of {name} is an authority's own; sign one for {name} with it, and give that to the broker"
            ),
            Objection::NoTls => format!("{name} does not answer in TLS; is it a TLS port?"),
            Objection::Alert(alert) => {
                alert::words(alert, name).unwrap_or_else(|| format!("TLS with {name} failed: {error}"))
            }
            Objection::Other => format!("TLS with {name} failed: {error}"),
        }
    }
}
