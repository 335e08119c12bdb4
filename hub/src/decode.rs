//! `rackside-hub decode`: one message's bytes as JSON, for whoever looks over the wire's shoulder.
//!
//! Readings are shown as they are coded, as what moved: their catalog is another message. Times stay as the agent wrote
//! them: `{"utc_ms": 1795145119250}` or `{"boot": "0badcafe", "boot_ms": 60000}`.

use data_encoding::HEXLOWER;
use rackside_proto::{
    Ack, Action, Birth, Body, Catalog, Change, Channel, Command, Configuration, Data, DecodeError, Envelope,
    Event, Found, LogLine, Message, Outcome, Presence, Reply, Still, Time, Value, Verdict, Want, What,
};
use serde_json::{Value as Json, json};
use std::fmt;

/// Why bytes are not shown.
#[derive(Debug, PartialEq, Eq)]
pub enum ShowError {
    /// The topic does not end in a channel's name.
    Topic(String),
    /// They are no message of that channel.
    Body(Channel, DecodeError),
}

impl fmt::Display for ShowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(topic) => write!(
                f,
                "{topic:?} does not end in a channel's name: presence, birth, data, event, ack, verdict, command, reply, still"
            ),
            Self::Body(channel, error) => write!(f, "these bytes are no {channel} message: {error}"),
        }
    }
}

impl std::error::Error for ShowError {}

/// The JSON of a body that came on `topic`.
pub fn show(topic: &str, body: &[u8]) -> Result<Json, ShowError> {
    let word = topic.rsplit('/').next().unwrap_or(topic);
    let channel: Channel = word.parse().map_err(|_| ShowError::Topic(topic.to_owned()))?;
    let message = Message::decode(channel, body).map_err(|error| ShowError::Body(channel, error))?;
    Ok(match message {
        Message::Presence(presence) => self::presence(&presence),
        Message::Birth(birth) => self::birth(&birth),
        Message::Data(record) => with(&record.envelope, data(&record.body)),
        Message::Event(record) => with(&record.envelope, event(&record.body)),
        Message::Ack(ack) => self::ack(&ack),
        Message::Verdict(verdict) => self::verdict(verdict),
        Message::Still(still) => self::still(&still),
        Message::Config(_, Configuration { revision, text }) => {
            json!({ "revision": revision, "text": text })
        }
        Message::Command(_, command) => self::command(&command),
        Message::Reply(reply) => self::reply(&reply),
    })
}

fn with(envelope: &Envelope, mut body: Json) -> Json {
    body["run"] = json!(envelope.run.to_string());
    body["seq"] = json!(envelope.seq);
    body["floor"] = json!(envelope.floor);
    body["sending"] = json!(format!("{:?}", envelope.sending).to_lowercase());
    body
}

fn time(time: Time) -> Json {
    match time {
        Time::Utc { ms } => json!({ "utc_ms": ms }),
        Time::Boot { boot, ms } => json!({ "boot": format!("{boot:08x}"), "boot_ms": ms }),
    }
}

fn value(value: Value) -> Json {
    match value {
        Value::Known(number) => json!(number),
        Value::Absent => json!("absent"),
        Value::Unknown => json!("unknown"),
    }
}

fn presence(presence: &Presence) -> Json {
    json!({
        "run": presence.run.to_string(),
        "connection": presence.connection,
        "online": presence.online,
        "reason": presence.reason.as_str(),
    })
}

fn birth(birth: &Birth<'_>) -> Json {
    json!({
        "run": birth.run.to_string(),
        "connection": birth.connection,
        "floor": birth.floor,
        "next": birth.next,
        "time": time(birth.time),
        "clock": birth.clock.as_str(),
        "boot_id": HEXLOWER.encode(&birth.boot_id),
        "tick_ms": birth.tick_ms,
        "interval_ms": birth.interval_ms,
        "version": birth.version,
        "hostname": birth.hostname,
        "model": birth.model,
        "revision": birth.revision.map(|revision| revision.to_string()),
        "os": birth.os,
        "kernel": birth.kernel,
        "arch": birth.arch,
        "capabilities": birth.capabilities.0,
        "config_revision": birth.config_revision,
        "spool": format!("{:?}", birth.spool).to_lowercase(),
        "spool_bytes": birth.spool_bytes,
        "catalog": birth.catalog.as_ref().map(catalog),
    })
}

