//! The rack's front: tally contacts and buttons in, LEDs and relays out; and the tallies that come over the network.
//!
//! From the pin inward: [`pins`] is what a board must do, `raspberry` and `simulated` do it, `edges` keeps what they saw; [`debounce`]
//! makes a contact's state of that, `contact` joins the two. [`net`] hears network tallies. [`led`] says what an LED means and when it is
//! lit, [`relay`] when a relay closes, and `outputs` drives both; `faults` tells what cannot be had; [`judge`] is what the site thinks of
//! itself and [`reach`] how it stands with the hub. [`Panel`] ties them together: it is stepped by the agent's loop with the time as an
//! argument, tells what changed, and says when it is due next.
//!
//! Invariant: a tally that nobody can tell is unknown, never what it was; an LED shows no `well` that is not so now.
//!
//! ```text
//! pin 17 falls, bounces, rests     →  rackside_tally_active{tally="camera-1",bus="program"} 1, since the first edge
//! severity warning, hub reachable  →  LED rack: amber slow blink
//! ```

mod board;
pub mod config;
mod contact;
pub mod debounce;
mod dim;
mod edges;
mod faults;
pub mod judge;
pub mod led;
pub mod limits;
pub mod net;
mod outputs;
pub mod pins;
mod raspberry;
pub mod reach;
pub mod relay;
mod shown;
mod simulated;
#[cfg(test)]
mod tests;

use crate::clock::Clock;
use async_io::Timer;
pub use board::Board;
use config::{Bus, Config, Does, Origin};
use contact::Contact;
use faults::{MIX, UNTOLD_FOR};
use futures_lite::future;
use led::{Light, Meaning, Site};
use log::info;
use net::{Net, News};
use outputs::led_pins;
use pins::{Input, NoPins, Output, Pins};
use rackside_proto::metric::{self, Metric};
use rackside_proto::{Severity, Value};
use raspberry::Raspberry;
pub use shown::Shown;
use simulated::Simulated;
use std::collections::BTreeMap;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A board's pins are open within milliseconds.
const OPENED: Duration = Duration::from_secs(2);

/// A series of the panel, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What it is.
    pub metric: &'static Metric,
    /// The values of its labels.
    pub labels: Vec<String>,
    /// Its value; whole numbers.
    pub value: Value,
}

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub at: Instant,
    /// What is so from then on.
    pub reading: Reading,
}

#[derive(Debug)]
struct Tally {
    contact: Option<Contact>,
    on: Option<bool>,
    /// What it was when it was known last.
    known: bool,
    /// When the network told it last.
    heard: Option<Instant>,
    /// Whether that is too long ago.
    expired: bool,
    /// Since when it is unknown.
    unknown: Option<Instant>,
}

#[derive(Debug)]
struct Lit {
    meaning: Meaning,
    since: Instant,
    light: Light,
}

/// An alarm that somebody at the rack has silenced.
#[derive(Debug)]
struct Mute {
    until: Instant,
    /// Whatever is worse than this is another alarm.
    severity: Severity,
}

/// The panel of one rack.
#[derive(Debug)]
pub struct Panel {
    config: Config,
    pins: Box<dyn Pins>,
    net: Net,
    tallies: Vec<Tally>,
    buttons: Vec<Contact>,
    leds: Vec<Lit>,
    relays: Vec<(relay::Rule, bool)>,
    mute: Option<Mute>,
    maintenance: Option<Instant>,
    identify: Option<Instant>,
    /// Since when all tallies claim to be on program.
    crowd: Option<Instant>,
    /// Why a feed's tallies are unknown.
    feeds: Vec<Option<String>>,
    /// What is wrong, by what it is about, as it was said.
    faults: BTreeMap<String, String>,
    glance: bool,
    next: Option<Instant>,
}

impl Panel {
    /// Takes the pins that `config` names, on a simulated board if it says so. `before` is what [`close`](Self::close) gave.
    pub fn open(config: Config, before: Option<JoinHandle<()>>, now: Instant) -> Self {
        let (inputs, outputs) = wanted(&config);
        let pins: Box<dyn Pins> = match &config.simulated {
            Some(directory) => Box::new(Simulated::open(directory, &inputs, &outputs)),
            None if inputs.is_empty() && outputs.is_empty() => Box::new(NoPins(before)),
            None => Box::new(Raspberry::open(&inputs, &outputs, before)),
        };
        Self::with(config, pins, now)
    }

