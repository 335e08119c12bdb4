//! `/`: every appliance by site, what needs somebody first.
//!
//! The first rendering and every live update are made of the same rows, so they cannot differ. What a filter leaves out is on the page and hidden, so that a
//! script can show it again, and what comes by a live update has a place. Order, of sites and of what is at one: a critical alert, down, a warning,
//! unknown, muted, well; then by name.
//!
//! `{"site":"arena-north","appliance":"rack-1","up":true,"state":"well","word":"well","temperature":{"text":"48.3 °C","note":"","high":false},...}`

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
    /// All that fires is muted, or it is off by plan.
    Muted,
    /// Nothing is wrong.
    Well,
}

impl Standing {
    /// All, the worst first.
    pub const ALL: [Self; 6] =
        [Self::Critical, Self::Down, Self::Warning, Self::Unknown, Self::Muted, Self::Well];

    /// As style sheets, scripts and addresses have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Down => "down",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Muted => "muted",
            Self::Well => "well",
        }
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

/// What is so of all appliances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Of the worst.
    pub state: &'static str,
    /// Whether all is well, in a sentence.
    pub says: String,
    /// How many there are.
    pub total: usize,
    /// At how many sites.
    pub sites: usize,
    /// How many of each standing.
    pub counts: Vec<Count>,
    /// How many sites are on air.
    pub on_air: usize,
    /// When the newest trouble began, in milliseconds since 1970; 0 without any.
    pub newest_ms: u64,
    /// How long ago.
    pub newest: String,
    /// How often two machines use one name.
    pub twice: usize,
}

/// How many stand so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How.
    pub state: &'static str,
    /// How many.
    pub count: usize,
    /// Whether any.
    pub any: bool,
}

impl Sum {
    /// Of all groups, told by `span` how long ago `newest_ms` was.
    pub fn of(groups: &[Group], span: impl Fn(u64) -> String) -> Self {
        let rows = || groups.iter().flat_map(|group| &group.rows);
        let count = |standing: Standing| {
            let count = rows().filter(|row| row.state == standing.as_str()).count();
            Count { state: standing.as_str(), count, any: count > 0 }
        };
        let counts: Vec<Count> = Standing::ALL.map(count).into();
        let trouble = || rows().filter(|row| row.trouble);
        let troubled_sites =
            groups.iter().filter(|group| group.trouble && group.rows.iter().all(|row| !row.trouble)).count();
        let (total, open) = (rows().count(), trouble().filter(|row| row.hand.is_empty()).count());
        let newest_ms = trouble().map(|row| row.since_ms).max().unwrap_or(0);
        Self {
            state: groups.iter().map(|group| group.state).min_by_key(|state| rank(state)).unwrap_or("well"),
            says: says(trouble().count(), open, total, troubled_sites),
            total,
            sites: groups.len(),
            on_air: groups.iter().filter(|group| group.air.on).count(),
            newest: if newest_ms > 0 { span(newest_ms) } else { String::new() },
            newest_ms,
            twice: rows().filter(|row| row.twice).count(),
            counts,
        }
    }
}

/// The order of [`Standing`], by its word.
fn rank(state: &str) -> usize {
    ["critical", "down", "warning", "unknown", "muted", "well"]
        .iter()
        .position(|one| *one == state)
        .unwrap_or(5)
}

fn says(trouble: usize, open: usize, total: usize, sites: usize) -> String {
    match (trouble, open) {
        (0, _) if sites == 1 => "1 site needs somebody".to_owned(),
        (0, _) if sites > 1 => format!("{sites} sites need somebody"),
        (0, _) => "All is well".to_owned(),
        (_, 0) => format!("{trouble} of {total} not well, all in hand"),
        (_, 1) => format!("1 of {total} needs somebody"),
        _ => format!("{open} of {total} need somebody"),
    }
}

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// A part of a name.
    pub text: String,
    /// Tags that there are.
    pub tags: Vec<Choice>,
    /// States that can be asked for.
    pub states: Vec<Choice>,
    /// Whether anything is asked for.
    pub is_set: bool,
}

/// One of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// In the address.
    pub value: String,
    /// For people.
    pub label: String,
    /// Whether it is asked for.
    pub chosen: bool,
}

/// What can be asked for, and how it is said.
const STATES: [(&str, &str); 9] = [
    ("", "every state"),
    ("trouble", "not well"),
    ("open", "in nobody's hands"),
    ("critical", "critical"),
    ("down", "down"),
    ("warning", "warning"),
    ("unknown", "unknown"),
    ("well", "well"),
    ("air", "on air"),
];

