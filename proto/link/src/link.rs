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
        match self.phase {
            Phase::Connecting => return Err(self.broken("PUBLISH before CONNACK")),
            Phase::Connected => {
                self.events.push_back(LinkEvent::Oversized { topic, size: length });
                if let Some(packet) = packet {
                    self.request(Request::PubAck(PubAck::new(packet)), now)?;
                }
            }
            Phase::Ended => {}
        }
        self.skipping = length;
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
mod tests;
