//! What another alert, or an appliance that is gone, explains: of that nobody is told while it lasts.
//!
//! 1. An appliance that is gone silences everything below it, by what the world says of it and not only by the alert.
//! 2. A site whose way out is closed silences its streams.
//! 3. The user's rules, as Alertmanager has them: a target is silent while a source with equal labels fires. One that is both source and target is not
//!    silenced by another such one, so that two cannot silence each other.
//!
//! Sample: `hall/rack` is not heard: `StreamDown{site="hall", appliance="rack"}` is explained by "hall/rack is gone".

use std::collections::{BTreeMap, BTreeSet};

use rackside_promql::Labels;

use crate::book::{Book, Booked};
use crate::config::Inhibition;
use crate::message::AlertId;
use crate::world::World;

/// The alerts that say that an appliance is gone; they are not below it.
const GONE: [&str; 2] = ["ApplianceGone", "NotBackAtRigUp"];
/// A rule of the user's own says so by this label and value, or by what it asks.
const GONE_LABEL: (&str, &str) = ("gone", "true");
/// What such a rule asks, and the ways to write that it is not heard.
const UP: &str = "rackside_appliance_up";
const NOT_UP: [&str; 3] = ["==0", "<1", "!=1"];
/// The alerts that say that nothing gets out of a site.
const NO_WAY_OUT: [&str; 1] = ["CaptivePortal"];
/// A rule of the user's own says so by this label and value.
const NO_WAY_OUT_LABEL: (&str, &str) = ("uplink", "down");
/// What needs the way out.
const STREAM: &str = "stream";

/// Whether an alert says that its appliance is gone: by its name, by a label, or because its rule asks just that.
pub(crate) fn says_gone(labels: &Labels, world: &dyn World) -> bool {
    let (alert, (name, value)) = (labels.value("alertname"), GONE_LABEL);
    GONE.contains(&alert) || labels.value(name) == value || asks_who_is_gone(&world.query(alert))
}

/// Whether an expression begins with `rackside_appliance_up == 0`, of all appliances or of some. What else it asks after that makes it no other question;
/// where it comes later it is a condition of another one.
fn asks_who_is_gone(query: &str) -> bool {
    let query = query.trim_start_matches(|first: char| first == '(' || first.is_whitespace());
    let Some(rest) = query.strip_prefix(UP) else { return false };
    let rest = match rest.trim_start().strip_prefix('{') {
        Some(selector) => selector.split_once('}').map_or("", |(_, rest)| rest),
        None => rest,
    };
    let rest: String = rest.chars().filter(|one| !one.is_whitespace()).take(4).collect();
    let goes_on = |next: char| next == '.' || next.is_ascii_digit();
    NOT_UP.iter().any(|test| rest.strip_prefix(test).is_some_and(|more| !more.starts_with(goes_on)))
}

/// Whether an alert says that nothing gets out of its site.
pub(crate) fn says_no_way_out(labels: &Labels) -> bool {
    let (name, value) = NO_WAY_OUT_LABEL;
    NO_WAY_OUT.contains(&labels.value("alertname")) || labels.value(name) == value
}

/// The number of a rule and the values of its equal labels.
type RuleAt = (usize, Vec<String>);

/// What fires at the moment, looked through once for many questions.
pub(crate) struct Inhibitor<'a> {
    world: &'a dyn World,
    rules: &'a [Inhibition],
    /// By site: the alerts that say that nothing gets out.
    closed: BTreeMap<String, AlertId>,
    /// The sources of each rule, and whether each is a target as well.
    sources: BTreeMap<RuleAt, BTreeSet<(bool, AlertId)>>,
}

/// What silences an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Silencer {
    /// In a few words.
    pub(crate) text: String,
    /// The alert; none, if it is an appliance that is gone.
    pub(crate) source: Option<AlertId>,
}

impl<'a> Inhibitor<'a> {
    pub(crate) fn new(book: &Book, rules: &'a [Inhibition], world: &'a dyn World) -> Self {
        let mut inhibitor = Self { world, rules, closed: BTreeMap::new(), sources: BTreeMap::new() };
        for booked in book.alerts().filter(|booked| booked.fires()) {
            if says_no_way_out(&booked.labels) {
                inhibitor.closed.entry(booked.site().to_owned()).or_insert(booked.id);
            }
            for (number, rule) in rules.iter().enumerate() {
                if rule.source.matches(&booked.labels) {
                    let is_target = rule.target.matches(&booked.labels);
                    let key = (number, equal(rule, &booked.labels));
                    inhibitor.sources.entry(key).or_default().insert((is_target, booked.id));
                }
            }
        }
        inhibitor
    }

    /// What silences an alert, if anything does.
    pub(crate) fn silencer(&self, booked: &Booked, book: &Book) -> Option<Silencer> {
        self.by_gone(booked).or_else(|| self.by_way_out(booked, book)).or_else(|| self.by_rule(booked, book))
    }

    fn by_gone(&self, booked: &Booked) -> Option<Silencer> {
        let (site, appliance) = (booked.site(), booked.appliance());
        let is_of_one = !site.is_empty() && !appliance.is_empty();
        let is_gone = is_of_one
            && self.world.is_up(site, appliance) == Some(false)
            && !says_gone(&booked.labels, self.world);
        is_gone.then(|| Silencer { text: format!("{site}/{appliance} is gone"), source: None })
    }

    fn by_way_out(&self, booked: &Booked, book: &Book) -> Option<Silencer> {
        if booked.labels.value("component") != STREAM {
            return None;
        }
        let source = *self.closed.get(booked.site())?;
        (source != booked.id).then(|| silencer(source, book))
    }

    fn by_rule(&self, booked: &Booked, book: &Book) -> Option<Silencer> {
        self.rules.iter().enumerate().find_map(|(number, rule)| {
            if !rule.target.matches(&booked.labels) {
                return None;
            }
            let is_source = rule.source.matches(&booked.labels);
            let sources = self.sources.get(&(number, equal(rule, &booked.labels)))?;
            let (_, source) = sources.iter().find(|(is_target, _)| !(is_source && *is_target))?;
            Some(silencer(*source, book))
        })
    }
}

fn silencer(source: AlertId, book: &Book) -> Silencer {
    Silencer { text: book.alert(source).map(text).unwrap_or_default(), source: Some(source) }
}

/// An alert in a few words: its summary, or its name and place.
pub(crate) fn text(booked: &Booked) -> String {
    match booked.annotations.get("summary").filter(|summary| !summary.is_empty()) {
        Some(summary) => summary.clone(),
        None => [booked.name(), booked.site(), booked.appliance()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
    }
}

fn equal(rule: &Inhibition, labels: &Labels) -> Vec<String> {
    rule.equal.iter().map(|name| labels.value(name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_asks_who_is_gone_is_known_by_how_it_begins() {
        for (query, is) in [
            ("rackside_appliance_up == 0", true),
            ("rackside_appliance_up==0 and on (site) rackside_site_on_air == 1", true),
            ("( (rackside_appliance_up{site=~\"arena-.*\"} < 1) unless x )", true),
            ("rackside_appliance_up != 1", true),
            ("rackside_appliance_up == 0.5", false),
            ("rackside_appliance_up", false),
            ("rackside_appliance_up == 1", false),
            ("rackside_appliance_up_total == 0", false),
            ("rackside_load1 > 4 unless on (site, appliance) rackside_appliance_up == 0", false),
            ("", false),
        ] {
            assert_eq!(asks_who_is_gone(query), is, "{query}");
        }
    }
}
