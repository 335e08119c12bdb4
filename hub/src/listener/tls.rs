//! The listener's certificates, its keys, and the terms of its handshakes.
//!
//! TLS 1.2 and 1.3 by rustls on ring. Tickets are on, so that thousands of agents that come back after a restart of
//! their link do not each cost a full handshake; their key lives in the process and rotates by rustls's own clock.
//! Handshakes run in the connections' own tasks, with a time limit: an idle socket keeps nobody waiting.
//!
//! Who has joined believes the hub's own authority and nobody else, and says so by the protocol's name that it offers (ALPN, [`JOINED`]): it is shown a
//! certificate of that authority, everybody else the one that is configured, if one is. A client's certificate is asked for and need not
//! be given; one that is given has to be ours, and good.

use super::config::TlsConfig;
use crate::clock;
use crate::identity::Identities;
use rackside_identity::{Credential, ServerCertificate, Standing};
use rackside_proto::join::ALPN as JOINED;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;

/// The listener's own certificate is made anew when so much of its time is left, in milliseconds.
const RENEW: i64 = 30 * 24 * 60 * 60 * 1000;

/// Why TLS cannot be offered.
#[derive(Debug)]
pub enum TlsError {
    /// The certificate file cannot be read, or holds no certificate.
    Certificate {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The key file cannot be read, or holds no private key.
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Both were read and do not go together, or rustls cannot use them.
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// One of the two is not given.
    Half,
    /// None is given, and there is no authority that could give one.
    NoAuthority,
    /// rustls cannot use what the authority gives.
    Own(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { path, why } => {
                write!(
                    f,
                    "listener.tls.certificate: {}: {why}; it should be a PEM certificate chain",
                    path.display()
                )
            }
            Self::Key { path, why } => {
                write!(f, "listener.tls.key: {}: {why}; it should be a PEM private key", path.display())
            }
            Self::Unusable { path, why } => {
                write!(f, "listener.tls: {} and its key cannot be used: {why}", path.display())
            }
            Self::Half => f.write_str(
                "listener.tls: `certificate` and `key` go together; leave both out for a certificate of the hub's own authority",
            ),
            Self::NoAuthority => f.write_str(
                "listener.tls: there is neither a `certificate` nor an authority of the hub's own that could give one",
            ),
            Self::Own(why) => write!(f, "listener.tls: the hub's own certificate cannot be used: {why}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// The files that are configured.
fn files(config: &TlsConfig) -> Result<Option<(&Path, &Path)>, TlsError> {
    match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        _ => Err(TlsError::Half),
    }
}

/// Reads certificate and key.
fn read(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let no_certificate = |why: String| TlsError::Certificate { path: certificate.to_owned(), why };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| no_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(no_certificate("no certificate in it".into()));
    }
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| TlsError::Key { path: key.to_owned(), why: error.to_string() })?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| TlsError::Unusable { path: certificate.to_owned(), why: error.to_string() })
}

/// Looks at what is configured, without an authority.
pub(super) fn check(config: &TlsConfig) -> Result<(), TlsError> {
    files(config)?
        .map_or(Ok(()), |(certificate, key)| read(certificate, key, &ring::default_provider()).map(drop))
}

/// Reads certificate and key, or has the authority give some.
pub(super) fn acceptor(config: &TlsConfig, identities: Option<&Identities>) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let configured =
        files(config)?.map(|(certificate, key)| read(certificate, key, &provider)).transpose()?;
    let own = identities.map(|identities| Own::new(identities.clone(), Arc::clone(&provider))).transpose()?;
    if configured.is_none() && own.is_none() {
        return Err(TlsError::NoAuthority);
    }
    let of_rustls = |error: rustls::Error| TlsError::Own(error.to_string());
    let terms = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(of_rustls)?;
    let terms = match identities {
        None => terms.with_no_client_auth(),
        Some(identities) => terms.with_client_cert_verifier(Verifier::new(identities.clone(), provider)?),
    };
    let mut terms =
        terms.with_cert_resolver(Arc::new(Certificates { configured: configured.map(Arc::new), own }));
    terms.ticketer = ring::Ticketer::new().map_err(of_rustls)?;
    // One is what a client uses on its next connection; each further one is bytes on a metered link.
    terms.send_tls13_tickets = 1;
    Ok(TlsAcceptor::from(Arc::new(terms)))
}

