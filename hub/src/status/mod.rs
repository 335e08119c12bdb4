//! What the public is told: which sites, what counts as an incident, and how well each was, counted as time goes by.
//!
//! ```text
//! every 30 s: alerts of the book, sites on air ──▶ status.db (days) ──▶ /status, /api/status
//! ```
//!
//! What nobody counted, since the hub was off, is not known; the page shows it so. What nobody counted since the page was off, or the site not public, is looked up once, as
//! far back as the hub's own series are kept.

mod before;
mod config;

pub(crate) use config::Incidents;
pub use config::{Counts, Least, StatusConfig};

use crate::clock::{self, Now};
use crate::notify::Notifications;
use crate::onair::OnAir;
use crate::query::Fleetwide;
use crate::shutdown;
use crate::site::SiteConfig;
use crate::storage;
use rackside_notify::Booked;
use rackside_onair::{NaiveDate, Zone};
use rackside_promql::{Labels, SourceError, Stop};
use rackside_proto::Id;
use rackside_status::{Book, BookError, Day};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// Time is counted this often.
const EVERY: Duration = Duration::from_secs(30);
/// More than this at once was not counted by anybody: the machine slept, or its clock was set.
const MOST: i64 = 120_000;
/// What was before is looked up so far back: the bar shows no more.
const BACK: i64 = 90 * 86_400_000;

/// What the public is told. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Public {
    data: Arc<Path>,
    set: Arc<RwLock<Arc<Set>>>,
}

/// How it is set, and the book: the same as long as nobody changes the configuration.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) config: StatusConfig,
    pub(crate) incidents: Incidents,
    pub(crate) book: Arc<Book>,
}

impl Public {
    /// By this configuration, with the book in `data`.
    pub fn open(config: &StatusConfig, data: &Path) -> Self {
        let data: Arc<Path> = storage::whole(data).into();
        let set = Arc::new(Set::new(config, book(config, &data)));
        Self { data, set: Arc::new(RwLock::new(set)) }
    }

    /// Another configuration. A book that is open stays.
    pub(crate) fn configure(&self, config: &StatusConfig) {
        let before = self.set();
        if before.config == *config {
            return;
        }
        let is_open = before.config.enabled;
        let book = if is_open { Arc::clone(&before.book) } else { book(config, &self.data) };
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Set::new(config, book));
    }

    /// As it is set now.
    pub(crate) fn set(&self) -> Arc<Set> {
        Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts until `shutdown` says so.
    pub(crate) async fn count(
        self,
        (on_air, notifications): (OnAir, Notifications),
        series: Arc<Fleetwide>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut before = clock::now();
        // Whose past was looked up since the start: where there is none, once is enough.
        let mut looked = BTreeSet::new();
        loop {
            tokio::select! {
                () = shutdown::asked(&mut shutdown) => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let (now, set) = (clock::now(), self.set());
            let passed = now.since(before.instant).as_millis() as i64;
            before = now;
            if !set.config.enabled || passed > MOST {
                continue;
            }
            let (on_air, notifications) = (on_air.clone(), notifications.clone());
            let (series, stopping) = (Arc::clone(&series), shutdown.clone());
            let mut known = std::mem::take(&mut looked);
            let counting = tokio::task::spawn_blocking(move || {
                let from = now.utc_ms as i64 - passed;
                set.look_back(&on_air, &series, &mut known, from, &|| *stopping.borrow());
                (set.add(&on_air, &notifications, passed, now), known)
            });
            let counted;
            (counted, looked) = counting.await.expect("counting does not panic, and nobody aborts it");
            if let Err(error) = counted {
                log::error!("the status page misses {} s: {error}", passed / 1000);
            }
        }
    }
}

/// A book that cannot be opened is told, and one in memory takes its place.
fn book(config: &StatusConfig, data: &Path) -> Arc<Book> {
    let book = if config.enabled { Book::open(data) } else { Book::in_memory() };
    let book = book.or_else(|error| {
        log::error!("{error}; what the status page knows of past days is lost when the hub stops");
        Book::in_memory()
    });
    Arc::new(book.expect("SQLite works in memory"))
}

impl Set {
    fn new(config: &StatusConfig, book: Arc<Book>) -> Self {
        Self { config: config.clone(), incidents: config.incidents(), book }
    }

    /// The sites that are public, in the order of the configuration.
    pub(crate) fn sites(&self, on_air: &OnAir) -> Vec<SiteConfig> {
        let configs = on_air.configs();
        let configs = configs.borrow();
        configs.iter().filter(|site| self.config.is_public(site)).cloned().collect()
    }

    /// What was before `until` at sites of which nothing is counted yet.
    fn look_back(
        &self,
        on_air: &OnAir,
        series: &Fleetwide,
        looked: &mut BTreeSet<Id>,
        until: i64,
        is_stopping: &dyn Fn() -> bool,
    ) {
        for site in self.sites(on_air) {
            if is_stopping() || looked.contains(&site.id) {
                continue;
            }
            match self.past(&site, series, until, is_stopping) {
                Err(_) if is_stopping() => return,
                // From now on something is counted, and it is not tried again.
                Err(error) => log::warn!("the status page begins with today at {}: {error}", site.id),
                Ok(()) => drop(looked.insert(site.id)),
            }
        }
    }

    fn past(
        &self,
        site: &SiteConfig,
        series: &Fleetwide,
        until: i64,
        is_stopping: &dyn Fn() -> bool,
    ) -> Result<(), Past> {
        let id = site.id.as_str();
        if !self.book.days(id, i64::MIN)?.is_empty() {
            return Ok(());
        }
        let stopped = || is_stopping().then_some(Stop::Canceled);
        let is_one = |labels: &Labels| self.incidents.is_one(labels);
        let then = series.then(id, &(until - BACK..until), &is_one, &stopped)?;
        let days = before::days(&then, self.config.counts, site.zone());
        let found: Vec<(&str, i64, Day)> = days.into_iter().map(|(number, day)| (id, number, day)).collect();
        Ok(self.book.add(&found)?)
    }

    /// The last `passed` milliseconds, of each site.
    fn add(
        &self,
        on_air: &OnAir,
        notifications: &Notifications,
        passed: i64,
        now: Now,
    ) -> Result<(), BookError> {
        let at = now.utc_ms as i64;
        let alerts = self.alerts(notifications);
        let sites = self.sites(on_air);
        let counts = |site: &Id| {
            self.config.counts == Counts::Always || on_air.view(site, now).is_some_and(|view| view.on_air())
        };
        let counted: Vec<(&str, i64, Day)> = sites
            .iter()
            .filter(|site| counts(&site.id))
            .map(|site| {
                let spans = alerts.iter().filter(|alert| alert.site() == site.id.as_str());
                let spans = spans.map(|alert| (alert.starts_at, alert.ends_at.unwrap_or(at))).collect();
                let disturbed_ms = covered(spans, at - passed, at);
                (site.id.as_str(), day(site.zone(), at), Day { known_ms: passed, disturbed_ms })
            })
            .collect();
        self.book.add(&counted)
    }

    /// The alerts that are incidents, or were.
    pub(crate) fn alerts(&self, notifications: &Notifications) -> Vec<Booked> {
        notifications.look(|notifier, _| {
            let began = |alert: &&Booked| alert.fires() || alert.ends_at.is_some();
            let all = notifier.alerts().filter(began).filter(|alert| self.incidents.has(alert));
            all.cloned().collect()
        })
    }
}

/// Why the past of a site is not known.
#[derive(Debug)]
enum Past {
    Series(SourceError),
    Book(BookError),
}

impl From<SourceError> for Past {
    fn from(error: SourceError) -> Self {
        Self::Series(error)
    }
}

impl From<BookError> for Past {
    fn from(error: BookError) -> Self {
        Self::Book(error)
    }
}

impl fmt::Display for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(error) => error.fmt(f),
            Self::Book(error) => error.fmt(f),
        }
    }
}

