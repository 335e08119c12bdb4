//! How long expressions of rules take at one moment over a thousand appliances. What the source costs is next to nothing, so it is the
//! evaluation that is measured; the shortest of many rounds, since nobody has a machine alone.
//!
//! ```text
//! cargo run --release -p rackside-promql --example instant [PART OF THE EXPRESSION]
//! ```

#![expect(clippy::disallowed_methods, reason = "it measures time")]
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rackside_promql::{Labels, Limits, Query, Sample, Select, Source, SourceError, Take, Test, Wanted};

const EXPRESSIONS: &[&str] = &[
    "up == 0",
    "temp_celsius > 80",
    "temp_celsius > 40 and on (site, appliance) on_air == 1",
    "sum by (site) (rate(sent_bytes_total[5m]))",
    "disk_used_bytes / disk_size_bytes > 0.9 and on (site, appliance) on_air == 1",
    "histogram_quantile(0.95, sum by (le, site) (rate(latency_seconds_bucket[5m])))",
    "max_over_time(temp_celsius[10m])",
    "avg_over_time(temp_celsius[10m]) > 75",
    "predict_linear(disk_used_bytes[10m], 14400) > on (site, appliance) disk_size_bytes",
    "changes(on_air[10m]) > 3",
    "temp_celsius * on (site, appliance) group_left (version) build_info",
    "up == 1 unless on (site, appliance) on_air",
    "count by (site) (up == 0) / count by (site) (up) > 0.5",
    "sum by (site, appliance) (rate(sent_bytes_total[1m])) < 100000",
    "topk(5, temp_celsius)",
    "absent(nothing)",
];

const APPLIANCES: usize = 1000;
const ROUNDS: usize = 200;
/// Ten minutes, every ten seconds.
const SAMPLES: i64 = 61;

/// Series by the name of their metric.
#[derive(Default)]
struct Fleet(HashMap<String, Vec<(Labels, Vec<Sample>)>>);

impl Fleet {
    fn new() -> Self {
        let mut fleet = Self::default();
        for number in 0..APPLIANCES {
            for (place, metric) in
                ["up", "temp_celsius", "disk_used_bytes", "disk_size_bytes"].into_iter().enumerate()
            {
                fleet.put(metric, number, &[], |at| ((number * 7 + place + at as usize) % 90) as f64);
            }
            fleet.put("on_air", number, &[], |at| {
                f64::from(u8::from(!(number + at as usize).is_multiple_of(30)))
            });
            fleet.put("build_info", number, &[("version", "1.0.0")], |_| 1.0);
            for port in ["eth0", "wlan0"] {
                fleet.put("sent_bytes_total", number, &[("port", port)], |at| at as f64 * 1e5);
            }
            for (place, le) in ["0.01", "0.05", "0.1", "0.5", "1", "+Inf"].into_iter().enumerate() {
                let growth = (place + 1) as f64;
                fleet.put("latency_seconds_bucket", number, &[("le", le)], |at| at as f64 * growth);
            }
        }
        fleet
    }

    fn put(&mut self, metric: &str, number: usize, more: &[(&str, &str)], value: impl Fn(i64) -> f64) {
        let (site, appliance) = (format!("hall-{}", number % 40), format!("rack-{number:04}"));
        let all =
            [("__name__", metric), ("site", &site), ("appliance", &appliance), ("organisation", "main")];
        let labels = Labels::new(all.into_iter().chain(more.iter().copied()));
        let samples = (0..SAMPLES).map(|at| Sample::new(at * 10_000, value(at))).collect();
        self.0.entry(metric.to_owned()).or_default().push((labels, samples));
    }
}

impl Source for Fleet {
    fn select(&self, wanted: &Select<'_>, take: &mut dyn Take) -> Result<(), SourceError> {
        let Some(Test::Equal(name)) = wanted.matchers.first().map(|matcher| &matcher.test) else {
            return Ok(());
        };
        for (labels, samples) in self.0.get(&**name).into_iter().flatten() {
            let to = samples.partition_point(|sample| sample.at <= wanted.to);
            let from = match wanted.wanted {
                Wanted::Newest => to.saturating_sub(1),
                Wanted::All => samples.partition_point(|sample| sample.at < wanted.from),
            };
            if take.series(labels, &samples[from..to]) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

fn main() {
    let part = std::env::args().nth(1).unwrap_or_default();
    let fleet = Fleet::new();
    for text in EXPRESSIONS.iter().filter(|text| text.contains(&part)) {
        let query = Query::parse(text).expect("a query");
        let mut shortest = Duration::MAX;
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            let outcome = query.instant(&fleet, 600_000, &Limits::default()).expect("an answer");
            shortest = shortest.min(begin.elapsed());
            drop(outcome);
        }
        println!("{:>7} µs  {text}", shortest.as_micros());
    }
}
