//! Boxes from their code on the page to service, to another box in their place, to retirement: by the real programs, and who is paged meanwhile.

use crate::complete::{RACK, RECOVERY, has_reading};
use crate::join::{Box, lines, said};
use crate::lamp::touch;
use rackside_proto::join::Code;
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::browser::Browser;
use rackside_tests::clock;
use rackside_tests::http::Connection;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::programs::programs;
use rackside_tests::witness::Witness;
use serde_json::Value as Json;
use std::fs;
use std::net::TcpListener;
use std::time::Duration;

/// How long a contact is pressed: longer than it is debounced.
const PRESS: Duration = Duration::from_millis(300);
/// How long a webhook is watched that nothing must come to.
const SILENT: Duration = Duration::from_secs(4);

const RULES: &str = "
groups:
- name: at once
  interval: 1s
  rules:
  - {alert: Always, expr: rackside_uptime_seconds > 0, labels: {severity: critical}}
  - {alert: Gone, expr: rackside_appliance_up == 0, labels: {severity: critical}}
";

/// A hub that boxes join and that tells the witness at once, with its rules.
fn hub(witness: &Witness, rules: &std::path::Path) -> Hub {
    fs::write(rules, RULES).expect("the directory can be written");
    let tables = format!(
        "[rules]\ndefaults = false\nfiles = [\"{}\"]\n\
         [[receiver]]\nname = \"crew\"\nkind = \"webhook\"\nurl = \"{}\"\n\
         [[route]]\nname = \"all\"\nto = [\"crew\"]\ngroup_wait = \"0s\"\ngroup_interval = \"1s\"\n",
        rules.display(),
        witness.url()
    );
    Hub::with(Way::Listener, &programs().hub, &format!("{}{tables}", lines()))
}

