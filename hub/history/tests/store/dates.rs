//! Dates: boots without a clock, anchors, and what nobody can date.

use crate::rack::{DAY, DAY0, HOUR, MINUTE, Rack, batch, open, settle, utc};
use rackside_history::{NewRecord, Samples, Store};
use rackside_proto::{Time, What};

const NAMES: &[&str] = &["temp"];
const SECOND: u64 = 1_000;

fn boot(ms: u64) -> Time {
    Time::Boot { boot: 0xb007, ms }
}

fn anchor(rack: &mut Rack, boot_ms: u64, utc_ms: u64, now: u64) -> NewRecord {
    rack.event(boot(boot_ms), What::Anchor { boot: 0xb007, boot_ms, utc_ms }, true, now)
}

fn temp(store: &Store, rack: &Rack) -> Samples {
    let (id, _) = store.reader().series(&rack.agent).expect("reads")[0].clone();
    store.reader().samples(&rack.agent, id, 0..u64::MAX).expect("reads")
}

fn times(store: &Store, rack: &Rack) -> Vec<u64> {
    temp(store, rack).times.to_vec()
}

fn begun(dir: &std::path::Path) -> (Store, Rack) {
    let mut store = open(dir, DAY0);
    let mut rack = Rack::new("rack-1", 1);
    let list = rack.list(NAMES, DAY0);
    store.commit(&batch([list]), DAY0).expect("commits");
    (store, rack)
}

#[test]
fn a_boot_is_dated_by_its_first_live_record_and_its_backlog_with_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut rack) = begun(dir.path());
    let now = DAY0 + HOUR;
    let backlog: Vec<_> =
        (0..3).map(|n| rack.reading(boot(n * 10 * SECOND), false, now, &[n as i64])).collect();
    store.commit(&batch(backlog), now).expect("commits");
    assert_eq!(times(&store, &rack), [0; 0]);
    assert_eq!(store.stats().expect("counts").undated, 3);
    let account = store.reader().account(&rack.agent, rack.run).expect("reads").expect("known");
    assert_eq!(account.seqs.first_missing(), 4, "acked all the same");
    // A restart of the hub does not forget them.
    drop(store);
    let mut store = open(dir.path(), now);
    settle(&mut store, now + 5 * HOUR);
    let live = rack.reading(boot(7 * HOUR), true, now + 6 * HOUR, &[3]);
    store.commit(&batch([live]), now + 6 * HOUR).expect("commits");
    settle(&mut store, now + 6 * HOUR);
    assert_eq!(times(&store, &rack), [DAY0, DAY0 + 10 * SECOND, DAY0 + 20 * SECOND, now + 6 * HOUR]);
    assert_eq!(store.stats().expect("counts").undated, 0);
}

#[test]
fn an_anchor_dates_what_comes_after_it_and_what_nobody_could() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut rack) = begun(dir.path());
    let now = DAY0 + HOUR;
    let late = rack.reading(boot(5 * SECOND), false, now, &[1]);
    let anchored = anchor(&mut rack, 60 * SECOND, DAY0 + MINUTE, now);
    let after = rack.reading(boot(70 * SECOND), true, now, &[2]);
    store.commit(&batch([late, anchored, after]), now).expect("commits");
    settle(&mut store, now);
    assert_eq!(times(&store, &rack), [DAY0 + 5 * SECOND, DAY0 + 70 * SECOND]);
}

#[test]
fn an_anchor_counts_more_than_the_hubs_clock_and_an_impossible_one_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut rack) = begun(dir.path());
    let now = DAY0 + HOUR;
    // Another agent confirms the hub's clock; else whoever says that he knows the time would be believed.
    let mut other = Rack::new("rack-2", 2);
    let list = other.list(NAMES, now);
    let confirming = other.reading(utc(now), true, now, &[1]);
    store.commit(&batch([list, confirming]), now).expect("commits");
    let by_hub = rack.reading(boot(10 * SECOND), true, now, &[1]);
    let wrong = anchor(&mut rack, 15 * SECOND, 15 * SECOND, now + 5 * SECOND);
    let future = anchor(&mut rack, 15 * SECOND, now + 20 * DAY, now + 5 * SECOND);
    let still = rack.reading(boot(20 * SECOND), true, now + 10 * SECOND, &[2]);
    let right = anchor(&mut rack, 30 * SECOND, now + 25 * SECOND, now + 20 * SECOND);
    let after = rack.reading(boot(40 * SECOND), true, now + 30 * SECOND, &[3]);
    store.commit(&batch([by_hub, wrong, future, still, right, after]), now).expect("commits");
    assert_eq!(times(&store, &rack), [now, now + 10 * SECOND, now + 35 * SECOND]);
}

