//! One appliance: a machine with a clock that nobody may trust, a disk that loses what was not synced, a cable that can be
//! pulled, and the agent's own cores on it.
//!
//! Real are the agent's readings, catalogs, custody, spool, clock and conversation; its sensors look at a made-up /proc, in
//! which the interface `eth0` carries the default route and counts readings and events: its bytes received are 1, 2, 3 and so on for the
//! life of the appliance. What stands here instead of the agent's own loop is that loop in virtual time.

use crate::broker::Broker;
use crate::moment::Virtual;
use crate::schedule::Setup;
use crate::truth::{Ending, Truth};
use rackside_agent::agent::Agent;
use rackside_agent::clock::{Clock, Moment, Raw, Trust};
use rackside_agent::config::Config;
use rackside_agent::host::Host;
use rackside_agent::sensor::Roots;
use rackside_agent::session::Session;
use rackside_agent::spool::Spool;
use rackside_agent::spool::cut::{CutDisk, Entries, Fate, Tail};
use rackside_agent::ticker::Ticker;
use rackside_agent::transport::Backoff;
use rackside_proto::{AgentName, Birth, Event, Reason, Run, Value, What};
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a connect hangs on a cable that is pulled.
const CONNECT: Duration = Duration::from_secs(10);
/// From boot, or from the end of a blockade, until NTP has set the clock.
const NTP: Duration = Duration::from_secs(20);
/// From power, and from the order to start, until the agent runs.
const BOOT: Duration = Duration::from_secs(20);
const START: Duration = Duration::from_millis(300);
/// A counter of every catalog: the one that tells samples apart.
pub(crate) const COUNTER: (&str, &str) = ("rackside_network_receive_bytes_total", "eth0");

/// The machine.
pub(crate) struct Pi {
    pub(crate) index: usize,
    pub(crate) name: AgentName,
    setup: Setup,
    root: PathBuf,
    config: Config,
    disk: CutDisk,
    disk_is_well: bool,
    powered: bool,
    boot: u128,
    booted: Instant,
    clock: WallClock,
    cable: bool,
    /// What waits for the cable, either way.
    upward: Vec<u8>,
    downward: Vec<u8>,
    connections: u64,
    /// When the agent runs, if it is to.
    starts: Option<Instant>,
    process: Option<Process>,
    /// The newest sample's number.
    made: i64,
    interfaces: u32,
    dice: fastrand::Rng,
}

/// The system's clock.
#[derive(Debug)]
struct WallClock {
    /// By how many milliseconds it is wrong.
    error_ms: i64,
    /// Whether the kernel takes it for synchronised.
    synchronised: bool,
    /// Whether NTP comes through.
    ntp: bool,
    /// When NTP sets it, if it does.
    set_at: Option<Instant>,
}

/// The agent's process.
struct Process {
    agent: Agent,
    clock: Clock,
    ticker: Ticker,
    backoff: Backoff,
    line: Line,
}

enum Line {
    Down { until: Instant },
    Up { session: Box<Session>, number: u64 },
}

impl Pi {
    /// A machine that has just booted, with the agent running.
    pub(crate) fn new(index: usize, setup: Setup, root: PathBuf, dice: fastrand::Rng, now: Virtual) -> Self {
        let metered = if setup.metered { "\"eth0\"" } else { "" };
        let text = format!(
            "site = \"arena-north\"\nappliance = \"rack-{index}\"\ntick = \"{}s\"\nprobes.ping = []\nprobes.metered = [{metered}]\n\
             [mqtt]\naddress = \"hub\"\n[spool]\nmemory = \"{} KiB\"\n",
            setup.tick_s, setup.memory_kib
        );
        let config = Config::parse(&text, "agent.toml").expect("a good file");
        for directory in ["proc/net", "proc/sys/kernel/random", "sys"] {
            std::fs::create_dir_all(root.join(directory)).expect("the directory can be written");
        }
        let route = "head\neth0 00000000 0100A8C0 0003 0 0 100 00000000 0 0 0\n";
        std::fs::write(root.join("proc/net/route"), route).expect("the directory can be written");
        let clock = WallClock { error_ms: 0, synchronised: setup.ntp, ntp: setup.ntp, set_at: None };
        Self {
            index,
            name: config.name.clone(),
            setup,
            root,
            config,
            disk: CutDisk::new(),
            disk_is_well: true,
            powered: false,
            boot: 0,
            booted: now.instant,
            clock,
            cable: true,
            upward: Vec::new(),
            downward: Vec::new(),
            connections: 0,
            starts: None,
            process: None,
            made: 0,
            interfaces: 0,
            dice,
        }
    }

