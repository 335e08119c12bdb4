//! A link against brokers made of packets: what it says, what it takes, when it gives up.

use super::*;
use crate::{Login, Will};
use rumqttc::mqttbytes::v4::{PubRec, PubRel};

const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "a test's time has to begin somewhere")]
fn start() -> Instant {
    Instant::now()
}

/// The broker's side: takes what the link wrote, as packets.
fn sent(link: &mut Link) -> Vec<Packet> {
    let mut bytes = BytesMut::from(link.output());
    link.written(bytes.len());
    std::iter::from_fn(|| (!bytes.is_empty()).then(|| Packet::read(&mut bytes, 1 << 20).unwrap())).collect()
}

fn answer(link: &mut Link, packet: &Packet, now: Instant) -> Result<(), LinkError> {
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes, 1 << 20).unwrap();
    link.receive(&bytes, now)
}

fn connack(code: ConnectReturnCode) -> Packet {
    Packet::ConnAck(ConnAck::new(code, false))
}

fn connected(options: &Options, now: Instant) -> Link {
    let mut link = Link::new(options, now);
    sent(&mut link);
    answer(&mut link, &connack(ConnectReturnCode::Success), now).unwrap();
    assert_eq!(link.next_event(), Some(LinkEvent::Connected));
    link
}

fn publish(link: &mut Link, now: Instant) -> Result<(), LinkError> {
    link.publish("t", Bytes::from_static(b"x"), Qos::AtLeastOnce, false, now)
}

#[test]
fn connect_carries_login_will_and_keep_alive() {
    let mut options = Options::new("a/b/1");
    options.login = Some(Login { user: "u".into(), password: "p".into() });
    options.will = Some(Will { topic: "w".into(), payload: Bytes::from_static(b"gone"), retain: true });
    let mut link = Link::new(&options, start());
    let Some(Packet::Connect(connect)) = sent(&mut link).pop() else { panic!("a CONNECT") };
    assert_eq!((connect.client_id.as_str(), connect.keep_alive, connect.clean_session), ("a/b/1", 5, true));
    let login = connect.login.unwrap();
    assert_eq!((login.username.as_str(), login.password.as_str()), ("u", "p"));
    let will = connect.last_will.unwrap();
    assert!(will.retain);
    assert_eq!((will.topic.as_str(), &will.message[..]), ("w", &b"gone"[..]));
}

#[test]
fn debug_of_options_hides_the_password() {
    let mut options = Options::new("a");
    options.login = Some(Login { user: "u".into(), password: "hunter2".into() });
    assert!(!format!("{options:?}").contains("hunter2"));
}

#[test]
fn nothing_is_published_before_connack() {
    let mut link = Link::new(&Options::new("a"), start());
    assert!(!link.may_publish());
    assert_eq!(publish(&mut link, start()), Err(LinkError::Busy));
    assert_eq!(link.subscribe(&[("t", Qos::AtLeastOnce)], start()), Err(LinkError::Busy));
}

#[test]
fn each_refusal_has_its_name() {
    for (code, refusal) in [
        (ConnectReturnCode::RefusedProtocolVersion, Refusal::ProtocolVersion),
        (ConnectReturnCode::BadClientId, Refusal::ClientId),
        (ConnectReturnCode::ServiceUnavailable, Refusal::Unavailable),
        (ConnectReturnCode::BadUserNamePassword, Refusal::BadLogin),
        (ConnectReturnCode::NotAuthorized, Refusal::NotAuthorized),
    ] {
        let mut link = Link::new(&Options::new("a"), start());
        sent(&mut link);
        assert_eq!(answer(&mut link, &connack(code), start()), Err(LinkError::Refused(refusal)));
        assert!(!link.may_publish());
    }
}

#[test]
fn never_more_in_flight_than_allowed() {
    let now = start();
    let mut options = Options::new("a");
    options.max_inflight = 3;
    let mut link = connected(&options, now);
    for _ in 0..3 {
        publish(&mut link, now).unwrap();
    }
    assert!(!link.may_publish());
    assert_eq!(publish(&mut link, now), Err(LinkError::Busy));
    answer(&mut link, &Packet::PubAck(PubAck::new(1)), now).unwrap();
    assert_eq!(link.next_event(), Some(LinkEvent::Acked));
    publish(&mut link, now).unwrap();
}

