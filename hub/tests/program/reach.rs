//! Whoever sees some sites alone: what no page and no answer of the API tells them of any other.

use super::access::{FAR, Place, inside};
use super::client::Client;
use super::rack::{Rack, series};
use super::running::{FREE, Running};
use rackside_hub::clock;
use rackside_proto::{Time, Value, What};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const RULES: &str = "
groups:
- name: by the edge
  rules:
  - alert: Off
    expr: rackside_tally_active == 0
    labels: {severity: critical}
    annotations: {summary: '{{ $labels.appliance }} at {{ $labels.site }} is off'}
  - {record: tally:on, expr: rackside_tally_active}
";
/// Nobody else has this in a name.
const SECRET: &str = "quarry";

fn now() -> Time {
    Time::Utc { ms: clock::now().utc_ms }
}

/// A rack whose tally has gone out: an alert, and an entry of the log.
fn begin(hub: &Running, site: &'static str) -> Client {
    let mut client = Client::connect(&hub.agents, &format!("{site}/rack-1/00000001")).expect("it connects");
    let mut rack = Rack::new(site, "rack-1").started_again(1);
    rack.time = now();
    let list = [series("rackside_tally_active", &[("tally", "one")])];
    for sent in [rack.presence(true), rack.catalog(&list), rack.birth()] {
        client.send(sent).expect("sent");
    }
    client.send(rack.numbers(&[1000])).expect("sent");
    rack.time = now();
    let value = Value::Known(0);
    client.send(rack.event(What::Sample { catalog: rack.number, series: 0, value })).expect("sent");
    client
}

fn start() -> (Place, Running, [Client; 2]) {
    let place = Place::new("");
    let rules = place.directory.path().join("own.yml");
    std::fs::write(&rules, RULES).expect("the directory can be written");
    let rules = format!("[rules]\ndefaults = false\nfiles = [{:?}]\n", rules.display().to_string());
    let sites = "[[site]]\nid = \"hall\"\ntags = [\"south\"]\n[[site]]\nid = \"quarry\"\nname = \"The quarry\"\n\
                 [[site.contact]]\nrole = \"quarry office\"\nphone = \"+49 30 1234\"\n";
    let place = place.with(&format!("{FREE}{rules}{sites}"));
    let password = "correct horse\n";
    place.done(&["user", "add", "first", "--role", "admin"], password);
    place.done(&["user", "add", "desk", "--role", "operator", "--tag", "south"], password);
    let hub = Running::start(&place.config);
    let clients = [begin(&hub, "hall"), begin(&hub, SECRET)];
    (place, hub, clients)
}

/// Everything that can be read, of which the answer is the same for whoever asks but for what they see.
const PATHS: [&str; 24] = [
    "/",
    "/?q=rack",
    "/sites/hall",
    "/alerts",
    "/log",
    "/settings",
    "/settings/boxes",
    "/metrics",
    "/health/detailed",
    "/api/sites",
    "/api/alerts",
    "/api/silences",
    "/api/receivers",
    "/api/log",
    "/api/v1/query?query=rackside_tally_active",
    "/api/v1/query?query=ALERTS",
    "/api/v1/query?query=tally:on",
    "/api/v1/query?query=count+by+(site)+(%7B__name__=~%22rackside.%2B%22%7D)",
    "/api/v1/series?match%5B%5D=rackside_tally_active",
    "/api/v1/series?match%5B%5D=%7B__name__=~%22.%2B%22%7D",
    "/api/v1/label/site/values",
    "/api/v1/rules",
    "/api/v1/alerts",
    "/api/v1/labels",
];