    /// Boots, if it has no power yet.
    pub(crate) fn restore_power(&mut self, now: Virtual) {
        if std::mem::replace(&mut self.powered, true) {
            return;
        }
        self.boot = self.dice.u128(..);
        self.booted = now.instant;
        std::fs::write(self.root.join("proc/sys/kernel/random/boot_id"), format!("{:032x}\n", self.boot))
            .expect("the directory can be written");
        self.clock.boot(&mut self.dice, now);
        self.starts = Some(now.instant + BOOT);
    }

    /// Power is gone, with all that was not synced.
    pub(crate) fn cut_power(&mut self, truth: &mut Truth, now: Virtual) {
        if std::mem::replace(&mut self.powered, false) {
            self.end(Ending::Killed, truth, now);
            self.disk.cut();
            self.disk.restart(fate(&mut self.dice));
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, broker: &mut Broker, truth: &mut Truth, now: Virtual) {
        if self.process.is_some() {
            self.end(Ending::Killed, truth, now);
            // The kernel closes its sockets.
            if self.cable {
                broker.lost(self.index, now.instant);
            }
        }
    }

    fn end(&mut self, ending: Ending, truth: &mut Truth, now: Virtual) {
        self.starts = None;
        truth.dropped(self.dropped());
        if self.process.take().is_some() {
            truth.ended(ending, now);
        }
        self.upward.clear();
        self.downward.clear();
    }

    /// Starts the agent, if there is power and it does not run.
    pub(crate) fn start(&mut self, now: Virtual) {
        if self.powered && self.process.is_none() {
            self.starts.get_or_insert(now.instant + START);
        }
    }

    fn started(&mut self, truth: &mut Truth, now: Virtual) {
        let roots = Roots::below(&self.root);
        let clock = Clock::new(Trust::Auto, &roots.proc);
        let run = Run(self.dice.u32(..));
        let agent = Agent::new(&self.config, run, &clock, roots, Host::default());
        truth.started(run, self.setup.disk_kib > 0 && self.disk_is_well);
        let ticker = Ticker::new(self.config.tick, now.instant);
        let backoff = Backoff::new(u64::from(run.0));
        let line = Line::Down { until: now.instant };
        self.process = Some(Process { agent, clock, ticker, backoff, line });
        self.open_spool(truth, now);
    }

    /// Opens the spool, if there is a disk for it and it is not open. A disk that fails now is tried again.
    fn open_spool(&mut self, truth: &mut Truth, now: Virtual) {
        let Some(process) = &mut self.process else { return };
        if process.agent.custody.has_lost_spool() {
            process.agent.custody.detach(now.instant);
        }
        if self.setup.disk_kib == 0 || process.agent.custody.has_spool() {
            return;
        }
        let disk = Box::new(self.disk.clone());
        if let Ok((spool, recovery)) = Spool::open(disk, self.setup.disk_kib << 10) {
            truth.found_missing(recovery.missing_records);
            process.agent.custody.attach(spool, now.instant);
        }
    }

    /// SIGTERM.
    pub(crate) fn stop(&mut self, broker: &mut Broker, truth: &mut Truth, now: Virtual) {
        self.work(broker, truth, now);
        self.keep_collected(truth, now);
        let Some(process) = &mut self.process else { return };
        process.agent.custody.stop(now.instant);
        if self.disk.is_off() {
            return self.cut_power(truth, now);
        }
        if let Line::Up { session, .. } = &mut process.line {
            // A link that is in no state for a goodbye goes without one.
            let _ = session.close(&process.agent, Reason::Stop, now.instant);
        }
        self.flush(broker, now);
        if self.cable {
            broker.lost(self.index, now.instant);
        }
        let ending =
            if self.setup.disk_kib > 0 && self.disk_is_well { Ending::Stopped } else { Ending::Killed };
        self.end(ending, truth, now);
    }

    pub(crate) fn cut_cable(&mut self) {
        self.cable = false;
    }

    /// What waited goes on, unless either end has given up.
    pub(crate) fn mend_cable(&mut self, broker: &mut Broker, now: Virtual) {
        if std::mem::replace(&mut self.cable, true) {
            return;
        }
        let downward = std::mem::take(&mut self.downward);
        self.hear(&downward, broker, now);
    }

    /// Both ends hear that the connection is gone.
    pub(crate) fn break_connection(&mut self, broker: &mut Broker, now: Virtual) {
        broker.lost(self.index, now.instant);
        self.lose(now);
    }

    /// Cuts the power in the disk's next step but so many.
    pub(crate) fn cut_power_in_step(&mut self, after: u64) {
        self.disk.cut_at(Some(self.disk.steps() + after));
    }

    /// Makes the disk's next step but so many fail.
    pub(crate) fn fail_step(&mut self, after: u64, truth: &mut Truth) {
        self.disk.fail_at(self.disk.steps() + after, ErrorKind::Other);
        truth.has_no_disk();
    }

    pub(crate) fn fill_disk(&mut self, truth: &mut Truth, full: bool) {
        self.disk_is_well = !full;
        self.disk.capacity(full.then_some(0));
        if full {
            truth.has_no_disk();
        }
    }

    /// Nothing more happens to the disk, nor to the power.
    pub(crate) fn spare(&mut self) {
        self.disk.cut_at(None);
        self.disk.capacity(None);
        self.disk_is_well = true;
    }

    pub(crate) fn rot_disk(&mut self, truth: &mut Truth) {
        let Some(name) = self.dice.choice(self.disk.names()) else { return };
        let length = self.disk.bytes(&name).map_or(0, |bytes| bytes.len());
        if length > 0 {
            self.disk.flip(&name, self.dice.usize(..length), self.dice.u8(..8));
            truth.rots();
        }
    }

    pub(crate) fn step_clock(&mut self, seconds: i64, now: Virtual) {
        self.clock.error_ms = self.clock.error_ms.saturating_add(seconds.saturating_mul(1000));
        self.clock.synchronised = false;
        self.clock.expect_ntp(now);
    }

    pub(crate) fn let_ntp_through(&mut self, ntp: bool, now: Virtual) {
        self.clock.ntp = ntp;
        self.clock.expect_ntp(now);
    }

    pub(crate) fn change_series(&mut self) {
        self.interfaces = (self.interfaces + 1) % 5;
    }

    fn moment(&mut self, now: Virtual) -> Option<Moment> {
        self.clock.pass(now);
        let raw = Raw {
            now: now.instant,
            boottime: now.instant.saturating_duration_since(self.booted),
            utc: Duration::from_millis(now.shown(self.clock.error_ms)),
            synchronised: Some(self.clock.synchronised),
        };
        self.process.as_mut().map(|process| process.clock.judge(raw))
    }

    /// Does what is due. The disk may cut the power while it does.
    pub(crate) fn work(&mut self, broker: &mut Broker, truth: &mut Truth, now: Virtual) {
        if self.starts.take_if(|at| *at <= now.instant).is_some() {
            self.started(truth, now);
        }
        self.work_with_power(broker, truth, now);
        if self.disk.is_off() {
            self.cut_power(truth, now);
        }
    }

    fn work_with_power(&mut self, broker: &mut Broker, truth: &mut Truth, now: Virtual) {
        let Some(moment) = self.moment(now) else { return };
        let process = self.process.as_mut().expect("it has a moment");
        if let Some(utc_ms) = process.agent.hub_time.take() {
            process.clock.hub_said(utc_ms, &moment);
        }
        if process.ticker.take(now.instant).is_some() {
            self.open_spool(truth, now);
            if truth.is_over() {
                self.keep_collected(truth, now);
            } else {
                self.tick(&moment, truth, now);
            }
        }
        let process = self.process.as_mut().expect("it has a moment");
        process.agent.custody.keep(now.instant);
        match &mut process.line {
            Line::Down { until } if *until <= now.instant => self.connect(broker, now),
            Line::Down { .. } => {}
            Line::Up { number, .. } => {
                if self.cable && self.upward.is_empty() && !broker.has(self.index, *number) {
                    self.lose(now);
                }
            }
        }
        self.pump(broker, &moment, now);
    }

    fn tick(&mut self, moment: &Moment, truth: &mut Truth, now: Virtual) {
        self.made += 1;
        let mut table = format!("head\nhead\neth0: {} 0 0 0 0 0 0 0 0 0\n", self.made);
        for n in 1..=self.interfaces {
            let _ = writeln!(table, "wwan{n}: {} 0 0 0 0 0 0 0 {n} 0", self.made * 7);
        }
        std::fs::write(self.root.join("proc/net/dev"), table).expect("the directory can be written");
        let process = self.process.as_mut().expect("it ticks");
        let first = process.agent.custody.next();
        process.agent.tick(moment);
        truth.read(self.made, moment, now);
        truth.kept(first..process.agent.custody.next(), process.agent.collected());
    }

    /// What was read and is no record yet becomes one.
    fn keep_collected(&mut self, truth: &mut Truth, now: Virtual) {
        let Some(Process { agent, .. }) = &mut self.process else { return };
        let first = agent.custody.next();
        agent.flush(now.instant);
        truth.kept(first..agent.custody.next(), agent.collected());
    }

    /// An event, which is a sample of the counter. None in the moment of another sample: of two the history keeps one.
    pub(crate) fn event(&mut self, truth: &mut Truth, now: Virtual) {
        let Some(moment) = self.moment(now).filter(|_| !truth.has_sample_at(now)) else { return };
        let process = self.process.as_mut().expect("it has a moment");
        let body = process.agent.birth(&moment).expect("a birth");
        let Some(catalog) = Birth::decode(&body).expect("our own").catalog else { return };
        let is_counter = |series: &rackside_proto::Series<'_>| {
            series.name == COUNTER.0 && series.labels.iter().any(|label| label.value == COUNTER.1)
        };
        let series =
            catalog.series().position(|series| is_counter(&series)).expect("of every catalog") as u32;
        self.made += 1;
        let value = Value::Known(self.made);
        let what = What::Sample { catalog: catalog.head.number, series, value };
        let mut body = Vec::new();
        Event { time: moment.time(), what }.encode(&mut body).expect("it fits");
        let seq = process.agent.custody.put_event(body, now.instant).expect("it fits");
        truth.made(seq..seq + 1, self.made, &moment, now);
    }

