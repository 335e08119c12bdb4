//! The hub's own series on the disk: in the tables `series`, `fresh` and `hours` of `hub.db`.
//!
//! Each flush appends one row for each hour that it touches, with the samples of all series; when an hour is over, its rows become one row
//! for each series. So a minute costs one page or two, and a question about one series of a month some hundred small rows.
//!
//! A row's bytes: `01`, then the list of series (rows of `fresh` only), of times, and of values, each as its length in 4 bytes, the
//! lowest first, and pco's own standalone format. Later rows of `fresh` count before earlier ones and before `hours`.
//!
//! Labels are text, in order: `__name__="up",site="hall"` with Rust's escapes undone by hand: each name and value as its length in bytes, a
//! colon, and itself: `8:__name__2:up4:site4:hall`.

use crate::db::{HubDb, HubDbError};
use crate::rack::in_order;
use pco::ChunkConfig;
use pco::data_types::Number;
use pco::standalone::{simple_compress, simple_decompress};
use rackside_promql::{Labels, METRIC_NAME, Sample};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

const HOUR: i64 = 3_600_000;
const VERSION: u8 = 1;
/// An hour is closed so long after its end.
const CLOSES_AFTER: i64 = 120_000;

/// Most bytes of what is kept: a hub of a thousand appliances with the rules that ship writes a sixth of it in thirty days. Beyond, the oldest
/// hours go first.
pub(crate) const BYTES: i64 = 2 << 30;
/// Most samples of one row of `fresh`: packing more at once takes memory.
const AT_ONCE: usize = 8192;
/// Most hours that one flush lets go for want of room.
const HOURS_AT_ONCE: usize = 24;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For how long, in milliseconds; for ever, while nobody vouches for the clock.
    pub(crate) keep: Option<i64>,
    /// Most bytes.
    pub(crate) bytes: i64,
}

/// Series, times and values of a flush.
type Columns = (Vec<i64>, Vec<i64>, Vec<f64>);

/// Rows by series.
pub(crate) type BySeries = BTreeMap<i64, Vec<Sample>>;

