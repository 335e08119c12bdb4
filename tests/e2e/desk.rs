//! The pages of alerts in the browser that people have: what fires arrives without a reload, and it is acknowledged and muted with the keyboard alone.

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::browser::Browser;
use rackside_tests::clock;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::programs::programs;
use serde_json::Value as Json;
use std::fs;
use tempfile::TempDir;

/// One alert that fires from the beginning, and one that fires when an appliance is heard.
const RULES: &str = "
groups:
- name: at once
  interval: 1s
  rules:
  - alert: Always
    expr: vector(1)
    labels: {severity: critical, site: hall}
    annotations: {summary: 'Hall: <script>document.title=1</script> is down'}
  - alert: Heard
    expr: rackside_appliance_up == 1
    labels: {severity: warning}
    annotations: {summary: 'the box is heard'}
";

fn hub(directory: &TempDir) -> Hub {
    hub_with(directory, RULES)
}

fn hub_with(directory: &TempDir, text: &str) -> Hub {
    let rules = directory.path().join("own.yml");
    fs::write(&rules, text).expect("the directory can be written");
    let tables = format!("[rules]\ndefaults = false\nfiles = [\"{}\"]\n", rules.display());
    Hub::with(Way::Listener, &programs().hub, &tables)
}

/// Waits for an expression to become true on the page.
fn expect(browser: &mut Browser, what: &str, expression: &str) {
    let found = clock::eventually(RECOVERY, || (browser.evaluate(expression) == true).then_some(()));
    assert!(found.is_some(), "{what}: {expression}\n{}", browser.evaluate("document.body.innerHTML"));
}

/// Tab, until what has the focus says this.
fn tab_to(browser: &mut Browser, says: &str) {
    for _ in 0..80 {
        browser.press("Tab");
        if browser.evaluate("document.activeElement.textContent.trim()") == says {
            return;
        }
    }
    panic!("Tab does not come to {says:?}: {}", browser.evaluate("document.body.innerHTML"));
}

fn in_section(section: &str, text: &str) -> String {
    format!("document.querySelector('[data-list=\"{section}\"]').textContent.includes({text:?})")
}

#[test]
fn an_alert_is_acknowledged_and_muted_with_the_keyboard_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let hub = hub(&directory);
    let page = format!("http://{}/alerts", hub.web());
    let fires = || hub.body("/api/alerts").contains("\"firing\"").then_some(());
    assert!(clock::eventually(RECOVERY, fires).is_some(), "it fires");
    let mut browser = Browser::open(&page, 1280, 900);
    expect(&mut browser, "it fires", &in_section("firing", "is down"));
    assert_eq!(browser.evaluate("document.title"), Json::from("Alerts · Rackside"), "no name is markup");
    tab_to(&mut browser, "Acknowledge");
    browser.press("Enter");
    tab_to(&mut browser, "I have it in hand");
    browser.press("Enter");
    expect(&mut browser, "somebody has it", &in_section("in-hand", "In hand: somebody at the hub"));
    tab_to(&mut browser, "Give back");
    browser.evaluate("window.isOfBefore = true");
    browser.press("Enter");
    expect(&mut browser, "its answer is there", "!window.isOfBefore && document.readyState === 'complete'");
    expect(&mut browser, "nobody has it", &in_section("firing", "is down"));
    // By the page's own keys: j to the first alert, m to its form.
    let open = clock::eventually(RECOVERY, || {
        // The page may be the new one before its script is.
        browser.press("j");
        browser.press("m");
        (browser.evaluate("Boolean(document.activeElement.closest('details[open]'))") == true).then_some(())
    });
    assert!(open.is_some(), "no form opens: {}", browser.evaluate("document.body.innerHTML"));
    tab_to(&mut browser, "1 hour");
    browser.press("Enter");
    expect(&mut browser, "it is muted", &in_section("held", "muted until"));
    assert!(hub.body("/api/silences").contains("somebody at the hub's machine"));
}

/// Its own page, by the summary.
fn address_of(hub: &Hub, summary: &str) -> String {
    let found = clock::eventually(RECOVERY, || {
        let all: Json = serde_json::from_str(&hub.body("/api/alerts")).expect("JSON");
        let alerts = all["alerts"].as_array().expect("a list").clone();
        let one = alerts.into_iter().find(|one| one["annotations"]["summary"] == summary)?;
        one["id"].as_str().map(|id| format!("http://{}/alerts/{id}", hub.web()))
    });
    found.unwrap_or_else(|| panic!("no alert {summary:?}: {}", hub.body("/api/alerts")))
}

