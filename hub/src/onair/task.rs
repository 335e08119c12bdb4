//! The loop around [`Sites`]: waits until a tally changes, a hold ends, a show begins, a file changes; tells what follows. Decides nothing.

use super::OnAir;
use super::calendars::Calendars;
use super::sites::{News, Sites};
use crate::clock;
use crate::query::Touched;
use crate::shutdown;
use crate::site::SiteConfig;
use rackside_onair::{Kept, Show};
use rackside_promql::Sample;
use rackside_proto::Id;
use rackside_series::{Derived, HubDb};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Under this key holds are in `hub.db`.
const KEY: &str = "on_air";
/// A changed calendar is noticed within this.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Everything is told again after this, well within the five minutes after which a series is stale.
const TELL_EVERY: Duration = Duration::from_secs(15);
/// What is on air is written down again after this, so that the next hub knows about when it was so last.
const SAVE_EVERY: Duration = Duration::from_mins(5);
/// What changes is written down after this at the soonest: in a show tallies change every few seconds.
const SAVE_AFTER: Duration = Duration::from_secs(15);

/// What is saved.
type Holds = BTreeMap<String, Kept>;

/// The loop's own.
pub(super) struct Task {
    on_air: OnAir,
    calendars: Option<Calendars>,
    derived: Arc<Derived>,
    touched: Box<dyn Fn(Vec<Touched>) + Send>,
    told: Option<Instant>,
    saved: Option<(Instant, Holds)>,
}

/// Takes what the hub before this one left.
pub(super) fn resume(sites: &mut Sites, derived: &Derived, now: i64) {
    let Some(db) = derived.db() else { return };
    let holds = match db.state_load(KEY) {
        Ok(Some(bytes)) => serde_json::from_slice::<Holds>(&bytes).map_err(|error| error.to_string()),
        Ok(None) => return,
        Err(error) => Err(error.to_string()),
    };
    match holds {
        Ok(holds) => sites.resume(&holds, now),
        Err(error) => log::warn!("who was on air when the hub stopped is not known: {error}"),
    }
}

impl Task {
    pub(super) fn new(
        on_air: OnAir,
        calendars: Calendars,
        derived: Arc<Derived>,
        touched: Box<dyn Fn(Vec<Touched>) + Send>,
    ) -> Self {
        Self { on_air, calendars: Some(calendars), derived, touched, told: None, saved: None }
    }

    /// Runs until the hub stops.
    pub(super) async fn run(
        mut self,
        mut configs: watch::Receiver<Vec<SiteConfig>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let hearing = Arc::clone(&self.on_air.hearing);
        let mut looked = clock::now().instant;
        loop {
            let now = clock::now();
            let wait = self.step(now);
            self.save(now, false).await;
            let wait = wait.min(LOOK_EVERY.saturating_sub(now.since(looked)));
            tokio::select! {
                () = hearing.news() => {}
                () = tokio::time::sleep(wait) => {}
                Ok(()) = configs.changed() => {
                    let configs = configs.borrow_and_update().clone();
                    self.calendars = Some(Calendars::new(&configs));
                    self.on_air.lock().configure(&configs, clock::now().utc_ms as i64);
                    self.look().await;
                }
                () = shutdown::asked(&mut stop) => break,
            }
            let now = clock::now();
            if now.since(looked) >= LOOK_EVERY {
                looked = now.instant;
                self.look().await;
            }
        }
        self.save(clock::now(), true).await;
    }

    /// Tells what is so now; says how long nothing changes by itself.
    fn step(&mut self, now: clock::Now) -> Duration {
        let at = now.utc_ms as i64;
        let due = self.told.is_none_or(|told| now.since(told) >= TELL_EVERY);
        let (News { samples, touched }, next) = {
            let mut sites = self.on_air.lock();
            (sites.step(&self.on_air.hearing, at, due), sites.next_change(at))
        };
        self.derived.extend(samples.into_iter().map(|(labels, value)| (labels, Sample::new(at, value))));
        if !touched.is_empty() {
            (self.touched)(touched);
        }
        if due {
            self.told = Some(now.instant);
        }
        let until = next.map_or(TELL_EVERY, |next| Duration::from_millis((next - at).max(0) as u64));
        // A millisecond of the calendar may have begun already.
        until.min(TELL_EVERY) + Duration::from_millis(1)
    }

    /// Reads calendars that changed. Disks are slow at times: not on a thread that serves others.
    async fn look(&mut self) {
        let Some(mut calendars) = self.calendars.take() else { return };
        let now = clock::now().utc_ms as i64;
        let looking = tokio::task::spawn_blocking(move || {
            let shows: Vec<(Id, Vec<Show>)> = calendars.look(now);
            (calendars, shows)
        });
        let (calendars, shows) =
            looking.await.expect("reading calendars does not panic, and is not cancelled");
        self.calendars = Some(calendars);
        let mut sites = self.on_air.lock();
        for (site, shows) in shows {
            sites.plan(&site, shows);
        }
    }

    /// Writes down what holds, when that has changed, and now and then while something does.
    async fn save(&mut self, now: clock::Now, last: bool) {
        let Some(db) = self.derived.db().cloned() else { return };
        let holds = self.on_air.lock().kept(now.utc_ms as i64);
        let is_due = match &self.saved {
            None => true,
            Some((at, before)) => {
                let same = |like: fn(&Kept, &Kept) -> bool| {
                    let none = Kept::default();
                    let sites = holds.keys().chain(before.keys());
                    sites
                        .clone()
                        .all(|site| like(before.get(site).unwrap_or(&none), holds.get(site).unwrap_or(&none)))
                };
                let age = now.since(*at);
                !same(Kept::is_like_by_hand)
                    || (!same(Kept::is_like) && (last || age >= SAVE_AFTER))
                    || (!holds.is_empty() && (last || age >= SAVE_EVERY))
            }
        };
        if !is_due {
            return;
        }
        let bytes = serde_json::to_vec(&holds).expect("texts and numbers are JSON");
        let saving = tokio::task::spawn_blocking(move || HubDb::state_save(&db, KEY, &bytes));
        if let Err(error) = saving.await.expect("saving does not panic, and is not cancelled") {
            log::warn!("{error}; a restart of the hub forgets who was on air");
        }
        self.saved = Some((now.instant, holds));
    }
}
