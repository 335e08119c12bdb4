//! Lives that nobody wrote: random acts, cuts, failures and full disks against the promise.
//!
//! Each bug found stays below as a script of its own.

use super::fates::fate;
use super::model::Bench;
use super::*;
use crate::spool::cut::{Entries, Fate, Tail};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Act {
    Make(Kind, usize, usize),
    Spill,
    /// The hub has the oldest run up to this share, in percent.
    LetGo(u64),
    /// The process ends.
    Restart,
    /// The spool is closed and opened within the process.
    Reopen,
    /// The power goes so many steps from now, or at the next restart.
    Cut(u64, Fate),
    /// A step fails.
    Fail(u64, std::io::ErrorKind),
    /// So many bytes are free.
    Room(Option<u64>),
}

fn act() -> impl Strategy<Value = Act> {
    use std::io::ErrorKind::{Other, StorageFull};
    prop_oneof![
        6 => (1_usize..20, 0_usize..300).prop_map(|(n, len)| Act::Make(Kind::Readings, n, len)),
        1 => (1_usize..3, 0_usize..40).prop_map(|(n, len)| Act::Make(Kind::Event, n, len)),
        1 => (0_usize..600).prop_map(|len| Act::Make(Kind::Catalog, 1, len)),
        7 => Just(Act::Spill),
        3 => (0_u64..=100).prop_map(Act::LetGo),
        1 => Just(Act::Restart),
        1 => Just(Act::Reopen),
        1 => (0_u64..8, fate(3000)).prop_map(|(steps, fate)| Act::Cut(steps, fate)),
        1 => (0_u64..6, prop_oneof![Just(Other), Just(StorageFull)]).prop_map(|(steps, kind)| Act::Fail(steps, kind)),
        1 => proptest::option::of(0_u64..2000).prop_map(Act::Room),
    ]
}

/// Lives, and holds the spool to the promise at every turn.
fn live(limit: u64, acts: &[Act]) {
    let mut bench = Bench::new(limit);
    let (mut spool, _) = bench.open().expect("an empty spool");
    let mut fate = Fate { tail: Tail::Lost, entries: Entries::Lost };
    for act in acts {
        let trouble = match act {
            Act::Make(kind, records, len) => {
                (0..*records).for_each(|_| bench.make(*kind, *len));
                None
            }
            Act::Spill => bench.spill(&mut spool).err(),
            Act::LetGo(percent) => bench.oldest().and_then(|(run, first, last)| {
                bench.let_go(&mut spool, run, first + (last + 1 - first) * percent / 100).err()
            }),
            Act::Restart | Act::Reopen => {
                drop(spool);
                // A disk that fails when it is opened is tried again later.
                spool = loop {
                    match bench.open() {
                        Ok((spool, _)) => break spool,
                        Err(_) if bench.disk.is_off() => break bench.restart(fate),
                        Err(_) => {}
                    }
                };
                bench.reopened(&mut spool);
                if matches!(act, Act::Restart) {
                    bench.next_run();
                }
                None
            }
            Act::Cut(steps, how) => {
                bench.disk.cut_at(Some(bench.disk.steps() + steps));
                fate = *how;
                None
            }
            Act::Fail(steps, kind) => {
                bench.disk.fail_at(bench.disk.steps() + steps, *kind);
                None
            }
            Act::Room(free) => {
                bench.disk.room(*free);
                None
            }
        };
        if bench.disk.is_off() {
            drop(spool);
            spool = bench.restart(fate);
        }
        let is_said = trouble.as_ref().is_none_or(|error| !error.to_string().is_empty());
        assert!(is_said);
        bench.check_promised(&mut spool);
    }
    // A last cut, right now.
    bench.disk.cut();
    drop(spool);
    bench.restart(fate);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_promise_holds(
        limit in prop_oneof![Just(2048_u64), Just(6000), Just(20_000), Just(1 << 20)],
        acts in proptest::collection::vec(act(), 1..80),
    ) {
        live(limit, &acts);
    }
}

#[test]
fn a_removed_segment_that_comes_back_may_have_the_number_of_a_new_one() {
    let fate = Fate { tail: Tail::Kept, entries: Entries::OnlyMade };
    let made = Act::Make(Kind::Readings, 1, 0);
    live(
        2048,
        &[made.clone(), Act::Spill, Act::LetGo(100), Act::Restart, Act::Cut(0, fate), made, Act::Spill],
    );
}

#[test]
fn what_an_earlier_run_let_go_does_not_come_back_behind_a_later_run() {
    let fate = Fate { tail: Tail::Kept, entries: Entries::OnlyMade };
    let made = |records, size| Act::Make(Kind::Readings, records, size);
    live(
        6000,
        &[
            made(16, 42),
            made(3, 0),
            made(7, 107),
            Act::Spill,
            Act::Cut(7, fate),
            Act::LetGo(100),
            Act::Restart,
            made(1, 0),
            Act::Spill,
            Act::LetGo(41),
        ],
    );
}

#[test]
fn a_repeated_write_that_is_cut_short_hides_nothing() {
    let fate = Fate { tail: Tail::Kept, entries: Entries::Kept };
    let made = |records| Act::Make(Kind::Readings, records, 127);
    let room = |bytes| Act::Room(Some(bytes));
    live(
        20_000,
        &[
            made(1),
            Act::Spill,
            made(9),
            room(755),
            Act::Spill,
            Act::Reopen,
            Act::Cut(1, fate),
            room(247),
            Act::Spill,
        ],
    );
}
