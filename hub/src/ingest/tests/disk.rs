//! What ingest promises of the disk: acks only after it, nothing lost while it fails, nothing twice, and a past that is
//! looked up.

use super::*;

fn inbound((topic, body): Sent) -> Inbound {
    Inbound { topic, payload: body.into(), retained: false, via: Via::Broker }
}

#[test]
fn nothing_is_acked_before_it_is_on_the_disk() {
    let (mut desk, rack) = (Desk { writes: false, ..Desk::new() }, Rack::new("arena-north", "rack-1"));
    let mut rack = rack;
    desk.take(rack.presence(true));
    desk.take(rack.catalog(&vitals()));
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    desk.after(10_000);
    assert!(desk.acks().iter().all(|ack| ack.safe.iter().all(|safe| safe.below == 0)));
    let batch = desk.ingest.take_batch(desk.now).expect("due long since");
    assert_eq!(batch.records.len(), 2);
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    desk.after(1000);
    assert!(desk.acks().iter().all(|ack| ack.safe[0].below == 0), "being written is not written");
    assert!(desk.ingest.take_batch(desk.now).is_none(), "one at a time");
    desk.ingest.committed(desk.now);
    assert_eq!(desk.ack().safe[0].below, 2, "and the third waits");
    assert_eq!(desk.ingest.take_batch(desk.now).expect("due").records.len(), 1);
    desk.ingest.committed(desk.now);
    assert_eq!(desk.ack().safe[0].below, 3);
}

#[test]
fn agents_hear_somebody_while_nothing_can_be_written() {
    let (mut desk, mut rack) = running();
    desk.after(250);
    desk.acks();
    desk.writes = false;
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    desk.after(1000);
    let below: Vec<_> = desk.acks().iter().map(|ack| ack.safe[0].below).collect();
    assert_eq!(below, [2]);
}

#[test]
fn what_could_not_be_written_is_written_later_and_acked_then() {
    let (mut desk, mut rack) = running();
    desk.after(250);
    desk.acks();
    desk.writes = false;
    for n in 0..20 {
        desk.take(rack.numbers(&[n, 0, 0, 0, 0]));
    }
    desk.after(250);
    assert_eq!(desk.ingest.take_batch(desk.now).map(|batch| batch.records.len()), Some(20));
    desk.take(rack.numbers(&[21, 0, 0, 0, 0]));
    desk.ingest.failed(desk.now);
    assert!(desk.ingest.take_batch(desk.now).is_none(), "not at once");
    desk.after(2000);
    assert!(desk.acks().iter().all(|ack| ack.safe[0].below == 2));
    let first = desk.ingest.take_batch(desk.now).expect("again");
    assert_eq!(first.records.len(), 2, "a little, to see whether it works");
    desk.disk.push(first);
    desk.ingest.committed(desk.now);
    desk.writes = true;
    assert_eq!(desk.ack().safe[0].below, 23);
    assert_eq!(desk.written(), (0..23).collect::<Vec<_>>(), "each once, in order");
    assert_eq!((desk.ingest.counts().records, desk.ingest.waiting()), (23, (0, 0)));
}

#[test]
fn what_waits_is_no_duplicate_in_the_history_when_it_comes_again() {
    let (mut desk, mut rack) = running();
    desk.writes = false;
    let sent = rack.numbers(&[401, 0, 0, 0, 0]);
    desk.take(sent.clone());
    desk.after(250);
    desk.ingest.take_batch(desk.now);
    desk.take(sent.clone());
    desk.ingest.failed(desk.now);
    desk.take(sent);
    desk.writes = true;
    desk.after(3000);
    assert_eq!(desk.written(), [0, 1, 2]);
    assert_eq!(desk.ingest.counts().duplicates, 2);
}

