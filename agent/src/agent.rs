//! The agent without its wires: sensors, sampler and custody, and what it says of itself.
//!
//! One [`tick`](Agent::tick) is one reading: sensors are read, records are made and put into custody. Whether a connection is
//! there makes no difference to it. What is said on a connection is [`Session`](crate::session::Session)'s business.

use crate::clock::{Clock, Doubt, Moment};
use crate::config::Config;
use crate::custody::Custody;
use crate::host::Host;
use crate::panel::led::{Link, Site};
use crate::panel::limits::Limits;
use crate::panel::{Happened, Reading, judge};
use crate::probe::results::Series;
use crate::sampler::Sampler;
use crate::sensor::{Own, Report, Roots, Sensors};
use crate::spool::Spool;
use crate::transport::Traffic;
use log::{error, info, warn};
use rackside_proto::{
    AgentName, Birth, Capabilities, ClockSource, EncodeError, Event, Prefix, Presence, Reason, Run, Severity,
    SpoolPlace, Time, Verdict, What, limits,
};
use std::rc::Rc;
use std::time::Instant;

/// This program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a birth says that may change while a connection lasts: once it differs from the last one's, another is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gist {
    catalog: u32,
    clock: ClockSource,
    tick_ms: u32,
    spool: (SpoolPlace, u64),
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
    /// The hub's clock, as its newest ack had it; whoever judges the clocks takes it.
    pub hub_time: Option<u64>,
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
            hub_time: None,
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
    pub const fn gist(&self, moment: &Moment) -> Gist {
        Gist {
            catalog: self.sampler.number(),
            clock: moment.source(),
            tick_ms: self.tick_ms,
            spool: self.spool(),
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
        self.sampler.tick(self.tick_ms);
        self.custody.limit(config.spool.limits);
        self.custody.limit_disk(config.spool.disk);
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
        self.say_doubt(moment);
        if !moment.known {
            self.undated = true;
        } else if std::mem::take(&mut self.undated) {
            info!("the clock is known now");
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
            capabilities: if self.host.gpio { Capabilities::GPIO } else { Capabilities::default() },
            config_revision: 0,
            spool,
            spool_bytes,
            catalog: None,
            revision: self.host.revision,
        };
        let mut body = Vec::new();
        birth.encode(self.sampler.catalog(), &mut body)?;
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Trust;
    use rackside_proto::{ClockSource, Data, Message, Readings, Record, Time};
    use std::path::Path;
    use std::time::Duration;

    /// An agent on a made-up /proc, and a moment at which nobody knows the time.
    struct Bench {
        root: tempfile::TempDir,
        agent: Agent,
        moment: Moment,
    }

    impl Bench {
        fn new() -> Self {
            Self::of(Run(9))
        }

        fn of(run: Run) -> Self {
            let root = tempfile::tempdir().expect("a temporary directory");
            std::fs::create_dir(root.path().join("net")).expect("a directory");
            let text = "site = \"arena-north\"\nappliance = \"rack-1\"\n[mqtt]\naddress = \"hub\"\n";
            let config = Config::parse(text, "agent.toml").expect("a good file");
            let mut clock = Clock::new(Trust::Auto, Path::new("/proc"));
            let moment = Moment { known: false, boot: 7, boot_ms: 1000, utc_ms: 3000, ..clock.read() };
            let roots = Roots { proc: root.path().into(), ..Roots::below(root.path()) };
            let agent = Agent::new(&config, run, &clock, roots, Host::default());
            Self { root, agent, moment }
        }

        fn route(&self, interface: &str) {
            let table = format!("head\n{interface} 00000000 0100A8C0 0003 0 0 100 00000000 0 0 0\n");
            std::fs::write(self.root.path().join("net/route"), table).expect("written");
        }

        fn tick(&mut self) {
            self.agent.tick(&self.moment);
            self.moment.now += Duration::from_secs(10);
            self.moment.boot_ms += 10_000;
            self.moment.utc_ms += 10_000;
        }

        /// The clock is set, and somebody vouches for it.
        fn set_clock(&mut self) {
            self.moment.known = true;
            self.moment.utc_ms = 1_795_000_000_000;
        }

        /// What is in custody, told in a word each.
        fn held(&mut self) -> Vec<String> {
            self.agent.custody.connected(self.moment.now);
            // An ack for nothing, so that the backlog streams.
            let mut told = Vec::new();
            let now = self.moment.now + Duration::from_secs(1);
            for seq in 0..self.agent.custody.next() {
                let out = self.agent.custody.next_outgoing(now).expect("it is held");
                assert_eq!(out.envelope.seq, seq);
                let mut body = Vec::new();
                out.envelope.encode(&mut body).expect("room");
                body.extend_from_slice(out.body);
                told.push(match Message::decode(out.channel, &body).expect("a message") {
                    Message::Data(Record { body: Data::Catalog(catalog), .. }) => {
                        format!("catalog {}", catalog.head.number)
                    }
                    Message::Data(Record { body: Data::Readings(readings), .. }) => tell(&readings),
                    Message::Event(Record {
                        body: Event { time, what: What::Sample { catalog, series, value } },
                        ..
                    }) => format!("series {series} of catalog {catalog} {value:?} at {}", ms(time)),
                    Message::Event(Record {
                        body: Event { what: What::Text { subject, text }, .. }, ..
                    }) => {
                        format!("{subject} {text:?}")
                    }
                    Message::Event(Record {
                        body: Event { what: What::Anchor { boot, boot_ms, utc_ms }, .. },
                        ..
                    }) => {
                        format!("anchor {boot} {boot_ms} {utc_ms}")
                    }
                    other => panic!("{other:?}"),
                });
                let safe = [rackside_proto::Safe { run: Run(9), below: seq + 1 }].into_iter().collect();
                let wants = std::iter::empty().collect();
                self.agent.custody.acked(&rackside_proto::Ack { history: 1, time_ms: 0, safe, wants }, now);
            }
            told
        }
    }

    fn ms(time: Time) -> u64 {
        match time {
            Time::Boot { ms, .. } | Time::Utc { ms } => ms,
        }
    }

    fn tell(readings: &Readings<'_>) -> String {
        match readings.time {
            Time::Boot { boot, ms } => format!("readings at {ms} of boot {boot}"),
            Time::Utc { ms } => format!("readings at {ms}"),
        }
    }

    #[test]
    fn a_tick_is_a_catalog_once_and_readings_each_time() {
        let mut bench = Bench::new();
        bench.tick();
        bench.tick();
        let expected = ["catalog 1", "readings at 1000 of boot 7", "readings at 11000 of boot 7"];
        assert_eq!(bench.held(), expected);
    }

    #[test]
    fn the_default_route_is_told_when_it_moves() {
        let mut bench = Bench::new();
        bench.set_clock();
        bench.route("eth0");
        bench.tick();
        bench.tick();
        bench.route("wwan0");
        bench.tick();
        let told = bench.held();
        let routes: Vec<&String> = told.iter().filter(|told| told.starts_with("default_route")).collect();
        assert_eq!(routes, ["default_route \"eth0\"", "default_route \"wwan0\""]);
    }

    #[test]
    fn an_anchor_names_the_moment_at_which_the_clock_became_known() {
        let mut bench = Bench::new();
        bench.tick();
        bench.set_clock();
        bench.tick();
        bench.tick();
        let expected = [
            "catalog 1",
            "readings at 1000 of boot 7",
            "anchor 7 11000 1795000000000",
            "readings at 1795000000000",
            "readings at 1795000010000",
        ];
        assert_eq!(bench.held(), expected);
    }

    #[test]
    fn a_clock_that_was_known_all_along_needs_no_anchor() {
        let mut bench = Bench::new();
        bench.set_clock();
        bench.tick();
        assert_eq!(bench.held(), ["catalog 1", "readings at 1795000000000"]);
    }

    #[test]
    fn a_clock_that_is_doubted_for_a_while_is_anchored_again() {
        let mut bench = Bench::new();
        bench.set_clock();
        bench.tick();
        bench.moment.known = false;
        bench.moment.doubt = Some(Doubt::Disputed { utc_ms: 1 });
        bench.tick();
        (bench.moment.known, bench.moment.doubt) = (true, None);
        bench.tick();
        let expected = [
            "catalog 1",
            "readings at 1795000000000",
            "readings at 11000 of boot 7",
            "anchor 7 21000 1795000020000",
            "readings at 1795000020000",
        ];
        assert_eq!(bench.held(), expected);
    }

    #[test]
    fn a_clock_known_all_along_is_anchored_for_what_an_earlier_run_left() {
        use crate::spool::cut::CutDisk;
        let disk = CutDisk::new();
        let spool = || Spool::open(Box::new(disk.clone()), 1 << 20).expect("it reads").0;
        let mut bench = Bench::new();
        bench.agent.attach(spool(), bench.moment.now);
        bench.tick();
        bench.agent.custody.stop(bench.moment.now);
        // Another run in the same boot; NTP came in between.
        let mut bench = Bench::of(Run(10));
        bench.agent.attach(spool(), bench.moment.now);
        assert_eq!(bench.agent.custody.backlog(), 2);
        bench.set_clock();
        bench.tick();
        assert_eq!(bench.agent.custody.next(), 3, "an anchor, a catalog and readings");
        let gist = bench.agent.gist(&bench.moment);
        assert_eq!(gist.spool, (SpoolPlace::Disk, 64 << 20));
    }

    #[test]
    fn the_birth_carries_the_newest_catalog() {
        let mut bench = Bench::new();
        let body = bench.agent.birth(&bench.moment).expect("fits");
        assert!(Birth::decode(&body).expect("a birth").catalog.is_none(), "before the first reading");
        bench.tick();
        let body = bench.agent.birth(&bench.moment).expect("fits");
        let birth = Birth::decode(&body).expect("a birth");
        let catalog = birth.catalog.expect("a catalog");
        assert_eq!((catalog.head.number, catalog.len()), (1, bench.agent.series()));
        assert_eq!((birth.run, birth.floor, birth.next, birth.clock), (Run(9), 0, 2, ClockSource::None));
    }

    fn tally(value: i64) -> Reading {
        let labels = vec!["camera-1".to_owned(), "program".to_owned()];
        Reading {
            metric: &rackside_proto::metric::TALLY_ACTIVE,
            labels,
            value: rackside_proto::Value::Known(value),
        }
    }

    #[test]
    fn what_happens_on_the_panel_is_told_at_its_own_moment_but_not_before_a_reading_that_says_otherwise() {
        let mut bench = Bench::new();
        bench.set_clock();
        let event = |bench: &mut Bench, ago: u64, value| {
            let at = bench.moment.now.checked_sub(Duration::from_millis(ago)).expect("after boot");
            bench.agent.happened(&Happened { at, reading: tally(value) }, &bench.moment.clone());
        };
        event(&mut bench, 30, 0);
        assert_eq!(bench.agent.custody.backlog(), 0, "no catalog has it: the first reading tells");
        bench.agent.panel = vec![tally(0)];
        bench.tick();
        event(&mut bench, 30, 1);
        event(&mut bench, 20_000, 0);
        bench.moment.now += Duration::from_secs(10);
        let told = bench.held();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[2].ends_with("of catalog 1 Known(1) at 1795000009970"), "{told:?}");
        assert!(told[3].ends_with("of catalog 1 Known(0) at 1795000000001"), "{told:?}");
    }

    #[test]
    fn the_hub_can_only_make_it_worse_and_not_for_ever() {
        let mut bench = Bench::new();
        let now = bench.moment.now;
        let verdict =
            |severity| Some((Verdict { severity, firing: 1, valid_s: 60 }, now + Duration::from_mins(1)));
        let severity = |bench: &Bench, at| bench.agent.site(Link::Well, at).severity;
        bench.agent.verdict = verdict(Severity::Critical);
        assert_eq!(severity(&bench, now), Severity::Critical);
        assert_eq!(severity(&bench, now + Duration::from_mins(1)), Severity::Well);
        bench.agent.judgement = (Severity::Warning, None);
        bench.agent.verdict = verdict(Severity::Well);
        assert_eq!(severity(&bench, now), Severity::Warning);
    }
}
