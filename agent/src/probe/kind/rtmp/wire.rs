//! RTMP's bytes, as far as a greeting and one command need them. Pure: bytes in, messages out.
//!
//! The handshake is 1 + 1536 bytes each way and 1536 in return; then everything goes in chunks of messages (RTMP 1.0, 5.3). AMF0 is read
//! only to find what a server says to `connect`: the command's name, and `code` and `description` wherever they stand.
//!
//! Invariants: no more than `STREAMS` messages are under way at once, none is longer than `LONGEST`, values are nested no deeper
//! than `DEEPEST`; whatever the bytes, there is an answer and no panic.
//!
//! ```text
//! 03 | 00 00 00 | 00 00 1b | 14 | 00 00 00 00 | 02 00 07 "connect" 00 3ff0000000000000 03 00 03 "app" …
//! chunk stream 3, time, length, type 20, message stream 0, then AMF0
//! ```

use std::fmt;

/// Bytes of C1, S1, C2 and S2.
pub const GREETING: usize = 1536;
/// Of a message; what a server says to `connect` has some 200.
pub const LONGEST: usize = 16 * 1024;
/// Messages under way at once.
pub const STREAMS: usize = 8;
/// Objects within objects.
const DEEPEST: usize = 8;
/// Until the other side says otherwise.
const CHUNK: usize = 128;
/// Types of messages.
const SET_CHUNK_SIZE: u8 = 1;
const COMMAND_AMF3: u8 = 17;
const COMMAND_AMF0: u8 = 20;

/// Bytes that no RTMP server would send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRtmp(&'static str);

impl fmt::Display for NotRtmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it does not speak RTMP: {}", self.0)
    }
}

impl std::error::Error for NotRtmp {}

/// C0 and C1; `random` makes this greeting like no other.
pub fn hello(mut random: impl FnMut() -> u8) -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.extend([0; 8]);
    bytes.extend((0..GREETING - 8).map(|_| random()));
    bytes
}

/// The command `connect` for an application, in chunks.
pub fn connect(app: &str, url: &str) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, "connect");
    body.push(0);
    body.extend(1.0_f64.to_be_bytes());
    body.push(3);
    for (key, value) in [("app", app), ("type", "nonprivate"), ("flashVer", "FMLE/3.0"), ("tcUrl", url)] {
        body.extend((key.len() as u16).to_be_bytes());
        body.extend(key.as_bytes());
        string(&mut body, value);
    }
    body.extend([0, 0, 9]);
    let mut bytes = vec![3, 0, 0, 0];
    bytes.extend((body.len() as u32).to_be_bytes().get(1..).unwrap_or_default());
    bytes.push(COMMAND_AMF0);
    bytes.extend([0; 4]);
    for (at, piece) in body.chunks(CHUNK).enumerate() {
        if at > 0 {
            bytes.push(0xc3);
        }
        bytes.extend(piece);
    }
    bytes
}

fn string(body: &mut Vec<u8>, text: &str) {
    let text = text.as_bytes().get(..usize::from(u16::MAX)).unwrap_or(text.as_bytes());
    body.push(2);
    body.extend((text.len() as u16).to_be_bytes());
    body.extend(text);
}

