//! From a YAML tree to checked rules. Every fault is kept and the rest is read on, so that one run of `rules check` tells them all.
//!
//! The checks are those of Prometheus 2.42 (its package rulefmt), unknown keys, keys given twice and wrong types included; what is said
//! of them is ours. A group or a rule with a fault is not handed on, and then neither is the file.
//!
//! Sample: `- {alert: A, expr: up, record: b}` is `only one of 'record' and 'alert' must be set`.

use std::collections::HashMap;
use std::sync::Arc;

use rackside_promql::{METRIC_NAME, Query, is_label_name, is_metric_name};

use super::{Action, AlertSpec, Fault, GroupSpec, RuleFile, RuleSpec};
use crate::duration;
use crate::template::Template;
use crate::yaml::{self, Node, Place, Value};

/// Reads a whole file.
pub(super) fn file(name: &str, text: &str) -> Result<RuleFile, Vec<Fault>> {
    let name: Arc<str> = name.into();
    let document = yaml::read(text)
        .map_err(|wrong| wrong.into_iter().map(|e| Fault::at(&name, e.place, e.what)).collect::<Vec<_>>())?;
    let mut reader = Reader { file: Arc::clone(&name), faults: Vec::new(), group: None, rule: None };
    let groups = document.root.as_deref().map(|root| reader.groups(root)).unwrap_or_default();
    if reader.faults.is_empty() {
        Ok(RuleFile { name, groups, further: document.more.map(|place| place.line) })
    } else {
        reader.faults.sort_by_key(|fault| fault.line);
        Err(reader.faults)
    }
}

/// What is known of the place being read, and what was wrong so far.
struct Reader {
    file: Arc<str>,
    faults: Vec<Fault>,
    group: Option<String>,
    rule: Option<String>,
}

/// The values of a mapping by the names that are known.
struct Fields<'a> {
    place: Place,
    given: HashMap<&'a str, &'a Node>,
}

impl<'a> Fields<'a> {
    fn node(&self, key: &str) -> Option<&'a Node> {
        self.given.get(key).copied()
    }

    /// The text of a scalar that is not empty.
    fn text(&self, key: &str) -> Option<(&'a str, Place)> {
        let node = self.node(key)?;
        node.scalar().filter(|text| !text.is_empty()).map(|text| (text, node.place))
    }

    /// Where `key` is, or the mapping it is missing in.
    fn place(&self, key: &str) -> Place {
        self.node(key).map_or(self.place, |node| node.place)
    }
}

impl Reader {
    fn fault(&mut self, place: Place, what: impl Into<String>) {
        let mut fault = Fault::at(&self.file, place, what.into());
        fault.group.clone_from(&self.group);
        fault.rule.clone_from(&self.rule);
        self.faults.push(fault);
    }

