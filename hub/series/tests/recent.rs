//! What memory answers is what a list of everything that was fed would answer, whatever comes in whichever order.

use proptest::prelude::*;
use rackside_promql::{Labels, METRIC_NAME, Matcher, Sample, Test, is_stale};
use rackside_proto::{Scale, Value};
use rackside_series::{Asked, LONGEST, Layout, Listed, Recent};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What happens.
#[derive(Debug, Clone)]
enum Act {
    /// A reading by one of the catalogs, at this second.
    Reading(usize, i64, Vec<Option<i64>>),
    Event(usize, i64, i64),
    Gone(i64),
}

fn act() -> impl Strategy<Value = Act> {
    let at = || prop_oneof![3 => 0..400_i64, 1 => 0..60_i64];
    let number = prop_oneof![
        3 => Just(Some(7)), 3 => (0..200_i64).prop_map(Some), 1 => (-(1_i64 << 50)..1 << 50).prop_map(Some), 1 => Just(None)
    ];
    prop_oneof![
        20 => (0..3_usize, at(), prop::collection::vec(number, 5)).prop_map(|(of, at, values)| Act::Reading(of, at, values)),
        3 => (0..3_usize, at(), 0..9_i64).prop_map(|(series, at, number)| Act::Event(series, at, number)),
        1 => at().prop_map(Act::Gone),
    ]
}

/// Every sample that was fed, by series and time; and whether it ends all series, which counts only where nothing else is.
#[derive(Default)]
struct Model {
    samples: BTreeMap<(usize, i64), f64>,
    ends: Vec<i64>,
    newest: Option<(i64, usize)>,
    said: i64,
}

/// Which series each catalog lists, in its order; the last one has one twice.
const CATALOGS: [&[usize]; 3] = [&[0, 1, 2, 3], &[3, 1, 4], &[0, 1, 1, 2, 3]];

impl Model {
    fn feed(&mut self, act: &Act) {
        match act {
            Act::Reading(catalog, at, values) => {
                let at = at * 1000;
                if let Some((newest, before)) = self.newest
                    && at >= newest
                    && before != *catalog
                {
                    for series in
                        CATALOGS[before].iter().filter(|series| !CATALOGS[*catalog].contains(series))
                    {
                        self.samples.insert((*series, at), rackside_promql::STALE);
                    }
                }
                if self.newest.is_none_or(|(newest, _)| at >= newest) {
                    self.newest = Some((at, *catalog));
                }
                let mut seen = Vec::new();
                for (series, number) in CATALOGS[*catalog].iter().zip(values) {
                    if !seen.contains(series) {
                        seen.push(*series);
                        let value = number.map_or(rackside_promql::STALE, |number| number as f64 / 10.0);
                        self.samples.insert((*series, at), value);
                    }
                }
                self.said = self.said.max(at);
            }
            Act::Event(series, at, number) => {
                self.samples.insert((*series, at * 1000 + 1), *number as f64 / 10.0);
                self.said = self.said.max(at * 1000 + 1);
            }
            Act::Gone(at) => {
                let after = self.samples.keys().map(|key| key.1).max().map_or(i64::MIN, |last| last + 1);
                self.ends.push((at * 1000 + 2).max(after));
            }
        }
    }

    fn answer(&self, series: usize, from: i64, to: i64) -> Vec<Sample> {
        let mut all: BTreeMap<i64, f64> = BTreeMap::new();
        let ends = self.ends.iter().filter(|at| (from..=to).contains(at));
        all.extend(ends.map(|at| (*at, rackside_promql::STALE)));
        all.extend(self.samples.range((series, from)..=(series, to)).map(|((_, at), value)| (*at, *value)));
        all.into_iter().map(|(at, value)| Sample::new(at, value)).collect()
    }
}

fn layout(recent: &Recent, catalog: &[usize]) -> Arc<Layout> {
    let mut seen = Vec::new();
    let listed = catalog.iter().map(|&series| {
        let served = !seen.contains(&series);
        seen.push(series);
        Listed { name: NAMES[series], labels: &[], scale: Scale::per(10), served }
    });
    recent.layout(0, listed).expect("the slot is open")
}

