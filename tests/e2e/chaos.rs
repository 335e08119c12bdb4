//! Everything dies at random, for minutes: agent, hub and broker by SIGKILL, the link by a pulled cable. Afterwards the
//! history on the disk holds every record of every run once, apart from the last moments of a run that was killed.
//!
//! ```sh
//! RACKSIDE_CHAOS=300s cargo test -p rackside-tests --test e2e chaos    # for each way; 40 s otherwise
//! RACKSIDE_SEED=7 cargo test -p rackside-tests --test e2e chaos       # that order of deaths again, as far as clocks allow
//! ```

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_history::{Reader, Samples};
use rackside_proto::Run;
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::clock::{self, eventually};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::mosquitto::Mosquitto;
use rackside_tests::namespace::{self, Cable};
use rackside_tests::programs::programs;
use rackside_tests::proxy::Proxy;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long each way takes unless said otherwise.
const SHORT: u64 = 40;
/// So small that outages of seconds reach the disk.
const SPILL_AFTER: Duration = Duration::from_secs(2);
/// What a killed run may take with it: what it had not spilled, the record that waits for its ack when the wait begins, a
/// busy machine.
const TAIL: Duration = Duration::from_secs(5);
/// From the start of the process to its first reading.
const FIRST: u64 = 2500;

/// A number from the environment; seconds may say so: `300s`.
fn variable(name: &str, otherwise: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return otherwise };
    text.trim_end_matches('s').parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}"))
}

/// Something that dies and comes back.
struct Victim {
    up: bool,
    next: Instant,
    deaths: u32,
    /// The longest life and the longest absence, in milliseconds.
    life: u64,
    absence: u64,
}

impl Victim {
    fn new(life: u64, absence: u64, dice: &mut fastrand::Rng) -> Self {
        let next = clock::now() + Duration::from_millis(dice.u64(life / 2..life));
        Self { up: true, next, deaths: 0, life, absence }
    }

    /// Whether it dies or comes back now.
    fn turns(&mut self, dice: &mut fastrand::Rng) -> bool {
        let turns = clock::now() >= self.next;
        if turns {
            self.up = !self.up;
            self.deaths += u32::from(!self.up);
            let wait = if self.up { dice.u64(self.life / 8..self.life) } else { dice.u64(10..self.absence) };
            self.next = clock::now() + Duration::from_millis(wait);
        }
        turns
    }
}

/// The venue's link.
enum Link {
    Proxy(Proxy),
    /// A real cable, which goes with the agent's namespace and comes with the next.
    Cable(Cable),
}

impl Link {
    /// Pulls it, or puts it back. A dead agent has no cable; the next one's is laid as it has to be.
    fn set(&self, up: bool, agent_is_up: bool) {
        match self {
            Self::Proxy(proxy) if up => proxy.heal(),
            Self::Proxy(proxy) => proxy.stall(),
            Self::Cable(_) if !agent_is_up => {}
            Self::Cable(cable) if up => cable.put_back(),
            Self::Cable(cable) => cable.pull(),
        }
    }
}

/// One process of the agent, by this machine's clock.
#[derive(Debug)]
struct Life {
    from_ms: u64,
    to_ms: u64,
    killed: bool,
}

/// All that runs.
struct Stage {
    hub: Hub,
    broker: Option<Mosquitto>,
    link: Link,
    agent: Agent,
    /// The directory of the script that gives each life of the agent its namespace.
    _script: Option<TempDir>,
    lives: Vec<Life>,
    born_ms: u64,
}

impl Stage {
    /// An agent behind a proxy, Mosquitto, and a hub that subscribes there.
    fn with_mosquitto() -> Self {
        let broker = Mosquitto::start();
        let hub = Hub::by(Way::Broker(broker.address()));
        let proxy = Proxy::to(broker.address());
        let agent = Agent::start(&options(proxy.address()));
        Self::of(hub, Some(broker), Link::Proxy(proxy), None, agent)
    }

    /// An agent behind a proxy at the hub's own listener.
    fn with_listener() -> Self {
        let hub = Hub::start();
        let proxy = Proxy::to(hub.mqtt());
        let agent = Agent::start(&options(proxy.address()));
        Self::of(hub, None, Link::Proxy(proxy), None, agent)
    }

