//! A broker that drops after PUBACK, as real ones do under overload.
//!
//! It stands in front of a real broker and passes whole MQTT packets on, in both directions. While it forgets, each QoS 1
//! PUBLISH of a client whose topic ends in one of the forgotten words gets its PUBACK from here and goes no further.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The broker.
#[derive(Debug)]
pub struct ForgetfulBroker {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    forgets: AtomicBool,
    forgotten: AtomicU64,
    words: Vec<String>,
}

impl ForgetfulBroker {
    /// In front of `target`; forgets nothing yet, and later only messages whose topic ends in one of `words`.
    pub fn before(target: SocketAddr, words: &[&str]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the kernel has a free port");
        let address = listener.local_addr().expect("it was just bound");
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let shared =
            Arc::new(Shared { forgets: AtomicBool::new(false), forgotten: AtomicU64::new(0), words });
        let its = Arc::clone(&shared);
        // Lives as long as the test's process: it holds nothing but a port.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&its);
                thread::spawn(move || carry(&client, target, &shared));
            }
        });
        Self { address, shared }
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins or ends to forget.
    pub fn forget(&self, on: bool) {
        self.shared.forgets.store(on, Ordering::SeqCst);
    }

    /// How many messages got a PUBACK and nothing else.
    pub fn forgotten(&self) -> u64 {
        self.shared.forgotten.load(Ordering::SeqCst)
    }
}

fn carry(client: &TcpStream, target: SocketAddr, shared: &Shared) {
    let Ok(server) = TcpStream::connect(target) else { return };
    let (Ok(mut from_client), Ok(mut from_server), Ok(to_client)) =
        (client.try_clone(), server.try_clone(), client.try_clone())
    else {
        return;
    };
    // Two threads write to the client, each whole packets.
    let to_client = Mutex::new(to_client);
    thread::scope(|scope| {
        scope.spawn(|| {
            while let Ok(packet) = read_packet(&mut from_server) {
                if to_client.lock().unwrap_or_else(PoisonError::into_inner).write_all(&packet).is_err() {
                    break;
                }
            }
            let _ = client.shutdown(Shutdown::Both);
        });
        let mut to_server = &server;
        while let Ok(packet) = read_packet(&mut from_client) {
            let forgotten =
                shared.forgets.load(Ordering::SeqCst).then(|| puback(&packet, &shared.words)).flatten();
            let sent = match forgotten {
                Some(answer) => {
                    shared.forgotten.fetch_add(1, Ordering::SeqCst);
                    to_client.lock().unwrap_or_else(PoisonError::into_inner).write_all(&answer)
                }
                None => to_server.write_all(&packet),
            };
            if sent.is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    });
}

/// One whole packet: type, remaining length, the rest.
fn read_packet(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut packet = vec![0];
    stream.read_exact(&mut packet)?;
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        packet.push(byte[0]);
        length |= usize::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            let start = packet.len();
            packet.resize(start + length, 0);
            stream.read_exact(&mut packet[start..])?;
            return Ok(packet);
        }
    }
    Err(io::Error::other("a remaining length of more than four bytes"))
}

/// The PUBACK for a QoS 1 PUBLISH whose topic ends in one of `words`.
fn puback(packet: &[u8], words: &[String]) -> Option<[u8; 4]> {
    let first = *packet.first()?;
    if first >> 4 != 3 || (first >> 1) & 3 != 1 {
        return None;
    }
    let start = 1 + packet.get(1..)?.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let length = usize::from(u16::from_be_bytes([*packet.get(start)?, *packet.get(start + 1)?]));
    let topic = packet.get(start + 2..start + 2 + length)?;
    let id = packet.get(start + 2 + length..start + 4 + length)?;
    let word = topic.rsplit(|byte| *byte == b'/').next()?;
    words.iter().any(|one| one.as_bytes() == word).then(|| [0x40, 2, id[0], id[1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_qos_1_publish_on_a_forgotten_topic_gets_a_puback() {
        let words = ["data".to_owned()];
        assert_eq!(puback(b"\x32\x0a\x00\x06a/data\x12\x34", &words), Some([0x40, 2, 0x12, 0x34]));
        assert_eq!(puback(b"\x30\x08\x00\x06a/data", &words), None, "QoS 0");
        assert_eq!(puback(b"\x32\x0b\x00\x07a/birth\x12\x34", &words), None, "another topic");
        assert_eq!(puback(b"\xc0\x00", &words), None, "a PINGREQ");
    }
}
