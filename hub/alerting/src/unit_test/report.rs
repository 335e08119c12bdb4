//! What came of a unit-test file, for a person: what was expected and did not come, what came and was not expected, and where that is written.
//!
//! Sample:
//!
//! ```text
//! hub/rules/tests/box.yml: FAILED
//!   hub/rules/tests/box.yml:14: test "hot", alert SocHot at 5m:
//!     expected, and does not fire: {alertname="SocHot", severity="critical", site="hall"}
//!     fires, and was not expected: {alertname="SocHot", severity="warning", site="hall"}
//! ```

use std::fmt;

use rackside_promql::{Labels, format_float};

use super::read::{ExpectedAlert, Texts};

/// What came of a file.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The file, as it was given.
    pub file: String,
    /// What should be looked at, and is no failure.
    pub warnings: Vec<String>,
    /// What failed; nothing, if the file is a success.
    pub failures: Vec<Failure>,
    /// How many expectations of alerts and of expressions were looked at.
    pub checks: usize,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Where and what, in one line.
    pub title: String,
    /// More of it, line by line.
    pub lines: Vec<String>,
}

impl Report {
    /// Whether all is as expected.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_success(), self.checks) {
            (true, 1) => writeln!(f, "{}: SUCCESS, 1 check", self.file)?,
            (true, checks) => writeln!(f, "{}: SUCCESS, {checks} checks", self.file)?,
            (false, _) => writeln!(f, "{}: FAILED", self.file)?,
        }
        for warning in &self.warnings {
            writeln!(f, "  warning: {warning}")?;
        }
        for failure in &self.failures {
            writeln!(f, "  {}", failure.title)?;
            for line in &failure.lines {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}

/// How alerts differ from what was expected; nothing, if they do not. Both are sorted.
pub(super) fn alerts(expected: &[ExpectedAlert], got: &[ExpectedAlert]) -> Vec<String> {
    if expected == got {
        return Vec::new();
    }
    let (mut missing, mut extra) = (expected.to_vec(), got.to_vec());
    take_equal(&mut missing, &mut extra, |one, other| one == other);
    let as_expected = expected.len() - missing.len();
    let mut lines = Vec::new();
    for (expected, got) in take_equal(&mut missing, &mut extra, |one, other| one.labels == other.labels) {
        lines.push(format!("{}:", labels(&expected.labels)));
        let names = expected.annotations.keys().chain(got.annotations.keys());
        let mut names: Vec<_> =
            names.filter(|name| expected.annotations.get(*name) != got.annotations.get(*name)).collect();
        names.sort();
        names.dedup();
        for name in names {
            let said =
                |text: Option<&String>| text.map_or_else(|| "none".to_owned(), |text| format!("{text:?}"));
            lines.push(format!("  annotation {name}: expected {}", said(expected.annotations.get(name))));
            lines.push(format!(
                "  {:>width$}got {}",
                "",
                said(got.annotations.get(name)),
                width = name.len() + 18
            ));
        }
    }
    for alert in &missing {
        lines.push(format!("expected, and does not fire: {}", labels(&alert.labels)));
    }
    for alert in &extra {
        lines.push(format!("fires, and was not expected: {}", labels(&alert.labels)));
        lines.extend(alert.annotations.iter().map(|(name, text)| format!("  annotation {name}: {text:?}")));
    }
    if as_expected > 0 {
        lines.push(format!("{as_expected} more as expected"));
    }
    lines
}

/// One sample that was expected.
pub(super) struct ExpectedSample {
    pub(super) labels: Labels,
    pub(super) value: f64,
    /// Labels as promtool compares them are never these.
    pub(super) equals_nothing: bool,
}

/// How samples differ from what was expected; nothing, if they do not. As with promtool values are compared to the bit, and NaN is not even itself.
pub(super) fn samples(expected: Vec<ExpectedSample>, got: Vec<(Labels, f64)>) -> Vec<String> {
    let (mut missing, mut extra) = (expected, got);
    let all = missing.len();
    take_equal(&mut missing, &mut extra, |one, (labels, value)| {
        #[expect(clippy::float_cmp, reason = "promtool's verdict is that of ==")]
        let same = !one.equals_nothing && one.labels == *labels && one.value == *value;
        same
    });
    let as_expected = all - missing.len();
    let mut lines = Vec::new();
    let same_labels =
        |one: &ExpectedSample, (labels, _): &(Labels, f64)| !one.equals_nothing && one.labels == *labels;
    for (expected, (labels, value)) in take_equal(&mut missing, &mut extra, same_labels) {
        let hint = if expected.value.is_nan() && value.is_nan() {
            "; NaN equals nothing, test for it with an expression such as `x != x`"
        } else {
            ""
        };
        lines.push(format!(
            "{labels}: expected {}, got {}{hint}",
            format_float(expected.value),
            format_float(value)
        ));
    }
    for sample in &missing {
        let hint = if sample.equals_nothing { ", with an empty label, which no series has" } else { "" };
        lines.push(format!(
            "expected, and not there: {} {}{hint}",
            sample.labels,
            format_float(sample.value)
        ));
    }
    for (labels, value) in &extra {
        lines.push(format!("there, and not expected: {labels} {}", format_float(*value)));
    }
    if as_expected > 0 && !lines.is_empty() {
        lines.push(format!("{as_expected} more as expected"));
    }
    lines
}

/// Takes pairs that are the same out of both.
fn take_equal<A, B>(left: &mut Vec<A>, right: &mut Vec<B>, same: impl Fn(&A, &B) -> bool) -> Vec<(A, B)> {
    let mut pairs = Vec::new();
    let mut alone = Vec::with_capacity(left.len());
    for one in left.drain(..) {
        match right.iter().position(|other| same(&one, other)) {
            Some(at) => pairs.push((one, right.remove(at))),
            None => alone.push(one),
        }
    }
    *left = alone;
    pairs
}

/// As labels are written, but with empty ones, which a test can expect.
fn labels(texts: &Texts) -> String {
    let pairs: Vec<_> = texts.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(severity: &str, summary: &str) -> ExpectedAlert {
        let texts = |name: &str, text: &str| Texts::from([(name.to_owned(), text.to_owned())]);
        ExpectedAlert { labels: texts("severity", severity), annotations: texts("summary", summary) }
    }

    #[test]
    fn alerts_that_differ_are_paired_by_their_labels() {
        let expected = [alert("critical", "a"), alert("info", "b"), alert("page", "c")];
        let got = [alert("critical", "a"), alert("info", "x"), alert("warning", "c")];
        let lines = [
            "{severity=\"info\"}:",
            "  annotation summary: expected \"b\"",
            "                           got \"x\"",
            "expected, and does not fire: {severity=\"page\"}",
            "fires, and was not expected: {severity=\"warning\"}",
            "  annotation summary: \"c\"",
            "1 more as expected",
        ];
        assert_eq!(alerts(&expected, &got), lines);
        assert!(alerts(&expected, &expected).is_empty());
    }

    #[test]
    fn samples_are_equal_to_the_bit() {
        let labels = || Labels::new([("__name__", "up")]);
        let expected = |value| vec![ExpectedSample { labels: labels(), value, equals_nothing: false }];
        assert!(samples(expected(0.0), vec![(labels(), -0.0)]).is_empty());
        assert_eq!(
            samples(expected(0.3), vec![(labels(), 0.1 + 0.2)]),
            ["up: expected 0.3, got 0.30000000000000004"]
        );
        assert!(samples(expected(f64::NAN), vec![(labels(), f64::NAN)])[0].contains("NaN equals nothing"));
        assert_eq!(samples(expected(1.0), Vec::new()), ["expected, and not there: up 1"]);
    }
}