fn ask(recent: &Recent, series: usize, from: i64, to: i64, newest: bool) -> Vec<Sample> {
    let matchers = [Matcher { name: METRIC_NAME.into(), test: Test::Equal(NAMES[series].into()) }];
    let mut answer = Vec::new();
    recent.select(&Asked { matchers: &matchers, from, to, newest, slot: None }, &mut |found| {
        for (labels, range) in found.series {
            assert_eq!(labels.value("site"), "hall");
            answer.extend_from_slice(&found.samples[range.clone()]);
        }
        ControlFlow::Continue(())
    });
    answer
}

fn feed(recent: &Recent, layouts: &[Arc<Layout>], act: &Act, now: i64) {
    match act {
        Act::Reading(catalog, at, values) => {
            let values: Vec<Value> =
                values.iter().map(|number| number.map_or(Value::Unknown, Value::Known)).collect();
            recent.reading(0, &layouts[*catalog], at * 1000, &values[..CATALOGS[*catalog].len()], now);
        }
        Act::Event(series, at, number) => {
            let event = (*series as u32, at * 1000 + 1, Value::Known(*number));
            let labels = recent.event(0, &layouts[0], event, now).expect("it is kept");
            assert_eq!(labels.value(METRIC_NAME), NAMES[*series]);
        }
        Act::Gone(at) => recent.gone(0, at * 1000 + 2),
    }
}

