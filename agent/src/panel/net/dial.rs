//! Reaching another machine and hearing from it, with an end to each wait.

use crate::dial::{self, DialError, Silence};
use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::io;
use std::net::TcpStream;
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
    dial::within(time, work, || Err(dial::no_answer(time))).await
}

/// A connection to the first of its addresses that answers.
pub(super) async fn dial(address: &Address) -> io::Result<Async<TcpStream>> {
    let dialled = async {
        let addresses = dial::resolve_within(STEP, &address.host, address.port).await?;
        dial::open(&addresses, Silence::each(STEP)).await
    };
    dialled.await.map(|(stream, _)| stream).map_err(DialError::into_why)
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
