//! Custody's rules that concern the disk, one by one. The rules together, under faults, are in `sim`.

use super::*;
use crate::clock::Clock;
use crate::spool::cut::CutDisk;
use rackside_proto::Safe;
use std::io::ErrorKind;

const LIMITS: Limits = Limits { memory: 1 << 20, spill_after: Duration::from_secs(30), resend_rate: 200 };
const ROOM: u64 = 64 << 20;

struct Bench {
    custody: Custody,
    disk: CutDisk,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::with(LIMITS)
    }

    fn with(limits: Limits) -> Self {
        let (disk, now) = (CutDisk::new(), Clock::now());
        let mut bench = Self { custody: Custody::new(Run(1), limits), disk, now };
        bench.attach();
        bench
    }

    fn attach(&mut self) {
        let (spool, _) = Spool::open(Box::new(self.disk.clone()), ROOM).expect("it reads");
        self.custody.attach(spool, self.now);
    }

    /// The process ends as it stands, and another begins.
    fn restart(&mut self, limits: Limits) {
        self.custody = Custody::new(Run(self.custody.run().0 + 1), limits);
        self.attach();
    }

    fn put(&mut self, records: usize) {
        for _ in 0..records {
            self.custody.put_data(vec![1; 60], self.now).expect("fits");
        }
    }

    fn connect(&mut self) {
        self.custody.connected(self.now);
    }

    fn ack(&mut self, run: u32, below: u64) {
        self.ack_with(run, below, &[]);
    }

    fn ack_with(&mut self, run: u32, below: u64, wants: &[Want]) {
        let safe = [Safe { run: Run(run), below }].into_iter().collect();
        let ack = Ack { history: 1, time_ms: 0, safe, wants: wants.iter().copied().collect() };
        self.custody.acked(&ack, self.now);
    }

    /// What goes out now: run and number.
    fn sent(&mut self) -> Vec<(u32, u64)> {
        let mut sent = Vec::new();
        while let Some(out) = self.custody.next_outgoing(self.now) {
            sent.push((out.envelope.run.0, out.envelope.seq));
        }
        sent
    }

    /// Time passes, custody woken only when it asks to be.
    fn wait(&mut self, wait: Duration) -> Vec<(u32, u64)> {
        let end = self.now + wait;
        let mut sent = Vec::new();
        loop {
            self.custody.keep(self.now);
            sent.extend(self.sent());
            match self.custody.deadline(self.now) {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
        }
        self.now = end;
        sent
    }

    fn seconds(&mut self, seconds: u64) -> Vec<(u32, u64)> {
        self.wait(Duration::from_secs(seconds))
    }

    /// In memory, on the disk.
    fn held(&self) -> (u64, u64) {
        (self.custody.unspilled(), self.custody.backlog() - self.custody.unspilled())
    }
}

#[test]
fn what_is_unacked_for_half_a_minute_goes_to_the_disk_and_then_every_half_minute() {
    let mut bench = Bench::new();
    bench.put(2);
    bench.seconds(29);
    assert_eq!((bench.held(), bench.disk.steps()), ((2, 0), 0));
    bench.put(1);
    bench.seconds(1);
    assert_eq!(bench.held(), (0, 3), "with what came after it");
    let steps = bench.disk.steps();
    bench.put(1);
    bench.seconds(29);
    assert_eq!((bench.held(), bench.disk.steps()), ((1, 3), steps));
    bench.seconds(1);
    assert_eq!((bench.held(), bench.disk.steps()), ((0, 4), steps + 2), "one write and one sync");
}

#[test]
fn acks_that_move_keep_everything_in_memory() {
    let mut bench = Bench::new();
    bench.connect();
    bench.put(1);
    for below in 1..100 {
        bench.put(1);
        bench.seconds(29);
        // The newest is always unacked, for less than half a minute after the last ack.
        bench.ack(1, below);
    }
    assert_eq!((bench.held(), bench.disk.steps()), ((1, 0), 0));
}

