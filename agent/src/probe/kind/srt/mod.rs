//! `[[probe.srt]]`: whether an SRT listener answers, and how long that takes. One datagram each way; no connection is made, no stream
//! is asked for, no media are pulled.
//!
//! A listener answers this whatever stream id and passphrase it wants later: that a stream is there, `[[probe.stream]]` tells. The question is
//! repeated four times a second until the timeout, since a datagram may get lost. `rackside_srt_handshake_rtt_seconds` is the
//! way there and back of the one that was answered.
//!
//! ```toml
//! [[probe.srt]]
//! name = "contribution"
//! url = "srt://192.0.2.50:9000"
//! ```

pub mod wire;

use crate::clock::Clock;
use crate::probe::config::{Settings, kind};
use crate::probe::locator::{Address, Locator};
use crate::probe::outcome::State;
use crate::probe::{Context, Outcome, Probe, Running, dial};
use async_io::{Async, Timer};
use futures_lite::future;
use rackside_proto::{Scale, metric};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use wire::Answer;

const SCHEMES: &[&str] = &["srt"];
/// From one try to the next.
const AGAIN: Duration = Duration::from_millis(250);
/// An answer to one of the last so many counts: a way of 4 s there and back.
const TRIES: usize = 16;
/// A round trip goes in microseconds: a listener on this box answers within some.
const RTT: Scale = Scale::per(1_000_000);

kind! {
    /// What the configuration has for it.
    pub struct Srt {
        /// `srt://host:port`; what follows is for whoever makes a connection, and not used.
        url: Address,
    }
}

impl Settings for Srt {
    fn target(&self) -> String {
        self.url.shown()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        match self.url.check(None, SCHEMES)?.port {
            Some(_) => Ok(()),
            None => Err(("url", "has no port; write srt://host:port".to_owned())),
        }
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(self.clone())
    }
}

impl Probe for Srt {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            let locator = Locator::parse(self.url.written(), SCHEMES).expect("the configuration was checked");
            let port = locator.port.expect("the configuration was checked");
            let addresses = match dial::resolve_within(context.within, &locator.host, port).await {
                Ok(addresses) => addresses,
                Err(error) => return Outcome::unknown(error.to_string()),
            };
            let mut last = Outcome::unknown(format!("{} has no address", locator.host));
            let each = context.within / addresses.len().max(1) as u32;
            for address in addresses {
                match ask(address, each).await {
                    Ok((Answer::Listener, rtt)) => {
                        let mut outcome = Outcome::up();
                        outcome.put(&metric::SRT_HANDSHAKE_RTT, &[], RTT, rtt.as_secs_f64());
                        return outcome;
                    }
                    Ok((Answer::Rejection(code), _)) => {
                        let reason = wire::reason(code);
                        return Outcome::down(format!("{address} rejects us: {reason} (code {code})"));
                    }
                    Ok((Answer::Old(version), _)) => {
                        return Outcome::down(format!(
                            "{address} speaks version {version}, which is no SRT of today"
                        ));
                    }
                    Err(error) if !dial::is_no_network(address, &error) => {
                        last = Outcome::down(told(address, &error));
                    }
                    // It says nothing of the listener, and hides nothing that another address said.
                    Err(error) if matches!(last.state, State::Unknown(_)) => {
                        last = Outcome::unknown(told(address, &error));
                    }
                    Err(_) => {}
                }
            }
            last
        })
    }
}

fn told(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("nothing listens at {address} (UDP)"),
        io::ErrorKind::TimedOut => format!("{address} (UDP) does not answer in SRT"),
        _ => format!("cannot ask {address}: {error}"),
    }
}

/// Asks one address until it answers or `within` has passed.
async fn ask(address: SocketAddr, within: Duration) -> io::Result<(Answer, Duration)> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = Async::<UdpSocket>::bind(any)?;
    socket.get_ref().connect(address)?;
    let peer = socket.get_ref().local_addr()?.ip();
    let end = Clock::now() + within;
    let (mut buffer, mut tries) = (vec![0; 2048], VecDeque::new());
    loop {
        // A number of its own for each try, so that it is known which one was answered, however late.
        let number = fastrand::u32(1..0x8000_0000);
        let sent = Clock::now();
        socket.send(&wire::induction(number, fastrand::u32(..), peer)).await?;
        tries.push_back((number, sent));
        tries.drain(..tries.len().saturating_sub(TRIES));
        let again = end.min(sent + AGAIN);
        let silent = async {
            Timer::at(again).await;
            Ok(None)
        };
        // The timer first: datagrams that are no answer may come without end.
        let heard = future::or(silent, hear(&socket, &mut buffer, &tries)).await?;
        if let Some(found) = heard {
            return Ok(found);
        }
        if Clock::now() >= end {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// Waits for the answer to one of these tries.
async fn hear(
    socket: &Async<UdpSocket>,
    buffer: &mut [u8],
    tries: &VecDeque<(u32, Instant)>,
) -> io::Result<Option<(Answer, Duration)>> {
    loop {
        let bytes = socket.recv(buffer).await?;
        let datagram = buffer.get(..bytes).unwrap_or_default();
        let answered =
            tries.iter().find_map(|(number, sent)| Some((wire::answer(datagram, *number)?, *sent)));
        if let Some((answer, sent)) = answered {
            return Ok(Some((answer, Clock::now() - sent)));
        }
        // Others want to run as well, however much comes.
        future::yield_now().await;
    }
}
