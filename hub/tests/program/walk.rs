//! Every GET of the router, asked by somebody who sees the hall alone, in a fleet that has the hall and the quarry: nothing that is the quarry's is in any answer, and what is asked
//! of the quarry is answered as what is asked of a place that nobody knows.
//!
//! The routes are read from the router's source, so that a new one is walked as well; one whose parameters this test does not know fails it.

use super::access::{FAR, Place, inside};
use super::client::Client;
use super::rack::{Rack, series};
use super::running::{FREE, Running};
use rackside_hub::clock;
use rackside_proto::{Time, Value, What};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// Nobody else has one of these in a name: site, appliance, probe, alert, contact, mute, maintenance.
const SECRET: &str = "quarry";
const NUMBER: &str = "+49 30 1234";

const RULES: &str = "
groups:
- name: by the edge
  rules:
  - alert: Off
    expr: rackside_tally_active == 0
    labels: {severity: critical}
    annotations: {summary: '{{ $labels.appliance }} at {{ $labels.site }} is off'}
  - alert: QuarryOff
    expr: rackside_tally_active{site=\"quarry\"} == 0
    labels: {severity: critical}
    annotations: {description: 'as at quarry-pi'}
  - alert: Either
    expr: rackside_tally_active{site=~\"hall|quarry\"} == 0
    labels: {severity: warning}
  - {record: tally:on, expr: rackside_tally_active}
- name: quarry rules
  rules:
  - {record: tally:quarry, expr: 'sum(rackside_tally_active{site=\"quarry\"})'}
";

fn config(rules: &str) -> String {
    let quarry = "[[site]]\nid = \"quarry\"\nname = \"The quarry\"\ntime_zone = \"Europe/Berlin\"\npublic = true\n\
                  [[site.contact]]\nrole = \"quarry office\"\nname = \"Quarry desk\"\nphone = \"+49 30 1234\"\n\
                  [[site.show]]\nname = \"Quarry opening\"\nstart = \"2026-01-01T10:00\"\nduration = \"1h\"\ndays = [\"mon\", \"fri\"]\n";
    let window = |name: &str, sites: &str| {
        format!(
            "[[maintenance]]\nname = \"{name}\"\n{sites}start = \"2026-01-01T00:00\"\nduration = \"23h\"\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]\n"
        )
    };
    let windows = [
        window("quarry works", "sites = [\"quarry\"]\n"),
        window("works at quarry and hall", "sites = [\"hall\", \"quarry\"]\n"),
        window("works as at quarry", ""),
        window("works by tag quarry", "tags = [\"quarry-tag\"]\n"),
    ];
    format!(
        "{FREE}[rules]\ndefaults = false\ninterval = \"1s\"\nfiles = [{rules:?}]\n[status]\nenabled = true\n\
         [[receiver]]\nname = \"quarry-crew\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n\
         [[site]]\nid = \"hall\"\ntags = [\"south\"]\n{quarry}{}",
        windows.join("")
    )
}

/// A rack whose tally has gone out: an alert, and an entry of the log.
fn begin(hub: &Running, site: &'static str, rack: &'static str) -> Client {
    let mut client = Client::connect(&hub.agents, &format!("{site}/{rack}/00000001")).expect("it connects");
    let probe: &'static str = if site == SECRET { "quarry-cam" } else { "hall-cam" };
    let mut rack = Rack::new(site, rack).started_again(1);
    let now = || Time::Utc { ms: clock::now().utc_ms };
    rack.time = now();
    let list = [
        series("rackside_tally_active", &[("tally", "one")]),
        series("rackside_probe_success", &[("probe", probe), ("type", "http")]),
    ];
    for sent in [rack.presence(true), rack.catalog(&list), rack.birth()] {
        client.send(sent).expect("sent");
    }
    client.send(rack.numbers(&[1000, 1000])).expect("sent");
    rack.time = now();
    let value = Value::Known(0);
    client.send(rack.event(What::Sample { catalog: rack.number, series: 0, value })).expect("sent");
    client
}

/// The router's source says it: `/api/sites/{site}`.
fn routes() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let sources =
        [("", include_str!("../../src/web/mod.rs")), ("/api/v1", include_str!("../../src/web/api/mod.rs"))];
    for (below, source) in sources {
        for call in source.split(".route(").skip(1) {
            let mut parts = call.splitn(3, '"');
            let (Some(path), Some(handlers)) = (parts.nth(1), parts.next()) else { continue };
            let handlers = handlers.split("\n        .").next().unwrap_or_default();
            if handlers.contains("get(") && path.starts_with('/') {
                found.insert(format!("{below}{path}"));
            }
        }
    }
    found
}

/// What a route's parameters are at a place.
struct There {
    site: &'static str,
    appliance: &'static str,
    probe: &'static str,
    alert: String,
}

/// What is asked at a route, beside its path.
fn query(route: &str) -> &'static str {
    match route {
        "/api/v1/query" | "/api/v1/query_exemplars" | "/api/v1/format_query" => {
            "?query=%7B__name__=~%22.%2B%22%7D"
        }
        "/api/v1/query_range" => "?query=%7B__name__=~%22.%2B%22%7D&start=1&end=2&step=1",
        "/api/v1/series" => "?match%5B%5D=%7B__name__=~%22.%2B%22%7D",
        "/sites/{site}/{appliance}/chart.svg"
        | "/sites/{site}/{appliance}/chart.csv"
        | "/api/sites/{site}/{appliance}/chart" => "?series=rackside_tally_active%7Btally=%22one%22%7D",
        _ => "",
    }
}

