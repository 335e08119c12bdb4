//! One simulated appliance: a task that connects, publishes, hears acks, and comes back when the link breaks.

use super::custody::Custody;
use super::transport::{self, Stream, Tls};
use super::{Mode, Phase, SimulationOptions, Tally, random};
use crate::clock;
use crate::day::{self, Rack, Scribe, Written, enveloped};
use bytes::Bytes;
use rackside_link::{Link, LinkError, LinkEvent, Login, Options, Qos, Will};
use rackside_proto::{
    Ack, Birth, Capabilities, Catalog, Channel, ClockSource, Envelope, Prefix, Presence, Reason, Run,
    Sending, SpoolPlace, Time, Topic, Want,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

/// How many different readings a blasting appliance sends in turn; encoding them is not what is measured.
const PREPARED: usize = 64;
/// The longest wait before the next attempt to connect.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Appliance {
    options: Arc<SimulationOptions>,
    tally: Arc<Tally>,
    phase: watch::Receiver<Phase>,
    tls: Option<Tls>,
    topics: Topics,
    client_id: String,
    run: Run,
    connection: u32,
    seed: u64,
    scribe: Scribe,
    /// What a hub may ask for: number, `seq`, body.
    catalogs: VecDeque<(u32, u64, Bytes)>,
    prepared: Vec<Bytes>,
    custody: Custody,
    next_tick: Instant,
    start: Instant,
    /// Where among all of them it is, from 0 to 1.
    share: f64,
    /// Whether the catalog has changed since the last birth.
    birth_is_due: bool,
    /// Whether an ack came on the present connection.
    heard: bool,
}

struct Topics {
    presence: String,
    birth: String,
    data: String,
    ack: String,
}

impl Appliance {
    pub(crate) fn new(
        number: usize,
        options: &Arc<SimulationOptions>,
        start: Instant,
        tally: Arc<Tally>,
        phase: watch::Receiver<Phase>,
        tls: Option<Tls>,
    ) -> Self {
        let mut seed = options.seed ^ ((number as u64) << 20);
        let run = Run(random(&mut seed) as u32);
        let agent = day::name(number);
        let prefix: Prefix = options.prefix.parse().unwrap_or_default();
        let topic = |channel| Topic { agent: agent.clone(), channel }.under(&prefix).to_string();
        let topics = Topics {
            presence: topic(Channel::Presence),
            birth: topic(Channel::Birth),
            data: topic(Channel::Data),
            ack: topic(Channel::Ack),
        };
        let tick = match options.mode {
            Mode::Steady { tick } => tick,
            Mode::Blast { .. } | Mode::Idle => Duration::from_secs(10),
        };
        let share = number as f64 / options.appliances.max(1) as f64;
        let start = start + options.ramp.mul_f64(share);
        let jitter = tick.mul_f64(random(&mut seed) as f64 / u64::MAX as f64);
        // An idle one never reads; ten thousand of them need no racks.
        let series = if options.mode == Mode::Idle { 0 } else { options.series };
        let begin = clock::unix_ms() + options.ahead.as_millis() as u64 - options.backlog.as_millis() as u64;
        let rack = Rack::new(agent.clone(), series, random(&mut seed), begin);
        Self {
            options: Arc::clone(options),
            tally,
            phase,
            tls,
            topics,
            client_id: format!("{agent}/{run}"),
            run,
            connection: 0,
            seed,
            scribe: Scribe::new(rack, tick.as_millis() as u32),
            catalogs: VecDeque::new(),
            prepared: Vec::new(),
            custody: Custody::new(run, start),
            next_tick: start + jitter,
            start,
            share,
            birth_is_due: false,
            heard: false,
        }
    }

