//! `/`: every appliance by site, what needs somebody first.
//!
//! The first rendering and every live update are made of the same rows, so they cannot differ. What a filter leaves out is on the page and hidden, so that a
//! script can show it again, and what comes by a live update has a place. Order, of sites and of what is at one: a critical alert, down, a warning,
//! unknown, worth a look, muted, well; then by name. Of an appliance that is not heard nothing is shown as if it were so now: probes and streams are not known, and its
//! temperature has its age.
//!
//! `{"site":"arena-north","appliance":"rack-1","up":true,"state":"well","word":"well","temperature":{"text":"48.3 °C","note":"","high":false},...}`

mod filter;
mod sum;

pub use filter::{Choice, Filter};
pub use sum::{Count, Hub, Next, Sum, Worst};

use crate::alert::OnCall;
use crate::{Frame, render};
use serde::Serialize;

/// How an appliance or a site stands, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// A critical alert fires.
    Critical,
    /// It is not heard, and should be.
    Down,
    /// A warning fires.
    Warning,
    /// Nobody knows.
    Unknown,
    /// Something fails or runs hot, and no alert fires.
    Look,
    /// All that fires is muted, or it is off by plan.
    Muted,
    /// Nothing is wrong.
    Well,
}

impl Standing {
    /// All, the worst first.
    pub const ALL: [Self; 7] =
        [Self::Critical, Self::Down, Self::Warning, Self::Unknown, Self::Look, Self::Muted, Self::Well];

    /// As style sheets, scripts and addresses have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Down => "down",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Look => "look",
            Self::Muted => "muted",
            Self::Well => "well",
        }
    }

    /// As people have it.
    pub const fn label(self) -> &'static str {
        if matches!(self, Self::Look) { "worth a look" } else { self.as_str() }
    }

    /// Whether somebody is needed.
    pub fn is_trouble(self) -> bool {
        self <= Self::Unknown
    }
}

/// The page.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the template engine knows no comparisons")]
pub struct Fleet {
    /// What every page has.
    pub frame: Frame,
    /// Whether nothing was ever heard, and no site is configured.
    pub empty: bool,
    /// Where an agent would send to.
    pub address: String,
    /// Whether that is a broker's.
    pub broker: bool,
    /// Whether it is for a screen on the wall.
    pub wall: bool,
    /// What is so of all of it.
    pub sum: Sum,
    /// Who is on call.
    pub on_call: Vec<OnCall>,
    /// What is looked for.
    pub filter: Filter,
    /// Whether a filter leaves nothing.
    pub none_left: bool,
    /// Every site, the worst first.
    pub groups: Vec<Group>,
    /// For a script: an appliance and a site without anything.
    pub blank: Vec<Group>,
}

impl Fleet {
    /// As HTML.
    pub fn html(&self) -> String {
        render("fleet", self)
    }
}

/// One site with its appliances.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the template engine knows no comparisons")]
pub struct Group {
    /// Its id.
    pub site: String,
    /// What people call it.
    pub title: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The worst of it and its appliances.
    pub state: &'static str,
    /// Of itself alone: the worst alert that is of no appliance.
    pub own: &'static str,
    /// Whether somebody is needed.
    pub trouble: bool,
    /// Whether it is on air.
    pub air: Air,
    /// What fires of the site itself.
    pub alert: AlertLink,
    /// Who has that in hand; nothing, if nobody has.
    pub hand: String,
    /// Who was told of it.
    pub told: String,
    /// Its appliances, the worst first.
    pub rows: Vec<Row>,
    /// Whether a filter leaves it out.
    pub hidden: bool,
    /// Whether it is a small box, because it is well and there are many.
    pub folded: bool,
    /// Whether it is no more; in live updates alone.
    pub gone: bool,
}

/// Whether a site is on air, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Air {
    /// Whether it is.
    pub on: bool,
    /// `on air` or `off air`; nothing where nobody can tell.
    pub word: &'static str,
    /// Why, and until when.
    pub why: String,
    /// What comes next.
    pub next: String,
    /// When that begins, in milliseconds since 1970; 0 if nothing does.
    pub next_ms: u64,
}

/// A link to an alert.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AlertLink {
    /// In words; nothing, if none fires.
    pub text: String,
    /// Which: the end of its address.
    pub id: String,
    /// How many more fire.
    pub more: String,
}