#[test]
fn who_is_limited_to_a_site_is_told_nothing_of_another() {
    let (place, hub, _clients) = start();
    let admin = place.token(&["all"]);
    let limited = place.token(&["south", "--scope", "read", "--scope", "act", "--tag", "south"]);
    let desk = format!("{FAR}{}", inside(&hub, "desk"));
    hub.eventually("both alerts fire", |hub| {
        let (_, alerts) = hub.send("GET", "/api/alerts", &admin, "");
        (alerts.matches("\"state\":\"firing\"").count() == 2).then_some(())
    });
    hub.eventually("the recorded series is there", |hub| {
        let (_, found) = hub.send("GET", "/api/v1/query?query=tally:on", &admin, "");
        (found.contains(SECRET) && found.contains("hall")).then_some(())
    });
    let mut leaks = Vec::new();
    for path in PATHS {
        let (status, all) = hub.send("GET", path, &admin, "");
        if !path.starts_with("/settings") {
            assert_eq!(status, 200, "{path}: {all}");
        }
        for who in [&desk, &limited] {
            let (status, body) = hub.send("GET", path, who, "");
            assert!(status == 200 || path.starts_with("/settings"), "{path}: {status} {body}");
            if body.to_lowercase().contains(SECRET) {
                leaks.push(format!("{path}: {body}"));
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n\n"));
    // Of these the test would see it, if it were told.
    for path in [
        "/",
        "/alerts",
        "/api/sites",
        "/api/alerts",
        "/metrics",
        "/api/v1/rules",
        "/api/v1/label/site/values",
    ] {
        let (_, all) = hub.send("GET", path, &admin, "");
        assert!(all.contains(SECRET), "{path}");
        assert!(hub.send("GET", path, &desk, "").1.contains("hall"), "{path} tells of the hall");
    }
}

#[test]
fn what_is_another_sites_is_not_there_for_who_does_not_see_it() {
    let (place, hub, _clients) = start();
    let admin = place.token(&["all", "--scope", "read", "--scope", "act"]);
    let limited = place.token(&["south", "--scope", "read", "--scope", "act", "--tag", "south"]);
    let alert = hub.eventually("its alert fires", |hub| {
        let (_, alerts) = hub.send("GET", "/api/alerts", &admin, "");
        let alerts: serde_json::Value = serde_json::from_str(&alerts).ok()?;
        let mut alerts = alerts["alerts"].as_array()?.iter();
        let found = alerts.find(|alert| alert["labels"]["site"] == SECRET && alert["state"] == "firing");
        found?["id"].as_str().map(str::to_owned)
    });
    let get = |path: &str| hub.send("GET", path, &limited, "").0;
    assert_eq!((get("/sites/quarry"), get(&format!("/alerts/{alert}"))), (404, 404));
    let chart = "series=rackside_tally_active%7Btally=%22one%22%7D";
    for path in [
        "/api/sites/quarry",
        "/api/sites/quarry/rack-1",
        "/api/sites/quarry/rack-1/series",
        "/sites/quarry/rack-1",
        &format!("/sites/quarry/rack-1/chart.svg?{chart}"),
        &format!("/sites/quarry/rack-1/chart.csv?{chart}"),
        &format!("/api/sites/quarry/rack-1/chart?{chart}"),
        "/api/sites/quarry/rack-1/latest",
    ] {
        assert_eq!((get(path), get(&path.replace(SECRET, "hall"))), (404, 200), "{path}");
    }
    assert_eq!(get(&format!("/api/alerts/{alert}")), 404);
    let form = format!("{limited}Content-Type: application/x-www-form-urlencoded\r\n");
    let post = |path: &str, body: &str| hub.send("POST", path, &form, body).0;
    assert_eq!(post(&format!("/alerts/{alert}"), "do=acknowledge&who=a"), 404);
    assert_eq!(post("/sites/quarry", "do=on_air"), 404);
    let until = clock::now().utc_ms + 3_600_000;
    let mute =
        |matcher: &str| format!(r#"{{"matchers":["{matcher}"],"ends_at":{until},"by":"a","comment":"b"}}"#);
    let json = "Content-Type: application/json\r\n";
    let posted =
        |who: &str, matcher: &str| hub.send("POST", "/api/silences", &format!("{json}{who}"), &mute(matcher));
    for matcher in
        [r#"site=\"quarry\""#, r#"alertname=\"Off\""#, r#"site=~\"hall|quarry\""#, r#"site!=\"hall\""#]
    {
        assert_eq!(posted(&limited, matcher).0, 403, "{matcher}");
    }
    assert_eq!(posted(&limited, r#"site=\"hall\""#).0, 201);
    let (status, theirs) = posted(&admin, r#"site=\"quarry\""#);
    let theirs: serde_json::Value = serde_json::from_str(&theirs).expect("JSON");
    assert_eq!(status, 201);
    let theirs = format!("/api/silences/{}", theirs["id"]);
    assert_eq!(hub.send("DELETE", &theirs, &limited, "").0, 404);
    let change = hub.send("PUT", &theirs, &format!("{json}{limited}"), &mute(r#"site=\"hall\""#)).0;
    assert_eq!(change, 404, "nor taken over");
    assert_eq!(hub.send("DELETE", &theirs, &admin, "").0, 204);
}

#[test]
fn who_is_limited_to_a_site_announces_maintenance_there_alone() {
    let (place, hub, _clients) = start();
    let admin = place.token(&["all", "--scope", "read", "--scope", "act"]);
    let limited = place.token(&["south", "--scope", "read", "--scope", "act", "--tag", "south"]);
    let looks = place.token(&["looks", "--scope", "read"]);
    hub.eventually("both are heard", |hub| {
        let (_, sites) = hub.send("GET", "/api/sites", &admin, "");
        (sites.matches("\"rack-1\"").count() >= 2).then_some(())
    });
    let until = clock::now().utc_ms + 3_600_000;
    let announce = |who: &str, at: &str| {
        let body = format!(r#"{{{at},"ends_at":{until},"by":"a","comment":"the quarry's switch"}}"#);
        let head = format!("Content-Type: application/json\r\n{who}");
        let (status, said) = hub.send("POST", "/api/maintenance", &head, &body);
        let said: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
        (status, said["id"].as_u64().unwrap_or(0))
    };
    for (at, code) in [
        (r#""site":"quarry""#, 404),
        (r#""site":"quarry","appliance":"rack-1""#, 404),
        (r#""site":"nowhere""#, 404),
        (r#""site":"hall","appliance":"rack-9""#, 404),
        (r#""tag":"south""#, 403),
        (r#""site":"hall","tag":"south""#, 400),
        (r#""appliance":"rack-1""#, 400),
        (r#""site":"hall","days":3"#, 400),
    ] {
        assert_eq!(announce(&limited, at).0, code, "{at}");
    }
    assert_eq!(announce(&looks, r#""site":"hall""#).0, 403);
    assert_eq!(announce(&limited, r#""site":"hall","appliance":"rack-1""#), (201, 1));
    assert_eq!(announce(&admin, r#""site":"quarry""#), (201, 2));
    assert_eq!(announce(&admin, r#""tag":"south","name":"Quarry works""#), (201, 3));
    let list = |who: &str| hub.send("GET", "/api/maintenance", who, "").1;
    assert_eq!(list(&admin).matches("the quarry's switch").count(), 3);
    // Their own in full; of what is others' as well, when it is.
    let theirs = list(&limited);
    assert_eq!(
        (theirs.matches("\"sites\":[\"hall\"]").count(), theirs.matches("the quarry's").count()),
        (2, 1)
    );
    assert!(!theirs.contains("Quarry works") && !theirs.contains("\"id\":3"), "{theirs}");
    let end = |who: &str, id: u64| hub.send("DELETE", &format!("/api/maintenance/{id}"), who, "").0;
    assert_eq!((end(&looks, 1), end(&limited, 2), end(&limited, 3), end(&limited, 9)), (403, 404, 404, 404));
    assert_eq!((end(&limited, 1), end(&admin, 2), end(&admin, 3), end(&admin, 3)), (204, 204, 204, 409));
    assert_eq!(list(&admin).matches("the quarry's switch").count(), 0);
    // One that is far off is on the page, where it can be called off.
    let (from, to) = (until + 60 * 86_400_000, until + 61 * 86_400_000);
    let body =
        format!(r#"{{"site":"quarry","starts_at":{from},"ends_at":{to},"by":"a","comment":"far off"}}"#);
    let head = format!("Content-Type: application/json\r\n{admin}");
    assert_eq!(hub.send("POST", "/api/maintenance", &head, &body).0, 201);
    let page = hub.send("GET", "/maintenance", &admin, "").1;
    assert!(page.contains("far off") && page.contains("Call off"), "{page}");
    // A page, with a session: what is not theirs is not offered.
    let desk = format!("{FAR}{}", inside(&hub, "desk"));
    let page = hub.send("GET", "/maintenance?at=site/quarry", &desk, "").1;
    assert!(page.contains("value=\"site/hall\"") && !page.contains(SECRET), "{page}");
    let form = format!("{desk}Content-Type: application/x-www-form-urlencoded\r\n");
    let sent = hub.send("POST", "/maintenance", &form, "at=site/hall&for=1h&comment=x");
    assert_eq!(sent.0, 403, "without what its session wants: {}", sent.1);
}

#[test]
fn live_updates_are_of_ones_own_sites() {
    let (place, hub, _clients) = start();
    let limited = place.token(&["south", "--tag", "south"]);
    let admin = place.token(&["all"]);
    let first = |who: &str| {
        let mut stream = TcpStream::connect(hub.web()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
        let head = format!("GET /api/live HTTP/1.1\r\nHost: {}\r\n{who}\r\n", hub.web());
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.find(|line| line.starts_with("data: ") && line.contains("hall")).expect("all rows")
    };
    hub.eventually("the other one is there", |_| first(&admin).contains(SECRET).then_some(()));
    assert!(!first(&limited).contains(SECRET));
}

#[test]
fn live_updates_end_with_the_token_that_they_came_by() {
    let (place, hub, _clients) = start();
    let token = place.token(&["wall"]);
    let mut stream = TcpStream::connect(hub.web()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    let head = format!("GET /api/live HTTP/1.1\r\nHost: {}\r\n{token}\r\n", hub.web());
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        assert_ne!(reader.read_line(&mut line).expect("an answer"), 0, "it ended early");
    }
    place.done(&["token", "revoke", "wall"], "");
    let began = clock::now();
    // The end of a chunked body is its end, whether or not the connection stays.
    while line != "0\r\n" {
        line.clear();
        let read = reader.read_line(&mut line).expect("something within half a minute");
        assert!(clock::now().since(began.instant) < Duration::from_mins(1), "it goes on");
        if read == 0 {
            break;
        }
    }
}
