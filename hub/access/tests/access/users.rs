//! Who there is, and that somebody always decides.

use super::{DAY, NOW, PASSWORD, empty, login, new, of_session, some, two};
use rackside_access::{Access, ChangeError, NewUser, PasswordFault, Reach, Role, Store};

fn add(access: &Access, new: &NewUser<'_>) -> Result<(), ChangeError> {
    access.change(|store| store.add_user(new, "a test", NOW))
}

#[test]
fn the_first_user_is_an_admin_and_there_is_always_one() {
    let (_directory, access) = empty();
    assert_eq!(access.look(Store::has_users), Ok(false));
    assert_eq!(add(&access, &new("desk", Role::Operator)), Err(ChangeError::FirstIsAdmin));
    assert_eq!(add(&access, &new("first", Role::Admin)), Ok(()));
    assert_eq!(access.look(Store::has_users), Ok(true));
    let change =
        |name: &str, role| access.change(|store| store.change_user(name, role, &Reach::All, "a test", NOW));
    let remove = |name: &str| access.change(|store| store.remove_user(name, "a test", NOW));
    assert_eq!(change("FIRST", Role::Viewer), Err(ChangeError::LastAdmin));
    assert_eq!(remove("First"), Err(ChangeError::LastAdmin));
    assert_eq!(add(&access, &new("second", Role::Operator)), Ok(()));
    assert_eq!(remove("first"), Err(ChangeError::LastAdmin), "an operator is none");
    assert_eq!(change("second", Role::Admin), Ok(()));
    assert_eq!(remove("first"), Ok(()));
    assert_eq!(change("second", Role::Viewer), Err(ChangeError::LastAdmin));
}

#[test]
fn what_cannot_be_a_user_is_refused_with_a_reason() {
    let (_directory, access) = two();
    let admin = |name: &'static str| new(name, Role::Admin);
    for (user, error) in [
        (admin("FIRST"), ChangeError::Taken("FIRST".to_owned())),
        (admin(""), ChangeError::Name(String::new())),
        (admin("stage office"), ChangeError::Name("stage office".to_owned())),
        (admin("a<b>"), ChangeError::Name("a<b>".to_owned())),
        (NewUser { password: "short", ..admin("a") }, PasswordFault::Short.into()),
        (NewUser { password: "Stage-Office", ..admin("stage-office") }, PasswordFault::IsName.into()),
        (NewUser { reach: some(&["hall"], &[]), ..admin("a") }, ChangeError::LimitedAdmin),
        (
            NewUser { reach: some(&["a b"], &[]), ..new("a", Role::Viewer) },
            ChangeError::Reach("a b".to_owned()),
        ),
    ] {
        assert_eq!(add(&access, &user), Err(error), "{user:?}");
    }
    let long = "x".repeat(65);
    assert!(
        add(&access, &new(&long, Role::Viewer)).is_err_and(|error| error.to_string().contains("1 to 64"))
    );
    assert_eq!(access.look(Store::users).expect("well").len(), 2, "nothing of them is kept");
}

#[test]
fn a_changed_user_has_the_new_role_and_reach_at_once() {
    let (_directory, access) = two();
    let session = login(&access, "Desk", PASSWORD, NOW).expect("right");
    let visitor = of_session(&access, &session, NOW).expect("logged in");
    assert_eq!((visitor.name.as_deref(), visitor.role), (Some("desk"), Role::Operator));
    assert!(visitor.sees("hall", &[]) && visitor.sees("arena", &[]) && !visitor.sees("barn", &[]));
    access
        .change(|store| store.change_user("desk", Role::Viewer, &some(&["barn"], &[]), "first", NOW))
        .expect("changed");
    let visitor = of_session(&access, &session, NOW).expect("still logged in");
    assert_eq!(visitor.role, Role::Viewer);
    assert!(!visitor.sees("hall", &[]) && visitor.sees("barn", &[]));
}

#[test]
fn a_user_that_is_removed_or_has_another_password_is_out_everywhere() {
    let (_directory, access) = two();
    let session = || login(&access, "desk", PASSWORD, NOW).expect("right");
    let (one, other) = (session(), session());
    let change = |password| access.change(|store| store.set_password("desk", password, "first", NOW));
    assert_eq!(change("short"), Err(PasswordFault::Short.into()));
    assert!(of_session(&access, &one, NOW).is_some());
    assert_eq!(change("battery staple"), Ok(()));
    assert!(of_session(&access, &one, NOW).is_none() && of_session(&access, &other, NOW).is_none());
    assert!(login(&access, "desk", PASSWORD, NOW).is_none());
    let again = login(&access, "desk", "battery staple", NOW).expect("right");
    access.change(|store| store.remove_user("desk", "first", NOW)).expect("removed");
    assert!(of_session(&access, &again, NOW).is_none());
    assert!(login(&access, "desk", "battery staple", NOW).is_none());
    assert_eq!(access.look(|store| store.user("desk")), Ok(None));
    let unknown = access.change(|store| store.set_password("desk", "battery staple", "first", NOW));
    assert_eq!(unknown, Err(ChangeError::Unknown("desk".to_owned())));
}

#[test]
fn every_change_is_noted_with_who_made_it_and_without_a_secret() {
    let (_directory, access) = two();
    let before = access.look(Store::last_note).expect("well");
    access.change(|store| {
        store.change_user("desk", Role::Viewer, &some(&["hall"], &["north"]), "first", NOW).expect("changed");
        store.set_password("desk", "battery staple", "first", NOW).expect("changed");
        store.remove_user("desk", "somebody", NOW + DAY).expect("removed");
    });
    let notes = access.look(|store| store.notes_after(before)).expect("well");
    let said: Vec<_> = notes.iter().map(|note| (note.who.as_str(), note.what.as_str())).collect();
    assert_eq!(
        said,
        [
            ("first", "changed the user desk to viewer, sites hall, tags north"),
            ("first", "changed the password of desk, whose sessions end"),
            ("somebody", "removed the user desk, with all sessions and tokens"),
        ]
    );
    assert_eq!(notes.last().map(|note| note.at), Some(NOW + DAY));
}
