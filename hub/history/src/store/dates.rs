//! Dates: when the boots of the Pis were, and whether the hub's own clock can be believed.
//!
//! A record is dated once, at its commit, by a shift that is added to the agent's own time: 0 where the agent knew the time.
//! What cannot be dated waits in `undated` until its boot can.

use crate::dating::{AHEAD_MS, EARLIEST_MS, dated};
use rackside_proto::Time;
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

/// A live record's clock within this of the hub's confirms it; more than this apart is a jump.
const AGREES_MS: u64 = 600_000;
/// An offset is written anew only when it is off by more.
const STEADY_MS: i64 = 1_000;
/// The Pi's oscillator is off by less than one in so many: so fast, and no faster, may an offset grow.
const DRIFT: u64 = 10_000;

/// 2126-01-01: no agent says a later moment and means it.
const LATEST_MS: u64 = 4_922_899_200_000;
/// A date that was too late is corrected by one millisecond in so many.
const SLEW: u64 = 8;
/// An anchor that says nearly what the hub found takes over without a step. Else what the hub found was wrong.
const ANCHOR_NEAR_MS: u64 = 60_000;
/// Most segments of a boot; the oldest are forgotten.
const SEGMENTS: usize = 256;
/// Bytes of a segment.
const SEGMENT: usize = 24;

/// Whether the hub's clock can be believed: nothing is deleted by a clock that nobody confirmed.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    confirmed: bool,
    /// Whether the last agent with a clock said otherwise.
    contradicted: bool,
    /// The wall clock less the monotonic one, in milliseconds.
    between_ms: Option<i64>,
}

impl Trust {
    /// Both clocks as they are now. A jump of the one against the other ends trust.
    pub(crate) fn look(&mut self, now_ms: u64, monotonic: Duration) {
        let between = now_ms as i64 - monotonic.as_millis() as i64;
        let jumped = self.between_ms.is_some_and(|before| before.abs_diff(between) > AGREES_MS);
        if jumped {
            log::warn!(
                "the clock jumped; nothing old is deleted until NTP, or an appliance with a clock, agrees with it"
            );
            self.contradicted = false;
        }
        self.confirmed &= !jumped;
        self.between_ms = Some(between);
    }

    /// A live record of an agent that knows the time. Says whether that confirmed the hub's clock just now.
    pub(crate) fn hear(&mut self, time: Time, received_ms: u64) -> bool {
        let Time::Utc { ms } = time else { return false };
        if ms < EARLIEST_MS {
            return false;
        }
        self.contradicted = ms.abs_diff(received_ms) > AGREES_MS;
        !self.contradicted && !std::mem::replace(&mut self.confirmed, true)
    }

    /// This machine's kernel says that its clock is synchronised: where no venue has NTP, nobody else can. An agent that
    /// knows better counts more. Says whether that confirmed the clock just now.
    pub(crate) const fn vouch(&mut self) -> bool {
        !self.contradicted && !std::mem::replace(&mut self.confirmed, true)
    }

    /// Whether NTP vouched for it, or an agent's clock agreed, since the last jump.
    pub(crate) const fn is_confirmed(&self) -> bool {
        self.confirmed
    }
}

/// What is to be added to `time` to date it; `None` when nobody knows.
///
/// While nobody confirmed the hub's clock, an agent that says it knows the time is believed before the hub.
pub(crate) fn shift(
    db: &Connection,
    agent: u32,
    time: Time,
    (live, received_ms): (bool, u64),
    trust: &Trust,
) -> rusqlite::Result<Option<i64>> {
    let latest = if trust.is_confirmed() { received_ms.saturating_add(AHEAD_MS) } else { LATEST_MS };
    let dated = match time {
        Time::Utc { ms } if !trust.is_confirmed() && (EARLIEST_MS..=latest).contains(&ms) => Some(ms),
        Time::Utc { .. } => dated(time, live, received_ms),
        Time::Boot { boot, ms } => Boot::load(db, (agent, boot))?.and_then(|found| found.date(ms)),
    };
    let (Time::Utc { ms } | Time::Boot { ms, .. }) = time;
    Ok(dated
        .filter(|dated| (EARLIEST_MS..=latest).contains(dated))
        .map(|dated| dated.wrapping_sub(ms) as i64))
}

