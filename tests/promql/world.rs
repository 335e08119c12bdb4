//! Series as they occur at an appliance, and as they should not occur: all of them from a seed.
//!
//! Invariant: the series are in the order of their labels, and each begins with a stale marker at the world's beginning, which nobody
//! sees but which makes them known to Prometheus in that order: ties of `topk` and sums then go the same way.
//!
//! ```text
//! sent_bytes_total{port="eth0",site="hall-1"}  stale, 1200, 2961, …, (a restart) 0, 731, …
//! latency_seconds_bucket{le="0.5",site="tent"}  stale, 3, 3, 9, …
//! ```

use fastrand::Rng;
use rackside_tests::prometheus::{STALE, Series};

/// The times at which worlds begin, shortly before something changes: a leap day, a year, the seconds since 1970 beyond 31 bits.
const BEGINNINGS: [i64; 4] = [1_709_247_000_000, 1_798_758_300_000, 2_147_481_000_000, 1_774_738_800_000];
/// How long they last. A head of Prometheus takes an hour and more of samples in one piece.
const LASTING: i64 = 75 * 60_000;

/// What is stored on both sides.
#[derive(Debug)]
pub(crate) struct World {
    /// Everything in it follows from this.
    pub(crate) seed: u64,
    /// When its first sample is, ms.
    pub(crate) start: i64,
    /// When its last sample is, at the latest.
    pub(crate) end: i64,
    /// Sorted by their labels.
    pub(crate) series: Vec<Series>,
}

/// A name and the labels that its series have; the generator of expressions draws from them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) labels: &'static [&'static str],
}

/// Every name; the first ones are drawn more often.
pub(crate) const METRICS: [Metric; 17] = [
    Metric { name: "temp_celsius", labels: &["site", "sensor"] },
    Metric { name: "temp_limit", labels: &["site", "sensor"] },
    Metric { name: "load", labels: &["site", "cpu"] },
    Metric { name: "sent_bytes_total", labels: &["site", "port"] },
    Metric { name: "errors_total", labels: &["site"] },
    Metric { name: "on_air", labels: &["site"] },
    Metric { name: "latency_seconds_bucket", labels: &["site", "le"] },
    Metric { name: "latency_seconds_count", labels: &["site"] },
    Metric { name: "build_info", labels: &["site", "version"] },
    Metric { name: "odd", labels: &["kind"] },
    Metric { name: "odd_bucket", labels: &["kind", "le"] },
    Metric { name: "bare", labels: &[] },
    Metric { name: "once", labels: &["site"] },
    Metric { name: "Loud:total", labels: &["Zone"] },
    Metric { name: "latency_seconds_sum", labels: &["site"] },
    Metric { name: "sparse", labels: &["site"] },
    Metric { name: "never", labels: &["site"] },
];

const SITES: [&str; 4] = ["hall-1", "hall-2", "tent", "Bühne \"A\""];
const BOUNDS: [&str; 6] = ["0.05", "0.1", "0.5", "1", "2.5", "+Inf"];

/// The values of a label, for matchers.
pub(crate) fn values(label: &str) -> &'static [&'static str] {
    match label {
        "site" => &SITES,
        "sensor" => &["cpu", "case"],
        "cpu" => &["0", "1", ""],
        "port" => &["eth0", "wlan0"],
        "le" => &BOUNDS,
        "version" => &["0.9.1", "1.0.0"],
        "kind" => &["nan", "inf", "mixed", "huge", "tiny", "negative", "zero"],
        "Zone" => &["a", "b"],
        _ => &["x"],
    }
}

/// When a series is seen: the times, and whether it ends there for a while.
type Scrapes = Vec<(i64, bool)>;

impl World {
    /// The world of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let start = BEGINNINGS[seed as usize % BEGINNINGS.len()];
        let mut making = Making { rng: Rng::with_seed(seed), start, series: Vec::new() };
        making.gauges();
        making.counters();
        making.states();
        making.histograms();
        making.oddities();
        making.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Self { seed, start, end: start + LASTING, series: making.series }
    }
}

struct Making {
    rng: Rng,
    start: i64,
    series: Vec<Series>,
}

