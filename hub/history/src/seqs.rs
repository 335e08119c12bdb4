//! Which records of one run are accounted for: a set of numbers, kept as intervals.
//!
//! Never a high-water mark, since fresh records overtake old ones. Invariant: intervals are in order, not empty, and do
//! not touch. `[0..5, 9..12]` is: 0 to 4 and 9 to 11 are here, 5 is the first that is not.

use std::ops::Range;

/// Most intervals that are kept. Gaps close as the backlog comes in, oldest first; a run with more gaps than this is not
/// an agent's, or its backlog has to come first.
pub const INTERVALS: usize = 1024;

/// What became of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It is new, and is in now.
    New,
    /// It was in already.
    Duplicate,
    /// It would be one interval too many, and is not in.
    Full,
}

/// A set of record numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seqs {
    ranges: Vec<Range<u64>>,
}

impl Seqs {
    /// Whether `seq` is in.
    pub fn contains(&self, seq: u64) -> bool {
        self.ranges.get(self.at(seq)).is_some_and(|range| range.contains(&seq))
    }

    /// Puts `seq` in. `seq` is below `u64::MAX`.
    pub fn insert(&mut self, seq: u64) -> Entry {
        self.insert_within(seq, INTERVALS)
    }

    /// Puts `seq` in, unless that makes more than `most` intervals.
    pub(crate) fn insert_within(&mut self, seq: u64, most: usize) -> Entry {
        let at = self.at(seq);
        if self.ranges.get(at).is_some_and(|range| range.contains(&seq)) {
            return Entry::Duplicate;
        }
        let joins_before = at > 0 && self.ranges[at - 1].end == seq;
        let joins_after = self.ranges.get(at).is_some_and(|range| range.start == seq + 1);
        match (joins_before, joins_after) {
            (true, true) => {
                self.ranges[at - 1].end = self.ranges[at].end;
                self.ranges.remove(at);
            }
            (true, false) => self.ranges[at - 1].end = seq + 1,
            (false, true) => self.ranges[at].start = seq,
            (false, false) if self.ranges.len() >= most => return Entry::Full,
            (false, false) => self.ranges.insert(at, seq..seq + 1),
        }
        Entry::New
    }

    /// Takes `seq` out. That may make one interval more than [`INTERVALS`].
    pub fn remove(&mut self, seq: u64) {
        let at = self.at(seq);
        let Some(range) = self.ranges.get_mut(at).filter(|range| range.contains(&seq)) else { return };
        let after = seq + 1..range.end;
        range.end = seq;
        let is_empty = range.is_empty();
        if !after.is_empty() {
            self.ranges.insert(at + 1, after);
        }
        if is_empty {
            self.ranges.remove(at);
        }
    }

    /// Puts everything below `floor` in, and says how many of these were not.
    pub fn fill_below(&mut self, floor: u64) -> u64 {
        if floor == 0 {
            return 0;
        }
        let covered = self.ranges.partition_point(|range| range.start <= floor);
        let (mut had, mut end) = (0, floor);
        for range in self.ranges.drain(..covered) {
            had += range.end.min(floor) - range.start;
            end = end.max(range.end);
        }
        self.ranges.insert(0, 0..end);
        floor - had
    }

    /// The first number that is not in.
    pub fn first_missing(&self) -> u64 {
        self.ranges.first().filter(|range| range.start == 0).map_or(0, |range| range.end)
    }

