//! Notifications on the real program: what fires reaches a receiver, is acknowledged by whoever was told, and is told once or twice when the hub is
//! killed in between, never zero times. The receiver is a server of this test's own that writes down what it gets.

mod client;
#[path = "notifications/public.rs"]
mod public;
mod rack;
mod running;
mod witness;

use client::Client;
use rack::{Rack, series};
use rackside_hub::clock;
use rackside_proto::{Time, Value, What};
use running::{FREE, Running, file, hub, said};
use serde_json::{Value as Json, json};
use std::fs;
use tempfile::TempDir;
use witness::Witness;

/// Only an event makes these fire or end: by the clock they are looked at once a day.
const RULES: &str = "
groups:
- name: by the edge
  interval: 1d
  rules:
  - alert: Off
    expr: rackside_tally_active == 0
    labels: {severity: critical}
    annotations: {summary: '{{ $labels.appliance }} at {{ $labels.site }} is off', public: 'No <b>picture</b>'}
  - {alert: Lost, expr: rackside_appliance_up == 0}
";

/// A directory with rules and a configuration that has these tables.
struct Place {
    directory: TempDir,
    config: String,
}

impl Place {
    fn with(tables: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let rules = directory.path().join("own.yml");
        fs::write(&rules, RULES).expect("the directory can be written");
        let text =
            format!("{FREE}[rules]\ndefaults = false\nfiles = [{:?}]\n{tables}", rules.display().to_string());
        Self { config: file(&directory, &text), directory }
    }

    /// With one webhook that is told of everything at once.
    fn telling(witness: &Witness) -> Self {
        Self::with(&tables(witness, ""))
    }
}

fn tables(witness: &Witness, more: &str) -> String {
    format!(
        "[[receiver]]\nname = \"crew\"\nkind = \"webhook\"\nurl = \"{}\"\n\
         [[route]]\nname = \"all\"\nto = [\"crew\"]\ngroup_by = [\"site\"]\ngroup_wait = \"0s\"\ngroup_interval = \"1s\"\n{more}",
        witness.url()
    )
}

/// A rack that is up and has a tally that is on.
fn begin(hub: &Running, run: u32) -> (Client, Rack) {
    let mut client =
        Client::connect(&hub.agents, &format!("arena-north/rack-1/{run:08x}")).expect("it connects");
    let mut rack = Rack::new("arena-north", "rack-1").started_again(run);
    rack.time = now();
    let list = [series("rackside_tally_active", &[("tally", "one")])];
    for sent in [rack.presence(true), rack.catalog(&list), rack.birth()] {
        client.send(sent).expect("sent");
    }
    client.send(rack.numbers(&[1000])).expect("sent");
    hub.eventually("the rack is up", |hub| {
        hub.metric("rackside_tally_active{site=\"arena-north\",appliance=\"rack-1\",tally=\"one\"}")
    });
    (client, rack)
}

fn turn(client: &mut Client, rack: &mut Rack, on: bool) {
    rack.time = now();
    let value = Value::Known(if on { 1000 } else { 0 });
    client.send(rack.event(What::Sample { catalog: rack.number, series: 0, value })).expect("sent");
}

fn now() -> Time {
    Time::Utc { ms: clock::now().utc_ms }
}

/// The alert as the hub's API has it.
fn alert(hub: &Running, wanted: impl Fn(&Json) -> bool) -> Json {
    hub.eventually("the alert", |hub| {
        let (status, body) = hub.get("/api/alerts");
        assert_eq!(status, 200, "{body}");
        let answer: Json = serde_json::from_str(&body).expect("JSON");
        answer["alerts"].as_array().expect("a list").iter().find(|alert| wanted(alert)).cloned()
    })
}

