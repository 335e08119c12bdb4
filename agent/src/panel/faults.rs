//! What is wrong with a panel: pins that cannot be had, contacts that chatter, tallies that fell silent or all claim the same. Said once in the
//! log when it begins and once when it is over; as long as it lasts, the LED is not well.
//!
//! ```text
//! tally camera-2 (program): nothing was heard of it for as long as `expires` allows; it is unknown
//! ```

use super::config::{self, Bus};
use super::contact::Contact;
use super::outputs::led_pins;
use super::{Panel, Tally};
use log::{info, warn};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// All tallies may be on program at once for the length of a mix, not for longer.
pub(super) const MIX: Duration = Duration::from_secs(5);

/// A source tells all its tallies within this, if it tells them unasked.
pub(super) const UNTOLD_FOR: Duration = Duration::from_secs(10);

/// What is wrong with a tally whose source is there and does not speak of it.
const UNTOLD: &str =
    "its source is there and does not tell it; have it send everything again, and see that it has this one";

/// What is wrong with a tally of the network that fell silent.
const EXPIRED: &str = "nothing was heard of it for as long as `expires` allows; it is unknown";

impl Panel {
    /// Finds what is wrong, and says it once.
    pub(super) fn find_faults(&mut self, now: Instant) {
        let mut faults = self.faulty(now);
        let bus = |(config, _): &(&config::Tally, &Tally)| config.bus == Bus::Program;
        let programs = self.config.tallies.iter().zip(&self.tallies).filter(bus);
        let (all, on) = programs
            .fold((0, 0), |(all, on), (_, tally)| (all + 1, on + usize::from(tally.on == Some(true))));
        self.crowd = (all >= 2 && on == all).then(|| self.crowd.unwrap_or(now));
        if self.crowd.is_some_and(|since| now >= since + MIX) {
            let fault =
                format!("all {all} claim to be on program at once; look at the switcher and the wiring");
            faults.insert("tallies".to_owned(), fault);
        }
        for (name, fault) in &faults {
            if self.faults.get(name) != Some(fault) {
                warn!("{name}: {fault}");
            }
        }
        for name in self.faults.keys().filter(|name| !faults.contains_key(*name)) {
            info!("{name}: well again");
        }
        self.faults = faults;
    }

    /// What cannot be had or is not to be believed, by what it is about.
    fn faulty(&self, now: Instant) -> BTreeMap<String, String> {
        let mut faults = BTreeMap::new();
        for (at, (config, tally)) in self.config.tallies.iter().zip(&self.tallies).enumerate() {
            let contact = tally.contact.as_ref().and_then(Contact::fault);
            let expired = tally.expired.then_some(EXPIRED);
            let untold = self.is_untold(at, now).then_some(UNTOLD);
            if let Some(fault) = contact.or(expired).or(untold) {
                let name = format!("tally {} ({})", config.name, config.bus.as_str());
                faults.insert(name, fault.to_owned());
            }
        }
        for (config, contact) in self.config.buttons.iter().zip(&self.buttons) {
            if let Some(fault) = contact.fault() {
                faults.insert(format!("button {}", config.name), fault.to_owned());
            }
        }
        for led in &self.config.leds {
            if let Some(fault) = led_pins(led).iter().find_map(|pin| self.pins.fault(*pin)) {
                faults.insert(format!("LED {}", led.name), fault.to_string());
            }
        }
        for relay in &self.config.relays {
            if let Some(fault) = self.pins.fault(relay.pin) {
                faults.insert(format!("relay {}", relay.name), fault.to_string());
            }
        }
        for (feed, fault) in self.feeds.iter().enumerate() {
            if let Some(fault) = fault {
                faults.insert(self.net.name(feed).to_owned(), fault.clone());
            }
        }
        faults
    }

    /// Whether a tally of the network has been unknown for a while, which no fault of its feed explains.
    fn is_untold(&self, at: usize, now: Instant) -> bool {
        let is_late = self.tallies[at].unknown.is_some_and(|since| now >= since + UNTOLD_FOR);
        is_late && self.net.feed_of(at).is_some_and(|feed| self.feeds[feed].is_none())
    }

    /// What is wrong: about what, and what.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &str)> {
        self.faults.iter().map(|(name, fault)| (name.as_str(), fault.as_str()))
    }
}
