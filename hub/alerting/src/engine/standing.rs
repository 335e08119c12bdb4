//! How bad things are at an appliance, for its own lamp: the worst of the alerts that fire, and how many there are.
//!
//! An alert concerns an appliance when it names it, or names its site and no appliance. What is unknown still counts: nobody has said that it is over.
//! Not here: what people are told, which also asks who wants to know.
//!
//! Sample: `TallyLost{site="hall", appliance="rack", severity="critical"}` and `SiteSlow{site="hall"}` fire: `hall/rack` stands at critical with two,
//! `hall/desk` at warning with one.

use std::collections::HashMap;
use std::sync::Arc;

use super::Engine;
use super::alert::Severity;
use super::life::State;

/// How an appliance stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The worst of its firing alerts.
    pub worst: Option<Severity>,
    /// How many fire.
    pub firing: usize,
}

/// How all appliances stand at one moment: made in one pass over the alerts, asked as often as one likes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    sites: HashMap<Arc<str>, Site>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Site {
    /// By alerts of the site as a whole.
    whole: Standing,
    appliances: HashMap<Arc<str>, Standing>,
}

impl Standings {
    /// How one appliance stands.
    pub fn of(&self, site: &str, appliance: &str) -> Standing {
        let Some(site) = self.sites.get(site) else { return Standing::default() };
        let own = site.appliances.get(appliance).copied().unwrap_or_default();
        Standing { worst: own.worst.max(site.whole.worst), firing: own.firing + site.whole.firing }
    }
}

/// Site, appliance and severity of each alert that fires; no appliance where the site as a whole is concerned.
impl FromIterator<(Arc<str>, Arc<str>, Severity)> for Standings {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Arc<str>, Severity)>>(firing: I) -> Self {
        let mut standings = Self::default();
        for (site, appliance, severity) in firing {
            let site = standings.sites.entry(site).or_default();
            let whole = appliance.is_empty();
            let standing =
                if whole { &mut site.whole } else { site.appliances.entry(appliance).or_default() };
            standing.firing += 1;
            standing.worst = standing.worst.max(Some(severity));
        }
        standings
    }
}

impl Engine {
    /// How every appliance stands.
    pub fn standings(&self) -> Standings {
        let firing = self.active().filter(|alert| alert.life.state == State::Firing);
        let of = firing.filter_map(|alert| {
            let value = |name: &str| {
                alert.labels.iter().find(|label| *label.name == *name).map(|label| Arc::clone(&label.value))
            };
            Some((value("site")?, value("appliance").unwrap_or_default(), Severity::of(&alert.labels)))
        });
        of.collect()
    }
}
