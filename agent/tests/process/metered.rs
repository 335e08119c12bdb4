//! A line that costs money, on a machine whose default route moves: the tests run in a network namespace of their own, in which they may
//! lay interfaces. What goes over the line is said to a real broker beside them.

use crate::probe_network::{enter, ip};
use crate::status::Desk;
use crate::support::{Broker, Seen, Subscriber};
use rackside_proto::{Birth, Data, Message};
use std::process::Command;

const METERED: &str = "clock = \"trust\"\nlimits = { disk = {} }\nprobes.metered = [\"wwan0\"]";

/// Puts the default route on an interface that leads nowhere.
fn uplink(interface: &str) {
    ip(&format!("link add {interface} type veth peer name far-{interface}"));
    ip(&format!("link set far-{interface} up"));
    ip(&format!("link set {interface} up"));
    ip(&format!("route replace default dev {interface}"));
}

fn birth(seen: &Seen) -> Option<Birth<'_>> {
    if let Message::Birth(birth) = seen.message() { Some(birth) } else { None }
}

/// How many readings are in a data record.
fn readings(seen: &Seen) -> Option<usize> {
    let Message::Data(record) = seen.message() else { return None };
    if let Data::Readings(readings) = record.body { Some(readings.len()) } else { None }
}

#[test]
fn over_a_metered_line_readings_are_collected_and_a_stop_sends_them() {
    if !enter("metered::over_a_metered_line_readings_are_collected_and_a_stop_sends_them") {
        return;
    }
    uplink("wwan0");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let seen = Subscriber::start(&broker).ready(&broker);
    let mut desk = Desk::start(dir.path(), broker.port, METERED, "");
    let told = seen.wait("a birth", |seen| birth(seen).map(|birth| (birth.tick_ms, birth.interval_ms)));
    assert_eq!(told, (1000, 60_000));
    assert_eq!(seen.wait("readings", readings), 1, "the first goes at once");
    let answer =
        desk.answers("readings that are collected", |answer| answer["link"]["collected"].as_u64() > Some(2));
    assert_eq!(
        (&answer["link"]["metered"], &answer["link"]["together_seconds"]),
        (&"wwan0".into(), &60.into())
    );
    let shown = desk.status(&[]);
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(text.contains("; wwan0 is metered: readings go every 1 min, "), "{text}");
    let mut check = Command::new(env!("CARGO_BIN_EXE_rackside-agent"));
    let checked = check.arg("check").arg("--config").arg(&desk.agent.file).output().expect("it starts");
    let text = String::from_utf8_lossy(&checked.stdout);
    assert!(
        text.contains("line     wwan0 carries the default route and is metered: readings go every 60s\n"),
        "{text}"
    );
    assert!(desk.agent.terminate().success());
    let last = seen.wait("what was collected", |seen| readings(seen).filter(|readings| *readings > 1));
    assert!(last > 2, "{last}");
}

#[test]
fn a_default_route_that_moves_changes_how_readings_go() {
    if !enter("metered::a_default_route_that_moves_changes_how_readings_go") {
        return;
    }
    uplink("wwan0");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let seen = Subscriber::start(&broker).ready(&broker);
    let desk = Desk::start(dir.path(), broker.port, METERED, "");
    desk.answers("readings that are collected", |answer| answer["link"]["collected"].as_u64() > Some(1));
    uplink("eth0");
    desk.agent.logs("another kind of line is in use: the connection is made anew");
    let connection = seen.wait("a birth that says so", |seen| {
        birth(seen).filter(|birth| birth.interval_ms == 1000).map(|birth| birth.connection)
    });
    assert_eq!(connection, 2);
    for _ in 0..3 {
        seen.wait("a reading by itself", |seen| readings(seen).filter(|readings| *readings == 1));
    }
    ip("route replace default dev wwan0");
    let connection = seen.wait("a birth that says so", |seen| {
        birth(seen).filter(|birth| birth.interval_ms == 60_000).map(|birth| birth.connection)
    });
    assert_eq!(connection, 3);
    desk.answers("readings that are collected", |answer| answer["link"]["collected"].as_u64() > Some(1));
}
