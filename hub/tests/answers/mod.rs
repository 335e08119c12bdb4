//! The JSON API over real sockets: lists by pages, tags, problems, what may be changed, and what other origins' pages may ask.

use super::desk::Desk;
use super::rack::{Rack, vitals};
use super::{Client, running};
use rackside_hub::clock;
use serde_json::{Value as Json, json};
use std::io::{Read, Write as _};
use std::net::TcpStream;

/// An answer: code, head in lower case, body.
type Answer = (u16, String, String);

pub(super) fn ask(desk: &Desk, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(desk.web()).expect("it listens");
    let (host, length) = (desk.web(), body.len());
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n"
    );
    stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
    (status, head.to_lowercase(), body.to_owned())
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let lines = answer.1.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

fn json(answer: &Answer) -> Json {
    serde_json::from_str(&answer.2).unwrap_or_else(|error| panic!("{error}: {}", answer.2))
}

/// Whatever is refused is a problem of this code, and says this.
fn refused(answer: &Answer, code: u16, why: &str) {
    assert_eq!(
        (answer.0, header(answer, "content-type")),
        (code, "application/problem+json"),
        "{}",
        answer.2
    );
    let told = json(answer);
    assert_eq!(told["status"], code);
    assert!(told["detail"].as_str().is_some_and(|detail| detail.contains(why)), "{told}");
}

#[test]
fn sites_come_page_by_page_with_what_is_known_of_them() {
    let desk = Desk::with(
        "[listener]\naddress = \"127.0.0.1:0\"\n[[site]]\nid = \"hall\"\nname = \"The Hall\"\ntime_zone = \"Europe/Berlin\"\n\
         tags = [\"city\"]\naccess = \"Ring.\"\ncontact = [{ role = \"technician\", phone = \"+49 30 0\" }]\n",
    );
    let mut client = Client::connect(desk.mqtt(), "barn/rack-1/1").expect("it connects");
    let mut rack = Rack::new("barn", "rack-1");
    for sent in [rack.presence(true), rack.birth(), rack.catalog(&vitals())] {
        client.send(sent).expect("sent");
    }
    client.send(rack.numbers(&[483, 125, 1_258_291, 4_194_304, 0])).expect("sent");
    desk.eventually("a reading is known", |desk| desk.get("/api/sites").contains("48.3").then_some(()));
    let first = desk.json("/api/sites?limit=1");
    assert_eq!((&first["sites"][0]["site"], &first["next"]), (&json!("barn"), &json!("barn")));
    let second = desk.json("/api/sites?limit=1&after=barn");
    let hall = &second["sites"][0];
    assert_eq!(
        (&hall["name"], &hall["tags"], &second["next"]),
        (&json!("The Hall"), &json!(["city"]), &Json::Null)
    );
    assert_eq!((&hall["on_air"]["on"], &hall["appliances"]), (&json!(false), &json!([])));
    let whole = desk.json("/api/sites/hall");
    assert_eq!((&whole["time_zone"], &whole["access"]), (&json!("Europe/Berlin"), &json!("Ring.")));
    assert_eq!(whole["contacts"][0]["role"], "technician");
    let rack = desk.json("/api/sites/barn/rack-1");
    assert_eq!(
        (&rack["site"], &rack["appliance"], &rack["up"]),
        (&json!("barn"), &json!("rack-1"), &json!(true))
    );
    let series = desk.json("/api/sites/barn/rack-1/series?limit=1&after=rackside_memory_used_bytes");
    assert_eq!(
        series["series"][0],
        json!({ "id": "rackside_soc_temperature_celsius", "name": "rackside_soc_temperature_celsius", "labels": {},
                "unit": "celsius", "kind": "gauge", "value": 48.3 })
    );
    for (path, why) in [
        ("/api/sites/nowhere", "no site \"nowhere\""),
        ("/api/sites/barn/rack-2", "no appliance \"barn/rack-2\""),
        ("/api/sites/barn/RACK/series", "no appliance"),
        ("/api/nothing", "/api/nothing"),
    ] {
        refused(&ask(&desk, "GET", path, "", ""), 404, why);
    }
    refused(&ask(&desk, "GET", "/api/sites?limit=0", "", ""), 400, "from 1 to 1000");
    refused(&ask(&desk, "DELETE", "/api/sites/barn", "", ""), 405, "DELETE");
}

