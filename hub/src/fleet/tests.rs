//! What the fleet promises, appliance by appliance.

use super::*;
use crate::clock;
use crate::rack::{Rack, vitals};
use rackside_promql::{Answer, Limits, Query};
use rackside_proto::{Channel, ClockSource, Data, Event, Message, Reason, Time, What};
use std::time::Duration;

/// Hands messages to the fleet without accounting for them.
struct Desk {
    fleet: Fleet,
    now: Now,
}

impl Desk {
    fn new() -> Self {
        Self { fleet: Fleet::default(), now: clock::now() }
    }

    fn after(&mut self, seconds: f64) {
        self.now = self.now.plus(Duration::from_secs_f64(seconds));
        self.fleet.sweep(self.now);
    }

    fn take(&mut self, sent: (String, Vec<u8>)) {
        self.take_as(sent, false);
    }

    fn take_as(&mut self, (topic, body): (String, Vec<u8>), retained: bool) {
        let mut words = topic.split('/').skip(2);
        let mut word = || words.next().expect("a topic has five words");
        let name = AgentName::new(word(), word()).expect("ids");
        let channel: Channel = word().parse().expect("a channel");
        let slot = self.fleet.open(&name, self.now).expect("room");
        match Message::decode(channel, &body).expect("a Rack encodes what the wire allows") {
            Message::Presence(presence) => {
                self.fleet.presence(slot, &presence, retained, self.now);
            }
            Message::Birth(birth) => self.fleet.birth(slot, &birth, retained, self.now),
            Message::Data(record) => match record.body {
                Data::Catalog(catalog) => {
                    self.fleet.catalog(slot, record.envelope.run, &catalog).expect("room");
                }
                Data::Readings(readings) => {
                    self.fleet.readings(slot, &record.envelope, &readings, self.now).expect("understood");
                }
            },
            Message::Event(record) => {
                let Event { what: What::Sample { catalog, series, value }, .. } = record.body else { return };
                self.fleet
                    .sample(slot, &record.envelope, (catalog, series, value), record.body.time, self.now)
                    .expect("understood");
            }
            other => panic!("not for the hub: {other:?}"),
        }
    }

    fn rack(&self) -> &Appliance {
        &self.fleet.appliances()[0]
    }

    fn temperature(&self) -> Option<f64> {
        let latest = self.rack().shown()?.latest.as_ref()?;
        latest.quantity_of("rackside_soc_temperature_celsius")
    }
}

/// A rack that is up and has shown 40.0 degrees.
fn running() -> (Desk, Rack) {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    desk.take(rack.presence(true));
    desk.take(rack.birth());
    desk.take(rack.catalog(&vitals()));
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    (desk, rack)
}

#[test]
fn a_reading_becomes_quantities() {
    let (desk, _) = running();
    assert_eq!(desk.temperature(), Some(40.0));
    assert!(desk.rack().state.is_up());
}

#[test]
fn an_older_reading_never_replaces_a_newer_one() {
    let (mut desk, mut rack) = running();
    let late = rack.numbers(&[411, 0, 0, 0, 0]);
    desk.take(rack.numbers(&[422, 0, 0, 0, 0]));
    desk.take(late);
    assert_eq!(desk.temperature(), Some(42.2));
}

#[test]
fn an_event_is_newer_than_the_reading_before_it_only() {
    let (mut desk, mut rack) = running();
    let (catalog, sample) = (rack.number, |value| What::Sample { catalog: 1, series: 0, value });
    assert_eq!(catalog, 1);
    let overtaken = rack.numbers(&[410, 0, 0, 0, 0]);
    desk.take(rack.event(sample(Value::Known(500))));
    assert_eq!(desk.temperature(), Some(50.0));
    desk.take(overtaken);
    assert_eq!(desk.temperature(), Some(50.0), "the event was later");
    desk.take(rack.numbers(&[420, 0, 0, 0, 0]));
    assert_eq!(desk.temperature(), Some(42.0));
}

#[test]
fn a_will_takes_it_down_and_a_late_one_does_not() {
    let (mut desk, mut rack) = running();
    let late = rack.presence(false);
    desk.after(1.0);
    rack.connection = 2;
    desk.take(rack.presence(true));
    desk.take(late);
    assert!(desk.rack().state.is_up(), "an older connection's will");
    desk.take(rack.presence(false));
    assert_eq!(desk.rack().state, State::Gone(Reason::Will));
}

