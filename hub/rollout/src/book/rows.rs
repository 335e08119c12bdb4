//! From rows to members, and back.

use super::digest_of;
use crate::roll_out::{Member, RollOut, State, Step, Told};
use rackside_proto::AgentName;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;

type Appliance = (String, String, String, u32, String);

pub(super) fn appliances(db: &Connection) -> rusqlite::Result<Vec<Appliance>> {
    let mut select = db.prepare_cached(
        "SELECT site, appliance, sent, revision, counts FROM appliances ORDER BY site, appliance",
    )?;
    let rows =
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
    rows.collect()
}

pub(super) fn texts(db: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut select = db.prepare_cached("SELECT digest, text FROM texts")?;
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Writes a member as it stands.
pub(super) fn put(db: &Connection, roll_out: i64, member: &Member) -> rusqlite::Result<()> {
    let Member { name, before, after, stage, step, note: _ } = member;
    let none = Told::default();
    let told = step.told();
    let Told { at, revision, up_since, gone_since, alerts } = told.unwrap_or(&none);
    let well_since = if let Step::Applied { well_since, .. } = step { Some(*well_since) } else { None };
    let (why, has_it) =
        if let Step::Failed { why, has_it, .. } = step { (why.as_str(), *has_it) } else { ("", false) };
    db.prepare_cached(
        "INSERT OR REPLACE INTO members
           (roll_out, site, appliance, before, after, stage, step, at, revision, up_since, gone_since, well_since, alerts, why, has_it)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        roll_out,
        name.site.as_str(),
        name.appliance.as_str(),
        before,
        after,
        stage.map(|stage| stage as i64),
        step.as_str(),
        told.map(|_| at),
        told.map(|_| revision),
        up_since,
        gone_since,
        well_since,
        alerts.join("\n"),
        why,
        has_it
    ])
    .map(drop)
}

/// Writes what a member has now, by its step.
pub(super) fn has(db: &Connection, member: &Member) -> rusqlite::Result<()> {
    let Some(told) = member.step.told() else { return Ok(()) };
    let counts = match &member.step {
        Step::Applied { .. } | Step::Proven(_) | Step::Failed { has_it: true, .. } => Some(&member.after),
        Step::Failed { .. } => Some(&member.before),
        Step::Due | Step::Told(_) => None,
    };
    db.prepare_cached(
        "INSERT INTO appliances (site, appliance, sent, revision, counts) VALUES (?1, ?2, ?3, ?4, coalesce(?5, ?6))
         ON CONFLICT (site, appliance) DO UPDATE SET sent = ?3, revision = ?4, counts = coalesce(?5, counts)",
    )?
    .execute(params![
        member.name.site.as_str(),
        member.name.appliance.as_str(),
        member.after,
        told.revision,
        counts,
        digest_of("")
    ])
    .map(drop)
}

/// Forgets roll-outs up to this one, and texts that nobody has any more.
pub(super) fn forget(db: &Connection, up_to: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM members WHERE roll_out <= ?1", [up_to])?;
    db.execute("DELETE FROM roll_outs WHERE id <= ?1", [up_to])?;
    db.execute(
        "DELETE FROM texts WHERE digest NOT IN (SELECT before FROM members UNION SELECT after FROM members
           UNION SELECT sent FROM appliances UNION SELECT counts FROM appliances UNION SELECT digest FROM base_files)",
        [],
    )
    .map(drop)
}

/// A roll-out with its members. None, if what is written makes no sense.
pub(super) fn roll_out(db: &Connection, id: i64) -> rusqlite::Result<Option<RollOut>> {
    let head = db
        .prepare_cached(
            "SELECT back_of, by, begun_at, stages, wait, on_air_too, stage, state, ended_at, why FROM roll_outs WHERE id = ?1",
        )?
        .query_row([id], |row| {
            let stages: String = row.get(3)?;
            let (state, at, why): (String, Option<i64>, String) = (row.get(7)?, row.get(8)?, row.get(9)?);
            let at = at.unwrap_or_default();
            let state = match state.as_str() {
                "running" => Some(State::Running),
                "done" => Some(State::Done { at }),
                "stopped" => Some(State::Stopped { at, why }),
                _ => None,
            };
            let Some((stages, state)) = stages.parse().ok().zip(state) else { return Ok(None) };
            Ok(Some(RollOut {
                id,
                back_of: row.get(0)?,
                by: row.get(1)?,
                begun_at: row.get(2)?,
                stages,
                wait: row.get(4)?,
                on_air_too: row.get(5)?,
                stage: usize::try_from(row.get::<_, i64>(6)?).unwrap_or_default(),
                state,
                members: Vec::new(),
            }))
        })
        .optional()?
        .flatten();
    let Some(mut head) = head else { return Ok(None) };
    let mut select = db.prepare_cached(
        "SELECT site, appliance, before, after, stage, step, at, revision, up_since, gone_since, well_since, alerts, why, has_it
         FROM members WHERE roll_out = ?1 ORDER BY site, appliance",
    )?;
    let members: Vec<Option<Member>> = select.query_map([id], member)?.collect::<Result<_, _>>()?;
    let Some(members) = members.into_iter().collect() else { return Ok(None) };
    head.members = members;
    Ok(Some(head))
}

fn member(row: &Row<'_>) -> rusqlite::Result<Option<Member>> {
    let (site, appliance): (String, String) = (row.get(0)?, row.get(1)?);
    let Ok(name) = AgentName::new(&site, &appliance) else { return Ok(None) };
    let alerts: String = row.get(11)?;
    let told = Told {
        at: row.get::<_, Option<i64>>(6)?.unwrap_or_default(),
        revision: row.get::<_, Option<u32>>(7)?.unwrap_or_default(),
        up_since: row.get(8)?,
        gone_since: row.get(9)?,
        alerts: alerts.lines().map(str::to_owned).collect(),
    };
    let step: String = row.get(5)?;
    let step = match step.as_str() {
        "due" => Step::Due,
        "told" => Step::Told(told),
        "applied" => Step::Applied { well_since: row.get::<_, Option<i64>>(10)?.unwrap_or(told.at), told },
        "proven" => Step::Proven(told),
        "failed" => Step::Failed { told, why: row.get(12)?, has_it: row.get(13)? },
        _ => return Ok(None),
    };
    let stage: Option<i64> = row.get(4)?;
    let stage = stage.and_then(|stage| usize::try_from(stage).ok());
    let (before, after) = (row.get(2)?, row.get(3)?);
    Ok(Some(Member { name, before, after, stage, step, note: String::new() }))
}
