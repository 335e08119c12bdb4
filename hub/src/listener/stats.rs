//! What the listener counts, for `/metrics` and for tests. Plain numbers: no names of clients, no topics.
//!
//! Counters only grow, from the start of the process. Whatever is refused, lost or closed is counted once, under one
//! [`Reason`].

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why something did not go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A connection: more clients than allowed.
    TooManyClients,
    /// A connection: more clients from its address than allowed.
    TooManyFromAddress,
    /// A connection: `accept()` failed, for example for lack of file descriptors.
    AcceptFailed,
    /// A connection: no TLS handshake in time, or a failed one.
    Handshake,
    /// A connection: no CONNECT in time.
    ConnectTimeout,
    /// A CONNECT: another protocol version than 3.1.1.
    Protocol,
    /// A CONNECT: a client id that cannot be.
    ClientId,
    /// A CONNECT: a wrong user name or password.
    BadLogin,
    /// A CONNECT: no login, or a will where the client may not publish.
    NotAuthorized,
    /// A CONNECT: an appliance that has to come with its certificate came without.
    NeedsIdentity,
    /// A connection: its certificate has ended.
    IdentityEnded,
    /// A CONNECT: the passwords could not be checked in time, or too many from its address were waiting for that.
    LoginBusy,
    /// A connection: bytes that are not MQTT 3.1.1.
    Malformed,
    /// A connection: a packet beyond the limit.
    PacketTooLarge,
    /// A connection: a packet begun and not completed in time.
    PacketTimeout,
    /// A connection: silent for one and a half times its keepalive.
    KeepAlive,
    /// A connection: it took nothing of what waited for it.
    WriteStall,
    /// A connection: more QoS 1 messages waited for it than its queue holds.
    QueueOverflow,
    /// A connection: another one came with the same client id.
    TakenOver,
    /// A connection: it broke without a DISCONNECT.
    Broken,
    /// A message: published where only the hub may, or another appliance.
    Forbidden,
    /// A subscription: to what is another appliance's.
    ForbiddenSubscription,
    /// A message: its subscriber's queue was full.
    QueueFull,
    /// A retained message: the store was full.
    RetainedFull,
    /// A subscription: too many, or its filter is invalid.
    Subscription,
    /// A session of a client that was away: it was too old, or one too many.
    SessionExpired,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 26] = [
        Self::TooManyClients,
        Self::TooManyFromAddress,
        Self::AcceptFailed,
        Self::Handshake,
        Self::ConnectTimeout,
        Self::Protocol,
        Self::ClientId,
        Self::BadLogin,
        Self::NotAuthorized,
        Self::NeedsIdentity,
        Self::IdentityEnded,
        Self::LoginBusy,
        Self::Malformed,
        Self::PacketTooLarge,
        Self::PacketTimeout,
        Self::KeepAlive,
        Self::WriteStall,
        Self::QueueOverflow,
        Self::TakenOver,
        Self::Broken,
        Self::Forbidden,
        Self::ForbiddenSubscription,
        Self::QueueFull,
        Self::RetainedFull,
        Self::Subscription,
        Self::SessionExpired,
    ];

    /// The reason as a label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooManyClients => "too_many_clients",
            Self::TooManyFromAddress => "too_many_from_address",
            Self::AcceptFailed => "accept_failed",
            Self::Handshake => "handshake",
            Self::ConnectTimeout => "connect_timeout",
            Self::Protocol => "protocol",
            Self::ClientId => "client_id",
            Self::BadLogin => "bad_login",
            Self::NotAuthorized => "not_authorized",
            Self::NeedsIdentity => "needs_identity",
            Self::IdentityEnded => "identity_ended",
            Self::LoginBusy => "login_busy",
            Self::Malformed => "malformed",
            Self::PacketTooLarge => "packet_too_large",
            Self::PacketTimeout => "packet_timeout",
            Self::KeepAlive => "keep_alive",
            Self::WriteStall => "write_stall",
            Self::QueueOverflow => "queue_overflow",
            Self::TakenOver => "taken_over",
            Self::Broken => "broken",
            Self::Forbidden => "forbidden",
            Self::ForbiddenSubscription => "forbidden_subscription",
            Self::QueueFull => "queue_full",
            Self::RetainedFull => "retained_full",
            Self::Subscription => "subscription",
            Self::SessionExpired => "session_expired",
        }
    }
}

/// The counters as tasks share them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) messages_in: AtomicU64,
    pub(super) messages_out: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    reasons: [AtomicU64; Reason::ALL.len()],
}

impl Counters {
    /// Counts one more of `reason`.
    pub(super) fn count(&self, reason: Reason) {
        self.reasons[reason as usize].fetch_add(1, Relaxed);
    }

    /// How many there were of `reason`.
    pub(super) fn of(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize].load(Relaxed)
    }
}

/// The listener's numbers at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerStats {
    /// Sockets open now, whether or not they have said CONNECT.
    pub connections: usize,
    /// Clients connected now.
    pub clients: usize,
    /// Sessions kept for clients that are away.
    pub sessions_away: usize,
    /// Subscriptions, of all clients.
    pub subscriptions: usize,
    /// Retained messages.
    pub retained_messages: usize,
    /// Bytes of retained messages.
    pub retained_bytes: usize,
    /// Connections accepted since the start.
    pub accepted_total: u64,
    /// Messages that clients published.
    pub messages_in_total: u64,
    /// Messages sent to subscribers; one message to two subscribers counts twice.
    pub messages_out_total: u64,
    /// Bytes read from clients, TLS not counted.
    pub bytes_in_total: u64,
    /// Bytes written to clients, TLS not counted.
    pub bytes_out_total: u64,
    /// What did not go through, by reason, every reason named.
    pub reasons: Vec<(Reason, u64)>,
}

impl ListenerStats {
    /// How many there were of one reason.
    pub fn of(&self, reason: Reason) -> u64 {
        self.reasons.iter().find(|(known, _)| *known == reason).map_or(0, |(_, count)| *count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_name_and_place() {
        let counters = Counters::default();
        let mut names: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(place, reason as usize);
            counters.count(reason);
            assert_eq!(counters.of(reason), 1);
        }
    }
}
