//! Custody against a model hub, under loss, duplicates, reordering, cut links, restarts, power cuts and a disk that is full,
//! read-only or wiped; the schedule is proptest's.
//!
//! Whatever happens, each record of each run reaches the hub, or was counted as dropped, or is of the promised loss: what was in
//! memory only when its run was killed, and what was on a disk that somebody wiped. Each bug found stays below as a schedule of
//! its own.

use super::*;
use crate::clock::Clock;
use crate::spool::Disk;
use crate::spool::cut::{CutDisk, Fate};
use crate::spool::tests::fates::fate;
use proptest::prelude::*;
use rackside_proto::Safe;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LIMITS: Limits = Limits { memory: 20_000, spill_after: Duration::from_secs(30), resend_rate: 200 };
/// Segments are an eighth of this.
const DISK: u64 = 64 * 1024;

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
    /// The agent ends in good order, and another run begins.
    Stop,
    /// The agent is killed, and another run begins.
    Kill,
    /// The power is cut so many steps of the disk later; what was not synced has this fate.
    PowerCut(u64, Fate),
    /// The disk takes nothing more.
    Full,
    ReadOnly,
    /// The disk is well again.
    Well,
    /// Somebody removes the spool's files, between two runs or under a running one.
    Wipe,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        16 => (1_usize..400).prop_map(Op::Make),
        2 => (1_usize..3000).prop_map(Op::Catalog),
        6 => (0_u64..20_000).prop_map(Op::Wait),
        6 => (0_u64..90_000).prop_map(Op::Wait),
        4 => Just(Op::Connect),
        2 => Just(Op::Cut),
        2 => (0_u8..8).prop_map(Op::Lose),
        2 => (0_u8..8).prop_map(Op::Mangle),
        2 => Just(Op::HubDown),
        2 => Just(Op::HubUp),
        1 => Just(Op::HubForgets),
        1 => Just(Op::Stop),
        1 => Just(Op::Kill),
        1 => (0_u64..8, fate(5000)).prop_map(|(steps, fate)| Op::PowerCut(steps, fate)),
        1 => Just(Op::Full),
        1 => Just(Op::ReadOnly),
        3 => Just(Op::Well),
        1 => Just(Op::Wipe),
    ]
}

/// The disk for tests, which can be mounted read-only.
#[derive(Debug, Clone)]
struct Medium {
    disk: CutDisk,
    is_read_only: Arc<AtomicBool>,
}

impl Medium {
    fn writable(&self) -> io::Result<()> {
        if self.is_read_only.load(Ordering::Relaxed) {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        } else {
            Ok(())
        }
    }
}

impl Disk for Medium {
    fn list(&mut self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        self.writable().and_then(|()| self.disk.create(name))
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.writable().and_then(|()| self.disk.append(name, bytes))
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.writable().and_then(|()| self.disk.sync(name))
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        self.disk.sync_directory()
    }

    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(name, offset, into)
    }

    fn length(&mut self, name: &str) -> io::Result<u64> {
        self.disk.length(name)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.writable().and_then(|()| self.disk.remove(name))
    }
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

/// What the hub has of one run in its present history.
#[derive(Debug, Default)]
struct Account {
    has: BTreeSet<u64>,
    catalogs: BTreeSet<u32>,
    floor: u64,
}

/// The hub's side.
#[derive(Debug)]
struct Hub {
    up: bool,
    history: u64,
    runs: BTreeMap<Run, Account>,
    /// The runs, the most lately heard of last.
    heard: Vec<Run>,
    wants: BTreeSet<(Run, u32)>,
    told: bool,
}

impl Hub {
    /// With an empty database, in which data before the first catalog need none.
    fn new(history: u64) -> Self {
        Self {
            up: true,
            history,
            runs: BTreeMap::new(),
            heard: Vec::new(),
            wants: BTreeSet::new(),
            told: true,
        }
    }

    /// Data whose catalog is lacking stay with the agent, which is asked for it.
    fn receive(&mut self, envelope: Envelope, kind: Kind) {
        let run = envelope.run;
        let account = self.runs.entry(run).or_default();
        match kind {
            Kind::Data(number) if number != 0 && !account.catalogs.contains(&number) => {
                self.wants.insert((run, number));
            }
            Kind::Data(_) => {
                account.has.insert(envelope.seq);
            }
            Kind::Catalog(number) => {
                account.has.insert(envelope.seq);
                account.catalogs.insert(number);
                self.wants.remove(&(run, number));
            }
        }
        account.floor = account.floor.max(envelope.floor);
        self.heard.retain(|heard| *heard != run);
        self.heard.push(run);
        self.told = false;
    }

    /// What it lacks below the floor is lost, and acked past.
    fn ack(&mut self) -> Option<Ack> {
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        let below = |run: &Run| {
            let account = &self.runs[run];
            let mut below = account.floor;
            while account.has.contains(&below) {
                below += 1;
            }
            Safe { run: *run, below }
        };
        let safe = self.heard.iter().rev().take(8).map(below).collect();
        let wants =
            self.wants.iter().take(8).map(|(run, number)| Want::Catalog { run: *run, number: *number });
        Some(Ack { history: self.history, time_ms: 0, safe, wants: wants.collect() })
    }

