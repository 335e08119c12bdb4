//! Which date is to be believed: the system's, the one that an earlier moment and the time since then make, or none.
//!
//! Pure. `CLOCK_BOOTTIME` cannot be set, so once somebody vouched for the date of one moment (the *anchor*), the date of any
//! later moment of this boot is known, whatever happens to the system's clock:
//!
//! ```text
//!                      NTP        set to 2031 by hand       NTP again     NTP of a fool
//! system's clock   ....2026-11-20.......2031..................2026-11-20.....2019
//! kernel says      no  yes              no                    yes            yes
//! believed         -   the system's     anchor + elapsed      the system's   nobody, until the hub speaks
//! ```
//!
//! The kernel's word is not enough on its own: a daemon that keeps disciplining a clock that was set by hand says that it is
//! synchronised, years off. So a date that contradicts the anchor, or the hub, waits for a third witness. Invariants: what is
//! believed is never before 2026 and never more than a day from what the hub said; nothing believed costs nothing, since
//! records then carry the time since boot, and the hub dates them.

use rackside_proto::Date;
use std::fmt;

/// 2026-01-01 00:00:00 UTC in milliseconds: no machine that runs this program lives earlier.
pub(super) const PLAUSIBLE_MS: u64 = 1_767_225_600_000;

/// So far two witnesses may be apart who mean the same date: a clock without NTP drifts by less in two months (at 100 ppm), and
/// the hub takes no record as live that is further ahead.
const APART_MS: u64 = 600_000;

/// The hub's clock may be off itself, and its word was on its way for a while: only what is further away is denied by it.
const DENIED_MS: u64 = 86_400_000;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Milliseconds of `CLOCK_BOOTTIME`.
    pub(super) boot_ms: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub(super) utc_ms: u64,
}

impl Mark {
    /// The date of a later moment of the same boot.
    const fn date(self, boot_ms: u64) -> u64 {
        self.utc_ms.saturating_add(boot_ms.saturating_sub(self.boot_ms))
    }
}

/// A moment whose date somebody vouched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) mark: Mark,
    /// Whether it was the kernel, and not only the configuration.
    pub(super) ntp: bool,
}

/// Why the date is not simply the system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Nobody vouches for the system's clock any more, and it was set: the date goes on from when somebody did.
    Set {
        /// What it shows, in milliseconds since 1970-01-01 UTC.
        utc_ms: u64,
    },
    /// The system's clock jumped away from its own earlier dates and is said to be right all the same.
    Disputed {
        /// What it shows, in milliseconds since 1970-01-01 UTC.
        utc_ms: u64,
    },
    /// The hub says otherwise.
    Denied {
        /// What the hub says, in milliseconds since 1970-01-01 UTC.
        hub_ms: u64,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { utc_ms } => write!(
                f,
                "the system's clock was set to {}; readings are dated by what it showed before, until NTP sets it right",
                Day(*utc_ms)
            ),
            Self::Disputed { utc_ms } => write!(
                f,
                "the system's clock jumped to {} and is said to be synchronised; readings carry the time since boot until \
                 the hub says what time it is",
                Day(*utc_ms)
            ),
            Self::Denied { hub_ms } => write!(
                f,
                "the hub says that it is {}, and the system's clock disagrees; readings carry the time since boot until \
                 one of them is set right",
                Day(*hub_ms)
            ),
        }
    }
}

/// A moment's day: `2031-02-28`.
struct Day(u64);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date { year, month, day } = Date::of_ms(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// What was vouched for in this boot so far, and by whom.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Belief {
    anchor: Option<Anchor>,
    hub: Option<Mark>,
}

/// What to make of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judgement {
    /// The date, and whether it goes back to NTP; `None` when nobody knows.
    pub(super) date: Option<(u64, bool)>,
    pub(super) doubt: Option<Doubt>,
}

impl Belief {
    /// The hub said what time it is.
    pub(super) fn hub_said(&mut self, mark: Mark) {
        if mark.utc_ms >= PLAUSIBLE_MS {
            self.hub = Some(mark);
        }
    }

    /// Forgets an anchor that only the configuration vouched for.
    pub(super) fn distrust(&mut self) {
        self.anchor = self.anchor.filter(|anchor| anchor.ntp);
    }

