//! The spool on a real file system, rule by rule. What power cuts leave is in `cut`.

mod cuts;
mod model;
mod scripts;

use super::*;
use rackside_proto::AgentName;
use tempfile::TempDir;

const RUN: Run = Run(0x7a3f_01bc);
const MIB: u64 = 1024 * 1024;

fn agent() -> AgentName {
    AgentName { site: "arena-north".parse().expect("an id"), appliance: "rack-1".parse().expect("an id") }
}

fn open(dir: &TempDir, limit: u64) -> (Spool, Recovery) {
    let folder = Folder::open(dir.path(), &agent()).expect("a folder");
    Spool::open(Box::new(folder), limit).expect("a spool")
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
    spool.append(run, records, &|_| None).expect("appended")
}

#[test]
fn smoke() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut spool, recovery) = open(&dir, 64 * MIB);
    assert_eq!(recovery, Recovery::default());
    put(&mut spool, RUN, 0, 10_000);
    assert_eq!(spool.runs(), [Holding { run: RUN, floor: 0, next: 10_000 }]);
    for seq in 0..10_000 {
        assert_eq!(spool.read(RUN, seq).expect("read").expect("there").body, body(seq));
    }
    drop(spool);
    let (mut spool, recovery) = open(&dir, 64 * MIB);
    assert_eq!((recovery.records, recovery.is_damaged(), recovery.tail_bytes), (10_000, false, 0));
    for seq in 0..10_000 {
        assert_eq!(spool.read(RUN, seq).expect("read").expect("there").body, body(seq));
    }
    spool.let_go(RUN, 10_000).expect("removed");
    assert_eq!((spool.runs(), spool.bytes()), (vec![], 0));
    assert_eq!(std::fs::read_dir(path(dir.path(), &agent())).expect("a directory").count(), 1, "the lock");
}
