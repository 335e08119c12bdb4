//! What may happen to a fleet of one or two, as a list: the faults of the delivery promise, and time.
//!
//! A schedule is a [`Setup`], a seed for everything that is left to chance while it plays (delays, which message is lost),
//! and a list of [`Op`]s. [`Schedule::random`] draws one from a seed; a failure is printed as Rust, to be kept in `found`.

use std::fmt;

/// One thing that happens. `usize` is an appliance, modulo how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Nothing for so many milliseconds.
    Wait(u64),
    /// The venue's cable is pulled: nothing passes, nobody is told.
    CutCable(usize),
    /// It is put back: what was on its way arrives, unless either end has given up.
    MendCable(usize),
    /// The connection breaks, and both ends hear of it.
    BreakConnection(usize),
    /// The hub's own link to the broker breaks.
    BreakHubLink,
    /// `kill -9` of the hub.
    KillHub,
    /// It is started, if it does not run.
    StartHub,
    /// `kill -9` of the broker. One with a listener of its own dies with its hub.
    KillBroker,
    /// It is started, with nothing in its memory but what is retained.
    StartBroker,
    /// The broker forgets what it retained.
    WipeBroker,
    /// From now on the broker drops, of each 8 messages that it has acknowledged, this many.
    DropAfterPuback(u8),
    /// From now on this many of each 8 messages come twice.
    Duplicate(u8),
    /// From now on this many of each 8 messages overtake or are overtaken.
    Reorder(u8),
    /// From now on messages take up to so many milliseconds.
    Delay(u64),
    /// `kill -9` of the agent; its machine goes on.
    KillAgent(usize),
    /// SIGTERM.
    StopAgent(usize),
    /// It is started, on a machine with power.
    StartAgent(usize),
    /// The appliance's power is cut: what was not synced is lost, or torn.
    CutPower(usize),
    /// Power is back, the machine boots, the agent starts.
    RestorePower(usize),
    /// A bit of what lies on the agent's disk turns over.
    RotCard(usize),
    /// The agent's disk is full from now on.
    FillCard(usize),
    /// It has room again.
    EmptyCard(usize),
    /// The agent's disk fails in one step: the next but so many.
    FailCard(usize, u64),
    /// The power is cut in a step of the agent's disk: the next but so many.
    CutPowerInStep(usize, u64),
    /// Somebody sets the appliance's clock, by so many seconds; its kernel takes it for unsynchronised.
    StepClock(usize, i64),
    /// The venue blocks NTP.
    BlockNtp(usize),
    /// It does not.
    AllowNtp(usize),
    /// The hub's clock is wrong by so many seconds from now on.
    StepHubClock(i64),
    /// An interface appears or vanishes: a new catalog, sooner or later.
    ChangeSeries(usize),
    /// So many events at once, each a few milliseconds after the other.
    Events(usize, u16),
    /// The hub's disk has so many pages left.
    FillDisk(u32),
    /// There is room again.
    MakeRoom,
    /// `rackside-hub backup`.
    Backup,
    /// The hub is stopped, the last backup takes the place of its database, the hub is started.
    Restore,
    /// The hub does so many steps of its maintenance at once.
    Maintain(u8),
}

/// What a schedule begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Whether agents connect to the hub's own listener; otherwise through a broker.
    pub(crate) listener: bool,
    /// How many appliances.
    pub(crate) appliances: usize,
    /// From one reading to the next.
    pub(crate) tick_s: u64,
    /// Bytes of records that an agent holds in RAM, in KiB.
    pub(crate) memory_kib: u64,
    /// Bytes of its spool on disk, in KiB; none when 0: a read-only or temporary state directory.
    pub(crate) disk_kib: u64,
    /// When it begins, in milliseconds since 1970-01-01 UTC.
    pub(crate) start_ms: u64,
    /// Whether the venues let NTP through.
    pub(crate) ntp: bool,
    /// Whether their lines cost money, so that readings go a minute together.
    pub(crate) metered: bool,
}

/// 2026-11-20 05:25:19 UTC.
const START_MS: u64 = 1_795_152_319_000;

impl Setup {
    /// One appliance with a disk behind a broker, and NTP.
    pub(crate) const PLAIN: Self = Self {
        listener: false,
        appliances: 1,
        tick_s: 10,
        memory_kib: 1024,
        disk_kib: 65_536,
        start_ms: START_MS,
        ntp: true,
        metered: false,
    };
}

/// What happens, in order.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) setup: Setup,
    pub(crate) seed: u64,
    pub(crate) ops: Vec<Op>,
}

