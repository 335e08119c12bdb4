//! Growing old: rollups, what is kept how long, and clocks that jump.

use crate::rack::{DAY, DAY0, HOUR, MINUTE, Rack, batch, known, open, settle, step, utc};
use rackside_history::rollup::{self, Bucket};
use rackside_history::{Reader, Resolution, Samples, SeriesId, Settings, Step, Store};
use rackside_proto::{Kind, Time, Value};
use std::ops::Range;
use std::time::Duration;

const NAMES: &[&str] = &["temp", "bytes_total", "link_up"];
const KINDS: [Kind; 3] = [Kind::Gauge, Kind::Counter, Kind::State];

/// A history with `days` days of a reading each minute from `DAY0`; all of it in days.
fn with_days(store: &mut Store, days: u64) -> Rack {
    let mut rack = Rack::new("rack-1", 1);
    let list = rack.list(NAMES, DAY0);
    store.commit(&batch([list]), DAY0).expect("commits");
    for day in 0..days {
        let start = DAY0 + day * DAY;
        let records: Vec<_> = (0..24 * 60)
            .map(|minute| {
                let n = (day * 1440 + minute) as i64;
                let up = if n % 11 == 3 { -1 } else { n / 7 % 2 };
                let values = [400 + n * n % 37, n * 5 % 9_000, up].map(known);
                let ms = start + minute * MINUTE + 7;
                rack.readings(&[(utc(ms), &values)], false, start + DAY - 1)
            })
            .collect();
        store.commit(&batch(records), start + DAY - 1).expect("commits");
    }
    rack
}

/// A live record of an agent that knows the time: the hub's clock is confirmed.
fn confirm(store: &mut Store, rack: &mut Rack, now: u64) {
    let record = rack.reading(utc(now), true, now, &[1, 1, 1]);
    store.commit(&batch([record]), now).expect("commits");
}

fn samples(reader: &Reader, rack: &Rack, series: usize, range: Range<u64>) -> Samples {
    let (id, _) = reader.series(&rack.agent).expect("reads")[series].clone();
    reader.samples(&rack.agent, id, range).expect("reads")
}

fn buckets(reader: &Reader, rack: &Rack, series: usize, range: Range<u64>, step: Resolution) -> Vec<Bucket> {
    let (id, _) = reader.series(&rack.agent).expect("reads")[series].clone();
    reader.rollup(&rack.agent, id, range, step).expect("reads")
}

#[test]
fn raw_data_go_when_all_of_their_day_is_too_old_and_not_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = with_days(&mut store, 2);
    let reader = store.reader();
    let counts = |store: &Store| {
        let of =
            |day: u64| samples(&reader, &rack_of(), 0, DAY0 + day * DAY..DAY0 + (day + 1) * DAY).times.len();
        (of(0), of(1), store.stats().expect("counts").days)
    };
    let last_moment = DAY0 + DAY + 30 * DAY;
    confirm(&mut store, &mut rack, last_moment - HOUR);
    settle(&mut store, last_moment - 1);
    assert_eq!(counts(&store), (1440, 1440, 2));
    settle(&mut store, last_moment + HOUR + MINUTE);
    assert_eq!(counts(&store), (0, 1440, 1));
}

fn rack_of() -> Rack {
    Rack::new("rack-1", 1)
}

