//! The hub's own MQTT 3.1.1 listener: a door for agents and for subscribers, not a broker cluster.
//!
//! A guided tour, in the order in which a byte takes it:
//!
//! 1. `accept` lets a socket in if there is room (`doors`), shakes hands over TLS if asked (`tls`), and spawns one task
//!    per connection.
//! 2. `connection` is that task, thin: it moves bytes between the socket and what follows.
//! 3. `packets` makes packets of the bytes (rumqttc's codec, and the checks it leaves out); `conversation` is the
//!    protocol: bytes and time in, steps and replies out, no I/O.
//! 4. A CONNECT is checked by `admission`, against `users` or the certificate that TLS has shown; each publish and subscription against `permission`,
//!    which also says what is for ingest.
//! 5. `router` knows who is there (`session`), who wants what (`index`, `topic`) and what is kept (`retained`). Each
//!    message is laid out once (`message`).
//!
//! What it is for: custody is end to end, so nothing here is durable and a PUBACK promises only that ingest has the
//! message. What it grants: QoS 0 and 1; a QoS 2 publish goes through the whole handshake and is routed once with QoS 1;
//! a QoS 2 subscription is granted 1. Sessions (clean session off) live in memory, bounded in number, queue and age.
//!
//! A payload that ingest gets is a slice of its read's buffer (at most 64 KiB, or the one large packet): whoever keeps a
//! small one for long copies it.
//!
//! Everything that a client could drive up has a limit (`config`), everything refused or lost is counted (`stats`).
//!
//! ```no_run
//! # async fn demo() -> Result<(), rackside_hub::listener::ListenError> {
//! use rackside_hub::listener::{Listener, ListenerConfig};
//! let (inbound, mut ingest) = tokio::sync::mpsc::channel(64);
//! let (stop, stopping) = tokio::sync::watch::channel(false);
//! let listener = Listener::start(ListenerConfig::default(), inbound, stopping)?;
//! println!("listening on {}", listener.address());
//! while let Some(messages) = ingest.recv().await {
//!     println!("{} messages", messages.len());
//! }
//! # Ok(())
//! # }
//! ```

mod accept;
mod admission;
mod config;
mod connection;
mod conversation;
mod doors;
pub(crate) mod index;
mod log_limit;
mod message;
pub(crate) mod packets;
mod permission;
mod retained;
pub(crate) mod rights;
mod router;
mod session;
mod shared;
mod stats;
mod tls;
mod topic;
mod users;
mod web;

pub use config::{Demand, Limits, ListenerConfig, TlsConfig};
pub use stats::{ListenerStats, Reason};
pub use tls::TlsError;
pub use users::{UsersError, hash_password, is_user_name};
pub(crate) use web::WebDoor;

use crate::clock;
use crate::identity::Identities;
use crate::inbound::{Blocked, InboundSender, Outbound, Outlet};
use doors::Doors;
use log_limit::LogLimit;
use permission::Permissions;
use router::Router;
use shared::Shared;
use stats::Counters;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use users::Logins;

/// How long connections get to end when the hub stops. Systemd is told 5 s for all of it.
const STOP: Duration = Duration::from_secs(3);

