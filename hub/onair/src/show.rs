//! A show as it happens once: rig-up, live, strike, each a span of milliseconds since 1970.
//!
//! ```text
//! rig-up 16:00–19:00   live 19:00–22:00   strike 22:00–23:00
//! ```
//!
//! Invariant: `rig_up` ≤ `live` < `end` ≤ `strike`.

/// Milliseconds of a minute.
pub(crate) const MINUTE: i64 = 60_000;
/// Milliseconds of an hour.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// Milliseconds of a day of 24 hours.
pub(crate) const DAY: i64 = 24 * HOUR;

/// The live part of a show is no longer, by clocks on the wall: festivals are not, mistakes are.
pub const LONGEST: i64 = 31 * DAY;
/// Clocks go back by no more in between.
const CHANGES: i64 = 3 * HOUR;
/// Rig-up and strike are each no longer.
pub const LONGEST_MARGIN: i64 = 7 * DAY;

/// A show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Show {
    /// When rig-up begins.
    pub rig_up: i64,
    /// When it is live.
    pub live: i64,
    /// When the live part ends.
    pub end: i64,
    /// When strike ends.
    pub strike: i64,
    /// What it is called.
    pub name: Box<str>,
}

/// How long rig-up and strike take, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Margins {
    /// Before the live part.
    pub rig_up: i64,
    /// After it.
    pub strike: i64,
}

/// A part of a show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is being built up.
    RigUp,
    /// It goes on.
    Live,
    /// It is being taken down.
    Strike,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::RigUp, Self::Live, Self::Strike];

    /// As a label has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RigUp => "rig_up",
            Self::Live => "live",
            Self::Strike => "strike",
        }
    }
}

/// The time for which shows are looked up: from, and up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From this moment.
    pub from: i64,
    /// Up to this one.
    pub to: i64,
}

impl Window {
    /// What has to be known at `now`: every show that can still matter, and those to come within six weeks.
    pub const fn around(now: i64) -> Self {
        Self { from: now - LONGEST - DAY - 2 * LONGEST_MARGIN, to: now + 45 * DAY }
    }

    /// Whether a show has part in it.
    pub fn has(self, show: &Show) -> bool {
        show.rig_up < self.to && self.from < show.strike
    }
}

impl Show {
    /// A show that is live from `live` to `end`; none, if that is no time at all or too long.
    pub fn new(name: &str, live: i64, end: i64, margins: Margins) -> Option<Self> {
        let Margins { rig_up, strike } = margins;
        (live < end && end - live <= LONGEST + CHANGES).then(|| Self {
            rig_up: live - rig_up.clamp(0, LONGEST_MARGIN),
            live,
            end,
            strike: end + strike.clamp(0, LONGEST_MARGIN),
            name: name.into(),
        })
    }

    /// Its part at `now`.
    pub fn phase(&self, now: i64) -> Option<Phase> {
        if now < self.rig_up || self.strike <= now {
            None
        } else if now < self.live {
            Some(Phase::RigUp)
        } else if now < self.end {
            Some(Phase::Live)
        } else {
            Some(Phase::Strike)
        }
    }

    /// The moments at which its phase changes.
    pub fn bounds(&self) -> [i64; 4] {
        [self.rig_up, self.live, self.end, self.strike]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_ends_where_the_next_begins() {
        let show = Show::new("s", 100, 200, Margins { rig_up: 50, strike: 30 }).unwrap();
        let at = |now| show.phase(now).map(Phase::as_str);
        assert_eq!([at(49), at(50), at(99)], [None, Some("rig_up"), Some("rig_up")]);
        assert_eq!([at(100), at(199)], [Some("live"), Some("live")]);
        assert_eq!([at(200), at(229), at(230)], [Some("strike"), Some("strike"), None]);
    }

    #[test]
    fn a_show_of_no_time_or_of_too_much_is_none() {
        assert!(Show::new("s", 5, 5, Margins::default()).is_none());
        assert!(Show::new("s", 0, LONGEST + DAY, Margins::default()).is_none());
        assert!(
            Show::new("s", 0, LONGEST + HOUR, Margins::default()).is_some(),
            "31 days when clocks go back"
        );
    }
}
