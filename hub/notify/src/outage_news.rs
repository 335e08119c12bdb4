//! What is told of an outage, and to whom: everybody whom a route would tell that one of its appliances is gone, as if that were critical. One message
//! each.
//!
//! An outage that nobody has in hand goes up the steps of those routes, each counted from when the route was first told of it. Acknowledging the alert of
//! any appliance of it stops that for all of it, until it is over.
//!
//! An Alertmanager is told of each appliance, in several messages if they are many, and again before it forgets.
//!
//! Not told: appliances that are muted or worked on. Quiet hours do not count: this is what one wants to be woken for.
//!
//! Sample: 40 sites gone, 35 of them `crew`'s: one message for `crew` with 35 appliances.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use rackside_promql::Labels;
use serde::{Deserialize, Serialize};

use crate::Policy;
use crate::compose::{self, Frame};
use crate::flush::{Round, after, targets};
use crate::message::{AlertId, Entry, Kind, MOST_ALERTS, Outgoing, Severity, State};
use crate::outage::{Outage, Place as Rack, Tell};
use crate::refresh;
use crate::route::{Place, Route};

/// Whom it was told of which appliances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutageLog {
    told: BTreeMap<String, BTreeSet<Rack>>,
    /// How far it has gone, by the routes that catch some of it.
    reached: BTreeMap<String, Reached>,
    /// Somebody has it in hand.
    pub(crate) is_in_hand: bool,
    /// When Alertmanagers were last told.
    refreshed_at: BTreeMap<String, i64>,
}

/// How far an outage was escalated by a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    /// When the route was first told of it.
    told_at: i64,
    step: usize,
}

impl OutageLog {
    /// When the next step is due, and by which route.
    fn next(&self, policy: &Policy) -> Option<(i64, &str)> {
        let waits = self.reached.iter().filter(|_| !self.is_in_hand);
        let next = waits.filter_map(|(name, reached)| {
            let after = after(policy.route(name), reached.step + 1)?;
            Some((reached.told_at.saturating_add(after), name.as_str()))
        });
        next.min()
    }

    /// Whether somebody was told of this appliance.
    fn has(&self, rack: &Rack) -> bool {
        self.told.values().any(|racks| racks.contains(rack))
    }

    /// When the next step is due, or an Alertmanager is to be told again.
    pub(crate) fn due(&self, policy: &Policy) -> Option<i64> {
        let next = self.next(policy).map(|(at, _)| at);
        next.into_iter().chain(self.refreshes(policy).map(|(_, at)| at)).min()
    }

    /// Alertmanagers that were told of it, and when each is to be told again.
    fn refreshes(&self, policy: &Policy) -> impl Iterator<Item = (&String, i64)> {
        let knows = |name: &String| self.told.get(name).is_some_and(|racks| !racks.is_empty());
        let told = self.refreshed_at.iter().filter(move |(name, _)| knows(name));
        told.filter_map(|(name, at)| Some((name, at.saturating_add(refresh::period(policy, name)?))))
    }

    /// The clock was set by so much.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        for reached in self.reached.values_mut() {
            reached.told_at = reached.told_at.saturating_add(by_ms);
        }
        for at in self.refreshed_at.values_mut() {
            *at = at.saturating_add(by_ms);
        }
    }

    /// The step of a route that was reached last.
    fn step(&self, route: &str) -> usize {
        self.reached.get(route).map_or(0, |reached| reached.step)
    }

    /// These routes know of it now, and others no more.
    fn keep(&mut self, routes: &BTreeSet<Arc<str>>, now: i64) {
        self.reached.retain(|name, _| routes.contains(name.as_str()));
        for name in routes {
            self.reached.entry(name.to_string()).or_insert(Reached { told_at: now, step: 0 });
        }
    }
}

