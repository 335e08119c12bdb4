//! `[[probe.ntp]]`: what a time server says: how far this machine's clock is off, how long the answer took, how far the server is from a
//! clock.
//!
//! One question a run, no clock is set. Down is a server that does not answer, does not know the time itself, or refuses; and this
//! machine's clock, if it is off by more than `tolerance`. A server that wants to be asked less often (`RATE`) is left alone for a quarter
//! of an hour, then twice as long each time, a day at most; that is unknown. One that refuses (`DENY`, `RSTR`) is asked again
//! after an hour.
//!
//! ```toml
//! [[probe.ntp]]
//! name = "time"
//! server = "ntp.example.org"
//! tolerance = "500ms"
//! ```

pub mod packet;

use crate::clock::Clock;
use crate::probe::config::{Settings, kind};
use crate::probe::{Context, Outcome, Probe, Running, dial};
use async_io::{Async, Timer};
use futures_lite::future;
use packet::{NoTime, Reply};
use rackside_config::Span;
use rackside_proto::{Scale, metric};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

const PORT: u16 = 123;
/// Longer than any answer with the extensions of today.
const ROOM: usize = 1024;
/// So much that is no answer may come to one question.
const NOISE: usize = 100;
/// A server that was asked too often, at first and at most; and one that refuses.
const REST: Duration = Duration::from_mins(15);
const LONGEST_REST: Duration = Duration::from_hours(24);
const REFUSED: Duration = Duration::from_hours(1);
/// Steps of 10 µs.
const TIME: Scale = Scale::per(100_000);

kind! {
    /// What the configuration has for it.
    pub struct Ntp {
        /// `host` or `host:port`.
        server: String,
        /// How far this machine's clock may be off; however far when not set.
        #[serde(default)]
        tolerance: Option<Span>,
    }
}

impl Settings for Ntp {
    fn target(&self) -> String {
        self.server.clone()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if rackside_config::host_and_port(&self.server).is_none_or(|(host, _)| host.is_empty()) {
            let server = &self.server;
            return Err((
                "server",
                format!("\"{server}\" is no address; write for example \"ntp.example.org\""),
            ));
        }
        if self.tolerance.is_some_and(|span| span.get().is_zero()) {
            return Err(("tolerance", "no clock is that good; leave it out to tolerate anything".to_owned()));
        }
        Ok(())
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Asker { settings: self.clone(), patience: REST, rest: None })
    }
}

/// A probe, and the manners that a server taught it.
struct Asker {
    settings: Ntp,
    /// For how long the server is left alone the next time it asks for that.
    patience: Duration,
    /// Until when it is left alone, and what is said meanwhile.
    rest: Option<(Instant, Outcome)>,
}

impl Asker {
    async fn ask(&mut self, context: &Context) -> Outcome {
        if let Some((until, outcome)) = &self.rest
            && Clock::now() < *until
        {
            return outcome.clone();
        }
        self.rest = None;
        match query(&self.settings.server, context.within).await {
            Err(why) => Outcome::down(why),
            Ok(Err(no_time)) => self.heed(no_time, Clock::now()),
            Ok(Ok(reply)) => {
                self.patience = REST;
                self.judge(&reply)
            }
        }
    }

    /// What to say of an answer without a time, and whether to stay away.
    fn heed(&mut self, no_time: NoTime, now: Instant) -> Outcome {
        match no_time {
            NoTime::Kiss(code) if &code == b"RATE" => {
                let rest = self.patience;
                self.patience = (rest * 2).min(LONGEST_REST);
                let outcome = Outcome::unknown(format!(
                    "the server wants to be asked less often (RATE); it is left alone for {} minutes",
                    rest.as_secs() / 60
                ));
                self.rest = Some((now + rest, outcome.clone()));
                outcome
            }
            NoTime::Kiss(code) => {
                let code = code.escape_ascii();
                let outcome =
                    Outcome::down(format!("the server refuses ({code}); it is asked again after an hour"));
                self.rest = Some((now + REFUSED, outcome.clone()));
                outcome
            }
            NoTime::Unsynchronised => Outcome::down("the server does not know the time itself"),
            NoTime::Nonsense(why) => {
                Outcome::down(format!("the server's answer is not to be believed: {why}"))
            }
            NoTime::Another => Outcome::down("what the server sends does not answer what it was asked"),
        }
    }

    fn judge(&self, reply: &Reply) -> Outcome {
        let off = reply.offset.abs();
        let mut outcome = match self.settings.tolerance {
            Some(most) if off > most.get().as_secs_f64() => {
                let way = if reply.offset > 0.0 { "slow" } else { "fast" };
                Outcome::down(format!("this machine's clock is {off:.3} s {way}; {most} is tolerated"))
            }
            _ => Outcome::up(),
        };
        outcome.put(&metric::NTP_OFFSET, &[], TIME, reply.offset);
        outcome.put(&metric::NTP_DELAY, &[], TIME, reply.delay);
        outcome.put(&metric::NTP_STRATUM, &[], Scale::ONE, f64::from(reply.stratum));
        outcome.put(&metric::NTP_ROOT_DISPERSION, &[], TIME, reply.dispersion);
        outcome
    }
}

impl Probe for Asker {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(self.ask(context))
    }
}

/// Asks once; no answer is an error.
async fn query(server: &str, within: Duration) -> Result<Result<Reply, NoTime>, String> {
    let (host, port) = rackside_config::host_and_port(server).expect("the configuration was checked");
    let found = dial::resolve(host, port.unwrap_or(PORT)).await.map_err(|error| error.to_string())?;
    let address = *found.first().expect("a name that resolves has an address");
    let asked = async { exchange(address).await.map_err(|why| format!("cannot ask {address}: {why}")) };
    let late = async {
        Timer::after(within).await;
        Err(format!("{address} does not answer within {within:?}"))
    };
    future::or(asked, late).await
}

