//! `[mqtt.files]` of `hub.toml`: where files for Mosquitto go, and who comes to it beside the hub and appliances.
//!
//! ```toml
//! [mqtt.files]
//! directory = "/etc/mosquitto/rackside"
//! names = ["broker.example.org"]
//! [[mqtt.files.reader]]
//! user = "desk"
//! password = { file = "/etc/rackside/desk.secret" }
//! read = ["rackside/json/arena-north/#"]
//! ```

use super::super::MqttConfig;
use crate::listener::{is_user_name, rights};
use rackside_config::Secret;
use rackside_proto::Prefix;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// `[mqtt.files]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// The directory that they go to.
    pub directory: PathBuf,
    /// The names and addresses that boxes find the broker at, for its certificate; without one it gets none.
    #[serde(default)]
    pub names: Vec<String>,
    /// Users who read a part only.
    #[serde(default)]
    pub reader: Vec<ReaderConfig>,
}

/// `[[mqtt.files.reader]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderConfig {
    /// By which name it comes.
    pub user: String,
    /// And with which password.
    pub password: Secret,
    /// What it may read: filters.
    pub read: Vec<String>,
}

/// Why there can be no files.
pub(super) const NO_LOGIN: &str =
    "needs `user` and `password` in [mqtt], by which the hub comes to the broker";

/// Whether somebody can have this name in files of Mosquitto's.
pub(super) fn check_user(user: &str) -> Result<(), String> {
    let fits = is_user_name(user) && user.trim() == user;
    // An appliance's name has a slash, and what an appliance may stands there by its name; + and # are wildcards.
    if fits && !user.contains(['/', '+', '#', '%']) {
        return Ok(());
    }
    Err(format!(
        "{user:?} cannot be a user's name there: 1 to 256 bytes without : / + # % and without a space at an end"
    ))
}

/// Whether a broker's certificate can be for these.
pub(super) fn check_names(names: &[String]) -> Result<(), String> {
    match names.iter().find(|name| ServerName::try_from(name.as_str()).is_err()) {
        Some(name) => Err(format!(
            "{name:?} is neither a host's name nor an address; write for example \"broker.example.org\""
        )),
        None => Ok(()),
    }
}

/// Whether topics that begin like that can stand in Mosquitto's patterns.
pub(super) fn check_prefix(prefix: &Prefix) -> Result<(), String> {
    if prefix.as_str().contains('%') {
        return Err(format!(
            "{:?} as `prefix` has a %, which Mosquitto's patterns take for a name",
            prefix.as_str()
        ));
    }
    Ok(())
}

impl MqttConfig {
    /// What of `files` cannot be, as its key and why.
    pub(crate) fn check_files(&self, prefix: &Prefix) -> Result<(), (String, String)> {
        let Some(files) = &self.files else { return Ok(()) };
        let at = |key: &'static str| move |why| (key.to_owned(), why);
        let Some(own) = self.user.as_deref().filter(|_| self.password.is_some()) else {
            return Err(("mqtt.files".to_owned(), NO_LOGIN.to_owned()));
        };
        check_user(own).map_err(at("mqtt.user"))?;
        check_prefix(prefix).map_err(at("mqtt.files"))?;
        check_names(&files.names).map_err(at("mqtt.files.names"))?;
        let mut users = BTreeSet::from([own]);
        for (number, reader) in files.reader.iter().enumerate() {
            let key = |word: &str| format!("mqtt.files.reader.{number}.{word}");
            check_user(&reader.user).map_err(|why| (key("user"), why))?;
            if !users.insert(&reader.user) {
                return Err((key("user"), format!("{:?} is a user already", reader.user)));
            }
            if let Some(why) = rights::objection(&reader.read) {
                return Err((key("read"), why));
            }
            let is_odd =
                |filter: &&String| filter.contains(char::is_control) || filter.trim() != filter.as_str();
            if let Some(odd) = reader.read.iter().find(is_odd) {
                let why = format!(
                    "{odd:?} cannot stand in a line of Mosquitto's: it has a space at an end, or a control character"
                );
                return Err((key("read"), why));
            }
        }
        Ok(())
    }
}
