//! A picture of a real stream on its way to an operator's eyes, and to nobody else's.

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::browser::Browser;
use rackside_tests::ffmpeg::Ffmpeg;
use rackside_tests::http::{Answer, Connection};
use rackside_tests::hub::Hub;
use rackside_tests::mediamtx::MediaMtx;
use rackside_tests::programs::programs;
use rackside_tests::{clock, http};
use serde_json::Value as Json;
use std::io::Write as _;
use std::process::{Command, Stdio};

const PAGE: &str = "/sites/arena-north/rack-1";
const LIST: &str = "/api/sites/arena-north/rack-1/stills";

/// `rackside-hub` beside the one that runs; what it says.
fn beside(hub: &Hub, arguments: &[&str], stdin: &str) -> String {
    let mut command = Command::new(&programs().hub);
    command.current_dir(hub.directory()).args(arguments).args(["--config", "hub.toml"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    // One that asks for nothing may have ended before it is told.
    let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// A token with these scopes.
fn token(hub: &Hub, name: &str, scopes: &[&str]) -> String {
    let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
    let words: Vec<&str> = ["token", "create", name, "--user", "first"].into_iter().chain(scopes).collect();
    let told = beside(hub, &words, "");
    let token = told.split_whitespace().find(|word| word.starts_with("rackside_"));
    token.unwrap_or_else(|| panic!("no token in {told}")).to_owned()
}

fn ask(hub: &Hub, path: &str, token: &str) -> Answer {
    let header =
        format!("Authorization: Bearer {token}\r\nAccept: application/json\r\nConnection: close\r\n");
    Connection::to(hub.web()).and_then(|mut hub| hub.ask("GET", path, &header, b"")).expect("an answer")
}

/// On the page the picture is there, its age counts on, and a newer one takes its place without a reload.
fn follow(hub: &Hub) {
    let mut browser = Browser::open(&format!("http://{}{PAGE}", hub.web()), 360, 740);
    let mut expect = |what: &str, expression: &str| {
        let found = clock::eventually(RECOVERY * 3, || (browser.evaluate(expression) == true).then_some(()));
        let page = "document.querySelector('[data-stills]')?.outerHTML";
        assert!(found.is_some(), "{what}: {expression}\n{}", browser.evaluate(page));
    };
    expect("the picture is there", "document.querySelector('.still img').naturalWidth === 320");
    expect(
        "it is told to who does not see it",
        "document.querySelector('.still img').alt === 'Still of programme'",
    );
    let frame = "document.querySelector('.still img').getBoundingClientRect()";
    let age = "document.querySelector('.still time').textContent";
    expect(
        "looked at",
        &format!(
            "(window.age = {age}, window.taken = document.querySelector('.still time').dataset.ms, window.height = {frame}.height) > 0"
        ),
    );
    expect("its age counts on", &format!("{age} !== window.age"));
    expect("a newer one comes", "document.querySelector('.still time').dataset.ms > window.taken");
    expect(
        "and is shown",
        "document.querySelector('.still img').src.endsWith(document.querySelector('.still time').dataset.ms)",
    );
    expect("in the same box", &format!("{frame}.height === window.height"));
    expect("on a phone", "document.documentElement.scrollWidth === 360");
}

#[test]
fn a_still_comes_from_the_stream_to_an_operator_and_to_nobody_else() {
    let (hub, server) = (Hub::start(), MediaMtx::start());
    let url = format!("rtmp://127.0.0.1:{}/hall", server.rtmp);
    let publisher = Ffmpeg::send(&["-f", "flv", &url]);
    let mut options = AgentOptions::new(RACK.0, RACK.1, hub.mqtt());
    options.top = format!(
        "[[probe.stream]]\nname = \"programme\"\nurl = \"{url}\"\nwatch = \"2s\"\nstill = {{ every = \"30s\" }}\n"
    );
    let agent = Agent::start(&options);
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    // The first one may be tried before there is anybody to publish.
    let still = clock::eventually(RECOVERY * 3, || {
        let told: Json = serde_json::from_str(&hub.body(LIST)).ok()?;
        told["stills"].get(0).cloned()
    });
    let still =
        still.unwrap_or_else(|| panic!("no still\n{}\n{}", agent.last_words(), publisher.last_words()));
    assert_eq!(
        (&still["probe"], &still["width"], &still["height"]),
        (&"programme".into(), &320.into(), &180.into())
    );
    assert!(still["bytes"].as_u64().is_some_and(|bytes| bytes <= 24 * 1024), "{still}");
    assert!(still["age_s"].as_f64().is_some_and(|age| (0.0..120.0).contains(&age)), "{still}");
    let picture = still["url"].as_str().expect("an address").to_owned();
    let shown = http::get(hub.web(), &picture, "image/*").expect("an answer");
    assert_eq!(shown.status, 200, "while there are no users, whoever is at the hub sees it");
    assert!(shown.head.to_lowercase().contains("content-type: image/jpeg"), "{}", shown.head);

    follow(&hub);

    beside(&hub, &["user", "add", "first", "--role", "admin"], "a password of the tests\n");
    let (viewer, operator) = (token(&hub, "wall", &["read"]), token(&hub, "desk", &["read", "act"]));
    assert_eq!(ask(&hub, "/api/sites", &viewer).status, 200, "the viewer sees the rest");
    for path in [LIST, &picture] {
        assert_eq!(ask(&hub, path, &viewer).status, 404, "a viewer: {path}");
        assert_eq!(ask(&hub, path, "rackside_nobody").status, 401, "nobody: {path}");
    }
    for (token, is_shown) in [(&viewer, false), (&operator, true)] {
        let page = ask(&hub, PAGE, token);
        assert_eq!((page.status, page.body.contains("data-stills")), (200, is_shown), "{}", page.head);
    }
    let told: Json = serde_json::from_str(&ask(&hub, LIST, &operator).body).expect("JSON");
    assert_eq!(told["stills"][0]["probe"], "programme");
}
