//! The commands of `rackside-hub`, for [`main`](../main.rs): what they print and how they end.

use crate::app::Hub;
use crate::cli::{self, Command};
use crate::config::Config;
use crate::{decode, logging};
use rackside_config::ConfigError;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A changed file is noticed within this.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// No message is longer; the rest of stdin is not read.
const LONGEST: u64 = rackside_proto::limits::LARGE as u64 + 1;

/// Does what the command line says. Everything that goes wrong is one line on stderr and an exit code that is not 0.
pub fn main(words: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let done = match cli::parse(words) {
        Ok(Command::Help) => print(cli::HELP),
        Ok(Command::Version) => print(&format!("rackside-hub {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Decode { topic }) => show(&topic),
        Ok(Command::Check { config }) => check(&config),
        Ok(Command::Run { config }) => run(config),
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
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| format!("stdout: {error}"))
}

fn show(topic: &str) -> Result<(), String> {
    let mut body = Vec::new();
    std::io::stdin().take(LONGEST).read_to_end(&mut body).map_err(|error| format!("stdin: {error}"))?;
    let shown = decode::show(topic, &body).map_err(|error| error.to_string())?;
    print(&format!("{shown:#}\n"))
}

fn check(path: &Path) -> Result<(), String> {
    let config = Config::read(path).map_err(|error| error.to_string())?;
    let mut said = format!("{}: right\n", path.display());
    if let Some(mqtt) = &config.mqtt {
        let mirror = if mqtt.mirror { "with" } else { "without" };
        writeln!(said, "agents come through the broker at {}, {mirror} the JSON mirror", mqtt.place())
            .expect("a String takes everything");
        mqtt.try_files().map_err(|error| error.to_string())?;
    } else {
        let listener = config.listener();
        let tls = listener
            .tls
            .iter()
            .flat_map(|tls| [("tls.certificate", &tls.certificate), ("tls.key", &tls.key)]);
        for (key, file) in listener.users.iter().map(|file| ("users", file)).chain(tls) {
            std::fs::File::open(file)
                .map_err(|error| format!("[listener] {key}: {}: {error}", file.display()))?;
        }
        writeln!(said, "agents come to the hub's own listener at {}", config.listener().address)
            .expect("a String takes everything");
    }
    writeln!(said, "topics begin with {}/1/", config.prefix).expect("a String takes everything");
    writeln!(said, "the page is at http://{}/", config.web.address).expect("a String takes everything");
    print(&said)
}

fn run(path: Option<PathBuf>) -> Result<(), String> {
    // Stamped before it is read: a change in between is then a change to come.
    let known = path.as_deref().and_then(stamp);
    let config = path.as_deref().map(Config::read).transpose().map_err(|error| error.to_string())?;
    let config = config.unwrap_or_default();
    logging::start(config.log.level.into());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no threads to run on: {error}"))?;
    let ended = runtime.block_on(until_stopped(&config, path, known));
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

async fn until_stopped(config: &Config, path: Option<PathBuf>, known: Option<Stamp>) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| format!("signals cannot be heard: {error}"));
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let hangup = listen(SignalKind::hangup())?;
    let hub = Hub::start(config).await.map_err(|error| error.to_string())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = reload(path, known, config.clone(), hangup) => {}
    }
    log::info!("stopping");
    if !hub.stop().await {
        log::warn!("stopped before everything had ended");
    }
    Ok(())
}

/// Reads the configuration again on SIGHUP and when the file changes. A bad file keeps the old one. Never returns.
async fn reload(path: Option<PathBuf>, mut known: Option<Stamp>, mut config: Config, mut hangup: Signal) {
    let Some(path) = path else {
        loop {
            hangup.recv().await;
            log::info!("there is no configuration file to read again");
        }
    };
    loop {
        let told = tokio::select! {
            _ = hangup.recv() => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        let found = stamp(&path);
        if told || found != known {
            known = found;
            match Config::read(&path) {
                Ok(fresh) => take(&mut config, fresh),
                Err(error) => keep(&error),
            }
        }
    }
}

/// By which a change of a file is seen: when it was written, and its length.
type Stamp = (SystemTime, u64);

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn keep(error: &ConfigError) {
    log::error!("{error}; the configuration stays as it was");
}

fn take(config: &mut Config, fresh: Config) {
    let level = fresh.log.level;
    log::set_max_level(level.into());
    // All but the level, compared as written: what differs there waits for the next start.
    let rest = |config: &Config| {
        format!("{:?}", Config { log: crate::config::LogConfig::default(), ..config.clone() })
    };
    if rest(config) == rest(&fresh) {
        log::info!("configuration read again; log level {level:?}");
    } else {
        log::warn!(
            "configuration read again; log level {level:?}; everything else waits for a restart of the hub"
        );
    }
    *config = fresh;
}