/// When a boot was: which moment of the calendar each moment of its clock is.
///
/// Invariant: later moments get later dates, whatever is learned when. What was dated by one segment keeps that date, and
/// so does what comes in late from its time; a better date begins beyond all that.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Boot {
    /// In order; the first one also holds for what lies ahead of it.
    segments: Vec<Segment>,
    /// Whether the agent itself said so.
    anchored: bool,
}

/// From a moment of the boot's clock on: what is added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    from_ms: u64,
    /// At `from_ms`...
    start: i64,
    /// ...and in the end: at once if that is later, slowly if it is earlier.
    target: i64,
}

impl Segment {
    fn offset(&self, ms: u64) -> i64 {
        let since = (ms.saturating_sub(self.from_ms) / SLEW) as i64;
        if ms <= self.from_ms { self.start } else { self.target.max(self.start.saturating_sub(since)) }
    }
}

impl Boot {
    fn at(offset: i64, from_ms: u64, anchored: bool) -> Self {
        Self { segments: vec![Segment { from_ms, start: offset, target: offset }], anchored }
    }

    fn segment(&self, ms: u64) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| segment.from_ms <= ms);
        self.segments.get(after.saturating_sub(1))
    }

    fn date(&self, ms: u64) -> Option<u64> {
        let dated = self.segment(ms)?.offset(ms).checked_add_unsigned(ms)?;
        u64::try_from(dated).ok()
    }

    /// Beyond `from_ms`, the offset goes towards `target`.
    fn steer(&mut self, from_ms: u64, target: i64) {
        let from_ms = self.segments.last().map_or(from_ms, |last| last.from_ms.max(from_ms));
        let start = self.segment(from_ms).map_or(target, |segment| segment.offset(from_ms));
        if self.segments.last().is_some_and(|last| last.from_ms == from_ms) {
            self.segments.pop();
        }
        self.segments.push(Segment { from_ms, start, target });
        if self.segments.len() > SEGMENTS {
            self.segments.remove(0);
        }
    }

    fn load(db: &Connection, (agent, boot): (u32, u32)) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached("SELECT segments, anchored FROM boots WHERE agent = ?1 AND boot = ?2")?
            .query_row([agent, boot], |row| {
                let bytes = row.get_ref(0)?.as_blob()?;
                let segments = bytes.as_chunks::<SEGMENT>().0.iter().map(segment_from_bytes).collect();
                Ok(Self { segments, anchored: row.get(1)? })
            })
            .optional()
    }

    fn save(&self, db: &Connection, (agent, boot): (u32, u32), received_ms: u64) -> rusqlite::Result<()> {
        let bytes: Vec<u8> = self.segments.iter().flat_map(segment_to_bytes).collect();
        db.prepare_cached(
            "INSERT OR REPLACE INTO boots (agent, boot, segments, anchored, set_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![agent, boot, bytes, self.anchored, received_ms as i64])?;
        Ok(())
    }
}

fn segment_to_bytes(segment: &Segment) -> [u8; SEGMENT] {
    let parts = [segment.from_ms, segment.start as u64, segment.target as u64].map(u64::to_le_bytes);
    let mut bytes = [0; SEGMENT];
    bytes.as_chunks_mut::<8>().0.copy_from_slice(&parts);
    bytes
}

fn segment_from_bytes(bytes: &[u8; SEGMENT]) -> Segment {
    let mut parts = bytes.as_chunks::<8>().0.iter().map(|part| u64::from_le_bytes(*part));
    let mut next = || parts.next().unwrap_or_default();
    Segment { from_ms: next(), start: next() as i64, target: next() as i64 }
}

