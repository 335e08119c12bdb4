//! One message of a view, in each form that a client may want it in, made once for all of them.
//!
//! As Server-Sent Events it is text, plain or packed. Packed is a piece of a gzip stream that any stream can take: raw deflate that ends at a
//! byte and looks back at nothing before it. So one piece is made for all clients, and each has its own stream of them: [`PACKED_HEAD`], pieces.
//! Over WebSocket each event is a JSON text.
//!
//! Invariant: the id stands at the last event alone. Who lost the line in the middle of a message is given all of it again.
//!
//! ```text
//! event: rows
//! id: 1f2e3d4c-17
//! data: [{"site":"arena-north","appliance":"rack-1","up":true,...}]
//!
//! {"event":"rows","id":"1f2e3d4c-17","data":[{"site":"arena-north","appliance":"rack-1","up":true,...}]}
//! ```

use axum::body::Bytes;
use axum::extract::ws::Utf8Bytes;
use flate2::{Compress, Compression, FlushCompress};
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::OnceLock;

/// What a packed stream begins with: a gzip header that says nothing more.
pub(super) const PACKED_HEAD: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Where a client has got to: the hub's start, and the number of a message since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id {
    /// Of the hub's start, so that numbers of another one mean nothing.
    pub(super) boot: u32,
    /// Of the message.
    pub(super) seq: u64,
}

impl Id {
    /// As it was written.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (boot, seq) = text.split_once('-')?;
        Some(Self { boot: u32::from_str_radix(boot, 16).ok()?, seq: seq.parse().ok()? })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.boot, self.seq)
    }
}

/// An event's name and its JSON.
pub(super) type Event = (&'static str, String);

/// One message.
#[derive(Debug)]
pub(super) struct Frame {
    /// Its number.
    pub(super) seq: u64,
    id: Id,
    text: Bytes,
    /// Each event's name, and where its JSON stands in the text.
    parts: Vec<(&'static str, Range<usize>)>,
    packed: OnceLock<Bytes>,
    socket: OnceLock<Vec<Utf8Bytes>>,
}

impl Frame {
    /// Of these events; there is at least one.
    pub(super) fn new(id: Id, events: &[Event]) -> Self {
        let mut text = String::with_capacity(events.iter().map(|(_, data)| data.len() + 64).sum());
        let mut parts = Vec::with_capacity(events.len());
        for (at, (name, data)) in events.iter().enumerate() {
            let _ = writeln!(text, "event: {name}");
            if at + 1 == events.len() {
                let _ = writeln!(text, "id: {id}");
            }
            text.push_str("data: ");
            parts.push((*name, text.len()..text.len() + data.len()));
            text.push_str(data);
            text.push_str("\n\n");
        }
        Self {
            seq: id.seq,
            id,
            text: Bytes::from(text),
            parts,
            packed: OnceLock::new(),
            socket: OnceLock::new(),
        }
    }

    /// Bytes of its text.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// As Server-Sent Events.
    pub(super) fn plain(&self) -> Bytes {
        self.text.clone()
    }

    /// The same as a piece of a gzip stream.
    pub(super) fn packed(&self) -> Bytes {
        self.packed.get_or_init(|| Bytes::from(packed(&self.text))).clone()
    }

    /// The same over WebSocket.
    pub(super) fn socket(&self) -> &[Utf8Bytes] {
        self.socket.get_or_init(|| {
            let last = self.parts.len().saturating_sub(1);
            let text = std::str::from_utf8(&self.text).expect("it was made of text");
            let part = |(at, (name, range)): (usize, &(&str, Range<usize>))| {
                let id = if at == last { format!("\"id\":\"{}\",", self.id) } else { String::new() };
                Utf8Bytes::from(format!("{{\"event\":\"{name}\",{id}\"data\":{}}}", &text[range.clone()]))
            };
            self.parts.iter().enumerate().map(part).collect()
        })
    }
}

/// A piece of a gzip stream.
fn packed(text: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::new(3), false);
    let mut out = Vec::with_capacity(text.len() / 4 + 64);
    loop {
        let done = compress.total_in() as usize;
        compress
            .compress_vec(&text[done..], &mut out, FlushCompress::Full)
            .expect("deflate takes every text");
        // Room that is left says that nothing waits for more.
        if compress.total_in() as usize == text.len() && out.len() < out.capacity() {
            return out;
        }
        out.reserve(out.capacity().max(64));
    }
}

/// A short text as a piece of a gzip stream, as it is.
pub(super) fn stored(text: &str) -> Bytes {
    let length = u16::try_from(text.len()).expect("short texts alone are stored");
    let mut out = vec![0];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(text.as_bytes());
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use proptest::prelude::*;
    use std::io::Read;

    const fn id(seq: u64) -> Id {
        Id { boot: 0x1f2e, seq }
    }

    /// What a browser makes of a stream that is not at its end.
    fn unpacked(pieces: &[Bytes]) -> String {
        let stream: Vec<u8> = PACKED_HEAD.iter().copied().chain(pieces.iter().flatten().copied()).collect();
        let (mut decoder, mut text, mut buffer) = (GzDecoder::new(&stream[..]), Vec::new(), [0; 512]);
        while let Ok(read @ 1..) = decoder.read(&mut buffer) {
            text.extend(&buffer[..read]);
        }
        String::from_utf8(text).expect("it is text")
    }

    #[test]
    fn a_message_is_the_same_in_every_form() {
        let frame = Frame::new(id(17), &[("rows", "[{\"a\":1}]".to_owned()), ("trouble", "\"\"".to_owned())]);
        let text = "event: rows\ndata: [{\"a\":1}]\n\nevent: trouble\nid: 00001f2e-17\ndata: \"\"\n\n";
        assert_eq!(frame.plain(), text);
        assert_eq!(unpacked(&[frame.packed()]), text);
        let socket: Vec<&str> = frame.socket().iter().map(Utf8Bytes::as_str).collect();
        assert_eq!(
            socket,
            [
                "{\"event\":\"rows\",\"data\":[{\"a\":1}]}",
                "{\"event\":\"trouble\",\"id\":\"00001f2e-17\",\"data\":\"\"}"
            ]
        );
    }

    #[test]
    fn an_id_is_read_as_it_is_written() {
        assert_eq!(Id::parse(&id(17).to_string()), Some(id(17)));
        for wrong in ["", "17", "x-1", "1f2e-", "1f2e--1", "1f2e-1.5"] {
            assert_eq!(Id::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn pieces_of_anything_are_one_stream(texts in proptest::collection::vec("\\PC{0,3000}", 1..6)) {
            let mut pieces: Vec<Bytes> = texts.iter().map(|text| Bytes::from(packed(text.as_bytes()))).collect();
            pieces.insert(1, stored("event: time\n\n"));
            let whole = format!("{}event: time\n\n{}", texts[0], texts[1..].concat());
            prop_assert_eq!(unpacked(&pieces), whole);
        }
    }
}
