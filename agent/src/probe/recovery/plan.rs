//! Recovery in the configuration: `on_failure` of a probe, and the commands that it may name. Checked as a whole; pure.
//!
//! No two probes do the same: the attempts of one would not count for the other.
//!
//! ```toml
//! [[command]]
//! name = "restart-player"
//! run = ["/usr/local/bin/restart-player", "hall"]
//!
//! [[probe.process]]
//! name = "encoder"
//! unit = "encoder.service"
//! on_failure = { restart = "encoder.service", confirmed_by = ["output"] }
//!
//! [[probe.stream]]
//! name = "output"
//! url = "rtmp://192.0.2.40/live/main"
//! on_failure = { command = "restart-player", when = ["down", "frozen"] }
//! ```

use super::core::Limits;
use super::fault::{Fault, Faults};
use crate::panel::config::Relay;
use crate::probe::config::{Config, Planned, Says};
use crate::probe::kind::process::is_unit;
use rackside_config::{ConfigError, Span};
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// `on_failure`, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnFailure {
    restart: Option<String>,
    command: Option<String>,
    pulse: Option<String>,
    #[serde(rename = "for")]
    lasts: Option<Span>,
    attempts: Option<u32>,
    cooldown: Option<Span>,
    after: Option<Span>,
    reset: Option<Span>,
    #[serde(default = "usual_faults")]
    when: Vec<Fault>,
    #[serde(default)]
    confirmed_by: Vec<String>,
}

/// `[[command]]`, as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileCommand {
    name: String,
    run: Vec<String>,
    #[serde(default = "usual_timeout")]
    timeout: Span,
}

fn usual_faults() -> Vec<Fault> {
    vec![Fault::Down]
}

const fn usual_timeout() -> Span {
    Span::seconds(30)
}

/// A program with its arguments, by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What it is called in logs and events; its arguments are in neither.
    pub name: String,
    /// The program and its arguments; never a shell's line.
    pub run: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A unit of systemd is restarted.
    Restart(String),
    /// A command runs.
    Command(Command),
    /// A relay of the panel closes for so long.
    Pulse(String, Duration),
}

impl Action {
    /// The program that is started.
    pub fn program(&self) -> Option<&str> {
        match self {
            Self::Restart(_) => Some("systemctl"),
            Self::Command(command) => command.run.first().map(String::as_str),
            Self::Pulse(..) => None,
        }
    }

    /// The label `action`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Restart(_) => "restart",
            Self::Command(_) => "command",
            Self::Pulse(..) => "pulse",
        }
    }
}

impl fmt::Display for Action {
    /// `restart encoder.service`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = match self {
            Self::Restart(unit) => unit,
            Self::Command(command) => &command.name,
            Self::Pulse(relay, _) => relay,
        };
        write!(f, "{} {about}", self.as_str())
    }
}

/// What is done about a probe's target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What.
    pub action: Action,
    /// If one of these is wrong with it.
    pub when: Faults,
    /// How patiently.
    pub limits: Limits,
    /// Those who say whether the same output works.
    pub others: Vec<String>,
}

/// Makes an error of a key's path and what is wrong with it.
type Wrong<'w> = &'w dyn Fn(&str, &dyn fmt::Display) -> ConfigError;

/// Checks the commands and each probe's `on_failure`, and makes plans of them.
pub fn check(
    config: &mut Config,
    commands: Vec<FileCommand>,
    relays: &[Relay],
    wrong: Wrong<'_>,
) -> Result<(), ConfigError> {
    let commands = check_commands(commands, wrong)?;
    let mut plans: Vec<Option<Plan>> = Vec::new();
    for (place, probe) in config.probes.iter().enumerate() {
        let Some(file) = &probe.common.on_failure else {
            plans.push(None);
            continue;
        };
        let before = config.probes.iter().take(place);
        let at = before.filter(|other| std::ptr::eq(other.kind, probe.kind)).count();
        let table = format!("probe.{}.{at}.on_failure", probe.kind.name);
        let wrong = |key: &str, message: &dyn fmt::Display| {
            let path = if key.is_empty() { table.clone() } else { format!("{table}.{key}") };
            wrong(&path, message)
        };
        let action = file.action(&commands, relays).map_err(|(key, message)| wrong(key, &message))?;
        let is_same = |plan: &&Plan| plan.action.to_string() == action.to_string();
        if plans.iter().flatten().any(|plan| is_same(&plan)) {
            let message =
                format!("two probes would {action}; let one do it, and name the other in its confirmed_by");
            return Err(wrong(action.as_str(), &message));
        }
        let when = file.when(probe).map_err(|message| wrong("when", &message))?;
        let limits = file.limits(probe).map_err(|(key, message)| wrong(key, &message))?;
        let others = file.others(probe, &config.probes).map_err(|message| wrong("confirmed_by", &message))?;
        plans.push(Some(Plan { action, when, limits, others }));
    }
    for (probe, plan) in config.probes.iter_mut().zip(plans) {
        probe.recovery = plan;
    }
    Ok(())
}

fn check_commands(commands: Vec<FileCommand>, wrong: Wrong<'_>) -> Result<Vec<Command>, ConfigError> {
    let mut checked: Vec<Command> = Vec::new();
    for (at, FileCommand { name, run, timeout }) in commands.into_iter().enumerate() {
        let wrong = |key: &str, message: &dyn fmt::Display| wrong(&format!("command.{at}.{key}"), message);
        if name.is_empty() || name.len() > 32 || name.chars().any(char::is_control) {
            return Err(wrong("name", &format_args!("{name:?} is no name; 1 to 32 bytes of text are")));
        }
        if checked.iter().any(|other| other.name == name) {
            return Err(wrong("name", &format_args!("there are two commands of the name \"{name}\"")));
        }
        if let Some(message) = fault_of_argv(&run) {
            return Err(wrong("run", &message));
        }
        let timeout = within(timeout, 1, 600).map_err(|message| wrong("timeout", &message))?;
        checked.push(Command { name, run, timeout });
    }
    Ok(checked)
}

