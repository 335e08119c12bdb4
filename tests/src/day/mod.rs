//! A realistic day of a fleet: what the history's size and speed are measured with.
//!
//! Each rack has sixty series (`series.rs`) that move as sensors, counters and probes of real racks do, from common causes: the
//! venue's shows, its air, its traffic, its uplink's troubles. A seed decides everything, so every codec and every
//! database gets the very same samples:
//!
//! ```text
//! Day ── rack(0) ──▶ Rack, Ticks ──┬─▶ Columns    times and numbers by series, for codecs
//!                                  ├─▶ Recorder   catalogs and readings as an agent makes them, for the hub
//!                                  └─▶ export     JSON lines for VictoriaMetrics, OpenMetrics for Prometheus
//! ```
//!
//! What it is modelled on stands beside each number. It was fixed before any codec was measured with it. It is a model, not a
//! recording: nobody has a thousand racks to record. It leaves out events between readings, and restarts of machines.

mod dice;
mod export;
mod model;
mod series;
mod traffic;
mod venue;
mod wire;

pub use export::{json_line, open_metrics, text_of};
pub use wire::{Made, Recorder, Scribe, Written, enveloped};

use dice::Dice;
use rackside_proto::{AgentName, Catalog, CatalogHead, Kind, Label, Scale, Series, Time, Value};
use series::{ROWS, Row};
use std::sync::Arc;
use venue::Venue;

/// 2026-11-18, a Wednesday, 00:00 UTC.
pub const START_MS: u64 = 1_794_960_000_000;
/// A day.
pub const DAY_MS: u64 = 86_400_000;
/// From one reading to the next, as agents do unless told otherwise.
pub const TICK_MS: u64 = 10_000;

/// A fleet's day, or as much time as wanted.
#[derive(Debug, Clone)]
pub struct Day {
    /// How many racks; five share a site's name.
    pub appliances: usize,
    /// Decides everything.
    pub seed: u64,
    /// The first reading comes within a tick of this, in milliseconds since 1970-01-01 UTC.
    pub start_ms: u64,
    /// Readings end before `start_ms` plus this.
    pub lasts_ms: u64,
    /// From one reading to the next.
    pub tick_ms: u64,
}

impl Day {
    /// One day from [`START_MS`].
    pub const fn new(appliances: usize, seed: u64) -> Self {
        Self { appliances, seed, start_ms: START_MS, lasts_ms: DAY_MS, tick_ms: TICK_MS }
    }

    /// The rack with that number and its readings' moments.
    pub fn rack(&self, number: usize) -> (Rack, Ticks) {
        let mut dice = Dice::new(self.seed ^ ((number as u64 + 1) << 32));
        let rack = Rack::new(name(number), ROWS, dice.next(), self.start_ms);
        (rack, Ticks::new(dice.next(), self.start_ms, self.tick_ms, self.start_ms + self.lasts_ms))
    }

    /// All samples of a rack, by series.
    pub fn columns(&self, number: usize) -> Columns {
        let (mut rack, ticks) = self.rack(number);
        let mut values = vec![Vec::new(); ROWS];
        let mut times = Vec::new();
        for ms in ticks {
            times.push(ms);
            for (column, value) in values.iter_mut().zip(rack.read(ms)) {
                column.push(value.known());
            }
        }
        let columns = rack.describe().zip(values).map(|(series, values)| Column { series, values }).collect();
        Columns { agent: rack.name().clone(), times: times.into(), columns }
    }
}

/// A rack's samples, by series.
#[derive(Debug, Clone)]
pub struct Columns {
    /// Whose.
    pub agent: AgentName,
    /// The readings' moments in milliseconds since 1970-01-01 UTC, rising.
    pub times: Arc<[u64]>,
    /// A value of each series for each moment.
    pub columns: Vec<Column>,
}

/// One series of [`Columns`].
#[derive(Debug, Clone)]
pub struct Column {
    /// Which.
    pub series: Described,
    /// On the series' scale; `None` where it was absent.
    pub values: Vec<Option<i64>>,
}

/// What a series is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The metric's name.
    pub name: &'static str,
    /// Its labels beside site and appliance.
    pub labels: Vec<(&'static str, String)>,
    /// Its unit, or nothing.
    pub unit: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What one step is worth.
    pub scale: Scale,
    /// What it is modelled by.
    pub class: Class,
}

