//! A file of two versions: for its owner alone, shared with another process, looked through before it is made newer, and never an empty one when it cannot be read.

use rackside_store::{Fault, File, Form, StoreError};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ONE: &str = "CREATE TABLE one (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;";
const TWO: &str = "CREATE TABLE two (id INTEGER PRIMARY KEY) STRICT;";

/// In a page of rows, if there are 500.
const TORN: usize = 17_000;

const FORM: Form = Form {
    file: "a.db",
    application: 0x5253_5858,
    pragmas: "PRAGMA secure_delete = ON;",
    tables: &[ONE],
    upgrades: &[],
    damaged: "and nobody is served; put a backup of it in its place",
    not_given: "; it is the hub's",
};
/// As the version before writes it.
static BEFORE: Form = FORM;
/// As this version does.
static NOW: Form = Form { tables: &[ONE, TWO], upgrades: &[TWO], ..FORM };

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

/// Writes rows of 100 bytes each.
fn write(file: &mut File, count: usize) -> Result<(), StoreError> {
    file.change(|transaction| {
        let text = "x".repeat(100);
        (0..count)
            .try_for_each(|_| transaction.execute("INSERT INTO one (text) VALUES (?1)", [&text]).map(drop))
    })
}

fn count(file: &File, table: &str) -> Result<i64, StoreError> {
    file.ask(|connection| {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
    })
}

/// A file of so many rows, closed, and where it is.
fn filled(form: &'static Form, directory: &Path, rows: usize) -> PathBuf {
    write(&mut form.open(directory).expect("made"), rows).expect("written");
    directory.join(form.file)
}

fn refused(form: &'static Form, directory: &Path) -> StoreError {
    form.open(directory).map(drop).expect_err("it cannot be used")
}

#[test]
fn it_is_its_owners_alone_and_with_it_what_sqlite_puts_beside_it() {
    let data = directory();
    let mut file = NOW.open(data.path()).expect("made");
    write(&mut file, 1).expect("written");
    let beside: Vec<PathBuf> = fs::read_dir(data.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(beside.len() > 1, "{beside:?}");
    for path in beside {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(file);
    let path = data.path().join("a.db");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("it is ours");
    assert_eq!(count(&NOW.open(data.path()).expect("opened"), "one"), Ok(1));
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn made_by_root_it_belongs_to_whom_the_directory_belongs_to() {
    let data = directory();
    // Nobody else than root may do this, and nobody else has to.
    let _ = chown(data.path(), Some(65_534), Some(65_534));
    drop(NOW.open(data.path()).expect("made"));
    let owner =
        |path: &Path| fs::metadata(path).map(|found| (found.uid(), found.gid())).expect("it is there");
    assert_eq!(owner(&data.path().join("a.db")), owner(data.path()));
}

#[test]
fn what_is_set_for_a_connection_is_set() {
    let data = directory();
    let file = NOW.open(data.path()).expect("made");
    let pragma = |name: &str| {
        file.ask(|connection| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)))
    };
    assert_eq!(pragma("secure_delete"), Ok(1), "its own");
    assert_eq!(pragma("synchronous"), Ok(2), "and everybody's");
    assert_eq!(pragma("application_id"), Ok(0x5253_5858));
    let mode = file.ask(|connection| connection.pragma_query_value(None, "journal_mode", |row| row.get(0)));
    assert_eq!(mode, Ok("wal".to_owned()));
}

#[test]
fn somebody_elses_change_is_seen() {
    let data = directory();
    let file = NOW.open(data.path()).expect("made");
    let before = file.version();
    assert_eq!(file.version(), before);
    write(&mut NOW.open(data.path()).expect("opened"), 1).expect("written");
    assert_ne!(file.version(), before);
}

#[test]
fn those_who_make_it_at_the_same_moment_make_it_once() {
    let data = directory();
    let opened: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| NOW.open(data.path()).map(drop))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(opened, vec![Ok(()); 8]);
}

