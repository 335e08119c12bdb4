//! One client's side of MQTT 3.1.1 without I/O: bytes and time in, steps and replies out.
//!
//! What needs nobody else is done here (pings, acknowledgements, QoS 2's handshake, timeouts). What needs others comes
//! out as a [`Step`], in the order in which it came in; all publishes of one read are one step. The caller carries a
//! step out and then sends [`Conversation::replies`]: a PUBACK goes out only after ingest has the message.
//!
//! A QoS 2 publish is a step the first time its packet id appears, then `PUBREC`, `PUBREL`, `PUBCOMP`.
//!
//! Invariant: whatever the bytes are, there is a step, a wait or a [`Fault`], never a panic.

use super::config::Limits;
use super::packets::{Fault, Incoming};
use super::session::Session;
use super::stats::Reason;
use super::topic;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, Packet, Publish, SubscribeFilter};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What the caller has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Let the client in or not.
    Connect(Box<Connect>),
    /// Pass on the messages.
    Publish(Vec<Publish>),
    /// Subscribe, and answer with [`Conversation::granted`].
    Subscribe(u16, Vec<SubscribeFilter>),
    /// Unsubscribe; the answer is already among the replies.
    Unsubscribe(Vec<String>),
    /// The client leaves without its will.
    Goodbye,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Conversation {
    limits: Arc<Limits>,
    incoming: Incoming,
    /// None until the client is let in.
    session: Option<Arc<Session>>,
    greeted: bool,
    /// One and a half times what the client promised.
    patience: Option<Duration>,
    /// When the connection was made, then when something last came.
    heard: Instant,
    replies: Vec<u8>,
    later: VecDeque<Result<Step, Fault>>,
}

impl Conversation {
    /// A connection made at `now`.
    pub(super) fn new(limits: Arc<Limits>, now: Instant) -> Self {
        Self {
            limits,
            incoming: Incoming::default(),
            session: None,
            greeted: false,
            patience: None,
            heard: now,
            replies: Vec::new(),
            later: VecDeque::new(),
        }
    }

    /// Takes what was read. [`next`](Self::next) until None before the next call.
    pub(super) fn receive(&mut self, bytes: &[u8], now: Instant) {
        if self.session.is_some() {
            self.heard = now;
        }
        self.incoming.receive(bytes, now);
    }

    /// The next thing to do, None when more bytes are needed.
    pub(super) fn next(&mut self, now: Instant) -> Result<Option<Step>, Fault> {
        if let Some(step) = self.later.pop_front() {
            return step.map(Some);
        }
        let mut publishes = Vec::new();
        let mut acknowledged = Vec::new();
        let end = loop {
            match self.read(&mut publishes, &mut acknowledged, now) {
                Ok(Some(Flow::On)) => {}
                Ok(Some(Flow::Do(step))) => break Some(Ok(step)),
                Ok(None) => break None,
                Err(fault) => break Some(Err(fault)),
            }
        };
        if let Some(session) = self.session.as_ref().filter(|_| !acknowledged.is_empty()) {
            session.acknowledged(&acknowledged);
        }
        if publishes.is_empty() {
            return end.transpose();
        }
        self.later.extend(end);
        Ok(Some(Step::Publish(publishes)))
    }

