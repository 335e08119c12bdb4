//! Starting and stopping the hub: the one place that knows all parts.
//!
//! Order of starting: the web address is taken, then the way in, so that a port in use ends the start before anything is
//! promised to anybody. Order of stopping: everything is told at once, and waited for.

use crate::broker::{Broker, BrokerError};
use crate::clock;
use crate::config::Config;
use crate::inbound::Outlet;
use crate::ingest::task::{self, Shared};
use crate::ingest::{Ingest, NoPast};
use crate::listener::{ListenError, Listener, ListenerHandle};
use crate::web::server::{self, BindError, Bounds};
use crate::web::{self, Live, Updates, WayIn, Web};
use futures_util::future::select_all;
use std::fmt;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Reads of a socket that may wait for ingest; then the sockets wait.
const BATCHES: usize = 1024;
/// What stops later than this is left behind.
const STOP_WITHIN: Duration = Duration::from_millis(4500);

/// Why the hub cannot start.
#[derive(Debug)]
pub enum StartError {
    /// The web address cannot be had.
    Web(BindError),
    /// The listener cannot start.
    Listener(ListenError),
    /// The link to the outside broker cannot even be tried.
    Broker(BrokerError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(error) => error.fmt(f),
            Self::Listener(error) => error.fmt(f),
            Self::Broker(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    web: SocketAddr,
    listener: Option<ListenerHandle>,
    broker: Option<Broker>,
    shutdown: watch::Sender<bool>,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
}

impl Hub {
    /// Starts everything, within the tokio runtime that it is called in.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let started = clock::now();
        let (shutdown, asked) = watch::channel(false);
        let socket = server::bind(config.web.address).await.map_err(StartError::Web)?;
        let address = socket.local_addr().unwrap_or(config.web.address);
        let (inbound, batches) = mpsc::channel(BATCHES);
        let ingest = Ingest::new(config.prefix.clone(), clock::random(), Arc::new(NoPast), started);
        let shared = Shared::new(ingest);
        let (live, updates) = Live::start(shared.clone(), asked.clone());
        let mut tasks = Vec::new();
        let (mut listener, mut outside) = (None, None);
        let way: Arc<dyn WayIn> = if let Some(mqtt) = &config.mqtt {
            let broker =
                Broker::start(mqtt, &config.prefix, inbound, asked.clone()).map_err(StartError::Broker)?;
            let mirror = broker.mirror_changes();
            let outlet = Arc::new(broker.clone());
            tasks.push(("ingest", ingest_task(&shared, batches, outlet, updates, mirror, &asked)));
            outside = Some(broker.clone());
            Arc::new(broker)
        } else {
            let handle =
                Listener::start(config.listener(), inbound, asked.clone()).map_err(StartError::Listener)?;
            let mirror = handle.mirror_changes();
            let outlet = Arc::new(handle.clone());
            tasks.push(("ingest", ingest_task(&shared, batches, outlet, updates, mirror, &asked)));
            listener = Some(handle.clone());
            Arc::new(handle)
        };
        let pages = Web::new(shared, Arc::clone(&way), live, started, asked.clone());
        tasks.push((
            "the web server",
            tokio::spawn(server::serve(socket, web::router(pages), Bounds::default(), asked)),
        ));
        log::info!(
            "rackside-hub {}: page at http://{address}/, agents at {}",
            env!("CARGO_PKG_VERSION"),
            way.address()
        );
        Ok(Self { web: address, listener, broker: outside, shutdown, tasks })
    }

    /// Where the pages are; the port is the one that was bound.
    pub fn web_address(&self) -> SocketAddr {
        self.web
    }

    /// The listener, unless agents come through an outside broker.
    pub fn listener(&self) -> Option<&ListenerHandle> {
        self.listener.as_ref()
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
            match &self.listener {
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
    pub async fn stop(self) -> bool {
        self.shutdown.send_replace(true);
        let all = async {
            for (name, task) in self.tasks {
                if let Err(error) = task.await {
                    log::error!("{name} had failed: {error}");
                }
            }
            if let Some(listener) = self.listener {
                listener.stopped().await;
            }
            if let Some(broker) = self.broker {
                broker.stopped().await;
            }
        };
        tokio::time::timeout(STOP_WITHIN, all).await.is_ok()
    }
}

fn ingest_task(
    shared: &Shared,
    batches: mpsc::Receiver<Vec<crate::inbound::Inbound>>,
    outlet: Arc<dyn Outlet>,
    updates: Updates,
    mirror: watch::Receiver<bool>,
    asked: &watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(task::run(shared.clone(), batches, outlet, updates, mirror, asked.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn hub() -> Hub {
        let text = "[listener]\naddress = \"127.0.0.1:0\"\n[web]\naddress = \"127.0.0.1:0\"\n";
        Hub::start(&Config::parse(text, "hub.toml").expect("right")).await.expect("it starts")
    }

    #[tokio::test]
    async fn a_part_that_fails_is_noticed_and_named() {
        let mut hub = hub().await;
        let early = tokio::time::timeout(Duration::from_millis(50), hub.failed()).await;
        assert!(early.is_err(), "all is well: {early:?}");
        hub.tasks.push(("a part", tokio::spawn(async { panic!("on purpose") })));
        let what = hub.failed().await;
        assert!(what.starts_with("a part has failed: ") && what.contains("on purpose"), "{what}");
        assert!(hub.stop().await, "the rest stops as ever");
    }

    #[tokio::test]
    async fn ingest_that_is_gone_is_noticed() {
        let mut hub = hub().await;
        hub.tasks[0].1.abort();
        assert!(hub.failed().await.starts_with("ingest has failed: "));
    }
}
