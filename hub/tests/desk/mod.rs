//! A hub of the test's own, in this process, on free ports; and plain HTTP to it.
#![allow(dead_code, unreachable_pub, clippy::allow_attributes, reason = "each test binary uses a part of it")]

use rackside_hub::app::{Hub, StartError};
use rackside_hub::clock;
use rackside_hub::config::Config;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A running hub, with a data directory of its own.
pub struct Desk {
    runtime: Runtime,
    hub: Option<Hub>,
    config: Config,
    // Last, so that it goes after the hub that writes there.
    _data: TempDir,
}

impl Desk {
    /// A hub with its own listener.
    pub fn start() -> Self {
        Self::with("[listener]\naddress = \"127.0.0.1:0\"\n")
    }

    /// A hub with this in its configuration; the web address is a free one.
    pub fn with(text: &str) -> Self {
        Self::try_with(&format!("{text}[web]\naddress = \"127.0.0.1:0\"\n")).expect("it starts")
    }

    /// A hub with exactly this configuration, but for its data directory.
    pub fn try_with(text: &str) -> Result<Self, StartError> {
        let data = tempfile::tempdir().expect("a temporary directory");
        let config = Config::parse(text, "hub.toml").expect("the configuration is right");
        let config = Config { data: data.path().join("data"), ..config };
        let runtime = Runtime::new().expect("threads");
        let hub = runtime.block_on(Hub::start(&config))?;
        Ok(Self { runtime, hub: Some(hub), config, _data: data })
    }

    /// Stops the hub, and starts it again over the same data. It may be elsewhere then.
    pub fn restart(&mut self) {
        assert!(self.stop().0, "it stops in time");
        self.hub = Some(self.runtime.block_on(Hub::start(&self.config)).expect("it starts"));
    }

    /// Where its data are.
    pub fn data(&self) -> &Path {
        &self.config.data
    }

    fn hub(&self) -> &Hub {
        self.hub.as_ref().expect("it runs until it is stopped")
    }

    /// Where agents connect.
    pub fn mqtt(&self) -> SocketAddr {
        self.hub().listener().expect("it has a listener").address()
    }

    /// Where its pages are.
    pub fn web(&self) -> SocketAddr {
        self.hub().web_address()
    }

    /// Which site is on air, as its API will have it.
    pub fn on_air(&self) -> &rackside_hub::onair::OnAir {
        self.hub().on_air()
    }

    /// Stops it. Says whether all of it ended in time, and how long it took.
    pub fn stop(&mut self) -> (bool, Duration) {
        let began = clock::now();
        let ended = self.runtime.block_on(self.hub.take().expect("it runs").stop());
        (ended, clock::now().since(began.instant))
    }

    /// One request.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut stream = self.open(method, path, headers);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        let head_ends = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..head_ends].to_vec()).expect("text");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Answer { status, head: head.to_lowercase(), body: bytes[head_ends + 4..].to_vec() }
    }

    fn open(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> TcpStream {
        let mut stream = TcpStream::connect(self.web()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout can be set");
        let host = self.web();
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").expect("a String takes everything");
        }
        stream.write_all(format!("{text}\r\n").as_bytes()).expect("it reads");
        stream
    }

    /// GET, as a text.
    pub fn get(&self, path: &str) -> String {
        self.request("GET", path, &[]).text()
    }

    /// GET, as JSON.
    pub fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.get(path)).expect("JSON")
    }

    /// The value of one line of `/metrics`, as it stands there.
    pub fn metric(&self, line: &str) -> Option<String> {
        let metrics = self.get("/metrics");
        metrics.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' ').map(str::to_owned))
    }

    /// The lines of `/api/live`, as they come.
    pub fn live(&self) -> impl Iterator<Item = String> + use<> {
        BufReader::new(self.open("GET", "/api/live", &[])).lines().map_while(Result::ok)
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

/// An answer.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its head, in lower case.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(self) -> String {
        String::from_utf8(self.body).expect("text")
    }
}

/// A program that a test needs; fails naming the Debian package that has it.
pub fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = places.map(|place| place.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("this test needs {name}: apt-get install {package}"))
}

/// What `promtool check metrics` says of a text; nothing when it has no complaint.
pub fn promtool(text: &str) -> String {
    let mut child = Command::new(program("promtool", "prometheus"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    let code = if output.status.success() { String::new() } else { output.status.to_string() };
    code + &String::from_utf8_lossy(&said)
}
