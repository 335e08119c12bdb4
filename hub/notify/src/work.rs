//! Maintenance by hand: somebody has said that work is done at a site, at one of its appliances or wherever a tag is, from when to when, and why.
//!
//! What fires there meanwhile is kept as in a window that the configuration names (`maintenance.rs`); nobody is told of it. It ends by itself, and can be ended
//! early. Those that are over are kept a while, because one wants to know who did what.
//!
//! Invariants: each has an end, an author and a comment; there are never more than a bounded number.
//!
//! ```text
//! work 3: "new switch" at arena-north until 2026-11-20 18:00, desk: "the carrier's man is there"
//! ```

use crate::lapse::{self, Gone, Lapsing};
use crate::mute::line;
use rackside_promql::Labels;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most of them that are not over.
const MOST: usize = 200;
/// Most of those that are.
const MOST_OVER: usize = 200;
/// The longest, in milliseconds: as a window of the configuration.
const LONGEST: i64 = 31 * DAY;
/// How far ahead one can begin, in milliseconds. What is planned for longer, or comes again, stands in the configuration.
const AHEAD: i64 = 366 * DAY;
/// Most characters of what pages call it, of a comment, and of a site, an appliance or a tag.
const TEXTS: [usize; 3] = [80, 500, 64];
const DAY: i64 = 86_400_000;

/// The number of one; it grows.
pub type WorkId = u64;

/// Where the work is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Where {
    /// At a site, all of it.
    Site(String),
    /// At one appliance of a site.
    Appliance {
        /// The site.
        site: String,
        /// The appliance.
        appliance: String,
    },
    /// At every site with this tag.
    Tag(String),
}

/// Maintenance by hand. Times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Its number.
    pub id: WorkId,
    /// What pages call it, the public one among them.
    pub name: String,
    /// Where.
    pub at: Where,
    /// From when.
    pub starts_at: i64,
    /// Up to when.
    pub ends_at: i64,
    /// Who announced it.
    pub by: String,
    /// Why.
    pub comment: String,
    /// When it was announced.
    pub made_at: i64,
    /// Who ended it before its time.
    pub ended_by: Option<String>,
}

/// What somebody announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWork {
    /// What pages call it; "Maintenance", if nothing.
    pub name: String,
    /// Where.
    pub at: Where,
    /// From when; none: at once.
    pub starts_at: Option<i64>,
    /// Up to when.
    pub ends_at: i64,
    /// Who announces it.
    pub by: String,
    /// Why.
    pub comment: String,
}

/// Why there is no such maintenance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkError {
    /// It is nowhere.
    Nowhere,
    /// Its name is no short line.
    Name,
    /// It has no author, or one that is no line of text.
    Author,
    /// It has no comment, or too long a one.
    Comment,
    /// It ends before it begins, or is over.
    Ends,
    /// It lasts too long.
    Long,
    /// It begins too late.
    Far,
    /// There is too much of it.
    Many,
    /// There is none of this number.
    Unknown(WorkId),
    /// It is over.
    Over(WorkId),
}

/// All maintenance by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Works {
    last: WorkId,
    /// By their numbers.
    all: Vec<Work>,
}

impl Where {
    /// The site, if it is one.
    pub fn site(&self) -> Option<&str> {
        match self {
            Self::Site(site) | Self::Appliance { site, .. } => Some(site),
            Self::Tag(_) => None,
        }
    }

    /// The appliance, if it is one.
    pub fn appliance(&self) -> Option<&str> {
        if let Self::Appliance { appliance, .. } = self { Some(appliance) } else { None }
    }

    /// The tag, if it is one.
    pub fn tag(&self) -> Option<&str> {
        if let Self::Tag(tag) = self { Some(tag) } else { None }
    }

    /// Whether a site with these tags is a part of it.
    pub fn has(&self, site: &str, tags: &[String]) -> bool {
        match self {
            Self::Site(one) | Self::Appliance { site: one, .. } => one == site,
            Self::Tag(tag) => !site.is_empty() && tags.contains(tag),
        }
    }