#[test]
fn what_fires_and_what_is_over_reaches_the_receiver_and_stands_on_the_pages() {
    let witness = Witness::start();
    let place = Place::telling(&witness);
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1);
    turn(&mut client, &mut rack, false);
    let told = witness.next();
    assert_eq!((&told["status"], &told["receiver"]), (&json!("firing"), &json!("crew")));
    assert_eq!(told["alerts"][0]["labels"]["alertname"], "Off");
    assert_eq!(told["alerts"][0]["annotations"]["summary"], "rack-1 at arena-north is off");
    let booked = alert(&hub, |alert| alert["state"] == "firing");
    assert_eq!(booked["id"], told["alerts"][0]["fingerprint"], "its identity is Alertmanager's");
    let page = hub.get(&format!("/alerts/{}", booked["id"].as_str().expect("an id"))).1;
    assert!(page.contains("rack-1 at arena-north is off") && page.contains("crew is told: firing"), "{page}");
    assert!(hub.get("/alerts").1.contains("rack-1 at arena-north is off"));
    turn(&mut client, &mut rack, true);
    assert_eq!(witness.next()["status"], "resolved");
    alert(&hub, |alert| alert["state"] == "resolved");
    hub.eventually("it is counted", |hub| {
        let line = "rackside_hub_notifications_total{receiver=\"crew\",outcome=\"delivered\"}";
        hub.metric(line).filter(|count| *count > 1.5)
    });
    assert_eq!(witness.rest(), 0, "each once");
    let list: Json = serde_json::from_str(&hub.get("/api/receivers").1).expect("JSON");
    let crew = &list["receivers"][0];
    assert_eq!((&crew["name"], &crew["kind"]), (&json!("crew"), &json!("webhook")));
    assert_eq!((&crew["delivered"], &crew["queued"], &crew["failures"]), (&json!(2), &json!(0), &json!([])));
    let page = hub.get("/alerts").1;
    assert!(!page.contains("<b>Receivers.</b>"), "there is no trouble with them: {page}");
    assert!(!page.contains(&witness.url()), "where it is may be a secret");
}

#[test]
fn a_receiver_that_takes_pictures_gets_the_last_hour_of_what_fires() {
    let witness = Witness::start();
    let server = witness.url().replace("/hook", "");
    let place = Place::with(&format!(
        "[[receiver]]\nname = \"phone\"\nkind = \"ntfy\"\nurl = \"{server}\"\ntopic = \"crew\"\n\
         [[route]]\nname = \"all\"\nto = [\"phone\"]\ngroup_wait = \"0s\"\n"
    ));
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1);
    turn(&mut client, &mut rack, false);
    let told = witness.next();
    let bytes: Vec<u64> = told.as_array().expect("no JSON").iter().filter_map(Json::as_u64).collect();
    assert!(bytes.starts_with(&[0x89, 0x50, 0x4e, 0x47]), "a PNG: {:?}", bytes.get(..8));
}

#[test]
fn a_hub_that_is_killed_when_an_alert_fires_tells_it_all_the_same() {
    let witness = Witness::start();
    witness.refuse(true);
    let place = Place::telling(&witness);
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1);
    turn(&mut client, &mut rack, false);
    alert(&hub, |alert| alert["state"] == "firing");
    // From then on it is on the disk; a moment earlier the alert would be news for the hub that comes after, at its rule's next turn.
    hub.eventually("its message waits", |hub| {
        hub.metric("rackside_hub_notifications_queued{receiver=\"crew\"}").filter(|waiting| *waiting > 0.5)
    });
    hub.eventually("what is wrong is shown", |hub| hub.get("/alerts").1.contains("503").then_some(()));
    hub.kill();
    witness.refuse(false);
    let hub = Running::start(&place.config);
    let told = witness.next();
    assert_eq!(told["alerts"][0]["labels"]["alertname"], "Off");
    // What the rules had not written down yet they do not know any more: the next edge tells them.
    let (mut client, mut rack) = begin(&hub, 2);
    turn(&mut client, &mut rack, false);
    alert(&hub, |alert| alert["state"] == "firing");
    turn(&mut client, &mut rack, true);
    let mut more = witness.next();
    let mut twice = 0;
    while more["status"] == "firing" {
        (twice, more) = (twice + 1, witness.next());
    }
    assert!(twice <= 1, "at most the one that was on its way is told twice");
    assert_eq!(more["status"], "resolved");
}