/// Why the listener cannot start.
#[derive(Debug)]
pub enum ListenError {
    /// Others could reach it, and nobody would be asked for a password.
    Exposed(SocketAddr),
    /// The address cannot be listened on.
    Address {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A limit is 0, or more than MQTT can say; its name.
    Limit(&'static str),
    /// The users file cannot be used.
    Users(UsersError),
    /// The certificate or its key cannot be used.
    Tls(TlsError),
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exposed(address) => write!(
                f,
                "listener: {address} can be reached from other machines and nobody would be asked for a password; \
                 set `users` to a users file, or listen on 127.0.0.1, or say `allow_anonymous = true` in [listener]"
            ),
            Self::Address { address, source } if source.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "listener: {address} is in use by another program (an MQTT broker? a second hub?); stop that one, or \
                 set `address` in [listener] to another port"
            ),
            Self::Address { address, source } => {
                write!(f, "listener: cannot listen on {address}: {source}; set `address` in [listener]")
            }
            Self::Limit(name) => write!(
                f,
                "listener.limits.{name}: 0, or more than MQTT can say; leave it out for a default that suits most"
            ),
            Self::Users(error) => write!(f, "listener: {error}"),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ListenError {}

/// The listener; [`Listener::start`] is all there is to it.
#[derive(Debug)]
pub struct Listener;

impl Listener {
    /// Checks all of a configuration that can be checked without listening.
    pub fn check(config: &ListenerConfig) -> Result<(), ListenError> {
        Door::look(config)?;
        config.tls.as_ref().map_or(Ok(()), tls::check).map_err(ListenError::Tls)
    }

    /// Starts to listen without identities. See [`start_for`](Self::start_for).
    pub fn start(
        config: ListenerConfig,
        inbound: InboundSender,
        shutdown: watch::Receiver<bool>,
    ) -> Result<ListenerHandle, ListenError> {
        Self::start_for(config, None, inbound, shutdown)
    }

    /// Starts to listen, within the tokio runtime that it is called in. What clients publish under the prefix goes to
    /// `inbound`, one `Vec` for each read of a socket; `shutdown` (true, or its sender gone) ends everything.
    pub fn start_for(
        config: ListenerConfig,
        identities: Option<Identities>,
        inbound: InboundSender,
        shutdown: watch::Receiver<bool>,
    ) -> Result<ListenerHandle, ListenError> {
        let Door { logins, acceptor } = Door::open(&config, identities.as_ref())?;
        let inner = web::inner(&config, acceptor.as_ref(), identities.as_ref()).map_err(ListenError::Tls)?;
        let takes_websockets = config.websocket;
        let sockets = Sockets::open(&config, acceptor)?;
        accept::make_room(config.limits.clients);
        let counters = Arc::new(Counters::default());
        let limits = Arc::new(config.limits);
        let takes_clients =
            config.users.is_some() || config.allow_anonymous || config.identities == Demand::Accepted;
        let permissions = Permissions::new(
            config.prefix,
            config.identities,
            identities.clone(),
            rights::readers(&config.read),
        );
        let router = Router::new(Arc::clone(&limits), Arc::clone(&counters), permissions.mirror_stem());
        let shared = Arc::new(Shared {
            limits,
            counters,
            router: RwLock::new(router),
            logins,
            allow_anonymous: config.allow_anonymous,
            permissions,
            identities,
            takes_clients,
            inbound,
            mirror: watch::Sender::new(false),
            doors: Arc::new(Doors::default()),
            log: LogLimit::default(),
        });
        let (ended, end) = watch::channel(false);
        let (alive, all_gone) = mpsc::channel(1);
        let web = takes_websockets.then(|| WebDoor::new(Arc::clone(&shared), inner, &alive));
        let handle = ListenerHandle {
            shared: Arc::clone(&shared),
            address: sockets.address,
            tls_address: sockets.tls_address,
            web,
            end,
        };
        tokio::spawn(run(sockets.listeners, shared, shutdown, (alive, all_gone), ended));
        Ok(handle)
    }
}

/// What stands between a client and the router.
struct Door {
    logins: Option<Logins>,
    acceptor: Option<TlsAcceptor>,
}

impl Door {
    fn look(config: &ListenerConfig) -> Result<Option<Logins>, ListenError> {
        if let Some(name) = config.limits.fault() {
            return Err(ListenError::Limit(name));
        }
        let beside = config.tls.as_ref().and_then(|tls| tls.address);
        let mut addresses = std::iter::once(config.address).chain(beside);
        let exposed = addresses.find(|address| !address.ip().to_canonical().is_loopback());
        if let Some(address) = exposed.filter(|_| config.is_open()) {
            return Err(ListenError::Exposed(address));
        }
        config.users.as_deref().map(Logins::open).transpose().map_err(ListenError::Users)
    }

    fn open(config: &ListenerConfig, identities: Option<&Identities>) -> Result<Self, ListenError> {
        let logins = Self::look(config)?;
        let tls = config.tls.as_ref();
        let acceptor = tls.map(|tls| tls::acceptor(tls, identities)).transpose().map_err(ListenError::Tls)?;
        Ok(Self { logins, acceptor })
    }
}

/// The bound sockets.
struct Sockets {
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    listeners: Vec<(TcpListener, Option<TlsAcceptor>)>,
}

impl Sockets {
    fn open(config: &ListenerConfig, acceptor: Option<TlsAcceptor>) -> Result<Self, ListenError> {
        let bind = |wanted: SocketAddr| {
            let failed = |source| ListenError::Address { address: wanted, source };
            let socket = accept::bind(wanted).map_err(failed)?;
            let address = socket.local_addr().map_err(failed)?;
            Ok((socket, address))
        };
        let beside = config.tls.as_ref().and_then(|tls| tls.address);
        let (first, address) = bind(config.address)?;
        let Some(beside) = beside else {
            let tls_address = acceptor.is_some().then_some(address);
            return Ok(Self { address, tls_address, listeners: vec![(first, acceptor)] });
        };
        let (second, tls_address) = bind(beside)?;
        Ok(Self {
            address,
            tls_address: Some(tls_address),
            listeners: vec![(first, None), (second, acceptor)],
        })
    }
}

async fn run(
    listeners: Vec<(TcpListener, Option<TlsAcceptor>)>,
    shared: Arc<Shared>,
    mut shutdown: watch::Receiver<bool>,
    (alive, mut all_gone): (mpsc::Sender<()>, mpsc::Receiver<()>),
    ended: watch::Sender<bool>,
) {
    for (listener, tls) in listeners {
        let task = accept::accept(listener, tls, Arc::clone(&shared), shutdown.clone(), alive.clone());
        tokio::spawn(task);
    }
    drop(alive);
    let age = shared.limits.session_age.get();
    let mut sweep =
        tokio::time::interval((age / 4).clamp(Duration::from_millis(100), Duration::from_mins(1)));
    let mut changes = shared.identities.as_ref().map(Identities::changes);
    loop {
        tokio::select! {
            () = accept::stopped(&mut shutdown) => break,
            _ = sweep.tick() => {
                shared.change(|router| router.expire(Instant::now()));
                turn_out(&shared);
            }
            () = changed(changes.as_mut()) => turn_out(&shared),
        }
    }
    shared.doors.shut();
    let _ = tokio::time::timeout(STOP, all_gone.recv()).await;
    ended.send_replace(true);
}

async fn changed(changes: Option<&mut watch::Receiver<u64>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Ends the connections of those whose certificates have ended.
fn turn_out(shared: &Shared) {
    if let Some(identities) = &shared.identities {
        let now = clock::now().utc_ms as i64;
        shared.doors.turn_out(|credential| identities.standing(credential, now).is_good());
    }
}

/// A running listener. Clones are the same one.
#[derive(Debug, Clone)]
pub struct ListenerHandle {
    shared: Arc<Shared>,
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    web: Option<WebDoor>,
    end: watch::Receiver<bool>,
}

impl ListenerHandle {
    /// Where it listens; the port is the one that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens with TLS, if it does; the same as [`address`](Self::address) if that one is TLS.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// Where clients come in that the web server brings, if it may.
    pub(crate) fn web(&self) -> Option<&WebDoor> {
        self.web.as_ref()
    }

    /// Whether it takes passwords in clear from other machines: where it does, somebody has said so.
    pub(crate) fn is_clear_to_others(&self) -> bool {
        self.tls_address != Some(self.address) && !self.address.ip().to_canonical().is_loopback()
    }

    /// Its numbers now.
    pub fn stats(&self) -> ListenerStats {
        self.shared.stats()
    }

    /// True while somebody is subscribed to anything of the JSON mirror.
    pub fn mirror_changes(&self) -> watch::Receiver<bool> {
        self.shared.mirror.subscribe()
    }

    /// Reads the users file again; who is connected stays. Returns how many users there are, None without a file. On an
    /// error the old users stay.
    pub fn reload_users(&self) -> Result<Option<usize>, UsersError> {
        self.shared.logins.as_ref().map(Logins::reload).transpose()
    }

    /// Waits until it has stopped: no socket is open any more, or they took too long to close.
    pub async fn stopped(&self) {
        let _ = self.end.clone().wait_for(|ended| *ended).await;
    }
}

impl Outlet for ListenerHandle {
    fn send(&self, message: Outbound) -> Result<(), Blocked> {
        self.shared.say(&message);
        Ok(())
    }

    fn mirror_wanted(&self) -> bool {
        *self.shared.mirror.borrow()
    }
}