    fn is_somewhere(&self) -> bool {
        let is_one = |text: &String| line(text, TEXTS[2]).is_ok();
        match self {
            Self::Site(one) | Self::Tag(one) => is_one(one),
            Self::Appliance { site, appliance } => is_one(site) && is_one(appliance),
        }
    }
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(site) => f.write_str(site),
            Self::Appliance { site, appliance } => write!(f, "{site}/{appliance}"),
            Self::Tag(tag) => write!(f, "tag {tag}"),
        }
    }
}

impl Work {
    /// Whether it goes on at `now`.
    pub fn holds(&self, now: i64) -> bool {
        self.starts_at <= now && now < self.ends_at
    }

    /// Whether an alert with these labels is of what is worked at; its site has these tags.
    pub fn concerns(&self, labels: &Labels, tags: &[String]) -> bool {
        self.at.has(labels.value("site"), tags)
            && self.at.appliance().is_none_or(|appliance| labels.value("appliance") == appliance)
    }
}

impl Lapsing for Work {
    fn id(&self) -> WorkId {
        self.id
    }

    fn ends_at(&self) -> i64 {
        self.ends_at
    }
}

impl Works {
    /// Begins one.
    pub fn begin(&mut self, new: NewWork, now: i64) -> Result<WorkId, WorkError> {
        self.forget(now);
        let starts_at = new.check(now)?;
        if self.all.iter().filter(|work| now < work.ends_at).count() >= MOST {
            return Err(WorkError::Many);
        }
        self.last += 1;
        let name = match new.name.trim() {
            "" => "Maintenance",
            name => name,
        };
        self.all.push(Work {
            id: self.last,
            name: name.to_owned(),
            at: new.at,
            starts_at,
            ends_at: new.ends_at,
            by: new.by,
            comment: new.comment.trim().to_owned(),
            made_at: now,
            ended_by: None,
        });
        Ok(self.last)
    }

    /// Ends one before its time; one that has not begun never does.
    pub fn end(&mut self, id: WorkId, by: &str, now: i64) -> Result<(), WorkError> {
        line(by, TEXTS[0]).map_err(|()| WorkError::Author)?;
        let work = lapse::running(&mut self.all, id, now).map_err(|gone| match gone {
            Gone::Unknown => WorkError::Unknown(id),
            Gone::Over => WorkError::Over(id),
        })?;
        work.ends_at = now;
        work.starts_at = work.starts_at.min(now);
        work.ended_by = Some(by.to_owned());
        Ok(())
    }

    /// The one that keeps an alert quiet at `now` whose site has these tags; of several that which ends last.
    pub fn under_way(&self, labels: &Labels, tags: &[String], now: i64) -> Option<&Work> {
        let going = self.all.iter().filter(|work| work.holds(now) && work.concerns(labels, tags));
        going.max_by_key(|work| work.ends_at)
    }

    /// All of them, the newest last; those that are over as long as they are kept.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Work> {
        self.all.iter()
    }

    /// One of them.
    pub fn one(&self, id: WorkId) -> Option<&Work> {
        self.all.iter().find(|work| work.id == id)
    }

    /// Forgets those that have been over for long, and the oldest of too many.
    pub fn forget(&mut self, now: i64) {
        lapse::forget(&mut self.all, MOST_OVER, now);
    }
}

impl NewWork {
    /// When it begins, if it can be.
    fn check(&self, now: i64) -> Result<i64, WorkError> {
        if !self.at.is_somewhere() {
            return Err(WorkError::Nowhere);
        }
        if !self.name.trim().is_empty() && line(&self.name, TEXTS[0]).is_err() {
            return Err(WorkError::Name);
        }
        line(&self.by, TEXTS[0]).map_err(|()| WorkError::Author)?;
        if self.comment.trim().is_empty() || self.comment.chars().count() > TEXTS[1] {
            return Err(WorkError::Comment);
        }
        let starts_at = self.starts_at.unwrap_or(now).max(now);
        if self.ends_at <= starts_at {
            return Err(WorkError::Ends);
        }
        if starts_at.saturating_sub(now) > AHEAD {
            return Err(WorkError::Far);
        }
        if self.ends_at.saturating_sub(starts_at) > LONGEST { Err(WorkError::Long) } else { Ok(starts_at) }
    }
}

