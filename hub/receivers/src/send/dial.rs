//! From a host to a byte stream: name, TCP, a proxy where there is one, TLS. Each in its time.
//!
//! A host with several addresses is tried at each of them: one that swallows packets does not take the time of the others.

use super::http::Proxy;
use super::place::Place;
use super::trust::Trust;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// What is spoken over.
pub(super) type Stream = Box<dyn Bytes>;

/// A byte stream.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// A proxy's answer is not longer.
const PROXY_SAYS: usize = 8 << 10;
/// Addresses that are tried.
const ADDRESSES: usize = 4;

/// Why there is no byte stream.
#[derive(Debug)]
pub enum DialError {
    /// The name is not known.
    Name(io::Error),
    /// TCP failed.
    Tcp(io::Error),
    /// TLS failed.
    Tls(io::Error),
    /// Nobody could vouch for the other side.
    NoRoots,
    /// No certificate can be for this name.
    NoName,
    /// The proxy cannot be reached, or did not want to.
    Proxy(String),
    /// It took too long.
    Slow(Duration),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => write!(f, "the name cannot be looked up: {error}"),
            Self::Tcp(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                f.write_str("nobody listens there (is it running?)")
            }
            Self::Tcp(error) => write!(f, "cannot be reached: {error}"),
            Self::Tls(error) => write!(f, "TLS failed: {error}"),
            Self::NoRoots => {
                f.write_str("TLS is not possible: the system trusts no CA; install ca-certificates")
            }
            Self::NoName => {
                f.write_str("is neither a host name nor an address that a certificate can be for")
            }
            Self::Proxy(why) => write!(f, "the proxy: {why}"),
            Self::Slow(within) => write!(f, "no connection within {} s", within.as_secs()),
        }
    }
}

impl std::error::Error for DialError {}

/// Dials.
pub(super) struct Dialer {
    /// None, where nobody is trusted.
    tls: Option<TlsConnector>,
    proxy: Option<Proxy>,
    within: Duration,
}

impl Dialer {
    pub(super) fn new(trust: &Trust, proxy: Option<Proxy>, within: Duration) -> Self {
        let tls = (!trust.is_empty()).then(|| trust.connector());
        Self { tls, proxy, within }
    }

    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    pub(super) async fn dial(&self, place: &Place) -> Result<Stream, DialError> {
        timeout(self.within, self.connect(place)).await.map_err(|_| DialError::Slow(self.within))?
    }

    async fn connect(&self, place: &Place) -> Result<Stream, DialError> {
        if place.is_tls && self.tls.is_none() {
            return Err(DialError::NoRoots);
        }
        let tcp = match &self.proxy {
            Some(proxy) => self.through(proxy, place).await?,
            None => self.tcp(&place.host, place.port).await?,
        };
        let Some(tls) = self.tls.as_ref().filter(|_| place.is_tls) else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from(place.host.clone()).map_err(|_| DialError::NoName)?;
        Ok(Box::new(tls.connect(name, tcp).await.map_err(DialError::Tls)?))
    }

    async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let found: Vec<SocketAddr> =
            lookup_host((host, port)).await.map_err(DialError::Name)?.take(ADDRESSES).collect();
        let each = self.within / (found.len().max(1) as u32);
        let mut failed = DialError::Name(io::Error::other("it has no address"));
        for address in found {
            match timeout(each, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    tcp.set_nodelay(true).map_err(DialError::Tcp)?;
                    return Ok(tcp);
                }
                Ok(Err(error)) => failed = DialError::Tcp(error),
                Err(_) => failed = DialError::Slow(each),
            }
        }
        Err(failed)
    }

    /// A stream through a proxy: with TLS by `CONNECT`, else to the proxy itself.
    async fn through(&self, proxy: &Proxy, place: &Place) -> Result<TcpStream, DialError> {
        let mut tcp = self
            .tcp(&proxy.host, proxy.port)
            .await
            .map_err(|error| DialError::Proxy(format!("{}:{}: {error}", proxy.host, proxy.port)))?;
        if !place.is_tls {
            return Ok(tcp);
        }
        let broken = |error: io::Error| DialError::Proxy(error.to_string());
        let to = place.with_port();
        let login = proxy
            .authorization()
            .map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
        let ask = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{login}\r\n");
        tcp.write_all(ask.as_bytes()).await.map_err(broken)?;
        let mut said = Vec::new();
        // Byte by byte: what comes behind the head belongs to TLS.
        while !said.ends_with(b"\r\n\r\n") {
            if said.len() >= PROXY_SAYS {
                return Err(DialError::Proxy("its answer has no end".to_owned()));
            }
            said.push(tcp.read_u8().await.map_err(broken)?);
        }
        let line = String::from_utf8_lossy(&said);
        let status = line.split_ascii_whitespace().nth(1).unwrap_or_default();
        if status.starts_with('2') {
            return Ok(tcp);
        }
        let status: String = status.chars().filter(char::is_ascii_digit).take(3).collect();
        Err(DialError::Proxy(format!("it answers {status} to CONNECT {to}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_authorities_there_is_no_tls_and_the_rest_works() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = server.local_addr().expect("it has one").port();
        let dialer = Dialer { tls: None, proxy: None, within: Duration::from_mins(1) };
        let place = |is_tls| Place { is_tls, host: "127.0.0.1".to_owned(), port };
        assert!(dialer.dial(&place(false)).await.is_ok());
        let refused = dialer.dial(&place(true)).await.err().expect("no TLS").to_string();
        assert_eq!(refused, "TLS is not possible: the system trusts no CA; install ca-certificates");
    }
}
