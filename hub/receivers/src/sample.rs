//! Messages of every kind and state, as they could be: what templates are checked with, and what the tests of formats are written down for.
//!
//! Invariant: each branch that a template can take is taken by one of them.
//!
//! ```text
//! hot (critical, on air) · storm (25 alerts, one cause) · over · bare (nothing known) · outage · test · heartbeat
//! ```

use crate::view::View;
use crate::{Hidden, Receiver, Signer, Way};
use rackside_notify::{
    Acknowledged, AlertId, Contact, Entry, Kind, Message, Severity, SiteFacts, State, Status,
};
use rackside_onair::Zone;
use std::collections::BTreeMap;

/// 2026-11-20 02:16:00 UTC.
pub(crate) const NOW: i64 = 1_795_140_960_000;
const MINUTE: i64 = 60_000;

/// A receiver for views.
pub(crate) fn receiver() -> Receiver {
    Receiver {
        name: "crew".to_owned(),
        way: Way::Slack { url: Hidden::new("https://hooks.slack.com/services/T0/B0/x") },
        title: None,
        body: None,
        reader: Zone::UTC,
        external_url: "https://hub.example.org".to_owned(),
        // As long as a real one.
        signer: Some(Signer::new(|alert, _, _| alert.to_string().repeat(4))),
    }
}

/// What the templates see of the samples; the last of them are late.
pub(crate) fn views() -> Vec<View> {
    let receiver = receiver();
    let on_time = messages().into_iter().map(|(_, message)| View::of(&message, &receiver, message.at));
    let late = std::iter::once(View::of(&hot(), &receiver, NOW + 20 * MINUTE));
    on_time.chain(late).collect()
}

/// The samples with their names.
pub(crate) fn messages() -> Vec<(&'static str, Message)> {
    vec![
        ("hot", hot()),
        ("storm", storm()),
        ("over", over()),
        ("acknowledged", acknowledged()),
        ("unknown", unknown()),
        ("bare", bare()),
        ("outage", outage()),
        ("test", of_no_alert(Kind::Test)),
        ("heartbeat", of_no_alert(Kind::Heartbeat)),
    ]
}

fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn arena() -> SiteFacts {
    SiteFacts {
        id: "arena-north".to_owned(),
        title: "Arena North".to_owned(),
        time_zone: "Europe/Helsinki".to_owned(),
        on_air: true,
        access: "key at the stage door, code on the card".to_owned(),
        contacts: vec![
            Contact {
                role: "technician".to_owned(),
                name: "stage office".to_owned(),
                phone: "+49 30 901820".to_owned(),
                hours: "Mon-Fri 9-17".to_owned(),
                email: "office@arena.example".to_owned(),
            },
            Contact { role: "porter".to_owned(), phone: "+49 30 901821".to_owned(), ..Contact::default() },
        ],
    }
}

fn hot_entry() -> Entry {
    Entry {
        id: AlertId(0x2740_19e2_6525_1482),
        labels: map([
            ("alertname", "SocCritical"),
            ("appliance", "rack-1"),
            ("component", "box"),
            ("severity", "critical"),
            ("site", "arena-north"),
        ]),
        annotations: map([
            ("summary", "arena-north/rack-1: SoC at 84.2 °C, it is being slowed down"),
            ("description", "Open the rack's door, then look whether the fan turns."),
            ("runbook", "docs/alerts.md#soccritical"),
        ]),
        value: 84.2,
        state: State::Firing,
        starts_at: NOW - 4 * MINUTE,
        ends_at: None,
        severity: Severity::Critical,
        on_air: Some(true),
        acknowledged: None,
        flapping: false,
        query: "rackside_soc_temperature_celsius > 80".to_owned(),
    }
}

/// One critical alert on air, told to the second step.
pub(crate) fn hot() -> Message {
    Message {
        id: 7,
        kind: Kind::Alerts,
        at: NOW,
        group_key: "on air:{site=\"arena-north\"}".to_owned(),
        group_labels: map([("site", "arena-north")]),
        route: "on air".to_owned(),
        status: Status::Firing,
        alerts: vec![hot_entry()],
        truncated: 0,
        firing: 1,
        resolved: 0,
        cause: None,
        explains: 0,
        escalation: 1,
        sites: vec![arena()],
        site_count: 1,
    }
}

