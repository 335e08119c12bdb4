//! vMix: its status in XML, by its Web Controller and by its TCP interface.

use super::door::Door;
use super::http::{Fake, Question, Reply};
use crate::clock;
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
    /// The whole tag.
    pub streaming: String,
    /// The whole tag.
    pub recording: String,
    /// So many inputs it has beside the first.
    pub inputs: usize,
    /// How the TCP interface goes wrong.
    pub fault: Option<TcpFault>,
}

/// How the TCP interface goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpFault {
    /// It answers so late.
    Slow(Duration),
    /// It stops in the middle, and the connection closes.
    Cut,
    /// It says something else without end.
    Endless,
    /// It refuses.
    Refused,
    /// The connection closes without a word.
    Silent,
}

/// A running one.
pub struct Vmix {
    /// The socket of its Web Controller, and its faults.
    pub fake: Fake,
    tcp: Door,
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

impl Vmix {
    /// One that streams and records.
    pub fn start() -> Self {
        let state = State {
            streaming: "<streaming channel1=\"True\" channel2=\"False\">True</streaming>".to_owned(),
            recording: "<recording duration=\"12\">True</recording>".to_owned(),
            inputs: 2,
            fault: None,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), is_over: Arc::default() });
        let its = Arc::clone(&shared);
        let fake = Fake::start(move |question| answer(&its.state(), question));
        let its = Arc::clone(&shared);
        let tcp = Door::open(&shared.is_over, move |stream| its.talk(stream));
        Self { fake, tcp, shared }
    }

    /// `127.0.0.1:12345`, of the TCP interface.
    pub fn tcp(&self) -> String {
        self.tcp.address().to_string()
    }

    /// Changes what it says.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The first input is named like what is looked for, and holds a key.
fn status(state: &State) -> String {
    let State { streaming, recording, inputs, .. } = state;
    let mut others = String::new();
    for number in 2..inputs + 2 {
        let number = number.to_string();
        others.extend([
            "<input number=\"",
            &number,
            "\" type=\"Blank\" title=\"Blank\" state=\"Paused\">Blank</input>",
        ]);
    }
    format!(
        "<vmix><version>27.0.0.49</version><edition>4K</edition><preset>C:\\show.vmix</preset><inputs>\
         <input key=\"k1\" number=\"1\" title=\"&lt;streaming&gt; > {KEY}\" state=\"Running\">rtmp://a.example/{KEY}\
         <streaming>False</streaming></input>{others}</inputs><overlays><overlay number=\"1\" /></overlays>\
         <preview>1</preview><active>2</active><fadeToBlack>False</fadeToBlack>\
         <transitions><transition number=\"1\" effect=\"Fade\" duration=\"500\" /></transitions>{recording}\
         <external>False</external>{streaming}<playList>False</playList><multiCorder>False</multiCorder>\
         <fullscreen>False</fullscreen><audio><master volume=\"100\" muted=\"False\" /></audio></vmix>"
    )
}

fn answer(state: &State, question: &Question) -> Reply {
    if !matches!(question.path.as_str(), "/api" | "/api/") {
        return Reply::page(404);
    }
    let body = status(state).into_bytes();
    Reply {
        status: 200,
        headers: vec![("Content-Type".to_owned(), "text/xml".to_owned())],
        body,
        delay: Duration::ZERO,
    }
}

impl Shared {
    /// Serves one connection of the TCP interface for as long as its client wants.
    fn talk(&self, mut stream: &TcpStream) -> io::Result<()> {
        if self.state().fault == Some(TcpFault::Silent) {
            return Ok(());
        }
        stream.write_all(b"VERSION OK 27.0.0.49\r\n")?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let (mut reader, mut line) = (BufReader::new(stream.try_clone()?), String::new());
        while reader.read_line(&mut line)? > 0 {
            let state = self.state();
            let asked = std::mem::take(&mut line);
            if asked != "XML\r\n" || state.fault == Some(TcpFault::Refused) {
                write!(stream, "{} ER not now\r\n", asked.trim())?;
                continue;
            }
            if let Some(TcpFault::Slow(delay)) = state.fault {
                clock::eventually(delay, || self.is_over.load(Ordering::SeqCst).then_some(()));
            }
            while state.fault == Some(TcpFault::Endless) && !self.is_over.load(Ordering::SeqCst) {
                stream.write_all(b"ACTS OK Input 1 1\r\n".repeat(400).as_slice())?;
            }
            let body = status(&state);
            write!(stream, "XML {}\r\n", body.len())?;
            if state.fault == Some(TcpFault::Cut) {
                return stream.write_all(&body.as_bytes()[..body.len() / 2]);
            }
            for piece in body.as_bytes().chunks(1000) {
                stream.write_all(piece)?;
            }
            stream.write_all(b"\r\n")?;
        }
        Ok(())
    }
}
