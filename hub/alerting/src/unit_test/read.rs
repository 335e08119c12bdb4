//! A unit-test file of rules as it was written: from YAML, with the line of everything that can go wrong. Nothing is evaluated here.
//!
//! What promtool 2.42 refuses is refused: unknown keys, keys given twice, wrong types. All faults of a file are told at once.
//!
//! Sample: `eval_time: 5 m` is `box.yml:14: eval_time: not a valid duration string: "5 m"; ..`.

use std::collections::BTreeMap;
use std::sync::Arc;

use rackside_promql::Labels;

use crate::duration;
use crate::file::Fault;
use crate::yaml::{self, Node, Place, Value};

/// Promtool's `evaluation_interval`, unless the file names one: a minute, in milliseconds.
const INTERVAL: i64 = 60_000;

/// The whole file.
#[derive(Debug)]
pub(super) struct TestFile {
    /// Patterns of rule files, relative to the file.
    pub(super) rule_files: Vec<(Place, String)>,
    /// From one evaluation to the next, in milliseconds.
    pub(super) interval: i64,
    /// Groups in the order in which they are evaluated; others come with the first of these.
    pub(super) order: Vec<String>,
    pub(super) tests: Vec<Test>,
}

/// One of `tests`.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) place: Place,
    pub(super) name: String,
    /// From one value of a series to the next, in milliseconds.
    pub(super) interval: i64,
    /// Series and their values, as they are written.
    pub(super) series: Vec<(Place, String)>,
    pub(super) alerts: Vec<AlertTest>,
    pub(super) expressions: Vec<ExpressionTest>,
    pub(super) external_labels: Labels,
    pub(super) external_url: String,
}

/// One of `alert_rule_test`.
#[derive(Debug)]
pub(super) struct AlertTest {
    pub(super) place: Place,
    pub(super) at: i64,
    pub(super) name: String,
    pub(super) expected: Vec<ExpectedAlert>,
}

/// Names and texts, empty ones included.
pub(super) type Texts = BTreeMap<String, String>;

/// One of `exp_alerts`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExpectedAlert {
    pub(super) labels: Texts,
    pub(super) annotations: Texts,
}

/// One of `promql_expr_test`.
#[derive(Debug)]
pub(super) struct ExpressionTest {
    pub(super) place: Place,
    pub(super) at: i64,
    pub(super) expression: String,
    /// Labels as they are written, and the value.
    pub(super) expected: Vec<(Place, String, f64)>,
}

/// Reads the text of a file.
pub(super) fn file(name: &str, text: &str) -> Result<TestFile, Vec<Fault>> {
    let name: Arc<str> = name.into();
    let document = yaml::read(text).map_err(|wrong| {
        wrong.into_iter().map(|error| Fault::at(&name, error.place, error.what)).collect::<Vec<_>>()
    })?;
    let mut reader = Reader { file: name, faults: Vec::new() };
    let file = reader.file(document.root.as_deref());
    reader.faults.sort_by_key(|fault| fault.line);
    if reader.faults.is_empty() { Ok(file) } else { Err(reader.faults) }
}

struct Reader {
    file: Arc<str>,
    faults: Vec<Fault>,
}

/// A mapping, of which all keys are known.
struct Fields<'n> {
    place: Place,
    pairs: Vec<(&'n str, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// The value of a key; none as well, if it is nothing.
    fn node(&self, key: &str) -> Option<&'n Node> {
        self.pairs
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, node)| *node)
            .filter(|node| !node.is_null())
    }
}

impl Reader {
    fn fault(&mut self, place: Place, what: impl Into<String>) {
        self.faults.push(Fault::at(&self.file, place, what.into()));
    }

