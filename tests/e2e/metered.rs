//! A line that costs money: readings go a minute together, and nobody takes that for silence or loses one of them.

use crate::complete::{RACK, RECOVERY, expect_complete, has_reading};
use rackside_history::{Settings, Store};
use rackside_proto::{AgentName, Data, Envelope, Record, Time};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::clock::{self, eventually};
use rackside_tests::heard;
use rackside_tests::hub::Hub;
use rackside_tests::ledger::Ledger;
use rackside_tests::mosquitto::MosquittoSub;
use rackside_tests::namespace;
use rackside_tests::proxy::Proxy;
use std::collections::BTreeMap;
use std::time::Duration;

/// The promise for a line that costs money.
const NOTICED: Duration = Duration::from_secs(75);
/// A series of every machine, in whole seconds.
const UPTIME: &str = "rackside_uptime_seconds";

/// Waits until it was told that data come so far apart.
fn expect_interval(hub: &Hub, seconds: u64) {
    hub.expect("the interval", RECOVERY, RACK, |said| {
        (said["agent"]["interval_seconds"].as_f64() == Some(seconds as f64)).then_some(())
    });
}

#[test]
fn an_agent_on_a_metered_line_is_up_and_its_history_is_complete() {
    if !namespace::enter("metered::an_agent_on_a_metered_line_is_up_and_its_history_is_complete") {
        return;
    }
    namespace::uplink("wwan0");
    let hub = Hub::start();
    let ledger = Ledger::start(hub.mqtt(), RACK.0, RACK.1);
    let sub = MosquittoSub::start(hub.mqtt(), &["rackside/1/+/+/data", "rackside/1/+/+/event"]);
    let mut options = AgentOptions::new(RACK.0, RACK.1, hub.mqtt());
    "clock = \"trust\"\nprobes.metered = [\"wwan0\"]".clone_into(&mut options.top);
    let mut agent = Agent::start(&options);
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    expect_interval(&hub, 60);
    // One reading a second is silent after 15 s without one; this one is not in the minute until its first full record.
    let together = eventually(Duration::from_mins(3), || {
        let said = hub.appliance(RACK.0, RACK.1).expect("it stays listed");
        assert_eq!(said["up"], true, "{said}\n{}\n{}", hub.last_words(), agent.last_words());
        let labels = [("site", RACK.0), ("appliance", RACK.1)];
        assert!(hub.metrics().value("rackside_load1", &labels).is_some(), "it has values all the time");
        std::thread::sleep(Duration::from_millis(500));
        let most = sub.seen().into_iter().filter_map(|seen| {
            let record = Record::<Data<'_>>::decode(&seen.payload).ok()?;
            if let Data::Readings(readings) = record.body { Some(readings.len()) } else { None }
        });
        most.max().filter(|most| *most > 20)
    });
    assert!(together.is_some(), "no record with many readings\n{}", agent.last_words());
    assert!(hub.body("/").contains("saves its line: sends every 60 s"), "the page says how often it sends");

    namespace::uplink("eth0");
    expect_interval(&hub, 1);
    let before = ledger.only_run().below;
    expect_complete(&hub, &ledger, before + 5);
    agent.kill();
    let safe = ledger.only_run().below;
    let all = sub.wait(RECOVERY, |seen| {
        let envelope = Envelope::decode(&seen.payload).ok()?;
        (envelope.seq + 1 >= safe).then_some(())
    });
    assert!(all.is_some(), "what the hub acknowledged up to {safe} is heard here as well");
    let heard: BTreeMap<u64, i64> = heard::readings(&sub.seen())
        .iter()
        .filter(|reading| reading.seq < safe)
        .map(|reading| {
            let Time::Utc { ms } = reading.time else { panic!("its clock is trusted: {:?}", reading.time) };
            (ms, reading.value(UPTIME).expect("every machine has it") as i64)
        })
        .collect();
    let kept = history(hub, *heard.keys().last().expect("it was heard"));
    assert!(heard.len() > 30, "{heard:?}");
    assert_eq!(kept, heard.into_iter().collect::<Vec<_>>(), "each reading that was sent, once");
}

#[test]
fn an_appliance_on_a_metered_line_that_is_gone_is_noticed_within_75_s() {
    if !namespace::enter("metered::an_appliance_on_a_metered_line_that_is_gone_is_noticed_within_75_s") {
        return;
    }
    namespace::uplink("wwan0");
    let hub = Hub::start();
    let line = Proxy::to(hub.mqtt());
    let mut options = AgentOptions::new(RACK.0, RACK.1, line.address());
    "probes.metered = [\"wwan0\"]".clone_into(&mut options.top);
    let _agent = Agent::start(&options);
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    line.stall();
    hub.expect("down", NOTICED, RACK, |said| (said["reason"] == "will").then_some(()));
}

/// The samples of the uptime up to `last_ms` that the history has; ends the hub.
fn history(mut hub: Hub, last_ms: u64) -> Vec<(u64, i64)> {
    hub.stop();
    let name = AgentName::new(RACK.0, RACK.1).expect("ids");
    let store = Store::open(&hub.data(), Settings::new(clock::unix_ms()));
    let reader = store.unwrap_or_else(|error| panic!("{error}")).reader();
    let series = reader.series(&name).expect("it is readable");
    let (id, _) = series.iter().find(|(_, key)| &*key.name == UPTIME).expect("it is kept");
    let samples = reader.samples(&name, *id, 0..last_ms + 1).expect("it is readable");
    samples
        .times
        .iter()
        .zip(&samples.values)
        .map(|(ms, value)| (*ms, value.expect("it was known all the time")))
        .collect()
}
