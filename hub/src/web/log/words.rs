//! What happened, in an operator's words: of an entry of the history's log its kind and one sentence.
//!
//! ```text
//! rackside_tally_active{tally="camera-1",bus="program"} = 1    tally     camera-1 is on program
//! rackside_probe_success{probe="encoder",type="http"} = 0      probe     encoder does not answer (http)
//! error/encoder: connection refused                            probe     encoder: connection refused
//! recovery/encoder: restarted encoder.service                  recovery  encoder: restarted encoder.service
//! ```

use rackside_history::{Happened, SeriesKey};
use rackside_pages::chart::{States, said};
use rackside_pages::quantity::Unit;
use rackside_pages::series::title;
use rackside_proto::{Kind, metric};

/// A kind of entry: as filters and JSON name it, and as people read it.
pub(in crate::web) const KINDS: [(&str, &str); 10] = [
    ("alert", "alerts"),
    ("agent", "agents: starts, ends, versions"),
    ("tally", "tallies"),
    ("probe", "probes"),
    ("stream", "streams"),
    ("process", "processes"),
    ("recovery", "recovery"),
    ("network", "network"),
    ("hub", "the hub itself"),
    ("other", "everything else"),
];

/// Kind and sentence.
pub(in crate::web) fn words(what: &Happened) -> (&'static str, String) {
    match what {
        Happened::Set { series, value } => set(series, *value),
        Happened::Text { subject, text } => told(subject, text),
    }
}

fn label<'a>(series: &'a SeriesKey, name: &str) -> &'a str {
    series.labels.iter().find(|(known, _)| &**known == name).map_or("", |(_, value)| value)
}

fn set(series: &SeriesKey, value: Option<i64>) -> (&'static str, String) {
    let label = |name| label(series, name);
    let is = |well: &'static str, ill: &'static str| match value {
        Some(0) => ill,
        Some(_) => well,
        None => "cannot be told",
    };
    let name = &*series.name;
    if name == metric::TALLY_ACTIVE.name {
        let bus = label("bus");
        let says = match value {
            Some(0) => format!("is off {bus}"),
            Some(_) => format!("is on {bus}"),
            None => format!("is unknown ({bus})"),
        };
        return ("tally", format!("{} {says}", label("tally")));
    }
    if name == metric::PROBE_SUCCESS.name {
        let says = is("answers as it should", "does not answer as it should");
        return ("probe", format!("{} {says} ({})", label("probe"), label("type")));
    }
    if name == metric::STREAM_UP.name {
        let of = [label("stream"), label("path"), label("probe")].into_iter().find(|text| !text.is_empty());
        return ("stream", format!("{}: the stream {}", of.unwrap_or("stream"), is("is up", "is down")));
    }
    if name == metric::PROCESS_UP.name {
        return ("process", format!("{} {}", label("process"), is("runs", "is gone")));
    }
    let labels: Vec<&str> = series.labels.iter().map(|(_, value)| &**value).collect();
    let states = (series.kind == Kind::State).then(|| {
        let help = metric::find(name).map_or("", |known| known.help);
        States::of_metric(name, help)
    });
    let value = value.map_or_else(
        || "unknown".to_owned(),
        |value| said(series.scale.value(value), Unit::of_metric(name), states.as_ref()),
    );
    let of = if labels.is_empty() { String::new() } else { format!(" ({})", labels.join(", ")) };
    ("other", format!("{}{of}: {value}", title(name)))
}

fn told(subject: &str, text: &str) -> (&'static str, String) {
    match subject.split_once('/') {
        None if subject == "default_route" && text.is_empty() => {
            ("network", "there is no way out any more".to_owned())
        }
        None if subject == "default_route" => ("network", format!("the way out is {text}")),
        None if subject == "configuration" => ("agent", format!("the hub's configuration {text}")),
        Some(("agent", what)) => ("agent", of_agent(what, text)),
        Some(("hub", what)) => ("hub", of_hub(what, text)),
        Some(("error", probe)) if text.is_empty() => ("probe", format!("{probe}: no error any more")),
        Some(("error", probe)) => ("probe", format!("{probe}: {text}")),
        Some(("recovery", what)) => ("recovery", format!("{what}: {text}")),
        Some(("command", what)) => ("agent", format!("the hub had it {}: {text}", commanded(what))),
        Some((what, of)) if text.is_empty() => ("other", format!("{of}, {}: none any more", plain(what))),
        Some((what, of)) => ("other", format!("{of}, {}: {text}", plain(what))),
        None if text.is_empty() => ("other", format!("{}: none any more", plain(subject))),
        None => ("other", format!("{}: {text}", plain(subject))),
    }
}

/// What the hub had a box do, as its agent told it.
fn commanded(what: &str) -> &str {
    match what {
        "identify" => "flash its LEDs",
        "probe" => "run its probes",
        "log" => "tell its log",
        "mute" => "mute its alarm",
        other => other,
    }
}

