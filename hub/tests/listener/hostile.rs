//! Clients that mean no good, or are broken: each costs itself its connection, and nobody else anything.

use crate::stage::{Certificate, Raw, Stage, now};
use rackside_config::{Size, Span};
use rackside_hub::listener::{Reason, TlsConfig};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Connect, Packet, Subscribe, SubscribeFilter, SubscribeReasonCode};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

fn connect_bytes(name: &str) -> Vec<u8> {
    let mut bytes = bytes::BytesMut::new();
    Packet::Connect(Connect::new(name)).write(&mut bytes, 1000).expect("small");
    bytes.to_vec()
}

#[test]
fn an_idle_tls_socket_delays_nobody_and_ends() {
    let files = Certificate::new();
    let stage = Stage::with(|config| {
        config.tls = Some(TlsConfig {
            address: None,
            certificate: Some(files.chain.clone()),
            key: Some(files.key.clone()),
        });
        config.limits.handshake_time = Span::milliseconds(6000);
    });
    let idle: Vec<Raw> = (0..20).map(|_| Raw::open(stage.handle.address())).collect();
    stage.until("they stand in the door", |stats| stats.connections == 20);
    let began = now();
    let mut store = rustls::RootCertStore::empty();
    let pem = std::fs::read(&files.chain).expect("readable");
    let certificate = rustls::pki_types::pem::PemObject::from_pem_slice(&pem).expect("PEM");
    store.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let terms = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(store)
        .with_no_client_auth();
    let terms = Arc::new(terms);
    for kind in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let name = "localhost".try_into().expect("a name");
        let mut tls = rustls::ClientConnection::new(Arc::clone(&terms), name).expect("a client");
        let mut socket = TcpStream::connect(stage.handle.address()).expect("it accepts");
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        std::io::Write::write_all(&mut stream, &connect_bytes("agent")).expect("it reads");
        let mut answer = [0; 4];
        std::io::Read::read_exact(&mut stream, &mut answer).expect("it answers");
        assert_eq!(answer, [0x20, 2, 0, 0]);
        assert_eq!(tls.handshake_kind(), Some(kind));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "as long as the idle ones may: {:?}", began.elapsed());
    for raw in idle {
        raw.ends();
    }
    stage.until("each is counted", |stats| stats.of(Reason::Handshake) == 20);
}

#[test]
fn one_packet_of_very_many_filters_stops_nobody() {
    let stage = Stage::new();
    let mut other = stage.client("other");
    for n in 0..2000 {
        other.publish(&format!("fleet/{n}/x"), "kept", QoS::AtMostOnce, true);
    }
    stage.until("they are kept", |stats| stats.retained_messages == 2000);
    let mut hostile = stage.client("hostile");
    // Each time, all that is kept would have to be looked through.
    let filter = SubscribeFilter::new("+/+/n".to_owned(), QoS::AtMostOnce);
    hostile.send(&Packet::Subscribe(Subscribe { pkid: 7, filters: vec![filter; 30_000] }));
    std::thread::sleep(Duration::from_millis(50));
    let began = now();
    other.publish("news", "for everybody", QoS::AtLeastOnce, true);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    let Packet::SubAck(answer) = hostile.receive() else { panic!("no SUBACK") };
    let granted = answer.return_codes.iter().filter(|code| **code != SubscribeReasonCode::Failure).count();
    assert_eq!((answer.return_codes.len(), granted), (30_000, 200));
}

