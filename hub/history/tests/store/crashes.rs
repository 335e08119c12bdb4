//! Random schedules of commits, housekeeping steps and crashes, against the model.

use crate::model::Model;
use crate::rack::{DAY0, HOUR, MINUTE, Rack, batch, open, settle, step, utc};
use proptest::prelude::*;
use rackside_history::{NewRecord, Store};
use rackside_proto::{Time, Value, What};
use std::fs;
use tempfile::TempDir;

const LISTS: [&[&str]; 4] = [
    &["temp", "bytes_total", "link_up"],
    &["temp", "bytes_total", "link_up", "bytes_total/wlan0"],
    &["temp", "link_up"],
    &["link_up", "temp", "fan", "rackside_hub_own", "temp"],
];

#[derive(Debug, Clone)]
enum Op {
    /// Readings of rack `0`, `1` or `2`, made so many milliseconds ago.
    Readings {
        rack: usize,
        ago: u64,
        count: u64,
        values: [i64; 3],
    },
    /// An event on the first series.
    Event {
        rack: usize,
        ago: u64,
        value: i64,
    },
    Text {
        rack: usize,
        text: u8,
    },
    /// Readings on the boot's clock.
    Boot {
        rack: usize,
        boot: u32,
        ms: u64,
        live: bool,
        value: i64,
    },
    Anchor {
        rack: usize,
        boot: u32,
    },
    List {
        rack: usize,
        list: usize,
    },
    Restart {
        rack: usize,
    },
    /// A record that was committed once is offered again, alone.
    Again(prop::sample::Index),
    Steps(usize),
    Settle,
    Wait(u64),
    /// The power goes: what is on the disk is all that is left.
    Cut,
    Check,
}

fn op() -> impl Strategy<Value = Op> {
    let rack = 0..3_usize;
    let ago = prop_oneof![
        6 => Just(0_u64),
        2 => 0..(5 * MINUTE),
        2 => (0..60_u64).prop_map(|hours| hours * HOUR / 2),
    ];
    let value = -1..400_i64;
    prop_oneof![
        10 => (rack.clone(), ago.clone(), 1..4_u64, [value.clone(), value.clone(), value.clone()])
            .prop_map(|(rack, ago, count, values)| Op::Readings { rack, ago, count, values }),
        3 => (rack.clone(), ago, value.clone()).prop_map(|(rack, ago, value)| Op::Event { rack, ago, value }),
        1 => (rack.clone(), any::<u8>()).prop_map(|(rack, text)| Op::Text { rack, text }),
        3 => (rack.clone(), 1..4_u32, 0..100_000_u64, prop::bool::weighted(0.2), value)
            .prop_map(|(rack, boot, ms, live, value)| Op::Boot { rack, boot, ms, live, value }),
        1 => (rack.clone(), 1..4_u32).prop_map(|(rack, boot)| Op::Anchor { rack, boot }),
        2 => (rack.clone(), 0..LISTS.len()).prop_map(|(rack, list)| Op::List { rack, list }),
        1 => rack.prop_map(|rack| Op::Restart { rack }),
        2 => any::<prop::sample::Index>().prop_map(Op::Again),
        6 => (1..6_usize).prop_map(Op::Steps),
        1 => Just(Op::Settle),
        4 => prop_oneof![(1..30_u64).prop_map(|seconds| seconds * 1_000), (1..30_u64).prop_map(|hours| hours * HOUR)]
            .prop_map(Op::Wait),
        2 => Just(Op::Cut),
        1 => Just(Op::Check),
    ]
}

