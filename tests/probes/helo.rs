//! `[[probe.helo]]` against a fake of the device: what it tells, its login, and what goes wrong.

use crate::{Asked, survives_every_fault, up, value};
use rackside_agent::probe::State;
use rackside_proto::Value;
use rackside_tests::clock;
use rackside_tests::fakes::helo::Helo;
use std::time::Duration;

/// Cargo sets this for every test; any variable serves as a password.
const PASSWORD: &str = env!("CARGO_PKG_NAME");

fn probe(device: &Helo, more: &str) -> Asked {
    let url = device.fake.url();
    Asked::new(&format!("[[probe.helo]]\nname = \"helo\"\nurl = \"{url}\"\n{more}\n"))
}

#[test]
fn it_tells_of_stream_recording_room_and_warmth() {
    let device = Helo::start();
    let mut asked = probe(&device, "");
    for has_numbers in [false, true] {
        device.set(|state| state.has_numbers = has_numbers);
        let outcome = asked.run();
        assert_eq!((&outcome.state, up(&outcome, "")), (&State::Up, Some(Value::Known(1))));
        assert_eq!(value(&outcome, "rackside_recording_up", &[]), Some(1.0));
        assert_eq!(value(&outcome, "rackside_recording_space_ratio", &[]), Some(0.8));
        assert_eq!(value(&outcome, "rackside_encoder_temperature_celsius", &[]), Some(51.0));
        assert_eq!(value(&outcome, "rackside_stream_duration_seconds", &[]), Some(3723.0));
    }
    device.tell("ReplicatorStreamState", "4");
    let outcome = asked.run();
    assert_eq!(outcome.state, State::Down("its stream fails, says the device".to_owned()));
    assert_eq!(
        (up(&outcome, ""), value(&outcome, "rackside_helo_streaming_state", &[])),
        (Some(Value::Known(0)), Some(4.0))
    );
    assert_eq!(value(&outcome, "rackside_recording_up", &[]), Some(1.0));
    device.tell("ReplicatorStreamState", "1");
    device.tell("ReplicatorRecordState", "1");
    let outcome = asked.run();
    assert_eq!(
        (&outcome.state, up(&outcome, "")),
        (&State::Up, Some(Value::Known(0))),
        "not to stream is no fault"
    );
    assert_eq!(value(&outcome, "rackside_recording_up", &[]), Some(0.0));
    let texts: Vec<_> = outcome.texts.iter().map(|(subject, text)| (*subject, text.as_str())).collect();
    assert_eq!(texts, [("input", "HDMI"), ("medium", "recording")], "its firmware does not tell its version");
}

#[test]
fn a_session_is_made_where_pages_hide_and_made_anew_when_it_is_over() {
    let device = Helo::start();
    device.set(|state| state.password = Some(PASSWORD.to_owned()));
    let outcome = probe(&device, "").run();
    assert!(outcome.state.why().is_some_and(|why| why.contains("set `password`")), "{outcome:?}");
    assert_eq!(up(&outcome, ""), Some(Value::Unknown));
    let mut asked = probe(&device, "password = { env = \"CARGO_PKG_NAME\" }");
    assert_eq!(up(&asked.run(), ""), Some(Value::Known(1)));
    device.set(|state| state.sessions += 1);
    assert_eq!(up(&asked.run(), ""), Some(Value::Known(1)), "somebody else's login ended our session");
    device.set(|state| (state.password, state.sessions) = (Some("another".to_owned()), 0));
    let outcome = asked.run();
    assert!(outcome.state.why().is_some_and(|why| why.contains("does not take the password")), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains(PASSWORD));
}

#[test]
fn what_comes_too_late_takes_only_what_is_less_important_with_it() {
    let device = Helo::start();
    device.set(|state| state.slow = Some("Temperature".to_owned()));
    let begun = clock::now();
    let outcome = probe(&device, "").run();
    assert!(clock::now() - begun < Duration::from_secs(8));
    assert_eq!((&outcome.state, up(&outcome, "")), (&State::Up, Some(Value::Known(1))));
    assert_eq!(value(&outcome, "rackside_recording_space_ratio", &[]), Some(0.8));
    assert_eq!(value(&outcome, "rackside_encoder_temperature_celsius", &[]), None);
}

#[test]
fn whatever_goes_wrong_is_unknown_and_soon() {
    let device = Helo::start();
    survives_every_fault(&device.fake, &mut probe(&device, ""), "", PASSWORD);
}