#[test]
fn a_rule_of_ones_own_that_says_that_an_appliance_is_gone_is_not_silenced_by_that() {
    let witness = Witness::start();
    let place = Place::telling(&witness);
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1);
    turn(&mut client, &mut rack, false);
    assert_eq!(witness.next()["alerts"][0]["labels"]["alertname"], "Off");
    client.send(rack.presence(false)).expect("sent");
    let told = witness.next();
    let names: Vec<&Json> = told["alerts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|alert| &alert["labels"]["alertname"])
        .collect();
    assert!(names.contains(&&json!("Lost")), "{told}");
}

#[test]
fn acknowledging_takes_a_post_from_our_own_page() {
    let witness = Witness::start();
    let place = Place::telling(&witness);
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1);
    turn(&mut client, &mut rack, false);
    let id = alert(&hub, |alert| alert["state"] == "firing")["id"].as_str().expect("an id").to_owned();
    let path = format!("/alerts/{id}");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let body = "do=acknowledge&who=desk&note=on+my+way";
    hub.get(&format!("{path}?do=acknowledge&who=scanner"));
    let post = |more: &str, body: &str| hub.post(&path, &format!("{form}{more}"), body).0;
    assert_eq!(post("Origin: https://elsewhere.example\r\n", body), 403);
    assert_eq!(
        post("X-Forwarded-For: 192.0.2.7\r\n", body),
        401,
        "beyond this machine a signed link is needed"
    );
    assert_eq!(post("", "do=something&who=desk"), 400);
    alert(&hub, |alert| alert["state"] == "firing" && alert["acknowledged"].is_null());
    assert_eq!(post("", body), 204);
    let booked = alert(&hub, |alert| alert["state"] == "acknowledged");
    assert_eq!(
        (&booked["acknowledged"]["by"], &booked["acknowledged"]["note"]),
        (&json!("desk"), &json!("on my way"))
    );
    assert_eq!(post("", "do=release&who=desk"), 204);
    alert(&hub, |alert| alert["state"] == "firing");
    assert_eq!(post("", "do=acknowledge&back=list"), 204);
    let booked = alert(&hub, |alert| alert["state"] == "acknowledged");
    assert_eq!(booked["acknowledged"]["by"], "somebody at the hub's machine", "who says no name");
    assert_eq!(hub.get("/alerts/ffffffffffffffff").0, 404);
}

#[test]
fn two_taps_mute_from_the_page_and_the_list_ends_it() {
    let witness = Witness::start();
    let place = Place::telling(&witness);
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1);
    turn(&mut client, &mut rack, false);
    let id = alert(&hub, |alert| alert["state"] == "firing")["id"].as_str().expect("an id").to_owned();
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let post = |path: &str, more: &str, body: &str| hub.post(path, &format!("{form}{more}"), body).0;
    let path = format!("/alerts/{id}");
    let body = "do=mute&for=1h&what=site&who=desk&note=%3Cscript%3E";
    assert_eq!(post(&path, "X-Forwarded-For: 192.0.2.7\r\n", body), 401);
    assert_eq!(post(&path, "Origin: https://elsewhere.example\r\n", body), 403);
    for wrong in [
        "do=mute",
        "do=mute&for=show",
        "do=mute&for=until&until=soon",
        "do=mute&for=until&until=2020-01-01T00:00",
    ] {
        assert_eq!(post(&path, "", wrong), 400, "{wrong}");
    }
    assert_eq!(post(&path, "", body), 204);
    let mutes =
        || serde_json::from_str::<Json>(&hub.get("/api/silences").1).expect("JSON")["silences"].clone();
    let first = mutes()[0].clone();
    assert_eq!((&first["matchers"], &first["by"]), (&json!(["site=\"arena-north\""]), &json!("desk")));
    let page = hub.get("/alerts").1;
    let held = page.split("id=\"held\"").nth(1).expect("a section of what is held back");
    assert!(held.contains(&id) && held.contains("by desk: &lt;script&gt;"), "{page}");
    assert!(!page.contains("<script>"), "a comment is text");
    assert_eq!(post("/mutes/1", "", "do=something"), 400);
    assert_eq!(post("/mutes/2", "", "do=end"), 404);
    assert_eq!(post("/mutes/1", "X-Forwarded-For: 192.0.2.7\r\n", "do=end"), 401);
    assert_eq!(post("/mutes/1", "", "do=extend&who=desk"), 204);
    assert!(mutes()[0]["ends_at"].as_str() > first["ends_at"].as_str(), "an hour more");
    assert_eq!(post("/mutes/1", "", "do=end&who=desk"), 204);
    assert_eq!(post("/mutes/1", "", "do=end&who=desk"), 409, "it is over");
    assert_eq!(mutes()[0]["state"], "expired");
    // Of the rest of its labels, and a page for a browser.
    let browser = "Accept: text/html\r\n";
    assert_eq!(post(&path, browser, "do=mute&for=morning&what=alert"), 303);
    assert_eq!(post(&path, browser, "do=mute&for=never"), 400);
    let matchers = mutes()[1]["matchers"].to_string();
    assert!(matchers.contains("alertname") && !matchers.contains("severity"), "{matchers}");
}

