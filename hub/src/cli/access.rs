//! What follows `user` and `token`.

use super::{CliError, Command};
use lexopt::prelude::*;
use rackside_access::{Reach, Right, Role, Scopes};
use rackside_config::Span;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

/// For whoever wrote another word after one of them.
pub(super) const USER: &str =
    "user add, user change, user list, user remove, user password and user passwords";
pub(super) const TOKEN: &str = "token create, token list and token revoke";

/// What is to be done about users and tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessCommand {
    /// Add a user; asks for the password.
    UserAdd(String, Role, Reach),
    /// Make somebody known by their subject at the provider, who says their role.
    UserIntroduce(String, String),
    /// Have passwords taken for a while, where a provider stands for all.
    UserPasswords(Span),
    /// Give a user another role and reach.
    UserChange(String, Role, Reach),
    /// List users.
    UserList,
    /// Remove a user.
    UserRemove(String),
    /// Give a user another password; asks for it.
    UserPassword(String),
    /// Make a token.
    TokenCreate(TokenWanted),
    /// List tokens.
    TokenList,
    /// End a token.
    TokenRevoke(String),
}

/// A token that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenWanted {
    /// What it is for.
    pub name: String,
    /// Whose it is to be.
    pub owner: Option<String>,
    /// What it is to be allowed.
    pub scopes: Scopes,
    /// Which sites it is to see.
    pub reach: Reach,
    /// For how long; for ever without one.
    pub lasts: Option<Span>,
}

/// A year, unless somebody says otherwise.
const LASTS: Span = Span::seconds(365 * 86_400);

#[derive(Default)]
struct Words {
    verb: Option<String>,
    name: Option<String>,
    config: Option<PathBuf>,
    role: Option<Role>,
    subject: Option<String>,
    owner: Option<String>,
    scopes: BTreeSet<Right>,
    sites: BTreeSet<String>,
    tags: BTreeSet<String>,
    lasts: Option<Span>,
    is_for_ever: bool,
}

fn read<T: FromStr>(text: &str) -> Result<T, CliError>
where
    T::Err: ToString,
{
    text.parse().map_err(|error: T::Err| CliError::Word(error.to_string()))
}

