//! What probably explains an alert, and what it explains, as messages have it.
//!
//! Sample: "arena-north/rack-1 is gone: it explains 3 alerts here."

use crate::rules::Expressions;
use crate::web::Web;
use rackside_notify::{Booked, Gone, Nowhere, SiteFacts, Uplink, World};
use rackside_onair::Zone;
use std::sync::Arc;

/// Of the surroundings a cause asks for the expressions of rules alone.
struct Rules(Arc<Expressions>);

impl World for Rules {
    fn site(&self, site: &str) -> Option<SiteFacts> {
        Nowhere.site(site)
    }

    fn tags(&self, site: &str) -> Vec<String> {
        Nowhere.tags(site)
    }

    fn zone(&self, site: &str) -> Zone {
        Nowhere.zone(site)
    }

    fn on_air(&self, site: &str) -> bool {
        Nowhere.on_air(site)
    }

    fn is_up(&self, site: &str, appliance: &str) -> Option<bool> {
        Nowhere.is_up(site, appliance)
    }

    fn gone(&self) -> Vec<Gone> {
        Nowhere.gone()
    }

    fn fleet(&self) -> usize {
        Nowhere.fleet()
    }

    fn uplink(&self) -> Uplink {
        Nowhere.uplink()
    }

    fn query(&self, alert: &str) -> String {
        self.0.get(alert).map_or_else(String::new, ToString::to_string)
    }
}

/// In a sentence, or nothing.
pub(super) fn cause(web: &Web, alert: &Booked) -> Vec<String> {
    if !alert.fires() {
        return Vec::new();
    }
    let rules = Rules(Arc::clone(&web.rules.expressions().borrow()));
    let found = web.notifications.look(|notifier, _| notifier.cause(alert.id, &rules));
    let Some((text, explains, is_itself)) = found else { return Vec::new() };
    let alerts = if explains == 1 { "1 alert".to_owned() } else { format!("{explains} alerts") };
    vec![if is_itself {
        format!("This explains {alerts} here.")
    } else {
        format!("{text}: it explains {alerts} here.")
    }]
}
