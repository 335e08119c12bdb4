//! `/alerts`: what fires, what is about to, who has it, what is kept from people and why, and what was.
//!
//! Each line has its forms folded below it, so that acknowledging and muting are two taps, without a script. `alerts.js` brings what is new.

use crate::maintenance::Window;
use crate::{Frame, When, render};
use serde::Serialize;

/// The page.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the template engine knows no comparisons")]
pub struct Alerts {
    /// What every page has.
    pub frame: Frame,
    /// What is asked for.
    pub filter: Filter,
    /// `2 fire, 1 in hand`; or that all is well.
    pub sum: String,
    /// Whether anybody can be told.
    pub told: bool,
    /// What is wrong with receivers, in a line; or nothing.
    pub trouble: String,
    /// What needs somebody first.
    pub sections: Vec<Section>,
    /// What is over.
    pub past: Past,
    /// Mutes that run or will.
    pub mutes: Vec<Mute>,
    /// Maintenance that goes on or is to come.
    pub maintenance: Vec<Window>,
    /// Whether the visitor may change something.
    pub may: bool,
    /// Whether forms have to ask who it is.
    pub ask: bool,
    /// Whether there is a page for the public.
    pub public: bool,
}

/// What is asked for.
#[derive(Debug, Default, Serialize)]
pub struct Filter {
    /// To choose from.
    pub sites: Vec<Choice>,
    /// To choose from.
    pub severities: Vec<Choice>,
    /// In any text of an alert.
    pub text: String,
    /// Whether anything is left out.
    pub on: bool,
}

/// One of several.
#[derive(Debug, Serialize)]
pub struct Choice {
    /// As forms send it.
    pub value: String,
    /// As people read it.
    pub label: String,
    /// Whether it is the present one.
    pub on: bool,
}

/// Alerts that are at the same.
#[derive(Debug, Serialize)]
pub struct Section {
    /// `firing`.
    pub id: &'static str,
    /// `Firing`.
    pub title: &'static str,
    /// How many.
    pub count: usize,
    /// The worst and newest first.
    pub lines: Vec<Line>,
    /// What to say where there are none.
    pub none: &'static str,
}

/// An alert in a line.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the template engine knows no comparisons")]
pub struct Line {
    /// Its number.
    pub id: String,
    /// Of its mark: `critical`, `warning`, `info`, `unknown`, `well`.
    pub state: &'static str,
    /// The same as a word.
    pub word: &'static str,
    /// What is the matter.
    pub what: String,
    /// The rule's name.
    pub name: String,
    /// `arena-north/rack-1`.
    pub place: String,
    /// Since when.
    pub since: When,
    /// `for 3 min`, or `over for 2 h, lasted 3 min`.
    pub lasts: String,
    /// `on air`, `off air` or nothing.
    pub air: &'static str,
    /// Whether its site is on air.
    pub on_air: bool,
    /// Who has it in hand, since when, with what note.
    pub who: String,
    /// Who was told.
    pub told: String,
    /// Why nobody is.
    pub held: String,
    /// Whether it can be acknowledged.
    pub can_acknowledge: bool,
    /// Whether it can be given back.
    pub can_release: bool,
    /// Whether it can be muted.
    pub can_mute: bool,
    /// For how long it can be muted by one more tap.
    pub spans: Vec<Span>,
    /// Where the venue's clocks are, for a time that is entered.
    pub zone: String,
}

/// A sensible time for which to mute.
#[derive(Debug, Clone, Serialize)]
pub struct Span {
    /// As forms send it: `1h`.
    pub value: &'static str,
    /// As people read it: `until the show's end, 22:00`.
    pub label: String,
}

/// What is over.
#[derive(Debug, Default, Serialize)]
pub struct Past {
    /// The newest first.
    pub lines: Vec<Line>,
    /// How many there are in all.
    pub count: usize,
    /// The address of the page with newer ones, or nothing.
    pub newer: String,
    /// Of that with older ones.
    pub older: String,
    /// Whether there is no other page.
    pub alone: bool,
}

/// A mute.
#[derive(Debug, Serialize)]
pub struct Mute {
    /// Its number.
    pub id: u64,
    /// What it keeps quiet: `site="arena-north"`.
    pub what: String,
    /// Whose it is.
    pub by: String,
    /// Why.
    pub comment: String,
    /// Until when.
    pub until: When,
    /// From when, if it is yet to come.
    pub from: String,
    /// Whether the visitor may end it.
    pub may: bool,
}

impl Alerts {
    /// As HTML.
    pub fn html(&self) -> String {
        render("alerts", self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::engine::tests::assert_tame;
    use crate::{HOSTILE, Here, Who};
    use rackside_onair::Zone;

    pub(crate) fn hostile() -> String {
        HOSTILE.to_owned()
    }

    pub(crate) fn frame(here: Here) -> Frame {
        Frame::new(HOSTILE, here, &Who { name: Some(HOSTILE), csrf: HOSTILE, ..Who::default() }, HOSTILE, 0)
    }

    pub(crate) fn line() -> Line {
        Line {
            id: hostile(),
            state: "critical",
            word: "critical",
            what: hostile(),
            name: hostile(),
            place: hostile(),
            since: When::new(0, Zone::UTC, 60_000),
            lasts: hostile(),
            air: "on air",
            on_air: true,
            who: hostile(),
            told: hostile(),
            held: hostile(),
            can_acknowledge: true,
            can_release: true,
            can_mute: true,
            spans: vec![Span { value: "1h", label: hostile() }],
            zone: hostile(),
        }
    }

    fn page() -> Alerts {
        let choice = || vec![Choice { value: hostile(), label: hostile(), on: true }];
        let section = Section { id: "firing", title: "Firing", count: 1, lines: vec![line()], none: "None." };
        let empty = Section { id: "pending", title: "Pending", count: 0, lines: Vec::new(), none: "None." };
        Alerts {
            frame: frame(Here::Alerts),
            filter: Filter { sites: choice(), severities: choice(), text: hostile(), on: true },
            sum: hostile(),
            told: false,
            trouble: hostile(),
            sections: vec![section, empty],
            past: Past { lines: vec![line()], count: 1, newer: hostile(), older: hostile(), alone: false },
            mutes: vec![Mute {
                id: 3,
                what: hostile(),
                by: hostile(),
                comment: hostile(),
                until: When::new(0, Zone::UTC, 0),
                from: hostile(),
                may: true,
            }],
            maintenance: vec![Window {
                name: hostile(),
                place: hostile(),
                when: hostile(),
                now: true,
                by: hostile(),
                ends: "/maintenance/3".to_owned(),
            }],
            may: true,
            ask: true,
            public: true,
        }
    }

    #[test]
    fn no_name_becomes_markup() {
        assert_tame(&page().html());
    }

    #[test]
    fn who_may_not_has_no_forms() {
        let mut page = page();
        assert!(page.html().contains("<form method=\"post\""));
        (page.may, page.mutes[0].may) = (false, false);
        for line in page.sections[0].lines.iter_mut().chain(&mut page.past.lines) {
            (line.can_acknowledge, line.can_release, line.can_mute) = (false, false, false);
        }
        assert!(!page.html().contains("<form method=\"post\""), "{}", page.html());
    }
}
