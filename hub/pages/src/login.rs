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

    #[test]
    fn what_was_entered_stays_and_becomes_no_markup() {
        let text = || HOSTILE.to_owned();
        let login = Login { frame: frame(), to: text(), name: text(), fault: text(), is_unused: false };
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
        let (to, name, fault) = ("/".to_owned(), String::new(), String::new());
        let html = Login { frame: frame(), to, name, fault, is_unused: true }.html();
        assert!(!html.contains("type=\"password\"") && html.contains("rackside-hub user add"), "{html}");
    }
}
