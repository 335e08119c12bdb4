//! The agents for other processors, as they are shipped, run by an emulator of the processor (qemu-user) beside a real Mosquitto, over
//! TLS, with a real hub behind it.
//!
//! The programs are those of `cross/build`. The emulator hands system calls on to this machine, so uptime, load and memory are this
//! machine's own; what only a Pi has lies in a directory that the emulator shows in place of `/sys` and `/proc` (`QEMU_LD_PREFIX`). It says nothing about
//! how fast a Pi is, or how much memory the agent takes there: what `/proc` tells of the process is the emulator's.

use crate::complete::{RACK, expect_complete};
use rackside_proto::{Birth, ClockSource, Presence, Reason, Time};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::authority::Authority;
use rackside_tests::clock::{self, eventually};
use rackside_tests::heard::{self, Reading};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::ledger::Ledger;
use rackside_tests::mosquitto::{Mosquitto, MosquittoOptions, MosquittoSub, Seen};
use rackside_tests::proxy::Proxy;
use rackside_tests::{port, programs};
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;

/// An agent to run.
struct Target {
    /// As `cross/build` calls it.
    name: &'static str,
    /// What runs it.
    emulator: &'static str,
    /// The processor, where the emulator knows several that differ in what they can do.
    processor: &'static str,
    /// What `uname -m` says there.
    arch: &'static str,
}

const TEMPERATURE: &str = "rackside_soc_temperature_celsius";
const BACKLOG: &str = "rackside_agent_backlog_records";
const MODEL: &str = "Raspberry Pi 3 Model B Rev 1.2";
/// Emulated TLS on a busy machine takes a second or two.
const SOON: Duration = Duration::from_secs(30);

/// What the emulator shows in place of this machine's own files: a thermal zone, and a board's name.
struct Machine(TempDir);

impl Machine {
    fn new(thousandths: u32) -> Self {
        let machine = Self(tempfile::tempdir().expect("a temporary directory"));
        machine.put("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
        machine.put("proc/device-tree/model", &format!("{MODEL}\0"));
        machine.heat(thousandths);
        machine
    }

    fn heat(&self, thousandths: u32) {
        self.put("sys/class/thermal/thermal_zone0/temp", &format!("{thousandths}\n"));
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().expect("it lies below the directory")).expect("there is room");
        fs::write(path, text).expect("there is room");
    }
}

/// A broker with two doors, the second by TLS.
fn broker(authority: &Authority) -> (Mosquitto, SocketAddr) {
    let tls = port::local(port::free());
    let mut lines = vec![format!("listener {} 127.0.0.1", tls.port())];
    lines.extend(authority.mosquitto_lines());
    (Mosquitto::with(&MosquittoOptions { lines, ..MosquittoOptions::default() }), tls)
}

/// An agent of `target` that reaches its broker at `door`.
fn options(target: &Target, machine: &Machine, door: SocketAddr, authority: &Authority) -> AgentOptions {
    let mut options = AgentOptions::new(RACK.0, RACK.1, door);
    "clock = \"trust\"\n".clone_into(&mut options.top);
    options.mqtt = authority.agent_lines();
    options.program = Some(programs::crossed(target.name));
    options.emulator = Some(programs::installed(target.emulator));
    options.environment = vec![
        ("QEMU_CPU".to_owned(), target.processor.to_owned()),
        ("QEMU_LD_PREFIX".to_owned(), machine.0.path().display().to_string()),
    ];
    options
}

fn presence(seen: &Seen) -> Option<Presence> {
    seen.topic.ends_with("/presence").then(|| Presence::decode(&seen.payload).ok()).flatten()
}

/// Waits for a reading that `wanted` makes something of.
fn expect<T>(sub: &MosquittoSub, agent: &Agent, what: &str, wanted: impl Fn(&Reading) -> Option<T>) -> T {
    let found = eventually(SOON, || heard::readings(&sub.seen()).iter().find_map(&wanted));
    found.unwrap_or_else(|| {
        let last = heard::readings(&sub.seen()).pop();
        panic!("not within {SOON:?}: {what}; the last reading is {last:?}\n{}", agent.last_words())
    })
}

