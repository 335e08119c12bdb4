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
}

/// Why there are none.
#[derive(Debug)]
pub enum TrustError {
    /// The file cannot be read, or holds no certificate.
    File(PathBuf, String),
    /// The system has none.
    NoRoots,
    /// The TLS library refused.
    Library(rustls::Error),
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, why) => {
                write!(f, "{}: {why}; it has to be a PEM certificate", path.display())
            }
            Self::NoRoots => f.write_str("the system trusts no CA; install ca-certificates, or name a `ca`"),
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
    /// The system's authorities.
    pub fn of_the_system() -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        // Certificates that rustls does not understand are no reason to refuse the others.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TrustError::NoRoots);
        }
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
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Library)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), own })
    }

    pub(super) fn connector(&self) -> tokio_rustls::TlsConnector {
        tokio_rustls::TlsConnector::from(Arc::clone(&self.config))
    }

    /// The PEM text of the file, if it is one.
    pub(super) fn own(&self) -> Option<&[u8]> {
        self.own.as_deref()
    }
}
