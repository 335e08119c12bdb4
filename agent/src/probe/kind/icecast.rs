//! `[[probe.icecast]]`: an Icecast server by its status page (`/status-json.xsl`): whether each mount has a source, how many listen, and
//! which track is on.
//!
//! The page names a mount only while it has a source, so that the absence of one is the server's own word; a page that cannot be
//! read says nothing. Without `mounts` every mount that is seen is watched, and the probe is down while there is none at all.
//!
//! ```toml
//! [[probe.icecast]]
//! name = "radio"
//! url = "http://192.0.2.20:8000"
//! mounts = ["/live.mp3"]
//! ```

pub(crate) mod page;

use crate::clock::Clock;
use crate::probe::ask::{self, Refusal, Server};
use crate::probe::config::{Settings, Shared as _, kind};
use crate::probe::http::Trust;
use crate::probe::streak::{Seen, Streak};
use crate::probe::track::{Look, Tracks};
use crate::probe::{Context, Outcome, Probe, Running};
use log::warn;
use page::{Mount, Page};
use rackside_proto::{Scale, limits, metric};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// So many mounts have series: each has some fifteen.
const MOST: usize = 16;
/// So long a mount that nobody named is said to have no source.
const FORGET: Duration = Duration::from_hours(1);
/// Kilobits a second.
const KILO: Scale = Scale::times(1000);

kind! {
    /// What the configuration has for it.
    pub struct Icecast with user, password {
        /// `http://192.0.2.20:8000`.
        url: String,
        /// Those that must have a source, with their slash; without any, one at least must.
        #[serde(default)]
        mounts: Vec<String>,
        /// Whose signature on its certificate is believed, instead of the system's authorities.
        #[serde(default)]
        ca: Option<PathBuf>,
    }
}

impl Settings for Icecast {
    fn target(&self) -> String {
        ask::shown(&self.url)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        ask::check(&self.url)?;
        if self.mounts.len() > MOST {
            return Err(("mounts", format!("has more than {MOST} entries, which is all that is watched")));
        }
        let is_mount =
            |mount: &&String| mount.starts_with('/') && mount.len() > 1 && mount.len() <= limits::STRING;
        match self.mounts.iter().find(|mount| !is_mount(mount)) {
            Some(wrong) => Err(("mounts", format!("{wrong:?} is no mount; one is like \"/live.mp3\""))),
            None => Ok(()),
        }
    }

    fn is_audio(&self) -> bool {
        true
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Asking { settings: self.clone(), mounts: BTreeMap::new(), has_said_more: false })
    }
}

/// A mount that has series.
#[derive(Debug)]
struct Watched {
    streak: Streak,
    seen_at: Instant,
    tracks: Tracks,
    latest: Option<Mount>,
}

/// The probe, with what it knows from one run to the next.
struct Asking {
    settings: Icecast,
    mounts: BTreeMap<String, Watched>,
    has_said_more: bool,
}

impl Probe for Asking {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            match self.ask(context).await {
                Ok(page) => self.known(page, Clock::now()),
                Err(refusal) => self.unknown(refusal.why(self.settings.login().is_some()), Clock::now()),
            }
        })
    }

    fn late(&mut self, why: String) -> Outcome {
        self.unknown(why, Clock::now())
    }
}

impl Asking {
    async fn ask(&self, context: &Context) -> Result<Page, Refusal> {
        let server = Server {
            url: &self.settings.url,
            login: self.settings.login(),
            trust: Trust::of(self.settings.ca.as_ref()),
        };
        let answer = server.fetch(context, "status-json.xsl", &[]).await?;
        let origin = answer.url.origin();
        Page::read(&answer.body).map_err(|why| Refusal::Unreadable(format!("{origin}: {why}")))
    }

