//! Custody against a model hub, under loss, duplicates, reordering, cut links and restarts; the schedule is proptest's.
//!
//! Each bug found stays below as a schedule of its own.

use super::*;
use crate::clock::Clock;
use proptest::prelude::*;
use rackside_proto::Safe;
use std::collections::BTreeSet;

const RUN: Run = Run(7);

#[derive(Debug, Clone)]
enum Op {
    /// A record of this many bytes, against the newest catalog.
    Make(usize),
    /// A new catalog of this many bytes.
    Catalog(usize),
    /// Time passes, in milliseconds.
    Wait(u64),
    Connect,
    /// The link breaks; what was under way is lost.
    Cut,
    /// Of each 8 messages, either way, this many vanish behind the broker's back.
    Lose(u8),
    /// Of each 8 messages this many come twice, and out of order.
    Mangle(u8),
    /// The hub answers nothing and hears nothing.
    HubDown,
    HubUp,
    /// The hub comes back with an empty database.
    HubForgets,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (1_usize..400).prop_map(Op::Make),
        1 => (1_usize..3000).prop_map(Op::Catalog),
        6 => (0_u64..20_000).prop_map(Op::Wait),
        2 => Just(Op::Connect),
        1 => Just(Op::Cut),
        1 => (0_u8..8).prop_map(Op::Lose),
        1 => (0_u8..8).prop_map(Op::Mangle),
        1 => Just(Op::HubDown),
        1 => Just(Op::HubUp),
        1 => Just(Op::HubForgets),
    ]
}

/// What a record is to the hub: its first byte, and the number of the catalog that it is or needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data(u32),
    Catalog(u32),
}

impl Kind {
    fn body(self, len: usize) -> Vec<u8> {
        let (first, number) = match self {
            Self::Data(number) => (0, number),
            Self::Catalog(number) => (1, number),
        };
        let mut body = vec![first];
        body.extend(number.to_le_bytes());
        body.resize(len.max(5), 0);
        body
    }

    fn of(body: &[u8]) -> Self {
        let number = u32::from_le_bytes(body[1..5].try_into().expect("four bytes"));
        if body[0] == 0 { Self::Data(number) } else { Self::Catalog(number) }
    }
}

/// The hub's side: which records it has in its present history.
#[derive(Debug)]
struct Hub {
    up: bool,
    history: u64,
    has: BTreeSet<u64>,
    catalogs: BTreeSet<u32>,
    wants: BTreeSet<u32>,
    floor: u64,
    told: bool,
}

impl Hub {
    /// With an empty database, in which data before the first catalog need none.
    fn new(history: u64) -> Self {
        Self {
            up: true,
            history,
            has: BTreeSet::new(),
            catalogs: BTreeSet::from([0]),
            wants: BTreeSet::new(),
            floor: 0,
            told: true,
        }
    }

    /// Data whose catalog is lacking stay with the agent, which is asked for it.
    fn receive(&mut self, envelope: Envelope, kind: Kind) {
        match kind {
            Kind::Data(number) if !self.catalogs.contains(&number) => {
                self.wants.insert(number);
            }
            Kind::Data(_) => {
                self.has.insert(envelope.seq);
            }
            Kind::Catalog(number) => {
                self.has.insert(envelope.seq);
                self.catalogs.insert(number);
                self.wants.remove(&number);
            }
        }
        self.floor = self.floor.max(envelope.floor);
        self.told = false;
    }

    /// What it lacks below the floor is lost, and acked past.
    fn ack(&mut self) -> Option<Ack> {
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        let mut below = self.floor;
        while self.has.contains(&below) {
            below += 1;
        }
        let safe = [Safe { run: RUN, below }].into_iter().collect();
        let wants = self.wants.iter().take(8).map(|number| Want::Catalog { run: RUN, number: *number });
        Some(Ack { history: self.history, time_ms: 0, safe, wants: wants.collect() })
    }
}

