//! Bytes of a connection into packets, on rumqttc's codec, with the checks that the codec leaves out.
//!
//! The codec takes any fixed-header flags, takes an MQTT 5 CONNECT for a 3.1.1 one with an empty client id (or breaks
//! on its properties), and knows no difference between "not yet" and "never". So the first bytes are looked at here:
//!
//! ```text
//! 10 len.. 00 04 'M' 'Q' 'T' 'T' 04 flags ...     a CONNECT of 3.1.1; 05 instead of 04 is MQTT 5
//! ```
//!
//! Packets that the codec returns are slices of the read buffer: payloads that are to be kept must be copied.
//!
//! Invariant: an idle connection holds no buffer; an incomplete packet holds itself only, not what came before it, and
//! grows with the bytes that came, not with the length that it claims.

use bytes::{Buf, BytesMut};
use rumqttc::mqttbytes::Error;
use rumqttc::mqttbytes::v4::Packet;
use tokio::time::Instant;

/// The most that a CONNECT may be, in bytes: a will's payload is at most 64 KiB, everything else is small.
const MOST_CONNECT: usize = 72 * 1024;
/// The fixed header at its longest: one byte of type and four of length.
const LONGEST_HEADER: usize = 5;

/// Why a connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not MQTT 3.1.1; what was wrong.
    Malformed(String),
    /// A packet beyond the limit; its length.
    TooLarge(usize),
    /// A CONNECT of another version.
    Protocol,
}

/// The bytes of one connection that are not yet packets.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    buffer: BytesMut,
    /// When the packet at the front began.
    began: Option<Instant>,
    /// Whether a packet was cut off the buffer since bytes were added, so that packets share its memory.
    shared: bool,
}

impl Incoming {
    /// Adds what was read at `now`.
    pub(super) fn receive(&mut self, bytes: &[u8], now: Instant) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::from(bytes);
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        self.began.get_or_insert(now);
    }

    /// The next whole packet. `limit` is the most bytes of a packet; `greeting`: only a CONNECT may come.
    pub(super) fn next(
        &mut self,
        limit: usize,
        greeting: bool,
        now: Instant,
    ) -> Result<Option<Packet>, Fault> {
        let Some(first) = self.buffer.first() else {
            self.settle();
            return Ok(None);
        };
        check_type(*first, greeting)?;
        let limit = if greeting { limit.min(MOST_CONNECT) } else { limit };
        if greeting {
            check_protocol(&self.buffer)?;
        }
        match Packet::read(&mut self.buffer, limit) {
            Ok(packet) => {
                self.shared = true;
                self.began = Some(now);
                Ok(Some(packet))
            }
            Err(Error::InsufficientBytes(_)) => {
                self.settle();
                Ok(None)
            }
            Err(Error::PayloadSizeLimitExceeded(length)) => Err(Fault::TooLarge(length)),
            Err(error) => Err(Fault::Malformed(error.to_string())),
        }
    }

    /// Lets go of memory that the incomplete rest does not need.
    fn settle(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.began = None;
        } else if self.shared {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        self.shared = false;
    }

    /// Since when a packet is incomplete.
    pub(super) fn began(&self) -> Option<Instant> {
        self.began
    }

    /// Nothing was read for a reason of ours: the time did not count.
    pub(super) fn resume(&mut self, now: Instant) {
        if let Some(began) = &mut self.began {
            *began = now;
        }
    }
}

fn check_type(first: u8, greeting: bool) -> Result<(), Fault> {
    let (kind, flags) = (first >> 4, first & 0x0f);
    let fits = match kind {
        1 => greeting && flags == 0,
        3 => true,
        4 | 5 | 7 | 12 | 14 => flags == 0,
        // PUBREL, SUBSCRIBE, UNSUBSCRIBE: section 2.2.2 of the standard reserves 0010.
        6 | 8 | 10 => flags == 2,
        _ => false,
    };
    if fits && (!greeting || kind == 1) {
        Ok(())
    } else {
        let place = if greeting { " before CONNECT" } else { "" };
        Err(Fault::Malformed(format!("a packet that starts with {first:#04x}{place}")))
    }
}

