//! TLS to the broker: whom the configuration believes, tickets for coming back quickly, and objections in words that name its keys.

use super::Stream;
use crate::clock::Moment;
use crate::config::Tls;
use crate::tls::{self, Objection, TlsError, Verifier, roots};
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn timeout(name: &str, time: Duration) -> TlsError {
    TlsError(format!("{name} did not finish the TLS handshake within {time:?}; is it a TLS port?"))
}

/// Makes TLS of a stream.
pub(super) struct TlsClient {
    connector: TlsConnector,
    verifier: Arc<Verifier>,
    server: ServerName<'static>,
    name: String,
    /// Who should have signed the server's certificate, and what to do if somebody else has.
    authority: String,
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
            Some(file) => {
                (roots::from_file(file)?, format!("an authority in {}; check mqtt.tls.ca", file.display()))
            }
            None => (
                roots::of_system("mqtt.tls.ca")?,
                "an authority that this system knows; check mqtt.tls.ca".to_owned(),
            ),
        };
        let verifier = Arc::new(Verifier::strict(Arc::new(roots))?);
        // One broker, one ticket or two; the default keeps room for 256 servers.
        let config = tls::client(Arc::clone(&verifier), Resumption::in_memory_sessions(4))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), verifier, server, name, authority })
    }

    /// For a joined box: all of its hosts share what is believed, what is shown, and the tickets.
    pub(super) fn of_identity(
        verifier: &Arc<Verifier>,
        config: &Arc<ClientConfig>,
        host: &str,
    ) -> Result<Self, TlsError> {
        let server = ServerName::try_from(host.to_owned())
            .map_err(|_| TlsError(format!("{host:?} is neither a host's name nor an address")))?;
        let authority = "the hub that this box joined: the address leads to another one, or a proxy that opens TLS stands in between";
        Ok(Self {
            connector: TlsConnector::from(Arc::clone(config)),
            verifier: Arc::clone(verifier),
            server,
            name: host.to_owned(),
            authority: authority.to_owned(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// One at a time.
    pub(super) async fn handshake<S: Stream>(
        &self,
        stream: S,
        moment: Moment,
    ) -> Result<TlsStream<S>, TlsError> {
        self.verifier.at(Some(moment));
        self.connector.connect(self.server.clone(), stream).await.map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
            TlsError(inner.map_or_else(
                || format!("{} gave up the TLS handshake ({error}); is it a TLS port?", self.name),
                |inner| self.explain(inner),
            ))
        })
    }

    /// The cases that people meet, in their words.
    fn explain(&self, error: &Error) -> String {
        let Self { name, authority, .. } = self;
        match Objection::of(error) {
            Objection::Untrusted => {
                format!("the certificate of {name} is not signed by {authority}")
            }
            Objection::WrongName => {
                format!("the certificate is not for {name}; check mqtt.tls.server_name")
            }
            Objection::Expired => {
                format!("the certificate of {name} has expired; renew it on the broker")
            }
            Objection::NotYetValid => {
                format!("the certificate of {name} is not yet valid; check this machine's clock")
            }
            Objection::Authority => format!(
                "the certificate of {name} is an authority's own; sign one for {name} with it, and give that to the broker"
            ),
            Objection::NoTls => format!("{name} does not answer in TLS; is it a TLS port?"),
            Objection::Other => format!("TLS with {name} failed: {error}"),
        }
    }
}
