//! The spool on a real file system, rule by rule. What power cuts leave is in `cuts`, random lives are in `scripts`, damage of all
//! kinds is in `damage`.

mod cuts;
mod damage;
pub(crate) mod fates;
mod model;
mod scripts;

use super::*;
use rackside_proto::AgentName;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const RUN: Run = Run(0x7a3f_01bc);
const OLDER: Run = Run(0x04c2_a9e1);
const MIB: u64 = 1024 * 1024;

fn agent(appliance: &str) -> AgentName {
    AgentName { site: "arena-north".parse().expect("an id"), appliance: appliance.parse().expect("an id") }
}

/// A state directory.
struct State(TempDir);

impl State {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn folder(&self, appliance: &str) -> Result<Folder, FolderError> {
        Folder::open(self.0.path(), &agent(appliance))
    }

    fn open(&self, limit: u64) -> (Spool, Recovery) {
        let folder = self.folder("rack-1").expect("a folder");
        Spool::open(Box::new(folder), limit).expect("a spool")
    }

    /// The segments of that appliance.
    fn segments(&self, appliance: &str) -> Vec<PathBuf> {
        let files = fs::read_dir(path(self.0.path(), &agent(appliance))).expect("a directory");
        let mut files: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
        files.retain(|file| file.extension().is_some_and(|end| end == "seg"));
        files.sort();
        files
    }
}

fn body(seq: u64) -> Vec<u8> {
    format!("record {seq} ").repeat(8).into_bytes()
}

/// Readings from `from` to below `to`, on catalog 1, which is record 0.
fn put(spool: &mut Spool, run: Run, from: u64, to: u64) -> Appended {
    let records = (from..to).map(|seq| {
        let kind = if seq == 0 { Kind::Catalog } else { Kind::Readings };
        Stored { seq, kind, catalog: 1, body: body(seq) }
    });
    let catalog = body(0);
    spool.append(run, records, &|_| Some((0, &catalog))).expect("appended")
}

#[test]
fn what_goes_in_comes_out_now_and_after_opening_again() {
    let state = State::new();
    let (mut spool, recovery) = state.open(64 * MIB);
    assert_eq!(recovery, Recovery::default());
    let appended = put(&mut spool, RUN, 0, 10_000);
    assert_eq!(appended, Appended { records: 10_000, dropped: 0 });
    for opened_again in [false, true] {
        if opened_again {
            drop(spool);
            let recovery;
            (spool, recovery) = state.open(64 * MIB);
            let (segments, records) = (state.segments("rack-1").len(), 10_000);
            assert_eq!(recovery, Recovery { segments, records, ..Recovery::default() });
        }
        assert_eq!(spool.runs(), [Holding { run: RUN, floor: 0, next: 10_000 }]);
        for seq in 0..10_000 {
            let kind = if seq == 0 { Kind::Catalog } else { Kind::Readings };
            let record = spool.read(RUN, seq).expect("read").expect("there");
            assert_eq!(record, Stored { seq, kind, catalog: 1, body: body(seq) });
        }
        assert_eq!(spool.read(RUN, 10_000).expect("read"), None);
        assert_eq!(spool.read(OLDER, 1).expect("read"), None);
    }
    assert!(state.segments("rack-1").len() > 4);
    spool.let_go(RUN, 10_000).expect("removed");
    assert_eq!((spool.runs(), spool.bytes(), state.segments("rack-1").len()), (vec![], 0, 0));
}

#[test]
fn the_catalog_of_the_record_that_was_read_last_is_looked_for_beside_it() {
    let disk = cut::CutDisk::new();
    let (mut spool, _) = Spool::open(Box::new(disk.clone()), 64 * MIB).expect("a spool");
    put(&mut spool, RUN, 0, 10_000);
    for name in disk.names().iter().skip(1) {
        disk.spoil(name, 0, true);
    }
    assert_eq!(spool.read(RUN, 7).expect("read").map(|record| record.seq), Some(7));
    assert_eq!(spool.catalog(RUN, 1).expect("no other segment is read"), Some((0, body(0))));
}

