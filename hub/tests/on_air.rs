//! On air, from a tally at an appliance and a file of shows to `/metrics`, with the real hub.

mod client;
mod desk;
mod rack;
mod running;

use client::Client;
use desk::Desk;
use rack::{Rack, series};
use rackside_hub::clock;
use rackside_hub::config::Config;
use rackside_onair::Zone;
use rackside_proto::{Value, What};
use running::{FREE, Running, file};
use std::path::Path;

const LISTENER: &str = "[listener]\naddress = \"127.0.0.1:0\"\n";
const ALWAYS: &str = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20200101\nRRULE:FREQ=DAILY\nEND:VEVENT\nEND:VCALENDAR\n";
const NEVER: &str = "BEGIN:VCALENDAR\nEND:VCALENDAR\n";

/// Waits until the site is, or is not, on air for that reason.
fn wait(desk: &Desk, reason: &str, is: &str) {
    let line = format!("rackside_site_on_air{{site=\"arena-north\",reason=\"{reason}\"}}");
    desk.eventually(&format!("{line} {is}"), |desk| desk.metric(&line).filter(|found| found == is));
}

fn site(calendar: &Path) -> String {
    let calendar = calendar.display().to_string();
    format!("[[site]]\nid = \"arena-north\"\ntime_zone = \"Europe/Berlin\"\ncalendar = {calendar:?}\n")
}

#[test]
fn a_tally_puts_its_site_on_air_and_holds_over_a_restart() {
    let mut desk = Desk::start();
    let mut client = Client::connect(desk.mqtt(), "rack").expect("it connects");
    let mut rack = Rack::new("arena-north", "rack-1");
    let tally = series("rackside_tally_active", &[("tally", "camera-1"), ("bus", "program")]);
    for message in [rack.presence(true), rack.catalog(&[tally]), rack.numbers(&[0])] {
        client.send(message).expect("sent");
    }
    wait(&desk, "tally", "0");
    let edge = |on| What::Sample { catalog: 1, series: 0, value: Value::Known(on) };
    client.send(rack.event(edge(1))).expect("sent");
    wait(&desk, "tally", "1");
    let query = "/api/v1/query?query=max(rackside_site_on_air%7Breason%3D%22tally%22%7D)%20by%20(site)";
    let answer = desk.eventually("queries see it", |desk| {
        Some(desk.json(query)["data"]["result"][0].clone()).filter(|one| one["value"][1] == "1")
    });
    assert_eq!(answer["metric"]["site"], "arena-north");
    client.send(rack.event(edge(0))).expect("sent");
    desk.eventually("it is off", |desk| {
        desk.metric("rackside_site_tallies{site=\"arena-north\",state=\"off\"}").filter(|off| off == "1")
    });
    wait(&desk, "tally", "1");
    desk.restart();
    wait(&desk, "tally", "1");
    wait(&desk, "manual", "0");
}

#[test]
fn by_hand_takes_effect_at_once_and_outlives_the_hub() {
    let mut desk = Desk::with(&format!("{LISTENER}[[site]]\nid = \"arena-north\"\n"));
    wait(&desk, "manual", "0");
    let id = "arena-north".parse().expect("an id");
    desk.on_air().on_by_hand(&id, None).expect("there is such a site");
    wait(&desk, "manual", "1");
    desk.restart();
    wait(&desk, "manual", "1");
    desk.on_air().off_by_hand(&id).expect("there is such a site");
    wait(&desk, "manual", "0");
    assert!(desk.on_air().on_by_hand(&"elsewhere".parse().expect("an id"), None).is_err());
}

