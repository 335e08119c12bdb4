//! From a publisher's death to the event on MQTT, with a real agent, real servers and a real broker.

use crate::panel::Listing;
use crate::servers::{GOOD, MediaMtx, Nginx, publish};
use crate::support::{Agent, Broker, PATIENCE, Subscriber};
use rackside_proto::Value;
use rackside_proto::metric::STREAM_UP;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[test]
fn a_publishers_death_is_an_event() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let hub = Subscriber::start(&broker).ready(&broker);
    let (nginx, rtsp) = (Nginx::start(), MediaMtx::start());
    let publishers = [publish(&GOOD, "flv", &nginx.url("hall")), publish(&GOOD, "rtsp", &rtsp.url("hall"))];
    nginx.publishes("hall");
    let probes = format!(
        "[[probe.stream]]\nname = \"watched\"\nevery = \"2s\"\nwatch = \"2s\"\nurl = \"{}\"\n\
         [[probe.rtsp]]\nname = \"described\"\nevery = \"1s\"\nurl = \"{}\"\n",
        nginx.url("hall"),
        rtsp.url("hall")
    );
    let _agent = Agent::start(dir.path(), broker.port, "", &probes);
    let mut listing = Listing::default();
    let mut waiting = vec!["watched", "described"];
    hub.wait_for(PATIENCE * 3, "both up", |seen| {
        waiting.retain(|name| listing.read(seen, &STREAM_UP, Some(name)) != Some(Value::Known(1)));
        waiting.is_empty().then_some(())
    });
    drop(publishers);
    let died = Instant::now();
    let mut told: BTreeMap<&str, Duration> = BTreeMap::new();
    hub.wait_for(PATIENCE * 3, "both down", |seen| {
        for name in ["watched", "described"] {
            if listing.sample(seen, &STREAM_UP, Some(name)).is_some_and(|told| told.0 == Value::Known(0)) {
                told.entry(name).or_insert_with(|| died.elapsed());
            }
        }
        (told.len() == 2).then_some(())
    });
    println!(
        "from a publisher's death to the event on MQTT: {told:?} (described every 1 s, watched every 2 s)"
    );
}
