//! `/settings/fleet`: what the files would change at whom, and how the newest roll-out stands. For admins.

use crate::{Frame, When, render};
use serde::Serialize;

/// The page.
#[derive(Debug, Serialize)]
pub struct Configuration {
    /// What every page has.
    pub frame: Frame,
    /// What could not be done.
    pub fault: String,
    /// Where the files are; nothing, if nobody has said.
    pub directory: String,
    /// What to do about that.
    pub hint: String,
    /// What is wrong with the files.
    pub faults: Vec<String>,
    /// Files that are for nobody.
    pub remarks: Vec<String>,
    /// How many are as they are to be.
    pub same: usize,
    /// Who would get what.
    pub groups: Vec<Group>,
    /// That there are more groups.
    pub more: String,
    /// What tells this plan from another one.
    pub seal: String,
    /// Whether it can begin.
    pub can_begin: bool,
    /// What was entered.
    pub to: String,
    /// How large its steps are.
    pub stages: String,
    /// How long somebody has to be well.
    pub wait: String,
    /// Whether sites that are on air are changed too.
    pub on_air_too: bool,
    /// The newest roll-out.
    pub running: Option<Running>,
}

/// Appliances that get the same.
#[derive(Debug, Serialize)]
pub struct Group {
    /// `40 appliances`.
    pub count: String,
    /// Which.
    pub names: String,
    /// What changes, a line each.
    pub changes: Vec<String>,
    /// That there are more.
    pub more: String,
}

/// A roll-out.
#[derive(Debug, Serialize)]
pub struct Running {
    /// Its number.
    pub id: i64,
    /// What it is beside a roll-out.
    pub head: String,
    /// Who began it.
    pub by: String,
    /// When.
    pub since: When,
    /// `info`, `well` or `critical`.
    pub state: &'static str,
    /// The same in words.
    pub word: String,
    /// Why it was stopped.
    pub why: String,
    /// How many are how far.
    pub says: String,
    /// Whether it can be ended.
    pub can_stop: bool,
    /// Whether it can be taken back.
    pub can_go_back: bool,
    /// Those with whom something is.
    pub appliances: Vec<Line>,
}

/// An appliance in a roll-out.
#[derive(Debug, Serialize)]
pub struct Line {
    /// `hall/rack-1`: its name, and its page below `/sites/`.
    pub path: String,
    /// `info`, `critical` or `unknown`.
    pub state: &'static str,
    /// The same in words.
    pub word: &'static str,
    /// What it waits for, or what went wrong.
    pub says: String,
}

impl Configuration {
    /// With nothing on it yet.
    pub fn new(frame: Frame) -> Self {
        Self {
            frame,
            fault: String::new(),
            directory: String::new(),
            hint: String::new(),
            faults: Vec::new(),
            remarks: Vec::new(),
            same: 0,
            groups: Vec::new(),
            more: String::new(),
            seal: String::new(),
            can_begin: false,
            to: String::new(),
            stages: String::new(),
            wait: String::new(),
            on_air_too: false,
            running: None,
        }
    }

    /// As HTML.
    pub fn html(&self) -> String {
        render("configuration", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HOSTILE;
    use crate::Here;
    use crate::alerts::tests::frame;
    use crate::engine::tests::assert_tame;
    use rackside_onair::Zone;

    fn page() -> Configuration {
        let text = || HOSTILE.to_owned();
        Configuration {
            fault: text(),
            directory: text(),
            hint: text(),
            faults: vec![text()],
            remarks: vec![text()],
            same: 3,
            groups: vec![Group { count: text(), names: text(), changes: vec![text()], more: text() }],
            more: text(),
            seal: text(),
            can_begin: true,
            to: text(),
            stages: text(),
            wait: text(),
            on_air_too: true,
            running: Some(Running {
                id: 7,
                head: text(),
                by: text(),
                since: When::new(0, Zone::UTC, 0),
                state: "critical",
                word: text(),
                why: text(),
                says: text(),
                can_stop: true,
                can_go_back: true,
                appliances: vec![Line { path: text(), state: "info", word: "was told", says: text() }],
            }),
            ..Configuration::new(frame(Here::Settings))
        }
    }

    #[test]
    fn no_name_becomes_markup() {
        assert_tame(&page().html());
    }

    #[test]
    fn what_cannot_be_done_has_no_form() {
        let html = Configuration { can_begin: false, running: None, ..page() }.html();
        assert!(!html.contains("/settings/fleet/"), "{html}");
        assert_eq!(
            page().html().matches("name=\"csrf\"").count(),
            page().html().matches("<form method=\"post\" action=\"/settings/fleet/").count()
        );
    }
}
