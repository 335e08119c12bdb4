//! A staged fleet, to look at the hub's pages: `cargo run -p rackside-hub --example stage -- 127.0.0.1:1883 30`
//!
//! Publishes so many appliances in all states that the page knows (up, hot, busy, full, backlog, no thermal zone, link lost,
//! stopped, two machines with one name) and keeps those that live alive until it is stopped. Not a load generator.

#[path = "../tests/client/mod.rs"]
mod client;
#[path = "../tests/rack/mod.rs"]
mod rack;

use client::Client;
use rack::{Rack, vitals};
use rackside_hub::clock::now;
use rackside_proto::{Reason, Value};
use std::time::Duration;

const SITES: [&str; 8] = [
    "arena-north",
    "st-marys",
    "club-velvet",
    "town-hall",
    "radio-three",
    "harbour-stage",
    "opera-house",
    "campus-auditorium-west",
];
const GIB: i64 = 1_048_576;

/// The numbers of the `n`th appliance at the `round`th tick.
fn values(n: usize, round: i64) -> [Value; 5] {
    let wobble = |span: i64| (n as i64 * 37 + round * 13) % span;
    let temperature = if n % 9 == 4 { 823 } else { 430 + wobble(190) };
    let cpu = if n % 11 == 6 { 958 } else { 40 + wobble(320) };
    let total = if n.is_multiple_of(3) { 4 * GIB } else { 8 * GIB };
    let used = if n % 13 == 8 { total * 94 / 100 } else { total * (20 + wobble(30)) / 100 };
    let backlog = if n % 7 == 5 { 1240 } else { 0 };
    let temperature = if n % 10 == 9 { Value::Absent } else { Value::Known(temperature) };
    [temperature, Value::Known(cpu), Value::Known(used), Value::Known(total), Value::Known(backlog)]
}

fn main() -> std::io::Result<()> {
    let mut words = std::env::args().skip(1);
    let address = words.next().unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let count: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(3);
    let mut client = Client::connect(&address, "stage")?;
    let mut racks: Vec<Rack> = (0..count)
        .map(|n| {
            let mut rack = Rack::new(SITES[n % SITES.len()], &format!("rack-{}", n / SITES.len() + 1));
            rack.tick_ms = 5000;
            rack
        })
        .collect();
    let mut second = racks[0].started_again(2);
    for (n, rack) in racks.iter_mut().enumerate() {
        client.send(rack.presence(true))?;
        client.send(rack.birth())?;
        client.send(rack.catalog(&vitals()))?;
        client.send(rack.reading(&values(n, 0)))?;
    }
    let gone = |n: usize| n % 12 == 2 || n % 17 == 10;
    for (n, rack) in racks.iter().enumerate().filter(|(n, _)| gone(*n)) {
        let reason = if n % 17 == 10 { Reason::Stop } else { Reason::Will };
        client.send(rack.presence_because(false, reason))?;
    }
    let twice = count > 5;
    if twice {
        client.send(second.presence(true))?;
        client.send(second.catalog(&vitals()))?;
    }
    for round in 1.. {
        let until = now().plus(Duration::from_secs(5)).instant;
        while now().instant < until {
            client.turn()?;
        }
        for (n, rack) in racks.iter_mut().enumerate().filter(|(n, _)| !gone(*n)) {
            client.send(rack.reading(&values(n, round)))?;
        }
        if twice {
            client.send(second.reading(&values(1, round)))?;
        }
    }
    Ok(())
}
