//! The clocks: the only file that reads one. Everywhere else, time is an argument.
//!
//! Three clocks, for three purposes: the monotonic one ([`Clock::now`]) paces, `CLOCK_BOOTTIME` tells records apart as long
//! as nobody knows the date, UTC dates them from then on. A [`Moment`] is all three read together, and judged: [`Clock::judge`]
//! is pure, and whose word counts is told in `belief`.
//!
//! Invariant: a moment's [`Time`] is UTC only if somebody vouched for a date in this run (the kernel's NTP discipline, or the
//! configuration) and nobody contradicts it. It then stays so for the run: a venue that loses NTP for a night, or has its clock
//! set by hand, still has a good clock.

mod belief;

pub use belief::Doubt;
use belief::{Belief, Mark};
use rackside_proto::{ClockSource, Time};
use rackside_sys::{KernelClock, kernel_clock};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An event that is older than this was not stamped by `CLOCK_MONOTONIC`.
const OLDEST_STAMP: Duration = Duration::from_mins(1);
/// A packet that was read after waiting for longer than this was not just read.
const OLDEST_ARRIVAL: Duration = Duration::from_secs(10);

/// Whom the agent believes about the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// The kernel's NTP discipline: right for a Pi, which has no clock of its own.
    #[default]
    Auto,
    /// The system's clock is right although the kernel does not say so: containers and virtual machines whose host keeps
    /// the time.
    Trust,
}

/// One moment as the machine's clocks show it, right or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw {
    /// The monotonic clock.
    pub now: Instant,
    /// `CLOCK_BOOTTIME`: goes on while the machine is suspended, and cannot be set.
    pub boottime: Duration,
    /// The system's date, since 1970-01-01 UTC.
    pub utc: Duration,
    /// What the kernel says about that; `None` when it cannot be asked.
    pub synchronised: Option<bool>,
}

/// One moment on every clock, and whether the date among them is to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// On the monotonic clock.
    pub now: Instant,
    /// Milliseconds of `CLOCK_BOOTTIME`.
    pub boot_ms: u64,
    /// The first four bytes of the boot id, as records carry it.
    pub boot: u32,
    /// Milliseconds since 1970-01-01 UTC: the date if it is `known`, else what the system shows.
    pub utc_ms: u64,
    /// What the kernel says about its clock now; `None` when it cannot be asked.
    pub synchronised: Option<bool>,
    /// Whether `utc_ms` is to be believed.
    pub known: bool,
    /// Whether that goes back to the kernel's word, said once in this run, that its clock is synchronised.
    pub disciplined: bool,
    /// Why the date is not simply the system's.
    pub doubt: Option<Doubt>,
}

impl Moment {
    /// The time as a record carries it.
    pub const fn time(&self) -> Time {
        if self.known {
            Time::Utc { ms: self.utc_ms }
        } else {
            Time::Boot { boot: self.boot, ms: self.boot_ms }
        }
    }

    /// Where the clock comes from, as the birth says it.
    pub const fn source(&self) -> ClockSource {
        match (self.known, self.disciplined) {
            (false, _) => ClockSource::None,
            (true, true) => ClockSource::Ntp,
            (true, false) => ClockSource::Trusted,
        }
    }
}

/// Reads the clocks.
#[derive(Debug, Clone)]
pub struct Clock {
    trust: Trust,
    boot_id: [u8; 16],
    belief: Belief,
}

impl Clock {
    /// The clocks of this machine. `proc` is where `/proc` is mounted.
    pub fn new(trust: Trust, proc: &Path) -> Self {
        let boot_id = std::fs::read_to_string(proc.join("sys/kernel/random/boot_id"))
            .ok()
            .and_then(|text| parse_boot_id(&text))
            .unwrap_or_default();
        Self::of_boot(trust, boot_id)
    }

    /// The clocks of a boot of which nothing is known but its id.
    pub fn of_boot(trust: Trust, boot_id: [u8; 16]) -> Self {
        Self { trust, boot_id, belief: Belief::default() }
    }

    /// Believes otherwise from now on.
    pub fn trust(&mut self, trust: Trust) {
        self.trust = trust;
        if trust == Trust::Auto {
            self.belief.distrust();
        }
    }

