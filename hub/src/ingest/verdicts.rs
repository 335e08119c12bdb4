//! Verdicts: what the hub thinks of an appliance, sent to it for its LED.
//!
//! Sent when the appliance is born or heard again, at once when how it stands changes, and every third of the time for which it holds. An appliance
//! that is down gets none: it gets one when it is heard. How each stands comes from the rules in one piece ([`Ingest::stand`]), beginning with
//! what they have restored, so that a hub that has just started thinks no better of anybody than the one before it.
//!
//! Sample: `{severity: critical, firing: 2, valid_s: 90}`, again after 30 s.

use super::Ingest;
use crate::clock::Now;
use rackside_alerting::Standings;
use rackside_proto::{AgentName, Channel, Severity, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// How long a verdict holds; longer where readings come rarely, since a line that they spare is to be spared here as well.
pub const VERDICT_VALID: Duration = Duration::from_secs(90);

impl Ingest {
    /// How everybody stands from now on. Who is up and stands differently is told at once.
    pub fn stand(&mut self, standings: Arc<Standings>, now: Now) {
        let before = std::mem::replace(&mut self.standings, standings);
        for slot in 0..self.custody.len() {
            let appliance = &self.fleet.appliances()[slot];
            if told(&before, &appliance.name) == told(&self.standings, &appliance.name) {
                continue;
            }
            if appliance.state.is_up() {
                self.verdict(slot, now);
            } else if let Some(due) = self.custody[slot].verdict_due.take() {
                // What it was told last holds no more: the next that is heard of it is answered.
                self.verdicts.remove(&(due, slot));
            }
        }
    }

    /// Sends an appliance its verdict; the next one is due after a third of the time for which it holds.
    pub(super) fn verdict(&mut self, slot: usize, now: Now) {
        let appliance = &self.fleet.appliances()[slot];
        let valid = VERDICT_VALID.max(appliance.interval() * 3);
        let (severity, firing) = told(&self.standings, &appliance.name);
        let verdict = Verdict { severity, firing, valid_s: valid.as_secs() as u32 };
        let mut body = Vec::with_capacity(8);
        verdict.encode(&mut body).expect("a Vec takes a verdict of any size");
        self.counts.verdicts += 1;
        self.send(slot, Channel::Verdict, body);
        let due = now.instant + valid / 3;
        if let Some(before) = self.custody[slot].verdict_due.replace(due) {
            self.verdicts.remove(&(before, slot));
        }
        self.verdicts.insert((due, slot));
    }
}

/// How an appliance stands, in the words of the wire.
fn told(standings: &Standings, name: &AgentName) -> (Severity, u32) {
    let standing = standings.of(name.site.as_str(), name.appliance.as_str());
    let severity = match standing.worst {
        None => Severity::Well,
        Some(rackside_alerting::Severity::Info) => Severity::Info,
        Some(rackside_alerting::Severity::Warning) => Severity::Warning,
        Some(rackside_alerting::Severity::Critical) => Severity::Critical,
    };
    (severity, u32::try_from(standing.firing).unwrap_or(u32::MAX))
}
