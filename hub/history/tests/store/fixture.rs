//! Databases that each version wrote, for ever: what a hub has on its disk must not depend on which version put it there.
//!
//! `history-v2.db` has something in every table; `history-v2.txt` is what a reader saw of it then. Neither is written again
//! once a release has written such files; a later schema adds its own (`write_the_fixture_of_a_new_version`). Version 1 had no log of what events set.

use crate::rack::{DAY, DAY0, HOUR, MINUTE, Rack, batch, known, open, settle, utc};
use rackside_history::rollup::Bucket;
use rackside_history::{Account, Batch, Happened, LogEntry, LogQuery, NewRecord, Resolution, Seqs, Store};
use rackside_proto::{Channel, Time, Value, What};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// When it was written.
const NOW: u64 = DAY0 + 40 * DAY;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn a_database_of_version_1_reads_as_what_it_was() {
    reads_as_what_it_was("history-v1", |store| {
        let (all, log) = (told(store), logged(store));
        assert!(
            log.contains("codec: aac") && log.contains("track: Ouvertüre"),
            "texts are in its log: {log}"
        );
        all
    });
}

#[test]
fn a_database_of_version_2_reads_as_what_it_was() {
    reads_as_what_it_was("history-v2", |store| told(store) + &logged(store));
}

fn reads_as_what_it_was(name: &str, told: impl Fn(&Store) -> String) {
    let dir = tempfile::tempdir().expect("a directory");
    fs::copy(fixture(&format!("{name}.db")), dir.path().join("history.db")).expect("copies");
    let expected = fs::read_to_string(fixture(&format!("{name}.txt"))).expect("reads");
    let mut store = open(dir.path(), NOW);
    assert_eq!(told(&store), expected);
    // And a hub can go on with it.
    let mut rack = Rack { next: 2_000, catalog: 1, names: NAMES.to_vec(), ..Rack::new("rack-1", 1) };
    let reading = rack.reading(utc(NOW + HOUR), true, NOW + HOUR, &[1, 2, 1]);
    assert_eq!(store.commit(&batch([reading]), NOW + HOUR).map(|done| done.stored), Ok(1));
    settle(&mut store, NOW + 5 * HOUR);
    let stats = store.stats().expect("counts");
    assert_eq!((stats.inbox, stats.undated), (0, 2), "{stats:?}");
}

#[test]
#[ignore = "writes files: only for a new version of the schema"]
fn write_the_fixture_of_a_new_version() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = written(dir.path());
    fs::write(fixture("history-v2.txt"), told(&store) + &logged(&store)).expect("writes");
    drop(store);
    fs::copy(dir.path().join("history.db"), fixture("history-v2.db")).expect("copies");
}

const NAMES: &[&str] = &["temp", "bytes_total/eth0", "link_up"];

/// Something of everything.
fn written(dir: &Path) -> Store {
    let mut store = open(dir, DAY0);
    let mut rack = Rack::new("rack-1", 1);
    let catalog = rack.list(NAMES, DAY0);
    store.commit(&batch([catalog]), DAY0).expect("commits");
    // A day that becomes rollups, one that stays a day, one that stays hours, and a tail that stays in the inbox.
    for (start, readings, every) in
        [(DAY0, 96, 15 * MINUTE), (NOW - 3 * DAY, 96, 15 * MINUTE), (NOW - HOUR, 40, 2 * MINUTE)]
    {
        let text = rack.event(utc(start), What::Text { subject: "codec", text: "aac" }, true, start);
        let link = What::Sample { catalog: 1, series: 2, value: Value::Known(1) };
        let edge = rack.event(utc(start + 5), link, true, start);
        store.commit(&batch([text, edge]), start).expect("commits");
        for n in 0..readings {
            let now = start + n * every;
            let i = n as i64;
            let link = if i % 50 == 7 { -1 } else { i / 40 % 2 };
            let values = [483 + i * i % 17, i * 12_345 % 1_000_000, link].map(known);
            let record = rack.readings(&[(utc(now), &values)], true, now);
            store.commit(&batch([record]), now).expect("commits");
        }
        let end = start + readings * every;
        if end < NOW {
            settle(&mut store, end + HOUR);
        } else {
            // Half of the last hour and what came since then.
            settle(&mut store, NOW + MINUTE);
        }
    }
    others(&mut store, &mut rack);
    store
}

