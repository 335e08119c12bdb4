//! What goes on when files change, and when the program starts anew.

use rackside_alerting::{Cause, Engine, KeepError, Settings, State};

use crate::scene::{Scene, file, labels, states};

const MINUTE: i64 = 60_000;
const BEFORE: &str = "
groups:
- name: box
  rules:
  - {alert: Hot, expr: soc > 75, for: 5m, labels: {severity: warning}}
  - {alert: Full, expr: disk > 0.9, labels: {severity: warning}}
  - {record: 'soc:max', expr: max by (site) (soc)}
- name: other
  rules:
  - {alert: Up, expr: soc > 0}
";

fn pending() -> Scene {
    let mut scene = Scene::new(BEFORE);
    scene.sample(&labels("soc", &[("site", "hall")]), 0, 80.0);
    scene.sample(&labels("disk", &[("site", "hall")]), 0, 0.95);
    scene.evaluate(0);
    assert_eq!(scene.alerts(), ["Full warning hall firing", "Hot warning hall pending", "Up hall firing"]);
    scene
}

fn warm(scene: &mut Scene, at: i64) {
    scene.sample(&labels("soc", &[("site", "hall")]), at, 80.0);
    scene.sample(&labels("disk", &[("site", "hall")]), at, 0.95);
}

#[test]
fn a_rule_whose_expression_changed_goes_on_and_one_whose_labels_changed_begins_anew() {
    let mut scene = pending();
    let after = BEFORE
        .replace("soc > 75", "soc > 60")
        .replace("disk > 0.9, labels: {severity: warning}", "disk > 0.9, labels: {severity: critical}");
    scene.engine.load(vec![file(&after)], MINUTE);
    assert_eq!(scene.alerts(), ["Hot warning hall pending", "Up hall firing"]);
    let gone = scene.run(MINUTE);
    let ended = gone.iter().find(|change| change.cause == Cause::RuleGone).expect("the old one ends");
    assert_eq!(
        (ended.rule.as_ref(), ended.from, ended.alert.life.state),
        ("Full", State::Firing, State::Inactive)
    );
    warm(&mut scene, 5 * MINUTE);
    scene.evaluate(5 * MINUTE);
    assert_eq!(scene.alerts(), ["Full critical hall firing", "Hot warning hall firing", "Up hall firing"]);
    let hot = scene.engine.active().find(|alert| alert.labels.value("alertname") == "Hot").expect("it fires");
    assert_eq!(hot.life.active_at, 0);
}

#[test]
fn series_of_rules_that_are_gone_end() {
    let mut scene = pending();
    assert_eq!(scene.query("{__name__=~\"ALERTS|soc:max\"}", MINUTE).len(), 4);
    scene.engine.load(vec![file("groups: [{name: box}]")], MINUTE);
    assert!(scene.engine.due().is_some_and(|due| due <= MINUTE));
    assert_eq!(scene.run(MINUTE).len(), 3);
    assert!(scene.query("{__name__=~\"ALERTS|soc:max\"}", MINUTE).is_empty());
    assert!(scene.engine.rules().groups.iter().all(|group| group.rules.is_empty()));
}

#[test]
fn a_group_that_is_untouched_keeps_its_timetable() {
    let mut scene = pending();
    scene.run(3 * MINUTE);
    let next: Vec<i64> = scene.engine.rules().groups.iter().map(|group| group.next).collect();
    scene.engine.load(vec![file(BEFORE)], 3 * MINUTE + 30_000);
    assert_eq!(scene.engine.rules().groups.iter().map(|group| group.next).collect::<Vec<_>>(), next);
}

