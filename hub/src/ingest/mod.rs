//! Ingest: what came in, whichever way, becomes the fleet, a batch for the history, and an ack.
//!
//! [`Ingest`] is the core: messages and time in; the fleet, batches and [`Outbound`] messages out. It does no I/O, reads no
//! clock and never panics, whatever the bytes. What it does not take it counts by [`Reason`], and nothing else changes.
//! [`task`] is the loop around it; whoever writes batches to the disk says what became of them.
//!
//! ```text
//! take ──▶ fleet (shown at once)
//!      └─▶ take_batch ──▶ the disk ──▶ committed ──▶ ack
//!                                  └─▶ failed    ──▶ the same batch again, later
//! ```
//!
//! Invariant: a record is acked only when it is on the disk, or is known to be lost. Data whose catalog is not known are
//! neither: they stay with their agent, which is asked for the catalog. The same goes for what comes when too much waits
//! for the disk; it is shown all the same.

mod counts;
mod custody;
mod notes;
mod past;
#[cfg(test)]
mod properties;
mod reason;
mod records;
pub mod task;
#[cfg(test)]
mod tests;
mod verdicts;
mod waiting;

pub use counts::Counts;
pub use custody::Custody;
pub use past::{NoPast, Past, PastError};
pub use reason::Reason;
pub use verdicts::VERDICT_VALID;
pub use waiting::{RETRY, STALLED, WAITING};

use crate::clock::Now;
use crate::command::Replied;
use crate::configure::Adoption;
use crate::fleet::{Fleet, FleetFull, Heard};
use crate::inbound::{Inbound, Outbound};
use crate::json::Records;
use crate::mirror::Mirror;
use crate::query::{Feed, Touched};
use crate::stills::{NoPicture, Stills};
use bytes::Bytes;
use rackside_alerting::Standings;
use rackside_history::{Account, Batch, KnownAgent};
use rackside_proto::{AgentName, Birth, Capabilities, Channel, Message, Prefix, Presence, Run, Still, Topic};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use waiting::{Landed, Waiting};

/// A batch waits for so long for more to come; so does an answer to what was known.
pub const ACK_WITHIN: Duration = Duration::from_millis(250);
/// So many records of one agent are worth a batch at once: a backlog comes as fast as acks let it.
pub const ACK_AT: u32 = 64;
/// Who says something hears of it within this, even if nothing gets to the disk. After an ack that says something new.
const HEARD_WITHIN: Duration = Duration::from_millis(500);
/// The parts of the mirror's snapshot follow each other at this distance.
const MIRROR: Duration = Duration::from_millis(100);
/// Silence is looked for this often.
const SWEEP: Duration = Duration::from_secs(1);
/// A look that comes so late means that the hub itself stood still: what was sent meanwhile has its turn first.
const STOOD_STILL: Duration = Duration::from_secs(5);

/// Replies in one turn: more were not asked for.
const REPLIES: usize = 256;

/// The core.
#[derive(Debug)]
pub struct Ingest {
    prefix: Prefix,
    history: u64,
    past: Arc<dyn Past>,
    fleet: Fleet,
    custody: Vec<Custody>,
    waiting: Waiting,
    counts: Counts,
    mirror: Mirror,
    /// Pictures of streams; nothing where none are wanted.
    stills: Option<Stills>,
    /// When the next part of the mirror's snapshot is due, if there is one.
    mirror_due: Option<Instant>,
    acks: BTreeSet<(Instant, usize)>,
    verdicts: BTreeSet<(Instant, usize)>,
    /// How everybody stands, as the rules said last.
    standings: Arc<Standings>,
    swept: Instant,
    /// Whether the look for silence before this one was left out, because it came late.
    spared: bool,
    out: Vec<Outbound>,
    /// Of whom events are on the disk, since this was last asked.
    logged: BTreeSet<usize>,
    /// What was said of configurations, since this was last asked.
    adoptions: Vec<(AgentName, Adoption)>,
    /// Who is retired, and was heard in a new run since this was last asked.
    returned: BTreeSet<AgentName>,
    /// Whether something of the hub itself is on the disk, since this was last asked.
    has_logged_itself: bool,
    /// What came of commands, since this was last asked.
    replies: Vec<Replied>,
}

