//! Sessions, from the login to their end, and the link by which the first user is made.

use super::{DAY, HERE, HOUR, LASTING, NOW, PASSWORD, empty, login, new, of_session, two};
use rackside_access::{Browser, ChangeError, Credential, How, KnockError, Right, Role};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

#[test]
fn the_right_password_opens_a_session_and_nothing_else_does() {
    let (_directory, access) = two();
    for (name, password) in [
        ("first", "correct hors"),
        ("first", ""),
        ("nobody", PASSWORD),
        ("", ""),
        ("first", "correct horse "),
    ] {
        assert!(login(&access, name, password, NOW).is_none(), "{name} {password}");
    }
    let (_directory, access) = two();
    let one = login(&access, "first", PASSWORD, NOW).expect("right");
    let other = login(&access, "first", PASSWORD, NOW).expect("right");
    assert_ne!(one.shown(), other.shown(), "each has its own");
    let visitor = of_session(&access, &one, NOW).expect("logged in");
    assert!(visitor.how == How::Session && visitor.may(Right::Manage) && visitor.csrf.len() == 64);
    assert_ne!(visitor.csrf, of_session(&access, &other, NOW).expect("logged in").csrf);
    assert!(!format!("{visitor:?}{one:?}").contains(&visitor.csrf));
}

#[test]
fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
    let (_directory, access) = two();
    let secret = login(&access, "first", PASSWORD, NOW).expect("right");
    assert!(of_session(&access, &secret, NOW + 7 * DAY).is_some());
    assert!(of_session(&access, &secret, NOW + 7 * DAY + 1).is_none());
    for day in [6, 12, 18, 24] {
        let now = NOW + day * DAY;
        let visit = access.visit(Credential::Session(secret.shown()), [].into_iter(), now).expect("well");
        let visit = visit.filter(|visit| visit.is_stale).unwrap_or_else(|| panic!("not on day {day}"));
        access.note(visit.pass, now).expect("written");
    }
    assert!(of_session(&access, &secret, NOW + 30 * DAY).is_some());
    assert!(of_session(&access, &secret, NOW + 30 * DAY + 1).is_none(), "however often it was used");
}

#[test]
fn when_a_session_was_seen_is_written_once_a_minute() {
    let (_directory, access) = two();
    let secret = login(&access, "first", PASSWORD, NOW).expect("right");
    let seen = |now| {
        let visit = access.visit(Credential::Session(secret.shown()), [].into_iter(), now);
        let visit = visit.expect("well").expect("logged in");
        visit.is_stale.then_some(visit.pass)
    };
    assert!(seen(NOW + 59_000).is_none());
    access.note(seen(NOW + 60_000).expect("a minute later"), NOW + 60_000).expect("written");
    assert!(seen(NOW + 61_000).is_none());
    let sessions = access.look(|store| store.sessions(LASTING, NOW + HOUR)).expect("well");
    assert_eq!(
        sessions.iter().map(|one| (one.made_at, one.seen_at)).collect::<Vec<_>>(),
        [(NOW, NOW + 60_000)]
    );
    assert_eq!((sessions[0].address.as_str(), sessions[0].agent.as_str()), ("192.0.2.7", "a browser"));
}

#[test]
fn a_session_is_ended_by_its_owner_or_an_admin() {
    let (_directory, access) = two();
    let secrets: Vec<_> = (0..3).map(|n| login(&access, "desk", PASSWORD, NOW + n).expect("right")).collect();
    access.change(|store| store.end_session(secrets[0].shown())).expect("ended");
    let listed = access.look(|store| store.sessions(LASTING, NOW)).expect("well");
    assert_eq!(listed.len(), 2);
    let newest = listed[0].id;
    assert_eq!(access.change(|store| store.end_session_of(newest, "first", NOW)), Ok(()));
    assert!(access.change(|store| store.end_session_of(newest, "first", NOW)).is_err());
    let live: Vec<_> = secrets.iter().map(|secret| of_session(&access, secret, NOW).is_some()).collect();
    assert_eq!(live, [false, true, false]);
}

#[test]
fn sessions_of_a_user_have_a_bound() {
    let (_directory, access) = two();
    let secrets: Vec<_> = (0..60).map(|n| access.begin("desk", HERE, NOW + n).expect("begun")).collect();
    let live = secrets.iter().filter(|secret| of_session(&access, secret, NOW).is_some()).count();
    assert_eq!(live, 50);
    assert!(
        of_session(&access, &secrets[59], NOW).is_some() && of_session(&access, &secrets[0], NOW).is_none()
    );
}