#[test]
fn what_is_on_a_file_system_that_went_read_only_is_read() {
    let disk = cut::CutDisk::new();
    let open = || Spool::open(Box::new(disk.clone()), 64 * MIB).expect("a spool").0;
    put(&mut open(), RUN, 0, 10);
    disk.read_only(true);
    let mut spool = open();
    assert_eq!(spool.runs(), [Holding { run: RUN, floor: 0, next: 10 }]);
    assert_eq!(spool.read(RUN, 9).expect("read").map(|record| record.body), Some(body(9)));
    assert!(spool.let_go(RUN, 10).is_err(), "nothing can be removed");
    assert_eq!(spool.runs(), [], "and it is not offered again");
    disk.read_only(false);
    put(&mut spool, OLDER, 0, 1);
    spool.let_go(OLDER, 1).expect("removed");
    assert_eq!(disk.names(), [""; 0]);
}

#[test]
fn records_of_a_run_may_be_read_in_any_order() {
    let state = State::new();
    let (mut spool, _) = state.open(MIB);
    put(&mut spool, RUN, 0, 3000);
    for seq in (0..3000).rev().step_by(7).chain([2999, 0, 1500]) {
        assert_eq!(spool.read(RUN, seq).expect("read").map(|record| record.body), Some(body(seq)));
    }
}

#[test]
fn the_bound_drops_the_oldest_and_counts_them() {
    let state = State::new();
    let (mut spool, _) = state.open(MIB);
    let mut dropped = 0;
    for batch in 0..200 {
        dropped += put(&mut spool, RUN, batch * 100, batch * 100 + 100).dropped;
        assert!(spool.bytes() <= MIB, "{}", spool.bytes());
    }
    let on_disk: u64 =
        state.segments("rack-1").iter().map(|file| fs::metadata(file).expect("there").len()).sum();
    assert_eq!(on_disk, spool.bytes());
    assert_eq!(spool.runs(), [Holding { run: RUN, floor: dropped, next: 20_000 }]);
    assert!(dropped > 10_000 && spool.dropped() == dropped, "{dropped}");
    assert_eq!(spool.read(RUN, dropped).expect("read").map(|record| record.seq), Some(dropped));
}

#[test]
fn records_that_were_let_go_do_not_count_as_dropped() {
    let state = State::new();
    let (mut spool, _) = state.open(MIB);
    put(&mut spool, RUN, 0, 1000);
    spool.let_go(RUN, 900).expect("let go");
    spool.limit(4096);
    let appended = put(&mut spool, RUN, 1000, 1100);
    let floor = spool.runs()[0].floor;
    assert!(floor > 900 && appended.dropped == floor - 900, "{appended:?}, {floor}");
}

#[test]
fn catalogs_outlive_the_segments_of_their_records() {
    let state = State::new();
    let (mut spool, _) = state.open(MIB);
    put(&mut spool, RUN, 0, 20_000);
    assert!(spool.runs()[0].floor > 0, "record 0 was dropped");
    drop(spool);
    let (mut spool, _) = state.open(MIB);
    assert_eq!(spool.catalog(RUN, 1).expect("read"), Some((0, body(0))));
    assert_eq!(spool.catalog(RUN, 2).expect("read"), None);
    assert_eq!(
        spool.catalog(OLDER, 1).expect("read"),
        None,
        "another run's catalog of that number is another"
    );
}

#[test]
fn runs_come_oldest_first_and_go_in_any_order() {
    let state = State::new();
    let (mut spool, _) = state.open(MIB);
    put(&mut spool, RUN, 5, 50);
    drop(spool);
    let (mut spool, _) = state.open(MIB);
    put(&mut spool, OLDER, 0, 10);
    let (first, second) =
        (Holding { run: RUN, floor: 5, next: 50 }, Holding { run: OLDER, floor: 0, next: 10 });
    assert_eq!(spool.runs(), [first, second]);
    spool.let_go(OLDER, 4).expect("let go");
    assert_eq!(spool.runs(), [first, Holding { floor: 4, ..second }]);
    spool.let_go(OLDER, 2).expect("let go");
    assert_eq!(
        spool.holding(OLDER),
        Some(Holding { floor: 4, ..second }),
        "an ack that comes late changes nothing"
    );
    assert_eq!(spool.read(OLDER, 3).expect("read"), None);
    spool.let_go(OLDER, u64::MAX).expect("let go");
    assert_eq!((spool.runs(), spool.holding(OLDER)), (vec![first], None));
    put(&mut spool, OLDER, 10, 12);
    assert_eq!(spool.holding(OLDER), Some(Holding { run: OLDER, floor: 10, next: 12 }), "and it goes on");
}