#[test]
fn rollups_say_the_same_before_and_after_raw_data_are_gone() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = with_days(&mut store, 3);
    settle(&mut store, DAY0 + 4 * DAY);
    let reader = store.reader();
    let range = DAY0..DAY0 + 3 * DAY;
    let all = |reader: &Reader| -> Vec<Vec<Bucket>> {
        let both = [Resolution::Minute, Resolution::Hour];
        (0..3)
            .flat_map(|series| both.map(|step| buckets(reader, &rack_of(), series, range.clone(), step)))
            .collect()
    };
    let before = all(&reader);
    for (series, kind) in KINDS.into_iter().enumerate() {
        let raw = samples(&reader, &rack, series, range.clone());
        assert_eq!(before[2 * series], rollup::of(kind, &raw, None, range.clone(), MINUTE), "{kind:?}");
        assert_eq!(before[2 * series + 1].len(), 72, "{kind:?}");
    }
    // Day by day: part of the answer from rollups, part from samples.
    for day in 1..=3 {
        let now = DAY0 + (30 + day) * DAY + HOUR;
        confirm(&mut store, &mut rack, now);
        settle(&mut store, now + HOUR);
        let left = samples(&reader, &rack, 0, range.clone()).times.len() as u64;
        assert_eq!(left, (3 - day) * 1440);
        for (now, then) in all(&reader).iter().zip(&before) {
            assert_eq!(now.len(), then.len());
            for (now, then) in now.iter().zip(then) {
                assert_eq!(now, then, "after day {day}");
            }
        }
    }
}

#[test]
fn rollups_go_at_their_own_borders() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = with_days(&mut store, 1);
    confirm(&mut store, &mut rack, DAY0 + 40 * DAY);
    settle(&mut store, DAY0 + 40 * DAY);
    let reader = store.reader();
    let range = DAY0..DAY0 + DAY;
    let lens = |reader: &Reader| {
        [Resolution::Minute, Resolution::Hour]
            .map(|step| buckets(reader, &rack_of(), 0, range.clone(), step).len())
    };
    assert_eq!(lens(&reader), [1440, 24]);
    confirm(&mut store, &mut rack, DAY0 + 181 * DAY - HOUR);
    settle(&mut store, DAY0 + 181 * DAY - 1);
    assert_eq!(lens(&reader), [1440, 24]);
    settle(&mut store, DAY0 + 181 * DAY + HOUR);
    assert_eq!(lens(&reader), [0, 24]);
    // A row of hours spans 32 days and goes as a whole.
    let month_end = (DAY0 / (32 * DAY) + 1) * 32 * DAY;
    confirm(&mut store, &mut rack, month_end + 1095 * DAY - 2 * HOUR);
    settle(&mut store, month_end + 1095 * DAY - 1);
    assert_eq!(lens(&reader), [0, 24]);
    settle(&mut store, month_end + 1095 * DAY + HOUR);
    assert_eq!(lens(&reader), [0, 0]);
}

#[test]
fn late_data_of_a_day_that_was_rolled_up_join_its_rollups() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = with_days(&mut store, 1);
    let now = DAY0 + 40 * DAY;
    confirm(&mut store, &mut rack, now);
    settle(&mut store, now);
    // From a spool of forty days: ten more readings in one minute that had one, and one in a minute of another day.
    let value = |number: i64| [number, number, 1].map(Value::Known);
    let late: Vec<(Time, [Value; 3])> =
        (1..11).map(|n| (utc(DAY0 + 5 * MINUTE + n * SECOND), value(1_000))).collect();
    let late: Vec<(Time, &[Value])> = late.iter().map(|(time, values)| (*time, values.as_slice())).collect();
    let first = rack.readings(&late, false, now);
    let second = rack.readings(&[(utc(DAY0 + 36 * HOUR), &value(5))], false, now);
    store.commit(&batch([first, second]), now).expect("commits");
    confirm(&mut store, &mut rack, now + HOUR);
    settle(&mut store, now + 2 * HOUR);
    let reader = store.reader();
    assert_eq!(samples(&reader, &rack, 0, 0..DAY0 + 2 * DAY).times.len(), 0);
    let minute = &buckets(&reader, &rack, 0, DAY0 + 5 * MINUTE..DAY0 + 6 * MINUTE, Resolution::Minute)[0];
    assert_eq!((minute.count, minute.max, minute.last), (11, Some(1_000), Some(1_000)));
    let hour = &buckets(&reader, &rack, 0, DAY0..DAY0 + HOUR, Resolution::Hour)[0];
    assert_eq!((hour.count, hour.max), (70, Some(1_000)));
    let other = buckets(&reader, &rack, 0, DAY0 + 36 * HOUR..DAY0 + 37 * HOUR, Resolution::Hour);
    assert_eq!((other.len(), other[0].count), (1, 1));
}

