//! What every page has around it: title, links, who looks at it, banners, foot.
//!
//! `head` (up to the page's own styles), `top` (links and banners) and `foot` are its templates.

use crate::moment::rfc3339;
use serde::Serialize;

/// Which part of the site a page belongs to: that link is marked as the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// `/`, a site, an appliance.
    Fleet,
    /// `/alerts` and an alert.
    Alerts,
    /// `/log`.
    Log,
    /// `/status`.
    Status,
    /// `/settings`.
    Settings,
    /// None of them: not found, log in.
    Elsewhere,
}

/// The row of links: only pages that there are.
const NAV: &[(Here, &str, &str)] = &[
    (Here::Fleet, "/", "Fleet"),
    (Here::Alerts, "/alerts", "Alerts"),
    (Here::Log, "/log", "Log"),
    (Here::Settings, "/settings", "Settings"),
];

/// Who looks at a page.
#[derive(Debug, Clone, Default)]
pub struct Who<'a> {
    /// By what name, if somebody is logged in.
    pub name: Option<&'a str>,
    /// What each form of theirs has to carry.
    pub csrf: &'a str,
    /// Whether they have logged in, and may log out.
    pub is_in: bool,
    /// Whether there is a login that would show them more.
    pub may_log_in: bool,
    /// Whether `/settings` has anything for them.
    pub has_settings: bool,
}

/// Something that everybody has to know, above the page.
#[derive(Debug, Clone, Serialize)]
pub struct Banner {
    /// By what scripts find it: `trouble`.
    pub id: &'static str,
    /// `critical`, `warning` or `info`.
    pub state: &'static str,
    /// In a few words.
    pub head: String,
    /// The rest of it.
    pub text: String,
    /// Whether it is hidden until a script needs it.
    pub hidden: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Link {
    href: &'static str,
    label: &'static str,
    here: bool,
}

/// What every page's struct carries.
#[derive(Debug, Clone, Serialize)]
pub struct Frame {
    /// Of the browser's tab.
    pub title: String,
    nav: Vec<Link>,
    /// Who is logged in, or nothing.
    visitor: String,
    is_in: bool,
    may_log_in: bool,
    /// For forms: `<input type="hidden" name="csrf" value="{frame.csrf}">`.
    pub csrf: String,
    /// Above the page.
    pub banners: Vec<Banner>,
    /// The hub's.
    version: String,
    /// When the page was made: RFC 3339, UTC.
    pub now: String,
    /// `03:24:56 UTC`.
    pub clock: String,
    /// The same in milliseconds since 1970, for scripts.
    pub now_ms: u64,
}

impl Frame {
    /// The frame of a page that is made now, by a hub of that version.
    pub fn new(title: &str, here: Here, who: &Who<'_>, version: &str, now_ms: u64) -> Self {
        let now = rfc3339(now_ms);
        Self {
            title: if title.is_empty() { "Rackside".to_owned() } else { format!("{title} · Rackside") },
            nav: NAV
                .iter()
                .filter(|(of, ..)| *of != Here::Settings || who.has_settings)
                .map(|&(of, href, label)| Link { href, label, here: of == here })
                .collect(),
            is_in: who.is_in,
            may_log_in: who.may_log_in,
            visitor: who.name.unwrap_or_default().to_owned(),
            csrf: who.csrf.to_owned(),
            banners: Vec::new(),
            version: version.to_owned(),
            clock: format!("{} UTC", &now[11..19]),
            now,
            now_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_link_is_the_present_one() {
        let frame = Frame::new("Alerts", Here::Alerts, &Who::default(), "1", 0);
        let here: Vec<_> = frame.nav.iter().filter(|link| link.here).map(|link| link.href).collect();
        assert_eq!(here, ["/alerts"]);
        assert_eq!(frame.title, "Alerts · Rackside");
    }

    #[test]
    fn settings_are_there_for_whom_they_have_something() {
        let shown = |has_settings| {
            let frame = Frame::new("", Here::Fleet, &Who { has_settings, ..Who::default() }, "1", 0);
            frame.nav.iter().any(|link| link.href == "/settings")
        };
        assert!(shown(true) && !shown(false));
    }
}
