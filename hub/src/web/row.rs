//! One appliance as the page shows it: words and numbers ready to be read. The page's first rendering and every live
//! update are made of the same rows, so they cannot differ.
//!
//! What is not heard now is not shown as if it were so now: of an appliance that is down nobody knows the probes and streams, and its temperature is as old as it says.
//!
//! `{"site":"arena-north","appliance":"rack-1","up":true,"word":"up","temperature":"48.3 °C",...}`

use super::appliance::about;
use super::around::{Around, Fires};
use crate::clock::Now;
use crate::fleet::{About, Appliance, Latest, RunState, State};
use crate::identity::Identities;
use crate::moment::{rfc3339, span};
use rackside_pages::fleet::{Cell, Note, Row, Standing};
use rackside_proto::{ClockSource, Revision, SpoolPlace, Value, metric};
use std::collections::BTreeMap;

/// From here on the page points at it: 80 degrees is where the firmware of a Pi begins to slow it down.
const WARM_CELSIUS: f64 = 80.0;
/// A share from which CPU or memory is worth a word.
const FULL: f64 = 0.9;
/// Names of what fails that have room in a row.
const NAMED: usize = 2;

/// What the page shows of it.
pub(super) fn of(appliance: &Appliance, now: Now, around: &Around) -> Row {
    let (site, name) = (appliance.name.site.as_str(), appliance.name.appliance.as_str());
    let nothing = Fires::default();
    let fires = around.fires(site, name).unwrap_or(&nothing);
    let has_power = around.venue(site).is_none_or(|venue| venue.has_power);
    let run = appliance.shown();
    let latest = run.and_then(|run| run.latest.as_ref());
    let live_runs = appliance.live_runs(now);
    let up = appliance.state.is_up();
    let on_air = around.venue(site).is_some_and(|venue| venue.air.on);
    let (temperature, probes, streams) = cells(latest, up, on_air);
    let machines = machines(appliance, around.identities(), now);
    let is_odd = temperature.high || probes.high || streams.high || !machines.is_empty();
    let (standing, look, word) = standing(appliance.state, fires, has_power, is_odd);
    let is_pending = standing == Standing::Look && fires.pending().is_some();
    // Of an alert, since when it fires or is about to; of what has none, nobody can tell; else since when it is up or not.
    let since_ms = match standing {
        Standing::Look => fires.pending().unwrap_or(0),
        _ if up && standing.is_trouble() => fires.since().unwrap_or(appliance.since_ms),
        _ => appliance.since_ms,
    };
    let read_ms = latest.and_then(|latest| latest.time_ms).unwrap_or(appliance.seen.utc_ms);
    let ago = |ms: u64| span(now.utc_ms.saturating_sub(ms));
    Row {
        site: site.to_owned(),
        appliance: name.to_owned(),
        up,
        state: look.as_str(),
        rank: standing as u8,
        trouble: standing.is_trouble(),
        word,
        why: match appliance.state {
            State::Up if is_pending => "alert pending",
            State::Up => "",
            _ if !has_power => "by plan",
            state => about::why(state),
        },
        since_ms,
        since: if since_ms == 0 { String::new() } else { ago(since_ms) },
        since_at: rfc3339(if since_ms == 0 { now.utc_ms } else { since_ms }),
        seen_ms: appliance.seen.utc_ms,
        seen: ago(appliance.seen.utc_ms),
        seen_at: rfc3339(appliance.seen.utc_ms),
        read_ms,
        read: ago(read_ms),
        read_at: rfc3339(read_ms),
        temperature,
        probes,
        streams,
        alert: fires.link(),
        hand: fires.hand(),
        told: fires.told(),
        notes: notes(run, up, &machines, around.is_set_up(site, name)),
        twice: live_runs > 1,
        machine: run.and_then(|run| run.about.as_ref()).map_or_else(String::new, machine),
        spark: String::new(),
        hidden: false,
    }
}

/// Temperature, probes and streams. Of what is not heard only the first, as it was.
fn cells(latest: Option<&Latest>, up: bool, on_air: bool) -> (Cell, Cell, Cell) {
    if up {
        let probes = states(latest, metric::PROBE_SUCCESS.name, "probe", "well");
        return (temperature(latest), probes, streams(latest, on_air));
    }
    let unknown = |has: &str| {
        let listed = latest.is_some_and(|latest| latest.listing.series().iter().any(|one| *one.name == *has));
        if listed { Cell { note: "not known".to_owned(), ..Cell::nothing() } } else { Cell::nothing() }
    };
    let old = Cell { note: String::new(), high: false, ..temperature(latest) };
    (old, unknown(metric::PROBE_SUCCESS.name), unknown(metric::STREAM_UP.name))
}

