//! The hub tells a box to do something, by the real programs; and a broker, or whoever may publish there, cannot.

use crate::complete::{RACK, RECOVERY, has_reading};
use crate::join::{Box, NAME, code, hub, url};
use rackside_identity::Authority;
use rackside_tests::http::Connection;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::mosquitto::{Mosquitto, MosquittoOptions, MosquittoSub};
use rackside_tests::process::Process;
use rackside_tests::programs::{installed, programs};
use rackside_tests::{clock, port};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

const REFUSED: &str = "rackside_agent_commands_refused_total";
const COMMAND: &str = "rackside/1/arena-north/rack-1/command";

/// A panel with two LEDs and a siren that sounds, since every disk is too full; probes that run by themselves when all is over.
fn panel(directory: &Path, open: u16) -> String {
    format!(
        "[limits]\ndisk = {{ warning = 1 }}\n[panel]\nsimulated = \"{}\"\n\
         [[led]]\nname = \"rack\"\npin = 22\n[[led]]\nname = \"door\"\npin = 23\n\
         [[relay]]\nname = \"siren\"\npin = 24\non = \"warning\"\nmost = \"1h\"\n\
         [[probe.tcp]]\nname = \"open\"\ntarget = \"127.0.0.1:{open}\"\nevery = \"1h\"\n\
         [[probe.tcp]]\nname = \"shut\"\ntarget = \"127.0.0.1:1\"\nevery = \"1h\"\n",
        directory.display()
    )
}

/// A box that has joined, with such a panel, and `more` in its file; and its agent.
fn joined(hub: &Hub, open: u16, more: &str) -> (Box, Process) {
    let card = Box::new("");
    let directory = card.path("panel");
    fs::create_dir(&directory).expect("made");
    let file = card.path("rackside.toml");
    let text = fs::read_to_string(&file).expect("readable");
    fs::write(&file, format!("{text}{}{more}", panel(&directory, open))).expect("written");
    let output = card.join(&url(hub), &code(hub));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let agent = card.run();
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    (card, agent)
}

