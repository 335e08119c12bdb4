//! What outlasts the program: the book, the groups, what was told to whom, mutes, an outage, maintenance by hand, as bytes. Not where they are kept.
//!
//! One version byte, then postcard. What cannot be read is said, and all begins anew: what fires is then found by [`Notifier::reconcile`] and told
//! once more.
//!
//! Invariant: a notifier that was saved and restored between any two calls gives the same messages as one that was not.
//!
//! Sample: `03`, then the book, the groups, the log, ….
//!
//! [`Notifier::reconcile`]: crate::Notifier::reconcile

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::book::Book;
use crate::dedup::Log;
use crate::group::Groups;
use crate::mute::Mutes;
use crate::outage::Outage;
use crate::outage_news::OutageLog;
use crate::work::Works;

const VERSION: u8 = 3;
/// The version before, which knew of no maintenance by hand.
const WITHOUT_WORKS: u8 = 2;

/// All that a notifier knows beside its policy.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) book: Book,
    pub(crate) groups: Groups,
    pub(crate) log: Log,
    pub(crate) mutes: Mutes,
    pub(crate) outage: Option<Outage>,
    pub(crate) outage_log: OutageLog,
    /// The number of the newest message.
    pub(crate) last_id: u64,
    /// When "still watching" is told next.
    pub(crate) heartbeat_at: Option<i64>,
    /// When the book was last gone through for what is long over.
    pub(crate) forgot_at: i64,
    /// Last, so that what was kept without them can be read.
    pub(crate) works: Works,
}

impl Kept {
    /// The number of a message that is made at `now`: above all before, and above those of a state that was lost.
    pub(crate) fn next_id(&mut self, now: i64) -> u64 {
        self.last_id = (self.last_id + 1).max(u64::try_from(now).unwrap_or(0));
        self.last_id
    }

    /// The clock was set by so much: all moments that something is counted from or waits for go with it. Not those that a person named, and not those
    /// that are shown.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        for booked in self.book.alerts_mut() {
            booked.shift(by_ms);
        }
        for group in self.groups.all.values_mut() {
            group.shift(by_ms);
        }
        self.log.shift(by_ms);
        if let Some(outage) = &mut self.outage {
            outage.shift(by_ms);
            self.outage_log.shift(by_ms);
        }
        for at in [Some(&mut self.forgot_at), self.heartbeat_at.as_mut()].into_iter().flatten() {
            *at = at.saturating_add(by_ms);
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![VERSION]).expect("plain data in memory can always be written")
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, KeepError> {
        let (version, body) = bytes.split_first().ok_or(KeepError::Damaged)?;
        let read = |body: &[u8]| postcard::from_bytes(body).map_err(|_| KeepError::Damaged);
        match *version {
            VERSION => read(body),
            WITHOUT_WORKS => {
                let with = postcard::to_extend(&Works::default(), body.to_vec());
                read(&with.expect("plain data in memory can always be written"))
            }
            other => Err(KeepError::Version(other)),
        }
    }
}

/// Why what was kept cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeepError {
    /// It is not of this program, or damaged.
    Damaged,
    /// It was kept by another version of the program.
    Version(u8),
}

impl fmt::Display for KeepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = "what fires is told once more, and mutes and acknowledgements are lost";
        match self {
            Self::Damaged => write!(f, "the kept state of notifications cannot be read; {again}"),
            Self::Version(version) => write!(
                f,
                "the kept state of notifications has version {version}, and this program knows {VERSION}; {again}"
            ),
        }
    }
}

impl std::error::Error for KeepError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_state_is_said_and_changes_nothing() {
        let bytes = Kept { last_id: 7, ..Kept::default() }.bytes();
        assert_eq!(Kept::read(&bytes).map(|kept| kept.last_id), Ok(7));
        for length in 0..bytes.len() {
            assert_eq!(Kept::read(&bytes[..length]).err(), Some(KeepError::Damaged), "cut at {length}");
        }
        let mut newer = bytes;
        newer[0] = 4;
        let why = Kept::read(&newer).expect_err("it is of another version");
        assert_eq!(
            why.to_string(),
            "the kept state of notifications has version 4, and this program knows 3; what fires is told once more, and mutes and acknowledgements are lost"
        );
    }

    #[test]
    fn what_was_kept_before_there_was_maintenance_by_hand_is_read() {
        let kept = Kept { last_id: 7, forgot_at: 9, ..Kept::default() };
        let mut before = kept.bytes();
        let works = postcard::to_allocvec(&kept.works).expect("plain data").len();
        before.truncate(before.len() - works);
        before[0] = WITHOUT_WORKS;
        assert_eq!(Kept::read(&before), Ok(kept));
        before.pop();
        assert_eq!(Kept::read(&before).err(), Some(KeepError::Damaged));
    }

    #[test]
    fn numbers_grow_even_over_a_state_that_was_lost() {
        let mut kept = Kept::default();
        let ids = [kept.next_id(1_000), kept.next_id(1_000), kept.next_id(900)];
        assert_eq!(ids, [1_000, 1_001, 1_002]);
        assert_eq!(Kept::default().next_id(2_000), 2_000);
    }
}
