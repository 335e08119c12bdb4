//! The page, in the browser that people have: Debian's Chromium, in real time.

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::browser::Browser;
use rackside_tests::clock;
use rackside_tests::hub::Hub;
use serde_json::Value as Json;

fn page(hub: &Hub) -> String {
    format!("http://{}/", hub.web())
}

/// Waits for an expression to become true on the page.
fn expect(browser: &mut Browser, what: &str, expression: &str) {
    let found = clock::eventually(RECOVERY, || (browser.evaluate(expression) == true).then_some(()));
    assert!(found.is_some(), "{what}: {expression}\n{}", browser.evaluate("document.body.innerHTML"));
}

#[test]
fn the_page_follows_an_appliance_without_a_reload() {
    let hub = Hub::start();
    let mut agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let mut browser = Browser::open(&page(&hub), 1280, 800);
    browser.evaluate("window.notReloaded = true");
    let rack = "document.querySelector('[data-rack=\"arena-north/rack-1\"]')";
    expect(&mut browser, "it is listed as up", &format!("{rack}.dataset.up === 'true'"));
    expect(&mut browser, "the page is live", "document.body.dataset.line === 'live'");
    agent.kill();
    expect(&mut browser, "it goes down", &format!("{rack}.dataset.up === 'false'"));
    let _again = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    expect(&mut browser, "it comes back", &format!("{rack}.dataset.up === 'true'"));
    let _second = Agent::start(&AgentOptions::new(RACK.0, "rack-2", hub.mqtt()));
    expect(&mut browser, "a new one joins", "document.querySelectorAll('[data-rack]').length === 2");
    assert_eq!(browser.evaluate("window.notReloaded"), Json::from(true), "all on one page");
}

#[test]
fn the_page_fits_a_phone() {
    let hub = Hub::start();
    let name = "a-site-with-quite-a-long-name-32";
    let _agent = Agent::start(&AgentOptions::new(name, name, hub.mqtt()));
    hub.expect("a reading", RECOVERY, (name, name), has_reading);
    let mut browser = Browser::open(&page(&hub), 360, 740);
    let width = browser.evaluate("document.documentElement.scrollWidth");
    assert_eq!(width, Json::from(360), "nothing sticks out to the side");
    let small = "[...document.querySelectorAll('main *')].filter(e => e.innerText && e.getClientRects().length && \
                 parseFloat(getComputedStyle(e).fontSize) < 11).map(e => e.innerText)";
    assert_eq!(browser.evaluate(small), Json::Array(Vec::new()), "no text is too small to read");
}

#[test]
fn the_page_says_when_the_hub_is_gone() {
    let mut hub = Hub::start();
    let _agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let mut browser = Browser::open(&page(&hub), 1280, 800);
    expect(&mut browser, "the page is live", "document.body.dataset.line === 'live'");
    hub.stop();
    expect(
        &mut browser,
        "it says so",
        "document.body.dataset.line === 'lost' && !document.getElementById('lost').hidden",
    );
}
