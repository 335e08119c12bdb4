//! A probe's way to its target: [`dial`], each step timed. The runner's timeout ends it.
//!
//! So many names are resolved at once and no more, however many probes wait: a lookup holds a thread for as long as the resolver wants.

pub use crate::dial::{DialError, is_no_network};

use crate::clock::Clock;
use crate::dial::{self, Silence};
use async_io::Async;
use smol::lock::Semaphore;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Each lookup holds a thread, even after whoever asked has given up.
const LOOKUPS: usize = 4;
static LOOKUP: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOKUPS)));

/// A request for a connection is answered within a second and a half, or was lost; it is sent again after a second. So IPv6 that leads
/// nowhere does not hide an IPv4 that works, and the last address has all the time there is.
const SILENCE: Silence = Silence { next: Duration::from_millis(1500), last: None };

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

/// The addresses of a host: what the system's resolver says, or the address that it is.
pub async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let is_address = host.parse::<IpAddr>().is_ok();
    let permit = if is_address { None } else { Some(LOOKUP.acquire_arc().await) };
    dial::resolve(host, port, permit).await
}

/// The same within [`Context::within`](super::Context::within): then it is the name that is missing, and not the target that is late.
pub async fn resolve_within(time: Duration, host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let late = || Err(DialError::Name { host: host.to_owned(), why: dial::no_answer(time) });
    dial::within(time, resolve(host, port), late).await
}

/// Connects to the first address that takes it.
pub async fn connect(host: &str, port: u16) -> Result<Dialled, DialError> {
    to_one_of(resolve(host, port)).await
}

/// The same, with a bound to the search for the name alone.
pub async fn connect_within(time: Duration, host: &str, port: u16) -> Result<Dialled, DialError> {
    to_one_of(resolve_within(time, host, port)).await
}

async fn to_one_of(
    addresses: impl Future<Output = Result<Vec<SocketAddr>, DialError>>,
) -> Result<Dialled, DialError> {
    let begun = Clock::now();
    let addresses = addresses.await?;
    let found = Clock::now();
    let (stream, address) = dial::open(&addresses, SILENCE).await?;
    let (resolved, connected) = (found - begun, Clock::now() - found);
    Ok(Dialled { stream, address, resolved, connected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_that_is_silent_leaves_the_name_missing() {
        let time = Duration::from_millis(50);
        let error = smol::block_on(async {
            // All turns are taken, as by lookups that never end.
            let mut turns = Vec::new();
            for _ in 0..LOOKUPS {
                turns.push(LOOKUP.acquire_arc().await);
            }
            connect_within(time, "silent.invalid", 1).await.expect_err("no name")
        });
        assert!(error.is_ours());
        assert_eq!(error.to_string(), "cannot find the address of silent.invalid: no answer within 50ms");
    }
}
