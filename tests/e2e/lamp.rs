//! The rack's LED shows what the hub thinks, soon, and no longer than the hub has said; a rack that is alone decides alone.

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::clock;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::programs::programs;
use serde_json::Value as Json;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Far beyond what is promised, for a machine that does a lot else.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is promised: from the moment that the hub's rules begin an alert, by its own word, to the LED. The middle one of some tries is held to it, so that
/// a machine that is busy elsewhere for a moment breaks no promise, and a hub that tells too late breaks each.
const FOLLOWS: Duration = Duration::from_secs(1);
/// An odd number of tries.
const TRIES: usize = 5;
/// Milliseconds of it.
const DAY: u64 = 86_400_000;
/// A verdict holds for a minute and a half.
const VALID: Duration = Duration::from_secs(90);

/// Not looked at by the clock while the test runs: only a tally's own edge makes an alert, and only the next one ends it.
const RULES: &str = "
groups:
- name: by the edge
  interval: 1d
  rules:
  - {alert: Worse, expr: 'rackside_tally_active{tally=\"worse\"} == 1', labels: {severity: critical}}
  - {alert: Bad, expr: 'rackside_tally_active{tally=\"bad\"} == 1', labels: {severity: warning}}
";

/// The site itself minds nothing, so whatever is wrong is the hub's word.
const PANEL: &str = "
[limits]
temperature = {}
disk = {}
[panel]
simulated = \"PANEL\"
[[tally]]
name = \"worse\"
pin = 17
debounce = \"5ms\"
[[tally]]
name = \"bad\"
pin = 27
debounce = \"5ms\"
[[led]]
name = \"rack\"
red = 23
green = 24
";

/// Closes the contact of a pin, or opens it, in one write: a file that is emptied first would be an edge more.
pub(crate) fn touch(pin: &Path, closed: bool) {
    let file = fs::OpenOptions::new().write(true).open(pin);
    let done = file.and_then(|mut file| file.write_all(if closed { b"0" } else { b"1" }));
    done.expect("the panel can be written");
}

/// What the status LED is lit with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Light {
    Dark,
    Green,
    Amber,
    Red,
}

/// The simulated panel, and who looks at it and touches it.
struct Front<'a> {
    panel: &'a Path,
    hub: &'a Hub,
    agent: &'a Agent,
}

impl Front<'_> {
    fn light(&self) -> Light {
        let is_lit =
            |pin: &str| fs::read_to_string(self.panel.join(pin)).is_ok_and(|level| level.trim() == "1");
        match (is_lit("23"), is_lit("24")) {
            (false, false) => Light::Dark,
            (false, true) => Light::Green,
            (true, true) => Light::Amber,
            (true, false) => Light::Red,
        }
    }

    /// From an alert's beginning to the LED that has become red.
    fn alarm(&self) -> Duration {
        self.touch("17", true);
        self.expect("an alert", Light::Red, PATIENCE);
        let (seen, begun) = (clock::unix_ms(), self.begun("Worse"));
        self.touch("17", false);
        self.expect("it is over", Light::Green, PATIENCE);
        // Both are this machine's clock; only the time of day is read, and a try over midnight is no longer for it.
        Duration::from_millis((seen + DAY - begun) % DAY)
    }

    /// When an alert that fires has begun, in milliseconds since midnight.
    fn begun(&self, alert: &str) -> u64 {
        let body = self.hub.body("/api/alerts");
        let all: Json = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        let mut firing =
            all["alerts"].as_array().into_iter().flatten().filter(|one| one["state"] == "firing");
        let found = firing.find(|one| one["labels"]["alertname"] == alert);
        let at =
            found.and_then(|one| one["starts_at"].as_str()).unwrap_or_else(|| panic!("no {alert}: {body}"));
        let number =
            |part: std::ops::Range<usize>| at[part].parse::<u64>().expect("2026-11-20T05:25:19.250Z");
        ((number(11..13) * 60 + number(14..16)) * 60 + number(17..19)) * 1000 + number(20..23)
    }

    /// Closes a contact, or opens it.
    fn touch(&self, pin: &str, closed: bool) {
        touch(&self.panel.join(pin), closed);
    }

    /// Waits until the LED is lit so. Both pins change one after the other, so one look is none.
    fn expect(&self, what: &str, light: Light, within: Duration) -> Duration {
        let (begun, mut seen) = (clock::now(), 0);
        while seen < 4 {
            std::thread::sleep(Duration::from_millis(4));
            seen = if self.light() == light { seen + 1 } else { 0 };
            let (hub, agent) = (self.hub, self.agent);
            let waited = clock::now() - begun;
            assert!(
                waited < within,
                "{what}: not {light:?} after {waited:?}\n{}\n{}",
                hub.last_words(),
                agent.last_words()
            );
        }
        let took = clock::now() - begun;
        println!("{what}: {light:?} after {} ms", took.as_millis());
        took
    }

    /// How long it is until the LED is no longer red, whatever it says instead. Red blinks: a second without it is an end.
    fn red_until(&self, end: Instant) -> Instant {
        let mut red = clock::now();
        while clock::now() - red < Duration::from_secs(1) && clock::now() < end {
            std::thread::sleep(Duration::from_millis(4));
            if self.light() == Light::Red {
                red = clock::now();
            }
        }
        red
    }
}

#[test]
fn the_led_follows_the_hubs_alerts_and_lets_the_word_of_a_dead_hub_expire() {
    let (rules, panel) = (tempfile::tempdir(), tempfile::tempdir());
    let (rules, panel) = (rules.expect("a temporary directory"), panel.expect("a temporary directory"));
    let file = rules.path().join("edge.yml");
    fs::write(&file, RULES).expect("the directory can be written");
    let more = format!("[rules]\ndefaults = false\nfiles = [{file:?}]\n");
    let mut hub = Hub::with(Way::Listener, &programs().hub, &more);
    let mut options = AgentOptions::new(RACK.0, RACK.1, hub.mqtt());
    options.top = format!("clock = \"trust\"{}", PANEL.replace("PANEL", &panel.path().display().to_string()));
    let agent = Agent::start(&options);
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    {
        let front = Front { panel: panel.path(), hub: &hub, agent: &agent };
        front.expect("all is well", Light::Green, PATIENCE);
        let mut took: Vec<Duration> = (0..TRIES).map(|_| front.alarm()).collect();
        took.sort_unstable();
        println!("from the alert to the LED: {took:?}");
        assert!(took[TRIES / 2] <= FOLLOWS, "{took:?}");
        front.touch("27", true);
        front.expect("an alert warns", Light::Amber, PATIENCE);
        front.touch("17", true);
        front.expect("a worse one", Light::Red, PATIENCE);
        front.touch("17", false);
        front.expect("the worse one is over", Light::Amber, PATIENCE);
        front.touch("27", false);
        front.expect("both are over", Light::Green, PATIENCE);
        front.touch("17", true);
        front.expect("once more", Light::Red, PATIENCE);
    }
    let heard = clock::now();
    hub.kill();
    let front = Front { panel: panel.path(), hub: &hub, agent: &agent };
    let red = front.red_until(heard + VALID + PATIENCE) - heard;
    println!("the dead hub's word held for {} s", red.as_secs());
    // It may have been repeated just before the end; it never holds for longer than it said.
    assert!(red > VALID / 2 && red < VALID + PATIENCE / 2, "{red:?}");
    // Alone, the rack minds nothing but its link, which has its own light.
    front.expect("the site's own view", Light::Amber, PATIENCE);
}
