//! Who is connected, who wants what, what is kept: the listener's shared state, without I/O.
//!
//! One `Router` stands behind one read-write lock. Routing what is not retained only reads; connecting, subscribing and
//! retaining write, so that a new subscriber gets the retained message and everything after it, in that order. A
//! message is laid out once ([`Message`]) and pushed to the session of each subscriber; nobody is waited for.
//!
//! ```text
//! clients["panel"] = { session 7, kept, filters: [rackside/#], on: connection 12 with its bell and will }
//! ```
//!
//! Invariant: every filter in the index belongs to exactly one client's list, and the other way round; a client that is
//! not connected is kept, and there are at most `limits.sessions` of those.

use super::config::Limits;
use super::index::Index;
use super::message::{Message, Qos};
use super::permission::Owner;
use super::retained::Retained;
use super::rights::Rights;
use super::session::{Bell, Closing, Delivery, Pushed, Session};
use super::stats::{Counters, Reason};
use super::topic;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

/// The shared state.
#[derive(Debug)]
pub(super) struct Router {
    limits: Arc<Limits>,
    counters: Arc<Counters>,
    index: Index,
    retained: Retained,
    clients: HashMap<Arc<str>, Client>,
    connected: usize,
    subscriptions: usize,
    sessions_made: u64,
    /// Below this topic lies the JSON mirror, and so many filters reach there.
    mirror_stem: String,
    mirror_wishes: usize,
}

#[derive(Debug)]
struct Client {
    session: Arc<Session>,
    owner: Owner,
    /// Whether the session outlives its connection.
    kept: bool,
    filters: Vec<Arc<str>>,
    presence: Presence,
}

#[derive(Debug)]
enum Presence {
    Here { connection: u64, bell: Arc<Bell>, will: Option<Will> },
    Away { since: Instant },
}

/// A Last Will, already checked.
#[derive(Debug, Clone)]
pub(super) struct Will {
    pub(super) message: Arc<Message>,
    pub(super) retain: bool,
    /// Whether it goes to ingest too.
    pub(super) ingest: bool,
    /// Whose it is.
    pub(super) connection: u64,
}

/// A CONNECT that has passed every check.
#[derive(Debug)]
pub(super) struct Greeting {
    /// None: the client asked for a name to be made up.
    pub(super) client_id: Option<Arc<str>>,
    pub(super) clean: bool,
    pub(super) will: Option<Will>,
    pub(super) connection: u64,
    pub(super) bell: Arc<Bell>,
    pub(super) owner: Owner,
    /// What it may read; everything without.
    pub(super) rights: Option<Arc<Rights>>,
}

/// What a CONNECT gets.
#[derive(Debug)]
pub(super) struct Welcome {
    pub(super) client_id: Arc<str>,
    pub(super) session: Arc<Session>,
    /// Whether the session was there before.
    pub(super) present: bool,
    /// The will of the connection that was taken over.
    pub(super) will: Option<Will>,
}

/// A message to route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Publication<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: Qos,
    pub(super) retain: bool,
}

/// The router's sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) clients: usize,
    pub(super) sessions_away: usize,
    pub(super) subscriptions: usize,
    pub(super) retained_messages: usize,
    pub(super) retained_bytes: usize,
}

impl Router {
    /// An empty router. `mirror_stem` is `<prefix>/json`.
    pub(super) fn new(limits: Arc<Limits>, counters: Arc<Counters>, mirror_stem: String) -> Self {
        let retained = Retained::new(limits.retained_messages, limits.retained_bytes.bytes() as usize);
        Self {
            limits,
            counters,
            index: Index::default(),
            retained,
            clients: HashMap::new(),
            connected: 0,
            subscriptions: 0,
            sessions_made: 0,
            mirror_stem,
            mirror_wishes: 0,
        }
    }