    /// Judges a moment at which the system's clocks show `now`; `vouched` is who says that it is right: NTP (`true`) or the
    /// configuration.
    pub(super) fn judge(&mut self, now: Mark, vouched: Option<bool>) -> Judgement {
        let hub = self.hub.map(|said| said.date(now.boot_ms));
        let denied = |date: u64| hub.filter(|hub| date.abs_diff(*hub) > DENIED_MS);
        let claim = vouched.filter(|_| now.utc_ms >= PLAUSIBLE_MS);
        let kept = self.anchor.map(|anchor| (anchor.mark.date(now.boot_ms), anchor.ntp));
        let utc_ms = now.utc_ms;
        match (claim, kept) {
            (Some(ntp), kept) => {
                let differs = kept.filter(|(date, _)| date.abs_diff(utc_ms) > APART_MS);
                match (differs, hub) {
                    (Some(_), None) => Judgement { date: None, doubt: Some(Doubt::Disputed { utc_ms }) },
                    (Some((date, ntp)), Some(hub)) if hub.abs_diff(date) < hub.abs_diff(utc_ms) => {
                        Self::kept(date, ntp, denied(date), Doubt::Set { utc_ms })
                    }
                    _ => self.claimed(
                        now,
                        ntp || (differs.is_none() && kept.is_some_and(|(_, ntp)| ntp)),
                        denied(utc_ms),
                    ),
                }
            }
            (None, Some((date, ntp))) => {
                let judged = Self::kept(date, ntp, denied(date), Doubt::Set { utc_ms });
                let was_set = date.abs_diff(utc_ms) > APART_MS;
                Judgement {
                    doubt: judged.doubt.filter(|doubt| was_set || !matches!(doubt, Doubt::Set { .. })),
                    ..judged
                }
            }
            (None, None) => Judgement { date: None, doubt: None },
        }
    }

    /// The system's clock, unless the hub denies it.
    fn claimed(&mut self, now: Mark, ntp: bool, denied: Option<u64>) -> Judgement {
        if let Some(hub_ms) = denied {
            return Judgement { date: None, doubt: Some(Doubt::Denied { hub_ms }) };
        }
        self.anchor = Some(Anchor { mark: now, ntp });
        Judgement { date: Some((now.utc_ms, ntp)), doubt: None }
    }