    fn connect(&mut self, broker: &Broker, now: Virtual) {
        let process = self.process.as_mut().expect("it connects");
        if self.cable && broker.is_up() {
            self.connections += 1;
            let session = Box::new(Session::open(&mut process.agent, None, now.instant));
            process.line = Line::Up { session, number: self.connections };
        } else {
            let hangs = if self.cable { Duration::ZERO } else { CONNECT };
            process.line = Line::Down { until: now.instant + hangs + process.backoff.next_wait() };
        }
    }

    /// The stream is gone.
    fn lose(&mut self, now: Virtual) {
        self.upward.clear();
        self.downward.clear();
        let Some(process) = &mut self.process else { return };
        if let Line::Up { session, .. } = &process.line {
            if session.connected().is_some_and(|since| now.instant >= since + CONNECT) {
                process.backoff.reset();
            }
            process.agent.custody.disconnected();
            process.line = Line::Down { until: now.instant + process.backoff.next_wait() };
        }
    }

    /// Writes what is to be said, until there is no more.
    fn pump(&mut self, broker: &mut Broker, moment: &Moment, now: Virtual) {
        loop {
            let Some(Process { agent, line: Line::Up { session, .. }, .. }) = &mut self.process else {
                return;
            };
            if session.pump(agent, moment).is_err() {
                return self.lose(now);
            }
            if !self.flush(broker, now) {
                return;
            }
        }
    }

