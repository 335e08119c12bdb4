//! `[[probe.mediamtx]]` against a real MediaMTX with real publishers and readers.

use crate::{Asked, sample, up, value};
use rackside_agent::probe::{Outcome, State};
use rackside_proto::Value;
use rackside_tests::clock;
use rackside_tests::ffmpeg::Ffmpeg;
use rackside_tests::mediamtx::MediaMtx;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const KEY: &str = "live/abcd-efgh-1234";

fn probe(server: &MediaMtx, more: &str) -> Asked {
    Asked::new(&format!(
        "[[probe.mediamtx]]\nname = \"server\"\nurl = \"{}\"\npaths = {{ \"{KEY}\" = \"main\" }}\n{more}",
        server.url()
    ))
}

fn srt(server: &MediaMtx, key: &str) -> Ffmpeg {
    let url = format!("srt://127.0.0.1:{}?streamid=publish:{key}&pkt_size=1316", server.srt);
    Ffmpeg::send(&["-f", "mpegts", &url])
}

fn is_up(outcome: &Outcome) -> Option<()> {
    (up(outcome, "main") == Some(Value::Known(1))).then_some(())
}

#[test]
fn a_publisher_over_srt_and_its_reader_are_told_with_their_statistics() {
    let server = MediaMtx::start();
    let mut asked = probe(&server, "expect = [\"main\"]");
    let before = asked.run();
    assert_eq!(before.state, State::Down("main not online, says the server".to_owned()), "{before:#?}");
    assert_eq!(up(&before, "main"), Some(Value::Known(0)));
    let sender = srt(&server, KEY);
    asked.until("stream", is_up);
    let reader = format!("rtsp://127.0.0.1:{}/{KEY}", server.rtsp);
    let _reader = Ffmpeg::take(&["-rtsp_transport", "tcp", "-i", &reader]);
    let outcome = asked.until("reader and rate", |outcome| {
        let has_reader = value(outcome, "rackside_stream_listeners", &["main"]) == Some(1.0);
        let rate = value(outcome, "rackside_stream_transmit_bitrate_bps", &["main"]);
        let rtsp = value(outcome, "rackside_mediamtx_connections", &["rtsp"]) == Some(1.0);
        (has_reader && rtsp && rate.is_some_and(|rate| rate > 20_000.0)).then(|| outcome.clone())
    });
    assert_eq!(outcome.state, State::Up, "{}", sender.last_words());
    let of = |name| {
        value(&outcome, name, &["main", "publish"]).unwrap_or_else(|| panic!("no {name} in {outcome:#?}"))
    };
    assert!((0.0..1.0).contains(&of("rackside_srt_rtt_seconds")));
    assert!(of("rackside_srt_link_capacity_bps") > 100_000.0);
    assert!(of("rackside_srt_packets_total") > 10.0);
    assert!((of("rackside_srt_latency_seconds") - 0.12).abs() < 0.1, "SRT's usual latency is 120 ms");
    assert_eq!(value(&outcome, "rackside_srt_connections", &["main", "publish"]), Some(1.0));
    assert_eq!(value(&outcome, "rackside_srt_packets_undecrypted_total", &["main", "publish"]), Some(0.0));
    let rate = value(&outcome, "rackside_stream_bitrate_bps", &["main"]).expect("a rate");
    assert!((50_000.0..2_000_000.0).contains(&rate), "{rate} bits a second of 264 kbit/s");
    assert!(
        value(&outcome, "rackside_stream_receive_bytes_total", &["main"])
            .is_some_and(|bytes| bytes > 10_000.0)
    );
    let text =
        |subject| outcome.texts.iter().find(|(other, _)| *other == subject).map(|(_, text)| text.as_str());
    assert_eq!(text("version"), Some("v1.20.1"));
    assert_eq!(text("tracks"), Some("main: H264 320x180, MPEG-4 Audio"));
    let said = format!("{outcome:?}");
    assert!(!said.contains("abcd") && !said.contains("efgh"), "a stream key got out: {said}");
}