/// Writes samples, closes hours that are over, and deletes what is too old or too much; all of it or nothing.
/// Tells what was damaged of what was there: all else is written then.
pub(crate) fn write(
    db: &HubDb,
    samples: &[(Labels, Sample)],
    now: i64,
    limits: Limits,
) -> Result<Option<HubDbError>, HubDbError> {
    let mut damage = None;
    db.with(|connection| {
        let transaction = connection.transaction()?;
        append(&transaction, samples)?;
        let closed = hour(now.saturating_sub(CLOSES_AFTER));
        let open: Vec<i64> = {
            let mut select = transaction
                .prepare_cached("SELECT DISTINCT hour FROM fresh WHERE hour < ?1 ORDER BY hour")?;
            select.query_map([closed], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        for hour in open {
            damage = close(&transaction, hour)?.or(damage.take());
        }
        if let Some(keep) = limits.keep {
            forget(&transaction, hour(now.saturating_sub(keep)))?;
        }
        bound(&transaction, limits.bytes)?;
        transaction.commit()
    })?;
    Ok(damage.map(|what| db.damaged(what)))
}

/// Deletes what is older than an hour.
fn forget(db: &Connection, oldest: i64) -> rusqlite::Result<()> {
    for delete in [
        "DELETE FROM fresh WHERE hour < ?1",
        "DELETE FROM hours WHERE hour < ?1",
        "DELETE FROM series WHERE last_hour < ?1",
    ] {
        db.prepare_cached(delete)?.execute([oldest])?;
    }
    Ok(())
}

/// Deletes the oldest hours, while there are more bytes than that; the newest hour stays.
fn bound(db: &Connection, bytes: i64) -> rusqlite::Result<()> {
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    for _ in 0..HOURS_AT_ONCE {
        let used = (pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?;
        let (oldest, newest): (Option<i64>, Option<i64>) = db
            .prepare_cached("SELECT min(hour), max(hour) FROM (SELECT min(hour) AS hour FROM hours UNION ALL SELECT max(hour) FROM hours UNION ALL SELECT min(hour) FROM fresh UNION ALL SELECT max(hour) FROM fresh)")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (Some(oldest), Some(newest)) = (oldest, newest) else { break };
        if used <= bytes || oldest == newest {
            break;
        }
        forget(db, oldest + 1)?;
    }
    Ok(())
}

fn append(db: &Connection, samples: &[(Labels, Sample)]) -> rusqlite::Result<()> {
    let mut numbers: HashMap<&Labels, (i64, i64)> = HashMap::new();
    let mut hours: BTreeMap<i64, Columns> = BTreeMap::new();
    for (labels, sample) in samples {
        let hour = hour(sample.at);
        let number = match numbers.get(labels) {
            Some(&(number, last)) if last >= hour => number,
            _ => {
                let number = number(db, labels, hour)?;
                numbers.insert(labels, (number, hour));
                number
            }
        };
        let (series, times, values) = hours.entry(hour).or_default();
        series.push(number);
        times.push(sample.at);
        values.push(sample.value);
    }
    for (hour, (series, times, values)) in hours {
        let slices = series.chunks(AT_ONCE).zip(times.chunks(AT_ONCE)).zip(values.chunks(AT_ONCE));
        for ((series, times), values) in slices {
            let mut bytes = vec![VERSION];
            put(&mut bytes, series);
            put(&mut bytes, times);
            put(&mut bytes, values);
            db.prepare_cached("INSERT INTO fresh (hour, samples) VALUES (?1, ?2)")?
                .execute(params![hour, bytes])?;
        }
    }
    Ok(())
}

/// The number of a series, which has a sample in `hour`.
fn number(db: &Connection, labels: &Labels, hour: i64) -> rusqlite::Result<i64> {
    let text = text(labels);
    let known = db
        .prepare_cached("UPDATE series SET last_hour = max(last_hour, ?2) WHERE labels = ?1 RETURNING id")?
        .query_row(params![text, hour], |row| row.get(0))
        .optional()?;
    if let Some(number) = known {
        return Ok(number);
    }
    db.prepare_cached("INSERT INTO series (metric, labels, last_hour) VALUES (?1, ?2, ?3) RETURNING id")?
        .query_row(params![labels.value(METRIC_NAME), text, hour], |row| row.get(0))
}

/// Makes rows of `hours` of those of `fresh`. What is damaged in them is left out, and told.
fn close(db: &Connection, hour: i64) -> rusqlite::Result<Option<String>> {
    let mut damage = None;
    let mut all = BySeries::new();
    for bytes in fresh(db, hour)? {
        let mut put = |series, sample| all.entry(series).or_default().push(sample);
        if let Err(what) = unfold(&bytes, &mut put) {
            damage = Some(format!("samples of hour {hour}: {what}"));
        }
    }
    for (series, samples) in all {
        let mut joined = match stored(db, hour, series)? {
            Some(bytes) => decode(&bytes).unwrap_or_else(|what| {
                damage = Some(format!("series {series} of hour {hour}: {what}"));
                Vec::new()
            }),
            None => Vec::new(),
        };
        joined.extend(samples);
        in_order(&mut joined, 0);
        let mut bytes = vec![VERSION];
        put(&mut bytes, &joined.iter().map(|sample| sample.at).collect::<Vec<_>>());
        put(&mut bytes, &joined.iter().map(|sample| sample.value).collect::<Vec<_>>());
        db.prepare_cached("INSERT OR REPLACE INTO hours (hour, series, samples) VALUES (?1, ?2, ?3)")?
            .execute(params![hour, series, bytes])?;
    }
    db.prepare_cached("DELETE FROM fresh WHERE hour = ?1")?.execute([hour])?;
    Ok(damage)
}

fn fresh(db: &Connection, hour: i64) -> rusqlite::Result<Vec<Vec<u8>>> {
    let mut select = db.prepare_cached("SELECT samples FROM fresh WHERE hour = ?1 ORDER BY id")?;
    select.query_map([hour], |row| row.get(0))?.collect()
}

pub(crate) fn stored(db: &Connection, hour: i64, series: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    db.prepare_cached("SELECT samples FROM hours WHERE hour = ?1 AND series = ?2")?
        .query_row([hour, series], |row| row.get(0))
        .optional()
}

pub(crate) fn hour(at: i64) -> i64 {
    at.div_euclid(HOUR)
}

fn put<T: Number>(bytes: &mut Vec<u8>, list: &[T]) {
    let packed = simple_compress(list, &ChunkConfig::default())
        .expect("the defaults are right, and a list is not too long");
    bytes.extend_from_slice(&(packed.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&packed);
}

fn take<T: Number>(bytes: &mut &[u8]) -> Result<Vec<T>, String> {
    let (length, rest) = bytes.split_first_chunk().ok_or("it ends too early")?;
    let length = u32::from_le_bytes(*length) as usize;
    let (packed, rest) = rest.split_at_checked(length).ok_or("it ends too early")?;
    *bytes = rest;
    simple_decompress(packed).map_err(|error| error.to_string())
}

fn versioned(bytes: &[u8]) -> Result<&[u8], String> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((version, _)) => Err(format!("version {version} is not known")),
        None => Err("it is empty".to_owned()),
    }
}

/// The samples of a row of `hours`.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Sample>, String> {
    let mut rest = versioned(bytes)?;
    let (times, values) = (take::<i64>(&mut rest)?, take::<f64>(&mut rest)?);
    if times.len() != values.len() {
        return Err("times and values do not fit each other".to_owned());
    }
    Ok(times.into_iter().zip(values).map(|(at, value)| Sample::new(at, value)).collect())
}

/// Hands over the samples of a row of `fresh`, each with its series.
pub(crate) fn unfold(bytes: &[u8], put: &mut dyn FnMut(i64, Sample)) -> Result<(), String> {
    let mut rest = versioned(bytes)?;
    let series = take::<i64>(&mut rest)?;
    let (times, values) = (take::<i64>(&mut rest)?, take::<f64>(&mut rest)?);
    if times.len() != values.len() || times.len() != series.len() {
        return Err("series, times and values do not fit each other".to_owned());
    }
    for ((number, at), value) in series.into_iter().zip(times).zip(values) {
        put(number, Sample::new(at, value));
    }
    Ok(())
}

fn text(labels: &Labels) -> String {
    let mut text = String::new();
    for part in labels.iter().flat_map(|label| [&label.name, &label.value]) {
        write!(text, "{}:{part}", part.len()).expect("a String takes everything");
    }
    text
}

pub(crate) fn labels(mut text: &str) -> Option<Labels> {
    let mut part = || {
        let (length, rest) = text.split_once(':')?;
        let (part, rest) = rest.split_at_checked(length.parse().ok()?)?;
        text = rest;
        Some((part, rest.is_empty()))
    };
    let mut pairs = Vec::new();
    while let Some((name, _)) = part() {
        let (value, is_last) = part()?;
        pairs.push((name, value));
        if is_last {
            return Some(Labels::new(pairs));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derived::Derived;
    use rackside_promql::{Matcher, STALE, Stop, Take, Test};
    use std::ops::ControlFlow;
    use std::sync::Arc;

    const NOW: i64 = 1_795_145_119_000;
    const WINDOW: i64 = 900_000;
    const KEEP: i64 = 30 * 24 * HOUR;

    fn up(site: &str) -> Labels {
        Labels::new([(METRIC_NAME, "up"), ("site", site), ("odd", "a:3\",\u{e9}\n")])
    }

    fn open(directory: &tempfile::TempDir, now: i64) -> Derived {
        let db = HubDb::open(directory.path()).expect("it opens");
        Derived::new(Some(Arc::new(db)), WINDOW, now).expect("it is read")
    }

    fn all(derived: &Derived, from: i64, to: i64) -> Vec<(Labels, Vec<Sample>)> {
        let mut all = Vec::new();
        let mut take = |labels: &Labels, samples: &[Sample]| {
            all.push((labels.clone(), samples.to_vec()));
            ControlFlow::Continue(())
        };
        derived.select(&[], (from, to), false, &mut take).expect("it is read");
        all.retain(|(_, samples)| !samples.is_empty());
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    #[test]
    fn labels_come_back_whatever_is_in_them() {
        for set in [up("hall"), Labels::new([(METRIC_NAME, "x")]), Labels::new([("a", "1:2:3")])] {
            assert_eq!(labels(&text(&set)), Some(set));
        }
        for text in ["", "1", "1:", "1:a", "1:a1:", "9:a1:b", "1:a1:bx"] {
            assert_eq!(labels(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_flushed_is_there_after_a_restart_in_memory_and_beyond_the_window() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let derived = open(&directory, NOW);
        let mut expected: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        for step in 0..4 * 60 * 3 {
            let at = NOW + step * 20_000;
            for (site, value) in [("hall", 1.0), ("arena", at as f64 / 7.0), ("club", STALE)] {
                derived.push(&up(site), at, value);
                expected.entry(up(site)).or_default().push(Sample::new(at, value));
            }
            if step % 3 == 2 {
                derived.flush(at, Some(KEEP)).expect("it is written");
            }
        }
        let end = NOW + 4 * HOUR;
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(all(&derived, NOW, end), expected);
        assert!(derived.size().1 < 20_000, "most of it is on the disk: {:?}", derived.size());
        drop(derived);
        let derived = open(&directory, end);
        assert_eq!(all(&derived, NOW, end), expected);
        assert_eq!(all(&derived, end - WINDOW / 2, end)[0].1.len(), 22);
        let matcher = Matcher { name: "site".into(), test: Test::Equal("arena".into()) };
        let mut found = 0;
        let mut take = |labels: &Labels, _: &[Sample]| {
            found += usize::from(labels.value("site") == "arena");
            ControlFlow::Continue(())
        };
        derived.select(&[matcher], (NOW, end), true, &mut take).expect("it is read");
        assert_eq!(found, 1);
    }

    #[test]
    fn what_is_too_old_is_let_go() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let derived = open(&directory, NOW);
        derived.push(&up("hall"), NOW, 1.0);
        derived.flush(NOW, Some(KEEP)).expect("it is written");
        derived.push(&up("arena"), NOW + KEEP, 1.0);
        derived.flush(NOW + KEEP, Some(KEEP)).expect("it is written");
        assert_eq!(all(&derived, 0, i64::MAX / 2).len(), 2, "it is not older than that");
        derived.flush(NOW + KEEP + HOUR, Some(KEEP)).expect("it is written");
        let left = all(&derived, 0, i64::MAX / 2);
        assert_eq!(left.iter().map(|(labels, _)| labels.clone()).collect::<Vec<_>>(), [up("arena")]);
    }

    /// Stops after so many series.
    struct Few(usize, Vec<Labels>);

    impl Take for Few {
        fn series(&mut self, labels: &Labels, _: &[Sample]) -> ControlFlow<()> {
            self.1.push(labels.clone());
            ControlFlow::Continue(())
        }

        fn stopped(&self) -> Option<Stop> {
            (self.1.len() >= self.0).then_some(Stop::Timeout)
        }

        fn warn(&mut self, _: &str) {}
    }

    #[test]
    fn what_is_not_asked_for_is_not_read_from_the_disk() {
        // As they are ordered: by what they are on the disk.
        const SITES: [&str; 3] = ["club", "hall", "arena"];
        let directory = tempfile::tempdir().expect("a temporary directory");
        let derived = open(&directory, NOW);
        let end = NOW + 3 * HOUR;
        for step in 0..=3 * 60 {
            for site in SITES {
                derived.push(&up(site), NOW + step * 60_000, step as f64);
            }
            derived.flush(NOW + step * 60_000, Some(KEEP)).expect("it is written");
        }
        let db = Arc::clone(derived.db().expect("it is kept"));
        let spoil = "UPDATE hours SET samples = x'02' WHERE series <> (SELECT id FROM series WHERE labels LIKE '%club%')";
        let spoilt = db.with(|db| db.execute(spoil, [])).expect("it is written");
        assert!(spoilt > 2);
        let mut one = Few(1, Vec::new());
        derived.select(&[], (NOW, end), false, &mut one).expect("the first is whole, and it is stopped");
        assert_eq!(one.1, [up("club")]);
        let mut newest = Few(9, Vec::new());
        derived.select(&[], (NOW, end), true, &mut newest).expect("memory has the newest");
        let mut names = Few(9, Vec::new());
        derived.names(&[], (i64::MIN, i64::MAX), &mut names).expect("names are not among the samples");
        assert_eq!((newest.1, names.1), (SITES.map(up).into(), SITES.map(up).into()));
        let mut few = Few(2, Vec::new());
        derived.names(&[], (i64::MIN, i64::MAX), &mut few).expect("it is stopped");
        assert_eq!((few.1.len(), db.damaged_rows()), (2, 0));
        for _ in 0..2 {
            derived.select(&[], (NOW, end), false, &mut Few(9, Vec::new())).expect("beside what is damaged");
            assert_eq!(db.damaged_rows(), spoilt as u64);
        }
        assert_eq!(db.new_damage().len(), spoilt);
        assert_eq!(db.new_damage(), [""; 0], "it is told once");
    }

    #[test]
    fn the_newest_is_the_last_of_all_wherever_it_is() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let derived = open(&directory, NOW);
        for step in 0..3 * 60 {
            let at = NOW + step * 60_000;
            if step != 70 {
                derived.push(&up("hall"), at, step as f64);
            }
            derived.flush(at, Some(KEEP)).expect("it is written");
        }
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        for step in 0..3 * 60 + 20 {
            let mut take = |_: &Labels, samples: &[Sample]| {
                found.extend(samples.iter().map(|sample| sample.value));
                ControlFlow::Continue(())
            };
            let to = NOW + step * 60_000 + 1;
            derived.select(&[], (to - 2 * HOUR, to), true, &mut take).expect("it is read");
            expected.push(if step == 70 { 69.0 } else { step.min(179) as f64 });
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn a_damaged_row_is_left_out_and_counted_and_no_panic() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let derived = open(&directory, NOW);
        derived.push(&up("hall"), NOW, 1.5);
        derived.flush(NOW, Some(KEEP)).expect("it is written");
        let db = HubDb::open(directory.path()).expect("a second connection");
        let bytes: Vec<u8> =
            db.with(|db| db.query_row("SELECT samples FROM fresh", [], |row| row.get(0))).expect("one flush");
        for cut in 0..bytes.len() {
            assert!(unfold(&bytes[..cut], &mut |_, _| {}).is_err(), "{cut}");
        }
        db.with(|db| db.execute("UPDATE fresh SET samples = x'02'", [])).expect("it is written");
        derived.push(&up("arena"), NOW, 1.0);
        derived.push(&up("club"), NOW, 1.0);
        derived.flush(NOW, Some(KEEP)).expect("it is written");
        db.with(|db| db.execute("UPDATE series SET labels = '1:2' WHERE labels LIKE '%club%'", []))
            .expect("it is written");
        let db = Arc::new(db);
        let derived = Derived::new(Some(Arc::clone(&db)), WINDOW, NOW).expect("beside what is damaged");
        assert_eq!(all(&derived, 0, NOW), [(up("arena"), vec![Sample::new(NOW, 1.0)])]);
        let told = db.new_damage();
        assert!(told.iter().any(|what| what == "row 1 of fresh: version 2 is not known"), "{told:?}");
        assert!(told.iter().any(|what| what == "row 3 of series: its labels"), "{told:?}");
        assert_eq!((told.len(), db.damaged_rows()), (2, 2));
    }

    fn hours(db: &HubDb) -> (i64, i64, i64) {
        let ask = "SELECT count(DISTINCT hour), min(hour), max(hour) FROM hours";
        db.with(|db| db.query_row(ask, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
            .expect("it is read")
    }

    #[test]
    fn by_a_clock_for_which_nobody_vouches_nothing_is_deleted() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let derived = open(&directory, NOW);
        derived.push(&up("hall"), NOW, 1.0);
        derived.flush(NOW, Some(KEEP)).expect("it is written");
        for years in 1..4 {
            derived.push(&up("hall"), NOW + years * 12 * KEEP, 1.0);
            derived.flush(NOW + years * 12 * KEEP, None).expect("it is written");
        }
        assert_eq!(all(&derived, 0, i64::MAX / 2)[0].1.len(), 4);
        derived.flush(NOW + 36 * KEEP, Some(KEEP)).expect("it is written");
        assert_eq!(all(&derived, 0, i64::MAX / 2)[0].1.len(), 1, "now somebody does");
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes_and_the_oldest_goes_first() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let db = HubDb::open(directory.path()).expect("it opens");
        let limits = Limits { keep: Some(KEEP), bytes: 1 << 20 };
        let write_hour = |hours: i64, samples: i64| {
            let at = NOW + hours * HOUR;
            let noise = |n: i64| (at / HOUR + n).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) as f64;
            let samples: Vec<_> = (0..samples).map(|n| (up("hall"), Sample::new(at + n, noise(n)))).collect();
            assert_eq!(write(&db, &samples, at, limits), Ok(None));
        };
        (0..40).for_each(|hours| write_hour(hours, 9));
        let whole = hours(&db);
        assert_eq!(whole, (39, whole.1, whole.1 + 38), "they fit");
        (40..140).for_each(|hours| write_hour(hours, 2400));
        drop(db);
        let size = std::fs::metadata(directory.path().join(crate::FILE)).expect("it is there").len();
        assert!(size < 3 << 19, "{size}");
        let db = HubDb::open(directory.path()).expect("it opens");
        let (count, oldest, newest) = hours(&db);
        assert_eq!((count, newest), (newest - oldest + 1, whole.1 + 138));
        assert!((60..120).contains(&count), "{count}");
    }
}
