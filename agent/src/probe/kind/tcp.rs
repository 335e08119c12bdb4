//! `[[probe.tcp]]`: whether something accepts connections there. Nothing is sent; the connection is closed at once.
//!
//! `rackside_probe_duration_seconds` is the time until then, name resolution included. A refusal is down; so is silence until the timeout.
//!
//! ```toml
//! [[probe.tcp]]
//! name = "encoder"
//! target = "192.0.2.30:1935"
//! ```

use crate::probe::config::{Settings, kind};
use crate::probe::{Context, Outcome, Probe, Running, dial};

kind! {
    /// What the configuration has for it.
    pub struct Tcp {
        /// `host:port`.
        target: String,
    }
}

impl Settings for Tcp {
    fn target(&self) -> String {
        self.target.clone()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        match rackside_config::host_and_port(&self.target) {
            Some((_, Some(_))) => Ok(()),
            _ => Err(("target", format!("\"{}\" is not host:port", self.target))),
        }
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(self.clone())
    }
}

impl Probe for Tcp {
    fn run<'a>(&'a mut self, _: &'a Context) -> Running<'a> {
        Box::pin(async {
            let (host, port) = rackside_config::host_and_port(&self.target)
                .and_then(|(host, port)| Some((host, port?)))
                .expect("the configuration was checked");
            match dial::connect(host, port).await {
                Ok(_) => Outcome::up(),
                Err(error) => Outcome::down(error.to_string()),
            }
        })
    }
}
