//! Every alert as people see it: where it is in its life, who has it in hand, what happened to it and who was told when.
//!
//! ```text
//! pending ─▶ firing ◀─▶ unknown          acknowledged: firing, and somebody has it in hand, until it recovers (and is steady, if it flaps)
//!               └─▶ resolved ─▶ (fires again, or is forgotten: the oldest first, after a week at the latest)
//! ```
//!
//! Not the rules' engine, which decides what fires, and not who is told: groups and receivers are other files.
//!
//! Invariant: nothing is resolved here but by the engine's word.
//!
//! Sample: `StreamDown{site="hall"}`, firing since 12:00:00, told to `crew` at 12:00:01, acknowledged by `desk` at 12:03:10.

use std::collections::{BTreeMap, VecDeque};

use rackside_alerting::Cause;
use rackside_promql::Labels;
use serde::{Deserialize, Serialize};

use crate::flap::Flaps;
use crate::message::{Acknowledged, AlertId, MessageId, Severity, State, number};
use crate::observed::Observed;

/// How long an alert that is over is kept, in milliseconds.
const KEPT_FOR: i64 = 7 * 24 * 60 * 60 * 1000;
/// The most alerts that are over and kept.
const KEPT: usize = 2_000;
/// The longest history of one alert; what is older falls out.
const HISTORY: usize = 64;

/// An alert in the book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Booked {
    /// Which.
    pub id: AlertId,
    /// What it is known by.
    #[serde(with = "as_pairs")]
    pub labels: Labels,
    /// As the rule has them.
    pub annotations: BTreeMap<String, String>,
    /// What the rule's expression gave when it was last heard of.
    #[serde(with = "number")]
    pub value: f64,
    /// What it is at.
    pub state: State,
    /// How bad it is.
    pub severity: Severity,
    /// Since when it holds.
    pub active_at: i64,
    /// Since when it fires or has fired; since when it holds, while it is pending.
    pub starts_at: i64,
    /// Since when it is over.
    pub ends_at: Option<i64>,
    /// Since when nobody knows.
    pub unknown_since: Option<i64>,
    /// Who has it in hand.
    pub acknowledged: Option<Acknowledged>,
    /// Why nobody is told of it, if that is so.
    pub held: Option<Held>,
    /// How often it has gone up and down of late.
    pub flaps: Flaps,
    /// What happened to it, oldest first.
    pub history: VecDeque<Happened>,
    /// Whether its site was on air when it was given to routes; none, before that.
    pub(crate) routed_on_air: Option<bool>,
    /// Whether the engine has lost it.
    pub(crate) orphan: Orphan,
}

/// Whether the engine knows an alert that fires by the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Orphan {
    /// It does.
    No,
    /// It does not, and the alert's appliance is not heard.
    Silent,
    /// It does not, and the appliance is heard since then.
    Heard(i64),
    /// It has begun anew with it, and has it pending.
    Found,
}

/// Why nobody is told of an alert that fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// No route catches it.
    NotRouted,
    /// Nobody knows whether it still fires, and nobody was told that it does.
    Unknown,
    /// Another alert, or an appliance that is gone, explains it: which, in a few words.
    Inhibited(String),
    /// Somebody has muted it: the mute's number.
    Muted(u64),
    /// Its site is being worked on: the window's name.
    Maintenance(String),
    /// Its route is quiet until then.
    Quiet(i64),
    /// It is told as a part of an outage.
    Outage,
    /// It says that an appliance is gone, and it is the hub itself that is cut off.
    CutOff,
    /// Its appliance is being set up, and in no service yet.
    Commissioning,
}

/// One thing that happened to an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What.
    pub what: What,
}

/// What can happen to an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// It holds, and not yet long enough.
    Pending,
    /// It fires.
    Firing,
    /// Nobody knows any more.
    Unknown,
    /// Somebody knows again, and it still fires.
    Heard,
    /// It is over.
    Resolved,
    /// It is over because its rule was changed, taken away, or had too many alerts.
    Dropped,
    /// Somebody has it in hand.
    Acknowledged {
        /// Who.
        by: String,
        /// What they say.
        note: String,
    },
    /// Nobody has it in hand any more.
    Unacknowledged,
    /// It goes up and down too often.
    Flapping,
    /// It has been quiet for long enough.
    Steady,
    /// A receiver was told.
    Told {
        /// Which.
        receiver: String,
        /// By which message.
        message: MessageId,
        /// As what: firing or resolved.
        state: State,
        /// At which step of the escalation.
        escalation: usize,
    },
}

