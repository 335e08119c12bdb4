//! A code that somebody put into a configuration file: on the card's boot partition, with a laptop, before the box ever started.
//!
//! ```toml
//! [join]
//! url = "http://hub.example.org:8080"
//! code = "000G-40R4-0M30-…"
//! ```
//!
//! The code is blanked once it is used, where the file can be written; else it is known again by the identity, and passed over. Pure but for
//! [`Waiting::blank`].

use super::JoinError;
use crate::probe::http::Url;
use rackside_config::ConfigError;
use rackside_proto::join::Code;
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The table, in whichever file.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Table {
    /// The hub's web address.
    pub url: Option<String>,
    /// The code; blank once it was used.
    pub code: Option<String>,
    /// Another file with such a table.
    pub file: Option<PathBuf>,
}

/// A code that waits to be used.
#[derive(Debug)]
pub struct Waiting {
    /// Where it stands.
    pub file: PathBuf,
    /// The hub's web address.
    pub url: Url,
    /// What is asked with.
    pub code: Code,
    /// As it is written.
    written: String,
}

/// A configuration, as far as it is about joining.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Peek {
    join: Table,
}

impl Table {
    /// That of a text.
    pub fn of(text: &str, file: &str) -> Result<Self, ConfigError> {
        rackside_config::parse::<Peek>(text, file).map(|peek| peek.join)
    }

    /// What waits in it, if anything does.
    pub fn waiting(&self, text: &str, path: &Path) -> Result<Option<Waiting>, ConfigError> {
        let Some(written) = self.code.as_deref().filter(|code| !code.trim().is_empty()) else {
            return Ok(None);
        };
        let file = path.display().to_string();
        let wrong = |key: &str, message: &dyn std::fmt::Display| ConfigError::at(text, &file, key, message);
        let code = written.parse().map_err(|error| wrong("join.code", &JoinError::Code(error)))?;
        let url = self.url.as_deref().ok_or_else(|| wrong("join", &"has a code, and no `url` of the hub"))?;
        let url = Url::parse(url).map_err(|why| wrong("join.url", &JoinError::Url(why)))?;
        Ok(Some(Waiting { file: path.to_owned(), url, code, written: written.to_owned() }))
    }
}

/// What waits in a file; nothing if there is no such file.
pub fn waiting(path: &Path) -> Result<Option<Waiting>, ConfigError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ConfigError::unreadable(path, &error)),
    };
    let table = Table::of(&text, &path.display().to_string())?;
    if let Some(elsewhere) = table.file.as_deref().filter(|elsewhere| *elsewhere != path) {
        let text = match fs::read_to_string(elsewhere) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ConfigError::unreadable(elsewhere, &error)),
        };
        return Table::of(&text, &elsewhere.display().to_string())?.waiting(&text, elsewhere);
    }
    table.waiting(&text, path)
}

impl Waiting {
    /// Blanks the code in its file, all else as it was; the file is there whole whenever the power is cut.
    pub fn blank(&self) -> io::Result<()> {
        let text = fs::read_to_string(&self.file)?.replace(&self.written, "");
        let beside = self.file.with_extension("toml.new");
        let put = || {
            let mut file = fs::File::create(&beside)?;
            io::Write::write_all(&mut file, text.as_bytes())?;
            file.sync_all()?;
            drop(file);
            fs::set_permissions(&beside, fs::metadata(&self.file)?.permissions())?;
            fs::rename(&beside, &self.file)
        };
        put().inspect_err(|_| {
            let _ = fs::remove_file(&beside);
        })
    }
}
