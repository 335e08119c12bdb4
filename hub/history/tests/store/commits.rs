//! Commits: what is taken, what is not, and what a hub that starts is told.

use crate::model::Model;
use crate::rack::{DAY0, HOUR, MINUTE, Rack, batch, open, settle, utc};
use rackside_history::{Account, Batch, NewRecord, Seqs, Store};
use rackside_proto::{AgentName, Channel, Run, Value, What};

const NAMES: &[&str] = &["temp", "bytes_total", "link_up"];

fn account(store: &Store, rack: &Rack) -> Option<Account> {
    store.reader().account(&rack.agent, rack.run).expect("reads")
}

/// From each first number to before each second.
fn seqs(ranges: &[(u64, u64)]) -> Seqs {
    let mut seqs = Seqs::default();
    for seq in ranges.iter().flat_map(|&(from, to)| from..to) {
        seqs.insert(seq);
    }
    seqs
}

#[test]
fn a_record_is_stored_once_whatever_is_offered() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = Rack::new("rack-1", 1);
    let records: Vec<NewRecord> = std::iter::once(rack.list(NAMES, DAY0))
        .chain(
            (0..20).map(|n| rack.reading(utc(DAY0 + n * 10_000), true, DAY0 + n * 10_000, &[n as i64, 2, 3])),
        )
        .collect();
    let first = store.commit(&batch(records.clone()), DAY0).expect("commits");
    assert_eq!((first.stored, first.duplicates, first.aside), (21, 0, 0));
    // Twice in one batch, again in another, after a flush, after a restart.
    let extra = rack.reading(utc(DAY0 + HOUR), true, DAY0 + HOUR, &[1, 1, 1]);
    let twice = store.commit(&batch([extra.clone(), extra]), DAY0 + HOUR).expect("commits");
    assert_eq!((twice.stored, twice.duplicates), (1, 1));
    settle(&mut store, DAY0 + 3 * HOUR);
    assert_eq!(store.stats().expect("counts").inbox, 0);
    for _ in 0..2 {
        let again = store.commit(&batch(records.clone()), DAY0 + 3 * HOUR).expect("commits");
        assert_eq!((again.stored, again.duplicates), (0, 21));
        drop(store);
        store = open(dir.path(), DAY0 + 3 * HOUR);
    }
    assert_eq!(account(&store, &rack).expect("known").seqs, seqs(&[(0, 22)]));
    assert_eq!(store.stats().expect("counts").inbox, 0);
}

#[test]
fn a_run_first_heard_of_at_a_floor_has_lost_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = Rack::new("rack-1", 1);
    let list = rack.list(NAMES, DAY0);
    // The catalog is sent once more, below the floor at which the account begins.
    (rack.next, rack.floor) = (57, 50);
    let reading = rack.reading(utc(DAY0), true, DAY0, &[1, 2, 1]);
    let done = store.commit(&batch([reading]), DAY0).expect("commits");
    assert_eq!(done.stored, 1);
    let done = store.commit(&batch([list]), DAY0).expect("commits");
    assert_eq!((done.stored, done.duplicates), (0, 1));
    assert!(store.reader().catalog(&rack.agent, rack.run, 1).expect("reads").is_some(), "kept all the same");
    let account = account(&store, &rack).expect("known");
    assert_eq!((account.seqs, account.lost), (seqs(&[(0, 50), (57, 58)]), 0));
}

#[test]
fn what_is_lost_lasts() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = Rack::new("rack-1", 1);
    let catalog = rack.list(NAMES, DAY0);
    store.commit(&batch([catalog]), DAY0).expect("commits");
    rack.next = 9;
    let reading = rack.reading(utc(DAY0), true, DAY0, &[1, 2, 1]);
    let lost = Account { agent: rack.agent.clone(), run: rack.run, seqs: seqs(&[(0, 5), (9, 10)]), lost: 4 };
    let both = Batch { records: vec![reading], accounts: vec![lost.clone()], ..Batch::default() };
    store.commit(&both, DAY0).expect("commits");
    assert_eq!(account(&store, &rack), Some(lost.clone()));
    // An account of a run that has no record at all.
    let other = Account { run: Run(77), seqs: seqs(&[(0, 3)]), lost: 3, ..lost.clone() };
    store.commit(&Batch { accounts: vec![other.clone()], ..Batch::default() }, DAY0).expect("commits");
    drop(store);
    let mut store = open(dir.path(), DAY0);
    assert_eq!(account(&store, &rack), Some(lost.clone()));
    settle(&mut store, DAY0 + 3 * HOUR);
    assert_eq!(account(&store, &rack), Some(lost));
    assert_eq!(store.reader().account(&rack.agent, Run(77)).expect("reads"), Some(other));
    assert_eq!(store.reader().account(&rack.agent, Run(78)).expect("reads"), None);
}

