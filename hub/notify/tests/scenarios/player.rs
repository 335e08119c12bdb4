//! Reads a story and plays it.

use std::fmt::Write as _;

use rackside_alerting::{Cause, Life, State as Stage};
use rackside_notify::config::Tables;
use rackside_notify::{
    AlertId, Kind, Matchers, NewMute, NewWork, Notifier, Observed, Outgoing, Policy, Status, Uplink, Where,
    World as _,
};
use rackside_promql::Labels;

use crate::world::Told;

/// 2026-11-20 12:00:00 UTC, when every story begins.
pub(crate) const NOON: i64 = 1_795_176_000_000;

/// How a story is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Plain,
    Restored,
    Loaded,
    Often,
}

/// A story.
pub(crate) struct Story {
    head: String,
    policy: Policy,
    later: Option<Policy>,
    moments: Vec<(i64, String)>,
    end: i64,
    pub(crate) messages: Vec<String>,
}

/// A policy of a piece of `hub.toml`.
pub(crate) fn policy(text: &str) -> Result<Policy, String> {
    let tables: Tables = toml::from_str(text).map_err(|why| why.to_string())?;
    Policy::new(&tables).map_err(|(key, why)| format!("{key}: {why}"))
}

impl Story {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let (head, messages) = text.split_once("[messages]\n").ok_or("no [messages]")?;
        let (policies, moments) = head.split_once("[story]\n").ok_or("no [story]")?;
        let policies = policies.split_once("[policy]\n").ok_or("no [policy]")?.1;
        let (first, later) = match policies.split_once("[policy.later]\n") {
            Some((first, later)) => (first, Some(policy(later)?)),
            None => (policies, None),
        };
        let lines = moments.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut all = Vec::new();
        for line in lines {
            let (at, what) = line.split_once(' ').ok_or_else(|| format!("{line:?} says nothing"))?;
            all.push((NOON + span(at)?, what.trim().to_owned()));
        }
        let end = all.pop().filter(|(_, what)| what == "end").ok_or("the story has no end")?.0;
        all.sort_by_key(|(at, _)| *at);
        Ok(Self {
            head: head.to_owned(),
            policy: policy(first)?,
            later,
            moments: all,
            end,
            messages: messages.lines().map(str::to_owned).collect(),
        })
    }

    pub(crate) fn with_messages(&self, messages: &[String]) -> String {
        let mut text = format!("{}[messages]\n", self.head);
        for message in messages {
            writeln!(text, "{message}").expect("texts take all");
        }
        text
    }

    pub(crate) fn play(&self, manner: Manner) -> Vec<String> {
        let mut world = Told::default();
        let mut notifier = Notifier::new(self.policy.clone());
        let mut policy = self.policy.clone();
        let mut moments = self.moments.iter().peekable();
        let mut messages = Vec::new();
        let mut kept = (notifier.revision(), notifier.save());
        let mut now = NOON;
        while now <= self.end {
            while let Some((_, what)) = moments.next_if(|(at, _)| *at <= now) {
                if what == "reload" {
                    policy = self.later.clone().expect("a story that loads another policy has one");
                    notifier.load(policy.clone(), now, &world);
                } else {
                    happens(what, now, &mut notifier, &mut world);
                }
            }
            match manner {
                Manner::Restored => {
                    let bytes = notifier.save();
                    notifier = Notifier::new(policy.clone());
                    notifier.restore(&bytes).expect("what was saved can be restored");
                }
                Manner::Loaded => notifier.load(policy.clone(), now, &world),
                Manner::Plain | Manner::Often => {}
            }
            messages.extend(notifier.step(now, &world).iter().map(|outgoing| line(outgoing, now)));
            let is_same = notifier.revision() == kept.0 && manner != Manner::Restored;
            assert!(!is_same || notifier.save() == kept.1, "{}: a change is not told", written(now - NOON));
            kept = (notifier.revision(), notifier.save());
            let due = notifier.due();
            assert!(due.is_none_or(|due| due > now), "{}: what was due is still due", written(now - NOON));
            let next = [moments.peek().map(|(at, _)| *at), due];
            let next = next.into_iter().flatten().min().unwrap_or(i64::MAX);
            now = if manner == Manner::Often { next.min(now + 20_000) } else { next };
        }
        messages
    }
}

