//! A box joins a hub that runs: the code from the command line beside it, the question over HTTP, and what strangers and floods get.

use super::access::Place;
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
    assert!(list.contains("hall/rack-1  joined") && list.contains("another box came 1 times"), "{list}");
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