    /// Moves bytes out, and the broker's answer back. Says whether there was anything.
    fn flush(&mut self, broker: &mut Broker, now: Virtual) -> bool {
        let Some(Process { line: Line::Up { session, number }, .. }) = &mut self.process else {
            return false;
        };
        let number = *number;
        let said = session.output().len();
        self.upward.extend_from_slice(session.output());
        session.written(said);
        if !self.cable || self.upward.is_empty() {
            return false;
        }
        let upward = std::mem::take(&mut self.upward);
        if let Some(answer) = broker.receive(self.index, number, &upward, now.instant) {
            self.hear(&answer, broker, now);
        }
        true
    }

    /// What comes from the broker.
    pub(crate) fn hear(&mut self, bytes: &[u8], broker: &mut Broker, now: Virtual) {
        if !self.cable {
            self.downward.extend_from_slice(bytes);
            return;
        }
        let Some(moment) = self.moment(now) else { return };
        let Some(Process { agent, line: Line::Up { session, number }, .. }) = &mut self.process else {
            return;
        };
        let fine = broker.has(self.index, *number) && session.receive(bytes, agent, moment.now).is_ok();
        if !fine {
            self.lose(now);
        }
    }

    /// When there will be something to do.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let Some(process) = &self.process else { return self.starts };
        let line = match &process.line {
            Line::Down { until } => *until,
            Line::Up { session, .. } => session.deadline(&process.agent, now),
        };
        let custody = process.agent.custody.keep_at();
        Some(custody.into_iter().fold(line.min(process.ticker.next()), Instant::min))
    }

    /// What is held of the present run.
    pub(crate) fn held(&self) -> Option<(Run, Range<u64>)> {
        let custody = &self.process.as_ref()?.agent.custody;
        Some((custody.run(), custody.floor()..custody.next()))
    }

    /// From one reading to the next.
    pub(crate) fn tick_length(&self) -> Duration {
        self.config.tick
    }

    /// How many records the agent says it dropped, since it started.
    pub(crate) fn dropped(&self) -> u64 {
        self.process.as_ref().map_or(0, |process| process.agent.custody.dropped())
    }

    /// How many records it holds.
    pub(crate) fn backlog(&self) -> u64 {
        self.process.as_ref().map_or(0, |process| process.agent.custody.backlog())
    }
}

