//! Waiting for whoever sends TSL: a UDP port, or a TCP port to which senders connect.
//!
//! TSL knows no credentials: whoever can reach the port can say what is on air. So there is no default address, and `from` says whose
//! word counts. A packet that does not add up leaves nothing to believe; a connection over TCP that ends takes back the displays that none has
//! told since: a sender that was started anew has long said everything again when its old connection is found dead.

use super::tsl::{self, Display, TslError, V3Stream, V5Stream};
use async_io::Async;
use futures_lite::AsyncRead;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Senders at a time: one, and one that takes over.
const SENDERS: usize = 8;
/// TCP asks a sender that says nothing after this long, this often and this many times: gone is gone within about 10 s.
const IDLE: Duration = Duration::from_secs(5);
const ASK: Duration = Duration::from_secs(2);
const ASKS: u32 = 3;
/// More than the largest packet.
const DATAGRAM: usize = 4096;

/// How packets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// One packet a datagram.
    #[default]
    Udp,
    /// Packets one after another.
    Tcp,
}

/// Which TSL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub enum Version {
    /// 18 bytes a display.
    #[serde(rename = "3.1")]
    V3,
    /// Screens, colours, Unicode.
    #[serde(rename = "5.0")]
    V5,
}

/// A port on which TSL comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub address: SocketAddr,
    /// How.
    pub transport: Transport,
    /// Which.
    pub version: Version,
    /// From whom alone.
    pub from: Option<IpAddr>,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = if self.transport == Transport::Udp { "UDP" } else { "TCP" };
        let version = if self.version == Version::V3 { "3.1" } else { "5.0" };
        write!(f, "TSL {version} on {transport} port {}", self.address)
    }
}

/// What a port has to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is open, or packets add up again.
    Well,
    /// A display's lamps, and which connection says so.
    Display(u64, Display),
    /// What this connection said last of a display is not to be believed any more.
    Gone(u64, String),
    /// Nothing that was said before is to be believed.
    Doubt(String),
}

impl Listen {
    /// Listens. `say` gets everything; what is returned is why it ended.
    pub(super) async fn hear(&self, say: &mut impl FnMut(Said)) -> io::Error {
        let heard = match self.transport {
            Transport::Udp => self.udp(say).await,
            Transport::Tcp => self.tcp(say).await,
        };
        match heard {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    fn is_believed(&self, sender: SocketAddr) -> bool {
        self.from.is_none_or(|from| from.to_canonical() == sender.ip().to_canonical())
    }

    async fn udp(&self, say: &mut impl FnMut(Said)) -> io::Result<std::convert::Infallible> {
        let socket = Async::<UdpSocket>::bind(self.address)?;
        say(Said::Well);
        let mut buffer = [0; DATAGRAM];
        loop {
            let (bytes, sender) = socket.recv_from(&mut buffer).await?;
            if !self.is_believed(sender) {
                continue;
            }
            let mut displays = Vec::new();
            let packet = &buffer[..bytes];
            let parsed = match self.version {
                Version::V3 => tsl::v3_datagram(packet, |display| displays.push(display)),
                Version::V5 => tsl::v5_packet(packet, |display| displays.push(display)),
            };
            tell(parsed, displays, (0, sender), say);
        }
    }

    async fn tcp(&self, say: &mut impl FnMut(Said)) -> io::Result<std::convert::Infallible> {
        let listener = Async::<TcpListener>::bind(self.address)?;
        say(Said::Well);
        let mut senders: Vec<Sender> = Vec::new();
        let mut connections = 0;
        loop {
            let wake = poll_fn(|cx| poll(&listener, &mut senders, cx)).await;
            match wake {
                Wake::Comes(stream, address) if self.is_believed(address) && senders.len() < SENDERS => {
                    // A sender that cannot be asked is missed later, no more.
                    let _ = keep_alive(stream.get_ref());
                    connections += 1;
                    senders.push(Sender::new(connections, stream, address, self.version));
                }
                // Too many, or not whom we wait for: dropping the stream says so.
                Wake::Comes(..) => {}
                Wake::Failed(error) => return Err(error),
                Wake::Gone(at, why) => {
                    let sender = senders.swap_remove(at);
                    say(Said::Gone(sender.connection, format!("{} is gone: {why}", sender.address.ip())));
                }
                Wake::Said(at, bytes) => {
                    let sender = &mut senders[at];
                    let mut displays = Vec::new();
                    let parsed = sender.take(bytes, |display| displays.push(display));
                    tell(parsed, displays, (sender.connection, sender.address), say);
                }
            }
        }
    }
}

/// Displays, then what was wrong: a packet that does not add up may have been about any of them.
fn tell(
    parsed: Result<(), TslError>,
    displays: Vec<Display>,
    (connection, sender): (u64, SocketAddr),
    say: &mut impl FnMut(Said),
) {
    match parsed {
        Ok(()) => {
            if !displays.is_empty() {
                say(Said::Well);
            }
            for display in displays {
                say(Said::Display(connection, display));
            }
        }
        Err(error) => say(Said::Doubt(format!("{} sends no TSL: {error}", sender.ip()))),
    }
}

fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl};
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, IDLE)?;
    set_tcp_keepintvl(stream, ASK)?;
    set_tcp_keepcnt(stream, ASKS)
}

/// One connection.
struct Sender {
    /// The how manieth it is, from 1.
    connection: u64,
    stream: Async<TcpStream>,
    address: SocketAddr,
    buffer: [u8; 512],
    cutter: Cutter,
}

enum Cutter {
    V3(V3Stream),
    V5(V5Stream),
}

impl Sender {
    fn new(connection: u64, stream: Async<TcpStream>, address: SocketAddr, version: Version) -> Self {
        let cutter = match version {
            Version::V3 => Cutter::V3(V3Stream::default()),
            Version::V5 => Cutter::V5(V5Stream::default()),
        };
        Self { connection, stream, address, buffer: [0; 512], cutter }
    }

    fn take(&mut self, bytes: usize, display: impl FnMut(Display)) -> Result<(), TslError> {
        let bytes = &self.buffer[..bytes];
        match &mut self.cutter {
            Cutter::V3(stream) => stream.take(bytes, display),
            Cutter::V5(stream) => stream.take(bytes, display),
        }
    }
}

enum Wake {
    Comes(Async<TcpStream>, SocketAddr),
    Failed(io::Error),
    Said(usize, usize),
    Gone(usize, io::Error),
}

fn poll(listener: &Async<TcpListener>, senders: &mut [Sender], cx: &mut Context<'_>) -> Poll<Wake> {
    for (at, sender) in senders.iter_mut().enumerate() {
        match Pin::new(&mut sender.stream).poll_read(cx, &mut sender.buffer) {
            Poll::Ready(Ok(0)) => {
                let why = io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection");
                return Poll::Ready(Wake::Gone(at, why));
            }
            Poll::Ready(Ok(bytes)) => return Poll::Ready(Wake::Said(at, bytes)),
            Poll::Ready(Err(error)) => return Poll::Ready(Wake::Gone(at, error)),
            Poll::Pending => {}
        }
    }
    loop {
        match listener.get_ref().accept() {
            Ok((stream, address)) => {
                return Poll::Ready(match Async::new(stream) {
                    Ok(stream) => Wake::Comes(stream, address),
                    Err(error) => Wake::Failed(error),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if listener.poll_readable(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            // The sender gave up before it was taken.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Poll::Ready(Wake::Failed(error)),
        }
    }
}