    pub(crate) async fn run(mut self) {
        match self.options.mode {
            Mode::Steady { tick } => self.make_backlog(tick),
            Mode::Blast { .. } => self.prepare(),
            Mode::Idle => {}
        }
        tokio::time::sleep_until(self.start.into()).await;
        let mut wait = Duration::from_millis(200);
        while *self.phase.borrow() != Phase::Over {
            if self.dark_from().is_some_and(|from| from <= clock::now()) {
                // Ends with the simulation.
                let _ = self.phase.changed().await;
                wait = Duration::from_millis(200);
                continue;
            }
            self.connection += 1;
            let began = clock::now();
            match self.connect().await {
                Ok(()) if *self.phase.borrow() == Phase::Over => break,
                // Its power is gone.
                Ok(()) => continue,
                Err(why) => self.tally.failed(why),
            }
            if clock::now() > began + BACKOFF_MAX {
                wait = Duration::from_millis(200);
            }
            // Full jitter, so that a restarted broker is not stormed.
            let share = random(&mut self.seed) as f64 / u64::MAX as f64;
            tokio::time::sleep(wait.mul_f64(share)).await;
            wait = (wait * 2).min(BACKOFF_MAX);
        }
    }

    /// One connection, from its connect to its end.
    async fn connect(&mut self) -> Result<(), String> {
        let connecting = transport::connect(self.options.address, self.tls.as_ref());
        let stream = connecting.await.map_err(|error| format!("{}: {error}", self.options.address))?;
        let mut link = Link::new(&self.link_options(), clock::now());
        let mut is_up = false;
        self.heard = false;
        let ended = self.carry(stream, &mut link, &mut is_up).await;
        if is_up {
            self.tally.went();
        }
        if std::mem::take(&mut self.heard) {
            self.tally.lost_the_hub();
        }
        ended
    }

    fn link_options(&self) -> Options {
        let mut options = Options::new(self.client_id.clone());
        options.keep_alive = self.options.keep_alive;
        options.login = self.options.login.clone().map(|(user, password)| Login { user, password });
        if self.options.mode != Mode::Idle {
            let payload = self.presence(false, Reason::Will);
            options.will = Some(Will { topic: self.topics.presence.clone(), payload, retain: true });
        }
        options
    }