#[test]
fn a_for_that_ran_goes_on_after_a_restart() {
    let mut scene = pending();
    let bytes = scene.engine.save();
    for restore_first in [true, false] {
        let mut engine = Engine::new(Settings::default());
        if restore_first {
            engine.restore(&bytes, 4 * MINUTE).expect("what was saved can be read");
        }
        engine.load(vec![file(BEFORE)], 4 * MINUTE);
        if !restore_first {
            engine.restore(&bytes, 4 * MINUTE).expect("what was saved can be read");
        }
        scene.engine = engine;
        assert_eq!(
            scene.alerts(),
            ["Full warning hall firing?", "Hot warning hall pending?", "Up hall firing?"]
        );
        warm(&mut scene, 5 * MINUTE);
        let changes = scene.evaluate(5 * MINUTE);
        assert_eq!(
            states(&changes),
            [("Hot", State::Firing), ("Full", State::Firing), ("Up", State::Firing)]
        );
        assert_eq!((changes[0].from, changes[0].alert.life.active_at), (State::Pending, 0));
        assert_eq!(scene.alerts(), ["Full warning hall firing", "Hot warning hall firing", "Up hall firing"]);
    }
}

#[test]
fn after_a_restart_nothing_is_resolved_before_its_appliance_was_heard() {
    let mut scene = Scene::new("groups: [{name: a, rules: [{alert: Hot, expr: soc > 75}]}]");
    scene.sample(&labels("soc", &[("appliance", "rack")]), 0, 80.0);
    scene.evaluate(0);
    let bytes = scene.engine.save();
    let mut later = Scene::new("groups: [{name: a, rules: [{alert: Hot, expr: soc > 75}]}]");
    later.engine.restore(&bytes, MINUTE).expect("what was saved can be read");
    later.silent.appliances.insert("rack".to_owned());
    for minute in 1..20 {
        assert!(later.evaluate(minute * MINUTE).is_empty());
    }
    assert_eq!(later.alerts(), ["Hot rack firing?"]);
    later.silent.appliances.clear();
    assert_eq!(states(&later.evaluate(20 * MINUTE)), [("Hot", State::Inactive)]);
    // Its series of before the restart ends as well.
    assert!(later.query("ALERTS", 20 * MINUTE).is_empty());
}

