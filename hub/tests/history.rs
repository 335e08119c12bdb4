//! What the hub promises of its history, shown on the real program: what was acked is there after a `kill -9`, a full disk
//! loses nothing and heals, a backup is another history, a damaged file is never made anew in silence.

mod client;
mod rack;
mod running;

use client::Client;
use rack::{Rack, Sent, vitals};
use rackside_history::{Settings, Store};
use rackside_hub::clock;
use rackside_proto::{Ack, Sending, Time, What};
use running::{FREE, Running, file, hub, said};
use rustix::process::Signal;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const READY: &str = "/health/readiness";

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// A rack's link to a hub.
fn connect(hub: &Running) -> Client {
    let mut client = Client::connect(&hub.agents, "arena-north/rack-1/7261636b").expect("it connects");
    client.subscribe("rackside/1/arena-north/rack-1/ack").expect("it subscribes");
    client
}

/// Says who it is, and its catalog.
fn begin(client: &mut Client, rack: &mut Rack) {
    for sent in [rack.presence(true), rack.catalog(&vitals()), rack.birth()] {
        client.send(sent).expect("sent");
    }
}

/// A rack that knows the time: its first reading was made an hour ago.
fn synchronised() -> Rack {
    let mut rack = Rack::new("arena-north", "rack-1");
    rack.time = Time::Utc { ms: clock::now().utc_ms - 3_600_000 };
    rack
}

/// The next reading, 10 s after the one before.
fn reading(rack: &mut Rack, n: i64) -> Sent {
    rack.time = rack.time.plus(10_000);
    rack.numbers(&[n, 125, 1024, 4096, 0])
}

/// The acks that have come, until one covers everything below `below`; the last one.
fn acked(client: &mut Client, below: u64) -> Ack {
    loop {
        let ack = Ack::decode(&client.expect("/ack")).expect("an ack");
        if ack.safe.first().is_some_and(|safe| safe.below >= below) {
            return ack;
        }
    }
}

#[test]
fn what_was_acked_outlives_a_kill_and_counts_once() {
    let directory = directory();
    let config = file(&directory, FREE);
    let hub = Running::start(&config);
    let mode = fs::metadata(directory.path().join("data")).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "for the hub's user alone");
    let (mut client, mut rack) = (connect(&hub), synchronised());
    let before = rack.clone();
    begin(&mut client, &mut rack);
    for n in 0..50 {
        client.send(reading(&mut rack, 400 + n)).expect("sent");
    }
    let history = acked(&mut client, 40).history;
    hub.kill();

    let hub = Running::start(&config);
    let (_, sites) = hub.get("/api/sites");
    assert!(
        sites.contains("\"appliance\":\"rack-1\",\"up\":false,\"reason\":\"unknown\""),
        "known at once: {sites}"
    );
    let mut client = connect(&hub);
    let mut again = before;
    again.sending = Sending::Again;
    client.send(again.presence(true)).expect("sent");
    client.send(again.catalog(&vitals())).expect("sent");
    for n in 0..50 {
        client.send(reading(&mut again, 400 + n)).expect("sent");
    }
    let ack = acked(&mut client, 51);
    assert_eq!(ack.history, history, "the same history as before");
    let counted = |name| hub.metric(name).expect("it is there") as u64;
    let (taken, twice) = (counted("rackside_hub_records_total"), counted("rackside_hub_duplicates_total"));
    assert_eq!(taken + twice, 51);
    assert!(twice >= 40, "at least what was acked was on the disk: {twice}");
    assert!(hub.get("/metrics").1.lines().all(|line| !line.starts_with("rackside_soc")), "old is not now");
    hub.kill();
    assert_eq!(samples(&directory.path().join("data"), &rack), 50);
}

/// How many samples of its temperature the history has.
fn samples(data: &Path, rack: &Rack) -> usize {
    let store = Store::open(data, Settings::new(clock::now().utc_ms)).expect("it opens");
    let reader = store.reader();
    let account = reader.account(&rack.name, rack.run).expect("readable").expect("there");
    assert_eq!((account.seqs.first_missing(), account.lost), (rack.seq, 0));
    let series = reader.series(&rack.name).expect("readable");
    let (temperature, _) = series.iter().find(|(_, key)| key.name.contains("temperature")).expect("listed");
    let samples = reader.samples(&rack.name, *temperature, 0..u64::MAX >> 1).expect("readable");
    samples.values.len()
}

