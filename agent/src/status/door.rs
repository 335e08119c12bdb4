//! The agent's end of the socket: lets in who asks, and hands the answer out.
//!
//! Invariant: nobody at the door delays the agent. An answer goes into the socket's own buffer, and nearly always fits; who does not
//! take the rest of a longer one within [`PATIENCE`] is left, and more than [`MOST`] wait in the kernel's queue.

use super::{directories, socket};
use async_io::Async;
use log::{debug, info, warn};
use rackside_proto::AgentName;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// So many are served at once.
const MOST: usize = 4;
/// An answer that was not taken by then is not wanted.
const PATIENCE: Duration = Duration::from_secs(2);

/// Somebody who asked.
#[derive(Debug)]
struct Guest {
    stream: Async<UnixStream>,
    /// What is not handed out yet; `None` while there is no answer.
    rest: Option<Vec<u8>>,
    until: Option<Instant>,
}

/// A bound socket and its file.
#[derive(Debug)]
struct Socket {
    listener: Async<UnixListener>,
    path: PathBuf,
    /// Device and number of the file: another's in its place is not ours to remove.
    file: (u64, u64),
}

/// The door.
#[derive(Debug, Default)]
pub struct Door {
    socket: Option<Socket>,
    guests: Vec<Guest>,
}

impl Door {
    /// Opens it in the directory that the environment names. Without one nobody can ask, which is no error.
    pub fn open(agent: &AgentName) -> Self {
        let Some(directory) = directories(|name| std::env::var_os(name)).into_iter().next() else {
            info!("`status` cannot ask this agent: neither RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set");
            return Self::default();
        };
        Self::at(&directory, agent)
    }

    /// Opens it in this directory, which is made if it is not there, for its user alone.
    pub fn at(directory: &Path, agent: &AgentName) -> Self {
        // A failure here is one of the socket, too.
        let _ = fs::DirBuilder::new().mode(0o700).create(directory);
        let path = socket(directory, agent);
        let socket = Socket::bind(&path).map_err(|error| {
            warn!("`status` cannot ask this agent: {}: {error}", path.display());
        });
        Self { socket: socket.ok(), guests: Vec::new() }
    }

    /// Ready when somebody has come in, who is to be given an [`answer`](Self::answer).
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.guests.retain_mut(|guest| guest.poll(cx).is_pending());
        if self.guests.len() >= MOST {
            return Poll::Pending;
        }
        let Some(Socket { listener, path, .. }) = &self.socket else { return Poll::Pending };
        loop {
            match listener.get_ref().accept().and_then(|(stream, _)| Async::new(stream)) {
                Ok(stream) => {
                    self.guests.push(Guest { stream, rest: None, until: None });
                    return Poll::Ready(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    // Without descriptors it would be tried for ever.
                    warn!("`status` cannot ask this agent any more: {}: {error}", path.display());
                    self.socket = None;
                    return Poll::Pending;
                }
            }
            if ready!(listener.poll_readable(cx)).is_err() {
                return Poll::Pending;
            }
        }
    }

    /// Whether somebody waits for an answer.
    pub fn is_asked(&self) -> bool {
        self.guests.iter().any(|guest| guest.rest.is_none())
    }

    /// Hands the answer to everybody who waits for one.
    pub fn answer(&mut self, text: &str, now: Instant) {
        for guest in self.guests.iter_mut().filter(|guest| guest.rest.is_none()) {
            guest.rest = Some(text.as_bytes().to_vec());
            guest.until = Some(now + PATIENCE);
        }
        self.guests.retain_mut(Guest::is_waiting);
    }

    /// Leaves who does not take an answer.
    pub fn step(&mut self, now: Instant) {
        let before = self.guests.len();
        self.guests.retain(|guest| guest.until.is_none_or(|until| now < until));
        if self.guests.len() < before {
            debug!("an answer was not taken in time");
        }
    }

    /// When [`step`](Self::step) is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.guests.iter().filter_map(|guest| guest.until).min()
    }
}

