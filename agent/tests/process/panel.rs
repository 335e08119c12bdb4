//! The panel of a real agent: a hand on the simulated board, an eye on its LED, a broker that hears of it.

use crate::support::{Agent, Broker, PATIENCE, Proxy, Seen, Subscriber};
use rackside_proto::{
    Data, Event, Message, Readings, Record, Severity, Value, Verdict, What, metric::Metric,
};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// A board in a directory.
struct Hand(PathBuf);

impl Hand {
    fn on(dir: &Path) -> Self {
        Self(dir.join("panel"))
    }

    /// `[panel]`, ahead of what is on it; its LEDs do not mind how full or hot the machine is on which the test runs.
    fn panel(&self) -> String {
        format!("[limits]\ntemperature = {{}}\ndisk = {{}}\n[panel]\nsimulated = \"{}\"\n", self.0.display())
    }

    fn write(&self, pin: u8, level: &str) {
        fs::write(self.0.join(pin.to_string()), level).expect("written");
    }

    fn reads(&self, pin: u8) -> Option<String> {
        fs::read_to_string(self.0.join(pin.to_string())).ok().map(|text| text.trim().to_owned())
    }

    /// Waits until a pin has this level.
    fn sees(&self, pin: u8, level: &str) -> Instant {
        let end = Instant::now() + PATIENCE;
        while self.reads(pin).as_deref() != Some(level) {
            assert!(Instant::now() < end, "pin {pin} is {:?} and does not become {level}", self.reads(pin));
            std::thread::sleep(Duration::from_millis(1));
        }
        Instant::now()
    }
}

/// Where a series of this name and first label stands in the newest catalog.
#[derive(Default)]
pub(crate) struct Listing {
    number: u32,
    names: Vec<(String, Option<String>)>,
    references: Vec<Value>,
}

impl Listing {
    /// Takes a catalog, if it is one.
    pub(crate) fn learn(&mut self, seen: &Seen) {
        // Without a hub the oldest record is sent again and again, and that is the first catalog.
        if let Message::Data(Record { body: Data::Catalog(catalog), .. }) = seen.message()
            && catalog.head.number > self.number
        {
            self.number = catalog.head.number;
            let label = |series: &rackside_proto::Series<'_>| {
                series.labels.first().map(|label| label.value.to_owned())
            };
            self.names = catalog.series().map(|series| (series.name.to_owned(), label(&series))).collect();
            self.references = catalog.series().map(|series| series.reference).collect();
        }
    }

    fn position(&self, metric: &Metric, label: Option<&str>) -> Option<u32> {
        let is_it =
            |(name, first): &(String, Option<String>)| name == metric.name && first.as_deref() == label;
        self.names.iter().position(is_it).map(|at| at as u32)
    }

    /// The value of that series in a reading.
    pub(crate) fn read(&mut self, seen: &Seen, metric: &Metric, label: Option<&str>) -> Option<Value> {
        self.learn(seen);
        let Message::Data(Record { body: Data::Readings(readings), .. }) = seen.message() else {
            return None;
        };
        let at = self.position(metric, label).filter(|_| readings.catalog == self.number)?;
        let mut values = self.references.clone();
        let reading = readings.iter().next()?;
        reading.apply(&self.references, &mut values).expect("as many as the catalog lists");
        values.get(at as usize).copied()
    }

    /// The value of an event about that series.
    pub(crate) fn sample(
        &mut self,
        seen: &Seen,
        metric: &Metric,
        label: Option<&str>,
    ) -> Option<(Value, rackside_proto::Time)> {
        self.learn(seen);
        let Message::Event(Record { body: Event { time, what }, .. }) = seen.message() else { return None };
        let What::Sample { catalog, series, value } = what else { return None };
        (catalog == self.number && self.position(metric, label) == Some(series)).then_some((value, time))
    }
}

const CAMERA: &str = "[[tally]]\nname = \"camera-1\"\npin = 17\n";
const TALLY: &Metric = &rackside_proto::metric::TALLY_ACTIVE;

