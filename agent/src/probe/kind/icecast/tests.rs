//! Sources that come and go, as one page after the other tells.

use super::*;
use crate::probe::State;
use rackside_proto::Value;

fn asking(more: &str) -> Asking {
    let text = format!("name = \"radio\"\nurl = \"http://127.0.0.1:8000\"\n{more}");
    let settings: Icecast = rackside_config::parse(&text, "x").unwrap_or_else(|error| panic!("{error}"));
    settings.check().unwrap_or_else(|error| panic!("{error:?}"));
    Asking { settings, mounts: BTreeMap::new(), has_said_more: false }
}

fn page(mounts: &[(&str, &str)]) -> Page {
    let mount = |(path, title): &(&str, &str)| Mount {
        path: (*path).to_owned(),
        listeners: Some(3),
        bitrate: Some(128_000.0),
        title: Some((*title).to_owned()),
    };
    Page { mounts: mounts.iter().map(mount).collect(), is_whole: true }
}

fn up(outcome: &Outcome, path: &str) -> Option<Value> {
    let mut samples = outcome.samples.iter();
    samples.find(|one| one.metric.name == "rackside_stream_up" && one.labels == [path]).map(|one| one.value)
}

#[test]
fn a_mount_that_must_have_a_source_is_down_by_the_servers_word() {
    let (mut asking, now) = (asking("mounts = [\"/live.mp3\"]"), Clock::now());
    let outcome = asking.known(page(&[("/live.mp3", "Ann - One"), ("/other", "x")]), now);
    assert_eq!((&outcome.state, up(&outcome, "/live.mp3")), (&State::Up, Some(Value::Known(1))));
    assert_eq!(up(&outcome, "/other"), None, "mounts are named, and it is not among them");
    assert_eq!(outcome.texts, [("title", "Ann - One".to_owned())]);
    let outcome = asking.known(page(&[("/other", "x")]), now);
    assert_eq!(outcome.state, State::Down("no source on /live.mp3, says the server".to_owned()));
    assert_eq!(up(&outcome, "/live.mp3"), Some(Value::Known(0)));
    assert_eq!(outcome.texts, []);
}

#[test]
fn a_page_that_cannot_be_had_or_is_not_whole_says_nothing_of_a_mount() {
    let (mut asking, now) = (asking("mounts = [\"/live.mp3\"]"), Clock::now());
    asking.known(page(&[("/live.mp3", "Ann - One")]), now);
    let outcome = asking.unknown("no answer".to_owned(), now);
    assert_eq!(
        (&outcome.state, up(&outcome, "/live.mp3")),
        (&State::Unknown("no answer".to_owned()), Some(Value::Unknown))
    );
    let outcome = asking.known(Page { mounts: Vec::new(), is_whole: false }, now);
    assert!(matches!(outcome.state, State::Unknown(_)), "{outcome:?}");
    assert_eq!(up(&outcome, "/live.mp3"), Some(Value::Unknown));
}

#[test]
fn without_named_mounts_each_is_watched_until_an_hour_after_it_left() {
    let (mut asking, now) = (asking(""), Clock::now());
    assert!(matches!(asking.known(page(&[]), now).state, State::Down(_)));
    let outcome = asking.known(page(&[("/a", "Ann - One"), ("/b", "Ann - One")]), now);
    assert_eq!((&outcome.state, up(&outcome, "/b")), (&State::Up, Some(Value::Known(1))));
    assert_eq!(outcome.texts, [("title", "Ann - One".to_owned())], "the same track on both is one");
    let outcome = asking.known(page(&[("/a", "Bob - Two")]), now + Duration::from_mins(30));
    assert_eq!((&outcome.state, up(&outcome, "/b")), (&State::Up, Some(Value::Known(0))));
    let outcome = asking.known(page(&[("/a", "Bob - Two")]), now + Duration::from_mins(61));
    assert_eq!(up(&outcome, "/b"), None);
}

#[test]
fn so_many_mounts_have_series_and_no_more() {
    let (mut asking, now) = (asking(""), Clock::now());
    let names: Vec<String> = (0..MOST + 5).map(|at| format!("/{at}")).collect();
    let mounts: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    asking.known(page(&mounts), now);
    assert_eq!((asking.mounts.len(), asking.has_said_more), (MOST, true));
}

#[test]
fn what_is_no_mount_is_refused() {
    for wrong in ["live.mp3", "/", ""] {
        let text = format!("name = \"x\"\nurl = \"http://h\"\nmounts = [\"{wrong}\"]");
        let settings: Icecast = rackside_config::parse(&text, "x").expect("TOML");
        let why = format!("{wrong:?} is no mount; one is like \"/live.mp3\"");
        assert_eq!(settings.check(), Err(("mounts", why)));
    }
}