#[test]
fn a_connect_byte_by_byte_works_and_none_at_all_ends() {
    let stage = Stage::with(|config| config.limits.connect_time = Span::milliseconds(600));
    let silent = Raw::open(stage.handle.address());
    let mut slow = Raw::open(stage.handle.address());
    for byte in connect_bytes("slow") {
        slow.write(&[byte]);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(matches!(slow.receive(), Packet::ConnAck(_)));
    let mut half = Raw::open(stage.handle.address());
    half.write(&connect_bytes("half")[..9]);
    silent.ends();
    half.ends();
    assert_eq!(stage.stats().of(Reason::ConnectTimeout), 2);
    slow.has_nothing();
}

#[test]
fn half_a_packet_ends_in_time_however_it_drips() {
    let stage = Stage::with(|config| config.limits.packet_time = Span::milliseconds(400));
    let mut half = stage.client("half");
    half.write(&[0x30, 100, 0, 1, b'a', 1, 2, 3]);
    half.ends();
    let mut drip = stage.client("drip");
    drip.write(&[0x30, 0xff, 0x01, 0, 1, b'a']);
    let began = now();
    // Until the listener has had enough, which shows as an error on writing.
    while std::io::Write::write_all(&mut drip.stream, b"x").is_ok() {
        assert!(began.elapsed() < Duration::from_secs(5), "it drips for ever");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(stage.stats().of(Reason::PacketTimeout), 2);
}

#[test]
fn an_endless_packet_ends_at_its_header() {
    let stage = Stage::with(|config| config.limits.packet = Size::kibibytes(64));
    let mut watcher = stage.subscriber("watcher", "a", QoS::AtMostOnce);
    let mut endless = stage.client("endless");
    endless.write(&[0x30, 0xff, 0xff, 0xff, 0x7f]);
    endless.ends();
    let mut large = stage.client("large");
    large.publish("a", vec![7; 64 * 1024 - 3], QoS::AtMostOnce, false);
    assert_eq!(watcher.message().payload.len(), 64 * 1024 - 3);
    large.publish("a", vec![7; 64 * 1024 - 2], QoS::AtMostOnce, false);
    large.ends();
    assert_eq!(stage.stats().of(Reason::PacketTooLarge), 2);
    watcher.has_nothing();
}

#[test]
fn three_hundred_kilobytes_are_refused_by_default() {
    let mut stage = Stage::new();
    let mut agent = stage.client("agent");
    agent.publish("rackside/1/a/b/birth", vec![7; 256 * 1024], QoS::AtLeastOnce, false);
    assert_eq!(stage.ingested()[0].payload.len(), 256 * 1024);
    let mut large = bytes::BytesMut::new();
    let publish =
        rumqttc::mqttbytes::v4::Publish::new("rackside/1/a/b/birth", QoS::AtMostOnce, vec![7; 300_000]);
    publish.write(&mut large).expect("it can be written");
    // The listener closes at the header; the rest may not get through.
    let _ = std::io::Write::write_all(&mut agent.stream, &large);
    agent.ends();
    assert_eq!(stage.stats().of(Reason::PacketTooLarge), 1);
    assert!(stage.ingested_now().is_empty());
}

#[test]
fn garbage_ends_its_connection_only() {
    let stage = Stage::new();
    let mut well = stage.subscriber("well", "a", QoS::AtMostOnce);
    let mut seed = 0x9e37_79b9_u32;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as u8
    };
    for round in 0..200 {
        let mut raw =
            if round % 2 == 0 { Raw::open(stage.handle.address()) } else { stage.client("garbage") };
        let bytes: Vec<u8> = (0..300).map(|_| random()).collect();
        let _ = std::io::Write::write_all(&mut raw.stream, &bytes);
        let _ = raw.stream.shutdown(std::net::Shutdown::Write);
        raw.ends();
    }
    for text in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x10\x00"]
    {
        let mut raw = Raw::open(stage.handle.address());
        raw.write(text);
        raw.ends();
    }
    well.publish("a", "x", QoS::AtMostOnce, false);
    assert_eq!(well.message().payload, "x");
    stage.until("all have left", |stats| stats.connections == 1);
    assert!(stage.stats().of(Reason::Malformed) > 100);
}

#[test]
fn a_subscriber_that_never_reads_costs_the_others_nothing() {
    let stage = Stage::with(|config| {
        config.limits.write_stall = Span::milliseconds(1500);
        config.limits.queue_messages = 100;
    });
    let stuck = stage.subscriber("stuck", "a", QoS::AtMostOnce);
    let mut reader = stage.subscriber("reader", "a", QoS::AtLeastOnce);
    let mut publisher = stage.client("publisher");
    let payload = vec![7; 50_000];
    let mut count = 0_u32;
    while stage.stats().of(Reason::WriteStall) == 0 {
        publisher.publish("a", payload.clone(), QoS::AtLeastOnce, false);
        let message = reader.message();
        assert_eq!(message.payload, payload);
        reader.send(&Packet::PubAck(rumqttc::mqttbytes::v4::PubAck::new(message.pkid)));
        count += 1;
        assert!(count < 100_000, "it is never cut off");
    }
    stage.until("it has left", |stats| stats.clients == 2);
    let stats = stage.stats();
    assert!(stats.of(Reason::QueueFull) > 0, "its own messages were lost first");
    assert_eq!(stats.of(Reason::QueueOverflow), 0);
    drop(stuck);
}

#[test]
fn a_subscriber_that_never_acknowledges_loses_its_connection() {
    let stage = Stage::with(|config| {
        config.limits.queue_messages = 50;
        config.limits.inflight = 10;
    });
    let stuck = stage.subscriber("stuck", "a", QoS::AtLeastOnce);
    let mut publisher = stage.client("publisher");
    for _ in 0..61 {
        publisher.publish("a", "x", QoS::AtLeastOnce, false);
    }
    stuck.ends();
    assert_eq!(stage.stats().of(Reason::QueueOverflow), 1);
    publisher.has_nothing();
}

#[test]
fn one_address_cannot_take_every_place() {
    let stage = Stage::with(|config| config.limits.clients_per_address = 3);
    let inside: Vec<Raw> = (0..3).map(|_| Raw::open(stage.handle.address())).collect();
    Raw::open(stage.handle.address()).ends();
    assert_eq!(stage.stats().of(Reason::TooManyFromAddress), 1);
    drop(inside);
    stage.until("they left", |stats| stats.connections == 0);
    stage.client("again").has_nothing();
}
