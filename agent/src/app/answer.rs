//! What the agent says to whoever asks it (`rackside-agent status`): everything that decides what the LED shows, and how the way to the
//! hub stands, as one JSON object. Its keys are described in `docs/operations.md`.
//!
//! Invariants: nothing in here asks a disk, the network or a device, and no secret is in it.

use super::App;
use super::line::Line;
use crate::agent::VERSION;
use crate::clock::Moment;
use crate::join::Identity;
use crate::join::start::day;
use crate::json::Json;
use crate::panel::Shown;
use crate::panel::config::Does;
use crate::panel::led::{Link, Meaning};
use crate::probe::{Known, State};
use crate::sensor;
use rackside_proto::{Severity, Verdict};
use std::path::Path;
use std::time::{Duration, Instant};

/// In tenths of a millisecond.
const PRECISE: f64 = 10_000.0;

impl App {
    /// The answer.
    pub(super) fn answer(&self, moment: &Moment) -> String {
        let now = moment.now;
        let mut json = Json::default();
        json.object(|json| {
            json.key("agent").text(&self.agent.name.to_string());
            json.key("version").text(VERSION);
            json.key("run").text(&self.agent.run().to_string());
            json.key("pid").value(std::process::id());
            json.key("uptime_seconds").value(since(self.started, now));
            json.key("resident_bytes").value_if(sensor::resident_bytes(Path::new("/proc")).ok());
            let file = self.file.as_ref().map(|file| file.path().display().to_string());
            json.key("configuration").text_if(file.as_deref());
            json.key("link").object(|json| self.link(json, now));
            if let Some(identity) = &self.config.mqtt.identity {
                json.key("identity").object(|json| self.identity(json, identity));
                json.key("hub_configuration").object(|json| self.hub_configuration(json, now));
            }
            json.key("backlog").object(|json| self.backlog(json, now));
            json.key("clock").object(|json| clock(json, moment, self.look.apart().as_deref()));
            json.key("site").object(|json| self.site(json, now));
            json.key("panel").object(|json| self.panel(json, now));
            json.key("probes").list(|json| {
                for known in self.probes.known() {
                    json.object(|json| probe(json, &known, now));
                }
            });
        });
        json.into_text() + "\n"
    }

    fn link(&self, json: &mut Json, now: Instant) {
        let connected = self.connected();
        json.key("broker").text(&self.broker());
        json.key("tls").value(self.way.connector.is_tls());
        json.key("proxy").text_if(self.way.connector.proxy().map(ToString::to_string).as_deref());
        json.key("state").text(match (&self.line, connected) {
            (_, Some(_)) => "connected",
            (Line::Down { .. }, None) => "waiting",
            (Line::Connecting(_) | Line::Up(_), None) => "connecting",
        });
        json.key("passed_over").text_if(self.way.connector.passed_over().as_deref());
        json.key("hindrance").text_if(self.hindrance().as_deref());
        json.key("connected_seconds").value_if(connected.map(|at| since(at, now)));
        json.key("why").text_if(self.said.as_deref().filter(|_| connected.is_none()));
        let next = if let Line::Down { until } = &self.line { Some(*until) } else { None };
        json.key("next_try_seconds").value_if(next.map(|at| until(at, now)));
        json.key("connections").value(self.agent.connects());
        json.key("metered").text_if(self.agent.metered());
        json.key("together_seconds").value_if(self.agent.together().map(|together| together.as_secs()));
        json.key("collected").value(self.agent.collected());
        let acked = self.agent.custody.acked_at();
        json.key("acknowledged_seconds_ago").value_if(acked.map(|at| since(at, now)));
    }

    fn identity(&self, json: &mut Json, identity: &Identity) {
        json.key("name").text(&identity.name.to_string());
        json.key("url").text(&identity.url);
        json.key("until_ms").value(identity.not_after.saturating_mul(1000));
        json.key("until").text(&day(identity.not_after));
        json.key("why").text_if(self.renewal.why.as_deref());
    }

    fn hub_configuration(&self, json: &mut Json, now: Instant) {
        let (hub, course) = (&self.config.hub, &self.adoption.course);
        json.key("accepted").value(hub.accepts);
        json.key("revision").value(self.agent.revision);
        json.key("fills").text(&hub.fills.join(", "));
        json.key("on_trial").value_if(course.trial().map(|(revision, _)| revision));
        json.key("trial_seconds").value_if(course.trial().map(|(_, end)| until(end, now)));
        json.key("waits").value_if(course.waits());
        json.key("given_up").value_if(Some(course.given_up()).filter(|revision| *revision > 0));
        json.key("why").text_if(hub.objection.as_deref());
    }

    fn backlog(&self, json: &mut Json, now: Instant) {
        let custody = &self.agent.custody;
        json.key("records").value(custody.backlog());
        json.key("of_earlier_runs").value(custody.left_by_earlier_runs());
        json.key("memory_bytes").value(custody.memory_bytes());
        json.key("disk_bytes").value(custody.spool_bytes());
        json.key("oldest_seconds").value_if(custody.oldest_made().map(|at| since(at, now)));
        json.key("dropped").value(custody.dropped());
        json.key("durable").value(custody.is_durable());
        json.key("place").text(&self.state.place(&self.agent.name));
    }

    fn site(&self, json: &mut Json, now: Instant) {
        let (own, why) = self.agent.judgement();
        json.key("severity").text(self.agent.site(self.link, now).severity.as_str());
        json.key("own").text(own.as_str());
        json.key("why").text_if(why);
        let verdict = self.verdict(now);
        json.key("hub").text_if(verdict.map(|(verdict, _)| verdict.severity.as_str()));
        json.key("firing").value_if(verdict.map(|(verdict, _)| verdict.firing));
        json.key("verdict_seconds").value_if(verdict.map(|(_, end)| until(end, now)));
        json.key("way").text(link(self.link));
    }