#[test]
fn the_will_of_a_run_before_is_ignored_even_if_that_run_was_never_seen() {
    let (mut desk, rack) = running();
    desk.take(rack.started_again(1).presence(false));
    assert!(desk.rack().state.is_up());
    assert_eq!(desk.rack().shown().map(|run| run.run), Some(rack.run));
}

#[test]
fn a_record_that_was_on_its_way_does_not_undo_the_end() {
    let (mut desk, mut rack) = running();
    let on_its_way = rack.numbers(&[401, 0, 0, 0, 0]);
    desk.take(rack.presence(false));
    desk.take(on_its_way);
    assert!(!desk.rack().state.is_up());
    desk.after(5.0);
    desk.take(rack.numbers(&[402, 0, 0, 0, 0]));
    assert!(desk.rack().state.is_up(), "but one that comes later is life");
}

#[test]
fn silence_is_noticed_after_three_ticks() {
    let (mut desk, _) = running();
    desk.after(30.0);
    assert!(desk.rack().state.is_up());
    desk.after(1.0);
    assert_eq!(desk.rack().state, State::Silent);
}

#[test]
fn who_collects_readings_is_silent_after_three_times_the_interval_that_it_told() {
    let (mut desk, mut rack) = running();
    rack.interval_ms = Some(60_000);
    desk.take(rack.birth());
    desk.after(120.0);
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    desk.after(180.0);
    assert!(desk.rack().state.is_up());
    desk.after(1.0);
    assert_eq!(desk.rack().state, State::Silent);
    // Back on a line that costs nothing.
    rack.interval_ms = None;
    desk.take(rack.birth());
    desk.after(31.0);
    assert_eq!(desk.rack().state, State::Silent);
}

#[test]
fn an_interval_below_the_tick_is_the_tick() {
    let (mut desk, mut rack) = running();
    rack.interval_ms = Some(0);
    desk.take(rack.birth());
    desk.after(30.0);
    assert!(desk.rack().state.is_up());
}

#[test]
fn of_several_readings_in_a_record_the_last_is_the_latest() {
    let (mut desk, mut rack) = running();
    let early = rack.event(What::Sample { catalog: 1, series: 0, value: Value::Known(999) });
    let [one, two, three] = [430, 431, 432].map(|number| [number, 0, 0, 0, 0].map(Value::Known));
    desk.take(rack.readings(&[&one, &two, &three]));
    assert_eq!(desk.temperature(), Some(43.2));
    desk.take(early);
    assert_eq!(desk.temperature(), Some(43.2), "an event that was made before the record");
}

#[test]
fn silence_is_never_noticed_before_fifteen_seconds() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    rack.tick_ms = 500;
    desk.take(rack.presence(true));
    desk.take(rack.birth());
    desk.after(15.0);
    assert!(desk.rack().state.is_up());
    desk.after(0.5);
    assert_eq!(desk.rack().state, State::Silent);
}

#[test]
fn a_tick_that_nobody_can_mean_does_not_keep_it_up_for_ever() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    rack.tick_ms = u32::MAX;
    desk.take(rack.birth());
    desk.after(1801.0);
    assert_eq!(desk.rack().state, State::Silent);
}

#[test]
fn the_backlog_is_no_sign_of_life() {
    let (mut desk, mut rack) = running();
    desk.take(rack.presence(false));
    desk.after(10.0);
    rack.sending = Sending::Again;
    desk.take(rack.numbers(&[430, 0, 0, 0, 0]));
    assert!(!desk.rack().state.is_up());
}

#[test]
fn a_new_run_takes_over_at_once() {
    let (mut desk, rack) = running();
    let mut second = rack.started_again(2);
    desk.take(second.presence(true));
    desk.take(second.catalog(&vitals()));
    desk.take(second.numbers(&[600, 0, 0, 0, 0]));
    assert_eq!(desk.temperature(), Some(60.0));
    assert_eq!(desk.rack().live_runs(desk.now), 1);
}

#[test]
fn the_backlog_of_a_run_before_does_not_show() {
    let (mut desk, mut rack) = running();
    let mut second = rack.started_again(2);
    desk.take(second.presence(true));
    desk.take(second.catalog(&vitals()));
    desk.take(second.numbers(&[600, 0, 0, 0, 0]));
    rack.sending = Sending::Again;
    for n in 0..10 {
        desk.after(1.0);
        desk.take(rack.numbers(&[n, 0, 0, 0, 0]));
    }
    assert_eq!(desk.temperature(), Some(60.0));
    assert_eq!(desk.rack().live_runs(desk.now), 1);
}

