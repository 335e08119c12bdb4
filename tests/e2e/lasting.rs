//! What lasts: a backlog on the agent's disk, the history on the hub's, and a card that is not worn out.

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_agent::spool::{Folder, Kind, Spool, Stored};
use rackside_history::{Reader, Settings, Store};
use rackside_proto::{AgentName, Run};
use rackside_tests::agent::{Agent, AgentOptions, on_disk};
use rackside_tests::clock::{self, eventually};
use rackside_tests::day::{Rack, Scribe};
use rackside_tests::hub::Hub;
use rackside_tests::proxy::Proxy;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The promise for a day's backlog.
const CAUGHT_UP: Duration = Duration::from_mins(1);
const DAY_MS: u64 = 86_400_000;
const TICK_MS: u64 = 10_000;

fn name() -> AgentName {
    AgentName { site: RACK.0.parse().expect("an id"), appliance: RACK.1.parse().expect("an id") }
}

/// What the history says, of a hub that has ended.
fn reader(hub: &Hub) -> Reader {
    let store = Store::open(&hub.data(), Settings::new(clock::unix_ms()));
    store.unwrap_or_else(|error| panic!("{error}")).reader()
}

/// Puts a day of readings, up to a minute ago, into a state directory, as an earlier run would have left them there. How many
/// records these are.
fn leave_a_day(state: &Path, run: Run) -> u64 {
    let start = clock::unix_ms() - 60_000 - DAY_MS;
    let mut scribe = Scribe::new(Rack::new(name(), 60, 7, start), TICK_MS as u32);
    let mut records = Vec::new();
    let mut put = |kind, catalog, body: bytes::Bytes| {
        records.push(Stored { seq: records.len() as u64, kind, catalog, body });
    };
    for tick in 0..DAY_MS / TICK_MS {
        let written = scribe.write(start + tick * TICK_MS);
        let number = scribe.catalog().0;
        if let Some(body) = written.catalog {
            put(Kind::Catalog, number, body);
        }
        put(Kind::Readings, number, written.reading);
    }
    let folder = Folder::open(state, &name()).expect("nobody else has it");
    let (mut spool, _) = Spool::open(Box::new(folder), 64 << 20).expect("it is empty");
    let catalog_of = |number| {
        let is_it = |record: &&Stored<bytes::Bytes>| record.kind == Kind::Catalog && record.catalog == number;
        records.iter().find(is_it).map(|record| (record.seq, &*record.body))
    };
    let written = spool.append(run, records.iter().cloned(), &catalog_of).expect("there is room");
    assert_eq!((written.records, written.dropped), (records.len() as u64, 0));
    written.records
}