#[test]
fn a_full_memory_goes_to_the_disk_at_once_and_nothing_is_dropped() {
    let mut bench = Bench::with(Limits { memory: 2000, ..LIMITS });
    bench.connect();
    bench.put(100);
    let (memory, disk) = bench.held();
    assert!(memory < 20 && memory + disk == 100, "{memory} in memory, {disk} on the disk");
    assert_eq!(bench.custody.dropped(), 0);
    // What was never handed out before it went there is a backlog now.
    let sent = bench.seconds(1);
    assert_eq!(sent.first(), Some(&(1, 100 - memory)));
    assert!(bench.seconds(20).contains(&(1, 0)));
}

#[test]
fn a_clean_stop_leaves_everything_to_the_next_run() {
    let mut bench = Bench::new();
    bench.put(5);
    assert_eq!(bench.custody.stop(bench.now), Left { kept: 5, lost: 0 });
    let mut without = Custody::new(Run(1), LIMITS);
    without.put_data(vec![1], bench.now).expect("fits");
    assert_eq!(without.stop(bench.now), Left { kept: 0, lost: 1 });
    bench.restart(LIMITS);
    bench.connect();
    assert_eq!(bench.sent(), [(1, 0)]);
}

#[test]
fn earlier_runs_go_first_the_oldest_before_the_others_and_catalogs_ahead_of_their_data() {
    let mut bench = Bench::new();
    bench.connect();
    bench.custody.put_catalog(1, vec![11; 100], bench.now).expect("fits");
    bench.put(3);
    bench.sent();
    // The hub has the first run's catalog and its first reading; then it is gone.
    bench.ack(1, 2);
    bench.custody.stop(bench.now);
    bench.restart(LIMITS);
    bench.custody.put_catalog(1, vec![22; 100], bench.now).expect("fits");
    bench.put(2);
    bench.custody.stop(bench.now);
    bench.restart(LIMITS);
    bench.put(2);
    bench.seconds(40);
    bench.put(2);
    bench.connect();
    let floors: Vec<u64> =
        std::iter::from_fn(|| bench.custody.next_outgoing(bench.now).map(|out| out.envelope.floor)).collect();
    assert_eq!(floors, [0, 0, 2], "two fresh ones, and the oldest of all with its run's floor");
    bench.ack(1, 3);
    let sent = bench.seconds(1);
    let expected = [(1, 0), (1, 3), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1)];
    assert_eq!(
        sent, expected,
        "the first run's catalog, though it was acked long ago, then the rest in order"
    );
    bench.ack(1, 4);
    bench.ack(2, 3);
    assert_eq!(bench.held(), (2, 2));
    bench.ack(3, 4);
    assert_eq!((bench.held(), bench.custody.spool_bytes()), ((0, 0), 0));
    assert_eq!(bench.custody.deadline(bench.now), None);
}

#[test]
fn hundreds_of_short_runs_are_caught_up_in_their_order() {
    let mut bench = Bench::new();
    for _ in 0..300 {
        bench.put(2);
        bench.custody.stop(bench.now);
        bench.restart(LIMITS);
    }
    assert_eq!(bench.held(), (0, 600));
    bench.connect();
    let mut sent = bench.sent();
    bench.ack(1, 1);
    sent.extend(bench.seconds(5));
    let expected: Vec<(u32, u64)> = (1..=300).flat_map(|run| [(run, 0), (run, 1)]).collect();
    assert_eq!(sent, expected);
    for run in 1..=300 {
        bench.ack(run, 2);
    }
    assert_eq!((bench.held(), bench.disk.names().len()), ((0, 0), 0));
}

#[test]
fn a_killed_run_may_be_acked_beyond_what_it_left() {
    let mut bench = Bench::new();
    bench.put(3);
    bench.seconds(30);
    // These reached the hub and not the disk.
    bench.put(4);
    bench.restart(LIMITS);
    bench.connect();
    assert_eq!(bench.sent(), [(1, 0)]);
    bench.ack(1, 7);
    assert_eq!(bench.held(), (0, 0));
}

