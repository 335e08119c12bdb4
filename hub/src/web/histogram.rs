//! Histograms for `/metrics`: what agents send as three counters (`NAME_bucket` by `le`, `NAME_sum`, `NAME_count`) becomes one family. Which
//! names are histograms is told by their form, not by a list, so that newer agents' and programs' own are found as well.
//!
//! Invariant: a family of type histogram has only whole histograms, each with its buckets rising to `+Inf`, then its sum, then its count, and no other
//! family has its name or one of its parts'; readers refuse a whole page for less. Where agents disagree, the vocabulary's own histograms leave out what
//! does not fit; others remain the series that they are.
//!
//! ```text
//! x_seconds_bucket{…,le="0.5"} 4 · x_seconds_bucket{…,le="+Inf"} 5 · x_seconds_sum{…} 8.25 · x_seconds_count{…} 5
//! ```

use super::exposition::Family;
use crate::fleet::{Listing, is_of_the_hub};
use crate::text::Kind;
use rackside_proto::Bound;
use rackside_proto::metric::{HISTOGRAMS, Histogram};
use std::collections::BTreeMap;

/// A histogram of one appliance: its slot, and its labels but `le`.
type Point<'a> = (u32, Vec<&'a (Box<str>, Box<str>)>);

/// Where the parts of one histogram stand in its catalog.
#[derive(Debug, Default)]
struct Parts {
    buckets: BTreeMap<Bound, u32>,
    sum: Option<u32>,
    count: Option<u32>,
    /// A bound that is there twice, in two spellings.
    is_twice: bool,
}

impl Parts {
    /// The positions in the order of the page, if it is whole.
    fn whole(&self) -> Option<impl Iterator<Item = u32>> {
        let (last, _) = self.buckets.last_key_value()?;
        let ends = [self.sum?, self.count?];
        (last.is_infinite() && !self.is_twice).then(|| self.buckets.values().copied().chain(ends))
    }
}

/// Makes one family of the three of each histogram. `listings` are by slot.
pub(super) fn fold<'a>(
    families: &mut BTreeMap<&'a str, Family>,
    listings: &BTreeMap<u32, &'a Listing>,
    unknown_help: &'static str,
) {
    let stems: Vec<&str> = families.keys().filter_map(|name| name.strip_suffix("_bucket")).collect();
    for stem in stems {
        // No part of a histogram is a histogram itself.
        if is_of_the_hub(stem) || Histogram::PARTS.iter().any(|part| stem.ends_with(part)) {
            continue;
        }
        let known = HISTOGRAMS.iter().find(|histogram| histogram.name == stem);
        let names = Histogram::PARTS.map(|part| format!("{stem}{part}"));
        let of_three: Vec<&Family> = names.iter().filter_map(|name| families.get(name.as_str())).collect();
        let are_counted = of_three.iter().all(|family| family.kind == Kind::Counter);
        let (points, mut misfits) = points(&of_three, listings);
        let (mut rows, mut ends) = (Vec::new(), Vec::new());
        for ((slot, _), parts) in &points {
            match parts.whole() {
                Some(whole) => {
                    rows.extend(whole.map(|at| (*slot, at)));
                    ends.push(rows.len());
                }
                None => misfits += 1,
            }
        }
        let is_free = are_counted && misfits == 0 && !families.contains_key(stem);
        if known.is_none() && !is_free {
            continue;
        }
        let unit = names.get(1).and_then(|name| families.get(name.as_str())).map(|sum| sum.unit.clone());
        for name in &names {
            families.remove(name.as_str());
        }
        let family = Family {
            name: stem.into(),
            kind: Kind::Histogram,
            unit: known.map_or_else(|| unit.unwrap_or_default(), |histogram| histogram.unit.into()),
            help: known.map_or(unknown_help, |histogram| histogram.help),
            rows,
            ends,
        };
        families.insert(stem, family);
    }
}