#[test]
fn a_hub_that_is_asked_to_stop_writes_and_acks_first() {
    let directory = directory();
    let config = file(&directory, FREE);
    let mut hub = Running::start(&config);
    let (mut client, mut rack) = (connect(&hub), synchronised());
    begin(&mut client, &mut rack);
    acked(&mut client, 1);
    client.send(reading(&mut rack, 400)).expect("sent");
    // Well before the batch is due.
    hub.signal(Signal::TERM);
    acked(&mut client, 2);
    assert!(hub.ended().is_some_and(|status| status.success()));
}

#[test]
fn two_hubs_do_not_share_a_history() {
    let directory = directory();
    let config = file(&directory, FREE);
    let _hub = Running::start(&config);
    let (ok, _, err) = said(&hub(&["run", "--config", &config]).output().expect("it runs"));
    assert!(!ok && err.contains("another hub works in this directory") && err.lines().count() == 1, "{err}");
}

#[test]
fn a_backup_is_made_while_the_hub_runs_and_is_another_history() {
    let directory = directory();
    let config = file(&directory, FREE);
    let mut running = Running::start(&config);
    let (mut client, mut rack) = (connect(&running), synchronised());
    begin(&mut client, &mut rack);
    client.send(reading(&mut rack, 400)).expect("sent");
    let history = acked(&mut client, 2).history;
    let copies = directory.path().join("copies");
    let backup = ["backup", copies.to_str().expect("text"), "--config", &config];
    let (ok, out, err) = said(&hub(&backup).output().expect("it runs"));
    assert!(ok && out.contains("copies/history.db"), "{out}{err}");
    for beside in ["hub.db", "notify.db"] {
        assert!(copies.join(beside).exists(), "{beside} is copied as well");
    }
    client.send(reading(&mut rack, 401)).expect("sent");
    acked(&mut client, 3);
    running.signal(Signal::TERM);
    assert!(running.ended().is_some());

    fs::copy(copies.join("history.db"), directory.path().join("data/history.db")).expect("restored");
    let hub = Running::start(&config);
    let mut client = connect(&hub);
    rack.sending = Sending::Again;
    rack.seq = 2;
    client.send(reading(&mut rack, 401)).expect("sent");
    let ack = acked(&mut client, 3);
    assert_ne!(ack.history, history, "agents see that it is another one");
    assert_eq!(hub.metric("rackside_hub_records_total"), Some(1.0), "what came after the backup comes again");
    hub.kill();
    assert_eq!(samples(&directory.path().join("data"), &rack), 2);
}

#[test]
fn a_damaged_history_is_not_made_anew_in_silence_and_can_be_salvaged() {
    let directory = directory();
    let config = file(&directory, FREE);
    let mut running = Running::start(&config);
    let (mut client, mut rack) = (connect(&running), synchronised());
    begin(&mut client, &mut rack);
    acked(&mut client, 1);
    running.signal(Signal::TERM);
    assert!(running.ended().is_some());
    let database = directory.path().join("data/history.db");
    let mut bytes = fs::read(&database).expect("it is there");
    // The schema's page, behind the header.
    bytes[100..4096].fill(0x55);
    fs::write(&database, &bytes).expect("written");

    let (ok, _, err) = said(&hub(&["run", "--config", &config]).output().expect("it runs"));
    assert!(!ok && err.lines().count() == 1, "{err}");
    assert!(
        err.contains("history.db: the history is damaged") && err.contains("rackside-hub salvage"),
        "{err}"
    );
    let now = fs::read(&database).expect("it is there");
    assert!(now[100..4096].iter().all(|byte| *byte == 0x55), "nobody has made it anew");
    let (ok, out, err) = said(&hub(&["salvage", "--config", &config]).output().expect("it runs"));
    assert!(ok && out.contains("the damaged file is kept as "), "{out}{err}");
    let running = Running::start(&config);
    let mut client = connect(&running);
    let mut again = synchronised();
    again.sending = Sending::Again;
    begin(&mut client, &mut again);
    acked(&mut client, 1);
}