/// Where it stands in the order, what it looks like, and its word.
fn standing(
    state: State,
    fires: &Fires,
    has_power: bool,
    is_odd: bool,
) -> (Standing, Standing, &'static str) {
    let alert = fires.standing();
    match state {
        State::Up if alert == Standing::Muted => (Standing::Muted, Standing::Muted, "muted"),
        State::Up if alert == Standing::Well && is_odd => {
            (Standing::Look, Standing::Look, Standing::Look.label())
        }
        State::Up => (alert, alert, alert.as_str()),
        State::Gone(_) | State::Silent | State::Unknown if !has_power => {
            (Standing::Muted, Standing::Muted, "off")
        }
        State::Unknown => (alert.min(Standing::Unknown), Standing::Unknown, "unknown"),
        State::Gone(_) | State::Silent => (alert.min(Standing::Down), Standing::Down, "down"),
    }
}

/// That more than one machine has its name; nothing, where there is one. Where another box took its place, and the one from before goes on talking, through a
/// broker that was not reloaded, it is no second one.
pub(super) fn machines(appliance: &Appliance, identities: Option<&Identities>, now: Now) -> String {
    let live_runs = appliance.live_runs(now);
    let replaced = identities.and_then(|all| all.replaced_at(&appliance.name));
    match replaced {
        Some(at) if appliance.lives_on(at, now) => OLD_BOX.to_owned(),
        _ if live_runs < 2 => String::new(),
        _ => format!("{live_runs} machines use this name"),
    }
}

/// The box from before goes on talking.
const OLD_BOX: &str =
    "replaced: the old box is still switched on and goes on talking, until the broker is reloaded";

/// What else is worth saying of it.
fn notes(run: Option<&RunState>, up: bool, machines: &str, is_set_up: bool) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut say = |text: String, high: bool| {
        if !text.is_empty() {
            notes.push(Note { text, high });
        }
    };
    if is_set_up {
        say("being set up".to_owned(), false);
    }
    say(machines.to_owned(), true);
    let Some(run) = run.filter(|_| up) else { return notes };
    let latest = run.latest.as_ref();
    let about = run.about.as_ref();
    let backlog = quantity(latest, &metric::AGENT_BACKLOG).unwrap_or(0.0);
    // A record or two are always on their way.
    if backlog > 10.0 {
        say(format!("backlog {backlog}"), true);
    }
    let share = |share: Option<f64>, what: &str| {
        share
            .filter(|share| *share >= FULL)
            .map_or_else(String::new, |share| format!("{what} {:.0} %", share * 100.0))
    };
    say(share(quantity(latest, &metric::CPU_USAGE), "CPU"), true);
    say(share(memory(latest), "memory"), true);
    let clock = match run.clock_source() {
        Some(ClockSource::Hub) => "time from the hub",
        Some(ClockSource::None) => "no clock",
        Some(ClockSource::Ntp | ClockSource::Trusted) | None => "",
    };
    say(clock.to_owned(), false);
    if about.is_some_and(|about| about.spool == SpoolPlace::Memory) {
        say("backlog in memory only".to_owned(), false);
    }
    say(about.map_or_else(String::new, pace), false);
    notes
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

fn quantity(latest: Option<&Latest>, metric: &metric::Metric) -> Option<f64> {
    latest.and_then(|latest| latest.quantity_of(metric.name))
}

fn temperature(latest: Option<&Latest>) -> Cell {
    let celsius = quantity(latest, &metric::SOC_TEMPERATURE);
    let held_back = throttled(latest);
    let Some(celsius) = celsius else { return Cell { note: held_back, ..Cell::nothing() } };
    Cell {
        text: format!("{celsius:.1} °C"),
        none: false,
        high: celsius >= WARM_CELSIUS || held_back.starts_with("throttled"),
        note: held_back,
    }
}

/// Whether the firmware holds the SoC back now, and why, or has done so since its start.
fn throttled(latest: Option<&Latest>) -> String {
    let Some(latest) = latest else { return String::new() };
    let series = latest.listing.series().iter().enumerate();
    let of_it = series.filter(|(at, entry)| {
        entry.served
            && *entry.name == *metric::SOC_THROTTLED.name
            && latest.quantity(*at).is_some_and(|is| is > 0.0)
    });
    let (mut now, mut since_boot) = (Vec::new(), false);
    for (_, entry) in of_it {
        match label(entry, "when") {
            "now" => now.push(label(entry, "cause").replace('_', " ")),
            _ => since_boot = true,
        }
    }
    match (now.is_empty(), since_boot) {
        (false, _) => format!("throttled: {}", now.join(", ")),
        (true, true) => "was throttled".to_owned(),
        (true, false) => String::new(),
    }
}

