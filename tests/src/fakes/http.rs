//! A server of HTTP/1.1 on a port of its own that answers as it is told, and fails as it is told.
//!
//! One thread takes connections and one serves each; all end with the [`Fake`]. It notes what it was asked.
//!
//! ```
//! use rackside_tests::fakes::http::{Fake, Fault, Reply};
//! let fake = Fake::start(|question| Reply::json(200, &format!("{{\"path\":\"{}\"}}", question.path)));
//! fake.fail(Some(Fault::WebPage));
//! ```

use super::door::Door;
use crate::clock;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// `GET`.
    pub method: String,
    /// `/v3/paths/list`.
    pub path: String,
    /// `page=0&itemsPerPage=100`; empty without one.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// What was sent along.
    pub body: String,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `200`.
    pub status: u16,
    /// Beside the length.
    pub headers: Vec<(String, String)>,
    /// Any bytes.
    pub body: Vec<u8>,
    /// How long it takes until the answer begins.
    pub delay: Duration,
}

/// How an answer goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It begins so late.
    Slow(Duration),
    /// It stops in the middle of the body, and the connection closes.
    Cut,
    /// It never ends: a body of spaces without a length.
    Endless,
    /// It is JSON of another kind: a list of this and that.
    WrongType,
    /// It is the web page of something else, with status 404.
    WebPage,
    /// It is a status with an empty body.
    Status(u16),
    /// The connection closes without a word.
    Silent,
}

/// A running one.
pub struct Fake {
    door: Door,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Box<dyn Fn(&Question) -> Reply + Send + Sync>,
    fault: Mutex<Option<Fault>>,
    asked: Mutex<Vec<Question>>,
    is_over: Arc<AtomicBool>,
}

impl Question {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A value of the query.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

impl Reply {
    /// JSON.
    pub fn json(status: u16, body: &str) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json; charset=utf-8".to_owned())];
        Self { status, headers, body: body.as_bytes().to_vec(), delay: Duration::ZERO }
    }

    /// A page for people.
    pub fn page(status: u16) -> Self {
        let body =
            "<!DOCTYPE html>\n<html><head><title>Not found</title></head><body><h1>404</h1></body></html>\n";
        let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
        Self { status, headers, body: body.as_bytes().to_vec(), delay: Duration::ZERO }
    }

    /// With a header more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// So late.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

impl Fake {
    /// One that answers as `answer` says.
    pub fn start(answer: impl Fn(&Question) -> Reply + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            fault: Mutex::new(None),
            asked: Mutex::new(Vec::new()),
            is_over: Arc::default(),
        });
        let its = Arc::clone(&shared);
        let door = Door::open(&shared.is_over, move |stream| its.serve(stream));
        Self { door, shared }
    }

    /// `http://127.0.0.1:12345`.
    pub fn url(&self) -> String {
        format!("http://{}", self.door.address())
    }

    /// From now on every answer goes wrong like this, or none does.
    pub fn fail(&self, fault: Option<Fault>) {
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// What was asked since the last time that somebody wanted to know.
    pub fn asked(&self) -> Vec<Question> {
        std::mem::take(&mut *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    /// Serves one connection for as long as its client wants.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(question) = read(&mut reader)? {
            let reply = (self.answer)(&question);
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(question);
            let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.send(stream, reply, fault)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether the connection goes on.
    fn send(&self, mut stream: &TcpStream, reply: Reply, fault: Option<Fault>) -> io::Result<bool> {
        let reply = match fault {
            Some(Fault::WrongType) => Reply::json(reply.status, "[1, \"two\", {\"items\": 3}]"),
            Some(Fault::WebPage) => Reply::page(404),
            Some(Fault::Status(status)) => Reply { status, body: Vec::new(), ..reply },
            _ => reply,
        };
        match fault {
            Some(Fault::Silent) => return Ok(false),
            Some(Fault::Slow(delay)) => self.wait(delay),
            _ => self.wait(reply.delay),
        }
        let mut head = format!("HTTP/1.1 {} -\r\n", reply.status);
        for (name, value) in &reply.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if fault == Some(Fault::Endless) {
            write!(stream, "{head}Connection: close\r\n\r\n")?;
            while !self.is_over.load(Ordering::SeqCst) {
                stream.write_all(&[b' '; 8192])?;
            }
            return Ok(false);
        }
        write!(stream, "{head}Content-Length: {}\r\n\r\n", reply.body.len())?;
        if fault == Some(Fault::Cut) {
            stream.write_all(&reply.body[..reply.body.len() / 2])?;
            return Ok(false);
        }
        stream.write_all(&reply.body)?;
        Ok(true)
    }

    /// Lets time pass, and no more than the test has.
    fn wait(&self, delay: Duration) {
        clock::eventually(delay, || self.is_over.load(Ordering::SeqCst).then_some(()));
    }
}

/// The next question; nothing when there is none any more.
fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Question>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut question = Question {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: Vec::new(),
        body: String::new(),
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        question.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = question.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    question.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(question))
}
