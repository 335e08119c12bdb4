//! Edges as the kernel tells them, through rppal: an interrupt, its time, an event on MQTT.
//!
//! QEMU's GPIO raises no interrupt, so the kernel's own simulated chip stands where rppal looks for the header's: it has the same label, and
//! its device the name `/dev/gpiochip0`. Levels still come from the SoC's registers, so each movement of a contact is driven twice, the
//! level first. The agent reads once a minute here, so nothing but an edge can make it look at a contact.
//!
//! These are ignored: Debian's kernel has no such chip, and `cross/gpio-sim` builds it from 150 MB of sources. Its head says how they run.

use crate::board::Board;
use crate::card::{AGENT, Card};
use rackside_link::Options;
use rackside_proto::Time;
use rackside_tests::client::Client;
use rackside_tests::clock;
use rackside_tests::heard::{Listener, Sample};
use rackside_tests::mosquitto::Mosquitto;
use rackside_tests::programs::target_directory;
use std::time::Duration;

const TALLY: u8 = 17;
/// The default.
const DEBOUNCE: Duration = Duration::from_millis(30);
/// Longer than an emulator that has to wait for its host stands still between two bounces.
const PATIENT: Duration = Duration::from_millis(250);
/// For what an interrupt brings. What a glance at the level brings comes once a minute.
const SOON: Duration = Duration::from_secs(10);
/// Long beside what an edge takes, short beside a minute.
const QUIET: Duration = Duration::from_secs(3);
/// The modules, in the order in which they are loaded.
const MODULES: [&str; 2] = ["configfs", "gpio-sim"];
/// Where a simulated chip is described.
const CHIP: &str = "/sys/kernel/config/gpio-sim/header";

/// A Pi with a contact on the simulated chip.
struct Rack {
    board: Board,
    client: Client,
    listener: Listener,
    /// The file that moves the contact's line.
    pull: String,
    _broker: Mosquitto,
}

impl Rack {
    fn start(debounce: Duration) -> Self {
        let broker = Mosquitto::start();
        // Longer than any order at the console: meanwhile nobody answers the broker.
        let options = Options { keep_alive: Duration::from_mins(2), ..Options::new("edges") };
        let mut client = Client::connect(broker.address(), &options).expect("a connection");
        client.subscribe(&["rackside/1/#"]).expect("Mosquitto allows everything");
        let config = format!(
            "site = \"arena-north\"\nappliance = \"rack-1\"\ntick = \"60s\"\nprobes.ping = []\n[mqtt]\naddress = \"10.0.2.2:{}\"\n\
             [[tally]]\nname = \"camera-1\"\npin = {TALLY}\ndebounce = \"{}ms\"\n",
            broker.address().port(),
            debounce.as_millis()
        );
        let mut files = vec![("/etc/rackside/agent.toml".to_owned(), config.into_bytes())];
        for module in MODULES {
            let path = target_directory().join(format!("pi/gpio-sim/{module}.ko"));
            let module = std::fs::read(&path)
                .unwrap_or_else(|error| panic!("{}: {error}; cross/gpio-sim builds it", path.display()));
            files.push((format!("/lib/modules/{}", path.file_name().expect("a file").display()), module));
        }
        let files: Vec<(&str, Vec<u8>)> =
            files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
        let mut board = Board::boot(Card::new(&files));
        let pull = simulate(&mut board);
        let mut rack = Self { board, client, listener: Listener::default(), pull, _broker: broker };
        rack.move_to(true);
        rack.board.console.start(format_args!("{AGENT} run --config /etc/rackside/agent.toml"));
        let first = rack.expect("the contact is open");
        assert_eq!(first.value, Some(0.0), "{first:?}");
        rack
    }

    /// Moves the contact: its level at the registers, and then its edge.
    fn move_to(&mut self, high: bool) {
        self.board.pins.drive(TALLY, high);
        let pull = if high { "pull-up" } else { "pull-down" };
        self.board.console.order(format_args!("write {} {pull}", self.pull));
    }

    /// The next sample of the tally, or none within that time.
    fn sample(&mut self, within: Duration) -> Option<Sample> {
        let listener = &mut self.listener;
        let found = self.client.wait(within, |message| {
            listener.readings(&message.topic, &message.payload);
            let sample = listener.sample(&message.topic, &message.payload)?;
            sample.series.starts_with("rackside_tally_active{").then_some(sample)
        });
        found.expect("the connection holds")
    }

    fn expect(&mut self, what: &str) -> Sample {
        self.sample(SOON)
            .unwrap_or_else(|| panic!("not within {SOON:?}: {what}\n{}", self.board.last_words()))
    }

    /// Milliseconds since the Pi started.
    fn uptime_ms(&mut self) -> u64 {
        let said = self.board.console.order("read /proc/uptime").concat();
        let seconds = said.split(' ').next().and_then(|word| word.parse::<f64>().ok());
        (seconds.unwrap_or_else(|| panic!("{said:?}")) * 1000.0) as u64
    }
}

