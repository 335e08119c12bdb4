//! What paths are called: aliases of the configuration. The names themselves are stream keys as often as not.
//!
//! `Debug` shows a digest of each, so that a changed key is a changed configuration, and no key.
//!
//! ```toml
//! paths = { "live/abcd-efgh-1234" = "main" }
//! ```

use crate::probe::mask;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// Names, and what each is called.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Aliases(BTreeMap<String, String>);

impl Aliases {
    /// A path's alias.
    pub(super) fn of(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The aliases.
    pub(super) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }
}

impl fmt::Debug for Aliases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, alias)| (mask::name(name), alias))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_key_is_seen_and_not_shown() {
        let shown = |key: &str| {
            let aliases = Aliases([(key.to_owned(), "main".to_owned())].into());
            format!("{aliases:?}")
        };
        assert!(!shown("abcd-efgh-1234").contains("efgh"));
        assert!(shown("abcd-efgh-1234").contains("main"));
        assert_ne!(shown("abcd-efgh-1234"), shown("abcd-efgh-1235"));
    }
}
