//! The roll: how every certificate stands, in memory, for the listener, which asks it at each handshake and whenever it has changed.
//!
//! It is a copy of `identity.db` and nothing is decided here but one thing: a certificate of our authority that the file does not know. Such a one was
//! issued after the backup that a hub was restored from. It is good if it is newer than what the file knows of its name, and of another box if it
//! is older.

use crate::certificate::{Credential, Serial};
use crate::store::{End, Identity};
use rackside_proto::AgentName;
use std::collections::{BTreeSet, HashMap};

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Good.
    Good,
    /// Good, and not in the file yet.
    New,
    /// Too old.
    Expired,
    /// Ended before its time.
    Ended(End),
}

impl Standing {
    /// Whether whoever shows it is let in.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Good | Self::New)
    }

    /// In one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good | Self::New => "good",
            Self::Expired => "expired",
            Self::Ended(end) => end.as_str(),
        }
    }
}

/// Every certificate that the file knows.
#[derive(Debug, Default)]
pub struct Roll {
    names: HashMap<AgentName, Vec<(Serial, Option<End>)>>,
    retired: BTreeSet<AgentName>,
    /// When another box took a name's place last.
    replaced: HashMap<AgentName, i64>,
}

impl Roll {
    /// Of what the file holds.
    pub fn new(identities: &[Identity], retired: BTreeSet<AgentName>) -> Self {
        let mut names: HashMap<AgentName, Vec<_>> = HashMap::new();
        let mut replaced: HashMap<AgentName, i64> = HashMap::new();
        for identity in identities {
            if let Some((End::Replaced, at)) = identity.end {
                let last = replaced.entry(identity.name.clone()).or_insert(at);
                *last = at.max(*last);
            }
            names
                .entry(identity.name.clone())
                .or_default()
                .push((identity.serial, identity.end.map(|(end, _)| end)));
        }
        Self { names, retired, replaced }
    }

    /// How a certificate stands that our authority has signed.
    pub fn standing(&self, credential: &Credential, now: i64) -> Standing {
        let known = self.names.get(&credential.name).map_or(&[][..], Vec::as_slice);
        let serial = credential.serial;
        match known.iter().find(|(known, _)| *known == serial) {
            Some((_, Some(end))) => Standing::Ended(*end),
            _ if serial.expires_at() <= now => Standing::Expired,
            Some((_, None)) => Standing::Good,
            None if known.iter().all(|(known, _)| *known < serial) => Standing::New,
            None => Standing::Ended(End::Replaced),
        }
    }

    /// Whether this name has joined and not been taken away: then nobody else speaks for it.
    pub fn is_joined(&self, name: &AgentName) -> bool {
        self.names.get(name).is_some_and(|known| known.iter().any(|(_, end)| end.is_none()))
    }

    /// Whether this name was taken out of service, and has not joined again.
    pub fn is_retired(&self, name: &AgentName) -> bool {
        self.retired.contains(name)
    }

    /// When the box that has this name now took the place of another one, if it did.
    pub fn replaced_at(&self, name: &AgentName) -> Option<i64> {
        self.replaced.get(name).copied().filter(|_| self.is_joined(name))
    }

    /// How many names have joined.
    pub fn joined(&self) -> usize {
        self.names.values().filter(|known| known.iter().any(|(_, end)| end.is_none())).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LIFE;

    const NOW: i64 = 1_795_219_200_000;

    fn name(appliance: &str) -> AgentName {
        AgentName::new("hall", appliance).expect("a name")
    }

    fn identity(serial: Serial, end: Option<End>) -> Identity {
        Identity {
            name: name("rack-1"),
            serial,
            end: end.map(|end| (end, NOW)),
            seen_at: None,
            turned_away_at: None,
        }
    }

    #[test]
    fn what_the_file_knows_stands_as_it_says() {
        let [old, current, renewed] = [1, 2, 3].map(|n| Serial::new(NOW + n));
        let roll = Roll::new(
            &[
                identity(old, Some(End::Replaced)),
                identity(current, Some(End::Renewed)),
                identity(renewed, None),
            ],
            BTreeSet::new(),
        );
        let standing = |serial, now| roll.standing(&Credential { name: name("rack-1"), serial }, now);
        assert_eq!(standing(old, NOW), Standing::Ended(End::Replaced));
        assert_eq!(standing(current, NOW), Standing::Ended(End::Renewed));
        assert_eq!(standing(renewed, NOW + LIFE + 2), Standing::Good);
        assert_eq!(standing(renewed, NOW + LIFE + 3), Standing::Expired);
        assert_eq!(roll.replaced_at(&name("rack-1")), Some(NOW));
        assert!(roll.is_joined(&name("rack-1")) && !roll.is_joined(&name("rack-2")) && roll.joined() == 1);
        assert!(!Roll::new(&[identity(old, Some(End::Retired))], BTreeSet::new()).is_joined(&name("rack-1")));
    }

    #[test]
    fn what_was_issued_after_the_backup_is_good_and_what_was_before_is_another_box() {
        let [before, known, after] = [1, 2, 3].map(|n| Serial::new(NOW + n));
        let standing = |end, serial| {
            let roll = Roll::new(&[identity(known, end)], BTreeSet::new());
            roll.standing(&Credential { name: name("rack-1"), serial }, NOW)
        };
        for end in [None, Some(End::Revoked)] {
            assert_eq!(standing(end, after), Standing::New);
            assert_eq!(standing(end, before), Standing::Ended(End::Replaced));
        }
        assert_eq!(
            Roll::default().standing(&Credential { name: name("x"), serial: before }, NOW),
            Standing::New
        );
    }
}
