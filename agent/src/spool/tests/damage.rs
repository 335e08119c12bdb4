//! Segments after what disks and people do to them: what is readable comes out, what is not is counted, and nothing panics.

use super::*;
use crate::spool::cut::CutDisk;
use crate::spool::layout::{OVERHEAD, VERSION, header};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;

const LIMIT: u64 = 8192;

/// A disk with a few segments of a run, and the frame of each record.
struct Sample {
    disk: CutDisk,
    frames: BTreeMap<u64, (String, Range<usize>)>,
}

fn opened(disk: &CutDisk) -> (Spool, Recovery) {
    Spool::open(Box::new(disk.clone()), LIMIT).expect("opens whatever is there")
}

fn sample() -> Sample {
    let disk = CutDisk::new();
    let (mut spool, _) = opened(&disk);
    let catalog = body(0);
    for seq in 0..30 {
        let kind = if seq == 0 { Kind::Catalog } else { Kind::Readings };
        let record = Stored { seq, kind, catalog: 1, body: body(seq) };
        spool.append(RUN, [record].into_iter(), &|_| Some((0, &catalog))).expect("appended");
    }
    let mut frames = BTreeMap::new();
    for name in disk.names() {
        let bytes = disk.bytes(&name).expect("there");
        let mut at = HEADER;
        while at < bytes.len() {
            let len = usize::from(bytes[at + 1]) + usize::from(bytes[at + 2]) * 256;
            let seq = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().expect("eight bytes"));
            if bytes[at] != 4 {
                frames.insert(seq, (name.clone(), at..at + len + OVERHEAD));
            }
            at += len + OVERHEAD;
        }
    }
    assert_eq!((frames.len(), disk.names().len()), (30, 4));
    Sample { disk, frames }
}

/// A read that fails is tried again, until it counts as damage.
fn patiently(spool: &mut Spool, seq: u64) -> Option<Stored<Vec<u8>>> {
    (0..3).find_map(|_| spool.next_from(RUN, seq).ok()).expect("read, or passed over")
}

/// The numbers of what comes out; each as it went in.
fn numbers(spool: &mut Spool) -> Vec<u64> {
    let mut out = Vec::new();
    for holding in spool.runs() {
        assert_eq!(holding.run, RUN);
        let mut seq = holding.floor;
        while let Some(record) = patiently(spool, seq) {
            assert_eq!((record.body, record.catalog), (body(record.seq), 1));
            out.push(record.seq);
            seq = record.seq + 1;
        }
    }
    assert!(out.is_sorted());
    out
}

impl Sample {
    /// The records whose frames none of these bytes is in.
    fn untouched(&self, name: &str, bytes: &Range<usize>) -> Vec<u64> {
        let is_hit = |of: &String, frame: &Range<usize>| {
            of == name && frame.start < bytes.end && bytes.start < frame.end
        };
        self.frames.iter().filter(|(_, (of, frame))| !is_hit(of, frame)).map(|(seq, _)| *seq).collect()
    }
}

#[test]
fn a_flipped_bit_costs_the_record_that_it_is_in() {
    let sample = sample();
    for name in sample.disk.names() {
        let len = sample.disk.bytes(&name).expect("there").len();
        for at in 0..len {
            let disk = sample.disk.fork();
            disk.flip(&name, at, (at % 8) as u8);
            let (mut spool, recovery) = opened(&disk);
            let expected = sample.untouched(&name, &(at..at + 1));
            assert_eq!(numbers(&mut spool), expected, "bit {at} of {name}");
            assert!(recovery.damaged_bytes + recovery.tail_bytes > 0, "bit {at} of {name} is told");
            assert!(spool.catalog(RUN, 1).expect("readable").is_some(), "another segment has it");
        }
    }
}

