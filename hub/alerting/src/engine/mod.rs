//! All groups together: loading, timetable, changes that come in, what is asked about. One thread owns an engine and hands in the time.
//!
//! ```text
//! load(files) ─▶ groups ◀─ touched(series)          due() ─▶ when to call run() next
//!                   │
//!                 run(now, ground) ─▶ changes of alerts;  rules(), alerts(), standings() show them;  save(), restore() keep them
//! ```
//!
//! Sample: a tally goes off at 12:00:05.217; `touched` marks the rules that read it, `due` is now, and `run` fires `StreamDown` at once.

mod alert;
mod ground;
mod group;
mod keep;
mod life;
mod moment;
mod overview;
mod reads;
mod rule;
mod standing;
mod view;
mod written;

use std::collections::HashMap;
use std::sync::Arc;

use rackside_promql::{Labels, STALE};

pub use alert::{Alert, Annotations, Cause, Change, Severity};
pub use ground::{Everybody, Ground, Missing, Store, Witness};
pub use group::Counts;
pub use keep::KeepError;
pub use life::{Life, Spans, State};
pub use overview::{GroupOverview, Overview};
pub use rule::{Common, Health};
pub use standing::{Standing, Standings};
pub use view::{
    AlertView, AlertingView, AnnotationsView, GroupView, LabelsView, RecordingView, RuleView, RulesView,
};

use crate::file::RuleFile;
use group::{Evaluated, Group, Which};
use keep::Kept;
use reads::{Reads, RuleId};
use rule::Step;

/// What does not stand in the rule files.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The interval of groups that name none, and the step of subqueries that name none; in milliseconds.
    pub interval: i64,
    /// The shortest time between two evaluations at once of one group, in milliseconds.
    pub pause: i64,
    /// What templates know of the hub.
    pub common: Common,
}

impl Default for Settings {
    /// Prometheus's minute, and ten evaluations a second at most.
    fn default() -> Self {
        Self {
            interval: 60_000,
            pause: 100,
            common: Common { external_labels: Labels::empty(), external_url: "".into() },
        }
    }
}

/// Every rule that was loaded, and every alert.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    groups: Vec<Group>,
    reads: Reads,
    /// What an earlier run of the program kept of files that are not loaded yet.
    kept: Vec<Kept>,
    /// Rules have got back what was kept of them, and the series of their alerts have not been written since.
    given_back: bool,
    /// Series of rules that are gone, to be marked as ended.
    ended: Vec<Labels>,
    /// What has become of alerts outside of an evaluation.
    changes: Vec<Change>,
    revision: u64,
}

