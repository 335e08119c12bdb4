//! One site: its tallies, its shows, what was set by hand; and what follows.
//!
//! On air are a program tally that is on or held, the live part of a show, and the word of somebody. A tally that is lost holds until the end
//! of the show in which it was lost (of its live part; if that is over, of its strike; of several, the latest), and no shorter than the hold.
//! Lost outside of every show it holds for [`LOST_HOLD`]. It ends as soon as the tally is known again: on, or off and held.
//!
//! ```text
//! View { reasons: [(Tally, true), (Calendar, true), (Manual, false)], phases: Some([false, true, false]), show_end: Some(1795208400000), … }
//! ```

use crate::kept::{ByHand, Kept};
use crate::show::{DAY, HOUR, MINUTE, Phase, Show};
use crate::tally::{Heard, Tally, Word};
use std::collections::BTreeMap;

/// A tally that has ended holds for so long, unless the site says otherwise.
pub const HOLD: i64 = 10 * MINUTE;
/// A tally that is lost outside of every show holds for so long: longer than an evening, shorter than a day.
pub const LOST_HOLD: i64 = 12 * HOUR;
/// A tally that nobody has heard of for so long is forgotten.
const FORGOTTEN: i64 = 31 * DAY;
/// Most tallies of a site; an appliance has seldom more than a few.
const TALLIES: usize = 1024;

/// When a site's racks have power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Power {
    /// Always.
    #[default]
    Always,
    /// From rig-up to the end of strike; what is off else is not gone.
    WithShow,
}

/// What a site is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// When its racks have power.
    pub power: Power,
    /// How long a tally that has ended holds, in milliseconds.
    pub hold: i64,
    /// Whether it has a calendar or shows that were entered, be there none at present.
    pub has_shows: bool,
    /// On air by plan of somebody up to here, whatever else says.
    pub on_until: Option<i64>,
    /// Here somebody ends what tallies hold that had ended, or were lost, before.
    pub let_go_at: Option<i64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { power: Power::Always, hold: HOLD, has_shows: false, on_until: None, let_go_at: None }
    }
}

/// Why a site is on air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A program tally is on, or holds.
    Tally,
    /// A show is live.
    Calendar,
    /// Somebody said so.
    Manual,
}

impl Reason {
    /// As a label has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tally => "tally",
            Self::Calendar => "calendar",
            Self::Manual => "manual",
        }
    }
}

/// A site.
#[derive(Debug, Clone, Default)]
pub struct Site {
    settings: Settings,
    shows: Vec<Show>,
    tallies: BTreeMap<(Box<str>, Box<str>), Tally>,
    by_hand: Option<ByHand>,
}

/// What is so at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Each reason that there can be at this site, and whether it is one now.
    pub reasons: Vec<(Reason, bool)>,
    /// For each of [`Phase::ALL`], whether a show is in it; none at a site that has no shows.
    pub phases: Option<[bool; 3]>,
    /// When the live part of the show that is live now ends, or the last one ended.
    pub show_end: Option<i64>,
    /// Whether its racks are meant to have power.
    pub power_expected: bool,
    /// How many program tallies are on, are off, are unknown.
    pub tallies: [usize; 3],
}

impl View {
    /// Whether the site is on air.
    pub fn on_air(&self) -> bool {
        self.reasons.iter().any(|(_, is)| *is)
    }
}

impl Site {
    /// A site of which nothing is known yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Goes on where a hub before this one was.
    pub fn resume(&mut self, kept: &Kept, now: i64) {
        let saved = kept.saved.min(now);
        for (appliance, tally, was) in kept.tallies.iter().take(TALLIES) {
            let tally = (appliance.clone(), tally.clone());
            self.tallies.insert(tally, Tally::resumed(*was, saved).not_after(now));
        }
        self.by_hand = kept.by_hand;
    }

    /// What the next hub has to know.
    pub fn kept(&self, now: i64) -> Kept {
        let tallies = self.tallies.iter().filter(|(_, tally)| self.holds(**tally, now));
        let tallies = tallies.filter_map(|((a, t), tally)| Some((a.clone(), t.clone(), tally.kept()?)));
        Kept { saved: now, tallies: tallies.collect(), by_hand: self.by_hand.filter(|hand| hand.is_now(now)) }
    }

    /// Changes what it is set to.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes the shows of a [`Window`](crate::Window) around now; they replace those before.
    pub fn plan(&mut self, mut shows: Vec<Show>) {
        shows.sort();
        shows.dedup();
        self.shows = shows;
    }

    /// The shows that it knows of, in the order in which they begin.
    pub fn shows(&self) -> &[Show] {
        &self.shows
    }

    /// Takes what all appliances of the site say that are heard now. Who is not among them is silent.
    pub fn hear(&mut self, heard: &[Heard], now: i64) {
        for tally in self.tallies.values_mut() {
            *tally = tally.not_after(now);
        }
        let mut gone = Vec::new();
        for (name, tally) in &self.tallies {
            let (appliance, named) = name;
            let of = heard.iter().find(|of| of.appliance == *appliance);
            let word = of.map_or(Some(Word::Unknown), |of| word(of, named));
            // One that its appliance lists no more has ended.
            let held = self.holds(*tally, now);
            let next = tally.says(word.unwrap_or(Word::Off), held, now);
            let over = word.is_none() && !self.holds(next, now);
            gone.push((name.clone(), next, over || self.is_forgotten(next, now)));
        }
        for (name, next, over) in gone {
            if over {
                self.tallies.remove(&name);
            } else {
                self.tallies.insert(name, next);
            }
        }
        for of in heard {
            for (tally, word) in &of.tallies {
                let name = (of.appliance.clone(), tally.clone());
                if self.tallies.len() < TALLIES && !self.tallies.contains_key(&name) {
                    self.tallies.insert(name, Tally::new(now).says(*word, false, now));
                }
            }
        }
    }