    fn fields<'n>(&mut self, node: &'n Node, of: &str, known: &[&str]) -> Fields<'n> {
        let mut fields = Fields { place: node.place, pairs: Vec::new() };
        match &node.value {
            Value::Mapping(pairs) => {
                for (key, value) in pairs {
                    let name = key.scalar().unwrap_or_default();
                    if known.contains(&name) {
                        fields.pairs.push((name, value.as_ref()));
                    } else {
                        let what = format!("unknown key {name:?} in {of}; known are {}", known.join(", "));
                        self.fault(key.place, what);
                    }
                }
            }
            _ if node.is_null() => {}
            _ => self.fault(node.place, format!("{of} must be a mapping, and is {}", node.kind())),
        }
        fields
    }

    fn list<'n>(&mut self, fields: &Fields<'n>, key: &str) -> &'n [Arc<Node>] {
        match fields.node(key).map(|node| (node, &node.value)) {
            None => &[],
            Some((_, Value::Sequence(list))) => list,
            Some((node, _)) => {
                self.fault(node.place, format!("{key} must be a list, and is {}", node.kind()));
                &[]
            }
        }
    }

    fn text(&mut self, fields: &Fields<'_>, key: &str) -> String {
        fields.node(key).map_or_else(String::new, |node| self.scalar(node, key))
    }

    fn scalar(&mut self, node: &Node, key: &str) -> String {
        node.scalar().map_or_else(
            || {
                self.fault(node.place, format!("{key} must be a text, and is {}", node.kind()));
                String::new()
            },
            str::to_owned,
        )
    }

    fn duration(&mut self, fields: &Fields<'_>, key: &str) -> i64 {
        let Some(node) = fields.node(key) else { return 0 };
        let read = match node.scalar() {
            Some(text) => duration::parse(text),
            None => Err(format!("a duration is a text such as \"5m\", and this is {}", node.kind())),
        };
        read.unwrap_or_else(|what| {
            self.fault(node.place, format!("{key}: {what}"));
            0
        })
    }

    fn texts(&mut self, fields: &Fields<'_>, key: &str) -> Texts {
        let Some(node) = fields.node(key) else { return Texts::new() };
        let Value::Mapping(pairs) = &node.value else {
            self.fault(
                node.place,
                format!("{key} must be a mapping of names to texts, and is {}", node.kind()),
            );
            return Texts::new();
        };
        let text = |(name, value): &(Arc<Node>, Arc<Node>)| {
            let name = name.scalar().unwrap_or_default().to_owned();
            let value = self.scalar(value, &format!("{key}: {name}"));
            (name, value)
        };
        pairs.iter().map(text).collect()
    }

    fn file(&mut self, root: Option<&Node>) -> TestFile {
        let mut file =
            TestFile { rule_files: Vec::new(), interval: INTERVAL, order: Vec::new(), tests: Vec::new() };
        let Some(root) = root else { return file };
        let known = ["rule_files", "evaluation_interval", "group_eval_order", "tests"];
        let fields = self.fields(root, "a unit-test file", &known);
        for node in self.list(&fields, "rule_files") {
            file.rule_files.push((node.place, self.scalar(node, "a rule file")));
        }
        file.interval =
            Some(self.duration(&fields, "evaluation_interval")).filter(|span| *span > 0).unwrap_or(INTERVAL);
        for node in self.list(&fields, "group_eval_order") {
            let name = self.scalar(node, "a group's name");
            if file.order.contains(&name) {
                self.fault(
                    node.place,
                    format!("the group {name:?} is twice in group_eval_order; remove one"),
                );
            }
            file.order.push(name);
        }
        file.tests = self.list(&fields, "tests").iter().map(|node| self.test(node)).collect();
        file
    }

    fn test(&mut self, node: &Node) -> Test {
        let known = [
            "name",
            "interval",
            "input_series",
            "alert_rule_test",
            "promql_expr_test",
            "external_labels",
            "external_url",
        ];
        let fields = self.fields(node, "a test", &known);
        let mut series = Vec::new();
        for node in self.list(&fields, "input_series") {
            let fields = self.fields(node, "a series", &["series", "values"]);
            let text = format!("{} {}", self.text(&fields, "series"), self.text(&fields, "values"));
            series.push((fields.place, text));
        }
        Test {
            place: fields.place,
            name: self.text(&fields, "name"),
            interval: self.duration(&fields, "interval"),
            series,
            alerts: self.list(&fields, "alert_rule_test").iter().map(|node| self.alert(node)).collect(),
            expressions: self
                .list(&fields, "promql_expr_test")
                .iter()
                .map(|node| self.expression(node))
                .collect(),
            external_labels: Labels::new(self.texts(&fields, "external_labels")),
            external_url: self.text(&fields, "external_url"),
        }
    }

    fn alert(&mut self, node: &Node) -> AlertTest {
        let fields = self.fields(node, "an alert_rule_test", &["eval_time", "alertname", "exp_alerts"]);
        let name = self.text(&fields, "alertname");
        let mut expected = Vec::new();
        for node in self.list(&fields, "exp_alerts") {
            let fields = self.fields(node, "one of exp_alerts", &["exp_labels", "exp_annotations"]);
            let mut labels = self.texts(&fields, "exp_labels");
            labels.insert("alertname".to_owned(), name.clone());
            expected.push(ExpectedAlert { labels, annotations: self.texts(&fields, "exp_annotations") });
        }
        AlertTest { place: fields.place, at: self.duration(&fields, "eval_time"), name, expected }
    }

    fn expression(&mut self, node: &Node) -> ExpressionTest {
        let fields = self.fields(node, "a promql_expr_test", &["expr", "eval_time", "exp_samples"]);
        let mut expected = Vec::new();
        for node in self.list(&fields, "exp_samples") {
            let fields = self.fields(node, "one of exp_samples", &["labels", "value"]);
            let value = fields.node("value").map_or(0.0, |node| self.number(node));
            expected.push((fields.place, self.text(&fields, "labels"), value));
        }
        ExpressionTest {
            place: fields.place,
            at: self.duration(&fields, "eval_time"),
            expression: self.text(&fields, "expr"),
            expected,
        }
    }

    fn number(&mut self, node: &Node) -> f64 {
        let number = match &node.value {
            Value::Scalar { text, plain: true } => number(text),
            _ => None,
        };
        number.unwrap_or_else(|| {
            let what = match node.scalar() {
                Some(text) => {
                    format!("value: {text:?} is no number; write 1.5, 1e3, .inf or -.inf, without quotes")
                }
                None => format!("value must be a number, and is {}", node.kind()),
            };
            self.fault(node.place, what);
            0.0
        })
    }
}