    fn read(
        &mut self,
        publishes: &mut Vec<Publish>,
        acknowledged: &mut Vec<u16>,
        now: Instant,
    ) -> Result<Option<Flow>, Fault> {
        let limit = self.limits.packet.bytes() as usize;
        let Some(packet) = self.incoming.next(limit, !self.greeted, now)? else { return Ok(None) };
        let Some(session) = &self.session else {
            return match packet {
                Packet::Connect(connect) if !self.greeted => {
                    self.greeted = true;
                    Ok(Some(Flow::Do(Step::Connect(Box::new(connect)))))
                }
                _ => Err(Fault::Malformed("a packet before CONNECT".into())),
            };
        };
        match packet {
            Packet::Publish(publish) => {
                topic::check_name(&publish.topic, &self.limits)
                    .map_err(|fault| Fault::Malformed(format!("a publish to {fault}")))?;
                let fresh = match publish.qos {
                    QoS::AtMostOnce => true,
                    QoS::AtLeastOnce => {
                        reply(&mut self.replies, 0x40, publish.pkid);
                        true
                    }
                    QoS::ExactlyOnce => {
                        let fresh = session.receive_once(publish.pkid);
                        reply(&mut self.replies, 0x50, publish.pkid);
                        fresh.ok_or_else(|| Fault::Malformed("too many QoS 2 publishes unreleased".into()))?
                    }
                };
                if fresh {
                    publishes.push(publish);
                }
            }
            Packet::PubAck(ack) => acknowledged.push(ack.pkid),
            Packet::PubRel(release) => {
                session.release(release.pkid);
                reply(&mut self.replies, 0x70, release.pkid);
            }
            // QoS 2 is never granted, so nobody owes us these; they do no harm.
            Packet::PubRec(_) | Packet::PubComp(_) => {}
            Packet::PingReq => self.replies.extend_from_slice(&[0xd0, 0]),
            Packet::Subscribe(subscribe) => {
                check_id(subscribe.pkid)?;
                return Ok(Some(Flow::Do(Step::Subscribe(subscribe.pkid, subscribe.filters))));
            }
            Packet::Unsubscribe(unsubscribe) => {
                check_id(unsubscribe.pkid)?;
                if unsubscribe.topics.is_empty() {
                    return Err(Fault::Malformed("an UNSUBSCRIBE of nothing".into()));
                }
                reply(&mut self.replies, 0xb0, unsubscribe.pkid);
                return Ok(Some(Flow::Do(Step::Unsubscribe(unsubscribe.topics))));
            }
            Packet::Disconnect => return Ok(Some(Flow::Do(Step::Goodbye))),
            Packet::Connect(_) => return Err(Fault::Malformed("a second CONNECT".into())),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                return Err(Fault::Malformed("a packet that only a server sends".into()));
            }
        }
        Ok(Some(Flow::On))
    }

    /// The client is in.
    pub(super) fn open(&mut self, session: Arc<Session>, keep_alive: u16, present: bool, now: Instant) {
        self.session = Some(session);
        // 0 switches it off.
        self.patience = (keep_alive > 0).then(|| Duration::from_millis(u64::from(keep_alive) * 1500));
        self.heard = now;
        self.replies.extend_from_slice(&[0x20, 2, u8::from(present), 0]);
    }

    /// The client is not in: the CONNACK with its code.
    pub(super) fn refuse(&mut self, code: u8) {
        self.replies.extend_from_slice(&[0x20, 2, 0, code]);
    }

    /// The SUBACK: a code for each filter, in their order.
    pub(super) fn granted(&mut self, packet: u16, codes: &[u8]) {
        self.replies.push(0x90);
        let mut length = codes.len() + 2;
        while length > 0x7f {
            self.replies.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        self.replies.push(length as u8);
        self.replies.extend_from_slice(&packet.to_be_bytes());
        self.replies.extend_from_slice(codes);
    }

    /// What is to be written, after the step before it was carried out.
    pub(super) fn replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.replies)
    }

    /// Nothing was read until `now` for a reason of ours (ingest was full): that is not the client's silence.
    pub(super) fn resume(&mut self, now: Instant) {
        if self.session.is_some() {
            self.heard = now;
        }
        self.incoming.resume(now);
    }

    /// When patience ends if nothing more comes, and what for.
    pub(super) fn deadline(&self) -> Option<(Instant, Reason)> {
        let silence = if self.session.is_some() {
            self.patience.map(|patience| (self.heard + patience, Reason::KeepAlive))
        } else {
            Some((self.heard + self.limits.connect_time.get(), Reason::ConnectTimeout))
        };
        let packet =
            self.incoming.began().map(|began| (began + self.limits.packet_time.get(), Reason::PacketTimeout));
        silence.into_iter().chain(packet).min_by_key(|(at, _)| *at)
    }
}

/// Where reading goes after a packet.
enum Flow {
    On,
    Do(Step),
}