#[test]
fn a_publisher_that_is_killed_is_down_and_a_server_that_is_stopped_is_unknown() {
    let mut server = MediaMtx::start();
    let mut asked = probe(&server, "");
    let mut sender = Ffmpeg::send(&["-f", "flv", &format!("rtmp://127.0.0.1:{}/{KEY}", server.rtmp)]);
    asked.until("stream", is_up);
    let outcome = asked.until("count of RTMP", |outcome| {
        (value(outcome, "rackside_mediamtx_connections", &["rtmp"]) == Some(1.0)).then(|| outcome.clone())
    });
    let bytes = value(&outcome, "rackside_stream_receive_bytes_total", &["main"]).expect("counted");
    sender.kill();
    let killed = clock::now();
    asked.until("word that it is gone", |outcome| {
        (up(outcome, "main") == Some(Value::Known(0))).then_some(())
    });
    // The kernel closes a killed program's connections; the server hears of it at once.
    assert!(clock::now() - killed < Duration::from_secs(5), "after {:?}", clock::now() - killed);
    let _sender = srt(&server, KEY);
    let outcome =
        asked.until("stream again, by another way", |outcome| is_up(outcome).map(|()| outcome.clone()));
    let more = value(&outcome, "rackside_stream_receive_bytes_total", &["main"]).expect("counted");
    assert!(more >= bytes, "{more} after {bytes}: a new publisher takes nothing off the sum");
    server.stop();
    let outcome = asked.run();
    let State::Unknown(why) = &outcome.state else { panic!("{outcome:?}") };
    assert!(why.contains("Connection refused"), "{why}");
    assert_eq!(up(&outcome, "main"), Some(Value::Unknown));
    assert_eq!(outcome.samples.len(), 1, "nothing is repeated as if it were fresh: {outcome:?}");
    server.come_up();
    asked.until("word of the server that is back", |outcome| (outcome.state == State::Up).then_some(()));
}

#[test]
fn a_publisher_over_rtsp_that_nobody_named_is_masked() {
    let server = MediaMtx::start();
    let mut asked = probe(&server, "");
    let url = format!("rtsp://127.0.0.1:{}/wxyz-9876-5432", server.rtsp);
    let _sender = Ffmpeg::send(&["-f", "rtsp", "-rtsp_transport", "tcp", &url]);
    let outcome = asked.until("a second path", |outcome| {
        let online = value(outcome, "rackside_mediamtx_paths", &["online"]) == Some(1.0);
        online.then(|| outcome.clone())
    });
    let ups = outcome.samples.iter().filter(|sample| sample.metric.name == "rackside_stream_up");
    let labels: Vec<&str> = ups.filter_map(|sample| sample.labels.first()).map(String::as_str).collect();
    assert_eq!(labels.len(), 2, "{labels:?}");
    assert!(labels.contains(&"main") && !labels.iter().any(|label| label.contains("9876")), "{labels:?}");
    assert!(sample(&outcome, "rackside_mediamtx_connections", &["webrtc"]).is_none(), "it is switched off");
}

#[test]
fn a_login_is_sent_and_one_that_is_refused_is_no_fault_of_a_stream() {
    let users = "authInternalUsers:\n- user: any\n  pass:\n  permissions:\n  - action: publish\n  - action: read\n\
                 - user: rackside\n  pass: hunter2-long-enough\n  permissions:\n  - action: api\n";
    let server = MediaMtx::with(users);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let login = |password: &str| {
        let file = dir.path().join(password);
        std::fs::write(&file, password).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("our own");
        format!("user = \"rackside\"\npassword = {{ file = \"{}\" }}", file.display())
    };
    let mut right = probe(&server, &login("hunter2-long-enough"));
    assert_eq!(right.run().state, State::Up);
    let why = |outcome: &Outcome| match &outcome.state {
        State::Unknown(why) => why.clone(),
        other => panic!("{other:?}"),
    };
    let outcome = probe(&server, "").run();
    assert!(why(&outcome).contains("wants a login (401)"), "{}", why(&outcome));
    assert_eq!(up(&outcome, "main"), Some(Value::Unknown));
    let mut wrong = probe(&server, &login("hunter3-long-enough"));
    let outcome = wrong.run();
    assert!(why(&outcome).contains("does not take the login (401)"), "{}", why(&outcome));
    assert!(!format!("{outcome:?}").contains("hunter3"), "{outcome:?}");
    // A refusal takes the server seconds; one that is remembered takes no time.
    let begun = clock::now();
    assert_eq!(wrong.run().state, outcome.state);
    assert!(clock::now() - begun < Duration::from_millis(200), "it was asked again");
}
