//! A roll-out: who gets a new configuration when, and when it stops.
//!
//! ```text
//! Due ─ told ─▶ Told ─ applied ─▶ Applied ─ well for `wait` ─▶ Proven
//!                 └──── refused, rolled back, gone, new critical alert ────▶ Failed
//! ```
//!
//! [`RollOut::step`] is one pass: it looks at everybody who was told, and says who is to be told now. Time and what is known of the
//! appliances are handed in. Stages follow each other when everybody of the present one has proven itself; who was away all the time
//! gets it when it comes and holds nobody up. Whoever's site is on air is left alone until it is over.
//!
//! Invariants: after a failure nobody is told any more. Never have more been told than the present stage is large. No stage but the last one
//! ends without somebody who has proven the configuration.

use crate::stages::Stages;
use rackside_proto::AgentName;
use std::collections::BTreeMap;
use std::fmt;

/// An agent that loses the hub over a configuration rolls back after five minutes; whoever is away for longer than that will not do it any more.
pub const GONE_AFTER: i64 = 7 * 60_000;
/// Whoever is there and says nothing for so long knows nothing of configurations.
pub const ANSWER_WITHIN: i64 = 10 * 60_000;
/// At most so many are told in one pass.
const AT_ONCE: usize = 200;
/// Alerts of one appliance that are remembered.
const MOST_ALERTS: usize = 100;

/// Which text: its digest.
pub type Digest = String;

/// A roll-out. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollOut {
    /// Its number.
    pub id: i64,
    /// Which other one it takes back.
    pub back_of: Option<i64>,
    /// Who wants it.
    pub by: String,
    /// Since when.
    pub begun_at: i64,
    /// How large its steps are.
    pub stages: Stages,
    /// How long an appliance has to be well until it has proven the configuration.
    pub wait: i64,
    /// Whether sites that are on air are changed too.
    pub on_air_too: bool,
    /// The present stage, from 0.
    pub stage: usize,
    /// How it stands.
    pub state: State,
    /// Whom it is about.
    pub members: Vec<Member>,
}

/// How a roll-out stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It goes on.
    Running,
    /// Everybody was told, and whoever was there has proven it.
    Done {
        /// Since when.
        at: i64,
    },
    /// It goes no further.
    Stopped {
        /// Since when.
        at: i64,
        /// Why: which appliance, and what happened; or who wanted it.
        why: String,
    },
}

/// An appliance in a roll-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub name: AgentName,
    /// What it had before.
    pub before: Digest,
    /// What it is to have.
    pub after: Digest,
    /// With which stage it is told, once that has begun.
    pub stage: Option<usize>,
    /// How far it is.
    pub step: Step,
    /// What it waits for, for people; not kept.
    pub note: String,
}

/// How far an appliance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It was not told yet.
    Due,
    /// It was told.
    Told(Told),
    /// It has it, and is watched.
    Applied {
        /// What it was told.
        told: Told,
        /// Since when it is well.
        well_since: i64,
    },
    /// It has it, and was well for long enough.
    Proven(Told),
    /// It went wrong.
    Failed {
        /// What it was told.
        told: Told,
        /// What went wrong.
        why: String,
        /// Whether it has it all the same.
        has_it: bool,
    },
}

/// What an appliance was told, and how it was then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// When.
    pub at: i64,
    /// As which revision.
    pub revision: u32,
    /// Since when it could have answered; none while it is away.
    pub up_since: Option<i64>,
    /// Since when it is gone, if it was there before.
    pub gone_since: Option<i64>,
    /// Its alerts at that moment.
    pub alerts: Vec<String>,
}

/// What is known of an appliance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sight {
    /// Whether it can be heard.
    pub is_up: bool,
    /// Whether its site is on air.
    pub is_on_air: bool,
    /// Whether its rack is switched off on purpose.
    pub is_off: bool,
    /// What became of a revision.
    pub outcome: Outcome,
    /// Of which revision.
    pub revision: u32,
    /// What fires there.
    pub alerts: Vec<Alarm>,
}

/// What became of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Outcome {
    /// Nothing yet.
    #[default]
    Pending,
    /// It counts.
    Applied,
    /// The agent does not take it: why.
    Refused(String),
    /// The agent has taken it back: why.
    RolledBack(String),
}

/// An alert that fires at an appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What tells it from others.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// Whether it is critical.
    pub is_critical: bool,
}

/// Somebody who is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Who.
    pub name: AgentName,
    /// What.
    pub text: Digest,
}

impl Step {
    /// What it was told, if it was.
    pub fn told(&self) -> Option<&Told> {
        match self {
            Self::Due => None,
            Self::Told(told)
            | Self::Applied { told, .. }
            | Self::Proven(told)
            | Self::Failed { told, .. } => Some(told),
        }
    }

