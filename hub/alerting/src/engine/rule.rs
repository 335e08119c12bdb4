//! One rule with what it remembers: its alerts, what it has written, how its last evaluation went. When it is evaluated is the group's matter.
//!
//! An evaluation either succeeds as a whole or fails as a whole: a rule that fails keeps its alerts and its series as they were.
//!
//! Sample: `soc > 75` gives `{site="hall"} 78.5`, so the alert `SocHot{site="hall"}` begins, and `ALERTS` is recorded.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rackside_promql::{Answer, Labels, METRIC_NAME, Matcher, Point, Query, Source};

use super::alert::{Alert, Annotations, Cause};
use super::ground::{Ground, Missing};
use super::life::{Life, Spans, State};
use super::written::Written;
use crate::file::{Action, AlertSpec, RuleSpec};
use crate::template::{Context, Template};

/// How a rule's last evaluation went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It was not evaluated yet.
    #[default]
    Unknown,
    /// Well.
    Good,
    /// It failed.
    Bad,
}

impl Health {
    /// As Prometheus writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "ok",
            Self::Bad => "err",
        }
    }
}

/// What all rules of an engine have in common.
#[derive(Clone, Debug)]
pub struct Common {
    /// `$externalLabels` of templates.
    pub external_labels: Labels,
    /// `$externalURL` of templates.
    pub external_url: Arc<str>,
}

/// A rule and its memory.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) spec: RuleSpec,
    /// The step of subqueries that name none, in milliseconds: in the expression, and in what templates ask.
    default_step: i64,
    /// The labels as they are written: with the name, what tells this rule from others of its group.
    pub(crate) base: Labels,
    pub(crate) selectors: Vec<Vec<Matcher>>,
    pub(crate) active: BTreeMap<Labels, Alert>,
    pub(crate) written: Written,
    pub(crate) health: Health,
    pub(crate) last_error: Option<String>,
    pub(crate) took: Duration,
    pub(crate) evaluated_at: Option<i64>,
}

/// One thing that has become of an alert: what it was, why, and what it is.
pub(crate) type Step = (State, Cause, Alert);

impl Rule {
    pub(crate) fn new(mut spec: RuleSpec, default_step: i64) -> Self {
        spec.query = spec.query.with_default_step(default_step);
        Self {
            default_step,
            base: spec.labels(),
            selectors: spec.query.selectors().map(<[Matcher]>::to_vec).collect(),
            spec,
            active: BTreeMap::new(),
            written: Written::default(),
            health: Health::Unknown,
            last_error: None,
            took: Duration::ZERO,
            evaluated_at: None,
        }
    }

    /// Evaluates the rule at `at`. Returns whether anything that it writes has changed. What becomes of alerts goes into `steps`.
    pub(crate) fn evaluate(
        &mut self,
        at: i64,
        limit: i64,
        common: &Common,
        ground: &mut Ground<'_>,
        steps: &mut Vec<Step>,
    ) -> bool {
        let begun = (ground.elapsed)();
        let outcome = self.samples(at, limit, common, ground, steps).and_then(|mut samples| {
            let changed = self.written.complete(&mut samples);
            if !samples.is_empty() {
                ground.store.record(at, &samples)?;
            }
            self.written.keep(samples);
            Ok(changed)
        });
        self.took = (ground.elapsed)().saturating_sub(begun);
        self.evaluated_at = Some(at);
        self.health = if outcome.is_ok() { Health::Good } else { Health::Bad };
        match outcome {
            Ok(changed) => {
                self.last_error = None;
                changed
            }
            Err(error) => {
                self.last_error = Some(error);
                false
            }
        }
    }

