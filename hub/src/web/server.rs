//! Serving HTTP: accepting, bounding, ending. What is served is the router's.
//!
//! [`Bounds`]: so many connections at once, so many of them from one address, so long for a request's head, so long without taking anything of an
//! answer: nobody keeps a place by doing nothing, and nobody has all of them. When the hub stops, idle connections are closed at
//! once and busy ones after their answer; whoever takes longer is cut off.

use super::change::Peer;
use super::places::{HERE, Places};
use crate::clock;
use crate::shutdown;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// What nobody who connects can go beyond.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Connections at once.
    pub connections: usize,
    /// Of these from one address: some forty browsers behind the one address of a venue.
    pub of_one: usize,
    /// Addresses that bring many people, and as many connections as there are: this machine, where a proxy may be, and other proxies.
    pub apart: Vec<IpAddr>,
    /// How long a request's head may take, and how long a connection may be idle between requests.
    pub head: Duration,
    /// How long a client may take nothing of what is sent to it. A phone that lost its network, too, is noticed by this.
    pub stall: Duration,
    /// Counts connections that were shut at once, since their address had enough.
    pub refused: Arc<AtomicU64>,
}

impl Default for Bounds {
    fn default() -> Self {
        let (head, stall) = (Duration::from_secs(30), Duration::from_secs(30));
        Self { connections: 1024, of_one: 256, apart: vec![HERE], head, stall, refused: Arc::default() }
    }
}

impl Bounds {
    /// The usual ones, with these proxies, and where is counted who is refused.
    pub(crate) fn behind(proxies: &[IpAddr], refused: Arc<AtomicU64>) -> Self {
        let usual = Self::default();
        Self { apart: [&usual.apart, proxies].concat(), refused, ..usual }
    }
}

/// That an address gets no more connections is told so often at most.
const TELL_EVERY: Duration = Duration::from_mins(1);
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
    let places = Places::new(bounds.connections, bounds.of_one, &bounds.apart);
    let mut connections = JoinSet::new();
    let mut told = None;
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &seats) => accepted,
            Some(_) = connections.join_next() => continue,
            () = shutdown::asked(&mut shutdown) => break,
        };
        let (stream, peer, seat) = accepted;
        let Ok(place) = places.take(peer.ip()) else {
            bounds.refused.fetch_add(1, Ordering::Relaxed);
            let now = clock::now().instant;
            if told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY) {
                told = Some(now);
                let (from, most) = (peer.ip().to_canonical(), bounds.of_one);
                log::warn!(
                    "web: {from} has {most} connections, and gets no more; if it is a proxy, name it in [web] proxies"
                );
            }
            continue;
        };
        let (router, shutdown, bounds) = (router.clone(), shutdown.clone(), bounds.clone());
        connections.spawn(async move {
            connection((stream, peer), router, bounds, shutdown).await;
            drop((place, seat));
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
        let peer = Peer(peer, request.version());
        request.extensions_mut().insert(peer);
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
    async fn makes_room_after(first: &str, bounds: &Bounds) -> bool {
        let (address, _stop) = start(Bounds { connections: 1, ..bounds.clone() }).await;
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
        assert!(makes_room_after("GET /large HTTP/1.1\r\nHost: hub\r\n\r\n", &bounds).await);
    }

    #[tokio::test]
    async fn one_address_does_not_take_every_connection() {
        // None of them goes by itself while this looks.
        let head = Duration::from_mins(10);
        let bounds = Bounds { connections: 8, of_one: 2, apart: Vec::new(), head, ..Bounds::default() };
        let refusals = Arc::clone(&bounds.refused);
        let (address, _stop) = start(bounds).await;
        let get = "GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n";
        let read = |mut stream: TcpStream| async move {
            let mut answer = String::new();
            // One that is shut in its face may be reset.
            let _ = stream.read_to_string(&mut answer).await;
            answer
        };
        let sitting = [ask(address, "GET").await, ask(address, "GET").await];
        let refused = TcpStream::connect(address).await.expect("the kernel takes it");
        let shut = tokio::time::timeout(Duration::from_secs(30), read(refused)).await;
        assert_eq!(shut.as_deref(), Ok(""), "a third is shut");
        assert_eq!(refusals.load(Ordering::Relaxed), 1, "and counted");
        drop(sitting);
        let served = async {
            loop {
                let answer = read(ask(address, get).await).await;
                if answer.ends_with("hello") {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), served).await.expect("there is a place again");
        let (address, _stop) = start(Bounds { apart: vec![HERE], of_one: 0, ..Bounds::default() }).await;
        assert!(read(ask(address, get).await).await.ends_with("hello"), "a proxy brings everybody");
    }

    #[tokio::test]
    async fn whoever_never_ends_a_request_gives_its_place_up() {
        let bounds = Bounds { head: Duration::from_millis(300), ..Bounds::default() };
        assert!(makes_room_after("GET / HTTP/1.1\r\nHost: h", &bounds).await);
        assert!(makes_room_after("GET / HTTP/1.1\r\nHost: hub\r\n\r\n", &bounds).await, "idle afterwards");
        assert!(makes_room_after("", &bounds).await, "not a word");
    }
}
