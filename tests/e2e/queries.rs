//! PromQL at a running hub: promtool takes it for a Prometheus, so does what Grafana sends; and whatever is asked, telemetry goes on.

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::http::{Answer, Connection};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::prometheus::urlencoded;
use rackside_tests::{clock, measure, programs};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// An appliance that has been heard, and its hub.
fn heard(more: &str) -> (Hub, Agent) {
    let hub = Hub::with(Way::Listener, &programs::programs().hub, more);
    let agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    (hub, agent)
}

fn post(hub: &Hub, path: &str, form: &[(&str, &str)]) -> Answer {
    let mut connection = Connection::to(hub.web()).expect("it listens");
    let answer = connection.post(&format!("/api/v1/{path}"), FORM, urlencoded(form).as_bytes());
    answer.unwrap_or_else(|error| panic!("{path} {form:?}: {error}\n{}", hub.last_words()))
}

/// `data` of an answer that is one.
fn data(answer: &Answer) -> Value {
    let json: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, &json["status"]), (200, &json!("success")), "{}", answer.body);
    json["data"].clone()
}

fn got(hub: &Hub, path: &str) -> Value {
    let mut connection = Connection::to(hub.web()).expect("it listens");
    data(&connection.ask("GET", &format!("/api/v1/{path}"), "", b"").expect("an answer"))
}

/// Waits until the hub has a value for an expression; the first one, as it is written.
fn value(hub: &Hub, query: &str) -> String {
    let found = clock::eventually(RECOVERY, || {
        let data = data(&post(hub, "query", &[("query", query)]));
        data["result"][0]["value"][1].as_str().map(ToOwned::to_owned)
    });
    found.unwrap_or_else(|| panic!("{query} has no value\n{}", hub.last_words()))
}

fn promtool(hub: &Hub, words: &[&str]) -> String {
    let mut command = Command::new(programs::installed("promtool"));
    // The server stands after the options and before what is asked of it.
    let at = words.iter().skip(2).position(|word| !word.starts_with("--")).map_or(words.len(), |at| at + 2);
    command.args(&words[..at]).arg(format!("http://{}", hub.web())).args(&words[at..]);
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn promtool_takes_the_hub_for_a_prometheus() {
    let (hub, _agent) = heard("");
    let total = value(&hub, "rackside_memory_total_bytes");
    let query = "rackside_memory_total_bytes / 2 * 2";
    let labels = format!("{{appliance=\"{}\", site=\"{}\"}}", RACK.1, RACK.0);
    let said = promtool(&hub, &["query", "instant", query]);
    assert!(said.starts_with(&format!("{labels} => {total} @[")), "{said}");
    let said = promtool(&hub, &["query", "range", "--step=1s", query]);
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some(format!("{labels} =>").as_str()), "{said}");
    assert!(lines.next().is_some_and(|line| line.starts_with(&format!("{total} @["))), "{said}");
    let said = promtool(&hub, &["query", "series", "--match=rackside_memory_total_bytes"]);
    let series = format!("appliance=\"{}\", site=\"{}\"", RACK.1, RACK.0);
    assert!(said.contains("rackside_memory_total_bytes") && said.contains(&series), "{said}");
    assert_eq!(promtool(&hub, &["query", "labels", "site"]), format!("{}\n", RACK.0));
}

