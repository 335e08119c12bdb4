//! The log: in order, each entry once and at the same place, whether it has moved on or not.

use crate::model::log;
use crate::rack::{DAY, DAY0, HOUR, MINUTE, Rack, batch, open, settle, utc};
use rackside_history::{Batch, Cursor, Happened, LogEntry, LogQuery, Note, Reader, Store, salvage};
use rackside_proto::{AgentName, Value, What};

const NAMES: &[&str] = &["temp", "link_up"];

/// Three racks that each say something at the same moments, and one of them something more.
fn three(store: &mut Store) -> Vec<AgentName> {
    let mut racks: Vec<Rack> = (1..=3).map(|n| Rack::new(&format!("rack-{n}"), n)).collect();
    for rack in &mut racks {
        let list = rack.list(NAMES, DAY0);
        store.commit(&batch([list]), DAY0).expect("commits");
        for minute in 0..4 {
            let now = DAY0 + minute * MINUTE;
            let link = What::Sample { catalog: 1, series: 1, value: Value::Known((minute % 2) as i64) };
            let text = What::Text { subject: "error/encoder", text: "refused" };
            let records = [rack.event(utc(now), link, true, now), rack.event(utc(now), text, true, now)];
            store.commit(&batch(records), now).expect("commits");
        }
    }
    let anchor = What::Anchor { boot: 7, boot_ms: 5, utc_ms: DAY0 };
    let record = racks[0].event(utc(DAY0), anchor, true, DAY0);
    store.commit(&batch([record]), DAY0).expect("commits");
    racks.into_iter().map(|rack| rack.agent).collect()
}

fn pages(reader: &Reader, agents: Option<&[AgentName]>, limit: usize) -> Vec<LogEntry> {
    let mut all = Vec::new();
    let mut before: Option<Cursor> = None;
    loop {
        let range = DAY0..DAY0 + DAY;
        let query = LogQuery { range, before: before.as_ref(), agents, limit, ..LogQuery::default() };
        let page = reader.log(&query).expect("reads");
        assert!(page.entries.len() <= limit);
        all.extend(page.entries);
        let Some(next) = page.next else { return all };
        // As an address carries it.
        before = Some(next.to_string().parse().expect("a place"));
    }
}

/// The other way, from a place on; the newest first all the same.
fn pages_up(reader: &Reader, agents: Option<&[AgentName]>, limit: usize) -> Vec<LogEntry> {
    let mut all = Vec::new();
    let mut from = Some(Cursor::at(DAY0));
    while let Some(place) = from {
        let range = 0..DAY0 + DAY;
        let query = LogQuery { range, from: Some(&place), agents, limit, ..LogQuery::default() };
        let page = reader.log(&query).expect("reads");
        assert!(page.entries.last().is_none_or(|last| last.place >= place), "from there on");
        all.splice(0..0, page.entries);
        from = page.next;
    }
    all
}

#[test]
fn pages_of_any_size_are_the_log_before_and_after_it_has_moved_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let agents = three(&mut store);
    let reader = store.reader();
    let whole = pages(&reader, None, 1_000);
    assert_eq!(whole.len(), 24);
    assert!(whole.is_sorted_by(|one, other| one.place > other.place), "the newest first, each once");
    let check = |reader: &Reader| {
        for limit in [1, 2, 5, 24] {
            assert_eq!(pages(reader, None, limit), whole, "by {limit}");
            assert_eq!(pages_up(reader, None, limit), whole, "upwards, by {limit}");
        }
        let of_two = |entry: &&LogEntry| entry.agent.as_ref() != Some(&agents[1]);
        let two = [agents[0].clone(), agents[2].clone()];
        assert_eq!(pages_up(reader, Some(&two), 3), pages(reader, Some(&two), 3));
        assert_eq!(pages(reader, Some(&two), 3), whole.iter().filter(of_two).cloned().collect::<Vec<_>>());
        // More than are asked one by one; most of them have no history.
        let many: Vec<AgentName> = (0..40)
            .map(|n| AgentName::new("elsewhere", &format!("rack-{n}")).expect("a name"))
            .chain(two)
            .collect();
        assert_eq!(pages(reader, Some(&many), 3).len(), 16);
        assert_eq!(pages(reader, Some(&many[..40]), 3), []);
    };
    check(&reader);
    settle(&mut store, DAY0 + 2 * HOUR);
    assert_eq!(store.stats().expect("counts").inbox, 0, "all has moved on");
    check(&reader);
}

#[test]
fn what_an_event_set_is_told_as_such_and_readings_are_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = Rack::new("rack-1", 1);
    let list = rack.list(NAMES, DAY0);
    let reading = rack.reading(utc(DAY0 + 1), true, DAY0, &[1, 0]);
    let unknown = What::Sample { catalog: 1, series: 1, value: Value::Unknown };
    let edge = rack.event(utc(DAY0 + 2), unknown, true, DAY0);
    store.commit(&batch([list, reading, edge]), DAY0).expect("commits");
    for _ in 0..2 {
        let found = log(&store.reader(), &rack.agent, 9);
        let [LogEntry { place, what: Happened::Set { series, value }, .. }] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!((place.ms, &*series.name, *value), (DAY0 + 2, "link_up", None));
        settle(&mut store, DAY0 + 2 * HOUR);
    }
}

