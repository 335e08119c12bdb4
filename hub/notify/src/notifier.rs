//! All stages together. One task owns a notifier, hands in the time, and sends what it gives.
//!
//! Sample: `StreamDown` fires at 12:00:00; its route waits a second for more; at 12:00:01 `step` gives one message for `crew`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rackside_alerting::Cause;

use crate::Policy;
use crate::book::{Booked, Held, Orphan, Turn};
use crate::cause;
use crate::escalate;
use crate::flush::{self, Round};
use crate::group::{self, Seed};
use crate::keep::{KeepError, Kept};
use crate::maintenance::Plan;
use crate::message::{AlertId, Outgoing, Severity, State};
use crate::mute::{MuteError, MuteId, Mutes, NewMute};
use crate::observed::Observed;
use crate::refresh;
use crate::route::Place;
use crate::work::{NewWork, WorkError, WorkId, Works};
use crate::world::World;

/// How long the rules have to find an alert again whose appliance is heard again, in milliseconds, if they have lost it.
const FOUND_AGAIN: i64 = 2 * 60_000;
/// For so long an alert that the rules have lost is kept while its appliance is not heard, in milliseconds.
const ORPHANED: i64 = 30 * 86_400_000;
/// How often the book is gone through for what is long over, in milliseconds.
const FORGET: i64 = 3_600_000;

/// Which tags a site has.
type Tags<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// Takes alerts, gives messages.
#[derive(Debug)]
pub struct Notifier {
    policy: Policy,
    kept: Kept,
    plan: Plan,
    revision: u64,
}

impl Notifier {
    /// One that knows of no alert.
    pub fn new(policy: Policy) -> Self {
        Self { policy, kept: Kept::default(), plan: Plan::default(), revision: 0 }
    }

    /// Goes by this policy from `now` on. Alerts, mutes and acknowledgements stay; groups stay whose route is still there. Who was told by a route
    /// that is no more is still told what is over.
    pub fn load(&mut self, policy: Policy, now: i64, world: &dyn World) {
        if policy.heartbeat.as_ref().map(|it| it.every) != self.policy.heartbeat.as_ref().map(|it| it.every) {
            self.kept.heartbeat_at = None;
        }
        self.policy = policy;
        self.plan = Plan::default();
        self.revision += 1;
        let firing = self.kept.book.alerts().filter(|booked| booked.counts_as_firing());
        let firing: Vec<AlertId> = firing.map(|booked| booked.id).collect();
        for id in firing {
            self.route(id, now, world);
        }
    }

    /// The policy that it goes by.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Something has become of an alert.
    pub fn told(&mut self, news: &Observed, world: &dyn World) {
        self.revision += 1;
        let id = AlertId::of(&news.labels);
        let booked = self.kept.book.alert(id);
        let doubted = booked.is_some_and(|booked| matches!(booked.held, Some(Held::CutOff | Held::Unknown)));
        let was_in_hand = booked.is_some_and(|booked| booked.acknowledged.is_some());
        let (id, turn) = self.kept.book.take(news);
        let is_in_hand = self.kept.book.alert(id).is_some_and(|booked| booked.acknowledged.is_some());
        if turn == Turn::Ends && was_in_hand && !is_in_hand {
            self.kept.groups.let_go(id);
        }
        if turn == Turn::Ends && doubted {
            let log = &self.kept.log;
            self.kept.groups.leave(id, |key| log.receivers(key, 0).next().is_some());
        }
        if turn == Turn::Fires {
            let log = &mut self.kept.log;
            self.kept.groups.of_those_let_go(id, |key| log.grow_old(key, id));
            self.route(id, news.at, world);
        }
    }

