//! Five thousand agents at once, in a process of their own: what they cost in memory, and what happens when the process
//! runs out of file descriptors.
//!
//! `cargo test --release -p rackside-hub --test listener_crowd -- --nocapture` prints the figures.

#[path = "listener/stage.rs"]
#[expect(dead_code, reason = "made for the other listener tests; this one needs a part of it")]
mod stage;

use rackside_hub::listener::Reason;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Connect, LastWill, Packet, PubAck, Subscribe, SubscribeFilter};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stage::{Raw, Stage, now};
use std::net::TcpStream;
use std::time::Duration;

const AGENTS: usize = 5000;
/// From the table of targets: 5,000 idle agents without TLS cost at most 40 MB.
const MOST: usize = 40_000_000;

fn limit_files(wanted: u64) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    assert!(
        maximum.is_none_or(|maximum| maximum >= wanted),
        "this test needs {wanted} open files and may have {maximum:?}; run: ulimit -Hn {wanted}"
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).expect("within the maximum");
}

fn open_files() -> u64 {
    std::fs::read_dir("/proc/self/fd").expect("Linux has it").count() as u64
}

/// Resident memory in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux has it");
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1024
}

/// What an agent does on connecting: its will, and the three channels that it listens to.
fn join(stage: &Stage, number: usize) -> TcpStream {
    let topic = |channel: &str| format!("rackside/1/site-{number}/rack-1/{channel}");
    let connect = Connect {
        keep_alive: 600,
        last_will: Some(LastWill::new(topic("presence"), vec![0; 16], QoS::AtLeastOnce, true)),
        ..Connect::new(format!("site-{number}/rack-1/{number}"))
    };
    let (mut raw, _) = stage.client_as(&connect);
    let filter = |channel| SubscribeFilter::new(topic(channel), QoS::AtLeastOnce);
    let filters = ["ack", "verdict", "command"].map(filter).to_vec();
    raw.send(&Packet::Subscribe(Subscribe { pkid: 1, filters }));
    assert!(matches!(raw.receive(), Packet::SubAck(_)));
    raw.publish(&topic("presence"), vec![1; 16], QoS::AtLeastOnce, true);
    raw.stream
}

#[test]
fn five_thousand_agents_are_cheap_and_running_out_of_files_passes() {
    limit_files(AGENTS as u64 * 2 + 200);
    let mut stage = Stage::with_room(AGENTS * 2, |_| ());
    // The first few pay for what all share.
    let mut crowd: Vec<TcpStream> = (0..50).map(|number| join(&stage, number)).collect();
    stage.ingested_now();
    let (before, began) = (resident(), now());
    crowd.extend((50..AGENTS + 50).map(|number| join(&stage, number)));
    let took = began.elapsed();
    assert_eq!(stage.ingested_now().len(), AGENTS);
    let grown = resident() - before;
    println!(
        "{AGENTS} agents joined in {took:?}; {:.1} MB more RSS, {} bytes each",
        grown as f64 / 1e6,
        grown / AGENTS
    );
    let stats = stage.stats();
    assert_eq!((stats.clients, stats.subscriptions), (AGENTS + 50, 3 * (AGENTS + 50)));
    assert!(grown <= MOST, "{grown} bytes");
    a_lack_of_files_is_survived(&stage);
    drop(crowd);
    stage.until("all have left", |stats| stats.connections == 0);
    assert_eq!(stage.stats().retained_messages, AGENTS + 50, "each one's will replaced its presence");
}

fn a_lack_of_files_is_survived(stage: &Stage) {
    let mut inside = stage.client("inside");
    let generous = getrlimit(Resource::Nofile).current.expect("it was set");
    // One for the client's end, none for the listener's.
    limit_files(open_files());
    let mut waiting = Raw::open(stage.handle.address());
    stage.until("accept fails", |stats| stats.of(Reason::AcceptFailed) > 0);
    std::thread::sleep(Duration::from_millis(300));
    let failures = stage.stats().of(Reason::AcceptFailed);
    assert!(failures < 20, "it pauses between attempts instead of spinning: {failures}");
    inside.send(&Packet::PubAck(PubAck::new(1)));
    inside.has_nothing();
    limit_files(generous);
    waiting.send(&Packet::Connect(Connect::new("waiting")));
    assert!(matches!(waiting.receive(), Packet::ConnAck(_)));
}
