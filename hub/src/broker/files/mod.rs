//! Files for Mosquitto, so that an outside broker holds the borders that the hub's own listener holds: who is let in, and who may what.
//!
//! They go to the directory of `[mqtt.files]`, at the start and whenever somebody has joined or a certificate has ended; `rackside-hub broker-files DIR`
//! writes the same. What is to be written follows from the configuration and `identity.db` alone ([`prepare`]), and is written where it differs from what lies there.
//!
//! ```text
//! authority.pem  whom appliances and broker believe     acl          who may what
//! broker.pem     the broker's certificate, and its key  passwd       the hub and readers
//! broker.key                                            rackside.conf  how Mosquitto is to use all that; written once
//! revoked.pem    certificates that have ended           changed      the moment of the last change; written last, for who reloads the broker
//! ```
//!
//! Invariants: each file is whole at every moment, and none is open to others than owner and group. A list of ended certificates is never older to the
//! broker than the one before it, or the broker would keep that.

mod acl;
mod config;
mod passwd;

pub use config::{FilesConfig, ReaderConfig};

use crate::clock;
use crate::config::Config;
use crate::identity::{Identities, registrar};
use crate::shutdown;
use rackside_identity::{Authority, Identity, named, revoked};
use rackside_proto::Prefix;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::watch;

/// Owner and group: the broker reads them as a member of the directory's group.
const MODE: u32 = 0o640;
/// No file of ours is larger: 100,000 ended certificates are 5 MiB.
const LARGEST: u64 = 64 << 20;
/// How often the broker's certificate is looked at, if nothing else happens.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// How long after a failure it is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// Two changes are one if there is less between them: lists of ended certificates are told apart by the second.
const CALM: Duration = Duration::from_secs(1);
/// A list begins that long ago, for brokers whose clock is behind.
const EARLY: i64 = 24 * 60 * 60 * 1000;

/// Who comes to the broker with a password, and for what.
#[derive(Debug, Clone)]
struct User {
    name: String,
    password: rackside_config::Secret,
    /// What it may read; without it everything is its own.
    read: Option<Vec<String>>,
}

/// What the configuration says of the files.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    directory: PathBuf,
    prefix: Prefix,
    names: Vec<String>,
    users: Vec<User>,
}

