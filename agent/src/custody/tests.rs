//! Custody, rule by rule. The rules together, under loss and restarts, are in `sim`.

use super::*;
use crate::clock::Clock;
use rackside_proto::Safe;

const RUN: Run = Run(7);
const LIMITS: Limits = Limits { memory: 1 << 20, spill_after: Duration::from_secs(30), resend_rate: 200 };

struct Bench {
    custody: Custody,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let custody = Custody::new(RUN, LIMITS);
        Self { custody, now: Clock::now() }
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn put(&mut self, records: usize) {
        for _ in 0..records {
            self.custody.put_data(vec![1], self.now).expect("fits");
        }
    }

    fn connect(&mut self) {
        self.custody.connected(self.now);
    }

    fn ack(&mut self, history: u64, below: u64) {
        self.ack_with(history, &[Safe { run: RUN, below }], &[]);
    }

    fn ack_with(&mut self, history: u64, safe: &[Safe], wants: &[Want]) {
        let safe = safe.iter().copied().collect();
        let wants = wants.iter().copied().collect();
        self.custody.acked(&Ack { history, time_ms: 0, safe, wants }, self.now);
    }

    /// What goes out now.
    fn sent(&mut self) -> Vec<(u64, Sending)> {
        let mut sent = Vec::new();
        while let Some(out) = self.custody.next_outgoing(self.now) {
            sent.push((out.envelope.seq, out.envelope.sending));
        }
        sent
    }

    /// What goes out until `ms` from now, woken only when custody asks to be.
    fn sent_within(&mut self, ms: u64) -> Vec<u64> {
        let end = self.now + Duration::from_millis(ms);
        let mut sent = Vec::new();
        loop {
            sent.extend(self.sent().into_iter().map(|(seq, _)| seq));
            match self.custody.deadline(self.now) {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
        }
        self.now = end;
        sent
    }
}

#[test]
fn fresh_records_go_at_once_and_only_once() {
    let mut bench = Bench::new();
    bench.connect();
    bench.put(2);
    assert_eq!(bench.sent(), [(0, Sending::First), (1, Sending::First)]);
    assert_eq!(bench.sent(), []);
    bench.ack(1, 2);
    assert_eq!(bench.custody.deadline(bench.now), None, "nothing is left to do");
}

#[test]
fn nothing_goes_while_disconnected() {
    let mut bench = Bench::new();
    bench.put(1);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.custody.deadline(bench.now), None);
}

#[test]
fn what_was_made_just_before_the_connection_is_fresh() {
    let mut bench = Bench::new();
    bench.put(1);
    bench.wait(60_000);
    bench.put(2);
    bench.wait(100);
    bench.connect();
    let sent = bench.sent();
    assert_eq!(sent, [(1, Sending::First), (2, Sending::First), (0, Sending::Again)]);
}

#[test]
fn after_a_reconnect_the_oldest_goes_alone_until_an_ack_moves() {
    let mut bench = Bench::new();
    bench.put(5);
    bench.wait(60_000);
    bench.connect();
    assert_eq!(bench.sent(), [(0, Sending::Again)]);
    bench.ack(1, 0);
    assert_eq!(bench.sent(), [], "an ack that covers nothing moves nothing");
    bench.put(1);
    assert_eq!(bench.sent(), [(5, Sending::First)], "a fresh one does not wait behind the backlog");
    bench.ack(1, 1);
    assert_eq!(bench.sent_within(1000), [1, 2, 3, 4]);
}

#[test]
fn a_silent_hub_is_asked_with_one_record_ever_more_rarely() {
    let mut bench = Bench::new();
    bench.connect();
    bench.put(3);
    bench.sent();
    let mut waits = Vec::new();
    for _ in 0..8 {
        let before = bench.now;
        bench.now = bench.custody.deadline(bench.now).expect("something is unacked");
        assert_eq!(bench.sent(), [(0, Sending::Again)]);
        waits.push((bench.now - before).as_secs());
    }
    assert_eq!(waits, [10, 10, 20, 40, 80, 160, 300, 300]);
    bench.ack(1, 1);
    assert_eq!(bench.sent_within(1000), [1, 2]);
    bench.ack(1, 2);
    bench.wait(10_000);
    assert_eq!(bench.sent(), [(2, Sending::Again)], "an ack that moved resets the wait");
}

#[test]
fn a_record_that_was_lost_behind_the_broker_goes_again_after_10_s() {
    let mut bench = Bench::new();
    bench.connect();
    bench.put(3);
    bench.sent();
    bench.ack(1, 1);
    bench.wait(9_999);
    assert_eq!(bench.sent(), []);
    bench.wait(1);
    assert_eq!(bench.sent(), [(1, Sending::Again)]);
    bench.ack(1, 3);
    assert_eq!(bench.sent_within(3_600_000), [0; 0], "the hub had the rest");
}