#[test]
fn a_boot_whose_first_record_was_held_up_is_put_right_without_a_step_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut rack) = begun(dir.path());
    let now = DAY0 + HOUR;
    // The first was held up for 8 s; the next comes at once, one is held up again.
    let records = [
        rack.reading(boot(10 * SECOND), true, now + 8 * SECOND, &[1]),
        rack.reading(boot(20 * SECOND), true, now + 10 * SECOND, &[2]),
        rack.reading(boot(30 * SECOND), true, now + 27 * SECOND, &[3]),
        rack.reading(boot(110 * SECOND), true, now + 100 * SECOND, &[4]),
    ];
    store.commit(&batch(records), now).expect("commits");
    let expected = [now + 8 * SECOND, now + 18 * SECOND, now + 26 * SECOND + 750, now + 100 * SECOND];
    assert_eq!(times(&store, &rack), expected);
}

#[test]
fn a_slow_oscillator_is_followed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut rack) = begun(dir.path());
    // 60 millionths slow: after 30 days it is 155 s behind.
    for hour in 0..720 {
        let now = DAY0 + hour * HOUR;
        let ms = hour * HOUR - hour * HOUR * 60 / 1_000_000;
        let record = rack.reading(boot(ms), true, now, &[1]);
        store.commit(&batch([record]), now).expect("commits");
    }
    let off: Vec<u64> =
        times(&store, &rack).iter().zip(0..).map(|(ms, hour)| ms.abs_diff(DAY0 + hour * HOUR)).collect();
    assert_eq!(off.len(), 720);
    assert!(off.iter().all(|&off| off <= 2 * SECOND), "{:?}", off.iter().max());
}

#[test]
fn a_batch_of_readings_is_dated_by_its_last() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut rack) = begun(dir.path());
    let now = DAY0 + HOUR;
    let value = [rackside_proto::Value::Known(1)];
    let minute: Vec<(Time, &[rackside_proto::Value])> =
        (0..6).map(|n| (boot(n * 10 * SECOND), value.as_slice())).collect();
    let record = rack.readings(&minute, true, now);
    store.commit(&batch([record]), now).expect("commits");
    assert_eq!(times(&store, &rack), (0..6).map(|n| now - 50 * SECOND + n * 10 * SECOND).collect::<Vec<_>>());
}

#[test]
fn a_clock_that_nobody_set_is_dated_by_the_hub_if_live_and_else_waits_and_goes() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut rack) = begun(dir.path());
    let now = DAY0 + HOUR;
    let live = rack.reading(utc(5_000), true, now, &[1]);
    let backlog = rack.reading(utc(6_000), false, now, &[2]);
    let good = rack.reading(utc(now), true, now, &[3]);
    store.commit(&batch([live, backlog]), now).expect("commits");
    assert_eq!(temp(&store, &rack).values, [Some(1)]);
    assert_eq!(times(&store, &rack), [now], "never 1970");
    store.commit(&batch([good]), now).expect("commits");
    settle(&mut store, now + 29 * DAY);
    assert_eq!(store.stats().expect("counts").undated, 1);
    let good = rack.reading(utc(now + 31 * DAY), true, now + 31 * DAY, &[3]);
    store.commit(&batch([good]), now + 31 * DAY).expect("commits");
    settle(&mut store, now + 31 * DAY);
    let stats = store.stats().expect("counts");
    assert_eq!((stats.undated, stats.expired), (0, 1));
}

