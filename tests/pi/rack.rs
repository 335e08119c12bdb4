//! A rack: an emulated Pi with the agent in it, and a hub on this machine with its own listener, TLS and users.
//!
//! The Pi starts without a clock, in 1970, so the listener's certificate is not yet valid to it. It reads once a second.

use crate::board::Board;
use crate::card::{AGENT, Card};
use crate::console::Started;
use rackside_proto::AgentName;
use rackside_tests::authority::Authority;
use rackside_tests::clock;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::programs::programs;
use serde_json::Value as Json;
use std::time::Duration;

/// Site and appliance.
pub(crate) const NAME: (&str, &str) = ("arena-north", "rack-1");
/// The pins of the panel.
pub(crate) const RED: u8 = 23;
pub(crate) const GREEN: u8 = 24;
pub(crate) const TALLY: u8 = 17;
pub(crate) const BUTTON: u8 = 5;
/// From a start to a reading at the hub, and from a healed link to completeness: the agent's patience and backoff, and a machine that emulates.
pub(crate) const RECOVERY: Duration = Duration::from_mins(1);

const CONFIG: &str = "/etc/rackside/agent.toml";
const PANEL: &str = r#"
[[led]]
name = "rack"
red = 23
green = 24

[[tally]]
name = "camera-1"
pin = 17

[[button]]
name = "identify"
pin = 5
does = "identify"
for = "60s"
"#;

/// The whole of it.
#[derive(Debug)]
pub(crate) struct Rack {
    pub(crate) board: Board,
    pub(crate) hub: Hub,
    /// The agent.
    pub(crate) agent: Started,
    /// When it was started, by this machine's clock.
    pub(crate) started_ms: u64,
    /// From then until the hub had a reading.
    pub(crate) waited: Duration,
    // Its files are read again by a hub that comes back.
    _authority: Authority,
}

impl Rack {
    /// Boots the Pi, and waits until the hub has a reading.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// The same with lines for the top of the agent's configuration.
    pub(crate) fn with(top: &str) -> Self {
        let authority = Authority::new();
        let directory = authority.ca().parent().expect("a file is in a directory").to_owned();
        let password = format!("{:016x}", fastrand::u64(..));
        let line = format!("{}:{}\n", NAME.0, rackside_hub::listener::hash_password(&password));
        std::fs::write(directory.join("users"), line).expect("the directory can be written");
        let users = format!("users = \"{}\"\n", directory.join("users").display());
        let hub = Hub::with(Way::Listener, &programs().hub, &(authority.listener_lines() + &users));
        let (site, appliance) = NAME;
        let config = format!(
            "site = \"{site}\"\nappliance = \"{appliance}\"\ntick = \"1s\"\nprobes.ping = []\n{top}{PANEL}\n[mqtt]\naddress = \"10.0.2.2:{}\"\nuser = \"{site}\"\n\
             password = {{ file = \"/etc/rackside/password\" }}\ntls = {{ ca = \"/etc/rackside/ca.pem\", server_name = \"localhost\" }}\n",
            hub.mqtt().port()
        );
        let ca = std::fs::read(authority.ca()).expect("the authority wrote it");
        let files = [
            (CONFIG, config.into_bytes()),
            ("/etc/rackside/password", password.into_bytes()),
            ("/etc/rackside/ca.pem", ca),
        ];
        let mut board = Board::boot(Card::new(&files));
        // There are no pull resistors: whoever is wired to the contacts holds them open.
        board.pins.drive(TALLY, true);
        board.pins.drive(BUTTON, true);
        let agent = board.console.start(format_args!("{AGENT} run --config {CONFIG}"));
        let (started, started_ms) = (clock::now(), clock::unix_ms());
        let mut rack = Self { board, hub, agent, started_ms, waited: Duration::ZERO, _authority: authority };
        rack.expect("a reading", |said| series(said).next().map(drop));
        rack.waited = clock::now() - started;
        rack
    }

    /// Another command of the agent's in the Pi.
    pub(crate) fn command(&mut self, word: &str) -> Started {
        self.board.console.start(format_args!("{AGENT} {word} --config {CONFIG}"))
    }

    /// Sends the agent a signal, and says how it ended.
    pub(crate) fn end(&mut self, signal: i32) -> String {
        self.board.console.order(format_args!("kill {} {signal}", self.agent.id));
        self.board.console.ended(&self.agent)
    }

    /// A file of the Pi's.
    pub(crate) fn read(&mut self, path: &str) -> String {
        self.board.console.order(format_args!("read {path}")).join("\n")
    }

    /// Waits until the hub says something of the Pi that `wanted` makes something of.
    pub(crate) fn expect<T>(&self, what: &str, mut wanted: impl FnMut(&Json) -> Option<T>) -> T {
        let found = clock::eventually(RECOVERY, || wanted(&self.hub.appliance(NAME.0, NAME.1)?));
        found.unwrap_or_else(|| {
            let said = self.hub.appliance(NAME.0, NAME.1);
            panic!(
                "not within {RECOVERY:?}: {what}; the hub says {said:?}\n{}\n{}",
                self.hub.last_words(),
                self.last_words()
            )
        })
    }

    /// What the Pi said last, for a failure's message.
    pub(crate) fn last_words(&self) -> String {
        self.board.last_words()
    }

    /// Site and appliance.
    pub(crate) fn name() -> AgentName {
        AgentName { site: NAME.0.parse().expect("an id"), appliance: NAME.1.parse().expect("an id") }
    }
}

/// The series of the newest reading.
fn series(said: &Json) -> impl Iterator<Item = &Json> {
    said["reading"]["series"].as_array().into_iter().flatten()
}

/// The value of one of them, by the metric's name without `rackside_`.
pub(crate) fn value(said: &Json, name: &str) -> Option<f64> {
    series(said).find(|one| one["name"] == format!("rackside_{name}"))?["value"].as_f64()
}
