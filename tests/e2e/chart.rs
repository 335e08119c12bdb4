//! An appliance's page: its charts in the browser that people have, and what they are drawn of, held against PromQL; what it says of a box that is dead, and of a hub that is gone.

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::browser::Browser;
use rackside_tests::clock;
use rackside_tests::hub::Hub;
use serde_json::Value as Json;
use tempfile::TempDir;

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

const PAGE: &str = "/sites/arena-north/rack-1";

/// An agent with an LED and a probe that is well: it asks its hub's own port.
fn with_panel_and_probe(hub: &Hub, directory: &TempDir) -> Agent {
    let mut options = AgentOptions::new(RACK.0, RACK.1, hub.mqtt());
    options.top = format!(
        "[panel]\nsimulated = \"{}\"\n[[led]]\nname = \"rack\"\nred = 23\ngreen = 24\n\
         [[probe.tcp]]\nname = \"port\"\ntarget = \"{}\"\nevery = \"1s\"\n",
        directory.path().display(),
        hub.mqtt()
    );
    Agent::start(&options)
}

/// How its only probe stands, in JSON, once it is told at all: an agent that has just started has none yet.
fn expect_probe(hub: &Hub, state: &str) -> Json {
    let told = || {
        let all = json(hub, &format!("/api{PAGE}"));
        all["probes"].as_array()?.first().filter(|probe| probe["state"] == state).cloned()
    };
    clock::eventually(RECOVERY, told)
        .unwrap_or_else(|| panic!("the probe is not {state}: {}", hub.body(&format!("/api{PAGE}"))))
}

/// What is shown of a series beside its chart.
fn last(metric: &str) -> String {
    format!("document.querySelector('[data-series^=\"{metric}\"] .chart-last')")
}

#[test]
fn a_dead_rack_is_shown_as_dead_and_what_it_said_last_as_old() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let hub = Hub::start();
    let mut agent = with_panel_and_probe(&hub, &directory);
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    expect_probe(&hub, "well");
    let mut browser = Browser::open(&format!("http://{}{PAGE}", hub.web()), 1280, 800);
    browser.evaluate("window.notReloaded = true");
    let (led, banner) = (last("rackside_led_state"), "document.querySelector('.banner.gone')");
    expect(&mut browser, "the LED is told", &format!("{led}.textContent.trim() === 'well'"));
    assert_eq!(browser.evaluate(&format!("{banner} === null && !{led}.classList.contains('old')")), true);
    let backlog = "[...document.querySelectorAll('.facts > div')].find(one => one.textContent.startsWith('Backlog')).innerText";
    assert_eq!(browser.evaluate(&format!("/[0-9] records/.test({backlog})")), true);
    assert_eq!(browser.evaluate(&format!("{backlog}.includes('last')")), false, "it is what it has now");
    agent.kill();
    expect(&mut browser, "it is told first", &format!("{banner}?.innerText.startsWith('Not heard since')"));
    let badge = "document.querySelector('.appliance-head .badge').innerText.trim()";
    assert_eq!(browser.evaluate(badge), Json::from("down"));
    expect(
        &mut browser,
        "the LED is what it was, some time ago",
        &format!("{led}.classList.contains('old') && /^well .+ ago$/.test({led}.innerText)"),
    );
    let row = "document.querySelector('.probes tbody tr').innerText.replace(/\\s+/g, ' ')";
    expect(&mut browser, "nobody knows its probe", &format!("/port tcp unknown was well/.test({row})"));
    let of_catalog = "[...document.querySelectorAll('#catalog ~ table tr, [data-of]')].every(one => \
                      one.querySelector('[data-label=\"Last value\"]').classList.contains('old'))";
    expect(&mut browser, "no value of its list is as of now", of_catalog);
    expect(&mut browser, "nor its backlog", &format!("{backlog}.includes('when it was heard last')"));
    assert_eq!(expect_probe(&hub, "unknown")["was"], "well", "the same in JSON");
    assert_eq!(browser.evaluate("window.notReloaded"), Json::from(true), "all on one page");
    browser.assert_sound_here("a dead rack");
}

#[test]
fn an_appliances_page_says_when_the_hub_is_gone_and_recovers_by_itself() {
    let mut hub = Hub::start();
    let _agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let mut browser = Browser::open(&format!("http://{}{PAGE}", hub.web()), 1280, 800);
    browser.evaluate("window.notReloaded = true");
    expect(&mut browser, "the page is live", "document.body.dataset.line === 'live'");
    hub.kill();
    let lost = "document.getElementById('lost')";
    expect(
        &mut browser,
        "it says so",
        &format!(
            "!{lost}.hidden && /^Not live. The hub has not answered since [0-9:]+/.test({lost}.innerText)"
        ),
    );
    expect(&mut browser, "in its tab as well", "document.title.startsWith('(not live) arena-north rack-1')");
    let grey = "(() => { const soft = getComputedStyle(document.querySelector('.legend')).color; \
                return [...document.querySelectorAll('main h1, main .badge, main .chart-last, main a')] \
                .every(one => getComputedStyle(one).color === soft); })()";
    expect(&mut browser, "what it shows is grey", grey);
    let told = "new Promise(done => { let told = 0; \
                const watch = new MutationObserver(all => (told += all.length)); \
                const how = { subtree: true, childList: true, characterData: true, attributes: true }; \
                for (const one of document.querySelectorAll('[role=status]')) watch.observe(one, how); \
                setTimeout(() => done(told), 2500); })";
    assert_eq!(browser.evaluate(told), Json::from(0), "a screen reader is told once, and not each second");
    browser.assert_sound_here("an appliance without its hub");
    // All of them: one alone may be the same for a minute.
    let values = "[...document.querySelectorAll('.chart-last')].map(one => one.innerText).join()";
    let before = browser.evaluate(values);
    hub.come_up();
    expect(
        &mut browser,
        "it is live again",
        &format!("document.body.dataset.line === 'live' && {lost}.hidden"),
    );
    expect(&mut browser, "with new values", &format!("{values} !== {before}"));
    assert_eq!(browser.evaluate(&format!("!({grey}) && !document.title.startsWith('(')")), true);
    assert_eq!(browser.evaluate("window.notReloaded"), Json::from(true), "all on one page");
}