#[test]
fn a_hub_without_a_clock_dates_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut rack) = begun(dir.path());
    let early = 60_000;
    let records = [rack.reading(boot(10), true, early, &[1]), rack.reading(utc(7), true, early, &[2])];
    store.commit(&batch(records), early).expect("commits");
    assert_eq!(times(&store, &rack), [0; 0]);
    assert_eq!(store.stats().expect("counts").undated, 2);
    // Once it has one, the boot is dated.
    let now = DAY0 + HOUR;
    let live = rack.reading(boot(20), true, now, &[3]);
    store.commit(&batch([live]), now).expect("commits");
    settle(&mut store, now);
    assert_eq!(times(&store, &rack), [now - 10, now]);
}

#[test]
fn two_agents_with_one_boot_id_are_two_boots() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut rack) = begun(dir.path());
    let mut twin = Rack::new("rack-2", 9);
    let list = twin.list(NAMES, DAY0);
    let now = DAY0 + HOUR;
    let one = rack.reading(boot(10), true, now, &[1]);
    let other = twin.reading(boot(20), false, now, &[2]);
    store.commit(&batch([list, one, other]), now).expect("commits");
    settle(&mut store, now);
    assert_eq!(times(&store, &rack), [now]);
    assert_eq!(times(&store, &twin), [0; 0]);
}

#[test]
fn a_boot_that_a_wrong_hub_clock_dated_is_dated_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut rack) = begun(dir.path());
    let wrong = rack.reading(boot(10 * SECOND), true, DAY0 + HOUR, &[1]);
    // Somebody sets the hub's clock: two months on.
    let later = DAY0 + 60 * DAY;
    let right = rack.reading(boot(20 * SECOND), true, later, &[2]);
    let backlog = rack.reading(boot(15 * SECOND), false, later, &[3]);
    store.commit(&batch([wrong, right, backlog]), later).expect("commits");
    assert_eq!(times(&store, &rack), [DAY0 + HOUR, later - 5 * SECOND, later]);
}

#[test]
fn an_agent_that_knows_the_time_is_believed_before_a_hub_that_nobody_confirmed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut rack) = begun(dir.path());
    // The hub believes that it is 1994, then that it is months ago.
    for hub in [757_382_400_000, DAY0 - 90 * DAY] {
        let live = rack.reading(utc(DAY0 + rack.next), true, hub, &[1]);
        let backlog = rack.reading(utc(DAY0 + rack.next), false, hub, &[1]);
        store.commit(&batch([live, backlog]), hub).expect("commits");
    }
    assert_eq!(times(&store, &rack), [DAY0 + 1, DAY0 + 2, DAY0 + 3, DAY0 + 4]);
}

#[test]
fn what_a_confirmed_hub_did_not_believe_is_looked_at_again_when_its_clock_was_set() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, mut rack) = begun(dir.path());
    let look = |store: &mut Store, now: u64, uptime_s: u64| {
        for _ in 0..100 {
            store.maintain(now, std::time::Duration::from_secs(uptime_s)).expect("housekeeping");
        }
    };
    look(&mut store, DAY0, 100);
    let confirming = rack.reading(utc(DAY0), true, DAY0, &[1]);
    store.commit(&batch([confirming]), DAY0).expect("commits");
    look(&mut store, DAY0, 101);
    // The clock falls back by months, and nobody has noticed yet.
    let behind = DAY0 - 90 * DAY;
    let backlog = rack.reading(utc(DAY0 + 5), false, behind, &[2]);
    store.commit(&batch([backlog]), behind).expect("commits");
    assert_eq!(store.stats().expect("counts").undated, 1);
    look(&mut store, behind, 110);
    look(&mut store, DAY0 + HOUR, 120);
    assert_eq!(store.stats().expect("counts").undated, 1);
    let confirming = rack.reading(utc(DAY0 + HOUR), true, DAY0 + HOUR, &[3]);
    store.commit(&batch([confirming]), DAY0 + HOUR).expect("commits");
    look(&mut store, DAY0 + HOUR, 130);
    assert_eq!(times(&store, &rack), [DAY0, DAY0 + 5, DAY0 + HOUR]);
    assert_eq!(store.stats().expect("counts").undated, 0);
}
