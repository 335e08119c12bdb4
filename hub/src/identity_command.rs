//! `rackside-hub join …` and `rackside-hub identity …`: codes and who has joined, from a terminal.
//!
//! They work on `identity.db` beside a hub that may be running, which looks at it twice a second.
//!
//! ```text
//! $ rackside-hub identity list --config hub.toml
//! NAME                STATE    SINCE       UNTIL       SEEN
//! arena-north/rack-1  joined   2026-11-21  2027-02-19  2026-11-21
//! arena-north/rack-2  waiting  2026-11-21  2026-11-22  -
//! ```

use crate::access_command::{day, table};
use crate::cli::{IdentityCommand, JoinWanted};
use crate::config::Config;
use crate::identity::{Handout, Listed, config, listed, registrar};
use crate::moment::rfc3339;
use crate::{clock, storage};
use rackside_identity::{End, Registrar, Store, make_code};
use rackside_pages::quantity::counted;
use rackside_proto::AgentName;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

fn open(config: &Config) -> Result<Registrar, String> {
    let directory = storage::whole(&config.data);
    if !directory.is_dir() {
        return Err(format!(
            "{}: there is no such directory; start the hub once, or name its configuration with --config",
            directory.display()
        ));
    }
    registrar(config).map_err(|error| error.to_string())
}

/// What `check` says of joining, where anybody has thought of it.
pub(crate) fn outlook(config: &Config) -> Option<String> {
    match config::offer(config, None) {
        Ok(offer) => Some(format!("boxes that join are sent to {}", offer.addresses().join(", "))),
        Err(why) if config.join.url.is_empty() && config.join.addresses.is_empty() => {
            log::debug!("{why}");
            None
        }
        Err(why) => Some(format!("note: no box can join: {why}")),
    }
}

/// Makes a code, and says what to do with it.
pub(crate) fn join(wanted: &JoinWanted, config: &Config, with_picture: bool) -> Result<String, String> {
    let url = wanted
        .url
        .as_deref()
        .map_or_else(|| config::url(config), |url| Ok(url.trim_end_matches('/').to_owned()));
    let mut config = config.clone();
    config.join.url = url.map_err(|why| format!("{why}, or give it with --url"))?;
    config.join.check().map_err(|(_, why)| why)?;
    config::offer(&config, None)?;
    let mut registrar = open(&config)?;
    let now = clock::now().utc_ms as i64;
    let code = make_code(registrar.authority().fingerprint());
    let known = registrar.store().summaries().map_err(|error| error.to_string())?;
    let row = registrar.store().make_code(&code, &wanted.name, now).map_err(|error| error.to_string())?;
    let has_box = known.iter().any(|one| one.name == wanted.name && one.end.is_none());
    let (url, name) = (config.join.url, wanted.name.clone());
    let handout = Handout { url, code, name, until: row.expires_at, has_box };
    if let Some(file) = &wanted.file {
        write(file, &handout).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(said(&handout, wanted.file.as_deref(), with_picture))
}

/// What is said of a new code.
fn said(handout: &Handout, file: Option<&Path>, with_picture: bool) -> String {
    let Handout { code, name, until, has_box, .. } = handout;
    let until = rfc3339(until.max(&0).unsigned_abs());
    let until = until.get(..16).unwrap_or_default().replace('T', " ");
    let mut said = format!("The code of {name}, for one box, until {until} UTC:\n\n  {}\n\n", code.text());
    let on_card = match file {
        Some(file) => {
            format!("{} is written: put it on the card's boot partition as rackside.toml", file.display())
        }
        None => "--file FILE writes a rackside.toml for its card's boot partition".to_owned(),
    };
    writeln!(said, "On the box:  sudo {}\nOr:          {on_card}", handout.line())
        .expect("a String takes everything");
    if *has_box {
        writeln!(
            said,
            "\n{name} has a box already: when the code is used, that one is replaced and let in no more."
        )
        .expect("a String takes everything");
    }
    if let Some(picture) = with_picture.then(|| handout.picture()).flatten() {
        writeln!(said, "\n{}", picture.text()).expect("a String takes everything");
    }
    said
}

/// The file for the card: for its owner alone, since whoever reads it can use the code.
fn write(path: &Path, handout: &Handout) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(handout.card().as_bytes())?;
    file.sync_all()
}

/// Does something about who has joined.
pub(crate) fn run(what: &IdentityCommand, config: &Config) -> Result<String, String> {
    let mut registrar = open(config)?;
    let now = clock::now().utc_ms as i64;
    match what {
        IdentityCommand::List => list(registrar.store(), now),
        IdentityCommand::Revoke(name) => revoke(registrar.store(), name, now),
        IdentityCommand::Retire(name) => {
            let known = rackside_history::appliances(&storage::whole(&config.data));
            let known = known.map_err(|error| error.to_string())?;
            retire(registrar.store(), name, known.contains(name), now)
        }
    }
}

fn revoke(store: &mut Store, name: &AgentName, now: i64) -> Result<String, String> {
    let ended = store.end(name, End::Revoked, false, now).map_err(|error| error.to_string())?;
    match (ended.certificates, ended.codes) {
        (0, 0) => {
            Err(format!("{name} has no certificate and no code; `rackside-hub identity list` shows who has"))
        }
        (0, _) => Ok(no_code(name)),
        _ => Ok(format!("{name} is revoked; a new code lets a box have the name again\n")),
    }
}

