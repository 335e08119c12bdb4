//! What pages know of sites from the configuration: what people call them, where their clocks are, who sees them.
//!
//! Sample: `arena-north` is "Arena North", in Europe/Berlin, with the tag `north`; a site that no file names is called by its id and has UTC.

use super::Web;
use super::visitor::Visitor;
use crate::site::SiteConfig;
use rackside_onair::Zone;
use std::collections::BTreeMap;

/// Sites as they are configured at the moment of asking.
#[derive(Debug)]
pub(super) struct Venues(BTreeMap<String, SiteConfig>);

impl Web {
    /// The sites as they are configured now.
    pub(super) fn venues(&self) -> Venues {
        let configs = self.on_air.configs();
        let configs = configs.borrow();
        Venues(configs.iter().map(|config| (config.id.to_string(), config.clone())).collect())
    }
}

impl Venues {
    /// What the file says of a site.
    pub(super) fn config(&self, site: &str) -> Option<&SiteConfig> {
        self.0.get(site)
    }

    /// All that the file names.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &SiteConfig)> {
        self.0.iter().map(|(id, config)| (id.as_str(), config))
    }

    /// What people call it.
    pub(super) fn title(&self, site: &str) -> String {
        self.config(site).map_or_else(|| site.to_owned(), |config| config.title().to_owned())
    }

    /// Where its clocks are.
    pub(super) fn zone(&self, site: &str) -> Zone {
        self.config(site).map_or(Zone::UTC, SiteConfig::zone)
    }

    /// Whether somebody sees it. What has no site is the hub's, for those who see every site.
    pub(super) fn sees(&self, visitor: &Visitor, site: &str) -> bool {
        visitor.sees(site, self.config(site).map_or(&[], |config| &config.tags))
    }
}
