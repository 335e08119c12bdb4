//! The load generator: simulated appliances against a hub, or against a broker.
//!
//! ```text
//! $ cargo run --release -p rackside-tests --bin load -- steady --to 127.0.0.1:1883 --appliances 1000 --series 60 --for 60s
//! ```
//!
//! It ends with exit code 1 when a record was not acknowledged. Not a benchmark by itself: `bench` runs it beside the
//! programs that it measures.

use rackside_config::Span;
use rackside_tests::clock;
use rackside_tests::simulation::{Discard, Mode, Simulation, SimulationOptions, Transport};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "\
Simulated appliances for a hub or a broker.

  load steady  --to HOST:PORT [options]   a reading at each tick
  load blast   --to HOST:PORT [options]   readings as fast as acks and MQTT's window allow
  load idle    --to HOST:PORT [options]   connected, and nothing else
  load discard --to HOST:PORT [options]   a subscriber that throws everything away

  --appliances N      how many (1000; blast: 50)
  --series N          series of each (60)
  --tick SPAN         from one reading to the next, steady only (10s)
  --held N            most records that one appliance holds, blast only (256)
  --backlog SPAN      readings of so much time are held at the start, steady only (0s)
  --for SPAN          how long (60s)
  --ramp SPAN         over how long they connect (5s)
  --keep-alive SPAN   a silent broker is gone after this (7s; idle: 60s)
  --threads 1|2       of this program (1)
  --no-custody        a PUBACK is enough: for a broker without a hub
  --user NAME         user name; the password comes from --password-file
  --password-file F   the file with the password
  --ca FILE           speak TLS, with this authority (PEM)
  --server-name NAME  the name in the broker's certificate (that of --to)
  --prefix WORD       first word of all topics (rackside)
  --seed N            of values and jitter (1)
  --help
";

struct Arguments {
    kind: Kind,
    fleet: SimulationOptions,
    lasts: Duration,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Fleet,
    Discard,
}

fn main() -> ExitCode {
    let outcome = match arguments() {
        Ok(None) => {
            print!("{HELP}");
            Ok(true)
        }
        Ok(Some(arguments)) if arguments.kind == Kind::Discard => discard(&arguments).map(|()| true),
        Ok(Some(arguments)) => fleet(&arguments),
        Err(error) => Err(format!("{error}; see load --help")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::from(2)
        }
    }
}