    /// An agent in a network namespace of its own, a cable, and the hub's own listener.
    fn with_cable() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cable = Cable::new();
        // Everywhere: the near end and its address go when the agent's namespace does.
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 1883));
        let hub = Hub::listening(everywhere, Way::Listener, &programs().hub, "allow_anonymous = true");
        let mut options = options(SocketAddr::from((namespace::NEAR, 1883)));
        options.program = Some(cable.wrap(&programs().agent, directory.path()));
        let agent = Agent::start(&options);
        cable.plug_when_ready(agent.id());
        Self::of(hub, None, Link::Cable(cable), Some(directory), agent)
    }

    fn of(hub: Hub, broker: Option<Mosquitto>, link: Link, script: Option<TempDir>, agent: Agent) -> Self {
        hub.expect("a reading", RECOVERY, RACK, has_reading);
        let born_ms = clock::unix_ms();
        Self { hub, broker, link, _script: script, agent, lives: Vec::new(), born_ms }
    }

    fn end_life(&mut self, killed: bool) {
        self.lives.push(Life { from_ms: self.born_ms, to_ms: clock::unix_ms(), killed });
    }

    fn revive_agent(&mut self, link_is_up: bool) {
        if let Link::Cable(cable) = &self.link {
            cable.renew();
        }
        self.agent.restart();
        self.born_ms = clock::unix_ms();
        if let Link::Cable(cable) = &self.link {
            cable.plug_when_ready(self.agent.id());
            if !link_is_up {
                cable.pull();
            }
        }
    }

    /// Deaths and returns for so many seconds; then all is well.
    fn rage(&mut self, seconds: u64, dice: &mut fastrand::Rng) {
        // Often away for longer than the tail, and the agent dies meanwhile: only what is on its disk comes back.
        let mut agent = Victim::new(16_000, 2000, dice);
        let mut hub = Victim::new(12_000, 6000, dice);
        let mut broker = Victim::new(15_000, 5000, dice);
        let mut link = Victim::new(5000, 16_000, dice);
        let end = clock::now() + Duration::from_secs(seconds);
        while clock::now() < end {
            std::thread::sleep(Duration::from_millis(10));
            if agent.turns(dice) {
                if agent.up {
                    self.revive_agent(link.up);
                } else {
                    self.agent.kill();
                    self.end_life(true);
                }
            }
            if hub.turns(dice) {
                if hub.up { self.hub.come_up() } else { self.hub.kill() }
            }
            if let Some(mosquitto) = &mut self.broker
                && broker.turns(dice)
            {
                if broker.up { mosquitto.come_up() } else { mosquitto.stop() }
            }
            if link.turns(dice) {
                self.link.set(link.up, agent.up);
            }
        }
        self.link.set(true, agent.up);
        if !hub.up {
            self.hub.come_up();
        }
        if let Some(mosquitto) = self.broker.as_mut().filter(|_| !broker.up) {
            mosquitto.come_up();
        }
        if !agent.up {
            self.revive_agent(true);
        }
        eprintln!(
            "died: agent {}, hub {}, broker {}, link {}",
            agent.deaths, hub.deaths, broker.deaths, link.deaths
        );
    }

    /// Waits until the agent holds next to nothing, then ends it and the hub in good order. The hub's directory.
    fn settle(&mut self) -> std::path::PathBuf {
        let labels = [("site", RACK.0), ("appliance", RACK.1)];
        let caught_up = eventually(RECOVERY * 2, || {
            let backlog = self.hub.metrics().value("rackside_agent_backlog_records", &labels)?;
            (backlog <= 2.0).then_some(())
        });
        assert!(
            caught_up.is_some(),
            "the backlog does not go\n{}\n{}",
            self.agent.last_words(),
            self.hub.last_words()
        );
        // The tick that said so is acked too before the agent goes.
        std::thread::sleep(Duration::from_secs(3));
        let stopped = self.agent.stop();
        self.end_life(false);
        assert!(stopped.is_some_and(|status| status.success()), "{}", self.agent.last_words());
        assert!(self.hub.stop().is_some_and(|status| status.success()), "{}", self.hub.last_words());
        self.hub.data()
    }

    /// The runs, in order, as the agent's log names them.
    fn runs(&self) -> Vec<Run> {
        let log = self.agent.log();
        let named = log.lines().filter(|line| line.contains(" starts as ")).filter_map(|line| {
            let (_, run) = line.rsplit_once("run ")?;
            u32::from_str_radix(run.trim(), 16).ok().map(Run)
        });
        named.collect()
    }

    /// How many readings the agent says it skipped for want of time.
    fn skipped(&self) -> u64 {
        let log = self.agent.log();
        let said = log.lines().filter_map(|line| line.split_once(" readings were skipped"));
        said.filter_map(|(before, _)| before.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

fn options(broker: SocketAddr) -> AgentOptions {
    let mut options = AgentOptions::new(RACK.0, RACK.1, broker);
    options.top.push_str("clock = \"trust\"\n");
    options.spool = format!("spill_after = \"{}s\"\n", SPILL_AFTER.as_secs());
    options
}

/// Every number of every run, once; what a killed run took with it is short.
fn check_accounts(reader: &Reader, stage: &Stage) {
    let name = stage.agent.name();
    let runs = stage.runs();
    assert_eq!(runs.len(), stage.lives.len(), "a run for each life: {runs:?}");
    // A catalog and an event may come with a reading.
    let tail = TAIL.as_secs() * 3;
    for (run, life) in runs.iter().zip(&stage.lives) {
        let Some(account) = reader.account(&name, *run).expect("the history can be read") else {
            let short = life.to_ms - life.from_ms < FIRST + TAIL.as_millis() as u64;
            assert!(life.killed && short, "nothing of run {run}, which lived {life:?}");
            continue;
        };
        let ranges: Vec<_> = account.seqs.ranges().collect();
        let end = ranges.last().map_or(0, |range| range.end);
        let holes = end - ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        let missing = holes + account.lost;
        if life.killed {
            assert!(missing <= tail, "run {run}, {life:?}: {ranges:?}, {} lost", account.lost);
        } else {
            assert_eq!(
                (missing, ranges.len()),
                (0, 1),
                "run {run} was not killed: {ranges:?}, {} lost",
                account.lost
            );
        }
    }
}

/// The uptime of the machine, a second apart, for as long as the agent lived.
fn check_samples(samples: &Samples, stage: &Stage) {
    let mut gaps = 0;
    for life in &stage.lives {
        let tail = if life.killed { TAIL.as_millis() as u64 } else { 0 };
        let end = (life.to_ms - tail.min(life.to_ms)).saturating_sub(1500);
        let mut last = life.from_ms + FIRST - 1000;
        for &at in samples.times.iter().filter(|at| (life.from_ms..life.to_ms).contains(*at)) {
            // Whole seconds that have no sample.
            gaps += ((at.saturating_sub(last) + 500) / 1000).saturating_sub(1);
            last = at.max(last);
        }
        gaps += end.saturating_sub(last) / 1000;
    }
    let skipped = stage.skipped();
    assert!(gaps <= skipped, "{gaps} readings are missing, {skipped} were skipped; {:?}", stage.lives);
    let uptimes: Vec<i64> =
        samples.values.iter().map(|value| value.expect("an uptime is always known")).collect();
    assert!(uptimes.windows(2).all(|pair| pair[0] <= pair[1]), "history runs backwards: {uptimes:?}");
    for (at, uptime) in samples.times.iter().zip(&uptimes) {
        let boot = at / 1000 - *uptime as u64;
        let first = samples.times[0] / 1000 - uptimes[0] as u64;
        assert!(boot.abs_diff(first) <= 2, "the uptime at {at} was {uptime}");
    }
}

fn chaos(mut stage: Stage) {
    let seed = variable("RACKSIDE_SEED", clock::unix_ms());
    eprintln!("RACKSIDE_SEED={seed}");
    stage.rage(variable("RACKSIDE_CHAOS", SHORT), &mut fastrand::Rng::with_seed(seed));
    let data = stage.settle();
    let store = rackside_history::Store::open(&data, rackside_history::Settings::new(clock::unix_ms()));
    let reader = store.expect("nobody else has it").reader();
    check_accounts(&reader, &stage);
    let name = stage.agent.name();
    let series = reader.series(&name).expect("the history can be read");
    let (id, _) =
        series.iter().find(|(_, key)| &*key.name == "rackside_uptime_seconds").expect("it has an uptime");
    let samples = reader.samples(&name, *id, 0..u64::MAX).expect("the history can be read");
    check_samples(&samples, &stage);
}

#[test]
fn chaos_among_agent_mosquitto_and_hub_leaves_a_complete_history() {
    chaos(Stage::with_mosquitto());
}

#[test]
fn chaos_between_agent_and_hub_leaves_a_complete_history() {
    if !namespace::are_possible() {
        eprintln!("no network namespaces here: the link is a proxy");
        return chaos(Stage::with_listener());
    }
    if namespace::enter("chaos::chaos_between_agent_and_hub_leaves_a_complete_history") {
        chaos(Stage::with_cable());
    }
}
