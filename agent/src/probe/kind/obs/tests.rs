//! What becomes of OBS's words.

use super::*;
use crate::probe::State;
use std::time::Duration;

fn asking() -> Asking {
    let settings: Obs = rackside_config::parse("name = \"obs\"\naddress = \"127.0.0.1\"", "x").expect("good");
    settings.check().unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(settings.host_and_port(), Some(("127.0.0.1", 4455)));
    Asking::new(settings)
}

fn streams(active: Option<bool>, reconnecting: bool, bytes: u64) -> Status {
    let stream = Told { active, reconnecting: Some(reconnecting), bytes: Some(bytes), ..Told::default() };
    Status { stream, ..Status::default() }
}

fn value(outcome: &Outcome, name: &str, labels: &[&str]) -> Option<Value> {
    let mut samples = outcome.samples.iter();
    samples.find(|one| one.metric.name == name && one.labels == labels).map(|one| one.value)
}

fn up(outcome: &Outcome) -> Value {
    value(outcome, "rackside_stream_up", &[""]).expect("always told")
}

#[test]
fn its_own_word_counts_at_once() {
    let (mut asking, now) = (asking(), Clock::now());
    for (status, why, is_up) in [
        (streams(Some(true), false, 1), None, Value::Known(1)),
        (
            streams(Some(true), true, 1),
            Some("the connection for its stream is lost, says OBS; it reconnects"),
            Value::Known(0),
        ),
        (streams(Some(false), false, 0), None, Value::Known(0)),
        (streams(None, false, 0), Some("OBS does not say whether it streams"), Value::Unknown),
    ] {
        let outcome = asking.known(&status, now);
        assert_eq!((outcome.state.why(), up(&outcome)), (why, is_up), "{status:?}");
    }
    let outcome = asking.unknown("gone".to_owned());
    assert_eq!((&outcome.state, up(&outcome)), (&State::Unknown("gone".to_owned()), Value::Unknown));
}

#[test]
fn a_stream_that_sends_nothing_is_down_at_the_second_poll() {
    let (mut asking, start) = (asking(), Clock::now());
    let mut at = |seconds, bytes| {
        asking.known(&streams(Some(true), false, bytes), start + Duration::from_secs(seconds))
    };
    assert_eq!(value(&at(0, 0), "rackside_stream_bitrate_bps", &[""]), None);
    let outcome = at(10, 7_500_000);
    assert_eq!(value(&outcome, "rackside_stream_bitrate_bps", &[""]), Some(Value::Known(6000)));
    let outcome = at(20, 7_500_000);
    assert_eq!((&outcome.state, up(&outcome)), (&State::Up, Value::Known(1)));
    let outcome = at(30, 7_500_000);
    assert_eq!(
        (outcome.state.why(), up(&outcome)),
        (Some("OBS streams, it says, and sends nothing"), Value::Known(0))
    );
    assert_eq!(up(&at(40, 8_000_000)), Value::Known(1));
}

#[test]
fn frames_are_told_by_where_they_are_lost() {
    let counts = |total, skipped| Told { total: Some(total), skipped: Some(skipped), ..Told::default() };
    let mut status = Status { stream: counts(900, 9), stats: counts(950, 5), ..Status::default() };
    (status.stats.render_total, status.stats.render_skipped) = (Some(1000), Some(u64::MAX));
    let outcome = asking().known(&status, Clock::now());
    let lost = |stage| value(&outcome, "rackside_obs_frames_lost_total", &[stage]);
    assert_eq!(
        (lost("network"), lost("encode"), lost("render")),
        (Some(Value::Known(9)), Some(Value::Known(5)), None)
    );
    assert_eq!(value(&outcome, "rackside_obs_frames_total", &["render"]), Some(Value::Known(1000)));
}

#[test]
fn a_paused_recording_does_not_record() {
    let told = |paused| Told { active: Some(true), paused: Some(paused), ..Told::default() };
    for paused in [false, true] {
        let status = Status { record: told(paused), ..Status::default() };
        let records = value(&asking().known(&status, Clock::now()), "rackside_recording_up", &[]);
        assert_eq!(records, Some(Value::Known(i64::from(!paused))));
    }
}
