//! A group is looked at: what is held back is sorted out, each receiver is told what is new to it, and what is over leaves.
//!
//! Who was told that an alert fires is told that it is over, whatever holds it back by then, and whether or not they are on call any more; during
//! quiet hours that waits for their end.
//!
//! That an appliance is gone is told only once the hub knows that it is not cut off itself, or has looked in vain for ten seconds, and not while appliances
//! are just coming back to a hub that heard nobody. What was told already waits for no such answer: it was true then. When the doubt is over, so is the
//! waiting: that keeps to no timetable.
//!
//! Sample: `on air:{site="hall"}` with `StreamDown` firing and `PictureFrozen` muted: `crew` is told of one alert.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::Policy;
use crate::book::{Booked, Held, What};
use crate::cause;
use crate::compose::{self, Frame};
use crate::dedup::{self, Known, Manner, News};
use crate::escalate;
use crate::group::{Group, Member};
use crate::inhibit::{Inhibitor, says_gone};
use crate::keep::Kept;
use crate::maintenance::Plan;
use crate::message::{AlertId, Entry, Kind, Message, Outgoing, State};
use crate::route::{Place, Route, Target};
use crate::world::{Uplink, World};
use rackside_promql::Labels;

/// How often a group is looked at whose route is no more, in milliseconds.
pub(crate) const ROUTE_GONE: i64 = 300_000;

/// All that is told at one moment.
pub(crate) struct Round<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) world: &'a dyn World,
    pub(crate) now: i64,
    /// What fires, gone through at the first group that is looked at.
    pub(crate) firing: Option<Firing<'a>>,
    pub(crate) kept: &'a mut Kept,
    pub(crate) plan: &'a mut Plan,
    pub(crate) out: Vec<Outgoing>,
    /// Whether anything of what is kept is another than before.
    pub(crate) has_changed: bool,
}

/// What fires at the moment, by what is asked of it.
pub(crate) struct Firing<'a> {
    inhibitor: Inhibitor<'a>,
    sites: cause::Sites,
}

/// The members of a group, sorted by what can be told of them.
#[derive(Default)]
struct Sorted {
    /// They fire, and can be told.
    firing: BTreeSet<AlertId>,
    /// They fire, and are held back.
    held: BTreeSet<AlertId>,
    /// They are over, and can be told to everybody.
    over: BTreeSet<AlertId>,
    /// They are over, and are told only to those who know that they fire.
    over_held: BTreeSet<AlertId>,
    /// They are over, and wait for the end of quiet hours.
    over_later: BTreeSet<AlertId>,
    /// When quiet hours end for one of them.
    quiet_until: Option<i64>,
    /// One of them waits for what the hub's own uplink is like.
    waits_for_uplink: bool,
}

