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

#[cfg(test)]
mod tests {
    use super::packet::tests::{answer, in_ip};
    use super::*;
    use async_io::Timer;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn echoes(icmp: &Icmp) -> Echoes {
        icmp.echoes(HERE, 0).expect("tests may ping: as root, or by net.ipv4.ping_group_range")
    }

    #[test]
    fn only_a_reply_to_a_request_that_somebody_waits_for_counts() {
        let icmp = Icmp::default();
        let mut echoes = echoes(&icmp);
        let line = Rc::clone(&echoes.line);
        let sent = Clock::now();
        let waiting = Waiting { to: HERE, cookie: [7; 16], sent, took: None, waker: None };
        line.waiting.borrow_mut().insert(5, waiting);
        echoes.sent.push(5);
        let reply = |identifier, sequence, cookie| {
            let packet = answer(Family::V4, &packet::request(Family::V4, identifier, sequence, &cookie));
            if line.is_raw { in_ip(20, &packet) } else { packet }
        };
        let took = || line.waiting.borrow()[&5].took;
        let at = |ms| sent + Duration::from_millis(ms);
        let from = |ip: [u8; 4]| Some(SocketAddr::from((ip, 0)));
        let here = from([127, 0, 0, 1]);
        line.take(&reply(line.identifier, 5, [8; 16]), here, at(1));
        line.take(&reply(line.identifier, 6, [7; 16]), here, at(1));
        line.take(&reply(line.identifier, 5, [7; 16]), from([127, 0, 0, 2]), at(1));
        line.take(&reply(line.identifier, 5, [7; 16]), None, at(1));
        if line.is_raw {
            line.take(&reply(!line.identifier, 5, [7; 16]), here, at(1));
        }
        assert_eq!(took(), None);
        line.take(&reply(line.identifier, 5, [7; 16]), here, at(3));
        line.take(&reply(line.identifier, 5, [7; 16]), here, at(9));
        assert_eq!(took(), Some(Duration::from_millis(3)), "a second one changes nothing");
        drop(echoes);
        assert!(line.waiting.borrow().is_empty());
        line.take(&reply(line.identifier, 5, [7; 16]), here, at(9));
    }

    #[test]
    fn one_that_hears_nothing_reads_for_the_others_and_hands_on_its_turn() {
        let icmp = Icmp::default();
        // Nothing was sent, so nothing is heard.
        let silent = echoes(&icmp);
        let gives_up = async {
            let late = async {
                Timer::after(Duration::from_millis(200)).await;
                None
            };
            future::or(async { Some(silent.heard().await) }, late).await
        };
        let pinged = |after_ms| {
            let mut echoes = echoes(&icmp);
            async move {
                Timer::after(Duration::from_millis(after_ms)).await;
                echoes.send().await.expect("loopback takes it");
                let late = async {
                    Timer::after(Duration::from_secs(5)).await;
                    None
                };
                future::or(async { Some(echoes.heard().await) }, late).await
            }
        };
        let ((nothing, while_it_reads), afterwards) =
            smol::block_on(future::zip(future::zip(gives_up, pinged(50)), pinged(400)));
        assert_eq!(nothing, None);
        assert!(while_it_reads.is_some() && afterwards.is_some());
    }

    #[test]
    fn no_two_waiting_requests_have_one_number() {
        let icmp = Icmp::default();
        let mut echoes = echoes(&icmp);
        echoes.line.next.set(u16::MAX - 1);
        smol::block_on(async {
            for _ in 0..3 {
                echoes.send().await.expect("loopback takes it");
            }
        });
        assert_eq!(echoes.sent, [u16::MAX - 1, u16::MAX, 0]);
        echoes.line.next.set(u16::MAX);
        smol::block_on(echoes.send()).expect("loopback takes it");
        assert_eq!(echoes.sent[3], 1);
    }
}
