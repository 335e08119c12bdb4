//! The agent without its wires: sensors, sampler and custody, and what it says of itself.
//!
//! One [`tick`](Agent::tick) is one reading: sensors are read, records are made and put into custody. Whether a connection is
//! there makes no difference to it. What is said on a connection is [`Session`](crate::session::Session)'s business.

use crate::clock::{Clock, Doubt, Moment};
use crate::command::{Commands, Gate};
use crate::config::Config;
use crate::custody::Custody;
use crate::host::Host;
use crate::join::signed::HubKey;
use crate::meter::Meter;
use crate::panel::led::{Link, Site};
use crate::panel::limits::Limits;
use crate::panel::{Happened, Reading, judge};
use crate::probe::results::Series;
use crate::probe::stills::Taken;
use crate::probe::stills::take::Picture;
use crate::sampler::{Made, Sampler};
use crate::sensor::{Own, Report, Roots, Sensors};
use crate::spool::Spool;
use crate::transport::Traffic;
use log::{error, info, warn};
use rackside_proto::{
    Adopted, AgentName, Birth, Capabilities, ClockSource, EncodeError, Event, Format, Prefix, Presence,
    Reason, Run, Severity, SpoolPlace, Still, Time, Verdict, What, limits,
};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// This program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a birth says that may change while a connection lasts: once it differs from the last one's, another is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gist {
    catalog: u32,
    clock: ClockSource,
    tick_ms: u32,
    interval_ms: u32,
    spool: (SpoolPlace, u64),
    revision: u32,
    capabilities: Capabilities,
}

/// One run of the agent.
#[derive(Debug)]
pub struct Agent {
    /// Site and appliance.
    pub name: AgentName,
    /// The first word of every topic.
    pub prefix: Prefix,
    /// What is held until the hub acks it.
    pub custody: Custody,
    /// What crossed the link so far.
    pub traffic: Rc<Traffic>,
    /// The hub's newest opinion, and until when it holds.
    pub verdict: Option<(Verdict, Instant)>,
    /// The panel's series; whoever steps the panel sets them before a tick.
    pub panel: Vec<Reading>,
    /// The probes' series; whoever steps the probes sets them before a tick.
    pub probes: Vec<Series>,
    /// What the hub has this box do.
    pub commands: Commands,
    /// The hub's clock, as its newest ack had it; whoever judges the clocks takes it.
    pub hub_time: Option<u64>,
    /// The newest message with a configuration; whoever judges these takes it.
    pub configuration: Option<Vec<u8>>,
    /// The revision of the hub's configuration that counts.
    pub revision: u32,
    /// Whether one is taken.
    accepts: bool,
    run: Run,
    connection: u32,
    connects: u64,
    host: Host,
    boot_id: [u8; 16],
    tick_ms: u32,
    /// How many bytes of records fit into memory, and onto the disk.
    room: (u64, u64),
    sensors: Sensors,
    sampler: Sampler,
    /// Whether records were made with the clock unknown, so that an anchor will be due.
    undated: bool,
    /// What was said of the clock last.
    doubt: Option<Doubt>,
    route: Option<String>,
    /// Whether the line in use costs money.
    meter: Meter,
    /// From what on the site itself objects.
    limits: Limits,
    /// What the site thinks of itself.
    judgement: (Severity, Option<String>),
    /// When the newest reading was taken.
    read: Option<Time>,
}

impl Agent {
    /// An agent that has not read anything yet.
    pub fn new(config: &Config, run: Run, clock: &Clock, roots: Roots, host: Host) -> Self {
        let tick_ms = config.tick.as_millis() as u32;
        Self {
            name: config.name.clone(),
            prefix: config.mqtt.prefix.clone(),
            custody: Custody::new(run, config.spool.limits),
            traffic: Rc::default(),
            verdict: None,
            panel: Vec::new(),
            probes: Vec::new(),
            commands: Commands::new(Gate::new(hub_key(config), config.commands)),
            hub_time: None,
            configuration: None,
            revision: config.hub.revision(),
            accepts: config.hub.accepts,
            run,
            connection: 0,
            connects: 0,
            host,
            boot_id: clock.boot_id(),
            tick_ms,
            room: (config.spool.limits.memory as u64, config.spool.disk),
            sensors: Sensors::new(roots),
            sampler: Sampler::new(clock.boot_id(), tick_ms),
            undated: false,
            doubt: None,
            route: None,
            meter: Meter::new(&config.probes.general.metered),
            limits: config.limits,
            judgement: (Severity::Well, None),
            read: None,
        }
    }

