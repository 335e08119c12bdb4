//! What a changed series brings about: which rules, when, and how often.

use rackside_alerting::State;

use crate::scene::{GONE, Scene, labels, states};

const STREAM: &str = "
groups:
- name: streams
  interval: 1h
  rules:
  - {record: 'site:streams_down:count', expr: count by (site) (stream_up == 0)}
  - {alert: StreamDown, expr: stream_up == 0}
  - {alert: Hot, expr: soc > 75}
  - {alert: SiteDark, expr: 'site:streams_down:count > 1'}
- name: sites
  interval: 1h
  rules:
  - {alert: AnyCritical, expr: 'ALERTS{alertname=\"StreamDown\", alertstate=\"firing\"}'}
  - {alert: Cold, expr: soc < 5}
";

/// The engine's clock begins where no group is due for a while.
fn quiet(scene: &mut Scene) -> i64 {
    let mut now = 0;
    while let Some(due) = scene.engine.due().filter(|due| *due < 10_000_000) {
        now = due.max(now);
        scene.run(now);
    }
    scene.series.records = 0;
    now + 1
}

fn evaluations(scene: &Scene) -> u64 {
    scene.engine.rules().groups.iter().map(|group| group.counts.at_once).sum()
}

#[test]
fn a_touched_series_is_an_alert_at_once_and_so_is_what_follows_from_it() {
    let mut scene = Scene::new(STREAM);
    let now = quiet(&mut scene);
    scene.event(&labels("stream_up", &[("site", "hall"), ("probe", "a")]), now, 0.0);
    scene.event(&labels("stream_up", &[("site", "hall"), ("probe", "b")]), now, 0.0);
    assert!(scene.engine.due().is_some_and(|due| due <= now));
    let changes = scene.run(now);
    let fired: Vec<_> =
        states(&changes).into_iter().map(|(rule, state)| (rule, state == State::Firing)).collect();
    let expected =
        ["StreamDown", "StreamDown", "SiteDark", "AnyCritical", "AnyCritical"].map(|rule| (rule, true));
    assert_eq!(fired, expected);
    assert!(changes.iter().all(|change| change.at == now));
}

#[test]
fn only_rules_that_read_the_series_and_what_depends_on_them_are_evaluated() {
    let mut scene = Scene::new(STREAM);
    let now = quiet(&mut scene);
    // Nobody said that it is cold and hot: those rules were not asked.
    scene.sample(&labels("soc", &[("site", "hall")]), now, 90.0);
    scene.event(&labels("stream_up", &[("site", "hall"), ("probe", "a")]), now, 0.0);
    assert_eq!(states(&scene.run(now)), [("StreamDown", State::Firing), ("AnyCritical", State::Firing)]);
    scene.engine.touched(&labels("soc", &[("site", "hall")]), now, now);
    assert!(scene.run(now).is_empty(), "the pause is not over");
    let due = scene.engine.due().expect("something is due");
    assert_eq!(due, now + 100);
    assert_eq!(states(&scene.run(due)), [("Hot", State::Firing)]);
}

#[test]
fn a_series_that_no_rule_reads_is_nothing() {
    let mut scene = Scene::new(STREAM);
    let now = quiet(&mut scene);
    scene.event(&labels("other", &[("site", "hall")]), now, 0.0);
    scene.event(&labels("streams_up", &[]), now, 0.0);
    assert!(scene.run(now).is_empty());
    assert_eq!(evaluations(&scene), 0);
}

#[test]
fn a_thousand_faults_at_once_are_one_evaluation() {
    let mut scene = Scene::new(STREAM);
    let now = quiet(&mut scene);
    for site in 0..1000 {
        scene.event(&labels("stream_up", &[("site", &site.to_string()), ("probe", "a")]), now, 0.0);
    }
    let changes = scene.run(now);
    assert_eq!(changes.len(), 2000);
    assert_eq!(evaluations(&scene), 2, "one of each group");
}

#[test]
fn a_storm_is_an_evaluation_in_each_pause() {
    let mut scene = Scene::new(STREAM);
    let begin = quiet(&mut scene);
    // A change in each millisecond of two seconds, and somebody who runs the engine whenever it is due.
    for now in begin..begin + 2000 {
        let probe = (now % 10).to_string();
        scene.event(&labels("stream_up", &[("site", "hall"), ("probe", &probe)]), now, (now / 70 % 2) as f64);
        if scene.engine.due().is_some_and(|due| due <= now) {
            scene.run(now);
        }
    }
    let groups = scene.engine.rules().groups;
    for group in &groups {
        assert!((10..=20).contains(&group.counts.at_once), "{}: {:?}", group.name, group.counts);
    }
}

#[test]
fn a_sample_from_a_clock_that_is_a_little_fast_is_waited_for() {
    let mut scene = Scene::new(STREAM);
    let now = quiet(&mut scene);
    let series = labels("stream_up", &[("site", "hall"), ("probe", "a")]);
    scene.sample(&series, now + 7, 0.0);
    scene.engine.touched(&series, now + 7, now);
    assert!(scene.run(now).is_empty());
    assert_eq!(scene.engine.due(), Some(now + 7));
    assert_eq!(scene.run(now + 7).len(), 2);
    // One that is far ahead has to wait for the interval: nobody can say what it means.
    scene.engine.touched(&series, now + 60_000, now + 200);
    assert!(scene.engine.due().is_some_and(|due| due > now + 60_000));
}

