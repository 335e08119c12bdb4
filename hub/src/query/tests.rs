//! Answers do not depend on where the samples are: the same records in a real history and in memory, asked at random.

use super::*;
use crate::inbound::{Inbound, Via};
use crate::ingest::Ingest;
use crate::rack::{Rack, Sent, series};
use proptest::prelude::*;
use rackside_history::{Settings, Step, Store};
use rackside_promql::{Answer, Limits, Query, Reduce, Test};
use rackside_proto::{Prefix, Sending, Time, Value, What};
use rackside_series::SHORTEST;
use std::cell::Cell;
use std::time::Duration;

/// 2026-11-20T00:00:00Z.
pub(super) const DAY0: u64 = 1_795_132_800_000;
const TICK: u64 = 10_000;

/// A hub's inside: ingest, its feed, and a history on disk.
pub(super) struct Desk {
    ingest: Ingest,
    pub(super) store: Store,
    pub(super) now: Now,
    pub(super) queries: Fleetwide,
    // Held as long as the desk.
    directory: tempfile::TempDir,
}

fn at(ms: u64) -> Now {
    Now { utc_ms: ms, ..clock::now() }
}

impl Desk {
    pub(super) fn new() -> Self {
        Self::in_directory(tempfile::tempdir().expect("a temporary directory"), at(DAY0))
    }

    fn in_directory(directory: tempfile::TempDir, now: Now) -> Self {
        let store = Store::open(directory.path(), Settings::new(now.utc_ms)).expect("it opens");
        let mut ingest = Ingest::new(Prefix::default(), store.id(), Arc::new(store.reader()), now);
        let recent = Arc::new(Recent::default());
        let derived = Arc::new(Derived::new(None, SHORTEST, 0).expect("in memory"));
        ingest.feed(Feed::new(Arc::clone(&recent), Arc::clone(&derived)));
        let kept = Kept { raw: 30 * DAY, minute: 180 * DAY };
        let queries = Fleetwide::new(recent, derived, Some((store.reader(), kept)));
        Self { ingest, store, now, queries, directory }
    }

    pub(super) fn take(&mut self, (topic, body): Sent) {
        let message = Inbound { topic, payload: body.into(), retained: false, via: Via::Broker };
        self.ingest.take(&message, self.now);
        self.ingest.hurry(self.now);
        if let Some(batch) = self.ingest.take_batch(self.now) {
            self.store.commit(&batch, self.now.utc_ms).expect("it is written");
            self.ingest.committed(self.now);
        }
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now = self.now.plus(Duration::from_millis(ms));
    }

    /// The same, of which memory has nothing.
    pub(super) fn without_memory(&self) -> Fleetwide {
        let recent = Arc::new(Recent::default());
        for slot in 0..self.queries.recent.appliances() {
            let (site, name) = self.queries.recent.name(slot).expect("it is there");
            recent.open(slot, &site, &name, i64::MAX);
        }
        Fleetwide::new(recent, Arc::clone(&self.queries.derived), self.queries.history.clone())
    }
}

fn all(queries: &Fleetwide, from: i64, to: i64, wanted: Wanted) -> BTreeMap<Labels, Vec<Sample>> {
    let name = Matcher { name: METRIC_NAME.into(), test: Test::NotEqual("rackside_appliance_up".into()) };
    let matchers = [name];
    let (step, window, reduce) = (None, None, Reduce::Last);
    let select = Select { matchers: &matchers, from, to, wanted, step, window, reduce };
    let mut found = BTreeMap::new();
    let mut take = |labels: &Labels, samples: &[Sample]| {
        let within = samples.iter().filter(|sample| (from..=to).contains(&sample.at)).copied();
        let mut within: Vec<Sample> = within.collect();
        if wanted == Wanted::Newest {
            within = within.split_off(within.len().saturating_sub(1));
        }
        if !within.is_empty() {
            assert!(found.insert(labels.clone(), within).is_none(), "{labels} twice");
        }
        ControlFlow::Continue(())
    };
    queries.select(&select, &mut take).expect("it is read");
    found
}