    /// After a start: what the rules' engine holds, all of it, against what the book has. What fires and is not in the book is told. What fires in the
    /// book and the engine has lost, or has pending only, may have been saved here and not yet there: it fires on, until the engine says more, or has not
    /// found it again in two minutes during which its appliance was heard. While that is not heard, nobody knows.
    pub fn reconcile(&mut self, now: i64, all: &[Observed], world: &dyn World) {
        self.revision += 1;
        let held: BTreeMap<AlertId, &Observed> =
            all.iter().map(|observed| (AlertId::of(&observed.labels), observed)).collect();
        for (id, observed) in &held {
            if observed.life.state == rackside_alerting::State::Pending
                && let Some(booked) = self.kept.book.alert_mut(*id).filter(|booked| booked.fires())
            {
                booked.orphan = Orphan::Found;
            }
            self.told(&Observed { at: now, ..(*observed).clone() }, world);
        }
        let lost = self.kept.book.alerts().filter(|booked| {
            (booked.fires() || booked.state == State::Pending) && !held.contains_key(&booked.id)
        });
        let lost: Vec<AlertId> = lost.map(|booked| booked.id).collect();
        for id in lost {
            let Some(booked) = self.kept.book.alert_mut(id) else { continue };
            if !booked.fires() {
                self.ends(id, now);
            } else if is_heard(booked, world) {
                booked.orphan = Orphan::Heard(now);
            } else {
                booked.orphan = Orphan::Silent;
                booked.make_unknown(now);
            }
        }
    }

    /// Puts an alert into the groups of its routes, and takes it out of others.
    fn route(&mut self, id: AlertId, now: i64, world: &dyn World) {
        self.revision += 1;
        let Some(booked) = self.kept.book.alert_mut(id) else { return };
        let place = Place::of(&booked.labels, world);
        booked.routed_on_air = place.on_air;
        let taken = self.policy.routed(&booked.labels, &place, now);
        // Whether what holds it still does is looked at when its groups are.
        let held = booked.held.take().filter(|held| *held != Held::NotRouted);
        booked.held = if taken.is_empty() { Some(Held::NotRouted) } else { held };
        let (starts_at, severity) = (booked.starts_at, booked.severity);
        let mut into: BTreeSet<String> = BTreeSet::new();
        for taken in &taken {
            let labels = taken.route.group_labels(&booked.labels);
            let is_urgent = taken.route.group_wait.is_none() && severity == Severity::Critical;
            let key = group::key(&taken.route.name, &labels, is_urgent);
            let hurries = severity == Severity::Critical && !taken.route.keeps_interval;
            let wait = taken.route.wait(severity);
            let seed = Seed { route: &taken.route.name, labels, wait, hurries };
            self.kept.groups.insert(&key, seed, id, starts_at, now);
            into.insert(key);
        }
        let left = self.kept.groups.of(id).map(|(key, _)| key.clone());
        let left: Vec<String> = left.filter(|key| !into.contains(key)).collect();
        for from in left {
            if !self.kept.log.is_told(&from, id) {
                if let Some(group) = self.kept.groups.all.get_mut(&from) {
                    group.members.remove(&id);
                }
                continue;
            }
            for to in &into {
                self.kept.groups.hand_on(id, &from, to);
            }
            if let Some(member) = self.kept.groups.member(id, &from) {
                member.is_current = false;
            }
        }
    }

    /// Without a word of the engine: an alert is over.
    fn ends(&mut self, id: AlertId, now: i64) {
        let Some(booked) = self.kept.book.alert(id) else { return };
        self.revision += 1;
        let life = rackside_alerting::Life {
            state: rackside_alerting::State::Inactive,
            resolved_at: Some(now),
            ..rackside_alerting::Life::begin(booked.active_at)
        };
        let news = Observed {
            at: now,
            labels: booked.labels.clone(),
            annotations: Arc::new([]),
            value: booked.value,
            life,
            cause: Cause::Result,
        };
        self.kept.book.take(&news);
    }

    /// When [`Notifier::step`] has something to do next, in milliseconds since 1970; in the past, if it is late. A change of the world (a site
    /// goes on air, an appliance is gone or comes back, the uplink) is a reason to call it as well.
    pub fn due(&self) -> Option<i64> {
        let groups = self.kept.groups.all.values().flat_map(|group| {
            let route = self.policy.route(&group.route).filter(|route| !route.escalate.is_empty());
            let escalation = route.and_then(|route| {
                escalate::next(group, &self.kept.book, |step| flush::after(Some(route), step))
            });
            [Some(group.due()), escalation].into_iter().flatten()
        });
        let alerts = self
            .kept
            .book
            .alerts()
            .flat_map(|booked| [booked.flaps.steady_at(), given_up(booked)].into_iter().flatten());
        let outage = self.kept.outage.as_ref().map(crate::outage::Outage::due);
        let heartbeat = self.policy.heartbeat.as_ref().map(|_| self.kept.heartbeat_at.unwrap_or(i64::MIN));
        let refresh = refresh::due(&self.policy, &self.kept);
        let outage = outage.into_iter().chain(self.kept.outage_log.due(&self.policy));
        groups.chain(alerts).chain(outage).chain(heartbeat).chain(refresh).min()
    }

