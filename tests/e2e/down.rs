//! An appliance that is gone is down within 15 seconds, whoever is on call is told by then, and it is back when it is back.

use crate::complete::{RACK, RECOVERY, expect_complete, has_reading};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::clock::{self, eventually};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::ledger::Ledger;
use rackside_tests::mosquitto::Mosquitto;
use rackside_tests::namespace::{self, Cable};
use rackside_tests::programs::programs;
use rackside_tests::proxy::Proxy;
use rackside_tests::witness::Witness;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The promise.
const NOTICED: Duration = Duration::from_secs(15);
const SOON: Duration = Duration::from_secs(20);
/// By the clock this is never looked at while a test runs.
const RULES: &str = "groups: [{name: gone, interval: 1d, rules: [{alert: ApplianceGone, expr: rackside_appliance_up == 0}]}]\n";

/// Who is told that an appliance is gone, without a wait of the rule's or of the route's.
struct OnCall {
    witness: Witness,
    rules: TempDir,
}

impl OnCall {
    fn new() -> Self {
        let rules = tempfile::tempdir().expect("a temporary directory");
        fs::write(rules.path().join("gone.yml"), RULES).expect("the directory can be written");
        Self { witness: Witness::start(), rules }
    }

    /// Tables of the hub; all that decides when somebody is noticed to be gone is as by default.
    fn tables(&self) -> String {
        format!(
            "[rules]\ndefaults = false\nfiles = [\"{}\"]\n\
             [[receiver]]\nname = \"crew\"\nkind = \"webhook\"\nurl = \"{}\"\n\
             [[route]]\nname = \"all\"\nto = [\"crew\"]\ngroup_wait = \"0s\"\n",
            self.rules.path().join("gone.yml").display(),
            self.witness.url()
        )
    }

    /// They are told once, in time.
    fn expect(&self, hub: &Hub, cut: Instant) {
        let told = self.witness.find(0, NOTICED, |told| told.names("ApplianceGone", "firing"));
        let told = told.unwrap_or_else(|| panic!("nobody is told\n{}", hub.last_words()));
        let took = told.at - cut;
        println!("told {:.1} s after the cable was cut", took.as_secs_f64());
        assert!(took <= NOTICED && self.witness.count() == 1, "{took:?}");
    }
}

fn expect_up(hub: &Hub) {
    hub.expect("up, with a reading", RECOVERY, RACK, |said| {
        (said["up"] == true).then(|| has_reading(said)).flatten()
    });
}

fn expect_down(hub: &Hub, reason: &str) {
    hub.expect("down", NOTICED, RACK, |said| (said["up"] == false).then_some(()));
    let said = hub.appliance(RACK.0, RACK.1).expect("it stays listed");
    assert_eq!(said["reason"], reason, "{said}");
    let labels = [("site", RACK.0), ("appliance", RACK.1)];
    let metrics = hub.metrics();
    assert_eq!(metrics.value("rackside_appliance_up", &labels), Some(0.0));
    assert_eq!(
        metrics.value("rackside_load1", &labels),
        None,
        "no stale value is served as if it were fresh"
    );
    let row = format!("data-rack=\"{}/{}\" data-up=\"false\"", RACK.0, RACK.1);
    assert!(hub.body("/").contains(&row), "the page says so");
}

fn killed(way: Way) {
    let hub = Hub::by(way);
    let mut agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    expect_up(&hub);
    agent.kill();
    expect_down(&hub, "will");
}

/// A cable pulled: no FIN, no RST, no packet, either way. Then put back.
fn cable_pulled(way: Way) {
    let on_call = OnCall::new();
    let hub = Hub::with(way, &programs().hub, &on_call.tables());
    let cable = Proxy::to(hub.mqtt());
    let ledger = Ledger::start(hub.mqtt(), RACK.0, RACK.1);
    let _agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, cable.address()));
    expect_up(&hub);
    let cut = clock::now();
    cable.stall();
    expect_down(&hub, "will");
    on_call.expect(&hub, cut);
    let before = ledger.only_run().below;
    cable.heal();
    expect_up(&hub);
    // A reading each second went on all the while.
    expect_complete(&hub, &ledger, before + 8);
}

#[test]
fn an_agent_killed_is_down_within_15_s_at_the_listener() {
    killed(Way::Listener);
}

#[test]
fn an_agent_killed_is_down_within_15_s_behind_mosquitto() {
    let broker = Mosquitto::start();
    killed(Way::Broker(broker.address()));
}

#[test]
fn a_pulled_cable_is_noticed_within_15_s_at_the_listener_and_nothing_is_lost() {
    cable_pulled(Way::Listener);
}

#[test]
fn a_pulled_cable_is_noticed_within_15_s_behind_mosquitto_and_nothing_is_lost() {
    let broker = Mosquitto::start();
    cable_pulled(Way::Broker(broker.address()));
}

#[test]
fn a_cable_pulled_between_network_namespaces_is_noticed_within_15_s_and_nothing_is_lost() {
    if !namespace::enter(
        "down::a_cable_pulled_between_network_namespaces_is_noticed_within_15_s_and_nothing_is_lost",
    ) {
        return;
    }
    let programs = programs();
    let (cable, directory) = (Cable::new(), tempfile::tempdir().expect("a temporary directory"));
    let address = SocketAddr::from((namespace::NEAR, 1883));
    let on_call = OnCall::new();
    let tables = format!("allow_anonymous = true\n{}", on_call.tables());
    let hub = Hub::listening(address, Way::Listener, &programs.hub, &tables);
    let ledger = Ledger::start(hub.mqtt(), RACK.0, RACK.1);
    let mut options = AgentOptions::new(RACK.0, RACK.1, hub.mqtt());
    options.program = Some(cable.wrap(&programs.agent, directory.path()));
    let agent = Agent::start(&options);
    cable.plug_when_ready(agent.id());
    expect_up(&hub);
    let cut = clock::now();
    cable.pull();
    expect_down(&hub, "will");
    on_call.expect(&hub, cut);
    let before = ledger.only_run().below;
    cable.put_back();
    expect_up(&hub);
    expect_complete(&hub, &ledger, before + 8);
}

#[test]
fn an_agent_notices_a_half_open_link_within_its_keep_alive() {
    let hub = Hub::start();
    let cable = Proxy::to(hub.mqtt());
    let agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, cable.address()));
    expect_up(&hub);
    assert_eq!(cable.connections(), 1);
    cable.stall();
    // 7 s of silence, then the first attempt after at most a second or two.
    let again = eventually(NOTICED, || (cable.connections() > 1).then_some(()));
    // A stalled cable takes the connection as a kernel would, so the attempt is counted before it can succeed.
    assert!(again.is_some(), "it waits still\n{}", agent.last_words());
    cable.heal();
    hub.expect("up again", SOON, RACK, |said| (said["up"] == true).then_some(()));
}
