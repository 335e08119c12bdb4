//! A TCP link that can be cut, stalled and healed.
//!
//! It stands between an agent and its broker. *Stalled* is what a pulled cable looks like from either end: connections stay
//! open, new ones are accepted (as a kernel's backlog would), nothing moves in either direction; when healed, what waited goes
//! on. *Cut* is what a broker's end looks like: open connections are closed, new ones are closed at once.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const WHOLE: u8 = 0;
const STALLED: u8 = 1;
const CUT: u8 = 2;
const OVER: u8 = 3;

/// How long a thread waits before it looks at the state again.
const LOOK: Duration = Duration::from_millis(10);

/// A link. Dropped, it is over, with all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    connections: AtomicU64,
    bytes: AtomicU64,
}

impl Proxy {
    /// A whole link to `target`.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the kernel has a free port");
        let address = listener.local_addr().expect("it was just bound");
        listener.set_nonblocking(true).expect("a socket can be non-blocking");
        let shared = Arc::new(Shared {
            state: AtomicU8::new(WHOLE),
            connections: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        });
        let its = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, target, &its));
        Self { address, shared }
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes what is open and what comes.
    pub fn cut(&self) {
        self.shared.state.store(CUT, Ordering::SeqCst);
    }

    /// Lets nothing through, and closes nothing.
    pub fn stall(&self) {
        self.shared.state.store(STALLED, Ordering::SeqCst);
    }

    /// As before.
    pub fn heal(&self) {
        self.shared.state.store(WHOLE, Ordering::SeqCst);
    }

    /// How many connections came so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many bytes went through so far, both ways.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state.store(OVER, Ordering::SeqCst);
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, shared: &Arc<Shared>) {
    loop {
        let state = shared.state.load(Ordering::SeqCst);
        if state == OVER {
            return;
        }
        let Ok((client, _)) = listener.accept() else {
            thread::sleep(LOOK);
            continue;
        };
        if state == CUT {
            continue;
        }
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(shared);
        thread::spawn(move || carry(client, target, &shared));
    }
}

/// Carries one connection, its connect included, so that a stalled link keeps the target in the dark.
fn carry(client: TcpStream, target: SocketAddr, shared: &Arc<Shared>) {
    while shared.state.load(Ordering::SeqCst) == STALLED {
        thread::sleep(LOOK);
    }
    let Ok(server) = TcpStream::connect_timeout(&target, Duration::from_secs(5)) else { return };
    for stream in [&client, &server] {
        // Some platforms hand the listener's mode down to the connections.
        let ready = stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(LOOK)));
        if ready.and_then(|()| stream.set_nodelay(true)).is_err() {
            return;
        }
    }
    let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else { return };
    let shared_too = Arc::clone(shared);
    let back = thread::spawn(move || copy(server_too, client_too, &shared_too));
    copy(client, server, shared);
    // Its result says no more than that it ended.
    let _ = back.join();
}

fn copy(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match shared.state.load(Ordering::SeqCst) {
            STALLED => {
                thread::sleep(LOOK);
                continue;
            }
            WHOLE => {}
            _ => break,
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                // What was read while the link stalled must wait with everything else.
                while shared.state.load(Ordering::SeqCst) == STALLED {
                    thread::sleep(LOOK);
                }
                if shared.state.load(Ordering::SeqCst) != WHOLE || to.write_all(&buffer[..read]).is_err() {
                    break;
                }
                shared.bytes.fetch_add(read as u64, Ordering::SeqCst);
            }
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    // Either side may be gone already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
                    std::io::copy(&mut from, &mut to)
                });
            }
        });
        address
    }

    #[test]
    fn a_stalled_link_holds_bytes_back_and_a_healed_one_delivers_them() {
        let proxy = Proxy::to(echo());
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut byte = [0];
        stream.write_all(b"a").unwrap();
        stream.read_exact(&mut byte).unwrap();
        proxy.stall();
        stream.write_all(b"b").unwrap();
        assert!(stream.read_exact(&mut byte).is_err(), "nothing comes through");
        proxy.heal();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.read_exact(&mut byte).unwrap();
        assert_eq!((&byte, proxy.connections()), (b"b", 1));
    }

    #[test]
    fn a_cut_link_closes_what_is_open_and_what_comes() {
        let proxy = Proxy::to(echo());
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(b"a").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        proxy.cut();
        assert!(stream.read_exact(&mut [0]).is_err());
        let mut next = TcpStream::connect(proxy.address()).unwrap();
        next.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert!(next.read_exact(&mut [0]).is_err());
        assert_eq!(proxy.connections(), 1);
    }
}
