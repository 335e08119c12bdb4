//! One connection.
//!
//! Invariants: nothing is published before the CONNACK; never more in flight than `max_inflight`; never a second
//! message into a packet id that waits for its PUBACK; `events` of the state below is empty between calls.

use crate::{LinkError, Options, Qos, Refusal};
use bytes::{Buf as _, Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, Packet, PingReq, PubAck, Publish, SubAck, Subscribe, SubscribeFilter,
    SubscribeReasonCode,
};
use rumqttc::{Disconnect, MqttState, Request, mqttbytes};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is added to topic and body of a PUBLISH at most: type, remaining length, topic length, packet id.
const PUBLISH_OVERHEAD: usize = 1 + 4 + 2 + 2;

/// What came out of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// The broker took the connection. Subscribe now.
    Connected,
    /// The broker answered a subscription.
    Subscribed {
        /// The filters that it will not serve.
        refused: Vec<String>,
    },
    /// A message came. If it was QoS 1, its PUBACK is in the output already.
    Message {
        /// Its topic.
        topic: String,
        /// Its body; a slice of what was read.
        payload: Bytes,
        /// Whether the broker kept it for us.
        retained: bool,
    },
    /// A message came that is larger than a packet may be. It was read past, and acknowledged if it was QoS 1: a broker that
    /// keeps it would only send it again on the next connection.
    Oversized {
        /// Its topic.
        topic: String,
        /// Its packet's size in bytes.
        size: usize,
    },
    /// The broker has one of our QoS 1 messages. That ends MQTT's own retry and nothing else.
    Acked,
}

/// A connection to a broker: bytes and time in, bytes and events out.
pub struct Link {
    state: MqttState,
    phase: Phase,
    input: BytesMut,
    output: BytesMut,
    events: VecDeque<LinkEvent>,
    /// Bytes of an oversized message that are still to come.
    skipping: usize,
    /// Filters of the subscription that waits for its SUBACK, with its packet id.
    subscribing: Option<(u16, Vec<String>)>,
    keep_alive: Duration,
    connect_timeout: Duration,
    max_inflight: u16,
    max_packet: usize,
    last_received: Instant,
    last_sent: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Connected,
    Ended,
}

impl Link {
    /// A connection about to be made: its CONNECT waits in [`output`](Self::output).
    pub fn new(options: &Options, now: Instant) -> Self {
        let mut output = BytesMut::new();
        // Fails only for a remaining length beyond 256 MB, which strings of at most 64 KiB each cannot reach.
        options.connect().write(&mut output).expect("a CONNECT fits its length field");
        Self {
            state: MqttState::new(options.max_inflight.max(1), false),
            phase: Phase::Connecting,
            input: BytesMut::new(),
            output,
            events: VecDeque::new(),
            skipping: 0,
            subscribing: None,
            keep_alive: options.keep_alive.max(Duration::from_secs(1)),
            connect_timeout: options.connect_timeout,
            max_inflight: options.max_inflight.max(1),
            max_packet: options.max_packet,
            last_received: now,
            last_sent: now,
        }
    }

    /// What waits for the socket.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// The socket took the first `n` bytes of the output.
    pub fn written(&mut self, n: usize) {
        let _ = self.output.split_to(n.min(self.output.len()));
        if self.output.is_empty() && self.output.capacity() > 4096 {
            self.output = BytesMut::new();
        }
    }

