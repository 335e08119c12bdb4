//! All sites by their ids: those of the configuration, and those that have appliances. No I/O and no clock.
//!
//! ```text
//! arena-north: configured, shows, two tallies      town-hall: known by its appliances, defaults
//! ```

use super::ears::Hearing;
use crate::query::Touched;
use crate::site::SiteConfig;
use rackside_onair::{Kept, Phase, Sample, Settings, Show, Site, View, series};
use rackside_promql::{Labels, METRIC_NAME, STALE};
use rackside_proto::Id;
use std::collections::BTreeMap;

/// A series' family, and the value of its label.
type Which = (&'static str, &'static str);

/// All sites.
#[derive(Debug, Default)]
pub(super) struct Sites(BTreeMap<Id, One>);

#[derive(Debug, Default)]
struct One {
    is_configured: bool,
    site: Site,
    /// What was told last, and the labels to tell it with.
    told: BTreeMap<Which, (Labels, f64)>,
}

/// What to tell of all sites.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Series with their new values; [`STALE`] for those that are no more.
    pub(super) samples: Vec<(Labels, f64)>,
    /// Those of them that changed.
    pub(super) touched: Vec<Touched>,
}

impl Sites {
    /// Takes a configuration. What a site has heard and holds stays.
    pub(super) fn configure(&mut self, configs: &[SiteConfig], now: i64) {
        for one in self.0.values_mut() {
            one.is_configured = false;
        }
        for config in configs {
            let one = self.0.entry(config.id.clone()).or_default();
            one.is_configured = true;
            one.site.set(config.settings());
        }
        for one in self.0.values_mut().filter(|one| !one.is_configured) {
            one.site.set(Settings::default());
            one.site.plan(Vec::new());
        }
        // One that was configured, and has nothing else, is no more; its series end with it.
        self.0.retain(|_, one| one.is_configured || !one.told.is_empty() || !one.site.kept(now).is_empty());
    }

    /// Takes the shows of a site.
    pub(super) fn plan(&mut self, site: &Id, shows: Vec<Show>) {
        if let Some(one) = self.0.get_mut(site) {
            one.site.plan(shows);
        }
    }

    /// Goes on where the hub before this one was.
    pub(super) fn resume(&mut self, kept: &BTreeMap<String, Kept>, now: i64) {
        for (site, kept) in kept {
            if let Ok(site) = site.parse::<Id>() {
                self.0.entry(site).or_default().site.resume(kept, now);
            }
        }
    }

    /// What the next hub has to know.
    pub(super) fn kept(&self, now: i64) -> BTreeMap<String, Kept> {
        let all = self.0.iter().map(|(id, one)| (id.to_string(), one.site.kept(now)));
        all.filter(|(_, kept)| !kept.is_empty()).collect()
    }

    /// Takes what tallies say now, and tells what that changes; everything, if that is `due`.
    pub(super) fn step(&mut self, hearing: &Hearing, now: i64, due: bool) -> News {
        let mut heard = BTreeMap::new();
        hearing.each(|site, words| {
            heard.insert(site.clone(), words);
        });
        for site in heard.keys() {
            if !self.0.contains_key(site) {
                self.0.insert(site.clone(), One::default());
            }
        }
        let mut news = News::default();
        self.0.retain(|id, one| {
            let words = heard.get(id);
            one.site.hear(words.map_or(&[], Vec::as_slice), now);
            let stays = one.is_configured || words.is_some() || !one.site.kept(now).is_empty();
            let samples = if stays { series(&one.site.view(now)) } else { Vec::new() };
            one.tell(id, &samples, now, due, &mut news);
            stays
        });
        news
    }

    /// The next moment at which a site changes by itself.
    pub(super) fn next_change(&self, now: i64) -> Option<i64> {
        self.0.values().filter_map(|one| one.site.next_change(now)).min()
    }

    /// What is so of a site.
    pub(super) fn view(&self, site: &Id, now: i64) -> Option<View> {
        self.0.get(site).map(|one| one.site.view(now))
    }

    /// Every site.
    pub(super) fn each(&self, mut look: impl FnMut(&Id, &Site)) {
        for (id, one) in &self.0 {
            look(id, &one.site);
        }
    }

    /// One of them.
    pub(super) fn one(&self, site: &Id) -> Option<&Site> {
        self.0.get(site).map(|one| &one.site)
    }

    /// The show that is on, and the next one.
    pub(super) fn shows(&self, site: &Id, now: i64) -> (Option<Show>, Option<Show>) {
        let shows = self.0.get(site).map_or(&[][..], |one| one.site.shows());
        let on = shows.iter().filter(|show| show.phase(now).is_some());
        let on = on.min_by_key(|show| (show.phase(now) != Some(Phase::Live), show.live));
        let next =
            shows.iter().filter(|show| show.live > now && Some(*show) != on).min_by_key(|show| show.live);
        (on.cloned(), next.cloned())
    }

    /// The series of all sites.
    pub(super) fn samples(&self, now: i64) -> Vec<(Id, Vec<Sample>)> {
        self.0.iter().map(|(id, one)| (id.clone(), series(&one.site.view(now)))).collect()
    }

    /// Does something to a site, if there is one.
    pub(super) fn change(&mut self, site: &Id, what: impl FnOnce(&mut Site)) -> Option<()> {
        self.0.get_mut(site).map(|one| what(&mut one.site))
    }
}

