//! A blocking MQTT client for tests, on the same [`rackside_link`] that agent and hub use.

use crate::clock;
use bytes::Bytes;
use rackside_link::{Link, LinkError, LinkEvent, Options, Qos};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a broker on this machine may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub struct Client {
    stream: TcpStream,
    link: Link,
    waiting: VecDeque<ReceivedMessage>,
}

/// A message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Its topic.
    pub topic: String,
    /// Its body.
    pub payload: Bytes,
    /// Whether the broker had kept it.
    pub retained: bool,
}

/// Why a connection ended.
#[derive(Debug)]
pub enum ClientError {
    /// The socket failed or was closed.
    Socket(io::Error),
    /// The protocol failed.
    Link(LinkError),
    /// The broker did not answer in time.
    NoAnswer(&'static str),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "the connection failed: {error}"),
            Self::Link(error) => write!(f, "{error}"),
            Self::NoAnswer(what) => write!(f, "no answer to {what} within {PATIENCE:?}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<LinkError> for ClientError {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

impl Client {
    /// Connects and waits for the broker's yes.
    pub fn connect(address: SocketAddr, options: &Options) -> Result<Self, ClientError> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        let mut client = Self { stream, link: Link::new(options, clock::now()), waiting: VecDeque::new() };
        client.until("CONNECT", |event| matches!(event, LinkEvent::Connected))?;
        Ok(client)
    }

    /// Connects by a name only.
    pub fn named(address: SocketAddr, client_id: &str) -> Result<Self, ClientError> {
        Self::connect(address, &Options::new(client_id))
    }

    /// Publishes with QoS 1 and waits for the PUBACK.
    pub fn publish(
        &mut self,
        topic: &str,
        payload: impl Into<Bytes>,
        retain: bool,
    ) -> Result<(), ClientError> {
        self.link.publish(topic, payload.into(), Qos::AtLeastOnce, retain, clock::now())?;
        self.until("PUBLISH", |event| matches!(event, LinkEvent::Acked))
    }

    /// Publishes with QoS 1, without waiting for each PUBACK before the next message, and returns after the last one.
    pub fn publish_all(
        &mut self,
        messages: impl IntoIterator<Item = (String, Bytes)>,
    ) -> Result<(), ClientError> {
        let mut messages = messages.into_iter().peekable();
        let mut heard = clock::now();
        while messages.peek().is_some() || self.link.inflight() > 0 {
            while self.link.may_publish()
                && let Some((topic, payload)) = messages.next()
            {
                self.link.publish(&topic, payload, Qos::AtLeastOnce, false, clock::now())?;
            }
            self.step(&mut |_| heard = clock::now())?;
            if heard.elapsed() > PATIENCE {
                return Err(ClientError::NoAnswer("PUBLISH"));
            }
        }
        Ok(())
    }

    /// Subscribes with QoS 1; the filters that the broker refused.
    pub fn subscribe(&mut self, filters: &[&str]) -> Result<Vec<String>, ClientError> {
        let wanted: Vec<_> = filters.iter().map(|filter| (*filter, Qos::AtLeastOnce)).collect();
        self.link.subscribe(&wanted, clock::now())?;
        let mut answer = Vec::new();
        self.until("SUBSCRIBE", |event| match event {
            LinkEvent::Subscribed { refused } => {
                answer.clone_from(refused);
                true
            }
            _ => false,
        })?;
        Ok(answer)
    }

    /// The next message that `wanted` makes something of; others are dropped. `None` when none comes in time.
    pub fn wait<T>(
        &mut self,
        within: Duration,
        mut wanted: impl FnMut(&ReceivedMessage) -> Option<T>,
    ) -> Result<Option<T>, ClientError> {
        let end = clock::now() + within;
        loop {
            while let Some(message) = self.waiting.pop_front() {
                if let Some(found) = wanted(&message) {
                    return Ok(Some(found));
                }
            }
            if clock::now() >= end {
                return Ok(None);
            }
            self.step(&mut |_| {})?;
        }
    }

    /// Says goodbye, so that the broker forgets the will.
    pub fn disconnect(mut self) -> Result<(), ClientError> {
        self.link.disconnect(clock::now())?;
        Ok(self.stream.write_all(self.link.output())?)
    }

    fn until(
        &mut self,
        what: &'static str,
        mut done: impl FnMut(&LinkEvent) -> bool,
    ) -> Result<(), ClientError> {
        let end = clock::now() + PATIENCE;
        let mut is_done = false;
        while !is_done {
            if clock::now() >= end {
                return Err(ClientError::NoAnswer(what));
            }
            self.step(&mut |event| is_done |= done(event))?;
        }
        Ok(())
    }

    /// Writes what waits, reads what is there, lets time pass in the link.
    fn step(&mut self, hear: &mut dyn FnMut(&LinkEvent)) -> Result<(), ClientError> {
        let pending = self.link.output().len();
        if pending > 0 {
            self.stream.write_all(self.link.output())?;
            self.link.written(pending);
        }
        let mut buffer = [0; 8192];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(read) => self.link.receive(&buffer[..read], clock::now())?,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        self.link.handle_timeout(clock::now())?;
        while let Some(event) = self.link.next_event() {
            hear(&event);
            if let LinkEvent::Message { topic, payload, retained } = event {
                self.waiting.push_back(ReceivedMessage { topic, payload, retained });
            }
        }
        Ok(())
    }
}
