//! Many sites gone at once: one message, after the hub has looked whether it is itself that is cut off.
//!
//! ```text
//! more than 10 sites, or a fifth of the fleet, within a minute ─▶ looking, 10 s ─▶ told ── group_interval, if it has changed ─▶ told again … all back: over
//!                                                                     │ own uplink is down: held back
//!                                                                     └──────▶ up again: "the hub was cut off", and a minute for all to come back
//! ```
//!
//! Invariants: while an outage lasts, an appliance of it is not told by itself; between two messages of one outage lies `group_interval`.
//!
//! Not here: who is told, and the words.
//!
//! Sample: 1,000 appliances gone from 12:00:00 to 12:00:50: told at 12:00:13 with 260, at 12:05:13 with 1,000.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::world::{Gone, Uplink};

/// Those gone within so many milliseconds belong together.
const WINDOW: i64 = 60_000;
/// More sites than that are an outage, however many there are.
const MANY: usize = 10;
/// So many are none, whatever share of the fleet they are.
const FEW: usize = 2;
/// How long the hub looks at its own uplink, and for more that are gone, in milliseconds.
const LOOK: i64 = 10_000;
/// How long it waits for an answer of its uplink beyond that, in milliseconds.
const ANSWER: i64 = 5_000;
/// How often it asks for it meanwhile, in milliseconds.
const ASK: i64 = 1_000;
/// How long appliances have to come back after the hub was cut off, in milliseconds.
const COME_BACK: i64 = 60_000;

/// After so long without news many that are left are told again, and a few are left to their own alerts; in milliseconds.
const LONG: i64 = 4 * 60 * 60_000;

/// A site's name and an appliance's.
pub(crate) type Place = (String, String);

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tell {
    /// How the outage stands.
    Standing,
    /// The same again, to everybody: it has been long.
    Again,
    /// The hub itself was cut off, from the one moment to the other.
    WasCutOff(i64, i64),
}

/// Many sites gone at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outage {
    /// When the first of them was gone.
    pub(crate) since: i64,
    /// Those that are gone, and since when.
    pub(crate) gone: BTreeMap<Place, i64>,
    /// Those that are back, and since when.
    pub(crate) back: BTreeMap<Place, i64>,
    /// When it is told first, if the uplink is well then.
    look_until: i64,
    /// When the uplink is asked for again.
    ask_at: i64,
    /// Since when the hub itself is cut off.
    cut_off: Option<i64>,
    /// The time between two messages, in milliseconds.
    interval: i64,
    told_at: Option<i64>,
    /// Those that were gone by the last message.
    told: BTreeSet<Place>,
}

impl Outage {
    /// An outage, if there is one: what is gone, out of a fleet of so many sites.
    pub(crate) fn noticed(gone: &[Gone], fleet: usize, now: i64) -> Option<Self> {
        let mut recent: Vec<&Gone> = gone.iter().filter(|gone| gone.at > now - 3 * WINDOW).collect();
        recent.sort_by_key(|gone| gone.at);
        let mut sites: BTreeMap<&str, usize> = BTreeMap::new();
        let mut first = 0;
        for gone in &recent {
            *sites.entry(&gone.site).or_default() += 1;
            while gone.at - recent[first].at > WINDOW {
                let left = sites.entry(&recent[first].site).or_default();
                *left -= 1;
                if *left == 0 {
                    sites.remove(recent[first].site.as_str());
                }
                first += 1;
            }
            if is_outage(sites.len(), fleet) {
                let mut outage = Self::since(recent[first].at, now);
                outage.join(&recent[first..]);
                return Some(outage);
            }
        }
        None
    }

    fn since(since: i64, now: i64) -> Self {
        Self {
            since,
            gone: BTreeMap::new(),
            back: BTreeMap::new(),
            look_until: now.saturating_add(LOOK),
            ask_at: i64::MIN,
            cut_off: None,
            interval: 0,
            told_at: None,
            told: BTreeSet::new(),
        }
    }

