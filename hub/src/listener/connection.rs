//! One connection's task: bytes between a socket and the [`Conversation`], messages between the session and the socket.
//!
//! Reads go into a buffer of the thread, not of the connection; writes are gathered: the acknowledgements of a read and
//! whatever waits in the session leave in one write. A client that does not take what was written is read from no more
//! once that is [`PAUSE_READING`], and ends after `limits.write_stall` without progress. Waiting for room in ingest
//! holds up this client only.
//!
//! Invariant: an idle connection holds no buffer in either direction; once let in, it leaves through
//! [`Router::disconnect`](super::router::Router::disconnect) on every path, also a panic's.

use super::admission::{self, Badge};
use super::conversation::{Conversation, Step};
use super::doors::Pass;
use super::message::Qos;
use super::packets::Fault;
use super::permission::{Identity, Passage};
use super::router::{Welcome, Will};
use super::session::{Closing, Session};
use super::shared::Shared;
use super::stats::Reason;
use crate::inbound::{Inbound, Via};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, Publish, SubscribeFilter};
use std::cell::RefCell;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

/// How much is read or written at a time.
const CHUNK: usize = 64 * 1024;
/// With so much unwritten, a client is not read from: what it sends would only make more to write.
const PAUSE_READING: usize = 256 * 1024;
/// Filters of one SUBSCRIBE that are looked at; more, where a client may have more subscriptions.
const FILTERS: usize = 200;
/// What a client that is told why it may not come in gets to read it.
const FAREWELL: Duration = Duration::from_secs(1);

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// The codes of CONNACK, section 3.2.2.3 of the standard.
pub(super) mod code {
    pub(in super::super) const PROTOCOL: u8 = 1;
    pub(in super::super) const CLIENT_ID: u8 = 2;
    pub(in super::super) const UNAVAILABLE: u8 = 3;
    pub(in super::super) const BAD_LOGIN: u8 = 4;
    pub(in super::super) const NOT_AUTHORIZED: u8 = 5;
}

/// How a connection ends.
#[derive(Debug)]
enum End {
    /// The client said DISCONNECT.
    Goodbye,
    /// The client's side is gone, or its socket broke.
    Broken,
    /// We end it, for this reason; what was wrong, for the log.
    Cut(Reason, String),
    /// Its CONNECT was refused.
    Refused(Reason),
    /// The hub stops.
    Stopped,
}

/// What ended a wait.
enum Woken {
    Read,
    Write,
    Rung,
    End(End),
}

struct Connection<S> {
    stream: S,
    shared: Arc<Shared>,
    pass: Pass,
    talk: Conversation,
    client: Option<Client>,
    out: Vec<u8>,
    written: usize,
    flushing: bool,
    /// Since when nothing could be written.
    stalled: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    told_forbidden: bool,
    /// The certificate that TLS has shown.
    badge: Option<Badge>,
}

/// A client that was let in.
struct Client {
    id: Arc<str>,
    session: Arc<Session>,
    identity: Identity,
}