#[test]
fn a_counter_that_comes_late_in_parts_rises_once() {
    let total = |parts: &[(Range<u64>, u64)]| {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = open(dir.path(), DAY0);
        let mut rack = Rack::new("rack-1", 1);
        store.commit(&batch([rack.list(NAMES, DAY0)]), DAY0).expect("commits");
        let mut now = DAY0 + 40 * DAY;
        confirm(&mut store, &mut rack, now);
        for (minutes, step) in parts {
            // Rises by 7 a minute, from noon of the first day to noon of the third.
            let records: Vec<_> = minutes
                .clone()
                .step_by(*step as usize)
                .map(|n| rack.reading(utc(DAY0 + DAY / 2 + n * MINUTE), false, now, &[1, 7 * n as i64, 1]))
                .collect();
            store.commit(&batch(records), now).expect("commits");
            now += 2 * HOUR;
            confirm(&mut store, &mut rack, now);
            settle(&mut store, now);
        }
        let reader = store.reader();
        assert_eq!(samples(&reader, &rack, 1, 0..DAY0 + 20 * DAY).times.len(), 0, "all is rolled up");
        [Resolution::Minute, Resolution::Hour].map(|step| {
            let buckets = buckets(&reader, &rack, 1, 0..DAY0 + 20 * DAY, step);
            buckets.iter().map(|bucket| bucket.increase).sum::<u64>()
        })
    };
    let (end, rise) = (2 * 1440 + 1, 7 * 2 * 1440);
    assert_eq!(total(&[(0..end, 1)]), [rise; 2], "at once");
    assert_eq!(
        total(&[(0..100, 1), (100..1_000, 1), (1_000..end, 1)]),
        [rise; 2],
        "one part after the other"
    );
    assert_eq!(total(&[(0..end, 10), (0..end, 1)]), [rise; 2], "what was left out between");
    // Nobody knows any more what the later part rose from.
    let earlier_part_last = total(&[(1_000..end, 1), (0..1_000, 1)]);
    assert!(
        earlier_part_last.iter().all(|sum| (rise * 8 / 10..=rise).contains(sum)),
        "{earlier_part_last:?}"
    );
}

#[test]
fn an_agent_of_hundreds_of_series_is_rolled_up_in_parts() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = Settings { raw: Duration::from_hours(24), ..Settings::new(DAY0) };
    let mut store = Store::open(dir.path(), settings).expect("opens");
    let mut rack = Rack::new("rack-1", 1);
    let names: Vec<&'static str> = (0..600)
        .map(|n| &*Box::leak(format!("q_{n}{}", ["", "_total", "_up"][n % 3]).into_boxed_str()))
        .collect();
    store.commit(&batch([rack.list(&names, DAY0)]), DAY0).expect("commits");
    let records: Vec<_> = (0..1_440_u64)
        .map(|n| {
            let values: Vec<i64> = (0..600).map(|series| (n as i64 + series) % 5).collect();
            rack.reading(utc(DAY0 + n * MINUTE), false, DAY0 + DAY, &values)
        })
        .collect();
    store.commit(&batch(records), DAY0 + DAY).expect("commits");
    settle(&mut store, DAY0 + DAY + 3 * HOUR);
    let reader = store.reader();
    let ids: Vec<SeriesId> =
        reader.series(&rack.agent).expect("reads").into_iter().map(|(id, _)| id).collect();
    let agent = rack.agent.clone();
    let rolled = |at: usize| {
        let [minutes, hours] = [Resolution::Minute, Resolution::Hour]
            .map(|step| reader.rollup(&agent, ids[at], DAY0..DAY0 + DAY, step).expect("reads"));
        (minutes, hours)
    };
    let looked_at = [0, 1, 2, 255, 256, 511, 512, 599];
    let before = looked_at.map(rolled);
    let now = DAY0 + 3 * DAY;
    let values = vec![1; 600];
    let live = rack.reading(utc(now), true, now, &values);
    store.commit(&batch([live]), now).expect("commits");
    let (mut parts, mut left) = (0, usize::MAX);
    while step(&mut store, now + HOUR) == Step::More {
        let raw = ids.iter().step_by(29).filter(|id| {
            let samples = reader.samples(&rack.agent, **id, DAY0..DAY0 + DAY).expect("reads");
            assert!(samples.times.is_empty() || samples.times.len() == 1_440);
            !samples.times.is_empty()
        });
        let raw = raw.count();
        parts += usize::from(raw < left && left != usize::MAX);
        left = raw;
    }
    assert_eq!(left, 0);
    assert_eq!(parts, 3, "256, 256 and 88 series");
    assert_eq!(looked_at.map(rolled), before);
}

