//! What the tests against a real broker share: a Mosquitto, the agent as a process, a subscriber, a proxy that can be cut.
//!
//! Everything is started on a free port and ended when it goes out of scope. Waiting is always for something, with an end.

use rackside_proto::{Channel, Message, Prefix, Topic};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a tool, or says which Debian package has it. Servers are in `/usr/sbin`, which is not on everybody's path.
pub(crate) fn tool(name: &str, package: &str) -> Command {
    let answers = |program: &str| {
        let mut command = Command::new(program);
        command.arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let found = [name.to_owned(), format!("/usr/sbin/{name}")].into_iter().find(|program| answers(program));
    Command::new(found.unwrap_or_else(|| {
        panic!("{name} is needed for this test; install Debian's package {package}");
    }))
}

/// A child process that does not outlive its test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server of the test's own.
pub(crate) struct Service {
    _process: Process,
}

impl Service {
    /// Starts it, and waits until it says so.
    pub(crate) fn start(mut command: Command, ready: &str) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut process = Process(child.unwrap_or_else(|error| panic!("{command:?}: {error}")));
        let (said, complained) =
            (process.0.stdout.take().expect("piped"), process.0.stderr.take().expect("piped"));
        let lines = Lines::of_both(said, complained);
        let found = lines.find(PATIENCE, |line| line.contains(ready).then_some(()));
        found.unwrap_or_else(|seen| {
            panic!("{command:?} does not say {ready:?}; instead:\n{}", seen.join("\n"))
        });
        Self { _process: process }
    }
}

/// Lines of a process's output.
struct Lines(Receiver<String>);

impl Lines {
    fn of(source: impl Read + Send + 'static) -> Self {
        Self::of_both(source, std::io::empty())
    }

    /// Read until both end, also when nobody wants them any more: a process must not block on what it says.
    fn of_both(one: impl Read + Send + 'static, other: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        let too = sender.clone();
        std::thread::spawn(move || {
            BufReader::new(one).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        std::thread::spawn(move || {
            BufReader::new(other).lines().map_while(Result::ok).for_each(|line| drop(too.send(line)));
        });
        Self(receiver)
    }

    /// The next line for which `wanted` gives something; what came instead if none does in time.
    fn find<T>(&self, within: Duration, mut wanted: impl FnMut(&str) -> Option<T>) -> Result<T, Vec<String>> {
        let end = Instant::now() + within;
        let mut seen = Vec::new();
        loop {
            match self.0.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => match wanted(&line) {
                    Some(found) => return Ok(found),
                    None => seen.push(line),
                },
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(seen),
            }
        }
    }
}

/// A Mosquitto of our own.
pub(crate) struct Broker {
    process: Process,
    configuration: PathBuf,
    pub(crate) port: u16,
}

impl Broker {
    /// Starts one. `lines` are added to its configuration after the listener.
    pub(crate) fn start(dir: &Path, lines: &str) -> Self {
        for _ in 0..5 {
            // Mosquitto cannot be asked which port it took, so one that was free a moment ago is named; if somebody else
            // was faster, another is.
            let port =
                TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
            let configuration = dir.join(format!("mosquitto-{port}.conf"));
            fs::write(&configuration, format!("listener {port} 127.0.0.1\n{lines}\n")).expect("written");
            if let Some(process) = Self::launch(&configuration, port) {
                return Self { process, configuration, port };
            }
        }
        panic!("mosquitto does not start; its configuration:\n{lines}");
    }

    /// One that lets in everybody.
    pub(crate) fn open(dir: &Path) -> Self {
        Self::start(dir, "allow_anonymous true")
    }

    fn launch(configuration: &Path, port: u16) -> Option<Process> {
        let mut command = tool("mosquitto", "mosquitto");
        let child = command.arg("-c").arg(configuration).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut process = Process(child.expect("mosquitto starts"));
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(process);
            }
            if process.0.try_wait().expect("a child").is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Ends it at once, and starts it again on the same port with nothing retained.
    pub(crate) fn restart(&mut self) {
        let _ = self.process.0.kill();
        let _ = self.process.0.wait();
        self.process = Self::launch(&self.configuration, self.port).expect("mosquitto starts again");
    }

