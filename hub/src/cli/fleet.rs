//! What follows `fleet`.

use super::{CliError, Command};
use lexopt::prelude::*;
use rackside_config::Span;
use rackside_proto::AgentName;
use rackside_rollout::{Selection, Stages};
use std::path::PathBuf;

/// For whoever wrote another word after `fleet`.
pub(super) const FLEET: &str =
    "fleet show, fleet diff, fleet roll-out, fleet status, fleet stop and fleet back";
/// How long an appliance has to be well, unless somebody says otherwise: a new alert has its `for` behind it by then.
pub(crate) const WAIT: Span = Span::seconds(600);

/// What is to be done about the fleet's configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetCommand {
    /// Show what an appliance would get.
    Show(AgentName),
    /// Show what a roll-out would change.
    Diff(Selection),
    /// Begin one.
    RollOut(Selection, Pace),
    /// Show how the newest one stands.
    Status,
    /// Stop the one that is running.
    Stop,
    /// Take back the newest one.
    Back(Pace),
}

/// How fast it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// How large its steps are; as usual without.
    pub stages: Option<Stages>,
    /// How long an appliance has to be well before the next step.
    pub wait: Span,
    /// Whether sites that are on air are changed too.
    pub on_air_too: bool,
}

/// Reads what follows `fleet`.
pub(super) fn parse(words: &mut lexopt::Parser) -> Result<Command, CliError> {
    let (mut verb, mut whom, mut config): (Option<String>, Option<String>, _) = (None, None, None);
    let mut pace = Pace { stages: None, wait: WAIT, on_air_too: false };
    while let Some(word) = words.next()? {
        let is = |known: &[&str]| verb.as_deref().is_some_and(|verb| known.contains(&verb));
        match word {
            Value(word) if verb.is_none() => verb = Some(word.string()?),
            Value(word) if whom.is_none() && is(&["show", "diff"]) => whom = Some(word.string()?),
            Long("to") if whom.is_none() && is(&["roll-out", "diff"]) => {
                whom = Some(words.value()?.string()?);
            }
            Long("stages") if is(&["roll-out", "back"]) => {
                let stages =
                    words.value()?.string()?.parse().map_err(|fault| CliError::Word(format!("{fault}")))?;
                pace.stages = Some(stages);
            }
            Long("wait") if is(&["roll-out", "back"]) => {
                let text = words.value()?.string()?;
                pace.wait = text.parse().map_err(|error| CliError::Word(format!("--wait: {error}")))?;
            }
            Long("on-air") if is(&["roll-out", "back"]) => pace.on_air_too = true,
            Short('c') | Long("config") => config = Some(PathBuf::from(words.value()?)),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    let selection = |text: Option<&String>| match text {
        Some(text) => text.parse::<Selection>().map_err(|fault| CliError::Word(fault.to_string())),
        None => Ok(Selection::default()),
    };
    let what = match verb.as_deref() {
        Some("show") => {
            let whom = whom.ok_or(CliError::Needs("fleet show", "SITE/APPLIANCE"))?;
            FleetCommand::Show(super::identity::name(&whom)?)
        }
        Some("diff") => FleetCommand::Diff(selection(whom.as_ref())?),
        Some("roll-out") => FleetCommand::RollOut(selection(whom.as_ref())?, pace),
        Some("status") => FleetCommand::Status,
        Some("stop") => FleetCommand::Stop,
        Some("back") => FleetCommand::Back(pace),
        Some(other) => return Err(CliError::Command(format!("fleet {other}"))),
        None => return Err(CliError::Needs("fleet", FLEET)),
    };
    Ok(Command::Fleet { what, config })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> Result<FleetCommand, String> {
        match super::super::parse([&["fleet"][..], words].concat()) {
            Ok(Command::Fleet { what, .. }) => Ok(what),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_roll_out_has_a_selection_and_a_pace() {
        let usual = Pace { stages: None, wait: WAIT, on_air_too: false };
        assert_eq!(said(&["roll-out"]), Ok(FleetCommand::RollOut(Selection::default(), usual.clone())));
        let pace = Pace {
            stages: Some("1,50%,100%".parse().expect("stages")),
            wait: Span::seconds(300),
            on_air_too: true,
        };
        let words = ["roll-out", "--to", "tag:city", "--stages", "1,50%,100%", "--wait=5m", "--on-air"];
        let selection = "tag:city".parse().expect("a selection");
        assert_eq!(said(&words), Ok(FleetCommand::RollOut(selection, pace)));
        assert_eq!(said(&["back"]), Ok(FleetCommand::Back(usual)));
        assert_eq!(said(&["diff"]), Ok(FleetCommand::Diff(Selection::default())));
        assert_eq!(said(&["diff", "hall"]), Ok(FleetCommand::Diff("hall".parse().expect("a selection"))));
        let rack = AgentName::new("hall", "rack-1").expect("a name");
        assert_eq!(said(&["show", "hall/rack-1"]), Ok(FleetCommand::Show(rack)));
        assert_eq!((said(&["status"]), said(&["stop"])), (Ok(FleetCommand::Status), Ok(FleetCommand::Stop)));
    }

    #[test]
    fn mistakes_are_told_in_one_line() {
        for (words, line) in [
            (
                &[][..],
                "fleet needs fleet show, fleet diff, fleet roll-out, fleet status, fleet stop and fleet back",
            ),
            (
                &["rollout"],
                "no command \"fleet rollout\"; there are fleet show, fleet diff, fleet roll-out, fleet status, fleet stop and fleet back",
            ),
            (&["show"], "fleet show needs SITE/APPLIANCE"),
            (
                &["show", "hall"],
                "\"hall\" is no appliance; write SITE/APPLIANCE, for example arena-north/rack-1",
            ),
            (&["status", "hall"], "unexpected argument \"hall\""),
            (&["diff", "--wait", "5m"], "invalid option '--wait'"),
            (
                &["roll-out", "--wait", "5"],
                "--wait: \"5\" has no unit; write for example \"10s\", \"500ms\" or \"2m\"",
            ),
            (
                &["roll-out", "--stages", "1,10%"],
                "stages \"1,10%\": the last one has to be 100%; who is meant at all is said by the selection; write for example 1,10%,100%",
            ),
            (
                &["roll-out", "--to", "Hall"],
                "\"Hall\" selects nothing; write a site (arena-north), an appliance (arena-north/rack-1) or tag:NAME, or several with commas",
            ),
        ] {
            assert_eq!(said(words), Err(format!("{line} (rackside-hub --help tells more)")));
        }
    }
}