    /// The kernel's boot id; zeroes where it has none.
    pub const fn boot_id(&self) -> [u8; 16] {
        self.boot_id
    }

    /// The hub's acknowledgement, which came in at `moment`, says what time it is.
    pub fn hub_said(&mut self, utc_ms: u64, moment: &Moment) {
        self.belief.hub_said(Mark { boot_ms: moment.boot_ms, utc_ms });
    }

    /// The monotonic clock alone.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub fn now() -> Instant {
        Instant::now()
    }

    /// What the kernel's `CLOCK_MONOTONIC` shows, for whoever compares it with a clock of another process.
    pub fn kernel() -> Duration {
        let shown = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::try_from(shown).unwrap_or_default()
    }

    /// The moment at which the kernel's `CLOCK_MONOTONIC`, which it writes to events, showed `stamp`. What cannot be from that clock is now.
    pub fn of_kernel(stamp: Duration) -> Instant {
        let now = Self::now();
        let age = Self::kernel().checked_sub(stamp);
        age.filter(|age| *age < OLDEST_STAMP).and_then(|age| now.checked_sub(age)).unwrap_or(now)
    }

    /// The moment at which the kernel's UTC clock, by which it notes when packets come in, showed `stamp`. Only of something that has
    /// just come in; what cannot be from just now (the clock was set in between) is now.
    pub fn of_arrival(stamp: Duration) -> Instant {
        let (now, shown) = (Self::now(), Self::shown());
        let age = shown.checked_sub(stamp).filter(|age| *age < OLDEST_ARRIVAL);
        age.and_then(|age| now.checked_sub(age)).unwrap_or(now)
    }

    /// The date that the system shows, right or wrong, since 1970-01-01 UTC. For comparing it with that of others; records are dated
    /// by a [`Moment`].
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub fn shown() -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// All clocks together.
    pub fn read(&mut self) -> Moment {
        let utc = Self::shown();
        let boottime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let boottime = Duration::try_from(boottime).unwrap_or_default();
        self.judge(Raw { now: Self::now(), boottime, utc, synchronised: synchronised().ok() })
    }

    /// What to make of what the clocks show. Pure but for what it remembers.
    pub fn judge(&mut self, raw: Raw) -> Moment {
        let shown = Mark { boot_ms: raw.boottime.as_millis() as u64, utc_ms: raw.utc.as_millis() as u64 };
        let vouched = match (raw.synchronised, self.trust) {
            (Some(true), _) => Some(true),
            (_, Trust::Trust) => Some(false),
            (_, Trust::Auto) => None,
        };
        let judged = self.belief.judge(shown, vouched);
        let [a, b, c, d, ..] = self.boot_id;
        Moment {
            now: raw.now,
            boot_ms: shown.boot_ms,
            boot: u32::from_be_bytes([a, b, c, d]),
            utc_ms: judged.date.map_or(shown.utc_ms, |(date, _)| date),
            synchronised: raw.synchronised,
            known: judged.date.is_some(),
            disciplined: judged.date.is_some_and(|(_, ntp)| ntp),
            doubt: judged.doubt,
        }
    }
}

/// Whether the kernel says that its clock is synchronised.
pub fn synchronised() -> io::Result<bool> {
    kernel_clock().map(KernelClock::is_synchronised)
}

