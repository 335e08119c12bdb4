//! Custody: the agent answers for each record until the hub's ack covers it.
//!
//! Pure: records, acks and moments in, records to send out. It knows nothing of MQTT but that a connection is there or not;
//! what it hands out it expects to be published. What is held is `held`'s business, how fast a backlog goes is
//! `pace`'s; this file decides what is sent when:
//!
//! - fresh records go at once while connected, before anything else;
//! - after a (re)connect, and whenever no ack has moved for 10 s while something is unacked (backing off to 5 minutes), the
//!   oldest unacked record goes alone: a hub that is down or overrun is not buried under a backlog that it cannot take;
//! - once an ack moves, the rest of the backlog follows, oldest first, at a bounded rate;
//! - a changed history id means that the hub lost what it had: all that is held goes again.
//!
//! Invariants: a record leaves only by an ack that covers it, or, oldest first and counted, when the bound is reached; an
//! ack that makes no sense (an unknown run, beyond what was made, backwards) changes nothing.

mod held;
mod pace;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

use held::Held;
use log::{debug, info, warn};
use pace::Pace;
use rackside_proto::{Ack, Channel, Envelope, Run, Sending, Want};
use std::fmt;
use std::time::{Duration, Instant};

/// How long no ack may move before the oldest unacked record goes again.
const QUIET: Duration = Duration::from_secs(10);
/// Where the doubling of that ends.
const QUIET_MOST: Duration = Duration::from_mins(5);
/// A record that was made at most this long ago and never sent is fresh, even if the link came up in between.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// The same catalog is not sent again within this time, however often the hub asks: its request and our answer cross.
const WANT_PAUSE: Duration = Duration::from_secs(2);

/// How much is held, how fast a backlog goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of records, with what it takes to keep them.
    pub bytes: usize,
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
    /// The oldest record goes alone when `probe_at` comes; the others before `end` wait for an ack to move.
    Probing { end: u64 },
    /// The records from `next` to `end` go at the bounded rate.
    Streaming { next: u64, end: u64 },
}

/// A catalog that the hub asked for.
#[derive(Debug)]
struct Wanted {
    number: u32,
    /// When it was last sent for the asking; `None` while it waits to be.
    sent: Option<Instant>,
}

/// Records of a run, from their making to their ack.
#[derive(Debug)]
pub struct Custody {
    held: Held,
    pace: Pace,
    connected: bool,
    history: Option<u64>,
    /// The first record that was not handed out on this connection and goes at once.
    fresh: u64,
    backlog: Backlog,
    /// When the oldest unacked record goes alone, unless an ack moves before.
    probe_at: Option<Instant>,
    /// How long after that the next time would come.
    quiet: Duration,
    wanted: Vec<Wanted>,
    /// Whether an ack that makes no sense was complained of: a hub that sends one sends many.
    complained: bool,
}

impl Custody {
    /// An empty custody.
    pub fn new(run: Run, limits: Limits) -> Self {
        Self {
            held: Held::new(run, limits.bytes),
            pace: Pace::new(limits.resend_rate),
            connected: false,
            history: None,
            fresh: 0,
            backlog: Backlog::None,
            probe_at: None,
            quiet: QUIET,
            wanted: Vec::new(),
            complained: false,
        }
    }

    /// Other limits from now on. What is held beyond them goes when the next record comes.
    pub fn limit(&mut self, limits: Limits) {
        self.held.limit(limits.bytes);
        self.pace = Pace::new(limits.resend_rate);
    }

    /// Whose records.
    pub const fn run(&self) -> Run {
        self.held.run()
    }

    /// The lowest `seq` that is held; [`next`](Self::next) when none is.
    pub const fn floor(&self) -> u64 {
        self.held.floor()
    }

    /// The `seq` that the next record will get.
    pub fn next(&self) -> u64 {
        self.held.next()
    }

    /// How many records are held.
    pub fn backlog(&self) -> u64 {
        self.held.next() - self.held.floor()
    }

    /// How many records were let go because the bound was reached.
    pub const fn dropped(&self) -> u64 {
        self.held.dropped()
    }

    /// Takes a catalog record, ahead of the first record that uses it.
    pub fn put_catalog(&mut self, number: u32, body: Vec<u8>, now: Instant) -> Result<u64, TooLarge> {
        self.held.put(Channel::Data, Some(number), body, now).inspect(|_| self.pulled_up())
    }

    /// Takes a record of readings.
    pub fn put_data(&mut self, body: Vec<u8>, now: Instant) -> Result<u64, TooLarge> {
        self.held.put(Channel::Data, None, body, now).inspect(|_| self.pulled_up())
    }

    /// Takes an event record.
    pub fn put_event(&mut self, body: Vec<u8>, now: Instant) -> Result<u64, TooLarge> {
        self.held.put(Channel::Event, None, body, now).inspect(|_| self.pulled_up())
    }

    /// The floor may have risen past what was to be sent.
    fn pulled_up(&mut self) {
        self.fresh = self.fresh.max(self.held.floor());
    }

