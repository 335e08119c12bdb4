//! One test of a file, played in virtual time: samples come in, groups are evaluated at every interval, and what is expected is looked at when its time
//! has come. As promtool 2.42 plays it, to the millisecond, since verdicts must be the same.
//!
//! Time begins at 0, the first of January 1970. At each multiple of the evaluation interval the samples up to then are there, all groups are evaluated
//! one after the other, and the alerts that are asked for from then up to the next evaluation are compared. Expressions are evaluated at the end, each
//! at its own moment, over the samples up to the last evaluation.
//!
//! Sample: at an interval of 1m, `eval_time: 90s` sees the alerts of 1m, and no sample that is younger than 1m.

use std::collections::{BTreeSet, HashMap};
use std::iter::Peekable;
use std::time::Duration;
use std::vec;

use rackside_promql::duration::printed;
use rackside_promql::{Answer, Labels, Limits, Memory, Query, Sample, Source, is_stale};

use super::read::{AlertTest, ExpectedAlert, ExpressionTest, Test, TestFile, Texts};
use super::report::{self, ExpectedSample, Failure};
use super::series::{self, Described};
use crate::engine::{Alert, Common, Engine, Everybody, Ground, Settings, State, Store};
use crate::file::RuleFile;
use crate::yaml::Place;

/// Plays one test over the rules of `files`, and tells what is not as expected.
pub(super) fn play(name: &str, file: &TestFile, test: &Test, files: &[RuleFile]) -> Vec<Failure> {
    let stage = match Stage::new(name, file, test, files) {
        Ok(stage) => stage,
        Err(failures) => return failures,
    };
    stage.play()
}

struct Stage<'f> {
    /// The file that the test is from.
    name: &'f str,
    test: &'f Test,
    interval: i64,
    engine: Engine,
    /// The groups in the order of their evaluation, with the names of their rules.
    groups: Vec<(usize, Vec<String>)>,
    store: Ordered,
    input: Vec<Input>,
}

/// A series that is still to come, or some of it.
struct Input {
    labels: Labels,
    samples: Peekable<vec::IntoIter<Sample>>,
}

/// A memory that takes samples in order only, as Prometheus's does.
#[derive(Default)]
struct Ordered {
    memory: Memory,
    newest: HashMap<Labels, Sample>,
}

impl Ordered {
    fn add(&mut self, labels: &Labels, sample: Sample) -> Result<(), &'static str> {
        match self.newest.get(labels) {
            Some(newest) if newest.at > sample.at => return Err("out of order sample"),
            Some(newest) if newest.at == sample.at && *newest != sample => {
                return Err("duplicate sample for timestamp");
            }
            _ => {}
        }
        self.newest.insert(labels.clone(), sample);
        self.memory.push(labels.clone(), [sample]);
        Ok(())
    }
}

impl Store for Ordered {
    fn source(&self) -> &dyn Source {
        &self.memory
    }

    fn record(&mut self, at: i64, samples: &[(Labels, f64)]) -> Result<(), String> {
        let mut first = None;
        for (labels, value) in samples {
            // The end of a series that another rule writes as well is no matter.
            if let Err(why) = self.add(labels, Sample::new(at, *value))
                && !is_stale(*value)
            {
                first.get_or_insert_with(|| {
                    format!("{why}: {labels}; another rule or the input writes it too")
                });
            }
        }
        first.map_or(Ok(()), Err)
    }
}

impl<'f> Stage<'f> {
    fn new(name: &'f str, file: &TestFile, test: &'f Test, files: &[RuleFile]) -> Result<Self, Vec<Failure>> {
        let title = |place: Place, more: &str| title(name, place, test, more);
        let mut failures = Vec::new();
        let mut input: Vec<Input> = Vec::new();
        for (at, text) in &test.series {
            match series::described(text) {
                Ok(described) => {
                    let new = Input::of(described, test.interval);
                    // Of a series that is there twice the last one counts.
                    input.retain(|known| known.labels != new.labels);
                    input.push(new);
                }
                Err(why) => failures.push(Failure {
                    title: title(*at, "input series"),
                    lines: vec![why, format!("in: {}", text.trim())],
                }),
            }
        }
        for alert in test.alerts.iter().filter(|alert| alert.name.is_empty()) {
            let lines = vec!["it must name its alertname".to_owned()];
            failures.push(Failure { title: title(alert.place, "alert_rule_test"), lines });
        }
        if !failures.is_empty() {
            return Err(failures);
        }
        let common = Common {
            external_labels: test.external_labels.clone(),
            external_url: test.external_url.as_str().into(),
        };
        let mut engine = Engine::new(Settings { interval: file.interval, common, ..Settings::default() });
        engine.load(files.to_vec(), 0);
        let rank = |name: &str| file.order.iter().position(|known| known == name).unwrap_or(0);
        let mut ranked: Vec<_> = files
            .iter()
            .flat_map(|file| &file.groups)
            .map(|group| (rank(&group.name), group.rules.iter().map(|rule| rule.name.to_string()).collect()))
            .enumerate()
            .map(|(number, (rank, rules))| (rank, (number, rules)))
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        let groups = ranked.into_iter().map(|(_, group)| group).collect();
        Ok(Self { name, test, interval: file.interval, engine, groups, store: Ordered::default(), input })
    }