/// Series that move alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Temperature in tenths of a degree.
    Tenths,
    /// Temperature in sixteenths.
    Sixteenths,
    /// Usage of all processors in ten-thousandths.
    Fine,
    /// Usage of one processor in thousandths.
    Coarse,
    /// Bytes, packets, errors.
    Counter,
    /// A few numbers that each mean something.
    State,
    /// Never moves.
    Constant,
    /// Microseconds.
    Latency,
}

impl Class {
    /// Every class, in the order of a rack's series.
    pub const ALL: [Self; 8] = [
        Self::Tenths,
        Self::Sixteenths,
        Self::Fine,
        Self::Coarse,
        Self::Counter,
        Self::State,
        Self::Constant,
        Self::Latency,
    ];

    /// Its name in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenths => "temperature, 1/10",
            Self::Sixteenths => "temperature, 1/16",
            Self::Fine => "usage, 1/10000",
            Self::Coarse => "usage, 1/1000",
            Self::Counter => "counter",
            Self::State => "state",
            Self::Constant => "constant",
            Self::Latency => "latency, 1 us",
        }
    }
}

/// A rack and its series' present values.
#[derive(Debug, Clone)]
pub struct Rack {
    name: AgentName,
    venue: Venue,
    rows: Vec<Row>,
    values: Vec<Value>,
    dice: Dice,
}

impl Rack {
    /// A rack of so many series before its first reading: the sixty in an order that shows each class early, then once more.
    pub fn new(name: AgentName, series: usize, seed: u64, start_ms: u64) -> Self {
        let mut dice = Dice::new(seed);
        let venue = Venue::new(dice.next(), start_ms);
        let mut rows = Vec::new();
        for sixty in 0..series.div_ceil(ROWS) {
            let mut all = series::rows(sixty, &mut dice);
            if series < ROWS {
                // 7 and 60 have no common divisor: every row once, neighbours far apart.
                all = (0..ROWS).map(|at| all[at * 7 % ROWS].clone()).collect();
            }
            rows.append(&mut all);
        }
        rows.truncate(series);
        let values = vec![Value::Absent; series];
        Self { name, venue, rows, values, dice }
    }

    /// Its site and name there.
    pub fn name(&self) -> &AgentName {
        &self.name
    }

    /// What its series are, in the order of their values.
    pub fn describe(&self) -> impl Iterator<Item = Described> + '_ {
        self.rows.iter().map(|row| Described {
            name: row.name,
            labels: row.labels.clone(),
            unit: row.unit,
            kind: row.kind,
            scale: row.scale,
            class: row.class,
        })
    }

    /// Reads every series at `ms`, milliseconds since 1970-01-01 UTC, not before the reading before.
    pub fn read(&mut self, ms: u64) -> &[Value] {
        self.venue.step(ms);
        for (row, value) in self.rows.iter_mut().zip(&mut self.values) {
            *value = row.model.step(&self.venue, row.scale, &mut self.dice);
        }
        &self.values
    }

    /// A catalog's bytes, with references of its own choice, one for each series.
    pub fn catalog(&self, number: u32, time: Time, tick_ms: u32, references: &[Value]) -> Vec<u8> {
        let head = CatalogHead { number, time, boot_id: [0; 16], tick_ms };
        let series = self.rows.iter().zip(references).map(|(row, reference)| {
            let labels = row.labels.iter().map(|(name, value)| Label { name, value });
            Series {
                name: row.name,
                labels: labels.collect(),
                unit: row.unit,
                kind: row.kind,
                scale: row.scale,
                reference: *reference,
            }
        });
        let mut bytes = Vec::new();
        Catalog::encode(&head, series, &mut bytes).expect("the rows keep the wire's bounds");
        bytes
    }
}

/// `site-1/rack-3`: the name of the rack with that number.
pub fn name(number: usize) -> AgentName {
    AgentName::new(&format!("site-{}", number / 5), &format!("rack-{}", number % 5 + 1))
        .expect("letters, digits and hyphens")
}

