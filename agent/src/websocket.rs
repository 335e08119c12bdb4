//! A WebSocket's client side (RFC 6455), as far as a chat in JSON, or MQTT, needs it.
//!
//! Pure: bytes in, messages and answers out. What a hostile server may send is bounded: a head of 8 KiB, messages of 256 KiB.
//! Invariant: every frame that is written is masked, as a client's must be.
//!
//! ```text
//! < GET / HTTP/1.1 .. Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
//! > HTTP/1.1 101 .. Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
//! > 81 05 48 65 6c 6c 6f                   a whole text, "Hello"
//! ```

use crate::base64::base64;
use ring::digest;

/// The largest head of an answer.
const HEAD: usize = 8 * 1024;
/// The largest message: a list of scenes is a few KiB.
const MESSAGE: usize = 256 * 1024;
/// What RFC 6455 has a server hash with the key.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A text message, and one of bytes.
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What the server said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The conversation is open.
    Open,
    /// A whole message.
    Message(Vec<u8>),
    /// Any other sign of life.
    Alive,
    /// It wants a pong with this in it.
    Ping(Vec<u8>),
    /// It says goodbye, with a code.
    Close(u16),
}

/// A conversation.
#[derive(Debug)]
pub(crate) struct WebSocket {
    accept: String,
    open: bool,
    /// Of which kind its messages are.
    kind: u8,
    bytes: Vec<u8>,
    /// The fragments of a message so far.
    message: Option<Vec<u8>>,
}

impl WebSocket {
    /// Begins one with the server that calls itself `host`, with messages of one kind: what is to be sent first.
    pub(crate) fn begin(host: &str, path: &str, protocol: &str, kind: u8) -> (Self, Vec<u8>) {
        let key = base64(&std::array::from_fn::<u8, 16, _>(|_| fastrand::u8(..)));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
        );
        let accept = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{MAGIC}").as_bytes());
        (
            Self { accept: base64(accept.as_ref()), open: false, kind, bytes: Vec::new(), message: None },
            request.into_bytes(),
        )
    }

    /// Takes bytes; [`next`](Self::next) says what is in them.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What was said next; `None` until there is more.
    pub(crate) fn next(&mut self) -> Result<Option<Heard>, String> {
        if self.open { self.frame() } else { self.head() }
    }

    fn head(&mut self) -> Result<Option<Heard>, String> {
        let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            let long = self.bytes.len() > HEAD;
            return if long { Err(format!("its answer's head exceeds {HEAD} bytes")) } else { Ok(None) };
        };
        let head = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        if !status.starts_with("HTTP/1.1 101") {
            return Err(format!("it answers {status:?} instead of opening a WebSocket"));
        }
        let accept = lines.filter_map(|line| line.split_once(':'));
        let mut accept = accept.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-accept"));
        if accept.next().is_none_or(|(_, value)| value.trim() != self.accept) {
            return Err("it is no WebSocket: its answer does not match our key".to_owned());
        }
        self.bytes.drain(..end + 4);
        self.open = true;
        Ok(Some(Heard::Open))
    }

    fn frame(&mut self) -> Result<Option<Heard>, String> {
        let [first, second, ref rest @ ..] = *self.bytes.as_slice() else { return Ok(None) };
        if first & 0x70 != 0 || second & 0x80 != 0 {
            return Err("it sends a frame that no server may send".to_owned());
        }
        let (len, head) = match (second, rest) {
            (126, [high, low, ..]) => (u64::from(u16::from_be_bytes([*high, *low])), 4),
            (127, rest) if rest.len() >= 8 => {
                (rest[..8].iter().fold(0, |len, byte| len << 8 | u64::from(*byte)), 10)
            }
            (126 | 127, _) => return Ok(None),
            (len, _) => (u64::from(len), 2),
        };
        let so_far = self.message.as_ref().map_or(0, Vec::len);
        if len > (MESSAGE - so_far) as u64 {
            return Err(format!("its message exceeds {MESSAGE} bytes"));
        }
        let end = head + len as usize;
        if self.bytes.len() < end {
            return Ok(None);
        }
        let payload = self.bytes[head..end].to_vec();
        self.bytes.drain(..end);
        let last = first & 0x80 != 0;
        match (first & 0x0f, &mut self.message) {
            (PING, _) if last => Ok(Some(Heard::Ping(payload))),
            (PONG, _) if last => Ok(Some(Heard::Alive)),
            (CLOSE, _) => Ok(Some(Heard::Close(match *payload.as_slice() {
                [high, low, ..] => u16::from_be_bytes([high, low]),
                _ => 1005,
            }))),
            (0, Some(message)) => {
                message.extend_from_slice(&payload);
                let whole = if last { self.message.take() } else { None };
                Ok(Some(whole.map_or(Heard::Alive, Heard::Message)))
            }
            (code, None) if code == self.kind && last => Ok(Some(Heard::Message(payload))),
            (code, message @ None) if code == self.kind => {
                *message = Some(payload);
                Ok(Some(Heard::Alive))
            }
            (code, _) => Err(format!("it sends a frame of kind {code} out of order")),
        }
    }
}

/// A text, as it goes out.
pub(crate) fn text(text: &str) -> Vec<u8> {
    frame(TEXT, text.as_bytes())
}

