//! Random histories: silence is as if nobody had looked, a restart is as if there had been none, and evaluation at once is the regular one,
//! only earlier. That the regular one is Prometheus's is shown in `promtool`.

use fastrand::Rng;
use rackside_alerting::{Engine, Settings, State};
use rackside_promql::Labels;

use crate::scene::{GONE, Scene, file, labels};

const HISTORIES: u64 = 60;
const MINUTE: i64 = 60_000;

/// Rules of random thresholds and times.
fn rules(random: &mut Rng, interval: &str, keep_firing: bool) -> String {
    let mut text = format!("groups:\n- name: a\n  interval: {interval}\n  rules:\n");
    for rule in 0..4 {
        let hold = ["0", "50s", "70s", "3m"][random.usize(..4)];
        let keep = if keep_firing { ["0", "1m", "4m"][random.usize(..3)] } else { "0" };
        let limit = random.u32(2..9);
        let rule = format!("{{alert: A{rule}, expr: x > {limit}, for: {hold}, keep_firing_for: {keep}}}");
        text.extend(["  - ", &rule, "\n"]);
    }
    text
}

fn appliances() -> Vec<Labels> {
    ["1", "2", "3"].map(|name| labels("x", &[("appliance", name), ("site", "hall")])).to_vec()
}

/// Everything that an alert is, but whether it is known: name, state, times.
fn lives(scene: &Scene) -> Vec<String> {
    let mut lives: Vec<String> = scene
        .engine
        .active()
        .map(|alert| {
            let life = alert.life;
            format!(
                "{} {:?} {} {:?} {:?}",
                alert.labels, life.state, life.active_at, life.fired_at, life.keep_firing_since
            )
        })
        .collect();
    lives.sort();
    lives
}

#[test]
fn silence_is_as_if_nobody_had_looked() {
    for seed in 0..HISTORIES {
        let mut random = Rng::with_seed(seed);
        let text = rules(&mut random, "1m", true);
        let (mut whole, mut without) = (Scene::new(&text), Scene::new(&text));
        let x = appliances().remove(0);
        for minute in 0..60 {
            let at = minute * MINUTE;
            if random.u32(..4) == 0 {
                // It is gone, and its series with it.
                whole.sample(&x, at, GONE);
                whole.silent.appliances.insert("1".to_owned());
                whole.evaluate(at);
                assert!(whole.engine.active().all(|alert| alert.life.unknown_since.is_some()), "seed {seed}");
                whole.silent.appliances.clear();
            } else {
                let value = f64::from(random.u32(..10));
                for scene in [&mut whole, &mut without] {
                    scene.sample(&x, at, value);
                    scene.evaluate(at);
                }
                assert!(whole.engine.active().all(|alert| alert.life.unknown_since.is_none()), "seed {seed}");
            }
            assert_eq!(lives(&whole), lives(&without), "seed {seed}, minute {minute}\n{text}");
        }
    }
}

#[test]
fn a_restart_at_any_moment_changes_nothing() {
    for seed in 0..HISTORIES {
        let mut random = Rng::with_seed(seed);
        let text = rules(&mut random, "1m", true);
        let (mut steady, mut restarted) = (Scene::new(&text), Scene::new(&text));
        for minute in 0..60 {
            let at = minute * MINUTE;
            for x in appliances() {
                let value = if random.u32(..8) == 0 { GONE } else { f64::from(random.u32(..10)) };
                steady.sample(&x, at, value);
                restarted.sample(&x, at, value);
            }
            if random.u32(..6) == 0 {
                let bytes = restarted.engine.save();
                restarted.engine = Engine::new(Settings::default());
                restarted.engine.load(vec![file(&text)], at);
                restarted.engine.restore(&bytes, at).expect("what was saved can be read");
            }
            steady.evaluate(at);
            restarted.evaluate(at);
            assert_eq!(lives(&restarted), lives(&steady), "seed {seed}, minute {minute}\n{text}");
            assert_eq!(
                restarted.query("ALERTS", at),
                steady.query("ALERTS", at),
                "seed {seed}, minute {minute}"
            );
        }
    }
}

