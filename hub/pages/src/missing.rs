//! The page for what is not there, or cannot be done: what was asked for, and a way back.

use crate::{Frame, render};
use serde::Serialize;

/// Not found, not possible, not allowed.
#[derive(Debug, Serialize)]
pub struct Missing {
    /// What every page has.
    pub frame: Frame,
    /// `Not found`.
    pub title: String,
    /// In a sentence or two.
    pub what: String,
}

impl Missing {
    /// As HTML.
    pub fn html(&self) -> String {
        render("missing", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::assert_tame;
    use crate::{Banner, HOSTILE, Here, Who};

    #[test]
    fn it_shows_an_address_and_banners_as_text() {
        let who = Who { name: Some(HOSTILE), csrf: HOSTILE, is_in: true, ..Who::default() };
        let mut frame = Frame::new(HOSTILE, Here::Elsewhere, &who, HOSTILE, 0);
        let (id, state) = ("trouble", "critical");
        frame.banners.push(Banner {
            id,
            state,
            head: HOSTILE.to_owned(),
            text: HOSTILE.to_owned(),
            hidden: false,
        });
        let html = Missing { frame, title: HOSTILE.to_owned(), what: HOSTILE.to_owned() }.html();
        assert_tame(&html);
        assert!(html.contains("href=\"/\""), "a way back: {html}");
    }
}