    /// The clock was set: it is `now`, and would be `now - by_ms` if it had gone on. What is waited for comes as late as it would have come; what a person
    /// has given a time of day, as the end of a mute, keeps it.
    pub fn clock_stepped(&mut self, by_ms: i64, now: i64) {
        self.revision += 1;
        self.kept.shift(by_ms);
        self.bound(now);
    }

    /// Nothing is waited for longer than its policy asks, wherever the clock was when the waiting began: it may have been set while the hub was away.
    fn bound(&mut self, now: i64) {
        for group in self.kept.groups.all.values_mut() {
            let longest = self.policy.route(&group.route).map_or(flush::ROUTE_GONE, |route| {
                let wait = route.wait(Severity::Warning).max(route.wait(Severity::Critical));
                route.group_interval.max(wait)
            });
            self.revision += u64::from(group.bound(now.saturating_add(longest)));
        }
        if let (Some(at), Some(heartbeat)) = (&mut self.kept.heartbeat_at, &self.policy.heartbeat) {
            self.revision += u64::from(lower(at, now.saturating_add(heartbeat.every)));
        }
    }

    /// Does all that is due at `now`.
    pub fn step(&mut self, now: i64, world: &dyn World) -> Vec<Outgoing> {
        self.bound(now);
        self.settle(now, world);
        self.route_by_air(now, world);
        let mut round = Round {
            policy: &self.policy,
            world,
            now,
            firing: None,
            kept: &mut self.kept,
            plan: &mut self.plan,
            out: Vec::new(),
            has_changed: false,
        };
        round.outage();
        let keys: Vec<String> = round.kept.groups.all.keys().cloned().collect();
        for key in keys {
            round.look(&key);
        }
        round.refresh();
        let (mut out, has_changed) = (round.out, round.has_changed);
        self.revision += u64::from(has_changed);
        out.extend(self.heartbeat(now));
        if now.saturating_sub(self.kept.forgot_at) >= FORGET {
            self.kept.forgot_at = now;
            self.revision += 1;
            let groups = &self.kept.groups;
            self.kept.book.forget(now, |id| groups.of(id).next().is_some());
            self.kept.mutes.forget(now);
            self.kept.works.forget(now);
        }
        out
    }

    /// Flapping that has ended, and alerts that the rules have not found again.
    fn settle(&mut self, now: i64, world: &dyn World) {
        let mut over = Vec::new();
        for booked in self.kept.book.alerts_mut() {
            if booked.flaps.steady_at().is_some_and(|at| at <= now) {
                booked.settle(now);
                self.revision += 1;
            }
            let before = booked.orphan;
            booked.orphan = match before {
                Orphan::Silent if is_heard(booked, world) => Orphan::Heard(now),
                Orphan::Heard(_) if !is_heard(booked, world) => {
                    booked.make_unknown(now);
                    Orphan::Silent
                }
                as_it_was => as_it_was,
            };
            self.revision += u64::from(booked.orphan != before);
            if given_up(booked).is_some_and(|at| at <= now) {
                booked.orphan = Orphan::No;
                over.push(booked.id);
            }
        }
        for id in over {
            self.ends(id, now);
        }
    }

    /// Alerts of sites that went on air, or off, go by other routes.
    fn route_by_air(&mut self, now: i64, world: &dyn World) {
        let mut on_air: BTreeMap<&str, bool> = BTreeMap::new();
        let mut moved = Vec::new();
        for booked in self.kept.book.alerts().filter(|booked| booked.counts_as_firing()) {
            let site = booked.site();
            if !site.is_empty()
                && booked.routed_on_air != Some(*on_air.entry(site).or_insert_with(|| world.on_air(site)))
            {
                moved.push(booked.id);
            }
        }
        for id in moved {
            self.route(id, now, world);
        }
    }