#[test]
fn a_change_is_made_whole_or_not_at_all() {
    #[derive(Debug, PartialEq)]
    enum Against {
        This,
        Sqlite(String),
    }
    impl From<rusqlite::Error> for Against {
        fn from(error: rusqlite::Error) -> Self {
            Self::Sqlite(error.to_string())
        }
    }
    let data = directory();
    let mut file = NOW.open(data.path()).expect("made");
    let add = "INSERT INTO one (text) VALUES ('a')";
    let failed = file.change(|transaction| {
        transaction.execute(add, [])?;
        transaction.execute("INSERT INTO one (text) VALUES (NULL)", [])
    });
    assert!(matches!(failed.expect_err("NOT NULL").fault, Fault::Sqlite(_)));
    let refused = file.attempt(|transaction| {
        transaction.execute(add, [])?;
        Err::<(), _>(Against::This)
    });
    assert_eq!((refused, count(&file, "one")), (Err(Against::This), Ok(0)));
    assert_eq!(file.attempt(|transaction| Ok::<_, Against>(transaction.execute(add, [])?)), Ok(1));
    assert_eq!(count(&file, "one"), Ok(1));
}

#[test]
fn what_is_not_whole_is_an_error_and_never_an_empty_file() {
    let data = directory();
    let path = filled(&NOW, data.path(), 500);
    let whole = fs::read(&path).expect("it is ours");
    let damaged = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).expect("written");
        let error = refused(&NOW, data.path());
        assert!(matches!(error.fault, Fault::Damaged(_)), "{what}: {error:?}");
        assert_eq!(fs::read(&path).expect("it is ours"), bytes, "{what}: it stays as it is");
    };
    damaged(&[7; 8192], "another file");
    damaged(&whole[..whole.len() / 2], "half a file");
    let mut torn = whole.clone();
    torn[TORN..TORN + 3000].fill(0x55);
    damaged(&torn, "a page of rubbish");
    // The version that its writer gave it is at byte 60 of SQLite's header, and whose it is at byte 68.
    let mut other = whole.clone();
    other[68..72].copy_from_slice(b"abcd");
    damaged(&other, "another program's");
    for version in [0, 9, -1_i32] {
        let mut bytes = whole.clone();
        bytes[60..64].copy_from_slice(&version.to_be_bytes());
        fs::write(&path, bytes).expect("written");
        assert_eq!(refused(&NOW, data.path()).fault, Fault::Version(version.into()));
    }
    fs::write(&path, &whole).expect("written");
    assert_eq!(count(&NOW.open(data.path()).expect("whole again"), "one"), Ok(500));
}

#[test]
fn a_file_of_the_version_before_is_taken_on_with_all_that_is_in_it() {
    let data = directory();
    filled(&BEFORE, data.path(), 3);
    for _ in 0..2 {
        let file = NOW.open(data.path()).expect("taken on");
        assert_eq!((count(&file, "one"), count(&file, "two")), (Ok(3), Ok(0)));
    }
    assert_eq!(refused(&BEFORE, data.path()).fault, Fault::Version(2), "and never goes back");
}

#[test]
fn a_damaged_file_of_the_version_before_is_left_as_it_is() {
    let data = directory();
    let path = filled(&BEFORE, data.path(), 500);
    let mut file = OpenOptions::new().write(true).open(&path).expect("it is ours");
    file.seek(SeekFrom::Start(TORN as u64)).and_then(|_| file.write_all(&[0x55; 3000])).expect("written");
    drop(file);
    for _ in 0..2 {
        assert!(matches!(refused(&NOW, data.path()).fault, Fault::Damaged(_)));
    }
    let mut version = [0; 4];
    let mut file = fs::File::open(&path).expect("it is ours");
    file.seek(SeekFrom::Start(60)).and_then(|_| file.read_exact(&mut version)).expect("read");
    assert_eq!(version, [0, 0, 0, 1]);
}

