//! What the program tallies of each appliance say, heard while ingest takes it: a few comparisons for each message, no waiting.
//!
//! ```text
//! arena-north/rack-1: [(camera-1, On), (camera-2, Off)]     town-hall/rack-1: silent
//! ```

use crate::command::Replied;
use crate::configure::Adoption;
use crate::fleet::{Appliance, Listing};
use crate::ingest::Ingest;
use crate::ingest::task::Watcher;
use crate::query::Touched;
use rackside_onair::{Heard, Word};
use rackside_proto::{AgentName, Id, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

const METRIC: &str = "rackside_tally_active";

/// The words of an appliance's tallies; nothing while it is silent.
type Words = Option<Vec<(Box<str>, Word)>>;

/// What was heard, for the task.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// By site and appliance; every appliance that is known, heard or not.
    said: Mutex<BTreeMap<Id, BTreeMap<Id, Words>>>,
    bell: Notify,
}

impl Hearing {
    /// Something changed.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Waits until something changes.
    pub(super) async fn news(&self) {
        self.bell.notified().await;
    }

    /// Each site that has appliances, with what those say that are heard.
    pub(super) fn each(&self, mut each: impl FnMut(&Id, Vec<Heard>)) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for (site, appliances) in said.iter() {
            let heard = appliances.iter().filter_map(|(appliance, words)| {
                let tallies = words.clone()?;
                Some(Heard { appliance: appliance.as_str().into(), tallies })
            });
            each(site, heard.collect());
        }
    }
}

/// Hears of changes from ingest.
#[derive(Debug)]
pub struct Ears {
    hearing: Arc<Hearing>,
    /// By slot.
    known: Vec<Option<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// Where the program tallies are in the catalog that was heard last.
    places: Option<(Arc<Listing>, Box<[usize]>)>,
    /// What was said last; nothing before the first time.
    words: Option<Words>,
}

impl Ears {
    pub(super) fn new(hearing: Arc<Hearing>) -> Self {
        Self { hearing, known: Vec::new() }
    }
}

impl Watcher for Ears {
    fn changed(&mut self, ingest: &Ingest, changed: &[usize]) {
        let appliances = ingest.fleet().appliances();
        let mut news = false;
        for &slot in changed {
            let Some(appliance) = appliances.get(slot) else { continue };
            if self.known.len() <= slot {
                self.known.resize_with(slot + 1, || None);
            }
            let known = self.known[slot].get_or_insert_default();
            let is = words(appliance, known);
            if known.words.as_ref() != Some(&is) {
                let mut said = self.hearing.said.lock().unwrap_or_else(PoisonError::into_inner);
                let of_site = said.entry(appliance.name.site.clone()).or_default();
                of_site.insert(appliance.name.appliance.clone(), is.clone());
                known.words = Some(is);
                news = true;
            }
        }
        if news {
            self.hearing.ring();
        }
    }
}

fn words(appliance: &Appliance, known: &mut Known) -> Words {
    let latest = appliance.shown()?.latest.as_ref()?;
    let latest = Some(latest).filter(|_| appliance.state.is_up() && appliance.retired_ms.is_none())?;
    let listing = &latest.listing;
    if known.places.as_ref().is_none_or(|(of, _)| !Arc::ptr_eq(of, listing)) {
        known.places = Some((Arc::clone(listing), places(listing)));
    }
    let (_, places) = known.places.as_ref().expect("set above");
    let word = |at: &usize| {
        let tally = label(listing, *at, "tally")?;
        let word = match latest.values.get(*at)? {
            Value::Known(0) => Word::Off,
            Value::Known(_) => Word::On,
            Value::Absent | Value::Unknown => Word::Unknown,
        };
        Some((tally.into(), word))
    };
    Some(places.iter().filter_map(word).collect())
}

fn places(listing: &Listing) -> Box<[usize]> {
    let entries = listing.series().iter().enumerate();
    let tallies = entries.filter(|(_, entry)| entry.served && *entry.name == *METRIC);
    tallies.map(|(at, _)| at).filter(|at| label(listing, *at, "bus") == Some("program")).collect()
}

fn label<'a>(listing: &'a Listing, at: usize, name: &str) -> Option<&'a str> {
    let labels = &listing.series().get(at)?.labels;
    labels.iter().find(|(of, _)| **of == *name).map(|(_, value)| &**value)
}

