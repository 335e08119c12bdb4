//! Ingest: what came in, whichever way, becomes the fleet and an ack.
//!
//! [`Ingest`] is the core: messages and time in, the fleet and [`Outbound`] messages out. It does no I/O, reads no clock
//! and never panics, whatever the bytes. What it does not take it counts by [`Reason`], and nothing else changes.
//! [`task`] is the loop around it.
//!
//! Invariant: a record is acked only when it was applied to the fleet, or is known to be lost. Data whose catalog is not
//! known are neither: they stay with their agent, which is asked for the catalog.
//!
//! The history id is random at each start: until history is on disk, a hub that starts knows nothing, and agents send
//! all that they hold.

mod counts;
mod custody;
#[cfg(test)]
mod properties;
mod reason;
pub mod task;
#[cfg(test)]
mod tests;

pub use counts::Counts;
pub use custody::Custody;
pub use reason::Reason;

use crate::clock::Now;
use crate::fleet::{Fleet, FleetFull, Heard, Reading, ReadingError};
use crate::inbound::{Inbound, Outbound};
use crate::json::Records;
use crate::mirror::Mirror;
use bytes::Bytes;
use rackside_history::Entry;
use rackside_proto::{
    AgentName, Birth, Catalog, Channel, Data, Envelope, Event, Message, Prefix, Presence, Record, Run,
    Sending, Severity, Topic, Verdict, What,
};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// An ack waits for so long for more to cover.
pub const ACK_WITHIN: Duration = Duration::from_millis(250);
/// So many records are worth an ack at once: a backlog comes as fast as acks let it.
pub const ACK_AT: u32 = 64;
/// How long a verdict holds.
pub const VERDICT_VALID: Duration = Duration::from_secs(90);
/// The parts of the mirror's snapshot follow each other at this distance.
const MIRROR: Duration = Duration::from_millis(100);
/// Silence is looked for this often.
const SWEEP: Duration = Duration::from_secs(1);
/// A look that comes so late means that the hub itself stood still: what was sent meanwhile has its turn first.
const STOOD_STILL: Duration = Duration::from_secs(5);

/// The core.
#[derive(Debug)]
pub struct Ingest {
    prefix: Prefix,
    history: u64,
    fleet: Fleet,
    custody: Vec<Custody>,
    counts: Counts,
    mirror: Mirror,
    /// When the next part of the mirror's snapshot is due, if there is one.
    mirror_due: Option<Instant>,
    acks: BTreeSet<(Instant, usize)>,
    verdicts: BTreeSet<(Instant, usize)>,
    swept: Instant,
    /// Whether the look for silence before this one was left out, because it came late.
    spared: bool,
    out: Vec<Outbound>,
}

impl Ingest {
    /// An empty fleet. `history` names what this hub has; it differs at each start.
    pub fn new(prefix: Prefix, history: u64, now: Now) -> Self {
        Self {
            prefix,
            history,
            fleet: Fleet::default(),
            custody: Vec::new(),
            counts: Counts::default(),
            mirror: Mirror::default(),
            mirror_due: None,
            acks: BTreeSet::new(),
            verdicts: BTreeSet::new(),
            swept: now.instant,
            spared: false,
            out: Vec::new(),
        }
    }

    /// The fleet.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What was counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What became of one agent's records.
    pub fn records(&self, slot: usize) -> Records {
        let of = |custody: &Custody| Records {
            taken: custody.records,
            duplicates: custody.duplicates,
            lost: custody.lost,
        };
        self.custody.get(slot).map(of).unwrap_or_default()
    }

    /// What is to be sent, since this was last asked.
    pub fn take_out(&mut self) -> Vec<Outbound> {
        std::mem::take(&mut self.out)
    }

    /// The appliances whose view changed, since this was last asked; the mirror is told of them.
    pub fn take_changed(&mut self) -> Vec<usize> {
        let changed = self.fleet.take_changed();
        if self.mirror.is_on() {
            for &slot in &changed {
                self.mirror.update(&self.fleet, slot, &self.prefix, &mut self.out);
            }
        }
        changed
    }

