//! The panel as it stands, for whoever asks: each tally, LED and relay with its state, and what was pressed. And its contacts alone, for
//! whoever asks where no agent runs.

use super::config::{Bus, Config, Does, Led, Origin};
use super::led::{Meaning, Site};
use super::{Panel, Reading, led_pins};
use crate::clock::Clock;
use async_io::Timer;
use futures_lite::future;
use rackside_proto::Value;
use std::time::{Duration, Instant};

/// An LED.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it says; `None` while one of its pins cannot be had.
    pub meaning: Option<Meaning>,
    /// The tallies whose lamp it is; none of a status LED.
    pub tallies: &'a [String],
}

impl Panel {
    /// Reads the tallies' contacts once, and nothing else: no output is opened, no network is asked. Ends when each has come to rest, or
    /// after `most`; what could not be told by then is unknown.
    pub async fn contacts_once(config: &Config, most: Duration) -> Vec<Reading> {
        let is_contact = |tally: &&super::config::Tally| matches!(tally.origin, Origin::Contact(_));
        let config = Config {
            simulated: config.simulated.clone(),
            tallies: config.tallies.iter().filter(is_contact).cloned().collect(),
            ..Config::default()
        };
        if config.tallies.is_empty() {
            return Vec::new();
        }
        let end = Clock::now() + most;
        let mut panel = Self::open(config, None, Clock::now());
        loop {
            let now = Clock::now();
            panel.step(Site::default(), now);
            let readings = panel.tallies();
            if now >= end || readings.iter().all(|reading| reading.value != Value::Unknown) {
                panel.close();
                return readings;
            }
            let due = panel.deadline().map_or(end, |due| due.min(end));
            let later = async {
                Timer::at(due).await;
            };
            future::or(future::poll_fn(|cx| panel.poll_moved(cx)), later).await;
        }
    }

    /// The LEDs.
    pub fn leds(&self) -> impl Iterator<Item = Shown<'_>> {
        let fails = |led: &Led| led_pins(led).iter().any(|pin| self.pins.fault(*pin).is_some());
        self.config.leds.iter().zip(&self.leds).map(move |(led, lit)| Shown {
            name: &led.name,
            meaning: (!fails(led)).then_some(lit.meaning),
            tallies: &led.tallies,
        })
    }

    /// Name, bus and state of the tallies; `None` for one that is unknown.
    pub fn tally_states(&self) -> impl Iterator<Item = (&str, Bus, Option<bool>)> {
        let tallies = self.config.tallies.iter().zip(&self.tallies);
        tallies.map(|(config, tally)| (config.name.as_str(), config.bus, tally.on))
    }

    /// Name and state of the relays: closed, open, or `None` while its pin cannot be had.
    pub fn relay_states(&self) -> impl Iterator<Item = (&str, Option<bool>)> {
        let relays = self.config.relays.iter().zip(&self.relays);
        relays.map(|(config, (_, closed))| {
            (config.name.as_str(), self.pins.fault(config.pin).is_none().then_some(*closed))
        })
    }

    /// Until when what a button began lasts, if nobody ends it.
    pub fn pressed(&self, does: Does) -> Option<Instant> {
        match does {
            Does::Mute => self.mute.as_ref().map(|mute| mute.until),
            Does::Maintenance => self.maintenance,
            Does::Identify => self.identify,
        }
    }
}
