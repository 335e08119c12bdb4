//! The sampler on made-up and on realistic reports.

use super::*;
use crate::clock::Clock;
use rackside_proto::metric::{self, Metric};
use rackside_proto::{Readings, Scale};

const TIME: Time = Time::Utc { ms: 1_795_000_000_000 };

fn sampler() -> Sampler {
    Sampler::new([7; 16], 10_000)
}

/// What one reading gave.
#[derive(Debug)]
struct Sampled {
    catalog: Option<(u32, Vec<u8>)>,
    readings: Vec<u8>,
    /// Of the catalog in use.
    number: u32,
}

/// One reading, which goes by itself.
fn sample(maker: &mut Sampler, report: &Report, time: Time) -> Sampled {
    maker.sample(report, (time, Clock::now()), None).expect("fits");
    let (mut catalog, mut readings) = (None, Vec::new());
    for made in maker.take_made() {
        match made {
            Made::Catalog { number, body } => {
                assert!(catalog.is_none() && readings.is_empty(), "one catalog, ahead of what uses it");
                catalog = Some((number, body));
            }
            Made::Readings { body, .. } => readings.push(body),
        }
    }
    assert_eq!(readings.len(), 1, "no more and no less than one reading");
    Sampled { catalog, readings: readings.remove(0), number: maker.number() }
}

