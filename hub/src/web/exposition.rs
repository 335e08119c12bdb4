//! What agents measure, laid out as metrics. The layout (which families there are, and whose series belong to each) is
//! made anew only when the fleet's catalogs change; a scrape then copies prepared lines and writes numbers.
//!
//! An appliance that is down has no lines: its series end, as Prometheus understands it. `rackside_appliance_up` stays, and
//! is 0.

use super::histogram;
use crate::fleet::{Fleet, Latest, Listing, is_of_the_hub};
use crate::text::{Kind, Text};
use rackside_proto::metric;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The layout, as of one state of the fleet's catalogs.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    layout: Option<u64>,
    families: Vec<Family>,
    last_len: usize,
}

/// What stands under one name.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: Box<str>,
    pub(super) kind: Kind,
    pub(super) unit: Box<str>,
    pub(super) help: &'static str,
    /// Slot of the appliance and position in its catalog.
    pub(super) rows: Vec<(u32, u32)>,
    /// Where each histogram's rows end; nothing in a family of another kind, where each row is for itself.
    pub(super) ends: Vec<usize>,
}

const UNKNOWN_HELP: &str = "As its agent says; newer than this hub's vocabulary";

impl Exposition {
    /// Appends every series of every appliance that is up.
    pub(super) fn write(&mut self, text: &mut Text, fleet: &Fleet) {
        if self.layout != Some(fleet.layout()) {
            self.families = lay_out(fleet);
            self.layout = Some(fleet.layout());
        }
        text.out.reserve(self.last_len);
        let before = text.out.len();
        let shown: Vec<Option<&Latest>> = fleet
            .appliances()
            .iter()
            .map(|appliance| {
                let latest = appliance.shown()?.latest.as_ref()?;
                appliance.state.is_up().then_some(latest)
            })
            .collect();
        for family in &self.families {
            if family.kind == Kind::Histogram {
                write_histograms(text, family, &shown);
                continue;
            }
            let mut begun = false;
            for &(slot, at) in &family.rows {
                let Some(latest) = shown[slot as usize] else { continue };
                let Some(value) = latest.quantity(at as usize) else { continue };
                if !begun {
                    text.family(&family.name, family.kind, &family.unit, family.help);
                    begun = true;
                }
                latest.listing.write_line(&mut text.out, &latest.listing.series()[at as usize]);
                text.value(value);
            }
        }
        self.last_len = (text.out.len() - before) * 9 / 8;
    }
}

/// Each of the family's histograms that is there with all its parts.
fn write_histograms(text: &mut Text, family: &Family, shown: &[Option<&Latest>]) {
    let (mut begun, mut start) = (false, 0);
    for &end in &family.ends {
        let rows = &family.rows[std::mem::replace(&mut start, end)..end];
        let Some(latest) = rows.first().and_then(|&(slot, _)| shown[slot as usize]) else { continue };
        let values: Option<Vec<f64>> = rows.iter().map(|&(_, at)| latest.quantity(at as usize)).collect();
        let Some(values) = values else { continue };
        if !begun {
            text.family(&family.name, family.kind, &family.unit, family.help);
            begun = true;
        }
        for (&(_, at), value) in rows.iter().zip(values) {
            latest.listing.write_line(&mut text.out, &latest.listing.series()[at as usize]);
            text.value(value);
        }
    }
}

fn lay_out(fleet: &Fleet) -> Vec<Family> {
    let mut families: BTreeMap<&str, Family> = BTreeMap::new();
    let listings: Vec<(usize, &Arc<Listing>)> = fleet
        .appliances()
        .iter()
        .enumerate()
        .filter_map(|(slot, appliance)| Some((slot, &appliance.shown()?.latest.as_ref()?.listing)))
        .collect();
    for &(slot, listing) in &listings {
        for (at, entry) in listing.series().iter().enumerate().filter(|(_, entry)| entry.served) {
            let name = &*entry.name;
            let kind = kind(entry.kind);
            let family = families.entry(name).or_insert_with(|| family(name, kind, &entry.unit));
            if family.help == UNKNOWN_HELP && (family.kind != kind || family.unit != entry.unit) {
                family.kind = Kind::Unknown;
                family.unit = "".into();
            }
            family.rows.push((slot as u32, at as u32));
        }
    }
    let by_slot = listings.iter().map(|&(slot, listing)| (slot as u32, listing.as_ref())).collect();
    histogram::fold(&mut families, &by_slot, UNKNOWN_HELP);
    settle_counters(&mut families);
    families.into_values().collect()
}

fn kind(kind: rackside_proto::Kind) -> Kind {
    match kind {
        rackside_proto::Kind::Counter => Kind::Counter,
        rackside_proto::Kind::Gauge | rackside_proto::Kind::State => Kind::Gauge,
    }
}

