//! Users whom a provider vouches for: known by issuer and subject, never mixed with others of their name.

use super::{DAY, HERE, HOUR, LASTING, NOW, PASSWORD, empty, login, of_session, some, two};
use rackside_access::{Access, Arrival, ChangeError, FILE, Identity, Reach, Role, Secret, Store};

fn identity(issuer: &str, subject: &str) -> Identity {
    Identity { issuer: issuer.to_owned(), subject: subject.to_owned() }
}

fn known(subject: &str) -> Identity {
    identity("https://login.example.org", subject)
}

fn arrival<'a>(identity: &'a Identity, name: &'a str, role: Role) -> Arrival<'a> {
    Arrival { identity, name, role, reach: Reach::All, may_be_new: true }
}

fn arrive(access: &Access, of: &Arrival<'_>, now: i64) -> Result<(String, Secret), ChangeError> {
    access.arrive(of, HERE, now + DAY, now)
}

#[test]
fn nobody_becomes_somebody_else_by_a_name() {
    let (_directory, access) = two();
    let (one, other) = (known("1"), known("2"));
    let elsewhere = identity("https://elsewhere.example.org", "1");
    let name = |of: &Identity, wanted: &str| {
        arrive(&access, &arrival(of, wanted, Role::Viewer), NOW).expect("taken in").0
    };
    assert_eq!(name(&one, "Desk"), "Desk+2", "the name is a local user's");
    assert_eq!(name(&other, "desk"), "desk+3");
    assert_eq!(name(&elsewhere, "desk"), "desk+4", "a subject is its issuer's");
    assert_eq!(name(&one, "first"), "Desk+2", "a name is given once");
    assert_eq!(name(&known("3"), " <b>stage\u{202e} office</b> "), "-b-stage--office--b-");
    assert_eq!(name(&known("4"), ""), "somebody");
    assert_eq!(name(&known("5"), &"ä".repeat(500)), "ä".repeat(58));
    let desk = access.look(|store| store.user("desk")).expect("well").expect("still there");
    assert_eq!((desk.role, desk.identity), (Role::Operator, None), "nothing was changed of the local one");
}

#[test]
fn role_and_reach_are_those_of_the_last_login() {
    let (_directory, access) = two();
    let identity = known("1");
    let (_, secret) = arrive(&access, &arrival(&identity, "stage", Role::Admin), NOW).expect("taken in");
    assert_eq!(of_session(&access, &secret, NOW).map(|one| one.role), Some(Role::Admin));
    let less = Arrival { reach: some(&["hall"], &[]), ..arrival(&identity, "stage", Role::Viewer) };
    arrive(&access, &less, NOW).expect("taken in");
    let before = of_session(&access, &secret, NOW).expect("it goes on");
    assert_eq!(
        (before.role, before.reach),
        (Role::Viewer, some(&["hall"], &[])),
        "an older session has no more"
    );
    let notes = access.look(|store| store.notes_after(2)).expect("well");
    let whats: Vec<_> = notes.iter().map(|note| (note.who.as_str(), note.what.as_str())).collect();
    let issuer = "https://login.example.org";
    assert_eq!(
        whats,
        [(issuer, "added the user stage (admin)"), (issuer, "changed the user stage to viewer, sites hall")]
    );
}

#[test]
fn their_session_ends_when_it_should_whatever_the_others_last() {
    let (_directory, access) = two();
    let identity = known("1");
    let of = arrival(&identity, "stage", Role::Viewer);
    let (_, secret) = access.arrive(&of, HERE, NOW + HOUR, NOW).expect("taken in");
    assert!(of_session(&access, &secret, NOW + HOUR - 1).is_some());
    assert!(of_session(&access, &secret, NOW + HOUR).is_none());
    let listed = |now| access.look(|store| store.sessions(LASTING, now)).expect("well").len();
    assert_eq!((listed(NOW), listed(NOW + HOUR)), (1, 0));
}

#[test]
fn they_have_no_password_and_nobody_here_changes_what_their_provider_says() {
    let (_directory, access) = two();
    let identity = known("1");
    arrive(&access, &arrival(&identity, "stage", Role::Viewer), NOW).expect("taken in");
    assert!(login(&access, "stage", "", NOW).is_none());
    assert!(login(&access, "stage", PASSWORD, NOW).is_none());
    let provided = Err(ChangeError::Provided("stage".to_owned()));
    let changed = access.change(|store| store.change_user("stage", Role::Admin, &Reach::All, "a test", NOW));
    assert_eq!(changed, provided);
    let changed = access.change(|store| store.set_password("stage", PASSWORD, "a test", NOW));
    assert_eq!(changed, provided);
    assert!(access.change(|store| store.remove_user("stage", "a test", NOW)).is_ok());
}