fn ask(hub: &Hub, method: &str, path: &str, body: &str) -> (u16, Json) {
    let mut connection = Connection::to(hub.web()).expect("it listens");
    let answer = connection.ask(method, path, "Content-Type: application/json\r\n", body.as_bytes());
    let answer = answer.expect("it answers");
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

fn code(hub: &Hub, replaces: bool) -> String {
    let body =
        format!("{{\"site\": \"{}\", \"appliance\": \"{}\", \"replaces\": {replaces}}}", RACK.0, RACK.1);
    let (status, made) = ask(hub, "POST", "/api/identities", &body);
    assert_eq!(status, 201, "{made}");
    made["code"].as_str().expect("text").to_owned()
}

fn path(rest: &str) -> String {
    format!("/api/sites/{}/{}/commissioning{rest}", RACK.0, RACK.1)
}

/// What was seen of the box, kind by kind; nothing once it is in service.
fn seen(hub: &Hub) -> Option<Vec<(String, bool)>> {
    let (_, told) = ask(hub, "GET", &path(""), "");
    let items = told["commissioning"]["items"].as_array()?.iter();
    let one =
        |item: &Json| (item["kind"].as_str().unwrap_or_default().to_owned(), !item["seen_at"].is_null());
    Some(items.map(one).collect())
}

fn expect_seen(hub: &Hub, wanted: &[(&str, bool)]) {
    let wanted: Vec<(String, bool)> = wanted.iter().map(|(kind, is)| ((*kind).to_owned(), *is)).collect();
    let found = clock::eventually(RECOVERY, || (seen(hub).as_ref() == Some(&wanted)).then_some(()));
    assert!(found.is_some(), "{wanted:?}: {:?}\n{}", seen(hub), hub.last_words());
}

/// What a box is with an LED, a contact, and a probe of `port`.
fn furnished(panel: &std::path::Path, port: u16) -> String {
    format!(
        "[panel]\nsimulated = \"{}\"\n[[led]]\nname = \"rack\"\nred = 23\ngreen = 24\n\
         [[tally]]\nname = \"camera-1\"\npin = 17\ndebounce = \"5ms\"\n\
         [[probe.tcp]]\nname = \"encoder\"\ntarget = \"127.0.0.1:{port}\"\nevery = \"1s\"\ntimeout = \"500ms\"\n",
        panel.display()
    )
}

#[test]
fn nobody_is_paged_for_a_new_box_until_all_of_it_was_seen_to_work() {
    let (directory, witness) = (tempfile::tempdir().expect("a temporary directory"), Witness::start());
    let hub = hub(&witness, &directory.path().join("own.yml"));
    let encoder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = encoder.local_addr().expect("bound").port();
    drop(encoder);
    let panel = directory.path().join("panel");
    fs::create_dir(&panel).expect("the directory can be written");
    let rack = Box::new(&furnished(&panel, port));
    let joined = rack.join(&format!("http://{}", hub.web()), &code(&hub, false));
    assert!(joined.status.success(), "{}", said(&joined));
    expect_seen(&hub, &[("heard", false)]);
    let _agent = rack.run();
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    expect_seen(&hub, &[("led", false), ("tally", false), ("probe", false)]);
    let is_held = || hub.body("/api/alerts").contains("is being set up").then_some(());
    assert!(clock::eventually(RECOVERY, is_held).is_some(), "{}", hub.body("/api/alerts"));
    touch(&panel.join("17"), true);
    std::thread::sleep(PRESS);
    touch(&panel.join("17"), false);
    expect_seen(&hub, &[("led", false), ("tally", true), ("probe", false)]);
    let _encoder = TcpListener::bind(("127.0.0.1", port)).expect("the same port");
    expect_seen(&hub, &[("led", false), ("tally", true), ("probe", true)]);
    let name =
        format!("rackside_appliance_commissioning_seconds{{site=\"{}\",appliance=\"{}\"}}", RACK.0, RACK.1);
    assert!(hub.body("/metrics").contains(&name));
    assert!(hub.body("/").contains("being set up"), "the fleet says so");
    std::thread::sleep(SILENT);
    assert_eq!(witness.count(), 0, "{:?}", witness.all());
    let page = format!("/sites/{}/{}", RACK.0, RACK.1);
    let list = hub.body(&page);
    let list = list.split("<h2 id=\"set-up\">").nth(1).and_then(|rest| rest.split("</section>").next());
    assert!(list.is_some_and(|list| list.contains("Flash its LEDs")), "the list has the button: {list:?}");
    let mut browser = Browser::open(&format!("http://{}{page}", hub.web()), 360, 740);
    browser.assert_sound_here("a box that is being set up");
    browser.evaluate("document.querySelector('.set-up button[value=seen]').click()");
    let told = witness.find(0, RECOVERY, |told| told.names("Always", "firing"));
    assert!(told.is_some(), "what was held goes out: {:?}\n{}", seen(&hub), hub.last_words());
    assert_eq!(seen(&hub), None, "it is in service");
    assert!(!hub.body("/metrics").contains(&name));
    let noted = || hub.body("/api/log").contains("is in service: all there is to see").then_some(());
    assert!(clock::eventually(RECOVERY, noted).is_some(), "{}", hub.body("/api/log"));
}

#[test]
fn somebody_may_put_a_box_into_service_and_one_in_its_place_pages_from_the_first_moment() {
    let (directory, witness) = (tempfile::tempdir().expect("a temporary directory"), Witness::start());
    let hub = hub(&witness, &directory.path().join("own.yml"));
    let url = format!("http://{}", hub.web());
    let panel = directory.path().join("panel");
    fs::create_dir(&panel).expect("the directory can be written");
    let (old, new) = (Box::new(&furnished(&panel, 1)), Box::new(&furnished(&panel, 1)));
    assert!(old.join(&url, &code(&hub, false)).status.success());
    let old_agent = old.run();
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    std::thread::sleep(SILENT);
    assert_eq!(witness.count(), 0, "{:?}", witness.all());
    assert_eq!(ask(&hub, "POST", &path("/in_service"), "").0, 204);
    let told = witness.find(0, RECOVERY, |told| told.names("Always", "firing"));
    assert!(told.is_some(), "{}", hub.last_words());
    assert_eq!(ask(&hub, "POST", &path("/in_service"), "").0, 404, "it is in service already");
    // Another box in its place: looked at again, and paging.
    assert!(new.join(&url, &code(&hub, true)).status.success());
    let (_, told) = ask(&hub, "GET", &path(""), "");
    assert!(
        told["commissioning"]["held_until"].is_null() && told["commissioning"]["since"].is_string(),
        "{told}"
    );
    let new_agent = new.run();
    hub.expect("another run", RECOVERY, RACK, |said| (said["up"] == true).then_some(()));
    let page = format!("/sites/{}/{}", RACK.0, RACK.1);
    let replaced = || hub.body(&page).contains("the old box is still switched on").then_some(());
    assert!(clock::eventually(RECOVERY, replaced).is_some(), "{}", old_agent.log());
    assert!(!hub.body(&page).contains("machines use this name"), "replaced, and no duplicate");
    drop(new_agent);
}

#[test]
fn a_retired_box_is_waited_for_by_nobody_and_comes_back_by_a_new_code() {
    let (directory, witness) = (tempfile::tempdir().expect("a temporary directory"), Witness::start());
    let mut hub = hub(&witness, &directory.path().join("own.yml"));
    let url = format!("http://{}", hub.web());
    let rack = Box::new("");
    assert!(rack.join(&url, &code(&hub, false)).status.success());
    assert_eq!(ask(&hub, "POST", &path("/in_service"), "").0, 204);
    let agent = rack.run();
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    drop(agent);
    let told = witness.find(0, RECOVERY, |told| told.names("Gone", "firing"));
    assert!(told.is_some(), "{}", hub.last_words());
    let (status, _) = ask(&hub, "POST", &format!("/api/identities/{}/{}/retire", RACK.0, RACK.1), "");
    assert_eq!(status, 204);
    let over = witness.find(0, RECOVERY, |told| told.names("Gone", "resolved"));
    assert!(over.is_some(), "its alerts end: {}\n{}", hub.body("/api/alerts"), hub.last_words());
    let up = format!("rackside_appliance_up{{site=\"{}\",appliance=\"{}\"}}", RACK.0, RACK.1);
    for _ in 0..2 {
        assert!(!hub.body("/metrics").contains(&up));
        assert!(
            !hub.body("/api/sites").contains(RACK.1) && !hub.body("/").contains(RACK.1),
            "no row is left"
        );
        let site = hub.body(&format!("/sites/{}", RACK.0));
        assert!(site.contains("its history stays") && site.contains(RACK.1), "{site}");
        let page = hub.body(&format!("/sites/{}/{}", RACK.0, RACK.1));
        assert!(page.contains("retired since"), "{page}");
        hub.restart();
    }
    let again = Box::new("");
    let code = code(&hub, false);
    assert!(code.parse::<Code>().is_ok());
    let joined = again.join(&format!("http://{}", hub.web()), &code);
    assert!(joined.status.success(), "{}", said(&joined));
    let _agent = again.run();
    hub.expect("it is back", RECOVERY, RACK, |said| (said["up"] == true).then_some(()));
    assert!(hub.body("/metrics").contains(&format!("{up} 1")));
}

#[test]
fn who_never_joined_is_retired_too_and_back_when_it_is_started_anew() {
    let (directory, witness) = (tempfile::tempdir().expect("a temporary directory"), Witness::start());
    let mut hub = hub(&witness, &directory.path().join("own.yml"));
    let (site, appliance) = RACK;
    let name = format!("{site}/{appliance}");
    let mut agent = Agent::start(&AgentOptions::new(site, appliance, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let told = witness.find(0, RECOVERY, |told| told.names("Always", "firing"));
    assert!(told.is_some(), "{}", hub.last_words());
    let page = hub.body("/settings/boxes");
    assert!(page.contains("no certificate") && page.contains(&format!("Retire {name}")), "{page}");
    let mut browser = Browser::open(&format!("http://{}/", hub.web()), 360, 740);
    let racks = |browser: &mut Browser| browser.evaluate("document.querySelectorAll('#sites .rack').length");
    assert_eq!(racks(&mut browser), 1);
    let stored = clock::eventually(RECOVERY, || {
        hub.command(&["identity", "retire", &name], "").contains("is retired").then_some(())
    });
    assert!(stored.is_some(), "{}", hub.last_words());
    let over = witness.find(0, RECOVERY, |told| told.names("Always", "resolved"));
    assert!(over.is_some(), "its alerts end: {}\n{}", hub.body("/api/alerts"), hub.last_words());
    let no_row = clock::eventually(RECOVERY, || (racks(&mut browser) == 0).then_some(()));
    assert!(no_row.is_some(), "a page that is open has no row any more");
    drop(browser);
    // It goes on talking: what it says is kept, and nobody waits for it; a new hub knows the run.
    for _ in 0..2 {
        std::thread::sleep(SILENT);
        let list = hub.body("/api/identities");
        assert!(
            list.contains("\"state\":\"retired\"") && !hub.body("/api/sites").contains(appliance),
            "{list}"
        );
        assert!(hub.body(&format!("/sites/{name}")).contains("retired since"));
        hub.restart();
    }
    agent.restart();
    hub.expect("it is back", RECOVERY, RACK, |said| (said["up"] == true).then_some(()));
    assert_eq!(hub.body("/api/identities"), "{\"identities\":[]}");
    let logged = || hub.body(&format!("/log?site={site}")).contains("is in service again").then_some(());
    assert!(clock::eventually(RECOVERY, logged).is_some(), "{}", hub.body(&format!("/log?site={site}")));
    let (status, _) = ask(&hub, "POST", &format!("/api/identities/{name}/retire"), "");
    assert_eq!(status, 204, "by the API as well");
    let (status, why) = ask(&hub, "POST", "/api/identities/nowhere/rack-1/retire", "");
    assert_eq!(status, 404, "{why}");
}

#[test]
fn a_code_on_the_page_is_sound_on_a_phone_and_on_a_desk() {
    let hub = Hub::with(Way::Listener, &programs().hub, &lines());
    let at = format!("http://{}/settings/boxes", hub.web());
    let mut browser = Browser::open(&at, 360, 740);
    browser.assert_sound_here("nobody has joined");
    browser.evaluate(
        "document.querySelector('[name=site]').value = 'arena-north'; document.querySelector('[name=appliance]').value = 'rack-1'; \
         document.querySelector(\"form[action='/settings/boxes'][method=post]\").submit()",
    );
    let is_there = || (browser.evaluate("!!document.querySelector('.code svg')") == true).then_some(());
    assert!(clock::eventually(RECOVERY, is_there).is_some(), "a code is made");
    for (width, colours) in [(360, "light"), (1280, "dark")] {
        browser.resize(width, 800);
        browser.prefer(colours);
        browser.assert_sound_here("a code that is shown once");
        let side = browser.evaluate("document.querySelector('.code svg').getBoundingClientRect().width");
        assert!(side.as_f64().is_some_and(|side| side >= 220.0), "large enough for a phone: {side}");
        let light = browser.evaluate("getComputedStyle(document.querySelector('.code .light')).fill");
        assert_eq!(light, "rgb(255, 255, 255)", "{colours}");
    }
}
