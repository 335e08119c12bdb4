//! `/sites/{site}/{appliance}`: all that is known of one appliance, every series with its chart.
//!
//! What is told of a series in words is told without its chart as well: a page without images, or a reader's voice, says the same.
//!
//! `{"title":"SoC temperature","last":"48.3 °C","summary":"Lowest 44.6 °C, highest 76.7 °C, …","svg":"<svg class=\"chart\" …"}`

use crate::stills::Stills;
use crate::{Frame, render};
use serde::Serialize;

/// The page.
#[derive(Debug, Serialize)]
pub struct Appliance {
    /// What every page has.
    pub frame: Frame,
    /// The site's id.
    pub site: String,
    /// What people call the site.
    pub site_title: String,
    /// Which appliance of it.
    pub appliance: String,
    /// `well` or `down`.
    pub state: &'static str,
    /// `up` or `down`.
    pub word: &'static str,
    /// Why it is down, since when, when it was heard last: `link lost for 3 min`.
    pub says: String,
    /// What is worth a look: two machines of one name, a backlog, no clock.
    pub remarks: Vec<String>,
    /// The ranges that can be chosen.
    pub ranges: Vec<Choice>,
    /// The chosen range, on the venue's clocks: `2026-11-20T18:40`.
    pub from: String,
    /// Its end.
    pub until: String,
    /// In words: `Thu 19 Nov 18:40 to Fri 20 Nov 18:40`.
    pub range: String,
    /// Whose clocks these are: `Europe/Berlin`.
    pub zone: String,
    /// The range's first moment, in milliseconds since 1970, for scripts.
    pub from_ms: i64,
    /// Its end.
    pub until_ms: i64,
    /// Whether its end is now.
    pub is_now: bool,
    /// What was wrong with the range that was asked for, or nothing.
    pub objection: String,
    /// Where this page's series are as data: `/api/sites/arena-north/rack-1`.
    pub data: String,
    /// Charts, by what they are about.
    pub groups: Vec<Group>,
    /// Whether there are none.
    pub empty: bool,
    /// Why charts could not be drawn, or nothing.
    pub failure: String,
    /// More charts than one page has, by part.
    pub parts: Vec<Choice>,
    /// What happened in the range, the newest first.
    pub log: Vec<Line>,
    /// Whether there is more of it.
    pub more_log: bool,
    /// What its cameras see.
    pub stills: Stills,
    /// Its probes.
    pub probes: Vec<Probe>,
    /// What it is: versions, hardware, clock, backlog, link.
    pub facts: Vec<Fact>,
    /// Its runs, the newest first.
    pub runs: Vec<Run>,
    /// Every series of its present catalog.
    pub catalog: Vec<Entry>,
    /// How many those are.
    pub series: usize,
}

impl Appliance {
    /// As HTML.
    pub fn html(&self) -> String {
        render("appliance", self)
    }
}

/// A link of which one is the present one.
#[derive(Debug, Clone, Serialize)]
pub struct Choice {
    /// `24 h`.
    pub label: String,
    /// Where it leads.
    pub href: String,
    /// Whether it is chosen.
    pub here: bool,
}

/// Charts about one thing.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// For links within the page: `probe-main`.
    pub id: String,
    /// `Machine`, `Probe main`.
    pub title: String,
    /// Its charts.
    pub charts: Vec<Drawn>,
}

/// A series with its chart.
#[derive(Debug, Clone, Serialize)]
pub struct Drawn {
    /// What it is, in an operator's words: `Memory used`.
    pub title: String,
    /// Its labels: `eth0`.
    pub detail: String,
    /// What it means.
    pub help: String,
    /// The series as it is asked for: `rackside_load1{}`.
    pub series: String,
    /// Its latest value, or a dash.
    pub last: String,
    /// The picture.
    pub svg: String,
    /// The same in words.
    pub summary: String,
    /// Where it is as CSV.
    pub csv: String,
    /// Where the picture stands alone.
    pub alone: String,
    /// Whether it is a state, whose picture is lower.
    pub is_strip: bool,
}

/// A line of the log.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// On the venue's clocks.
    pub when: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// What happened.
    pub text: String,
}

