//! Python's paho client against the listener; the scenarios are in `paho_client.py`.

use crate::stage::{Stage, run};
use std::process::Command;

fn scenario(name: &str) {
    let stage = Stage::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/listener/paho_client.py");
    // Debian's own python: it is the one that has Debian's paho.
    let mut command = Command::new("/usr/bin/python3");
    let output = run("python3 python3-paho-mqtt", command.args([script, name, &stage.port()]));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        !told.contains("No module named 'paho'"),
        "paho is missing; install it: apt-get install python3-paho-mqtt"
    );
    assert!(output.status.success(), "{name}: {told}");
}

#[test]
fn retained_messages_reach_paho() {
    scenario("retained");
}

#[test]
fn paho_gets_overlapping_subscriptions_once() {
    scenario("overlapping");
}

#[test]
fn a_kept_session_brings_paho_what_it_missed() {
    scenario("session");
}

#[test]
fn paho_completes_qos_2_and_is_delivered_once() {
    scenario("qos2");
}

#[test]
fn paho_is_taken_over_and_its_will_is_sent() {
    scenario("takeover");
}

#[test]
fn paho_carries_two_hundred_kilobytes() {
    scenario("large");
}

#[test]
fn paho_loses_its_socket_and_its_will_is_sent() {
    scenario("will");
}
