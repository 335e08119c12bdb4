//! What clients cannot be made to do: every refusal's code, redelivery, keepalive, names, back-pressure.

use crate::stage::{PATIENCE, Raw, Stage, now, users};
use rackside_hub::inbound::{Outbound, Outlet as _, Via};
use rackside_hub::listener::Reason;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{
    self, Connect, ConnectReturnCode as Code, LastWill, Packet, Publish, Subscribe,
};
use std::sync::{Arc, Barrier};
use std::time::Duration;

fn kept(name: &str) -> Connect {
    Connect { clean_session: false, ..Connect::new(name) }
}

fn with_will(name: &str, topic: &str) -> Connect {
    let last_will = Some(LastWill::new(topic, "gone", QoS::AtLeastOnce, false));
    Connect { last_will, ..Connect::new(name) }
}

#[test]
fn what_is_unacknowledged_comes_again_with_dup_in_the_same_session() {
    let stage = Stage::new();
    let (mut reader, ack) = stage.client_as(&kept("reader"));
    assert_eq!((ack.code, ack.session_present), (Code::Success, false));
    reader.subscribe("a", QoS::AtLeastOnce);
    let mut publisher = stage.client("publisher");
    for text in ["one", "two", "three"] {
        publisher.publish("a", text, QoS::AtLeastOnce, false);
    }
    let sent: Vec<Publish> = (0..3).map(|_| reader.message()).collect();
    assert!(sent.iter().all(|publish| !publish.dup));
    reader.send(&Packet::PubAck(v4::PubAck::new(sent[1].pkid)));
    reader.has_nothing();
    drop(reader);
    stage.until("it is away", |stats| stats.sessions_away == 1);
    publisher.publish("a", "four", QoS::AtLeastOnce, false);
    let (mut reader, ack) = stage.client_as(&kept("reader"));
    assert!(ack.session_present);
    let again: Vec<Publish> = (0..3).map(|_| reader.message()).collect();
    let marks: Vec<_> =
        again.iter().map(|publish| (publish.pkid, publish.dup, &publish.payload[..])).collect();
    let [one, three] = [sent[0].pkid, sent[2].pkid];
    assert_eq!(marks[..2], [(one, true, &b"one"[..]), (three, true, &b"three"[..])]);
    assert_eq!((marks[2].1, marks[2].2), (false, &b"four"[..]));
}

