//! The state directory: where the spool is, or why there is none on a disk.
//!
//! A directory that cannot be used is no error. Records are then kept in memory only, which is said once, in the log, the birth
//! and a series; the directory is tried again, and what is wrong may be put right while the agent runs. What a directory is
//! worth is judged in [`place`]; what is done with the spool is custody's business.
//!
//! ```text
//! /var/lib/rackside/spool/arena-north/rack-1/0000000000000001-7a3f01bc.seg
//! ```

use crate::agent::Agent;
use crate::config;
use crate::spool::place::{self, Missing, Unfit, Why};
use crate::spool::{self, Folder, FolderError, Recovery, Spool, SpoolError};
use log::{info, warn};
use rackside_config::Size;
use rackside_proto::AgentName;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Where state is kept when neither the configuration nor systemd says.
const DEFAULT: &str = "/var/lib/rackside";

/// How soon a directory that could not be used is tried again.
const AGAIN: Duration = Duration::from_mins(1);

/// How long is waited for a spool to be opened before anything else goes on.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How soon one that took longer is asked for again.
const LOOK: Duration = Duration::from_secs(1);

/// How many other names are named.
const NAMED: usize = 3;

/// Why there is no spool on a disk.
#[derive(Debug)]
pub enum NoSpool {
    /// The configuration wants none.
    NotWanted,
    /// The directory does not outlive a power cut, or cannot be written.
    Unfit(Unfit),
    /// Our own directory below it cannot be had.
    Folder(FolderError),
    /// What is in that cannot be read.
    Spool(SpoolError),
    /// The system has no thread to open it on.
    Thread(io::Error),
}

impl fmt::Display for NoSpool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWanted => f.write_str("[spool] disk is 0"),
            Self::Unfit(error) => error.fmt(f),
            Self::Folder(error) => error.fmt(f),
            Self::Spool(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "no thread to open the spool on: {error}"),
        }
    }
}

impl std::error::Error for NoSpool {}

/// The state directory: what the configuration says, else systemd, else the usual place.
pub fn directory(configured: Option<&Path>) -> PathBuf {
    directory_of(configured, std::env::var_os("STATE_DIRECTORY"))
}

fn directory_of(configured: Option<&Path>, from_systemd: Option<OsString>) -> PathBuf {
    // Several are separated by colons (systemd.exec(5)); the first is the one.
    let first = |list: OsString| std::env::split_paths(&list).next().filter(|path| path.is_absolute());
    let directory = configured.map(Path::to_owned).or_else(|| from_systemd.and_then(first));
    directory.unwrap_or_else(|| DEFAULT.into())
}

/// Which directory, and how much of it.
#[derive(Debug, Clone)]
struct Place {
    directory: PathBuf,
    /// Most bytes of the spool.
    disk: u64,
    proc: PathBuf,
}

/// A spool, what was found in it, and why nothing can be written there now, if so.
type Opened = Result<(Spool, Recovery, Option<NoSpool>), NoSpool>;

/// The state directory of one agent.
#[derive(Debug)]
pub struct State {
    place: Place,
    /// The spool that is being opened on a thread of its own.
    opening: Option<Receiver<Opened>>,
    /// When the directory is looked at again.
    again: Option<Instant>,
    /// Device and number of the spool's own directory.
    folder: Option<(u64, u64)>,
    /// Why there is none, as it was said last.
    said: Option<String>,
}

impl State {
    /// What the configuration says, else systemd (`STATE_DIRECTORY`), else the usual place. `proc` is where `/proc` is mounted.
    pub fn new(spool: &config::Spool, proc: &Path) -> Self {
        Self::of(spool, std::env::var_os("STATE_DIRECTORY"), proc)
    }

    fn of(spool: &config::Spool, from_systemd: Option<OsString>, proc: &Path) -> Self {
        let directory = directory_of(spool.directory.as_deref(), from_systemd);
        let place = Place { directory, disk: spool.disk, proc: proc.to_owned() };
        Self { place, opening: None, again: None, folder: None, said: None }
    }

    /// Whether it is about the same directory, wanted or not.
    pub fn is_same(&self, other: &Self) -> bool {
        self.place.directory == other.place.directory && (self.place.disk == 0) == (other.place.disk == 0)
    }

