//! The whole: appliances, broker and hub in virtual time, what a schedule does to them, and what must have come of it.

use crate::broker::{Arrival, Broker, Delivery, Manners};
use crate::hub::Hub;
use crate::ledger::Ledger;
use crate::moment::Virtual;
use crate::pi::{COUNTER, Pi};
use crate::schedule::{Op, Schedule};
use crate::truth::{Outcome, Truth};
use rackside_history::Reader;
use rackside_proto::{Ack, Channel, Prefix, Run, Topic};
use rackside_tests::clock;
use std::path::Path;
use std::time::{Duration, Instant};

/// From the end of the faults to completeness: the agent's longest patience, and the way of a backlog.
const RECOVERY: Duration = Duration::from_mins(15);
/// Between two of a burst of events.
const EVENTS_APART: Duration = Duration::from_millis(3);
/// More events than this in a moment, and somebody asks for nothing again and again.
const BUSY: u32 = 200_000;

pub(crate) struct World {
    now: Virtual,
    broker: Broker,
    hub: Hub,
    /// When the hub tries to reach the broker.
    hub_connects: Instant,
    listener: bool,
    pis: Vec<Pi>,
    truths: Vec<Truth>,
    ledger: Ledger,
    dice: fastrand::Rng,
}

/// Plays a schedule in a directory, and checks what came of it.
pub(crate) fn play(schedule: &Schedule, root: &Path) -> Result<Vec<Outcome>, String> {
    let mut world = World::new(schedule, root)?;
    for (at, op) in schedule.ops.iter().enumerate() {
        world.apply(*op).map_err(|error| format!("at {at}, {op:?}: {error}"))?;
    }
    world.settle()
}

impl World {
    fn new(schedule: &Schedule, root: &Path) -> Result<Self, String> {
        let mut dice = fastrand::Rng::with_seed(schedule.seed);
        let setup = schedule.setup;
        let now = Virtual::begin(clock::now(), setup.start_ms);
        let pis: Vec<Pi> = (0..setup.appliances)
            .map(|index| Pi::new(index, setup, root.join(format!("rack-{index}")), dice.fork(), now))
            .collect();
        let agents = pis.iter().map(|pi| pi.name.clone()).collect();
        let mut world = Self {
            now,
            broker: Broker::new(setup.appliances, dice.fork(), now.instant),
            hub: Hub::new(root, agents, dice.fork()),
            hub_connects: now.instant,
            listener: setup.listener,
            truths: pis.iter().map(|_| Truth::new(setup.metered)).collect(),
            pis,
            ledger: Ledger::default(),
            dice,
        };
        world.hub.start(now)?;
        for index in 0..setup.appliances {
            world.pis[index].restore_power(now);
        }
        Ok(world)
    }

