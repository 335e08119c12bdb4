//! Echo requests and replies as bytes (RFC 792, RFC 4443). Pure; reads whatever comes without a panic.
//!
//! ```text
//! 08 00 cc cc  ii ii  ss ss  16 bytes of cookie      request: type, code, checksum, identifier, sequence, payload
//! 00 00 cc cc  ii ii  ss ss  the same cookie         its reply; 80 and 81 instead of 08 and 00 in IPv6
//! 45 .. .. ..  20 bytes or more in front             what a raw IPv4 socket puts before it: the IP header
//! ```

/// Which ICMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// ICMP.
    V4,
    /// `ICMPv6`.
    V6,
}

/// What a request carries and its reply must bring back: an answer to anything else is none.
pub type Cookie = [u8; 16];

/// A reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The identifier: our own on a raw socket; the kernel's business on a datagram socket.
    pub identifier: u16,
    /// The request's number.
    pub sequence: u16,
    /// What it carried.
    pub cookie: Cookie,
}

impl Family {
    const fn request(self) -> u8 {
        match self {
            Self::V4 => 8,
            Self::V6 => 128,
        }
    }

    /// The type of a reply: all that a raw socket need let through.
    pub const fn reply(self) -> u8 {
        match self {
            Self::V4 => 0,
            Self::V6 => 129,
        }
    }
}

/// A request: with the IP header 44 bytes on the wire in IPv4, half of what `ping` sends. The kernel puts in the checksum of IPv6, and on
/// a datagram socket the identifier.
pub fn request(family: Family, identifier: u16, sequence: u16, cookie: &Cookie) -> Vec<u8> {
    let packet = |sum: u16| {
        let header =
            [[family.request(), 0], sum.to_be_bytes(), identifier.to_be_bytes(), sequence.to_be_bytes()];
        [header.as_flattened(), cookie].concat()
    };
    match family {
        Family::V4 => packet(checksum(&packet(0))),
        Family::V6 => packet(0),
    }
}

/// Reads what a socket received; a raw IPv4 socket has the IP header in front. Anything but a sound reply is nothing.
pub fn reply(family: Family, is_raw: bool, received: &[u8]) -> Option<Reply> {
    let packet = if is_raw && family == Family::V4 { payload(received)? } else { received };
    let (header, cookie) = packet.split_first_chunk::<8>()?;
    let [kind, code, _, _, identifier @ .., c, d] = *header;
    let is_sound = family == Family::V6 || checksum(packet) == 0;
    (kind == family.reply() && code == 0 && is_sound).then_some(())?;
    Some(Reply {
        identifier: u16::from_be_bytes(identifier),
        sequence: u16::from_be_bytes([c, d]),
        cookie: cookie.try_into().ok()?,
    })
}

/// What an IPv4 packet carries, if that is ICMP.
fn payload(packet: &[u8]) -> Option<&[u8]> {
    let (first, protocol) = (*packet.first()?, *packet.get(9)?);
    let header = usize::from(first & 0x0f) * 4;
    (first >> 4 == 4 && header >= 20 && protocol == 1).then_some(())?;
    packet.get(header..)
}

/// The Internet's checksum (RFC 1071); of bytes that hold theirs it is 0.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [high] => u64::from(u16::from_be_bytes([high, 0])),
        _ => 0,
    });
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// What is read of a packet stands in it.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    for (family, is_raw) in [(Family::V4, true), (Family::V4, false), (Family::V6, false)] {
        let Some(Reply { identifier, sequence, cookie }) = reply(family, is_raw, bytes) else { continue };
        let mut packet = request(family, identifier, sequence, &cookie);
        packet[0] = family.reply();
        let received = &bytes[bytes.len() - packet.len()..];
        assert_eq!((&packet[..2], &packet[4..]), (&received[..2], &received[4..]));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    const COOKIE: Cookie = *b"sixteen bytes ok";

    /// The reply to a request, as the other side makes it.
    pub(in super::super) fn answer(family: Family, request: &[u8]) -> Vec<u8> {
        let mut reply = request.to_vec();
        reply[0] = family.reply();
        reply[2..4].fill(0);
        if family == Family::V4 {
            let sum = checksum(&reply).to_be_bytes();
            reply[2..4].copy_from_slice(&sum);
        }
        reply
    }

    /// As a raw IPv4 socket gives it.
    pub(in super::super) fn in_ip(header: usize, packet: &[u8]) -> Vec<u8> {
        let mut framed = vec![0; header];
        framed[0] = 0x40 | (header / 4) as u8;
        framed[9] = 1;
        framed.extend(packet);
        framed
    }

    #[test]
    fn a_request_is_what_the_rfc_says() {
        // The words 0800, 1234 and 0001 make 1a35, whose complement is e5ca.
        assert_eq!(request(Family::V4, 0x1234, 1, &[0; 16])[..8], [8, 0, 0xe5, 0xca, 0x12, 0x34, 0, 1]);
        assert_eq!(request(Family::V6, 0x1234, 1, &COOKIE)[..8], [128, 0, 0, 0, 0x12, 0x34, 0, 1]);
        assert_eq!(checksum(&request(Family::V4, 7, 9, &COOKIE)), 0);
    }

    #[test]
    fn a_reply_is_read_as_each_socket_gives_it() {
        let expected = Some(Reply { identifier: 7, sequence: 65_535, cookie: COOKIE });
        for family in [Family::V4, Family::V6] {
            let packet = answer(family, &request(family, 7, 65_535, &COOKIE));
            assert_eq!(reply(family, false, &packet), expected);
            let raw = if family == Family::V4 { in_ip(20, &packet) } else { packet.clone() };
            assert_eq!(reply(family, true, &raw), expected);
            assert_eq!(
                reply(Family::V4, true, &in_ip(60, &packet)),
                expected.filter(|_| family == Family::V4)
            );
        }
    }

    #[test]
    fn a_request_of_somebody_elses_a_longer_payload_and_a_bad_checksum_are_no_replies() {
        let request = request(Family::V4, 7, 1, &COOKIE);
        assert_eq!(reply(Family::V4, false, &request), None);
        let good = answer(Family::V4, &request);
        let longer = answer(Family::V4, &[&request[..], &[0; 40]].concat());
        assert_eq!(reply(Family::V4, false, &longer), None);
        let mut damaged = good;
        damaged[20] ^= 1;
        assert_eq!(reply(Family::V4, false, &damaged), None);
        let not_icmp = {
            let mut framed = in_ip(20, &answer(Family::V4, &request));
            framed[9] = 17;
            framed
        };
        assert_eq!(reply(Family::V4, true, &not_icmp), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128), raw: bool) {
            for family in [Family::V4, Family::V6] {
                let _ = reply(family, raw, &bytes);
            }
        }

        #[test]
        fn no_change_of_a_byte_makes_another_reply(at in 0_usize..44, by in 1_u8..) {
            let good = in_ip(20, &answer(Family::V4, &request(Family::V4, 7, 1, &COOKIE)));
            let sound = reply(Family::V4, true, &good);
            let mut bad = good;
            bad[at] ^= by;
            // Of the IP header only what frames the packet is looked at: the kernel has checked the rest.
            let read = reply(Family::V4, true, &bad);
            prop_assert!(read.is_none() || (at < 20 && read == sound), "{at}: {read:?}");
        }

        #[test]
        fn a_reply_that_is_cut_is_none(length in 0_usize..44) {
            let good = in_ip(20, &answer(Family::V4, &request(Family::V4, 7, 1, &COOKIE)));
            prop_assert_eq!(reply(Family::V4, true, &good[..length]), None);
        }
    }
}
