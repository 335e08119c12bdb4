//! Reading files again while the hub runs: the configuration and the listener's users, on SIGHUP and when they change.
//!
//! Of the configuration the log level, the sites and notifications take effect at once, everything else waits for a restart. Of the users everything
//! does: who is connected stays, who connects from now on is checked against the new file. A bad file changes nothing.
//!
//! ```text
//! INFO  users read again: 12
//! ERROR listener: /etc/rackside/users:3: no colon; a line is ...; the users stay as they were
//! ```

use crate::clock;
use crate::config::Config;
use crate::listener::ListenerHandle;
use crate::notify::Notifications;
use crate::onair::OnAir;
use rackside_config::Watched;
use rackside_systemd::Systemd;
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::Signal;

/// A changed file is noticed within this.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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
    pub(crate) async fn watch(
        mut self,
        listener: Option<ListenerHandle>,
        on_air: OnAir,
        notifications: Notifications,
        mut hangup: Signal,
        systemd: &RefCell<Systemd>,
    ) {
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
                self.configuration();
                on_air.configure(&self.config.site);
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

    fn configuration(&mut self) {
        let Some(file) = &self.file else {
            log::info!("there is no configuration file to read again");
            return;
        };
        match Config::read(file.path()) {
            Ok(fresh) => take(&mut self.config, fresh),
            Err(error) => log::error!("{error}; the configuration stays as it was"),
        }
    }
}

fn take(config: &mut Config, fresh: Config) {
    let level = fresh.log.level;
    log::set_max_level(level.into());
    // All but that, compared as written: what differs there waits for the next start.
    let rest = |config: &Config| {
        let Config { log, site, notify, receiver, team, route, maintenance, inhibit, .. } = Config::default();
        let rest = config.clone();
        let rest = Config { site, notify, receiver, team, route, maintenance, inhibit, log, ..rest };
        format!("{rest:?}")
    };
    if rest(config) == rest(&fresh) {
        log::info!("configuration read again; log level {level:?}");
    } else {
        log::warn!(
            "configuration read again; log level {level:?}; everything else waits for a restart of the hub"
        );
    }
    *config = fresh;
}

fn read_users(listener: &ListenerHandle) {
    match listener.reload_users() {
        Ok(Some(count)) => log::info!("users read again: {count}"),
        // Nobody is asked for a password.
        Ok(None) => {}
        Err(error) => log::error!("listener: {error}; the users stay as they were"),
    }
}
