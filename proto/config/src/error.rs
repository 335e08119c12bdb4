//! The one line that says what is wrong with a configuration.
//!
//! serde's own messages ("unknown field", "invalid type") are turned into the words of somebody who edits a file. The
//! tests of `lib.rs` hold each of them to the letter.

use crate::locate::{Map, line};
use crate::near::nearest;
use std::fmt;
use std::io;
use std::path::Path;

/// What is wrong with a configuration or a secret: `file`, line where there is one, message. Displays as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: String,
    line: Option<usize>,
    message: String,
}

impl ConfigError {
    /// A program's own objection to the value of `key` (`mqtt.address`, `probe.0.every`) in `text`.
    ///
    /// A key that the text leaves out gets the line of the innermost of its tables that is there.
    pub fn at(text: &str, file: &str, key: &str, message: impl fmt::Display) -> Self {
        let words: Vec<&str> = key.split('.').collect();
        let shown: Vec<&str> = words.iter().copied().filter(|word| word.parse::<usize>().is_err()).collect();
        let line = Map::of(text).and_then(|map| map.find(&words)).map(|offset| line(text, offset));
        Self { file: file.to_owned(), line, message: format!("{}: {message}", shown.join(".")) }
    }

    /// An objection to a file as a whole.
    pub fn file(file: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { file: file.into(), line: None, message: message.to_string() }
    }

    /// A file that cannot be read, and why.
    pub fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::file(path.display().to_string(), format_args!("cannot be read: {error}"))
    }

    pub(crate) fn from_toml(text: &str, file: &str, error: &toml::de::Error) -> Self {
        // A key that is missing at the top level has an empty span, which the first key of the file would cover.
        let missing = error.message().starts_with("missing field");
        let span = error.span().filter(|span| !(missing && span.is_empty()));
        let place = span.clone().and_then(|span| Map::of(text)?.place(&span)).unwrap_or_default();
        let mut message = reworded(error.message(), &place.keys, place.in_list);
        if message == "duplicate key"
            && let Some(key) = span.clone().and_then(|span| text.get(span))
        {
            message = format!("duplicate key `{key}`");
        }
        // An error of the file as a whole (a key missing at the top level) has no line worth naming.
        let whole = place.keys.is_empty() && missing;
        let line = span.filter(|_| !whole).map(|span| line(text, span.start));
        Self { file: file.to_owned(), line, message }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

/// serde's `message` about the value or key at `keys`.
fn reworded(message: &str, keys: &[String], in_list: bool) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field `") {
        let key = names.next().unwrap_or_default();
        let table = match keys {
            // The span of an unknown key is that of the key itself.
            [table @ .., last] if last == key => table,
            _ => keys,
        };
        return format!(
            "unknown key `{key}`{}{}",
            inside(table, in_list),
            known(key, &names.collect::<Vec<_>>(), "keys")
        );
    }
    if message.starts_with("missing field `") {
        let table = if keys.is_empty() { String::new() } else { inside(keys, in_list) };
        return format!("`{}` is missing{table}", names.next().unwrap_or_default());
    }
    let told = if message.starts_with("unknown variant `") {
        let value = names.next().unwrap_or_default();
        format!("unknown value `{value}`{}", known(value, &names.collect::<Vec<_>>(), "values"))
    } else if let Some((found, expected)) = ["invalid type: ", "invalid value: "]
        .into_iter()
        .find_map(|start| message.strip_prefix(start)?.rsplit_once(", expected "))
    {
        format!("found {found}, expected {}", plainly(expected))
    } else {
        let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.join("; ")
    };
    if keys.is_empty() { told } else { format!("{}: {told}", keys.join(".")) }
}

fn inside(table: &[String], in_list: bool) -> String {
    match table.join(".") {
        name if name.is_empty() => " at the top level".to_owned(),
        name if in_list => format!(" in [[{name}]]"),
        name => format!(" in [{name}]"),
    }
}

fn known(word: &str, known: &[&str], what: &str) -> String {
    if known.is_empty() {
        return String::new();
    }
    let meant = nearest(word, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("{meant} (known {what}: {})", known.join(", "))
}

/// serde's names of types, for people.
fn plainly(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}
