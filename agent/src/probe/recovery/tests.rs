//! Recoveries with words that are put into their mouths, and a real process that is killed and brought back.

use super::super::outcome::Outcome;
use super::*;
use crate::clock::Clock;
use crate::config;
use crate::probe::{Context, Probes};
use rackside_proto::metric::Metric;
use std::fs;
use std::path::Path;
use std::process::Command;

const SITE: &str = "site = \"arena-north\"\nappliance = \"rack-1\"\nprobes.ping = []\n";

fn configured(more: &str) -> Config {
    let text = format!("{SITE}{more}\n[mqtt]\naddress = \"hub\"\n");
    config::Config::parse(&text, "agent.toml").unwrap_or_else(|error| panic!("{error}")).probes
}

/// A power switch that a stream's probe pulses, and others who watch that stream.
const RELAYED: &str = "
[[relay]]
name = \"power\"
pin = 6
on = \"never\"
most = \"10s\"
[[probe.tcp]]
name = \"port\"
stream = \"main\"
target = \"192.0.2.1:1935\"
[[probe.hls]]
name = \"player\"
stream = \"main\"
url = \"https://cdn.example/live/main.m3u8\"
[[probe.process]]
name = \"encoder\"
stream = \"main\"
unit = \"encoder.service\"
on_failure = { pulse = \"power\", for = \"1s\" }
";

/// Recoveries of a made-up site, and what time it is there.
struct Bench {
    config: Config,
    recoveries: Recoveries,
    site: Surroundings,
    executor: LocalExecutor<'static>,
    now: Instant,
    pulses: usize,
}

impl Bench {
    fn new() -> Self {
        Self::of(RELAYED)
    }

    fn of(more: &str) -> Self {
        let config = configured(more);
        let mut recoveries = Recoveries::new();
        recoveries.configure(&config);
        let (site, executor) = (Surroundings::default(), LocalExecutor::new());
        Self { config, recoveries, site, executor, now: Clock::now(), pulses: 0 }
    }

    /// A probe says so, and a second passes.
    fn hear(&mut self, name: &str, outcome: Outcome) -> Vec<News> {
        let mut probes = self.config.probes.iter();
        let planned = probes.find(|planned| planned.common.name == name).expect("a probe of that name");
        self.recoveries.hear(planned, &Latest { at: self.now, took: Duration::ZERO, outcome });
        self.now += Duration::from_secs(1);
        let news = self.recoveries.step(&self.site, &self.executor, self.now);
        self.pulses +=
            news.iter().filter(|one| matches!(one, News::Pulse { relay, .. } if relay == "power")).count();
        news
    }

    /// Whether the relay was pulsed, at the latest within ten more looks that find the encoder gone.
    fn acts(&mut self) -> bool {
        for _ in 0..10 {
            self.hear("encoder", Outcome::down("it has no process"));
        }
        self.pulses > 0
    }
}

fn stream(outcome: Outcome, up: i64) -> Outcome {
    let mut outcome = outcome;
    outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, Value::Known(up));
    outcome
}

#[test]
fn off_air_one_probe_is_enough_and_says_what_it_does() {
    let mut bench = Bench::new();
    assert!(bench.hear("encoder", Outcome::down("gone")).is_empty(), "one look is not enough");
    let news: Vec<News> = (0..6).flat_map(|_| bench.hear("encoder", Outcome::down("gone"))).collect();
    let (subject, text) = ("recovery/encoder".to_owned(), "attempt 1 of 3: pulse power".to_owned());
    let pulse = News::Pulse { relay: "power".to_owned(), lasts: Duration::from_secs(1) };
    assert_eq!(news, [News::Text { subject, text }, pulse]);
    let series: Vec<_> = bench.recoveries.series().map(|series| (series.labels, series.value)).collect();
    let label = |labels: &[&str]| labels.iter().map(ToString::to_string).collect::<Vec<String>>();
    let expected = [
        (label(&["encoder", "main", "pulse"]), Value::Known(1)),
        (label(&["encoder", "main"]), Value::Known(0)),
    ];
    assert_eq!(series, expected);
}

#[test]
fn on_air_a_second_probe_of_the_same_stream_has_to_say_so() {
    let mut bench = Bench::new();
    bench.site.see(true, false, None, bench.now);
    assert!(!bench.acts());
    bench.hear("port", Outcome::unknown("no network here"));
    assert!(!bench.acts(), "who cannot tell says nothing");
    bench.hear("player", Outcome::down("one poll"));
    bench.hear("port", Outcome::down("refused"));
    assert!(bench.acts());
}

#[test]
fn on_air_an_expired_certificate_is_no_word_on_the_output() {
    let tls = "[[probe.tls]]\nname = \"certificate\"\nstream = \"main\"\ntarget = \"cdn.example:443\"\n";
    let mut bench = Bench::of(&format!("{RELAYED}{tls}"));
    bench.site.see(true, false, None, bench.now);
    bench.hear("certificate", Outcome::down("it has expired"));
    assert!(!bench.acts());
    bench.hear("port", Outcome::down("refused"));
    assert!(bench.acts());
}