/// Many alerts of a site, with a cause; more than are spelt out.
pub(crate) fn storm() -> Message {
    let alerts = (0..25)
        .map(|nth: u64| {
            let mut entry = hot_entry();
            entry.id = AlertId(0x1000 + nth);
            entry.severity = if nth < 5 { Severity::Critical } else { Severity::Warning };
            let stream = format!("stream-{nth}");
            entry.labels.insert("alertname".to_owned(), "StreamDown".to_owned());
            entry.labels.insert("stream".to_owned(), stream.clone());
            entry.labels.insert("severity".to_owned(), entry.severity.as_str().to_owned());
            entry.annotations = map([("runbook_url", "https://example.org/runbooks/stream_down?a=1&b=2")]);
            entry.annotations.insert("summary".to_owned(), format!("arena-north/rack-1: {stream} is down"));
            "rackside_stream_up == 0".clone_into(&mut entry.query);
            entry.value = 0.0;
            entry.flapping = nth == 3;
            if nth == 4 {
                entry.state = State::Resolved;
                entry.ends_at = Some(NOW - MINUTE);
            }
            entry
        })
        .collect();
    Message {
        id: 8,
        alerts,
        truncated: 12,
        firing: 36,
        resolved: 1,
        cause: Some("the uplink of Arena North is down".to_owned()),
        explains: 40,
        escalation: 0,
        ..hot()
    }
}

fn over() -> Message {
    let mut entry = hot_entry();
    entry.state = State::Resolved;
    entry.ends_at = Some(NOW - MINUTE);
    entry.starts_at = NOW - 26 * 60 * MINUTE;
    let counts = (0, 1);
    Message {
        id: 9,
        status: Status::Resolved,
        alerts: vec![entry],
        firing: counts.0,
        resolved: counts.1,
        escalation: 0,
        ..hot()
    }
}

fn acknowledged() -> Message {
    let by =
        |note: &str| Some(Acknowledged { by: "desk".to_owned(), at: NOW - MINUTE, note: note.to_owned() });
    let noted = Entry { state: State::Acknowledged, acknowledged: by("fan is being changed"), ..hot_entry() };
    let mut silent = Entry { acknowledged: by(""), ..noted.clone() };
    silent.id = AlertId(0x2000);
    silent.labels.insert("appliance".to_owned(), "rack-2".to_owned());
    Message { id: 10, alerts: vec![noted, silent], firing: 2, escalation: 0, ..hot() }
}

fn unknown() -> Message {
    let entry = Entry { state: State::Unknown, severity: Severity::Info, ..hot_entry() };
    Message { id: 11, alerts: vec![entry], escalation: 0, ..hot() }
}

/// An alert of which nothing is known but that it fires.
fn bare() -> Message {
    let entry = Entry {
        id: AlertId(0x3000),
        labels: map([("alertname", "Watchdog")]),
        annotations: BTreeMap::new(),
        value: f64::NAN,
        severity: Severity::Warning,
        on_air: None,
        query: String::new(),
        ..hot_entry()
    };
    Message {
        id: 12,
        group_key: "rest:{}".to_owned(),
        group_labels: BTreeMap::new(),
        route: String::new(),
        alerts: vec![entry],
        escalation: 0,
        sites: Vec::new(),
        site_count: 0,
        ..hot()
    }
}

fn outage() -> Message {
    let gone = (1..=12).map(|nth: u64| {
        let hall = format!("hall-{nth}");
        let summary = format!("{hall}/rack-1 is gone");
        Entry {
            id: AlertId(0x4000 + nth),
            labels: map([("alertname", "ApplianceGone"), ("appliance", "rack-1"), ("site", &hall)]),
            annotations: map([("summary", &summary)]),
            severity: Severity::Warning,
            value: 0.0,
            on_air: Some(false),
            query: "rackside_appliance_up == 0".to_owned(),
            ..hot_entry()
        }
    });
    let sites = (1..=10).map(|nth| SiteFacts {
        id: format!("hall-{nth}"),
        time_zone: "Europe/Helsinki".to_owned(),
        on_air: nth == 7,
        ..SiteFacts::default()
    });
    Message {
        id: 13,
        kind: Kind::Outage,
        group_key: "outage".to_owned(),
        group_labels: BTreeMap::new(),
        alerts: gone.collect(),
        truncated: 11,
        firing: 21,
        resolved: 2,
        cause: Some("23 sites are gone at once".to_owned()),
        explains: 23,
        escalation: 0,
        sites: sites.collect(),
        site_count: 23,
        ..hot()
    }
}

fn of_no_alert(kind: Kind) -> Message {
    let stands_for_it = Entry {
        labels: map([("alertname", "RacksideTest"), ("severity", "info")]),
        annotations: map([("summary", "This is a test. Nothing is wrong.")]),
        severity: Severity::Info,
        starts_at: NOW,
        on_air: None,
        value: 0.0,
        query: String::new(),
        ..hot_entry()
    };
    let is_test = kind == Kind::Test;
    Message {
        id: 14,
        kind,
        group_key: String::new(),
        group_labels: BTreeMap::new(),
        route: String::new(),
        alerts: if is_test { vec![stands_for_it] } else { Vec::new() },
        firing: if is_test { 1 } else { 3 },
        escalation: 0,
        sites: Vec::new(),
        site_count: 0,
        ..hot()
    }
}