/// Bytes, as they go out.
pub(crate) fn binary(bytes: &[u8]) -> Vec<u8> {
    frame(BINARY, bytes)
}

/// That nothing more goes out (RFC 6455, 5.5.1).
pub(crate) fn close() -> Vec<u8> {
    frame(CLOSE, b"")
}

/// A ping, which has to be answered.
pub(crate) fn ping() -> Vec<u8> {
    frame(PING, b"")
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    frame(PONG, payload)
}

fn frame(code: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | code];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            bytes.push(0x80 | 0x7e);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 0x7f);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    let mask = fastrand::u32(..).to_be_bytes();
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// However bytes are cut, the same is heard; messages are bounded.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let hear = |open: bool, piece: usize| {
        let mut socket =
            WebSocket { accept: "its key".to_owned(), open, kind: TEXT, bytes: Vec::new(), message: None };
        let mut all = Vec::new();
        for piece in bytes.chunks(piece) {
            socket.take(piece);
            loop {
                match socket.next() {
                    Ok(Some(heard)) => all.push(heard),
                    Ok(None) => break,
                    Err(why) => return (all, Some(why)),
                }
            }
        }
        (all, None)
    };
    for open in [true, false] {
        let whole = hear(open, bytes.len().max(1));
        for heard in &whole.0 {
            assert!(!matches!(heard, Heard::Message(text) | Heard::Ping(text) if text.len() > MESSAGE));
        }
        assert_eq!(hear(open, 1), whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn open() -> WebSocket {
        WebSocket { accept: String::new(), open: true, kind: TEXT, bytes: Vec::new(), message: None }
    }

    fn heard(bytes: &[u8]) -> Result<Vec<Heard>, String> {
        let mut socket = open();
        socket.take(bytes);
        let mut all = Vec::new();
        while let Some(heard) = socket.next()? {
            all.push(heard);
        }
        Ok(all)
    }

    #[test]
    fn a_conversation_opens_only_with_the_answer_to_its_own_key() {
        let (mut socket, request) = WebSocket::begin("obs:4455", "/", "obswebsocket.json", TEXT);
        let request = String::from_utf8(request).expect("text");
        let key = request.split("Key: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a key");
        let accept = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{MAGIC}").as_bytes());
        let answer =
            format!("HTTP/1.1 101 Switching\r\nsec-websocket-ACCEPT: {}\r\n\r\n", base64(accept.as_ref()));
        socket.take(&answer.as_bytes()[..20]);
        assert_eq!(socket.next(), Ok(None));
        socket.take(&answer.as_bytes()[20..]);
        assert_eq!(socket.next(), Ok(Some(Heard::Open)));
        let (mut other, _) = WebSocket::begin("obs:4455", "/", "obswebsocket.json", TEXT);
        other.take(answer.as_bytes());
        assert!(other.next().is_err());
        let (mut refused, _) = WebSocket::begin("obs:4455", "/", "obswebsocket.json", TEXT);
        refused.take(b"HTTP/1.1 404 Not Found\r\n\r\n");
        assert!(refused.next().is_err_and(|why| why.contains("404 Not Found")));
    }

    #[test]
    fn the_key_of_the_rfc_is_accepted_as_in_the_rfc() {
        let accept = digest::digest(
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
            format!("dGhlIHNhbXBsZSBub25jZQ=={MAGIC}").as_bytes(),
        );
        assert_eq!(base64(accept.as_ref()), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn messages_come_whole_or_in_fragments_with_pings_between() {
        assert_eq!(heard(b"\x81\x05Hello"), Ok(vec![Heard::Message(b"Hello".to_vec())]));
        let fragments = b"\x01\x03Hel\x89\x01x\x80\x02lo";
        let expected = vec![Heard::Alive, Heard::Ping(b"x".to_vec()), Heard::Message(b"Hello".to_vec())];
        assert_eq!(heard(fragments), Ok(expected));
        assert_eq!(heard(b"\x88\x02\x0f\xa9"), Ok(vec![Heard::Close(4009)]));
        assert_eq!(heard(b"\x88\x00"), Ok(vec![Heard::Close(1005)]));
    }

    #[test]
    fn what_no_server_may_send_ends_the_conversation() {
        for bytes in [&b"\x81\x85mask"[..], b"\xc1\x00", b"\x80\x00", b"\x82\x00", b"\x01\x00\x81\x00"] {
            assert!(heard(bytes).is_err(), "{bytes:x?}");
        }
        let endless = [0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(heard(&endless).is_err());
    }

    #[test]
    fn what_is_sent_is_masked_and_comes_out_again() {
        for len in [0, 125, 126, 70_000] {
            let sent = text(&"x".repeat(len));
            assert_eq!(sent[0], 0x81);
            assert_eq!(sent[1] & 0x80, 0x80, "masked");
            let head = sent.len() - len;
            let mask = &sent[head - 4..head];
            assert!(sent[head..].iter().zip(mask.iter().cycle()).all(|(byte, mask)| byte ^ mask == b'x'));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(pieces in vec(vec(any::<u8>(), 0..200), 0..20), began in any::<bool>()) {
            let mut socket = open();
            socket.open = began;
            for piece in pieces {
                socket.take(&piece);
                loop {
                    match socket.next() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    }
                }
            }
        }
    }
}
