//! Tokens: what they may, and when they end.

use super::{DAY, LASTING, NOW, PASSWORD, login, of_session, some, two, visitor};
use rackside_access::{
    Access, ChangeError, Credential, How, NewToken, Reach, Right, Role, Scopes, Secret, Store, TOKEN_PREFIX,
};

fn scopes(words: &str) -> Scopes {
    words.parse().expect("scopes")
}

fn token<'a>(name: &'a str, words: &str) -> NewToken<'a> {
    NewToken { name, owner: None, scopes: scopes(words), reach: Reach::All, expires_at: None }
}

fn make(access: &Access, new: &NewToken<'_>) -> Result<Secret, ChangeError> {
    access.change(|store| store.make_token(new, "a test", NOW)).map(|(_, secret)| secret)
}

#[test]
fn a_token_may_what_its_scopes_say() {
    let (_directory, access) = two();
    for (words, role, rights) in [
        ("metrics", Role::Viewer, "metrics"),
        ("read", Role::Viewer, "read metrics"),
        ("read act", Role::Operator, "read metrics act"),
        ("manage", Role::Admin, "manage"),
    ] {
        let secret =
            make(&access, &token(words.split(' ').next_back().expect("a word"), words)).expect("made");
        assert!(secret.shown().starts_with(TOKEN_PREFIX));
        let visitor = visitor(&access, Credential::Token(secret.shown()), NOW).expect("good");
        let granted: Scopes = Right::ALL.into_iter().filter(|right| visitor.may(*right)).collect();
        assert_eq!((visitor.role, granted.to_string().as_str()), (role, rights), "{words}");
        assert!(matches!(visitor.how, How::Token(_)) && visitor.csrf.is_empty());
    }
}

#[test]
fn a_token_never_goes_beyond_its_owner() {
    let (_directory, access) = two();
    let of_desk = |name, reach| NewToken { owner: Some("desk"), reach, ..token(name, "read act") };
    let all = make(&access, &of_desk("all", Reach::All)).expect("made");
    let less = make(&access, &of_desk("less", some(&["arena", "barn"], &[]))).expect("made");
    let seen = |secret: &Secret| {
        let visitor = visitor(&access, Credential::Token(secret.shown()), NOW).expect("good");
        let sees = ["arena", "hall", "barn"].map(|site| visitor.sees(site, &[]));
        (visitor.may(Right::Act), sees)
    };
    assert_eq!(seen(&all), (true, [true, true, false]));
    assert_eq!(seen(&less), (true, [true, false, false]));
    access
        .change(|store| store.change_user("desk", Role::Viewer, &some(&["barn"], &[]), "first", NOW))
        .expect("changed");
    assert_eq!(seen(&all), (false, [false, false, true]));
    assert_eq!(seen(&less), (false, [false, false, true]));
    access.change(|store| store.remove_user("desk", "first", NOW)).expect("removed");
    assert!(visitor(&access, Credential::Token(all.shown()), NOW).is_none());
    assert_eq!(access.look(Store::tokens).expect("well").len(), 0);
}

#[test]
fn a_token_ends_when_it_expires_and_when_it_is_revoked() {
    let (_directory, access) = two();
    let until = NewToken { expires_at: Some(NOW + DAY), ..token("grafana", "read") };
    let secret = make(&access, &until).expect("made");
    let good = |secret: &Secret, now| visitor(&access, Credential::Token(secret.shown()), now).is_some();
    assert!(good(&secret, NOW + DAY - 1) && !good(&secret, NOW + DAY));
    let other = make(&access, &token("prometheus", "metrics")).expect("made");
    let revoke = |name: &str| access.change(|store| store.revoke_token(name, "first", NOW));
    assert_eq!(revoke("Prometheus"), Ok(()));
    assert!(!good(&other, NOW) && good(&secret, NOW));
    assert_eq!(revoke("prometheus"), Err(ChangeError::Unknown("prometheus".to_owned())));
}

#[test]
fn what_cannot_be_a_token_is_refused() {
    let (_directory, access) = two();
    make(&access, &token("grafana", "read")).expect("made");
    for (new, error) in [
        (token("Grafana", "read"), ChangeError::Taken("Grafana".to_owned())),
        (token("a b", "read"), ChangeError::Name("a b".to_owned())),
        (token("a", ""), ChangeError::NoScopes),
        (NewToken { expires_at: Some(NOW), ..token("a", "read") }, ChangeError::Expired),
        (NewToken { reach: some(&["hall"], &[]), ..token("a", "manage") }, ChangeError::LimitedAdmin),
        (NewToken { owner: Some("nobody"), ..token("a", "read") }, ChangeError::Unknown("nobody".to_owned())),
    ] {
        assert_eq!(make(&access, &new), Err(error), "{new:?}");
    }
}

#[test]
fn what_is_not_a_token_lets_nobody_in() {
    let (_directory, access) = two();
    let session = login(&access, "first", PASSWORD, NOW).expect("right");
    let secret = make(&access, &token("grafana", "read")).expect("made");
    for text in
        ["", "rackside_", "grafana", session.shown(), &secret.shown()[9..], &secret.shown().to_uppercase()]
    {
        assert!(visitor(&access, Credential::Token(text), NOW).is_none(), "{text}");
    }
    assert!(of_session(&access, &secret, NOW).is_none(), "nor is a token a session");
}

#[test]
fn the_day_that_a_token_was_used_is_written_once() {
    let (_directory, access) = two();
    let secret = make(&access, &token("grafana", "read")).expect("made");
    let visit = |now| {
        access.visit(Credential::Token(secret.shown()), [].into_iter(), now).expect("well").expect("good")
    };
    let used = || access.look(Store::tokens).expect("well")[0].used_day;
    assert_eq!(used(), None);
    let first = visit(NOW);
    assert!(first.is_stale, "the first time");
    access.note(first.pass, NOW).expect("written");
    assert_eq!(used(), Some(NOW / DAY));
    assert!(!visit(NOW + DAY - 1).is_stale && visit(NOW + DAY).is_stale);
    let still = || access.is_still(first.pass, &first.visitor, [].into_iter(), NOW).expect("well");
    assert!(still());
    access.change(|store| store.revoke_token("grafana", "first", NOW)).expect("revoked");
    assert!(!still());
}

#[test]
fn an_id_is_never_given_again() {
    let (_directory, access) = two();
    let id = |name: &str| {
        make(&access, &token(name, "read")).expect("made");
        access.look(Store::tokens).expect("well").into_iter().map(|token| token.id).max()
    };
    let first = id("wall");
    access.change(|store| store.revoke_token("wall", "a test", NOW)).expect("revoked");
    assert!(id("wall") > first, "whoever was let in by the one that was revoked is not the new one");
    let session = || {
        login(&access, "desk", PASSWORD, NOW).expect("right");
        access.look(|store| store.sessions(LASTING, NOW)).expect("well").into_iter().map(|one| one.id).max()
    };
    let first = session();
    let ended = first.expect("there is one");
    access.change(|store| store.end_session_of(ended, "a test", NOW)).expect("ended");
    assert!(session() > first);
}