    /// The hub's opinion, as long as it holds.
    fn verdict(&self, now: Instant) -> Option<(Verdict, Instant)> {
        self.agent.verdict.filter(|(_, until)| now < *until)
    }

    fn panel(&self, json: &mut Json, now: Instant) {
        json.key("leds").list(|json| {
            for led in self.panel.leds() {
                json.object(|json| {
                    json.key("name").text(led.name);
                    json.key("shows").text(led.meaning.map_or("unknown", Meaning::as_str));
                    json.key("why").text(&self.why(&led, now));
                });
            }
        });
        json.key("tallies").list(|json| {
            for (name, bus, on) in self.panel.tally_states() {
                json.object(|json| {
                    json.key("name").text(name);
                    json.key("bus").text(bus.as_str());
                    json.key("on").value_if(on);
                });
            }
        });
        json.key("relays").list(|json| {
            for (name, closed) in self.panel.relay_states() {
                json.object(|json| {
                    json.key("name").text(name);
                    json.key("closed").value_if(closed);
                });
            }
        });
        for (key, does) in [
            ("muted_seconds", Does::Mute),
            ("maintenance_seconds", Does::Maintenance),
            ("identify_seconds", Does::Identify),
        ] {
            json.key(key).value_if(self.panel.pressed(does).map(|end| until(end, now)));
        }
        json.key("faults").list(|json| {
            for (about, what) in self.panel.faults() {
                json.object(|json| {
                    json.key("about").text(about);
                    json.key("what").text(what);
                });
            }
        });
    }

    /// Why an LED shows what it shows.
    fn why(&self, led: &Shown<'_>, now: Instant) -> String {
        let Some(meaning) = led.meaning else { return "its pin cannot be had".to_owned() };
        match meaning {
            Meaning::Identify => "somebody pressed a button to find this rack".to_owned(),
            Meaning::Dark if led.tallies.is_empty() => {
                "a tally is on program, and dark_on_air is set".to_owned()
            }
            Meaning::Dark => format!("off: {}", led.tallies.join(", ")),
            Meaning::Lit => format!("on: one of {}", led.tallies.join(", ")),
            Meaning::LampUnknown => format!("unknown, and none is on: one of {}", led.tallies.join(", ")),
            Meaning::Well => "nothing is wrong".to_owned(),
            Meaning::Critical => self.objections(Severity::Critical, now),
            Meaning::Warning => self.objections(Severity::Warning, now),
            Meaning::HubUnreachable
            | Meaning::NoInternet
            | Meaning::NoCable
            | Meaning::Refused
            | Meaning::Portal
            | Meaning::Intercepted => self.why_no_link(now),
        }
    }

    /// Who says that it is so bad.
    fn objections(&self, severity: Severity, now: Instant) -> String {
        let mut said = Vec::new();
        let (own, why) = self.agent.judgement();
        if own == severity {
            said.extend(why.map(str::to_owned));
        }
        if let Some((verdict, _)) = self.verdict(now).filter(|(verdict, _)| verdict.severity == severity) {
            said.push(format!("the hub says so, {} alerts are firing", verdict.firing));
        }
        if severity == Severity::Warning {
            said.extend(self.panel.faults().map(|(about, what)| format!("{about}: {what}")));
        }
        said.join("; ")
    }

    fn why_no_link(&self, now: Instant) -> String {
        let custody = &self.agent.custody;
        match (self.connected(), &self.said) {
            (None, Some(said)) => said.clone(),
            (None, None) => "there is no connection to the broker".to_owned(),
            (Some(_), _) => match custody.acked_at() {
                Some(at) => format!("the hub has acknowledged nothing for {} s", since(at, now)),
                None => "the hub has acknowledged nothing in this run".to_owned(),
            },
        }
    }
}

fn clock(json: &mut Json, moment: &Moment, apart: Option<&str>) {
    json.key("known").value(moment.known);
    json.key("source").text(moment.source().as_str());
    json.key("synchronised").value_if(moment.synchronised);
    json.key("time_ms").value_if(moment.known.then_some(moment.utc_ms));
    json.key("doubt").text_if(moment.doubt.map(|doubt| doubt.to_string()).as_deref().or(apart));
}

fn probe(json: &mut Json, known: &Known<'_>, now: Instant) {
    json.key("name").text(&known.planned.common.name);
    json.key("type").text(known.planned.kind.name);
    json.key("target").text(&known.planned.settings.target());
    let state = known.latest.map(|latest| &latest.outcome.state);
    json.key("state").text_if(state.map(State::as_str));
    json.key("why").text_if(state.and_then(State::why));
    let took = known.latest.map(|latest| (latest.took.as_secs_f64() * PRECISE).round() / PRECISE);
    json.key("took_seconds").value_if(took);
    json.key("seconds_ago").value_if(known.latest.map(|latest| since(latest.at, now)));
    json.key("next_seconds").value(until(known.next, now));
    json.key("running").value(known.is_running);
}

const fn link(link: Link) -> &'static str {
    match link.meaning() {
        None => "well",
        Some(meaning) => meaning.as_str(),
    }
}

/// Whole seconds since then.
fn since(at: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(at).as_secs()
}

/// Seconds until then, the last one begun.
fn until(at: Instant, now: Instant) -> u64 {
    let left = at.saturating_duration_since(now);
    left.as_secs() + u64::from(left > Duration::from_secs(left.as_secs()))
}
