//! Whether the hub itself can reach the world. When half the fleet is gone at once, the cut may be on the hub's side.
//!
//! Asked, not watched: nothing is sent while nobody wants to know. An answer holds for ten seconds; whoever asks after that hears "checking", and is
//! rung for when the new one is there. One of the places that answers is enough. With no place to try beyond this machine, nobody can say that anything is wrong.
//!
//! ```text
//! state() = Checking ─▶ connect hooks.example.org:443, 198.51.100.7:53 ─▶ one took it: Well │ none within 2 s: Down
//! ```

use crate::clock::{self, Now};
use rackside_notify::Uplink;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// An answer is good for so long.
const HOLDS: Duration = Duration::from_secs(10);
/// A place that has not answered by then does not. News of somebody gone waits for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Places that are tried; more say nothing more.
const MOST: usize = 8;

/// Who checks, and what came of it.
#[derive(Clone)]
pub(super) struct Check(Arc<Inner>);

struct Inner {
    runtime: Handle,
    /// Rung when there is an answer.
    ring: Box<dyn Fn() + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `host:port`, each.
    places: Vec<String>,
    /// The newest answer, and when it came.
    answer: Option<(Now, bool)>,
    /// When the newest bad one came.
    down: Option<Instant>,
    /// A check is on its way.
    checking: bool,
}

impl Check {
    /// Checks on this runtime, and rings when it has an answer.
    pub(super) fn new(runtime: Handle, ring: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { runtime, ring: Box::new(ring), state: Mutex::default() }))
    }

    /// From now on these places are tried. What was answered for others holds no more.
    pub(super) fn set(&self, mut places: Vec<String>) {
        places.sort();
        places.dedup();
        places.truncate(MOST);
        let mut state = self.0.state();
        if state.places != places {
            (state.places, state.answer) = (places, None);
        }
    }

    /// When it was last found to be down.
    pub(super) fn was_down(&self) -> Option<Instant> {
        self.0.state().down
    }

    /// How it stands.
    pub(super) fn state(&self, now: Now) -> Uplink {
        let mut state = self.0.state();
        if state.places.is_empty() {
            return Uplink::Well;
        }
        match state.answer {
            Some((at, true)) if now.since(at.instant) < HOLDS => Uplink::Well,
            Some((at, false)) if now.since(at.instant) < HOLDS => Uplink::Down,
            _ => {
                if !state.checking {
                    state.checking = true;
                    let (inner, places) = (Arc::clone(&self.0), state.places.clone());
                    self.0.runtime.spawn(async move {
                        let reached = any(&places).await;
                        inner.answered(&places, reached);
                    });
                }
                Uplink::Checking
            }
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self, places: &[String], reached: bool) {
        let mut state = self.state();
        state.checking = false;
        if state.places == places {
            let now = clock::now();
            state.answer = Some((now, reached));
            if !reached {
                state.down = Some(now.instant);
                log::warn!("the hub's own uplink: none of {} takes a connection", places.join(", "));
            }
        }
        drop(state);
        (self.ring)();
    }
}

/// Whether one of them takes a connection.
async fn any(places: &[String]) -> bool {
    let mut tries = JoinSet::new();
    for place in places.iter().cloned() {
        tries.spawn(async move {
            tokio::time::timeout(PATIENCE, TcpStream::connect(place)).await.is_ok_and(|tried| tried.is_ok())
        });
    }
    while let Some(tried) = tries.join_next().await {
        if tried.unwrap_or(false) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    async fn place() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        (listener, address)
    }

    fn check() -> (Check, mpsc::UnboundedReceiver<()>) {
        let (bell, rung) = mpsc::unbounded_channel();
        let check = Check::new(Handle::current(), move || bell.send(()).expect("the test listens"));
        (check, rung)
    }

    #[tokio::test]
    async fn one_place_that_answers_is_enough_and_none_is_down() {
        let (check, mut rung) = check();
        let now = clock::now();
        assert_eq!(check.state(now), Uplink::Well, "there is nothing to try");
        let (listener, open) = place().await;
        let closed = place().await.1;
        check.set(vec![closed.clone(), open.clone()]);
        assert_eq!(check.state(now), Uplink::Checking);
        rung.recv().await.expect("it rings");
        assert_eq!(check.state(clock::now()), Uplink::Well);
        drop(listener);
        assert_eq!(check.state(clock::now()), Uplink::Well, "the answer holds for a while");
        assert_eq!(check.state(clock::now().plus(HOLDS)), Uplink::Checking);
        rung.recv().await.expect("it rings again");
        assert_eq!(check.state(clock::now()), Uplink::Down);
        check.set(vec![open, closed]);
        assert_eq!(check.state(clock::now()), Uplink::Down, "the same places");
        check.set(Vec::new());
        assert_eq!(check.state(clock::now()), Uplink::Well);
    }
}
