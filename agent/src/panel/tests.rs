//! The panel on a board that a test plays, with the time that a test says.

use super::edges::Edges;
use super::pins::{Burst, Level, PinError};
use super::*;
use crate::clock::Clock;
use rackside_config::ConfigError;
use serde::Deserialize;
use std::cell::RefCell;
use std::rc::Rc;

const MS: Duration = Duration::from_millis(1);

/// A board in a test's hands.
#[derive(Debug, Default)]
struct Played {
    edges: Edges,
    levels: BTreeMap<u8, Level>,
    driven: BTreeMap<u8, Level>,
    faults: BTreeMap<u8, PinError>,
}

#[derive(Debug, Clone, Default)]
struct Board(Rc<RefCell<Played>>);

impl Pins for Board {
    fn fault(&self, pin: u8) -> Option<PinError> {
        self.0.borrow().faults.get(&pin).cloned()
    }

    fn level(&self, pin: u8) -> Option<Level> {
        let played = self.0.borrow();
        if played.faults.contains_key(&pin) { None } else { played.levels.get(&pin).copied() }
    }

    fn take(&mut self, pin: u8) -> Option<Burst> {
        self.0.borrow_mut().edges.take(pin)
    }

    fn heed(&mut self, pin: u8) {
        self.0.borrow_mut().edges.heed(pin);
    }

    fn write(&mut self, pin: u8, level: Level) {
        self.0.borrow_mut().driven.insert(pin, level);
    }

    fn poll_moved(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.borrow_mut().edges.poll(cx)
    }

    fn close(self: Box<Self>) -> Option<JoinHandle<()>> {
        None
    }
}

#[derive(Deserialize)]
struct Tables {
    #[serde(default)]
    tally: Vec<config::FileTally>,
    #[serde(default)]
    button: Vec<config::FileButton>,
    #[serde(default)]
    led: Vec<config::FileLed>,
    #[serde(default)]
    relay: Vec<config::FileRelay>,
}

fn config(text: &str) -> Config {
    let Tables { tally, button, led, relay } = rackside_config::parse(text, "x").expect("tables");
    config::File { panel: config::FilePanel::default(), tally, button, led, relay }
        .check(&|key, message| ConfigError::at(text, "x", key, message))
        .expect("a good file")
}

/// A panel that is stepped whenever it is due or something moves.
struct Bench {
    board: Board,
    panel: Panel,
    start: Instant,
    now: u64,
    site: Site,
    told: Vec<String>,
}

impl Bench {
    /// With every contact open for a while.
    fn new(text: &str) -> Self {
        let config = config(text);
        let (inputs, outputs) = wanted(&config);
        let board = Board::default();
        {
            let mut played = board.0.borrow_mut();
            played.edges = Edges::of(&inputs);
            played.levels = inputs.iter().map(|input| (input.pin, input.pull.idle())).collect();
            played.driven = outputs.iter().map(|output| (output.pin, output.level)).collect();
        }
        let start = Clock::now();
        let panel = Panel::with(config, Box::new(board.clone()), start);
        let mut bench = Self { board, panel, start, now: 0, site: Site::default(), told: Vec::new() };
        bench.until(1000);
        bench.told.clear();
        bench
    }

    fn step(&mut self) {
        for Happened { at, reading } in self.panel.step(self.site, self.start + self.now as u32 * MS) {
            let at = (at - self.start).as_millis();
            let value = match reading.value {
                Value::Known(number) => number.to_string(),
                _ => "unknown".to_owned(),
            };
            let name = reading.labels.first().cloned().unwrap_or_else(|| reading.metric.name.to_owned());
            self.told.push(format!("{at} {name} {value}"));
        }
    }

