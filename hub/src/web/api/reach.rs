//! What a visitor of some sites alone is shown of series and rules: as if there were nothing else.
//!
//! Series are left out before anything is read of them, by a matcher more, so no expression can tell that they are there: not by counting, not by `absent`, not by its cost.
//! What belongs to no site, as the hub's own series, is not theirs.

use super::series::Series;
use crate::web::names::Names;
use crate::web::visitor::Visitor;
use axum::extract::Request;
use rackside_alerting::{AnnotationsView, LabelsView, RuleView, RulesView, State};
use rackside_promql::{Labels, Matcher, Pattern, Select, Source, SourceError, Take, Test};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The label that says whose a series is.
const SITE: &str = "site";

/// The sites that whoever asks may see; none, if that is all of them.
pub(super) fn of(request: &Request) -> Option<BTreeSet<String>> {
    request.extensions().get::<Visitor>().and_then(|visitor| visitor.only().cloned())
}

/// Series of some sites.
pub(super) struct Within {
    source: Arc<dyn Series>,
    /// None, if there are no sites at all.
    site: Option<Matcher>,
}

/// Those of `source` that belong to `sites`; all, if nothing is said of sites.
pub(super) fn within(source: &Arc<dyn Series>, sites: Option<&BTreeSet<String>>) -> Arc<dyn Series> {
    let Some(sites) = sites else { return Arc::clone(source) };
    Arc::new(Within { source: Arc::clone(source), site: matcher(sites) })
}

/// Matches the label of each of them, and no other.
fn matcher(sites: &BTreeSet<String>) -> Option<Matcher> {
    // A name is letters, digits and dashes; what is no name is no site.
    let is_name = |site: &&str| site.parse::<rackside_proto::Id>().is_ok();
    let names: Vec<&str> = sites.iter().map(String::as_str).filter(is_name).collect();
    let test = match names[..] {
        [] => return None,
        [one] => Test::Equal(Arc::from(one)),
        _ => Test::Pattern(Pattern::new(&names.join("|")).expect("names and bars are a pattern")),
    };
    Some(Matcher { name: Arc::from(SITE), test })
}

impl Within {
    /// The matchers, and the one more; none, if nothing can match.
    fn and<'m>(&'m self, matchers: &[Matcher], all: &'m mut Vec<Matcher>) -> Option<&'m [Matcher]> {
        all.push(self.site.clone()?);
        all.extend_from_slice(matchers);
        Some(all)
    }
}

impl Source for Within {
    fn select(&self, wanted: &Select<'_>, take: &mut dyn Take) -> Result<(), SourceError> {
        let mut all = Vec::new();
        match self.and(wanted.matchers, &mut all) {
            Some(matchers) => self.source.select(&Select { matchers, ..*wanted }, take),
            None => Ok(()),
        }
    }
}

impl Series for Within {
    fn labels(
        &self,
        matchers: &[Matcher],
        from: i64,
        to: i64,
        take: &mut dyn Take,
    ) -> Result<(), SourceError> {
        let mut all = Vec::new();
        match self.and(matchers, &mut all) {
            Some(matchers) => self.source.labels(matchers, from, to, take),
            None => Ok(()),
        }
    }
}

/// The rules with the alerts of `sites` alone. A rule that names something beyond them is shown for the alerts of theirs, without its words, or not at all.
pub(in crate::web) fn rules(view: &RulesView, sites: &BTreeSet<String>, beyond: &Names) -> RulesView {
    let mut view = RulesView::clone(view);
    for group in &mut view.groups {
        group.rules.retain_mut(|rule| is_shown(rule, sites, beyond));
        for text in [&mut group.name, &mut group.file] {
            if beyond.are_in(text) {
                *text = "rules".into();
            }
        }
    }
    view.groups.retain(|group| !group.rules.is_empty());
    view
}