impl Ingest {
    /// An empty fleet. `history` names what is stored, `past` reads it.
    pub fn new(prefix: Prefix, history: u64, past: Arc<dyn Past>, now: Now) -> Self {
        Self {
            prefix,
            history,
            past,
            fleet: Fleet::default(),
            custody: Vec::new(),
            waiting: Waiting::default(),
            counts: Counts::default(),
            mirror: Mirror::default(),
            stills: Some(Stills::default()),
            mirror_due: None,
            acks: BTreeSet::new(),
            verdicts: BTreeSet::new(),
            standings: Arc::default(),
            swept: now.instant,
            spared: false,
            out: Vec::new(),
            logged: BTreeSet::new(),
            adoptions: Vec::new(),
            returned: BTreeSet::new(),
            has_logged_itself: false,
            replies: Vec::new(),
        }
    }

    /// What is known from before the hub started: appliances that nobody has heard of since, accounts of their runs, and
    /// the catalog that their next readings most likely use.
    pub fn know(&mut self, known: Vec<KnownAgent>, now: Now) {
        for KnownAgent { name, last_ms, runs, catalog } in known {
            let Ok(slot) = self.fleet.recollect(&name, last_ms, now) else {
                log::warn!("{name} is in the history, and the fleet has no room for it");
                continue;
            };
            self.custody.resize_with(slot + 1, Custody::default);
            for account in runs {
                self.custody[slot].open(account.run, 0, Some(account));
            }
            if let Some((run, bytes)) = catalog {
                past::with_catalog(&bytes, |catalog| self.fleet.catalog(slot, run, catalog));
            }
        }
    }

    /// These appliances are retired, and since when; all others are not.
    pub(crate) fn set_retired(&mut self, retired: &BTreeMap<AgentName, u64>, now: Now) {
        for name in self.fleet.set_retired(retired, now) {
            let is_retired = retired.contains_key(&name);
            self.note_of(&name, "agent/retired", if is_retired { "out of service" } else { "" }, now);
        }
    }

    /// Who is retired, and was heard in a run that nobody knew, since this was last asked.
    pub(crate) fn take_returned(&mut self) -> BTreeSet<AgentName> {
        std::mem::take(&mut self.returned)
    }

    /// The fleet.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What rules and queries are fed by, instead of one of its own: set before the first message.
    pub fn feed(&mut self, feed: Feed) {
        self.fleet = Fleet::new(feed);
    }

    /// No stills are taken: set before the first message.
    pub fn without_stills(&mut self) {
        self.stills = None;
    }

    /// The newest still of each stream; nothing where none are wanted.
    pub fn stills(&self) -> Option<&Stills> {
        self.stills.as_ref()
    }

    /// Which series changed out of turn since this was last asked: by an event, or since their appliance came or went.
    pub fn take_touched(&mut self) -> Vec<Touched> {
        self.fleet.feed().take_touched()
    }

