//! A TCP connection to a probe's target: name, then address after address, each step timed. The runner's timeout ends it.
//!
//! Names are resolved by the system, as everything else on this box does it, on a thread that may block for as long as the resolver
//! wants; so many at once and no more, however many probes wait.

use crate::clock::Clock;
use async_io::Async;
use smol::lock::Semaphore;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Each lookup holds a thread, even after whoever asked has given up.
const LOOKUPS: usize = 4;
static LOOKUP: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOKUPS)));

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
    let mut last = None;
    for address in addresses {
        match Async::<TcpStream>::connect(address).await {
            Ok(stream) => {
                let now = Clock::now();
                let (resolved, connected) = (found - begun, now - found);
                return Ok(Dialled { stream, address, resolved, connected });
            }
            Err(why) => last = Some(DialError::Address { address, why }),
        }
    }
    Err(last.expect("a name that resolves has an address"))
}
