//! The clocks: the only file that reads one. Everywhere else, time is an argument.
//!
//! Three clocks, for three purposes: the monotonic one ([`Clock::now`]) paces, `CLOCK_BOOTTIME` tells records apart as long
//! as nobody knows the date, UTC dates them from then on. A [`Moment`] is all three read together.
//!
//! Invariant: a moment's [`Time`] is UTC only if somebody vouches for the clock (the kernel's NTP discipline, or the
//! configuration) *and* it does not show a year from before this program was written. Once vouched for, it stays so for the
//! run: a venue that loses NTP for a night still has a good clock.

use rackside_proto::{ClockSource, Time};
use rackside_sys::{KernelClock, kernel_clock};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// 2026-01-01 00:00:00 UTC in milliseconds: no machine that runs this program lives earlier.
const PLAUSIBLE_MS: u64 = 1_767_225_600_000;

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

/// One moment on every clock, and whether the date among them is to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// On the monotonic clock.
    pub now: Instant,
    /// Milliseconds of `CLOCK_BOOTTIME`.
    pub boot_ms: u64,
    /// The first four bytes of the boot id, as records carry it.
    pub boot: u32,
    /// Milliseconds since 1970-01-01 UTC, right or wrong.
    pub utc_ms: u64,
    /// What the kernel says about its clock now; `None` when it cannot be asked.
    pub synchronised: Option<bool>,
    /// Whether `utc_ms` is to be believed.
    pub known: bool,
    /// Whether the kernel said in this run that its clock is synchronised.
    pub disciplined: bool,
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
    disciplined: bool,
}

impl Clock {
    /// The clocks of this machine. `proc` is where `/proc` is mounted.
    pub fn new(trust: Trust, proc: &Path) -> Self {
        let boot_id = std::fs::read_to_string(proc.join("sys/kernel/random/boot_id"))
            .ok()
            .and_then(|text| parse_boot_id(&text))
            .unwrap_or_default();
        Self { trust, boot_id, disciplined: false }
    }

    /// Believes otherwise from now on.
    pub const fn trust(&mut self, trust: Trust) {
        self.trust = trust;
    }

    /// The kernel's boot id; zeroes where it has none.
    pub const fn boot_id(&self) -> [u8; 16] {
        self.boot_id
    }

    /// The monotonic clock alone.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub fn now() -> Instant {
        Instant::now()
    }

    /// All clocks together.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub fn read(&mut self) -> Moment {
        let utc = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let boottime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let boottime = Duration::try_from(boottime).unwrap_or_default();
        self.judge(Self::now(), boottime, utc, synchronised().ok())
    }

    fn judge(
        &mut self,
        now: Instant,
        boottime: Duration,
        utc: Duration,
        synchronised: Option<bool>,
    ) -> Moment {
        let utc_ms = utc.as_millis() as u64;
        let plausible = utc_ms >= PLAUSIBLE_MS;
        self.disciplined = plausible && (self.disciplined || synchronised == Some(true));
        let known = plausible && (self.disciplined || self.trust == Trust::Trust);
        let [a, b, c, d, ..] = self.boot_id;
        Moment {
            now,
            boot_ms: boottime.as_millis() as u64,
            boot: u32::from_be_bytes([a, b, c, d]),
            utc_ms,
            synchronised,
            known,
            disciplined: self.disciplined,
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
    use super::*;

    const RIGHT: Duration = Duration::from_millis(PLAUSIBLE_MS + 5);
    const IN_1970: Duration = Duration::from_secs(42);

    fn clock(trust: Trust) -> Clock {
        let boot_id = parse_boot_id("9f2c1c1e-8a0e-4b4f-9d3c-0d6f2a6f7e11\n").expect("a boot id");
        Clock { trust, boot_id, disciplined: false }
    }

    fn judge(clock: &mut Clock, utc: Duration, synchronised: Option<bool>) -> Time {
        clock.judge(Clock::now(), Duration::from_millis(7), utc, synchronised).time()
    }

    #[test]
    fn a_clock_nobody_vouches_for_gives_boot_time() {
        let time = judge(&mut clock(Trust::Auto), RIGHT, Some(false));
        assert_eq!(time, Time::Boot { boot: 0x9f2c_1c1e, ms: 7 });
        assert!(matches!(judge(&mut clock(Trust::Auto), RIGHT, None), Time::Boot { .. }));
    }

    #[test]
    fn a_clock_in_1970_gives_boot_time_whoever_vouches_for_it() {
        for trust in [Trust::Auto, Trust::Trust] {
            assert!(matches!(judge(&mut clock(trust), IN_1970, Some(true)), Time::Boot { .. }));
        }
    }

    #[test]
    fn a_synchronised_or_trusted_clock_gives_utc() {
        let utc = Time::Utc { ms: PLAUSIBLE_MS + 5 };
        assert_eq!(judge(&mut clock(Trust::Auto), RIGHT, Some(true)), utc);
        assert_eq!(judge(&mut clock(Trust::Trust), RIGHT, Some(false)), utc);
    }

    #[test]
    fn a_trusted_clock_is_not_said_to_come_from_ntp() {
        let source = |trust, synchronised| {
            clock(trust).judge(Clock::now(), Duration::ZERO, RIGHT, Some(synchronised)).source()
        };
        assert_eq!(source(Trust::Trust, false), ClockSource::Trusted);
        assert_eq!(source(Trust::Trust, true), ClockSource::Ntp);
        assert_eq!(source(Trust::Auto, true), ClockSource::Ntp);
        assert_eq!(source(Trust::Auto, false), ClockSource::None);
    }

    #[test]
    fn a_known_clock_stays_known_when_ntp_is_lost() {
        let mut clock = clock(Trust::Auto);
        judge(&mut clock, RIGHT, Some(true));
        assert!(matches!(judge(&mut clock, RIGHT, Some(false)), Time::Utc { .. }));
        assert!(
            matches!(judge(&mut clock, IN_1970, Some(false)), Time::Boot { .. }),
            "unless it jumps to 1970"
        );
    }

    #[test]
    fn a_boot_id_is_32_digits() {
        assert_eq!(parse_boot_id("abc"), None);
        assert_eq!(parse_boot_id(""), None);
        assert!(Clock::new(Trust::Auto, Path::new("/proc")).boot_id().iter().any(|byte| *byte != 0));
    }
}
