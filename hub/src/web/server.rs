//! Serving HTTP: accepting, bounding, ending. What is served is the router's.
//!
//! Bounds: so many connections at once, so long for a request's head. When the hub stops, idle connections are closed at
//! once and busy ones after their answer; whoever takes longer is cut off.

use crate::shutdown;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Most connections at once.
const CONNECTIONS: usize = 1024;
/// How long a request's head may take, and how long a connection may be idle between requests.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
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
pub async fn serve(listener: TcpListener, router: Router, mut shutdown: watch::Receiver<bool>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &seats) => accepted,
            Some(_) = connections.join_next() => continue,
            () = shutdown::asked(&mut shutdown) => break,
        };
        let (stream, seat) = accepted;
        let (router, shutdown) = (router.clone(), shutdown.clone());
        connections.spawn(async move {
            connection(stream, router, shutdown).await;
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
) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    let seat = Arc::clone(seats).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, seat),
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to come back.
                log::warn!("web: cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, mut shutdown: watch::Receiver<bool>) {
    // Without it small answers would wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    let service = TowerToHyperService::new(router);
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
