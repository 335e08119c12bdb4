//! `mosquitto_pub` and `mosquitto_sub` against the listener.

use crate::stage::{Certificate, Stage, run, start, users};
use rackside_hub::inbound::{Outbound, Outlet as _};
use rackside_hub::listener::{Reason, TlsConfig};
use rumqttc::QoS;
use std::process::{Child, Command};

const PACKAGE: &str = "mosquitto-clients";

fn publish(stage: &Stage, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new("mosquitto_pub");
    run(PACKAGE, command.args(["-h", "127.0.0.1", "-p", &stage.port()]).args(arguments))
}

fn publish_well(stage: &Stage, arguments: &[&str]) {
    let output = publish(stage, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Starts a subscriber that prints `topic qos retained payload`, and waits until its filters are in.
fn subscribe(stage: &Stage, filters: usize, arguments: &[&str]) -> Child {
    let wanted = stage.stats().subscriptions + filters;
    let child = read(stage, arguments);
    stage.until("mosquitto_sub subscribes", |stats| stats.subscriptions == wanted);
    child
}

/// Starts a subscriber that may be through at once, with what is kept.
fn read(stage: &Stage, arguments: &[&str]) -> Child {
    let mut command = Command::new("mosquitto_sub");
    let fixed = ["-h", "127.0.0.1", "-p", &stage.port(), "-W", "10", "-F", "%t %q %r %p"];
    start(PACKAGE, command.args(fixed).args(arguments))
}

fn lines(child: Child) -> Vec<String> {
    let output = child.wait_with_output().expect("mosquitto_sub ends");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn retained_messages_are_kept_replaced_and_cleared() {
    let stage = Stage::new();
    publish_well(&stage, &["-t", "a/b", "-m", "one", "-r", "-q", "1"]);
    publish_well(&stage, &["-t", "a/b", "-m", "two", "-r"]);
    publish_well(&stage, &["-t", "a/c", "-m", "three", "-r", "-q", "1"]);
    let child = subscribe(&stage, 1, &["-q", "1", "-t", "a/+", "-C", "3"]);
    publish_well(&stage, &["-t", "a/b", "-m", "live", "-r"]);
    assert_eq!(lines(child), ["a/b 0 1 two", "a/c 1 1 three", "a/b 0 0 live"]);
    publish_well(&stage, &["-t", "a/b", "-n", "-r"]);
    stage.until("one is cleared", |stats| stats.retained_messages == 1);
    assert_eq!(lines(read(&stage, &["-t", "a/+", "-C", "1"])), ["a/c 0 1 three"]);
}

#[test]
fn a_killed_client_leaves_its_will_and_a_polite_one_does_not() {
    let stage = Stage::new();
    let watcher = subscribe(&stage, 1, &["-t", "will/#", "-C", "2", "-q", "1"]);
    let will = |name| ["-t", "nothing", "--will-topic", name, "--will-payload", "gone", "--will-qos", "1"];
    let polite = subscribe(&stage, 1, &[&will("will/polite")[..], &["-C", "1"]].concat());
    publish_well(&stage, &["-t", "nothing", "-m", "x"]);
    assert_eq!(lines(polite), ["nothing 0 0 x"]);
    stage.until("it has left", |stats| stats.subscriptions == 1);
    let mut killed = subscribe(&stage, 1, &[&will("will/killed")[..], &["--will-retain"]].concat());
    killed.kill().expect("it runs");
    killed.wait().expect("it was killed");
    stage.until("the will is kept", |stats| stats.retained_messages == 1);
    publish_well(&stage, &["-t", "will/end", "-m", "end"]);
    assert_eq!(lines(watcher), ["will/killed 1 0 gone", "will/end 0 0 end"]);
}

#[test]
fn wildcards_match_as_the_standard_has_it() {
    let stage = Stage::new();
    let all = subscribe(&stage, 1, &["-t", "#", "-C", "5"]);
    let one = subscribe(&stage, 1, &["-t", "a/+/c", "-C", "2"]);
    let below = subscribe(&stage, 1, &["-t", "a/#", "-C", "4"]);
    for topic in ["a", "a/b/c", "a//c", "a/b/c/d", "é/x"] {
        publish_well(&stage, &["-t", topic, "-m", "x"]);
    }
    assert_eq!(lines(all), ["a 0 0 x", "a/b/c 0 0 x", "a//c 0 0 x", "a/b/c/d 0 0 x", "é/x 0 0 x"]);
    assert_eq!(lines(one), ["a/b/c 0 0 x", "a//c 0 0 x"]);
    assert_eq!(lines(below), ["a 0 0 x", "a/b/c 0 0 x", "a//c 0 0 x", "a/b/c/d 0 0 x"]);
}

#[test]
fn overlapping_subscriptions_get_each_message_once() {
    let stage = Stage::new();
    let child = subscribe(&stage, 3, &["-q", "1", "-t", "a/#", "-t", "a/b", "-t", "+/b", "-C", "2"]);
    publish_well(&stage, &["-t", "a/b", "-m", "first", "-q", "1"]);
    publish_well(&stage, &["-t", "a/b", "-m", "second", "-q", "1"]);
    assert_eq!(lines(child), ["a/b 1 0 first", "a/b 1 0 second"]);
}

#[test]
fn two_hundred_kilobytes_arrive_whole() {
    let mut stage = Stage::new();
    let text: String = (0..200_000).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), &text).expect("written");
    let child = subscribe(&stage, 1, &["-q", "1", "-t", "rackside/1/+/+/birth", "-C", "1"]);
    let path = file.path().to_str().expect("a plain path");
    publish_well(&stage, &["-t", "rackside/1/arena/rack-1/birth", "-q", "1", "-f", path]);
    assert_eq!(lines(child), [format!("rackside/1/arena/rack-1/birth 1 0 {text}")]);
    assert_eq!(stage.ingested()[0].payload, text.as_bytes());
}

#[test]
fn wrong_passwords_are_told_apart_from_none() {
    let file = users("rack", "right");
    let stage = Stage::with(|config| config.users = Some(file.path().to_owned()));
    publish_well(&stage, &["-t", "a", "-m", "x", "-u", "rack", "-P", "right"]);
    let complaint = |arguments: &[&str]| {
        let output = publish(&stage, arguments);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).to_lowercase()
    };
    let wrong = complaint(&["-t", "a", "-m", "x", "-u", "rack", "-P", "wrong"]);
    assert!(wrong.contains("bad user name or password"), "{wrong}");
    let none = complaint(&["-t", "a", "-m", "x"]);
    assert!(none.contains("not authorised"), "{none}");
    assert_eq!((stage.stats().of(Reason::BadLogin), stage.stats().of(Reason::NotAuthorized)), (1, 1));
}

