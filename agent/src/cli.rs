//! The command line, and what each command's outcome is to the shell.
//!
//! Exit codes: 0 all well; 1 it was tried and failed (`status`: the agent does not run, or does not answer); 2 the command line or the
//! configuration is wrong; 3 `status` has an answer, and not all is well.

use crate::agent::VERSION;
use crate::config::Config;
use crate::join::{JoinError, Store};
use crate::panel::Panel;
use crate::reload::{ConfigFile, USUAL};
use crate::{app, check, join, logger, once, state, status};
use lexopt::{Arg, Parser, ValueExt};
use rackside_config::ConfigError;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
rackside-agent watches the box in the rack: it reads this machine and publishes what it read over MQTT.

Usage:
  rackside-agent run    [--config FILE]           read and publish until SIGTERM or Ctrl-C
  rackside-agent check  [--config FILE]           check the configuration and say what would run and what is missing
  rackside-agent status [--config FILE] [--json]  ask the running agent: link, backlog, panel, and why the LED is as it is
  rackside-agent once   [--config FILE] [--json]  one reading of everything, as a table; needs no configuration
  rackside-agent dark   [--config FILE]           put out the LEDs and open the relays that a killed agent left on
  rackside-agent join URL CODE [--config FILE] [--state DIR]
                                                  get an identity from the hub, by the code that it gave out for this box
  rackside-agent --version
  rackside-agent --help

Without --config it is /etc/rackside/agent.toml, else /boot/firmware/rackside.toml (or /boot/rackside.toml): the boot partition
of a Raspberry Pi's card, which a laptop can write; a box that joined needs none. SIGHUP makes run read it again.
";

/// Exit code for a wrong command line or configuration.
const MISUSE: u8 = 2;
/// Exit code for an agent that runs and objects to something.
const UNWELL: u8 = 3;

/// What commands there are, for whoever names another.
const COMMANDS: &str = "there are run, check, status, once, dark and join";

#[derive(Debug, PartialEq, Eq)]
enum Command {
    Run { config: Option<PathBuf> },
    Check { config: Option<PathBuf> },
    Once { config: Option<PathBuf>, json: bool },
    Status { config: Option<PathBuf>, json: bool },
    Dark { config: Option<PathBuf> },
    Join { url: String, code: String, config: Option<PathBuf>, state: Option<PathBuf> },
    Version,
    Help,
}

/// The file that was named, or the usual one.
fn file(named: Option<PathBuf>) -> Result<ConfigFile, Failure> {
    named.map(ConfigFile::new).or_else(|| ConfigFile::usual(Path::new("/"))).ok_or(Failure::NoFile)
}

/// Why a command did not succeed.
#[derive(Debug)]
enum Failure {
    Usage(lexopt::Error),
    Config(ConfigError),
    /// Nobody named a file, and the usual one is not there.
    NoFile,
    Start(app::StartError),
    /// The hub said no, or could not be asked.
    Join(JoinError),
    /// Nobody answered.
    Status(status::AskError),
    /// Something else answered, or not to its end.
    Answer(serde_json::Error),
    Output(std::io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => write!(f, "{error}; see rackside-agent --help"),
            Self::Config(error) => error.fmt(f),
            Self::NoFile => write!(
                f,
                "there is no {} and no {}; write one as agent.example.toml shows, name another with --config, or join a hub: rackside-agent join URL CODE",
                USUAL[0], USUAL[1]
            ),
            Self::Start(error) => error.fmt(f),
            Self::Join(error) => write!(f, "not joined: {error}"),
            Self::Status(error) => error.fmt(f),
            Self::Answer(error) => write!(f, "the agent's answer is no JSON: {error}"),
            Self::Output(error) => write!(f, "cannot write the result: {error}"),
        }
    }
}

