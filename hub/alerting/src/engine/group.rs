//! A group of rules and its timetable: on its interval, and at once when something is touched that its rules read. What a rule does is the
//! rule's matter.
//!
//! Regular evaluations are at moments that the group's name spreads over the interval, as with Prometheus, and are dated with that moment, unless
//! something was touched since. Those that were missed are counted, not made up for. An evaluation at once is dated with its own moment; there is
//! at most one in each pause, and it is of the rules that were touched and what depends on them.
//!
//! Sample: interval 15 s, offset 3.2 s: at 12:00:03.2, 12:00:18.2; touched at 12:00:05 and 12:00:05.05: at 12:00:05 and at 12:00:05.1.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::alert::Cause;
use super::ground::Ground;
use super::rule::{Common, Rule, Step};
use crate::file::GroupSpec;

/// How far in the future a sample may be that is waited for, in milliseconds: clocks of appliances differ by a little from the hub's.
const AHEAD: i64 = 1_000;

/// A group, its rules and when they are due.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) file: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) interval: i64,
    pub(crate) limit: i64,
    pub(crate) rules: Vec<Rule>,
    /// The next regular evaluation.
    pub(crate) next: i64,
    /// Rules to be evaluated at once.
    touched: BTreeSet<usize>,
    /// Rules whose touching sample is a little in the future.
    ahead: BTreeMap<i64, BTreeSet<usize>>,
    /// Not before this moment is there another evaluation at once.
    free_at: i64,
    pub(crate) evaluated_at: Option<i64>,
    pub(crate) took: Duration,
    pub(crate) counts: Counts,
}

/// How often a group was evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// On its interval.
    pub regular: u64,
    /// Because something was touched.
    pub at_once: u64,
    /// On its interval, had there been time.
    pub missed: u64,
    /// Evaluations of single rules that failed.
    pub failures: u64,
}

/// Which rules of a group are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    Touched,
}

/// What an evaluation of a group has brought.
pub(crate) struct Evaluated {
    /// The rule, what its alert was, why it changed, and what it is.
    pub(crate) steps: Vec<(usize, Step)>,
    /// Rules that were touched, or depend on such, and wrote something new.
    pub(crate) changed: Vec<usize>,
}

impl Group {
    pub(crate) fn new(file: &Arc<str>, spec: GroupSpec, default_interval: i64, now: i64) -> Self {
        let interval = spec.interval.unwrap_or(default_interval).max(1);
        let rules = spec.rules.into_iter().map(|rule| Rule::new(rule, default_interval)).collect();
        let mut group = Self {
            file: Arc::clone(file),
            name: spec.name,
            interval,
            limit: spec.limit,
            rules,
            next: 0,
            touched: BTreeSet::new(),
            ahead: BTreeMap::new(),
            free_at: i64::MIN,
            evaluated_at: None,
            took: Duration::ZERO,
            counts: Counts::default(),
        };
        group.next = group.aligned(now) + if group.aligned(now) < now { interval } else { 0 };
        group
    }

