//! From what happens at a venue to a person, through the real hub: nobody is told twice, nobody is told of nothing, and nobody is not told.
//!
//! A webhook that writes down what it is sent stands for whoever is on call. Where it must have stayed silent, an alert at the end shows that it
//! would have been told.

use crate::complete::{RACK, RECOVERY, has_reading};
use crate::lamp::touch;
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::clock;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::measure;
use rackside_tests::mosquitto::{Mosquitto, MosquittoSub};
use rackside_tests::programs::programs;
use rackside_tests::proxy::Proxy;
use rackside_tests::simulation::{Mode, Simulation, SimulationOptions};
use rackside_tests::witness::{Told, Witness};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a webhook is watched that nothing must come to: news are told at once here, so what were false would be there by then.
const SILENT: Duration = Duration::from_secs(3);

/// Nothing is waited for: what is noticed is told. By the clock these rules are looked at every second, and when an event touches them at once.
const RULES: &str = "
groups:
- name: at once
  interval: 1s
  rules:
  - {alert: ApplianceGone, expr: rackside_appliance_up == 0, labels: {severity: critical}}
  - {alert: Closed, expr: rackside_tally_active == 1, labels: {severity: critical}}
";

/// Contacts of the simulated panel, each with its own tally.
const PINS: [u8; 12] = [4, 5, 6, 12, 13, 16, 17, 18, 19, 20, 21, 22];

/// A directory with rules and a panel, and who is told.
struct Scene {
    witness: Witness,
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(directory.path().join("panel")).expect("the directory can be written");
        fs::write(directory.path().join("own.yml"), RULES).expect("the directory can be written");
        Self { witness: Witness::start(), directory }
    }

    /// Tables of a hub that tells the witness at once; `grouping` are keys of the route.
    fn tables(&self, grouping: &str) -> String {
        let rules = self.directory.path().join("own.yml");
        format!(
            "[rules]\ndefaults = false\nfiles = [\"{}\"]\n\
             [[receiver]]\nname = \"crew\"\nkind = \"webhook\"\nurl = \"{}\"\n\
             [[route]]\nname = \"all\"\nto = [\"crew\"]\ngroup_wait = \"0s\"\n{grouping}\n",
            rules.display(),
            self.witness.url()
        )
    }

    fn hub(&self, way: Way, grouping: &str) -> Hub {
        Hub::with(way, &programs().hub, &self.tables(grouping))
    }

    /// An agent with a panel.
    fn agent(&self, broker: SocketAddr) -> AgentOptions {
        let mut options = AgentOptions::new(RACK.0, RACK.1, broker);
        let panel = self.directory.path().join("panel");
        options.top = format!("clock = \"trust\"\n[panel]\nsimulated = {:?}\n", panel.display().to_string());
        for pin in PINS {
            let name = tally(pin);
            let _ = writeln!(options.top, "[[tally]]\nname = \"{name}\"\npin = {pin}\ndebounce = \"5ms\"");
        }
        options
    }

    /// Closes a contact, or opens it.
    fn touch(&self, pin: u8, closed: bool) {
        touch(&self.directory.path().join("panel").join(pin.to_string()), closed);
    }

    /// The first message from number `from` on that says so. Panics when none does.
    fn expect(&self, hub: &Hub, from: usize, alert: &str, status: &str) -> Told {
        let told = self.witness.find(from, PATIENCE, |told| told.names(alert, status));
        told.unwrap_or_else(|| {
            panic!("nobody is told: {alert} {status}; {:?}\n{}", self.said(), hub.last_words())
        })
    }

    /// Nothing was told, nor is it in a while.
    fn expect_silence(&self, hub: &Hub, after: &str) {
        std::thread::sleep(SILENT);
        assert_eq!(self.witness.count(), 0, "{after}: {:?}\n{}", self.said(), hub.last_words());
    }

    /// What was told so far, without what is long.
    fn said(&self) -> Vec<String> {
        let alert = |one: &Json| format!("{} {}", one["labels"], one["status"]);
        let told = self.witness.all();
        told.iter().map(|told| told.alerts().take(3).map(alert).collect::<Vec<_>>().join(", ")).collect()
    }
}

fn tally(pin: u8) -> String {
    format!("contact-{pin}")
}

fn expect_up(hub: &Hub) {
    hub.expect("up, with a reading", RECOVERY, RACK, |said| {
        (said["up"] == true).then(|| has_reading(said)).flatten()
    });
}