fn others(store: &mut Store, rack: &mut Rack) {
    let boot = |ms| Time::Boot { boot: 7, ms };
    let mut misfit = rack.clone();
    misfit.names.push("fan");
    let mut records: Vec<NewRecord> = vec![
        rack.event(utc(NOW + 10), What::Text { subject: "track", text: "Ouvertüre" }, true, NOW),
        rack.event(utc(NOW + 20), What::Sample { catalog: 1, series: 2, value: Value::Known(1) }, true, NOW),
        rack.event(boot(60_000), What::Anchor { boot: 7, boot_ms: 60_000, utc_ms: NOW - HOUR }, true, NOW),
        rack.reading(boot(61_000), false, NOW, &[500, 1, 0]),
        // Of a boot that nobody knows, and of a clock that cannot be.
        rack.reading(Time::Boot { boot: 8, ms: 5 }, false, NOW, &[1, 1, 1]),
        rack.reading(utc(5), false, NOW, &[1, 1, 1]),
    ];
    misfit.next = rack.next;
    records.push(misfit.reading(utc(NOW + 30), true, NOW, &[1, 1, 1, 1]));
    rack.next = misfit.next;
    let mut other = Rack::new("rack-2", 2);
    records.push(other.list(&["temp"], NOW));
    other.next = 5;
    records.push(other.reading(utc(NOW), true, NOW, &[200]));
    let mut garbage = other.record(Channel::Data, true, NOW, &[]);
    garbage.payload = vec![0xff; 9].into();
    records.push(garbage);
    let mut seqs = Seqs::default();
    (0..3).for_each(|seq| {
        seqs.insert(seq);
    });
    let lost = Account { agent: other.agent, run: other.run, seqs, lost: 2 };
    store.commit(&Batch { records, accounts: vec![lost], ..Batch::default() }, NOW).expect("commits");
}

/// Its log.
fn logged(store: &Store) -> String {
    let query = LogQuery { range: 0..u64::MAX, limit: 1_000, ..LogQuery::default() };
    let mut text = String::new();
    for LogEntry { place, agent, what } in store.reader().log(&query).expect("reads").entries {
        let agent = agent.expect("an agent's");
        match what {
            Happened::Set { series, value } => {
                writeln!(text, "{place} {agent} {} = {value:?}", series.name).expect("a String");
            }
            Happened::Text { subject, text: content } => {
                writeln!(text, "{place} {agent} {subject}: {content}").expect("a String");
            }
        }
    }
    text
}

/// All that a reader sees.
fn told(store: &Store) -> String {
    let reader = store.reader();
    let mut text = String::new();
    for known in store.known().expect("reads") {
        let agent = &known.name;
        writeln!(text, "{agent} heard of at {}", known.last_ms).expect("a String");
        for account in &known.runs {
            let ranges: Vec<_> = account.seqs.ranges().collect();
            writeln!(text, "  run {} has {ranges:?}, {} lost", account.run, account.lost).expect("a String");
        }
        for (ms, subject, content) in reader.texts(agent, 0..u64::MAX).expect("reads") {
            writeln!(text, "  {ms} {subject} = {content}").expect("a String");
        }
        for (id, key) in reader.series(agent).expect("reads") {
            let (kind, scale) = (key.kind, key.scale);
            writeln!(text, "  {} {} {:?} {kind:?} {}/{}", id.0, key.name, key.labels, scale.times, scale.per)
                .expect("a String");
            let samples = reader.samples(agent, id, 0..u64::MAX).expect("reads");
            for (ms, value) in samples.times.iter().zip(&samples.values) {
                writeln!(text, "    {ms} {}", value.map_or("-".to_owned(), |value| value.to_string()))
                    .expect("a String");
            }
            for step in [Resolution::Minute, Resolution::Hour] {
                for Bucket { start, count, weight, sum, min, max, last, increase } in
                    reader.rollup(agent, id, 0..DAY0 + 2 * DAY, step).expect("reads")
                {
                    let [min, max, last] = [min, max, last].map(|number| number.unwrap_or(-1));
                    writeln!(
                        text,
                        "    {step:?} {start} {count} {weight} {sum} {min} {max} {last} {increase}"
                    )
                    .expect("a String");
                }
            }
        }
    }
    text
}
