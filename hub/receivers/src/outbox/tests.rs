//! The outbox through restarts, kills, damage and full disks. A kill is a second outbox on the same file, with the first one never told.

use super::*;
use rackside_notify::{Kind, Message, Status};
use std::collections::BTreeMap;

const NOW: i64 = 1_795_145_096_000;

/// A message of a group, told apart by its number.
pub(crate) fn message(id: u64, group: &str, status: Status) -> Message {
    Message {
        id,
        kind: Kind::Alerts,
        at: NOW,
        group_key: group.to_owned(),
        group_labels: BTreeMap::new(),
        route: "all".to_owned(),
        status,
        alerts: Vec::new(),
        truncated: 0,
        firing: 1,
        resolved: 0,
        cause: None,
        explains: 0,
        escalation: 0,
        sites: Vec::new(),
        site_count: 0,
    }
}

fn to(receiver: &str, ids: std::ops::RangeInclusive<u64>) -> Vec<Outgoing> {
    let one = |id| Outgoing { receiver: receiver.into(), message: message(id, "hall", Status::Firing) };
    ids.map(one).collect()
}

fn opened(directory: &Path) -> Outbox {
    let outbox = Outbox::open(directory, Bounds::default(), NOW);
    assert_eq!(outbox.trouble(), None);
    outbox
}

