//! What follows `configuration`.

use super::identity::name;
use super::{CliError, Command};
use lexopt::prelude::*;
use rackside_proto::AgentName;
use std::path::PathBuf;

/// For whoever wrote another word after `configuration`.
pub(super) const CONFIGURATION: &str = "configuration list, configuration show and configuration set";

/// What is to be done about what appliances run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigurationCommand {
    /// Show how all stand.
    List,
    /// Show the text that one is to run on.
    Show(AgentName),
    /// Have one run on the text in a file.
    Set(AgentName, PathBuf),
}

/// Reads what follows `configuration`.
pub(super) fn parse(words: &mut lexopt::Parser) -> Result<Command, CliError> {
    let (mut verb, mut of, mut file, mut config) = (None, None, None, None);
    while let Some(word) = words.next()? {
        match word {
            Value(word) if verb.is_none() => verb = Some(word.string()?),
            Value(word) if of.is_none() && verb.as_deref() != Some("list") => {
                of = Some(name(&word.string()?)?);
            }
            Value(word) if file.is_none() && verb.as_deref() == Some("set") => {
                file = Some(PathBuf::from(word));
            }
            Short('c') | Long("config") => config = Some(PathBuf::from(words.value()?)),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    let of = |what| of.ok_or(CliError::Needs(what, "SITE/APPLIANCE"));
    let what = match verb.as_deref() {
        Some("list") => ConfigurationCommand::List,
        Some("show") => ConfigurationCommand::Show(of("configuration show")?),
        Some("set") => {
            let name = of("configuration set")?;
            let file =
                file.ok_or(CliError::Needs("configuration set", "a FILE of TOML after SITE/APPLIANCE"))?;
            ConfigurationCommand::Set(name, file)
        }
        Some(other) => return Err(CliError::Command(format!("configuration {other}"))),
        None => return Err(CliError::Needs("configuration", CONFIGURATION)),
    };
    Ok(Command::Configuration { what, config })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> Result<Command, String> {
        super::super::parse(words).map_err(|error| error.to_string())
    }

    #[test]
    fn configurations_are_listed_shown_and_set() {
        let command = |what| Ok(Command::Configuration { what, config: Some("a".into()) });
        let rack = || AgentName::new("hall", "rack-1").expect("a name");
        assert_eq!(said(&["configuration", "list", "-c", "a"]), command(ConfigurationCommand::List));
        let words = ["configuration", "show", "hall/rack-1", "-c", "a"];
        assert_eq!(said(&words), command(ConfigurationCommand::Show(rack())));
        let words = ["configuration", "set", "-c", "a", "hall/rack-1", "hall.toml"];
        assert_eq!(said(&words), command(ConfigurationCommand::Set(rack(), "hall.toml".into())));
    }

    #[test]
    fn mistakes_are_told_in_one_line() {
        for (words, line) in [
            (
                &["configuration"][..],
                "configuration needs configuration list, configuration show and configuration set",
            ),
            (&["configuration", "show"], "configuration show needs SITE/APPLIANCE"),
            (
                &["configuration", "set", "hall/rack-1"],
                "configuration set needs a FILE of TOML after SITE/APPLIANCE",
            ),
            (&["configuration", "list", "hall/rack-1"], "unexpected argument \"hall/rack-1\""),
            (
                &["configuration", "drop"],
                "no command \"configuration drop\"; there are configuration list, configuration show and configuration set",
            ),
        ] {
            assert_eq!(said(words), Err(format!("{line} (rackside-hub --help tells more)")));
        }
    }
}
