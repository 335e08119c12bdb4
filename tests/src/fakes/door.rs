//! A fake's port: a socket of its own, one thread that takes connections and one that serves each, until the fake is dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// An open port.
pub(super) struct Door {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
}

impl Door {
    /// Opens one; `serve` has each connection for as long as its client wants. `is_over` becomes true when the door shuts.
    pub(super) fn open(
        is_over: &Arc<AtomicBool>,
        serve: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("bound");
        let (its, serve) = (Arc::clone(is_over), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if its.load(Ordering::SeqCst) {
                    return;
                }
                let serve = Arc::clone(&serve);
                // A client that goes away in the middle is what a test of timeouts wants.
                thread::spawn(move || drop(serve(&stream)));
            }
        });
        Self { address, is_over: Arc::clone(is_over) }
    }

    /// `127.0.0.1:12345`.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}
