//! What charts cost on the server: one series of an appliance that has measured 60 series every 10 s for a day, as a picture, and its whole page.
//!
//! ```text
//! chart of one series, 24h      1.9    2.4    2.8     5100
//! the page, 24h                31.0   35.2   36.0    98000
//! ```

use crate::pages::{heads, row};
use crate::{Effort, build, steady};
use rackside_tests::clock;
use rackside_tests::http::{self, Connection};
use rackside_tests::hub::{Hub, Way};
use std::time::Duration;

const SERIES: usize = 60;
/// It moves with each reading.
const DRAWN: &str = "rackside_soc_temperature_celsius";
const DAY: Duration = Duration::from_hours(24);
/// A day of readings comes in within this.
const PATIENCE: Duration = Duration::from_mins(5);
const PICTURES: usize = 200;
const PAGES: usize = 20;
const RANGES: [&str; 4] = ["1h", "24h", "7d", "90d"];

/// Rows of each usual range.
pub(crate) fn drawn(_: Effort) -> Result<(), String> {
    let hub = Hub::with(Way::Listener, &build::hub()?, "");
    let simulation = steady::with_backlog(&hub, 1, SERIES, DAY)?;
    let wanted = DAY.as_secs() / steady::TICK.as_secs();
    let is_in = || (hub.count("rackside_hub_history_records_total") >= wanted).then_some(());
    clock::eventually(PATIENCE, is_in).ok_or("a day of readings did not come in")?;
    // Its present reading may come after those of the day.
    let (place, series) = clock::eventually(PATIENCE, || first(&hub).ok()).map_or_else(|| first(&hub), Ok)?;
    println!("one appliance x {SERIES} series, a day of readings every 10 s, times in ms\n");
    heads();
    let mut web = Connection::to(hub.web()).map_err(|error| format!("the hub's pages: {error}"))?;
    for range in RANGES {
        let path = format!("/sites/{place}/chart.svg?range={range}&series={series}");
        row(&mut web, &format!("chart of one series, {range}"), &path, PICTURES)?;
    }
    for range in RANGES {
        let path = format!("/sites/{place}?range={range}");
        row(&mut web, &format!("its page, {range}"), &path, PAGES)?;
    }
    println!("\n{}", simulation.finish());
    Ok(())
}

/// The appliance, and one of its series, as an address has them.
fn first(hub: &Hub) -> Result<(String, String), String> {
    let json = |path: &str| -> Result<serde_json::Value, String> {
        let answer = http::get(hub.web(), path, "application/json");
        let answer = answer.map_err(|error| format!("GET {path}: {error}"))?;
        serde_json::from_str(&answer.body).map_err(|error| format!("GET {path}: {error}"))
    };
    let sites = json("/api/sites")?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned).ok_or("a site has no appliance");
    let place = format!(
        "{}/{}",
        text(&sites["sites"][0]["site"])?,
        text(&sites["sites"][0]["appliances"][0]["appliance"])?
    );
    let listed = json(&format!("/api/sites/{place}/series"))?;
    let listed = listed["series"].as_array();
    let drawn = listed.and_then(|all| all.iter().find(|one| one["name"] == DRAWN));
    let id = text(&drawn.ok_or_else(|| format!("it has no {DRAWN}"))?["id"])?;
    let encoded = id.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    Ok((place, encoded.collect()))
}
