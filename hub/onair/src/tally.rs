//! What one program tally says, and what is made of its silence.
//!
//! A tally that ends is believed after the site's hold. One that falls silent while it is on is not believed to have ended: a switcher
//! that dies, a cable that is pulled and a contact that chatters look the same from here, and the show goes on.
//!
//! ```text
//! on → off            ends after the hold
//! on → unknown        lost: holds until the show's end
//! on → off → unknown  lost as well, if that took less than ten seconds: something was on its way down
//! ```

use crate::kept::KeptTally;

/// An end that silence follows within this is part of the silence.
const SETTLES: i64 = 10_000;

/// What a tally says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It is on.
    On,
    /// It is off.
    Off,
    /// Nobody can tell.
    Unknown,
}

/// What an appliance that is heard says of its program tallies; one that it does not list exists no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The appliance.
    pub appliance: Box<str>,
    /// Its program tallies by name.
    pub tallies: Vec<(Box<str>, Word)>,
}

/// What is known of a tally. Moments are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tally {
    /// It is on.
    On,
    /// It is off; if it was on before, since when.
    Off { ended: Option<i64> },
    /// It fell silent while it was on.
    Lost { at: i64 },
    /// It is silent, and was not on.
    Unknown { since: i64 },
}

impl Tally {
    /// One that was never heard of.
    pub(crate) const fn new(now: i64) -> Self {
        Self::Unknown { since: now }
    }

    /// It says `word` now. `held` says whether it holds the site on air up to now.
    pub(crate) fn says(self, word: Word, held: bool, now: i64) -> Self {
        match (word, self) {
            (Word::On, _) => Self::On,
            (Word::Off, Self::On) => Self::Off { ended: Some(now) },
            (Word::Off, Self::Lost { .. }) => Self::Off { ended: held.then_some(now) },
            (Word::Off, Self::Off { ended }) => Self::Off { ended: ended.filter(|_| held) },
            (Word::Off, Self::Unknown { .. }) => Self::Off { ended: None },
            (Word::Unknown, Self::On) => Self::Lost { at: now },
            (Word::Unknown, Self::Off { ended: Some(at) }) if now - at < SETTLES => Self::Lost { at },
            // Its hold goes on, whoever falls silent in it: the crew that switches off the rack after the show.
            (Word::Unknown, Self::Off { ended: Some(_) }) if held => self,
            (Word::Unknown, Self::Off { .. }) => Self::Unknown { since: now },
            (Word::Unknown, Self::Lost { .. } | Self::Unknown { .. }) => self,
        }
    }

    /// The same, with nothing in it later than `now`: clocks are set back at times.
    pub(crate) fn not_after(self, now: i64) -> Self {
        match self {
            Self::Off { ended: Some(at) } => Self::Off { ended: Some(at.min(now)) },
            Self::Lost { at } => Self::Lost { at: at.min(now) },
            Self::Unknown { since } => Self::Unknown { since: since.min(now) },
            Self::On | Self::Off { ended: None } => self,
        }
    }

    /// The same without what it holds.
    pub(crate) const fn let_go(self, now: i64) -> Self {
        match self {
            Self::Off { .. } => Self::Off { ended: None },
            Self::Lost { .. } => Self::Unknown { since: now },
            Self::On | Self::Unknown { .. } => self,
        }
    }

    /// What of it outlives the hub.
    pub(crate) const fn kept(self) -> Option<KeptTally> {
        match self {
            Self::On => Some(KeptTally::On),
            Self::Off { ended: Some(at) } => Some(KeptTally::Ended(at)),
            Self::Lost { at } => Some(KeptTally::Lost(at)),
            Self::Off { ended: None } | Self::Unknown { .. } => None,
        }
    }

    /// What it is for a hub that starts; what was on when the one before was seen last, is lost since then.
    pub(crate) const fn resumed(kept: KeptTally, saved: i64) -> Self {
        match kept {
            KeptTally::On => Self::Lost { at: saved },
            KeptTally::Ended(at) => Self::Off { ended: Some(at) },
            KeptTally::Lost(at) => Self::Lost { at },
        }
    }
}