impl Making {
    fn gauges(&mut self) {
        for site in SITES {
            for sensor in ["cpu", "case"] {
                let labels = [("site", site), ("sensor", sensor)];
                let mut value = self.rng.f64() * 50.0 - 5.0;
                let scrapes = self.scrapes();
                self.put("temp_celsius", &labels, &scrapes, |rng| {
                    value += rng.f64() - 0.5;
                    (value * 10.0).round() / 10.0
                });
                if site != "tent" {
                    let limit = self.rng.f64() * 20.0 + 10.0;
                    let scrapes = self.scrapes();
                    self.put("temp_limit", &labels, &scrapes, |_| limit.round());
                }
            }
            for cpu in ["0", "1", ""] {
                let labels = [("site", site), ("cpu", cpu)];
                let scrapes = self.scrapes();
                self.put("load", &labels, &scrapes, Rng::f64);
            }
        }
        let scrapes = self.scrapes();
        self.put("bare", &[], &scrapes, |rng| rng.f64() * 2e9 - 1e9);
    }

    fn counters(&mut self) {
        for site in SITES {
            for port in ["eth0", "wlan0"] {
                let (mut value, fast) = (self.rng.f64() * 1e6, self.rng.f64() * 1e4);
                let scrapes = self.scrapes();
                self.put("sent_bytes_total", &[("site", site), ("port", port)], &scrapes, |rng| {
                    value = if rng.u32(..60) == 0 { 0.0 } else { (value + rng.f64() * fast).floor() };
                    value
                });
            }
            let mut value = 0.0;
            let scrapes = self.scrapes();
            self.put("errors_total", &[("site", site)], &scrapes, |rng| {
                match rng.u32(..50) {
                    0 => value = 0.0,
                    1..10 => value += f64::from(rng.u32(1..5)),
                    _ => {}
                }
                value
            });
        }
        for zone in ["a", "b"] {
            let mut value = 0.0;
            let scrapes = self.scrapes();
            self.put("Loud:total", &[("Zone", zone)], &scrapes, |rng| {
                value += f64::from(rng.u32(..3));
                value
            });
        }
    }

    fn states(&mut self) {
        for site in SITES {
            let mut on = self.rng.bool();
            let scrapes = self.scrapes();
            self.put("on_air", &[("site", site)], &scrapes, |rng| {
                on ^= rng.u32(..20) == 0;
                f64::from(u8::from(on))
            });
            // One version ends where the next begins.
            let scrapes = self.scrapes();
            let (before, after) = scrapes.split_at(self.rng.usize(..scrapes.len()));
            let mut before = before.to_vec();
            before.extend(after.first().map(|(at, _)| (*at, true)));
            self.put("build_info", &[("site", site), ("version", "0.9.1")], &before, |_| 1.0);
            self.put("build_info", &[("site", site), ("version", "1.0.0")], after, |_| 1.0);
            let few: Scrapes = scrapes.iter().filter(|_| self.rng.u32(..25) == 0).copied().collect();
            self.put("sparse", &[("site", site)], &few, |rng| rng.f64() * 100.0);
            let one = scrapes[self.rng.usize(..scrapes.len())];
            self.put("once", &[("site", site)], &[(one.0, false)], |rng| f64::from(rng.u32(..10)));
        }
    }

    fn histograms(&mut self) {
        for site in SITES {
            let scrapes = self.scrapes();
            let mut counts = [0.0; BOUNDS.len()];
            let mut sum = 0.0;
            let mut columns = vec![Vec::new(); BOUNDS.len()];
            let mut sums = Vec::new();
            for _ in &scrapes {
                if self.rng.u32(..80) == 0 {
                    (counts, sum) = ([0.0; BOUNDS.len()], 0.0);
                }
                for _ in 0..self.rng.u32(..6) {
                    let first = self.rng.usize(..BOUNDS.len());
                    counts.iter_mut().skip(first).for_each(|count| *count += 1.0);
                    sum += self.rng.f64() * 3.0;
                }
                columns.iter_mut().zip(counts).for_each(|(column, count)| column.push(count));
                sums.push(sum);
            }
            for (le, column) in BOUNDS.iter().zip(&columns) {
                self.listed("latency_seconds_bucket", &[("site", site), ("le", le)], &scrapes, column);
            }
            self.listed("latency_seconds_count", &[("site", site)], &scrapes, &columns[BOUNDS.len() - 1]);
            self.listed("latency_seconds_sum", &[("site", site)], &scrapes, &sums);
        }
    }

