//! What the configuration of it may say, and what its answers come to.

use super::*;
use crate::probe::State;
use crate::probe::loose::parse;

fn settings(more: &str) -> Vimeo {
    let text = format!("name = \"webcast\"\nevent = 1234567\ntoken = {{ env = \"VIMEO_TOKEN\" }}\n{more}");
    rackside_config::parse(&text, "x").unwrap_or_else(|error| panic!("{error}"))
}

fn asking() -> Asking {
    Asking {
        settings: settings(""),
        streak: Streak::default(),
        rest: None,
        no_session_until: None,
        left: Some(90),
    }
}

fn event(text: &str) -> Event {
    parse::<Option<Event>>(text.as_bytes()).expect("JSON").expect("an object")
}

fn value(outcome: &Outcome, name: &str) -> Option<Value> {
    outcome.samples.iter().find(|sample| sample.metric.name == name).map(|sample| sample.value)
}

#[test]
fn it_is_not_asked_more_often_than_it_lets_anybody() {
    assert_eq!(settings("").check(), Ok(()));
    assert_eq!(settings("every = \"30s\"").check(), Ok(()));
    let why = "\"29s\" is more often than Vimeo lets anybody ask; at least \"30s\"".to_owned();
    assert_eq!(settings("every = \"29s\"").check(), Err(("every", why)));
    assert_eq!(settings("").target(), "https://api.vimeo.com/ event 1234567");
}

#[test]
fn an_event_that_is_not_live_is_no_fault() {
    let outcome = asking().known(&event(r#"{"live_video":{"status":"streaming"}}"#), None);
    assert_eq!((&outcome.state, value(&outcome, "rackside_stream_up")), (&State::Up, Some(Value::Known(1))));
    assert_eq!(value(&outcome, "rackside_vimeo_event_state"), Some(Value::Known(3)));
    assert_eq!(value(&outcome, "rackside_vimeo_requests_left"), Some(Value::Known(90)));
    assert_eq!(outcome.texts, [("state", "streaming".to_owned())]);
    let outcome = asking().known(&event(r#"{"pre_live_video":{"status":"ready"}}"#), None);
    assert_eq!((&outcome.state, value(&outcome, "rackside_stream_up")), (&State::Up, Some(Value::Known(0))));
    let outcome =
        asking().known(&event(r#"{"streamable_clip":{"live":{"status":"streaming_error"}}}"#), None);
    assert!(matches!(outcome.state, State::Down(_)));
}

#[test]
fn what_nobody_knows_is_unknown() {
    for outcome in [asking().known(&event("{}"), None), asking().unknown("no answer".to_owned())] {
        assert!(matches!(outcome.state, State::Unknown(_)));
        assert_eq!(value(&outcome, "rackside_stream_up"), Some(Value::Unknown));
        assert_eq!(value(&outcome, "rackside_vimeo_event_state"), Some(Value::Unknown));
    }
}
