//! A webhook of the test's own: writes down every JSON that is posted to it, or refuses it. What is no JSON (a picture) is a list of bytes.

use serde_json::Value as Json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// The server. Its threads end with the process.
pub(crate) struct Witness {
    address: SocketAddr,
    heard: Receiver<Json>,
    refuses: Arc<AtomicBool>,
}

impl Witness {
    /// Listens on a port of its own.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (sender, heard) = channel();
        let refuses = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&refuses);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, flag) = (sender.clone(), Arc::clone(&flag));
                std::thread::spawn(move || serve(stream, &sender, &flag));
            }
        });
        Self { address, heard, refuses }
    }

    /// Where to post.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// From now on it answers 503, or not any more.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// The next message; at most 60 s are waited for it.
    pub(crate) fn next(&self) -> Json {
        self.heard.recv_timeout(Duration::from_mins(1)).expect("a message within 60 s")
    }

    /// How many have come that were not looked at.
    pub(crate) fn rest(&self) -> usize {
        self.heard.try_iter().count()
    }
}

fn serve(stream: TcpStream, heard: &Sender<Json>, refuses: &AtomicBool) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let is_refused = refuses.load(Ordering::SeqCst);
        if !is_refused {
            heard.send(serde_json::from_slice(&body).unwrap_or_else(|_| Json::from(body))).ok()?;
        }
        let status = if is_refused { "503 Service Unavailable" } else { "200 OK" };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        reader.get_mut().write_all(answer.as_bytes()).ok()?;
    }
}
