//! One alert: who, since when, how bad, and the series that it is told by. Its life is in `life.rs`.
//!
//! Sample: `SocHot{site="hall", appliance="rack", severity="warning"}`, firing since 12:05, value 78.5, and its series
//! `ALERTS{alertname="SocHot", alertstate="firing", ..} = 1` and `ALERTS_FOR_STATE{alertname="SocHot", ..}`.

use std::sync::Arc;

use rackside_promql::{Labels, METRIC_NAME};

use super::life::{Life, State};

/// Names and texts, sorted by name; a text may be empty.
pub type Annotations = Arc<[(Arc<str>, Arc<str>)]>;

/// One alert of a rule.
#[derive(Clone, Debug)]
pub struct Alert {
    /// The labels of the result without the metric's name, those of the rule, and `alertname`.
    pub labels: Labels,
    /// As they were written at the last evaluation that had it in its result.
    pub annotations: Annotations,
    /// What the expression gave then.
    pub value: f64,
    /// Where it is in its life.
    pub life: Life,
    series: Series,
}

#[derive(Clone, Debug)]
struct Series {
    state: State,
    alerts: Labels,
    since: Labels,
}

impl Alert {
    /// `base` are the rule's labels as they are written; Prometheus lays the alert's labels over them for the series, so that a label whose template
    /// came to nothing shows the template.
    pub(crate) fn new(base: &Labels, labels: Labels, life: Life) -> Self {
        let mut edit = base.edit();
        for label in labels.iter() {
            edit.set(Arc::clone(&label.name), Arc::clone(&label.value));
        }
        edit.set(METRIC_NAME, "ALERTS_FOR_STATE");
        let since = edit.done();
        let series = Series { state: life.state, alerts: alerts(&since, life.state), since };
        Self { labels, annotations: Arc::new([]), value: 0.0, life, series }
    }

    /// The samples that tell of it.
    pub(crate) fn samples(&mut self) -> [(Labels, f64); 2] {
        if self.series.state != self.life.state {
            self.series.state = self.life.state;
            self.series.alerts = alerts(&self.series.since, self.life.state);
        }
        let seconds = self.life.active_at.div_euclid(1000) as f64;
        [(self.series.alerts.clone(), 1.0), (self.series.since.clone(), seconds)]
    }
}

fn alerts(since: &Labels, state: State) -> Labels {
    let mut edit = since.edit();
    edit.set(METRIC_NAME, "ALERTS").set("alertstate", state.as_str());
    edit.done()
}

/// How bad an alert is, by its label `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody looks.
    Warning,
    /// Somebody gets up.
    Critical,
}

impl Severity {
    /// Of an alert with these labels. A word that is none of the three, or no label, is a warning: what fires is not nothing.
    pub fn of(labels: &Labels) -> Self {
        match labels.value("severity") {
            "info" => Self::Info,
            "critical" => Self::Critical,
            _ => Self::Warning,
        }
    }

    /// As the label has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What has become of an alert.
#[derive(Clone, Debug)]
pub struct Change {
    /// The evaluation that brought it, in milliseconds since 1970.
    pub at: i64,
    /// The rule's file.
    pub file: Arc<str>,
    /// The rule's group.
    pub group: Arc<str>,
    /// The alert's name.
    pub rule: Arc<str>,
    /// What it was before.
    pub from: State,
    /// Why, beyond the rule's result.
    pub cause: Cause,
    /// The alert as it is now: its state, and whether it is unknown.
    pub alert: Alert,
}

/// Why an alert has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// By the result of its rule.
    Result,
    /// Whoever would tell is silent, or is heard again: the state is the same, but it is unknown now, or was until now.
    Silence,
    /// Its group has a limit, and more alerts than that: all of the rule's are dropped.
    Limit,
    /// Its rule was changed or taken away.
    RuleGone,
}
