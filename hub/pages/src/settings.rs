//! `/settings`: one's own password; for admins users, tokens, sessions, receivers, and what was changed of late.
//!
//! Every section has its forms, and each form its own fault, which stands beside the field that is wrong. A token that was just made is shown above all, once. What
//! cannot be undone is folded behind what it is, and unfolds to what it does: it takes two presses, and no script.

use crate::{Frame, render};
use serde::Serialize;

/// The page.
#[derive(Debug, Serialize)]
pub struct Settings {
    /// What every page has.
    pub frame: Frame,
    /// What was just done, in a sentence; nothing else.
    pub done: String,
    /// What could not be done, where no field is to blame.
    pub fault: String,
    /// The token that was just made, and never shown again.
    pub made: Option<Made>,
    /// Whoever is logged in; nobody is on a hub without users.
    pub own: Option<Own>,
    /// What admins see.
    pub managed: Option<Managed>,
    /// Version, places: label and value.
    pub facts: Vec<Fact>,
}

/// A token that was just made.
#[derive(Debug, Serialize)]
pub struct Made {
    /// What it is for.
    pub name: String,
    /// The only time that it is shown.
    pub secret: String,
}

/// One's own login.
#[derive(Debug, Serialize)]
pub struct Own {
    /// Whose.
    pub name: String,
    /// In words: `operator, sees hall and what is tagged north`.
    pub says: String,
    /// What is wrong with the present password as it was entered.
    pub current_fault: String,
    /// And with the new one.
    pub password_fault: String,
    /// Fewest characters of a password.
    pub shortest: usize,
    /// Whether the form is open: because something is wrong in it.
    pub open: bool,
    /// Through whom they log in, who has their password; nobody, if it is here.
    pub provider: String,
}

/// What admins see.
#[derive(Debug, Serialize)]
pub struct Managed {
    /// What each form has to carry.
    pub csrf: String,
    /// What is looked for among users, tokens and logins.
    pub find: String,
    /// Where there are more of them than a page shows: how many of which, and to look for one by name.
    pub more: String,
    /// Whether there is anything to look among.
    pub is_long: bool,
    /// Users, as many as a page shows.
    pub users: Vec<User>,
    /// The form for another one.
    pub user: UserForm,
    /// Tokens, as many as a page shows.
    pub tokens: Vec<Token>,
    /// The form for another one.
    pub token: TokenForm,
    /// Who is logged in.
    pub sessions: Vec<Session>,
    /// Who can be told of alerts.
    pub receivers: Vec<Receiver>,
    /// How many boxes have joined, in a sentence.
    pub boxes: String,
    /// What was changed last, the newest first.
    pub changes: Vec<Change>,
    /// Fewest characters of a password.
    pub shortest: usize,
}

/// One of several to choose from.
#[derive(Debug, Clone, Serialize)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// A user.
#[derive(Debug, Serialize)]
pub struct User {
    /// As a word of an address.
    pub path: String,
    /// As it is.
    pub name: String,
    /// Its word.
    pub role: String,
    /// `all`, or which.
    pub sees: String,
    /// Since when: `2026-11-21`.
    pub since: String,
    /// Roles to choose from.
    pub roles: Vec<Choice>,
    /// Ids, apart by spaces.
    pub sites: String,
    /// Tags, apart by spaces.
    pub tags: String,
    /// What is wrong with what was entered for them.
    pub fault: String,
    /// Whether the form is open: because something is wrong in it.
    pub open: bool,
    /// Through whom they log in, who has their password and says their role; nobody, if both are here.
    pub provider: String,
    /// What they are known by there.
    pub subject: String,
}

/// A user to be, as it was entered.
#[derive(Debug, Default, Serialize)]
pub struct UserForm {
    /// Its name.
    pub name: String,
    /// Roles to choose from.
    pub roles: Vec<Choice>,
    /// Ids, apart by spaces.
    pub sites: String,
    /// Tags, apart by spaces.
    pub tags: String,
    /// What is wrong with the name.
    pub name_fault: String,
    /// What is wrong with the password.
    pub password_fault: String,
    /// What is wrong with role or sites.
    pub reach_fault: String,
    /// Whether the form is open: because something is wrong in it, or there is nobody yet.
    pub open: bool,
    /// Whether there is nobody yet.
    pub is_first: bool,
}