#[test]
fn a_pressed_contact_is_an_event_and_lights_its_lamp() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let hub = Subscriber::start(&broker).ready(&broker);
    let hand = Hand::on(dir.path());
    let lamp = "[[led]]\nname = \"on-air\"\npin = 25\ntally = [\"camera-1\"]\n";
    let mut agent = Agent::start(dir.path(), broker.port, "", &format!("{}{CAMERA}{lamp}", hand.panel()));
    let mut listing = Listing::default();
    let known = |listing: &Listing, readings: &Readings<'_>| {
        let at = listing.position(TALLY, Some("camera-1"))? as usize;
        (readings.catalog == listing.number).then_some(())?;
        Some(at)
    };
    hub.wait("a reading of the tally", |seen| {
        listing.learn(seen);
        let Message::Data(Record { body: Data::Readings(readings), .. }) = seen.message() else {
            return None;
        };
        known(&listing, &readings)
    });
    for (level, value, light) in [("0", 1, "1"), ("1", 0, "0")] {
        hand.write(17, level);
        // What it was at first may be told after the first reading.
        hub.wait("the tally's event", |seen| {
            listing.sample(seen, TALLY, Some("camera-1")).filter(|told| told.0 == Value::Known(value))
        });
        hand.sees(25, light);
    }
    fs::remove_file(hand.0.join("17")).expect("it was there");
    let told = hub.wait("the tally's event", |seen| listing.sample(seen, TALLY, Some("camera-1")));
    assert_eq!(told.0, Value::Unknown);
    agent.logs("tally camera-1 (program): pin 17 cannot be used");
    assert!(agent.terminate().success());
    assert_eq!(hand.reads(25).as_deref(), Some("0"), "an agent that stops leaves the panel dark");
}

#[test]
fn after_a_reconnect_the_tally_is_told_again() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let proxy = Proxy::start(broker.port);
    let hub = Subscriber::start(&broker).ready(&broker);
    let hand = Hand::on(dir.path());
    let agent = Agent::start(dir.path(), proxy.port, "", &format!("{}{CAMERA}", hand.panel()));
    let mut listing = Listing::default();
    let mut told = || hub.wait("the tally's event", |seen| listing.sample(seen, TALLY, Some("camera-1")));
    assert_eq!(told().0, Value::Known(0), "when it was known first");
    hand.write(17, "0");
    let pressed = told();
    assert_eq!(pressed.0, Value::Known(1));
    proxy.cut();
    agent.logs("trying again until it works");
    proxy.mend();
    let again = std::iter::repeat_with(told).find(|again| again.1 != pressed.1).expect("it goes on for ever");
    assert_eq!(again.0, Value::Known(1), "and not the first time sent twice");
}

#[test]
fn the_led_winks_as_long_as_somebody_is_alive_behind_it() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let hand = Hand::on(dir.path());
    let led = format!("{}[[led]]\nname = \"rack\"\nred = 23\ngreen = 24\n", hand.panel());
    let mut agent = Agent::start(dir.path(), broker.port, "", &led);
    agent.logs("LED rack: well");
    hand.sees(24, "1");
    let is_10_ms_off =
        |time: Duration, by: u64| time.abs_diff(Duration::from_millis(by)) <= Duration::from_millis(10);
    // A busy machine may spoil some of them.
    let (mut winks, mut lasts, mut comes) = (Vec::new(), false, false);
    while !(lasts && comes) {
        assert!(winks.len() < 10, "100 ms: {lasts}, every 4 s: {comes}, {winks:?}");
        let wink = [hand.sees(24, "0"), hand.sees(24, "1")];
        lasts |= is_10_ms_off(wink[1] - wink[0], 100);
        comes |= winks.last().is_some_and(|before: &[Instant; 2]| is_10_ms_off(wink[0] - before[0], 4000));
        winks.push(wink);
    }
    agent.kill();
    let end = Instant::now() + Duration::from_millis(4500);
    while Instant::now() < end {
        assert_eq!(hand.reads(24).as_deref(), Some("1"), "nobody winks any more");
        std::thread::sleep(Duration::from_millis(10));
    }
    // What the unit does then.
    let dark = Command::new(env!("CARGO_BIN_EXE_rackside-agent"))
        .args(["dark", "--config"])
        .arg(&agent.file)
        .status();
    assert!(dark.expect("it starts").success());
    assert_eq!((hand.reads(23).as_deref(), hand.reads(24).as_deref()), (Some("0"), Some("0")));
}