    /// Publishes a body, as a hub would.
    pub(crate) fn publish(&self, topic: &str, body: &[u8], retain: bool) {
        let mut command = tool("mosquitto_pub", "mosquitto-clients");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-q", "1", "-t", topic, "-s"]);
        if retain {
            command.arg("-r");
        }
        let mut child = command.stdin(Stdio::piped()).spawn().expect("mosquitto_pub starts");
        child.stdin.take().expect("piped").write_all(body).expect("it reads");
        assert!(child.wait().expect("it ends").success(), "mosquitto_pub failed");
    }
}

/// A message as `mosquitto_sub` saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) channel: Channel,
    pub(crate) retained: bool,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::decode(self.channel, &self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// `mosquitto_sub` on everything of ours.
pub(crate) struct Subscriber {
    _process: Process,
    lines: Lines,
}

impl Subscriber {
    pub(crate) fn start(broker: &Broker) -> Self {
        Self::start_with(broker, &[])
    }

    pub(crate) fn start_with(broker: &Broker, arguments: &[&str]) -> Self {
        let mut command = tool("mosquitto_sub", "mosquitto-clients");
        command.args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-q", "1", "-F", "%t %r %x"]);
        command.args(["-t", "rackside/#", "-t", "ready"]).args(arguments);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("mosquitto_sub starts");
        let lines = Lines::of(child.stdout.take().expect("piped"));
        Self { _process: Process(child), lines }
    }

    /// Waits until the subscription stands: a message that is published again and again has come.
    pub(crate) fn ready(self, broker: &Broker) -> Self {
        for _ in 0..100 {
            broker.publish("ready", b"now", false);
            if self
                .lines
                .find(Duration::from_millis(300), |line| line.starts_with("ready").then_some(()))
                .is_ok()
            {
                return self;
            }
        }
        panic!("mosquitto_sub does not hear what mosquitto_pub says");
    }

    /// The next message for which `wanted` gives something.
    pub(crate) fn wait<T>(&self, what: &str, wanted: impl FnMut(&Seen) -> Option<T>) -> T {
        self.wait_for(PATIENCE, what, wanted)
    }

    pub(crate) fn wait_for<T>(
        &self,
        within: Duration,
        what: &str,
        mut wanted: impl FnMut(&Seen) -> Option<T>,
    ) -> T {
        let found = self.lines.find(within, |line| parse(line).and_then(|seen| wanted(&seen)));
        found.unwrap_or_else(|seen| panic!("no {what} within {within:?}; instead:\n{}", seen.join("\n")))
    }
}

/// `rackside/1/arena-north/rack-1/data 0 01ab..`
fn parse(line: &str) -> Option<Seen> {
    let mut words = line.split(' ');
    let topic = Topic::parse(&Prefix::default(), words.next()?).ok()?;
    let retained = words.next()? == "1";
    let hex = words.next()?.as_bytes();
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let body = hex
        .chunks(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?))
        .collect::<Option<_>>()?;
    Some(Seen { channel: topic.channel, retained, body })
}

/// The agent as a process. Its state directory is `state` beside its configuration.
pub(crate) struct Agent {
    process: Process,
    log: Lines,
    /// Its configuration.
    pub(crate) file: PathBuf,
}

impl Agent {
    /// Starts it; `more` is put in front of the `[mqtt]` table, `mqtt` into it and behind it.
    pub(crate) fn start(dir: &Path, port: u16, more: &str, mqtt: &str) -> Self {
        Self::again(Self::configure(dir, port, more, mqtt))
    }

    /// Writes a configuration. The pings that every agent has would go out into the world, and are off; of `[probes]` more can be
    /// said with keys of the form `probes.metered = […]` in `more`.
    pub(crate) fn configure(dir: &Path, port: u16, more: &str, mqtt: &str) -> PathBuf {
        let text = format!(
            "site = \"arena-north\"\nappliance = \"rack-1\"\ntick = \"1s\"\nlog = \"debug\"\nprobes.ping = []\n{more}\n\
             [mqtt]\naddress = \"127.0.0.1:{port}\"\n{mqtt}\n"
        );
        let file = dir.join("agent.toml");
        fs::write(&file, text).expect("written");
        file
    }

