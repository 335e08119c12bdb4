//! What a roll-out wants to know of each appliance, looked up once for a pass.

use super::Hand;
use super::task::Ground;
use crate::clock::Now;
use rackside_notify::Severity;
use rackside_proto::{AgentName, Id};
use rackside_rollout::{Alarm, Sight};
use std::collections::{BTreeMap, BTreeSet};

/// How everybody is at one moment.
#[derive(Debug, Default)]
pub(super) struct Sights {
    up: BTreeSet<AgentName>,
    /// Of sites: whether it is on air, whether its racks are meant to have power.
    sites: BTreeMap<Id, (bool, bool)>,
    alerts: BTreeMap<(String, String), Vec<Alarm>>,
}

impl Sights {
    pub(super) fn look(ground: &Ground, now: Now) -> Self {
        let up = {
            let ingest = ground.shared.read();
            let all = ingest.fleet().appliances().iter();
            all.filter(|appliance| appliance.state.is_up()).map(|appliance| appliance.name.clone()).collect()
        };
        let alerts = ground.notifications.look(|notifier, _| {
            let mut alerts: BTreeMap<_, Vec<Alarm>> = BTreeMap::new();
            for alert in
                notifier.alerts().filter(|alert| alert.counts_as_firing() && !alert.appliance().is_empty())
            {
                let of = (alert.site().to_owned(), alert.appliance().to_owned());
                alerts.entry(of).or_default().push(Alarm {
                    key: alert.id.to_string(),
                    name: alert.name().to_owned(),
                    is_critical: alert.severity >= Severity::Critical,
                });
            }
            alerts
        });
        let mut sites = BTreeMap::new();
        ground.on_air.each(|id, _| {
            sites.insert(id.clone(), (false, true));
        });
        for (id, of) in &mut sites {
            if let Some(view) = ground.on_air.view(id, now) {
                *of = (view.on_air(), view.power_expected);
            }
        }
        Self { up, sites, alerts }
    }

    pub(super) fn of(&self, name: &AgentName, hand: Option<&dyn Hand>) -> Sight {
        let (is_on_air, has_power) = self.sites.get(&name.site).copied().unwrap_or((false, true));
        let (revision, outcome) = hand.and_then(|hand| hand.became(name)).unwrap_or_default();
        let of = (name.site.to_string(), name.appliance.to_string());
        Sight {
            is_up: self.up.contains(name),
            is_on_air,
            is_off: !has_power && !self.up.contains(name),
            outcome,
            revision,
            alerts: self.alerts.get(&of).cloned().unwrap_or_default(),
        }
    }
}
