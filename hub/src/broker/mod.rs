//! The link to an outside broker: any MQTT 3.1.1 broker or cluster, from which the hub subscribes what agents say and
//! through which it answers.
//!
//! Nothing here is in custody: what a broken link loses, agents send again. So the session is clean, the queue of outgoing
//! messages bounded, and a message that finds it full is dropped. The link comes back for ever, with a backoff up to 30 s
//! and full jitter, and subscribes anew each time.

mod address;
mod dial;
pub(crate) mod files;

pub use address::BrokerAddress;
pub use dial::{DialError, TlsError};
use files::FilesStand;
pub use files::{FilesConfig, ReaderConfig};

use crate::clock;
use crate::inbound::{Blocked, Inbound, InboundSender, Outbound, Outlet, Via};
use crate::shutdown;
use crate::text::{Kind, Sink};
use crate::web::WayIn;
use dial::{Dialer, Stream};
use rackside_config::{ConfigError, Secret};
use rackside_link::{Link, LinkError, LinkEvent, Login, Options, Qos};
use rackside_proto::Prefix;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};

/// Messages that may wait for the broker.
const QUEUE: usize = 8192;
/// The first wait after a link broke is below this, each further one below twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// No wait is longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long the last bytes may take when the hub stops.
const GOODBYE: Duration = Duration::from_millis(500);
/// The largest packet that the link takes: far more than any message of ours, so that an oversized one is rejected and
/// counted by ingest. Ending the link instead would begin anew with each connection, if the broker retained it.
const LARGEST_PACKET: usize = 16 << 20;
/// One read of the socket: large enough that a busy broker needs few.
const READ: usize = 64 * 1024;

/// `[mqtt]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// Where the broker is; port 1883, or 8883 with TLS, unless written.
    pub address: BrokerAddress,
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Whether the JSON mirror is published there.
    #[serde(default)]
    pub mirror: bool,
    /// TLS; plain TCP without it.
    pub tls: Option<BrokerTls>,
    /// Files for Mosquitto; none are written without it.
    pub files: Option<FilesConfig>,
}

/// `[mqtt.tls]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrokerTls {
    /// The CA that signed the broker's certificate, PEM; without it, those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The name in the broker's certificate, if it is not the host's.
    pub server_name: Option<String>,
}

impl MqttConfig {
    /// What cannot be, as the key and why.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.user.as_deref() == Some("") {
            return Err(("mqtt.user", "is empty; leave it out for a broker without users"));
        }
        if self.password.is_some() && self.user.is_none() {
            return Err(("mqtt.password", "needs a user; MQTT 3.1.1 knows no password without one"));
        }
        Ok(())
    }

    /// Where the broker is, with its port.
    pub fn place(&self) -> BrokerAddress {
        let usual = if self.tls.is_some() { 8883 } else { 1883 };
        BrokerAddress { port: self.address.port.or(Some(usual)), ..self.address.clone() }
    }

    /// Reads what the configuration names: the CA and the password. Keeps nothing.
    pub fn try_files(&self) -> Result<(), BrokerError> {
        Dialer::new(self).map_err(BrokerError::Tls)?;
        self.password.as_ref().map(Secret::read).transpose().map_err(BrokerError::Password)?;
        Ok(())
    }
}

/// Why a link cannot even be tried.
#[derive(Debug)]
pub enum BrokerError {
    /// The password cannot be had.
    Password(ConfigError),
    /// The CA or the server's name is no good.
    Tls(TlsError),
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password(error) => write!(f, "[mqtt] password: {error}"),
            Self::Tls(error) => write!(f, "[mqtt] {error}"),
        }
    }
}

impl std::error::Error for BrokerError {}

/// Why a link ended.
#[derive(Debug)]
enum Ended {
    Dial(DialError),
    Link(LinkError),
    Io(std::io::Error),
    Closed,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(error) => error.fmt(f),
            Self::Link(error) => error.fmt(f),
            Self::Io(error) => write!(f, "the connection broke: {error}"),
            Self::Closed => f.write_str("the broker closed the connection"),
        }
    }
}

/// How the link is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Status {
    up: bool,
    message: String,
}

/// The hub's end of the link; its task ends with `shutdown`.
#[derive(Debug, Clone)]
pub struct Broker {
    place: BrokerAddress,
    outgoing: mpsc::Sender<Outbound>,
    status: watch::Receiver<Status>,
    mirror: watch::Receiver<bool>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    connects: AtomicU64,
    dropped: AtomicU64,
    files: FilesStand,
}

impl Broker {
    /// Where it is noted whether the broker's files are as they should be.
    pub(crate) fn files(&self) -> FilesStand {
        self.counters.files.clone()
    }