/// What the hub saw of an agent; see `ingest::notes`.
fn of_agent(what: &str, text: &str) -> String {
    match (what, text) {
        ("start", said) => format!("the agent has started: {said}"),
        ("link", "") => "is heard again".to_owned(),
        ("link", "will") => "is not heard any more: the line broke, or the agent died".to_owned(),
        ("link", "silent") => "is not heard any more: it says nothing".to_owned(),
        ("link", "stop") => "the agent was stopped".to_owned(),
        ("link", "update") => "the agent stops for an update".to_owned(),
        ("link", "shutdown") => "the machine shuts down".to_owned(),
        ("link", why) => format!("is not heard any more ({why})"),
        ("configuration", "0") => "the agent runs on its own configuration file".to_owned(),
        ("configuration", revision) => format!("the agent runs on configuration {revision}"),
        ("service", said) => format!("is in service: {said}"),
        ("retired", "") => "is in service again".to_owned(),
        ("retired", _) => "is retired: out of service, and nobody waits for it".to_owned(),
        ("led", said) => said.to_owned(),
        ("series", said) => format!("other series: {said}"),
        (what, said) => format!("{}: {said}", plain(what)),
    }
}

/// What happened to the hub.
fn of_hub(what: &str, text: &str) -> String {
    match what {
        "start" => format!("the hub has started: {text}"),
        "stop" => "the hub was stopped".to_owned(),
        "rules" => format!("the rules were read again: {text}"),
        "configuration" => format!("the hub's configuration changed: {text}"),
        what => format!("{}: {text}", plain(what)),
    }
}

fn plain(subject: &str) -> String {
    subject.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_proto::{Kind, Scale};

    fn says(name: &str, labels: &[(&str, &str)], value: Option<i64>) -> String {
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let series = SeriesKey {
            name: name.into(),
            labels,
            unit: "".into(),
            kind: Kind::State,
            scale: Scale::per(10),
        };
        let (kind, text) = words(&Happened::Set { series, value });
        format!("{kind}: {text}")
    }

    fn text(subject: &str, text: &str) -> String {
        let (subject, text) = (subject.to_owned(), text.to_owned());
        let (kind, text) = words(&Happened::Text { subject, text });
        format!("{kind}: {text}")
    }

    #[test]
    fn states_are_told_as_operators_say_them() {
        let tally = [("tally", "camera-1"), ("bus", "program")];
        assert_eq!(says("rackside_tally_active", &tally, Some(1)), "tally: camera-1 is on program");
        assert_eq!(says("rackside_tally_active", &tally, Some(0)), "tally: camera-1 is off program");
        assert_eq!(says("rackside_tally_active", &tally, None), "tally: camera-1 is unknown (program)");
        let probe = [("probe", "encoder"), ("type", "http")];
        assert_eq!(
            says("rackside_probe_success", &probe, Some(0)),
            "probe: encoder does not answer as it should (http)"
        );
        assert_eq!(says("rackside_stream_up", &probe, Some(0)), "stream: encoder: the stream is down");
        assert_eq!(says("rackside_process_up", &[("process", "obs")], None), "process: obs cannot be told");
        assert_eq!(says("rackside_led_state", &[("led", "rack")], Some(25)), "other: LED (rack): 2.5");
        assert_eq!(says("rackside_led_state", &[("led", "rack")], Some(30)), "other: LED (rack): critical");
        assert_eq!(
            says("rackside_network_default_route", &[("interface", "eth0")], Some(10)),
            "other: Way out (eth0): in use"
        );
        assert_eq!(
            says("rackside_maintenance", &[], None),
            "other: Maintenance announced at the rack: unknown"
        );
    }

    #[test]
    fn texts_are_told_by_what_they_are_about() {
        assert_eq!(text("error/encoder", "connection refused"), "probe: encoder: connection refused");
        assert_eq!(text("error/encoder", ""), "probe: encoder: no error any more");
        assert_eq!(text("recovery/encoder", "done"), "recovery: encoder: done");
        assert_eq!(text("default_route", "wwan0"), "network: the way out is wwan0");
        assert_eq!(text("default_route", ""), "network: there is no way out any more");
        assert_eq!(text("video_codec/hall", "h264"), "other: hall, video codec: h264");
        assert_eq!(text("agent/start", "0.1.0, run 7"), "agent: the agent has started: 0.1.0, run 7");
        assert_eq!(text("agent/link", ""), "agent: is heard again");
        assert_eq!(text("agent/link", "stop"), "agent: the agent was stopped");
        assert_eq!(text("hub/start", "0.1.0"), "hub: the hub has started: 0.1.0");
        assert_eq!(text("track", "Ouverture"), "other: track: Ouverture");
        assert_eq!(
            text("command/identify", "30 s, by anna"),
            "agent: the hub had it flash its LEDs: 30 s, by anna"
        );
    }
}
