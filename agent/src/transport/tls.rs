//! TLS by rustls with ring: the certificates that are believed, and one allowance for a Pi without a clock.
//!
//! Certificates are judged at the date that the agent believes, not at the one that the system shows: a clock that somebody set
//! to 2031 has expired nothing. A Pi that has just started in a venue that blocks NTP believes nothing, and its system that it is
//! 1970 or the day of its last shutdown: every certificate is "not yet valid". Until NTP has vouched for a date, that objection, and no
//! other, does not count: the chain is verified once more at the beginning of that certificate's validity. Signature, name,
//! purpose and expiry (as of then) are checked as ever.

use super::Stream;
use crate::clock::Moment;
use crate::config::Tls;
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A chain has at most this many certificates that each may begin later than the one before.
const CHAIN: usize = 8;

/// What is wrong with TLS: one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError(String);

impl TlsError {
    pub(super) fn timeout(name: &str, time: Duration) -> Self {
        Self(format!("{name} did not finish the TLS handshake within {time:?}; is it a TLS port?"))
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// Makes TLS of a stream.
pub(super) struct TlsClient {
    connector: TlsConnector,
    server: ServerName<'static>,
    name: String,
    authority: String,
    date: Date,
}

/// The moment of the handshake under way; `None` before the first.
type Date = Arc<Mutex<Option<Moment>>>;

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
            Some(file) => (roots_from(file)?, format!("an authority in {}", file.display())),
            None => (system_roots()?, "an authority that this system knows".to_owned()),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        let inner = verifier
            .map_err(|error| TlsError(format!("the authorities' certificates are unusable: {error}")))?;
        let date = Date::default();
        let verifier = ClocklessVerifier { inner, date: Arc::clone(&date) };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(format!("TLS cannot be set up: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // One broker, one ticket or two; the default keeps room for 256 servers.
        config.resumption = Resumption::in_memory_sessions(4);
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server, name, authority, date })
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
        *self.date.lock().unwrap_or_else(PoisonError::into_inner) = Some(moment);
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
        match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                format!("the certificate of {name} is not signed by {authority}; check mqtt.tls.ca")
            }
            Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => format!("the certificate is not for {name}; check mqtt.tls.server_name"),
            Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => {
                format!("the certificate of {name} has expired; renew it on the broker")
            }
            Error::InvalidCertificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            ) => format!("the certificate of {name} is not yet valid; check this machine's clock"),
            // What webpki says is wrapped twice, and not to be had otherwise.
            Error::InvalidCertificate(CertificateError::Other(other))
                if format!("{other:?}").contains("CaUsedAsEndEntity") =>
            {
                format!(
                    "the certificate of {name} is an authority's own; sign one for {name} with it, and give that to the \
                     broker"
                )
            }
            Error::InvalidMessage(_) => format!("{name} does not answer in TLS; is it a TLS port?"),
            other => format!("TLS with {name} failed: {other}"),
        }
    }
}

fn roots_from(file: &Path) -> Result<RootCertStore, TlsError> {
    let shown = file.display();
    let unreadable =
        |error: &dyn fmt::Display| TlsError(format!("cannot read certificates from {shown}: {error}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() {
        return Err(TlsError(format!("{shown} has no certificate in PEM form")));
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A store has odd old certificates among the good ones; those are left out, as everywhere.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(|| "none were found".to_owned(), ToString::to_string);
        return Err(TlsError(format!(
            "this system has no certificates of authorities ({why}); install ca-certificates, or set mqtt.tls.ca"
        )));
    }
    Ok(roots)
}

/// The allowance of this file's head.
#[derive(Debug)]
struct ClocklessVerifier {
    inner: Arc<WebPkiServerVerifier>,
    date: Date,
}

impl ServerCertVerifier for ClocklessVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify =
            |at| self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at);
        let moment = *self.date.lock().unwrap_or_else(PoisonError::into_inner);
        let believed = moment.filter(|moment| moment.known);
        let is_vouched = believed.is_some_and(|moment| moment.disciplined);
        let mut at =
            believed.map_or(now, |moment| UnixTime::since_unix_epoch(Duration::from_millis(moment.utc_ms)));
        let mut result = verify(at);
        for _ in 0..CHAIN {
            match result {
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before, ..
                })) if not_before > at && !is_vouched => {
                    at = not_before;
                    result = verify(at);
                }
                _ => break,
            }
        }
        result
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