/// Puts a simulated chip in the place of the header's, and says which file moves the line of the tally.
fn simulate(board: &mut Board) -> String {
    let console = &mut board.console;
    for module in MODULES {
        console.order(format_args!("insert /lib/modules/{module}.ko"));
    }
    console.order("mount configfs /sys/kernel/config");
    console.order(format_args!("directory {CHIP}/bank0"));
    // As many lines as the SoC has, and the label by which rppal finds its chip.
    console.order(format_args!("write {CHIP}/bank0/num_lines 54"));
    console.order(format_args!("write {CHIP}/bank0/label pinctrl-bcm2835"));
    console.order(format_args!("write {CHIP}/live 1"));
    let device = console.order(format_args!("read {CHIP}/dev_name")).concat();
    let chip = console.order(format_args!("read {CHIP}/bank0/chip_name")).concat();
    let numbers = console.order(format_args!("read /sys/bus/gpio/devices/{chip}/dev")).concat();
    console.order(format_args!("node /dev/gpiochip0 {}", numbers.replace(':', " ")));
    format!("/sys/devices/platform/{device}/{chip}/sim_gpio{TALLY}/pull")
}

#[test]
#[ignore = "needs a kernel module that cross/gpio-sim builds"]
fn an_edge_is_an_interrupt_and_an_event_with_its_millisecond() {
    let mut rack = Rack::start(DEBOUNCE);
    rack.board.pins.drive(TALLY, false);
    assert_eq!(rack.sample(QUIET), None, "a level without an edge is not noticed so soon");
    let before = rack.uptime_ms();
    rack.move_to(false);
    let after = rack.uptime_ms();
    let pressed = rack.expect("the contact is closed");
    assert_eq!(pressed.value, Some(1.0), "{pressed:?}");
    let Time::Boot { ms, .. } = pressed.time else { panic!("the Pi has no clock: {pressed:?}") };
    // What /proc/uptime says is cut to hundredths.
    assert!((before..after + 10).contains(&ms), "{ms} is not between {before} and {after}");
    rack.move_to(true);
    let released = rack.expect("the contact is open again");
    assert_eq!(released.value, Some(0.0), "{released:?}");
    assert!(released.time.since(pressed.time).is_some_and(|ms| ms > 0), "{pressed:?}, {released:?}");
    assert_eq!(rack.sample(QUIET), None, "once each");
}

#[test]
#[ignore = "needs a kernel module that cross/gpio-sim builds"]
fn a_contact_that_bounces_is_told_once() {
    let mut rack = Rack::start(PATIENT);
    for (high, texts, value) in [(false, "pull-down pull-up", 1.0), (true, "pull-up pull-down", 0.0)] {
        rack.board.pins.drive(TALLY, high);
        let before = rack.uptime_ms();
        // Four bounces and the end.
        rack.board.console.order(format_args!("alternate {} 9 1000 {texts}", rack.pull));
        let after = rack.uptime_ms();
        let sample = rack.expect("the contact has moved");
        assert_eq!(sample.value, Some(value), "{sample:?}");
        eprintln!("{sample:?}, bounced between {before} and {after} ms");
        assert_eq!(rack.sample(QUIET), None, "once");
    }
}

#[test]
#[ignore = "needs a kernel module that cross/gpio-sim builds"]
fn a_contact_that_chatters_is_unknown() {
    // Odd, so that it ends as it begins.
    const EDGES: u32 = 10_001;
    let mut rack = Rack::start(DEBOUNCE);
    let begun = clock::now();
    // As fast as the emulator can.
    rack.board.console.order(format_args!("alternate {} {EDGES} 0 pull-up pull-down", rack.pull));
    let rate = f64::from(EDGES) / begun.elapsed().as_secs_f64();
    let unknown = rack.expect("nobody knows");
    assert_eq!(unknown.value, None, "{unknown:?}");
    let after = rack.expect("it stands still");
    assert_eq!(after.value, Some(0.0), "{after:?}");
    eprintln!("{rate:.0} edges a second; unknown for {:?} ms", after.time.since(unknown.time));
    assert!(rate > 500.0, "that is no chatter: {rate:.0} edges a second");
    assert_eq!(rack.sample(QUIET), None, "and then it is at rest");
}

#[test]
#[ignore = "needs a kernel module that cross/gpio-sim builds"]
fn from_an_edge_to_its_event() {
    const PRESSES: usize = 100;
    let mut rack = Rack::start(DEBOUNCE);
    let mut took = Vec::new();
    for press in 0..PRESSES {
        std::thread::sleep(Duration::from_millis(90 + press as u64 * 7 % 40));
        let high = press % 2 == 1;
        rack.board.pins.drive(TALLY, high);
        let begun = clock::now();
        rack.move_to(high);
        let sample = rack.expect("an event");
        took.push(begun.elapsed().saturating_sub(DEBOUNCE));
        assert_eq!(sample.value, Some(if high { 0.0 } else { 1.0 }), "{sample:?}");
    }
    took.sort();
    let at = |share: f64| took[(share * (PRESSES - 1) as f64) as usize];
    eprintln!(
        "order at the console to event at the broker, debounce taken off: median {:?}, 99th percentile {:?}, worst {:?}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    // An emulator's; a level that is glanced at takes a minute.
    assert!(at(0.5) < Duration::from_secs(1), "{took:?}");
}
