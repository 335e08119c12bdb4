//! A box joins a hub that runs: the code from the command line beside it, the question over HTTP, and what strangers and floods get.

use super::access::{FAR, FORM, PASSWORD, Place, csrf, inside};
use super::running::Running;
use rackside_hub::clock;
use rackside_identity::asking::{self, Box};
use rackside_proto::join::{Code, Refusal};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const JOINABLE: &str = "[listener]\naddress = \"127.0.0.1:0\"\ntls = { address = \"127.0.0.1:0\" }\n\
    [web]\naddress = \"127.0.0.1:0\"\n[join]\nurl = \"http://hub.example.org:8080\"\naddresses = [\"mqtts://localhost:8883\"]\n";

/// Status and body of an answer.
fn post(running: &Running, headers: &str, question: &[u8]) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(running.web()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("not zero");
    let length = question.len();
    let head = format!(
        "POST /join HTTP/1.1\r\nHost: hub.example.org\r\nContent-Type: application/octet-stream\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), question].concat()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    (status, head, answer[end + 4..].to_vec())
}

fn code(place: &Place, name: &str) -> Code {
    let said = place.done(&["join", name], "");
    let line = said.lines().find(|line| line.starts_with("On the box:")).expect("what to do");
    line.rsplit(' ').next().expect("a word").parse().expect("a code")
}

#[test]
fn a_box_joins_by_a_code_once_and_a_stranger_learns_nothing() {
    let place = Place::new(JOINABLE);
    let running = Running::start(&place.config);
    let (code, rack) = (code(&place, "hall/rack-1"), Box::default());
    assert!(place.done(&["identity", "list"], "").contains("hall/rack-1  waiting"));
    let question = rack.ask(&code);
    let (status, head, answer) = post(&running, "", &question);
    assert_eq!(status, 200, "{head}");
    assert!(head.to_lowercase().contains("content-type: application/octet-stream"), "{head}");
    let granted = asking::read(&question, &answer, code.fingerprint).expect("granted");
    assert_eq!((&*granted.name, &*granted.addresses[0]), ("hall/rack-1", "mqtts://localhost:8883"));
    running.expect("hall/rack-1 has joined");
    let (status, _, again) = post(&running, "", &question);
    assert_eq!(
        (status, asking::read(&question, &again, code.fingerprint)),
        (200, Ok(granted)),
        "the answer was lost"
    );
    let question = Box::default().ask(&code);
    let (status, _, answer) = post(&running, "", &question);
    assert_eq!(
        (status, asking::read(&question, &answer, code.fingerprint)),
        (403, Err(Some((Refusal::Used, true))))
    );
    running.expect("another box came with the code of hall/rack-1");
    let question = rack.ask(&Code { secret: [0; 16], ..code.clone() });
    let (status, _, answer) = post(&running, "", &question);
    assert_eq!(
        (status, asking::read(&question, &answer, code.fingerprint)),
        (403, Err(Some((Refusal::Unknown, false))))
    );
    for (status, question) in [(400, vec![]), (400, vec![9; 4096]), (413, vec![9; 4097])] {
        let (said, _, answer) = post(&running, "", &question);
        assert_eq!(said, status, "{} bytes", question.len());
        assert_eq!(
            asking::read(&question, &answer, code.fingerprint),
            Err(Some((Refusal::Unreadable, false)))
        );
    }
    let list = place.done(&["identity", "list"], "");
    assert!(list.contains("hall/rack-1  joined") && list.contains("another box came 1 time with"), "{list}");
    for line in ["rackside_hub_identities", "rackside_hub_join_total{outcome=\"joined\"}"] {
        assert_eq!(running.metric(line), Some(1.0), "{line}");
    }
}

#[test]
fn what_the_command_line_ends_the_running_hub_refuses() {
    let place = Place::new(JOINABLE);
    let running = Running::start(&place.config);
    let (code, rack) = (code(&place, "hall/rack-1"), Box::default());
    let question = rack.ask(&code);
    let granted =
        asking::read(&question, &post(&running, "", &question).2, code.fingerprint).expect("granted");
    assert!(place.done(&["join", "hall/rack-1"], "").contains("has a box already"));
    assert!(place.done(&["identity", "revoke", "hall/rack-1"], "").contains("is revoked"));
    let question = rack.renew(&granted.certificate, &rack);
    let said = asking::read(&question, &post(&running, "", &question).2, code.fingerprint);
    assert_eq!(said, Err(Some((Refusal::Revoked, true))));
    assert!(place.done(&["identity", "list"], "").contains("hall/rack-1  revoked"));
}

#[test]
fn an_address_that_asks_too_often_waits_and_nobody_else_does() {
    let place = Place::new(JOINABLE);
    let running = Running::start(&place.config);
    let flood = "X-Forwarded-For: 192.0.2.7\r\n";
    let began = clock::now();
    let mut asked = 0;
    let (head, answer) = loop {
        let (status, head, answer) = post(&running, flood, b"\x01nothing");
        asked += 1;
        if status == 429 {
            break (head, answer);
        }
        assert!(asked < 200, "{status} for the {asked}th time");
    };
    let gained = clock::now().since(began.instant).as_secs() / 3 + 1;
    assert!((21..=21 + gained).contains(&asked), "{asked} times");
    assert!(head.to_lowercase().contains("retry-after: "), "{head}");
    assert!(matches!(asking::read(b"", &answer, [0; 16]), Err(Some((Refusal::Wait(_), false)))));
    assert_eq!(post(&running, "X-Forwarded-For: 192.0.2.8\r\n", b"\x01nothing").0, 400);
}

#[test]
fn a_backup_has_what_boxes_believe() {
    let place = Place::new(JOINABLE);
    let running = Running::start(&place.config);
    code(&place, "hall/rack-1");
    let to = place.directory.path().join("saved");
    place.done(&["backup", to.to_str().expect("text")], "");
    let key =
        |directory: &std::path::Path| std::fs::read(directory.join("authority.key")).expect("it is there");
    assert_eq!(key(&to), key(&place.directory.path().join("data")));
    assert!(to.join("identity.db").is_file());
    drop(running);
}

/// The text of an attribute's value, behind what comes before it.
fn value(page: &str, before: &str) -> String {
    let rest = page.split(before).nth(1).unwrap_or_else(|| panic!("{before:?} is not in {page}"));
    rest.split('"').next().expect("split gives one at least").to_owned()
}

/// A hub with an admin, and what their forms are sent with.
fn with_admin() -> (Place, Running, String, String) {
    let place = Place::new(JOINABLE);
    place.done(&["user", "add", "first", "--role", "admin"], &format!("{PASSWORD}\n"));
    place.done(&["user", "add", "desk", "--role", "operator"], &format!("{PASSWORD}\n"));
    let running = Running::start(&place.config);
    let cookie = inside(&running, "first");
    let csrf = csrf(&running, &cookie);
    (place, running, format!("{FAR}{FORM}{cookie}"), format!("csrf={csrf}"))
}

#[test]
fn the_page_hands_out_a_code_once_and_a_box_joins_by_it() {
    let (_place, running, as_admin, csrf) = with_admin();
    let rack = Box::default();
    let ask = |path: &str, body: &str| running.whole("POST", path, &as_admin, &format!("{csrf}&{body}"));
    let (status, head, page) = ask("/settings/boxes", "site=Hall&appliance=rack-1");
    assert_eq!(status, 200, "{page}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    let text = value(&page, "name=\"code\" value=\"");
    let code: Code = text.parse().expect("a code");
    assert!(page.contains(&format!("sudo rackside-agent join http://hub.example.org:8080 {text}")));
    assert!(page.contains("<path class=\"dark\" d=\"M4 4h7v1h-7z"), "the picture's first corner");
    let (status, head, card) = ask("/settings/boxes/card", &format!("code={text}"));
    assert_eq!(status, 200, "{card}");
    assert!(
        head.contains("filename=\"rackside.toml\"") && head.contains("cache-control: no-store"),
        "{head}"
    );
    assert!(card.ends_with(&format!("[join]\nurl = \"http://hub.example.org:8080\"\ncode = \"{text}\"\n")));
    let (_, page) = running.send("GET", "/settings/boxes", &as_admin, "");
    assert!(page.contains("waiting") && !page.contains(&text), "{page}");
    let question = rack.ask(&code);
    let first = asking::read(&question, &post(&running, "", &question).2, code.fingerprint).expect("granted");
    assert_eq!(ask("/settings/boxes/card", &format!("code={text}")).0, 422, "it was used");
    // The same name again is a replacement, and that is said before.
    let (status, _, page) = ask("/settings/boxes", "site=hall&appliance=rack-1");
    assert!(status == 200 && page.contains("has a box already") && !page.contains("name=\"code\""), "{page}");
    let (_, _, page) = ask("/settings/boxes", "site=hall&appliance=rack-2&replaces=hall/rack-1");
    assert!(page.contains("The code of hall/rack-2"), "what was agreed to is no other name's: {page}");
    let (_, _, page) = ask("/settings/boxes", "site=hall&appliance=rack-1&replaces=hall/rack-1");
    let next: Code = value(&page, "name=\"code\" value=\"").parse().expect("a code");
    let question = Box::default().ask(&next);
    assert!(asking::read(&question, &post(&running, "", &question).2, next.fingerprint).is_ok());
    let question = rack.renew(&first.certificate, &rack);
    let said = asking::read(&question, &post(&running, "", &question).2, code.fingerprint);
    assert_eq!(said, Err(Some((Refusal::Replaced, true))));
    let (_, page) = running.send("GET", "/settings/boxes", &as_admin, "");
    assert!(page.contains("the old box is still switched on"), "{page}");
    // Neither the log nor what was noted has a code in it.
    let (_, page) = running.send("GET", "/settings", &as_admin, "");
    assert!(
        page.contains("first made a join code for hall/rack-1") && page.contains("1 box has joined"),
        "{page}"
    );
    running.expect("first made a join code for hall/rack-1");
    let logged = running.logged();
    assert!(!page.contains(&text) && !logged.contains(&text), "{logged}");
}

#[test]
fn the_page_revokes_and_retires_and_nobody_but_admins_gets_there() {
    let (_place, running, as_admin, csrf) = with_admin();
    let ask = |path: &str, body: &str| running.whole("POST", path, &as_admin, &format!("{csrf}&{body}"));
    let join = |name: &str| {
        let (_, _, page) = ask("/settings/boxes", &format!("site=hall&appliance={name}"));
        let code: Code = value(&page, "name=\"code\" value=\"").parse().expect("a code");
        let question = Box::default().ask(&code);
        assert!(asking::read(&question, &post(&running, "", &question).2, code.fingerprint).is_ok());
    };
    join("rack-1");
    join("rack-2");
    let joined = |words: &str| running.send("GET", "/settings", &as_admin, "").1.contains(words);
    assert!(joined("2 boxes have joined"));
    let (status, head, _) = ask("/settings/boxes/hall/rack-1", "do=revoke");
    assert!(status == 303 && head.contains("location: /settings/boxes?done=revoked#joined"), "{head}");
    assert!(joined("1 box has joined"), "at once");
    assert_eq!(ask("/settings/boxes/hall/rack-1", "do=revoke").0, 422, "nothing is left");
    assert_eq!(ask("/settings/boxes/hall/rack-2", "do=retire").0, 303);
    let (_, page) = running.send("GET", "/settings/boxes?done=retired", &as_admin, "");
    assert!(page.contains("</span>revoked</span>") && page.contains("</span>retired</span>"), "{page}");
    for name in ["../x", "UP/x", "a/b/c", ""] {
        assert_eq!(ask("/settings/boxes", &format!("site={name}&appliance=rack-1")).0, 422, "{name}");
    }
    // Without what the session's forms carry, and for who manages nothing.
    let body = "site=hall&appliance=rack-3";
    assert_eq!(running.send("POST", "/settings/boxes", &as_admin, body).0, 403);
    let desk = format!("{FAR}{FORM}{}", inside(&running, "desk"));
    for (method, path) in [
        ("GET", "/settings/boxes"),
        ("POST", "/settings/boxes"),
        ("POST", "/settings/boxes/card"),
        ("POST", "/settings/boxes/hall/rack-1"),
        ("GET", "/api/identities"),
    ] {
        assert_eq!(running.send(method, path, &desk, "").0, 403, "{method} {path}");
    }
}

#[test]
fn programs_get_codes_and_end_names_by_the_api() {
    let place = Place::new(JOINABLE);
    let running = Running::start(&place.config);
    let headers =
        format!("Content-Type: application/json\r\n{}", place.token(&["fleet", "--scope", "manage"]));
    let ask = |method: &str, path: &str, body: &str| {
        let (status, said) = running.send(method, path, &headers, body);
        (status, serde_json::from_str::<serde_json::Value>(&said).unwrap_or_default())
    };
    let wanted = r#"{"site": "hall", "appliance": "rack-1"}"#;
    let (status, made) = ask("POST", "/api/identities", wanted);
    assert_eq!((status, &made["name"], &made["replaces"]), (201, &"hall/rack-1".into(), &false.into()));
    let code: Code = made["code"].as_str().expect("text").parse().expect("a code");
    assert!(made["file"].as_str().is_some_and(|file| file.contains("[join]")), "{made}");
    let (_, list) = ask("GET", "/api/identities", "");
    assert_eq!(list["identities"][0]["state"], "waiting", "{list}");
    let question = Box::default().ask(&code);
    assert!(asking::read(&question, &post(&running, "", &question).2, code.fingerprint).is_ok());
    assert_eq!(ask("POST", "/api/identities", wanted).0, 409, "it has a box");
    let wanted = r#"{"site": "hall", "appliance": "rack-1", "replaces": true}"#;
    assert_eq!(ask("POST", "/api/identities", wanted).1["replaces"], true);
    assert_eq!(ask("POST", "/api/identities/hall/rack-1/retire", "").0, 204);
    assert_eq!(ask("POST", "/api/identities/hall/rack-1/retire", "").0, 404);
    let (_, list) = ask("GET", "/api/identities", "");
    let one = &list["identities"][0];
    assert_eq!((&one["state"], &one["code_until"]), (&"retired".into(), &serde_json::Value::Null), "{list}");
    assert_eq!(ask("POST", "/api/identities", r#"{"site": "Hall!", "appliance": "rack-1"}"#).0, 400);
    assert!(place.done(&["identity", "list"], "").contains("hall/rack-1  retired"));
}
