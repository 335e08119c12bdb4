//! What becomes of the device's words, and how a login comes about.

use super::*;
use crate::probe::State;
use crate::probe::http::server::{Server as Fake, ok};
use std::sync::atomic::{AtomicBool, Ordering};

const HIDDEN: &str = "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";

fn asking(url: &str, more: &str) -> Asking {
    let text = format!("name = \"helo\"\nurl = \"{url}\"\n{more}");
    let settings: Helo = rackside_config::parse(&text, "x").unwrap_or_else(|error| panic!("{error}"));
    settings.check().unwrap_or_else(|error| panic!("{error:?}"));
    Asking::new(settings)
}

fn value(outcome: &Outcome, name: &str) -> Option<Value> {
    outcome.samples.iter().find(|one| one.metric.name == name).map(|one| one.value)
}

fn parameter(request: &str) -> &str {
    request.split("paramid=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default()
}

fn told(value: &str) -> String {
    ok(&format!("{{\"value\":\"{value}\",\"value_name\":\"x\"}}"))
}

#[test]
fn the_devices_own_word_counts_at_once() {
    let mut asking = asking("http://127.0.0.1", "");
    for (stream, record, why, up) in [
        (Stage::Running, Stage::Running, None, Value::Known(1)),
        (Stage::Failing, Stage::Running, Some("its stream fails, says the device"), Value::Known(0)),
        (
            Stage::FailingInIdle,
            Stage::Failing,
            Some("its stream and its recording fail, says the device"),
            Value::Known(0),
        ),
        (Stage::Running, Stage::FailingInIdle, Some("its recording fails, says the device"), Value::Known(1)),
        (Stage::Idle, Stage::Idle, None, Value::Known(0)),
        (Stage::Uninitialized, Stage::Idle, None, Value::Unknown),
    ] {
        let account = Account { stream: Some(stream), record: Some(record), ..Account::default() };
        let outcome = asking.known(&account);
        assert_eq!(
            (outcome.state.why(), value(&outcome, "rackside_stream_up")),
            (why, Some(up)),
            "{account:?}"
        );
        let records = Value::Known(i64::from(record == Stage::Running));
        assert_eq!(value(&outcome, "rackside_recording_up"), Some(records));
    }
    let outcome = asking.known(&Account { celsius: Some(51.0), space: Some(0.08), ..Account::default() });
    assert!(matches!(outcome.state, State::Unknown(_)));
    assert_eq!(value(&outcome, "rackside_encoder_temperature_celsius"), Some(Value::Known(510)));
    assert_eq!(value(&outcome, "rackside_recording_space_ratio"), Some(Value::Known(8)));
}

#[test]
fn what_the_firmware_does_not_know_is_asked_once() {
    let device = Fake::start(|request, talk| {
        let answer = match parameter(request) {
            "eParamID_ReplicatorStreamState" | "eParamID_ReplicatorRecordState" => told("2"),
            "eParamID_CurrentMediaAvailable" => told("80"),
            "eParamID_VideoInSelect" => told("1"),
            _ => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_owned(),
        };
        let _ = talk.write_all(answer.as_bytes());
    });
    let (mut asking, context) = (asking(&device.url(""), ""), Context::default());
    let outcome = smol::block_on(asking.run(&context));
    assert_eq!((&outcome.state, value(&outcome, "rackside_stream_up")), (&State::Up, Some(Value::Known(1))));
    assert_eq!(value(&outcome, "rackside_encoder_temperature_celsius"), None);
    assert_eq!(outcome.texts, [("input", "HDMI".to_owned())]);
    smol::block_on(asking.run(&context));
    let asked = device.asked();
    let asked: Vec<&str> = asked.iter().map(|request| parameter(request)).collect();
    assert_eq!(asked.iter().filter(|name| **name == "eParamID_Temperature").count(), 1, "{asked:?}");
    assert_eq!(asked.iter().filter(|name| **name == "eParamID_CurrentMediaAvailable").count(), 2);
}

#[test]
fn a_page_that_hides_is_logged_in_to_and_again_when_the_session_is_over() {
    let has_session = std::sync::Arc::new(AtomicBool::new(false));
    let its = std::sync::Arc::clone(&has_session);
    let password = env!("CARGO_PKG_NAME");
    let device = Fake::start(move |request, talk| {
        let answer = if request.starts_with("POST /authenticator/login") {
            assert!(request.ends_with(&form(password)), "{request}");
            its.store(true, Ordering::Relaxed);
            let body = r#"{"login":"success"}"#;
            format!(
                "HTTP/1.1 200 OK\r\nSet-Cookie: session=s1; path=/\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        } else if its.load(Ordering::Relaxed) && request.contains("cookie: session=s1\r\n") {
            told("2")
        } else {
            HIDDEN.to_owned()
        };
        let _ = talk.write_all(answer.as_bytes());
    });
    let mut asking = asking(&device.url(""), "password = { env = \"CARGO_PKG_NAME\" }");
    let context = Context::default();
    for expected in [1, 0, 1] {
        let outcome = smol::block_on(asking.run(&context));
        assert_eq!(
            (&outcome.state, value(&outcome, "rackside_stream_up")),
            (&State::Up, Some(Value::Known(1)))
        );
        let logins = device.asked().iter().filter(|request| request.starts_with("POST")).count();
        assert_eq!(logins, expected);
        if expected == 0 {
            has_session.store(false, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_password_that_is_refused_or_missing_is_said_and_not_tried_again_at_once() {
    let device = Fake::start(|request, talk| {
        let is_login = request.starts_with("POST");
        let _ = talk
            .write_all(if is_login { ok(r#"{"login":"failure"}"#) } else { HIDDEN.to_owned() }.as_bytes());
    });
    let (mut wrong, context) =
        (asking(&device.url(""), "password = { env = \"CARGO_PKG_NAME\" }"), Context::default());
    for logins in [1, 0] {
        let outcome = smol::block_on(wrong.run(&context));
        let why = format!("{} does not take the password", device.url(""));
        assert_eq!(outcome.state, State::Unknown(why));
        assert_eq!(value(&outcome, "rackside_stream_up"), Some(Value::Unknown));
        assert_eq!(device.asked().iter().filter(|request| request.starts_with("POST")).count(), logins);
    }
    let outcome = smol::block_on(asking(&device.url(""), "").run(&context));
    assert!(outcome.state.why().is_some_and(|why| why.contains("set `password`")), "{outcome:?}");
}