    /// Lets time pass, as the agent's loop would.
    fn until(&mut self, at: u64) {
        self.step();
        while let Some(due) = self.panel.deadline() {
            let due = (due - self.start).as_nanos().div_ceil(1_000_000) as u64;
            if due > at {
                break;
            }
            assert!(
                due > self.now || self.panel.deadline() <= Some(self.start + self.now as u32 * MS),
                "it does not spin"
            );
            self.now = due.max(self.now + 1);
            self.step();
        }
        self.now = at;
        self.step();
    }

    fn edge(&mut self, pin: u8, level: Level) {
        let at = self.start + self.now as u32 * MS;
        let mut played = self.board.0.borrow_mut();
        played.levels.insert(pin, level);
        played.edges.edge(pin, level, at);
    }

    fn press(&mut self, pin: u8) {
        self.edge(pin, Level::Low);
        self.until(self.now + 100);
        self.edge(pin, Level::High);
        self.until(self.now + 100);
    }

    fn driven(&self, pin: u8) -> Level {
        self.board.0.borrow().driven[&pin]
    }

    /// How an output moves for a while: milliseconds at which it changes.
    fn watch(&mut self, pin: u8, ms: u64) -> Vec<u64> {
        let (start, mut last, mut changes) = (self.now, self.driven(pin), Vec::new());
        while self.now < start + ms {
            self.until(self.now + 1);
            let level = self.driven(pin);
            if std::mem::replace(&mut last, level) != level {
                changes.push(self.now - start);
            }
        }
        changes
    }

    fn faults(&self) -> Vec<String> {
        self.panel.faults().map(|(name, fault)| format!("{name}: {fault}")).collect()
    }
}

const TALLY: &str = "[[tally]]\nname = 'camera-1'\npin = 17\n[[tally]]\nname = 'camera-2'\npin = 27\n";
const LED: &str = "[[led]]\nname = 'rack'\nred = 23\ngreen = 24\n";

#[test]
fn a_tally_is_told_with_the_time_of_its_first_edge() {
    let mut bench = Bench::new(TALLY);
    bench.edge(17, Level::Low);
    bench.until(1002);
    bench.edge(17, Level::High);
    bench.edge(17, Level::Low);
    bench.until(2000);
    assert_eq!(bench.told, ["1000 camera-1 1"]);
    assert_eq!(bench.panel.tallies()[0].value, Value::Known(1));
    assert_eq!(bench.panel.deadline(), None, "nothing polls");
}

#[test]
fn a_chattering_contact_is_unknown_and_said_and_the_other_one_works() {
    let mut bench = Bench::new(TALLY);
    for step in 0..2000_u64 {
        bench.edge(17, if step % 2 == 0 { Level::Low } else { Level::High });
        if step == 1500 {
            bench.edge(27, Level::Low);
        }
        bench.until(1000 + step + 1);
    }
    assert_eq!(bench.told, ["1000 camera-1 unknown", "2500 camera-2 1"]);
    let fault = "tally camera-1 (program): the contact at pin 17 chatters: look at its wiring, or give it a longer debounce";
    assert_eq!(bench.faults(), [fault]);
    bench.until(10_000);
    assert_eq!(bench.faults(), [""; 0]);
    assert_eq!(bench.told.last().map(String::as_str), Some("2999 camera-1 0"));
}

#[test]
fn a_pin_that_cannot_be_had_is_unknown_and_warns() {
    let mut bench = Bench::new(&format!("{TALLY}{LED}"));
    bench.board.0.borrow_mut().faults.insert(17, PinError::Held { pin: 17 });
    bench.until(1001);
    assert_eq!(bench.told, ["1000 camera-1 unknown"]);
    assert!(bench.faults()[0].contains("pin 17 is held by another process"));
    let value = |bench: &Bench, metric: &Metric| {
        bench
            .panel
            .readings()
            .iter()
            .find(|reading| reading.metric.name == metric.name)
            .map(|reading| reading.value)
    };
    assert_eq!(value(&bench, &metric::LED_STATE), Some(Value::Known(Meaning::Warning as i64)));
    assert_eq!(value(&bench, &metric::PANEL_FAULTS), Some(Value::Known(1)));
    bench.board.0.borrow_mut().faults.insert(24, PinError::NoBoard);
    bench.until(1002);
    assert_eq!(value(&bench, &metric::LED_STATE), Some(Value::Unknown));
    bench.board.0.borrow_mut().faults.clear();
    bench.until(2000);
    assert_eq!(bench.told.last().map(String::as_str), Some("1002 camera-1 0"));
}

