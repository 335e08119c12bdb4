//! `[[probe.throughput]]`: how fast a page comes in: a transfer that ends after so many bytes or so much time.
//!
//! It takes the line for itself, and on some lines it costs money. So it is done once a day, at a time of day that nobody chose, and
//! never while the site is on air nor over a metered interface: then there is no result but the reason, and it is tried again half an
//! hour later. One that is under way when a tally comes on is broken off at once. The first byte starts the clock, so neither the name
//! nor TLS counts.
//!
//! ```toml
//! [[probe.throughput]]
//! name = "downlink"
//! url = "https://speed.example/100MB.bin"
//! bytes = "10 MiB"
//! time = "10s"
//! ```

use crate::clock::Clock;
use crate::probe::config::{Settings, kind};
use crate::probe::http::{self, FetchError, Reply, Request, Trust, Url};
use crate::probe::{Context, Outcome, Probe, Running, Surroundings};
use async_io::Timer;
use futures_lite::future;
use rackside_config::{Size, Span};
use rackside_proto::{Scale, metric};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const BYTES: Size = Size::mebibytes(10);
const TIME: Span = Span::seconds(10);
/// Less than this is over before TCP has found out what the line can do.
const LEAST: u64 = 256 * 1024;
/// After a run that had to be left out.
const AGAIN: Duration = Duration::from_mins(30);
/// Kilobits a second.
const RATE: Scale = Scale::times(1000);

kind! {
    /// What the configuration has for it.
    pub struct Throughput {
        /// A page that is large enough.
        url: String,
        /// So many bytes are enough; 10 MiB unless set.
        #[serde(default)]
        bytes: Option<Size>,
        /// So much time is enough; 10 s unless set.
        #[serde(default)]
        time: Option<Span>,
        /// Whose signature on its certificate is believed; the system's authorities' when not set.
        #[serde(default)]
        ca: Option<PathBuf>,
    }
}

impl Settings for Throughput {
    fn target(&self) -> String {
        Url::parse(&self.url).map_or_else(|_| "an address".to_owned(), |url| url.to_string())
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        Url::parse(&self.url).map_err(|why| ("url", format!("this is no address of a page: {why}")))?;
        let bytes = self.bytes.unwrap_or(BYTES).bytes();
        if !(LEAST..=1024 * 1024 * 1024).contains(&bytes) {
            return Err((
                "bytes",
                "is out of range; from \"256 KiB\" to \"1024 MiB\" is possible".to_owned(),
            ));
        }
        let time = self.time.unwrap_or(TIME);
        if !(Span::seconds(1)..=Span::seconds(60)).contains(&time) {
            return Err(("time", format!("\"{time}\" is out of range; from \"1s\" to \"1m\" is possible")));
        }
        Ok(())
    }

    /// The time of day is chance's: a fleet's boxes must not fetch at the same moment, nor each night in the same show.
    fn spread(&self) -> Option<Duration> {
        Some(Duration::MAX)
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(self.clone())
    }
}

impl Probe for Throughput {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(self.measure(context))
    }
}

/// Why nothing may be measured now, if so.
fn forbidden(site: &Surroundings) -> Option<String> {
    if site.is_on_air() {
        return Some("nothing is measured while the site is on air".to_owned());
    }
    site.metered().map(|interface| format!("nothing is measured over {interface}, which is metered"))
}

fn left_out(why: String) -> Outcome {
    Outcome { again: Some(AGAIN), ..Outcome::unknown(why) }
}

/// What came in, and in what time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Transfer {
    bytes: u64,
    took: Duration,
}

impl Transfer {
    /// Bits a second.
    fn rate(self) -> f64 {
        self.bytes as f64 * 8.0 / self.took.as_secs_f64().max(0.001)
    }
}

