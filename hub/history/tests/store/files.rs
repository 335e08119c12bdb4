//! The file itself: whose it is, what is refused and in which words, backups, salvage.

use crate::model::{Model, key};
use crate::rack::{DAY, DAY0, HOUR, MINUTE, Rack, batch, open, settle, utc};
use rackside_history::{BackupError, OpenError, Settings, Store, StoreError, backup, salvage};
use rusqlite::Connection;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

fn refused(dir: &Path) -> OpenError {
    Store::open(dir, Settings::new(DAY0)).expect_err("must not open")
}

/// Three racks with two hours of readings each, some in chunks, some in the inbox.
fn filled(dir: &Path) -> (Store, Model, Vec<Rack>) {
    let mut store = open(dir, DAY0);
    let mut model = Model::default();
    let mut racks: Vec<Rack> = (1..4).map(|n| Rack::new(&format!("rack-{n}"), n)).collect();
    for rack in &mut racks {
        let record = rack.list(&["temp", "bytes_total", "link_up"], DAY0);
        model.list(&rack.agent, rack.run, 1, &["temp", "bytes_total", "link_up"]);
        model.commit(&record);
        store.commit(&batch([record]), DAY0).expect("commits");
    }
    fill(&mut store, &mut model, &mut racks, DAY0, 120);
    settle(&mut store, DAY0 + HOUR + MINUTE);
    (store, model, racks)
}

fn fill(store: &mut Store, model: &mut Model, racks: &mut [Rack], from: u64, minutes: u64) {
    for minute in 0..minutes {
        let now = from + minute * MINUTE;
        let mut records = Vec::new();
        for rack in racks.iter_mut() {
            let n = minute as i64;
            records.push(rack.reading(
                utc(now),
                true,
                now,
                &[400 + n % 7, 100_000 + 37 * n * n % 1000 + n * 1000, n % 2],
            ));
        }
        for record in &records {
            model.commit(record);
        }
        store.commit(&batch(records), now).expect("commits");
    }
}

#[test]
fn a_second_hub_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), DAY0);
    let error = refused(dir.path());
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains("another hub works in this directory"), "{error}");
    drop(store);
    open(dir.path(), DAY0);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path(), DAY0));
    let path = dir.path().join("history.db");
    Connection::open(&path).expect("opens").pragma_update(None, "user_version", 99).expect("writes");
    let before = fs::read(&path).expect("reads");
    let error = refused(dir.path());
    assert_eq!(error, OpenError::Newer { path: path.clone(), found: 99, known: 2 });
    let said = error.to_string();
    assert!(said.ends_with("a newer hub wrote this history (schema 99, this hub knows 2); install that version or a later one"), "{said}");
    assert_eq!(fs::read(&path).expect("reads"), before);
}

#[test]
fn what_is_no_history_is_named_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("history.db");
    let shopping = b"eggs, milk, and another hundred bytes of things that nobody would take for a database of any kind at all".repeat(3);
    fs::write(&path, &shopping).expect("writes");
    let error = refused(dir.path());
    assert!(matches!(&error, OpenError::NotAHistory { .. }), "{error:?}");
    assert_eq!(fs::read(&path).expect("reads"), shopping);

    fs::remove_file(&path).expect("removes");
    let other = Connection::open(&path).expect("opens");
    other.execute_batch("CREATE TABLE songs (title TEXT)").expect("writes");
    drop(other);
    let said = refused(dir.path()).to_string();
    assert!(said.contains("not a hub's history but a SQLite database of another program"), "{said}");
}

#[test]
fn an_empty_or_cut_file_is_damage_and_never_recreated() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(filled(dir.path()));
    let path = dir.path().join("history.db");
    let whole = fs::metadata(&path).expect("is there").len();
    for len in [whole - 4096, whole / 2, 4096, 50, 0] {
        File::options().write(true).open(&path).expect("opens").set_len(len).expect("cuts");
        let error = refused(dir.path());
        assert!(matches!(&error, OpenError::Store(StoreError::Damaged { .. })), "{len}: {error:?}");
        assert!(error.to_string().contains("run `rackside-hub salvage`"), "{error}");
        assert_eq!(fs::metadata(&path).expect("is there").len(), len);
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("writes");
    let error = refused(&file.join("data"));
    assert!(error.to_string().starts_with(&file.join("data").display().to_string()), "{error}");
}