/// Which certificate a client is shown.
#[derive(Debug)]
struct Certificates {
    configured: Option<Arc<CertifiedKey>>,
    own: Option<Own>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let has_joined = hello.alpn().is_some_and(|mut offered| offered.any(|name| name == JOINED));
        match (&self.configured, &self.own) {
            (Some(configured), own) if !has_joined || own.is_none() => Some(Arc::clone(configured)),
            (_, own) => own.as_ref().map(|own| own.now(clock::now().utc_ms as i64)),
        }
    }
}

/// A certificate of the hub's own authority, made anew before it ends.
#[derive(Debug)]
struct Own {
    identities: Identities,
    provider: Arc<CryptoProvider>,
    key: RwLock<(Arc<CertifiedKey>, i64)>,
}

impl Own {
    fn new(identities: Identities, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let key = RwLock::new(made(&identities, &provider, clock::now().utc_ms as i64)?);
        Ok(Self { identities, provider, key })
    }

    fn now(&self, now: i64) -> Arc<CertifiedKey> {
        let (key, until) = self.key.read().unwrap_or_else(PoisonError::into_inner).clone();
        if until - now > RENEW {
            return key;
        }
        let mut kept = self.key.write().unwrap_or_else(PoisonError::into_inner);
        // Another handshake may have been first.
        if kept.1 - now <= RENEW {
            match made(&self.identities, &self.provider, now) {
                Ok(made) => *kept = made,
                Err(error) => log::error!("{error}"),
            }
        }
        Arc::clone(&kept.0)
    }
}

fn made(
    identities: &Identities,
    provider: &CryptoProvider,
    now: i64,
) -> Result<(Arc<CertifiedKey>, i64), TlsError> {
    let ServerCertificate { certificate, key, expires_at } = identities.serve(now);
    let key = CertifiedKey::from_der(vec![certificate], key, provider)
        .map_err(|error| TlsError::Own(error.to_string()))?;
    Ok((Arc::new(key), expires_at))
}

/// Who comes with a certificate has one of ours that is good, or does not come in.
#[derive(Debug)]
struct Verifier {
    chain: Arc<dyn ClientCertVerifier>,
    identities: Identities,
}

impl Verifier {
    fn new(identities: Identities, provider: Arc<CryptoProvider>) -> Result<Arc<Self>, TlsError> {
        let mut roots = RootCertStore::empty();
        let own = |why: String| TlsError::Own(why);
        roots.add(identities.certificate().clone()).map_err(|error| own(error.to_string()))?;
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .allow_unauthenticated()
            .build()
            .map_err(|error| own(error.to_string()))?;
        Ok(Arc::new(Self { chain, identities }))
    }
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let credential =
            Credential::read(end_entity).ok_or(CertificateError::ApplicationVerificationFailure)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000);
        match self.identities.standing(&credential, now) {
            Standing::Good | Standing::New => Ok(verified),
            Standing::Expired => Err(CertificateError::Expired.into()),
            Standing::Ended(_) => {
                self.identities.turned_away(&credential);
                Err(CertificateError::Revoked.into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_foreign_files_are_named() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let file = place.path().join("nothing.pem");
        std::fs::write(&file, "no PEM at all").expect("written");
        let config = |certificate: &str| TlsConfig {
            address: None,
            certificate: Some(place.path().join(certificate)),
            key: Some(file.clone()),
        };
        let error = |certificate| acceptor(&config(certificate), None).err().expect("unusable").to_string();
        assert!(error("absent.pem").contains("absent.pem"), "{}", error("absent.pem"));
        assert!(error("nothing.pem").contains("no certificate in it"), "{}", error("nothing.pem"));
        let half = TlsConfig { key: None, ..config("nothing.pem") };
        assert!(matches!(acceptor(&half, None), Err(TlsError::Half)));
        let none = TlsConfig { certificate: None, ..half };
        assert!(matches!(acceptor(&none, None), Err(TlsError::NoAuthority)));
    }
}
