//! The first line of the fleet's page: whether all is well, and if not, how much is not. It never says so while the hub itself is in trouble, has only just started,
//! or has heard nobody. `fleet.js` says the same of what comes live; a test of the browser holds the two together.
//!
//! `2 of 30 need somebody, and the hub`

use super::{AlertLink, Group, Row, Standing};
use serde::Serialize;

/// How the hub itself is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Hub {
    /// Its worst alert that is of no site.
    pub alert: AlertLink,
    /// Of that alert, or of what keeps the hub from its work.
    pub state: &'static str,
    /// Whether somebody is needed for it.
    pub trouble: bool,
    /// Who has its alert in hand; nothing, if nobody has.
    pub hand: String,
    /// Who was told of it.
    pub told: String,
    /// Since when its alert fires, in milliseconds since 1970; 0 without one.
    pub since_ms: u64,
    /// What is not known yet, as it has only just started; nothing after that.
    pub starting: String,
}

impl Hub {
    /// Nothing is wrong with it.
    pub fn well() -> Self {
        Self { state: Standing::Well.as_str(), ..Self::default() }
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
    /// The hub itself.
    pub hub: Hub,
    /// What is worst, for a wall.
    pub worst: Worst,
    /// What is on next, for a wall.
    pub next: Vec<Next>,
}

/// How many stand so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How.
    pub state: &'static str,
    /// What people call it.
    pub label: &'static str,
    /// How many.
    pub count: usize,
    /// Whether any.
    pub any: bool,
}

/// What needs somebody first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Worst {
    /// Where; nothing, if nobody is needed.
    pub place: String,
    /// What is wrong there.
    pub text: String,
    /// Who has it in hand, or was told.
    pub who: String,
}

/// A show that comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Next {
    /// Where.
    pub title: String,
    /// What and when, by the clocks there.
    pub text: String,
}

/// Shows that have room on a wall.
const SHOWS: usize = 3;

impl Sum {
    /// Of all groups, the worst first, and the hub; told by `span` how long ago `newest_ms` was.
    pub fn of(groups: &[Group], hub: Hub, span: impl Fn(u64) -> String) -> Self {
        let rows = || groups.iter().flat_map(|group| &group.rows);
        let count = |standing: Standing| {
            let count = rows().filter(|row| row.state == standing.as_str()).count();
            Count { state: standing.as_str(), label: standing.label(), count, any: count > 0 }
        };
        let counts: Vec<Count> = Standing::ALL.map(count).into();
        let trouble = || rows().filter(|row| row.trouble);
        let bare = |group: &&Group| group.trouble && group.rows.iter().all(|row| !row.trouble);
        let number = |standing: Standing| counts.iter().find(|one| one.state == standing.as_str());
        let told = Told {
            total: rows().count(),
            trouble: trouble().count(),
            open: trouble().filter(|row| row.hand.is_empty()).count(),
            sites: groups.iter().filter(bare).count(),
            open_sites: groups.iter().filter(bare).filter(|group| group.hand.is_empty()).count(),
            bad: trouble().filter(|row| row.state != Standing::Unknown.as_str()).count(),
            look: number(Standing::Look).map_or(0, |one| one.count),
            muted: number(Standing::Muted).map_or(0, |one| one.count),
        };
        let of_rows = trouble().map(|row| row.since_ms);
        let newest_ms = of_rows.chain(hub.trouble.then_some(hub.since_ms)).max().unwrap_or_default();
        let states = groups.iter().map(|group| group.state).chain([hub.state]);
        let is_known = hub.starting.is_empty() && told.total > 0;
        let worst = states.min_by_key(|state| rank(state)).unwrap_or("well");
        Self {
            state: if is_known || rank(worst) < rank("unknown") { worst } else { "unknown" },
            says: told.says(&hub),
            total: told.total,
            sites: groups.len(),
            on_air: groups.iter().filter(|group| group.air.on).count(),
            newest: if newest_ms > 0 { span(newest_ms) } else { String::new() },
            newest_ms,
            twice: rows().filter(|row| row.twice).count(),
            worst: Worst::of(groups, &hub),
            next: next(groups),
            counts,
            hub,
        }
    }
}

