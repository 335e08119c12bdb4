//! What the hub costs at rest, with a fleet, and with idle connections.

use crate::{Effort, build, steady};
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
    let simulation = steady::fleet(&hub, APPLIANCES, SERIES)?;
    // One tick, so that every appliance has sent a reading.
    std::thread::sleep(Duration::from_secs(12));
    println!("{APPLIANCES} appliances x {SERIES} series at 10 s: {}", watch(&hub, &simulation, effort.lasts));
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

/// What a hub costs while `lasts` goes by.
fn watch(hub: &Hub, simulation: &Simulation, lasts: Duration) -> String {
    let id = hub.id();
    let spent = || (measure::cpu(id), measure::written(id), simulation.tally().acked_so_far());
    let (before, start) = (spent(), clock::now());
    simulation.tally().forget_latencies();
    let mut rss_kib = 0;
    while start.elapsed() < lasts {
        std::thread::sleep(Duration::from_millis(500).min(lasts.saturating_sub(start.elapsed())));
        rss_kib = rss_kib.max(measure::memory(id).rss_kib);
    }
    let (after, seconds) = (spent(), start.elapsed().as_secs_f64());
    let (written, records) = (after.1 - before.1, after.2 - before.2);
    let latency = simulation.tally().latency();
    format!(
        "RSS at most {rss_kib} KiB, {:.1} % of one core over {seconds:.0} s; {records} records, {written} bytes written, \
         {:.0} a record; acks after {:.0} ms (median), {:.0} ms (99 %), {:.0} ms (latest)",
        after.0.saturating_sub(before.0).as_secs_f64() / seconds * 100.0,
        written as f64 / records as f64,
        latency.p50.as_secs_f64() * 1e3,
        latency.p99.as_secs_f64() * 1e3,
        latency.max.as_secs_f64() * 1e3,
    )
}

/// 1,000 appliances of 60 series at 10 s across a full hour, with the whole hour before in the hub's inbox. The hub's clock and the
/// fleet's are ahead by so much that the hour ends soon; the timers of both are real.
pub(crate) fn hour(effort: Effort) -> Result<(), String> {
    const HOUR: Duration = Duration::from_hours(1);
    // Until the backlog is in and the flow is even, and as long as is watched.
    let lead = Duration::from_mins(1) + effort.lasts;
    let into = Duration::from_millis(clock::unix_ms() % HOUR.as_millis() as u64);
    let ahead = Duration::from_secs((HOUR * 2).saturating_sub(lead + into).as_secs() % HOUR.as_secs());
    let hub = Hub::ahead(ahead.as_secs(), &build::hub()?, "");
    let until_the_hour = || {
        let ms = clock::unix_ms() + ahead.as_millis() as u64;
        Duration::from_millis(HOUR.as_millis() as u64 - ms % HOUR.as_millis() as u64)
    };
    let mut options = SimulationOptions::new(hub.mqtt());
    options.appliances = APPLIANCES;
    options.series = SERIES;
    options.mode = Mode::Steady { tick: Duration::from_secs(10) };
    options.ramp = Duration::from_secs(5);
    options.ahead = ahead;
    options.backlog = HOUR.saturating_sub(until_the_hour());
    let simulation = Simulation::start(&options)?;
    let backlog = APPLIANCES as u64 * (options.backlog.as_secs() / 10 - 1);
    let taken = || (simulation.tally().acked_so_far() >= backlog).then_some(());
    clock::eventually(Duration::from_secs(50), taken)
        .ok_or_else(|| format!("the hour so far is not in\n{}", hub.last_words()))?;
    println!("{backlog} records of the hour so far are in");
    std::thread::sleep(until_the_hour().saturating_sub(effort.lasts + Duration::from_secs(2)));
    println!("before the hour: {}", watch(&hub, &simulation, effort.lasts));
    std::thread::sleep(until_the_hour().min(Duration::from_secs(3)));
    for minute in 1..=4 {
        println!("minute {minute} after it: {}", watch(&hub, &simulation, Duration::from_mins(1)));
    }
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