#[test]
fn who_has_an_answer_already_is_told_so() {
    let (desk, mut client, mut rack) = running();
    for path in [
        "/api/sites",
        "/api/sites/arena-north",
        "/api/sites/arena-north/rack-1/series",
        "/api/alerts",
        "/api/silences",
        "/api/receivers",
    ] {
        let known = |tag: &str| ask(&desk, "GET", path, &format!("If-None-Match: {tag}\r\n"), "");
        // Of a rack that is just starting something may change in between.
        let unchanged = (0..20).find_map(|_| {
            let first = ask(&desk, "GET", path, "", "");
            assert_eq!((first.0, header(&first, "cache-control")), (200, "private, no-cache"));
            let tag = header(&first, "etag").replace("w/", "W/");
            let again = known(&tag);
            (again.0 == 304).then_some((tag, again.2))
        });
        let (tag, body) = unchanged.expect("nothing changes for so long");
        assert!(tag.starts_with("W/\"") && body.is_empty(), "{path}: {tag}");
        assert_eq!(known("\"other\"").0, 200);
    }
    let tag = header(&ask(&desk, "GET", "/api/sites", "", ""), "etag").replace("w/", "W/");
    client.send(rack.numbers(&[555, 0, 0, 4_194_304, 0])).expect("sent");
    desk.eventually("it has changed", |desk| {
        (ask(desk, "GET", "/api/sites", &format!("If-None-Match: {tag}\r\n"), "").0 == 200).then_some(())
    });
}

#[test]
fn an_alert_is_taken_in_hand_and_given_back() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let rules = directory.path().join("own.yml");
    let text = "groups:\n- name: own\n  rules:\n  - alert: Up\n    expr: rackside_appliance_up == 1\n";
    std::fs::write(&rules, text).expect("the directory can be written");
    let desk = Desk::with(&format!(
        "[listener]\naddress = \"127.0.0.1:0\"\n[rules]\ndefaults = false\ninterval = \"1s\"\nfiles = [{:?}]\n",
        rules.display().to_string()
    ));
    let mut client = Client::connect(desk.mqtt(), "arena-north/rack-1/1").expect("it connects");
    let mut rack = Rack::new("arena-north", "rack-1");
    for sent in [rack.presence(true), rack.birth(), rack.catalog(&vitals())] {
        client.send(sent).expect("sent");
    }
    let id = desk.eventually("it fires", |desk| {
        let alerts = desk.json("/api/alerts?state=firing&site=arena-north");
        Some(alerts["alerts"][0]["id"].as_str()?.to_owned())
    });
    assert_eq!(desk.json("/api/alerts?site=elsewhere")["alerts"], json!([]));
    let path = format!("/api/alerts/{id}");
    assert_eq!(desk.json(&path)["labels"]["alertname"], "Up");
    let kind = "Content-Type: application/json\r\n";
    let post =
        |what: &str, headers: &str, body: &str| ask(&desk, "POST", &format!("{path}/{what}"), headers, body);
    refused(&post("release", kind, ""), 409, "nobody has it in hand");
    refused(&post("acknowledge", kind, "{}"), 400, "`who` is empty");
    refused(&post("acknowledge", kind, "{\"whom\":\"desk\"}"), 400, "whom");
    refused(&post("acknowledge", "Content-Type: text/plain\r\n", "{}"), 415, "application/json");
    refused(&post("acknowledge", kind, &"x".repeat(70_000)), 413, "larger than");
    let elsewhere = format!("{kind}Origin: https://elsewhere.example\r\n");
    refused(&post("acknowledge", &elsewhere, "{\"who\":\"desk\"}"), 403, "another site's page");
    let taken = json(&post("acknowledge", kind, "{\"who\":\"desk\",\"note\":\"on my way\"}"));
    assert_eq!((&taken["state"], &taken["acknowledged"]["by"]), (&json!("acknowledged"), &json!("desk")));
    assert_eq!(json(&post("release", "", ""))["acknowledged"], Json::Null);
    let around = desk.json(&format!("{path}/around"));
    assert_eq!(around["expression"], "rackside_appliance_up == 1");
    assert!(around["before"].is_array() && around["contacts"] == json!([]), "{around}");
    let muted = post("mute", kind, "{\"for\":\"1h\",\"what\":\"site\",\"who\":\"desk\"}");
    assert_eq!((muted.0, json(&muted)["id"].is_u64()), (201, true), "{}", muted.2);
    assert_eq!(desk.json("/api/silences")["silences"][0]["by"], "desk");
    for (body, why) in [
        ("{\"for\":\"ever\",\"who\":\"desk\"}", "for how long"),
        ("{\"for\":\"1h\",\"what\":\"all\",\"who\":\"desk\"}", "`what` is"),
        ("{\"for\":\"1h\"}", "who you are"),
    ] {
        refused(&post("mute", kind, body), 400, why);
    }
    refused(&ask(&desk, "POST", "/api/alerts/0000000000000000/release", "", ""), 404, "no alert");
    refused(&ask(&desk, "GET", "/api/alerts/nothing", "", ""), 404, "no alert");
    refused(&ask(&desk, "GET", "/api/alerts?state=bad", "", ""), 400, "no state");
}