/// What is wrong with a program and its arguments.
pub fn fault_of_argv(run: &[String]) -> Option<String> {
    match run.first() {
        Some(program) if program.starts_with('/') => None,
        Some(program) => {
            Some(format!("\"{program}\" does not begin with a slash; the program's whole path is needed"))
        }
        None => Some("is empty; a program is needed, then its arguments, each a text of its own".to_owned()),
    }
}

fn within(span: Span, least: u64, most: u64) -> Result<Duration, String> {
    let (least, most) = (Span::seconds(least), Span::seconds(most));
    if (least..=most).contains(&span) {
        Ok(span.get())
    } else {
        Err(format!("\"{span}\" is out of range; from \"{least}\" to \"{most}\" is possible"))
    }
}

impl OnFailure {
    fn action(&self, commands: &[Command], relays: &[Relay]) -> Result<Action, (&'static str, String)> {
        let Self { restart, command, pulse, lasts, .. } = self;
        match (restart, command, pulse, lasts) {
            (Some(unit), None, None, None) if is_unit(unit) => Ok(Action::Restart(unit.clone())),
            (Some(unit), None, None, None) => Err((
                "restart",
                format!("\"{unit}\" is no unit with processes; \"encoder.service\" would be"),
            )),
            (None, Some(name), None, None) => match commands.iter().find(|command| command.name == *name) {
                Some(command) => Ok(Action::Command(command.clone())),
                None => Err(("command", format!("there is no [[command]] of the name \"{name}\""))),
            },
            (None, None, Some(name), Some(lasts)) => {
                let Some(relay) = relays.iter().find(|relay| relay.name == *name) else {
                    return Err(("pulse", format!("there is no [[relay]] of the name \"{name}\"")));
                };
                if relay.on.is_some() {
                    let message =
                        format!("the relay \"{name}\" is for the site's severity; set its on to \"never\"");
                    return Err(("pulse", message));
                }
                if lasts.get() > relay.most {
                    let message = format!(
                        "\"{lasts}\" is more than the relay \"{name}\" may be closed ({:?})",
                        relay.most
                    );
                    return Err(("for", message));
                }
                Ok(Action::Pulse(name.clone(), lasts.get()))
            }
            _ => {
                let message = "needs exactly one of restart, command, and pulse with for, to say what to do";
                Err(("", message.to_owned()))
            }
        }
    }

    fn when(&self, probe: &Planned) -> Result<Faults, String> {
        if self.when.is_empty() {
            return Err("is empty; leave it out for [\"down\"]".to_owned());
        }
        let told = probe.settings.tells();
        match self.when.iter().find(|fault| !told.contains(fault)) {
            Some(fault) => {
                let told: Vec<_> = told.iter().map(|fault| format!("\"{fault}\"")).collect();
                let (kind, told) = (probe.kind.name, told.join(", "));
                Err(format!("no {kind} probe tells \"{fault}\"; it tells {told}"))
            }
            None => Ok(self.when.iter().copied().collect()),
        }
    }

    fn limits(&self, probe: &Planned) -> Result<Limits, (&'static str, String)> {
        // A radio station's listeners turn to another one; its source is quick to restart.
        let (usual, pause) = if probe.settings.is_audio() { (20, 30) } else { (3, 60) };
        let attempts = self.attempts.unwrap_or(usual);
        if !(1..=100).contains(&attempts) {
            return Err(("attempts", "is out of range; from 1 to 100 is possible".to_owned()));
        }
        let span = |key, written: &Option<Span>, usual, least, most| {
            within(written.unwrap_or(Span::seconds(usual)), least, most).map_err(|message| (key, message))
        };
        Ok(Limits {
            attempts,
            cooldown: span("cooldown", &self.cooldown, pause, 5, 24 * 3600)?,
            after: span("after", &self.after, 5, 0, 24 * 3600)?,
            reset: span("reset", &self.reset, 600, 10, 7 * 24 * 3600)?,
        })
    }

    /// Who else watches the same: those who are named, and those of the same stream that do not ask the same of the same.
    fn others(&self, probe: &Planned, all: &[Planned]) -> Result<Vec<String>, String> {
        let is_same = |other: &Planned| {
            std::ptr::eq(other.kind, probe.kind) && other.settings.target() == probe.settings.target()
        };
        for name in &self.confirmed_by {
            match all.iter().find(|other| other.common.name == *name) {
                None => return Err(format!("there is no probe of the name \"{name}\"")),
                Some(other) if is_same(other) => {
                    return Err(format!("\"{name}\" asks the same of the same; a second word is needed"));
                }
                Some(other) if other.kind.says == Says::Nothing => {
                    let kind = other.kind.name;
                    return Err(format!("\"{name}\" is a {kind} probe, which says nothing of an output"));
                }
                Some(_) => {}
            }
        }
        let of_stream = |other: &&Planned| {
            let is_of_it = other.common.stream.is_some() && other.common.stream == probe.common.stream;
            is_of_it && !is_same(other) && other.kind.says == Says::Output
        };
        let named = |other: &&Planned| self.confirmed_by.contains(&other.common.name);
        let others = all.iter().filter(|other| named(other) || of_stream(other));
        Ok(others.map(|other| other.common.name.clone()).collect())
    }
}
