//! The doors: binding, accepting, TLS handshakes, and how many may come in.
//!
//! Each connection is one task from its first byte on; the accept loop only accepts, so that nobody who stands idle in a
//! handshake keeps others waiting. An `accept()` that fails (too many open files, for example) is counted, told, and
//! tried again after a pause that grows to a second.
//!
//! Invariant: every socket that is open holds a [`Pass`]; dropping it gives its place back.

use super::connection;
use super::session::{Bell, Closing};
use super::shared::Shared;
use super::stats::Reason;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

/// A fleet that comes back at once should find room in the kernel's queue; what does not is tried again by TCP.
const BACKLOG: u32 = 4096;
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Binds and listens. Has to be called within a tokio runtime.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a hub that is restarted need not wait for its old connections to fade.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// How many sockets may be open: more than clients, so that a refused one hears why in its CONNACK.
fn most_sockets(clients: usize) -> usize {
    clients + clients / 8 + 16
}

/// Raises the process's soft limit of open files to what that many clients need, and warns if it may not: it is 1,024 by
/// default on most systems, for the sake of programs that call `select()`.
pub(super) fn make_room(clients: usize) {
    /// What the rest of the hub has open: web, database, logs.
    const OTHERS: u64 = 512;
    let wanted = most_sockets(clients) as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let possible = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum }).is_ok();
    if !raised || possible < wanted {
        log::warn!(
            "listener: limits.clients = {clients} needs {wanted} open files, and the process may have {}; raise \
             LimitNOFILE, or lower limits.clients",
            if raised { Some(possible) } else { current }.unwrap_or(wanted)
        );
    }
}

/// Who is inside, by connection and by address.
#[derive(Debug, Default)]
pub(super) struct Doors(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    bells: HashMap<u64, Arc<Bell>>,
    addresses: HashMap<IpAddr, usize>,
    numbered: u64,
    shut: bool,
}

impl Doors {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many sockets are open.
    pub(super) fn open(&self) -> usize {
        self.inside().bells.len()
    }

    /// Ends every connection, and lets nobody in any more.
    pub(super) fn shut(&self) {
        let mut inside = self.inside();
        inside.shut = true;
        for bell in inside.bells.values() {
            bell.close(Closing::Shutdown);
        }
    }
}

/// One socket's place.
#[derive(Debug)]
pub(super) struct Pass {
    shared: Arc<Shared>,
    /// What counts as its address.
    pub(super) counted: IpAddr,
    pub(super) connection: u64,
    pub(super) peer: SocketAddr,
    pub(super) bell: Arc<Bell>,
}

impl Pass {
    /// Lets a socket in, if there is room.
    pub(super) fn admit(shared: &Arc<Shared>, peer: SocketAddr) -> Result<Self, Reason> {
        let limits = &shared.limits;
        let mut inside = shared.doors.inside();
        if inside.shut || inside.bells.len() >= most_sockets(limits.clients) {
            return Err(Reason::TooManyClients);
        }
        let counted = household(peer.ip());
        let count = inside.addresses.entry(counted).or_default();
        if limits.clients_per_address > 0 && *count >= limits.clients_per_address {
            return Err(Reason::TooManyFromAddress);
        }
        *count += 1;
        inside.numbered += 1;
        let connection = inside.numbered;
        let bell = Arc::new(Bell::default());
        inside.bells.insert(connection, Arc::clone(&bell));
        drop(inside);
        shared.counters.accepted.fetch_add(1, Relaxed);
        Ok(Self { shared: Arc::clone(shared), counted, connection, peer, bell })
    }

    /// What all connections share.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.shared.doors.inside();
        inside.bells.remove(&self.connection);
        if let Some(count) = inside.addresses.get_mut(&self.counted) {
            *count -= 1;
            if *count == 0 {
                inside.addresses.remove(&self.counted);
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or the IPv6 network of one household.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Accepts until `shutdown`. Each connection's task holds `alive` for as long as it runs.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut shutdown: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut shutdown) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = SHORTEST_PAUSE;
                enter(stream, peer, tls.as_ref(), &shared, &alive);
            }
            Err(error) => {
                shared.counters.count(Reason::AcceptFailed);
                shared.log.warn(format_args!(
                    "listener: cannot accept a connection: {error}; if these are too many open files, raise LimitNOFILE"
                ));
                tokio::select! {
                    () = stopped(&mut shutdown) => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Waits for the word to stop; a sender that is gone is the word too.
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

fn enter(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<&TlsAcceptor>,
    shared: &Arc<Shared>,
    alive: &mpsc::Sender<()>,
) {
    let pass = match Pass::admit(shared, peer) {
        Ok(pass) => pass,
        Err(reason) => {
            shared.counters.count(reason);
            shared.log.warn(format_args!("listener: {peer} is turned away: {}", reason.as_str()));
            return;
        }
    };
    tune(&stream);
    let alive = alive.clone();
    match tls.cloned() {
        None => tokio::spawn(connection::serve(stream, pass, alive)),
        Some(acceptor) => tokio::spawn(shake_hands(alive, acceptor, stream, pass)),
    };
}

/// Small packets at once, and peers that vanished without a word noticed even where the keepalive is off. A socket on
/// which this fails is broken anyway.
fn tune(stream: &TcpStream) {
    use rustix::net::sockopt;
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, Duration::from_mins(2));
    let _ = sockopt::set_tcp_keepintvl(stream, Duration::from_secs(30));
    let _ = sockopt::set_tcp_keepcnt(stream, 4);
}

/// `alive` comes first, so that it is dropped last: when it is gone, so is the pass.
async fn shake_hands(alive: mpsc::Sender<()>, acceptor: TlsAcceptor, stream: TcpStream, pass: Pass) {
    let handshake = tokio::time::timeout(pass.shared.limits.handshake_time.get(), acceptor.accept(stream));
    let bell = Arc::clone(&pass.bell);
    let shaken = tokio::select! {
        _ = bell.closed() => return,
        shaken = handshake => shaken,
    };
    match shaken {
        // The stream holds rustls's state; in a box it is not copied about.
        Ok(Ok(stream)) => connection::serve(Box::new(stream), pass, alive).await,
        Ok(Err(error)) => refuse_handshake(&pass, &error),
        Err(_) => refuse_handshake(&pass, &"it took too long"),
    }
}

fn refuse_handshake(pass: &Pass, why: &dyn std::fmt::Display) {
    pass.shared.counters.count(Reason::Handshake);
    pass.shared.log.warn(format_args!("listener: no TLS with {}: {why}", pass.peer));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_household_is_one_address() {
        let same = |a: &str, b: &str| {
            let address = |text: &str| household(text.parse().expect("an address"));
            address(a) == address(b)
        };
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(same("2001:db8:1:2:3::4", "2001:db8:1:2::"));
        assert!(!same("2001:db8:1:2::", "2001:db8:1:3::"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