    fn apply(&mut self, op: Op) -> Result<(), String> {
        let now = self.now;
        let count = self.pis.len();
        let of = |who: usize| who % count;
        match op {
            Op::Wait(ms) => return self.run(Duration::from_millis(ms)),
            Op::CutCable(who) => self.pis[of(who)].cut_cable(),
            Op::MendCable(who) => self.pis[of(who)].mend_cable(&mut self.broker, now),
            Op::BreakConnection(who) => self.pis[of(who)].break_connection(&mut self.broker, now),
            Op::BreakHubLink => self.lose_hub_link(),
            Op::KillHub => self.kill_hub(),
            Op::StartHub => self.start_hub()?,
            Op::KillBroker if self.listener => self.kill_hub(),
            Op::KillBroker => self.kill_broker(),
            Op::StartBroker if self.listener => self.start_hub()?,
            Op::StartBroker => self.broker.start(),
            Op::WipeBroker => self.broker.wipe(),
            Op::DropAfterPuback(of_8) => self.broker.manners.drop = of_8,
            Op::Duplicate(of_8) => self.broker.manners.duplicate = of_8,
            Op::Reorder(of_8) => self.broker.manners.reorder = of_8,
            Op::Delay(ms) => self.broker.manners.delay_ms = ms,
            Op::KillAgent(who) => self.pis[of(who)].kill(&mut self.broker, &mut self.truths[of(who)], now),
            Op::StopAgent(who) => self.pis[of(who)].stop(&mut self.broker, &mut self.truths[of(who)], now),
            Op::StartAgent(who) => self.pis[of(who)].start(now),
            Op::CutPower(who) => self.pis[of(who)].cut_power(&mut self.truths[of(who)], now),
            Op::RestorePower(who) => self.pis[of(who)].restore_power(now),
            Op::RotCard(who) => self.pis[of(who)].rot_disk(&mut self.truths[of(who)]),
            Op::FillCard(who) => self.pis[of(who)].fill_disk(&mut self.truths[of(who)], true),
            Op::EmptyCard(who) => self.pis[of(who)].fill_disk(&mut self.truths[of(who)], false),
            Op::FailCard(who, after) => self.pis[of(who)].fail_step(after, &mut self.truths[of(who)]),
            Op::CutPowerInStep(who, after) => self.pis[of(who)].cut_power_in_step(after),
            Op::StepClock(who, seconds) => self.pis[of(who)].step_clock(seconds, now),
            Op::BlockNtp(who) => self.pis[of(who)].let_ntp_through(false, now),
            Op::AllowNtp(who) => self.pis[of(who)].let_ntp_through(true, now),
            Op::StepHubClock(seconds) => self.hub.error_ms = seconds * 1000,
            Op::ChangeSeries(who) => self.pis[of(who)].change_series(),
            Op::Events(who, count) => {
                for _ in 0..count {
                    self.run(EVENTS_APART)?;
                    self.pis[of(who)].event(&mut self.truths[of(who)], self.now);
                }
            }
            Op::FillDisk(pages) => self.hub.fill_disk(pages),
            Op::MakeRoom => self.hub.make_room(),
            Op::Backup => self.hub.back_up(&mut self.ledger)?,
            Op::Restore => {
                self.kill_hub();
                self.hub.restore(&mut self.ledger);
                self.start_hub()?;
            }
            Op::Maintain(steps) => self.hub.maintain(steps, now),
        }
        self.step()
    }

    fn kill_hub(&mut self) {
        self.hub.kill();
        if self.listener { self.kill_broker() } else { self.lose_hub_link() }
    }

    /// A hub whose disk is full may be unable to start; it is tried again when there is room.
    fn start_hub(&mut self) -> Result<(), String> {
        self.hub.start(self.now)?;
        if self.listener {
            self.broker.start();
        }
        Ok(())
    }

    fn kill_broker(&mut self) {
        self.broker.kill();
        if self.listener {
            self.broker.wipe();
        }
        self.lose_hub_link();
    }

    fn lose_hub_link(&mut self) {
        self.broker.disconnect_hub();
        self.hub_connects = self.now.instant + Duration::from_millis(self.dice.u64(..5000));
    }

    /// Time passes, and whatever is due happens.
    fn run(&mut self, time: Duration) -> Result<(), String> {
        let end = self.now.plus(time);
        let (mut last, mut busy) = (self.now.instant, 0);
        self.step()?;
        while let Some(due) = self.due().filter(|due| *due <= end.instant) {
            self.now = self.now.at(due.max(self.now.instant));
            busy = if self.now.instant == last { busy + 1 } else { 0 };
            last = self.now.instant;
            if busy > BUSY {
                return Err("time stands still: something is due again and again".to_owned());
            }
            self.step()?;
        }
        self.now = end;
        self.step()
    }

    fn due(&self) -> Option<Instant> {
        let now = self.now.instant;
        let pis = self.pis.iter().filter_map(|pi| pi.due(now));
        let link = (self.broker.is_up() && self.hub.is_running() && !self.broker.hub_is_connected())
            .then_some(self.hub_connects);
        pis.chain(link).chain(self.hub.due()).chain(self.broker.due()).min()
    }