impl One {
    fn tell(&mut self, id: &Id, samples: &[Sample], now: i64, due: bool, news: &mut News) {
        let mut touch = |labels: &Labels, value: f64, differs: bool| {
            news.samples.push((labels.clone(), value));
            if differs {
                news.touched.push(Touched { labels: labels.clone(), at: now });
            }
        };
        self.told.retain(|which, (labels, _)| {
            let is = samples.iter().any(|sample| which == &(sample.family, sample.label));
            if !is {
                touch(labels, STALE, true);
            }
            is
        });
        for sample in samples {
            let new = || (labels(id, *sample), f64::NAN);
            let (labels, told) = self.told.entry((sample.family, sample.label)).or_insert_with(new);
            // A value that was never told differs from every other.
            let differs = told.to_bits() != sample.value.to_bits();
            if differs || due {
                *told = sample.value;
                touch(labels, sample.value, differs);
            }
        }
    }
}

fn labels(site: &Id, sample: Sample) -> Labels {
    let family = rackside_onair::FAMILIES.iter().find(|family| family.name == sample.family);
    let own = family.map(|family| (family.label, sample.label)).filter(|(label, _)| !label.is_empty());
    Labels::new([(METRIC_NAME, sample.family), ("site", site.as_str())].into_iter().chain(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use rackside_promql::is_stale;

    fn configs(text: &str) -> Vec<SiteConfig> {
        Config::parse(text, "hub.toml").expect("right").site
    }

    fn told(news: &News) -> Vec<String> {
        let one = |(labels, value): &(Labels, f64)| {
            let label = ["reason", "phase", "state"].map(|name| labels.value(name)).concat();
            let value = if is_stale(*value) { "gone".to_owned() } else { value.to_string() };
            format!("{} {} {label} {value}", labels.value("site"), labels.value(METRIC_NAME))
        };
        news.samples.iter().map(one).collect()
    }

    #[test]
    fn what_changed_is_told_at_once_and_all_of_it_when_it_is_due() {
        let (mut sites, hearing) = (Sites::default(), Hearing::default());
        sites.configure(&configs("[[site]]\nid = \"arena-north\"\n"), 1000);
        let first = sites.step(&hearing, 1000, false);
        let power = "arena-north rackside_site_power_expected  1";
        assert_eq!(told(&first), ["arena-north rackside_site_on_air manual 0", power]);
        assert!(sites.step(&hearing, 1001, false).samples.is_empty());
        let site: Id = "arena-north".parse().expect("an id");
        sites.change(&site, |site| site.on_by_hand(Some(5000))).expect("it is there");
        let news = sites.step(&hearing, 2000, false);
        assert_eq!(told(&news), ["arena-north rackside_site_on_air manual 1"]);
        assert_eq!((news.touched.len(), news.touched[0].at), (1, 2000));
        assert_eq!(sites.next_change(2000), Some(5000));
        let all = sites.step(&hearing, 3000, true);
        assert_eq!((all.samples.len(), all.touched.len()), (2, 0));
    }

    #[test]
    fn the_live_show_is_the_one_that_is_on_and_the_next_is_to_come() {
        let mut sites = Sites::default();
        let site: Id = "arena-north".parse().expect("an id");
        sites.configure(&configs("[[site]]\nid = \"arena-north\"\n"), 0);
        let show = |name: &str, live: i64, end| {
            let margins = rackside_onair::Margins { rig_up: 100, strike: 100 };
            Show::new(name, live, end, margins).expect("a show")
        };
        sites
            .plan(&site, vec![show("early", 1000, 2000), show("late", 2050, 3000), show("last", 9000, 9500)]);
        let named = |now| {
            let (on, next) = sites.shows(&site, now);
            [on, next].map(|show| show.map_or(String::new(), |show| show.name.into()))
        };
        assert_eq!(named(0), ["", "early"]);
        assert_eq!(named(950), ["early", "late"]);
        assert_eq!(named(2060), ["late", "last"]);
        assert_eq!(named(5000), ["", "last"]);
        assert_eq!(named(9400), ["last", ""]);
    }

    #[test]
    fn a_site_that_is_taken_out_of_the_configuration_ends() {
        let (mut sites, hearing) = (Sites::default(), Hearing::default());
        sites.configure(&configs("[[site]]\nid = \"arena-north\"\n"), 1000);
        sites.step(&hearing, 1000, false);
        sites.configure(&[], 2000);
        let news = sites.step(&hearing, 2000, false);
        assert!(!news.samples.is_empty() && news.samples.iter().all(|(_, value)| is_stale(*value)));
        assert!(sites.step(&hearing, 3000, true).samples.is_empty());
    }

    #[test]
    fn a_configuration_that_is_read_again_keeps_what_was_set_by_hand() {
        let mut sites = Sites::default();
        let site: Id = "arena-north".parse().expect("an id");
        sites.configure(&configs("[[site]]\nid = \"arena-north\"\n"), 1000);
        sites.change(&site, |site| site.on_by_hand(None)).expect("it is there");
        let kept = sites.kept(2000);
        sites.configure(&configs("[[site]]\nid = \"arena-north\"\nhold = \"1h\"\n"), 3000);
        assert!(sites.view(&site, 3000).is_some_and(|view| view.on_air()));
        let mut next = Sites::default();
        next.resume(&kept, 4000);
        assert!(next.view(&site, 4000).is_some_and(|view| view.on_air()), "and so does a restart");
    }
}
