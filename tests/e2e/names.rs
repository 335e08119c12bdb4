//! Names and clocks that are not as they should be.

use crate::complete::{RACK, RECOVERY, has_reading, records};
use rackside_proto::{Presence, Reason, Run};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::client::Client;
use rackside_tests::clock;
use rackside_tests::hub::Hub;
use rackside_tests::ledger::Ledger;

const LABELS: [(&str, &str); 2] = [("site", RACK.0), ("appliance", RACK.1)];

#[test]
fn a_second_agent_with_the_same_name_is_shown_and_corrupts_nothing() {
    let hub = Hub::start();
    let ledger = Ledger::start(hub.mqtt(), RACK.0, RACK.1);
    let _first = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let mut second = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("two live runs", RECOVERY, RACK, |said| (said["live_runs"] == 2).then_some(()));
    assert_eq!(hub.metrics().value("rackside_hub_appliance_live_runs", &LABELS), Some(2.0));
    let complete = clock::eventually(RECOVERY, || {
        let (taken, _, lost) = records(&hub.appliance(RACK.0, RACK.1)?);
        let runs = ledger.runs();
        let below: u64 = runs.values().map(|notes| notes.below).sum();
        (runs.len() == 2 && runs.values().all(|notes| notes.below >= 3) && taken == below && lost == 0)
            .then_some(())
    });
    assert!(complete.is_some(), "each run's records are taken once: {:?}", ledger.runs());
    assert!(hub.body("/").contains("data-twice=\"true\""), "the page says so");
    second.stop();
    hub.expect("one again", RECOVERY, RACK, |said| {
        (said["live_runs"] == 1 && said["up"] == true).then_some(())
    });
}

#[test]
fn a_late_will_of_an_older_connection_says_nothing() {
    let hub = Hub::start();
    let topic = "rackside/1/arena-north/rack-1/presence";
    let presence = |connection, online| {
        let reason = if online { Reason::Start } else { Reason::Will };
        let mut bytes = Vec::new();
        Presence { run: Run(7), connection, online, reason }.encode(&mut bytes).expect("a presence");
        bytes
    };
    let mut client = Client::named(hub.mqtt(), "late").expect("a connection");
    client.publish(topic, presence(1, true), true).expect("taken");
    client.publish(topic, presence(2, true), true).expect("taken");
    hub.expect("up", RECOVERY, RACK, |said| (said["up"] == true).then_some(()));
    client.publish(topic, presence(1, false), true).expect("taken");
    let ignored = clock::eventually(RECOVERY, || {
        (hub.count("rackside_hub_presences_ignored_total") == 1).then_some(())
    });
    assert!(ignored.is_some(), "counted\n{}", hub.last_words());
    assert_eq!(hub.appliance(RACK.0, RACK.1).expect("it is there")["up"], true);
    client.publish(topic, presence(2, false), true).expect("taken");
    hub.expect("down", RECOVERY, RACK, |said| (said["up"] == false).then_some(()));
}

#[test]
fn a_clock_in_1970_is_never_shown() {
    let hub = Hub::start();
    let ledger = Ledger::start(hub.mqtt(), RACK.0, RACK.1);
    let mut options = AgentOptions::new(RACK.0, RACK.1, hub.mqtt());
    // Even an agent that is told to believe its clock does not believe 1970.
    options.top = "clock = \"trust\"\n".to_owned();
    // The date alone: the monotonic clock stays as it is.
    options.environment = [
        ("LD_PRELOAD", rackside_tests::programs::faketime().display().to_string()),
        ("FAKETIME", "@1970-01-02 03:04:05".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    let agent = Agent::start(&options);
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    crate::complete::expect_complete(&hub, &ledger, 3);
    let said = hub.appliance(RACK.0, RACK.1).expect("it is there");
    assert_eq!(
        (&said["up"], &said["agent"]["clock_source"]),
        (&true.into(), &"hub".into()),
        "{said}\n{}",
        agent.last_words()
    );
    for path in ["/api/sites", "/", "/metrics"] {
        assert!(!hub.body(path).contains("1970-"), "{path} shows 1970");
    }
}