#[test]
fn a_backlog_goes_oldest_first_at_the_bounded_rate_with_fresh_records_between() {
    let mut bench = Bench::new();
    bench.put(1000);
    bench.wait(60_000);
    bench.connect();
    assert_eq!(bench.sent(), [(0, Sending::Again)]);
    bench.ack(1, 1);
    let sent = bench.sent_within(1000);
    assert!((195..=215).contains(&sent.len()), "{} in a second", sent.len());
    assert!(sent.iter().zip(1_u64..).all(|(seq, expected)| *seq == expected), "oldest first");
    bench.put(1);
    assert_eq!(bench.sent().first(), Some(&(1000, Sending::First)));
}

#[test]
fn a_new_history_gets_all_that_is_held() {
    let mut bench = Bench::new();
    bench.connect();
    bench.put(4);
    bench.sent();
    bench.ack(1, 1);
    assert_eq!(bench.sent(), []);
    bench.ack(2, 0);
    assert_eq!(bench.sent_within(1000), [1, 2, 3]);
    bench.ack(2, 0);
    assert_eq!(bench.sent_within(1000), [0; 0], "once");
}

#[test]
fn acks_that_make_no_sense_do_no_harm() {
    let mut bench = Bench::new();
    bench.connect();
    bench.put(4);
    bench.sent();
    bench.ack(1, 2);
    for safe in [Safe { run: RUN, below: 5 }, Safe { run: RUN, below: 1 }, Safe { run: Run(8), below: 3 }] {
        bench.ack_with(1, &[safe], &[]);
        assert_eq!((bench.custody.floor(), bench.custody.next()), (2, 4), "{safe:?}");
    }
    bench.ack_with(1, &[Safe { run: RUN, below: u64::MAX }, Safe { run: RUN, below: 3 }], &[]);
    assert_eq!(bench.custody.floor(), 3, "the good pair counts");
}

#[test]
fn a_wanted_catalog_goes_under_its_own_number_even_below_the_floor() {
    let mut bench = Bench::new();
    bench.connect();
    bench.custody.put_catalog(1, vec![9], bench.now).expect("fits");
    bench.put(2);
    bench.sent();
    bench.ack(1, 1);
    let want = Want::Catalog { run: RUN, number: 1 };
    bench.ack_with(1, &[], &[want, want, Want::Catalog { run: RUN, number: 9 }]);
    let out = bench.custody.next_outgoing(bench.now).expect("the catalog");
    let envelope = Envelope { run: RUN, seq: 0, floor: 1, sending: Sending::Again };
    assert_eq!(out, Outgoing { channel: Channel::Data, envelope, body: &[9] });
    assert_eq!(bench.sent(), []);
    bench.ack_with(1, &[], &[want]);
    assert_eq!(bench.sent(), [], "not again at once");
    bench.wait(2000);
    bench.ack_with(1, &[], &[want]);
    assert_eq!(bench.sent(), [(0, Sending::Again)], "but when it is asked for later");
}

#[test]
fn a_wanted_catalog_of_another_run_is_not_ours_to_give() {
    let mut bench = Bench::new();
    bench.connect();
    bench.custody.put_catalog(1, vec![9], bench.now).expect("fits");
    bench.sent();
    bench.ack_with(1, &[], &[Want::Catalog { run: Run(8), number: 1 }]);
    assert_eq!(bench.sent(), []);
}

#[test]
fn a_fresh_record_that_had_to_wait_is_no_sign_of_life() {
    let mut bench = Bench::new();
    bench.connect();
    bench.put(1);
    bench.wait(1001);
    assert_eq!(bench.sent(), [(0, Sending::Again)]);
}

#[test]
fn a_spool_that_overflows_while_connected_goes_on_with_what_it_holds() {
    let mut bench = Bench::new();
    bench.custody = Custody::new(RUN, Limits { memory: 1000, ..LIMITS });
    bench.connect();
    bench.put(100);
    let floor = bench.custody.floor();
    assert_eq!(bench.custody.dropped(), floor);
    assert!(floor > 50);
    assert_eq!(bench.sent().first(), Some(&(floor, Sending::First)));
}

#[test]
fn new_limits_hold_from_the_next_record_on() {
    let mut bench = Bench::new();
    bench.put(100);
    bench.custody.limit(Limits { memory: 1000, resend_rate: 10, ..LIMITS });
    assert_eq!(bench.custody.backlog(), 100, "nothing is let go for a file that was edited");
    bench.put(1);
    assert!(bench.custody.backlog() < 20, "{} held", bench.custody.backlog());
    bench.wait(60_000);
    bench.connect();
    let oldest = bench.custody.floor();
    assert_eq!(bench.sent(), [(oldest, Sending::Again)]);
    bench.ack(1, oldest + 1);
    let left = bench.custody.backlog();
    assert_eq!(bench.sent_within(500).len() as u64, left.min(6), "ten a second");
}
