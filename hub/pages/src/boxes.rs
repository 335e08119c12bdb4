//! `/settings/boxes`: who has joined, and a code for a box that is to.
//!
//! A code that was just made is shown above all, once, with all that a person needs at the rack: its groups, the line to type, the line as a QR code, the file for
//! the card. The page is whole without a script; what cannot be undone takes two presses.

use crate::{Frame, render};
use serde::Serialize;

/// The page.
#[derive(Debug, Serialize)]
pub struct Boxes {
    /// What every page has.
    pub frame: Frame,
    /// What was just done, in a sentence; nothing else.
    pub done: String,
    /// What could not be done, where no field is to blame.
    pub fault: String,
    /// Why no box can join, if none can.
    pub unready: String,
    /// The code that was just made, and never shown again.
    pub made: Option<MadeCode>,
    /// The form for a code.
    pub form: JoinForm,
    /// Sites that are known.
    pub sites: Vec<String>,
    /// Appliances that are known, without their sites, each once.
    pub appliances: Vec<String>,
    /// What is looked for by name.
    pub find: String,
    /// Whether there is anything to look among.
    pub is_long: bool,
    /// That there are more than are shown.
    pub more: String,
    /// Who has joined or is to, by name.
    pub boxes: Vec<Line>,
}

/// A code that was just made.
#[derive(Debug, Serialize)]
pub struct MadeCode {
    /// `arena-north/rack-1`.
    pub name: String,
    /// The only time that it is shown.
    pub code: String,
    /// Its groups, a few to a line.
    pub rows: Vec<String>,
    /// What is typed on the box.
    pub line: String,
    /// Until when, by the venue's clocks.
    pub until: String,
    /// Whose clocks those are.
    pub zone: String,
    /// Whether the name has a box that this one takes the place of.
    pub has_box: bool,
    /// The line as a QR code, its dark modules as a path; nothing, where it fits into none.
    pub picture: String,
    /// How many modules the picture is wide.
    pub width: usize,
}

/// The form for a code, as it was entered.
#[derive(Debug, Default, Serialize)]
pub struct JoinForm {
    /// The site's id.
    pub site: String,
    /// The appliance's.
    pub appliance: String,
    /// What is wrong with the two.
    pub name_fault: String,
    /// What it means for the box that has the name, if anybody is to say that it is meant.
    pub asks: String,
    /// What the button says then.
    pub agree: String,
}

/// A name.
#[derive(Debug, Serialize)]
pub struct Line {
    /// `arena-north/rack-1`, which is a part of addresses as well.
    pub name: String,
    /// Whether the hub has a page of it: it was heard.
    pub has_page: bool,
    /// `well`, `unknown`, `muted`: how `state` looks.
    pub mark: &'static str,
    /// `joined`, `waiting`, `expired`, `revoked`, `retired`.
    pub state: &'static str,
    /// Since when, until when, when it was seen.
    pub says: String,
    /// What is odd about it: an old box that came back, a code that others have tried.
    pub notes: Vec<String>,
    /// Whether there is anything that could be taken away.
    pub can_end: bool,
    /// Whether it can be retired: it has a box, or its box was revoked.
    pub can_retire: bool,
    /// What that means.
    pub retires: &'static str,
}

impl Boxes {
    /// As HTML.
    pub fn html(&self) -> String {
        render("boxes", self)
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

    fn page() -> Boxes {
        let who =
            Who { name: Some(HOSTILE), csrf: HOSTILE, is_in: true, has_settings: true, ..Who::default() };
        let line = Line {
            name: text(),
            has_page: true,
            mark: "well",
            state: "joined",
            says: text(),
            notes: vec![text()],
            can_end: true,
            can_retire: true,
            retires: HOSTILE,
        };
        let made = MadeCode {
            name: text(),
            code: text(),
            rows: vec![text()],
            line: text(),
            until: text(),
            zone: text(),
            has_box: true,
            picture: text(),
            width: 49,
        };
        Boxes {
            frame: Frame::new(HOSTILE, Here::Settings, &who, "1", 0),
            done: text(),
            fault: text(),
            unready: String::new(),
            made: Some(made),
            form: JoinForm {
                site: text(),
                appliance: text(),
                name_fault: text(),
                asks: text(),
                agree: text(),
            },
            sites: vec![text()],
            appliances: vec![text()],
            find: text(),
            is_long: true,
            more: text(),
            boxes: vec![line],
        }
    }

    #[test]
    fn nothing_that_was_entered_becomes_markup() {
        assert_tame(&page().html());
        assert_tame(&Boxes { unready: text(), made: None, boxes: Vec::new(), ..page() }.html());
    }

    #[test]
    fn every_form_that_changes_something_carries_what_its_session_wants() {
        let html = page().html();
        let forms = html.matches("method=\"post\"").count();
        let csrf = html.matches("name=\"csrf\"").count();
        assert_eq!((forms, csrf), (5, 5), "code, card, revoke, retire, log out");
        assert_eq!(html.matches("<details class=\"ask\">").count(), 2, "what cannot be undone");
    }

    #[test]
    fn the_code_stands_in_no_address() {
        let html = page().html();
        let addresses = html.split("href=\"").skip(1).chain(html.split("action=\"").skip(1));
        for address in addresses.map(|rest| rest.split('"').next().unwrap_or_default()) {
            assert!(!address.contains("code"), "{address}");
        }
    }

    #[test]
    fn where_no_box_can_join_there_is_no_form() {
        let html = Boxes { unready: text(), made: None, ..page() }.html();
        assert!(!html.contains("name=\"appliance\"") && html.contains("No box can join"));
    }
}
