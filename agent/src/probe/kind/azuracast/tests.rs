//! Answers as a station gives them, one after the other.

use super::*;
use crate::probe::State;
use crate::probe::loose::parse;
use proptest::prelude::*;

const ON: &str = r#"{"station":{"id":1,"name":"Hall","shortcode":"hall","mounts":[{"id":1,"path":"/radio.mp3","bitrate":192}]},
    "listeners":{"total":12,"unique":11,"current":12},"live":{"is_live":false,"streamer_name":"","broadcast_start":null},
    "now_playing":{"sh_id":100,"played_at":1795145100,"duration":180,"playlist":"day","streamer":"","is_request":false,
      "song":{"id":"9","text":"Ann - One","artist":"Ann","title":"One"},"elapsed":60,"remaining":120},
    "playing_next":null,"song_history":[],"is_online":true,"cache":"database"}"#;

fn asking() -> Asking {
    let text = "name = \"radio\"\nurl = \"https://radio.example\"\nstation = \"hall\"";
    let settings: AzuraCast = rackside_config::parse(text, "x").unwrap_or_else(|error| panic!("{error}"));
    Asking { settings, streak: Streak::default(), tracks: Tracks::default(), planned: None, rest: None }
}

fn read(text: &str) -> NowPlaying {
    parse::<Option<NowPlaying>>(text.as_bytes()).expect("JSON").expect("an object")
}

fn value(outcome: &Outcome, name: &str) -> Option<f64> {
    let sample = outcome.samples.iter().rfind(|sample| sample.metric.name == name)?;
    sample.value.known().map(|number| sample.scale.value(number))
}

#[test]
fn a_station_on_the_air_says_what_it_plays() {
    let outcome = asking().known(&read(ON), Clock::now());
    assert_eq!((&outcome.state, value(&outcome, "rackside_stream_up")), (&State::Up, Some(1.0)));
    assert_eq!(value(&outcome, "rackside_stream_listeners"), Some(12.0));
    assert_eq!(value(&outcome, "rackside_station_live"), Some(0.0));
    assert_eq!(value(&outcome, "rackside_track_elapsed_seconds"), Some(60.0));
    assert_eq!(value(&outcome, "rackside_track_duration_seconds"), Some(180.0));
    assert_eq!(outcome.texts, [("title", "Ann - One".to_owned())]);
}

#[test]
fn off_the_air_is_the_stations_own_word_and_silence_is_nobodys() {
    let mut asking = asking();
    asking.known(&read(ON), Clock::now());
    let outcome = asking.known(&read(r#"{"is_online":false}"#), Clock::now());
    assert!(matches!(outcome.state, State::Down(_)));
    assert_eq!(value(&outcome, "rackside_stream_up"), Some(0.0));
    let outcome = asking.unknown("no answer".to_owned());
    assert_eq!(
        (&outcome.state, value(&outcome, "rackside_stream_up")),
        (&State::Unknown("no answer".to_owned()), None)
    );
    let outcome = asking.known(&read(r#"{"is_online":"yes","now_playing":{}}"#), Clock::now());
    assert!(matches!(outcome.state, State::Unknown(_)));
}

#[test]
fn a_switch_takes_from_the_planned_end_to_the_next_begin() {
    let (mut asking, now) = (asking(), Clock::now());
    let mut play = |id: u64, begun: u64, duration: u64| {
        let text = format!(
            r#"{{"is_online":true,"now_playing":{{"sh_id":{id},"played_at":{begun},"duration":{duration},"song":{{"text":"x"}}}}}}"#
        );
        let outcome = asking.known(&read(&text), now);
        let of = |part| value(&outcome, &format!("rackside_track_switch_duration_seconds_{part}"));
        (value(&outcome, "rackside_tracks_played_total"), of("count"), of("sum"))
    };
    assert_eq!(play(1, 1_795_145_000, 100), (Some(0.0), Some(0.0), Some(0.0)));
    assert_eq!(
        play(2, 1_795_145_104, 100),
        (Some(1.0), Some(1.0), Some(4.0)),
        "the same track by another play"
    );
    assert_eq!(
        play(3, 1_795_145_150, 0),
        (Some(2.0), Some(2.0), Some(4.0)),
        "skipped: it began before the other's end"
    );
    assert_eq!(
        play(4, 1_795_149_000, 100),
        (Some(3.0), Some(3.0), Some(4.0)),
        "of no known length: as it was seen"
    );
}

#[test]
fn somebody_live_is_named() {
    let text = r#"{"is_online":true,"live":{"is_live":true,"streamer_name":"Ann"}}"#;
    let outcome = asking().known(&read(text), Clock::now());
    assert_eq!(value(&outcome, "rackside_station_live"), Some(1.0));
    assert_eq!(outcome.texts, [("streamer", "Ann".to_owned())]);
}

#[test]
fn a_station_is_a_word_and_no_path() {
    let text = "name = \"radio\"\nurl = \"https://radio.example\"\nstation = \"../admin\"";
    let settings: AzuraCast = rackside_config::parse(text, "x").expect("TOML");
    assert_eq!(settings.check().map_err(|(key, _)| key), Err("station"));
}

proptest! {
    #[test]
    fn a_twisted_answer_is_read_or_refused(at in 0_usize..ON.len(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut body = ON.as_bytes().to_vec();
        if cut { body.truncate(at) } else { body[at] = byte }
        if let Ok(Some(read)) = parse::<Option<NowPlaying>>(&body) {
            asking().known(&read, Clock::now());
        }
    }

    #[test]
    fn any_numbers_are_survived(begun in any::<f64>(), duration in any::<f64>(), again in any::<f64>()) {
        let mut asking = asking();
        for (id, begun) in [(1, begun), (2, again)] {
            let playing = Playing { id: Some(id), played_at: Some(begun), duration: Some(duration), elapsed: Some(begun), song: None };
            let read = NowPlaying { is_online: Some(true), playing: Some(playing), ..NowPlaying::default() };
            asking.known(&read, Clock::now());
        }
    }
}
