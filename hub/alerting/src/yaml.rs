//! A YAML document as a tree in which every node knows its line. Not a mapping onto types: `file/read.rs` does that for rule files.
//!
//! The events come from the crate saphyr-parser; the tree is our own, because only so every node has a place, a key that is given twice is an
//! error, and what aliases unfold to is bounded: an alias shares the node of its anchor, and the size of a document is counted as if it
//! were unfolded. Only the first document is read, as Prometheus does. Tags say nothing here: whoever reads a scalar knows what it must be.
//!
//! Sample: `for: 5m # half a show` is the pair `for` (1:1), `Value::Scalar { text: "5m", plain: true }` (1:6).

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

/// Longest text in bytes; a thousand rules with long annotations are a few hundred KiB.
const LONGEST: usize = 4 << 20;
/// Deepest nesting; a rule's label is at 6.
const DEEPEST: usize = 32;
/// Most nodes, each alias counted with all that it stands for.
const MOST_NODES: usize = 500_000;

/// Where something stands in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// What stands there.
#[derive(Clone, Debug)]
pub enum Value {
    /// A text, a number, a nothing: what it is, only its reader knows.
    Scalar {
        /// Its text, without quotes and folding.
        text: String,
        /// Whether it stood there without quotes.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Arc<Node>>),
    /// Pairs in the order of the text; no key twice.
    Mapping(Vec<(Arc<Node>, Arc<Node>)>),
}

/// A part of a document.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
    size: usize,
}