/// A number as YAML 1.1 has it: what begins with a zero is octal.
fn number(text: &str) -> Option<f64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = match digits {
        ".inf" | ".Inf" | ".INF" => f64::INFINITY,
        ".nan" | ".NaN" | ".NAN" if digits == text => f64::NAN,
        _ => {
            let plain = digits.replace('_', "");
            let whole = |radix, digits| u64::from_str_radix(digits, radix).ok();
            let int = match plain.get(..2) {
                Some("0x" | "0X") => whole(16, &plain[2..]),
                Some("0b" | "0B") => whole(2, &plain[2..]),
                Some("0o" | "0O") => whole(8, &plain[2..]),
                _ if plain.starts_with('0') && plain.len() > 1 => whole(8, &plain[1..]),
                _ => whole(10, &plain),
            };
            let is_float = plain.starts_with(|c: char| c.is_ascii_digit() || c == '.')
                && plain.contains(|c: char| c.is_ascii_digit())
                && plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
            match int {
                Some(int) => int as f64,
                None if is_float => plain.parse().ok()?,
                None => return None,
            }
        }
    };
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_file_is_told_with_its_line() {
        let text = "\
rule_files: a.yml
evaluation_interval: 1 m
group_eval_order: [a, a]
tests:
  - interval: 1m
    inputs: []
    alert_rule_test:
      - eval_time: [1m]
        exp_alerts:
          - exp_labels: {a: [b]}
    promql_expr_test:
      - exp_samples:
          - value: '1'
          - value: NaN
";
        let faults = file("t.yml", text).expect_err("faults");
        let lines: Vec<_> = faults.iter().map(|fault| fault.line.unwrap_or_default()).collect();
        assert_eq!(lines, [1, 2, 3, 6, 8, 10, 13, 14], "{faults:#?}");
        assert!(
            faults[3]
                .to_string()
                .starts_with("t.yml:6: unknown key \"inputs\" in a test; known are name, interval,")
        );
    }

    #[test]
    fn numbers_are_those_of_yaml() {
        for (text, value) in [
            ("1", 1.0),
            ("-1.5", -1.5),
            ("1e3", 1000.0),
            ("0x10", 16.0),
            ("010", 8.0),
            ("1_000", 1000.0),
            (".5", 0.5),
            ("-.inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in ["NaN", "Inf", "+Inf", "1m", "", "-", "e3", "1.5.2"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn an_empty_file_has_no_tests() {
        for text in ["", "# nothing\n", "tests:\n", "{}"] {
            let file = file("t.yml", text).expect("good");
            assert_eq!((file.tests.len(), file.interval), (0, 60_000), "{text:?}");
        }
    }
}
