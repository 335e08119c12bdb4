//! `[[probe.stream]]`: what a stream is, how it looks and sounds, and the faults that it is there for.

use crate::servers::{
    Asked, Content, GOOD, MediaMtx, Nginx, ask, directory, publish, says, secret, until, value,
};
use rackside_agent::probe::{Outcome, State};
use rackside_proto::metric::{self, Metric};
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const STILL: Content = Content {
    picture: "color=black:size=320x180:rate=25",
    sound: "anullsrc=channel_layout=mono:sample_rate=48000",
    bitrate: "400k",
};

fn why(outcome: &Outcome) -> &str {
    outcome.state.why().unwrap_or("it is up")
}

/// Runs until the series has this value.
fn until_value(probe: &mut Asked, metric: &'static Metric, wanted: f64) -> Outcome {
    let mut outcome = probe.run();
    until(metric.name, || {
        outcome = probe.run();
        value(&outcome, metric) == Some(wanted)
    });
    outcome
}

#[test]
fn a_stream_is_described_and_its_publishers_death_is_seen_twice_before_it_is_said() {
    let nginx = Nginx::start();
    let publisher = publish(&GOOD, "flv", &nginx.url("hunter2-hunter2"));
    nginx.publishes("hunter2-hunter2");
    let directory = directory();
    let key = secret(directory.path(), "hunter2-hunter2");
    let keys = format!("url = \"{}\"\nkey = {key}\nwatch = \"3s\"", nginx.url("{key}"));
    let mut probe = Asked::new("stream", &keys);
    let outcome = until_value(&mut probe, &metric::STREAM_UP, 1.0);
    let known = |metric: &'static Metric| {
        value(&outcome, metric).unwrap_or_else(|| panic!("{} of {outcome:?}", metric.name))
    };
    assert_eq!((known(&metric::STREAM_WIDTH) as u32, known(&metric::STREAM_HEIGHT) as u32), (320, 180));
    assert!((known(&metric::STREAM_FPS) - 25.0).abs() < 1.0, "{outcome:?}");
    assert!((350e3..650e3).contains(&known(&metric::STREAM_BITRATE)), "400k and 64k: {outcome:?}");
    assert!(
        (-24.0..-18.0).contains(&known(&metric::STREAM_AUDIO_LEVEL)),
        "a sine of ffmpeg's is at -21: {outcome:?}"
    );
    for metric in [&metric::STREAM_FROZEN, &metric::STREAM_BLACK, &metric::STREAM_SILENT] {
        assert_eq!(known(metric) as i64, 0, "{}", metric.name);
    }
    assert!(outcome.texts.contains(&("codec", "h264, aac".to_owned())), "{:?}", outcome.texts);
    drop(publisher);
    let first = probe.run();
    assert!(matches!(first.state, State::Down(_)), "{first:?}");
    assert_eq!(value(&first, &metric::STREAM_UP), Some(1.0), "one failure is a hiccup");
    assert_eq!(value(&first, &metric::STREAM_BLACK), None, "nobody knows");
    let second = probe.run();
    assert_eq!(value(&second, &metric::STREAM_UP), Some(0.0), "{second:?}");
}

/// The command lines of the programs that this test's process started, publishers left out.
fn command_lines() -> Vec<String> {
    let own = std::process::id().to_string();
    let is_ours = |stat: &str| {
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)) == Some(own.as_str())
    };
    let processes = fs::read_dir("/proc").expect("a process list").filter_map(Result::ok);
    let ours = processes
        .filter(|process| fs::read_to_string(process.path().join("stat")).is_ok_and(|stat| is_ours(&stat)));
    let lines = ours.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.starts_with("ff") && !line.contains("lavfi"))
        .collect()
}