fn label<'e>(entry: &'e crate::fleet::Entry, name: &str) -> &'e str {
    entry.labels.iter().find(|(one, _)| **one == *name).map_or("", |(_, value)| value)
}

/// How many of its streams are there. That one is not is worth a look while its site is on air; else it need not be there.
fn streams(latest: Option<&Latest>, on_air: bool) -> Cell {
    let cell = states(latest, metric::STREAM_UP.name, "stream", "up");
    Cell { high: cell.high && on_air, ..cell }
}

/// How many of the series of a state are well, and which are not; by `key`, or else by probe.
fn states(latest: Option<&Latest>, name: &str, key: &str, well: &str) -> Cell {
    let Some(latest) = latest else { return Cell::nothing() };
    // A stream that several probes watch is as bad as the worst of them says.
    let mut found: BTreeMap<&str, Option<bool>> = BTreeMap::new();
    for (at, entry) in latest.listing.series().iter().enumerate() {
        if !entry.served || *entry.name != *name {
            continue;
        }
        let called = [label(entry, key), label(entry, "path"), label(entry, "probe")];
        let called = called.into_iter().find(|name| !name.is_empty()).unwrap_or("?");
        let is = match latest.values[at] {
            Value::Absent => continue,
            Value::Unknown => None,
            Value::Known(_) => latest.quantity(at).map(|is| is > 0.0),
        };
        let worst = found.entry(called).or_insert(is);
        *worst = match (*worst, is) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (None, _) | (_, None) => None,
            (Some(true), Some(true)) => Some(true),
        };
    }
    let of = |state: Option<bool>| -> Vec<&str> {
        found.iter().filter(|(_, is)| **is == state).map(|(name, _)| *name).collect()
    };
    let (fail, unknown) = (of(Some(false)), of(None));
    let named = |names: &[&str]| match names.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..NAMED].join(", ")),
        _ => names.join(", "),
    };
    let note = match (fail.is_empty(), unknown.is_empty()) {
        (false, _) => format!("not {well}: {}", named(&fail)),
        (true, false) => format!("not known: {}", named(&unknown)),
        (true, true) => String::new(),
    };
    let total = found.len();
    if total == 0 {
        return Cell::nothing();
    }
    let text = format!("{} of {total}", total - fail.len() - unknown.len());
    Cell { text, none: false, high: !fail.is_empty(), note }
}

/// How full its memory is.
fn memory(latest: Option<&Latest>) -> Option<f64> {
    let (used, total) = (quantity(latest, &metric::MEMORY_USED)?, quantity(latest, &metric::MEMORY_TOTAL)?);
    (total > 0.0).then(|| used / total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{Ingest, NoPast};
    use std::sync::Arc;

    #[test]
    fn a_backlog_is_not_shown_as_if_it_were_now() {
        let now = crate::clock::now();
        let mut ingest = Ingest::new(rackside_proto::Prefix::default(), 1, Arc::new(NoPast), now);
        let mut take = |(topic, body): crate::rack::Sent| {
            let via = crate::inbound::Via::Broker;
            let message = crate::inbound::Inbound { topic, payload: body.into(), retained: false, via };
            ingest.take(&message, now);
            super::of(&ingest.fleet().appliances()[0], now, &Around::default())
        };
        let mut rack = crate::rack::Rack::new("arena-north", "rack-1");
        take(rack.presence(true));
        let probe = crate::rack::series("rackside_probe_success", &[("probe", "encoder"), ("type", "tcp")]);
        take(rack.catalog(&[&crate::rack::vitals()[..], &[probe]].concat()));
        rack.sending = rackside_proto::Sending::Again;
        let row = take(rack.numbers(&[483, 0, 0, 0, 0, 0]));
        assert_eq!((row.up, &*row.temperature.text), (true, "–"), "that was yesterday, perhaps");
        rack.sending = rackside_proto::Sending::First;
        let row = take(rack.numbers(&[491, 0, 0, 0, 0, 0]));
        assert_eq!((&*row.temperature.text, &*row.probes.note), ("49.1 °C", "not well: encoder"));
        assert_eq!(
            (row.state, row.word, row.since_ms),
            ("look", "worth a look", 0),
            "well is not what it is"
        );
        let row = take(rack.presence(false));
        let shown = (row.up, &*row.temperature.text, &*row.probes.note);
        assert_eq!(shown, (false, "49.1 °C", "not known"), "what it was at the end, and its age beside it");
        assert!(row.notes.is_empty() && !row.probes.high, "nobody knows whether it still has a full memory");
    }
}