    /// Everything that is due now.
    fn step(&mut self) -> Result<(), String> {
        let now = self.now;
        if self.broker.is_up()
            && self.hub.is_running()
            && !self.broker.hub_is_connected()
            && (self.listener || self.hub_connects <= now.instant)
        {
            self.broker.connect_hub(now.instant);
        }
        for (pi, truth) in self.pis.iter_mut().zip(&mut self.truths) {
            pi.work(&mut self.broker, truth, now);
        }
        while let Some(arrival) = self.broker.next(now.instant) {
            match arrival {
                Arrival::Hub(delivery) => {
                    if self.hub.error_ms != 0 {
                        self.doubt(&delivery);
                    }
                    self.hub.take(delivery.topic, delivery.payload, delivery.retained, now);
                }
                Arrival::Agent(index, bytes) => {
                    self.pis[index].hear(&bytes, &mut self.broker, now);
                    self.pis[index].work(&mut self.broker, &mut self.truths[index], now);
                }
            }
        }
        for message in self.hub.work(&mut self.ledger, now)? {
            let Some((index, channel)) = self.addressee(&message.topic) else { continue };
            if channel == Channel::Ack {
                let ack = Ack::decode(&message.payload).map_err(|error| error.to_string())?;
                self.hold_to_its_word(index, &ack)?;
            }
            self.broker.publish_to(index, message.topic, message.payload, now.instant);
        }
        Ok(())
    }

    /// Whose topic it is, and what for.
    fn addressee(&self, topic: &str) -> Option<(usize, Channel)> {
        let topic = Topic::parse(&Prefix::default(), topic).ok()?;
        let index = self.pis.iter().position(|pi| pi.name == topic.agent)?;
        Some((index, topic.channel))
    }

    fn doubt(&mut self, delivery: &Delivery) {
        if let Some((index, channel)) = self.addressee(&delivery.topic) {
            self.ledger.doubt(index, channel, &delivery.payload);
        }
    }

    /// Nothing is called safe that its agent holds and the hub has not committed.
    fn hold_to_its_word(&self, index: usize, ack: &Ack) -> Result<(), String> {
        // Of a rotten disk an agent finds out only when it reads.
        let held = self.pis[index].held().filter(|_| !self.truths[index].is_rotten());
        let Some((run, held)) = held else { return Ok(()) };
        for safe in ack.safe.iter().filter(|safe| safe.run == run) {
            let lacking = (held.start..safe.below).find(|seq| !self.ledger.has((index, run, *seq)));
            if let Some(seq) = lacking {
                return Err(format!(
                    "record {seq} of run {run} is acked below {} and not committed",
                    safe.below
                ));
            }
        }
        Ok(())
    }

    /// All is well again; whatever is held must reach the hub, and its history must be complete, now and later.
    fn settle(mut self) -> Result<Vec<Outcome>, String> {
        self.broker.manners = Manners::default();
        let mut ops = vec![Op::StepHubClock(0), Op::MakeRoom, Op::StartBroker, Op::StartHub];
        for who in 0..self.pis.len() {
            self.pis[who].spare();
            ops.extend([Op::MendCable(who), Op::RestorePower(who), Op::StartAgent(who)]);
        }
        for op in ops {
            self.apply(op)?;
        }
        // A record or two of each, so that the hub hears of every boot that can be dated.
        self.run(Duration::from_mins(2).max(2 * self.pis[0].tick_length()))?;
        self.truths.iter_mut().for_each(Truth::end);
        self.run(RECOVERY)?;
        for (pi, truth) in self.pis.iter().zip(&mut self.truths) {
            truth.dropped(pi.dropped());
            if pi.held().is_none() {
                return Err(format!("the agent of {} does not run", pi.name));
            }
            if pi.backlog() > 0 {
                let (name, backlog) = (&pi.name, pi.backlog());
                return Err(format!(
                    "{name} still holds {backlog} records a quarter of an hour after all is well"
                ));
            }
        }
        self.verify("at once", false)?;
        self.hub.maintain_all(self.now)?;
        let outcome = self.verify("after maintenance", true)?;
        // Hours and a day close.
        for hours in [2, 30] {
            self.run(Duration::from_secs(1))?;
            self.now = self.now.plus(Duration::from_secs(hours * 3600));
            self.hub.maintain_all(self.now)?;
            self.agrees(&outcome, "after its hours have closed")?;
        }
        self.kill_hub();
        self.start_hub()?;
        self.agrees(&outcome, "after a restart")?;
        Ok(outcome)
    }