/// While the program is down nothing comes; silent or not, its alerts are held by what they were. Compared is a program that was up and heard nothing.
#[test]
fn a_stop_of_any_length_loses_no_lower_figure() {
    let mut held = 0;
    for seed in 0..HISTORIES {
        let mut random = Rng::with_seed(seed);
        let (begins, ends) = (random.u32(5..9), random.u32(1..5));
        let text = format!(
            "groups: [{{name: a, interval: 1m, rules: [{{alert: A, expr: 'x > {begins} or x > {ends} and on (appliance) \
             ALERTS{{alertname=\"A\", alertstate=\"firing\"}}'}}]}}]"
        );
        let (mut steady, mut restarted) = (Scene::new(&text), Scene::new(&text));
        let mut at = 0;
        for turn in 0..60 {
            at += MINUTE;
            if random.u32(..6) == 0 {
                let bytes = restarted.engine.save();
                for name in ["1", "2", "3"] {
                    steady.silent.appliances.insert(name.to_owned());
                }
                for _ in 0..random.u32(..15) {
                    steady.evaluate(at);
                    at += MINUTE;
                }
                steady.silent.appliances.clear();
                restarted.engine = Engine::new(Settings::default());
                restarted.engine.load(vec![file(&text)], at);
                restarted.engine.restore(&bytes, at).expect("what was saved can be read");
                held += restarted.engine.active().count();
            }
            for x in appliances() {
                let value = f64::from(random.u32(..10));
                steady.sample(&x, at, value);
                restarted.sample(&x, at, value);
            }
            steady.evaluate(at);
            restarted.evaluate(at);
            assert_eq!(states(&restarted), states(&steady), "seed {seed}, turn {turn}\n{text}");
            assert_eq!(restarted.query("ALERTS", at), steady.query("ALERTS", at), "seed {seed}, turn {turn}");
        }
    }
    assert!(held > 100, "{held} alerts were kept: the histories show nothing");
}

/// The state of each alert there is.
fn states(scene: &Scene) -> Vec<(String, State)> {
    let mut states: Vec<(String, State)> =
        scene.engine.active().map(|alert| (alert.labels.to_string(), alert.life.state)).collect();
    states.sort();
    states
}

/// Each value stays for two intervals at least, so that the regular evaluation misses none.
#[test]
fn evaluation_at_once_is_the_regular_one_only_earlier() {
    let mut earlier = 0;
    for seed in 0..HISTORIES / 3 {
        let mut random = Rng::with_seed(seed);
        let text = rules(&mut random, "15s", false);
        let (mut regular, mut at_once) = (Scene::new(&text), Scene::new(&text));
        let mut changes: Vec<(i64, Labels, f64)> = Vec::new();
        for x in appliances() {
            let mut at = random.i64(0..30_000);
            while at < 30 * MINUTE {
                changes.push((at, x.clone(), f64::from(random.u32(..10))));
                at += random.i64(30_001..120_000);
            }
        }
        changes.sort_by_key(|(at, ..)| *at);
        let mut changes = changes.into_iter().peekable();
        let mut now = 0;
        while now < 30 * MINUTE {
            let due = [regular.engine.due(), at_once.engine.due(), changes.peek().map(|(at, ..)| *at)];
            now = due.into_iter().flatten().min().expect("a group is due some time").max(now);
            while let Some((at, x, value)) = changes.next_if(|(at, ..)| *at <= now) {
                regular.sample(&x, at, value);
                at_once.sample(&x, at, value);
                at_once.engine.touched(&x, at, now);
            }
            if at_once.engine.due().is_some_and(|due| due <= now) {
                at_once.run(now);
            }
            if regular.engine.due().is_none_or(|due| due > now) {
                continue;
            }
            regular.run(now);
            let (late, early) = (states(&regular), states(&at_once));
            let names =
                |states: &[(String, State)]| states.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            assert_eq!(names(&early), names(&late), "seed {seed}, {now}\n{text}");
            for ((name, early), (_, late)) in early.iter().zip(&late) {
                assert!(
                    early >= late,
                    "seed {seed}, {now}: {name} is {early:?}, and {late:?} by the regular one"
                );
                earlier += usize::from(early > late);
            }
        }
    }
    assert!(earlier > 20, "{earlier} were earlier: the histories show nothing");
}
