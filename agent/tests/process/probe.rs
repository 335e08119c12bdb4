//! Probes of a real agent: what the world does, and what a subscriber hears of it.

use crate::panel::Listing;
use crate::support::{Agent, Broker, Subscriber};
use rackside_proto::metric::PROBE_SUCCESS;
use rackside_proto::{Event, Message, Record, Value, What};
use std::net::TcpListener;

#[test]
fn a_port_that_closes_is_an_event() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let hub = Subscriber::start(&broker).ready(&broker);
    let target = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = target.local_addr().expect("bound").port();
    let probe = format!("[[probe.tcp]]\nname = \"encoder\"\nevery = \"1s\"\ntarget = \"127.0.0.1:{port}\"\n");
    let agent = Agent::start(dir.path(), broker.port, "", &probe);
    let mut listing = Listing::default();
    hub.wait("a reading that has it up", |seen| {
        (listing.read(seen, &PROBE_SUCCESS, Some("encoder")) == Some(Value::Known(1))).then_some(())
    });
    drop(target);
    let told = hub.wait("the event", |seen| listing.sample(seen, &PROBE_SUCCESS, Some("encoder")));
    assert_eq!(told.0, Value::Known(0));
    let why = hub.wait("its reason", |seen| match seen.message() {
        Message::Event(Record {
            body: Event { what: What::Text { subject: "error/encoder", text }, .. },
            ..
        }) => Some(text.to_owned()),
        _ => None,
    });
    assert!(why.contains("Connection refused"), "{why}");
    agent.logs("probe encoder (tcp 127.0.0.1:");
}
