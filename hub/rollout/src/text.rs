//! From a tree to the text that is sent, and from one of its lines to the file that says it.
//!
//! The same tree gives the same text: it is what decides whether an appliance has anything new to get.

use crate::path::Key;
use crate::tree::{Origin, Table, Value};
use std::fmt::Write as _;

/// A configuration that can be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// TOML, with a line end after each line.
    pub toml: String,
    /// Which source says what stands in a line; of the first line first.
    pub(crate) origins: Vec<Origin>,
}

impl Text {
    pub(crate) fn of(table: &Table) -> Self {
        let mut text = Self::default();
        text.table(table, "");
        text
    }

    fn line(&mut self, at: Origin, line: std::fmt::Arguments<'_>) {
        self.toml.write_fmt(line).expect("a String takes everything");
        self.toml.push('\n');
        self.origins.push(at);
    }

    /// First what is no table: in TOML it would belong to the table above it otherwise.
    fn table(&mut self, table: &Table, path: &str) {
        for (key, node) in &table.0 {
            if !matches!(node.value, Value::Table(_) | Value::Named(_)) {
                self.line(node.at, format_args!("{} = {}", Key(key), node.value));
            }
        }
        for (key, node) in &table.0 {
            let dot = if path.is_empty() { "" } else { "." };
            let path = format!("{path}{dot}{}", Key(key));
            match &node.value {
                Value::Table(inner) => {
                    let is_tables_alone = inner
                        .0
                        .iter()
                        .all(|(_, node)| matches!(node.value, Value::Table(_) | Value::Named(_)));
                    if !is_tables_alone || inner.0.is_empty() {
                        self.line(node.at, format_args!("[{path}]"));
                    }
                    self.table(inner, &path);
                }
                Value::Named(list) => {
                    for (_, one) in &list.0 {
                        self.line(one.at, format_args!("[[{path}]]"));
                        let Value::Table(inner) = &one.value else { continue };
                        for (key, node) in &inner.0 {
                            self.line(node.at, format_args!("{} = {}", Key(key), node.value));
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;
    use proptest::prelude::*;

    fn again(text: &str) -> String {
        Text::of(&tree::read(text, 0, "a.toml").expect("it is TOML")).toml
    }

    #[test]
    fn a_text_is_in_order_and_reads_as_it_was_written() {
        let text = "tick = '5s'\nlimits.warn = 1.5\n[mqtt]\nprefix = 'a'\n[probes]\nping = []\n[[probe.http]]\nname = 'a'\n\
                    password = { file = '/x' }\n[probe.http.json]\nfield = 'x'\n[[probe.ping]]\nname = \"b\\n\"\n[spool]\n";
        let expected = "tick = \"5s\"\n[limits]\nwarn = 1.5\n[mqtt]\nprefix = \"a\"\n[probes]\nping = []\n[[probe.http]]\nname = \"a\"\n\
                        password = { file = \"/x\" }\njson = { field = \"x\" }\n[[probe.ping]]\nname = \"b\\n\"\n[spool]\n";
        assert_eq!(again(text), expected);
        assert_eq!(again(expected), expected);
    }

    fn value() -> impl Strategy<Value = toml::Value> {
        let leaf = prop_oneof![
            "\\PC{0,8}".prop_map(toml::Value::String),
            any::<i64>().prop_map(toml::Value::Integer),
            any::<bool>().prop_map(toml::Value::Boolean),
            (-1e9..1e9).prop_map(toml::Value::Float),
            Just(toml::Value::String("a\"\\\n\r\t\u{1}\u{7f}".to_owned())),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(toml::Value::Array),
                prop::collection::btree_map("[a-c\\. \"]{0,3}|name", inner, 0..4)
                    .prop_map(|map| toml::Value::Table(map.into_iter().collect())),
            ]
        })
    }

    /// As TOML that is written by nobody of ours: everything inline.
    fn inline(value: &toml::Value) -> String {
        match value {
            toml::Value::String(text) => crate::path::Quoted(text).to_string(),
            toml::Value::Array(list) => {
                format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", "))
            }
            toml::Value::Table(table) => {
                let pair = |(key, value): (&String, &toml::Value)| {
                    format!("{} = {}", crate::path::Quoted(key), inline(value))
                };
                format!("{{{}}}", table.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
            toml::Value::Float(float) => format!("{float:?}"),
            toml::Value::Integer(integer) => integer.to_string(),
            toml::Value::Boolean(value) => value.to_string(),
            toml::Value::Datetime(moment) => moment.to_string(),
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_so_that_it_reads_the_same(root in prop::collection::btree_map("[a-z]{1,3}", value(), 0..6)) {
            let lines: Vec<String> = root.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            let text = lines.join("\n");
            if let Ok(tree) = tree::read(&text, 0, "a.toml") {
                let written = Text::of(&tree);
                let before: toml::Table = toml::from_str(&text).expect("it was read");
                let after: toml::Table = toml::from_str(&written.toml).map_err(|error| TestCaseError::fail(format!("{error}\n{}", written.toml)))?;
                prop_assert_eq!(before, after, "{}", written.toml);
                prop_assert_eq!(written.toml.lines().count(), written.origins.len());
            }
        }
    }
}