#[test]
fn an_led_keeps_time_to_the_millisecond_and_sleeps_in_between() {
    let mut bench = Bench::new(LED);
    assert_eq!(bench.watch(24, 8000), [2900, 3000, 6900, 7000], "well: it winks");
    bench.site.severity = Severity::Critical;
    bench.until(bench.now + 1);
    assert_eq!(bench.watch(23, 500), [124, 249, 374, 499], "critical: red, fast");
    assert_eq!(bench.driven(24), Level::Low, "and no green");
    bench.site = Site { link: led::Link::HubUnreachable, severity: Severity::Warning };
    bench.until(bench.now + 1);
    assert_eq!(bench.watch(24, 2000), [199, 399, 599, 1999], "groups of two, amber");
}

#[test]
fn a_single_led_that_is_lit_by_a_low_level_shows_the_same() {
    let mut bench = Bench::new("[[led]]\nname = 'rack'\npin = 22\nactive = 'low'\n");
    assert_eq!(bench.driven(22), Level::Low, "lit");
    assert_eq!(bench.watch(22, 4000), [2900, 3000]);
}

#[test]
fn an_led_that_is_to_be_dark_on_air_is_dark_while_a_tally_is_on_or_was() {
    let mut bench = Bench::new(&format!("{TALLY}{LED}dark_on_air = true\n"));
    assert_eq!(bench.driven(24), Level::High);
    bench.edge(17, Level::Low);
    bench.until(1100);
    assert_eq!(bench.watch(24, 5000), [0; 0]);
    assert_eq!((bench.driven(23), bench.driven(24)), (Level::Low, Level::Low));
    bench.board.0.borrow_mut().faults.insert(17, PinError::NoBoard);
    assert_eq!(bench.watch(24, 5000), [0; 0], "nobody knows that the show is over");
    bench.board.0.borrow_mut().faults.clear();
    bench.edge(17, Level::High);
    bench.until(bench.now + 100);
    assert_eq!(bench.driven(24), Level::High);
}

#[test]
fn a_lamp_follows_its_tallies_and_blinks_while_one_is_unknown() {
    let lamp = "[[led]]\nname = 'on-air'\npin = 22\ntally = ['camera-1', 'camera-2']\n";
    let mut bench = Bench::new(&format!("{TALLY}{lamp}"));
    assert_eq!(bench.driven(22), Level::Low);
    bench.edge(27, Level::Low);
    bench.until(1100);
    assert_eq!(bench.driven(22), Level::High);
    bench.edge(27, Level::High);
    bench.until(1200);
    assert_eq!(bench.driven(22), Level::Low);
    bench.board.0.borrow_mut().faults.insert(17, PinError::NoBoard);
    bench.until(1201);
    assert_eq!(bench.watch(22, 3000), [999, 1999, 2999]);
}

#[test]
fn a_button_mutes_the_sounder_for_what_is_wrong_now_and_no_worse() {
    let text = "[[button]]\nname = 'mute'\npin = 5\ndoes = 'mute'\n\
                [[relay]]\nname = 'sounder'\npin = 6\non = 'warning'\nmost = '1h'\n";
    let mut bench = Bench::new(text);
    bench.site.severity = Severity::Warning;
    bench.until(1001);
    assert_eq!(bench.driven(6), Level::High);
    bench.press(5);
    assert_eq!(
        (bench.driven(6), bench.told.as_slice()),
        (Level::Low, &["1031 rackside_alarm_muted 1".to_owned()][..])
    );
    bench.site.severity = Severity::Critical;
    bench.until(bench.now + 1);
    assert_eq!(bench.driven(6), Level::High, "another alarm");
    assert_eq!(bench.told.len(), 2);
    bench.press(5);
    bench.press(5);
    assert_eq!(bench.driven(6), Level::High, "pressed again, it ends at once");
    bench.press(5);
    bench.until(bench.now + 15 * 60 * 1000);
    assert_eq!(bench.driven(6), Level::High, "it does not last for ever");
}