/// The birth says whose program it is and where it runs.
fn check_birth(birth: &Birth<'_>, target: &Target) {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").expect("every Linux has it");
    assert_eq!((birth.arch, birth.model, birth.kernel), (target.arch, MODEL, kernel.trim()));
    assert_eq!((birth.version, birth.tick_ms), (env!("CARGO_PKG_VERSION"), 1000));
    assert_eq!((birth.connection, birth.clock), (1, ClockSource::Trusted));
    let names: Vec<&str> = birth.catalog.expect("it has read").series().map(|one| one.name).collect();
    for name in [
        TEMPERATURE,
        BACKLOG,
        "rackside_cpu_usage_ratio",
        "rackside_load1",
        "rackside_memory_used_bytes",
        "rackside_disk_used_bytes",
        "rackside_network_receive_bytes_total",
        "rackside_uptime_seconds",
        "rackside_clock_synchronized",
        "rackside_agent_link_bytes_total",
    ] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
}

/// A reading's values are this machine's.
fn check_values(reading: &Reading) {
    let value = |name: &str| reading.value(name).unwrap_or_else(|| panic!("no {name} in {reading:?}"));
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec as f64;
    assert!((uptime - value("rackside_uptime_seconds")).abs() < 60.0, "up for {uptime} s: {reading:?}");
    let memory = fs::read_to_string("/proc/meminfo").expect("every Linux has it");
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total = total.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    let apart = total.expect("in kB") * 1024.0 - value("rackside_memory_total_bytes");
    // A step of memory is 64 KiB.
    assert!(apart.abs() <= 65536.0, "{total:?} kB of memory: {reading:?}");
    let used = value("rackside_memory_used_bytes") / value("rackside_memory_total_bytes");
    assert!((0.005..1.0).contains(&used), "{reading:?}");
    assert!((0.0..=1.0).contains(&value("rackside_cpu_usage_ratio")), "{reading:?}");
    assert!((0.0..1000.0).contains(&value("rackside_load1")), "{reading:?}");
    let Time::Utc { ms } = reading.time else { panic!("a trusted clock dates: {reading:?}") };
    assert!(clock::unix_ms().abs_diff(ms) < 60_000, "{reading:?}");
}

/// From one reading to the next it is a second, apart from what a busy machine adds.
fn check_tick(readings: &[Reading]) {
    let (Some(first), Some(last)) = (readings.first(), readings.last()) else { panic!("no readings") };
    let apart = last.time.since(first.time).expect("one clock, in order") as f64;
    let tick = apart / (readings.len() - 1) as f64;
    assert!((900.0..1100.0).contains(&tick), "{tick} ms from one of {} readings to the next", readings.len());
}

