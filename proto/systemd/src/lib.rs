//! How both programs speak to the systemd that started them (`sd_notify(3)`, `Type=notify`): that they are ready, how they are in
//! one line, that they are alive, that they read their configuration again, that they stop.
//!
//! [`Systemd`] keeps what is owed and says it when [`alive`](Systemd::alive) or [`tell`](Systemd::tell) is called, in one
//! datagram. It has no thread and no timer: whoever calls `alive` is what the watchdog watches. Where nobody listens, because the
//! program was started by hand, all of this does nothing.
//!
//! Invariant: it never waits. A systemd that does not read (PID 1 may hang on a dying disk for minutes) gets the same words later;
//! a loop that has an LED to keep blinking does not stand still for it.
//!
//! ```text
//! READY=1
//! STATUS=connected to hub.example.org:8883, no record waits
//! WATCHDOG=1
//! ```

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::{Duration, Instant};

/// systemd 252 takes messages of up to 4,096 bytes; a line for people is shorter.
const LONGEST_STATUS: usize = 400;

/// What the program does, as far as systemd has a word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    /// Since when, on `CLOCK_MONOTONIC`: `Type=notify-reload` (systemd 253) wants to know, 252 ignores it.
    Reloading(Duration),
    Stopping,
}

/// The watchdog's time, and when it was fed.
#[derive(Debug, Clone, Copy)]
struct Watchdog {
    most: Duration,
    fed: Option<Instant>,
}

impl Watchdog {
    /// When it is to be fed at the latest.
    fn due(&self) -> Option<Instant> {
        self.fed.map(|fed| fed + self.most / 2)
    }

    /// Whether it is worth feeding by somebody who is awake anyway: from half of the way to the latest moment on.
    fn is_hungry(&self, now: Instant) -> bool {
        self.fed.is_none_or(|fed| now >= fed + self.most / 4)
    }
}

/// The systemd that started this program, if one did.
#[derive(Debug)]
pub struct Systemd {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Watchdog>,
    phase: Phase,
    told: Phase,
    status: String,
    told_status: String,
}

