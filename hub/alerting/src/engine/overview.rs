//! How the rules fare as a whole, for whoever counts. Small, whatever the number of alerts: what each is stands in `view.rs`.
//!
//! Sample: group `box` of `box.yml`, every 15 s, 0.8 ms the last time, 240 times evaluated; 2 alerts pending, 1 firing, and of those 1 unknown.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::group::{Counts, Group};
use super::life::State;

/// All groups and alerts, counted.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Every group, as they were loaded.
    pub groups: Vec<GroupOverview>,
    /// Alerts that are pending.
    pub pending: usize,
    /// Alerts that fire.
    pub firing: usize,
    /// Those of the pending and firing of whom nobody knows whether they still hold: their appliance is silent.
    pub unknown: usize,
}

/// One group, counted.
#[derive(Clone, Debug)]
pub struct GroupOverview {
    /// Its file.
    pub file: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// From one evaluation to the next.
    pub interval: Duration,
    /// How long the newest evaluation took.
    pub took: Duration,
    /// How often it was evaluated.
    pub counts: Counts,
}

impl Engine {
    /// How all of it fares.
    pub fn overview(&self) -> Overview {
        let count = |state: State| self.active().filter(|alert| alert.life.state == state).count();
        Overview {
            groups: self.groups.iter().map(overview).collect(),
            pending: count(State::Pending),
            firing: count(State::Firing),
            unknown: self.active().filter(|alert| alert.life.unknown_since.is_some()).count(),
        }
    }
}

fn overview(group: &Group) -> GroupOverview {
    GroupOverview {
        file: Arc::clone(&group.file),
        name: Arc::clone(&group.name),
        interval: Duration::from_millis(group.interval.unsigned_abs()),
        took: group.took,
        counts: group.counts,
    }
}
