//! Ports that nobody else uses.
//!
//! They lie below the range from which the kernel serves outgoing connections, so that a server which is down for a
//! moment finds its port free when it comes back. Tests of one process never get the same port twice; different
//! processes begin at different places.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 12_000;
/// Linux serves outgoing connections from 32,768 on.
const COUNT: u16 = 20_000;

/// A port of 127.0.0.1 on which nobody listens.
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() as u16).wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        if is_free(port) {
            return port;
        }
    }
    panic!("no port between {FIRST} and {} is free", FIRST + COUNT);
}

/// Whether nobody listens on that port of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(local(port)).is_ok()
}

/// That port of 127.0.0.1.
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