#[test]
fn a_wanted_catalog_of_an_earlier_run_comes_from_the_disk_and_the_oldest_again_behind_it() {
    let mut bench = Bench::new();
    bench.custody.put_catalog(1, vec![11; 100], bench.now).expect("fits");
    bench.put(1);
    bench.custody.stop(bench.now);
    bench.restart(LIMITS);
    bench.connect();
    bench.sent();
    bench.ack(1, 1);
    assert_eq!(bench.sent(), [(1, 1)], "its catalog went ahead of it already");
    bench.seconds(10);
    let want = Want::Catalog { run: Run(1), number: 1 };
    bench.ack_with(1, 1, &[want, Want::Catalog { run: Run(9), number: 1 }]);
    let out = bench.custody.next_outgoing(bench.now).expect("the catalog");
    let envelope = Envelope { run: Run(1), seq: 0, floor: 1, sending: Sending::Again };
    assert_eq!(out, Outgoing { channel: Channel::Data, envelope, body: &[11; 100] });
    assert_eq!(bench.sent(), [(1, 1)], "what was of no use without it");
    assert_eq!(bench.sent(), []);
}

#[test]
fn a_disk_that_takes_nothing_is_tried_again_and_memory_goes_on() {
    let mut bench = Bench::new();
    bench.disk.capacity(Some(0));
    bench.put(3);
    bench.seconds(30);
    assert_eq!((bench.held(), bench.custody.is_durable()), ((3, 0), false));
    let steps = bench.disk.steps();
    bench.seconds(29);
    assert_eq!(bench.disk.steps(), steps, "not all the time");
    bench.disk.capacity(None);
    bench.seconds(1);
    assert_eq!((bench.held(), bench.custody.is_durable()), ((0, 3), true));
}

#[test]
fn without_a_disk_that_works_the_oldest_in_memory_is_dropped() {
    let mut bench = Bench::with(Limits { memory: 2000, ..LIMITS });
    bench.put(10);
    bench.seconds(30);
    bench.disk.capacity(Some(0));
    bench.put(100);
    let (memory, disk) = bench.held();
    assert_eq!((disk, memory + bench.custody.dropped()), (10, 100));
    bench.connect();
    bench.seconds(60);
    // The gap is behind what the disk has: the hub hears of it as soon as that is acked.
    bench.ack(1, 10);
    assert_eq!(bench.custody.floor(), 110 - memory);
    let out = bench.custody.next_outgoing(bench.now).expect("at once");
    assert_eq!((out.envelope.seq, out.envelope.floor), (110 - memory, 110 - memory));
}

#[test]
fn what_cannot_be_read_holds_up_nothing_else_and_stays() {
    let mut bench = Bench::new();
    bench.put(200);
    bench.seconds(30);
    let name = bench.disk.names().first().expect("a segment").clone();
    bench.restart(LIMITS);
    for block in 0..5 {
        bench.disk.spoil(&name, block * 4096, true);
    }
    bench.put(1);
    bench.connect();
    assert_eq!(bench.sent().first(), Some(&(2, 0)), "fresh as ever");
    bench.seconds(120);
    assert_eq!(bench.held(), (0, 1), "it is not waited for for ever");
    bench.ack(2, 1);
    bench.seconds(1);
    assert_eq!((bench.held(), bench.custody.deadline(bench.now)), ((0, 0), None));
    for block in 0..5 {
        bench.disk.spoil(&name, block * 4096, false);
    }
    bench.restart(LIMITS);
    assert_eq!(bench.held(), (0, 200), "nor is it thrown away");
}

#[test]
fn a_hub_that_speaks_again_gets_the_oldest_at_once() {
    let mut bench = Bench::new();
    bench.connect();
    bench.put(3);
    bench.sent();
    bench.seconds(600);
    bench.put(1);
    assert_eq!(bench.sent(), [(1, 3)]);
    bench.ack(1, 0);
    assert_eq!(bench.sent(), [(1, 0)], "after a silence");
    bench.ack(1, 0);
    assert_eq!(bench.sent(), [], "not each time");
    assert_eq!(bench.seconds(10), [(1, 0)], "but soon");
}

#[test]
fn what_was_made_before_a_suspension_is_no_sign_of_life() {
    let mut bench = Bench::new();
    bench.connect();
    bench.put(1);
    bench.custody.slept(bench.now + Duration::from_millis(1));
    let out = bench.custody.next_outgoing(bench.now).expect("it is due");
    assert_eq!(out.envelope.sending, Sending::Again);
}

