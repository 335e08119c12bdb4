//! Copies of files that others may read as well.

use rackside_store::copy;
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const FILE: &str = "b.db";

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn rows(directory: &Path) -> i64 {
    let file = Connection::open(directory.join(FILE)).expect("opened");
    file.query_row("SELECT count(*) FROM one", [], |row| row.get(0)).expect("read")
}

/// A file in use.
fn used(directory: &Path) -> Connection {
    let file = Connection::open(directory.join(FILE)).expect("made");
    let rows = "PRAGMA journal_mode = WAL; CREATE TABLE one (id INTEGER PRIMARY KEY); INSERT INTO one VALUES (1), (2);";
    file.execute_batch(rows).expect("written");
    file
}

#[test]
fn a_copy_of_a_file_in_use_takes_the_place_of_the_one_before() {
    let [data, to] = [(); 2].map(|()| directory());
    assert_eq!(copy(data.path(), to.path(), FILE, |_| Ok(())), Ok(None), "nothing there yet");
    let file = used(data.path());
    // What a copy that was cut short has left.
    fs::write(to.path().join("b.db.partial"), "half a copy").expect("written");
    for count in 2..4 {
        assert_eq!(copy(data.path(), to.path(), FILE, |_| Ok(())), Ok(Some(to.path().join(FILE))));
        assert_eq!(fs::read_dir(to.path()).expect("a directory").count(), 1, "nothing else is left");
        assert_eq!(rows(to.path()), count);
        file.execute("INSERT INTO one DEFAULT VALUES", []).expect("written");
    }
}

#[test]
fn what_is_left_to_do_is_done_to_the_copy_before_it_stands_there() {
    let [data, to] = [(); 2].map(|()| directory());
    let _file = used(data.path());
    let finish = |path: &Path| Connection::open(path)?.execute_batch("DELETE FROM one WHERE id = 1");
    copy(data.path(), to.path(), FILE, finish).expect("copied");
    assert_eq!((rows(data.path()), rows(to.path())), (2, 1));
    let finish = |path: &Path| Connection::open(path)?.execute_batch("DELETE FROM nowhere");
    let error = copy(data.path(), to.path(), FILE, finish).expect_err("no such table");
    let path = data.path().join(FILE);
    let line = error.to_string();
    assert!(line.starts_with(&format!("{}: no such table", path.display())), "{line}");
    assert_eq!(rows(to.path()), 1, "the copy before is still there");
}

#[test]
fn what_cannot_be_copied_or_put_there_is_told() {
    let [data, to] = [(); 2].map(|()| directory());
    fs::write(data.path().join(FILE), [7; 8192]).expect("written");
    let error = copy(data.path(), to.path(), FILE, |_| Ok(())).expect_err("no database");
    assert_eq!((error.path, error.what), (data.path().join(FILE), "file is not a database".to_owned()));
    fs::remove_file(data.path().join(FILE)).expect("removed");
    let _file = used(data.path());
    fs::create_dir_all(to.path().join(FILE).join("in the way")).expect("made");
    let error = copy(data.path(), to.path(), FILE, |_| Ok(())).expect_err("a directory is in its place");
    assert_eq!(error.path, to.path().join(FILE));
}