proptest! {
    #[test]
    fn memory_answers_as_a_list_of_everything_would(
        acts in prop::collection::vec(act(), 0..250), from in -5..400_i64, long in 0..400_i64
    ) {
        let recent = Recent::default();
        recent.open(0, "hall", "rack-1", i64::MIN);
        let layouts = CATALOGS.map(|catalog| layout(&recent, catalog));
        let mut model = Model::default();
        for act in &acts {
            feed(&recent, &layouts, act, 0);
            model.feed(act);
        }
        let (from, to) = (from * 1000, (from + long) * 1000);
        for (series, name) in NAMES.iter().enumerate() {
            let expected = model.answer(series, from, to);
            prop_assert_eq!(ask(&recent, series, from, to, false), expected.clone(), "{}", name);
            prop_assert_eq!(ask(&recent, series, from, to, true), expected.last().copied().into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn from_its_floor_on_memory_is_complete_while_old_chunks_are_dropped(
        acts in prop::collection::vec(act(), 0..120)
    ) {
        let recent = Recent::default();
        recent.open(0, "hall", "rack-1", i64::MIN);
        recent.keep_longer(1_800_000, ["b".to_owned()]);
        let layouts = CATALOGS.map(|catalog| layout(&recent, catalog));
        let mut model = Model::default();
        for (turn, act) in acts.iter().enumerate() {
            // Ten minutes pass while all of this comes in, five times the window of it.
            let shifted = match act.clone() {
                Act::Reading(of, at, values) => Act::Reading(of, at + turn as i64 * 30, values),
                Act::Event(series, at, number) => Act::Event(series, at + turn as i64 * 30, number),
                Act::Gone(at) => Act::Gone(at + turn as i64 * 30),
            };
            feed(&recent, &layouts, &shifted, (400 + turn as i64 * 30) * 1000);
            model.feed(&shifted);
            let (floor, end) = (recent.floor(0, &[]), 1 << 40);
            for (series, name) in NAMES.iter().enumerate() {
                prop_assert_eq!(ask(&recent, series, floor, end, false), model.answer(series, floor, end));
                let name = Matcher { name: METRIC_NAME.into(), test: Test::Equal((*name).into()) };
                let own = recent.floor(0, &[name]);
                prop_assert_eq!(ask(&recent, series, own, end, false), model.answer(series, own, end));
                prop_assert!(own <= floor);
            }
        }
    }
}

#[test]
fn a_series_that_is_listed_no_more_is_forgotten_with_its_samples() {
    let recent = Recent::default();
    recent.open(0, "hall", "rack-1", i64::MIN);
    let old = layout(&recent, &[0, 1]);
    recent.reading(0, &old, 1000, &[Value::Known(1), Value::Known(2)], 1000);
    let new = layout(&recent, &[1, 2]);
    drop(old);
    for minute in 1..60 {
        let at = minute * 60_000;
        recent.reading(0, &new, at, &[Value::Known(1), Value::Known(2)], at);
    }
    assert_eq!(recent.size().0, 2, "b and c");
    assert!(ask(&recent, 0, 0, 1 << 40, false).is_empty());
    let again = layout(&recent, &[4]);
    recent.reading(0, &again, 3_600_000, &[Value::Known(5)], 3_600_000);
    assert_eq!(ask(&recent, 4, 0, 1 << 40, true), [Sample::new(3_600_000, 0.5)]);
    assert!(is_stale(ask(&recent, 1, 0, 1 << 40, true)[0].value), "it is not listed now");
}

#[test]
fn between_a_moment_and_an_earlier_one_there_is_nothing() {
    let recent = Recent::default();
    recent.open(0, "hall", "rack-1", i64::MIN);
    let of = layout(&recent, &[0, 1]);
    for at in [1000, 2000, 3000] {
        recent.reading(0, &of, at, &[Value::Known(1), Value::Known(2)], at);
    }
    assert!(recent.event(0, &of, (0, 1500, Value::Known(3)), 3000).is_some());
    recent.gone(0, 4000);
    for (from, to) in [(2000, 1000), (2000, 1999), (i64::MAX, i64::MIN), (5000, 3500), (1400, 500)] {
        assert!(ask(&recent, 0, from, to, false).is_empty(), "{from} {to}");
        assert!(ask(&recent, 0, from, to, true).is_empty(), "{from} {to}");
    }
}

/// A catalog that shares no series with those of other turns.
fn of_turn(recent: &Recent, slot: usize, turn: usize, series: usize) -> Arc<Layout> {
    let labels: Vec<_> = (0..series).map(|one| [("id".into(), format!("{turn}-{one}").into())]).collect();
    let listed = labels.iter().map(|labels| Listed { name: "x", labels, scale: Scale::ONE, served: true });
    recent.layout(slot, listed).expect("the slot is open")
}

fn one_of_turn(recent: &Recent, turn: usize, from: i64) -> Vec<Sample> {
    let equal = |name: &str, value: &str| Matcher { name: name.into(), test: Test::Equal(value.into()) };
    let matchers = [equal(METRIC_NAME, "x"), equal("id", &format!("{turn}-7"))];
    let mut all = Vec::new();
    recent.select(
        &Asked { matchers: &matchers, from, to: 1 << 40, newest: false, slot: Some(0) },
        &mut |found| {
            all.extend_from_slice(found.samples);
            ControlFlow::Continue(())
        },
    );
    all
}

#[test]
fn labels_that_are_new_with_each_catalog_are_bounded_and_the_floor_rises() {
    let recent = Recent::default();
    recent.open(0, "hall", "rack-1", i64::MIN);
    recent.open(1, "hall", "rack-2", i64::MIN);
    let quiet = of_turn(&recent, 1, 0, 10);
    recent.reading(1, &quiet, 1000, &[Value::Known(7); 10], 1000);
    for turn in 0..24 {
        let of = of_turn(&recent, 0, turn, 4096);
        let at = turn as i64 * 1000;
        recent.reading(0, &of, at, &vec![Value::Known(turn as i64); 4096], at);
        assert!(recent.size().0 <= 16_384 + 10, "turn {turn}: {} series", recent.size().0);
    }
    let floor = recent.floor(0, &[]);
    assert!((0..=23_000).contains(&floor), "{floor}");
    for turn in 0..24_i64 {
        let mut expected = vec![Sample::new(turn * 1000, turn as f64)];
        if turn < 23 {
            expected.push(Sample::new((turn + 1) * 1000, rackside_promql::STALE));
        }
        expected.retain(|sample| sample.at >= floor);
        assert_eq!(one_of_turn(&recent, turn as usize, floor), expected, "turn {turn}");
    }
    // Another appliance has the same metric, and keeps its own.
    let named = [Matcher { name: "appliance".into(), test: Test::Equal("rack-2".into()) }];
    recent.select(&Asked { matchers: &named, from: 0, to: 1000, newest: false, slot: None }, &mut |found| {
        assert_eq!((found.series.len(), found.samples.len()), (10, 10));
        ControlFlow::Continue(())
    });
    for turn in 100..130 {
        of_turn(&recent, 0, turn, 4096);
        assert!(recent.size().0 <= 16_384 + 10, "turn {turn}: {} series", recent.size().0);
    }
}

#[test]
fn a_catalog_with_an_event_and_without_a_reading_is_forgotten() {
    let recent = Recent::default();
    recent.open(0, "hall", "rack-1", i64::MIN);
    let of = layout(&recent, &[0, 1, 2]);
    assert!(recent.event(0, &of, (0, 1000, Value::Known(3)), 1000).is_some());
    drop(of);
    recent.trim(1000);
    assert_eq!(ask(&recent, 0, 0, 2000, false), [Sample::new(1000, 0.3)]);
    for minute in 1..40 {
        recent.trim(minute * 60_000);
    }
    assert_eq!(recent.size().0, 0);
    assert_eq!(recent.floor(0, &[]), 1001, "the event is the history's");
}

#[test]
fn series_that_end_with_each_catalog_are_not_remembered_without_bound() {
    let recent = Recent::default();
    recent.open(0, "hall", "rack-1", i64::MIN);
    let both = [of_turn(&recent, 0, 0, 2048), of_turn(&recent, 0, 1, 2048)];
    for turn in 0..40_i64 {
        recent.reading(0, &both[turn as usize % 2], turn * 1000, &vec![Value::Known(1); 2048], turn * 1000);
    }
    let floor = recent.floor(0, &[]);
    assert!((1..39_000).contains(&floor), "{floor}");
    let expected: Vec<Sample> = (0..40_i64)
        .map(|turn| Sample::new(turn * 1000, if turn % 2 == 0 { 1.0 } else { rackside_promql::STALE }))
        .filter(|sample| sample.at >= floor)
        .collect();
    assert_eq!(one_of_turn(&recent, 0, floor), expected);
}

#[test]
fn what_is_kept_for_longer_later_than_others_is_not_said_to_be_there() {
    let recent = Recent::default();
    recent.open(0, "hall", "rack-1", i64::MIN);
    recent.keep_longer(3_600_000, ["b".to_owned()]);
    let of = layout(&recent, &[0, 1, 2, 3]);
    for minute in 0..180 {
        let at = minute * 60_000;
        recent.reading(0, &of, at, &[minute, 2 * minute, 7, 7].map(Value::Known), at);
    }
    recent.keep_longer(3_600_000, ["a".to_owned(), "b".to_owned()]);
    let named = |name: &str| [Matcher { name: METRIC_NAME.into(), test: Test::Equal(name.into()) }];
    let floor = recent.floor(0, &named("a"));
    assert!(floor > 179 * 60_000 - 3_600_000, "{floor}");
    let expected = (0..180).filter(|minute| minute * 60_000 >= floor).count();
    assert_eq!(ask(&recent, 0, floor, 1 << 40, false).len(), expected);
    assert!(recent.behind(&named("a"), floor).is_empty());
}

#[test]
fn what_is_to_be_kept_for_longer_before_it_is_read_back_is_complete_afterwards() {
    let recent = Recent::default();
    recent.open(0, "hall", "rack-1", i64::MAX);
    recent.keep_longer(3_600_000, ["b".to_owned()]);
    let (window, far) = (recent.window(), recent.far_window());
    let now = 100_000_000;
    recent.warm(0, (now - window, now - far), &[]);
    let named = |name: &str| [Matcher { name: METRIC_NAME.into(), test: Test::Equal(name.into()) }];
    let of = layout(&recent, &[0, 1, 2, 3]);
    for minute in 0..240 {
        let at = now + minute * 60_000;
        recent.reading(0, &of, at, &[minute, 2 * minute, 7, 7].map(Value::Known), at);
        let floors = (recent.floor(0, &[]), recent.floor(0, &named("b")));
        assert!(floors.0 <= at - window && floors.1 <= at - far, "{floors:?} at {at}");
    }
}

#[test]
fn matchers_choose_appliances_and_series() {
    let recent = Recent::default();
    for (slot, (site, name)) in
        [("hall", "rack-1"), ("hall", "rack-2"), ("club", "rack-1")].iter().enumerate()
    {
        recent.open(slot, site, name, i64::MIN);
        let labels = [("probe".into(), format!("p{slot}").into())];
        let listed = ["x", "y"].map(|name| Listed { name, labels: &labels, scale: Scale::ONE, served: true });
        let layout = recent.layout(slot, listed.into_iter()).expect("open");
        recent.reading(slot, &layout, 5, &[Value::Known(slot as i64), Value::Known(9)], 5);
    }
    let equal = |name: &str, value: &str| Matcher { name: name.into(), test: Test::Equal(value.into()) };
    let not = |name: &str, value: &str| Matcher { name: name.into(), test: Test::NotEqual(value.into()) };
    let ask = |matchers: &[Matcher]| {
        let mut found: Vec<String> = Vec::new();
        let asked = Asked { matchers, from: 0, to: 10, newest: true, slot: None };
        recent.select(&asked, &mut |one| {
            found.extend(one.series.iter().map(|(labels, _)| {
                format!(
                    "{} {} {}",
                    labels.value("site"),
                    labels.value("appliance"),
                    labels.value(METRIC_NAME)
                )
            }));
            ControlFlow::Continue(())
        });
        found
    };
    assert_eq!(ask(&[equal(METRIC_NAME, "x"), equal("site", "hall")]), ["hall rack-1 x", "hall rack-2 x"]);
    assert_eq!(ask(&[equal(METRIC_NAME, "x"), not("site", "hall")]), ["club rack-1 x"]);
    assert_eq!(ask(&[equal("appliance", "rack-2")]), ["hall rack-2 x", "hall rack-2 y"]);
    assert_eq!(ask(&[equal(METRIC_NAME, "y"), equal("probe", "p2")]), ["club rack-1 y"]);
    assert!(ask(&[equal(METRIC_NAME, "x"), equal("site", "nowhere")]).is_empty());
    let labels =
        Labels::new([(METRIC_NAME, "x"), ("site", "club"), ("appliance", "rack-1"), ("probe", "p2")]);
    assert!(recent.has(&labels));
    assert!(!recent.has(&labels.only(&[METRIC_NAME, "site", "appliance"])));
}

#[test]
fn a_few_metrics_are_kept_for_longer_than_all_others() {
    let recent = Recent::default();
    recent.open(0, "hall", "rack-1", i64::MIN);
    recent.keep_longer(3_600_000, ["b".to_owned()]);
    let of = layout(&recent, &[0, 1, 2, 3]);
    for minute in 0..180 {
        let at = minute * 60_000;
        recent.reading(0, &of, at, &[minute, 2 * minute, 7, 7].map(Value::Known), at);
    }
    let now = 179 * 60_000;
    let named = |name: &str| [Matcher { name: METRIC_NAME.into(), test: Test::Equal(name.into()) }];
    assert!(recent.floor(0, &named("b")) <= now - 3_600_000);
    assert!(recent.floor(0, &named("a")) > now - 3_600_000, "the others are not");
    let found = ask(&recent, 1, now - 3_600_000, now, false);
    assert_eq!(found.len(), 61);
    assert_eq!(found[0], Sample::new(now - 3_600_000, 2.0 * 119.0 / 10.0));
    assert!(ask(&recent, 0, 0, now, false).len() < 60);
}

#[test]
fn the_window_has_bounds() {
    let recent = Recent::default();
    recent.set_window(1);
    assert_eq!(recent.window(), rackside_series::SHORTEST);
    recent.set_window(i64::MAX);
    assert_eq!(recent.window(), LONGEST);
}
