//! Starting and stopping the hub: the one place that knows all parts.
//!
//! Order of starting: the web address is taken, then the history is opened, then the way in, so that a port in use or a
//! history that cannot be opened ends the start before anything is promised to anybody. Order of stopping: ingest first,
//! which has what waits written and acked; then everything else is told at once, and waited for.

use crate::broker::files::{self, Plan};
use crate::broker::{Broker, BrokerError};
use crate::clock;
use crate::command::{self, Commands};
use crate::config::Config;
use crate::configure::Configurations;
use crate::identity::{Identities, IdentityError};
use crate::inbound::{InboundSender, Outlet};
use crate::ingest::Ingest;
use crate::ingest::task::{self, Ends, Shared};
use crate::listener::{Demand, ListenError, Listener, ListenerHandle};
use crate::notify::{self, ByTheHub, Inbox, LinkKey, Notifications, Office};
use crate::onair::OnAir;
use crate::pulse::Pulse;
use crate::query::{self, Feed, Fleetwide, Kept, Remembered, Touched};
use crate::reload::Parts;
use crate::rollout::{self, RollOuts};
use crate::rules::{Ground, Rules};
use crate::status::Public;
use crate::storage::{self, Commits, Status};
use crate::turns::Turns;
use crate::web::server::{self, BindError, Bounds};
use crate::web::{self, Door, Known, Live, Queried, WayIn, Web};
use futures_util::future::select_all;
use rackside_history::{OpenError, StoreError};
use rackside_series::Recent;
use std::fmt;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Reads of a socket that may wait for ingest; then the sockets wait.
const BATCHES: usize = 1024;
/// What stops later than this is left behind.
const STOP_WITHIN: Duration = Duration::from_millis(4500);
/// The last acks have so long to leave before the sockets are closed.
const LAST_ACKS: Duration = Duration::from_millis(100);

/// Why the hub cannot start.
#[derive(Debug)]
pub enum StartError {
    /// The web address cannot be had.
    Web(BindError),
    /// The history cannot be opened.
    History(OpenError),
    /// The system gives no thread to write it.
    Thread(std::io::Error),
    /// The system gives no thread to evaluate rules.
    RulesThread(std::io::Error),
    /// The system gives no thread to tell people of alerts.
    NotifyThread(std::io::Error),
    /// The listener cannot start.
    Listener(ListenError),
    /// The link to the outside broker cannot even be tried.
    Broker(BrokerError),
    /// There are no identities, and without them nobody could come in.
    Identity(IdentityError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(error) => error.fmt(f),
            Self::History(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "no thread to write the history: {error}"),
            Self::RulesThread(error) => write!(f, "no thread to evaluate rules: {error}"),
            Self::NotifyThread(error) => write!(f, "no thread to tell people of alerts: {error}"),
            Self::Listener(error) => error.fmt(f),
            Self::Broker(error) => error.fmt(f),
            Self::Identity(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self::History(error)
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::History(error.into())
    }
}

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    web: SocketAddr,
    parts: Parts,
    broker: Option<Broker>,
    /// Ingest stops first.
    last_call: watch::Sender<bool>,
    shutdown: watch::Sender<bool>,
    pulse: Pulse,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
}

/// The core and the history behind it.
struct Core {
    shared: Shared,
    queries: Arc<Fleetwide>,
    /// Whose last minutes are in the history.
    remembered: Vec<Remembered>,
    commits: Commits,
    status: Status,
    /// Ends when the history is closed.
    thread: JoinHandle<()>,
}