#[test]
fn the_page_of_a_site_puts_it_on_air_until_a_moment_and_takes_that_back() {
    let site = "[[site]]\nid = \"arena-north\"\nname = \"Arena <North>\"\ntime_zone = \"Europe/Berlin\"\naccess = \"Key at the gate\"\n\
                [[site.contact]]\nrole = \"stage office\"\nphone = \"+49 30 5550101\"\n\
                [[site.show]]\nname = \"Gala\"\nstart = \"2026-01-01T00:00\"\nduration = \"2h\"\n\
                days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]\n\
                [[maintenance]]\nname = \"cabling\"\nstart = \"2026-01-01T00:00\"\nduration = \"1h\"\ndays = [\"mon\"]\n\
                sites = [\"arena-north\"]\n";
    let mut desk = Desk::with(&format!("{LISTENER}{site}"));
    wait(&desk, "manual", "0");
    let page = desk.get("/sites/arena-north");
    let parts = [
        "Arena &lt;North&gt;",
        "href=\"tel:+49305550101\"",
        "Key at the gate",
        "Gala",
        "cabling",
        "rig-up 22:00",
    ];
    for part in parts {
        assert!(page.contains(part), "{part} is not on the page:\n{page}");
    }
    let post = |desk: &Desk, asked: &str| {
        let origin = format!("http://{}", desk.web());
        let browser = [("Accept", "text/html"), ("Origin", &*origin), ("Sec-Fetch-Site", "same-origin")];
        desk.request("POST", &format!("/sites/arena-north?{asked}"), &browser)
    };
    let berlin: Zone = "Europe/Berlin".parse().expect("a zone");
    let tomorrow = berlin.local(clock::now().utc_ms as i64 + 86_400_000).format("%Y-%m-%dT%H:%M").to_string();
    assert_eq!(post(&desk, &format!("do=on_air&until={tomorrow}")).status, 303);
    wait(&desk, "manual", "1");
    desk.restart();
    wait(&desk, "manual", "1");
    let page = desk.get("/sites/arena-north");
    assert!(page.contains("by hand until") && page.contains("Take it back"), "{page}");
    assert!(desk.get("/").contains("by hand until"));
    assert_eq!(post(&desk, "do=take_back").status, 303);
    wait(&desk, "manual", "0");
    for asked in [
        "do=on_air&until=2026-01-01T00:00",
        "do=on_air&until=2999-01-01T00:00",
        "do=on_air&until=soon",
        "do=nothing",
    ] {
        let answer = post(&desk, asked);
        assert_eq!(answer.status, 400, "{asked}");
        assert!(answer.text().contains("role=\"alert\""), "{asked}");
    }
    wait(&desk, "manual", "0");
    let foreign =
        desk.request("POST", "/sites/arena-north?do=let_go", &[("Origin", "https://elsewhere.example")]);
    assert_eq!((foreign.status, desk.request("GET", "/sites/elsewhere", &[]).status), (403, 404));
}

#[test]
fn the_configuration_puts_a_site_on_air_by_hand_and_takes_it_off() {
    let site = "[[site]]\nid = \"arena-north\"\ntime_zone = \"Europe/Berlin\"\n";
    let mut desk = Desk::with(&format!("{LISTENER}{site}on_air = \"2999-01-01T00:00\"\n"));
    wait(&desk, "manual", "1");
    desk.restart();
    wait(&desk, "manual", "1");
    let read_again = |desk: &Desk, more: &str| {
        let config = Config::parse(&format!("{site}{more}"), "hub.toml").expect("right");
        desk.on_air().configure(&config.site);
    };
    read_again(&desk, "");
    wait(&desk, "manual", "0");
    read_again(&desk, "on_air = \"2999-01-01T00:00\"\n");
    wait(&desk, "manual", "1");
    read_again(&desk, "on_air = \"2026-01-01T00:00\"\n");
    wait(&desk, "manual", "0");
}

#[test]
fn the_configuration_ends_what_a_tally_holds() {
    let site = "[[site]]\nid = \"arena-north\"\ntime_zone = \"UTC\"\n";
    let desk = Desk::with(&format!("{LISTENER}{site}"));
    let mut client = Client::connect(desk.mqtt(), "rack").expect("it connects");
    let mut rack = Rack::new("arena-north", "rack-1");
    let tally = series("rackside_tally_active", &[("tally", "camera-1"), ("bus", "program")]);
    for message in [rack.presence(true), rack.catalog(&[tally]), rack.numbers(&[1])] {
        client.send(message).expect("sent");
    }
    wait(&desk, "tally", "1");
    client.send(rack.event(What::Sample { catalog: 1, series: 0, value: Value::Known(0) })).expect("sent");
    desk.eventually("it is off", |desk| {
        desk.metric("rackside_site_tallies{site=\"arena-north\",state=\"off\"}").filter(|off| off == "1")
    });
    wait(&desk, "tally", "1");
    let now = clock::now().utc_ms as i64;
    let over = Zone::UTC.local(now + 1000).format("%Y-%m-%dT%H:%M:%S");
    let config = Config::parse(&format!("{site}off_air = \"{over}\"\n"), "hub.toml").expect("right");
    desk.on_air().configure(&config.site);
    wait(&desk, "tally", "0");
}

#[test]
fn a_calendar_is_followed_and_read_again_when_it_changes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("arena-north.ics");
    std::fs::write(&file, ALWAYS).expect("written");
    let desk = Desk::with(&format!("{LISTENER}{}", site(&file)));
    wait(&desk, "calendar", "1");
    std::fs::write(&file, NEVER).expect("written");
    wait(&desk, "calendar", "0");
}

#[test]
fn a_site_that_is_added_to_the_configuration_is_known_without_a_restart() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let calendar = directory.path().join("arena-north.ics");
    std::fs::write(&calendar, ALWAYS).expect("written");
    let running = Running::start(&file(&directory, FREE));
    file(&directory, &format!("{FREE}{}", site(&calendar)));
    let line = running.expect("site arena-north: 1 events in");
    assert!(line.contains("arena-north.ics"), "{line}");
}

