//! The hub behind an outside broker: a real Mosquitto, which comes late, goes, and comes back.

mod client;
mod desk;
#[path = "../../tests/src/port.rs"]
#[expect(unreachable_pub, reason = "the end-to-end tests' library has it as well")]
mod port;
mod rack;

use client::Client;
use desk::{Desk, program};
use rack::{Rack, Sent, vitals};
use rackside_hub::clock;
use rackside_proto::Ack;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A broker that ends with the test.
struct Mosquitto(Child);

impl Mosquitto {
    fn start(address: SocketAddr, directory: &Path, more: &str) -> Self {
        let mut text = format!("listener {} 127.0.0.1\nlog_type error\n", address.port());
        let _ = write!(text, "{}", if more.is_empty() { "allow_anonymous true\n" } else { more });
        let file = directory.join("mosquitto.conf");
        std::fs::write(&file, text).expect("the directory can be written");
        let mut child = Command::new(program("mosquitto", "mosquitto"))
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto starts");
        let began = clock::now();
        while TcpStream::connect(address).is_err() {
            assert!(clock::now().since(began.instant) < Duration::from_secs(30), "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let ended = child.try_wait().expect("it is ours");
        assert!(ended.is_none(), "mosquitto ended ({ended:?}), and somebody else listens at {address}");
        Self(child)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free() -> SocketAddr {
    port::local(port::free())
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn hub(broker: SocketAddr, more: &str) -> Desk {
    Desk::with(&format!("[mqtt]\naddress = \"{broker}\"\n{more}"))
}

fn readiness(desk: &Desk) -> (u16, String) {
    let answer = desk.request("GET", "/health/readiness", &[]);
    let status = answer.status;
    let said: serde_json::Value = serde_json::from_str(&answer.text()).expect("JSON");
    (status, said["message"].as_str().unwrap_or_default().to_owned())
}

fn ready(desk: &Desk) {
    let began = clock::now();
    loop {
        let (status, message) = readiness(desk);
        if status == 200 {
            return;
        }
        assert!(clock::now().since(began.instant) < Duration::from_secs(30), "not within 30 s: {message}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn say_all(client: &mut Client, rack: &mut Rack) {
    let said: [Sent; 3] = [rack.presence(true), rack.birth(), rack.catalog(&vitals())];
    for sent in said {
        client.send(sent).expect("sent");
    }
    client.send(rack.numbers(&[483, 125, 1024, 4096, 0])).expect("sent");
}

const TEMPERATURE: &str = "rackside_soc_temperature_celsius{site=\"arena-north\",appliance=\"rack-1\"}";

#[test]
fn a_broker_that_comes_late_goes_and_comes_back_is_waited_for() {
    let (address, directory) = (free(), directory());
    let mut desk = hub(address, "");
    let (status, message) = desk.eventually("it has tried", |desk| {
        Some(readiness(desk)).filter(|(_, message)| message.contains("nobody listens"))
    });
    assert_eq!(status, 503);
    let expected = format!("the broker at {address}: nobody listens there (is it running?); trying again");
    assert_eq!(message, expected);
    assert!(desk.get("/").contains("No telemetry can come in."), "the page says it too");

    let broker = Mosquitto::start(address, directory.path(), "");
    ready(&desk);
    let mut rack = Rack::new("arena-north", "rack-1");
    let mut client = Client::connect(address, "rack").expect("it connects");
    client.subscribe("rackside/1/arena-north/rack-1/ack").expect("it subscribes");
    say_all(&mut client, &mut rack);
    desk.eventually("its temperature", |desk| desk.metric(TEMPERATURE).filter(|value| value == "48.3"));
    while Ack::decode(&client.expect("/ack")).expect("an ack").safe.first().is_none_or(|safe| safe.below < 2)
    {
    }

    drop(broker);
    desk.eventually("it is not ready", |desk| Some(()).filter(|()| readiness(desk).0 == 503));
    let _broker = Mosquitto::start(address, directory.path(), "");
    ready(&desk);
    let mut client = Client::connect(address, "rack").expect("it connects");
    client.send(rack.numbers(&[512, 125, 1024, 4096, 0])).expect("sent");
    desk.eventually("a new value", |desk| desk.metric(TEMPERATURE).filter(|value| value == "51.2"));
    assert_eq!(desk.metric("rackside_hub_broker_connects_total"), Some("2".to_owned()));
    assert_eq!(desk.metric("rackside_hub_duplicates_total"), Some("0".to_owned()));
    let (ended, took) = desk.stop();
    assert!(ended && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn it_stops_at_once_while_it_tries_in_vain() {
    let mut desk = hub(free(), "");
    let (ended, took) = desk.stop();
    assert!(ended && took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_page_that_is_open_is_told_of_a_broker_that_is_away_and_of_its_return() {
    let (address, directory) = (free(), directory());
    let desk = hub(address, "");
    let mut told = desk.live().skip_while(|line| line != "event: trouble").skip(1);
    let why = told.next().expect("the page is told");
    assert!(why.contains(&format!("the broker at {address}")), "{why}");
    assert!(
        desk.get("/").contains("id=\"trouble\" data-state=\"critical\"><b>No telemetry can come in.</b>")
    );
    let _broker = Mosquitto::start(address, directory.path(), "");
    ready(&desk);
    let mut client = Client::connect(address, "rack").expect("it connects");
    say_all(&mut client, &mut Rack::new("arena-north", "rack-1"));
    // In between it may be told of another reason.
    assert!(told.take(60).any(|line| line == "data: \"\""), "all is well again");
    assert!(desk.get("/").contains("id=\"trouble\" data-state=\"critical\" hidden>"));
}

#[test]
fn what_the_broker_kept_is_known_at_once_but_is_not_live() {
    let (address, directory) = (free(), directory());
    let _broker = Mosquitto::start(address, directory.path(), "");
    let mut rack = Rack::new("arena-north", "rack-1");
    rack.catalog(&vitals());
    let mut client = Client::connect(address, "rack").expect("it connects");
    client.publish(rack.presence(true), true).expect("sent");
    client.publish(rack.birth(), true).expect("sent");
    let desk = hub(address, "");
    let up = "rackside_appliance_up{site=\"arena-north\",appliance=\"rack-1\"}";
    desk.eventually("it is up", |desk| desk.metric(up).filter(|up| up == "1"));
    // The account begins with the first record, not at the old floor in the kept birth.
    (rack.seq, rack.floor) = (5000, 5000);
    client.send(rack.numbers(&[483, 125, 1024, 4096, 0])).expect("sent");
    desk.eventually("its temperature", |desk| desk.metric(TEMPERATURE));
    assert_eq!(desk.metric("rackside_hub_lost_total"), Some("0".to_owned()));
}

#[test]
fn a_wrong_password_is_said_in_readiness() {
    let (address, directory) = (free(), directory());
    let passwords = directory.path().join("passwords");
    let made = Command::new(program("mosquitto_passwd", "mosquitto"))
        .args(["-b", "-c"])
        .arg(&passwords)
        .args(["hub", "right"])
        .status()
        .expect("mosquitto_passwd starts");
    assert!(made.success());
    let more = format!("allow_anonymous false\npassword_file {}\nuser root\n", passwords.display());
    let _broker = Mosquitto::start(address, directory.path(), &more);
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "wrong").expect("the directory can be written");
    restrict(&secret);
    let login = format!("user = \"hub\"\npassword = {{ file = \"{}\" }}\n", secret.display());
    let desk = hub(address, &login);
    // Mosquitto answers with code 5, others with code 4.
    let told = ["may not connect", "user name or the password"];
    let message = desk.eventually("it was refused", |desk| {
        Some(readiness(desk).1).filter(|message| told.iter().any(|part| message.contains(part)))
    });
    assert!(!message.contains("wrong"), "the password itself is not said");
    std::fs::write(&secret, "right").expect("the directory can be written");
    ready(&hub(address, &login));
}

/// A secret that others can read may be refused.
fn restrict(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
}

#[test]
fn the_mirror_is_published_there_only_if_asked_for() {
    let (address, directory) = (free(), directory());
    let _broker = Mosquitto::start(address, directory.path(), "");
    let mut home = Client::connect(address, "home").expect("it connects");
    home.subscribe("rackside/json/#").expect("it subscribes");
    let (silent, speaking) = (hub(address, ""), hub(address, "mirror = true\n"));
    ready(&silent);
    ready(&speaking);
    let mut client = Client::connect(address, "rack").expect("it connects");
    say_all(&mut client, &mut Rack::new("arena-north", "rack-1"));
    let data: serde_json::Value = serde_json::from_slice(&home.expect("/data")).expect("JSON");
    assert_eq!(data["series"][0]["value"].to_string(), "48.3");
    drop(speaking);
    client.send(Rack::new("town-hall", "rack-1").presence(true)).expect("sent");
    silent.eventually("both are known", |desk| {
        desk.metric("rackside_hub_appliances{state=\"up\"}").filter(|up| up == "2")
    });
    let mut late = Client::connect(address, "late").expect("it connects");
    late.subscribe("rackside/json/town-hall/#").expect("it subscribes");
    late.subscribe("rackside/json/arena-north/#").expect("it subscribes");
    late.expect("json/arena-north/rack-1/data");
    assert!(late.none("town-hall"), "the silent hub mirrors nothing");
}

#[test]
fn a_broker_with_tls_is_trusted_by_its_authority_and_its_name() {
    let (address, directory) = (free(), directory());
    let file = |name: &str| directory.path().join(name).display().to_string();
    let made =
        rcgen::generate_simple_self_signed(vec!["broker.example.org".to_owned()]).expect("a certificate");
    std::fs::write(file("tls.crt"), made.cert.pem()).expect("written");
    std::fs::write(file("tls.key"), made.signing_key.serialize_pem()).expect("written");
    let other =
        rcgen::generate_simple_self_signed(vec!["broker.example.org".to_owned()]).expect("a certificate");
    std::fs::write(file("other.crt"), other.cert.pem()).expect("written");
    // Started by root, Mosquitto would give up its rights before it reads the key.
    let more = format!(
        "allow_anonymous true\nuser root\ncertfile {}\nkeyfile {}\n",
        file("tls.crt"),
        file("tls.key")
    );
    let _broker = Mosquitto::start(address, directory.path(), &more);
    let with = |ca: &str, name: &str| {
        hub(address, &format!("[mqtt.tls]\nca = \"{}\"\nserver_name = \"{name}\"\n", file(ca)))
    };
    ready(&with("tls.crt", "broker.example.org"));
    for (ca, name) in [("other.crt", "broker.example.org"), ("tls.crt", "elsewhere.example.org")] {
        let desk = with(ca, name);
        desk.eventually("TLS fails", |desk| {
            Some(readiness(desk)).filter(|(status, message)| *status == 503 && message.contains("TLS failed"))
        });
    }
}