#[test]
fn a_second_agent_is_told_that_the_place_is_taken() {
    let state = State::new();
    let first = state.folder("rack-1").expect("free");
    let error = state.folder("rack-1").expect_err("taken").to_string();
    assert!(error.ends_with(
        "spool/arena-north/rack-1 is in use by another rackside-agent; stop it, or give this one a state directory or a \
         name of its own"
    ), "{error}");
    state.folder("rack-2").expect("another name is another place");
    drop(first);
    state.folder("rack-1").expect("free again");
}

#[test]
fn records_of_another_name_stay_and_are_said() {
    let state = State::new();
    let folder = state.folder("rack-9").expect("a folder");
    let (mut other, _) = Spool::open(Box::new(folder), MIB).expect("a spool");
    put(&mut other, RUN, 0, 100);
    let bytes = other.bytes();
    drop(other);
    let (mut spool, recovery) = state.open(MIB);
    assert_eq!((recovery.records, spool.runs()), (0, vec![]));
    let left = leftovers(state.0.path(), &agent("rack-1"));
    assert_eq!(left, [Leftover { agent: agent("rack-9"), segments: 1, bytes }]);
    spool.let_go(RUN, 100).expect("nothing");
    assert_eq!(state.segments("rack-9").len(), 1);
    assert_eq!(leftovers(&state.0.path().join("nowhere"), &agent("rack-1")), []);
}

#[test]
fn files_are_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let state = State::new();
    let (mut spool, _) = state.open(MIB);
    put(&mut spool, RUN, 0, 1);
    let mode = |path: &std::path::Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let own = path(state.0.path(), &agent("rack-1"));
    assert_eq!(
        (mode(&own), mode(&own.join("lock")), mode(&state.segments("rack-1")[0])),
        (0o700, 0o600, 0o600)
    );
}

#[test]
fn nobody_leads_us_elsewhere_by_a_link() {
    let (state, elsewhere) = (State::new(), State::new());
    fs::create_dir_all(state.0.path().join("spool/arena-north")).expect("made");
    std::os::unix::fs::symlink(elsewhere.0.path(), state.0.path().join("spool/arena-north/rack-1"))
        .expect("a link");
    assert!(matches!(state.folder("rack-1"), Err(FolderError::Io { doing: "open", .. })));
}

#[test]
fn a_pipe_or_a_link_under_a_segments_name_holds_nothing_up() {
    let state = State::new();
    drop(state.open(MIB));
    let own = path(state.0.path(), &agent("rack-1"));
    let pipe = own.join("0000000000000001-7a3f01bc.seg");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .expect("a pipe");
    std::os::unix::fs::symlink("/etc/passwd", own.join("0000000000000002-7a3f01bc.seg")).expect("a link");
    let (mut spool, recovery) = state.open(MIB);
    let aside = [
        "1-7a3f01bc.seg cannot be read: it is not a file",
        "2-7a3f01bc.seg cannot be read: Too many levels of symbolic links (os error 40)",
    ];
    assert_eq!(recovery.aside, aside.map(|end| format!("000000000000000{end}")));
    put(&mut spool, RUN, 0, 1);
    assert_eq!(spool.runs(), [Holding { run: RUN, floor: 0, next: 1 }]);
}

#[test]
fn a_directory_that_vanishes_is_an_error_that_names_the_file() {
    let state = State::new();
    let (mut spool, _) = state.open(MIB);
    put(&mut spool, RUN, 0, 1);
    fs::remove_dir_all(state.0.path().join("spool")).expect("removed");
    let catalog = body(0);
    let record = Stored { seq: 5, kind: Kind::Readings, catalog: 1, body: body(5) };
    let error =
        spool.append(RUN, [record].into_iter(), &|_| Some((0, &catalog))).expect_err("nowhere").to_string();
    assert_eq!(error, "cannot make 0000000000000002-7a3f01bc.seg: No such file or directory (os error 2)");
    spool.let_go(RUN, 10).expect("gone is gone");
}

#[test]
fn a_record_that_no_channel_carries_is_refused_and_costs_nothing() {
    let state = State::new();
    let (mut spool, _) = state.open(MIB);
    put(&mut spool, RUN, 0, 2);
    let long = Stored { seq: 2, kind: Kind::Readings, catalog: 1, body: vec![0; layout::BODY_MOST + 1] };
    let error = spool.append(RUN, [long].into_iter(), &|_| None).expect_err("too long");
    assert_eq!(error.to_string(), "record 2 has 262145 bytes, more than the 262144 that a message carries");
    put(&mut spool, RUN, 2, 4);
    assert_eq!(spool.runs(), [Holding { run: RUN, floor: 0, next: 4 }]);
}

