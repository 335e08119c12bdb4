//! What follows `join`, `identity` and `broker-files`.

use super::{CliError, Command};
use lexopt::prelude::*;
use rackside_proto::AgentName;
use std::path::PathBuf;

/// For whoever wrote another word after `identity`.
pub(super) const IDENTITY: &str = "identity list, identity revoke and identity retire";

/// A code that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinWanted {
    /// For which appliance.
    pub name: AgentName,
    /// Where boxes reach the hub's pages; as configured without one.
    pub url: Option<String>,
    /// Where the file for the card goes.
    pub file: Option<PathBuf>,
}

/// What is to be done about who has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityCommand {
    /// Show them all.
    List,
    /// Take a certificate away.
    Revoke(AgentName),
    /// Take an appliance out of service.
    Retire(AgentName),
}

pub(super) fn name(text: &str) -> Result<AgentName, CliError> {
    let wrong = || {
        CliError::Word(format!(
            "{text:?} is no appliance; write SITE/APPLIANCE, for example arena-north/rack-1"
        ))
    };
    let (site, appliance) = text.split_once('/').ok_or_else(wrong)?;
    AgentName::new(site, appliance).map_err(|_| wrong())
}

/// Reads what follows `join`.
pub(super) fn join(words: &mut lexopt::Parser) -> Result<Command, CliError> {
    let (mut wanted, mut url, mut file, mut config) = (None, None, None, None);
    while let Some(word) = words.next()? {
        match word {
            Value(word) if wanted.is_none() => wanted = Some(name(&word.string()?)?),
            Short('c') | Long("config") => config = Some(PathBuf::from(words.value()?)),
            Long("url") => url = Some(words.value()?.string()?),
            Long("file") => file = Some(PathBuf::from(words.value()?)),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    let name = wanted.ok_or(CliError::Needs("join", "SITE/APPLIANCE, the name that the box is to have"))?;
    Ok(Command::Join { wanted: JoinWanted { name, url, file }, config })
}

/// Reads what follows `identity`.
pub(super) fn parse(words: &mut lexopt::Parser) -> Result<Command, CliError> {
    let (mut verb, mut of, mut config) = (None, None, None);
    while let Some(word) = words.next()? {
        match word {
            Value(word) if verb.is_none() => verb = Some(word.string()?),
            Value(word) if of.is_none() && verb.as_deref() != Some("list") => {
                of = Some(name(&word.string()?)?);
            }
            Short('c') | Long("config") => config = Some(PathBuf::from(words.value()?)),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    let of = |what| of.ok_or(CliError::Needs(what, "SITE/APPLIANCE"));
    let what = match verb.as_deref() {
        Some("list") => IdentityCommand::List,
        Some("revoke") => IdentityCommand::Revoke(of("identity revoke")?),
        Some("retire") => IdentityCommand::Retire(of("identity retire")?),
        Some(other) => return Err(CliError::Command(format!("identity {other}"))),
        None => return Err(CliError::Needs("identity", IDENTITY)),
    };
    Ok(Command::Identity { what, config })
}

/// Reads what follows `broker-files`.
pub(super) fn broker_files(words: &mut lexopt::Parser) -> Result<Command, CliError> {
    let (mut to, mut names, mut config) = (None, Vec::new(), None);
    while let Some(word) = words.next()? {
        match word {
            Value(word) if to.is_none() => to = Some(PathBuf::from(word)),
            Long("name") => names.push(words.value()?.string()?),
            Short('c') | Long("config") => config = Some(PathBuf::from(words.value()?)),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::BrokerFiles { to, names, config })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> Result<Command, String> {
        super::super::parse(words).map_err(|error| error.to_string())
    }

    fn rack() -> AgentName {
        AgentName::new("hall", "rack-1").expect("a name")
    }

    #[test]
    fn a_code_is_for_one_appliance() {
        let wanted = JoinWanted {
            name: rack(),
            url: Some("https://hub.example.org".to_owned()),
            file: Some("rackside.toml".into()),
        };
        let words =
            ["join", "hall/rack-1", "--url", "https://hub.example.org", "--file=rackside.toml", "-c", "a"];
        assert_eq!(said(&words), Ok(Command::Join { wanted, config: Some("a".into()) }));
        let wanted = JoinWanted { name: rack(), url: None, file: None };
        assert_eq!(said(&["join", "hall/rack-1"]), Ok(Command::Join { wanted, config: None }));
    }

    #[test]
    fn identities_are_listed_revoked_and_retired() {
        let command = |what| Ok(Command::Identity { what, config: Some("a".into()) });
        assert_eq!(said(&["identity", "list", "-c", "a"]), command(IdentityCommand::List));
        let words = ["identity", "revoke", "hall/rack-1", "-c", "a"];
        assert_eq!(said(&words), command(IdentityCommand::Revoke(rack())));
        let words = ["identity", "retire", "-c", "a", "hall/rack-1"];
        assert_eq!(said(&words), command(IdentityCommand::Retire(rack())));
    }

    #[test]
    fn files_of_a_broker_go_to_one_directory_for_many_names() {
        let names = vec!["broker.example.org".to_owned(), "192.0.2.7".to_owned()];
        let words = ["broker-files", "/tmp/files", "--name", &names[0], "--name", &names[1], "-c", "a"];
        let wanted = |to, names, config| Ok(Command::BrokerFiles { to, names, config });
        assert_eq!(said(&words), wanted(Some("/tmp/files".into()), names, Some("a".into())));
        assert_eq!(said(&["broker-files"]), wanted(None, Vec::new(), None));
        assert!(said(&["broker-files", "a", "b"]).is_err_and(|line| line.starts_with("unexpected argument")));
    }

    #[test]
    fn mistakes_are_told_in_one_line() {
        for (words, line) in [
            (&["join"][..], "join needs SITE/APPLIANCE, the name that the box is to have"),
            (
                &["join", "hall"],
                "\"hall\" is no appliance; write SITE/APPLIANCE, for example arena-north/rack-1",
            ),
            (
                &["join", "Hall/x"],
                "\"Hall/x\" is no appliance; write SITE/APPLIANCE, for example arena-north/rack-1",
            ),
            (&["join", "hall/rack-1", "hall/rack-2"], "unexpected argument \"hall/rack-2\""),
            (&["identity"], "identity needs identity list, identity revoke and identity retire"),
            (&["identity", "revoke"], "identity revoke needs SITE/APPLIANCE"),
            (&["identity", "list", "hall/rack-1"], "unexpected argument \"hall/rack-1\""),
            (
                &["identity", "drop"],
                "no command \"identity drop\"; there are identity list, identity revoke and identity retire",
            ),
        ] {
            assert_eq!(said(words), Err(format!("{line} (rackside-hub --help tells more)")));
        }
    }
}
