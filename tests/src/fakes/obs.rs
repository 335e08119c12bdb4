//! OBS Studio's WebSocket interface, version 5: greeting, password, and the three questions about its outputs.

use super::door::Door;
use crate::clock;
use ring::digest::{self, digest};
use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What it says.
#[derive(Debug, Clone)]
pub struct State {
    /// Where authentication is on.
    pub password: Option<String>,
    /// The answer to `GetStreamStatus`.
    pub stream: Value,
    /// The answer to `GetRecordStatus`.
    pub record: Value,
    /// The answer to `GetStats`; without one that question is refused.
    pub stats: Option<Value>,
    /// How it goes wrong.
    pub fault: Option<Fault>,
}

/// How a conversation goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It opens so late.
    Slow(Duration),
    /// An answer stops in the middle of a frame, and the connection closes.
    Cut,
    /// Instead of an answer come events without end.
    Endless,
    /// Answers are JSON of another kind.
    WrongType,
    /// It is a web page, with status 404.
    WebPage,
    /// The connection closes without a word.
    Silent,
    /// It is still loading.
    NotReady,
}

/// A running one.
pub struct Obs {
    door: Door,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    connections: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
    is_over: Arc<AtomicBool>,
}

impl Obs {
    /// One that streams and records.
    pub fn start() -> Self {
        let state = State {
            password: None,
            stream: json!({"outputActive": true, "outputReconnecting": false, "outputTimecode": "00:01:00.000",
                "outputDuration": 60_000, "outputCongestion": 0.02, "outputBytes": 45_000_000,
                "outputSkippedFrames": 9, "outputTotalFrames": 3000}),
            record: json!({"outputActive": true, "outputPaused": false, "outputTimecode": "00:01:00.000",
                "outputDuration": 60_000, "outputBytes": 90_000_000}),
            stats: Some(
                json!({"cpuUsage": 12.5, "memoryUsage": 512.0, "availableDiskSpace": 2048.0, "activeFps": 50.0,
                "averageFrameRenderTime": 1.5, "renderSkippedFrames": 7, "renderTotalFrames": 4000,
                "outputSkippedFrames": 5, "outputTotalFrames": 3500}),
            ),
            fault: None,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            connections: AtomicUsize::new(0),
            open: Mutex::default(),
            is_over: Arc::default(),
        });
        let its = Arc::clone(&shared);
        let door = Door::open(&shared.is_over, move |stream| {
            its.connections.fetch_add(1, Ordering::SeqCst);
            its.open.lock().unwrap_or_else(PoisonError::into_inner).extend(stream.try_clone());
            its.talk(stream)
        });
        Self { door, shared }
    }

    /// `127.0.0.1:12345`.
    pub fn address(&self) -> String {
        self.door.address().to_string()
    }

    /// Changes what it says.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Ends every connection, as a program that is started again does.
    pub fn hang_up(&self) {
        for stream in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // One that has ended already need not be ended.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Drop for Obs {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.hang_up();
    }
}

