//! Catalogs on disk: their bytes, and which series of the agent each position is.
//!
//! A series gets its number when a catalog first lists it, so that readers know it before its first sample is in a chunk.

use crate::{Labels, SeriesKey};
use rackside_proto::{Catalog, Data, Kind, Scale, Series, Value};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::{HashMap, HashSet};

/// A position whose samples are not kept: the catalog lists the series twice, or its name is the hub's own.
pub(crate) const NOT_KEPT: u32 = u32::MAX;

/// A catalog that came so lately is not noted again.
const SEEN_MS: u64 = 600_000;

/// What it takes to read the readings of a catalog.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) references: Vec<Value>,
    /// By position: the agent's series, or [`NOT_KEPT`].
    pub(crate) series: Vec<u32>,
}

/// Decodes a catalog's bytes as they are kept, and hands it to `with`.
pub(crate) fn decode<T>(body: &[u8], with: impl FnOnce(&Catalog<'_>) -> T) -> Option<T> {
    let mut record = Vec::with_capacity(body.len() + 1);
    Data::encode_catalog(body, &mut record).ok()?;
    match Data::decode(&record) {
        Ok(Data::Catalog(catalog)) => Some(with(&catalog)),
        Ok(Data::Readings(_)) | Err(_) => None,
    }
}

/// The listing of a catalog, if it is known.
pub(crate) fn listing(
    db: &Connection,
    agent: u32,
    run: u32,
    number: u32,
) -> rusqlite::Result<Option<Listing>> {
    let mut select =
        db.prepare_cached("SELECT body, series FROM catalogs WHERE agent = ?1 AND run = ?2 AND number = ?3")?;
    let found = select
        .query_row(params![agent, run, number], |row| {
            let body = row.get_ref(0)?.as_blob()?;
            let ids = row.get_ref(1)?.as_blob()?;
            let references =
                decode(body, |catalog| catalog.series().map(|series| series.reference).collect());
            Ok(references.map(|references: Vec<Value>| Listing { references, series: from_bytes(ids) }))
        })
        .optional()?
        .flatten();
    Ok(found.filter(|listing| listing.references.len() == listing.series.len()))
}

/// Keeps a catalog, unless it is there already. Says whether it could be read.
pub(crate) fn keep(
    db: &Connection,
    (agent, run, number): (u32, u32, u32),
    received_ms: u64,
    body: &[u8],
) -> rusqlite::Result<bool> {
    let known = db
        .prepare_cached("SELECT id, received_ms FROM catalogs WHERE agent = ?1 AND run = ?2 AND number = ?3")?
        .query_row(params![agent, run, number], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    if let Some((id, before_ms)) = known {
        // Given again, it is needed again; but a birth on each connection is not worth a page each.
        if before_ms.abs_diff(received_ms as i64) > SEEN_MS {
            db.prepare_cached("UPDATE catalogs SET received_ms = ?2 WHERE id = ?1")?
                .execute(params![id, received_ms as i64])?;
        }
        return Ok(true);
    }
    let Some(keys) = decode(body, |catalog| catalog.series().map(|series| key(&series)).collect::<Vec<_>>())
    else {
        return Ok(false);
    };
    let ids = number_series(db, agent, keys)?;
    db.prepare_cached(
        "INSERT INTO catalogs (agent, run, number, received_ms, series, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![agent, run, number, received_ms as i64, to_bytes(&ids), body])?;
    Ok(true)
}

/// The agent's series, by number.
pub(crate) fn series(db: &Connection, agent: u32) -> rusqlite::Result<Vec<(u32, SeriesKey)>> {
    let mut select = db.prepare_cached(
        "SELECT id, name, labels, unit, kind, times, per FROM series WHERE agent = ?1 ORDER BY id",
    )?;
    select.query_map([agent], |row| Ok((row.get(0)?, key_from_row(row)?)))?.collect()
}

/// One series of the agent.
pub(crate) fn one_series(db: &Connection, agent: u32, id: u32) -> rusqlite::Result<Option<SeriesKey>> {
    db.prepare_cached(
        "SELECT id, name, labels, unit, kind, times, per FROM series WHERE agent = ?1 AND id = ?2",
    )?
    .query_row([agent, id], key_from_row)
    .optional()
}

/// Writes rows of `series` anew from the catalogs that list them.
pub(crate) fn restore_series(db: &Connection) -> rusqlite::Result<()> {
    let mut select = db.prepare("SELECT agent, series, body FROM catalogs")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let agent: u32 = row.get(0)?;
        let ids = from_bytes(row.get_ref(1)?.as_blob()?);
        let keys = decode(row.get_ref(2)?.as_blob()?, |catalog| {
            catalog.series().map(|series| key(&series)).collect::<Vec<_>>()
        });
        for (id, key) in ids.into_iter().zip(keys.unwrap_or_default()).filter(|(id, _)| *id != NOT_KEPT) {
            insert_series(db, "OR IGNORE", (agent, id), &key)?;
        }
    }
    Ok(())
}

fn insert_series(
    db: &Connection,
    conflict: &str,
    (agent, id): (u32, u32),
    key: &SeriesKey,
) -> rusqlite::Result<()> {
    db.prepare_cached(&format!(
        "INSERT {conflict} INTO series (agent, id, name, labels, unit, kind, times, per)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
    ))?
    .execute(params![
        agent,
        id,
        &*key.name,
        labels_to_text(&key.labels),
        &*key.unit,
        kind_to_number(key.kind),
        key.scale.times,
        key.scale.per
    ])?;
    Ok(())
}

fn number_series(db: &Connection, agent: u32, keys: Vec<SeriesKey>) -> rusqlite::Result<Vec<u32>> {
    let known = series(db, agent)?;
    let mut next = known.last().map_or(1, |(id, _)| id + 1);
    let mut known: HashMap<SeriesKey, u32> = known.into_iter().map(|(id, key)| (key, id)).collect();
    let mut listed = HashSet::new();
    let mut ids = Vec::with_capacity(keys.len());
    for key in keys {
        // One name and one set of labels is one series, whatever its unit or scale.
        if is_of_the_hub(&key.name) || !listed.insert((key.name.clone(), key.labels.clone())) {
            ids.push(NOT_KEPT);
            continue;
        }
        if let Some(&id) = known.get(&key) {
            ids.push(id);
            continue;
        }
        insert_series(db, "", (agent, next), &key)?;
        ids.push(next);
        known.insert(key, next);
        next += 1;
    }
    Ok(ids)
}

/// Names that the hub itself serves are not for agents.
pub(crate) fn is_of_the_hub(name: &str) -> bool {
    name.starts_with("rackside_hub_") || name == "rackside_appliance_up"
}

fn key(series: &Series<'_>) -> SeriesKey {
    // A label without a value is none; sorted, so that two orders of the same labels are the same series.
    let mut labels: Labels = series
        .labels
        .iter()
        .filter(|label| !label.value.is_empty())
        .map(|label| (label.name.into(), label.value.into()))
        .collect();
    labels.sort();
    SeriesKey {
        name: series.name.into(),
        labels,
        unit: series.unit.into(),
        kind: series.kind,
        scale: series.scale,
    }
}

/// A line `name=value` each. Values may hold any text: backslash, line feed and zero are written `\\`, `\n`, `\0`.
fn labels_to_text(labels: &[(Box<str>, Box<str>)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        text.push_str(name);
        text.push('=');
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\0' => text.push_str("\\0"),
                c => text.push(c),
            }
        }
        text.push('\n');
    }
    text
}

