//! What a power cut may leave of a disk, for random schedules.

use crate::spool::cut::{Entries, Fate, Tail};
use proptest::prelude::*;

/// Any fate; a torn or zeroed tail is at most `most` bytes in.
pub(crate) fn fate(most: usize) -> impl Strategy<Value = Fate> {
    let tail = prop_oneof![
        Just(Tail::Kept),
        Just(Tail::Lost),
        (0..most).prop_map(Tail::Torn),
        (0..most).prop_map(Tail::Zeroes),
        any::<u64>().prop_map(Tail::Rubbish),
    ];
    let entries = prop_oneof![
        Just(Entries::Kept),
        Just(Entries::Lost),
        Just(Entries::OnlyMade),
        Just(Entries::OnlyRemoved),
        any::<u64>().prop_map(Entries::Some),
    ];
    (tail, entries).prop_map(|(tail, entries)| Fate { tail, entries })
}