/// `rackside-hub command …`: what it says, and whether it was well.
fn command(hub: &Hub, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(&programs().hub);
    command.current_dir(hub.directory()).arg("command").args(words).args(["--config", "hub.toml"]);
    let output = command.env("USER", "anna").env_remove("SUDO_USER").output().expect("it starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), format!("{out}{err}"))
}

fn pin(card: &Box, pin: u8) -> String {
    fs::read_to_string(card.path(&format!("panel/{pin}"))).unwrap_or_default().trim().to_owned()
}

/// How often both LEDs change within two seconds, and in how many of the looks they differ.
fn watch(card: &Box) -> (usize, usize) {
    let (mut last, mut changes, mut apart) = (pin(card, 22), 0, 0);
    for _ in 0..400 {
        thread::sleep(Duration::from_millis(5));
        let (rack, door) = (pin(card, 22), pin(card, 23));
        apart += usize::from(rack != door);
        changes += usize::from(std::mem::replace(&mut last, rack.clone()) != rack);
    }
    (changes, apart)
}

#[test]
fn a_box_does_what_the_hub_says_and_its_log_says_who_said_so() {
    let (hub, open) = (hub(), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let (card, agent) = joined(&hub, open.local_addr().expect("bound").port(), "");
    // Both have run once by themselves, and will not again.
    for probe in ["open", "shut"] {
        let is_known = || hub.metrics().value("rackside_probe_duration_seconds", &[("probe", probe)]);
        assert!(clock::eventually(RECOVERY, is_known).is_some(), "{}", agent.log());
    }
    assert!(watch(&card).0 < 20, "a slow blink");

    assert_eq!(command(&hub, &[NAME, "identify", "5"]), (true, "arena-north/rack-1: done\n".to_owned()));
    let (changes, apart) = watch(&card);
    assert!(changes > 20 && apart < 60, "{changes} changes in 2 s, {apart} of 400 looks apart");
    let is_over = || (watch(&card).0 < 20).then_some(());
    assert!(clock::eventually(RECOVERY, is_over).is_some(), "it ends by itself");

    let (is_well, said) = command(&hub, &[NAME, "probe"]);
    let rows: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(is_well && rows.len() == 2, "{said}\n{}", agent.log());
    assert_eq!((&rows[0][..2], &rows[1][..2]), (&["open", "up"][..], &["shut", "down"][..]), "{said}");
    let (is_well, said) = command(&hub, &[NAME, "probe", "nothing"]);
    assert!(!is_well && said.contains("cannot do it: there is no such probe"), "{said}");

    let siren = || (pin(&card, 24) == "1").then_some(());
    assert!(clock::eventually(RECOVERY, siren).is_some(), "{}", agent.log());
    assert_eq!(command(&hub, &[NAME, "mute", "5"]), (true, "arena-north/rack-1: done\n".to_owned()));
    assert_eq!(pin(&card, 24), "0");

    let (is_well, said) = command(&hub, &[NAME, "log"]);
    assert!(is_well && said.contains("info  connected to the broker as arena-north/rack-1/"), "{said}");
    assert!(
        !said.contains("PRIVATE KEY") && said.contains("command of the hub: mute 300 s, by anna"),
        "{said}"
    );

    let log = || {
        let log = hub.body("/api/log?site=arena-north");
        ["command/identify", "command/probe", "command/mute", "command/log"]
            .iter()
            .all(|what| log.contains(what))
            .then_some(log)
    };
    let log = clock::eventually(RECOVERY, log)
        .unwrap_or_else(|| panic!("{}", hub.body("/api/log?site=arena-north")));
    assert!(log.contains("300 s, by anna (command line)"), "{log}");
    assert_eq!(hub.metrics().value(REFUSED, &[]), Some(0.0));
    assert_eq!(hub.metrics().value("rackside_hub_commands_total", &[("outcome", "done")]), Some(4.0));
}

#[test]
fn the_api_tells_a_box_what_to_do_and_what_came_of_it() {
    let hub = hub();
    let (_card, _agent) = joined(&hub, 1, "[commands]\naccept = [\"log\"]\n");
    let place = "/api/sites/arena-north/rack-1/commands";
    let ask = |body: &str| {
        let mut connection = Connection::to(hub.web()).expect("the hub");
        let answer =
            connection.post(place, "content-type: application/json\r\n", body.as_bytes()).expect("an answer");
        (answer.status, answer.body)
    };
    let (status, said) = ask("{\"do\": \"log\"}");
    assert_eq!(status, 202, "{said}");
    let given: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let id = given["id"].as_str().expect("a number").to_owned();
    let told = clock::eventually(RECOVERY, || {
        let told: serde_json::Value = serde_json::from_str(&hub.body(&format!("{place}/{id}"))).ok()?;
        (told["state"] == "done").then_some(told)
    });
    let told = told.expect("an answer");
    let lines = told["lines"].as_array().expect("lines");
    assert!(
        lines
            .iter()
            .any(|line| line["text"].as_str().is_some_and(|text| text.contains("connected to the broker")))
    );
    let list: serde_json::Value = serde_json::from_str(&hub.body(place)).expect("JSON");
    assert_eq!(
        (&list["commands"][0]["id"], &list["commands"][0]["lines"]),
        (&given["id"], &serde_json::Value::Null)
    );
    let page = hub.body(&format!("/sites/arena-north/rack-1/commands/{id}"));
    assert!(page.contains("connected to the broker") && page.contains("Last lines of its log"), "{page}");
    let page = hub.body("/sites/arena-north/rack-1");
    assert!(page.contains("Last log lines") && !page.contains("Flash its LEDs"), "its venue allows no more");
    for (body, status, words) in [
        ("{\"do\": \"identify\"}", 409, "its venue does not"),
        ("{\"do\": \"reboot\"}", 400, "unknown variant"),
        ("{\"do\": \"mute\", \"seconds\": 0}", 409, "its venue does not"),
        ("{\"do\": \"log\", \"more\": 1}", 400, "unknown field"),
    ] {
        let (code, said) = ask(body);
        assert!(code == status && said.contains(words), "{body}: {code} {said}");
    }
}

/// A certificate of the hub's authority for a broker at 127.0.0.1, as lines for Mosquitto; the authority's own key is made here.
fn broker_of_the_hubs(directory: &Path) -> Vec<String> {
    let key = KeyPair::generate().expect("a key");
    fs::write(directory.join("authority.key"), key.serialize_pem()).expect("written");
    let authority = Authority::read(&directory.join("authority.key")).expect("a key of the right kind");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, authority.name());
    let issuer = Issuer::new(params, key);
    let mut server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    server.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    server.not_before = rcgen::date_time_ymd(2025, 1, 1);
    let server_key = KeyPair::generate().expect("a key");
    let signed = server.signed_by(&server_key, &issuer).expect("signed");
    let mut lines = Vec::new();
    for (option, name, text) in
        [("certfile", "server.pem", signed.pem()), ("keyfile", "server.key", server_key.serialize_pem())]
    {
        fs::write(directory.join(name), text).expect("written");
        lines.push(format!("{option} {}", directory.join(name).display()));
    }
    lines
}

/// Whoever may publish at a broker that knows no permissions.
fn publish(broker: &Mosquitto, directory: &Path, topic: &str, body: &[u8]) {
    let file = directory.join("body");
    fs::write(&file, body).expect("written");
    let mut command = Command::new(installed("mosquitto_pub"));
    let address = broker.address();
    command.args([
        "-h",
        &address.ip().to_string(),
        "-p",
        &address.port().to_string(),
        "-q",
        "1",
        "-t",
        topic,
        "-f",
    ]);
    assert!(command.arg(file).status().expect("it starts").success());
}

#[test]
fn whoever_may_publish_at_an_outside_broker_can_neither_make_a_command_nor_repeat_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let tls = port::local(port::free());
    let mut lines = vec![format!("listener {} 127.0.0.1", tls.port())];
    lines.extend(broker_of_the_hubs(directory.path()));
    let broker = Mosquitto::with(&MosquittoOptions { lines, login: None });
    let more = format!(
        "[join]\nurl = \"http://127.0.0.1\"\naddresses = [\"mqtts://{tls}\"]\nauthority_key = \"{}\"\n",
        directory.path().join("authority.key").display()
    );
    let hub = Hub::with(Way::Broker(broker.address()), &programs().hub, &more);
    let (card, agent) = joined(&hub, 1, "");
    let heard = MosquittoSub::start(broker.address(), &[COMMAND]);
    let (is_well, said) = command(&hub, &[NAME, "identify", "1"]);
    assert_eq!((is_well, said.as_str()), (true, "arena-north/rack-1: done\n"), "{}", agent.log());
    let genuine = heard.wait(RECOVERY, |seen| Some(seen.payload.clone())).expect("the hub's command");
    let is_over = || (watch(&card).0 < 20).then_some(());
    assert!(clock::eventually(RECOVERY, is_over).is_some(), "it ends by itself");

    let mut later = genuine.clone();
    // The last byte says for how long.
    *later.last_mut().expect("seconds") = 60;
    for body in [&genuine[..], &later[..], b"\x01\x01\x30", b"\x02", &[0xff; 200]] {
        publish(&broker, directory.path(), COMMAND, body);
    }
    let counted = || hub.metrics().value(REFUSED, &[]).filter(|count| *count >= 5.0);
    let count = clock::eventually(RECOVERY, counted);
    let told = agent.log();
    assert_eq!(count, Some(5.0), "{told}");
    assert!(watch(&card).0 < 20, "nothing flashes");
    assert_eq!(told.matches("a command was refused: it is not signed by the hub").count(), 1, "once: {told}");
    assert_eq!(told.matches("a command was refused: it came before").count(), 1, "once: {told}");
    let (is_well, said) = command(&hub, &[NAME, "log"]);
    assert!(is_well && said.contains("a command was refused"), "the hub's own are done all the same: {said}");
    // A reply that nobody has asked for comes to nothing.
    let mut reply = String::new();
    for byte in [1_u8, 7, 0, 0, 0, 1, 0, 0] {
        let _ = write!(reply, "{}", char::from(byte));
    }
    publish(&broker, directory.path(), "rackside/1/arena-north/rack-1/reply", reply.as_bytes());
    let stray = || {
        hub.metrics()
            .value("rackside_hub_commands_total", &[("outcome", "stray")])
            .filter(|stray| *stray >= 1.0)
    };
    assert!(clock::eventually(RECOVERY, stray).is_some(), "{}", hub.last_words());
    // Without a key to know the hub by, nothing is done.
    drop(agent);
    let gone = || {
        let (is_well, said) = command(&hub, &[NAME, "log"]);
        assert!(!is_well, "{said}");
        said.contains("cannot be reached now").then_some(())
    };
    assert!(clock::eventually(RECOVERY, gone).is_some(), "{}", hub.last_words());
}
