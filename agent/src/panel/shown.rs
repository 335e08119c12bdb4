//! The panel as it stands, for whoever asks: each tally, LED and relay with its state, and what was pressed.

use super::config::{Bus, Does, Led};
use super::led::Meaning;
use super::{Panel, led_pins};
use std::time::Instant;

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
