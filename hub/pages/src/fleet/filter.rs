//! What is looked for on the fleet's page, as its address asks: `?q=hall&tag=stage&state=trouble`. `fleet.js` does the same as it is typed.
//!
//! What is left out stays on the page, hidden. Where much is left, sites that are well are folded into a small box each, unless `fold=no` asks for all of it.

use super::Group;
use serde::Serialize;

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the template engine knows no comparisons")]
pub struct Filter {
    /// A part of a name.
    pub text: String,
    /// Tags that there are.
    pub tags: Vec<Choice>,
    /// States that can be asked for.
    pub states: Vec<Choice>,
    /// Whether anything is asked for.
    pub is_set: bool,
    /// Whether a tag or a state is asked for.
    pub is_narrow: bool,
    /// Whether sites that are well are folded where there are many.
    pub folds: bool,
    /// Whether there are that many.
    pub is_long: bool,
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

/// Of more appliances than this, those of sites that are well are folded.
const FOLDED: usize = 60;
/// What can be asked for, and how it is said.
const STATES: [(&str, &str); 11] = [
    ("", "every state"),
    ("trouble", "not well"),
    ("open", "in nobody's hands"),
    ("critical", "critical"),
    ("down", "down"),
    ("warning", "warning"),
    ("unknown", "unknown"),
    ("look", "worth a look"),
    ("muted", "muted"),
    ("well", "well"),
    ("air", "on air"),
];

impl Filter {
    /// What an address asks for (`q`, `tag`, `state`, `fold`), of the tags that there are.
    pub fn new([text, tag, state, fold]: [&str; 4], tags: impl IntoIterator<Item = String>) -> Self {
        let choice = |value: &str, label: &str, asked: &str| Choice {
            value: value.to_owned(),
            label: label.to_owned(),
            chosen: value == asked,
        };
        let tags: Vec<Choice> = tags.into_iter().map(|one| choice(&one, &one, tag)).collect();
        let states: Vec<Choice> = STATES.iter().map(|(value, label)| choice(value, label, state)).collect();
        let text: String = text.trim().chars().take(80).collect();
        let mut filter =
            Self { text, tags, states, is_set: false, is_narrow: false, folds: fold != "no", is_long: false };
        filter.is_narrow = !filter.tag().is_empty() || !filter.state().is_empty();
        filter.is_set = filter.is_narrow || !filter.text.is_empty();
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

    /// Hides what is not looked for, and folds what is well where much is left. Says whether anything is left.
    pub fn apply(&mut self, groups: &mut [Group]) -> bool {
        let text = self.text.to_lowercase();
        let mut left = false;
        for group in &mut *groups {
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
        let shown = groups.iter().flat_map(|group| &group.rows).filter(|row| !row.hidden).count();
        self.is_long = shown > FOLDED;
        for group in groups {
            group.folded = self.folds && self.is_long && matches!(group.state, "well" | "muted");
        }
        left
    }
}

fn has_text(text: &str, of: &[&str]) -> bool {
    text.is_empty() || of.iter().any(|one| one.to_lowercase().contains(text))
}