impl Booked {
    fn new(id: AlertId, news: &Observed) -> Self {
        Self {
            id,
            labels: news.labels.clone(),
            annotations: BTreeMap::new(),
            value: news.value,
            state: State::Resolved,
            severity: rackside_alerting::Severity::of(&news.labels).into(),
            active_at: news.life.active_at,
            starts_at: news.life.active_at,
            ends_at: None,
            unknown_since: None,
            acknowledged: None,
            held: None,
            flaps: Flaps::default(),
            history: VecDeque::new(),
            routed_on_air: None,
            orphan: Orphan::No,
        }
    }

    /// Its name, as the rule has it.
    pub fn name(&self) -> &str {
        self.labels.value("alertname")
    }

    /// Its site; empty, if it has none.
    pub fn site(&self) -> &str {
        self.labels.value("site")
    }

    /// Its appliance; empty, if it has none.
    pub fn appliance(&self) -> &str {
        self.labels.value("appliance")
    }

    /// Whether the engine holds it firing.
    pub fn fires(&self) -> bool {
        matches!(self.state, State::Firing | State::Acknowledged | State::Unknown)
    }

    /// Whether receivers are to take it for firing: one that flaps is, whatever it is at just now.
    pub fn counts_as_firing(&self) -> bool {
        self.fires() || self.flaps.since.is_some()
    }

    /// The clock was set by so much.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        self.flaps.shift(by_ms);
        if let Orphan::Heard(at) = &mut self.orphan {
            *at = at.saturating_add(by_ms);
        }
    }

    /// It has been quiet for long enough, and flaps no more.
    pub(crate) fn settle(&mut self, now: i64) {
        self.flaps.settle();
        self.note(now, What::Steady);
        if !self.fires() {
            self.acknowledged = None;
        }
    }

    pub(crate) fn note(&mut self, at: i64, what: What) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Happened { at, what });
    }

    /// It fires, and nobody knows any more whether it does.
    pub(crate) fn make_unknown(&mut self, now: i64) {
        if self.unknown_since.is_none() {
            self.unknown_since = Some(now);
            self.note(now, What::Unknown);
            self.set_firing();
        }
    }

    /// What it is at, given that it fires.
    fn set_firing(&mut self) {
        self.state = match (&self.unknown_since, &self.acknowledged) {
            (Some(_), _) => State::Unknown,
            (None, Some(_)) => State::Acknowledged,
            (None, None) => State::Firing,
        };
    }
}

/// What the news of an alert mean for those who are to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It has begun to fire.
    Fires,
    /// It fires no more.
    Ends,
    /// Neither.
    Same,
}

/// All alerts that are pending or fire, and those that are over and not forgotten.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Book {
    alerts: BTreeMap<AlertId, Booked>,
}

impl Book {
    pub(crate) fn alert(&self, id: AlertId) -> Option<&Booked> {
        self.alerts.get(&id)
    }

    pub(crate) fn alert_mut(&mut self, id: AlertId) -> Option<&mut Booked> {
        self.alerts.get_mut(&id)
    }

    pub(crate) fn alerts(&self) -> impl Iterator<Item = &Booked> {
        self.alerts.values()
    }

    pub(crate) fn alerts_mut(&mut self) -> impl Iterator<Item = &mut Booked> {
        self.alerts.values_mut()
    }