/// Opens the history and makes the core of what it knows.
fn core(config: &Config) -> Result<Core, StartError> {
    let now = clock::now();
    let directory = storage::whole(&config.data);
    let store = storage::open(&directory, &config.history, now.utc_ms)?;
    let mut ingest = Ingest::new(config.prefix.clone(), store.id(), Arc::new(store.reader()), now);
    if !config.web.stills {
        ingest.without_stills();
    }
    let recent = Arc::new(Recent::default());
    let derived = Arc::new(query::derived(&directory, now));
    ingest.feed(Feed::new(Arc::clone(&recent), Arc::clone(&derived)));
    let known = store.known()?;
    log::info!("history in {}: {} appliances", directory.display(), known.len());
    let names: Vec<_> = known.iter().map(|agent| (agent.name.clone(), agent.last_ms)).collect();
    ingest.know(known, now);
    let slot = |(name, last_ms)| Some(Remembered { slot: ingest.fleet().slot(&name)?, name, last_ms });
    let remembered = names.into_iter().filter_map(slot).collect();
    let queries =
        Arc::new(Fleetwide::new(recent, derived, Some((store.reader(), Kept::of(&config.history)))));
    let status = Status::new(directory);
    let (commits, end) = storage::start(store, status.clone()).map_err(StartError::Thread)?;
    let thread = tokio::spawn(async { end.await.expect("its thread has panicked") });
    Ok(Core { shared: Shared::new(ingest), queries, remembered, commits, status, thread })
}

/// The authority and who has joined. A hub whose agents could come without goes on without.
fn identities(config: &Config) -> Result<Option<Identities>, StartError> {
    let listener = config.listener();
    let is_needed =
        listener.identities == Demand::Required || listener.tls.is_some_and(|tls| tls.certificate.is_none());
    match Identities::open(config) {
        Ok(identities) => Ok(Some(identities)),
        Err(error) if is_needed && config.mqtt.is_none() => Err(StartError::Identity(error)),
        Err(error) => {
            log::error!("identities: {error}; nobody can join, and who has joined is not let in");
            Ok(None)
        }
    }
}

/// What appliances are to run on. A hub without it watches on.
fn configurations(config: &Config, identities: Identities) -> Option<Configurations> {
    let opened = Configurations::open(&storage::whole(&config.data), identities);
    opened.inspect_err(|error| log::error!("configurations: {error}")).ok()
}

/// Keeps the files of an outside broker as they should be, where there are to be some.
fn files_of_the_broker(
    config: &Config,
    identities: Option<&Identities>,
    broker: Option<&Broker>,
    asked: &watch::Receiver<bool>,
) -> Option<impl Future<Output = ()> + use<>> {
    config.mqtt.as_ref()?.files.as_ref()?;
    let identities = identities?.clone();
    let plan = Plan::of(config, None, &[]).expect("it was checked when it was read");
    Some(files::keep(plan, identities, broker?.files(), asked.clone()))
}

/// How messages come in and go out.
struct Passages {
    listener: Option<ListenerHandle>,
    broker: Option<Broker>,
    way: Arc<dyn WayIn>,
    outlet: Arc<dyn Outlet>,
    mirror: watch::Receiver<bool>,
}

/// Starts the listener, or the link to the outside broker.
fn way_in(
    config: &Config,
    identities: Option<&Identities>,
    inbound: InboundSender,
    asked: &watch::Receiver<bool>,
) -> Result<Passages, StartError> {
    if let Some(mqtt) = &config.mqtt {
        let link = Broker::start(mqtt, &config.prefix, inbound, asked.clone()).map_err(StartError::Broker)?;
        let mirror = link.mirror_changes();
        let (way, outlet) = (Arc::new(link.clone()), Arc::new(link.clone()));
        return Ok(Passages { listener: None, broker: Some(link), way, outlet, mirror });
    }
    let handle = Listener::start_for(config.listener(), identities.cloned(), inbound, asked.clone())
        .map_err(StartError::Listener)?;
    if let Some(identities) = identities {
        identities.listens(config, handle.tls_address());
    }
    let mirror = handle.mirror_changes();
    let (way, outlet) = (Arc::new(handle.clone()), Arc::new(handle.clone()));
    Ok(Passages { listener: Some(handle), broker: None, way, outlet, mirror })
}