/// Takes everything that waits, in order.
fn drained(outbox: &Outbox, receiver: &str) -> Vec<u64> {
    std::iter::from_fn(|| {
        let queued = outbox.next(receiver)?;
        outbox.delivered(&queued, NOW);
        Some(queued.message.id)
    })
    .collect()
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn what_was_committed_is_there_after_a_kill_and_in_order() {
    let directory = directory();
    let outbox = opened(directory.path());
    assert_eq!(outbox.load_state(), None);
    outbox.commit(b"one", &to("crew", 1..=3), NOW);
    outbox.commit(b"two", &[to("desk", 4..=4), to("crew", 5..=5)].concat(), NOW);
    let after = opened(directory.path());
    assert_eq!(after.load_state(), Some(b"two".to_vec()));
    assert_eq!(drained(&after, "crew"), [1, 2, 3, 5]);
    assert_eq!(drained(&after, "desk"), [4]);
    drop(outbox);
    assert_eq!(drained(&opened(directory.path()), "crew"), [] as [u64; 0]);
}

#[test]
fn killed_between_arrival_and_mark_one_message_is_handed_out_again() {
    let directory = directory();
    let outbox = opened(directory.path());
    outbox.commit(b"", &to("crew", 1..=3), NOW);
    let first = outbox.next("crew").expect("it waits");
    outbox.delivered(&first, NOW);
    let second = outbox.next("crew").expect("it waits");
    assert_eq!(second.message.id, 2);
    assert_eq!(drained(&opened(directory.path()), "crew"), [2, 3]);
}

#[test]
fn ids_grow_over_restarts_even_when_nothing_waits() {
    let directory = directory();
    let outbox = opened(directory.path());
    outbox.commit(b"", &to("crew", 1..=2), NOW);
    drained(&outbox, "crew");
    drop(outbox);
    let outbox = opened(directory.path());
    outbox.commit(b"", &to("crew", 3..=3), NOW);
    assert_eq!(outbox.next("crew").expect("it waits").id, 3);
}

#[test]
fn tries_and_the_time_to_wait_are_kept() {
    let directory = directory();
    let outbox = opened(directory.path());
    outbox.commit(b"", &to("crew", 1..=1), NOW);
    outbox.failed(&outbox.next("crew").expect("it waits"), NOW + 5_000, NOW);
    let queued = opened(directory.path()).next("crew").expect("it waits");
    assert_eq!((queued.tries, queued.not_before), (1, NOW + 5_000));
}

#[test]
fn refused_messages_are_shown_the_last_fifty_and_over_restarts() {
    let directory = directory();
    let outbox = opened(directory.path());
    outbox.commit(b"", &to("crew", 1..=60), NOW);
    while let Some(queued) = outbox.next("crew") {
        outbox.refused(&queued, "no_service", NOW + 1);
    }
    for outbox in [&outbox, &opened(directory.path())] {
        let failures = outbox.failures("crew");
        assert_eq!(failures.len(), 50);
        let first = &failures[0];
        assert_eq!((first.message.id, first.at, first.end), (60, NOW + 1, End::Refused));
        assert_eq!((first.why.as_str(), failures[49].message.id), ("no_service", 11));
    }
    assert_eq!(outbox.status()[0].refused, 60);
}

#[test]
fn a_queue_that_is_full_gives_up_its_oldest_but_the_one_on_its_way() {
    let directory = directory();
    let bounds = Bounds { messages: 3, ..Bounds::default() };
    let outbox = Outbox::open(directory.path(), bounds, NOW);
    outbox.commit(b"", &[to("crew", 1..=2), to("desk", 9..=9)].concat(), NOW);
    outbox.commit(b"", &to("crew", 3..=5), NOW);
    let ids = |outbox: &Outbox| drained(outbox, "crew");
    assert_eq!(ids(&Outbox::open(directory.path(), bounds, NOW)), [1, 4, 5]);
    assert_eq!(ids(&outbox), [1, 4, 5]);
    let status = outbox.status();
    assert_eq!((status[0].given_up, status[1].given_up, status[1].queued), (2, 0, 1));
    assert_eq!(outbox.failures("crew")[0].end, End::GivenUp);
}

#[test]
fn a_queue_is_bounded_in_bytes_and_keeps_the_newest_however_large() {
    let directory = directory();
    let one = disk::encoded(&message(1, "hall", Status::Firing)).len();
    let bounds = Bounds { bytes: 2 * one + 10, ..Bounds::default() };
    let outbox = Outbox::open(directory.path(), bounds, NOW);
    outbox.commit(b"", &to("crew", 1..=4), NOW);
    assert_eq!(outbox.status()[0].queued, 2);
    let mut large = message(5, "hall", Status::Firing);
    large.route = "r".repeat(3 * one);
    outbox.commit(b"", &[Outgoing { receiver: "crew".into(), message: large }], NOW);
    assert_eq!(drained(&outbox, "crew"), [1, 5]);
}

#[test]
fn what_waits_for_a_day_is_given_up() {
    let directory = directory();
    let outbox = opened(directory.path());
    outbox.commit(b"", &to("crew", 1..=1), NOW);
    let day = Bounds::default().age;
    outbox.commit(b"", &to("crew", 2..=2), NOW + day);
    outbox.tend(NOW + day);
    assert_eq!(outbox.status()[0].queued, 2);
    outbox.tend(NOW + day + 1);
    assert_eq!(drained(&outbox, "crew"), [2]);
    assert_eq!(outbox.status()[0].given_up, 1);
}

#[test]
fn a_receiver_that_is_gone_takes_its_messages_along() {
    let directory = directory();
    let outbox = opened(directory.path());
    outbox.commit(b"", &[to("crew", 1..=2), to("desk", 3..=3)].concat(), NOW);
    assert_eq!(outbox.withdraw("crew", "it is not configured any more", NOW), 2);
    assert_eq!(outbox.withdraw("nobody", "", NOW), 0);
    assert_eq!((outbox.next("crew").is_none(), outbox.next("desk").is_some()), (true, true));
    assert_eq!(opened(directory.path()).failures("crew").len(), 2);
}

#[test]
fn rubbish_and_newer_files_are_set_aside_and_a_new_one_begins() {
    let newer = directory();
    drop(opened(newer.path()));
    rusqlite::Connection::open(newer.path().join(FILE))
        .and_then(|db| db.execute_batch("PRAGMA user_version = 9"))
        .expect("it is set");
    let rubbish = directory();
    std::fs::write(rubbish.path().join(FILE), "this is not a database at all".repeat(9))
        .expect("it is written");
    for directory in [newer, rubbish] {
        let outbox = opened(directory.path());
        outbox.commit(b"one", &to("crew", 1..=1), NOW);
        assert_eq!(drained(&opened(directory.path()), "crew"), [1]);
        assert!(directory.path().join(format!("{FILE}.damaged-{NOW}")).exists());
    }
}

#[test]
fn damage_while_it_runs_costs_nothing() {
    let directory = directory();
    let outbox = opened(directory.path());
    outbox.commit(b"one", &to("crew", 1..=2), NOW);
    outbox.refused(&outbox.next("crew").expect("it waits"), "no_service", NOW);
    rusqlite::Connection::open(directory.path().join(FILE))
        .and_then(|db| db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"))
        .expect("all of it is in the file");
    std::fs::write(directory.path().join(FILE), vec![0x55; 40_960]).expect("it is overwritten");
    outbox.commit(b"two", &to("crew", 3..=3), NOW + 1);
    assert_eq!(outbox.trouble(), None);
    let after = opened(directory.path());
    assert_eq!((after.load_state(), after.failures("crew").len()), (Some(b"two".to_vec()), 1));
    assert_eq!(drained(&after, "crew"), [2, 3]);
}

#[test]
fn a_full_disk_is_told_and_messages_go_out_and_are_written_when_there_is_room() {
    let directory = directory();
    let outbox = opened(directory.path());
    outbox.commit(b"one", &to("crew", 1..=1), NOW);
    {
        let disk = lock(&outbox.disk);
        let disk = disk.as_ref().expect("it is open");
        disk.at_most(disk.pages());
    }
    let state = vec![7; 40_000];
    outbox.commit(&state, &to("crew", 2..=3), NOW);
    let trouble = outbox.trouble().expect("it is told");
    assert!(trouble.contains("notify.db: ") && trouble.contains("full"), "{trouble}");
    outbox.tend(NOW);
    assert!(outbox.trouble().is_some());
    let first = outbox.next("crew").expect("it waits");
    outbox.delivered(&first, NOW);
    assert_eq!((first.message.id, opened(directory.path()).load_state()), (1, Some(b"one".to_vec())));
    lock(&outbox.disk).as_ref().expect("it is open").at_most(1_000_000);
    outbox.tend(NOW);
    assert_eq!(outbox.trouble(), None);
    let after = opened(directory.path());
    assert_eq!((after.load_state(), drained(&after, "crew")), (Some(state), vec![2, 3]));
}

#[test]
fn a_directory_that_comes_later_is_taken_with_what_is_in_it() {
    let above = directory();
    let (before, data) = (above.path().join("before"), above.path().join("data"));
    std::fs::create_dir(&before).expect("it is made");
    opened(&before).commit(b"old", &to("crew", 1..=2), NOW);
    let outbox = Outbox::open(&data, Bounds::default(), NOW);
    assert!(outbox.trouble().is_some_and(|what| what.contains("in memory only")));
    outbox.commit(b"new", &to("crew", 3..=3), NOW);
    std::fs::rename(before, &data).expect("it is moved");
    outbox.tend(NOW);
    assert_eq!(outbox.trouble(), None);
    let after = opened(&data);
    assert_eq!(after.load_state(), Some(b"new".to_vec()));
    assert_eq!((drained(&after, "crew"), drained(&outbox, "crew")), (vec![3, 1, 2], vec![3, 1, 2]));
}

#[test]
fn a_backup_has_the_state_and_nobody_is_woken_by_it() {
    let (data, target) = (directory(), directory());
    assert!(matches!(backup(data.path(), target.path()), Ok(None)));
    let outbox = opened(data.path());
    outbox.commit(b"one", &to("crew", 1..=2), NOW);
    outbox.refused(&outbox.next("crew").expect("it waits"), "no_service", NOW);
    for state in [b"two", b"six"] {
        outbox.commit(state, &[], NOW);
        let copy = backup(data.path(), target.path()).expect("it is copied");
        assert_eq!(copy, Some(target.path().join(FILE)));
        let restored = opened(target.path());
        assert_eq!((restored.load_state(), restored.failures("crew").len()), (Some(state.to_vec()), 1));
        assert!(restored.next("crew").is_none());
    }
    assert_eq!(drained(&outbox, "crew"), [2]);
}

#[test]
fn a_clock_that_is_set_makes_nothing_older_that_waits() {
    let directory = directory();
    let outbox = opened(directory.path());
    outbox.commit(b"one", &to("crew", 1..=1), NOW);
    let first = outbox.next("crew").expect("it waits");
    outbox.failed(&first, NOW + 60_000, NOW);
    let (day, week) = (Bounds::default().age, 7 * Bounds::default().age);
    // Found out 5 s later; meanwhile one more came.
    outbox.commit(b"two", &to("crew", 2..=2), NOW + week + 4_000);
    outbox.clock_stepped(week, 5_000, NOW + week + 5_000);
    outbox.tend(NOW + week + 5_000);
    assert_eq!(outbox.next("crew").map(|one| one.not_before), Some(NOW + week + 60_000));
    // So it is after a restart as well.
    drop(outbox);
    let outbox = opened(directory.path());
    outbox.tend(NOW + week + day);
    assert_eq!(outbox.next("crew").map(|one| one.message.id), Some(1));
    outbox.tend(NOW + week + day + 1);
    assert_eq!(outbox.next("crew").map(|one| one.message.id), Some(2), "a day is over");
    // Back again.
    outbox.clock_stepped(-week, 5_000, NOW + day + 1);
    outbox.tend(NOW + day + 4_000);
    assert_eq!(drained(&outbox, "crew"), [2]);
}
