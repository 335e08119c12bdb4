//! Names of keys: `probe.ping.hub.every`. An element of a list of tables goes by its own name.

use std::fmt;

/// The way to a key, the outermost first.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeyPath(pub(crate) Vec<String>);

impl KeyPath {
    /// Reads `probe.ping."a.b"`; none, if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = Vec::new();
        let mut rest = text.trim();
        loop {
            let word;
            if let Some(quoted) = rest.strip_prefix('"') {
                let (inside, after) = quoted.split_once('"')?;
                (word, rest) = (inside, after);
            } else {
                let end = rest.find('.').unwrap_or(rest.len());
                let (bare, after) = rest.split_at_checked(end)?;
                if bare.is_empty() || !bare.chars().all(is_bare) {
                    return None;
                }
                (word, rest) = (bare, after);
            }
            words.push(word.to_owned());
            if rest.is_empty() {
                return Some(Self(words));
            }
            rest = rest.strip_prefix('.')?;
        }
    }

    /// Whether this is `other`, or a table that has it.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    pub(crate) fn then(&self, word: &str) -> Self {
        let mut words = self.0.clone();
        words.push(word.to_owned());
        Self(words)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            write!(f, "{dot}{}", Key(word))?;
        }
        Ok(())
    }
}

/// A key as TOML writes it.
pub(crate) struct Key<'k>(pub(crate) &'k str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && self.0.chars().all(is_bare) {
            f.write_str(self.0)
        } else {
            Quoted(self.0).fmt(f)
        }
    }
}

/// A text as TOML writes it, on one line.
pub(crate) struct Quoted<'t>(pub(crate) &'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

const fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_it_is_read() {
        for text in ["tick", "probe.ping.hub.every", "probe.http.\"a.b c\".url"] {
            assert_eq!(KeyPath::parse(text).expect("a path").to_string(), text);
        }
        for text in ["", ".", "a.", ".a", "a..b", "a b", "\"a", "\"a\"b", "a = 1"] {
            assert_eq!(KeyPath::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_table_covers_what_is_in_it() {
        let path = |text| KeyPath::parse(text).expect("a path");
        assert!(path("probe.ping").covers(&path("probe.ping.hub")));
        assert!(path("probe.ping").covers(&path("probe.ping")));
        assert!(!path("probe.ping").covers(&path("probe.pin")));
        assert!(!path("probe.ping").covers(&path("probe")));
    }
}
