//! Curves are what a query over the same samples says, wherever those are: in memory, in the inbox, in columns, in rollups.

use super::tests::{DAY0, Desk};
use super::*;
use crate::rack::{Rack, Sent, series};
use rackside_history::Step;
use rackside_pages::chart::{Column, Curve};
use rackside_proto::{AgentName, Sending, Time};
use std::time::Duration;

const TICK: u64 = 10_000;
const MINUTE: i64 = 60_000;

fn never() -> Option<Stop> {
    None
}

fn curve(queries: &Fleetwide, range: std::ops::Range<i64>, width: usize, now: Now) -> Option<Curve> {
    let agent = AgentName::new("arena-north", "rack-1").expect("a name");
    let wanted = WantedCurves { agent: &agent, range, width, pause: 25_000, only: None, stopped: &never };
    let curves = queries.curves(&wanted, &|_| None, now).expect("it is read");
    curves.into_iter().find(|one| &*one.name.metric == "a").map(|one| one.curve)
}

/// A rack that reads every ten seconds; from 200 to 260 nothing comes in, and what comes later is given back.
fn desk(readings: u64) -> (Desk, Rack, Vec<Sent>) {
    let mut desk = Desk::new();
    let mut rack = Rack::new("arena-north", "rack-1");
    desk.take(rack.presence(true));
    desk.take(rack.catalog(&[series("a", &[])]));
    let mut held = Vec::new();
    for nth in 0..readings {
        desk.pass(TICK);
        rack.time = Time::Utc { ms: desk.now.utc_ms };
        let value = if nth == 150 { 9_000 } else { 400 + nth as i64 % 7 };
        if (200..260).contains(&nth) {
            rack.sending = Sending::Again;
            held.push(rack.numbers(&[value * 1000]));
            rack.sending = Sending::First;
        } else {
            let sent = rack.numbers(&[value * 1000]);
            desk.take(sent);
        }
    }
    (desk, rack, held)
}

fn settled(desk: &mut Desk) {
    while desk.store.maintain(desk.now.utc_ms, Duration::from_hours(24)).expect("it works") == Step::More {}
}

#[test]
fn a_spike_is_there_and_what_comes_later_fills_its_gap() {
    let (mut desk, _, held) = desk(400);
    let range = DAY0 as i64..desk.now.utc_ms as i64;
    let before = curve(&desk.queries, range.clone(), 100, desk.now).expect("a curve");
    let spiked = before.columns.iter().map(|column| column.max).fold(0.0, f64::max);
    assert!((spiked - 9_000.0).abs() < 1e-9, "one reading of 400: {spiked}");
    assert_eq!(before.gaps().len(), 1, "{:?}", before.gaps());
    for sent in held {
        desk.take(sent);
    }
    let after = curve(&desk.queries, range, 100, desk.now).expect("a curve");
    assert_eq!(after.gaps(), [], "in its place");
}

#[test]
fn memory_inbox_columns_and_rollups_say_the_same() {
    let (mut desk, mut rack, held) = desk(2_000);
    for sent in held {
        desk.take(sent);
    }
    let now = desk.now;
    let range = DAY0 as i64..now.utc_ms as i64;
    let all = curve(&desk.queries, range.clone(), 40, now).expect("a curve");
    let older = desk.without_memory();
    assert_eq!(curve(&older, range.clone(), 40, now).as_ref(), Some(&all), "from the inbox");
    desk.pass(3 * 3_600_000);
    settled(&mut desk);
    assert_eq!(curve(&older, range.clone(), 40, desk.now).as_ref(), Some(&all), "from columns");
    // Old enough to be rolled up; nothing is while nobody knows that the hub's clock is right.
    desk.pass(40 * 86_400_000);
    rack.time = Time::Utc { ms: desk.now.utc_ms };
    let sent = rack.numbers(&[0]);
    desk.take(sent);
    desk.store.vouch();
    settled(&mut desk);
    let then = desk.now;
    let rolled = curve(&older, range, 40, then).expect("a curve");
    let extremes = |columns: &[Column]| {
        let low = columns.iter().map(|column| column.min).fold(f64::MAX, f64::min);
        (low, columns.iter().map(|column| column.max).fold(0.0, f64::max))
    };
    assert_eq!(extremes(&rolled.columns), extremes(&all.columns), "the spike outlives its samples");
    assert_eq!((rolled.columns.len(), rolled.gaps()), (40, vec![]));
}

#[test]
fn who_asked_and_left_ends_it() {
    let (desk, ..) = desk(50);
    let agent = AgentName::new("arena-north", "rack-1").expect("a name");
    let stopped = || Some(Stop::Canceled);
    let range = DAY0 as i64 - MINUTE..DAY0 as i64 + MINUTE;
    let wanted =
        WantedCurves { agent: &agent, range, width: 10, pause: 25_000, only: None, stopped: &stopped };
    let older = desk.without_memory();
    assert_eq!(older.curves(&wanted, &|_| None, desk.now), Err(SourceError::Stopped(Stop::Canceled)));
}
