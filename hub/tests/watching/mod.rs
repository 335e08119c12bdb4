//! `/api/live` over real sockets: what is told first, what is told again after a lost line, over either transport.

use super::desk::Desk;
use super::rack::vitals;
use super::running;
use flate2::read::GzDecoder;
use rackside_hub::clock;
use serde_json::Value as Json;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// What is waited for comes within this.
const PATIENCE: Duration = Duration::from_mins(1);

/// Events that come whenever they come.
const ANY_TIME: [&str; 5] = ["time", "sites", "own", "watch", "starting"];

/// One event: name, id, data.
type Event = (String, String, Json);

/// A client on a line.
struct Follower(BufReader<Box<dyn Read>>);

impl Follower {
    /// Server-Sent Events.
    fn to(desk: &Desk, address: &str, headers: &str) -> Self {
        let (stream, head) = asked(desk, address, headers);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        // Chunks are marked by lines of their own, which no event begins with.
        let packed = head.to_lowercase().contains("content-encoding: gzip");
        let body = Chunks { stream, left: 0 };
        let body: Box<dyn Read> = if packed { Box::new(GzDecoder::new(body)) } else { Box::new(body) };
        // The decoder waits for more before it hands out what is left of a message, so all of one has to fit.
        Self(BufReader::with_capacity(1 << 18, body))
    }

    fn next(&mut self) -> Event {
        let (mut name, mut id, mut line) = (String::new(), String::new(), String::new());
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).expect("the line holds") > 0, "the line ended");
            let Some((field, text)) = line.trim_end().split_once(": ") else { continue };
            match field {
                "event" => text.clone_into(&mut name),
                "id" => text.clone_into(&mut id),
                "data" => return (name, id, serde_json::from_str(text).expect("JSON")),
                other => panic!("no field of an event: {other}"),
            }
        }
    }

    /// The next one of this name; the clock's, and what becomes known of a site or of a hub that has just started, may come at any time.
    fn expect(&mut self, wanted: &str) -> Event {
        let began = clock::now();
        loop {
            let event = self.next();
            assert!(clock::now().since(began.instant) < PATIENCE, "no {wanted} within a minute");
            if event.0 == wanted || !ANY_TIME.contains(&&*event.0) {
                assert_eq!(event.0, wanted);
                return event;
            }
        }
    }
}

/// A body in chunks.
struct Chunks {
    stream: BufReader<TcpStream>,
    left: usize,
}

impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.left == 0 {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Ok(0);
            }
            if !line.trim().is_empty() {
                self.left = usize::from_str_radix(line.trim(), 16).expect("a length");
                if self.left == 0 {
                    return Ok(0);
                }
            }
        }
        let most = self.left.min(into.len());
        let read = self.stream.read(&mut into[..most])?;
        self.left -= read;
        Ok(read)
    }
}

fn asked(desk: &Desk, address: &str, headers: &str) -> (BufReader<TcpStream>, String) {
    let mut stream = TcpStream::connect(desk.web()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    write!(stream, "GET {address} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", desk.web()).expect("it reads");
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).expect("an answer") > 0, "a head: {head}");
    }
    (stream, head)
}

const SOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The next message of a WebSocket: what kind it is, and its text.
fn message(stream: &mut impl Read) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).expect("a message");
    let length = match head[1] {
        126 => {
            let mut long = [0; 2];
            stream.read_exact(&mut long).expect("a length");
            usize::from(u16::from_be_bytes(long))
        }
        short => usize::from(short),
    };
    let mut text = vec![0; length];
    stream.read_exact(&mut text).expect("a text");
    (head[0], text)
}

#[test]
fn who_comes_back_goes_on_from_where_the_line_was_lost() {
    let (desk, mut client, mut rack) = running();
    let mut first = Follower::to(&desk, "/api/live", "");
    assert_eq!(first.next().0, "all");
    first.expect("sites");
    first.expect("trouble");
    let (_, id, _) = first.expect("history");
    assert!(!id.is_empty(), "the last event of a message has its id");
    drop(first);
    client.send(rack.numbers(&[555, 0, 0, 4_194_304, 0])).expect("sent");
    desk.eventually("it is known", |desk| desk.get("/api/sites").contains("55.5").then_some(()));
    for (address, headers) in [
        ("/api/live".to_owned(), format!("Last-Event-ID: {id}\r\n")),
        (format!("/api/live?after={id}"), String::new()),
    ] {
        let mut again = Follower::to(&desk, &address, &headers);
        // Whatever else was told of the rack meanwhile comes first.
        let missed =
            (0..20).map(|_| again.expect("rows").2).find(|rows| rows[0]["temperature"]["text"] == "55.5 °C");
        assert!(missed.is_some(), "it was missed, and is told");
    }
    let other_start = format!("{:08x}-1", u32::from_str_radix(&id[..8], 16).expect("hexadecimal") ^ 1);
    for id in [other_start.as_str(), "nonsense"] {
        let mut anew = Follower::to(&desk, "/api/live", &format!("Last-Event-ID: {id}\r\n"));
        let (_, _, rows) = anew.expect("all");
        assert_eq!(rows[0]["temperature"]["text"], "55.5 °C");
    }
}

