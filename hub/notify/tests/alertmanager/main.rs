//! The same alerts through Debian's Alertmanager 0.25 and through a [`Notifier`]: the same messages about the same groups, within a second.
//!
//! Alertmanager runs in real time, with a webhook as the witness; the notifier is played afterwards, with the moments at which the alerts were really
//! sent. What happens lies in the middle between two looks at a group, so that a busy machine does not decide which of them sees it; a run on
//! a machine that stood still for longer than that proves nothing and is repeated.
//!
//! ```text
//! 0 s A fires … 2 s both tell [A] … 4 s B fires … 6 s both tell [A, B]
//! ```

mod server;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rackside_alerting::{Cause, Life, State as Stage};
use rackside_notify::config::Tables;
use rackside_notify::{Matchers, NewMute, Notifier, Nowhere, Observed, Policy, State};
use rackside_promql::Labels;

use server::Alertmanager;
use witness::Witness;

/// What happens, and when, in milliseconds.
const STORY: [(i64, Event); 24] = [
    (0, Event::Fires("A site=hall severity=warning")),
    (500, Event::Fires("PowerOut site=west severity=critical")),
    (1_000, Event::Since(60_000, "D site=north severity=warning")),
    (1_000, Event::Fires("Q site=west severity=warning")),
    (2_000, Event::Fires("E site=east severity=warning")),
    (3_000, Event::Ends("E site=east severity=warning")),
    (3_000, Event::Ends("D site=north severity=warning")),
    (4_000, Event::Fires("B site=hall severity=warning")),
    (7_000, Event::Fires("D site=north severity=warning")),
    (8_000, Event::Ends("A site=hall severity=warning")),
    (8_500, Event::Ends("PowerOut site=west severity=critical")),
    (11_000, Event::Ends("D site=north severity=warning")),
    (12_000, Event::Fires("C site=hall severity=warning")),
    (12_500, Event::Ends("C site=hall severity=warning")),
    (13_000, Event::Ends("Q site=west severity=warning")),
    (16_000, Event::Mute(5_000, "S")),
    (17_000, Event::Fires("S site=south severity=warning")),
    (17_000, Event::Fires("T site=south severity=warning")),
    (17_000, Event::Fires("U site=south severity=warning")),
    (20_500, Event::Fires("A site=hall severity=warning")),
    (24_500, Event::Ends("A site=hall severity=warning")),
    (25_000, Event::Ends("U site=south severity=warning")),
    (40_000, Event::Ends("B site=hall severity=warning")),
    (46_000, Event::Nothing),
];

/// The longest that something may come late in a run that proves something.
const LATE: Duration = Duration::from_millis(1_200);

/// What is set at both.
const TIMES: [(&str, &str); 3] = [("group_wait", "2s"), ("group_interval", "4s"), ("repeat_interval", "10s")];

