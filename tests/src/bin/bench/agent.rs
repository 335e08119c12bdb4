//! What the agent costs, and what it sends.

use crate::{Effort, build};
use rackside_proto::{Birth, Data, Record};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::client::Client;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::{authority, clock, measure};
use std::time::Duration;

/// Until an agent has connected, sent its birth and settled.
const WARM_UP: Duration = Duration::from_secs(20);

/// Memory, threads and processor time of every build, plain and with TLS, side by side.
pub(crate) fn cost(effort: Effort) -> Result<(), String> {
    let authority = authority::Authority::new();
    let hub = build::hub()?;
    let plain = Hub::with(Way::Listener, &hub, "");
    let tls = Hub::with(Way::Listener, &hub, &authority.listener_lines());
    let mut agents = Vec::new();
    for (name, target) in build::TARGETS.into_iter().filter(|(_, target)| build::runs_here(target)) {
        let program = match build::agent(target) {
            Ok(program) => program,
            Err(error) => {
                println!("{name}: {error}");
                continue;
            }
        };
        for (way, hub) in [("plain", &plain), ("TLS", &tls)] {
            let appliance = format!("rack-{}", agents.len() + 1);
            let mut options = AgentOptions::new("bench", &appliance, hub.mqtt());
            options.tick = "10s";
            options.program = Some(program.clone());
            if way == "TLS" {
                options.mqtt = authority.agent_lines();
            }
            agents.push((format!("{name}, {way}"), appliance, hub, Agent::start(&options)));
        }
    }
    for (name, appliance, hub, agent) in &agents {
        let up = clock::eventually(WARM_UP, || {
            hub.appliance("bench", appliance).filter(|said| said["up"] == true && !said["reading"].is_null())
        });
        up.ok_or_else(|| format!("{name}: no reading came\n{}", agent.last_words()))?;
    }
    std::thread::sleep(WARM_UP);
    let spent = |agent: &Agent| (measure::cpu_fine(agent.id()), measure::written(agent.id()));
    let before: Vec<_> = agents.iter().map(|(.., agent)| spent(agent)).collect();
    let start = clock::now();
    std::thread::sleep(effort.lasts);
    let share = 600.0 / start.elapsed().as_secs_f64();
    println!("over {:.0} s at a tick of 10 s\n", start.elapsed().as_secs_f64());
    println!(
        "{:<22} {:>8} {:>8} {:>8} {:>20} {:>14}",
        "agent", "RSS KiB", "PSS KiB", "threads", "CPU s / 10 minutes", "bytes written"
    );
    for ((name, .., agent), before) in agents.iter().zip(before) {
        let memory = measure::memory(agent.id());
        let after = spent(agent);
        let cpu = after.0.saturating_sub(before.0).as_secs_f64() * share;
        let written = after.1 - before.1;
        let threads = measure::threads(agent.id());
        println!(
            "{name:<22} {:>8} {:>8} {threads:>8} {cpu:>20.3} {written:>14}",
            memory.rss_kib, memory.pss_kib
        );
    }
    Ok(())
}

/// Bytes of this machine's birth and readings.
pub(crate) fn wire(_: Effort) -> Result<(), String> {
    // Before anybody connects: a client that waits for a compiler does not answer its broker.
    let (_, target) = build::TARGETS[0];
    let agent = build::agent(target)?;
    let hub = Hub::with(Way::Listener, &build::hub()?, "");
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let mut client = Client::named(hub.mqtt(), "bench-wire").map_err(|error| told(&error))?;
    client.subscribe(&["rackside/1/bench/rack-1/#"]).map_err(|error| told(&error))?;
    let mut options = AgentOptions::new("bench", "rack-1", hub.mqtt());
    options.program = Some(agent);
    let _agent = Agent::start(&options);
    let (mut birth, mut series, mut catalog, mut readings) = (0, 0, 0, Vec::new());
    let wait = client.wait(Duration::from_mins(1), |message| {
        if message.topic.ends_with("/birth")
            && let Ok(said) = Birth::decode(&message.payload)
        {
            birth = message.payload.len();
            series = said.catalog.map_or(0, |catalog| catalog.len());
        } else if message.topic.ends_with("/data")
            && let Ok(record) = Record::<Data<'_>>::decode(&message.payload)
        {
            match record.body {
                Data::Catalog(_) => catalog = message.payload.len(),
                Data::Readings(_) => readings.push(message.payload.len()),
            }
        }
        (readings.len() >= 50).then_some(())
    });
    wait.map_err(|error| format!("{error}\n{}", hub.last_words()))?;
    readings.sort_unstable();
    let (Some(least), Some(most)) = (readings.first(), readings.last()) else {
        return Err("no reading came".to_owned());
    };
    println!("birth with its catalog of {series} series: {birth} bytes; catalog record: {catalog} bytes");
    let median = readings[readings.len() / 2];
    println!("{} data messages: median {median} bytes, {least} to {most}", readings.len());
    Ok(())
}
