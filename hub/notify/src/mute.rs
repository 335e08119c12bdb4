//! Mutes: somebody has said that alerts with such labels are not told for a while, and why.
//!
//! A mute ends by itself; it can be changed, and ended early. Those that are over are kept a while, because one wants to know who muted what. Not
//! here: maintenance, which stands in the configuration (`maintenance.rs`) or is announced by hand (`work.rs`).
//!
//! Invariants: each has an end, an author and a comment, and asks for a label that has to be there; there are never more than a bounded number.
//!
//! ```text
//! mute 3: {site="arena-north", component="network"} until 2026-11-20 18:00, stage office: "switch is being replaced"
//! ```

use crate::lapse::{self, Gone, Lapsing};
use crate::matcher::Matchers;
use rackside_promql::Labels;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most mutes that are not over.
const MOST: usize = 1000;
/// Most of those that are.
const MOST_OVER: usize = 1000;
/// The longest, in milliseconds: a year. What is to last is a route or a rule.
const LONGEST: i64 = 366 * DAY;
/// Most characters of an author, and of a comment.
const TEXTS: [usize; 2] = [80, 500];
const DAY: i64 = 86_400_000;

/// The number of a mute; it grows.
pub type MuteId = u64;

/// A mute. Times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mute {
    /// Its number.
    pub id: MuteId,
    /// Which alerts.
    pub matchers: Matchers,
    /// From when.
    pub starts_at: i64,
    /// Up to when.
    pub ends_at: i64,
    /// Who made it, or changed it last.
    pub by: String,
    /// Why.
    pub comment: String,
    /// When it was made.
    pub made_at: i64,
    /// When it was changed last.
    pub changed_at: i64,
    /// Who ended it before its time.
    pub ended_by: Option<String>,
}

/// What somebody wants muted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMute {
    /// Which alerts.
    pub matchers: Matchers,
    /// From when; none: at once.
    #[serde(default)]
    pub starts_at: Option<i64>,
    /// Up to when.
    pub ends_at: i64,
    /// Who wants it.
    pub by: String,
    /// Why.
    pub comment: String,
}

/// Why there is no such mute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MuteError {
    /// Its matchers match every alert.
    Everything,
    /// It has no author, or one that is no line of text.
    Author,
    /// It has no comment, or too long a one.
    Comment,
    /// It ends before it begins, or is over.
    Ends,
    /// It lasts longer than a year.
    Long,
    /// There are too many.
    Many,
    /// There is none of this number.
    Unknown(MuteId),
    /// It is over.
    Over(MuteId),
}

/// All mutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mutes {
    last: MuteId,
    /// By their numbers.
    all: Vec<Mute>,
}

impl Mute {
    /// Whether it holds at `now`.
    pub fn holds(&self, now: i64) -> bool {
        self.starts_at <= now && now < self.ends_at
    }
}

impl Lapsing for Mute {
    fn id(&self) -> MuteId {
        self.id
    }

    fn ends_at(&self) -> i64 {
        self.ends_at
    }
}

impl Mutes {
    /// Makes one.
    pub fn make(&mut self, new: NewMute, now: i64) -> Result<MuteId, MuteError> {
        self.forget(now);
        new.check(now)?;
        if self.all.iter().filter(|mute| now < mute.ends_at).count() >= MOST {
            return Err(MuteError::Many);
        }
        self.last += 1;
        self.all.push(Mute {
            id: self.last,
            starts_at: new.starts_at.unwrap_or(now).max(now),
            matchers: new.matchers,
            ends_at: new.ends_at,
            by: new.by,
            comment: new.comment,
            made_at: now,
            changed_at: now,
            ended_by: None,
        });
        Ok(self.last)
    }

    /// Makes another one of it, in its place. When it began stays, if it holds already.
    pub fn change(&mut self, id: MuteId, new: NewMute, now: i64) -> Result<(), MuteError> {
        let mute = self.running(id, now)?;
        new.check(now)?;
        if !mute.holds(now) {
            mute.starts_at = new.starts_at.unwrap_or(now).max(now);
        }
        mute.matchers = new.matchers;
        mute.ends_at = new.ends_at;
        mute.by = new.by;
        mute.comment = new.comment;
        mute.changed_at = now;
        Ok(())
    }