    /// Takes bytes from the socket. After an error the link is over.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) -> Result<(), LinkError> {
        self.last_received = now;
        self.input.extend_from_slice(bytes);
        loop {
            let skipped = self.skipping.min(self.input.len());
            self.input.advance(skipped);
            self.skipping -= skipped;
            match Packet::read(&mut self.input, self.max_packet) {
                Ok(packet) => self.take(packet, now)?,
                Err(mqttbytes::Error::InsufficientBytes(_)) => break,
                Err(mqttbytes::Error::PayloadSizeLimitExceeded(size)) => {
                    if !self.skip(size, now)? {
                        break;
                    }
                }
                Err(error) => return Err(self.broken(&error)),
            }
        }
        if self.input.is_empty() {
            // What was read is owned by the messages cut from it; do not keep it alive from here too.
            self.input = BytesMut::new();
        }
        Ok(())
    }

    /// The next thing that came out, oldest first.
    pub fn next_event(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }

    /// Whether a QoS 1 message can be published now.
    pub fn may_publish(&self) -> bool {
        self.phase == Phase::Connected
            && self.state.inflight() < self.max_inflight
            && self.state.collision.is_none()
    }

    /// How many QoS 1 messages wait for their PUBACK.
    pub fn inflight(&self) -> u16 {
        self.state.inflight()
    }

    /// Puts a message into the output.
    pub fn publish(
        &mut self,
        topic: &str,
        payload: Bytes,
        qos: Qos,
        retain: bool,
        now: Instant,
    ) -> Result<(), LinkError> {
        let size = topic.len() + payload.len() + PUBLISH_OVERHEAD;
        if size > self.max_packet {
            return Err(LinkError::TooLarge { size, limit: self.max_packet });
        }
        let ready = match qos {
            Qos::AtMostOnce => self.phase == Phase::Connected,
            Qos::AtLeastOnce => self.may_publish(),
        };
        if !ready {
            return Err(LinkError::Busy);
        }
        let mut publish = Publish::from_bytes(topic, qos.into(), payload);
        publish.retain = retain;
        self.request(Request::Publish(publish), now)
    }

    /// Subscribes. Only while nothing is in flight, best on [`LinkEvent::Connected`]: the state below takes a
    /// subscription's packet id from the same small circle as publishes, and does not look whether it is taken.
    pub fn subscribe(&mut self, filters: &[(&str, Qos)], now: Instant) -> Result<(), LinkError> {
        if self.phase != Phase::Connected || self.inflight() > 0 || self.subscribing.is_some() {
            return Err(LinkError::Busy);
        }
        let wanted =
            filters.iter().map(|(filter, qos)| SubscribeFilter::new((*filter).to_owned(), (*qos).into()));
        let outgoing = self.state.handle_outgoing_packet(Request::Subscribe(Subscribe::new_many(wanted)));
        self.state.events.clear();
        let packet = outgoing.map_err(|error| self.broken(&error))?;
        if let Some(Packet::Subscribe(subscribe)) = &packet {
            self.subscribing =
                Some((subscribe.pkid, filters.iter().map(|(filter, _)| (*filter).to_owned()).collect()));
        }
        self.send(packet, now)
    }

    /// Puts a DISCONNECT into the output, so that the broker forgets the will. Nothing is taken afterwards.
    pub fn disconnect(&mut self, now: Instant) -> Result<(), LinkError> {
        let was = std::mem::replace(&mut self.phase, Phase::Ended);
        if was == Phase::Connected { self.request(Request::Disconnect(Disconnect), now) } else { Ok(()) }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called at the latest.
    pub fn deadline(&self) -> Instant {
        match self.phase {
            // The CONNECT is the last that was sent. What came since is not the answer, however much it was.
            Phase::Connecting => self.last_sent + self.connect_timeout,
            Phase::Connected | Phase::Ended if self.state.await_pingresp => {
                self.last_received + self.keep_alive
            }
            Phase::Connected | Phase::Ended => self.last_received.min(self.last_sent) + self.keep_alive / 2,
        }
    }

    /// Asks a quiet peer for a sign of life, or finds that it is gone.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), LinkError> {
        if now < self.deadline() {
            return Ok(());
        }
        match self.phase {
            Phase::Connecting => {
                self.phase = Phase::Ended;
                Err(LinkError::NoAnswer(self.connect_timeout))
            }
            Phase::Connected if self.state.await_pingresp => {
                self.phase = Phase::Ended;
                Err(LinkError::Silent(self.keep_alive))
            }
            Phase::Connected => self.request(Request::PingReq(PingReq), now),
            Phase::Ended => Ok(()),
        }
    }

    /// Reads past an oversized message, once its topic is there; false while more bytes are needed for that.
    fn skip(&mut self, size: usize, now: Instant) -> Result<bool, LinkError> {
        let Some(begin) = Begin::read(&self.input) else {
            let error = LinkError::TooLarge { size, limit: self.max_packet };
            self.phase = Phase::Ended;
            return Err(error);
        };
        let Begin::Publish { topic, packet, length } = begin else { return Ok(false) };
        self.events.push_back(LinkEvent::Oversized { topic, size: length });
        self.skipping = length;
        if let Some(packet) = packet {
            self.request(Request::PubAck(PubAck::new(packet)), now)?;
        }
        Ok(true)
    }

    fn take(&mut self, packet: Packet, now: Instant) -> Result<(), LinkError> {
        match (self.phase, packet) {
            (Phase::Connecting, Packet::ConnAck(answer)) => self.answered(&answer),
            (Phase::Connecting, other) => Err(self.broken(&format!("{} before CONNACK", name(&other)))),
            (Phase::Connected, packet) => {
                let event = self.event(&packet)?;
                let outgoing = self.state.handle_incoming_packet(packet);
                self.state.events.clear();
                let outgoing = outgoing.map_err(|error| self.broken(&error))?;
                self.events.extend(event);
                self.send(outgoing, now)
            }
            // After our DISCONNECT whatever still comes is nobody's.
            (Phase::Ended, _) => Ok(()),
        }
    }

    fn answered(&mut self, answer: &ConnAck) -> Result<(), LinkError> {
        let refusal = match answer.code {
            ConnectReturnCode::Success => {
                self.phase = Phase::Connected;
                self.events.push_back(LinkEvent::Connected);
                return Ok(());
            }
            ConnectReturnCode::RefusedProtocolVersion => Refusal::ProtocolVersion,
            ConnectReturnCode::BadClientId => Refusal::ClientId,
            ConnectReturnCode::ServiceUnavailable => Refusal::Unavailable,
            ConnectReturnCode::BadUserNamePassword => Refusal::BadLogin,
            ConnectReturnCode::NotAuthorized => Refusal::NotAuthorized,
        };
        self.phase = Phase::Ended;
        Err(LinkError::Refused(refusal))
    }

    /// What the caller hears of a packet; a packet that a broker does not send to a client ends the link.
    fn event(&mut self, packet: &Packet) -> Result<Option<LinkEvent>, LinkError> {
        Ok(match packet {
            Packet::Publish(publish) => Some(LinkEvent::Message {
                topic: publish.topic.clone(),
                payload: publish.payload.clone(),
                retained: publish.retain,
            }),
            Packet::PubAck(_) => Some(LinkEvent::Acked),
            Packet::SubAck(answer) => Some(self.subscribed(answer)?),
            Packet::PingResp | Packet::UnsubAck(_) | Packet::PubRel(_) => None,
            other => return Err(self.broken(&format!("unexpected {}", name(other)))),
        })
    }

    fn subscribed(&mut self, answer: &SubAck) -> Result<LinkEvent, LinkError> {
        match self.subscribing.take() {
            Some((pkid, filters)) if pkid == answer.pkid && filters.len() == answer.return_codes.len() => {
                let codes = answer.return_codes.iter();
                let refused =
                    filters.into_iter().zip(codes).filter(|(_, code)| **code == SubscribeReasonCode::Failure);
                Ok(LinkEvent::Subscribed { refused: refused.map(|(filter, _)| filter).collect() })
            }
            _ => Err(self.broken("a SUBACK that answers nothing")),
        }
    }

    fn request(&mut self, request: Request, now: Instant) -> Result<(), LinkError> {
        let outgoing = self.state.handle_outgoing_packet(request);
        self.state.events.clear();
        let packet = outgoing.map_err(|error| self.broken(&error))?;
        self.send(packet, now)
    }

    fn send(&mut self, packet: Option<Packet>, now: Instant) -> Result<(), LinkError> {
        if let Some(packet) = packet {
            self.last_sent = now;
            packet.write(&mut self.output, self.max_packet).map_err(|error| self.broken(&error))?;
        }
        Ok(())
    }

    fn broken(&mut self, what: &(impl ToString + ?Sized)) -> LinkError {
        self.phase = Phase::Ended;
        LinkError::Protocol(what.to_string())
    }
}