impl Systemd {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`. Children inherit these; `NotifyAccess=main`
    /// keeps them from speaking for us.
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var_os(name);
        let Some(name) = variable("NOTIFY_SOCKET") else { return Self::none() };
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_ours && *usec > 0);
        match Self::at(&name, watchdog.map(Duration::from_micros)) {
            Ok(systemd) => systemd,
            Err(error) => {
                log::warn!("systemd cannot be told how things are: {}: {error}", name.display());
                Self::none()
            }
        }
    }

    /// Nobody listens.
    pub const fn none() -> Self {
        Self {
            socket: None,
            watchdog: None,
            phase: Phase::Starting,
            told: Phase::Starting,
            status: String::new(),
            told_status: String::new(),
        }
    }

    /// A socket's path, or `@` and a name that is in no file system. `watchdog` is how long may pass between two signs of life.
    pub fn at(name: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(Path::new(name))?,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a path nor an @name")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let watchdog = watchdog.map(|most| Watchdog { most, fed: None });
        Ok(Self { socket: Some((socket, address)), watchdog, ..Self::none() })
    }

    /// How long may pass between two signs of life, if somebody minds.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.as_ref().map(|watchdog| watchdog.most)
    }

    /// It serves, from the first time on or again.
    pub const fn ready(&mut self) {
        self.phase = Phase::Ready;
    }

    /// It reads its configuration again, since this moment of `CLOCK_MONOTONIC`; [`ready`](Self::ready) ends that.
    pub const fn reloading(&mut self, since: Duration) {
        self.phase = Phase::Reloading(since);
    }

    /// It stops.
    pub const fn stopping(&mut self) {
        self.phase = Phase::Stopping;
    }

    /// How things are, in one line.
    pub fn status(&mut self, text: &str) {
        let end = text.floor_char_boundary(LONGEST_STATUS);
        self.status.clear();
        self.status.push_str(&text[..end]);
    }

    /// Says what is owed.
    pub fn tell(&mut self) {
        self.send(None);
    }

    /// Says what is owed, and that the caller is alive, unless that was said a short while ago. To be called from the loop whose
    /// standing still is to be noticed, and from nowhere else.
    pub fn alive(&mut self, now: Instant) {
        let hungry = self.watchdog.is_some_and(|watchdog| watchdog.is_hungry(now));
        self.send(hungry.then_some(now));
    }

    /// When [`alive`](Self::alive) is due at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.watchdog.as_ref()?.due()
    }

    fn send(&mut self, fed: Option<Instant>) {
        let Some((socket, address)) = &self.socket else { return };
        let text = self.message(fed.is_some());
        if text.is_empty() {
            return;
        }
        match socket.send_to_addr(text.as_bytes(), address) {
            Ok(_) => {
                self.told = self.phase;
                self.told_status.clone_from(&self.status);
                if let (Some(watchdog), Some(_)) = (&mut self.watchdog, fed) {
                    watchdog.fed = fed;
                }
            }
            // It is said again with the next; a systemd that reads nothing for long has the watchdog's word for it.
            Err(error) => log::debug!("systemd was not told: {error}"),
        }
    }

    fn message(&self, feed: bool) -> String {
        let mut text = String::new();
        if self.phase != self.told {
            match self.phase {
                Phase::Starting => {}
                Phase::Ready => text.push_str("READY=1\n"),
                Phase::Reloading(since) => {
                    let _ = writeln!(text, "RELOADING=1\nMONOTONIC_USEC={}", since.as_micros());
                }
                Phase::Stopping => text.push_str("STOPPING=1\n"),
            }
        }
        if self.status != self.told_status {
            let _ = writeln!(text, "STATUS={}", self.status.replace(['\n', '\r'], " "));
        }
        if feed {
            text.push_str("WATCHDOG=1\n");
        }
        text
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do, and this crate has no clock of its own")]
mod tests {
    use super::*;

    const WATCHDOG: Duration = Duration::from_secs(30);

    /// What listens, and a program that speaks to it.
    fn pair() -> (tempfile::TempDir, UnixDatagram, Systemd) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("notify");
        let ear = UnixDatagram::bind(&path).expect("a socket");
        ear.set_nonblocking(true).expect("a socket");
        let systemd = Systemd::at(path.as_os_str(), Some(WATCHDOG)).expect("a path");
        (dir, ear, systemd)
    }

    fn heard(ear: &UnixDatagram) -> Option<String> {
        let mut buffer = [0; 4096];
        let len = ear.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..len]).into_owned())
    }

    #[test]
    fn a_life_is_told_in_the_words_of_systemd() {
        let (_dir, ear, mut systemd) = pair();
        systemd.tell();
        assert_eq!(heard(&ear), None, "nothing is owed");
        systemd.ready();
        systemd.status("connected, \nand well");
        systemd.tell();
        assert_eq!(heard(&ear).as_deref(), Some("READY=1\nSTATUS=connected,  and well\n"));
        systemd.status("connected, \nand well");
        systemd.tell();
        assert_eq!(heard(&ear), None, "the same is not said twice");
        systemd.reloading(Duration::from_millis(1500));
        systemd.tell();
        assert_eq!(heard(&ear).as_deref(), Some("RELOADING=1\nMONOTONIC_USEC=1500000\n"));
        systemd.ready();
        systemd.tell();
        assert_eq!(heard(&ear).as_deref(), Some("READY=1\n"));
        systemd.stopping();
        systemd.tell();
        assert_eq!(heard(&ear).as_deref(), Some("STOPPING=1\n"));
    }

    #[test]
    fn the_watchdog_is_fed_in_passing_and_at_half_of_its_time_at_the_latest() {
        let (_dir, ear, mut systemd) = pair();
        let start = Instant::now();
        assert_eq!(systemd.deadline(), None, "who has not begun owes no sign of life");
        systemd.alive(start);
        assert_eq!(heard(&ear).as_deref(), Some("WATCHDOG=1\n"));
        assert_eq!(systemd.deadline(), Some(start + WATCHDOG / 2));
        systemd.alive(start + Duration::from_secs(7));
        assert_eq!(heard(&ear), None, "too early to be worth a datagram");
        systemd.alive(start + Duration::from_secs(8));
        assert_eq!(heard(&ear).as_deref(), Some("WATCHDOG=1\n"));
        systemd.tell();
        assert_eq!(heard(&ear), None, "telling is no sign of life");
    }

    #[test]
    fn a_systemd_that_does_not_read_is_told_later_and_delays_nobody() {
        let (_dir, ear, mut systemd) = pair();
        let mut now = Instant::now();
        // Until its queue is full.
        let fed = loop {
            let before = systemd.deadline();
            systemd.alive(now);
            if systemd.deadline() == before {
                break before;
            }
            now += WATCHDOG;
        };
        systemd.ready();
        systemd.status("here I am");
        systemd.alive(now);
        assert_eq!(systemd.deadline(), fed, "what was not heard does not count");
        while heard(&ear).is_some() {}
        systemd.alive(now);
        assert_eq!(heard(&ear).as_deref(), Some("READY=1\nSTATUS=here I am\nWATCHDOG=1\n"));
    }

    #[test]
    fn a_name_without_a_file_works_and_another_does_not() {
        let name = format!("@rackside-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).expect("a name");
        let ear = UnixDatagram::bind_addr(&address).expect("a socket");
        ear.set_nonblocking(true).expect("a socket");
        let mut systemd = Systemd::at(name.as_ref(), None).expect("a name");
        systemd.ready();
        systemd.alive(Instant::now());
        assert_eq!(heard(&ear).as_deref(), Some("READY=1\n"), "and no sign of life for nobody");
        assert_eq!(systemd.deadline(), None);
        for wrong in ["vsock:2:1", "relative", ""] {
            assert!(Systemd::at(wrong.as_ref(), None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_long_line_is_cut_between_two_letters() {
        let (_dir, ear, mut systemd) = pair();
        systemd.status(&"ä".repeat(LONGEST_STATUS));
        systemd.tell();
        assert_eq!(heard(&ear), Some(format!("STATUS={}\n", "ä".repeat(LONGEST_STATUS / 2))));
    }
}
