//! `[[probe.vimeo]]` against a fake of Vimeo's API: what an event is called, and how its limit of requests is obeyed.

use crate::{Asked, survives_every_fault, up, value};
use rackside_agent::probe::State;
use rackside_proto::Value;
use rackside_tests::clock;
use rackside_tests::fakes::vimeo::Vimeo;
use serde_json::json;
use std::time::Duration;

/// Cargo sets this for every test; any variable serves as a token.
const TOKEN: &str = env!("CARGO_PKG_NAME");

fn probe(server: &Vimeo) -> Asked {
    let url = server.fake.url();
    Asked::new(&format!(
        "[[probe.vimeo]]\nname = \"webcast\"\nevent = 1234567\nurl = \"{url}\"\ntoken = {{ env = \"CARGO_PKG_NAME\" }}\n"
    ))
}

#[test]
fn an_event_goes_from_ready_to_live_to_its_end() {
    let server = Vimeo::start(TOKEN);
    let mut asked = probe(&server);
    let outcome = asked.run();
    assert_eq!((&outcome.state, up(&outcome, "")), (&State::Up, Some(Value::Known(0))));
    assert_eq!(value(&outcome, "rackside_vimeo_event_state", &[]), Some(2.0));
    assert_eq!(value(&outcome, "rackside_vimeo_ingest_state", &[]), Some(2.0));
    server.set(|state| (state.live, state.ingest) = (Some("streaming".to_owned()), json!("4")));
    let outcome = asked.run();
    assert_eq!((&outcome.state, up(&outcome, "")), (&State::Up, Some(Value::Known(1))));
    assert_eq!(value(&outcome, "rackside_vimeo_event_state", &[]), Some(3.0));
    assert_eq!(outcome.texts, [("state", "streaming".to_owned()), ("picture", "1920x1080".to_owned())]);
    server.set(|state| (state.live, state.ingest) = (None, json!(5)));
    assert_eq!(up(&asked.run(), ""), Some(Value::Known(0)));
    for question in server.fake.asked() {
        assert_eq!(question.header("accept"), Some("application/vnd.vimeo.*+json;version=3.4"));
        assert!(!question.query.contains("stream_key"));
    }
}

#[test]
fn when_the_limit_is_used_up_nothing_is_asked_until_there_is_more() {
    let server = Vimeo::start(TOKEN);
    let mut asked = probe(&server);
    server.set(|state| {
        state.left = 0;
        state.headers = vec![("Retry-After".to_owned(), "2".to_owned())];
    });
    let outcome = asked.run();
    let State::Unknown(why) = &outcome.state else { panic!("{outcome:?}") };
    assert!(why.contains("limit of requests"), "{why}");
    assert_eq!(up(&outcome, ""), Some(Value::Unknown));
    assert_eq!(server.fake.asked().len(), 1);
    server.set(|state| state.left = 50);
    assert_eq!((asked.run().state, server.fake.asked().len()), (outcome.state, 0), "it was left alone");
    let begun = clock::now();
    asked.until("answer", |outcome| (outcome.state == State::Up).then_some(()));
    assert!(clock::now() - begun < Duration::from_secs(10));
    // The last request is used up by a good answer: the next one waits, too, until the moment that the headers name.
    server.set(|state| {
        state.left = 2;
        state.headers = vec![
            ("Date".to_owned(), "Fri, 20 Nov 2026 03:25:10 GMT".to_owned()),
            ("X-RateLimit-Reset".to_owned(), "2026-11-20T03:35:10+00:00".to_owned()),
        ];
    });
    assert_eq!(asked.run().state, State::Up);
    server.fake.asked();
    assert!(matches!(asked.run().state, State::Unknown(_)));
    assert_eq!(server.fake.asked().len(), 0);
}

#[test]
fn a_token_that_is_refused_is_said_and_not_tried_again_at_once() {
    let server = Vimeo::start("another");
    let mut asked = probe(&server);
    let outcome = asked.run();
    assert_eq!(outcome.state, State::Unknown("Vimeo does not take the token (401)".to_owned()));
    asked.run();
    assert_eq!(server.fake.asked().len(), 1);
}

#[test]
fn whatever_goes_wrong_is_unknown_and_soon() {
    let server = Vimeo::start(TOKEN);
    server.set(|state| state.live = Some("streaming".to_owned()));
    survives_every_fault(&server.fake, &mut probe(&server), "", TOKEN);
}
