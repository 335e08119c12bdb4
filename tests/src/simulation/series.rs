//! Series that move as those of a rack do.
//!
//! In the proportions of the mix that the history's size is measured with: of 60 series 10 are temperatures, 10
//! processor loads, 15 counters, 12 states, 8 constants, 5 latencies.

use super::random;
use rackside_proto::{Catalog, CatalogHead, Kind, Label, Scale, Series, Time, Value};

/// A catalog's series with their present values.
#[derive(Debug)]
pub(crate) struct SimulatedSeries {
    series: Vec<Moving>,
    values: Vec<Value>,
    seed: u64,
}

#[derive(Debug)]
struct Moving {
    name: &'static str,
    label: Option<(&'static str, String)>,
    unit: &'static str,
    scale: Scale,
    class: Class,
    reference: i64,
}

#[derive(Debug, Clone, Copy)]
enum Class {
    Temperature,
    Load,
    Counter,
    State,
    Constant,
    Latency,
}

impl Class {
    /// The class of the series at `position`: the mix, spread over each 60.
    fn of(position: usize) -> Self {
        match (position * 7) % 60 {
            0..10 => Self::Temperature,
            10..20 => Self::Load,
            20..35 => Self::Counter,
            35..47 => Self::State,
            47..55 => Self::Constant,
            _ => Self::Latency,
        }
    }

    fn name(self) -> (&'static str, &'static str, &'static str, Scale) {
        match self {
            Self::Temperature => ("rackside_soc_temperature_celsius", "sensor", "celsius", Scale::per(10)),
            Self::Load => ("rackside_cpu_usage_ratio", "cpu", "ratio", Scale::per(1000)),
            Self::Counter => ("rackside_network_receive_bytes_total", "interface", "bytes", Scale::ONE),
            Self::State => ("rackside_probe_success", "probe", "", Scale::ONE),
            Self::Constant => ("rackside_disk_total_bytes", "mount", "bytes", Scale::times(4096)),
            Self::Latency => ("rackside_probe_duration_seconds", "probe", "seconds", Scale::per(1_000_000)),
        }
    }

    fn start(self, chance: u64) -> i64 {
        (match self {
            Self::Temperature => 420 + chance % 150,
            Self::Load => 50 + chance % 200,
            Self::Counter => chance % 100_000_000,
            Self::State => 1,
            Self::Constant => 1_000_000 + chance % 30_000_000,
            Self::Latency => 8_000 + chance % 30_000,
        }) as i64
    }

    fn next(self, value: i64, reference: i64, chance: u64) -> i64 {
        let swing = |width: u64| (chance % (2 * width + 1)) as i64 - width as i64;
        match self {
            // Rests more often than it moves, and comes back to where it was.
            Self::Temperature if chance.is_multiple_of(3) => value + ((chance >> 8) % 3) as i64 - 1,
            Self::Load => (reference + swing(60)).clamp(0, 1000),
            Self::Counter => value + 2_000 + ((chance >> 8) % 40_000) as i64,
            Self::State if chance.is_multiple_of(500) => 1 - value,
            Self::Latency => (reference + swing(3_000)).max(500),
            Self::Temperature | Self::State | Self::Constant => value,
        }
    }
}

impl SimulatedSeries {
    pub(crate) fn new(count: usize, seed: u64) -> Self {
        let mut seed = seed;
        let series: Vec<Moving> = (0..count)
            .map(|position| {
                let class = Class::of(position);
                let (name, label, unit, scale) = class.name();
                let reference = class.start(random(&mut seed));
                let label = Some((label, format!("{}-{position}", label.chars().next().unwrap_or('x'))));
                Moving { name, label, unit, scale, class, reference }
            })
            .collect();
        let values = series.iter().map(|one| Value::Known(one.reference)).collect();
        Self { series, values, seed }
    }

    /// The catalog's bytes.
    pub(crate) fn catalog(&self, number: u32, time: Time, tick_ms: u32) -> Vec<u8> {
        let head = CatalogHead { number, time, boot_id: [0; 16], tick_ms };
        let series = self.series.iter().map(|one| {
            let mut labels = heapless::Vec::new();
            if let Some((name, value)) = &one.label {
                labels.push(Label { name, value }).expect("one label fits");
            }
            let kind = match one.class {
                Class::Counter => Kind::Counter,
                Class::State => Kind::State,
                _ => Kind::Gauge,
            };
            let reference = Value::Known(one.reference);
            Series { name: one.name, labels, unit: one.unit, kind, scale: one.scale, reference }
        });
        let mut bytes = Vec::new();
        Catalog::encode(&head, series, &mut bytes).expect("simulated series keep the wire's bounds");
        bytes
    }

    pub(crate) fn references(&self) -> Vec<Value> {
        self.series.iter().map(|one| Value::Known(one.reference)).collect()
    }

    /// The next reading.
    pub(crate) fn step(&mut self) -> &[Value] {
        for (one, value) in self.series.iter().zip(&mut self.values) {
            let now = value.known().unwrap_or(one.reference);
            *value = Value::Known(one.class.next(now, one.reference, random(&mut self.seed)));
        }
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_proto::Data;

    #[test]
    fn a_reading_of_thirty_series_is_as_small_as_a_real_one() {
        let mut series = SimulatedSeries::new(30, 1);
        let references = series.references();
        for _ in 0..50 {
            let time = Time::Utc { ms: 1_800_000_000_000 };
            let values = series.step().to_vec();
            let mut body = Vec::new();
            Data::encode_readings(1, &references, std::iter::once((time, &values[..])), &mut body).unwrap();
            assert!(body.len() < 100, "{} bytes", body.len());
        }
    }

    #[test]
    fn counters_rise_and_constants_rest() {
        let mut series = SimulatedSeries::new(60, 2);
        let first = series.values.clone();
        let last = series.step().to_vec();
        for ((one, first), last) in series.series.iter().zip(&first).zip(&last) {
            match one.class {
                Class::Counter => assert!(last.known() > first.known()),
                Class::Constant => assert_eq!(last, first),
                _ => {}
            }
        }
    }
}
