//! The command line, as words to a [`Command`]. Does nothing itself.

mod access;
mod command;
mod configuration;
mod fleet;
mod identity;

pub use access::{AccessCommand, TokenWanted};
pub use configuration::ConfigurationCommand;
pub(crate) use fleet::WAIT;
pub use fleet::{FleetCommand, Pace};
pub use identity::{IdentityCommand, JoinWanted};

use crate::command::Wanted;
use crate::listener::is_user_name;
use lexopt::prelude::*;
use rackside_proto::AgentName;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// What `--help` prints.
pub const HELP: &str = "\
rackside-hub takes in the telemetry of many sites, keeps the fleet, serves its metrics and its page.

Usage:
  rackside-hub run [--config FILE]    run; without a file: MQTT on 127.0.0.1:1883, web on 127.0.0.1:8080
  rackside-hub check --config FILE    say what would run, and what is wrong
  rackside-hub backup DIR [--config FILE]
                                      copy the history to DIR, while the hub runs or not
  rackside-hub salvage [--config FILE]
                                      save what can be read of a damaged history, while the hub does not run
  rackside-hub rules check FILE...    say what is wrong in files of Prometheus rules
  rackside-hub rules test FILE...     run files of unit tests of rules, which are promtool's
  rackside-hub rules defaults DIR     write the rules that come with the hub to DIR, as files to be changed
  rackside-hub notify test --config FILE (--receiver NAME | --route NAME)
                                      send a test message, and say what came of it
  rackside-hub user add NAME --role ROLE [--site ID]... [--tag TAG]... [--config FILE]
  rackside-hub user add NAME --subject SUBJECT [--config FILE]
                                      somebody whom the provider of [web.oidc] vouches for
  rackside-hub user change NAME --role ROLE [--site ID]... [--tag TAG]... [--config FILE]
  rackside-hub user list | remove NAME | password NAME [--config FILE]
                                      who may log in; ROLE is viewer, operator or admin; asks for the password, or
                                      takes the first line of stdin
  rackside-hub user passwords SPAN [--config FILE]
                                      have passwords taken for a while, where a provider stands for all
  rackside-hub token create NAME [--scope SCOPE]... [--site ID]... [--tag TAG]... [--user NAME] [--expires 365d | never]
                             [--config FILE]
  rackside-hub token list | revoke NAME [--config FILE]
                                      what programs show instead of a password; SCOPE is read, metrics, act or manage
  rackside-hub join SITE/APPLIANCE [--url URL] [--file FILE] [--config FILE]
                                      a code with which a box becomes this appliance, once and within a day; FILE is to be
                                      put on its card's boot partition as rackside.toml
  rackside-hub identity list | revoke SITE/APPLIANCE | retire SITE/APPLIANCE [--config FILE]
                                      who has joined; take a certificate away, at once; or take the appliance out of service
  rackside-hub configuration list | show SITE/APPLIANCE | set SITE/APPLIANCE FILE [--config FILE]
                                      what boxes that joined are to run on, and what became of it
  rackside-hub fleet diff [SELECTION] | show SITE/APPLIANCE [--config FILE]
                                      what the files of [fleet] would change, for whom; what one appliance would get
  rackside-hub fleet roll-out [--to SELECTION] [--stages 1,10%,100%] [--wait 10m] [--on-air] [--config FILE]
                                      send it, stage by stage, up to the first failure; SELECTION is SITE, SITE/APPLIANCE
                                      or tag:NAME, or several with commas; without --on-air, never to a site on air
  rackside-hub fleet status | stop | back [--stages ...] [--wait ...] [--on-air] [--config FILE]
                                      how the newest roll-out stands; end it; take it back
  rackside-hub broker-files [DIR] [--name NAME]... [--config FILE]
                                      write what Mosquitto needs to let in who has joined and nobody else; NAME is a name
                                      or an address that boxes find the broker at, for its certificate
  rackside-hub command SITE/APPLIANCE identify [SECONDS] | probe [NAME] | log | mute MINUTES [--config FILE]
                                      have a box that has joined flash its LEDs, run a probe or all of them now, tell the last
                                      lines of its log, mute its local alarm; asks the hub that runs on this machine
  rackside-hub decode [--topic T]     a message's body on stdin, JSON on stdout; T is a topic or its last
                                      word (presence, birth, data, event, ack, verdict, command, reply, still,
                                      config), data unless given
  rackside-hub hash-password NAME     a line for the listener's users file on stdout; asks for the password, or
                                      takes the first line of stdin
  rackside-hub --version
  rackside-hub --help

