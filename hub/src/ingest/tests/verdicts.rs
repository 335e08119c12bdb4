//! What ingest promises of verdicts: everybody who is up hears how it stands, at once and again and again; nobody hears better than is known.

use super::*;
use rackside_alerting::{Severity as Badness, Standings};
use rackside_proto::{Severity, Verdict};

fn verdicts(desk: &mut Desk) -> usize {
    desk.ingest.take_out().iter().filter(|message| message.topic.ends_with("/verdict")).count()
}

fn told(desk: &mut Desk) -> Vec<Verdict> {
    let out = desk.ingest.take_out();
    let verdicts = out.iter().filter(|message| message.topic.ends_with("/verdict"));
    verdicts.map(|message| Verdict::decode(&message.payload).expect("a verdict")).collect()
}

/// What fires: site, appliance, how bad.
fn stand(desk: &mut Desk, firing: &[(&str, &str, Badness)]) {
    let firing =
        firing.iter().map(|(site, appliance, badness)| ((*site).into(), (*appliance).into(), *badness));
    let standings: Standings = firing.collect();
    desk.ingest.stand(Arc::new(standings), desk.now);
}

#[test]
fn whoever_stands_differently_is_told_at_once_and_nobody_else() {
    let (mut desk, _) = running();
    let other = Rack::new("arena-north", "rack-2");
    desk.take(other.presence(true));
    desk.take(other.birth());
    told(&mut desk);
    stand(
        &mut desk,
        &[("arena-north", "rack-2", Badness::Critical), ("arena-north", "rack-3", Badness::Info)],
    );
    let out = desk.ingest.take_out();
    let topics: Vec<&str> = out.iter().map(|message| message.topic.as_str()).collect();
    assert_eq!(topics, ["rackside/1/arena-north/rack-2/verdict"]);
    let verdict = Verdict::decode(&out[0].payload).expect("a verdict");
    assert_eq!(verdict, Verdict { severity: Severity::Critical, firing: 1, valid_s: 90 });
    stand(&mut desk, &[("arena-north", "rack-2", Badness::Critical), ("tent", "", Badness::Warning)]);
    assert_eq!(told(&mut desk), []);
    stand(&mut desk, &[]);
    assert_eq!(told(&mut desk), [Verdict { severity: Severity::Well, firing: 0, valid_s: 90 }]);
}

#[test]
fn an_alert_of_a_site_concerns_all_its_appliances_and_the_worst_counts() {
    let (mut desk, _) = running();
    told(&mut desk);
    let site = ("arena-north", "", Badness::Warning);
    stand(&mut desk, &[site]);
    assert_eq!(told(&mut desk), [Verdict { severity: Severity::Warning, firing: 1, valid_s: 90 }]);
    stand(&mut desk, &[site, ("arena-north", "rack-1", Badness::Info)]);
    assert_eq!(told(&mut desk), [Verdict { severity: Severity::Warning, firing: 2, valid_s: 90 }]);
    desk.after(29_999);
    assert_eq!(told(&mut desk), []);
    desk.after(1);
    assert_eq!(
        told(&mut desk),
        [Verdict { severity: Severity::Warning, firing: 2, valid_s: 90 }],
        "repeated"
    );
}

#[test]
fn an_appliance_that_is_gone_gets_no_verdict_until_it_is_heard_again() {
    let (mut desk, mut rack) = running();
    desk.take(rack.presence(false));
    told(&mut desk);
    stand(&mut desk, &[("arena-north", "rack-1", Badness::Critical)]);
    desk.after(60_000);
    assert_eq!(told(&mut desk), []);
    desk.after(10_000);
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    assert_eq!(
        told(&mut desk),
        [Verdict { severity: Severity::Critical, firing: 1, valid_s: 90 }],
        "no birth came"
    );
}

#[test]
fn what_changes_while_an_appliance_is_briefly_gone_is_told_with_its_first_word() {
    let (mut desk, mut rack) = running();
    desk.take(rack.presence(false));
    stand(&mut desk, &[("arena-north", "rack-1", Badness::Warning)]);
    told(&mut desk);
    desk.after(5_000);
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    assert_eq!(told(&mut desk), [Verdict { severity: Severity::Warning, firing: 1, valid_s: 90 }]);
}

#[test]
fn what_was_restored_stands_in_the_first_verdict_after_a_start() {
    let (mut desk, rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    stand(&mut desk, &[("arena-north", "rack-1", Badness::Critical)]);
    desk.take(rack.presence(true));
    desk.take(rack.birth());
    assert_eq!(told(&mut desk), [Verdict { severity: Severity::Critical, firing: 1, valid_s: 90 }]);
}

#[test]
fn a_birth_is_answered_with_a_verdict_that_is_repeated_every_third_of_its_validity() {
    let (mut desk, _) = running();
    assert_eq!(verdicts(&mut desk), 1);
    desk.after(29_999);
    assert_eq!(verdicts(&mut desk), 0);
    desk.after(1);
    assert_eq!(verdicts(&mut desk), 1);
    desk.after(10_000);
    desk.after(50_000);
    assert_eq!(verdicts(&mut desk), 0, "it has been silent: it gets one with its next birth");
}

#[test]
fn who_sends_rarely_gets_verdicts_rarely_that_hold_the_longer() {
    let (mut desk, mut rack) = running();
    desk.ingest.take_out();
    rack.interval_ms = Some(60_000);
    desk.take(rack.birth());
    let told = |desk: &mut Desk| -> Vec<u32> { told(desk).iter().map(|verdict| verdict.valid_s).collect() };
    assert_eq!(told(&mut desk), [180]);
    desk.after(59_999);
    assert_eq!(told(&mut desk), [0; 0]);
    desk.after(1);
    assert_eq!(told(&mut desk), [180]);
}

#[test]
fn an_agent_whose_link_outlived_the_hub_gets_its_verdict_without_a_birth() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    rack.catalog(&vitals());
    desk.take_as(rack.presence(true), true);
    desk.take_as(rack.birth(), true);
    assert_eq!(verdicts(&mut desk), 0, "nobody was heard to live");
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    assert_eq!(verdicts(&mut desk), 1);
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    assert_eq!(verdicts(&mut desk), 0, "once");
}

#[test]
fn an_agent_that_was_silent_for_a_while_gets_verdicts_again() {
    let (mut desk, mut rack) = running();
    for _ in 0..60 {
        desk.after(1000);
    }
    verdicts(&mut desk);
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    assert_eq!(verdicts(&mut desk), 1);
}