impl Node {
    /// The text of a scalar; nothing, for null, is empty.
    pub fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => Some(""),
            Value::Scalar { text, .. } => Some(text),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Whether nothing stands there: `key:` and `key: null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for a person.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

/// What is wrong with a text as YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// Where.
    pub place: Place,
    /// What, and what to do.
    pub what: String,
}

/// A text that was read.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The tree; none, if there is nothing but comments.
    pub root: Option<Arc<Node>>,
    /// Where a further document begins, which nobody reads.
    pub more: Option<Place>,
}

/// Reads the first document of `text`.
pub fn read(text: &str) -> Result<Document, Vec<YamlError>> {
    if text.len() > LONGEST {
        let what =
            format!("the file has {} bytes, and may have {LONGEST}; split it into several", text.len());
        return Err(vec![YamlError { place: Place { line: 1, column: 1 }, what }]);
    }
    let mut tree = Tree::default();
    let mut document = Document::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            // What follows the first document is not read, and so cannot be wrong.
            Err(_) if tree.done => break,
            Err(error) => return Err(tree.with(unreadable(&error))),
        };
        if tree.done && matches!(event, Event::DocumentStart(_)) {
            document.more = Some(place(span));
            break;
        }
        tree.take(event, place(span)).map_err(|error| tree.with(error))?;
    }
    if tree.wrong.is_empty() {
        document.root = tree.root;
        Ok(document)
    } else {
        Err(tree.wrong)
    }
}

fn place(span: Span) -> Place {
    Place { line: span.start.line(), column: span.start.col() + 1 }
}

fn unreadable(error: &ScanError) -> YamlError {
    let place = Place { line: error.marker().line(), column: error.marker().col() + 1 };
    YamlError { place, what: format!("not YAML: {}", error.info()) }
}

/// What is open while events come in.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    anchors: HashMap<usize, Arc<Node>>,
    root: Option<Arc<Node>>,
    nodes: usize,
    done: bool,
    /// Faults that do not keep the rest from being read.
    wrong: Vec<YamlError>,
}

struct Open {
    place: Place,
    anchor: usize,
    mapping: bool,
    children: Vec<Arc<Node>>,
}

impl Tree {
    fn with(&self, last: YamlError) -> Vec<YamlError> {
        let mut wrong = self.wrong.clone();
        wrong.push(last);
        wrong
    }

    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.close(Node { place, value, size: 1 }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(place, anchor, false),
            Event::MappingStart(anchor, _) => self.begin(place, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let size = open.children.iter().fold(1, |sum: usize, child| sum.saturating_add(child.size));
                let value =
                    if open.mapping { self.mapping(open.children) } else { Value::Sequence(open.children) };
                self.close(Node { place: open.place, value, size }, open.anchor)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.count(node.size, place)?;
                    self.put(node);
                    Ok(())
                }
                None => Err(YamlError {
                    place,
                    what: "an alias within its own anchor; write the part out".to_owned(),
                }),
            },
            Event::DocumentEnd => {
                self.done = true;
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => Ok(()),
        }
    }

    fn begin(&mut self, place: Place, anchor: usize, mapping: bool) -> Result<(), YamlError> {
        if self.open.len() >= DEEPEST {
            return Err(YamlError { place, what: format!("nested more than {DEEPEST} deep") });
        }
        self.open.push(Open { place, anchor, mapping, children: Vec::new() });
        Ok(())
    }

    /// Nothing is put together before it is counted, so aliases cannot make more of a text than it may be.
    fn count(&mut self, size: usize, place: Place) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(size);
        if self.nodes > MOST_NODES {
            let what = format!(
                "more than {MOST_NODES} parts, aliases unfolded; split the file, or write fewer aliases"
            );
            return Err(YamlError { place, what });
        }
        Ok(())
    }

    fn close(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        self.count(1, node.place)?;
        let node = Arc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        self.put(node);
        Ok(())
    }

    fn put(&mut self, node: Arc<Node>) {
        match self.open.last_mut() {
            Some(open) => open.children.push(node),
            None => self.root = Some(node),
        }
    }

    /// Keys and values, as they came in turn. `<<` takes over the pairs of other mappings that are not given here.
    fn mapping(&mut self, children: Vec<Arc<Node>>) -> Value {
        let mut pairs: Vec<(Arc<Node>, Arc<Node>)> = Vec::with_capacity(children.len() / 2);
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut merged = Vec::new();
        let mut children = children.into_iter();
        while let (Some(key), Some(value)) = (children.next(), children.next()) {
            if matches!(&key.value, Value::Scalar { text, plain: true } if text == "<<") {
                merged.push(value);
                continue;
            }
            let Some(name) = key.scalar() else {
                let what = format!("a key is {}, and must be a text", key.kind());
                self.wrong.push(YamlError { place: key.place, what });
                continue;
            };
            if let Some(line) = known.insert(name.to_owned(), key.place.line) {
                let what = format!("{name:?} is given twice, first in line {line}; remove one");
                self.wrong.push(YamlError { place: key.place, what });
                continue;
            }
            pairs.push((key, value));
        }
        for value in merged {
            self.merge(&value, &mut pairs, &mut known);
        }
        Value::Mapping(pairs)
    }

    fn merge(
        &mut self,
        from: &Arc<Node>,
        pairs: &mut Vec<(Arc<Node>, Arc<Node>)>,
        known: &mut HashMap<String, usize>,
    ) {
        let mappings = match &from.value {
            Value::Sequence(list) => list.as_slice(),
            _ => std::slice::from_ref(from),
        };
        for mapping in mappings {
            let Value::Mapping(theirs) = &mapping.value else {
                let what = "`<<` takes a mapping or a list of mappings".to_owned();
                self.wrong.push(YamlError { place: mapping.place, what });
                continue;
            };
            for (key, value) in theirs {
                let name = key.scalar().unwrap_or_default();
                if !known.contains_key(name) {
                    known.insert(name.to_owned(), key.place.line);
                    pairs.push((Arc::clone(key), Arc::clone(value)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let document = read(text).expect("good");
        let Value::Mapping(pairs) = &document.root.expect("a document").value else { panic!("no mapping") };
        let text = |node: &Node| node.scalar().unwrap_or("(no text)").to_owned();
        pairs.iter().map(|(key, value)| (text(key), text(value))).collect()
    }

    fn complaint(text: &str) -> String {
        let wrong = read(text).expect_err("bad");
        wrong
            .iter()
            .map(|e| format!("{}:{} {}", e.place.line, e.place.column, e.what))
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn every_node_knows_its_line_and_column() {
        let document = read("# first\na:\n  - b: 1\n    c: >\n      long\n      text\n").expect("good");
        let Value::Mapping(root) = &document.root.expect("a document").value else { panic!("no mapping") };
        let Value::Sequence(list) = &root[0].1.value else { panic!("no list") };
        let Value::Mapping(inner) = &list[0].value else { panic!("no mapping") };
        assert_eq!(
            (root[0].0.place, inner[1].0.place),
            (Place { line: 2, column: 1 }, Place { line: 4, column: 5 })
        );
        assert_eq!(inner[1].1.scalar(), Some("long text\n"));
    }

    #[test]
    fn nothing_is_null_unless_quoted() {
        assert_eq!(
            pairs("a:\nb: ~\nc: 'null'\nd: null"),
            [("a", ""), ("b", ""), ("c", "null"), ("d", "")].map(|(k, v)| (k.into(), v.into()))
        );
    }

    #[test]
    fn a_key_given_twice_is_an_error_and_the_rest_is_read() {
        assert_eq!(
            complaint("a: 1\na: 2\nb: 3\nb: 4"),
            r#"2:1 "a" is given twice, first in line 1; remove one; 4:1 "b" is given twice, first in line 3; remove one"#
        );
    }

    #[test]
    fn a_merge_takes_what_is_not_given() {
        let text = "x: &x {a: 1, b: 2}\ny: {b: 3, <<: *x}";
        let document = read(text).expect("good");
        let Value::Mapping(root) = &document.root.expect("a document").value else { panic!("no mapping") };
        let Value::Mapping(y) = &root[1].1.value else { panic!("no mapping") };
        let seen: Vec<_> = y.iter().map(|(k, v)| (k.scalar(), v.scalar())).collect();
        assert_eq!(seen, [(Some("b"), Some("3")), (Some("a"), Some("1"))]);
    }

    #[test]
    fn a_billion_laughs_is_one_line() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            writeln!(text, "a{level}: &a{level} [{before}]").expect("a string takes all");
        }
        assert!(complaint(&text).contains("aliases unfolded"), "{}", complaint(&text));
    }

    #[test]
    fn nesting_and_length_are_bounded() {
        assert!(complaint(&"[".repeat(100)).contains("nested more than"));
        assert!(complaint(&"a: b\n".repeat(1 << 20)).contains("split it"));
    }

    #[test]
    fn a_second_document_is_told_of_and_not_read() {
        let document = read("a: 1\n---\na: [\n").expect("good");
        assert_eq!(document.more.map(|place| place.line), Some(2));
        assert!(read("# nothing\n").expect("good").root.is_none());
    }
}