impl Throughput {
    async fn measure(&self, context: &Context) -> Outcome {
        let site = &context.surroundings;
        if let Some(why) = forbidden(site) {
            return left_out(why);
        }
        let url = Url::parse(&self.url).expect("the configuration was checked");
        let (trust, within) = (Trust::of(self.ca.as_ref()), context.within);
        let mut reply = match http::open(context, Request { trust, within, ..Request::get(&url) }).await {
            Ok(reply) => reply,
            Err(error) if error.is_own() => return Outcome::unknown(error.to_string()),
            Err(error) => return Outcome::down(error.to_string()),
        };
        if reply.status / 100 != 2 {
            return Outcome::down(format!("{}: it answers {}", url.origin(), reply.status));
        }
        let transfer = match self.transfer(&mut reply, site).await {
            Ok(Ok(transfer)) => transfer,
            Ok(Err(forbidden)) => return left_out(forbidden),
            Err(error) => return Outcome::down(error.to_string()),
        };
        // What came in cost as much, whether it was enough or not.
        let mut outcome = if transfer.bytes >= LEAST || transfer.took >= self.time.unwrap_or(TIME).get() {
            let mut outcome = Outcome::up();
            outcome.put(&metric::THROUGHPUT_RECEIVE, &[], RATE, transfer.rate());
            outcome
        } else {
            let origin = url.origin();
            Outcome::unknown(format!("{origin}: {} bytes are too few to measure by", transfer.bytes))
        };
        outcome.put(&metric::THROUGHPUT_BYTES, &[], Scale::ONE, transfer.bytes as f64);
        outcome
    }

    /// Takes pieces until it is enough, or the site forbids more.
    async fn transfer(
        &self,
        reply: &mut Reply,
        site: &Surroundings,
    ) -> Result<Result<Transfer, String>, FetchError> {
        let (most, time) = (self.bytes.unwrap_or(BYTES).bytes(), self.time.unwrap_or(TIME).get());
        let begun = Clock::now();
        let mut bytes = 0;
        while bytes < most {
            let Some(piece) = piece_until(reply, begun + time).await? else { break };
            bytes += piece as u64;
            if let Some(why) = forbidden(site) {
                return Ok(Err(why));
            }
        }
        Ok(Ok(Transfer { bytes, took: Clock::now().saturating_duration_since(begun) }))
    }
}