/// The address of a route at a place; none, if it names something else.
fn address(route: &str, there: &There) -> String {
    let name = match route {
        "/api/v1/label/{name}/values" => "site",
        _ => "quarry-crew",
    };
    let id = if route.contains("alerts") { there.alert.as_str() } else { "1" };
    let path = route
        .replace("{site}", there.site)
        .replace("{appliance}", there.appliance)
        .replace("{probe}", there.probe)
        .replace("{name}", name)
        .replace("{id}", id)
        .replace("{file}", "base.css")
        .replace("{code}", "0000");
    assert!(!path.contains('{'), "say here what {route} is asked for");
    format!("{path}{}", query(route))
}

/// The alert `Off` of each site.
fn alert(hub: &Running, who: &str, site: &str) -> Option<String> {
    let (_, alerts) = hub.send("GET", "/api/alerts?state=firing", who, "");
    let alerts: Json = serde_json::from_str(&alerts).ok()?;
    let mut all = alerts["alerts"].as_array()?.iter();
    let found = all.find(|one| one["labels"]["site"] == site && one["labels"]["alertname"] == "Off");
    found?["id"].as_str().map(str::to_owned)
}

fn leaks(body: &str) -> bool {
    body.to_lowercase().contains(SECRET) || body.contains(NUMBER) || body.contains("+49301234")
}