/// The first bytes of a packet that is too large to be read.
enum Begin {
    /// A message, with its packet id if it wants a PUBACK, and the packet's whole length.
    Publish { topic: String, packet: Option<u16>, length: usize },
    /// Perhaps one; its topic has not come yet.
    Short,
}

impl Begin {
    /// `None`: no message that could be read past.
    fn read(bytes: &[u8]) -> Option<Self> {
        // Section 3.3 of the standard: type 3, QoS in bits 1 and 2; a length of up to four bytes; topic; packet id.
        let qos = match bytes.first()? {
            byte if byte >> 4 == 3 && byte & 0b110 < 0b100 => byte >> 1 & 0b11,
            _ => return None,
        };
        let size = 1 + bytes.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
        let digits = bytes.get(1..size)?.iter().rev();
        let length = size + digits.fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
        let Some(topic_length) = bytes.get(size..size + 2) else { return Some(Self::Short) };
        let end = size + 2 + usize::from(u16::from_be_bytes(topic_length.try_into().ok()?));
        let (Some(topic), Some(after)) = (bytes.get(size + 2..end), bytes.get(end..end + 2)) else {
            return Some(Self::Short);
        };
        let packet = if qos == 0 { None } else { Some(u16::from_be_bytes(after.try_into().ok()?)) };
        Some(Self::Publish { topic: String::from_utf8_lossy(topic).into_owned(), packet, length })
    }
}