/// `1h2m3s`, `250ms`.
fn span(text: &str) -> Result<i64, String> {
    let mut total = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits =
            rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(|| format!("{text:?} has no unit"))?;
        let number: i64 = rest[..digits].parse().map_err(|_| format!("{text:?} is no time"))?;
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
        let (unit, length) = units
            .into_iter()
            .find(|(unit, _)| rest[digits..].starts_with(unit))
            .ok_or_else(|| format!("{text:?} has no unit"))?;
        total += number * length;
        rest = &rest[digits + unit.len()..];
    }
    Ok(total)
}

fn written(ms: i64) -> String {
    let mut text = String::new();
    let parts = [("h", ms / 3_600_000), ("m", ms / 60_000 % 60), ("s", ms / 1000 % 60), ("ms", ms % 1000)];
    for (unit, number) in parts.into_iter().filter(|(_, number)| *number > 0) {
        write!(text, "{number}{unit}").expect("texts take all");
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `StreamDown site=hall severity=critical`.
pub(crate) fn labels(text: &str) -> Labels {
    let mut words = text.split_whitespace();
    let name = words.next().expect("an alert has a name");
    let pairs = words.map(|word| word.split_once('=').expect("a label is name=value"));
    Labels::new([("alertname", name)].into_iter().chain(pairs))
}

/// An alert that is in this state since `now`.
pub(crate) fn observed(labels: Labels, stage: Stage, now: i64) -> Observed {
    let life = match stage {
        Stage::Pending => Life::begin(now),
        Stage::Firing => Life { state: stage, fired_at: Some(now), ..Life::begin(now) },
        Stage::Inactive => Life { state: stage, resolved_at: Some(now), ..Life::begin(now) },
    };
    let summary = format!("{} at {}", labels.value("alertname"), labels.value("site"));
    let annotations = [("summary".into(), summary.into())].into();
    Observed { at: now, labels, annotations, value: 1.0, life, cause: Cause::Result }
}

fn happens(what: &str, now: i64, notifier: &mut Notifier, world: &mut Told) {
    let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
    let stage = match verb {
        "pends" => Some(Stage::Pending),
        "fires" | "unknown" => Some(Stage::Firing),
        "ends" => Some(Stage::Inactive),
        _ => None,
    };
    if let Some(stage) = stage {
        let mut news = observed(labels(rest), stage, now);
        if let Some(since) =
            news.labels.value("since").parse().ok().map(|minutes: i64| now - 60_000 * minutes)
        {
            news.life.fired_at = Some(since);
        }
        if verb == "unknown" {
            news.life.unknown_since = Some(now);
        }
        notifier.told(&news, world);
        return;
    }
    let rack = |text: &str| {
        let (site, appliance) = text.split_once('/').expect("site/appliance");
        (site.to_owned(), appliance.to_owned())
    };
    match verb {
        "on_air" => world.sites.entry(rest.to_owned()).or_default().on_air = true,
        "off_air" => world.sites.entry(rest.to_owned()).or_default().on_air = false,
        "zone" => {
            let (site, zone) = rest.split_once(' ').expect("site and zone");
            world.sites.entry(site.to_owned()).or_default().zone = Some(zone.parse().expect("a zone"));
        }
        "tag" => {
            let (site, tag) = rest.split_once(' ').expect("site and tag");
            world.sites.entry(site.to_owned()).or_default().tags.push(tag.to_owned());
        }
        "up" => drop(world.appliances.insert(rack(rest), None)),
        "gone" => drop(world.appliances.insert(rack(rest), Some(now))),
        "sites_gone" | "sites_back" => {
            let (first, last) = rest.split_once("..").expect("first..last");
            let numbers = first.parse().expect("a number")..last.parse::<usize>().expect("a number");
            for number in numbers {
                let at = (verb == "sites_gone").then_some(now);
                world.appliances.insert((format!("s{number:04}"), "rack".to_owned()), at);
            }
        }
        "fleet" => world.fleet = rest.parse().expect("a number"),
        "uplink" => {
            world.uplink = match rest {
                "well" => Uplink::Well,
                "checking" => Uplink::Checking,
                "down" => Uplink::Down,
                other => panic!("no uplink is {other:?}"),
            }
        }
        "ack" => assert!(notifier.acknowledge(AlertId::of(&labels(rest)), "desk", "on it", now), "{rest}"),
        "unack" => assert!(notifier.unacknowledge(AlertId::of(&labels(rest)), now), "{rest}"),
        "mute" => {
            let (length, matchers) = rest.split_once(' ').expect("how long, and which");
            let new = NewMute {
                matchers: Matchers::read([matchers]).expect("matchers"),
                starts_at: None,
                ends_at: now + span(length).expect("a time"),
                by: "desk".to_owned(),
                comment: "work".to_owned(),
            };
            notifier.mute(new, now).expect("a mute that can be");
        }
        "work" => {
            let (length, at) = rest.split_once(' ').expect("how long, and where");
            let new = NewWork {
                name: String::new(),
                at: place(at),
                starts_at: None,
                ends_at: now + span(length).expect("a time"),
                by: "desk".to_owned(),
                comment: "work".to_owned(),
            };
            notifier.begin_work(new, now, &|site| world.tags(site)).expect("maintenance that can be");
        }
        "unwork" => {
            notifier
                .end_work(rest.parse().expect("a number"), "desk", now, &|site| world.tags(site))
                .expect("it goes on");
        }
        "reconcile" => {
            let held = rest.split(';').filter(|text| !text.trim().is_empty());
            let all: Vec<Observed> = held.map(|text| observed(labels(text), Stage::Firing, now)).collect();
            notifier.reconcile(now, &all, world);
        }
        other => panic!("nobody knows what {other:?} is"),
    }
}

/// `hall`, `hall/rack-1`, `#north`.
fn place(text: &str) -> Where {
    match (text.strip_prefix('#'), text.split_once('/')) {
        (Some(tag), _) => Where::Tag(tag.to_owned()),
        (None, Some((site, appliance))) => {
            Where::Appliance { site: site.to_owned(), appliance: appliance.to_owned() }
        }
        (None, None) => Where::Site(text.to_owned()),
    }
}

/// A message in one line.
pub(crate) fn line(outgoing: &Outgoing, now: i64) -> String {
    let message = &outgoing.message;
    let mut text = format!("{} {}", written(now - NOON), outgoing.receiver);
    if message.kind != Kind::Alerts {
        write!(text, " {:?}", message.kind).expect("texts take all");
    }
    if message.escalation > 0 {
        write!(text, " step {}", message.escalation).expect("texts take all");
    }
    let status = if message.status == Status::Firing { "firing" } else { "resolved" };
    write!(text, " {status} {} |", message.group_key.replace(&NOON.to_string(), "noon"))
        .expect("texts take all");
    if message.alerts.len() > 5 {
        write!(
            text,
            " {} firing, {} resolved, {} sites",
            message.firing, message.resolved, message.site_count
        )
        .expect("texts take all");
    } else {
        let entries = message.alerts.iter().map(|entry| {
            let part = |name: &str| entry.labels.get(name).map(String::as_str).unwrap_or_default();
            let place = [part("site"), part("appliance")].join("/");
            let flaps = if entry.flapping { " flapping" } else { "" };
            format!(" {}@{} {}{flaps}", part("alertname"), place.trim_end_matches('/'), entry.state.as_str())
        });
        text.push_str(&entries.collect::<Vec<_>>().join(","));
    }
    if let Some(cause) = &message.cause {
        write!(text, " | {cause} explains {}", message.explains).expect("texts take all");
    }
    text
}