/// A known metric is what the vocabulary says of it, whatever an agent says.
fn family(name: &str, of_agent: Kind, unit: &str) -> Family {
    let known = metric::find(name);
    Family {
        name: name.into(),
        kind: known.map_or(of_agent, |metric| kind(metric.kind)),
        unit: known.map_or(unit, |metric| metric.unit).into(),
        help: known.map_or(UNKNOWN_HELP, |metric| metric.help),
        rows: Vec::new(),
        ends: Vec::new(),
    }
}

/// OpenMetrics takes `_total` off a counter's name. One without it, or one whose shorter name is another family's (the
/// hub's own among them), cannot be a counter there.
fn settle_counters(families: &mut BTreeMap<&str, Family>) {
    let misnamed: Vec<&str> = families
        .iter()
        .filter(|(name, family)| {
            let stem = name.strip_suffix("_total");
            let taken = |stem: &str| families.contains_key(stem) || is_of_the_hub(stem);
            family.kind == Kind::Counter && stem.is_none_or(taken)
        })
        .map(|(name, _)| *name)
        .collect();
    for name in misnamed {
        if let Some(family) = families.get_mut(name) {
            family.kind = Kind::Unknown;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::clock;
    use crate::inbound::{Inbound, Via};
    use crate::ingest::{Ingest, NoPast};
    use crate::rack::{Rack, Sent, series, vitals};
    use crate::text::Format;
    use rackside_proto::{Prefix, Series, Value};

    pub(in crate::web) struct Desk(Ingest);

    impl Desk {
        pub(in crate::web) fn new() -> Self {
            Self(Ingest::new(Prefix::default(), 1, Arc::new(NoPast), clock::now()))
        }

        pub(in crate::web) fn take(&mut self, (topic, body): Sent) {
            let message = Inbound { topic, payload: body.into(), retained: false, via: Via::Broker };
            self.0.take(&message, clock::now());
        }

        pub(in crate::web) fn text(&self, format: Format) -> String {
            let mut text = Text::new(format, 0);
            Exposition::default().write(&mut text, self.0.fleet());
            text.out
        }
    }

    fn counter(name: &str) -> Series<'_> {
        Series { kind: rackside_proto::Kind::Counter, ..series(name, &[]) }
    }

    #[test]
    fn families_stay_together_over_appliances() {
        let mut desk = Desk::new();
        for name in ["rack-1", "rack-2"] {
            let mut rack = Rack::new("arena-north", name);
            desk.take(rack.catalog(&vitals()[..2]));
            desk.take(rack.numbers(&[483, 125]));
        }
        let expected = "\
# TYPE rackside_cpu_usage_ratio gauge
# HELP rackside_cpu_usage_ratio Share of all processors' time that was busy since the reading before, 0 to 1
rackside_cpu_usage_ratio{site=\"arena-north\",appliance=\"rack-1\"} 0.125
rackside_cpu_usage_ratio{site=\"arena-north\",appliance=\"rack-2\"} 0.125
# TYPE rackside_soc_temperature_celsius gauge
# HELP rackside_soc_temperature_celsius Temperature of the SoC, from the kernel's thermal zone
rackside_soc_temperature_celsius{site=\"arena-north\",appliance=\"rack-1\"} 48.3
rackside_soc_temperature_celsius{site=\"arena-north\",appliance=\"rack-2\"} 48.3
";
        assert_eq!(desk.text(Format::Text), expected);
    }

    #[test]
    fn what_is_absent_unknown_or_down_has_no_line() {
        let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
        desk.take(rack.catalog(&vitals()[..2]));
        desk.take(rack.reading(&[Value::Absent, Value::Unknown]));
        assert_eq!(desk.text(Format::Text), "");
        desk.take(rack.numbers(&[483, 125]));
        assert!(desk.text(Format::Text).contains("48.3"));
        desk.take(rack.presence(false));
        assert_eq!(desk.text(Format::Text), "");
    }

    #[test]
    fn agents_that_disagree_and_counters_that_are_misnamed_do_no_harm() {
        let mut desk = Desk::new();
        let mut one = Rack::new("arena-north", "rack-1");
        desk.take(one.catalog(&[series("x", &[]), counter("y"), series("z", &[]), counter("z_total")]));
        desk.take(one.numbers(&[1, 1, 1, 1]));
        let mut two = Rack::new("arena-north", "rack-2");
        desk.take(two.catalog(&[counter("x")]));
        desk.take(two.numbers(&[1]));
        let types: Vec<_> = desk
            .text(Format::OpenMetrics)
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .map(str::to_owned)
            .collect();
        assert_eq!(types, ["x unknown", "y unknown", "z gauge", "z_total unknown"]);
    }

    #[test]
    fn a_counter_of_an_agent_is_no_second_family_of_the_hubs_own_name() {
        let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
        desk.take(rack.catalog(&[counter("rackside_appliance_up_total")]));
        desk.take(rack.numbers(&[1]));
        let text = desk.text(Format::OpenMetrics);
        assert!(text.starts_with("# TYPE rackside_appliance_up_total unknown\n"), "{text}");
    }
}
