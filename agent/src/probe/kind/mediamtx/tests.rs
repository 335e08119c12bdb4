//! What the configuration of it may say.

use super::read::Path;
use super::*;
use crate::probe::State;

fn settings(text: &str) -> MediaMtx {
    rackside_config::parse(&format!("name = \"server\"\nurl = \"http://127.0.0.1:9997\"\n{text}"), "x")
        .unwrap_or_else(|error| panic!("{error}"))
}

fn objection(text: &str) -> String {
    settings(text).check().map_or_else(|(key, why)| format!("{key}: {why}"), |()| "none".to_owned())
}

#[test]
fn what_cannot_be_meant_is_refused() {
    assert_eq!(objection("paths = { \"a\" = \"main\" }\nexpect = [\"main\"]"), "none");
    assert_eq!(objection("expect = [\"main\"]"), "expect: \"main\" is no alias in `paths`");
    assert_eq!(
        objection("paths = { \"a\" = \"main\", \"b\" = \"main\" }"),
        "paths: calls two paths \"main\""
    );
    assert_eq!(objection("paths = { \"a\" = [] }"), "paths: has a path whose alias is no text");
    assert_eq!(objection("paths = { \"a\" = \"\" }"), "paths: \"\" is no label; 1 to 64 bytes of text are");
}

#[test]
fn no_key_is_shown() {
    let settings = settings("paths = { \"abcd-efgh-1234\" = \"main\" }");
    assert!(!format!("{settings:?} {}", settings.target()).contains("efgh"));
}

#[test]
fn a_server_is_up_only_when_all_that_is_expected_is_known_to_be_online() {
    let settings =
        settings("paths = { \"key\" = \"main\", \"spare\" = \"backup\" }\nexpect = [\"main\", \"backup\"]");
    let mut asking = Asking::new(settings);
    let path = |name: &str, is_online| Path {
        name: name.to_owned(),
        is_online,
        since: None,
        readers: None,
        inbound: None,
        outbound: None,
        in_error: None,
        tracks: String::new(),
    };
    let mut state = |paths: Vec<Path>, is_whole| {
        asking.book.take(Some(Listed { paths, is_whole }), &asking.settings.paths, Clock::now());
        asking.known().state
    };
    let main = || path("key", Some(true));
    assert_eq!(state(vec![main(), path("spare", Some(true))], true), State::Up);
    let nobody = "the server's list does not say whether backup is online";
    assert_eq!(state(vec![main(), path("spare", None)], true), State::Unknown(nobody.to_owned()));
    assert_eq!(state(vec![main()], false), State::Unknown(nobody.to_owned()));
    let gone = "main not online, says the server";
    assert_eq!(state(vec![path("key", Some(false))], false), State::Down(gone.to_owned()));
}
