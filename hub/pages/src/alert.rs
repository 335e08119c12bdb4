//! `/alerts/{id}`: the page for three in the morning, on a phone. What, since when, on air or not, why probably, what changed just before, the hour around, what
//! was tried, what to do, whom to ring; and the two buttons.

use crate::alerts::{Line, Span};
use crate::{Frame, When, render};
use serde::Serialize;

/// The page.
#[derive(Debug, Serialize)]
pub struct Alert {
    /// What every page has.
    pub frame: Frame,
    /// What the list says of it.
    pub line: Line,
    /// The rule's longer text.
    pub description: String,
    /// What was measured, with its unit.
    pub value: String,
    /// Since when it is over.
    pub until: Option<When>,
    /// Where it is.
    pub place: Option<Place>,
    /// Who has it in hand.
    pub in_hand: String,
    /// What may be done here.
    pub act: Act,
    /// What probably explains it, or what it explains.
    pub cause: Vec<String>,
    /// What else fires at the site.
    pub beside: Vec<Line>,
    /// Whether the log could not be read in time: then nothing is known of what changed and what was tried.
    pub log_is_late: bool,
    /// What changed in the minutes before, the newest first.
    pub before: Vec<Happening>,
    /// The hour around it as SVG, or nothing.
    pub chart: String,
    /// What that shows.
    pub chart_of: String,
    /// The hub was too busy for the chart.
    pub chart_is_late: bool,
    /// What the agent did about it, the newest first.
    pub tried: Vec<Happening>,
    /// What became of it, and who was told, the newest first.
    pub history: Vec<Happening>,
    /// What to do.
    pub runbook: Runbook,
    /// Whom to ring there.
    pub contacts: Vec<Contact>,
    /// How to get in.
    pub access: String,
    /// Who is on call.
    pub on_call: Vec<OnCall>,
    /// What it is known by.
    pub labels: Vec<Label>,
}

/// A site, and perhaps an appliance at it.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// What people call it.
    pub title: String,
    /// Its page.
    pub href: String,
    /// The appliance, or nothing.
    pub appliance: String,
    /// That one's page.
    pub appliance_href: String,
    /// Whether it is on air.
    pub on_air: bool,
    /// `on air` or `off air`.
    pub air: &'static str,
    /// Why: `tally and calendar`.
    pub why: String,
    /// The show that is on: `Evening show, live until 22:00`.
    pub show: String,
    /// The next one: `Matinee, Sun 15:00`.
    pub next: String,
}

/// What may be done.
#[derive(Debug, Default, Serialize)]
pub struct Act {
    /// Whether anything may be.
    pub may: bool,
    /// Why not.
    pub why_not: String,
    /// Whether forms have to ask who it is.
    pub ask: bool,
    /// Whether it may be muted as well: by a link of a message it may not.
    pub may_mute: bool,
    /// From the link by which the visitor came: who was told, the alert's beginning, the signature.
    pub by: String,
    /// See `by`.
    pub since: String,
    /// See `by`.
    pub key: String,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
pub struct Happening {
    /// When.
    pub when: When,
    /// What, in an operator's words.
    pub what: String,
    /// Its kind, in a word: `tally`.
    pub kind: &'static str,
}

/// What to do.
#[derive(Debug, Default, Serialize)]
pub struct Runbook {
    /// What the shipped rule's paragraph says under Do.
    pub first: String,
    /// The paragraph of the shipped rules, as HTML.
    pub html: String,
    /// In the rule's own words.
    pub text: String,
    /// Where it is, elsewhere.
    pub href: String,
}

/// Somebody at the site.
#[derive(Debug, Clone, Serialize)]
pub struct Contact {
    /// What for.
    pub role: String,
    /// Who.
    pub name: String,
    /// Their number, as it is read.
    pub phone: String,
    /// The same as a link has it: `+4930901820`.
    pub tel: String,
    /// Where else; empty, if they have said none.
    pub email: String,
    /// When.
    pub hours: String,
}

/// A team.
#[derive(Debug, Clone, Serialize)]
pub struct OnCall {
    /// What it is called.
    pub team: String,
    /// Who of it is on call now.
    pub who: String,
    /// Until when, or nothing.
    pub until: String,
}

/// A label.
#[derive(Debug, Clone, Serialize)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Alert {
    /// As HTML.
    pub fn html(&self) -> String {
        render("alert", self)
    }

    /// For how long it can be muted by one tap.
    pub fn spans(&self) -> &[Span] {
        &self.line.spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Here;
    use crate::alerts::tests::{frame, hostile, line};
    use crate::engine::tests::assert_tame;
    use rackside_onair::Zone;

    fn page() -> Alert {
        let when = || When::new(0, Zone::UTC, 0);
        let happening = || vec![Happening { when: when(), what: hostile(), kind: "tally" }];
        Alert {
            frame: frame(Here::Alerts),
            line: line(),
            description: hostile(),
            value: hostile(),
            until: Some(when()),
            place: Some(Place {
                title: hostile(),
                href: hostile(),
                appliance: hostile(),
                appliance_href: hostile(),
                on_air: true,
                air: "on air",
                why: hostile(),
                show: hostile(),
                next: hostile(),
            }),
            in_hand: hostile(),
            act: Act {
                may: true,
                why_not: hostile(),
                ask: true,
                may_mute: true,
                by: hostile(),
                since: hostile(),
                key: hostile(),
            },
            cause: vec![hostile()],
            beside: vec![line()],
            log_is_late: false,
            before: happening(),
            chart: String::new(),
            chart_of: hostile(),
            chart_is_late: false,
            tried: happening(),
            history: happening(),
            runbook: Runbook { first: hostile(), html: String::new(), text: hostile(), href: hostile() },
            contacts: vec![Contact {
                role: hostile(),
                name: hostile(),
                phone: hostile(),
                email: hostile(),
                tel: hostile(),
                hours: hostile(),
            }],
            access: hostile(),
            on_call: vec![OnCall { team: hostile(), who: hostile(), until: hostile() }],
            labels: vec![Label { name: hostile(), value: hostile() }],
        }
    }

    #[test]
    fn no_name_becomes_markup() {
        assert_tame(&page().html());
        let mut page = page();
        page.act.may = false;
        (page.until, page.place) = (None, None);
        assert_tame(&page.html());
    }

    #[test]
    fn a_chart_that_was_not_had_in_time_is_said_to_be_missing() {
        let mut page = page();
        assert!(!page.html().contains("The hour around it"));
        page.chart_is_late = true;
        assert!(
            page.html().contains("The hour around it") && page.html().contains("could not be drawn in time")
        );
    }

    #[test]
    fn a_log_that_was_not_had_in_time_is_not_taken_for_an_empty_one() {
        let mut page = page();
        (page.log_is_late, page.before) = (true, Vec::new());
        let html = page.html();
        assert!(html.contains("The log could not be read in time") && !html.contains("Nothing at this site"));
        page.log_is_late = false;
        assert!(page.html().contains("Nothing at this site in the ten minutes before it."));
    }

    #[test]
    fn by_a_link_of_a_message_it_is_not_muted() {
        let mut page = page();
        assert!(page.html().contains("value=\"mute\""));
        page.act.may_mute = false;
        assert!(!page.html().contains("value=\"mute\"") && page.html().contains("value=\"acknowledge\""));
    }
}
