//! Our streams as hyper wants to read and write them.

use crate::transport::Stream;
use bytes::Bytes;
use futures_lite::{AsyncRead as _, AsyncWrite as _};
use hyper::body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Bytes taken at once from the stream: hyper's own buffer begins with as many.
const AT_ONCE: usize = 8 * 1024;

/// A request's body, all of it.
pub(super) struct Whole(Bytes);

impl From<Vec<u8>> for Whole {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// A stream below hyper.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    /// hyper lends memory that only unsafe code could fill directly.
    buffer: Vec<u8>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, buffer: vec![0; AT_ONCE] }
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let most = cursor.remaining().min(this.buffer.len());
        let Some(room) = this.buffer.get_mut(..most) else { return Poll::Ready(Ok(())) };
        let count = ready!(Pin::new(&mut this.stream).poll_read(cx, room))?;
        cursor.put_slice(room.get(..count).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
