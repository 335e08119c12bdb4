//! After an outage: how soon a backlog is on the hub's disk, how soon a fleet is back.

use crate::{Effort, build};
use rackside_agent::spool::{Folder, Kind, Spool, Stored};
use rackside_proto::{Data, Run};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::authority::Authority;
use rackside_tests::day::{self, DAY_MS, Day, Recorder};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::joined::{self, Joined};
use rackside_tests::simulation::{Mode, Simulation, SimulationOptions, Transport};
use rackside_tests::{clock, measure};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// What an agent's spool may take.
const SPOOL: u64 = 64 << 20;
const RUN: Run = Run(0x0da7_0da7);
const FLEET: usize = 10_000;
/// By certificates on both sides.
const MUTUAL: &str = "mutual TLS";
const PATIENCE: Duration = Duration::from_mins(5);

/// 24 hours without a hub, then one: the real agent with a day on its disk, and a hundred simulated ones at once.
pub(crate) fn catch_up(_: Effort) -> Result<(), String> {
    let (_, target) = build::TARGETS[0];
    let (agent, hub) = (build::agent(target)?, build::hub()?);
    one_agent(&agent, &hub)?;
    many(&hub, 100)
}

fn one_agent(program: &Path, hub: &Path) -> Result<(), String> {
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let state = home.path().join("state");
    std::fs::create_dir(&state).map_err(|error| format!("{}: {error}", state.display()))?;
    let records = fill(&state)?;
    let hub = Hub::with(Way::Listener, hub, "");
    let mut options = AgentOptions::new("site-0", "rack-1", hub.mqtt());
    options.tick = "10s";
    options.program = Some(program.to_owned());
    let start = clock::now();
    let agent = Agent::start_in(home, &options);
    let mut rss_kib = 0;
    let done = clock::eventually(PATIENCE, || {
        rss_kib = rss_kib.max(measure::memory(agent.id()).rss_kib);
        (hub.count("rackside_hub_records_total") >= records).then(|| start.elapsed())
    });
    let took =
        done.ok_or_else(|| format!("not within {PATIENCE:?}\n{}\n{}", agent.last_words(), hub.last_words()))?;
    println!(
        "the agent, 24 h at 10 s on its disk: {records} records in {:.1} s ({:.0}/s); the agent at most {rss_kib} KiB RSS, {:.2} s CPU",
        took.as_secs_f64(),
        records as f64 / took.as_secs_f64(),
        measure::cpu_fine(agent.id()).as_secs_f64(),
    );
    Ok(())
}

/// A day of a rack in the spool of its agent, as a run leaves it whose hub was away all the time. How many records.
fn fill(state: &Path) -> Result<u64, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", state.display());
    let day = Day { start_ms: clock::unix_ms() - DAY_MS, ..Day::new(1, 3) };
    let recorder = Recorder::new(day.rack(0), RUN);
    let folder = Folder::open(state, recorder.name()).map_err(|error| told(&error))?;
    let (mut spool, _) = Spool::open(Box::new(folder), SPOOL).map_err(|error| told(&error))?;
    let mut catalogs = HashMap::new();
    let mut in_use = 0;
    let mut stored = Vec::new();
    for made in recorder {
        let kind = match Data::decode(&made.body).map_err(|error| error.to_string())? {
            Data::Catalog(catalog) => {
                in_use = catalog.head.number;
                catalogs.insert(in_use, (made.seq, made.body.clone()));
                Kind::Catalog
            }
            Data::Readings(_) => Kind::Readings,
        };
        stored.push(Stored { seq: made.seq, kind, catalog: in_use, body: made.body });
    }
    let records = stored.len() as u64;
    let catalog = |number: u32| catalogs.get(&number).map(|(seq, body)| (*seq, &body[..]));
    // Three readings to a write: what an agent that spills each 30 s leaves behind.
    for some in stored.chunks(3) {
        spool.append(RUN, some.iter().cloned(), &catalog).map_err(|error| told(&error))?;
    }
    println!("the spool: {} bytes for {records} records", spool.bytes());
    Ok(records)
}

