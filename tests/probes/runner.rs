//! Probes of two servers on their schedules, as the agent runs them: what is told at once, and how soon.

use crate::PATIENCE;
use async_io::Timer;
use rackside_agent::config::Config;
use rackside_agent::probe::{Context, News, Probes, State};
use rackside_proto::Value;
use rackside_tests::clock;
use rackside_tests::fakes::http::Fault;
use rackside_tests::fakes::mediamtx::{Age, MediaMtx as Fake, Path};
use rackside_tests::ffmpeg::Ffmpeg;
use rackside_tests::mediamtx::MediaMtx;
use std::time::{Duration, Instant};

const HEAD: &str = "site = \"arena-north\"\nappliance = \"rack-1\"\n[mqtt]\naddress = \"127.0.0.1:1\"\n[probes]\nping = []\n";

/// Runs them until `enough`; all news so far.
fn until(probes: &mut Probes, what: &str, mut enough: impl FnMut(&Probes, &[News]) -> bool) -> Vec<News> {
    let mut news = Vec::new();
    let end = clock::now() + PATIENCE;
    loop {
        news.extend(probes.step(clock::now()));
        if enough(probes, &news) {
            return news;
        }
        assert!(clock::now() < end, "no {what}: {news:?}");
        let deadline = probes.deadline().unwrap_or(end);
        futures_lite::future::block_on(futures_lite::future::or(probes.moved(), async {
            Timer::at(deadline).await;
        }));
    }
}

/// When the stream was said to be that, if it was.
fn told(news: &[News], path: &str, value: Value) -> Option<Instant> {
    news.iter().find_map(|news| match news {
        News::Sample(happened) => {
            let reading = &happened.reading;
            let is_it = reading.metric.name == "rackside_stream_up"
                && reading.labels.iter().any(|label| label == path);
            (is_it && reading.value == value).then_some(happened.at)
        }
        News::Text { .. } | News::Pulse { .. } | News::Still(_) => None,
    })
}

fn state(probes: &Probes, name: &str) -> Option<State> {
    let mut known = probes.known();
    let known = known.find(|known| known.planned.common.name == name)?;
    known.latest.map(|latest| latest.outcome.state.clone())
}

#[test]
fn a_publishers_death_is_told_within_its_schedule_and_a_slow_server_is_unknown() {
    let (server, slow) = (MediaMtx::start(), Fake::start(Age::Old));
    let since = Some("2026-11-20T03:00:05.5Z".to_owned());
    slow.set(|state| state.paths = vec![Path { name: "key-2".to_owned(), since, ..Path::default() }]);
    let text = format!(
        "{HEAD}[[probe.mediamtx]]\nname = \"one\"\nevery = \"1s\"\nurl = \"{}\"\npaths = {{ \"key-1\" = \"main\" }}\n\
         [[probe.mediamtx]]\nname = \"two\"\nevery = \"1s\"\ntimeout = \"500ms\"\nurl = \"{}\"\npaths = {{ \"key-2\" = \"backup\" }}\n",
        server.url(),
        slow.fake.url()
    );
    let config = Config::parse(&text, "agent.toml").unwrap_or_else(|error| panic!("{error}"));
    let mut probes = Probes::new(config.probes, Context::default(), clock::now());
    let is_up = |probes: &Probes, name| state(probes, name) == Some(State::Up);
    until(&mut probes, "word of both servers", |probes, _| is_up(probes, "one") && is_up(probes, "two"));
    let mut sender = Ffmpeg::send(&["-f", "flv", &format!("rtmp://127.0.0.1:{}/key-1", server.rtmp)]);
    until(&mut probes, "stream", |_, news| told(news, "main", Value::Known(1)).is_some());
    slow.fake.fail(Some(Fault::Slow(Duration::from_secs(20))));
    let news = until(&mut probes, "word of the slow server", |_, news| {
        told(news, "backup", Value::Unknown).is_some()
    });
    assert_eq!(told(&news, "backup", Value::Known(0)), None, "a page that is late says nothing of a stream");
    assert!(matches!(state(&probes, "two"), Some(State::Unknown(_))), "{:?}", state(&probes, "two"));
    sender.kill();
    let killed = clock::now();
    let news =
        until(&mut probes, "word of its death", |_, news| told(news, "main", Value::Known(0)).is_some());
    let took = told(&news, "main", Value::Known(0)).map(|at| at - killed).expect("it was told");
    println!("from the publisher's death to the event: {took:?}, asked every second");
    assert!(took < Duration::from_secs(3), "{took:?}");
}
