//! What has to be done for series from time to time: the hub's own numbers become series, what is too old is let go, and what the hub makes
//! is written to the disk, a last time when the hub stops.

use super::{Fleetwide, Kept, Remembered};
use crate::clock::{self, Now};
use crate::shutdown;
use crate::text::{Kind, Sink};
use rackside_promql::{Labels, METRIC_NAME, Sample};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// The hub's own numbers are samples this often.
const SAMPLE: Duration = Duration::from_secs(15);
/// Samples between two writes to the disk.
const FLUSH: u32 = 4;

/// Whoever knows the hub's own numbers.
pub trait Own: Send + Sync + 'static {
    /// Tells all of them.
    fn numbers(&self, to: &mut dyn Sink, now: Now);
}

/// Takes numbers as samples of one moment.
struct Samples {
    at: i64,
    taken: Vec<(Labels, Sample)>,
}

impl Sink for Samples {
    fn family(&mut self, _: &str, _: Kind, _: &str, _: &str) {}

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter().copied().chain([(METRIC_NAME, name)]);
        self.taken.push((Labels::new(labels), Sample::new(self.at, value)));
    }
}

/// Does it until `shutdown` says so. What the hub makes stays on the disk as long as samples of appliances do.
pub async fn keep(
    queries: Arc<Fleetwide>,
    own: Arc<dyn Own>,
    remembered: Vec<Remembered>,
    kept: Kept,
    mut shutdown: watch::Receiver<bool>,
) {
    let warming = {
        let (queries, asked) = (Arc::clone(&queries), shutdown.clone());
        tokio::task::spawn_blocking(move || queries.warm(&remembered, clock::now(), &|| *asked.borrow()))
    };
    let mut tick = tokio::time::interval(SAMPLE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 1_u32.. {
        let stops = tokio::select! {
            _ = tick.tick() => false,
            () = shutdown::asked(&mut shutdown) => true,
        };
        let (queries, own) = (Arc::clone(&queries), Arc::clone(&own));
        // A large fleet takes a while, and so does a disk: not on a thread that serves others.
        let work = tokio::task::spawn_blocking(move || {
            let now = clock::now();
            if !stops {
                sample(&queries, own.as_ref(), now);
            }
            if stops || turn % FLUSH == 0 {
                queries.recent.trim(now.utc_ms as i64);
                flush(&queries, now, kept.raw);
            }
        });
        work.await.expect("keeping series does not panic, and is not cancelled");
        if stops {
            break;
        }
    }
    warming.await.expect("reading the last minutes does not panic, and is not cancelled");
}

fn sample(queries: &Fleetwide, own: &dyn Own, now: Now) {
    let mut samples = Samples { at: now.utc_ms as i64, taken: Vec::new() };
    own.numbers(&mut samples, now);
    queries.derived.extend(samples.taken);
}

/// What is old on the disk goes only by a clock for which the machine's NTP vouches.
fn flush(queries: &Fleetwide, now: Now, keep: i64) {
    let keep = clock::is_synchronised().then_some(keep);
    let flushed = queries.derived.flush(now.utc_ms as i64, keep);
    if let Some(db) = queries.derived.db() {
        for damage in db.new_damage() {
            log::error!("{}: damaged and left out, {damage}", db.path().display());
        }
    }
    queries.set_trouble(flushed.err().map(|error| error.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_promql::{Limits, Query};
    use rackside_series::{Derived, HubDb, Recent, SHORTEST};

    struct Numbers;

    impl Own for Numbers {
        fn numbers(&self, to: &mut dyn Sink, _: Now) {
            to.gauge("rackside_hub_live_watchers", "", "Pages", 3.0);
            to.family("rackside_appliance_up", Kind::Gauge, "", "Up");
            to.sample("rackside_appliance_up", &[("site", "hall"), ("appliance", "rack-1")], 1.0);
        }
    }

    #[tokio::test]
    async fn the_hubs_own_numbers_are_series_at_once_and_on_the_disk_after_the_stop() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let open = || {
            let db = HubDb::open(directory.path()).expect("it opens");
            let now = clock::now().utc_ms as i64;
            let derived = Derived::new(Some(Arc::new(db)), SHORTEST, now).expect("it is read");
            Arc::new(Fleetwide::new(Arc::new(Recent::default()), Arc::new(derived), None))
        };
        let answer = |queries: &Fleetwide| {
            let query = Query::parse("sum(rackside_appliance_up) + on() rackside_hub_live_watchers");
            let at = clock::now().utc_ms as i64;
            let outcome = query.expect("right").instant(queries, at, &Limits::default());
            format!("{:?}", outcome.expect("it is answered").answer)
        };
        let (stop, asked) = watch::channel(false);
        let queries = open();
        let kept = {
            let kept = Kept { raw: 86_400_000, minute: 86_400_000 };
            tokio::spawn(keep(Arc::clone(&queries), Arc::new(Numbers), Vec::new(), kept, asked))
        };
        let patience = clock::now().plus(Duration::from_mins(1));
        while !answer(&queries).contains("value: 4.0") {
            assert!(clock::now().instant < patience.instant, "{}", answer(&queries));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.send_replace(true);
        kept.await.expect("it ends");
        assert_eq!(queries.trouble(), None);
        queries.set_trouble(Some("no room".to_owned()));
        assert_eq!(queries.trouble().as_deref(), Some("no room"));
        drop(queries);
        assert!(answer(&open()).contains("value: 4.0"));
    }
}