    /// Ends one before its time; one that has not begun never does.
    pub fn end(&mut self, id: MuteId, by: &str, now: i64) -> Result<(), MuteError> {
        line(by, TEXTS[0]).map_err(|()| MuteError::Author)?;
        let mute = self.running(id, now)?;
        mute.ends_at = now;
        mute.starts_at = mute.starts_at.min(now);
        mute.changed_at = now;
        mute.ended_by = Some(by.to_owned());
        Ok(())
    }

    /// The mute that keeps an alert with these labels quiet at `now`; of several that which ends last.
    pub fn mutes(&self, labels: &Labels, now: i64) -> Option<&Mute> {
        let holding = self.all.iter().filter(|mute| mute.holds(now) && mute.matchers.matches(labels));
        holding.max_by_key(|mute| mute.ends_at)
    }

    /// All of them, the newest last; those that are over as long as they are kept.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Mute> {
        self.all.iter()
    }

    /// One of them.
    pub fn one(&self, id: MuteId) -> Option<&Mute> {
        self.all.iter().find(|mute| mute.id == id)
    }

    /// The next moment after `now` at which one begins or ends.
    pub fn next_edge(&self, now: i64) -> Option<i64> {
        let edges =
            self.all.iter().filter(|mute| now < mute.ends_at).flat_map(|mute| [mute.starts_at, mute.ends_at]);
        edges.filter(|edge| *edge > now).min()
    }

    /// Forgets those that have been over for long, and the oldest of too many. Says whether there were any.
    pub fn forget(&mut self, now: i64) -> bool {
        lapse::forget(&mut self.all, MOST_OVER, now)
    }

    fn running(&mut self, id: MuteId, now: i64) -> Result<&mut Mute, MuteError> {
        lapse::running(&mut self.all, id, now).map_err(|gone| match gone {
            Gone::Unknown => MuteError::Unknown(id),
            Gone::Over => MuteError::Over(id),
        })
    }
}

impl NewMute {
    fn check(&self, now: i64) -> Result<(), MuteError> {
        if self.matchers.accept_nothing_there() {
            return Err(MuteError::Everything);
        }
        line(&self.by, TEXTS[0]).map_err(|()| MuteError::Author)?;
        if self.comment.trim().is_empty() || self.comment.chars().count() > TEXTS[1] {
            return Err(MuteError::Comment);
        }
        let starts_at = self.starts_at.unwrap_or(now).max(now);
        if self.ends_at <= starts_at {
            return Err(MuteError::Ends);
        }
        if self.ends_at.saturating_sub(now) > LONGEST { Err(MuteError::Long) } else { Ok(()) }
    }
}

/// Whether a text is a line of so many characters at most.
pub(crate) fn line(text: &str, most: usize) -> Result<(), ()> {
    let is_one =
        !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control);
    is_one.then_some(()).ok_or(())
}

impl fmt::Display for MuteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => {
                f.write_str("this would mute every alert; name a label that has to be there, for example site=\"arena-north\"")
            }
            Self::Author => write!(f, "who mutes is missing, or more than a line of {} characters", TEXTS[0]),
            Self::Comment => write!(f, "say why, in at most {} characters", TEXTS[1]),
            Self::Ends => f.write_str("the end of the mute is not after its beginning, or past"),
            Self::Long => f.write_str("a mute ends within a year; what is to last longer is a matter of routes or rules"),
            Self::Many => write!(f, "there are {MOST} mutes already; end some that nobody needs any more"),
            Self::Unknown(id) => write!(f, "there is no mute {id}"),
            Self::Over(id) => write!(f, "mute {id} is over"),
        }
    }
}