    /// Somebody listens to the JSON mirror, or nobody does any more.
    pub fn mirror(&mut self, wanted: bool) {
        if wanted {
            self.mirror.start(&self.fleet, &self.prefix, &mut self.out);
        } else {
            self.mirror.stop(&self.fleet, &self.prefix, &mut self.out);
        }
    }

    /// Takes one message.
    pub fn take(&mut self, message: &Inbound, now: Now) {
        if let Err(reason) = self.read(message, now) {
            log::debug!("{}: not taken: {}", message.topic.escape_debug(), reason.as_str());
            self.counts.reject(reason);
        }
    }

    /// When [`tick`](Self::tick) is due.
    pub fn due(&self) -> Instant {
        let first = |set: &BTreeSet<(Instant, usize)>| set.first().map(|due| due.0);
        let sweep = self.swept + SWEEP;
        [first(&self.acks), first(&self.verdicts), self.mirror_due]
            .into_iter()
            .flatten()
            .fold(sweep, Instant::min)
    }

    /// Does what is due: acks, verdicts, noticing silence.
    pub fn tick(&mut self, now: Now) {
        while let Some(&(due, slot)) = self.acks.first().filter(|due| due.0 <= now.instant) {
            self.acks.remove(&(due, slot));
            self.ack(slot, now);
        }
        while let Some(&(due, slot)) = self.verdicts.first().filter(|due| due.0 <= now.instant) {
            self.verdicts.remove(&(due, slot));
            self.custody[slot].verdict_due = None;
            // An appliance that is down gets its verdict when it is heard again.
            if self.fleet.appliances()[slot].state.is_up() {
                self.verdict(slot, now);
            }
        }
        if self.mirror_due.is_some_and(|due| due <= now.instant) {
            self.mirror.proceed(&self.fleet, &self.prefix, &mut self.out);
            self.mirror_due = None;
        }
        if self.mirror_due.is_none() && self.mirror.has_more(&self.fleet) {
            self.mirror_due = Some(now.instant + MIRROR);
        }
        let late = now.since(self.swept);
        if late >= SWEEP {
            self.swept = now.instant;
            // Once: a hub that is always late has to look all the same.
            self.spared = late >= STOOD_STILL && !self.spared;
            if !self.spared {
                self.fleet.sweep(now);
            }
        }
    }

    fn read(&mut self, message: &Inbound, now: Now) -> Result<(), Reason> {
        let topic = Topic::parse(&self.prefix, &message.topic)?;
        self.counts.message(topic.channel);
        match topic.channel {
            channel if channel.is_from_hub() => return Err(Reason::NotFromAgents),
            Channel::Reply | Channel::Still => return Err(Reason::NotSpoken),
            _ => {}
        }
        match Message::decode(topic.channel, &message.payload)? {
            Message::Presence(presence) => self.presence(&topic.agent, &presence, message.retained, now),
            Message::Birth(birth) => self.birth(&topic.agent, &birth, message.retained, now),
            Message::Data(record) => self.data(&topic.agent, &record, message.retained, now),
            Message::Event(record) => self.event(&topic.agent, &record, message.retained, now),
            Message::Ack(_) | Message::Verdict(_) => Err(Reason::NotFromAgents),
        }
    }

    fn open(&mut self, agent: &AgentName, now: Now) -> Result<usize, Reason> {
        let slot = self.fleet.open(agent, now)?;
        if self.custody.len() <= slot {
            self.custody.resize_with(slot + 1, Custody::default);
        }
        Ok(slot)
    }

    fn presence(
        &mut self,
        agent: &AgentName,
        presence: &Presence,
        retained: bool,
        now: Now,
    ) -> Result<(), Reason> {
        let slot = self.open(agent, now)?;
        match self.fleet.presence(slot, presence, retained, now) {
            Heard::Old => self.counts.presences_ignored += 1,
            Heard::Taken if presence.online && !retained => self.ack_within(slot, ACK_WITHIN, now),
            Heard::Taken => {}
        }
        Ok(())
    }

