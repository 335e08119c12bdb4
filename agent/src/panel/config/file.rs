//! The panel in the file: `[panel]`, `[[tally]]`, `[[button]]`, `[[led]]`, `[[relay]]`, checked as a whole.
//!
//! Pure. Whether a pin can be had is not known here; that no pin is used twice and that every name is one is.
//!
//! ```toml
//! [[tally]]
//! name = "camera-1"
//! pin = 17
//!
//! [[tally]]
//! name = "camera-2"
//! vmix = { address = "192.0.2.20", input = 2 }
//!
//! [[led]]
//! name = "rack"
//! red = 23
//! green = 24
//! ```

use super::{Bus, Button, Config, Contact, Does, Led, Lights, Origin, Relay, Tally};
use crate::panel::net::{self, FileObs, FileTsl, FileVmix};
use crate::panel::pins::{LAST_PIN, Level, Pull};
use rackside_config::{ConfigError, Span};
use rackside_proto::Severity;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How long a contact stands still before it counts, unless said otherwise: relays bounce for a few milliseconds, and nobody
/// presses for less.
const DEBOUNCE: Span = Span::milliseconds(30);

/// The tables as they stand in the file.
#[derive(Debug, Default)]
pub struct File {
    /// `[panel]`.
    pub panel: FilePanel,
    /// `[[tally]]`.
    pub tally: Vec<FileTally>,
    /// `[[button]]`.
    pub button: Vec<FileButton>,
    /// `[[led]]`.
    pub led: Vec<FileLed>,
    /// `[[relay]]`.
    pub relay: Vec<FileRelay>,
}

/// `[panel]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilePanel {
    simulated: Option<PathBuf>,
}

impl FilePanel {
    /// Whether files stand in for the pins.
    pub(crate) fn is_simulated(&self) -> bool {
        self.simulated.is_some()
    }
}

/// A level as people call it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Active {
    Low,
    High,
}

impl From<Active> for Level {
    fn from(active: Active) -> Self {
        match active {
            Active::Low => Self::Low,
            Active::High => Self::High,
        }
    }
}

/// `[[tally]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTally {
    name: String,
    #[serde(default = "program")]
    bus: Bus,
    pin: Option<u8>,
    active: Option<Active>,
    pull: Option<Pull>,
    debounce: Option<Span>,
    tsl: Option<FileTsl>,
    vmix: Option<FileVmix>,
    obs: Option<FileObs>,
}

/// `[[button]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileButton {
    name: String,
    pin: u8,
    active: Option<Active>,
    pull: Option<Pull>,
    debounce: Option<Span>,
    does: Does,
    #[serde(rename = "for")]
    lasts: Option<Span>,
}

/// `[[led]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileLed {
    name: String,
    pin: Option<u8>,
    red: Option<u8>,
    green: Option<u8>,
    active: Option<Active>,
    #[serde(default = "full")]
    brightness: u8,
    #[serde(default)]
    dark_on_air: bool,
    #[serde(default)]
    tally: Vec<String>,
}

const fn full() -> u8 {
    100
}

/// `[[relay]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRelay {
    name: String,
    pin: u8,
    active: Option<Active>,
    on: FileSeverity,
    most: Span,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FileSeverity {
    Warning,
    Critical,
    Never,
}

const fn program() -> Bus {
    Bus::Program
}

/// Makes an error of a key and what is wrong with it.
type Wrong<'w> = &'w dyn Fn(&str, &dyn fmt::Display) -> ConfigError;

/// Who has which pin, and which names are taken.
struct Desk<'w> {
    wrong: Wrong<'w>,
    pins: BTreeMap<u8, String>,
    names: Vec<String>,
}