/// A probe.
#[derive(Debug, Clone, Serialize)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// `http`.
    pub kind: String,
    /// The stream that it is about, or nothing.
    pub stream: String,
    /// `well`, `critical` or `unknown`.
    pub state: &'static str,
    /// `well`, `failed`, `unknown`.
    pub word: &'static str,
    /// Since when, on the venue's clocks, or nothing where nobody knows.
    pub since: String,
    /// How long its newest run took.
    pub duration: String,
    /// What went wrong last, or nothing.
    pub error: String,
    /// When that was.
    pub error_at: String,
}

/// Something that it is.
#[derive(Debug, Clone, Serialize)]
pub struct Fact {
    /// `Agent`.
    pub name: &'static str,
    /// `0.1.0`.
    pub value: String,
    /// What is to be said of it, or nothing.
    pub note: String,
}

/// A run: one start of the agent.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Its number.
    pub id: String,
    /// When it was first heard.
    pub start: String,
    /// When it was last heard; `now` while it is.
    pub end: String,
    /// For how long.
    pub span: String,
    /// Why it ended, as far as that is known.
    pub why: String,
    /// Records that are lost, or nothing.
    pub lost: String,
}

/// A series of the catalog.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The metric's name.
    pub metric: String,
    /// `mount="/"`, or nothing.
    pub labels: String,
    /// What it means.
    pub help: String,
    /// `gauge`, `counter`, `state`.
    pub kind: &'static str,
    /// `celsius`, or a dash.
    pub unit: String,
    /// Its latest value.
    pub value: String,
    /// How old that is.
    pub age: String,
    /// Whether the hub serves it: not if it is listed twice, or has a name of the hub's.
    pub served: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Chart, svg};
    use crate::engine::tests::assert_tame;
    use crate::quantity::Unit;
    use crate::stills::Still;
    use crate::{HOSTILE, Here, Who};
    use rackside_onair::Zone;

    fn page() -> Appliance {
        let text = || HOSTILE.to_owned();
        let choice = || Choice { label: text(), href: text(), here: true };
        let drawn = Drawn {
            title: text(),
            detail: text(),
            help: text(),
            series: text(),
            last: text(),
            svg: svg(&Chart::new(HOSTILE, Unit::Number, 0..1000, Zone::UTC)),
            summary: text(),
            csv: text(),
            alone: text(),
            is_strip: true,
        };
        Appliance {
            frame: Frame::new(HOSTILE, Here::Fleet, &Who::default(), "1", 0),
            site: text(),
            site_title: text(),
            appliance: text(),
            state: HOSTILE,
            word: HOSTILE,
            says: text(),
            remarks: vec![text()],
            ranges: vec![choice()],
            from: text(),
            until: text(),
            range: text(),
            zone: text(),
            from_ms: 0,
            until_ms: 1,
            is_now: true,
            objection: text(),
            data: text(),
            groups: vec![Group { id: text(), title: text(), charts: vec![drawn] }],
            empty: false,
            failure: text(),
            parts: vec![choice()],
            log: vec![Line { when: text(), at: text(), text: text() }],
            more_log: true,
            stills: Stills { list: vec![Still::new(HOSTILE, HOSTILE, 0, 0, (1, 1))], ..Stills::new(HOSTILE) },
            probes: vec![Probe {
                name: text(),
                kind: text(),
                stream: text(),
                state: HOSTILE,
                word: HOSTILE,
                since: text(),
                duration: text(),
                error: text(),
                error_at: text(),
            }],
            facts: vec![Fact { name: HOSTILE, value: text(), note: text() }],
            runs: vec![Run {
                id: text(),
                start: text(),
                end: text(),
                span: text(),
                why: text(),
                lost: text(),
            }],
            catalog: vec![Entry {
                metric: text(),
                labels: text(),
                help: text(),
                kind: HOSTILE,
                unit: text(),
                value: text(),
                age: text(),
                served: false,
            }],
            series: 1,
        }
    }

    #[test]
    fn names_and_numbers_are_text() {
        assert_tame(&page().html());
        let empty =
            Appliance { groups: Vec::new(), empty: true, probes: Vec::new(), catalog: Vec::new(), ..page() };
        assert_tame(&empty.html());
    }
}
