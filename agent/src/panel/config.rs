//! The panel as its owner wants it, checked: what hangs on which pin or comes over the network, and what it means. [`File`] makes it of
//! what stands in the file. Pure data.
//!
//! ```text
//! tally camera-1 (program) at pin 17
//! tally camera-2 (program) from vMix at 192.0.2.20:8099
//! LED rack at pins 23 (red) and 24 (green)
//! ```

mod file;

pub use file::{File, FileButton, FileLed, FilePanel, FileRelay, FileTally};

use super::net;
use super::pins::{Level, Pull};
use rackside_proto::Severity;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// A checked panel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The directory of a simulated board; the real one if there is none.
    pub simulated: Option<PathBuf>,
    /// In the order of the file, as all of these are.
    pub tallies: Vec<Tally>,
    /// Buttons.
    pub buttons: Vec<Button>,
    /// Status LEDs and lamps.
    pub leds: Vec<Led>,
    /// Relays.
    pub relays: Vec<Relay>,
}

impl Config {
    /// For people, a line each: `tally camera-1 (program) at pin 17`.
    pub fn describe(&self) -> Vec<String> {
        let tallies = self.tallies.iter().map(|tally| {
            let of = format!("tally {} ({})", tally.name, tally.bus.as_str());
            match &tally.origin {
                Origin::Contact(contact) => format!("{of} at pin {}", contact.pin),
                Origin::Net(source) => format!("{of} from {source}"),
            }
        });
        let buttons =
            self.buttons.iter().map(|button| format!("button {} at pin {}", button.name, button.contact.pin));
        let leds = self.leds.iter().map(|led| match led.lights {
            Lights::One(pin) => format!("LED {} at pin {pin}", led.name),
            Lights::RedGreen { red, green } => {
                format!("LED {} at pins {red} (red) and {green} (green)", led.name)
            }
        });
        let relays = self.relays.iter().map(|relay| {
            let from = relay
                .on
                .map_or("when a probe asks for it".to_owned(), |on| format!("from {} on", on.as_str()));
            format!("relay {} at pin {}, {from} for {:?} at most", relay.name, relay.pin, relay.most)
        });
        let board = self.simulated.iter().map(|directory| format!("simulated in {}", directory.display()));
        tallies.chain(buttons).chain(leds).chain(relays).chain(board).collect()
    }

    /// Whether a board is needed for it.
    pub fn needs_pins(&self) -> bool {
        let contact = self.tallies.iter().any(|tally| matches!(tally.origin, Origin::Contact(_)));
        contact || !self.buttons.is_empty() || !self.leds.is_empty() || !self.relays.is_empty()
    }
}

/// Which output of the switcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// On air.
    Program,
    /// Next.
    Preview,
}

impl Bus {
    /// As the label has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Preview => "preview",
        }
    }
}

/// A contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// The pin's BCM number.
    pub pin: u8,
    /// The level of a contact that is closed.
    pub active: Level,
    /// What holds the pin while it is open.
    pub pull: Pull,
    /// How long it stands still before it counts.
    pub debounce: Duration,
}

/// Where a tally comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A contact.
    Contact(Contact),
    /// The network.
    Net(net::Source),
}

/// A tally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Its name, the label `tally`.
    pub name: String,
    /// Its bus, the label `bus`.
    pub bus: Bus,
    /// Where it comes from.
    pub origin: Origin,
}

/// What a button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Does {
    /// Silences the relays for what is wrong now.
    Mute,
    /// Announces work on the rack.
    Maintenance,
    /// Makes all LEDs flicker together.
    Identify,
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// Its name.
    pub name: String,
    /// Its contact.
    pub contact: Contact,
    /// What it does.
    pub does: Does,
    /// For how long; pressed again, it ends at once.
    pub lasts: Duration,
}

/// The pins of an LED.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lights {
    /// One LED, of whatever colour.
    One(u8),
    /// Two in one.
    RedGreen {
        /// The red one's pin.
        red: u8,
        /// The green one's pin.
        green: u8,
    },
}

/// An LED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Led {
    /// Its name, the label `led`.
    pub name: String,
    /// Its pins.
    pub lights: Lights,
    /// The level that lights it.
    pub active: Level,
    /// How bright it is, in per cent of what its resistor allows; 1 to 100.
    pub brightness: u8,
    /// Whether it is dark while a program tally is on.
    pub dark_on_air: bool,
    /// The program tallies that it is a lamp for; empty for a status LED.
    pub tallies: Vec<String>,
}

/// A relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Its name, the label `relay`.
    pub name: String,
    /// Its pin's BCM number.
    pub pin: u8,
    /// The level that closes it.
    pub active: Level,
    /// From which severity on it closes; of itself never, where there is none.
    pub on: Option<Severity>,
    /// How long at most.
    pub most: Duration,
}