fn many(hub: &Path, appliances: usize) -> Result<(), String> {
    let hub = Hub::with(Way::Listener, hub, "");
    let mut options = SimulationOptions::new(hub.mqtt());
    options.appliances = appliances;
    options.series = 60;
    options.backlog = Duration::from_hours(24);
    options.ramp = Duration::from_secs(1);
    let cpu = measure::cpu(hub.id());
    let start = clock::now();
    let simulation = Simulation::start(&options)?;
    let expected = appliances as u64 * (DAY_MS / 10_000);
    let tally = simulation.tally();
    let mut rss_kib = 0;
    let done = clock::eventually(PATIENCE, || {
        rss_kib = rss_kib.max(measure::memory(hub.id()).rss_kib);
        (tally.acked_so_far() >= expected && tally.is_settled()).then(|| start.elapsed())
    });
    let report = simulation.finish();
    let took = done.ok_or_else(|| format!("not within {PATIENCE:?}\n{report}\n{}", hub.last_words()))?;
    println!(
        "{appliances} simulated appliances, 24 h each: {} records in {:.1} s, made and acknowledged ({:.0}/s); the hub at most {rss_kib} KiB RSS, {:.1} s CPU",
        report.acked,
        took.as_secs_f64(),
        report.acked as f64 / took.as_secs_f64(),
        measure::cpu(hub.id()).saturating_sub(cpu).as_secs_f64(),
    );
    Ok(())
}

/// 10,000 simulated appliances after `kill -9` and a start of their hub.
pub(crate) fn comeback(_: Effort) -> Result<(), String> {
    let program = build::hub()?;
    let authority = Authority::new();
    let (tls, joining) = joined::hub_lines();
    for (way, more) in [("plain", String::new()), ("TLS", authority.listener_lines()), (MUTUAL, joining)] {
        let mut hub = Hub::with(Way::Listener, &program, &more);
        let mut options = SimulationOptions::new(hub.mqtt());
        options.appliances = FLEET;
        options.series = 60;
        options.mode = Mode::Steady { tick: Duration::from_secs(10) };
        options.ramp = Duration::from_secs(20);
        options.threads = 2;
        if way == "TLS" {
            options.transport =
                Transport::Tls { authority: authority.ca(), server_name: "localhost".to_owned() };
        }
        if way == MUTUAL {
            options.address = tls;
            options.transport = Transport::Joined(Joined::at(&hub.data(), (0..FLEET).map(day::name))?);
        }
        let simulation = Simulation::start(&options)?;
        let all = |what: &str, count: &dyn Fn() -> u64| {
            let start = clock::now();
            let there = clock::eventually(PATIENCE, || (count() >= FLEET as u64).then(|| start.elapsed()));
            there.ok_or_else(|| format!("{way}: only {} of {FLEET} {what}", count()))
        };
        let tally = simulation.tally();
        all("heard the hub at first", &|| tally.hearing())?;
        std::thread::sleep(Duration::from_secs(10));
        let before = measure::memory(hub.id()).rss_kib;
        let start = clock::now();
        hub.restart();
        let up = start.elapsed();
        // Those who have not noticed yet still count as connected.
        std::thread::sleep(Duration::from_millis(500));
        all("are connected again", &|| tally.connected())?;
        let connected = start.elapsed();
        all("hear the hub again", &|| tally.hearing())?;
        let heard = start.elapsed();
        let after = measure::memory(hub.id()).rss_kib;
        println!(
            "{way}: the hub answers {:.1} s after it was killed; all {FLEET} connected after {:.1} s, all have an ack after {:.1} s; RSS {before} KiB, then {after} KiB",
            up.as_secs_f64(),
            connected.as_secs_f64(),
            heard.as_secs_f64(),
        );
        println!("{}\n", simulation.finish());
    }
    Ok(())
}