/// Brings together what belongs to one histogram; and how many series belong to none.
fn points<'a>(
    of_three: &[&Family],
    listings: &BTreeMap<u32, &'a Listing>,
) -> (BTreeMap<Point<'a>, Parts>, usize) {
    let (mut points, mut misfits) = (BTreeMap::<Point<'_>, Parts>::new(), 0);
    for family in of_three {
        for &(slot, at) in &family.rows {
            let Some(entry) = listings.get(&slot).and_then(|listing| listing.series().get(at as usize))
            else {
                continue;
            };
            let labels = entry.labels.iter().filter(|(name, _)| **name != *"le").collect();
            let parts = || points.entry((slot, labels)).or_default();
            let le = entry.labels.iter().find(|(name, _)| **name == *"le");
            match (family.name.rsplit('_').next(), le.map(|(_, text)| Bound::parse(text))) {
                (Some("bucket"), Some(Some(bound))) => {
                    let parts = parts();
                    parts.is_twice |= parts.buckets.insert(bound, at).is_some();
                }
                (Some("sum"), None) => parts().sum = Some(at),
                (Some("count"), None) => parts().count = Some(at),
                _ => misfits += 1,
            }
        }
    }
    (points, misfits)
}

#[cfg(test)]
mod tests {
    use super::super::exposition::tests::Desk;
    use crate::rack::{Rack, series};
    use crate::text::Format;
    use rackside_proto::{Kind, Scale, Series, Value};

    fn counter<'a>(name: &'a str, labels: &[(&'a str, &'a str)]) -> Series<'a> {
        Series { kind: Kind::Counter, scale: Scale::ONE, ..series(name, labels) }
    }

    /// A station's histogram with two buckets, in an order that is not the page's.
    fn station(name: &str) -> Vec<Series<'_>> {
        let bucket = "rackside_track_switch_duration_seconds_bucket";
        let sum = "rackside_track_switch_duration_seconds_sum";
        let count = "rackside_track_switch_duration_seconds_count";
        vec![
            counter(count, &[("probe", name)]),
            counter(bucket, &[("probe", name), ("le", "+Inf")]),
            Series { scale: Scale::per(1000), unit: "seconds", ..counter(sum, &[("probe", name)]) },
            counter(bucket, &[("le", "10.0"), ("probe", name)]),
            counter(bucket, &[("le", "0.5"), ("probe", name)]),
        ]
    }

    fn types(text: &str) -> Vec<&str> {
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect()
    }

    /// What `sites` with a rack each show, of series that are all 1.
    fn page(sites: &[&[Series<'_>]]) -> Desk {
        let mut desk = Desk::new();
        for (at, list) in sites.iter().enumerate() {
            let mut rack = Rack::new(&format!("site-{at}"), "rack-1");
            desk.take(rack.catalog(list));
            desk.take(rack.numbers(&vec![1; list.len()]));
        }
        desk
    }

    #[test]
    fn three_counters_are_one_family_over_sites_and_probes() {
        let mut desk = Desk::new();
        for (site, probes) in [("arena-north", vec!["radio", "hall"]), ("town-hall", vec!["radio"])] {
            let mut rack = Rack::new(site, "rack-1");
            let list: Vec<_> = probes.iter().flat_map(|probe| station(probe)).collect();
            let numbers = [5, 5, 8250, 4, 3].repeat(probes.len());
            desk.take(rack.catalog(&list));
            desk.take(rack.numbers(&numbers));
        }
        let of = |site, probe| {
            let line = |part, le: &str, value| {
                format!(
                    "rackside_track_switch_duration_seconds_{part}{{site=\"{site}\",appliance=\"rack-1\",{le}}} {value}\n"
                )
            };
            let own = format!("probe=\"{probe}\"");
            [
                line("bucket", &format!("le=\"0.5\",{own}"), "3"),
                line("bucket", &format!("le=\"10.0\",{own}"), "4"),
                line("bucket", &format!("{own},le=\"+Inf\""), "5"),
                line("sum", &own, "8.25"),
                line("count", &own, "5"),
            ]
            .concat()
        };
        let help = "How long switches from one track to the next took, during which there was none";
        let name = "rackside_track_switch_duration_seconds";
        let samples =
            [of("arena-north", "hall"), of("arena-north", "radio"), of("town-hall", "radio")].concat();
        let text = format!("# TYPE {name} histogram\n# HELP {name} {help}\n{samples}");
        assert_eq!(desk.text(Format::Text), text);
        let open = format!("# TYPE {name} histogram\n# UNIT {name} seconds\n# HELP {name} {help}\n{samples}");
        assert_eq!(desk.text(Format::OpenMetrics), open);
    }

    #[test]
    fn a_histogram_is_shown_whole_or_not_at_all() {
        let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
        desk.take(rack.catalog(&station("radio")));
        let one = Value::Known(1);
        for gap in 0..5 {
            let mut values = [one; 5];
            values[gap] = if gap == 2 { Value::Unknown } else { Value::Absent };
            desk.take(rack.reading(&values));
            assert_eq!(desk.text(Format::Text), "", "without part {gap}");
        }
        desk.take(rack.reading(&[one; 5]));
        assert_eq!(desk.text(Format::Text).lines().count(), 7);
    }

    #[test]
    fn of_a_histogram_of_ours_what_does_not_fit_is_left_out() {
        let name = "rackside_track_switch_duration_seconds";
        let (bucket, count) = (format!("{name}_bucket"), format!("{name}_count"));
        let odd = [
            counter(&bucket, &[]),
            counter(&bucket, &[("le", "soon")]),
            counter(&count, &[("le", "5.0")]),
            counter(&bucket, &[("probe", "no-end"), ("le", "1.0")]),
            series(name, &[]),
            counter(name, &[("probe", "x")]),
        ];
        let twice = [
            counter(&bucket, &[("probe", "hall"), ("le", "5")]),
            counter(&bucket, &[("probe", "hall"), ("le", "5.0")]),
        ];
        let text =
            page(&[&station("radio"), &odd, &[&station("hall")[..], &twice].concat()]).text(Format::Text);
        assert_eq!(types(&text), [format!("{name} histogram")]);
        assert_eq!(text.lines().count(), 7, "{text}");
        assert!(text.contains("site-0") && !text.contains("site-1") && !text.contains("site-2"), "{text}");
        assert_eq!(page(&[&odd]).text(Format::Text), "");
    }

    #[test]
    fn another_histogram_is_one_as_long_as_all_agree() {
        let whole = [
            counter("x_bucket", &[("le", "+Inf")]),
            Series { unit: "seconds", ..counter("x_sum", &[]) },
            counter("x_count", &[]),
        ];
        let separate = ["x_bucket unknown", "x_count unknown", "x_sum unknown"];
        let open = |sites: &[&[Series<'_>]]| page(sites).text(Format::OpenMetrics);
        assert_eq!(types(&open(&[&whole])), ["x histogram"]);
        assert_eq!(types(&open(&[&whole, &whole])), ["x histogram"]);
        assert_eq!(types(&open(&[&whole[..2]])), ["x_bucket unknown", "x_sum unknown"]);
        assert_eq!(types(&open(&[&whole, &[counter("x_count", &[("le", "1.0")])]])), separate);
        assert_eq!(types(&open(&[&whole, &[series("x_count", &[])]])), separate, "a gauge");
        assert_eq!(types(&open(&[&whole, &[series("x", &[])]])).first(), Some(&"x gauge"));
        assert_eq!(types(&open(&[&whole, &[counter("x_total", &[])]])), ["x histogram", "x_total unknown"]);
    }

    #[test]
    fn no_histogram_takes_a_name_of_the_hubs_or_of_anothers_part() {
        for stem in ["rackside_appliance_up", "y_count"] {
            let [bucket, sum, count] = ["bucket", "sum", "count"].map(|part| format!("{stem}_{part}"));
            let list = [counter(&bucket, &[("le", "+Inf")]), counter(&sum, &[]), counter(&count, &[])];
            let text = page(&[&list]).text(Format::OpenMetrics);
            assert!(!text.contains(" histogram"), "{text}");
            assert_eq!(types(&text).len(), 3, "nothing is lost");
        }
    }
}
