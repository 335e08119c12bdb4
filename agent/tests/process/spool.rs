//! The agent as a process and its state directory: what outlives a kill, a stop and a broker that is down, what is written to the
//! disk and when, and what becomes of a directory that is of no use.

use crate::support::{Agent, Broker, Seen, Subscriber};
use rackside_agent::spool::place;
use rackside_proto::{Ack, Channel, Data, Message, Run, Safe, Sending, SpoolPlace, Value, metric};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ACK: &str = "rackside/1/arena-north/rack-1/ack";
/// The shortest there is.
const SOON: &str = "[spool]\nspill_after = \"1s\"\n";

/// A directory on a disk: the usual temporary one may be in memory. In a container nothing may be on a disk; then there is nothing
/// to see.
fn on_disk() -> Option<TempDir> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    match place::judge(target, Path::new("/proc"), place::Missing::Leave) {
        Ok(_) => Some(tempfile::tempdir_in(target).expect("a temporary directory")),
        Err(unfit) => {
            println!("{unfit}: nothing to see here");
            None
        }
    }
}

/// A port that nobody listens on any more.
fn dead_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let folder = dir.join("state/spool/arena-north/rack-1");
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect()
}

/// A record's run, number, floor, how it is sent, and whether it is a catalog.
fn record(seen: &Seen) -> Option<(Run, u64, u64, Sending, bool)> {
    let (envelope, is_catalog) = match (seen.channel, seen.message()) {
        (Channel::Data, Message::Data(record)) => (record.envelope, matches!(record.body, Data::Catalog(_))),
        (Channel::Event, Message::Event(record)) => (record.envelope, false),
        _ => return None,
    };
    Some((envelope.run, envelope.seq, envelope.floor, envelope.sending, is_catalog))
}

fn acknowledge(broker: &Broker, run: Run, below: u64) {
    let safe = [Safe { run, below }].into_iter().collect();
    let mut body = Vec::new();
    let ack = Ack { history: 1, time_ms: 0, safe, wants: std::iter::empty().collect() };
    ack.encode(&mut body).expect("a Vec has room");
    broker.publish(ACK, &body, false);
}

/// Waits for the first record of an earlier run, and acknowledges that run's records as they come, until `count` of them are in:
/// in order, from 0, none missing.
fn drain(broker: &Broker, subscriber: &Subscriber, count: u64, spool: (SpoolPlace, u64)) {
    let (mut own, mut next) = (None, 0);
    while next < count {
        let (run, seq, floor, sending, _) = subscriber.wait("the backlog", |seen| {
            if let (Channel::Birth, Message::Birth(birth)) = (seen.channel, seen.message()) {
                assert_eq!((birth.spool, birth.spool_bytes), spool);
                own = Some(birth.run);
            }
            // The run's own ones, and the lone oldest once more.
            record(seen).filter(|(run, seq, ..)| own.is_some_and(|own| own != *run) && *seq >= next)
        });
        assert_eq!((seq, sending), (next, Sending::Again));
        assert!(floor <= seq, "{floor}");
        next += 1;
        acknowledge(broker, run, next);
    }
}

/// The first number in a line.
fn number(line: &str) -> u64 {
    line.split_whitespace()
        .find_map(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("no number in {line}"))
}

/// Another run on what the last one left, with a hub this time.
fn catch_up(dir: &Path) {
    let broker = Broker::open(dir);
    let subscriber = Subscriber::start(&broker).ready(&broker);
    let agent = Agent::start(dir, broker.port, "", SOON);
    let line = agent.logs("earlier runs left");
    let left = number(&line);
    assert!(left >= 3, "{line}");
    let before = segments(dir);
    drain(&broker, &subscriber, left, (SpoolPlace::Disk, 64 << 20));
    agent.logs("the hub has what earlier runs left");
    assert!(before.iter().all(|segment| !segment.exists()), "nothing of it is left behind");
}

#[test]
fn what_was_spilled_outlives_a_kill_and_is_sent_by_the_next_run() {
    let Some(dir) = on_disk() else { return };
    let mut agent = Agent::start(dir.path(), dead_port(), "", SOON);
    agent.logs("the hub does not acknowledge; records go to the disk until it does");
    agent.logs("records went to the disk");
    agent.logs("records went to the disk");
    agent.logs("records went to the disk");
    assert!(agent.written() > 0);
    agent.kill();
    assert_eq!(segments(dir.path()).len(), 1);
    catch_up(dir.path());
}