/// A live record came with its boot's time: the hub's clock dates the boot, as long as no anchor does. `latest_ms` is the
/// latest moment of the boot that was dated so far. Says whether the boot's date is new.
pub(crate) fn see_live(
    db: &Connection,
    agent: u32,
    (boot, ms, latest_ms): (u32, u64, u64),
    received_ms: u64,
) -> rusqlite::Result<bool> {
    let seen = received_ms.wrapping_sub(ms) as i64;
    if received_ms < EARLIEST_MS || seen < 0 {
        return Ok(false);
    }
    let mut found = match Boot::load(db, (agent, boot))? {
        Some(found) if found.anchored => return Ok(false),
        Some(found) => found,
        None => {
            Boot::at(seen, ms, false).save(db, (agent, boot), received_ms)?;
            return Ok(true);
        }
    };
    let Some(last) = found.segments.last().copied() else { return Ok(false) };
    if last.target.abs_diff(seen) > AGREES_MS {
        // Nothing live is held up for so long: the hub's clock was set.
        Boot::at(seen, ms, false).save(db, (agent, boot), received_ms)?;
        return Ok(true);
    }
    // A record that was held up says too much and one that came sooner says better; a slow oscillator says ever more.
    let drift = (ms.saturating_sub(last.from_ms) / DRIFT) as i64;
    let better = seen.min(last.target + drift);
    if (better - last.target).abs() < STEADY_MS {
        return Ok(false);
    }
    found.steer(ms.max(latest_ms), better);
    found.save(db, (agent, boot), received_ms)?;
    Ok(true)
}

/// The agent says when its boot was. Says whether that can be.
pub(crate) fn see_anchor(
    db: &Connection,
    agent: u32,
    (boot, boot_ms, latest_ms): (u32, u64, u64),
    (utc_ms, received_ms): (u64, u64),
    trust: &Trust,
) -> rusqlite::Result<bool> {
    let offset = utc_ms.wrapping_sub(boot_ms) as i64;
    let utc = Time::Utc { ms: utc_ms };
    if offset < 0 || shift(db, agent, utc, (false, received_ms), trust)?.is_none() {
        return Ok(false);
    }
    let near = |found: &Boot| {
        found.segments.last().is_some_and(|last| last.target.abs_diff(offset) < ANCHOR_NEAR_MS)
    };
    let found = match Boot::load(db, (agent, boot))?.filter(near) {
        Some(mut found) => {
            found.steer(boot_ms.max(latest_ms), offset);
            Boot { anchored: true, ..found }
        }
        None => Boot::at(offset, boot_ms, true),
    };
    found.save(db, (agent, boot), received_ms)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_vouches_for_a_clock_that_no_agent_contradicts() {
        const NOW: u64 = EARLIEST_MS + 1_000_000_000;
        let mut trust = Trust::default();
        trust.look(NOW, Duration::ZERO);
        assert_eq!((trust.vouch(), trust.vouch(), trust.is_confirmed()), (true, false, true));
        trust.look(NOW + 2 * AGREES_MS, Duration::ZERO);
        assert!(!trust.is_confirmed(), "it jumped");
        assert!(!trust.hear(Time::Utc { ms: NOW }, NOW + 2 * AGREES_MS));
        assert_eq!((trust.vouch(), trust.is_confirmed()), (false, false), "an agent knows better");
        assert!(trust.hear(Time::Utc { ms: NOW }, NOW + AGREES_MS));
        assert!(trust.is_confirmed());
    }

    #[test]
    fn dates_of_a_boot_rise_whatever_is_learned() {
        let mut boot = Boot::at(100_000, 5_000, false);
        boot.steer(20_000, 96_000);
        boot.steer(30_000, 97_500);
        boot.steer(30_000, 93_000);
        boot.steer(25_000, 99_000);
        let dates: Vec<u64> = (0..200_000).step_by(10).map(|ms| boot.date(ms).expect("is dated")).collect();
        assert!(dates.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(boot.date(20_000), Some(120_000), "what was dated keeps its date");
        assert_eq!(boot.date(190_000), Some(289_000));
    }

    #[test]
    fn segments_come_back_from_their_bytes() {
        let segment = Segment { from_ms: 7, start: -5, target: i64::MAX };
        assert_eq!(segment_from_bytes(&segment_to_bytes(&segment)), segment);
    }

    #[test]
    fn a_boot_with_many_corrections_stays_small() {
        let mut boot = Boot::at(0, 0, false);
        (0..1_000).for_each(|n| boot.steer(n * 10_000, n as i64 * 1_000));
        assert_eq!(boot.segments.len(), SEGMENTS);
    }
}
