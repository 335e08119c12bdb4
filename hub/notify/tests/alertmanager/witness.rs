//! Somebody who listens: takes what Alertmanager posts, with the moment at which it came.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::Value;

use crate::{About, Alerts};

type Heard = Arc<Mutex<Vec<(Instant, Value)>>>;

/// A webhook on a port that the kernel chooses. The last part of the URL is the receiver.
pub(crate) struct Witness {
    address: SocketAddr,
    heard: Heard,
}

impl Witness {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let heard = Heard::default();
        let all = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&all);
                std::thread::spawn(move || listen(&stream, &heard));
            }
        });
        Self { address, heard }
    }

    pub(crate) fn url(&self, receiver: &str) -> String {
        format!("http://{}/{receiver}", self.address)
    }

    pub(crate) fn heard(&self) -> Vec<(Instant, Value)> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Requests of one connection, until it is closed.
#[expect(clippy::disallowed_methods, reason = "Alertmanager goes by the real time")]
fn listen(mut stream: &TcpStream, heard: &Heard) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let at = Instant::now();
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().expect("a number");
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a whole body");
        let mut body: Value = serde_json::from_slice(&body).expect("JSON");
        let path = first.split(' ').nth(1).expect("a path").trim_start_matches('/');
        body["receiver"] = Value::from(path);
        heard.lock().unwrap_or_else(PoisonError::into_inner).push((at, body));
        let answer = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        if answer.is_err() {
            return;
        }
    }
}

/// What a message is about, and its alerts.
pub(crate) fn read(body: &Value) -> (About, Alerts) {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let labels = body["groupLabels"].as_object().expect("labels");
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    let alerts = body["alerts"].as_array().expect("alerts").iter().map(|alert| {
        let state = if alert["status"] == "resolved" { "resolved" } else { "firing" };
        (text(&alert["fingerprint"]), state)
    });
    ((text(&body["receiver"]), labels), alerts.collect())
}