#[test]
fn an_id_lasts_and_a_restored_backup_gets_another() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, model, _) = filled(dir.path());
    let id = store.id();
    let target = tempfile::tempdir().expect("a directory");
    let copy = backup(dir.path(), target.path()).expect("copies");
    drop(store);
    assert_eq!(open(dir.path(), DAY0).id(), id);

    let restored = open(target.path(), DAY0);
    assert_eq!(copy, target.path().join("history.db"));
    assert_ne!(restored.id(), id);
    model.check(&restored);
    let new = restored.id();
    drop(restored);
    assert_eq!(open(target.path(), DAY0).id(), new, "only the first time");
}

#[test]
fn a_hub_that_stops_leaves_one_whole_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, model, _) = filled(dir.path());
    let reader = store.reader();
    reader.agents().expect("reads");
    drop(store);
    assert!(!dir.path().join("history.db-wal").exists());
    drop(reader);
    let alone = tempfile::tempdir().expect("a directory");
    fs::copy(dir.path().join("history.db"), alone.path().join("history.db")).expect("copies");
    model.check(&open(alone.path(), DAY0));
}

#[test]
fn a_backup_put_over_a_used_database_is_not_mixed_with_its_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut model, mut racks) = filled(dir.path());
    let target = tempfile::tempdir().expect("a directory");
    let copy = backup(dir.path(), target.path()).expect("copies");
    let as_it_was = model_of(&racks, &mut store);
    fill(&mut store, &mut model, &mut racks, DAY0 + 2 * HOUR, 30);
    // The power goes: the log stays. Then somebody restores, and forgets the log.
    let log = fs::read(dir.path().join("history.db-wal")).expect("there is one");
    drop(store);
    fs::copy(copy, dir.path().join("history.db")).expect("copies");
    fs::write(dir.path().join("history.db-wal"), log).expect("writes");
    let mut restored = open(dir.path(), DAY0 + 3 * HOUR);
    assert_eq!(model_of(&racks, &mut restored), as_it_was);
    settle(&mut restored, DAY0 + 3 * HOUR);
}

/// What is accounted for of each rack's run.
fn model_of(racks: &[Rack], store: &mut Store) -> Vec<u64> {
    let account = |rack: &Rack| store.reader().account(&rack.agent, rack.run).expect("reads").expect("known");
    racks.iter().map(|rack| account(rack).seqs.first_missing()).collect()
}

#[test]
fn a_backup_is_consistent_while_commits_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut model, mut racks) = filled(dir.path());
    let before = model_of(&racks, &mut store);
    let target = tempfile::tempdir().expect("a directory");
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| {
            for _ in 0..5 {
                backup(dir.path(), target.path()).expect("copies");
            }
        });
        let mut minute = 0;
        while !copying.is_finished() {
            fill(&mut store, &mut model, &mut racks, DAY0 + 2 * HOUR + minute * MINUTE, 1);
            minute += 1;
        }
    });
    let after = model_of(&racks, &mut store);
    let mut copy = open(target.path(), DAY0);
    let copied = model_of(&racks, &mut copy);
    assert!(copied.iter().zip(&before).all(|(copied, before)| copied >= before), "{copied:?} {before:?}");
    assert!(copied.iter().zip(&after).all(|(copied, after)| copied <= after), "{copied:?} {after:?}");
    // A batch has one record of each rack: all of it is in the copy, or nothing.
    assert!(copied.iter().all(|seq| *seq == copied[0]), "{copied:?}");
    for rack in &racks {
        let (id, _) = copy.reader().series(&rack.agent).expect("reads")[0].clone();
        let samples = copy.reader().samples(&rack.agent, id, 0..u64::MAX).expect("reads");
        assert_eq!(samples.times.len() as u64, copied[0] - 1, "all but the catalog");
    }
}

#[test]
fn nothing_is_taken_into_a_file_that_is_gone() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, ..) = filled(dir.path());
    let mut rack = Rack::new("rack-9", 9);
    let record = batch([rack.list(&["temp"], DAY0)]);
    let path = dir.path().join("history.db");
    let away = dir.path().join("away");
    for name in ["history.db", "history.db-wal"] {
        let lost = dir.path().join(name);
        fs::rename(&lost, &away).expect("moves");
        let error = store.commit(&record, DAY0).expect_err("nobody would find it again");
        assert_eq!(error, StoreError::Gone { path: lost.clone() });
        fs::write(&lost, b"another").expect("writes");
        assert!(store.commit(&record, DAY0).is_err(), "another file has its name");
        fs::rename(&away, &lost).expect("moves back");
    }
    assert_eq!(store.commit(&record, DAY0).expect("is there again").stored, 1);
    assert!(StoreError::Gone { path }.to_string().contains("start the hub anew"));
}

