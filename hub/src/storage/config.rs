//! `[history]` in `hub.toml`: for how long history is kept.
//!
//! ```toml
//! [history]
//! raw = "30d"
//! minute = "180d"
//! hour = "1095d"
//! ```

use rackside_config::Span;
use serde::Deserialize;

/// `[history]`. Invariant of one in a whole configuration: a day ≤ `raw` ≤ `minute` ≤ `hour`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// For so long every sample is kept.
    pub raw: Span,
    /// For so long rollups of a minute are kept.
    pub minute: Span,
    /// For so long rollups of an hour are kept.
    pub hour: Span,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { raw: days(30), minute: days(180), hour: days(1095) }
    }
}

impl HistoryConfig {
    /// The first key that cannot be, and why.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let Self { raw, minute, hour } = *self;
        if raw < days(1) {
            let why =
                format!("\"{raw}\" is less than a day, in which history is kept; write for example \"30d\"");
            return Err(("history.raw", why));
        }
        if minute < raw {
            let why = format!(
                "\"{minute}\" is less than raw, \"{raw}\"; rollups are made of samples and are there to outlive them"
            );
            return Err(("history.minute", why));
        }
        if hour < minute {
            let why = format!(
                "\"{hour}\" is less than minute, \"{minute}\"; rollups of an hour are there to outlive those of a minute"
            );
            return Err(("history.hour", why));
        }
        Ok(())
    }
}

const fn days(days: u64) -> Span {
    Span::seconds(days * 86_400)
}