#[test]
fn a_full_memory_takes_nothing_more_and_shows_all_the_same() {
    let (mut desk, mut rack) = running();
    desk.after(250);
    desk.writes = false;
    while desk.ingest.waiting().1 < WAITING {
        desk.ingest.take(&inbound(rack.numbers(&[402, 0, 0, 0, 0])), desk.now);
    }
    assert!(desk.ingest.is_full(desk.now), "sockets wait while the disk is only slow");
    desk.ingest.take_batch(desk.now).expect("due");
    desk.ingest.failed(desk.now);
    assert!(!desk.ingest.is_full(desk.now), "but not when it fails");
    let before = desk.ingest.waiting();
    let refused = desk.ingest.counts().refused;
    desk.ingest.take(&inbound(rack.numbers(&[555, 0, 0, 0, 0])), desk.now);
    assert_eq!((desk.ingest.waiting(), desk.ingest.counts().refused), (before, refused + 1));
    let latest = desk.ingest.fleet().appliances()[0].shown().and_then(|run| run.latest.as_ref());
    let shown = latest.and_then(|latest| latest.quantity_of("rackside_soc_temperature_celsius"));
    assert_eq!(shown, Some(55.5));
    desk.writes = true;
    desk.after(2000);
    let (records, last) = (desk.ingest.counts().records, rack.seq - 1);
    assert_eq!(desk.ack().safe[0].below, last, "the last one is still with its agent");
    rack.seq = last;
    desk.take(rack.numbers(&[555, 0, 0, 0, 0]));
    assert_eq!(desk.ack().safe[0].below, last + 1);
    assert_eq!(desk.ingest.counts().records, records + 1);
}

#[test]
fn a_write_that_hangs_does_not_hold_up_what_comes_in() {
    let (mut desk, mut rack) = running();
    desk.writes = false;
    while desk.ingest.waiting().1 < WAITING {
        desk.ingest.take(&inbound(rack.numbers(&[402, 0, 0, 0, 0])), desk.now);
    }
    desk.ingest.take_batch(desk.now).expect("due");
    assert!(desk.ingest.is_full(desk.now));
    desk.after(5000);
    assert!(!desk.ingest.is_full(desk.now));
}

#[test]
fn a_run_and_a_catalog_that_were_stored_are_looked_up() {
    let mut rack = Rack::new("arena-north", "rack-1");
    let catalog = rack.catalog(&vitals()).1;
    let mut seqs = Seqs::default();
    seqs.fill_below(5);
    seqs.insert(7);
    let account = Account { agent: rack.name.clone(), run: rack.run, seqs, lost: 1 };
    let bytes = past::bytes_of(&crate::rack::catalog_in(&catalog));
    let catalogs = vec![(rack.run, 1, bytes)];
    let mut desk = Desk::with(Stored { accounts: vec![account], catalogs, unreadable: false });
    (rack.seq, rack.floor) = (6, 2);
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    let ack = desk.ack();
    assert_eq!(ack.safe.as_slice(), [Safe { run: rack.run, below: 5 }], "5 is missing still");
    assert_eq!(ack.wants.as_slice(), [Want::Birth], "no catalog");
    assert_eq!((desk.written(), desk.ingest.counts().duplicates), (vec![6], 1));
}

#[test]
fn while_what_is_stored_cannot_be_read_nothing_is_taken() {
    let mut desk = Desk::with(Stored { unreadable: true, ..Stored::default() });
    let mut rack = Rack::new("arena-north", "rack-1");
    desk.take(rack.presence(true));
    desk.take(rack.birth());
    desk.take(rack.catalog(&vitals()));
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    desk.after(1000);
    assert!(desk.acks().iter().all(|ack| ack.safe.is_empty()));
    assert!(desk.written().is_empty());
    assert!(desk.ingest.fleet().appliances()[0].shown().is_some_and(|run| run.latest.is_some()), "shown");
}

#[test]
fn a_catalog_in_a_birth_is_stored_with_the_data_that_need_it() {
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    let overtaken = rack.catalog(&vitals());
    desk.take(rack.birth());
    desk.take(rack.numbers(&[400, 0, 0, 0, 0]));
    desk.after(250);
    let catalogs: Vec<_> = desk.disk.iter().flat_map(|batch| &batch.catalogs).collect();
    assert_eq!(catalogs.len(), 1);
    let bytes = past::bytes_of(&crate::rack::catalog_in(&overtaken.1));
    assert_eq!((catalogs[0].number, &catalogs[0].body[..]), (1, &bytes[..]));
    desk.take(rack.birth());
    desk.take(overtaken);
    desk.after(250);
    assert_eq!(desk.disk.iter().map(|batch| batch.catalogs.len()).sum::<usize>(), 1, "once");
    assert_eq!(desk.written(), [1, 0]);
}

