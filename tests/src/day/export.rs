//! The same samples for others: JSON lines for VictoriaMetrics, OpenMetrics text for `promtool`.
//!
//! Values are decimals, as a scrape would have them: 483 tenths are `48.3`. Where a series is absent there is no sample.
//!
//! ```text
//! {"metric":{"__name__":"rackside_load1","site":"site-0","appliance":"rack-1"},"values":[0.5],"timestamps":[1794960003002]}
//! rackside_load1{site="site-0",appliance="rack-1"} 0.5 1794960003.002
//! ```

use super::{Column, Columns};
use rackside_proto::Scale;
use std::fmt::Write as _;
use std::io;

/// `48.3` for 483 tenths: the shortest decimal that is this very number.
pub fn text_of(scale: Scale, number: i64) -> String {
    scale.value(number).to_string()
}

/// One series of `columns` as a line for `/api/v1/import`, and how many samples it has.
pub fn json_line(columns: &Columns, column: &Column, line: &mut String) -> u64 {
    let series = &column.series;
    line.push_str("{\"metric\":{\"__name__\":\"");
    line.push_str(series.name);
    let _ =
        write!(line, "\",\"site\":\"{}\",\"appliance\":\"{}\"", columns.agent.site, columns.agent.appliance);
    for (name, value) in &series.labels {
        // No label of the rows needs escaping; a test sees to it.
        let _ = write!(line, ",\"{name}\":\"{value}\"");
    }
    line.push_str("},\"values\":[");
    let known = || columns.times.iter().zip(&column.values).filter_map(|(ms, value)| Some((ms, (*value)?)));
    for (at, (_, value)) in known().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(line, "{comma}{}", series.scale.value(value));
    }
    line.push_str("],\"timestamps\":[");
    let mut samples = 0;
    for (ms, _) in known() {
        let comma = if samples == 0 { "" } else { "," };
        let _ = write!(line, "{comma}{ms}");
        samples += 1;
    }
    line.push_str("]}\n");
    samples
}

/// All of `columns` as OpenMetrics samples, without the `# EOF` that ends a file; how many.
pub fn open_metrics(columns: &Columns, out: &mut impl io::Write) -> io::Result<u64> {
    let mut samples = 0;
    for column in &columns.columns {
        let series = &column.series;
        let mut name = format!(
            "{}{{site=\"{}\",appliance=\"{}\"",
            series.name, columns.agent.site, columns.agent.appliance
        );
        for (label, value) in &series.labels {
            let _ = write!(name, ",{label}=\"{value}\"");
        }
        name.push('}');
        for (ms, value) in columns.times.iter().zip(&column.values) {
            if let Some(value) = value {
                let quantity = series.scale.value(*value);
                writeln!(out, "{name} {quantity} {}.{:03}", ms / 1000, ms % 1000)?;
                samples += 1;
            }
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::super::Day;
    use super::*;

    fn columns() -> Columns {
        Day { lasts_ms: 60_000, ..Day::new(1, 1) }.columns(0)
    }

    #[test]
    fn scaled_numbers_are_written_as_the_decimals_that_they_are() {
        assert_eq!(text_of(Scale::per(10), 483), "48.3");
        assert_eq!(text_of(Scale::per(16), 369), "23.0625");
        assert_eq!(text_of(Scale::per(1_000_000), 12), "0.000012");
        assert_eq!(text_of(Scale::times(65_536), 3), "196608");
    }

    #[test]
    fn a_line_of_json_has_every_sample_of_its_series() {
        let columns = columns();
        for column in &columns.columns {
            let mut line = String::new();
            assert_eq!(json_line(&columns, column, &mut line), 6);
            let said: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(said["metric"]["__name__"], column.series.name);
            assert_eq!(said["metric"]["site"], "site-0");
            assert_eq!(said["timestamps"][2], columns.times[2]);
            let expected = column.series.scale.value(column.values[2].unwrap());
            assert_eq!(said["values"][2].as_f64(), Some(expected));
            assert_eq!(said["values"].as_array().unwrap().len(), 6);
        }
    }

    #[test]
    fn open_metrics_has_one_line_a_sample_with_its_moment_in_seconds() {
        let columns = columns();
        let mut text = Vec::new();
        assert_eq!(open_metrics(&columns, &mut text).unwrap(), 360);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 360);
        let seconds = format!("{}.{:03}", columns.times[0] / 1000, columns.times[0] % 1000);
        let first = text.lines().next().unwrap();
        assert!(
            first.starts_with("rackside_soc_temperature_celsius{site=\"site-0\",appliance=\"rack-1\"} "),
            "{first}"
        );
        assert!(first.ends_with(&seconds), "{first}");
    }
}