    fn with(config: Config, pins: Box<dyn Pins>, now: Instant) -> Self {
        let net = Net::open(&config.tallies);
        let tally = |tally: &config::Tally| Tally {
            contact: match &tally.origin {
                Origin::Contact(contact) => Some(Contact::new(contact)),
                Origin::Net(_) => None,
            },
            on: None,
            known: false,
            heard: None,
            expired: false,
            unknown: Some(now),
        };
        Self {
            pins,
            tallies: config.tallies.iter().map(tally).collect(),
            buttons: config.buttons.iter().map(|button| Contact::new(&button.contact)).collect(),
            leds: config
                .leds
                .iter()
                .map(|_| Lit { meaning: Meaning::Dark, since: now, light: Light::Dark })
                .collect(),
            relays: config
                .relays
                .iter()
                .map(|relay| (relay::Rule::new(relay.on, relay.most), false))
                .collect(),
            feeds: vec![None; net.len()],
            net,
            config,
            mute: None,
            maintenance: None,
            identify: None,
            crowd: None,
            faults: BTreeMap::new(),
            glance: false,
            next: Some(now),
        }
    }

    /// Darkens the LEDs and opens the relays that an agent left as they were when it was killed; what could not be done, if anything.
    pub async fn dark(config: &Config) -> Vec<String> {
        let config = Config { tallies: Vec::new(), buttons: Vec::new(), ..config.clone() };
        let mut panel = Self::open(config, None, Clock::now());
        if panel.config.simulated.is_none() && !panel.is_empty() {
            let late = async {
                Timer::after(OPENED).await;
            };
            future::or(future::poll_fn(|cx| panel.pins.poll_moved(cx)), late).await;
        }
        panel.find_faults(Clock::now());
        let faults = panel.faults().map(|(name, fault)| format!("{name}: {fault}")).collect();
        panel.close();
        faults
    }

    /// Whether there is nothing on it.
    pub fn is_empty(&self) -> bool {
        let Config { simulated: _, tallies, buttons, leds, relays } = &self.config;
        tallies.is_empty() && buttons.is_empty() && leds.is_empty() && relays.is_empty()
    }

    /// Whether a tally on the program bus is on. One that cannot be told any more counts as it was.
    pub fn is_on_air(&self) -> bool {
        let mut tallies = self.config.tallies.iter().zip(&self.tallies);
        tallies.any(|(config, tally)| config.bus == Bus::Program && tally.on.unwrap_or(tally.known))
    }

    /// Whether somebody at the rack has announced maintenance.
    pub const fn is_maintained(&self) -> bool {
        self.maintenance.is_some()
    }

    /// Whether every pin was opened, or could not be: on a real board that takes some milliseconds.
    pub fn is_open(&self) -> bool {
        self.pins.is_open()
    }

    /// Looks at every contact at the next step, edge or not: where edges are missed, the truth comes with the next reading.
    pub const fn glance(&mut self) {
        self.glance = true;
    }

    /// Has all LEDs flicker together, as a button would; whether there is one.
    pub fn identify(&mut self, lasts: Duration, now: Instant) -> bool {
        let has = !self.config.leds.is_empty();
        if has {
            (self.identify, self.next) = (Some(now + lasts), Some(now));
        }
        has
    }

    /// Silences the relays that an alarm closes, as a button would, until something worse begins; whether there is one.
    pub fn mute(&mut self, lasts: Duration, site: Site, now: Instant) -> bool {
        let has = self.config.relays.iter().any(|relay| relay.on.is_some());
        if has {
            (self.mute, self.next) = (Some(Mute { until: now + lasts, severity: site.severity }), Some(now));
        }
        has
    }

    /// Closes a relay that no severity closes for so long, though no longer than it may be closed.
    pub fn pulse(&mut self, relay: &str, lasts: Duration, now: Instant) {
        let mut relays = self.config.relays.iter().zip(&mut self.relays);
        if let Some((_, (rule, _))) = relays.find(|(config, _)| config.name == relay) {
            rule.pulse(lasts, now);
            self.next = Some(now);
        }
    }

