//! Who works when: queries run on threads of their own, so many at once; the others wait, each as long as it may. A query ends when its time is
//! over, when whoever asked has gone, and when the hub stops. Knows nothing of what a query is.
//!
//! Ingest is not in here: it has its own threads, and a query holds no lock of its for long (the sources see to that).
//!
//! ```text
//! GET ──▶ waits for a place ──▶ a thread ──▶ the answer, or the first of it ──▶ is sent; a large one keeps a place until it is
//!            └── timeout, gone ─────┴── timeout, gone, stop
//! ```

use super::QueryConfig;
use super::counts::{Counts, Running};
use super::reply::Failure;
use crate::clock;
use rackside_promql::{ErrorType, Limits, Stop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinError;

/// Places for queries.
#[derive(Debug)]
pub(super) struct Queue {
    config: QueryConfig,
    places: Arc<Semaphore>,
    /// For large answers while they are sent: what is in memory is bounded by these and the places.
    ways_out: Arc<Semaphore>,
    counts: Arc<Counts>,
    shutdown: watch::Receiver<bool>,
}

/// Told to the work that nobody waits for it any longer, by being dropped.
struct Asker(Arc<AtomicBool>);

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What ends a query from outside.
pub(super) struct Reins {
    deadline: Instant,
    gone: Arc<AtomicBool>,
    shutdown: watch::Receiver<bool>,
    config: QueryConfig,
}

impl Reins {
    /// Why the query is to end, if it is.
    pub(super) fn stopped(&self) -> Option<Stop> {
        if self.gone.load(Ordering::Relaxed) || *self.shutdown.borrow() {
            return Some(Stop::Canceled);
        }
        (clock::now().instant >= self.deadline).then_some(Stop::Timeout)
    }

    /// How many series a selector may find.
    pub(super) fn series(&self) -> usize {
        self.config.series
    }

    /// Calls `work` with the limits that the evaluator keeps.
    pub(super) fn held<T>(&self, work: impl FnOnce(&Limits<'_>) -> T) -> T {
        let stop = || self.stopped();
        work(&Limits { stop: Some(&stop), ..self.config.limits() })
    }
}

impl Queue {
    /// Nobody waits yet.
    pub(super) fn new(config: QueryConfig, counts: Arc<Counts>, shutdown: watch::Receiver<bool>) -> Self {
        let places = || Arc::new(Semaphore::new(config.concurrency));
        Self { config, places: places(), ways_out: places(), counts, shutdown }
    }

    /// A query that made no sense.
    pub(super) fn refused(&self, kind: ErrorType) {
        let mut running = self.counts.asked();
        running.begins();
        running.ended(Some(kind));
    }

    /// The moment until which a query may take that asks for `timeout`.
    pub(super) fn deadline(&self, timeout: Option<Duration>) -> Instant {
        let most = self.config.timeout.get();
        clock::now().instant + timeout.map_or(most, |asked| asked.min(most))
    }

    /// Waits for a place and does the work there. When the caller is dropped, the work is stopped; it keeps its place until it has heard.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&Reins) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let mut running = self.counts.asked();
        let place = match self.place(&self.places, deadline).await {
            Ok(place) => place,
            Err(failure) => {
                running.ended(Some(failure.kind()));
                return Err(failure);
            }
        };
        running.begins();
        let gone = Arc::new(AtomicBool::new(false));
        let asker = Asker(Arc::clone(&gone));
        let shutdown = self.shutdown.clone();
        let reins = Reins { deadline, gone, shutdown, config: self.config };
        let done = tokio::task::spawn_blocking(move || worked(work, &reins, running, place)).await;
        drop(asker);
        done.unwrap_or_else(|error| Err(broken(error)))
    }

    async fn place(
        &self,
        places: &Arc<Semaphore>,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, Failure> {
        let late = || Failure::new(ErrorType::Timeout, "query timed out in query queue");
        // Also where a place is free.
        if clock::now().instant >= deadline {
            return Err(late());
        }
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            place = Arc::clone(places).acquire_owned() => Ok(place.expect("the semaphore is never closed")),
            () = tokio::time::sleep_until(deadline.into()) => Err(late()),
            () = crate::shutdown::asked(&mut shutdown) => {
                Err(Failure::new(ErrorType::Canceled, "query was canceled in query queue: the hub stops"))
            }
        }
    }

    /// Waits until a large answer may go out, for as long as it is sent.
    pub(super) async fn way_out(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Failure> {
        self.place(&self.ways_out, deadline).await
    }
}

/// The work itself, on its thread.
fn worked<T>(
    work: impl FnOnce(&Reins) -> Result<T, Failure>,
    reins: &Reins,
    mut running: Running,
    place: OwnedSemaphorePermit,
) -> Result<T, Failure> {
    let done = work(reins);
    running.ended(done.as_ref().err().map(Failure::kind));
    // Counted before the next one begins.
    drop(running);
    drop(place);
    done
}

/// The work has panicked, which is a bug; the hub goes on.
fn broken(error: JoinError) -> Failure {
    let what = match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default(),
        Err(error) => error.to_string(),
    };
    log::error!("a query has failed in the hub itself, please report it: {what}");
    Failure::new(ErrorType::Internal, "the query failed in the hub itself; its log says more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_config::Span;
    use std::sync::mpsc;

    struct Desk {
        queue: Arc<Queue>,
        counts: Arc<Counts>,
        stop: watch::Sender<bool>,
    }

    fn desk(config: QueryConfig) -> Desk {
        let (stop, stopping) = watch::channel(false);
        let counts = Arc::new(Counts::default());
        Desk { queue: Arc::new(Queue::new(config, Arc::clone(&counts), stopping)), counts, stop }
    }

    fn one() -> Desk {
        desk(QueryConfig { concurrency: 1, timeout: Span::seconds(60), ..QueryConfig::default() })
    }

    /// Works until it is stopped, and says why that was.
    fn until_stopped(
        begun: mpsc::Sender<()>,
        why: mpsc::Sender<Stop>,
    ) -> impl FnOnce(&Reins) -> Result<(), Failure> + Send {
        move |reins| {
            begun.send(()).expect("somebody waits");
            loop {
                if let Some(stop) = reins.stopped() {
                    let _ = why.send(stop);
                    return Err(Failure::new(ErrorType::Canceled, "stopped"));
                }
                std::thread::yield_now();
            }
        }
    }

    /// Starts work that lasts until it is stopped; returns when it has begun.
    async fn occupy(
        desk: &Desk,
        timeout: Duration,
    ) -> (tokio::task::JoinHandle<Result<(), Failure>>, mpsc::Receiver<Stop>) {
        let ((begun, has_begun), (why, is_why)) = (mpsc::channel(), mpsc::channel());
        let queue = Arc::clone(&desk.queue);
        let deadline = queue.deadline(Some(timeout));
        let work = tokio::spawn(async move { queue.work(deadline, until_stopped(begun, why)).await });
        tokio::task::spawn_blocking(move || has_begun.recv()).await.expect("no panic").expect("it begins");
        (work, is_why)
    }

    const LONG: Duration = Duration::from_mins(1);

    async fn heard(why: mpsc::Receiver<Stop>) -> Option<Stop> {
        tokio::task::spawn_blocking(move || why.recv_timeout(Duration::from_secs(30)).ok())
            .await
            .expect("no panic")
    }

    #[tokio::test]
    async fn work_is_done_and_counted() {
        let desk = one();
        assert_eq!(desk.queue.work(desk.queue.deadline(None), |_| Ok(7)).await, Ok(7));
        let failed =
            desk.queue.work(desk.queue.deadline(None), |_| Err::<(), _>(Failure::bad_data("x"))).await;
        assert_eq!(failed, Err(Failure::bad_data("x")));
        assert_eq!((desk.counts.of("success"), desk.counts.of("bad_data")), (1, 1));
    }

    #[tokio::test]
    async fn who_finds_no_place_in_time_is_told_so() {
        let desk = one();
        let (_work, _why) = occupy(&desk, LONG).await;
        let late = desk.queue.work(desk.queue.deadline(Some(Duration::from_millis(20))), |_| Ok(())).await;
        assert_eq!(late, Err(Failure::new(ErrorType::Timeout, "query timed out in query queue")));
        assert_eq!(desk.counts.of("timeout"), 1);
        desk.stop.send_replace(true);
    }

    #[tokio::test]
    async fn a_timeout_of_nothing_is_over_at_once() {
        let desk = one();
        let done = desk.queue.work(desk.queue.deadline(Some(Duration::ZERO)), |_| Ok(())).await;
        assert_eq!(done.map_err(|failure| failure.kind()), Err(ErrorType::Timeout));
    }

    #[tokio::test]
    async fn who_goes_away_ends_the_work_and_makes_room() {
        let desk = one();
        let (work, why) = occupy(&desk, LONG).await;
        work.abort();
        assert_eq!(heard(why).await, Some(Stop::Canceled));
        assert_eq!(desk.queue.work(desk.queue.deadline(None), |_| Ok(7)).await, Ok(7));
        assert_eq!(desk.counts.of("canceled"), 1);
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_is_counted_and_waits_no_longer() {
        let desk = one();
        let (_work, _why) = occupy(&desk, LONG).await;
        let queue = Arc::clone(&desk.queue);
        let waiting = tokio::spawn(async move { queue.work(queue.deadline(None), |_| Ok(())).await });
        while desk.counts.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        assert!(waiting.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!((desk.counts.waiting(), desk.counts.of("canceled")), (0, 1));
        desk.stop.send_replace(true);
    }

    #[tokio::test]
    async fn time_and_the_hubs_end_stop_the_work() {
        let desk = one();
        let (_work, why) = occupy(&desk, Duration::from_millis(20)).await;
        assert_eq!(heard(why).await, Some(Stop::Timeout));
        let (_work, why) = occupy(&desk, LONG).await;
        desk.stop.send_replace(true);
        assert_eq!(heard(why).await, Some(Stop::Canceled));
        let late = desk.queue.work(desk.queue.deadline(None), |reins| {
            assert_eq!(reins.stopped(), Some(Stop::Canceled));
            Err::<(), _>(Failure::new(ErrorType::Canceled, "the hub stops"))
        });
        assert_eq!(late.await.map_err(|failure| failure.kind()), Err(ErrorType::Canceled));
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_leaves_its_place() {
        let desk = one();
        let work =
            desk.queue.work(desk.queue.deadline(None), |_| -> Result<(), Failure> { panic!("on purpose") });
        assert_eq!(work.await.map_err(|failure| failure.kind()), Err(ErrorType::Internal));
        assert_eq!(desk.counts.of("internal"), 1);
        assert_eq!(desk.queue.work(desk.queue.deadline(None), |_| Ok(7)).await, Ok(7));
    }
}
