//! Users who read a part only: two of them beside one who reads everything.

use crate::stage::{Raw, Stage, now};
use rackside_hub::inbound::{Outbound, Outlet as _};
use rackside_hub::listener::{Reason, hash_password};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{
    Connect, ConnectReturnCode as Code, LastWill, Packet, PubAck, Publish, Subscribe, SubscribeFilter,
    SubscribeReasonCode,
};

const NORTH: &str = "rackside/json/arena-north/rack-1/latest";
const SOUTH: &str = "rackside/json/arena-south/rack-1/latest";

/// A listener with the users `north`, `south` and `all`, of whom the first two read what is said of their site.
fn stage() -> (tempfile::NamedTempFile, Stage) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let hash = hash_password("right");
    let lines: String = ["north", "south", "all"].map(|user| format!("{user}:{hash}\n")).concat();
    std::fs::write(file.path(), lines).expect("written");
    let stage = Stage::with(|config| {
        config.users = Some(file.path().to_owned());
        let right = |site: &str| vec![format!("rackside/json/{site}/#"), format!("rackside/1/{site}/#")];
        config.read.insert("north".to_owned(), right("arena-north"));
        config.read.insert("south".to_owned(), right("arena-south"));
    });
    (file, stage)
}

fn login(user: &str, id: &str) -> Connect {
    let mut connect = Connect::new(id);
    connect.set_login(user, "right");
    connect
}

fn come(stage: &Stage, user: &str) -> Raw {
    let (raw, ack) = stage.client_as(&login(user, user));
    assert_eq!(ack.code, Code::Success);
    raw
}

fn granted(raw: &mut Raw, filter: &str) -> bool {
    let filters = vec![SubscribeFilter::new(filter.into(), QoS::AtLeastOnce)];
    raw.send(&Packet::Subscribe(Subscribe { pkid: 5, filters }));
    match raw.receive() {
        Packet::SubAck(ack) => ack.return_codes[0] != SubscribeReasonCode::Failure,
        other => panic!("not a SUBACK: {other:?}"),
    }
}

fn say(stage: &Stage, topic: &str, payload: &'static str, retain: bool) {
    let message = Outbound { topic: topic.to_owned(), payload: payload.into(), retain };
    stage.handle.send(message).expect("the listener takes it");
}

/// What waits. The answer to a ping may pass a message; with the second one it has come.
fn heard(raw: &mut Raw) -> Vec<(String, String)> {
    let (mut heard, mut pings) = (Vec::new(), 0);
    while pings < 2 {
        raw.send(&Packet::PingReq);
        loop {
            match raw.receive() {
                Packet::Publish(Publish { topic, payload, pkid, .. }) => {
                    raw.send(&Packet::PubAck(PubAck { pkid }));
                    heard.push((topic, String::from_utf8_lossy(&payload).into_owned()));
                }
                Packet::PingResp => break,
                other => panic!("neither a PUBLISH nor a PINGRESP: {other:?}"),
            }
        }
        pings += 1;
    }
    heard
}

fn entries(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(topic, payload)| ((*topic).to_owned(), (*payload).to_owned())).collect()
}

#[test]
fn each_of_two_readers_hears_its_own_site_live_retained_and_by_wildcards() {
    let (_users, stage) = stage();
    say(&stage, NORTH, "kept", true);
    say(&stage, SOUTH, "kept", true);
    let (mut north, mut south, mut all) = (come(&stage, "north"), come(&stage, "south"), come(&stage, "all"));
    for reader in [&mut north, &mut south, &mut all] {
        assert!(granted(reader, "rackside/#"));
    }
    assert_eq!(heard(&mut north), entries(&[(NORTH, "kept")]));
    assert_eq!(heard(&mut south), entries(&[(SOUTH, "kept")]));
    assert_eq!(heard(&mut all), entries(&[(NORTH, "kept"), (SOUTH, "kept")]));
    // An agent's own messages and the hub's, to which nobody but the hub may publish.
    all.publish("rackside/1/arena-north/rack-1/data", "reading", QoS::AtLeastOnce, false);
    say(&stage, "rackside/1/arena-south/rack-1/ack", "receipt", false);
    say(&stage, NORTH, "live", false);
    say(&stage, SOUTH, "live", true);
    let (reading, receipt) =
        (("rackside/1/arena-north/rack-1/data", "reading"), ("rackside/1/arena-south/rack-1/ack", "receipt"));
    assert_eq!(heard(&mut north), entries(&[reading, (NORTH, "live")]));
    assert_eq!(heard(&mut south), entries(&[receipt, (SOUTH, "live")]));
}

#[test]
fn a_reader_asks_for_nothing_of_others_and_says_nothing() {
    let (_users, mut stage) = stage();
    let (mut north, mut all) = (come(&stage, "north"), come(&stage, "all"));
    assert!(granted(&mut all, "#"));
    let filters = ["rackside/json/arena-south/#", "rackside/1/arena-south/+/ack", "home/#", "$SYS/#"];
    for filter in filters {
        assert!(!granted(&mut north, filter), "{filter}");
    }
    assert_eq!(stage.stats().of(Reason::ForbiddenSubscription), filters.len() as u64);
    for topic in ["rackside/1/arena-north/rack-1/data", "rackside/1/arena-south/rack-1/data", "home/lamp"] {
        north.publish(topic, "forged", QoS::AtLeastOnce, true);
    }
    assert_eq!(stage.stats().of(Reason::Forbidden), 3);
    let last_will = Some(LastWill::new("home/lamp", "gone", QoS::AtLeastOnce, true));
    let (_, ack) = stage.client_as(&Connect { last_will, ..login("north", "other") });
    assert_eq!(ack.code, Code::NotAuthorized);
    assert_eq!(heard(&mut all), []);
    assert!(stage.ingested_now().is_empty());
    assert_eq!(stage.stats().retained_messages, 0);
}

#[test]
fn a_reader_cannot_have_the_session_of_another_user() {
    let (_users, stage) = stage();
    let kept = |user: &str| Connect { clean_session: false, ..login(user, "panel") };
    let (mut all, _) = stage.client_as(&kept("all"));
    assert!(granted(&mut all, "#"));
    let (_, ack) = stage.client_as(&kept("north"));
    assert_eq!(ack.code, Code::BadClientId, "it is in use");
    all.has_nothing();
    drop(all);
    stage.until("it is away", |stats| stats.sessions_away == 1);
    say(&stage, SOUTH, "for the one who is away", false);
    let (mut north, ack) = stage.client_as(&kept("north"));
    assert_eq!((ack.code, ack.session_present), (Code::Success, false));
    say(&stage, SOUTH, "for nobody", false);
    north.has_nothing();
}

/// What the look at each message costs a reader who may read all of them, beside one who is not looked at.
/// `cargo test --release -p rackside-hub --test listener readers -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn what_a_look_at_each_message_costs() {
    const MESSAGES: usize = 200_000;
    for round in 0..3 {
        for user in ["all", "north"] {
            let (_users, stage) = stage();
            let mut reader = come(&stage, user);
            assert!(granted(&mut reader, "rackside/#"));
            let began = now();
            let mut got = 0;
            for _ in 0..MESSAGES / 1000 {
                for _ in 0..1000 {
                    say(&stage, NORTH, "live", false);
                }
                got += heard(&mut reader).len();
            }
            let each = began.elapsed().as_secs_f64() * 1e9 / MESSAGES as f64;
            println!("round {round}, {user}: {each:.0} ns a message");
            assert!(got <= MESSAGES);
        }
    }
}