#[test]
fn two_machines_with_one_name_are_seen_and_never_mixed() {
    let (mut desk, mut rack) = running();
    let mut second = rack.started_again(2);
    desk.take(second.presence(true));
    desk.take(second.catalog(&vitals()));
    for n in 0..5 {
        desk.after(5.0);
        desk.take(rack.numbers(&[400 + n, 0, 0, 0, 0]));
        desk.take(second.numbers(&[600 + n, 0, 0, 0, 0]));
        assert_eq!(desk.temperature(), Some((600 + n) as f64 / 10.0), "the newest run is shown");
        assert_eq!(desk.rack().live_runs(desk.now), 2);
    }
    // The older machine is switched off; a minute later the warning is gone.
    for _ in 0..6 {
        desk.after(10.0);
        desk.take(second.numbers(&[600, 0, 0, 0, 0]));
    }
    assert_eq!(desk.rack().live_runs(desk.now), 1);
}

#[test]
fn two_machines_that_send_rarely_are_two_all_the_time() {
    let (mut desk, mut rack) = running();
    rack.interval_ms = Some(60_000);
    desk.take(rack.birth());
    let mut second = rack.started_again(2);
    second.interval_ms = Some(60_000);
    desk.take(second.presence(true));
    desk.take(second.birth());
    desk.take(second.catalog(&vitals()));
    for n in 0..4 {
        desk.after(5.0);
        desk.take(rack.numbers(&[400 + n, 0, 0, 0, 0]));
        desk.after(55.0);
        desk.take(second.numbers(&[600 + n, 0, 0, 0, 0]));
        // More than a minute after the first was heard last.
        desk.after(6.0);
        assert_eq!(desk.rack().live_runs(desk.now), 2);
    }
}

#[test]
fn when_the_newer_of_two_machines_goes_the_older_is_shown() {
    let (mut desk, mut rack) = running();
    let second = rack.started_again(2);
    desk.take(second.presence(true));
    desk.after(5.0);
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    desk.take(second.presence(false));
    desk.after(5.0);
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    assert!(desk.rack().state.is_up());
    assert_eq!(desk.temperature(), Some(40.1));
}

#[test]
fn a_last_record_right_after_a_restart_is_no_second_machine() {
    let (mut desk, mut rack) = running();
    desk.take(rack.started_again(2).presence(true));
    desk.after(2.5);
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    assert_eq!(desk.rack().live_runs(desk.now), 1);
}

