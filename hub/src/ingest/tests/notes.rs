//! What is in the log of agents' comings and goings: each start once, whatever restarts, and nothing twice.

use super::*;

/// Subject and text of what was noted, in order.
fn noted(desk: &Desk) -> Vec<(&'static str, String)> {
    let notes = desk.disk.iter().flat_map(|batch| &batch.notes);
    notes.map(|note| (note.subject, note.text.clone())).collect()
}

#[test]
fn an_agent_that_starts_goes_and_comes_back_is_told_each_time() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    desk.take(rack.presence(true));
    desk.take(rack.birth());
    desk.after(300);
    let version = "0.1.0";
    let first = ("agent/start", format!("{version}, run {}", rack.run));
    assert_eq!(noted(&desk), std::slice::from_ref(&first));
    // A birth that comes once more, and a line that breaks and is made again.
    desk.take(rack.birth());
    desk.take(rack.presence(false));
    rack.connection += 1;
    desk.take(rack.presence(true));
    desk.take(rack.birth());
    desk.after(300);
    let link = |text: &str| ("agent/link", text.to_owned());
    assert_eq!(noted(&desk), [first.clone(), link("will"), link("")]);
    // Another run: it has started, and that it is heard again goes without saying.
    desk.take(rack.presence(false));
    let again = rack.started_again(1);
    desk.take(again.presence(true));
    desk.take(again.birth());
    desk.after(300);
    let second = ("agent/start", format!("{version}, run {}", again.run));
    assert_eq!(noted(&desk)[3..], [link("will"), second]);
}

#[test]
fn a_hub_that_starts_anew_tells_of_no_agent_that_it_knew() {
    let rack = Rack::new("arena-north", "rack-1");
    let account = Account { agent: rack.name.clone(), run: rack.run, seqs: Seqs::default(), lost: 0 };
    let mut desk = Desk::with(Stored { accounts: vec![account], ..Stored::default() });
    desk.take_as(rack.birth(), true);
    desk.take(rack.presence(true));
    desk.take(rack.birth());
    desk.after(300);
    assert_eq!(noted(&desk), []);
}

#[test]
fn what_cannot_be_written_is_noted_later() {
    let (mut desk, rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    desk.writes = false;
    desk.take(rack.birth());
    desk.after(300);
    desk.ingest.take_batch(desk.now).expect("it is due");
    desk.ingest.failed(desk.now);
    assert_eq!(noted(&desk), []);
    desk.writes = true;
    desk.after(RETRY.as_millis() as u64 + 300);
    assert_eq!(noted(&desk).len(), 1);
}

#[test]
fn series_that_come_and_go_are_named_once_an_agent_has_settled() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    desk.take(rack.birth());
    desk.take(rack.catalog(&vitals()));
    desk.after(1_000);
    let mut more = vitals();
    more.push(series("rackside_disk_used_bytes", &[]));
    desk.take(rack.catalog(&more));
    desk.after(130_000);
    assert!(noted(&desk).iter().all(|(subject, _)| *subject != "agent/series"), "{:?}", noted(&desk));
    desk.take(rack.presence(true));
    desk.take(rack.catalog(&vitals()));
    desk.after(300);
    let last = noted(&desk).pop();
    assert_eq!(last, Some(("agent/series", "no longer there: rackside_disk_used_bytes".to_owned())));
}