/// One that may be there.
impl<W: Watcher> Watcher for Option<W> {
    fn changed(&mut self, ingest: &Ingest, changed: &[usize]) {
        if let Some(watcher) = self {
            watcher.changed(ingest, changed);
        }
    }

    fn logged(&mut self, ingest: &Ingest, logged: &BTreeSet<usize>) {
        if let Some(watcher) = self {
            watcher.logged(ingest, logged);
        }
    }

    fn adopted(&mut self, adoptions: &mut Vec<(AgentName, Adoption)>) {
        if let Some(watcher) = self {
            watcher.adopted(adoptions);
        }
    }

    fn touched(&mut self, touched: &[Touched]) {
        if let Some(watcher) = self {
            watcher.touched(touched);
        }
    }

    fn replied(&mut self, replies: &[Replied]) {
        if let Some(watcher) = self {
            watcher.replied(replies);
        }
    }
}

/// Two that are told the same.
impl<A: Watcher, B: Watcher> Watcher for (A, B) {
    fn changed(&mut self, ingest: &Ingest, changed: &[usize]) {
        self.0.changed(ingest, changed);
        self.1.changed(ingest, changed);
    }

    fn logged(&mut self, ingest: &Ingest, logged: &BTreeSet<usize>) {
        self.0.logged(ingest, logged);
        self.1.logged(ingest, logged);
    }

    fn adopted(&mut self, adoptions: &mut Vec<(AgentName, Adoption)>) {
        self.0.adopted(adoptions);
        self.1.adopted(adoptions);
    }

    fn logged_itself(&mut self) {
        self.0.logged_itself();
        self.1.logged_itself();
    }

    fn touched(&mut self, touched: &[Touched]) {
        self.0.touched(touched);
        self.1.touched(touched);
    }

    fn replied(&mut self, replies: &[Replied]) {
        self.0.replied(replies);
        self.1.replied(replies);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::inbound::{Inbound, Via};
    use crate::ingest::NoPast;
    use crate::rack::{Rack, series};
    use rackside_proto::Prefix;

    fn message((topic, body): (String, Vec<u8>)) -> Inbound {
        let via = Via::Listener { connection: 1 };
        Inbound { topic, payload: body.into(), retained: false, via }
    }

    #[test]
    fn program_tallies_are_heard_while_their_appliance_is() {
        let now = clock::now();
        let mut ingest = Ingest::new(Prefix::default(), 1, Arc::new(NoPast), now);
        let hearing = Arc::new(Hearing::default());
        let mut ears = Ears::new(Arc::clone(&hearing));
        let mut rack = Rack::new("arena-north", "rack-1");
        let mut hear = |messages: Vec<(String, Vec<u8>)>| {
            for one in messages {
                ingest.take(&message(one), now);
            }
            let changed = ingest.take_changed();
            ears.changed(&ingest, &changed);
            let mut all = Vec::new();
            hearing.each(|site, heard| all.push((site.to_string(), heard)));
            all
        };
        let tallies = [
            series("rackside_load1", &[]),
            series(METRIC, &[("tally", "camera-1"), ("bus", "program")]),
            series(METRIC, &[("tally", "camera-1"), ("bus", "preview")]),
            series(METRIC, &[("tally", "camera-2"), ("bus", "program")]),
            series(METRIC, &[("tally", "camera-3"), ("bus", "program")]),
        ];
        let all = hear(vec![rack.presence(true)]);
        assert_eq!(all, [("arena-north".to_owned(), Vec::new())], "nothing has been said");
        let values = [Value::Known(3), Value::Known(1), Value::Known(1), Value::Known(0), Value::Unknown];
        let all = hear(vec![rack.catalog(&tallies), rack.reading(&values)]);
        let words = [("camera-1", Word::On), ("camera-2", Word::Off), ("camera-3", Word::Unknown)];
        let words = words.map(|(tally, word)| (tally.into(), word)).to_vec();
        assert_eq!(all[0].1, [Heard { appliance: "rack-1".into(), tallies: words }]);
        assert!(hear(vec![rack.presence(false)])[0].1.is_empty(), "it is gone");
    }
}