#[test]
fn a_forged_ack_is_taken_and_goes_nowhere() {
    let mut stage = Stage::new();
    let topic = "rackside/1/arena/rack-1/ack";
    let mut agent = stage.subscriber("arena/rack-1/7", topic, QoS::AtLeastOnce);
    publish_well(&stage, &["-t", topic, "-m", "forged", "-q", "1"]);
    publish_well(&stage, &["-t", topic, "-m", "forged", "-q", "2"]);
    publish_well(&stage, &["-t", topic, "-m", "forged", "-r"]);
    publish_well(&stage, &["-t", "rackside/json/arena/rack-1/data", "-m", "forged", "-r"]);
    publish_well(&stage, &["-t", "rackside/1/arena/rack-1/data", "-m", "real", "-q", "1"]);
    stage.handle.publish(Outbound { topic: topic.into(), payload: "hub".into(), retain: false });
    let message = agent.message();
    assert_eq!((&*message.topic, &message.payload[..]), (topic, &b"hub"[..]));
    agent.has_nothing();
    assert_eq!(stage.stats().of(Reason::Forbidden), 4);
    assert_eq!(stage.stats().retained_messages, 0);
    let ingested: Vec<_> =
        std::iter::once(stage.ingested()).chain([stage.ingested_now()]).flatten().collect();
    assert_eq!(ingested.len(), 1);
    assert_eq!(
        (&*ingested[0].topic, &ingested[0].payload[..]),
        ("rackside/1/arena/rack-1/data", &b"real"[..])
    );
}

#[test]
fn qos_2_gets_what_a_server_may_grant() {
    let stage = Stage::new();
    let child = subscribe(&stage, 1, &["-q", "2", "-t", "a", "-C", "3"]);
    for text in ["one", "two", "three"] {
        publish_well(&stage, &["-t", "a", "-m", text, "-q", "2"]);
    }
    assert_eq!(lines(child), ["a 1 0 one", "a 1 0 two", "a 1 0 three"]);
}

#[test]
fn a_version_5_client_is_told_so() {
    let stage = Stage::new();
    let output = publish(&stage, &["-V", "5", "-t", "a", "-m", "x"]);
    assert!(!output.status.success());
    assert_eq!(stage.stats().of(Reason::Protocol), 1);
    publish_well(&stage, &["-V", "311", "-t", "a", "-m", "x"]);
}

#[test]
fn tls_stands_beside_plain_on_one_router() {
    let files = Certificate::new();
    let mut stage = Stage::with(|config| {
        let address = Some(([127, 0, 0, 1], 0).into());
        config.tls =
            Some(TlsConfig { address, certificate: Some(files.chain.clone()), key: Some(files.key.clone()) });
    });
    let child = subscribe(&stage, 1, &["-t", "rackside/#", "-C", "1"]);
    let port = stage.handle.tls_address().expect("TLS is on").port().to_string();
    let ca = files.chain.to_str().expect("a plain path");
    let mut command = Command::new("mosquitto_pub");
    let arguments =
        ["-h", "localhost", "-p", &port, "--cafile", ca, "-t", "rackside/x", "-m", "safe", "-q", "1"];
    let output = run(PACKAGE, command.args(arguments));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(lines(child), ["rackside/x 0 0 safe"]);
    assert_eq!(stage.ingested()[0].payload, "safe");
}