    fn samples(
        &mut self,
        at: i64,
        limit: i64,
        common: &Common,
        ground: &Ground<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<Vec<(Labels, f64)>, String> {
        let points = ask(&self.spec.query, ground.store.source(), at, ground)?;
        match &self.spec.action {
            Action::Record { labels } => record(&self.spec.name, labels, points, limit),
            Action::Alert(alert) => {
                let query = |text: &str| {
                    let query = Query::parse(text).map_err(|error| error.to_string())?;
                    ask(&query.with_default_step(self.default_step), ground.store.source(), at, ground)
                };
                let found = found(&self.spec.name, alert, &points, common, &query)?;
                let spans = Spans { hold: alert.hold, keep_firing: alert.keep_firing };
                self.live(found, spans, at, limit, ground, steps)
            }
        }
    }

    /// Lets every alert of the rule live on by one evaluation.
    fn live(
        &mut self,
        found: BTreeMap<Labels, Found>,
        spans: Spans,
        at: i64,
        limit: i64,
        ground: &Ground<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<Vec<(Labels, f64)>, String> {
        for labels in
            found.keys().filter(|labels| !self.active.contains_key(labels)).cloned().collect::<Vec<_>>()
        {
            let mut life = Life::begin(at);
            // It was nothing until now, and begins like one that comes again.
            life.state = State::Inactive;
            self.active.insert(labels.clone(), Alert::new(&self.base, labels, life));
        }
        let mut samples = Vec::with_capacity(2 * self.active.len());
        let selectors = &self.selectors;
        let mut found = found;
        self.active.retain(|labels, alert| {
            let before = alert.life;
            let forget = if let Some(Found { value, annotations }) = found.remove(labels) {
                (alert.value, alert.annotations) = (value, annotations);
                alert.life.holds(at, spans);
                false
            } else {
                let missing = Missing { labels, selectors, seen_at: before.seen_at, now: at };
                alert.life.misses(at, spans, || ground.witness.is_silent(&missing))
            };
            if alert.life.is_active() {
                samples.extend(alert.samples());
            }
            let cause = (before.state != alert.life.state).then_some(Cause::Result);
            let silence = (before.unknown_since.is_some() != alert.life.unknown_since.is_some())
                .then_some(Cause::Silence);
            steps.extend(cause.or(silence).map(|cause| (before.state, cause, alert.clone())));
            !forget
        });
        let active = samples.len() / 2;
        if limit > 0 && active as i64 > limit {
            self.drop_all(at, Cause::Limit, steps);
            return Err(format!("exceeded limit of {limit} with {active} alerts"));
        }
        Ok(samples)
    }

    /// Ends every alert of the rule.
    pub(crate) fn drop_all(&mut self, at: i64, cause: Cause, steps: &mut Vec<Step>) {
        for mut alert in std::mem::take(&mut self.active).into_values() {
            if alert.life.is_active() {
                let from = alert.life.state;
                alert.life =
                    Life { state: State::Inactive, resolved_at: Some(at), unknown_since: None, ..alert.life };
                steps.push((from, cause, alert));
            }
        }
    }

    /// Whether this is the same rule as `old`, as Prometheus sees it: by name and labels, whatever the expression.
    pub(crate) fn is_another(&self, old: &Self) -> bool {
        self.spec.name == old.spec.name
            && self.base == old.base
            && self.spec.is_alert() == old.spec.is_alert()
    }

    /// Goes on with what `old` remembers.
    pub(crate) fn take_over(&mut self, old: Self) {
        self.active = old.active;
        self.written = old.written;
        self.health = old.health;
        self.last_error = old.last_error;
        self.took = old.took;
        self.evaluated_at = old.evaluated_at;
    }

    /// The worst that any of its alerts is at.
    pub(crate) fn state(&self) -> State {
        self.active.values().map(|alert| alert.life.state).max().unwrap_or(State::Inactive)
    }
}

/// An alert as an evaluation finds it.
struct Found {
    value: f64,
    annotations: Annotations,
}

/// The value of an expression, where a number is a series without labels.
fn ask(query: &Query, source: &dyn Source, at: i64, ground: &Ground<'_>) -> Result<Vec<Point>, String> {
    // An evaluator that is wrong about one expression costs that rule, and not all of them.
    let evaluated = catch_unwind(AssertUnwindSafe(|| query.instant(source, at, &ground.limits)));
    let outcome =
        evaluated.map_err(|_| "the evaluation has failed by a fault of this program; its log says where")?;
    match outcome.map_err(|error| error.to_string())?.answer {
        Answer::Vector(points) => Ok(points),
        Answer::Scalar(sample) => Ok(vec![Point { labels: Labels::empty(), sample }]),
        Answer::String { .. } | Answer::Matrix(_) => Err("rule result is not a vector or scalar".to_owned()),
    }
}

fn record(
    name: &Arc<str>,
    on_top: &[(Arc<str>, Arc<str>)],
    points: Vec<Point>,
    limit: i64,
) -> Result<Vec<(Labels, f64)>, String> {
    let mut seen = HashSet::with_capacity(points.len());
    let metric: Arc<str> = METRIC_NAME.into();
    let mut samples = Vec::with_capacity(points.len());
    for point in points {
        let mut edit = point.labels.edit();
        edit.set(Arc::clone(&metric), Arc::clone(name));
        for (name, value) in on_top {
            edit.set(Arc::clone(name), Arc::clone(value));
        }
        let labels = edit.done();
        if !seen.insert(labels.clone()) {
            return Err(
                "vector contains metrics with the same labelset after applying rule labels".to_owned()
            );
        }
        samples.push((labels, point.sample.value));
    }
    if limit > 0 && samples.len() as i64 > limit {
        return Err(format!("exceeded limit of {limit} with {} series", samples.len()));
    }
    Ok(samples)
}

/// The alerts that these points are, by their labels.
fn found(
    name: &Arc<str>,
    alert: &AlertSpec,
    points: &[Point],
    common: &Common,
    query: &dyn Fn(&str) -> Result<Vec<Point>, String>,
) -> Result<BTreeMap<Labels, Found>, String> {
    let mut found = BTreeMap::new();
    for point in points {
        let context = Context {
            alert: name,
            labels: &point.labels,
            external_labels: &common.external_labels,
            value: point.sample.value,
            external_url: &common.external_url,
            query,
        };
        let mut labels = point.labels.edit();
        labels.remove(METRIC_NAME);
        for (name, template) in &alert.labels {
            labels.set(Arc::clone(name), expand(template, &context));
        }
        labels.set("alertname", Arc::clone(name));
        let annotations = alert
            .annotations
            .iter()
            .map(|(name, template)| (Arc::clone(name), expand(template, &context).into()))
            .collect();
        if found.insert(labels.done(), Found { value: point.sample.value, annotations }).is_some() {
            return Err(
                "vector contains metrics with the same labelset after applying alert labels".to_owned()
            );
        }
    }
    Ok(found)
}

/// A template that fails says so in the text: an alert is told, whatever its annotations are.
fn expand(template: &Template, context: &Context<'_>) -> String {
    template.expand(context).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
}
