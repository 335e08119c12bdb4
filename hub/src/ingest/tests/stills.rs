//! What ingest promises of stills: they are shown to whom the pages let see them, and are nothing else: no record, no sign of life, not in the mirror.

use super::*;
use crate::stills::picture::tests::JPEG;

fn taken(desk: &Desk) -> usize {
    desk.ingest
        .stills()
        .map_or(0, |stills| stills.of(&Rack::new("arena-north", "rack-1").name, desk.now).count())
}

#[test]
fn a_still_is_no_record_and_no_sign_of_life_and_not_in_the_mirror() {
    let (mut desk, rack) = running();
    desk.ack();
    desk.ingest.mirror(true);
    desk.ingest.take_out();
    desk.ingest.take_changed();
    let (records, heard) = (desk.ingest.counts().records, desk.ingest.fleet().appliances()[0].since_ms);
    desk.take(rack.still("programme", JPEG, desk.now.utc_ms));
    assert_eq!(taken(&desk), 1);
    desk.after(1000);
    let said: Vec<String> = desk.ingest.take_out().into_iter().map(|message| message.topic).collect();
    assert_eq!((said, desk.ingest.take_changed()), (Vec::new(), Vec::new()));
    assert_eq!(desk.ingest.counts().records, records);
    assert_eq!(desk.ingest.fleet().appliances()[0].since_ms, heard);
}

#[test]
fn an_appliance_that_sends_nothing_but_stills_goes_down() {
    let (mut desk, rack) = running();
    assert!(desk.ingest.fleet().appliances()[0].state.is_up());
    for _ in 0..60 {
        desk.after(1000);
        desk.take(rack.still("programme", JPEG, desk.now.utc_ms));
    }
    assert!(!desk.ingest.fleet().appliances()[0].state.is_up());
}

#[test]
fn what_is_no_picture_or_was_kept_by_a_broker_or_is_of_nobody_is_refused() {
    let (mut desk, rack) = running();
    desk.take(rack.still("programme", b"<svg onload=alert(1)>", desk.now.utc_ms));
    desk.take_as(rack.still("programme", JPEG, desk.now.utc_ms), true);
    desk.take(Rack::new("arena-north", "rack-2").still("programme", JPEG, desk.now.utc_ms));
    assert_eq!((desk.rejected(Reason::Picture), taken(&desk)), (3, 0));
    assert_eq!(desk.ingest.fleet().appliances().len(), 1, "a still makes no appliance");
    let (topic, mut body) = rack.still("programme", JPEG, desk.now.utc_ms);
    body.truncate(20);
    desk.take((topic.clone(), body));
    desk.take((topic, vec![1; 64 * 1024 + 1]));
    assert_eq!((desk.rejected(Reason::Malformed), desk.rejected(Reason::TooLong), taken(&desk)), (1, 1, 0));
}

#[test]
fn a_still_is_forgotten_after_24_hours() {
    let (mut desk, rack) = running();
    desk.take(rack.still("programme", JPEG, desk.now.utc_ms));
    // The hub's loop turns once an hour here: nothing else is asked of it.
    for hour in 1..=24 {
        desk.now = desk.now.plus(Duration::from_hours(1));
        desk.turn();
        assert_eq!(taken(&desk), usize::from(hour < 24), "{hour} hours");
    }
}

#[test]
fn a_hub_that_wants_none_keeps_none() {
    let (mut desk, rack) = running();
    desk.ingest.without_stills();
    desk.take(rack.still("programme", JPEG, desk.now.utc_ms));
    assert_eq!((desk.rejected(Reason::NotSpoken), desk.ingest.stills().is_none()), (1, true));
}