#[test]
fn a_full_disk_is_said_costs_nothing_and_heals() {
    const HERE: &str = "RACKSIDE_TEST_SMALL_DISK";
    let Some(dir) = std::env::var_os(HERE) else {
        // Once more, within a file system of 256 KiB.
        let dir = tempfile::tempdir().expect("a directory");
        let script = "mount -t tmpfs -o size=256k none \"$0\" || exit 77; exec \"$@\"";
        let this = "spool::tests::a_full_disk_is_said_costs_nothing_and_heals";
        let ran = std::process::Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", script])
            .arg(dir.path())
            .arg(std::env::current_exe().expect("a program"))
            .args(["--exact", this, "--nocapture"])
            .env(HERE, dir.path())
            .output();
        match ran {
            Ok(ran) if ran.status.success() => {
                let said = String::from_utf8_lossy(&ran.stdout).into_owned();
                assert!(said.contains("1 passed"), "{said}");
            }
            Ok(ran) if ran.status.code() == Some(101) => panic!("{}", String::from_utf8_lossy(&ran.stderr)),
            _ => eprintln!(
                "NOT TESTED: a full disk needs a mount namespace, which this machine does not allow"
            ),
        }
        return;
    };
    let folder = Folder::open(std::path::Path::new(&dir), &agent("rack-1")).expect("a folder");
    let (mut spool, _) = Spool::open(Box::new(folder), 64 * MIB).expect("a spool");
    let batch = |spool: &mut Spool, from: u64| {
        let records =
            (from..from + 100).map(|seq| Stored { seq, kind: Kind::Readings, catalog: 1, body: body(seq) });
        spool.append(RUN, records, &|_| Some((0, b"a catalog")))
    };
    let mut next = 0;
    let error = loop {
        match batch(&mut spool, next) {
            Ok(_) => next += 100,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, SpoolError::Full { .. }), "{error}");
    assert!(next >= 1000 && spool.dropped() == 0, "{next}");
    assert!(batch(&mut spool, next).is_err(), "still full");
    assert_eq!(spool.runs(), [Holding { run: RUN, floor: 0, next }]);
    spool.let_go(RUN, next).expect("room");
    batch(&mut spool, next).expect("room again");
    assert_eq!(spool.runs(), [Holding { run: RUN, floor: next, next: next + 100 }]);
}

/// Written by the first version that had a spool; it must be readable for ever. Do not make it anew.
#[test]
fn a_segment_of_version_1_is_readable_for_ever() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/spool/0000000000000007-7a3f01bc.seg");
    let bytes = fs::read(fixture).expect("the fixture");
    let disk = cut::CutDisk::new();
    disk.place("0000000000000007-7a3f01bc.seg", &bytes);
    let (mut spool, recovery) = Spool::open(Box::new(disk.clone()), MIB).expect("opens");
    assert_eq!(recovery, Recovery { segments: 1, records: 5, ..Recovery::default() });
    let record = |seq, kind, catalog, body: &[u8]| Stored { seq, kind, catalog, body: body.to_vec() };
    let expected = [
        record(300, Kind::Readings, 2, b"a reading"),
        record(301, Kind::Event, 2, b"an event"),
        record(302, Kind::Catalog, 3, b"the third catalog"),
        record(303, Kind::Readings, 3, &[0; 300]),
        record(304, Kind::Event, 0, b""),
    ];
    let there: Vec<_> = (300..305).filter_map(|seq| spool.read(RUN, seq).expect("read")).collect();
    assert_eq!(there, expected);
    assert_eq!(spool.catalog(RUN, 2).expect("read"), Some((17, b"the second catalog".to_vec())));
    assert_eq!(spool.catalog(RUN, 3).expect("read"), Some((302, b"the third catalog".to_vec())));
    // What this version writes is the same, byte for byte.
    let again = cut::CutDisk::new();
    again.place("0000000000000006-7a3f01bc.seg", b"");
    let (mut spool, _) = Spool::open(Box::new(again.clone()), MIB).expect("opens");
    spool
        .append(RUN, expected.into_iter(), &|number| (number == 2).then_some((17, b"the second catalog")))
        .expect("appended");
    assert_eq!(again.bytes("0000000000000007-7a3f01bc.seg"), Some(bytes));
}
