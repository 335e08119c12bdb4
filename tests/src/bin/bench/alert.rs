//! How long it takes from an event to its alert: a stream that goes down on air, at a hub with its own rules and a fleet that tells its readings.
//!
//! Beside the fleet stand as many stages, each an appliance with a stream. One stage after the other says that its stream is down (a critical alert
//! at once, `StreamDown` of `streams.yml`) and is asked after until `ALERTS` has it; then that it is up again, and is waited for until the hub
//! has acknowledged that, which is when it is on the disk. In the end all say at the same moment that their streams are down; and the hub is killed
//! and started again.
//!
//! ```text
//! stage-7/rack-2: event rackside_stream_up{stream="main"} 0  →  ALERTS{alertname="StreamDown",site="stage-7",alertstate="firing"}
//! ```

use crate::asked::{Asked, middle};
use crate::{Effort, build};
use bytes::Bytes;
use rackside_proto::{
    Ack, AgentName, Birth, Capabilities, Catalog, CatalogHead, Channel, ClockSource, Data, Envelope, Event,
    Kind, Label, Prefix, Presence, Reason, Run, Scale, Sending, Series, SpoolPlace, Time, Topic, Value, What,
};
use rackside_tests::client::Client;
use rackside_tests::day::enveloped;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::simulation::{Mode, Simulation, SimulationOptions};
use rackside_tests::{clock, measure};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const APPLIANCES: usize = 1000;
const TRIES: usize = 200;
/// So many stages share a site.
const AT_A_SITE: usize = 5;
/// From one try to the next: an evaluation at once has a pause of 100 ms behind it.
const APART: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_mins(2);
/// Readings that are in the history from the beginning: as far back as rules have all series in memory.
const PAST: Duration = Duration::from_mins(20);
/// No reading comes from a stage, and nobody takes it for silent.
const TICK_MS: u32 = 3_600_000;
const GROUP: [(&str, &str); 1] = [("group", "streams")];
const EVALUATIONS: &str = "rackside_hub_rule_group_evaluations_total";

pub(crate) fn alert(effort: Effort) -> Result<(), String> {
    let count = effort.appliances.unwrap_or(APPLIANCES);
    let mut sites = String::new();
    for site in 0..count.div_ceil(AT_A_SITE) {
        let _ = writeln!(
            sites,
            "[[site]]\nid = \"stage-{site}\"\ntime_zone = \"UTC\"\non_air = \"2999-01-01T00:00\""
        );
    }
    let mut hub = Hub::with(Way::Listener, &build::hub()?, &sites);
    let mut options = SimulationOptions::new(hub.mqtt());
    options.appliances = count;
    options.series = 60;
    options.mode = Mode::Steady { tick: Duration::from_secs(10) };
    options.ramp = Duration::from_secs(5);
    options.backlog = PAST;
    let simulation = Simulation::start(&options)?;
    if !simulation.wait_connected(count, PATIENCE) {
        return Err(format!("only {} of {count} connected", simulation.tally().connected()));
    }
    let mut stages: Vec<Stage> = (0..count).map(Stage::new).collect();
    let mut client = connect(&hub)?;
    let acks = stages[0].topic(Channel::Ack);
    let filters: Vec<String> = (0..count.div_ceil(AT_A_SITE))
        .map(|site| acks.replace("stage-0/rack-1", &format!("stage-{site}/+")))
        .collect();
    for some in filters.chunks(50) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        client.subscribe(&some).map_err(|error| error.to_string())?;
    }
    let coming: Vec<_> = stages.iter_mut().flat_map(Stage::come).collect();
    client.publish_all(coming).map_err(|error| error.to_string())?;
    let mut asked = Asked::new("the hub", hub.web())?;
    let on_air = "count(rackside_stream_up == 1 and on (site) rackside_site_on_air{site=~\"stage-.+\"} == 1)";
    until(&mut asked, on_air, count, "stages that are on air")?;
    println!("{count} appliances x 60 series at 10 s, and {count} stages on air; times in ms\n");
    one_by_one(&mut stages, &mut client, &mut asked)?;
    client.disconnect().map_err(|error| error.to_string())?;
    until(&mut asked, FIRING, 0, "alerts, a minute after the last stream came back")?;
    all_at_once(&hub, &mut stages, &mut asked)?;
    start(&mut hub)?;
    println!("\n{}", simulation.finish());
    Ok(())
}

/// How many stages' alerts fire, or 0.
const FIRING: &str =
    "count(ALERTS{alertname=\"StreamDown\",alertstate=\"firing\",site=~\"stage-.+\"}) or vector(0)";