    /// Takes over other settings of the same directory, and looks at it soon.
    pub fn configure(&mut self, fresh: &Self) {
        self.place.disk = fresh.place.disk;
        self.again = None;
        if self.folder.is_none() {
            // Whoever had something put right by this wants to hear if it is not.
            self.said = None;
        }
    }

    /// Opens the spool if there is none and it is time to try, and gives it to the agent; else looks whether it is what it was.
    pub fn step(&mut self, agent: &mut Agent, now: Instant) {
        if let Some(opening) = self.opening.take() {
            self.wait(opening, Duration::ZERO, agent, now);
            return;
        }
        if agent.custody.has_lost_spool() {
            self.let_go(agent, now);
        }
        if self.again.is_some_and(|again| again > now) {
            return;
        }
        self.again = Some(now + AGAIN);
        if agent.custody.has_spool() && self.has_moved(&agent.name) {
            self.let_go(agent, now);
        }
        if agent.custody.has_spool() {
            let judged = self.place.judge_all_but_room(Missing::Leave);
            self.say_judged(judged.as_ref().err(), &agent.name);
            agent.custody.doubt(judged.is_err());
        } else if self.place.disk == 0 {
            self.say_unfit(&NoSpool::NotWanted, "records");
        } else {
            let (place, name) = (self.place.clone(), agent.name.clone());
            self.open(move || place.open(&name), agent, now);
        }
    }

    /// On a thread of its own: on a slow card it takes seconds, on one that dies minutes, and readings go on meanwhile. Usually it
    /// is done at once.
    fn open(&mut self, open: impl FnOnce() -> Opened + Send + 'static, agent: &mut Agent, now: Instant) {
        let (done, opening) = mpsc::sync_channel(1);
        // Whoever waited for it may be gone; so is the spool then.
        let thread = thread::Builder::new().name("spool".to_owned()).spawn(move || done.send(open()).ok());
        match thread {
            Ok(_) => self.wait(opening, AT_ONCE, agent, now),
            Err(error) => self.say_unfit(&NoSpool::Thread(error), "records"),
        }
    }

    fn wait(&mut self, opening: Receiver<Opened>, time: Duration, agent: &mut Agent, now: Instant) {
        self.again = Some(now + AGAIN);
        match opening.recv_timeout(time) {
            Ok(opened) => self.opened(opened, agent, now),
            Err(RecvTimeoutError::Timeout) => {
                self.opening = Some(opening);
                self.again = Some(now + LOOK);
            }
            Err(RecvTimeoutError::Disconnected) => {}
        }
    }

    /// Whether the spool is still being opened.
    pub const fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// The process ends: what is unacknowledged needs the spool that may still be being opened.
    pub fn finish(&mut self, agent: &mut Agent, now: Instant) {
        if let Some(opening) = self.opening.take() {
            self.wait(opening, AT_ONCE, agent, now);
        }
    }