#[test]
fn an_hour_takes_so_much_of_one_agent_and_counts_the_rest() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = Rack::new("rack-1", 1);
    let names: Vec<&'static str> =
        (0..4_096).map(|n| &*Box::leak(format!("q_{n}").into_boxed_str())).collect();
    store.commit(&batch([rack.list(&names, DAY0)]), DAY0).expect("commits");
    // 2 KiB each, and four million samples.
    let values = vec![Value::Known(0); names.len()];
    for record in 0..3 {
        let readings: Vec<(Time, &[Value])> =
            (0..1_024).map(|n| (utc(DAY0 + record * 1_024 + n), values.as_slice())).collect();
        let record = rack.readings(&readings, false, DAY0);
        assert!(record.payload.len() < 4_096);
        store.commit(&batch([record]), DAY0).expect("commits");
    }
    settle(&mut store, DAY0 + 2 * HOUR);
    let stats = store.stats().expect("counts");
    assert_eq!((stats.inbox, stats.left_out), (0, 1_024 * 4_096));
    assert_eq!(samples(&store.reader(), &rack, 7, 0..u64::MAX).times.len(), 2 * 1_024);
}

const SECOND: u64 = 1_000;

#[test]
fn a_clock_that_jumps_ten_years_ahead_deletes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = with_days(&mut store, 2);
    let now = DAY0 + 3 * DAY;
    confirm(&mut store, &mut rack, now);
    let uptime = Duration::from_secs(1_000_000);
    let run = |store: &mut Store, now: u64, uptime: Duration| {
        for _ in 0..1_000 {
            if let Step::IdleUntil(_) = store.maintain(now, uptime).expect("housekeeping") {
                return;
            }
        }
        panic!("never ends");
    };
    run(&mut store, now, uptime);
    let held = |store: &Store| {
        let reader = store.reader();
        let first = samples(&reader, &rack_of(), 0, DAY0..DAY0 + 2 * DAY).times.len();
        (first, store.stats().expect("counts").days)
    };
    assert_eq!(held(&store).0, 2880);
    let ahead = now + 3653 * DAY;
    for hour in 0..100 {
        let uptime = uptime + Duration::from_secs(3600 * hour + 10);
        run(&mut store, ahead + hour * HOUR, uptime);
        // Agents go on; their clocks are right, and no clock agrees with the hub's.
        let then = now + hour * HOUR;
        let record = rack.reading(utc(then), true, ahead + hour * HOUR, &[1, 1, 1]);
        store.commit(&batch([record]), ahead + hour * HOUR).expect("commits");
    }
    assert_eq!(held(&store).0, 2880);
    // And what came meanwhile is where the agents said, not in ten years.
    let reader = store.reader();
    assert_eq!(samples(&reader, &rack, 0, now + 1..now + 5 * DAY).times.len(), 99);
    assert_eq!(samples(&reader, &rack, 0, now + 5 * DAY..u64::MAX).times.len(), 0);
    assert!(!store.stats().expect("counts").clock_confirmed);
    // The clock comes back.
    let back = now + 5 * DAY;
    run(&mut store, back, uptime + Duration::from_hours(5 * 24));
    confirm(&mut store, &mut rack, back);
    run(&mut store, back + HOUR, uptime + Duration::from_hours(5 * 24 + 1));
    assert_eq!(held(&store).0, 2880);
    assert!(store.stats().expect("counts").clock_confirmed);
}