#[test]
fn acks_out_of_order_lose_no_message() {
    let now = start();
    let mut options = Options::new("a");
    options.max_inflight = 3;
    let mut link = connected(&options, now);
    for body in ["a", "b", "c"] {
        link.publish("t", Bytes::from_static(body.as_bytes()), Qos::AtLeastOnce, false, now).unwrap();
    }
    // Packet id 2 is free, but the next id in the circle is 1, which is still taken.
    answer(&mut link, &Packet::PubAck(PubAck::new(2)), now).unwrap();
    link.publish("t", Bytes::from_static(b"d"), Qos::AtLeastOnce, false, now).unwrap();
    assert!(!link.may_publish(), "one message waits for its id: another would overwrite it");
    answer(&mut link, &Packet::PubAck(PubAck::new(1)), now).unwrap();
    let bodies: Vec<_> = sent(&mut link)
        .into_iter()
        .map(|packet| match packet {
            Packet::Publish(publish) => publish.payload,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(bodies, ["a", "b", "c", "d"]);
}

#[test]
fn a_puback_nobody_asked_for_ends_the_link() {
    let now = start();
    let mut link = connected(&Options::new("a"), now);
    let error = answer(&mut link, &Packet::PubAck(PubAck::new(9)), now).unwrap_err();
    assert!(matches!(error, LinkError::Protocol(_)), "{error}");
}

#[test]
fn a_message_in_pieces_comes_out_whole_and_is_acknowledged() {
    let now = start();
    let mut link = connected(&Options::new("a"), now);
    let mut publish = Publish::new("t", rumqttc::QoS::AtLeastOnce, vec![7; 300]);
    publish.pkid = 5;
    let mut bytes = BytesMut::new();
    Packet::Publish(publish).write(&mut bytes, 1 << 20).unwrap();
    for byte in &bytes {
        assert_eq!(link.next_event(), None);
        link.receive(&[*byte], now).unwrap();
    }
    let Some(LinkEvent::Message { topic, payload, retained }) = link.next_event() else {
        panic!("a message")
    };
    assert_eq!((topic.as_str(), payload.len(), retained), ("t", 300, false));
    assert_eq!(sent(&mut link), [Packet::PubAck(PubAck::new(5))]);
}

#[test]
fn a_qos_2_message_is_answered_to_its_end() {
    let now = start();
    let mut link = connected(&Options::new("a"), now);
    let mut publish = Publish::new("t", rumqttc::QoS::ExactlyOnce, vec![1]);
    publish.pkid = 5;
    answer(&mut link, &Packet::Publish(publish), now).unwrap();
    assert_eq!(sent(&mut link), [Packet::PubRec(PubRec::new(5))]);
    answer(&mut link, &Packet::PubRel(PubRel::new(5)), now).unwrap();
    assert!(matches!(sent(&mut link)[..], [Packet::PubComp(_)]));
}

#[test]
fn a_refused_filter_is_named() {
    let now = start();
    let mut link = connected(&Options::new("a"), now);
    link.subscribe(&[("yes", Qos::AtLeastOnce), ("no", Qos::AtMostOnce)], now).unwrap();
    let Some(Packet::Subscribe(subscribe)) = sent(&mut link).pop() else { panic!("a SUBSCRIBE") };
    let codes = vec![SubscribeReasonCode::Success(rumqttc::QoS::AtLeastOnce), SubscribeReasonCode::Failure];
    answer(&mut link, &Packet::SubAck(SubAck::new(subscribe.pkid, codes)), now).unwrap();
    assert_eq!(link.next_event(), Some(LinkEvent::Subscribed { refused: vec!["no".into()] }));
}

#[test]
fn a_quiet_peer_is_asked_and_a_silent_one_is_gone_within_the_keep_alive() {
    let now = start();
    let mut link = connected(&Options::new("a"), now);
    assert_eq!(link.deadline(), now + 3 * SECOND + SECOND / 2);
    link.handle_timeout(now + 3 * SECOND).unwrap();
    assert_eq!(sent(&mut link), []);
    link.handle_timeout(now + 4 * SECOND).unwrap();
    assert_eq!(sent(&mut link), [Packet::PingReq]);
    assert_eq!(link.deadline(), now + 7 * SECOND);
    assert_eq!(link.handle_timeout(now + 7 * SECOND), Err(LinkError::Silent(7 * SECOND)));
}

#[test]
fn a_ping_that_is_answered_keeps_the_link() {
    let now = start();
    let mut link = connected(&Options::new("a"), now);
    link.handle_timeout(now + 4 * SECOND).unwrap();
    answer(&mut link, &Packet::PingResp, now + 5 * SECOND).unwrap();
    link.handle_timeout(now + 7 * SECOND).unwrap();
    assert!(link.may_publish());
}

#[test]
fn a_broker_that_only_talks_hears_from_us_too() {
    let now = start();
    let mut link = connected(&Options::new("a"), now);
    let publish = Packet::Publish(Publish::new("t", rumqttc::QoS::AtMostOnce, vec![1]));
    for second in 1..=4 {
        answer(&mut link, &publish, now + second * SECOND).unwrap();
        link.handle_timeout(now + second * SECOND).unwrap();
    }
    assert_eq!(sent(&mut link), [Packet::PingReq]);
}

#[test]
fn a_greeting_without_answer_times_out() {
    let now = start();
    let mut link = Link::new(&Options::new("a"), now);
    link.handle_timeout(now + 9 * SECOND).unwrap();
    assert_eq!(link.handle_timeout(now + 10 * SECOND), Err(LinkError::NoAnswer(10 * SECOND)));
}

#[test]
fn a_greeting_that_is_answered_drop_by_drop_times_out_all_the_same() {
    let now = start();
    let mut link = Link::new(&Options::new("a"), now);
    sent(&mut link);
    for (second, byte) in [0x20, 0x80, 0x80].into_iter().enumerate() {
        link.receive(&[byte], now + 4 * second as u32 * SECOND).unwrap();
    }
    assert_eq!(link.handle_timeout(now + 10 * SECOND), Err(LinkError::NoAnswer(10 * SECOND)));
}

#[test]
fn too_large_a_message_leaves_the_link_as_it_was() {
    let now = start();
    let mut options = Options::new("a");
    options.max_packet = 100;
    let mut link = connected(&options, now);
    let error = link.publish("t", Bytes::from(vec![0; 100]), Qos::AtLeastOnce, false, now).unwrap_err();
    assert_eq!(error, LinkError::TooLarge { size: 110, limit: 100 });
    assert_eq!(link.inflight(), 0);
    publish(&mut link, now).unwrap();
}

#[test]
fn an_oversized_message_is_read_past_and_acknowledged() {
    let now = start();
    let mut options = Options::new("a");
    options.max_packet = 100;
    let mut stream = BytesMut::new();
    for (qos, pkid) in [(rumqttc::QoS::AtLeastOnce, 5), (rumqttc::QoS::AtMostOnce, 0)] {
        let mut large = Publish::new("large", qos, vec![0x30; 300]);
        large.pkid = pkid;
        Packet::Publish(large).write(&mut stream, 1 << 20).unwrap();
    }
    Packet::Publish(Publish::new("small", rumqttc::QoS::AtMostOnce, vec![1]))
        .write(&mut stream, 100)
        .unwrap();
    for piece in [1, 2, 7, 64, 1000] {
        let mut link = connected(&options, now);
        for bytes in stream.chunks(piece) {
            link.receive(bytes, now).unwrap();
        }
        let oversized = |size| Some(LinkEvent::Oversized { topic: "large".into(), size });
        assert_eq!(link.next_event(), oversized(312));
        assert_eq!(link.next_event(), oversized(310));
        assert!(matches!(link.next_event(), Some(LinkEvent::Message { topic, .. }) if topic == "small"));
        assert_eq!(sent(&mut link), [Packet::PubAck(PubAck::new(5))]);
    }
}

#[test]
fn an_oversized_message_counts_only_while_connected() {
    let now = start();
    let mut options = Options::new("a");
    options.max_packet = 100;
    let mut bytes = BytesMut::new();
    let mut large = Publish::new("large", rumqttc::QoS::AtLeastOnce, vec![0x30; 300]);
    large.pkid = 5;
    Packet::Publish(large).write(&mut bytes, 1 << 20).unwrap();

    let mut early = Link::new(&options, now);
    let error = early.receive(&bytes, now).unwrap_err();
    assert_eq!(error, LinkError::Protocol("PUBLISH before CONNACK".into()));

    let mut late = connected(&options, now);
    late.disconnect(now).unwrap();
    late.receive(&bytes, now).unwrap();
    assert_eq!((sent(&mut late), late.next_event()), (vec![Packet::Disconnect], None));
}

#[test]
fn an_oversized_packet_that_is_no_message_ends_the_link() {
    let now = start();
    let mut options = Options::new("a");
    options.max_packet = 100;
    for first in [0x90, 0x34, 0x36] {
        let mut link = connected(&options, now);
        let error = link.receive(&[first, 0xff, 0x7f, 0, 1], now).unwrap_err();
        assert_eq!(error, LinkError::TooLarge { size: 16_383, limit: 100 });
    }
}

#[test]
fn a_clean_goodbye_ends_with_disconnect() {
    let now = start();
    let mut link = connected(&Options::new("a"), now);
    publish(&mut link, now).unwrap();
    link.disconnect(now).unwrap();
    assert!(matches!(sent(&mut link)[..], [Packet::Publish(_), Packet::Disconnect]));
    assert!(!link.may_publish());
}

#[test]
fn what_a_broker_never_sends_is_an_error_and_no_panic() {
    let now = start();
    for bytes in [&[0x10, 0][..], &[0x82, 3, 0, 1, 0], &[0xC0, 0], &[0xE0, 0], &[0xFF; 9], &[0x30, 1, 0]] {
        let mut link = connected(&Options::new("a"), now);
        assert!(matches!(link.receive(bytes, now), Err(LinkError::Protocol(_))), "{bytes:?}");
    }
}