    /// Lets a client in; one of the same name that is connected is closed. `Err` if there are too many already, or the name is in use by another user.
    /// What waits for one user, and what it has subscribed to, is never another one's.
    pub(super) fn connect(&mut self, greeting: Greeting) -> Result<Welcome, Reason> {
        let Greeting { client_id, clean, will, connection, bell, owner, rights } = greeting;
        let client_id = client_id.unwrap_or_else(|| self.name_for(connection));
        let known = self.clients.get(&client_id);
        let takes_over = known.is_some_and(Client::is_here);
        let is_theirs = known.is_some_and(|known| known.owner == owner);
        if takes_over && !is_theirs && owner != Owner::Appliance {
            return Err(Reason::ClientId);
        }
        if !takes_over && self.connected >= self.limits.clients {
            return Err(Reason::TooManyClients);
        }
        let left = self.take_over(&client_id);
        let present = !clean && is_theirs && self.clients.get(&client_id).is_some_and(|client| client.kept);
        if !present {
            self.remove(&client_id);
            self.sessions_made += 1;
            let session = Session::new(self.sessions_made, rights);
            let presence = Presence::Here { connection, bell: Arc::clone(&bell), will };
            let client = Client { session, owner, kept: !clean, filters: Vec::new(), presence };
            self.clients.insert(Arc::clone(&client_id), client);
        } else if let Some(client) = self.clients.get_mut(&client_id) {
            client.presence = Presence::Here { connection, bell: Arc::clone(&bell), will };
        }
        self.connected += 1;
        let session = Arc::clone(&self.clients.get(&client_id).expect("inserted above").session);
        session.attach(bell);
        Ok(Welcome { client_id, session, present, will: left })
    }

    /// A name that nobody has. Names of clients' own choice may look the same, hence the loop.
    fn name_for(&self, connection: u64) -> Arc<str> {
        let mut name = format!("unnamed-{connection}");
        while self.clients.contains_key(&*name) {
            name.push('_');
        }
        name.into()
    }

    /// Ends the connection that has this name now, if there is one, and leaves its will to be routed.
    fn take_over(&mut self, client_id: &str) -> Option<Will> {
        let Presence::Here { bell, will, .. } = &mut self.clients.get_mut(client_id)?.presence else {
            return None;
        };
        bell.close(Closing::TakenOver);
        self.connected -= 1;
        let will = will.take()?;
        self.bequeath(&will);
        Some(will)
    }

    /// A connection has ended. Returns the will, routed to subscribers already, unless the client said goodbye.
    pub(super) fn disconnect(
        &mut self,
        client_id: &str,
        connection: u64,
        goodbye: bool,
        now: Instant,
    ) -> Option<Will> {
        let client = self.clients.get_mut(client_id)?;
        let Presence::Here { connection: current, will, .. } = &mut client.presence else { return None };
        if *current != connection {
            return None;
        }
        let will = if goodbye { None } else { will.take() };
        self.connected -= 1;
        if client.kept {
            client.presence = Presence::Away { since: now };
            client.session.detach();
            self.evict_one_too_many();
        } else {
            self.remove(client_id);
        }
        let will = will?;
        self.bequeath(&will);
        Some(will)
    }

    fn bequeath(&mut self, will: &Will) {
        if will.retain && !self.retained.keep(&will.message) {
            self.counters.count(Reason::RetainedFull);
        }
        self.push_to_all(&will.message);
    }

    fn evict_one_too_many(&mut self) {
        if self.clients.len() - self.connected <= self.limits.sessions {
            return;
        }
        let oldest =
            self.clients.iter().filter_map(|(name, client)| Some((client.away_since()?, name))).min();
        if let Some(name) = oldest.map(|(_, name)| Arc::clone(name)) {
            self.remove(&name);
            self.counters.count(Reason::SessionExpired);
        }
    }

