//! The answer as people see it: a line for each thing, what it is in front, what is wrong in words.
//!
//! ```text
//! agent    arena-north/rack-1, version 0.1.0, run 7a3f01bc, up 2 d 3 h, 2.1 MiB
//! link     connected to hub.example.org:8883 with TLS for 3 h 2 min; acknowledged 2 s ago
//! backlog  no record waits; up to 64 MiB in /var/lib/rackside/spool/arena-north/rack-1
//! LED      rack: amber slow blink, warning: / is 96 % full
//! ```
//!
//! Invariant: what an older or newer agent does not say is left out, and no error.

use crate::units;
use serde_json::Value;
use std::fmt::Write as _;

/// The table, and whether all is well.
pub fn table(answer: &Value) -> (String, bool) {
    let mut table = String::new();
    let mut row = |what: &str, text: String| {
        writeln!(table, "{what:<8} {text}").expect("a String has room");
    };
    row("agent", agent(answer));
    if let Some(file) = answer["configuration"].as_str() {
        row("config", file.to_owned());
    }
    row("link", link(&answer["link"]));
    if let Some(hindrance) = answer["link"]["hindrance"].as_str() {
        row("network", hindrance.to_owned());
    }
    if answer["identity"].is_object() {
        row("identity", identity(&answer["identity"]));
    }
    if let Some(said) = hub_configuration(&answer["hub_configuration"]) {
        row("of hub", said);
    }
    row("backlog", backlog(&answer["backlog"]));
    row("clock", clock(&answer["clock"]));
    let site = &answer["site"];
    row("site", judged(site["own"].as_str(), site["why"].as_str()));
    row("hub", verdict(site));
    let panel = &answer["panel"];
    for led in list(&panel["leds"]) {
        row("LED", format!("{}: {}: {}", text(&led["name"]), text(&led["shows"]), text(&led["why"])));
    }
    for tally in list(&panel["tallies"]) {
        let state = three(&tally["on"], "on", "off");
        row("tally", format!("{} ({}): {state}", text(&tally["name"]), text(&tally["bus"])));
    }
    for relay in list(&panel["relays"]) {
        row("relay", format!("{}: {}", text(&relay["name"]), three(&relay["closed"], "closed", "open")));
    }
    for (key, what) in [
        ("muted_seconds", "the alarm is muted"),
        ("maintenance_seconds", "maintenance"),
        ("identify_seconds", "identify"),
    ] {
        if let Some(seconds) = panel[key].as_u64() {
            row("button", format!("{what} for another {}", units::span(seconds)));
        }
    }
    for fault in list(&panel["faults"]) {
        row("fault", format!("{}: {}", text(&fault["about"]), text(&fault["what"])));
    }
    for one in list(&answer["probes"]) {
        row("probe", probe(one));
    }
    (table, is_well(answer))
}

fn identity(answer: &Value) -> String {
    let mut said = format!("{}, until {}", text(&answer["name"]), text(&answer["until"]));
    let _ = write!(said, ", by the hub at {}", text(&answer["url"]));
    if let Some(why) = answer["why"].as_str() {
        let _ = write!(said, "; {why}");
    }
    said
}