impl Round<'_> {
    /// Whether an outage tells of an appliance in place of its alert. What no route tells anybody of as a part of it, or not now, goes its own way.
    pub(crate) fn is_told_with_others(&self, site: &str, appliance: &str) -> bool {
        let outage = self.kept.outage.as_ref();
        let Some(outage) = outage.filter(|outage| outage.has(site, appliance)) else { return false };
        let rack = (site.to_owned(), appliance.to_owned());
        !outage.was_told_with(&rack) || self.kept.outage_log.has(&rack)
    }

    /// Looks whether there is an outage, and tells what is to be told of it.
    pub(crate) fn outage(&mut self) {
        let gone = self.world.gone();
        let fleet = self.world.fleet();
        if self.kept.outage.is_none() {
            self.kept.outage = Outage::noticed(&gone, fleet, self.now);
            self.has_changed |= self.kept.outage.is_some();
        }
        let Some(mut outage) = self.kept.outage.take() else { return };
        let before = outage.clone();
        let is_up = |rack: &Rack| self.world.is_up(&rack.0, &rack.1) == Some(true);
        let (tell, is_over) = outage.step(&gone, is_up, fleet, || self.world.uplink(), self.now);
        match tell {
            Some(Tell::Standing) => self.tell_standing(&mut outage, false),
            Some(Tell::Again) => self.tell_standing(&mut outage, true),
            Some(Tell::WasCutOff(from, to)) => self.tell_cut_off(&outage, from, to),
            None => {}
        }
        if is_over {
            self.kept.outage_log = OutageLog::default();
            self.has_changed = true;
            // What is left of it is an alert as any other, at the next look at its group.
        } else {
            self.escalate(&outage);
            self.refresh_outage(&outage);
            self.has_changed |= outage != before;
            self.kept.outage = Some(outage);
        }
    }

    fn tell_standing(&mut self, outage: &mut Outage, is_again: bool) {
        let log = self.kept.outage_log.clone();
        let mut told = self.whom(outage.gone.keys(), |route| Some(0..=log.step(&route.name)));
        outage.keep_apart(told.interval);
        self.kept.outage_log.keep(&told.routes, self.now);
        // Whoever knows of an appliance that is back is told so.
        for (receiver, known) in &self.kept.outage_log.told {
            let back = known.iter().filter(|rack| outage.back.contains_key(*rack));
            told.receivers.entry(receiver.as_str().into()).or_default().extend(back.cloned());
        }
        let all = outage.gone.len();
        for (receiver, racks) in told.receivers {
            let is_known = self.kept.outage_log.told.get(&*receiver).is_some_and(|known| *known == racks);
            let has_back = racks.iter().any(|rack| outage.back.contains_key(rack));
            if racks.is_empty() || is_known && !has_back && !is_again {
                continue;
            }
            let entries: Vec<Entry> = racks.iter().map(|rack| self.entry(rack, outage)).collect();
            let text = format!("{} sites are gone at once", outage.sites());
            let cause = if outage.gone.is_empty() { "all sites are back".to_owned() } else { text };
            let still = racks.iter().filter(|rack| outage.gone.contains_key(*rack)).cloned().collect();
            self.kept.outage_log.told.insert(receiver.to_string(), still);
            self.send_outage(&receiver, ("", 0), outage.since, &entries, &cause, all);
        }
        outage.forget_back();
    }

    /// Tells those whose step has come.
    fn escalate(&mut self, outage: &Outage) {
        while let Some((_, route)) = self.kept.outage_log.next(self.policy).filter(|(at, _)| *at <= self.now)
        {
            let route = route.to_owned();
            let Some(reached) = self.kept.outage_log.reached.get_mut(&route) else { return };
            reached.step += 1;
            self.has_changed = true;
            let step = reached.step;
            let steps = |of: &Route| (*of.name == *route).then_some(step..=step);
            let told = self.whom(outage.gone.keys(), steps);
            for (receiver, racks) in told.receivers {
                let entries: Vec<Entry> = racks.iter().map(|rack| self.entry(rack, outage)).collect();
                let cause = format!("{} sites are gone at once", outage.sites());
                self.kept.outage_log.told.entry(receiver.to_string()).or_default().extend(racks);
                let at = (route.as_str(), step);
                self.send_outage(&receiver, at, outage.since, &entries, &cause, outage.gone.len());
            }
        }
    }

    /// Tells Alertmanagers again of what is still gone.
    fn refresh_outage(&mut self, outage: &Outage) {
        let due = self.kept.outage_log.refreshes(self.policy).filter(|(_, at)| *at <= self.now);
        let due: Vec<String> = due.map(|(name, _)| name.clone()).collect();
        for name in due {
            let told = self.kept.outage_log.told.get(&name);
            let still = told.into_iter().flatten().filter(|rack| outage.gone.contains_key(*rack));
            let entries: Vec<Entry> = still.map(|rack| self.entry(rack, outage)).collect();
            self.kept.outage_log.refreshed_at.insert(name.clone(), self.now);
            self.has_changed = true;
            if !entries.is_empty() {
                let cause = format!("{} sites are gone at once", outage.sites());
                self.send_outage(&name.into(), ("", 0), outage.since, &entries, &cause, outage.gone.len());
            }
        }
    }

    fn tell_cut_off(&mut self, outage: &Outage, from: i64, to: i64) {
        let racks: Vec<Rack> = outage.gone.keys().chain(outage.back.keys()).cloned().collect();
        let minutes = (to - from + 59_999) / 60_000;
        let text =
            format!("the hub itself was cut off for {minutes} min; whoever seemed gone may have been well");
        for receiver in self.whom(racks.iter(), |_| Some(0..=0)).receivers.into_keys() {
            self.send_outage(&receiver, ("", 0), outage.since, &[], &text, racks.len());
        }
    }

    fn send_outage(
        &mut self,
        receiver: &Arc<str>,
        (route, escalation): (&str, usize),
        since: i64,
        entries: &[Entry],
        cause: &str,
        explains: usize,
    ) {
        let most = self.most_alerts(receiver);
        if most == MOST_ALERTS {
            self.kept.outage_log.refreshed_at.insert(receiver.to_string(), self.now);
        }
        let parts = entries.chunks(most).map(<[Entry]>::to_vec);
        let parts = if entries.is_empty() { vec![Vec::new()] } else { parts.collect() };
        for entries in parts {
            let frame = Frame {
                id: self.kept.next_id(self.now),
                kind: Kind::Outage,
                at: self.now,
                group_key: format!("outage:{since}"),
                group_labels: BTreeMap::new(),
                route,
                escalation,
            };
            let mut message = compose::message(frame, entries, self.world);
            message.cause = Some(cause.to_owned());
            message.explains = explains;
            self.out.push(Outgoing { receiver: Arc::clone(receiver), message });
        }
    }

    /// Who is to be told of which of these appliances, by these steps of each route.
    fn whom<'r>(
        &mut self,
        racks: impl Iterator<Item = &'r Rack>,
        steps: impl Fn(&Route) -> Option<RangeInclusive<usize>>,
    ) -> Whom {
        let mut whom = Whom { receivers: BTreeMap::new(), routes: BTreeSet::new(), interval: 0 };
        for rack in racks {
            // As its alert has them comes second: a route may ask for that severity and no other.
            let labels = [Severity::Critical, Severity::Warning].map(|severity| gone_labels(rack, severity));
            let place = Place::of(&labels[0], self.world);
            let is_held = labels.iter().any(|labels| {
                self.kept.mutes.mutes(labels, self.now).is_some()
                    || self.maintenance(labels, &place).is_some()
            });
            if is_held {
                continue;
            }
            let taken = labels.iter().map(|labels| self.policy.routed(labels, &place, self.now));
            for taken in taken.into_iter().find(|taken| !taken.is_empty()).unwrap_or_default() {
                whom.interval = whom.interval.max(taken.route.group_interval);
                whom.routes.insert(Arc::clone(&taken.route.name));
                for to in
                    steps(taken.route).into_iter().flatten().filter_map(|step| targets(taken.route, step))
                {
                    for receiver in self.policy.told(to, self.now) {
                        whom.receivers.entry(receiver).or_default().insert(rack.clone());
                    }
                }
            }
        }
        whom
    }

    fn entry(&self, rack: &Rack, outage: &Outage) -> Entry {
        let labels = gone_labels(rack, Severity::Warning);
        let back = outage.back.get(rack).copied();
        let since = outage.gone.get(rack).copied().unwrap_or(outage.since);
        let summary = format!("{}/{} is gone", rack.0, rack.1);
        Entry {
            id: AlertId::of(&labels),
            labels: compose::pairs(&labels),
            annotations: BTreeMap::from([("summary".to_owned(), summary)]),
            value: 0.0,
            state: if back.is_some() { State::Resolved } else { State::Firing },
            starts_at: since,
            ends_at: back,
            severity: Severity::Critical,
            on_air: Some(self.world.on_air(&rack.0)),
            acknowledged: None,
            flapping: false,
            query: String::new(),
        }
    }
}

struct Whom {
    receivers: BTreeMap<Arc<str>, BTreeSet<Rack>>,
    /// The routes concerned.
    routes: BTreeSet<Arc<str>>,
    /// The longest `group_interval` of the routes concerned.
    interval: i64,
}

/// The labels of the alert that tells of one appliance, so that its page is found.
fn gone_labels(rack: &Rack, severity: Severity) -> Labels {
    Labels::new([
        ("alertname", "ApplianceGone"),
        ("site", rack.0.as_str()),
        ("appliance", rack.1.as_str()),
        ("severity", severity.as_str()),
        ("component", "box"),
    ])
}
