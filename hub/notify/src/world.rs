//! What the notifier asks of its surroundings. The hub answers from memory; a test answers from a table.
//!
//! Sample: site `hall` is on air, its appliance `rack` is up, the hub's own uplink is well.

use rackside_onair::Zone;

use crate::message::SiteFacts;

/// The surroundings at the moment of a call.
pub trait World {
    /// What is known of a site; none, if it is not configured and nobody of it was ever heard.
    fn site(&self, site: &str) -> Option<SiteFacts>;

    /// The words that the site is found by.
    fn tags(&self, site: &str) -> Vec<String>;

    /// Where its clocks are.
    fn zone(&self, site: &str) -> Zone;

    /// Whether it is on air.
    fn on_air(&self, site: &str) -> bool;

    /// Whether an appliance is heard; none, if there is no such appliance or nobody can say (yet).
    fn is_up(&self, site: &str, appliance: &str) -> Option<bool>;

    /// Whether nobody can say for the moment that an appliance is gone, though it is not heard, and soon will: nobody can be heard, or appliances
    /// are just coming back.
    fn is_unsure(&self, site: &str, appliance: &str) -> bool {
        let _ = (site, appliance);
        false
    }

    /// Whether an appliance is being set up, so that nobody is to be told of it yet.
    fn is_being_set_up(&self, site: &str, appliance: &str) -> bool {
        let _ = (site, appliance);
        false
    }

    /// Every appliance that is gone, in service and was not switched off by plan; none of them, while nobody can say.
    fn gone(&self) -> Vec<Gone>;

    /// How many sites there are.
    fn fleet(&self) -> usize;

    /// Whether the hub itself can reach the world. It is asked only when the answer counts, so asking may be what begins a check.
    fn uplink(&self) -> Uplink;

    /// The expression of the rule that made an alert of this name; empty, if there is none.
    fn query(&self, alert: &str) -> String {
        let _ = alert;
        String::new()
    }
}

/// Surroundings in which nothing is known and nothing is wrong: for a message that depends on none.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

impl World for Nowhere {
    fn site(&self, _: &str) -> Option<SiteFacts> {
        None
    }

    fn tags(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn zone(&self, _: &str) -> Zone {
        Zone::UTC
    }

    fn on_air(&self, _: &str) -> bool {
        false
    }

    fn is_up(&self, _: &str, _: &str) -> Option<bool> {
        None
    }

    fn gone(&self) -> Vec<Gone> {
        Vec::new()
    }

    fn fleet(&self) -> usize {
        0
    }

    fn uplink(&self) -> Uplink {
        Uplink::Well
    }
}

/// An appliance that is gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gone {
    /// Its site.
    pub site: String,
    /// Its name there.
    pub appliance: String,
    /// Since when, in milliseconds since 1970.
    pub at: i64,
}

/// The hub's own way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uplink {
    /// It reaches what it should reach.
    Well,
    /// It has just begun to look.
    Checking,
    /// It reaches nothing: whoever is gone may be well.
    Down,
}
