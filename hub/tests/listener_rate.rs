//! How many messages per second go through the listener, and what CPU each costs. Measurements, so not run by default:
//! `cargo test --release -p rackside-hub --test listener_rate -- --ignored --nocapture --test-threads=1`.
//!
//! The load's own CPU is kept small (packets made beforehand, written and read in large pieces) and is included.

mod cpu;
#[path = "listener/stage.rs"]
#[expect(dead_code, reason = "made for the other listener tests; this one needs a part of it")]
mod stage;

use bytes::BytesMut;
use cpu::cpu;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Packet, Publish};
use stage::{Raw, Stage, now};
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use tokio::sync::mpsc;

const PUBLISHERS: usize = 20;
const MESSAGES: usize = 100_000;

fn publishes(topic: &str, qos: QoS, count: usize) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    for number in 0..count {
        let pkid = if qos == QoS::AtMostOnce { 0 } else { (number % 1000) as u16 + 1 };
        let publish = Publish { pkid, ..Publish::new(topic, qos, vec![7; 100]) };
        Packet::Publish(publish).write(&mut bytes, 1000).expect("small");
    }
    bytes.to_vec()
}

/// Publishes from many clients; returns when each has its acknowledgements.
fn load(stage: &Stage, topic: impl Fn(usize) -> String, qos: QoS, at_once: usize) {
    let clients: Vec<_> = (0..PUBLISHERS).map(|n| (stage.client(&format!("load-{n}")), topic(n))).collect();
    thread::scope(|scope| {
        for (client, topic) in clients {
            scope.spawn(move || send(client, &publishes(&topic, qos, at_once), qos, at_once));
        }
    });
}

fn send(mut client: Raw, piece: &[u8], qos: QoS, at_once: usize) {
    let mut acks = vec![0; at_once * 4];
    for _ in 0..MESSAGES / at_once {
        client.stream.write_all(piece).expect("it reads");
        if qos == QoS::AtLeastOnce {
            client.stream.read_exact(&mut acks).expect("it acknowledges");
        }
    }
    client.has_nothing();
}

fn measure(what: &str, run: impl FnOnce()) {
    let (began, used) = (now(), cpu());
    run();
    let count = (PUBLISHERS * MESSAGES) as f64;
    let (took, used) = (began.elapsed().as_secs_f64(), cpu() - used);
    println!("{what}: {:.0} messages/s, {:.2} us CPU each", count / took, used * 1e6 / count);
}

#[test]
#[ignore = "a measurement"]
fn into_ingest() {
    for (what, qos, at_once) in [
        ("QoS 0, 50 a write", QoS::AtMostOnce, 50),
        ("QoS 1, 50 a write", QoS::AtLeastOnce, 50),
        ("QoS 1, 1 a write", QoS::AtLeastOnce, 1),
    ] {
        let mut stage = Stage::new();
        let mut inbound = std::mem::replace(&mut stage.inbound, mpsc::channel(1).1);
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        stage.runtime.spawn(async move {
            while let Some(batch) = inbound.recv().await {
                counted.fetch_add(batch.len(), Relaxed);
            }
        });
        measure(&format!("into ingest, {what}"), || {
            load(&stage, |n| format!("rackside/1/site-{n}/rack-1/data"), qos, at_once);
        });
        stage.until("ingest has them all", |_| count.load(Relaxed) == PUBLISHERS * MESSAGES);
    }
}

#[test]
#[ignore = "a measurement"]
fn to_one_subscriber() {
    let stage = Stage::with(|config| {
        config.limits.queue_messages = PUBLISHERS * MESSAGES;
        config.limits.queue_bytes = rackside_config::Size::mebibytes(4096);
    });
    let mut reader = stage.subscriber("reader", "load/#", QoS::AtMostOnce);
    let size = publishes("load/00", QoS::AtMostOnce, 1).len();
    let drain = thread::spawn(move || {
        let (mut left, mut piece) = (PUBLISHERS * MESSAGES * size, vec![0; 1 << 18]);
        while left > 0 {
            left -= reader.stream.read(&mut piece).expect("messages");
        }
    });
    measure("to one subscriber, QoS 0, 50 a write", || {
        load(&stage, |n| format!("load/{n:02}"), QoS::AtMostOnce, 50);
        drain.join().expect("all arrive");
    });
}
