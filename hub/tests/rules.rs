//! Alert rules on the real program: an event is an alert at once, an appliance that is gone resolves nothing, a hub that is killed goes on where
//! it was, a file that changes is read again.

mod client;
mod rack;
mod running;

use client::Client;
use rack::{Rack, series};
use rackside_hub::clock;
use rackside_proto::{Time, Value, What};
use running::{FREE, Running, file};
use serde_json::Value as Json;
use std::fs;
use tempfile::TempDir;

/// `Off` is not looked at by the clock while the test runs; `Hot` is, all the time.
const RULES: &str = r#"
groups:
- name: rarely
  interval: 1d
  rules:
  - alert: Off
    expr: rackside_tally_active == 0
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.appliance }} at {{ $labels.site }} is off"}
- name: often
  interval: 1s
  rules:
  - record: site:soc:max
    expr: max by (site) (rackside_soc_temperature_celsius)
  - alert: Hot
    expr: site:soc:max > 50 or rackside_soc_temperature_celsius > 50
"#;

/// A directory with a configuration and rules.
struct Place {
    directory: TempDir,
    config: String,
}

impl Place {
    fn with(rules: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = Self { config: String::new(), directory };
        place.write(rules);
        let files = format!("[rules]\ndefaults = false\nfiles = [{:?}]\n", place.rules());
        Self { config: file(&place.directory, &format!("{FREE}{files}")), ..place }
    }

    fn rules(&self) -> String {
        self.directory.path().join("own.yml").display().to_string()
    }

    fn write(&self, rules: &str) {
        fs::write(self.rules(), rules).expect("the directory can be written");
    }
}

/// A rack that knows the time, is up and has told tally and temperature.
fn begin(hub: &Running, run: u32, tally: i64, celsius: i64) -> (Client, Rack) {
    let mut client =
        Client::connect(&hub.agents, &format!("arena-north/rack-1/{run:08x}")).expect("it connects");
    let mut rack = Rack::new("arena-north", "rack-1").started_again(run);
    rack.time = now();
    let list = [
        series("rackside_tally_active", &[("tally", "one")]),
        series("rackside_soc_temperature_celsius", &[]),
    ];
    for sent in [rack.presence(true), rack.catalog(&list), rack.birth()] {
        client.send(sent).expect("sent");
    }
    tell(&mut client, &mut rack, tally, celsius);
    (client, rack)
}

fn tell(client: &mut Client, rack: &mut Rack, tally: i64, celsius: i64) {
    rack.time = now();
    client.send(rack.numbers(&[tally * 1000, celsius * 1000])).expect("sent");
}

fn now() -> Time {
    Time::Utc { ms: clock::now().utc_ms }
}

/// The alerts of that name.
fn alerts(hub: &Running, name: &str) -> Vec<Json> {
    let (status, body) = hub.get("/api/v1/alerts");
    assert_eq!(status, 200, "{body}");
    let mut answer: Json = serde_json::from_str(&body).expect("JSON");
    let Json::Array(alerts) = answer["data"]["alerts"].take() else { panic!("no alerts in {body}") };
    alerts.into_iter().filter(|alert| alert["labels"]["alertname"] == name).collect()
}

/// Waits until the first alert of that name is as wanted.
fn alert(hub: &Running, name: &str, wanted: impl Fn(&Json) -> bool) -> Json {
    hub.eventually(name, |hub| alerts(hub, name).into_iter().find(|alert| wanted(alert)))
}

/// Waits until a query is worth that.
fn worth(hub: &Running, query: &str, value: &str) {
    let path = format!("/api/v1/query?query={query}");
    hub.eventually(query, |hub| {
        let answer: Json = serde_json::from_str(&hub.get(&path).1).expect("JSON");
        (answer["data"]["result"][0]["value"][1] == value).then_some(())
    });
}

#[test]
fn an_event_is_an_alert_at_once_and_the_clock_need_not_come_round() {
    let place = Place::with(RULES);
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1, 1, 40);
    worth(&hub, "rackside_tally_active", "1");
    assert!(alerts(&hub, "Off").is_empty());
    rack.time = now();
    let off = What::Sample { catalog: rack.number, series: 0, value: Value::Known(0) };
    client.send(rack.event(off)).expect("sent");
    let alert = alert(&hub, "Off", |alert| alert["state"] == "firing");
    assert_eq!(alert["labels"]["severity"], "critical");
    assert_eq!(alert["annotations"]["summary"], "rack-1 at arena-north is off");
    worth(&hub, "ALERTS%7Balertname=%22Off%22%7D", "1");
}

#[test]
fn silence_resolves_nothing_and_a_hub_that_is_killed_goes_on_where_it_was() {
    let place = Place::with(RULES);
    let hub = Running::start(&place.config);
    let (mut client, rack) = begin(&hub, 1, 1, 60);
    let firing =
        alert(&hub, "Hot", |alert| alert["state"] == "firing" && alert["labels"]["appliance"] == "rack-1");
    assert_eq!(firing["unknownSince"], Json::Null);
    worth(&hub, "site:soc:max", "60");
    client.send(rack.presence(false)).expect("sent");
    let is_unknown =
        |alert: &Json| alert["labels"]["appliance"] == "rack-1" && alert["unknownSince"].is_string();
    let unknown = alert(&hub, "Hot", is_unknown);
    assert_eq!((&unknown["state"], &unknown["activeAt"]), (&Json::from("firing"), &firing["activeAt"]));
    // As those that fire, the appliance's and the site's, and once more as unknown.
    let counted =
        |hub: &Running, state: &str| hub.metric(&format!("rackside_hub_alerts{{state=\"{state}\"}}"));
    hub.eventually("it is counted", |hub| (counted(hub, "unknown") == Some(2.0)).then_some(()));
    assert_eq!(counted(&hub, "firing"), Some(2.0));
    // It is written down soon after.
    std::thread::sleep(std::time::Duration::from_secs(2));
    hub.kill();
    let hub = Running::start(&place.config);
    let after = alert(&hub, "Hot", is_unknown);
    assert_eq!(after["activeAt"], firing["activeAt"], "it goes on");
    let (mut client, mut rack) = begin(&hub, 2, 1, 70);
    let known = alert(&hub, "Hot", |alert| {
        alert["labels"]["appliance"] == "rack-1" && alert["unknownSince"].is_null()
    });
    assert_eq!(known["activeAt"], firing["activeAt"], "it has never ended");
    hub.eventually("it is known", |hub| (counted(hub, "unknown") == Some(0.0)).then_some(()));
    tell(&mut client, &mut rack, 1, 40);
    hub.eventually("it is over", |hub| alerts(hub, "Hot").is_empty().then_some(()));
}

