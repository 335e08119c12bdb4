//! What silence does: nothing is resolved by it, and nothing begins.

use rackside_alerting::{Cause, State};

use crate::scene::{GONE, Scene, labels, states};

const SOC: &str = "
groups:
- name: box
  rules:
  - {alert: Hot, expr: soc > 75}
  - {alert: Slow, expr: soc > 75, for: 5m}
  - {alert: Kept, expr: soc > 75, keep_firing_for: 2m}
";
const MINUTE: i64 = 60_000;

fn hot() -> (Scene, rackside_promql::Labels) {
    let mut scene = Scene::new(SOC);
    let soc = labels("soc", &[("site", "hall"), ("appliance", "rack")]);
    scene.sample(&soc, 0, 80.0);
    scene.evaluate(0);
    assert_eq!(scene.alerts(), ["Hot rack hall firing", "Kept rack hall firing", "Slow rack hall pending"]);
    (scene, soc)
}

#[test]
fn an_appliance_that_is_gone_resolves_nothing_and_fires_nothing() {
    let (mut scene, soc) = hot();
    scene.sample(&soc, MINUTE, GONE);
    scene.silent.appliances.insert("rack".to_owned());
    let changes = scene.evaluate(MINUTE);
    assert_eq!(changes.len(), 3);
    assert!(
        changes.iter().all(|change| change.cause == Cause::Silence && change.from == change.alert.life.state)
    );
    for minute in 2..30 {
        assert!(scene.evaluate(minute * MINUTE).is_empty());
    }
    assert_eq!(
        scene.alerts(),
        ["Hot rack hall firing?", "Kept rack hall firing?", "Slow rack hall pending?"]
    );
    let overview = scene.engine.overview();
    assert_eq!((overview.pending, overview.firing, overview.unknown), (1, 2, 3));
    // Whoever counts on ALERTS still sees it.
    assert_eq!(scene.query("count(ALERTS{alertstate=\"firing\"})", 29 * MINUTE), ["{} 2"]);
}

#[test]
fn it_is_back_and_still_hot() {
    let (mut scene, soc) = hot();
    scene.silent.appliances.insert("rack".to_owned());
    scene.evaluate(10 * MINUTE);
    scene.silent.appliances.clear();
    scene.sample(&soc, 11 * MINUTE, 90.0);
    let changes = scene.evaluate(11 * MINUTE);
    assert_eq!(states(&changes), [("Hot", State::Firing), ("Slow", State::Firing), ("Kept", State::Firing)]);
    let causes: Vec<Cause> = changes.iter().map(|change| change.cause).collect();
    assert_eq!(causes, [Cause::Silence, Cause::Result, Cause::Silence]);
    assert_eq!((scene.engine.overview().firing, scene.engine.overview().unknown), (3, 0));
    let now: Vec<(i64, u64)> =
        changes.iter().map(|change| (change.alert.life.active_at, change.alert.value.to_bits())).collect();
    assert_eq!(now, [(0, 90.0_f64.to_bits()); 3]);
}

#[test]
fn it_is_back_and_cool() {
    let (mut scene, soc) = hot();
    scene.silent.appliances.insert("rack".to_owned());
    scene.evaluate(10 * MINUTE);
    scene.silent.appliances.clear();
    scene.sample(&soc, 11 * MINUTE, 40.0);
    let changes = scene.evaluate(11 * MINUTE);
    assert_eq!(
        states(&changes),
        [("Hot", State::Inactive), ("Slow", State::Inactive), ("Kept", State::Firing)]
    );
    scene.sample(&soc, 13 * MINUTE, 40.0);
    assert_eq!(states(&scene.evaluate(13 * MINUTE)), [("Kept", State::Inactive)]);
    assert!(scene.alerts().is_empty());
}

#[test]
fn nobody_is_asked_while_all_is_in_the_result() {
    let (mut scene, soc) = hot();
    for minute in 1..10 {
        scene.sample(&soc, minute * MINUTE, 80.0);
        scene.evaluate(minute * MINUTE);
    }
    assert!(scene.silent.asked.borrow().is_empty());
    scene.sample(&soc, 10 * MINUTE, 40.0);
    scene.evaluate(10 * MINUTE);
    assert_eq!(scene.silent.asked.borrow().len(), 3, "once for each alert");
}

#[test]
fn the_silence_of_one_is_not_that_of_another() {
    let (mut scene, soc) = hot();
    let other = labels("soc", &[("site", "hall"), ("appliance", "desk")]);
    scene.sample(&other, MINUTE, 80.0);
    scene.sample(&soc, MINUTE, 80.0);
    scene.evaluate(MINUTE);
    scene.silent.appliances.insert("rack".to_owned());
    scene.sample(&soc, 2 * MINUTE, GONE);
    scene.sample(&other, 2 * MINUTE, 40.0);
    scene.evaluate(2 * MINUTE);
    let expected = [
        "Hot rack hall firing?",
        "Kept desk hall firing",
        "Kept rack hall firing?",
        "Slow rack hall pending?",
    ];
    assert_eq!(scene.alerts(), expected);
}
