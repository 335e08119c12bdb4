//! What there is to say of each name that has joined or is to: for the command line, the page and the API.
//!
//! ```text
//! arena-north/rack-1   joined 2026-11-21, until 2027-02-19   seen today   a code waits   the old box came yesterday
//! ```

use rackside_identity::{Serial, Store, StoreError};
use rackside_proto::AgentName;
use std::collections::BTreeMap;

/// A name.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Which.
    pub(crate) name: AgentName,
    /// How its box stands; none, where no box has joined yet.
    pub(crate) joined: Option<Joined>,
    /// A code that was not used yet: since when there is one, and until when it is good.
    pub(crate) waiting: Option<(i64, i64)>,
    /// Since when it is retired.
    pub(crate) retired_at: Option<i64>,
    /// When the box was seen last, to the hour.
    pub(crate) seen_at: Option<i64>,
    /// When a box came last that has the name no more, while another one has it; to the hour.
    pub(crate) old_came_at: Option<i64>,
    /// How often other boxes came with codes of it that were used.
    pub(crate) tries: i64,
}

impl Listed {
    /// Nothing is known of it but its name.
    pub(crate) const fn nothing(name: AgentName) -> Self {
        Self {
            name,
            joined: None,
            waiting: None,
            retired_at: None,
            seen_at: None,
            old_came_at: None,
            tries: 0,
        }
    }

    /// In a word or two.
    pub(crate) fn state(&self) -> &'static str {
        match (&self.joined, self.retired_at, self.waiting) {
            (_, Some(_), _) => "retired",
            (Some(joined), None, _) => joined.state,
            (None, None, Some(_)) => "waiting",
            (None, None, None) => "no certificate",
        }
    }
}

/// How a box stands.
#[derive(Debug)]
pub(crate) struct Joined {
    /// `joined`, `expired`, `revoked`, `retired`, `replaced`, `renewed`.
    pub(crate) state: &'static str,
    /// When its certificate was issued.
    pub(crate) since: i64,
    /// Until when that is good, or when it ended.
    pub(crate) until: i64,
}

/// Every name, in order.
pub(crate) fn listed(store: &Store, now: i64) -> Result<Vec<Listed>, StoreError> {
    let mut names: BTreeMap<AgentName, Listed> = BTreeMap::new();
    for one in store.summaries()? {
        let until = Serial::expires_at(one.newest);
        let (state, until) = match one.end {
            Some((end, at)) => (end.as_str(), at),
            None if until <= now => ("expired", until),
            None => ("joined", until),
        };
        let listed = Listed {
            joined: Some(Joined { state, since: one.newest.issued_at(), until }),
            seen_at: one.seen_at,
            old_came_at: one.turned_away_at.filter(|_| one.end.is_none()),
            ..Listed::nothing(one.name.clone())
        };
        names.insert(one.name, listed);
    }
    for code in store.codes()? {
        let is_open = code.is_open(now);
        if !is_open && code.tries == 0 {
            continue;
        }
        let listed = names.entry(code.name.clone()).or_insert_with(|| Listed::nothing(code.name.clone()));
        if is_open {
            listed.waiting = Some((code.made_at, code.expires_at));
        }
        listed.tries += code.tries;
    }
    for (name, at) in store.retired()? {
        names.entry(name.clone()).or_insert_with(|| Listed::nothing(name)).retired_at = Some(at);
    }
    Ok(names.into_values().collect())
}
