//! A catalog as the hub keeps it: owned, with each series' line for `/metrics` written out once.
//!
//! The line of a series is all that does not change from scrape to scrape:
//! `rackside_disk_used_bytes{site="arena-north",appliance="rack-1",mount="/"} `. What an agent can choose is escaped here. But for whose it is a
//! line is the same at every rack that has such a series, and so is all else of a series: it is kept once for all racks.

use rackside_proto::{AgentName, Catalog, Kind, Label, Scale, Series, Value};
use rackside_series::Layout;
use std::collections::HashSet;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// Below so many shapes nobody looks for ones that are not needed.
const FEW: usize = 4096;

/// What racks have in common of a series.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The metric's name.
    pub name: Box<str>,
    /// Its labels, beside site and appliance, as they came.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// Its unit, or nothing.
    pub unit: Box<str>,
    /// How it moves.
    pub kind: Kind,
    /// What one step of its number is worth.
    pub scale: Scale,
    /// The end of its line, behind whose it is.
    rest: Box<str>,
}

/// Each shape once.
#[derive(Debug, Default)]
pub struct Shapes {
    all: HashSet<Arc<Shape>>,
    /// How many there were when it was looked through last.
    after_look: usize,
}

impl Shapes {
    fn one(&mut self, shape: Shape) -> Arc<Shape> {
        if let Some(known) = self.all.get(&shape) {
            return Arc::clone(known);
        }
        if self.all.len() >= FEW.max(2 * self.after_look) {
            self.all.retain(|shape| Arc::strong_count(shape) > 1);
            self.all.shrink_to_fit();
            self.after_look = self.all.len();
        }
        let shape = Arc::new(shape);
        self.all.insert(Arc::clone(&shape));
        shape
    }
}

/// One series of a catalog.
#[derive(Debug)]
pub struct Entry {
    shape: Arc<Shape>,
    /// Whether it is served: not when the catalog has it twice, or its name is the hub's own.
    pub served: bool,
}

impl Deref for Entry {
    type Target = Shape;

    fn deref(&self) -> &Shape {
        &self.shape
    }
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
    /// The part of each line that says whose it is: `{site="arena-north",appliance="rack-1"`.
    whose: Box<str>,
    layout: OnceLock<Arc<Layout>>,
    /// How many series are not served.
    pub ignored: usize,
}

impl Listing {
    /// Takes a catalog of `agent`.
    pub fn of(agent: &AgentName, catalog: &Catalog<'_>, shapes: &mut Shapes) -> Self {
        let mut seen = HashSet::with_capacity(catalog.len());
        let mut ignored = 0;
        let series: Box<[Entry]> = catalog
            .series()
            .map(|one| {
                let labels = labels(&one);
                let served = !is_of_the_hub(one.name) && seen.insert((one.name.to_owned(), labels.clone()));
                ignored += usize::from(!served);
                let (name, unit, rest) = (one.name.into(), one.unit.into(), rest(&one));
                let shape = Shape { name, labels, unit, kind: one.kind, scale: one.scale, rest };
                Entry { shape: shapes.one(shape), served }
            })
            .collect();
        let references = catalog.series().map(|one| one.reference).collect();
        let (number, tick_ms) = (catalog.head.number, catalog.head.tick_ms);
        let whose = format!("{{site=\"{}\",appliance=\"{}\"", agent.site, agent.appliance).into();
        Self { number, tick_ms, references, series, whose, layout: OnceLock::new(), ignored }
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

    /// Writes the line of `/metrics` up to the value.
    pub fn write_line(&self, to: &mut String, entry: &Entry) {
        for part in [&entry.name, &self.whose, &entry.rest] {
            to.push_str(part);
        }
    }

    /// The position of the only, or else the first, served series of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.series.iter().position(|entry| entry.served && *entry.name == *name)
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

/// What stands in a series' line behind whose it is.
fn rest(series: &Series<'_>) -> Box<str> {
    let mut text = String::new();
    for label in set(series) {
        text.push(',');
        text.push_str(label.name);
        text.push_str("=\"");
        escape(&mut text, label.value);
        text.push('"');
    }
    text.push_str("} ");
    text.into()
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
        Listing::of(&rack.name, &crate::rack::catalog_in(&bytes), &mut Shapes::default())
    }

    fn line(listing: &Listing, entry: &Entry) -> String {
        let mut line = String::new();
        listing.write_line(&mut line, entry);
        line
    }

    #[test]
    fn what_racks_have_in_common_is_kept_once_and_let_go_with_the_last_of_them() {
        let mut shapes = Shapes::default();
        let mut take = |appliance: &str, mount: &str, scale: Scale| {
            let mut rack = Rack::new("arena-north", appliance);
            let bytes = rack.catalog(&[Series { scale, ..series("x", &[("mount", mount)]) }]).1;
            Listing::of(&rack.name, &crate::rack::catalog_in(&bytes), &mut shapes)
        };
        let (one, other) = (take("rack-1", "/", Scale::ONE), take("rack-2", "/", Scale::ONE));
        assert!(Arc::ptr_eq(&one.series[0].shape, &other.series[0].shape));
        assert_eq!(
            line(&other, &other.series[0]),
            "x{site=\"arena-north\",appliance=\"rack-2\",mount=\"/\"} "
        );
        assert!(!Arc::ptr_eq(&one.series[0].shape, &take("rack-3", "/", Scale::per(10)).series[0].shape));
        for n in 0..2 * FEW {
            take("rack-4", &n.to_string(), Scale::ONE);
        }
        assert!(Arc::ptr_eq(&one.series[0].shape, &take("rack-5", "/", Scale::ONE).series[0].shape));
        assert!(shapes.all.len() <= FEW, "{}", shapes.all.len());
    }

    #[test]
    fn a_line_has_everything_but_the_value() {
        let listing = listing(&[series("rackside_load1", &[]), series("x", &[("mount", "/")])]);
        let lines: Vec<_> = listing.series().iter().map(|entry| line(&listing, entry)).collect();
        assert_eq!(lines[0], "rackside_load1{site=\"arena-north\",appliance=\"rack-1\"} ");
        assert_eq!(lines[1], "x{site=\"arena-north\",appliance=\"rack-1\",mount=\"/\"} ");
        assert_eq!(&*listing.series()[0].name, "rackside_load1");
    }

    #[test]
    fn what_an_agent_chooses_is_escaped() {
        let listing = listing(&[series("x", &[("mount", "a\"} 1\nb\\")])]);
        let line = line(&listing, &listing.series()[0]);
        assert_eq!(line, "x{site=\"arena-north\",appliance=\"rack-1\",mount=\"a\\\"} 1\\nb\\\\\"} ");
    }

    #[test]
    fn a_label_without_a_value_is_no_label() {
        let listing = listing(&[series("x", &[("a", "")]), series("x", &[])]);
        let (first, second) = (&listing.series()[0], &listing.series()[1]);
        assert_eq!(line(&listing, first), "x{site=\"arena-north\",appliance=\"rack-1\"} ");
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
