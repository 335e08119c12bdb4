//! Who follows what, and what they have still to be told. No I/O and no clock: rows and alerts come in as JSON, messages go out.
//!
//! Each view has a ring of its last messages. Clients read from it at their own pace: nobody is waited for, and who falls behind what the ring still has is let go.
//! Who comes back names the last message that it had and goes on from there, or begins anew with everything.
//!
//! Invariants: a client that has read up to a message knows of its view what the hub knew when that was made. Rings have a largest size, all of them together as well;
//! nothing grows with the number of clients.

use super::frame::{Event, Frame, Id};
use super::picker::Picker;
use super::view::{Topic, View};
use crate::fleet::Appliance;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A view that nobody follows any more is kept so long for who comes back.
const LINGER: Duration = Duration::from_mins(1);
/// What all rings may hold, of text; packed it is there once more, at a fifth.
const RINGS: usize = 32 << 20;
/// What one may.
const RING: usize = 2 << 20;
/// Messages of a ring.
const FRAMES: usize = 240;
/// Most views; those that nobody follows make room.
const VIEWS: usize = 1024;
/// Most of them that ask for series.
const PICKING: usize = 128;

/// Something that is told, with whom it concerns.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// The site; empty if it concerns none.
    pub(super) site: String,
    /// The appliance; empty if it concerns none.
    pub(super) appliance: String,
    /// JSON.
    pub(super) json: String,
}

/// What is new.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Appliances that changed.
    pub(super) rows: Vec<Told>,
    /// Sites that changed, without their appliances.
    pub(super) sites: Vec<Told>,
    /// How the hub itself is, if that changed: for who sees every site.
    pub(super) own: Vec<Told>,
    /// Alerts that changed.
    pub(super) alerts: Vec<Told>,
    /// Mutes that changed.
    pub(super) mutes: Vec<Told>,
    /// Maintenance by hand that changed.
    pub(super) works: Vec<Told>,
    /// Of whom there is something new in the log.
    pub(super) log: Vec<Told>,
    /// The newest values of appliances that views are about.
    pub(super) latest: Vec<Told>,
    /// What is wrong with the hub itself, an event each, if that changed: for everybody.
    pub(super) hub: Vec<Event>,
    /// How it fares, if that changed: for who sees every site, and for who sees some.
    pub(super) state: Option<[Event; 2]>,
    /// Of each view that asks for series, by its place among [`Board::picking`]: their values.
    pub(super) series: Vec<Vec<String>>,
}

/// A view and its ring.
#[derive(Debug)]
pub(super) struct Channel {
    /// What it is about.
    pub(super) view: View,
    /// What it takes of each appliance's series.
    picker: Mutex<Picker>,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
    followers: AtomicUsize,
}

#[derive(Debug, Default)]
struct Ring {
    /// Every message after this one is here.
    floor: u64,
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
    /// Everything, as it was at the message of its number.
    all: Option<Arc<Frame>>,
    /// Since when nobody follows.
    left: Option<Instant>,
}

impl Channel {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came after message `seq`; nothing, if not all of that is still here.
    pub(super) fn after(&self, seq: u64) -> Option<Vec<Arc<Frame>>> {
        let ring = self.ring();
        if seq < ring.floor {
            return None;
        }
        let at = ring.frames.partition_point(|frame| frame.seq <= seq);
        Some(ring.frames.range(at..).cloned().collect())
    }