impl Round<'_> {
    /// What holds an alert back, whatever its route. `is_trusted`: it is taken for true while the uplink is being looked at.
    fn held(&mut self, booked: &Booked, place: &Place, is_trusted: bool) -> Option<Held> {
        if booked.state == State::Unknown {
            return Some(Held::Unknown);
        }
        if self.world.is_being_set_up(booked.site(), booked.appliance()) {
            return Some(Held::Commissioning);
        }
        if says_gone(&booked.labels, self.world) {
            if self.is_told_with_others(booked.site(), booked.appliance()) {
                return Some(Held::Outage);
            }
            if let Some(held) = self.is_doubtful(booked, is_trusted) {
                return Some(held);
            }
        }
        let firing = self.firing.get_or_insert_with(|| Firing {
            inhibitor: Inhibitor::new(&self.kept.book, &self.policy.inhibitions, self.world),
            sites: cause::Sites::of(&self.kept.book),
        });
        if let Some(silencer) = firing.inhibitor.silencer(booked, &self.kept.book) {
            return Some(Held::Inhibited(silencer.text));
        }
        if let Some(mute) = self.kept.mutes.mutes(&booked.labels, self.now) {
            return Some(Held::Muted(mute.id));
        }
        self.maintenance(&booked.labels, place).map(Held::Maintenance)
    }

    /// What the maintenance is called that keeps alerts with these labels quiet: one by hand before one of the configuration.
    pub(crate) fn maintenance(&mut self, labels: &Labels, place: &Place) -> Option<String> {
        if let Some(work) = self.kept.works.under_way(labels, &place.tags, self.now) {
            return Some(work.name.clone());
        }
        let under_way = self.plan.under_way(&self.policy.maintenance, labels, place, self.now)?;
        Some(under_way.maintenance.name.to_string())
    }

    /// Why it is not to be told that an appliance is gone: nobody can say, or it may be the hub that is cut off.
    fn is_doubtful(&self, booked: &Booked, is_trusted: bool) -> Option<Held> {
        if self.world.is_unsure(booked.site(), booked.appliance()) {
            return Some(Held::Unknown);
        }
        match self.world.uplink() {
            Uplink::Down => Some(Held::CutOff),
            Uplink::Checking if !is_trusted => Some(Held::CutOff),
            Uplink::Checking | Uplink::Well => None,
        }
    }

    /// Whether an alert of a group was held back in doubt, and there is none any more: that waits for no timetable.
    fn is_settled(&self, group: &Group) -> bool {
        let firing = group.members.keys().filter_map(|id| self.kept.book.alert(*id));
        let mut doubted = firing.filter(|booked| {
            booked.counts_as_firing()
                && booked.state != State::Unknown
                && matches!(booked.held, Some(Held::CutOff | Held::Unknown))
                && says_gone(&booked.labels, self.world)
        });
        doubted.any(|booked| self.is_doubtful(booked, group.has_waited(self.now)).is_none())
    }

    /// Takes a group's alerts up the steps of escalation, and looks at it if it is time.
    pub(crate) fn look(&mut self, key: &str) {
        let Some(group) = self.kept.groups.all.get_mut(key) else { return };
        let route = self.policy.route(&group.route);
        let reached = escalate::step(group, &self.kept.book, self.now, |step| after(route, step));
        let is_answered = group.checking_since.is_some() && self.world.uplink() != Uplink::Checking;
        let is_due = group.due() <= self.now || is_answered;
        if is_due || self.kept.groups.all.get(key).is_some_and(|group| self.is_settled(group)) {
            self.flush(key);
        } else if let Some(steps) = reached {
            self.flush_steps(key, steps);
        }
    }

    /// Looks at a group by its timetable.
    fn flush(&mut self, key: &str) {
        let Some(mut group) = self.kept.groups.all.remove(key) else { return };
        self.has_changed = true;
        if group.members.is_empty() {
            self.kept.log.forget(key);
            return;
        }
        let route = self.policy.route(&group.route);
        group.flushed(self.now, route.map_or(ROUTE_GONE, |route| route.group_interval));
        let sorted = self.sort(key, &group, route);
        if let Some(until) = sorted.quiet_until {
            group.next = group.next.min(until);
        }
        group.waits_for_uplink(self.now, sorted.waits_for_uplink);
        let last = group.members.values().map(|member| member.step).max().unwrap_or(0);
        self.tell(key, &mut group, route, &sorted, 0..=last);
        group.members.retain(|id, _| {
            sorted.firing.contains(id) || sorted.held.contains(id) || sorted.over_later.contains(id)
        });
        self.kept.groups.all.insert(key.to_owned(), group);
    }

    /// Tells those steps of the escalation that were just reached.
    fn flush_steps(&mut self, key: &str, steps: RangeInclusive<usize>) {
        let Some(mut group) = self.kept.groups.all.remove(key) else { return };
        self.has_changed = true;
        let route = self.policy.route(&group.route);
        let sorted = self.sort(key, &group, route);
        self.tell(key, &mut group, route, &sorted, steps);
        self.kept.groups.all.insert(key.to_owned(), group);
    }

    fn sort(&mut self, key: &str, group: &Group, route: Option<&Route>) -> Sorted {
        let mut sorted = Sorted::default();
        for (id, member) in &group.members {
            let Some(booked) = self.kept.book.alert(*id).cloned() else { continue };
            let place = Place::of(&booked.labels, self.world);
            let quiet = route.and_then(|route| route.waits_until(&booked.labels, &place, self.now));
            let is_told = self.kept.log.is_told(key, *id);
            let held = self.held(&booked, &place, is_told || group.has_waited(self.now));
            if let Some(until) = quiet {
                sorted.quiet_until = Some(sorted.quiet_until.map_or(until, |other| other.min(until)));
            }
            let fires = booked.counts_as_firing();
            if fires && held == Some(Held::CutOff) {
                sorted.waits_for_uplink |= self.world.uplink() == Uplink::Checking;
            }
            // Of one that is told and unknown now, messages say so.
            let is_shown = held.is_none() || is_told && held == Some(Held::Unknown);
            let into = match (fires, is_shown, quiet) {
                (true, true, None) => &mut sorted.firing,
                (true, ..) => &mut sorted.held,
                (false, _, Some(_)) if is_told => &mut sorted.over_later,
                (false, true, None) => &mut sorted.over,
                (false, ..) => &mut sorted.over_held,
            };
            into.insert(*id);
            if fires
                && member.is_current
                && let Some(booked) = self.kept.book.alert_mut(*id)
            {
                booked.held = held.or(quiet.map(Held::Quiet));
            }
        }
        sorted
    }

    fn tell(
        &mut self,
        key: &str,
        group: &mut Group,
        route: Option<&Route>,
        sorted: &Sorted,
        steps: RangeInclusive<usize>,
    ) {
        let mut told_over: BTreeSet<Arc<str>> = BTreeSet::new();
        for step in steps {
            let current = route.and_then(|route| targets(route, step));
            let current = current.map(|to| self.policy.told(to, self.now)).unwrap_or_default();
            if step == 0 && current.is_empty() {
                // Nobody is on call: the escalation goes on all the same.
                for (_, member) in group.members.iter_mut().filter(|(id, _)| sorted.firing.contains(id)) {
                    member.told_at.get_or_insert(self.now);
                }
            }
            let known = self.kept.log.receivers(key, step).map(|(name, _)| Arc::from(name));
            let former: Vec<Arc<str>> = known.filter(|name| !current.contains(name)).collect();
            let all = current.into_iter().map(|name| (name, true));
            for (receiver, is_current) in all.chain(former.into_iter().map(|name| (name, false))) {
                let to = To { key, step, receiver: &receiver, is_current };
                if let Some(is_over) = self.tell_one(to, group, route, sorted, &told_over)
                    && is_over
                {
                    told_over.insert(receiver);
                }
            }
        }
    }

    /// Tells one receiver what is new to it. Says, if there was a message, whether it was that all is over.
    fn tell_one(
        &mut self,
        to: To<'_>,
        group: &mut Group,
        route: Option<&Route>,
        sorted: &Sorted,
        told_over: &BTreeSet<Arc<str>>,
    ) -> Option<bool> {
        let known = self.kept.log.known(to.key, to.step, to.receiver).cloned();
        let news = self.news(&to, group, sorted, known.as_ref());
        if news.firing.is_empty() && news.resolved.is_empty() {
            return None;
        }
        let send_resolved = self.policy.receiver(to.receiver).is_some_and(|receiver| receiver.send_resolved);
        // Who was told at a later step as well hears it again from there.
        let is_later =
            self.kept.log.of(to.key).any(|((_, step, name), _)| *step > to.step && **name == **to.receiver);
        let repeat = route.filter(|_| to.is_current && !is_later).map_or(i64::MAX, |it| it.repeat_interval);
        if !dedup::is_new(known.as_ref(), &news, Manner { send_resolved, repeat }, self.now) {
            return None;
        }
        let known = known.unwrap_or_default();
        // A message that says that all is over closes the matter: what is held back then is news once it is not.
        let is_over = news.firing.is_empty();
        let knows_of_held = known.firing.intersection(&sorted.held).copied().filter(|_| !is_over);
        let next = Known {
            firing: news.firing.iter().copied().chain(knows_of_held).collect(),
            resolved: news.resolved.clone(),
            flapping: news.flapping.clone(),
            at: self.now,
        };
        self.kept.log.set(to.key, to.step, to.receiver, next);
        let is_twice = is_over && told_over.contains(to.receiver);
        if is_over && !send_resolved || is_twice || self.policy.receiver(to.receiver).is_none() {
            return None;
        }
        self.send(to, group, news, &known, send_resolved);
        Some(is_over)
    }

    /// What there is to tell a receiver.
    fn news(&self, to: &To<'_>, group: &Group, sorted: &Sorted, known: Option<&Known>) -> News {
        let repeat = self.policy.route(&group.route).map_or(i64::MAX, |route| route.repeat_interval);
        let since = self.now.saturating_sub(repeat);
        let is_known = |id: &AlertId| known.is_some_and(|known| known.firing.contains(id));
        let member = |id: &AlertId| group.members.get(id);
        let is_here = |id: &AlertId| {
            let is_for_all = |member: &Member| {
                let is_elsewhere = |from: &String| self.kept.log.is_told_to(from, *id, to.receiver, since);
                member.is_current && member.step >= to.step && !member.from.iter().any(is_elsewhere)
            };
            is_known(id) || to.is_current && member(id).is_some_and(is_for_all)
        };
        let firing: BTreeSet<AlertId> = sorted.firing.iter().copied().filter(is_here).collect();
        let over = sorted.over.iter().filter(|id| is_here(id));
        let over_held = sorted.over_held.iter().filter(|id| is_known(id));
        let resolved = over.chain(over_held).copied().collect();
        let booked = |id: &AlertId| self.kept.book.alert(*id);
        let flaps = |id: &&AlertId| booked(id).is_some_and(|booked| booked.flaps.since.is_some());
        let flapping = firing.iter().filter(flaps).copied().collect();
        let is_in_hand = |id: &AlertId| {
            booked(id).is_some_and(|booked| booked.acknowledged.is_some())
                || !member(id).is_some_and(|member| member.is_current)
        };
        let in_hand = !firing.is_empty() && firing.iter().all(is_in_hand);
        News { firing, resolved, flapping, in_hand }
    }

    pub(crate) fn send(
        &mut self,
        to: To<'_>,
        group: &mut Group,
        news: News,
        known: &Known,
        send_resolved: bool,
    ) {
        let now = self.now;
        let resolved = if send_resolved { news.resolved } else { BTreeSet::new() };
        let all = news.firing.iter().chain(&resolved);
        let entries = all.filter_map(|id| self.kept.book.alert(*id));
        let entries: Vec<Entry> = entries.map(|booked| compose::entry(booked, self.world)).collect();
        let sites = self.firing.as_ref().map(|firing| &firing.sites);
        let cause = sites.and_then(|sites| cause::of(&news.firing, &self.kept.book, sites, self.world));
        let (cause, explains) = cause.map_or((None, 0), |cause| (Some(cause.text), cause.explains));
        for entries in entries.chunks(self.most_alerts(to.receiver)) {
            let frame = Frame {
                id: self.kept.next_id(now),
                kind: Kind::Alerts,
                at: now,
                group_key: to.key.to_owned(),
                group_labels: group.labels.clone(),
                route: &group.route,
                escalation: to.step,
            };
            let message = compose::message(frame, entries.to_vec(), self.world);
            let message = Message { cause: cause.clone(), explains, ..message };
            self.out.push(Outgoing { receiver: Arc::clone(to.receiver), message });
        }
        let (escalation, message) = (to.step, self.kept.last_id);
        let fresh = news.firing.difference(&known.firing).map(|id| (*id, State::Firing));
        let over = resolved.difference(&known.resolved).map(|id| (*id, State::Resolved));
        for (alert, state) in fresh.chain(over) {
            let what = What::Told { receiver: to.receiver.to_string(), message, state, escalation };
            if let Some(booked) = self.kept.book.alert_mut(alert) {
                booked.note(now, what);
            }
        }
        for (_, member) in group.members.iter_mut().filter(|(id, _)| news.firing.contains(id)) {
            member.told_at.get_or_insert(now);
        }
    }
}

/// Whom a message is for.
#[derive(Clone, Copy)]
pub(crate) struct To<'a> {
    pub(crate) key: &'a str,
    pub(crate) step: usize,
    pub(crate) receiver: &'a Arc<str>,
    /// They are to be told now, and not only were.
    pub(crate) is_current: bool,
}

/// Whom a step of a route names.
pub(crate) fn targets(route: &Route, step: usize) -> Option<&[Target]> {
    match step.checked_sub(1) {
        None => Some(&route.to),
        Some(step) => route.escalate.get(step).map(|step| step.to.as_slice()),
    }
}

/// How long after the first message each step of a route is due.
pub(crate) fn after(route: Option<&Route>, step: usize) -> Option<i64> {
    route?.escalate.get(step.checked_sub(1)?).map(|step| step.after)
}