/// The day at a site, counted from 1970-01-01.
pub(crate) fn day(zone: Zone, ms: i64) -> i64 {
    zone.local(ms).date().signed_duration_since(NaiveDate::default()).num_days()
}

/// How much of a stretch of time these spans cover together.
fn covered(mut spans: Vec<(i64, i64)>, from: i64, until: i64) -> i64 {
    spans.sort_unstable();
    let (mut sum, mut reached) = (0, from);
    for (begin, end) in spans {
        let (begin, end) = (begin.max(reached), end.min(until));
        sum += (end - begin).max(0);
        reached = reached.max(end);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use rackside_series::{Derived, SHORTEST};

    #[test]
    fn spans_that_overlap_count_once_and_only_within_the_stretch() {
        assert_eq!(covered(Vec::new(), 0, 10), 0);
        assert_eq!(covered(vec![(-5, 3), (2, 4), (2, 3), (8, 20)], 0, 10), 6);
        assert_eq!(covered(vec![(0, 10), (3, 4)], 0, 10), 10);
        assert_eq!(covered(vec![(20, 30), (-9, -3)], 0, 10), 0);
    }

    #[test]
    fn a_site_of_which_nothing_is_counted_has_the_past_that_is_known_and_only_once() {
        let text = "[status]\nenabled = true\nmatch = ['component=\"stream\"']\n[[site]]\nid = \"hall\"\npublic = true\n";
        let config = Config::parse(text, "hub.toml").expect("right");
        let set = Set::new(&config.status, Arc::new(Book::in_memory().expect("it opens")));
        let derived = Arc::new(Derived::new(None, SHORTEST, 0).expect("nothing can fail"));
        let minute = 60_000;
        let noon = 20_777 * 86_400_000 + 720 * minute;
        let put = |labels: &[(&str, &str)], from: i64, until: i64, value: f64| {
            let labels = Labels::new(labels.iter().copied());
            (from..=until).for_each(|at| derived.push(&labels, noon + at * minute, value));
        };
        put(&[("__name__", "rackside_site_on_air"), ("site", "hall"), ("reason", "tally")], -60, 60, 0.0);
        let alert =
            [("__name__", "ALERTS"), ("alertstate", "firing"), ("site", "hall"), ("component", "stream")];
        put(&[&alert[..], &[("severity", "critical")]].concat(), 0, 10, 1.0);
        put(&[&alert[..], &[("severity", "warning")]].concat(), -60, 60, 1.0);
        put(&[&alert[..3], &[("severity", "critical")]].concat(), -60, 60, 1.0);
        let series = Fleetwide::new(Arc::default(), derived, None);
        let days = || set.book.days("hall", 0).expect("it reads").into_iter().collect::<Vec<_>>();
        for _ in 0..2 {
            set.past(&config.site[0], &series, noon + 30 * minute, &|| false).expect("it reads");
            let known = Day { known_ms: 90 * minute, disturbed_ms: 10 * minute };
            assert_eq!(days(), [(20_777, known)]);
        }
    }

    #[test]
    fn a_day_is_the_venues() {
        let berlin: Zone = "Europe/Berlin".parse().expect("a zone");
        let midnight = 20_777 * 86_400_000;
        assert_eq!(day(Zone::UTC, midnight), 20_777);
        assert_eq!((day(berlin, midnight - 3_600_000), day(berlin, midnight - 3_600_001)), (20_777, 20_776));
    }
}