    /// What it takes of the series of these appliances, as far as it covers them.
    pub(super) fn picked<'f>(&self, all: impl Iterator<Item = (usize, &'f Appliance)>) -> Vec<String> {
        let mut picker = self.picker.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |one: &'f Appliance| (one.name.site.as_str(), one.name.appliance.as_str());
        let covered = all.filter(|(_, one)| self.view.covers(name(one).0, name(one).1));
        covered.filter_map(|(slot, one)| picker.pick(slot, one)).collect()
    }

    fn push(&self, frame: Arc<Frame>, most: usize) {
        let mut ring = self.ring();
        ring.bytes += frame.len();
        self.newest.send_replace(frame.seq);
        ring.frames.push_back(frame);
        // The newest stays, however large: else nobody would ever have it.
        while ring.frames.len() > 1 && (ring.bytes > most || ring.frames.len() > FRAMES) {
            let Some(oldest) = ring.frames.pop_front() else { break };
            ring.bytes -= oldest.len();
            ring.floor = oldest.seq;
        }
        if ring.all.as_ref().is_some_and(|all| all.seq < ring.floor) {
            ring.all = None;
        }
    }

    /// Everything, if there is one from which on all is here and that is less than everything anew.
    fn snapshot(&self) -> Option<Arc<Frame>> {
        let ring = self.ring();
        let all = ring.all.as_ref()?;
        let since = ring.frames.iter().filter(|frame| frame.seq > all.seq).map(|frame| frame.len());
        (since.sum::<usize>() <= all.len() / 2).then(|| Arc::clone(all))
    }

    fn leave(&self, now: Instant) {
        if self.followers.fetch_sub(1, Ordering::Relaxed) == 1 {
            let mut ring = self.ring();
            (ring.left, ring.all) = (Some(now), None);
        }
    }
}

/// A client on its way through the messages of a view.
#[derive(Debug)]
pub(super) struct Follower {
    channel: Arc<Channel>,
    newest: watch::Receiver<u64>,
    /// The last message that was taken.
    seq: u64,
    waiting: VecDeque<Arc<Frame>>,
}

/// What a client is to do.
#[derive(Debug)]
pub(super) enum Next {
    /// Send this.
    Frame(Arc<Frame>),
    /// Wait for more.
    Wait,
    /// End: it has fallen behind.
    End,
}

impl Follower {
    /// What is to be sent next.
    pub(super) fn next(&mut self) -> Next {
        if self.waiting.is_empty() {
            // Seen before it is looked for, so that none goes unnoticed between the two.
            self.newest.borrow_and_update();
            match self.channel.after(self.seq) {
                Some(frames) => self.waiting.extend(frames),
                None => return Next::End,
            }
        }
        match self.waiting.pop_front() {
            Some(frame) => {
                self.seq = frame.seq;
                Next::Frame(frame)
            }
            None => Next::Wait,
        }
    }

    /// Returns when there may be more.
    pub(super) async fn wait(&mut self) {
        // The sender lives as long as the channel, and that as long as this.
        let _ = self.newest.changed().await;
    }

    /// It has gone.
    pub(super) fn leave(&self, now: Instant) {
        self.channel.leave(now);
    }
}

/// All views.
#[derive(Debug)]
pub(super) struct Board {
    boot: u32,
    seq: u64,
    channels: HashMap<View, Arc<Channel>>,
}

impl Board {
    /// Nobody follows yet. `boot` tells this start of the hub from all others.
    pub(super) fn new(boot: u32) -> Self {
        Self { boot, seq: 0, channels: HashMap::new() }
    }

    /// Whether anybody follows anything, or may come back to it.
    pub(super) fn is_idle(&self) -> bool {
        self.channels.is_empty()
    }

    /// Whether any view is about this.
    pub(super) fn wants(&self, topic: Topic) -> bool {
        self.channels.keys().any(|view| view.wants(topic))
    }

    /// The appliances of which a view asks for the newest values.
    pub(super) fn read(&self) -> BTreeSet<(&str, &str)> {
        let views = self.channels.keys().filter(|view| view.wants(Topic::Latest));
        views.filter_map(View::one).collect()
    }

    /// The views that ask for series.
    pub(super) fn picking(&self) -> Vec<Arc<Channel>> {
        self.channels.values().filter(|channel| channel.view.has_series()).cloned().collect()
    }