    /// The date that the anchor makes, unless the hub denies it.
    fn kept(date: u64, ntp: bool, denied: Option<u64>, doubt: Doubt) -> Judgement {
        match denied {
            Some(hub_ms) => Judgement { date: None, doubt: Some(Doubt::Denied { hub_ms }) },
            None => Judgement { date: Some((date, ntp)), doubt: Some(doubt) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = PLAUSIBLE_MS + 30_000_000_000;
    const YEAR: u64 = 31_557_600_000;
    const HOUR: u64 = 3_600_000;
    const NTP: Option<bool> = Some(true);

    struct Bench {
        belief: Belief,
        boot_ms: u64,
    }

    impl Bench {
        fn new() -> Self {
            Self { belief: Belief::default(), boot_ms: 60_000 }
        }

        /// The true time.
        fn truth(&self) -> u64 {
            NOW + self.boot_ms
        }

        /// An hour later the system's clock shows `off` ms more than the truth.
        fn judge(&mut self, off: i64, vouched: Option<bool>) -> Option<i64> {
            self.boot_ms += HOUR;
            let utc_ms = self.truth().saturating_add_signed(off);
            let judged = self.belief.judge(Mark { boot_ms: self.boot_ms, utc_ms }, vouched);
            judged.date.map(|(date, _)| date as i64 - self.truth() as i64)
        }

        fn hub_says(&mut self, off: i64) {
            let utc_ms = self.truth().saturating_add_signed(off);
            self.belief.hub_said(Mark { boot_ms: self.boot_ms, utc_ms });
        }
    }

    #[test]
    fn a_clock_set_by_hand_changes_nothing_once_it_was_known() {
        for years in [-60, -3, -1, 1, 3, 60] {
            let mut bench = Bench::new();
            assert_eq!(bench.judge(5, None), None, "nobody vouches for it yet");
            assert_eq!(bench.judge(0, NTP), Some(0));
            assert_eq!(bench.judge(years * YEAR as i64, None), Some(0), "{years} years by hand");
            assert_eq!(bench.judge(years * YEAR as i64, None), Some(0), "and it stays so");
            assert_eq!(bench.judge(7, NTP), Some(7), "NTP puts it right");
        }
    }

    #[test]
    fn ntp_that_contradicts_itself_waits_for_the_hub() {
        for years in [-3, 1, 3] {
            let off = years * YEAR as i64;
            let mut bench = Bench::new();
            bench.judge(0, NTP);
            let judged = bench.judge(off, NTP);
            // A date before this program existed is no claim at all.
            assert_eq!(judged, if years == -3 { Some(0) } else { None });
            bench.hub_says(1000);
            assert_eq!(bench.judge(off, NTP), Some(0), "the hub sides with the earlier date");
            let mut bench = Bench::new();
            bench.judge(off.max(0), NTP);
            bench.hub_says(1000);
            assert_eq!(bench.judge(0, NTP), Some(0), "or with the later one");
        }
    }

    #[test]
    fn ntp_that_was_wrong_from_the_start_is_denied_by_the_hub() {
        let mut bench = Bench::new();
        assert_eq!(bench.judge(YEAR as i64, NTP), Some(YEAR as i64), "nobody knows better");
        bench.hub_says(0);
        assert_eq!(bench.judge(YEAR as i64, NTP), None);
        assert_eq!(bench.judge(YEAR as i64, None), None, "nor is its memory believed");
        assert_eq!(bench.judge(0, NTP), Some(0));
    }

    #[test]
    fn a_hub_that_is_off_itself_by_hours_denies_nothing() {
        let mut bench = Bench::new();
        bench.hub_says(5 * HOUR as i64);
        assert_eq!(bench.judge(0, NTP), Some(0));
        bench.belief.hub_said(Mark { boot_ms: bench.boot_ms, utc_ms: 5000 });
        assert_eq!(bench.judge(0, NTP), Some(0), "a hub in 1970 has no say");
    }

    #[test]
    fn a_day_is_written_as_people_write_it() {
        for (ms, day) in [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (PLAUSIBLE_MS, "2026-01-01"),
            (PLAUSIBLE_MS - 1, "2025-12-31"),
            (1_929_916_800_000, "2031-02-27"),
            (4_107_542_400_000, "2100-03-01"),
        ] {
            assert_eq!(Day(ms).to_string(), day);
        }
    }

    #[test]
    fn drift_without_ntp_is_no_step() {
        let mut bench = Bench::new();
        bench.judge(0, NTP);
        assert_eq!(bench.judge(300_000, NTP), Some(300_000));
    }

    #[test]
    fn trust_that_is_withdrawn_takes_its_anchor_along() {
        let mut bench = Bench::new();
        assert_eq!(bench.judge(0, Some(false)), Some(0));
        bench.belief.distrust();
        assert_eq!(bench.judge(0, None), None);
        bench.judge(0, NTP);
        bench.belief.distrust();
        assert_eq!(bench.judge(0, None), Some(0), "NTP's stays");
    }

    proptest! {
        /// NTP tells the truth, or is blocked; the clock is set by anybody to anything.
        #[test]
        fn with_an_honest_ntp_every_date_is_right(
            steps in proptest::collection::vec((prop::bool::ANY, -100 * YEAR as i64..100 * YEAR as i64), 1..50),
        ) {
            let mut bench = Bench::new();
            let mut known = false;
            for (ntp, off) in steps {
                known |= ntp;
                let judged = if ntp { bench.judge(0, NTP) } else { bench.judge(off, None) };
                prop_assert_eq!(judged, known.then_some(0));
            }
        }

        /// NTP may lie, too, but a hub speaks up now and then.
        #[test]
        fn no_date_is_further_than_a_day_from_the_hubs(
            steps in proptest::collection::vec((prop::bool::ANY, prop::bool::ANY, -3 * YEAR as i64..3 * YEAR as i64), 1..50),
        ) {
            let mut bench = Bench::new();
            bench.hub_says(0);
            for (ntp, lies, off) in steps {
                let off = if lies { off } else { 0 };
                if let Some(error) = bench.judge(off, ntp.then_some(true)) {
                    prop_assert!(error.unsigned_abs() <= DENIED_MS, "{error}");
                }
            }
        }
    }
}
