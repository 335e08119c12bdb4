//! Whom TLS trusts: the system's authorities, or those of one file. TLS is rustls with ring.
//!
//! Read once and shared: the system's certificates are some hundred files.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Authorities.
#[derive(Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
    /// The text of the file that takes the place of the system's.
    own: Option<Arc<[u8]>>,
    is_empty: bool,
}

/// Why there are none.
#[derive(Debug)]
pub enum TrustError {
    /// The file cannot be read, or holds no certificate.
    File(PathBuf, String),
    /// The TLS library refused.
    Library(rustls::Error),
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, why) => {
                write!(f, "{}: {why}; it has to be a PEM certificate", path.display())
            }
            Self::Library(error) => write!(f, "TLS cannot be used: {error}"),
        }
    }
}

impl std::error::Error for TrustError {}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.own.is_some() { "the file's authorities" } else { "the system's authorities" })
    }
}

impl Trust {
    /// The system's authorities. There may be none: what needs no TLS works without.
    pub fn of_the_system() -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        // Certificates that rustls does not understand are no reason to refuse the others.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::new(roots, None)
    }

    /// Those of a PEM file, and no others.
    pub fn of_file(path: &Path) -> Result<Self, TrustError> {
        let wrong = |why: &dyn fmt::Display| TrustError::File(path.to_owned(), why.to_string());
        let text = std::fs::read(path).map_err(|error| wrong(&error))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.map_err(|error| wrong(&error))?;
            roots.add(certificate).map_err(|error| wrong(&error))?;
        }
        if roots.is_empty() {
            return Err(wrong(&"holds no certificate"));
        }
        Self::new(roots, Some(Arc::from(text)))
    }

    fn new(roots: RootCertStore, own: Option<Arc<[u8]>>) -> Result<Self, TrustError> {
        let is_empty = roots.is_empty();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Library)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), own, is_empty })
    }

    /// Whether nobody is trusted.
    pub(super) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    pub(super) fn connector(&self) -> tokio_rustls::TlsConnector {
        tokio_rustls::TlsConnector::from(Arc::clone(&self.config))
    }

    /// The PEM text of the file, if it is one.
    pub(super) fn own(&self) -> Option<&[u8]> {
        self.own.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_no_authority() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let refused = Trust::of_file(file.path()).expect_err("it is empty").to_string();
        assert_eq!(
            refused,
            format!("{}: holds no certificate; it has to be a PEM certificate", file.path().display())
        );
    }
}