impl Worst {
    fn of(groups: &[Group], hub: &Hub) -> Self {
        let who = |hand: &str, told: &str| if hand.is_empty() { told.to_owned() } else { hand.to_owned() };
        let is_worst = |group: &&Group| group.trouble && rank(group.state) <= rank(hub.state);
        let Some(group) = groups.iter().find(is_worst) else {
            if !hub.trouble {
                return Self::default();
            }
            let text = hub.alert.text.clone();
            return Self { place: "The hub".to_owned(), text, who: who(&hub.hand, &hub.told) };
        };
        let is_of_site = rank(group.own) <= rank(group.rows.first().map_or("well", |row| row.state));
        let row = group.rows.first().filter(|_| !is_of_site);
        let place =
            row.map_or_else(|| group.title.clone(), |row| format!("{} · {}", group.title, row.appliance));
        let text = row.map_or(&group.alert.text, |row| &row.alert.text).clone();
        let text = if text.is_empty() { row.map_or("", Row::says).to_owned() } else { text };
        Self {
            place,
            text,
            who: row.map_or_else(|| who(&group.hand, &group.told), |row| who(&row.hand, &row.told)),
        }
    }
}

fn next(groups: &[Group]) -> Vec<Next> {
    let mut coming: Vec<&Group> = groups.iter().filter(|group| group.air.next_ms > 0).collect();
    coming.sort_by_key(|group| group.air.next_ms);
    let show = |group: &&Group| Next { title: group.title.clone(), text: group.air.next.clone() };
    coming.iter().take(SHOWS).map(show).collect()
}

/// The order of [`Standing`], by its word.
pub(super) fn rank(state: &str) -> usize {
    Standing::ALL.iter().position(|one| one.as_str() == state).unwrap_or(Standing::Well as usize)
}

/// How many of them are how.
struct Told {
    total: usize,
    trouble: usize,
    open: usize,
    /// Sites with trouble of their own alone.
    sites: usize,
    /// Of these, in nobody's hands.
    open_sites: usize,
    /// Not well, and that is known.
    bad: usize,
    look: usize,
    muted: usize,
}

impl Told {
    fn says(&self, hub: &Hub) -> String {
        let Self { total, trouble, open, sites, open_sites, bad, look, muted } = *self;
        let is_quiet = bad == 0 && sites == 0 && !hub.trouble;
        let needs = |one: &str| if hub.trouble { format!("{one}, and the hub") } else { one.to_owned() };
        match (trouble, open) {
            // What is known to be wrong is said all the same.
            _ if is_quiet && !hub.starting.is_empty() => hub.starting.clone(),
            (0, _) if open_sites == 1 => needs("1 site needs somebody"),
            (0, _) if open_sites > 1 => needs(&format!("{open_sites} sites need somebody")),
            (0, _) if sites == 1 => needs("1 site not well, in hand"),
            (0, _) if sites > 1 => needs(&format!("{sites} sites not well, all in hand")),
            (0, _) if hub.trouble && !hub.hand.is_empty() => "The hub is not well, and in hand".to_owned(),
            (0, _) if hub.trouble => "The hub needs somebody".to_owned(),
            (0, _) if total == 0 => "No appliance is heard yet".to_owned(),
            (0, _) if look > 0 => format!("No alert, but {look} of {total} worth a look"),
            (0, _) if muted > 0 => format!("All is well, but for {muted} muted or off"),
            (0, _) => "All is well".to_owned(),
            (_, 0) => needs(&format!("{trouble} of {total} not well, all in hand")),
            (_, 1) => needs(&format!("1 of {total} needs somebody")),
            _ => needs(&format!("{open} of {total} need somebody")),
        }
    }
}
