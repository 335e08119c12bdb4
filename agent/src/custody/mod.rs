//! Custody: the agent answers for each record until the hub's ack covers it.
//!
//! Records, acks and moments in, records to send out; of the outside it knows the spool's disk, and of MQTT only that a connection
//! is there or not: what it hands out it expects to be published. Where records lie is `stock`'s business, how fast a backlog
//! goes is `pace`'s; this file decides what is sent when:
//!
//! - fresh records go at once while connected, before anything else;
//! - after a (re)connect, and whenever no ack has moved for 10 s while something is unacked (backing off to 5 minutes as long as
//!   the hub says nothing), the oldest unacked record goes alone: a hub that is down or overrun is not buried under a backlog
//!   that it cannot take;
//! - once an ack moves, the rest of the backlog follows, oldest first, at a bounded rate: earlier runs before this one, their
//!   catalogs ahead of their data;
//! - a changed history id means that the hub lost what it had: all that is held goes again.
//!
//! Invariants: a record leaves only by an ack that covers it, or, oldest first and counted, when the bound is reached; an
//! ack that makes no sense (an unknown run, beyond what was made, backwards) changes nothing.

mod held;
#[cfg(test)]
mod on_disk;
mod pace;
#[cfg(test)]
mod sim;
mod stock;
#[cfg(test)]
mod tests;

use crate::spool::Spool;
use log::{debug, info, warn};
use pace::Pace;
use rackside_proto::{Ack, Channel, Envelope, Run, Sending, Want};
use std::fmt;
use std::time::{Duration, Instant};
use stock::{Found, Place, Stock};

/// How long no ack may move before the oldest unacked record goes again.
const QUIET: Duration = Duration::from_secs(10);
/// Where the doubling of that ends.
const QUIET_MOST: Duration = Duration::from_mins(5);
/// A record that was made at most this long ago and never sent is fresh, even if the link came up in between: it goes at once.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// Only what was made at most this long ago is said to be sent for the first time: the hub takes the moment at which such a
/// record comes in for that at which it was made.
const LIVE_FOR: Duration = Duration::from_secs(1);
/// The same catalog is not sent again within this time, however often the hub asks: its request and our answer cross.
const WANT_PAUSE: Duration = Duration::from_secs(2);

/// How much is held, when it goes to the disk, how fast a backlog goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of records in memory, with what it takes to keep them.
    pub memory: usize,
    /// How long no ack may move before records go to the disk, and what a power cut can take from then on.
    pub spill_after: Duration,
    /// Most records a second out of the backlog; not zero.
    pub resend_rate: u32,
}

/// A record that cannot be held because no channel would carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// The body's length in bytes.
    pub len: usize,
    /// The most that its channel carries, in bytes.
    pub limit: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a record of {} bytes does not fit into a message of {}", self.len, self.limit)
    }
}

impl std::error::Error for TooLarge {}

/// A record on its way out.
#[derive(Debug, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// Where to.
    pub channel: Channel,
    /// Its number.
    pub envelope: Envelope,
    /// Its body, as it was first encoded.
    pub body: &'a [u8],
}

/// How the backlog stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backlog {
    /// Whatever is held was sent on this connection.
    None,
    /// The oldest record goes alone when `probe_at` comes; the others before `end` of this run wait for an ack to move.
    Probing { end: u64 },
    /// The records from `next` to `end` of this run go at the bounded rate.
    Streaming { next: Place, end: u64 },
}

/// A catalog that the hub asked for.
#[derive(Debug)]
struct Wanted {
    run: Run,
    number: u32,
    /// When it was last sent for the asking; `None` while it waits to be.
    sent: Option<Instant>,
}

/// What a run leaves behind when it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Records on the disk, for the next run to send.
    pub kept: u64,
    /// Records of this run that go with it.
    pub lost: u64,
}

