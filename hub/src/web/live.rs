//! `/api/live`: what changes, as Server-Sent Events.
//!
//! First `event: all` with every appliance, then `event: rows` with those that changed, at most four times a second, and
//! after 10 s without either `event: time` with the hub's clock: the line is alive. Whenever it changed since the event
//! before, `event: trouble` says why no telemetry can come in, or "" when it can, and `event: history` why history cannot be
//! written. A client that does not keep up is let go: it comes back by itself and is told everything anew.
//!
//! ```text
//! event: rows
//! data: [{"site":"arena-north","appliance":"rack-1","up":true,...}]
//! ```

use super::row;
use super::{Troubles, Web};
use crate::clock;
use crate::ingest::Ingest;
use crate::ingest::task::{Shared, Watcher};
use crate::shutdown;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::MissedTickBehavior;

/// Most clients at once.
const WATCHERS: usize = 256;
/// Updates that may wait for a slow client.
const BEHIND: usize = 16;
/// Changes are gathered for so long.
const GATHER: Duration = Duration::from_millis(250);
/// The time is told this often when nothing changes: proxies close lines that say nothing, and a page wants to know.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Who watches live.
#[derive(Debug, Clone)]
pub struct Live {
    updates: broadcast::Sender<Bytes>,
    watchers: Arc<AtomicUsize>,
}

/// Gathers changes for those who watch.
#[derive(Debug)]
pub struct Updates {
    changed: mpsc::UnboundedSender<Vec<usize>>,
    live: Live,
}

impl Live {
    /// Nobody watches yet. [`Updates`] goes to ingest.
    pub fn start(shared: Shared, shutdown: watch::Receiver<bool>) -> (Self, Updates) {
        let live = Self { updates: broadcast::channel(BEHIND).0, watchers: Arc::default() };
        // Unbounded is bounded here: the gatherer empties it four times a second, and a slot is a number.
        let (changed, gathered) = mpsc::unbounded_channel();
        tokio::spawn(gather(shared, gathered, live.clone(), shutdown));
        (live.clone(), Updates { changed, live })
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.watchers.load(Ordering::Relaxed)
    }
}

impl Watcher for Updates {
    fn changed(&mut self, _ingest: &Ingest, changed: &[usize]) {
        if self.live.watchers() > 0 {
            // The gatherer is gone only when the hub stops.
            let _ = self.changed.send(changed.to_vec());
        }
    }
}

async fn gather(
    shared: Shared,
    mut gathered: mpsc::UnboundedReceiver<Vec<usize>>,
    live: Live,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut tick = tokio::time::interval(GATHER);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            first = gathered.recv() => {
                let Some(first) = first else { return };
                let mut slots: BTreeSet<usize> = first.into_iter().collect();
                tick.tick().await;
                while let Ok(more) = gathered.try_recv() {
                    slots.extend(more);
                }
                // Nobody to tell is no error.
                let _ = live.updates.send(rows("rows", &shared, slots.into_iter()));
            }
            () = shutdown::asked(&mut shutdown) => return,
        }
    }
}

fn rows(event: &str, shared: &Shared, slots: impl Iterator<Item = usize>) -> Bytes {
    let now = clock::now();
    let ingest = shared.read();
    let appliances = ingest.fleet().appliances();
    let rows: Vec<_> = slots.filter_map(|slot| appliances.get(slot)).map(|one| row::of(one, now)).collect();
    drop(ingest);
    let json = serde_json::to_string(&rows).expect("rows have text keys only");
    Bytes::from(format!("event: {event}\ndata: {json}\n\n"))
}

/// Counted as long as it lives.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(watchers: &Arc<AtomicUsize>) -> Option<Self> {
        let seat = Self(Arc::clone(watchers));
        let before = watchers.fetch_add(1, Ordering::Relaxed);
        // Dropping the seat gives it back.
        (before < WATCHERS).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Stream {
    web: Arc<Web>,
    first: Option<Bytes>,
    updates: broadcast::Receiver<Bytes>,
    shutdown: watch::Receiver<bool>,
    /// What was said last of what is wrong, by event.
    said: [(&'static str, Option<String>); 2],
    _seat: Seat,
}

impl Stream {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let Troubles { way, history } = self.web.troubles();
        for ((event, said), trouble) in self.said.iter_mut().zip([way, history]) {
            if said.as_ref() != Some(&trouble) {
                let json = serde_json::to_string(&trouble).expect("a text is JSON");
                *said = Some(trouble);
                return Some(Bytes::from(format!("event: {event}\ndata: {json}\n\n")));
            }
        }
        tokio::select! {
            // Lagging ends the stream: whoever missed one update has to see all rows again.
            update = self.updates.recv() => update.ok(),
            () = tokio::time::sleep(HEARTBEAT) => {
                Some(Bytes::from(format!("event: time\ndata: {}\n\n", clock::now().utc_ms)))
            }
            () = shutdown::asked(&mut self.shutdown) => None,
        }
    }
}

pub(super) async fn live(State(web): State<Arc<Web>>) -> Response {
    let Some(seat) = Seat::take(&web.live.watchers) else {
        let what = "Too many watch already; try again later.\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")], what).into_response();
    };
    // Subscribed before the snapshot is made, so that nothing falls between the two.
    let updates = web.live.updates.subscribe();
    let shared = web.shared.clone();
    // A large fleet takes a while to write: not on a thread that serves others.
    let writing = tokio::task::spawn_blocking(move || rows("all", &shared, 0..crate::fleet::APPLIANCES));
    let all = writing.await.expect("writing rows does not panic, and is not cancelled");
    let shutdown = web.shutdown.clone();
    let said = [("trouble", None), ("history", None)];
    let stream = Stream { web, first: Some(all), updates, shutdown, said, _seat: seat };
    let body = futures_util::stream::unfold(stream, |mut stream| async move {
        let next = stream.next().await?;
        Some((Ok::<_, Infallible>(next), stream))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(body)).into_response()
}