    async fn carry(
        &mut self,
        stream: Box<dyn Stream>,
        link: &mut Link,
        is_up: &mut bool,
    ) -> Result<(), String> {
        let told = |error: LinkError| error.to_string();
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut buffer = vec![0; if self.options.mode == Mode::Idle { 64 } else { 4096 }];
        let mut phase = self.phase.clone();
        loop {
            let now = clock::now();
            link.handle_timeout(now).map_err(told)?;
            self.make(now);
            if *is_up {
                self.send(link, now).map_err(told)?;
            }
            if *phase.borrow_and_update() == Phase::Over {
                return self.goodbye(link, &mut writer, *is_up).await;
            }
            if self.dark_from().is_some_and(|from| from <= now) {
                return Ok(());
            }
            let wake = self.wake(link, now);
            tokio::select! {
                biased;
                read = reader.read(&mut buffer) => match read.map_err(|error| error.to_string())? {
                    0 => return Err("the broker closed the connection".to_owned()),
                    read => {
                        link.receive(&buffer[..read], clock::now()).map_err(told)?;
                        self.hear(link, is_up).map_err(told)?;
                    }
                },
                written = writer.write(link.output()), if !link.output().is_empty() => {
                    let written = written.map_err(|error| error.to_string())?;
                    link.written(written);
                    writer.flush().await.map_err(|error| error.to_string())?;
                }
                () = tokio::time::sleep_until(wake.into()) => {}
                changed = phase.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    /// When its power goes, or went.
    fn dark_from(&self) -> Option<Instant> {
        match *self.phase.borrow() {
            Phase::Dark { from, over } => Some(from + over.mul_f64(self.share)),
            Phase::Working | Phase::Finishing | Phase::Over => None,
        }
    }

    /// When the task has something to do, whatever comes.
    fn wake(&self, link: &Link, now: Instant) -> Instant {
        let mut wake = self.dark_from().map_or(link.deadline(), |dark| dark.min(link.deadline()));
        if let Some(deadline) = self.custody.deadline().filter(|_| self.options.custody) {
            wake = wake.min(deadline);
        }
        if matches!(self.options.mode, Mode::Steady { .. }) {
            wake = wake.min(self.next_tick);
        }
        // A deadline that has passed was dealt with; do not spin on it.
        wake.max(now + Duration::from_millis(1))
    }

    /// What is due now: a reading of a steady appliance, as many as may be held of a blasting one.
    fn make(&mut self, now: Instant) {
        if matches!(*self.phase.borrow(), Phase::Finishing | Phase::Over) {
            return;
        }
        match self.options.mode {
            Mode::Steady { tick } => {
                if now >= self.next_tick {
                    self.read(self.unix_ms(), now);
                    while self.next_tick <= now {
                        self.next_tick += tick;
                    }
                }
            }
            Mode::Blast { held } => {
                while self.custody.len() < held {
                    let at = self.custody.next() as usize % self.prepared.len();
                    let record = self.prepared[at].clone();
                    self.put(record, now);
                }
            }
            Mode::Idle => {}
        }
    }

    /// Readings of the time before the start: what a link that was down has left behind.
    fn make_backlog(&mut self, tick: Duration) {
        let (end, tick) = (self.unix_ms(), tick.as_millis() as u64);
        let (mut ms, now) = (end - self.options.backlog.as_millis() as u64, clock::now());
        while ms + tick <= end {
            // Later than the grid by as much as a timer is.
            let late = random(&mut self.seed) % 10;
            self.read(ms + late, now);
            ms += tick;
        }
        self.custody.was_sent();
    }

    /// Catalog and readings of a blasting appliance.
    fn prepare(&mut self) {
        let now = clock::now();
        self.read(self.unix_ms(), now);
        while self.prepared.len() < PREPARED {
            match self.scribe.write(self.unix_ms()) {
                Written { catalog: None, reading } => self.prepared.push(reading),
                // Another catalog than the one that goes ahead; as many as there are will do.
                Written { .. } => break,
            }
        }
    }

    /// A reading, and the catalog ahead of it if it needs a new one.
    fn read(&mut self, ms: u64, now: Instant) {
        let Written { catalog, reading } = self.scribe.write(ms);
        if let Some(body) = catalog {
            self.birth_is_due = true;
            self.catalogs.push_back((self.scribe.catalog().0, self.custody.next(), body.clone()));
            self.put(body, now);
        }
        self.put(reading, now);
    }

    fn put(&mut self, record: Bytes, now: Instant) {
        self.custody.put(record, now);
        self.tally.made();
    }

    fn send(&mut self, link: &mut Link, now: Instant) -> Result<(), LinkError> {
        if self.options.custody {
            self.custody.impatient(now);
        }
        if self.birth_is_due && link.may_publish() {
            self.publish_birth(link, now)?;
        }
        while link.may_publish()
            && let Some((bytes, sending)) = self.custody.take()
        {
            self.tally.sent(bytes.len(), sending == Sending::Again);
            link.publish(&self.topics.data, bytes, Qos::AtLeastOnce, false, now)?;
        }
        Ok(())
    }

    fn hear(&mut self, link: &mut Link, is_up: &mut bool) -> Result<(), LinkError> {
        let now = clock::now();
        while let Some(event) = link.next_event() {
            match event {
                LinkEvent::Connected if self.options.mode == Mode::Idle => {
                    *is_up = true;
                    self.tally.came();
                }
                LinkEvent::Connected => link.subscribe(&[(&self.topics.ack, Qos::AtLeastOnce)], now)?,
                LinkEvent::Subscribed { .. } => {
                    *is_up = true;
                    self.tally.came();
                    self.custody.reconnected(now);
                    let presence = self.presence(true, Reason::Start);
                    link.publish(&self.topics.presence, presence, Qos::AtLeastOnce, true, now)?;
                    self.publish_birth(link, now)?;
                }
                LinkEvent::Acked => self.published(now),
                // Nothing that a hub says to an agent is as large as that.
                LinkEvent::Oversized { .. } => {}
                LinkEvent::Message { payload, .. } => {
                    if let Ok(ack) = Ack::decode(&payload) {
                        self.acknowledged(link, &ack, now)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn published(&mut self, now: Instant) {
        self.tally.published(1);
        if !self.options.custody
            && let Some(age) = self.custody.published(now)
        {
            self.tally.acked(age);
        }
    }

    fn acknowledged(&mut self, link: &mut Link, ack: &Ack, now: Instant) -> Result<(), LinkError> {
        self.tally.ack();
        if !std::mem::replace(&mut self.heard, true) {
            self.tally.heard_the_hub();
        }
        self.custody.acknowledged(ack, now, |age| self.tally.acked(age));
        for want in &ack.wants {
            if !link.may_publish() {
                break;
            }
            match want {
                Want::Birth => self.publish_birth(link, now)?,
                Want::Catalog { run, number } if *run == self.run => {
                    if let Some(bytes) = self.catalog_again(*number) {
                        link.publish(&self.topics.data, bytes, Qos::AtLeastOnce, false, now)?;
                    }
                }
                Want::Catalog { .. } => {}
            }
        }
        // The newest of those that the hub has is in use by what it lacks.
        while self.catalogs.get(1).is_some_and(|(_, seq, _)| *seq < self.custody.floor()) {
            self.catalogs.pop_front();
        }
        Ok(())
    }

    async fn goodbye(
        &mut self,
        link: &mut Link,
        writer: &mut (impl tokio::io::AsyncWrite + Unpin),
        is_up: bool,
    ) -> Result<(), String> {
        let now = clock::now();
        if is_up && self.options.mode != Mode::Idle && link.may_publish() {
            let presence = self.presence(false, Reason::Stop);
            let told = |error: LinkError| error.to_string();
            link.publish(&self.topics.presence, presence, Qos::AtLeastOnce, true, now).map_err(told)?;
        }
        link.disconnect(now).map_err(|error| error.to_string())?;
        let farewell = async {
            writer.write_all(link.output()).await?;
            writer.shutdown().await
        };
        // A broker that does not take the goodbye gets none.
        let _ = tokio::time::timeout(Duration::from_secs(1), farewell).await;
        Ok(())
    }

    fn presence(&self, online: bool, reason: Reason) -> Bytes {
        let mut bytes = Vec::new();
        let presence = Presence { run: self.run, connection: self.connection, online, reason };
        presence.encode(&mut bytes).expect("a presence has no bounds to break");
        bytes.into()
    }

    fn publish_birth(&mut self, link: &mut Link, now: Instant) -> Result<(), LinkError> {
        self.birth_is_due = false;
        link.publish(&self.topics.birth, self.birth(), Qos::AtLeastOnce, true, now)
    }

    fn birth(&self) -> Bytes {
        let birth = Birth {
            run: self.run,
            connection: self.connection,
            floor: self.custody.floor(),
            next: self.custody.next(),
            time: Time::Utc { ms: self.unix_ms() },
            clock: ClockSource::Ntp,
            boot_id: [0; 16],
            tick_ms: 10_000,
            version: env!("CARGO_PKG_VERSION"),
            hostname: "simulated",
            model: "",
            os: "simulated",
            kernel: "",
            arch: std::env::consts::ARCH,
            capabilities: Capabilities::default(),
            config_revision: 0,
            spool: SpoolPlace::Memory,
            spool_bytes: 1 << 20,
            catalog: None::<Catalog<'_>>,
            revision: None,
            interval_ms: 10_000,
        };
        let (number, catalog) = self.scribe.catalog();
        let mut bytes = Vec::new();
        birth.encode((number > 0).then_some(catalog), &mut bytes).expect("the texts are short");
        bytes.into()
    }

    fn catalog_again(&self, number: u32) -> Option<Bytes> {
        let (_, seq, body) = self.catalogs.iter().find(|(its, ..)| *its == number)?;
        let (floor, sending) = (self.custody.floor(), Sending::Again);
        Some(enveloped(&Envelope { run: self.run, seq: *seq, floor, sending }, body))
    }

    /// Milliseconds since 1970-01-01 UTC on the fleet's clock.
    fn unix_ms(&self) -> u64 {
        clock::unix_ms() + self.options.ahead.as_millis() as u64
    }
}