#[derive(Debug, Clone, Copy)]
enum Event {
    Fires(&'static str),
    /// It fires, for so long already.
    Since(i64, &'static str),
    Ends(&'static str),
    /// Alerts of this name are quiet for so long.
    Mute(i64, &'static str),
    Nothing,
}

/// A message, as both sides have it: who, about which group, and which alerts fire or are over.
type About = (String, BTreeMap<String, String>);
type Alerts = BTreeSet<(String, &'static str)>;
type Messages = BTreeMap<About, Vec<(i64, Alerts)>>;

fn labels(text: &str) -> Labels {
    let (name, rest) = text.split_once(' ').expect("an alert has labels");
    let pairs = rest.split(' ').map(|pair| pair.split_once('=').expect("name=value"));
    Labels::new([("alertname", name)].into_iter().chain(pairs))
}

fn policy() -> Policy {
    let [wait, interval, repeat] = TIMES.map(|(name, value)| format!("{name} = \"{value}\"\n"));
    let text = format!(
        "[[receiver]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"https://hub.example.org/a\"\n\
         [[receiver]]\nname = \"b\"\nkind = \"webhook\"\nurl = \"https://hub.example.org/b\"\nsend_resolved = false\n\
         [[route]]\nname = \"all\"\nto = [\"a\", \"b\"]\ngroup_by = [\"site\"]\n{wait}{interval}{repeat}\
         [[inhibit]]\nsource = ['alertname=\"PowerOut\"']\ntarget = ['severity=\"warning\"']\nequal = [\"site\"]\n"
    );
    let tables: Tables = toml::from_str(&text).expect("it is TOML");
    Policy::new(&tables).expect("it is a policy")
}

/// What the notifier tells, if things happened at these moments.
fn ours(happened: &[(i64, Event)]) -> Messages {
    let mut notifier = Notifier::new(policy());
    let mut messages = Messages::new();
    let mut rest = happened.iter().peekable();
    let end = happened.last().expect("something happens").0;
    let mut now = 0;
    while now <= end {
        while let Some((at, event)) = rest.next_if(|(at, _)| *at <= now) {
            happens(&mut notifier, *at, *event);
        }
        for outgoing in notifier.step(now, &Nowhere) {
            let message = outgoing.message;
            let state = |state| if state == State::Resolved { "resolved" } else { "firing" };
            let alerts = message.alerts.iter().map(|entry| (entry.id.to_string(), state(entry.state)));
            let about = (outgoing.receiver.to_string(), message.group_labels.clone());
            messages.entry(about).or_default().push((now, alerts.collect()));
        }
        let due = notifier.due().map(|due| due.max(now + 1));
        now = [due, rest.peek().map(|(at, _)| *at)].into_iter().flatten().min().unwrap_or(i64::MAX);
    }
    messages
}

fn happens(notifier: &mut Notifier, at: i64, event: Event) {
    let (text, since, stage) = match event {
        Event::Fires(text) => (text, at, Stage::Firing),
        Event::Since(ago, text) => (text, at - ago, Stage::Firing),
        Event::Ends(text) => (text, at, Stage::Inactive),
        Event::Mute(length, name) => {
            let matchers = Matchers::read([format!("alertname={name}")]).expect("a matcher");
            let (by, comment) = ("desk".to_owned(), "work".to_owned());
            let new = NewMute { matchers, starts_at: None, ends_at: at + length, by, comment };
            notifier.mute(new, at).expect("a mute that can be");
            return;
        }
        Event::Nothing => return,
    };
    let firing = stage == Stage::Firing;
    let life = Life {
        state: stage,
        fired_at: firing.then_some(since),
        resolved_at: (!firing).then_some(at),
        ..Life::begin(since)
    };
    let annotations = [].into();
    let news = Observed { at, labels: labels(text), annotations, value: 1.0, life, cause: Cause::Result };
    notifier.told(&news, &Nowhere);
}

/// What Alertmanager tells, the moments at which things really happened, and how late the latest was.
#[expect(clippy::disallowed_methods, reason = "Alertmanager goes by the real time")]
fn theirs() -> (Messages, Vec<(i64, Event)>, Duration) {
    let witness = Witness::new();
    let server = Alertmanager::start(&config(&witness));
    let begin = Instant::now();
    let elapsed = || i64::try_from(begin.elapsed().as_millis()).expect("a short time");
    let mut happened = Vec::new();
    let mut late = Duration::ZERO;
    for (at, event) in STORY {
        let wanted = Duration::from_millis(at.unsigned_abs());
        while begin.elapsed() < wanted {
            let (before, step) = (Instant::now(), Duration::from_millis(20));
            std::thread::sleep(step.min(wanted.saturating_sub(begin.elapsed())));
            late = late.max(before.elapsed().saturating_sub(step));
        }
        happened.push((elapsed(), event));
        match event {
            Event::Fires(text) => server.fires(&labels(text), 0),
            Event::Since(ago, text) => server.fires(&labels(text), ago),
            Event::Ends(text) => server.ends(&labels(text)),
            Event::Mute(length, name) => server.mute(name, length),
            Event::Nothing => {}
        }
        late = late.max(begin.elapsed().saturating_sub(wanted));
    }
    let mut messages = Messages::new();
    for (at, body) in witness.heard() {
        let at = i64::try_from(at.saturating_duration_since(begin).as_millis()).expect("a short time");
        let (about, alerts) = witness::read(&body);
        messages.entry(about).or_default().push((at, alerts));
    }
    (messages, happened, late)
}

fn config(witness: &Witness) -> String {
    let [wait, interval, repeat] = TIMES.map(|(name, value)| format!("  {name}: {value}\n"));
    format!(
        "route:\n  receiver: all\n  group_by: [site]\n{wait}{interval}{repeat}\
         receivers:\n- name: all\n  webhook_configs:\n  - url: {}\n  - url: {}\n    send_resolved: false\n\
         inhibit_rules:\n- source_matchers: ['alertname=\"PowerOut\"']\n  target_matchers: ['severity=\"warning\"']\n  equal: [site]\n",
        witness.url("a"),
        witness.url("b"),
    )
}

#[test]
fn alertmanager_tells_the_same_at_the_same_time() {
    let (mut messages, mut happened, mut late) = theirs();
    for _ in 0..4 {
        if late <= LATE {
            break;
        }
        (messages, happened, late) = theirs();
    }
    assert!(
        late <= LATE,
        "this machine stands still for {late:?} again and again: nothing can be compared on it"
    );
    let ours = ours(&happened);
    let groups = |messages: &Messages| messages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(groups(&ours), groups(&messages), "ours {ours:#?}\nAlertmanager's {messages:#?}");
    assert!(ours.len() >= 7, "the story has lost its groups: {ours:#?}");
    for (about, ours) in &ours {
        let theirs = &messages[about];
        let alerts = |messages: &[(i64, Alerts)]| {
            messages.iter().map(|(_, alerts)| alerts.clone()).collect::<Vec<_>>()
        };
        assert_eq!(alerts(ours), alerts(theirs), "{about:?}: ours {ours:?}\nAlertmanager's {theirs:?}");
        for ((ours, alerts), (theirs, _)) in ours.iter().zip(theirs) {
            assert!(
                (ours - theirs).abs() <= 1_000,
                "{about:?} {alerts:?}: ours at {ours} ms, Alertmanager's at {theirs} ms"
            );
        }
    }
}
