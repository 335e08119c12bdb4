//! The agent under a systemd: what it is told, and what it is not told when the agent hangs. The test plays systemd: a datagram
//! socket and two variables are all of it that a program sees.

use crate::support::{Agent, Broker, PATIENCE};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::{Duration, Instant};

/// The watchdog's time, as the agent is told it.
const WATCHDOG: Duration = Duration::from_secs(4);

/// The socket of a systemd.
struct Systemd {
    socket: UnixDatagram,
    /// As the environment names it.
    name: String,
}

impl Systemd {
    fn in_a_file(dir: &Path) -> Self {
        let path = dir.join("notify");
        Self { socket: UnixDatagram::bind(&path).expect("a socket"), name: path.display().to_string() }
    }

    fn abstract_one() -> Self {
        let name = format!("rackside-agent-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        Self { socket: UnixDatagram::bind_addr(&address).expect("a socket"), name: format!("@{name}") }
    }

    /// Starts an agent that is watched.
    fn start(&self, dir: &Path, port: u16, more: &str) -> Agent {
        let file = Agent::configure(dir, port, more, "");
        let socket = format!("NOTIFY_SOCKET={}", self.name);
        let watchdog = format!("WATCHDOG_USEC={}", WATCHDOG.as_micros());
        Agent::within(&["env", &socket, &watchdog], file)
    }

    /// The next message, if one comes in time.
    fn next(&self, within: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(within)).expect("a socket");
        let mut buffer = [0; 4096];
        let len = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..len]).into_owned())
    }

    /// Waits for a message that contains `line`, and gives all lines that came until then.
    fn hears(&self, line: &str) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        let mut lines: Vec<String> = Vec::new();
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            lines.extend(self.next(left).unwrap_or_default().lines().map(str::to_owned));
            if lines.iter().any(|heard| heard == line) {
                return lines;
            }
        }
        panic!("no {line}; instead: {lines:?}");
    }
}

#[test]
fn systemd_hears_of_the_start_the_link_a_reload_and_the_stop() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let mut broker = Broker::open(dir.path());
    let systemd = Systemd::in_a_file(dir.path());
    let mut agent = systemd.start(dir.path(), broker.port, "clock = \"trust\"");
    systemd.hears("READY=1");
    systemd.hears(&format!("STATUS=connected to 127.0.0.1:{}, no record waits", broker.port));
    // Nobody acknowledges anything here.
    let unheard = format!(
        "STATUS=connected to 127.0.0.1:{}, but the hub acknowledges nothing; records are kept",
        broker.port
    );
    let heard = systemd.hears(&unheard);
    let statuses = heard.iter().filter(|line| line.starts_with("STATUS=")).count();
    assert_eq!(statuses, 1, "as long as nothing changes, nothing is said: {heard:?}");
    agent.signal("-HUP");
    let heard = systemd.hears("READY=1");
    let began = heard.iter().position(|line| line == "RELOADING=1").expect("said before");
    assert!(heard[began + 1].starts_with("MONOTONIC_USEC="), "{heard:?}");
    broker.restart();
    assert!(agent.terminate().success());
    systemd.hears("STOPPING=1");
}

#[test]
fn an_agent_that_hangs_gives_no_sign_of_life() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let systemd = Systemd::abstract_one();
    // A reading an hour: it wakes for the watchdog alone. Nobody listens at port 9.
    let agent = systemd.start(dir.path(), 9, "clock = \"trust\"");
    systemd.hears("READY=1");
    agent.edit("tick = \"1s\"", "tick = \"1h\"");
    agent.logs("changed: tick");
    systemd.hears("WATCHDOG=1");
    for _ in 0..5 {
        let before = Instant::now();
        systemd.hears("WATCHDOG=1");
        assert!(before.elapsed() < WATCHDOG, "systemd would have killed it: {:?}", before.elapsed());
    }
    agent.signal("-STOP");
    std::thread::sleep(Duration::from_millis(100));
    while systemd.next(Duration::from_millis(1)).is_some() {}
    assert_eq!(systemd.next(2 * WATCHDOG), None, "a loop that stands still is not alive");
    agent.signal("-CONT");
    systemd.hears("WATCHDOG=1");
}