    /// The intervals, in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<u64>> + '_ {
        self.ranges.iter().cloned()
    }

    /// Puts all that is in `other` in.
    pub fn merge(&mut self, other: &Self) {
        let mut all: Vec<Range<u64>> = self.ranges().chain(other.ranges()).collect();
        all.sort_unstable_by_key(|range| range.start);
        self.ranges.clear();
        for range in all {
            match self.ranges.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => self.ranges.push(range),
            }
        }
    }

    /// As bytes: for each interval the distance from the end of the one before and its length, as LEB128.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 * self.ranges.len());
        let mut before = 0;
        for range in &self.ranges {
            put(&mut bytes, range.start - before);
            put(&mut bytes, range.end - range.start);
            before = range.end;
        }
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) wrote; `None` if it did not write this.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let mut before = 0_u64;
        while !bytes.is_empty() {
            let start = before.checked_add(take(&mut bytes)?)?;
            let end = start.checked_add(take(&mut bytes)?)?;
            if end == start || (start == before && !ranges.is_empty()) {
                return None;
            }
            ranges.push(start..end);
            before = end;
        }
        Some(Self { ranges })
    }

    /// Where the interval that contains `seq` is, or would be.
    fn at(&self, seq: u64) -> usize {
        self.ranges.partition_point(|range| range.end <= seq)
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        number |= part.checked_shl(shift).filter(|shifted| shifted >> shift == part)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// What is read is in order, and is written as it was read.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let Some(seqs) = Seqs::from_bytes(bytes) else { return };
    let ranges: Vec<Range<u64>> = seqs.ranges().collect();
    assert!(ranges.iter().all(|range| !range.is_empty()));
    assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
    assert_eq!(Seqs::from_bytes(&seqs.to_bytes()), Some(seqs));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Debug, Clone, Copy)]
    enum Op {
        Insert(u64),
        Remove(u64),
        Fill(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            8 => (0..300_u64).prop_map(Op::Insert),
            2 => (0..300_u64).prop_map(Op::Remove),
            1 => (0..300_u64).prop_map(Op::Fill),
        ]
    }

    proptest! {
        #[test]
        fn intervals_and_a_plain_set_agree(ops in prop::collection::vec(op(), 0..200)) {
            let mut seqs = Seqs::default();
            let mut model = BTreeSet::new();
            for op in ops {
                match op {
                    Op::Insert(seq) => {
                        let expected = if model.insert(seq) { Entry::New } else { Entry::Duplicate };
                        prop_assert_eq!(seqs.insert(seq), expected);
                    }
                    Op::Remove(seq) => {
                        model.remove(&seq);
                        seqs.remove(seq);
                    }
                    Op::Fill(floor) => {
                        let before = model.len();
                        model.extend(0..floor);
                        prop_assert_eq!(seqs.fill_below(floor), (model.len() - before) as u64);
                    }
                }
                let missing = (0..=310).find(|seq| !model.contains(seq)).expect("the model ends below 300");
                prop_assert_eq!(seqs.first_missing(), missing);
                for seq in 0..310 {
                    prop_assert_eq!(seqs.contains(seq), model.contains(&seq));
                }
                for pair in seqs.ranges.windows(2) {
                    prop_assert!(pair[0].end < pair[1].start);
                }
            }
            prop_assert_eq!(Seqs::from_bytes(&seqs.to_bytes()), Some(seqs));
        }

        #[test]
        fn merged_sets_hold_what_either_holds(
            one in prop::collection::btree_set(0..60_u64, 0..40), other in prop::collection::btree_set(0..60_u64, 0..40)
        ) {
            let set = |numbers: &BTreeSet<u64>| {
                let mut seqs = Seqs::default();
                for &seq in numbers {
                    seqs.insert(seq);
                }
                seqs
            };
            let mut merged = set(&one);
            merged.merge(&set(&other));
            prop_assert_eq!(merged, set(&one.union(&other).copied().collect()));
        }

        #[test]
        fn any_bytes_are_a_set_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(seqs) = Seqs::from_bytes(&bytes) {
                prop_assert!(seqs.ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }
    }

    #[test]
    fn a_run_of_gaps_only_is_bounded_and_loses_nothing() {
        let mut seqs = Seqs::default();
        for n in 0..INTERVALS as u64 {
            assert_eq!(seqs.insert(2 * n), Entry::New);
        }
        let beyond = 2 * INTERVALS as u64;
        assert_eq!(seqs.insert(beyond), Entry::Full);
        assert!(!seqs.contains(beyond));
        assert_eq!(seqs.insert(1), Entry::New, "a gap that closes always fits");
        assert_eq!(seqs.insert(beyond), Entry::New);
    }
}
