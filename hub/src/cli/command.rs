//! What follows `command`.

use super::{CliError, Command, identity};
use crate::command::Wanted;
use lexopt::prelude::*;
use rackside_proto::{IDENTIFY_MOST, MUTE_MOST};
use std::path::PathBuf;

/// For whoever wrote another word there.
const WORDS: &str = "identify [SECONDS], probe [NAME], log or mute MINUTES";

/// Reads it.
pub(super) fn parse(words: &mut lexopt::Parser) -> Result<Command, CliError> {
    let (mut name, mut rest, mut config) = (None, Vec::new(), None::<PathBuf>);
    while let Some(word) = words.next()? {
        match word {
            Short('c') | Long("config") => config = Some(PathBuf::from(words.value()?)),
            Value(word) if name.is_none() => name = Some(identity::name(&word.string()?)?),
            Value(word) if rest.len() < 2 => rest.push(word.string()?),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    let name = name.ok_or(CliError::Needs("command", "SITE/APPLIANCE, whom it is for"))?;
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let number = |text: &str, most: u32| {
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| CliError::Word(format!("{text:?} is no number from 1 to {most}")))
    };
    let wanted = match rest[..] {
        ["identify"] => Wanted::Identify { seconds: 30 },
        ["identify", seconds] => Wanted::Identify { seconds: number(seconds, IDENTIFY_MOST)? },
        ["probe"] => Wanted::Probe { probe: None },
        ["probe", probe] => Wanted::Probe { probe: Some(probe.to_owned()) },
        ["log"] => Wanted::Log {},
        ["mute"] => return Err(CliError::Needs("command mute", "MINUTES")),
        ["mute", minutes] => Wanted::Mute { seconds: number(minutes, MUTE_MOST / 60)? * 60 },
        [] => return Err(CliError::Needs("command", WORDS)),
        _ => {
            return Err(CliError::Word(format!(
                "no command {:?} for an appliance; there are {WORDS}",
                rest.join(" ")
            )));
        }
    };
    Ok(Command::Command { name, wanted, config })
}

#[cfg(test)]
mod tests {
    use super::super::{Command, parse};
    use super::*;
    use rackside_proto::AgentName;

    fn said(words: &[&str]) -> Result<Command, String> {
        parse(words).map_err(|error| error.to_string())
    }

    #[test]
    fn an_appliance_is_told_to_do_something() {
        let name = AgentName::new("hall", "rack-1").expect("a name");
        for (words, wanted) in [
            (&["identify"][..], Wanted::Identify { seconds: 30 }),
            (&["identify", "5"], Wanted::Identify { seconds: 5 }),
            (&["probe"], Wanted::Probe { probe: None }),
            (&["probe", "encoder"], Wanted::Probe { probe: Some("encoder".to_owned()) }),
            (&["log"], Wanted::Log {}),
            (&["mute", "15"], Wanted::Mute { seconds: 900 }),
        ] {
            let words = [&["command", "hall/rack-1"], words, &["-c", "a"]].concat();
            let command = Command::Command { name: name.clone(), wanted, config: Some("a".into()) };
            assert_eq!(said(&words), Ok(command));
        }
    }

    #[test]
    fn mistakes_are_told_in_one_line() {
        for (words, line) in [
            (&["command"][..], "command needs SITE/APPLIANCE, whom it is for"),
            (
                &["command", "hall/rack-1"],
                "command needs identify [SECONDS], probe [NAME], log or mute MINUTES",
            ),
            (
                &["command", "hall/rack-1", "reboot"],
                "no command \"reboot\" for an appliance; there are identify [SECONDS], probe [NAME], log or mute MINUTES",
            ),
            (&["command", "hall/rack-1", "mute"], "command mute needs MINUTES"),
            (&["command", "hall/rack-1", "mute", "0"], "\"0\" is no number from 1 to 1440"),
            (&["command", "hall/rack-1", "log", "a", "b"], "unexpected argument \"b\""),
        ] {
            assert_eq!(said(words), Err(format!("{line} (rackside-hub --help tells more)")));
        }
    }
}