/// Looks at the version and flags of a CONNECT as soon as they are there; the codec reads the rest.
fn check_protocol(packet: &[u8]) -> Result<(), Fault> {
    let header = packet.iter().take(LONGEST_HEADER).skip(1).position(|byte| byte & 0x80 == 0);
    let Some(mut rest) = header.and_then(|length| packet.get(length + 2..)) else { return Ok(()) };
    if rest.len() < 2 {
        return Ok(());
    }
    let name_length = usize::from(rest.get_u16());
    // `MQTT`, and `MQIsdp` of version 3.1, are all the names that there ever were.
    if name_length != 4 && name_length != 6 {
        return Err(Fault::Malformed("a CONNECT without a protocol name".into()));
    }
    let Some((name, rest)) = rest.split_at_checked(name_length) else { return Ok(()) };
    match (name, rest) {
        (b"MQTT", [4, flags, ..]) if flags & 1 != 0 => {
            Err(Fault::Malformed("a CONNECT with its reserved flag set".into()))
        }
        (b"MQTT", [4, flags, ..]) if flags & 0xc0 == 0x40 => {
            Err(Fault::Malformed("a CONNECT with a password and no user name".into()))
        }
        (b"MQTT", [] | [4, ..]) | (b"MQIsdp", []) => Ok(()),
        (b"MQTT" | b"MQIsdp", _) => Err(Fault::Protocol),
        _ => Err(Fault::Malformed("a CONNECT of another protocol".into())),
    }
}

/// However bytes are cut, the same packets come; what waits for more bytes is itself only.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    const LIMIT: usize = 4096;
    let now = Instant::now();
    let read = |piece: usize| {
        let (mut incoming, mut packets) = (Incoming::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            incoming.receive(piece, now);
            loop {
                match incoming.next(LIMIT, packets.is_empty(), now) {
                    Ok(Some(packet)) => packets.push(packet),
                    Ok(None) => break,
                    Err(_) => return (packets, false),
                }
            }
            assert!(incoming.buffer.len() < LIMIT + LONGEST_HEADER);
            assert_eq!(incoming.began().is_some(), !incoming.buffer.is_empty());
        }
        (packets, true)
    };
    assert_eq!(read(1), read(bytes.len().max(1)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(bytes: &[u8], limit: usize, greeting: bool) -> Result<Option<Packet>, Fault> {
        let now = Instant::now();
        let mut incoming = Incoming::default();
        incoming.receive(bytes, now);
        incoming.next(limit, greeting, now)
    }

    #[test]
    fn an_mqtt_5_connect_is_another_protocol_as_soon_as_it_shows() {
        let v5 = b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x05\x11\x00\x00\x00\x0a\x00\x00";
        for end in 9..=v5.len() {
            assert_eq!(feed(&v5[..end], 1000, true), Err(Fault::Protocol), "{end} bytes");
        }
        for end in 1..9 {
            assert_eq!(feed(&v5[..end], 1000, true), Ok(None), "{end} bytes");
        }
        assert_eq!(feed(b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00", 1000, true), Err(Fault::Protocol));
    }

    #[test]
    fn a_tls_hello_or_http_on_the_plain_port_ends_at_the_first_byte() {
        for text in [&b"\x16\x03\x01"[..], b"GET / HTTP/1.1", b"\x00", b"\xff", b"\xc0\x00"] {
            assert!(matches!(feed(text, 1000, true), Err(Fault::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn reserved_flags_are_held_to() {
        for text in
            [b"\x80\x05", b"\x60\x02", b"\xa0\x05", b"\xc1\x00", b"\xe8\x00", b"\x20\x02", b"\x90\x02"]
        {
            assert!(matches!(feed(text, 1000, false), Err(Fault::Malformed(_))), "{text:?}");
        }
        assert!(matches!(feed(b"\x10\x10\x00\x04MQTT\x04\x03", 1000, true), Err(Fault::Malformed(_))));
        assert!(matches!(feed(b"\x10\x10\x00\x04MQTT\x04\x42", 1000, true), Err(Fault::Malformed(_))));
    }

    #[test]
    fn a_claimed_length_over_the_limit_ends_at_the_header() {
        assert_eq!(feed(b"\x30\xff\xff\x7f", 1000, false), Err(Fault::TooLarge(2_097_151)));
        assert!(matches!(feed(b"\x30\xff\xff\xff\xff", 1000, false), Err(Fault::Malformed(_))));
    }

    #[test]
    fn a_rest_holds_only_itself_and_nothing_holds_nothing() {
        let now = Instant::now();
        let mut incoming = Incoming::default();
        let mut bytes = b"\xc0\x00".repeat(10_000);
        bytes.push(0x30);
        incoming.receive(&bytes, now);
        while incoming.next(1000, false, now).expect("pings").is_some() {}
        assert_eq!(&incoming.buffer[..], b"\x30");
        assert!(incoming.buffer.capacity() < 1000 && incoming.began().is_some());
        incoming.receive(b"\x03\x00\x01a", now);
        assert!(matches!(incoming.next(1000, false, now), Ok(Some(Packet::Publish(_)))));
        assert_eq!(incoming.next(1000, false, now), Ok(None));
        assert_eq!((incoming.buffer.capacity(), incoming.began()), (0, None));
    }
}
