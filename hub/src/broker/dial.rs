//! From an address to a byte stream: TCP, and TLS on top where it is configured. TLS is rustls with ring; certificates are
//! checked against the configured CA, or the system's.

use super::{BrokerAddress, MqttConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long name lookup and TCP may take, and after them TLS.
const DIAL_WITHIN: Duration = Duration::from_secs(10);

/// What a link speaks over.
pub(super) type Stream = Box<dyn Bytes>;

/// A byte stream.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// Why TLS cannot be set up.
#[derive(Debug)]
pub enum TlsError {
    /// The CA file cannot be read, or holds no certificate.
    Ca(PathBuf, String),
    /// Neither a host name nor an address.
    Name(String),
    /// The system has no certificates, and no CA is configured.
    NoRoots,
    /// The TLS library refused.
    Library(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ca(path, why) => {
                write!(f, "tls.ca: {}: {why}; it has to be a PEM certificate", path.display())
            }
            Self::Name(name) => write!(f, "tls.server_name: {name:?} is neither a host name nor an address"),
            Self::NoRoots => {
                f.write_str("tls: the system trusts no CA; install ca-certificates, or name a `ca`")
            }
            Self::Library(error) => write!(f, "TLS cannot be used: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// Why there is no byte stream.
#[derive(Debug)]
pub enum DialError {
    /// TCP failed.
    Tcp(io::Error),
    /// TLS failed.
    Tls(io::Error),
    /// It took too long.
    Slow(&'static str),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                f.write_str("nobody listens there (is it running?)")
            }
            Self::Tcp(error) => write!(f, "cannot be reached: {error}"),
            Self::Tls(error) => write!(f, "TLS failed: {error}"),
            Self::Slow(what) => write!(f, "no {what} within {} s", DIAL_WITHIN.as_secs()),
        }
    }
}

impl std::error::Error for DialError {}

/// Dials one broker.
pub(super) struct Dialer {
    place: BrokerAddress,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialer {
    pub(super) fn new(config: &MqttConfig) -> Result<Self, TlsError> {
        let place = config.place();
        let tls = config.tls.as_ref().map(|tls| {
            let name = tls.server_name.as_ref().unwrap_or(&place.host);
            let name = ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name.clone()))?;
            Ok((connector(tls.ca.as_deref())?, name))
        });
        let tls = tls.transpose()?;
        let port = place.port.expect("a place has a port");
        Ok(Self { place, port, tls })
    }

    pub(super) fn place(&self) -> &BrokerAddress {
        &self.place
    }

    pub(super) async fn dial(&self) -> Result<Stream, DialError> {
        let connecting = TcpStream::connect((self.place.host.as_str(), self.port));
        let tcp = tokio::time::timeout(DIAL_WITHIN, connecting).await;
        let tcp = tcp.map_err(|_| DialError::Slow("TCP connection"))?.map_err(DialError::Tcp)?;
        tcp.set_nodelay(true).map_err(DialError::Tcp)?;
        let Some((connector, name)) = &self.tls else { return Ok(Box::new(tcp)) };
        let tls = tokio::time::timeout(DIAL_WITHIN, connector.connect(name.clone(), tcp)).await;
        Ok(Box::new(tls.map_err(|_| DialError::Slow("TLS handshake"))?.map_err(DialError::Tls)?))
    }
}

fn connector(ca: Option<&Path>) -> Result<TlsConnector, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        let wrong = |error: &dyn fmt::Display| TlsError::Ca(path.to_owned(), error.to_string());
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
            let certificate = certificate.map_err(|error| wrong(&error))?;
            roots.add(certificate).map_err(|error| wrong(&error))?;
        }
        if roots.is_empty() {
            return Err(wrong(&"holds no certificate"));
        }
    } else {
        // Certificates that rustls does not understand are no reason to refuse the others.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TlsError::NoRoots);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Library)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