/// A token.
#[derive(Debug, Serialize)]
pub struct Token {
    /// As a word of an address.
    pub path: String,
    /// As it is.
    pub name: String,
    /// `read act`.
    pub scopes: String,
    /// `all`, or which.
    pub sees: String,
    /// Whose it is, or nothing.
    pub owner: String,
    /// `for ever`, or the day.
    pub until: String,
    /// Whether that day has come.
    pub expired: bool,
    /// The day, or `never`.
    pub used: String,
}

/// A token to be, as it was entered.
#[derive(Debug, Default, Serialize)]
pub struct TokenForm {
    /// Its name.
    pub name: String,
    /// Scopes to choose from.
    pub scopes: Vec<Choice>,
    /// Users to choose from, the first of whom is nobody.
    pub owners: Vec<Choice>,
    /// How long it is good.
    pub lasts: Vec<Choice>,
    /// Ids, apart by spaces.
    pub sites: String,
    /// Tags, apart by spaces.
    pub tags: String,
    /// What is wrong with the name.
    pub name_fault: String,
    /// What is wrong with the scopes or sites.
    pub reach_fault: String,
    /// Whether the form is open: because something is wrong in it.
    pub open: bool,
}

/// A login.
#[derive(Debug, Serialize)]
pub struct Session {
    /// By which it is ended.
    pub id: i64,
    /// Whether it is the one that the page is shown to.
    pub is_this: bool,
    /// Whose.
    pub user: String,
    /// From where.
    pub address: String,
    /// With what.
    pub agent: String,
    /// `3 h`.
    pub since: String,
    /// `2 min`.
    pub seen: String,
}

/// A receiver.
#[derive(Debug, Serialize)]
pub struct Receiver {
    /// As a word of an address.
    pub path: String,
    /// As it is.
    pub name: String,
    /// `slack`.
    pub kind: String,
    /// `well` or `critical`.
    pub state: &'static str,
    /// How it fares.
    pub says: String,
    /// What came of the test message that was just sent; nothing else.
    pub tested: String,
    /// Whether that was delivered.
    pub is_delivered: bool,
}

/// A change that somebody made.
#[derive(Debug, Serialize)]
pub struct Change {
    /// `2026-11-21 03:24 UTC`.
    pub at: String,
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
}

/// Something to know.
#[derive(Debug, Serialize)]
pub struct Fact {
    /// What it is.
    pub label: &'static str,
    /// And how it is.
    pub value: String,
}

