//! A TCP connection to a probe's target: name, then address after address, each step timed. The runner's timeout ends it.
//!
//! Names are resolved by the system, as everything else on this box does it, on a thread that may block for as long as the resolver
//! wants; so many at once and no more, however many probes wait.

use crate::clock::Clock;
use async_io::{Async, Timer};
use futures_lite::future;
use smol::lock::Semaphore;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Each lookup holds a thread, even after whoever asked has given up.
const LOOKUPS: usize = 4;
static LOOKUP: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOKUPS)));

/// A request for a connection is answered within this, or was lost; it is sent again after a second.
const SILENT: Duration = Duration::from_millis(1500);

/// A connection, and what it took.
#[derive(Debug)]
pub struct Dialled {
    /// The stream.
    pub stream: Async<TcpStream>,
    /// Who answered.
    pub address: SocketAddr,
    /// How long the name took; nothing for an address.
    pub resolved: Duration,
    /// How long the connection took, with the addresses that did not answer.
    pub connected: Duration,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum DialError {
    /// The name has no address.
    Name {
        /// The name.
        host: String,
        /// Why.
        why: io::Error,
    },
    /// No address took the connection; the last one tried.
    Address {
        /// Who.
        address: SocketAddr,
        /// Why.
        why: io::Error,
    },
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { host, why } => write!(f, "cannot find the address of {host}: {why}"),
            Self::Address { address, why } => write!(f, "cannot reach {address}: {why}"),
        }
    }
}

impl std::error::Error for DialError {}

/// The addresses of a host: what the system's resolver says, or the address that it is.
pub async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let permit = LOOKUP.acquire_arc().await;
    let target = (host.to_owned(), port);
    let lookup = smol::unblock(move || {
        let found: io::Result<Vec<SocketAddr>> = target.to_socket_addrs().map(Iterator::collect);
        drop(permit);
        found
    });
    match lookup.await {
        Ok(found) if found.is_empty() => Err(io::Error::new(io::ErrorKind::NotFound, "it has none")),
        found => found,
    }
    .map_err(|why| DialError::Name { host: host.to_owned(), why })
}

/// Connects to the first address that takes it.
pub async fn connect(host: &str, port: u16) -> Result<Dialled, DialError> {
    let begun = Clock::now();
    let addresses = resolve(host, port).await?;
    let found = Clock::now();
    let (stream, address) = open(&addresses).await?;
    let (resolved, connected) = (found - begun, Clock::now() - found);
    Ok(Dialled { stream, address, resolved, connected })
}

/// One address after the other. One that is silent holds up the next for a while only: IPv6 that leads nowhere must not hide an IPv4 that
/// works. The last one has all the time there is.
async fn open(addresses: &[SocketAddr]) -> Result<(Async<TcpStream>, SocketAddr), DialError> {
    let mut last = None;
    for (at, &address) in addresses.iter().enumerate() {
        let late = async {
            if at + 1 == addresses.len() {
                future::pending::<()>().await;
            }
            Timer::after(SILENT).await;
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {SILENT:?}")))
        };
        match future::or(Async::<TcpStream>::connect(address), late).await {
            Ok(stream) => return Ok((stream, address)),
            Err(why) => last = Some(DialError::Address { address, why }),
        }
    }
    Err(last.expect("a name that resolves has an address"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        (listener, address)
    }

    #[test]
    fn an_address_that_is_silent_does_not_hide_the_next() {
        let ((deaf, silent), (_listens, good)) = (listener(), listener());
        // Its queue has no room, so the kernel drops what knocks.
        rustix::net::listen(&deaf, 0).expect("it listens");
        let knock = || TcpStream::connect_timeout(&silent, Duration::from_millis(300));
        let _queue: Vec<TcpStream> = std::iter::from_fn(|| knock().ok()).collect();
        let begun = Clock::now();
        let (_, address) = smol::block_on(open(&[silent, good])).expect("the second one listens");
        assert_eq!(address, good);
        assert!(begun.elapsed() >= SILENT && begun.elapsed() < SILENT * 3);
    }

    #[test]
    fn an_address_that_refuses_costs_no_time_and_the_last_error_is_told() {
        let ((_listens, good), refused) = (listener(), listener().1);
        assert_eq!(smol::block_on(open(&[refused, good])).expect("it listens").1, good);
        let error = smol::block_on(open(&[refused])).expect_err("nobody listens").to_string();
        assert_eq!(error, format!("cannot reach {refused}: Connection refused (os error 111)"));
    }
}
