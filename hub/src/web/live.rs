//! `/api/live`: what changes, as Server-Sent Events.
//!
//! First `event: all` with every appliance, then `event: rows` with those that changed, at most four times a second, and
//! after 10 s without either `event: time` with the hub's clock: the line is alive. Whenever it changed since the event
//! before, `event: sites` has sites whose name, on-air state or own alerts changed (all of them first), `event: trouble` says why no telemetry can come in, or "" when it can, and `event: history` why history cannot be
//! written. A client that does not keep up is let go: it comes back by itself and is told everything anew.
//!
//! ```text
//! event: rows
//! data: [{"site":"arena-north","appliance":"rack-1","up":true,...}]
//! ```

use super::around::{Around, Venue};
use super::{Troubles, Web, page, row};
use crate::clock;
use crate::ingest::Ingest;
use crate::ingest::task::Watcher;
use crate::shutdown;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rackside_pages::fleet::Group;
use rackside_proto::AgentName;
use serde::Serialize;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::MissedTickBehavior;

/// Most clients at once.
const WATCHERS: usize = 256;
/// Updates that may wait for a slow client.
const BEHIND: usize = 16;
/// Changes are gathered for so long.
const GATHER: Duration = Duration::from_millis(250);
/// What fires and who is on air is looked at this often.
const LOOK: Duration = Duration::from_secs(1);
/// The time is told this often when nothing changes: proxies close lines that say nothing, and a page wants to know.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Who watches live.
#[derive(Debug, Clone)]
pub struct Live {
    updates: broadcast::Sender<Bytes>,
    watchers: Arc<AtomicUsize>,
    /// Where rows are made: there is none before the pages are served, and nobody watches.
    web: Arc<OnceLock<Weak<Web>>>,
}

/// Gathers changes for those who watch.
#[derive(Debug)]
pub struct Updates {
    changed: mpsc::UnboundedSender<Vec<usize>>,
    live: Live,
}

impl Live {
    /// Nobody watches yet. [`Updates`] goes to ingest.
    pub fn start(shutdown: watch::Receiver<bool>) -> (Self, Updates) {
        let (updates, watchers) = (broadcast::channel(BEHIND).0, Arc::default());
        let live = Self { updates, watchers, web: Arc::default() };
        // Unbounded is bounded here: the gatherer empties it four times a second, and a slot is a number.
        let (changed, gathered) = mpsc::unbounded_channel();
        tokio::spawn(gather(gathered, live.clone(), shutdown));
        (live.clone(), Updates { changed, live })
    }

    /// Rows are made there.
    pub(super) fn attend(&self, web: Weak<Web>) {
        // There is one hub in a program, and it has one set of pages.
        let _ = self.web.set(web);
    }

    fn web(&self) -> Option<Arc<Web>> {
        self.web.get()?.upgrade().filter(|_| self.watchers() > 0)
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
    mut gathered: mpsc::UnboundedReceiver<Vec<usize>>,
    live: Live,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut tick = tokio::time::interval(GATHER);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<Around> = None;
    loop {
        let mut slots = BTreeSet::new();
        tokio::select! {
            first = gathered.recv() => {
                let Some(first) = first else { return };
                slots.extend(first);
                tick.tick().await;
                while let Ok(more) = gathered.try_recv() {
                    slots.extend(more);
                }
            }
            _ = look.tick() => {}
            () = shutdown::asked(&mut shutdown) => return,
        }
        // What was so when nobody watched says nothing of what has changed since.
        let Some(web) = live.web() else {
            before = None;
            continue;
        };
        let telling = tokio::task::spawn_blocking(move || tell(&web, slots, before));
        let (events, around) = telling.await.expect("writing rows does not panic, and is not cancelled");
        before = Some(around);
        for event in events {
            // Nobody to tell is no error.
            let _ = live.updates.send(event);
        }
    }
}

/// What is new: the rows of `slots` and of those of which something else fires than before, and sites.
fn tell(web: &Web, mut slots: BTreeSet<usize>, before: Option<Around>) -> (Vec<Bytes>, Around) {
    let now = clock::now();
    let around = web.around(now);
    let mut events = Vec::new();
    if let Some(before) = before {
        let ingest = web.shared.read();
        let names = around
            .differing(&before)
            .into_iter()
            .filter_map(|(site, appliance)| AgentName::new(site, appliance).ok());
        slots.extend(names.filter_map(|name| ingest.fleet().slot(&name)));
        let heads = |(site, venue): (&String, &Venue)| {
            (before.venue(site) != Some(venue)).then(|| page::group(site, Some(venue), Vec::new()))
        };
        let heads: Vec<Group> = around.venues().iter().filter_map(heads).collect();
        if !heads.is_empty() {
            events.push(event("sites", &heads));
        }
    }
    if !slots.is_empty() {
        events.push(rows("rows", web, &around, slots.into_iter()));
    }
    (events, around)
}

fn rows(name: &str, web: &Web, around: &Around, slots: impl Iterator<Item = usize>) -> Bytes {
    let now = clock::now();
    let ingest = web.shared.read();
    let appliances = ingest.fleet().appliances();
    let rows: Vec<_> =
        slots.filter_map(|slot| appliances.get(slot)).map(|one| row::of(one, now, around)).collect();
    drop(ingest);
    event(name, &rows)
}

fn event<T: Serialize>(name: &str, data: &T) -> Bytes {
    let json = serde_json::to_string(data).expect("what pages show has text keys only");
    Bytes::from(format!("event: {name}\ndata: {json}\n\n"))
}

/// Every appliance, then every site.
fn everything(web: &Web) -> Vec<Bytes> {
    let around = web.around(clock::now());
    let heads: Vec<Group> =
        around.venues().iter().map(|(site, venue)| page::group(site, Some(venue), Vec::new())).collect();
    vec![rows("all", web, &around, 0..crate::fleet::APPLIANCES), event("sites", &heads)]
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
    first: std::vec::IntoIter<Bytes>,
    updates: broadcast::Receiver<Bytes>,
    shutdown: watch::Receiver<bool>,
    /// What was said last of what is wrong, by event.
    said: [(&'static str, Option<String>); 2],
    _seat: Seat,
}

impl Stream {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.next() {
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
    let of = Arc::clone(&web);
    // A large fleet takes a while to write: not on a thread that serves others.
    let writing = tokio::task::spawn_blocking(move || everything(&of));
    let first = writing.await.expect("writing rows does not panic, and is not cancelled").into_iter();
    let shutdown = web.shutdown.clone();
    let said = [("trouble", None), ("history", None)];
    let stream = Stream { web, first, updates, shutdown, said, _seat: seat };
    let body = futures_util::stream::unfold(stream, |mut stream| async move {
        let next = stream.next().await?;
        Some((Ok::<_, Infallible>(next), stream))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(body)).into_response()
}
