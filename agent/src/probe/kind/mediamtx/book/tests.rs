//! The book of paths: publishers that come, go, and change; lists that are not whole; names that nobody may read.

use super::*;
use crate::clock::Clock;
use crate::probe::State;
use rackside_proto::metric::Metric;

fn aliases(pairs: &[(&str, &str)]) -> Aliases {
    let pairs: Vec<String> = pairs.iter().map(|(name, alias)| format!("\"{name}\":\"{alias}\"")).collect();
    serde_json::from_str(&format!("{{{}}}", pairs.join(","))).expect("aliases")
}

fn path(name: &str, is_online: bool, since: &str, inbound: u64) -> Path {
    Path {
        name: name.to_owned(),
        is_online: Some(is_online),
        since: Some(since.to_owned()),
        readers: Some(2),
        inbound: Some(inbound),
        outbound: Some(inbound * 2),
        in_error: None,
        tracks: "H264".to_owned(),
    }
}

/// A book, a clock, and what it says.
struct Desk {
    book: Book,
    aliases: Aliases,
    start: Instant,
}

impl Desk {
    fn new(pairs: &[(&str, &str)]) -> Self {
        Self { book: Book::default(), aliases: aliases(pairs), start: Clock::now() }
    }

    fn at(&mut self, seconds: u64, listed: Option<Vec<Path>>) {
        let listed = listed.map(|paths| Listed { paths, is_whole: true });
        self.book.take(listed, &self.aliases, self.start + Duration::from_secs(seconds));
    }

    fn outcome(&self, is_known: bool) -> Outcome {
        let mut outcome = Outcome::up();
        self.book.tell(&mut outcome, &self.aliases, is_known);
        outcome
    }

    fn value(&self, metric: &'static Metric, label: &str) -> Option<f64> {
        let outcome = self.outcome(true);
        let mut found =
            outcome.samples.iter().filter(|one| std::ptr::eq(one.metric, metric) && one.labels == [label]);
        let sample = found.next()?;
        assert!(found.next().is_none(), "two series of one label");
        sample.value.known().map(|number| sample.scale.value(number))
    }

    fn up(&self, label: &str) -> Option<Value> {
        let outcome = self.outcome(true);
        let found = |one: &&crate::probe::outcome::Sample| {
            std::ptr::eq(one.metric, &raw const metric::STREAM_UP) && one.labels == [label]
        };
        outcome.samples.iter().find(found).map(|sample| sample.value)
    }
}

const UP: Option<Value> = Some(Value::Known(1));
const DOWN: Option<Value> = Some(Value::Known(0));
const UNKNOWN: Option<Value> = Some(Value::Unknown);

#[test]
fn a_named_path_has_a_series_from_the_first_run_on() {
    let mut desk = Desk::new(&[("key", "main")]);
    desk.at(0, None);
    assert_eq!(desk.up("main"), UNKNOWN);
    desk.at(2, Some(Vec::new()));
    assert_eq!(desk.up("main"), DOWN);
    desk.at(4, Some(vec![path("key", true, "a", 100)]));
    assert_eq!(desk.up("main"), UP);
    desk.at(6, Some(vec![path("key", false, "", 0)]));
    assert_eq!(desk.up("main"), DOWN, "the server's word counts at once");
    desk.at(8, None);
    assert_eq!(desk.up("main"), UNKNOWN, "and its silence says nothing");
}

#[test]
fn a_list_that_is_not_whole_says_nothing_of_what_is_not_on_it() {
    let mut desk = Desk::new(&[("key", "main")]);
    desk.at(0, Some(vec![path("key", true, "a", 100)]));
    let listed = Listed { paths: vec![path("other", true, "a", 1)], is_whole: false };
    desk.book.take(Some(listed), &desk.aliases, desk.start + Duration::from_secs(2));
    assert_eq!(desk.up("main"), UNKNOWN);
    let mut odd = path("key", true, "a", 100);
    odd.is_online = None;
    desk.at(4, Some(vec![odd]));
    assert_eq!(desk.up("main"), UNKNOWN);
}