struct World {
    custody: Custody,
    hub: Hub,
    now: Instant,
    connected: bool,
    lose: u8,
    mangle: u8,
    dice: fastrand::Rng,
    /// The newest catalog's number.
    catalog: u32,
    sent: u64,
    /// Of these, catalogs.
    catalogs_sent: u64,
    /// What the hub, in whichever history, said is safe.
    safe: u64,
    forgot: u64,
    connects: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            custody: Custody::new(
                RUN,
                Limits { memory: 20_000, spill_after: Duration::from_secs(30), resend_rate: 200 },
            ),
            hub: Hub::new(1),
            now: Clock::now(),
            connected: false,
            lose: 0,
            mangle: 0,
            dice: fastrand::Rng::with_seed(seed),
            catalog: 0,
            sent: 0,
            catalogs_sent: 0,
            safe: 0,
            forgot: 0,
            connects: 0,
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Make(len) => {
                self.custody.put_data(Kind::Data(self.catalog).body(len), self.now).expect("fits");
            }
            Op::Catalog(len) => {
                self.catalog += 1;
                let body = Kind::Catalog(self.catalog).body(len);
                self.custody.put_catalog(self.catalog, body, self.now).expect("fits");
            }
            Op::Wait(ms) => self.run_until(self.now + Duration::from_millis(ms)),
            Op::Connect => {
                if !std::mem::replace(&mut self.connected, true) {
                    self.connects += 1;
                    self.custody.connected(self.now);
                }
            }
            Op::Cut => {
                self.connected = false;
                self.custody.disconnected();
            }
            Op::Lose(of_8) => self.lose = of_8,
            Op::Mangle(of_8) => self.mangle = of_8,
            Op::HubDown => self.hub.up = false,
            Op::HubUp => self.hub.up = true,
            Op::HubForgets => {
                self.forgot += 1;
                self.hub = Hub::new(self.hub.history + 1);
            }
        }
        self.exchange();
        assert!(self.custody.floor() <= self.custody.dropped() + self.safe, "a record left without an ack");
    }

    /// Wakes custody exactly when it asks to be.
    fn run_until(&mut self, end: Instant) {
        loop {
            self.exchange();
            match self.custody.deadline(self.now) {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
        }
        self.now = end;
        self.exchange();
    }

    fn exchange(&mut self) {
        let mut wire = Vec::new();
        while let Some(out) = self.custody.next_outgoing(self.now) {
            let kind = Kind::of(out.body);
            wire.push((out.envelope, kind));
            self.sent += 1;
            self.catalogs_sent += u64::from(matches!(kind, Kind::Catalog(_)));
        }
        let mut arriving = Vec::new();
        for envelope in wire {
            if self.dice.u8(..8) < self.lose {
                continue;
            }
            arriving.push(envelope);
            if self.dice.u8(..8) < self.mangle {
                arriving.push(envelope);
                self.dice.shuffle(&mut arriving);
            }
        }
        if !self.hub.up {
            return;
        }
        for (envelope, kind) in arriving {
            let is_held = envelope.floor <= envelope.seq;
            assert!(is_held || matches!(kind, Kind::Catalog(_)), "data below the floor are not held");
            self.hub.receive(envelope, kind);
        }
        if !self.connected {
            return;
        }
        let Some(ack) = self.hub.ack() else { return };
        if self.dice.u8(..8) < self.lose {
            return;
        }
        self.safe = self.safe.max(ack.safe[0].below);
        self.custody.acked(&ack, self.now);
    }

    /// All is well again; whatever is held must reach the hub, and then it must be quiet.
    fn settle(&mut self) {
        for op in [Op::Lose(0), Op::Mangle(0), Op::HubUp, Op::Connect] {
            self.apply(&op);
        }
        self.run_until(self.now + Duration::from_mins(15));
        assert_eq!(self.custody.backlog(), 0, "{:?}", self.custody);
        assert_eq!(self.custody.deadline(self.now), None, "and nothing more to do");
    }
}

fn play(seed: u64, ops: &[Op]) -> World {
    let mut world = World::new(seed);
    for op in ops {
        world.apply(op);
    }
    world.settle();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_record_arrives_or_was_counted(
        seed: u64,
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        let world = play(seed, &ops);
        let made = world.custody.next();
        if world.forgot == 0 {
            let missing = (0..made).filter(|seq| !world.hub.has.contains(seq)).count() as u64;
            prop_assert!(missing <= world.custody.dropped(), "{missing} missing, {} dropped", world.custody.dropped());
        }
        prop_assert_eq!(world.custody.floor(), made);
    }

    #[test]
    fn nothing_is_sent_again_without_bound(seed: u64, ops in proptest::collection::vec(op(), 1..120)) {
        let waited: u64 = ops.iter().map(|op| if let Op::Wait(ms) = op { *ms } else { 0 }).sum();
        let world = play(seed, &ops);
        // Each record once, and once more for each connection, each new history and each silence of 10 s at most.
        let rounds = 1 + world.connects + world.forgot + waited / 10_000 + 2;
        let data = world.sent - world.catalogs_sent;
        prop_assert!(data <= world.custody.next() * rounds + 100, "{data} sent in {rounds} rounds");
        // A catalog goes also when it is asked for, not more often than each 2 s; settling takes 15 minutes at most.
        let catalogs = u64::from(world.catalog) * (rounds + (waited + 900_000) / 2000);
        prop_assert!(world.catalogs_sent <= catalogs, "{} catalogs sent", world.catalogs_sent);
    }
}

#[test]
fn a_lossless_link_carries_each_record_exactly_once() {
    let ops: Vec<Op> =
        std::iter::once(Op::Connect).chain((0..100).flat_map(|_| [Op::Make(50), Op::Wait(10_000)])).collect();
    let world = play(1, &ops);
    assert_eq!(world.sent, 100);
}

#[test]
fn a_day_without_a_hub_is_bounded_and_counted() {
    let mut ops = vec![Op::Connect, Op::HubDown];
    ops.extend((0..1000).flat_map(|_| [Op::Make(50), Op::Wait(10_000)]));
    let world = play(1, &ops);
    assert!(world.custody.dropped() > 500);
    assert_eq!(world.hub.has.len() as u64 + world.custody.dropped(), 1000);
}