#[test]
fn a_stranger_is_let_in_only_when_introduced() {
    let (_directory, access) = two();
    let identity = known("90210");
    let strict = Arrival { may_be_new: false, ..arrival(&identity, "stage", Role::Operator) };
    assert_eq!(arrive(&access, &strict, NOW).map(drop), Err(ChangeError::Stranger("90210".to_owned())));
    access.change(|store| store.introduce("office", &identity, "a test", NOW)).expect("introduced");
    let office = access.look(|store| store.user("office")).expect("well").expect("there");
    assert_eq!(
        (office.role, office.reach),
        (Role::Viewer, some(&[], &[])),
        "nothing until the provider speaks"
    );
    assert_eq!(arrive(&access, &strict, NOW).map(|(name, _)| name), Ok("office".to_owned()));
    let again = access.change(|store| store.introduce("other", &identity, "a test", NOW));
    assert_eq!(again, Err(ChangeError::Taken("90210".to_owned())));
}

#[test]
fn the_first_of_all_has_to_be_an_admin() {
    let (_directory, access) = empty();
    let identity = known("1");
    let viewer = arrive(&access, &arrival(&identity, "stage", Role::Viewer), NOW).map(drop);
    assert_eq!(viewer, Err(ChangeError::FirstIsAdmin));
    assert!(arrive(&access, &arrival(&identity, "stage", Role::Admin), NOW).is_ok());
    assert_eq!(access.look(Store::has_users), Ok(true));
}

#[test]
fn sessions_of_a_provider_that_no_longer_stands_end() {
    let (_directory, access) = two();
    let local = login(&access, "desk", PASSWORD, NOW).expect("right");
    let identity = known("1");
    let (_, secret) = arrive(&access, &arrival(&identity, "stage", Role::Viewer), NOW).expect("taken in");
    let issuer = |secret: &Secret| access.look(|store| store.issuer_of(secret.shown())).expect("well");
    assert_eq!((issuer(&secret), issuer(&local)), (Some("https://login.example.org".to_owned()), None));
    let end = |issuer| access.change(|store| store.end_sessions_of_others(issuer));
    assert_eq!(end(Some("https://login.example.org")), Ok(0));
    assert_eq!(end(Some("https://elsewhere.example.org")), Ok(1));
    let (_, secret) = arrive(&access, &arrival(&identity, "stage", Role::Viewer), NOW).expect("taken in");
    assert_eq!(end(None), Ok(1));
    assert!(of_session(&access, &secret, NOW).is_none() && of_session(&access, &local, NOW).is_some());
}

#[test]
fn passwords_are_taken_for_a_while_when_somebody_says_so() {
    let (_directory, access) = two();
    let takes = |now| access.look(|store| store.takes_passwords(now));
    assert_eq!(takes(NOW), Ok(false));
    access.change(|store| store.take_passwords(NOW + HOUR, "the command line", NOW)).expect("written");
    assert_eq!((takes(NOW + HOUR - 1), takes(NOW + HOUR)), (Ok(true), Ok(false)));
    let notes = access.look(|store| store.notes_after(2)).expect("well");
    assert_eq!(notes[0].what, "has passwords taken for 60 minutes");
}

#[test]
fn whoever_comes_back_from_a_provider_too_often_without_success_waits() {
    let (_directory, access) = two();
    let identity = known("1");
    for _ in 0..5 {
        assert_eq!(access.knock_from(HERE, NOW), Ok(()));
    }
    assert!(access.knock_from(HERE, NOW).is_err());
    arrive(&access, &arrival(&identity, "stage", Role::Viewer), NOW).expect("taken in");
    assert_eq!(access.knock_from(HERE, NOW), Ok(()), "who got in is counted anew");
}

#[test]
fn a_file_of_the_version_before_goes_on_with_all_that_is_in_it() {
    let (directory, access) = two();
    let secret = login(&access, "desk", PASSWORD, NOW).expect("right");
    drop(access);
    let file = rusqlite::Connection::open(directory.path().join(FILE)).expect("it opens");
    file.execute_batch(
        "DROP INDEX user_subject; ALTER TABLE user DROP COLUMN issuer; ALTER TABLE user DROP COLUMN subject;
         ALTER TABLE session DROP COLUMN until; DROP TABLE passwords; PRAGMA user_version = 1;",
    )
    .expect("as it was");
    drop(file);
    let access = Access::open(directory.path(), LASTING).expect("it opens");
    assert!(of_session(&access, &secret, NOW).is_some() && login(&access, "first", PASSWORD, NOW).is_some());
    arrive(&access, &arrival(&known("1"), "stage", Role::Viewer), NOW).expect("taken in");
}
