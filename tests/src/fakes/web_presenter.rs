//! A Blackmagic Web Presenter: its REST interface where its firmware has one, and its text protocol.
//!
//! The text protocol's account comes in pieces that end in the middle of lines, with blocks and keys that nobody knows, and with the stream's
//! key in it, as the device's does.

use super::door::Door;
use super::http::{Fake, Question, Reply};
use crate::clock;
use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What it must not be heard to say anywhere.
pub const KEY: &str = "SECRET-KEY-1234";

/// What it says.
#[derive(Debug, Clone)]
pub struct State {
    /// Whether its firmware has a REST interface.
    pub has_rest: bool,
    /// `Streaming`.
    pub status: String,
    /// Bits a second.
    pub bitrate: Value,
    /// Per cent; older ones do not tell it.
    pub cache: Option<Value>,
    /// How the text protocol goes wrong.
    pub fault: Option<TextFault>,
}

/// How an account goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFault {
    /// It begins so late.
    Slow(Duration),
    /// It stops in the middle of a line, and the connection closes.
    Cut,
    /// It never ends.
    Endless,
    /// It is a web page.
    WebPage,
    /// The connection closes without a word.
    Silent,
    /// It has no end: the connection stays open after the state.
    OpenEnd,
}

/// A running one.
pub struct WebPresenter {
    /// The socket of its REST interface, and its faults.
    pub fake: Fake,
    text: Door,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    is_over: Arc<AtomicBool>,
}

impl Shared {
    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl WebPresenter {
    /// One that streams.
    pub fn start() -> Self {
        let state = State {
            has_rest: true,
            status: "Streaming".to_owned(),
            bitrate: json!(6_012_000),
            cache: Some(json!(0)),
            fault: None,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), is_over: Arc::default() });
        let its = Arc::clone(&shared);
        let fake = Fake::start(move |question| answer(&its.state(), question));
        let its = Arc::clone(&shared);
        let text = Door::open(&shared.is_over, move |stream| its.talk(stream));
        Self { fake, text, shared }
    }

    /// The text protocol's port.
    pub const fn text_port(&self) -> u16 {
        self.text.address().port()
    }

    /// Changes what it says.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn answer(state: &State, question: &Question) -> Reply {
    if !state.has_rest {
        return Reply::page(404);
    }
    let body = match question.path.as_str() {
        "/control/api/v1/livestreams/0" => {
            let mut body = json!({"status": state.status, "bitrate": state.bitrate,
                "effectiveVideoFormat": "1920x1080p30", "duration": 125});
            if let Some(cache) = &state.cache {
                body["cache"] = cache.clone();
            }
            body
        }
        "/control/api/v1/livestreams/0/activePlatform" => {
            json!({"platform": "YouTube", "server": "Custom", "key": KEY,
            "passphrase": KEY, "quality": "Streaming Medium", "url": format!("rtmp://a.example/live/{KEY}")})
        }
        "/control/api/v1/system/product" => {
            json!({"deviceName": "Hall 1", "productName": "Blackmagic Web Presenter 4K", "softwareVersion": "3.5"})
        }
        _ => return Reply::page(404),
    };
    Reply::json(200, &body.to_string())
}

impl Shared {
    /// Serves one connection of the text protocol for as long as its client wants.
    fn talk(&self, mut stream: &TcpStream) -> io::Result<()> {
        let state = self.state();
        let account = account(&state);
        let half = account.find("Cache Used").unwrap_or(account.len() / 2);
        let account = match state.fault {
            Some(TextFault::Silent) => return Ok(()),
            Some(TextFault::WebPage) => "HTTP/1.1 400 Bad Request\r\n\r\n<!DOCTYPE html>\n",
            Some(TextFault::Cut) => &account[..account.find("us: ").unwrap_or(half)],
            Some(TextFault::OpenEnd) => &account[..half],
            _ => &account,
        };
        if let Some(TextFault::Slow(delay)) = state.fault {
            clock::eventually(delay, || self.is_over.load(Ordering::SeqCst).then_some(()));
        }
        stream.set_nodelay(true)?;
        for piece in account.as_bytes().chunks(97) {
            stream.write_all(piece)?;
        }
        match state.fault {
            Some(TextFault::Cut | TextFault::WebPage) => return Ok(()),
            Some(TextFault::Endless) => {
                while !self.is_over.load(Ordering::SeqCst) {
                    stream.write_all(&[b'x'; 8192])?;
                }
                return Ok(());
            }
            _ => {}
        }
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let (mut reader, mut block) = (BufReader::new(stream.try_clone()?), String::new());
        while reader.read_line(&mut block)? > 0 {
            if block.trim().is_empty() || !block.ends_with("\n\n") {
                continue;
            }
            if block.starts_with("SHUTDOWN:") {
                return Ok(());
            }
            let is_known = block.starts_with("STREAM STATE:");
            write!(stream, "{}\n\n", if is_known { "ACK" } else { "NACK" })?;
            if is_known {
                stream.write_all(stream_state(&self.state()).as_bytes())?;
            }
            block.clear();
        }
        Ok(())
    }
}

fn stream_state(state: &State) -> String {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let cache =
        state.cache.as_ref().map_or_else(String::new, |cache| format!("Cache Used: {}\n", plain(cache)));
    let (status, bitrate) = (&state.status, plain(&state.bitrate));
    format!("STREAM STATE:\nStatus: {status}\nDuration: 00:00:02:05\nBitrate: {bitrate}\n{cache}\n")
}

/// Everything, as whoever connects is told.
fn account(state: &State) -> String {
    let before = format!(
        "PROTOCOL PREAMBLE:\nVersion: 1.2\n\nIDENTITY:\nModel: Blackmagic Web Presenter HD\nLabel: Hall: 1\n\n\
         VERSION:\nProduct ID: BE73\nSoftware Release: 3.2\n\nNETWORK:\nCurrent DNS Servers: \n\n\
         TELEPATHY:\nStatus: Interrupted\n\nSTREAM SETTINGS:\nAvailable Video Modes: Auto, 1080p25\nVideo Mode: Auto\n\
         Current Platform: YouTube\nCurrent Server: rtmp://a.example/live/{KEY}\nCurrent Quality Level: Streaming Medium\n\
         Stream Key: {KEY}\nPassword: {KEY}\nMood: good\n\n"
    );
    let after = "AUDIO SETTINGS:\nCurrent Monitor Out Audio Source: Auto\n\nEND PRELUDE:\n\n";
    format!("{before}{}{after}", stream_state(state))
}
