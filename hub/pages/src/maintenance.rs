//! `/maintenance`: what goes on and what comes, and the form that announces it.
//!
//! Sample: `now  new switch  Arena North  until 18:00 (Europe/Berlin)  desk: the carrier's man is there  [End now]`

use crate::{Frame, render};
use serde::Serialize;

/// The page.
#[derive(Debug, Serialize)]
pub struct Maintenance {
    /// What every page has.
    pub frame: Frame,
    /// What goes on, and what comes.
    pub windows: Vec<Window>,
    /// For whoever may announce it.
    pub form: Option<WorkForm>,
}

/// Maintenance.
#[derive(Debug, Serialize)]
pub struct Window {
    /// What it is called.
    pub name: String,
    /// At which sites, for which alerts.
    pub place: String,
    /// `until 04:00 (Europe/Berlin)`, `Sun 02:00 to 04:00 (UTC)`.
    pub when: String,
    /// Whether it goes on.
    pub now: bool,
    /// Who announced it by hand, and why; of one of the configuration nothing.
    pub by: String,
    /// Where it is ended; nothing, where it is not for whoever looks to end.
    pub ends: String,
}

/// The form, as it was filled in.
#[derive(Debug, Serialize)]
pub struct WorkForm {
    /// What each form has to carry.
    pub csrf: String,
    /// Where: sites, appliances of the one that was asked for, tags.
    pub places: Vec<Choice>,
    /// How long.
    pub spans: Vec<Choice>,
    /// From when, if not at once; local there.
    pub from: String,
    /// Until when, if that was said; local there.
    pub until: String,
    /// What it is called.
    pub name: String,
    /// Why.
    pub comment: String,
    /// Who, where nobody is logged in.
    pub who: String,
    /// Whether to ask who it is.
    pub ask: bool,
    /// What is wrong with it, in a sentence.
    pub fault: String,
}

/// One of several to choose from.
#[derive(Debug, Serialize)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

impl Maintenance {
    /// As HTML.
    pub fn html(&self) -> String {
        render("maintenance", self)
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

    fn page() -> Maintenance {
        let choice = |chosen| Choice { value: text(), label: text(), chosen };
        let window = |now, ends: &str| Window {
            name: text(),
            place: text(),
            when: text(),
            now,
            by: text(),
            ends: ends.to_owned(),
        };
        Maintenance {
            frame: Frame::new(HOSTILE, Here::Alerts, &Who::default(), "1", 0),
            windows: vec![window(true, "/maintenance/3"), window(false, "")],
            form: Some(WorkForm {
                csrf: text(),
                places: vec![choice(true), choice(false)],
                spans: vec![choice(false), choice(true)],
                from: text(),
                until: text(),
                name: text(),
                comment: text(),
                who: text(),
                ask: true,
                fault: text(),
            }),
        }
    }

    #[test]
    fn nothing_that_was_entered_becomes_markup() {
        assert_tame(&page().html());
        assert_tame(&Maintenance { windows: Vec::new(), form: None, ..page() }.html());
    }

    #[test]
    fn only_what_is_theirs_can_be_ended_and_each_form_carries_what_its_session_wants() {
        let html = page().html();
        assert_eq!(html.matches("value=\"end\"").count(), 1);
        assert_eq!(html.matches("<form method=\"post\"").count(), html.matches("name=\"csrf\"").count());
        let html = Maintenance { form: None, ..page() }.html();
        assert!(!html.contains("name=\"comment\""));
    }

    #[test]
    fn what_is_wrong_is_told_at_the_field_and_what_was_entered_stays() {
        let html = page().html();
        assert!(html.contains("id=\"fault\"") && html.contains("action=\"/maintenance#fault\""), "{html}");
        let mut page = page();
        page.form.as_mut().expect("there").fault.clear();
        assert!(!page.html().contains("id=\"fault\""));
    }
}