#[test]
fn maintenance_lasts_its_time_and_keeps_relays_open() {
    let text = "[[button]]\nname = 'work'\npin = 5\ndoes = 'maintenance'\n\
                [[relay]]\nname = 'light'\npin = 6\nactive = 'low'\non = 'critical'\nmost = '10s'\n";
    let mut bench = Bench::new(text);
    bench.press(5);
    bench.site.severity = Severity::Critical;
    bench.until(bench.now + 1);
    assert_eq!(bench.driven(6), Level::High, "open: it closes with a low level");
    bench.until(bench.now + 60 * 60 * 1000);
    assert_eq!(bench.told.last().map(|told| told.ends_with("rackside_maintenance 0")), Some(true));
    assert_eq!(bench.driven(6), Level::Low);
    bench.until(bench.now + 10_000);
    assert_eq!(bench.driven(6), Level::High, "not longer than it may");
}

#[test]
fn identify_makes_all_leds_flicker_together() {
    let text = format!(
        "{TALLY}{LED}[[led]]\nname = 'on-air'\npin = 22\ntally = ['camera-1']\n\
         [[button]]\nname = 'who'\npin = 5\ndoes = 'identify'\nfor = '10s'\n"
    );
    let mut bench = Bench::new(&text);
    bench.press(5);
    for _ in 0..20 {
        let levels = [22, 23, 24].map(|pin| bench.driven(pin));
        assert!(levels.iter().all(|level| *level == levels[0]), "{levels:?}");
        bench.until(bench.now + 50);
    }
    bench.until(bench.now + 10_000);
    assert_eq!((bench.driven(22), bench.driven(23), bench.driven(24)), (Level::Low, Level::Low, Level::High));
}

#[test]
fn all_tallies_on_program_at_once_are_a_mix_first_and_then_a_fault() {
    let mut bench = Bench::new(TALLY);
    bench.edge(17, Level::Low);
    bench.edge(27, Level::Low);
    bench.until(5900);
    assert_eq!(bench.faults(), [""; 0]);
    bench.until(6100);
    assert_eq!(
        bench.faults(),
        ["tallies: all 2 claim to be on program at once; look at the switcher and the wiring"]
    );
    bench.edge(27, Level::High);
    bench.until(6200);
    assert_eq!(bench.faults(), [""; 0]);
}

#[test]
fn a_closed_panel_is_dark_and_open() {
    let mut bench =
        Bench::new(&format!("{LED}[[relay]]\nname = 'light'\npin = 6\non = 'critical'\nmost = '10s'\n"));
    bench.site.severity = Severity::Critical;
    bench.until(1001);
    assert_eq!((bench.driven(6), bench.driven(23)), (Level::High, Level::High));
    let Bench { panel, board, .. } = bench;
    assert!(panel.close().is_none());
    assert!(board.0.borrow().driven.values().all(|level| *level == Level::Low));
}

#[test]
fn an_edge_that_was_missed_is_found_at_the_next_glance() {
    let mut bench = Bench::new(TALLY);
    bench.board.0.borrow_mut().levels.insert(17, Level::Low);
    bench.until(5000);
    assert_eq!(bench.told, [""; 0]);
    bench.panel.glance();
    bench.until(5100);
    assert_eq!(bench.told, ["5000 camera-1 1"]);
}