/// Serves one connection to its end.
pub(super) async fn serve<S>(
    stream: S,
    shared: Arc<Shared>,
    pass: Pass,
    alive: mpsc::Sender<()>,
    badge: Option<Badge>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let now = Instant::now();
    let mut connection = Connection {
        stream,
        talk: Conversation::new(Arc::clone(&shared.limits), now),
        shared,
        pass,
        client: None,
        out: Vec::new(),
        written: 0,
        flushing: false,
        stalled: None,
        timer: Box::pin(tokio::time::sleep_until(now)),
        told_forbidden: false,
        badge,
    };
    let end = connection.converse().await;
    connection.finish(end).await;
    drop(alive);
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    async fn converse(&mut self) -> End {
        loop {
            self.fill();
            let woken = self.wait().await;
            let done = match woken {
                Woken::Read => self.carry_out().await,
                Woken::Write | Woken::Rung => Ok(()),
                Woken::End(end) => Err(end),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Takes from the session what can be written now.
    fn fill(&mut self) {
        let Some(client) = &self.client else { return };
        if self.out.len() < CHUNK {
            let shared = &self.shared;
            let count = client.session.take(&self.pass.bell, &mut self.out, CHUNK, &shared.limits);
            shared.counters.messages_out.fetch_add(count, Relaxed);
        }
    }

    fn deadline(&self) -> (Instant, Reason) {
        let patience = self.shared.limits.write_stall.get();
        let stall = self.stalled.map(|since| (since + patience, Reason::WriteStall));
        let far = Duration::from_hours(24);
        let deadlines = stall.into_iter().chain(self.talk.deadline());
        // The timer fires once a day where nothing is due; that is no deadline and is set anew then.
        deadlines.min_by_key(|(at, _)| *at).unwrap_or_else(|| (Instant::now() + far, Reason::KeepAlive))
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) -> Woken {
        let (due, _) = self.deadline();
        // A deadline that has moved on is set when the timer fires: it moves with each packet.
        if due < self.timer.deadline() || self.timer.is_elapsed() {
            self.timer.as_mut().reset(due);
        }
        let bell = Arc::clone(&self.pass.bell);
        let mut rung = pin!(bell.rung());
        poll_fn(|context| {
            if let Some(why) = bell.closing() {
                return Poll::Ready(Woken::End(why.into()));
            }
            let wrote = match self.poll_write(context) {
                Poll::Ready(Ok(wrote)) => wrote,
                Poll::Ready(Err(_)) => return Poll::Ready(Woken::End(End::Broken)),
                Poll::Pending => false,
            };
            // Also of a client that always has something more to say, for which the timer would not be looked at.
            if self.stalled.is_some() && self.deadline().0 <= Instant::now() {
                return Poll::Ready(Woken::End(End::Cut(self.deadline().1, "it kept us waiting".into())));
            }
            if self.out.len() - self.written < PAUSE_READING {
                match self.poll_read(context) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Woken::End(End::Broken)),
                    Poll::Ready(Ok(_)) => return Poll::Ready(Woken::Read),
                    Poll::Pending => {}
                }
            }
            // Only now: a client that is always written to is read from too, or its acknowledgements would pile up.
            if wrote {
                return Poll::Ready(Woken::Write);
            }
            if rung.as_mut().poll(context).is_ready() {
                return Poll::Ready(Woken::Rung);
            }
            while self.timer.as_mut().poll(context).is_ready() {
                let (due, reason) = self.deadline();
                if due <= Instant::now() {
                    return Poll::Ready(Woken::End(End::Cut(reason, "it kept us waiting".into())));
                }
                self.timer.as_mut().reset(due);
            }
            Poll::Pending
        })
        .await
    }

    /// Ready(true) once all is written that there was, Ready(false) if there was nothing.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.out.is_empty() && !self.flushing {
            return Poll::Ready(Ok(false));
        }
        while self.written < self.out.len() {
            match Pin::new(&mut self.stream).poll_write(context, &self.out[self.written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.written += count;
                    self.stalled = None;
                    self.flushing = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            }
        }
        if Pin::new(&mut self.stream).poll_flush(context)?.is_pending() {
            self.stalled.get_or_insert_with(Instant::now);
            return Poll::Pending;
        }
        self.shared.counters.bytes_out.fetch_add(self.written as u64, Relaxed);
        self.stalled = None;
        self.flushing = false;
        self.written = 0;
        self.out = Vec::new();
        Poll::Ready(Ok(true))
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            let bytes = buffer.filled();
            if !bytes.is_empty() {
                self.talk.receive(bytes, Instant::now());
                self.shared.counters.bytes_in.fetch_add(bytes.len() as u64, Relaxed);
            }
            Poll::Ready(Ok(bytes.len()))
        })
    }

    /// Carries out what was read.
    async fn carry_out(&mut self) -> Result<(), End> {
        loop {
            let step = match self.talk.next(Instant::now()) {
                Ok(Some(step)) => step,
                Ok(None) => break,
                Err(fault) => return Err(self.cut(fault)),
            };
            match step {
                Step::Connect(connect) => self.connect(*connect).await?,
                Step::Publish(messages) => self.publish(messages).await?,
                Step::Subscribe(packet, filters) => {
                    self.subscribe(packet, filters).await;
                }
                Step::Unsubscribe(filters) => {
                    if let Some(client) = &self.client {
                        let connection = self.pass.connection;
                        self.shared.change(|router| router.unsubscribe(&client.id, connection, &filters));
                    }
                }
                Step::Goodbye => return Err(End::Goodbye),
            }
        }
        self.reply();
        Ok(())
    }

    fn reply(&mut self) {
        let replies = self.talk.replies();
        if self.out.is_empty() {
            self.out = replies;
        } else {
            self.out.extend_from_slice(&replies);
        }
    }

    fn cut(&mut self, fault: Fault) -> End {
        match fault {
            Fault::Protocol => {
                self.talk.refuse(code::PROTOCOL);
                End::Refused(Reason::Protocol)
            }
            Fault::Malformed(what) => End::Cut(Reason::Malformed, what),
            Fault::TooLarge(length) => {
                End::Cut(Reason::PacketTooLarge, format!("a packet of {length} bytes"))
            }
        }
    }

    async fn connect(&mut self, connect: Connect) -> Result<(), End> {
        let keep_alive = connect.keep_alive;
        let (shared, connection) = (Arc::clone(&self.shared), self.pass.connection);
        let admitted = match admission::check(&shared, &self.pass, self.badge.as_ref(), connect).await {
            Ok((greeting, identity)) => shared
                .change(|router| router.connect(greeting))
                .map(|welcome| (welcome, identity))
                .map_err(|reason| match reason {
                    Reason::ClientId => Some((code::CLIENT_ID, reason)),
                    _ => Some((code::UNAVAILABLE, reason)),
                }),
            Err(refusal) => Err(refusal),
        };
        let (Welcome { client_id, session, present, will }, identity) = match admitted {
            Ok(welcome) => welcome,
            Err(Some((code, reason))) => {
                self.talk.refuse(code);
                return Err(End::Refused(reason));
            }
            Err(None) => return Err(End::Cut(Reason::Malformed, "a will to an impossible topic".into())),
        };
        log::debug!("listener: {client_id:?} from {} is connection {connection}", self.pass.peer);
        self.talk.open(Arc::clone(&session), keep_alive, present, Instant::now());
        self.client = Some(Client { id: client_id, session, identity });
        if let Some(inbound) = will.as_ref().and_then(Shared::inbound_of) {
            self.room().await?.send(vec![inbound]);
        }
        Ok(())
    }

    /// Waits for room in ingest. That is the back-pressure, and nobody else's.
    async fn room(&mut self) -> Result<mpsc::OwnedPermit<Vec<Inbound>>, End> {
        let inbound = self.shared.inbound.clone();
        let inbound = match inbound.try_reserve_owned() {
            Ok(permit) => return Ok(permit),
            Err(mpsc::error::TrySendError::Full(inbound) | mpsc::error::TrySendError::Closed(inbound)) => {
                inbound
            }
        };
        let permit = tokio::select! {
            why = self.pass.bell.closed() => return Err(why.into()),
            permit = inbound.reserve_owned() => permit,
        };
        self.talk.resume(Instant::now());
        permit.map_err(|_| End::Stopped)
    }

    async fn publish(&mut self, messages: Vec<Publish>) -> Result<(), End> {
        let Some(client) = &self.client else { return Ok(()) };
        let shared = Arc::clone(&self.shared);
        shared.counters.messages_in.fetch_add(messages.len() as u64, Relaxed);
        let (mut passed, mut for_ingest) = (Vec::with_capacity(messages.len()), 0);
        for publish in messages {
            let passage = shared.permissions.publish(&client.identity, &publish.topic, publish.retain);
            if passage == Passage::Forbidden {
                shared.counters.count(Reason::Forbidden);
                if !std::mem::replace(&mut self.told_forbidden, true) {
                    let (id, peer, topic) = (&client.id, self.pass.peer, &publish.topic);
                    shared.log.warn(format_args!(
                        "listener: {id:?} from {peer} published to {topic:?}, where it may not; dropped"
                    ));
                }
                continue;
            }
            for_ingest += usize::from(passage.is_for_ingest());
            passed.push((publish, passage));
        }
        let permit = if for_ingest > 0 { Some(self.room().await?) } else { None };
        shared.route(&passed);
        if let Some(permit) = permit {
            let via = Via::Listener { connection: self.pass.connection };
            let mut inbound = Vec::with_capacity(for_ingest);
            inbound.extend(passed.into_iter().filter(|(_, passage)| passage.is_for_ingest()).map(
                |(publish, _)| Inbound {
                    topic: publish.topic,
                    payload: publish.payload,
                    retained: false,
                    via,
                },
            ));
            permit.send(inbound);
        }
        Ok(())
    }

    /// One filter at a time, with turns for others in between: each means looking through what is retained. So there is
    /// an end to the filters of a packet, even if it names one over and over.
    async fn subscribe(&mut self, packet: u16, filters: Vec<SubscribeFilter>) {
        const FAILURE: u8 = 0x80;
        let Some(client) = &self.client else { return };
        let (shared, connection) = (&self.shared, self.pass.connection);
        let most = shared.limits.subscriptions.max(FILTERS);
        let mut codes = Vec::with_capacity(filters.len());
        for SubscribeFilter { path, qos } in filters {
            if codes.len() >= most {
                shared.counters.count(Reason::Subscription);
                codes.push(FAILURE);
                continue;
            }
            if !shared.permissions.may_subscribe(&client.identity, &path) {
                shared.counters.count(Reason::ForbiddenSubscription);
                if !std::mem::replace(&mut self.told_forbidden, true) {
                    let (id, peer) = (&client.id, self.pass.peer);
                    shared
                        .log
                        .warn(format_args!("listener: {id:?} from {peer} may not subscribe to {path:?}"));
                }
                codes.push(FAILURE);
                continue;
            }
            // QoS 2 is asked for and 1 granted: section 3.8.4 lets a server grant less.
            let qos = if qos == QoS::AtMostOnce { Qos::AtMostOnce } else { Qos::AtLeastOnce };
            let granted = shared.change(|router| router.subscribe(&client.id, connection, &path, qos));
            codes.push(granted.map_or(FAILURE, |qos| qos as u8));
            tokio::task::yield_now().await;
        }
        self.talk.granted(packet, &codes);
    }

    /// Leaves: counts and tells why, sends the will on, lets the client read what it was told.
    async fn finish(mut self, end: End) {
        let shared = Arc::clone(&self.shared);
        let reason = match &end {
            End::Goodbye | End::Stopped => None,
            End::Broken => self.client.is_some().then_some(Reason::Broken),
            End::Cut(reason, _) | End::Refused(reason) => Some(*reason),
        };
        if let Some(reason) = reason {
            shared.counters.count(reason);
        }
        let (id, peer) = (self.client.as_ref().map_or("", |client| &client.id).to_owned(), self.pass.peer);
        match &end {
            End::Cut(reason, what) => {
                shared.log.warn(format_args!(
                    "listener: {id:?} from {peer} is cut off, {}: {what}",
                    reason.as_str()
                ));
            }
            End::Refused(reason) => {
                shared
                    .log
                    .warn(format_args!("listener: a CONNECT from {peer} is refused: {}", reason.as_str()));
            }
            End::Goodbye | End::Broken | End::Stopped => {
                log::debug!("listener: {id:?} from {peer} left: {end:?}");
            }
        }
        if matches!(end, End::Stopped) {
            // The last acks: this task may not have had a turn since they were queued.
            self.fill();
        }
        let polite = matches!(end, End::Goodbye | End::Stopped);
        if let Some(inbound) = self.leave(polite).as_ref().and_then(Shared::inbound_of) {
            // Room for a will is waited for without the bell, which may be what ended the connection; but not for ever
            // when ingest is gone.
            let _ = shared.inbound.send(vec![inbound]).await;
        }
        self.reply();
        if !matches!(end, End::Broken) {
            let _ = tokio::time::timeout(FAREWELL, self.farewell(matches!(end, End::Refused(_)))).await;
        }
    }

    /// Writes what is left. A socket that is closed with unread bytes takes the CONNACK with it, so those are read.
    async fn farewell(&mut self, drain: bool) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        self.stream.write_all(out.get(self.written..).unwrap_or_default()).await?;
        self.stream.shutdown().await?;
        let mut unread = [0; 512];
        let mut most = 64;
        while drain && most > 0 && self.stream.read(&mut unread).await? > 0 {
            most -= 1;
        }
        Ok(())
    }
}

impl<S> Connection<S> {
    fn leave(&mut self, goodbye: bool) -> Option<Will> {
        let client = self.client.take()?;
        let connection = self.pass.connection;
        self.shared.change(|router| router.disconnect(&client.id, connection, goodbye, Instant::now()))
    }
}

impl<S> Drop for Connection<S> {
    /// After a panic; [`Connection::finish`] has left already.
    fn drop(&mut self) {
        if let Some(inbound) = self.leave(false).as_ref().and_then(Shared::inbound_of) {
            let _ = self.shared.inbound.try_send(vec![inbound]);
        }
    }
}

impl From<Closing> for End {
    fn from(why: Closing) -> Self {
        match why {
            Closing::TakenOver => Self::Cut(Reason::TakenOver, "the same client connected again".into()),
            Closing::QueueOverflow => {
                Self::Cut(Reason::QueueOverflow, "it does not read what it asked for".into())
            }
            Closing::IdentityEnded => {
                Self::Cut(Reason::IdentityEnded, "its certificate has been taken away, or is too old".into())
            }
            Closing::Shutdown => Self::Stopped,
        }
    }
}