#[test]
fn the_log_is_as_old_as_raw_data_at_most() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let agents = three(&mut store);
    settle(&mut store, DAY0 + 2 * HOUR);
    let mut rack = Rack { next: 100, catalog: 1, names: NAMES.to_vec(), ..Rack::new("rack-1", 1) };
    let now = DAY0 + 31 * DAY + HOUR;
    let confirmed = rack.reading(utc(now), true, now, &[1, 1]);
    store.commit(&batch([confirmed]), now).expect("commits");
    assert_eq!(log(&store.reader(), &agents[1], 100).len(), 8);
    settle(&mut store, now + MINUTE);
    assert_eq!(log(&store.reader(), &agents[1], 100), []);
}

#[test]
fn a_place_is_a_line_of_text_and_nothing_else_is() {
    for text in ["1795132800000.3.s17", "5.1.terror/encoder", "5.1.t", "5.1.ta.b.c"] {
        assert_eq!(text.parse::<Cursor>().map(|place| place.to_string()), Ok(text.to_owned()));
    }
    for bad in ["", "5", "5.1", "5.1.", "5.1.x7", "x.1.s7", "5.1.s", "5.-1.s7", "5.1.ü"] {
        assert!(bad.parse::<Cursor>().is_err(), "{bad}");
    }
}

#[test]
fn what_the_hub_says_stands_in_the_log_and_its_own_where_all_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let agents = three(&mut store);
    let note = |agent: Option<&AgentName>, text: &str| Note {
        agent: agent.cloned(),
        at_ms: DAY0 + 5 * MINUTE,
        subject: "agent/start",
        text: text.to_owned(),
    };
    let stranger = AgentName::new("hall", "rack-9").expect("a name");
    let notes =
        vec![note(None, "of the hub"), note(Some(&agents[0]), "of one"), note(Some(&stranger), "new")];
    store.commit(&Batch { notes, ..Batch::default() }, DAY0).expect("commits");
    let said = |agents: Option<&[AgentName]>| {
        let found = pages(&store.reader(), agents, 5).into_iter().filter_map(|entry| match entry.what {
            Happened::Text { subject, text } if subject == "agent/start" => Some((entry.agent, text)),
            _ => None,
        });
        found.collect::<Vec<_>>()
    };
    let one = (Some(agents[0].clone()), "of one".to_owned());
    assert_eq!(said(Some(&agents)), std::slice::from_ref(&one));
    let all = [(Some(stranger), "new".to_owned()), one, (None, "of the hub".to_owned())];
    assert_eq!(said(None), all);
    let query =
        LogQuery { range: 0..DAY0 + DAY, agents: Some(&[]), hub: true, limit: 9, ..LogQuery::default() };
    let of_hub = store.reader().log(&query).expect("reads").entries;
    assert_eq!(of_hub.iter().map(|entry| &entry.agent).collect::<Vec<_>>(), [&None]);
    drop(store);
    salvage(dir.path(), DAY0).expect("salvages");
    let store = open(dir.path(), DAY0);
    assert!(pages(&store.reader(), None, 99).iter().any(|entry| entry.agent.is_none()), "kept");
}

#[test]
#[ignore = "a measurement: writes a million entries, and prints what pages of them cost"]
#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn pages_of_a_million_entries_cost_by_what_they_give() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let names: Vec<AgentName> =
        (0..100).map(|n| AgentName::new("hall", &format!("rack-{n}")).expect("a name")).collect();
    let note = |n: u64| Note {
        agent: Some(names[n as usize % names.len()].clone()),
        at_ms: DAY0 + n * 1_000,
        subject: "track",
        text: format!("track {n}"),
    };
    for thousand in 0..1_000 {
        let notes = (0..1_000).map(|n| note(thousand * 1_000 + n)).collect();
        store.commit(&Batch { notes, ..Batch::default() }, DAY0).expect("commits");
    }
    let (reader, range) = (store.reader(), 0..u64::MAX);
    let (middle, one) = (Cursor::at(DAY0 + 500_000_000), &names[..1]);
    let asked = LogQuery { range, limit: 100, ..LogQuery::default() };
    for (what, query) in [
        ("newest", asked.clone()),
        ("in the middle, downwards", LogQuery { before: Some(&middle), ..asked.clone() }),
        ("in the middle, upwards", LogQuery { from: Some(&middle), ..asked.clone() }),
        ("of one appliance", LogQuery { agents: Some(one), ..asked.clone() }),
        ("2,000 of everybody", LogQuery { limit: 2_000, ..asked }),
    ] {
        let before = std::time::Instant::now();
        let page = reader.log(&query).expect("reads");
        println!("{what}: {} entries in {:.1} ms", page.entries.len(), before.elapsed().as_secs_f64() * 1e3);
        assert_eq!(page.entries.len(), query.limit);
    }
}
