//! A WebSocket as a stream of bytes: what is written goes out in binary messages, what comes in such is read.
//!
//! Invariant: a message waits in each direction and no more, and an answer to a ping.

use super::Stream;
use crate::websocket::{self, Heard, WebSocket};
use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The largest message that is sent.
const MESSAGE: usize = 16 * 1024;
/// What one read takes at most.
const READ: usize = 4096;
/// Answers to pings wait up to this; a server that asks faster gets fewer.
const WAITING: usize = 4096;

/// The stream.
pub(super) struct Socket {
    stream: Box<dyn Stream>,
    talk: WebSocket,
    /// The message that is read, and how much of it has been.
    message: Vec<u8>,
    taken: usize,
    /// What goes out, and how much of it has gone.
    out: Vec<u8>,
    gone: usize,
    has_ended: bool,
    is_closing: bool,
}

impl Socket {
    /// Opens one on a stream, to the server that calls itself `host`; or says why there is none.
    pub(super) async fn open(
        mut stream: Box<dyn Stream>,
        host: &str,
        path: &str,
        protocol: &str,
    ) -> Result<Self, String> {
        let (mut talk, request) = WebSocket::begin(host, path, protocol, websocket::BINARY);
        let broke = |error: io::Error| format!("it breaks off: {error}");
        stream.write_all(&request).await.map_err(broke)?;
        stream.flush().await.map_err(broke)?;
        let mut buffer = [0; READ];
        while talk.next()?.is_none() {
            match stream.read(&mut buffer).await.map_err(broke)? {
                0 => return Err("it hangs up instead of opening a WebSocket".to_owned()),
                count => talk.take(buffer.get(..count).unwrap_or_default()),
            }
        }
        let (message, out) = (Vec::new(), Vec::new());
        Ok(Self { stream, talk, message, taken: 0, out, gone: 0, has_ended: false, is_closing: false })
    }

    /// Writes what goes out.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.out.get(self.gone..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.gone += count,
            }
        }
        if self.gone > 0 {
            (self.out, self.gone) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(rest) = self.message.get(self.taken..).filter(|rest| !rest.is_empty()) {
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                self.taken += count;
                return Poll::Ready(Ok(count));
            }
            if self.has_ended {
                return Poll::Ready(Ok(0));
            }
            match self.talk.next().map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))? {
                Some(Heard::Message(message)) => (self.message, self.taken) = (message, 0),
                Some(Heard::Ping(payload)) if self.out.len() < WAITING => {
                    self.out.extend(websocket::pong(&payload));
                    if self.poll_out(cx)?.is_ready() {
                        let _ = Pin::new(&mut self.stream).poll_flush(cx)?;
                    }
                }
                Some(Heard::Close(_)) => self.has_ended = true,
                Some(Heard::Open | Heard::Alive | Heard::Ping(_)) => {}
                None => {
                    let mut bytes = [0; READ];
                    match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut bytes))? {
                        0 => self.has_ended = true,
                        count => self.talk.take(bytes.get(..count).unwrap_or_default()),
                    }
                }
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_out(cx))?;
        let piece = bytes.get(..MESSAGE).unwrap_or(bytes);
        self.out = websocket::binary(piece);
        // What does not go now goes with the next write or flush.
        let _ = self.poll_out(cx)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Its server hangs up once it has heard this.
        if !std::mem::replace(&mut self.is_closing, true) {
            self.out.extend(websocket::close());
        }
        self.poll_flush(cx)
    }
}