/// What is left to read.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// Up to eight bytes, the greatest first.
    fn number(&mut self, length: usize) -> Option<u64> {
        Some(self.take(length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

/// A message on its way, on one chunk stream.
#[derive(Debug, Default)]
struct Partial {
    stream: u32,
    length: usize,
    kind: u8,
    is_extended: bool,
    body: Vec<u8>,
}

/// Puts chunks together.
#[derive(Debug)]
pub struct Chunks {
    buffer: Vec<u8>,
    size: usize,
    partial: Vec<Partial>,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { buffer: Vec::new(), size: CHUNK, partial: Vec::new() }
    }
}

impl Chunks {
    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The body of the next command that is whole, in AMF0.
    pub fn command(&mut self) -> Result<Option<Vec<u8>>, NotRtmp> {
        while let Some((kind, body)) = self.message()? {
            match kind {
                SET_CHUNK_SIZE => {
                    let size = Bytes(&body).number(4).ok_or(NotRtmp("a chunk size of no bytes"))?;
                    if size == 0 || size > 0x7fff_ffff {
                        return Err(NotRtmp("a chunk size that cannot be"));
                    }
                    self.size = size as usize;
                }
                COMMAND_AMF0 => return Ok(Some(body)),
                // One byte says that the rest is AMF3, and the rest is AMF0 all the same.
                COMMAND_AMF3 => return Ok(Some(body.get(1..).unwrap_or_default().to_vec())),
                _ => {}
            }
        }
        Ok(None)
    }

    /// The next message that is whole; nothing when more bytes are needed.
    fn message(&mut self) -> Result<Option<(u8, Vec<u8>)>, NotRtmp> {
        loop {
            let mut bytes = Bytes(&self.buffer);
            let ended = match chunk(&mut bytes, self.size, &mut self.partial)? {
                Chunk::Cut => return Ok(None),
                Chunk::Part => None,
                Chunk::Last(kind, body) => Some((kind, body)),
            };
            let used = self.buffer.len() - bytes.0.len();
            self.buffer.drain(..used);
            if ended.is_some() {
                return Ok(ended);
            }
        }
    }
}

/// What a chunk is.
enum Chunk {
    /// Not all there yet.
    Cut,
    /// A part of a message.
    Part,
    /// The last part of a message of this type.
    Last(u8, Vec<u8>),
}

fn chunk(bytes: &mut Bytes<'_>, size: usize, partial: &mut Vec<Partial>) -> Result<Chunk, NotRtmp> {
    let Some(header) = header(bytes) else { return Ok(Chunk::Cut) };
    let at = match partial.iter().position(|one| one.stream == header.stream) {
        Some(at) => at,
        None if header.format == 3 => return Err(NotRtmp("it goes on with a message that never began")),
        None if partial.len() == STREAMS => return Err(NotRtmp("too many messages at once")),
        None => {
            partial.push(Partial { stream: header.stream, ..Partial::default() });
            partial.len() - 1
        }
    };
    let Some(one) = partial.get_mut(at) else { return Ok(Chunk::Cut) };
    let (length, kind) = header.message.unwrap_or((one.length, one.kind));
    let is_extended = if header.format == 3 { one.is_extended } else { header.is_extended };
    if is_extended && bytes.take(4).is_none() {
        return Ok(Chunk::Cut);
    }
    if length > LONGEST {
        return Err(NotRtmp("a message longer than any answer"));
    }
    // A header with a length in the middle of a message begins another one.
    let have = if header.message.is_some() { 0 } else { one.body.len() };
    let Some(piece) = bytes.take(size.min(length.saturating_sub(have))) else { return Ok(Chunk::Cut) };
    if header.message.is_some() {
        one.body.clear();
    }
    (one.length, one.kind, one.is_extended) = (length, kind, is_extended);
    one.body.extend_from_slice(piece);
    if one.body.len() < length {
        return Ok(Chunk::Part);
    }
    Ok(Chunk::Last(kind, std::mem::take(&mut one.body)))
}

struct Header {
    format: u8,
    stream: u32,
    /// Length and type, where the header has them.
    message: Option<(usize, u8)>,
    is_extended: bool,
}

/// A chunk's header without the extended time.
fn header(bytes: &mut Bytes<'_>) -> Option<Header> {
    let first = bytes.byte()?;
    let (format, stream) = (first >> 6, first & 0x3f);
    let stream = match stream {
        0 => 64 + u32::from(bytes.byte()?),
        1 => 64 + u32::from(bytes.byte()?) + 256 * u32::from(bytes.byte()?),
        small => u32::from(small),
    };
    let is_extended = format < 3 && bytes.number(3)? == 0xff_ffff;
    let message = if format < 2 { Some((bytes.number(3)? as usize, bytes.byte()?)) } else { None };
    if format == 0 {
        bytes.take(4)?;
    }
    Some(Header { format, stream, message, is_extended })
}

/// What a server says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// `_result`, `_error`, `onStatus`.
    pub name: String,
    /// `NetConnection.Connect.Success`.
    pub code: String,
    /// In its words.
    pub description: String,
}

impl Command {
    /// Reads a command; what cannot be read of it is left empty.
    pub fn parse(body: &[u8]) -> Self {
        let (mut command, mut bytes) = (Self::default(), Bytes(body));
        if bytes.byte() == Some(2)
            && let Some(name) = text(&mut bytes, 2)
        {
            command.name = name;
            while !bytes.0.is_empty() && value(&mut bytes, "", 0, &mut command).is_some() {}
        }
        command
    }
}

/// A text with its length in so many bytes in front.
fn text(bytes: &mut Bytes<'_>, length: usize) -> Option<String> {
    let length = bytes.number(length)? as usize;
    let text = String::from_utf8_lossy(bytes.take(length)?);
    Some(text.chars().filter(|c| !c.is_control()).take(200).collect())
}

/// Reads one AMF0 value, which in its object has the name `key`. Nothing when it cannot be read, and so nothing behind it either.
fn value(bytes: &mut Bytes<'_>, key: &str, depth: usize, command: &mut Command) -> Option<()> {
    match bytes.byte()? {
        0 => bytes.take(8).map(drop),
        1 => bytes.take(1).map(drop),
        kind @ (2 | 12) => {
            let text = text(bytes, if kind == 2 { 2 } else { 4 })?;
            match key {
                "code" => command.code = text,
                "description" => command.description = text,
                _ => {}
            }
            Some(())
        }
        kind @ (3 | 8) if depth < DEEPEST => {
            if kind == 8 {
                bytes.take(4)?;
            }
            loop {
                let key = text(bytes, 2)?;
                if key.is_empty() && bytes.0.first() == Some(&9) {
                    return bytes.byte().map(drop);
                }
                value(bytes, &key, depth + 1, command)?;
            }
        }
        5 | 6 => Some(()),
        10 if depth < DEEPEST => {
            for _ in 0..bytes.number(4)? {
                value(bytes, "", depth + 1, command)?;
            }
            Some(())
        }
        11 => bytes.take(10).map(drop),
        _ => None,
    }
}

/// However bytes are cut, the same commands are read; what waits for more bytes is bounded.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    /// The longest header of a chunk, with its extended time.
    const HEADER: usize = 3 + 11 + 4;
    let read = |piece: usize| {
        let (mut chunks, mut bodies) = (Chunks::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            chunks.push(piece);
            loop {
                match chunks.command() {
                    Ok(Some(body)) => bodies.push(body),
                    Ok(None) => break,
                    Err(why) => return (bodies, Err(why)),
                }
            }
            assert!(chunks.partial.len() <= STREAMS && chunks.buffer.len() < HEADER + LONGEST);
        }
        (bodies, Ok(()))
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(read(1), whole);
    for body in whole.0.iter().map(Vec::as_slice).chain([bytes]) {
        let Command { name, code, description } = Command::parse(body);
        for text in [name, code, description] {
            assert!(text.chars().count() <= 200 && !text.contains(char::is_control));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What nginx-rtmp answers: window size, bandwidth, chunk size 4096, `_result`.
    fn answer(name: &str, code: &str) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0, 0x4c, 0x4b, 0x40];
        bytes.extend([2, 0, 0, 0, 0, 0, 5, 6, 0, 0, 0, 0, 0, 0x4c, 0x4b, 0x40, 2]);
        bytes.extend([2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0x10, 0]);
        let mut body = Vec::new();
        string(&mut body, name);
        body.push(0);
        body.extend(1.0_f64.to_be_bytes());
        body.push(3);
        body.extend([0, 6]);
        body.extend(b"fmsVer");
        string(&mut body, "FMS/3,0,1,123");
        body.extend([0, 0, 9, 3]);
        for (key, value) in [("level", "status"), ("code", code), ("description", "Connection succeeded.")] {
            body.extend((key.len() as u16).to_be_bytes());
            body.extend(key.as_bytes());
            string(&mut body, value);
        }
        body.extend([0, 0, 9]);
        bytes.extend([3, 0, 0, 0, 0, 0, body.len() as u8, COMMAND_AMF0, 0, 0, 0, 0]);
        bytes.extend(body);
        bytes
    }

    fn commands(bytes: &[u8], piece: usize) -> Result<Vec<Command>, NotRtmp> {
        let (mut chunks, mut all) = (Chunks::default(), Vec::new());
        for bytes in bytes.chunks(piece.max(1)) {
            chunks.push(bytes);
            while let Some(body) = chunks.command()? {
                all.push(Command::parse(&body));
            }
        }
        Ok(all)
    }

    #[test]
    fn an_answer_is_read_however_it_is_cut() {
        let bytes = answer("_result", "NetConnection.Connect.Success");
        for piece in [1, 7, 128, bytes.len()] {
            let commands = commands(&bytes, piece).expect("RTMP");
            let [command] = commands.as_slice() else { panic!("{commands:?}") };
            assert_eq!(
                (command.name.as_str(), command.description.as_str()),
                ("_result", "Connection succeeded.")
            );
            assert_eq!(command.code, "NetConnection.Connect.Success");
        }
    }

    #[test]
    fn our_own_connect_goes_in_chunks_of_128_bytes_and_comes_back_whole() {
        let app = "a-very-long-application-name".repeat(10);
        let bytes = connect(&app, &format!("rtmp://a.example/{app}"));
        let mut chunks = Chunks::default();
        chunks.push(&bytes);
        let body = chunks.command().expect("RTMP").expect("a command");
        assert_eq!(Command::parse(&body).name, "connect");
        assert!(body.windows(app.len()).any(|window| window == app.as_bytes()));
        assert!(bytes.len() > body.len() + 12, "continuations are marked");
    }

    #[test]
    fn a_message_goes_on_after_another_one_came_between() {
        let mut body = Vec::new();
        string(&mut body, "_error");
        body.resize(200, 5);
        let mut bytes = vec![3, 0, 0, 0, 0, 0, 200, COMMAND_AMF0, 0, 0, 0, 0];
        bytes.extend(&body[..128]);
        bytes.extend([2, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.push(0xc3);
        bytes.extend(&body[128..]);
        assert_eq!(commands(&bytes, 3).expect("RTMP")[0].name, "_error");
    }

    #[test]
    fn what_is_too_much_is_refused() {
        assert!(commands(&[3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0], 99).is_err(), "16 MiB");
        assert!(commands(&[0xc5], 99).is_err(), "goes on with nothing");
        let many: Vec<u8> = (2..12)
            .flat_map(|stream| [stream, 0, 0, 0, 0, 0, 9, 20, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
            .collect();
        assert!(commands(&many, 99).is_err(), "ten chunk streams");
        let deep = [&[2, 0, 1, b'x'][..], &[3, 0, 1, b'a'].repeat(2000)].concat();
        assert_eq!(Command::parse(&deep).name, "x");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600), piece in 1..100_usize) {
            let mut chunks = Chunks::default();
            for bytes in bytes.chunks(piece) {
                chunks.push(bytes);
                while let Ok(Some(body)) = chunks.command() {
                    Command::parse(&body);
                }
                prop_assert!(chunks.partial.len() <= STREAMS);
            }
            Command::parse(&bytes);
        }

        #[test]
        fn an_answer_with_bytes_changed_is_read_or_refused(at in 0..300_usize, byte in any::<u8>(), end in 0..300_usize) {
            let mut bytes = answer("_result", "NetConnection.Connect.Success");
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(length - end % length);
            let _ = commands(&bytes, 50);
        }
    }
}