fn labels_from_text(text: &str) -> Option<Labels> {
    text.split_terminator('\n')
        .map(|line| {
            let (name, escaped) = line.split_once('=')?;
            let mut value = String::with_capacity(escaped.len());
            let mut chars = escaped.chars();
            while let Some(c) = chars.next() {
                value.push(match c {
                    '\\' => match chars.next()? {
                        'n' => '\n',
                        '0' => '\0',
                        '\\' => '\\',
                        _ => return None,
                    },
                    c => c,
                });
            }
            Some((name.into(), value.into()))
        })
        .collect()
}

fn key_from_row(row: &Row<'_>) -> rusqlite::Result<SeriesKey> {
    let bad = |column, why: &str| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why.into())
    };
    Ok(SeriesKey {
        name: row.get(1)?,
        labels: labels_from_text(row.get_ref(2)?.as_str()?).ok_or_else(|| bad(2, "labels of a series"))?,
        unit: row.get(3)?,
        kind: kind_from_number(row.get(4)?).ok_or_else(|| bad(4, "kind of a series"))?,
        scale: Scale { times: row.get(5)?, per: row.get(6)? },
    })
}

/// Whether what a row of `series` says can be read.
pub(crate) fn is_series(kind: Option<i64>, labels: Option<&str>) -> bool {
    kind.and_then(|kind| kind_from_number(kind.try_into().ok()?)).is_some()
        && labels.and_then(labels_from_text).is_some()
}

const fn kind_to_number(kind: Kind) -> u8 {
    match kind {
        Kind::Gauge => 0,
        Kind::Counter => 1,
        Kind::State => 2,
    }
}

const fn kind_from_number(number: u8) -> Option<Kind> {
    match number {
        0 => Some(Kind::Gauge),
        1 => Some(Kind::Counter),
        2 => Some(Kind::State),
        _ => None,
    }
}

fn to_bytes(ids: &[u32]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.to_le_bytes()).collect()
}

fn from_bytes(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_any_text_come_back() {
        let labels: Labels = [("mount", "/\nsrv\\n=\0ü"), ("z", "a=b")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        assert_eq!(labels_from_text(&labels_to_text(&labels)), Some(labels));
        assert_eq!(labels_from_text(""), Some([].into()));
    }
}
