//! A world of a table: what a story says of sites, appliances and the uplink.

use std::collections::BTreeMap;

use rackside_notify::{Gone, SiteFacts, Uplink, World};
use rackside_onair::Zone;

/// One site.
#[derive(Debug, Clone, Default)]
pub(crate) struct Site {
    pub(crate) on_air: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) zone: Option<Zone>,
}

/// What a story says at a moment.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) sites: BTreeMap<String, Site>,
    /// Since when an appliance is gone; none, if it is up.
    pub(crate) appliances: BTreeMap<(String, String), Option<i64>>,
    pub(crate) fleet: usize,
    pub(crate) uplink: Uplink,
}

impl Default for Told {
    fn default() -> Self {
        Self { sites: BTreeMap::new(), appliances: BTreeMap::new(), fleet: 1000, uplink: Uplink::Well }
    }
}

impl World for Told {
    fn site(&self, site: &str) -> Option<SiteFacts> {
        Some(SiteFacts { id: site.to_owned(), on_air: self.on_air(site), ..SiteFacts::default() })
    }

    fn tags(&self, site: &str) -> Vec<String> {
        self.sites.get(site).map(|site| site.tags.clone()).unwrap_or_default()
    }

    fn zone(&self, site: &str) -> Zone {
        self.sites.get(site).and_then(|site| site.zone).unwrap_or(Zone::UTC)
    }

    fn on_air(&self, site: &str) -> bool {
        self.sites.get(site).is_some_and(|site| site.on_air)
    }

    fn is_up(&self, site: &str, appliance: &str) -> Option<bool> {
        self.appliances.get(&(site.to_owned(), appliance.to_owned())).map(Option::is_none)
    }

    fn gone(&self) -> Vec<Gone> {
        let gone = |((site, appliance), at): (&(String, String), &Option<i64>)| {
            Some(Gone { site: site.clone(), appliance: appliance.clone(), at: (*at)? })
        };
        self.appliances.iter().filter_map(gone).collect()
    }

    fn fleet(&self) -> usize {
        self.fleet
    }

    fn uplink(&self) -> Uplink {
        self.uplink
    }
}
