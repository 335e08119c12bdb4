//! Pings: one socket per IP version for all of them, however many there are.
//!
//! The kernel lets a group ping without privilege (`net.ipv4.ping_group_range`, for both IP versions) or it does not, as Debian leaves
//! it; then a raw socket does, which takes `CAP_NET_RAW`. Which of the two it is, is said once.
//!
//! There is no task that reads: of those that wait for a reply one at a time reads, and hands the others theirs. A reply counts when
//! identifier, sequence number, cookie and sender are those of a request that somebody still waits for; so one that is late, doubled,
//! forged or another program's is nothing. The time of arrival is the kernel's, so that a busy agent makes nobody's line look slow.
//!
//! ```text
//! Icmp ── v4 ── Line { socket, waiting: { 17 → 192.0.2.1, cookie, sent }, { 18 → 8.8.8.8, … } }
//! ```

pub mod packet;

use crate::clock::Clock;
use async_io::Async;
use futures_lite::future;
use log::{info, warn};
use packet::{Cookie, Family};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};
use smol::lock::Mutex;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Longer than any packet that is taken: one that fills it is too long to be ours.
const ROOM: usize = 128;

/// Why nothing can be pinged from here.
#[derive(Debug)]
pub enum IcmpError {
    /// Neither kind of socket is for us.
    Forbidden,
    /// The machine has no such thing.
    Socket {
        /// The IP version.
        version: u8,
        /// Why.
        why: io::Error,
    },
}

impl fmt::Display for IcmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden => f.write_str("this program may not ping"),
            Self::Socket { version, why } => {
                write!(f, "there is no socket for pings over IPv{version}: {why}")
            }
        }
    }
}

impl std::error::Error for IcmpError {}

/// All pings of one agent.
#[derive(Debug, Default)]
pub struct Icmp {
    v4: RefCell<Option<Rc<Line>>>,
    v6: RefCell<Option<Rc<Line>>>,
    has_spoken: Cell<bool>,
}

impl Icmp {
    /// Requests to one address; none is sent yet.
    pub fn echoes(&self, to: IpAddr, scope: u32) -> Result<Echoes, IcmpError> {
        let (place, family) = match to {
            IpAddr::V4(_) => (&self.v4, Family::V4),
            IpAddr::V6(_) => (&self.v6, Family::V6),
        };
        let mut place = place.borrow_mut();
        let line = match &*place {
            Some(line) => Rc::clone(line),
            None => Rc::clone(place.insert(Rc::new(self.open(family)?))),
        };
        let to = match to {
            IpAddr::V4(ip) => SocketAddr::from((ip, 0)),
            IpAddr::V6(ip) => std::net::SocketAddrV6::new(ip, 0, 0, scope).into(),
        };
        Ok(Echoes { line, to, sent: Vec::new() })
    }

    fn open(&self, family: Family) -> Result<Line, IcmpError> {
        let opened = Line::open(family);
        if !self.has_spoken.replace(true) {
            match &opened {
                Ok(line) if line.is_raw => {
                    info!(
                        "pings go through raw sockets: net.ipv4.ping_group_range leaves this program's group out"
                    );
                }
                Ok(_) => info!("pings go through unprivileged ICMP sockets"),
                Err(IcmpError::Forbidden) => warn!(
                    "this program may not ping: let its group do so (sysctl net.ipv4.ping_group_range), or give it CAP_NET_RAW"
                ),
                Err(_) => self.has_spoken.set(false),
            }
        }
        opened
    }
}

/// One socket, and who waits on it.
#[derive(Debug)]
struct Line {
    family: Family,
    socket: Async<OwnedFd>,
    is_raw: bool,
    /// What tells a raw socket's replies from those to other programs.
    identifier: u16,
    next: Cell<u16>,
    waiting: RefCell<BTreeMap<u16, Waiting>>,
    /// Held by whoever reads.
    turn: Mutex<()>,
}

/// A request that somebody waits for.
#[derive(Debug)]
struct Waiting {
    to: IpAddr,
    cookie: Cookie,
    sent: Instant,
    took: Option<Duration>,
    waker: Option<Waker>,
}

