//! A webhook that writes down what it is sent, and when: what a person would have been told.
//!
//! It takes everything and answers at once, so that what it lacks was never sent.
//!
//! ```text
//! POST /hook   Idempotency-Key: 3f0c…   {"status": "firing", "alerts": [{"labels": {"alertname": "Lost", …}, …}], …}
//! ```

use crate::clock;
use serde_json::Value as Json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The server. Its threads end with the process.
#[derive(Debug)]
pub struct Witness {
    address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
}

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Told {
    /// When all of it was there.
    pub at: Instant,
    /// Its `Idempotency-Key`.
    pub key: String,
    /// What it says.
    pub body: Json,
}

impl Told {
    /// Whether it names an alert of this name that is `firing` or `resolved`.
    pub fn names(&self, alert: &str, status: &str) -> bool {
        self.alerts().any(|one| one["labels"]["alertname"] == alert && one["status"] == status)
    }

    /// Its alerts.
    pub fn alerts(&self) -> impl Iterator<Item = &Json> {
        self.body["alerts"].as_array().into_iter().flatten()
    }
}

impl Witness {
    /// Listens on a port of its own.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the kernel has a free port");
        let address = listener.local_addr().expect("it was just bound");
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let its = Arc::clone(&told);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let told = Arc::clone(&its);
                thread::spawn(move || serve(stream, &told));
            }
        });
        Self { address, told }
    }

    /// Where to post.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Told> {
        lock(&self.told).clone()
    }

    /// How many messages came so far.
    pub fn count(&self) -> usize {
        lock(&self.told).len()
    }

    /// The first message from number `from` on that is `wanted`, those before it or after it let be.
    pub fn find(&self, from: usize, within: Duration, wanted: impl Fn(&Told) -> bool) -> Option<Told> {
        clock::eventually(within, || {
            lock(&self.told).get(from..).and_then(|new| new.iter().find(|one| wanted(one)).cloned())
        })
    }
}

fn lock(told: &Mutex<Vec<Told>>) -> MutexGuard<'_, Vec<Told>> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers every request on a connection with 200.
fn serve(stream: TcpStream, told: &Mutex<Vec<Told>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut key, mut line) = (0, String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            } else if name.eq_ignore_ascii_case("idempotency-key") {
                value.trim().clone_into(&mut key);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body = serde_json::from_slice(&body).ok()?;
        lock(told).push(Told { at: clock::now(), key, body });
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Connection;

    #[test]
    fn what_is_posted_is_written_down_with_its_key() {
        let witness = Witness::start();
        let body = br#"{"alerts": [{"status": "firing", "labels": {"alertname": "Lost"}}]}"#;
        let mut connection = Connection::to(witness.address).expect("it listens");
        let answer = connection.post("/hook", "Idempotency-Key: 7\r\n", body).expect("it answers");
        assert_eq!((answer.status, witness.count()), (200, 1));
        let told = witness.find(0, Duration::ZERO, |told| told.names("Lost", "firing")).expect("it came");
        assert_eq!(told.key, "7");
        assert!(!told.names("Lost", "resolved") && !told.names("Found", "firing"));
        assert!(witness.find(1, Duration::ZERO, |_| true).is_none());
    }
}
