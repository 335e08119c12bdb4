//! What the hub tells about its notifications on `/metrics`.

use super::Notifications;
use crate::clock::Now;
use crate::text::{Kind, Sink};
use rackside_receivers::worker::ReceiverStatus;

impl Notifications {
    /// Writes it.
    pub(crate) fn write(&self, text: &mut dyn Sink, now: Now) {
        let receivers = self.office().couriers().status();
        let name = "rackside_hub_notifications_total";
        let help = "Messages to a receiver, by what came of them: delivered, retried (once more each time), refused by it, given up";
        text.family(name, Kind::Counter, "", help);
        for one in &receivers {
            let outcomes = [
                ("delivered", one.delivered),
                ("retried", one.retries),
                ("refused", one.refused),
                ("given_up", one.given_up),
            ];
            for (outcome, count) in outcomes {
                text.sample(name, &[("receiver", &one.name), ("outcome", outcome)], count as f64);
            }
        }
        let mut of_each = |name, unit, help, value: &dyn Fn(&ReceiverStatus) -> f64| {
            text.family(name, Kind::Gauge, unit, help);
            for one in &receivers {
                text.sample(name, &[("receiver", &one.name)], value(one));
            }
        };
        let help = "Messages that wait for a receiver";
        of_each("rackside_hub_notifications_queued", "", help, &|one| one.queued as f64);
        let help = "How long the first message that waits for a receiver has waited; 0 while none does";
        of_each("rackside_hub_notification_oldest_age_seconds", "seconds", help, &|one| {
            let waits = |since: i64| (now.utc_ms as i64).saturating_sub(since).max(0) as f64 / 1000.0;
            one.oldest.map_or(0.0, waits)
        });
        let is_kept = self.office().outbox().trouble().is_none();
        let help =
            "1 while messages that wait are written to notify.db, else 0: then they wait in memory only";
        text.gauge("rackside_hub_notifications_kept_up", "", help, f64::from(u8::from(is_kept)));
    }
}
