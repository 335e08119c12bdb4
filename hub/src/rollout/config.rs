//! `[fleet]` in `hub.toml`: where the files are that say how appliances are to be configured.
//!
//! ```toml
//! [fleet]
//! configurations = "/etc/rackside/fleet"
//! ```

use serde::Deserialize;
use std::path::PathBuf;

/// `[fleet]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetConfig {
    /// The directory; without one, the hub configures nobody.
    pub configurations: Option<PathBuf>,
}

impl FleetConfig {
    /// What of it cannot be.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        match &self.configurations {
            Some(path) if path.as_os_str().is_empty() => {
                Err(("fleet.configurations", "is empty; name a directory, or leave it out".to_owned()))
            }
            _ => Ok(()),
        }
    }
}