fn in_facts(text: &str) -> String {
    format!("document.querySelector('.facts-of').textContent.includes({text:?})")
}

#[test]
fn an_alerts_own_page_is_acknowledged_and_muted_with_the_keyboard_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let hub = hub(&directory);
    let page = address_of(&hub, "Hall: <script>document.title=1</script> is down");
    let mut browser = Browser::open(&page, 360, 740);
    assert!(browser.evaluate("document.title").as_str().is_some_and(|title| title.contains("<script>")));
    tab_to(&mut browser, "I have it in hand");
    browser.press("Enter");
    expect(&mut browser, "somebody has it", &in_facts("somebody at the hub's machine since"));
    tab_to(&mut browser, "Mute");
    browser.press("Enter");
    tab_to(&mut browser, "1 hour");
    browser.press("Enter");
    expect(&mut browser, "it is muted, and by whom", &in_facts("by somebody at the hub's machine"));
    tab_to(&mut browser, "Give back: nobody has it in hand");
    browser.press("Enter");
    expect(&mut browser, "nobody has it", &format!("!{}", in_facts("in hand")));
}

#[test]
fn pages_of_alerts_are_sound_whatever_has_become_of_them() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let more = "  - {alert: Soon, expr: 'vector(1)', for: 1h, labels: {severity: critical, site: hall}, annotations: {summary: soon}}\n";
    let nowhere = "  - {alert: Nowhere, expr: 'vector(1)', labels: {severity: info}, annotations: {summary: of no site}}\n";
    let ends = "  - {alert: Ends, expr: 'vector(1)', labels: {severity: warning, site: hall}, annotations: {summary: ends}}\n";
    let hub = hub_with(&directory, &format!("{RULES}{more}{nowhere}{ends}"));
    let firing = address_of(&hub, "Hall: <script>document.title=1</script> is down");
    let states = ["soon", "of no site", "ends"].map(|summary| address_of(&hub, summary));
    // A rule that is taken away ends its alert.
    fs::write(directory.path().join("own.yml"), format!("{RULES}{more}{nowhere}")).expect("written");
    let over = || hub.body("/api/alerts").contains("\"resolved\"").then_some(());
    assert!(clock::eventually(RECOVERY, over).is_some(), "one is over: {}", hub.body("/api/alerts"));
    let mut browser = Browser::open(&firing, 1280, 800);
    browser.assert_sound(&firing);
    for page in &states {
        browser.assert_sound(page);
    }
    for form in ["do: 'acknowledge', note: 'on it'", "do: 'mute', for: '1h', what: 'alert'"] {
        let sent = format!(
            "fetch({firing:?}, {{ method: 'POST', body: new URLSearchParams({{ {form} }}) }}).then(answer => answer.ok)"
        );
        assert_eq!(browser.evaluate(&sent), true, "{form}");
        browser.assert_sound(&firing);
        browser.assert_sound(&format!("http://{}/alerts", hub.web()));
    }
    browser.assert_sound(&format!("http://{}/alerts/0000000000000000", hub.web()));
    browser.assert_sound(&format!("http://{}/log?kind=alert", hub.web()));
}