/// Records of a run, and of earlier ones on the disk, from their making to their ack.
#[derive(Debug)]
pub struct Custody {
    stock: Stock,
    pace: Pace,
    connected: bool,
    history: Option<u64>,
    /// The first record of this run that was not handed out on this connection and goes at once.
    fresh: u64,
    backlog: Backlog,
    /// When the oldest unacked record goes alone, unless an ack moves before.
    probe_at: Option<Instant>,
    /// How long after that the next time would come.
    quiet: Duration,
    /// When the hub was last heard on this connection, or the connection was made.
    heard: Option<Instant>,
    /// When the hub's newest ack came, on whatever connection.
    acked: Option<Instant>,
    /// The machine slept until then: what was made before is not fresh.
    awake: Option<Instant>,
    wanted: Vec<Wanted>,
    /// The catalog that went ahead of an earlier run's data last, and its body.
    led: Option<(Run, u32)>,
    catalog: Vec<u8>,
    /// Whether an ack that makes no sense was complained of: a hub that sends one sends many.
    complained: bool,
}

/// What it holds.
impl Custody {
    /// An empty custody, in memory only.
    pub fn new(run: Run, limits: Limits) -> Self {
        Self {
            stock: Stock::new(run, limits),
            pace: Pace::new(limits.resend_rate),
            connected: false,
            history: None,
            fresh: 0,
            backlog: Backlog::None,
            probe_at: None,
            quiet: QUIET,
            heard: None,
            acked: None,
            awake: None,
            wanted: Vec::new(),
            led: None,
            catalog: Vec::new(),
            complained: false,
        }
    }

    /// Other limits from now on. What is held beyond them goes when the next record comes.
    pub fn limit(&mut self, limits: Limits) {
        self.stock.limit(limits);
        self.pace = Pace::new(limits.resend_rate);
    }

    /// Another bound of the spool on the disk, from its next write on.
    pub fn limit_disk(&mut self, bytes: u64) {
        self.stock.limit_disk(bytes);
    }

    /// A spool is there, with what earlier runs left in it; it takes the place of the one before.
    pub fn attach(&mut self, spool: Spool, now: Instant) {
        self.stock.attach(spool);
        self.begin_backlog(now);
    }

    /// The spool is not there any more; memory goes on.
    pub fn detach(&mut self, now: Instant) {
        self.stock.detach();
        self.begin_backlog(now);
    }

    /// Whether the spool is known to take nothing, as on a file system that is read-only. What is in it is sent, and writing is
    /// tried all the same.
    pub fn doubt(&mut self, doubted: bool) {
        self.stock.doubt(doubted);
    }

    /// Whether there is a spool, working or not.
    pub const fn has_spool(&self) -> bool {
        self.stock.has_disk()
    }

    /// Whether there is a spool that takes what it is given: records outlive this process.
    pub const fn is_durable(&self) -> bool {
        self.stock.is_durable()
    }

    /// Whether the spool's files have gone, so that only opening it anew can help.
    pub fn has_lost_spool(&self) -> bool {
        self.stock.is_gone()
    }

    /// The run that makes records.
    pub const fn run(&self) -> Run {
        self.stock.run()
    }

    /// The lowest `seq` of this run that is held; [`next`](Self::next) when none is.
    pub fn floor(&self) -> u64 {
        self.stock.floor()
    }

    /// The `seq` that the next record will get.
    pub fn next(&self) -> u64 {
        self.stock.next()
    }

    /// How many records are held, of this run and of earlier ones.
    pub fn backlog(&self) -> u64 {
        self.stock.backlog()
    }

    /// How many of these are in memory only.
    pub fn unspilled(&self) -> u64 {
        self.stock.in_memory()
    }

    /// How many of these earlier runs left on the disk.
    pub fn left_by_earlier_runs(&self) -> u64 {
        self.stock.earlier_records()
    }

    /// When the oldest record of this run that is held was made; while a backlog on the disk shrinks, it may be younger.
    pub fn oldest_made(&self) -> Option<Instant> {
        self.stock.oldest_made()
    }

    /// Bytes of records in memory, with what it takes to keep them.
    pub const fn memory_bytes(&self) -> usize {
        self.stock.bytes_in_memory()
    }

