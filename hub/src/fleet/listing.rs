//! A catalog as the hub keeps it: owned, with each series' line for `/metrics` written out once.
//!
//! The line of a series is all that does not change from scrape to scrape:
//! `rackside_disk_used_bytes{site="arena-north",appliance="rack-1",mount="/"} `. What an agent can choose is escaped here.

use rackside_proto::{AgentName, Catalog, Kind, Label, Scale, Series, Value};
use rackside_series::Layout;
use std::collections::HashSet;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

/// One series of a catalog.
#[derive(Debug)]
pub struct Entry {
    line: std::ops::Range<usize>,
    name_len: usize,
    /// Its labels, beside site and appliance, as they came.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// Its unit, or nothing.
    pub unit: Box<str>,
    /// How it moves.
    pub kind: Kind,
    /// What one step of its number is worth.
    pub scale: Scale,
    /// Whether it is served: not when the catalog has it twice, or its name is the hub's own.
    pub served: bool,
}

/// A catalog of one run of one agent.
#[derive(Debug)]
pub struct Listing {
    /// The catalog's number in its run.
    pub number: u32,
    /// Milliseconds from one reading to the next.
    pub tick_ms: u32,
    /// What readings start from.
    pub references: Box<[Value]>,
    series: Box<[Entry]>,
    text: Box<str>,
    layout: OnceLock<Arc<Layout>>,
    /// How many series are not served.
    pub ignored: usize,
}

impl Listing {
    /// Takes a catalog of `agent`.
    pub fn of(agent: &AgentName, catalog: &Catalog<'_>) -> Self {
        let mut text = String::with_capacity(catalog.len() * 96);
        let mut seen = HashSet::with_capacity(catalog.len());
        let mut ignored = 0;
        let series: Box<[Entry]> = catalog
            .series()
            .map(|one| {
                let start = text.len();
                write_line(&mut text, agent, &one);
                let labels = labels(&one);
                let served = !is_of_the_hub(one.name) && seen.insert((one.name.to_owned(), labels.clone()));
                ignored += usize::from(!served);
                Entry {
                    line: start..text.len(),
                    name_len: one.name.len(),
                    labels,
                    unit: one.unit.into(),
                    kind: one.kind,
                    scale: one.scale,
                    served,
                }
            })
            .collect();
        let references = catalog.series().map(|one| one.reference).collect();
        let (number, tick_ms) = (catalog.head.number, catalog.head.tick_ms);
        Self { number, tick_ms, references, series, text: text.into(), layout: OnceLock::new(), ignored }
    }

    /// The series, in the catalog's order.
    pub fn series(&self) -> &[Entry] {
        &self.series
    }

    /// What its readings are handed on with: made when first asked for, if that can be.
    pub fn layout(&self, make: impl FnOnce(&Self) -> Option<Arc<Layout>>) -> Option<Arc<Layout>> {
        if let Some(layout) = self.layout.get() {
            return Some(Arc::clone(layout));
        }
        let layout = make(self)?;
        Some(Arc::clone(self.layout.get_or_init(|| layout)))
    }

    /// How many series it lists.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether it lists none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The line of `/metrics` up to the value.
    pub fn line(&self, entry: &Entry) -> &str {
        &self.text[entry.line.clone()]
    }

    /// The metric's name.
    pub fn name(&self, entry: &Entry) -> &str {
        &self.line(entry)[..entry.name_len]
    }

    /// The position of the only, or else the first, served series of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.series.iter().position(|entry| entry.served && self.name(entry) == name)
    }
}

/// The labels of a series, as Prometheus counts them: one without a value is none.
fn set<'a>(series: &'a Series<'_>) -> impl Iterator<Item = &'a Label<'a>> {
    series.labels.iter().filter(|label| !label.value.is_empty())
}

/// Sorted, so that two orders of the same labels are the same series.
fn labels(series: &Series<'_>) -> Box<[(Box<str>, Box<str>)]> {
    let mut labels: Box<[(Box<str>, Box<str>)]> =
        set(series).map(|label| (label.name.into(), label.value.into())).collect();
    labels.sort();
    labels
}

/// Names that the hub itself serves are not for agents.
pub fn is_of_the_hub(name: &str) -> bool {
    matches!(name, "ALERTS" | "ALERTS_FOR_STATE")
        || name.starts_with("rackside_hub_")
        || name.starts_with("rackside_site_")
        || name == "rackside_appliance_up"
}

fn write_line(text: &mut String, agent: &AgentName, series: &Series<'_>) {
    write!(text, "{}{{site=\"{}\",appliance=\"{}\"", series.name, agent.site, agent.appliance)
        .expect("a String takes everything");
    for label in set(series) {
        text.push(',');
        text.push_str(label.name);
        text.push_str("=\"");
        escape(text, label.value);
        text.push('"');
    }
    text.push_str("} ");
}

/// A label's value between its quotes, in both text formats.
pub fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rack::{Rack, series};

    fn listing(list: &[Series<'_>]) -> Listing {
        let mut rack = Rack::new("arena-north", "rack-1");
        let bytes = rack.catalog(list).1;
        Listing::of(&rack.name, &crate::rack::catalog_in(&bytes))
    }

    #[test]
    fn a_line_has_everything_but_the_value() {
        let listing = listing(&[series("rackside_load1", &[]), series("x", &[("mount", "/")])]);
        let lines: Vec<_> = listing.series().iter().map(|entry| listing.line(entry)).collect();
        assert_eq!(lines[0], "rackside_load1{site=\"arena-north\",appliance=\"rack-1\"} ");
        assert_eq!(lines[1], "x{site=\"arena-north\",appliance=\"rack-1\",mount=\"/\"} ");
        assert_eq!(listing.name(&listing.series()[0]), "rackside_load1");
    }

    #[test]
    fn what_an_agent_chooses_is_escaped() {
        let listing = listing(&[series("x", &[("mount", "a\"} 1\nb\\")])]);
        let line = listing.line(&listing.series()[0]);
        assert_eq!(line, "x{site=\"arena-north\",appliance=\"rack-1\",mount=\"a\\\"} 1\\nb\\\\\"} ");
    }

    #[test]
    fn a_label_without_a_value_is_no_label() {
        let listing = listing(&[series("x", &[("a", "")]), series("x", &[])]);
        let (first, second) = (&listing.series()[0], &listing.series()[1]);
        assert_eq!(listing.line(first), "x{site=\"arena-north\",appliance=\"rack-1\"} ");
        assert_eq!((first.served, second.served), (true, false), "one and the same to Prometheus");
    }

    #[test]
    fn a_series_twice_or_with_the_hubs_name_is_left_out() {
        let listing = listing(&[
            series("x", &[("a", "1"), ("b", "2")]),
            series("x", &[("b", "2"), ("a", "1")]),
            series("x", &[("a", "1"), ("b", "3")]),
            series("rackside_hub_lost_total", &[]),
            series("rackside_appliance_up", &[]),
        ]);
        let served: Vec<_> = listing.series().iter().map(|entry| entry.served).collect();
        assert_eq!(served, [true, false, true, false, false]);
        assert_eq!(listing.ignored, 3);
    }
}