#[test]
fn a_day_without_a_hub_is_caught_up_within_a_minute_and_no_old_value_is_shown() {
    let hub = Hub::start();
    let directory = on_disk();
    let state = directory.path().join("state");
    fs::create_dir(&state).expect("the directory can be written");
    let old = Run(0x0d0d_0d0d);
    let records = leave_a_day(&state, old);
    let mut agent = Agent::start_in(directory, &AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    let begun = clock::now();
    // The old run has probes and sensors of a realistic rack; this machine's agent has another list.
    let mut shown = 0;
    let caught_up = eventually(CAUGHT_UP, || {
        let metrics = hub.metrics();
        let labels = [("site", RACK.0), ("appliance", RACK.1)];
        if let Some(uptime) = metrics.value("rackside_uptime_seconds", &labels) {
            shown += 1;
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec as f64;
            assert!((uptime - now).abs() < 10.0, "an uptime of {uptime} s is shown, it is {now} s");
        }
        assert_eq!(metrics.value("rackside_probe_success", &labels), None, "a probe of yesterday is shown");
        let backlog = metrics.value("rackside_agent_backlog_records", &labels)?;
        (backlog <= 2.0).then_some(())
    });
    assert!(caught_up.is_some(), "not within {CAUGHT_UP:?}\n{}", agent.last_words());
    eprintln!("{records} records in {:.1?}", clock::now() - begun);
    assert!(shown > 3, "present values are shown all the while: {shown}");
    assert!(agent.stop().is_some_and(|status| status.success()));
    let mut hub = hub;
    hub.stop();
    let reader = reader(&hub);
    let account = reader.account(&name(), old).expect("it can be read").expect("the run is known");
    assert_eq!((account.seqs.first_missing(), account.lost), (records, 0));
    let most =
        times_of(&reader, "rackside_soc_temperature_celsius").into_iter().map(|times| times.len()).max();
    assert!(most >= Some((DAY_MS / TICK_MS) as usize), "each of its samples is there, not {most:?}");
}

/// When the samples of that name are, for each series that has it.
fn times_of(reader: &Reader, metric: &str) -> Vec<Vec<u64>> {
    let series = reader.series(&name()).expect("it can be read");
    let named = series.iter().filter(|(_, key)| &*key.name == metric);
    named
        .map(|(id, _)| reader.samples(&name(), *id, 0..u64::MAX).expect("it can be read").times.to_vec())
        .collect()
}

/// The seconds from `from_ms` to `to_ms` that have no sample of the machine's uptime.
fn gaps(reader: &Reader, (from_ms, to_ms): (u64, u64)) -> Vec<(u64, u64)> {
    let mut times: Vec<u64> = times_of(reader, "rackside_uptime_seconds").concat();
    times.retain(|time| (from_ms..to_ms).contains(time));
    let all = [vec![from_ms], times, vec![to_ms]].concat();
    all.windows(2).map(|pair| (pair[0], pair[1])).filter(|(before, after)| after - before > 1600).collect()
}

/// The bytes that a process made the kernel write to a disk.
fn written(process: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{process}/io")).expect("it runs, and is ours");
    let line =
        io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("the kernel counts them");
    line.parse().expect("a number")
}

/// Segments in a spool.
fn segments(agent: &Agent) -> usize {
    let spool = rackside_agent::spool::path(&agent.state(), &name());
    let files = fs::read_dir(spool).into_iter().flatten().flatten();
    files.filter(|file| file.path().extension().is_some_and(|extension| extension == "seg")).count()
}

#[test]
fn an_agent_whose_hub_acks_writes_nothing_and_one_without_a_hub_does() {
    let hub = Hub::start();
    let link = Proxy::to(hub.mqtt());
    let mut options = AgentOptions::new(RACK.0, RACK.1, link.address());
    options.spool = "spill_after = \"2s\"\n".to_owned();
    let agent = Agent::start(&options);
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let before = written(agent.id());
    std::thread::sleep(Duration::from_secs(15));
    assert_eq!((written(agent.id()) - before, segments(&agent)), (0, 0), "{}", agent.last_words());
    link.cut();
    let spilled = eventually(RECOVERY, || (segments(&agent) > 0).then_some(()));
    assert!(spilled.is_some(), "without acks it does\n{}", agent.last_words());
    link.heal();
    let gone = eventually(RECOVERY, || (segments(&agent) == 0).then_some(()));
    assert!(gone.is_some(), "and what is acked is removed\n{}", agent.last_words());
}

#[test]
fn an_agent_that_was_stopped_without_a_hub_sends_what_it_held_when_it_is_back() {
    let mut hub = Hub::start();
    let link = Proxy::to(hub.mqtt());
    let mut options = AgentOptions::new(RACK.0, RACK.1, link.address());
    options.top = "clock = \"trust\"\n".to_owned();
    let mut agent = Agent::start(&options);
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let begun = clock::unix_ms();
    link.stall();
    std::thread::sleep(Duration::from_secs(5));
    assert!(agent.stop().is_some_and(|status| status.success()), "{}", agent.last_words());
    let ended = clock::unix_ms();
    assert!(segments(&agent) > 0, "what is unacked goes to the disk");
    link.heal();
    agent.restart();
    let gone = eventually(RECOVERY, || (segments(&agent) == 0).then_some(()));
    assert!(gone.is_some(), "the hub has it\n{}", agent.last_words());
    agent.stop();
    hub.stop();
    assert_eq!(gaps(&reader(&hub), (begun, ended - 1600)), []);
}

#[test]
fn a_restored_backup_gets_what_its_agents_hold() {
    let mut hub = Hub::start();
    let link = Proxy::to(hub.mqtt());
    let mut options = AgentOptions::new(RACK.0, RACK.1, link.address());
    options.top = "clock = \"trust\"\n".to_owned();
    let mut agent = Agent::start(&options);
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let begun = clock::unix_ms();
    std::thread::sleep(Duration::from_secs(3));
    let backups = tempfile::tempdir().expect("a temporary directory");
    hub.back_up(backups.path());
    let backed_up = clock::unix_ms();
    // Acked after the backup: what the promise excludes.
    std::thread::sleep(Duration::from_secs(3));
    link.stall();
    let held = clock::unix_ms();
    std::thread::sleep(Duration::from_secs(4));
    hub.restore(backups.path());
    link.heal();
    hub.expect("up again", RECOVERY, RACK, |said| (said["up"] == true).then_some(()));
    let told = eventually(RECOVERY, || agent.log().contains("the hub has a new history").then_some(()));
    assert!(told.is_some(), "{}", agent.last_words());
    std::thread::sleep(Duration::from_secs(3));
    assert!(agent.stop().is_some_and(|status| status.success()), "{}", agent.last_words());
    let ended = clock::unix_ms();
    hub.stop();
    let reader = reader(&hub);
    assert_eq!(gaps(&reader, (begun, backed_up - 1600)), [], "what was in the backup");
    assert_eq!(gaps(&reader, (held + 1600, ended - 1600)), [], "what the agent held");
}