impl Plan {
    /// Of a configuration. `directory` and `names` come from the command line, and go before what it says.
    pub(crate) fn of(config: &Config, directory: Option<&Path>, names: &[String]) -> Result<Self, String> {
        let mqtt = config.mqtt.as_ref().ok_or("the configuration has no [mqtt]: agents come to the hub's own listener, and no broker needs files")?;
        let (Some(user), Some(password)) = (&mqtt.user, &mqtt.password) else {
            return Err(config::NO_LOGIN.to_owned());
        };
        config::check_names(names)?;
        config::check_user(user).map_err(|why| format!("[mqtt] user {why}"))?;
        config::check_prefix(&config.prefix)?;
        let files = mqtt.files.as_ref();
        let directory = directory.or(files.map(|files| files.directory.as_path()));
        let directory = directory.ok_or("name a directory, or write one into [mqtt.files]")?.to_owned();
        let own = User { name: user.clone(), password: password.clone(), read: None };
        let readers = files.map_or(&[][..], |files| &files.reader).iter().map(|reader| User {
            name: reader.user.clone(),
            password: reader.password.clone(),
            read: Some(reader.read.clone()),
        });
        let names = if names.is_empty() { files.map_or(&[][..], |files| &files.names) } else { names };
        let users = std::iter::once(own).chain(readers).collect();
        Ok(Self { directory, prefix: config.prefix.clone(), names: names.to_vec(), users })
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    /// What lies there.
    fn read(&self, file: &str) -> Result<Vec<u8>, String> {
        let path = self.path(file);
        let told = |error: io::Error| format!("{}: {error}", path.display());
        match fs::metadata(&path) {
            Ok(data) if data.len() > LARGEST => {
                Err(format!("{}: {} bytes are none of ours", path.display(), data.len()))
            }
            Ok(_) => fs::read(&path).map_err(told),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(told(error)),
        }
    }
}

/// Files by name that are to be written, in their order.
type Files = Vec<(&'static str, String)>;

/// What of the files is to be written now.
fn prepare(plan: &Plan, authority: &Authority, identities: &[Identity], now: i64) -> Result<Files, String> {
    let mut files = Files::new();
    let authority_is_new = !authority.is_own(&plan.read("authority.pem")?);
    if authority_is_new {
        files.push(("authority.pem", authority.pem().to_owned()));
    }
    if !plan.names.is_empty() && authority.vouches(&plan.read("broker.pem")?, &plan.names, now).is_none() {
        let made = authority.broker(&plan.names, now);
        files.push(("broker.key", made.key));
        files.push(("broker.pem", made.certificate));
    }
    let known = String::from_utf8_lossy(&plan.read("passwd")?).into_owned();
    let mut passwd = String::new();
    for user in &plan.users {
        let password =
            user.password.read().map_err(|error| format!("the password of {}: {error}", user.name))?;
        passwd.push_str(&passwd::line(&user.name, password.expose(), &known));
    }
    if passwd != known {
        files.push(("passwd", passwd));
    }
    let acl = acl::text(&plan.prefix, &plan.users, identities);
    if plan.read("acl")? != acl.as_bytes() {
        files.push(("acl", acl));
    }
    let ended = revoked(identities, now);
    let since = since(&plan.read("changed")?, now);
    if authority_is_new || named(&plan.read("revoked.pem")?).as_ref() != Some(&ended) {
        files.push(("revoked.pem", authority.list(&ended, since)));
    }
    if plan.read("rackside.conf")?.is_empty() {
        files.push(("rackside.conf", acl::conf(&plan.directory)));
    }
    if !files.is_empty() {
        files.push(("changed", format!("{since}\n")));
    }
    Ok(files)
}

/// The moment of a list, of which the one before is known: never an earlier one, and never one that is still to come.
fn since(changed: &[u8], now: i64) -> i64 {
    let before = std::str::from_utf8(changed).ok().and_then(|text| text.trim().parse::<i64>().ok());
    let after = before.map_or(i64::MIN, |before| before.saturating_add(1000));
    (now - EARLY).max(after).min(now)
}

/// Writes files, each whole or not at all.
fn write(plan: &Plan, files: &Files) -> Result<(), String> {
    for (name, text) in files {
        let path = plan.path(name);
        replace(&plan.directory, &path, name, text)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let synced = fs::File::open(&plan.directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| format!("{}: {error}", plan.directory.display()))
}

fn replace(directory: &Path, path: &Path, name: &str, text: &str) -> io::Result<()> {
    let unfinished = directory.join(format!(".{name}.{}", std::process::id()));
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let (own, of) = (file.metadata()?, fs::metadata(directory)?);
    if (own.uid(), own.gid()) != (of.uid(), of.gid()) {
        // Written by root it belongs to whom the directory belongs to. Others may have no right to give it away; then it is for their own group.
        let _ = chown(&unfinished, Some(of.uid()), Some(of.gid()));
    }
    // Whatever the mask of the process is.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

/// Whether the files are as they should be, for `/metrics`. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilesStand(Arc<AtomicU8>);

impl FilesStand {
    const WELL: u8 = 1;
    const FAILING: u8 = 2;

    fn note(&self, are_well: bool) {
        self.0.store(if are_well { Self::WELL } else { Self::FAILING }, Relaxed);
    }

    /// Nothing before they were looked at: where there are none.
    pub(super) fn get(&self) -> Option<bool> {
        Some(self.0.load(Relaxed)).filter(|stand| *stand > 0).map(|stand| stand == Self::WELL)
    }
}

/// Keeps the files as they should be, until the hub stops.
pub(crate) async fn keep(
    plan: Plan,
    identities: Identities,
    stand: FilesStand,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut changes = identities.changes();
    let mut said = String::new();
    loop {
        changes.borrow_and_update();
        let (task_plan, of) = (plan.clone(), identities.clone());
        let done = tokio::task::spawn_blocking(move || {
            let files = of.with_all(|authority, all| {
                prepare(&task_plan, authority, all, clock::now().utc_ms as i64)
            })??;
            write(&task_plan, &files).map(|()| files)
        });
        let wait = match done.await {
            Err(_) => return,
            Ok(Ok(files)) => {
                said.clear();
                stand.note(true);
                tell(&plan, &files);
                LOOK_EVERY
            }
            Ok(Err(error)) => {
                stand.note(false);
                if error != said {
                    log::error!(
                        "files of the broker: {error}; the broker goes on with what it has, and who is revoked comes in there, until they can be written"
                    );
                }
                said = error;
                TRY_AGAIN
            }
        };
        tokio::select! {
            () = shutdown::asked(&mut shutdown) => return,
            () = tokio::time::sleep(CALM) => {}
        }
        tokio::select! {
            () = shutdown::asked(&mut shutdown) => return,
            told = changes.changed() => if told.is_err() { return },
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn tell(plan: &Plan, files: &Files) {
    if !files.is_empty() {
        let names: Vec<&str> =
            files.iter().map(|(name, _)| *name).filter(|name| *name != "changed").collect();
        log::info!(
            "files of the broker written to {}: {}; they count once it is reloaded",
            plan.directory.display(),
            names.join(", ")
        );
    }
}

/// `rackside-hub broker-files`: writes them once, and says what comes next.
pub(crate) fn run(directory: Option<&Path>, names: &[String], config: &Config) -> Result<String, String> {
    let plan = Plan::of(config, directory, names)?;
    let plan = Plan { directory: crate::storage::whole(&plan.directory), ..plan };
    let mut registrar = registrar(config).map_err(|error| error.to_string())?;
    let now = clock::now().utc_ms as i64;
    let all = registrar.store().identities().map_err(|error| error.to_string())?;
    let authority = registrar.authority();
    let files = prepare(&plan, authority, &all, now)?;
    write(&plan, &files)?;
    let (place, mut said) = (plan.directory.display(), String::new());
    for name in files.iter().map(|(name, _)| *name).filter(|name| *name != "changed") {
        writeln!(said, "written  {place}/{name}").expect("a String takes everything");
    }
    if files.is_empty() {
        writeln!(said, "{place}: everything is there as it should be").expect("a String takes everything");
    }
    let joined: BTreeSet<_> = all.iter().filter(|one| one.end.is_none()).map(|one| &one.name).collect();
    writeln!(
        said,
        "appliances that have joined: {}; certificates that have ended: {}",
        joined.len(),
        revoked(&all, now).len()
    )
    .expect("a String takes everything");
    let broker = plan.read("broker.pem")?;
    let next = match authority.vouches(&broker, &plan.names, now) {
        _ if broker.is_empty() => "the broker has no certificate yet: name what boxes find it by, with --name broker.example.org or `names` in [mqtt.files]".to_owned(),
        Some(until) => format!("the broker's certificate is good until {}", crate::access_command::day(until)),
        None => "the broker's certificate is to be renewed: name what boxes find it by, with --name broker.example.org or `names` in [mqtt.files]".to_owned(),
    };
    writeln!(
        said,
        "{next}\nin mosquitto.conf: include_dir {place}\nthen reload Mosquitto; at the first time, restart it"
    )
    .expect("a String takes everything");
    Ok(said)
}

#[cfg(test)]
mod tests;
