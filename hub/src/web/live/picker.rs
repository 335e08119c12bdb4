//! Which of an appliance's series a view takes, and their newest values as JSON.
//!
//! ```json
//! {"site":"arena-north","appliance":"rack-1","time":"2026-11-20T03:24:56.120Z","series":[{"name":"rackside_load1","labels":{},"value":0.42}]}
//! ```

use super::view::Selector;
use crate::fleet::{Appliance, Listing};
use crate::json;
use rackside_promql::{Labels, METRIC_NAME};
use std::collections::HashMap;
use std::sync::Arc;

/// Takes series by selectors, and remembers which those are as long as an appliance's catalog stays the same.
#[derive(Debug)]
pub(super) struct Picker {
    selectors: Vec<Selector>,
    /// By slot: of this catalog, these positions.
    known: HashMap<usize, (Arc<Listing>, Box<[u32]>)>,
}

impl Picker {
    /// By these.
    pub(super) fn new(selectors: Vec<Selector>) -> Self {
        Self { selectors, known: HashMap::new() }
    }

    /// What it takes of the appliance in this slot; nothing if there is none.
    pub(super) fn pick(&mut self, slot: usize, appliance: &Appliance) -> Option<String> {
        let latest = appliance.shown()?.latest.as_ref()?;
        let known = self.known.get(&slot).is_some_and(|(listing, _)| Arc::ptr_eq(listing, &latest.listing));
        if !known {
            let positions = self.positions(appliance, &latest.listing);
            self.known.insert(slot, (Arc::clone(&latest.listing), positions));
        }
        let (_, positions) = self.known.get(&slot)?;
        (!positions.is_empty()).then(|| json::picked(appliance, latest, positions))
    }

    fn positions(&self, appliance: &Appliance, listing: &Listing) -> Box<[u32]> {
        let (site, rack) = (appliance.name.site.as_str(), appliance.name.appliance.as_str());
        let series = listing.series().iter().enumerate().filter(|(_, entry)| entry.served);
        let meant = series.filter(|(_, entry)| {
            let mut selectors = self.selectors.iter().filter(|one| one.may_name(&entry.name)).peekable();
            if selectors.peek().is_none() {
                return false;
            }
            let own = [(METRIC_NAME, &*entry.name), ("site", site), ("appliance", rack)];
            let others = entry.labels.iter().map(|(name, value)| (&**name, &**value));
            let labels = Labels::new(own.into_iter().chain(others));
            selectors.any(|one| one.matches(&labels))
        });
        meant.map(|(at, _)| at as u32).collect()
    }
}