impl std::error::Error for MuteError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lapse::KEPT;

    const NOW: i64 = 1_795_176_000_000;
    const HOUR: i64 = 3_600_000;

    fn matchers(text: &str) -> Matchers {
        Matchers::read([text]).expect("right")
    }

    fn new(text: &str, ends_at: i64) -> NewMute {
        let (by, comment) = ("stage office".to_owned(), "switch is being replaced".to_owned());
        NewMute { matchers: matchers(text), starts_at: None, ends_at, by, comment }
    }

    fn labels(text: &str) -> Labels {
        Labels::new(text.split_whitespace().map(|pair| pair.split_once('=').expect("a pair")))
    }

    #[test]
    fn a_mute_holds_from_its_beginning_up_to_its_end() {
        let mut mutes = Mutes::default();
        let id = mutes
            .make(NewMute { starts_at: Some(NOW + HOUR), ..new("site=a", NOW + 2 * HOUR) }, NOW)
            .expect("right");
        let found = |mutes: &Mutes, text, now| mutes.mutes(&labels(text), now).map(|mute| mute.id);
        assert_eq!(found(&mutes, "site=a", NOW), None);
        assert_eq!(mutes.next_edge(NOW), Some(NOW + HOUR));
        assert_eq!(found(&mutes, "site=a", NOW + HOUR), Some(id));
        assert_eq!(found(&mutes, "site=b", NOW + HOUR), None);
        assert_eq!(mutes.next_edge(NOW + HOUR), Some(NOW + 2 * HOUR));
        assert_eq!(found(&mutes, "site=a", NOW + 2 * HOUR - 1), Some(id));
        assert_eq!(found(&mutes, "site=a", NOW + 2 * HOUR), None);
        assert_eq!(mutes.next_edge(NOW + 2 * HOUR), None);
    }

    #[test]
    fn of_several_the_one_that_ends_last_is_told() {
        let mut mutes = Mutes::default();
        for hours in [1, 3, 2] {
            mutes.make(new("site=a", NOW + hours * HOUR), NOW).expect("right");
        }
        assert_eq!(mutes.mutes(&labels("site=a"), NOW).map(|mute| mute.id), Some(2));
    }

    #[test]
    fn what_cannot_be_muted_is_said() {
        let mut mutes = Mutes::default();
        let end = NOW + HOUR;
        for (wrong, why) in [
            (NewMute { matchers: Matchers::default(), ..new("site=a", end) }, MuteError::Everything),
            (new("site=~\".*\"", end), MuteError::Everything),
            (new("site!=a", end), MuteError::Everything),
            (NewMute { by: " ".to_owned(), ..new("site=a", end) }, MuteError::Author),
            (NewMute { by: "a\nb".to_owned(), ..new("site=a", end) }, MuteError::Author),
            (NewMute { comment: String::new(), ..new("site=a", end) }, MuteError::Comment),
            (NewMute { comment: "x".repeat(501), ..new("site=a", end) }, MuteError::Comment),
            (new("site=a", NOW), MuteError::Ends),
            (NewMute { starts_at: Some(end), ..new("site=a", end) }, MuteError::Ends),
            (new("site=a", NOW + LONGEST + 1), MuteError::Long),
            (new("site=a", i64::MAX), MuteError::Long),
        ] {
            assert_eq!(mutes.make(wrong.clone(), NOW), Err(why), "{wrong:?}");
        }
        assert_eq!(mutes.iter().len(), 0);
    }

    #[test]
    fn a_mute_is_changed_in_its_place() {
        let mut mutes = Mutes::default();
        let id = mutes.make(new("site=a", NOW + HOUR), NOW).expect("right");
        let later = NOW + HOUR / 2;
        let change = NewMute { by: "desk".to_owned(), ..new("site=b", NOW + 3 * HOUR) };
        mutes.change(id, change, later).expect("it runs");
        let mute = mutes.one(id).expect("it is there");
        assert_eq!(
            (mute.starts_at, mute.ends_at, mute.made_at, mute.changed_at),
            (NOW, NOW + 3 * HOUR, NOW, later)
        );
        assert_eq!((mute.by.as_str(), mute.matchers.to_string().as_str()), ("desk", "{site=\"b\"}"));
        assert_eq!(mutes.change(id, new("site=~\".*\"", NOW + 4 * HOUR), later), Err(MuteError::Everything));
        assert_eq!(
            mutes.one(id).map(|mute| mute.ends_at),
            Some(NOW + 3 * HOUR),
            "what is wrong changes nothing"
        );
        assert_eq!(mutes.change(9, new("site=b", NOW + HOUR), NOW), Err(MuteError::Unknown(9)));
    }

    #[test]
    fn a_mute_that_was_ended_does_not_hold_any_more() {
        let mut mutes = Mutes::default();
        let id = mutes.make(new("site=a", NOW + HOUR), NOW).expect("right");
        let planned = mutes
            .make(NewMute { starts_at: Some(NOW + HOUR), ..new("site=a", NOW + 2 * HOUR) }, NOW)
            .expect("right");
        for id in [id, planned] {
            mutes.end(id, "desk", NOW + 1).expect("it runs");
            assert_eq!(mutes.end(id, "desk", NOW + 2), Err(MuteError::Over(id)));
        }
        assert!(mutes.iter().all(|mute| mute.starts_at <= mute.ends_at), "one that never began has no time");
        assert_eq!(mutes.mutes(&labels("site=a"), NOW + 1), None);
        assert_eq!(mutes.mutes(&labels("site=a"), NOW + HOUR), None);
        assert_eq!(mutes.one(id).and_then(|mute| mute.ended_by.as_deref()), Some("desk"));
        assert_eq!(mutes.change(id, new("site=a", NOW + HOUR), NOW + 2), Err(MuteError::Over(id)));
    }

    #[test]
    fn what_is_over_is_kept_five_days() {
        let mut mutes = Mutes::default();
        mutes.make(new("site=a", NOW + HOUR), NOW).expect("right");
        assert!(!mutes.forget(NOW + HOUR + KEPT - 1));
        assert_eq!(mutes.iter().len(), 1);
        assert!(mutes.forget(NOW + HOUR + KEPT));
        assert_eq!(mutes.iter().len(), 0);
        assert_eq!(
            mutes.make(new("site=a", NOW + 9 * DAY), NOW + 8 * DAY),
            Ok(2),
            "a number is not given twice"
        );
    }

    #[test]
    fn there_are_never_too_many() {
        let mut mutes = Mutes::default();
        for id in 1..=MOST as u64 {
            assert_eq!(mutes.make(new("site=a", NOW + HOUR), NOW), Ok(id));
        }
        assert_eq!(mutes.make(new("site=a", NOW + HOUR), NOW), Err(MuteError::Many));
        mutes.end(1, "desk", NOW + 1).expect("it runs");
        assert_eq!(mutes.make(new("site=a", NOW + HOUR), NOW + 1), Ok(1001));
        for id in 2..=600u64 {
            mutes.end(id, "desk", NOW + 2).expect("it runs");
            mutes.make(new("site=a", NOW + HOUR), NOW + 2).expect("there is room");
        }
        for id in 601..=1400u64 {
            mutes.end(id, "desk", NOW + 3).expect("it runs");
        }
        mutes.forget(NOW + 3);
        assert_eq!(mutes.iter().filter(|mute| mute.ends_at <= NOW + 3).count(), MOST_OVER);
        assert!(mutes.one(400).is_none() && mutes.one(401).is_some(), "the oldest go first");
    }

    #[test]
    fn they_outlast_a_restart_in_either_form() {
        let mut mutes = Mutes::default();
        mutes.make(new("{site=~\"arena-.*\", summary=\"Bühne \\\"A\\\"\"}", NOW + HOUR), NOW).expect("right");
        mutes.end(1, "desk", NOW + 1).expect("it runs");
        let json = serde_json::to_string(&mutes).expect("it can be written");
        assert_eq!(serde_json::from_str::<Mutes>(&json).ok().as_ref(), Some(&mutes));
        let bytes = postcard::to_allocvec(&mutes).expect("it can be written");
        assert_eq!(postcard::from_bytes::<Mutes>(&bytes).ok().as_ref(), Some(&mutes));
    }
}
