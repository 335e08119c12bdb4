//! What is drawn for a message: the last hour of what its one alert watches, asked of wherever series are.
//!
//! A message about several alerts has no picture: which of them it showed would have to be said. Nor has one whose expression is not plain
//! (`expression`), or whose series cannot be found; a picture is never worth waiting long for.
//!
//! ```text
//! SocHot of hall/rack-1, x_celsius > 75  →  x_celsius{site="hall",appliance="rack-1",} from an hour before the message, every 30 s
//! ```

use super::Chart;
use crate::expression::Watched;
use crate::quantity::unit_of;
use rackside_notify::{Entry, Kind, Message};
use rackside_onair::Zone;
use rackside_promql::{Answer, Limits, Query, Source};

const HOUR: i64 = 3_600_000;
const STEP: i64 = 30_000;
/// Labels of series; others are what rules add to their alerts.
const OF_SERIES: [&str; 20] = [
    "site",
    "appliance",
    "bus",
    "cause",
    "channel",
    "device",
    "disk",
    "interface",
    "led",
    "mount",
    "path",
    "probe",
    "process",
    "reason",
    "server",
    "stage",
    "stream",
    "tally",
    "type",
    "when",
];
/// An alert has one series, or a few that differ in what its rule does not look at.
const MOST_SERIES: usize = 100;

/// The chart of a message, from an hour before it was written until then.
pub fn last_hour(message: &Message, source: &dyn Source, limits: &Limits<'_>) -> Option<Chart> {
    let [entry] = message.alerts.as_slice() else { return None };
    if message.kind != Kind::Alerts || message.truncated > 0 {
        return None;
    }
    let watched = Watched::of(&entry.query)?;
    let labels: Vec<(&str, &str)> =
        OF_SERIES.into_iter().filter_map(|name| Some((name, entry.labels.get(name)?.as_str()))).collect();
    let query = Query::parse(&watched.query(&labels)?).ok()?;
    let limits = Limits { series: limits.series.min(MOST_SERIES), ..*limits };
    let (from, until) = (message.at - HOUR, message.at);
    let outcome = query.range(source, from, until, STEP, &limits).ok()?;
    let Answer::Matrix(lines) = outcome.answer else { return None };
    let [line] = lines.as_slice() else { return None };
    Some(Chart {
        points: line.samples.iter().map(|sample| (sample.at, sample.value)).collect(),
        from,
        until,
        step: STEP,
        threshold: watched.threshold,
        unit: unit_of(&entry.query),
        zone: zone(message, entry),
    })
}

/// The venue's; where that is not known, UTC.
fn zone(message: &Message, entry: &Entry) -> Zone {
    let id = entry.labels.get("site");
    let site = message.sites.iter().find(|site| Some(&site.id) == id);
    site.and_then(|site| site.time_zone.parse().ok()).unwrap_or(Zone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Unit;
    use crate::sample;
    use rackside_promql::{Labels, Memory, Sample};

    /// Two racks: one gets hot, with ten minutes missing.
    fn memory() -> Memory {
        let mut memory = Memory::new();
        for (rack, slope) in [("rack-1", 0.2), ("rack-2", 0.0)] {
            let name = "rackside_soc_temperature_celsius";
            let labels = Labels::new([("__name__", name), ("site", "arena-north"), ("appliance", rack)]);
            let samples = (0..720).filter(|nth| !(120..240).contains(nth)).map(|nth| {
                Sample::new(sample::NOW - 2 * HOUR + nth * 10_000, 60.0 + slope * (nth as f64 / 6.0))
            });
            memory.push(labels, samples);
        }
        memory
    }

    #[test]
    fn the_hour_before_the_message_is_drawn_with_the_rules_threshold() {
        let chart = last_hour(&sample::hot(), &memory(), &Limits::default()).unwrap();
        assert_eq!((chart.from, chart.until), (sample::NOW - HOUR, sample::NOW));
        assert_eq!((chart.threshold, chart.unit), (Some(80.0), Unit::Celsius));
        assert_eq!(chart.zone.name(), "Europe/Helsinki");
        assert_eq!(chart.points.len(), 121);
        let (at, value) = *chart.points.last().unwrap();
        assert!(at == sample::NOW && (value - 83.9).abs() < 0.2, "{at} {value}");
        assert!(super::super::draw(&chart).is_some());
    }

    #[test]
    fn there_is_no_picture_of_what_is_not_one_series() {
        let chart = |message: &Message| last_hour(message, &memory(), &Limits::default());
        let with = |change: fn(&mut Entry)| {
            let mut message = sample::hot();
            change(&mut message.alerts[0]);
            message
        };
        assert!(chart(&sample::storm()).is_none(), "many alerts");
        assert!(chart(&with(|entry| entry.query = "a / b > 1".to_owned())).is_none());
        assert!(chart(&with(|entry| entry.query = "{{{".to_owned())).is_none());
        assert!(chart(&with(|entry| entry.query = "no_such_series > 1".to_owned())).is_none());
        assert!(chart(&with(|entry| drop(entry.labels.remove("appliance")))).is_none(), "two racks");
        let stop = || Some(rackside_promql::Stop::Timeout);
        let stopped = Limits { stop: Some(&stop), ..Limits::default() };
        assert!(last_hour(&sample::hot(), &memory(), &stopped).is_none());
        let heartbeat = sample::messages().into_iter().find(|(name, _)| *name == "heartbeat").unwrap().1;
        assert!(chart(&heartbeat).is_none());
    }
}
