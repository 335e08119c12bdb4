//! A real Mosquitto of this test's own, and `mosquitto_sub` beside it or beside the hub's listener.

use crate::process::Process;
use crate::{clock, port, programs};
use rustix::process::Signal;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// A broker with sessions and retained messages in memory only: a restart forgets both.
#[derive(Debug)]
pub struct Mosquitto {
    directory: TempDir,
    address: SocketAddr,
    process: Option<Process>,
}

/// What a broker is started with.
#[derive(Debug, Clone, Default)]
pub struct MosquittoOptions {
    /// Lines for `mosquitto.conf`.
    pub lines: Vec<String>,
    /// The only user and the password; everybody may come when there is none.
    pub login: Option<(String, String)>,
}

impl Mosquitto {
    /// A broker for everybody on a port of its own.
    pub fn start() -> Self {
        Self::with(&MosquittoOptions::default())
    }

    /// A broker as described.
    pub fn with(options: &MosquittoOptions) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = port::local(port::free());
        let mut text = format!("listener {} 127.0.0.1\npersistence false\nlog_dest stderr\n", address.port());
        // Started by root it would change to a user that cannot read our directory.
        text.push_str(
            "user root\nlog_type error\nlog_type warning\nlog_type notice\nconnection_messages true\n",
        );
        match &options.login {
            None => text.push_str("allow_anonymous true\n"),
            Some((user, password)) => {
                let file = directory.path().join("users");
                let made = Command::new(programs::installed("mosquitto_passwd"))
                    .args(["-b", "-c"])
                    .arg(&file)
                    .args([user, password])
                    .status();
                assert!(made.is_ok_and(|status| status.success()), "mosquitto_passwd failed");
                let _ = writeln!(text, "allow_anonymous false\npassword_file {}", file.display());
            }
        }
        for line in &options.lines {
            let _ = writeln!(text, "{line}");
        }
        std::fs::write(directory.path().join("mosquitto.conf"), text).expect("the directory can be written");
        let mut broker = Self { directory, address, process: None };
        broker.come_up();
        broker
    }

    /// A broker with this configuration, which listens at `address`.
    pub fn of(conf: &str, address: SocketAddr) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        // Started by root it would change to a user that cannot read our directory.
        let own = "persistence false\nlog_dest stderr\nuser root\n";
        let text = format!("{own}{conf}\n");
        std::fs::write(directory.path().join("mosquitto.conf"), text).expect("the directory can be written");
        let mut broker = Self { directory, address, process: None };
        broker.come_up();
        broker
    }

    /// Has it read its files again: rights, passwords, certificates.
    pub fn reload(&self) {
        let process = self.process.as_ref().expect("it runs");
        let reloads = || process.log().matches("Reloading config").count();
        let before = reloads();
        process.signal(Signal::HUP);
        let told = clock::eventually(Duration::from_secs(30), || (reloads() > before).then_some(()));
        assert!(told.is_some(), "mosquitto does not reload\n{}", process.last_words());
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port, with nothing in its memory.
    pub fn come_up(&mut self) {
        self.process = None;
        let mut command = Command::new(programs::installed("mosquitto"));
        command.arg("-c").arg(self.directory.path().join("mosquitto.conf"));
        let process = Process::start(&mut command, &self.directory.path().join("log"));
        let mut process = process.unwrap_or_else(|error| panic!("{error}"));
        let up = clock::eventually(Duration::from_secs(30), || {
            let ended = process.ended().is_some();
            (ended || TcpStream::connect(self.address).is_ok()).then_some(!ended)
        });
        assert_eq!(up, Some(true), "mosquitto does not start\n{}", process.last_words());
        self.process = Some(process);
    }
}

/// `mosquitto_sub` on some filters.
#[derive(Debug)]
pub struct MosquittoSub {
    child: Child,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A message as `mosquitto_sub` got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its topic.
    pub topic: String,
    /// Whether the broker had kept it.
    pub retained: bool,
    /// Its body.
    pub payload: Vec<u8>,
}

impl MosquittoSub {
    /// Subscribes with QoS 1 and returns once the broker has said yes.
    pub fn start(broker: SocketAddr, filters: &[&str]) -> Self {
        Self::start_with(broker, filters, &[])
    }

    /// Subscribes with words of the command line besides: `["-u", "desk", "-P", "secret"]`.
    pub fn start_with(broker: SocketAddr, filters: &[&str], words: &[&str]) -> Self {
        // Line by line: into a pipe it would keep what it says until it has said 4 KiB.
        let mut command = Command::new(programs::installed("stdbuf"));
        command.arg("-oL").arg(programs::installed("mosquitto_sub"));
        command.args(["-h", &broker.ip().to_string(), "-p", &broker.port().to_string(), "-q", "1", "-d"]);
        command.args(["-F", "message %r %t %x"]).args(words);
        for filter in filters {
            command.args(["-t", filter]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto_sub starts");
        let output = BufReader::new(child.stdout.take().expect("it was piped"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let subscribed = Arc::new(Mutex::new(false));
        let (its_seen, its_subscribed) = (Arc::clone(&seen), Arc::clone(&subscribed));
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(message) = Seen::parse(&line) {
                    its_seen.lock().unwrap_or_else(PoisonError::into_inner).push(message);
                } else if line.starts_with("Subscribed (mid") {
                    *its_subscribed.lock().unwrap_or_else(PoisonError::into_inner) = true;
                }
            }
        });
        let ready = clock::eventually(Duration::from_secs(30), || {
            (*subscribed.lock().unwrap_or_else(PoisonError::into_inner)).then_some(())
        });
        let sub = Self { child, seen };
        assert!(ready.is_some(), "mosquitto_sub got no answer to its subscription from {broker}");
        sub
    }

    /// Everything so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a message that `wanted` makes something of.
    pub fn wait<T>(&self, within: Duration, mut wanted: impl FnMut(&Seen) -> Option<T>) -> Option<T> {
        let mut next = 0;
        clock::eventually(within, || {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let found = seen.get(next..).unwrap_or_default().iter().find_map(&mut wanted);
            next = seen.len();
            found
        })
    }
}

impl Drop for MosquittoSub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Seen {
    /// Reads `message 0 rackside/1/a/b/presence 01ab`; an empty body leaves the last word out.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("message ")?.split(' ');
        let retained = words.next()? == "1";
        let topic = words.next()?.to_owned();
        let hex = words.next().unwrap_or_default();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let payload = hex.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?;
        Some(Self { topic, retained, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mosquitto_sub_is_read() {
        let seen = Seen::parse("message 1 a/b 01ff").unwrap();
        assert_eq!(seen, Seen { topic: "a/b".into(), retained: true, payload: vec![1, 255] });
        assert_eq!(
            Seen::parse("message 0 a "),
            Some(Seen { topic: "a".into(), retained: false, payload: vec![] })
        );
        assert_eq!(Seen::parse("Client x received CONNACK (0)"), None);
    }
}
