//! What is no message is counted, and nothing else changes.

use crate::complete::{RACK, RECOVERY, has_reading, records};
use rackside_proto::{
    Catalog, CatalogHead, Channel, Data, DecodeError, Envelope, Message, Run, Sending, Time,
};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::client::Client;
use rackside_tests::clock;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::mosquitto::Mosquitto;
use std::collections::BTreeMap;
use std::time::Duration;

const CHANNELS: [Channel; 4] = [Channel::Presence, Channel::Birth, Channel::Data, Channel::Event];

/// One real body of each channel that an agent speaks on unasked.
fn real_bodies(hub: &Hub) -> BTreeMap<String, Vec<u8>> {
    let mut client = Client::named(hub.mqtt(), "listens").expect("a connection");
    client.subscribe(&["rackside/1/arena-north/rack-1/+"]).expect("subscribed");
    let mut bodies = BTreeMap::new();
    let complete = client.wait(RECOVERY, |message| {
        let channel = message.topic.rsplit('/').next()?.to_owned();
        if ["presence", "birth", "data"].contains(&channel.as_str()) {
            bodies.insert(channel, message.payload.to_vec());
        }
        (bodies.len() == 3).then_some(())
    });
    assert!(complete.is_ok_and(|complete| complete.is_some()), "only {:?}", bodies.keys());
    bodies
}

/// What is wrong with bytes, and the word that the hub counts it under.
fn wrong_bodies(channel: Channel, real: Option<&Vec<u8>>) -> Vec<(Vec<u8>, &'static str)> {
    let mut bodies = vec![(vec![0xff; 40], "newer"), (vec![2, 1, 2, 3], "newer"), (vec![1], "malformed")];
    bodies.push((vec![1; 3], "malformed"));
    // An empty body on a retained topic is how a topic is cleared; on the others it is nothing.
    if !channel.is_retained() {
        bodies.push((Vec::new(), "empty"));
    }
    if channel == Channel::Data {
        bodies.push((catalog_over_its_bound(), "limit"));
    }
    if let Some(real) = real {
        let truncated = &real[..real.len() - 1];
        if matches!(Message::decode(channel, truncated), Err(DecodeError::Malformed(_))) {
            bodies.push((truncated.to_vec(), "malformed"));
        }
        let mut newer = real.clone();
        newer[0] = 2;
        bodies.push((newer, "newer"));
    }
    bodies
}

/// A catalog that says that it lists 4,097 series, one more than there may be.
fn catalog_over_its_bound() -> Vec<u8> {
    let head = CatalogHead { number: 9, time: Time::Utc { ms: 0 }, boot_id: [0; 16], tick_ms: 1000 };
    let (mut catalog, mut body) = (Vec::new(), Vec::new());
    Catalog::encode(&head, std::iter::empty(), &mut catalog).expect("a Vec has room");
    assert_eq!(catalog.pop(), Some(0), "the number of series");
    catalog.extend([0x81, 0x20]);
    let envelope = Envelope { run: Run(9), seq: 0, floor: 0, sending: Sending::First };
    envelope.encode(&mut body).expect("a Vec has room");
    Data::encode_catalog(&catalog, &mut body).expect("a Vec has room");
    body
}

fn rubbish_changes_nothing(way: Way) {
    let hub = Hub::by(way);
    let _agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let real = real_bodies(&hub);
    let mut client = Client::named(hub.mqtt(), "rubbish").expect("a connection");
    let rejected =
        |reason: &str| hub.metrics().sum("rackside_hub_rejected_total", &[("reason", reason)]) as u64;
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    for reason in ["newer", "malformed", "limit", "empty", "site", "appliance", "channel", "topic_version"] {
        expected.insert(reason, rejected(reason));
    }
    for channel in CHANNELS {
        let topic = format!("rackside/1/arena-north/rack-1/{channel}");
        for (body, reason) in wrong_bodies(channel, real.get(channel.as_str())) {
            client.publish(&topic, body, false).expect("a broker does not look into bodies");
            *expected.get_mut(reason).expect("listed above") += 1;
        }
    }
    for (topic, reason, is_subscribed) in [
        ("rackside/1/Arena_North/rack-1/data", "site", true),
        ("rackside/1/-arena/rack-1/data", "site", true),
        ("rackside/1/arena-north/rack.1/presence", "appliance", true),
        ("rackside/1/arena-north/rack-1/nonsense", "channel", false),
        ("rackside/2/arena-north/rack-1/data", "topic_version", false),
    ] {
        client.publish(topic, real["data"].clone(), false).expect("a broker does not look into topics");
        // Through a broker the hub hears only what it has subscribed.
        let heard = is_subscribed || way == Way::Listener;
        *expected.get_mut(reason).expect("listed above") += u64::from(heard);
    }
    let counted = clock::eventually(RECOVERY, || {
        expected.iter().all(|(reason, count)| rejected(reason) == *count).then_some(())
    });
    assert!(counted.is_some(), "expected {expected:?}, got\n{}", hub.body("/metrics"));

    let metrics = hub.metrics();
    assert_eq!(metrics.sum("rackside_hub_appliances", &[]) as u64, 1, "no appliance came of it");
    let said = hub.appliance(RACK.0, RACK.1).expect("it is there");
    assert_eq!((&said["up"], &said["live_runs"]), (&true.into(), &1.into()), "{said}");
    let (taken, _, lost) = records(&said);
    assert_eq!(lost, 0);
    hub.expect("records go on", RECOVERY, RACK, |said| (records(said).0 > taken + 1).then_some(()));
}

#[test]
fn rubbish_changes_nothing_at_the_listener() {
    rubbish_changes_nothing(Way::Listener);
}

#[test]
fn rubbish_changes_nothing_behind_mosquitto() {
    let broker = Mosquitto::start();
    rubbish_changes_nothing(Way::Broker(broker.address()));
}

/// 300 KB is more than any message of ours. Whoever sends it may lose the connection, nobody else anything; also when the
/// broker retains it, and the hub meets it again with each connection.
fn an_oversized_payload(way: Way) {
    let hub = Hub::by(way);
    let mut agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let mut options = rackside_link::Options::new("large");
    options.max_packet = 1 << 20;
    let mut client = Client::connect(hub.mqtt(), &options).expect("a connection");
    // The listener ends the connection of whoever does that; Mosquitto takes it and leaves it to the hub.
    let _ = client.publish("rackside/1/arena-north/rack-2/data", vec![1; 300_000], true);
    std::thread::sleep(Duration::from_secs(1));
    let (taken, _, _) = records(&hub.appliance(RACK.0, RACK.1).expect("it is there"));
    hub.expect("records go on", RECOVERY, RACK, |said| {
        let (now, _, lost) = records(said);
        (now > taken + 2 && lost == 0 && said["up"] == true).then_some(())
    });
    assert!(agent.is_running());
    assert!(hub.appliance(RACK.0, "rack-2").is_none(), "no appliance came of it");
    let (name, reason) = match way {
        Way::Listener => ("rackside_hub_listener_refused_total", "packet_too_large"),
        Way::Broker(_) => ("rackside_hub_rejected_total", "too_long"),
    };
    assert_eq!(hub.metrics().value(name, &[("reason", reason)]), Some(1.0), "{}", hub.body("/metrics"));
}

#[test]
fn an_oversized_payload_is_counted_at_the_listener() {
    an_oversized_payload(Way::Listener);
}

#[test]
fn an_oversized_payload_is_counted_behind_mosquitto() {
    let broker = Mosquitto::start();
    an_oversized_payload(Way::Broker(broker.address()));
}
