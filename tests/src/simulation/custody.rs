//! What one simulated appliance still answers for.
//!
//! Invariant: `held` has every record from `floor` to `next - 1`, in order.

use bytes::Bytes;
use rackside_proto::{Ack, Envelope, Run, Sending};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// No ack for this long: send the oldest record again.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_MAX: Duration = Duration::from_mins(5);

/// The records of a run that no ack covers yet.
#[derive(Debug)]
pub(crate) struct Custody {
    run: Run,
    floor: u64,
    held: VecDeque<Held>,
    /// The next record to send for the first time.
    fresh: u64,
    /// Records to send again: from, to.
    again: std::ops::Range<u64>,
    /// Only the oldest is sent again until an ack moves.
    probing: bool,
    moved: Instant,
    patience: Duration,
    history: Option<u64>,
}

#[derive(Debug)]
struct Held {
    body: Bytes,
    made: Instant,
}

impl Custody {
    pub(crate) fn new(run: Run, now: Instant) -> Self {
        Self {
            run,
            floor: 0,
            held: VecDeque::new(),
            fresh: 0,
            again: 0..0,
            probing: false,
            moved: now,
            patience: PATIENCE,
            history: None,
        }
    }

    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// The number of the next record to be made.
    pub(crate) fn next(&self) -> u64 {
        self.floor + self.held.len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn put(&mut self, body: Bytes, now: Instant) {
        if self.held.is_empty() {
            self.moved = now;
        }
        self.held.push_back(Held { body, made: now });
    }

    /// What is held was sent before, in another life of the link.
    pub(crate) fn was_sent(&mut self) {
        self.fresh = self.next();
    }

    /// The next record to send on a connection, with its envelope written.
    pub(crate) fn take(&mut self) -> Option<(Bytes, Sending)> {
        let (seq, sending) = if self.fresh < self.next() {
            self.fresh += 1;
            (self.fresh - 1, Sending::First)
        } else if !self.again.is_empty() && (!self.probing || self.again.start == self.floor) {
            self.again.start += 1;
            (self.again.start - 1, Sending::Again)
        } else {
            return None;
        };
        let held = self.held.get((seq - self.floor) as usize)?;
        let mut bytes = Vec::with_capacity(held.body.len() + 24);
        let envelope = Envelope { run: self.run, seq, floor: self.floor, sending };
        envelope.encode(&mut bytes).expect("a Vec takes what it is given");
        bytes.extend_from_slice(&held.body);
        Some((bytes.into(), sending))
    }

    /// A new connection: what was sent on the old one is sent again.
    pub(crate) fn reconnected(&mut self, now: Instant) {
        self.again = self.floor..self.fresh;
        self.probing = true;
        self.moved = now;
    }

    /// When [`impatient`](Self::impatient) wants to be called; `None` while nothing waits for an ack.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.fresh > self.floor).then(|| self.moved + self.patience)
    }

    /// No ack came for too long.
    pub(crate) fn impatient(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.reconnected(now);
            self.patience = (self.patience * 2).min(PATIENCE_MAX);
        }
    }

    /// Lets go what `ack` covers; calls `gone` with the age of each.
    pub(crate) fn acknowledged(&mut self, ack: &Ack, now: Instant, mut gone: impl FnMut(Duration)) {
        if self.history.replace(ack.history).is_some_and(|before| before != ack.history) {
            self.again = self.floor..self.fresh;
            self.probing = false;
        }
        for safe in ack.safe.iter().filter(|safe| safe.run == self.run) {
            while self.floor < safe.below.min(self.fresh)
                && let Some(held) = self.held.pop_front()
            {
                self.floor += 1;
                self.moved = now;
                self.patience = PATIENCE;
                self.probing = false;
                gone(now.saturating_duration_since(held.made));
            }
        }
        self.again.start = self.again.start.max(self.floor).min(self.again.end.max(self.floor));
        self.again.end = self.again.end.max(self.again.start);
    }

    /// Lets go the oldest record: it was published, and nobody acknowledges more than that.
    pub(crate) fn published(&mut self, now: Instant) -> Option<Duration> {
        // A presence or a birth is published, too, perhaps before any record.
        let held = if self.floor < self.fresh { self.held.pop_front()? } else { return None };
        self.floor += 1;
        self.again = self.floor..self.floor;
        Some(now.saturating_duration_since(held.made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use rackside_proto::{Data, Record, Safe};

    const RUN: Run = Run(7);

    fn custody(records: u64, now: Instant) -> Custody {
        let mut custody = Custody::new(RUN, now);
        for _ in 0..records {
            let mut body = Vec::new();
            let time = rackside_proto::Time::Utc { ms: 1 };
            Data::encode_readings(1, &[], std::iter::once((time, &[][..])), &mut body).unwrap();
            custody.put(body.into(), now);
        }
        custody
    }

    fn sent(custody: &mut Custody) -> Vec<(u64, Sending)> {
        std::iter::from_fn(|| custody.take())
            .map(|(bytes, _)| Record::<Data<'_>>::decode(&bytes).unwrap().envelope)
            .map(|envelope| (envelope.seq, envelope.sending))
            .collect()
    }

    fn ack(below: u64) -> Ack {
        let mut ack = Ack { history: 1, time_ms: 0, safe: heapless::Vec::new(), wants: heapless::Vec::new() };
        ack.safe.push(Safe { run: RUN, below }).unwrap();
        ack
    }

    #[test]
    fn every_record_is_sent_once_and_let_go_by_its_ack() {
        let now = clock::now();
        let mut custody = custody(3, now);
        assert_eq!(sent(&mut custody), [(0, Sending::First), (1, Sending::First), (2, Sending::First)]);
        let mut gone = 0;
        custody.acknowledged(&ack(2), now, |_| gone += 1);
        assert_eq!((gone, custody.floor(), custody.len()), (2, 2, 1));
        assert_eq!(sent(&mut custody), []);
    }

    #[test]
    fn after_a_reconnect_the_oldest_goes_alone_and_the_rest_after_an_ack() {
        let now = clock::now();
        let mut custody = custody(3, now);
        sent(&mut custody);
        custody.reconnected(now);
        assert_eq!(sent(&mut custody), [(0, Sending::Again)]);
        custody.acknowledged(&ack(1), now, |_| {});
        assert_eq!(sent(&mut custody), [(1, Sending::Again), (2, Sending::Again)]);
    }

    #[test]
    fn a_backlog_goes_as_one_the_oldest_alone_first() {
        let now = clock::now();
        let mut custody = custody(3, now);
        custody.was_sent();
        custody.reconnected(now);
        assert_eq!(sent(&mut custody), [(0, Sending::Again)]);
        custody.acknowledged(&ack(1), now, |_| {});
        assert_eq!(sent(&mut custody), [(1, Sending::Again), (2, Sending::Again)]);
    }

    #[test]
    fn silence_makes_impatient() {
        let now = clock::now();
        let mut custody = custody(2, now);
        sent(&mut custody);
        custody.impatient(now + PATIENCE / 2);
        assert_eq!(sent(&mut custody), []);
        custody.impatient(now + PATIENCE);
        assert_eq!(sent(&mut custody), [(0, Sending::Again)]);
    }

    #[test]
    fn a_changed_history_is_sent_all_that_is_held() {
        let now = clock::now();
        let mut custody = custody(3, now);
        sent(&mut custody);
        custody.acknowledged(&ack(1), now, |_| {});
        custody.acknowledged(&Ack { history: 2, ..ack(0) }, now, |_| {});
        assert_eq!(sent(&mut custody), [(1, Sending::Again), (2, Sending::Again)]);
    }
}