/// The witness works: a rack that really dies is told, and nothing before it was.
fn expect_control(scene: &Scene, hub: &Hub, agent: &mut Agent) {
    expect_up(hub);
    agent.kill();
    scene.expect(hub, 0, "ApplianceGone", "firing");
    assert_eq!(scene.witness.count(), 1, "{:?}", scene.said());
}

#[test]
fn a_hub_that_starts_anew_alarms_nobody() {
    let scene = Scene::new();
    let mut hub = scene.hub(Way::Listener, "");
    let mut agent = Agent::start(&scene.agent(hub.mqtt()));
    expect_up(&hub);
    hub.restart();
    expect_up(&hub);
    scene.expect_silence(&hub, "killed and started");
    assert!(hub.stop().is_some_and(|status| status.success()), "it ends");
    hub.come_up();
    expect_up(&hub);
    scene.expect_silence(&hub, "stopped and started");
    expect_control(&scene, &hub, &mut agent);
}

#[test]
fn a_broker_that_starts_anew_alarms_nobody() {
    let scene = Scene::new();
    let mut broker = Mosquitto::start();
    let hub = scene.hub(Way::Broker(broker.address()), "");
    let mut agent = Agent::start(&scene.agent(hub.mqtt()));
    expect_up(&hub);
    for _ in 0..2 {
        broker.stop();
        std::thread::sleep(Duration::from_secs(1));
        broker.come_up();
        let before = hub.appliance(RACK.0, RACK.1).expect("it is known")["records"]["taken"].as_u64();
        hub.expect("it is heard anew", RECOVERY, RACK, |said| {
            (said["up"] == true && said["records"]["taken"].as_u64() > before).then_some(())
        });
        scene.expect_silence(&hub, "the broker was killed and started");
    }
    expect_control(&scene, &hub, &mut agent);
}

#[test]
fn a_clock_that_is_set_alarms_nobody() {
    let scene = Scene::new();
    let offset = scene.directory.path().join("offset");
    fs::write(&offset, "+0").expect("the directory can be written");
    let hub = Hub::by_clock(&offset, &programs().hub, &scene.tables(""));
    let mut agent = Agent::start(&scene.agent(hub.mqtt()));
    expect_up(&hub);
    for (set, times) in ["+3600", "-3600", "+86400", "+0"].into_iter().zip(1..) {
        fs::write(&offset, set).expect("the directory can be written");
        let noticed = clock::eventually(PATIENCE, || {
            (hub.log().matches("the clock was set").count() >= times).then_some(())
        });
        assert!(noticed.is_some(), "it is noticed\n{}", hub.last_words());
        scene.expect_silence(&hub, set);
    }
    expect_control(&scene, &hub, &mut agent);
}

#[test]
fn an_agent_that_stops_by_plan_and_comes_back_soon_alarms_nobody() {
    let scene = Scene::new();
    let rules = RULES.replace("up == 0,", "up == 0, for: 20s,");
    fs::write(scene.directory.path().join("own.yml"), rules).expect("the directory can be written");
    let hub = scene.hub(Way::Listener, "");
    let mut agent = Agent::start(&scene.agent(hub.mqtt()));
    expect_up(&hub);
    for _ in 0..2 {
        assert!(agent.stop().is_some_and(|status| status.success()), "it ends");
        hub.expect("down, by plan", RECOVERY, RACK, |said| {
            (said["up"] == false && said["reason"] == "stop").then_some(())
        });
        agent.restart();
        expect_up(&hub);
        scene.expect_silence(&hub, "stopped and started");
    }
    expect_control(&scene, &hub, &mut agent);
}

