//! The clock is set while alerts fire: nothing falls silent until it has caught up, and nothing that is waited for comes early.
//!
//! Not a story, in which time only goes on.

use rackside_alerting::{Cause, Life, State as Stage};
use rackside_notify::config::Tables;
use rackside_notify::{Kind, Notifier, Nowhere, Observed, Outgoing, Policy};
use rackside_promql::Labels;

const NOON: i64 = 1_795_176_000_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn notifier() -> Notifier {
    let text = r#"
[notify]
heartbeat = { every = "30m", to = ["crew"] }
[[receiver]]
name = "crew"
kind = "webhook"
url = "https://hub.example.org/crew"
[[receiver]]
name = "phone"
kind = "webhook"
url = "https://hub.example.org/phone"
[[route]]
name = "all"
to = ["crew"]
group_wait = "0s"
[[route.escalate]]
after = "20m"
to = ["phone"]
"#;
    let tables: Tables = toml::from_str(text).expect("it is TOML");
    Notifier::new(Policy::new(&tables).expect("a policy"))
}

fn fires(notifier: &mut Notifier, name: &str, at: i64) {
    let labels = Labels::new([("alertname", name), ("site", "hall")]);
    let life = Life { state: Stage::Firing, fired_at: Some(at), ..Life::begin(at) };
    let news = Observed { at, labels, annotations: [].into(), value: 1.0, life, cause: Cause::Result };
    notifier.told(&news, &Nowhere);
}

/// All that comes from one moment to another, as minutes after the first, receivers, and alerts.
fn between(notifier: &mut Notifier, from: i64, until: i64) -> Vec<String> {
    let mut now = from;
    let mut all = Vec::new();
    while now <= until {
        let out = notifier.step(now, &Nowhere);
        all.extend(out.iter().map(|outgoing| line(outgoing, (now - from) / MINUTE)));
        now = notifier.due().expect("a sign of life is always due").min(now + MINUTE).max(now + 1);
    }
    all
}

fn line(outgoing: &Outgoing, minute: i64) -> String {
    let message = &outgoing.message;
    let what =
        if message.kind == Kind::Heartbeat { "alive".to_owned() } else { message.alerts.len().to_string() };
    format!("{minute} {} {what}", outgoing.receiver)
}

/// One alert at once, another a minute later; the clock is set after two minutes. What comes, by minutes that have truly passed.
fn played(by: i64) -> Vec<String> {
    let mut notifier = notifier();
    fires(&mut notifier, "SocHot", NOON);
    let mut all = between(&mut notifier, NOON, NOON + 2 * MINUTE);
    let now = NOON + 2 * MINUTE + by;
    if by != 0 {
        notifier.clock_stepped(by, now);
    }
    fires(&mut notifier, "DiskFull", now);
    for line in between(&mut notifier, now, now + 29 * MINUTE) {
        let (minute, rest) = line.split_once(' ').expect("a minute first");
        let minute: i64 = minute.parse().expect("a number");
        all.push(format!("{} {rest}", minute + 2));
    }
    all
}

#[test]
fn what_is_waited_for_comes_when_it_would_have_come() {
    let as_ever = played(0);
    assert_eq!(as_ever, ["0 crew 1", "5 crew 2", "20 phone 1", "25 phone 2", "30 crew alive"]);
    for by in [-3 * HOUR, -6_000, 6_000, 3 * HOUR] {
        assert_eq!(played(by), as_ever, "set by {by} ms");
    }
}

#[test]
fn a_clock_that_was_set_back_unseen_silences_nothing() {
    let mut notifier = notifier();
    fires(&mut notifier, "SocHot", NOON);
    between(&mut notifier, NOON, NOON + MINUTE);
    let kept = notifier.save();
    let mut notifier = self::notifier();
    notifier.restore(&kept).expect("what was saved can be restored");
    let now = NOON - 24 * HOUR;
    fires(&mut notifier, "DiskFull", now);
    let all = between(&mut notifier, now, now + 31 * MINUTE);
    assert!(all.contains(&"5 crew 2".to_owned()) && all.contains(&"30 crew alive".to_owned()), "{all:?}");
}