#[test]
fn a_floor_closes_what_lies_below_it_after_a_restart_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = Rack::new("rack-1", 1);
    let list = rack.list(NAMES, DAY0);
    rack.next = 9;
    let before = rack.reading(utc(DAY0), true, DAY0, &[1, 2, 1]);
    rack.floor = 8;
    let after = rack.reading(utc(DAY0 + 1), true, DAY0, &[1, 2, 1]);
    store.commit(&batch([list, before, after]), DAY0).expect("commits");
    for _ in 0..2 {
        let account = account(&store, &rack).expect("known");
        assert_eq!(account.seqs, seqs(&[(0, 8), (9, 11)]));
        drop(store);
        store = open(dir.path(), DAY0);
    }
}

#[test]
fn a_catalog_of_a_birth_is_kept_without_its_record() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = Rack::new("rack-1", 1);
    let record = rack.list(NAMES, DAY0);
    let birth = Batch { catalogs: vec![rack.new_catalog()], ..Batch::default() };
    store.commit(&birth, DAY0).expect("commits");
    assert_eq!(account(&store, &rack), None);
    let known = store.known().expect("reads");
    assert_eq!((known.len(), known[0].last_ms, known[0].runs.len()), (1, DAY0, 0));
    assert_eq!(store.reader().catalog(&rack.agent, rack.run, 1).expect("reads"), Some(rack.catalog_bytes()));
    let done = store.commit(&batch([record]), DAY0).expect("commits");
    assert_eq!(done.stored, 1, "the record still counts");
    let known = store.known().expect("reads");
    let (run, catalog) = known[0].catalog.clone().expect("is there");
    assert_eq!((run, catalog.to_vec()), (rack.run, rack.catalog_bytes()));
}

#[test]
fn a_hub_that_starts_knows_the_latest_runs_the_last_heard_of_last() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    for run in 0..40 {
        let now = DAY0 + u64::from(run) * MINUTE;
        let mut rack = Rack::new("rack-1", 1000 - run);
        let list = rack.list(NAMES, now);
        let reading = rack.reading(utc(now), true, now, &[1, 2, 1]);
        store.commit(&batch([list, reading]), now).expect("commits");
        if run == 20 {
            settle(&mut store, now + 2 * HOUR);
        }
    }
    for _ in 0..2 {
        let known = store.known().expect("reads");
        assert_eq!(known[0].name, AgentName::new("arena-north", "rack-1").expect("a name"));
        assert_eq!(known[0].last_ms, DAY0 + 39 * MINUTE);
        let runs: Vec<u32> = known[0].runs.iter().map(|account| account.run.0).collect();
        assert_eq!(runs, (961..=992).rev().collect::<Vec<_>>());
        assert_eq!(known[0].catalog.as_ref().map(|(run, _)| run.0), Some(961));
        drop(store);
        store = open(dir.path(), DAY0);
    }
}

#[test]
fn what_cannot_be_understood_is_put_aside_counted_and_accounted_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut model = Model::default();
    let mut rack = Rack::new("rack-1", 1);
    let catalog = rack.list(NAMES, DAY0);
    model.list(&rack.agent, rack.run, 1, NAMES);
    let good = rack.reading(utc(DAY0), true, DAY0, &[1, 2, 1]);
    // Coded against a catalog with more series, against one that never came, and no record at all.
    let mut wider = rack.clone();
    wider.names.push("fan");
    let misfit = wider.reading(utc(DAY0 + 1), true, DAY0, &[1, 2, 1, 4]);
    rack.next = wider.next;
    let what = What::Sample { catalog: 9, series: 0, value: Value::Known(1) };
    let unlisted = rack.event(utc(DAY0 + 2), what, true, DAY0);
    let mut garbage = rack.record(Channel::Data, true, DAY0, &[9, 9, 9]);
    garbage.payload = vec![1, 2, 3].into();
    let last = rack.reading(utc(DAY0 + 3), true, DAY0, &[2, 2, 1]);
    let done =
        store.commit(&batch([catalog.clone(), good.clone(), misfit, unlisted, garbage, last.clone()]), DAY0);
    assert_eq!(done.map(|done| (done.stored, done.aside)), Ok((5, 1)));
    settle(&mut store, DAY0 + 2 * HOUR);
    assert_eq!(store.stats().expect("counts").aside, 3);
    assert_eq!(account(&store, &rack).expect("known").seqs, seqs(&[(0, 4), (5, 6)]));
    for record in [&catalog, &good, &last] {
        model.commit(record);
    }
    let (id, _) = store.reader().series(&rack.agent).expect("reads")[0].clone();
    let samples = store.reader().samples(&rack.agent, id, 0..u64::MAX).expect("reads");
    assert_eq!((samples.times.to_vec(), samples.values), (vec![DAY0, DAY0 + 3], vec![Some(1), Some(2)]));
}