impl Guest {
    /// Hands out what the socket takes; whether there is more.
    fn is_waiting(&mut self) -> bool {
        let Some(rest) = &mut self.rest else { return true };
        while !rest.is_empty() {
            match self.stream.get_ref().write(rest) {
                Ok(taken) => drop(rest.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever asked may be gone.
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        false
    }

    /// Ready when it has all, or is gone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.rest.is_some() {
            if !self.is_waiting() {
                return Poll::Ready(());
            }
            if ready!(self.stream.poll_writable(cx)).is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl Socket {
    /// Takes the place of a socket whose agent is dead, never of one that lives.
    fn bind(path: &Path) -> io::Result<Self> {
        let bound = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if !is_dead(path)? {
                    return Err(io::Error::other("another agent of this name has it"));
                }
                fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            bound => bound?,
        };
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
        let found = fs::symlink_metadata(path)?;
        let listener = Async::new(bound)?;
        Ok(Self { listener, path: path.to_owned(), file: (found.dev(), found.ino()) })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let is_ours = |found: fs::Metadata| (found.dev(), found.ino()) == self.file;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            // What stays is taken for dead by the next agent.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether nobody listens at this socket any more. One that hangs, or whose queue is full, is not dead.
fn is_dead(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::other("it is there, and no socket"));
    }
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(connect(&probe, &SocketAddrUnix::new(path)?) == Err(Errno::CONNREFUSED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use futures_lite::future;
    use std::io::Read as _;

    fn name() -> AgentName {
        AgentName::new("arena-north", "rack-1").expect("a good name")
    }

    fn opened() -> (tempfile::TempDir, Door, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let door = Door::at(&dir.path().join("rackside"), &name());
        let path = socket(&dir.path().join("rackside"), &name());
        (dir, door, path)
    }

    /// Lets somebody in.
    fn let_in(door: &mut Door) {
        smol::block_on(future::poll_fn(|cx| door.poll(cx)));
        assert!(door.is_asked());
    }

    /// Whether nobody comes in.
    fn is_quiet(door: &mut Door) -> bool {
        smol::block_on(future::poll_once(future::poll_fn(|cx| door.poll(cx)))).is_none()
    }

    #[test]
    fn whoever_comes_gets_the_answer_and_the_end() {
        let (_dir, mut door, path) = opened();
        assert_eq!(fs::metadata(&path).expect("bound").permissions().mode() & 0o777, 0o660);
        let mut guest = UnixStream::connect(&path).expect("it listens");
        let_in(&mut door);
        door.answer("{\"agent\":1}", Clock::now());
        assert!(!door.is_asked() && door.deadline().is_none(), "it fitted into the socket");
        let mut text = String::new();
        guest.read_to_string(&mut text).expect("an answer, and the end");
        assert_eq!(text, "{\"agent\":1}");
    }

    #[test]
    fn who_takes_nothing_is_left_and_only_so_many_are_served() {
        let (_dir, mut door, path) = opened();
        let start = Clock::now();
        let long = "x".repeat(8 << 20);
        let guests: Vec<UnixStream> =
            (0..=MOST).map(|_| UnixStream::connect(&path).expect("it listens")).collect();
        for _ in 0..MOST {
            let_in(&mut door);
            door.answer(&long, start);
        }
        assert!(is_quiet(&mut door), "the last one waits in the queue");
        assert_eq!(door.deadline(), Some(start + PATIENCE));
        door.step(start + PATIENCE / 2);
        assert!(is_quiet(&mut door));
        door.step(start + PATIENCE);
        assert_eq!(door.deadline(), None);
        let_in(&mut door);
        drop(guests);
        door.answer(&long, start);
        assert!(is_quiet(&mut door) && door.deadline().is_none(), "who is gone is not waited for");
    }

    #[test]
    fn a_slow_reader_gets_a_long_answer_whole() {
        let (_dir, mut door, path) = opened();
        let long = "y".repeat(2 << 20);
        let mut guest = UnixStream::connect(&path).expect("it listens");
        let_in(&mut door);
        door.answer(&long, Clock::now());
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            guest.read_to_string(&mut text).map(|_| text)
        });
        while door.deadline().is_some() {
            smol::block_on(async {
                let late = async_io::Timer::after(Duration::from_millis(10));
                future::or(future::poll_fn(|cx| door.poll(cx)), async {
                    late.await;
                })
                .await;
            });
        }
        assert!(reader.join().expect("no panic").expect("read") == long);
    }

    #[test]
    fn a_dead_agents_socket_is_replaced_and_a_living_ones_is_not() {
        let (dir, door, path) = opened();
        let second = Door::at(&dir.path().join("rackside"), &name());
        assert!(second.socket.is_none());
        drop(second);
        assert!(path.exists(), "it is not the second's to remove");
        drop(door);
        assert!(!path.exists(), "an agent that stops takes it away");
        // What is left after a kill -9.
        drop(UnixListener::bind(&path).expect("bound"));
        let third = Door::at(&dir.path().join("rackside"), &name());
        assert!(third.socket.is_some() && UnixStream::connect(&path).is_ok());
        drop(third);
        fs::write(&path, "").expect("written");
        assert!(Door::at(&dir.path().join("rackside"), &name()).socket.is_none(), "no socket, not ours");
        assert!(path.exists());
    }
}