#[test]
fn packed_and_over_websocket_the_same_is_told() {
    let (mut desk, mut client, mut rack) = running();
    let mut plain = Follower::to(&desk, "/api/live", "");
    let mut packed = Follower::to(&desk, "/api/live", "Accept-Encoding: gzip\r\n");
    let (mut socket, head) = asked(&desk, "/api/live", SOCKET);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let mut told = |name: &str| -> Event {
        let mut json = loop {
            let (kind, text) = message(&mut socket);
            assert_eq!(kind, 0x81, "a text");
            let json: Json = serde_json::from_slice(&text).expect("JSON");
            if json["event"] == name || !ANY_TIME.iter().any(|other| json["event"] == *other) {
                break json;
            }
        };
        assert!(name.is_empty() || json["event"] == name, "{json}");
        let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
        (text(&json["event"]), text(&json["id"]), json["data"].take())
    };
    for name in ["all", "sites", "trouble", "history"] {
        for (event, transport) in
            [(plain.expect(name), ""), (packed.expect(name), "packed"), (told(name), "socket")]
        {
            assert_eq!((&*event.0, event.1.is_empty()), (name, name != "history"), "{transport}");
        }
    }
    client.send(rack.numbers(&[612, 0, 0, 4_194_304, 0])).expect("sent");
    // They came one after the other, so what each was told first may differ; from here on they are told the same.
    let is_warm = |event: &Event| event.0 == "rows" && event.2[0]["temperature"]["text"] == "61.2 °C";
    let event = (0..20).map(|_| plain.next()).find(is_warm);
    assert!(event.is_some());
    assert_eq!((0..20).map(|_| packed.next()).find(is_warm), event);
    assert_eq!((0..20).map(|_| told("")).find(is_warm), event);
    assert!(desk.stop().0, "nobody holds it up");
    let closed = (0..20).map(|_| message(&mut socket)).find(|(kind, _)| *kind != 0x81).expect("it ends");
    assert_eq!((closed.0, &closed.1[..2]), (0x88, &1001_u16.to_be_bytes()[..]), "it goes away");
}

#[test]
fn a_page_of_another_site_gets_no_socket() {
    let (desk, ..) = running();
    let (_, head) = asked(&desk, "/api/live", &format!("{SOCKET}Origin: https://elsewhere.example\r\n"));
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    let (_, head) = asked(&desk, "/api/live", &format!("{SOCKET}Origin: http://{}\r\n", desk.web()));
    assert!(head.starts_with("HTTP/1.1 101"), "its own: {head}");
}

#[test]
fn one_may_ask_for_a_site_for_a_rack_or_for_series() {
    let (desk, mut client, mut rack) = running();
    let mut elsewhere = Follower::to(&desk, "/api/live?site=arena-south", "");
    assert_eq!(elsewhere.next().2, Json::Array(Vec::new()));
    let address = "/api/live?site=arena-north&appliance=rack-1&series=rackside_soc_temperature_celsius\
                   &series=%7B__name__=~%22rackside_memory_.*%22%7D";
    let mut series = Follower::to(&desk, address, "");
    let (name, _, all) = series.next();
    assert_eq!(name, "series");
    let values = all[0]["series"].as_array().expect("a list");
    let names: Vec<&str> = values.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(
        names,
        ["rackside_soc_temperature_celsius", "rackside_memory_used_bytes", "rackside_memory_total_bytes"]
    );
    client.send(rack.numbers(&[500, 0, 0, 4_194_304, 0])).expect("sent");
    series.expect("trouble");
    series.expect("history");
    let fresh = (0..20).map(|_| series.expect("series").2).find(|one| one[0]["series"][0]["value"] == 50);
    assert_eq!(fresh.expect("it is told")[0]["site"], "arena-north");
    for (wrong, why) in
        [("appliance=rack-1", "say `site`"), ("series=%7B", "series"), ("topics=x", "no topic")]
    {
        let answer = desk.request("GET", &format!("/api/live?{wrong}"), &[]);
        assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(why));
    }
}

#[test]
fn the_newest_values_of_a_rack_are_told_as_its_page_reads_them() {
    let (desk, mut client, mut rack) = running();
    let address = "/api/live?topics=latest,hub&site=arena-north&appliance=rack-1";
    let mut latest = Follower::to(&desk, address, "");
    let (name, _, first) = latest.next();
    assert_eq!((name.as_str(), &first[0]["appliance"]), ("latest", &Json::from("rack-1")));
    let (_, _, hub) = latest.expect("health");
    assert_eq!((&hub["ready"], hub["version"].is_string()), (&Json::Bool(true), true));
    latest.expect("trouble");
    latest.expect("history");
    client.send(rack.numbers(&[487, 0, 0, 4_194_304, 0])).expect("sent");
    let told = loop {
        let told = latest.expect("latest").2[0].take();
        if told["series"].as_array().expect("a list").iter().any(|one| one["text"] == "48.7 °C") {
            break told;
        }
    };
    let listed = desk.json("/api/sites/arena-north/rack-1/latest");
    assert_eq!(told["series"], listed["series"], "it is the same as elsewhere");
    let answer = desk.request("GET", "/api/live?topics=latest&site=arena-north", &[]);
    assert_eq!(answer.status, 400, "of one appliance alone");
}

