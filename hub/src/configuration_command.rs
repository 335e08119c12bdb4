//! `rackside-hub configuration …`: what appliances are to run on, from a terminal.
//!
//! It works on `configuration.db` beside a hub that may be running, which looks at it twice a second.
//!
//! ```text
//! $ rackside-hub configuration list --config hub.toml
//! NAME                WANTED  RUNS ON  STATE    SINCE       WHY
//! arena-north/rack-1  3       2        refused  2026-11-21  the hub's configuration:4: tick: …
//! ```

use crate::access_command::{day, table};
use crate::cli::ConfigurationCommand;
use crate::config::Config;
use crate::configure::PublishError;
use crate::identity::registrar;
use crate::{clock, storage};
use rackside_configure::{Outcome, Store, check};
use rackside_proto::{AgentName, limits};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Does something about what appliances run on.
pub(crate) fn run(what: &ConfigurationCommand, config: &Config) -> Result<String, String> {
    let directory = storage::whole(&config.data);
    if !directory.is_dir() {
        return Err(format!(
            "{}: there is no such directory; start the hub once, or name its configuration with --config",
            directory.display()
        ));
    }
    let mut store = Store::open(&directory).map_err(|error| error.to_string())?;
    match what {
        ConfigurationCommand::List => {
            let all = store.all().map_err(|error| error.to_string())?;
            Ok(table(["NAME", "WANTED", "RUNS ON", "STATE", "SINCE", "WHY"], all.iter().map(row)))
        }
        ConfigurationCommand::Show(name) => {
            let wanted = store.wanted(name).map_err(|error| error.to_string())?;
            wanted.map(|(_, text)| text).ok_or_else(|| format!("nothing was ever handed out to {name}"))
        }
        ConfigurationCommand::Set(name, file) => set(&mut store, name, file, config),
    }
}

fn row((name, outcome): &(AgentName, Outcome)) -> [String; 6] {
    let Outcome { wanted, applied, state, why, since_ms } = outcome;
    let why = if why.is_empty() { "-".to_owned() } else { why.clone() };
    [name.to_string(), number(*wanted), number(*applied), state.as_str().to_owned(), day(*since_ms), why]
}

fn number(revision: u32) -> String {
    if revision == 0 { "-".to_owned() } else { revision.to_string() }
}

fn set(store: &mut Store, name: &AgentName, file: &Path, config: &Config) -> Result<String, String> {
    let shown = file.display().to_string();
    let mut text = String::new();
    let read = File::open(file)
        .and_then(|opened| opened.take(limits::CONFIGURATION as u64 + 1).read_to_string(&mut text));
    read.map_err(|error| format!("{shown}: {error}"))?;
    check(&text, &shown).map_err(|error| error.to_string())?;
    let mut registrar = registrar(config).map_err(|error| error.to_string())?;
    let known = registrar.store().summaries().map_err(|error| error.to_string())?;
    if !known.iter().any(|one| one.name == *name && one.end.is_none()) {
        return Err(PublishError::NotJoined(name.clone()).to_string());
    }
    let wanted = store.want(name, &text, clock::now().utc_ms as i64).map_err(|error| error.to_string())?;
    let revision = wanted.ok_or_else(|| PublishError::NoMore(name.clone()).to_string())?;
    Ok(format!("{name} is to run on revision {revision}\n"))
}