#[test]
fn a_segment_may_end_at_any_byte() {
    let sample = sample();
    for name in sample.disk.names() {
        let bytes = sample.disk.bytes(&name).expect("there");
        for end in 0..bytes.len() {
            let disk = sample.disk.fork();
            disk.place(&name, &bytes[..end]);
            let (mut spool, recovery) = opened(&disk);
            assert_eq!(
                numbers(&mut spool),
                sample.untouched(&name, &(end..bytes.len())),
                "{end} bytes of {name}"
            );
            assert_eq!(recovery.damaged_bytes, 0, "it is the tail: {recovery}");
        }
    }
}

#[test]
fn a_missing_segment_is_a_gap_that_is_counted() {
    let sample = sample();
    let names = sample.disk.names();
    let disk = sample.disk.fork();
    disk.take(&names[1]);
    let (mut spool, recovery) = opened(&disk);
    assert_eq!(numbers(&mut spool), sample.untouched(&names[1], &(0..usize::MAX)));
    assert_eq!(recovery.missing_records, 30 - recovery.records);
    assert!(recovery.is_damaged() && recovery.to_string().contains("are missing in between"));
    let gap = (0..30).find(|seq| !numbers(&mut spool).contains(seq)).expect("a gap");
    assert_eq!(spool.read(RUN, gap).expect("readable"), None);
    assert!(spool.next_from(RUN, gap).expect("readable").is_some_and(|record| record.seq > gap));
}

#[test]
fn the_floor_rises_over_what_is_lost() {
    let sample = sample();
    let (name, frame) = sample.frames[&3].clone();
    sample.disk.flip(&name, frame.end - 1, 0);
    let (mut spool, _) = opened(&sample.disk);
    spool.let_go(RUN, 3).expect("nothing to remove");
    assert_eq!(spool.runs(), [Holding { run: RUN, floor: 4, next: 30 }], "the hub need not wait for 3");
}

#[test]
fn what_is_damaged_later_is_passed_over_and_counted_once() {
    let sample = sample();
    let (mut spool, recovery) = opened(&sample.disk);
    assert_eq!((recovery.damaged_bytes, recovery.missing_records), (0, 0));
    let (name, frame) = sample.frames[&0].clone();
    sample.disk.flip(&name, frame.end - 5, 3);
    let (mut spool2, _) = opened(&sample.disk);
    for spool in [&mut spool, &mut spool2] {
        for _ in 0..3 {
            assert_eq!(numbers(spool), (1..30).collect::<Vec<_>>());
            assert_eq!(spool.holding(RUN).expect("held").floor, 1);
        }
        assert_eq!(spool.damaged(), frame.len() as u64);
    }
}

#[test]
fn a_damaged_segment_is_never_appended_to() {
    let sample = sample();
    let names = sample.disk.names();
    sample.disk.take(&names[3]);
    let last = names[2].clone();
    let before = sample.disk.bytes(&last).expect("there");
    sample.disk.place(&last, &before[..before.len() - 1]);
    let (mut spool, _) = opened(&sample.disk);
    let torn = spool.next(RUN);
    put(&mut spool, RUN, torn, 31);
    assert_eq!(sample.disk.bytes(&last).expect("there"), before[..before.len() - 1]);
    assert_eq!(numbers(&mut spool), (0..31).collect::<Vec<_>>(), "the record that was torn is here again");
}

#[test]
fn a_repeated_write_that_was_cut_short_hides_nothing_of_the_first() {
    let disk = CutDisk::new();
    let (mut spool, _) = opened(&disk);
    put(&mut spool, RUN, 0, 3);
    disk.fail_at(disk.steps() + 1, std::io::ErrorKind::Other);
    let records = || (3..7).map(|seq| Stored { seq, kind: Kind::Event, catalog: 0, body: body(seq) });
    spool.append(RUN, records(), &|_| None).expect_err("the sync fails");
    assert_eq!(spool.written(RUN), 3);
    spool.append(RUN, records(), &|_| None).expect("into another segment");
    let second = disk.names()[1].clone();
    let bytes = disk.bytes(&second).expect("there");
    disk.place(&second, &bytes[..HEADER + OVERHEAD + body(3).len()]);
    let (mut spool, recovery) = opened(&disk);
    assert_eq!((recovery.records, recovery.missing_records, disk.names().len()), (7, 0, 1));
    assert_eq!(spool.read(RUN, 6).expect("readable").map(|record| record.body), Some(body(6)));
}

