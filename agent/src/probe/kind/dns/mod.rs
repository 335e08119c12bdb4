//! `[[probe.dns]]`: whether a name resolves, how fast, and to what it should.
//!
//! With `server` that one is asked, over UDP (every 2 s anew, from another port) and over TCP for what does not fit; without it the system's
//! resolver is, as every program here does it, caches and all. Down is a server that does not answer, another `rcode` than the wanted one,
//! no record of the wanted type, or a record of `expect` that is missing.
//!
//! A `*` for the name's first label is another random word at each run: whoever answers to a name that nobody has is a hijacker, and the
//! wanted `rcode` is NXDOMAIN.
//!
//! ```toml
//! [[probe.dns]]
//! name = "resolver"
//! query = "hub.example.org"
//! server = "192.0.2.53"
//! record = "A"
//! expect = ["192.0.2.10"]
//! ```

pub mod message;

use crate::clock::Clock;
use crate::probe::config::{Settings, kind};
use crate::probe::{Context, Outcome, Probe, Running, dial};
use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use message::{Answer, Record, Unread};
use rackside_proto::{Scale, metric};
use serde::Deserialize;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

const PORT: u16 = 53;
/// A datagram that is not answered within this is lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longer than any answer that is not asked for at that length.
const ROOM: usize = 4096;
/// So much that is no answer may come to one question.
const NOISE: usize = 100;
/// Most entries of `expect`, and the longest.
const EXPECTED: usize = 64;
/// Tenths of a millisecond.
const TIME: Scale = Scale::per(10_000);

kind! {
    /// What the configuration has for it.
    pub struct Dns {
        /// The name; its first label may be `*`.
        query: String,
        /// Whom to ask: `host` or `host:port`; the system's resolver when not set.
        #[serde(default)]
        server: Option<String>,
        /// What to ask for: addresses of either kind when not set and the system's resolver is asked, else A.
        #[serde(default)]
        record: Option<Record>,
        /// How it must go.
        #[serde(default)]
        rcode: Rcode,
        /// Records that must be among the answers.
        #[serde(default)]
        expect: Vec<String>,
    }
}

/// How an answer may go that is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Rcode {
    #[default]
    NoError,
    NxDomain,
    Refused,
}

impl Rcode {
    const fn number(self) -> u8 {
        match self {
            Self::NoError => 0,
            Self::NxDomain => 3,
            Self::Refused => 5,
        }
    }
}

impl Settings for Dns {
    fn target(&self) -> String {
        match &self.server {
            Some(server) => format!("{} at {server}", self.query),
            None => self.query.clone(),
        }
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let sample = self.query.replacen('*', "x", usize::from(self.query.starts_with("*.")));
        if sample.contains('*') || message::question(0, &sample, Record::A).is_none() {
            return Err(("query", format!("\"{}\" is no name; a * can only be its first word", self.query)));
        }
        if let Some(server) = &self.server
            && rackside_config::host_and_port(server).is_none_or(|(host, _)| host.is_empty())
        {
            return Err(("server", format!("\"{server}\" is no address; write for example \"192.0.2.53\"")));
        }
        if self.server.is_none() && !matches!(self.record, None | Some(Record::A | Record::Aaaa)) {
            return Err(("record", "the system's resolver knows addresses only; name a `server`".to_owned()));
        }
        if self.server.is_none() && self.rcode != Rcode::NoError {
            return Err(("rcode", "the system's resolver does not tell it; name a `server`".to_owned()));
        }
        if self.rcode != Rcode::NoError && !self.expect.is_empty() {
            return Err(("expect", "an answer with that `rcode` has no records".to_owned()));
        }
        if self.expect.len() > EXPECTED {
            return Err(("expect", format!("there are more than {EXPECTED}")));
        }
        let is_address = |text: &String| match self.record {
            Some(Record::A) => text.parse::<Ipv4Addr>().is_ok(),
            Some(Record::Aaaa) => text.parse::<Ipv6Addr>().is_ok(),
            None => text.parse::<IpAddr>().is_ok_and(|ip| self.server.is_none() || ip.is_ipv4()),
            Some(_) => true,
        };
        match self.expect.iter().find(|text| !is_address(text)) {
            Some(text) => Err(("expect", format!("\"{text}\" is no address of that kind"))),
            None => Ok(()),
        }
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(self.clone())
    }
}

/// What was found, by either way.
struct Found {
    records: Vec<String>,
    count: usize,
    ttl: Option<u32>,
    rcode: Option<u8>,
}

impl Dns {
    async fn ask(&self, context: &Context) -> Outcome {
        let word = std::iter::repeat_with(fastrand::lowercase).take(12).collect::<String>();
        let name = self.query.replacen('*', &word, usize::from(self.query.starts_with("*.")));
        let begun = Clock::now();
        let found = match &self.server {
            Some(server) => direct(server, &name, self.record.unwrap_or(Record::A), context.within).await,
            None => self.through_system(&name).await,
        };
        let took = Clock::now().saturating_duration_since(begun);
        let found = match found {
            Ok(found) => found,
            Err(why) => return Outcome::down(why),
        };
        let mut outcome = match self.judge(&name, &found) {
            Ok(()) => Outcome::up(),
            Err(why) => Outcome::down(why),
        };
        outcome.put(&metric::DNS_LOOKUP, &[], TIME, took.as_secs_f64());
        outcome.put(&metric::DNS_ANSWERS, &[], Scale::ONE, found.count as f64);
        if let Some(rcode) = found.rcode {
            outcome.put(&metric::DNS_RCODE, &[], Scale::ONE, f64::from(rcode));
        }
        if let Some(ttl) = found.ttl {
            outcome.put(&metric::DNS_TTL, &[], Scale::ONE, f64::from(ttl));
        }
        outcome
    }

