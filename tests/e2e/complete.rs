//! Not a test: what "nothing is lost, nothing counts twice" means for one appliance, and how long it may take.

use rackside_tests::clock;
use rackside_tests::hub::Hub;
use rackside_tests::ledger::Ledger;
use serde_json::Value as Json;
use std::time::Duration;

/// From healing to completeness: the agent's patience for an ack (10 s), its backoff, and a slow machine.
pub(crate) const RECOVERY: Duration = Duration::from_secs(40);

/// Where most tests' appliances are.
pub(crate) const RACK: (&str, &str) = ("arena-north", "rack-1");

/// What the hub says that it took, got twice, and lost of an appliance.
pub(crate) fn records(said: &Json) -> (u64, u64, u64) {
    let number = |name: &str| said["records"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {said}"));
    (number("taken"), number("duplicates"), number("lost"))
}

/// Whether the appliance has values.
pub(crate) fn has_reading(said: &Json) -> Option<()> {
    said["reading"]["series"].as_array().is_some_and(|series| !series.is_empty()).then_some(())
}

/// Waits until the hub has every record from 0 up to at least `least` and has acknowledged them all: as many taken as
/// numbered, so none is missing and none counted twice.
pub(crate) fn expect_complete(hub: &Hub, ledger: &Ledger, least: u64) {
    let mut told = String::new();
    let complete = clock::eventually(RECOVERY, || {
        let (taken, duplicates, lost) = records(&hub.appliance(RACK.0, RACK.1)?);
        let notes = ledger.only_run();
        told = format!(
            "taken {taken}, duplicates {duplicates}, lost {lost}, acknowledged below {}",
            notes.below
        );
        assert_eq!(lost, 0, "lost records; {told}\n{}", hub.last_words());
        assert!(taken <= notes.below + 64, "more taken than can be: {told}");
        (taken >= least && taken == notes.below).then_some(())
    });
    assert!(
        complete.is_some(),
        "not complete up to {least} within {RECOVERY:?}: {told}\n{}",
        hub.last_words()
    );
}