    /// Values that nobody wants, and buckets that are none.
    fn oddities(&mut self) {
        let one = |rng: &mut Rng, kind: &str| match kind {
            "nan" => f64::NAN,
            "inf" => f64::INFINITY,
            "huge" => rng.f64() * 1e300,
            "tiny" => (rng.f64() - 0.5) * 1e-300,
            "negative" => -rng.f64() * 100.0,
            "zero" => [0.0, -0.0][rng.usize(..2)],
            _ => [f64::NAN, f64::INFINITY, -f64::INFINITY, 0.0, 1.0, -2.5, 1e18][rng.usize(..7)],
        };
        for kind in values("kind") {
            let scrapes = self.scrapes();
            self.put("odd", &[("kind", kind)], &scrapes, |rng| one(rng, kind));
        }
        let bounds: [(&str, &[&str]); 6] = [
            ("no infinity", &["1", "2"]),
            ("only infinity", &["+Inf"]),
            ("no number", &["1", "x", "+Inf"]),
            ("twice the same", &["1", "1.0", "2", "+Inf"]),
            ("negative", &["-2", "-1", "0", "+Inf"]),
            ("falling", &["1", "2", "3", "+Inf"]),
        ];
        for (kind, bounds) in bounds {
            let scrapes = self.scrapes();
            for (place, le) in bounds.iter().enumerate() {
                let falling = if kind == "falling" { 5.0 } else { place as f64 * 4.0 };
                self.put("odd_bucket", &[("kind", kind), ("le", le)], &scrapes, |rng| {
                    (falling + rng.f64() * 3.0).floor()
                });
            }
        }
        let scrapes = self.scrapes();
        for le in BOUNDS {
            self.put("odd_bucket", &[("kind", "mixed"), ("le", le)], &scrapes, |rng| one(rng, "mixed"));
        }
    }

    /// Every few seconds, on the second or beside it, with gaps of which half are known.
    fn scrapes(&mut self) -> Scrapes {
        let rng = &mut self.rng;
        let every = [10_000, 15_000, 15_000, 30_000, 60_000][rng.usize(..5)];
        let jitter = [1, 1, 40, 3000][rng.usize(..4)];
        let mut at = self.start + [0, 0, rng.i64(0..every)][rng.usize(..3)];
        let mut scrapes = Vec::new();
        while at <= self.start + LASTING {
            let gap = rng.u32(..150) == 0;
            if gap {
                if rng.bool() {
                    scrapes.push((at, true));
                }
                at += rng.i64(1..12) * 60_000;
            } else {
                scrapes.push((at + rng.i64(0..jitter), false));
            }
            at += every;
        }
        scrapes
    }

    fn put(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        scrapes: &[(i64, bool)],
        mut value: impl FnMut(&mut Rng) -> f64,
    ) {
        let values: Vec<f64> = scrapes.iter().map(|_| value(&mut self.rng)).collect();
        self.listed(name, labels, scrapes, &values);
    }

    fn listed(&mut self, name: &str, labels: &[(&str, &str)], scrapes: &[(i64, bool)], values: &[f64]) {
        // An empty label is none.
        let given = labels.iter().filter(|(_, value)| !value.is_empty());
        let mut labels: Vec<_> =
            given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        labels.push(("__name__".to_owned(), name.to_owned()));
        labels.sort();
        let mut samples = vec![(self.start - 1, STALE)];
        for ((at, ends), value) in scrapes.iter().zip(values) {
            samples.push((*at, if *ends { STALE } else { *value }));
        }
        self.series.push(Series { labels, samples });
    }
}

#[test]
fn a_seed_is_a_world_in_the_order_of_labels_and_of_time() {
    let world = World::new(3);
    assert!(world.series.is_sorted_by(|a, b| a.labels < b.labels));
    for series in &world.series {
        assert!(series.samples.is_sorted_by(|(a, _), (b, _)| a < b), "{:?}", series.labels);
    }
    let text = |world: &World| format!("{:?}", world.series);
    assert_eq!(text(&world), text(&World::new(3)));
    assert_ne!(text(&world), text(&World::new(7)));
}