fn reply(replies: &mut Vec<u8>, kind: u8, packet: u16) {
    // PUBREL alone has a flag, and servers of ours never send it.
    let [high, low] = packet.to_be_bytes();
    replies.extend_from_slice(&[kind, 2, high, low]);
}

fn check_id(packet: u16) -> Result<(), Fault> {
    if packet == 0 { Err(Fault::Malformed("a packet id of 0".into())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use proptest::prelude::*;
    use rumqttc::mqttbytes::v4::{PubRel, SubAck, SubscribeReasonCode};
    use rumqttc::mqttbytes::v4::{Subscribe, Unsubscribe};

    fn bytes(packets: &[Packet]) -> Vec<u8> {
        let mut out = BytesMut::new();
        for packet in packets {
            packet.write(&mut out, 1 << 20).expect("a packet of ours");
        }
        out.to_vec()
    }

    fn opened() -> (Conversation, Instant) {
        let now = Instant::now();
        let mut talk = Conversation::new(Arc::new(Limits::default()), now);
        talk.receive(&bytes(&[Packet::Connect(Connect::new("panel"))]), now);
        assert!(matches!(talk.next(now), Ok(Some(Step::Connect(connect))) if connect.client_id == "panel"));
        talk.open(Session::new(1, None), 10, false, now);
        assert_eq!(talk.next(now), Ok(None));
        assert_eq!(talk.replies(), [0x20, 2, 0, 0]);
        (talk, now)
    }

    fn publish(topic: &str, qos: QoS, pkid: u16) -> Packet {
        Packet::Publish(Publish { pkid, ..Publish::new(topic, qos, "x") })
    }

    fn topics(step: &Step) -> Vec<&str> {
        match step {
            Step::Publish(list) => list.iter().map(|publish| &*publish.topic).collect(),
            _ => panic!("{step:?}"),
        }
    }

    #[test]
    fn publishes_of_one_read_are_one_step_and_order_holds() {
        let (mut talk, now) = opened();
        let stream = bytes(&[
            publish("a", QoS::AtLeastOnce, 1),
            Packet::PingReq,
            publish("b", QoS::AtMostOnce, 0),
            Packet::Subscribe(Subscribe { pkid: 2, ..Subscribe::new("c", QoS::ExactlyOnce) }),
            publish("c", QoS::AtLeastOnce, 3),
            Packet::Unsubscribe(Unsubscribe { pkid: 4, topics: vec!["c".into()] }),
            Packet::Disconnect,
        ]);
        talk.receive(&stream, now);
        let first = talk.next(now).expect("good").expect("publishes");
        assert_eq!(topics(&first), ["a", "b"]);
        assert_eq!(talk.replies(), [0x40, 2, 0, 1, 0xd0, 0]);
        assert!(matches!(talk.next(now), Ok(Some(Step::Subscribe(2, _)))));
        assert_eq!(topics(&talk.next(now).expect("good").expect("publishes")), ["c"]);
        assert_eq!(talk.next(now), Ok(Some(Step::Unsubscribe(vec!["c".into()]))));
        assert_eq!(talk.next(now), Ok(Some(Step::Goodbye)));
        assert_eq!(talk.replies(), [0x40, 2, 0, 3, 0xb0, 2, 0, 4]);
    }

    #[test]
    fn a_qos_2_publish_repeated_before_its_release_counts_once() {
        let (mut talk, now) = opened();
        let release = Packet::PubRel(PubRel::new(7));
        let twice = publish("a", QoS::ExactlyOnce, 7);
        talk.receive(&bytes(&[twice.clone(), twice.clone(), release.clone(), release, twice]), now);
        assert_eq!(topics(&talk.next(now).expect("good").expect("publishes")), ["a", "a"]);
        let [received, complete] = [[0x50, 2, 0, 7], [0x70, 2, 0, 7]];
        assert_eq!(talk.replies(), [received, received, complete, complete, received].concat());
    }

    #[test]
    fn what_came_before_a_fault_still_counts() {
        let (mut talk, now) = opened();
        let mut stream = bytes(&[publish("a", QoS::AtMostOnce, 0)]);
        stream.extend_from_slice(&[0xf0, 0]);
        talk.receive(&stream, now);
        assert_eq!(topics(&talk.next(now).expect("good").expect("publishes")), ["a"]);
        assert!(matches!(talk.next(now), Err(Fault::Malformed(_))));
    }

    #[test]
    fn what_a_client_may_not_send_is_a_fault() {
        let subscribe = Packet::Subscribe(Subscribe::new("a", QoS::AtMostOnce));
        let unsubscribe = Packet::Unsubscribe(Unsubscribe { pkid: 1, topics: Vec::new() });
        let connect = Packet::Connect(Connect::new("again"));
        let wild = publish("a/+", QoS::AtMostOnce, 0);
        let unnamed = publish("", QoS::AtMostOnce, 0);
        for packet in [subscribe, unsubscribe, connect, wild, unnamed, Packet::PingResp] {
            let (mut talk, now) = opened();
            talk.receive(&bytes(std::slice::from_ref(&packet)), now);
            assert!(matches!(talk.next(now), Err(Fault::Malformed(_))), "{packet:?}");
        }
    }

    #[test]
    fn deadlines_are_connect_then_keepalive_and_a_begun_packet() {
        let limits = Limits::default();
        let now = Instant::now();
        let fresh = Conversation::new(Arc::new(limits.clone()), now);
        assert_eq!(fresh.deadline(), Some((now + limits.connect_time.get(), Reason::ConnectTimeout)));
        let (mut talk, now) = opened();
        assert_eq!(talk.deadline(), Some((now + Duration::from_secs(15), Reason::KeepAlive)));
        let mut later = now;
        for _ in 0..10 {
            later += Duration::from_secs(10);
            talk.receive(b"\xc0", later);
            assert_eq!(talk.next(later), Ok(None));
            talk.receive(b"\x00", later);
            assert_eq!(talk.next(later), Ok(None));
        }
        assert_eq!(talk.deadline(), Some((later + Duration::from_secs(15), Reason::KeepAlive)));
        // Dripping bytes is not silence, but the packet has to end.
        let begun = later;
        for byte in [0x30, 0x7f, 0, 100] {
            later += Duration::from_secs(8);
            talk.receive(&[byte], later);
            assert_eq!(talk.next(later), Ok(None));
        }
        let end = begun + Duration::from_secs(8) + limits.packet_time.get();
        assert_eq!(talk.deadline(), Some((end, Reason::PacketTimeout)));
    }

    #[test]
    fn a_suback_is_what_the_codec_reads() {
        for count in [1, 125, 126, 200] {
            let (mut talk, _) = opened();
            talk.granted(9, &vec![1; count]);
            let mut stream = BytesMut::from(&talk.replies()[..]);
            let codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce); count];
            let packet = Packet::read(&mut stream, 10_000).expect("whole");
            assert_eq!(packet, Packet::SubAck(SubAck { pkid: 9, return_codes: codes }));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_never_panic(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8),
            greeted: bool,
        ) {
            let now = Instant::now();
            let mut talk = if greeted { opened().0 } else { Conversation::new(Arc::default(), now) };
            'all: for chunk in chunks {
                talk.receive(&chunk, now);
                loop {
                    match talk.next(now) {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => break 'all,
                    }
                }
            }
        }

        #[test]
        fn packets_with_bytes_changed_never_panic(at in 0_usize..60, to: u8, cut in 0_usize..60) {
            let (mut talk, now) = opened();
            let mut stream = bytes(&[
                publish("a/b", QoS::ExactlyOnce, 1),
                Packet::Subscribe(Subscribe { pkid: 2, ..Subscribe::new("c/#", QoS::AtLeastOnce) }),
                Packet::Unsubscribe(Unsubscribe { pkid: 4, topics: vec!["é".into()] }),
                Packet::PubRel(PubRel::new(1)),
                Packet::PingReq,
            ]);
            let length = stream.len();
            stream[at % length] = to;
            let (first, second) = stream.split_at(cut % length);
            for piece in [first, second] {
                talk.receive(piece, now);
                while let Ok(Some(_)) = talk.next(now) {}
            }
        }
    }
}