    /// Does what is due: takes what moved, drives what is to be driven, and tells what changed.
    pub fn step(&mut self, site: Site, now: Instant) -> Vec<Happened> {
        let mut happened = Vec::new();
        self.contacts(site, now, &mut happened);
        self.network(now, &mut happened);
        self.time_out(site, now, &mut happened);
        self.find_faults(now);
        let trouble = if self.faults.is_empty() { Severity::Well } else { Severity::Warning };
        let site = Site { severity: site.severity.max(trouble), ..site };
        let lit = self.light(site, now);
        let switched = self.switch(site, now);
        let tallies = self.config.tallies.iter().zip(&self.tallies);
        let expiry = tallies.filter_map(|(config, tally)| expiry(config, tally));
        let untold = self.tallies.iter().filter(|tally| tally.contact.is_none());
        let untold = untold.filter_map(|tally| Some(tally.unknown? + UNTOLD_FOR)).filter(|at| *at > now);
        let contacts = self.tallies.iter().filter_map(|tally| tally.contact.as_ref()).chain(&self.buttons);
        let crowd = self.crowd.map(|since| since + MIX).filter(|at| *at > now);
        let mute = self.mute.as_ref().map(|mute| mute.until);
        self.next = contacts
            .filter_map(Contact::deadline)
            .chain(expiry)
            .chain(untold)
            .chain([mute, self.maintenance, self.identify, crowd, lit, switched].into_iter().flatten())
            .min();
        happened
    }