    /// This run's number.
    pub const fn run(&self) -> Run {
        self.run
    }

    /// How many series the catalog has.
    pub fn series(&self) -> usize {
        self.sampler.series()
    }

    /// What the birth would say now, in short.
    pub fn gist(&self, moment: &Moment) -> Gist {
        Gist {
            catalog: self.sampler.number(),
            clock: moment.source(),
            tick_ms: self.tick_ms,
            interval_ms: self.interval_ms(),
            spool: self.spool(),
            revision: self.revision,
            capabilities: self.capabilities(),
        }
    }

    /// Where records are kept, and how many bytes of them.
    const fn spool(&self) -> (SpoolPlace, u64) {
        if self.custody.is_durable() {
            (SpoolPlace::Disk, self.room.1)
        } else {
            (SpoolPlace::Memory, self.room.0)
        }
    }

    /// The spool on the disk is open, with what earlier runs left there.
    pub fn attach(&mut self, spool: Spool, now: Instant) {
        self.custody.attach(spool, now);
        // Some of it may carry the time since a boot that is still this one.
        self.undated |= self.custody.backlog() > 0;
    }

    /// Takes over a new configuration, all but the name: what is in custody belongs to that. Not while a conversation goes
    /// on under the old prefix.
    pub fn configure(&mut self, config: &Config) {
        self.prefix = config.mqtt.prefix.clone();
        self.tick_ms = config.tick.as_millis() as u32;
        self.room = (config.spool.limits.memory as u64, config.spool.disk);
        self.limits = config.limits;
        self.accepts = config.hub.accepts;
        self.meter.configure(&config.probes.general.metered);
        self.sampler.tick(self.tick_ms);
        self.custody.limit(config.spool.limits);
        self.custody.limit_disk(config.spool.disk);
        self.commands.gate.configure(hub_key(config), config.commands);
    }

    /// One reading of everything, into custody.
    pub fn tick(&mut self, moment: &Moment) {
        self.sensors.machine.own = Own {
            backlog: self.custody.backlog(),
            dropped: self.custody.dropped(),
            spool_bytes: self.custody.spool_bytes(),
            is_durable: self.custody.is_durable(),
            damaged: self.custody.damaged(),
            connects: self.connects,
            received: self.traffic.received(),
            transmitted: self.traffic.transmitted(),
            refused: self.commands.gate.refused(),
        };
        self.sensors.machine.panel = std::mem::take(&mut self.panel);
        self.sensors.machine.probes = std::mem::take(&mut self.probes);
        let report = self.sensors.read(moment);
        self.record(&report, moment);
        self.read = Some(moment.time());
        let judgement = judge::judge(&report, &self.limits);
        if judgement != self.judgement {
            let why = judgement.1.as_deref().unwrap_or("nothing is wrong with it any more");
            info!("this site is {}: {why}", judgement.0.as_str());
            self.judgement = judgement;
        }
    }

    /// What is known of the site: its own judgement, and the hub's if that is worse and still holds.
    pub fn site(&self, link: Link, now: Instant) -> Site {
        let verdict = self.verdict.filter(|(_, until)| now < *until);
        let severity = self.judgement.0.max(verdict.map_or(Severity::Well, |(verdict, _)| verdict.severity));
        Site { link, severity }
    }

    /// What the site thinks of itself, and why.
    pub fn judgement(&self) -> (Severity, Option<&str>) {
        (self.judgement.0, self.judgement.1.as_deref())
    }

    /// How many connections were made.
    pub const fn connects(&self) -> u64 {
        self.connects
    }

    /// Whether an interface carries the default route.
    pub fn is_routed(&self) -> bool {
        self.sensors.machine.default_route().is_some()
    }

    /// The interface that carried the default route in the newest reading.
    pub fn default_route(&self) -> Option<&str> {
        self.sensors.machine.default_route()
    }