fn name(packet: &Packet) -> &'static str {
    match packet {
        Packet::Connect(_) => "CONNECT",
        Packet::ConnAck(_) => "CONNACK",
        Packet::Publish(_) => "PUBLISH",
        Packet::PubAck(_) => "PUBACK",
        Packet::PubRec(_) => "PUBREC",
        Packet::PubRel(_) => "PUBREL",
        Packet::PubComp(_) => "PUBCOMP",
        Packet::Subscribe(_) => "SUBSCRIBE",
        Packet::SubAck(_) => "SUBACK",
        Packet::Unsubscribe(_) => "UNSUBSCRIBE",
        Packet::UnsubAck(_) => "UNSUBACK",
        Packet::PingReq => "PINGREQ",
        Packet::PingResp => "PINGRESP",
        Packet::Disconnect => "DISCONNECT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Login, Will};
    use rumqttc::mqttbytes::v4::{PubRec, PubRel};

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::disallowed_methods, reason = "a test's time has to begin somewhere")]
    fn start() -> Instant {
        Instant::now()
    }

    /// The broker's side: takes what the link wrote, as packets.
    fn sent(link: &mut Link) -> Vec<Packet> {
        let mut bytes = BytesMut::from(link.output());
        link.written(bytes.len());
        std::iter::from_fn(|| (!bytes.is_empty()).then(|| Packet::read(&mut bytes, 1 << 20).unwrap()))
            .collect()
    }

    fn answer(link: &mut Link, packet: &Packet, now: Instant) -> Result<(), LinkError> {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, 1 << 20).unwrap();
        link.receive(&bytes, now)
    }

    fn connack(code: ConnectReturnCode) -> Packet {
        Packet::ConnAck(ConnAck::new(code, false))
    }

    fn connected(options: &Options, now: Instant) -> Link {
        let mut link = Link::new(options, now);
        sent(&mut link);
        answer(&mut link, &connack(ConnectReturnCode::Success), now).unwrap();
        assert_eq!(link.next_event(), Some(LinkEvent::Connected));
        link
    }

    fn publish(link: &mut Link, now: Instant) -> Result<(), LinkError> {
        link.publish("t", Bytes::from_static(b"x"), Qos::AtLeastOnce, false, now)
    }

    #[test]
    fn connect_carries_login_will_and_keep_alive() {
        let mut options = Options::new("a/b/1");
        options.login = Some(Login { user: "u".into(), password: "p".into() });
        options.will = Some(Will { topic: "w".into(), payload: Bytes::from_static(b"gone"), retain: true });
        let mut link = Link::new(&options, start());
        let Some(Packet::Connect(connect)) = sent(&mut link).pop() else { panic!("a CONNECT") };
        assert_eq!(
            (connect.client_id.as_str(), connect.keep_alive, connect.clean_session),
            ("a/b/1", 5, true)
        );
        let login = connect.login.unwrap();
        assert_eq!((login.username.as_str(), login.password.as_str()), ("u", "p"));
        let will = connect.last_will.unwrap();
        assert!(will.retain);
        assert_eq!((will.topic.as_str(), &will.message[..]), ("w", &b"gone"[..]));
    }

    #[test]
    fn debug_of_options_hides_the_password() {
        let mut options = Options::new("a");
        options.login = Some(Login { user: "u".into(), password: "hunter2".into() });
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn nothing_is_published_before_connack() {
        let mut link = Link::new(&Options::new("a"), start());
        assert!(!link.may_publish());
        assert_eq!(publish(&mut link, start()), Err(LinkError::Busy));
        assert_eq!(link.subscribe(&[("t", Qos::AtLeastOnce)], start()), Err(LinkError::Busy));
    }

    #[test]
    fn each_refusal_has_its_name() {
        for (code, refusal) in [
            (ConnectReturnCode::RefusedProtocolVersion, Refusal::ProtocolVersion),
            (ConnectReturnCode::BadClientId, Refusal::ClientId),
            (ConnectReturnCode::ServiceUnavailable, Refusal::Unavailable),
            (ConnectReturnCode::BadUserNamePassword, Refusal::BadLogin),
            (ConnectReturnCode::NotAuthorized, Refusal::NotAuthorized),
        ] {
            let mut link = Link::new(&Options::new("a"), start());
            sent(&mut link);
            assert_eq!(answer(&mut link, &connack(code), start()), Err(LinkError::Refused(refusal)));
            assert!(!link.may_publish());
        }
    }

    #[test]
    fn never_more_in_flight_than_allowed() {
        let now = start();
        let mut options = Options::new("a");
        options.max_inflight = 3;
        let mut link = connected(&options, now);
        for _ in 0..3 {
            publish(&mut link, now).unwrap();
        }
        assert!(!link.may_publish());
        assert_eq!(publish(&mut link, now), Err(LinkError::Busy));
        answer(&mut link, &Packet::PubAck(PubAck::new(1)), now).unwrap();
        assert_eq!(link.next_event(), Some(LinkEvent::Acked));
        publish(&mut link, now).unwrap();
    }

    #[test]
    fn acks_out_of_order_lose_no_message() {
        let now = start();
        let mut options = Options::new("a");
        options.max_inflight = 3;
        let mut link = connected(&options, now);
        for body in ["a", "b", "c"] {
            link.publish("t", Bytes::from_static(body.as_bytes()), Qos::AtLeastOnce, false, now).unwrap();
        }
        // Packet id 2 is free, but the next id in the circle is 1, which is still taken.
        answer(&mut link, &Packet::PubAck(PubAck::new(2)), now).unwrap();
        link.publish("t", Bytes::from_static(b"d"), Qos::AtLeastOnce, false, now).unwrap();
        assert!(!link.may_publish(), "one message waits for its id: another would overwrite it");
        answer(&mut link, &Packet::PubAck(PubAck::new(1)), now).unwrap();
        let bodies: Vec<_> = sent(&mut link)
            .into_iter()
            .map(|packet| match packet {
                Packet::Publish(publish) => publish.payload,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(bodies, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_puback_nobody_asked_for_ends_the_link() {
        let now = start();
        let mut link = connected(&Options::new("a"), now);
        let error = answer(&mut link, &Packet::PubAck(PubAck::new(9)), now).unwrap_err();
        assert!(matches!(error, LinkError::Protocol(_)), "{error}");
    }

    #[test]
    fn a_message_in_pieces_comes_out_whole_and_is_acknowledged() {
        let now = start();
        let mut link = connected(&Options::new("a"), now);
        let mut publish = Publish::new("t", rumqttc::QoS::AtLeastOnce, vec![7; 300]);
        publish.pkid = 5;
        let mut bytes = BytesMut::new();
        Packet::Publish(publish).write(&mut bytes, 1 << 20).unwrap();
        for byte in &bytes {
            assert_eq!(link.next_event(), None);
            link.receive(&[*byte], now).unwrap();
        }
        let Some(LinkEvent::Message { topic, payload, retained }) = link.next_event() else {
            panic!("a message")
        };
        assert_eq!((topic.as_str(), payload.len(), retained), ("t", 300, false));
        assert_eq!(sent(&mut link), [Packet::PubAck(PubAck::new(5))]);
    }

    #[test]
    fn a_qos_2_message_is_answered_to_its_end() {
        let now = start();
        let mut link = connected(&Options::new("a"), now);
        let mut publish = Publish::new("t", rumqttc::QoS::ExactlyOnce, vec![1]);
        publish.pkid = 5;
        answer(&mut link, &Packet::Publish(publish), now).unwrap();
        assert_eq!(sent(&mut link), [Packet::PubRec(PubRec::new(5))]);
        answer(&mut link, &Packet::PubRel(PubRel::new(5)), now).unwrap();
        assert!(matches!(sent(&mut link)[..], [Packet::PubComp(_)]));
    }

    #[test]
    fn a_refused_filter_is_named() {
        let now = start();
        let mut link = connected(&Options::new("a"), now);
        link.subscribe(&[("yes", Qos::AtLeastOnce), ("no", Qos::AtMostOnce)], now).unwrap();
        let Some(Packet::Subscribe(subscribe)) = sent(&mut link).pop() else { panic!("a SUBSCRIBE") };
        let codes =
            vec![SubscribeReasonCode::Success(rumqttc::QoS::AtLeastOnce), SubscribeReasonCode::Failure];
        answer(&mut link, &Packet::SubAck(SubAck::new(subscribe.pkid, codes)), now).unwrap();
        assert_eq!(link.next_event(), Some(LinkEvent::Subscribed { refused: vec!["no".into()] }));
    }

    #[test]
    fn a_quiet_peer_is_asked_and_a_silent_one_is_gone_within_the_keep_alive() {
        let now = start();
        let mut link = connected(&Options::new("a"), now);
        assert_eq!(link.deadline(), now + 3 * SECOND + SECOND / 2);
        link.handle_timeout(now + 3 * SECOND).unwrap();
        assert_eq!(sent(&mut link), []);
        link.handle_timeout(now + 4 * SECOND).unwrap();
        assert_eq!(sent(&mut link), [Packet::PingReq]);
        assert_eq!(link.deadline(), now + 7 * SECOND);
        assert_eq!(link.handle_timeout(now + 7 * SECOND), Err(LinkError::Silent(7 * SECOND)));
    }

    #[test]
    fn a_ping_that_is_answered_keeps_the_link() {
        let now = start();
        let mut link = connected(&Options::new("a"), now);
        link.handle_timeout(now + 4 * SECOND).unwrap();
        answer(&mut link, &Packet::PingResp, now + 5 * SECOND).unwrap();
        link.handle_timeout(now + 7 * SECOND).unwrap();
        assert!(link.may_publish());
    }

    #[test]
    fn a_broker_that_only_talks_hears_from_us_too() {
        let now = start();
        let mut link = connected(&Options::new("a"), now);
        let publish = Packet::Publish(Publish::new("t", rumqttc::QoS::AtMostOnce, vec![1]));
        for second in 1..=4 {
            answer(&mut link, &publish, now + second * SECOND).unwrap();
            link.handle_timeout(now + second * SECOND).unwrap();
        }
        assert_eq!(sent(&mut link), [Packet::PingReq]);
    }

    #[test]
    fn a_greeting_without_answer_times_out() {
        let now = start();
        let mut link = Link::new(&Options::new("a"), now);
        link.handle_timeout(now + 9 * SECOND).unwrap();
        assert_eq!(link.handle_timeout(now + 10 * SECOND), Err(LinkError::NoAnswer(10 * SECOND)));
    }

    #[test]
    fn a_greeting_that_is_answered_drop_by_drop_times_out_all_the_same() {
        let now = start();
        let mut link = Link::new(&Options::new("a"), now);
        sent(&mut link);
        for (second, byte) in [0x20, 0x80, 0x80].into_iter().enumerate() {
            link.receive(&[byte], now + 4 * second as u32 * SECOND).unwrap();
        }
        assert_eq!(link.handle_timeout(now + 10 * SECOND), Err(LinkError::NoAnswer(10 * SECOND)));
    }

    #[test]
    fn too_large_a_message_leaves_the_link_as_it_was() {
        let now = start();
        let mut options = Options::new("a");
        options.max_packet = 100;
        let mut link = connected(&options, now);
        let error = link.publish("t", Bytes::from(vec![0; 100]), Qos::AtLeastOnce, false, now).unwrap_err();
        assert_eq!(error, LinkError::TooLarge { size: 110, limit: 100 });
        assert_eq!(link.inflight(), 0);
        publish(&mut link, now).unwrap();
    }

    #[test]
    fn an_oversized_message_is_read_past_and_acknowledged() {
        let now = start();
        let mut options = Options::new("a");
        options.max_packet = 100;
        let mut stream = BytesMut::new();
        for (qos, pkid) in [(rumqttc::QoS::AtLeastOnce, 5), (rumqttc::QoS::AtMostOnce, 0)] {
            let mut large = Publish::new("large", qos, vec![0x30; 300]);
            large.pkid = pkid;
            Packet::Publish(large).write(&mut stream, 1 << 20).unwrap();
        }
        Packet::Publish(Publish::new("small", rumqttc::QoS::AtMostOnce, vec![1]))
            .write(&mut stream, 100)
            .unwrap();
        for piece in [1, 2, 7, 64, 1000] {
            let mut link = connected(&options, now);
            for bytes in stream.chunks(piece) {
                link.receive(bytes, now).unwrap();
            }
            let oversized = |size| Some(LinkEvent::Oversized { topic: "large".into(), size });
            assert_eq!(link.next_event(), oversized(312));
            assert_eq!(link.next_event(), oversized(310));
            assert!(matches!(link.next_event(), Some(LinkEvent::Message { topic, .. }) if topic == "small"));
            assert_eq!(sent(&mut link), [Packet::PubAck(PubAck::new(5))]);
        }
    }

    #[test]
    fn an_oversized_packet_that_is_no_message_ends_the_link() {
        let now = start();
        let mut options = Options::new("a");
        options.max_packet = 100;
        for first in [0x90, 0x34, 0x36] {
            let mut link = connected(&options, now);
            let error = link.receive(&[first, 0xff, 0x7f, 0, 1], now).unwrap_err();
            assert_eq!(error, LinkError::TooLarge { size: 16_383, limit: 100 });
        }
    }

    #[test]
    fn a_clean_goodbye_ends_with_disconnect() {
        let now = start();
        let mut link = connected(&Options::new("a"), now);
        publish(&mut link, now).unwrap();
        link.disconnect(now).unwrap();
        assert!(matches!(sent(&mut link)[..], [Packet::Publish(_), Packet::Disconnect]));
        assert!(!link.may_publish());
    }

    #[test]
    fn what_a_broker_never_sends_is_an_error_and_no_panic() {
        let now = start();
        for bytes in [&[0x10, 0][..], &[0x82, 3, 0, 1, 0], &[0xC0, 0], &[0xE0, 0], &[0xFF; 9], &[0x30, 1, 0]]
        {
            let mut link = connected(&Options::new("a"), now);
            assert!(matches!(link.receive(bytes, now), Err(LinkError::Protocol(_))), "{bytes:?}");
        }
    }
}