/// What is promised of an agent, of one for another processor.
fn an_agent_keeps_its_promises(target: &Target) {
    let authority = Authority::new();
    let (broker, door) = broker(&authority);
    let hub = Hub::by(Way::Broker(broker.address()));
    let cable = Proxy::to(door);
    let sub = MosquittoSub::start(broker.address(), &["rackside/1/#"]);
    let ledger = Ledger::start(broker.address(), RACK.0, RACK.1);
    let machine = Machine::new(48_123);
    let mut agent = Agent::start(&options(target, &machine, cable.address(), &authority));

    let online = sub.wait(SOON, presence).unwrap_or_else(|| panic!("no presence\n{}", agent.last_words()));
    assert!(online.online && online.reason == Reason::Start, "{online:?}");
    let born = sub.wait(SOON, |seen| {
        let birth = Birth::decode(&seen.payload).ok().filter(|_| seen.topic.ends_with("/birth"))?;
        birth.catalog?;
        check_birth(&birth, target);
        Some(birth.run)
    });
    assert_eq!(born, Some(online.run), "a birth with a catalog\n{}", agent.last_words());

    // The second: a share of the processors' time is one since the reading before.
    let second = expect(&sub, &agent, "a second reading", |reading| {
        reading.value("rackside_cpu_usage_ratio").map(|_| reading.clone())
    });
    assert_eq!(second.value(TEMPERATURE), Some(48.1));
    check_values(&second);
    machine.heat(71_460);
    let is_hot = |celsius: f64| (71.4..71.6).contains(&celsius).then_some(());
    expect(&sub, &agent, "it gets hot", |reading| is_hot(reading.value(TEMPERATURE)?));
    expect(&sub, &agent, "acks from the hub", |reading| {
        (reading.seq > 3 && reading.value(BACKLOG)? == 0.0).then_some(())
    });
    expect_complete(&hub, &ledger, 5);
    check_tick(&heard::readings(&sub.seen()));

    cable.cut();
    let before = ledger.only_run().below;
    std::thread::sleep(Duration::from_secs(6));
    assert!(agent.is_running(), "{}", agent.last_words());
    cable.heal();
    let backlog = expect(&sub, &agent, "what was read meanwhile", |reading| {
        reading.value(BACKLOG).filter(|backlog| reading.seq >= before && *backlog >= 4.0)
    });
    expect_complete(&hub, &ledger, before + backlog as u64);
    let after = ledger.only_run().below;
    expect(&sub, &agent, "no backlog again", |reading| {
        (reading.seq >= after && reading.value(BACKLOG)? == 0.0).then_some(())
    });
    let again = sub.seen().iter().filter_map(presence).next_back();
    assert!(
        again.is_some_and(|said| said.online && said.run == online.run && said.connection > 1),
        "{again:?}"
    );

    let status = agent.stop().unwrap_or_else(|| panic!("it goes on\n{}", agent.last_words()));
    assert!(status.success(), "{status}\n{}", agent.last_words());
    let goodbye = sub.wait(SOON, |seen| presence(seen).filter(|said| said.reason == Reason::Stop));
    assert!(goodbye.is_some_and(|said| !said.online && said.run == online.run), "{goodbye:?}");
}

/// A certificate that somebody else signed is refused: the processor's own arithmetic says so.
fn an_agent_refuses_a_stranger(target: &Target) {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (broker, door) = broker(&stranger);
    let sub = MosquittoSub::start(broker.address(), &["rackside/1/#"]);
    let machine = Machine::new(48_123);
    let agent = Agent::start(&options(target, &machine, door, &authority));
    let refused = eventually(SOON, || agent.log().contains("invalid peer certificate").then_some(()));
    assert!(refused.is_some(), "{}", agent.last_words());
    assert_eq!(sub.seen(), [], "and nothing is said");
}

const ARM64: Target =
    Target { name: "agent-arm64", emulator: "qemu-aarch64-static", processor: "cortex-a53", arch: "aarch64" };
const ARMV7: Target =
    Target { name: "agent-armv7", emulator: "qemu-arm-static", processor: "cortex-a7", arch: "armv7l" };
const ARMV6: Target =
    Target { name: "agent-armv6", emulator: "qemu-arm-static", processor: "arm1176", arch: "armv6l" };

#[test]
fn the_agent_for_arm64_keeps_its_promises() {
    an_agent_keeps_its_promises(&ARM64);
}

#[test]
fn the_agent_for_armv7_keeps_its_promises() {
    an_agent_keeps_its_promises(&ARMV7);
}

#[test]
fn the_agent_for_a_pi_zero_keeps_its_promises() {
    an_agent_keeps_its_promises(&ARMV6);
}

#[test]
fn the_agents_for_pis_refuse_a_stranger() {
    for target in [ARM64, ARMV7, ARMV6] {
        an_agent_refuses_a_stranger(&target);
    }
}
