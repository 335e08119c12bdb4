//! The way to the broker: how to get there, whether there is a stream, and what goes over it.
//!
//! Moves bytes and nothing else; what is said is [`Session`]'s business, when the next try is made the loop's.

use super::StartError;
use super::wake::Wake;
use crate::agent::Agent;
use crate::config::Mqtt;
use crate::loss::Loss;
use crate::session::Session;
use crate::transport::{ConnectError, Connector, Stream};
use futures_lite::{AsyncRead, AsyncWrite, future};
use log::warn;
use rackside_link::{LinkError, Login};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// What one read takes at most.
const READ: usize = 4096;

type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, ConnectError>>>>;

/// How the way to the broker stands.
pub(super) enum Line {
    /// Waiting for the next try.
    Down { until: Instant },
    /// Opening a stream.
    Connecting(Connecting),
    /// Talking.
    Up(Box<Talk>),
}

/// A stream and the conversation on it.
pub(super) struct Talk {
    pub(super) session: Session,
    stream: Box<dyn Stream>,
    flushed: bool,
    buffer: [u8; READ],
}

/// How to reach the broker, and what to say at its door.
pub(super) struct Way {
    pub(super) connector: Rc<Connector>,
    pub(super) login: Option<Login>,
}

impl Way {
    /// Reads the certificates and the password.
    pub(super) fn to(mqtt: &Mqtt) -> Result<Self, StartError> {
        let connector = Rc::new(Connector::new(mqtt).map_err(StartError::Tls)?);
        let Some(user) = mqtt.user.clone() else { return Ok(Self { connector, login: None }) };
        let password = mqtt.password.as_ref().map(rackside_config::Secret::read).transpose();
        let password = password.map_err(|why| StartError::Password { user: user.clone(), why })?;
        let password = password.map_or_else(String::new, |text| text.expose().to_owned());
        Ok(Self { connector, login: Some(Login { user, password }) })
    }
}

/// Says who else may read the password.
pub(super) fn warn_of_bare_password(mqtt: &Mqtt) {
    if let Some(exposed) = mqtt.exposed() {
        warn!("{exposed}");
    }
    if mqtt.is_bare() {
        warn!("the password goes over the network without TLS; set [mqtt.tls] unless the way is private");
    }
}

impl Line {
    /// What happens on the line next. Giving up waiting loses nothing.
    pub(super) async fn event(&mut self) -> Wake {
        match self {
            Self::Down { .. } => future::pending().await,
            Self::Connecting(opening) => match opening.await {
                Ok(stream) => Wake::Opened(stream),
                Err(error) => Wake::Lost(Loss::Connect(error)),
            },
            Self::Up(talk) => future::poll_fn(|cx| talk.poll(cx)).await,
        }
    }
}

impl Talk {
    /// A conversation that begins.
    pub(super) fn new(stream: Box<dyn Stream>, session: Session) -> Self {
        Self { session, stream, flushed: true, buffer: [0; READ] }
    }

    /// Hands on what was read.
    pub(super) fn receive(&mut self, bytes: usize, agent: &mut Agent, now: Instant) -> Result<(), LinkError> {
        self.session.receive(&self.buffer[..bytes], agent, now)
    }

    /// Writes what waits, reads what came.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        let full = self.session.is_full();
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(Wake::Lost(Loss::Io(error)));
        }
        if full && !self.session.is_full() {
            return Poll::Ready(Wake::Room);
        }
        Pin::new(&mut self.stream).poll_read(cx, &mut self.buffer).map(|result| match result {
            Ok(0) => Wake::Lost(Loss::Closed),
            Ok(bytes) => Wake::Received(bytes),
            Err(error) => Wake::Lost(Loss::Io(error)),
        })
    }

    /// Writes until nothing waits.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.session.output().is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, self.session.output()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.session.written(written);
            self.flushed = false;
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what waits and closes the stream; errors matter to nobody any more.
    pub(super) async fn drain(&mut self) {
        if future::poll_fn(|cx| self.poll_write(cx)).await.is_err() {
            return;
        }
        let _ = future::poll_fn(|cx| Pin::new(&mut self.stream).poll_close(cx)).await;
        // Until the broker has hung up as well: to leave something unread is a reset, which may overtake the goodbye.
        let mut unread = [0; 256];
        while let Ok(1..) = future::poll_fn(|cx| Pin::new(&mut self.stream).poll_read(cx, &mut unread)).await
        {
        }
    }
}
