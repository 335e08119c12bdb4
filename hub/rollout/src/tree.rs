//! A configuration as a tree whose every value knows the file and the line that it comes from.
//!
//! A list of tables that all have a `name` of their own (`[[probe.ping]]`) is a table by these names: so a layer can change one of them.
//! Order is kept as written.

use crate::error::Fault;
use crate::path::{Key, KeyPath, Quoted};
use std::fmt;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Deeper is nothing of the agent's.
const DEEPEST: usize = 12;

/// Where something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Which of the sources.
    pub(crate) file: usize,
    /// Its line, from 1.
    pub(crate) line: usize,
}

/// A value, and who says it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) at: Origin,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    /// A number, a date, true or false: as TOML writes it.
    Plain(String),
    /// Replaced as a whole.
    List(Vec<Node>),
    Table(Table),
    /// `[[probe.ping]]`: tables by their names.
    Named(Table),
}

/// Keys and values in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table(pub(crate) Vec<(String, Node)>);

impl Table {
    pub(crate) fn find(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    pub(crate) fn find_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.iter_mut().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }

    /// Takes out what is at a path, and tables that are empty for it; whether there was something.
    pub(crate) fn remove(&mut self, path: &[String]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        if rest.is_empty() {
            return self.take(first).is_some();
        }
        let Some(Node { value: Value::Table(inner) | Value::Named(inner), .. }) = self.find_mut(first) else {
            return false;
        };
        let removed = inner.remove(rest);
        if removed && inner.0.is_empty() {
            self.take(first);
        }
        removed
    }

    /// Every value that is no table, with its path.
    pub(crate) fn leaves(&self) -> Vec<(KeyPath, &Node)> {
        let mut found = Vec::new();
        self.gather(&KeyPath::default(), &mut found);
        found
    }

    fn gather<'t>(&'t self, path: &KeyPath, found: &mut Vec<(KeyPath, &'t Node)>) {
        for (key, node) in &self.0 {
            let here = path.then(key);
            match &node.value {
                Value::Table(inner) | Value::Named(inner) => inner.gather(&here, found),
                _ => found.push((here, node)),
            }
        }
    }
}

/// Reads a text; `file` is its place among the sources, `called` what it is called in an error.
pub(crate) fn read(text: &str, file: usize, called: &str) -> Result<Table, Fault> {
    // For its words and line, where the text is no TOML.
    rackside_config::parse::<toml::Table>(text, called).map_err(|error| Fault(error.to_string()))?;
    let root = DeTable::parse(text).map_err(|error| Fault(format!("{called}: {}", error.message())))?;
    let reader = Reader { text, file, called };
    reader.table(root.get_ref(), 0)
}

struct Reader<'t> {
    text: &'t str,
    file: usize,
    called: &'t str,
}

impl Reader<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let line = self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        Origin { file: self.file, line }
    }

    fn table(&self, table: &DeTable<'_>, depth: usize) -> Result<Table, Fault> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut read = Table::default();
        for (key, value) in entries {
            let at = self.origin(key.span().start);
            let value = self.value(value, at, depth + 1)?;
            read.0.push((key.get_ref().clone().into_owned(), Node { value, at }));
        }
        Ok(read)
    }

    fn value(&self, value: &Spanned<DeValue<'_>>, at: Origin, depth: usize) -> Result<Value, Fault> {
        if depth > DEEPEST {
            return Err(Fault(format!(
                "{}:{}: tables are nested deeper than {DEEPEST}",
                self.called, at.line
            )));
        }
        Ok(match value.get_ref() {
            DeValue::String(text) => Value::Text(text.clone().into_owned()),
            DeValue::Boolean(value) => Value::Plain(value.to_string()),
            DeValue::Integer(integer) => {
                let value = i64::from_str_radix(integer.as_str(), integer.radix());
                Value::Plain(value.map_or_else(|_| integer.to_string(), |value| value.to_string()))
            }
            DeValue::Float(float) => {
                let value = float.as_str().parse::<f64>();
                Value::Plain(value.map_or_else(|_| float.to_string(), |value| format!("{value:?}")))
            }
            DeValue::Datetime(moment) => Value::Plain(moment.to_string()),
            DeValue::Table(table) => Value::Table(self.table(table, depth)?),
            DeValue::Array(list) => {
                let mut nodes = Vec::new();
                for one in list {
                    let at = self.origin(one.span().start);
                    nodes.push(Node { value: self.value(one, at, depth + 1)?, at });
                }
                self.named(nodes)?
            }
        })
    }

    /// A list as a table by names, where all have one.
    fn named(&self, nodes: Vec<Node>) -> Result<Value, Fault> {
        let name = |node: &Node| match &node.value {
            Value::Table(table) => match table.find("name").map(|name| &name.value) {
                Some(Value::Text(name)) => Some(name.clone()),
                _ => None,
            },
            _ => None,
        };
        if nodes.is_empty() || nodes.iter().any(|node| name(node).is_none()) {
            return Ok(Value::List(nodes));
        }
        let mut table = Table::default();
        for node in nodes {
            let name = name(&node).unwrap_or_default();
            if let Some(other) = table.find(&name) {
                return Err(Fault(format!(
                    "{}:{}: there is one with the name {name:?} already, in line {}",
                    self.called, node.at.line, other.at.line
                )));
            }
            table.0.push((name, node));
        }
        Ok(Value::Named(table))
    }
}