#[test]
fn a_clean_stop_writes_what_is_unacknowledged_for_the_next_run() {
    let Some(dir) = on_disk() else { return };
    // Nothing goes to the disk before the stop.
    let mut agent = Agent::plain(dir.path(), dead_port());
    let line = agent.logs("without the hub, records go to ");
    assert!(line.ends_with("state/spool/arena-north/rack-1"), "{line}");
    std::thread::sleep(Duration::from_millis(2500));
    assert!(segments(dir.path()).is_empty());
    assert!(agent.terminate().success());
    let line = agent.logs("wait on the disk for the next run");
    assert!(number(line.trim_start_matches("<6>")) >= 3, "{line}");
    catch_up(dir.path());
}

#[test]
fn while_the_hub_acknowledges_nothing_is_written() {
    let Some(dir) = on_disk() else { return };
    let broker = Broker::open(dir.path());
    let subscriber = Subscriber::start(&broker).ready(&broker);
    // Ten minutes, with the usual half a minute to the first write, when somebody asks for them.
    let asked = std::env::var("RACKSIDE_QUIET_SECONDS").ok().map(|text| text.parse().expect("seconds"));
    let seconds: u64 = asked.unwrap_or(12);
    let spill_after = format!("[spool]\nspill_after = \"{}s\"\n", (seconds / 2).min(30));
    let agent = Agent::start(dir.path(), broker.port, "", &spill_after);
    let (mut before, mut records) = (None, 0);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let (run, seq, ..) = subscriber.wait("a record", record);
        acknowledge(&broker, run, seq + 1);
        records += 1;
        // What the directories cost at the very first start is not what a day costs.
        before.get_or_insert_with(|| agent.written());
    }
    let written = agent.written() - before.expect("a record came");
    println!("{written} bytes written in {seconds} s with {records} records, each acknowledged");
    assert!(records >= seconds - 2, "{records} records");
    assert_eq!((written, segments(dir.path()).len()), (0, 0));
}

/// Its birth says memory, a series says that nothing is durable, and the log says why.
fn is_in_memory_only(dir: &Path, more: &str, why: &str) {
    let broker = Broker::open(dir);
    let subscriber = Subscriber::start(&broker).ready(&broker);
    let agent = Agent::start(dir, broker.port, "", &format!("{SOON}{more}"));
    let line = agent.logs("records are kept in memory only");
    assert!(line.contains(why), "{line}");
    is_told_in_the_birth(&subscriber);
}

fn is_told_in_the_birth(subscriber: &Subscriber) {
    subscriber.wait("a birth that says so", |seen| {
        let Message::Birth(birth) = (seen.channel == Channel::Birth).then(|| seen.message())? else {
            return None;
        };
        assert_eq!((birth.spool, birth.spool_bytes), (SpoolPlace::Memory, 1 << 20));
        let catalog = birth.catalog?;
        let durable = catalog.series().find(|series| series.name == metric::AGENT_SPOOL_DURABLE.name);
        assert_eq!(durable.expect("the series").reference, Value::Known(0));
        Some(())
    });
}

#[test]
fn a_state_directory_in_memory_is_said() {
    let shm = Path::new("/dev/shm");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("a table");
    if !mounts.lines().any(|line| line.contains(" /dev/shm ") && line.contains(" - tmpfs ")) {
        println!("/dev/shm is no tmpfs here: nothing to see");
        return;
    }
    let memory = tempfile::tempdir_in(shm).expect("a directory");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let directory = format!("directory = \"{}\"", memory.path().display());
    is_in_memory_only(dir.path(), &directory, "is in memory (tmpfs on /dev/shm)");
    assert_eq!(fs::read_dir(memory.path()).expect("it is there").count(), 0, "left as it was");
}

/// Mounts a directory read-only over itself, and runs what follows there; `None` where nobody may.
fn read_only_script(dir: &Path) -> Option<String> {
    let here = dir.display();
    let script =
        format!("mount --bind {here} {here} && mount -o remount,ro,bind {here} && exec \"$0\" \"$@\"");
    let [unshare, rest @ ..] = read_only(&script);
    let may = std::process::Command::new(unshare).args(rest).arg("true").status();
    if may.is_ok_and(|status| status.success()) {
        return Some(script);
    }
    println!("this machine lets nobody mount in a namespace: nothing to see");
    None
}

/// In a mount namespace of its own.
const fn read_only(script: &str) -> [&str; 6] {
    ["unshare", "--mount", "--map-root-user", "sh", "-c", script]
}

