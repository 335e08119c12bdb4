//! A message on its way out, laid out once as it goes over the wire, shared by all who get it.
//!
//! The frame's middle is kept ready: two bytes of topic length, the topic, then the payload. What differs between
//! receivers is written around it: the first byte (QoS, DUP, RETAIN), the remaining length and the packet id.
//!
//! ```text
//! 32 12  00 03 'a' '/' 'b'  00 07  payload
//! ^^^^^  ^^^^^^^^^^^^^^^^^  ^^^^^  ^^^^^^^
//! per receiver  shared      QoS 1   shared
//! ```
//!
//! Invariant: a message owns its bytes. It never is a slice of a read buffer, which it would keep alive as a whole.

use std::sync::Arc;

/// What a subscription was granted, and what a message is delivered with. QoS 2 is never granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Qos {
    /// Fire and forget.
    AtMostOnce = 0,
    /// Repeated on a new connection until acknowledged.
    AtLeastOnce = 1,
}

/// A message: topic and payload in one allocation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    topic_end: usize,
    body: Box<[u8]>,
    qos: Qos,
}

impl Message {
    /// Lays the message out. `topic` is at most 65,535 bytes: the codec and the limits see to that.
    pub(super) fn new(topic: &str, payload: &[u8], qos: Qos) -> Arc<Self> {
        let length = u16::try_from(topic.len()).expect("a topic's length was checked against its limit");
        let mut body = Vec::with_capacity(2 + topic.len() + payload.len());
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(topic.as_bytes());
        body.extend_from_slice(payload);
        Arc::new(Self { topic_end: 2 + topic.len(), body: body.into_boxed_slice(), qos })
    }

    /// Where it was published to.
    pub(super) fn topic(&self) -> &str {
        std::str::from_utf8(&self.body[2..self.topic_end]).expect("laid out from a str")
    }

    /// What was published.
    pub(super) fn payload(&self) -> &[u8] {
        &self.body[self.topic_end..]
    }

    /// The QoS that it was published with; a QoS 2 publish counts as 1.
    pub(super) fn qos(&self) -> Qos {
        self.qos
    }

    /// What it takes of memory, in bytes, as far as limits count it.
    pub(super) fn size(&self) -> usize {
        self.body.len() + std::mem::size_of::<Self>()
    }

    /// Appends the PUBLISH packet. `packet` is the packet id of a QoS 1 delivery, None for QoS 0.
    pub(super) fn encode(&self, packet: Option<u16>, retain: bool, dup: bool, out: &mut Vec<u8>) {
        let qos = u8::from(packet.is_some());
        out.push(0x30 | u8::from(dup) << 3 | qos << 1 | u8::from(retain));
        let mut length = self.body.len() + usize::from(qos) * 2;
        loop {
            let low = (length & 0x7f) as u8;
            length >>= 7;
            if length == 0 {
                out.push(low);
                break;
            }
            out.push(low | 0x80);
        }
        out.extend_from_slice(&self.body[..self.topic_end]);
        if let Some(id) = packet {
            out.extend_from_slice(&id.to_be_bytes());
        }
        out.extend_from_slice(&self.body[self.topic_end..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;
    use rumqttc::mqttbytes::QoS;
    use rumqttc::mqttbytes::v4::{Packet, Publish};

    proptest! {
        #[test]
        fn the_codec_reads_what_a_message_writes(
            topic in "[a-zé/]{1,60}",
            size in prop::sample::select(vec![0, 1, 100, 127, 128, 16_383, 20_000]),
            id in prop::option::of(1_u16..),
            retain: bool,
            dup: bool,
        ) {
            let payload = vec![7; size];
            let mut out = Vec::new();
            Message::new(&topic, &payload, Qos::AtLeastOnce).encode(id, retain, dup, &mut out);
            let mut stream = BytesMut::from(&out[..]);
            let packet = Packet::read(&mut stream, 1 << 20).expect("a whole packet");
            let qos = if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            let payload = Bytes::from(payload);
            prop_assert_eq!(packet, Packet::Publish(Publish { dup, qos, retain, topic, pkid: id.unwrap_or(0), payload }));
            prop_assert!(stream.is_empty());
        }
    }

    #[test]
    fn a_message_gives_back_its_parts() {
        let message = Message::new("é/x", b"body", Qos::AtMostOnce);
        assert_eq!(
            (message.topic(), message.payload(), message.qos()),
            ("é/x", &b"body"[..], Qos::AtMostOnce)
        );
    }
}