    /// In a word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Told(_) => "told",
            Self::Applied { .. } => "applied",
            Self::Proven(_) => "proven",
            Self::Failed { .. } => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Done { .. } => f.write_str("done"),
            Self::Stopped { why, .. } => write!(f, "stopped: {why}"),
        }
    }
}

impl RollOut {
    /// Whether it goes on.
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// One pass. Whoever is to be told has to be, and [`RollOut::told`] or [`RollOut::untold`] said of it, before the next one.
    pub fn step(&mut self, now: i64, sight: impl Fn(&AgentName) -> Sight) -> Vec<Order> {
        let mut failed = None;
        for member in &mut self.members {
            let is_watched = matches!(member.step, Step::Told(_) | Step::Applied { .. });
            if !is_watched && !matches!(member.step, Step::Proven(_)) {
                continue;
            }
            member.look(now, self.wait, &sight(&member.name));
            if let Step::Failed { why, .. } = &member.step {
                failed.get_or_insert_with(|| format!("{} {why}", member.name));
            }
        }
        if !self.is_running() {
            return Vec::new();
        }
        if let Some(why) = failed {
            self.state = State::Stopped { at: now, why };
            return Vec::new();
        }
        while self.is_complete() {
            if self.stage + 1 >= self.stages.count() {
                self.state = State::Done { at: now };
                return Vec::new();
            }
            self.stage += 1;
        }
        self.choose(&sight);
        self.orders(&sight)
    }

    /// Somebody was told.
    pub fn told(&mut self, name: &AgentName, revision: u32, now: i64, sight: &Sight) {
        let Some(member) = self.members.iter_mut().find(|member| member.name == *name) else { return };
        let alerts = sight.alerts.iter().take(MOST_ALERTS).map(|alarm| alarm.key.clone()).collect();
        let up_since = sight.is_up.then_some(now);
        member.step = Step::Told(Told { at: now, revision, up_since, gone_since: None, alerts });
        member.note.clear();
    }

    /// Somebody could not be told: that is the hub's own trouble, and goes no further either.
    pub fn untold(&mut self, name: &AgentName, why: &str, now: i64) {
        self.state = State::Stopped { at: now, why: format!("{name} could not be told: {why}") };
    }

    /// Says more of why somebody has failed: where the line stands that is at fault.
    pub fn explain(&mut self, name: &AgentName, more: &str) {
        let failed = self.members.iter_mut().find(|member| member.name == *name);
        let Some(Member { step: Step::Failed { why, .. }, .. }) = failed else { return };
        let before = format!("{name} {why}");
        why.push_str(more);
        if let State::Stopped { why: told, .. } = &mut self.state
            && *told == before
        {
            told.push_str(more);
        }
    }

    /// Somebody wants it to end.
    pub fn stop(&mut self, by: &str, now: i64) {
        if self.is_running() {
            self.state = State::Stopped { at: now, why: format!("{by} wanted it") };
        }
    }

    /// How many are how far.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for member in &self.members {
            *counts.entry(member.step.as_str()).or_default() += 1;
        }
        counts
    }

    /// How many were told while they were away, and have not come since.
    pub fn away(&self) -> usize {
        self.members.iter().filter(|member| member.is_away()).count()
    }

    fn in_stage(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.stage.is_some_and(|stage| stage <= self.stage))
    }

    /// Whether the present stage has its size, and everybody in it is through; in all but the last one somebody who is really through.
    fn is_complete(&self) -> bool {
        let size = self.stages.after(self.stage, self.members.len());
        let is_last = self.stage + 1 >= self.stages.count();
        let is_proven = |member: &Member| matches!(member.step, Step::Proven(_));
        self.in_stage().count() >= size
            && self.in_stage().all(|member| is_proven(member) || member.is_away())
            && (is_last || self.in_stage().any(is_proven))
    }

    /// Fills the present stage: those first who can show at once whether it is any good, and of each group of like ones one before a second one.
    fn choose(&mut self, sight: &impl Fn(&AgentName) -> Sight) {
        let size = self.stages.after(self.stage, self.members.len());
        let missing = size.saturating_sub(self.in_stage().count());
        if missing == 0 {
            return;
        }
        let is_last = self.stage + 1 >= self.stages.count();
        let mut of_a_kind: BTreeMap<(Digest, Digest), usize> = BTreeMap::new();
        let mut free = Vec::new();
        for (at, member) in self.members.iter().enumerate() {
            let kind = of_a_kind.entry((member.before.clone(), member.after.clone())).or_default();
            if member.stage.is_none() {
                let seen = sight(&member.name);
                let is_held = seen.is_on_air && !self.on_air_too;
                let turn = if seen.is_up && !is_held { 0 } else { 1 + usize::from(is_held) };
                free.push((turn, *kind, at));
            }
            *kind += 1;
        }
        free.sort_unstable();
        let has_proof = self.in_stage().any(|member| !member.is_away());
        if !is_last && !has_proof && free.first().is_none_or(|(turn, ..)| *turn > 0) {
            // Nobody could show anything.
            for member in self.members.iter_mut().filter(|member| member.stage.is_none()) {
                "waits for one that is there and not on air".clone_into(&mut member.note);
            }
            return;
        }
        for (_, _, at) in free.into_iter().take(missing) {
            if let Some(member) = self.members.get_mut(at) {
                member.stage = Some(self.stage);
                member.note.clear();
            }
        }
    }

    fn orders(&mut self, sight: &impl Fn(&AgentName) -> Sight) -> Vec<Order> {
        let (stage, on_air_too) = (self.stage, self.on_air_too);
        let mut orders = Vec::new();
        for member in &mut self.members {
            let is_due = member.step == Step::Due && member.stage.is_some_and(|of| of <= stage);
            if !is_due || orders.len() >= AT_ONCE {
                continue;
            }
            if sight(&member.name).is_on_air && !on_air_too {
                "its site is on air".clone_into(&mut member.note);
                continue;
            }
            orders.push(Order { name: member.name.clone(), text: member.after.clone() });
        }
        orders
    }
}