    /// Puts the site on air by hand: until a moment, or until [`off_by_hand`](Self::off_by_hand).
    pub fn on_by_hand(&mut self, until: Option<i64>) {
        self.by_hand = Some(ByHand { until });
    }

    /// Takes back what was set by hand. What tallies and shows say stands.
    pub fn off_by_hand(&mut self) {
        self.by_hand = None;
    }

    /// Until when it is on air by the word of somebody: a moment, or until it is taken back. None, if it is not.
    pub fn by_hand(&self, now: i64) -> Option<Option<i64>> {
        let set = self.by_hand.filter(|hand| hand.is_now(now)).map(|hand| hand.until);
        let planned = self.settings.on_until.filter(|until| now < *until);
        match (set, planned) {
            (Some(None), _) => Some(None),
            (Some(Some(set)), planned) => Some(Some(planned.map_or(set, |planned| planned.max(set)))),
            (None, planned) => planned.map(Some),
        }
    }

    /// Whether somebody has set it at run time, and not the configuration: only that can be taken back.
    pub fn is_set_by_hand(&self, now: i64) -> bool {
        self.by_hand.is_some_and(|hand| hand.is_now(now))
    }

    /// Lets go of every hold: the show is over, somebody says. A tally that is on stays, and so does a show that is live.
    pub fn let_go(&mut self, now: i64) {
        for tally in self.tallies.values_mut() {
            *tally = tally.let_go(now);
        }
    }

    /// What is so at `now`.
    pub fn view(&self, now: i64) -> View {
        let phases = Phase::ALL.map(|phase| self.shows.iter().any(|show| show.phase(now) == Some(phase)));
        let by_tally = self.tallies.values().any(|tally| self.holds(*tally, now));
        let until = self.settings.on_until.is_some_and(|until| now < until);
        let by_hand = until || self.by_hand.is_some_and(|hand| hand.is_now(now));
        let mut reasons = Vec::with_capacity(3);
        if !self.tallies.is_empty() {
            reasons.push((Reason::Tally, by_tally));
        }
        if self.settings.has_shows {
            reasons.push((Reason::Calendar, phases[1]));
        }
        reasons.push((Reason::Manual, by_hand));
        let begun = self.shows.iter().filter(|show| show.live <= now);
        let with_show = phases.contains(&true) || reasons.iter().any(|(_, is)| *is);
        let mut tallies = [0; 3];
        for tally in self.tallies.values() {
            tallies[match tally {
                Tally::On => 0,
                Tally::Off { .. } => 1,
                Tally::Lost { .. } | Tally::Unknown { .. } => 2,
            }] += 1;
        }
        View {
            reasons,
            phases: self.settings.has_shows.then_some(phases),
            show_end: begun.map(|show| show.end).max(),
            power_expected: self.settings.power == Power::Always || with_show,
            tallies,
        }
    }

    /// The next moment at which [`view`](Self::view) changes by itself; none, if it does not.
    pub fn next_change(&self, now: i64) -> Option<i64> {
        let holds = self.tallies.values().filter_map(|tally| self.until(*tally));
        let by_hand = self.by_hand.and_then(|hand| hand.until);
        let bounds = self.shows.iter().flat_map(Show::bounds);
        holds.chain(by_hand).chain(self.settings.on_until).chain(bounds).filter(|at| now < *at).min()
    }

    /// Whether a tally makes the site on air.
    fn holds(&self, tally: Tally, now: i64) -> bool {
        tally == Tally::On || self.until(tally).is_some_and(|until| now < until)
    }

    /// Until when a tally that is not on makes the site on air.
    fn until(&self, tally: Tally) -> Option<i64> {
        let (at, until) = match tally {
            Tally::On | Tally::Unknown { .. } => return None,
            Tally::Off { ended } => (ended?, ended? + self.settings.hold),
            Tally::Lost { at } => {
                let within = self.shows.iter().filter(|show| show.phase(at).is_some());
                let end = within.map(|show| if at < show.end { show.end } else { show.strike }).max();
                (at, end.map_or(at + LOST_HOLD, |end| end.max(at + self.settings.hold)))
            }
        };
        // Somebody lets go of what was over before, and not of what comes after.
        Some(self.settings.let_go_at.filter(|over| at < *over).map_or(until, |over| until.min(over)))
    }

    fn is_forgotten(&self, tally: Tally, now: i64) -> bool {
        match tally {
            Tally::Unknown { since: at } | Tally::Lost { at } => {
                now - at >= FORGOTTEN && !self.holds(tally, now)
            }
            Tally::On | Tally::Off { .. } => false,
        }
    }
}

impl ByHand {
    fn is_now(self, now: i64) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

fn word(heard: &Heard, tally: &str) -> Option<Word> {
    heard.tallies.iter().find(|(name, _)| **name == *tally).map(|(_, word)| *word)
}
