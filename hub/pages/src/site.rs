//! `/sites/{site}`: one venue: whether it is on air and why, its appliances, what fires and who has it, whom to ring and who is on call, how to get in, what is on in the
//! next fortnight, what happened last. Sections without anything are left out.
//!
//! Times are by the clocks of the place. Its appliances are the rows of the fleet's page, and `fleet.js` keeps both fresh; `site.js` does the same for the sections that are
//! marked with `data-part`.

use crate::alert::OnCall;
use crate::fleet::Group;
use crate::log::Entry;
use crate::{Frame, render};
use serde::Serialize;

/// The page.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the template engine knows no comparisons")]
pub struct Site {
    /// What every page has.
    pub frame: Frame,
    /// What stands on the fleet's page as well.
    pub group: Group,
    /// For a script: a site with an appliance, without anything.
    pub blank: Vec<Group>,
    /// Whether its name is more than its id.
    pub has_title: bool,
    /// What time it is there: `Sat 02:24`.
    pub local: String,
    /// Where its clocks are: `Europe/Berlin`.
    pub zone: String,
    /// Whether anybody said.
    pub has_zone: bool,
    /// Putting it on air by hand.
    pub hand: Hand,
    /// Whom to ring.
    pub contacts: Vec<Contact>,
    /// How to get in, by line.
    pub access: Vec<String>,
    /// The next shows.
    pub shows: Vec<Show>,
    /// Whether shows are known of it at all.
    pub has_shows: bool,
    /// How it stands, in a word.
    pub standing: &'static str,
    /// Whether there is anybody to ring or on call.
    pub has_whom: bool,
    /// What fires or is about to, the worst first.
    pub alerts: Vec<Alert>,
    /// Mutes and maintenance that concern it.
    pub held: Vec<Hold>,
    /// Who is on call.
    pub on_call: Vec<OnCall>,
    /// What happened here last, the newest first.
    pub log: Vec<Entry>,
    /// What the configuration does not say of it; nothing, if it says all.
    pub unsaid: String,
    /// Appliances that are out of service, by name.
    pub retired: Vec<Retired>,
}

/// An appliance that is out of service.
#[derive(Debug, Clone, Serialize)]
pub struct Retired {
    /// Its name here.
    pub appliance: String,
    /// Since when, on the venue's clocks.
    pub since: String,
}

/// Putting a site on air by hand.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Hand {
    /// Whether whoever looks may.
    pub may: bool,
    /// Whether somebody has done it, so that it can be taken back.
    pub is_set: bool,
    /// Until when it is proposed, by the clocks of the place: `2026-11-20T22:00`.
    pub until: String,
    /// What became of the last try, if it went wrong.
    pub wrong: String,
}

/// Somebody to ring.
#[derive(Debug, Clone, Serialize)]
pub struct Contact {
    /// What for.
    pub role: String,
    /// Who.
    pub name: String,
    /// As it is written.
    pub phone: String,
    /// As a telephone dials it.
    pub dial: String,
    /// Where else; empty, if they have said none.
    pub email: String,
    /// When.
    pub hours: String,
}

impl Contact {
    /// A contact; what is no part of a number is not dialled.
    pub fn new(role: &str, name: &str, (phone, email): (&str, &str), hours: &str) -> Self {
        let dial = phone.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
        let [role, name, phone, email, hours] = [role, name, phone, email, hours].map(str::to_owned);
        Self { role, name, phone, dial, email, hours }
    }
}

/// A show.
#[derive(Debug, Clone, Serialize)]
pub struct Show {
    /// What it is called.
    pub name: String,
    /// From when to when it is live: `Fri 27 Nov 19:00–22:00`.
    pub live: String,
    /// Rig-up and strike: `rig-up 17:00, strike until 23:00`.
    pub around: String,
    /// `live`, `rig-up` or `strike` while it is that, else nothing.
    pub phase: &'static str,
    /// Whether it is live.
    pub is_live: bool,
}