#[test]
fn what_fires_and_what_happens_arrives_without_a_reload() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let hub = hub(&directory);
    let mut alerts = Browser::open(&format!("http://{}/alerts", hub.web()), 360, 740);
    let mut log = Browser::open(&format!("http://{}/log", hub.web()), 1280, 900);
    for browser in [&mut alerts, &mut log] {
        browser.evaluate("window.notReloaded = true");
        assert_eq!(browser.evaluate("document.documentElement.scrollWidth === innerWidth"), true, "it fits");
    }
    let _agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    expect(&mut alerts, "it fires", &in_section("firing", "the box is heard"));
    let told = "[...document.querySelectorAll('#entries tr')].some(row => row.textContent.includes('fires: the box is heard'))";
    expect(&mut log, "the log has it", told);
    // The page of that alert, while somebody else takes it in hand.
    let link = alerts.evaluate(
        "[...document.querySelectorAll('h3 a')].find(one => one.textContent === 'the box is heard').href",
    );
    let link = link.as_str().expect("an address");
    let mut one = Browser::open(link, 360, 740);
    assert_eq!(one.evaluate("document.documentElement.scrollWidth === innerWidth"), true, "it fits");
    one.evaluate("window.notReloaded = true");
    let form = "{ method: 'POST', body: new URLSearchParams({ do: 'acknowledge', who: 'desk' }) }";
    assert_eq!(alerts.evaluate(&format!("fetch({link:?}, {form}).then(answer => answer.ok)")), true);
    expect(
        &mut one,
        "somebody has it",
        "document.querySelector('.facts-of').textContent.includes('desk since')",
    );
    for browser in [&mut alerts, &mut log, &mut one] {
        assert_eq!(browser.evaluate("window.notReloaded"), Json::from(true), "all on one page");
        expect(browser, "it says that it is live", "document.body.dataset.line === 'live'");
    }
}

#[test]
fn maintenance_is_announced_and_ended_with_the_keyboard_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let rules = directory.path().join("own.yml");
    fs::write(&rules, RULES).expect("the directory can be written");
    let site = "[status]\nenabled = true\n[[site]]\nid = \"hall\"\nname = \"The Hall\"\npublic = true\n";
    let tables = format!("[rules]\ndefaults = false\nfiles = [\"{}\"]\n{site}", rules.display());
    let hub = Hub::with(Way::Listener, &programs().hub, &tables);
    let mut watcher = Browser::open(&format!("http://{}/alerts", hub.web()), 1280, 900);
    expect(&mut watcher, "it fires", &in_section("firing", "is down"));
    watcher.evaluate("window.notReloaded = true");
    let mut browser = Browser::open(&format!("http://{}/sites/hall", hub.web()), 360, 740);
    tab_to(&mut browser, "Announce maintenance");
    browser.press("Enter");
    let here = "location.pathname === '/maintenance' && document.readyState === 'complete'";
    expect(&mut browser, "it leads to the form", here);
    let chosen = browser.evaluate("document.querySelector('[name=at]').selectedOptions[0].value");
    assert_eq!(chosen, "site/hall", "of the site that one comes from");
    let to = |browser: &mut Browser, name: &str| {
        let found = (0..40).any(|_| {
            browser.press("Tab");
            browser.evaluate("document.activeElement.name") == name
        });
        assert!(found, "Tab never comes to {name}");
    };
    to(&mut browser, "comment");
    browser.write("the carrier's man is there");
    to(&mut browser, "who");
    browser.write("desk");
    to(&mut browser, "name");
    // No line of text as it is called.
    browser.evaluate("document.activeElement.maxLength = 200; document.activeElement.value = 'x'.repeat(81)");
    browser.press("Enter");
    expect(&mut browser, "what is wrong is said", "document.activeElement?.id === 'fault'");
    let kept = "document.querySelector('[name=comment]').value === \"the carrier's man is there\"";
    expect(&mut browser, "and what was entered is kept", kept);
    browser.assert_sound_here("maintenance with a fault");
    to(&mut browser, "name");
    browser.evaluate("document.activeElement.value = ''");
    browser.write("New switch");
    browser.press("Enter");
    let held = "document.querySelector('[data-part=held]').textContent";
    let said = format!(
        "location.pathname === '/sites/hall' && {held}.includes(\"desk: the carrier's man is there\")"
    );
    expect(&mut browser, "its page says so", &said);
    browser.assert_sound_here("a site under maintenance");
    expect(&mut watcher, "what fires is kept", &in_section("held", "is down"));
    let listed = "document.querySelector('[data-live=maintenance]').textContent.includes('New switch')";
    expect(&mut watcher, "and why", listed);
    let public = hub.body("/status");
    assert!(public.contains("New switch") && !public.contains("carrier"), "{public}");
    tab_to(&mut browser, "End now New switch: all alerts");
    browser.press("Enter");
    expect(&mut browser, "it is over", &format!("!{held}.includes('New switch')"));
    expect(&mut watcher, "what fires needs somebody again", &in_section("firing", "is down"));
    expect(&mut watcher, "nothing is listed", &format!("!{listed}"));
    assert_eq!(watcher.evaluate("window.notReloaded"), Json::from(true), "all on one page");
}
