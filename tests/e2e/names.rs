//! Names and clocks that are not as they should be.

use crate::complete::{RACK, RECOVERY, has_reading, records};
use crate::rack::{Rack, series, vitals};
use rackside_proto::{Birth, Presence, Reason, Run, Time, What};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::browser::Browser;
use rackside_tests::client::Client;
use rackside_tests::clock;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::ledger::Ledger;
use rackside_tests::programs::programs;
use serde_json::Value as Json;

const LABELS: [(&str, &str); 2] = [("site", RACK.0), ("appliance", RACK.1)];

#[test]
fn a_second_agent_with_the_same_name_is_shown_and_corrupts_nothing() {
    let hub = Hub::start();
    let ledger = Ledger::start(hub.mqtt(), RACK.0, RACK.1);
    let _first = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let mut second = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("two live runs", RECOVERY, RACK, |said| (said["live_runs"] == 2).then_some(()));
    assert_eq!(hub.metrics().value("rackside_hub_appliance_live_runs", &LABELS), Some(2.0));
    let complete = clock::eventually(RECOVERY, || {
        let (taken, _, lost) = records(&hub.appliance(RACK.0, RACK.1)?);
        let runs = ledger.runs();
        let below: u64 = runs.values().map(|notes| notes.below).sum();
        (runs.len() == 2 && runs.values().all(|notes| notes.below >= 3) && taken == below && lost == 0)
            .then_some(())
    });
    assert!(complete.is_some(), "each run's records are taken once: {:?}", ledger.runs());
    assert!(hub.body("/").contains("data-twice=\"true\""), "the page says so");
    second.stop();
    hub.expect("one again", RECOVERY, RACK, |said| {
        (said["live_runs"] == 1 && said["up"] == true).then_some(())
    });
}

#[test]
fn a_late_will_of_an_older_connection_says_nothing() {
    let hub = Hub::start();
    let topic = "rackside/1/arena-north/rack-1/presence";
    let presence = |connection, online| {
        let reason = if online { Reason::Start } else { Reason::Will };
        let mut bytes = Vec::new();
        Presence { run: Run(7), connection, online, reason }.encode(&mut bytes).expect("a presence");
        bytes
    };
    let mut client = Client::named(hub.mqtt(), "late").expect("a connection");
    client.publish(topic, presence(1, true), true).expect("taken");
    client.publish(topic, presence(2, true), true).expect("taken");
    hub.expect("up", RECOVERY, RACK, |said| (said["up"] == true).then_some(()));
    client.publish(topic, presence(1, false), true).expect("taken");
    let ignored = clock::eventually(RECOVERY, || {
        (hub.count("rackside_hub_presences_ignored_total") == 1).then_some(())
    });
    assert!(ignored.is_some(), "counted\n{}", hub.last_words());
    assert_eq!(hub.appliance(RACK.0, RACK.1).expect("it is there")["up"], true);
    client.publish(topic, presence(2, false), true).expect("taken");
    hub.expect("down", RECOVERY, RACK, |said| (said["up"] == false).then_some(()));
}