/// An alert of the site.
#[derive(Debug, Clone, Serialize)]
pub struct Alert {
    /// The end of its address.
    pub id: String,
    /// Its mark: `critical`, `warning`, `muted`, …
    pub state: &'static str,
    /// `critical`, `pending`, …
    pub word: String,
    /// What is wrong.
    pub text: String,
    /// Which appliance.
    pub appliance: String,
    /// For how long.
    pub since: String,
    /// Since when, RFC 3339.
    pub since_at: String,
    /// Who has it in hand, or was told.
    pub who: String,
}

/// Something that keeps messages back.
#[derive(Debug, Clone, Serialize)]
pub struct Hold {
    /// `mute` or `maintenance`.
    pub kind: &'static str,
    /// Whether it holds now.
    pub is_now: bool,
    /// What it is about.
    pub what: String,
    /// From when to when.
    pub when: String,
    /// Who made it, and why.
    pub by: String,
    /// Where it is ended; nothing, where it is not for whoever looks to end here.
    pub ends: String,
}

impl Site {
    /// As HTML.
    pub fn html(&self) -> String {
        render("site", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::assert_tame;
    use crate::fleet::{Air, AlertLink, Row};
    use crate::{HOSTILE, Here, When, Who};
    use rackside_onair::Zone;

    fn text() -> String {
        HOSTILE.to_owned()
    }

    fn page() -> Site {
        let row = Row { site: text(), appliance: text(), machine: text(), ..Row::default() };
        let group = Group {
            site: text(),
            title: text(),
            tags: vec![text()],
            air: Air { on: true, word: "on air", why: text(), next: text(), next_ms: 1 },
            alert: AlertLink { text: text(), id: text(), more: text() },
            rows: vec![row],
            ..Group::default()
        };
        Site {
            frame: Frame::new(HOSTILE, Here::Fleet, &Who::default(), "1", 0),
            blank: vec![Group { rows: vec![Row::default()], ..Group::default() }],
            group,
            has_title: true,
            local: text(),
            zone: text(),
            has_zone: true,
            hand: Hand { may: true, is_set: true, until: text(), wrong: text() },
            contacts: vec![Contact::new(HOSTILE, HOSTILE, (HOSTILE, HOSTILE), HOSTILE)],
            access: vec![text()],
            shows: vec![Show { name: text(), live: text(), around: text(), phase: "live", is_live: true }],
            has_shows: true,
            alerts: vec![Alert {
                id: text(),
                state: "critical",
                word: text(),
                text: text(),
                appliance: text(),
                since: text(),
                since_at: text(),
                who: text(),
            }],
            held: vec![Hold {
                kind: "mute",
                is_now: true,
                what: text(),
                when: text(),
                by: text(),
                ends: text(),
            }],
            standing: "well",
            has_whom: true,
            on_call: vec![OnCall { team: text(), who: text(), until: text() }],
            log: vec![Entry {
                id: text(),
                when: When::new(0, Zone::UTC, 0),
                site: text(),
                site_href: text(),
                appliance: text(),
                appliance_href: text(),
                kind: "probe",
                what: text(),
                href: text(),
            }],
            unsaid: text(),
            retired: vec![Retired { appliance: text(), since: text() }],
        }
    }

    #[test]
    fn names_and_notes_are_text() {
        assert_tame(&page().html());
        let (group, none) = (Group { rows: Vec::new(), ..page().group }, Vec::new);
        let bare = Site {
            group,
            contacts: none(),
            shows: Vec::new(),
            alerts: Vec::new(),
            held: Vec::new(),
            hand: Hand::default(),
            ..page()
        };
        assert_tame(&bare.html());
        assert!(!bare.html().contains("<form"), "who may not is offered nothing");
    }

    #[test]
    fn a_number_is_dialled_without_what_people_write_between() {
        let contact = Contact::new("stage office", "", ("+49 (30) 555-0101 ext", ""), "");
        assert_eq!(contact.dial, "+49305550101");
        assert!(Contact::new("", "", ("javascript:alert(1)", ""), "").dial == "1");
    }
}
