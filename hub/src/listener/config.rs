//! `[listener]` of `hub.toml`: where the listener listens, who may come in, and how much of everything there may be.
//!
//! ```toml
//! [listener]
//! address = "127.0.0.1:1883"
//! users = "/etc/rackside/users"
//! tls = { address = "0.0.0.0:8883", certificate = "/etc/rackside/tls.crt", key = "/etc/rackside/tls.key" }
//! read = { desk = ["rackside/json/arena-north/#"] }
//! limits = { clients = 2000, packet = "64 KiB" }
//! ```
//!
//! Invariant: every number that a client could drive up has a limit here, with a default that suits a hub of some
//! thousand appliances.

use super::{is_user_name, rights};
use rackside_config::{Size, Span};
use rackside_proto::Prefix;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// `[listener]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerConfig {
    /// Where to listen. With `tls` that has no address of its own, this one speaks TLS; else it is plain TCP.
    #[serde(deserialize_with = "rackside_config::listen_address")]
    pub address: SocketAddr,
    /// The users file; without one, everybody on this machine may come in.
    pub users: Option<PathBuf>,
    /// Whether clients without user name and password are let in, also from other machines.
    pub allow_anonymous: bool,
    /// Certificate and key.
    pub tls: Option<TlsConfig>,
    /// What is asked of agents: a certificate of this hub, or a password as well.
    pub identities: Demand,
    /// Whether the web server takes MQTT over WebSocket, at `/mqtt`.
    pub websocket: bool,
    /// Users who read a part only, and what: filters.
    pub read: BTreeMap<String, Vec<String>>,
    /// How much of everything.
    pub limits: Limits,
    /// The first word of Rackside's topics; not in `[listener]`, the program sets it from its own configuration.
    #[serde(skip)]
    pub prefix: Prefix,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1883)),
            users: None,
            allow_anonymous: false,
            tls: None,
            identities: Demand::Accepted,
            websocket: true,
            read: BTreeMap::new(),
            limits: Limits::default(),
            prefix: Prefix::default(),
        }
    }
}

/// `identities`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Demand {
    /// An agent may come with a certificate or as a user, until its name has joined; from then on with its certificate alone.
    Accepted,
    /// Agents come with certificates alone. Users may subscribe, and publish what is no agent's.
    Required,
}

/// `[listener.tls]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Where to listen with TLS, beside the plain address; without it, the plain address becomes TLS.
    #[serde(default, deserialize_with = "beside")]
    pub address: Option<SocketAddr>,
    /// The certificate chain, PEM, own certificate first; without one, the hub's own authority gives one.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
}

impl ListenerConfig {
    /// What of `read` cannot be, as its key and why.
    pub(crate) fn check_read(&self) -> Result<(), (String, String)> {
        let whole = "listener.read".to_owned();
        if self.read.is_empty() {
            return Ok(());
        }
        if self.users.is_none() {
            return Err((
                whole,
                "needs `users`: without them nobody has a name by which to know what it may read".to_owned(),
            ));
        }
        if self.allow_anonymous {
            let why =
                "says nothing where `allow_anonymous` lets everybody in without a name, to read everything";
            return Err((whole, why.to_owned()));
        }
        for (user, filters) in &self.read {
            let key = format!("{whole}.{user}");
            if !is_user_name(user) {
                return Err((
                    key,
                    "is no user: 1 to 256 bytes without a colon, not beginning with #".to_owned(),
                ));
            }
            if let Some(why) = rights::objection(filters) {
                return Err((key, why));
            }
        }
        Ok(())
    }

    /// Whether somebody from another machine could come in without a password or a certificate.
    pub(crate) fn is_open(&self) -> bool {
        self.users.is_none() && !self.allow_anonymous && self.identities == Demand::Accepted
    }
}

fn beside<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    rackside_config::listen_address(deserializer).map(Some)
}

/// `[listener.limits]`. What is refused or lost for a limit is counted by its reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Clients at once.
    pub clients: usize,
    /// Clients at once from one IPv4 address or IPv6 /64; 0 means no such limit.
    pub clients_per_address: usize,
    /// The largest packet. A birth is up to 256 KiB, with its topic and header a little more.
    pub packet: Size,
    /// Bytes of a topic or filter.
    pub topic_length: usize,
    /// Levels of a topic or filter.
    pub topic_levels: usize,
    /// Bytes of a client id.
    pub client_id_length: usize,
    /// Filters of one client.
    pub subscriptions: usize,
    /// Messages that wait for one subscriber.
    pub queue_messages: usize,
    /// Bytes that wait for one subscriber.
    pub queue_bytes: Size,
    /// QoS 1 messages sent to one subscriber and not acknowledged yet.
    pub inflight: usize,
    /// Retained messages.
    pub retained_messages: usize,
    /// Bytes of retained messages.
    pub retained_bytes: Size,
    /// Sessions kept for clients that are away.
    pub sessions: usize,
    /// How long they are kept.
    pub session_age: Span,
    /// Time from the connection to a whole CONNECT and its answer.
    pub connect_time: Span,
    /// Time for a TLS handshake.
    pub handshake_time: Span,
    /// Time from a packet's first byte to its last.
    pub packet_time: Span,
    /// How long a client may take nothing of what waits for it.
    pub write_stall: Span,
}

impl Limits {
    /// The first limit that would leave nothing working, by its name.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let counts = [
            ("clients", self.clients),
            ("packet", self.packet.bytes() as usize),
            ("topic_length", self.topic_length),
            ("topic_levels", self.topic_levels),
            ("client_id_length", self.client_id_length),
            ("subscriptions", self.subscriptions),
            ("queue_messages", self.queue_messages),
            ("inflight", self.inflight),
        ];
        let times = [
            ("connect_time", self.connect_time),
            ("handshake_time", self.handshake_time),
            ("packet_time", self.packet_time),
            ("write_stall", self.write_stall),
        ];
        let count = counts.into_iter().find(|(_, count)| *count == 0).map(|(name, _)| name);
        let time = times.into_iter().find(|(_, time)| time.get().is_zero()).map(|(name, _)| name);
        // MQTT cannot say more: lengths of topics and packet ids are 16 bits wide, lengths of packets 28.
        let wide = [
            ("packet", self.packet.bytes() >= 1 << 28),
            ("topic_length", self.topic_length > usize::from(u16::MAX)),
            ("client_id_length", self.client_id_length > usize::from(u16::MAX)),
            ("inflight", self.inflight >= usize::from(u16::MAX)),
        ];
        count.or(time).or_else(|| wide.into_iter().find(|(_, wide)| *wide).map(|(name, _)| name))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 12_000,
            clients_per_address: 0,
            // 256 KiB of payload, 64 KiB of topic at the very most: 1 KiB is plenty for ours.
            packet: Size::kibibytes(257),
            topic_length: 1024,
            topic_levels: 32,
            client_id_length: 256,
            subscriptions: 200,
            queue_messages: 10_000,
            queue_bytes: Size::mebibytes(4),
            inflight: 100,
            retained_messages: 50_000,
            retained_bytes: Size::mebibytes(128),
            sessions: 1000,
            session_age: Span::seconds(24 * 3600),
            connect_time: Span::seconds(10),
            handshake_time: Span::seconds(10),
            packet_time: Span::seconds(30),
            write_stall: Span::seconds(20),
        }
    }
}