#[test]
fn a_clock_in_1970_is_never_shown() {
    let hub = Hub::start();
    let ledger = Ledger::start(hub.mqtt(), RACK.0, RACK.1);
    let mut options = AgentOptions::new(RACK.0, RACK.1, hub.mqtt());
    // Even an agent that is told to believe its clock does not believe 1970.
    options.top = "clock = \"trust\"\n".to_owned();
    // The date alone: the monotonic clock stays as it is.
    options.environment = [
        ("LD_PRELOAD", rackside_tests::programs::faketime().display().to_string()),
        ("FAKETIME", "@1970-01-02 03:04:05".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    let agent = Agent::start(&options);
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    crate::complete::expect_complete(&hub, &ledger, 3);
    let said = hub.appliance(RACK.0, RACK.1).expect("it is there");
    assert_eq!(
        (&said["up"], &said["agent"]["clock_source"]),
        (&true.into(), &"hub".into()),
        "{said}\n{}",
        agent.last_words()
    );
    for path in ["/api/sites", "/", "/metrics"] {
        assert!(!hub.body(path).contains("1970-"), "{path} shows 1970");
    }
}

/// What an agent may call things, each at most 64 bytes: markup, text that runs the other way, lines, and nothing but pictures.
const HOSTILE: [&str; 4] = [
    "<script>ran=1</script>\"'><img src=x onerror=ran=1>",
    "\u{202e}gpj.elcungro\u{2066}\u{200f}\u{5d0}\u{5d1} {{ .Labels }} {frame.csrf}",
    "a\nb\r\n\tc</title></li>-->]]>&lt;&#0;javascript:ran=1",
    "\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}",
];

/// An alert for each probe that fails, in the probe's words.
const RULES: &str = "
groups:
- name: hostile
  interval: 1s
  rules:
  - alert: Fails
    expr: rackside_probe_success == 0
    labels: {severity: critical}
    annotations: {summary: '{{ $labels.probe }} does not answer'}
";

/// Sends all that an agent can say of itself, in the words above.
fn speak(client: &mut Client, rack: &mut Rack) {
    rack.time = Time::Utc { ms: clock::unix_ms() };
    let labels = HOSTILE.map(|name| [("probe", name), ("stream", name), ("type", "tcp")]);
    let of = |metric: &'static str| labels.iter().map(move |labels| series(metric, labels));
    let list: Vec<_> = vitals()
        .into_iter()
        .chain(of("rackside_probe_success"))
        .chain(of("rackside_stream_up"))
        .chain([series("rackside_tally_active", &[("tally", HOSTILE[0]), ("bus", HOSTILE[1])])])
        .collect();
    let mut sent = vec![rack.presence(true), rack.catalog(&list)];
    let (topic, plain) = rack.birth();
    let mut body = Vec::new();
    let birth = Birth {
        version: HOSTILE[0],
        hostname: HOSTILE[1],
        model: HOSTILE[2],
        os: HOSTILE[3],
        kernel: HOSTILE[0],
        arch: HOSTILE[2],
        ..Birth::decode(&plain).expect("it was made by us")
    };
    birth.encode(None, &mut body).expect("it fits");
    sent.push((topic, body));
    sent.push(rack.numbers(&vec![0; list.len()]));
    for name in HOSTILE {
        sent.push(rack.event(What::Text { subject: "stream/main/title", text: name }));
        sent.push(rack.event(What::Text { subject: &format!("error/{}", &HOSTILE[0][..40]), text: name }));
    }
    for (topic, body) in sent {
        client.publish(&topic, body, false).expect("taken");
    }
}

#[test]
fn whatever_an_agent_calls_things_is_text_on_every_page() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let rules = directory.path().join("own.yml");
    std::fs::write(&rules, RULES).expect("the directory can be written");
    let more = format!(
        "[rules]\ndefaults = false\nfiles = [\"{}\"]\n[status]\nenabled = true\n[[site]]\nid = \"arena-north\"\npublic = true\n",
        rules.display()
    );
    let hub = Hub::with(Way::Listener, &programs().hub, &more);
    let mut client = Client::named(hub.mqtt(), "hostile").expect("a connection");
    speak(&mut client, &mut Rack::new(RACK.0, RACK.1));
    let ids = clock::eventually(RECOVERY, || {
        let all: Json = serde_json::from_str(&hub.body("/api/alerts")).expect("JSON");
        let fires = |alert: &&Json| alert["state"] == "firing";
        let ids: Vec<String> = all["alerts"]
            .as_array()?
            .iter()
            .filter(fires)
            .map(|alert| alert["id"].as_str().unwrap_or_default().to_owned())
            .collect();
        (ids.len() == HOSTILE.len()).then_some(ids)
    });
    let ids = ids.unwrap_or_else(|| panic!("they fire: {}\n{}", hub.body("/api/alerts"), hub.last_words()));
    let told = || hub.body("/api/log").contains(HOSTILE[3]).then_some(());
    assert!(clock::eventually(RECOVERY, told).is_some(), "the log has it: {}", hub.body("/api/log"));
    let mut paths: Vec<String> = [
        "/",
        "/?view=wall",
        "/sites/arena-north",
        "/sites/arena-north/rack-1",
        "/alerts",
        "/log",
        "/status",
        "/settings",
    ]
    .map(str::to_owned)
    .into();
    paths.extend(ids.iter().map(|id| format!("/alerts/{id}")));
    let mut browser = Browser::open(&format!("http://{}/", hub.web()), 360, 740);
    for path in paths {
        for (width, height) in [(360, 740), (1280, 800)] {
            browser.resize(width, height);
            browser.go(&format!("http://{}{path}", hub.web()));
            let tame = "window.ran === undefined && !document.querySelector('img[src=x], script:not([src], [type])') \
                        && document.documentElement.scrollWidth <= innerWidth";
            assert_eq!(
                browser.evaluate(tame),
                true,
                "{path}, {width}: {}",
                browser.evaluate("document.body.innerHTML")
            );
            assert!(browser.complaints().is_empty(), "{path}: {:?}", browser.complaints());
        }
    }
}