fn no_code(name: &AgentName) -> String {
    format!("the code of {name} is good no more; it had no certificate\n")
}

fn retire(store: &mut Store, name: &AgentName, is_known: bool, now: i64) -> Result<String, String> {
    let ended = store.end(name, End::Retired, is_known, now).map_err(|error| error.to_string())?;
    if ended.is_nothing() {
        return Err(format!(
            "{name} is retired already, or this hub has never heard of it; `rackside-hub identity list` shows who is"
        ));
    }
    if !ended.is_retired && ended.certificates == 0 {
        return Ok(no_code(name));
    }
    let mut said = format!(
        "{name} is retired; its history stays. Take its site out of the configuration if nothing is left of it\n"
    );
    if ended.certificates == 0 {
        said.push_str("It had no certificate that could be taken away: switch it off; started anew, it is in service again\n");
    }
    Ok(said)
}

fn list(store: &Store, now: i64) -> Result<String, String> {
    let names = listed(store, now).map_err(|error| error.to_string())?;
    let seen = |one: &Listed| one.seen_at.map_or_else(|| "-".to_owned(), day);
    let rows = names.iter().flat_map(|one| {
        let name = one.name.to_string();
        let joined = one.joined.as_ref().map(|joined| {
            let state = one.state().to_owned();
            [name.clone(), state, day(joined.since), day(one.retired_at.unwrap_or(joined.until)), seen(one)]
        });
        let without = one
            .retired_at
            .filter(|_| one.joined.is_none())
            .map(|at| [name.clone(), "retired".to_owned(), day(at), "-".to_owned(), "-".to_owned()]);
        let waiting = one
            .waiting
            .map(|(made_at, until)| [name, "waiting".to_owned(), day(made_at), day(until), "-".to_owned()]);
        joined.into_iter().chain(without).chain(waiting)
    });
    let mut said = table(["NAME", "STATE", "SINCE", "UNTIL", "SEEN"], rows);
    for one in &names {
        if one.tries > 0 {
            writeln!(
                said,
                "note: another box came {} with the code of {}, which was used",
                counted(usize::try_from(one.tries).unwrap_or(usize::MAX), "time", "times"),
                one.name
            )
            .expect("a String takes everything");
        }
        if let Some(at) = one.old_came_at {
            writeln!(
                said,
                "note: the box that was {} before came on {} and was turned away",
                one.name,
                day(at)
            )
            .expect("a String takes everything");
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::ListenerConfig;
    use rackside_proto::join::Code;

    fn hub(data: &Path) -> Config {
        let text = "[listener]\ntls = { address = \"127.0.0.1:8883\" }\n[join]\nurl = \"https://hub.example.org/\"\n";
        Config { data: data.to_owned(), ..Config::parse(text, "hub.toml").expect("right") }
    }

    fn wanted(name: &str) -> JoinWanted {
        let (site, appliance) = name.split_once('/').expect("site/appliance");
        JoinWanted { name: AgentName::new(site, appliance).expect("a name"), url: None, file: None }
    }

    #[test]
    fn a_code_comes_with_what_to_do_and_a_file_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let data = tempfile::tempdir().expect("a temporary directory");
        let file = data.path().join("rackside.toml");
        let wanted = JoinWanted { file: Some(file.clone()), ..wanted("hall/rack-1") };
        let said = join(&wanted, &hub(data.path()), false).expect("a code");
        let line = said.lines().find(|line| line.starts_with("On the box:")).expect("the line");
        let code = line.rsplit(' ').next().expect("the last word");
        assert!(line.contains("rackside-agent join https://hub.example.org "), "{line}");
        assert!(code.parse::<Code>().is_ok(), "{code}");
        let text = std::fs::read_to_string(&file).expect("written");
        assert!(
            text.contains(&format!("code = \"{code}\""))
                && text.contains("url = \"https://hub.example.org\""),
            "{text}"
        );
        let mode = std::fs::metadata(&file).expect("written").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!said.contains("has a box already"));
    }

    #[test]
    fn without_tls_or_a_name_there_is_no_code() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let config = Config { data: data.path().to_owned(), ..Config::default() };
        let said = join(&wanted("hall/rack-1"), &config, false).expect_err("no name");
        assert!(said.contains("[join]") && said.contains("--url"), "{said}");
        let wanted = JoinWanted { url: Some("https://hub.example.org".to_owned()), ..wanted("hall/rack-1") };
        let listener = ListenerConfig { websocket: false, ..ListenerConfig::default() };
        let config = Config { listener: Some(listener), ..config };
        let said = join(&wanted, &config, false).expect_err("no TLS, and no WebSocket");
        assert!(said.contains("tls = { address"), "{said}");
    }

    #[test]
    fn the_list_says_who_waits_and_who_has_gone() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let config = hub(data.path());
        join(&wanted("hall/rack-1"), &config, false).expect("a code");
        let said = run(&IdentityCommand::List, &config).expect("a list");
        assert!(said.contains("hall/rack-1  waiting"), "{said}");
        let revoke = IdentityCommand::Revoke(wanted("hall/rack-1").name);
        assert_eq!(
            run(&revoke, &config),
            Ok("the code of hall/rack-1 is good no more; it had no certificate\n".to_owned())
        );
        assert!(run(&revoke, &config).expect_err("nothing left").contains("identity list"));
        assert!(!run(&IdentityCommand::List, &config).expect("a list").contains("hall/rack-1"));
    }
}