SIGTERM and Ctrl-C stop it. SIGHUP reads configuration and users again: log level and users take effect at once.
";

/// For whoever wrote another word.
const COMMANDS: &str = "run, check, backup, salvage, rules, notify, user, token, join, identity, configuration, command, fleet, broker-files, decode and hash-password";

/// And for whoever wrote another one after `rules`.
const RULES: &str = "rules check, rules test and rules defaults";

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run the hub.
    Run {
        /// The configuration; defaults without one.
        config: Option<PathBuf>,
    },
    /// Look at a configuration.
    Check {
        /// The configuration.
        config: PathBuf,
    },
    /// Copy the history.
    Backup {
        /// The directory that the copy goes to.
        to: PathBuf,
        /// The configuration of the hub whose history it is; defaults without one.
        config: Option<PathBuf>,
    },
    /// Write files for Mosquitto.
    BrokerFiles {
        /// The directory that they go to; the configured one without it.
        to: Option<PathBuf>,
        /// What boxes find the broker at; the configured names without one.
        names: Vec<String>,
        /// The configuration; there has to be one.
        config: Option<PathBuf>,
    },
    /// Save what can be read of a damaged history.
    Salvage {
        /// The configuration of the hub whose history it is; defaults without one.
        config: Option<PathBuf>,
    },
    /// Check files of rules.
    RulesCheck {
        /// The files; at least one.
        files: Vec<PathBuf>,
    },
    /// Run files of unit tests of rules.
    RulesTest {
        /// The files; at least one.
        files: Vec<PathBuf>,
    },
    /// Write the rules that come with the hub.
    RulesDefaults {
        /// The directory that they go to.
        to: PathBuf,
    },
    /// Send a test message.
    NotifyTest {
        /// The configuration.
        config: PathBuf,
        /// To whom.
        target: Target,
    },
    /// Do something about users and tokens.
    Access {
        /// What.
        what: AccessCommand,
        /// The configuration of the hub whose users they are; defaults without one.
        config: Option<PathBuf>,
    },
    /// Make a code with which a box joins.
    Join {
        /// For whom.
        wanted: JoinWanted,
        /// The configuration of the hub that it joins; defaults without one.
        config: Option<PathBuf>,
    },
    /// Do something about what appliances run on.
    Configuration {
        /// What.
        what: ConfigurationCommand,
        /// The configuration, which says where the data are; defaults without one.
        config: Option<PathBuf>,
    },
    /// Do something about who has joined.
    Identity {
        /// What.
        what: IdentityCommand,
        /// The configuration of the hub that they have joined; defaults without one.
        config: Option<PathBuf>,
    },
    /// Do something about the fleet's configurations.
    Fleet {
        /// What.
        what: FleetCommand,
        /// The configuration of the hub whose fleet it is; defaults without one.
        config: Option<PathBuf>,
    },
    /// Tell a box to do something.
    Command {
        /// Which one.
        name: AgentName,
        /// What.
        wanted: Wanted,
        /// The configuration of the hub that runs; defaults without one.
        config: Option<PathBuf>,
    },
    /// Decode one message.
    Decode {
        /// Its topic, or the last word of it.
        topic: String,
    },
    /// Make a line for the listener's users file.
    HashPassword {
        /// The user.
        name: String,
    },
    /// Print the version.
    Version,
    /// Print the help.
    Help,
}

