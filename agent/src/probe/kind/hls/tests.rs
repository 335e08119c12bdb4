//! HLS streams from servers that say what a test wants.

use super::*;
use crate::probe::http::server::{Server, ok};
use rackside_proto::metric::Metric;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a server has: pages by their paths, changed by the test while it runs.
type Pages = Arc<Mutex<Vec<(&'static str, String)>>>;

fn site(pages: &[(&'static str, String)]) -> (Server, Pages) {
    let pages: Pages = Arc::new(Mutex::new(pages.to_vec()));
    let shown = Arc::clone(&pages);
    let server = Server::start(move |request, talk| {
        let mut words = request.split(' ');
        let (method, path) = (words.next().expect("a method"), words.next().expect("a path"));
        let pages = shown.lock().expect("nobody panics");
        let path = path.split('?').next().expect("a path");
        let answer = match pages.iter().find(|(name, _)| *name == path) {
            Some((_, page)) if page.starts_with("HTTP/") => page.clone(),
            Some((_, page)) if method == "HEAD" => {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", page.len())
            }
            Some((_, page)) => ok(page),
            None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
        };
        let _ = talk.write_all(answer.as_bytes());
    });
    (server, pages)
}

fn set(pages: &Pages, path: &'static str, page: String) {
    let mut pages = pages.lock().expect("nobody panics");
    pages.retain(|(name, _)| *name != path);
    pages.push((path, page));
}

fn watch(url: &str, keys: &str) -> Watch {
    let text = format!("name = \"player\"\nurl = \"{url}\"\n{keys}");
    let settings: Hls = rackside_config::parse(&text, "x").expect("good keys");
    settings.check().expect("a good probe");
    Watch { settings, streak: Streak::default(), followed: [const { None }; 2] }
}

fn poll(watch: &mut Watch) -> Outcome {
    smol::block_on(watch.run(&Context::default()))
}

fn value(outcome: &Outcome, wanted: &'static Metric, label: &str) -> Option<f64> {
    let is_it = |sample: &&crate::probe::outcome::Sample| {
        std::ptr::eq(sample.metric, wanted) && sample.labels.first().is_none_or(|first| first == label)
    };
    let sample = outcome.samples.iter().find(is_it)?;
    Some(sample.scale.value(sample.value.known()?))
}

fn up(outcome: &Outcome) -> Option<f64> {
    value(outcome, &metric::STREAM_UP, "")
}

fn why(outcome: &Outcome) -> String {
    outcome.state.why().expect("it is not up").to_owned()
}

fn media(sequence: u64, end: &str) -> String {
    let segment = |number: u64| format!("#EXTINF:2.0,\n{number}.ts?t=x\n");
    let segments = (sequence..sequence + 3).map(segment).collect::<Vec<_>>().concat();
    format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{sequence}\n{segments}{end}")
}

fn segment() -> String {
    "x".repeat(250_000)
}

/// The playlist has been as it is for so long.
fn age(watch: &mut Watch, seconds: u64) {
    for followed in watch.followed.iter_mut().flatten() {
        followed.backdate(Duration::from_secs(seconds));
    }
}

#[test]
fn a_stream_that_goes_on_is_up_with_its_figures() {
    let (server, pages) = site(&[("/live/key.m3u8", media(7, "")), ("/live/9.ts", segment())]);
    let mut watch = watch(&server.url("/live/key.m3u8"), "");
    let outcome = poll(&mut watch);
    assert_eq!((outcome.state.clone(), up(&outcome)), (State::Up, Some(1.0)));
    let of = |outcome: &Outcome, metric| value(outcome, metric, "");
    assert_eq!(of(&outcome, &metric::HLS_MEDIA_SEQUENCE), Some(7.0));
    assert_eq!(of(&outcome, &metric::HLS_SEGMENTS), Some(3.0));
    assert_eq!(of(&outcome, &metric::HLS_TARGET_DURATION), Some(2.0));
    assert_eq!(of(&outcome, &metric::STREAM_BITRATE), Some(1_000_000.0), "250 kB in 2 s");
    assert_eq!(of(&outcome, &metric::HLS_LATENCY), None);
    set(&pages, "/live/key.m3u8", media(0, ""));
    set(&pages, "/live/2.ts", segment());
    let outcome = poll(&mut watch);
    assert_eq!((outcome.state.clone(), of(&outcome, &metric::HLS_RESTARTS)), (State::Up, Some(1.0)));
    assert!(!watch.settings.target().contains("key"), "{}", watch.settings.target());
}

#[test]
fn a_playlist_that_stands_still_is_down_and_comes_back() {
    let (server, pages) = site(&[("/a.m3u8", media(7, "")), ("/9.ts", segment()), ("/10.ts", segment())]);
    let mut watch = watch(&server.url("/a.m3u8"), "");
    assert_eq!(up(&poll(&mut watch)), Some(1.0));
    age(&mut watch, 9);
    assert_eq!(up(&poll(&mut watch)), Some(1.0), "10 s at least");
    age(&mut watch, 3);
    let outcome = poll(&mut watch);
    assert_eq!(up(&outcome), Some(0.0));
    assert_eq!(why(&outcome), "the playlist has not changed for 12 s, with segments of 2 s");
    assert!(value(&outcome, &metric::HLS_PLAYLIST_AGE, "").is_some_and(|age| age >= 12.0));
    set(&pages, "/a.m3u8", media(8, ""));
    assert_eq!(up(&poll(&mut watch)), Some(1.0));
}

#[test]
fn an_end_is_a_fault_unless_it_is_wanted() {
    let (server, _) = site(&[("/a.m3u8", media(7, "#EXT-X-ENDLIST\n")), ("/9.ts", segment())]);
    let outcome = poll(&mut watch(&server.url("/a.m3u8"), ""));
    assert_eq!(up(&outcome), Some(0.0), "the playlist's own word");
    assert_eq!(why(&outcome), "the playlist says that the stream has ended");
    let mut recorded = watch(&server.url("/a.m3u8"), "live = false");
    assert_eq!(up(&poll(&mut recorded)), Some(1.0));
    age(&mut recorded, 3600);
    assert_eq!(up(&poll(&mut recorded)), Some(1.0));
}

#[test]
fn a_playlist_that_is_gone_is_down_at_the_second_poll() {
    let (server, pages) = site(&[("/a.m3u8", media(7, "")), ("/9.ts", segment())]);
    let mut watch = watch(&server.url("/a.m3u8"), "");
    assert_eq!(up(&poll(&mut watch)), Some(1.0));
    pages.lock().expect("nobody panics").clear();
    let outcome = poll(&mut watch);
    assert_eq!(up(&outcome), Some(1.0));
    assert_eq!(why(&outcome), format!("{} has no such playlist (404)", server.url("")));
    assert!(matches!(outcome.state, State::Down(_)));
    assert_eq!(up(&poll(&mut watch)), Some(0.0));
}

#[test]
fn what_says_nothing_of_the_stream_is_unknown() {
    let (server, pages) = site(&[("/a.m3u8", media(7, "")), ("/9.ts", segment())]);
    let mut watch = watch(&server.url("/a.m3u8"), "");
    assert_eq!(up(&poll(&mut watch)), Some(1.0));
    set(&pages, "/a.m3u8", "HTTP/1.1 403 Forbidden\r\n\r\n".to_owned());
    for _ in 0..3 {
        let outcome = poll(&mut watch);
        assert_eq!(up(&outcome), None);
        assert!(matches!(outcome.state, State::Unknown(_)), "{outcome:?}");
    }
    watch.settings.url = "http://no-such-host.invalid/a.m3u8".to_owned();
    let outcome = poll(&mut watch);
    assert!(up(&outcome).is_none() && matches!(outcome.state, State::Unknown(_)), "{outcome:?}");
}

#[test]
fn a_segment_that_is_not_there_is_a_failure() {
    let (server, pages) = site(&[("/a.m3u8", media(7, ""))]);
    let mut watch = watch(&server.url("/a.m3u8"), "");
    let origin = server.url("");
    let wrong = |watch: &mut Watch, expected: &str| {
        let why = why(&poll(watch));
        assert_eq!(why, format!("its newest segment cannot be had: {expected}"));
    };
    wrong(&mut watch, &format!("{origin} answers 404"));
    set(&pages, "/9.ts", String::new());
    wrong(&mut watch, "it is empty");
    set(&pages, "/9.ts", "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n".to_owned());
    wrong(&mut watch, "it is empty");
    set(&pages, "/9.ts", "HTTP/1.1 405 Not Allowed\r\nContent-Length: 0\r\n\r\n".to_owned());
    wrong(&mut watch, &format!("{origin} answers 405"));
    let asked = server.asked();
    assert!(asked.last().expect("it was asked").starts_with("GET /9.ts?t=x "), "{asked:?}");
}

#[test]
fn a_server_that_gives_no_head_is_asked_for_the_first_byte() {
    // MediaMTX says 404 to all but GET, a store with signed addresses 403; the last one does not know ranges.
    let part = "206 Partial Content\r\nContent-Range: bytes 0-0/250000\r\nContent-Length: 1\r\n\r\nx";
    let whole = format!("200 OK\r\nContent-Length: 250000\r\n\r\n{}", segment());
    for (refusal, answer) in
        [("404 Not Found", part), ("403 Forbidden", part), ("405 Method Not Allowed", whole.as_str())]
    {
        let answer = format!("HTTP/1.1 {answer}");
        let server = Server::start(move |request, talk| {
            let answer = match request.split('?').next().expect("a line") {
                "HEAD /9.ts" => format!("HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n"),
                "GET /9.ts" if request.contains("range: bytes=0-0\r\n") => answer.clone(),
                _ => ok(&media(7, "")),
            };
            let _ = talk.write_all(answer.as_bytes());
        });
        let outcome = poll(&mut watch(&server.url("/a.m3u8"), ""));
        assert_eq!((outcome.state.clone(), up(&outcome)), (State::Up, Some(1.0)), "{refusal}");
        assert_eq!(value(&outcome, &metric::STREAM_BITRATE, ""), Some(1_000_000.0), "{refusal}");
    }
}

#[test]
fn the_lowest_and_the_highest_of_several_variants_are_followed() {
    let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=3000000\nhigh/a.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=2000000\nmiddle/a.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=800000\nlow/a.m3u8\n";
    let (server, pages) = site(&[
        ("/master.m3u8", master.to_owned()),
        ("/high/a.m3u8", media(70, "")),
        ("/high/72.ts", segment()),
        ("/low/a.m3u8", media(7, "")),
        ("/low/9.ts", "x".repeat(50_000)),
    ]);
    let mut watch = watch(&server.url("/master.m3u8"), "");
    let outcome = poll(&mut watch);
    assert_eq!((outcome.state.clone(), up(&outcome)), (State::Up, Some(1.0)));
    assert_eq!(value(&outcome, &metric::HLS_VARIANTS, ""), Some(3.0));
    assert_eq!(value(&outcome, &metric::HLS_MEDIA_SEQUENCE, "lowest"), Some(7.0));
    assert_eq!(value(&outcome, &metric::HLS_MEDIA_SEQUENCE, "highest"), Some(70.0));
    assert_eq!(value(&outcome, &metric::STREAM_BITRATE, ""), Some(1_000_000.0), "the highest one's");
    assert!(server.asked().iter().all(|asked| !asked.contains("middle")));

    set(&pages, "/high/a.m3u8", master.to_owned());
    let outcome = poll(&mut watch);
    assert_eq!(why(&outcome), "the variant of the highest bandwidth: it is a list of variants itself");
    assert_eq!(up(&outcome), Some(1.0), "the other one goes on");
    set(&pages, "/low/a.m3u8", "nonsense".to_owned());
    assert_eq!(up(&poll(&mut watch)), Some(1.0));
    assert_eq!(up(&poll(&mut watch)), Some(0.0));
}

#[test]
fn a_date_in_the_playlist_gives_the_latency_once_the_date_is_known() {
    let dated = media(7, "").replacen("#EXTINF", "#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:00:00Z\n#EXTINF", 1);
    let (server, _) = site(&[("/a.m3u8", dated), ("/9.ts", segment())]);
    let context = Context::default();
    // Three segments of 2 s, and then 10 s.
    context.surroundings.believe(Some(1_795_176_016_000));
    let outcome = smol::block_on(watch(&server.url("/a.m3u8"), "").run(&context));
    let latency = value(&outcome, &metric::HLS_LATENCY, "").expect("it says when");
    assert!((10.0..40.0).contains(&latency), "{latency}");
}

#[test]
fn a_run_that_its_time_ended_is_a_failure_of_the_stream() {
    let mut watch = watch("http://192.0.2.1/a.m3u8", "");
    assert_eq!(up(&watch.late("no answer within 15s".to_owned())), None);
    let outcome = watch.late("no answer within 15s".to_owned());
    assert_eq!((up(&outcome), why(&outcome).as_str()), (Some(0.0), "no answer within 15s"));
}

#[test]
fn a_playlist_without_end_is_cut_off() {
    let server = Server::start(|_, talk| {
        let _ = talk.write_all(b"HTTP/1.1 200 OK\r\n\r\n#EXTM3U\n#EXT-X-TARGETDURATION:2\n");
        while talk.write_all(&b"#EXTINF:2,\nx.ts\n".repeat(1000)).is_ok() {}
    });
    let why = why(&poll(&mut watch(&server.url("/a.m3u8"), "")));
    assert_eq!(why, "the playlist is larger than 2097152 bytes");
}
