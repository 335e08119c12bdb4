//! Whether the hub works, for the systemd that started it: its one line, and its signs of life.
//!
//! A sign of life says that all who must turn do turn: the runtime (this is a task of it), ingest (it never leaves undone for
//! long what is due), and the threads that write the history, evaluate rules and make messages of alerts. A disk that is full is no reason to be killed: the thread goes on to try,
//! and `/health/readiness` says so. A disk that gives no answer at all, or a thread that hangs, is one: nothing in this process will end
//! that, every record is still with its agent, and a hub that is started anew either works or says why it cannot open its history.

use crate::clock::{self, Now};
use crate::ingest::task::Shared;
use crate::storage::Status;
use crate::turns::Turns;
use crate::web::{self, WayIn};
use rackside_systemd::Systemd;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Longer than a commit of the largest batch takes on the slowest disk that is any good.
const STILL: Duration = Duration::from_secs(30);
/// How often it looks. Ingest and the history's thread wake once a second anyway.
const LOOK: Duration = Duration::from_secs(2);

/// What can be felt of a running hub.
#[derive(Clone)]
pub(crate) struct Pulse {
    shared: Shared,
    way: Arc<dyn WayIn>,
    history: Status,
    turns: Turns,
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse").field("way", &self.way.address()).finish_non_exhaustive()
    }
}

impl Pulse {
    pub(crate) fn new(shared: Shared, way: Arc<dyn WayIn>, history: Status, turns: Turns) -> Self {
        Self { shared, way, history, turns }
    }

    /// Tells systemd how things are, again and again; never returns. `systemd` is not borrowed while this waits.
    pub(crate) async fn beat(&self, systemd: &RefCell<Systemd>) {
        loop {
            let now = clock::now();
            let line = web::ready(self.way.as_ref(), &self.history, &self.turns, now).1;
            {
                let mut systemd = systemd.borrow_mut();
                systemd.status(&line);
                if self.is_alive(now) { systemd.alive(now.instant) } else { systemd.tell() }
            }
            let half = systemd.borrow().watchdog().map_or(LOOK, |most| most / 2);
            tokio::time::sleep(LOOK.min(half)).await;
        }
    }

    fn is_alive(&self, now: Now) -> bool {
        let ingest = self.shared.read().due();
        let all_turn =
            [Some(ingest), self.history.turned()].into_iter().flatten().all(|then| now.since(then) < STILL);
        all_turn && self.turns.trouble(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Ingest;
    use crate::text::Sink;
    use rackside_proto::Prefix;

    struct Way;

    impl WayIn for Way {
        fn ready(&self) -> (bool, String) {
            (true, "agents can come in".to_owned())
        }

        fn write(&self, _: &mut dyn Sink) {}

        fn address(&self) -> String {
            String::new()
        }

        fn is_broker(&self) -> bool {
            false
        }
    }

    /// A hub of which nothing turns but what the test turns.
    fn pulse(directory: &tempfile::TempDir, now: Now) -> Pulse {
        let config = crate::storage::HistoryConfig::default();
        let store = crate::storage::open(directory.path(), &config, now.utc_ms).expect("it opens");
        let ingest = Ingest::new(Prefix::default(), 1, Arc::new(store.reader()), now);
        Pulse::new(Shared::new(ingest), Arc::new(Way), Status::new(directory.path().into()), Turns::new(now))
    }

    #[test]
    fn a_hub_is_alive_while_ingest_and_the_historys_thread_turn() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let now = clock::now();
        let pulse = pulse(&directory, now);
        let others = [pulse.turns.rules.clone(), pulse.turns.notifications.clone()];
        pulse.history.turn(now);
        assert!(pulse.is_alive(now.plus(STILL / 2)));
        for turn in others {
            turn.turn(now.plus(2 * STILL));
        }
        assert!(!pulse.is_alive(now.plus(2 * STILL)), "nobody turned");
        pulse.history.turn(now.plus(2 * STILL));
        assert!(!pulse.is_alive(now.plus(2 * STILL)), "ingest did not");
        pulse.shared.tick(now.plus(2 * STILL));
        assert!(pulse.is_alive(now.plus(2 * STILL)));
        pulse.shared.tick(now.plus(3 * STILL));
        assert!(!pulse.is_alive(now.plus(3 * STILL)), "the history's thread hangs");
    }

    #[test]
    fn a_hub_whose_rules_or_notifications_hang_is_not_alive_and_says_so() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let begun = clock::now();
        let pulse = pulse(&directory, begun);
        let later = begun.plus(Duration::from_secs(70));
        let looks = |turned: &[&crate::turns::Turn]| {
            pulse.history.turn(later);
            pulse.shared.tick(later);
            for turn in turned {
                turn.turn(later);
            }
            (pulse.is_alive(later), web::ready(pulse.way.as_ref(), &pulse.history, &pulse.turns, later))
        };
        let (is_alive, (is_ready, line)) = looks(&[]);
        assert!(!is_alive && !is_ready && line.contains("rules") && line.contains("notifications"), "{line}");
        let (is_alive, (is_ready, line)) = looks(&[&pulse.turns.rules]);
        assert!(!is_alive && !is_ready && line.contains("nobody is told of alerts"), "{line}");
        assert_eq!(looks(&[&pulse.turns.notifications]), (true, (true, "agents can come in".to_owned())));
    }

    #[test]
    fn a_full_disk_is_no_reason_to_die() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let now = clock::now();
        let pulse = pulse(&directory, now);
        pulse.history.writing(now);
        pulse.history.failed(&rackside_history::StoreError::Full { path: "history.db".into() }, now);
        pulse.history.turn(now);
        assert!(pulse.is_alive(now));
        let line = web::ready(pulse.way.as_ref(), &pulse.history, &pulse.turns, now).1;
        assert!(line.contains("the disk is full; make room"), "{line}");
    }
}