    fn known(&mut self, page: Page, now: Instant) -> Outcome {
        let has_any = !page.mounts.is_empty();
        let is_whole = page.is_whole;
        self.take(page, now);
        let missing: Vec<&str> = self
            .settings
            .mounts
            .iter()
            .filter(|mount| self.mounts.get(*mount).is_some_and(|watched| watched.latest.is_none()))
            .map(String::as_str)
            .collect();
        let mut outcome = if !missing.is_empty() && is_whole {
            Outcome::down(format!("no source on {}, says the server", missing.join(", ")))
        } else if !has_any && is_whole {
            Outcome::down("no source on any mount, says the server")
        } else if missing.is_empty() {
            Outcome::up()
        } else {
            Outcome::unknown("the server's page names a mount in a way that is not known")
        };
        self.tell(&mut outcome, now);
        outcome
    }

    fn take(&mut self, page: Page, now: Instant) {
        let mut listed: BTreeMap<String, Mount> =
            page.mounts.into_iter().map(|mount| (mount.path.clone(), mount)).collect();
        for path in &self.settings.mounts {
            self.mounts.entry(path.clone()).or_insert_with(|| Watched::new(now));
        }
        for (path, watched) in &mut self.mounts {
            watched.take(listed.remove(path), page.is_whole, now);
        }
        let named = &self.settings.mounts;
        self.mounts.retain(|path, watched| {
            named.contains(path) || now.saturating_duration_since(watched.seen_at) < FORGET
        });
        if !named.is_empty() {
            return;
        }
        let mut left_out = 0;
        for (path, mount) in listed {
            if self.mounts.len() < MOST {
                let mut watched = Watched::new(now);
                watched.take(Some(mount), true, now);
                self.mounts.insert(path, watched);
            } else {
                left_out += 1;
            }
        }
        if left_out > 0 && !self.has_said_more {
            let name = &self.settings.name;
            warn!(
                "probe {name}: {left_out} of the server's mounts have no series; name those that matter in `mounts`"
            );
            self.has_said_more = true;
        }
    }

    fn tell(&self, outcome: &mut Outcome, now: Instant) {
        let mut titles: Vec<&str> = Vec::new();
        for (path, watched) in &self.mounts {
            watched.tell(outcome, path, now);
            titles.extend(watched.tracks.current().filter(|title| !titles.contains(title)));
        }
        if !titles.is_empty() {
            outcome.say("title", titles.join(" | "));
        }
    }

    fn unknown(&mut self, why: String, now: Instant) -> Outcome {
        for path in &self.settings.mounts {
            self.mounts.entry(path.clone()).or_insert_with(|| Watched::new(now));
        }
        let mut outcome = Outcome::unknown(why);
        for (path, watched) in &mut self.mounts {
            watched.lose(now);
            outcome.put_value(&metric::STREAM_UP, &[path], Scale::ONE, watched.streak.value());
        }
        outcome
    }
}

impl Watched {
    fn new(now: Instant) -> Self {
        Self { streak: Streak::default(), seen_at: now, tracks: Tracks::default(), latest: None }
    }

    fn take(&mut self, mount: Option<Mount>, is_whole: bool, now: Instant) {
        match &mount {
            Some(mount) => {
                self.streak.observe(Seen::Well);
                self.seen_at = now;
                self.tracks.look(mount.title.as_deref().map_or(Look::Nothing, Look::Track), None, now);
            }
            None if is_whole => {
                self.streak.observe(Seen::Gone);
                self.tracks.look(Look::Nothing, None, now);
            }
            None => self.lose(now),
        }
        self.latest = mount;
    }

    /// Nobody can tell.
    fn lose(&mut self, now: Instant) {
        self.streak.observe(Seen::Nothing);
        self.tracks.look(Look::Blind, None, now);
        self.latest = None;
    }

    fn tell(&self, outcome: &mut Outcome, path: &str, now: Instant) {
        outcome.put_value(&metric::STREAM_UP, &[path], Scale::ONE, self.streak.value());
        self.tracks.tell(outcome, path, None, now);
        let Some(mount) = &self.latest else { return };
        if let Some(listeners) = mount.listeners {
            outcome.put(&metric::STREAM_LISTENERS, &[path], Scale::ONE, listeners as f64);
        }
        if let Some(bitrate) = mount.bitrate {
            outcome.put(&metric::STREAM_NOMINAL_BITRATE, &[path], KILO, bitrate);
        }
    }
}

#[cfg(test)]
mod tests;