/// Longest time that a random schedule takes, and most readings of an appliance in it.
const LONGEST_MS: u64 = 6 * 3_600_000;
const MOST_TICKS: u64 = 250;

impl Schedule {
    /// The schedule of this seed.
    pub(crate) fn random(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let tick_s = *dice.choice(&[1, 5, 10, 10, 60, 600]).expect("not empty");
        let setup = Setup {
            listener: dice.u8(..3) == 0,
            appliances: 1 + usize::from(dice.u8(..4) == 0),
            tick_s,
            memory_kib: *dice.choice(&[64, 64, 1024]).expect("not empty"),
            disk_kib: *dice.choice(&[0, 16, 1024, 65_536]).expect("not empty"),
            start_ms: START_MS + dice.u64(..86_400_000),
            ntp: dice.u8(..8) != 0,
            // Of dice of its own: a seed means what it meant before there were such lines.
            metered: fastrand::Rng::with_seed(!seed).u8(..3) == 0,
        };
        let mut left = LONGEST_MS.min(MOST_TICKS * tick_s * 1000);
        let mut ops = Vec::new();
        for _ in 0..dice.usize(8..60) {
            ops.push(fault(&mut dice, tick_s));
            if dice.u8(..3) != 0 {
                let wait = wait(&mut dice, tick_s * 1000).min(left);
                left -= wait;
                ops.push(Op::Wait(wait));
            }
        }
        Self { setup, seed, ops }
    }
}

/// How long until the next fault: about a tick, about the time constants of the delivery promise, or long.
fn wait(dice: &mut fastrand::Rng, tick_ms: u64) -> u64 {
    match dice.u8(..10) {
        0..3 => dice.u64(..2 * tick_ms),
        3..6 => dice.u64(..15_000),
        6..8 => dice.u64(..60_000),
        8 => dice.u64(..600_000),
        _ => dice.u64(..50 * tick_ms),
    }
}

const YEAR_S: i64 = 31_557_600;

fn fault(dice: &mut fastrand::Rng, tick_s: u64) -> Op {
    let who = dice.usize(..2);
    let step = |dice: &mut fastrand::Rng| {
        let far = *dice.choice(&[3600, YEAR_S, 3 * YEAR_S, 60 * YEAR_S]).expect("not empty");
        dice.i64(-far..far)
    };
    match dice.u8(..71) {
        0..4 => Op::CutCable(who),
        4..9 => Op::MendCable(who),
        9..11 => Op::BreakConnection(who),
        11 => Op::BreakHubLink,
        12..15 => Op::KillHub,
        15..20 => Op::StartHub,
        20..22 => Op::KillBroker,
        22..25 => Op::StartBroker,
        25 => Op::WipeBroker,
        26..28 => Op::DropAfterPuback(dice.u8(..6)),
        28 => Op::DropAfterPuback(0),
        29 => Op::Duplicate(dice.u8(..8)),
        30 => Op::Reorder(dice.u8(..8)),
        31 => Op::Delay(dice.u64(..3000)),
        32..34 => Op::KillAgent(who),
        34 => Op::StopAgent(who),
        35..39 => Op::StartAgent(who),
        39..41 => Op::CutPower(who),
        41..44 => Op::RestorePower(who),
        44 => Op::RotCard(who),
        45 => Op::FillCard(who),
        46 => Op::EmptyCard(who),
        47 => Op::StepClock(who, step(dice)),
        48 => Op::BlockNtp(who),
        49 => Op::AllowNtp(who),
        50 => Op::StepHubClock(step(dice)),
        51 => Op::StepHubClock(0),
        52..54 => Op::ChangeSeries(who),
        54..57 => Op::Events(who, dice.u16(1..if tick_s < 10 { 20 } else { 300 })),
        57..59 => Op::FillDisk(dice.u32(..20)),
        59..61 => Op::MakeRoom,
        61..63 => Op::Backup,
        63 => Op::Restore,
        64 => Op::FailCard(who, dice.u64(..8)),
        65..68 => Op::CutPowerInStep(who, dice.u64(..8)),
        _ => Op::Maintain(dice.u8(1..60)),
    }
}

impl fmt::Debug for Schedule {
    /// As Rust, to be pasted into `found`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setup, seed, ops } = self;
        writeln!(f, "Schedule {{\n    setup: {setup:?},\n    seed: {seed},\n    ops: vec![")?;
        for op in ops {
            writeln!(f, "        {op:?},")?;
        }
        f.write_str("    ],\n}")
    }
}