#[test]
fn the_log_tells_what_happened_in_words_by_pages_and_by_what_is_asked() {
    let desk = Desk::with(&format!(
        "{LISTENER}[[site]]\nid = \"arena-north\"\nname = \"Arena <North>\"\ntime_zone = \"Europe/Berlin\"\n"
    ));
    let mut client = Client::connect(desk.mqtt(), "rack").expect("it connects");
    let mut rack = Rack::new("arena-north", "rack-1");
    let tally = series("rackside_tally_active", &[("tally", "camera-1"), ("bus", "program")]);
    for message in [rack.presence(true), rack.catalog(&[tally]), rack.numbers(&[0])] {
        client.send(message).expect("sent");
    }
    let text = |subject, text| What::Text { subject, text };
    let edge = What::Sample { catalog: 1, series: 0, value: Value::Known(1) };
    for what in [edge, text("error/encoder", "<script>refused</script>"), text("default_route", "wwan0")] {
        client.send(rack.event(what)).expect("sent");
    }
    let log = |query: &str| desk.json(&format!("/api/log{query}"));
    desk.eventually("all three are there, and both starts", |desk| {
        let count = desk.json("/api/log")["log"].as_array().map(Vec::len);
        (count == Some(5)).then_some(())
    });
    let said = |answer: &serde_json::Value| -> Vec<String> {
        let entries = answer["log"].as_array().expect("a list").iter();
        let mut said: Vec<String> = entries
            .map(|one| format!("{} {} {}", one["appliance"], one["kind"], one["what"]).replace('"', ""))
            .collect();
        said.sort();
        said
    };
    let all = [
        format!("null hub the hub has started: {}", env!("CARGO_PKG_VERSION")),
        format!("rack-1 agent the agent has started: run {}", rack.run),
        "rack-1 network the way out is wwan0".to_owned(),
        "rack-1 probe encoder: <script>refused</script>".to_owned(),
        "rack-1 tally camera-1 is on program".to_owned(),
    ];
    assert_eq!(said(&log("")), all);
    assert_eq!(said(&log("?kind=tally")), all[4..]);
    assert_eq!(said(&log("?kind=agent&site=arena-north")), all[1..2]);
    assert_eq!(said(&log("?text=WWAN&site=arena-north&appliance=rack-1")), all[2..3]);
    for none in ["?site=town-hall", "?until=2026-01-01T00:00", "?from=2100-01-01T00:00", "?kind=alert"] {
        assert_eq!(said(&log(none)), Vec::<String>::new(), "{none}");
    }
    for wrong in ["?kind=else", "?limit=0", "?limit=x", "?after=x", "?newer=x", "?from=soon"] {
        assert_eq!(desk.request("GET", &format!("/api/log{wrong}"), &[]).status, 400, "{wrong}");
    }
    // Pages lie end to end, downwards, and upwards again from the lowest on.
    let pages = |way: &str, from: &str| {
        let (mut paged, mut place) = (Vec::new(), from.to_owned());
        loop {
            let answer = log(&format!("?limit=1{place}"));
            paged.extend(said(&answer));
            let Some(on) = answer[if way == "after" { "next" } else { way }].as_str() else { break };
            place = format!("&{way}={}", on.replace('/', "%2F"));
        }
        paged.sort();
        paged
    };
    assert_eq!(pages("after", ""), all);
    assert_eq!(pages("newer", "&newer=0.0.s0"), all);
    let page = desk.get("/log");
    assert!(page.contains("encoder: &lt;script&gt;refused") && !page.contains("<script>refused"), "{page}");
    assert!(page.contains("Arena &lt;North&gt;") && page.contains("data-zone=\"Europe/Berlin\""), "{page}");
    assert!(desk.get("/log?kind=else").contains("there is no kind"));
}

#[test]
fn the_public_page_may_be_kept_for_a_moment_and_is_asked_for_by_its_tag() {
    let desk =
        Desk::with(&format!("{LISTENER}[status]\nenabled = true\n[[site]]\nid = \"hall\"\npublic = true\n"));
    let away = ("X-Forwarded-For", "192.0.2.7");
    let first = desk.request("GET", "/status", &[away]);
    assert!(first.head.contains("cache-control: public, max-age=15"), "{}", first.head);
    let tag =
        first.head.split("etag: ").nth(1).and_then(|rest| rest.lines().next()).expect("a tag").to_owned();
    assert_eq!(desk.request("GET", "/status", &[away, ("If-None-Match", &tag)]).status, 304);
    let packed = desk.request("GET", "/status", &[away, ("Accept-Encoding", "gzip")]);
    assert!(packed.head.contains("content-encoding: gzip") && packed.body.starts_with(&[0x1f, 0x8b]));
    let own = desk.request("GET", "/status", &[]);
    assert!(own.head.contains("cache-control: no-store"), "an operator's is kept by nobody: {}", own.head);
}