#[test]
fn a_key_is_on_no_command_line() {
    let nginx = Nginx::start();
    let _publisher = publish(&GOOD, "flv", &nginx.url("hunter2-hunter2"));
    nginx.publishes("hunter2-hunter2");
    let directory = directory();
    let key = secret(directory.path(), "hunter2-hunter2");
    let keys = format!("url = \"{}\"\nkey = {key}\nwatch = \"2s\"", nginx.url("{key}"));
    let is_over = AtomicBool::new(false);
    let (outcome, seen) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !is_over.load(Ordering::Relaxed) {
                seen.extend(command_lines());
                std::thread::sleep(Duration::from_millis(5));
            }
            seen
        });
        let outcome = ask("stream", &keys);
        is_over.store(true, Ordering::Relaxed);
        (outcome, watching.join().expect("it only looks"))
    });
    assert_eq!(value(&outcome, &metric::STREAM_UP), Some(1.0), "{outcome:?}");
    for program in ["ffprobe ", "ffmpeg "] {
        assert!(seen.iter().any(|line| line.starts_with(program)), "{program}was not seen: {seen:#?}");
    }
    let telling: Vec<&String> = seen.iter().filter(|line| line.contains("hunter2")).collect();
    assert!(telling.is_empty(), "{telling:#?}");
    assert!(outcome.texts.contains(&("format", "flv".to_owned())), "{:?}", outcome.texts);
}

#[test]
fn a_black_still_and_silent_stream_is_all_that() {
    let nginx = Nginx::start();
    let _publisher = publish(&STILL, "flv", &nginx.url("dark"));
    nginx.publishes("dark");
    let mut probe = Asked::new(
        "stream",
        &format!("url = \"{}\"\nwatch = \"4s\"\nfrozen_after = \"6s\"", nginx.url("dark")),
    );
    let outcome = until_value(&mut probe, &metric::STREAM_BLACK, 1.0);
    assert_eq!(outcome.state, State::Up, "it is there");
    assert_eq!(value(&outcome, &metric::STREAM_SILENT), Some(1.0), "{outcome:?}");
    assert!(value(&outcome, &metric::STREAM_AUDIO_LEVEL).is_some_and(|level| level < -80.0), "{outcome:?}");
    until_value(&mut probe, &metric::STREAM_FROZEN, 1.0);
}

#[test]
fn a_picture_that_freezes_is_found_and_its_sound_goes_on() {
    let nginx = Nginx::start();
    let freezing = Content { picture: "testsrc2=size=320x180:rate=25,loop=loop=-1:size=1:start=400", ..GOOD };
    let _publisher = publish(&freezing, "flv", &nginx.url("hall"));
    nginx.publishes("hall");
    let mut probe = Asked::new(
        "stream",
        &format!("url = \"{}\"\nwatch = \"3s\"\nfrozen_after = \"5s\"", nginx.url("hall")),
    );
    assert_eq!(value(&probe.run(), &metric::STREAM_FROZEN), Some(0.0));
    let outcome = until_value(&mut probe, &metric::STREAM_FROZEN, 1.0);
    let others = [&metric::STREAM_BLACK, &metric::STREAM_SILENT].map(|metric| value(&outcome, metric));
    assert_eq!((others, outcome.state), ([Some(0.0), Some(0.0)], State::Up));
}

#[test]
fn a_bitrate_that_is_cut_has_dropped() {
    let nginx = Nginx::start();
    let publisher = publish(&Content { bitrate: "1200k", ..GOOD }, "flv", &nginx.url("hall"));
    nginx.publishes("hall");
    let mut probe = Asked::new("stream", &format!("url = \"{}\"\nwatch = \"2s\"", nginx.url("hall")));
    let before = until_value(&mut probe, &metric::STREAM_BITRATE_DROPPED, 0.0);
    drop(publisher);
    let _publisher = publish(&Content { bitrate: "200k", ..GOOD }, "flv", &nginx.url("hall"));
    let after = until_value(&mut probe, &metric::STREAM_BITRATE_DROPPED, 1.0);
    let bitrates =
        [&before, &after].map(|outcome| value(outcome, &metric::STREAM_BITRATE).expect("it was measured"));
    assert!(bitrates[1] < bitrates[0] / 2.0, "{bitrates:?}");
}

