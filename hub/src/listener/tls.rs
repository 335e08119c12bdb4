//! The listener's certificate, its key, and the terms of its handshakes.
//!
//! TLS 1.2 and 1.3 by rustls on ring. Tickets are on, so that thousands of agents that come back after a restart of
//! their link do not each cost a full handshake; their key lives in the process and rotates by rustls's own clock.
//! Handshakes run in the connections' own tasks, with a time limit: an idle socket keeps nobody waiting.

use super::config::TlsConfig;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

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
        }
    }
}

impl std::error::Error for TlsError {}

/// Reads certificate and key.
pub(super) fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let no_certificate = |why: String| TlsError::Certificate { path: config.certificate.clone(), why };
    let chain = CertificateDer::pem_file_iter(&config.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| no_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(no_certificate("no certificate in it".into()));
    }
    let key = PrivateKeyDer::from_pem_file(&config.key)
        .map_err(|error| TlsError::Key { path: config.key.clone(), why: error.to_string() })?;
    let unusable = |error: rustls::Error| TlsError::Unusable {
        path: config.certificate.clone(),
        why: error.to_string(),
    };
    let mut terms = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    terms.ticketer = ring::Ticketer::new().map_err(unusable)?;
    // One is what a client uses on its next connection; each further one is bytes on a metered link.
    terms.send_tls13_tickets = 1;
    Ok(TlsAcceptor::from(Arc::new(terms)))
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
            certificate: place.path().join(certificate),
            key: file.clone(),
        };
        let error = |certificate| acceptor(&config(certificate)).err().expect("unusable").to_string();
        assert!(error("absent.pem").contains("absent.pem"), "{}", error("absent.pem"));
        assert!(error("nothing.pem").contains("no certificate in it"), "{}", error("nothing.pem"));
    }
}
