//! The benchmarks: every figure that this project reports, with the command that gives it.
//!
//! ```text
//! $ cargo run --release -p rackside-tests --bin bench              # everything, about 50 minutes after the builds
//! $ cargo run --release -p rackside-tests --bin bench -- hub rate  # some of it
//! ```
//!
//! The hub is the release build, the agent the appliance build. Rates are told beside what a subscriber that throws
//! everything away gets from Mosquitto in the same run: on shared cores only the ratio is steady. Not a test: nothing
//! fails here for being slow, only for answers that are not those of the other.

mod agent;
mod alert;
mod asked;
mod build;
mod charts;
mod codec;
mod death;
mod fleet;
mod handshakes;
mod history;
mod hub;
mod live;
mod outage;
mod page;
mod pages;
mod paint;
mod peer;
mod probes;
mod query;
mod rate;
mod rules;
mod steady;

use rackside_config::Span;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "\
bench [--seconds SPAN] [--rounds N] [--appliances N] [SECTION...]

Sections: sizes wire agent probes death hub hour connections handshakes rate codec history year catch-up comeback
rules query alert page pages charts paint live. All of them when none is named.
  --seconds SPAN   how long each measurement lasts (60s)
  --rounds N       how often rates are measured, one way after the other (2)
  --appliances N   how many live the day of which the history's size is told (100), and how many rules, queries and alerts are about (1000)
";

/// How thoroughly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) lasts: Duration,
    pub(crate) rounds: usize,
    pub(crate) appliances: Option<usize>,
}

type Section = (&'static str, fn(Effort) -> Result<(), String>);
const SECTIONS: [Section; 23] = [
    ("sizes", build::sizes),
    ("wire", agent::wire),
    ("agent", agent::cost),
    ("probes", probes::cost),
    ("death", death::noticed),
    ("hub", hub::fleet),
    ("hour", hub::hour),
    ("connections", hub::connections),
    ("handshakes", handshakes::counted),
    ("rate", rate::rates),
    ("codec", codec::codec),
    ("history", history::day),
    ("year", history::year),
    ("catch-up", outage::catch_up),
    ("comeback", outage::comeback),
    ("rules", rules::rules),
    ("query", query::query),
    ("alert", alert::alert),
    ("page", page::paged),
    ("pages", pages::served),
    ("charts", charts::drawn),
    ("paint", paint::painted),
    ("live", live::watched),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut effort = Effort { lasts: Duration::from_mins(1), rounds: 2, appliances: None };
    let mut wanted = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(());
            }
            "--seconds" => effort.lasts = value()?.parse::<Span>()?.get(),
            "--rounds" => {
                effort.rounds = value()?.parse().map_err(|_| "--rounds needs a number".to_owned())?;
            }
            "--appliances" => {
                let number = value()?.parse().ok().filter(|number| *number > 0);
                effort.appliances = Some(number.ok_or("--appliances needs a number, at least 1")?);
            }
            name => {
                let section = SECTIONS.iter().find(|(section, _)| *section == name);
                wanted.push(*section.ok_or(format!("{name:?} is unknown; see bench --help"))?);
            }
        }
    }
    // Ten thousand sockets here, and as many in each program that is started from here.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .map_err(|error| format!("cannot raise the number of open files: {error}"))?;
    let sections = if wanted.is_empty() { SECTIONS.to_vec() } else { wanted };
    for (name, section) in sections {
        println!("\n## {name}\n");
        section(effort)?;
    }
    Ok(())
}
