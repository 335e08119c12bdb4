//! `[[probe.icecast]]` against a real Icecast with a real source, and against a fake page for what it cannot be made to say.

use crate::{Asked, survives_every_fault, up, value};
use rackside_agent::probe::{Outcome, State};
use rackside_proto::Value;
use rackside_tests::fakes::http::{Fake, Reply};
use rackside_tests::ffmpeg::Ffmpeg;
use rackside_tests::icecast::Icecast;

fn probe(url: &str) -> Asked {
    Asked::new(&format!("[[probe.icecast]]\nname = \"radio\"\nurl = \"{url}\"\nmounts = [\"/live.mp3\"]\n"))
}

fn title(outcome: &Outcome) -> Option<&str> {
    outcome.texts.iter().find(|(subject, _)| *subject == "title").map(|(_, text)| text.as_str())
}

#[test]
fn a_source_its_listeners_and_its_tracks_are_told() {
    let mut server = Icecast::start();
    let mut asked = probe(&server.url());
    // In its first moment the server's page is no JSON, and so says nothing.
    let missing = State::Down("no source on /live.mp3, says the server".to_owned());
    asked.until("word that there is none", |outcome| (outcome.state == missing).then_some(()));
    let mut sender = Ffmpeg::play(&server.source_url("/live.mp3"));
    asked.until("source", |outcome| (up(outcome, "/live.mp3") == Some(Value::Known(1))).then_some(()));
    // The second mount makes a list of what was one object, and is not among those that are named.
    let _other = Ffmpeg::play(&server.source_url("/other.mp3"));
    let _listener = Ffmpeg::take(&["-i", &format!("{}/live.mp3", server.url())]);
    // Icecast's page has titles that look like numbers without quotes, which is no JSON.
    for song in ["Ann - \"One\" \\ <&>", "5.", "-05", "Bob - Zwei \u{e4}\u{20ac}"] {
        server.title("/live.mp3", song);
        asked.until(song, |outcome| (title(outcome) == Some(song)).then_some(()));
    }
    let outcome = asked.until("listener", |outcome| {
        (value(outcome, "rackside_stream_listeners", &["/live.mp3"]) == Some(1.0)).then(|| outcome.clone())
    });
    assert_eq!((&outcome.state, up(&outcome, "/other.mp3")), (&State::Up, None));
    let played = value(&outcome, "rackside_tracks_played_total", &["/live.mp3"]);
    assert!(played.is_some_and(|played| (3.0..=4.0).contains(&played)), "{played:?}");
    assert!(
        value(&outcome, "rackside_track_elapsed_seconds", &["/live.mp3"])
            .is_some_and(|seconds| seconds < 30.0)
    );
    sender.kill();
    asked.until("word that it is gone", |outcome| {
        (up(outcome, "/live.mp3") == Some(Value::Known(0))).then_some(())
    });
    server.stop();
    let outcome = asked.run();
    assert!(matches!(outcome.state, State::Unknown(_)), "{outcome:?}");
    assert_eq!(up(&outcome, "/live.mp3"), Some(Value::Unknown));
}

#[test]
fn whatever_goes_wrong_is_unknown_and_soon() {
    let page =
        r#"{"icestats":{"source":{"listenurl":"http://localhost:8000/live.mp3","listeners":1,"title":"A"}}}"#;
    let fake = Fake::start(move |question| match question.path.as_str() {
        "/status-json.xsl" => Reply::json(200, page),
        _ => Reply::page(404),
    });
    survives_every_fault(&fake, &mut probe(&fake.url()), "/live.mp3", "hackme");
}