impl Settings {
    /// As HTML.
    pub fn html(&self) -> String {
        render("settings", self)
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

    fn choice() -> Vec<Choice> {
        vec![
            Choice { value: text(), label: text(), chosen: true },
            Choice { value: text(), label: text(), chosen: false },
        ]
    }

    fn managed() -> Managed {
        let (path, open, expired, shortest) = ("x".to_owned(), true, true, 10);
        let (sites, tags, name, sees) = (text(), text(), text(), text());
        let user = User {
            path,
            name,
            role: text(),
            sees,
            since: text(),
            roles: choice(),
            sites,
            tags,
            fault: text(),
            open,
            provider: String::new(),
            subject: String::new(),
        };
        let (sites, tags, name, path) = (text(), text(), text(), "x".to_owned());
        let (name_fault, password_fault, reach_fault) = (text(), text(), text());
        let form = UserForm {
            name,
            roles: choice(),
            sites,
            tags,
            name_fault,
            password_fault,
            reach_fault,
            open,
            is_first: false,
        };
        let (name, scopes, owner, until) = (text(), text(), text(), text());
        let token = Token { path, name, scopes, sees: text(), owner, until, expired, used: text() };
        let (sites, tags, name, name_fault, reach_fault) = (text(), text(), text(), text(), text());
        let (scopes, owners, lasts) = (choice(), choice(), choice());
        let wanted = TokenForm { name, scopes, owners, lasts, sites, tags, name_fault, reach_fault, open };
        let (address, agent) = (text(), text());
        let session =
            Session { id: 3, is_this: true, user: text(), address, agent, since: text(), seen: text() };
        let (path, state, is_delivered) = ("x".to_owned(), "critical", true);
        let receiver =
            Receiver { path, name: text(), kind: text(), state, says: text(), tested: text(), is_delivered };
        let change = Change { at: text(), who: text(), what: text() };
        Managed {
            csrf: text(),
            find: text(),
            more: text(),
            is_long: true,
            users: vec![user],
            user: form,
            tokens: vec![token],
            token: wanted,
            sessions: vec![session],
            receivers: vec![receiver],
            boxes: text(),
            changes: vec![change],
            shortest,
        }
    }

    fn page() -> Settings {
        let who =
            Who { name: Some(HOSTILE), csrf: HOSTILE, is_in: true, has_settings: true, ..Who::default() };
        let (current_fault, password_fault, says, shortest) = (text(), text(), text(), 10);
        Settings {
            frame: Frame::new(HOSTILE, Here::Settings, &who, "1", 0),
            done: text(),
            fault: text(),
            made: Some(Made { name: text(), secret: text() }),
            own: Some(Own {
                name: text(),
                says,
                current_fault,
                password_fault,
                shortest,
                open: true,
                provider: String::new(),
            }),
            managed: Some(managed()),
            facts: vec![Fact { label: "Data", value: text() }],
        }
    }

    #[test]
    fn nothing_that_was_entered_becomes_markup() {
        assert_tame(&page().html());
    }

    #[test]
    fn every_form_carries_what_its_session_wants_and_every_field_its_label() {
        let html = page().html();
        // What is looked for changes nothing.
        let forms = html.matches("<form ").count() - html.matches("<form method=\"get\"").count();
        assert!(forms >= 8, "{forms}");
        assert_eq!(html.matches("name=\"csrf\"").count(), forms);
        let fields = html.matches("<input ").count() - html.matches("type=\"hidden\"").count()
            + html.matches("<select ").count()
            + html.matches("<textarea ").count();
        // Beside those of this page, the foot has a choice of colours, with its own label.
        assert_eq!(html.matches("<label").count(), fields + 1, "each field stands in its label");
        assert_eq!(
            html.matches("aria-invalid=\"true\"").count(),
            html.matches("aria-describedby=\"").count()
        );
    }

    #[test]
    fn what_cannot_be_undone_takes_two_presses() {
        let html = page().html();
        let asks = html.matches("<details class=\"ask\">").count();
        assert_eq!((asks, html.matches("data-danger=\"true\"").count()), (3, 3), "a user, a token, a login");
    }

    #[test]
    fn what_came_of_a_test_message_stands_beside_its_receiver() {
        let says = "<p class=\"fault tested\" role=\"status\" tabindex=\"-1\" id=\"tested-crew\">no";
        let of = |tested: &str| {
            let mut managed = managed();
            let receiver = &mut managed.receivers[0];
            (receiver.path, receiver.tested, receiver.is_delivered) =
                ("crew".to_owned(), tested.to_owned(), false);
            Settings { managed: Some(managed), ..page() }.html()
        };
        let html = of("no");
        let item =
            html.split("<li").find(|item| item.contains("#tested-crew")).expect("its form leads there");
        assert!(item.contains(says), "{item}");
        assert!(!of("").contains("tested-crew\" tabindex") && !of("").contains("role=\"status\" tabindex"));
    }

    #[test]
    fn the_first_user_is_asked_for_in_so_many_words() {
        let nobody = Managed { users: Vec::new(), ..managed() };
        let user = UserForm { is_first: true, ..nobody.user };
        let html = Settings { managed: Some(Managed { user, ..nobody }), ..page() }.html();
        assert!(html.contains("<summary>Make the first user</summary>"), "{html}");
        assert!(html.contains(">Make the first user</button>") && !html.contains("Add this user"));
    }

    #[test]
    fn who_logs_in_through_a_provider_has_neither_password_nor_role_here() {
        let mut page = page();
        page.own.as_mut().expect("there").provider = text();
        for user in page.managed.iter_mut().flat_map(|managed| &mut managed.users) {
            (user.provider, user.subject) = (text(), text());
        }
        let html = page.html();
        assert_tame(&html);
        assert!(!html.contains("action=\"/settings/password\""));
        let of_user = html.split("action=\"/settings/users/x\"").count() - 1;
        assert_eq!((of_user, html.matches("value=\"remove\"").count()), (1, 1), "they can be removed");
    }

    #[test]
    fn whoever_is_no_admin_sees_their_own_login_alone() {
        let html = Settings { managed: None, made: None, ..page() }.html();
        assert!(html.contains("action=\"/settings/password\"") && !html.contains("/settings/users"));
        let html = Settings { own: None, ..page() }.html();
        assert!(
            !html.contains("action=\"/settings/password\"") && html.contains("action=\"/settings/users\"")
        );
    }
}