/// `None` for `--help`.
fn arguments() -> Result<Option<Arguments>, String> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_env();
    let told = |error: lexopt::Error| error.to_string();
    let mut words = Words::default();
    while let Some(argument) = parser.next().map_err(told)? {
        match argument {
            Long("help") | Short('h') => return Ok(None),
            Long("no-custody") => words.no_custody = true,
            Value(mode) if words.mode.is_none() => words.mode = Some(mode.string().map_err(told)?),
            Long(name) => {
                let name = name.to_owned();
                let value = parser.value().and_then(lexopt::ValueExt::string).map_err(told)?;
                words.pairs.push((name, value));
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    words.arguments().map(Some)
}

/// The command line before it is understood.
#[derive(Default)]
struct Words {
    mode: Option<String>,
    no_custody: bool,
    pairs: Vec<(String, String)>,
}

impl Words {
    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(given, _)| given == name)?;
        Some(self.pairs.remove(at).1)
    }

    fn number(&mut self, name: &str, default: usize) -> Result<usize, String> {
        self.take(name)
            .map_or(Ok(default), |text| text.parse().map_err(|_| format!("--{name}: {text:?} is no number")))
    }

    fn span(&mut self, name: &str, default: Span) -> Result<Duration, String> {
        let span = self.take(name).map_or(Ok(default), |text| text.parse::<Span>());
        span.map(Span::get).map_err(|error| format!("--{name}: {error}"))
    }

    fn arguments(mut self) -> Result<Arguments, String> {
        let mode = self.mode.take().ok_or("say what to do: steady, blast, idle or discard")?;
        let to = self.take("to").ok_or("--to HOST:PORT is missing")?;
        let address: SocketAddr = to
            .to_socket_addrs()
            .map_err(|error| format!("--to {to}: {error}"))?
            .next()
            .ok_or_else(|| format!("--to {to}: no address"))?;
        let mut fleet = SimulationOptions::new(address);
        let tick = self.span("tick", Span::seconds(10))?;
        let held = self.number("held", 256)?;
        let (appliances, keep_alive) = match mode.as_str() {
            "blast" => (50, 7),
            "idle" => (1000, 60),
            _ => (1000, 7),
        };
        fleet.mode = match mode.as_str() {
            "steady" | "discard" => Mode::Steady { tick },
            "blast" => Mode::Blast { held },
            "idle" => Mode::Idle,
            other => return Err(format!("{other:?} is none of steady, blast, idle, discard")),
        };
        fleet.appliances = self.number("appliances", appliances)?;
        fleet.series = self.number("series", 60)?;
        fleet.backlog = self.span("backlog", Span::seconds(0))?;
        fleet.ramp = self.span("ramp", Span::seconds(5))?;
        fleet.keep_alive = self.span("keep-alive", Span::seconds(keep_alive))?;
        fleet.threads = self.number("threads", 1)?;
        fleet.seed = self.number("seed", 1)? as u64;
        fleet.custody = !self.no_custody;
        if let Some(prefix) = self.take("prefix") {
            fleet.prefix = prefix;
        }
        if let Some(user) = self.take("user") {
            let file = self.take("password-file").ok_or("--user needs --password-file")?;
            let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
            fleet.login = Some((user, text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        if let Some(authority) = self.take("ca") {
            let host = to.rsplit_once(':').map_or(to.as_str(), |(host, _)| host).to_owned();
            let server_name = self.take("server-name").unwrap_or(host);
            fleet.transport = Transport::Tls { authority: PathBuf::from(authority), server_name };
        }
        let lasts = self.span("for", Span::seconds(60))?;
        if let Some((name, _)) = self.pairs.first() {
            return Err(format!("--{name} is unknown, or given twice"));
        }
        let kind = if mode == "discard" { Kind::Discard } else { Kind::Fleet };
        Ok(Arguments { kind, fleet, lasts })
    }
}

/// Whether every record was acknowledged.
fn fleet(arguments: &Arguments) -> Result<bool, String> {
    let fleet = &arguments.fleet;
    let simulation = Simulation::start(fleet)?;
    let start = clock::now();
    let (mut acked, mut last) = (0, start);
    while start.elapsed() < arguments.lasts {
        std::thread::sleep(Duration::from_secs(1).min(arguments.lasts.saturating_sub(start.elapsed())));
        let (now_acked, now) = (simulation.tally().acked_so_far(), clock::now());
        let rate = (now_acked - acked) as f64 / now.duration_since(last).as_secs_f64();
        eprintln!(
            "{:>4} s  connected {:>6}  sent {:>9}  acked {now_acked:>9}  {rate:>9.0}/s",
            start.elapsed().as_secs(),
            simulation.tally().connected(),
            simulation.tally().sent_so_far(),
        );
        (acked, last) = (now_acked, now);
    }
    let seconds = start.elapsed().as_secs_f64();
    let during = simulation.tally().acked_so_far();
    let report = simulation.finish();
    println!("{report}");
    println!("rate        {:.0} acked records per second over {seconds:.1} s", during as f64 / seconds);
    Ok(report.is_complete)
}

fn discard(arguments: &Arguments) -> Result<(), String> {
    let discard = Discard::start(arguments.fleet.address, &format!("{}/#", arguments.fleet.prefix))?;
    let start = clock::now();
    let mut before = 0;
    while start.elapsed() < arguments.lasts {
        std::thread::sleep(Duration::from_secs(1));
        let messages = discard.messages();
        eprintln!("{:>4} s  {messages:>10}  {:>8}/s", start.elapsed().as_secs(), messages - before);
        before = messages;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("rate        {:.0} messages per second over {seconds:.1} s", before as f64 / seconds);
    Ok(())
}