    fn birth(
        &mut self,
        agent: &AgentName,
        birth: &Birth<'_>,
        retained: bool,
        now: Now,
    ) -> Result<(), Reason> {
        if birth.floor > birth.next || birth.next >= custody::SEQ_END {
            return Err(Reason::Limit);
        }
        let slot = self.open(agent, now)?;
        if let Some(catalog) = &birth.catalog {
            self.catalog(slot, birth.run, catalog)?;
        }
        self.fleet.birth(slot, birth, retained, now);
        if !retained {
            // A broker's copy has an old floor: an account that begins there would call lost what was acked since.
            self.lose_below(slot, birth.run, birth.floor);
            self.ack_within(slot, ACK_WITHIN, now);
            self.verdict(slot, now);
        }
        Ok(())
    }

    fn catalog(&mut self, slot: usize, run: Run, catalog: &Catalog<'_>) -> Result<(), Reason> {
        self.custody[slot].has_catalog(run, catalog.head.number);
        self.counts.series_ignored += self.fleet.catalog(slot, run, catalog)? as u64;
        Ok(())
    }

    fn data(
        &mut self,
        agent: &AgentName,
        record: &Record<'_, Data<'_>>,
        retained: bool,
        now: Now,
    ) -> Result<(), Reason> {
        let envelope = plausible(&record.envelope, retained)?;
        let slot = self.open(agent, now)?;
        match &record.body {
            Data::Catalog(catalog) => {
                let run = self.fleet.appliances()[slot].run(envelope.run);
                let known = run.is_some_and(|run| run.has_listing(catalog.head.number));
                self.catalog(slot, envelope.run, catalog)?;
                self.fleet.heard(slot, &envelope, now);
                if !known && self.custody[slot].has(&envelope) {
                    // Sent once more because it was asked for: accounted for already, and no duplicate.
                    self.lose_below(slot, envelope.run, envelope.floor);
                    self.ack_within(slot, ACK_WITHIN, now);
                    return Ok(());
                }
            }
            Data::Readings(_) if self.custody[slot].has(&envelope) => self.fleet.heard(slot, &envelope, now),
            Data::Readings(readings) => {
                let taken = self.fleet.readings(slot, &envelope, readings, now);
                if !self.understood(slot, &envelope, taken, now)? {
                    return Ok(());
                }
            }
        }
        self.account_for(slot, &envelope, ACK_WITHIN, now)
    }

    fn event(
        &mut self,
        agent: &AgentName,
        record: &Record<'_, Event<'_>>,
        retained: bool,
        now: Now,
    ) -> Result<(), Reason> {
        let envelope = plausible(&record.envelope, retained)?;
        let slot = self.open(agent, now)?;
        if self.custody[slot].has(&envelope) {
            self.fleet.heard(slot, &envelope, now);
            return self.account_for(slot, &envelope, Duration::ZERO, now);
        }
        match record.body.what {
            What::Sample { catalog, series, value } => {
                let taken = self.fleet.sample(slot, &envelope, (catalog, series, value), now);
                if !self.understood(slot, &envelope, taken, now)? {
                    return Ok(());
                }
            }
            What::Text { .. } | What::Anchor { .. } => self.fleet.heard(slot, &envelope, now),
        }
        self.account_for(slot, &envelope, Duration::ZERO, now)?;
        let appliance = &self.fleet.appliances()[slot];
        self.mirror.event(appliance, (&envelope, &record.body), &self.prefix, now, &mut self.out);
        Ok(())
    }

    /// Whether a record was understood. If its catalog is missing, that is asked for and the record is left with its
    /// agent, until it is clear that the catalog will never come.
    fn understood(
        &mut self,
        slot: usize,
        envelope: &Envelope,
        taken: Result<Reading, ReadingError>,
        now: Now,
    ) -> Result<bool, Reason> {
        match taken {
            Ok(Reading::Latest | Reading::Older) => Ok(true),
            Err(ReadingError::Decode(error)) => Err(error.into()),
            Err(ReadingError::NoCatalog(number)) => {
                self.counts.deferred += 1;
                let in_vain = self.custody[slot].want(envelope.run, number, now.instant);
                self.lose_below(slot, envelope.run, envelope.floor);
                if in_vain {
                    let lost = self.custody[slot].give_up(envelope);
                    self.counts.lost = self.counts.lost.saturating_add(lost);
                    log::debug!(
                        "record {} of run {} is lost: no catalog {number}",
                        envelope.seq,
                        envelope.run
                    );
                }
                self.heard(slot, ACK_WITHIN, now);
                Ok(false)
            }
        }
    }

