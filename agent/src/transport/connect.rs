//! Opening a stream to the broker: name, address after address, TLS. Each step has its time.

use super::tls::{TlsClient, timeout};
use super::traffic::Counted;
use super::{Stream, Traffic};
use crate::clock::Moment;
use crate::config::Mqtt;
use crate::tls::TlsError;
use async_io::{Async, Timer};
use futures_lite::future;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

/// For the name to be resolved, and for the TLS handshake.
const STEP: Duration = Duration::from_secs(10);
/// For one address: several may have to be tried, and a SYN is answered within a second or lost.
const ADDRESS: Duration = Duration::from_secs(5);

/// Why no stream could be opened.
#[derive(Debug)]
pub enum ConnectError {
    /// The name has no address.
    Name {
        /// The name.
        host: String,
        /// Why.
        why: io::Error,
    },
    /// No address answered; the last one tried.
    Address {
        /// Who.
        address: SocketAddr,
        /// Why.
        why: io::Error,
    },
    /// Something answered, but not in TLS, or not to be believed.
    Tls(TlsError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { host, why } => write!(f, "cannot find the address of {host}: {why}"),
            Self::Address { address, why } => write!(f, "cannot reach {address}: {why}"),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

/// Opens streams to one broker.
#[derive(Debug)]
pub struct Connector {
    host: String,
    port: u16,
    tls: Option<TlsClient>,
}

impl Connector {
    /// Reads the certificates that TLS needs, once.
    pub fn new(mqtt: &Mqtt) -> Result<Self, TlsError> {
        let tls = mqtt.tls.as_ref().map(|tls| TlsClient::new(tls, &mqtt.host)).transpose()?;
        Ok(Self { host: mqtt.host.clone(), port: mqtt.port, tls })
    }

    /// Opens a stream, at that moment. Dropping the future gives up.
    pub async fn connect(
        self: Rc<Self>,
        traffic: Rc<Traffic>,
        moment: Moment,
    ) -> Result<Box<dyn Stream>, ConnectError> {
        let addresses =
            self.resolve().await.map_err(|why| ConnectError::Name { host: self.host.clone(), why })?;
        let stream = Counted::new(open(&addresses, &self.host).await?, traffic);
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => {
                let late = || timeout(tls.name(), STEP);
                let handshake = async { tls.handshake(stream, moment).await };
                let stream = within(STEP, handshake, || Err(late())).await.map_err(ConnectError::Tls)?;
                Ok(Box::new(stream))
            }
        }
    }

    /// By the system's resolver, on a thread of its own: it blocks. An address needs neither.
    async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let target = (self.host.clone(), self.port);
        let resolve = smol::unblock(move || target.to_socket_addrs().map(Iterator::collect));
        let late = || Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {STEP:?}")));
        within(STEP, resolve, late).await
    }
}

/// Tries each address; the error is the last one's.
async fn open(addresses: &[SocketAddr], host: &str) -> Result<Async<TcpStream>, ConnectError> {
    let why = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut last = ConnectError::Name { host: host.to_owned(), why };
    for &address in addresses {
        let late = || Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {ADDRESS:?}")));
        match within(ADDRESS, Async::<TcpStream>::connect(address), late).await {
            Ok(stream) => {
                // Records are small and wait for nothing; failing to say so costs milliseconds only.
                let _ = stream.get_ref().set_nodelay(true);
                return Ok(stream);
            }
            Err(why) => last = ConnectError::Address { address, why },
        }
    }
    Err(last)
}

async fn within<T>(time: Duration, work: impl Future<Output = T>, late: impl FnOnce() -> T) -> T {
    future::or(async { Some(work.await) }, async {
        Timer::after(time).await;
        None
    })
    .await
    .unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Trust};
    use crate::config::Config;
    use std::net::TcpListener;
    use std::path::Path;

    fn connect(address: &str) -> Result<Box<dyn Stream>, ConnectError> {
        let text = format!("site = \"s\"\nappliance = \"a\"\n[mqtt]\naddress = \"{address}\"\n");
        let config = Config::parse(&text, "agent.toml").expect("a good file");
        let connector = Rc::new(Connector::new(&config.mqtt).expect("no TLS"));
        let moment = Clock::new(Trust::Auto, Path::new("/proc")).read();
        smol::block_on(connector.connect(Rc::default(), moment))
    }

    #[test]
    fn a_listening_port_is_reached_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        assert!(connect(&format!("localhost:{port}")).is_ok());
    }

    #[test]
    fn a_closed_port_says_who_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        drop(listener);
        let error = connect(&address).err().expect("nobody listens").to_string();
        assert_eq!(error, format!("cannot reach {address}: Connection refused (os error 111)"));
    }

    #[test]
    fn a_name_without_address_is_named() {
        let error = connect("no-such-host.invalid").err().expect("no such host").to_string();
        assert!(error.starts_with("cannot find the address of no-such-host.invalid: "), "{error}");
    }
}