impl Engine {
    /// An engine without rules.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            groups: Vec::new(),
            reads: Reads::default(),
            kept: Vec::new(),
            given_back: false,
            ended: Vec::new(),
            changes: Vec::new(),
            revision: 0,
        }
    }

    /// Evaluates these files from now on, and no others. A rule that was there before goes on with its alerts: it is known by file, group, name and
    /// labels, as with Prometheus. Alerts of rules that are gone end, with the next [`Engine::run`].
    pub fn load(&mut self, files: Vec<RuleFile>, now: i64) {
        let mut old: HashMap<(Arc<str>, Arc<str>), Group> = std::mem::take(&mut self.groups)
            .into_iter()
            .map(|group| ((Arc::clone(&group.file), Arc::clone(&group.name)), group))
            .collect();
        let mut names = Vec::with_capacity(files.len());
        for file in files {
            for spec in file.groups {
                let mut group = Group::new(&file.name, spec, self.settings.interval, now);
                if let Some(old) = old.remove(&(Arc::clone(&group.file), Arc::clone(&group.name))) {
                    let names = (Arc::clone(&old.file), Arc::clone(&old.name));
                    for mut rule in group.take_over(old) {
                        let mut steps = Vec::new();
                        rule.drop_all(now, Cause::RuleGone, &mut steps);
                        let name = Arc::clone(&rule.spec.name);
                        self.changes.extend(steps.into_iter().map(|step| change(&names, &name, now, step)));
                        self.ended.extend(rule.written.into_series());
                    }
                }
                self.groups.push(group);
            }
            names.push(file.name);
        }
        let mut gone: Vec<Group> = old.into_values().collect();
        gone.sort_by(|one, other| (&one.file, &one.name).cmp(&(&other.file, &other.name)));
        for group in gone {
            let names = (Arc::clone(&group.file), Arc::clone(&group.name));
            let (steps, rules) = group.end(now);
            for (rule, step) in steps {
                self.changes.push(change(&names, &rules[rule].spec.name, now, step));
            }
            self.ended.extend(rules.into_iter().flat_map(|rule| rule.written.into_series()));
        }
        self.give_back(&names, now);
        self.reads = Reads::of(self.groups.iter().enumerate().flat_map(|(group, owner)| {
            owner.rules.iter().enumerate().map(move |(rule, of)| (RuleId { group, rule }, of))
        }));
        self.revision += 1;
    }

    /// A series has a new value, by a sample of `at`; rules that read it are due at once, and when `at` is a little after `now`, at `at`. Stale marks
    /// count as values. Cheap, whatever the series.
    pub fn touched(&mut self, labels: &Labels, at: i64, now: i64) {
        let groups = &mut self.groups;
        self.reads.touched(labels, |id| groups[id.group].touch(id.rule, at, now));
    }

    /// When [`Engine::run`] has something to do next, in milliseconds since 1970; in the past, if it is late. None, if there are no groups.
    pub fn due(&self) -> Option<i64> {
        if self.given_back || !self.ended.is_empty() || !self.changes.is_empty() {
            return Some(i64::MIN);
        }
        self.groups.iter().map(Group::due).min()
    }

    /// Does all that is due at `now`. Returns what has become of alerts, in the order in which it came about.
    pub fn run(&mut self, now: i64, ground: &mut Ground<'_>) -> Vec<Change> {
        let mut changes = Vec::new();
        // Each group has at most one turn of each kind, so this ends.
        while let Some(more) = self.step(now, ground) {
            changes.extend(more);
        }
        changes
    }

    /// As [`Engine::run`], but one turn of one group, so that whoever runs it can tell what was touched meanwhile: what is touched goes ahead of what
    /// is due by the clock, and of that the longest overdue comes first. None, when nothing is due.
    pub fn step(&mut self, now: i64, ground: &mut Ground<'_>) -> Option<Vec<Change>> {
        let mut changes = std::mem::take(&mut self.changes);
        // An evaluation may be dated with a moment that was a little ago.
        self.tell_again(self.groups.iter().map(|group| group.next).fold(now, i64::min), ground);
        if !self.ended.is_empty() {
            let marks: Vec<(Labels, f64)> = self.ended.drain(..).map(|labels| (labels, STALE)).collect();
            // A store that fails now leaves series that end by themselves after five minutes.
            let _ = ground.store.record(now, &marks);
        }
        let before = changes.len();
        let mut by_urgency: Vec<usize> = (0..self.groups.len()).collect();
        by_urgency.sort_by_key(|group| self.groups[*group].urgency(now));
        let turn = by_urgency.into_iter().find_map(|group| {
            let (which, at) = self.groups[group].turn(now, self.settings.pause)?;
            Some((group, which, at))
        });
        if let Some((group, which, at)) = turn {
            changes.extend(self.turn(group, which, at, now, ground));
        }
        self.revision += u64::from(changes.len() > before);
        (turn.is_some() || !changes.is_empty()).then_some(changes)
    }

    /// Evaluates all rules of one group at `at`, whatever its timetable says. Groups are numbered as they were loaded.
    pub fn evaluate(&mut self, group: usize, at: i64, ground: &mut Ground<'_>) -> Vec<Change> {
        self.tell_again(at, ground);
        let changes = self.turn(group, Which::All, at, at, ground);
        self.revision += u64::from(!changes.is_empty());
        changes
    }

    fn turn(
        &mut self,
        group: usize,
        which: Which,
        at: i64,
        now: i64,
        ground: &mut Ground<'_>,
    ) -> Vec<Change> {
        let reads = &self.reads;
        let of_group = |rule| {
            let readers = reads.dependents(RuleId { group, rule }).iter();
            readers.filter(|reader| reader.group == group).map(|reader| reader.rule).collect()
        };
        let owner = &mut self.groups[group];
        let Evaluated { steps, changed } = owner.evaluate(at, which, &self.settings.common, ground, of_group);
        let names = (Arc::clone(&owner.file), Arc::clone(&owner.name));
        let changes = steps
            .into_iter()
            .map(|(rule, step)| change(&names, &owner.rules[rule].spec.name, at, step))
            .collect();
        for rule in changed {
            for reader in self.reads.dependents(RuleId { group, rule }) {
                // Later ones of this group have been evaluated already.
                if reader.group != group || reader.rule <= rule {
                    self.groups[reader.group].touch(reader.rule, at, now);
                }
            }
        }
        changes
    }

    /// Grows with each change of what [`Engine::save`] keeps, apart from values and annotations.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The groups' files and names, in the order in which they were loaded.
    pub fn group_names(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.groups.iter().map(|group| (&group.file, &group.name))
    }
}

fn change(names: &(Arc<str>, Arc<str>), rule: &Arc<str>, at: i64, (from, cause, alert): Step) -> Change {
    Change {
        at,
        file: Arc::clone(&names.0),
        group: Arc::clone(&names.1),
        rule: Arc::clone(rule),
        from,
        cause,
        alert,
    }
}
