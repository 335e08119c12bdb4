//! Readers beside the writer: each answer is one moment's.

use crate::rack::{DAY0, HOUR, MINUTE, Rack, batch, open, settle, step, utc};
use rackside_history::{Resolution, Step};
use rackside_proto::What;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const NAMES: &[&str] = &["temp", "bytes_total", "link_up"];

#[test]
fn a_reader_sees_every_committed_sample_once_while_the_writer_works() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut racks = [Rack::new("rack-1", 1), Rack::new("rack-2", 2)];
    for rack in &mut racks {
        let list = rack.list(NAMES, DAY0);
        store.commit(&batch([list]), DAY0).expect("commits");
    }
    let reader = store.reader();
    let agent = racks[0].agent.clone();
    let (id, _) = reader.series(&agent).expect("reads")[1].clone();
    let committed = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (reader, agent, committed, over) = (reader.clone(), agent.clone(), &committed, &over);
                scope.spawn(move || {
                    let mut looks = 0;
                    while !over.load(Ordering::SeqCst) {
                        let at_least = committed.load(Ordering::SeqCst);
                        let samples = reader.samples(&agent, id, 0..u64::MAX).expect("reads");
                        let found = samples.times.len() as u64;
                        assert!(found >= at_least, "{found} of {at_least}");
                        for (n, (ms, value)) in samples.times.iter().zip(&samples.values).enumerate() {
                            assert_eq!((*ms, *value), (DAY0 + n as u64 * MINUTE, Some(n as i64)));
                        }
                        let account =
                            reader.account(&agent, rackside_proto::Run(1)).expect("reads").expect("known");
                        assert!(account.seqs.first_missing() > at_least);
                        looks += 1;
                    }
                    looks
                })
            })
            .collect();
        for minute in 0..3_000_u64 {
            let now = DAY0 + minute * MINUTE;
            let records: Vec<_> = racks
                .iter_mut()
                .map(|rack| rack.reading(utc(now), true, now, &[1, minute as i64, 1]))
                .collect();
            store.commit(&batch(records), now).expect("commits");
            committed.store(minute + 1, Ordering::SeqCst);
            while step(&mut store, now) == Step::More {}
        }
        over.store(true, Ordering::SeqCst);
        let looks: Vec<u32> =
            readers.into_iter().map(|reader| reader.join().expect("no reader fails")).collect();
        assert!(looks.iter().all(|&looks| looks > 10), "{looks:?}");
    });
    assert_eq!(store.stats().expect("counts").days, 2, "it went through hours and days meanwhile");
}

#[test]
fn ranges_include_their_start_and_not_their_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = Rack::new("rack-1", 1);
    let list = rack.list(NAMES, DAY0);
    store.commit(&batch([list]), DAY0).expect("commits");
    for minute in 0..180 {
        let now = DAY0 + minute * MINUTE;
        let record = rack.reading(utc(now), true, now, &[minute as i64, 1, 1]);
        store.commit(&batch([record]), now).expect("commits");
        if minute == 130 {
            settle(&mut store, now);
        }
    }
    let reader = store.reader();
    let (id, _) = reader.series(&rack.agent).expect("reads")[0].clone();
    let count = |from: u64, to: u64| {
        reader.samples(&rack.agent, id, DAY0 + from..DAY0 + to).expect("reads").times.len()
    };
    assert_eq!(count(0, 3 * HOUR), 180);
    assert_eq!(count(30 * MINUTE, 31 * MINUTE), 1);
    assert_eq!(count(30 * MINUTE + 1, 31 * MINUTE), 0);
    assert_eq!(count(HOUR - MINUTE, HOUR), 1);
    assert_eq!(count(HOUR, HOUR + 1), 1);
    assert_eq!(count(140 * MINUTE, 150 * MINUTE), 10);
    assert_eq!(count(5 * HOUR, 4 * HOUR), 0);
    let hours = reader.rollup(&rack.agent, id, DAY0 + 1..DAY0 + HOUR + 1, Resolution::Hour).expect("reads");
    assert_eq!(hours.iter().map(|hour| hour.count).collect::<Vec<_>>(), [60, 60]);
}

#[test]
fn texts_are_told_in_order_from_everywhere() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = Rack::new("rack-1", 1);
    for (n, text) in ["first", "second", "third"].into_iter().enumerate() {
        let now = DAY0 + n as u64 * HOUR;
        let record = rack.event(utc(now), What::Text { subject: "track", text }, true, now);
        store.commit(&batch([record]), now).expect("commits");
        if n < 2 {
            settle(&mut store, now + HOUR + MINUTE);
        }
    }
    let reader = store.reader();
    let texts = |range| -> Vec<String> {
        let texts = reader.texts(&rack.agent, range).expect("reads");
        texts.into_iter().map(|(_, subject, text)| format!("{subject}={text}")).collect()
    };
    assert_eq!(texts(0..u64::MAX), ["track=first", "track=second", "track=third"]);
    assert_eq!(texts(DAY0 + HOUR..DAY0 + 2 * HOUR), ["track=second"]);
}

#[test]
fn an_agent_that_nobody_knows_has_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), DAY0);
    let stranger = Rack::new("rack-9", 1);
    let reader = store.reader();
    assert_eq!(reader.series(&stranger.agent).expect("reads"), []);
    assert_eq!(reader.account(&stranger.agent, stranger.run).expect("reads"), None);
    assert_eq!(reader.catalog(&stranger.agent, stranger.run, 1).expect("reads"), None);
}

#[test]
fn runs_are_told_the_latest_first_whether_they_have_moved_on_or_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = Rack::new("rack-1", 1);
    let list = rack.list(NAMES, DAY0);
    store.commit(&batch([list]), DAY0).expect("commits");
    let early = rack.reading(utc(DAY0), true, DAY0 + MINUTE, &[1, 1, 1]);
    store.commit(&batch([early]), DAY0 + MINUTE).expect("commits");
    settle(&mut store, DAY0 + 3 * HOUR);
    let mut later = Rack::new("rack-1", 2);
    let now = DAY0 + 4 * HOUR;
    let list = later.list(NAMES, now);
    store.commit(&batch([list]), now).expect("commits");
    let told = |limit| {
        let runs = store.reader().runs(&rack.agent, limit).expect("reads");
        runs.iter().map(|span| (span.run.0, span.first_ms, span.last_ms)).collect::<Vec<_>>()
    };
    assert_eq!(told(8), [(2, now, now), (1, DAY0, DAY0 + MINUTE)]);
    assert_eq!(told(1), [(2, now, now)]);
}
