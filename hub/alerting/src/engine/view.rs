//! What is shown of the rules: by the fields and names of Prometheus's `/api/v1/rules` and `/api/v1/alerts`, to be written as JSON by whoever serves
//! it.
//!
//! Invariant: a view is a copy; nothing of the engine is borrowed or locked by who shows it. One field is ours: `unknownSince`, on an alert whose
//! appliance is silent.
//!
//! Sample: `{"state":"firing","name":"SocHot","query":"soc > 75","duration":300,"keepFiringFor":0,..,"type":"alerting"}`.

use std::sync::Arc;

use rackside_promql::Labels;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Engine;
use super::alert::{Alert, Annotations};
use super::group::{Counts, Group};
use super::life::State;
use super::moment::{exponent, rfc3339};
use super::rule::Rule;
use crate::file::Action;

/// `data` of `/api/v1/rules`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RulesView {
    /// Every group.
    pub groups: Vec<GroupView>,
}

/// A group, as `/api/v1/rules` shows it.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    /// Its name.
    pub name: Arc<str>,
    /// Its file.
    pub file: Arc<str>,
    /// Its rules.
    pub rules: Vec<RuleView>,
    /// Seconds from one evaluation to the next.
    pub interval: f64,
    /// The most alerts or series of a rule.
    pub limit: i64,
    /// Seconds that the last evaluation took.
    pub evaluation_time: f64,
    /// When that was.
    pub last_evaluation: String,
    /// How often it was evaluated; not in the JSON.
    #[serde(skip)]
    pub counts: Counts,
    /// When the next regular evaluation is due, in milliseconds since 1970; not in the JSON.
    #[serde(skip)]
    pub next: i64,
}

/// A rule.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(untagged)]
pub enum RuleView {
    /// One that makes alerts.
    Alerting(AlertingView),
    /// One that records.
    Recording(RecordingView),
}

/// An alerting rule.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertingView {
    /// The worst that any of its alerts is at.
    pub state: State,
    /// Its name.
    pub name: Arc<str>,
    /// Its expression.
    pub query: String,
    /// `for`, in seconds.
    pub duration: f64,
    /// `keep_firing_for`, in seconds.
    pub keep_firing_for: f64,
    /// As they are written.
    pub labels: LabelsView,
    /// As they are written.
    pub annotations: AnnotationsView,
    /// Those that are pending or fire.
    pub alerts: Vec<AlertView>,
    /// How the last evaluation went.
    pub health: &'static str,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Seconds that it took.
    pub evaluation_time: f64,
    /// When it was.
    pub last_evaluation: String,
    /// `alerting`
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// A recording rule.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingView {
    /// Its name.
    pub name: Arc<str>,
    /// Its expression.
    pub query: String,
    /// Labels that it adds.
    #[serde(skip_serializing_if = "LabelsView::is_empty")]
    pub labels: LabelsView,
    /// How the last evaluation went.
    pub health: &'static str,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Seconds that it took.
    pub evaluation_time: f64,
    /// When it was.
    pub last_evaluation: String,
    /// `recording`
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// An alert that is pending or fires.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertView {
    /// Its labels.
    pub labels: LabelsView,
    /// Its annotations, written out.
    pub annotations: AnnotationsView,
    /// `pending` or `firing`.
    pub state: State,
    /// Since when.
    pub active_at: String,
    /// Since when it fires only because of `keep_firing_for`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<String>,
    /// What its expression gave last.
    pub value: String,
    /// Since when nobody knows whether it still holds; not a field of Prometheus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_since: Option<String>,
}

/// Labels as a JSON object.
#[derive(Clone, Debug)]
pub struct LabelsView(pub Labels);

impl LabelsView {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for LabelsView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for label in self.0.iter() {
            map.serialize_entry(&*label.name, &*label.value)?;
        }
        map.end()
    }
}

/// Annotations as a JSON object.
#[derive(Clone, Debug)]
pub struct AnnotationsView(pub Annotations);

impl Serialize for AnnotationsView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, text)| (name.as_ref(), text.as_ref())))
    }
}

impl Engine {
    /// Every group with its rules and their alerts, by file and name.
    pub fn rules(&self) -> RulesView {
        let mut groups: Vec<GroupView> = self.groups.iter().map(group).collect();
        groups.sort_by(|one, other| (&one.file, &one.name).cmp(&(&other.file, &other.name)));
        RulesView { groups }
    }

    /// Every alert that is pending or fires.
    pub fn alerts(&self) -> Vec<AlertView> {
        self.active().map(view).collect()
    }

    /// Every alert that is pending or fires, as it is.
    pub fn active(&self) -> impl Iterator<Item = &Alert> {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        rules.flat_map(|rule| rule.active.values()).filter(|alert| alert.life.is_active())
    }

    /// The rules of a group whose last evaluation failed, and why.
    pub fn failed(&self, group: usize) -> impl Iterator<Item = (&Arc<str>, &str)> {
        let rules = self.groups.get(group).into_iter().flat_map(|group| &group.rules);
        rules.filter_map(|rule| Some((&rule.spec.name, rule.last_error.as_deref()?)))
    }

    /// The alerts of one rule, for who wants to know more than the API tells.
    pub fn alerts_of(&self, group: usize, rule: usize) -> impl Iterator<Item = &Alert> {
        let rule = self.groups.get(group).and_then(|group| group.rules.get(rule));
        rule.into_iter().flat_map(|rule| rule.active.values())
    }
}

fn group(group: &Group) -> GroupView {
    GroupView {
        name: Arc::clone(&group.name),
        file: Arc::clone(&group.file),
        rules: group.rules.iter().map(rule).collect(),
        interval: seconds(group.interval),
        limit: group.limit,
        evaluation_time: group.took.as_secs_f64(),
        last_evaluation: rfc3339(group.evaluated_at),
        counts: group.counts,
        next: group.next,
    }
}

fn rule(rule: &Rule) -> RuleView {
    let name = Arc::clone(&rule.spec.name);
    let query = rule.spec.query.to_string();
    let labels = LabelsView(rule.base.clone());
    let (health, last_error) = (rule.health.as_str(), rule.last_error.clone());
    let (evaluation_time, last_evaluation) = (rule.took.as_secs_f64(), rfc3339(rule.evaluated_at));
    match &rule.spec.action {
        Action::Record { .. } => RuleView::Recording(RecordingView {
            name,
            query,
            labels,
            health,
            last_error,
            evaluation_time,
            last_evaluation,
            kind: "recording",
        }),
        Action::Alert(alert) => RuleView::Alerting(AlertingView {
            state: rule.state(),
            name,
            query,
            duration: seconds(alert.hold),
            keep_firing_for: seconds(alert.keep_firing),
            labels,
            annotations: AnnotationsView(
                alert.annotations.iter().map(|(name, text)| (Arc::clone(name), text.text().into())).collect(),
            ),
            alerts: rule.active.values().filter(|alert| alert.life.is_active()).map(view).collect(),
            health,
            last_error,
            evaluation_time,
            last_evaluation,
            kind: "alerting",
        }),
    }
}

fn view(alert: &Alert) -> AlertView {
    AlertView {
        labels: LabelsView(alert.labels.clone()),
        annotations: AnnotationsView(Arc::clone(&alert.annotations)),
        state: alert.life.state,
        active_at: rfc3339(Some(alert.life.active_at)),
        keep_firing_since: alert.life.keep_firing_since.map(|at| rfc3339(Some(at))),
        value: exponent(alert.value),
        unknown_since: alert.life.unknown_since.map(|at| rfc3339(Some(at))),
    }
}

fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