#[test]
fn what_a_backlog_tells_of_yesterday_alarms_nobody_today() {
    let scene = Scene::new();
    let rules = RULES.replace("up == 0,", "up == 0, for: 2m,");
    fs::write(scene.directory.path().join("own.yml"), rules).expect("the directory can be written");
    let hub = scene.hub(Way::Listener, "");
    let cable = Proxy::to(hub.mqtt());
    let mut options = scene.agent(cable.address());
    options.spool = "spill_after = \"2s\"".to_owned();
    let mut agent = Agent::start(&options);
    expect_up(&hub);
    cable.stall();
    scene.touch(PINS[0], true);
    // Long enough for readings of a second each, for the card, and for a kill that leaves the card alone.
    std::thread::sleep(Duration::from_secs(6));
    scene.touch(PINS[0], false);
    std::thread::sleep(Duration::from_secs(6));
    agent.kill();
    agent.restart();
    cable.heal();
    expect_up(&hub);
    let was_closed = format!("max_over_time(rackside_tally_active%7Btally=%22{}%22%7D[5m])", tally(PINS[0]));
    let caught_up = clock::eventually(RECOVERY, || {
        let answer = hub.body(&format!("/api/v1/query?query={was_closed}"));
        let answer: Json = serde_json::from_str(&answer).expect("JSON");
        (answer["data"]["result"][0]["value"][1] == "1").then_some(())
    });
    assert!(caught_up.is_some(), "the history knows that it was closed\n{}", agent.last_words());
    scene.expect_silence(&hub, "the backlog has come");
    scene.touch(PINS[0], true);
    scene.expect(&hub, 0, "Closed", "firing");
    assert_eq!(scene.witness.count(), 1, "{:?}", scene.said());
}

#[test]
fn a_hub_that_is_killed_at_any_moment_of_an_alert_tells_it_once_or_twice() {
    let scene = Scene::new();
    let mut hub = scene.hub(Way::Listener, "group_by = [\"...\"]\ngroup_interval = \"1s\"");
    let _agent = Agent::start(&scene.agent(hub.mqtt()));
    let mut dice = fastrand::Rng::with_seed(7);
    let mut before = 0;
    for pair in PINS.chunks(2) {
        expect_up(&hub);
        for pin in pair {
            scene.touch(*pin, true);
            // From the edge to the message it takes some 30 ms, in a debug build and on a busy machine more.
            std::thread::sleep(Duration::from_millis(dice.u64(0..80)));
        }
        before += pair.iter().filter(|pin| said_of(&scene.witness, **pin).is_empty()).count();
        hub.restart();
        for pin in pair {
            let told =
                clock::eventually(PATIENCE, || (!said_of(&scene.witness, *pin).is_empty()).then_some(()));
            let name = tally(*pin);
            assert!(told.is_some(), "nobody is told of {name}: {:?}\n{}", scene.said(), hub.last_words());
        }
    }
    println!("{before} of {} alerts had been told to nobody when the hub was killed", PINS.len());
    expect_up(&hub);
    std::thread::sleep(SILENT);
    for pin in PINS {
        let said = said_of(&scene.witness, pin);
        let keys: BTreeSet<&str> = said.iter().map(|told| told.key.as_str()).collect();
        assert!(said.len() <= 2 && keys.len() == 1, "{}: {} times, {keys:?}", tally(pin), said.len());
    }
}

/// The messages that say that a contact is closed.
fn said_of(witness: &Witness, pin: u8) -> Vec<Told> {
    let is_it = |one: &Json| one["labels"]["tally"] == tally(pin).as_str() && one["status"] == "firing";
    let told = witness.all().into_iter();
    told.filter(|told| told.alerts().any(is_it)).collect()
}

#[test]
fn a_message_goes_to_a_topic_by_the_hubs_own_listener() {
    by_topic(Way::Listener);
}

#[test]
fn a_message_goes_to_a_topic_of_an_outside_broker() {
    let broker = Mosquitto::start();
    by_topic(Way::Broker(broker.address()));
}

fn by_topic(way: Way) {
    let scene = Scene::new();
    let more = scene
        .tables("group_interval = \"1s\"")
        .replace("to = [\"crew\"]", "to = [\"crew\", \"board\", \"lamp\"]")
        + "[[receiver]]\nname = \"board\"\nkind = \"mqtt\"\ntopic = \"stage/board\"\n\
           [[receiver]]\nname = \"lamp\"\nkind = \"mqtt\"\ntopic = \"stage/lamp\"\nretain = true\n";
    let hub = Hub::with(way, &programs().hub, &more);
    let live = MosquittoSub::start(hub.mqtt(), &["stage/#"]);
    let mut agent = Agent::start(&scene.agent(hub.mqtt()));
    expect_up(&hub);
    agent.kill();
    scene.expect(&hub, 0, "ApplianceGone", "firing");
    let told = |sub: &MosquittoSub, topic: &str, status: &str| {
        let said = sub.wait(PATIENCE, |seen| {
            let body: Json = serde_json::from_slice(&seen.payload).ok()?;
            (seen.topic == topic && body["status"] == status).then_some((body, seen.retained))
        });
        said.unwrap_or_else(|| panic!("{topic} is not told: {status}\n{}", hub.last_words()))
    };
    for topic in ["stage/board", "stage/lamp"] {
        let (body, _) = told(&live, topic, "firing");
        assert_eq!(body["alerts"][0]["labels"]["alertname"], "ApplianceGone", "{body}");
    }
    // Who comes later finds what was kept, and nothing else.
    let late = MosquittoSub::start(hub.mqtt(), &["stage/#"]);
    assert!(told(&late, "stage/lamp", "firing").1, "it was kept");
    assert!(late.seen().iter().all(|seen| seen.topic == "stage/lamp"), "{:?}", late.seen());
    agent.restart();
    told(&live, "stage/board", "resolved");
    told(&late, "stage/lamp", "resolved");
}

