//! A way into the hub's web port for clients that know no WebSocket: each connection to it goes on as one WebSocket of the subprotocol `mqtts`, in which the
//! client's TLS is what it is at the TLS port. So mosquitto's own clients can try what they like there.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// A message of the hub's is never longer: it cuts what it sends.
const LONGEST: u64 = 1 << 20;
/// Bytes that go into one message.
const PART: usize = 4096;
/// Any key does, where nobody looks at the answer to it.
const UPGRADE: &str = "GET /mqtt HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtts\r\n\r\n";

/// A port that leads there, until the test is over.
#[derive(Debug)]
pub struct Bridge {
    at: SocketAddr,
}

impl Bridge {
    /// To the pages of a hub.
    pub fn to(web: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let at = listener.local_addr().expect("bound");
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    // Whoever is turned away sees that its connection ends.
                    let _ = carry(&near, web);
                    let _ = near.shutdown(Shutdown::Both);
                });
            }
        });
        Self { at }
    }

    /// Where clients come in.
    pub fn at(&self) -> SocketAddr {
        self.at
    }
}

fn carry(near: &TcpStream, web: SocketAddr) -> io::Result<()> {
    let mut far = TcpStream::connect(web)?;
    far.write_all(UPGRADE.as_bytes())?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        far.read_exact(&mut byte)?;
        head.extend(byte);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
    }
    let (mut from, mut to) = (near.try_clone()?, far.try_clone()?);
    thread::spawn(move || {
        let mut part = [0; PART];
        while let Ok(length @ 1..) = from.read(&mut part) {
            if to.write_all(&message(&part[..length])).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut near = near;
    loop {
        let (kind, bytes) = next(&mut far)?;
        match kind {
            0 | 2 => near.write_all(&bytes)?,
            8 => return Ok(()),
            _ => {}
        }
    }
}

/// One binary message, whose mask is nothing: clients have to have one.
fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("no part is longer");
    let mut message = vec![0x82, 0x80 | 0x7e];
    message.extend(length.to_be_bytes());
    message.extend([0; 4]);
    message.extend(bytes);
    message
}

/// The next frame of the hub's: its kind, and what is in it.
fn next(far: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    far.read_exact(&mut head)?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut length = [0; 2];
            far.read_exact(&mut length)?;
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            far.read_exact(&mut length)?;
            u64::from_be_bytes(length)
        }
        short => u64::from(short),
    };
    if length > LONGEST {
        return Err(io::Error::other("no frame of a hub is so long"));
    }
    let mut bytes = vec![0; length as usize];
    far.read_exact(&mut bytes)?;
    Ok((head[0] & 0x0f, bytes))
}
