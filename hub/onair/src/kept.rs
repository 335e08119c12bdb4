//! What of a site outlives the hub: holds that run, tallies that were on, what was set by hand.
//!
//! ```json
//! {"saved":1795190400000,"tallies":[["rack-1","camera-1",{"ended":1795190395000}]],"by_hand":{"until":1795201200000}}
//! ```

use serde::{Deserialize, Serialize};

/// A site, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Kept {
    /// When it was, in milliseconds since 1970.
    pub(crate) saved: i64,
    /// Appliance, tally, and what it was.
    pub(crate) tallies: Vec<(Box<str>, Box<str>, KeptTally)>,
    /// Set by hand, and until when.
    pub(crate) by_hand: Option<ByHand>,
}

/// A tally that holds the site on air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeptTally {
    /// It was on.
    On,
    /// It had ended then.
    Ended(i64),
    /// It was lost then.
    Lost(i64),
}

/// On air because somebody said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ByHand {
    /// Until when; none: until somebody says otherwise.
    pub(crate) until: Option<i64>,
}

impl Kept {
    /// Whether there is nothing in it that a hub that starts anew would not know.
    pub fn is_empty(&self) -> bool {
        self.tallies.is_empty() && self.by_hand.is_none()
    }

    /// Whether `other` says the same, whenever it was written.
    pub fn is_like(&self, other: &Self) -> bool {
        self.tallies == other.tallies && self.is_like_by_hand(other)
    }

    /// Whether `other` says the same of what was set by hand.
    pub fn is_like_by_hand(&self, other: &Self) -> bool {
        self.by_hand == other.by_hand
    }
}
