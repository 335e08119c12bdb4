//! A configuration that is read again while the agent runs: what takes effect at once, and what waits for a restart.
//!
//! Invariant: what is wrong keeps the configuration as it was, whole.

use super::line::{self, Line, Way};
use super::{App, StartError};
use crate::clock::Clock;
use crate::config::Config;
use crate::panel::{self, Panel};
use crate::reload::{self, ConfigFile};
use crate::sensor::Roots;
use crate::state::State;
use crate::ticker::Ticker;
use log::{error, info, warn};
use std::fmt::Write as _;

impl App {
    pub(super) fn file_has_changed(&mut self) -> bool {
        self.file.as_mut().is_some_and(ConfigFile::has_changed)
    }

    /// Reads the file again, with the password and the certificates. What is wrong keeps the configuration as it was, whole.
    pub(super) async fn reload(&mut self) {
        let Some(file) = &mut self.file else { return };
        self.systemd.reloading(Clock::kernel());
        self.systemd.tell();
        let read = file.read_again(self.config.hub.handed.clone()).map_err(StartError::Config);
        if let Some(other) = file.about_other() {
            warn!("{other}");
        }
        match read.and_then(|fresh| Ok((Way::to(&fresh.mqtt)?, fresh))) {
            Ok((way, fresh)) => self.take(way, fresh).await,
            Err(error) => error!("{error}; the configuration stays as it was"),
        }
        self.systemd.ready();
    }

    pub(super) async fn take(&mut self, way: Way, mut fresh: Config) {
        log::set_max_level(fresh.level);
        let mut said = format!("configuration read again; log level {:?}", fresh.level);
        let changed = reload::changes(&self.config, &fresh);
        if !changed.is_empty() {
            let _ = write!(said, "; changed: {}", changed.join(", "));
        }
        if fresh.name == self.config.name {
            info!("{said}");
        } else {
            // Records belong to the name under which they were made.
            warn!("{said}; site and appliance wait for a restart of the agent");
            fresh.name = self.config.name.clone();
        }
        // A new certificate of the authority is for the next connection; the present one is not the worse for it.
        // What is subscribed to, a connection says as it begins.
        let subscribes_alike = self.config.hub.accepts == fresh.hub.accepts;
        let keeps = matches!(self.line, Line::Up(_)) && self.way.login == way.login && subscribes_alike;
        if self.config.mqtt != fresh.mqtt {
            info!("the broker is {}", fresh.mqtt);
            line::warn_of_bare_password(&fresh.mqtt);
        }
        if !keeps || self.config.mqtt != fresh.mqtt {
            self.hang_up().await;
            self.backoff.reset();
            self.said = None;
        }
        self.way = way;
        if self.config.tick != fresh.tick {
            self.ticker = Ticker::new(fresh.tick, Clock::now());
        }
        self.clock.trust(fresh.clock);
        let state = State::new(&fresh.spool, &Roots::default().proc);
        if state.is_same(&self.state) {
            self.state.configure(&state);
        } else if !self.agent.custody.has_spool() {
            self.state = state;
        } else {
            // What is in the old one would be forgotten.
            warn!("another place for the spool waits for a restart of the agent");
            (fresh.spool.directory, fresh.spool.disk) =
                (self.config.spool.directory.clone(), self.config.spool.disk);
        }
        self.probes.configure(fresh.probes.clone(), Clock::now());
        if self.config.panel != fresh.panel {
            let now = Clock::now();
            let before =
                std::mem::replace(&mut self.panel, Panel::open(panel::config::Config::default(), None, now));
            self.panel = Panel::open(fresh.panel.clone(), before.close(), now);
        }
        self.agent.configure(&fresh);
        self.config = fresh;
        self.count_revision();
    }
}