#[test]
fn an_entry_of_the_log_can_be_read_when_it_is_told() {
    let (desk, mut client, mut rack) = running();
    let mut log = Follower::to(&desk, "/api/live?topics=log", "");
    log.expect("trouble");
    log.expect("history");
    rack.time = rackside_proto::Time::Utc { ms: clock::now().utc_ms };
    let text = rackside_proto::What::Text { subject: "stream/main/title", text: "Evensong" };
    client.send(rack.event(text)).expect("sent");
    // That the hub, and the agent, have started may be told first.
    loop {
        let of = log.expect("log").2[0]["appliance"].take();
        assert!(of == "rack-1" || of == "", "{of}");
        let page = desk.json("/api/log?text=Evensong");
        if page["log"].as_array().map(Vec::len) == Some(1) {
            break;
        }
    }
}

#[test]
fn a_mute_is_told_to_who_watches_alerts() {
    let (desk, ..) = running();
    let mut alerts = Follower::to(&desk, "/api/live?topics=alerts&site=arena-north", "");
    alerts.expect("alerts");
    assert_eq!(alerts.expect("mutes").2, Json::Array(Vec::new()), "there are none");
    alerts.expect("trouble");
    alerts.expect("history");
    let ends_at = clock::now().utc_ms + 3_600_000;
    for site in ["hall", "arena-north"] {
        let body = format!(
            r#"{{"matchers":["site=\"{site}\""],"ends_at":{ends_at},"by":"desk","comment":"a switch is replaced"}}"#
        );
        let (status, ..) =
            super::answers::ask(&desk, "POST", "/api/silences", "Content-Type: application/json\r\n", &body);
        assert_eq!(status, 201);
    }
    let mutes = alerts.expect("mutes").2;
    assert_eq!(mutes.as_array().map(Vec::len), Some(1), "of its own site: {mutes}");
    let listed = desk.json("/api/silences");
    assert_eq!(mutes[0], listed["silences"][1], "it is the same as elsewhere");
}

#[test]
fn alerts_are_told_as_they_change() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let rules = directory.path().join("own.yml");
    let text = "groups:\n- name: own\n  rules:\n  - alert: Up\n    expr: rackside_appliance_up == 1\n";
    std::fs::write(&rules, text).expect("the directory can be written");
    let desk = Desk::with(&format!(
        "[listener]\naddress = \"127.0.0.1:0\"\n[rules]\ndefaults = false\ninterval = \"1s\"\nfiles = [{:?}]\n",
        rules.display().to_string()
    ));
    let mut alerts = Follower::to(&desk, "/api/live?topics=alerts", "");
    let mut log = Follower::to(&desk, "/api/live?topics=log&site=arena-north", "");
    log.expect("trouble");
    log.expect("history");
    assert_eq!(alerts.next().2, Json::Array(Vec::new()), "there are none");
    alerts.expect("mutes");
    alerts.expect("trouble");
    alerts.expect("history");
    let mut rack = super::Rack::new("arena-north", "rack-1");
    let mut client = super::Client::connect(desk.mqtt(), "arena-north/rack-1/1").expect("it connects");
    for sent in [rack.presence(true), rack.birth(), rack.catalog(&vitals())] {
        client.send(sent).expect("sent");
    }
    let is = |event: &Event, state: &str| event.2[0]["state"] == state;
    let fired = loop {
        let event = alerts.expect("alert");
        if is(&event, "firing") {
            break event.2[0].clone();
        }
    };
    assert_eq!(fired["labels"]["alertname"], "Up");
    assert_eq!(log.expect("log").2[0], serde_json::json!({ "site": "arena-north", "appliance": "rack-1" }));
    let listed = desk.json("/api/alerts");
    assert_eq!(listed["alerts"][0]["id"], fired["id"], "it is the same as elsewhere");
    client.send(rack.presence(false)).expect("sent");
    while !is(&alerts.expect("alert"), "resolved") {}
}

#[test]
fn places_behind_a_proxy_are_counted_by_whom_it_brings() {
    let text =
        "[listener]\naddress = \"127.0.0.1:0\"\n[web]\naddress = \"127.0.0.1:0\"\nallow_anonymous = true\n";
    let desk = Desk::try_with(text).expect("it starts");
    let status = |address: &str| {
        let (stream, head) = asked(&desk, "/api/live", &format!("X-Forwarded-For: {address}\r\n"));
        (stream, head.split(' ').nth(1).expect("a status").to_owned())
    };
    let lines: Vec<_> = (0..32).map(|_| status("192.0.2.1")).collect();
    assert!(lines.iter().all(|(_, code)| code == "200"));
    assert_eq!(status("192.0.2.1").1, "429");
    assert_eq!(status("192.0.2.2").1, "200");
}