    /// Starts another one on the configuration and the state of an earlier one.
    pub(crate) fn again(file: PathBuf) -> Self {
        Self::within(&[], file)
    }

    /// Starts one through another program, which becomes it.
    pub(crate) fn within(wrapper: &[&str], file: PathBuf) -> Self {
        let state = file.with_file_name("state");
        fs::create_dir_all(&state).expect("made");
        let program = env!("CARGO_BIN_EXE_rackside-agent");
        let mut words = wrapper.iter().copied().chain([program, "run", "--config"]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).arg(&file).env("STATE_DIRECTORY", state);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the agent starts");
        let log = Lines::of(child.stderr.take().expect("piped"));
        Self { process: Process(child), log, file }
    }

    /// One with nothing special.
    pub(crate) fn plain(dir: &Path, port: u16) -> Self {
        Self::start(dir, port, "", "")
    }

    /// Waits for a line in its log that contains `text`, and returns it.
    pub(crate) fn logs(&self, text: &str) -> String {
        self.logs_within(PATIENCE, text)
    }

    /// Waits for lines in its log that contain these texts, in whatever order they come.
    pub(crate) fn logs_each(&self, texts: &[&str]) {
        let mut missing = texts.to_vec();
        let found = self.log.find(PATIENCE, |line| {
            missing.retain(|text| !line.contains(text));
            missing.is_empty().then_some(())
        });
        found.unwrap_or_else(|seen| {
            panic!("no {missing:#?} in the log within {PATIENCE:?}; instead:\n{}", seen.join("\n"))
        });
    }

    pub(crate) fn logs_within(&self, within: Duration, text: &str) -> String {
        let found = self.log.find(within, |line| line.contains(text).then(|| line.to_owned()));
        found.unwrap_or_else(|seen| {
            panic!("no {text:?} in the log within {within:?}; instead:\n{}", seen.join("\n"))
        })
    }

    /// kill -9: no goodbye.
    pub(crate) fn kill(&mut self) {
        self.process.0.kill().expect("it runs");
        self.process.0.wait().expect("it ends");
    }

    /// Writes its configuration anew, `from` replaced `to`.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.file).expect("it was written");
        assert!(text.contains(from), "{from:?} is not in {text}");
        fs::write(&self.file, text.replacen(from, to, 1)).expect("written");
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill starts").success());
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("-TERM");
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.process.0.try_wait().expect("a child") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the agent does not stop");
    }

    /// Bytes that it wrote to a disk since it started: `write_bytes` of `/proc/PID/io`.
    pub(crate) fn written(&self) -> u64 {
        let io = fs::read_to_string(format!("/proc/{}/io", self.process.0.id())).expect("it runs");
        let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("a line");
        line.parse().expect("a number")
    }

    /// What the kernel says of it: `/proc/PID/status`.
    pub(crate) fn status(&self) -> String {
        fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).expect("it runs")
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.process.0.try_wait().expect("a child").is_none()
    }
}

/// A TCP proxy whose cable can be cut: it then forwards nothing and closes nothing.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let cut = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cut);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], target)))
                    .expect("the target listens");
                let (from, to) =
                    (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
                forward(from, to, Arc::clone(&flag));
                forward(server, client, Arc::clone(&flag));
            }
        });
        Self { port, cut }
    }

    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, cut: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // A connection that was cut once stays dead: what was swallowed cannot be made up for.
        let mut dead = false;
        while let Ok(bytes @ 1..) = from.read(&mut buffer) {
            dead |= cut.load(Ordering::SeqCst);
            if !dead && to.write_all(&buffer[..bytes]).is_err() {
                break;
            }
        }
        if !dead {
            let _ = to.shutdown(std::net::Shutdown::Both);
        }
    });
}
