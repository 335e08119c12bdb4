//! What the rules' engine says of an alert, as the notifier takes it: that something has become of it, or what it holds at a moment.
//!
//! Sample: at 12:05:00, `SocHot{site="hall", appliance="rack"}` fires, since 12:05:00, value 78.5.

use rackside_alerting::{Alert, Annotations, Cause, Change, Life};
use rackside_promql::Labels;

/// An alert at a moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The evaluation that said so, in milliseconds since 1970.
    pub at: i64,
    /// What the alert is known by.
    pub labels: Labels,
    /// As the rule has them.
    pub annotations: Annotations,
    /// What the expression gave.
    pub value: f64,
    /// Where it is in its life.
    pub life: Life,
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
