//! A question to a time server and its answer, as bytes (RFC 5905, 7.3). Pure.
//!
//! ```text
//! 0  LI, version, mode   1 stratum   2 poll   3 precision   4 root delay   8 root dispersion   12 reference
//! 16 reference time      24 originate: what we called our transmit time    32 receive (T2)     40 transmit (T3)
//! ```
//!
//! A time is seconds since 1900 and 2⁻³² of them; it wraps in 2036, so the era is the one that is nearest to now.

use std::time::Duration;

/// Length of a packet without extensions.
pub const LENGTH: usize = 48;
/// From 1900 to 1970.
const EPOCH: i64 = 2_208_988_800;
/// 2026-01-01: a clock that shows less is wrong, and no sign of the era.
const NOW: i64 = 1_767_225_600;
const ERA: i64 = 1 << 32;
/// A server that is at this stratum or beyond knows no time.
const UNSYNCHRONISED: u8 = 16;
/// What a server says that wants to be left alone; all other codes are about itself.
const KISSES: [&[u8; 4]; 3] = [b"RATE", b"DENY", b"RSTR"];
/// A delay that is negative by more than this is no matter of clocks' steps.
const SLACK: f64 = 0.001;

/// What a server says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reply {
    /// How far it is from a clock: 1 has one, 15 is the furthest.
    pub stratum: u8,
    /// How wrong its own source may be, in seconds.
    pub dispersion: f64,
    /// How much the server is ahead of this machine, in seconds.
    pub offset: f64,
    /// How long the way there and back took, in seconds.
    pub delay: f64,
}

/// Why there is no time in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTime {
    /// It answers something else, or is no answer at all.
    Another,
    /// A kiss of death: `RATE`, `DENY`, `RSTR`.
    Kiss([u8; 4]),
    /// The server itself does not know the time.
    Unsynchronised,
    /// It cannot be.
    Nonsense(&'static str),
}

/// A question; `transmit` is any number, by which its answer is known. What this machine's clock shows is nobody's business.
pub fn request(transmit: u64) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    if let Some(first) = packet.first_mut() {
        // No leap warning, version 4, client.
        *first = 0x23;
    }
    if let Some(field) = packet.last_chunk_mut() {
        *field = transmit.to_be_bytes();
    }
    packet
}

/// Reads the answer; by this machine's clock the question left at `sent` and the answer came at `received`, since 1970.
pub fn reply(packet: &[u8], transmit: u64, sent: Duration, received: Duration) -> Result<Reply, NoTime> {
    let packet = packet.first_chunk::<LENGTH>().ok_or(NoTime::Another)?;
    let [first, stratum, ..] = *packet;
    if first & 0x07 != 4 || number::<8>(packet, 24) != transmit {
        return Err(NoTime::Another);
    }
    let code = (number::<4>(packet, 12) as u32).to_be_bytes();
    if stratum == 0 && KISSES.contains(&&code) {
        return Err(NoTime::Kiss(code));
    }
    // chronyd without a source says stratum 0, and nothing where a kiss would be; ntpd says INIT there, or STEP.
    if stratum == 0 || stratum >= UNSYNCHRONISED || first >> 6 == 3 {
        return Err(NoTime::Unsynchronised);
    }
    let [t2, t3] = [32, 40].map(|at| number::<8>(packet, at));
    if t2 == 0 || t3 == 0 {
        return Err(NoTime::Nonsense("it does not say what time it is"));
    }
    let [t1, t4] = [sent, received].map(|time| time.as_nanos() as i128);
    let [t2, t3] = [t2, t3].map(|stamp| nanoseconds(stamp, sent));
    let (out, back, there) = (t2 - t1, t3 - t4, t3 - t2);
    let delay = ((t4 - t1) - there) as f64 / 1e9;
    if there < 0 || delay < -SLACK {
        return Err(NoTime::Nonsense("its answer left before the question came"));
    }
    Ok(Reply {
        stratum,
        // 16.16 fixed point.
        dispersion: number::<4>(packet, 8) as f64 / 65_536.0,
        offset: (out + back) as f64 / 2e9,
        delay: delay.max(0.0),
    })
}