impl Member {
    /// One that was not told yet.
    pub fn new(name: AgentName, before: Digest, after: Digest) -> Self {
        Self { name, before, after, stage: None, step: Step::Due, note: String::new() }
    }

    /// Told, and not there since.
    pub fn is_away(&self) -> bool {
        matches!(&self.step, Step::Told(Told { up_since: None, .. }))
    }

    /// What its step is now.
    fn look(&mut self, now: i64, wait: i64, sight: &Sight) {
        let is_answer = self.step.told().is_some_and(|told| told.revision == sight.revision);
        let outcome = if is_answer { sight.outcome.clone() } else { Outcome::Pending };
        let mut told = self.step.told().cloned().unwrap_or_default();
        match outcome {
            Outcome::Refused(why) => return self.fail(told, format!("refuses it: {why}")),
            Outcome::RolledBack(why) => return self.fail(told, format!("has taken it back: {why}")),
            Outcome::Pending | Outcome::Applied => {}
        }
        if matches!(self.step, Step::Proven(_)) {
            return;
        }
        if sight.is_up {
            told.gone_since = None;
            told.up_since = told.up_since.or(Some(now));
        } else if sight.is_off {
            // Off on purpose is neither well nor gone.
            (told.up_since, told.gone_since) = (None, None);
        } else if told.up_since.is_some() {
            told.gone_since = told.gone_since.or(Some(now));
        }
        if told.gone_since.is_some_and(|since| now - since >= GONE_AFTER) {
            return self.fail(told, "is gone since it was told".to_owned());
        }
        let well_since = match (&self.step, &outcome) {
            (Step::Applied { well_since, .. }, _) => *well_since,
            (_, Outcome::Applied) => now,
            _ => return self.answer(told, now),
        };
        let news: Vec<&Alarm> =
            sight.alerts.iter().filter(|alarm| !told.alerts.contains(&alarm.key)).collect();
        if let Some(alarm) = news.iter().find(|alarm| alarm.is_critical) {
            let why = format!("has a new critical alert: {}", alarm.name);
            self.note.clear();
            self.step = Step::Failed { told, why, has_it: true };
            return;
        }
        if let Some(alarm) = news.first() {
            self.note = format!("has a new alert: {}", alarm.name);
            self.step = Step::Applied { told, well_since: now };
        } else if !sight.is_up {
            "has it, and is away".clone_into(&mut self.note);
            self.step = Step::Applied { told, well_since: now };
        } else if now - well_since >= wait {
            self.note.clear();
            self.step = Step::Proven(told);
        } else {
            self.note = format!("is watched for another {} s", (wait - (now - well_since) + 999) / 1000);
            self.step = Step::Applied { told, well_since };
        }
    }

    /// It has not answered yet.
    fn answer(&mut self, told: Told, now: i64) {
        let is_silent =
            told.gone_since.is_none() && told.up_since.is_some_and(|since| now - since >= ANSWER_WITHIN);
        if is_silent {
            return self.fail(
                told,
                "has not answered within 10 minutes; is its agent too old for configurations from the hub?"
                    .to_owned(),
            );
        }
        let note = match (told.up_since, told.gone_since) {
            (None, _) => "is away and gets it when it comes",
            (_, Some(_)) => {
                "is gone since it was told; an agent that loses the hub takes it back after 5 minutes"
            }
            _ => "has not answered yet",
        };
        note.clone_into(&mut self.note);
        self.step = Step::Told(told);
    }

    /// It has what it had before, or will have as soon as its agent notices.
    fn fail(&mut self, told: Told, why: String) {
        self.note.clear();
        self.step = Step::Failed { told, why, has_it: false };
    }
}

#[cfg(test)]
mod tests;