#[test]
fn what_is_lost_is_written_and_written_again_if_that_failed() {
    let (mut desk, mut rack) = running();
    desk.after(250);
    desk.writes = false;
    (rack.seq, rack.floor) = (10, 8);
    desk.take(rack.birth());
    desk.after(250);
    let batch = desk.ingest.take_batch(desk.now).expect("due");
    assert_eq!((batch.accounts[0].lost, batch.accounts[0].seqs.first_missing()), (6, 8));
    desk.ingest.failed(desk.now);
    desk.after(2000);
    let batch = desk.ingest.take_batch(desk.now).expect("due again");
    assert_eq!((batch.accounts.len(), batch.accounts[0].lost), (1, 6));
    desk.ingest.committed(desk.now);
    desk.after(5000);
    assert!(desk.ingest.take_batch(desk.now).is_none(), "there is nothing more to write");
}

#[test]
fn a_record_that_does_not_fit_its_catalog_is_kept_aside_and_acked_past() {
    let (mut desk, mut rack) = running();
    let mut beyond = rack.clone();
    beyond.references.resize(60, Value::Known(0));
    desk.take(beyond.numbers(&[1; 60]));
    rack.seq += 1;
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    assert_eq!(desk.ack().safe[0].below, 4);
    assert_eq!((desk.ingest.counts().aside, desk.written()), (1, vec![0, 1, 2, 3]));
}

#[test]
fn the_backlog_changes_no_value_and_no_state() {
    let (mut desk, mut rack) = running();
    desk.ingest.take_changed();
    let before = format!("{:?}", desk.ingest.fleet().appliances()[0].shown().map(|run| &run.latest));
    desk.take(rack.presence(false));
    rack.sending = rackside_proto::Sending::Again;
    desk.take(rack.numbers(&[900, 0, 0, 0, 0]));
    desk.take(rack.event(What::Sample { catalog: 1, series: 0, value: Value::Known(901) }));
    let appliance = &desk.ingest.fleet().appliances()[0];
    assert_eq!(format!("{:?}", appliance.shown().map(|run| &run.latest)), before);
    assert!(!appliance.state.is_up());
    assert_eq!(desk.ack().safe[0].below, 4, "it is in the history");
}

#[test]
fn an_old_catalog_that_the_history_let_go_of_comes_again_before_its_data_are_taken() {
    // Nothing is in the past that this desk looks into: as if the history had let go of it.
    let (mut desk, mut rack) = (Desk::new(), Rack::new("arena-north", "rack-1"));
    let catalog = rack.catalog(&vitals());
    desk.take(catalog.clone());
    rack.sending = rackside_proto::Sending::Again;
    let (at_once, late) = (rack.numbers(&[1, 0, 0, 0, 0]), rack.numbers(&[2, 0, 0, 0, 0]));
    desk.take(at_once);
    assert_eq!(desk.ack().safe[0].below, 2, "it was stored a moment ago");
    desk.after(1_800_000);
    desk.take(late.clone());
    let ack = desk.ack();
    assert_eq!((ack.safe[0].below, ack.wants.last()), (2, Some(&Want::Catalog { run: rack.run, number: 1 })));
    desk.take(catalog);
    desk.take(late);
    assert_eq!(desk.ack().safe[0].below, 3);
    let apart: Vec<_> = desk.disk.iter().flat_map(|batch| &batch.catalogs).map(|one| one.number).collect();
    assert_eq!(apart, [1], "stored again with what needs it");
}

#[test]
fn a_record_that_can_never_be_read_does_not_block_what_was_made_after_it() {
    let (mut desk, mut rack) = running();
    rack.sending = rackside_proto::Sending::Again;
    let (topic, mut body) = rack.numbers(&[400, 0, 0, 0, 0]);
    body.truncate(body.len() - 1);
    desk.take(rack.numbers(&[401, 0, 0, 0, 0]));
    for _ in 0..3 {
        desk.take((topic.clone(), body.clone()));
        assert_eq!(desk.ack().safe[0].below, 2, "its way may have spoiled it");
        desk.after(300_000);
    }
    assert_eq!(desk.ingest.counts().lost, 0);
    desk.take((topic, body));
    assert_eq!(desk.ack().safe[0].below, 4);
    assert_eq!((desk.ingest.counts().lost, desk.rejected(Reason::Malformed)), (1, 4));
    let accounts: Vec<_> = desk.disk.iter().flat_map(|batch| &batch.accounts).collect();
    assert_eq!((accounts.len(), accounts[0].lost, accounts[0].seqs.first_missing()), (1, 1, 4));
}
