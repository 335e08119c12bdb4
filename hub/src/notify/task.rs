//! The thread that owns the notifier's turns: tells it the news, lets it do what is due, keeps what came of it.

use super::inbox::Letters;
use super::step::Watchman;
use super::uplink::Check;
use super::world::Surroundings;
use super::{Ground, Notifications, address};
use crate::clock;
use rackside_notify::{Observed, Outgoing, Policy};
use std::time::Duration;
use tokio::runtime::Handle;

/// The thread looks at least this often how the world is: sites go on air, appliances come and go, clocks are set.
const LOOK: Duration = Duration::from_secs(1);

/// The thread's own.
pub(super) struct Thread {
    notifications: Notifications,
    surroundings: Surroundings,
    /// What the rules hold at the start.
    held: Vec<Observed>,
    /// The revision of the book that was kept last.
    kept: Option<u64>,
    watchman: Watchman,
}

impl Thread {
    pub(super) fn new(notifications: Notifications, ground: Ground) -> Self {
        let Ground { shared, on_air, way, rules, inbox, identities, .. } = ground;
        let uplink = Check::new(Handle::current(), move || inbox.ring());
        uplink.set(places(notifications.notifier().policy()));
        let mut surroundings =
            Surroundings::new(shared, on_air, way, uplink, rules.expressions(), clock::now());
        surroundings.identities = identities;
        let held = rules.observed(clock::now().utc_ms as i64);
        let watchman = Watchman::new(clock::now());
        let mut thread = Self { notifications, surroundings, held, kept: None, watchman };
        thread.reconcile();
        thread
    }

    /// What the rules hold against what the book has: nothing is missed if the hub died between the two.
    fn reconcile(&mut self) {
        let now = clock::now();
        let held = std::mem::take(&mut self.held);
        let world = self.surroundings.at(now);
        self.notifications.notifier().reconcile(now.utc_ms as i64, &held, &world);
    }

    pub(super) fn run(mut self) {
        loop {
            let letters = self.wait();
            self.notifications.turn().turn(clock::now());
            let stops = letters.stops;
            let outgoing = self.turn(letters);
            self.keep(outgoing);
            if stops {
                return;
            }
        }
    }

    /// Waits until something is to be done, or for a second.
    fn wait(&self) -> Letters {
        let due = self.notifications.notifier().due();
        let now = clock::now().utc_ms as i64;
        let wait = due.map_or(LOOK, |due| Duration::from_millis(due.saturating_sub(now).max(0) as u64));
        self.notifications.0.inbox.wait(wait.min(LOOK))
    }

    /// One turn of the notifier. One that ends tells nothing more: what is due is due again when the hub is back.
    fn turn(&mut self, letters: Letters) -> Vec<Outgoing> {
        let now = clock::now();
        let at = now.utc_ms as i64;
        if let Some(policy) = &letters.policy {
            self.surroundings.uplink.set(places(policy));
        }
        let world = self.surroundings.at(now);
        let mut notifier = self.notifications.notifier();
        if let Some(step) = self.watchman.look(now) {
            log::warn!(
                "the clock was set by {} s; what is waited for comes as late as it would have",
                step.by / 1000
            );
            notifier.clock_stepped(step.by, at);
        }
        if let Some(policy) = letters.policy {
            notifier.load(policy, at, &world);
        }
        for news in &letters.news {
            notifier.told(news, &world);
        }
        if letters.stops { Vec::new() } else { notifier.step(at, &world) }
    }

    /// Keeps the book, and the messages that it made, both or neither; nothing, if both are as they were.
    fn keep(&mut self, outgoing: Vec<Outgoing>) {
        let (revision, book) = {
            let notifier = self.notifications.notifier();
            let revision = Some(notifier.revision());
            if revision == self.kept && outgoing.is_empty() {
                return;
            }
            (revision, notifier.save())
        };
        let office = self.notifications.office();
        office.outbox().commit(&book, &office.spread(outgoing), clock::now().utc_ms as i64);
        self.kept = revision;
    }
}

/// What says whether the hub reaches anything.
fn places(policy: &Policy) -> Vec<String> {
    let of_receivers = || policy.receivers.iter().flat_map(|one| address::places(one, policy)).collect();
    policy.uplink.clone().unwrap_or_else(of_receivers)
}