async fn exchange(server: SocketAddr) -> io::Result<Result<Reply, NoTime>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = Async::<UdpSocket>::bind((any, 0))?;
    socket.get_ref().connect(server)?;
    // The kernel notes when the answer comes, so that what else the agent does is no delay.
    let _ = rackside_sys::arrival(socket.as_fd());
    let transmit = fastrand::u64(1..);
    let (left, sent) = (Clock::now(), Clock::shown());
    socket.send(&packet::request(transmit)).await?;
    let mut room = [0; ROOM];
    for _ in 0..NOISE {
        let length = socket.recv(&mut room).await?;
        let came = rackside_sys::arrival(socket.as_fd()).map_or_else(|_| Clock::now(), Clock::of_arrival);
        // By the monotonic clock, so that a clock that is set in between makes no delay.
        let received = sent + came.saturating_duration_since(left);
        match packet::reply(room.get(..length).unwrap_or_default(), transmit, sent, received) {
            Err(NoTime::Another) => {}
            told => return Ok(told),
        }
    }
    Ok(Err(NoTime::Another))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::State;
    use rackside_proto::Value;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn asker(server: &str, tolerance: &str) -> Asker {
        let text = format!("name = \"x\"\nserver = \"{server}\"\n{tolerance}");
        let settings = rackside_config::parse(&text, "x").expect("good settings");
        Asker { settings, patience: REST, rest: None }
    }

    /// A server that is so much ahead; `change` may spoil its answer. And how often it was asked.
    fn server(
        ahead: Duration,
        change: impl Fn(&mut [u8; 48]) + Send + 'static,
    ) -> (String, Arc<AtomicUsize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound").to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut room = [0; 48];
            while let Ok((48, from)) = socket.recv_from(&mut room) {
                count.fetch_add(1, Ordering::SeqCst);
                let now = Clock::shown() + ahead;
                let seconds = (now.as_secs() + 2_208_988_800) << 32;
                let stamp = seconds | ((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000);
                let mut answer = [0; 48];
                (answer[0], answer[1]) = (0x24, 3);
                answer[24..32].copy_from_slice(&room[40..]);
                answer[32..40].copy_from_slice(&stamp.to_be_bytes());
                answer[40..].copy_from_slice(&stamp.to_be_bytes());
                change(&mut answer);
                let _ = socket.send_to(&answer, from);
            }
        });
        (address, asked)
    }

    fn ask(asker: &mut Asker) -> Outcome {
        let within = Duration::from_secs(2);
        smol::block_on(asker.run(&Context { within, ..Context::default() }))
    }

    #[test]
    fn a_clock_that_is_off_is_told_and_down_beyond_its_tolerance() {
        let (address, _) = server(Duration::from_secs(90), |_| {});
        let outcome = ask(&mut asker(&address, ""));
        assert_eq!(outcome.state, State::Up);
        let Value::Known(offset) = outcome.samples[0].value else { panic!("{outcome:?}") };
        assert!((8_999_000..9_001_000).contains(&offset), "{offset} × 10 µs");
        let outcome = ask(&mut asker(&address, "tolerance = \"1s\""));
        let why = outcome.state.why().expect("down");
        assert!(
            ["90.0", "89.9"].iter().any(|off| why.starts_with(&format!("this machine's clock is {off}")))
                && why.contains("slow; 1s is tolerated"),
            "{why}"
        );
        assert_eq!(outcome.samples.len(), 4, "what was measured is told all the same");
    }

    #[test]
    fn a_server_that_wants_to_be_left_alone_is_and_that_is_unknown() {
        let (address, questions) = server(Duration::ZERO, |answer| {
            answer[1] = 0;
            answer[12..16].copy_from_slice(b"RATE");
        });
        let mut probe = asker(&address, "");
        for _ in 0..3 {
            let outcome = ask(&mut probe);
            assert!(matches!(outcome.state, State::Unknown(_)), "{outcome:?}");
            assert!(outcome.samples.is_empty());
        }
        assert_eq!(questions.load(Ordering::SeqCst), 1);
        let rests: Vec<u64> = (0..8)
            .map(|_| {
                let now = Clock::now();
                probe.heed(NoTime::Kiss(*b"RATE"), now);
                (probe.rest.as_ref().expect("it rests").0 - now).as_secs() / 60
            })
            .collect();
        assert_eq!(rests, [30, 60, 120, 240, 480, 960, 1440, 1440]);
    }

    #[test]
    fn a_refusal_is_down_and_not_repeated_at_once() {
        let (address, questions) = server(Duration::ZERO, |answer| {
            answer[1] = 0;
            answer[12..16].copy_from_slice(b"DENY");
        });
        let mut probe = asker(&address, "");
        let first = ask(&mut probe);
        assert!(first.state.why().is_some_and(|why| why.contains("refuses (DENY)")), "{first:?}");
        assert_eq!(ask(&mut probe).state, first.state);
        assert_eq!(questions.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_server_without_the_time_and_one_that_only_makes_noise_are_down() {
        let (lost, _) = server(Duration::ZERO, |answer| answer[1] = 16);
        assert_eq!(
            ask(&mut asker(&lost, "")).state,
            State::Down("the server does not know the time itself".to_owned())
        );
        let (forger, _) = server(Duration::ZERO, |answer| answer[24] ^= 1);
        let why = ask(&mut asker(&forger, "")).state;
        assert!(why.why().is_some_and(|why| why.contains("does not answer within 2s")), "{why:?}");
    }
}