    /// A connection is there: publishing works from now on.
    pub fn connected(&mut self, now: Instant) {
        self.connected = true;
        self.wanted.clear();
        self.quiet = QUIET;
        self.fresh = self.held.fresh_since(now.checked_sub(FRESH_FOR).unwrap_or(now));
        if self.held.floor() < self.fresh {
            self.backlog = Backlog::Probing { end: self.fresh };
            self.probe_at = Some(now);
        } else {
            self.backlog = Backlog::None;
            self.probe_at = None;
        }
    }

    /// The connection is gone. What was handed out and not acked will go again.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.wanted.clear();
        self.backlog = Backlog::None;
        self.probe_at = None;
    }

    /// The hub's receipt.
    pub fn acked(&mut self, ack: &Ack, now: Instant) {
        let before = self.held.floor();
        let run = self.run();
        for safe in ack.safe.iter().filter(|safe| safe.run == run) {
            if safe.below > self.held.next() {
                if !std::mem::replace(&mut self.complained, true) {
                    let next = self.held.next();
                    warn!(
                        "the hub acked records below {} of this run, which has {next} so far; ignored",
                        safe.below
                    );
                }
            } else {
                self.held.let_go(safe.below);
            }
        }
        self.pulled_up();
        let known = self.history.replace(ack.history);
        if known.is_some_and(|known| known != ack.history) {
            info!("the hub has a new history; what is held goes again: {} records", self.backlog());
            self.backlog = Backlog::Streaming { next: self.held.floor(), end: self.fresh };
            self.moved(now);
        } else if self.held.floor() > before {
            debug!("acked below {}", self.held.floor());
            if let Backlog::Probing { end } = self.backlog {
                self.backlog = Backlog::Streaming { next: self.held.floor(), end };
            }
            self.moved(now);
        }
        for want in &ack.wants {
            if let Want::Catalog { run, number } = *want
                && run == self.run()
            {
                self.want(number, now);
            }
        }
    }

    /// An ack moved: the hub is well.
    fn moved(&mut self, now: Instant) {
        self.quiet = QUIET;
        self.probe_at = (self.held.floor() < self.fresh).then(|| now + QUIET);
    }

    fn want(&mut self, number: u32, now: Instant) {
        self.wanted.retain(|wanted| wanted.sent.is_none_or(|sent| now < sent + WANT_PAUSE));
        if self.held.catalog(number).is_none() {
            debug!("the hub asks for catalog {number}, which is not held any more");
        } else if !self.wanted.iter().any(|wanted| wanted.number == number) {
            self.wanted.push(Wanted { number, sent: None });
        }
    }

    /// The next record to publish, which is thereby handed out. Ask only while the link takes messages.
    pub fn next_outgoing(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        if !self.connected {
            return None;
        }
        if let Some(wanted) = self.wanted.iter_mut().find(|wanted| wanted.sent.is_none()) {
            wanted.sent = Some(now);
            let number = wanted.number;
            if let Some(seq) = self.held.catalog(number) {
                return self.outgoing_catalog(seq, number);
            }
        }
        if self.fresh < self.held.next() {
            let seq = self.fresh;
            self.fresh += 1;
            return self.hand_out(seq, true, now);
        }
        if self.probe_at.is_some_and(|at| at <= now) {
            return self.probe(now);
        }
        if let Backlog::Streaming { next, end } = self.backlog {
            let next = next.max(self.held.floor());
            if next >= end {
                self.backlog = Backlog::None;
            } else if self.pace.take(now) {
                self.backlog = Backlog::Streaming { next: next + 1, end };
                return self.hand_out(next, false, now);
            }
        }
        None
    }

    /// No ack has moved: the oldest record, alone.
    fn probe(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        let oldest = self.held.floor();
        if oldest >= self.fresh {
            self.probe_at = None;
            return None;
        }
        self.backlog = Backlog::Probing { end: self.fresh };
        self.probe_at = Some(now + self.quiet);
        self.quiet = (self.quiet * 2).min(QUIET_MOST);
        self.hand_out(oldest, false, now)
    }

    fn hand_out(&mut self, seq: u64, fresh: bool, now: Instant) -> Option<Outgoing<'_>> {
        self.probe_at.get_or_insert(now + QUIET);
        let floor = self.held.floor();
        let record = self.held.hand_out(seq)?;
        let live = fresh && now.saturating_duration_since(record.made) <= FRESH_FOR;
        let sending = if live { Sending::First } else { Sending::Again };
        let envelope = Envelope { run: record.run, seq, floor, sending };
        Some(Outgoing { channel: record.channel, envelope, body: record.body })
    }

    fn outgoing_catalog(&self, seq: u64, number: u32) -> Option<Outgoing<'_>> {
        let envelope = Envelope { run: self.run(), seq, floor: self.held.floor(), sending: Sending::Again };
        Some(Outgoing { channel: Channel::Data, envelope, body: self.held.catalog_body(number)? })
    }

    /// When [`next_outgoing`](Self::next_outgoing) is worth asking again if nothing else happens; `None` for never.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if !self.connected {
            return None;
        }
        if self.fresh < self.held.next() || self.wanted.iter().any(|wanted| wanted.sent.is_none()) {
            return Some(now);
        }
        let streaming = matches!(self.backlog, Backlog::Streaming { .. }).then(|| self.pace.next(now));
        [self.probe_at, streaming].into_iter().flatten().min()
    }
}