#[test]
fn rules_that_read_each_other_in_a_circle_come_to_rest() {
    let mut scene = Scene::new(
        "
groups:
- name: a
  interval: 1h
  rules:
  - {record: a, expr: b + x or x}
  - {record: self, expr: self + x or x}
- name: b
  interval: 1h
  rules:
  - {record: b, expr: a + 1}
  - {record: c, expr: a * 2}
",
    );
    let now = quiet(&mut scene);
    scene.event(&labels("x", &[]), now, 1.0);
    scene.run(now);
    assert_eq!(scene.query("c", now), ["{} 2"].map(|_| "c 2".to_owned()));
    assert!(scene.engine.due().is_some_and(|due| due > now + 100_000), "nothing is left to do");
}

#[test]
fn a_rule_before_the_one_it_reads_follows_after_the_pause() {
    let mut scene = Scene::new(
        "
groups:
- name: a
  interval: 1h
  rules:
  - {alert: Late, expr: r > 0}
  - {record: r, expr: x}
",
    );
    let now = quiet(&mut scene);
    scene.event(&labels("x", &[]), now, 1.0);
    assert!(scene.run(now).is_empty());
    assert_eq!(scene.engine.due(), Some(now + 100));
    assert_eq!(states(&scene.run(now + 100)), [("Late", State::Firing)]);
    assert!(scene.engine.due().is_some_and(|due| due > now + 100_000));
}

#[test]
fn hysteresis_through_alerts_holds_and_comes_to_rest() {
    let mut scene = Scene::new(
        "
groups:
- name: a
  interval: 1h
  rules:
  - alert: Hot
    expr: 'soc > 75 or soc > 70 and on (site) ALERTS{alertname=\"Hot\", alertstate=\"firing\"}'
",
    );
    let soc = labels("soc", &[("site", "hall")]);
    let mut now = quiet(&mut scene);
    let mut seen = Vec::new();
    for value in [72.0, 76.0, 74.0, 71.0, 69.0, 72.0, GONE] {
        now += 1000;
        scene.event(&soc, now, value);
        scene.run(now);
        seen.push(scene.alerts().len());
    }
    assert_eq!(seen, [0, 1, 1, 1, 0, 0, 0]);
}

#[test]
fn intervals_are_kept_dated_with_their_moment_and_missed_ones_counted() {
    let text = "
groups:
- name: a
  interval: 10s
  rules:
  - {record: now, expr: time()}
";
    let mut scene = Scene::new(text);
    let first = scene.engine.due().expect("a group is due");
    assert!((0..10_000).contains(&first));
    scene.run(first + 4);
    assert_eq!(scene.query("now * 1000", first), [format!("{{}} {first}")]);
    assert_eq!(scene.engine.due(), Some(first + 10_000));
    // The machine slept for a while.
    scene.run(first + 34_000);
    let group = &scene.engine.rules().groups[0];
    assert_eq!((group.counts.regular, group.counts.missed), (2, 2));
    assert_eq!(scene.engine.due(), Some(first + 40_000));
    // The clock was set back by an hour: it goes on from there.
    let back = first - 3_600_000;
    scene.run(back);
    assert!(
        scene.engine.due().is_some_and(|due| due > back && due <= back + 10_000),
        "{:?}",
        scene.engine.due()
    );
}

#[test]
fn what_is_touched_just_after_a_moment_is_not_lost_to_a_late_evaluation() {
    let mut scene = Scene::new("groups: [{name: a, interval: 1m, rules: [{alert: Down, expr: up == 0}]}]");
    let moment = scene.engine.due().expect("a group is due");
    scene.event(&labels("up", &[]), moment + 3, 0.0);
    let changes = scene.run(moment + 5);
    assert_eq!((states(&changes), changes[0].at), (vec![("Down", State::Firing)], moment + 5));
}

#[test]
fn groups_are_spread_over_their_interval() {
    let groups: Vec<String> =
        (0..50).map(|at| format!("{{name: g{at}, interval: 1m, rules: [{{record: r, expr: x}}]}}")).collect();
    let scene = Scene::new(&format!("groups: [{}]", groups.join(", ")));
    let mut next: Vec<i64> = scene.engine.rules().groups.iter().map(|group| group.next / 6_000).collect();
    next.sort_unstable();
    next.dedup();
    assert!(next.len() > 6, "50 groups in {} of ten parts of their minute", next.len());
}

#[test]
fn what_is_touched_goes_ahead_of_what_the_clock_wants() {
    let mut scene = Scene::new(
        "
groups:
- {name: slow, interval: 1m, rules: [{record: 'a:b', expr: vector(1)}]}
- {name: seldom, interval: 100d, rules: [{alert: StreamDown, expr: stream_up == 0}]}
",
    );
    let begun = scene.engine.due().expect("there are groups");
    scene.run(begun);
    let now = scene.engine.due().expect("the slow one comes again");
    scene.event(&labels("stream_up", &[("site", "hall")]), now, 0.0);
    let first = scene.step(now).expect("both are due");
    assert_eq!(states(&first), [("StreamDown", State::Firing)]);
    assert!(scene.step(now).is_some_and(|second| second.is_empty()), "the slow one, which makes no alerts");
    assert!(scene.step(now).is_none());
}
