//! One appliance as the page shows it: words and numbers ready to be read. The page's first rendering and every live
//! update are made of the same rows, so they cannot differ.
//!
//! `{"site":"arena-north","appliance":"rack-1","up":true,"word":"up","temperature":"48.3 °C",...}`

use crate::clock::Now;
use crate::fleet::{About, Appliance, Latest, RunState, State};
use crate::moment::{rfc3339, span};
use rackside_pages::fleet::{Measure, Row};
use rackside_proto::{ClockSource, Reason, Revision, SpoolPlace, metric};

/// An SoC throttles at 85 degrees; a bar that is full there tells how much is left.
const HOT_CELSIUS: f64 = 85.0;
/// From here on the page points at it: 80 degrees is where the firmware of a Pi begins to slow it down.
const WARM_CELSIUS: f64 = 80.0;
/// A share from which CPU or memory is worth a look.
const FULL: f64 = 0.9;

/// What the page shows of it.
pub(super) fn of(appliance: &Appliance, now: Now) -> Row {
    let run = appliance.shown();
    let latest = run.and_then(|run| run.latest.as_ref());
    let up = appliance.state.is_up();
    let live_runs = appliance.live_runs(now);
    let about = run.and_then(|run| run.about.as_ref());
    let backlog = latest.and_then(|latest| latest.quantity_of(metric::AGENT_BACKLOG.name)).unwrap_or(0.0);
    // A record or two are always on their way.
    let has_backlog = up && backlog > 10.0;
    Row {
        site: appliance.name.site.to_string(),
        appliance: appliance.name.appliance.to_string(),
        up,
        word: if up { "up" } else { "down" },
        why: why(appliance.state),
        since_ms: appliance.since_ms,
        since: span(now.utc_ms.saturating_sub(appliance.since_ms)),
        since_at: rfc3339(appliance.since_ms),
        seen_ms: appliance.seen.utc_ms,
        seen: span(now.utc_ms.saturating_sub(appliance.seen.utc_ms)),
        seen_at: rfc3339(appliance.seen.utc_ms),
        temperature: temperature(latest),
        cpu: cpu(latest),
        memory: memory(latest),
        backlog: if has_backlog { format!("backlog {backlog}") } else { String::new() },
        twice: live_runs > 1,
        twice_text: if live_runs > 1 { format!("{live_runs} machines use this name") } else { String::new() },
        machine: about.map_or_else(String::new, machine),
        clock: match run.and_then(RunState::clock_source) {
            Some(ClockSource::Hub) => "time from the hub",
            Some(ClockSource::None) => "no clock",
            Some(ClockSource::Ntp | ClockSource::Trusted) | None => "",
        },
        spool: match about.map(|about| about.spool) {
            Some(SpoolPlace::Memory) => "backlog in memory only",
            Some(SpoolPlace::Disk) | None => "",
        },
        pace: about.map_or_else(String::new, pace),
    }
}

/// What is worth saying of how often it sends: nothing when each reading comes by itself.
fn pace(about: &About) -> String {
    if about.interval_ms <= about.tick_ms {
        return String::new();
    }
    format!("saves its line: sends every {} s", about.interval_ms / 1000)
}

/// What the machine is, or at least what it is called.
fn machine(about: &About) -> String {
    let machine = if about.model.is_empty() { &about.hostname } else { &about.model };
    match about.revision.and_then(Revision::board).and_then(|board| board.memory_mb) {
        Some(mb) if mb >= 1024 => format!("{machine}, {} GB", mb / 1024),
        Some(mb) => format!("{machine}, {mb} MB"),
        None => machine.to_string(),
    }
}

/// Why an appliance is down, in an operator's words.
fn why(state: State) -> &'static str {
    match state {
        State::Up => "",
        State::Gone(Reason::Stop) => "stopped",
        State::Gone(Reason::Update) => "updating",
        State::Gone(Reason::Shutdown) => "shut down",
        State::Gone(Reason::Will | Reason::Start) => "link lost",
        State::Silent => "silent",
        State::Unknown => "not heard yet",
    }
}

fn quantity(latest: Option<&Latest>, metric: &metric::Metric) -> Option<f64> {
    latest.and_then(|latest| latest.quantity_of(metric.name))
}

fn temperature(latest: Option<&Latest>) -> Measure {
    let celsius = quantity(latest, &metric::SOC_TEMPERATURE);
    let value = celsius.unwrap_or(0.0);
    Measure::new(celsius.map(|value| format!("{value:.1} °C")), value / HOT_CELSIUS, value >= WARM_CELSIUS)
}

fn cpu(latest: Option<&Latest>) -> Measure {
    let share = quantity(latest, &metric::CPU_USAGE);
    let value = share.unwrap_or(0.0);
    Measure::new(share.map(|value| format!("{:.0} %", value * 100.0)), value, value >= FULL)
}

fn memory(latest: Option<&Latest>) -> Measure {
    let (used, total) = (quantity(latest, &metric::MEMORY_USED), quantity(latest, &metric::MEMORY_TOTAL));
    let share = match (used, total) {
        (Some(used), Some(total)) if total > 0.0 => used / total,
        _ => 0.0,
    };
    let text = match (used, total) {
        (Some(used), Some(total)) => Some(format!("{} of {}", bytes(used, total), unit(total, total))),
        (Some(used), None) => Some(unit(used, used)),
        _ => None,
    };
    Measure::new(text, share, share >= FULL)
}

const GIB: f64 = 1_073_741_824.0;
const MIB: f64 = 1_048_576.0;

fn bytes(value: f64, of: f64) -> String {
    if of >= GIB { format!("{:.1}", value / GIB) } else { format!("{:.0}", value / MIB) }
}

fn unit(value: f64, of: f64) -> String {
    format!("{} {}", bytes(value, of), if of >= GIB { "GiB" } else { "MiB" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{Ingest, NoPast};
    use std::sync::Arc;

    #[test]
    fn memory_is_told_in_one_unit() {
        assert_eq!(bytes(1.25 * GIB, 4.0 * GIB), "1.2");
        assert_eq!(unit(4.0 * GIB, 4.0 * GIB), "4.0 GiB");
        assert_eq!(unit(512.0 * MIB, 512.0 * MIB), "512 MiB");
    }

    #[test]
    fn a_backlog_is_not_shown_as_if_it_were_now() {
        let now = crate::clock::now();
        let mut ingest = Ingest::new(rackside_proto::Prefix::default(), 1, Arc::new(NoPast), now);
        let mut take = |(topic, body): crate::rack::Sent| {
            let via = crate::inbound::Via::Broker;
            let message = crate::inbound::Inbound { topic, payload: body.into(), retained: false, via };
            ingest.take(&message, now);
            super::of(&ingest.fleet().appliances()[0], now)
        };
        let mut rack = crate::rack::Rack::new("arena-north", "rack-1");
        take(rack.presence(true));
        take(rack.catalog(&crate::rack::vitals()));
        rack.sending = rackside_proto::Sending::Again;
        let row = take(rack.numbers(&[483, 0, 0, 0, 0]));
        assert_eq!((row.up, &*row.temperature.text), (true, "–"), "that was yesterday, perhaps");
        rack.sending = rackside_proto::Sending::First;
        assert_eq!(take(rack.numbers(&[491, 0, 0, 0, 0])).temperature.text, "49.1 °C");
        let row = take(rack.presence(false));
        assert_eq!((row.up, &*row.temperature.text), (false, "49.1 °C"), "what it was at the end");
    }
}
