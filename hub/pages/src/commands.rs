//! What an operator can have an appliance do, on its page, and what came of it, on a page of its own: lines of its log, what its probes found.
//!
//! `{"what":"probe encoder","by":"anna","when":"14:03:07","word":"done","url":"/sites/arena-north/rack-1/commands/1795219200000"}`

use crate::{Frame, render};
use serde::Serialize;

/// The part of an appliance's page; nothing of it is shown to who may not act.
#[derive(Debug, Clone, Default, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the template engine knows no comparisons")]
pub struct Commands {
    /// Whether whoever looks may tell it anything.
    pub may: bool,
    /// Where forms go to: `/sites/arena-north/rack-1/commands`.
    pub path: String,
    /// For forms.
    pub csrf: String,
    /// Why it does nothing that it is told, or empty.
    pub none: String,
    /// Whether it flashes its LEDs.
    pub identify: bool,
    /// Whether it runs its probes.
    pub probe: bool,
    /// Whether it tells its log.
    pub log: bool,
    /// Whether it mutes its alarm.
    pub mute: bool,
    /// What it was told last, the newest first.
    pub given: Vec<Given>,
}

/// Something that it was told.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Given {
    /// `identify 30 s`.
    pub what: String,
    /// By whom.
    pub by: String,
    /// When: RFC 3339, UTC.
    pub at: String,
    /// On the venue's clocks.
    pub when: String,
    /// What came of it.
    pub word: String,
    /// For its colour: `well`, `warning`, `unknown`.
    pub state: &'static str,
    /// Why it was not done, or empty.
    pub why: String,
    /// Its own page.
    pub url: String,
}

/// The page of one that was given.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// What every page has.
    pub frame: Frame,
    /// The site's id.
    pub site: String,
    /// What people call the site.
    pub site_title: String,
    /// Which appliance of it.
    pub appliance: String,
    /// What it was told.
    pub given: Given,
    /// Whether nothing came back yet.
    pub is_waiting: bool,
    /// Lines of its log, the oldest first.
    pub lines: Vec<Line>,
    /// Whether it has told its log and there was none.
    pub is_silent: bool,
    /// What its probes found.
    pub probes: Vec<Found>,
}

/// A line of a log.
#[derive(Debug, Serialize)]
pub struct Line {
    /// When: RFC 3339, UTC.
    pub at: String,
    /// On the venue's clocks.
    pub when: String,
    /// `error`, `warn`, `info`, `debug`, `trace`.
    pub level: &'static str,
    /// The line.
    pub text: String,
}

/// What a probe found.
#[derive(Debug, Serialize)]
pub struct Found {
    /// Its name.
    pub probe: String,
    /// `up`, `down`, `unknown`, `not ended`.
    pub word: &'static str,
    /// For its colour.
    pub state: &'static str,
    /// How long it took.
    pub took: String,
    /// Why it is not up.
    pub why: String,
}

impl Outcome {
    /// As HTML.
    pub fn html(&self) -> String {
        render("command", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::assert_tame;
    use crate::{HOSTILE, Here, Who};

    fn text() -> String {
        HOSTILE.to_owned()
    }

    fn given() -> Given {
        Given {
            what: text(),
            by: text(),
            at: text(),
            when: text(),
            word: text(),
            state: "well",
            why: text(),
            url: text(),
        }
    }

    #[test]
    fn what_boxes_and_people_say_is_shown_as_text() {
        let line = || Line { at: text(), when: text(), level: "warn", text: text() };
        let found = || Found { probe: text(), word: "down", state: "down", took: text(), why: text() };
        for (is_waiting, is_silent, lines, probes) in [
            (true, false, vec![], vec![]),
            (false, false, vec![line()], vec![found()]),
            (false, true, vec![], vec![]),
        ] {
            let page = Outcome {
                frame: Frame::new(
                    HOSTILE,
                    Here::Fleet,
                    &Who { name: Some(HOSTILE), ..Who::default() },
                    HOSTILE,
                    0,
                ),
                site: text(),
                site_title: text(),
                appliance: text(),
                given: given(),
                is_waiting,
                lines,
                is_silent,
                probes,
            };
            assert_tame(&page.html());
        }
    }

    #[test]
    fn there_is_a_button_for_what_it_does_and_no_other() {
        let commands = Commands {
            may: true,
            path: "/sites/hall/rack-1/commands".to_owned(),
            csrf: text(),
            identify: true,
            log: true,
            given: vec![given()],
            ..Commands::default()
        };
        let html = render("commands", &commands);
        assert_tame(&html);
        assert_eq!(html.matches("<button").count(), 2);
        assert_eq!(html.matches("name=\"csrf\"").count(), 2);
        assert!(html.contains("value=\"identify\"") && html.contains("value=\"log\""), "{html}");
        let silent = Commands { none: text(), identify: false, log: false, ..commands.clone() };
        let html = render("commands", &silent);
        assert_tame(&html);
        assert!(!html.contains("<button"), "{html}");
        assert_eq!(render("commands", &Commands { may: false, ..commands }).trim(), "");
    }
}