#[test]
fn a_path_that_nobody_named_is_masked_and_forgotten_an_hour_after_it_left() {
    let mut desk = Desk::new(&[]);
    let shown = mask::name("abcd-efgh-1234");
    desk.at(0, Some(vec![path("abcd-efgh-1234", true, "a", 1), path("unused", false, "", 0)]));
    assert_eq!(desk.up(&shown), UP);
    desk.at(2, Some(Vec::new()));
    assert_eq!(desk.up(&shown), DOWN);
    desk.at(3500, Some(Vec::new()));
    assert_eq!(desk.up(&shown), DOWN);
    desk.at(3700, Some(Vec::new()));
    assert_eq!(desk.up(&shown), None);
    let said = format!("{:?}", desk.outcome(true));
    assert!(!said.contains("efgh") && !said.contains("unused"), "{said}");
}

#[test]
fn bytes_are_summed_over_publishers_and_rates_are_one_publishers() {
    let mut desk = Desk::new(&[("key", "main")]);
    let sum = |desk: &Desk| desk.value(&metric::STREAM_RECEIVE, "main");
    let rate = |desk: &Desk| desk.value(&metric::STREAM_BITRATE, "main");
    desk.at(0, Some(vec![path("key", true, "a", 1_000_000)]));
    assert_eq!((sum(&desk), rate(&desk)), (Some(1e6), None));
    for second in 1..=10 {
        desk.at(second * 2, Some(vec![path("key", true, "a", 1_000_000 + second * 250_000)]));
    }
    assert_eq!((sum(&desk), rate(&desk)), (Some(3.5e6), Some(1e6)));
    assert_eq!(desk.value(&metric::STREAM_TRANSMIT_BITRATE, "main"), Some(2e6));
    // Another publisher within one schedule, with more bytes than the last one had.
    desk.at(22, Some(vec![path("key", true, "b", 4_000_000)]));
    assert_eq!((sum(&desk), rate(&desk)), (Some(7.5e6), None));
    // The server counts from 0 again and does not say why.
    desk.at(24, Some(vec![path("key", true, "b", 100_000)]));
    assert_eq!((sum(&desk), rate(&desk)), (Some(7.6e6), None));
    desk.at(26, Some(vec![path("key", false, "", 0)]));
    assert_eq!((sum(&desk), rate(&desk)), (Some(7.6e6), None));
    // Back with the same moment and the same count: nothing has flowed that was not counted.
    desk.at(28, Some(vec![path("key", true, "c", 50_000)]));
    assert_eq!(sum(&desk), Some(7.65e6));
}

#[test]
fn what_flowed_before_a_poll_that_failed_is_not_counted_twice() {
    let mut desk = Desk::new(&[("key", "main")]);
    let sums = |desk: &Desk| {
        [&metric::STREAM_RECEIVE, &metric::STREAM_FRAMES_IN_ERROR].map(|metric| desk.value(metric, "main"))
    };
    let online = |since: &str, inbound| {
        let mut path = path("key", true, since, inbound);
        path.in_error = Some(inbound / 1000);
        Some(vec![path])
    };
    desk.at(0, online("a", 1_000_000));
    desk.at(2, None);
    desk.at(4, online("a", 1_500_000));
    assert_eq!(sums(&desk), [Some(1.5e6), Some(1500.0)]);
    assert_eq!(desk.value(&metric::STREAM_BITRATE, "main"), None, "a rate needs two looks in a row");
    // Another publisher came while nobody could be asked, and has sent more than the last one.
    desk.at(6, None);
    desk.at(8, online("b", 2_000_000));
    assert_eq!(sums(&desk), [Some(3.5e6), Some(3500.0)]);
    // Nothing is counted for one look, while the publisher changes.
    let mut silent = path("key", true, "c", 0);
    (silent.inbound, silent.in_error) = (None, None);
    desk.at(10, Some(vec![silent]));
    desk.at(12, online("c", 3_000_000));
    assert_eq!(sums(&desk), [Some(6.5e6), Some(6500.0)]);
    // It left by the server's word, and the server could not be asked before it came back.
    desk.at(14, Some(vec![path("key", false, "", 0)]));
    desk.at(16, None);
    desk.at(18, online("d", 4_000_000));
    assert_eq!(sums(&desk), [Some(10.5e6), Some(10_500.0)]);
}

