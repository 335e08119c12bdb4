//! `[[probe.obs]]` against a fake of OBS's WebSocket interface: what it tells, its password, and what goes wrong.

use crate::{Asked, up, value};
use rackside_agent::probe::State;
use rackside_proto::Value;
use rackside_tests::clock;
use rackside_tests::fakes::obs::{Fault, Obs};
use serde_json::json;
use std::time::Duration;

/// Cargo sets this for every test; any variable serves as a password.
const PASSWORD: &str = env!("CARGO_PKG_NAME");

fn probe(obs: &Obs, more: &str) -> Asked {
    let address = obs.address();
    Asked::new(&format!("[[probe.obs]]\nname = \"obs\"\naddress = \"{address}\"\n{more}\n"))
}

#[test]
fn it_tells_of_stream_recording_and_lost_frames_on_one_connection() {
    let obs = Obs::start();
    let mut asked = probe(&obs, "");
    let outcome = asked.run();
    assert_eq!((&outcome.state, up(&outcome, "")), (&State::Up, Some(Value::Known(1))));
    for (name, labels, expected) in [
        ("rackside_recording_up", &[][..], 1.0),
        ("rackside_obs_reconnecting", &[], 0.0),
        ("rackside_obs_congestion_ratio", &[], 0.02),
        ("rackside_obs_fps", &[], 50.0),
        ("rackside_obs_render_time_seconds", &[], 0.0015),
        ("rackside_obs_cpu_usage_ratio", &[], 0.125),
        ("rackside_obs_memory_bytes", &[], 536_870_912.0),
        ("rackside_obs_disk_available_bytes", &[], 2_147_483_648.0),
        ("rackside_stream_duration_seconds", &[], 60.0),
        ("rackside_obs_frames_total", &["network"], 3000.0),
        ("rackside_obs_frames_lost_total", &["network"], 9.0),
        ("rackside_obs_frames_lost_total", &["encode"], 5.0),
        ("rackside_obs_frames_lost_total", &["render"], 7.0),
    ] {
        assert_eq!(value(&outcome, name, labels), Some(expected), "{name}{labels:?}");
    }
    std::thread::sleep(Duration::from_millis(600));
    obs.set(|state| state.stream["outputBytes"] = json!(46_000_000));
    let bitrate = value(&asked.run(), "rackside_stream_bitrate_bps", &[""]).expect("two counts");
    assert!((1_000_000.0..14_000_000.0).contains(&bitrate), "{bitrate}");
    obs.set(|state| state.stream["outputReconnecting"] = json!(true));
    let outcome = asked.run();
    assert!(outcome.state.why().is_some_and(|why| why.contains("reconnects")), "{outcome:?}");
    assert_eq!(up(&outcome, ""), Some(Value::Known(0)));
    obs.set(|state| {
        (state.stream["outputReconnecting"], state.stream["outputActive"]) = (json!(false), json!(false));
        (state.record["outputActive"], state.stats) = (json!("maybe"), None);
    });
    let outcome = asked.run();
    assert_eq!(
        (&outcome.state, up(&outcome, "")),
        (&State::Up, Some(Value::Known(0))),
        "not to stream is no fault"
    );
    assert_eq!(value(&outcome, "rackside_recording_up", &[]), None, "unknown");
    assert_eq!(value(&outcome, "rackside_obs_fps", &[]), None, "it refuses that question");
    assert_eq!(obs.connections(), 1);
    obs.hang_up();
    assert_eq!(asked.run().state, State::Up, "OBS was started again between two runs");
    assert_eq!(obs.connections(), 2);
}

#[test]
fn a_password_is_proved_where_one_is_wanted() {
    let obs = Obs::start();
    obs.set(|state| state.password = Some(PASSWORD.to_owned()));
    assert_eq!(up(&probe(&obs, "password = { env = \"CARGO_PKG_NAME\" }").run(), ""), Some(Value::Known(1)));
    let outcome = probe(&obs, "").run();
    assert!(outcome.state.why().is_some_and(|why| why.contains("set `password`")), "{outcome:?}");
    obs.set(|state| state.password = Some("another".to_owned()));
    let outcome = probe(&obs, "password = { env = \"CARGO_PKG_NAME\" }").run();
    assert_eq!(outcome.state, State::Unknown("OBS does not accept the password".to_owned()));
    assert_eq!(up(&outcome, ""), Some(Value::Unknown));
}

#[test]
fn whatever_goes_wrong_is_unknown_and_soon() {
    let obs = Obs::start();
    let mut asked = probe(&obs, "");
    asked.context.within = Duration::from_secs(2);
    assert_eq!(up(&asked.run(), ""), Some(Value::Known(1)));
    for fault in [
        Fault::Slow(Duration::from_secs(20)),
        Fault::Cut,
        Fault::Endless,
        Fault::WrongType,
        Fault::WebPage,
        Fault::Silent,
        Fault::NotReady,
    ] {
        obs.set(|state| state.fault = Some(fault));
        obs.hang_up();
        let begun = clock::now();
        let outcome = asked.run();
        assert!(clock::now() - begun < Duration::from_secs(8), "{fault:?}");
        let State::Unknown(why) = &outcome.state else { panic!("{fault:?} says {:?}", outcome.state) };
        assert!(!why.is_empty(), "{fault:?}");
        assert_eq!(up(&outcome, ""), Some(Value::Unknown), "{fault:?}");
        obs.set(|state| state.fault = None);
        let again = asked.run();
        assert_eq!((&again.state, up(&again, "")), (&State::Up, Some(Value::Known(1))), "after {fault:?}");
    }
}
