//! `[status]` in `hub.toml`: what the public may know. By default nothing: there is no public page, and no site is named on it.
//!
//! ```toml
//! [status]
//! enabled = true
//! title = "Our streams"
//! severity = "critical"
//! match = ['component="stream"']
//! tags = ["public"]
//! ```
//!
//! Invariant of one in a whole configuration: its matchers can be read, its title is a line.

use crate::site::SiteConfig;
use rackside_notify::{Booked, Held, Matchers, Severity};
use rackside_promql::Labels;
use serde::Deserialize;

/// Most characters of the title.
const TITLE: usize = 80;

/// `[status]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatusConfig {
    /// Whether there is a public page.
    pub enabled: bool,
    /// What it is called.
    pub title: String,
    /// From which severity on an alert is an incident.
    pub severity: Least,
    /// What labels of such an alert must be.
    #[serde(rename = "match")]
    pub matchers: Vec<String>,
    /// Sites with one of these tags are public.
    pub tags: Vec<String>,
    /// Which time counts for how well a site was.
    pub counts: Counts,
}

/// `severity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Least {
    /// All of them.
    Info,
    /// Without what is merely good to know.
    Warning,
    /// The worst alone.
    Critical,
}

/// `counts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// All of it.
    Always,
    /// While the site is on air.
    OnAir,
}

impl Default for StatusConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            title: "Status".to_owned(),
            severity: Least::Critical,
            matchers: Vec::new(),
            tags: Vec::new(),
            counts: Counts::Always,
        }
    }
}

impl StatusConfig {
    /// The first key that cannot be, and why.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let title = self.title.trim();
        if title.is_empty() || title.chars().count() > TITLE || title.chars().any(char::is_control) {
            let why = format!("is empty, or more than one line of {TITLE} characters");
            return Err(("status.title", why));
        }
        Matchers::read(&self.matchers).map(drop).map_err(|why| ("status.match", why))
    }

    /// Whether the public may know of a site.
    pub(crate) fn is_public(&self, site: &SiteConfig) -> bool {
        self.enabled && (site.public || site.tags.iter().any(|tag| self.tags.contains(tag)))
    }

    /// Which alerts are incidents.
    pub(crate) fn incidents(&self) -> Incidents {
        let least = match self.severity {
            Least::Info => Severity::Info,
            Least::Warning => Severity::Warning,
            Least::Critical => Severity::Critical,
        };
        Incidents {
            least,
            matchers: Matchers::read(&self.matchers).expect("it was checked when it was read"),
        }
    }
}

/// Which alerts are incidents.
#[derive(Debug, Clone)]
pub(crate) struct Incidents {
    least: Severity,
    matchers: Matchers,
}

impl Incidents {
    /// Whether an alert with these labels is one, as far as they tell: whether it was muted they do not.
    pub(crate) fn is_one(&self, labels: &Labels) -> bool {
        Severity::from(rackside_alerting::Severity::of(labels)) >= self.least && self.matchers.matches(labels)
    }

    /// Whether an alert is one; what somebody has muted, or announced as maintenance, is none.
    pub(crate) fn has(&self, alert: &Booked) -> bool {
        let is_kept = matches!(alert.held, Some(Held::Muted(_) | Held::Maintenance(_) | Held::Commissioning));
        alert.severity >= self.least && self.matchers.matches(&alert.labels) && !is_kept
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn nothing_is_public_unless_it_is_said() {
        let read = |text: &str| Config::parse(text, "hub.toml").expect("right");
        let site = "[[site]]\nid = \"hall\"\ntags = [\"shown\"]\n";
        let is_public = |text: &str| {
            let config = read(text);
            config.status.is_public(&config.site[0])
        };
        assert!(!is_public(site));
        assert!(!is_public(&format!("{site}public = true\n")), "there is no page");
        assert!(!is_public(&format!("[status]\nenabled = true\n{site}")));
        assert!(is_public(&format!("[status]\nenabled = true\n{site}public = true\n")));
        assert!(is_public(&format!("[status]\nenabled = true\ntags = [\"shown\"]\n{site}")));
    }

    #[test]
    fn what_cannot_be_is_said_with_its_line() {
        for (text, said) in [
            ("[status]\ntitle = \"\"\n", "hub.toml:2"),
            ("[status]\nenabled = true\nmatch = [\"x\"]\n", "hub.toml:3"),
            ("[status]\nseverity = \"bad\"\n", "hub.toml:2"),
            ("[[site]]\nid = \"hall\"\npublic_name = \"\"\n", "hub.toml:3"),
        ] {
            let error = Config::parse(text, "hub.toml").expect_err("it cannot be").to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