#[test]
fn a_backup_replaces_a_backup_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, ..) = filled(dir.path());
    let target = tempfile::tempdir().expect("a directory");
    backup(dir.path(), target.path()).expect("copies");
    backup(dir.path(), target.path()).expect("copies once more");
    let in_the_way = backup(dir.path(), dir.path()).expect_err("is the hub's own");
    assert!(matches!(in_the_way, BackupError::InTheWay { .. }), "{in_the_way:?}");
    assert!(matches!(
        backup(target.path().join("no").as_path(), target.path()),
        Err(BackupError::Nothing { .. })
    ));
    drop(store);
}

#[test]
fn a_backup_that_cannot_be_written_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(filled(dir.path()));
    let target = tempfile::tempdir().expect("a directory");
    fs::create_dir(target.path().join("history.db.partial")).expect("makes");
    let error = backup(dir.path(), target.path()).expect_err("has no place");
    assert!(error.to_string().contains("history.db.partial"), "{error}");
    assert!(!target.path().join("history.db").exists());
}

#[test]
fn a_damaged_chunk_is_put_aside_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, mut model, mut racks) = filled(dir.path());
    drop(store);
    let db = Connection::open(dir.path().join("history.db")).expect("opens");
    let hour = (DAY0 / HOUR) as i64;
    let changed = db.execute("UPDATE hours SET chunk = zeroblob(100) WHERE key = ?1 << 32 | 1", [hour]);
    assert_eq!(changed, Ok(1));
    drop(db);
    let mut store = open(dir.path(), DAY0 + 2 * HOUR);
    let reader = store.reader();
    let whole = |rack: &Rack| {
        let (id, _) = reader.series(&rack.agent).expect("reads")[0].clone();
        reader.samples(&rack.agent, id, 0..u64::MAX)
    };
    assert!(matches!(whole(&racks[0]), Err(StoreError::Damaged { .. })), "said, not hidden");
    assert_eq!(whole(&racks[1]).expect("reads").times.len(), 120);
    fill(&mut store, &mut model, &mut racks, DAY0 + HOUR + 50 * MINUTE, 20);
    settle(&mut store, DAY0 + 3 * HOUR);
    settle(&mut store, DAY0 + 2 * DAY);
    assert_eq!(store.stats().expect("counts").aside, 1);
    assert_eq!(whole(&racks[0]).expect("reads").times.len(), 70);
    assert_eq!(whole(&racks[1]).expect("reads").times.len(), 130);
}

#[test]
fn salvage_of_a_sound_file_keeps_everything_and_changes_the_id() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, mut model, mut racks) = filled(dir.path());
    let id = store.id();
    drop(store);
    // Where the test may give files away; the hub's user is not the one who salvages.
    let _ = chown(dir.path().join("history.db"), Some(65_534), None);
    let owner = fs::metadata(dir.path().join("history.db")).expect("is there").uid();
    let salvaged = salvage(dir.path(), DAY0 + 3 * HOUR).expect("salvages");
    assert_eq!(salvaged.kept, dir.path().join("history.db.damaged-20261120T030000Z"));
    assert!(salvaged.kept.exists());
    assert_eq!(fs::metadata(dir.path().join("history.db")).expect("is there").uid(), owner);
    assert!(salvaged.tables.iter().all(|table| table.lost == 0 && !table.gaps), "{salvaged:?}");
    let mut store = open(dir.path(), DAY0 + 3 * HOUR);
    assert_ne!(store.id(), id);
    model.check(&store);
    fill(&mut store, &mut model, &mut racks, DAY0 + 3 * HOUR, 10);
    settle(&mut store, DAY0 + 4 * DAY);
    model.check(&store);
}

