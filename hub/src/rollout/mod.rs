//! The fleet's configurations at a running hub: which files there are, what everybody was told, and the roll-out that goes on.
//!
//! What is decided is decided in `rackside-rollout`; here are its book, a look at the fleet, and a task that makes one pass a second. The command
//! line writes its wishes into the same book, so a roll-out goes on after a restart, and can be stopped while the hub is down.
//!
//! ```text
//! hub.toml [fleet] ── files ──▶ Plan ──▶ Book (fleet.db) ◀── rackside-hub fleet …
//!                                          │
//!          fleet, on air, alerts ── Sight ─┴▶ RollOut::step ──▶ Hand: publishes, knows what became of it
//! ```

mod config;
mod hand;
mod newcomers;
mod sight;
mod task;

pub use config::FleetConfig;
pub(crate) use task::{Ground, run};

use crate::site::SiteConfig;
use rackside_proto::{AgentName, Id};
use rackside_rollout::{Book, BookError, Fault, Outcome, Plan, RollOut, Selection, Sources, Wanted};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Who brings a configuration to an appliance, and knows what became of it.
pub(crate) trait Hand: Send + Sync {
    /// Sends this text, and says as which revision. An empty one takes back what was sent before.
    fn publish(&self, name: &AgentName, text: &str) -> Result<u32, String>;

    /// What became of the newest revision that an appliance was sent.
    fn became(&self, name: &AgentName) -> Option<(u32, Outcome)>;
}

/// The fleet's configurations. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RollOuts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    book: Result<Mutex<Book>, String>,
    directory: RwLock<Option<PathBuf>>,
    newest: RwLock<Option<Arc<RollOut>>>,
}

impl RollOuts {
    /// Of a hub with this configuration and this data directory.
    pub(crate) fn open(config: &FleetConfig, data: &Path) -> Self {
        let book = Book::open(data).map(Mutex::new).map_err(|error| error.to_string());
        if let Err(error) = &book {
            log::error!("roll-outs: {error}; nobody is sent a configuration");
        }
        let directory = RwLock::new(config.configurations.clone());
        Self(Arc::new(Inner { book, directory, newest: RwLock::default() }))
    }

    /// Goes by this configuration from now on.
    pub(crate) fn configure(&self, config: &FleetConfig) {
        config
            .configurations
            .clone_into(&mut self.0.directory.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Where the files are.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        self.0.directory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The book, for a moment. Not on a thread of the runtime.
    pub(crate) fn book(&self) -> Result<MutexGuard<'_, Book>, String> {
        let book = self.0.book.as_ref().map_err(Clone::clone)?;
        Ok(book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest roll-out, as it stood after the last pass.
    pub(crate) fn newest(&self) -> Option<Arc<RollOut>> {
        self.0.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn shows(&self, newest: Option<Arc<RollOut>>) {
        *self.0.newest.write().unwrap_or_else(PoisonError::into_inner) = newest;
    }
}

/// Why there is nothing to be planned.
pub(crate) const NO_DIRECTORY: &str = "the hub's configuration names no files: write `configurations = \"/etc/rackside/fleet\"` into [fleet], and begin with base.toml there";

/// What a roll-out to these would be about, or every fault of the files.
pub(crate) fn plan(
    directory: Option<&Path>,
    book: &Book,
    sites: &[SiteConfig],
    selection: &Selection,
) -> Result<Plan, Vec<Fault>> {
    let sources = read(directory)?;
    let all = book.appliances().map_err(|error| vec![Fault(error.to_string())])?;
    Ok(Plan::new(&sources, &all, |site| tags_of(sites, site), selection))
}

/// The files.
pub(crate) fn read(directory: Option<&Path>) -> Result<Sources, Vec<Fault>> {
    Sources::read(directory.ok_or_else(|| vec![Fault(NO_DIRECTORY.to_owned())])?)
}

/// Which file and line say what stands in a line of an appliance's text, if the files still say that text.
fn place(
    directory: Option<&Path>,
    sites: &[SiteConfig],
    name: &AgentName,
    text: &str,
    line: usize,
) -> Option<String> {
    let sources = read(directory).ok()?;
    let rendered = sources.render(name, tags_of(sites, &name.site)).ok()?;
    (rendered.toml == text).then(|| sources.origin(&rendered, line)).flatten()
}

/// A site's tags.
pub(crate) fn tags_of<'s>(sites: &'s [SiteConfig], site: &Id) -> &'s [String] {
    sites.iter().find(|one| one.id == *site).map_or(&[], |one| &one.tags)
}

/// A roll-out that takes back what the newest one has told, if it has told anybody.
pub(crate) fn back(book: &Book, wanted: Wanted) -> Result<Option<Wanted>, BookError> {
    let Some(newest) = book.newest()? else { return Ok(None) };
    let mut texts = Vec::new();
    for member in newest.members.iter().filter(|member| member.step.told().is_some()) {
        texts.push((member.name.clone(), book.text(&member.after)?, book.text(&member.before)?));
    }
    Ok(Some(Wanted { back_of: Some(newest.id), texts, snapshot: None, ..wanted }))
}
