//! The page, in the browser that people have: Debian's Chromium, in real time.

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::browser::Browser;
use rackside_tests::clock;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::programs::programs;
use rackside_tests::simulation::{Mode, Simulation, SimulationOptions};
use serde_json::Value as Json;
use std::time::Duration;

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

/// Every page that there is. Who makes one adds it here.
const PAGES: &[&str] = &[
    "/",
    "/?view=wall",
    "/?q=elsewhere&state=trouble",
    "/sites/arena-north",
    "/sites/arena-north/rack-1",
    "/alerts",
    "/log",
    "/settings",
    "/settings/boxes",
    "/settings/fleet",
    "/maintenance",
    "/maintenance?at=site/arena-north",
    "/login",
    "/status",
    "/nothing-of-the-kind",
];

const SITES: &str = r#"
[status]
enabled = true
[[site]]
id = "arena-north"
name = "Arena North"
public = true
time_zone = "Europe/Berlin"
tags = ["stage", "north"]
access = "Key at the gate.\nThe rack is behind the stage."
[[site.contact]]
role = "stage office"
phone = "+49 30 5550101"
hours = "Mon-Fri 9-17"
[[site.show]]
name = "Evening show"
start = "2026-01-01T19:00"
duration = "3h"
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
[[site]]
id = "town-hall"
"#;

#[test]
fn pages_are_sound_on_a_phone_and_on_a_desk_in_light_and_dark() {
    let hub = Hub::with(Way::Listener, &programs().hub, SITES);
    let name = "a-site-with-quite-a-long-name-32";
    let probe = "[[probe.tcp]]\nname = \"encoder\"\ntarget = \"127.0.0.1:1\"\nevery = \"5s\"\n";
    let mut agents = Vec::new();
    for (site, appliance) in [RACK, (RACK.0, "rack-2"), (name, name)] {
        let mut options = AgentOptions::new(site, appliance, hub.mqtt());
        probe.clone_into(&mut options.top);
        agents.push(Agent::start(&options));
        hub.expect("a reading", RECOVERY, (site, appliance), has_reading);
    }
    // One that is down has most to say.
    agents[1].kill();
    let mut browser = Browser::open(&page(&hub), 1280, 800);
    let down =
        format!("document.querySelector('[data-rack=\"{}/rack-2\"]').dataset.state === 'down'", RACK.0);
    expect(&mut browser, "it is down", &down);
    for path in PAGES {
        browser.assert_sound(&format!("http://{}{path}", hub.web()));
    }
}

#[test]
fn a_site_that_is_put_on_air_is_so_on_every_page_without_a_reload() {
    let hub = Hub::with(Way::Listener, &programs().hub, SITES);
    let mut browser = Browser::open(&page(&hub), 1280, 800);
    expect(&mut browser, "the page is live", "document.body.dataset.line === 'live'");
    browser.evaluate("window.notReloaded = true");
    let lamp = "document.querySelector('[data-site=town-hall] .lamp')";
    assert_eq!(browser.evaluate(&format!("{lamp}.dataset.on")), "false");
    let mut desk = Browser::open(&format!("http://{}/sites/town-hall", hub.web()), 360, 740);
    // As a person does it, with what is proposed.
    desk.evaluate("document.querySelector('.venue-hand button').click()");
    let done = "[...document.querySelectorAll('button')].some(one => one.innerText === 'Take it back')";
    expect(&mut desk, "its page says so", done);
    expect(&mut browser, "the lamp is on", &format!("{lamp}.dataset.on === 'true'"));
    expect(&mut browser, "and says why", &format!("{lamp}.parentNode.innerText.includes('by hand until')"));
    assert_eq!(browser.evaluate("window.notReloaded"), Json::from(true), "all on one page");
}

