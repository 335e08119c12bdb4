//! How many messages go through, and what each costs.
//!
//! Three ways in turn, the same 50 blasting appliances each time (30 series, QoS 1, 64 in flight): Mosquitto with a
//! subscriber that throws everything away; Mosquitto with the hub behind it; the hub's own listener. In the latter two each record
//! is in custody: it counts once the hub's ack covers it.

use crate::{Effort, build};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::mosquitto::{Mosquitto, MosquittoOptions};
use rackside_tests::simulation::{Discard, Mode, Report, Simulation, SimulationOptions};
use rackside_tests::{clock, measure};
use std::net::SocketAddr;
use std::time::Duration;

/// Until all are connected and the flow is even.
const WARM_UP: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy)]
struct Rate {
    per_second: f64,
    hub_micros: f64,
    broker_micros: f64,
}

pub(crate) fn rates(effort: Effort) -> Result<(), String> {
    let lasts = effort.lasts.min(Duration::from_secs(20));
    println!(
        "{:<34} {:>10} {:>7} {:>12} {:>18}",
        "way", "messages/s", "ratio", "hub µs/msg", "mosquitto µs/msg"
    );
    for _ in 0..effort.rounds {
        let baseline = discarded(lasts)?;
        show("Mosquitto, thrown away", baseline, baseline);
        show("Mosquitto, hub, acked", through_mosquitto(lasts)?, baseline);
        show("listener, acked", through_listener(lasts)?, baseline);
    }
    Ok(())
}

fn show(name: &str, rate: Rate, baseline: Rate) {
    let Rate { per_second, hub_micros, broker_micros } = rate;
    let ratio = per_second / baseline.per_second;
    println!("{name:<34} {per_second:>10.0} {ratio:>7.2} {hub_micros:>12.2} {broker_micros:>18.2}");
}

/// Unbounded queues: with its default of 1,000 Mosquitto throws most of it away after the PUBACK.
fn mosquitto() -> Mosquitto {
    let lines = ["max_queued_messages 0", "max_inflight_messages 0", "max_connections -1"];
    Mosquitto::with(&MosquittoOptions { lines: lines.map(str::to_owned).to_vec(), login: None })
}

fn fleet(address: SocketAddr, custody: bool) -> SimulationOptions {
    let mut options = SimulationOptions::new(address);
    options.appliances = 50;
    options.series = 30;
    options.mode = Mode::Blast { held: 256 };
    options.ramp = Duration::from_secs(1);
    options.custody = custody;
    options
}

fn discarded(lasts: Duration) -> Result<Rate, String> {
    let broker = mosquitto();
    let discard = Discard::start(broker.address(), "rackside/#")?;
    let simulation = Simulation::start(&fleet(broker.address(), false))?;
    std::thread::sleep(WARM_UP);
    let id = broker.id().unwrap_or_default();
    let (messages, cpu, start) = (discard.messages(), measure::cpu(id), clock::now());
    std::thread::sleep(lasts);
    let (seconds, messages) = (start.elapsed().as_secs_f64(), (discard.messages() - messages) as f64);
    let cpu = measure::cpu(id).saturating_sub(cpu).as_secs_f64();
    drop(simulation);
    Ok(Rate { per_second: messages / seconds, hub_micros: 0.0, broker_micros: cpu * 1e6 / messages })
}

fn through_mosquitto(lasts: Duration) -> Result<Rate, String> {
    let broker = mosquitto();
    let hub = Hub::with(Way::Broker(broker.address()), &build::hub()?, "");
    measured(broker.address(), &hub, broker.id(), lasts)
}

fn through_listener(lasts: Duration) -> Result<Rate, String> {
    let hub = Hub::with(Way::Listener, &build::hub()?, "");
    measured(hub.mqtt(), &hub, None, lasts)
}

fn measured(address: SocketAddr, hub: &Hub, broker: Option<u32>, lasts: Duration) -> Result<Rate, String> {
    let simulation = Simulation::start(&fleet(address, true))?;
    std::thread::sleep(WARM_UP);
    let cost = || (measure::cpu(hub.id()), broker.map_or(Duration::ZERO, measure::cpu));
    let (acked, before, start) = (simulation.tally().acked_so_far(), cost(), clock::now());
    std::thread::sleep(lasts);
    let (seconds, after) = (start.elapsed().as_secs_f64(), cost());
    let acked = (simulation.tally().acked_so_far() - acked) as f64;
    let report: Report = simulation.finish();
    if !report.is_complete {
        println!("not every record was acknowledged:\n{report}");
    }
    Ok(Rate {
        per_second: acked / seconds,
        hub_micros: after.0.saturating_sub(before.0).as_secs_f64() * 1e6 / acked,
        broker_micros: after.1.saturating_sub(before.1).as_secs_f64() * 1e6 / acked,
    })
}