    fn agrees(&self, before: &[Outcome], when: &str) -> Result<(), String> {
        let outcome = self.verify(when, true)?;
        if before.iter().zip(&outcome).all(|(before, later)| before.agrees_with(*later)) {
            Ok(())
        } else {
            Err(format!("{when} the history says {outcome:?}, before it said {before:?}"))
        }
    }

    /// Holds the history against the truth.
    fn verify(&self, when: &str, is_maintained: bool) -> Result<Vec<Outcome>, String> {
        let reader = self.hub.reader().expect("the hub runs");
        let mut outcomes = Vec::new();
        for (index, truth) in self.truths.iter().enumerate() {
            let samples = self.samples(index, &reader).map_err(|error| format!("{when}: {error}"))?;
            let outcome = truth.check(index, &samples, &self.ledger, is_maintained);
            let outcome = outcome.map_err(|error| format!("{when}: {}: {error}", self.pis[index].name))?;
            for (run, next) in truth.runs() {
                self.check_account(index, run, next, &reader).map_err(|error| format!("{when}: {error}"))?;
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn samples(&self, index: usize, reader: &Reader) -> Result<Vec<(u64, Option<i64>)>, String> {
        let name = &self.pis[index].name;
        let series = reader.series(name).map_err(|error| error.to_string())?;
        let mut counters = series.iter().filter(|(_, key)| {
            &*key.name == COUNTER.0 && key.labels.iter().any(|(_, value)| &**value == COUNTER.1)
        });
        let Some((id, _)) = counters.next() else { return Ok(Vec::new()) };
        if counters.next().is_some() {
            return Err(format!("{name} has two counters"));
        }
        let samples = reader.samples(name, *id, 0..u64::MAX).map_err(|error| error.to_string())?;
        if samples.times.windows(2).any(|pair| pair[0] >= pair[1])
            || samples.times.len() != samples.values.len()
        {
            return Err(format!("{name}: times do not rise, or are not as many as values"));
        }
        Ok(samples.times.iter().copied().zip(samples.values.iter().copied()).collect())
    }

    /// The account names what was committed, and calls nothing lost that was.
    fn check_account(&self, index: usize, run: Run, next: u64, reader: &Reader) -> Result<(), String> {
        let account = reader.account(&self.pis[index].name, run).map_err(|error| error.to_string())?;
        let committed = self.ledger.count(index, run);
        let Some(account) = account else {
            let fits = committed == 0 || self.ledger.is_doubtful_run(index, run);
            return if fits {
                Ok(())
            } else {
                Err(format!("run {run} has no account and {committed} records"))
            };
        };
        let in_account = |seq: u64| account.seqs.contains(seq);
        if let Some(seq) = (0..next).find(|seq| self.ledger.has((index, run, *seq)) && !in_account(*seq)) {
            return Err(format!("record {seq} of run {run} is committed and not accounted for"));
        }
        let beyond = account.seqs.ranges().find(|range| range.end > next);
        if let Some(range) = beyond {
            return Err(format!("the account of run {run} has {range:?}, the run {next} records"));
        }
        if account.lost > next - committed {
            return Err(format!("run {run}: {} called lost, {committed} of {next} committed", account.lost));
        }
        let held = self.pis[index].held().filter(|(held, _)| *held == run);
        if let Some((_, range)) = held.filter(|(_, range)| account.seqs.first_missing() != range.end) {
            return Err(format!(
                "run {run} is at {}, its account at {}",
                range.end,
                account.seqs.first_missing()
            ));
        }
        Ok(())
    }
}