impl Shared {
    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves one connection for as long as its client wants.
    fn talk(&self, mut stream: &TcpStream) -> io::Result<()> {
        match self.state().fault {
            Some(Fault::Silent) => return stream.shutdown(std::net::Shutdown::Both),
            Some(Fault::Slow(delay)) => {
                clock::eventually(delay, || self.is_over.load(Ordering::SeqCst).then_some(()));
            }
            _ => {}
        }
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut key = String::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("sec-websocket-key") => {
                    value.clone_into(&mut key);
                }
                _ if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        if self.state().fault == Some(Fault::WebPage) {
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\n<html>")?;
            return stream.shutdown(std::net::Shutdown::Both);
        }
        let accept = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        let accept = base64(digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, accept.as_bytes()).as_ref());
        write!(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\
             Sec-WebSocket-Protocol: obswebsocket.json\r\n\r\n"
        )?;
        let mut hello =
            json!({"obsStudioVersion": "30.2.3", "obsWebSocketVersion": "5.5.2", "rpcVersion": 1});
        if self.state().password.is_some() {
            hello["authentication"] = json!({"challenge": "c", "salt": "s"});
        }
        say(stream, &json!({"op": 0, "d": hello}))?;
        let mut is_identified = false;
        while let Some(heard) = hear(&mut reader)? {
            match (heard["op"].as_u64(), is_identified) {
                (Some(1), false) => {
                    let wanted = self.state().password.map(|password| proof(&password));
                    if wanted.is_some_and(|wanted| heard["d"]["authentication"] != wanted) {
                        stream.write_all(&[0x88, 2, 0x0f, 0xa9])?;
                        return Ok(());
                    }
                    is_identified = true;
                    say(stream, &json!({"op": 2, "d": {"negotiatedRpcVersion": 1}}))?;
                }
                (Some(6), true) => self.answer(stream, &heard["d"])?,
                // Not identified.
                _ => return stream.write_all(&[0x88, 2, 0x0f, 0xa7]),
            }
        }
        Ok(())
    }

    fn answer(&self, mut stream: &TcpStream, asked: &Value) -> io::Result<()> {
        let state = self.state();
        let data = match asked["requestType"].as_str() {
            Some("GetStreamStatus") => Some(state.stream),
            Some("GetRecordStatus") => Some(state.record),
            Some("GetStats") => state.stats,
            _ => None,
        };
        let code = match (&data, state.fault) {
            (_, Some(Fault::NotReady)) => 207,
            (Some(_), _) => 100,
            (None, _) => 204,
        };
        let mut message = json!({"op": 7, "d": {"requestType": asked["requestType"], "requestId": asked["requestId"],
            "requestStatus": {"result": code == 100, "code": code}, "responseData": data}});
        match state.fault {
            Some(Fault::Cut) => {
                let bytes = frame(&message.to_string());
                stream.write_all(&bytes[..bytes.len() / 2])?;
                return stream.shutdown(std::net::Shutdown::Both);
            }
            Some(Fault::Endless) => {
                let event = json!({"op": 5, "d": {"eventType": "InputVolumeMeters", "eventData": {"x": "y".repeat(4000)}}});
                while !self.is_over.load(Ordering::SeqCst) {
                    say(stream, &event)?;
                }
                return Ok(());
            }
            Some(Fault::WrongType) => message = json!([1, "two", {"op": 3}]),
            _ => {}
        }
        // A ping in between has to be answered.
        stream.write_all(&[0x89, 1, b'x'])?;
        say(stream, &message)
    }
}

fn say(mut stream: &TcpStream, message: &Value) -> io::Result<()> {
    stream.write_all(&frame(&message.to_string()))
}

/// A text as a server sends it.
fn frame(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x81];
    match text.len() {
        length @ 0..=125 => bytes.push(length as u8),
        length => {
            bytes.push(126);
            bytes.extend(u16::try_from(length).expect("short").to_be_bytes());
        }
    }
    bytes.extend(text.as_bytes());
    bytes
}

/// The client's next message; pongs are passed over. Nothing when it has gone, and when what it sends is not masked.
fn hear(reader: &mut impl io::Read) -> io::Result<Option<Value>> {
    loop {
        let mut head = [0; 2];
        reader.read_exact(&mut head)?;
        if head[1] & 0x80 == 0 {
            return Ok(None);
        }
        let length = match head[1] & 0x7f {
            126 => {
                let mut length = [0; 2];
                reader.read_exact(&mut length)?;
                usize::from(u16::from_be_bytes(length))
            }
            length => usize::from(length),
        };
        let (mut mask, mut payload) = ([0; 4], vec![0; length]);
        reader.read_exact(&mut mask)?;
        reader.read_exact(&mut payload)?;
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        match head[0] & 0x0f {
            1 => return Ok(serde_json::from_slice(&payload).ok()),
            8 => return Ok(None),
            _ => {}
        }
    }
}

/// What proves the password for challenge `c` and salt `s`.
fn proof(password: &str) -> String {
    let hashed = |text: String| base64(digest(&digest::SHA256, text.as_bytes()).as_ref());
    let secret = hashed(format!("{password}s"));
    hashed(format!("{secret}c"))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let is_there = at <= three.len();
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if is_there { char::from(letter) } else { '=' });
        }
    }
    text
}
