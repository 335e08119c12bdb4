//! What the hub saw itself, for the log: an agent that started, that came and went, whose series are others than before.
//!
//! A start is told once a run, whoever hears of it first: when its account is opened and none was stored. A run that is heard again, since its line or the hub was
//! away, is no start. What the fleet did not know before the hub started is not told as new.
//!
//! ```text
//! agent/start    arena-north/rack-1   0.2.0 (before: 0.1.0), run 1f2e3d4c
//! agent/link     arena-north/rack-1   will; nothing when it is heard again
//! agent/series   arena-north/rack-1   new: rackside_disk_used_bytes{mount="/media/usb"}
//! hub/start      of the hub itself    0.1.0
//! ```

use super::{ACK_WITHIN, Ingest};
use crate::clock::Now;
use crate::fleet::{Listing, State, Turn};
use rackside_history::Note;
use rackside_proto::{AgentName, Run};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

/// While an agent gets to know what there is, its list of series grows: nothing that anybody has changed.
const SETTLES: Duration = Duration::from_mins(2);
/// Series that are named; more are counted.
const NAMED: usize = 4;
/// Most characters of a text.
const TEXT: usize = 400;

impl Ingest {
    /// Something about the hub itself.
    pub(super) fn note_of_hub(&mut self, subject: &'static str, text: &str, now: Now) {
        self.note(None, subject, text, now);
    }

    /// Something about an appliance that the hub knows from elsewhere: `agent/service`.
    pub(super) fn note_of(&mut self, name: &AgentName, subject: &'static str, text: &str, now: Now) {
        if let Some(slot) = self.fleet.slot(name) {
            self.note(Some(slot), subject, text, now);
        }
    }

    fn note(&mut self, slot: Option<usize>, subject: &'static str, text: &str, now: Now) {
        let agent = slot.map(|slot| self.fleet.appliances()[slot].name.clone());
        let text = text.chars().take(TEXT).collect();
        let note = Note { agent, at_ms: now.utc_ms, subject, text };
        if !self.waiting.push_note(note, now.instant + ACK_WITHIN) {
            log::debug!("{subject} is not in the log: too much waits for the disk");
        }
    }

    /// Who came and who went, since this was last asked.
    pub(super) fn note_turns(&mut self, now: Now) {
        for Turn { slot, from, to } in self.fleet.take_turns() {
            let shown = self.fleet.appliances()[slot].shown().map(|run| run.run);
            match (from, to) {
                (State::Unknown, State::Up) => {}
                // Whether it has started or is heard again, its account says.
                (_, State::Up) if !shown.is_some_and(|run| self.custody[slot].knows(run)) => {
                    self.custody[slot].is_back = true;
                }
                (_, State::Up) => self.note(Some(slot), "agent/link", "", now),
                (_, gone) => self.note(Some(slot), "agent/link", gone.as_str(), now),
            }
        }
    }

    /// The account of a run was opened; `is_new`, if nothing was stored of it.
    pub(super) fn note_opened(&mut self, slot: usize, run: Run, is_new: bool, now: Now) {
        let is_back = std::mem::take(&mut self.custody[slot].is_back);
        if is_new {
            self.custody[slot].started = Some((run, now.instant));
            let text = self.start_of(slot, run);
            self.note(Some(slot), "agent/start", &text, now);
        } else if is_back {
            self.note(Some(slot), "agent/link", "", now);
        }
    }

    fn start_of(&self, slot: usize, run: Run) -> String {
        let appliance = &self.fleet.appliances()[slot];
        let mut text = String::new();
        if let Some(about) = appliance.run(run).and_then(|state| state.about.as_ref()) {
            text.push_str(&about.version);
            let before = appliance.before(run).map(|before| &before.version);
            if let Some(before) = before.filter(|before| **before != about.version) {
                write!(text, " (before: {before})").expect("a String takes everything");
            }
            if about.configuration > 0 {
                write!(text, ", configuration {}", about.configuration).expect("a String takes everything");
            }
            text.push_str(", ");
        }
        write!(text, "run {run}").expect("a String takes everything");
        text
    }

    /// It runs on another configuration than before, without a new start.
    pub(super) fn note_configuration(&mut self, slot: usize, revision: u32, now: Now) {
        self.note(Some(slot), "agent/configuration", &revision.to_string(), now);
    }

    /// The newest catalog of a run before one that comes, if it is to be compared.
    pub(super) fn compared(&self, slot: usize, run: Run, number: u32, now: Now) -> Option<BTreeSet<String>> {
        let appliance = &self.fleet.appliances()[slot];
        let settles = |(of, at)| of == run && now.since(at) < SETTLES;
        if appliance.shown()?.run != run || self.custody[slot].started.is_some_and(settles) {
            return None;
        }
        let newest = appliance.run(run)?.newest_listing()?;
        (newest.number < number).then(|| names(newest))
    }

    /// A run has a newer catalog than the one whose series these were.
    pub(super) fn note_series(&mut self, slot: usize, run: Run, before: &BTreeSet<String>, now: Now) {
        let newest = self.fleet.appliances()[slot].run(run).and_then(|state| state.newest_listing());
        let Some(fresh) = newest.map(|newest| names(newest)) else { return };
        let said: Vec<String> = [("new", &fresh, before), ("no longer there", before, &fresh)]
            .into_iter()
            .filter_map(|(word, these, without)| listed(word, these.difference(without)))
            .collect();
        if !said.is_empty() {
            self.note(Some(slot), "agent/series", &said.join("; "), now);
        }
    }
}

fn names(listing: &Listing) -> BTreeSet<String> {
    let served = listing.series().iter().filter(|entry| entry.served);
    let name = |entry: &crate::fleet::Entry| {
        let labels: Vec<String> =
            entry.labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        if labels.is_empty() {
            entry.name.to_string()
        } else {
            format!("{}{{{}}}", entry.name, labels.join(","))
        }
    };
    served.map(name).collect()
}

/// `new: a, b and 3 more`.
fn listed<'a>(word: &str, names: impl Iterator<Item = &'a String>) -> Option<String> {
    let names: Vec<&str> = names.map(String::as_str).collect();
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        count if count > NAMED => Some(format!("{word}: {shown} and {} more", count - NAMED)),
        _ => Some(format!("{word}: {shown}")),
    }
}