#[test]
fn a_series_that_a_newer_catalog_does_not_list_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = Rack::new("rack-1", 1);
    let mut records = vec![rack.list(NAMES, DAY0), rack.reading(utc(DAY0), true, DAY0, &[1, 2, 1])];
    records.push(rack.list(&["temp"], DAY0));
    records.push(rack.reading(utc(DAY0 + 10), true, DAY0, &[3]));
    records.push(rack.reading(utc(DAY0 + 20), true, DAY0, &[4]));
    store.commit(&batch(records), DAY0).expect("commits");
    for _ in 0..2 {
        let reader = store.reader();
        let series = reader.series(&rack.agent).expect("reads");
        let line = |at: usize| reader.samples(&rack.agent, series[at].0, 0..u64::MAX).expect("reads").values;
        assert_eq!(line(0), [Some(1), Some(3), Some(4)]);
        assert_eq!(line(2), [Some(1), None]);
        settle(&mut store, DAY0 + 2 * HOUR);
    }
}

#[test]
fn thousands_of_agents_touch_one_place_of_the_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut racks: Vec<Rack> = (0..500).map(|n| Rack::new(&format!("rack-{n}"), n)).collect();
    let lists: Vec<_> = racks.iter_mut().map(|rack| rack.list(NAMES, DAY0)).collect();
    store.commit(&batch(lists), DAY0).expect("commits");
    let log = || std::fs::metadata(dir.path().join("history.db-wal")).expect("is there").len();
    let before = log();
    let records: Vec<_> =
        racks.iter_mut().map(|rack| rack.reading(utc(DAY0), true, DAY0, &[1, 2, 1])).collect();
    store.commit(&batch(records), DAY0).expect("commits");
    // 500 rows of some 50 bytes are seven pages; each is 4,120 bytes in the log.
    assert!(log() - before < 16 * 4_120, "{} bytes", log() - before);
}

#[test]
fn catalogs_that_no_record_needs_are_forgotten_and_no_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = Rack::new("rack-1", 1);
    for n in 0..20 {
        let now = DAY0 + n * MINUTE;
        let catalog = rack.list(NAMES, now);
        let reading = rack.reading(utc(now), true, now, &[n as i64, 2, 1]);
        store.commit(&batch([catalog, reading]), now).expect("commits");
    }
    let known = |store: &Store| -> Vec<u32> {
        let find =
            |number: &u32| store.reader().catalog(&rack_1(), Run(1), *number).expect("reads").is_some();
        (1..=20).filter(find).collect()
    };
    settle(&mut store, DAY0 + 30 * MINUTE);
    assert_eq!(known(&store), (1..=20).collect::<Vec<_>>(), "their records are not in chunks yet");
    // A record of an old catalog comes late, and one that nobody can date.
    let mut late = Rack { catalog: 3, ..rack.clone() };
    let now = DAY0 + 2 * HOUR;
    settle(&mut store, now);
    assert_eq!(known(&store), [19, 20]);
    let catalog = Rack { catalog: 2, next: 100, ..rack.clone() }.list(NAMES, now);
    let reading = late.reading(utc(DAY0 + 7), false, now, &[5, 5, 1]);
    store.commit(&batch([catalog, reading]), now).expect("commits");
    settle(&mut store, now + 20 * MINUTE);
    assert_eq!(known(&store), [3, 19, 20]);
    // Given again, it stays for another hour.
    let again = Rack { catalog: 3, ..rack.clone() }.new_catalog();
    let birth = Batch { catalogs: vec![again], ..Batch::default() };
    store.commit(&birth, now + 50 * MINUTE).expect("commits");
    settle(&mut store, now + 105 * MINUTE);
    assert_eq!(known(&store), [3, 19, 20]);
    settle(&mut store, now + 3 * HOUR);
    assert_eq!(known(&store), [19, 20]);
    let (id, _) = store.reader().series(&rack.agent).expect("reads")[0].clone();
    let samples = store.reader().samples(&rack.agent, id, 0..u64::MAX).expect("reads");
    assert_eq!((samples.times.len(), samples.times[1]), (21, DAY0 + 7));
    // A newer run: of the old one everything goes when it is too old.
    let far = DAY0 + 31 * 24 * HOUR;
    let mut next = Rack::new("rack-1", 2);
    let catalog = next.list(NAMES, far);
    let reading = next.reading(utc(far), true, far, &[1, 2, 1]);
    store.commit(&batch([catalog, reading]), far).expect("commits");
    settle(&mut store, far + 3 * HOUR);
    assert_eq!(known(&store), [0; 0]);
    assert!(store.reader().catalog(&next.agent, next.run, 1).expect("reads").is_some());
}

fn rack_1() -> AgentName {
    AgentName::new("arena-north", "rack-1").expect("a name")
}