#[test]
fn who_asks_is_told_who_they_are() {
    let (desk, ..) = running();
    let me = json(&ask(&desk, "GET", "/api/me", "", ""));
    let rights = json!(["read", "metrics", "act", "manage"]);
    assert_eq!((&me["how"], &me["name"], &me["rights"]), (&json!("open"), &Json::Null, &rights));
    assert_eq!((&me["sites"], &me["csrf"]), (&Json::Null, &Json::Null));
}

#[test]
fn a_site_is_put_on_air_by_hand_and_taken_back() {
    let desk = Desk::with(
        "[listener]\naddress = \"127.0.0.1:0\"\n[[site]]\nid = \"hall\"\ntime_zone = \"Europe/Berlin\"\n\
         [[site.show]]\nname = \"Rehearsal\"\nstart = \"2020-01-01T10:00\"\nduration = \"1h\"\ndays = [\"mon\", \"thu\"]\n",
    );
    let path = "/api/sites/hall/on_air";
    let before = json(&ask(&desk, "GET", path, "", ""));
    assert_eq!((&before["by_hand"], &before["site"]), (&Json::Null, &json!("hall")));
    assert!(before["show"].is_object() || before["next"].is_object(), "{before}");
    let kind = "Content-Type: application/json\r\n";
    let until = clock::now().utc_ms + 3_600_000;
    let taken = json(&ask(&desk, "POST", path, kind, &format!("{{\"until\":{until}}}")));
    assert_eq!((&taken["on"], &taken["by_hand"]["can_be_taken_back"]), (&json!(true), &json!(true)));
    assert_eq!(json(&ask(&desk, "GET", path, "", ""))["by_hand"], taken["by_hand"]);
    refused(&ask(&desk, "POST", path, kind, "{\"until\":\"2020-01-01T10:00\"}"), 400, "over already");
    refused(&ask(&desk, "POST", path, kind, "{\"until\":\"soon\"}"), 400, "no moment");
    refused(&ask(&desk, "POST", path, "", "{}"), 415, "application/json");
    refused(&ask(&desk, "GET", "/api/sites/barn/on_air", "", ""), 404, "no site");
    assert_eq!(json(&ask(&desk, "DELETE", path, "", ""))["by_hand"], Json::Null);
    let shows = json(&ask(&desk, "GET", "/api/shows?site=hall&limit=2", "", ""));
    let all = shows["shows"].as_array().expect("a list");
    assert_eq!(
        (all.len(), &all[0]["name"], all[0]["site"] == "hall"),
        (2, &json!("Rehearsal"), true),
        "{shows}"
    );
    let after = shows["next"].as_str().expect("there are more");
    let rest = json(&ask(&desk, "GET", &format!("/api/shows?after={}", after.replace(' ', "%20")), "", ""));
    assert!(rest["shows"][0]["starts_at"].as_str() > all[1]["starts_at"].as_str(), "{rest}");
    refused(&ask(&desk, "GET", "/api/shows?days=0", "", ""), 400, "`days`");
}

