//! The unit of an alert's value, by which it is shown as people write it (`rackside_pages::quantity`).
//!
//! It follows from the alert's expression where that is plain: the metric's name ends in its base unit (`docs/metrics.md`), and what stands before the
//! first comparison is that metric, perhaps in a function that keeps the unit (`expression`). Of anything else the unit is not known, and the number stands
//! alone.
//!
//! ```text
//! rackside_soc_temperature_celsius > 75 or …            → 84.2 °C
//! avg_over_time(rackside_cpu_usage_ratio[5m]) > 0.9      → 93 %
//! rate(rackside_network_receive_bytes_total[5m]) < 1000  → 512 B/s
//! rackside_disk_used_bytes / rackside_disk_total_bytes   → 0.97
//! ```

use crate::expression::Watched;
pub use rackside_pages::quantity::{Unit, duration};

/// Of the value of an alert with this expression.
pub fn unit_of(query: &str) -> Unit {
    let Some(watched) = Watched::of(query) else { return Unit::Number };
    match (Unit::of_metric(watched.metric), watched.by_second) {
        (unit, false) => unit,
        (Unit::Bytes, true) => Unit::BytesPerSecond,
        (_, true) => Unit::Number,
    }
}

/// The metric that an alert with this expression watches, where it is plain.
pub fn metric_of(query: &str) -> Option<&str> {
    Watched::of(query).map(|watched| watched.metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_known_where_the_expression_is_plain() {
        for (query, unit) in [
            ("rackside_soc_temperature_celsius > 75 or rackside_x > 70", Unit::Celsius),
            ("  ( rackside_soc_temperature_celsius{a=\"}\"} ) >= 75", Unit::Celsius),
            ("avg_over_time(rackside_cpu_usage_ratio[5m]) > 0.9", Unit::Ratio),
            ("max by (site) (rackside_cpu_usage_ratio) > 0.9", Unit::Ratio),
            ("rate(rackside_network_receive_bytes_total[5m]) < 1000 * 8", Unit::BytesPerSecond),
            ("rackside_stream_bitrate_bps < 1e6", Unit::BitsPerSecond),
            ("rackside_wifi_signal_dbm < -80", Unit::Dbm),
            ("rackside_disk_used_bytes / rackside_disk_total_bytes > 0.9", Unit::Number),
            ("1 - rackside_cpu_usage_ratio < 0.1", Unit::Number),
            ("rackside_cpu_usage_ratio > bool 0.9", Unit::Number),
            ("count(rackside_soc_temperature_celsius > 70) > 3", Unit::Number),
            ("time() - rackside_hub_start_time_seconds < 60", Unit::Number),
            ("rackside_tls_not_after_timestamp_seconds < 3", Unit::Number),
            ("rackside_appliance_up == 0 and on (site) (x_celsius == 1)", Unit::Number),
            ("increase(rackside_network_receive_bytes_total[5m]) > 5", Unit::Number),
            ("a_celsius{", Unit::Number),
            ("", Unit::Number),
            ("é", Unit::Number),
        ] {
            assert_eq!(unit_of(query), unit, "{query}");
        }
    }
}