#[test]
fn salvage_keeps_what_can_be_read_wherever_pages_are_garbage() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, ..) = filled(dir.path());
    drop(store);
    let path = dir.path().join("history.db");
    let whole = fs::read(&path).expect("reads");
    let pages = whole.len() / 4096;
    let mut readable = 0;
    for page in 1..pages {
        let work = tempfile::tempdir().expect("a directory");
        let path = work.path().join("history.db");
        fs::write(&path, &whole).expect("writes");
        let mut file = File::options().write(true).open(&path).expect("opens");
        file.seek(SeekFrom::Start(page as u64 * 4096)).expect("seeks");
        file.write_all(&[0xa5; 4096]).expect("writes");
        drop(file);
        let salvaged = salvage(work.path(), DAY0).expect("salvages");
        assert!(salvaged.kept.exists());
        let mut store = open(work.path(), DAY0 + 3 * HOUR);
        settle(&mut store, DAY0 + 3 * HOUR);
        for agent in store.reader().agents().expect("reads") {
            for (id, series) in store.reader().series(&agent).expect("reads") {
                let samples = store.reader().samples(&agent, id, 0..u64::MAX).expect("reads");
                readable += samples.times.len();
                assert!([key("temp"), key("bytes_total"), key("link_up")].contains(&series), "{series:?}");
            }
        }
    }
    let all = 3 * 3 * 120 * (pages - 1);
    assert!(readable * 100 > all * 85, "{readable} of {all} samples with one page gone");
}

#[test]
fn salvage_of_a_hopeless_file_says_so_and_begins_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("history.db"), vec![0xa5; 20_000]).expect("writes");
    let salvaged = salvage(dir.path(), DAY0).expect("salvages");
    assert!(salvaged.tables.iter().all(|table| table.copied == 0 && table.gaps), "{salvaged:?}");
    assert_eq!(fs::metadata(&salvaged.kept).expect("is there").len(), 20_000);
    assert_eq!(open(dir.path(), DAY0).stats().expect("counts").agents, 0);
}

#[test]
fn an_interrupted_salvage_is_not_taken_for_an_empty_history() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, model, _) = filled(dir.path());
    drop(store);
    // The moment after the damaged file was renamed.
    fs::write(dir.path().join("history.db.salvaging"), "history.db.damaged-x").expect("writes");
    fs::rename(dir.path().join("history.db"), dir.path().join("history.db.damaged-x")).expect("renames");
    let error = refused(dir.path());
    assert!(error.to_string().contains("a salvage was interrupted"), "{error}");
    salvage(dir.path(), DAY0).expect("goes on");
    model.check(&open(dir.path(), DAY0));
}

#[test]
fn a_salvage_that_was_interrupted_at_its_very_end_keeps_the_damaged_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, model, _) = filled(dir.path());
    drop(store);
    let damaged = fs::read(dir.path().join("history.db")).expect("reads");
    let kept = salvage(dir.path(), DAY0).expect("salvages").kept;
    // The new file has its name, and the marker is still there.
    let name = kept.file_name().and_then(|name| name.to_str()).expect("has one");
    fs::write(dir.path().join("history.db.salvaging"), name).expect("writes");
    assert_eq!(salvage(dir.path(), DAY0 + HOUR).expect("goes on").kept, kept);
    assert!(fs::read(&kept).expect("reads") == damaged, "what was kept is still what was damaged");
    model.check(&open(dir.path(), DAY0));
}

#[test]
fn two_salvages_at_one_moment_keep_two_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, model, _) = filled(dir.path());
    drop(store);
    let kept = [(); 2].map(|()| salvage(dir.path(), DAY0).expect("salvages").kept);
    assert!(kept[0] != kept[1] && kept.iter().all(|kept| kept.exists()), "{kept:?}");
    model.check(&open(dir.path(), DAY0));
}

#[test]
fn salvage_of_a_file_that_was_cut_keeps_what_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, ..) = filled(dir.path());
    settle(&mut store, DAY0 + 3 * HOUR);
    drop(store);
    let path = dir.path().join("history.db");
    let length = fs::metadata(&path).expect("is there").len();
    File::options().write(true).open(&path).and_then(|file| file.set_len(length - 4096)).expect("cuts");
    assert!(refused(dir.path()).to_string().contains("run `rackside-hub salvage`"));
    let salvaged = salvage(dir.path(), DAY0 + 3 * HOUR).expect("salvages");
    let copied = |name: &str| salvaged.tables.iter().find(|table| table.name == name).map(|t| t.copied);
    assert_eq!((copied("agents"), copied("series")), (Some(3), Some(9)), "{salvaged:?}");
    assert_eq!(open(dir.path(), DAY0).stats().expect("counts").agents, 3);
}

#[test]
fn salvage_where_there_is_no_history_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let error = salvage(dir.path(), DAY0).expect_err("has nothing to do");
    assert!(error.to_string().contains("there is no history"), "{error}");
    fs::create_dir(dir.path().join("history.db")).expect("makes");
    let error = salvage(dir.path(), DAY0).expect_err("has nothing to do");
    assert!(error.to_string().contains("is not a hub's history but a directory"), "{error}");
    assert!(refused(dir.path()).to_string().contains("is not a hub's history but a directory"));
}