#[test]
fn a_second_word_that_is_old_is_none() {
    let mut bench = Bench::new();
    bench.site.see(true, false, None, bench.now);
    bench.hear("port", Outcome::down("refused"));
    bench.now += Duration::from_mins(5);
    assert!(!bench.acts());
}

#[test]
fn nobody_touches_a_stream_that_somebody_sees_work() {
    let mut bench = Bench::new();
    bench.hear("player", stream(Outcome::up(), 1));
    assert!(!bench.acts(), "the process is gone by mistake: the stream is there");
    bench.hear("player", stream(Outcome::down("one poll failed"), 1));
    assert!(!bench.acts(), "it is not down on one poll");
    bench.hear("player", stream(Outcome::down("two polls failed"), 0));
    assert!(bench.acts());
}

#[test]
fn a_port_that_answers_does_not_say_that_the_output_works() {
    let mut bench = Bench::new();
    bench.hear("port", Outcome::up());
    assert!(bench.acts());
}

#[test]
fn maintenance_holds_it_back() {
    let mut bench = Bench::new();
    bench.site.see(false, true, None, bench.now);
    assert!(!bench.acts());
    bench.site.see(false, false, None, bench.now);
    assert!(bench.acts());
}

/// A stream that is looked at where it leaves and where it arrives; its encoder has a power switch.
const WATCHED: &str = "
[[relay]]
name = \"power\"
pin = 6
on = \"never\"
most = \"10s\"
[[probe.stream]]
name = \"programme\"
stream = \"main\"
url = \"rtmp://192.0.2.40/live/main\"
on_failure = { pulse = \"power\", for = \"1s\", when = [\"down\", \"frozen\", \"silent\"] }
[[probe.stream]]
name = \"viewer\"
stream = \"main\"
url = \"https://cdn.example/live/main.m3u8\"
[[probe.ffmpeg]]
name = \"encoder\"
stream = \"main\"
file = \"/run/encoder/progress\"
";

/// A stream that comes in, with these faults or without.
fn picture(frozen: i64, black: i64, silent: i64) -> Outcome {
    let mut outcome = stream(Outcome::up(), 1);
    for (metric, number) in
        [(&metric::STREAM_FROZEN, frozen), (&metric::STREAM_BLACK, black), (&metric::STREAM_SILENT, silent)]
    {
        outcome.put_value(metric, &[], Scale::ONE, Value::Known(number));
    }
    outcome
}

/// What ffmpeg itself says, of its pictures alone.
fn encoder(is_frozen: bool) -> Outcome {
    let mut outcome = if is_frozen { Outcome::down("it stands still") } else { Outcome::up() };
    outcome.put_value(&metric::STREAM_FROZEN, &[], Scale::ONE, Value::Known(is_frozen.into()));
    outcome
}

impl Bench {
    /// The programme is found so three times, a minute apart; what is told of it.
    fn finds(&mut self, outcome: &Outcome) -> Vec<String> {
        let mut news = Vec::new();
        for _ in 0..3 {
            self.now += Duration::from_secs(59);
            news.extend(self.hear("programme", outcome.clone()));
        }
        let texts = news.into_iter().filter_map(|one| match one {
            News::Text { text, .. } => Some(text),
            _ => None,
        });
        texts.collect()
    }
}

#[test]
fn a_frozen_picture_is_acted_upon_where_the_file_says_so() {
    let mut bench = Bench::of(WATCHED);
    assert_eq!(bench.finds(&picture(0, 1, 0)), [""; 0], "black is not among those");
    assert_eq!(bench.finds(&picture(1, 0, 0)), ["attempt 1 of 3 (frozen): pulse power"]);
    let mut bench = Bench::of(&WATCHED.replace("when", "attempts = 2, when").replace("\"frozen\", ", ""));
    assert_eq!(bench.finds(&picture(1, 0, 0)), [""; 0]);
    let mut bench = Bench::of(&WATCHED.replace(", when = [\"down\", \"frozen\", \"silent\"]", ""));
    assert_eq!(bench.finds(&picture(1, 1, 1)), [""; 0], "only what is down, unless the file says more");
    assert_eq!(bench.finds(&stream(Outcome::down("gone"), 0)), ["attempt 1 of 3: pulse power"]);
}

#[test]
fn on_air_a_frozen_picture_takes_a_second_one_who_sees_it_so() {
    let mut bench = Bench::of(WATCHED);
    bench.site.see(true, false, None, bench.now);
    assert_eq!(bench.finds(&picture(1, 0, 0)), [""; 0], "one word is not enough");
    bench.hear("encoder", encoder(false));
    assert_eq!(bench.finds(&picture(1, 0, 0)), [""; 0]);
    bench.now += Duration::from_secs(59);
    bench.hear("viewer", picture(0, 1, 0));
    assert_eq!(bench.pulses, 0, "black is another word");
    bench.hear("viewer", picture(1, 0, 0));
    assert_eq!(bench.pulses, 1);
}

#[test]
fn on_air_an_encoder_that_stands_still_confirms_what_the_viewers_see() {
    let mut bench = Bench::of(WATCHED);
    bench.site.see(true, false, None, bench.now);
    bench.finds(&picture(1, 0, 0));
    bench.hear("encoder", encoder(true));
    assert_eq!(bench.pulses, 1);
}

#[test]
fn a_picture_that_somebody_sees_move_is_left_alone_and_pictures_that_an_encoder_counts_are_none_seen() {
    let mut bench = Bench::of(WATCHED);
    bench.hear("viewer", picture(0, 0, 0));
    bench.now += Duration::from_secs(1);
    for _ in 0..10 {
        bench.hear("programme", picture(1, 0, 0));
    }
    assert_eq!(bench.pulses, 0, "it moves where it arrives");
    let mut bench = Bench::of(WATCHED);
    for _ in 0..10 {
        bench.hear("encoder", encoder(false));
        bench.hear("programme", picture(1, 0, 0));
    }
    assert_eq!(bench.pulses, 1, "an encoder sends a still picture as well as any");
}

#[test]
fn a_station_is_tried_more_often() {
    let text = "[[command]]\nname = \"x\"\nrun = [\"/bin/true\"]\n[[probe.icecast]]\nname = \"radio\"\nurl = \"http://192.0.2.20:8000\"\non_failure = { command = \"x\" }\n";
    let plan = configured(text).probes[0].recovery.clone().expect("a plan");
    assert_eq!((plan.limits.attempts, plan.limits.cooldown), (20, Duration::from_secs(30)));
}

/// Runs the probes for as long as it takes until `enough`; what they told meanwhile.
fn until(probes: &mut Probes, mut enough: impl FnMut(&Probes, &[News]) -> bool) -> Vec<News> {
    let mut news = Vec::new();
    let end = Clock::now() + Duration::from_secs(30);
    loop {
        news.extend(probes.step(Clock::now()));
        if enough(probes, &news) {
            return news;
        }
        assert!(Clock::now() < end, "it does not come: {news:?}");
        let deadline = probes.deadline().unwrap_or(end).min(Clock::now() + Duration::from_millis(100));
        let time = async {
            Timer::at(deadline).await;
        };
        smol::block_on(futures_lite::future::or(probes.moved(), time));
    }
}

fn value(probes: &Probes, metric: &'static Metric) -> Value {
    let series = probes.series(Clock::now());
    series.iter().find(|one| std::ptr::eq(one.metric, metric)).map_or(Value::Absent, |one| one.value)
}

fn kill(pid_file: &Path) {
    let pid = fs::read_to_string(pid_file).expect("a pid file");
    Command::new("kill").args(["-9", pid.trim()]).status().expect("kill is there");
}

#[test]
fn a_process_that_is_killed_is_brought_back_by_a_command() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (file, script) = (dir.path().join("encoder.pid"), dir.path().join("start"));
    let pid_file = file.display();
    // In a session of its own, so that it outlives the command, which waits until it is there.
    let text = format!(
        "rm -f {pid_file}\nsetsid sh -c 'echo $$ > {pid_file}; exec sleep 60' > /dev/null 2>&1 &\n\
         while [ ! -s {pid_file} ]; do sleep 0.05; done\n"
    );
    fs::write(&script, text).expect("written");
    let start = || Command::new("sh").arg(&script).status().expect("sh is there");
    assert!(start().success());
    let text = format!(
        "[[command]]\nname = \"start\"\nrun = [\"/bin/sh\", \"{}\"]\n[[probe.process]]\nname = \"encoder\"\npid_file = \"{pid_file}\"\n\
         on_failure = {{ command = \"start\", after = \"0s\", cooldown = \"5s\" }}\n",
        script.display()
    );
    let mut probes = Probes::new(configured(&text), Context::default(), Clock::now());
    until(&mut probes, |probes, _| value(probes, &metric::PROCESS_UP) == Value::Known(1));
    assert_eq!(value(&probes, &metric::RECOVERY_ATTEMPTS), Value::Known(0));
    kill(&file);
    // The process is there before its command has ended, which waits for it.
    let is_over =
        |news: &[News]| news.iter().any(|one| matches!(one, News::Text { text, .. } if text == "done"));
    let news = until(&mut probes, |probes, news| {
        value(probes, &metric::PROCESS_RESTARTS) == Value::Known(1) && is_over(news)
    });
    kill(&file);
    let texts: Vec<&str> = news
        .iter()
        .filter_map(|one| match one {
            News::Text { subject, text } if subject == "recovery/encoder" => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["attempt 1 of 3: command start", "done"]);
    assert_eq!(value(&probes, &metric::RECOVERY_ATTEMPTS), Value::Known(1));
}
