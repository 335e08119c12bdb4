//! What paths are called: aliases of the configuration. The names themselves are stream keys as often as not.
//!
//! `Debug` shows a digest of each, so that a changed key is a changed configuration, and no key. An alias that is no text is kept for
//! the check to object to: the error of a reader would show the key.
//!
//! ```toml
//! paths = { "live/abcd-efgh-1234" = "main" }
//! ```

use crate::probe::{loose, mask};
use serde::Deserialize;
use serde::de::Deserializer;
use std::collections::BTreeMap;
use std::fmt;

/// Names, and what each is called.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Aliases(BTreeMap<String, Alias>);

/// What a path is called, if it is called something.
#[derive(Clone, PartialEq, Eq)]
struct Alias(Option<String>);

impl<'de> Deserialize<'de> for Alias {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        loose::read(from).map(Self)
    }
}

impl Aliases {
    /// A path's alias.
    pub(super) fn of(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.0.as_deref()
    }

    /// The names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The aliases.
    pub(super) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.0.values().filter_map(|alias| alias.0.as_deref())
    }

    /// Whether there is one that is no text.
    pub(super) fn has_other(&self) -> bool {
        self.0.values().any(|alias| alias.0.is_none())
    }
}

impl fmt::Debug for Aliases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, alias)| (mask::name(name), &alias.0))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_key_is_seen_and_not_shown() {
        let shown = |key: &str| {
            let aliases = Aliases([(key.to_owned(), Alias(Some("main".to_owned())))].into());
            format!("{aliases:?}")
        };
        assert!(!shown("abcd-efgh-1234").contains("efgh"));
        assert!(shown("abcd-efgh-1234").contains("main"));
        assert_ne!(shown("abcd-efgh-1234"), shown("abcd-efgh-1235"));
    }
}