    /// Takes in whoever is gone within a minute of the last one.
    fn join(&mut self, by_time: &[&Gone]) {
        let mut last = self.gone.values().copied().max().unwrap_or(self.since);
        for gone in by_time {
            if gone.at >= self.since && gone.at - last <= WINDOW {
                last = last.max(gone.at);
                let place = (gone.site.clone(), gone.appliance.clone());
                self.back.remove(&place);
                self.gone.insert(place, gone.at);
            }
        }
    }

    /// How it goes on. True, when it is over. `is_up` says which appliances are heard; the uplink is asked for only when it counts.
    pub(crate) fn step(
        &mut self,
        gone: &[Gone],
        is_up: impl Fn(&Place) -> bool,
        fleet: usize,
        uplink: impl Fn() -> Uplink,
        now: i64,
    ) -> (Option<Tell>, bool) {
        self.look(gone, is_up, fleet, now);
        if self.told_at.is_some() {
            return self.step_told(fleet, uplink, now);
        }
        if self.gone.is_empty() && self.cut_off.is_none() {
            return (None, true);
        }
        match (uplink(), self.cut_off) {
            (Uplink::Down, _) => {
                self.cut_off.get_or_insert(now);
                self.wait(now)
            }
            (Uplink::Checking, Some(_)) => self.wait(now),
            (Uplink::Well, Some(since)) => {
                self.cut_off = None;
                self.look_until = now.saturating_add(COME_BACK);
                (Some(Tell::WasCutOff(since, now)), false)
            }
            (Uplink::Well, None) if now < self.look_until => (None, false),
            (Uplink::Checking, None) if now < self.look_until.saturating_add(ANSWER) => self.wait(now),
            (Uplink::Well | Uplink::Checking, None) if is_outage(self.sites(), fleet) => {
                (Some(self.tell(now)), false)
            }
            // Too few are left: they are told as any others are.
            (Uplink::Well | Uplink::Checking, None) => (None, true),
        }
    }

    /// How one goes on that was told.
    fn step_told(&mut self, fleet: usize, uplink: impl Fn() -> Uplink, now: i64) -> (Option<Tell>, bool) {
        let due = self.wanted();
        let has_changed = self.has_changed();
        if now < due {
            return (None, false);
        }
        match uplink() {
            Uplink::Down => return self.wait(now),
            Uplink::Checking if now < due.saturating_add(ANSWER) => return self.wait(now),
            Uplink::Well | Uplink::Checking => {}
        }
        if has_changed {
            return (Some(self.tell(now)), self.gone.is_empty());
        }
        if !is_outage(self.sites(), fleet) {
            return (None, true);
        }
        self.tell(now);
        (Some(Tell::Again), false)
    }

    /// Who is heard again is back; of whom nobody can say anything stays. Another outage becomes a part of this one.
    fn look(&mut self, gone: &[Gone], is_up: impl Fn(&Place) -> bool, fleet: usize, now: i64) {
        let places = std::mem::take(&mut self.gone);
        let (back, still): (BTreeMap<Place, i64>, _) =
            places.into_iter().partition(|(place, _)| is_up(place));
        self.gone = still;
        self.back.extend(back.into_keys().map(|place| (place, now)));
        let mut by_time: Vec<&Gone> = gone.iter().collect();
        by_time.sort_by_key(|gone| gone.at);
        self.join(&by_time);
        if self.told_at.is_some() {
            let others = gone.iter().filter(|gone| !self.has(&gone.site, &gone.appliance));
            let others: Vec<Gone> = others.cloned().collect();
            if let Some(other) = Self::noticed(&others, fleet, now) {
                self.gone.extend(other.gone);
                self.look_until = other.look_until;
            }
        }
    }

    fn has_changed(&self) -> bool {
        !self.gone.keys().eq(self.told.iter())
    }

    fn tell(&mut self, now: i64) -> Tell {
        self.told_at = Some(now);
        self.told = self.gone.keys().cloned().collect();
        Tell::Standing
    }

    /// The time between two messages, in milliseconds: known once it is known who is told.
    pub(crate) fn keep_apart(&mut self, interval: i64) {
        self.interval = interval;
    }

    /// Those that are back are told of, and need not be told again.
    pub(crate) fn forget_back(&mut self) {
        self.back.clear();
    }