struct World {
    dir: TempDir,
    store: Store,
    model: Model,
    racks: Vec<Rack>,
    committed: Vec<NewRecord>,
    now: u64,
    runs: u32,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path(), DAY0);
        let racks = ["rack-1", "rack-2", "rack-3"].iter().zip(1..).map(|(name, run)| Rack::new(name, run));
        let mut world = Self {
            dir,
            store,
            model: Model::default(),
            racks: racks.collect(),
            committed: Vec::new(),
            now: DAY0 + 80 * HOUR,
            runs: 10,
        };
        for rack in 0..3 {
            world.list(rack, 0);
        }
        world
    }

    fn list(&mut self, rack: usize, list: usize) {
        let rack = &mut self.racks[rack];
        let record = rack.list(LISTS[list], self.now);
        self.model.list(&rack.agent, rack.run, rack.catalog, LISTS[list]);
        self.commit(vec![record]);
    }

    fn commit(&mut self, records: Vec<NewRecord>) {
        self.store.commit(&batch(records.clone()), self.now).expect("commits");
        for record in records {
            self.model.commit(&record);
            self.committed.push(record);
        }
        // What a boot's date sets free goes back at once, so that the model knows the order.
        self.steps(1);
    }

    fn steps(&mut self, steps: usize) {
        for _ in 0..steps {
            step(&mut self.store, self.now);
        }
    }

    fn cut(&mut self) {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["history.db", "history.db-wal"] {
            let from = self.dir.path().join(name);
            if from.exists() {
                fs::copy(from, dir.path().join(name)).expect("copies");
            }
        }
        self.store = open(dir.path(), self.now);
        self.dir = dir;
        self.steps(3);
    }

    fn run(&mut self, op: &Op) {
        let now = self.now;
        match *op {
            Op::Readings { rack, ago, count, values } => {
                let rack = &mut self.racks[rack];
                let numbers = |at: u64| -> Vec<Value> {
                    (0..rack.names.len())
                        .map(|series| crate::rack::known(values[series % 3] + at as i64))
                        .collect()
                };
                let all: Vec<(Time, Vec<Value>)> =
                    (0..count).map(|at| (utc(now - ago + at * 10), numbers(at))).collect();
                let all: Vec<(Time, &[Value])> =
                    all.iter().map(|(time, values)| (*time, values.as_slice())).collect();
                let record = rack.readings(&all, ago == 0, now);
                self.commit(vec![record]);
            }
            Op::Event { rack, ago, value } => {
                let rack = &mut self.racks[rack];
                let what =
                    What::Sample { catalog: rack.catalog, series: 0, value: crate::rack::known(value) };
                let record = rack.event(utc(now - ago), what, ago == 0, now);
                self.commit(vec![record]);
            }
            Op::Text { rack, text } => {
                let text = text.to_string();
                let what = What::Text { subject: "track", text: &text };
                let record = self.racks[rack].event(utc(now), what, true, now);
                self.commit(vec![record]);
            }
            Op::Boot { rack, boot, ms, live, value } => {
                let rack = &mut self.racks[rack];
                // A boot's clock goes with the world's, so that a live record never asks for another date.
                let since = now - DAY0 - u64::from(boot) * HOUR;
                let ms = if live { since } else { ms };
                let time = Time::Boot { boot, ms };
                let values = vec![value; rack.names.len()];
                let record = rack.reading(time, live, now, &values);
                self.commit(vec![record]);
            }
            Op::Anchor { rack, boot } => {
                let boot_ms = now - DAY0 - u64::from(boot) * HOUR;
                let what = What::Anchor { boot, boot_ms, utc_ms: now };
                let record = self.racks[rack].event(utc(now), what, true, now);
                self.commit(vec![record]);
            }
            Op::List { rack, list } => self.list(rack, list),
            Op::Restart { rack } => {
                self.runs += 1;
                let name = self.racks[rack].agent.appliance.to_string();
                self.racks[rack] = Rack::new(&name, self.runs);
                self.list(rack, 1);
            }
            Op::Again(which) => {
                let record = self.committed[which.index(self.committed.len())].clone();
                let done = self.store.commit(&batch([record]), now).expect("commits");
                assert_eq!((done.stored, done.duplicates), (0, 1));
            }
            Op::Steps(steps) => self.steps(steps),
            Op::Settle => {
                settle(&mut self.store, now);
            }
            Op::Wait(ms) => self.now += ms,
            Op::Cut => self.cut(),
            Op::Check => self.model.check(&self.store),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_history_holds_each_record_once(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        for op in ops {
            world.run(&op);
        }
        world.model.check(&world.store);
        world.cut();
        world.model.check(&world.store);
        settle(&mut world.store, world.now + 2 * HOUR);
        world.model.check(&world.store);
        settle(&mut world.store, world.now + 80 * HOUR);
        world.model.check(&world.store);
        prop_assert_eq!(world.store.stats().expect("counts").inbox, 0);
        prop_assert_eq!(world.store.stats().expect("counts").hours, 0);
    }
}