/// `9f2c1c1e-8a0e-4b4f-9d3c-0d6f2a6f7e11` as 16 bytes.
fn parse_boot_id(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32).map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::belief::PLAUSIBLE_MS;
    use super::*;

    const RIGHT: Duration = Duration::from_millis(PLAUSIBLE_MS + 5);
    const IN_1970: Duration = Duration::from_secs(42);

    fn clock(trust: Trust) -> Clock {
        Clock::of_boot(trust, parse_boot_id("9f2c1c1e-8a0e-4b4f-9d3c-0d6f2a6f7e11\n").expect("a boot id"))
    }

    fn judge(clock: &mut Clock, utc: Duration, synchronised: Option<bool>) -> Moment {
        clock.judge(Raw { now: Clock::now(), boottime: Duration::from_millis(7), utc, synchronised })
    }

    #[test]
    fn a_clock_nobody_vouches_for_gives_boot_time() {
        let time = judge(&mut clock(Trust::Auto), RIGHT, Some(false)).time();
        assert_eq!(time, Time::Boot { boot: 0x9f2c_1c1e, ms: 7 });
        assert!(matches!(judge(&mut clock(Trust::Auto), RIGHT, None).time(), Time::Boot { .. }));
    }

    #[test]
    fn a_clock_in_1970_gives_boot_time_whoever_vouches_for_it() {
        for trust in [Trust::Auto, Trust::Trust] {
            assert!(matches!(judge(&mut clock(trust), IN_1970, Some(true)).time(), Time::Boot { .. }));
        }
    }

    #[test]
    fn a_synchronised_or_trusted_clock_gives_utc() {
        let utc = Time::Utc { ms: PLAUSIBLE_MS + 5 };
        assert_eq!(judge(&mut clock(Trust::Auto), RIGHT, Some(true)).time(), utc);
        assert_eq!(judge(&mut clock(Trust::Trust), RIGHT, Some(false)).time(), utc);
    }

    #[test]
    fn a_trusted_clock_is_not_said_to_come_from_ntp() {
        let source = |trust, synchronised| judge(&mut clock(trust), RIGHT, Some(synchronised)).source();
        assert_eq!(source(Trust::Trust, false), ClockSource::Trusted);
        assert_eq!(source(Trust::Trust, true), ClockSource::Ntp);
        assert_eq!(source(Trust::Auto, true), ClockSource::Ntp);
        assert_eq!(source(Trust::Auto, false), ClockSource::None);
    }

    #[test]
    fn a_known_clock_stays_known_when_ntp_is_lost_even_if_it_jumps_to_1970() {
        let mut clock = clock(Trust::Auto);
        judge(&mut clock, RIGHT, Some(true));
        for utc in [RIGHT, IN_1970] {
            let moment = judge(&mut clock, utc, Some(false));
            assert_eq!(moment.time(), Time::Utc { ms: PLAUSIBLE_MS + 5 });
            assert_eq!(moment.source(), ClockSource::Ntp);
        }
    }

    #[test]
    fn the_hub_has_its_say() {
        let mut clock = clock(Trust::Auto);
        let moment = judge(&mut clock, RIGHT, Some(true));
        clock.hub_said(PLAUSIBLE_MS + 200 * 86_400_000, &moment);
        let moment = judge(&mut clock, RIGHT, Some(true));
        assert_eq!((moment.known, moment.source()), (false, ClockSource::None));
        assert!(matches!(moment.doubt, Some(Doubt::Denied { .. })));
    }

    #[test]
    fn a_stamp_of_the_kernel_is_a_moment_and_one_of_another_clock_is_now() {
        let shown = Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic));
        let shown = shown.expect("after boot");
        let before = Clock::now();
        let moment = Clock::of_kernel(shown.saturating_sub(Duration::from_millis(5)));
        let age = Clock::now().saturating_duration_since(moment);
        assert!(age >= Duration::from_millis(5) && moment < before, "{age:?}");
        for other in [Duration::from_hours(500_000), shown.saturating_sub(Duration::from_hours(1))] {
            assert!(Clock::of_kernel(other) >= before || shown < Duration::from_hours(1));
        }
    }

    #[test]
    fn an_arrival_is_a_moment_and_one_that_cannot_be_is_now() {
        let before = Clock::now();
        let moment = Clock::of_arrival(Clock::shown().saturating_sub(Duration::from_millis(5)));
        let age = Clock::now().saturating_duration_since(moment);
        assert!(age >= Duration::from_millis(5) && moment < before, "{age:?}");
        for other in [Duration::ZERO, Clock::shown() + Duration::from_hours(1)] {
            assert!(Clock::of_arrival(other) >= before);
        }
    }

    #[test]
    fn trust_is_given_and_withdrawn() {
        let mut clock = clock(Trust::Trust);
        assert!(judge(&mut clock, RIGHT, Some(false)).known);
        clock.trust(Trust::Auto);
        assert!(!judge(&mut clock, RIGHT, Some(false)).known);
    }

    #[test]
    fn a_boot_id_is_32_digits() {
        assert_eq!(parse_boot_id("abc"), None);
        assert_eq!(parse_boot_id(""), None);
        assert!(Clock::new(Trust::Auto, Path::new("/proc")).boot_id().iter().any(|byte| *byte != 0));
    }
}