    /// Where the group's moments lie within its interval: spread by its name, the same for ever.
    fn offset(&self) -> i64 {
        // FNV-1a; any hash does that is the same after a restart.
        let bytes = self.file.bytes().chain([0xff]).chain(self.name.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        (hash % self.interval as u64) as i64
    }

    /// The last of the group's moments that is not after `now`.
    fn aligned(&self, now: i64) -> i64 {
        let offset = self.offset();
        (now - offset).div_euclid(self.interval) * self.interval + offset
    }

    /// A rule reads a series that has changed with a sample of `at`.
    pub(crate) fn touch(&mut self, rule: usize, at: i64, now: i64) {
        if at <= now {
            self.touched.insert(rule);
        } else if at - now <= AHEAD {
            self.ahead.entry(at).or_default().insert(rule);
        }
    }

    /// When something is to be done.
    pub(crate) fn due(&self) -> i64 {
        let at_once = if self.touched.is_empty() {
            self.ahead.first_key_value().map(|(at, _)| *at)
        } else {
            Some(i64::MIN)
        };
        at_once.map_or(self.next, |at| self.next.min(at.max(self.free_at)))
    }

    /// Who goes first of those for whom something is due: what was touched, then what is overdue the longest. Smaller is more urgent.
    pub(crate) fn urgency(&self, now: i64) -> (bool, i64) {
        let is_ahead = self.ahead.first_key_value().is_some_and(|(at, _)| *at <= now);
        let is_touched = (is_ahead || !self.touched.is_empty()) && now >= self.free_at;
        (!is_touched, self.next)
    }

    /// What is to be done at `now`, and the moment for which it is done. None, when nothing is due.
    pub(crate) fn turn(&mut self, now: i64, pause: i64) -> Option<(Which, i64)> {
        // A clock that was set back leaves moments in a future that is no longer near.
        if self.next > now.saturating_add(self.interval) {
            self.next = self.aligned(now) + self.interval;
        }
        if self.free_at > now.saturating_add(pause) {
            self.free_at = now;
        }
        while let Some((at, _)) = self.ahead.first_key_value().filter(|(at, _)| **at <= now) {
            let at = *at;
            self.touched.extend(self.ahead.remove(&at).into_iter().flatten());
        }
        if now >= self.next {
            let moment = self.aligned(now);
            self.counts.missed += ((moment - self.next) / self.interval).unsigned_abs();
            self.next = moment + self.interval;
            // What was evaluated at once since then has seen more than that moment, and what was touched wants to be seen.
            let seen = self.evaluated_at.is_some_and(|last| last >= moment && last <= now);
            let at = if seen || !self.touched.is_empty() { now } else { moment };
            self.counts.regular += 1;
            return Some((Which::All, at));
        }
        if self.touched.is_empty() || now < self.free_at {
            return None;
        }
        self.free_at = now + pause;
        self.counts.at_once += 1;
        Some((Which::Touched, now))
    }

    /// Evaluates rules in order, each on what those before it have written. `dependents` tells which rules of this group read what a rule makes.
    pub(crate) fn evaluate(
        &mut self,
        at: i64,
        which: Which,
        common: &Common,
        ground: &mut Ground<'_>,
        dependents: impl Fn(usize) -> Vec<usize>,
    ) -> Evaluated {
        let begun = (ground.elapsed)();
        let mut touched = std::mem::take(&mut self.touched);
        let mut evaluated = Evaluated { steps: Vec::new(), changed: Vec::new() };
        let mut steps = Vec::new();
        for (index, rule) in self.rules.iter_mut().enumerate() {
            let is_touched = touched.contains(&index);
            if which == Which::Touched && !is_touched {
                continue;
            }
            let changed = rule.evaluate(at, self.limit, common, ground, &mut steps);
            self.counts.failures += u64::from(rule.last_error.is_some());
            if changed && is_touched {
                touched.extend(dependents(index).into_iter().filter(|other| *other > index));
                evaluated.changed.push(index);
            }
            evaluated.steps.extend(steps.drain(..).map(|step| (index, step)));
        }
        self.evaluated_at = Some(at);
        // No two evaluations have the same date.
        self.free_at = self.free_at.max(at + 1);
        self.took = (ground.elapsed)().saturating_sub(begun);
        evaluated
    }

    /// Takes over what the rules of this group remember in `old`, by name and labels as Prometheus does; if there are several, first the one with the
    /// same expression. Returns what is left of `old`.
    pub(crate) fn take_over(&mut self, old: Self) -> Vec<Rule> {
        if self.interval == old.interval {
            self.next = old.next;
        }
        self.evaluated_at = old.evaluated_at;
        self.took = old.took;
        self.counts = old.counts;
        let mut left: Vec<Option<Rule>> = old.rules.into_iter().map(Some).collect();
        let mut wanting: Vec<&mut Rule> = self.rules.iter_mut().collect();
        for same_expression in [true, false] {
            wanting.retain_mut(|rule| {
                let fits = |old: &&mut Option<Rule>| {
                    old.as_ref().is_some_and(|old| {
                        rule.is_another(old) && (!same_expression || old.spec.expr == rule.spec.expr)
                    })
                };
                let Some(old) = left.iter_mut().find(fits).and_then(Option::take) else { return true };
                rule.take_over(old);
                false
            });
        }
        left.into_iter().flatten().collect()
    }

    /// Ends all that its rules have, as when the group is gone.
    pub(crate) fn end(mut self, at: i64) -> (Vec<(usize, Step)>, Vec<Rule>) {
        let mut ended = Vec::new();
        for (index, rule) in self.rules.iter_mut().enumerate() {
            let mut steps = Vec::new();
            rule.drop_all(at, Cause::RuleGone, &mut steps);
            ended.extend(steps.into_iter().map(|step| (index, step)));
        }
        (ended, self.rules)
    }
}