/// The pages, for whoever connects.
fn served(
    socket: TcpListener,
    pages: Arc<Web>,
    config: &Config,
    asked: watch::Receiver<bool>,
) -> impl Future<Output = ()> + use<> {
    let bounds = Bounds::behind(&config.web.proxies, pages.refused());
    server::serve(socket, web::router(pages), bounds, asked)
}

/// Says who it is and where, and that it has started.
fn say_where(history: &Shared, page: SocketAddr, way: &dyn WayIn) {
    let (version, agents) = (env!("CARGO_PKG_VERSION"), way.address());
    log::info!("rackside-hub {version}: page at http://{page}/, agents at {agents}");
    history.note("hub/start", version, clock::now());
}

/// What boxes are told to do, and the way there.
fn commands(
    config: &Config,
    identities: Option<&Identities>,
    shared: &Shared,
    outlet: &Arc<dyn Outlet>,
) -> Commands {
    Commands::new(command::Ground {
        identities: identities.cloned(),
        shared: shared.clone(),
        outlet: Arc::clone(outlet),
        prefix: config.prefix.clone(),
    })
}

/// Minds who has joined: what the command line changes of them, and boxes that are being set up.
fn mind(
    identities: Identities,
    (shared, queries): (&Shared, &Arc<Fleetwide>),
    (outlet, config): (&Arc<dyn Outlet>, &Config),
    asked: &watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + use<> {
    identities.know_fleet(shared);
    let attending = identities.clone().attend(shared.clone(), Arc::clone(queries), asked.clone());
    let keeping = identities.keep(Arc::clone(outlet), config.prefix.clone(), asked.clone());
    async {
        tokio::join!(attending, keeping);
    }
}

impl Hub {
    /// Starts everything, within the tokio runtime that it is called in.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let started = clock::now();
        let (shutdown, asked) = watch::channel(false);
        let (last_call, stop) = watch::channel(false);
        let socket = server::bind(config.web.address).await.map_err(StartError::Web)?;
        let address = socket.local_addr().unwrap_or(config.web.address);
        let (inbound, batches) = mpsc::channel(BATCHES);
        let Core { shared, queries, remembered, commits, status, thread } = core(config)?;
        let note = shared.clone();
        let (live, updates) = Live::new(clock::random() as u32);
        let news = Inbox::default();
        let ground = Ground { shared: shared.clone(), series: Arc::clone(&queries), news: news.clone() };
        let (rules, rules_end) =
            Rules::start(config.rules.clone(), ground).map_err(StartError::RulesThread)?;
        let identities = identities(config)?;
        let Passages { listener, broker, way, outlet, mirror } =
            way_in(config, identities.as_ref(), inbound, &asked)?;
        let tell = rules.clone();
        let touched = move |touched: Vec<Touched>| tell.told(&touched);
        let (on_air, ears, hears) =
            OnAir::start(config.site.clone(), Arc::clone(queries.derived()), touched, started, asked.clone());
        let policy = config.policy().expect("it was checked when it was read");
        let links = LinkKey::open(&storage::whole(&config.data));
        let publisher = Arc::new(ByTheHub { way: Arc::clone(&way), outlet: Arc::clone(&outlet) });
        let charts = notify::charts(Arc::clone(&queries), config.query.limits());
        let outbox = notify::outbox(&config.data, started);
        let office = Office::new(policy.clone(), outbox, publisher, links.clone(), Some(charts));
        let configurations = identities.clone().and_then(|identities| configurations(config, identities));
        let commands = commands(config, identities.as_ref(), &shared, &outlet);
        let watching = (configurations.as_ref().map(Configurations::ears), commands.clone());
        let watcher = ((updates, ears), (rules.clone(), watching));
        let configuring = configurations.clone().map(|configurations| {
            configurations.keep(Arc::clone(&outlet), config.prefix.clone(), asked.clone())
        });
        let writing = files_of_the_broker(config, identities.as_ref(), broker.as_ref(), &asked);
        let joining = identities.clone().map(|of| mind(of, (&shared, &queries), (&outlet, config), &asked));
        let ends = Ends { inbound: batches, outlet, watcher, mirror, commits, standings: rules.standings() };
        let told = notify::Ground {
            shared: shared.clone(),
            on_air: on_air.clone(),
            way: Arc::clone(&way),
            rules: rules.clone(),
            inbox: news,
            identities: identities.clone(),
            office: office.clone(),
        };
        let (notifications, notify_end) =
            Notifications::start(policy, told).map_err(StartError::NotifyThread)?;
        let turns = Turns { rules: rules.turn().clone(), notifications: notifications.turn().clone() };
        let pulse = Pulse::new(shared.clone(), Arc::clone(&way), status.clone(), turns.clone());
        let door = Door::open(&storage::whole(&config.data), &config.web, on_air.configs());
        door.end_sessions_of_others();
        let queried = Queried { config: config.query, series: Arc::clone(&queries), rules: rules.clone() };
        let public = Public::open(&config.status, &config.data);
        let counted = (on_air.clone(), notifications.clone());
        let counting = public.clone().count(counted, Arc::clone(&queries), asked.clone());
        let known = Known {
            shared: shared.clone(),
            on_air: on_air.clone(),
            notifications: notifications.clone(),
            links,
            public: public.clone(),
            door: door.clone(),
            cors: config.web.cors.clone(),
            identities,
            listener: listener.clone(),
            roll_outs: RollOuts::open(&config.fleet, &storage::whole(&config.data)),
            commands: commands.clone(),
        };
        let (roll_outs, rolling) = (known.roll_outs.clone(), rollout::Ground::of(&known, configurations));
        let pages = Web::new(known, Arc::clone(&way), status, live, queried, started, asked.clone());
        let keeping =
            query::keep(queries, pages.clone(), remembered, Kept::of(&config.history), asked.clone());
        let telling = web::live_updates(pages.clone(), asked.clone());
        let serving = served(socket, pages, config, asked.clone());
        let command_line = command::door::serve(commands, config.data.clone(), asked.clone());
        let mut tasks = vec![
            ("series", tokio::spawn(keeping)),
            ("ingest", tokio::spawn(task::run(shared, ends, stop))),
            ("the history", thread),
            ("on-air awareness", hears),
            ("the status page", tokio::spawn(counting)),
            ("notifications", tokio::spawn(notifications.clone().until(asked.clone(), notify_end))),
            ("the couriers", tokio::spawn(office.run(Arc::clone(&way), turns, asked.clone()))),
            ("the rules", tokio::spawn(rules.clone().until(asked.clone(), rules_end))),
            ("roll-outs", tokio::spawn(rollout::run(roll_outs.clone(), rolling, asked.clone()))),
            ("the live updates", tokio::spawn(telling)),
            ("the web server", tokio::spawn(serving)),
            ("the command line's door", tokio::spawn(command_line)),
            ("the log of users", tokio::spawn(door.clone().tell(asked))),
        ];
        tasks.extend(configuring.map(|keeping| ("configurations", tokio::spawn(keeping))));
        tasks.extend(writing.map(|writing| ("the files of the broker", tokio::spawn(writing))));
        tasks.extend(joining.map(|keeping| ("identities", tokio::spawn(keeping))));
        say_where(&note, address, way.as_ref());
        door.say_how_to_begin(address, &notifications.external_url(), clock::now().utc_ms as i64);
        let parts = Parts { listener, on_air, notifications, shared: note, public, roll_outs };
        Ok(Self { web: address, parts, broker, last_call, shutdown, pulse, tasks })
    }

    /// Where the pages are; the port is the one that was bound.
    pub fn web_address(&self) -> SocketAddr {
        self.web
    }

    /// The listener, unless agents come through an outside broker.
    pub fn listener(&self) -> Option<&ListenerHandle> {
        self.parts.listener.as_ref()
    }

    /// Which site is on air.
    pub fn on_air(&self) -> &OnAir {
        &self.parts.on_air
    }

    /// Who is told of alerts.
    pub fn notifications(&self) -> &Notifications {
        &self.parts.notifications
    }

    /// What a changed file changes at once.
    pub(crate) fn parts(&self) -> Parts {
        self.parts.clone()
    }

    /// For the systemd that started it.
    pub(crate) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Waits until a part of the hub has ended although nobody has stopped it, and says which. That is a bug, and a hub
    /// that goes on without it would look well and hear nobody: whoever runs the hub ends it.
    pub async fn failed(&mut self) -> String {
        let tasks = self.tasks.iter_mut().map(|(_, task)| task);
        let part = async {
            let (ended, at, _) = select_all(tasks).await;
            (at, ended.err().map_or_else(|| "it ended by itself".to_owned(), |error| error.to_string()))
        };
        let listener = async {
            match &self.parts.listener {
                Some(listener) => listener.stopped().await,
                None => pending().await,
            }
        };
        let broker = async {
            match &self.broker {
                Some(broker) => broker.stopped().await,
                None => pending().await,
            }
        };
        let (at, why) = tokio::select! {
            ended = part => ended,
            () = listener => return "the listener has failed".to_owned(),
            () = broker => return "the link to the broker has failed".to_owned(),
        };
        // What has ended cannot be waited for again.
        let (name, _) = self.tasks.swap_remove(at);
        format!("{name} has failed: {why}")
    }

    /// Stops everything. Says whether all of it ended in time.
    pub async fn stop(mut self) -> bool {
        self.parts.shared.note("hub/stop", "", clock::now());
        let all = async {
            self.last_call.send_replace(true);
            if let Some(at) = self.tasks.iter().position(|(name, _)| *name == "ingest") {
                ended(self.tasks.swap_remove(at)).await;
                tokio::time::sleep(LAST_ACKS).await;
            }
            self.shutdown.send_replace(true);
            for task in self.tasks {
                ended(task).await;
            }
            if let Some(listener) = self.parts.listener {
                listener.stopped().await;
            }
            if let Some(broker) = self.broker {
                broker.stopped().await;
            }
        };
        tokio::time::timeout(STOP_WITHIN, all).await.is_ok()
    }
}