fn catalog(catalog: &Catalog<'_>) -> Json {
    let series: Vec<Json> = catalog
        .series()
        .map(|one| {
            let labels: serde_json::Map<String, Json> =
                one.labels.iter().map(|label| (label.name.to_owned(), json!(label.value))).collect();
            json!({
                "name": one.name,
                "labels": labels,
                "unit": one.unit,
                "kind": format!("{:?}", one.kind).to_lowercase(),
                "scale": format!("{}/{}", one.scale.times, one.scale.per),
                "reference": value(one.reference),
            })
        })
        .collect();
    json!({
        "number": catalog.head.number,
        "time": time(catalog.head.time),
        "boot_id": HEXLOWER.encode(&catalog.head.boot_id),
        "tick_ms": catalog.head.tick_ms,
        "series": series,
    })
}

fn data(data: &Data<'_>) -> Json {
    match data {
        Data::Catalog(one) => json!({ "catalog": catalog(one) }),
        Data::Readings(readings) => {
            let list: Vec<Json> = readings
                .iter()
                .map(|reading| {
                    let moved: Vec<Json> = reading
                        .changes()
                        .map(|(series, change)| match change {
                            Change::Absent => json!({ "series": series, "value": "absent" }),
                            Change::Unknown => json!({ "series": series, "value": "unknown" }),
                            Change::Moved(by) => json!({ "series": series, "moved": by }),
                        })
                        .collect();
                    json!({ "time": time(reading.time), "moved": moved })
                })
                .collect();
            json!({ "of_catalog": readings.catalog, "readings": list })
        }
    }
}

fn event(event: &Event<'_>) -> Json {
    let what = match event.what {
        What::Sample { catalog, series, value: of } => {
            json!({ "sample": { "of_catalog": catalog, "series": series, "value": value(of) } })
        }
        What::Text { subject, text } => json!({ "text": { "subject": subject, "text": text } }),
        What::Configuration { revision, adopted, why } => {
            json!({ "configuration": { "revision": revision, "adopted": adopted.as_str(), "why": why } })
        }
        What::Anchor { boot, boot_ms, utc_ms } => {
            json!({ "anchor": { "boot": format!("{boot:08x}"), "boot_ms": boot_ms, "utc_ms": utc_ms } })
        }
    };
    json!({ "time": time(event.time), "event": what })
}

fn ack(ack: &Ack) -> Json {
    let safe: Vec<Json> =
        ack.safe.iter().map(|safe| json!({ "run": safe.run.to_string(), "below": safe.below })).collect();
    let wants: Vec<Json> = ack
        .wants
        .iter()
        .map(|want| match want {
            Want::Birth => json!("birth"),
            Want::Catalog { run, number } => json!({ "catalog": number, "run": run.to_string() }),
        })
        .collect();
    json!({ "history": format!("{:016x}", ack.history), "time_ms": ack.time_ms, "safe": safe, "wants": wants })
}

fn verdict(verdict: Verdict) -> Json {
    json!({ "severity": verdict.severity.as_str(), "firing": verdict.firing, "valid_s": verdict.valid_s })
}

/// All but the picture.
/// Whether its signature is good only its appliance can say.
fn command(command: &Command<'_>) -> Json {
    let (seconds, probe) = match command.action {
        Action::Identify { seconds } | Action::Mute { seconds } => (Some(seconds), None),
        Action::Probe { name } => (None, Some(name)),
        Action::Log | Action::Other(_) => (None, None),
    };
    json!({
        "run": command.run.to_string(),
        "id": command.id,
        "issued_ms": command.issued_ms,
        "expires_ms": command.expires_ms,
        "by": command.by,
        "action": command.action.as_str(),
        "seconds": seconds,
        "probe": probe,
    })
}

fn reply(reply: &Reply<'_>) -> Json {
    let (outcome, why) = match reply.outcome {
        Outcome::Done => ("done", None),
        Outcome::Refused(why) => ("refused", Some(why.as_str())),
        Outcome::Failed(why) => ("failed", Some(why)),
    };
    let line = |line: LogLine<'_>| json!({ "ago_ms": line.ago_ms, "level": line.level, "text": line.text });
    let found = |found: Found<'_>| json!({ "probe": found.probe, "state": found.state.as_str(), "took_ms": found.took_ms, "why": found.why });
    let (lines, probes) = match reply.body {
        Body::Nothing => (None, None),
        Body::Log(bytes) => (Some(LogLine::all(bytes).map(line).collect::<Vec<_>>()), None),
        Body::Probes(bytes) => (None, Some(Found::all(bytes).map(found).collect::<Vec<_>>())),
    };
    json!({
        "run": reply.run.to_string(),
        "id": reply.id,
        "outcome": outcome,
        "why": why,
        "lines": lines,
        "probes": probes,
    })
}