    /// Somebody has an alert in hand, and with it the outage that it is a part of. Says whether there is such an alert that fires.
    pub fn acknowledge(&mut self, id: AlertId, by: &str, note: &str, now: i64) -> bool {
        let is_done = self.kept.book.acknowledge(id, by, note, now);
        self.revision += u64::from(is_done);
        if is_done && self.is_of_outage(id) {
            self.kept.outage_log.is_in_hand = true;
        }
        is_done
    }

    /// Whether an alert says that an appliance is gone, and that is told as a part of an outage.
    fn is_of_outage(&self, id: AlertId) -> bool {
        let booked = self.kept.book.alert(id).filter(|booked| booked.held == Some(Held::Outage));
        let outage = self.kept.outage.as_ref();
        booked.zip(outage).is_some_and(|(booked, outage)| outage.has(booked.site(), booked.appliance()))
    }

    /// Nobody has it in hand any more. Says whether somebody had. The escalation goes on as if nobody ever had.
    pub fn unacknowledge(&mut self, id: AlertId, now: i64) -> bool {
        let is_done = self.kept.book.unacknowledge(id, now);
        self.revision += u64::from(is_done);
        if is_done && self.is_of_outage(id) {
            self.kept.outage_log.is_in_hand = false;
        }
        is_done
    }

    /// Keeps alerts quiet for a while.
    pub fn mute(&mut self, new: NewMute, now: i64) -> Result<MuteId, MuteError> {
        self.revision += 1;
        self.kept.mutes.make(new, now)
    }

    /// Changes a mute.
    pub fn change_mute(&mut self, id: MuteId, new: NewMute, now: i64) -> Result<(), MuteError> {
        self.revision += 1;
        self.kept.mutes.change(id, new, now)
    }

    /// Ends a mute before its time.
    pub fn unmute(&mut self, id: MuteId, by: &str, now: i64) -> Result<(), MuteError> {
        self.revision += 1;
        self.kept.mutes.end(id, by, now)
    }

    /// All mutes.
    pub fn mutes(&self) -> &Mutes {
        &self.kept.mutes
    }

    /// Announces maintenance. `tags` says which a site has. What fires of it already is seen as kept at once; messages are when their group is looked at next.
    pub fn begin_work(&mut self, new: NewWork, now: i64, tags: Tags<'_>) -> Result<WorkId, WorkError> {
        self.revision += 1;
        let id = self.kept.works.begin(new, now)?;
        let Some(work) = self.kept.works.one(id).filter(|work| work.holds(now)) else { return Ok(id) };
        let firing = self.kept.book.alerts_mut().filter(|booked| booked.counts_as_firing());
        for booked in firing.filter(|booked| booked.held.is_none()) {
            if work.concerns(&booked.labels, &tags(booked.site())) {
                booked.held = Some(Held::Maintenance(work.name.clone()));
            }
        }
        Ok(id)
    }

    /// Ends maintenance that was announced before its time. What still fires is told when its group is looked at next.
    pub fn end_work(&mut self, id: WorkId, by: &str, now: i64, tags: Tags<'_>) -> Result<(), WorkError> {
        self.revision += 1;
        self.kept.works.end(id, by, now)?;
        let Some(work) = self.kept.works.one(id) else { return Ok(()) };
        for booked in self.kept.book.alerts_mut() {
            if booked.held.as_ref().is_some_and(|held| *held == Held::Maintenance(work.name.clone()))
                && work.concerns(&booked.labels, &tags(booked.site()))
            {
                booked.held = None;
            }
        }
        Ok(())
    }

    /// All maintenance that was announced by hand.
    pub fn works(&self) -> &Works {
        &self.kept.works
    }

    /// All alerts in the book, in a fixed order.
    pub fn alerts(&self) -> impl Iterator<Item = &Booked> {
        self.kept.book.alerts()
    }

    /// One of them, with its history.
    pub fn alert(&self, id: AlertId) -> Option<&Booked> {
        self.kept.book.alert(id)
    }

    /// Grows whenever [`Notifier::save`] may give something else than before.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What probably explains an alert, in a few words, how many alerts that explains, and whether it is this one itself.
    pub fn cause(&self, id: AlertId, world: &dyn World) -> Option<(String, usize, bool)> {
        let book = &self.kept.book;
        let found = cause::of(&BTreeSet::from([id]), book, &cause::Sites::of(book), world)?;
        Some((found.text, found.explains, found.id == id))
    }