    /// When [`Outage::step`] has something to do, if the world stays as it is.
    pub(crate) fn due(&self) -> i64 {
        self.wanted().max(self.ask_at)
    }

    /// When there is something to tell, if the uplink is well then.
    fn wanted(&self) -> i64 {
        match self.told_at {
            None => self.look_until,
            Some(told_at) if self.has_changed() => told_at.saturating_add(self.interval).max(self.look_until),
            Some(told_at) => told_at.saturating_add(LONG),
        }
    }

    /// The uplink is not well yet: it is asked for again in a while.
    fn wait(&mut self, now: i64) -> (Option<Tell>, bool) {
        self.ask_at = now.saturating_add(ASK);
        (None, false)
    }

    /// Whether an appliance is told as a part of it.
    pub(crate) fn has(&self, site: &str, appliance: &str) -> bool {
        self.gone.contains_key(&(site.to_owned(), appliance.to_owned()))
    }

    /// Whether it was part of it when that was told last.
    pub(crate) fn was_told_with(&self, place: &Place) -> bool {
        self.told.contains(place)
    }

    /// The clock was set by so much. Since when somebody is gone is the world's to say, and stays.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        let waits = [&mut self.look_until, &mut self.ask_at].into_iter();
        for at in waits.chain(&mut self.cut_off).chain(&mut self.told_at) {
            *at = at.saturating_add(by_ms);
        }
    }

    /// How many sites it has.
    pub(crate) fn sites(&self) -> usize {
        self.gone.keys().map(|(site, _)| site).collect::<BTreeSet<_>>().len()
    }
}