/// When a rack reads: on a grid of its own, each time a little late. A timer of an idle Linux wakes within a millisecond or two; other
/// processes and a slow sensor make that a few more, and once in a while tens.
#[derive(Debug, Clone)]
pub struct Ticks {
    dice: Dice,
    next: u64,
    tick_ms: u64,
    end: u64,
}

impl Ticks {
    fn new(seed: u64, start_ms: u64, tick_ms: u64, end: u64) -> Self {
        let mut dice = Dice::new(seed);
        // Agents start when they start.
        let next = start_ms + dice.next() % tick_ms;
        Self { dice, next, tick_ms, end }
    }
}

impl Iterator for Ticks {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let late = if self.dice.share() < 0.01 {
            self.dice.between(10.0, 40.0)
        } else {
            (1.0 + 2.5 * self.dice.wait()).min(40.0)
        };
        let ms = self.next + late as u64;
        self.next += self.tick_ms;
        (ms < self.end).then_some(ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        let columns = |seed| {
            let columns = Day { lasts_ms: 3_600_000, ..Day::new(1, seed) }.columns(0);
            (columns.times, columns.columns.into_iter().map(|column| column.values).collect::<Vec<_>>())
        };
        assert_eq!(columns(1), columns(1));
        assert_ne!(columns(1), columns(2));
    }

    #[test]
    fn the_classes_stand_in_their_proportions() {
        let (rack, _) = Day::new(1, 1).rack(0);
        let count = |class| rack.describe().filter(|series| series.class == class).count();
        assert_eq!(Class::ALL.map(count), [8, 2, 4, 6, 15, 12, 8, 5]);
    }

    #[test]
    fn no_two_series_of_a_rack_have_one_name() {
        let rack = Rack::new(name(0), 150, 1, START_MS);
        let mut names: Vec<_> = rack.describe().map(|series| (series.name, series.labels)).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 150);
    }

    #[test]
    fn a_day_has_a_reading_in_each_tick_and_each_is_a_little_late() {
        let ticks: Vec<u64> = Day::new(1, 1).rack(0).1.collect();
        assert_eq!(ticks.len(), 8640);
        let grid = ticks[0] / 100 * 100;
        assert!(ticks.windows(2).all(|pair| (9_950..=10_050).contains(&(pair[1] - pair[0]))));
        let late: std::collections::BTreeSet<u64> =
            ticks.iter().enumerate().map(|(at, ms)| ms.wrapping_sub(grid + at as u64 * TICK_MS)).collect();
        assert!(late.len() > 15, "{late:?}");
    }

    #[test]
    fn counters_only_rise_and_constants_rest() {
        for number in 0..5 {
            for column in Day::new(5, 3).columns(number).columns {
                let known: Vec<i64> = column.values.iter().flatten().copied().collect();
                match column.series.class {
                    Class::Counter => assert!(known.is_sorted(), "{:?}", column.series),
                    Class::Constant => assert!(known.iter().all(|value| *value == known[0])),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn every_series_of_a_fleet_but_the_constants_moves_in_a_day() {
        let day = Day::new(20, 1);
        let mut moved = [false; ROWS];
        for number in 0..day.appliances {
            for (at, column) in day.columns(number).columns.iter().enumerate() {
                moved[at] |= column.values.windows(2).any(|pair| pair[0] != pair[1]);
            }
        }
        let (rack, _) = day.rack(0);
        for (moved, series) in moved.iter().zip(rack.describe()) {
            assert_eq!(*moved, series.class != Class::Constant, "{series:?}");
        }
    }

    #[test]
    fn values_stay_where_a_rack_can_have_them() {
        for number in 0..10 {
            for column in Day::new(10, 7).columns(number).columns {
                let range = match column.series.class {
                    Class::Tenths | Class::Sixteenths => 5.0..=100.0,
                    Class::Fine | Class::Coarse => 0.0..=1.0,
                    Class::State => 0.0..=5.0,
                    Class::Latency => 0.000_05..=10.0,
                    Class::Counter | Class::Constant => 0.0..=1e13,
                };
                for value in column.values.iter().flatten() {
                    let quantity = column.series.scale.value(*value);
                    assert!(range.contains(&quantity), "{:?}: {quantity}", column.series);
                }
            }
        }
    }
}