    /// Writes down what the engine says.
    pub(crate) fn take(&mut self, news: &Observed) -> (AlertId, Turn) {
        let id = AlertId::of(&news.labels);
        let is_new = !self.alerts.contains_key(&id);
        if is_new && news.life.state == rackside_alerting::State::Inactive {
            return (id, Turn::Same);
        }
        let booked = self.alerts.entry(id).or_insert_with(|| Booked::new(id, news));
        let fired = booked.fires();
        if news.life.state != rackside_alerting::State::Inactive {
            booked.value = news.value;
            let texts = news.annotations.iter();
            booked.annotations = texts.map(|(name, text)| (name.to_string(), text.to_string())).collect();
            booked.active_at =
                if fired { booked.active_at.min(news.life.active_at) } else { news.life.active_at };
        }
        let is_found =
            booked.orphan != Orphan::No && fired && news.life.state == rackside_alerting::State::Pending;
        booked.orphan = if is_found { Orphan::Found } else { Orphan::No };
        let turn = match news.life.state {
            rackside_alerting::State::Pending if is_found => {
                // It still holds; that the engine counts anew how long is no news of the alert.
                fires(booked, news);
                Turn::Same
            }
            rackside_alerting::State::Pending => {
                pends(booked, news);
                if fired { Turn::Ends } else { Turn::Same }
            }
            rackside_alerting::State::Firing => {
                fires(booked, news);
                if fired { Turn::Same } else { Turn::Fires }
            }
            rackside_alerting::State::Inactive => {
                ends(booked, news);
                if fired { Turn::Ends } else { Turn::Same }
            }
        };
        if booked.state == State::Resolved && booked.ends_at.is_none() {
            // It was pending and never fired.
            self.alerts.remove(&id);
        }
        (id, turn)
    }

    /// Forgets what is long over; `is_needed` says whom a group still waits to tell.
    pub(crate) fn forget(&mut self, now: i64, is_needed: impl Fn(AlertId) -> bool) {
        let over = self.alerts.values().filter(|booked| !booked.counts_as_firing() && !is_needed(booked.id));
        let mut over: Vec<(i64, AlertId)> =
            over.filter_map(|booked| Some((booked.ends_at?, booked.id))).collect();
        over.retain(|(_, id)| self.alerts[id].state == State::Resolved);
        over.sort_unstable();
        let too_many = over.len().saturating_sub(KEPT);
        for (at, (ended, id)) in over.into_iter().enumerate() {
            if at < too_many || now.saturating_sub(ended) > KEPT_FOR {
                self.alerts.remove(&id);
            }
        }
    }
}

fn pends(booked: &mut Booked, news: &Observed) {
    if booked.fires() {
        // The engine never takes a step back; after a restore from an older state it may seem so.
        ends(booked, news);
    }
    if booked.state != State::Pending {
        booked.state = State::Pending;
        booked.note(news.life.active_at, What::Pending);
    }
    booked.unknown_since = news.life.unknown_since;
}

fn fires(booked: &mut Booked, news: &Observed) {
    if !booked.fires() {
        let at = news.life.fired_at.unwrap_or(news.at);
        booked.starts_at = at;
        booked.ends_at = None;
        booked.note(at, What::Firing);
        if booked.flaps.rises(at) {
            booked.note(at, What::Flapping);
        }
    }
    match (booked.unknown_since, news.life.unknown_since) {
        (None, Some(at)) => booked.note(at, What::Unknown),
        (Some(_), None) => booked.note(news.at, What::Heard),
        _ => {}
    }
    booked.unknown_since = news.life.unknown_since;
    booked.set_firing();
}

fn ends(booked: &mut Booked, news: &Observed) {
    if booked.fires() {
        let at = news.life.resolved_at.unwrap_or(news.at);
        booked.ends_at = Some(at);
        booked.flaps.falls(at);
        let by_result = matches!(news.cause, Cause::Result | Cause::Silence);
        booked.note(at, if by_result { What::Resolved } else { What::Dropped });
    }
    booked.state = State::Resolved;
    booked.unknown_since = None;
    if booked.flaps.since.is_none() {
        booked.acknowledged = None;
    }
    booked.held = None;
}

impl Book {
    /// Somebody has an alert in hand; false, if it does not fire, nor counts as if it did.
    pub(crate) fn acknowledge(&mut self, id: AlertId, by: &str, note: &str, now: i64) -> bool {
        let counts = |booked: &&mut Booked| booked.counts_as_firing();
        let Some(booked) = self.alerts.get_mut(&id).filter(counts) else { return false };
        booked.acknowledged = Some(Acknowledged { by: by.to_owned(), at: now, note: note.to_owned() });
        booked.note(now, What::Acknowledged { by: by.to_owned(), note: note.to_owned() });
        if booked.fires() {
            booked.set_firing();
        }
        true
    }