#[test]
fn the_list_finds_by_site_severity_and_text_and_keeps_what_is_over() {
    let witness = Witness::start();
    let place = Place::telling(&witness);
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1);
    turn(&mut client, &mut rack, false);
    let id = alert(&hub, |alert| alert["state"] == "firing")["id"].as_str().expect("an id").to_owned();
    let shows = |query: &str| hub.get(&format!("/alerts{query}")).1.contains(&format!("/alerts/{id}\">"));
    for (query, is_there) in [
        ("", true),
        ("?site=arena-north", true),
        ("?site=town-hall", false),
        ("?text=RACK-1+at", true),
        ("?text=nothing+of+the+kind", false),
        ("?severity=warning&text=off", true),
    ] {
        assert_eq!(shows(query), is_there, "{query}");
    }
    turn(&mut client, &mut rack, true);
    alert(&hub, |alert| alert["state"] == "resolved");
    let page = hub.get("/alerts").1;
    let past = page.split("id=\"past\"").nth(1).expect("a section of what is over");
    assert!(past.contains(&id) && past.contains("crew"), "with who was told: {page}");
    assert!(page.contains("All is well: nothing fires."), "{page}");
}

#[test]
fn whoever_was_sent_the_link_acknowledges_from_anywhere_and_only_that() {
    let witness = Witness::start();
    let url = witness.url();
    let place = Place::with(&format!(
        "[notify]\nexternal_url = \"https://hub.example.org\"\n\
         [[receiver]]\nname = \"first\"\nkind = \"webhook\"\nurl = \"{url}\"\n\
         template = {{ body = '\"{{acknowledge_url}}\"' }}\n\
         [[route]]\nname = \"all\"\nto = [\"first\"]\ngroup_wait = \"0s\"\n"
    ));
    // A hub that people reach from elsewhere is open to nobody; this test looks at what it says.
    let text = fs::read_to_string(&place.config).expect("just written");
    fs::write(&place.config, text.replace("[web]\n", "[web]\nallow_anonymous = true\n")).expect("written");
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1);
    turn(&mut client, &mut rack, false);
    let told = witness.next().to_string();
    let link = told.split("https://hub.example.org").find(|rest| rest.contains("&key="));
    let link = link.unwrap_or_else(|| panic!("no signed link in {told}"));
    let link = link.split(['#', '"']).next().expect("split gives one at least");
    let form = "Content-Type: application/x-www-form-urlencoded\r\nX-Forwarded-For: 192.0.2.7\r\n";
    let post = |path: &str| hub.post(path, form, "do=acknowledge&note=on+my+way").0;
    let (page, rest) = link.split_once('?').expect("a query");
    assert_eq!(post(page), 401, "without the signature");
    assert_eq!(post(&link.replace("by=first", "by=second")), 401, "in another's name");
    let other = rest.replace("since=", "since=1");
    assert_eq!(post(&format!("{page}?{other}")), 401, "of another time");
    assert!(hub.get(link).1.contains("I have it in hand"), "the page has a form");
    alert(&hub, |alert| alert["state"] == "firing");
    assert_eq!(post(link), 204);
    let booked = alert(&hub, |alert| alert["state"] == "acknowledged");
    assert_eq!(booked["acknowledged"]["by"], "first");
}

