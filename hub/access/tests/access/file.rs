//! `access.db`: for its owner alone, shared with the command line, and never "nobody is there" when it cannot be read.

use super::{LASTING, NOW, PASSWORD, login, new, of_session, two};
use rackside_access::{Access, FILE, Fault, NewToken, Reach, Role, Store, backup};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn the_file_is_its_owners_alone() {
    let (directory, access) = two();
    for entry in fs::read_dir(directory.path()).expect("a directory") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(access);
    let path = directory.path().join(FILE);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("it is ours");
    Access::open(directory.path(), LASTING).expect("it opens");
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn neither_passwords_nor_secrets_stand_in_it() {
    let (directory, access) = two();
    let session = login(&access, "desk", PASSWORD, NOW).expect("right");
    let scopes = "read".parse().expect("scopes");
    let new = NewToken { name: "grafana", owner: None, scopes, reach: Reach::All, expires_at: None };
    let (_, token) = access.change(|store| store.make_token(&new, "a test", NOW)).expect("made");
    drop(access);
    let mut bytes = Vec::new();
    for entry in fs::read_dir(directory.path()).expect("a directory") {
        let mut file = fs::File::open(entry.expect("an entry").path()).expect("it is ours");
        file.read_to_end(&mut bytes).expect("read");
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("grafana") && holds("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert!(!holds(PASSWORD) && !holds(session.shown()) && !holds(&token.shown()[9..]));
}

#[test]
fn what_the_command_line_changes_counts_at_once() {
    let (directory, access) = two();
    let session = login(&access, "desk", PASSWORD, NOW).expect("right");
    let mut other = Store::open(directory.path()).expect("it opens twice");
    let before = access.look(Store::last_note).expect("well");
    other.add_user(&new("second", Role::Admin), "the command line", NOW).expect("added");
    assert!(login(&access, "second", PASSWORD, NOW).is_some());
    other.remove_user("desk", "the command line", NOW).expect("removed");
    assert!(of_session(&access, &session, NOW).is_none());
    let notes = access.look(|store| store.notes_after(before)).expect("well");
    assert!(notes.len() == 2 && notes.iter().all(|note| note.who == "the command line"), "{notes:?}");
}

#[test]
fn a_damaged_file_is_an_error_and_never_an_empty_one() {
    let (directory, access) = two();
    drop(access);
    let path = directory.path().join(FILE);
    let whole = fs::read(&path).expect("it is ours");
    let refused = |what: &str| {
        let error = Store::open(directory.path()).map(drop).expect_err(what);
        assert!(matches!(error.fault, Fault::Damaged(_)), "{what}: {error:?}");
        let line = error.to_string();
        assert!(line.starts_with(&path.display().to_string()) && line.contains("nobody is let in"), "{line}");
        let advice = "), and nobody is let in; put a backup of it in its place, or move it away and make users anew, and start the hub again";
        assert!(line.contains(": is damaged (") && line.ends_with(advice), "{line}");
    };
    fs::write(
        &path,
        b"something else that is longer than a header of SQLite's, by a good deal, as it has to be for that",
    )
    .expect("written");
    refused("another file");
    fs::write(&path, &whole[..whole.len() / 2]).expect("written");
    refused("half a file");
    let mut torn = whole.clone();
    torn[5000..9000].fill(0x55);
    fs::write(&path, &torn).expect("written");
    refused("a page of rubbish");
    fs::write(&path, &whole).expect("written");
    let mut file = OpenOptions::new().write(true).open(&path).expect("it is ours");
    // The version that its writer gave it, at byte 60 of SQLite's header.
    file.seek(SeekFrom::Start(60)).and_then(|_| file.write_all(&[0, 0, 0, 9])).expect("written");
    let error = Store::open(directory.path()).map(drop).expect_err("of another version");
    assert_eq!(error.fault, Fault::Version(9));
    let line = error.to_string();
    assert!(line.ends_with("wrote it (version 9, this one knows 2); run that version"), "{line}");
    fs::write(&path, &whole).expect("written");
    assert_eq!(Store::open(directory.path()).expect("whole again").users().expect("well").len(), 2);
}

#[test]
fn without_its_directory_there_is_an_error_as_well() {
    let error =
        Access::open(Path::new("/nonexistent/rackside"), LASTING).map(drop).expect_err("no directory");
    assert!(matches!(error.fault, Fault::Io(_)), "{error:?}");
    let line = error.to_string();
    assert!(line.ends_with("/access.db: cannot be opened: No such file or directory (os error 2)"), "{line}");
}

#[test]
fn a_copy_is_whole_and_its_owners_alone() {
    let (directory, access) = two();
    let to = tempfile::tempdir().expect("a temporary directory");
    for _ in 0..2 {
        let copy = backup(directory.path(), to.path()).expect("copied").expect("there is a file");
        assert_eq!(mode(&copy), 0o600);
    }
    assert_eq!(Store::open(to.path()).expect("it opens").users().expect("well").len(), 2);
    drop(access);
    let empty = tempfile::tempdir().expect("a temporary directory");
    assert_eq!(backup(empty.path(), to.path()), Ok(None));
}
