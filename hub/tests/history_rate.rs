//! How many records a second a hub takes over its own listener and writes to its history, and what CPU each costs. A
//! measurement, so not run by default:
//! `cargo test --release -p rackside-hub --test history_rate -- --ignored --nocapture`.
//!
//! 20 agents with 30 series each send at QoS 1 as fast as they are let; all in one process, so the load is included.

mod cpu;
mod desk;
mod rack;

use cpu::cpu;
use desk::Desk;
use rack::{Rack, series};
use rackside_hub::clock;
use rackside_proto::Time;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, Packet, Publish};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

const AGENTS: usize = 20;
const RECORDS: usize = 25_000;
const AT_ONCE: usize = 50;

/// What one agent sends: its catalog, then readings, in pieces of so many packets.
fn packets(agent: usize) -> Vec<Vec<u8>> {
    let mut rack = Rack::new(&format!("site-{agent}"), "rack-1");
    rack.time = Time::Utc { ms: clock::now().utc_ms - 3_600_000 };
    let names: Vec<String> = (0..30).map(|n| format!("rackside_measured_{n}_ratio")).collect();
    let list: Vec<_> = names.iter().map(|name| series(name, &[])).collect();
    let mut sent = vec![rack.catalog(&list)];
    for n in 1..RECORDS as i64 {
        rack.time = rack.time.plus(100);
        sent.push(rack.numbers(&(0..30).map(|at| (n * (at % 7)) % 200).collect::<Vec<_>>()));
    }
    let pieces = sent.chunks(AT_ONCE).map(|piece| {
        let mut bytes = bytes::BytesMut::new();
        for (number, (topic, body)) in piece.iter().enumerate() {
            let pkid = number as u16 + 1;
            let publish = Publish { pkid, ..Publish::new(topic, QoS::AtLeastOnce, body.clone()) };
            Packet::Publish(publish).write(&mut bytes, 65_536).expect("small");
        }
        bytes.to_vec()
    });
    pieces.collect()
}

fn send(address: SocketAddr, agent: usize, pieces: &[Vec<u8>]) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("a fresh socket");
    let mut bytes = bytes::BytesMut::new();
    Packet::Connect(Connect::new(format!("agent-{agent}"))).write(&mut bytes, 1000).expect("small");
    stream.write_all(&bytes).expect("it reads");
    stream.read_exact(&mut [0; 4]).expect("a CONNACK");
    let mut acks = [0; AT_ONCE * 4];
    for piece in pieces {
        stream.write_all(piece).expect("it reads");
        stream.read_exact(&mut acks).expect("it acknowledges");
    }
}

#[test]
#[ignore = "a measurement"]
fn into_history() {
    let desk = Desk::start();
    let all: Vec<_> = (0..AGENTS).map(packets).collect();
    let (began, used) = (clock::now().instant, cpu());
    let address = desk.mqtt();
    std::thread::scope(|scope| {
        for (agent, pieces) in all.iter().enumerate() {
            scope.spawn(move || send(address, agent, pieces));
        }
    });
    let count = (AGENTS * RECORDS) as f64;
    let number = |name: &str| desk.metric(name).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    while number("rackside_hub_history_records_total") < count {
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(
            clock::now().since(began).as_secs() < 60,
            "it takes them all:\n{}",
            desk.get("/health/detailed")
        );
    }
    let took = clock::now().since(began).as_secs_f64();
    println!(
        "into history: {:.0} records/s, {:.2} us CPU each, {:.0} commits of {:.1} ms",
        count / took,
        (cpu() - used) * 1e6 / count,
        number("rackside_hub_history_commits_total"),
        number("rackside_hub_history_commit_seconds_total") * 1e3
            / number("rackside_hub_history_commits_total"),
    );
}
