//! What the public is told: which sites, what counts as an incident, and how well each was, counted as time goes by.
//!
//! ```text
//! every 30 s: alerts of the book, sites on air ──▶ status.db (days) ──▶ /status, /api/status
//! ```
//!
//! What nobody counted, since the hub was off, is not known; the page shows it so.

mod config;

pub(crate) use config::Incidents;
pub use config::{Counts, Least, StatusConfig};

use crate::clock::{self, Now};
use crate::notify::Notifications;
use crate::onair::OnAir;
use crate::shutdown;
use crate::site::SiteConfig;
use crate::storage;
use rackside_notify::Booked;
use rackside_onair::{NaiveDate, Zone};
use rackside_proto::Id;
use rackside_status::{Book, BookError, Day};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// Time is counted this often.
const EVERY: Duration = Duration::from_secs(30);
/// More than this at once was not counted by anybody: the machine slept, or its clock was set.
const MOST: i64 = 120_000;

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
        on_air: OnAir,
        notifications: Notifications,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut before = clock::now();
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
            let counting = tokio::task::spawn_blocking(move || set.add(&on_air, &notifications, passed, now));
            let counted = counting.await.expect("counting does not panic, and nobody aborts it");
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

    #[test]
    fn spans_that_overlap_count_once_and_only_within_the_stretch() {
        assert_eq!(covered(Vec::new(), 0, 10), 0);
        assert_eq!(covered(vec![(-5, 3), (2, 4), (2, 3), (8, 20)], 0, 10), 6);
        assert_eq!(covered(vec![(0, 10), (3, 4)], 0, 10), 10);
        assert_eq!(covered(vec![(20, 30), (-9, -3)], 0, 10), 0);
    }

    #[test]
    fn a_day_is_the_venues() {
        let berlin: Zone = "Europe/Berlin".parse().expect("a zone");
        let midnight = 20_777 * 86_400_000;
        assert_eq!(day(Zone::UTC, midnight), 20_777);
        assert_eq!((day(berlin, midnight - 3_600_000), day(berlin, midnight - 3_600_001)), (20_777, 20_776));
    }
}
