//! `/status`: what the public is told. Whether all is well, each public site with its last 90 days, incidents and maintenance in words.
//!
//! Invariant: nothing here names an appliance, an address, or a fault of the hub: the structs have no place for it. The frame is a bare one, without the hub's version
//! and without links to what is not public.

use crate::alerts::Choice;
use crate::{When, render};
use serde::Serialize;

/// The page.
#[derive(Debug, Serialize)]
pub struct Status {
    /// What it is called.
    pub title: String,
    /// `well`, `critical` or `info`.
    pub state: &'static str,
    /// `All is well.`
    pub headline: &'static str,
    /// When it was made.
    pub at: When,
    /// Those that are public.
    pub sites: Vec<Site>,
    /// What goes on.
    pub now: Vec<Incident>,
    /// What was.
    pub past: Vec<Incident>,
    /// What is planned.
    pub maintenance: Vec<Maintenance>,
    /// What an operator sees besides.
    pub desk: Option<Desk>,
}

/// A site that is public.
#[derive(Debug, Serialize)]
pub struct Site {
    /// What the public calls it.
    pub name: String,
    /// `well`, `critical`, `info` or `unknown`.
    pub state: &'static str,
    /// The same as a word.
    pub word: &'static str,
    /// `99.98 % of 90 days`, or nothing.
    pub share: String,
    /// The same and more, for who cannot see the bar.
    pub said: String,
    /// The oldest first.
    pub days: Vec<Day>,
}

/// A day in the bar.
#[derive(Debug, Serialize)]
pub struct Day {
    /// From the left.
    pub x: usize,
    /// `well`, `slight`, `bad` or `unknown`.
    pub level: &'static str,
    /// How high, of 28: the worse, the lower, so that colour is not all that tells.
    pub height: usize,
    /// From the top.
    pub y: usize,
    /// `20 Nov: 99.6 %, disturbed for 5 min`.
    pub text: String,
}

/// An incident.
#[derive(Debug, Clone, Serialize)]
pub struct Incident {
    /// In a few words.
    pub title: String,
    /// Where.
    pub place: String,
    /// In more words.
    pub text: String,
    /// Since when.
    pub since: When,
    /// `going on`, `over after 12 min`.
    pub lasts: String,
    /// Its number, if somebody wrote it and it goes on.
    pub id: i64,
}

/// What is planned.
#[derive(Debug, Serialize)]
pub struct Maintenance {
    /// What it is called.
    pub name: String,
    /// Where.
    pub place: String,
    /// When.
    pub when: String,
    /// Whether it goes on.
    pub now: bool,
}

/// For operators: the forms.
#[derive(Debug, Serialize)]
pub struct Desk {
    /// What each form has to carry.
    pub csrf: String,
    /// Which sites an incident can be about.
    pub sites: Vec<Choice>,
}

impl Status {
    /// As HTML.
    pub fn html(&self) -> String {
        render("status", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::tests::hostile;
    use crate::engine::tests::assert_tame;
    use rackside_onair::Zone;

    fn page() -> Status {
        let when = || When::new(0, Zone::UTC, 0);
        let incident = |id| Incident {
            title: hostile(),
            place: hostile(),
            text: hostile(),
            since: when(),
            lasts: hostile(),
            id,
        };
        let day = Day { x: 0, level: "well", height: 28, y: 0, text: hostile() };
        Status {
            title: hostile(),
            state: "well",
            headline: "All is well.",
            at: when(),
            sites: vec![Site {
                name: hostile(),
                state: "well",
                word: "well",
                share: hostile(),
                said: hostile(),
                days: vec![day],
            }],
            now: vec![incident(7)],
            past: vec![incident(0)],
            maintenance: vec![Maintenance { name: hostile(), place: hostile(), when: hostile(), now: true }],
            desk: Some(Desk {
                csrf: hostile(),
                sites: vec![Choice { value: hostile(), label: hostile(), on: false }],
            }),
        }
    }

    #[test]
    fn no_name_becomes_markup() {
        assert_tame(&page().html());
    }

    #[test]
    fn the_public_sees_no_form_no_version_and_no_way_in_but_the_login() {
        let html = Status { desk: None, ..page() }.html();
        assert!(!html.contains("<form") && !html.contains("csrf"), "{html}");
        assert!(
            !html.contains("rackside-hub") && !html.contains("/metrics") && !html.contains("/api/"),
            "{html}"
        );
        assert!(!html.contains("href=\"/alerts\"") && html.contains("href=\"/login?to=/status\""), "{html}");
    }
}