#[test]
fn a_thousand_appliances_are_found_by_what_is_typed() {
    let hub = Hub::with(Way::Listener, &programs().hub, "");
    let mut options = SimulationOptions::new(hub.mqtt());
    (options.appliances, options.series) = (1000, 10);
    options.mode = Mode::Steady { tick: Duration::from_mins(1) };
    options.ramp = Duration::from_secs(5);
    options.keep_alive = Duration::from_mins(2);
    let simulation = Simulation::start(&options).expect("it starts");
    assert!(simulation.wait_connected(1000, Duration::from_mins(2)), "all of them connect");
    let all = || (hub.body("/").matches("data-up=\"true\"").count() == 1000).then_some(());
    assert!(clock::eventually(Duration::from_mins(2), all).is_some(), "all of them are on the page");
    let mut browser = Browser::open(&page(&hub), 360, 740);
    assert_eq!(browser.evaluate("document.documentElement.scrollWidth"), Json::from(360));
    let came = browser.evaluate("performance.getEntriesByType('navigation')[0].encodedBodySize");
    assert!(came.as_u64().is_some_and(|bytes| (1..=300 * 1024).contains(&bytes)), "{came} bytes, compressed");
    let folded = "document.querySelectorAll('.site[data-folded=true]').length";
    assert!(browser.evaluate(folded).as_u64() > Some(100), "what is well is folded");
    let shown = "[...document.querySelectorAll('.rack')].filter(one => one.checkVisibility()).length";
    assert_eq!(browser.evaluate(shown), Json::from(1000));
    let typed = "(() => { const field = document.querySelector('[name=q]'); field.value = 'SITE-19'; \
                 field.dispatchEvent(new Event('input', { bubbles: true })); return location.search; })()";
    assert_eq!(browser.evaluate(typed), Json::from("?q=SITE-19"));
    // site-19 and site-190 to site-199, five each.
    assert_eq!(browser.evaluate(shown), Json::from(55));
    assert_eq!(browser.evaluate(folded), Json::from(0), "what was looked for is not");
    let without_script = hub.body("/?q=SITE-19");
    assert_eq!(without_script.matches("<li class=\"site\"").count(), 201, "with the blank one");
    let hidden = without_script
        .lines()
        .filter(|line| line.contains("<li class=\"site\"") && line.contains(" hidden>"));
    assert_eq!(hidden.count(), 189, "the same without a script");
    // At other widths and in other colours fewer lines of the same kind are looked at.
    let faults = browser.faults();
    assert!(faults.is_empty(), "a thousand appliances:\n{}", faults.join("\n"));
    simulation.finish();
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
    let says = |browser: &mut Browser, part: &str| {
        let text = browser.evaluate("document.getElementById('says').textContent + document.title");
        assert!(text.as_str().is_some_and(|text| text.contains(part)), "{text}");
    };
    says(&mut browser, "Not known: nothing heard of the hub since");
    says(&mut browser, "(not live)");
    // A screen reader is told once, and not each second.
    let told = "new Promise(done => { let told = 0; \
                const watch = new MutationObserver(all => (told += all.length)); \
                const how = { subtree: true, childList: true, characterData: true, attributes: true }; \
                for (const one of document.querySelectorAll('[role=status]')) watch.observe(one, how); \
                setTimeout(() => done(told), 2500); })";
    assert_eq!(browser.evaluate(told), Json::from(0));
    browser.assert_sound_here("/ without its hub");
    hub.come_up();
    expect(&mut browser, "it is live again", "document.body.dataset.line === 'live'");
    let back = "!document.getElementById('says').textContent.startsWith('Not known')";
    expect(&mut browser, "and says what is so", back);
}

/// Fires of the hub itself as long as nobody is heard.
const NOBODY: &str = "
groups:
- name: own
  interval: 1s
  rules:
  - alert: Nobody
    expr: absent(rackside_appliance_up)
    labels: {severity: critical}
    annotations: {summary: 'nobody is heard'}
";

#[test]
fn all_is_well_is_said_only_when_it_is() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let rules = directory.path().join("own.yml");
    std::fs::write(&rules, NOBODY).expect("the directory can be written");
    let more = format!("[rules]\ndefaults = false\nfiles = [\"{}\"]\n{SITES}", rules.display());
    let hub = Hub::with(Way::Listener, &programs().hub, &more);
    let mut browser = Browser::open(&page(&hub), 1280, 800);
    browser.evaluate("window.notReloaded = true");
    let mut says = |what: &str, sentence: &str| {
        expect(&mut browser, what, &format!("document.getElementById('says').textContent === '{sentence}'"));
        let served = hub.body("/");
        assert!(
            served.contains(&format!("role=\"status\">{sentence}</b>")),
            "{what}, without a script: {served}"
        );
    };
    says("the hub's own alert", "The hub needs somebody");
    // Nothing listens there, and no rule minds.
    let mut options = AgentOptions::new(RACK.0, RACK.1, hub.mqtt());
    options.top = "[[probe.tcp]]\nname = \"encoder\"\ntarget = \"127.0.0.1:1\"\nevery = \"5s\"\n".to_owned();
    let mut agent = Agent::start(&options);
    says("a probe that fails", "No alert, but 1 of 1 worth a look");
    agent.kill();
    says("it is gone", "1 of 1 needs somebody");
    let probes = "document.querySelector('.rack [data-cell=probes] dd').textContent.trim()";
    expect(&mut browser, "nobody knows its probes", &format!("{probes} === '– not known'"));
    assert_eq!(browser.evaluate("window.notReloaded"), Json::from(true), "all on one page");
}