    /// Bytes of the spool on the disk.
    pub fn spool_bytes(&self) -> u64 {
        self.stock.bytes_on_disk()
    }

    /// How many records were let go because a bound was reached, or their disk was gone.
    pub fn dropped(&self) -> u64 {
        self.stock.dropped()
    }

    /// How many bytes of the spool were found damaged.
    pub fn damaged(&self) -> u64 {
        self.stock.damaged()
    }

    /// Takes a catalog record, ahead of the first record that uses it.
    pub fn put_catalog(&mut self, number: u32, body: Vec<u8>, now: Instant) -> Result<u64, TooLarge> {
        self.put(Channel::Data, Some(number), body, now)
    }

    /// Takes a record of readings.
    pub fn put_data(&mut self, body: Vec<u8>, now: Instant) -> Result<u64, TooLarge> {
        self.put(Channel::Data, None, body, now)
    }

    /// Takes an event record.
    pub fn put_event(&mut self, body: Vec<u8>, now: Instant) -> Result<u64, TooLarge> {
        self.put(Channel::Event, None, body, now)
    }

    fn put(
        &mut self,
        channel: Channel,
        catalog: Option<u32>,
        body: Vec<u8>,
        now: Instant,
    ) -> Result<u64, TooLarge> {
        let seq = self.stock.put(channel, catalog, body, now)?;
        self.pull_up(now);
        Ok(seq)
    }

    /// What was to be sent at once may have gone to the disk, or for good.
    fn pull_up(&mut self, now: Instant) {
        let first = self.stock.first_in_memory();
        if self.fresh >= first {
            return;
        }
        self.fresh = first;
        if !self.connected || self.stock.oldest().is_none_or(|oldest| oldest >= Place::own(first)) {
            return;
        }
        match &mut self.backlog {
            Backlog::Probing { end } | Backlog::Streaming { end, .. } => *end = first,
            Backlog::None => {
                self.backlog = Backlog::Probing { end: first };
                self.probe_at.get_or_insert(now + QUIET);
            }
        }
    }

    /// Does what is due with the disk.
    pub fn keep(&mut self, now: Instant) {
        if self.stock.spill_at().is_some_and(|at| at <= now) {
            self.stock.spill(now);
            self.pull_up(now);
        }
        if self.read_at().is_some_and(|at| at <= now) {
            self.stock.read_again();
            self.begin_backlog(now);
        }
    }

    /// When [`keep`](Self::keep) has something to do.
    pub fn keep_at(&self) -> Option<Instant> {
        [self.stock.spill_at(), self.read_at()].into_iter().flatten().min()
    }

    /// When a disk that could not be read is tried again: not while something else can be sent.
    fn read_at(&self) -> Option<Instant> {
        let is_idle = self.connected && !matches!(self.backlog, Backlog::Streaming { .. });
        self.stock.read_at().filter(|_| is_idle)
    }

    /// The process ends: what is unacked goes to the disk, if there is one.
    pub fn stop(&mut self, now: Instant) -> Left {
        if self.stock.in_memory() > 0 {
            self.stock.spill_at_the_end(now);
        }
        let lost = self.stock.in_memory();
        Left { kept: self.stock.backlog() - lost, lost }
    }
}

/// What it sends.
impl Custody {
    /// A connection is there: publishing works from now on.
    pub fn connected(&mut self, now: Instant) {
        self.connected = true;
        self.wanted.clear();
        self.quiet = QUIET;
        self.heard = Some(now);
        self.fresh = self.stock.fresh_since(now.checked_sub(FRESH_FOR).unwrap_or(now));
        self.begin_backlog(now);
    }

