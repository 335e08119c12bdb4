//! `/log`: what happened at all sites that the visitor sees, the newest first. `log.js` brings what is new without moving what is read.

use crate::alerts::Choice;
use crate::{Frame, When, render};
use serde::Serialize;

/// The page.
#[derive(Debug, Serialize)]
pub struct Log {
    /// What every page has.
    pub frame: Frame,
    /// To choose from.
    pub sites: Vec<Choice>,
    /// An appliance, if one is asked for.
    pub appliance: String,
    /// To choose from.
    pub kinds: Vec<Choice>,
    /// In any entry.
    pub text: String,
    /// From when, by the clocks of the site that is chosen, else UTC: `2026-11-20T04:00`.
    pub from: String,
    /// Until when.
    pub until: String,
    /// Where those clocks are.
    pub zone: String,
    /// Whether anything is left out.
    pub on: bool,
    /// What is wrong with what was asked, or with the history; or nothing.
    pub trouble: String,
    /// The newest first.
    pub entries: Vec<Entry>,
    /// Whether there are none.
    pub empty: bool,
    /// Whether this is the newest page, which new entries come to.
    pub live: bool,
    /// How far back was looked, if all of it was not read; or nothing.
    pub looked: String,
    /// The address of the newest page, where this is another one.
    pub newest: String,
    /// The address of the page above this one, or nothing.
    pub newer: String,
    /// The address of older ones, or nothing.
    pub older: String,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Its place in the log.
    pub id: String,
    /// When.
    pub when: When,
    /// The site, as people call it.
    pub site: String,
    /// Its page.
    pub site_href: String,
    /// The appliance, or nothing.
    pub appliance: String,
    /// Its page.
    pub appliance_href: String,
    /// What kind of thing, in a word.
    pub kind: &'static str,
    /// What.
    pub what: String,
    /// The page of what it is about, or nothing.
    pub href: String,
}

impl Log {
    /// As HTML.
    pub fn html(&self) -> String {
        render("log", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Here;
    use crate::alerts::tests::{frame, hostile};
    use crate::engine::tests::assert_tame;
    use rackside_onair::Zone;

    #[test]
    fn no_name_becomes_markup() {
        let choice = || vec![Choice { value: hostile(), label: hostile(), on: true }];
        let entry = Entry {
            id: hostile(),
            when: When::new(0, Zone::UTC, 0),
            site: hostile(),
            site_href: hostile(),
            appliance: hostile(),
            appliance_href: hostile(),
            kind: "tally",
            what: hostile(),
            href: hostile(),
        };
        let page = Log {
            frame: frame(Here::Log),
            sites: choice(),
            appliance: hostile(),
            kinds: choice(),
            text: hostile(),
            from: hostile(),
            until: hostile(),
            zone: hostile(),
            on: true,
            trouble: hostile(),
            entries: vec![entry],
            empty: false,
            live: true,
            looked: hostile(),
            newest: hostile(),
            newer: hostile(),
            older: hostile(),
        };
        assert_tame(&page.html());
        assert_tame(&Log { entries: Vec::new(), empty: true, live: false, ..page }.html());
    }
}