/// The length of the next piece; none when there is no more, or not in time.
async fn piece_until(reply: &mut Reply, end: Instant) -> Result<Option<usize>, FetchError> {
    let late = async {
        Timer::at(end).await;
        Ok(None)
    };
    let piece = async { reply.piece().await.map(|piece| piece.map(|piece| piece.len())) };
    future::or(late, piece).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::http::server::Server;
    use crate::probe::outcome::State;
    use rackside_proto::metric::Metric;
    use std::rc::Rc;

    fn probe(keys: &str, url: &str) -> Throughput {
        let text = format!("name = \"downlink\"\nurl = \"{url}\"\n{keys}");
        let probe: Throughput = rackside_config::parse(&text, "x").expect("good keys");
        probe.check().expect("a good probe");
        probe
    }

    fn run(keys: &str, server: &Server, context: &Context) -> Outcome {
        smol::block_on(probe(keys, &server.url("/")).run(context))
    }

    fn value(outcome: &Outcome, wanted: &'static Metric) -> Option<f64> {
        let sample = outcome.samples.iter().find(|sample| std::ptr::eq(sample.metric, wanted))?;
        Some(sample.scale.value(sample.value.known()?))
    }

    /// A server that sends 64 KB every 10 ms, for ever.
    fn endless() -> Server {
        Server::start(|_, talk| {
            let mut good = talk.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_ok();
            while good {
                good = talk.write_all(&b"x".repeat(65_536)).and_then(|()| talk.flush()).is_ok();
                std::thread::sleep(Duration::from_millis(10));
            }
        })
    }

    #[test]
    fn bytes_are_a_budget() {
        let outcome = run("bytes = \"1 MiB\"", &endless(), &Context::default());
        assert_eq!(outcome.state, State::Up);
        let bytes = value(&outcome, &metric::THROUGHPUT_BYTES).expect("they are counted");
        assert!((1_048_576.0..1_048_576.0 + 70_000.0).contains(&bytes), "{bytes}");
        let rate = value(&outcome, &metric::THROUGHPUT_RECEIVE).expect("it was measured");
        // 16 pieces with 10 ms between them: at most 52 Mbit/s, and less on a busy machine.
        assert!((1e6..60e6).contains(&rate), "{rate}");
    }

    #[test]
    fn time_is_a_budget() {
        let drip = Server::start(|_, talk| {
            let mut good = talk.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_ok();
            while good {
                good = talk.write_all(&[b'x'; 1250]).and_then(|()| talk.flush()).is_ok();
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let begun = Clock::now();
        let outcome = run("time = \"1s\"", &drip, &Context::default());
        assert!(begun.elapsed() < Duration::from_secs(5));
        let rate = value(&outcome, &metric::THROUGHPUT_RECEIVE).expect("a slow line is measured as well");
        assert!((10e3..=140e3).contains(&rate), "{rate}");
        let silent = Server::start(|_, talk| {
            let _ = talk.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            std::thread::sleep(Duration::from_secs(3));
        });
        let outcome = run("time = \"1s\"", &silent, &Context::default());
        assert_eq!(value(&outcome, &metric::THROUGHPUT_RECEIVE), Some(0.0));
    }

    #[test]
    fn a_page_that_is_too_small_measures_nothing_and_one_that_fails_is_down() {
        let outcome = run("", &Server::page("hello"), &Context::default());
        assert!(
            matches!(&outcome.state, State::Unknown(why) if why.ends_with("5 bytes are too few to measure by"))
        );
        assert_eq!(value(&outcome, &metric::THROUGHPUT_RECEIVE), None);
        let outcome = run("", &Server::saying("HTTP/1.1 404 Gone\r\n\r\n"), &Context::default());
        assert!(matches!(&outcome.state, State::Down(why) if why.ends_with("it answers 404")));
        let cut = format!("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n{}", "x".repeat(500_000));
        let outcome = run("", &Server::saying(cut), &Context::default());
        assert!(matches!(&outcome.state, State::Down(why) if why.contains("breaks off")), "{outcome:?}");
    }

    #[test]
    fn nothing_is_asked_on_air_nor_over_what_costs_money() {
        let server = Server::page(&"x".repeat(1_000_000));
        let context = Context::default();
        let site = &context.surroundings;
        site.meter(&["wwan0".to_owned()]);
        site.see(true, false, Some("eth0"), Clock::now());
        let outcome = run("", &server, &context);
        assert_eq!(outcome.state, State::Unknown("nothing is measured while the site is on air".to_owned()));
        assert_eq!((outcome.samples.len(), outcome.again), (0, Some(AGAIN)));
        let context = Context::default();
        context.surroundings.meter(&["wwan0".to_owned()]);
        context.surroundings.see(false, false, Some("wwan0"), Clock::now());
        let outcome = run("", &server, &context);
        let why = "nothing is measured over wwan0, which is metered".to_owned();
        assert_eq!((outcome.state, outcome.again), (State::Unknown(why), Some(AGAIN)));
        assert_eq!(server.asked(), Vec::<String>::new());
        context.surroundings.see(false, false, Some("eth0"), Clock::now());
        assert_eq!(run("", &server, &context).state, State::Up);
    }

    #[test]
    fn a_tally_that_comes_on_breaks_it_off() {
        let (context, server) = (Context::default(), endless());
        let site = Rc::clone(&context.surroundings);
        let tally = async {
            Timer::after(Duration::from_millis(200)).await;
            site.see(true, false, None, Clock::now());
            future::pending().await
        };
        let mut probe = probe("bytes = \"1024 MiB\"\ntime = \"30s\"", &server.url("/"));
        let begun = Clock::now();
        let outcome = smol::block_on(future::or(probe.run(&context), tally));
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(matches!(&outcome.state, State::Unknown(why) if why.contains("on air")), "{outcome:?}");
        assert_eq!(outcome.samples, []);
    }
}
