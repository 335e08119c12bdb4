//! What a client of `/api/live` wants to hear of, as it stands in the address, and what it may hear of.
//!
//! Clients that want and may the same share one view, and with it every message that is made: one is made for each view, however many follow it.
//!
//! ```text
//! /api/live                                         rows of every appliance
//! /api/live?site=arena-north&topics=rows,alerts     of one site, and its alerts
//! /api/live?site=arena-north&appliance=rack-1&topics=latest,log
//! /api/live?site=arena-north&appliance=rack-1&series=rackside_load1&series=rackside_stream_up
//! ```

use crate::web::api::Form;
use rackside_promql::{Labels, METRIC_NAME, Matcher, parse_selector};
use std::collections::BTreeSet;

/// Most selectors of one client.
const SELECTORS: usize = 16;
/// Most bytes of a selector.
const SELECTOR: usize = 512;

/// What a view is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::web) enum Topic {
    /// Appliances, a row each.
    Rows,
    /// Alerts.
    Alerts,
    /// The log.
    Log,
    /// The newest values of an appliance, as people read them.
    Latest,
    /// How the hub itself fares.
    Hub,
}

impl Topic {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Rows, "rows"),
        (Self::Alerts, "alerts"),
        (Self::Log, "log"),
        (Self::Latest, "latest"),
        (Self::Hub, "hub"),
    ];

    fn of(word: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, known)| *known == word).map(|(topic, _)| *topic);
        found.ok_or_else(|| format!("no topic {word:?}; there are rows, alerts, log, latest and hub"))
    }
}

/// What some clients want and may hear of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct View {
    /// Nothing but these sites, where not all of them may be seen.
    only: Option<BTreeSet<String>>,
    site: Option<String>,
    appliance: Option<String>,
    topics: BTreeSet<Topic>,
    series: Vec<String>,
}

impl View {
    /// As the address says, of `only` these sites. An error is for whoever asks.
    pub(super) fn of(form: &Form, only: Option<&BTreeSet<String>>) -> Result<Self, String> {
        let given = |name| Some(form.first(name)).filter(|text| !text.is_empty()).map(str::to_owned);
        let (site, appliance) = (given("site"), given("appliance"));
        if appliance.is_some() && site.is_none() {
            return Err("an appliance is one of a site: say `site` as well".to_owned());
        }
        let series: Vec<String> = form.all("series").map(str::to_owned).collect();
        if series.len() > SELECTORS || series.iter().any(|text| text.len() > SELECTOR) {
            return Err(format!("at most {SELECTORS} selectors of {SELECTOR} bytes each"));
        }
        for text in &series {
            parse_selector(text).map_err(|error| format!("series {text:?}: {error}"))?;
        }
        let topics = match form.first("topics") {
            "" if series.is_empty() => BTreeSet::from([Topic::Rows]),
            "" => BTreeSet::new(),
            words => words.split(',').map(Topic::of).collect::<Result<_, _>>()?,
        };
        if topics.contains(&Topic::Latest) && appliance.is_none() {
            return Err("`latest` is of one appliance: say `site` and `appliance` as well".to_owned());
        }
        Ok(Self { only: only.cloned(), site, appliance, topics, series })
    }

    /// Whether it is about this at all.
    pub(super) fn wants(&self, topic: Topic) -> bool {
        self.topics.contains(&topic)
    }

    /// Whether it is of some sites alone.
    pub(super) fn is_limited(&self) -> bool {
        self.only.is_some()
    }

    /// The appliance that it is about, if it is about one.
    pub(super) fn one(&self) -> Option<(&str, &str)> {
        self.site.as_deref().zip(self.appliance.as_deref())
    }

    /// Whether it has to do with this appliance, or with this site where `appliance` is empty. What concerns no site concerns those who see all.
    pub(super) fn covers(&self, site: &str, appliance: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(site))
            && self.site.as_ref().is_none_or(|wanted| wanted == site)
            && self.appliance.as_ref().is_none_or(|wanted| wanted == appliance)
    }

    /// Whether it asks for series.
    pub(super) fn has_series(&self) -> bool {
        !self.series.is_empty()
    }

    /// Its selectors, ready to be used.
    pub(super) fn selectors(&self) -> Vec<Selector> {
        let read = |text: &String| parse_selector(text).ok().map(Selector);
        self.series.iter().filter_map(read).collect()
    }
}

/// One selector of series.
#[derive(Debug)]
pub(super) struct Selector(Vec<Matcher>);

impl Selector {
    /// Whether a metric of this name can be meant; quick, for most are not.
    pub(super) fn may_name(&self, name: &str) -> bool {
        self.0.iter().filter(|matcher| &*matcher.name == METRIC_NAME).all(|matcher| matcher.accepts(name))
    }

    /// Whether the series is meant.
    pub(super) fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Uri;

    fn view(address: &'static str) -> Result<View, String> {
        View::of(&Form::of_address(&Uri::from_static(address)), None)
    }

    #[test]
    fn an_address_says_what_is_wanted() {
        let all = view("/api/live").expect("nothing need be said");
        assert!(all.wants(Topic::Rows) && !all.wants(Topic::Alerts) && all.covers("hall", "rack-1"));
        let rack = view("/api/live?site=hall&appliance=rack-1&topics=alerts,log").expect("right");
        assert!(!rack.wants(Topic::Rows) && rack.wants(Topic::Alerts) && rack.wants(Topic::Log));
        assert!(rack.covers("hall", "rack-1"));
        assert!(!rack.covers("hall", "rack-2") && !rack.covers("barn", "rack-1") && !rack.covers("hall", ""));
        let series = view("/api/live?series=up%7Bsite%3D%22hall%22%7D&series=load").expect("right");
        assert_eq!((series.selectors().len(), series.wants(Topic::Rows)), (2, false));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (address, why) in [
            ("/api/live?appliance=rack-1", "say `site` as well"),
            ("/api/live?topics=rows,weather", "no topic \"weather\""),
            ("/api/live?topics=latest&site=hall", "say `site` and `appliance`"),
            ("/api/live?series=up%7B", "series \"up{\""),
        ] {
            assert!(view(address).expect_err("refused").contains(why), "{address}");
        }
    }

    #[test]
    fn nothing_beyond_its_reach_is_in_a_view() {
        let only = BTreeSet::from(["hall".to_owned()]);
        let view = View::of(&Form::of_address(&Uri::from_static("/api/live?site=barn")), Some(&only));
        let view = view.expect("asking is allowed");
        assert!(!view.covers("barn", "rack-1"), "it is wanted, and not allowed");
        assert!(!view.covers("hall", "rack-1"), "it is allowed, and not wanted");
        let whole = View::of(&Form::of_address(&Uri::from_static("/api/live")), Some(&only)).expect("right");
        assert!(whole.covers("hall", "rack-1") && !whole.covers("barn", "rack-1"));
        assert!(!whole.covers("", ""), "what concerns the whole fleet is for those who see it");
    }
}