#[test]
fn guessing_is_slowed_and_whoever_logged_in_there_before_is_not_kept_out() {
    let (_directory, access) = two();
    let there = |n: u8| Browser { address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, n)), agent: "" };
    assert!(login(&access, "first", PASSWORD, NOW).is_some());
    let tried = (0..100).filter(|n| access.knock("first", there(*n), NOW).is_ok()).count();
    assert_eq!(tried, 10, "each from another address");
    let waits = access.knock("first", there(200), NOW).expect_err("too often");
    assert!(matches!(waits, KnockError::Wait(wait) if wait <= Duration::from_secs(30)), "{waits:?}");
    assert!(login(&access, "first", PASSWORD, NOW).is_some(), "from where it has logged in before");
    // It has cleared the name; a hundred more, and the wait is a bounded one.
    for n in 0..100 {
        let _ = access.knock("first", there(n), NOW + 1);
    }
    assert!(access.knock("first", there(201), NOW + 30_001).is_ok());
}

#[test]
fn a_set_up_link_makes_one_admin_and_dies() {
    let (_directory, access) = empty();
    let offer = |now| access.change(|store| store.offer_setup(now)).expect("well");
    let older = offer(NOW).expect("there are no users");
    let code = offer(NOW).expect("there are no users");
    let is_good = |code: &str, now| access.look(|store| store.is_setup(code, now)).expect("well");
    assert!(!is_good(older.shown(), NOW), "a newer one took its place");
    assert!(is_good(code.shown(), NOW + DAY - 1) && !is_good(code.shown(), NOW + DAY) && !is_good("", NOW));
    let set_up = |code: &str, name: &str, now| access.change(|store| store.set_up(code, name, PASSWORD, now));
    assert_eq!(set_up(older.shown(), "first", NOW), Err(ChangeError::Code));
    assert_eq!(set_up(code.shown(), "first", NOW + DAY), Err(ChangeError::Code));
    assert_eq!(set_up(code.shown(), "a name", NOW), Err(ChangeError::Name("a name".to_owned())));
    assert_eq!(set_up(code.shown(), "first", NOW), Ok(()));
    assert_eq!(set_up(code.shown(), "second", NOW), Err(ChangeError::Code));
    assert!(!is_good(code.shown(), NOW) && offer(NOW).is_none());
    assert_eq!(
        access.look(|store| store.user("first")).expect("well").map(|user| user.role),
        Some(Role::Admin)
    );
}

#[test]
fn a_set_up_link_is_worth_nothing_once_there_is_a_user() {
    let (_directory, access) = empty();
    let code = access.change(|store| store.offer_setup(NOW)).expect("well").expect("no users");
    access.change(|store| store.add_user(&new("first", Role::Admin), "a test", NOW)).expect("added");
    assert_eq!(access.look(|store| store.is_setup(code.shown(), NOW)), Ok(false));
}

#[test]
fn whoever_was_let_in_is_still_the_same_until_something_changes() {
    let (_directory, access) = two();
    let secret = login(&access, "desk", PASSWORD, NOW).expect("right");
    let visit =
        access.visit(Credential::Session(secret.shown()), [].into_iter(), NOW).expect("well").expect("in");
    let still = |now| access.is_still(visit.pass, &visit.visitor, [].into_iter(), now).expect("well");
    assert!(still(NOW) && still(NOW + 7 * DAY) && !still(NOW + 7 * DAY + 1));
    let role = |role| {
        let reach = rackside_access::Reach::All;
        access.change(|store| store.change_user("desk", role, &reach, "first", NOW)).expect("changed");
    };
    role(Role::Operator);
    assert!(!still(NOW), "it reaches more now");
    let visit =
        access.visit(Credential::Session(secret.shown()), [].into_iter(), NOW).expect("well").expect("in");
    let still = || access.is_still(visit.pass, &visit.visitor, [].into_iter(), NOW).expect("well");
    assert!(still());
    access.change(|store| store.end_session(secret.shown())).expect("ended");
    assert!(!still(), "logged out");
}

#[test]
fn a_password_that_was_changed_meanwhile_opens_nothing() {
    let (_directory, access) = two();
    let knock = || access.knock("desk", HERE, NOW).expect("nobody has tried");
    let (login, change) = (knock(), knock());
    access.change(|store| store.set_password("desk", "another horse", "first", NOW)).expect("changed");
    assert!(access.login(&login, PASSWORD, HERE, NOW).expect("the file is well").is_none());
    let changed = access.change_password(&change, (PASSWORD, "a third horse"), HERE, NOW);
    assert!(changed.expect("the file is well").is_none());
    assert!(access.look(|store| store.sessions(LASTING, NOW)).expect("well").is_empty());
    let now = knock();
    let secret = access.change_password(&now, ("another horse", "a third horse"), HERE, NOW);
    let secret = secret.expect("the file is well").expect("it is the present one");
    assert!(of_session(&access, &secret, NOW).is_some());
    assert!(super::login(&access, "desk", "a third horse", NOW).is_some());
}

#[test]
fn who_was_removed_meanwhile_is_told_what_everybody_is_told() {
    let (_directory, access) = two();
    let knock = access.knock("desk", HERE, NOW).expect("nobody has tried");
    access.change(|store| store.remove_user("desk", "first", NOW)).expect("removed");
    assert!(access.login(&knock, PASSWORD, HERE, NOW).expect("not a fault of the file").is_none());
}