#[test]
fn a_tag_in_the_address_holds_while_things_change() {
    let hub = Hub::with(Way::Listener, &programs().hub, SITES);
    let mut browser = Browser::open(&format!("{}?tag=stage", page(&hub)), 360, 740);
    expect(&mut browser, "the page is live", "document.body.dataset.line === 'live'");
    let _agent = Agent::start(&AgentOptions::new("town-hall", "rack-1", hub.mqtt()));
    let rack = "document.querySelector('[data-rack=\"town-hall/rack-1\"]')";
    expect(&mut browser, "another comes", &format!("{rack} !== null"));
    assert_eq!(browser.evaluate(&format!("{rack}.checkVisibility()")), false, "and is not asked for");
    let asked = browser.evaluate("document.querySelector('[data-site=arena-north]').checkVisibility()");
    assert_eq!(asked, true);
}

#[test]
fn a_sites_page_follows_its_log_and_no_reading_moves_it() {
    let hub = Hub::with(Way::Listener, &programs().hub, SITES);
    let mut options = AgentOptions::new(RACK.0, RACK.1, hub.mqtt());
    options.top = "[[probe.tcp]]\nname = \"encoder\"\ntarget = \"127.0.0.1:1\"\nevery = \"5s\"\n".to_owned();
    let mut browser = Browser::open(&format!("http://{}/sites/arena-north", hub.web()), 1280, 800);
    browser.evaluate("window.notReloaded = true");
    let _agent = Agent::start(&options);
    let log = "document.querySelector('[data-part=log]')";
    expect(
        &mut browser,
        "its log is there",
        &format!("!{log}.hidden && {log}.textContent.includes('encoder')"),
    );
    let look = "document.getElementById('standing').textContent.trim() === 'worth a look'";
    expect(&mut browser, "and how it stands", look);
    // `Last seen` is written with each reading; what the log and the notes have to say may come meanwhile.
    let moved = "new Promise(done => { let moved = 0, seen = 0; \
                 const isHere = one => one.node?.parentElement?.closest('.rack h3, .rack dl'); \
                 const look = all => { for (const one of all.getEntries()) moved += one.sources.filter(isHere).length; }; \
                 new PerformanceObserver(look).observe({ type: 'layout-shift' }); \
                 new MutationObserver(() => { seen += 1; if (seen === 3) done(moved); }) \
                 .observe(document.querySelector('.seen time'), { attributes: true, attributeFilter: ['data-ms'] }); })";
    assert_eq!(browser.evaluate(moved), Json::from(0));
    assert_eq!(browser.evaluate("window.notReloaded"), Json::from(true), "all on one page");
}

#[test]
fn what_the_hub_notes_of_itself_reaches_an_open_log_at_once() {
    let hub = Hub::start();
    let mut browser = Browser::open(&format!("http://{}/log", hub.web()), 1280, 800);
    browser.evaluate("window.notReloaded = true");
    expect(&mut browser, "the page is live", "document.body.dataset.line === 'live'");
    let file = hub.directory().join("hub.toml");
    let text = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, format!("{text}[[site]]\nid = \"town-hall\"\n")).expect("it can be written");
    let rows = "[...document.querySelectorAll('#entries > [data-entry]')]";
    expect(
        &mut browser,
        "that the file was read again",
        &format!(
            "{rows}.some(row => row.innerText.includes('the hub') && row.innerText.includes('configuration'))"
        ),
    );
    assert_eq!(browser.evaluate("window.notReloaded"), Json::from(true), "on the same page");
}