#[test]
fn empty_segments_go() {
    let disk = CutDisk::new();
    disk.place("0000000000000001-00000001.seg", b"");
    disk.place("0000000000000002-00000001.seg", &header(Label { number: 2, run: Run(1) }, 0));
    disk.place("0000000000000003-00000001.seg", &[0; 5000]);
    let (mut spool, recovery) = opened(&disk);
    assert_eq!((recovery.removed, spool.bytes(), disk.names()), (3, 0, vec![]));
    assert_eq!(recovery.tail_bytes, 5000);
    put(&mut spool, RUN, 0, 1);
    assert_eq!(disk.names(), ["0000000000000004-7a3f01bc.seg"], "no number is used twice");
}

#[test]
fn another_version_is_left_alone_and_said() {
    let disk = CutDisk::new();
    let label = Label { number: 9, run: RUN };
    let mut newer = header(label, 0);
    newer[7] = VERSION + 1;
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&newer[..28]);
    newer[28..].copy_from_slice(&sum.to_le_bytes());
    disk.place(&label.to_string(), &newer);
    let (mut spool, recovery) = opened(&disk);
    assert_eq!(
        recovery.to_string(),
        "0 records in 0 segments; left alone: 0000000000000009-7a3f01bc.seg has format 2, which this version does not read"
    );
    put(&mut spool, RUN, 0, 1);
    assert_eq!(disk.bytes(&label.to_string()), Some(newer.to_vec()));
    assert_eq!(disk.names().len(), 2);
}

#[test]
fn a_renamed_segment_is_left_alone_and_said() {
    let sample = sample();
    let name = sample.disk.names()[0].clone();
    let bytes = sample.disk.bytes(&name).expect("there");
    sample.disk.take(&name);
    sample.disk.place("0000000000000001-00000001.seg", &bytes);
    let (_, recovery) = opened(&sample.disk);
    assert_eq!(
        recovery.aside,
        ["0000000000000001-00000001.seg is 0000000000000001-7a3f01bc.seg under a wrong name"]
    );
}

#[test]
fn other_files_are_none_of_our_business() {
    let sample = sample();
    for name in [
        "lock",
        "notes.txt",
        "1-7a3f01bc.seg",
        "0000000000000001-7A3F01BC.seg",
        "0000000000000001-7a3f01bc.seg~",
    ] {
        sample.disk.place(name, b"something");
    }
    let (mut spool, recovery) = opened(&sample.disk);
    assert_eq!((numbers(&mut spool).len(), recovery.aside.len()), (30, 0));
    spool.let_go(RUN, 30).expect("removed");
    assert_eq!(sample.disk.names().len(), 5);
}

#[test]
fn a_segment_of_pure_temptation_is_searched_in_no_time() {
    // Each byte may begin a frame of a plausible length.
    let disk = CutDisk::new();
    disk.place("0000000000000001-00000001.seg", &vec![1; 4 * 1024 * 1024]);
    let (spool, recovery) = opened(&disk);
    assert_eq!((recovery.removed, recovery.tail_bytes, spool.bytes()), (1, 4 * 1024 * 1024, 0));
}