#[test]
fn names_of_agents_are_found_in_their_index_too() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(filled(dir.path()));
    let path = dir.path().join("history.db");
    let db = Connection::open(&path).expect("opens");
    let root: u32 = db
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'agents'", [], |row| row.get(0))
        .expect("has a root");
    drop(db);
    let mut file = File::options().write(true).open(&path).expect("opens");
    file.seek(SeekFrom::Start(u64::from(root - 1) * 4096)).expect("seeks");
    file.write_all(&[0xa5; 4096]).expect("writes");
    drop(file);
    salvage(dir.path(), DAY0).expect("salvages");
    let mut store = open(dir.path(), DAY0 + 3 * HOUR);
    settle(&mut store, DAY0 + 3 * HOUR);
    let reader = store.reader();
    let agents = reader.agents().expect("reads");
    assert_eq!(agents.len(), 3);
    for agent in agents {
        let (id, _) = reader.series(&agent).expect("reads")[0].clone();
        assert_eq!(reader.samples(&agent, id, 0..u64::MAX).expect("reads").times.len(), 120);
    }
}

#[test]
fn rows_that_are_whole_and_make_no_sense_are_left_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(filled(dir.path()));
    let db = Connection::open(dir.path().join("history.db")).expect("opens");
    db.execute_batch(
        "UPDATE agents SET name = 'Arena North' WHERE id = 1; UPDATE runs SET seqs = x'0000' WHERE agent = 2;
         UPDATE series SET kind = 9 WHERE id = 2; UPDATE series SET labels = 'interface' WHERE id = 3;
         UPDATE catalogs SET body = x'00' WHERE agent = 3",
    )
    .expect("writes");
    drop(db);
    assert!(refused(dir.path()).to_string().contains("run `rackside-hub salvage`"));
    let salvaged = salvage(dir.path(), DAY0).expect("salvages");
    let lost = |name: &str| salvaged.tables.iter().find(|table| table.name == name).map(|table| table.lost);
    assert_eq!([lost("agents"), lost("runs"), lost("series")], [Some(1), Some(1), Some(4)], "{salvaged:?}");
    let mut store = open(dir.path(), DAY0 + 3 * HOUR);
    settle(&mut store, DAY0 + 3 * HOUR);
    assert_eq!(store.known().expect("reads").len(), 2);
    for agent in store.reader().agents().expect("reads") {
        assert!(!store.reader().series(&agent).expect("reads").is_empty());
    }
}

#[test]
fn a_backup_whose_adoption_was_cut_short_is_adopted_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, ..) = filled(dir.path());
    let id = store.id();
    let target = tempfile::tempdir().expect("a directory");
    let copy = backup(dir.path(), target.path()).expect("copies");
    drop(store);
    // The power fails when the file has its new pages and the journal that takes them back is still there.
    let journal = target.path().join("history.db-journal");
    let db = Connection::open(&copy).expect("opens");
    db.execute_batch(
        "PRAGMA synchronous = OFF; BEGIN; UPDATE meta SET history = 7; PRAGMA application_id = 0x52534848",
    )
    .expect("writes");
    let hot = fs::read(&journal).expect("there is a journal");
    db.execute_batch("COMMIT").expect("commits");
    drop(db);
    fs::write(&journal, hot).expect("writes");
    assert_ne!(open(target.path(), DAY0).id(), id);
    assert_ne!(open(target.path(), DAY0).id(), 7, "the journal was hot");
}

#[test]
fn what_is_no_history_is_not_backed_up() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(filled(dir.path()));
    let db = Connection::open(dir.path().join("history.db")).expect("opens");
    db.execute_batch("PRAGMA application_id = 5").expect("writes");
    drop(db);
    let target = tempfile::tempdir().expect("a directory");
    let error = backup(dir.path(), target.path()).expect_err("is of another program");
    assert!(error.to_string().contains("a SQLite database of another program"), "{error}");
    assert!(!target.path().join("history.db").exists());
}

#[test]
fn a_backup_that_found_no_room_does_not_promise_to_go_on() {
    let error = BackupError::Store(StoreError::Full { path: "/mnt/history.db.partial".into() });
    assert_eq!(
        error.to_string(),
        "/mnt/history.db.partial: the disk is full; make room there, or name a directory on another disk"
    );
}

#[test]
fn salvage_while_a_hub_runs_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let _store = open(dir.path(), DAY0);
    assert!(matches!(salvage(dir.path(), DAY0), Err(OpenError::Locked { .. })));
}