    /// When [`step`](Self::step) is due, if nothing moves before.
    pub const fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Ready when something moved.
    pub fn poll_moved(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Both, so that each is polled.
        let moved = [self.pins.poll_moved(cx), self.net.poll(cx)];
        if moved.iter().any(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn contacts(&mut self, site: Site, now: Instant, happened: &mut Vec<Happened>) {
        let glance = std::mem::take(&mut self.glance);
        for at in 0..self.tallies.len() {
            let Some(contact) = &mut self.tallies[at].contact else { continue };
            let told = contact.step(self.pins.as_mut(), glance, now);
            let told: Vec<_> = told.iter().map(|change| (change.at, contact.closed(change.state))).collect();
            for (since, on) in told {
                self.tell(at, on, since, happened);
            }
        }
        for at in 0..self.buttons.len() {
            let contact = &mut self.buttons[at];
            let before = contact.closed(contact.state());
            let told = contact.step(self.pins.as_mut(), glance, now);
            let mut closed = before;
            for change in &told {
                let was = std::mem::replace(&mut closed, self.buttons[at].closed(change.state));
                if was == Some(false) && closed == Some(true) {
                    self.press(at, site, now, happened);
                }
            }
        }
    }

    fn network(&mut self, now: Instant, happened: &mut Vec<Happened>) {
        while let Some(news) = self.net.take() {
            match news {
                News::Tally(at, on) => {
                    self.tallies[at].heard = on.map(|_| now);
                    self.tallies[at].expired = false;
                    self.tell(at, on, now, happened);
                }
                News::Feed(feed, fault) => self.feeds[feed] = fault,
            }
        }
        for at in 0..self.tallies.len() {
            if expiry(&self.config.tallies[at], &self.tallies[at]).is_some_and(|end| now >= end) {
                (self.tallies[at].heard, self.tallies[at].expired) = (None, true);
                self.tell(at, None, now, happened);
            }
        }
    }

    /// A tally is on, off or unknown since `at`.
    fn tell(&mut self, tally: usize, on: Option<bool>, at: Instant, happened: &mut Vec<Happened>) {
        let state = &mut self.tallies[tally];
        if state.on != on {
            state.on = on;
            state.unknown = on.is_none().then_some(at);
            state.known = on.unwrap_or(state.known);
            happened.push(Happened { at, reading: self.tally(tally) });
        }
    }

    fn press(&mut self, button: usize, site: Site, now: Instant, happened: &mut Vec<Happened>) {
        let config::Button { name, does, lasts, .. } = &self.config.buttons[button];
        let until = now + *lasts;
        let begun = match does {
            Does::Mute => {
                let over = self.mute.take();
                self.mute = over.is_none().then_some(Mute { until, severity: site.severity });
                self.mute.is_some()
            }
            Does::Maintenance => {
                self.maintenance = if self.maintenance.is_some() { None } else { Some(until) };
                self.maintenance.is_some()
            }
            Does::Identify => {
                self.identify = if self.identify.is_some() { None } else { Some(until) };
                self.identify.is_some()
            }
        };
        let what = match does {
            Does::Mute => "the alarm is muted",
            Does::Maintenance => "maintenance",
            Does::Identify => "identify",
        };
        if begun {
            info!("button {name}: {what} for {lasts:?}");
        } else {
            info!("button {name}: {what} no longer");
        }
        happened.extend(self.flag(*does).map(|reading| Happened { at: now, reading }));
    }

    /// Ends what has lasted for its time.
    fn time_out(&mut self, site: Site, now: Instant, happened: &mut Vec<Happened>) {
        let is_over = |until: &mut Instant| *until <= now;
        let mut ended = Vec::new();
        if self.mute.take_if(|mute| mute.until <= now || site.severity > mute.severity).is_some() {
            ended.push(Does::Mute);
        }
        if self.maintenance.take_if(is_over).is_some() {
            ended.push(Does::Maintenance);
        }
        self.identify.take_if(is_over);
        happened.extend(
            ended.into_iter().filter_map(|does| self.flag(does)).map(|reading| Happened { at: now, reading }),
        );
    }

    fn tally(&self, at: usize) -> Reading {
        let config = &self.config.tallies[at];
        let labels = vec![config.name.clone(), config.bus.as_str().to_owned()];
        Reading { metric: &metric::TALLY_ACTIVE, labels, value: state(self.tallies[at].on) }
    }

    /// The series that a button's work has, if a button does it.
    fn flag(&self, does: Does) -> Option<Reading> {
        let (metric, on) = match does {
            Does::Mute => (&metric::ALARM_MUTED, self.mute.is_some()),
            Does::Maintenance => (&metric::MAINTENANCE, self.maintenance.is_some()),
            Does::Identify => return None,
        };
        let has = self.config.buttons.iter().any(|button| button.does == does);
        has.then(|| Reading { metric, labels: Vec::new(), value: state(Some(on)) })
    }

    /// Every tally as it is now.
    pub fn tallies(&self) -> Vec<Reading> {
        (0..self.tallies.len()).map(|at| self.tally(at)).collect()
    }

    /// Every series as it is now.
    pub fn readings(&self) -> Vec<Reading> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut readings = self.tallies();
        for (config, lit) in self.config.leds.iter().zip(&self.leds) {
            let fails = led_pins(config).iter().any(|pin| self.pins.fault(*pin).is_some());
            let value = if fails { Value::Unknown } else { Value::Known(lit.meaning as i64) };
            readings.push(Reading { metric: &metric::LED_STATE, labels: vec![config.name.clone()], value });
        }
        for (config, (_, closed)) in self.config.relays.iter().zip(&self.relays) {
            let value = state(self.pins.fault(config.pin).is_none().then_some(*closed));
            readings.push(Reading {
                metric: &metric::RELAY_ACTIVE,
                labels: vec![config.name.clone()],
                value,
            });
        }
        readings.extend([Does::Mute, Does::Maintenance].into_iter().filter_map(|does| self.flag(does)));
        let faults = Value::Known(self.faults.len() as i64);
        readings.push(Reading { metric: &metric::PANEL_FAULTS, labels: Vec::new(), value: faults });
        readings
    }

    /// Darkens all, and lets the pins go.
    pub fn close(mut self) -> Option<JoinHandle<()>> {
        self.darken();
        self.pins.close()
    }
}

/// Every pin, with what it is to be from the first moment on: dark and open.
fn wanted(config: &Config) -> (Vec<Input>, Vec<Output>) {
    let tallies = config.tallies.iter().filter_map(|tally| match &tally.origin {
        Origin::Contact(contact) => Some(contact),
        Origin::Net(_) => None,
    });
    let contacts = tallies.chain(config.buttons.iter().map(|button| &button.contact));
    let leds = config.leds.iter().flat_map(|led| {
        led_pins(led).into_iter().map(|pin| Output { pin, level: !led.active, share: led.brightness })
    });
    let relays =
        config.relays.iter().map(|relay| Output { pin: relay.pin, level: !relay.active, share: 100 });
    (contacts.map(Contact::input).collect(), leds.chain(relays).collect())
}

/// When what the network told of this tally is too old.
fn expiry(config: &config::Tally, tally: &Tally) -> Option<Instant> {
    let Origin::Net(source) = &config.origin else { return None };
    Some(tally.heard? + source.expires()?)
}

fn state(on: Option<bool>) -> Value {
    on.map_or(Value::Unknown, |on| Value::Known(on.into()))
}
