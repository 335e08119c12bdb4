//! Binding, accepting, TLS handshakes.
//!
//! Each connection is one task from its first byte on; the accept loop only accepts, so that nobody who stands idle in a
//! handshake keeps others waiting. An `accept()` that fails (too many open files, for example) is counted, told, and
//! tried again after a pause that grows to a second.
//!
//! Invariant: every socket that is open holds a [`Pass`].

use super::admission::Badge;
use super::connection;
use super::doors::{Doors, Pass, most_sockets};
use super::shared::Shared;
use super::stats::Reason;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
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
    let pass = match Doors::admit(&shared.doors, &shared.limits, peer) {
        Ok(pass) => pass,
        Err(reason) => {
            shared.counters.count(reason);
            shared.log.warn(format_args!("listener: {peer} is turned away: {}", reason.as_str()));
            return;
        }
    };
    shared.counters.accepted.fetch_add(1, Relaxed);
    tune(&stream);
    let (shared, alive) = (Arc::clone(shared), alive.clone());
    match tls.cloned() {
        None => tokio::spawn(connection::serve(stream, shared, pass, alive, None)),
        Some(acceptor) => tokio::spawn(shake_hands(alive, acceptor, stream, shared, pass)),
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
pub(super) async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin + Send>(
    alive: mpsc::Sender<()>,
    acceptor: TlsAcceptor,
    stream: S,
    shared: Arc<Shared>,
    pass: Pass,
) {
    let handshake = tokio::time::timeout(shared.limits.handshake_time.get(), acceptor.accept(stream));
    let bell = Arc::clone(&pass.bell);
    let shaken = tokio::select! {
        _ = bell.closed() => return,
        shaken = handshake => shaken,
    };
    match shaken {
        // The stream holds rustls's state; in a box it is not copied about.
        Ok(Ok(stream)) => {
            // Also of a session that was resumed, in which nobody has looked at it again: the CONNECT is where it is looked at.
            let chain = stream.get_ref().1.peer_certificates();
            let badge = chain.and_then(|chain| Badge::read(chain.first()?));
            connection::serve(Box::new(stream), shared, pass, alive, badge).await;
        }
        Ok(Err(error)) => refuse_handshake(&shared, &pass, &error),
        Err(_) => refuse_handshake(&shared, &pass, &"it took too long"),
    }
}

fn refuse_handshake(shared: &Shared, pass: &Pass, why: &dyn std::fmt::Display) {
    shared.counters.count(Reason::Handshake);
    shared.log.warn(format_args!("listener: no TLS with {}: {why}", pass.peer));
}
