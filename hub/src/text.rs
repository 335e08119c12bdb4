//! Metrics as text, in both formats that Prometheus reads. What they are is for others to say.
//!
//! ```text
//! # TYPE rackside_hub_lost_total counter
//! # HELP rackside_hub_lost_total Records that their agent let go before the hub had them
//! rackside_hub_lost_total 0
//! ```

use crate::fleet::escape;
use std::fmt::Write;

/// Which of the two text formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// How a metric moves, as the formats know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Up and down.
    Gauge,
    /// Up only; its name ends in `_total`.
    Counter,
    /// Three series to a family: `_bucket`, `_sum` and `_count`.
    Histogram,
    /// Agents disagree about it.
    Unknown,
}

/// Metrics being written.
#[derive(Debug)]
pub struct Text {
    /// What is written so far.
    pub out: String,
    format: Format,
}

impl Text {
    /// Nothing yet.
    pub fn new(format: Format, capacity: usize) -> Self {
        Self { out: String::with_capacity(capacity), format }
    }

    /// Which format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The head of a family: `name` as its samples have it, a histogram's without their endings.
    pub fn family(&mut self, name: &str, kind: Kind, unit: &str, help: &str) {
        let (name, word) = match (self.format, kind) {
            (Format::OpenMetrics, Kind::Counter) => (name.strip_suffix("_total").unwrap_or(name), "counter"),
            (_, Kind::Counter) => (name, "counter"),
            (_, Kind::Gauge) => (name, "gauge"),
            (_, Kind::Histogram) => (name, "histogram"),
            (Format::OpenMetrics, Kind::Unknown) => (name, "unknown"),
            (Format::Text, Kind::Unknown) => (name, "untyped"),
        };
        let out = &mut self.out;
        writeln!(out, "# TYPE {name} {word}").expect("a String takes everything");
        let has_unit = !unit.is_empty() && name.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_'));
        if self.format == Format::OpenMetrics && has_unit {
            writeln!(out, "# UNIT {name} {unit}").expect("a String takes everything");
        }
        writeln!(out, "# HELP {name} {help}").expect("a String takes everything");
    }

    /// One sample; label values are escaped here.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.out.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.out.push(if at == 0 { '{' } else { ',' });
            self.out.push_str(label);
            self.out.push_str("=\"");
            escape(&mut self.out, text);
            self.out.push('"');
        }
        self.out.push_str(if labels.is_empty() { " " } else { "} " });
        self.value(value);
    }

    /// A value and the end of the line. The shortest decimal that reads back as `value`: `48.3`.
    pub fn value(&mut self, value: f64) {
        writeln!(self.out, "{value}").expect("a String takes everything");
    }
}

/// Whoever takes metrics: a page of text, or samples of this moment.
pub trait Sink {
    /// The head of a family: `name` as its samples have it, a histogram's without their endings.
    fn family(&mut self, name: &str, kind: Kind, unit: &str, help: &str);

    /// One sample.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64);
}

impl Sink for Text {
    fn family(&mut self, name: &str, kind: Kind, unit: &str, help: &str) {
        self.family(name, kind, unit, help);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.sample(name, labels, value);
    }
}

impl dyn Sink + '_ {
    /// A family of one counter without labels.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, Kind::Counter, "", help);
        self.sample(name, &[], value as f64);
    }

    /// A family of one gauge without labels.
    pub fn gauge(&mut self, name: &str, unit: &str, help: &str, value: f64) {
        self.family(name, Kind::Gauge, unit, help);
        self.sample(name, &[], value);
    }

    /// A family of one counter by one label.
    pub fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (&'a str, u64)>,
    ) {
        self.family(name, Kind::Counter, "", help);
        for (text, value) in values {
            self.sample(name, &[(label, text)], value as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_shortest_that_read_back() {
        let mut text = Text::new(Format::Text, 64);
        for value in [48.3, 4096.0, 0.125, -1.0, 1e15] {
            text.value(value);
        }
        assert_eq!(text.out, "48.3\n4096\n0.125\n-1\n1000000000000000\n");
    }

    #[test]
    fn a_counter_is_named_without_its_ending_in_openmetrics_only() {
        let mut text = Text::new(Format::OpenMetrics, 64);
        text.family("x_bytes_total", Kind::Counter, "bytes", "Bytes");
        text.sample("x_bytes_total", &[("a", "\"")], 1.0);
        let expected = "# TYPE x_bytes counter\n# UNIT x_bytes bytes\n# HELP x_bytes Bytes\nx_bytes_total{a=\"\\\"\"} 1\n";
        assert_eq!(text.out, expected);
        let mut text = Text::new(Format::Text, 64);
        text.family("x_bytes_total", Kind::Counter, "bytes", "Bytes");
        assert_eq!(text.out, "# TYPE x_bytes_total counter\n# HELP x_bytes_total Bytes\n");
    }
}
