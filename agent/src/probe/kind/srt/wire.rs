//! SRT's induction: one datagram of 64 bytes each way, all numbers with the greatest byte first. Pure.
//!
//! It is the question before the question (SRT 1.4, 4.3.1.1): whoever answers listens, and has kept nothing of us. What it needs to make of a
//! caller (stream id, passphrase) comes after it and is not asked here.
//!
//! ```text
//! 80000000 00000000 ........ 00000000 | 00000004 0000 0002 isn. 000005dc 00002000 00000001 socket cookie peer address (16)
//!                                       version 4, UDT's type 2          MSS      window   induction
//! answer: to our socket, version 5, 4a17, induction, a cookie; or 1000 + why not
//! ```

use std::net::IpAddr;

/// Of a handshake, header included.
pub const LENGTH: usize = 64;
/// The first bytes of a control packet of the type handshake.
const HANDSHAKE: u32 = 0x8000_0000;
const INDUCTION: u32 = 1;
/// Instead of the induction's type, a rejection: this and a code.
const REJECTION: u32 = 1000;
/// What SRT has in the field for extensions, unlike UDT.
const MAGIC: u16 = 0x4a17;

/// The question, from a socket with the number `socket` at `peer`.
pub fn induction(socket: u32, sequence: u32, peer: IpAddr) -> [u8; LENGTH] {
    let mut address = [0; 16];
    if let IpAddr::V4(peer) = peer {
        // Unlike everything else in it, the least byte first.
        let octets = u32::from(peer).to_le_bytes();
        address.iter_mut().zip(octets).for_each(|(byte, octet)| *byte = octet);
    }
    let words = [HANDSHAKE, 0, 0, 0, 4, 2, sequence & 0x7fff_ffff, 1500, 8192, INDUCTION, socket, 0];
    let mut bytes = [0; LENGTH];
    let all = words.iter().flat_map(|word| word.to_be_bytes()).chain(address);
    bytes.iter_mut().zip(all).for_each(|(byte, value)| *byte = value);
    bytes
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An SRT listener.
    Listener,
    /// One that does not want us, and why.
    Rejection(u32),
    /// UDT, or SRT before 1.3.
    Old(u32),
}

/// Reads a datagram; nothing when it is no answer to the socket with the number `socket`.
pub fn answer(datagram: &[u8], socket: u32) -> Option<Answer> {
    let word = |at: usize| Some(u32::from_be_bytes(*datagram.get(at..)?.first_chunk()?));
    let is_ours = datagram.len() >= LENGTH && word(0)? == HANDSHAKE && word(12)? == socket;
    let (version, extension, kind) = (word(16)?, (word(20)? & 0xffff) as u16, word(36)?);
    match kind {
        _ if !is_ours => None,
        INDUCTION if version >= 5 && extension == MAGIC => Some(Answer::Listener),
        INDUCTION => Some(Answer::Old(version)),
        REJECTION..0x8000_0000 => Some(Answer::Rejection(kind - REJECTION)),
        _ => None,
    }
}

/// A code of rejection in words (Haivision/srt, `srtcore/srt.h` and `access_control.h`).
pub const fn reason(code: u32) -> &'static str {
    match code {
        1 => "a system call failed there",
        2 => "it has rejected the connection",
        3 => "it has no resources left",
        4 => "it takes our handshake for a wrong one",
        5 => "its backlog is full",
        6 => "it has failed inside",
        7 => "it is closing",
        8 => "it wants a newer version",
        9 => "it does not know its cookie",
        10 => "the passphrase is wrong",
        11 => "it wants a passphrase",
        12 => "it works in another mode (message or stream)",
        13 => "it uses another congestion control",
        14 => "it uses other packet filters",
        15 => "it uses groups otherwise",
        16 => "it has waited too long",
        17 => "it uses another cipher",
        1400 => "bad request",
        1401 => "not authorised",
        1402 => "overloaded",
        1403 => "forbidden",
        1404 => "no such stream",
        1405 => "wrong mode",
        1406 => "not acceptable",
        1409 => "somebody publishes there already",
        1415 => "of no type that it supports",
        1423 => "locked",
        1424 => "it depends on something that failed",
        1500 => "server error",
        1501 => "not implemented",
        1502 => "bad gateway",
        1503 => "it is down",
        1505 => "version not supported",
        1507 => "it has no room left",
        _ => "for a reason that is not known here",
    }
}

/// An answer is one to us, and every rejection has words.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let socket = bytes.get(12..).and_then(<[u8]>::first_chunk).map_or(0, |field| u32::from_be_bytes(*field));
    if let Some(read) = answer(bytes, socket) {
        assert!(bytes.len() >= LENGTH && answer(bytes, !socket).is_none());
        if let Answer::Rejection(code) = read {
            assert!(!reason(code).is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reply(socket: u32, version: u32, extension: u16, kind: u32) -> [u8; LENGTH] {
        let mut bytes = induction(0, 1, IpAddr::from([127, 0, 0, 1]));
        bytes[12..16].copy_from_slice(&socket.to_be_bytes());
        bytes[16..20].copy_from_slice(&version.to_be_bytes());
        bytes[22..24].copy_from_slice(&extension.to_be_bytes());
        bytes[36..40].copy_from_slice(&kind.to_be_bytes());
        bytes
    }

    #[test]
    fn the_question_is_laid_out_as_srt_has_it() {
        let bytes = induction(0x0102_0304, 0xffff_ffff, IpAddr::from([127, 0, 0, 1]));
        assert_eq!(bytes[..4], [0x80, 0, 0, 0]);
        assert_eq!(bytes[16..24], [0, 0, 0, 4, 0, 0, 0, 2]);
        assert_eq!(bytes[24..40], [0x7f, 0xff, 0xff, 0xff, 0, 0, 5, 0xdc, 0, 0, 0x20, 0, 0, 0, 0, 1]);
        assert_eq!(bytes[40..52], [1, 2, 3, 4, 0, 0, 0, 0, 1, 0, 0, 0x7f]);
        assert_eq!(induction(1, 1, IpAddr::from([0_u16; 8]))[48..], [0; 16]);
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(answer(&reply(7, 5, MAGIC, INDUCTION), 7), Some(Answer::Listener));
        assert_eq!(answer(&reply(8, 5, MAGIC, INDUCTION), 7), None, "somebody else's");
        assert_eq!(answer(&reply(7, 4, 2, INDUCTION), 7), Some(Answer::Old(4)));
        assert_eq!(answer(&reply(7, 5, 0, 1005), 7), Some(Answer::Rejection(5)));
        assert_eq!(answer(&reply(7, 5, 0, 2404), 7), Some(Answer::Rejection(1404)));
        assert_eq!(answer(&reply(7, 5, MAGIC, 0xffff_ffff), 7), None, "a conclusion");
        assert_eq!(answer(&reply(7, 5, MAGIC, INDUCTION)[..63], 7), None);
        assert_eq!((reason(5), reason(1404)), ("its backlog is full", "no such stream"));
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_or_ignored(bytes in prop::collection::vec(any::<u8>(), 0..100), socket in any::<u32>()) {
            let _ = answer(&bytes, socket);
            let ours = [&reply(socket, 5, MAGIC, INDUCTION)[..16], &bytes].concat();
            if let Some(Answer::Rejection(code)) = answer(&ours, socket) {
                prop_assert!(!reason(code).is_empty());
            }
        }
    }
}
