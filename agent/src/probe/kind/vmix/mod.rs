//! `[[probe.vmix]]`: vMix by its own word: whether it streams, on which channels, records, and feeds its external output.
//!
//! Its status in XML is asked for over HTTP (`url`, its Web Controller) or over its TCP interface (`tcp`). It says nothing of bitrates and
//! lost frames. A vMix that cannot be asked says nothing of its stream.
//!
//! ```toml
//! [[probe.vmix]]
//! name = "vmix"
//! url = "http://192.0.2.40:8088"
//! ```

pub(crate) mod tcp;
#[cfg(test)]
mod tests;
pub(crate) mod xml;

use crate::probe::ask::{self, Server};
use crate::probe::config::{Settings, Shared as _, kind};
use crate::probe::http::Trust;
use crate::probe::streak::{Seen, Streak};
use crate::probe::{Context, Outcome, Probe, Running};
use rackside_proto::{Scale, Value, metric};
use std::path::PathBuf;
use xml::Told;

/// The TCP interface's port.
const PORT: u16 = 8099;

kind! {
    /// What the configuration has for it.
    pub struct Vmix with user, password {
        /// Of its Web Controller: `http://192.0.2.40:8088`.
        #[serde(default)]
        url: Option<String>,
        /// Of its TCP interface instead: `192.0.2.40`, with a port if it is not 8099.
        #[serde(default)]
        tcp: Option<String>,
        /// Whose signature on its certificate is believed, instead of the system's authorities.
        #[serde(default)]
        ca: Option<PathBuf>,
    }
}

impl Settings for Vmix {
    fn target(&self) -> String {
        self.url.as_deref().map(ask::shown).or_else(|| self.tcp.clone()).unwrap_or_default()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        match (&self.url, &self.tcp) {
            (Some(url), None) => ask::check(url),
            (None, Some(_)) if self.user.is_some() || self.password.is_some() => {
                Err(("tcp", "has no login; take `user` and `password` away".to_owned()))
            }
            (None, Some(tcp)) => match rackside_config::host_and_port(tcp) {
                Some(_) => Ok(()),
                None => Err(("tcp", format!("\"{tcp}\" is neither host nor host:port"))),
            },
            (Some(_), Some(_)) => {
                Err(("tcp", "and `url` are two ways to one vMix; say one of them".to_owned()))
            }
            (None, None) => Err(("name", "is all that is said; set `url` or `tcp`".to_owned())),
        }
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Asking { settings: self.clone(), streak: Streak::default() })
    }
}

/// The probe, with what it knows from one run to the next.
struct Asking {
    settings: Vmix,
    streak: Streak,
}

impl Probe for Asking {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            match self.ask(context).await {
                Ok(told) => self.known(&told),
                Err(why) => self.unknown(why),
            }
        })
    }

    fn late(&mut self, why: String) -> Outcome {
        self.unknown(why)
    }
}

impl Asking {
    async fn ask(&self, context: &Context) -> Result<Told, String> {
        let settings = &self.settings;
        let body = match (&settings.url, &settings.tcp) {
            (Some(url), _) => {
                let login = settings.login();
                let server = Server { url, login, trust: Trust::of(settings.ca.as_ref()) };
                let answer = server.fetch(context, "api/", &[]).await;
                answer.map_err(|refusal| refusal.why(login.is_some()))?.body
            }
            (None, tcp) => {
                let address = tcp.as_deref().and_then(rackside_config::host_and_port);
                let (host, port) = address.expect("the configuration was checked");
                tcp::ask(host, port.unwrap_or(PORT), context.within).await?
            }
        };
        xml::read(&body).map_err(|why| format!("{}: {why}", settings.target()))
    }

    fn known(&mut self, told: &Told) -> Outcome {
        let mut outcome = match told.streaming {
            Some(_) => Outcome::up(),
            None => Outcome::unknown("vMix does not say whether it streams"),
        };
        let up = self.streak.observe(match told.streaming {
            Some(true) => Seen::Well,
            Some(false) => Seen::Gone,
            None => Seen::Nothing,
        });
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, up);
        let truth = |truth: Option<bool>| truth.map_or(Value::Unknown, |truth| Value::Known(truth.into()));
        outcome.put_value(&metric::RECORDING_UP, &[], Scale::ONE, truth(told.recording));
        for (metric, state) in [
            (&metric::VMIX_EXTERNAL, told.external),
            (&metric::VMIX_MULTICORDER, told.multicorder),
            (&metric::VMIX_BLACK, told.black),
        ] {
            if state.is_some() {
                outcome.put_value(metric, &[], Scale::ONE, truth(state));
            }
        }
        for (channel, is_active) in &told.channels {
            let value = Value::Known((*is_active).into());
            outcome.put_value(&metric::VMIX_CHANNEL_ACTIVE, &[&channel.to_string()], Scale::ONE, value);
        }
        if let Some(version) = &told.version {
            let edition = told.edition.as_deref().unwrap_or_default();
            outcome.say("version", format!("{version} {edition}").trim());
        }
        outcome
    }

    fn unknown(&mut self, why: String) -> Outcome {
        let mut outcome = Outcome::unknown(why);
        let up = self.streak.observe(Seen::Nothing);
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, up);
        outcome.put_value(&metric::RECORDING_UP, &[], Scale::ONE, Value::Unknown);
        outcome
    }
}