impl Filter {
    /// What an address asks for, of the tags that there are.
    pub fn new(text: &str, tag: &str, state: &str, tags: impl IntoIterator<Item = String>) -> Self {
        let choice = |value: &str, label: &str, asked: &str| Choice {
            value: value.to_owned(),
            label: label.to_owned(),
            chosen: value == asked,
        };
        let tags: Vec<Choice> = tags.into_iter().map(|one| choice(&one, &one, tag)).collect();
        let states: Vec<Choice> = STATES.iter().map(|(value, label)| choice(value, label, state)).collect();
        let text: String = text.trim().chars().take(80).collect();
        let mut filter = Self { text, tags, states, is_set: false };
        filter.is_set = !filter.text.is_empty() || !filter.tag().is_empty() || !filter.state().is_empty();
        filter
    }

    fn chosen(choices: &[Choice]) -> &str {
        choices.iter().find(|choice| choice.chosen).map_or("", |choice| &choice.value)
    }

    fn tag(&self) -> &str {
        Self::chosen(&self.tags)
    }

    fn state(&self) -> &str {
        Self::chosen(&self.states)
    }

    /// Hides what is not looked for. Says whether anything is left.
    pub fn apply(&self, groups: &mut [Group]) -> bool {
        let text = self.text.to_lowercase();
        let mut left = false;
        for group in groups {
            let has_tag = self.tag().is_empty() || group.tags.iter().any(|tag| tag == self.tag());
            let of_group = has_text(&text, &[&group.site, &group.title]);
            for row in &mut group.rows {
                let state = match self.state() {
                    "" => true,
                    "trouble" => row.trouble,
                    "open" => row.trouble && row.hand.is_empty(),
                    "air" => group.air.on,
                    state => row.state == state,
                };
                let named = of_group || has_text(&text, &[&row.appliance, &row.machine]);
                row.hidden = !(has_tag && state && named);
            }
            let bare = group.rows.is_empty() && has_tag && of_group;
            let stands = match self.state() {
                "" => true,
                "trouble" | "open" => group.trouble,
                "air" => group.air.on,
                state => group.state == state,
            };
            group.hidden = !(group.rows.iter().any(|row| !row.hidden) || (bare && stands));
            left |= !group.hidden;
        }
        left
    }
}

fn has_text(text: &str, of: &[&str]) -> bool {
    text.is_empty() || of.iter().any(|one| one.to_lowercase().contains(text))
}

/// One site with its appliances.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
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
    /// Its appliances, the worst first.
    pub rows: Vec<Row>,
    /// Whether a filter leaves it out.
    pub hidden: bool,
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
        Filter::new(text, tag, state, tags).apply(&mut groups);
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
        let sum = Sum::of(&fleet(), |at| format!("since {at}"));
        assert_eq!(
            (&*sum.says, sum.state, sum.total, sum.sites),
            ("1 of 3 needs somebody", "critical", 3, 3)
        );
        assert_eq!((sum.newest_ms, &*sum.newest), (1000, "since 1000"));
        let well = Sum::of(&fleet()[2..], |_| String::new());
        assert_eq!((&*well.says, well.newest_ms), ("All is well", 0));
        let in_hand = Sum::of(&fleet()[1..], |_| String::new());
        assert_eq!(in_hand.says, "1 of 1 not well, all in hand");
        let mut own = fleet();
        (own[2].own, own[2].state, own[2].trouble) = ("warning", "warning", true);
        assert_eq!(Sum::of(&own[2..], |_| String::new()).says, "1 site needs somebody");
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
            notes: vec![Note { text: text(), high: true }],
            machine: text(),
            twice: true,
            ..row(HOSTILE, HOSTILE, Standing::Critical, HOSTILE)
        };
        Group {
            title: text(),
            air: Air { on: true, word: "on air", why: text(), next: text() },
            alert: alert(),
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
            sum: Sum::of(&groups, |_| HOSTILE.to_owned()),
            filter: Filter::new(HOSTILE, HOSTILE, "", [HOSTILE.to_owned()]),
            none_left: true,
            blank: vec![Group { rows: vec![Row::default()], ..Group::default() }],
            groups,
        };
        assert_tame(&page(vec![hostile(), hostile()], false).html());
        assert_tame(&page(vec![hostile()], true).html());
        assert_tame(&page(Vec::new(), false).html());
    }
}