/// The unsigned number of `N` bytes, at most 8, at a place in a packet.
fn number<const N: usize>(packet: &[u8; LENGTH], at: usize) -> u64 {
    let bytes = packet.iter().skip(at).take(N);
    bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A stamp in nanoseconds since 1970, in the era that is nearest to `near`.
fn nanoseconds(stamp: u64, near: Duration) -> i128 {
    let near = i64::try_from(near.as_secs()).unwrap_or(NOW).max(NOW);
    let seconds = i64::from((stamp >> 32) as u32) - EPOCH;
    let eras = (near - seconds + ERA / 2).div_euclid(ERA);
    let nanoseconds = (u128::from(stamp as u32) * 1_000_000_000) >> 32;
    i128::from(seconds + eras * ERA) * 1_000_000_000 + nanoseconds as i128
}

/// What is made of a packet is a time that can be.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let transmit =
        bytes.get(24..).and_then(<[u8]>::first_chunk).map_or(0, |field| u64::from_be_bytes(*field));
    let sent = Duration::from_secs(NOW as u64 + 1);
    let received = sent + Duration::from_millis(20);
    if let Ok(read) = reply(bytes, transmit, sent, received) {
        assert!((1..UNSYNCHRONISED).contains(&read.stratum));
        assert!((0.0..=0.020_001).contains(&read.delay), "{read:?}");
        assert!((0.0..65_536.0).contains(&read.dispersion), "{read:?}");
        assert!(read.offset.abs() <= ERA as f64 / 2.0 + 1.0, "{read:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: u64 = 0x0123_4567_89ab_cdef;

    fn stamp(time: Duration) -> u64 {
        let seconds = (time.as_secs() as i64 + EPOCH) as u64 % ERA as u64;
        (seconds << 32) | ((u64::from(time.subsec_nanos()) << 32) / 1_000_000_000)
    }

    fn packet(stratum: u8, t2: Duration, t3: Duration) -> [u8; LENGTH] {
        let mut packet = [0; LENGTH];
        packet[0] = 0x24;
        packet[1] = stratum;
        packet[8..12].copy_from_slice(&0x8000_u32.to_be_bytes());
        packet[24..32].copy_from_slice(&KEY.to_be_bytes());
        packet[32..40].copy_from_slice(&stamp(t2).to_be_bytes());
        packet[40..].copy_from_slice(&stamp(t3).to_be_bytes());
        packet
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(1_795_132_800_000 + ms)
    }

    #[test]
    fn offset_and_delay_come_out_of_four_times() {
        // The way takes 10 ms each, the server is 1 s ahead and thinks for 5 ms.
        let read = reply(&packet(2, at(1010), at(1015)), KEY, at(0), at(25)).expect("a reply");
        assert!((read.offset - 1.0).abs() < 1e-6 && (read.delay - 0.020).abs() < 1e-6, "{read:?}");
        assert_eq!((read.stratum, read.dispersion), (2, 0.5));
        let behind = reply(&packet(2, at(0), at(5)), KEY, at(1000), at(1025)).expect("a reply");
        assert!((behind.offset + 1.010).abs() < 1e-6, "{behind:?}");
    }

    #[test]
    fn the_era_is_the_nearest_one_and_never_that_of_a_clock_in_1970() {
        for years in [0, 9, 12, 80, 130] {
            let true_time = at(0) + Duration::from_hours(24 * 365 * years);
            let read = reply(&packet(1, true_time, true_time), KEY, true_time, true_time).expect("a reply");
            assert!(read.offset.abs() < 1e-6, "{years}: {read:?}");
        }
        let unset = Duration::from_secs(42);
        let read = reply(&packet(1, at(0), at(0)), KEY, unset, unset).expect("a reply");
        assert!((read.offset - at(0).saturating_sub(unset).as_secs_f64()).abs() < 1e-6, "{read:?}");
    }

    #[test]
    fn what_is_no_time_says_why() {
        let good = packet(2, at(10), at(10));
        let read = |packet: &[u8]| reply(packet, KEY, at(0), at(20));
        let changed = |place: usize, byte: u8| {
            let mut packet = good;
            packet[place] = byte;
            packet
        };
        assert!(read(&good).is_ok());
        assert!(read(&[&good[..], &[0; 20]].concat()).is_ok(), "extensions are left alone");
        assert_eq!(read(&good[..47]), Err(NoTime::Another));
        assert_eq!(read(&changed(0, 0x23)), Err(NoTime::Another), "a question");
        assert_eq!(read(&changed(24, 0xff)), Err(NoTime::Another), "to another question");
        assert_eq!(read(&changed(0, 0xe4)), Err(NoTime::Unsynchronised));
        assert_eq!(read(&changed(1, 16)), Err(NoTime::Unsynchronised));
        assert_eq!(read(&changed(1, 0)), Err(NoTime::Unsynchronised));
        let mut kiss = changed(1, 0);
        kiss[12..16].copy_from_slice(b"RATE");
        assert_eq!(read(&kiss), Err(NoTime::Kiss(*b"RATE")));
        for starting in [b"INIT", b"STEP"] {
            kiss[12..16].copy_from_slice(starting);
            assert_eq!(read(&kiss), Err(NoTime::Unsynchronised), "it has just started");
        }
        let mut silent = good;
        silent[40..].fill(0);
        assert!(matches!(read(&silent), Err(NoTime::Nonsense(_))));
        assert!(matches!(read(&packet(2, at(10), at(5))), Err(NoTime::Nonsense(_))));
        assert!(
            matches!(read(&packet(2, at(10), at(500))), Err(NoTime::Nonsense(_))),
            "it took longer than all of it"
        );
    }

    #[test]
    fn a_question_tells_nothing_of_this_machine() {
        let packet = request(KEY);
        assert_eq!(packet[0], 0x23);
        assert_eq!(packet[40..], KEY.to_be_bytes());
        assert!(packet[1..40].iter().all(|byte| *byte == 0));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..100), sent: u64, took in 0_u64..10_000_000_000
        ) {
            let sent = Duration::from_nanos(sent);
            let _ = reply(&bytes, KEY, sent, sent + Duration::from_nanos(took));
            if let Some(mut packet) = bytes.first_chunk::<LENGTH>().copied() {
                packet[0] = 0x24;
                packet[24..32].copy_from_slice(&KEY.to_be_bytes());
                if let Ok(read) = reply(&packet, KEY, sent, sent + Duration::from_nanos(took)) {
                    prop_assert!(read.offset.is_finite() && read.delay >= 0.0 && (1..16).contains(&read.stratum));
                }
            }
        }

        #[test]
        fn any_offset_is_found(ahead_ms in -30_000_000_000_i64..30_000_000_000, way_us in 0_u64..500_000) {
            let way = Duration::from_micros(way_us);
            let server = |time: Duration| {
                if ahead_ms < 0 {
                    time.saturating_sub(Duration::from_millis(ahead_ms.unsigned_abs()))
                } else {
                    time + Duration::from_millis(ahead_ms.unsigned_abs())
                }
            };
            let noon = server(at(0) + way);
            let read = reply(&packet(3, noon, noon), KEY, at(0), at(0) + way * 2).expect("a reply");
            prop_assert!((read.offset - ahead_ms as f64 / 1e3).abs() < 1e-5, "{read:?}");
            prop_assert!((read.delay - 2.0 * way.as_secs_f64()).abs() < 1e-5);
        }
    }
}
