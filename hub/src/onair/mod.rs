//! On-air awareness: what tallies, calendars and people say of each site, kept, shown and told to whoever evaluates rules.
//!
//! The crate `rackside-onair` decides; here is the shell. [`Ears`] hear of each change of a tally while ingest takes it, the task plays time, reads
//! calendars again when they change, and gives every change to queries at once, and all of it every 15 s. Holds outlive the hub in
//! `hub.db`.
//!
//! ```text
//! ingest ── Ears ──▶ task ──▶ Sites ──▶ /metrics, Derived (queries, rules), hub.db
//!                     ▲
//!  hub.toml, *.ics ───┘
//! ```

mod calendars;
mod ears;
mod sites;
mod task;

pub use calendars::Outlook;
pub(crate) use calendars::outlook;
pub use ears::Ears;

use crate::clock::Now;
use crate::query::Touched;
use crate::site::SiteConfig;
use crate::text::{Kind, Sink};
use calendars::Calendars;
use ears::Hearing;
use rackside_onair::{FAMILIES, Show, View};
use rackside_proto::Id;
use rackside_series::Derived;
use sites::Sites;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use task::Task;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// All sites. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct OnAir {
    sites: Arc<Mutex<Sites>>,
    hearing: Arc<Hearing>,
    configs: watch::Sender<Vec<SiteConfig>>,
}

/// There is no such site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownSite;

impl OnAir {
    /// The sites as they are configured, with what the hub before this one left in `derived`'s database, and their calendars read. `touched` is
    /// told of each series that changes, and must not take long.
    pub fn start(
        configs: Vec<SiteConfig>,
        derived: Arc<Derived>,
        touched: impl Fn(Vec<Touched>) + Send + 'static,
        now: Now,
        shutdown: watch::Receiver<bool>,
    ) -> (Self, Ears, JoinHandle<()>) {
        let at = now.utc_ms as i64;
        let mut calendars = Calendars::new(&configs);
        let mut sites = Sites::default();
        sites.configure(&configs, at);
        task::resume(&mut sites, &derived, at);
        for (site, shows) in calendars.look(at) {
            sites.plan(&site, shows);
        }
        let (told, changes) = watch::channel(configs);
        let on_air = Self { sites: Arc::new(Mutex::new(sites)), hearing: Arc::default(), configs: told };
        let task = Task::new(on_air.clone(), calendars, derived, Box::new(touched));
        let ears = Ears::new(Arc::clone(&on_air.hearing));
        let task = tokio::spawn(task.run(changes, shutdown));
        (on_air, ears, task)
    }

    /// Takes the sites of a configuration that was read again.
    pub fn configure(&self, configs: &[SiteConfig]) {
        self.configs.send_if_modified(|before| {
            let differs = before != configs;
            if differs {
                configs.clone_into(before);
            }
            differs
        });
    }

    /// The sites as they are configured, now and when that changes.
    pub(crate) fn configs(&self) -> watch::Receiver<Vec<SiteConfig>> {
        self.configs.subscribe()
    }

    /// What is so of a site.
    pub fn view(&self, site: &Id, now: Now) -> Option<View> {
        self.lock().view(site, now.utc_ms as i64)
    }

    /// Looks at every site: not for long.
    pub(crate) fn each(&self, look: impl FnMut(&Id, &rackside_onair::Site)) {
        self.lock().each(look);
    }

    /// Looks at one: not for long.
    pub(crate) fn look<T>(&self, site: &Id, look: impl FnOnce(&rackside_onair::Site) -> T) -> Option<T> {
        self.lock().one(site).map(look)
    }

    /// The show of a site that is on, from rig-up to strike (of several the one that is live), and the next one, if there are any.
    pub fn shows(&self, site: &Id, now: Now) -> (Option<Show>, Option<Show>) {
        self.lock().shows(site, now.utc_ms as i64)
    }

    /// Puts a site on air by hand, until a moment (milliseconds since 1970) or until it is taken back. People do it with `on_air` of `[[site]]`; this, and
    /// the two that follow, are for a program that has this hub inside.
    pub fn on_by_hand(&self, site: &Id, until: Option<i64>) -> Result<(), UnknownSite> {
        self.by_hand(site, |site| site.on_by_hand(until))
    }

    /// Takes back what was set by hand.
    pub fn off_by_hand(&self, site: &Id) -> Result<(), UnknownSite> {
        self.by_hand(site, rackside_onair::Site::off_by_hand)
    }

    /// Ends every hold of a site: the show is over, somebody says.
    pub fn let_go(&self, site: &Id, now: Now) -> Result<(), UnknownSite> {
        self.by_hand(site, |site| site.let_go(now.utc_ms as i64))
    }

    fn by_hand(&self, site: &Id, what: impl FnOnce(&mut rackside_onair::Site)) -> Result<(), UnknownSite> {
        let done = self.lock().change(site, what).ok_or(UnknownSite);
        self.hearing.ring();
        done
    }

    /// What `/metrics` says of sites.
    pub(crate) fn write(&self, text: &mut dyn Sink, now: Now) {
        let all = self.lock().samples(now.utc_ms as i64);
        for family in FAMILIES {
            let mut of_it = all
                .iter()
                .flat_map(|(site, samples)| samples.iter().map(move |sample| (site, sample)))
                .filter(|(_, sample)| sample.family == family.name)
                .peekable();
            if of_it.peek().is_some() {
                text.family(family.name, Kind::Gauge, family.unit, family.help);
            }
            for (site, sample) in of_it {
                let labels = [("site", site.as_str()), (family.label, sample.label)];
                let count = if family.label.is_empty() { 1 } else { 2 };
                text.sample(family.name, &labels[..count], sample.value);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sites> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