    /// The interface in use, if it costs money: readings are collected then, and each stays with this process until it is part of a record.
    pub fn metered(&self) -> Option<&str> {
        self.meter.metered()
    }

    /// How many readings are collected and in custody of nobody yet.
    pub const fn collected(&self) -> usize {
        self.sampler.collected()
    }

    /// For how long readings are collected; `None` when each goes by itself.
    pub fn together(&self) -> Option<Duration> {
        self.meter.together(Duration::from_millis(self.tick_ms.into()))
    }

    /// Milliseconds from one data message to the next.
    fn interval_ms(&self) -> u32 {
        self.together().map_or(self.tick_ms, |together| together.as_millis() as u32)
    }

    /// After which silence a connection is to count as gone.
    pub fn keep_alive(&self) -> Duration {
        self.meter.keep_alive()
    }

    /// Takes what is collected into custody: nothing more is read, or what follows is of another kind.
    pub fn flush(&mut self, now: Instant) {
        self.sampler.flush();
        self.keep_made(now);
    }

    /// Something happened on the panel, or a probe changed its state: a sample of its series at its own moment. A series that no catalog has yet comes with the next
    /// reading.
    pub fn happened(&mut self, happened: &Happened, moment: &Moment) {
        let Reading { metric, labels, value } = &happened.reading;
        let Some((catalog, series)) = self.sampler.position(metric, labels) else { return };
        let ago = moment.now.saturating_duration_since(happened.at).as_millis() as u64;
        let time = match moment.time() {
            Time::Utc { ms } => Time::Utc { ms: ms.saturating_sub(ago) },
            Time::Boot { boot, ms } => Time::Boot { boot, ms: ms.saturating_sub(ago) },
        };
        // A reading that was taken while the contact bounced says what was so before: this comes after it.
        let time = self.read.filter(|read| read.since(time).is_some()).map_or(time, |read| read.plus(1));
        let mut body = Vec::new();
        let event = Event { time, what: What::Sample { catalog, series, value: *value } };
        event.encode(&mut body).expect("states are small numbers and a Vec has room");
        self.custody.put_event(body, moment.now).expect("an event is far smaller than a message may be");
    }

    /// A text changed.
    pub fn told(&mut self, subject: &str, text: &str, moment: &Moment) {
        self.event(What::Text { subject: limits::fit(subject), text: limits::fit(text) }, moment);
    }

    /// Something became of a configuration of the hub's.
    pub fn adopted(&mut self, revision: u32, adopted: Adopted, why: &str, moment: &Moment) {
        let why = limits::fit_in(why, limits::WHY);
        self.event(What::Configuration { revision, adopted, why }, moment);
    }

    /// Whether a configuration of the hub's is taken.
    pub const fn takes_configurations(&self) -> bool {
        self.accepts
    }

    /// The body of a still. It is in nobody's custody: whoever sends it does so now or never.
    pub fn still(&self, taken: &Taken, moment: &Moment) -> Result<Vec<u8>, EncodeError> {
        let ago = moment.now.saturating_duration_since(taken.at).as_millis() as u64;
        let time = match moment.time() {
            Time::Utc { ms } => Time::Utc { ms: ms.saturating_sub(ago) },
            Time::Boot { boot, ms } => Time::Boot { boot, ms: ms.saturating_sub(ago) },
        };
        let Picture { width, height, jpeg: picture, .. } = &taken.picture;
        let (probe, clock, format) = (&*taken.probe, moment.source(), Format::Jpeg);
        let mut body = Vec::with_capacity(picture.len() + 128);
        Still { probe, time, clock, width: *width, height: *height, format, picture }.encode(&mut body)?;
        Ok(body)
    }

    fn record(&mut self, report: &Report, moment: &Moment) {
        self.anchor(moment);
        let now = moment.now;
        self.meter.see(self.sensors.machine.default_route());
        if let Err(error) = self.sampler.sample(report, (moment.time(), now), self.together()) {
            error!("this reading is lost: {error}");
        }
        self.keep_made(now);
        let route = self.sensors.machine.default_route();
        if route != self.route.as_deref() {
            let text = limits::fit(route.unwrap_or_default()).to_owned();
            info!("the default route is on {}", if text.is_empty() { "no interface" } else { &text });
            if let (Some(line), Some(together)) = (route.and(self.metered()), self.together()) {
                info!("{line} is metered: {} s of readings go together", together.as_secs());
            }
            self.route = route.map(str::to_owned);
            self.event(What::Text { subject: "default_route", text: &text }, moment);
        }
    }