#[test]
fn what_was_spilled_is_sent_from_a_card_that_died_read_only() {
    let Some(dir) = on_disk() else { return };
    let state = dir.path().join("state");
    let mut agent = Agent::start(dir.path(), dead_port(), "", SOON);
    for _ in 0..4 {
        agent.logs("records went to the disk");
    }
    agent.kill();
    let before = segments(dir.path());
    let Some(script) = read_only_script(&state) else { return };
    let broker = Broker::open(dir.path());
    let subscriber = Subscriber::start(&broker).ready(&broker);
    let agent = Agent::within(&read_only(&script), Agent::configure(dir.path(), broker.port, "", SOON));
    let left = number(&agent.logs("earlier runs left"));
    let line = agent.logs("new records are kept in memory only");
    assert!(line.contains("is on a file system that is mounted read-only"), "{line}");
    drain(&broker, &subscriber, left, (SpoolPlace::Memory, 1 << 20));
    agent.logs("the hub has what earlier runs left");
    assert_eq!(segments(dir.path()), before, "nothing can be removed there");
}

#[test]
fn a_read_only_state_directory_is_said() {
    let Some(dir) = on_disk() else { return };
    let broker = Broker::open(dir.path());
    let subscriber = Subscriber::start(&broker).ready(&broker);
    let readonly = dir.path().join("readonly");
    fs::create_dir(&readonly).expect("made");
    let Some(script) = read_only_script(&readonly) else { return };
    let more = format!("{SOON}directory = \"{}\"", readonly.display());
    let file = Agent::configure(dir.path(), broker.port, "", &more);
    let agent = Agent::within(&read_only(&script), file);
    let line = agent.logs("records are kept in memory only");
    assert!(line.contains("is on a file system that is mounted read-only"), "{line}");
    is_told_in_the_birth(&subscriber);
}

#[test]
fn memory_only_can_be_asked_for() {
    let Some(dir) = on_disk() else { return };
    is_in_memory_only(dir.path(), "disk = 0", "[spool] disk is 0; records are kept in memory only");
    assert!(!dir.path().join("state/spool").exists());
}

#[test]
fn a_directory_that_is_put_right_is_used() {
    let Some(dir) = on_disk() else { return };
    let home = dir.path().join("mounted/later");
    let more = format!("{SOON}directory = \"{}\"", home.display());
    let agent = Agent::start(dir.path(), dead_port(), "", &more);
    agent.logs("does not exist and cannot be made");
    fs::create_dir_all(&home).expect("made");
    agent.signal("-HUP");
    agent.logs("without the hub, records go to ");
    agent.logs("records went to the disk");
    assert!(home.join("spool/arena-north/rack-1").is_dir());
}

#[test]
fn a_spool_that_somebody_removes_is_made_anew() {
    let Some(dir) = on_disk() else { return };
    let agent = Agent::start(dir.path(), dead_port(), "", SOON);
    agent.logs("records went to the disk");
    fs::remove_dir_all(dir.path().join("state/spool")).expect("it was there");
    agent.logs("the spool fails: ");
    agent.logs("are gone");
    agent.logs("without the hub, records go to ");
    agent.logs("records went to the disk");
    assert_eq!(segments(dir.path()).len(), 1);
}

#[test]
fn a_spool_that_was_put_elsewhere_is_not_written_any_more() {
    let Some(dir) = on_disk() else { return };
    let agent = Agent::start(dir.path(), dead_port(), "", SOON);
    agent.logs("records went to the disk");
    // As with a stick that was pulled out and put in again: what is open leads to the old one.
    let (there, away) = (dir.path().join("state/spool"), dir.path().join("away"));
    fs::rename(&there, &away).expect("moved");
    agent.signal("-HUP");
    agent.logs("are gone");
    agent.logs("without the hub, records go to ");
    agent.logs("records went to the disk");
    assert_eq!(segments(dir.path()).len(), 1);
    // And back, with what was in it.
    fs::rename(&there, dir.path().join("other")).expect("moved");
    fs::rename(&away, &there).expect("moved");
    agent.signal("-HUP");
    agent.logs("earlier runs left ");
    agent.logs("records went to the disk");
    assert_eq!(segments(dir.path()).len(), 2);
}

#[test]
fn two_agents_never_share_a_spool() {
    let Some(dir) = on_disk() else { return };
    let port = dead_port();
    let first = Agent::start(dir.path(), port, "", SOON);
    first.logs("without the hub, records go to ");
    let second = Agent::again(first.file.clone());
    let line = second.logs("records are kept in memory only");
    assert!(line.contains("is in use by another rackside-agent"), "{line}");
}

#[test]
fn records_of_another_name_stay_untouched_and_are_said() {
    let Some(dir) = on_disk() else { return };
    let mut agent = Agent::start(dir.path(), dead_port(), "", SOON);
    agent.logs("records went to the disk");
    agent.kill();
    let before = segments(dir.path());
    agent.edit("appliance = \"rack-1\"", "appliance = \"rack-2\"");
    let agent = Agent::again(agent.file.clone());
    let line = agent.logs("records of other names");
    assert!(line.contains("stay untouched: arena-north/rack-1; "), "{line}");
    agent.logs("records went to the disk");
    assert_eq!(segments(dir.path()), before);
}
