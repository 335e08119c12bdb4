//! `/login`: name and password; and `/setup/{code}`, by which the first user is made.

use crate::{Frame, render};
use serde::Serialize;

/// The page that asks who it is.
#[derive(Debug, Serialize)]
pub struct Login {
    /// What every page has.
    pub frame: Frame,
    /// The path that somebody wanted; of this hub, and checked.
    pub to: String,
    /// As it was entered.
    pub name: String,
    /// Why they are not in, in a sentence; nothing the first time.
    pub fault: String,
    /// Whether there is nobody who could log in yet.
    pub is_unused: bool,
    /// Whether a password is asked for.
    pub has_passwords: bool,
    /// A provider to log in through.
    pub provider: Option<Through>,
    /// Where one logs out of the provider as well; nothing, but after a logout.
    pub way_out: String,
}

/// A way in that leads through a provider.
#[derive(Debug, Serialize)]
pub struct Through {
    /// What the button says; nothing if it leads nowhere now.
    pub button: String,
    /// Where it leads.
    pub path: String,
}

/// The page that makes the first user.
#[derive(Debug, Serialize)]
pub struct Setup {
    /// What every page has.
    pub frame: Frame,
    /// As it was entered.
    pub name: String,
    /// What is wrong with the name.
    pub name_fault: String,
    /// What is wrong with the password.
    pub password_fault: String,
    /// Fewest characters of a password.
    pub shortest: usize,
}

impl Login {
    /// As HTML.
    pub fn html(&self) -> String {
        render("login", self)
    }
}

impl Setup {
    /// As HTML.
    pub fn html(&self) -> String {
        render("setup", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::assert_tame;
    use crate::{HOSTILE, Here, Who};

    fn frame() -> Frame {
        Frame::new(HOSTILE, Here::Elsewhere, &Who::default(), "1", 0)
    }

    fn asking() -> Login {
        let (to, name, fault) = ("/".to_owned(), String::new(), String::new());
        let (frame, way_out) = (frame(), String::new());
        Login { frame, to, name, fault, is_unused: false, has_passwords: true, provider: None, way_out }
    }

    #[test]
    fn where_a_provider_stands_for_all_nobody_is_asked_for_a_password() {
        let through =
            |button: &str| Some(Through { button: button.to_owned(), path: "/login/provider".to_owned() });
        let html = Login { provider: through("Office"), has_passwords: false, ..asking() }.html();
        assert!(
            html.contains("href=\"/login/provider\">Office</a>") && !html.contains("type=\"password\""),
            "{html}"
        );
        let html = Login { provider: through("Office"), ..asking() }.html();
        assert!(html.contains(">Office</a>") && html.contains("type=\"password\""), "{html}");
        let html = Login { provider: through(""), ..asking() }.html();
        assert!(html.contains("log says why") && !html.contains("/login/provider"), "{html}");
    }

    #[test]
    fn what_was_entered_stays_and_becomes_no_markup() {
        let text = || HOSTILE.to_owned();
        let provider = Some(Through { button: text(), path: text() });
        let login = Login { to: text(), name: text(), fault: text(), provider, way_out: text(), ..asking() };
        let html = login.html();
        assert_tame(&html);
        assert!(html.contains("role=\"alert\"") && html.contains("autocomplete=\"current-password\""));
        assert!(!Login { fault: String::new(), ..login }.html().contains("role=\"alert\""));
        let faults = (text(), text());
        let (name_fault, password_fault) = faults;
        let setup = Setup { frame: frame(), name: text(), name_fault, password_fault, shortest: 10 };
        let html = setup.html();
        assert_tame(&html);
        assert!(html.contains("aria-describedby=\"name-fault\"") && html.contains("minlength=\"10\""));
    }

    #[test]
    fn without_users_nobody_is_asked_for_a_password() {
        let html = Login { is_unused: true, ..asking() }.html();
        assert!(!html.contains("type=\"password\"") && html.contains("rackside-hub user add"), "{html}");
    }
}
