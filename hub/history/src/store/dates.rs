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

/// Whether the hub's clock can be believed: nothing is deleted by a clock that nobody confirmed.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    confirmed: bool,
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
                "the clock jumped; nothing old is deleted until an appliance with a clock agrees with it"
            );
        }
        self.confirmed &= !jumped;
        self.between_ms = Some(between);
    }

    /// A live record of an agent that knows the time.
    pub(crate) fn hear(&mut self, time: Time, received_ms: u64) {
        if let Time::Utc { ms } = time {
            self.confirmed |= ms.abs_diff(received_ms) <= AGREES_MS;
        }
    }

    /// Whether an agent's clock agreed since the last jump.
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
    let (ms, dated) = match time {
        Time::Utc { ms } => {
            let said = if trust.is_confirmed() { None } else { dated(time, false, received_ms) };
            (ms, said.or_else(|| dated(time, live, received_ms)))
        }
        Time::Boot { boot, ms } => {
            let offset = offset(db, agent, boot)?;
            (ms, offset.and_then(|offset| offset.ms.checked_add_unsigned(ms)).map(|ms| ms as u64))
        }
    };
    let plausible = EARLIEST_MS..=received_ms.saturating_add(AHEAD_MS);
    Ok(dated.filter(|dated| plausible.contains(dated)).map(|dated| dated.wrapping_sub(ms) as i64))
}

/// When a boot was.
#[derive(Debug, Clone, Copy)]
struct Offset {
    /// To be added to the boot's clock.
    ms: i64,
    /// The boot's clock when that was found.
    at_ms: u64,
    /// Whether the agent itself said so.
    anchored: bool,
}

fn offset(db: &Connection, agent: u32, boot: u32) -> rusqlite::Result<Option<Offset>> {
    db.prepare_cached("SELECT offset_ms, at_ms, anchored FROM boots WHERE agent = ?1 AND boot = ?2")?
        .query_row([agent, boot], |row| {
            Ok(Offset { ms: row.get(0)?, at_ms: row.get::<_, i64>(1)? as u64, anchored: row.get(2)? })
        })
        .optional()
}

/// A live record came with its boot's time: the hub's clock dates the boot, as long as no anchor does. Says whether the
/// boot's date is new.
pub(crate) fn see_live(
    db: &Connection,
    agent: u32,
    (boot, ms): (u32, u64),
    received_ms: u64,
) -> rusqlite::Result<bool> {
    let seen = received_ms.wrapping_sub(ms) as i64;
    if received_ms < EARLIEST_MS || seen < 0 {
        return Ok(false);
    }
    let Some(before) = offset(db, agent, boot)? else {
        return set(db, (agent, boot), Offset { ms: seen, at_ms: ms, anchored: false }, received_ms);
    };
    if before.anchored {
        return Ok(false);
    }
    // A record that was held up says too much and one that came sooner says better; a slow oscillator says ever more.
    let drift = (ms.saturating_sub(before.at_ms) / DRIFT) as i64;
    let better = seen.min(before.ms + drift);
    if (better - before.ms).abs() < STEADY_MS {
        return Ok(false);
    }
    set(db, (agent, boot), Offset { ms: better, at_ms: ms, anchored: false }, received_ms)
}

/// The agent says when its boot was. Says whether that can be.
pub(crate) fn see_anchor(
    db: &Connection,
    agent: u32,
    (boot, boot_ms): (u32, u64),
    utc_ms: u64,
    received_ms: u64,
) -> rusqlite::Result<bool> {
    let offset = utc_ms.wrapping_sub(boot_ms) as i64;
    if dated(Time::Utc { ms: utc_ms }, false, received_ms).is_none() || offset < 0 {
        return Ok(false);
    }
    set(db, (agent, boot), Offset { ms: offset, at_ms: boot_ms, anchored: true }, received_ms)
}

fn set(
    db: &Connection,
    (agent, boot): (u32, u32),
    offset: Offset,
    received_ms: u64,
) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO boots (agent, boot, offset_ms, at_ms, anchored, set_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        agent,
        boot,
        offset.ms,
        offset.at_ms as i64,
        offset.anchored,
        received_ms as i64
    ])?;
    Ok(true)
}