    /// Of whom there are new entries in the history's log, since this was last asked.
    pub fn take_logged(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.logged)
    }

    /// What appliances said of the configurations that they were handed, since this was last asked.
    pub fn take_adoptions(&mut self) -> Vec<(AgentName, Adoption)> {
        std::mem::take(&mut self.adoptions)
    }

    /// Whether there are new entries of the hub itself in the history's log, since this was last asked.
    pub fn take_logged_itself(&mut self) -> bool {
        std::mem::take(&mut self.has_logged_itself)
    }

    /// What agents say that came of commands, since this was last asked.
    pub fn take_replies(&mut self) -> Vec<Replied> {
        std::mem::take(&mut self.replies)
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
        let read = self.read(message, now);
        self.note_turns(now);
        if let Err(reason) = read {
            log::debug!("{}: not taken: {}", message.topic.escape_debug(), reason.as_str());
            self.counts.reject(reason);
        }
    }

    /// The next batch, if it is due and none is being written: [`committed`](Self::committed) or
    /// [`failed`](Self::failed) has to follow.
    pub fn take_batch(&mut self, now: Now) -> Option<Arc<Batch>> {
        let cut = self.waiting.cut(now.instant)?;
        for key in &cut.keys {
            self.custody[key.slot].flies(key.run, key.seq);
        }
        for key in self.waiting.behind() {
            self.custody[key.slot].stays(key.run, key.seq);
        }
        let mut behind: BTreeMap<(usize, Run), Vec<u64>> =
            cut.changed.iter().map(|&run| (run, Vec::new())).collect();
        for key in self.waiting.behind() {
            if let Some(seqs) = behind.get_mut(&(key.slot, key.run)) {
                seqs.push(key.seq);
            }
        }
        let mut accounts: Vec<Account> = Vec::with_capacity(behind.len());
        for ((slot, run), behind) in behind {
            let name = &self.fleet.appliances()[slot].name;
            accounts.extend(self.custody[slot].written(name, run, &behind));
        }
        Some(self.waiting.fly(cut, accounts, now.instant))
    }

    /// The batch is on the disk: acks are due.
    pub fn committed(&mut self, now: Now) {
        let Some(Landed { keys, logged, noted, .. }) = self.waiting.committed() else { return };
        self.logged.extend(logged);
        self.logged.extend(noted.iter().flatten().filter_map(|name| self.fleet.slot(name)));
        self.has_logged_itself |= noted.iter().any(Option::is_none);
        for key in keys {
            self.custody[key.slot].landed(key.run);
            self.ack_within(key.slot, Duration::ZERO, now);
        }
    }

    /// The batch is not on the disk. It waits and is tried again; the agents only hear that somebody is there.
    pub fn failed(&mut self, now: Now) {
        let Some(Landed { keys, changed, .. }) = self.waiting.failed(now.instant) else { return };
        for key in keys {
            self.custody[key.slot].landed(key.run);
            self.custody[key.slot].stays(key.run, key.seq);
            self.ack_within(key.slot, ACK_WITHIN, now);
        }
        for (slot, run) in changed {
            self.custody[slot].changed(run);
        }
    }

    /// Whatever waits for the disk is due at once: the hub is about to stop.
    pub fn hurry(&mut self, now: Now) {
        self.waiting.hurry(now.instant);
    }

    /// Whether more should come only after the batch is written. Not while writing fails: then what comes is shown, and
    /// stays with its agent.
    pub fn is_full(&self, now: Now) -> bool {
        self.waiting.is_full() && !self.waiting.is_troubled(now.instant)
    }

    /// Whether a batch is being written.
    pub fn is_writing(&self) -> bool {
        self.waiting.is_flying()
    }

    /// How many records, and how many bytes, wait for the disk.
    pub fn waiting(&self) -> (usize, usize) {
        self.waiting.size()
    }

    /// When [`tick`](Self::tick) or [`take_batch`](Self::take_batch) is due.
    pub fn due(&self) -> Instant {
        let first = |set: &BTreeSet<(Instant, usize)>| set.first().map(|due| due.0);
        let sweep = self.swept + SWEEP;
        [first(&self.acks), first(&self.verdicts), self.mirror_due, self.waiting.due()]
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
            if let Some(stills) = &mut self.stills {
                stills.tick(now);
            }
            // Once: a hub that is always late has to look all the same.
            self.spared = late >= STOOD_STILL && !self.spared;
            if !self.spared {
                self.fleet.sweep(now);
                self.note_turns(now);
            }
        }
    }

    fn read(&mut self, message: &Inbound, now: Now) -> Result<(), Reason> {
        let topic = Topic::parse(&self.prefix, &message.topic)?;
        self.counts.message(topic.channel);
        if topic.channel.is_from_hub() {
            return Err(Reason::NotFromAgents);
        }
        let decoded = Message::decode(topic.channel, &message.payload);
        if decoded.is_err() && matches!(topic.channel, Channel::Data | Channel::Event) {
            self.unreadable(&topic.agent, message, now);
        }
        match decoded? {
            Message::Presence(presence) => self.presence(&topic.agent, &presence, message.retained, now),
            Message::Birth(birth) => self.birth(&topic.agent, &birth, message.retained, now),
            Message::Data(record) => self.data(&topic.agent, &record, message, now),
            Message::Event(record) => self.event(&topic.agent, &record, message, now),
            Message::Still(still) => self.still(&topic.agent, &still, message.retained, now),
            Message::Reply(_) => self.reply(topic.agent, message),
            Message::Ack(_) | Message::Verdict(_) | Message::Command(..) | Message::Config(..) => {
                Err(Reason::NotFromAgents)
            }
        }
    }

    /// Whether anybody has asked for it is known by whoever asks; one that a broker had kept is old.
    fn reply(&mut self, agent: AgentName, message: &Inbound) -> Result<(), Reason> {
        if message.retained || self.replies.len() >= REPLIES {
            return Err(Reason::Limit);
        }
        self.replies.push(Replied { agent, body: message.payload.clone() });
        Ok(())
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
            Heard::Taken if presence.online && !retained => self.ack_within(slot, HEARD_WITHIN, now),
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
            self.catalog_apart(slot, birth.run, catalog, now)?;
        }
        let known = self.fleet.appliances()[slot].run(birth.run).and_then(|run| run.about.as_ref());
        let configuration = known.map(|about| about.configuration);
        self.fleet.birth(slot, birth, retained, now);
        if !retained {
            self.open_account(slot, birth.run, birth.floor, now);
            if configuration.is_some_and(|before| before != birth.config_revision) {
                self.note_configuration(slot, birth.config_revision, now);
            }
            let takes = birth.capabilities.has(Capabilities::CONFIGURATION);
            let runs = Adoption::Runs { revision: birth.config_revision, takes };
            self.adoptions.push((agent.clone(), runs));
            // A broker's copy has an old floor: an account that begins there would call lost what was acked since.
            self.lose_below(slot, birth.run, birth.floor, now);
            self.ack_within(slot, HEARD_WITHIN, now);
            self.verdict(slot, now);
        }
        Ok(())
    }

    /// Beside everything else: no record, no sign of life, nothing that the mirror is told of.
    fn still(
        &mut self,
        agent: &AgentName,
        still: &Still<'_>,
        retained: bool,
        now: Now,
    ) -> Result<(), Reason> {
        let stills = self.stills.as_mut().ok_or(Reason::NotSpoken)?;
        // Nobody but a fleet that has room for its appliance holds a picture of it.
        let known = self.fleet.find(agent).is_some();
        if retained || !known {
            return Err(Reason::Picture);
        }
        stills.take(agent, still, now).map_err(|NoPicture| Reason::Picture)
    }

    /// What is stored of a run is known from now on; nobody's account begins at `floor`. If what is stored cannot be
    /// read, there is no account, and nothing is taken. A disk that does not answer is not asked: nobody waits for it.
    fn open_account(&mut self, slot: usize, run: Run, floor: u64, now: Now) {
        if self.custody[slot].knows(run) || self.waiting.is_stalled(now.instant) {
            return;
        }
        match self.past.account(&self.fleet.appliances()[slot].name, run) {
            Ok(stored) => {
                let is_new = stored.is_none();
                let appliance = &self.fleet.appliances()[slot];
                if is_new && appliance.retired_ms.is_some() {
                    self.returned.insert(appliance.name.clone());
                }
                self.custody[slot].open(run, floor, stored);
                self.note_opened(slot, run, is_new, now);
            }
            Err(error) => log::debug!("what is stored of run {run} cannot be read: {error}"),
        }
    }

    fn lose_below(&mut self, slot: usize, run: Run, floor: u64, now: Now) {
        let lost = self.custody[slot].floor(run, floor);
        self.count_lost(slot, run, lost, now);
    }

    fn count_lost(&mut self, slot: usize, run: Run, lost: u64, now: Now) {
        if lost > 0 {
            self.counts.lost = self.counts.lost.saturating_add(lost);
            self.waiting.change(slot, run, now.instant + ACK_WITHIN);
        }
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

    fn send(&mut self, slot: usize, channel: Channel, body: Vec<u8>) {
        let topic = Topic { agent: self.fleet.appliances()[slot].name.clone(), channel };
        let topic = topic.under(&self.prefix).to_string();
        self.out.push(Outbound { topic, payload: Bytes::from(body), retain: false });
    }
}

impl From<FleetFull> for Reason {
    fn from(FleetFull: FleetFull) -> Self {
        Self::FleetFull
    }
}
