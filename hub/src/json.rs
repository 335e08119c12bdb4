//! The fleet as JSON: what `/api/sites` and the JSON mirror say. Documented in `docs/json-mirror.md`.
//!
//! `{"name":"rackside_soc_temperature_celsius","labels":{},"value":48.3}`: real values under the metric's name. A value
//! that is unknown is `null`; one that is absent is not listed. Times are RFC 3339 in UTC.

use crate::clock::Now;
use crate::fleet::{About, Appliance, Latest, Listing, RunState, dated};
use crate::moment::rfc3339;
use rackside_proto::{Envelope, Event, Sending, Value, What};
use serde_json::{Map, Number, Value as Json, json};

/// A quantity as JSON writes it best: whole numbers without a point.
pub fn quantity(value: f64) -> Json {
    let whole = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
    let number = if whole { Some(Number::from(value as i64)) } else { Number::from_f64(value) };
    number.map_or(Json::Null, Json::Number)
}

fn sample(listing: &Listing, at: usize, value: Value) -> Json {
    let Some(entry) = listing.series().get(at) else { return Json::Null };
    let labels: Map<String, Json> =
        entry.labels.iter().map(|(name, value)| (name.to_string(), Json::from(value.as_ref()))).collect();
    let value = value.known().map_or(Json::Null, |number| quantity(entry.scale.value(number)));
    json!({ "name": listing.name(entry), "labels": labels, "value": value })
}

/// Every series that is served and not absent.
fn samples(latest: &Latest) -> Vec<Json> {
    let series = latest.listing.series().iter().zip(&latest.values).enumerate();
    series
        .filter(|(_, (entry, value))| entry.served && **value != Value::Absent)
        .map(|(at, (_, value))| sample(&latest.listing, at, *value))
        .collect()
}

/// The mirror's `presence`.
pub fn presence(appliance: &Appliance) -> Json {
    json!({
        "site": appliance.name.site.as_str(),
        "appliance": appliance.name.appliance.as_str(),
        "online": appliance.state.is_up(),
        "reason": appliance.state.as_str(),
        "since": rfc3339(appliance.since_ms),
        "run": appliance.shown().map(|run| run.run.to_string()),
    })
}

/// The mirror's `data`: the latest values.
pub fn data(appliance: &Appliance, run: &RunState, latest: &Latest) -> Json {
    json!({
        "site": appliance.name.site.as_str(),
        "appliance": appliance.name.appliance.as_str(),
        "run": run.run.to_string(),
        "seq": latest.seq(),
        "time": latest.time_ms.map(rfc3339),
        "live": latest.live,
        "series": samples(latest),
    })
}

/// The mirror's `birth`.
pub fn birth(appliance: &Appliance, run: &RunState, about: &About) -> Json {
    json!({
        "site": appliance.name.site.as_str(),
        "appliance": appliance.name.appliance.as_str(),
        "run": run.run.to_string(),
        "agent": self::about(about),
    })
}

fn about(about: &About) -> Json {
    json!({
        "version": about.version,
        "hostname": about.hostname,
        "model": about.model,
        "os": about.os,
        "kernel": about.kernel,
        "arch": about.arch,
        "tick_seconds": quantity(f64::from(about.tick_ms) / 1000.0),
        "clock": about.clock,
        "spool": about.spool,
    })
}

/// The mirror's `event`.
pub fn event(appliance: &Appliance, envelope: &Envelope, event: &Event<'_>, now: Now) -> Json {
    let live = envelope.sending == Sending::First;
    let what = match event.what {
        What::Sample { catalog, series, value } => {
            let latest = appliance.run(envelope.run).and_then(|run| run.latest.as_ref());
            let listing = latest.map(|latest| &latest.listing).filter(|listing| listing.number == catalog);
            let sample = listing.map(|listing| sample(listing, series as usize, value));
            json!({ "sample": sample })
        }
        What::Text { subject, text } => json!({ "text": { "subject": subject, "text": text } }),
        What::Anchor { boot, boot_ms, utc_ms } => {
            json!({ "anchor": { "boot": format!("{boot:08x}"), "boot_ms": boot_ms, "time": rfc3339(utc_ms) } })
        }
    };
    json!({
        "site": appliance.name.site.as_str(),
        "appliance": appliance.name.appliance.as_str(),
        "run": envelope.run.to_string(),
        "seq": envelope.seq,
        "time": dated(event.time, live, now).map(rfc3339),
        "live": live,
        "event": what,
    })
}

/// One appliance in `/api/sites`.
pub fn appliance(appliance: &Appliance, account: Option<(u64, u64, u64)>, now: Now) -> Json {
    let run = appliance.shown();
    let latest = run.and_then(|run| run.latest.as_ref());
    let (records, duplicates, lost) = account.unwrap_or_default();
    json!({
        "appliance": appliance.name.appliance.as_str(),
        "up": appliance.state.is_up(),
        "reason": appliance.state.as_str(),
        "since": rfc3339(appliance.since_ms),
        "last_seen": rfc3339(appliance.seen.utc_ms),
        "live_runs": appliance.live_runs(now),
        "run": run.map(|run| run.run.to_string()),
        "agent": run.and_then(|run| run.about.as_ref()).map(about),
        "records": { "taken": records, "duplicates": duplicates, "lost": lost },
        "reading": latest.map(|latest| json!({
            "time": latest.time_ms.map(rfc3339),
            "live": latest.live,
            "series": samples(latest),
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_eq!(quantity(48.3).to_string(), "48.3");
        assert_eq!(quantity(4096.0).to_string(), "4096");
        assert_eq!(quantity(-3.0).to_string(), "-3");
        assert_eq!(quantity(f64::NAN).to_string(), "null");
    }
}