    /// The pairs of a mapping whose keys are all in `known`.
    fn fields<'a>(&mut self, node: &'a Node, of: &str, known: &[&str]) -> Option<Fields<'a>> {
        let pairs = match &node.value {
            Value::Mapping(pairs) => pairs.as_slice(),
            _ if node.is_null() => &[],
            _ => {
                self.fault(node.place, format!("{of} must be a mapping, and is {}", node.kind()));
                return None;
            }
        };
        let mut given = HashMap::new();
        for (key, value) in pairs {
            let name = key.scalar().unwrap_or_default();
            if known.contains(&name) {
                given.insert(name, value.as_ref());
            } else {
                self.fault(
                    key.place,
                    format!("unknown key {name:?} in {of}; known are {}", known.join(", ")),
                );
            }
        }
        Some(Fields { place: node.place, given })
    }

    fn list<'a>(&mut self, node: Option<&'a Node>, what: &str) -> &'a [Arc<Node>] {
        match node.map(|node| (node, &node.value)) {
            None => &[],
            Some((_, Value::Sequence(list))) => list,
            Some((node, _)) if node.is_null() => &[],
            Some((node, _)) => {
                self.fault(node.place, format!("{what} must be a list, and is {}", node.kind()));
                &[]
            }
        }
    }

    fn duration(&mut self, fields: &Fields<'_>, key: &str) -> Option<i64> {
        let node = fields.node(key).filter(|node| !node.is_null())?;
        let read = match node.scalar() {
            Some(text) => duration::parse(text),
            None => Err(format!("a duration is a text such as \"5m\", and this is {}", node.kind())),
        };
        read.map_err(|what| self.fault(node.place, format!("{key}: {what}"))).ok()
    }

    fn groups(&mut self, root: &Node) -> Vec<GroupSpec> {
        let Some(fields) = self.fields(root, "a rule file", &["groups"]) else { return Vec::new() };
        let mut lines = HashMap::new();
        let mut groups = Vec::new();
        for node in self.list(fields.node("groups"), "groups") {
            self.group = None;
            let Some(group) = self.group(node) else { continue };
            if let Some(line) = lines.insert(Arc::clone(&group.name), group.line) {
                let what = format!(
                    "groupname: {:?} is repeated in the same file, first in line {line}; rename one or put them together",
                    group.name
                );
                self.fault(node.place, what);
            }
            groups.push(group);
        }
        groups
    }

    fn group(&mut self, node: &Node) -> Option<GroupSpec> {
        self.group = named(node, &["name"]).map(|(_, name)| name.to_owned());
        let fields = self.fields(node, "a group", &["name", "interval", "limit", "rules"])?;
        let name = fields.text("name").map_or("", |(name, _)| name);
        if name.is_empty() {
            self.fault(fields.place("name"), "Groupname must not be empty; give the group a `name`");
        }
        let interval = self.duration(&fields, "interval").filter(|interval| *interval > 0);
        let limit = fields.node("limit").filter(|node| !node.is_null()).map_or(0, |node| {
            node.scalar().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
                self.fault(node.place, "limit must be a whole number; 0 is no limit");
                0
            })
        });
        let mut rules = Vec::new();
        for (at, node) in self.list(fields.node("rules"), "rules").iter().enumerate() {
            self.rule = Some(format!("rule {}", at + 1));
            rules.extend(self.rule(node));
            self.rule = None;
        }
        Some(GroupSpec { name: name.into(), line: node.place.line, interval, limit, rules })
    }

    fn rule(&mut self, node: &Node) -> Option<RuleSpec> {
        const KNOWN: [&str; 7] =
            ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];
        if let Some((kind, name)) = named(node, &["alert", "record"]) {
            self.rule = Some(format!("{kind} {name:?}"));
        }
        let before = self.faults.len();
        let fields = self.fields(node, "a rule", &KNOWN)?;
        let query = self.query(&fields);
        let hold = self.duration(&fields, "for").unwrap_or(0);
        let keep_firing = self.duration(&fields, "keep_firing_for").unwrap_or(0);
        let labels = self.texts(&fields, "labels");
        let annotations = self.texts(&fields, "annotations");
        self.label_names(&labels, &annotations);
        let (name, action) = match (fields.text("record"), fields.text("alert")) {
            (Some((_, _)), Some((_, place))) => {
                self.fault(place, "only one of 'record' and 'alert' must be set");
                return None;
            }
            (None, None) => {
                self.fault(fields.place, "one of 'record' or 'alert' must be set");
                return None;
            }
            (Some((name, place)), None) => {
                self.record(name, place, &fields, [hold, keep_firing], &annotations);
                let labels = labels.into_iter().map(|pair| (pair.name.into(), pair.value.into())).collect();
                (name, Action::Record { labels })
            }
            (None, Some((name, _))) => {
                let labels = self.templates("label", labels);
                let annotations = self.templates("annotation", annotations);
                (name, Action::Alert(Box::new(AlertSpec { hold, keep_firing, labels, annotations })))
            }
        };
        let (expr, query) = query?;
        (self.faults.len() == before).then(|| RuleSpec {
            name: name.into(),
            line: node.place.line,
            expr,
            query,
            action,
        })
    }

    fn query(&mut self, fields: &Fields<'_>) -> Option<(Arc<str>, Query)> {
        let Some((text, place)) = fields.text("expr") else {
            self.fault(fields.place("expr"), "field 'expr' must be set in rule");
            return None;
        };
        let query = Query::parse(text).map_err(|error| self.fault(place, format!("expr: {error}"))).ok()?;
        Some((text.into(), query))
    }

    /// What a recording rule must not have, and what its name must be.
    fn record(
        &mut self,
        name: &str,
        place: Place,
        fields: &Fields<'_>,
        spans: [i64; 2],
        annotations: &[Pair<'_>],
    ) {
        if !annotations.is_empty() {
            self.fault(
                fields.place("annotations"),
                "invalid field 'annotations' in recording rule; only alerts have them",
            );
        }
        for (key, span) in ["for", "keep_firing_for"].into_iter().zip(spans) {
            if span != 0 {
                self.fault(
                    fields.place(key),
                    format!("invalid field '{key}' in recording rule; only alerts wait"),
                );
            }
        }
        if !is_metric_name(name) {
            let what = format!(
                "invalid recording rule name: {name:?}; letters, digits, `_` and `:` make one, and no digit begins it"
            );
            self.fault(place, what);
        }
    }

    /// The pairs of `labels` or `annotations`, sorted by name.
    fn texts<'a>(&mut self, fields: &Fields<'a>, key: &str) -> Vec<Pair<'a>> {
        let Some(node) = fields.node(key).filter(|node| !node.is_null()) else { return Vec::new() };
        let Value::Mapping(pairs) = &node.value else {
            self.fault(
                node.place,
                format!("{key} must be a mapping of names to texts, and is {}", node.kind()),
            );
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let Some(text) = value.scalar() else {
                self.fault(value.place, format!("{key}: a value must be a text, and is {}", value.kind()));
                continue;
            };
            texts.push(Pair {
                name: name.scalar().unwrap_or_default(),
                name_at: name.place,
                value: text,
                value_at: value.place,
            });
        }
        texts.sort_by_key(|text| text.name);
        texts
    }

    fn label_names(&mut self, labels: &[Pair<'_>], annotations: &[Pair<'_>]) {
        for label in labels {
            if label.name == METRIC_NAME {
                self.fault(
                    label.name_at,
                    "invalid label name: \"__name__\"; a rule's own name is the metric's",
                );
            } else if !is_label_name(label.name) {
                self.fault(label.name_at, format!("invalid label name: {:?}; {LABEL_NAME}", label.name));
            }
        }
        for annotation in annotations {
            if !is_label_name(annotation.name) {
                self.fault(
                    annotation.name_at,
                    format!("invalid annotation name: {:?}; {LABEL_NAME}", annotation.name),
                );
            }
        }
    }

    fn templates(&mut self, kind: &str, texts: Vec<Pair<'_>>) -> Vec<(Arc<str>, Template)> {
        let mut templates = Vec::with_capacity(texts.len());
        for text in texts {
            match Template::parse(text.value) {
                Ok(template) => templates.push((text.name.into(), template)),
                Err(error) => self.fault(text.value_at, format!("{kind} {:?}: {error}", text.name)),
            }
        }
        templates
    }
}

/// What a group or rule calls itself, and by which key: a fault in it is told with its name, even when it is of no use beyond that.
fn named<'a>(node: &'a Node, keys: &[&str]) -> Option<(&'a str, &'a str)> {
    let Value::Mapping(pairs) = &node.value else { return None };
    let mut texts = pairs.iter().filter_map(|(key, value)| Some((key.scalar()?, value.scalar()?)));
    texts.find(|(key, name)| keys.contains(key) && !name.is_empty())
}

/// One label or annotation as it stands in the file.
struct Pair<'a> {
    name: &'a str,
    name_at: Place,
    value: &'a str,
    value_at: Place,
}

const LABEL_NAME: &str = "letters, digits and `_` make one, and no digit begins it";