impl Failure {
    const fn code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Config(_)
            | Self::NoFile
            | Self::Join(JoinError::Code(_) | JoinError::Url(_))
            | Self::Start(app::StartError::Password { .. }) => MISUSE,
            Self::Start(_) | Self::Join(_) | Self::Status(_) | Self::Answer(_) | Self::Output(_) => 1,
        }
    }
}

/// Does what the arguments say.
pub fn main(arguments: Parser, out: &mut impl Write) -> ExitCode {
    let done = parse(arguments).map_err(Failure::Usage).and_then(|command| execute(command, out));
    match done {
        Ok(code) => code,
        // Whoever read it (`| head`) had enough; that is no failure.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            // Nowhere to complain if standard error is gone.
            let _ = writeln!(std::io::stderr(), "rackside-agent: {failure}");
            failure.code().into()
        }
    }
}

fn execute(command: Command, out: &mut impl Write) -> Result<ExitCode, Failure> {
    match command {
        Command::Version => writeln!(out, "rackside-agent {VERSION}").map_err(Failure::Output)?,
        Command::Help => write!(out, "{HELP}").map_err(Failure::Output)?,
        Command::Run { config } => {
            let mut file = file(config)?;
            logger::start(log::LevelFilter::Info);
            join::start::at_start(&file).map_err(Failure::Config)?;
            let config = file.read().map_err(Failure::Config)?;
            logger::start(config.level);
            app::run(config, file).map_err(Failure::Start)?;
        }
        Command::Check { config } => {
            logger::start(log::LevelFilter::Off);
            let mut file = file(config)?;
            let checked = file.read().map_err(Failure::Config)?;
            let missing = check::check(&checked, &file, out).map_err(Failure::Output)?;
            return Ok(if missing { ExitCode::from(1) } else { ExitCode::SUCCESS });
        }
        Command::Dark { config } => {
            logger::start(log::LevelFilter::Off);
            let config = file(config)?.read().map_err(Failure::Config)?;
            let faults = smol::block_on(Panel::dark(&config.panel));
            for fault in &faults {
                writeln!(out, "{fault}").map_err(Failure::Output)?;
            }
            return Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        Command::Status { config, json } => return status(config, json, out),
        Command::Join { url, code, config, state } => {
            logger::start(log::LevelFilter::Off);
            let file = config.map(ConfigFile::new).or_else(|| ConfigFile::usual(Path::new("/")));
            let proxy = file.as_ref().map(ConfigFile::proxy).transpose().map_err(Failure::Config)?.flatten();
            let configured = match file {
                Some(file) if state.is_none() => file.state_directory().map_err(Failure::Config)?,
                _ => state::directory(state.as_deref()),
            };
            let said = join::start::by_hand(&Store::new(configured), &url, &code, proxy, out);
            said.map_err(Failure::Join)?.map_err(Failure::Output)?;
        }
        Command::Once { config, json } => {
            logger::start(log::LevelFilter::Warn);
            let config = match config {
                Some(path) => Some(Config::read(&path).map_err(Failure::Config)?),
                // It needs none, and takes one that is there.
                None => ConfigFile::usual(Path::new("/")).and_then(|mut file| file.read().ok()),
            };
            once::once(config.as_ref(), json, out).map_err(Failure::Output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the agent of the file that was named, or of the usual one; where that cannot be read, the only agent there is.
fn status(named: Option<PathBuf>, json: bool, out: &mut impl Write) -> Result<ExitCode, Failure> {
    logger::start(log::LevelFilter::Off);
    let name = match named {
        Some(path) => Some(Config::read(&path).map_err(Failure::Config)?.name),
        None => {
            ConfigFile::usual(Path::new("/")).and_then(|mut file| file.read().ok()).map(|config| config.name)
        }
    };
    let answer = status::ask(name.as_ref()).map_err(Failure::Status)?;
    let value = serde_json::from_str(&answer).map_err(Failure::Answer)?;
    let (table, is_well) = status::table::table(&value);
    out.write_all(if json { answer.as_bytes() } else { table.as_bytes() }).map_err(Failure::Output)?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(UNWELL) })
}

fn parse(mut arguments: Parser) -> Result<Command, lexopt::Error> {
    let mut verb: Option<String> = None;
    let (mut words, mut state): (Vec<String>, Option<PathBuf>) = (Vec::new(), None);
    let mut config: Option<PathBuf> = None;
    let mut json = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Short('c') | Arg::Long("config") => config = Some(arguments.value()?.parse()?),
            Arg::Long("json") => json = true,
            Arg::Long("state") => state = Some(arguments.value()?.parse()?),
            Arg::Value(word) if verb.is_none() => verb = Some(word.string()?),
            // A code in groups, with spaces between them, is one code.
            Arg::Value(word) if verb.as_deref() == Some("join") => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    if state.is_some() && verb.as_deref() != Some("join") {
        return Err("--state belongs to join".into());
    }
    match verb.as_deref() {
        Some("run" | "check" | "dark" | "join") if json => Err("--json belongs to once and status".into()),
        Some("join") => match words.split_first() {
            Some((url, code)) if !code.is_empty() => {
                Ok(Command::Join { url: url.clone(), code: code.join(" "), config, state })
            }
            _ => Err("join wants the address of the hub and the code that it gave out: rackside-agent join URL CODE".into()),
        },
        Some("once") => Ok(Command::Once { config, json }),
        Some("status") => Ok(Command::Status { config, json }),
        Some("run") => Ok(Command::Run { config }),
        Some("check") => Ok(Command::Check { config }),
        Some("dark") => Ok(Command::Dark { config }),
        Some(other) => Err(format!("there is no command {other:?}; {COMMANDS}").into()),
        None => Err(format!("a command is missing; {COMMANDS}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Command, String> {
        parse(Parser::from_args(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_take_their_options_in_any_order() {
        let config = Some(PathBuf::from("a.toml"));
        assert_eq!(parsed(&["run", "--config", "a.toml"]), Ok(Command::Run { config: config.clone() }));
        assert_eq!(parsed(&["--config=a.toml", "check"]), Ok(Command::Check { config: config.clone() }));
        assert_eq!(parsed(&["once", "--json"]), Ok(Command::Once { config: None, json: true }));
        assert_eq!(parsed(&["status", "--json"]), Ok(Command::Status { config: None, json: true }));
        assert_eq!(parsed(&["run"]), Ok(Command::Run { config: None }));
        assert_eq!(parsed(&["dark", "-c", "a.toml"]), Ok(Command::Dark { config: config.clone() }));
        let (url, code) = ("http://hub".to_owned(), "000G 40R4".to_owned());
        let state = Some(PathBuf::from("/s"));
        let join = Command::Join { url, code, config: config.clone(), state };
        assert_eq!(
            parsed(&["join", "http://hub", "000G", "40R4", "--state", "/s", "-c", "a.toml"]),
            Ok(join)
        );
        assert_eq!(parsed(&["--version"]), Ok(Command::Version));
        assert_eq!(parsed(&["run", "-h"]), Ok(Command::Help));
    }

    #[test]
    fn a_wrong_line_says_what_there_is() {
        for (words, message) in [
            (&["fly"][..], "there is no command \"fly\"; there are run, check, status, once, dark and join"),
            (&[], "a command is missing; there are run, check, status, once, dark and join"),
            (&["run", "--json"], "--json belongs to once and status"),
            (&["run", "--conf", "x"], "invalid option '--conf'"),
            (&["run", "fast"], "unexpected argument \"fast\""),
            (&["run", "--config"], "missing argument for option '--config'"),
            (&["run", "--state", "x"], "--state belongs to join"),
            (
                &["join", "http://hub"],
                "join wants the address of the hub and the code that it gave out: rackside-agent join URL CODE",
            ),
        ] {
            assert_eq!(parsed(words), Err(message.to_owned()));
        }
    }
}