impl fmt::Display for WorkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => f.write_str("say where: a site, one of its appliances, or a tag"),
            Self::Name => write!(f, "what it is called is one line of at most {} characters", TEXTS[0]),
            Self::Author => {
                write!(f, "who announces it is missing, or more than a line of {} characters", TEXTS[0])
            }
            Self::Comment => write!(f, "say why, in at most {} characters", TEXTS[1]),
            Self::Ends => f.write_str("the end of the maintenance is not after its beginning, or past"),
            Self::Long => f.write_str("maintenance lasts 31 days at most"),
            Self::Far => f.write_str(
                "maintenance begins within a year; what is planned for longer stands in the configuration",
            ),
            Self::Many => {
                write!(
                    f,
                    "{MOST} windows of maintenance are announced already; end some that nobody needs any more"
                )
            }
            Self::Unknown(id) => write!(f, "there is no maintenance {id} that was announced by hand"),
            Self::Over(id) => write!(f, "maintenance {id} is over"),
        }
    }
}

impl std::error::Error for WorkError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lapse::KEPT;

    const NOW: i64 = 1_795_176_000_000;
    const HOUR: i64 = 3_600_000;

    fn site(site: &str) -> Where {
        Where::Site(site.to_owned())
    }

    fn rack() -> Where {
        Where::Appliance { site: "hall".to_owned(), appliance: "rack-1".to_owned() }
    }

    fn new(at: Where, ends_at: i64) -> NewWork {
        let (by, comment) = ("desk".to_owned(), "the carrier's man is there".to_owned());
        NewWork { name: "new switch".to_owned(), at, starts_at: None, ends_at, by, comment }
    }

    fn found(works: &Works, labels: &str, tags: &[&str], now: i64) -> Option<WorkId> {
        let labels = Labels::new(labels.split_whitespace().map(|pair| pair.split_once('=').expect("a pair")));
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        works.under_way(&labels, &tags, now).map(|work| work.id)
    }

    #[test]
    fn it_holds_where_it_is_and_as_long_as_it_lasts() {
        let mut works = Works::default();
        works.begin(new(site("hall"), NOW + 2 * HOUR), NOW).expect("right");
        works
            .begin(NewWork { starts_at: Some(NOW + HOUR), ..new(rack(), NOW + 3 * HOUR) }, NOW)
            .expect("right");
        works.begin(new(Where::Tag("north".to_owned()), NOW + HOUR), NOW).expect("right");
        for (labels, tags, now, id) in [
            ("site=hall", &[][..], NOW, Some(1)),
            ("site=hall appliance=rack-1", &[], NOW, Some(1)),
            ("site=hall appliance=rack-1", &[], NOW + HOUR, Some(2)),
            ("site=hall appliance=rack-2", &[], NOW + HOUR, Some(1)),
            ("site=hall", &[], NOW + 2 * HOUR - 1, Some(1)),
            ("site=hall", &[], NOW + 2 * HOUR, None),
            ("site=hall appliance=rack-1", &[], NOW + 3 * HOUR, None),
            ("site=barn appliance=rack-1", &[], NOW, None),
            ("site=barn", &["south", "north"], NOW, Some(3)),
            ("site=barn", &["north"], NOW + HOUR, None),
            ("alertname=HubDisk", &["north"], NOW, None),
            ("alertname=HubDisk", &[], NOW, None),
        ] {
            assert_eq!(
                found(&works, labels, tags, now),
                id,
                "{labels} {tags:?} after {} h",
                (now - NOW) / HOUR
            );
        }
    }

    #[test]
    fn what_cannot_be_is_said() {
        let mut works = Works::default();
        let end = NOW + HOUR;
        for (wrong, why) in [
            (new(site(""), end), WorkError::Nowhere),
            (new(site("a\nb"), end), WorkError::Nowhere),
            (new(Where::Tag("x".repeat(65)), end), WorkError::Nowhere),
            (
                new(Where::Appliance { site: "hall".to_owned(), appliance: String::new() }, end),
                WorkError::Nowhere,
            ),
            (NewWork { name: "x".repeat(81), ..new(site("hall"), end) }, WorkError::Name),
            (NewWork { name: "a\nb".to_owned(), ..new(site("hall"), end) }, WorkError::Name),
            (NewWork { by: " ".to_owned(), ..new(site("hall"), end) }, WorkError::Author),
            (NewWork { comment: " ".to_owned(), ..new(site("hall"), end) }, WorkError::Comment),
            (NewWork { comment: "x".repeat(501), ..new(site("hall"), end) }, WorkError::Comment),
            (new(site("hall"), NOW), WorkError::Ends),
            (NewWork { starts_at: Some(end), ..new(site("hall"), end) }, WorkError::Ends),
            (new(site("hall"), NOW + LONGEST + 1), WorkError::Long),
            (new(site("hall"), i64::MAX), WorkError::Long),
            (
                NewWork { starts_at: Some(NOW + AHEAD + 1), ..new(site("hall"), NOW + AHEAD + 2) },
                WorkError::Far,
            ),
            (NewWork { starts_at: Some(i64::MIN), ..new(site("hall"), i64::MIN) }, WorkError::Ends),
        ] {
            assert_eq!(works.begin(wrong.clone(), NOW), Err(why), "{wrong:?}");
        }
        assert_eq!(works.iter().len(), 0);
        let late = NewWork { starts_at: Some(NOW + AHEAD), ..new(site("hall"), NOW + AHEAD + LONGEST) };
        assert_eq!(works.begin(late, NOW), Ok(1), "the longest, and as late as can be");
    }

    #[test]
    fn one_that_has_no_name_gets_one_and_none_begins_in_the_past() {
        let mut works = Works::default();
        let unnamed = NewWork { name: " ".to_owned(), starts_at: Some(0), ..new(site("hall"), NOW + HOUR) };
        let id = works.begin(unnamed, NOW).expect("right");
        let work = works.one(id).expect("there");
        assert_eq!((work.name.as_str(), work.starts_at), ("Maintenance", NOW));
    }

    #[test]
    fn one_that_was_ended_does_not_hold_any_more() {
        let mut works = Works::default();
        works.begin(new(site("hall"), NOW + HOUR), NOW).expect("right");
        let planned = NewWork { starts_at: Some(NOW + HOUR), ..new(site("barn"), NOW + 2 * HOUR) };
        works.begin(planned, NOW).expect("right");
        for id in [1, 2] {
            assert_eq!(works.end(id, "", NOW + 1), Err(WorkError::Author));
            works.end(id, "crew", NOW + 1).expect("it is not over");
            assert_eq!(works.end(id, "crew", NOW + 2), Err(WorkError::Over(id)));
        }
        assert_eq!(works.end(9, "crew", NOW), Err(WorkError::Unknown(9)));
        assert_eq!(found(&works, "site=hall", &[], NOW + 1), None);
        assert_eq!(found(&works, "site=barn", &[], NOW + HOUR), None);
        assert_eq!(works.one(1).and_then(|work| work.ended_by.as_deref()), Some("crew"));
        assert!(works.iter().all(|work| work.starts_at <= work.ends_at));
    }

    #[test]
    fn there_are_never_too_many_and_what_is_over_is_kept_five_days() {
        let mut works = Works::default();
        for id in 1..=MOST as u64 {
            assert_eq!(works.begin(new(site("hall"), NOW + HOUR), NOW), Ok(id));
        }
        assert_eq!(works.begin(new(site("hall"), NOW + HOUR), NOW), Err(WorkError::Many));
        works.end(1, "desk", NOW + 1).expect("it runs");
        assert_eq!(works.begin(new(site("hall"), NOW + HOUR), NOW + 1), Ok(201));
        works.forget(NOW + HOUR);
        assert_eq!(works.iter().len(), MOST_OVER, "the oldest of too many go");
        assert!(works.one(1).is_none() && works.one(201).is_some());
        works.forget(NOW + HOUR + KEPT - 1);
        assert_eq!(works.iter().len(), MOST_OVER);
        works.forget(NOW + HOUR + KEPT);
        assert_eq!(works.iter().len(), 0);
        assert_eq!(
            works.begin(new(site("hall"), NOW + 9 * DAY), NOW + 8 * DAY),
            Ok(202),
            "no number comes twice"
        );
    }
}