#[test]
fn no_answer_to_who_sees_one_site_has_a_byte_of_another() {
    let place = Place::new("");
    let rules = place.directory.path().join("own.yml");
    std::fs::write(&rules, RULES).expect("the directory can be written");
    let place = place.with(&config(&rules.display().to_string()));
    let password = "correct horse\n";
    place.done(&["user", "add", "first", "--role", "admin"], password);
    place.done(&["user", "add", "desk", "--role", "operator", "--tag", "south"], password);
    let hub = Running::start(&place.config);
    let _clients = [begin(&hub, "hall", "rack-1"), begin(&hub, SECRET, "quarry-pi")];
    let admin = place.token(&["all", "--scope", "read", "--scope", "act"]);
    let limited = place.token(&["south", "--scope", "read", "--scope", "act", "--tag", "south"]);
    let desk = format!("{FAR}{}", inside(&hub, "desk"));
    let theirs = hub.eventually("the quarry's alert fires", |hub| alert(hub, &admin, SECRET));
    let own = hub.eventually("the hall's alert fires", |hub| alert(hub, &admin, "hall"));
    hub.eventually("the rules have made series", |hub| {
        hub.send("GET", "/api/v1/query?query=tally:quarry", &admin, "").1.contains("\"value\"").then_some(())
    });
    let until = clock::now().utc_ms + 3_600_000;
    for (matcher, comment) in [
        (r#"site=\"quarry\""#, "quarry mute"),
        (r#"site=~\"hall|quarry\""#, "both"),
        (r#"alertname=\"QuarryOff\""#, "a day off"),
    ] {
        let body = format!(
            r#"{{"matchers":["{matcher}"],"ends_at":{until},"by":"quarry desk","comment":"{comment}"}}"#
        );
        let head = format!("{admin}Content-Type: application/json\r\n");
        assert_eq!(hub.send("POST", "/api/silences", &head, &body).0, 201);
    }
    for at in [r#""site":"quarry","name":"Quarry works""#, r#""tag":"south","name":"as at the quarry""#] {
        let body = format!(r#"{{{at},"ends_at":{until},"by":"quarry desk","comment":"quarry switch"}}"#);
        let head = format!("{admin}Content-Type: application/json\r\n");
        assert_eq!(hub.send("POST", "/api/maintenance", &head, &body).0, 201);
    }
    let incident = r#"{"site":"quarry","title":"Quarry is dark","text":"no light"}"#;
    let head = format!("{admin}Content-Type: application/json\r\n");
    assert_eq!(hub.send("POST", "/api/incidents", &head, incident).0, 201);

    let here = There { site: "hall", appliance: "rack-1", probe: "hall-cam", alert: own };
    let there = There { site: SECRET, appliance: "quarry-pi", probe: "quarry-cam", alert: theirs };
    let nowhere = There { site: "nowhere", appliance: "no-pi", probe: "no-cam", alert: "00".repeat(8) };
    // A line without an end has a test of its own; what the public is told is for everybody.
    let walked: Vec<String> = routes()
        .into_iter()
        .filter(|route| !["/api/live", "/status", "/status/feed", "/api/status"].contains(&route.as_str()))
        .collect();
    assert!(walked.len() > 50, "{walked:?}");
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for route in &walked {
        for who in [&desk, &limited] {
            let (status, body) = hub.send("GET", &address(route, &here), who, "");
            seen += usize::from(status == 200);
            if leaks(&body) {
                wrong.push(format!("{route}: {status} {body}"));
            }
            if !route.contains("{site}") && !route.contains("{id}") {
                continue;
            }
            let answer = |of: &There| {
                let (status, body) = hub.send("GET", &address(route, of), who, "");
                let names = [of.site, of.appliance, of.probe, of.alert.as_str()];
                // What was asked may be said back.
                (status, names.iter().fold(body, |body, name| body.replace(name, "?")))
            };
            let (status, body) = answer(&there);
            if status == 200 && !route.contains("/mutes") || leaks(&body) {
                wrong.push(format!("{route} of the other: {status} {body}"));
            }
            if answer(&nowhere).0 != status {
                wrong.push(format!("{route}: {status} tells the other from nothing"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(seen > 60, "{seen} answers had something to tell");
    // It would be seen, if it were told.
    for route in [
        "/api/maintenance",
        "/api/shows",
        "/api/incidents",
        "/api/receivers",
        "/api/v1/rules",
        "/api/silences",
    ] {
        assert!(leaks(&hub.send("GET", route, &admin, "").1), "{route}");
    }
    let (_, rules) = hub.send("GET", "/api/v1/rules", &limited, "");
    assert!(rules.contains("\"Off\"") && rules.contains("\"Either\""), "{rules}");
}
