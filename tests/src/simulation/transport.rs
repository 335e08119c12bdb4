//! The byte stream under an appliance's link: TCP, or TLS over it.

use super::Transport;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What the TLS connections of an appliance have in common.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// A byte stream either way.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// What a whole fleet shares, where it does.
pub(crate) fn shared(transport: &Transport) -> Result<Option<Tls>, String> {
    let Transport::Tls { authority, server_name } = transport else { return Ok(None) };
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", authority.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).map_err(|error| wrong(&error))? {
        roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name =
        ServerName::try_from(server_name.clone()).map_err(|error| format!("{server_name}: {error}"))?;
    Ok(Some(Tls { connector: TlsConnector::from(Arc::new(config)), name }))
}

/// The terms of one appliance.
pub(crate) fn of(number: usize, transport: &Transport, shared: Option<&Tls>) -> Result<Option<Tls>, String> {
    let Transport::Joined(joined) = transport else { return Ok(shared.cloned()) };
    let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
    Ok(Some(Tls { connector: TlsConnector::from(Arc::new(joined.client(number)?)), name }))
}

pub(crate) async fn connect(address: SocketAddr, tls: Option<&Tls>) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(match tls {
        None => Box::new(stream),
        Some(tls) => Box::new(tls.connector.connect(tls.name.clone(), stream).await?),
    })
}
