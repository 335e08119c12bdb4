//! `[[probe.azuracast]]` against a fake of AzuraCast.

use crate::{Asked, survives_every_fault, up, value};
use rackside_agent::probe::State;
use rackside_proto::Value;
use rackside_tests::fakes::azuracast::AzuraCast;

fn probe(server: &AzuraCast, more: &str) -> Asked {
    let url = server.fake.url();
    Asked::new(&format!("[[probe.azuracast]]\nname = \"station\"\nurl = \"{url}\"\n{more}"))
}

#[test]
fn a_station_tells_its_tracks_and_who_is_live() {
    let server = AzuraCast::start();
    server.set(|state| {
        state.listeners = 7;
        state.playing = Some((1, 1_795_145_000, 180, "Ann - One".to_owned()));
    });
    let mut asked = probe(&server, "station = \"hall\"");
    let outcome = asked.run();
    assert_eq!((&outcome.state, up(&outcome, "")), (&State::Up, Some(Value::Known(1))));
    assert_eq!(value(&outcome, "rackside_stream_listeners", &[""]), Some(7.0));
    assert_eq!(outcome.texts, [("title", "Ann - One".to_owned())]);
    server.set(|state| {
        state.playing = Some((2, 1_795_145_183, 200, "Bob - Two".to_owned()));
        state.streamer = Some("Ann".to_owned());
    });
    let outcome = asked.run();
    assert_eq!(value(&outcome, "rackside_tracks_played_total", &[""]), Some(1.0));
    assert_eq!(value(&outcome, "rackside_track_switch_duration_seconds_sum", &[""]), Some(3.0));
    assert_eq!(value(&outcome, "rackside_track_switch_duration_seconds_bucket", &["", "2.0"]), Some(0.0));
    assert_eq!(value(&outcome, "rackside_track_switch_duration_seconds_bucket", &["", "5.0"]), Some(1.0));
    assert_eq!(value(&outcome, "rackside_station_live", &[]), Some(1.0));
    assert_eq!(outcome.texts, [("streamer", "Ann".to_owned()), ("title", "Bob - Two".to_owned())]);
    server.set(|state| state.is_online = false);
    let outcome = asked.run();
    assert!(matches!(outcome.state, State::Down(_)), "{outcome:?}");
    assert_eq!(up(&outcome, ""), Some(Value::Known(0)));
}

#[test]
fn a_station_that_is_not_there_or_not_for_everybody_is_unknown() {
    let server = AzuraCast::start();
    let outcome = probe(&server, "station = \"cellar\"").run();
    let State::Unknown(why) = &outcome.state else { panic!("{outcome:?}") };
    assert!(why.ends_with("has no station cellar"), "{why}");
    server.set(|state| state.api_key = Some("1234:abcd".to_owned()));
    let outcome = probe(&server, "station = \"hall\"").run();
    let State::Unknown(why) = &outcome.state else { panic!("{outcome:?}") };
    assert!(why.contains("`api_key`"), "{why}");
    // Cargo sets this for every test; any variable serves.
    server.set(|state| state.api_key = Some(env!("CARGO_PKG_NAME").to_owned()));
    let key = "station = \"hall\"\napi_key = { env = \"CARGO_PKG_NAME\" }";
    assert_eq!(probe(&server, key).run().state, State::Up);
}

#[test]
fn whatever_goes_wrong_is_unknown_and_soon() {
    let server = AzuraCast::start();
    server.set(|state| state.playing = Some((1, 1_795_145_000, 180, "Ann - One".to_owned())));
    survives_every_fault(&server.fake, &mut probe(&server, "station = \"hall\""), "", "abcd");
}
