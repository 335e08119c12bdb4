//! A disk that fills up: nothing is half taken, and all goes on when there is room.

use crate::model::Model;
use crate::rack::{DAY, DAY0, HOUR, MINUTE, Rack, batch, settle, utc};
use rackside_history::{NewRecord, Settings, Store, StoreError};
use std::path::Path;
use std::time::Duration;

fn small(dir: &Path, pages: u32) -> Store {
    let settings = Settings { max_pages: Some(pages), ..Settings::new(DAY0) };
    Store::open(dir, settings).expect("opens")
}

/// Commits until the disk is full; gives the records that were refused.
fn fill(store: &mut Store, model: &mut Model, rack: &mut Rack) -> (Vec<NewRecord>, StoreError) {
    for minute in 0..100_000 {
        let now = DAY0 + minute * MINUTE;
        let records: Vec<NewRecord> = (0..5)
            .map(|n| rack.reading(utc(now + n * 1000), true, now, &[minute as i64, 7, n as i64]))
            .collect();
        match store.commit(&batch(records.clone()), now) {
            Ok(_) => {
                for record in &records {
                    model.commit(record);
                }
            }
            Err(error) => return (records, error),
        }
    }
    panic!("the disk never fills up");
}

#[test]
fn a_full_disk_refuses_whole_batches_and_takes_them_when_there_is_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = small(dir.path(), 120);
    let mut model = Model::default();
    let mut rack = Rack::new("rack-1", 1);
    let listed = rack.list(&["temp", "bytes_total", "link_up"], DAY0);
    model.list(&rack.agent, rack.run, 1, &["temp", "bytes_total", "link_up"]);
    model.commit(&listed);
    store.commit(&batch([listed]), DAY0).expect("commits");
    let (refused, error) = fill(&mut store, &mut model, &mut rack);
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(
        error.to_string().ends_with("the disk is full; make room and the hub goes on by itself"),
        "{error}"
    );
    model.check(&store);
    // An agent that is new at that moment leaves no trace either.
    let mut other = Rack::new("rack-2", 2);
    let stranger = other.list(&["temp"; 1], DAY0);
    assert!(store.commit(&batch([stranger.clone()].into_iter().chain(refused.clone())), DAY0).is_err());
    model.check(&store);
    // Housekeeping cannot work either, says so, and can be asked again.
    let far = DAY0 + 10 * DAY;
    let failed = (0..10_000).find_map(|_| store.maintain(far, Duration::from_millis(far)).err());
    assert!(matches!(failed, None | Some(StoreError::Full { .. })), "{failed:?}");
    model.check(&store);

    drop(store);
    let mut store = small(dir.path(), 1_000);
    store.commit(&batch(refused.clone()), DAY0).expect("there is room");
    for record in &refused {
        model.commit(record);
    }
    store.commit(&batch([stranger.clone()]), DAY0).expect("there is room");
    model.list(&other.agent, other.run, 1, &["temp"]);
    model.commit(&stranger);
    model.check(&store);
    settle(&mut store, far);
    model.check(&store);
}

#[test]
fn housekeeping_makes_room_by_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = small(dir.path(), 400);
    let mut model = Model::default();
    let mut rack = Rack::new("rack-1", 1);
    let listed = rack.list(&["temp", "bytes_total", "link_up"], DAY0);
    model.list(&rack.agent, rack.run, 1, &["temp", "bytes_total", "link_up"]);
    model.commit(&listed);
    store.commit(&batch([listed]), DAY0).expect("commits");
    let mut now = DAY0;
    for hour in 0..60 {
        for minute in (0..60).step_by(10) {
            now = DAY0 + hour * HOUR + minute * MINUTE;
            let records: Vec<NewRecord> = (0..60)
                .map(|n| rack.reading(utc(now + n * 10_000), true, now, &[minute as i64, 7, n as i64]))
                .collect();
            store.commit(&batch(records.clone()), now).expect("the inbox is emptied each hour");
            for record in &records {
                model.commit(record);
            }
        }
        settle(&mut store, now + 2 * MINUTE);
    }
    settle(&mut store, now + DAY);
    model.check(&store);
}
