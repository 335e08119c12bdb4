//! Reading files again while the hub runs: the configuration and the listener's users, on SIGHUP and when they change.
//!
//! Of the configuration the log level, the sites, notifications and what the public is told take effect at once, everything else waits for a restart. Of the users everything
//! does: who is connected stays, who connects from now on is checked against the new file. A bad file changes nothing.
//!
//! ```text
//! INFO  users read again: 12
//! ERROR listener: /etc/rackside/users:3: no colon; a line is ...; the users stay as they were
//! ```

use crate::clock;
use crate::config::Config;
use crate::ingest::task::Shared;
use crate::listener::ListenerHandle;
use crate::notify::Notifications;
use crate::onair::OnAir;
use crate::rollout::RollOuts;
use crate::status::Public;
use rackside_config::Watched;
use rackside_systemd::Systemd;
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::Signal;

/// A changed file is noticed within this.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What takes effect at once, and where.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    /// Who may connect; none, where agents come through a broker.
    pub(crate) listener: Option<ListenerHandle>,
    /// Sites.
    pub(crate) on_air: OnAir,
    /// Who is told of alerts.
    pub(crate) notifications: Notifications,
    /// Where it is noted.
    pub(crate) shared: Shared,
    /// What the public is told.
    pub(crate) public: Public,
    /// How appliances are to be configured.
    pub(crate) roll_outs: RollOuts,
}

/// The files of a running hub.
#[derive(Debug)]
pub(crate) struct Files {
    file: Option<Watched>,
    users: Option<Watched>,
    config: Config,
}

impl Files {
    /// Reads the configuration, if there is one.
    pub(crate) fn read(path: Option<PathBuf>) -> Result<Self, rackside_config::ConfigError> {
        let file = path.map(Watched::new);
        let config = file.as_ref().map(|file| Config::read(file.path())).transpose()?.unwrap_or_default();
        let users = config.listener.as_ref().and_then(|listener| listener.users.clone()).map(Watched::new);
        Ok(Self { file, users, config })
    }

    /// What the hub runs with.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Watches; never returns.
    pub(crate) async fn watch(mut self, parts: Parts, mut hangup: Signal, systemd: &RefCell<Systemd>) {
        let Parts { listener, on_air, notifications, shared, public, roll_outs } = parts;
        loop {
            let told = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            let changed = |file: &mut Option<Watched>| file.as_mut().is_some_and(Watched::changed);
            let (file, users) = (changed(&mut self.file), changed(&mut self.users));
            if !(told || file || users) {
                continue;
            }
            systemd.borrow_mut().reloading(clock::monotonic());
            systemd.borrow_mut().tell();
            if told || file {
                let said = self.configuration();
                shared.note("hub/configuration", said, clock::now());
                on_air.configure(&self.config.site);
                public.configure(&self.config.status);
                roll_outs.configure(&self.config.fleet);
                match self.config.policy() {
                    Ok(policy) => notifications.load(policy),
                    Err((key, why)) => log::error!("{key}: {why}; notifications stay as they were"),
                }
            }
            if let Some(listener) = listener.as_ref().filter(|_| told || users) {
                read_users(listener);
            }
            systemd.borrow_mut().ready();
            systemd.borrow_mut().tell();
        }
    }

    /// Says for the log of the fleet what came of it.
    fn configuration(&mut self) -> &'static str {
        let Some(file) = &self.file else {
            log::info!("there is no configuration file to read again");
            return "there is no file of it";
        };
        match Config::read(file.path()) {
            Ok(fresh) => take(&mut self.config, fresh),
            Err(error) => {
                log::error!("{error}; the configuration stays as it was");
                "it has an error and stays as it was"
            }
        }
    }
}

fn take(config: &mut Config, fresh: Config) -> &'static str {
    let level = fresh.log.level;
    log::set_max_level(level.into());
    // All but that, compared as written: what differs there waits for the next start.
    let rest = |config: &Config| {
        let Config { log, site, status, fleet, notify, receiver, team, route, maintenance, inhibit, .. } =
            Config::default();
        let rest = config.clone();
        let rest =
            Config { site, notify, fleet, receiver, team, route, maintenance, inhibit, status, log, ..rest };
        format!("{rest:?}")
    };
    let is_all = rest(config) == rest(&fresh);
    *config = fresh;
    if is_all {
        log::info!("configuration read again; log level {level:?}");
        "read again"
    } else {
        log::warn!(
            "configuration read again; log level {level:?}; everything else waits for a restart of the hub"
        );
        "read again; a part of it waits for a restart of the hub"
    }
}

fn read_users(listener: &ListenerHandle) {
    match listener.reload_users() {
        Ok(Some(count)) => log::info!("users read again: {count}"),
        // Nobody is asked for a password.
        Ok(None) => {}
        Err(error) => log::error!("listener: {error}; the users stay as they were"),
    }
}