    /// Whether the spool's directory is another one than was opened, or none: a disk that was pulled out and put in again is
    /// mounted anew, and what was opened leads nowhere.
    fn has_moved(&self, agent: &AgentName) -> bool {
        let Some(folder) = self.folder else { return false };
        match fs::metadata(spool::path(&self.place.directory, agent)) {
            Ok(found) => (found.dev(), found.ino()) != folder,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn let_go(&mut self, agent: &mut Agent, now: Instant) {
        warn!("the spool's files in {} are gone", self.place.directory.display());
        agent.custody.detach(now);
        (self.folder, self.again) = (None, Some(now));
    }

    fn opened(&mut self, opened: Opened, agent: &mut Agent, now: Instant) {
        match opened {
            Ok((spool, recovery, doubt)) => {
                self.say_open(&recovery, doubt.as_ref(), &agent.name);
                let found = fs::metadata(spool::path(&self.place.directory, &agent.name));
                self.folder = found.ok().map(|found| (found.dev(), found.ino()));
                agent.attach(spool, now);
                // It may have been set anew meanwhile.
                agent.custody.limit_disk(self.place.disk);
                agent.custody.doubt(doubt.is_some());
            }
            Err(error) => self.say_unfit(&error, "records"),
        }
    }

    /// Says once what is wrong.
    fn say_unfit(&mut self, error: &NoSpool, records: &str) {
        let text = format!("{error}; {records} are kept in memory only");
        if self.said.as_ref() == Some(&text) {
            return;
        }
        if self.place.disk > 0 {
            warn!("{text}, until that is put right");
        } else {
            info!("{text}");
        }
        self.said = Some(text);
    }

    fn say_judged(&mut self, doubt: Option<&NoSpool>, agent: &AgentName) {
        if let Some(error) = doubt {
            self.say_unfit(error, "new records");
        } else if self.said.take().is_some() {
            info!("records can go to {} again", spool::path(&self.place.directory, agent).display());
        }
    }

    /// When [`step`](Self::step) has something to do. A spool that is there is looked at when there is something else to do.
    pub fn deadline(&self, agent: &Agent) -> Option<Instant> {
        self.again.filter(|_| self.place.disk > 0 && !agent.custody.has_spool())
    }

    fn say_open(&mut self, recovery: &Recovery, doubt: Option<&NoSpool>, agent: &AgentName) {
        let path = spool::path(&self.place.directory, agent);
        let path = path.display();
        if recovery.is_damaged() {
            warn!("the spool in {path} is damaged: {recovery}; what is readable is sent");
        } else if recovery.records > 0 {
            info!("earlier runs left {recovery} in {path}; they are sent first");
        } else if doubt.is_none() {
            info!("without the hub, records go to {path}");
        }
        let others = self.others(agent);
        if !others.is_empty() {
            let (shown, more) = others.split_at(others.len().min(NAMED));
            let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            let shown = shown.join(", ");
            warn!(
                "records of other names are in there and stay untouched: {shown}{more}; start an agent of that name to send them"
            );
        }
        self.said = None;
        if let Some(error) = doubt {
            self.say_unfit(error, "new records");
        }
    }

    /// The other names under which records are kept here.
    fn others(&self, agent: &AgentName) -> Vec<String> {
        let inside = |path: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect()
        };
        let own = spool::path(&self.place.directory, agent);
        let root = self.place.directory.join("spool");
        let appliances = inside(&root).into_iter().flat_map(|site| inside(&site));
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "seg");
        let held = appliances.filter(|path| *path != own && inside(path).iter().any(is_segment));
        let name = |path: PathBuf| Some(path.strip_prefix(&root).ok()?.display().to_string());
        let mut names: Vec<String> = held.filter_map(name).collect();
        names.sort();
        names
    }

    /// Where records go without the hub, or why they stay in memory, as it was found last; asks no disk.
    pub fn place(&self, agent: &AgentName) -> String {
        if let Some(said) = &self.said {
            return said.clone();
        }
        let path = spool::path(&self.place.directory, agent);
        if self.opening.is_some() {
            return format!("{} is being opened", path.display());
        }
        format!("up to {} in {}", Size::from_bytes(self.place.disk), path.display())
    }

    /// Where the spool would be and why, for people; whether it would be on a disk. Makes nothing.
    pub fn describe(&self, agent: Option<&AgentName>) -> (String, bool) {
        let path = agent
            .map_or_else(|| self.place.directory.clone(), |agent| spool::path(&self.place.directory, agent));
        match self.place.judge(Missing::Leave) {
            Ok(()) => (format!("up to {} in {}", Size::from_bytes(self.place.disk), path.display()), true),
            Err(error) => (format!("in memory only: {error}"), false),
        }
    }
}

impl Place {
    fn open(&self, agent: &AgentName) -> Opened {
        let doubt = match self.judge_all_but_room(Missing::Make) {
            // A card that died read-only can still be read: what earlier runs left there is sent.
            Err(NoSpool::Unfit(unfit)) if unfit.why == Why::ReadOnly => Some(unfit),
            judged => judged.map(|()| None)?,
        };
        let doubt = doubt.map(NoSpool::Unfit);
        let (folder, doubt) = match (Folder::open(&self.directory, agent), doubt) {
            (Err(FolderError::Io { .. }), Some(doubt)) => return Err(doubt),
            (folder, doubt) => (folder.map_err(NoSpool::Folder)?, doubt),
        };
        let (spool, recovery) = Spool::open(Box::new(folder), self.disk).map_err(NoSpool::Spool)?;
        Ok((spool, recovery, doubt))
    }

    fn judge(&self, missing: Missing) -> Result<(), NoSpool> {
        if self.disk == 0 {
            return Err(NoSpool::NotWanted);
        }
        place::judge(&self.directory, &self.proc, missing).map(|_| ()).map_err(NoSpool::Unfit)
    }

