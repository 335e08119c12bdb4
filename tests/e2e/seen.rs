//! What an agent says is seen by `mosquitto_sub`, through an outside broker and through the hub's own listener.

use crate::complete::{RACK, RECOVERY};
use rackside_proto::{Birth, Data, Presence, Reason, Record};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::mosquitto::{Mosquitto, MosquittoSub, Seen};
use std::net::SocketAddr;
use std::time::Duration;

/// Long enough for a busy machine; none of these promises is in seconds.
const SOON: Duration = Duration::from_secs(20);

fn presence(seen: &Seen) -> Option<Presence> {
    seen.topic.ends_with("/presence").then(|| Presence::decode(&seen.payload).ok()).flatten()
}

/// Presence, birth, catalog and readings; then the Last Will after SIGKILL.
fn an_agent_is_seen(broker: SocketAddr) {
    let sub = MosquittoSub::start(broker, &["rackside/1/#"]);
    let mut agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, broker));
    let online = sub.wait(SOON, presence).unwrap_or_else(|| panic!("no presence\n{}", agent.last_words()));
    assert!(online.online && online.reason == Reason::Start, "{online:?}");
    assert_eq!(
        sub.seen().first().map(|seen| seen.topic.as_str()),
        Some("rackside/1/arena-north/rack-1/presence")
    );

    let series = sub.wait(SOON, |seen| {
        let birth = Birth::decode(&seen.payload).ok().filter(|_| seen.topic.ends_with("/birth"))?;
        assert_eq!((birth.run, birth.tick_ms), (online.run, 1000));
        birth.catalog.map(|catalog| catalog.series().map(|one| one.name.to_owned()).collect::<Vec<_>>())
    });
    let series = series.expect("a birth with a catalog");
    for name in [
        "rackside_cpu_usage_ratio",
        "rackside_memory_used_bytes",
        "rackside_load1",
        "rackside_uptime_seconds",
    ] {
        assert!(series.iter().any(|one| one == name), "{name} is not among {series:?}");
    }
    let first = sub.wait(SOON, |seen| {
        let record =
            Record::<Data<'_>>::decode(&seen.payload).ok().filter(|_| seen.topic.ends_with("/data"))?;
        assert!(matches!(record.body, Data::Catalog(_)), "the first record is the catalog");
        Some(record.envelope)
    });
    assert_eq!(first.expect("a data record").seq, 0);
    let readings = sub.wait(SOON, |seen| {
        let record =
            Record::<Data<'_>>::decode(&seen.payload).ok().filter(|_| seen.topic.ends_with("/data"))?;
        matches!(record.body, Data::Readings(_)).then_some(record.envelope.run)
    });
    assert_eq!(readings, Some(online.run));

    let late = MosquittoSub::start(broker, &["rackside/1/#"]);
    assert!(late.wait(SOON, |seen| presence(seen).filter(|_| seen.retained)).is_some_and(|kept| kept.online));
    assert!(
        late.wait(SOON, |seen| (seen.retained && seen.topic.ends_with("/birth")).then_some(())).is_some()
    );
    let kept_data = late.seen().into_iter().find(|seen| seen.retained && seen.topic.ends_with("/data"));
    assert_eq!(kept_data, None, "data are not retained");

    agent.kill();
    let will = sub.wait(SOON, |seen| presence(seen).filter(|said| !said.online)).expect("the Last Will");
    assert_eq!((will.run, will.connection, will.reason), (online.run, online.connection, Reason::Will));
    let later = MosquittoSub::start(broker, &["rackside/1/+/+/presence"]);
    assert_eq!(later.wait(SOON, presence), Some(will), "the will is retained");
}

#[test]
fn an_agent_is_seen_through_mosquitto() {
    let broker = Mosquitto::start();
    an_agent_is_seen(broker.address());
}

#[test]
fn an_agent_is_seen_through_the_listener() {
    let hub = Hub::start();
    an_agent_is_seen(hub.mqtt());
}

#[test]
fn an_agent_that_is_asked_to_stop_says_goodbye_and_leaves_no_will() {
    let hub = Hub::start();
    let sub = MosquittoSub::start(hub.mqtt(), &["rackside/1/+/+/presence"]);
    let mut agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    sub.wait(SOON, presence).expect("it is online");
    assert!(agent.stop().is_some_and(|status| status.success()), "SIGTERM\n{}", agent.last_words());
    let goodbye = sub.wait(SOON, |seen| presence(seen).filter(|said| !said.online)).expect("a goodbye");
    assert_eq!(goodbye.reason, Reason::Stop);
    hub.expect("down by its own word", RECOVERY, RACK, |said| {
        (said["up"] == false && said["reason"] == "stop").then_some(())
    });
    let offline = sub.seen().iter().filter_map(presence).filter(|said| !said.online).count();
    assert_eq!(offline, 1, "no will after a goodbye");
}

#[test]
fn what_the_hub_hears_is_the_same_both_ways() {
    let broker = Mosquitto::start();
    let names = [Way::Listener, Way::Broker(broker.address())].map(|way| {
        let hub = Hub::by(way);
        let _agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
        hub.expect("a reading", SOON, RACK, crate::complete::has_reading);
        let said = hub.appliance(RACK.0, RACK.1).expect("it is there");
        assert_eq!(said["up"], true);
        let series = said["reading"]["series"].as_array().expect("series");
        series.iter().map(|one| one["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(names[0], names[1]);
}