fn one_by_one(stages: &mut [Stage], client: &mut Client, asked: &mut Asked) -> Result<(), String> {
    let (mut taken, mut alerts, mut acks, mut questions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let tries = TRIES.min(stages.len());
    for stage in stages.iter_mut().take(tries) {
        let fires = format!(
            "count(ALERTS{{alertname=\"StreamDown\",alertstate=\"firing\",site=\"{}\",appliance=\"{}\"}})",
            stage.agent.site, stage.agent.appliance
        );
        let asking = clock::now();
        if value(asked, &fires)?.is_some() {
            return Err(format!("{} has an alert already", stage.agent));
        }
        questions.push(asking.elapsed());
        let start = clock::now();
        publish(client, stage.event(0))?;
        taken.push(start.elapsed());
        while value(asked, &fires)?.is_none() {
            patient(start, &format!("the alert of {}", stage.agent))?;
        }
        alerts.push(start.elapsed());
        std::thread::sleep(APART);
        let start = clock::now();
        let (message, seq) = (stage.event(1), stage.seq);
        publish(client, message)?;
        let topic = stage.topic(Channel::Ack);
        let heard = client.wait(PATIENCE, |message| {
            let ack = Ack::decode(&message.payload).ok().filter(|_| message.topic == topic)?;
            ack.safe.iter().any(|safe| safe.run == stage.run && safe.below >= seq).then_some(())
        });
        heard.map_err(|error| error.to_string())?.ok_or("the event was not acknowledged")?;
        acks.push(start.elapsed());
        std::thread::sleep(APART);
    }
    println!("{:<44} {:>8} {:>8} {:>8}", format!("an event, {tries} times"), "median", "99 %", "worst");
    row("to MQTT's PUBACK", &mut taken);
    row("a question, which is how often one looks", &mut questions);
    row("to the alert in ALERTS", &mut alerts);
    row("to the hub's ack, on the disk", &mut acks);
    let ratio = middle(&mut alerts).0.as_secs_f64() / middle(&mut acks).0.as_secs_f64();
    println!("{:<44} {ratio:>8.2}", "alert / ack");
    Ok(())
}

fn all_at_once(hub: &Hub, stages: &mut [Stage], asked: &mut Asked) -> Result<(), String> {
    let mut client = connect(hub)?;
    let count = stages.len();
    let before = hub.metrics();
    let cpu = |id| (measure::cpu(id), measure::cpu_of_threads(id, "rules"));
    let (spent, messages) =
        (cpu(hub.id()), stages.iter_mut().map(|stage| stage.event(0)).collect::<Vec<_>>());
    let start = clock::now();
    client.publish_all(messages).map_err(|error| error.to_string())?;
    let published = start.elapsed();
    let mut first = None;
    loop {
        let firing = value(asked, FIRING)?.unwrap_or_default() as usize;
        if firing > 0 {
            first.get_or_insert(start.elapsed());
        }
        if firing == count {
            break;
        }
        patient(start, &format!("{count} alerts, and there are {firing}"))?;
    }
    let (took, after) = (start.elapsed(), cpu(hub.id()));
    let metrics = hub.metrics();
    let evaluations = |labels| metrics.sum(EVALUATIONS, labels) - before.sum(EVALUATIONS, labels);
    println!("\n{count} events at once: all taken after {:.0}", ms(published));
    println!("first alert looked at after {:.0}, all after {:.0}", ms(first.unwrap_or_default()), ms(took));
    println!(
        "evaluations: {} of group streams, {} of all groups; processor time of the hub {:.0}, of its rules {:.0}",
        evaluations(&GROUP),
        evaluations(&[]),
        ms(after.0.saturating_sub(spent.0)),
        ms(after.1.saturating_sub(spent.1))
    );
    Ok(())
}

/// How long a hub that was killed takes until its rules begin.
fn start(hub: &mut Hub) -> Result<(), String> {
    hub.kill();
    hub.come_up();
    let found = clock::eventually(PATIENCE, || {
        let log = hub.log();
        // The first one is of the start before.
        log.match_indices("rules begin")
            .nth(1)
            .and_then(|(at, _)| log[at..].lines().next().map(str::to_owned))
    });
    let line = found.ok_or("rules do not begin")?;
    println!("\nkilled and started again: {}", line.trim());
    Ok(())
}

/// An appliance with a stream.
struct Stage {
    agent: AgentName,
    run: Run,
    seq: u64,
}

impl Stage {
    fn new(number: usize) -> Self {
        let (site, rack) = (number / AT_A_SITE, number % AT_A_SITE + 1);
        let agent = AgentName::new(&format!("stage-{site}"), &format!("rack-{rack}"));
        Self { agent: agent.expect("letters, digits and hyphens"), run: Run(number as u32 + 1), seq: 0 }
    }

    fn topic(&self, channel: Channel) -> String {
        Topic { agent: self.agent.clone(), channel }.under(&Prefix::default()).to_string()
    }

    fn record(&mut self, channel: Channel, body: &[u8]) -> (String, Bytes) {
        let envelope = Envelope { run: self.run, seq: self.seq, floor: self.seq, sending: Sending::First };
        self.seq += 1;
        (self.topic(channel), enveloped(&envelope, body))
    }

    /// It is there, and its stream is up.
    fn come(&mut self) -> Vec<(String, Bytes)> {
        let time = Time::Utc { ms: clock::unix_ms() };
        let labels = [Label { name: "stream", value: "main" }, Label { name: "probe", value: "look" }];
        let stream = Series {
            name: "rackside_stream_up",
            labels: labels.into_iter().collect(),
            unit: "",
            kind: Kind::State,
            scale: Scale::ONE,
            reference: Value::Known(1),
        };
        let head = CatalogHead { number: 1, time, boot_id: [0; 16], tick_ms: TICK_MS };
        let (mut catalog, mut record, mut reading) = (Vec::new(), Vec::new(), Vec::new());
        Catalog::encode(&head, [stream].into_iter(), &mut catalog).expect("it keeps the wire's bounds");
        Data::encode_catalog(&catalog, &mut record).expect("a Vec takes what it is given");
        let up = [Value::Known(1)];
        Data::encode_readings(1, &up, [(time, &up[..])].into_iter(), &mut reading)
            .expect("it keeps the wire's bounds");
        let presence = Presence { run: self.run, connection: 1, online: true, reason: Reason::Start };
        let mut online = Vec::new();
        presence.encode(&mut online).expect("a presence has no bounds to break");
        let birth = (self.topic(Channel::Birth), self.birth(time));
        let presence = (self.topic(Channel::Presence), online.into());
        vec![presence, birth, self.record(Channel::Data, &record), self.record(Channel::Data, &reading)]
    }

    fn birth(&self, time: Time) -> Bytes {
        let birth = Birth {
            run: self.run,
            connection: 1,
            floor: 0,
            next: 0,
            time,
            clock: ClockSource::Ntp,
            boot_id: [0; 16],
            tick_ms: TICK_MS,
            version: env!("CARGO_PKG_VERSION"),
            hostname: "stage",
            model: "",
            os: "",
            kernel: "",
            arch: "",
            capabilities: Capabilities::default(),
            config_revision: 0,
            spool: SpoolPlace::Memory,
            spool_bytes: 0,
            catalog: None,
            revision: None,
            interval_ms: TICK_MS,
        };
        let mut body = Vec::new();
        birth.encode(None, &mut body).expect("it keeps the wire's bounds");
        body.into()
    }

    /// Its stream is up, 1, or down, 0.
    fn event(&mut self, up: i64) -> (String, Bytes) {
        let what = What::Sample { catalog: 1, series: 0, value: Value::Known(up) };
        let mut body = Vec::new();
        let event = Event { time: Time::Utc { ms: clock::unix_ms() }, what };
        event.encode(&mut body).expect("it keeps the wire's bounds");
        self.record(Channel::Event, &body)
    }
}

fn connect(hub: &Hub) -> Result<Client, String> {
    Client::named(hub.mqtt(), "stages").map_err(|error| error.to_string())
}

fn publish(client: &mut Client, (topic, body): (String, Bytes)) -> Result<(), String> {
    client.publish(&topic, body, false).map_err(|error| error.to_string())
}

/// What an expression of one series is worth now.
fn value(asked: &mut Asked, expression: &str) -> Result<Option<f64>, String> {
    let found = asked.instant(expression, clock::unix_ms())?;
    Ok(found.values().flatten().map(|(_, value)| *value).next())
}

fn until(asked: &mut Asked, expression: &str, count: usize, what: &str) -> Result<(), String> {
    let start = clock::now();
    loop {
        let found = value(asked, expression)?.unwrap_or_default() as usize;
        if found == count {
            return Ok(());
        }
        patient(start, &format!("{count} {what}, and there are {found}"))?;
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn patient(since: Instant, what: &str) -> Result<(), String> {
    if since.elapsed() < PATIENCE { Ok(()) } else { Err(format!("not within {PATIENCE:?}: {what}")) }
}

fn row(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len() - 1)).copied();
    let [median, most, worst] = [50, 99, 100].map(|share| at(share).map_or(f64::NAN, ms));
    println!("{what:<44} {median:>8.1} {most:>8.1} {worst:>8.1}");
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