    /// Bytes of text that are kept for those who come back.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let of = |channel: &Arc<Channel>| {
            let ring = channel.ring();
            ring.bytes + ring.all.as_ref().map_or(0, |all| all.len())
        };
        self.channels.values().map(of).sum()
    }

    /// A client comes. `after` is the last message that it had. `all` says everything, if it has to be told that; none, if there is no room for one more view.
    pub(super) fn join(
        &mut self,
        view: &View,
        after: Option<Id>,
        now: Instant,
        all: impl FnOnce(&Channel) -> Vec<Event>,
    ) -> Option<Follower> {
        let channel = self.channel(view, now)?;
        channel.followers.fetch_add(1, Ordering::Relaxed);
        channel.ring().left = None;
        let newest = channel.newest.subscribe();
        let after = after.filter(|id| id.boot == self.boot && id.seq <= self.seq).map(|id| id.seq);
        let mut follower = Follower { channel, newest, seq: 0, waiting: VecDeque::new() };
        if let Some(after) = after.filter(|after| follower.channel.after(*after).is_some()) {
            follower.seq = after;
            return Some(follower);
        }
        let frame = follower.channel.snapshot().unwrap_or_else(|| {
            let id = Id { boot: self.boot, seq: self.seq };
            let frame = Arc::new(Frame::new(id, &all(&follower.channel)));
            follower.channel.ring().all = Some(Arc::clone(&frame));
            frame
        });
        follower.seq = frame.seq;
        follower.waiting.push_back(frame);
        Some(follower)
    }

    fn channel(&mut self, view: &View, now: Instant) -> Option<Arc<Channel>> {
        if let Some(channel) = self.channels.get(view) {
            return Some(Arc::clone(channel));
        }
        let is_full = |board: &Self| {
            board.channels.len() >= VIEWS || (view.has_series() && board.picking().len() >= PICKING)
        };
        if is_full(self) {
            self.sweep(now + LINGER);
        }
        if is_full(self) {
            return None;
        }
        let ring = Ring { floor: self.seq, ..Ring::default() };
        let channel = Arc::new(Channel {
            view: view.clone(),
            picker: Mutex::new(Picker::new(view.selectors())),
            ring: Mutex::new(ring),
            newest: watch::channel(self.seq).0,
            followers: AtomicUsize::new(0),
        });
        self.channels.insert(view.clone(), Arc::clone(&channel));
        Some(channel)
    }

    /// Tells everybody what concerns them. `picked` are the views that `series` is of.
    pub(super) fn publish(&mut self, news: &News, picked: &[Arc<Channel>]) {
        self.seq += 1;
        let id = Id { boot: self.boot, seq: self.seq };
        let most = (RINGS / self.channels.len().max(1)).min(RING);
        for channel in self.channels.values() {
            let mut events = Vec::new();
            for (topic, name, all) in [
                (Topic::Rows, "own", &news.own),
                (Topic::Rows, "sites", &news.sites),
                (Topic::Rows, "rows", &news.rows),
                (Topic::Alerts, "alert", &news.alerts),
                (Topic::Alerts, "mutes", &news.mutes),
                (Topic::Alerts, "maintenance", &news.works),
                (Topic::Log, "log", &news.log),
                (Topic::Latest, "latest", &news.latest),
            ] {
                if channel.view.wants(topic) {
                    events.extend(list(name, all, &channel.view));
                }
            }
            let picked = picked.iter().zip(&news.series).find(|(picked, _)| Arc::ptr_eq(picked, channel));
            if let Some((_, values)) = picked.filter(|(_, values)| !values.is_empty()) {
                events.push(("series", format!("[{}]", values.join(","))));
            }
            if let Some([whole, limited]) = news.state.as_ref().filter(|_| channel.view.wants(Topic::Hub)) {
                events.push(if channel.view.is_limited() { limited.clone() } else { whole.clone() });
            }
            events.extend(news.hub.iter().cloned());
            if !events.is_empty() {
                channel.push(Arc::new(Frame::new(id, &events)), most);
            }
        }
    }

    /// Lets go of views that nobody came back to, and of what was made for those who came at once.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.channels.retain(|_, channel| {
            let mut ring = channel.ring();
            ring.all = None;
            ring.left.is_none_or(|left| now.saturating_duration_since(left) < LINGER)
        });
    }
}

/// Those of `all` that the view covers, as an event; nothing if there are none.
fn list(name: &'static str, all: &[Told], view: &View) -> Option<Event> {
    let mut json = String::new();
    for told in all.iter().filter(|told| view.covers(&told.site, &told.appliance)) {
        json.push(if json.is_empty() { '[' } else { ',' });
        json.push_str(&told.json);
    }
    (!json.is_empty()).then(|| (name, json + "]"))
}

/// All of them, also if there are none.
pub(super) fn whole(name: &'static str, all: &[Told], view: &View) -> Event {
    list(name, all, view).unwrap_or_else(|| (name, "[]".to_owned()))
}