#[test]
fn a_tally_of_the_network_expires_if_it_is_to() {
    let tsl = "{ listen = '127.0.0.1:8900', version = '3.1', display = 1, expires = '10s' }";
    let mut bench = Bench::new(&format!("[[tally]]\nname = 'camera-1'\ntsl = {tsl}\n"));
    bench.panel.net.put(News::Tally(0, Some(true)));
    bench.until(10_999);
    assert_eq!((bench.told.as_slice(), bench.faults().len()), (&["1000 camera-1 1".to_owned()][..], 0));
    bench.until(11_000);
    assert_eq!(bench.told.last().map(String::as_str), Some("11000 camera-1 unknown"));
    assert!(bench.faults()[0].starts_with("tally camera-1 (program): nothing was heard of it"));
    bench.panel.net.put(News::Tally(0, Some(false)));
    bench.until(12_000);
    assert_eq!((bench.told.last().map(String::as_str), bench.faults().len()), (Some("11000 camera-1 0"), 0));
}

#[test]
fn a_tally_that_its_source_does_not_tell_is_a_fault_of_its_own() {
    let tally = |name: &str, display: u8| {
        let tsl = format!("{{ listen = '127.0.0.1:8900', version = '3.1', display = {display} }}");
        format!("[[tally]]\nname = '{name}'\ntsl = {tsl}\n")
    };
    let mut bench = Bench::new(&[tally("camera-1", 1), tally("camera-2", 2)].concat());
    let untold = |name: &str| format!("tally {name} (program): its source is there and does not tell it");
    bench.panel.net.put(News::Tally(0, Some(true)));
    bench.until(9999);
    assert_eq!(bench.faults(), [""; 0], "it may come");
    bench.until(10_000);
    assert!(bench.faults()[0].starts_with(&untold("camera-2")) && bench.faults().len() == 1);
    bench.panel.net.put(News::Tally(1, Some(false)));
    bench.until(10_001);
    assert_eq!(bench.faults(), [""; 0]);
    // A doubt about all of them is one fault, and one good display does not end it for the other.
    bench.panel.net.put(News::Tally(0, None));
    bench.panel.net.put(News::Tally(1, None));
    bench.panel.net.put(News::Feed(0, Some("no TSL".to_owned())));
    bench.until(60_000);
    assert_eq!(bench.faults(), ["TSL 3.1 on UDP port 127.0.0.1:8900: no TSL"]);
    bench.panel.net.put(News::Feed(0, None));
    bench.panel.net.put(News::Tally(1, Some(true)));
    bench.until(60_001);
    assert!(bench.faults()[0].starts_with(&untold("camera-1")) && bench.faults().len() == 1);
}

#[test]
fn the_hub_does_what_the_buttons_do_where_there_is_something_to_do_it_with() {
    let text = "[[led]]\nname = 'rack'\npin = 22\n[[button]]\nname = 'who'\npin = 5\ndoes = 'identify'\n\
                [[relay]]\nname = 'sounder'\npin = 6\non = 'warning'\nmost = '1h'\n";
    let mut bench = Bench::new(text);
    let second = Duration::from_secs(1);
    bench.site.severity = Severity::Warning;
    bench.until(2000);
    let now = bench.start + bench.now as u32 * MS;
    assert!(bench.panel.mute(60 * second, bench.site, now) && bench.panel.identify(2 * second, now));
    assert_eq!(bench.watch(22, 200), [1, 50, 100, 150, 200]);
    assert_eq!(bench.driven(6), Level::Low);
    bench.until(4100);
    let blinks = bench.watch(22, 4000).len();
    assert!(blinks <= 5, "it ends by itself: {blinks}");
    bench.until(62_100);
    assert_eq!(bench.driven(6), Level::High, "and so does this");
    let now = bench.start + bench.now as u32 * MS;
    assert!(bench.panel.identify(60 * second, now));
    bench.press(5);
    assert!(bench.watch(22, 4000).len() <= 5, "whoever has found the rack ends it");
    let mut bare = Bench::new(TALLY);
    assert!(!bare.panel.identify(second, bare.start) && !bare.panel.mute(second, bare.site, bare.start));
}