fn still(still: &Still<'_>) -> Json {
    json!({
        "probe": still.probe,
        "time": time(still.time),
        "clock": still.clock.as_str(),
        "width": still.width,
        "height": still.height,
        "format": still.format.as_str(),
        "bytes": still.picture.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rack::{Rack, vitals};
    use rackside_proto::{Run, Signed};

    #[test]
    fn each_channel_is_shown() {
        let mut rack = Rack::new("arena-north", "rack-1");
        let (topic, body) = rack.presence(true);
        let shown = show(&topic, &body).expect("a presence");
        assert_eq!(shown.to_string(), r#"{"connection":1,"online":true,"reason":"start","run":"7261636b"}"#);
        let (_, body) = rack.catalog(&vitals());
        assert_eq!(show("data", &body).expect("a catalog")["catalog"]["series"][0]["scale"], "1/10");
        let (_, body) = rack.numbers(&[483, 0, 0, 0, 0]);
        let shown = show("data", &body).expect("readings");
        assert_eq!(shown["readings"][0]["moved"][0], json!({ "series": 0, "moved": 483 }));
        assert_eq!(shown["seq"], 1);
        let (_, body) = rack.birth();
        assert_eq!(show("birth", &body).expect("a birth")["catalog"]["number"], 1);
        let (_, body) = rack.event(What::Text { subject: "default_route", text: "eth0" });
        assert_eq!(show("event", &body).expect("an event")["event"]["text"]["text"], "eth0");
        let (topic, body) = rack.still("programme", &[0xff, 0xd8], 0);
        let shown = show(&topic, &body).expect("a still");
        assert_eq!(
            shown.to_string(),
            r#"{"bytes":2,"clock":"ntp","format":"jpeg","height":36,"probe":"programme","time":{"utc_ms":0},"width":64}"#
        );
    }

    #[test]
    fn what_cannot_be_shown_says_why() {
        let line = |topic: &str, body: &[u8]| show(topic, body).expect_err("wrong").to_string();
        assert_eq!(
            line("rackside/1/a/b/noise", &[]),
            "\"rackside/1/a/b/noise\" does not end in a channel's name: presence, birth, data, event, ack, verdict, command, reply, still"
        );
        assert_eq!(line("ack", &[]), "these bytes are no ack message: the body is empty");
        assert_eq!(
            line("ack", &[9]),
            "these bytes are no ack message: wire version 9 is newer than 1: upgrade this reader"
        );
    }
    #[test]
    fn commands_and_replies_are_shown() {
        let action = Action::Probe { name: "encoder" };
        let command = Command { run: Run(7), id: 9, issued_ms: 1, expires_ms: 2, by: "anna", action };
        let (mut content, mut body) = (Vec::new(), Vec::new());
        command.encode(&mut content).expect("within bounds");
        Signed { signature: &[0x30], content: &content }.encode(&mut body).expect("within bounds");
        let shown = show("command", &body).expect("a command");
        assert_eq!(
            shown,
            json!({ "run": "00000007", "id": 9, "issued_ms": 1, "expires_ms": 2, "by": "anna", "action": "probe",
                    "seconds": null, "probe": "encoder" })
        );
        let (mut lines, mut body) = (Vec::new(), Vec::new());
        LogLine { ago_ms: 5, level: 2, text: "x" }.encode(&mut lines).expect("within bounds");
        let reply = Reply { run: Run(7), id: 9, outcome: Outcome::Failed("no LED"), body: Body::Log(&lines) };
        reply.encode(&mut body).expect("within bounds");
        assert_eq!(
            show("reply", &body).expect("a reply"),
            json!({ "run": "00000007", "id": 9, "outcome": "failed", "why": "no LED",
                    "lines": [{ "ago_ms": 5, "level": 2, "text": "x" }], "probes": null })
        );
    }
}