/// So many lose their power in the storm; five share a site.
const MANY: usize = 1000;
/// Two messages of the outage are at least so far apart.
const APART: Duration = Duration::from_secs(20);

#[test]
fn a_thousand_appliances_that_lose_power_are_one_message_and_their_return_is_one() {
    let scene = Scene::new();
    // The rules that come with the hub wait a minute before they say that a box is gone, and so long many more are noticed; here the group waits.
    let grouping = format!("group_interval = \"{}s\"", APART.as_secs());
    let tables = scene.tables(&grouping).replace("group_wait = \"0s\"", "group_wait = \"5s\"");
    let hub = Hub::with(Way::Listener, &programs().hub, &tables);
    let mut options = SimulationOptions::new(hub.mqtt());
    (options.appliances, options.series, options.seed) = (MANY, 10, 7);
    options.mode = Mode::Steady { tick: Duration::from_secs(10) };
    options.ramp = Duration::from_secs(10);
    let fleet = Simulation::start(&options).expect("it starts");
    expect_all(&hub, MANY);
    assert_eq!(scene.witness.count(), 0, "{:?}", scene.said());
    let calm = Cost::of(&hub);
    fleet.lose_power(Duration::from_secs(5));
    expect_all(&hub, 0);
    let first = scene.witness.find(0, PATIENCE, |_| true);
    let first = first.unwrap_or_else(|| panic!("nobody is told\n{}", hub.last_words()));
    let storm = Cost::of(&hub);
    assert_eq!(first.body["status"], "firing", "{}", first.body);
    let named = first.alerts().count() + first.body["truncatedAlerts"].as_u64().unwrap_or(0) as usize;
    assert!(named > MANY / 2, "{named} are named: {}", first.body);
    fleet.regain_power();
    expect_all(&hub, MANY);
    let is_over = |told: &Told| told.body["status"] == "resolved";
    let last = scene.witness.find(0, PATIENCE + APART, is_over);
    let last = last.unwrap_or_else(|| panic!("nobody is told that it is over\n{}", hub.last_words()));
    std::thread::sleep(SILENT);
    let all = scene.witness.all();
    println!("{} messages; before, with the storm, after: {calm}; {storm}; {}", all.len(), Cost::of(&hub));
    // As many as there is room for at this pace, which is two unless the machine had better things to do.
    let room = last.at.duration_since(first.at).as_secs_f64() / APART.as_secs_f64();
    assert!((2..=1 + room.round() as usize).contains(&all.len()), "{} in {room:.2} intervals", all.len());
    for pair in all.windows(2) {
        let apart = pair[1].at.duration_since(pair[0].at);
        // They are counted from when they are made, not from when they come.
        assert!(apart + Duration::from_millis(500) > APART, "{apart:?}");
    }
    assert!(is_over(&all[all.len() - 1]), "nothing comes after its end");
}

/// Waits until so many are up, and the others known.
fn expect_all(hub: &Hub, up: usize) {
    let mut last = 0;
    let all = clock::eventually(PATIENCE, || {
        last = hub.count("rackside_appliance_up") as usize;
        (last == up).then_some(())
    });
    assert!(all.is_some(), "{last} of {MANY} are up\n{}", hub.last_words());
}

/// What the hub has cost so far.
struct Cost {
    memory: measure::Memory,
    cpu: Duration,
}

impl Cost {
    fn of(hub: &Hub) -> Self {
        Self { memory: measure::memory(hub.id()), cpu: measure::cpu(hub.id()) }
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} MiB, {:.2} s of CPU", self.memory.rss_kib / 1024, self.cpu.as_secs_f64())
    }
}