#[test]
fn nothing_is_deleted_before_a_clock_agrees() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    let mut rack = with_days(&mut store, 1);
    let now = DAY0 + 60 * DAY;
    settle(&mut store, now);
    assert_eq!(samples(&store.reader(), &rack, 0, 0..u64::MAX).times.len(), 1440);
    // One from the backlog does not confirm, nor one whose clock is a day off.
    let old = rack.reading(utc(now), false, now, &[1, 1, 1]);
    let off = rack.reading(utc(now - DAY / 2), true, now, &[1, 1, 1]);
    store.commit(&batch([old, off]), now).expect("commits");
    settle(&mut store, now + HOUR + MINUTE);
    assert_eq!(samples(&store.reader(), &rack, 0, DAY0..DAY0 + DAY).times.len(), 1440);
    confirm(&mut store, &mut rack, now + 2 * HOUR);
    settle(&mut store, now + 3 * HOUR);
    assert_eq!(samples(&store.reader(), &rack, 0, DAY0..DAY0 + DAY).times.len(), 0);
}

#[test]
fn the_file_shrinks_when_its_content_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = Settings { raw: Duration::from_hours(24), ..Settings::new(DAY0) };
    let mut store = Store::open(dir.path(), settings).expect("opens");
    let mut rack = Rack::new("rack-1", 1);
    store.commit(&batch([rack.list(NAMES, DAY0)]), DAY0).expect("commits");
    let records = (0..120_000_u64).map(|n| {
        let noise = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 30) as i64;
        rack.reading(utc(DAY0 + n * 500), false, DAY0 + DAY, &[noise, noise / 3, n as i64 % 2])
    });
    let records: Vec<_> = records.collect();
    store.commit(&batch(records), DAY0 + DAY).expect("commits");
    let full = store.stats().expect("counts").bytes;
    let mut now = DAY0 + DAY + HOUR;
    settle(&mut store, now);
    now += 3 * DAY;
    confirm(&mut store, &mut rack, now);
    settle(&mut store, now + 2 * HOUR);
    let stats = store.stats().expect("counts");
    assert!(stats.bytes < full / 2, "{full} {stats:?}");
    assert!(stats.free_bytes <= (256 * 4096).max(stats.bytes / 16), "{stats:?}");
}

#[test]
fn a_step_is_told_when_to_come_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), DAY0);
    assert_eq!(settle(&mut store, DAY0 + 10 * MINUTE), DAY0 + HOUR + MINUTE);
    assert_eq!(step(&mut store, DAY0 + 20 * MINUTE), Step::IdleUntil(DAY0 + HOUR + MINUTE));
    let mut rack = Rack::new("rack-1", 1);
    let list = rack.list(NAMES, DAY0);
    let reading = rack.reading(utc(DAY0 + 20 * MINUTE), true, DAY0 + 20 * MINUTE, &[1, 2, 1]);
    store.commit(&batch([list, reading]), DAY0 + 20 * MINUTE).expect("commits");
    assert_eq!(store.stats().expect("counts").inbox, 1);
    assert_eq!(settle(&mut store, DAY0 + HOUR), DAY0 + HOUR + MINUTE, "the hour rests a minute");
    assert_eq!(store.stats().expect("counts").inbox, 1);
    settle(&mut store, DAY0 + HOUR + MINUTE);
    let stats = store.stats().expect("counts");
    assert_eq!((stats.inbox, stats.hours), (0, 1));
    assert_eq!(samples(&store.reader(), &rack, 0, 0..u64::MAX).times.len(), 1);
    assert_eq!(
        store.reader().samples(&rack.agent, SeriesId(99), 0..u64::MAX).expect("reads"),
        Samples::default()
    );
}
