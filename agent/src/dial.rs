//! A TCP connection to a machine that has a name: the name, then address after address. For the link to the broker, for probes and for
//! network tallies, which differ in how long they wait for what.
//!
//! Names are resolved by the system, as everything else on this box does it, on a thread of the pool that blocks: it is held until the
//! resolver answers, even after whoever asked has given up. Dropping a future here gives up.
//!
//! ```text
//! hub.example:1883   →  192.0.2.1:1883: no answer within 5s   →  198.51.100.1:1883: connected
//!                    →  cannot find the address of hub.example: Name or service not known
//! ```

use async_io::{Async, Timer};
use futures_lite::future;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

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

impl DialError {
    /// Whether it says nothing of the other side: no name, or no network here.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Name { .. } => true,
            Self::Address { address, why } => is_no_network(*address, why),
        }
    }

    /// The reason alone, for whoever has said of whom he speaks.
    pub fn into_why(self) -> io::Error {
        match self {
            Self::Name { why, .. } | Self::Address { why, .. } => why,
        }
    }
}

/// Whether it is the network here that is missing: a machine of the venue's own that is off has no route either, and that is its own fault.
pub fn is_no_network(address: SocketAddr, why: &io::Error) -> bool {
    match why.kind() {
        io::ErrorKind::NetworkUnreachable => true,
        io::ErrorKind::HostUnreachable => !is_near(address.ip()),
        _ => false,
    }
}

/// Whether the address is on the venue's own network, where no internet is needed.
const fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

/// How long an address may be silent before the next one has its turn.
#[derive(Debug, Clone, Copy)]
pub struct Silence {
    /// While there is a next one.
    pub next: Duration,
    /// The last one; as long as the caller likes, if there is no limit.
    pub last: Option<Duration>,
}

impl Silence {
    /// The same for each.
    pub const fn each(time: Duration) -> Self {
        Self { next: time, last: Some(time) }
    }
}

/// The addresses of a host: what the system's resolver says, or the address that it is. `held` is let go when the resolver is done,
/// which may be long after this future was dropped.
pub async fn resolve(host: &str, port: u16, held: impl Send + 'static) -> Result<Vec<SocketAddr>, DialError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let target = (host.to_owned(), port);
    let lookup = smol::unblock(move || {
        let found: io::Result<Vec<SocketAddr>> = target.to_socket_addrs().map(Iterator::collect);
        drop(held);
        found
    });
    match lookup.await {
        Ok(found) if found.is_empty() => {
            Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
        }
        found => found,
    }
    .map_err(|why| DialError::Name { host: host.to_owned(), why })
}

/// The same, for whoever does not wait for ever.
pub async fn resolve_within(time: Duration, host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let late = || Err(DialError::Name { host: host.to_owned(), why: no_answer(time) });
    within(time, resolve(host, port, ()), late).await
}

/// One address after the other; the error is the last one's that says something of the other side, since a name with an IPv6 address has
/// one that leads nowhere where there is no IPv6.
pub async fn open(
    addresses: &[SocketAddr],
    silence: Silence,
) -> Result<(Async<TcpStream>, SocketAddr), DialError> {
    let mut last = None;
    for (at, &address) in addresses.iter().enumerate() {
        let time = if at + 1 == addresses.len() { silence.last } else { Some(silence.next) };
        let connect = Async::<TcpStream>::connect(address);
        let connected = match time {
            Some(time) => within(time, connect, || Err(no_answer(time))).await,
            None => connect.await,
        };
        match connected {
            Ok(stream) => return Ok((stream, address)),
            Err(why) => {
                let error = DialError::Address { address, why };
                if !error.is_ours() || last.as_ref().is_none_or(DialError::is_ours) {
                    last = Some(error);
                }
            }
        }
    }
    Err(last.expect("a name that resolves has an address"))
}

/// What `work` gives, or what `late` says once `time` has passed.
pub async fn within<T>(time: Duration, work: impl Future<Output = T>, late: impl FnOnce() -> T) -> T {
    let late = async {
        Timer::after(time).await;
        late()
    };
    future::or(work, late).await
}

/// That nothing came.
pub fn no_answer(time: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {time:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use std::net::TcpListener;

    const SILENT: Duration = Duration::from_millis(1500);
    const PATIENT: Silence = Silence { next: SILENT, last: None };

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        (listener, address)
    }

    /// A port where the kernel drops what knocks, and what keeps it so.
    fn silent() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
        let (deaf, address) = listener();
        rustix::net::listen(&deaf, 0).expect("it listens");
        let knock = || TcpStream::connect_timeout(&address, Duration::from_millis(300));
        let queue = std::iter::from_fn(|| knock().ok()).collect();
        (deaf, queue, address)
    }

    #[test]
    fn an_address_that_is_silent_does_not_hide_the_next() {
        let ((_deaf, _queue, silent), (_listens, good)) = (silent(), listener());
        let begun = Clock::now();
        let (_, address) = smol::block_on(open(&[silent, good], PATIENT)).expect("the second one listens");
        assert_eq!(address, good);
        assert!(begun.elapsed() >= SILENT);
    }

    #[test]
    fn the_last_address_has_its_own_time() {
        let (_deaf, _queue, silent) = silent();
        let limit = Duration::from_millis(50);
        let error = smol::block_on(open(&[silent], Silence::each(limit))).expect_err("it is silent");
        assert_eq!(error.to_string(), format!("cannot reach {silent}: no answer within 50ms"));
        // Without a limit of its own it is waited for beyond what the others have.
        let patient = Silence { next: limit, last: None };
        let given_up = within(limit * 10, async { open(&[silent], patient).await.is_err() }, || false);
        assert!(!smol::block_on(given_up));
    }

    #[test]
    fn an_address_that_refuses_costs_no_time_and_the_last_error_is_told() {
        let ((_listens, good), refused) = (listener(), listener().1);
        assert_eq!(smol::block_on(open(&[refused, good], PATIENT)).expect("it listens").1, good);
        let error = smol::block_on(open(&[refused], PATIENT)).expect_err("nobody listens").to_string();
        assert_eq!(error, format!("cannot reach {refused}: Connection refused (os error 111)"));
    }

    #[test]
    fn an_address_out_of_reach_does_not_hide_what_another_one_said() {
        // No connection goes to a broadcast address: no network is unreachable more surely.
        let (refused, nowhere) = (listener().1, SocketAddr::from(([127, 255, 255, 255], 9)));
        for addresses in [[refused, nowhere], [nowhere, refused]] {
            let error = smol::block_on(open(&addresses, PATIENT)).expect_err("nobody listens");
            assert!(!error.is_ours() && error.to_string().contains("refused"), "{error}");
        }
        assert!(smol::block_on(open(&[nowhere], PATIENT)).expect_err("no network").is_ours());
    }
}
