//! What the link costs: bytes as TCP carries them, below TLS.

use futures_lite::{AsyncRead, AsyncWrite};
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Bytes in both directions since the agent started.
#[derive(Debug, Default)]
pub struct Traffic {
    received: Cell<u64>,
    transmitted: Cell<u64>,
}

impl Traffic {
    /// Bytes from the broker.
    pub const fn received(&self) -> u64 {
        self.received.get()
    }

    /// Bytes to the broker.
    pub const fn transmitted(&self) -> u64 {
        self.transmitted.get()
    }
}

/// A stream that counts.
#[derive(Debug)]
pub(super) struct Counted<S> {
    stream: S,
    traffic: Rc<Traffic>,
}

impl<S> Counted<S> {
    pub(super) const fn new(stream: S, traffic: Rc<Traffic>) -> Self {
        Self { stream, traffic }
    }
}

fn count(counter: &Cell<u64>, result: &Poll<io::Result<usize>>) {
    if let Poll::Ready(Ok(bytes)) = result {
        counter.set(counter.get() + *bytes as u64);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        count(&self.traffic.received, &result);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        count(&self.traffic.transmitted, &result);
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::io::Cursor;
    use futures_lite::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn both_directions_are_counted() {
        let traffic = Rc::new(Traffic::default());
        let mut stream = Counted::new(Cursor::new(vec![7_u8; 10]), Rc::clone(&traffic));
        futures_lite::future::block_on(async {
            let mut buf = [0; 6];
            stream.read_exact(&mut buf).await.expect("six bytes");
            stream.write_all(&[1, 2, 3]).await.expect("room");
        });
        assert_eq!((traffic.received(), traffic.transmitted()), (6, 3));
    }
}