    fn has(&self, run: Run, seq: u64) -> bool {
        self.runs.get(&run).is_some_and(|account| account.has.contains(&seq))
    }
}

struct World {
    custody: Custody,
    medium: Medium,
    /// The power goes in the midst of it, with this fate.
    doom: Option<Fate>,
    hub: Hub,
    now: Instant,
    connected: bool,
    lose: u8,
    mangle: u8,
    dice: fastrand::Rng,
    /// The newest catalog's number.
    catalog: u32,
    /// How many records each run made.
    made: BTreeMap<Run, u64>,
    /// When this run made them.
    made_at: Vec<Instant>,
    /// When an ack last moved.
    moved: Instant,
    /// What nobody promised to keep.
    excused: BTreeSet<(Run, u64)>,
    /// What earlier runs counted as dropped.
    dropped: u64,
    sent: u64,
    /// Of these, catalogs.
    catalogs_sent: u64,
    catalogs_made: u64,
    forgot: u64,
    connects: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let medium = Medium { disk: CutDisk::new(), is_read_only: Arc::default() };
        let mut world = Self {
            custody: Custody::new(Run(0), LIMITS),
            medium,
            doom: None,
            hub: Hub::new(1),
            now: Clock::now(),
            connected: false,
            lose: 0,
            mangle: 0,
            dice: fastrand::Rng::with_seed(seed),
            catalog: 0,
            made: BTreeMap::new(),
            made_at: Vec::new(),
            moved: Clock::now(),
            excused: BTreeSet::new(),
            dropped: 0,
            sent: 0,
            catalogs_sent: 0,
            catalogs_made: 0,
            forgot: 0,
            connects: 0,
        };
        world.begin();
        world
    }

    /// Another run, on the disk as it is.
    fn begin(&mut self) {
        self.connected = false;
        self.catalog = 0;
        self.made_at.clear();
        self.custody = Custody::new(Run(self.made.len() as u32 + 1), LIMITS);
        self.made.insert(self.custody.run(), 0);
        self.attach();
    }

    fn attach(&mut self) {
        self.restore_power();
        // A disk that cannot be written is opened later.
        if let Ok((spool, _)) = Spool::open(Box::new(self.medium.clone()), DISK) {
            self.custody.attach(spool, self.now);
        }
    }

    /// The run ends; what it had in memory is gone.
    fn end(&mut self) {
        self.dropped += self.custody.dropped();
        let (run, next) = (self.custody.run(), self.custody.next());
        self.excused.extend((next - self.custody.unspilled()..next).map(|seq| (run, seq)));
        self.begin();
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Make(len) => {
                self.custody.put_data(Kind::Data(self.catalog).body(len), self.now).expect("fits");
            }
            Op::Catalog(len) => {
                self.catalog += 1;
                self.catalogs_made += 1;
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
            Op::Stop => {
                let left = self.custody.stop(self.now);
                let held = (self.custody.backlog(), self.custody.unspilled());
                assert_eq!((left.kept + left.lost, left.lost), held, "it says what it leaves");
                assert!(left.lost == 0 || !self.custody.is_durable(), "{left:?}");
                self.end();
            }
            Op::Kill => self.end(),
            Op::PowerCut(steps, fate) => {
                self.medium.disk.cut_at(Some(self.medium.disk.steps() + steps));
                self.doom = Some(fate);
            }
            Op::Full => self.medium.disk.capacity(Some(0)),
            Op::ReadOnly => self.medium.is_read_only.store(true, Ordering::Relaxed),
            Op::Well => self.make_well(),
            Op::Wipe => self.wipe(),
        }
        self.made.insert(self.custody.run(), self.custody.next());
        self.made_at.resize(self.custody.next() as usize, self.now);
        self.exchange();
        self.fall();
    }

    fn make_well(&mut self) {
        self.medium.disk.capacity(None);
        self.medium.is_read_only.store(false, Ordering::Relaxed);
        if !self.custody.has_spool() {
            self.attach();
        }
    }

    /// What was on the disk nobody can keep.
    fn wipe(&mut self) {
        for (run, made) in &self.made {
            let on_disk = if *run == self.custody.run() { made - self.custody.unspilled() } else { *made };
            self.excused.extend((0..on_disk).filter(|seq| !self.hub.has(*run, *seq)).map(|seq| (*run, seq)));
        }
        self.medium.disk.cut_at(None);
        for name in self.medium.disk.names() {
            let _ = self.medium.disk.remove(&name);
        }
        // As the program does once it notices.
        self.custody.detach(self.now);
        self.attach();
    }

    /// The power went in some step since.
    fn fall(&mut self) {
        if self.medium.disk.is_off() {
            self.end();
        }
    }

    fn restore_power(&mut self) {
        if self.medium.disk.is_off() {
            let fate = self.doom.take().expect("somebody cut it");
            self.medium.disk.restart(fate);
        }
    }

    /// Wakes custody exactly when it asks to be.
    fn run_until(&mut self, end: Instant) {
        loop {
            self.custody.keep(self.now);
            self.exchange();
            self.fall();
            self.check_promise();
            match self.custody.deadline(self.now) {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
        }
        self.now = end;
        self.custody.keep(self.now);
        self.exchange();
    }

    /// What a kill would take now was made lately, or while acks moved, or the disk takes nothing.
    fn check_promise(&self) {
        let unspilled = self.custody.unspilled();
        if self.custody.is_durable() && unspilled > 0 {
            let oldest = self.made_at[(self.custody.next() - unspilled) as usize];
            let since = self.now - oldest.max(self.moved);
            assert!(since < LIMITS.spill_after, "something has waited in memory for {since:?}");
        }
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
        let (held, history) = (self.custody.backlog(), self.custody.history);
        self.custody.acked(&ack, self.now);
        // A hub that begins anew is well, too.
        if self.custody.backlog() < held || history.is_some_and(|history| history != ack.history) {
            self.moved = self.now;
        }
    }

    /// All is well again; whatever is held must reach the hub, and then it must be quiet.
    fn settle(&mut self) {
        self.medium.disk.cut_at(None);
        for op in [Op::Lose(0), Op::Mangle(0), Op::HubUp, Op::Well, Op::Connect] {
            self.apply(&op);
        }
        self.run_until(self.now + Duration::from_mins(15));
        assert_eq!(self.custody.backlog(), 0, "{:?}", self.custody);
        assert_eq!(self.custody.deadline(self.now), None, "and nothing more to do");
    }

    /// Records that are neither with the hub nor excused.
    fn missing(&self) -> u64 {
        let all = self.made.iter().flat_map(|(run, made)| (0..*made).map(|seq| (*run, seq)));
        let missing =
            all.filter(|(run, seq)| !self.hub.has(*run, *seq) && !self.excused.contains(&(*run, *seq)));
        missing.count() as u64
    }

    fn dropped(&self) -> u64 {
        self.dropped + self.custody.dropped()
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
    fn whatever_happens_every_record_arrives_or_was_counted_or_is_of_the_promised_loss(
        seed: u64,
        ops in proptest::collection::vec(op(), 1..160),
    ) {
        let world = play(seed, &ops);
        if world.forgot == 0 {
            let (missing, dropped) = (world.missing(), world.dropped());
            prop_assert!(missing <= dropped, "{missing} missing, {dropped} dropped");
        }
        prop_assert_eq!(world.custody.floor(), world.custody.next());
    }

    #[test]
    fn nothing_is_sent_again_without_bound(seed: u64, ops in proptest::collection::vec(op(), 1..160)) {
        let waited: u64 = ops.iter().map(|op| if let Op::Wait(ms) = op { *ms } else { 0 }).sum();
        let world = play(seed, &ops);
        let wipes = ops.iter().filter(|op| matches!(op, Op::Wipe)).count() as u64;
        // Each record once, and once more for each connection, each new history and each silence of 10 s at most.
        let rounds = 1 + world.connects + wipes + world.forgot + waited / 10_000 + 2;
        let made: u64 = world.made.values().sum();
        let data = world.sent - world.catalogs_sent;
        prop_assert!(data <= made * rounds + 100, "{data} sent in {rounds} rounds");
        // A catalog goes also ahead of an earlier run's data, and when it is asked for, not more often than each 2 s; settling
        // takes 15 minutes at most.
        let catalogs = world.catalogs_made * (2 * rounds + (waited + 900_000) / 2000);
        prop_assert!(world.catalogs_sent <= catalogs, "{} catalogs sent", world.catalogs_sent);
    }
}

#[test]
fn a_lossless_link_carries_each_record_exactly_once_and_writes_nothing() {
    let ops: Vec<Op> =
        std::iter::once(Op::Connect).chain((0..100).flat_map(|_| [Op::Make(50), Op::Wait(10_000)])).collect();
    let world = play(1, &ops);
    assert_eq!((world.sent, world.medium.disk.steps()), (100, 0));
}

#[test]
fn a_day_without_a_hub_is_bounded_and_counted() {
    let mut ops = vec![Op::Connect, Op::HubDown];
    ops.extend((0..3000).flat_map(|_| [Op::Make(50), Op::Wait(10_000)]));
    let world = play(1, &ops);
    let has = world.hub.runs[&Run(1)].has.len() as u64;
    assert!(world.dropped() > 1000, "{}", world.dropped());
    assert!(has > 500, "{has}");
    assert_eq!(has + world.dropped(), 3000);
}

#[test]
fn a_day_without_a_disk_is_bounded_and_counted() {
    let mut ops = vec![Op::ReadOnly, Op::Connect, Op::HubDown];
    ops.extend((0..1000).flat_map(|_| [Op::Make(50), Op::Wait(10_000)]));
    let world = play(1, &ops);
    assert!(world.dropped() > 500);
    assert_eq!(world.hub.runs[&Run(1)].has.len() as u64 + world.dropped(), 1000);
}