impl fmt::Display for Value {
    /// On one line, as TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => Quoted(text).fmt(f),
            Self::Plain(plain) => f.write_str(plain),
            Self::List(list) => listed(f, list.iter()),
            Self::Named(table) => listed(f, table.0.iter().map(|(_, node)| node)),
            Self::Table(table) => {
                f.write_str("{")?;
                for (at, (key, node)) in table.0.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma} {} = {}", Key(key), node.value)?;
                }
                f.write_str(if table.0.is_empty() { "}" } else { " }" })
            }
        }
    }
}

fn listed<'n>(f: &mut fmt::Formatter<'_>, nodes: impl Iterator<Item = &'n Node>) -> fmt::Result {
    f.write_str("[")?;
    for (at, node) in nodes.enumerate() {
        write!(f, "{}{}", if at > 0 { ", " } else { "" }, node.value)?;
    }
    f.write_str("]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_have_their_names_and_lines() {
        let text = "tick = '5s'\n\n[[probe.ping]]\nname = 'hub'\nevery = '30s'\n[led]\npins = [1, 0x10]\n";
        let table = read(text, 3, "base.toml").expect("it is TOML");
        let leaves: Vec<_> = table
            .leaves()
            .iter()
            .map(|(path, node)| format!("{path} = {} ({}:{})", node.value, node.at.file, node.at.line))
            .collect();
        assert_eq!(
            leaves,
            [
                "tick = \"5s\" (3:1)",
                "probe.ping.hub.name = \"hub\" (3:4)",
                "probe.ping.hub.every = \"30s\" (3:5)",
                "led.pins = [1, 16] (3:7)"
            ]
        );
    }

    #[test]
    fn what_is_no_configuration_is_told_with_its_line() {
        let said = |text: &str| read(text, 0, "base.toml").expect_err("it is none").to_string();
        assert!(said("tick = \n").starts_with("base.toml:1: "), "{}", said("tick = \n"));
        let twice = "[[led]]\nname = 'a'\n[[led]]\nname = 'a'\n";
        assert_eq!(said(twice), "base.toml:3: there is one with the name \"a\" already, in line 1");
        let deep = format!("a{} = 1", ".a".repeat(14));
        assert_eq!(said(&deep), "base.toml:1: tables are nested deeper than 12");
    }

    #[test]
    fn an_empty_table_goes_with_its_last_key() {
        let mut table = read("[a.b]\nc = 1\n[d]\ne = 2\n", 0, "base.toml").expect("it is TOML");
        let path = |text| KeyPath::parse(text).expect("a path").0;
        assert!(table.remove(&path("a.b.c")));
        assert!(!table.remove(&path("a.b.c")));
        assert!(!table.remove(&path("d.e.f")));
        assert_eq!(table.leaves().len(), 1);
        assert!(table.find("a").is_none());
    }
}