#[test]
fn a_mute_is_made_and_ended_from_this_machine_alone_and_keeps_quiet() {
    let witness = Witness::start();
    let place = Place::telling(&witness);
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1);
    let until = clock::now().utc_ms + 3_600_000;
    let mute = json!({"matchers": ["site=\"arena-north\""], "ends_at": until, "by": "desk", "comment": "switch is replaced"});
    let post = |more: &str, body: &str| hub.post("/api/silences", more, body);
    let json = "Content-Type: application/json\r\n";
    let text = mute.to_string();
    assert_eq!(post("Content-Type: text/plain\r\n", &text).0, 415);
    assert_eq!(post(&format!("{json}Origin: https://elsewhere.example\r\n"), &text).0, 403);
    assert_eq!(post(&format!("{json}X-Forwarded-For: 192.0.2.7\r\n"), &text).0, 401);
    assert_eq!(post(json, "{}").0, 400);
    assert_eq!(post(json, &text).0, 201);
    turn(&mut client, &mut rack, false);
    alert(&hub, |alert| alert["held"] == "mute 1");
    let list: Json = serde_json::from_str(&hub.get("/api/silences").1).expect("JSON");
    assert_eq!(
        (&list["silences"][0]["state"], &list["silences"][0]["by"]),
        (&json!("active"), &json!("desk"))
    );
    let changed = mute.to_string().replace("switch is replaced", "so is the next");
    assert_eq!(hub.send("PUT", "/api/silences/2", json, &changed).0, 404);
    assert_eq!(hub.send("PUT", "/api/silences/1", "Content-Type: text/plain\r\n", &changed).0, 415);
    assert_eq!(hub.send("PUT", "/api/silences/1", json, &changed).0, 204);
    assert!(hub.get("/api/silences").1.contains("so is the next"));
    assert_eq!(hub.send("DELETE", "/api/silences/2?by=desk", "", "").0, 404);
    assert_eq!(hub.send("DELETE", "/api/silences/1?by=desk", "", "").0, 204);
    assert_eq!(witness.next()["status"], "firing", "what still fires is told now");
}

