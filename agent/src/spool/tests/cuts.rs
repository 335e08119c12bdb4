//! The power is cut at every step of a life, and everything that was not synced meets every fate.

use super::model::Bench;
use super::*;
use crate::spool::cut::{Entries, Fate, Tail};

/// What an agent does in bad times.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// So many readings are made.
    Make(usize),
    Event,
    Catalog,
    Spill,
    /// The hub has the oldest run up to this share, in percent.
    LetGo(u64),
    /// The process ends and starts again.
    Restart,
    /// The spool is closed and opened within the process.
    Reopen,
}

/// Four kilobytes for some forty records: rotation, overflow, several runs, catalogs that outlive their segment, and everything let go.
const LIFE: &[Act] = {
    use Act::*;
    &[
        Make(3),
        Spill,
        Make(4),
        Spill,
        Event,
        Spill,
        Catalog,
        Make(2),
        Spill,
        Make(9),
        Spill,
        LetGo(40),
        Make(2),
        Reopen,
        Spill,
        Make(1),
        Restart,
        Make(6),
        Event,
        Spill,
        LetGo(100),
        Make(12),
        Spill,
        Catalog,
        Make(20),
        Spill,
        Restart,
        Make(30),
        Spill,
        Make(3),
        Spill,
        LetGo(70),
        Make(2),
        Spill,
        LetGo(100),
        LetGo(100),
        Make(2),
        Spill,
    ]
};
const LIMIT: u64 = 4096;

/// Lives until the power goes.
fn live(bench: &mut Bench, life: &[Act], exactly: bool) {
    let Ok((mut spool, _)) = bench.open() else { return };
    for act in life {
        if let Act::Reopen | Act::Restart = act {
            drop(spool);
            let Ok((next, recovery)) = bench.open() else { return };
            assert!(!recovery.is_damaged() || !exactly, "{recovery}");
            spool = next;
            bench.reopened(&mut spool);
        }
        let done = match *act {
            Act::Make(records) => {
                (0..records).for_each(|at| bench.make(Kind::Readings, 30 + at % 40));
                Ok(())
            }
            Act::Event => {
                bench.make(Kind::Event, 20);
                Ok(())
            }
            Act::Catalog => {
                bench.make(Kind::Catalog, 90);
                Ok(())
            }
            Act::Spill => bench.spill(&mut spool).map(|_| ()),
            Act::LetGo(percent) => match bench.oldest() {
                Some((run, first, last)) => {
                    bench.let_go(&mut spool, run, first + (last + 1 - first) * percent / 100)
                }
                None => Ok(()),
            },
            Act::Restart => {
                bench.next_run();
                Ok(())
            }
            Act::Reopen => Ok(()),
        };
        if bench.disk.is_off() {
            return;
        }
        assert!(done.is_ok(), "{act:?}: {done:?}");
        if exactly && !matches!(act, Act::Restart | Act::Reopen) {
            bench.check_exactly(&mut spool);
        }
    }
}

#[test]
fn a_life_without_a_cut_keeps_exactly_what_is_promised() {
    let mut bench = Bench::new(LIMIT);
    live(&mut bench, LIFE, true);
}

/// Every fate that makes a difference to a disk with so many bytes that were not synced.
fn fates(unsynced: usize) -> Vec<Fate> {
    let names = [
        Entries::Kept,
        Entries::Lost,
        Entries::OnlyMade,
        Entries::OnlyRemoved,
        Entries::Some(1),
        Entries::Some(2),
    ];
    let mut tails = vec![Tail::Kept, Tail::Lost, Tail::Rubbish(1), Tail::Rubbish(2)];
    tails.extend([0, 1, 20, 33, 60, 200].map(Tail::Zeroes));
    let mut fates: Vec<_> =
        tails.iter().flat_map(|tail| names.map(|entries| Fate { tail: *tail, entries })).collect();
    fates.extend((1..unsynced).map(|at| Fate { tail: Tail::Torn(at), entries: Entries::Kept }));
    fates
}

#[test]
fn whatever_a_cut_at_any_step_does_the_promise_holds() {
    let steps = {
        let mut bench = Bench::new(LIMIT);
        live(&mut bench, LIFE, false);
        bench.disk.steps()
    };
    let (mut tried, mut appended) = (0, 0);
    for step in 0..steps {
        let mut cut = Bench::new(LIMIT);
        cut.disk.cut_at(Some(step));
        live(&mut cut, LIFE, false);
        assert!(cut.disk.is_off(), "step {step}");
        // Where nothing was appended since the step before, its tails were torn already.
        let is_new = cut.disk.appended() != std::mem::replace(&mut appended, cut.disk.appended());
        for fate in fates(if is_new { cut.disk.unsynced() } else { 0 }) {
            let mut bench = cut.fork();
            let mut spool = bench.restart(fate);
            tried += 1;
            if matches!(fate.tail, Tail::Torn(_)) {
                continue;
            }
            // And life goes on: more of it, and another cut.
            bench.make(Kind::Readings, 50);
            bench.spill(&mut spool).expect("a new segment");
            bench.check(&mut spool);
            bench.restart(Fate { tail: Tail::Lost, entries: Entries::Lost });
        }
    }
    eprintln!("{steps} steps, {tried} cuts");
    assert!(steps > 60 && tried > 10_000, "{steps} steps, {tried} cuts");
}
