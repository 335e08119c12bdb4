//! A site's view as series: what `/metrics`, queries and rules see.
//!
//! ```text
//! rackside_site_on_air{site="arena-north",reason="tally"} 1
//! rackside_site_on_air{site="arena-north",reason="manual"} 0
//! rackside_site_show_phase{site="arena-north",phase="live"} 1
//! ```
//!
//! Invariant: every site has `rackside_site_on_air` and `rackside_site_power_expected`, so that rules can join with them.

use crate::show::Phase;
use crate::site::View;

/// A family of gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// Its unit, or nothing.
    pub unit: &'static str,
    /// What it means.
    pub help: &'static str,
    /// The label beside `site`, or nothing.
    pub label: &'static str,
}

const ON_AIR: Family = Family {
    name: "rackside_site_on_air",
    unit: "",
    help: "1 while the site is on air for this reason, else 0; on air it is while one of them is 1",
    label: "reason",
};
const PHASE: Family = Family {
    name: "rackside_site_show_phase",
    unit: "",
    help: "1 while a show of the site's calendar is in this phase (rig_up, live, strike), else 0",
    label: "phase",
};
const SHOW_END: Family = Family {
    name: "rackside_site_show_end_timestamp_seconds",
    unit: "seconds",
    help: "When the live part of the show that is live now ends, or that of the last one ended, since 1970",
    label: "",
};
const POWER: Family = Family {
    name: "rackside_site_power_expected",
    unit: "",
    help: "1 while the site's racks are meant to have power, 0 while they are off by plan",
    label: "",
};
const TALLIES: Family = Family {
    name: "rackside_site_tallies",
    unit: "",
    help: "Program tallies of the site by what they say (on, off, unknown)",
    label: "state",
};

/// All families, in the order of their names.
pub const FAMILIES: [Family; 5] = [ON_AIR, POWER, SHOW_END, PHASE, TALLIES];

/// A value of a family for a site.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Whose it is.
    pub family: &'static str,
    /// The value of the label beside `site`, or nothing.
    pub label: &'static str,
    /// The value.
    pub value: f64,
}

/// The series of a view.
pub fn series(view: &View) -> Vec<Sample> {
    let is = |family: Family, label, is: bool| {
        let value = f64::from(u8::from(is));
        Sample { family: family.name, label, value }
    };
    let mut all = Vec::with_capacity(12);
    all.extend(view.reasons.iter().map(|(reason, now)| is(ON_AIR, reason.as_str(), *now)));
    all.push(is(POWER, "", view.power_expected));
    if let Some(end) = view.show_end {
        all.push(Sample { family: SHOW_END.name, label: "", value: end as f64 / 1000.0 });
    }
    if let Some(phases) = view.phases {
        all.extend(Phase::ALL.iter().zip(phases).map(|(phase, now)| is(PHASE, phase.as_str(), now)));
    }
    if view.tallies != [0; 3] {
        let states = ["on", "off", "unknown"].into_iter().zip(view.tallies);
        all.extend(states.map(|(label, count)| Sample { family: TALLIES.name, label, value: count as f64 }));
    }
    all
}