/// Who gets a test message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This receiver.
    Receiver(String),
    /// Whoever this route would tell now.
    Route(String),
}

/// Words that are no command.
#[derive(Debug)]
pub enum CliError {
    /// An option that makes no sense there.
    Option(lexopt::Error),
    /// No such command.
    Command(String),
    /// A command without the option it needs.
    Needs(&'static str, &'static str),
    /// A name that no user can have.
    Name(String),
    /// A word that makes no sense where it stands.
    Word(String),
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(error) => write!(f, "{error}")?,
            Self::Command(word) => {
                let there_are = match word.split_once(' ') {
                    Some(("rules", _)) => RULES,
                    Some(("notify", _)) => "notify test",
                    Some(("user", _)) => access::USER,
                    Some(("token", _)) => access::TOKEN,
                    Some(("identity", _)) => identity::IDENTITY,
                    Some(("configuration", _)) => configuration::CONFIGURATION,
                    Some(("fleet", _)) => fleet::FLEET,
                    _ => COMMANDS,
                };
                write!(f, "no command {word:?}; there are {there_are}")?;
            }
            Self::Word(what) => f.write_str(what)?,
            Self::Needs(command, option) => write!(f, "{command} needs {option}")?,
            Self::Name(name) => write!(
                f,
                "{name:?} cannot be a user's name: 1 to 256 bytes without a colon, not beginning with #"
            )?,
        }
        f.write_str(" (rackside-hub --help tells more)")
    }
}

impl std::error::Error for CliError {}

impl From<lexopt::Error> for CliError {
    fn from(error: lexopt::Error) -> Self {
        Self::Option(error)
    }
}

