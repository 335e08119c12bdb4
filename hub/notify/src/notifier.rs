//! All stages together. One task owns a notifier, hands in the time, and sends what it gives.
//!
//! Sample: `StreamDown` fires at 12:00:00; its route waits a second for more; at 12:00:01 `step` gives one message for `crew`.

use rackside_alerting::{Alert, Cause, Change};
use rackside_promql::Labels;

use crate::Policy;
use crate::message::{AlertId, Outgoing};
use crate::world::World;

/// What the rules' engine says of an alert: that something has become of it, or what it holds at a moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The evaluation that said so, in milliseconds since 1970.
    pub at: i64,
    /// What the alert is known by.
    pub labels: Labels,
    /// As the rule has them.
    pub annotations: rackside_alerting::Annotations,
    /// What the expression gave.
    pub value: f64,
    /// Where it is in its life.
    pub life: rackside_alerting::Life,
    /// Why it has changed.
    pub cause: Cause,
}

impl From<&Change> for Observed {
    fn from(change: &Change) -> Self {
        Self { cause: change.cause, ..Self::of(&change.alert, change.at) }
    }
}

impl Observed {
    /// What the engine holds of an alert at `at`.
    pub fn of(alert: &Alert, at: i64) -> Self {
        Self {
            at,
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            value: alert.value,
            life: alert.life,
            cause: Cause::Result,
        }
    }
}

/// Takes alerts, gives messages.
#[derive(Debug)]
pub struct Notifier {
    policy: Policy,
}

impl Notifier {
    /// One that knows of no alert.
    pub fn new(policy: Policy) -> Self {
        Self { policy }
    }

    /// Goes by this policy from `now` on. Alerts, mutes and acknowledgements stay; groups stay whose route is still there.
    pub fn load(&mut self, policy: Policy, now: i64, world: &dyn World) {
        let _ = (now, world);
        self.policy = policy;
    }

    /// Something has become of an alert.
    pub fn told(&mut self, news: &Observed, world: &dyn World) {
        let _ = (news, world, &self.policy);
    }

    /// After a start: what the rules' engine holds, all of it, against what the book has.
    pub fn reconcile(&mut self, now: i64, all: &[Observed], world: &dyn World) {
        let _ = (now, all, world);
    }

    /// When [`Notifier::step`] has something to do next, in milliseconds since 1970; in the past, if it is late. A change of the world (a site
    /// goes on air, an appliance is gone or comes back, the uplink) is a reason to call it as well.
    pub fn due(&self) -> Option<i64> {
        None
    }

    /// Does all that is due at `now`.
    pub fn step(&mut self, now: i64, world: &dyn World) -> Vec<Outgoing> {
        let _ = (now, world);
        Vec::new()
    }

    /// Somebody has an alert in hand. Says whether there is such an alert that fires.
    pub fn acknowledge(&mut self, id: AlertId, by: &str, note: &str, now: i64) -> bool {
        let _ = (id, by, note, now);
        false
    }

    /// Nobody has it in hand any more.
    pub fn unacknowledge(&mut self, id: AlertId, now: i64) -> bool {
        let _ = (id, now);
        false
    }

    /// All that must outlast the program, as bytes.
    pub fn save(&self) -> Vec<u8> {
        Vec::new()
    }
}