#[test]
fn what_a_broker_kept_says_up_once_and_never_again() {
    let (mut desk, rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    desk.take_as(rack.presence(true), true);
    desk.take_as(rack.birth(), true);
    assert!(desk.rack().state.is_up());
    desk.after(40.0);
    assert_eq!(desk.rack().state, State::Silent);
    desk.take_as(rack.presence(true), true);
    assert_eq!(desk.rack().state, State::Silent, "the link to the broker came back, the agent did not");
}

#[test]
fn a_large_catalog_makes_room_for_itself() {
    let names: Vec<String> = (0..rackside_proto::limits::SERIES).map(|n| format!("m{n}")).collect();
    let list: Vec<_> = names.iter().map(|name| crate::rack::series(name, &[])).collect();
    let (mut desk, mut rack) = running();
    for _ in 0..6 {
        desk.take(rack.catalog(&list));
    }
    assert!(desk.rack().series_kept() <= SERIES_EACH);
    assert!(desk.rack().shown().is_some_and(|run| run.has_listing(rack.number)));
}

#[test]
fn the_layout_changes_with_the_catalog_and_not_with_values() {
    let (mut desk, mut rack) = running();
    let before = desk.fleet.layout();
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    desk.take(rack.presence(false));
    assert_eq!(desk.fleet.layout(), before);
    desk.take(rack.catalog(&vitals()));
    desk.take(rack.numbers(&[402, 0, 0, 0, 0]));
    assert!(desk.fleet.layout() > before);
}

/// What the 8 newest catalogs leave no room for is forgotten, and its number may come again with other series.
fn with_catalog_1_replaced(first: &[&'static str], again: &[&'static str], event: u32) -> (Desk, Rack) {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    let list = |names: &[&'static str]| -> Vec<_> {
        names.iter().map(|name| crate::rack::series(name, &[])).collect()
    };
    desk.take(rack.catalog(&list(first)));
    desk.take(rack.numbers(&vec![1; first.len()]));
    if (event as usize) < first.len() {
        let mut later = rack.clone();
        later.seq += 100;
        desk.take(later.event(What::Sample { catalog: 1, series: event, value: Value::Known(9) }));
    }
    for _ in 0..8 {
        desk.take(rack.catalog(&list(&["other"])));
    }
    rack.number = 0;
    desk.take(rack.catalog(&list(again)));
    (desk, rack)
}

#[test]
fn a_catalog_that_comes_back_shorter_under_its_number_does_no_harm() {
    let (mut desk, mut rack) = with_catalog_1_replaced(&["a", "b", "c"], &["x"], 2);
    desk.take(rack.numbers(&[5]));
    let latest = desk.rack().shown().and_then(|run| run.latest.as_ref()).expect("values");
    assert_eq!((latest.values.len(), latest.quantity_of("x")), (1, Some(0.005)));
}

#[test]
fn a_catalog_that_comes_back_longer_under_its_number_does_no_harm() {
    let (mut desk, mut rack) = with_catalog_1_replaced(&["a"], &["x", "y", "z"], 9);
    let before = desk.fleet.layout();
    desk.take(rack.event(What::Sample { catalog: 1, series: 2, value: Value::Known(9) }));
    desk.take(rack.numbers(&[1, 2, 3]));
    let latest = desk.rack().shown().and_then(|run| run.latest.as_ref()).expect("values");
    assert_eq!(latest.quantity_of("z"), Some(0.003));
    assert!(desk.fleet.layout() > before, "what is laid out along the old series is laid out anew");
}

#[test]
fn an_old_presence_that_a_broker_kept_does_not_take_over_from_who_lives() {
    let (mut desk, mut rack) = running();
    // The broker came back from an old copy of its store, and the hub's link before the agent's.
    desk.take_as(rack.started_again(1).presence(true), true);
    desk.take_as(rack.started_again(1).birth(), true);
    assert_eq!(desk.temperature(), Some(40.0));
    rack.connection = 2;
    desk.take(rack.presence(true));
    desk.after(5.0);
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    assert_eq!(desk.temperature(), Some(40.1));
    assert_eq!(desk.rack().live_runs(desk.now), 1);
}

#[test]
fn a_new_run_of_which_a_broker_kept_the_presence_takes_over_when_it_is_heard() {
    let (mut desk, rack) = running();
    // The agent was started again while the hub's link to the broker was down.
    let mut second = rack.started_again(2);
    desk.take_as(second.presence(true), true);
    desk.take(second.catalog(&vitals()));
    desk.take(second.numbers(&[600, 0, 0, 0, 0]));
    assert_eq!(desk.temperature(), Some(60.0));
    assert_eq!(desk.rack().live_runs(desk.now), 1);
    desk.take(second.presence(false));
    assert_eq!(desk.rack().state, State::Gone(Reason::Will));
}

#[test]
fn a_second_machine_that_leaves_is_no_second_machine_any_more() {
    let (mut desk, mut rack) = running();
    desk.take(rack.started_again(2).presence(true));
    desk.after(5.0);
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    assert_eq!(desk.rack().live_runs(desk.now), 2);
    desk.take(rack.presence(false));
    assert_eq!(desk.rack().live_runs(desk.now), 1);
}

#[test]
fn a_machine_that_was_replaced_and_goes_on_talking_is_told_from_a_second_one() {
    let (mut desk, mut rack) = running();
    desk.after(1.0);
    let replaced = desk.now.utc_ms;
    desk.after(1.0);
    let next = rack.started_again(2);
    desk.take(next.presence(true));
    assert!(!desk.rack().lives_on(replaced, desk.now), "nobody else is heard");
    desk.after(5.0);
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    assert_eq!(desk.rack().live_runs(desk.now), 2);
    assert!(desk.rack().lives_on(replaced, desk.now));
    assert!(!desk.rack().lives_on(replaced - 60_000, desk.now), "both began after that");
    assert!(!desk.rack().lives_on(desk.now.utc_ms + 1, desk.now), "both began before that");
    // A broker that lets in one of them at a time has them take turns.
    desk.take(rack.presence(false));
    assert!(desk.rack().live_runs(desk.now) == 1 && desk.rack().lives_on(replaced, desk.now));
    desk.after(61.0);
    desk.take(next.presence(true));
    assert!(!desk.rack().lives_on(replaced, desk.now), "it was switched off a minute ago");
}

#[test]
fn a_clock_that_nobody_has_set_is_the_hubs() {
    let (mut desk, mut rack) = running();
    let source = |desk: &Desk| desk.rack().shown().and_then(RunState::clock_source);
    assert_eq!(source(&desk), Some(ClockSource::Hub), "dated when it came");
    rack.time = Time::Utc { ms: desk.now.utc_ms };
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    assert_eq!(source(&desk), Some(ClockSource::None), "as it says itself");
    rack.time = Time::Utc { ms: 5_000 };
    desk.take(rack.numbers(&[402, 0, 0, 0, 0]));
    assert_eq!(source(&desk), Some(ClockSource::Hub), "1970 is no time");
}

#[test]
fn what_is_known_from_before_is_shown_and_is_silent_after_a_minute() {
    let mut desk = Desk::new();
    let (rack, before) = (Rack::new("arena-north", "rack-1"), desk.now.utc_ms - 3_600_000);
    desk.fleet.recollect(&rack.name, before, desk.now).expect("room");
    assert_eq!((desk.rack().state, desk.rack().since_ms), (State::Unknown, before));
    assert_eq!(desk.rack().seen.utc_ms, before);
    desk.after(60.0);
    assert_eq!(desk.rack().state, State::Unknown);
    desk.after(1.0);
    assert_eq!((desk.rack().state, desk.rack().since_ms), (State::Silent, before));
    desk.take(rack.presence(true));
    assert!(desk.rack().state.is_up());
}

#[test]
fn what_a_retired_box_goes_on_saying_is_no_series() {
    let (mut desk, mut rack) = running();
    let series = |desk: &mut Desk| {
        let feed = desk.fleet.feed();
        let series =
            crate::query::Fleetwide::new(Arc::clone(feed.recent()), Arc::clone(feed.derived()), None);
        let query = Query::parse("count({appliance=\"rack-1\"})").expect("a query");
        let outcome = query.instant(&series, desk.now.utc_ms as i64, &Limits::default()).expect("answered");
        let Answer::Vector(points) = outcome.answer else { panic!("no vector") };
        points.first().map_or(0, |point| point.sample.value as usize)
    };
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    assert!(series(&mut desk) > 1);
    let retired = BTreeMap::from([(rack.name.clone(), 7)]);
    desk.fleet.set_retired(&retired, desk.now);
    desk.after(1.0);
    desk.take(rack.numbers(&[402, 0, 0, 0, 0]));
    assert_eq!(series(&mut desk), 0);
    assert!(desk.rack().state.is_up(), "it is heard all the same");
    desk.after(1.0);
    desk.fleet.set_retired(&BTreeMap::new(), desk.now);
    desk.take(rack.numbers(&[403, 0, 0, 0, 0]));
    assert!(series(&mut desk) > 1, "in service again");
}

#[test]
fn nobody_waits_for_who_is_retired_until_it_is_back() {
    let mut desk = Desk::new();
    let (rack, other) = (Rack::new("arena-north", "rack-1"), Rack::new("arena-north", "rack-2"));
    for rack in [&rack, &other] {
        desk.take(rack.presence(true));
    }
    let up = |desk: &mut Desk| {
        let feed = desk.fleet.feed();
        let series =
            crate::query::Fleetwide::new(Arc::clone(feed.recent()), Arc::clone(feed.derived()), None);
        let query = Query::parse("rackside_appliance_up{appliance=\"rack-1\"}").expect("a query");
        let outcome = query.instant(&series, desk.now.utc_ms as i64, &Limits::default()).expect("answered");
        let Answer::Vector(points) = outcome.answer else { panic!("no vector") };
        points.first().map(|point| point.sample.value)
    };
    assert_eq!(up(&mut desk), Some(1.0));
    assert_eq!((desk.fleet.up(), desk.fleet.in_service().count()), (2, 2));
    let layout = desk.fleet.layout();
    desk.fleet.take_changed();
    let retired = BTreeMap::from([(rack.name.clone(), 7)]);
    assert_eq!(desk.fleet.set_retired(&retired, desk.now), std::slice::from_ref(&rack.name));
    assert!(desk.fleet.set_retired(&retired, desk.now).is_empty(), "it is no news any more");
    assert!(desk.fleet.layout() != layout && desk.fleet.take_changed() == [0]);
    assert_eq!((desk.fleet.up(), desk.fleet.in_service().count()), (1, 1));
    assert_eq!(up(&mut desk), None, "its series ends");
    desk.take(rack.presence(false));
    assert_eq!(up(&mut desk), None, "and is not down afterwards");
    desk.after(1.0);
    assert_eq!(desk.fleet.set_retired(&BTreeMap::new(), desk.now).len(), 1);
    assert_eq!(up(&mut desk), Some(0.0), "it is waited for again");
    assert_eq!(desk.fleet.in_service().count(), 2);
}