/// What happens at one tick.
#[derive(Debug, Clone)]
enum Act {
    Reading(Vec<Option<i64>>),
    Event(u32, i64),
    /// Nothing comes in; it comes later, from the backlog.
    Held(Vec<Option<i64>>),
    Backlog,
    Catalog(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let numbers =
        || prop::collection::vec(prop_oneof![4 => (0..2000_i64).prop_map(Some), 1 => Just(None)], 4);
    prop_oneof![
        12 => numbers().prop_map(Act::Reading),
        2 => (0..3_u32, 0..2_i64).prop_map(|(series, value)| Act::Event(series, value)),
        3 => numbers().prop_map(Act::Held),
        1 => Just(Act::Backlog),
        1 => (3..5_usize).prop_map(Act::Catalog),
    ]
}

fn play(desk: &mut Desk, rack: &mut Rack, acts: &[Act]) {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let list =
        |count: usize| NAMES[..count].iter().map(|name| series(name, &[("x", "1")])).collect::<Vec<_>>();
    desk.take(rack.presence(true));
    desk.take(rack.catalog(&list(4)));
    let (mut count, mut held) = (4, Vec::new());
    for act in acts {
        desk.pass(TICK);
        rack.time = Time::Utc { ms: desk.now.utc_ms };
        let values = |numbers: &[Option<i64>]| {
            let value = |number: &Option<i64>| number.map_or(Value::Absent, Value::Known);
            numbers[..count].iter().map(value).collect::<Vec<_>>()
        };
        match act {
            Act::Reading(numbers) => {
                let sent = rack.reading(&values(numbers));
                desk.take(sent);
            }
            Act::Held(numbers) => {
                rack.sending = Sending::Again;
                held.push(rack.reading(&values(numbers)));
                rack.sending = Sending::First;
            }
            Act::Backlog => held.drain(..).for_each(|sent| desk.take(sent)),
            Act::Event(series, number) => {
                desk.pass(37);
                rack.time = Time::Utc { ms: desk.now.utc_ms };
                let value = Value::Known(*number);
                let sent = rack.event(What::Sample { catalog: rack.number, series: *series, value });
                desk.take(sent);
            }
            Act::Catalog(of) if *of != count => {
                count = *of;
                desk.take(rack.catalog(&list(count)));
            }
            Act::Catalog(_) => {}
        }
    }
    held.drain(..).for_each(|sent| desk.take(sent));
}

fn same(desk: &Desk, from: i64, to: i64) {
    let alone = desk.without_memory();
    for wanted in [Wanted::All, Wanted::Newest] {
        let (with, without) = (all(&desk.queries, from, to, wanted), all(&alone, from, to, wanted));
        assert_eq!(with, without, "{wanted:?} from {from} to {to}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn memory_and_history_give_the_answers_of_history_alone(
        acts in prop::collection::vec(act(), 1..140), windows in prop::collection::vec((0..1500_i64, 0..1500_i64), 4)
    ) {
        let mut desk = Desk::new();
        let mut rack = Rack::new("arena-north", "rack-1");
        play(&mut desk, &mut rack, &acts);
        let end = desk.now.utc_ms as i64;
        for (back, long) in windows {
            let from = end - back * 1000;
            same(&desk, from, from + long * 1000);
        }
        same(&desk, DAY0 as i64, end);
    }
}

fn sum(queries: &Fleetwide, text: &str, now: Now) -> (Option<f64>, Vec<String>) {
    let query = Query::parse(text).expect("PromQL");
    let outcome = query.instant(queries, now.utc_ms as i64, &Limits::default()).expect("it is answered");
    let Answer::Vector(points) = outcome.answer else { panic!("a vector") };
    (points.first().map(|point| point.sample.value), outcome.warnings)
}

#[test]
fn after_a_restart_the_last_minutes_are_read_back() {
    let mut desk = Desk::new();
    let mut rack = Rack::new("arena-north", "rack-1");
    let reading = |n: i64| Act::Reading(vec![Some(n * 1000); 4]);
    play(&mut desk, &mut rack, &(0..30).map(reading).collect::<Vec<_>>());
    let Desk { store, now, directory, .. } = desk;
    drop(store);
    let mut desk = Desk::in_directory(directory, now);
    let known = desk.store.known().expect("it is read");
    let remembered = [Remembered { slot: 0, name: known[0].name.clone(), last_ms: known[0].last_ms }];
    desk.ingest.know(known, now);
    let question = "sum_over_time(a[5m])";
    let expected = (0..30).sum::<i64>() as f64;
    assert_eq!(sum(&desk.queries, question, now).0, Some(expected), "from the history");
    desk.pass(TICK);
    rack.time = Time::Utc { ms: desk.now.utc_ms };
    desk.take(rack.reading(&[Value::Known(30_000); 4]));
    let expected = (1..31).sum::<i64>() as f64;
    assert_eq!(sum(&desk.queries, question, desk.now).0, Some(expected), "from both");
    desk.queries.warm(&remembered, desk.now, &|| false);
    assert!(desk.queries.recent.floor(0, &[]) <= desk.now.utc_ms as i64 - SHORTEST);
    let memory = Fleetwide::new(Arc::clone(&desk.queries.recent), Arc::clone(&desk.queries.derived), None);
    assert_eq!(sum(&memory, question, desk.now).0, Some(expected), "from memory alone");
    same(&desk, DAY0 as i64, desk.now.utc_ms as i64);
}

#[test]
fn what_cannot_be_read_after_a_start_is_tried_again_and_keeps_nobody_waiting() {
    let mut desk = Desk::new();
    let mut rack = Rack::new("arena-north", "rack-1");
    play(&mut desk, &mut rack, &[Act::Reading(vec![Some(1000); 4])]);
    let Desk { store, now, directory, .. } = desk;
    drop(store);
    let mut desk = Desk::in_directory(directory, now);
    let known = desk.store.known().expect("it is read");
    let remembered = [Remembered { slot: 0, name: known[0].name.clone(), last_ms: known[0].last_ms }];
    desk.ingest.know(known, now);
    assert!(!desk.queries.is_warm());
    let (database, away) = (desk.directory.path().join("history.db"), desk.directory.path().join("away.db"));
    std::fs::rename(&database, &away).expect("it is there");
    let is_in_memory = || desk.queries.recent.floor(0, &[]) <= now.utc_ms as i64 - SHORTEST;
    std::thread::scope(|scope| {
        scope.spawn(|| desk.queries.warm(&remembered, now, &|| false));
        let patience = clock::now().plus(Duration::from_mins(1));
        while !desk.queries.is_warm() {
            assert!(clock::now().instant < patience.instant, "it keeps others waiting");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!is_in_memory());
        std::fs::rename(&away, &database).expect("it is there");
    });
    assert!(is_in_memory());
}

#[test]
fn what_rules_recorded_two_hours_ago_is_in_memory_after_a_restart() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (before, now) = (DAY0 as i64, at(DAY0 + 2 * 3_600_000));
    let derived = super::derived(directory.path(), at(DAY0));
    for name in ["site:loss:rate5m", "site:loss:rate1h"] {
        derived.push(&Labels::new([(METRIC_NAME, name), ("site", "hall")]), before, 0.5);
    }
    derived.flush(before, Some(30 * DAY)).expect("it is written");
    drop(derived);
    let derived = Arc::new(super::derived(directory.path(), now));
    assert_eq!(derived.size().0, 0);
    let queries = Fleetwide::new(Arc::default(), Arc::clone(&derived), None);
    let reads = ["last_over_time(site:loss:rate5m[2h])", "site:loss:rate1h"]
        .map(|text| Query::parse(text).expect("right"));
    queries.serve(reads.iter(), now);
    assert_eq!(derived.size().0, 1, "of what a rule looks so far back at");
}

#[test]
fn an_appliance_that_is_gone_ends_its_series_and_its_backlog_is_taken_later() {
    let mut desk = Desk::new();
    let mut rack = Rack::new("arena-north", "rack-1");
    play(&mut desk, &mut rack, &[Act::Reading(vec![Some(1000); 4])]);
    assert_eq!(sum(&desk.queries, "a", desk.now).0, Some(1.0));
    assert_eq!(sum(&desk.queries, "rackside_appliance_up", desk.now).0, Some(1.0));
    desk.pass(1);
    desk.take(rack.presence(false));
    let touched = desk.ingest.take_touched();
    let last = touched.last().map(|touched| touched.labels.to_string());
    assert_eq!(last.as_deref(), Some(r#"rackside_appliance_up{appliance="rack-1", site="arena-north"}"#));
    assert_eq!(sum(&desk.queries, "a", desk.now).0, None);
    assert_eq!(sum(&desk.queries, "rackside_appliance_up", desk.now).0, Some(0.0));
    desk.pass(TICK);
    rack.time = Time::Utc { ms: desk.now.utc_ms };
    rack.sending = Sending::Again;
    desk.take(rack.reading(&[Value::Known(7000); 4]));
    assert_eq!(sum(&desk.queries, "a", desk.now).0, Some(7.0), "as it was then");
    assert!(desk.ingest.take_touched().is_empty(), "a backlog wakes nobody");
}

#[test]
fn an_event_is_a_sample_of_its_own_millisecond_and_tells_what_it_touched() {
    let mut desk = Desk::new();
    let mut rack = Rack::new("arena-north", "rack-1");
    play(&mut desk, &mut rack, &[Act::Reading(vec![Some(0); 4]), Act::Event(1, 1000)]);
    assert_eq!(sum(&desk.queries, "b", desk.now).0, Some(1.0));
    let touched = desk.ingest.take_touched();
    assert_eq!(
        touched.last().map(|one| (one.labels.value(METRIC_NAME), one.at)),
        Some(("b", desk.now.utc_ms as i64))
    );
}

#[test]
fn old_days_come_from_rollups_and_the_answer_says_so() {
    let mut desk = Desk::new();
    let mut rack = Rack::new("arena-north", "rack-1");
    let reading = |n: i64| Act::Reading(vec![Some(n * 1000); 4]);
    play(&mut desk, &mut rack, &(0..60).map(reading).collect::<Vec<_>>());
    let then = desk.now;
    let before = sum(&desk.queries, "max_over_time(a[10m])", then);
    assert_eq!(before, (Some(59.0), Vec::new()));
    // Nothing is rolled up while nobody knows that the hub's clock is right.
    desk.now = at(DAY0 + 32 * DAY as u64);
    rack.time = Time::Utc { ms: desk.now.utc_ms };
    desk.take(rack.reading(&[Value::Known(0); 4]));
    desk.store.vouch();
    let running = Duration::from_hours(24);
    while desk.store.maintain(desk.now.utc_ms, running).expect("it works") == Step::More {}
    let kept = Kept { raw: 30 * DAY, minute: 180 * DAY };
    let ages = kept.ages(desk.now.utc_ms as i64);
    let agent = rack.name.clone();
    let reader = desk.store.reader();
    let (id, key) = reader.series(&agent).expect("it is read")[0].clone();
    let left = reader.samples(&agent, id, 0..then.utc_ms + 1).expect("it is read");
    assert!(left.times.is_empty(), "rolled up: {}", left.times.len());
    let wish = |reduce| Wish { reduce, step: None, window: Some(600_000) };
    for (reduce, expected) in [(Reduce::Max, 59.0), (Reduce::Last, 59.0), (Reduce::Counter, 59.0)] {
        let past =
            Past { reader: &reader, agent: &agent, ages, wish: wish(reduce), room: 60, stopped: &|| None };
        let samples = past.read(&[(id, &key)], DAY0 as i64, then.utc_ms as i64 + 60_000).expect("it is read");
        assert_eq!(samples[0].last().map(|sample| sample.value), Some(expected), "{reduce:?}");
    }
    let wish_count = wish(Reduce::Count);
    let past = Past { reader: &reader, agent: &agent, ages, wish: wish_count, room: 60, stopped: &|| None };
    let samples = past.read(&[(id, &key)], DAY0 as i64, then.utc_ms as i64 + 60_000).expect("it is read");
    assert_eq!(samples[0].len(), 60, "as many as there were");
    let told = Past { room: 59, ..past }.read(&[(id, &key)], DAY0 as i64, then.utc_ms as i64 + 60_000);
    assert!(
        matches!(&told, Err(SourceError::TooMuch(text)) if text.contains("more than 59 samples")),
        "{told:?}"
    );
    let asked = Cell::new(0);
    let stopped = || {
        asked.set(asked.get() + 1);
        (asked.get() > 1000).then_some(Stop::Timeout)
    };
    let hours = Wish { step: Some(3_600_000), ..wish(Reduce::Max) };
    let whole = Past { wish: Wish { window: None, ..hours }, stopped: &stopped, ..past };
    let samples = whole.read(&[(id, &key)], i64::MIN / 4, i64::MAX / 4).expect("it is not stopped");
    assert!(!samples[0].is_empty() && asked.get() < 100, "{} pieces since for ever", asked.get());
    let told = Past { stopped: &|| Some(Stop::Timeout), ..past }.read(&[(id, &key)], 0, i64::MAX);
    assert_eq!(told.expect_err("it is over"), SourceError::Stopped(Stop::Timeout));
    // All of it is older than what is kept sample by sample.
    let kept = Kept { raw: -40 * DAY, ..kept };
    let queries = Fleetwide {
        history: desk.queries.history.clone().map(|(reader, _)| (reader, kept)),
        ..desk.without_memory()
    };
    let asked = |text: &str, cells: u64| {
        let query = Query::parse(text).expect("PromQL");
        let limits = Limits { cells, ..Limits::default() };
        query
            .instant(&queries, then.utc_ms as i64 + 59_999, &limits)
            .map(|outcome| format!("{:?}", outcome.answer))
    };
    assert!(asked("sum_over_time(a[11m])", 200).expect("a sum a minute").contains("1770"));
    assert!(asked("count_over_time(a[11m])", 1000).expect("60 samples").contains("60"));
    let error = asked("count_over_time(a[11m])", 200).expect_err("no room for 60").to_string();
    assert!(error.contains("more than 50 samples in this time"), "{error}");
    let said = warning(wish(Reduce::Max), ages, then.utc_ms as i64);
    assert_eq!(said.as_deref(), Some("values before 2026-11-22T00:00Z come from rollups by the minute"));
}

/// Is stopped after so many series.
struct Few {
    most: usize,
    names: Vec<String>,
}

impl Take for Few {
    fn series(&mut self, labels: &Labels, _: &[Sample]) -> ControlFlow<()> {
        self.names.push(labels.value(METRIC_NAME).to_owned());
        ControlFlow::Continue(())
    }

    fn stopped(&self) -> Option<Stop> {
        (self.names.len() >= self.most).then_some(Stop::Timeout)
    }

    fn warn(&mut self, _: &str) {}
}

#[test]
fn series_are_told_of_memory_and_of_what_is_older() {
    let mut desk = Desk::new();
    let mut rack = Rack::new("arena-north", "rack-1");
    play(&mut desk, &mut rack, &[Act::Reading(vec![Some(0); 4])]);
    let now = desk.now.utc_ms as i64;
    let names = |queries: &Fleetwide, matchers: &[Matcher], most: usize| {
        let mut few = Few { most, names: Vec::new() };
        let told = queries.names(matchers, (now - 60_000, now), &mut few);
        few.names.sort();
        told.map(|()| few.names.join(" "))
    };
    let all = Ok("a b c d rackside_appliance_up".to_owned());
    assert_eq!(names(&desk.queries, &[], 9), all);
    let matcher = [Matcher { name: "x".into(), test: Test::Equal("1".into()) }];
    assert_eq!(names(&desk.without_memory(), &matcher, 9), Ok("a b c d".to_owned()));
    for (queries, most) in [(&desk.queries, 0), (&desk.queries, 5), (&desk.without_memory(), 4)] {
        let told = names(queries, &[], most);
        assert_eq!(told, Err(SourceError::Stopped(Stop::Timeout)), "stopped after {most}");
    }
}

#[test]
fn a_second_machine_of_the_name_has_no_say_and_the_backlog_of_an_older_run_has() {
    let mut desk = Desk::new();
    let mut old = Rack::new("arena-north", "rack-1");
    play(&mut desk, &mut old, &[Act::Reading(vec![Some(1000); 4])]);
    let mut new = old.started_again(2);
    play(&mut desk, &mut new, &[Act::Reading(vec![Some(2000); 4])]);
    assert_eq!(sum(&desk.queries, "a", desk.now).0, Some(2.0), "the newer run took its place");
    desk.pass(TICK);
    old.time = Time::Utc { ms: desk.now.utc_ms };
    desk.take(old.reading(&[Value::Known(3000); 4]));
    assert_eq!(sum(&desk.queries, "a", desk.now).0, Some(2.0), "nobody asked the other machine");
    old.time = Time::Utc { ms: desk.now.utc_ms - 1 };
    old.sending = Sending::Again;
    desk.take(old.reading(&[Value::Known(4000); 4]));
    assert_eq!(sum(&desk.queries, "a", desk.now).0, Some(4.0), "what it held back is its word of then");
}

#[test]
fn what_few_rules_look_far_back_at_is_kept_for_longer_alone() {
    let desk = Desk::new();
    let queries = ["up > 1", "rate(b[5m])", "increase(c[1h]) > rate(d[2m])", "avg_over_time(e[8d])"];
    let queries: Vec<Query> = queries.iter().map(|text| Query::parse(text).expect("PromQL")).collect();
    desk.queries.serve(queries.iter(), desk.now);
    let recent = &desk.queries.recent;
    assert_eq!(recent.window(), SHORTEST);
    assert_eq!(recent.far_window(), 3_600_000 + 60_000);
    assert_eq!(["a", "b", "c", "d", "e"].map(|name| recent.is_far(name)), [false, false, true, true, false]);
}
