//! The commands of `rackside-hub`, for [`main`](../main.rs): what they print and how they end.

use crate::access_command;
use crate::app::Hub;
use crate::broker::files;
use crate::cli::{self, Command};
use crate::command;
use crate::config::Config;
use crate::configuration_command;
use crate::fleet_command;
use crate::identity_command;
use crate::listener::{Listener, hash_password};
use crate::notify_command;
use crate::reload::Files;
use crate::rules;
use crate::rules_command::{self, Said};
use crate::storage::HistoryConfig;
use crate::{clock, decode, logging, onair, password, storage};
use rackside_systemd::Systemd;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// No message is longer; the rest of stdin is not read.
const LONGEST: u64 = rackside_proto::limits::LARGE as u64 + 1;

/// A block of memory as large as that goes back to the system when it is freed: what a query has held must not stay with each thread that ever
/// worked on one.
const GIVEN_BACK: i32 = 1 << 20;
/// The history's file in the data directory.
const DATABASE: &str = "history.db";

/// Does what the command line says. Everything that goes wrong is one line on stderr and an exit code that is not 0.
pub fn main(words: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let done = match cli::parse(words) {
        Ok(Command::Help) => print(cli::HELP),
        Ok(Command::Version) => print(&format!("rackside-hub {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Decode { topic }) => show(&topic),
        Ok(Command::Check { config }) => check(&config),
        Ok(Command::RulesCheck { files }) => verdict(&rules_command::check(&files), "not good", files.len()),
        Ok(Command::RulesTest { files }) => verdict(&rules_command::test(&files), "no success", files.len()),
        Ok(Command::RulesDefaults { to }) => written(&to),
        Ok(Command::HashPassword { name }) => line_of(&name),
        Ok(Command::Run { config }) => run(config),
        Ok(Command::NotifyTest { config, target }) => {
            notify_command::test(&config, &target).and_then(|said| print(&said))
        }
        Ok(Command::Access { what, config }) => access(&what, config.as_deref()),
        Ok(Command::Join { wanted, config }) => join(&wanted, config.as_deref()),
        Ok(Command::Configuration { what, config }) => configurations(&what, config.as_deref()),
        Ok(Command::Identity { what, config }) => identities(&what, config.as_deref()),
        Ok(Command::Fleet { what, config }) => fleet(&what, config.as_deref()),
        Ok(Command::BrokerFiles { to, names, config }) => {
            broker_files(to.as_deref(), &names, config.as_deref())
        }
        Ok(Command::Command { name, wanted, config }) => read(config.as_deref())
            .and_then(|config| command::door::command(&config.data, &name, &wanted))
            .and_then(|said| print(&said)),
        Ok(Command::Backup { to, config }) => backup(&to, config.as_deref()),
        Ok(Command::Salvage { config }) => salvage(config.as_deref()),
        Err(error) => Err(error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("rackside-hub: {line}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> Result<(), String> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever read it (`| head`) had enough; that is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| format!("stdout: {error}")),
    }
}

/// Good news on stdout, bad news on stderr, and an error when there is any.
fn verdict(said: &Said, what: &str, files: usize) -> Result<(), String> {
    print(&said.good)?;
    eprint!("{}", said.bad);
    match said.failed {
        0 => Ok(()),
        _ if files == 1 => Err(format!("the file is {what}")),
        1 => Err(format!("1 of {files} files is {what}")),
        failed => Err(format!("{failed} of {files} files are {what}")),
    }
}

/// Writes the rules that come with the hub, and says how they take the place of its own.
fn written(to: &Path) -> Result<(), String> {
    let files = rules_command::write(to).map_err(|error| error.to_string())?;
    let mut said = String::new();
    for (path, is_new) in &files {
        let how = if *is_new { "written" } else { "there already, as it comes with the hub" };
        writeln!(said, "{}: {how}", path.display()).expect("a String takes everything");
    }
    let all = storage::whole(to).join("*.yml").display().to_string();
    writeln!(said, "to evaluate these in place of the hub's own, write in its configuration:\n[rules]\ndefaults = false\nfiles = [{all:?}]")
        .expect("a String takes everything");
    print(&said)
}

fn show(topic: &str) -> Result<(), String> {
    let mut body = Vec::new();
    std::io::stdin().take(LONGEST).read_to_end(&mut body).map_err(|error| format!("stdin: {error}"))?;
    let shown = decode::show(topic, &body).map_err(|error| error.to_string())?;
    print(&format!("{shown:#}\n"))
}

/// Prints what the listener's users file says of a user.
fn line_of(name: &str) -> Result<(), String> {
    let password = password::ask(name).map_err(|error| error.to_string())?;
    print(&format!("{name}:{}\n", hash_password(&password)))
}

fn check(path: &Path) -> Result<(), String> {
    let config = Config::read(path).map_err(|error| error.to_string())?;
    let mut said = format!("{}: the configuration is good\n", path.display());
    if let Some(mqtt) = &config.mqtt {
        let mirror = if mqtt.mirror { "with" } else { "without" };
        writeln!(said, "agents come through the broker at {}, {mirror} the JSON mirror", mqtt.place())
            .expect("a String takes everything");
        mqtt.try_files().map_err(|error| error.to_string())?;
        if let Some(files) = &mqtt.files {
            let place = files.directory.display();
            writeln!(said, "who may what at the broker is written to {place}")
                .expect("a String takes everything");
        }
    } else {
        Listener::check(&config.listener()).map_err(|error| error.to_string())?;
        writeln!(said, "agents come to the hub's own listener at {}", config.listener().address)
            .expect("a String takes everything");
    }
    if let Some(outlook) = identity_command::outlook(&config) {
        writeln!(said, "{outlook}").expect("a String takes everything");
    }
    if let Some(outlook) = fleet_command::outlook(&config)? {
        writeln!(said, "{outlook}").expect("a String takes everything");
    }
    writeln!(said, "topics begin with {}/1/", config.prefix).expect("a String takes everything");
    writeln!(said, "the page is at http://{}/", config.web.address).expect("a String takes everything");
    writeln!(said, "{}", place_of_history(&config)?).expect("a String takes everything");
    writeln!(said, "{}", rules_of(&config)?).expect("a String takes everything");
    writeln!(said, "{}", notify_command::outlook(&config)?).expect("a String takes everything");
    for remark in notify_command::remarks(&config, clock::now().utc_ms as i64) {
        writeln!(said, "note: {remark}").expect("a String takes everything");
    }
    for site in &config.site {
        let outlook = onair::outlook(site, clock::now().utc_ms as i64).map_err(|error| error.to_string())?;
        writeln!(said, "{outlook}").expect("a String takes everything");
    }
    print(&said)
}

/// How many rules the hub would evaluate; or that it could not all of them, after their faults on stderr.
fn rules_of(config: &Config) -> Result<String, String> {
    let loaded = rules::Files::default().read(&config.rules);
    if loaded.faults.is_empty() {
        return Ok(rules_command::how_many(&loaded.files));
    }
    for fault in &loaded.faults {
        eprintln!("{fault}");
    }
    let faults = if loaded.faults.len() == 1 { "fault" } else { "faults" };
    Err(format!(
        "{} {faults} in what [rules] names; the hub would run without these files: mend them, or take them out of `files`",
        loaded.faults.len()
    ))
}

/// Where history goes, how much is there and how long it is kept; or why it cannot go there.
fn place_of_history(config: &Config) -> Result<String, String> {
    let place = storage::place(&config.data).map_err(|error| error.to_string())?;
    let HistoryConfig { raw, minute, hour } = config.history;
    Ok(format!("{place}\nevery sample is kept {raw}, one a minute {minute}, one an hour {hour}"))
}

fn read(config: Option<&Path>) -> Result<Config, String> {
    config.map_or_else(|| Ok(Config::default()), |path| Config::read(path).map_err(|error| error.to_string()))
}

/// Does something about users and tokens. What a program would take is alone on stdout.
fn access(what: &cli::AccessCommand, config: Option<&Path>) -> Result<(), String> {
    let config = read(config)?;
    let issuer = config.web.oidc.as_ref().map(|oidc| oidc.issuer.as_str());
    let done = access_command::run(what, &config.data, issuer)?;
    eprint!("{}", done.remark);
    print(&done.out)
}

/// Makes a code with which a box joins, and shows it.
fn join(wanted: &cli::JoinWanted, config: Option<&Path>) -> Result<(), String> {
    let config = read(config)?;
    print(&identity_command::join(wanted, &config, std::io::stdout().is_terminal())?)
}

/// Does something about what appliances run on.
fn configurations(what: &cli::ConfigurationCommand, config: Option<&Path>) -> Result<(), String> {
    print(&configuration_command::run(what, &read(config)?)?)
}

/// Does something about who has joined.
fn identities(what: &cli::IdentityCommand, config: Option<&Path>) -> Result<(), String> {
    print(&identity_command::run(what, &read(config)?)?)
}

/// Does something about the fleet's configurations.
fn fleet(what: &cli::FleetCommand, config: Option<&Path>) -> Result<(), String> {
    print(&fleet_command::run(what, &read(config)?)?)
}

/// Writes what an outside broker needs to hold the hub's borders.
fn broker_files(to: Option<&Path>, names: &[String], config: Option<&Path>) -> Result<(), String> {
    print(&files::run(to, names, &read(config)?)?)
}

/// Copies the history of a hub that may be running.
fn backup(to: &Path, config: Option<&Path>) -> Result<(), String> {
    let data = storage::whole(&read(config)?.data);
    let copy = rackside_history::backup(&data, to).map_err(|error| error.to_string())?;
    rackside_series::backup(&data, to).map_err(|error| error.to_string())?;
    rackside_receivers::outbox::backup(&data, to).map_err(|error| error.to_string())?;
    rackside_access::backup(&data, to).map_err(|error| error.to_string())?;
    rackside_identity::backup(&data, to).map_err(|error| error.to_string())?;
    rackside_configure::backup(&data, to).map_err(|error| error.to_string())?;
    rackside_status::backup(&data, to).map_err(|error| error.to_string())?;
    rackside_rollout::backup(&data, to).map_err(|error| error.to_string())?;
    print(&format!(
        "history copied to {}\nto restore it, stop the hub, put this file in place of {}, start the hub\n",
        copy.display(),
        data.join(DATABASE).display()
    ))
}

/// Saves what can be read of a damaged history.
fn salvage(config: Option<&Path>) -> Result<(), String> {
    let data = storage::whole(&read(config)?.data);
    if !data.is_dir() {
        let file = data.join(DATABASE);
        return Err(format!(
            "{}: there is no history; name the hub's configuration with --config",
            file.display()
        ));
    }
    let saved = rackside_history::salvage(&data, clock::now().utc_ms).map_err(|error| error.to_string())?;
    let mut said = String::new();
    for table in &saved.tables {
        let and = if table.gaps { ", and nobody knows how many more" } else { "" };
        writeln!(said, "{}: {} rows saved, {} lost{and}", table.name, table.copied, table.lost)
            .expect("a String takes everything");
    }
    let kept = saved.kept.display();
    if saved.tables.iter().all(|table| table.copied == 0) {
        writeln!(
            said,
            "nothing could be read; if there is a backup, put it in place of the new, empty {DATABASE}"
        )
        .expect("a String takes everything");
    }
    writeln!(said, "the damaged file is kept as {kept}; the hub can be started")
        .expect("a String takes everything");
    print(&said)
}

fn run(path: Option<PathBuf>) -> Result<(), String> {
    rackside_sys::give_back_blocks(GIVEN_BACK);
    let files = Files::read(path).map_err(|error| error.to_string())?;
    logging::start(files.config().log.level.into());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no threads to run on: {error}"))?;
    let ended = runtime.block_on(until_stopped(files));
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

async fn until_stopped(files: Files) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| format!("signals cannot be heard: {error}"));
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let hangup = listen(SignalKind::hangup())?;
    let mut hub = Hub::start(files.config()).await.map_err(|error| error.to_string())?;
    let (parts, pulse) = (hub.parts(), hub.pulse());
    let systemd = RefCell::new(Systemd::from_environment());
    systemd.borrow_mut().ready();
    let failed = tokio::select! {
        _ = term.recv() => None,
        _ = int.recv() => None,
        () = files.watch(parts, hangup, &systemd) => None,
        () = pulse.beat(&systemd) => None,
        failed = hub.failed() => Some(failed),
    };
    log::info!("stopping");
    systemd.borrow_mut().stopping();
    systemd.borrow_mut().tell();
    if !hub.stop().await {
        log::warn!("stopped before everything had ended");
    }
    failed.map_or(Ok(()), |what| Err(format!("{what}; the hub has ended, to be started anew")))
}