/// Leaves of a rule what is to be shown; says whether anything is.
fn is_shown(rule: &mut RuleView, sites: &BTreeSet<String>, beyond: &Names) -> bool {
    let error = match rule {
        RuleView::Alerting(rule) => &mut rule.last_error,
        RuleView::Recording(rule) => &mut rule.last_error,
    };
    // It may name the labels of any site.
    if let Some(error) = error {
        "the rule could not be evaluated; who sees every site is told why".clone_into(error);
    }
    let RuleView::Alerting(alerting) = rule else { return !are_named(rule, beyond) };
    let mut alerts = std::mem::take(&mut alerting.alerts);
    alerts.retain(|alert| sites.contains(alert.labels.0.value(SITE)));
    for alert in &mut alerts {
        if are_named(alert, beyond) {
            alert.annotations = AnnotationsView(Arc::default());
        }
    }
    alerting.state = alerts.iter().map(|alert| alert.state).max().unwrap_or(State::Inactive);
    if are_named(alerting, beyond) {
        alerting.query = String::new();
        alerting.labels = LabelsView(Labels::default());
        alerting.annotations = AnnotationsView(Arc::default());
        alerting.alerts = alerts;
        return !alerting.alerts.is_empty();
    }
    alerting.alerts = alerts;
    true
}

/// Whether what is told of something names anything beyond.
fn are_named(told: &impl Serialize, beyond: &Names) -> bool {
    serde_json::to_string(told).is_ok_and(|text| beyond.are_in(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_promql::{Answer, Limits, Memory, Query, Sample};

    /// Two sites that anybody may know of, one that is hidden, and a series of the hub's own.
    fn all() -> Arc<dyn Series> {
        let mut memory = Memory::default();
        for site in ["arena", "arena-2", "hall"] {
            let labels = Labels::new([("__name__", "up"), ("site", site), ("appliance", "rack-1")]);
            memory.push(labels, [Sample::new(1000, 1.0)]);
        }
        memory.push(Labels::new([("__name__", "rackside_hub_up")]), [Sample::new(1000, 1.0)]);
        Arc::new(memory)
    }

    fn seen(sites: &[&str], query: &str) -> Vec<String> {
        let sites: BTreeSet<String> = sites.iter().map(|site| (*site).to_owned()).collect();
        let source = within(&all(), Some(&sites));
        let query = Query::parse(query).expect("an expression");
        let outcome = query.instant(&*source, 1000, &Limits::default()).expect("it can be evaluated");
        match outcome.answer {
            Answer::Vector(points) => points
                .iter()
                .map(|point| format!("{} {}", point.labels.value("site"), point.sample.value))
                .collect(),
            other => panic!("a vector, not {other:?}"),
        }
    }

    #[test]
    fn no_expression_tells_that_there_are_other_sites() {
        for (sites, query, expected) in [
            (&["arena"][..], "up", &["arena 1"][..]),
            (&["arena", "arena-2"], "up", &["arena 1", "arena-2 1"]),
            (&["arena"], "count(up)", &[" 1"]),
            (&["arena"], "absent(up{site=\"hall\"})", &["hall 1"]),
            (&["arena"], "count({__name__=~\".+\"})", &[" 1"]),
            (&["arena"], "up{site=~\".*\"} or up{site!=\"arena\"}", &["arena 1"]),
            (&["arena"], "rackside_hub_up", &[]),
            (&["arena"], "up{site=\"hall\"} unless up{site=\"arena\"}", &[]),
            (&["arena"], "sum(count_over_time(up[1h]))", &[" 1"]),
            (&["nowhere"], "up", &[]),
            (&[], "{__name__=~\".+\"}", &[]),
            (&["hall|arena", ".*", "HALL"], "up", &[]),
        ] {
            assert_eq!(seen(sites, query), expected, "{query} of {sites:?}");
        }
    }

    #[test]
    fn labels_of_other_sites_are_not_there() {
        let sites = BTreeSet::from(["arena".to_owned()]);
        for (sites, expected) in [(Some(&sites), vec!["arena"]), (Some(&BTreeSet::new()), vec![])] {
            let mut found = Vec::new();
            let mut take = |labels: &Labels, _: &[Sample]| {
                found.push(labels.value("site").to_owned());
                std::ops::ControlFlow::Continue(())
            };
            within(&all(), sites).labels(&[], i64::MIN, i64::MAX, &mut take).expect("it can be read");
            assert_eq!(found, expected);
        }
    }
}