/// One appliance, in words and numbers ready to be read.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the template engine knows no comparisons")]
pub struct Row {
    /// Where.
    pub site: String,
    /// Which.
    pub appliance: String,
    /// Whether it is heard.
    pub up: bool,
    /// [`Standing`]: which mark and colour it has.
    pub state: &'static str,
    /// Where it stands in the order.
    pub rank: u8,
    /// Whether somebody is needed.
    pub trouble: bool,
    /// `well`, `down`, `critical`, …
    pub word: &'static str,
    /// Why it is down or worth a look; nothing else.
    pub why: &'static str,
    /// Since when it is so, in milliseconds since 1970; 0 where nobody can tell.
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
    /// When what it measures was read, in milliseconds since 1970.
    pub read_ms: u64,
    /// How long ago.
    pub read: String,
    /// When, RFC 3339.
    pub read_at: String,
    /// Of the SoC, with a word when it is held back.
    pub temperature: Cell,
    /// How many of its probes are well, and which are not.
    pub probes: Cell,
    /// How many of its streams are there, and which are not.
    pub streams: Cell,
    /// The worst alert of it that fires.
    pub alert: AlertLink,
    /// Who has it in hand; nothing, if nobody has.
    pub hand: String,
    /// Who was told of it; nothing, if no alert fires or somebody has it in hand.
    pub told: String,
    /// What else is worth saying.
    pub notes: Vec<Note>,
    /// Whether a second machine has the same name.
    pub twice: bool,
    /// What it runs on.
    pub machine: String,
    /// The last hour of its temperature as SVG, made here and not escaped; in no live update.
    pub spark: String,
    /// Whether a filter leaves it out.
    pub hidden: bool,
}

impl Row {
    /// What is the matter, where no alert says it.
    fn says(&self) -> &str {
        if self.why.is_empty() { self.word } else { self.why }
    }
}

/// One value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// `48.3 °C`, or a dash.
    pub text: String,
    /// What makes it worth a look.
    pub note: String,
    /// Whether it is.
    pub high: bool,
    /// Whether there is nothing to tell.
    pub none: bool,
}

impl Cell {
    /// There is nothing to tell.
    pub fn nothing() -> Self {
        Self { text: "–".to_owned(), none: true, ..Self::default() }
    }
}