impl Desk<'_> {
    fn error<T>(&self, key: &str, message: impl fmt::Display) -> Result<T, ConfigError> {
        Err((self.wrong)(key, &message))
    }

    /// A name, the only one of its kind under `label`.
    fn name(&mut self, table: &str, name: &str, label: &str) -> Result<(), ConfigError> {
        let key = format!("{table}.name");
        let kind = table.split('.').next().unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(fits) || name.starts_with('-') {
            return self.error(
                &key,
                format_args!(
                    "\"{name}\" is no name; write 1 to 32 of a-z, 0-9 and -, the first a letter or a digit"
                ),
            );
        }
        let label = format!("{kind} {label}");
        if self.names.contains(&label) {
            return self.error(&key, format_args!("there are two of the name \"{name}\""));
        }
        self.names.push(label);
        Ok(())
    }

    fn pin(&mut self, table: &str, key: &str, pin: u8, name: &str) -> Result<u8, ConfigError> {
        let key = format!("{table}.{key}");
        if pin > LAST_PIN {
            let message =
                format!("{pin} is not on the header; count as the BCM does, 0 to {LAST_PIN} (not 1 to 40)");
            return self.error(&key, message);
        }
        let kind = table.split('.').next().unwrap_or_default();
        match self.pins.insert(pin, format!("[[{kind}]] {name}")) {
            None => Ok(pin),
            Some(other) => self.error(&key, format_args!("{pin} is used twice, by {other} as well")),
        }
    }

    fn contact(
        &mut self,
        table: &str,
        name: &str,
        pin: u8,
        (active, pull, debounce): (Option<Active>, Option<Pull>, Option<Span>),
    ) -> Result<Contact, ConfigError> {
        let pin = self.pin(table, "pin", pin, name)?;
        let active = active.map_or(Level::Low, Level::from);
        // A contact closes against its pull.
        let pull = pull.unwrap_or(if active == Level::Low { Pull::Up } else { Pull::Down });
        let debounce = self.span(
            &format!("{table}.debounce"),
            debounce.unwrap_or(DEBOUNCE),
            Span::milliseconds(1),
            Span::seconds(1),
        )?;
        Ok(Contact { pin, active, pull, debounce })
    }

    fn span(&self, key: &str, span: Span, least: Span, most: Span) -> Result<Duration, ConfigError> {
        if (least..=most).contains(&span) {
            return Ok(span.get());
        }
        self.error(
            key,
            format_args!("\"{span}\" is out of range; from \"{least}\" to \"{most}\" is possible"),
        )
    }
}

impl File {
    /// Checks the tables. `wrong` makes the error of a key.
    pub fn check(self, wrong: Wrong<'_>) -> Result<Config, ConfigError> {
        let mut desk = Desk { wrong, pins: BTreeMap::new(), names: Vec::new() };
        if let Some(relative) = self.panel.simulated.as_ref().filter(|path| !path.is_absolute()) {
            return desk.error(
                "panel.simulated",
                format_args!("\"{}\" does not begin with a slash", relative.display()),
            );
        }
        let mut config = Config { simulated: self.panel.simulated, ..Config::default() };
        for (at, tally) in self.tally.into_iter().enumerate() {
            config.tallies.push(tally.check(&mut desk, &format!("tally.{at}"))?);
        }
        for (at, button) in self.button.into_iter().enumerate() {
            config.buttons.push(button.check(&mut desk, &format!("button.{at}"))?);
        }
        for (at, led) in self.led.into_iter().enumerate() {
            config.leds.push(led.check(&mut desk, &format!("led.{at}"), &config.tallies)?);
        }
        for (at, relay) in self.relay.into_iter().enumerate() {
            config.relays.push(relay.check(&mut desk, &format!("relay.{at}"))?);
        }
        net::check(&config.tallies, wrong)?;
        Ok(config)
    }
}

impl FileTally {
    fn check(self, desk: &mut Desk<'_>, table: &str) -> Result<Tally, ConfigError> {
        let Self { name, bus, pin, active, pull, debounce, tsl, vmix, obs } = self;
        desk.name(table, &name, &format!("{name} {}", bus.as_str()))?;
        let given = [pin.is_some(), tsl.is_some(), vmix.is_some(), obs.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            return desk.error(
                table,
                format_args!("\"{name}\" needs one of pin, tsl, vmix and obs, to say where it comes from"),
            );
        }
        let wrong = desk.wrong;
        let origin = match (pin, tsl, vmix, obs) {
            (Some(pin), ..) => Origin::Contact(desk.contact(table, &name, pin, (active, pull, debounce))?),
            _ if active.is_some() || pull.is_some() || debounce.is_some() => {
                return desk.error(
                    table,
                    format_args!("active, pull and debounce of \"{name}\" are for a contact at a pin"),
                );
            }
            (_, Some(tsl), ..) => Origin::Net(tsl.check(bus, &format!("{table}.tsl"), wrong)?),
            (_, _, Some(vmix), _) => Origin::Net(vmix.check(&format!("{table}.vmix"), wrong)?),
            (.., Some(obs)) => Origin::Net(obs.check(&format!("{table}.obs"), wrong)?),
            _ => unreachable!("one of four is given"),
        };
        Ok(Tally { name, bus, origin })
    }
}

impl FileButton {
    fn check(self, desk: &mut Desk<'_>, table: &str) -> Result<Button, ConfigError> {
        let Self { name, pin, active, pull, debounce, does, lasts } = self;
        desk.name(table, &name, &name)?;
        let contact = desk.contact(table, &name, pin, (active, pull, debounce))?;
        let usual = match does {
            Does::Mute => Span::seconds(15 * 60),
            Does::Maintenance => Span::seconds(60 * 60),
            Does::Identify => Span::seconds(60),
        };
        let lasts = desk.span(
            &format!("{table}.for"),
            lasts.unwrap_or(usual),
            Span::seconds(1),
            Span::seconds(24 * 60 * 60),
        )?;
        Ok(Button { name, contact, does, lasts })
    }
}

