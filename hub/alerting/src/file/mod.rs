//! A rule file that was read and checked: groups of rules, in the order of the file. Not what becomes of them: `engine`.
//!
//! The format is that of Prometheus 2.42, and so is the verdict: what `promtool check rules` refuses is refused here. All faults of a
//! file are told at once, each with its line, group and rule. Whoever has a [`RuleFile`] can evaluate every rule in it.
//!
//! Sample: see [`RuleFile::parse`].

mod fault;
mod lint;
mod read;

use std::path::Path;
use std::sync::Arc;

use rackside_promql::{Labels, Query};

pub use fault::Fault;
pub use lint::Lint;

use crate::template::Template;

/// A file of rules.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// What the file is called, as it was given.
    pub name: Arc<str>,
    /// Its groups.
    pub groups: Vec<GroupSpec>,
    /// Where a further document begins, which is not read.
    pub(crate) further: Option<usize>,
}

/// Rules that are evaluated one after the other, at one moment.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    /// Its name, unique in its file.
    pub name: Arc<str>,
    /// The line where it begins.
    pub line: usize,
    /// How often it is evaluated, in milliseconds; none: as the hub says.
    pub interval: Option<i64>,
    /// The most alerts or series that a rule may make; 0: any number.
    pub limit: i64,
    /// Its rules.
    pub rules: Vec<RuleSpec>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct RuleSpec {
    /// The alert's name, or the recorded metric's.
    pub name: Arc<str>,
    /// The line where it begins.
    pub line: usize,
    /// The expression as it was written.
    pub expr: Arc<str>,
    /// The expression.
    pub query: Query,
    /// What is made of its result.
    pub action: Action,
}

/// What a rule makes of the result of its expression.
#[derive(Clone, Debug)]
pub enum Action {
    /// A new series for each one, with these labels on top.
    Record {
        /// As they are written; a value of `""` removes a label.
        labels: Vec<(Arc<str>, Arc<str>)>,
    },
    /// An alert for each series.
    Alert(Box<AlertSpec>),
}

/// What an alerting rule says beyond its expression.
#[derive(Clone, Debug)]
pub struct AlertSpec {
    /// `for`: how long it must hold before it fires, in milliseconds.
    pub hold: i64,
    /// `keep_firing_for`: how long it fires on when it holds no longer, in milliseconds.
    pub keep_firing: i64,
    /// Labels on top, sorted by name.
    pub labels: Vec<(Arc<str>, Template)>,
    /// Annotations, sorted by name.
    pub annotations: Vec<(Arc<str>, Template)>,
}

impl RuleSpec {
    /// The labels that it adds, as they are written: what tells it from a rule of the same name.
    pub fn labels(&self) -> Labels {
        match &self.action {
            Action::Record { labels } => Labels::new(labels.iter().cloned()),
            Action::Alert(alert) => {
                Labels::new(alert.labels.iter().map(|(name, value)| (Arc::clone(name), value.text())))
            }
        }
    }

    /// Whether it makes alerts.
    pub fn is_alert(&self) -> bool {
        matches!(self.action, Action::Alert(_))
    }
}

impl RuleFile {
    /// Reads the text of a rule file; `name` is what the file is called in a fault, and is not opened.
    ///
    /// ```
    /// use rackside_alerting::RuleFile;
    ///
    /// let faults = RuleFile::parse("box.yml", "groups:\n- name: box\n  rules:\n  - alert: SocHot\n    expr: soc >\n").expect_err("no number");
    /// assert!(faults[0].to_string().starts_with(r#"box.yml:5: group "box", alert "SocHot": expr: "#), "{}", faults[0]);
    /// ```
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<Fault>> {
        read::file(name, text)
    }

    /// Reads a rule file.
    pub fn open(path: &Path) -> Result<Self, Vec<Fault>> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| vec![Fault::unreadable(&name, &error)])?;
        Self::parse(&name, &text)
    }

    /// What is allowed and hardly meant.
    pub fn lints(&self) -> Vec<Lint> {
        lint::lints(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let faults = RuleFile::parse("box.yml", text).expect_err("a file with faults");
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_rule_has_all_that_prometheus_lets_it_have() {
        let text = "
groups:
  - name: venue
    interval: 30s
    limit: 10
    rules:
      - record: venue:bitrate:avg1m
        expr: avg by (venue) (avg_over_time(bitrate[1m]))
        labels: {tier: derived}
      - alert: EncoderStopped
        expr: encoder_streaming == 0
        for: 30s
        keep_firing_for: 2m
        labels: {severity: critical, floor: 1}
        annotations: {summary: 'stopped at {{ $labels.venue }}'}
  - {name: empty}
";
        let file = RuleFile::parse("box.yml", text).expect("good");
        let group = &file.groups[0];
        assert_eq!((group.interval, group.limit, group.line, group.rules.len()), (Some(30_000), 10, 3, 2));
        let Action::Alert(alert) = &group.rules[1].action else { panic!("an alert") };
        assert_eq!((alert.hold, alert.keep_firing), (30_000, 120_000));
        assert_eq!(group.rules[1].labels().to_string(), r#"{floor="1", severity="critical"}"#);
        assert_eq!(alert.annotations[0].1.text(), "stopped at {{ $labels.venue }}");
        assert!(file.groups[1].rules.is_empty() && file.lints().is_empty());
    }

    #[test]
    fn all_faults_of_a_file_are_told_with_line_group_and_rule() {
        let text = "
groups:
  - name: box
    rules:
      - alert: SocHot
        expr: soc >
        fur: 5m
      - record: 1x
        expr: up
        for: 1m
      - expr: up
  - name: box
    colour: red
";
        let faults = faults(text);
        let expected = [
            r#"box.yml:6: group "box", alert "SocHot": expr: "#,
            r#"box.yml:7: group "box", alert "SocHot": unknown key "fur" in a rule"#,
            r#"box.yml:8: group "box", record "1x": invalid recording rule name: "1x""#,
            r#"box.yml:10: group "box", record "1x": invalid field 'for' in recording rule"#,
            r#"box.yml:11: group "box", rule 3: one of 'record' or 'alert' must be set"#,
            r#"box.yml:12: group "box": groupname: "box" is repeated in the same file, first in line 3"#,
            r#"box.yml:13: group "box": unknown key "colour" in a group"#,
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.starts_with(expected), "{fault}\nis not\n{expected}");
        }
    }

    #[test]
    fn what_is_hardly_meant_is_told_and_allowed() {
        let text = "
groups:
- name: a
  rules:
  - {alert: A, expr: up, labels: {x: y}}
  - {alert: A, expr: down, labels: {x: y}}
  - {record: b, expr: '\"text\"'}
---
groups: 5
";
        let lints: Vec<String> =
            RuleFile::parse("a.yml", text).expect("good").lints().iter().map(ToString::to_string).collect();
        assert_eq!(lints.len(), 3, "{lints:#?}");
        assert!(
            lints[0].starts_with("a.yml:6: 2 rules are the same in name and labels, first in line 5"),
            "{}",
            lints[0]
        );
        assert!(lints[1].starts_with("a.yml:7: the expression of \"b\" gives no vector"), "{}", lints[1]);
        assert!(lints[2].starts_with("a.yml:8: a further document"), "{}", lints[2]);
    }

    #[test]
    fn an_empty_file_has_no_groups() {
        for text in ["", "# nothing\n", "groups:\n", "groups: []\n"] {
            assert!(RuleFile::parse("a.yml", text).expect("good").groups.is_empty(), "{text:?}");
        }
    }
}