async fn ended((name, task): (&'static str, JoinHandle<()>)) {
    if let Err(error) = task.await {
        log::error!("{name} had failed: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    async fn hub(data: &TempDir) -> Hub {
        let text = "[listener]\naddress = \"127.0.0.1:0\"\n[web]\naddress = \"127.0.0.1:0\"\n";
        let config = Config::parse(text, "hub.toml").expect("right");
        Hub::start(&Config { data: data.path().to_owned(), ..config }).await.expect("it starts")
    }

    fn data() -> TempDir {
        tempfile::tempdir().expect("a temporary directory")
    }

    #[tokio::test]
    async fn a_part_that_fails_is_noticed_and_named() {
        let data = data();
        let mut hub = hub(&data).await;
        let early = tokio::time::timeout(Duration::from_millis(50), hub.failed()).await;
        assert!(early.is_err(), "all is well: {early:?}");
        hub.tasks.push(("a part", tokio::spawn(async { panic!("on purpose") })));
        let what = hub.failed().await;
        assert!(what.starts_with("a part has failed: ") && what.contains("on purpose"), "{what}");
        assert!(hub.stop().await, "the rest stops as ever");
    }

    #[tokio::test]
    async fn ingest_that_is_gone_is_noticed() {
        let data = data();
        let mut hub = hub(&data).await;
        let ingest = hub.tasks.iter().find(|(name, _)| *name == "ingest").expect("a part of it");
        ingest.1.abort();
        assert!(hub.failed().await.starts_with("ingest has failed: "));
    }
}