    /// The connection is gone. What was handed out and not acked will go again.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.wanted.clear();
        self.backlog = Backlog::None;
        self.probe_at = None;
    }

    /// The machine was suspended until now, unnoticed by `Instant`s.
    pub const fn slept(&mut self, now: Instant) {
        self.awake = Some(now);
    }

    /// What was held before this connection, or came to light on it, begins with its oldest.
    fn begin_backlog(&mut self, now: Instant) {
        self.led = None;
        let is_due =
            self.connected && self.stock.oldest().is_some_and(|oldest| oldest < Place::own(self.fresh));
        (self.backlog, self.probe_at) =
            if is_due { (Backlog::Probing { end: self.fresh }, Some(now)) } else { (Backlog::None, None) };
    }

    /// When the hub's newest ack came, on whatever connection.
    pub const fn acked_at(&self) -> Option<Instant> {
        self.acked
    }

    /// When the hub was last heard on this connection, or the connection was made.
    pub const fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// The hub's receipt.
    pub fn acked(&mut self, ack: &Ack, now: Instant) {
        self.acked = Some(now);
        let was_silent = self.heard.replace(now).is_none_or(|heard| now >= heard + QUIET);
        let (mut moved, mut passed) = (false, false);
        for safe in &ack.safe {
            if safe.run == self.run() && safe.below > self.next() {
                self.complain(safe.below);
            } else if self.stock.let_go(safe.run, safe.below) {
                moved = true;
                // Beyond a gap: the hub does not know of it, and waits for what is not there.
                passed |= self.stock.floor_of(safe.run).is_some_and(|floor| floor > safe.below);
                debug!("acked below {} of run {}", safe.below, safe.run);
            }
        }
        self.pull_up(now);
        let known = self.history.replace(ack.history);
        if known.is_some_and(|known| known != ack.history) {
            info!("the hub has a new history; what is held goes again: {} records", self.backlog());
            self.led = None;
            self.backlog = Backlog::Streaming { next: Place::FIRST, end: self.fresh };
            self.moved(now);
        } else if moved {
            if let Backlog::Probing { end } = self.backlog {
                self.backlog = Backlog::Streaming { next: Place::FIRST, end };
            }
            self.moved(now);
            if passed && self.backlog == Backlog::None {
                self.probe_at = Some(now);
            }
        } else if let Some(at) = self.probe_at {
            // It speaks, so it may be well again: no reason to wait for minutes.
            self.quiet = QUIET;
            self.probe_at = Some(if was_silent { now } else { at.min(now + QUIET) });
        }
        for want in &ack.wants {
            if let Want::Catalog { run, number } = *want {
                self.want(run, number, now);
            }
        }
    }

    fn complain(&mut self, below: u64) {
        if !std::mem::replace(&mut self.complained, true) {
            let next = self.next();
            warn!("the hub acked records below {below} of this run, which has {next} so far; ignored");
        }
    }

    /// An ack moved: the hub is well.
    fn moved(&mut self, now: Instant) {
        self.stock.moved(now);
        self.quiet = QUIET;
        let waits = self.stock.oldest().is_some_and(|oldest| oldest < Place::own(self.fresh));
        self.probe_at = waits.then(|| now + QUIET);
    }

    fn want(&mut self, run: Run, number: u32, now: Instant) {
        self.wanted.retain(|wanted| wanted.sent.is_none_or(|sent| now < sent + WANT_PAUSE));
        let is_known = self.wanted.iter().any(|wanted| (wanted.run, wanted.number) == (run, number));
        if !is_known && (run == self.run() || self.stock.floor_of(run).is_some()) {
            self.wanted.push(Wanted { run, number, sent: None });
        }
    }

    /// The next record to publish, which is thereby handed out. Ask only while the link takes messages.
    pub fn next_outgoing(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        if !self.connected {
            return None;
        }
        while let Some(wanted) = self.wanted.iter_mut().find(|wanted| wanted.sent.is_none()) {
            wanted.sent = Some(now);
            let (run, number) = (wanted.run, wanted.number);
            if let Some((seq, body)) = self.stock.catalog(run, number) {
                if let Backlog::Probing { .. } = self.backlog {
                    // What went alone was of no use without it.
                    self.probe_at = Some(now);
                }
                return Some(self.outgoing_catalog(run, seq, body));
            }
            debug!("the hub asks for catalog {number} of run {run}, which is not held any more");
        }
        if self.fresh < self.next() {
            let place = Place::own(self.fresh);
            self.fresh += 1;
            let found = self.stock.find(place, now)?;
            return Some(self.hand_out(found, true, now));
        }
        if self.probe_at.is_some_and(|at| at <= now) {
            return self.probe(now);
        }
        self.stream(now)
    }

    /// No ack has moved: the oldest record, alone.
    fn probe(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        let found = self.stock.find(Place::FIRST, now).filter(|found| found.place < Place::own(self.fresh));
        let Some(found) = found else {
            self.probe_at = None;
            return None;
        };
        let end = match self.backlog {
            // The first one on this connection: what was fresh then is on its way.
            Backlog::Probing { end } if self.quiet == QUIET => end,
            _ => self.fresh,
        };
        self.backlog = Backlog::Probing { end };
        self.probe_at = Some(now + self.quiet);
        self.quiet = (self.quiet * 2).min(QUIET_MOST);
        Some(self.hand_out(found, false, now))
    }

    /// The next of the backlog, if it is time.
    fn stream(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        let Backlog::Streaming { next, end } = self.backlog else { return None };
        if self.pace.next(now) > now {
            return None;
        }
        let Some(found) = self.stock.find(next, now).filter(|found| found.place < Place::own(end)) else {
            self.backlog = Backlog::None;
            return None;
        };
        self.pace.take(now);
        let uses = (found.run, found.catalog);
        let is_led = found.place.is_own() || found.is_catalog || found.catalog == 0 || self.led == Some(uses);
        if !is_led {
            self.led = Some(uses);
            if let Some((seq, body)) = self.stock.catalog(found.run, found.catalog) {
                self.backlog = Backlog::Streaming { next: found.place, end };
                return Some(self.outgoing_catalog(found.run, seq, body));
            }
        }
        self.backlog = Backlog::Streaming { next: found.place.following(), end };
        Some(self.hand_out(found, false, now))
    }

    fn hand_out(&mut self, found: Found, fresh: bool, now: Instant) -> Outgoing<'_> {
        self.probe_at.get_or_insert(now + QUIET);
        self.stock.sent(&found);
        if found.is_catalog && !found.place.is_own() {
            self.led = Some((found.run, found.catalog));
        }
        let is_live = |made: Instant| {
            now.saturating_duration_since(made) <= LIVE_FOR && self.awake.is_none_or(|awake| made >= awake)
        };
        let sending = if fresh && found.made.is_some_and(is_live) { Sending::First } else { Sending::Again };
        let seq = found.place.seq;
        let floor = self.stock.floor_of(found.run).unwrap_or(seq);
        let envelope = Envelope { run: found.run, seq, floor, sending };
        Outgoing { channel: found.channel, envelope, body: self.stock.body(&found) }
    }

    fn outgoing_catalog(&mut self, run: Run, seq: u64, body: Vec<u8>) -> Outgoing<'_> {
        let floor = if run == self.run() { Some(self.floor()) } else { self.stock.floor_of(run) };
        let envelope = Envelope { run, seq, floor: floor.unwrap_or(seq), sending: Sending::Again };
        self.catalog = body;
        Outgoing { channel: Channel::Data, envelope, body: &self.catalog }
    }

    /// When [`next_outgoing`](Self::next_outgoing) is worth asking again if nothing else happens; `None` for never.
    pub fn send_at(&self, now: Instant) -> Option<Instant> {
        if !self.connected {
            return None;
        }
        if self.fresh < self.next() || self.wanted.iter().any(|wanted| wanted.sent.is_none()) {
            return Some(now);
        }
        let streaming = matches!(self.backlog, Backlog::Streaming { .. }).then(|| self.pace.next(now));
        [self.probe_at, streaming].into_iter().flatten().min()
    }

    /// When there is something to do, if nothing else happens: [`keep`](Self::keep), then
    /// [`next_outgoing`](Self::next_outgoing); `None` for never.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        [self.send_at(now), self.keep_at()].into_iter().flatten().min()
    }
}