#[test]
fn a_spool_that_comes_back_brings_its_records_back() {
    let mut bench = Bench::new();
    bench.put(3);
    bench.seconds(30);
    bench.put(2);
    bench.custody.detach(bench.now);
    assert_eq!((bench.held(), bench.custody.dropped()), ((2, 0), 3), "for all that is known");
    bench.attach();
    assert_eq!((bench.held(), bench.custody.dropped()), ((2, 3), 0));
}

/// Delivery's promise: a day without the hub is caught up in under a minute, while fresh records go at once.
#[test]
fn a_day_is_caught_up_within_a_minute_and_fresh_records_do_not_wait() {
    let mut bench = Bench::new();
    for tick in 0..8640_u32 {
        if tick % 360 == 0 {
            bench.custody.put_catalog(tick / 360 + 1, vec![2; 2000], bench.now).expect("fits");
        }
        bench.put(1);
        if tick % 100 == 0 {
            bench.custody.put_event(vec![3; 30], bench.now).expect("fits");
        }
        bench.seconds(10);
    }
    assert!(bench.held().0 < 4, "{:?}", bench.held());
    bench.restart(LIMITS);
    let start = bench.now;
    bench.connect();
    let (mut next, mut wire) = (0, 0);
    while bench.custody.backlog() > 0 {
        let elapsed = bench.now - start;
        assert!(elapsed < Duration::from_mins(1), "{next} after {elapsed:?}");
        // The hub acks each quarter of a second; a reading each second.
        let is_tick = elapsed.subsec_millis() == 0;
        if is_tick {
            bench.put(1);
            assert_eq!(
                bench.custody.next_outgoing(bench.now).map(|out| out.envelope.run),
                Some(Run(2)),
                "at once"
            );
        }
        for (run, seq) in bench.wait(Duration::from_millis(250)) {
            wire += 1;
            if run == 1 && seq == next {
                next += 1;
            }
        }
        bench.ack(1, next);
        bench.ack(2, bench.custody.next());
    }
    let elapsed = bench.now - start;
    println!("{next} records in {:.1} s, {wire} messages", elapsed.as_secs_f64());
    assert_eq!(next, 8640 + 24 + 87);
    assert!(wire < next + 100, "{wire} messages");
}

#[test]
fn an_error_of_the_disk_in_the_midst_of_a_batch_loses_nothing() {
    for step in 0..4 {
        let mut bench = Bench::new();
        bench.put(5);
        bench.disk.fail_at(step, ErrorKind::Other);
        bench.seconds(30);
        bench.put(1);
        bench.seconds(61);
        assert_eq!(bench.held(), (0, 6), "step {step}");
        bench.restart(LIMITS);
        bench.connect();
        bench.sent();
        bench.ack(1, 1);
        assert_eq!(bench.seconds(1), [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)], "step {step}");
    }
}

#[test]
fn what_lies_on_a_disk_that_is_read_only_is_sent_and_nothing_more_is_called_safe() {
    let mut bench = Bench::new();
    bench.put(3);
    bench.custody.stop(bench.now);
    bench.disk.read_only(true);
    bench.restart(LIMITS);
    bench.custody.doubt(true);
    assert_eq!((bench.held(), bench.custody.is_durable()), ((0, 3), false));
    bench.put(2);
    bench.connect();
    assert_eq!(bench.sent(), [(2, 0), (2, 1), (1, 0)]);
    bench.ack(1, 1);
    bench.ack(2, 2);
    assert_eq!(bench.wait(Duration::from_secs(1)), [(1, 1), (1, 2)]);
    bench.ack(1, 3);
    assert_eq!((bench.held(), bench.wait(Duration::from_hours(1))), ((0, 0), vec![]), "not again");
    bench.put(1);
    bench.wait(Duration::from_mins(2));
    assert_eq!((bench.held(), bench.custody.dropped()), ((1, 0), 0), "it waits in memory");
    bench.disk.read_only(false);
    bench.custody.doubt(false);
    bench.wait(Duration::from_mins(1));
    assert_eq!((bench.held(), bench.custody.is_durable()), ((0, 1), true));
    bench.ack(2, 3);
    assert_eq!(bench.disk.names(), [""; 0], "what could not be removed goes, too");
}
