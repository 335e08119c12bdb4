//! `/sites/{site}/{appliance}`: all that is known of one appliance, every series with its chart.
//!
//! What is told of a series in words is told without its chart as well: a page without images, or a reader's voice, says the same.
//!
//! `{"title":"SoC temperature","last":"48.3 °C","summary":"Lowest 44.6 °C, highest 76.7 °C, …","svg":"<svg class=\"chart\" …"}`

use crate::commands::Commands;
use crate::commissioning::Commissioning;
use crate::fleet::Air;
use crate::site::{Alert, Hold};
use crate::stills::Stills;
use crate::{Frame, render};
use serde::Serialize;

/// The page.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the template engine knows no comparisons")]
pub struct Appliance {
    /// What every page has.
    pub frame: Frame,
    /// The site's id.
    pub site: String,
    /// What people call the site.
    pub site_title: String,
    /// Which appliance of it.
    pub appliance: String,
    /// How it stands.
    pub head: Head,
    /// That it is being set up, and what is to be seen of it.
    pub set_up: Option<Commissioning>,
    /// What is looked for among its series, or nothing.
    pub wanted: String,
    /// This page with all series.
    pub all: String,
    /// Whether something else than the usual is asked for: another time, or some series.
    pub is_narrowed: bool,
    /// Where the range stands in the address, for a form that keeps it.
    pub asked: Vec<Asked>,
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
    /// This page without its charts, for a script that keeps the rest fresh.
    pub fresh: String,
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
    /// What it can be told to do.
    pub commands: Commands,
    /// Its probes that do not stand well.
    pub failing: Vec<Probe>,
    /// Those that do.
    pub probes: Vec<Probe>,
    /// All of them in a few words: `2 fail, 1 unknown, 5 well`.
    pub probes_say: String,
    /// Whether those that stand well are folded away, because they are many.
    pub probes_folded: bool,
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

/// How it stands.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Head {
    /// `well`, `warning`, `critical`, `down`, `unknown` or `muted`.
    pub state: &'static str,
    /// The same as a word.
    pub word: &'static str,
    /// Since when, and when it was heard; nothing of one that is gone.
    pub says: String,
    /// That it is not heard, and since when.
    pub gone: Option<Gone>,
    /// Whether its site is on air, why, and what comes next.
    pub air: Air,
    /// What fires of it or is about to, the worst first.
    pub alerts: Vec<Alert>,
    /// Mutes and maintenance that hold now.
    pub held: Vec<Hold>,
    /// What is worth a look: two machines of one name, a backlog, no clock.
    pub notes: Vec<String>,
}

/// That an appliance is not heard.
#[derive(Debug, Clone, Serialize)]
pub struct Gone {
    /// `Not heard`, `Off by plan`.
    pub word: &'static str,
    /// Whether that is as it is meant to be.
    pub is_off: bool,
    /// Since when, on the venue's clocks.
    pub since: String,
    /// RFC 3339, UTC.
    pub since_at: String,
    /// For how long.
    pub lasts: String,
    /// `link lost`.
    pub why: String,
}

/// A parameter of the address.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    /// `range`.
    pub name: &'static str,
    /// `7d`.
    pub value: String,
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
    /// How many.
    pub count: usize,
    /// Whether they are to be seen at once; else they are folded away.
    pub is_open: bool,
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
    /// How old that is, where it says nothing of now; else nothing.
    pub last_age: String,
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
    /// Whether it stands well.
    pub is_well: bool,
    /// Since when, on the venue's clocks, or nothing where nobody knows.
    pub since: String,
    /// The same by RFC 3339, UTC.
    pub since_at: String,
    /// For how long.
    pub lasts: String,
    /// How it stood when that was known last; nothing where it is known.
    pub was: &'static str,
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
    /// As it is asked for, by which a script finds it.
    pub series: String,
    /// Whether its value says nothing of now.
    pub is_old: bool,
    /// Whether the hub serves it: not if it is listed twice, or has a name of the hub's.
    pub served: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Chart, svg};
    use crate::commissioning::Item;
    use crate::engine::tests::assert_tame;
    use crate::quantity::Unit;
    use crate::stills::Still;
    use crate::{HOSTILE, Here, Who};
    use rackside_onair::Zone;

    fn probe() -> Probe {
        let text = || HOSTILE.to_owned();
        Probe {
            name: text(),
            kind: text(),
            stream: text(),
            state: HOSTILE,
            word: HOSTILE,
            is_well: false,
            since: text(),
            since_at: text(),
            lasts: text(),
            was: HOSTILE,
            duration: text(),
            error: text(),
            error_at: text(),
        }
    }

    fn set_up() -> Commissioning {
        let text = || HOSTILE.to_owned();
        Commissioning {
            csrf: text(),
            action: text(),
            may_act: true,
            says: text(),
            items: [true, false].map(|is_seen| Item { is_seen, what: text(), says: text() }).into(),
            led_waits: true,
            identify: "/sites/arena-north/rack-1/commands".to_owned(),
        }
    }

    fn hold() -> Hold {
        let text = || HOSTILE.to_owned();
        Hold { kind: HOSTILE, is_now: true, what: text(), when: text(), by: text(), ends: text() }
    }

    fn page() -> Appliance {
        let text = || HOSTILE.to_owned();
        let choice = || Choice { label: text(), href: text(), here: true };
        let drawn = Drawn {
            title: text(),
            detail: text(),
            help: text(),
            series: text(),
            last: text(),
            last_age: text(),
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
            head: Head {
                state: HOSTILE,
                word: HOSTILE,
                says: text(),
                gone: Some(Gone {
                    word: HOSTILE,
                    is_off: false,
                    since: text(),
                    since_at: text(),
                    lasts: text(),
                    why: text(),
                }),
                air: Air { on: true, word: HOSTILE, why: text(), next: text(), next_ms: 0 },
                alerts: vec![Alert {
                    id: text(),
                    state: HOSTILE,
                    word: text(),
                    text: text(),
                    appliance: text(),
                    since: text(),
                    since_at: text(),
                    who: text(),
                }],
                held: vec![hold()],
                notes: vec![text()],
            },
            wanted: text(),
            all: text(),
            is_narrowed: true,
            asked: vec![Asked { name: HOSTILE, value: text() }],
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
            fresh: text(),
            groups: vec![Group { id: text(), title: text(), charts: vec![drawn], count: 1, is_open: true }],
            empty: false,
            failure: text(),
            parts: vec![choice()],
            log: vec![Line { when: text(), at: text(), text: text() }],
            more_log: true,
            set_up: Some(set_up()),
            stills: Stills { list: vec![Still::new(HOSTILE, HOSTILE, 0, 0, (1, 1))], ..Stills::new(HOSTILE) },
            commands: Commands { may: true, none: HOSTILE.to_owned(), ..Commands::default() },
            failing: vec![probe()],
            probes: vec![probe()],
            probes_say: text(),
            probes_folded: true,
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
                series: text(),
                is_old: true,
                served: false,
            }],
            series: 1,
        }
    }

    #[test]
    fn names_and_numbers_are_text() {
        assert_tame(&page().html());
        let empty = Appliance {
            head: Head::default(),
            groups: Vec::new(),
            empty: true,
            probes: Vec::new(),
            failing: Vec::new(),
            catalog: Vec::new(),
            ..page()
        };
        assert_tame(&empty.html());
    }
}