#[test]
fn a_new_version_that_cannot_be_made_leaves_the_old_one() {
    static BROKEN: Form = Form { tables: &[ONE], upgrades: &[TWO, "CREATE TABLE one (id)"], ..FORM };
    let data = directory();
    filled(&BEFORE, data.path(), 3);
    let error = refused(&BROKEN, data.path());
    assert!(matches!(&error.fault, Fault::Damaged(what) if what.contains("already exists")), "{error}");
    let file = BEFORE.open(data.path()).expect("as it was");
    assert_eq!(count(&file, "one"), Ok(3));
    assert!(count(&file, "two").is_err(), "nothing of it was made");
}

#[test]
fn a_copy_is_whole_and_its_owners_alone() {
    let [data, to] = [(); 2].map(|()| directory());
    assert_eq!(NOW.backup(data.path(), to.path()), Ok(None), "nothing there yet");
    assert_eq!(fs::read_dir(data.path()).expect("a directory").count(), 0, "and nothing is made");
    let mut file = NOW.open(data.path()).expect("made");
    // What a copy that was cut short has left.
    fs::write(to.path().join("a.db.new"), "half a copy").expect("written");
    for rows in 1..3 {
        write(&mut file, 1).expect("written");
        let copy = NOW.backup(data.path(), to.path()).expect("copied").expect("there is one");
        assert_eq!((&copy, mode(&copy)), (&to.path().join("a.db"), 0o600));
        assert_eq!(fs::read_dir(to.path()).expect("a directory").count(), 1, "nothing else is left");
        let copied = tempfile::tempdir_in(to.path()).expect("a directory");
        fs::copy(&copy, copied.path().join("a.db")).expect("copied");
        assert_eq!(count(&NOW.open(copied.path()).expect("opened"), "one"), Ok(rows));
    }
}

#[test]
fn a_copy_that_fails_leaves_the_one_before() {
    let [data, to] = [(); 2].map(|()| directory());
    let path = filled(&NOW, data.path(), 1);
    NOW.backup(data.path(), to.path()).expect("copied");
    fs::write(&path, [7; 8192]).expect("written");
    assert!(matches!(NOW.backup(data.path(), to.path()).expect_err("damaged").fault, Fault::Damaged(_)));
    assert_eq!(count(&NOW.open(to.path()).expect("opened"), "one"), Ok(1));
    let nowhere = to.path().join("nowhere");
    fs::remove_file(&path).expect("removed");
    filled(&NOW, data.path(), 1);
    let error = NOW.backup(data.path(), &nowhere).expect_err("no such directory");
    assert_eq!((&error.path, matches!(error.fault, Fault::Io(_))), (&nowhere.join("a.db.new"), true));
}

#[test]
fn an_error_says_what_is_wrong_where_and_what_to_do() {
    let data = directory();
    let path = filled(&NOW, data.path(), 1);
    let says =
        |error: StoreError, what: &str| assert_eq!(error.to_string(), format!("{}: {what}", path.display()));
    let file = NOW.open(data.path()).expect("opened");
    says(
        file.failed(&rusqlite::Error::QueryReturnedNoRows),
        "is damaged (Query returned no rows), and nobody is served; put a backup of it in its place",
    );
    says(
        file.ask(|connection| connection.execute("INSERT INTO one VALUES (1, NULL)", []))
            .expect_err("refused"),
        "cannot be used: NOT NULL constraint failed: one.text",
    );
    drop(file);
    says(
        refused(&BEFORE, data.path()),
        "another version of the hub wrote it (version 2, this one knows 1); run that version",
    );
    let error = NOW.open(Path::new("/nonexistent")).map(drop).expect_err("no directory").to_string();
    assert_eq!(
        error,
        "/nonexistent/a.db: cannot be opened: No such file or directory (os error 2); it is the hub's"
    );
}