    /// All that must outlast the program, as bytes.
    pub fn save(&self) -> Vec<u8> {
        self.kept.bytes()
    }

    /// Takes what [`Notifier::save`] gave, in the place of all that it knows. An error changes nothing.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), KeepError> {
        self.kept = Kept::read(bytes)?;
        self.revision += 1;
        Ok(())
    }

    fn heartbeat(&mut self, now: i64) -> Vec<Outgoing> {
        let Some(heartbeat) = &self.policy.heartbeat else { return Vec::new() };
        self.revision += u64::from(self.kept.heartbeat_at.is_none());
        let due = *self.kept.heartbeat_at.get_or_insert(now.saturating_add(heartbeat.every));
        if now < due {
            return Vec::new();
        }
        self.kept.heartbeat_at = Some(now.saturating_add(heartbeat.every));
        self.revision += 1;
        let receivers = self.policy.told(&heartbeat.to, now);
        receivers.into_iter().map(|receiver| crate::trial::heartbeat(&mut self.kept, receiver, now)).collect()
    }

    /// A message to try a receiver or a route: who gets it is who would get an alert now. None, if there is no such receiver or route.
    pub fn test(&mut self, target: &Trial, now: i64, world: &dyn World) -> Option<Vec<Outgoing>> {
        let (receivers, route) = match target {
            Trial::Receiver(name) => (vec![Arc::clone(&self.policy.receiver(name)?.name)], ""),
            Trial::Route(name) => {
                let route = self.policy.route(name)?;
                (self.policy.told(&route.to, now), &*route.name)
            }
        };
        let kept = &mut self.kept;
        self.revision += 1;
        Some(
            receivers
                .into_iter()
                .map(|receiver| crate::trial::test(kept, receiver, route, now, world))
                .collect(),
        )
    }
}

/// Makes a moment no later than that; says whether it was.
fn lower(moment: &mut i64, bound: i64) -> bool {
    let is_later = *moment > bound;
    *moment = (*moment).min(bound);
    is_later
}

/// When an alert that the rules have lost is over, if things stay as they are.
fn given_up(booked: &Booked) -> Option<i64> {
    match booked.orphan {
        Orphan::Heard(at) => Some(at.saturating_add(FOUND_AGAIN)),
        Orphan::Silent => booked.unknown_since.map(|since| since.saturating_add(ORPHANED)),
        Orphan::No | Orphan::Found => None,
    }
}

/// Whether an alert that the rules have lost could be found by them again: its appliance is heard, or it is about none.
fn is_heard(booked: &Booked, world: &dyn World) -> bool {
    booked.appliance().is_empty() || world.is_up(booked.site(), booked.appliance()) == Some(true)
}

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// The receiver of this name.
    Receiver(String),
    /// All whom the route of this name tells now.
    Route(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Nowhere;
    use rackside_alerting::Life;
    use rackside_promql::Labels;

    #[test]
    fn what_the_rules_have_lost_of_a_box_that_is_never_heard_again_is_over_after_a_month() {
        let labels = [("alertname", "SocHot"), ("site", "hall"), ("appliance", "rack")];
        let news = Observed {
            at: 1_000,
            labels: Labels::new(labels),
            annotations: [].into(),
            value: 78.5,
            life: Life {
                state: rackside_alerting::State::Firing,
                fired_at: Some(1_000),
                ..Life::begin(1_000)
            },
            cause: Cause::Result,
        };
        let id = AlertId::of(&news.labels);
        let mut notifier = Notifier::new(Policy::default());
        notifier.told(&news, &Nowhere);
        notifier.reconcile(2_000, &[], &Nowhere);
        let state = |notifier: &Notifier| notifier.alert(id).map(|booked| booked.state);
        notifier.step(2_000 + ORPHANED - 1, &Nowhere);
        assert_eq!((state(&notifier), notifier.due()), (Some(State::Unknown), Some(2_000 + ORPHANED)));
        notifier.step(2_000 + ORPHANED, &Nowhere);
        assert_eq!(state(&notifier), Some(State::Resolved));
    }
}