    /// Takes into custody what the sampler has made.
    fn keep_made(&mut self, now: Instant) {
        for made in self.sampler.take_made() {
            let put = match made {
                Made::Catalog { number, body } => self.custody.put_catalog(number, body, now),
                // As old as its newest reading: what was collected for a while is no sign of life.
                Made::Readings { body, read } => self.custody.put_data(body, read),
            };
            if let Err(error) = put {
                error!("readings are lost: {error}");
            }
        }
    }

    /// Names this moment on both clocks, once the clock is known after records were made without it.
    fn anchor(&mut self, moment: &Moment) {
        self.say_doubt(moment);
        if !moment.known {
            self.undated = true;
        } else if std::mem::take(&mut self.undated) {
            info!("the clock is known now");
            self.flush(moment.now);
            let (boot, boot_ms, utc_ms) = (moment.boot, moment.boot_ms, moment.utc_ms);
            self.event(What::Anchor { boot, boot_ms, utc_ms }, moment);
        }
    }

    /// Says once what is odd about the clock, and once that it is right again.
    fn say_doubt(&mut self, moment: &Moment) {
        let kind = |doubt: &Option<Doubt>| doubt.as_ref().map(std::mem::discriminant);
        if kind(&moment.doubt) == kind(&self.doubt) {
            return;
        }
        match moment.doubt {
            Some(doubt) => warn!("{doubt}"),
            None if moment.known => info!("the system's clock is believed again"),
            None => {}
        }
        self.doubt = moment.doubt;
    }

    fn event(&mut self, what: What<'_>, moment: &Moment) {
        let mut body = Vec::new();
        let event = Event { time: moment.time(), what };
        event.encode(&mut body).expect("texts were cut to fit and a Vec has room");
        self.custody.put_event(body, moment.now).expect("an event is far smaller than a message may be");
    }

    /// The number of a connection about to be made.
    pub fn next_connection(&mut self) -> u32 {
        self.connection += 1;
        self.connection
    }

    /// A connection was made.
    pub fn connected(&mut self, now: Instant) {
        self.connects += 1;
        self.custody.connected(now);
    }

    /// The body of a presence message of the present connection.
    pub fn presence(&self, online: bool, reason: Reason) -> Vec<u8> {
        let mut body = Vec::new();
        let presence = Presence { run: self.run, connection: self.connection, online, reason };
        presence.encode(&mut body).expect("a Vec has room");
        body
    }

    fn capabilities(&self) -> Capabilities {
        let bit = |is_there, capability| if is_there { capability } else { Capabilities::default() };
        let gpio = bit(self.host.gpio, Capabilities::GPIO);
        gpio.with(bit(self.accepts, Capabilities::CONFIGURATION)).with(self.commands.gate.accepts())
    }

    /// The body of a birth message.
    pub fn birth(&self, moment: &Moment) -> Result<Vec<u8>, EncodeError> {
        let (spool, spool_bytes) = self.spool();
        let birth = Birth {
            run: self.run,
            connection: self.connection,
            floor: self.custody.floor(),
            next: self.custody.next(),
            time: moment.time(),
            clock: moment.source(),
            boot_id: self.boot_id,
            tick_ms: self.tick_ms,
            version: VERSION,
            hostname: &self.host.hostname,
            model: &self.host.model,
            os: &self.host.os,
            kernel: &self.host.kernel,
            arch: &self.host.arch,
            capabilities: self.capabilities(),
            config_revision: self.revision,
            spool,
            spool_bytes,
            catalog: None,
            revision: self.host.revision,
            interval_ms: self.interval_ms(),
        };
        let mut body = Vec::new();
        birth.encode(self.sampler.catalog(), &mut body)?;
        Ok(body)
    }
}

/// The hub that this box has joined, by its key.
fn hub_key(config: &Config) -> Option<HubKey> {
    HubKey::of(config.mqtt.identity.as_deref()?)
}

#[cfg(test)]
mod tests;