    /// Nobody has it in hand any more; false, if nobody had.
    pub(crate) fn unacknowledge(&mut self, id: AlertId, now: i64) -> bool {
        let Some(booked) = self.alerts.get_mut(&id).filter(|booked| booked.acknowledged.is_some()) else {
            return false;
        };
        booked.acknowledged = None;
        booked.note(now, What::Unacknowledged);
        if booked.fires() {
            booked.set_firing();
        }
        true
    }
}

/// Labels as pairs.
mod as_pairs {
    use rackside_promql::Labels;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(labels: &Labels, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(labels.iter().map(|label| (label.name.as_ref(), label.value.as_ref())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
        Ok(Labels::new(Vec::<(String, String)>::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_alerting::{Life, State as Stage};

    fn news(site: &str, stage: Stage, at: i64) -> Observed {
        let fired_at = (stage == Stage::Firing).then_some(at);
        let resolved_at = (stage == Stage::Inactive).then_some(at);
        Observed {
            at,
            labels: Labels::new([("alertname", "SocHot"), ("site", site)]),
            annotations: [].into(),
            value: 78.5,
            life: Life { state: stage, fired_at, resolved_at, ..Life::begin(at) },
            cause: Cause::Result,
        }
    }

    fn whats(booked: &Booked) -> Vec<What> {
        booked.history.iter().map(|happened| happened.what.clone()).collect()
    }

    #[test]
    fn a_life_is_written_down() {
        let mut book = Book::default();
        let (id, turn) = book.take(&news("hall", Stage::Pending, 1));
        assert_eq!((turn, book.alert(id).map(|booked| booked.state)), (Turn::Same, Some(State::Pending)));
        assert_eq!(book.take(&news("hall", Stage::Firing, 2)).1, Turn::Fires);
        assert!(book.acknowledge(id, "desk", "on it", 3));
        assert_eq!(book.alert(id).map(|booked| booked.state), Some(State::Acknowledged));
        let mut unknown = news("hall", Stage::Firing, 4);
        unknown.life.unknown_since = Some(4);
        assert_eq!(book.take(&unknown).1, Turn::Same);
        assert_eq!(book.alert(id).map(|booked| booked.state), Some(State::Unknown));
        assert_eq!(book.take(&news("hall", Stage::Inactive, 5)).1, Turn::Ends);
        let booked = book.alert(id).expect("it is kept");
        assert_eq!((booked.starts_at, booked.ends_at, &booked.acknowledged), (2, Some(5), &None));
        let by = What::Acknowledged { by: "desk".to_owned(), note: "on it".to_owned() };
        assert_eq!(whats(booked), [What::Pending, What::Firing, by, What::Unknown, What::Resolved]);
    }

    #[test]
    fn what_never_fired_leaves_no_trace() {
        let mut book = Book::default();
        book.take(&news("hall", Stage::Pending, 1));
        book.take(&news("hall", Stage::Inactive, 2));
        assert_eq!(book, Book::default());
        assert!(!book.acknowledge(AlertId(1), "desk", "", 3));
    }

    #[test]
    fn what_is_over_is_forgotten_by_age_and_by_number_and_not_while_it_is_needed() {
        let mut book = Book::default();
        for number in 0..KEPT as i64 + 10 {
            let site = format!("s{number}");
            book.take(&news(&site, Stage::Firing, number));
            book.take(&news(&site, Stage::Inactive, number + 1));
        }
        book.take(&news("hall", Stage::Firing, 0));
        let oldest = AlertId::of(&news("s0", Stage::Firing, 0).labels);
        book.forget(10_000, |id| id == oldest);
        assert_eq!(book.alerts().count(), KEPT + 2);
        book.forget(KEPT_FOR + 10_000, |id| id == oldest);
        assert_eq!(book.alerts().count(), 2, "the one that fires and the one that is needed");
    }

    #[test]
    fn a_history_is_bounded() {
        let mut book = Book::default();
        for at in 0..200 {
            book.take(&news("hall", Stage::Firing, 2 * at));
            book.take(&news("hall", Stage::Inactive, 2 * at + 1));
        }
        let booked = book.alerts().next().expect("there is one");
        assert_eq!(booked.history.len(), HISTORY);
        assert_eq!(booked.history.back(), Some(&Happened { at: 399, what: What::Resolved }));
    }
}
