//! Stills on an appliance's page: the newest picture of each stream, with its age. A part of a page, for operators; `stills.js` lets the age count on
//! and puts a newer picture in the place of the one before.
//!
//! A picture's box has its size before the picture is there, and keeps it.
//!
//! `{"probe":"programme","url":"/sites/arena-north/rack-1/stills/programme?taken=1795145096123","age":"25 s","width":320,"height":180}`

use crate::moment::{rfc3339, span};
use serde::Serialize;
use std::fmt::Write as _;

/// The part; nothing of it is shown where there is no still.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stills {
    /// Where a script asks which are the newest.
    pub source: String,
    /// One for each stream.
    pub list: Vec<Still>,
}

/// One picture.
#[derive(Debug, Clone, Serialize)]
pub struct Still {
    /// The probe that looks at the stream.
    pub probe: String,
    /// Where the picture is. It names the moment too, so that a newer picture is at another address.
    pub url: String,
    /// When it was taken: RFC 3339, UTC.
    pub taken: String,
    /// The same in milliseconds since 1970, for scripts.
    pub taken_ms: u64,
    /// How long ago that was.
    pub age: String,
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
}

impl Stills {
    /// Of `appliance`, a path below `/sites/`: `arena-north/rack-1`.
    pub fn new(appliance: &str) -> Self {
        Self { source: format!("/api/sites/{appliance}/stills"), list: Vec::new() }
    }
}

impl Still {
    /// The picture of `probe`, taken `age_ms` ago.
    pub fn new(
        appliance: &str,
        probe: &str,
        taken_ms: u64,
        age_ms: u64,
        (width, height): (u16, u16),
    ) -> Self {
        Self {
            probe: probe.to_owned(),
            url: url(appliance, probe, taken_ms),
            taken: rfc3339(taken_ms),
            taken_ms,
            age: span(age_ms),
            width,
            height,
        }
    }
}

/// The address of a picture.
pub fn url(appliance: &str, probe: &str, taken_ms: u64) -> String {
    let mut url = format!("/sites/{appliance}/stills/");
    for byte in probe.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // A point as well: two of them would be the folder above.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    let _ = write!(url, "?taken={taken_ms}");
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HOSTILE, engine, render};

    #[test]
    fn a_picture_is_shown_with_its_age_in_a_box_of_its_size() {
        let mut stills = Stills::new("arena-north/rack-1");
        stills.list.push(Still::new(
            "arena-north/rack-1",
            "programme",
            1_795_145_096_123,
            25_400,
            (320, 180),
        ));
        let html = render("stills", &stills);
        for part in [
            "data-stills=\"/api/sites/arena-north/rack-1/stills\"",
            "src=\"/sites/arena-north/rack-1/stills/programme?taken=1795145096123\"",
            "width=\"320\" height=\"180\" alt=\"Still of programme\"",
            "<time datetime=\"2026-11-20T03:24:56.123Z\" data-ms=\"1795145096123\">25 s</time> ago",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
    }

    #[test]
    fn without_stills_there_is_no_part() {
        assert_eq!(render("stills", &Stills::new("arena-north/rack-1")).trim(), "");
    }

    #[test]
    fn a_probes_name_becomes_no_markup_and_no_other_path() {
        let mut stills = Stills::new("a/b");
        stills.list.push(Still::new("a/b", HOSTILE, 0, 0, (1, 1)));
        engine::tests::assert_tame(&render("stills", &stills));
        assert_eq!(url("a/b", "../c?d", 7), "/sites/a/b/stills/%2E%2E%2Fc%3Fd?taken=7");
    }
}