/// What becomes of what was not synced.
fn fate(dice: &mut fastrand::Rng) -> Fate {
    let tail = match dice.u8(..5) {
        0 => Tail::Kept,
        1 => Tail::Lost,
        2 => Tail::Torn(dice.usize(..5000)),
        3 => Tail::Zeroes(dice.usize(..5000)),
        _ => Tail::Rubbish(dice.u64(..)),
    };
    let entries = match dice.u8(..5) {
        0 => Entries::Kept,
        1 => Entries::Lost,
        2 => Entries::OnlyMade,
        3 => Entries::OnlyRemoved,
        _ => Entries::Some(dice.u64(..)),
    };
    Fate { tail, entries }
}

impl WallClock {
    /// A Pi has no clock: it boots in 1970, or with the time at which it last stopped.
    fn boot(&mut self, dice: &mut fastrand::Rng, now: Virtual) {
        self.synchronised = false;
        self.error_ms = if dice.bool() { -(now.true_ms as i64) } else { -dice.i64(1000..90_000_000) };
        self.expect_ntp(now);
    }

    fn expect_ntp(&mut self, now: Virtual) {
        self.set_at = (self.ntp && !self.synchronised).then(|| now.instant + NTP);
        if !self.ntp {
            self.synchronised = false;
        }
    }

    fn pass(&mut self, now: Virtual) {
        if self.set_at.take_if(|at| *at <= now.instant).is_some() {
            (self.error_ms, self.synchronised) = (0, true);
        }
    }
}