/// What its data source of type Prometheus asks for, one after the other.
#[test]
fn grafana_finds_what_it_asks_for() {
    let (hub, _agent) = heard("");
    value(&hub, "rackside_load1");
    // Save & test.
    let test = data(&post(&hub, "query", &[("query", "1+1"), ("time", "1795145096.123")]));
    assert_eq!(test, json!({"resultType": "scalar", "result": [1_795_145_096.123, "2"]}));
    assert_eq!(got(&hub, "status/buildinfo")["version"], "2.42.0");
    assert_eq!(got(&hub, "rules")["groups"].as_array().map(|_| ()), Some(()));
    // The metrics browser and its hints.
    let span = "start=1600000000&end=2600000000";
    let names = got(&hub, &format!("label/__name__/values?{span}"));
    let names: Vec<&str> = names.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(names.contains(&"rackside_load1") && names.is_sorted(), "{names:?}");
    let load = &got(&hub, "metadata?limit=5000")["rackside_load1"][0];
    assert_eq!((&load["type"], &load["unit"]), (&json!("gauge"), &json!("")));
    assert_eq!(
        got(&hub, "metadata?metric=rackside_hub_acks_total")["rackside_hub_acks_total"][0]["type"],
        "counter"
    );
    // Variables: label_values(rackside_load1, site), and names for the builder.
    let form = [("match[]", "rackside_load1"), ("start", "1600000000"), ("end", "2600000000")];
    let series = json!([{"__name__": "rackside_load1", "appliance": RACK.1, "site": RACK.0}]);
    assert_eq!(data(&post(&hub, "series", &form)), series);
    assert_eq!(data(&post(&hub, "labels", &form)), json!(["__name__", "appliance", "site"]));
    assert_eq!(got(&hub, &format!("label/site/values?match[]=rackside_load1&{span}")), json!([RACK.0]));
    // A panel, and what stands beside it.
    let panel = [
        ("query", "rackside_load1{site=~\".+\"}"),
        ("start", "1795145090"),
        ("end", "1795145100"),
        ("step", "5"),
    ];
    assert_eq!(data(&post(&hub, "query_range", &panel))["resultType"], "matrix");
    assert_eq!(data(&post(&hub, "query_exemplars", &panel[..3])), json!([]));
    assert_eq!(
        data(&post(&hub, "format_query", &[("query", "sum  by(site)(rackside_load1)")])),
        "sum by (site) (rackside_load1)"
    );
}

/// Expressions that nobody should ask: long ones, wide ones, and such as grow with every step.
const WORST: [&str; 5] = [
    "count_values(\"v\", {__name__=~\".+\"})",
    "sum_over_time(sum(max_over_time({__name__=~\"r.*\"}[1h]))[7d:1s])",
    "{__name__=~\".*a.*e.*s.*\"} * on(__name__, site, appliance) group_left {__name__=~\".+\"}",
    "quantile_over_time(0.5, rackside_load1[1d:1ms])",
    "vector(1)[100d:1ms]",
];

/// What queries may hold there: each so much, two at a time.
const LIMITS: &str = "[query]\nconcurrency = 2\ntimeout = \"1s\"\nmemory = \"16 MiB\"\n";
/// As much again for what values do not count: texts of labels, what the allocator keeps, the answer as text. In KiB.
const MOST: u64 = 2 * 16 * 1024 * 2;

#[test]
fn the_worst_queries_end_in_a_clear_error_and_telemetry_goes_on() {
    let (hub, _agent) = heard(LIMITS);
    let before_them = measure::peak(hub.id());
    let is_over = AtomicBool::new(false);
    let taken = || hub.count("rackside_hub_records_total");
    let acked = || hub.count("rackside_hub_acks_total");
    let before = (taken(), acked());
    let went_on = std::thread::scope(|scope| {
        for first in 0..4 {
            let (hub, is_over) = (&hub, &is_over);
            scope.spawn(move || {
                for query in WORST.iter().cycle().skip(first) {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let answer = post(hub, "query", &[("query", query)]);
                    assert!(
                        matches!(answer.status, 200 | 422 | 503),
                        "{query}: {} {}",
                        answer.status,
                        answer.body
                    );
                }
            });
        }
        let went_on = clock::eventually(Duration::from_mins(3), || {
            let refused = hub.metrics().value("rackside_hub_queries_total", &[("outcome", "execution")]);
            let refused = refused >= Some(5.0);
            (refused && taken() >= before.0 + 5 && acked() >= before.1 + 5).then_some(())
        });
        is_over.store(true, Ordering::Relaxed);
        went_on
    });
    let said = hub.appliance(RACK.0, RACK.1);
    assert!(
        went_on.is_some(),
        "records and acks from {before:?} to {:?}, {said:?}\n{}",
        (taken(), acked()),
        hub.last_words()
    );
    assert_eq!(hub.count("rackside_hub_lost_total"), 0);
    let more = measure::peak(hub.id()).saturating_sub(before_them);
    assert!(more <= MOST, "queries took {more} KiB beside {before_them} KiB, and may take {MOST}");
    let answer = post(&hub, "query", &[("query", WORST[4])]);
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(answer.body.contains("query processing would take too many"), "{}", answer.body);
}
