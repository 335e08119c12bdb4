//! The hub's own metrics: everything that begins with `rackside_hub_`, `rackside_appliance_up`, and what is known of sites (`rackside_site_`). What agents measure is
//! laid out by `exposition`. The same numbers are a page of text here and series for queries there.
//!
//! The core is held while they are copied, and not while they are written: labels of a large fleet take their time, and ingest waits for no page.

use super::Web;
use crate::clock::Now;
use crate::ingest::{Counts, Ingest};
use crate::query::Own;
use crate::text::{Kind, Sink};
use rackside_proto::AgentName;
use std::sync::atomic::Ordering;

/// What the core knows of itself at a moment.
struct Seen {
    counts: Counts,
    waiting: (usize, usize),
    appliances: Vec<Standing>,
}

/// An appliance at that moment.
struct Standing {
    name: AgentName,
    is_up: bool,
    live_runs: usize,
}

impl Seen {
    fn of(ingest: &Ingest, now: Now) -> Self {
        let standing = |appliance: &crate::fleet::Appliance| Standing {
            name: appliance.name.clone(),
            is_up: appliance.state.is_up(),
            live_runs: appliance.live_runs(now),
        };
        let appliances = ingest.fleet().in_service().map(standing).collect();
        Self { counts: ingest.counts().clone(), waiting: ingest.waiting(), appliances }
    }
}

/// The hub's own metrics.
pub(super) fn write(text: &mut dyn Sink, web: &Web, now: Now) {
    let mut seen = Seen::of(&web.shared.read(), now);
    seen.appliances.sort_by(|one, other| one.name.cmp(&other.name));
    text.family("rackside_hub_build_info", Kind::Gauge, "", "Version of this hub; always 1");
    text.sample("rackside_hub_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let started = web.started.utc_ms as f64 / 1000.0;
    text.gauge("rackside_hub_start_time_seconds", "seconds", "When the hub started, since 1970", started);
    if let Some(bytes) = resident_bytes() {
        let help = "Memory that the hub itself holds";
        text.gauge("rackside_hub_resident_memory_bytes", "bytes", help, bytes as f64);
    }
    counts(text, &seen.counts);
    let help = "Records left with their agent because history cannot be written and enough waits for it";
    text.counter("rackside_hub_refused_total", help, seen.counts.refused);
    web.history.write(text, now, seen.waiting);
    let help = "1 while what the hub makes itself (series of rules, the state of alerts, its own numbers) can be written to hub.db, else 0";
    text.gauge("rackside_hub_kept_up", "", help, f64::from(u8::from(web.queries.trouble().is_none())));
    let derived = web.queries.derived();
    let help = "Samples of what the hub makes itself that were given up: hub.db could not be written for too long, or there were too many series";
    text.counter("rackside_hub_kept_lost_total", help, derived.lost());
    let help = "Damaged rows of hub.db that were met since the start, and left out";
    let damaged = derived.db().map_or(0, |db| db.damaged_rows());
    text.gauge("rackside_hub_kept_damaged_rows", "", help, damaged as f64);
    web.way.write(text);
    if let Some(identities) = &web.identities {
        let help = "Names that have joined and whose certificates have not been taken away";
        text.gauge("rackside_hub_identities", "", help, identities.joined() as f64);
        let help = "Questions at /join, by what came of them";
        text.counters("rackside_hub_join_total", help, "outcome", identities.told());
        let help =
            "For how long an appliance that has joined has been being set up; absent once it is in service";
        let name = "rackside_appliance_commissioning_seconds";
        text.family(name, Kind::Gauge, "seconds", help);
        let mut set_up = identities.being_set_up();
        set_up.sort();
        for (agent, since) in set_up {
            let labels = [("site", agent.site.as_str()), ("appliance", agent.appliance.as_str())];
            let seconds = (now.utc_ms as i64).saturating_sub(since).max(0) / 1000;
            text.sample(name, &labels, seconds as f64);
        }
    }
    let help = "Commands to appliances, by what became of them";
    text.counters("rackside_hub_commands_total", help, "outcome", web.commands.counts(now).by_outcome());
    let help = "Pages and programs that watch /api/live";
    text.gauge("rackside_hub_live_watchers", "", help, web.live.watchers() as f64);
    let help = "Connections to the pages that were shut at once, since their address had enough of them";
    text.counter("rackside_hub_web_refused_total", help, web.refused().load(Ordering::Relaxed));
    web.api.write(text);
    web.rules.write(text);
    web.notifications.write(text, now);
    appliances(text, &seen.appliances);
    web.on_air.write(text, now);
}

fn counts(text: &mut dyn Sink, counts: &Counts) {
    let by_channel = counts.messages().map(|(channel, count)| (channel.as_str(), count));
    let help = "Messages under the hub's topics, by channel, whatever became of them";
    text.counters("rackside_hub_messages_total", help, "channel", by_channel);
    let by_reason = counts.rejected().map(|(reason, count)| (reason.as_str(), count));
    let help = "Messages that were not taken, by reason";
    text.counters("rackside_hub_rejected_total", help, "reason", by_reason);
    text.counter("rackside_hub_records_total", "Records taken, each once", counts.records);
    let help = "Records that had been taken before, and were not taken again";
    text.counter("rackside_hub_duplicates_total", help, counts.duplicates);
    let help = "Records that their agent let go before the hub had them, whose catalog never came, or that can never be read";
    text.counter("rackside_hub_lost_total", help, counts.lost);
    let help = "Records left with their agent because their catalog was not known yet";
    text.counter("rackside_hub_deferred_total", help, counts.deferred);
    let help = "Presences of an older run or connection than the one known";
    text.counter("rackside_hub_presences_ignored_total", help, counts.presences_ignored);
    let help = "Series left out of a catalog: listed twice, or under the hub's own names";
    text.counter("rackside_hub_series_ignored_total", help, counts.series_ignored);
    text.counter("rackside_hub_acks_total", "Acks sent", counts.acks);
    text.counter("rackside_hub_verdicts_total", "Verdicts sent", counts.verdicts);
}

fn appliances(text: &mut dyn Sink, fleet: &[Standing]) {
    let (all, up) = (fleet.len(), fleet.iter().filter(|appliance| appliance.is_up).count());
    text.family("rackside_hub_appliances", Kind::Gauge, "", "Appliances, by whether they are up");
    text.sample("rackside_hub_appliances", &[("state", "up")], up as f64);
    text.sample("rackside_hub_appliances", &[("state", "down")], (all - up) as f64);
    let mut of_each = |name, help, value: &dyn Fn(&Standing) -> f64| {
        text.family(name, Kind::Gauge, "", help);
        for appliance in fleet {
            let site = appliance.name.site.as_str();
            let labels = [("site", site), ("appliance", appliance.name.appliance.as_str())];
            text.sample(name, &labels, value(appliance));
        }
    };
    let help = "1 while the appliance is heard to live, else 0";
    of_each("rackside_appliance_up", help, &|appliance| f64::from(u8::from(appliance.is_up)));
    let help = "Runs that are alive under this name; more than 1 is a second machine with the same name";
    of_each("rackside_hub_appliance_live_runs", help, &|appliance| appliance.live_runs as f64);
}

impl Own for Web {
    fn numbers(&self, to: &mut dyn Sink, now: Now) {
        write(to, self, now);
    }
}

/// What the kernel says that this process holds, where there is such a kernel.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