    async fn through_system(&self, name: &str) -> Result<Found, String> {
        let found = dial::resolve(name, 0).await.map_err(|error| error.to_string())?;
        let fits = |ip: &IpAddr| match self.record {
            Some(Record::A) => ip.is_ipv4(),
            Some(_) => ip.is_ipv6(),
            None => true,
        };
        let records: Vec<String> =
            found.into_iter().map(|address| address.ip()).filter(fits).map(|ip| ip.to_string()).collect();
        Ok(Found { count: records.len(), records, ttl: None, rcode: None })
    }

    fn judge(&self, name: &str, found: &Found) -> Result<(), String> {
        let wanted = self.rcode.number();
        if let Some(rcode) = found.rcode.filter(|rcode| *rcode != wanted) {
            let [rcode, wanted] = [rcode, wanted].map(message::rcode_name);
            return Err(format!("{rcode} instead of {wanted} for {name}"));
        }
        if self.rcode != Rcode::NoError {
            return Ok(());
        }
        if found.count == 0 {
            let kind = self.record.map_or("address", Record::name);
            return Err(format!("{name} has no {kind}"));
        }
        // Of more than are kept nobody can say that one is missing.
        let is_whole = found.count == found.records.len();
        match self
            .expect
            .iter()
            .find(|expected| !found.records.iter().any(|record| is_same(expected, record)))
        {
            Some(missing) if is_whole => {
                let shown = found.records.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more =
                    if found.count > 3 { format!(" and {} more", found.count - 3) } else { String::new() };
                Err(format!("{name} is not {missing} but {shown}{more}"))
            }
            _ => Ok(()),
        }
    }
}

/// Addresses by what they are, names without regard to case and a dot at the end.
fn is_same(expected: &str, record: &str) -> bool {
    match (expected.parse::<IpAddr>(), record.parse::<IpAddr>()) {
        (Ok(expected), Ok(record)) => expected == record,
        _ => expected.trim_end_matches('.').eq_ignore_ascii_case(record.trim_end_matches('.')),
    }
}

impl Probe for Dns {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(self.ask(context))
    }
}

/// Asks one server.
async fn direct(server: &str, name: &str, record: Record, within: Duration) -> Result<Found, String> {
    let (host, port) = rackside_config::host_and_port(server).expect("the configuration was checked");
    let found = dial::resolve(host, port.unwrap_or(PORT)).await.map_err(|error| error.to_string())?;
    let address = *found.first().expect("a name that resolves has an address");
    let asked = async {
        let mut answer = over_udp(address, name, record).await?;
        if answer.is_truncated {
            answer = over_tcp(address, name, record).await?;
        }
        Ok(answer)
    };
    let late = async {
        Timer::after(within).await;
        Err(format!("{address} does not answer within {within:?}"))
    };
    let Answer { records, count, ttl, rcode, .. } = future::or(asked, late).await?;
    Ok(Found { records, count, ttl, rcode: Some(rcode) })
}

/// Asks until there is an answer.
async fn over_udp(server: SocketAddr, name: &str, record: Record) -> Result<Answer, String> {
    let failed = |why: io::Error| format!("cannot ask {server}: {why}");
    loop {
        // Another port and another number each time: who cannot see the question cannot answer it.
        let question = message::question(fastrand::u16(..), name, record).ok_or("its name is none")?;
        let any: IpAddr =
            if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = Async::<UdpSocket>::bind((any, 0)).map_err(failed)?;
        socket.get_ref().connect(server).map_err(failed)?;
        socket.send(&question).await.map_err(failed)?;
        let heard = async { Some(hear(&socket, &question).await) };
        let lost = async {
            Timer::after(PATIENCE).await;
            None
        };
        if let Some(heard) = future::or(heard, lost).await {
            return heard.map_err(|why| format!("{server}: {why}"));
        }
    }
}

async fn hear(socket: &Async<UdpSocket>, question: &[u8]) -> Result<Answer, String> {
    let mut room = vec![0; ROOM];
    for _ in 0..NOISE {
        let length = socket.recv(&mut room).await.map_err(|why| why.to_string())?;
        match message::answer(room.get(..length).unwrap_or_default(), question) {
            Ok(answer) => return Ok(answer),
            Err(Unread::Another) => {}
            Err(Unread::Broken(why)) => return Err(why.to_owned()),
        }
    }
    Err("what it sends does not answer what it was asked".to_owned())
}

/// Asks for all of it: 64 KiB at most, which the two bytes of its length say.
async fn over_tcp(server: SocketAddr, name: &str, record: Record) -> Result<Answer, String> {
    let failed = |why: io::Error| format!("cannot ask {server} over TCP, as it wants: {why}");
    let question = message::question(fastrand::u16(..), name, record).ok_or("its name is none")?;
    let mut stream = Async::<std::net::TcpStream>::connect(server).await.map_err(failed)?;
    let framed = [&(question.len() as u16).to_be_bytes()[..], &question].concat();
    stream.write_all(&framed).await.map_err(failed)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).await.map_err(failed)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).await.map_err(failed)?;
    message::answer(&message, &question).map_err(|why| match why {
        Unread::Another => format!("{server} does not answer over TCP what it was asked"),
        Unread::Broken(why) => format!("{server}: {why}"),
    })
}

#[cfg(test)]
mod tests;
