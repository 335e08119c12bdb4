//! What the configuration of it may say.

use super::*;

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