    /// Starts trying. Fails only for what trying again cannot mend.
    pub fn start(
        config: &MqttConfig,
        prefix: &Prefix,
        inbound: InboundSender,
        shutdown: watch::Receiver<bool>,
    ) -> Result<Self, BrokerError> {
        let dialer = Dialer::new(config).map_err(BrokerError::Tls)?;
        let mut options = Options::new(format!("rackside-hub-{:08x}", clock::random() as u32));
        options.max_packet = LARGEST_PACKET;
        if let Some(user) = &config.user {
            let password =
                config.password.as_ref().map(Secret::read).transpose().map_err(BrokerError::Password)?;
            let password = password.map_or_else(String::new, |secret| secret.expose().to_owned());
            options.login = Some(Login { user: user.clone(), password });
        }
        let filters = ["presence", "birth", "data", "event", "still", "reply"]
            .map(|channel| format!("{prefix}/1/+/+/{channel}"));
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let message = format!("connecting to the broker at {}", config.place());
        let (status_sender, status) = watch::channel(Status { up: false, message });
        let (mirror_sender, mirror) = watch::channel(false);
        let counters = Arc::new(Counters::default());
        let task = Task {
            dialer,
            options,
            filters,
            inbound,
            queue,
            status: status_sender,
            mirror: mirror_sender,
            mirror_allowed: config.mirror,
            counters: Arc::clone(&counters),
            shutdown,
        };
        tokio::spawn(task.run());
        Ok(Self { place: config.place(), outgoing, status, mirror, counters })
    }

    /// Waits until its task has ended, after `shutdown`.
    pub async fn stopped(&self) {
        // The task holds the sender; when that is gone, so is the task.
        let mut status = self.status.clone();
        while status.changed().await.is_ok() {}
    }

    /// True while the JSON mirror can be published.
    pub fn mirror_changes(&self) -> watch::Receiver<bool> {
        self.mirror.clone()
    }
}

impl Outlet for Broker {
    fn send(&self, message: Outbound) -> Result<(), Blocked> {
        if !self.status.borrow().up || self.outgoing.try_send(message).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            return Err(Blocked);
        }
        Ok(())
    }

    fn mirror_wanted(&self) -> bool {
        *self.mirror.borrow()
    }
}

impl WayIn for Broker {
    fn ready(&self) -> (bool, String) {
        let status = self.status.borrow();
        (status.up, status.message.clone())
    }

    fn write(&self, text: &mut dyn Sink) {
        let up = f64::from(u8::from(self.status.borrow().up));
        let help = "1 while the outside broker is connected and subscribed, else 0";
        text.gauge("rackside_hub_broker_up", "", help, up);
        let connects = self.counters.connects.load(Ordering::Relaxed);
        text.counter(
            "rackside_hub_broker_connects_total",
            "Connections made to the outside broker",
            connects,
        );
        let name = "rackside_hub_broker_dropped_total";
        text.family(name, Kind::Counter, "", "Messages to agents that the link to the broker did not take");
        text.sample(name, &[], self.counters.dropped.load(Ordering::Relaxed) as f64);
        if let Some(are_well) = self.counters.files.get() {
            let help = "1 while the files for the broker (`[mqtt.files]`) are as they should be, 0 while they cannot be written; only where there are some";
            text.gauge("rackside_hub_broker_files_up", "", help, f64::from(u8::from(are_well)));
        }
    }

    fn address(&self) -> String {
        self.place.to_string()
    }

    fn is_broker(&self) -> bool {
        true
    }
}

struct Task {
    dialer: Dialer,
    options: Options,
    filters: [String; 6],
    inbound: InboundSender,
    queue: mpsc::Receiver<Outbound>,
    status: watch::Sender<Status>,
    mirror: watch::Sender<bool>,
    mirror_allowed: bool,
    counters: Arc<Counters>,
    shutdown: watch::Receiver<bool>,
}