#[test]
fn maintenance_by_hand_keeps_quiet_over_a_restart_and_ends_by_hand() {
    let witness = Witness::start();
    let place = Place::telling(&witness);
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1);
    hub.eventually("its site is known", |hub| (hub.get("/sites/arena-north").0 == 200).then_some(()));
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let post = |path: &str, more: &str, body: &str| hub.post(path, &format!("{form}{more}"), body);
    let body = "at=site/arena-north&for=2h&who=desk&comment=%3Cscript%3E";
    assert_eq!(post("/maintenance", "X-Forwarded-For: 192.0.2.7\r\n", body).0, 401);
    assert_eq!(post("/maintenance", "Origin: https://elsewhere.example\r\n", body).0, 403);
    for (wrong, code, why) in [
        ("at=hall&for=2h&comment=x", 400, "say where"),
        ("at=site/nowhere&for=2h&comment=x", 404, "there is no site"),
        ("at=appliance/arena-north/rack-9&for=2h&comment=x", 404, "there is no appliance"),
        ("at=tag/nobody&for=2h&comment=x", 404, "no site has the tag"),
        ("at=site/arena-north&for=2h", 400, "say why"),
        ("at=site/arena-north&for=for+ever&comment=x", 400, "how long"),
        ("at=site/arena-north&until=soon&comment=x", 400, "soon"),
        ("at=site/arena-north&until=2020-01-01T00:00&comment=x", 400, "past"),
        ("at=site/arena-north&from=2020-01-01T00:00&until=9999-01-01T00:00&comment=x", 400, "31 days"),
    ] {
        let (status, said) = post("/maintenance", "", wrong);
        assert!(status == code && said.contains(why), "{wrong}: {status} {said}");
        let (status, page) = post("/maintenance", "Accept: text/html\r\n", wrong);
        assert!(status == code && page.contains("id=\"fault\""), "{wrong}: {status} {page}");
    }
    assert_eq!(post("/maintenance", "", body).0, 204);
    turn(&mut client, &mut rack, false);
    alert(&hub, |alert| alert["held"] == "maintenance goes on");
    for path in ["/alerts", "/sites/arena-north", "/sites/arena-north/rack-1", "/maintenance"] {
        let page = hub.get(path).1;
        assert!(page.contains("desk: &lt;script&gt;") && !page.contains("<script>"), "{path}: {page}");
    }
    let log = hub.eventually("the log has it", |hub| {
        Some(hub.get("/api/log?kind=hub").1).filter(|log| log.contains("says desk"))
    });
    assert!(log.contains("Maintenance, at arena-north, until"), "{log}");
    hub.kill();
    let hub = Running::start(&place.config);
    let window = |hub: &Running| {
        let list: Json = serde_json::from_str(&hub.get("/api/maintenance").1).expect("JSON");
        list["maintenance"][0].clone()
    };
    let kept = window(&hub);
    assert_eq!((&kept["id"], &kept["by"], &kept["now"]), (&json!(1), &json!("desk"), &json!(true)));
    let (mut client, mut rack) = begin(&hub, 2);
    turn(&mut client, &mut rack, false);
    alert(&hub, |alert| alert["held"] == "maintenance goes on");
    let post = |path: &str, body: &str| hub.post(path, form, body).0;
    assert_eq!(post("/maintenance/1", "do=something"), 400);
    assert_eq!(post("/maintenance/2", "do=end"), 404);
    assert_eq!(post("/maintenance/1", "do=end"), 204);
    assert_eq!(post("/maintenance/1", "do=end"), 409);
    assert_eq!(window(&hub), Json::Null);
    assert_eq!(witness.next()["status"], "firing", "what still fires is told now");
}

#[test]
fn routes_and_receivers_take_effect_while_the_hub_runs() {
    let (before, after) = (Witness::start(), Witness::start());
    let place = Place::telling(&before);
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1);
    let text = fs::read_to_string(&place.config).expect("it is there");
    let text = text.replace(&before.url(), &after.url()) + "[[route]]\nname = \"nobody\"\nto = []\n";
    fs::write(&place.config, text).expect("it can be written");
    hub.expect("1 receiver, 2 routes");
    turn(&mut client, &mut rack, false);
    assert_eq!(after.next()["status"], "firing");
    assert_eq!(before.rest(), 0);
    let text = fs::read_to_string(&place.config).expect("it is there");
    fs::write(&place.config, text.replace("to = [\"crew\"]", "to = [\"crow\"]")).expect("it can be written");
    hub.expect("did you mean");
    turn(&mut client, &mut rack, true);
    assert_eq!(after.next()["status"], "resolved", "a bad file changes nothing");
}

#[test]
fn check_says_who_would_be_told_and_finds_what_a_template_lacks() {
    let witness = Witness::start();
    let place = Place::telling(&witness);
    let (good, out, err) = said(&hub(&["check", "--config", &place.config]).output().expect("it starts"));
    assert!(good && out.contains("1 receiver, 1 route"), "{out}{err}");
    let place = Place::with(
        &tables(&witness, "").replace("[[route]]", "template = { title = \"{nothing}\" }\n[[route]]"),
    );
    let (good, out, err) = said(&hub(&["check", "--config", &place.config]).output().expect("it starts"));
    assert!(!good && err.contains("receiver \"crew\"") && err.contains("nothing"), "{out}{err}");
    assert!(place.directory.path().exists());
}

