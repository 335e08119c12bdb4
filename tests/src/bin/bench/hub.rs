//! What the hub costs at rest, with a fleet, and with idle connections.

use crate::{Effort, build};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::mosquitto::{Mosquitto, MosquittoOptions};
use rackside_tests::simulation::{Mode, Simulation, SimulationOptions};
use rackside_tests::{clock, http, measure};
use std::net::SocketAddr;
use std::time::Duration;

const APPLIANCES: usize = 1000;
const SERIES: usize = 60;
const IDLE: usize = 5000;

/// At rest, then with 1,000 appliances of 60 series at 10 s.
pub(crate) fn fleet(effort: Effort) -> Result<(), String> {
    let hub = Hub::with(Way::Listener, &build::hub()?, "");
    std::thread::sleep(Duration::from_secs(2));
    let memory = measure::memory(hub.id());
    println!(
        "at rest: RSS {} KiB, PSS {} KiB, {} threads",
        memory.rss_kib,
        memory.pss_kib,
        measure::threads(hub.id())
    );
    let mut options = SimulationOptions::new(hub.mqtt());
    options.appliances = APPLIANCES;
    options.series = SERIES;
    options.mode = Mode::Steady { tick: Duration::from_secs(10) };
    options.ramp = Duration::from_secs(5);
    let simulation = Simulation::start(&options)?;
    if !simulation.wait_connected(APPLIANCES, Duration::from_mins(1)) {
        return Err(format!("only {} of {APPLIANCES} connected", simulation.tally().connected()));
    }
    // One tick, so that every appliance has sent a reading.
    std::thread::sleep(Duration::from_secs(12));
    let (cpu, start) = (measure::cpu(hub.id()), clock::now());
    std::thread::sleep(effort.lasts);
    let seconds = start.elapsed().as_secs_f64();
    let share = measure::cpu(hub.id()).saturating_sub(cpu).as_secs_f64() / seconds * 100.0;
    let memory = measure::memory(hub.id());
    println!(
        "{APPLIANCES} appliances x {SERIES} series at 10 s: RSS {} KiB, {share:.1} % of one core over {seconds:.0} s",
        memory.rss_kib
    );
    for path in ["/metrics", "/", "/api/sites"] {
        let mut took: Vec<Duration> = Vec::new();
        let mut bytes = 0;
        for _ in 0..5 {
            let start = clock::now();
            let answer = http::get(hub.web(), path, "*/*").map_err(|error| format!("GET {path}: {error}"))?;
            took.push(start.elapsed());
            bytes = answer.body.len();
        }
        took.sort_unstable();
        println!("GET {path:<12} {bytes:>9} bytes in {:.1} ms (median of 5)", took[2].as_secs_f64() * 1000.0);
    }
    println!("after the pages: RSS {} KiB", measure::memory(hub.id()).rss_kib);
    println!("\n{}", simulation.finish());
    Ok(())
}

/// 5,000 idle connections, to the hub and to Mosquitto.
pub(crate) fn connections(_: Effort) -> Result<(), String> {
    let hub = Hub::with(Way::Listener, &build::hub()?, "");
    idle("hub", hub.id(), hub.mqtt())?;
    let lines = vec!["max_connections -1".to_owned()];
    let mosquitto = Mosquitto::with(&MosquittoOptions { lines, login: None });
    idle("Mosquitto", mosquitto.id().unwrap_or_default(), mosquitto.address())
}

fn idle(name: &str, id: u32, address: SocketAddr) -> Result<(), String> {
    std::thread::sleep(Duration::from_secs(1));
    let before = measure::memory(id);
    let mut options = SimulationOptions::new(address);
    options.appliances = IDLE;
    options.mode = Mode::Idle;
    options.keep_alive = Duration::from_mins(1);
    options.ramp = Duration::from_secs(5);
    let start = clock::now();
    let simulation = Simulation::start(&options)?;
    if !simulation.wait_connected(IDLE, Duration::from_mins(1)) {
        return Err(format!("{name}: only {} of {IDLE} connected", simulation.tally().connected()));
    }
    let took = start.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(5));
    let after = measure::memory(id);
    println!(
        "{name:<10} RSS {} KiB -> {} KiB with {IDLE} idle connections: {} KiB more (all connected after {took:.1} s)",
        before.rss_kib,
        after.rss_kib,
        after.rss_kib.saturating_sub(before.rss_kib)
    );
    Ok(())
}
