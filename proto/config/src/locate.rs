//! From a place in the text to its key, and back.
//!
//! The deserialiser knows offsets only; people know keys and lines. A second walk over the parsed text joins them, and
//! only when something is wrong.

use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// The keys of a text with their offsets.
pub(crate) struct Map<'t> {
    root: Spanned<DeTable<'t>>,
}

/// What stands at an offset.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The keys that lead there, the outermost first; positions in lists are left out.
    pub(crate) keys: Vec<String>,
    /// Whether the innermost table is an element of a list.
    pub(crate) in_list: bool,
}

impl<'t> Map<'t> {
    /// `None` for a text that is not TOML.
    pub(crate) fn of(text: &'t str) -> Option<Self> {
        DeTable::parse(text).ok().map(|root| Self { root })
    }

    /// What stands at `span`: the narrowest key or value that covers it, and of equally narrow ones the innermost.
    pub(crate) fn place(&self, span: &Range<usize>) -> Option<Place> {
        let mut search = Search { span, keys: Vec::new(), best: None };
        search.table(self.root.get_ref(), false);
        search.best.map(|(_, place)| place)
    }

    /// The offset of the value at `keys`, or of the innermost table on the way there; `None` at the top level.
    pub(crate) fn find(&self, keys: &[&str]) -> Option<usize> {
        let mut table = Some(self.root.get_ref());
        let mut list: Option<&DeArray<'_>> = None;
        let mut found = None;
        for word in keys {
            let (offset, value) =
                if let Some((key, value)) = table.and_then(|table| table.get_key_value(*word)) {
                    (key.span().start, value)
                } else if let Some(value) =
                    list.zip(word.parse::<usize>().ok()).and_then(|(list, at)| list.get(at))
                {
                    (value.span().start, value)
                } else {
                    break;
                };
            found = Some(offset);
            table = value.get_ref().as_table();
            list = value.get_ref().as_array();
        }
        found
    }
}

struct Search<'s> {
    span: &'s Range<usize>,
    keys: Vec<String>,
    best: Option<(usize, Place)>,
}

impl Search<'_> {
    fn table(&mut self, table: &DeTable<'_>, in_list: bool) {
        for (key, value) in table {
            self.keys.push(key.get_ref().clone().into_owned());
            self.offer(&key.span(), in_list);
            self.value(value, in_list);
            self.keys.pop();
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, in_list: bool) {
        match value.get_ref() {
            DeValue::Table(table) => {
                self.offer(&value.span(), in_list);
                self.table(table, false);
            }
            DeValue::Array(list) => {
                self.offer(&value.span(), in_list);
                for one in list {
                    if let DeValue::Table(table) = one.get_ref() {
                        self.offer(&one.span(), true);
                        self.table(table, true);
                    } else {
                        self.value(one, true);
                    }
                }
            }
            _ => self.offer(&value.span(), in_list),
        }
    }

    fn offer(&mut self, span: &Range<usize>, in_list: bool) {
        let covers = span.start <= self.span.start && self.span.end <= span.end;
        if covers && self.best.as_ref().is_none_or(|(len, _)| span.len() <= *len) {
            self.best = Some((span.len(), Place { keys: self.keys.clone(), in_list }));
        }
    }
}

/// The number of the line at `offset`, from 1.
pub(crate) fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