#[test]
fn the_public_is_told_by_programs_as_well() {
    let desk = Desk::with(
        "[listener]\naddress = \"127.0.0.1:0\"\n[status]\nenabled = true\n[[site]]\nid = \"hall\"\npublic = true\n[[site]]\nid = \"barn\"\n",
    );
    let kind = "Content-Type: application/json\r\n";
    let tell = |method: &str, path: &str, body: &str| ask(&desk, method, path, kind, body);
    let made =
        tell("POST", "/api/incidents", r#"{"site":"hall","title":"No picture","text":"We are at it."}"#);
    assert_eq!(made.0, 201, "{}", made.2);
    let id = json(&made)["id"].as_i64().expect("a number");
    let one = format!("/api/incidents/{id}");
    assert_eq!(tell("PUT", &one, r#"{"text":"It is the carrier."}"#).0, 204);
    let public = json(&ask(&desk, "GET", "/api/status", "", ""));
    assert_eq!(public["incidents"][0]["text"], "It is the carrier.", "at once");
    refused(&tell("POST", &format!("{one}/end"), "[]"), 400, "no JSON object");
    assert_eq!(ask(&desk, "POST", &format!("{one}/end"), "", "").0, 204, "nothing more need be said");
    let listed = json(&ask(&desk, "GET", "/api/incidents", "", ""));
    let told = &listed["incidents"][0];
    assert_eq!((&told["text"], told["ends_at"].is_string()), (&json!("It is the carrier."), true));
    refused(&tell("PUT", &one, r#"{"text":"again"}"#), 404, "no incident");
    refused(
        &tell("POST", "/api/incidents", r#"{"site":"barn","title":"x"}"#),
        400,
        "does not know of the site",
    );
    refused(&tell("POST", "/api/incidents", r#"{"title":""}"#), 400, "title");
    let (closed, ..) = running();
    refused(&ask(&closed, "GET", "/api/incidents", "", ""), 404, "no status page");
}

#[test]
fn who_is_on_call_what_is_announced_and_how_the_hub_fares_is_told() {
    let desk = Desk::with(
        "[listener]\naddress = \"127.0.0.1:0\"\n[[site]]\nid = \"hall\"\n\
         [[receiver]]\nname = \"desk\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n[[team]]\nname = \"crew\"\ntime_zone = \"UTC\"\nfallback = [\"desk\"]\n\
         [[maintenance]]\nname = \"Patches\"\nsites = [\"hall\"]\nstart = \"2020-01-01T03:00\"\nduration = \"1h\"\ndays = [\"sun\"]\ntime_zone = \"Europe/Berlin\"\n",
    );
    let get = |path: &str| json(&ask(&desk, "GET", path, "", ""));
    let team = &get("/api/on_call")["teams"][0];
    assert_eq!((&team["team"], &team["who"]), (&json!("crew"), &json!(["desk"])));
    let windows = get("/api/maintenance?days=28");
    let all = windows["maintenance"].as_array().expect("a list");
    assert!((4..=5).contains(&all.len()) && all[0]["sites"] == json!(["hall"]), "{windows}");
    assert_eq!(get("/api/maintenance?site=barn")["maintenance"], json!([]));
    let hub = get("/api/hub");
    assert!(hub["ready"] == true && hub["history"]["bytes"].is_u64(), "{hub}");
}

#[test]
fn pages_of_an_origin_that_is_named_may_ask_and_others_may_not() {
    let desk = Desk::try_with(
        "[listener]\naddress = \"127.0.0.1:0\"\n[web]\naddress = \"127.0.0.1:0\"\ncors = [\"https://wall.example.org\"]\n",
    );
    let desk = desk.expect("it starts");
    let question = "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n";
    for path in ["/api/sites", "/api/v1/query?query=up"] {
        let asked =
            |origin: &str| ask(&desk, "OPTIONS", path, &format!("Origin: {origin}\r\n{question}"), "");
        let allowed = asked("https://wall.example.org");
        assert_eq!(
            (allowed.0, header(&allowed, "access-control-allow-origin")),
            (204, "https://wall.example.org")
        );
        assert!(header(&allowed, "access-control-allow-headers").contains("authorization"));
        assert_eq!(header(&allowed, "access-control-allow-credentials"), "");
        assert_eq!(header(&asked("https://elsewhere.example"), "access-control-allow-origin"), "");
        let answer = ask(&desk, "GET", path, "Origin: https://wall.example.org\r\n", "");
        assert_eq!(
            (answer.0, header(&answer, "access-control-allow-origin")),
            (200, "https://wall.example.org")
        );
        assert!(header(&answer, "vary").contains("origin") || answer.1.matches("vary: origin").count() == 1);
    }
    let page = ask(&desk, "GET", "/", "Origin: https://wall.example.org\r\n", "");
    assert_eq!(header(&page, "access-control-allow-origin"), "", "pages are nobody else's");
    let (closed, ..) = running();
    let answer = ask(&closed, "GET", "/api/sites", "Origin: https://wall.example.org\r\n", "");
    assert_eq!(header(&answer, "access-control-allow-origin"), "", "off unless it is configured");
}