#[test]
fn a_rate_is_of_the_last_ten_seconds() {
    let mut desk = Desk::new(&[("key", "main")]);
    let mut inbound = 0;
    for second in 0..60 {
        inbound += if second < 40 { 1_000_000 } else { 100_000 };
        desk.at(second, Some(vec![path("key", true, "a", inbound)]));
    }
    assert_eq!(desk.value(&metric::STREAM_BITRATE, "main"), Some(8e5));
}

#[test]
fn so_many_paths_have_series_and_the_named_ones_are_among_them() {
    let mut desk = Desk::new(&[("zz", "main")]);
    let crowd = |more: Option<Path>| {
        Some((0..200).map(|at| path(&format!("key-{at}"), true, "a", 1)).chain(more).collect())
    };
    desk.at(0, crowd(None));
    assert_eq!((desk.book.paths.len(), desk.book.left_out), (MOST, 200 - MOST + 1));
    desk.at(2, crowd(Some(path("zz", true, "a", 1))));
    assert_eq!(desk.up("main"), UP);
    let all = desk.outcome(true);
    let labels: std::collections::BTreeSet<_> = all
        .samples
        .iter()
        .filter(|one| std::ptr::eq(one.metric, &raw const metric::STREAM_UP))
        .map(|one| one.labels.clone())
        .collect();
    assert_eq!(labels.len(), MOST, "no two have one label");
    assert_eq!(desk.value(&metric::MEDIAMTX_PATHS, "online"), Some(201.0));
}

#[test]
fn an_alias_that_is_another_paths_mask_does_not_clash() {
    let masked = mask::name("abcd-efgh-1234");
    let mut desk = Desk::new(&[("key", &masked)]);
    desk.at(0, Some(vec![path("abcd-efgh-1234", true, "a", 1), path("key", false, "", 0)]));
    assert_eq!(desk.up(&masked), DOWN);
    assert_eq!(desk.up(&format!("+{masked}")), UP);
}

#[test]
fn when_the_server_cannot_be_asked_only_the_states_are_told_and_they_are_unknown() {
    let mut desk = Desk::new(&[("key", "main")]);
    desk.at(0, Some(vec![path("key", true, "a", 1)]));
    desk.at(2, None);
    let outcome = desk.outcome(false);
    assert_eq!(outcome.state, State::Up, "the state is the caller's");
    assert_eq!(outcome.samples.len(), 1);
    assert_eq!(
        (outcome.samples[0].metric.name, outcome.samples[0].value),
        ("rackside_stream_up", Value::Unknown)
    );
}

#[test]
fn what_is_expected_is_missing_by_the_servers_word_only() {
    let mut desk = Desk::new(&[("key", "main"), ("key-2", "backup")]);
    let expected = ["main".to_owned(), "backup".to_owned()];
    desk.at(0, None);
    let [down, unknown] = [DOWN, UNKNOWN].map(|value| value.expect("a value"));
    assert_eq!(desk.book.among(&expected, down), [""; 0]);
    assert_eq!(desk.book.among(&expected, unknown), ["main", "backup"]);
    desk.at(2, Some(vec![path("key", true, "a", 1)]));
    assert_eq!(desk.book.among(&expected, down), ["backup"]);
    assert_eq!(desk.book.among(&expected, unknown), [""; 0]);
    let outcome = desk.outcome(true);
    assert_eq!(outcome.texts, [("tracks", "main: H264".to_owned())]);
}