#[test]
fn a_pin_that_another_agent_holds_is_said_and_does_not_stop_this_one() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let hand = Hand::on(dir.path());
    let text = format!("{}{CAMERA}", hand.panel());
    let first = Agent::start(dir.path(), broker.port, "", &text);
    hand.sees(17, "1");
    first.logs("connected to the broker");
    let other = dir.path().join("other");
    fs::create_dir(&other).expect("made");
    let hub = Subscriber::start(&broker).ready(&broker);
    let file = Agent::configure(&other, broker.port, "", &text);
    let renamed = fs::read_to_string(&file).expect("written").replace("rack-1", "rack-2");
    fs::write(&file, renamed).expect("written");
    let mut second = Agent::again(file);
    second.logs("tally camera-1 (program): pin 17 is held by another process or driver");
    second.logs("connected to the broker");
    assert!(second.runs());
    hub.wait("a reading of one fault", |seen| match seen.message() {
        Message::Data(Record { body: Data::Catalog(catalog), .. }) => {
            let faults = rackside_proto::metric::PANEL_FAULTS.name;
            catalog
                .series()
                .any(|series| series.name == faults && series.reference == Value::Known(1))
                .then_some(())
        }
        _ => None,
    });
}

#[test]
fn a_contact_that_chatters_at_1_khz_is_unknown_and_said() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let hub = Subscriber::start(&broker).ready(&broker);
    let hand = Hand::on(dir.path());
    // Longer than a busy machine keeps the hand from moving: that would be rest.
    let text = format!("{}{CAMERA}debounce = \"250ms\"\n", hand.panel());
    let agent = Agent::start(dir.path(), broker.port, "", &text);
    let mut listing = Listing::default();
    let mut told = || hub.wait("the tally's event", |seen| listing.sample(seen, TALLY, Some("camera-1"))).0;
    assert_eq!(told(), Value::Known(0));
    let mut told =
        || std::iter::repeat_with(&mut told).find(|told| *told != Value::Known(0)).expect("endless");
    let is_heard = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for level in ["0", "1"].into_iter().cycle() {
                hand.write(17, level);
                std::thread::sleep(Duration::from_millis(1));
                if level == "1" && is_heard.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        agent.logs("tally camera-1 (program): the contact at pin 17 chatters");
        is_heard.store(true, Ordering::Relaxed);
    });
    hand.write(17, "0");
    assert_eq!(told(), Value::Unknown, "and not on, off, on");
    assert_eq!(told(), Value::Known(1), "it came to rest there");
    agent.logs("tally camera-1 (program): well again");
}

#[test]
fn a_limit_is_the_racks_own_and_can_be_changed_while_it_runs() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let hand = Hand::on(dir.path());
    let led = format!("{}[[led]]\nname = \"rack\"\nred = 23\ngreen = 24\n", hand.panel());
    // Every disk is at least 0 % full.
    let full = led.replace("disk = {}", "disk = { critical = 0 }");
    let agent = Agent::start(dir.path(), broker.port, "", &full);
    agent.logs("LED rack: critical");
    hand.sees(23, "1");
    agent.edit("disk = { critical = 0 }", "disk = { warning = 0 }");
    agent.logs("changed: limits");
    agent.logs("LED rack: warning");
    agent.edit("disk = { warning = 0 }", "disk = {}");
    agent.logs("LED rack: well");
}

