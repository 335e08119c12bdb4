//! An appliance's page: its charts in the browser that people have, and what they are drawn of, held against PromQL.

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::browser::Browser;
use rackside_tests::clock;
use rackside_tests::hub::Hub;
use serde_json::Value as Json;

fn expect(browser: &mut Browser, what: &str, expression: &str) {
    let found = clock::eventually(RECOVERY, || (browser.evaluate(expression) == true).then_some(()));
    assert!(found.is_some(), "{what}: {expression}\n{}", browser.evaluate("document.body.innerText"));
}

fn json(hub: &Hub, path: &str) -> Json {
    let body = hub.body(path);
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
}

/// Samples of the last five minutes up to `at`, in seconds since 1970, as PromQL has them.
fn by_query(hub: &Hub, at: u64) -> Vec<(String, f64)> {
    let path = format!("/api/v1/query?query=rackside_load1%5B5m%5D&time={at}");
    let answer = json(hub, &path);
    let values = answer["data"]["result"][0]["values"].as_array().cloned().unwrap_or_default();
    let pair = |pair: &Json| {
        let value = pair[1].as_str().and_then(|text| text.parse().ok()).expect("a number");
        (format!("{:.3}", pair[0].as_f64().expect("a time")), value)
    };
    values.iter().map(pair).collect()
}

#[test]
fn a_csv_file_says_what_promql_says_of_the_same_time() {
    let hub = Hub::start();
    let mut agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let several = || (by_query(&hub, clock::unix_ms() / 1000).len() >= 3).then_some(());
    clock::eventually(RECOVERY, several).expect("three readings");
    // What is asked twice must not grow meanwhile.
    agent.stop();
    let at = clock::unix_ms() / 1000;
    let asked = by_query(&hub, at);
    // Of a time that is asked for the end is not in it; in a window of PromQL it is.
    let time = format!("from={}&to={at}.001", at - 300);
    let file = hub.body(&format!("/sites/arena-north/rack-1/chart.csv?series=rackside_load1&{time}"));
    let mut lines = file.split("\r\n");
    assert_eq!(lines.next(), Some("time,rackside_load1"));
    let rows: Vec<(&str, f64)> = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(',').expect("two cells"))
        .map(|(time, value)| (time, value.parse().expect("a number")))
        .collect();
    let values = |all: &[(String, f64)]| all.iter().map(|row| row.1).collect::<Vec<_>>();
    assert_eq!(rows.iter().map(|row| row.1).collect::<Vec<_>>(), values(&asked), "{file}");
    for ((time, _), (seconds, _)) in rows.iter().zip(&asked) {
        let (_, of_query) = seconds.split_once('.').expect("milliseconds");
        assert!(time.ends_with(&format!(".{of_query}Z")), "{time} is not {seconds}");
    }
    let chart = json(&hub, &format!("/api/sites/arena-north/rack-1/chart?series=rackside_load1&{time}"));
    let columns = chart["series"][0]["columns"].as_array().cloned().unwrap_or_default();
    let most = columns.iter().filter_map(|column| column["max"].as_f64()).fold(f64::MIN, f64::max);
    let highest = asked.iter().map(|row| row.1).fold(f64::MIN, f64::max);
    assert!((most - highest).abs() < 1e-9, "{most} and {highest}");
    for (path, what) in [
        ("/api/sites/arena-north/rack-9/chart?series=x", "no appliance"),
        ("/api/sites/arena-north/rack-1/chart?series=x%2By", "is no series"),
        ("/api/sites/arena-north/rack-1/chart?series=x&range=2h", "no range"),
    ] {
        let problem = json(&hub, path);
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(what)), "{path}: {problem}");
    }
}

#[test]
fn an_appliance_shows_every_series_and_a_cursor_over_all_charts() {
    let hub = Hub::start();
    let _agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let page = format!("http://{}/sites/arena-north/rack-1?range=1h", hub.web());
    let mut browser = Browser::open(&page, 1280, 800);
    let series = json(&hub, "/api/sites/arena-north/rack-1/series?limit=1000");
    for one in series["series"].as_array().expect("a list") {
        let id = one["id"].as_str().expect("an id");
        let is_there = format!(
            "[...document.querySelectorAll('.chart-box')].some(box => box.dataset.series === {id:?})"
        );
        assert_eq!(browser.evaluate(&is_there), true, "{id} has a chart");
    }
    let broken = "document.body.innerText.match(/NaN|undefined|\\[object/) === null";
    assert_eq!(browser.evaluate(broken), true, "nothing is told that is nothing");
    // A box of this series, and the pointer over where it was last measured.
    let load = "document.querySelector('[data-series=\"rackside_load1\"]')";
    browser.evaluate(&format!(
        "(() => {{ const svg = {load}.querySelector('svg'); svg.scrollIntoView(); const at = svg.getBoundingClientRect(); \
         const place = {{ bubbles: true, clientX: at.left + at.width * 389 / 400, clientY: at.top + 20 }}; \
         svg.dispatchEvent(new PointerEvent('pointermove', place)); }})()"
    ));
    expect(
        &mut browser,
        "the cursor tells time and value",
        &format!("/: [0-9.]+/.test({load}.querySelector('.chart-foot span').textContent)"),
    );
    let lines = "document.querySelectorAll('.chart-cursor').length === document.querySelectorAll('.chart-box').length";
    expect(&mut browser, "on all charts at once", lines);
    for (width, height) in [(360, 740), (1280, 800)] {
        let mut browser = Browser::open(&page, width, height);
        let wide = browser.evaluate("document.documentElement.scrollWidth");
        assert_eq!(wide, Json::from(width), "nothing sticks out to the side");
    }
}