/// Reads what follows `noun`, which is `user` or `token`.
pub(super) fn parse(noun: &str, words: &mut lexopt::Parser) -> Result<Command, CliError> {
    let mut said = Words::default();
    while let Some(word) = words.next()? {
        let verb = said.verb.as_deref().unwrap_or_default();
        let (is_user, is_token) = (noun == "user" && matches!(verb, "add" | "change"), verb == "create");
        match word {
            Value(word) if said.verb.is_none() => said.verb = Some(word.string()?),
            Value(word) if said.name.is_none() && verb != "list" => said.name = Some(word.string()?),
            Short('c') | Long("config") => said.config = Some(PathBuf::from(words.value()?)),
            Long("role") if is_user => said.role = Some(read(&words.value()?.string()?)?),
            Long("subject") if noun == "user" && verb == "add" => {
                said.subject = Some(words.value()?.string()?);
            }
            Long("site") if is_user || is_token => drop(said.sites.insert(words.value()?.string()?)),
            Long("tag") if is_user || is_token => drop(said.tags.insert(words.value()?.string()?)),
            Long("scope") if is_token => drop(said.scopes.insert(read(&words.value()?.string()?)?)),
            Long("user") if is_token => said.owner = Some(words.value()?.string()?),
            Long("expires") if is_token => {
                let text = words.value()?.string()?;
                if text == "never" {
                    said.is_for_ever = true;
                } else {
                    said.lasts = Some(read(&text)?);
                }
            }
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    command(noun, said)
}

fn command(noun: &str, said: Words) -> Result<Command, CliError> {
    let verb = said.verb.unwrap_or_default();
    let whole = format!("{noun} {verb}");
    let reach = if said.sites.is_empty() && said.tags.is_empty() {
        Reach::All
    } else {
        Reach::Some { sites: said.sites, tags: said.tags }
    };
    let name = |what| said.name.ok_or(CliError::Needs(what, "a NAME"));
    let role = |what| said.role.ok_or(CliError::Needs(what, "--role viewer, operator or admin"));
    let what = match whole.as_str() {
        "user add" if said.subject.is_some() && (said.role.is_some() || reach != Reach::All) => {
            return Err(CliError::Word("whoever has a --subject gets role and sites from the provider; leave out --role, --site and --tag".to_owned()));
        }
        "user add" if let Some(subject) = said.subject => {
            AccessCommand::UserIntroduce(name("user add")?, subject)
        }
        "user passwords" => AccessCommand::UserPasswords(read(&name("user passwords")?)?),
        "user add" => AccessCommand::UserAdd(name("user add")?, role("user add")?, reach),
        "user change" => AccessCommand::UserChange(name("user change")?, role("user change")?, reach),
        "user list" => AccessCommand::UserList,
        "user remove" => AccessCommand::UserRemove(name("user remove")?),
        "user password" => AccessCommand::UserPassword(name("user password")?),
        "token create" => {
            let scopes = if said.scopes.is_empty() { [Right::See].into() } else { said.scopes };
            AccessCommand::TokenCreate(TokenWanted {
                name: name("token create")?,
                owner: said.owner,
                scopes: scopes.into_iter().collect(),
                reach,
                lasts: said.lasts.or((!said.is_for_ever).then_some(LASTS)),
            })
        }
        "token list" => AccessCommand::TokenList,
        "token revoke" => AccessCommand::TokenRevoke(name("token revoke")?),
        _ if verb.is_empty() => {
            let verbs = if noun == "user" { USER } else { TOKEN };
            let noun = if noun == "user" { "user" } else { "token" };
            return Err(CliError::Needs(noun, verbs));
        }
        _ => return Err(CliError::Command(whole)),
    };
    Ok(Command::Access { what, config: said.config })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> Result<AccessCommand, String> {
        match super::super::parse(words).map_err(|error| error.to_string())? {
            Command::Access { what, config } => {
                assert_eq!(config, Some("a".into()));
                Ok(what)
            }
            other => panic!("{other:?}"),
        }
    }

    fn some(site: &str, tag: &str) -> Reach {
        Reach::Some { sites: [site.to_owned()].into(), tags: [tag.to_owned()].into() }
    }

    #[test]
    fn users_are_added_listed_changed_and_removed() {
        let words = ["user", "add", "desk", "--role", "operator", "--site", "hall", "--tag=north", "-c", "a"];
        let desk = || "desk".to_owned();
        assert_eq!(said(&words), Ok(AccessCommand::UserAdd(desk(), Role::Operator, some("hall", "north"))));
        let words = ["user", "add", "desk", "--subject", "248", "-c", "a"];
        assert_eq!(said(&words), Ok(AccessCommand::UserIntroduce(desk(), "248".to_owned())));
        let while_it_is_down = AccessCommand::UserPasswords(Span::seconds(1800));
        assert_eq!(said(&["user", "passwords", "30m", "-c", "a"]), Ok(while_it_is_down));
        let words = ["user", "change", "--role", "viewer", "desk", "-c", "a"];
        assert_eq!(said(&words), Ok(AccessCommand::UserChange(desk(), Role::Viewer, Reach::All)));
        assert_eq!(said(&["user", "list", "-c", "a"]), Ok(AccessCommand::UserList));
        assert_eq!(said(&["user", "remove", "desk", "-c", "a"]), Ok(AccessCommand::UserRemove(desk())));
        assert_eq!(said(&["user", "password", "desk", "-c", "a"]), Ok(AccessCommand::UserPassword(desk())));
    }

    #[test]
    fn a_token_reads_for_a_year_unless_somebody_says_otherwise() {
        let wanted = TokenWanted {
            name: "grafana".to_owned(),
            owner: None,
            scopes: [Right::See].into_iter().collect(),
            reach: Reach::All,
            lasts: Some(LASTS),
        };
        let created = |words: &[&str]| said(&[&["token", "create", "grafana", "-c", "a"], words].concat());
        assert_eq!(created(&[]), Ok(AccessCommand::TokenCreate(wanted.clone())));
        let wanted = TokenWanted {
            owner: Some("desk".to_owned()),
            scopes: [Right::Metrics, Right::Act].into_iter().collect(),
            reach: some("hall", "north"),
            lasts: None,
            ..wanted
        };
        let words =
            ["--scope", "metrics", "--scope=act", "--user", "desk", "--site", "hall", "--tag", "north"];
        let words = [&words[..], &["--expires", "never"]].concat();
        assert_eq!(created(&words), Ok(AccessCommand::TokenCreate(wanted)));
        assert_eq!(
            said(&["token", "revoke", "x", "-c", "a"]),
            Ok(AccessCommand::TokenRevoke("x".to_owned()))
        );
    }

    #[test]
    fn mistakes_are_told_in_one_line() {
        for (words, line) in [
            (
                &["user"][..],
                "user needs user add, user change, user list, user remove, user password and user passwords",
            ),
            (
                &["user", "make", "desk"],
                "no command \"user make\"; there are user add, user change, user list, user remove, user password and user passwords",
            ),
            (
                &["token", "make"],
                "no command \"token make\"; there are token create, token list and token revoke",
            ),
            (&["user", "add"], "user add needs a NAME"),
            (&["user", "add", "desk"], "user add needs --role viewer, operator or admin"),
            (
                &["user", "add", "desk", "--role", "boss"],
                "no role \"boss\"; there are viewer, operator and admin",
            ),
            (
                &["token", "create", "x", "--scope", "all"],
                "no scope \"all\"; there are read, metrics, act and manage",
            ),
            (
                &["token", "create", "x", "--expires", "soon"],
                "\"soon\" is not a duration; write for example \"10s\", \"500ms\" or \"2m\"",
            ),
            (
                &["user", "add", "desk", "--subject", "1", "--role", "admin"],
                "whoever has a --subject gets role and sites from the provider; leave out --role, --site and --tag",
            ),
            (&["user", "password", "desk", "secret"], "unexpected argument \"secret\""),
            (&["user", "list", "desk"], "unexpected argument \"desk\""),
            (&["user", "remove", "desk", "--role", "admin"], "invalid option '--role'"),
        ] {
            assert_eq!(said(words), Err(format!("{line} (rackside-hub --help tells more)")));
        }
    }
}