impl Task {
    async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        loop {
            let ended = self.connection().await;
            let was_up = self.status.borrow().up;
            self.mirror.send_replace(false);
            let Some(ended) = ended else { return };
            self.say(false, format!("the broker at {}: {ended}; trying again", self.dialer.place()));
            // What waited was said to a link that is gone; it is said again when agents come back.
            while self.queue.try_recv().is_ok() {}
            wait = if was_up { FIRST_WAIT } else { (wait * 2).min(LONGEST_WAIT) };
            let jitter = wait.mul_f64((clock::random() % 1000) as f64 / 1000.0) + Duration::from_millis(50);
            tokio::select! {
                () = tokio::time::sleep(jitter) => {}
                () = shutdown::asked(&mut self.shutdown) => return,
            }
        }
    }

    /// Says how the link is: in readiness, and once per change in the log.
    fn say(&self, up: bool, message: String) {
        let status = Status { up, message };
        if *self.status.borrow() != status {
            if up {
                log::info!("{}", status.message);
            } else {
                log::warn!("{}", status.message);
            }
            self.status.send_replace(status);
        }
    }

    /// One connection, from dialling to its end; `None` when the hub stops.
    async fn connection(&mut self) -> Option<Ended> {
        let dialled = tokio::select! {
            dialled = self.dialer.dial() => dialled,
            () = shutdown::asked(&mut self.shutdown) => return None,
        };
        match dialled {
            Ok(stream) => {
                let (reader, writer) = tokio::io::split(stream);
                self.speak(reader, writer).await.err()
            }
            Err(error) => Some(Ended::Dial(error)),
        }
    }

    async fn speak(
        &mut self,
        mut reader: ReadHalf<Stream>,
        mut writer: WriteHalf<Stream>,
    ) -> Result<(), Ended> {
        let mut link = Link::new(&self.options, clock::now().instant);
        let mut buffer = vec![0; READ];
        let mut unflushed = false;
        loop {
            let deadline = link.deadline();
            tokio::select! {
                read = reader.read(&mut buffer) => {
                    let count = read.map_err(Ended::Io)?;
                    if count == 0 {
                        return Err(Ended::Closed);
                    }
                    link.receive(&buffer[..count], clock::now().instant).map_err(Ended::Link)?;
                    self.events(&mut link).await?;
                }
                pushed = push(&mut writer, link.output()), if unflushed || !link.output().is_empty() => {
                    let written = pushed.map_err(Ended::Io)?;
                    link.written(written);
                    unflushed = written > 0;
                }
                message = self.queue.recv(), if link.may_publish() => {
                    let Some(Outbound { topic, payload, retain }) = message else { return Ok(()) };
                    let now = clock::now().instant;
                    if let Err(error) = link.publish(&topic, payload, Qos::AtLeastOnce, retain, now) {
                        self.counters.dropped.fetch_add(1, Ordering::Relaxed);
                        log::debug!("{topic}: {error}");
                    }
                }
                () = tokio::time::sleep_until(deadline.into()) => {
                    link.handle_timeout(clock::now().instant).map_err(Ended::Link)?;
                }
                () = shutdown::asked(&mut self.shutdown) => {
                    if link.disconnect(clock::now().instant).is_ok() {
                        let _ = tokio::time::timeout(GOODBYE, goodbye(&mut writer, &link)).await;
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Takes what the link has to say; messages go to ingest in one batch.
    async fn events(&mut self, link: &mut Link) -> Result<(), Ended> {
        let mut batch = Vec::new();
        while let Some(event) = link.next_event() {
            match event {
                LinkEvent::Connected => {
                    self.counters.connects.fetch_add(1, Ordering::Relaxed);
                    let filters = self.filters.each_ref().map(|filter| (filter.as_str(), Qos::AtLeastOnce));
                    link.subscribe(&filters, clock::now().instant).map_err(Ended::Link)?;
                }
                LinkEvent::Subscribed { refused }
                    if refused
                        .iter()
                        .all(|filter| filter.ends_with("/still") || filter.ends_with("/reply")) =>
                {
                    for filter in &refused {
                        let lacks = if filter.ends_with("/still") {
                            "no stills are shown"
                        } else {
                            "commands have no answers"
                        };
                        log::info!("the broker keeps {filter} from the hub: {lacks}");
                    }
                    self.say(true, format!("connected to the broker at {}", self.dialer.place()));
                    self.mirror.send_replace(self.mirror_allowed);
                }
                LinkEvent::Subscribed { refused } => {
                    let (place, refused) = (self.dialer.place(), refused.join(", "));
                    let message = format!(
                        "the broker at {place} refuses to let the hub read {refused}; check its permissions there"
                    );
                    self.say(false, message);
                }
                LinkEvent::Message { topic, payload, retained } => {
                    batch.push(Inbound { topic, payload, retained, via: Via::Broker });
                }
                LinkEvent::Oversized { topic, size } => {
                    log::warn!("ignored a message of {size} bytes on {}", topic.escape_debug());
                }
                LinkEvent::Acked => {}
            }
        }
        // Ingest is gone only when the hub stops.
        if !batch.is_empty() && self.inbound.send(batch).await.is_err() {
            return Err(Ended::Closed);
        }
        Ok(())
    }
}

/// Writes some of `output`; when there is none, what TLS still holds. One step, so that nothing is lost when another branch
/// is faster.
async fn push(writer: &mut WriteHalf<Stream>, output: &[u8]) -> std::io::Result<usize> {
    if output.is_empty() {
        return writer.flush().await.map(|()| 0);
    }
    match writer.write(output).await? {
        0 => Err(std::io::ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}

async fn goodbye(writer: &mut WriteHalf<Stream>, link: &Link) -> std::io::Result<()> {
    writer.write_all(link.output()).await?;
    writer.shutdown().await
}