impl Line {
    fn open(family: Family) -> Result<Self, IcmpError> {
        let (version, domain, protocol) = match family {
            Family::V4 => (4, AddressFamily::INET, ipproto::ICMP),
            Family::V6 => (6, AddressFamily::INET6, ipproto::ICMPV6),
        };
        let failed = |why| IcmpError::Socket { version, why };
        let (socket, is_raw) = match socket(domain, SocketType::DGRAM, protocol) {
            Ok(socket) => (socket, false),
            Err(why) if is_forbidden(&why) => match socket(domain, SocketType::RAW, protocol) {
                Ok(socket) => (socket, true),
                Err(why) if is_forbidden(&why) => return Err(IcmpError::Forbidden),
                Err(why) => return Err(failed(why)),
            },
            Err(why) => return Err(failed(why)),
        };
        if is_raw {
            // Without this it would hear, and wake the agent for, all ICMP that the machine gets.
            rackside_sys::pass_icmp_type(socket.as_fd(), family == Family::V6, family.reply())
                .map_err(failed)?;
        }
        // From now on the kernel notes when a packet came.
        let _ = rackside_sys::arrival(socket.as_fd());
        Ok(Self {
            family,
            socket: Async::new_nonblocking(socket).map_err(failed)?,
            is_raw,
            identifier: fastrand::u16(..),
            next: Cell::new(fastrand::u16(..)),
            waiting: RefCell::default(),
            turn: Mutex::new(()),
        })
    }

    /// Reads until nobody wants it any more.
    async fn read(&self) {
        let _turn = self.turn.lock().await;
        loop {
            self.drain();
            if self.socket.readable().await.is_err() {
                // Nothing more is heard on this socket: whoever waits for a reply has waited in vain.
                future::pending::<()>().await;
            }
        }
    }

    /// Takes all that has come.
    fn drain(&self) {
        let mut room = [0; ROOM];
        loop {
            match rustix::net::recvfrom(&self.socket, &mut room, RecvFlags::DONTWAIT) {
                Ok((length, _, from)) => {
                    let now = Clock::now();
                    let arrival = rackside_sys::arrival(self.socket.as_fd()).map(Clock::of_arrival);
                    let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                    self.take(room.get(..length).unwrap_or_default(), from, arrival.unwrap_or(now));
                }
                Err(rustix::io::Errno::INTR) => {}
                // Empty; or an error that belongs to some request, which then has no reply.
                Err(_) => return,
            }
        }
    }

    fn take(&self, bytes: &[u8], from: Option<SocketAddr>, at: Instant) {
        let Some(reply) = packet::reply(self.family, self.is_raw, bytes) else { return };
        let mut waiting = self.waiting.borrow_mut();
        let Some(waiting) = waiting.get_mut(&reply.sequence) else { return };
        let is_ours = !self.is_raw || reply.identifier == self.identifier;
        if is_ours && reply.cookie == waiting.cookie && from.map(|from| from.ip()) == Some(waiting.to) {
            waiting.took.get_or_insert(at.saturating_duration_since(waiting.sent));
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        }
    }

    /// A number that no waiting request has. There is one: what waits is bounded by what runs at once.
    fn number(&self) -> u16 {
        let waiting = self.waiting.borrow();
        let mut number = self.next.get();
        while waiting.contains_key(&number) {
            number = number.wrapping_add(1);
        }
        self.next.set(number.wrapping_add(1));
        number
    }
}

/// Requests to one address, of which the first reply is waited for. Once dropped, replies to them are nobody's.
#[derive(Debug)]
pub struct Echoes {
    line: Rc<Line>,
    to: SocketAddr,
    sent: Vec<u16>,
}

impl Echoes {
    /// Sends one more.
    pub async fn send(&mut self) -> io::Result<()> {
        let number = self.line.number();
        let mut cookie = Cookie::default();
        fastrand::fill(&mut cookie);
        let packet = packet::request(self.line.family, self.line.identifier, number, &cookie);
        let waiting = Waiting { to: self.to.ip(), cookie, sent: Clock::now(), took: None, waker: None };
        self.line.waiting.borrow_mut().insert(number, waiting);
        self.sent.push(number);
        let line = &self.line;
        let send = line.socket.write_with(|socket| {
            if let Some(waiting) = line.waiting.borrow_mut().get_mut(&number) {
                waiting.sent = Clock::now();
            }
            Ok(rustix::net::sendto(socket, &packet, SendFlags::DONTWAIT, &self.to)?)
        });
        send.await.map(|_| ())
    }

    /// Waits for the first reply: to which request, counted from 0, and how long it took.
    pub async fn heard(&self) -> (usize, Duration) {
        let heard = future::poll_fn(|cx| {
            let mut waiting = self.line.waiting.borrow_mut();
            for (at, number) in self.sent.iter().enumerate() {
                let Some(waiting) = waiting.get_mut(number) else { continue };
                if let Some(took) = waiting.took {
                    return Poll::Ready((at, took));
                }
                waiting.waker = Some(cx.waker().clone());
            }
            Poll::Pending
        });
        let read = async {
            self.line.read().await;
            future::pending().await
        };
        future::or(heard, read).await
    }
}

impl Drop for Echoes {
    fn drop(&mut self) {
        let mut waiting = self.line.waiting.borrow_mut();
        for number in &self.sent {
            waiting.remove(number);
        }
    }
}

fn socket(domain: AddressFamily, kind: SocketType, protocol: Protocol) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(domain, kind, flags, Some(protocol))?)
}

fn is_forbidden(why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::PermissionDenied
}