#[test]
fn a_test_message_is_sent_from_the_command_line_and_says_what_came_of_it() {
    let witness = Witness::start();
    let place = Place::telling(&witness);
    let test = |words: &[&str]| {
        let words = [&["notify", "test", "--config", &place.config], words].concat();
        said(&hub(&words).output().expect("it starts"))
    };
    let (good, out, err) = test(&["--receiver", "crew"]);
    assert!(good && out.contains("crew: delivered"), "{out}{err}");
    assert_eq!(witness.next()["receiver"], "crew");
    let (good, out, err) = test(&["--route", "all"]);
    assert!(good && out.contains("crew: delivered"), "{out}{err}");
    witness.next();
    witness.refuse(true);
    let (good, _, err) = test(&["--receiver", "crew"]);
    assert!(!good && err.contains("503"), "{err}");
    let (good, _, err) = test(&["--receiver", "crow"]);
    assert!(!good && err.contains("there is no receiver \"crow\""), "{err}");
}

#[test]
fn whoever_sees_one_site_sees_nothing_of_another_and_does_nothing_there() {
    let witness = Witness::start();
    let sites = "[[site]]\nid = \"arena-north\"\n[[site]]\nid = \"town-hall\"\n";
    let place = Place::with(&tables(&witness, sites));
    fs::create_dir(place.directory.path().join("data")).expect("the directory can be written");
    let token = |site: &str| {
        let words = [
            "token",
            "create",
            site,
            "--scope",
            "read",
            "--scope",
            "act",
            "--site",
            site,
            "--config",
            &place.config,
        ];
        let (ok, out, err) = running::said(&running::hub(&words).output().expect("it runs"));
        assert!(ok, "{err}");
        format!("X-Forwarded-For: 192.0.2.7\r\nAuthorization: Bearer {}\r\n", out.trim_end())
    };
    let (here, elsewhere) = (token("arena-north"), token("town-hall"));
    let hub = Running::start(&place.config);
    let (mut client, mut rack) = begin(&hub, 1);
    turn(&mut client, &mut rack, false);
    witness.next();
    let see = |who: &str, path: &str| hub.send("GET", path, who, "");
    let list: Json = serde_json::from_str(&see(&here, "/api/log").1).expect("JSON");
    let id = list["log"].as_array().expect("a list").iter().find_map(|one| one["alert"].as_str());
    let id = id.expect("the alert is in the log").to_owned();
    let path = format!("/alerts/{id}");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let post = |who: &str, path: &str, body: &str| hub.post(path, &format!("{form}{who}"), body).0;
    for (who, is_theirs) in [(&here, true), (&elsewhere, false)] {
        assert_eq!(see(who, "/alerts").1.contains(&id), is_theirs, "the list");
        assert_eq!(see(who, &path).0, if is_theirs { 200 } else { 404 }, "its page");
        for log in ["/log", "/api/log", "/api/log?site=arena-north"] {
            assert_eq!(see(who, log).1.contains(&id), is_theirs, "{log}");
            assert_eq!(see(who, log).1.contains("rack-1"), is_theirs, "{log}");
        }
        let muted = if is_theirs { 204 } else { 404 };
        assert_eq!(post(who, &path, "do=mute&for=1h&what=site"), muted, "it is not there");
        assert_eq!(see(who, "/alerts").1.contains("because of Off"), is_theirs, "the mute");
    }
    assert_eq!(post(&elsewhere, "/mutes/1", "do=end"), 403);
    assert_eq!(post(&elsewhere, &path, "do=acknowledge"), 404);
    assert_eq!(post(&here, &path, "do=acknowledge&who=somebody+else"), 204);
    let page = see(&here, "/alerts").1;
    assert!(page.contains("In hand: arena-north since"), "the token's own name counts: {page}");
}