/// Something to know of an appliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// In a few words.
    pub text: String,
    /// Whether it is more than good to know.
    pub high: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::assert_tame;
    use crate::{HOSTILE, Here, Who};

    fn row(site: &str, appliance: &str, standing: Standing, hand: &str) -> Row {
        Row {
            site: site.to_owned(),
            appliance: appliance.to_owned(),
            state: standing.as_str(),
            rank: standing as u8,
            trouble: standing.is_trouble(),
            hand: hand.to_owned(),
            since_ms: 1000,
            ..Row::default()
        }
    }

    fn group(site: &str, tags: &[&str], rows: Vec<Row>) -> Group {
        let worst = rows.iter().min_by_key(|row| row.rank);
        Group {
            site: site.to_owned(),
            title: format!("The {site}"),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            state: worst.map_or("well", |row| row.state),
            own: "well",
            trouble: worst.is_some_and(|row| row.trouble),
            rows,
            ..Group::default()
        }
    }

    fn fleet() -> Vec<Group> {
        vec![
            group(
                "arena",
                &["stage"],
                vec![
                    row("arena", "rack-1", Standing::Critical, ""),
                    row("arena", "rack-2", Standing::Well, ""),
                ],
            ),
            group("hall", &["stage", "radio"], vec![row("hall", "rack-1", Standing::Down, "desk")]),
            group("studio", &["radio"], Vec::new()),
        ]
    }

    fn shown(text: &str, tag: &str, state: &str) -> Vec<String> {
        let mut groups = fleet();
        let tags = ["radio", "stage"].map(str::to_owned);
        Filter::new([text, tag, state, ""], tags).apply(&mut groups);
        let shown = groups.iter().filter(|group| !group.hidden).flat_map(|group| {
            let rows = group.rows.iter().filter(|row| !row.hidden);
            let names: Vec<String> = rows.map(|row| format!("{}/{}", group.site, row.appliance)).collect();
            if names.is_empty() { vec![group.site.clone()] } else { names }
        });
        shown.collect()
    }

    #[test]
    fn a_filter_is_by_text_and_tag_and_state() {
        assert_eq!(shown("", "", ""), ["arena/rack-1", "arena/rack-2", "hall/rack-1", "studio"]);
        assert_eq!(shown(" the HA", "", ""), ["hall/rack-1"]);
        assert_eq!(shown("rack-2", "", ""), ["arena/rack-2"]);
        assert_eq!(shown("", "radio", ""), ["hall/rack-1", "studio"]);
        assert_eq!(shown("", "", "trouble"), ["arena/rack-1", "hall/rack-1"]);
        assert_eq!(shown("", "", "open"), ["arena/rack-1"]);
        assert_eq!(shown("", "stage", "well"), ["arena/rack-2"]);
        assert_eq!(shown("", "", "no such state").len(), 4, "what nobody can ask for is not asked for");
        assert!(shown("elsewhere", "", "").is_empty());
    }

    #[test]
    fn the_sum_says_whether_somebody_is_needed() {
        let sum = Sum::of(&fleet(), Hub::well(), |at| format!("since {at}"));
        assert_eq!(
            (&*sum.says, sum.state, sum.total, sum.sites),
            ("1 of 3 needs somebody", "critical", 3, 3)
        );
        assert_eq!((sum.newest_ms, &*sum.newest), (1000, "since 1000"));
        let well = Sum::of(&fleet()[2..], Hub::well(), |_| String::new());
        assert_eq!((&*well.says, well.state), ("No appliance is heard yet", "unknown"));
        let in_hand = Sum::of(&fleet()[1..], Hub::well(), |_| String::new());
        assert_eq!(in_hand.says, "1 of 1 not well, all in hand");
        let mut own = fleet();
        (own[2].own, own[2].state, own[2].trouble) = ("warning", "warning", true);
        assert_eq!(Sum::of(&own[2..], Hub::well(), |_| String::new()).says, "1 site needs somebody");
    }

    #[test]
    fn all_is_well_is_not_said_while_anything_is_not() {
        let says = |groups: &[Group], hub: Hub| {
            let sum = Sum::of(groups, hub, |_| String::new());
            (sum.says, sum.state)
        };
        let one = |standing| vec![group("arena", &[], vec![row("arena", "rack-1", standing, "")])];
        let said = |standing, hub| says(&one(standing), hub);
        assert_eq!(said(Standing::Well, Hub::well()), ("All is well".to_owned(), "well"));
        let look = said(Standing::Look, Hub::well());
        assert_eq!(look, ("No alert, but 1 of 1 worth a look".to_owned(), "look"));
        let muted = said(Standing::Muted, Hub::well());
        assert_eq!(muted, ("All is well, but for 1 muted or off".to_owned(), "muted"));
        let fires =
            |hand: &str| Hub { state: "critical", trouble: true, hand: hand.to_owned(), ..Hub::well() };
        let hub = said(Standing::Well, fires(""));
        assert_eq!(hub, ("The hub needs somebody".to_owned(), "critical"));
        assert_eq!(said(Standing::Well, fires("desk")).0, "The hub is not well, and in hand");
        assert_eq!(said(Standing::Down, fires("")).0, "1 of 1 needs somebody, and the hub");
        let starting = Hub { starting: "Starting".to_owned(), ..Hub::well() };
        assert_eq!(said(Standing::Well, starting.clone()), ("Starting".to_owned(), "unknown"));
        assert_eq!(said(Standing::Unknown, starting.clone()).0, "Starting", "it may come yet");
        assert_eq!(said(Standing::Down, starting).0, "1 of 1 needs somebody");
        assert_eq!(says(&[], Hub::well()), ("No appliance is heard yet".to_owned(), "unknown"));
    }

    #[test]
    fn many_that_are_well_are_folded_and_what_is_not_well_never_is() {
        let rows =
            |count: usize| (0..count).map(|nth| row("hall", &format!("rack-{nth}"), Standing::Well, ""));
        let folded = |count, fold| {
            let mut groups = vec![group("hall", &[], rows(count).collect()), fleet().remove(0)];
            Filter::new(["", "", "", fold], []).apply(&mut groups);
            groups.iter().map(|group| group.folded).collect::<Vec<_>>()
        };
        assert_eq!(folded(58, ""), [false, false]);
        assert_eq!(folded(59, ""), [true, false]);
        assert_eq!(folded(59, "no"), [false, false]);
    }

    fn hub() -> Hub {
        let text = || HOSTILE.to_owned();
        let alert = AlertLink { text: text(), id: text(), more: text() };
        Hub {
            alert,
            state: "critical",
            trouble: true,
            hand: text(),
            told: text(),
            since_ms: 1,
            starting: text(),
        }
    }

    fn hostile() -> Group {
        let text = || HOSTILE.to_owned();
        let cell = || Cell { text: text(), note: text(), high: true, none: false };
        let alert = || AlertLink { text: text(), id: text(), more: text() };
        let row = Row {
            since: text(),
            since_at: text(),
            seen: text(),
            seen_at: text(),
            temperature: cell(),
            probes: cell(),
            streams: cell(),
            alert: alert(),
            told: text(),
            read: text(),
            read_at: text(),
            notes: vec![Note { text: text(), high: true }],
            machine: text(),
            twice: true,
            ..row(HOSTILE, HOSTILE, Standing::Critical, HOSTILE)
        };
        Group {
            title: text(),
            air: Air { on: true, word: "on air", why: text(), next: text(), next_ms: 1 },
            alert: alert(),
            hand: text(),
            told: text(),
            ..group(HOSTILE, &[HOSTILE], vec![row])
        }
    }

    #[test]
    fn names_and_numbers_are_text() {
        let page = |groups: Vec<Group>, wall: bool| Fleet {
            frame: Frame::new(HOSTILE, Here::Fleet, &Who::default(), "1", 0),
            empty: groups.is_empty(),
            address: HOSTILE.to_owned(),
            broker: true,
            wall,
            sum: Sum::of(&groups, hub(), |_| HOSTILE.to_owned()),
            filter: Filter::new([HOSTILE, HOSTILE, "", HOSTILE], [HOSTILE.to_owned()]),
            none_left: true,
            on_call: vec![OnCall {
                team: HOSTILE.to_owned(),
                who: HOSTILE.to_owned(),
                until: HOSTILE.to_owned(),
            }],
            blank: vec![Group { rows: vec![Row::default()], ..Group::default() }],
            groups,
        };
        assert_tame(&page(vec![hostile(), hostile()], false).html());
        assert_tame(&page(vec![hostile()], true).html());
        assert_tame(&page(Vec::new(), false).html());
    }
}