#[test]
fn a_hub_that_cannot_keep_what_it_makes_goes_on_and_says_so() {
    let place = Place::with(RULES);
    let kept = |hub: &Running| {
        let mut answer: Json = serde_json::from_str(&hub.get("/health/detailed").1).expect("JSON");
        answer["details"]["kept"].take()
    };
    let hub = Running::start(&place.config);
    assert_eq!(hub.metric("rackside_hub_kept_up"), Some(1.0));
    assert_eq!(kept(&hub), serde_json::json!({ "up": true, "trouble": null }));
    hub.kill();
    for ending in ["", "-wal", "-shm"] {
        let path = place.directory.path().join(format!("data/hub.db{ending}"));
        if path.exists() {
            fs::remove_file(path).expect("it is ours");
        }
    }
    fs::create_dir(place.directory.path().join("data/hub.db")).expect("nothing is there");
    let hub = Running::start(&place.config);
    assert_eq!(hub.metric("rackside_hub_kept_up"), Some(0.0));
    let said = kept(&hub);
    assert_eq!(said["up"], false);
    assert!(said["trouble"].as_str().is_some_and(|text| text.contains("could not be opened")), "{said}");
    let (_client, _rack) = begin(&hub, 1, 1, 60);
    alert(&hub, "Hot", |alert| alert["state"] == "firing");
}

#[test]
fn a_file_that_changes_is_read_again_and_one_that_is_spoilt_stays_as_it_was() {
    let place = Place::with(RULES);
    let hub = Running::start(&place.config);
    let (_client, _rack) = begin(&hub, 1, 0, 40);
    let names = |hub: &Running| {
        let answer: Json = serde_json::from_str(&hub.get("/api/v1/rules").1).expect("JSON");
        answer["data"]["groups"].as_array().map_or(0, Vec::len)
    };
    hub.eventually("two groups", |hub| (names(hub) == 2).then_some(()));
    place.write("groups: [{name: spoilt, rules: [{alert: 7}]}]");
    hub.expect("own.yml:1");
    assert_eq!(names(&hub), 2);
    hub.eventually("it is counted", |hub| {
        hub.metric("rackside_hub_rule_faults").filter(|faults| *faults > 0.0)
    });
    place.write("groups: [{name: cold, interval: 1s, rules: [{alert: Cold, expr: rackside_soc_temperature_celsius < 50}]}]");
    alert(&hub, "Cold", |alert| alert["state"] == "firing");
    assert_eq!(names(&hub), 1);
}

#[test]
fn what_one_probe_tells_after_an_outage_is_no_word_on_another() {
    let rules =
        "groups: [{name: probes, interval: 1s, rules: [{alert: Down, expr: rackside_probe_success == 0}]}]";
    let place = Place::with(rules);
    let hub = Running::start(&place.config);
    let probes = [
        series("rackside_probe_success", &[("probe", "often")]),
        series("rackside_probe_success", &[("probe", "rare")]),
    ];
    let start = |run: u32, values: [Value; 2]| {
        let mut client =
            Client::connect(&hub.agents, &format!("arena-north/rack-1/{run:08x}")).expect("it connects");
        let mut rack = Rack::new("arena-north", "rack-1").started_again(run);
        rack.time = now();
        for sent in [rack.presence(true), rack.catalog(&probes), rack.birth(), rack.reading(&values)] {
            client.send(sent).expect("sent");
        }
        (client, rack)
    };
    let (mut client, rack) = start(1, [Value::Known(0), Value::Known(0)]);
    hub.eventually("both are down", |hub| (alerts(hub, "Down").len() == 2).then_some(()));
    client.send(rack.presence(false)).expect("sent");
    let unknown =
        |hub: &Running| alerts(hub, "Down").iter().filter(|alert| alert["unknownSince"].is_string()).count();
    hub.eventually("nobody knows", |hub| (unknown(hub) == 2).then_some(()));
    let (mut client, mut rack) = start(2, [Value::Known(1000), Value::Absent]);
    // The first reading was made before the hub heard of the rack; here is one from after that.
    hub.eventually("it is up", |hub| {
        hub.metric("rackside_hub_appliances{state=\"up\"}").filter(|up| *up > 0.0)
    });
    rack.time = now();
    client.send(rack.reading(&[Value::Known(1000), Value::Absent])).expect("sent");
    let left = hub.eventually("one is heard", |hub| Some(alerts(hub, "Down")).filter(|left| left.len() < 2));
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["labels"]["probe"], "rare");
    assert!(left[0]["unknownSince"].is_string());
    rack.time = now();
    client.send(rack.reading(&[Value::Known(1000), Value::Known(1000)])).expect("sent");
    hub.eventually("both are heard", |hub| alerts(hub, "Down").is_empty().then_some(()));
}