    fn account_for(
        &mut self,
        slot: usize,
        envelope: &Envelope,
        within: Duration,
        now: Now,
    ) -> Result<(), Reason> {
        let lost = self.custody[slot].lost;
        let entry = self.custody[slot].take(envelope);
        self.counts.lost = self.counts.lost.saturating_add(self.custody[slot].lost - lost);
        let many = self.custody[slot].since_ack >= ACK_AT;
        self.heard(slot, if many { Duration::ZERO } else { within }, now);
        match entry {
            Entry::New => self.counts.records += 1,
            Entry::Duplicate => self.counts.duplicates += 1,
            Entry::Full => return Err(Reason::Limit),
        }
        Ok(())
    }

    fn lose_below(&mut self, slot: usize, run: Run, floor: u64) {
        let lost = self.custody[slot].floor(run, floor);
        self.counts.lost = self.counts.lost.saturating_add(lost);
    }

    /// A record came. It gets an ack, and an appliance that came back without a birth (its link outlived the hub, or
    /// only the hub's own was cut) gets verdicts again.
    fn heard(&mut self, slot: usize, ack_within: Duration, now: Now) {
        self.ack_within(slot, ack_within, now);
        if self.custody[slot].verdict_due.is_none() && self.fleet.appliances()[slot].state.is_up() {
            self.verdict(slot, now);
        }
    }

    fn ack_within(&mut self, slot: usize, within: Duration, now: Now) {
        let due = now.instant + within;
        let custody = &mut self.custody[slot];
        if let Some(before) = custody.ack_due {
            if before <= due {
                return;
            }
            self.acks.remove(&(before, slot));
        }
        custody.ack_due = Some(due);
        self.acks.insert((due, slot));
    }

    fn ack(&mut self, slot: usize, now: Now) {
        let shown = self.fleet.appliances()[slot].shown();
        self.custody[slot].wants_birth = shown.is_some_and(|run| run.about.is_none());
        let ack = self.custody[slot].ack(self.history, now);
        let mut body = Vec::with_capacity(64);
        ack.encode(&mut body).expect("a Vec takes an ack of any size");
        self.counts.acks += 1;
        self.send(slot, Channel::Ack, body);
    }

    fn verdict(&mut self, slot: usize, now: Now) {
        // Until there are alert rules, the hub thinks well of everyone.
        let valid_s = VERDICT_VALID.as_secs() as u32;
        let verdict = Verdict { severity: Severity::Well, firing: 0, valid_s };
        let mut body = Vec::with_capacity(8);
        verdict.encode(&mut body).expect("a Vec takes a verdict of any size");
        self.counts.verdicts += 1;
        self.send(slot, Channel::Verdict, body);
        let due = now.instant + VERDICT_VALID / 3;
        if let Some(before) = self.custody[slot].verdict_due.replace(due) {
            self.verdicts.remove(&(before, slot));
        }
        self.verdicts.insert((due, slot));
    }

    fn send(&mut self, slot: usize, channel: Channel, body: Vec<u8>) {
        let topic = Topic { agent: self.fleet.appliances()[slot].name.clone(), channel };
        let topic = topic.under(&self.prefix).to_string();
        self.out.push(Outbound { topic, payload: Bytes::from(body), retain: false });
    }
}

/// Refuses numbers that no agent can have reached. A record that a broker had kept is not live, whatever it says.
fn plausible(envelope: &Envelope, retained: bool) -> Result<Envelope, Reason> {
    if envelope.seq >= custody::SEQ_END || envelope.floor > envelope.seq + custody::FLOOR_AHEAD {
        return Err(Reason::Limit);
    }
    let sending = if retained { Sending::Again } else { envelope.sending };
    Ok(Envelope { sending, ..*envelope })
}

impl From<FleetFull> for Reason {
    fn from(FleetFull: FleetFull) -> Self {
        Self::FleetFull
    }
}
