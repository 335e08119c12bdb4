//! The agent without its wires: sensors, sampler and custody, and what it says of itself.
//!
//! One [`tick`](Agent::tick) is one reading: sensors are read, records are made and put into custody. Whether a connection is
//! there makes no difference to it. What is said on a connection is [`Session`](crate::session::Session)'s business.

use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::custody::Custody;
use crate::host::Host;
use crate::sampler::Sampler;
use crate::sensor::{Own, Report, Roots, Sensors};
use crate::transport::Traffic;
use log::{error, info};
use rackside_proto::{
    AgentName, Birth, Capabilities, EncodeError, Event, Prefix, Presence, Reason, Run, SpoolPlace, Verdict,
    What, limits,
};
use std::rc::Rc;
use std::time::Instant;

/// This program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

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
    run: Run,
    connection: u32,
    connects: u64,
    host: Host,
    boot_id: [u8; 16],
    tick_ms: u32,
    spool_bytes: u64,
    sensors: Sensors,
    sampler: Sampler,
    /// Whether records were made with the clock unknown, so that an anchor will be due.
    undated: bool,
    route: Option<String>,
}

impl Agent {
    /// An agent that has not read anything yet.
    pub fn new(config: &Config, run: Run, clock: &Clock, roots: Roots, host: Host) -> Self {
        let tick_ms = config.tick.as_millis() as u32;
        Self {
            name: config.name.clone(),
            prefix: config.mqtt.prefix.clone(),
            custody: Custody::new(run, config.spool),
            traffic: Rc::default(),
            verdict: None,
            run,
            connection: 0,
            connects: 0,
            host,
            boot_id: clock.boot_id(),
            tick_ms,
            spool_bytes: config.spool.bytes as u64,
            sensors: Sensors::new(roots),
            sampler: Sampler::new(clock.boot_id(), tick_ms),
            undated: false,
            route: None,
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

    /// The number of the newest catalog; 0 before the first.
    pub const fn catalog_number(&self) -> u32 {
        self.sampler.number()
    }

    /// One reading of everything, into custody.
    pub fn tick(&mut self, moment: &Moment) {
        self.sensors.machine.own = Own {
            backlog: self.custody.backlog(),
            dropped: self.custody.dropped(),
            connects: self.connects,
            received: self.traffic.received(),
            transmitted: self.traffic.transmitted(),
        };
        let report = self.sensors.read(moment);
        self.record(&report, moment);
    }

    fn record(&mut self, report: &Report, moment: &Moment) {
        self.anchor(moment);
        let now = moment.now;
        match self.sampler.sample(report, moment.time()) {
            Ok(sampled) => {
                let catalog =
                    sampled.catalog.map(|(number, body)| self.custody.put_catalog(number, body, now));
                let put = catalog.transpose().and_then(|_| self.custody.put_data(sampled.readings, now));
                if let Err(error) = put {
                    error!("this reading is lost: {error}");
                }
            }
            Err(error) => error!("this reading is lost: {error}"),
        }
        let route = self.sensors.machine.default_route();
        if route != self.route.as_deref() {
            let text = limits::fit(route.unwrap_or_default()).to_owned();
            info!("the default route is on {}", if text.is_empty() { "no interface" } else { &text });
            self.route = route.map(str::to_owned);
            self.event(What::Text { subject: "default_route", text: &text }, moment);
        }
    }

    /// Names this moment on both clocks, once the clock is known after records were made without it.
    fn anchor(&mut self, moment: &Moment) {
        if !moment.known {
            self.undated = true;
        } else if std::mem::take(&mut self.undated) {
            info!("the clock is known now");
            let (boot, boot_ms, utc_ms) = (moment.boot, moment.boot_ms, moment.utc_ms);
            self.event(What::Anchor { boot, boot_ms, utc_ms }, moment);
        }
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

    /// The body of a birth message.
    pub fn birth(&self, moment: &Moment) -> Result<Vec<u8>, EncodeError> {
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
            capabilities: if self.host.gpio { Capabilities::GPIO } else { Capabilities::default() },
            config_revision: 0,
            spool: SpoolPlace::Memory,
            spool_bytes: self.spool_bytes,
            catalog: None,
        };
        let mut body = Vec::new();
        birth.encode(self.sampler.catalog(), &mut body)?;
        Ok(body)
    }
}