#[test]
fn each_refusal_has_its_code() {
    let file = users("rack", "right");
    let stage = Stage::with(|config| {
        config.users = Some(file.path().to_owned());
        config.limits.clients = 1;
        config.limits.client_id_length = 30;
    });
    let login = |connect: Connect, password: &str| {
        let mut connect = connect;
        connect.set_login("rack", password);
        connect
    };
    let code = |connect: Connect| {
        let (raw, ack) = stage.client_as(&connect);
        raw.ends();
        assert!(!ack.session_present);
        ack.code
    };
    assert_eq!(code(login(Connect::new("a"), "wrong")), Code::BadUserNamePassword);
    assert_eq!(code(Connect::new("a")), Code::NotAuthorized);
    for forbidden in ["rackside/1/a/b/ack", "$SYS/x", "rackside/json/x"] {
        assert_eq!(code(login(with_will("a", forbidden), "right")), Code::NotAuthorized, "{forbidden}");
    }
    assert_eq!(code(login(kept(""), "right")), Code::BadClientId);
    assert_eq!(code(login(Connect::new("x".repeat(31)), "right")), Code::BadClientId);
    assert_eq!(code(login(Connect::new("a\0b"), "right")), Code::BadClientId);
    let (_inside, ack) = stage.client_as(&login(Connect::new("inside"), "right"));
    assert_eq!(ack.code, Code::Success);
    assert_eq!(code(login(Connect::new("another"), "right")), Code::ServiceUnavailable);
    let mut v5 = Raw::open(stage.handle.address());
    v5.write(b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x05\x11\x00\x00\x00\x0a\x00\x00");
    assert!(matches!(v5.receive(), Packet::ConnAck(ack) if ack.code == Code::RefusedProtocolVersion));
    v5.ends();
    let stats = stage.stats();
    let counts =
        [Reason::BadLogin, Reason::NotAuthorized, Reason::ClientId, Reason::TooManyClients, Reason::Protocol];
    assert_eq!(counts.map(|reason| stats.of(reason)), [1, 4, 3, 1, 1]);
}

#[test]
fn an_anonymous_client_comes_in_beside_users_only_if_told_so() {
    let file = users("rack", "right");
    let stage = Stage::with(|config| {
        config.users = Some(file.path().to_owned());
        config.allow_anonymous = true;
    });
    assert_eq!(stage.client_as(&Connect::new("a")).1.code, Code::Success);
    let mut wrong = Connect::new("b");
    wrong.set_login("rack", "wrong");
    assert_eq!(stage.client_as(&wrong).1.code, Code::BadUserNamePassword);
}

#[test]
fn clients_without_a_name_are_told_apart() {
    let stage = Stage::new();
    let (mut first, ack) = stage.client_as(&Connect::new(""));
    let (mut second, _) = stage.client_as(&Connect::new(""));
    assert_eq!(ack.code, Code::Success);
    first.has_nothing();
    second.has_nothing();
    assert_eq!(stage.stats().clients, 2);
}

#[test]
fn a_silent_client_ends_after_one_and_a_half_keepalives_with_its_will() {
    let mut stage = Stage::new();
    let mut watcher = stage.subscriber("watcher", "rackside/#", QoS::AtLeastOnce);
    let (silent, _) =
        stage.client_as(&Connect { keep_alive: 1, ..with_will("silent", "rackside/1/a/b/presence") });
    let (mut lively, _) = stage.client_as(&Connect { keep_alive: 1, ..Connect::new("lively") });
    let began = now();
    while stage.stats().of(Reason::KeepAlive) == 0 {
        lively.has_nothing();
        std::thread::sleep(Duration::from_millis(100));
    }
    let took = began.elapsed();
    assert!(took > Duration::from_millis(1300) && took < Duration::from_millis(2500), "{took:?}");
    assert_eq!(watcher.message().payload, "gone");
    let will = stage.ingested().remove(0);
    assert_eq!((&*will.topic, &will.payload[..]), ("rackside/1/a/b/presence", &b"gone"[..]));
    assert!(matches!(will.via, Via::Listener { connection: 2 }));
    silent.ends();
    lively.has_nothing();
}

#[test]
fn a_clean_disconnect_leaves_no_will_and_a_broken_packet_does() {
    let stage = Stage::new();
    let mut watcher = stage.subscriber("watcher", "will/#", QoS::AtLeastOnce);
    let (mut polite, _) = stage.client_as(&with_will("polite", "will/polite"));
    polite.send(&Packet::Disconnect);
    polite.ends();
    let (mut broken, _) = stage.client_as(&with_will("broken", "will/broken"));
    broken.write(&[0xf0, 0]);
    broken.ends();
    assert_eq!(watcher.message().topic, "will/broken");
    watcher.has_nothing();
}

#[test]
fn a_taken_over_client_is_closed_and_the_new_one_works() {
    let stage = Stage::new();
    let mut watcher = stage.subscriber("watcher", "will/#", QoS::AtLeastOnce);
    let (first, _) = stage.client_as(&with_will("rack", "will/rack"));
    let mut second = stage.subscriber("rack", "a", QoS::AtMostOnce);
    first.ends();
    assert_eq!(watcher.message().topic, "will/rack");
    watcher.publish("a", "x", QoS::AtMostOnce, false);
    assert_eq!(second.message().payload, "x");
    watcher.has_nothing();
    assert_eq!((stage.stats().clients, stage.stats().of(Reason::TakenOver)), (2, 1));
}

#[test]
fn filters_that_cannot_be_are_refused_one_by_one() {
    let stage = Stage::with(|config| config.limits.subscriptions = 2);
    let mut client = stage.client("a");
    let filter = |path: &str| v4::SubscribeFilter::new(path.into(), QoS::ExactlyOnce);
    let filters = ["a", "a/#/b", "b", "c", "a"].map(filter).to_vec();
    client.send(&Packet::Subscribe(Subscribe { pkid: 3, filters }));
    let Packet::SubAck(ack) = client.receive() else { panic!("not a SUBACK") };
    let (yes, no) = (v4::SubscribeReasonCode::Success(QoS::AtLeastOnce), v4::SubscribeReasonCode::Failure);
    assert_eq!(ack.return_codes, [yes, no, yes, no, yes]);
    client.send(&Packet::Unsubscribe(v4::Unsubscribe { pkid: 4, topics: vec!["a".into(), "never".into()] }));
    assert_eq!(client.receive(), Packet::UnsubAck(v4::UnsubAck { pkid: 4 }));
    assert_eq!(stage.stats().subscriptions, 1);
}

#[test]
fn publishes_of_one_write_are_one_batch_for_ingest() {
    let mut stage = Stage::new();
    let mut agent = stage.client("agent");
    let mut bytes = bytes::BytesMut::new();
    for (pkid, topic) in [(1, "rackside/1/a/b/data"), (2, "elsewhere"), (3, "rackside/1/a/b/event")] {
        let publish = Publish { pkid, ..Publish::new(topic, QoS::AtLeastOnce, "x") };
        Packet::Publish(publish).write(&mut bytes, 1000).expect("small");
    }
    agent.write(&bytes);
    for pkid in 1..=3 {
        assert_eq!(agent.receive(), Packet::PubAck(v4::PubAck { pkid }));
    }
    let topics: Vec<String> = stage.ingested().into_iter().map(|inbound| inbound.topic).collect();
    assert_eq!(topics, ["rackside/1/a/b/data", "rackside/1/a/b/event"]);
}

#[test]
fn a_full_ingest_holds_back_its_publisher_and_nobody_else() {
    let mut stage = Stage::with_room(1, |_| ());
    let mut agent = stage.client("agent");
    agent.publish("rackside/1/a/b/data", "one", QoS::AtLeastOnce, false);
    agent.send(&Packet::Publish(Publish {
        pkid: 2,
        ..Publish::new("rackside/1/a/b/data", QoS::AtLeastOnce, "two")
    }));
    agent.stream.set_read_timeout(Some(Duration::from_millis(200))).expect("not zero");
    let early = std::io::Read::read(&mut agent.stream, &mut [0; 10]);
    assert!(early.is_err(), "no PUBACK before ingest has the message");
    agent.stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let mut reader = stage.subscriber("reader", "a", QoS::AtMostOnce);
    reader.publish("a", "x", QoS::AtLeastOnce, false);
    assert_eq!(reader.message().payload, "x");
    assert_eq!(stage.ingested()[0].payload, "one");
    assert_eq!(agent.receive(), Packet::PubAck(v4::PubAck { pkid: 2 }));
    assert_eq!(stage.ingested()[0].payload, "two");
}

#[test]
fn the_mirror_is_asked_for_only_while_somebody_listens() {
    let stage = Stage::new();
    let mut changes = stage.handle.mirror_changes();
    assert!(!*changes.borrow_and_update());
    let mut reader = stage.subscriber("reader", "rackside/json/#", QoS::AtMostOnce);
    assert!(stage.handle.mirror_wanted() && *changes.borrow_and_update());
    let said = Outbound { topic: "rackside/json/a/b/data".into(), payload: "{}".into(), retain: true };
    stage.handle.publish(said);
    assert_eq!(reader.message().payload, "{}");
    drop(reader);
    stage.until("nobody listens", |_| !stage.handle.mirror_wanted());
    assert!(changes.has_changed().expect("the listener runs"));
}

#[test]
fn a_session_away_for_too_long_is_forgotten() {
    let stage = Stage::with(|config| config.limits.session_age = rackside_config::Span::milliseconds(200));
    let (mut reader, _) = stage.client_as(&kept("reader"));
    reader.subscribe("a", QoS::AtLeastOnce);
    drop(reader);
    stage.until("it is forgotten", |stats| stats.of(Reason::SessionExpired) == 1);
    assert_eq!(stage.stats().subscriptions, 0);
    assert!(!stage.client_as(&kept("reader")).1.session_present);
}

#[test]
fn what_waits_when_the_listener_stops_is_still_delivered() {
    // Which of the two, connection or listener, has its turn first is the runtime's choice.
    for _ in 0..20 {
        let stage = Stage::new();
        let mut reader = stage.subscriber("reader", "a", QoS::AtLeastOnce);
        // Both of the runtime's threads are held, so that nobody has a turn between the stop and the message.
        let held = Arc::new(Barrier::new(3));
        let released = Arc::new(Barrier::new(3));
        for _ in 0..2 {
            let (held, released) = (Arc::clone(&held), Arc::clone(&released));
            stage.runtime.spawn(async move {
                held.wait();
                released.wait();
            });
        }
        held.wait();
        stage.stop.send_replace(true);
        stage.handle.publish(Outbound { topic: "a".into(), payload: "last".into(), retain: false });
        released.wait();
        assert_eq!(&reader.message().payload[..], b"last");
        reader.ends();
    }
}
