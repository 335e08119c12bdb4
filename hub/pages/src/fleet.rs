//! `/`: every appliance, what needs somebody first.
//!
//! The first rendering and every live update are made of the same rows, so they cannot differ.
//!
//! `{"site":"arena-north","appliance":"rack-1","up":true,"word":"up","temperature":{"text":"48.3 °C","bar":57,"high":false},...}`

use crate::{Frame, render};
use serde::Serialize;

/// The page.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the template engine knows no comparisons")]
pub struct Fleet {
    /// What every page has.
    pub frame: Frame,
    /// Whether nothing was ever heard.
    pub empty: bool,
    /// Where an agent would send to.
    pub address: String,
    /// Whether that is a broker's.
    pub broker: bool,
    /// Every appliance, in the page's order.
    pub rows: Vec<Row>,
    /// How many there are.
    pub total: usize,
    /// How many are up.
    pub up: usize,
    /// How many are down.
    pub down: usize,
    /// Whether any is.
    pub any_down: bool,
    /// Whether two machines use one name anywhere.
    pub any_twice: bool,
    /// How often.
    pub twice: usize,
}

impl Fleet {
    /// As HTML.
    pub fn html(&self) -> String {
        render("fleet", self)
    }
}

/// One appliance, in words and numbers ready to be read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Where.
    pub site: String,
    /// Which.
    pub appliance: String,
    /// Whether it is heard.
    pub up: bool,
    /// `up` or `down`.
    pub word: &'static str,
    /// Why it is down; nothing while it is up.
    pub why: &'static str,
    /// Since when it is so, in milliseconds since 1970.
    pub since_ms: u64,
    /// For how long.
    pub since: String,
    /// Since when, RFC 3339.
    pub since_at: String,
    /// When it was heard last, in milliseconds since 1970.
    pub seen_ms: u64,
    /// How long ago.
    pub seen: String,
    /// When, RFC 3339.
    pub seen_at: String,
    /// Of the SoC.
    pub temperature: Measure,
    /// How busy it is.
    pub cpu: Measure,
    /// How full it is.
    pub memory: Measure,
    /// Records that wait at the appliance, if it is worth saying.
    pub backlog: String,
    /// Whether a second machine has the same name.
    pub twice: bool,
    /// In words.
    pub twice_text: String,
    /// What it runs on.
    pub machine: String,
    /// What is worth saying of its time: nothing when it has its own.
    pub clock: &'static str,
    /// What is worth saying of where it keeps its records: nothing when it has a disk.
    pub spool: &'static str,
    /// How often it sends, if not at each reading.
    pub pace: String,
}

/// One value with its bar.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measure {
    /// `48.3 °C`, or a dash.
    pub text: String,
    /// Length of the bar, 0 to 100.
    pub bar: u8,
    /// Whether it is worth a look.
    pub high: bool,
}

impl Measure {
    /// A value in words, or nothing, and its share of what is the most.
    pub fn new(text: Option<String>, share: f64, high: bool) -> Self {
        let bar = (share.clamp(0.0, 1.0) * 100.0).round() as u8;
        Self {
            bar: if text.is_some() { bar } else { 0 }, text: text.unwrap_or_else(|| "–".to_owned()), high
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::assert_tame;
    use crate::{HOSTILE, Here, Who};

    fn row() -> Row {
        let text = || HOSTILE.to_owned();
        let measure = || Measure::new(Some(HOSTILE.to_owned()), 0.5, true);
        Row {
            site: text(),
            appliance: text(),
            up: true,
            word: HOSTILE,
            why: HOSTILE,
            since_ms: 0,
            since: text(),
            since_at: text(),
            seen_ms: 0,
            seen: text(),
            seen_at: text(),
            temperature: measure(),
            cpu: measure(),
            memory: measure(),
            backlog: text(),
            twice: true,
            twice_text: text(),
            machine: text(),
            clock: HOSTILE,
            spool: HOSTILE,
            pace: text(),
        }
    }

    #[test]
    fn names_and_numbers_are_text() {
        let frame = || Frame::new(HOSTILE, Here::Fleet, &Who::default(), "1", 0);
        let fleet = |rows: Vec<Row>| Fleet {
            frame: frame(),
            empty: rows.is_empty(),
            address: HOSTILE.to_owned(),
            broker: true,
            total: rows.len(),
            up: 1,
            down: 1,
            any_down: true,
            any_twice: true,
            twice: 1,
            rows,
        };
        assert_tame(&fleet(vec![row(), row()]).html());
        assert_tame(&fleet(Vec::new()).html());
    }

    #[test]
    fn a_bar_never_leaves_its_box() {
        assert_eq!(Measure::new(Some(String::new()), 7.0, false).bar, 100);
        assert_eq!(Measure::new(Some(String::new()), -1.0, false).bar, 0);
        assert_eq!(Measure::new(Some(String::new()), f64::NAN, false).bar, 0);
        assert_eq!(Measure::new(None, 0.5, false).bar, 0);
    }
}
