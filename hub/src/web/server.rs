//! Serving HTTP: accepting, bounding, ending. What is served is the router's.
//!
//! [`Bounds`]: so many connections at once, so long for a request's head, so long without taking anything of an answer:
//! nobody keeps a place by doing nothing. When the hub stops, idle connections are closed at
//! once and busy ones after their answer; whoever takes longer is cut off.

use super::change::Peer;
use crate::shutdown;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// What nobody who connects can go beyond.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at once.
    pub connections: usize,
    /// How long a request's head may take, and how long a connection may be idle between requests.
    pub head: Duration,
    /// How long a client may take nothing of what is sent to it. A phone that lost its network, too, is noticed by this.
    pub stall: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 1024, head: Duration::from_secs(30), stall: Duration::from_secs(30) }
    }
}

/// How long answers may take to end when the hub stops.
const GRACE: Duration = Duration::from_secs(2);

/// The web address cannot be had.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    source: std::io::Error,
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (address, port) = (self.address, self.address.port());
        match self.source.kind() {
            std::io::ErrorKind::AddrInUse => write!(
                f,
                "web: port {port} on {address} is in use; stop what uses it, or set [web] address to another one",
                address = address.ip()
            ),
            std::io::ErrorKind::PermissionDenied => {
                write!(f, "web: not allowed to listen on {address}; ports below 1024 need a privilege")
            }
            _ => write!(f, "web: cannot listen on {address}: {}; check [web] address", self.source),
        }
    }
}

impl std::error::Error for BindError {}

/// Takes the address.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, source })
}

/// Serves until `shutdown` says so.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    mut shutdown: watch::Receiver<bool>,
) {
    let seats = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &seats) => accepted,
            Some(_) = connections.join_next() => continue,
            () = shutdown::asked(&mut shutdown) => break,
        };
        let (stream, peer, seat) = accepted;
        let (router, shutdown) = (router.clone(), shutdown.clone());
        connections.spawn(async move {
            connection((stream, peer), router, bounds, shutdown).await;
            drop(seat);
        });
    }
    drop(listener);
    let ended = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} });
    if ended.await.is_err() {
        connections.shutdown().await;
    }
}

async fn accept(
    listener: &TcpListener,
    seats: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit) {
    let seat = Arc::clone(seats).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, seat),
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to come back.
                log::warn!("web: cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn connection(
    (stream, peer): (TcpStream, SocketAddr),
    router: Router,
    bounds: Bounds,
    mut shutdown: watch::Receiver<bool>,
) {
    // Without it small answers would wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    // The kernel ends a connection on which nothing was acknowledged, or no room was made, for so long.
    let stall = u32::try_from(bounds.stall.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, stall) {
        log::debug!("web: a connection without a time limit: {error}");
    }
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.head);
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.call(request)
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown::asked(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        log::debug!("web: a connection broke: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// More than the kernel takes off our hands for somebody who does not read.
    const LARGE: usize = 64 << 20;

    async fn start(bounds: Bounds) -> (SocketAddr, watch::Sender<bool>) {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/large", get(|| async { vec![0; LARGE] }));
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(serve(listener, router, bounds, stopping));
        (address, stop)
    }

    async fn ask(address: SocketAddr, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        stream
    }

    /// Whether somebody who behaves is served although `first` has the only place.
    async fn makes_room_after(first: &str, bounds: Bounds) -> bool {
        let (address, _stop) = start(Bounds { connections: 1, ..bounds }).await;
        let _first = ask(address, first).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut second = ask(address, "GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n").await;
        let mut answer = String::new();
        let read = second.read_to_string(&mut answer);
        tokio::time::timeout(Duration::from_secs(10), read).await.is_ok_and(|read| read.is_ok())
            && answer.ends_with("hello")
    }

    #[tokio::test]
    async fn whoever_takes_nothing_of_an_answer_gives_its_place_up() {
        let bounds = Bounds { stall: Duration::from_millis(300), ..Bounds::default() };
        assert!(makes_room_after("GET /large HTTP/1.1\r\nHost: hub\r\n\r\n", bounds).await);
    }

    #[tokio::test]
    async fn whoever_never_ends_a_request_gives_its_place_up() {
        let bounds = Bounds { head: Duration::from_millis(300), ..Bounds::default() };
        assert!(makes_room_after("GET / HTTP/1.1\r\nHost: h", bounds).await);
        assert!(makes_room_after("GET / HTTP/1.1\r\nHost: hub\r\n\r\n", bounds).await, "idle afterwards");
        assert!(makes_room_after("", bounds).await, "not a word");
    }
}