    /// As [`judge`](Self::judge), but for a full disk: what earlier runs left there is sent all the same, which makes room, and
    /// whoever writes will be told.
    fn judge_all_but_room(&self, missing: Missing) -> Result<(), NoSpool> {
        match self.judge(missing) {
            Err(NoSpool::Unfit(Unfit { why: Why::Full { .. }, .. })) => Ok(()),
            judged => judged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const TEXT: &str = "site = \"arena-north\"\nappliance = \"rack-1\"\n[mqtt]\naddress = \"hub\"\n[spool]\n";

    fn state(more: &str, from_systemd: Option<&str>) -> State {
        let config = Config::parse(&format!("{TEXT}{more}"), "agent.toml").expect("a good file");
        State::of(&config.spool, from_systemd.map(Into::into), Path::new("/proc"))
    }

    fn name() -> AgentName {
        AgentName::new("arena-north", "rack-1").expect("a good name")
    }

    #[test]
    fn the_configuration_goes_before_systemd_and_systemd_before_the_usual_place() {
        let directory = "directory = \"/srv/state\"\n";
        assert_eq!(state(directory, Some("/run/x")).place.directory, Path::new("/srv/state"));
        assert_eq!(state("", Some("/var/lib/a:/var/lib/b")).place.directory, Path::new("/var/lib/a"));
        for nothing in [None, Some(""), Some("relative")] {
            assert_eq!(state("", nothing).place.directory, Path::new(DEFAULT), "{nothing:?}");
        }
    }

    #[test]
    fn what_belongs_to_another_name_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        for (path, file) in [
            ("arena-north/rack-1", "0000000000000001-00000007.seg"),
            ("arena-north/rack-2", "0000000000000001-00000007.seg"),
            ("arena-north/rack-3", "lock"),
            ("old-hall/rack-1", "0000000000000001-00000007.seg"),
        ] {
            let path = dir.path().join("spool").join(path);
            fs::create_dir_all(&path).expect("made");
            fs::write(path.join(file), "").expect("written");
        }
        let state = state(&format!("directory = \"{}\"\n", dir.path().display()), None);
        assert_eq!(state.others(&name()), ["arena-north/rack-2", "old-hall/rack-1"]);
    }

    #[test]
    fn a_look_makes_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let inner = dir.path().join("state");
        let state = state(&format!("directory = \"{}\"\n", inner.display()), None);
        let (said, durable) = state.describe(Some(&name()));
        let on_disk = format!("up to 64 MiB in {}/spool/arena-north/rack-1", inner.display());
        // This machine's temporary directory may itself be in memory.
        assert!(said == on_disk && durable || said.starts_with("in memory only: ") && !durable, "{said}");
        assert!(!inner.exists());
    }

    #[test]
    fn a_disk_that_is_not_wanted_is_not_looked_at() {
        let state = state("disk = 0\n", None);
        assert_eq!(state.describe(None), ("in memory only: [spool] disk is 0".to_owned(), false));
    }

    #[test]
    fn a_card_that_takes_its_time_holds_up_nothing() {
        use crate::clock::{Clock, Trust};
        use crate::host::Host;
        use crate::sensor::Roots;
        use crate::spool::cut::CutDisk;
        let config = Config::parse(TEXT, "agent.toml").expect("a good file");
        let clock = Clock::new(Trust::Auto, Path::new("/proc"));
        let mut agent =
            Agent::new(&config, rackside_proto::Run(9), &clock, Roots::default(), Host::default());
        let mut state = State::of(&config.spool, None, Path::new("/proc"));
        let (ready, when_ready) = mpsc::channel::<()>();
        let slow = move || {
            when_ready.recv().expect("the test says when");
            let disk = Box::new(CutDisk::new());
            Spool::open(disk, 1 << 20)
                .map(|(spool, recovery)| (spool, recovery, None))
                .map_err(NoSpool::Spool)
        };
        let now = Clock::now();
        state.open(slow, &mut agent, now);
        assert!(!agent.custody.has_spool());
        assert_eq!(state.deadline(&agent), Some(now + LOOK));
        state.step(&mut agent, now + LOOK);
        assert!(!agent.custody.has_spool(), "asked, not waited for");
        ready.send(()).expect("it waits");
        state.finish(&mut agent, now + LOOK);
        assert!(agent.custody.is_durable(), "a stop waits for it");
    }
}