    fn play(mut self) -> Vec<Failure> {
        let alerts = self.test.alerts.iter().map(|alert| alert.at);
        let last =
            alerts.chain(self.test.expressions.iter().map(|expression| expression.at)).max().unwrap_or(0);
        let mut waiting: BTreeSet<i64> = self.test.alerts.iter().map(|alert| alert.at).collect();
        let mut failures = Vec::new();
        let mut now = 0;
        while now <= last {
            self.load(now);
            let failed = self.evaluate(now);
            if !failed.is_empty() {
                failures.extend(failed);
                return failures;
            }
            while let Some(at) = waiting.first().copied().filter(|at| *at < now + self.interval) {
                waiting.pop_first();
                let due = self.test.alerts.iter().filter(|alert| alert.at == at);
                failures.extend(due.filter_map(|alert| self.alert(alert)));
            }
            now += self.interval;
        }
        failures.extend(self.test.expressions.iter().filter_map(|expression| self.expression(expression)));
        failures
    }

    /// Lets the samples up to `now` come in.
    fn load(&mut self, now: i64) {
        for input in &mut self.input {
            while let Some(sample) = input.samples.next_if(|sample| sample.at <= now) {
                // What is refused is of a test without an interval, where all values are of the first moment.
                let _ = self.store.add(&input.labels, sample);
            }
        }
    }

    fn evaluate(&mut self, now: i64) -> Vec<Failure> {
        let mut failures = Vec::new();
        let mut ground = Ground {
            store: &mut self.store,
            witness: &Everybody,
            limits: Limits::default(),
            elapsed: &|| Duration::ZERO,
        };
        for (group, _) in &self.groups {
            self.engine.evaluate(*group, now, &mut ground);
            for (rule, why) in self.engine.failed(*group) {
                let more = format!("rule {rule} cannot be evaluated at {}", printed(now));
                failures.push(Failure {
                    title: title(self.name, self.test.place, self.test, &more),
                    lines: vec![why.to_owned()],
                });
            }
        }
        failures
    }

    /// Compares what fires now with what a test expects.
    fn alert(&self, test: &AlertTest) -> Option<Failure> {
        let mut got = Vec::new();
        let mut known = false;
        for (group, rules) in &self.groups {
            for (rule, _) in rules.iter().enumerate().filter(|(_, name)| **name == test.name) {
                known = true;
                let firing =
                    self.engine.alerts_of(*group, rule).filter(|alert| alert.life.state == State::Firing);
                got.extend(firing.map(as_expected));
            }
        }
        let mut expected = test.expected.clone();
        expected.sort();
        got.sort();
        let mut lines = report::alerts(&expected, &got);
        if lines.is_empty() {
            return None;
        }
        if !known {
            lines.push(format!("no rule that was loaded makes an alert called {}", test.name));
        }
        let more = format!("alert {} at {}", test.name, printed(test.at));
        Some(Failure { title: title(self.name, test.place, self.test, &more), lines })
    }

    /// Compares the value of an expression with what a test expects.
    fn expression(&self, test: &ExpressionTest) -> Option<Failure> {
        let lines = self.compared(test).unwrap_or_else(|why| vec![why]);
        let more = format!("expression {} at {}", test.expression.trim(), printed(test.at));
        (!lines.is_empty()).then(|| Failure { title: title(self.name, test.place, self.test, &more), lines })
    }

    fn compared(&self, test: &ExpressionTest) -> Result<Vec<String>, String> {
        let query = Query::parse(&test.expression).map_err(|error| error.to_string())?;
        let query = query.with_default_step(self.interval);
        let outcome = query.instant(self.store.source(), test.at, &Limits::default());
        let got = match outcome.map_err(|error| error.to_string())?.answer {
            Answer::Vector(points) => {
                points.into_iter().map(|point| (point.labels, point.sample.value)).collect()
            }
            Answer::Scalar(sample) => vec![(Labels::empty(), sample.value)],
            Answer::String { .. } | Answer::Matrix(_) => {
                return Err("the value is no vector and no number, and only those can be expected".to_owned());
            }
        };
        let mut expected = Vec::with_capacity(test.expected.len());
        for (place, labels, value) in &test.expected {
            let metric = series::metric(labels)
                .map_err(|why| format!("line {}: labels {labels:?}: {why}", place.line))?;
            expected.push(ExpectedSample {
                labels: metric.labels,
                value: *value,
                equals_nothing: metric.equals_nothing,
            });
        }
        Ok(report::samples(expected, got))
    }
}

impl Input {
    fn of(described: Described, interval: i64) -> Self {
        let samples = described.values.into_iter().enumerate();
        let samples =
            samples.filter_map(|(at, value)| Some(Sample::new(interval.saturating_mul(at as i64), value?)));
        Self { labels: described.labels, samples: samples.collect::<Vec<_>>().into_iter().peekable() }
    }
}

/// Where a failure is, and of what: `box.yml:14: test "hot", alert SocHot at 5m:`.
fn title(file: &str, place: Place, test: &Test, what: &str) -> String {
    let name = if test.name.is_empty() { String::new() } else { format!("test {:?}, ", test.name) };
    format!("{file}:{}: {name}{what}:", place.line)
}

/// An alert in the form of those that are expected.
fn as_expected(alert: &Alert) -> ExpectedAlert {
    let labels = alert.labels.iter().map(|label| (label.name.to_string(), label.value.to_string()));
    let annotations = alert.annotations.iter().map(|(name, text)| (name.to_string(), text.to_string()));
    ExpectedAlert { labels: labels.collect(), annotations: annotations.collect::<Texts>() }
}
