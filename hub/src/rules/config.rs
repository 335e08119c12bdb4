//! `[rules]` in `hub.toml`: which rules are evaluated, and how often.
//!
//! ```toml
//! [rules]
//! defaults = true
//! files = ["/etc/rackside/rules/*.yml"]
//! interval = "15s"
//! ```

use rackside_config::Span;
use serde::Deserialize;
use std::time::Duration;

/// `[rules]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesConfig {
    /// Whether the rules that come with the hub are evaluated.
    pub defaults: bool,
    /// Rule files in Prometheus's format, beside them; `*` stands for any part of a file's name.
    pub files: Vec<String>,
    /// How often groups are evaluated that do not say so themselves.
    pub interval: Span,
    /// Where people reach this hub: what `$externalURL` is in templates.
    pub external_url: String,
}

impl Default for RulesConfig {
    fn default() -> Self {
        let interval = Span::seconds(15);
        Self { defaults: true, files: Vec::new(), interval, external_url: String::new() }
    }
}

impl RulesConfig {
    /// The first key that cannot be, and why.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let interval = self.interval;
        if interval.get() < Duration::from_secs(1) {
            let why = format!(
                "\"{interval}\" is too often; what is urgent is evaluated at once anyway, so write for example \"15s\""
            );
            return Err(("rules.interval", why));
        }
        Ok(())
    }
}
