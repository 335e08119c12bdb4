//! Nothing lost, nothing twice: the real cores of agents and hub, against lists of faults, in virtual time.
//!
//! A schedule is a list of operations: make records, cut the link, kill the hub or the broker, drop after PUBACK, wipe the
//! broker's state, kill an agent or cut its power, fill the hub's disk, restore a backup, set clocks, and so on (`schedule`).
//! It is played on a world of one or two appliances (`pi`: the agent's readings, custody, spool and conversation on a disk
//! that can lose its power), a broker (`broker`) and a hub (`hub`: ingest and the history on a real SQLite file). Then all is
//! made well, and the history is held against what really happened (`truth`), record by record (`ledger`).
//!
//! ```sh
//! cargo test -p rackside-tests --test custody                                   # 1,000 random schedules, and what was found
//! RACKSIDE_SCHEDULES=100000 cargo test -p rackside-tests --test custody random  # more
//! RACKSIDE_SEED=123456 cargo test -p rackside-tests --test custody random       # this one
//! ```
//!
//! A failure is printed as the smallest list that still fails, to be kept in `found`.

mod broker;
mod found;
mod hub;
mod ledger;
mod moment;
mod pi;
mod schedule;
mod search;
mod truth;
mod world;

use search::Search;

/// How many random schedules are played unless said otherwise.
const SCHEDULES: u64 = 1000;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

#[test]
fn random_schedules_lose_nothing_and_count_nothing_twice() {
    let seeds = match variable("RACKSIDE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("RACKSIDE_SCHEDULES").unwrap_or(SCHEDULES),
    };
    let schedules = seeds.end - seeds.start;
    let outcome = Search::over(seeds).unwrap_or_else(|failure| panic!("{failure}"));
    println!("{schedules} schedules: {outcome:?}");
    if schedules >= SCHEDULES {
        // A simulation in which nothing ever goes wrong shows nothing.
        assert!(outcome.found > 4 * outcome.tail, "{outcome:?}");
        for count in [outcome.tail, outcome.restored_away, outcome.dropped, outcome.undated] {
            assert!(count > 0, "{outcome:?}");
        }
    }
}