/// Whether so many sites of a fleet are more than each for itself.
fn is_outage(sites: usize, fleet: usize) -> bool {
    sites > MANY || (sites > FEW && sites * 5 >= fleet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(sites: std::ops::Range<usize>, at: i64, apart: i64) -> Vec<Gone> {
        let gone = |site: usize| Gone {
            site: format!("s{site}"),
            appliance: "rack".to_owned(),
            at: at + apart * site as i64,
        };
        sites.map(gone).collect()
    }

    fn nobody(_: &Place) -> bool {
        false
    }

    /// Sites from this number on are heard.
    fn is_from(first: usize) -> impl Fn(&Place) -> bool {
        move |place| place.0[1..].parse::<usize>().expect("a number") >= first
    }

    #[test]
    fn many_or_a_fifth_within_a_minute_are_an_outage() {
        for (count, apart, fleet, is) in [
            (10, 0, 1_000, false),
            (11, 0, 1_000, true),
            (11, 6_000, 1_000, true),
            (11, 6_001, 1_000, false),
            (4, 0, 20, true),
            (3, 0, 20, false),
            (3, 0, 3, true),
            (2, 0, 2, false),
        ] {
            let all = gone(0..count, 1_000, apart);
            let noticed = Outage::noticed(&all, fleet, all.last().map_or(0, |last| last.at));
            assert_eq!(noticed.is_some(), is, "{count} of {fleet}, {apart} ms apart");
        }
    }

    #[test]
    fn appliances_of_one_site_are_one() {
        let all: Vec<Gone> = (0..20)
            .map(|n| Gone { site: "hall".to_owned(), appliance: format!("rack-{n}"), at: 0 })
            .collect();
        assert_eq!(Outage::noticed(&all, 1_000, 0), None);
    }

    #[test]
    fn it_is_told_after_ten_seconds_and_again_when_it_has_changed() {
        let mut outage = Outage::noticed(&gone(0..11, 0, 0), 1_000, 0).expect("eleven are enough");
        assert_eq!(outage.step(&gone(0..11, 0, 0), nobody, 1_000, || Uplink::Well, 9_999), (None, false));
        assert_eq!(outage.due(), 10_000);
        outage.keep_apart(300_000);
        let more = gone(0..40, 0, 1_000);
        assert_eq!(outage.step(&more, nobody, 1_000, || Uplink::Well, 10_000), (Some(Tell::Standing), false));
        assert_eq!((outage.sites(), outage.due()), (40, 10_000 + LONG));
        assert_eq!(outage.step(&more[..20], is_from(20), 1_000, || Uplink::Well, 20_000), (None, false));
        assert_eq!(outage.due(), 310_000);
        assert_eq!(
            outage.step(&[], is_from(0), 1_000, || Uplink::Well, 310_000),
            (Some(Tell::Standing), true)
        );
    }

    #[test]
    fn a_hub_that_is_cut_off_says_so_afterwards() {
        let all = gone(0..11, 0, 0);
        let mut outage = Outage::noticed(&all, 1_000, 0).expect("eleven are enough");
        assert_eq!(outage.step(&all, nobody, 1_000, || Uplink::Checking, 1_000), (None, false));
        assert_eq!(outage.step(&all, nobody, 1_000, || Uplink::Down, 2_000), (None, false));
        assert_eq!(outage.step(&all, nobody, 1_000, || Uplink::Down, 900_000), (None, false));
        let told = outage.step(&all, nobody, 1_000, || Uplink::Well, 910_000);
        assert_eq!(told, (Some(Tell::WasCutOff(2_000, 910_000)), false));
        assert_eq!(outage.step(&all, nobody, 1_000, || Uplink::Well, 969_999), (None, false));
        assert_eq!(outage.step(&all[..1], is_from(1), 1_000, || Uplink::Well, 970_000), (None, true));
    }

    #[test]
    fn those_that_are_gone_later_are_others() {
        let mut outage = Outage::noticed(&gone(0..11, 0, 0), 1_000, 0).expect("eleven are enough");
        let mut all = gone(0..11, 0, 0);
        all.extend(gone(11..12, 60_001, 0));
        outage.step(&all, nobody, 1_000, || Uplink::Well, 60_001);
        assert!(outage.has("s10", "rack") && !outage.has("s11", "rack"));
    }

    #[test]
    fn who_cannot_be_asked_is_not_back() {
        let mut outage = Outage::noticed(&gone(0..11, 0, 0), 1_000, 0).expect("eleven are enough");
        outage.keep_apart(300_000);
        outage.step(&gone(0..11, 0, 0), nobody, 1_000, || Uplink::Well, 10_000);
        assert_eq!(outage.step(&[], nobody, 1_000, || Uplink::Well, 400_000), (None, false));
        assert_eq!(outage.sites(), 11);
    }

    #[test]
    fn another_outage_hours_later_is_told_with_it() {
        let mut outage = Outage::noticed(&gone(0..11, 0, 0), 1_000, 0).expect("eleven are enough");
        outage.keep_apart(300_000);
        outage.step(&gone(0..11, 0, 0), nobody, 1_000, || Uplink::Well, 10_000);
        let mut all = gone(9..11, 0, 0);
        let is_back = |place: &Place| !is_from(9)(place);
        assert_eq!(
            outage.step(&all, is_back, 1_000, || Uplink::Well, 400_000),
            (Some(Tell::Standing), false)
        );
        all.extend(gone(20..40, 1_000_000, 0));
        assert_eq!(outage.step(&all, is_back, 1_000, || Uplink::Well, 1_000_000), (None, false));
        assert_eq!(outage.due(), 1_010_000);
        assert_eq!(
            outage.step(&all, is_back, 1_000, || Uplink::Well, 1_010_000),
            (Some(Tell::Standing), false)
        );
        assert_eq!(outage.sites(), 22);
    }

    #[test]
    fn many_that_are_left_are_told_again_and_a_few_are_left_to_their_alerts() {
        let mut outage = Outage::noticed(&gone(0..20, 0, 0), 1_000, 0).expect("twenty are enough");
        outage.keep_apart(300_000);
        let all = gone(0..20, 0, 0);
        outage.step(&all, nobody, 1_000, || Uplink::Well, 10_000);
        assert_eq!(
            outage.step(&all, nobody, 1_000, || Uplink::Well, 10_000 + LONG),
            (Some(Tell::Again), false)
        );
        let (few, later) = (&all[..5], 20_000 + LONG + 300_000);
        assert_eq!(
            outage.step(few, is_from(5), 1_000, || Uplink::Well, later),
            (Some(Tell::Standing), false)
        );
        assert_eq!(outage.step(few, is_from(5), 1_000, || Uplink::Well, later + LONG), (None, true));
    }
}