#[test]
fn the_hub_makes_it_worse_and_no_better() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let hand = Hand::on(dir.path());
    let led = format!("{}[[led]]\nname = \"rack\"\nred = 23\ngreen = 24\n", hand.panel());
    let agent = Agent::start(dir.path(), broker.port, "", &led);
    agent.logs("connected to the broker");
    hand.sees(24, "1");
    let mut body = Vec::new();
    let verdict = Verdict { severity: Severity::Critical, firing: 1, valid_s: 2 };
    verdict.encode(&mut body).expect("a Vec has room");
    let end = Instant::now() + PATIENCE;
    // Until the subscription stands.
    while hand.reads(23).as_deref() != Some("1") {
        assert!(Instant::now() < end, "it does not become red");
        broker.publish("rackside/1/arena-north/rack-1/verdict", &body, false);
        std::thread::sleep(Duration::from_millis(20));
    }
    agent.logs("LED rack: critical");
    agent.logs("LED rack: well");
}

/// Stands before the broker, and says when an event comes by.
struct Door {
    port: u16,
    events: Receiver<Instant>,
}

impl Door {
    fn before(broker: &Broker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let door = listener.local_addr().expect("bound").port();
        let target = broker.port;
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            let (mut agent, _) = listener.accept().expect("the agent comes");
            let mut broker = TcpStream::connect(("127.0.0.1", target)).expect("the broker listens");
            broker.set_nodelay(true).expect("a socket");
            let back = (broker.try_clone().expect("a socket"), agent.try_clone().expect("a socket"));
            std::thread::spawn(move || {
                let (mut broker, mut agent) = back;
                let _ = std::io::copy(&mut broker, &mut agent);
            });
            let mut buffer = [0; 4096];
            while let Ok(bytes @ 1..) = agent.read(&mut buffer) {
                let now = Instant::now();
                let event = b"/rack-1/event";
                for _ in buffer[..bytes].windows(event.len()).filter(|window| window == event) {
                    if sender.send(now).is_err() {
                        return;
                    }
                }
                if broker.write_all(&buffer[..bytes]).is_err() {
                    return;
                }
            }
        });
        Self { port: door, events }
    }
}

/// The time from a contact's movement to its event on the wire, without the time for which the contact has to stand still.
#[test]
fn an_edge_is_published_within_milliseconds() {
    const DEBOUNCE: Duration = Duration::from_millis(5);
    // More of them for a figure: RACKSIDE_PRESSES=1000 with --nocapture.
    let presses = std::env::var("RACKSIDE_PRESSES").map_or(60, |text| text.parse().expect("a number"));
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let hub = Subscriber::start(&broker).ready(&broker);
    let hand = Hand::on(dir.path());
    let text = format!("{}{CAMERA}debounce = \"5ms\"\n", hand.panel());
    let door = Door::before(&broker);
    let agent = Agent::start(dir.path(), door.port, "", &text);
    let mut listing = Listing::default();
    agent.logs("catalog 1");
    hub.wait("a reading", |seen| {
        listing.learn(seen);
        matches!(seen.message(), Message::Data(Record { body: Data::Readings(_), .. })).then_some(())
    });
    let mut took: Vec<Duration> = (0..presses)
        .map(|press: usize| {
            // Not in step with anything, and slowly enough to be meant.
            std::thread::sleep(Duration::from_millis(110 + press as u64 * 7 % 40));
            let (level, value) = if press.is_multiple_of(2) { ("0", 1) } else { ("1", 0) };
            // What was told before: that it became known.
            while door.events.try_recv().is_ok() {}
            let begun = Instant::now();
            hand.write(17, level);
            let published = door.events.recv_timeout(PATIENCE).expect("an event");
            hub.wait("the tally's event", |seen| {
                let told = listing.sample(seen, TALLY, Some("camera-1"));
                told.filter(|told| told.0 == Value::Known(value))
            });
            let took = published.saturating_duration_since(begun);
            took.checked_sub(DEBOUNCE).expect("a contact that has not stood still is not told")
        })
        .collect();
    took.sort();
    let at = |share: f64| took[(share * (presses - 1) as f64) as usize];
    println!("edge to publish: median {:?}, 99th percentile {:?}, worst {:?}", at(0.5), at(0.99), at(1.0));
    assert!(at(0.5) < Duration::from_millis(25), "median {:?}", at(0.5));
}