#[test]
fn a_block_that_does_not_read_costs_what_is_in_it() {
    let disk = CutDisk::new();
    let (mut spool, _) = Spool::open(Box::new(disk.clone()), 1 << 20).expect("opens");
    put(&mut spool, RUN, 0, 200);
    let name = disk.names()[0].clone();
    disk.spoil(&name, 8192, true);
    // While the spool is open: it may be a passing fault, so it is said, and tried again.
    let (mut seq, mut failures) = (0, 0);
    loop {
        match spool.next_from(RUN, seq) {
            Ok(Some(record)) => {
                assert_eq!((record.seq, record.body), (seq, body(seq)), "none is left out");
                seq += 1;
            }
            Ok(None) => break,
            Err(error) => {
                assert!(
                    error.to_string().starts_with("cannot read 0000000000000001-7a3f01bc.seg: "),
                    "{error}"
                );
                failures += 1;
                disk.spoil(&name, 8192, failures < 2);
            }
        }
    }
    assert_eq!((failures, seq, spool.damaged()), (2, 200, 0));
    // For good, and when it is opened: the rest comes out, and the file stays for who may read it.
    disk.spoil(&name, 8192, true);
    let (mut spool, recovery) = opened(&disk);
    let there = numbers(&mut spool);
    assert!(
        there.len() > 120 && there.len() < 200 && there.contains(&199) && there.contains(&0),
        "{there:?}"
    );
    assert_eq!(recovery.missing_records, 200 - there.len() as u64);
    (0..=128).for_each(|block| disk.spoil(&name, block * 4096, true));
    let (_, recovery) = opened(&disk);
    assert_eq!(recovery.aside, ["0000000000000001-7a3f01bc.seg cannot be read"]);
    assert_eq!(disk.names().len(), 1);
}

#[test]
fn a_block_that_never_reads_again_is_passed_over() {
    let disk = CutDisk::new();
    let (mut spool, _) = Spool::open(Box::new(disk.clone()), 1 << 20).expect("opens");
    put(&mut spool, RUN, 0, 200);
    disk.spoil(&disk.names()[0], 8192, true);
    let (mut seq, mut failures, mut read) = (0, 0, 0);
    loop {
        match spool.next_from(RUN, seq) {
            Ok(Some(record)) => (seq, read) = (record.seq + 1, read + 1),
            Ok(None) => break,
            Err(_) => failures += 1,
        }
        assert!(failures < 20, "it ends");
    }
    assert!(seq == 200 && read > 120 && failures >= 2, "{seq} {read} {failures}");
    assert!(spool.damaged() >= 4096, "{}", spool.damaged());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn rubbish_costs_what_it_covers(
        segment in 0_usize..4, at in 0_usize..1200, rubbish in proptest::collection::vec(any::<u8>(), 1..400), zero: bool,
    ) {
        let sample = sample();
        let name = sample.disk.names()[segment].clone();
        let mut bytes = sample.disk.bytes(&name).expect("there");
        let (len, at) = (bytes.len(), at.min(bytes.len()));
        let end = len.min(at + rubbish.len());
        for (to, from) in bytes[at..end].iter_mut().zip(&rubbish) {
            *to = if zero { 0 } else { *from };
        }
        bytes.extend(&rubbish[end - at..]);
        sample.disk.place(&name, &bytes);
        let (mut spool, _) = opened(&sample.disk);
        let (there, sure) = (numbers(&mut spool), sample.untouched(&name, &(at..end)));
        // What was overwritten with what it was is there, too.
        prop_assert!(sure.iter().all(|seq| there.contains(seq)), "{there:?} lacks some of {sure:?}");
    }

    #[test]
    fn a_directory_of_rubbish_opens(files in proptest::collection::vec((0_u64..5, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..3000)), 0..6)) {
        let disk = CutDisk::new();
        for (number, with_header, bytes) in files {
            let label = Label { number, run: RUN };
            let start = if with_header { header(label, 7).to_vec() } else { Vec::new() };
            disk.place(&label.to_string(), &[start, bytes].concat());
        }
        let (mut spool, recovery) = opened(&disk);
        prop_assert_eq!((recovery.records, spool.runs()), (0, vec![]));
        put(&mut spool, RUN, 0, 3);
        prop_assert_eq!(numbers(&mut spool), vec![0, 1, 2]);
    }
}