/// Reads the words after the program's name.
pub fn parse(words: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Command, CliError> {
    let mut words = lexopt::Parser::from_args(words.into_iter().map(Into::into));
    let command = match words.next()? {
        None | Some(Short('h') | Long("help")) => return Ok(Command::Help),
        Some(Short('V') | Long("version")) => return Ok(Command::Version),
        Some(Value(word)) => word.to_string_lossy().into_owned(),
        Some(other) => return Err(other.unexpected().into()),
    };
    if command == "rules" {
        return rules(&mut words);
    }
    if command == "notify" {
        return notify(&mut words);
    }
    if matches!(command.as_str(), "user" | "token") {
        return access::parse(&command, &mut words);
    }
    match command.as_str() {
        "join" => return identity::join(&mut words),
        "identity" => return identity::parse(&mut words),
        "configuration" => return configuration::parse(&mut words),
        "fleet" => return fleet::parse(&mut words),
        "broker-files" => return identity::broker_files(&mut words),
        "command" => return command::parse(&mut words),
        _ => {}
    }
    if !matches!(command.as_str(), "run" | "check" | "backup" | "salvage" | "decode" | "hash-password") {
        return Err(CliError::Command(command));
    }
    let (mut config, mut topic, mut name, mut to) = (None, None, None, None);
    while let Some(word) = words.next()? {
        match word {
            Short('c') | Long("config") if !matches!(command.as_str(), "decode" | "hash-password") => {
                config = Some(PathBuf::from(words.value()?));
            }
            Long("topic") if command == "decode" => topic = Some(words.value()?.string()?),
            Value(word) if command == "backup" && to.is_none() => to = Some(PathBuf::from(word)),
            Value(word) if command == "hash-password" && name.is_none() => name = Some(word.string()?),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    match command.as_str() {
        "run" => Ok(Command::Run { config }),
        "backup" => {
            let to = to.ok_or(CliError::Needs("backup", "the DIR that the copy goes to"))?;
            Ok(Command::Backup { to, config })
        }
        "salvage" => Ok(Command::Salvage { config }),
        "check" => {
            config.map(|config| Command::Check { config }).ok_or(CliError::Needs("check", "--config FILE"))
        }
        "hash-password" => {
            let name = name.ok_or(CliError::Needs("hash-password", "the NAME of the user"))?;
            if is_user_name(&name) { Ok(Command::HashPassword { name }) } else { Err(CliError::Name(name)) }
        }
        _ => Ok(Command::Decode { topic: topic.unwrap_or_else(|| "data".to_owned()) }),
    }
}

/// What follows `notify`.
fn notify(words: &mut lexopt::Parser) -> Result<Command, CliError> {
    let (mut is_test, mut config, mut target) = (false, None, None);
    while let Some(word) = words.next()? {
        match word {
            Value(word) if !is_test && word == "test" => is_test = true,
            Value(word) if !is_test => {
                return Err(CliError::Command(format!("notify {}", word.to_string_lossy())));
            }
            Short('c') | Long("config") => config = Some(PathBuf::from(words.value()?)),
            Long("receiver") if target.is_none() => {
                target = Some(Target::Receiver(words.value()?.string()?));
            }
            Long("route") if target.is_none() => target = Some(Target::Route(words.value()?.string()?)),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    match (is_test, config, target) {
        (false, ..) => Err(CliError::Needs("notify", "the word test")),
        (_, None, _) => Err(CliError::Needs("notify test", "--config FILE")),
        (_, _, None) => Err(CliError::Needs("notify test", "--receiver NAME or --route NAME")),
        (_, Some(config), Some(target)) => Ok(Command::NotifyTest { config, target }),
    }
}

/// What follows `rules`.
fn rules(words: &mut lexopt::Parser) -> Result<Command, CliError> {
    let (mut what, mut files) = (None, Vec::new());
    while let Some(word) = words.next()? {
        match word {
            Value(word) if what.is_none() => match word.to_str() {
                Some("check" | "test" | "defaults") => what = word.into_string().ok(),
                _ => return Err(CliError::Command(format!("rules {}", word.to_string_lossy()))),
            },
            Value(file) if what.as_deref() != Some("defaults") || files.is_empty() => {
                files.push(PathBuf::from(file));
            }
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    match (what.as_deref(), files.is_empty()) {
        (None, _) => {
            Err(CliError::Needs("rules", "the word check or test and a FILE, or defaults and a DIR"))
        }
        (Some("check"), true) => Err(CliError::Needs("rules check", "a FILE of rules")),
        (Some("check"), false) => Ok(Command::RulesCheck { files }),
        (Some("test"), true) => Err(CliError::Needs("rules test", "a FILE of unit tests")),
        (Some("test"), false) => Ok(Command::RulesTest { files }),
        (Some(_), _) => {
            let to = files.pop().ok_or(CliError::Needs("rules defaults", "the DIR that the rules go to"))?;
            Ok(Command::RulesDefaults { to })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> Result<Command, String> {
        parse(words).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_are_read() {
        assert_eq!(said(&[]), Ok(Command::Help));
        assert_eq!(said(&["--version"]), Ok(Command::Version));
        assert_eq!(said(&["run"]), Ok(Command::Run { config: None }));
        assert_eq!(said(&["run", "--config=a"]), Ok(Command::Run { config: Some("a".into()) }));
        assert_eq!(said(&["check", "-c", "a"]), Ok(Command::Check { config: "a".into() }));
        let backup = Command::Backup { to: "b".into(), config: Some("a".into()) };
        assert_eq!(said(&["backup", "b", "-c", "a"]), Ok(backup));
        assert_eq!(said(&["salvage"]), Ok(Command::Salvage { config: None }));
        assert_eq!(said(&["decode"]), Ok(Command::Decode { topic: "data".to_owned() }));
        assert_eq!(said(&["decode", "--topic", "ack"]), Ok(Command::Decode { topic: "ack".to_owned() }));
    }

    #[test]
    fn rules_are_checked_and_tested_by_their_files() {
        let files = || vec!["a.yml".into(), "b.yml".into()];
        assert_eq!(said(&["rules", "check", "a.yml", "b.yml"]), Ok(Command::RulesCheck { files: files() }));
        assert_eq!(said(&["rules", "test", "a.yml", "b.yml"]), Ok(Command::RulesTest { files: files() }));
        assert_eq!(said(&["rules", "defaults", "a"]), Ok(Command::RulesDefaults { to: "a".into() }));
        assert_eq!(said(&["rules", "--help"]), Ok(Command::Help));
        for (words, line) in [
            (
                &["rules"][..],
                "rules needs the word check or test and a FILE, or defaults and a DIR (rackside-hub --help tells more)",
            ),
            (&["rules", "check"], "rules check needs a FILE of rules (rackside-hub --help tells more)"),
            (&["rules", "test"], "rules test needs a FILE of unit tests (rackside-hub --help tells more)"),
            (
                &["rules", "defaults"],
                "rules defaults needs the DIR that the rules go to (rackside-hub --help tells more)",
            ),
            (&["rules", "defaults", "a", "b"], "unexpected argument \"b\" (rackside-hub --help tells more)"),
            (
                &["rules", "a.yml"],
                "no command \"rules a.yml\"; there are rules check, rules test and rules defaults (rackside-hub --help tells more)",
            ),
        ] {
            assert_eq!(said(words), Err(line.to_owned()));
        }
    }

    #[test]
    fn a_test_message_is_for_a_receiver_or_a_route() {
        let test = |target| Ok(Command::NotifyTest { config: "a".into(), target });
        let words = |last: [&'static str; 2]| [&["notify", "test", "-c", "a"][..], &last].concat();
        assert_eq!(said(&words(["--receiver", "crew"])), test(Target::Receiver("crew".into())));
        assert_eq!(said(&words(["--route", "all"])), test(Target::Route("all".into())));
        for (words, line) in [
            (&["notify"][..], "notify needs the word test"),
            (&["notify", "send"], "no command \"notify send\"; there are notify test"),
            (&["notify", "test", "-c", "a"], "notify test needs --receiver NAME or --route NAME"),
            (&["notify", "test", "--route", "all"], "notify test needs --config FILE"),
        ] {
            assert_eq!(said(words), Err(format!("{line} (rackside-hub --help tells more)")));
        }
    }

    #[test]
    fn a_password_is_no_word_of_the_command_line() {
        assert_eq!(said(&["hash-password", "arena"]), Ok(Command::HashPassword { name: "arena".into() }));
        assert!(said(&["hash-password", "arena", "--password", "x"]).is_err());
    }

    #[test]
    fn mistakes_are_told_in_one_line() {
        let line = |words: &[&str]| said(words).expect_err("a mistake");
        assert_eq!(
            line(&["rum"]),
            "no command \"rum\"; there are run, check, backup, salvage, rules, notify, user, token, join, identity, configuration, command, fleet, broker-files, decode and hash-password (rackside-hub --help tells more)"
        );
        assert_eq!(
            line(&["hash-password"]),
            "hash-password needs the NAME of the user (rackside-hub --help tells more)"
        );
        assert!(line(&["hash-password", "a:b"]).starts_with("\"a:b\" cannot be a user's name: "));
        assert!(line(&["hash-password", "a", "secret"]).starts_with("unexpected argument \"secret\""));
        assert_eq!(
            line(&["backup"]),
            "backup needs the DIR that the copy goes to (rackside-hub --help tells more)"
        );
        assert!(line(&["backup", "a", "b"]).starts_with("unexpected argument \"b\""));
        assert_eq!(line(&["check"]), "check needs --config FILE (rackside-hub --help tells more)");
        assert_eq!(
            line(&["run", "--topic", "x"]),
            "invalid option '--topic' (rackside-hub --help tells more)"
        );
    }
}