#[test]
fn srt_hls_and_rtsp_are_watched_as_well() {
    let (nginx, rtsp, directory) = (Nginx::start(), MediaMtx::start(), directory());
    let srt = format!("srt://127.0.0.1:{}?streamid", rtsp.srt);
    let publishers = [
        publish(&GOOD, "flv", &nginx.url("hall")),
        publish(&GOOD, "rtsp", &rtsp.url("guarded")),
        publish(&GOOD, "mpegts", &format!("{srt}=publish:hall")),
    ];
    nginx.publishes("hall");
    let password = secret(directory.path(), "hunter2");
    let hls = format!("http://127.0.0.1:{}/hls/hall.m3u8", nginx.http);
    for keys in [
        format!("url = \"{hls}\""),
        format!("url = \"{}\"\nuser = \"viewer\"\npassword = {password}", rtsp.url("guarded")),
        format!("url = \"{srt}=read:hall\""),
    ] {
        let mut probe = Asked::new("stream", &format!("{keys}\nwatch = \"2s\""));
        let outcome = until_value(&mut probe, &metric::STREAM_UP, 1.0);
        assert!(
            value(&outcome, &metric::STREAM_FPS).is_some_and(|fps| (fps - 25.0).abs() < 1.0),
            "{keys}: {outcome:?}"
        );
        assert!(
            value(&outcome, &metric::STREAM_BITRATE).is_some_and(|rate| rate > 200e3),
            "{keys}: {outcome:?}"
        );
    }
    let gone = format!("url = \"http://127.0.0.1:{}/hls/none.m3u8\"", nginx.http);
    let gone = ask("stream", &gone);
    assert_eq!(value(&gone, &metric::STREAM_UP), Some(0.0), "the server's own word: {gone:?}");
    drop(publishers);
}

#[test]
fn a_publisher_that_stops_without_leaving_is_down_after_two_runs() {
    let nginx = Nginx::start();
    let publisher = publish(&GOOD, "flv", &nginx.url("hall"));
    nginx.publishes("hall");
    let mut probe = Asked::new(
        "stream",
        &format!("url = \"{}\"\nwatch = \"2s\"\nffprobe_timeout = \"8s\"", nginx.url("hall")),
    );
    until_value(&mut probe, &metric::STREAM_UP, 1.0);
    publisher.freeze();
    let first = probe.run();
    assert!(matches!(first.state, State::Down(_)), "{first:?}");
    assert_eq!(value(&probe.run(), &metric::STREAM_UP), Some(0.0));
}

#[test]
fn a_server_that_stops_in_the_middle_leaves_no_child_behind() {
    let address = says([vec![3], vec![7; 1000]].concat());
    let port = address.port().to_string();
    let mut probe = Asked::new("stream", &format!("url = \"rtmp://{address}/live/x\""));
    let outcome = probe.run_for(Duration::from_secs(2));
    assert_eq!((why(&outcome), value(&outcome, &metric::STREAM_UP)), ("too late", None));
    until("the child's end", || {
        let processes = fs::read_dir("/proc").expect("a process list").filter_map(Result::ok);
        let commands = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        let mut commands = commands.map(|command| String::from_utf8_lossy(&command).into_owned());
        !commands.any(|command| command.starts_with("ffprobe") && command.contains(&port))
    });
    // Its own time ends ffprobe before the run's does.
    let begun = Instant::now();
    let mut probe =
        Asked::new("stream", &format!("url = \"rtmp://{address}/live/x\"\nffprobe_timeout = \"1s\""));
    assert_eq!(why(&probe.run()), "ffprobe could not say within 1s what the stream is");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_cannot_be_told_from_here_is_unknown() {
    let missing = ask("stream", "url = \"rtmp://127.0.0.1/live/x\"\nffprobe = \"/nowhere/ffprobe\"");
    assert_eq!(why(&missing), "/nowhere/ffprobe is not on this machine; install it");
    assert!(matches!(missing.state, State::Unknown(_)));
    let name = ask("stream", "url = \"rtmp://no-such-host.invalid/live/x\"");
    assert!(matches!(name.state, State::Unknown(_)), "{name:?}");
    let mut metered = Asked::new("stream", "url = \"rtmp://127.0.0.1/live/x\"");
    metered.context.surroundings.meter(&["wwan0".to_owned()]);
    metered.context.surroundings.see(false, false, Some("wwan0"), Instant::now());
    let metered = metered.run();
    assert_eq!(why(&metered), "no media are pulled over wwan0, which is metered");
    assert_eq!(
        (matches!(metered.state, State::Unknown(_)), value(&metered, &metric::STREAM_UP)),
        (true, None)
    );
}
