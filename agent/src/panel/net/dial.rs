//! Reaching another machine and hearing from it, with an end to each wait.

use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// For the name, and for each address.
const STEP: Duration = Duration::from_secs(5);

/// A machine and a port, as they stand in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an address.
    pub host: String,
    /// A TCP port.
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What `work` gives, or an error once `time` has passed.
pub(super) async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = async {
        Timer::after(time).await;
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {time:?}")))
    };
    future::or(work, late).await
}

/// A connection to the first of its addresses that answers.
pub(super) async fn dial(address: &Address) -> io::Result<Async<TcpStream>> {
    let addresses: Vec<SocketAddr> = if let Ok(ip) = address.host.parse::<IpAddr>() {
        vec![SocketAddr::new(ip, address.port)]
    } else {
        // By the system's resolver, on a thread that goes away again: it blocks.
        let target = (address.host.clone(), address.port);
        within(STEP, smol::unblock(move || target.to_socket_addrs().map(Iterator::collect))).await?
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match within(STEP, Async::<TcpStream>::connect(address)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Some bytes, at least one: the end of the stream is an error.
pub(super) async fn some(stream: &mut Async<TcpStream>, buffer: &mut [u8]) -> io::Result<usize> {
    match stream.read(buffer).await? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection")),
        bytes => Ok(bytes),
    }
}

/// All of `bytes`; a machine that takes none for a while is gone.
pub(super) async fn say(stream: &mut Async<TcpStream>, bytes: &[u8]) -> io::Result<()> {
    within(STEP, stream.write_all(bytes)).await
}
