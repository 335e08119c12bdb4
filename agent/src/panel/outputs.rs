//! What a panel drives: its LEDs and lamps by what they mean now, its relays by what is wrong. A pin is written when it changes, and
//! not before.
//!
//! ```text
//! LED rack: warning   →  red and green, then dark, then red and green
//! relay siren: closed
//! ```

use super::Panel;
use super::config::{Bus, Led, Lights};
use super::led::{Light, Meaning, Site, lamp, meaning, pattern};
use super::pins::Pins;
use log::{Level, info, log};
use std::time::Instant;

impl Panel {
    /// Drives the LEDs, and says when they change next.
    pub(super) fn light(&mut self, site: Site, now: Instant) -> Option<Instant> {
        let on_air = self.config.tallies.iter().zip(&self.tallies);
        let on_air = on_air.filter(|(config, _)| config.bus == Bus::Program).any(|(_, tally)| tally.known);
        let mut next: Option<Instant> = None;
        for at in 0..self.leds.len() {
            let config = &self.config.leds[at];
            let said = if self.identify.is_some() {
                Meaning::Identify
            } else if !config.tallies.is_empty() {
                let tallies = self.config.tallies.iter().zip(&self.tallies);
                let ours =
                    tallies.filter(|(of, _)| of.bus == Bus::Program && config.tallies.contains(&of.name));
                lamp(ours.map(|(_, tally)| tally.on))
            } else if config.dark_on_air && on_air {
                Meaning::Dark
            } else {
                meaning(site)
            };
            let lit = &mut self.leds[at];
            if lit.meaning != said {
                (lit.meaning, lit.since) = (said, now);
                // A lamp follows every cut.
                let level = if config.tallies.is_empty() { Level::Info } else { Level::Debug };
                log!(level, "LED {}: {}", config.name, said.as_str());
            }
            let (light, lasts) = pattern(said, now.saturating_duration_since(lit.since));
            next = next.into_iter().chain(lasts.map(|lasts| now + lasts)).min();
            if std::mem::replace(&mut lit.light, light) != light {
                show(self.pins.as_mut(), config, light);
            }
        }
        next
    }

    /// Drives the relays, and says when one opens by itself.
    pub(super) fn switch(&mut self, site: Site, now: Instant) -> Option<Instant> {
        let muted = self.mute.is_some() || self.maintenance.is_some();
        let mut next = None;
        for (config, (rule, closed)) in self.config.relays.iter().zip(&mut self.relays) {
            let close = rule.step(site.severity, muted, now);
            next = [next, rule.deadline(now)].into_iter().flatten().min();
            if std::mem::replace(closed, close) != close {
                self.pins.write(config.pin, if close { config.active } else { !config.active });
                info!("relay {}: {}", config.name, if close { "closed" } else { "open" });
            }
        }
        next
    }

    /// Darkens the LEDs and opens the relays, until the next step.
    pub fn darken(&mut self) {
        for led in &self.config.leds {
            show(self.pins.as_mut(), led, Light::Dark);
        }
        for relay in &self.config.relays {
            self.pins.write(relay.pin, !relay.active);
        }
    }
}

/// Every pin of an LED.
pub(super) fn led_pins(led: &Led) -> Vec<u8> {
    match led.lights {
        Lights::One(pin) => vec![pin],
        Lights::RedGreen { red, green } => vec![red, green],
    }
}

fn show(pins: &mut dyn Pins, led: &Led, light: Light) {
    let level = |lit: bool| if lit { led.active } else { !led.active };
    match led.lights {
        Lights::One(pin) => pins.write(pin, level(light != Light::Dark)),
        Lights::RedGreen { red, green } => {
            pins.write(red, level(matches!(light, Light::Red | Light::Amber)));
            pins.write(green, level(matches!(light, Light::Green | Light::Amber)));
        }
    }
}
