//! A hub of this test's own: the real program, on ports and in a directory of its own.

use crate::metrics::Metrics;
use crate::process::Process;
use crate::{clock, http, port, programs};
use rustix::process::Signal;
use serde_json::Value as Json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What a hub promises for SIGTERM.
pub const STOP: Duration = Duration::from_secs(5);

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    process: Option<Process>,
    mqtt: SocketAddr,
    web: SocketAddr,
    program: PathBuf,
    environment: Vec<(String, String)>,
    // Last, so that it goes after the process that lives in it.
    directory: TempDir,
}

/// How telemetry reaches a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Its own listener.
    Listener,
    /// An outside broker.
    Broker(SocketAddr),
}

impl Hub {
    /// A hub with its own listener on 127.0.0.1, everything else as by default.
    pub fn start() -> Self {
        Self::by(Way::Listener)
    }

    /// A hub that is reached in this way.
    pub fn by(way: Way) -> Self {
        Self::with(way, &programs::programs().hub, "")
    }

    /// A hub from a program of one's own choice (benchmarks measure the release build); `more` is added to the
    /// listener's table.
    pub fn with(way: Way, program: &Path, more: &str) -> Self {
        Self::listening(port::local(port::free()), way, program, more)
    }

    /// A hub whose own listener, if that is the way, is at an address of one's own choice.
    pub fn listening(mqtt: SocketAddr, way: Way, program: &Path, more: &str) -> Self {
        Self::among(Vec::new(), mqtt, way, program, more)
    }

    /// A hub whose clock is ahead by `seconds`. Its timers are not: the date alone, by a preloaded libfaketime.
    pub fn ahead(seconds: u64, program: &Path, more: &str) -> Self {
        let environment = [
            ("LD_PRELOAD", programs::faketime().display().to_string()),
            ("FAKETIME", format!("+{seconds}s")),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self::among(environment, port::local(port::free()), Way::Listener, program, more)
    }

    /// A hub whose clock is set while it runs: `offset` is a file that says by how many seconds it is off, `+3600`.
    pub fn by_clock(offset: &Path, program: &Path, more: &str) -> Self {
        let environment = [
            ("LD_PRELOAD", programs::faketime().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", offset.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self::among(environment, port::local(port::free()), Way::Listener, program, more)
    }

    fn among(
        environment: Vec<(String, String)>,
        mqtt: SocketAddr,
        way: Way,
        program: &Path,
        more: &str,
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let web = port::local(port::free());
        let mut text = format!("[web]\naddress = \"{web}\"\n\n");
        let mqtt = match way {
            Way::Listener => {
                let _ = writeln!(text, "[listener]\naddress = \"{mqtt}\"\n{more}");
                mqtt
            }
            Way::Broker(broker) => {
                let _ = writeln!(text, "[mqtt]\naddress = \"{broker}\"\n{more}");
                broker
            }
        };
        std::fs::write(directory.path().join("hub.toml"), text).expect("the directory can be written");
        let mut hub = Self { process: None, mqtt, web, program: program.to_owned(), environment, directory };
        hub.come_up();
        hub
    }

    /// Starts it, on the same ports and on what it left behind.
    pub fn come_up(&mut self) {
        let mut command = Command::new(&self.program);
        command.envs(self.environment.iter().cloned());
        command.current_dir(self.directory.path()).args(["run", "--config", "hub.toml"]);
        let process = Process::start(&mut command, &self.directory.path().join("log"));
        let process = self.process.insert(process.unwrap_or_else(|error| panic!("{error}")));
        let up = clock::eventually(Duration::from_secs(30), || {
            let ended = process.ended().is_some();
            let answers =
                http::get(self.web, "/health/liveness", "*/*").is_ok_and(|answer| answer.status == 200);
            (ended || answers).then_some(!ended)
        });
        assert_eq!(up, Some(true), "the hub does not start\n{}", process.last_words());
    }

    /// Ends it by SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Ends it by SIGKILL and starts it again.
    pub fn restart(&mut self) {
        self.kill();
        self.come_up();
    }

    /// `rackside-hub backup`, while it runs.
    pub fn back_up(&self, target: &Path) {
        let mut command = Command::new(&self.program);
        command.current_dir(self.directory.path()).arg("backup").arg(target).args(["--config", "hub.toml"]);
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What another of its commands says, run beside it with this on its stdin: `user add desk --role viewer`. Panics when it fails.
    pub fn command(&self, words: &[&str], stdin: &str) -> String {
        let mut command = Command::new(&self.program);
        command.current_dir(self.directory.path()).args(words).args(["--config", "hub.toml"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("it was piped").write_all(stdin.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Stops it, puts the backup in its history's place, and starts it.
    pub fn restore(&mut self, backup: &Path) {
        self.stop();
        let database = self.data().join("history.db");
        for journal in ["history.db-wal", "history.db-shm"] {
            // Of the database that goes; there is none after a clean end.
            let _ = std::fs::remove_file(self.data().join(journal));
        }
        std::fs::copy(backup.join("history.db"), database).expect("there is room");
        self.come_up();
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("rackside-data")
    }

    /// Ends it by SIGTERM; its exit status, if it kept its promise.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        let mut process = self.process.take()?;
        process.signal(Signal::TERM);
        process.wait(STOP)
    }

    /// Its own directory, which is the current one of its process: relative paths in `more` and its data are there.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its process id. Panics when it was stopped.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Where agents connect: its listener, or the broker.
    pub fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    /// Where its pages are.
    pub fn web(&self) -> SocketAddr {
        self.web
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// The end of what it said, for a failure's message.
    pub fn last_words(&self) -> String {
        self.process.as_ref().map_or_else(|| "the hub was stopped".to_owned(), Process::last_words)
    }

    /// The body of a page or of an endpoint. Panics when the hub does not answer.
    pub fn body(&self, path: &str) -> String {
        let answer = http::get(self.web, path, "*/*");
        answer.unwrap_or_else(|error| panic!("GET {path}: {error}\n{}", self.last_words())).body
    }

    /// What it serves to Prometheus.
    pub fn metrics(&self) -> Metrics {
        Metrics::parse(&self.body("/metrics"))
    }

    /// One of its own numbers, summed over all labels.
    pub fn count(&self, name: &str) -> u64 {
        self.metrics().sum(name, &[]) as u64
    }

    /// What `/api/sites` says of an appliance, if it knows it.
    pub fn appliance(&self, site: &str, appliance: &str) -> Option<Json> {
        let body = self.body("/api/sites");
        let all: Json =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("/api/sites: {error}\n{body}"));
        let site = all["sites"].as_array()?.iter().find(|one| one["site"] == site)?;
        site["appliances"].as_array()?.iter().find(|one| one["appliance"] == appliance).cloned()
    }

    /// Waits until `/api/sites` says something of an appliance that `wanted` makes something of. Panics when it does not
    /// within `within`.
    pub fn expect<T>(
        &self,
        what: &str,
        within: Duration,
        (site, appliance): (&str, &str),
        mut wanted: impl FnMut(&Json) -> Option<T>,
    ) -> T {
        let found =
            clock::eventually(within, || self.appliance(site, appliance).as_ref().and_then(&mut wanted));
        found.unwrap_or_else(|| {
            let said = self.appliance(site, appliance);
            panic!("not within {within:?}: {what}; the hub says {said:?}\n{}", self.last_words())
        })
    }
}