/// Runs this test once more where it may mount what it likes; whether the caller is there already.
fn may_mount(test: &str) -> bool {
    const INSIDE: &str = "RACKSIDE_TEST_MAY_MOUNT";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = || {
        let mut unshare = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            unshare.arg("--map-root-user");
        }
        unshare.arg("--mount").stdin(Stdio::null());
        unshare
    };
    let possible = unshare().args(["mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!("NOT CHECKED on this machine: a real disk that is full, for it lets nobody mount one");
        return false;
    }
    let mut inside = unshare();
    inside.arg(std::env::current_exe().expect("this program has a path"));
    inside.args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let output = inside.output().expect("unshare, of Debian's package util-linux, runs");
    let (ok, out, err) = said(&output);
    assert!(ok && out.contains("1 passed"), "where it may mount, {test} failed:\n{out}{err}");
    false
}

#[test]
fn a_full_disk_stops_acks_and_nothing_else_and_heals_by_itself() {
    if !may_mount("a_full_disk_stops_acks_and_nothing_else_and_heals_by_itself") {
        return;
    }
    let directory = directory();
    let data = directory.path().join("data");
    fs::create_dir(&data).expect("made");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "none"]).arg(&data).status();
    assert!(mounted.expect("mount runs").success());
    let hub = Running::start(&file(&directory, FREE));
    let (mut client, mut rack) = (connect(&hub), synchronised());
    begin(&mut client, &mut rack);
    acked(&mut client, 1);
    assert_eq!(hub.get(READY).0, 200);

    let filler = data.join("somebody-elses-file");
    let mut file = fs::File::create(&filler).expect("made");
    while file.write_all(&[0; 4096]).is_ok() {}
    // The file has some room within; that is used up first.
    for n in 0.. {
        client.send(reading(&mut rack, 400)).expect("sent");
        if hub.get(READY).0 == 503 {
            break;
        }
        assert!(n < 5000, "it writes to a full disk");
    }
    let (_, said) = hub.get(READY);
    assert!(said.contains("the disk is full; make room and the hub goes on by itself"), "{said}");
    hub.expect("history cannot be written: ");
    client.send(reading(&mut rack, 555)).expect("sent");
    let temperature = "rackside_soc_temperature_celsius{site=\"arena-north\",appliance=\"rack-1\"}";
    hub.eventually("the fleet is shown as ever", |hub| hub.metric(temperature).filter(|now| *now > 55.0));
    assert_eq!(hub.metric("rackside_hub_history_up"), Some(0.0));
    assert!(hub.get("/").1.contains("The hub&#39;s disk:"), "the page says so");
    client.send(rack.birth()).expect("sent");
    let unacked = Ack::decode(&client.expect("/ack")).expect("an ack").safe[0].below;
    assert!(unacked < rack.seq, "somebody is there, and acks nothing new");

    fs::remove_file(&filler).expect("there is room again");
    drop(file);
    hub.expect("history is written again");
    acked(&mut client, rack.seq);
    hub.eventually("it is ready", |hub| Some(()).filter(|()| hub.get(READY).0 == 200));
    let (all, again) =
        (hub.metric("rackside_hub_records_total"), hub.metric("rackside_hub_duplicates_total"));
    assert_eq!((all, again), (Some(rack.seq as f64), Some(0.0)), "nobody had to send anything twice");
    hub.kill();
    assert_eq!(samples(&data, &rack), rack.seq as usize - 1);
}

#[test]
fn an_event_is_acked_without_waiting_for_more() {
    let directory = directory();
    let hub = Running::start(&file(&directory, FREE));
    let (mut client, mut rack) = (connect(&hub), synchronised());
    begin(&mut client, &mut rack);
    acked(&mut client, 1);
    // A batch waits for 250 ms otherwise. The quickest of them, since a busy machine may make anything wait.
    let quickest = (2..12).map(|below| {
        let began = clock::now();
        client.send(rack.event(What::Text { subject: "default_route", text: "eth0" })).expect("sent");
        acked(&mut client, below);
        clock::now().since(began.instant)
    });
    assert!(quickest.min() < Some(Duration::from_millis(200)));
}
