//! `[[probe.mediamtx]]` against the fake: an old version, many pages, answers that go wrong.

use crate::{Asked, survives_every_fault, up, value};
use rackside_agent::probe::State;
use rackside_proto::Value;
use rackside_tests::fakes::mediamtx::{Age, MediaMtx, Path};

fn probe(server: &MediaMtx, more: &str) -> Asked {
    let url = server.fake.url();
    Asked::new(&format!("[[probe.mediamtx]]\nname = \"server\"\nurl = \"{url}\"\n{more}"))
}

fn path(name: &str, inbound: u64) -> Path {
    let since = Some("2026-11-20T03:00:05.5Z".to_owned());
    Path { name: name.to_owned(), since, inbound, outbound: inbound / 2, readers: 3 }
}

#[test]
fn an_old_version_is_read_by_its_own_fields() {
    let server = MediaMtx::start(Age::Old);
    server.set(|state| {
        state.paths = vec![path("key", 5_000_000), Path { name: "idle".to_owned(), ..Path::default() }];
    });
    let mut asked = probe(&server, "paths = { \"key\" = \"main\", \"idle\" = \"backup\" }");
    let outcome = asked.run();
    assert_eq!(outcome.state, State::Up);
    assert_eq!(
        (up(&outcome, "main"), up(&outcome, "backup")),
        (Some(Value::Known(1)), Some(Value::Known(0)))
    );
    assert_eq!(value(&outcome, "rackside_stream_receive_bytes_total", &["main"]), Some(5e6));
    assert_eq!(value(&outcome, "rackside_stream_transmit_bytes_total", &["main"]), Some(2.5e6));
    assert_eq!(value(&outcome, "rackside_stream_listeners", &["main"]), Some(3.0));
    assert!(outcome.texts.iter().all(|(subject, _)| *subject != "version"), "it has no page that says it");
    assert!(outcome.texts.contains(&("tracks", "main: H264, MPEG-4 Audio".to_owned())));
}

#[test]
fn all_pages_are_read_and_a_path_on_the_last_is_found() {
    let server = MediaMtx::start(Age::New);
    server.set(|state| state.paths = (0..250).map(|at| path(&format!("key-{at:03}"), 1)).collect());
    let mut asked = probe(&server, "paths = { \"key-249\" = \"main\", \"nobody\" = \"backup\" }");
    let outcome = asked.run();
    assert_eq!(value(&outcome, "rackside_mediamtx_paths", &["online"]), Some(250.0));
    assert_eq!(
        (up(&outcome, "main"), up(&outcome, "backup")),
        (Some(Value::Known(1)), Some(Value::Known(0)))
    );
    let pages = server.fake.asked().into_iter().filter(|question| question.path == "/v3/paths/list");
    let pages: Vec<String> = pages.filter_map(|question| question.value("page").map(str::to_owned)).collect();
    assert_eq!(pages, ["0", "1", "2"]);
    server.set(|state| state.paths = (0..1500).map(|at| path(&format!("a-{at:04}"), 1)).collect());
    let outcome = asked.run();
    assert_eq!(
        up(&outcome, "main"),
        Some(Value::Unknown),
        "a list that is longer than what is read says nothing of it"
    );
}

#[test]
fn a_list_that_is_not_there_is_not_asked_for_each_time() {
    let server = MediaMtx::start(Age::New);
    let mut asked = probe(&server, "");
    for _ in 0..12 {
        asked.run();
    }
    let questions = server.fake.asked();
    let times = |path: &str| questions.iter().filter(|question| question.path == path).count();
    assert_eq!((times("/v3/paths/list"), times("/v3/srtconns/list"), times("/v3/info")), (12, 12, 1));
    assert_eq!(
        (times("/v3/webrtcsessions/list"), times("/v3/moqsessions/list")),
        (1, 1),
        "these are switched off"
    );
    assert!(times("/v3/rtmpconns/list") >= 3);
    assert!(questions.iter().all(|question| question.method == "GET"));
}

#[test]
fn whatever_goes_wrong_is_unknown_and_soon() {
    let server = MediaMtx::start(Age::New);
    server.set(|state| state.paths = vec![path("abcd-efgh-1234", 1)]);
    let mut asked = probe(&server, "paths = { \"abcd-efgh-1234\" = \"main\" }");
    survives_every_fault(&server.fake, &mut asked, "main", "efgh");
}