    /// Forgets the sessions of clients that have been away for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        let age = self.limits.session_age.get();
        let old = |client: &Client| {
            client.away_since().is_some_and(|since| now.saturating_duration_since(since) > age)
        };
        let names: Vec<_> =
            self.clients.iter().filter(|(_, client)| old(client)).map(|(name, _)| Arc::clone(name)).collect();
        for name in names {
            self.remove(&name);
            self.counters.count(Reason::SessionExpired);
        }
    }

    fn remove(&mut self, client_id: &str) {
        let Some(client) = self.clients.remove(client_id) else { return };
        for filter in &client.filters {
            self.index.remove(filter, &client.session);
            self.forget(filter);
        }
    }

    fn forget(&mut self, filter: &str) {
        self.subscriptions -= 1;
        self.mirror_wishes -= usize::from(topic::reaches_below(filter, &self.mirror_stem));
    }

    /// Subscribes. What is kept for the filter is sent again, also when the filter is not new, as the standard asks.
    /// Returns what was granted, None for a refusal.
    pub(super) fn subscribe(
        &mut self,
        client_id: &str,
        connection: u64,
        filter: &str,
        qos: Qos,
    ) -> Option<Qos> {
        let client = self.clients.get_mut(client_id).filter(|client| client.is_connection(connection))?;
        let known = client.filters.iter().find(|known| ***known == *filter).cloned();
        if topic::check_filter(filter, &self.limits).is_err()
            || (known.is_none() && client.filters.len() >= self.limits.subscriptions)
        {
            self.counters.count(Reason::Subscription);
            return None;
        }
        let filter = known.unwrap_or_else(|| filter.into());
        if self.index.insert(&filter, &client.session, qos) {
            if client.filters.is_empty() {
                // Most clients are agents with few filters, all in one SUBSCRIBE.
                client.filters.reserve_exact(3);
            }
            client.filters.push(Arc::clone(&filter));
            self.subscriptions += 1;
            self.mirror_wishes += usize::from(topic::reaches_below(&filter, &self.mirror_stem));
        }
        let session = &client.session;
        let kept = self.retained.matching(&filter).filter(|message| session.may_read(message));
        let kept = kept.map(|message| Delivery {
            message: Arc::clone(message),
            qos: qos.min(message.qos()),
            retained: true,
        });
        session.push_retained(kept, self.limits.queue_messages + self.limits.retained_messages);
        Some(qos)
    }

    /// Unsubscribes; filters that were not subscribed are ignored.
    pub(super) fn unsubscribe(&mut self, client_id: &str, connection: u64, filters: &[String]) {
        for filter in filters {
            let client = self.clients.get_mut(client_id).filter(|client| client.is_connection(connection));
            let Some(client) = client else { return };
            let Some(at) = client.filters.iter().position(|known| **known == **filter) else { continue };
            client.filters.swap_remove(at);
            self.index.remove(filter, &client.session);
            self.forget(filter);
        }
    }

    /// Routes messages none of which is retained.
    pub(super) fn route<'a>(&self, publications: impl Iterator<Item = Publication<'a>>) {
        let mut found = Vec::new();
        for publication in publications {
            self.index.find(publication.topic, &mut found);
            if found.is_empty() {
                continue;
            }
            let message = Message::new(publication.topic, publication.payload, publication.qos);
            self.push(&message, &found);
        }
    }

    /// Routes messages, and keeps those that are retained.
    pub(super) fn keep_and_route<'a>(&mut self, publications: impl Iterator<Item = Publication<'a>>) {
        for publication in publications {
            let message = Message::new(publication.topic, publication.payload, publication.qos);
            if publication.retain && !self.retained.keep(&message) {
                self.counters.count(Reason::RetainedFull);
            }
            self.push_to_all(&message);
        }
    }

    fn push_to_all(&self, message: &Arc<Message>) {
        let mut found = Vec::new();
        self.index.find(message.topic(), &mut found);
        self.push(message, &found);
    }

    fn push(&self, message: &Arc<Message>, found: &[&super::index::Wish]) {
        for wish in found.iter().filter(|wish| wish.session.may_read(message)) {
            let qos = wish.qos.min(message.qos());
            let delivery = Delivery { message: Arc::clone(message), qos, retained: false };
            if wish.session.push(delivery, &self.limits) == Pushed::Dropped {
                self.counters.count(Reason::QueueFull);
            }
        }
    }

    /// Whether anybody is subscribed to any of the JSON mirror.
    pub(super) fn mirror_wanted(&self) -> bool {
        self.mirror_wishes > 0
    }

    /// How much there is of everything.
    pub(super) fn sizes(&self) -> Sizes {
        Sizes {
            clients: self.connected,
            sessions_away: self.clients.len() - self.connected,
            subscriptions: self.subscriptions,
            retained_messages: self.retained.len(),
            retained_bytes: self.retained.bytes(),
        }
    }
}

impl Client {
    fn is_here(&self) -> bool {
        matches!(self.presence, Presence::Here { .. })
    }

    fn is_connection(&self, number: u64) -> bool {
        matches!(self.presence, Presence::Here { connection, .. } if connection == number)
    }

    fn away_since(&self) -> Option<Instant> {
        match self.presence {
            Presence::Away { since } => Some(since),
            Presence::Here { .. } => None,
        }
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