/// Held by its lower figure, as the rules that ship are.
const HELD: &str = "
groups:
- name: box
  interval: 15s
  rules:
  - alert: Hot
    expr: soc > 75 or soc > 70 and on (appliance) ALERTS{alertname=\"Hot\", alertstate=\"firing\"}
  - {record: 'alerts:count', expr: count(ALERTS)}
";

#[test]
fn what_is_held_by_its_lower_figure_is_held_after_a_long_stop() {
    let soc = labels("soc", &[("appliance", "rack")]);
    for late in [0, 1, 14_999, 90_000] {
        let mut scene = Scene::new(HELD);
        scene.sample(&soc, 0, 80.0);
        scene.evaluate(0);
        let bytes = scene.engine.save();
        let begin = 10 * MINUTE;
        scene.engine = Engine::new(Settings::default());
        scene.engine.load(vec![file(HELD)], begin);
        scene.engine.restore(&bytes, begin + 3).expect("what was saved can be read");
        assert!(scene.query("ALERTS", begin).is_empty(), "it is stale by now");
        assert!(scene.engine.due().is_some_and(|due| due <= begin));
        // Its appliance has been heard, and is not as hot as it was.
        scene.sample(&soc, begin, 72.0);
        let now = begin + 3 + late;
        scene.run(now);
        assert_eq!(scene.query("count(ALERTS)", now), ["{} 1"], "late by {late}");
        let mut at = now;
        while at < now + MINUTE {
            at = scene.engine.due().expect("there is a group").max(at + 1);
            scene.sample(&soc, at - 1, 72.0);
            scene.run(at);
            assert_eq!(scene.alerts(), ["Hot rack firing"], "late by {late}, at {at}");
        }
        let hot = scene.engine.active().next().expect("it fires");
        assert_eq!((hot.life.active_at, hot.life.fired_at), (0, Some(0)));
        // It ends when it is over, and its series with it.
        scene.sample(&soc, at, 69.0);
        assert_eq!(states(&scene.evaluate(at + 1)), [("Hot", State::Inactive)]);
        assert!(scene.query("{__name__=~\"ALERTS.*|alerts:count\"}", at + 1).is_empty());
    }
}

#[test]
fn series_of_a_kept_alert_end_with_its_rule_after_a_long_stop() {
    let mut scene = Scene::new(HELD);
    scene.sample(&labels("soc", &[("appliance", "rack")]), 0, 80.0);
    scene.evaluate(0);
    let bytes = scene.engine.save();
    scene.engine = Engine::new(Settings::default());
    scene.engine.load(vec![file(HELD)], 10 * MINUTE);
    scene.engine.restore(&bytes, 10 * MINUTE).expect("what was saved can be read");
    scene.silent.appliances.insert("rack".to_owned());
    scene.run(10 * MINUTE);
    assert_eq!(scene.query("ALERTS", 10 * MINUTE).len(), 1);
    scene.engine.load(vec![], 11 * MINUTE);
    scene.run(11 * MINUTE);
    assert!(scene.query("{__name__=~\"ALERTS.*\"}", 11 * MINUTE).is_empty());
}

#[test]
fn a_file_that_cannot_be_loaded_for_a_while_loses_nothing() {
    let bytes = pending().engine.save();
    let mut scene = Scene::new("groups: []");
    scene.engine = Engine::new(Settings::default());
    scene.engine.restore(&bytes, MINUTE).expect("what was saved can be read");
    scene.engine.load(vec![], MINUTE);
    // Another restart while the file is still broken.
    let bytes = scene.engine.save();
    scene.engine = Engine::new(Settings::default());
    scene.engine.restore(&bytes, 2 * MINUTE).expect("what was saved can be read");
    scene.engine.load(vec![file(BEFORE)], 3 * MINUTE);
    assert_eq!(scene.alerts(), ["Full warning hall firing?", "Hot warning hall pending?", "Up hall firing?"]);
    // What is two days old is of nobody.
    scene.engine = Engine::new(Settings::default());
    scene.engine.restore(&bytes, 2 * MINUTE).expect("what was saved can be read");
    scene.engine.load(vec![file(BEFORE)], 2 * 24 * 60 * MINUTE);
    assert_eq!(scene.alerts().len(), 3, "the rule is there: it is its rule's, however old");
    scene.engine = Engine::new(Settings::default());
    scene.engine.restore(&bytes, 2 * MINUTE).expect("what was saved can be read");
    scene.engine.load(vec![], 2 * 24 * 60 * MINUTE);
    scene.engine.load(vec![file(BEFORE)], 2 * 24 * 60 * MINUTE);
    assert!(scene.alerts().is_empty());
}

#[test]
fn of_rules_with_one_name_each_gets_its_own_back() {
    let text = "groups: [{name: a, rules: [{alert: A, expr: x > 5}, {alert: A, expr: y > 5}]}]";
    let mut scene = Scene::new(text);
    scene.sample(&labels("y", &[("site", "hall")]), 0, 9.0);
    scene.evaluate(0);
    let bytes = scene.engine.save();
    scene.engine = Engine::new(Settings::default());
    scene.engine.load(vec![file(text)], MINUTE);
    scene.engine.restore(&bytes, MINUTE).expect("what was saved can be read");
    let of = |rule| scene.engine.alerts_of(0, rule).count();
    assert_eq!((of(0), of(1)), (0, 1));
}

#[test]
fn an_engine_can_go_to_a_thread_of_its_own() {
    fn goes<T: Send + 'static>(_: T) {}
    goes(Engine::new(Settings::default()));
}

#[test]
fn what_cannot_be_read_changes_nothing() {
    let mut scene = pending();
    let bytes = scene.engine.save();
    for cut in 0..bytes.len() {
        assert!(scene.engine.restore(&bytes[..cut], 0).is_err(), "{cut}");
    }
    let mut newer = bytes.clone();
    newer[0] = 9;
    assert_eq!(scene.engine.restore(&newer, 0), Err(KeepError::Version(9)));
    assert_eq!(scene.alerts(), ["Full warning hall firing", "Hot warning hall pending", "Up hall firing"]);
}

#[test]
fn the_revision_says_when_to_save() {
    let mut scene = pending();
    let before = scene.engine.revision();
    warm(&mut scene, MINUTE);
    scene.evaluate(MINUTE);
    assert_eq!(scene.engine.revision(), before, "only values moved");
    warm(&mut scene, 5 * MINUTE);
    scene.evaluate(5 * MINUTE);
    assert!(scene.engine.revision() > before, "a pending one fires");
}