impl FileLed {
    fn check(self, desk: &mut Desk<'_>, table: &str, tallies: &[Tally]) -> Result<Led, ConfigError> {
        let Self { name, pin, red, green, active, brightness, dark_on_air, tally } = self;
        desk.name(table, &name, &name)?;
        if !(1..=100).contains(&brightness) {
            return desk.error(
                &format!("{table}.brightness"),
                format_args!("{brightness} is out of range; from 1 to 100 per cent is possible"),
            );
        }
        let lights = match (pin, red, green) {
            (Some(pin), None, None) => Lights::One(desk.pin(table, "pin", pin, &name)?),
            (None, Some(red), Some(green)) => Lights::RedGreen {
                red: desk.pin(table, "red", red, &name)?,
                green: desk.pin(table, "green", green, &name)?,
            },
            _ => {
                return desk.error(
                    table,
                    format_args!(
                        "\"{name}\" needs either pin, for one LED, or red and green, for two in one"
                    ),
                );
            }
        };
        let is_program =
            |wanted: &String| tallies.iter().any(|tally| tally.name == *wanted && tally.bus == Bus::Program);
        if let Some(unknown) = tally.iter().find(|wanted| !is_program(wanted)) {
            return desk.error(
                &format!("{table}.tally"),
                format_args!("there is no [[tally]] of the name \"{unknown}\" on the program bus"),
            );
        }
        if dark_on_air && !tally.is_empty() {
            return desk.error(
                &format!("{table}.dark_on_air"),
                format_args!("\"{name}\" is a lamp for tallies, and cannot be dark while they are on"),
            );
        }
        let active = active.map_or(Level::High, Level::from);
        Ok(Led { name, lights, active, brightness, dark_on_air, tallies: tally })
    }
}

impl FileRelay {
    fn check(self, desk: &mut Desk<'_>, table: &str) -> Result<Relay, ConfigError> {
        let Self { name, pin, active, on, most } = self;
        desk.name(table, &name, &name)?;
        let pin = desk.pin(table, "pin", pin, &name)?;
        let most =
            desk.span(&format!("{table}.most"), most, Span::milliseconds(100), Span::seconds(24 * 60 * 60))?;
        let on = match on {
            FileSeverity::Warning => Some(Severity::Warning),
            FileSeverity::Critical => Some(Severity::Critical),
            FileSeverity::Never => None,
        };
        Ok(Relay { name, pin, active: active.map_or(Level::High, Level::from), on, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tables: &str) -> Result<Config, String> {
        #[derive(Deserialize)]
        struct Tables {
            #[serde(default)]
            tally: Vec<FileTally>,
            #[serde(default)]
            button: Vec<FileButton>,
            #[serde(default)]
            led: Vec<FileLed>,
            #[serde(default)]
            relay: Vec<FileRelay>,
        }
        let Tables { tally, button, led, relay } =
            rackside_config::parse(tables, "x").map_err(|error| error.to_string())?;
        File { panel: FilePanel::default(), tally, button, led, relay }
            .check(&|key, message| ConfigError::at(tables, "x", key, message))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_contact_closes_to_ground_against_a_pull_up_unless_said_otherwise() {
        let contact = |text: &str| match check(&format!("[[tally]]\nname = 'a'\n{text}")) {
            Ok(Config { tallies, .. }) => match tallies[0].origin {
                Origin::Contact(contact) => contact,
                Origin::Net(_) => panic!("a contact"),
            },
            Err(error) => panic!("{error}"),
        };
        let debounce = Duration::from_millis(30);
        let usual = Contact { pin: 17, active: Level::Low, pull: Pull::Up, debounce };
        assert_eq!(contact("pin = 17"), usual);
        let high = Contact { active: Level::High, pull: Pull::Down, ..usual };
        assert_eq!(contact("pin = 17\nactive = 'high'"), high);
        let driven = Contact { active: Level::High, pull: Pull::Off, ..usual };
        assert_eq!(contact("pin = 17\nactive = 'high'\npull = 'off'"), driven);
    }

    #[test]
    fn program_and_preview_of_one_camera_share_its_name() {
        let both = "[[tally]]\nname = 'a'\npin = 1\n[[tally]]\nname = 'a'\nbus = 'preview'\npin = 2\n";
        assert_eq!(check(both).map(|config| config.tallies.len()), Ok(2));
        let twice = both.replace("bus = 'preview'\n", "");
        assert_eq!(check(&twice), Err("x:5: tally.name: there are two of the name \"a\"".to_owned()));
    }

    #[test]
    fn buttons_last_as_long_as_their_kind_unless_said_otherwise() {
        let lasts = |does: &str| {
            let config = check(&format!("[[button]]\nname = 'b'\npin = 3\ndoes = '{does}'\n"));
            config.expect("a good file").buttons[0].lasts.as_secs()
        };
        assert_eq!((lasts("mute"), lasts("maintenance"), lasts("identify")), (900, 3600, 60));
    }
}
