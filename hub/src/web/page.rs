//! `/`: the fleet. Rendered whole on the server, so that it reads without JavaScript; `fleet.js` then keeps it
//! fresh through `/api/live`.
//!
//! `?q=hall&tag=stage&state=trouble` leaves out what is not looked for; `?view=wall` is for a screen on the wall; `?fold=no` shows what is well in full, however many
//! appliances there are.

use super::accept::answer;
use super::alerts::on_call;
use super::api::Form;
use super::around::{Around, Fires, Venue};
use super::visitor::Visitor;
use super::{Troubles, Web, row};
use crate::clock::{self, Now};
use crate::moment::span;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use rackside_pages::Here;
use rackside_pages::fleet::{Filter, Fleet, Group, Hub, Row, Standing, Sum};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Web {
    fn page(&self, visitor: &Visitor, asked: &Form) -> String {
        let now = clock::now();
        let around = self.around(now);
        let mut groups = self.groups(visitor, &around, now);
        let troubles = self.troubles();
        let hub = if visitor.only().is_none() { hub(around.hub(), &troubles) } else { Hub::well() };
        let hub = Hub { starting: troubles.starting, ..hub };
        let sum = Sum::of(&groups, hub, |at| span(now.utc_ms.saturating_sub(at)));
        let tags: BTreeSet<String> = groups.iter().flat_map(|group| group.tags.iter().cloned()).collect();
        let wall = asked.first("view") == "wall";
        let fold = if wall { "no" } else { asked.first("fold") };
        let mut filter =
            Filter::new([asked.first("q"), asked.first("tag"), asked.first("state"), fold], tags);
        let any_left = filter.apply(&mut groups);
        let fleet = Fleet {
            frame: self.live_frame("", Here::Fleet, visitor),
            empty: groups.is_empty(),
            address: self.way.address(),
            broker: self.way.is_broker(),
            wall,
            sum,
            on_call: self.notifications.look(|notifier, _| on_call(notifier, now.utc_ms as i64)),
            filter,
            none_left: !any_left,
            groups,
            blank: vec![Group { rows: vec![Row::default()], ..Group::default() }],
        };
        fleet.html()
    }

    /// Every site that `visitor` sees, the worst first.
    fn groups(&self, visitor: &Visitor, around: &Around, now: Now) -> Vec<Group> {
        let curves = self.sparks.newest(&self.queries, now);
        let mut rows: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        {
            let ingest = self.shared.read();
            for appliance in ingest.fleet().in_service() {
                let row = row::of(appliance, now, around);
                rows.entry(row.site.clone()).or_default().push(row);
            }
        }
        for site in around.venues().keys() {
            rows.entry(site.clone()).or_default();
        }
        let mut groups: Vec<Group> = rows
            .into_iter()
            .map(|(site, rows)| group(&site, around.venue(&site), rows))
            .filter(|group| visitor.sees(&group.site, &group.tags))
            .collect();
        for row in groups.iter_mut().flat_map(|group| &mut group.rows) {
            let name = (row.site.clone(), row.appliance.clone());
            row.spark = curves.get(&name).cloned().unwrap_or_default();
        }
        groups.sort_by_cached_key(|group| (rank(group), !group.air.on, group.title.clone()));
        groups
    }
}

/// How the hub itself is: what fires of it, and what keeps it from its work.
pub(super) fn hub(fires: &Fires, troubles: &Troubles) -> Hub {
    let is_kept = troubles.is_any();
    let standing = if is_kept { Standing::Critical } else { fires.standing() };
    Hub {
        alert: fires.link(),
        state: standing.as_str(),
        trouble: standing.is_trouble(),
        // That somebody has the alert in hand does not mean the rest of it.
        hand: if is_kept { String::new() } else { fires.hand() },
        told: fires.told(),
        since_ms: fires.since().unwrap_or(0),
        starting: troubles.starting.clone(),
    }
}

/// What there is of a site.
pub(super) fn group(site: &str, venue: Option<&Venue>, mut rows: Vec<Row>) -> Group {
    rows.sort_by(|a, b| (a.rank, &a.appliance).cmp(&(b.rank, &b.appliance)));
    let own = venue.map_or(Standing::Well, |venue| venue.fires.standing());
    let worst = rows.first().filter(|row| row.rank < own as u8);
    Group {
        site: site.to_owned(),
        title: venue.map_or_else(|| site.to_owned(), |venue| venue.title.clone()),
        tags: venue.map(|venue| venue.tags.clone()).unwrap_or_default(),
        state: worst.map_or(own.as_str(), |row| row.state),
        own: own.as_str(),
        trouble: worst.map_or(own.is_trouble(), |row| row.trouble),
        air: venue.map(|venue| venue.air.clone()).unwrap_or_default(),
        alert: venue.map(|venue| venue.fires.link()).unwrap_or_default(),
        hand: venue.map(|venue| venue.fires.hand()).unwrap_or_default(),
        told: venue.map(|venue| venue.fires.told()).unwrap_or_default(),
        rows,
        hidden: false,
        folded: false,
        gone: false,
    }
}

fn rank(group: &Group) -> usize {
    let own = Standing::ALL.iter().position(|standing| standing.as_str() == group.own);
    let rows = group.rows.iter().map(|row| usize::from(row.rank));
    rows.chain(own).min().unwrap_or(Standing::Well as usize)
}

pub(super) async fn page(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let asked = Form::of_address(&uri);
    whole(headers, move || web.page(&visitor, &asked)).await
}

/// A page, written on a thread that serves nobody else.
pub(super) async fn whole(headers: HeaderMap, page: impl FnOnce() -> String + Send + 'static) -> Response {
    let writing = tokio::task::spawn_blocking(move || answer(&headers, "text/html; charset=utf-8", page()));
    writing.await.expect("writing the page does not panic, and is not cancelled")
}
