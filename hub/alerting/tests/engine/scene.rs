//! An engine, its series, and a witness that hears whom it is told to hear.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use rackside_alerting::{Change, Engine, Ground, Missing, RuleFile, Settings, State, Store, Witness};
use rackside_promql::{Answer, Labels, Limits, Memory, Query, STALE, Sample, Source};

/// What of the world an engine needs, and what it says.
pub(crate) struct Scene {
    pub(crate) engine: Engine,
    pub(crate) series: Recorded,
    /// Appliances that cannot be heard.
    pub(crate) silent: Silent,
}

/// Memory that can refuse to take more, and counts.
#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) memory: Memory,
    pub(crate) full: bool,
    pub(crate) records: usize,
}

impl Store for Recorded {
    fn source(&self) -> &dyn Source {
        &self.memory
    }

    fn record(&mut self, at: i64, samples: &[(Labels, f64)]) -> Result<(), String> {
        if self.full {
            return Err("no room".to_owned());
        }
        self.records += 1;
        self.memory.record(at, samples)
    }
}

#[derive(Default)]
pub(crate) struct Silent {
    pub(crate) appliances: BTreeSet<String>,
    /// Of whom it was asked.
    pub(crate) asked: RefCell<Vec<String>>,
}

impl Witness for Silent {
    fn is_silent(&self, missing: &Missing<'_>) -> bool {
        assert!(missing.seen_at <= missing.now && !missing.selectors.is_empty());
        self.asked.borrow_mut().push(missing.labels.to_string());
        self.appliances.contains(missing.labels.value("appliance"))
    }
}

/// A rule file of these groups.
pub(crate) fn file(text: &str) -> RuleFile {
    RuleFile::parse("rules.yml", text).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// `name{key="value", ..}` of pairs, the name first.
pub(crate) fn labels(name: &str, pairs: &[(&str, &str)]) -> Labels {
    let mut edit = Labels::new([("__name__", name)]).edit();
    for (name, value) in pairs {
        edit.set(*name, *value);
    }
    edit.done()
}

impl Scene {
    pub(crate) fn new(text: &str) -> Self {
        Self::with(text, Settings::default())
    }

    pub(crate) fn with(text: &str, settings: Settings) -> Self {
        let mut engine = Engine::new(settings);
        engine.load(vec![file(text)], 0);
        Self { engine, series: Recorded::default(), silent: Silent::default() }
    }

    /// A sample of a series, unknown to the engine.
    pub(crate) fn sample(&mut self, series: &Labels, at: i64, value: f64) {
        self.series.memory.push(series.clone(), [Sample::new(at, value)]);
    }

    /// A sample of a series that is an event.
    pub(crate) fn event(&mut self, series: &Labels, at: i64, value: f64) {
        self.sample(series, at, value);
        self.engine.touched(series, at, at);
    }

    pub(crate) fn run(&mut self, now: i64) -> Vec<Change> {
        let Self { engine, series, silent } = self;
        engine.run(now, &mut ground(series, silent))
    }

    pub(crate) fn step(&mut self, now: i64) -> Option<Vec<Change>> {
        let Self { engine, series, silent } = self;
        engine.step(now, &mut ground(series, silent))
    }

    /// Evaluates every group at `at`, in order.
    pub(crate) fn evaluate(&mut self, at: i64) -> Vec<Change> {
        let Self { engine, series, silent } = self;
        let groups = engine.group_names().count();
        let mut changes = Vec::new();
        for group in 0..groups {
            changes.extend(engine.evaluate(group, at, &mut ground(series, silent)));
        }
        changes
    }

    /// What a query gives now, each series as a text, sorted.
    pub(crate) fn query(&self, text: &str, at: i64) -> Vec<String> {
        let query = Query::parse(text).expect("a good query");
        let outcome =
            query.instant(&self.series.memory, at, &Limits::default()).expect("a query that can be answered");
        let Answer::Vector(points) = outcome.answer else { panic!("{text} is no vector") };
        let mut found: Vec<String> =
            points.iter().map(|point| format!("{} {}", point.labels, point.sample.value)).collect();
        found.sort();
        found
    }

    /// The active alerts as `name{labels} state`, sorted; `?` behind what is unknown.
    pub(crate) fn alerts(&self) -> Vec<String> {
        let mut alerts: Vec<String> = self
            .engine
            .active()
            .map(|alert| {
                let unknown = if alert.life.unknown_since.is_some() { "?" } else { "" };
                let labels: Vec<String> = alert
                    .labels
                    .iter()
                    .filter(|label| *label.name != *"alertname")
                    .map(|label| label.value.to_string())
                    .collect();
                let state = alert.life.state.as_str();
                format!("{} {} {state}{unknown}", alert.labels.value("alertname"), labels.join(" "))
            })
            .collect();
        alerts.sort();
        alerts
    }
}

fn ground<'a>(series: &'a mut Recorded, silent: &'a Silent) -> Ground<'a> {
    Ground { store: series, witness: silent, limits: Limits::default(), elapsed: &|| Duration::ZERO }
}

/// Which states these changes lead to, in order.
pub(crate) fn states(changes: &[Change]) -> Vec<(&str, State)> {
    changes.iter().map(|change| (change.rule.as_ref(), change.alert.life.state)).collect()
}

/// The mark of a series that has ended.
pub(crate) const GONE: f64 = STALE;
