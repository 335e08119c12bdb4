//! `rackside-hub` as a program of the test's own: started, listened to, asked over HTTP, ended.
#![allow(dead_code, unreachable_pub, clippy::allow_attributes, reason = "each test binary uses a part of it")]

use rackside_hub::clock;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// Everything on free ports.
pub const FREE: &str = "[listener]\naddress = \"127.0.0.1:0\"\n[web]\naddress = \"127.0.0.1:0\"\n";

/// The program with these words.
pub fn hub(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rackside-hub"));
    command.args(words).stdin(Stdio::null());
    command
}

/// Whether it ended well, and what it said on stdout and stderr.
pub fn said(output: &Output) -> (bool, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// Writes a configuration; its data are in the same directory, under `data`.
pub fn file(directory: &TempDir, text: &str) -> String {
    let path = directory.path().join("hub.toml");
    let data = directory.path().join("data");
    let text = format!("data = {:?}\n{text}", data.to_str().expect("text"));
    std::fs::write(&path, text).expect("the directory can be written");
    path.to_str().expect("text").to_owned()
}

/// A hub that runs, and the lines that it logs.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    /// Where its pages are.
    web: String,
    /// Where agents connect.
    pub agents: String,
}

impl Running {
    /// Starts it, and waits until it listens.
    pub fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// Starts it with these variables in its environment.
    pub fn start_with(config: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = hub(&["run", "--config", config]);
        let command = command.envs(variables.iter().copied()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stderr = child.stderr.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut running = Self { child, lines, web: String::new(), agents: String::new() };
        let line = running.expect("page at http://");
        line.rsplit(' ').next().expect("split gives one at least").clone_into(&mut running.agents);
        let page = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        // One that listens everywhere listens here.
        running.web = page.expect("an address").replace("0.0.0.0", "127.0.0.1");
        running
    }

    /// Waits for a line with this in it.
    pub fn expect(&self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(30));
            let line = line.unwrap_or_else(|_| panic!("no line with {part:?} within 30 s"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// What it has logged that nobody has looked at yet.
    pub fn logged(&self) -> String {
        self.lines.try_iter().fold(String::new(), |all, line| all + &line + "\n")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// How it ended, if that is within 5 s.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        (0..250).find_map(|_| {
            std::thread::sleep(Duration::from_millis(20));
            self.child.try_wait().expect("it is ours")
        })
    }

    /// Ends it as a power cut would, as far as a process can tell.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }

    /// Where its pages are, for who asks by itself.
    pub fn web(&self) -> &str {
        &self.web
    }

    /// GET: the status and the body.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.send("GET", path, "", "")
    }

    /// POST: the same. `headers` are whole lines.
    pub fn post(&self, path: &str, headers: &str, body: &str) -> (u16, String) {
        self.send("POST", path, headers, body)
    }

    /// Asks in any way.
    pub fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let (status, _, body) = self.whole(method, path, headers, body);
        (status, body)
    }

    /// The same, with the answer's head between status and body.
    pub fn whole(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.web).expect("it listens");
        let (host, length) = (&self.web, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, head.to_owned(), body.to_owned())
    }

    /// The value of one line of `/metrics`.
    pub fn metric(&self, line: &str) -> Option<f64> {
        let (_, metrics) = self.get("/metrics");
        metrics.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' ')?.parse().ok())
    }

    /// Waits until `wanted` gives something; at most 30 s.
    pub fn eventually<T>(&self, what: &str, mut wanted: impl FnMut(&Self) -> Option<T>) -> T {
        let began = clock::now();
        loop {
            if let Some(found) = wanted(self) {
                return found;
            }
            assert!(clock::now().since(began.instant) < Duration::from_secs(30), "not within 30 s: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
