//! The fuzz target of the spool's segments: bytes under a segment's name, and a segment of ours with bytes of it changed.
//!
//! Checksums stand over everything, so that random bytes are hardly ever a frame: what is damaged must be a segment first.
//!
//! ```text
//! 02 0b · 2100 ff · 4000 01 · "bodies, cut into pieces of 12"     how many bytes are changed, length of a body, where and how
//! ```

use super::cut::CutDisk;
use super::layout::{Label, What, header, put_frame};
use super::{Kind, Run, Spool};
use std::collections::BTreeSet;

const LABEL: Label = Label { number: 1, run: Run(0x7a3f_01bc) };
const LIMIT: u64 = 64 * 1024 * 1024;

/// Of a segment that was written, each changed byte costs one record at most, and what comes out is what went in.
pub(crate) fn fuzz(bytes: &[u8]) {
    records(bytes);
    let Some((&[damages, length], rest)) = bytes.split_first_chunk() else { return };
    let Some((damages, rest)) = rest.split_at_checked(usize::from(damages % 8) * 3) else { return };
    let bodies: Vec<&[u8]> = rest.chunks(usize::from(length) + 1).collect();
    let mut segment = header(LABEL, 0).to_vec();
    for (seq, body) in (0..).zip(&bodies) {
        let at = segment.len() as u64;
        put_frame(&mut segment, LABEL, at, What::Record(Kind::Readings), (1, seq), body);
    }
    let mut changed = BTreeSet::new();
    for damage in damages.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([damage[0], damage[1]]));
        if let Some(byte) = segment.get_mut(at) {
            *byte ^= damage[2];
            changed.insert(at);
        }
    }
    let found = records(&segment);
    assert!(found.len() + changed.len() >= bodies.len(), "{} of {} records", found.len(), bodies.len());
    for (seq, body) in found {
        assert_eq!(body, bodies[seq as usize], "record {seq}");
    }
}

/// What comes out of a spool with this segment.
fn records(segment: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let disk = CutDisk::new();
    disk.place(&LABEL.to_string(), segment);
    let (mut spool, recovery) = Spool::open(Box::new(disk), LIMIT).expect("the disk is sound");
    assert!(recovery.tail_bytes + recovery.damaged_bytes <= segment.len() as u64);
    let (mut found, mut seq) = (Vec::new(), 0);
    while let Some(record) = spool.next_from(LABEL.run, seq).expect("the disk is sound") {
        seq = record.seq.saturating_add(1);
        found.push((record.seq, record.body));
    }
    assert_eq!(found.len() as u64, recovery.records);
    found
}
