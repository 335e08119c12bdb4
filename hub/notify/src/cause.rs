//! What probably explains the alerts of a message, in one line, and how many alerts that explains.
//!
//! It is looked for at one site at a time: an appliance that is gone, then a way out that is closed, then the network, then the devices around the box. The
//! order is that of the rules' label `component`; what stands below explains what stands above. A guess: it silences nobody.
//!
//! Limit: a message about alerts of several sites, or of none, names no cause. With `group_by` without `site` that is most of them. What many sites have in
//! common (a carrier, a server that they all send to) is nobody's guess here; many that are gone at once are an outage (`outage.rs`).
//!
//! Sample: `StreamDown` and `PictureFrozen` at a site where `OnBackupUplink` fires: "hall/rack runs on its backup uplink, wwan0", explains 2.

use std::collections::{BTreeMap, BTreeSet};

use crate::book::{Book, Booked};
use crate::inhibit::{says_gone, says_no_way_out, text};
use crate::message::AlertId;
use crate::world::World;

/// What explains, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) id: AlertId,
    pub(crate) text: String,
    pub(crate) explains: usize,
}

/// What can explain what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Gone,
    NoWayOut,
    Network,
    Device,
    Stream,
    Other,
}

fn layer(booked: &Booked, world: &dyn World) -> Layer {
    if says_gone(&booked.labels, world) {
        return Layer::Gone;
    }
    if says_no_way_out(&booked.labels) {
        return Layer::NoWayOut;
    }
    match booked.labels.value("component") {
        "network" => Layer::Network,
        "device" => Layer::Device,
        "stream" => Layer::Stream,
        _ => Layer::Other,
    }
}

/// Whether an alert can be why another one fires at the same site.
fn can_explain(cause: &Booked, other: &Booked, world: &dyn World) -> bool {
    match layer(cause, world) {
        Layer::Gone => cause.appliance() == other.appliance() && layer(other, world) != Layer::Gone,
        Layer::NoWayOut | Layer::Network | Layer::Device => layer(other, world) == Layer::Stream,
        Layer::Stream | Layer::Other => false,
    }
}

/// What probably explains a message about these alerts; `sites` are all that fire.
pub(crate) fn of(told: &BTreeSet<AlertId>, book: &Book, sites: &Sites, world: &dyn World) -> Option<Cause> {
    let told: Vec<&Booked> = told.iter().filter_map(|id| book.alert(*id)).collect();
    let site = told.first()?.site();
    if site.is_empty() || told.iter().any(|booked| booked.site() != site) {
        return None;
    }
    let there: Vec<&Booked> = sites.0.get(site)?.iter().filter_map(|id| book.alert(*id)).collect();
    let is_concerned = |cause: &Booked| {
        told.iter().any(|booked| booked.id == cause.id || booked.fires() && can_explain(cause, booked, world))
    };
    let causes = there.iter().filter(|cause| layer(cause, world) < Layer::Stream && is_concerned(cause));
    let mut causes: Vec<(Layer, usize, &Booked)> = causes
        .map(|cause| {
            (
                layer(cause, world),
                there.iter().filter(|other| can_explain(cause, other, world)).count(),
                *cause,
            )
        })
        .filter(|(_, explains, _)| *explains > 0)
        .collect();
    causes.sort_by_key(|(layer, explains, cause)| (*layer, usize::MAX - explains, cause.starts_at, cause.id));
    let (_, explains, cause) = causes.first()?;
    Some(Cause { id: cause.id, text: text(cause), explains: *explains })
}

/// What fires, by site: gone through once for many messages.
#[derive(Debug, Default)]
pub(crate) struct Sites(BTreeMap<String, Vec<AlertId>>);

impl Sites {
    pub(crate) fn of(book: &Book) -> Self {
        let mut sites: BTreeMap<String, Vec<AlertId>> = BTreeMap::new();
        for booked in book.alerts().filter(|booked| booked.fires()) {
            match sites.get_mut(booked.site()) {
                Some(there) => there.push(booked.id),
                None => drop(sites.insert(booked.site().to_owned(), vec![booked.id])),
            }
        }
        Self(sites)
    }
}