fn report(entries: &[(&'static Metric, &str, Scale, i64)]) -> Report {
    let entries = entries.iter().map(|(metric, label, scale, number)| {
        let labels = if label.is_empty() { Vec::new() } else { vec![(*label).to_owned()] };
        Entry { sensor: 0, metric, labels, scale: *scale, value: Value::Known(*number) }
    });
    Report::of(entries.collect(), Vec::new())
}

fn up(number: i64) -> (&'static Metric, &'static str, Scale, i64) {
    (&metric::UPTIME, "", Scale::ONE, number)
}

fn mount(name: &'static str, number: i64) -> (&'static Metric, &'static str, Scale, i64) {
    (&metric::DISK_USED, name, Scale::ONE, number)
}

/// What a hub makes of it.
fn decode(sampled: &Sampled, catalog: &[u8]) -> Vec<Value> {
    let Ok(Data::Catalog(catalog)) = Data::decode(catalog) else { panic!("a catalog record") };
    assert_eq!(catalog.head.number, sampled.number);
    let references: Vec<Value> = catalog.series().map(|series| series.reference).collect();
    let readings: Readings<'_> = match Data::decode(&sampled.readings) {
        Ok(Data::Readings(readings)) => readings,
        other => panic!("not readings: {other:?}"),
    };
    let mut values = references.clone();
    for reading in &readings {
        reading.apply(&references, &mut values).expect("coded against this catalog");
    }
    values
}

#[test]
fn the_first_reading_brings_its_catalog() {
    let mut maker = sampler();
    assert_eq!(maker.catalog(), None);
    let sampled = sample(&mut maker, &report(&[up(5), mount("/", 9)]), TIME);
    let (number, catalog) = sampled.catalog.clone().expect("a catalog");
    assert_eq!(number, 1);
    assert_eq!(decode(&sampled, &catalog), [Value::Known(5), Value::Known(9)]);
    assert_eq!(maker.catalog(), Some(&catalog[1..]), "the birth's copy is the record without its kind");
}

#[test]
fn the_next_reading_needs_no_new_catalog() {
    let mut maker = sampler();
    let (_, catalog) = sample(&mut maker, &report(&[up(5)]), TIME).catalog.expect("a catalog");
    let sampled = sample(&mut maker, &report(&[up(15)]), TIME.plus(10_000));
    assert_eq!(sampled.catalog, None);
    assert_eq!(decode(&sampled, &catalog), [Value::Known(15)]);
}

#[test]
fn a_new_mount_makes_a_new_catalog_and_a_vanished_one_becomes_absent() {
    let mut maker = sampler();
    let (_, first) = sample(&mut maker, &report(&[mount("/", 1)]), TIME).catalog.expect("a catalog");
    let with = sample(&mut maker, &report(&[mount("/", 1), mount("/srv", 2)]), TIME);
    let (number, second) = with.catalog.clone().expect("a catalog for the new mount");
    assert_eq!(number, 2);
    assert_ne!(first, second);
    assert_eq!(decode(&with, &second), [Value::Known(1), Value::Known(2)]);
    let without = sample(&mut maker, &report(&[mount("/", 1)]), TIME);
    assert_eq!(without.catalog, None);
    assert_eq!(decode(&without, &second), [Value::Known(1), Value::Absent]);
    let back = sample(&mut maker, &report(&[mount("/", 1), mount("/srv", 3)]), TIME);
    assert_eq!(back.catalog, None, "it was still listed");
    assert_eq!(decode(&back, &second), [Value::Known(1), Value::Known(3)]);
}

#[test]
fn what_is_long_gone_leaves_the_next_catalog() {
    let mut maker = sampler();
    sample(&mut maker, &report(&[mount("/", 1), mount("/srv", 2)]), TIME);
    for _ in 0..FORGET {
        sample(&mut maker, &report(&[mount("/", 1)]), TIME);
    }
    assert_eq!(maker.series(), 2);
    let sampled = sample(&mut maker, &report(&[mount("/", 1), mount("/media/stick", 7)]), TIME);
    let (_, catalog) = sampled.catalog.clone().expect("a catalog");
    assert_eq!(decode(&sampled, &catalog), [Value::Known(1), Value::Known(7)]);
}

#[test]
fn a_failed_sensor_makes_its_series_unknown() {
    let mut maker = sampler();
    let (_, catalog) = sample(&mut maker, &report(&[up(5)]), TIME).catalog.expect("a catalog");
    let sampled = sample(&mut maker, &Report::of(Vec::new(), vec![0]), TIME);
    assert_eq!(decode(&sampled, &catalog), [Value::Unknown]);
}

#[test]
fn stale_references_are_renewed_when_the_rent_reaches_the_price() {
    let mut maker = sampler();
    let shortest = sample(&mut maker, &report(&[up(0)]), TIME).readings.len();
    let price = COPIES * maker.catalog().expect("a catalog").len();
    let mut rent = 0;
    for tick in 1.. {
        let sampled = sample(&mut maker, &report(&[up(tick * 1_000_000)]), TIME);
        if sampled.catalog.is_some() {
            break;
        }
        assert!(rent <= price, "{rent} bytes paid for a catalog of {price}");
        rent += sampled.readings.len() - shortest;
    }
    assert!(rent > price, "renewed with {rent} of {price} bytes paid");
}

#[test]
fn a_catalog_beyond_the_bound_is_cut_and_still_goes_out() {
    let mut maker = sampler();
    let names: Vec<String> = (0..limits::SERIES + 10).map(|n| format!("/{n:063}")).collect();
    let entries = names.iter().map(|name| Entry {
        sensor: 0,
        metric: &metric::DISK_USED,
        labels: vec![name.clone()],
        scale: Scale::ONE,
        value: Value::Known(1),
    });
    let sampled = sample(&mut maker, &Report::of(entries.collect(), Vec::new()), TIME);
    let (_, catalog) = sampled.catalog.expect("a catalog");
    assert!(catalog.len() <= LARGEST + 1);
    assert!(maker.series() > 1000);
}

fn disks(names: impl Iterator<Item = String>) -> Report {
    let entry = |name| Entry {
        sensor: 0,
        metric: &metric::DISK_USED,
        labels: vec![name],
        scale: Scale::ONE,
        value: Value::Known(1),
    };
    Report::of(names.map(entry).collect(), Vec::new())
}

#[test]
fn what_was_cut_does_not_make_a_catalog_each_time() {
    for name in [|n| format!("/{n:063}"), |n| format!("/{n}")] {
        let mut maker = sampler();
        let report = disks((0..limits::SERIES + 10).map(name));
        assert!(sample(&mut maker, &report, TIME).catalog.is_some());
        for tick in 1..4 {
            let sampled = sample(&mut maker, &report, TIME.plus(tick * 10_000));
            assert_eq!(sampled.catalog.map(|(number, _)| number), None, "of {} series", maker.series());
        }
    }
}

#[test]
fn a_thousand_disks_do_not_crowd_out_the_uptime() {
    for name in [|n| format!("/{n:063}"), |n| format!("/{n}")] {
        let mut maker = sampler();
        let mut entries = disks((0..limits::SERIES + 10).map(name)).entries().to_vec();
        entries.push(Entry {
            sensor: 1,
            metric: &metric::UPTIME,
            labels: Vec::new(),
            scale: Scale::ONE,
            value: Value::Known(77),
        });
        let sampled = sample(&mut maker, &Report::of(entries, Vec::new()), TIME);
        let (_, catalog) = sampled.catalog.clone().expect("a catalog");
        assert_eq!(decode(&sampled, &catalog).last(), Some(&Value::Known(77)), "the last sensor's");
    }
}

#[test]
fn what_is_gone_makes_room_for_what_comes() {
    let mut maker = sampler();
    sample(&mut maker, &disks((0..limits::SERIES).map(|n| format!("/{n}"))), TIME);
    let sampled = sample(&mut maker, &disks(std::iter::once("/new".into())), TIME);
    let (_, catalog) = sampled.catalog.clone().expect("a catalog for the new one");
    assert!(decode(&sampled, &catalog).contains(&Value::Known(1)));
    assert!(maker.series() <= limits::SERIES);
}

/// A Pi with two interfaces and three mounts: 30 series that move as a real machine's do.
fn realistic(tick: i64, noise: &mut fastrand::Rng) -> Report {
    let mut wobble = |around: i64, by: i64| around + noise.i64(-by..=by);
    let rows: Vec<(&'static Metric, &str, Scale, i64)> = vec![
        (&metric::SOC_TEMPERATURE, "", Scale::per(10), wobble(512, 15)),
        (&metric::CPU_USAGE, "", Scale::per(1000), wobble(180, 120)),
        (&metric::LOAD1, "", Scale::per(100), wobble(60, 40)),
        (&metric::LOAD5, "", Scale::per(100), wobble(55, 15)),
        (&metric::LOAD15, "", Scale::per(100), wobble(50, 5)),
        (&metric::MEMORY_USED, "", Scale::times(65_536), wobble(7_400, 60)),
        (&metric::MEMORY_TOTAL, "", Scale::times(65_536), 14_500),
        (&metric::SWAP_USED, "", Scale::times(65_536), 12),
        (&metric::SWAP_TOTAL, "", Scale::times(65_536), 1_600),
        (&metric::DISK_USED, "/", Scale::times(65_536), 80_000 + tick / 5),
        (&metric::DISK_TOTAL, "/", Scale::times(65_536), 480_000),
        (&metric::DISK_USED, "/boot/firmware", Scale::times(65_536), 1_100),
        (&metric::DISK_TOTAL, "/boot/firmware", Scale::times(65_536), 8_100),
        (&metric::DISK_USED, "/srv", Scale::times(65_536), 900_000 + tick * 30),
        (&metric::DISK_TOTAL, "/srv", Scale::times(65_536), 3_800_000),
        (&metric::NETWORK_RECEIVE, "eth0", Scale::ONE, 91_000_000_000 + tick * wobble(60_000, 0)),
        (&metric::NETWORK_TRANSMIT, "eth0", Scale::ONE, 7_000_000_000 + tick * 7_500_000 + wobble(0, 90_000)),
        (&metric::NETWORK_RECEIVE, "wlan0", Scale::ONE, 1_000_000 + tick * 900),
        (&metric::NETWORK_TRANSMIT, "wlan0", Scale::ONE, 400_000 + tick * 130),
        (&metric::NETWORK_DEFAULT_ROUTE, "eth0", Scale::ONE, 1),
        (&metric::NETWORK_DEFAULT_ROUTE, "wlan0", Scale::ONE, 0),
        (&metric::UPTIME, "", Scale::ONE, 700_000 + tick * 10),
        (&metric::CLOCK_SYNCHRONIZED, "", Scale::ONE, 1),
        (&metric::AGENT_BACKLOG, "", Scale::ONE, 1),
        (&metric::AGENT_DROPPED, "", Scale::ONE, 0),
        (&metric::AGENT_CONNECTS, "", Scale::ONE, 3),
        (&metric::AGENT_LINK_BYTES, "receive", Scale::ONE, 30_000 + tick * 70),
        (&metric::AGENT_LINK_BYTES, "transmit", Scale::ONE, 90_000 + tick * 190),
        (&metric::AGENT_RESIDENT_MEMORY, "", Scale::times(16_384), 150 + tick / 1000),
        (&metric::DISK_TOTAL, "/media/card", Scale::times(65_536), 240_000),
    ];
    report(&rows)
}

#[test]
fn thirty_series_take_at_most_100_bytes_and_60_in_the_median() {
    const ENVELOPE: usize = 1 + 4 + 5 + 1 + 1;
    let mut maker = sampler();
    let mut noise = fastrand::Rng::with_seed(7);
    let mut sizes = Vec::new();
    let mut catalogs = 0;
    let day = 8640;
    for tick in 0..day {
        let report = realistic(tick, &mut noise);
        let sampled = sample(&mut maker, &report, TIME.plus(tick as u64 * 10_000));
        catalogs += sampled.catalog.map_or(0, |(_, bytes)| bytes.len());
        sizes.push(sampled.readings.len() + ENVELOPE);
    }
    assert_eq!(maker.series(), 30);
    sizes.sort_unstable();
    let (median, most) = (sizes[sizes.len() / 2], *sizes.last().expect("a day of readings"));
    let renewed = COPIES * catalogs / day as usize;
    println!("reading: median {median}, at most {most} bytes; catalogs add {renewed} bytes a reading");
    assert!(most <= 100, "{most} bytes");
    assert!(median <= 60, "{median} bytes");
    assert!(renewed <= 40, "{renewed} bytes of catalogs a reading");
}

#[test]
fn the_other_readings_of_a_record_cost_no_rent() {
    let mut maker = sampler();
    let now = Clock::now();
    let mut catalogs = 0;
    // 360 records in six hours, of counters that run away from their references by a million each tick.
    for tick in 0..2160_u32 {
        let at = (TIME.plus(u64::from(tick) * 10_000), now + Duration::from_secs(10) * tick);
        maker
            .sample(&report(&[up(i64::from(tick) * 1_000_000)]), at, Some(Duration::from_mins(1)))
            .expect("fits");
        catalogs += maker.take_made().iter().filter(|made| matches!(made, Made::Catalog { .. })).count();
    }
    assert!((2..20).contains(&catalogs), "{catalogs} catalogs");
}

#[test]
fn a_stall_is_made_up_for_by_the_next_reading() {
    let mut maker = sampler();
    let now = Clock::now();
    let mut sizes = Vec::new();
    for second in [0, 10, 20, 95, 100, 110] {
        let at = (TIME.plus(second * 1000), now + Duration::from_secs(second));
        maker.sample(&report(&[up(second as i64)]), at, Some(Duration::from_mins(1))).expect("fits");
        for made in maker.take_made() {
            let Made::Readings { body, .. } = made else { continue };
            let Ok(Data::Readings(readings)) = Data::decode(&body) else { panic!("readings") };
            sizes.push((second, readings.len()));
        }
    }
    assert_eq!((sizes, maker.collected()), (vec![(0, 1), (95, 3)], 2));
}