/// What there is to say of the hub's configuration, if there is one.
fn hub_configuration(answer: &Value) -> Option<String> {
    let number = |key: &str| answer[key].as_u64();
    let mut said = Vec::new();
    if let Some(why) = answer["why"].as_str() {
        said.push(format!("left out: {why}"));
    } else if let Some(fills) = answer["fills"].as_str().filter(|fills| !fills.is_empty()) {
        let on_trial = number("on_trial").or(number("revision"));
        said.push(format!("configuration {} fills in {fills}", on_trial.unwrap_or_default()));
    }
    if let Some(seconds) = number("trial_seconds") {
        said.push(format!("on trial for another {}", units::span(seconds)));
    }
    said.extend(number("waits").map(|revision| format!("{revision} waits until the hub answers")));
    said.extend(number("given_up").map(|revision| format!("{revision} was given up")));
    if answer["accepted"] == false {
        said.push("none is taken: [config] accept is false".to_owned());
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// Whether a status LED with nothing else to say would say that all is well.
fn is_well(answer: &Value) -> bool {
    let (site, panel) = (&answer["site"], &answer["panel"]);
    matches!(site["severity"].as_str(), Some("well" | "info"))
        && site["way"] == "well"
        && answer["link"]["state"] == "connected"
        && list(&panel["faults"]).is_empty()
}

fn agent(answer: &Value) -> String {
    let mut said = format!("{}, version {}", text(&answer["agent"]), text(&answer["version"]));
    let _ = write!(said, ", run {}", text(&answer["run"]));
    if let Some(seconds) = answer["uptime_seconds"].as_u64() {
        let _ = write!(said, ", up {}", units::span(seconds));
    }
    if let Some(bytes) = answer["resident_bytes"].as_f64() {
        let _ = write!(said, ", {}", units::bytes(bytes));
    }
    said
}

fn link(link: &Value) -> String {
    let broker = text(&link["broker"]);
    let tls = if link["tls"] == true { "with TLS" } else { "without TLS" };
    let through = link["proxy"].as_str().map(|proxy| format!("{tls} through the proxy {proxy}"));
    let tls = through.as_deref().unwrap_or(tls);
    let mut said = match (link["state"].as_str(), link["connected_seconds"].as_u64()) {
        (Some("connected"), Some(seconds)) => {
            format!("connected to {broker} {tls} for {}", units::span(seconds))
        }
        (Some("connecting"), _) => format!("connecting to {broker} {tls}"),
        _ => format!("not connected to {broker} {tls}"),
    };
    if let Some(why) = link["why"].as_str() {
        let _ = write!(said, ": {why}");
    }
    if let Some(seconds) = link["next_try_seconds"].as_u64() {
        let _ = write!(said, "; next try in {}", units::span(seconds));
    }
    if let Some(passed) = link["passed_over"].as_str() {
        let _ = write!(said, "; passed over: {passed}");
    }
    let acked = link["acknowledged_seconds_ago"].as_u64();
    let acked = acked.map(|seconds| format!("the hub acknowledged {} ago", units::span(seconds)));
    let _ = write!(said, "; {}", acked.as_deref().unwrap_or("the hub has acknowledged nothing yet"));
    if let Some(line) = link["metered"].as_str() {
        let _ = write!(said, "; {line} is metered");
        if let (Some(seconds), Some(collected)) =
            (link["together_seconds"].as_u64(), link["collected"].as_u64())
        {
            let _ = write!(said, ": readings go every {}, {collected} are collected", units::span(seconds));
        }
    }
    said
}

fn backlog(backlog: &Value) -> String {
    let records = backlog["records"].as_u64().unwrap_or_default();
    let mut said = match records {
        0 => "no record waits".to_owned(),
        1 => "1 record waits".to_owned(),
        many => format!("{many} records wait"),
    };
    let number = |key: &str| backlog[key].as_u64().filter(|number| *number > 0);
    if records > 0 {
        let disk = number("disk_bytes").map(|bytes| format!("{} on the disk", units::bytes(bytes as f64)));
        let memory = number("memory_bytes").map(|bytes| format!("{} in memory", units::bytes(bytes as f64)));
        let held: Vec<String> = [disk, memory].into_iter().flatten().collect();
        let _ = write!(said, ", {}", held.join(" and "));
        if let Some(seconds) = number("oldest_seconds") {
            let _ = write!(said, ", the oldest for {}", units::span(seconds));
        }
        if let Some(earlier) = number("of_earlier_runs") {
            let _ = write!(said, ", {earlier} of earlier runs");
        }
    }
    if let Some(dropped) = number("dropped") {
        let _ = write!(said, "; {dropped} were dropped");
    }
    let _ = write!(said, "; {}", text(&backlog["place"]));
    said
}

fn clock(clock: &Value) -> String {
    let mut said = match (clock["known"].as_bool(), clock["source"].as_str()) {
        (Some(true), Some("ntp")) => "known, by NTP".to_owned(),
        (Some(true), _) => "trusted, as configured".to_owned(),
        _ => "not known: readings carry the time since boot".to_owned(),
    };
    if let Some(doubt) = clock["doubt"].as_str() {
        let _ = write!(said, "; {doubt}");
    }
    said
}

fn verdict(site: &Value) -> String {
    let Some(severity) = site["hub"].as_str() else { return "no verdict".to_owned() };
    let firing = site["firing"].as_u64().unwrap_or_default();
    let left = site["verdict_seconds"].as_u64().unwrap_or_default();
    format!("{severity}, {firing} alerts firing; holds for another {}", units::span(left))
}

fn judged(severity: Option<&str>, why: Option<&str>) -> String {
    let severity = severity.unwrap_or("unknown");
    why.map_or_else(|| severity.to_owned(), |why| format!("{severity}: {why}"))
}

fn probe(probe: &Value) -> String {
    let mut said =
        format!("{} ({} {}): ", text(&probe["name"]), text(&probe["type"]), text(&probe["target"]));
    match (probe["state"].as_str(), probe["why"].as_str()) {
        (Some(state), Some(why)) => {
            let _ = write!(said, "{state}: {why}");
        }
        (Some(state), None) => {
            let _ = write!(said, "{state}");
        }
        (None, _) => said.push_str("not asked yet"),
    }
    if let Some(took) = probe["took_seconds"].as_f64().filter(|_| probe["state"] == "up") {
        let _ = write!(said, ", {:.1} ms", took * 1000.0);
    }
    if let Some(seconds) = probe["seconds_ago"].as_u64() {
        let _ = write!(said, ", {} ago", units::span(seconds));
    }
    if probe["running"] == true {
        said.push_str(", asked now");
    }
    said
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// A state that may be unknown.
fn three(value: &Value, on: &'static str, off: &'static str) -> &'static str {
    value.as_bool().map_or("unknown", |is| if is { on } else { off })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer() -> Value {
        json!({
            "agent": "arena/rack-1", "version": "0.1.0", "run": "7a3f01bc", "pid": 412, "uptime_seconds": 93_784,
            "resident_bytes": 2_202_009, "configuration": "/etc/rackside/agent.toml",
            "link": {
                "broker": "hub:8883", "tls": true, "state": "connected", "connected_seconds": 3_720, "why": null,
                "next_try_seconds": null, "connections": 1, "acknowledged_seconds_ago": 2, "metered": null,
                "together_seconds": null, "collected": 0,
            },
            "backlog": {
                "records": 0, "of_earlier_runs": 0, "memory_bytes": 900, "disk_bytes": 0, "oldest_seconds": null,
                "dropped": 0, "durable": true, "place": "up to 64 MiB in /var/lib/rackside",
            },
            "clock": { "known": true, "source": "ntp", "synchronised": true, "time_ms": 1, "doubt": null },
            "site": {
                "severity": "well", "own": "well", "why": null, "hub": null, "firing": null, "verdict_seconds": null,
                "way": "well",
            },
            "panel": {
                "leds": [{ "name": "rack", "shows": "well", "why": "nothing is wrong" }],
                "tallies": [{ "name": "camera-1", "bus": "program", "on": null }],
                "relays": [{ "name": "siren", "closed": false }],
                "muted_seconds": null, "maintenance_seconds": null, "identify_seconds": null, "faults": [],
            },
            "probes": [],
        })
    }

    #[test]
    fn a_well_agent_is_a_dozen_lines() {
        let (table, is_well) = table(&answer());
        assert!(is_well);
        let lines = [
            "agent    arena/rack-1, version 0.1.0, run 7a3f01bc, up 1 d 2 h, 2.1 MiB",
            "config   /etc/rackside/agent.toml",
            "link     connected to hub:8883 with TLS for 1 h 2 min; the hub acknowledged 2 s ago",
            "backlog  no record waits; up to 64 MiB in /var/lib/rackside",
            "clock    known, by NTP",
            "site     well",
            "hub      no verdict",
            "LED      rack: well: nothing is wrong",
            "tally    camera-1 (program): unknown",
            "relay    siren: open",
        ];
        assert_eq!(table.lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn a_line_that_costs_money_is_said_and_is_well() {
        let mut answer = answer();
        answer["link"]["metered"] = json!("wwan0");
        let shown = |answer: &Value| table(answer).0.lines().nth(2).expect("the link").to_owned();
        assert!(
            shown(&answer).ends_with("; the hub acknowledged 2 s ago; wwan0 is metered"),
            "{}",
            shown(&answer)
        );
        (answer["link"]["together_seconds"], answer["link"]["collected"]) = (json!(60), json!(4));
        let told = "; wwan0 is metered: readings go every 1 min, 4 are collected";
        assert!(shown(&answer).ends_with(told), "{}", shown(&answer));
        assert!(table(&answer).1);
    }

    #[test]
    fn what_is_wrong_is_said_and_is_not_well() {
        let mut answer = answer();
        answer["link"] = json!({
            "broker": "hub:8883", "tls": false, "state": "waiting", "why": "refused", "next_try_seconds": 3,
        });
        answer["backlog"] = json!({
            "records": 812, "of_earlier_runs": 12, "memory_bytes": 2048, "disk_bytes": 10_240, "oldest_seconds": 600,
            "dropped": 5, "place": "up to 64 MiB in /x",
        });
        answer["site"] = json!({
            "severity": "critical", "own": "warning", "why": "/ is 96 % full", "hub": "critical", "firing": 2,
            "verdict_seconds": 50, "way": "hub not reachable",
        });
        answer["panel"]["muted_seconds"] = json!(61);
        answer["panel"]["faults"] = json!([{ "about": "LED rack", "what": "pin 24 is held" }]);
        answer["probes"] = json!([{
            "name": "encoder", "type": "tcp", "target": "192.0.2.30:1935", "state": "down", "why": "refused",
            "took_seconds": 0.1, "seconds_ago": 12, "next_seconds": 18, "running": true,
        }]);
        let (table, is_well) = table(&answer);
        assert!(!is_well);
        for line in [
            "link     not connected to hub:8883 without TLS: refused; next try in 3 s; the hub has acknowledged nothing yet",
            "backlog  812 records wait, 10.0 KiB on the disk and 2.0 KiB in memory, the oldest for 10 min, 12 of earlier \
             runs; 5 were dropped; up to 64 MiB in /x",
            "site     warning: / is 96 % full",
            "hub      critical, 2 alerts firing; holds for another 50 s",
            "button   the alarm is muted for another 1 min",
            "fault    LED rack: pin 24 is held",
            "probe    encoder (tcp 192.0.2.30:1935): down: refused, 12 s ago, asked now",
        ] {
            assert!(table.lines().any(|found| found == line), "{line}\nin\n{table}");
        }
    }

    #[test]
    fn an_answer_of_another_version_is_no_error_and_not_taken_for_well() {
        let (table, is_well) = table(&json!({ "agent": "arena/rack-1", "news": [1] }));
        assert!(table.starts_with("agent    arena/rack-1, version ?") && !is_well, "{table}");
    }
}
